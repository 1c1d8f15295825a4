// SPDX-License-Identifier: Apache-2.0
// Private to the segment writer: values of one granule of one column as a chunk.
#ifndef YG_STORE_SEGMENT_ENCODE_H
#define YG_STORE_SEGMENT_ENCODE_H

#include <zstd.h>

#include "store/segment.h"

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
};

struct yg_encoder {
    ZSTD_CCtx *zstd; // NULL: plain
    struct yg_buf raw;
    int64_t *ints; // scratch of YG_GRANULE_ROWS
    int64_t *deltas;
};

void yg_encoder_init(struct yg_encoder *e, bool plain);
void yg_encoder_fini(struct yg_encoder *e);
// Appends the chunk and fills the entry (offset left to the caller).
yg_rc yg_encode_chunk(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out,
                      struct yg_seg_entry *ret_entry, struct yg_err *err) YG_MUST_USE;
// A chunk of strings without rows: a stripe's dictionary.
yg_rc yg_encode_dict(struct yg_encoder *e, const yg_str *strs, uint32_t count, struct yg_buf *out,
                     struct yg_err *err) YG_MUST_USE;

#endif
