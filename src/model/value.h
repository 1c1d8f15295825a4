// SPDX-License-Identifier: Apache-2.0
// Types that a column can hold, and one value of any of them.
#ifndef YG_MODEL_VALUE_H
#define YG_MODEL_VALUE_H

#include "base/str.h"

typedef struct yg_id128 {
    uint64_t hi;
    uint64_t lo;
} yg_id128;

// On disk: the numbers are part of the segment format.
enum yg_type {
    YG_T_STR = 0,
    YG_T_I64 = 1,
    YG_T_F64 = 2,
    YG_T_BOOL = 3, // stored as i64 0/1
    YG_T_ID = 4,   // 128 bits: trace ids
    YG_T_JSON =
        5, // arrays (and empty objects) of attributes, as JSON text; searched element by element
    YG_TYPE_COUNT
};

struct yg_value {
    enum yg_type type;
    union {
        yg_str str;  // STR, JSON
        int64_t i64; // I64, BOOL
        double f64;
        yg_id128 id;
    };
};

static inline bool yg_id128_eq(yg_id128 a, yg_id128 b) {
    return a.hi == b.hi && a.lo == b.lo;
}
static inline bool yg_id128_is_zero(yg_id128 a) {
    return (a.hi | a.lo) == 0;
}

// Reads a trace id as people and clients write it: 32 hex digits, 16 hex digits (low half), or
// decimal (low half). A run of only decimal digits is decimal when it has ≤ 20 digits and fits 64
// bits, unless it has exactly 16 or 32 digits, which is hex when `hex_first`. False when it is none
// of them.
bool yg_id128_parse(yg_str s, bool hex_first, yg_id128 *ret_id);
void yg_id128_hex(yg_id128 id, char out[33]); // 32 lower-case hex digits + NUL

#endif
