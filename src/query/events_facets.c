// SPDX-License-Identifier: Apache-2.0
// Names of the fields seen in a time range, counted over the newest rows.
#include "query/events_int.h"

#include "base/map.h"
#include "base/mem.h"

#define SAMPLE_ROWS 65536u
#define FACETS_MAX 5000u // names past it are left out

struct facets {
    struct yg_arena *arena;
    struct yg_map index; // kind and name → place + 1
    struct yg_facet *list;
    uint32_t count, cap;
};

static struct yg_facet *facet_for(struct facets *f, yg_str name, enum yg_field_kind kind,
                                  enum yg_type type) {
    char key_text[512];
    int len = snprintf(key_text, sizeof(key_text), "%d%.*s", (int)kind, YG_STR_FMT(name));
    if (len < 0 || (size_t)len >= sizeof(key_text))
        return NULL; // longer names are no facets
    yg_str key = {key_text, (size_t)len};
    uint64_t *place = yg_map_get(&f->index, key);
    if (place)
        return &f->list[*place - 1];
    if (f->count >= FACETS_MAX || !YG_ARENA_GROW(f->arena, f->list, f->count, f->cap))
        return NULL;
    struct yg_facet *facet = &f->list[f->count];
    *facet = (struct yg_facet){.name = yg_arena_str(f->arena, name), .kind = kind, .type = type};
    if (facet->name.ptr == NULL)
        return NULL;
    *yg_map_put(&f->index, key, NULL) = ++f->count;
    return facet;
}

static uint64_t rows_present(const struct yg_vec *v, const uint64_t *rows, uint32_t row_count) {
    uint64_t sum = 0;
    for (uint32_t w = 0; w < YG_BITS_WORDS(row_count); w++)
        sum +=
            (uint64_t)__builtin_popcountll(rows[w] & (v->present ? v->present[w] : ~UINT64_C(0)));
    return sum;
}

// `times` rows carry this tag set.
static void count_tags(struct facets *f, yg_str tags, uint64_t times) {
    yg_str tag, seen[64];
    uint32_t seen_count = 0;
    while (yg_str_split(&tags, ',', &tag)) {
        size_t colon = yg_str_find_char(tag, ':', 0);
        if (colon == SIZE_MAX || colon == 0)
            continue;
        yg_str key = yg_str_sub(tag, 0, colon);
        bool again = false;
        for (uint32_t i = 0; i < seen_count; i++)
            again |= yg_str_eq(seen[i], key);
        if (again)
            continue;
        if (seen_count < 64)
            seen[seen_count++] = key;
        struct yg_facet *facet = facet_for(f, key, YG_FIELD_TAG, YG_T_STR);
        if (facet)
            facet->count += times;
    }
}

static yg_rc count_tag_column(struct facets *f, struct yg_block *b, const struct yg_vec *v,
                              const uint64_t *rows, struct yg_err *err) {
    uint32_t *times = NULL;
    if (v->dict) {
        times = YG_NEW_N(b->arena, uint32_t, v->dict->count + 1);
        if (times == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory for %u tag sets", v->dict->count);
    }
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1)) {
        if (!yg_vec_has(v, r))
            continue;
        if (times)
            times[v->codes[r]]++;
        else
            count_tags(f, v->strs[r], 1);
    }
    for (uint32_t c = 0; times && c < v->dict->count; c++)
        if (times[c] > 0)
            count_tags(f, v->dict->strs[c], times[c]);
    return YG_OK;
}

static yg_rc count_block(struct facets *f, struct yg_scan *s, struct yg_block *b,
                         const uint64_t *rows, struct yg_err *err) {
    yg_str name;
    enum yg_type type;
    for (uint32_t i = 0; b->ops->column_at(b, i, &name, &type); i++) {
        if (name.len == 0 || name.ptr[0] == '_' || yg_str_eq_c(name, YG_COL_TIME))
            continue;
        const struct yg_vec *v = NULL;
        struct yg_vec_stats stats = {0};
        struct yg_err local = {0};
        bool tags = yg_str_eq_c(name, YG_COL_TAGS);
        b->ops->stats(b, name, type, &stats);
        if (stats.known && stats.count == 0)
            continue;
        uint64_t count = stats.count;
        // Statistics suffice when every row of the block is meant.
        if (tags || !stats.known || yg_bits_count(rows, b->row_count) != b->row_count) {
            yg_rc rc = yg_scan_column(b, name, type, &v, &local);
            if (rc != YG_OK && !yg_scan_survives(s, &local)) {
                if (err)
                    *err = local;
                return rc;
            }
            if (v == NULL)
                continue;
            count = rows_present(v, rows, b->row_count);
        }
        if (tags)
            YG_TRY(count_tag_column(f, b, v, rows, err));
        struct yg_facet *facet =
            facet_for(f, name, name.ptr[0] == '@' ? YG_FIELD_ATTR : YG_FIELD_RESERVED, type);
        if (facet)
            facet->count += count;
    }
    return YG_OK;
}

static int most_first(const void *a, const void *b) {
    const struct yg_facet *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return yg_str_cmp(x->name, y->name);
}

yg_rc yg_events_facets(struct yg_store *store, enum yg_track track, struct yg_time_range range,
                       struct yg_arena *arena, struct yg_facet **ret_facets, uint32_t *ret_count,
                       uint64_t *ret_sampled, struct yg_err *err) {
    struct yg_event_query q = {.track = track, .range = range};
    struct yg_warnings warnings = {0};
    struct yg_query_stats stats = {0};
    struct facets f = {.arena = arena, .index = YG_MAP(YG_MEM_QUERY, true)};
    struct yg_scan scan;
    uint64_t rows[YG_BITS_WORDS(YG_GRANULE_ROWS)];
    YG_TRY(
        yg_scan_open(store, &q, true, YG_SCAN_NEWEST_FIRST, arena, &warnings, &stats, &scan, err));
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; rc == YG_OK && i < scan.granule_count && stats.rows_matched < SAMPLE_ROWS;
         i++) {
        struct yg_block *b = NULL;
        rc = yg_scan_granule(&scan, i, &b, rows, err);
        if (rc == YG_OK && b)
            rc = count_block(&f, &scan, b, rows, err);
    }
    yg_scan_fini(&scan);
    yg_map_fini(&f.index);
    if (rc != YG_OK)
        return rc;
    if (f.count > 1)
        qsort(f.list, f.count, sizeof(f.list[0]), most_first);
    *ret_facets = f.list;
    *ret_count = f.count;
    *ret_sampled = stats.rows_matched;
    return YG_OK;
}
