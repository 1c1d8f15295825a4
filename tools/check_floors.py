#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every include of src/ against the table tools/floors.tsv: data flows one way.

A room may include only rooms listed for it, and of them only the header of the same name;
base, codec and model export every header. A unit test (src/<room>/test/) may look into the private
headers of those rooms, too. Exit 1 when anything breaks the table.
"""
import pathlib
import re
import sys

OPEN = {"base", "codec", "model"}
INCLUDE = re.compile(r'\s*#\s*include\s+"(\w+)/([\w/]+)\.h"')


def read_table(path):
    """Returns {room: rooms it may include}; a row may name only rooms of earlier rows."""
    allow, faults = {}, []
    for line in open(path, encoding="utf-8"):
        room, above = line.rstrip("\n").split("\t")
        wanted = set(allow) if above == "all" else set(above.split()) - {"-"}
        for name in sorted(wanted - set(allow)):
            faults.append(f"{path}: {room} lists {name}, which is not above it")
        allow[room] = wanted
    return allow, faults


def check_file(path, allow):
    room, in_test = path.parts[1], path.parts[2] == "test"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        m = INCLUDE.match(line)
        if not m or m[1] == room:
            continue
        public = m[1] in OPEN or m[2] == m[1] or in_test
        if m[1] not in allow.get(room, set()) or not public:
            yield f"{path}:{number}: {room} may not include {m[1]}/{m[2]}.h"


def main():
    allow, faults = read_table("tools/floors.tsv")
    for path in sorted(pathlib.Path("src").rglob("*.[ch]")):
        if path.parts[1] not in allow:
            faults.append(f"{path}: room {path.parts[1]} is not in tools/floors.tsv")
            continue
        faults.extend(check_file(path, allow))
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
