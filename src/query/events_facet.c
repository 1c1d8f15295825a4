// SPDX-License-Identifier: Apache-2.0
// Values of a facet by row, as ids: dictionaries are read once per code, numbers once per distinct
// number, other columns value by value.
#include "query/events_agg.h"

#include <math.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/panic.h"

#define CACHES 4u
#define NONE YG_NONE
#define UNREAD (YG_NONE - 1) // a code that no row had so far
#define SEVERAL (YG_NONE - 2)

// Values by code of one dictionary; code_count stands for rows without a value.
struct yg_facet_cache {
    uint64_t uid; // 0 = free
    uint32_t code_count;
    uint32_t *value; // the one id, NONE, SEVERAL or UNREAD
    uint32_t *tally; // rows by code of the open granule; zero between granules
    uint32_t *first;
    uint16_t *counts;
    uint32_t *pool;
    uint32_t pool_len, pool_cap;
};

struct yg_facet_number {
    uint64_t bits;
    uint32_t id; // NONE = free
    enum yg_type type;
};

static void cache_fini(struct yg_facet_cache *c) {
    yg_free(YG_MEM_QUERY, c->value);
    yg_free(YG_MEM_QUERY, c->tally);
    yg_free(YG_MEM_QUERY, c->first);
    yg_free(YG_MEM_QUERY, c->counts);
    yg_free(YG_MEM_QUERY, c->pool);
    *c = (struct yg_facet_cache){0};
}

void yg_facet_table_fini(struct yg_facet_table *t) {
    yg_map_fini(&t->ids);
    for (uint32_t i = 0; t->caches && i < CACHES; i++)
        cache_fini(&t->caches[i]);
    yg_free(YG_MEM_QUERY, t->caches);
    yg_free(YG_MEM_QUERY, t->own_pool);
    yg_free(YG_MEM_QUERY, t->numbers);
    t->caches = NULL;
    t->own_pool = NULL;
    t->numbers = NULL;
}

// A new id; NONE without memory.
static uint32_t new_id(struct yg_facet_table *t, yg_str text, struct yg_value value) {
    uint32_t cap = t->cap;
    if (!YG_ARENA_GROW(t->arena, t->values, t->count, cap))
        return NONE;
    cap = t->cap;
    if (!YG_ARENA_GROW(t->arena, t->texts, t->count, cap))
        return NONE;
    t->cap = cap;
    t->texts[t->count] = text;
    t->values[t->count] = value;
    return t->count++;
}

uint32_t yg_facet_table_id(struct yg_facet_table *t, yg_str text, struct yg_value value) {
    bool is_new = false;
    uint64_t *known = yg_map_get(&t->ids, text);
    if (known) { // 200 and "200" are one value: the same type wins whichever comes first
        uint32_t id = (uint32_t)*known - 1;
        if (value.type < t->values[id].type) {
            t->values[id] = value;
            if (value.type == YG_T_STR)
                t->values[id].str = t->texts[id];
        }
        return id;
    }
    yg_str copy = yg_arena_str(t->arena, text);
    if (copy.ptr == NULL && text.len > 0)
        return NONE;
    if (value.type == YG_T_STR || value.type == YG_T_JSON)
        value.str = copy;
    uint32_t id = new_id(t, copy, value);
    if (id != NONE)
        *yg_map_put(&t->ids, copy, &is_new) = (uint64_t)id + 1;
    return id;
}

yg_rc yg_facet_table_init(struct yg_facet_table *t, const struct yg_group_by *group,
                          struct yg_arena *arena, struct yg_err *err) {
    t->group = group;
    t->arena = arena;
    t->ids = YG_MAP(YG_MEM_QUERY, false);
    t->missing_id = t->total_id = NONE;
    t->caches = yg_calloc(YG_MEM_QUERY, CACHES, sizeof(*t->caches));
    struct yg_value text = {.type = YG_T_STR};
    if (group->has_missing) {
        text.str = group->missing;
        t->missing_id = yg_facet_table_id(t, group->missing, text);
    }
    if (group->has_total) {
        text.str = group->total;
        t->total_id = new_id(t, group->total, text);
    }
    if ((group->has_missing && t->missing_id == NONE) || (group->has_total && t->total_id == NONE))
        return yg_fail(err, YG_ENOMEM, "no memory for groups");
    return YG_OK;
}

