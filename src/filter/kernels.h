// SPDX-License-Identifier: Apache-2.0
// Private to filter: comparisons of whole columns, a bit a row. Every function sets whole words of
// `out`, of which bits past `count` are zero.
#ifndef YG_FILTER_KERNELS_H
#define YG_FILTER_KERNELS_H

#include "base/bits.h"

void yg_rows_code(const uint32_t *codes, uint32_t count, uint32_t code, uint64_t *out);
void yg_rows_i64(const int64_t *v, uint32_t count, int64_t lo, int64_t hi, uint64_t *out);
// NaN is in no range.
void yg_rows_f64(const double *v, uint32_t count, double lo, bool lo_open, double hi, bool hi_open,
                 uint64_t *out);
// True for codes whose byte in `outcomes` is 2 (steps.h: struct yg_memo).
void yg_rows_outcome(const uint32_t *codes, uint32_t count, const uint8_t *outcomes, uint64_t *out);

#endif
