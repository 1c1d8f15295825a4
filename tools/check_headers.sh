#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every header of src/ compiles by itself.
bad=0
for header in $(git ls-files 'src/*.h'); do
    case $header in src/base/banned.h) continue ;; esac
    gcc -std=gnu17 -fsyntax-only -D_GNU_SOURCE -DYG_SOURCE_DIR='"."' -Isrc -I/usr/share/include/llhttp -x c -include src/base/banned.h "$header" 2>/tmp/yagura-header.log ||
        { echo "$header:"; head -5 /tmp/yagura-header.log; bad=1; }
done
rm -f /tmp/yagura-header.log
exit $bad
