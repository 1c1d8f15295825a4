// SPDX-License-Identifier: Apache-2.0
// Rows on their way from a decoder to the WAL: columns of present values, strings interned per
// column.
//
// A decoder makes one batch per request body, opens a row, sets values, closes the row. A value set
// twice in a row: the later one wins. Rows come out in the order in which they were opened. A batch
// belongs to one thread at a time.
#ifndef YG_MODEL_BATCH_H
#define YG_MODEL_BATCH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "model/track.h"
#include "model/value.h"

#define YG_BATCH_ROWS_MAX (1u << 20) // rows per batch (they number 20 bits in _seq)
#define YG_BATCH_COLUMNS_MAX 4000u   // more distinct attribute paths in one body: ELIMIT
#define YG_BATCH_COLUMNS_KEPT 64u    // of them for columns without '@': attributes never take these

// One column: value k belongs to row rows[k]; rows ascend.
struct yg_batch_col {
    yg_str name;
    enum yg_type type;
    uint32_t count;
    uint32_t cap;
    uint32_t *rows;
    // STR and JSON: codes into dict while `interned`; `strs` otherwise (many distinct values).
    bool interned;
    uint32_t *codes;
    yg_str *dict;
    uint32_t dict_count;
    uint32_t dict_cap;
    yg_str *strs;
    int64_t *i64; // I64, BOOL
    double *f64;
    yg_id128 *ids;
    // private: interning table, and the next column of the same name (index + 1, 0 = none)
    uint32_t *own_slots;
    uint32_t own_slot_cap;
    uint32_t own_value_cap; // of codes or strs
    uint32_t own_next_same;
};

struct yg_batch {
    enum yg_track track;
    struct yg_arena *arena; // owns columns and whatever was not borrowed from bodies
    uint32_t row_count;
    struct yg_batch_col *cols;
    uint32_t col_count;
    uint32_t col_cap;
    struct yg_map own_index;
    struct yg_buf own_bodies[2]; // bytes that values borrow from
    uint32_t own_body_count;
    uint64_t body_bytes; // size of the decoded body, for accounting
    yg_str digest;       // 16 bytes: hash of (key, path, body), or empty; see the WAL's resend rule
    int64_t received_ns;
    uint64_t sequence; // set by the store's append
};

// limit_bytes bounds the arena. NULL when the room (intake, or the one named) has no memory.
struct yg_batch *yg_batch_create(enum yg_track track, size_t limit_bytes);
struct yg_batch *yg_batch_create_for(enum yg_mem_tag tag, enum yg_track track, size_t limit_bytes);
void yg_batch_destroy(struct yg_batch *b);
// The batch takes the body's memory, so that values may borrow from it.
void yg_batch_keep_body(struct yg_batch *b, struct yg_buf *take_body);

// Opens the next row and returns its number. ELIMIT, ENOMEM.
yg_rc yg_batch_row(struct yg_batch *b, uint32_t *ret_row, struct yg_err *err) YG_MUST_USE;
// Forgets the row opened last (a bad element of a body whose rest is kept).
void yg_batch_row_drop(struct yg_batch *b);

// Finds or makes a column. Index, stable for the batch's life. name is copied when new.
yg_rc yg_batch_col(struct yg_batch *b, yg_str name, enum yg_type type, uint32_t *ret_col,
                   struct yg_err *err) YG_MUST_USE;
// Sets the open row's value in a column; strings are borrowed (arena or kept body keeps them).
yg_rc yg_batch_put_str(struct yg_batch *b, uint32_t col, yg_str v,
                       struct yg_err *err) YG_MUST_USE; // STR, JSON
// The same for a value that an earlier call put into this column: *code remembers where it stands
// (UINT32_MAX: not known), so that it is neither compared nor hashed again.
yg_rc yg_batch_put_again(struct yg_batch *b, uint32_t col, yg_str v, uint32_t *code,
                         struct yg_err *err) YG_MUST_USE;
yg_rc yg_batch_put_i64(struct yg_batch *b, uint32_t col, int64_t v,
                       struct yg_err *err) YG_MUST_USE; // I64, BOOL
yg_rc yg_batch_put_f64(struct yg_batch *b, uint32_t col, double v, struct yg_err *err) YG_MUST_USE;
yg_rc yg_batch_put_id(struct yg_batch *b, uint32_t col, yg_id128 v, struct yg_err *err) YG_MUST_USE;
// The same by name.
yg_rc yg_batch_set_str(struct yg_batch *b, yg_str name, yg_str v, struct yg_err *err) YG_MUST_USE;
yg_rc yg_batch_set_json(struct yg_batch *b, yg_str name, yg_str json,
                        struct yg_err *err) YG_MUST_USE;
yg_rc yg_batch_set_i64(struct yg_batch *b, yg_str name, int64_t v, struct yg_err *err) YG_MUST_USE;
yg_rc yg_batch_set_f64(struct yg_batch *b, yg_str name, double v, struct yg_err *err) YG_MUST_USE;
yg_rc yg_batch_set_bool(struct yg_batch *b, yg_str name, bool v, struct yg_err *err) YG_MUST_USE;
yg_rc yg_batch_set_id(struct yg_batch *b, yg_str name, yg_id128 v, struct yg_err *err) YG_MUST_USE;

// Column by name and type, or NULL.
struct yg_batch_col *yg_batch_find(const struct yg_batch *b, yg_str name, enum yg_type type);
// The string of value k of a STR or JSON column.
static inline yg_str yg_batch_col_str(const struct yg_batch_col *c, uint32_t k) {
    return c->interned ? c->dict[c->codes[k]] : c->strs[k];
}
// Value of `row` in a column (binary search); false when the row has none.
bool yg_batch_col_value(const struct yg_batch_col *c, uint32_t row, struct yg_value *ret_value);

// Removes the rows whose bit in `drop` is set (row numbers close up).
yg_rc yg_batch_remove(struct yg_batch *b, const uint64_t *drop, struct yg_err *err) YG_MUST_USE;

// WAL payload: column form with dictionaries, by byte offset in docs/formats/wal.md. Decode gives a
// batch to read: its strings borrow from `in`, which yg_batch_keep_body may hand over to it.
// ECORRUPT, ENOMEM.
yg_rc yg_batch_encode(const struct yg_batch *b, struct yg_buf *out, struct yg_err *err) YG_MUST_USE;
yg_rc yg_batch_decode(yg_str in, enum yg_mem_tag tag, size_t limit_bytes,
                      struct yg_batch **ret_batch, struct yg_err *err) YG_MUST_USE;

#endif
