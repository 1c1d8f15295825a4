#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what the example needs (npm), then run it against yagura. Options by environment, see README.md.
set -eu
cd "$(dirname "$0")"

command -v node >/dev/null || { echo "node 18 or newer is needed (Debian: apt-get install nodejs npm)" >&2; exit 1; }
node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' ||
    { echo "node $(node --version) is too old: 18 or newer is needed" >&2; exit 1; }

if [ ! -d node_modules ] || [ package.json -nt node_modules ]; then
    echo "installing the packages of package.json into $(pwd)/node_modules"
    npm install --ignore-scripts
    touch node_modules
fi

export DD_SERVICE="${DD_SERVICE:-shop-express}" DD_ENV="${DD_ENV:-dev}" DD_VERSION="${DD_VERSION:-1.0.0}"
export DD_TRACE_AGENT_URL="${YAGURA_AGENT:-http://127.0.0.1:8126}"
export DD_LOGS_INJECTION=true DD_TRACE_STARTUP_LOGS=false
dogstatsd="${YAGURA_DOGSTATSD:-127.0.0.1:8125}"
export DD_AGENT_HOST="${dogstatsd%:*}" DD_DOGSTATSD_PORT="${dogstatsd##*:}"

if [ -n "${LOAD_SECONDS:-}" ]; then
    (sleep 2 && exec node load.js "$LOAD_SECONDS" "${LOAD_RATE:-5}") &
fi
exec node --require dd-trace/init app.js
