// SPDX-License-Identifier: Apache-2.0
// Private to the store room: values of equal width, packed least significant bit first. What stands
// above them (blocks, kinds of streams): enc_ints.h.
#ifndef YG_STORE_PACK_H
#define YG_STORE_PACK_H

#include "base/buf.h"

#define YG_PACK_BLOCK 128u
#define YG_PACK_SLACK 16u // bytes that may be read (not used) past the end of packed data

static inline uint32_t yg_width_of(uint64_t range) { // bits that hold it
    return range ? 64u - (uint32_t)__builtin_clzll(range) : 0;
}
static inline size_t yg_packed_bytes(uint32_t n, uint32_t width) {
    return ((size_t)n * width + 7) / 8;
}

// Writes yg_packed_bytes(n, width) bytes at p, values cut to their low `width` ≤ 64 bits.
void yg_pack_bits(char *p, const uint64_t *v, uint32_t n, uint32_t width);
// Reads them back: width ≤ 64, or ≤ 32 for the narrow one. YG_PACK_SLACK bytes past the packed ones
// must be readable. Whether the bytes are there is the caller's to check.
void yg_unpack_bits(const char *p, uint64_t *out, uint32_t n, uint32_t width);
void yg_unpack_bits32(const char *p, uint32_t *out, uint32_t n, uint32_t width);
// The same without the processor's wide registers: what a plain machine runs, and the oracle of
// tests.
void yg_unpack_bits_plain(const char *p, uint64_t *out, uint32_t n, uint32_t width);
void yg_unpack_bits32_plain(const char *p, uint32_t *out, uint32_t n, uint32_t width);

// ------------------------------------------------------------ format version 1, reading only
// A packed run of n values: for each block of ≤ 128 values: base i64 · width u8 (0–64) ·
// ceil(width × values / 8) bytes of v − base.

// Reads n values from in[*at…]; YG_PACK_SLACK bytes past the end of `in` must be readable. False
// when the bytes do not hold n values.
bool yg_unpack_i64(yg_str in, size_t *at, int64_t *out, uint32_t n);
// Codes of one width, no base: width u8 · bits.
bool yg_unpack_u32(yg_str in, size_t *at, uint32_t *out, uint32_t n);

#endif
