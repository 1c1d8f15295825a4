// SPDX-License-Identifier: Apache-2.0
// A column set as the source of a stripe: columns are put into the stripe's order one at a time.
#include "base/panic.h"
#include "store/columns.h"

#define ARENA_BYTES_MAX ((size_t)2 << 30)
#define SPARSE_FACTOR 16u // rows per value from which on sorting is cheaper than walking the rows

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "the store's memory for ordering columns is used up");
}

static uint32_t longest_of(const struct yg_column *c) {
    const yg_str *strs = c->interned ? c->dict : c->strs;
    uint32_t n = c->interned ? c->dict_count : c->count;
    size_t max = 1; // 0 would say that it is not known
    if (c->type != YG_T_STR && c->type != YG_T_JSON)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        max = strs[i].len > max ? strs[i].len : max;
    return max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
}

// Values of the column that stand in the stripe.
static uint32_t count_in(const struct yg_columns_source *s, const struct yg_column *c) {
    if (s->new_row == NULL || s->stripe.row_count == s->cs->row_count)
        return c->count;
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->count; k++)
        n += s->new_row[c->rows[k]] != YG_COLUMN_NONE;
    return n;
}

static yg_rc source_rows(void *ctx, uint32_t column, struct yg_arena *arena,
                         const uint32_t **ret_rows, uint32_t *ret_count, struct yg_err *err) {
    const struct yg_columns_source *s = ctx;
    const struct yg_column *c = &s->cs->cols[s->cols[column]];
    if (s->new_row == NULL) {
        *ret_rows = c->rows;
        *ret_count = c->count;
        return YG_OK;
    }
    uint32_t *rows = yg_arena_alloc(arena, sizeof(*rows) * c->count);
    if (rows == NULL)
        return no_memory(err);
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        rows[n] = s->new_row[c->rows[k]];
        n += rows[n] != YG_COLUMN_NONE;
    }
    *ret_rows = rows;
    *ret_count = n;
    return YG_OK;
}

// ------------------------------------------------------------ values in the stripe's order

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// Few values: sorted by their new row.
static uint32_t order_sparse(const struct yg_columns_source *s, const struct yg_column *c,
                             uint32_t *rows, uint32_t *perm) {
    uint64_t *keys = yg_alloc(YG_MEM_STORE, sizeof(*keys) * (c->count + 1u));
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        keys[n] = (uint64_t)s->new_row[c->rows[k]] << 32 | k;
        n += s->new_row[c->rows[k]] != YG_COLUMN_NONE;
    }
    qsort(keys, n, sizeof(*keys), by_value);
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = (uint32_t)(keys[i] >> 32);
        perm[i] = (uint32_t)keys[i];
    }
    yg_free(YG_MEM_STORE, keys);
    return n;
}

static uint32_t order_dense(const struct yg_columns_source *s, const struct yg_column *c,
                            uint32_t *rows, uint32_t *perm) {
    for (uint32_t k = 0; k < c->count; k++)
        s->value_of[c->rows[k]] = k;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->stripe.row_count; i++) {
        uint32_t k = s->value_of[s->order[i]];
        rows[n] = i;
        perm[n] = k;
        n += k != YG_COLUMN_NONE;
    }
    for (uint32_t k = 0; k < c->count; k++)
        s->value_of[c->rows[k]] = YG_COLUMN_NONE;
    return n;
}

// Value i of the stripe's column is perm[i] of the set's, in row rows[i].
static yg_rc order_values(const struct yg_columns_source *s, const struct yg_column *c,
                          struct yg_arena *arena, const uint32_t **ret_rows,
                          const uint32_t **ret_perm, uint32_t *ret_count, struct yg_err *err) {
    if (c->count == s->cs->row_count) { // every row has one
        *ret_rows = s->identity;
        *ret_perm = s->order;
        *ret_count = s->stripe.row_count;
        return YG_OK;
    }
    uint32_t cap = c->count < s->stripe.row_count ? c->count : s->stripe.row_count;
    bool sparse = (uint64_t)c->count * SPARSE_FACTOR < s->stripe.row_count;
    uint32_t *rows = yg_arena_alloc(arena, sizeof(*rows) * (cap + 1u));
    uint32_t *perm = yg_arena_alloc(arena, sizeof(*perm) * (cap + 1u));
    if (rows == NULL || perm == NULL)
        return no_memory(err);
    *ret_rows = rows;
    *ret_perm = perm;
    *ret_count = sparse ? order_sparse(s, c, rows, perm) : order_dense(s, c, rows, perm);
    return YG_OK;
}

#define PERMUTE(T, field)                                                                          \
    do {                                                                                           \
        T *to = yg_arena_alloc(arena, sizeof(T) * (v->count + 1u));                                \
        if (to == NULL)                                                                            \
            return no_memory(err);                                                                 \
        for (uint32_t i = 0; i < v->count; i++)                                                    \
            to[i] = c->field[perm[i]];                                                             \
        v->field = to;                                                                             \
    } while (0)

