// SPDX-License-Identifier: Apache-2.0
// Two-byte search: AVX2 where the processor has it, SSE2 on other x86-64, plain C elsewhere.
#include "filter/find.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_X86 1
#else
#define HAVE_X86 0
#endif

// How seldom a byte is in logs: larger is rarer.
static uint32_t rarity(uint8_t c) {
    static const char common[] = " etaoinsr0123456789-.:=/_\"lhdcumpfgwbyvk,";
    const char *place = c < 0x80 && c > 0 ? memchr(common, c, sizeof(common) - 1) : NULL;
    if (place)
        return (uint32_t)(place - common);
    return c < 0x80 ? 100 : 60; // of letters beyond ASCII the lead bytes repeat
}

static bool is_lower(uint8_t c) {
    return c >= 'a' && c <= 'z';
}

void yg_finder_init(struct yg_finder *f, yg_str literal, bool nocase) {
    *f = (struct yg_finder){.bytes = literal.ptr, .len = literal.len, .nocase = nocase};
    if (literal.len == 0)
        return;
    size_t best[2] = {0, literal.len - 1};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < literal.len; i++) {
            bool taken = k == 1 && literal.len > 1 && i == best[0];
            bool worse = k == 1 && best[1] == best[0];
            if (!taken &&
                (worse || rarity((uint8_t)literal.ptr[i]) > rarity((uint8_t)literal.ptr[best[k]])))
                best[k] = i;
        }
    for (int k = 0; k < 2; k++) {
        uint8_t c = (uint8_t)literal.ptr[best[k]];
        f->at[k] = best[k];
        f->mask[k] = nocase && is_lower(c) ? 0xdf : 0xff;
        f->byte[k] = c & f->mask[k];
    }
}

static inline bool matches_at(const struct yg_finder *f, const char *p) {
    if (!f->nocase)
        return memcmp(p, f->bytes, f->len) == 0;
    for (size_t i = 0; i < f->len; i++) {
        uint8_t c = (uint8_t)p[i];
        if ((uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (uint8_t)f->bytes[i])
            return false;
    }
    return true;
}

static size_t next_plain(const struct yg_finder *f, yg_str s, size_t from, size_t end) {
    for (size_t at = from; at < end; at++)
        if (((uint8_t)s.ptr[at + f->at[0]] & f->mask[0]) == f->byte[0] &&
            ((uint8_t)s.ptr[at + f->at[1]] & f->mask[1]) == f->byte[1] && matches_at(f, s.ptr + at))
            return at;
    return YG_NOT_FOUND;
}

// Candidates begin before this place; 0 when the text is too short.
static size_t candidates_end(const struct yg_finder *f, yg_str s, size_t from) {
    return from > s.len || f->len > s.len - from ? 0 : s.len - f->len + 1;
}

size_t yg_finder_next_scalar(const struct yg_finder *f, yg_str text, size_t from) {
    size_t end = candidates_end(f, text, from);
    if (f->len == 0)
        return end ? from : YG_NOT_FOUND;
    return next_plain(f, text, from, end);
}

#if HAVE_X86
// The last round of a width ends with the last candidate and leaves out what was looked at before.
static size_t next_sse2(const struct yg_finder *f, yg_str s, size_t from, size_t end) {
    if (end < 16 || end - from < 4)
        return next_plain(f, s, from, end);
    __m128i byte0 = _mm_set1_epi8((char)f->byte[0]), mask0 = _mm_set1_epi8((char)f->mask[0]);
    __m128i byte1 = _mm_set1_epi8((char)f->byte[1]), mask1 = _mm_set1_epi8((char)f->mask[1]);
    for (size_t at = from; at < end; at += 16) {
        uint32_t skip = 0;
        if (at + 16 > end) {
            skip = (uint32_t)(at + 16 - end);
            at = end - 16;
        }
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(s.ptr + at + f->at[0]));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(s.ptr + at + f->at[1]));
        a = _mm_cmpeq_epi8(_mm_and_si128(a, mask0), byte0);
        b = _mm_cmpeq_epi8(_mm_and_si128(b, mask1), byte1);
        uint32_t hits = (uint32_t)_mm_movemask_epi8(_mm_and_si128(a, b)) >> skip << skip;
        for (; hits; hits &= hits - 1) {
            size_t p = at + (size_t)__builtin_ctz(hits);
            if (matches_at(f, s.ptr + p))
                return p;
        }
    }
    return YG_NOT_FOUND;
}

__attribute__((target("avx2"))) static size_t next_avx2(const struct yg_finder *f, yg_str s,
                                                        size_t from, size_t end) {
    __m256i byte0 = _mm256_set1_epi8((char)f->byte[0]), mask0 = _mm256_set1_epi8((char)f->mask[0]);
    __m256i byte1 = _mm256_set1_epi8((char)f->byte[1]), mask1 = _mm256_set1_epi8((char)f->mask[1]);
    for (size_t at = from; at < end; at += 32) {
        uint32_t skip = 0;
        if (at + 32 > end) {
            skip = (uint32_t)(at + 32 - end);
            at = end - 32;
        }
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(s.ptr + at + f->at[0]));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(s.ptr + at + f->at[1]));
        a = _mm256_cmpeq_epi8(_mm256_and_si256(a, mask0), byte0);
        b = _mm256_cmpeq_epi8(_mm256_and_si256(b, mask1), byte1);
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(a, b)) >> skip << skip;
        for (; hits; hits &= hits - 1) {
            size_t p = at + (size_t)__builtin_ctz(hits);
            if (matches_at(f, s.ptr + p))
                return p;
        }
    }
    return YG_NOT_FOUND;
}

size_t yg_finder_next(const struct yg_finder *f, yg_str text, size_t from) {
    size_t end = candidates_end(f, text, from);
    if (f->len == 0)
        return end ? from : YG_NOT_FOUND;
    if (from >= end)
        return YG_NOT_FOUND;
    if (end >= 32 && end - from >= 16 && __builtin_cpu_supports("avx2"))
        return next_avx2(f, text, from, end);
    return next_sse2(f, text, from, end);
}

bool yg_is_ascii(yg_str s) {
    size_t at = 0;
    for (; at + 16 <= s.len; at += 16)
        if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(s.ptr + at))) != 0)
            return false;
    for (; at < s.len; at++)
        if ((uint8_t)s.ptr[at] >= 0x80)
            return false;
    return true;
}
#else
size_t yg_finder_next(const struct yg_finder *f, yg_str text, size_t from) {
    return yg_finder_next_scalar(f, text, from);
}

bool yg_is_ascii(yg_str s) {
    for (size_t at = 0; at < s.len; at++)
        if ((uint8_t)s.ptr[at] >= 0x80)
            return false;
    return true;
}
#endif
