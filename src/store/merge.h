// SPDX-License-Identifier: Apache-2.0
// Private to the store room: rows of several segment files of one day as the source of new stripes.
//
// Every row of the inputs has a number: inputs in the order given, rows as they stand. `place` maps
// it to the row's position in the output, or YG_COLUMN_NONE when the row is dropped. A stripe is a
// window of positions. Columns are decoded one at a time and only in granules that have a row in
// the window.
#ifndef YG_STORE_MERGE_H
#define YG_STORE_MERGE_H

#include "store/columns.h"
#include "store/segment.h"
#include "store/stripe.h"

// Values of one column of a stripe: beyond that a merge makes smaller stripes.
#define YG_MERGE_COLUMN_BYTES (64u << 20)

struct yg_merge_column;
struct yg_merge_shapes;

struct yg_merge_source {
    struct yg_stripe_source stripe; // what the writer reads
    struct yg_segment **inputs;     // borrowed; loaded, and kept so by the caller
    uint32_t input_count;
    uint32_t all_rows; // of all inputs
    uint32_t *place;   // [all_rows]
    uint32_t kept;     // positions given out
    uint32_t first;    // of the window; stripe.row_count rows from there
    struct yg_merge_column *own_columns;
    struct yg_stripe_column *own_names;
    uint8_t *own_active;                // per granule of all inputs: has a row in the window
    struct yg_merge_shapes *own_shapes; // [granule of all inputs]
    uint32_t granule_count;
    bool has_rest;              // an input keeps columns in a stripe's rest
    struct yg_segment *damaged; // whose chunk failed, after ECORRUPT
    bool too_wide;              // a column passed YG_MERGE_COLUMN_BYTES, after ELIMIT
    bool (*pause)(void *ctx);   // asked between columns; true = ECANCEL. May be NULL
    void *pause_ctx;
};

// The inputs must have fewer than 2³² rows together. keep: per input a bit per row, NULL = all.
yg_rc yg_merge_source_init(struct yg_merge_source *m, struct yg_segment **inputs, uint32_t count,
                           uint64_t *const *keep, struct yg_err *err) YG_MUST_USE;
void yg_merge_source_fini(struct yg_merge_source *m);
// Puts the kept rows into the order of a file of the track (columns.h).
yg_rc yg_merge_source_sort(struct yg_merge_source *m, struct yg_err *err) YG_MUST_USE;
// The next stripe is positions [first, first + rows).
void yg_merge_source_window(struct yg_merge_source *m, uint32_t first, uint32_t rows);

#endif
