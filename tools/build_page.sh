#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bundles the page into the given folder when a source is newer than the last bundle. build_page.sh OUTDIR
set -eu
cd "$(dirname "$0")/.."
out=$1
if [ -e "$out/manifest.json" ] && [ -z "$(find web -path web/node_modules -prune -o -newer "$out/manifest.json" -type f -print | head -1)" ]; then
    exit 0
fi
if [ ! -e web/node_modules/.package-lock.json ] || [ web/package-lock.json -nt web/node_modules/.package-lock.json ]; then
    (cd web && npm ci --no-audit --no-fund --loglevel=error)
    touch web/node_modules/.package-lock.json
fi
mkdir -p "$out"
node web/build.mjs "$out"
