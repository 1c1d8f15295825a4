#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What CI checks without running the product: format, include table, sizes, the options page, links in documents.
set -u
cd "$(dirname "$0")/.."
bad=0
run() {
    name=$1
    shift
    if "$@"; then echo "ok    $name"; else echo "FAIL  $name"; bad=1; fi
}
format() { git ls-files 'src/*.[ch]' 'bench/*.[ch]' 'test/fuzz/*.[ch]' | xargs clang-format-14 --dry-run -Werror 2>&1 | grep -E 'error' | head -20; }
format_clean() { [ -z "$(format)" ] || { format; return 1; }; }
run "format (clang-format 14)" format_clean
run "include table (tools/floors.tsv)" python3 tools/check_floors.py
run "sizes (functions, files, lines)" python3 tools/check_sizes.py
run "headers compile alone" tools/check_headers.sh
run "documents (links, options page)" python3 tools/check_docs.py
# Only what the document says: it goes stale when the format moves.
run "docs/formats/segment.md reads the golden files" python3 test/format/segment.py src/store/test/data/segment-v2-*.seg
exit $bad
