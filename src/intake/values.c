// SPDX-License-Identifier: Apache-2.0
// Small helpers of several decoders: valid text, tag lists, counting what was skipped.
#include "intake/decode.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/utf8.h"

#define FUTURE_MAX_S INT64_C(7200)

yg_str yg_intake_utf8(struct yg_arena *arena, yg_str s) {
    if (yg_utf8_check(s) == s.len)
        return s.ptr ? s : YG_STR("");
    char *out = s.len < SIZE_MAX / 4 ? yg_arena_alloc(arena, s.len * 3) : NULL;
    if (out == NULL)
        return (yg_str){NULL, 0};
    size_t n = 0;
    for (size_t at = 0; at < s.len;)
        n += yg_utf8_put(yg_utf8_next(s, &at), out + n);
    return (yg_str){out, n};
}

bool yg_intake_split_tags(struct yg_arena *arena, yg_str list, yg_str **tags, uint32_t *count,
                          uint32_t *cap) {
    yg_str piece;
    while (yg_str_split(&list, ',', &piece)) {
        piece = yg_str_trim(piece);
        if (piece.len == 0)
            continue;
        if (!YG_ARENA_GROW(arena, *tags, *count, *cap))
            return false;
        (*tags)[(*count)++] = piece;
    }
    return true;
}

yg_str yg_intake_join_tags(struct yg_arena *arena, const yg_str *tags, uint32_t count) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += tags[i].len + 1;
    char *out = yg_arena_alloc(arena, bytes);
    if (out == NULL)
        return (yg_str){NULL, 0};
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            out[n++] = ',';
        for (size_t k = 0; k < tags[i].len; k++) {
            char c = tags[i].ptr[k];
            out[n++] = c == ',' ? '_' : c;
        }
    }
    return (yg_str){out, n};
}

yg_str yg_intake_cut(yg_str s, size_t max) {
    if (s.len <= max)
        return s;
    size_t n = max;
    while (n > 0 && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
        n--;
    return (yg_str){s.ptr, n};
}

void yg_intake_skip(struct yg_intake_tally *t, const char *fmt, ...) {
    if (t->skipped++ > 0)
        return;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(t->first_skipped, sizeof(t->first_skipped), fmt, ap);
    va_end(ap);
}

bool yg_intake_time_ok(int64_t ts_s, int64_t now_ns) {
    return ts_s > 0 && ts_s <= now_ns / YG_NS_PER_S + FUTURE_MAX_S;
}
