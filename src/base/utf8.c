// SPDX-License-Identifier: Apache-2.0
// UTF-8 validity and decoding, case folding and word characters from generated tables.
#include "base/utf8.h"

#include <emmintrin.h>

#include "base/utf8_tables.h"

#define REPLACEMENT 0xfffdu

// Length of the valid sequence at p (left ≥ 1 bytes); 0 when it is not one. RFC 3629 table 3-7.
static size_t sequence(const unsigned char *p, size_t left) {
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (left < n)
        return 0;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f; // no surrogates
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t yg_utf8_check(yg_str s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t at = 0;
    while (at < s.len) {
        while (s.len - at >= 16) {
            __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
            if (_mm_movemask_epi8(block) != 0)
                break;
            at += 16;
        }
        // one step; up to 16 of ASCII or other before the fast loop is tried again
        for (int i = 0; i < 16 && at < s.len; i++) {
            size_t n = sequence(p + at, s.len - at);
            if (n == 0)
                return at;
            at += n;
        }
    }
    return s.len;
}

uint32_t yg_utf8_next(yg_str s, size_t *at) {
    const unsigned char *p = (const unsigned char *)s.ptr + *at;
    size_t n = sequence(p, s.len - *at);
    *at += n ? n : 1;
    switch (n) {
    case 1:
        return p[0];
    case 2:
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3fu);
    case 3:
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3fu);
    case 4:
        return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
               (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3fu);
    default:
        return REPLACEMENT;
    }
}

size_t yg_utf8_put(uint32_t cp, char out[4]) {
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        cp = REPLACEMENT;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

uint32_t yg_utf8_fold(uint32_t cp) {
    if (cp < 0x80)
        return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
    size_t low = 0;
    size_t high = sizeof(fold_ranges) / sizeof(fold_ranges[0]);
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct fold_range *r = &fold_ranges[mid];
        if (cp < r->first) {
            high = mid;
        } else if (cp > r->last) {
            low = mid + 1;
        } else {
            bool hit = (cp - r->first) % (uint32_t)r->step == 0;
            return hit ? (uint32_t)((int32_t)cp + r->delta) : cp;
        }
    }
    return cp;
}

bool yg_utf8_is_word(uint32_t cp) {
    if (cp < 0x80)
        return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= '0' && cp <= '9') ||
               cp == '_';
    size_t low = 0;
    size_t high = sizeof(word_ranges) / sizeof(word_ranges[0]);
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (cp < word_ranges[mid].first)
            high = mid;
        else if (cp > word_ranges[mid].last)
            low = mid + 1;
        else
            return true;
    }
    return false;
}
