#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts the release binary on an empty directory and measures, per kind of row, the server's CPU seconds per million
# rows through decode, WAL and memory segment, its memory, and bytes per row on disk after a clean stop.
exec python3 "$(dirname "$0")/run.py" "$@"