static yg_rc permute(const struct yg_column *c, const uint32_t *perm, struct yg_arena *arena,
                     struct yg_stripe_values *v, struct yg_err *err) {
    switch (c->type) {
    case YG_T_STR:
    case YG_T_JSON:
        if (c->interned)
            PERMUTE(uint32_t, codes);
        else
            PERMUTE(yg_str, strs);
        return YG_OK;
    case YG_T_I64:
    case YG_T_BOOL:
        PERMUTE(int64_t, i64);
        return YG_OK;
    case YG_T_F64:
        PERMUTE(double, f64);
        return YG_OK;
    case YG_T_ID:
        PERMUTE(yg_id128, ids);
        return YG_OK;
    case YG_TYPE_COUNT:
        break;
    }
    return yg_fail(err, YG_EINTERNAL, "column of type %d", (int)c->type);
}

static yg_rc source_values(void *ctx, uint32_t column, struct yg_arena *arena,
                           struct yg_stripe_values *ret_values, struct yg_err *err) {
    const struct yg_columns_source *s = ctx;
    const struct yg_column *c = &s->cs->cols[s->cols[column]];
    struct yg_stripe_values v = {.count = c->count, .rows = c->rows};
    if (c->interned) {
        v.dict = c->dict;
        v.dict_count = c->dict_count;
    }
    if (s->new_row == NULL) {
        v.codes = c->interned ? c->codes : NULL;
        v.strs = c->interned ? NULL : c->strs;
        v.i64 = c->i64;
        v.f64 = c->f64;
        v.ids = c->ids;
    } else {
        const uint32_t *perm;
        YG_TRY(order_values(s, c, arena, &v.rows, &perm, &v.count, err));
        YG_TRY(permute(c, perm, arena, &v, err));
    }
    *ret_values = v;
    return YG_OK;
}

// ------------------------------------------------------------ life

static yg_rc prepare_order(struct yg_columns_source *s, struct yg_err *err) {
    uint32_t rows = s->cs->row_count;
    s->new_row = yg_arena_alloc(s->arena, sizeof(*s->new_row) * rows);
    s->value_of = yg_arena_alloc(s->arena, sizeof(*s->value_of) * rows);
    s->identity = yg_arena_alloc(s->arena, sizeof(*s->identity) * s->stripe.row_count);
    if (s->new_row == NULL || s->value_of == NULL || s->identity == NULL)
        return no_memory(err);
    memset(s->new_row, 0xff, sizeof(*s->new_row) * rows);
    memset(s->value_of, 0xff, sizeof(*s->value_of) * rows);
    for (uint32_t i = 0; i < s->stripe.row_count; i++) {
        s->new_row[s->order[i]] = i;
        s->identity[i] = i;
    }
    return YG_OK;
}

static yg_rc list_columns(struct yg_columns_source *s, struct yg_err *err) {
    const struct yg_columns *cs = s->cs;
    struct yg_stripe_column *columns =
        YG_NEW_N(s->arena, struct yg_stripe_column, cs->col_count + 1u);
    uint32_t *cols = YG_NEW_N(s->arena, uint32_t, cs->col_count + 1u);
    if (columns == NULL || cols == NULL)
        return no_memory(err);
    uint32_t n = 0;
    for (uint32_t c = 0; c < cs->col_count; c++) {
        const struct yg_column *col = &cs->cols[c];
        columns[n] = (struct yg_stripe_column){
            .name = col->name,
            .type = col->type,
            .count = count_in(s, col),
            .longest = longest_of(col),
            .distinct = col->interned ? col->dict_count : col->count,
        };
        cols[n] = c;
        n += columns[n].count > 0;
    }
    s->stripe.columns = columns;
    s->stripe.column_count = n;
    s->cols = cols;
    return YG_OK;
}

yg_rc yg_columns_source_init(struct yg_columns_source *s, const struct yg_columns *cs,
                             const uint32_t *order, uint32_t count, struct yg_err *err) {
    *s = (struct yg_columns_source){.cs = cs, .order = order};
    s->stripe = (struct yg_stripe_source){
        .track = cs->track,
        .row_count = order ? count : cs->row_count,
        .rows = source_rows,
        .values = source_values,
        .ctx = s,
    };
    YG_ASSERT(s->stripe.row_count > 0);
    s->arena = yg_arena_create(YG_MEM_STORE, ARENA_BYTES_MAX);
    yg_rc rc = order ? prepare_order(s, err) : YG_OK;
    return rc == YG_OK ? list_columns(s, err) : rc;
}

void yg_columns_source_fini(struct yg_columns_source *s) {
    yg_arena_destroy(s->arena);
}