static void list_add(struct yg_facet_table *t, uint32_t id) {
    if (id == NONE) {
        t->failed = true;
        return;
    }
    if (t->pool_len - t->list_from >= YG_FACET_VALUES_MAX)
        return;
    for (uint32_t i = t->list_from; i < t->pool_len; i++)
        if (t->own_pool[i] == id)
            return; // a row counts once per group
    YG_GROW(YG_MEM_QUERY, t->own_pool, t->pool_len, t->pool_cap);
    t->own_pool[t->pool_len++] = id;
}

// ------------------------------------------------------------ numbers

static uint32_t number_place(const struct yg_facet_table *t, enum yg_type type, uint64_t bits) {
    uint32_t mask = t->number_cap - 1;
    uint32_t i = (uint32_t)(yg_hash_u64(bits) + (uint64_t)type) & mask;
    while (t->numbers[i].id != NONE && (t->numbers[i].bits != bits || t->numbers[i].type != type))
        i = (i + 1) & mask;
    return i;
}

static bool grow_numbers(struct yg_facet_table *t) {
    struct yg_facet_number *old = t->numbers;
    uint32_t old_cap = t->number_cap, cap = old_cap ? old_cap * 2 : 256;
    struct yg_facet_number *numbers = yg_try_alloc(YG_MEM_QUERY, sizeof(*numbers) * cap);
    if (numbers == NULL)
        return false;
    for (uint32_t i = 0; i < cap; i++)
        numbers[i].id = NONE;
    t->numbers = numbers;
    t->number_cap = cap;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i].id != NONE)
            numbers[number_place(t, old[i].type, old[i].bits)] = old[i];
    yg_free(YG_MEM_QUERY, old);
    return true;
}

// The id of an I64, F64 or BOOL.
static uint32_t id_of_number(struct yg_facet_table *t, const struct yg_value *v) {
    uint64_t bits = 0;
    memcpy(&bits, &v->i64, sizeof(bits));
    if (t->number_count * 2 >= t->number_cap && !grow_numbers(t))
        return NONE;
    struct yg_facet_number *n = &t->numbers[number_place(t, v->type, bits)];
    if (n->id == NONE) {
        uint32_t id = yg_facet_table_id(t, yg_value_text(v, t->arena), *v);
        if (id == NONE)
            return NONE;
        *n = (struct yg_facet_number){.bits = bits, .id = id, .type = v->type};
        t->number_count++;
    }
    return n->id;
}

// The lower end of the interval that holds the number; false when it is outside.
static bool histogram_value(const struct yg_group_by *g, const struct yg_value *v, double *ret) {
    double n;
    if (!yg_value_number(v, &n) || !(n >= g->hist_min && n < g->hist_max))
        return false;
    *ret = g->hist_min + floor((n - g->hist_min) / g->hist_interval) * g->hist_interval;
    return true;
}

static uint32_t id_of_value(struct yg_facet_table *t, const struct yg_value *v) {
    if (v->type == YG_T_STR || v->type == YG_T_JSON)
        return yg_facet_table_id(t, v->str, *v);
    if (v->type == YG_T_ID)
        return yg_facet_table_id(t, yg_value_text(v, t->arena), *v);
    return id_of_number(t, v);
}

static void add_value(void *ctx, const struct yg_value *v) {
    struct yg_facet_table *t = ctx;
    struct yg_value cut = {.type = YG_T_F64};
    if (t->group->histogram) {
        if (!histogram_value(t->group, v, &cut.f64))
            return;
        v = &cut;
    }
    list_add(t, id_of_value(t, v));
}

