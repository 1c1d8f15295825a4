// SPDX-License-Identifier: Apache-2.0
// Values of a facet by row, as ids: dictionaries are read once per code, other columns value by
// value.
#include "query/events_agg.h"

#include <math.h>

#include "base/mem.h"
#include "base/panic.h"

#define CACHES 8u
#define UNKNOWN UINT32_MAX

// Lists of value ids by code of one dictionary.
struct yg_facet_cache {
    uint64_t uid; // 0 = free
    uint32_t code_count;
    uint32_t *first; // UNKNOWN = not read yet
    uint16_t *counts;
    uint32_t *pool;
    uint32_t pool_len, pool_cap;
};

static void cache_fini(struct yg_facet_cache *c) {
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
    t->caches = NULL;
    t->own_pool = NULL;
}

// A new id; UNKNOWN without memory.
static uint32_t new_id(struct yg_facet_table *t, yg_str text, struct yg_value value) {
    uint32_t cap = t->cap;
    if (!YG_ARENA_GROW(t->arena, t->values, t->count, cap))
        return UNKNOWN;
    cap = t->cap;
    if (!YG_ARENA_GROW(t->arena, t->texts, t->count, cap))
        return UNKNOWN;
    t->cap = cap;
    t->texts[t->count] = text;
    t->values[t->count] = value;
    return t->count++;
}

// The id of a text; `text` is copied when new.
static uint32_t intern(struct yg_facet_table *t, yg_str text, struct yg_value value) {
    uint64_t *known = yg_map_get(&t->ids, text);
    if (known)
        return (uint32_t)*known - 1;
    yg_str copy = yg_arena_str(t->arena, text);
    if (copy.ptr == NULL && text.len > 0)
        return UNKNOWN;
    if (value.type == YG_T_STR || value.type == YG_T_JSON)
        value.str = copy;
    uint32_t id = new_id(t, copy, value);
    if (id != UNKNOWN)
        *yg_map_put(&t->ids, copy, NULL) = (uint64_t)id + 1;
    return id;
}

yg_rc yg_facet_table_init(struct yg_facet_table *t, const struct yg_group_by *group,
                          struct yg_arena *arena, struct yg_err *err) {
    t->group = group;
    t->arena = arena;
    t->ids = YG_MAP(YG_MEM_QUERY, false);
    t->missing_id = t->total_id = UNKNOWN;
    t->caches = yg_calloc(YG_MEM_QUERY, CACHES, sizeof(*t->caches));
    struct yg_value text = {.type = YG_T_STR};
    if (group->has_missing) {
        text.str = group->missing;
        t->missing_id = intern(t, group->missing, text);
    }
    if (group->has_total) {
        text.str = group->total;
        t->total_id = new_id(t, group->total, text);
    }
    if ((group->has_missing && t->missing_id == UNKNOWN) ||
        (group->has_total && t->total_id == UNKNOWN))
        return yg_fail(err, YG_ENOMEM, "no memory for groups");
    return YG_OK;
}

static void list_add(struct yg_facet_table *t, uint32_t id) {
    if (id == UNKNOWN) {
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

// The lower end of the interval that holds the number; false when it is outside.
static bool histogram_value(const struct yg_group_by *g, const struct yg_value *v, double *ret) {
    double n;
    if (!yg_value_number(v, &n) || !(n >= g->hist_min && n < g->hist_max))
        return false;
    *ret = g->hist_min + floor((n - g->hist_min) / g->hist_interval) * g->hist_interval;
    return true;
}

static uint32_t id_of_value(struct yg_facet_table *t, const struct yg_value *v) {
    struct yg_value value = *v;
    if (v->type == YG_T_STR || v->type == YG_T_JSON)
        return intern(t, v->str, value);
    uint64_t bits = 0;
    memcpy(&bits, &v->i64, sizeof(bits)); // ids are not cached: they seldom come twice
    uint32_t slot = (uint32_t)((bits * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
    bool cached = v->type != YG_T_ID;
    if (cached && t->numbers[slot].used && t->numbers[slot].bits == bits &&
        t->numbers[slot].type == v->type)
        return t->numbers[slot].id;
    uint32_t id = intern(t, yg_value_text(v, t->arena), value);
    if (cached && id != UNKNOWN) {
        t->numbers[slot].used = true;
        t->numbers[slot].type = v->type;
        t->numbers[slot].bits = bits;
        t->numbers[slot].id = id;
    }
    return id;
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
    if (t->pool_len == t->list_from && t->missing_id != UNKNOWN)
        list_add(t, t->missing_id);
    if (t->total_id != UNKNOWN)
        list_add(t, t->total_id);
    return (uint16_t)(t->pool_len - t->list_from);
}

static struct yg_facet_cache *cache_for(struct yg_facet_table *t, const struct yg_dict *dict) {
    for (uint32_t i = 0; i < CACHES; i++)
        if (t->caches[i].uid == dict->uid && t->caches[i].code_count == dict->count)
            return &t->caches[i];
    struct yg_facet_cache *c = &t->caches[t->cache_next++ % CACHES];
    cache_fini(c);
    c->first = yg_try_alloc(YG_MEM_QUERY, sizeof(uint32_t) * (dict->count + 1));
    c->counts = yg_try_alloc(YG_MEM_QUERY, sizeof(uint16_t) * (dict->count + 1));
    if (c->first == NULL || c->counts == NULL) {
        cache_fini(c);
        return NULL;
    }
    memset(c->first, 0xff, sizeof(uint32_t) * (dict->count + 1));
    c->uid = dict->uid;
    c->code_count = dict->count;
    return c;
}

// Rows without a value have the list of an absent code: code_count.
static yg_rc read_by_code(struct yg_facet_table *t, const struct yg_field_view *view,
                          struct yg_block *b, const uint64_t *rows, struct yg_err *err) {
    const struct yg_vec *v = view->sources[0].vec;
    struct yg_facet_cache *c = cache_for(t, v->dict);
    if (c == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a dictionary of %u values", v->dict->count);
    uint32_t absent_first = UNKNOWN;
    uint16_t absent_count = 0;
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1)) {
        bool has = yg_vec_has(v, r);
        uint32_t code = has ? v->codes[r] : 0;
        uint32_t *first = has ? &c->first[code] : &absent_first;
        uint16_t *count = has ? &c->counts[code] : &absent_count;
        if (*first == UNKNOWN) {
            t->pool_len = 0;
            *count = read_list(t, view, r);
            *first = c->pool_len;
            for (uint32_t i = 0; i < *count; i++) {
                YG_GROW(YG_MEM_QUERY, c->pool, c->pool_len, c->pool_cap);
                c->pool[c->pool_len++] = t->own_pool[i];
            }
        }
        t->first[r] = *first;
        t->counts[r] = *count;
    }
    t->pool = c->pool;
    return YG_OK;
}

yg_rc yg_facet_table_read(struct yg_facet_table *t, struct yg_block *b, const uint64_t *rows,
                          struct yg_err *err) {
    struct yg_field_view view;
    t->pool_len = 0;
    YG_TRY(yg_field_view_open(&t->group->facet, b, &view, err));
    if (view.count == 1 && view.sources[0].vec->dict) {
        YG_TRY(read_by_code(t, &view, b, rows, err));
    } else {
        for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
             r = yg_bits_next(rows, b->row_count, r + 1)) {
            t->first[r] = t->pool_len;
            t->counts[r] = read_list(t, &view, r);
        }
        t->pool = t->own_pool;
    }
    return t->failed ? yg_fail(err, YG_ENOMEM, "no memory for groups") : YG_OK;
}
