// SPDX-License-Identifier: Apache-2.0
// Private to filter: finding a run of bytes in a text, two of its bytes at a time.
#ifndef YG_FILTER_FIND_H
#define YG_FILTER_FIND_H

#include "base/str.h"

#define YG_NOT_FOUND SIZE_MAX

// A literal that is looked for. The two bytes of it that texts hold least often are compared many
// places at once; where both stand, the whole is compared.
struct yg_finder {
    const char *bytes; // borrowed; ASCII letters in lower case when nocase
    size_t len;
    bool nocase; // ASCII letters of either case; other bytes as they are
    size_t at[2];
    uint8_t byte[2];
    uint8_t mask[2]; // 0xdf for a letter without case, else 0xff
};
void yg_finder_init(struct yg_finder *f, yg_str literal, bool nocase);
// Place of the first occurrence at or after `from`; YG_NOT_FOUND.
size_t yg_finder_next(const struct yg_finder *f, yg_str text, size_t from);
// The same without wide instructions: the fallback, and the oracle in tests.
size_t yg_finder_next_scalar(const struct yg_finder *f, yg_str text, size_t from);

// True when every byte is ASCII.
bool yg_is_ascii(yg_str s);

#endif
