// SPDX-License-Identifier: Apache-2.0
// Columns gathered from batches: dictionaries are remapped code by code, never row by row.
#include "store/columns.h"

#include "base/hash.h"
#include "base/panic.h"

#define PLAIN_CHECK_VALUES 1024u // from here on a column with hardly any repeats is kept as strings
#define SETS_MAX_BYTES ((size_t)2 << 30)

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "the store's memory for building columns is used up");
}

struct yg_columns *yg_columns_create(enum yg_track track, enum yg_mem_tag tag, size_t limit_bytes) {
    struct yg_arena *arena = yg_arena_create(tag, limit_bytes);
    struct yg_columns *cs = YG_NEW(arena, struct yg_columns);
    if (cs == NULL) {
        yg_arena_destroy(arena);
        return NULL;
    }
    cs->arena = arena;
    cs->track = track;
    cs->index = YG_MAP(tag, false);
    return cs;
}

void yg_columns_destroy(struct yg_columns *cs) {
    if (cs == NULL)
        return;
    yg_map_fini(&cs->index);
    yg_arena_destroy(cs->arena); // holds cs itself
}

static uint32_t find_col(const struct yg_columns *cs, yg_str name, enum yg_type type) {
    const uint64_t *first = yg_map_get(&cs->index, name);
    uint32_t at = first ? (uint32_t)*first : YG_COLUMN_NONE;
    while (at != YG_COLUMN_NONE && cs->cols[at].type != type)
        at = cs->cols[at].same_name;
    return at;
}

const struct yg_column *yg_columns_find(const struct yg_columns *cs, yg_str name,
                                        enum yg_type type) {
    uint32_t at = find_col(cs, name, type);
    return at == YG_COLUMN_NONE || cs->cols[at].count == 0 ? NULL : &cs->cols[at];
}

yg_rc yg_columns_want(struct yg_columns *cs, yg_str name, enum yg_type type, uint32_t more,
                      uint32_t *ret_col, struct yg_err *err) {
    uint32_t at = find_col(cs, name, type);
    if (at == YG_COLUMN_NONE) {
        if (!YG_ARENA_GROW(cs->arena, cs->cols, cs->col_count, cs->col_cap))
            return no_memory(err);
        at = cs->col_count++;
        bool is_new;
        uint64_t *first = yg_map_put(&cs->index, name, &is_new);
        cs->cols[at] = (struct yg_column){
            .name = name,
            .type = type,
            .interned = type == YG_T_STR || type == YG_T_JSON,
            .same_name = is_new ? YG_COLUMN_NONE : (uint32_t)*first,
        };
        *first = at;
    }
    cs->cols[at].cap += more;
    *ret_col = at;
    return YG_OK;
}

static bool alloc_values(struct yg_arena *a, struct yg_column *c) {
    switch (c->type) {
    case YG_T_STR:
    case YG_T_JSON:
        return (c->codes = yg_arena_alloc(a, sizeof(*c->codes) * c->cap)) != NULL;
    case YG_T_I64:
    case YG_T_BOOL:
        return (c->i64 = yg_arena_alloc(a, sizeof(*c->i64) * c->cap)) != NULL;
    case YG_T_F64:
        return (c->f64 = yg_arena_alloc(a, sizeof(*c->f64) * c->cap)) != NULL;
    case YG_T_ID:
        return (c->ids = yg_arena_alloc(a, sizeof(*c->ids) * c->cap)) != NULL;
    case YG_TYPE_COUNT:
        break;
    }
    return false;
}

yg_rc yg_columns_alloc(struct yg_columns *cs, struct yg_err *err) {
    for (uint32_t i = 0; i < cs->col_count; i++) {
        struct yg_column *c = &cs->cols[i];
        c->rows = yg_arena_alloc(cs->arena, sizeof(*c->rows) * c->cap);
        if (c->rows == NULL || !alloc_values(cs->arena, c))
            return no_memory(err);
    }
    return YG_OK;
}

// ------------------------------------------------------------ strings

static bool slots_grow(struct yg_columns *cs, struct yg_column *c) {
    uint32_t cap = c->slot_cap ? c->slot_cap * 4 : 64;
    uint32_t *slots = YG_NEW_N(cs->arena, uint32_t, cap);
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < c->dict_count; i++) {
        uint32_t at = c->dict_hash[i] & (cap - 1);
        while (slots[at])
            at = (at + 1) & (cap - 1);
        slots[at] = i + 1;
    }
    c->slots = slots;
    c->slot_cap = cap;
    return true;
}

