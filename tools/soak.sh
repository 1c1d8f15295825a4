#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What takes too long for CI: unit tests under ThreadSanitizer and Valgrind, then the end-to-end tests marked soak
# (a thousand kills, ten minutes of overload, a full disk) on the release build.
set -eu
cd "$(dirname "$0")/.."
cmake -S . -B build-tsan -G Ninja -DYG_TSAN=ON >/dev/null
ninja -C build-tsan
bad=0
for program in build-tsan/t_base_* build-tsan/t_store_* build-tsan/t_query_*; do
    echo "tsan $(basename "$program")"
    TSAN_OPTIONS="halt_on_error=1" "$program" >/tmp/yagura-soak.log 2>&1 || { tail -40 /tmp/yagura-soak.log; bad=1; }
done
cmake -S . -B build -G Ninja >/dev/null
ninja -C build
for program in build/t_base_* build/t_model_* build/t_store_*; do
    echo "valgrind $(basename "$program")"
    valgrind --quiet --error-exitcode=9 --leak-check=full "$program" >/tmp/yagura-soak.log 2>&1 || { tail -40 /tmp/yagura-soak.log; bad=1; }
done
rm -f /tmp/yagura-soak.log
python=$(python3 tools/run_tests.py --environment)
YAGURA_BIN=$PWD/build/yagura YAGURA_RELEASE_BIN=$PWD/build/yagura "$python" -m pytest test/e2e -q --soak -m soak || bad=1
exit $bad
