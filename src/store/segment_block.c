// SPDX-License-Identifier: Apache-2.0
// A granule as a block (model/block.h), and a segment's rows as part of a column set.
#include "base/panic.h"
#include "store/segment_rest.h"

struct rest_vec {
    uint32_t count;
    struct yg_vec vec;
};

struct seg_block {
    struct yg_block block; // first: the ops get it
    struct yg_segment *seg;
    uint32_t stripe;
    uint32_t in_stripe;
    struct yg_vec **vecs; // [column], decoded so far
    struct yg_seg_memo memo;
    struct rest_vec **rest; // [key of the rest]; NULL until one is asked for
    struct yg_rest_cursor cursor;
};

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "the query's memory for decoded columns is used up");
}

static const struct yg_seg_entry *entry_of(const struct seg_block *b, uint32_t column) {
    const struct yg_seg_stripe *st = &b->seg->dir.stripes[b->stripe];
    return yg_segment_entry(yg_segment_record(st, column), b->in_stripe);
}

// Spreads present values over the rows.
#define SPREAD(T, field)                                                                           \
    do {                                                                                           \
        T *to = YG_NEW_N(arena, T, v->rows);                                                       \
        if (to == NULL)                                                                            \
            return no_memory(err);                                                                 \
        uint32_t k = 0;                                                                            \
        for (uint32_t r = yg_bits_next(v->present, v->rows, 0); r < v->rows;                       \
             r = yg_bits_next(v->present, v->rows, r + 1))                                         \
            to[r] = v->field[k++];                                                                 \
        out->field = to;                                                                           \
    } while (0)

static yg_rc vec_of_values(const struct yg_seg_values *v, enum yg_type type, struct yg_arena *arena,
                           struct yg_vec *out, struct yg_err *err) {
    *out = (struct yg_vec){.type = type, .present = v->present, .dict = v->dict};
    if (v->present == NULL) {
        out->constant = v->constant;
        out->codes = v->codes;
        out->strs = v->strs;
        out->i64 = v->i64;
        out->f64 = v->f64;
        out->ids = v->ids;
        return YG_OK;
    }
    if (v->codes)
        SPREAD(uint32_t, codes);
    else if (v->strs)
        SPREAD(yg_str, strs);
    else if (v->i64)
        SPREAD(int64_t, i64);
    else if (v->f64)
        SPREAD(double, f64);
    else
        SPREAD(yg_id128, ids);
    return YG_OK;
}

static yg_rc get_vec(struct seg_block *b, uint32_t column, const struct yg_vec **ret_vec,
                     struct yg_err *err) {
    if (b->vecs[column] == NULL) {
        struct yg_vec *v = YG_NEW(b->block.arena, struct yg_vec);
        if (v == NULL)
            return no_memory(err);
        struct yg_seg_values values;
        YG_TRY(yg_segment_values_memo(b->seg, b->stripe, b->in_stripe, column, &b->memo,
                                      b->block.arena, &values, err));
        YG_TRY(vec_of_values(&values, b->seg->dir.columns[column].type, b->block.arena, v, err));
        b->vecs[column] = v;
    }
    *ret_vec = b->vecs[column];
    return YG_OK;
}

static yg_rc get_rest(struct seg_block *b, uint32_t key, uint32_t keys, enum yg_type type,
                      struct rest_vec **ret_vec, struct yg_err *err) {
    if (b->rest == NULL && (b->rest = YG_NEW_N(b->block.arena, struct rest_vec *, keys)) == NULL)
        return no_memory(err);
    struct rest_vec *v = b->rest[key];
    if (v == NULL) {
        struct yg_seg_values values;
        if ((v = YG_NEW(b->block.arena, struct rest_vec)) == NULL)
            return no_memory(err);
        YG_TRY(yg_segment_rest_values(b->seg, b->stripe, b->in_stripe, key, &b->cursor,
                                      b->block.arena, &values, err));
        v->count = values.count;
        if (values.count > 0)
            YG_TRY(vec_of_values(&values, type, b->block.arena, &v->vec, err));
        b->rest[key] = v;
    }
    *ret_vec = v;
    return YG_OK;
}