// Reads the list of one row to the end of own_pool; returns its length.
static uint16_t read_list(struct yg_facet_table *t, const struct yg_field_view *view,
                          uint32_t row) {
    t->list_from = t->pool_len;
    yg_field_view_values(view, row, add_value, t);
    if (t->pool_len == t->list_from && t->missing_id != NONE)
        list_add(t, t->missing_id);
    if (t->total_id != NONE)
        list_add(t, t->total_id);
    return (uint16_t)(t->pool_len - t->list_from);
}

// ------------------------------------------------------------ dictionaries

static struct yg_facet_cache *cache_for(struct yg_facet_table *t, const struct yg_dict *dict) {
    for (uint32_t i = 0; i < CACHES; i++)
        if (t->caches[i].uid == dict->uid && t->caches[i].code_count == dict->count)
            return &t->caches[i];
    struct yg_facet_cache *c = &t->caches[t->cache_next++ % CACHES];
    cache_fini(c);
    size_t n = (size_t)dict->count + 1;
    c->value = yg_try_alloc(YG_MEM_QUERY, sizeof(uint32_t) * n);
    c->first = yg_try_alloc(YG_MEM_QUERY, sizeof(uint32_t) * n);
    c->counts = yg_try_alloc(YG_MEM_QUERY, sizeof(uint16_t) * n);
    c->tally = yg_try_alloc(YG_MEM_QUERY, sizeof(uint32_t) * n);
    if (c->value == NULL || c->first == NULL || c->counts == NULL || c->tally == NULL) {
        cache_fini(c);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        c->value[i] = UNREAD;
    memset(c->tally, 0, sizeof(uint32_t) * n);
    c->uid = dict->uid;
    c->code_count = dict->count;
    return c;
}

static void read_code(struct yg_facet_table *t, struct yg_facet_cache *c,
                      const struct yg_field_view *view, uint32_t code, uint32_t row) {
    t->pool_len = 0;
    uint16_t count = read_list(t, view, row);
    c->first[code] = c->pool_len;
    c->counts[code] = count;
    c->value[code] = count == 0 ? NONE : count == 1 ? t->own_pool[0] : SEVERAL;
    for (uint32_t i = 0; i < count; i++) {
        YG_GROW(YG_MEM_QUERY, c->pool, c->pool_len, c->pool_cap);
        c->pool[c->pool_len++] = t->own_pool[i];
    }
}

static yg_rc read_by_code(struct yg_facet_table *t, const struct yg_field_view *view,
                          const struct yg_row_list *list, struct yg_err *err) {
    const struct yg_vec *v = view->sources[0].vec;
    struct yg_facet_cache *c = cache_for(t, v->dict);
    if (c == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a dictionary of %u values", v->dict->count);
    uint32_t n = v->constant && list->count > 0 ? 1 : list->count;
    bool several = false;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = list->rows[k];
        uint32_t code = yg_vec_has(v, row) ? v->codes[row] : c->code_count;
        if (c->value[code] == UNREAD)
            read_code(t, c, view, code, row);
        t->one[k] = c->value[code];
        several |= t->one[k] == SEVERAL;
    }
    t->single = !several;
    if (t->single) {
        t->is_constant = v->constant;
        t->constant = n > 0 ? t->one[0] : NONE;
        return YG_OK;
    }
    for (uint32_t k = 0; k < list->count; k++) {
        uint32_t row = list->rows[k];
        uint32_t code = yg_vec_has(v, row) ? v->codes[row] : c->code_count;
        t->first[k] = c->first[code];
        t->counts[k] = c->counts[code];
    }
    t->pool = c->pool;
    return YG_OK;
}

// ------------------------------------------------------------ rows by value

// True when neighbours mostly have the same code, as in a sorted stripe.
static bool has_runs(const uint32_t *codes, uint32_t n) {
    uint32_t same = 0, looked = 0;
    for (uint32_t i = 0; i + 16 < n; i += 256, looked++)
        same += codes[i] == codes[i + 16];
    return looked > 0 && same * 4 >= looked * 3;
}

static void tally_runs(const uint32_t *codes, uint32_t n, uint32_t *tally) {
    for (uint32_t from = 0, to; from < n; from = to) {
        uint32_t code = codes[from];
        to = from + 1;
        while (to + 8 <= n) { // eight at a time
            uint32_t differ = 0;
            for (uint32_t i = 0; i < 8; i++)
                differ |= codes[to + i] ^ code;
            if (differ)
                break;
            to += 8;
        }
        while (to < n && codes[to] == code)
            to++;
        tally[code] += to - from;
    }
}

// Four tallies, so that equal neighbours do not wait for each other.
#define TALLY_CODES_MAX 512u
static void tally_few(const uint32_t *codes, uint32_t n, uint32_t count, uint32_t *tally) {
    uint32_t of[4][TALLY_CODES_MAX];
    for (uint32_t k = 0; k < 4; k++)
        memset(of[k], 0, sizeof(of[k][0]) * count);
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        of[0][codes[i]]++;
        of[1][codes[i + 1]]++;
        of[2][codes[i + 2]]++;
        of[3][codes[i + 3]]++;
    }
    for (; i < n; i++)
        of[0][codes[i]]++;
    for (uint32_t c = 0; c < count; c++)
        tally[c] += of[0][c] + of[1][c] + of[2][c] + of[3][c];
}

