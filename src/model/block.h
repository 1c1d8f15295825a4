// SPDX-License-Identifier: Apache-2.0
// A granule of rows as filters and aggregations see it: columns are decoded when first asked for.
#ifndef YG_MODEL_BLOCK_H
#define YG_MODEL_BLOCK_H

#include "base/arena.h"
#include "base/bits.h"
#include "model/track.h"
#include "model/value.h"

#define YG_GRANULE_ROWS 8192u

// Distinct strings of a column in a stripe. `uid` is unique in the process, so that whoever
// evaluated a predicate on the dictionary once can keep the outcome for all granules of the stripe.
struct yg_dict {
    uint64_t uid;
    uint32_t count;
    const yg_str *strs;
};

// One decoded column of a block. Arrays are indexed by row (row_count long); rows without a value
// hold 0 / "".
struct yg_vec {
    enum yg_type type;
    bool constant;              // every row has the same value, as is known without looking
    const uint64_t *present;    // bit per row; NULL = every row has a value
    const struct yg_dict *dict; // STR, JSON: when set, `codes` holds the values, else `strs`
    const uint32_t *codes;
    const yg_str *strs;
    const int64_t *i64; // I64, BOOL
    const double *f64;
    const yg_id128 *ids;
};

// Statistics of a column in this block that cost no decoding. Valid flags say what is known.
struct yg_vec_stats {
    bool known;     // the rest means something
    uint32_t count; // present values
    bool has_range; // I64 (incl. BOOL), F64: min/max as below
    int64_t min_i64, max_i64;
    double min_f64, max_f64;
};

// What a search of texts wants, so that texts which cannot hold it need not be put together.
struct yg_text_probe {
    const char *bytes; // every text that matches holds them; ASCII letters in lower case if nocase
    size_t len;        // > 0
    bool nocase;
    bool odd; // or it holds a byte beyond ASCII
    // First place of the bytes at or after `from`; SIZE_MAX: none.
    size_t (*find)(const void *ctx, yg_str text, size_t from);
    const void *ctx;
};

struct yg_block;
struct yg_block_ops {
    // All typed columns of that name: up to YG_TYPE_COUNT vecs (borrowed from the block). 0 =
    // absent in this block. Decodes on first use. ECORRUPT names file, column, offset; ENOMEM.
    yg_rc (*columns)(struct yg_block *b, yg_str name, const struct yg_vec *ret_vecs[YG_TYPE_COUNT],
                     uint32_t *ret_count, struct yg_err *err);
    // Statistics of one typed column without decoding; ret_stats->known = false when there are
    // none. An absent column: known, count 0.
    void (*stats)(struct yg_block *b, yg_str name, enum yg_type type,
                  struct yg_vec_stats *ret_stats);
    // Name and type of column idx; false past the last. Same order within a segment.
    bool (*column_at)(struct yg_block *b, uint32_t idx, yg_str *ret_name, enum yg_type *ret_type);
    // As `columns`, but a row whose text cannot match the probe may hold "" instead. NULL: there is
    // no faster way.
    yg_rc (*columns_probed)(struct yg_block *b, yg_str name, const struct yg_text_probe *probe,
                            const struct yg_vec *ret_vecs[YG_TYPE_COUNT], uint32_t *ret_count,
                            struct yg_err *err);
};

struct yg_block {
    const struct yg_block_ops *ops;
    enum yg_track track;
    uint32_t row_count; // ≤ YG_GRANULE_ROWS
    const uint64_t
        *live; // rows that may be shown; NULL = all (superseded versions of a trace are not live)
    int64_t min_time_ns; // of YG_COL_TIME in this block
    int64_t max_time_ns;
    uint64_t segment_id;
    uint32_t granule;
    struct yg_arena
        *arena; // where decoded columns live: reset it (and drop the block) between granules
};

// True when column `v` has a value in row r.
static inline bool yg_vec_has(const struct yg_vec *v, uint32_t r) {
    return v->present == NULL || yg_bits_get(v->present, r);
}
static inline yg_str yg_vec_str(const struct yg_vec *v, uint32_t r) {
    return v->dict ? v->dict->strs[v->codes[r]] : v->strs[r];
}
// The value of row r; false when it has none.
bool yg_vec_value(const struct yg_vec *v, uint32_t r, struct yg_value *ret_value);

// A block over a batch (before it is stored): the pipeline's filters use it. Borrow: lives in
// arena, dies with b.
struct yg_batch;
yg_rc yg_block_of_batch(struct yg_batch *b, struct yg_arena *arena, struct yg_block **ret_block,
                        struct yg_err *err) YG_MUST_USE;

#endif
