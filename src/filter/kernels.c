// SPDX-License-Identifier: Apache-2.0
// Column comparisons: AVX2 where the processor has it, plain C without branches elsewhere.
#include "filter/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 (__builtin_cpu_supports("avx2"))
#define AVX2 __attribute__((target("avx2")))
#else
#define HAVE_AVX2 0
#endif

// Rows [from, count), from at the beginning of a word; `cond` is an expression of row r.
#define PLAIN_ROWS(from, count, out, cond)                                                         \
    do {                                                                                           \
        for (uint32_t base_ = (from); base_ < (count); base_ += 64) {                              \
            uint32_t n_ = (count)-base_ < 64 ? (count)-base_ : 64;                                 \
            uint64_t bits_ = 0;                                                                    \
            for (uint32_t i_ = 0; i_ < n_; i_++) {                                                 \
                uint32_t r = base_ + i_;                                                           \
                bits_ |= (uint64_t)(cond) << i_;                                                   \
            }                                                                                      \
            (out)[base_ / 64] = bits_;                                                             \
        }                                                                                          \
    } while (0)

#if defined(__x86_64__)
AVX2 static uint32_t codes_avx2(const uint32_t *codes, uint32_t count, uint32_t code,
                                uint64_t *out) {
    __m256i wanted = _mm256_set1_epi32((int)code);
    uint32_t at = 0;
    for (; at + 64 <= count; at += 64) {
        uint64_t bits = 0;
        for (uint32_t i = 0; i < 64; i += 8) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(codes + at + i));
            __m256 hit = _mm256_castsi256_ps(_mm256_cmpeq_epi32(v, wanted));
            bits |= (uint64_t)(uint32_t)_mm256_movemask_ps(hit) << i;
        }
        out[at / 64] = bits;
    }
    return at;
}

AVX2 static uint32_t i64_avx2(const int64_t *v, uint32_t count, int64_t lo, int64_t hi,
                              uint64_t *out) {
    __m256i low = _mm256_set1_epi64x(lo), high = _mm256_set1_epi64x(hi);
    uint32_t at = 0;
    for (; at + 64 <= count; at += 64) {
        uint64_t bits = 0;
        for (uint32_t i = 0; i < 64; i += 4) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(v + at + i));
            __m256i miss = _mm256_or_si256(_mm256_cmpgt_epi64(low, x), _mm256_cmpgt_epi64(x, high));
            uint32_t m = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(miss));
            bits |= (uint64_t)(~m & 15u) << i;
        }
        out[at / 64] = bits;
    }
    return at;
}

AVX2 static uint32_t f64_avx2(const double *v, uint32_t count, double lo, bool lo_open, double hi,
                              bool hi_open, uint64_t *out) {
    __m256d low = _mm256_set1_pd(lo), high = _mm256_set1_pd(hi);
    __m256d no_low = _mm256_castsi256_pd(_mm256_set1_epi64x(lo_open ? -1 : 0));
    __m256d no_high = _mm256_castsi256_pd(_mm256_set1_epi64x(hi_open ? -1 : 0));
    uint32_t at = 0;
    for (; at + 64 <= count; at += 64) {
        uint64_t bits = 0;
        for (uint32_t i = 0; i < 64; i += 4) {
            __m256d x = _mm256_loadu_pd(v + at + i);
            __m256d in = _mm256_and_pd(_mm256_cmp_pd(x, low, _CMP_GE_OQ),
                                       _mm256_cmp_pd(x, high, _CMP_LE_OQ));
            __m256d end = _mm256_or_pd(_mm256_and_pd(no_low, _mm256_cmp_pd(x, low, _CMP_EQ_OQ)),
                                       _mm256_and_pd(no_high, _mm256_cmp_pd(x, high, _CMP_EQ_OQ)));
            bits |= (uint64_t)(uint32_t)_mm256_movemask_pd(_mm256_andnot_pd(end, in)) << i;
        }
        out[at / 64] = bits;
    }
    return at;
}
#endif

void yg_rows_code(const uint32_t *codes, uint32_t count, uint32_t code, uint64_t *out) {
    uint32_t at = 0;
#if defined(__x86_64__)
    if (HAVE_AVX2)
        at = codes_avx2(codes, count, code, out);
#endif
    PLAIN_ROWS(at, count, out, codes[r] == code);
}

void yg_rows_i64(const int64_t *v, uint32_t count, int64_t lo, int64_t hi, uint64_t *out) {
    uint32_t at = 0;
#if defined(__x86_64__)
    if (HAVE_AVX2)
        at = i64_avx2(v, count, lo, hi, out);
#endif
    PLAIN_ROWS(at, count, out, (v[r] >= lo) & (v[r] <= hi));
}

void yg_rows_f64(const double *v, uint32_t count, double lo, bool lo_open, double hi, bool hi_open,
                 uint64_t *out) {
    uint32_t at = 0;
#if defined(__x86_64__)
    if (HAVE_AVX2)
        at = f64_avx2(v, count, lo, lo_open, hi, hi_open, out);
#endif
    PLAIN_ROWS(at, count, out,
               (lo_open ? v[r] > lo : v[r] >= lo) & (hi_open ? v[r] < hi : v[r] <= hi));
}

void yg_rows_outcome(const uint32_t *codes, uint32_t count, const uint8_t *outcomes,
                     uint64_t *out) {
    PLAIN_ROWS(0, count, out, outcomes[codes[r]] >> 1);
}