static void tally_rows(const struct yg_vec *v, const uint64_t *rows, uint32_t row_count,
                       struct yg_facet_cache *c) {
    if (v->present == NULL && yg_bits_count(rows, row_count) == row_count) {
        if (v->constant)
            c->tally[v->codes[0]] += row_count;
        else if (has_runs(v->codes, row_count))
            tally_runs(v->codes, row_count, c->tally);
        else if (v->dict->count <= TALLY_CODES_MAX)
            tally_few(v->codes, row_count, v->dict->count, c->tally);
        else
            for (uint32_t r = 0; r < row_count; r++)
                c->tally[v->codes[r]]++;
        return;
    }
    for (uint32_t w = 0; w < YG_BITS_WORDS(row_count); w++) {
        uint64_t present = v->present ? v->present[w] : ~UINT64_C(0);
        c->tally[c->code_count] += (uint32_t)__builtin_popcountll(rows[w] & ~present);
        for (uint64_t word = rows[w] & present; word; word &= word - 1)
            c->tally[v->codes[w * 64 + (uint32_t)__builtin_ctzll(word)]]++;
    }
}

// A row that has the code; one there must be. Sixteen rows at a time.
static uint32_t row_of_code(const struct yg_vec *v, uint32_t code, uint32_t row_count) {
    uint32_t r = 0;
    while (r + 16 <= row_count) {
        uint32_t any = 0;
        for (uint32_t i = 0; i < 16; i++)
            any |= v->codes[r + i] == code;
        for (uint32_t i = 0; any && i < 16; i++)
            if (v->codes[r + i] == code && yg_vec_has(v, r + i))
                return r + i;
        r += 16;
    }
    while (r + 1 < row_count && (v->codes[r] != code || !yg_vec_has(v, r)))
        r++;
    return r;
}

static uint32_t row_without(const struct yg_vec *v, uint32_t row_count) {
    uint32_t r = 0;
    while (r + 1 < row_count && yg_vec_has(v, r))
        r++;
    return r;
}

// A row of every code, in t->one: for many codes at once.
static void note_rows(struct yg_facet_table *t, const struct yg_vec *v, uint32_t row_count) {
    for (uint32_t r = 0; r < row_count; r++)
        t->one[yg_vec_has(v, r) ? v->codes[r] : v->dict->count] = r;
}

#define SEARCHES_MAX 8u // codes of a granule that are looked for one by one

static uint32_t count_unread(const struct yg_facet_cache *c) {
    uint32_t unread = 0;
    for (uint32_t code = 0; code <= c->code_count; code++)
        unread += c->tally[code] != 0 && c->value[code] == UNREAD;
    return unread;
}

