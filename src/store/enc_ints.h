// SPDX-License-Identifier: Apache-2.0
// Private to the store room: streams of integers, of which every other encoding is made (values,
// codes, lengths of strings, parts of ids, mantissas). By byte offset: docs/formats/segment.md §3.
#ifndef YG_STORE_ENC_INTS_H
#define YG_STORE_ENC_INTS_H

#include "codec/varint.h"
#include "store/pack.h"

enum yg_ints_kind {
    YG_INTS_CONST = 0,  // one value for all
    YG_INTS_RAW = 1,    // 8 bytes each
    YG_INTS_FOR = 2,    // blocks
    YG_INTS_DELTA = 3,  // first value, blocks of differences
    YG_INTS_DELTA2 = 4, // first value, first difference, blocks of differences of differences
    YG_INTS_RUNS = 5,   // runs: their values, their lengths
    YG_INTS_DICT = 6,   // distinct values, then codes
    YG_INTS_SCALED = 7, // a common factor, then the quotients
    YG_INTS_KIND_COUNT
};

// Appends n ≥ 1 values in the cheapest kind found. quick: only what costs next to nothing (CONST,
// FOR, RAW), for memory segments.
void yg_ints_put(struct yg_buf *out, const int64_t *v, uint32_t n, bool quick);
// The same for unsigned ones.
void yg_ints_put_u32(struct yg_buf *out, const uint32_t *v, uint32_t n, bool quick);

// Reads n values. YG_PACK_SLACK bytes past the end of c->in must be readable. False when the bytes
// do not hold n values.
bool yg_ints_get(struct yg_cursor *c, int64_t *out, uint32_t n);
// The same where every value must be ≤ max.
bool yg_ints_get_u32(struct yg_cursor *c, uint32_t *out, uint32_t n, uint32_t max);

#endif
