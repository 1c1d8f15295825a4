#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/base/utf8_tables.h from the interpreter's Unicode data: simple lower-casing and the
letters, marks and digits that make up words. Run it when the Unicode version is to move."""
import pathlib
import sys
import unicodedata


def fold_ranges():
    """(first, last, step, delta): runs of code points whose lower case is that far away."""
    pairs = []
    for cp in range(0x80, 0x110000):
        low = chr(cp).lower()
        if len(low) == 1 and ord(low) != cp:
            pairs.append((cp, ord(low) - cp))
    runs = []
    for cp, delta in pairs:
        if runs and runs[-1][3] == delta:
            first, last, step, _ = runs[-1]
            gap = cp - last
            if gap in (1, 2) and (first == last or gap == step):
                runs[-1] = (first, cp, gap, delta)
                continue
        runs.append((cp, cp, 1, delta))
    return runs


def word_ranges():
    runs = []
    for cp in range(0x80, 0x110000):
        if unicodedata.category(chr(cp))[0] not in "LMN":
            continue
        if runs and runs[-1][1] == cp - 1:
            runs[-1] = (runs[-1][0], cp)
        else:
            runs.append((cp, cp))
    return runs


def rows(items, per_line):
    text = ["{" + ", ".join(f"{v:#x}" if i < 2 else str(v) for i, v in enumerate(r)) + "}," for r in items]
    return "\n".join("    " + " ".join(text[i : i + per_line]) for i in range(0, len(text), per_line))


def main():
    out = pathlib.Path(__file__).resolve().parent.parent / "src/base/utf8_tables.h"
    out.write_text(f"""// SPDX-License-Identifier: Apache-2.0
// Written by tools/gen_utf8_tables.py from Unicode {unicodedata.unidata_version}; do not edit.
#ifndef YG_BASE_UTF8_TABLES_H
#define YG_BASE_UTF8_TABLES_H

#include <stdint.h>

// Code points first, first + step … last fold to themselves + delta.
static const struct fold_range {{
    uint32_t first;
    uint32_t last;
    int32_t step;
    int32_t delta;
}} fold_ranges[] = {{
{rows(fold_ranges(), 3)}
}};

// Letters, marks and numbers beyond ASCII.
static const struct word_range {{
    uint32_t first;
    uint32_t last;
}} word_ranges[] = {{
{rows(word_ranges(), 4)}
}};

#endif
""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
