// SPDX-License-Identifier: Apache-2.0
// XXH3 behind our names, and CRC-32C with the processor's instruction where there is one.
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "base/rand.h"

#define CRC32C_POLY_REVERSED 0x82f63b78u

typedef uint32_t (*crc_fn)(uint32_t, const void *, size_t);

static uint64_t seed;
static uint32_t crc_table[8][256];
static crc_fn crc_best = yg_crc32c_scalar;

uint64_t yg_hash(const void *ptr, size_t len) {
    return XXH3_64bits_withSeed(ptr, len, seed);
}

uint64_t yg_hash_stable(const void *ptr, size_t len) {
    return XXH3_64bits(ptr, len);
}

void yg_hash_stable128(const void *ptr, size_t len, uint64_t ret_hash[2]) {
    XXH128_hash_t h = XXH3_128bits(ptr, len);
    ret_hash[0] = h.low64;
    ret_hash[1] = h.high64;
}

// Eight bytes a step: table k holds the effect of a byte that k more bytes follow.
uint32_t yg_crc32c_scalar(uint32_t crc, const void *ptr, size_t len) {
    const unsigned char *p = ptr;
    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        word ^= crc;
        crc = crc_table[7][word & 255] ^ crc_table[6][word >> 8 & 255] ^
              crc_table[5][word >> 16 & 255] ^ crc_table[4][word >> 24 & 255] ^
              crc_table[3][word >> 32 & 255] ^ crc_table[2][word >> 40 & 255] ^
              crc_table[1][word >> 48 & 255] ^ crc_table[0][word >> 56];
    }
    for (; len; len--, p++)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 255];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *ptr,
                                                               size_t len) {
    const unsigned char *p = ptr;
    uint64_t c = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
    }
    uint32_t c32 = (uint32_t)c;
    for (; len; len--, p++)
        c32 = _mm_crc32_u8(c32, *p);
    return ~c32;
}
#endif

uint32_t yg_crc32c(uint32_t crc, const void *ptr, size_t len) {
    return crc_best(crc, ptr, len);
}

// Before main, so that no lock and no check is needed later.
__attribute__((constructor)) static void hash_start(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1 ? CRC32C_POLY_REVERSED : 0);
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 255];
    seed = yg_rand_u64();
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2"))
        crc_best = crc32c_sse42;
#endif
}