// Columns of that name in the stripe's rest.
static yg_rc rest_columns(struct seg_block *b, yg_str name,
                          const struct yg_vec *ret_vecs[YG_TYPE_COUNT], uint32_t *ret_count,
                          struct yg_err *err) {
    uint32_t keys;
    YG_TRY(yg_segment_rest_count(b->seg, b->stripe, &keys, err));
    if (keys == 0)
        return YG_OK;
    for (uint32_t k = yg_segment_rest_find(b->seg, b->stripe, name); k < keys; k++) {
        struct yg_rest_key key = yg_segment_rest_key(b->seg, b->stripe, k);
        struct rest_vec *v;
        if (!yg_str_eq(key.name, name))
            break;
        YG_TRY(get_rest(b, k, keys, key.type, &v, err));
        if (v->count == 0)
            continue;
        if (*ret_count == YG_TYPE_COUNT) // a type twice: in a damaged directory only
            return yg_fail(err, YG_ECORRUPT, "%s: a column stands twice in a stripe",
                           yg_segment_name(b->seg));
        ret_vecs[(*ret_count)++] = &v->vec;
    }
    return YG_OK;
}

// Texts that another one's search may leave out: not kept.
static yg_rc get_probed(struct seg_block *b, uint32_t column, const struct yg_text_probe *probe,
                        const struct yg_vec **ret_vec, struct yg_err *err) {
    struct yg_seg_values values;
    struct yg_vec *v = YG_NEW(b->block.arena, struct yg_vec);
    if (v == NULL)
        return no_memory(err);
    YG_TRY(yg_segment_values_probed(b->seg, b->stripe, b->in_stripe, column, &b->memo, probe,
                                    b->block.arena, &values, err));
    YG_TRY(vec_of_values(&values, b->seg->dir.columns[column].type, b->block.arena, v, err));
    *ret_vec = v;
    return YG_OK;
}

static yg_rc block_columns_probed(struct yg_block *block, yg_str name,
                                  const struct yg_text_probe *probe,
                                  const struct yg_vec *ret_vecs[YG_TYPE_COUNT], uint32_t *ret_count,
                                  struct yg_err *err) {
    struct seg_block *b = (struct seg_block *)block;
    const struct yg_seg_dir *dir = &b->seg->dir;
    *ret_count = 0;
    for (uint32_t c = yg_segment_column(b->seg, name);
         c < dir->column_count && yg_str_eq(dir->columns[c].name, name); c++) {
        const struct yg_seg_entry *e = entry_of(b, c);
        if (e->count == 0)
            continue;
        if (probe && dir->columns[c].type == YG_T_STR && e->encoding == YG_ENC_STR_OWN &&
            b->vecs[c] == NULL)
            YG_TRY(get_probed(b, c, probe, &ret_vecs[*ret_count], err));
        else
            YG_TRY(get_vec(b, c, &ret_vecs[*ret_count], err));
        ++*ret_count;
    }
    return rest_columns(b, name, ret_vecs, ret_count, err);
}

static yg_rc block_columns(struct yg_block *block, yg_str name,
                           const struct yg_vec *ret_vecs[YG_TYPE_COUNT], uint32_t *ret_count,
                           struct yg_err *err) {
    return block_columns_probed(block, name, NULL, ret_vecs, ret_count, err);
}

static void block_stats(struct yg_block *block, yg_str name, enum yg_type type,
                        struct yg_vec_stats *ret_stats) {
    struct seg_block *b = (struct seg_block *)block;
    const struct yg_seg_dir *dir = &b->seg->dir;
    bool rest = yg_segment_record(&dir->stripes[b->stripe], YG_RECORD_REST) != NULL;
    *ret_stats = (struct yg_vec_stats){.known = !rest}; // what is not here may be in the rest
    uint32_t c = yg_segment_column(b->seg, name);
    while (c < dir->column_count && yg_str_eq(dir->columns[c].name, name) &&
           dir->columns[c].type != type)
        c++;
    if (c >= dir->column_count || !yg_str_eq(dir->columns[c].name, name))
        return;
    const struct yg_seg_entry *e = entry_of(b, c);
    ret_stats->known = !rest || yg_segment_record(&dir->stripes[b->stripe], c) != NULL;
    ret_stats->count = e->count;
    if (e->count == 0 || !(e->flags & YG_ENTRY_F_RANGE))
        return;
    ret_stats->has_range = true;
    if (type == YG_T_F64) {
        memcpy(&ret_stats->min_f64, &e->min, 8);
        memcpy(&ret_stats->max_f64, &e->max, 8);
    } else {
        ret_stats->min_i64 = e->min;
        ret_stats->max_i64 = e->max;
    }
}

