// SPDX-License-Identifier: Apache-2.0
// Private to the store room: what a stripe is written from. A source gives the rows of one stripe
// in their final order, one column at a time, so that a merge of large files needs the memory of
// its widest column and not of all of them. Flushes (rows in memory) and merges (rows in files) are
// its two makers; the segment writer is its one reader.
#ifndef YG_STORE_STRIPE_H
#define YG_STORE_STRIPE_H

#include "base/arena.h"
#include "base/err.h"
#include "model/track.h"
#include "model/value.h"

struct yg_stripe_column {
    yg_str name; // borrowed from the source
    enum yg_type type;
    uint32_t count;    // rows that have a value
    uint32_t longest;  // strings: bytes of the longest one, or a bound; 0 = not known
    uint32_t distinct; // strings: how many differ, or a guess; 0 = not known
};

// The values of one column, by ascending row. Exactly one of the arrays is set; strings come as
// codes with a dictionary (which may hold values that no row uses) or as they are.
struct yg_stripe_values {
    uint32_t count;
    const uint32_t *rows; // stripe row of value i
    const uint32_t *codes;
    const yg_str *dict;
    uint32_t dict_count;
    const yg_str *strs;
    const int64_t *i64; // I64, BOOL
    const double *f64;
    const yg_id128 *ids;
};

struct yg_stripe_source {
    enum yg_track track;
    uint32_t row_count; // ≤ YG_COLUMNS_ROWS_MAX
    const struct yg_stripe_column *columns;
    uint32_t column_count;
    // Only the rows that have a value, in any order; cheaper than the values. Arrays live in
    // `arena` or longer.
    yg_rc (*rows)(void *ctx, uint32_t column, struct yg_arena *arena, const uint32_t **ret_rows,
                  uint32_t *ret_count, struct yg_err *err);
    // The values; may be asked more than once for a column. Arrays and bytes of strings live in
    // `arena` or longer. ECORRUPT: a chunk of a source file is damaged (names file and offset).
    yg_rc (*values)(void *ctx, uint32_t column, struct yg_arena *arena,
                    struct yg_stripe_values *ret_values, struct yg_err *err);
    void *ctx;
};

#endif
