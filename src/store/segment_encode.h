// SPDX-License-Identifier: Apache-2.0
// Private to the store room: values of one granule of one column as a chunk, and back.
// docs/formats/segment.md §3.
#ifndef YG_STORE_SEGMENT_ENCODE_H
#define YG_STORE_SEGMENT_ENCODE_H

#include <zstd.h>

#include "store/segment.h"

// How much an encoder may spend: memory segments, first writes of files, the last merge of rows
// (templates of texts).
enum yg_enc_level { YG_ENC_LEVEL_PLAIN, YG_ENC_LEVEL_FILE, YG_ENC_LEVEL_FINAL };

#define YG_ENC_OWN_MAX 64u // texts of other columns that one column may refer to

// Present values of a granule, in row order.
struct yg_enc_input {
    enum yg_type type;
    uint32_t rows;           // of the granule
    uint32_t count;          // ≥ 1
    const uint32_t *at_rows; // ascending, within the granule
    bool coded;
    uint32_t code_max;
    const uint32_t *codes;
    const yg_str *strs;
    const int64_t *i64;
    const double *f64;
    const yg_id128 *ids;
    // Texts of other columns of the same rows (request id, trace id, …) that may stand inside the
    // strings: [count × own_count], value by value; empty = that row has none. NULL: none. Slot s
    // must mean the same column when the chunk is decoded (struct yg_enc_own_source).
    const yg_str *own;
    uint32_t own_count;     // ≤ YG_ENC_OWN_MAX; those that hit most often first
    bool by_shape;          // which rows have a value is said by their shapes
    uint8_t given_encoding; // when not 0: the values are encoded already, as `given`
    yg_str given;
};

// Where a decoder gets the own texts from. texts() gives one text per row of the granule (not per
// value; empty = none) for a slot, in `arena` or longer; it is asked only for slots that the chunk
// uses, at most once each.
struct yg_enc_own_source {
    uint32_t count; // slots there are; 0: a chunk that refers to one is damaged
    yg_rc (*texts)(void *ctx, uint32_t slot, struct yg_arena *arena, const yg_str **ret_texts,
                   struct yg_err *err);
    // Bytes that texts of the slot may hold, as a set of 256 bits.
    yg_rc (*chars)(void *ctx, uint32_t slot, struct yg_arena *arena, uint64_t ret_chars[4],
                   struct yg_err *err);
    void *ctx;
};
// The source for a column of a granule; whatever it needs is made in `arena`.
yg_rc yg_segment_own_source(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                            uint32_t column, struct yg_seg_memo *memo, struct yg_arena *arena,
                            struct yg_enc_own_source *ret_source, struct yg_err *err) YG_MUST_USE;

// Distinct values of a granule in order of first appearance; see enc_part.h.
struct yg_enc_dedupe {
    uint32_t *slots;  // number of the distinct value + 1, by hash
    uint32_t *hashes; // of distinct values
    uint32_t *first;  // value that brought the distinct one
    uint32_t *refs;   // per value: 0 = a new one, k = the one that appeared k distinct values ago
    uint32_t count;
};

struct yg_encoder {
    enum yg_enc_level level;
    ZSTD_CCtx *zstd;   // NULL: plain
    struct yg_buf raw; // what is compressed
    struct yg_buf own; // texts with references
    struct yg_enc_dedupe dedupe;
};

void yg_encoder_init(struct yg_encoder *e, enum yg_enc_level level);
void yg_encoder_fini(struct yg_encoder *e);
// Appends the chunk and fills the entry (offset left to the caller).
yg_rc yg_encode_chunk(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out,
                      struct yg_seg_entry *ret_entry, struct yg_err *err) YG_MUST_USE;
// A chunk of strings without rows: a stripe's dictionary.
yg_rc yg_encode_dict(struct yg_encoder *e, const yg_str *strs, uint32_t count, struct yg_buf *out,
                     struct yg_err *err) YG_MUST_USE;

#endif