static bool block_column_at(struct yg_block *block, uint32_t idx, yg_str *ret_name,
                            enum yg_type *ret_type) {
    struct seg_block *b = (struct seg_block *)block;
    const struct yg_seg_dir *dir = &b->seg->dir;
    if (idx >= dir->column_count) {
        const uint32_t *keys;
        uint32_t count;
        struct yg_err err = {0}; // what cannot be read is told by whoever asks for a column
        if (yg_segment_rest_unlisted(b->seg, b->stripe, &keys, &count, &err) != YG_OK ||
            idx - dir->column_count >= count)
            return false;
        struct yg_rest_key key =
            yg_segment_rest_key(b->seg, b->stripe, keys[idx - dir->column_count]);
        *ret_name = key.name;
        *ret_type = key.type;
        return true;
    }
    *ret_name = dir->columns[idx].name;
    *ret_type = dir->columns[idx].type;
    return true;
}

static const struct yg_block_ops seg_block_ops = {block_columns, block_stats, block_column_at,
                                                  block_columns_probed};

yg_rc yg_segment_block(struct yg_segment *seg, uint32_t granule, struct yg_arena *arena,
                       struct yg_block **ret_block, struct yg_err *err) {
    YG_ASSERT(seg->loaded && granule < seg->dir.granule_count);
    struct seg_block *b = YG_NEW(arena, struct seg_block);
    if (b == NULL)
        return no_memory(err);
    b->vecs = YG_NEW_N(arena, struct yg_vec *, seg->dir.column_count + 1u);
    if (b->vecs == NULL)
        return no_memory(err);
    b->seg = seg;
    yg_segment_locate(seg, granule, &b->stripe, &b->in_stripe);
    const struct yg_seg_granule_entry *g = &seg->dir.stripes[b->stripe].granules[b->in_stripe];
    b->block = (struct yg_block){
        .ops = &seg_block_ops,
        .track = seg->track,
        .row_count = g->rows,
        .min_time_ns = g->min_time_ns,
        .max_time_ns = g->max_time_ns,
        .segment_id = seg->id,
        .granule = granule,
        .arena = arena,
    };
    *ret_block = &b->block;
    return YG_OK;
}

// ------------------------------------------------------------ joining

yg_rc yg_columns_want_segment(struct yg_columns *cs, struct yg_segment *seg, struct yg_err *err) {
    const struct yg_seg_dir *dir = &seg->dir;
    for (uint32_t s = 0; s < dir->stripe_count; s++)
        for (uint32_t i = 0; i < dir->stripes[s].record_count; i++) {
            const struct yg_seg_record *rec = &dir->stripes[s].records[i];
            uint32_t count = 0, col;
            if (!YG_RECORD_IS_COLUMN(rec->head.column))
                continue;
            const struct yg_seg_column *c = &dir->columns[rec->head.column];
            for (uint32_t e = 0; e < rec->head.entry_count; e++)
                count += rec->entries[e].count;
            YG_TRY(yg_columns_want(cs, c->name, c->type, count, &col, err));
        }
    for (uint32_t s = 0; s < dir->stripe_count; s++) {
        uint32_t keys, col;
        YG_TRY(yg_segment_rest_count(seg, s, &keys, err));
        for (uint32_t k = 0; k < keys; k++) {
            struct yg_rest_key key = yg_segment_rest_key(seg, s, k);
            YG_TRY(yg_columns_want(cs, key.name, key.type, key.count, &col, err));
        }
    }
    return YG_OK;
}

struct join {
    struct yg_columns *cs;
    struct yg_segment *seg;
    uint32_t *row_map; // row of the segment → row of the set, or YG_COLUMN_NONE
    uint32_t *rows;    // scratch of a granule
    uint32_t *sel;
};

// Strings of a file's chunk live in `scratch`; the set needs them for longer.
static yg_rc keep_strings(struct join *j, struct yg_seg_values *v, struct yg_err *err) {
    if (v->strs == NULL || j->seg->in_memory)
        return YG_OK;
    yg_str *own = yg_arena_alloc(j->cs->arena, sizeof(*own) * v->count);
    if (own == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < v->count; i++)
        if ((own[i] = yg_arena_str(j->cs->arena, v->strs[i])).ptr == NULL)
            return no_memory(err);
    v->strs = own;
    return YG_OK;
}

static yg_rc join_values(struct join *j, yg_str name, enum yg_type type,
                         const struct yg_seg_values *v, uint32_t n, struct yg_err *err) {
    struct yg_column_source src = {
        .type = type,
        .codes = v->codes,
        .dict = v->dict ? v->dict->strs : NULL,
        .dict_count = v->dict ? v->dict->count : 0,
        .strs = v->strs,
        .i64 = v->i64,
        .f64 = v->f64,
        .ids = v->ids,
    };
    uint32_t at;
    YG_TRY(yg_columns_want(j->cs, name, type, 0, &at, err));
    return yg_column_add(j->cs, at, &src, j->sel, j->rows, n, err);
}

