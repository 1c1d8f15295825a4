// SPDX-License-Identifier: Apache-2.0
// Bit packing with 64-bit loads and stores; little-endian hosts only (asserted in segment.h).
//
// Eight values of w bits fill w bytes, so every group of eight begins at a byte. With AVX2 and w ≤
// 25 a group is read with two loads: values 0–3 begin at byte 0, values 4–7 in byte w / 2; a byte
// shuffle brings the four bytes that hold each value into its lane, a shift per lane drops the bits
// before it, a mask those behind.
#include "store/pack.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline uint64_t mask_of(uint32_t width) {
    return width >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << width) - 1;
}

static inline uint64_t get_bits(const char *p, uint64_t bit, uint32_t width) {
    uint64_t lo;
    memcpy(&lo, p + bit / 8, 8);
    uint32_t shift = (uint32_t)(bit & 7);
    lo >>= shift;
    if (shift + width > 64) {
        uint8_t hi;
        memcpy(&hi, p + bit / 8 + 8, 1);
        lo |= (uint64_t)hi << (64 - shift);
    }
    return lo & mask_of(width);
}

void yg_pack_bits(char *p, const uint64_t *v, uint32_t n, uint32_t width) {
    uint64_t acc = 0, mask = mask_of(width);
    uint32_t bits = 0;
    if (width == 0)
        return;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = v[i] & mask;
        acc |= x << bits;
        bits += width;
        if (bits >= 64) {
            memcpy(p, &acc, 8);
            p += 8;
            bits -= 64;
            acc = bits ? x >> (width - bits) : 0;
        }
    }
    memcpy(p, &acc, (bits + 7) / 8);
}

static void unpack_from(const char *p, uint64_t *out, uint32_t from, uint32_t n, uint32_t width) {
    uint64_t mask = mask_of(width);
    if (width > 57) {
        for (uint32_t i = from; i < n; i++)
            out[i] = get_bits(p, (uint64_t)i * width, width);
        return;
    }
    for (uint32_t i = from; i < n; i++) {
        uint64_t word, bit = (uint64_t)i * width;
        memcpy(&word, p + bit / 8, 8);
        out[i] = word >> (bit & 7) & mask;
    }
}

static void unpack32_from(const char *p, uint32_t *out, uint32_t from, uint32_t n, uint32_t width) {
    uint64_t mask = mask_of(width);
    for (uint32_t i = from; i < n; i++) {
        uint64_t word, bit = (uint64_t)i * width;
        memcpy(&word, p + bit / 8, 8);
        out[i] = (uint32_t)(word >> (bit & 7) & mask);
    }
}

void yg_unpack_bits_plain(const char *p, uint64_t *out, uint32_t n, uint32_t width) {
    if (width == 0)
        memset(out, 0, sizeof(*out) * n);
    else
        unpack_from(p, out, 0, n, width);
}

void yg_unpack_bits32_plain(const char *p, uint32_t *out, uint32_t n, uint32_t width) {
    if (width == 0)
        memset(out, 0, sizeof(*out) * n);
    else
        unpack32_from(p, out, 0, n, width);
}

#if defined(__x86_64__)
#define WIDE_MAX 25u // bits of a value, so that it lies in four bytes wherever it begins

struct wide_step {
    uint8_t shuffle[32];
    uint32_t shift[8];
};
static struct wide_step wide_steps[WIDE_MAX + 1]; // constant after wide_start
static bool wide;                                 // constant after wide_start

// Before main, so that no lock and no check is needed later.
__attribute__((constructor)) static void wide_start(void) {
    for (uint32_t w = 1; w <= WIDE_MAX; w++)
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t bit = i < 4 ? i * w : i * w - w / 2 * 8;
            wide_steps[w].shift[i] = bit & 7;
            for (uint32_t b = 0; b < 4; b++)
                wide_steps[w].shuffle[i * 4 + b] = (uint8_t)(bit / 8 + b);
        }
    __builtin_cpu_init();
    wide = __builtin_cpu_supports("avx2");
}

struct wide_regs {
    __m256i shuffle;
    __m256i shift;
    __m256i mask;
};

