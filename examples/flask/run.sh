#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what the example needs (pip, into .venv), then run it against yagura. Options by environment, see README.md.
set -eu
cd "$(dirname "$0")"

command -v python3 >/dev/null || { echo "python3 3.10 or newer is needed" >&2; exit 1; }
if [ ! -x .venv/bin/ddtrace-run ] || [ requirements.txt -nt .venv ]; then
    echo "installing the packages of requirements.txt into $(pwd)/.venv"
    python3 -m venv .venv || { echo "Debian: apt-get install python3-venv" >&2; exit 1; }
    .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
    touch .venv
fi

export DD_SERVICE="${DD_SERVICE:-shop-flask}" DD_ENV="${DD_ENV:-dev}" DD_VERSION="${DD_VERSION:-1.0.0}"
export DD_TRACE_AGENT_URL="${YAGURA_AGENT:-http://127.0.0.1:8126}"
export DD_LOGS_INJECTION=true
dogstatsd="${YAGURA_DOGSTATSD:-127.0.0.1:8125}"
export DD_AGENT_HOST="${dogstatsd%:*}" DD_DOGSTATSD_PORT="${dogstatsd##*:}"

if [ -n "${LOAD_SECONDS:-}" ]; then
    (sleep 3 && exec .venv/bin/python load.py "$LOAD_SECONDS" "${LOAD_RATE:-5}") &
fi
exec .venv/bin/ddtrace-run .venv/bin/python app.py