static yg_rc join_chunk(struct join *j, uint32_t stripe, uint32_t granule, uint32_t column,
                        uint32_t first_row, struct yg_arena *scratch, struct yg_err *err) {
    const struct yg_seg_column *col = &j->seg->dir.columns[column];
    struct yg_seg_values v;
    YG_TRY(yg_segment_values(j->seg, stripe, granule, column, scratch, &v, err));
    if (v.count == 0)
        return YG_OK;
    YG_TRY(keep_strings(j, &v, err));
    uint32_t n = 0, row = 0;
    for (uint32_t k = 0; k < v.count; k++, row++) {
        if (v.present)
            row = yg_bits_next(v.present, v.rows, row);
        uint32_t to = j->row_map[first_row + row];
        if (to == YG_COLUMN_NONE)
            continue;
        j->rows[n] = to;
        j->sel[n++] = k;
    }
    return join_values(j, col->name, col->type, &v, n, err);
}

// The rest of a stripe, key by key; a piece of the granule scratch at a time.
static yg_rc join_rest(struct join *j, uint32_t stripe, uint32_t first_row,
                       struct yg_arena *scratch, struct yg_err *err) {
    struct yg_rest_cursor cursor = {0};
    uint32_t keys;
    YG_TRY(yg_segment_rest_count(j->seg, stripe, &keys, err));
    for (uint32_t k = 0; k < keys; k++) {
        struct yg_rest_key key = yg_segment_rest_key(j->seg, stripe, k);
        struct yg_seg_values v;
        const uint32_t *rows;
        YG_TRY(yg_segment_rest_read(j->seg, stripe, k, &cursor, scratch, &rows, &v, err));
        YG_TRY(keep_strings(j, &v, err));
        for (uint32_t i = 0; i < v.count;) {
            uint32_t n = 0;
            for (; i < v.count && n < YG_GRANULE_ROWS; i++) {
                j->rows[n] = j->row_map[first_row + rows[i]];
                j->sel[n] = i;
                n += j->rows[n] != YG_COLUMN_NONE;
            }
            YG_TRY(join_values(j, key.name, key.type, &v, n, err));
        }
    }
    yg_arena_reset(scratch);
    return YG_OK;
}

static yg_rc join_segment(struct join *j, struct yg_arena *scratch, struct yg_err *err) {
    const struct yg_seg_dir *dir = &j->seg->dir;
    uint32_t first_row = 0;
    for (uint32_t s = 0; s < dir->stripe_count; s++) {
        YG_TRY(join_rest(j, s, first_row, scratch, err));
        for (uint32_t g = 0; g < dir->stripes[s].granule_count; g++) {
            for (uint32_t i = 0; i < dir->stripes[s].record_count; i++) {
                uint32_t column = dir->stripes[s].records[i].head.column;
                if (YG_RECORD_IS_COLUMN(column))
                    YG_TRY(join_chunk(j, s, g, column, first_row, scratch, err));
                if (!j->seg->in_memory)
                    yg_arena_reset(scratch);
            }
            yg_arena_reset(scratch);
            first_row += dir->stripes[s].granules[g].rows;
        }
    }
    return YG_OK;
}

yg_rc yg_columns_add_segment(struct yg_columns *cs, struct yg_segment *seg, const uint64_t *keep,
                             struct yg_err *err) {
    YG_ASSERT(seg->loaded && seg->row_count <= UINT32_MAX);
    uint32_t rows = (uint32_t)seg->row_count;
    struct join j = {.cs = cs, .seg = seg};
    j.row_map = yg_alloc(YG_MEM_STORE, sizeof(*j.row_map) * (rows + 1u));
    j.rows = yg_alloc(YG_MEM_STORE, sizeof(*j.rows) * YG_GRANULE_ROWS);
    j.sel = yg_alloc(YG_MEM_STORE, sizeof(*j.sel) * YG_GRANULE_ROWS);
    uint32_t kept = 0;
    for (uint32_t r = 0; r < rows; r++)
        j.row_map[r] =
            keep == NULL || yg_bits_get(keep, r) ? cs->row_count + kept++ : YG_COLUMN_NONE;
    struct yg_arena *scratch = yg_arena_create(YG_MEM_STORE, (size_t)2 << 30);
    yg_rc rc = join_segment(&j, scratch, err);
    yg_arena_destroy(scratch);
    yg_free(YG_MEM_STORE, j.row_map);
    yg_free(YG_MEM_STORE, j.rows);
    yg_free(YG_MEM_STORE, j.sel);
    if (rc == YG_OK)
        cs->row_count += kept;
    return rc;
}
