// SPDX-License-Identifier: Apache-2.0
// Batches of rows in column form: building and looking up. The WAL payload is in batch_codec.c.
//
// Strings of a column are interned while that pays: a column whose distinct values pass 256 and
// half of its values turns into plain strings for good.
#include "model/batch.h"

#include "base/bits.h"
#include "base/hash.h"
#include "base/panic.h"

#define INTERN_TRIAL 256u

struct yg_batch *yg_batch_create(enum yg_track track, size_t limit_bytes) {
    return yg_batch_create_for(YG_MEM_INTAKE, track, limit_bytes);
}

struct yg_batch *yg_batch_create_for(enum yg_mem_tag tag, enum yg_track track, size_t limit_bytes) {
    YG_ASSERT(track < YG_TRACK_COUNT);
    struct yg_arena *arena = yg_arena_create(tag, limit_bytes);
    if (arena == NULL)
        return NULL;
    struct yg_batch *b = YG_NEW(arena, struct yg_batch);
    if (b == NULL) {
        yg_arena_destroy(arena);
        return NULL;
    }
    b->track = track;
    b->arena = arena;
    b->own_index = YG_MAP(tag, false);
    return b;
}

void yg_batch_destroy(struct yg_batch *b) {
    if (b == NULL)
        return;
    for (uint32_t i = 0; i < b->own_body_count; i++)
        yg_buf_fini(&b->own_bodies[i]);
    yg_map_fini(&b->own_index);
    yg_arena_destroy(b->arena); // b itself lives in it
}

void yg_batch_keep_body(struct yg_batch *b, struct yg_buf *take_body) {
    YG_ASSERT(b->own_body_count < sizeof(b->own_bodies) / sizeof(b->own_bodies[0]));
    yg_buf_move(take_body, &b->own_bodies[b->own_body_count++]);
}

yg_rc yg_batch_row(struct yg_batch *b, uint32_t *ret_row, struct yg_err *err) {
    if (b->row_count >= YG_BATCH_ROWS_MAX)
        return yg_fail(err, YG_ELIMIT, "more than %u rows in one body", YG_BATCH_ROWS_MAX);
    *ret_row = b->row_count++;
    return YG_OK;
}

void yg_batch_row_drop(struct yg_batch *b) {
    YG_ASSERT(b->row_count > 0);
    uint32_t row = --b->row_count;
    for (uint32_t i = 0; i < b->col_count; i++) {
        struct yg_batch_col *c = &b->cols[i];
        if (c->count > 0 && c->rows[c->count - 1] == row)
            c->count--;
    }
}

struct yg_batch_col *yg_batch_find(const struct yg_batch *b, yg_str name, enum yg_type type) {
    const uint64_t *at = yg_map_get(&b->own_index, name);
    for (uint32_t next = at ? (uint32_t)*at : 0; next != 0;) {
        struct yg_batch_col *c = &b->cols[next - 1];
        if (c->type == type)
            return c;
        next = c->own_next_same;
    }
    return NULL;
}

static yg_rc column_make(struct yg_batch *b, yg_str name, enum yg_type type, uint32_t *ret_col,
                         struct yg_err *err) {
    uint32_t max = YG_BATCH_COLUMNS_MAX;
    if (yg_str_starts(name, YG_STR("@"))) // a row's own columns find room whenever they come
        max -= YG_BATCH_COLUMNS_KEPT;
    if (b->col_count >= max)
        return yg_fail(err, YG_ELIMIT, "more than %u different attributes in one body", max);
    yg_str copy = yg_arena_str(b->arena, name);
    if (!YG_ARENA_GROW(b->arena, b->cols, b->col_count, b->col_cap) ||
        (copy.ptr == NULL && name.len > 0))
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    uint32_t idx = b->col_count++;
    bool text = type == YG_T_STR || type == YG_T_JSON;
    b->cols[idx] = (struct yg_batch_col){.name = copy, .type = type, .interned = text};
    uint64_t *slot = yg_map_put(&b->own_index, copy, NULL);
    b->cols[idx].own_next_same = (uint32_t)*slot;
    *slot = idx + 1;
    *ret_col = idx;
    return YG_OK;
}

yg_rc yg_batch_col(struct yg_batch *b, yg_str name, enum yg_type type, uint32_t *ret_col,
                   struct yg_err *err) {
    const struct yg_batch_col *c = yg_batch_find(b, name, type);
    if (c == NULL)
        return column_make(b, name, type, ret_col, err);
    *ret_col = (uint32_t)(c - b->cols);
    return YG_OK;
}

// ------------------------------------------------------------ values

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "batch memory is used up");
}

