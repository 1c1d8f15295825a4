#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the assembler file that puts the built page into the binary.

Usage: embed_assets.py WEB_DIR OUT.S
WEB_DIR holds manifest.json (docs/api.md) and the files that it names. The rows are struct yg_asset of
src/api/ui.h: path, type, etag, ptr, len, flags (1 gzip, 2 immutable); eight bytes each, ended by zeros.
"""
import json
import pathlib
import sys

GZIP, IMMUTABLE = 1, 2
ENCODINGS = {"gzip": GZIP, "identity": 0}


def quoted(text):
    if not text.isascii() or any(c in text for c in '"\\\n\r\0'):
        sys.exit(f"embed_assets: {text!r} cannot stand in a string")
    return f'"{text}"'


def row(number, entry, base):
    path = base / entry["file"]
    if not path.is_file():
        sys.exit(f"embed_assets: {path} of the manifest is missing")
    if entry["encoding"] not in ENCODINGS:
        sys.exit(f"embed_assets: {entry['path']}: encoding {entry['encoding']!r} is not known")
    flags = ENCODINGS[entry["encoding"]] | (IMMUTABLE if entry.get("immutable") else 0)
    n = number
    data = [f".Lp{n}: .asciz {quoted(entry['path'])}", f".Lt{n}: .asciz {quoted(entry['type'])}",
            f".Le{n}: .asciz {quoted(entry['etag'])}", "  .balign 16", f".Ld{n}: .incbin {quoted(str(path))}", f".Lz{n}: .byte 0"]
    return data, f"  .quad .Lp{n}, .Lt{n}, .Le{n}, .Ld{n}, .Lz{n} - .Ld{n}, {flags}"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: embed_assets.py WEB_DIR OUT.S")
    base, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    manifest = json.loads((base / "manifest.json").read_text())
    files = sorted(manifest["files"], key=lambda f: f["path"])
    paths = [f["path"] for f in files]
    if "/index.html" not in paths or len(set(paths)) != len(paths):
        sys.exit("embed_assets: the manifest wants /index.html and every path once")
    data, rows = [], []
    for n, entry in enumerate(files):
        more, line = row(n, entry, base)
        data += more
        rows.append(line)
    text = ["// Made by tools/embed_assets.py.", "  .section .rodata", *data, "  .section .data.rel.ro,\"aw\"", "  .balign 8",
            "  .globl yg_assets", "  .type yg_assets, @object", "yg_assets:", *rows, "  .quad 0, 0, 0, 0, 0, 0",
            "  .size yg_assets, . - yg_assets", "  .section .note.GNU-stack,\"\",@progbits", ""]
    out.write_text("\n".join(text))


main()
