#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets with clang and runs each for SECONDS; what crashed lies in
# build-fuzz/artifacts. Usage: test/fuzz/run.sh SECONDS [TARGET ...]
# YG_FUZZ_BUILD: build folder; JOBS: targets at a time.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:?usage: test/fuzz/run.sh SECONDS [TARGET ...]}
shift
build=${YG_FUZZ_BUILD:-build-fuzz}
jobs=${JOBS:-$(nproc)}
cc=$(command -v clang-14 || command -v clang) || { echo "fuzzing needs clang"; exit 1; }
# -w: gcc is the compiler whose warnings count.
cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS=-w -DYG_FUZZ=ON \
    -DYG_SANITIZE=ON -DYG_TESTS=OFF > "$build-configure.log" 2>&1 || { cat "$build-configure.log"; exit 1; }
rm -f "$build-configure.log"
targets=${*:-$(cut -f1 test/fuzz/seeds.tsv)}
ninja -C "$build" -j"$jobs" fuzz_make_seeds $(for t in $targets; do echo "fuzz_$t"; done) > "$build/ninja.log" 2>&1 ||
    { tail -40 "$build/ninja.log"; exit 1; }
"$build/test/fuzz/fuzz_make_seeds" "$build/seeds" test/fuzz/corpus
mkdir -p "$build/artifacts" "$build/logs"

# One target: its own growing corpus first, then the seeds, read only.
one='
t=$1
mkdir -p "$build/corpus/$t" "$build/artifacts/$t"
seeds=""
for place in $(grep "^$t	" test/fuzz/seeds.tsv | cut -f2); do
    case $place in @*) place=$build/seeds/${place#@} ;; esac
    seeds="$seeds $place"
done
[ -d "test/fuzz/corpus/$t" ] && seeds="$seeds test/fuzz/corpus/$t"
if ASAN_OPTIONS=detect_leaks=1 "$build/test/fuzz/fuzz_$t" -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=2048 -max_len=65536 -artifact_prefix="$build/artifacts/$t/" \
    "$build/corpus/$t" $seeds > "$build/logs/$t.log" 2>&1; then
    echo "ok    $t: $(grep -E "^Done|DONE" "$build/logs/$t.log" | tail -1)"
else
    echo "CRASH $t: see $build/logs/$t.log and $build/artifacts/$t/"
    exit 1
fi
'
export build seconds
printf '%s\n' $targets | xargs -P "$jobs" -I{} sh -c "$one" one {}
