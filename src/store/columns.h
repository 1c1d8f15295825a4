// SPDX-License-Identifier: Apache-2.0
// Private to the store room: rows in columns, gathered from batches or segments, ready to be
// encoded.
//
// Filling has three steps, so that every array is allocated once at its final size: want() for each
// source column, alloc(), then add_*() for each source in the order in which rows are to stand.
// Strings and names are borrowed from the sources: a set lives shorter than they do.
#ifndef YG_STORE_COLUMNS_H
#define YG_STORE_COLUMNS_H

#include "base/arena.h"
#include "model/batch.h"
#include "store/stripe.h"

#define YG_COLUMN_NONE UINT32_MAX
#define YG_COLUMNS_ROWS_MAX 524288u // rows of one set = rows of one stripe

struct yg_column {
    yg_str name;
    enum yg_type type;
    uint32_t count; // present values; value k belongs to row rows[k], rows ascend
    uint32_t cap;   // wanted
    uint32_t *rows;
    bool interned; // STR, JSON: codes into dict, else strs
    uint32_t *codes;
    yg_str *dict;
    uint32_t *dict_hash;
    uint32_t dict_count;
    uint32_t dict_cap;
    uint32_t *slots; // dict index + 1; 0 = free
    uint32_t slot_cap;
    yg_str *strs;
    int64_t *i64; // I64, BOOL
    double *f64;
    yg_id128 *ids;
    uint32_t same_name; // next column of this name, or YG_COLUMN_NONE
};

struct yg_columns {
    struct yg_arena *arena;
    enum yg_track track;
    uint32_t row_count;
    struct yg_column *cols;
    uint32_t col_count;
    uint32_t col_cap;
    struct yg_map index; // name → first column
};

// NULL when the room has no memory.
struct yg_columns *yg_columns_create(enum yg_track track, enum yg_mem_tag tag, size_t limit_bytes);
void yg_columns_destroy(struct yg_columns *cs);
// Finds or makes the column and asks for room for `more` values.
yg_rc yg_columns_want(struct yg_columns *cs, yg_str name, enum yg_type type, uint32_t more,
                      uint32_t *ret_col, struct yg_err *err) YG_MUST_USE;
yg_rc yg_columns_alloc(struct yg_columns *cs, struct yg_err *err) YG_MUST_USE;
const struct yg_column *yg_columns_find(const struct yg_columns *cs, yg_str name,
                                        enum yg_type type);

// Appends n values of a source column. sel: which of the source's values (NULL: the first n);
// rows: their row numbers in this set, ascending.
struct yg_column_source {
    enum yg_type type;
    const uint32_t *codes; // with dict; else strs
    const yg_str *dict;
    uint32_t dict_count;
    const yg_str *strs;
    const int64_t *i64;
    const double *f64;
    const yg_id128 *ids;
};
yg_rc yg_column_add(struct yg_columns *cs, uint32_t col, const struct yg_column_source *src,
                    const uint32_t *sel, const uint32_t *rows, uint32_t n,
                    struct yg_err *err) YG_MUST_USE;
// One value of a row (rows ascend from call to call).
void yg_column_add_i64(struct yg_columns *cs, uint32_t col, uint32_t row, int64_t v);

static inline yg_str yg_column_str(const struct yg_column *c, uint32_t k) {
    return c->interned ? c->dict[c->codes[k]] : c->strs[k];
}

// A part of a batch that goes into a set: all rows, or those whose `remap` is not YG_COLUMN_NONE
// (then it is the row's number within the part).
struct yg_columns_part {
    struct yg_batch *batch;
    const uint32_t *remap;
    uint32_t row_count;
};
// A new set from parts, with `_seq` added and `timestamp` filled where a row has none.
yg_rc yg_columns_of_parts(enum yg_track track, const struct yg_columns_part *parts,
                          uint32_t part_count, struct yg_columns **ret_cs,
                          struct yg_err *err) YG_MUST_USE;
// The two halves of the same, for joining with segments: wants first, then adds from base_row on.
// *ret_map: per part and batch column the set's column.
yg_rc yg_columns_want_parts(struct yg_columns *cs, const struct yg_columns_part *parts,
                            uint32_t part_count, uint32_t ***ret_map,
                            struct yg_err *err) YG_MUST_USE;
yg_rc yg_columns_add_parts(struct yg_columns *cs, const struct yg_columns_part *parts,
                           uint32_t part_count, uint32_t **map, struct yg_err *err) YG_MUST_USE;

// Order for a file: rows of one UTC day stand together, days ascend; within a day logs and events
// by (service, host, time), spans trace by trace (by first start) then by start, others by time.
// *ret_order: old row numbers in new order, in the set's arena. *ret_days: day of each run.
struct yg_columns_run {
    int32_t day;
    uint32_t first; // in order
    uint32_t count;
};
yg_rc yg_columns_sort(struct yg_columns *cs, uint32_t **ret_order, struct yg_columns_run **ret_runs,
                      uint32_t *ret_run_count, struct yg_err *err) YG_MUST_USE;

// The rows order[0 … count) of a set (NULL: all rows as they stand) as the source of a stripe.
// Borrow: set and order.
struct yg_columns_source {
    struct yg_stripe_source stripe; // what the writer is given
    const struct yg_columns *cs;
    const uint32_t *order;
    uint32_t *new_row;    // set row → stripe row, or YG_COLUMN_NONE; NULL without an order
    uint32_t *value_of;   // scratch: set row → value of the column at hand
    uint32_t *identity;   // 0, 1, 2 …
    const uint32_t *cols; // stripe column → set column
    struct yg_arena *arena;
};
yg_rc yg_columns_source_init(struct yg_columns_source *s, const struct yg_columns *cs,
                             const uint32_t *order, uint32_t count, struct yg_err *err) YG_MUST_USE;
void yg_columns_source_fini(struct yg_columns_source *s);

// Does the order depend on that column?
bool yg_columns_sort_key(enum yg_track track, yg_str name, enum yg_type type);

int32_t yg_day_of_ns(int64_t ns); // days since 1970, floor

#endif
