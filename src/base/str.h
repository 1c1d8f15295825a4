// SPDX-License-Identifier: Apache-2.0
// A borrowed run of bytes. Not NUL-terminated; whoever holds one knows what keeps the bytes alive.
#ifndef YG_BASE_STR_H
#define YG_BASE_STR_H

#include "base/err.h"
#include <stdint.h>
#include <string.h>

typedef struct yg_str {
    const char *ptr;
    size_t len;
} yg_str;

#define YG_STR(lit) ((yg_str){("" lit), sizeof(lit) - 1})
#define YG_STR_INIT(lit)                                                                           \
    { ("" lit), sizeof(lit) - 1 }
#define YG_STR_FMT(s) (int)(s).len, (s).ptr ? (s).ptr : "" // for "%.*s"

static inline yg_str yg_str_c(const char *c) {
    return (yg_str){c, c ? strlen(c) : 0};
}
static inline yg_str yg_str_n(const char *p, size_t n) {
    return (yg_str){p, n};
}
static inline bool yg_str_eq(yg_str a, yg_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool yg_str_eq_c(yg_str a, const char *c) {
    return yg_str_eq(a, yg_str_c(c));
}
int yg_str_cmp(yg_str a, yg_str b);        // byte order, shorter first
bool yg_str_eq_nocase(yg_str a, yg_str b); // ASCII
bool yg_str_starts(yg_str s, yg_str prefix);
bool yg_str_ends(yg_str s, yg_str suffix);
// Offset of the first `needle` at or after `from`; SIZE_MAX when there is none.
size_t yg_str_find(yg_str s, yg_str needle, size_t from);
size_t yg_str_find_char(yg_str s, char c, size_t from);
size_t yg_str_rfind_char(yg_str s, char c);
yg_str yg_str_sub(yg_str s, size_t from, size_t len); // clipped to s
yg_str yg_str_trim(yg_str s);                         // blanks at both ends
// Takes the next piece up to `sep` off *rest; false when *rest was used up. "a,,b" gives a, "", b.
bool yg_str_split(yg_str *rest, char sep, yg_str *ret_piece);
// The whole of s must be the number (no blanks); false and no change otherwise.
bool yg_str_to_i64(yg_str s, int64_t *ret_value);
bool yg_str_to_u64(yg_str s, uint64_t *ret_value);
bool yg_str_hex_to_u64(yg_str s, uint64_t *ret_value); // 1–16 hex digits
bool yg_str_to_f64(yg_str s, double *ret_value);       // finite decimal, no hex, no "nan"/"inf"

#endif