// Code of s in the column's dictionary; YG_COLUMN_NONE when memory is used up.
static uint32_t intern(struct yg_columns *cs, struct yg_column *c, yg_str s) {
    if (c->dict_count >= c->slot_cap / 2 && !slots_grow(cs, c))
        return YG_COLUMN_NONE;
    uint32_t hash = (uint32_t)yg_hash_str(s);
    uint32_t at = hash & (c->slot_cap - 1);
    for (; c->slots[at]; at = (at + 1) & (c->slot_cap - 1)) {
        uint32_t i = c->slots[at] - 1;
        if (c->dict_hash[i] == hash && yg_str_eq(c->dict[i], s))
            return i;
    }
    if (c->dict_count == c->dict_cap) {
        uint32_t cap = c->dict_cap;
        uint32_t *hashes = yg_arena_grow(cs->arena, c->dict_hash, &cap, sizeof(*hashes));
        yg_str *dict = yg_arena_grow(cs->arena, c->dict, &c->dict_cap, sizeof(*dict));
        if (hashes == NULL || dict == NULL)
            return YG_COLUMN_NONE;
        YG_ASSERT(cap == c->dict_cap);
        c->dict_hash = hashes;
        c->dict = dict;
    }
    c->slots[at] = c->dict_count + 1;
    c->dict[c->dict_count] = s;
    c->dict_hash[c->dict_count] = hash;
    return c->dict_count++;
}

// Hardly any repeats: from now on the strings themselves.
static yg_rc make_plain(struct yg_columns *cs, struct yg_column *c, struct yg_err *err) {
    c->strs = yg_arena_alloc(cs->arena, sizeof(*c->strs) * c->cap);
    if (c->strs == NULL)
        return no_memory(err);
    for (uint32_t k = 0; k < c->count; k++)
        c->strs[k] = c->dict[c->codes[k]];
    c->interned = false;
    return YG_OK;
}

static bool wants_plain(const struct yg_column *c) {
    return c->interned && c->count >= PLAIN_CHECK_VALUES && c->dict_count > c->count / 4 * 3;
}

static yg_rc add_coded(struct yg_columns *cs, struct yg_column *c,
                       const struct yg_column_source *src, const uint32_t *sel, uint32_t n,
                       struct yg_err *err) {
    uint32_t *remap = yg_alloc(YG_MEM_STORE, sizeof(*remap) * (src->dict_count + 1u));
    memset(remap, 0xff, sizeof(*remap) * (src->dict_count + 1u));
    uint32_t *out = c->codes + c->count;
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t code = src->codes[sel ? sel[i] : i];
        if (remap[code] == YG_COLUMN_NONE &&
            (remap[code] = intern(cs, c, src->dict[code])) == YG_COLUMN_NONE) {
            rc = no_memory(err);
            break;
        }
        out[i] = remap[code];
    }
    yg_free(YG_MEM_STORE, remap);
    return rc;
}

static yg_rc add_strings(struct yg_columns *cs, struct yg_column *c,
                         const struct yg_column_source *src, const uint32_t *sel, uint32_t n,
                         struct yg_err *err) {
    if (wants_plain(c))
        YG_TRY(make_plain(cs, c, err));
    if (c->interned && src->codes)
        return add_coded(cs, c, src, sel, n, err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = sel ? sel[i] : i;
        yg_str s = src->codes ? src->dict[src->codes[k]] : src->strs[k];
        if (!c->interned)
            c->strs[c->count + i] = s;
        else if ((c->codes[c->count + i] = intern(cs, c, s)) == YG_COLUMN_NONE)
            return no_memory(err);
    }
    return YG_OK;
}

// ------------------------------------------------------------ adding values

#define GATHER(field)                                                                              \
    do {                                                                                           \
        if (sel == NULL)                                                                           \
            memcpy(c->field + c->count, src->field, sizeof(*c->field) * n);                        \
        else                                                                                       \
            for (uint32_t i = 0; i < n; i++)                                                       \
                c->field[c->count + i] = src->field[sel[i]];                                       \
    } while (0)

