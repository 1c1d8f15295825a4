#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Real clients in more languages, and Terraform with the unmodified provider. What is missing here is skipped, with the
# reason. YAGURA_TF_PROVIDER=<binary> names a provider; without it and without internet the Terraform part is skipped.
set -eu
cd "$(dirname "$0")/.."
python=$(python3 tools/run_tests.py --environment)
"$python" -m pip install --quiet --disable-pip-version-check -r test/conformance/requirements.txt
YAGURA_BIN=${YAGURA_BIN:-$PWD/build/yagura} exec "$python" -m pytest test/conformance -q -rs