yg_rc yg_facet_table_tally(struct yg_facet_table *t, struct yg_block *b, const uint64_t *rows,
                           yg_rc (*add)(void *ctx, uint32_t id, uint32_t count, struct yg_err *err),
                           void *ctx, bool *ret_done, struct yg_err *err) {
    struct yg_field_view view;
    YG_TRY(yg_field_view_open(&t->group->facet, b, &view, err));
    *ret_done = view.count == 1 && view.sources[0].vec->dict != NULL &&
                view.sources[0].vec->dict->count < YG_GRANULE_ROWS;
    if (!*ret_done)
        return YG_OK;
    const struct yg_vec *v = view.sources[0].vec;
    struct yg_facet_cache *c = cache_for(t, v->dict);
    if (c == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a dictionary of %u values", v->dict->count);
    tally_rows(v, rows, b->row_count, c);
    yg_rc rc = YG_OK;
    bool noted = count_unread(c) > SEARCHES_MAX;
    if (noted)
        note_rows(t, v, b->row_count);
    for (uint32_t code = 0; code <= c->code_count; code++) {
        uint32_t count = c->tally[code];
        c->tally[code] = 0;
        if (count == 0 || rc != YG_OK)
            continue;
        if (c->value[code] == UNREAD) {
            uint32_t row = noted                   ? t->one[code]
                           : code == c->code_count ? row_without(v, b->row_count)
                                                   : row_of_code(v, code, b->row_count);
            read_code(t, c, &view, code, row);
        }
        for (uint32_t i = 0; rc == YG_OK && !t->failed && i < c->counts[code]; i++)
            rc = add(ctx, c->pool[c->first[code] + i], count, err);
    }
    if (rc == YG_OK && t->failed)
        rc = yg_fail(err, YG_ENOMEM, "no memory for groups");
    return rc;
}

// ------------------------------------------------------------ columns without a dictionary

static bool is_plain(const struct yg_facet_table *t, const struct yg_field_view *view) {
    enum yg_type type = view->sources[0].vec->type;
    return view->count == 1 && view->sources[0].kind == YG_SOURCE_COLUMN && type != YG_T_JSON &&
           t->total_id == NONE;
}

// One value a row at most.
static void read_plain(struct yg_facet_table *t, const struct yg_vec *v,
                       const struct yg_row_list *list) {
    t->single = true;
    struct yg_value last = {.type = YG_T_I64};
    uint32_t last_id = NONE; // neighbours are often equal
    for (uint32_t k = 0; k < list->count; k++) {
        struct yg_value value, cut = {.type = YG_T_F64};
        bool has = yg_vec_value(v, list->rows[k], &value);
        if (has && t->group->histogram) {
            has = histogram_value(t->group, &value, &cut.f64);
            value = cut;
        }
        if (!has) {
            t->one[k] = t->missing_id;
            continue;
        }
        bool known = last_id != NONE && value.type == last.type && value.type != YG_T_STR &&
                     value.i64 == last.i64 &&
                     (value.type != YG_T_ID || yg_id128_eq(value.id, last.id));
        if (!known) {
            last_id = id_of_value(t, &value);
            last = value;
            t->failed |= last_id == NONE;
        }
        t->one[k] = last_id;
    }
}

yg_rc yg_facet_table_read(struct yg_facet_table *t, struct yg_block *b,
                          const struct yg_row_list *list, struct yg_err *err) {
    struct yg_field_view view;
    t->pool_len = 0;
    t->single = t->is_constant = false;
    YG_TRY(yg_field_view_open(&t->group->facet, b, &view, err));
    if (view.count == 0 && t->total_id == NONE) {
        t->single = t->is_constant = true;
        t->constant = t->missing_id;
    } else if (view.count == 1 && view.sources[0].vec->dict) {
        YG_TRY(read_by_code(t, &view, list, err));
    } else if (view.count == 1 && is_plain(t, &view)) {
        read_plain(t, view.sources[0].vec, list);
    } else {
        for (uint32_t k = 0; k < list->count; k++) {
            t->first[k] = t->pool_len;
            t->counts[k] = read_list(t, &view, list->rows[k]);
        }
        t->pool = t->own_pool;
    }
    return t->failed ? yg_fail(err, YG_ENOMEM, "no memory for groups") : YG_OK;
}