yg_rc yg_column_add(struct yg_columns *cs, uint32_t col, const struct yg_column_source *src,
                    const uint32_t *sel, const uint32_t *rows, uint32_t n, struct yg_err *err) {
    struct yg_column *c = &cs->cols[col];
    YG_ASSERT(c->type == src->type && n <= c->cap - c->count);
    if (n == 0)
        return YG_OK;
    memcpy(c->rows + c->count, rows, sizeof(*rows) * n);
    switch (c->type) {
    case YG_T_STR:
    case YG_T_JSON:
        YG_TRY(add_strings(cs, c, src, sel, n, err));
        break;
    case YG_T_I64:
    case YG_T_BOOL:
        GATHER(i64);
        break;
    case YG_T_F64:
        GATHER(f64);
        break;
    case YG_T_ID:
        GATHER(ids);
        break;
    case YG_TYPE_COUNT:
        break;
    }
    c->count += n;
    return YG_OK;
}

void yg_column_add_i64(struct yg_columns *cs, uint32_t col, uint32_t row, int64_t v) {
    struct yg_column *c = &cs->cols[col];
    YG_ASSERT(c->i64 != NULL && c->count < c->cap);
    c->rows[c->count] = row;
    c->i64[c->count++] = v;
}

// ------------------------------------------------------------ parts of batches

// Rows are numbered here, whatever a client calls its attributes; the store's own trace rows come
// with numbers of theirs.
static bool own_numbers(const struct yg_columns *cs) {
    return cs->track == YG_TRACK_TRACES;
}

static bool skipped(const struct yg_columns *cs, const struct yg_batch_col *c) {
    return c->count == 0 || (!own_numbers(cs) && yg_str_eq_c(c->name, YG_COL_SEQ));
}

yg_rc yg_columns_want_parts(struct yg_columns *cs, const struct yg_columns_part *parts,
                            uint32_t part_count, uint32_t ***ret_map, struct yg_err *err) {
    uint32_t **map = YG_NEW_N(cs->arena, uint32_t *, part_count);
    if (map == NULL)
        return no_memory(err);
    uint32_t unused, rows = 0;
    for (uint32_t p = 0; p < part_count; p++) {
        const struct yg_batch *b = parts[p].batch;
        rows += parts[p].row_count;
        map[p] = YG_NEW_N(cs->arena, uint32_t, b->col_count + 1u);
        if (map[p] == NULL)
            return no_memory(err);
        for (uint32_t i = 0; i < b->col_count; i++) {
            const struct yg_batch_col *c = &b->cols[i];
            map[p][i] = YG_COLUMN_NONE;
            if (skipped(cs, c))
                continue;
            uint32_t more = c->count < parts[p].row_count ? c->count : parts[p].row_count;
            YG_TRY(yg_columns_want(cs, c->name, c->type, more, &map[p][i], err));
        }
    }
    YG_TRY(yg_columns_want(cs, YG_STR(YG_COL_SEQ), YG_T_I64, own_numbers(cs) ? 0 : rows, &unused,
                           err));
    YG_TRY(yg_columns_want(cs, YG_STR(YG_COL_TIME), YG_T_I64, 0, &unused, err));
    // Rows without a time get one: room for all of them.
    struct yg_column *time = &cs->cols[unused];
    uint32_t missing = 0;
    for (uint32_t p = 0; p < part_count; p++) {
        const struct yg_batch_col *t = yg_batch_find(parts[p].batch, YG_STR(YG_COL_TIME), YG_T_I64);
        if (t == NULL || t->count < parts[p].batch->row_count)
            missing += parts[p].row_count;
    }
    time->cap += missing;
    *ret_map = map;
    return YG_OK;
}

struct scratch {
    uint32_t *rows; // row numbers in the set
    uint32_t *sel;  // the batch column's values
    uint32_t cap;
};

static void scratch_reserve(struct scratch *s, uint32_t n) {
    if (n <= s->cap)
        return;
    s->cap = n;
    s->rows = yg_realloc(YG_MEM_STORE, s->rows, sizeof(*s->rows) * n);
    s->sel = yg_realloc(YG_MEM_STORE, s->sel, sizeof(*s->sel) * n);
}

static void scratch_fini(struct scratch *s) {
    yg_free(YG_MEM_STORE, s->rows);
    yg_free(YG_MEM_STORE, s->sel);
}

