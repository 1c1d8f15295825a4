// SPDX-License-Identifier: Apache-2.0
// Values out of decoded columns, and a block over a batch that is not stored yet.
#include "model/block.h"

#include "model/batch.h"

bool yg_vec_value(const struct yg_vec *v, uint32_t r, struct yg_value *ret_value) {
    if (!yg_vec_has(v, r))
        return false;
    *ret_value = (struct yg_value){.type = v->type};
    switch (v->type) {
    case YG_T_STR:
    case YG_T_JSON:
        ret_value->str = yg_vec_str(v, r);
        return true;
    case YG_T_I64:
    case YG_T_BOOL:
        ret_value->i64 = v->i64[r];
        return true;
    case YG_T_F64:
        ret_value->f64 = v->f64[r];
        return true;
    case YG_T_ID:
        ret_value->id = v->ids[r];
        return true;
    case YG_TYPE_COUNT:
        break;
    }
    return false;
}

// ------------------------------------------------------------ block over a batch

struct batch_block {
    struct yg_block block; // first: the ops get it
    const struct yg_batch *batch;
    struct yg_vec **vecs; // per column, made on first use
};

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "block memory is used up");
}

static yg_rc fill_text(struct batch_block *bb, const struct yg_batch_col *c, struct yg_vec *v,
                       struct yg_err *err) {
    yg_str *strs = YG_NEW_N(bb->block.arena, yg_str, bb->block.row_count);
    if (strs == NULL)
        return no_memory(err);
    for (uint32_t k = 0; k < c->count; k++)
        strs[c->rows[k]] = yg_batch_col_str(c, k);
    v->strs = strs;
    return YG_OK;
}

static yg_rc fill_numbers(struct batch_block *bb, const struct yg_batch_col *c, struct yg_vec *v,
                          struct yg_err *err) {
    size_t bytes_each = c->type == YG_T_ID ? sizeof(yg_id128) : 8;
    char *out = yg_arena_calloc(bb->block.arena, bb->block.row_count, bytes_each);
    if (out == NULL)
        return no_memory(err);
    const char *in = c->type == YG_T_ID    ? (const char *)c->ids
                     : c->type == YG_T_F64 ? (const char *)c->f64
                                           : (const char *)c->i64;
    for (uint32_t k = 0; k < c->count; k++)
        memcpy(out + c->rows[k] * bytes_each, in + k * bytes_each, bytes_each);
    v->i64 =
        c->type == YG_T_I64 || c->type == YG_T_BOOL ? (const int64_t *)(const void *)out : NULL;
    v->f64 = c->type == YG_T_F64 ? (const double *)(const void *)out : NULL;
    v->ids = c->type == YG_T_ID ? (const yg_id128 *)(const void *)out : NULL;
    return YG_OK;
}

static yg_rc make_vec(struct batch_block *bb, uint32_t idx, struct yg_err *err) {
    const struct yg_batch_col *c = &bb->batch->cols[idx];
    uint32_t n = bb->block.row_count;
    struct yg_vec *v = YG_NEW(bb->block.arena, struct yg_vec);
    if (v == NULL)
        return no_memory(err);
    v->type = c->type;
    if (c->count < n) {
        uint64_t *present = YG_NEW_N(bb->block.arena, uint64_t, YG_BITS_WORDS(n));
        if (present == NULL)
            return no_memory(err);
        for (uint32_t k = 0; k < c->count; k++)
            yg_bits_set(present, c->rows[k]);
        v->present = present;
    }
    if (c->type == YG_T_STR || c->type == YG_T_JSON)
        YG_TRY(fill_text(bb, c, v, err));
    else
        YG_TRY(fill_numbers(bb, c, v, err));
    bb->vecs[idx] = v;
    return YG_OK;
}

static yg_rc batch_columns(struct yg_block *b, yg_str name,
                           const struct yg_vec *ret_vecs[YG_TYPE_COUNT], uint32_t *ret_count,
                           struct yg_err *err) {
    struct batch_block *bb = (struct batch_block *)b;
    *ret_count = 0;
    for (unsigned type = 0; type < YG_TYPE_COUNT; type++) {
        const struct yg_batch_col *c = yg_batch_find(bb->batch, name, (enum yg_type)type);
        if (c == NULL || c->count == 0)
            continue;
        uint32_t idx = (uint32_t)(c - bb->batch->cols);
        if (bb->vecs[idx] == NULL)
            YG_TRY(make_vec(bb, idx, err));
        ret_vecs[(*ret_count)++] = bb->vecs[idx];
    }
    return YG_OK;
}

static void batch_stats(struct yg_block *b, yg_str name, enum yg_type type,
                        struct yg_vec_stats *ret_stats) {
    const struct batch_block *bb = (const struct batch_block *)b;
    const struct yg_batch_col *c = yg_batch_find(bb->batch, name, type);
    *ret_stats = (struct yg_vec_stats){.known = true, .count = c ? c->count : 0};
}

static bool batch_column_at(struct yg_block *b, uint32_t idx, yg_str *ret_name,
                            enum yg_type *ret_type) {
    const struct batch_block *bb = (const struct batch_block *)b;
    if (idx >= bb->batch->col_count)
        return false;
    *ret_name = bb->batch->cols[idx].name;
    *ret_type = bb->batch->cols[idx].type;
    return true;
}

static const struct yg_block_ops batch_ops = {batch_columns, batch_stats, batch_column_at, NULL};

yg_rc yg_block_of_batch(struct yg_batch *b, struct yg_arena *arena, struct yg_block **ret_block,
                        struct yg_err *err) {
    if (b->row_count > YG_GRANULE_ROWS)
        return yg_fail(err, YG_ELIMIT, "a block holds at most %u rows, the batch has %u",
                       YG_GRANULE_ROWS, b->row_count);
    struct batch_block *bb = YG_NEW(arena, struct batch_block);
    if (bb == NULL || (bb->vecs = YG_NEW_N(arena, struct yg_vec *, b->col_count + 1)) == NULL)
        return no_memory(err);
    bb->batch = b;
    bb->block = (struct yg_block){.ops = &batch_ops,
                                  .track = b->track,
                                  .row_count = b->row_count,
                                  .arena = arena,
                                  .min_time_ns = INT64_MAX,
                                  .max_time_ns = INT64_MIN};
    const struct yg_batch_col *time = yg_batch_find(b, YG_STR(YG_COL_TIME), YG_T_I64);
    for (uint32_t k = 0; time && k < time->count; k++) {
        if (time->i64[k] < bb->block.min_time_ns)
            bb->block.min_time_ns = time->i64[k];
        if (time->i64[k] > bb->block.max_time_ns)
            bb->block.max_time_ns = time->i64[k];
    }
    *ret_block = &bb->block;
    return YG_OK;
}
