// SPDX-License-Identifier: Apache-2.0
// Bitmaps over rows: bit i of word i/64. Sizes are in bits; unused bits of the last word are zero.
#ifndef YG_BASE_BITS_H
#define YG_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define YG_BITS_WORDS(n) (((n) + 63u) / 64u)

static inline bool yg_bits_get(const uint64_t *b, uint32_t i) {
    return (b[i >> 6] >> (i & 63)) & 1;
}
static inline void yg_bits_set(uint64_t *b, uint32_t i) {
    b[i >> 6] |= UINT64_C(1) << (i & 63);
}
static inline void yg_bits_clear(uint64_t *b, uint32_t i) {
    b[i >> 6] &= ~(UINT64_C(1) << (i & 63));
}
static inline void yg_bits_zero(uint64_t *b, uint32_t n) {
    memset(b, 0, YG_BITS_WORDS(n) * 8);
}
static inline void yg_bits_fill(uint64_t *b, uint32_t n) {
    memset(b, 0xff, YG_BITS_WORDS(n) * 8);
    if (n & 63)
        b[n >> 6] &= (UINT64_C(1) << (n & 63)) - 1;
}
static inline uint32_t yg_bits_count(const uint64_t *b, uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t w = 0; w < YG_BITS_WORDS(n); w++)
        sum += (uint32_t)__builtin_popcountll(b[w]);
    return sum;
}
static inline bool yg_bits_any(const uint64_t *b, uint32_t n) {
    for (uint32_t w = 0; w < YG_BITS_WORDS(n); w++)
        if (b[w])
            return true;
    return false;
}
// First set bit at or after `from`; n when there is none.
static inline uint32_t yg_bits_next(const uint64_t *b, uint32_t n, uint32_t from) {
    if (from >= n)
        return n;
    uint32_t w = from >> 6;
    uint64_t word = b[w] & (~UINT64_C(0) << (from & 63));
    while (word == 0) {
        if (++w >= YG_BITS_WORDS(n))
            return n;
        word = b[w];
    }
    return (w << 6) + (uint32_t)__builtin_ctzll(word);
}

#endif
