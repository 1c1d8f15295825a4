#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what the named purposes need and what is not there yet: setup.sh build [test] [check] [fuzz] [soak].
# Says what it installs and why, asks nothing. What is already on PATH from another source stays in use.
set -eu

missing=""
want() { # want REASON PACKAGE PROBE… : adds PACKAGE when the probe fails
    reason=$1 package=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing="$missing $package"
        printf '  %-22s %s\n' "$package" "$reason" >>"$list"
    fi
}
has() { command -v "$1"; }
lib() { command -v pkg-config && pkg-config --exists "$1"; }
node18() { has node && [ "$(node -p 'parseInt(process.versions.node)')" -ge 18 ]; }
pyvenv() { has python3 && python3 -c 'import ensurepip, venv'; }

list=$(mktemp)
trap 'rm -f "$list"' EXIT
for purpose in "$@"; do
    case $purpose in
    build)
        want "the C compiler" gcc has gcc
        want "the C library's headers" libc6-dev test -e /usr/include/stdio.h
        want "describes the build" cmake has cmake
        want "runs the build" ninja-build has ninja
        want "finds libraries" pkg-config has pkg-config
        want "event loop, sockets" libuv1-dev lib libuv
        want "HTTP/1 parser (C sources)" node-llhttp test -e /usr/share/llhttp/llhttp.c
        want "configuration and catalogue" libsqlite3-dev lib sqlite3
        want "outbound HTTP" libcurl4-openssl-dev lib libcurl
        want "compression of segments" libzstd-dev lib libzstd
        want "gzip and deflate bodies" zlib1g-dev lib zlib
        want "regular expressions" libpcre2-dev lib libpcre2-8
        want "hashing" libxxhash-dev test -e /usr/include/xxhash.h
        want "configuration files" libyaml-dev lib yaml-0.1
        want "digests" libssl-dev lib openssl
        want "bundles the page" nodejs node18
        want "fetches the page's packages" npm has npm
        ;;
    test)
        want "unit tests" libcmocka-dev test -e /usr/include/cmocka.h
        want "end-to-end tests" python3 has python3
        want "their own Python packages" python3-venv pyvenv
        want "the page in a real browser" chromium has chromium
        ;;
    check)
        want "the pinned formatter" clang-format-14 has clang-format-14
        want "function lengths" universal-ctags has ctags
        want "checks and tests" python3 has python3
        ;;
    fuzz)
        want "the fuzzer's compiler" clang-14 has clang-14
        want "the fuzzer's run-time" libclang-rt-14-dev test -e /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a
        ;;
    soak) want "memory checker" valgrind has valgrind ;;
    *)
        echo "setup.sh: unknown purpose $purpose" >&2
        exit 2
        ;;
    esac
done
[ -n "$missing" ] || exit 0

echo "yagura needs these packages, which are not installed yet:"
cat "$list"
if [ "$(id -u)" != 0 ]; then
    echo "Run this once as root:  apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "Installing them with apt-get."
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the list is meant to split
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends ca-certificates $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup.sh: installing failed; the whole log is $log" >&2
    exit 1
fi
rm -f "$log"