static yg_rc add_batch_col(struct yg_columns *cs, uint32_t col, const struct yg_batch_col *c,
                           const struct yg_columns_part *part, uint32_t base, struct scratch *s,
                           struct yg_err *err) {
    struct yg_column_source src = {
        .type = c->type,
        .codes = c->interned ? c->codes : NULL,
        .dict = c->dict,
        .dict_count = c->interned ? c->dict_count : 0,
        .strs = c->strs,
        .i64 = c->i64,
        .f64 = c->f64,
        .ids = c->ids,
    };
    scratch_reserve(s, c->count);
    uint32_t n = 0;
    if (part->remap == NULL) {
        for (; n < c->count; n++)
            s->rows[n] = base + c->rows[n];
        return yg_column_add(cs, col, &src, NULL, s->rows, n, err);
    }
    for (uint32_t k = 0; k < c->count; k++) {
        uint32_t row = part->remap[c->rows[k]];
        s->rows[n] = base + row;
        s->sel[n] = k;
        n += row != YG_COLUMN_NONE;
    }
    return yg_column_add(cs, col, &src, s->sel, s->rows, n, err);
}

// The part's times, with the moment of receipt for rows that have none.
static void add_times(struct yg_columns *cs, uint32_t col, const struct yg_columns_part *part,
                      const struct yg_batch_col *time, uint32_t base) {
    uint32_t k = 0;
    for (uint32_t r = 0; r < part->batch->row_count; r++) {
        uint32_t row = part->remap ? part->remap[r] : r;
        bool has = time && k < time->count && time->rows[k] == r;
        if (row != YG_COLUMN_NONE)
            yg_column_add_i64(cs, col, base + row, has ? time->i64[k] : part->batch->received_ns);
        k += has;
    }
}

yg_rc yg_columns_add_parts(struct yg_columns *cs, const struct yg_columns_part *parts,
                           uint32_t part_count, uint32_t **map, struct yg_err *err) {
    struct scratch s = {0};
    uint32_t seq_col = find_col(cs, YG_STR(YG_COL_SEQ), YG_T_I64);
    uint32_t time_col = find_col(cs, YG_STR(YG_COL_TIME), YG_T_I64);
    YG_ASSERT(seq_col != YG_COLUMN_NONE && time_col != YG_COLUMN_NONE);
    yg_rc rc = YG_OK;
    for (uint32_t p = 0; p < part_count && rc == YG_OK; p++) {
        const struct yg_batch *b = parts[p].batch;
        const struct yg_batch_col *time = yg_batch_find(b, YG_STR(YG_COL_TIME), YG_T_I64);
        bool fill = time == NULL || time->count < b->row_count;
        uint32_t base = cs->row_count;
        for (uint32_t i = 0; i < b->col_count && rc == YG_OK; i++)
            if (map[p][i] != YG_COLUMN_NONE && !(fill && map[p][i] == time_col))
                rc = add_batch_col(cs, map[p][i], &b->cols[i], &parts[p], base, &s, err);
        if (fill)
            add_times(cs, time_col, &parts[p], time, base);
        for (uint32_t r = 0; r < b->row_count && !own_numbers(cs); r++) {
            uint32_t row = parts[p].remap ? parts[p].remap[r] : r;
            if (row != YG_COLUMN_NONE)
                yg_column_add_i64(cs, seq_col, base + row, (int64_t)(b->sequence << 20 | r));
        }
        cs->row_count += parts[p].row_count;
    }
    scratch_fini(&s);
    return rc;
}

yg_rc yg_columns_of_parts(enum yg_track track, const struct yg_columns_part *parts,
                          uint32_t part_count, struct yg_columns **ret_cs, struct yg_err *err) {
    struct yg_columns *cs = yg_columns_create(track, YG_MEM_STORE, SETS_MAX_BYTES);
    if (cs == NULL)
        return no_memory(err);
    uint32_t **map;
    yg_rc rc = yg_columns_want_parts(cs, parts, part_count, &map, err);
    if (rc == YG_OK)
        rc = yg_columns_alloc(cs, err);
    if (rc == YG_OK)
        rc = yg_columns_add_parts(cs, parts, part_count, map, err);
    if (rc == YG_OK)
        *ret_cs = cs;
    else
        yg_columns_destroy(cs);
    return rc;
}
