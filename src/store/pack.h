// SPDX-License-Identifier: Apache-2.0
// Private to the store room: integers as bit-packed blocks of 128.
//
// A packed run of n values: for each block of ≤ 128 values: base i64 · width u8 (0–64) ·
// ceil(width × values / 8) bytes, values (v − base) least significant bit first.
#ifndef YG_STORE_PACK_H
#define YG_STORE_PACK_H

#include "base/buf.h"

#define YG_PACK_BLOCK 128u
#define YG_PACK_SLACK 16u // bytes that may be read (not used) past the end of packed data

// Bytes that yg_pack_i64 would write.
size_t yg_pack_i64_size(const int64_t *v, uint32_t n);
void yg_pack_i64(struct yg_buf *out, const int64_t *v, uint32_t n);
// Reads n values from in[*at…]; YG_SLACK bytes past the end of `in` must be readable. False when
// the bytes do not hold n values.
bool yg_unpack_i64(yg_str in, size_t *at, int64_t *out, uint32_t n);

// Codes of one width, no base: width u8 · bits.
size_t yg_pack_u32_size(uint32_t n, uint32_t max);
void yg_pack_u32(struct yg_buf *out, const uint32_t *v, uint32_t n, uint32_t max);
bool yg_unpack_u32(yg_str in, size_t *at, uint32_t *out, uint32_t n);

#endif
