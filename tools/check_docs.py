#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Relative links in Markdown lead somewhere, and docs/configuration.md shows the table of the binary (when built)."""
import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def broken_links():
    names = subprocess.run(["git", "ls-files", "*.md"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    for name in names:
        path = pathlib.Path(name)
        if not path.exists():
            continue
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
                yield f"{name}: link to {target} leads nowhere"


def stale_options():
    binary, page = pathlib.Path("build/yagura"), pathlib.Path("docs/configuration.md")
    if not binary.exists() or not page.exists():
        return
    table = subprocess.run([str(binary), "options"], stdout=subprocess.PIPE, check=True, text=True).stdout
    if table not in page.read_text(encoding="utf-8"):
        yield "docs/configuration.md: not the table that `yagura options` prints"


def main():
    faults = [*broken_links(), *stale_options()]
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
