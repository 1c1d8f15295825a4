#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Real clients in more languages, and Terraform, against $YAGURA_BIN (default build/yagura).
# What is missing on this machine is skipped with the reason (pytest prints them at the end).
set -eu
root="$(cd "$(dirname "$0")/../.." && pwd)"
venv="$root/build/venv-conformance"
if [ ! -x "$venv/bin/python" ] || [ "$root/test/conformance/requirements.txt" -nt "$venv/ready" ] ||
    [ "$root/test/e2e/requirements.txt" -nt "$venv/ready" ]; then
    echo "installing the Python packages of the conformance tests into $venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$root/test/e2e/requirements.txt" \
        -r "$root/test/conformance/requirements.txt"
    touch "$venv/ready"
fi
cd "$root"
exec "$venv/bin/python" -m pytest -p no:cacheprovider test/conformance "$@"
