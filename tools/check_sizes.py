#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Limits on size: functions of 120 lines, files of 1,500 lines, and no file of more than 1 MiB outside golden data.

Exceptions stand in tools/size_allow.txt: "path name reason" (name "-" for the file itself).
"""
import pathlib
import subprocess
import sys

FUNCTION_LINES, FILE_LINES, BLOB_BYTES = 120, 1500, 1 << 20


def allowed():
    path = pathlib.Path("tools/size_allow.txt")
    rows = [] if not path.exists() else path.read_text(encoding="utf-8").splitlines()
    return {tuple(row.split(None, 2)[:2]) for row in rows if row and not row.startswith("#")}


def long_functions(files):
    """Yields (path, name, lines) of C functions, by ctags."""
    if not files:
        return
    out = subprocess.run(["ctags", "-x", "--c-kinds=f", "--_xformat=%F\t%N\t%n\t%e", *files],
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    for row in out.splitlines():
        path, name, start, end = row.split("\t")
        if end.isdigit():
            yield path, name, int(end) - int(start) + 1


def main():
    tracked = subprocess.run(["git", "ls-files"], stdout=subprocess.PIPE, check=True, text=True).stdout.split("\n")
    tracked = [name for name in tracked if name and pathlib.Path(name).is_file()]
    sources = [name for name in tracked if name.startswith(("src/", "bench/", "test/fuzz/")) and name.endswith((".c", ".h"))]
    fine, bad = allowed(), []
    for path, name, lines in long_functions(sources):
        if lines > FUNCTION_LINES and (path, name) not in fine:
            bad.append(f"{path}: {name} has {lines} lines, {FUNCTION_LINES} are allowed")
    for name in sources:
        lines = pathlib.Path(name).read_text(encoding="utf-8").count("\n")
        if lines > FILE_LINES and (name, "-") not in fine:
            bad.append(f"{name}: {lines} lines, {FILE_LINES} are allowed")
    for name in tracked:
        if pathlib.Path(name).stat().st_size > BLOB_BYTES and not name.startswith("test/golden/"):
            bad.append(f"{name}: more than {BLOB_BYTES} bytes")
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