// Grows one of the value arrays to hold value `count`.
static bool value_room(struct yg_batch *b, struct yg_batch_col *c) {
    switch (c->type) {
    case YG_T_STR:
    case YG_T_JSON:
        if (c->interned)
            return YG_ARENA_GROW(b->arena, c->codes, c->count, c->own_value_cap);
        return YG_ARENA_GROW(b->arena, c->strs, c->count, c->own_value_cap);
    case YG_T_I64:
    case YG_T_BOOL:
        return YG_ARENA_GROW(b->arena, c->i64, c->count, c->own_value_cap);
    case YG_T_F64:
        return YG_ARENA_GROW(b->arena, c->f64, c->count, c->own_value_cap);
    case YG_T_ID:
        return YG_ARENA_GROW(b->arena, c->ids, c->count, c->own_value_cap);
    case YG_TYPE_COUNT:
        break;
    }
    return false;
}

// Place for the open row's value in a column: the row's earlier one, or a new one. UINT32_MAX
// without memory.
static uint32_t value_slot(struct yg_batch *b, struct yg_batch_col *c) {
    YG_ASSERT(b->row_count > 0);
    uint32_t row = b->row_count - 1;
    if (c->count > 0 && c->rows[c->count - 1] == row)
        return c->count - 1;
    if (!YG_ARENA_GROW(b->arena, c->rows, c->count, c->cap) || !value_room(b, c))
        return UINT32_MAX;
    c->rows[c->count] = row;
    return c->count++;
}

static bool intern_rehash(struct yg_batch *b, struct yg_batch_col *c) {
    uint32_t cap = c->own_slot_cap ? c->own_slot_cap * 2 : 16;
    uint32_t *slots = YG_NEW_N(b->arena, uint32_t, cap);
    if (slots == NULL)
        return false;
    for (uint32_t d = 0; d < c->dict_count; d++) {
        uint32_t at = (uint32_t)yg_hash_str(c->dict[d]) & (cap - 1);
        while (slots[at] != 0)
            at = (at + 1) & (cap - 1);
        slots[at] = d + 1;
    }
    c->own_slots = slots;
    c->own_slot_cap = cap;
    return true;
}

// Code of v in the column's dictionary, adding it. UINT32_MAX without memory.
static uint32_t intern(struct yg_batch *b, struct yg_batch_col *c, yg_str v) {
    if (c->dict_count * 2 >= c->own_slot_cap && !intern_rehash(b, c))
        return UINT32_MAX;
    uint32_t at = (uint32_t)yg_hash_str(v) & (c->own_slot_cap - 1);
    for (; c->own_slots[at] != 0; at = (at + 1) & (c->own_slot_cap - 1))
        if (yg_str_eq(c->dict[c->own_slots[at] - 1], v))
            return c->own_slots[at] - 1;
    if (!YG_ARENA_GROW(b->arena, c->dict, c->dict_count, c->dict_cap))
        return UINT32_MAX;
    c->dict[c->dict_count] = v;
    c->own_slots[at] = ++c->dict_count;
    return c->dict_count - 1;
}

// Turns an interned column into plain strings.
static bool intern_give_up(struct yg_batch *b, struct yg_batch_col *c) {
    yg_str *strs = YG_NEW_N(b->arena, yg_str, c->own_value_cap);
    if (strs == NULL)
        return false;
    for (uint32_t k = 0; k < c->count; k++)
        strs[k] = c->dict[c->codes[k]];
    c->strs = strs;
    c->interned = false;
    return true;
}

yg_rc yg_batch_put_str(struct yg_batch *b, uint32_t col, yg_str v, struct yg_err *err) {
    YG_ASSERT(col < b->col_count);
    struct yg_batch_col *c = &b->cols[col];
    YG_ASSERT(c->type == YG_T_STR || c->type == YG_T_JSON);
    uint32_t code = 0;
    if (c->interned && c->count > 0 && yg_str_eq(c->dict[c->codes[c->count - 1]], v))
        code = c->codes[c->count - 1];
    else if (c->interned && (code = intern(b, c, v)) == UINT32_MAX)
        return no_memory(err);
    uint32_t k = value_slot(b, c);
    if (k == UINT32_MAX)
        return no_memory(err);
    if (!c->interned) {
        c->strs[k] = v;
        return YG_OK;
    }
    c->codes[k] = code;
    if (c->dict_count > INTERN_TRIAL && c->dict_count > c->count / 2 && !intern_give_up(b, c))
        return no_memory(err);
    return YG_OK;
}

yg_rc yg_batch_put_again(struct yg_batch *b, uint32_t col, yg_str v, uint32_t *code,
                         struct yg_err *err) {
    struct yg_batch_col *c = &b->cols[col];
    if (!c->interned || *code >= c->dict_count) {
        YG_TRY(yg_batch_put_str(b, col, v, err));
        *code = c->interned ? c->codes[c->count - 1] : UINT32_MAX;
        return YG_OK;
    }
    uint32_t k = value_slot(b, c);
    if (k == UINT32_MAX)
        return no_memory(err);
    c->codes[k] = *code;
    return YG_OK;
}

yg_rc yg_batch_put_i64(struct yg_batch *b, uint32_t col, int64_t v, struct yg_err *err) {
    YG_ASSERT(col < b->col_count);
    struct yg_batch_col *c = &b->cols[col];
    YG_ASSERT(c->type == YG_T_I64 || c->type == YG_T_BOOL);
    uint32_t k = value_slot(b, c);
    if (k == UINT32_MAX)
        return no_memory(err);
    c->i64[k] = v;
    return YG_OK;
}

