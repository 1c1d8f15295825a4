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

struct w_work {
    struct yg_seg_writer *w;
    const struct yg_stripe_source *src;
    struct w_stripe *stripe;
    struct yg_arena *arena;  // for the whole stripe
    struct yg_arena *column; // for the column at hand
    uint32_t *cuts;          // granule g has rows [cuts[g], cuts[g + 1])
    uint32_t granule_count;
    uint32_t at_rows[YG_GRANULE_ROWS]; // scratch
    yg_str texts[YG_GRANULE_ROWS];     // scratch
};

#endif
