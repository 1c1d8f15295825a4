// SPDX-License-Identifier: Apache-2.0
// Private to the segment writer's files: what it has written so far, and the stripe at hand.
#ifndef YG_STORE_SEGMENT_WRITER_H
#define YG_STORE_SEGMENT_WRITER_H

#include "store/key_index.h"
#include "store/segment_encode.h"

struct w_column { // of the whole segment, in order of appearance
    yg_str name;  // own copy
    enum yg_type type;
    uint32_t same_name;
};

struct w_record { // a column in a stripe; head.column and head.parent are the writer's numbers
    struct yg_seg_record_entry head;
    struct yg_seg_entry *entries;
    uint16_t *granules;
    uint32_t entry_cap;
    uint32_t granule_cap;
};

struct w_stripe {
    uint32_t row_count;
    uint32_t granule_count;
    struct yg_seg_granule_entry *granules;
    struct yg_seg_own_entry own[YG_SEG_OWN_MAX]; // the writer's numbers of columns
    uint32_t own_count;
    struct w_record *records;
    uint32_t record_count;
    uint32_t record_cap;
};

struct yg_seg_writer {
    struct yg_seg_writer_options options;
    struct yg_arena *arena; // all that the directory needs
    struct yg_encoder enc;
    struct yg_buf out;
    uint64_t flushed; // bytes of `out` that went to the file before
    struct w_column *columns;
    uint32_t column_count;
    uint32_t column_cap;
    struct yg_map index;
    struct w_stripe *stripes;
    uint32_t stripe_count;
    uint32_t stripe_cap;
    struct yg_key_builder *keys; // files
    uint64_t *id_hashes;         // memory segments: distinct neighbours of trace ids, low halves
    uint32_t id_count;
    uint32_t id_cap;
    struct yg_seg_summary sum;
};

yg_rc yg_seg_writer_no_memory(struct yg_err *err);
// A buffer that could not grow says ELIMIT; its limit is far above any segment, so it was memory.
yg_rc yg_seg_writer_memory_not_limit(yg_rc rc, struct yg_err *err);
uint64_t yg_seg_writer_position(const struct yg_seg_writer *w);
// Writes the buffer to the file when it is longer than `above`.
yg_rc yg_seg_writer_flush(struct yg_seg_writer *w, size_t above, struct yg_err *err) YG_MUST_USE;
#define YG_SEG_WRITER_BUFFER_BYTES (4u << 20) // what may wait in the buffer between chunks
// The column's number in the writer.
yg_rc yg_seg_writer_column(struct yg_seg_writer *w, yg_str name, enum yg_type type,
                           uint32_t *ret_col, struct yg_err *err) YG_MUST_USE;
// A new stripe of so many granules (rows filled in by the caller), and a column of it.
yg_rc yg_seg_writer_begin_stripe(struct yg_seg_writer *w, uint32_t granule_count,
                                 struct w_stripe **ret_stripe, struct yg_err *err) YG_MUST_USE;
yg_rc yg_seg_writer_record(struct yg_seg_writer *w, struct w_stripe *st, uint32_t column,
                           struct w_record **ret_record, struct yg_err *err) YG_MUST_USE;
// The record's next chunk: it stands in the buffer from `e->offset` on.
yg_rc yg_seg_writer_entry(struct yg_seg_writer *w, struct w_record *rec, uint32_t granule,
                          const struct yg_seg_entry *e, struct yg_err *err) YG_MUST_USE;
// The stripe counts from now on: rows, granules, times, keys.
yg_rc yg_seg_writer_end_stripe(struct yg_seg_writer *w, struct w_stripe *st,
                               struct yg_err *err) YG_MUST_USE;

// ------------------------------------------------------------ the stripe at hand

// A column's values in the form in which they are written.
struct w_view {
    const struct yg_stripe_column *col;
    struct yg_stripe_values v; // codes: the stripe's, by first use; only codes or strs are set
    bool coded;
};

// One code a row that says which columns the row has (segment_shape.c).
struct w_shapes {
    bool on;
    uint32_t *codes; // [row]
    uint32_t count;
    uint32_t *rows; // [shape]: rows of it
    uint32_t *seen; // [shape]: scratch
    uint8_t *bits;  // [shape × stride]
    uint32_t stride;
    uint32_t bit_count;
    uint32_t sparse_below; // columns with fewer values are not in it
};