yg_rc yg_batch_put_f64(struct yg_batch *b, uint32_t col, double v, struct yg_err *err) {
    YG_ASSERT(col < b->col_count);
    struct yg_batch_col *c = &b->cols[col];
    YG_ASSERT(c->type == YG_T_F64);
    uint32_t k = value_slot(b, c);
    if (k == UINT32_MAX)
        return no_memory(err);
    c->f64[k] = v;
    return YG_OK;
}

yg_rc yg_batch_put_id(struct yg_batch *b, uint32_t col, yg_id128 v, struct yg_err *err) {
    YG_ASSERT(col < b->col_count);
    struct yg_batch_col *c = &b->cols[col];
    YG_ASSERT(c->type == YG_T_ID);
    uint32_t k = value_slot(b, c);
    if (k == UINT32_MAX)
        return no_memory(err);
    c->ids[k] = v;
    return YG_OK;
}

yg_rc yg_batch_set_str(struct yg_batch *b, yg_str name, yg_str v, struct yg_err *err) {
    uint32_t col;
    YG_TRY(yg_batch_col(b, name, YG_T_STR, &col, err));
    return yg_batch_put_str(b, col, v, err);
}

yg_rc yg_batch_set_json(struct yg_batch *b, yg_str name, yg_str json, struct yg_err *err) {
    uint32_t col;
    YG_TRY(yg_batch_col(b, name, YG_T_JSON, &col, err));
    return yg_batch_put_str(b, col, json, err);
}

yg_rc yg_batch_set_i64(struct yg_batch *b, yg_str name, int64_t v, struct yg_err *err) {
    uint32_t col;
    YG_TRY(yg_batch_col(b, name, YG_T_I64, &col, err));
    return yg_batch_put_i64(b, col, v, err);
}

yg_rc yg_batch_set_bool(struct yg_batch *b, yg_str name, bool v, struct yg_err *err) {
    uint32_t col;
    YG_TRY(yg_batch_col(b, name, YG_T_BOOL, &col, err));
    return yg_batch_put_i64(b, col, v, err);
}

yg_rc yg_batch_set_f64(struct yg_batch *b, yg_str name, double v, struct yg_err *err) {
    uint32_t col;
    YG_TRY(yg_batch_col(b, name, YG_T_F64, &col, err));
    return yg_batch_put_f64(b, col, v, err);
}

yg_rc yg_batch_set_id(struct yg_batch *b, yg_str name, yg_id128 v, struct yg_err *err) {
    uint32_t col;
    YG_TRY(yg_batch_col(b, name, YG_T_ID, &col, err));
    return yg_batch_put_id(b, col, v, err);
}

// ------------------------------------------------------------ reading and removing

bool yg_batch_col_value(const struct yg_batch_col *c, uint32_t row, struct yg_value *ret_value) {
    uint32_t low = 0, high = c->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (c->rows[mid] < row)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == c->count || c->rows[low] != row)
        return false;
    *ret_value = (struct yg_value){.type = c->type};
    switch (c->type) {
    case YG_T_STR:
    case YG_T_JSON:
        ret_value->str = yg_batch_col_str(c, low);
        break;
    case YG_T_I64:
    case YG_T_BOOL:
        ret_value->i64 = c->i64[low];
        break;
    case YG_T_F64:
        ret_value->f64 = c->f64[low];
        break;
    case YG_T_ID:
        ret_value->id = c->ids[low];
        break;
    case YG_TYPE_COUNT:
        return false;
    }
    return true;
}

static void value_move(struct yg_batch_col *c, uint32_t to, uint32_t from) {
    if (c->codes && c->interned)
        c->codes[to] = c->codes[from];
    if (c->strs && !c->interned)
        c->strs[to] = c->strs[from];
    if (c->i64)
        c->i64[to] = c->i64[from];
    if (c->f64)
        c->f64[to] = c->f64[from];
    if (c->ids)
        c->ids[to] = c->ids[from];
}

yg_rc yg_batch_remove(struct yg_batch *b, const uint64_t *drop, struct yg_err *err) {
    uint32_t *renumbered = YG_NEW_N(b->arena, uint32_t, b->row_count);
    if (renumbered == NULL && b->row_count > 0)
        return no_memory(err);
    uint32_t kept = 0;
    for (uint32_t r = 0; r < b->row_count; r++)
        renumbered[r] = yg_bits_get(drop, r) ? UINT32_MAX : kept++;
    for (uint32_t i = 0; i < b->col_count; i++) {
        struct yg_batch_col *c = &b->cols[i];
        uint32_t out = 0;
        for (uint32_t k = 0; k < c->count; k++) {
            uint32_t row = renumbered[c->rows[k]];
            if (row == UINT32_MAX)
                continue;
            c->rows[out] = row;
            value_move(c, out++, k);
        }
        c->count = out;
    }
    b->row_count = kept;
    return YG_OK;
}
