// SPDX-License-Identifier: Apache-2.0
// Searching the texts of a granule as one run of bytes: a chunk's strings stand one behind the
// other, so one pass over all of them finds the few rows that are worth a closer look.
#include "filter/internal.h"

#include "base/bits.h"

struct scan {
    const struct yg_text_rows *x;
    yg_str bytes; // of all rows
    uint32_t row; // the row that the last hit lay in, or one before it
};

// The bytes of all rows when they lie one behind the other.
static bool one_run(const struct yg_text_rows *x, yg_str *ret_bytes) {
    const char *first = NULL, *next = NULL;
    for (uint32_t r = 0; r < x->row_count; r++) {
        yg_str s = x->strs[r];
        if (s.len == 0)
            continue;
        if (first == NULL)
            first = next = s.ptr;
        if (s.ptr != next)
            return false;
        next += s.len;
    }
    *ret_bytes = (yg_str){first ? first : "", first ? (size_t)(next - first) : 0};
    return true;
}

// Looks closer at the row that holds [at, at + len). Gives where to go on.
static size_t take_hit(struct scan *s, size_t at, size_t len) {
    const struct yg_text_rows *x = s->x;
    const char *p = s->bytes.ptr + at;
    while (x->strs[s->row].len == 0 || p >= x->strs[s->row].ptr + x->strs[s->row].len)
        s->row++;
    yg_str text = x->strs[s->row];
    size_t end = (size_t)(text.ptr - s->bytes.ptr) + text.len;
    if (at + len > end)
        return at + 1; // begins in one row and ends in the next
    if (yg_bits_get(x->wanted, s->row) && !yg_bits_get(x->out, s->row) && x->matches(x->ctx, text))
        yg_bits_set(x->out, s->row);
    return end;
}

static void find_all(const struct yg_text_rows *x, yg_str bytes, const struct yg_finder *needle) {
    struct scan s = {x, bytes, 0};
    size_t at = yg_finder_next(needle, bytes, 0);
    while (at != YG_NOT_FOUND)
        at = yg_finder_next(needle, bytes, take_hit(&s, at, needle->len));
}

bool yg_text_rows_find(const struct yg_text_rows *x, const struct yg_finder *need, bool odd) {
    static const char *const odd_letters[] = {"\xc4\xb0", "\xc5\xbf", "\xe2\x84\xaa"};
    yg_str bytes;
    if (need->len == 0 || yg_bits_count(x->wanted, x->row_count) < x->row_count / 8 ||
        !one_run(x, &bytes))
        return false;
    find_all(x, bytes, need);
    for (int i = 0; i < 3 && odd && !yg_is_ascii(bytes); i++) {
        struct yg_finder letter;
        yg_finder_init(&letter, yg_str_c(odd_letters[i]), false);
        find_all(x, bytes, &letter);
    }
    return true;
}