__attribute__((target("avx2"))) static inline struct wide_regs wide_load(uint32_t width) {
    const struct wide_step *s = &wide_steps[width];
    return (struct wide_regs){
        .shuffle = _mm256_loadu_si256((const __m256i_u *)(const void *)s->shuffle),
        .shift = _mm256_loadu_si256((const __m256i_u *)(const void *)s->shift),
        .mask = _mm256_set1_epi32((int)mask_of(width)),
    };
}

// Eight values at p.
__attribute__((target("avx2"))) static inline __m256i wide_group(const struct wide_regs *r,
                                                                 const char *p, uint32_t width) {
    __m128i lo = _mm_loadu_si128((const __m128i_u *)(const void *)p);
    __m128i hi = _mm_loadu_si128((const __m128i_u *)(const void *)(p + width / 2));
    __m256i bytes = _mm256_shuffle_epi8(_mm256_set_m128i(hi, lo), r->shuffle);
    return _mm256_and_si256(_mm256_srlv_epi32(bytes, r->shift), r->mask);
}

__attribute__((target("avx2"))) static void unpack32_wide(const char *p, uint32_t *out, uint32_t n,
                                                          uint32_t width) {
    struct wide_regs r = wide_load(width);
    uint32_t i = 0;
    const char *at = p;
    for (; i + 8 <= n; i += 8, at += width)
        _mm256_storeu_si256((__m256i_u *)(void *)(out + i), wide_group(&r, at, width));
    unpack32_from(p, out, i, n, width);
}

__attribute__((target("avx2"))) static void unpack_wide(const char *p, uint64_t *out, uint32_t n,
                                                        uint32_t width) {
    struct wide_regs r = wide_load(width);
    uint32_t i = 0;
    const char *at = p;
    for (; i + 8 <= n; i += 8, at += width) {
        __m256i v = wide_group(&r, at, width);
        __m256i lo = _mm256_cvtepu32_epi64(_mm256_castsi256_si128(v));
        __m256i hi = _mm256_cvtepu32_epi64(_mm256_extracti128_si256(v, 1));
        _mm256_storeu_si256((__m256i_u *)(void *)(out + i), lo);
        _mm256_storeu_si256((__m256i_u *)(void *)(out + i + 4), hi);
    }
    unpack_from(p, out, i, n, width);
}
#endif

void yg_unpack_bits(const char *p, uint64_t *out, uint32_t n, uint32_t width) {
#if defined(__x86_64__)
    if (wide && width > 0 && width <= WIDE_MAX) {
        unpack_wide(p, out, n, width);
        return;
    }
#endif
    yg_unpack_bits_plain(p, out, n, width);
}

void yg_unpack_bits32(const char *p, uint32_t *out, uint32_t n, uint32_t width) {
#if defined(__x86_64__)
    if (wide && width > 0 && width <= WIDE_MAX) {
        unpack32_wide(p, out, n, width);
        return;
    }
#endif
    yg_unpack_bits32_plain(p, out, n, width);
}

// ------------------------------------------------------------ format version 1

bool yg_unpack_i64(yg_str in, size_t *at, int64_t *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i += YG_PACK_BLOCK) {
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        if (in.len - *at < 9)
            return false;
        uint64_t base, v[YG_PACK_BLOCK];
        memcpy(&base, in.ptr + *at, 8);
        uint32_t width = (uint8_t)in.ptr[*at + 8];
        *at += 9;
        if (width > 64 || in.len - *at < yg_packed_bytes(m, width))
            return false;
        yg_unpack_bits(in.ptr + *at, v, m, width);
        for (uint32_t k = 0; k < m; k++)
            out[i + k] = (int64_t)(base + v[k]);
        *at += yg_packed_bytes(m, width);
    }
    return true;
}

bool yg_unpack_u32(yg_str in, size_t *at, uint32_t *out, uint32_t n) {
    if (in.len - *at < 1)
        return false;
    uint32_t width = (uint8_t)in.ptr[*at];
    *at += 1;
    if (width > 32 || in.len - *at < yg_packed_bytes(n, width))
        return false;
    yg_unpack_bits32(in.ptr + *at, out, n, width);
    *at += yg_packed_bytes(n, width);
    return true;
}