// A column whose codes decide those of others (segment_follow.c).
struct w_parent {
    uint32_t number;
    uint32_t dict_count;
    uint32_t *codes; // [row], YG_COLUMN_NONE where it has no value
};
#define W_PARENTS_MAX 12u

// A column whose texts may stand inside those of others (segment_own.c).
struct w_own {
    uint32_t column; // of the source
    uint32_t number;
    uint32_t form; // YG_OWN_*
    uint32_t hits;
    yg_str *texts; // [row]; empty = none; once the slots are settled
};
#define W_OWN_CANDIDATES 32u

struct w_work {
    struct yg_seg_writer *w;
    const struct yg_stripe_source *src;
    struct w_stripe *stripe;
    struct yg_arena *arena;  // for the whole stripe
    struct yg_arena *column; // for the column at hand
    uint32_t *cuts;          // granule g has rows [cuts[g], cuts[g + 1])
    uint32_t granule_count;
    bool *in_rest;        // [source column]; NULL: none is
    const uint32_t *rest; // those, by name and type
    uint32_t rest_count;
    struct w_shapes shapes;
    struct w_parent parents[W_PARENTS_MAX];
    uint32_t parent_count;
    struct w_own own[W_OWN_CANDIDATES];
    uint32_t own_count;
    bool own_fixed;                    // the stripe's slots are settled
    yg_str *own_flat;                  // scratch: texts value by value
    uint32_t span_number;              // the column of span ids
    const int64_t *spans;              // [row] span id, 0 = none
    struct yg_buf given;               // scratch: a chunk's values
    uint32_t at_rows[YG_GRANULE_ROWS]; // scratch
    yg_str texts[YG_GRANULE_ROWS];     // scratch
};

// What one column leans on, decided before its granules are written.
struct w_lean {
    bool by_shape;
    const struct w_parent *parent; // FOLLOW
    const uint32_t *map;           // [parent's code] own code + 1
    bool rows;                     // PARENT_ROW
    bool own;
};

// Which columns go into the rest (segment_rest.h); and the rest itself.
yg_rc yg_seg_rest_choose(struct w_work *sw, struct yg_err *err) YG_MUST_USE;
yg_rc yg_seg_rest_write(struct w_work *sw, struct yg_err *err) YG_MUST_USE;

// Shapes: from the source's rows; then column by column; at last the shapes themselves.
yg_rc yg_seg_shapes_build(struct w_work *sw, struct yg_err *err) YG_MUST_USE;
// True when the shapes say exactly which rows have the column; sets the record's bit.
bool yg_seg_shapes_take(struct w_work *sw, const struct w_view *view, struct w_record *rec);
yg_rc yg_seg_shapes_write(struct w_work *sw, struct yg_err *err) YG_MUST_USE;

// Following values: finds a parent and its map (written at once), or keeps the column as a parent.
yg_rc yg_seg_follow_find(struct w_work *sw, const struct w_view *view, struct w_record *rec,
                         struct w_lean *lean, struct yg_err *err) YG_MUST_USE;
yg_rc yg_seg_follow_keep(struct w_work *sw, const struct w_view *view, uint32_t number,
                         struct yg_err *err) YG_MUST_USE;
// The granule's codes as exceptions from the map into sw->given; false: too many.
bool yg_seg_follow_granule(struct w_work *sw, const struct w_lean *lean, const uint32_t *rows,
                           const uint32_t *codes, uint32_t count);
// Parent rows: keeps the span ids; a granule of parent ids into sw->given.
yg_rc yg_seg_rows_keep(struct w_work *sw, const struct w_view *view, uint32_t number,
                       struct yg_err *err) YG_MUST_USE;
bool yg_seg_rows_granule(struct w_work *sw, const uint32_t *rows, const int64_t *values,
                         uint32_t count, uint32_t granule);

// Own texts: notes a column that may stand in others; asks whether a column's texts hold any; fills
// in what a granule's texts may refer to.
void yg_seg_own_note(struct w_work *sw, uint32_t column, const struct w_view *view,
                     uint32_t number);
yg_rc yg_seg_own_wanted(struct w_work *sw, const struct w_view *view, bool *ret_wanted,
                        struct yg_err *err) YG_MUST_USE;
void yg_seg_own_granule(struct w_work *sw, const uint32_t *rows, struct yg_enc_input *in);

#endif
