// SPDX-License-Identifier: Apache-2.0
// Hashes: XXH3 for tables (seeded per process), CRC-32C for frames and chunks.
#ifndef YG_BASE_HASH_H
#define YG_BASE_HASH_H

#include "base/str.h"

uint64_t yg_hash(const void *ptr, size_t len);        // seeded: never store the result
uint64_t yg_hash_stable(const void *ptr, size_t len); // the same in every process
void yg_hash_stable128(const void *ptr, size_t len, uint64_t ret_hash[2]);
uint32_t yg_crc32c(uint32_t crc, const void *ptr, size_t len); // start with 0
// The same without processor support: the fallback, and the oracle in tests.
uint32_t yg_crc32c_scalar(uint32_t crc, const void *ptr, size_t len);
static inline uint64_t yg_hash_u64(uint64_t x) { // mixes an integer, unseeded
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}
static inline uint64_t yg_hash_str(yg_str s) {
    return yg_hash(s.ptr, s.len);
}

#endif
