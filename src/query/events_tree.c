// SPDX-License-Identifier: Apache-2.0
// The tree of groups of one aggregation, one level per group-by, filled granule by granule.
//
// A node is one value of one facet below its parent's. Inner nodes carry only the measure that
// their level is sorted by, leaves all computes (and the measure that theirs is sorted by). So the
// top values of the first facet are the true ones, not sums over the second. A row that lacks a
// facet is in no group, unless the group-by says `missing`.
//
// A granule is added column by column: the rows' nodes are found level by level (dictionary codes
// and an array for the first facet, hashing below it), then each measure is added in one loop.
// Where all rows fall into one group (a sorted stripe has such granules), nothing is done per row
// but what the measure asks. Rows with several values of a facet are spread over all their nodes
// first. Reading order: yg_agg_block → add_single or add_lists → flush_level.
#include "query/events_agg.h"

#include "base/hash.h"
#include "base/mem.h"

#define NONE YG_NONE

// Rows of the granule and the accumulators of their node on one level.
struct yg_agg_rows {
    uint32_t count;
    char *one; // all rows belong there
    uint16_t rows[YG_GRANULE_ROWS];
    char *accs[YG_GRANULE_ROWS];
    char *buckets[YG_GRANULE_ROWS];
    uint32_t nodes[YG_GRANULE_ROWS];
};

// ------------------------------------------------------------ setting up

static const struct yg_compute count_compute = {.agg = YG_AGG_COUNT};

static bool same_compute(const struct yg_compute *a, const struct yg_compute *b) {
    return a->agg == b->agg && (a->agg != YG_AGG_PERCENTILE || !(a->q < b->q || a->q > b->q)) &&
           (a->agg == YG_AGG_COUNT ||
            (a->metric.kind == b->metric.kind && yg_str_eq(a->metric.name, b->metric.name)));
}

static yg_rc no_room(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "no memory for an aggregation");
}

// Index of a measure for sorting, made when no compute is the same.
static yg_rc sort_measure(struct yg_agg_tree *a, const struct yg_group_by *g, uint32_t *ret_idx,
                          struct yg_err *err) {
    const struct yg_compute *want = g->has_sort_measure       ? &g->sort
                                    : a->q->compute_count > 0 ? &a->q->computes[0]
                                                              : &count_compute;
    for (*ret_idx = 0; *ret_idx < a->measure_count; (*ret_idx)++)
        if (same_compute(a->measures[*ret_idx].compute, want))
            return YG_OK;
    struct yg_compute *total = YG_NEW(a->arena, struct yg_compute);
    if (total == NULL)
        return no_room(err);
    *total = *want;
    total->timeseries = false;
    return yg_measure_init(&a->measures[a->measure_count++], total, a->q->range, err);
}

static void level_add(struct yg_agg_tree *a, struct yg_agg_level *l, uint32_t measure,
                      bool timeseries) {
    const struct yg_measure *m = &a->measures[measure];
    struct yg_agg_slot *s = &l->slots[l->slot_count++];
    *s = (struct yg_agg_slot){.measure = measure, .timeseries = timeseries, .total_at = l->bytes};
    l->bytes += m->acc_bytes;
    s->buckets_at = l->bytes;
    l->bytes += timeseries ? sizeof(void *) : 0;
}

static yg_rc level_init(struct yg_agg_tree *a, uint32_t depth, struct yg_err *err) {
    struct yg_agg_level *l = &a->levels[depth];
    const struct yg_event_query *q = a->q;
    l->sort_slot = NONE;
    l->slots = YG_NEW_N(a->arena, struct yg_agg_slot, q->compute_count + 1);
    if (l->slots == NULL)
        return no_room(err);
    if (depth == q->group_count)
        for (uint32_t i = 0; i < q->compute_count; i++)
            level_add(a, l, i, q->computes[i].timeseries);
    if (depth > 0) {
        const struct yg_group_by *g = &q->group_by[depth - 1];
        l->table = yg_calloc(YG_MEM_QUERY, 1, sizeof(*l->table));
        YG_TRY(yg_facet_table_init(l->table, g, a->arena, err));
        uint32_t measure = 0;
        if (!g->sort_alphabetical) {
            YG_TRY(sort_measure(a, g, &measure, err));
            for (l->sort_slot = 0; l->sort_slot < l->slot_count; l->sort_slot++)
                if (l->slots[l->sort_slot].measure == measure)
                    break;
            if (l->sort_slot == l->slot_count)
                level_add(a, l, measure, false);
        }
    }
    l->chunk = yg_alloc(YG_MEM_QUERY, sizeof(*l->chunk));
    l->chunk->count = 0;
    l->chunk->one = NULL;
    return YG_OK;
}

static yg_rc init_parts(struct yg_agg_tree *a, struct yg_err *err) {
    const struct yg_event_query *q = a->q;
    a->arena = yg_arena_create(YG_MEM_QUERY, YG_QUERY_MEMORY_BYTES);
    if (a->arena == NULL)
        return no_room(err);
    a->measures = YG_NEW_N(a->arena, struct yg_measure, q->compute_count + q->group_count + 1);
    a->nodes = YG_NEW_N(a->arena, struct yg_agg_node, 64);
    if (a->measures == NULL || a->nodes == NULL)
        return no_room(err);
    for (uint32_t i = 0; i < q->compute_count; i++)
        YG_TRY(yg_measure_init(&a->measures[a->measure_count++], &q->computes[i], q->range, err));
    for (uint32_t depth = 0; depth <= q->group_count; depth++)
        YG_TRY(level_init(a, depth, err));
    a->node_cap = 64;
    a->node_count = 1;
    a->nodes[0] = (struct yg_agg_node){.first_child = NONE, .next_sibling = NONE, .parent = NONE};
    a->nodes[0].accs = yg_arena_calloc(a->arena, 1, a->levels[0].bytes + 1);
    return a->nodes[0].accs ? YG_OK : no_room(err);
}

yg_rc yg_agg_init(struct yg_agg_tree *a, const struct yg_event_query *q, struct yg_err *err) {
    a->q = q;
    a->groups_max = q->groups_max ? q->groups_max : YG_GROUPS_MAX;
    a->pool.limit_bytes = YG_QUERY_MEMORY_BYTES;
    if (q->group_count > YG_GROUP_LEVELS_MAX)
        return yg_fail(err, YG_EINPUT, "at most %u group-bys", YG_GROUP_LEVELS_MAX);
    yg_rc rc = init_parts(a, err);
    if (rc != YG_OK)
        yg_agg_fini(a);
    return rc;
}

void yg_agg_fini(struct yg_agg_tree *a) {
    for (uint32_t depth = 0; depth <= YG_GROUP_LEVELS_MAX; depth++) {
        yg_free(YG_MEM_QUERY, a->levels[depth].chunk);
        if (a->levels[depth].table) {
            yg_facet_table_fini(a->levels[depth].table);
            yg_free(YG_MEM_QUERY, a->levels[depth].table);
        }
    }
    for (uint32_t i = 0; i < a->measure_count; i++)
        yg_measure_fini(&a->measures[i]);
    yg_acc_pool_fini(&a->pool);
    yg_free(YG_MEM_QUERY, a->slots);
    yg_free(YG_MEM_QUERY, a->first_level);
    yg_free(YG_MEM_QUERY, a->counts);
    yg_arena_destroy(a->arena);
    *a = (struct yg_agg_tree){0};
}

// ------------------------------------------------------------ limits

// Names the facet of most values: it is what makes the query too large.
static yg_rc too_large(const struct yg_agg_tree *a, const char *what, struct yg_err *err) {
    const struct yg_facet_table *worst = NULL;
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++) {
        const struct yg_facet_table *t = a->levels[depth].table;
        if (worst == NULL || t->count > worst->count)
            worst = t;
    }
    if (worst == NULL)
        return yg_fail(err, YG_ELIMIT, "%s; narrow the query", what);
    yg_str name = worst->group->facet.name;
    return yg_fail(err, YG_ELIMIT,
                   "%s: facet \"%.*s\" has at least %u values here; narrow the query", what,
                   (int)(name.len < 100 ? name.len : 100), name.ptr, worst->count);
}

yg_rc yg_agg_used_up(const struct yg_agg_tree *a, struct yg_err *err) {
    return too_large(a, "query memory of 64 MiB is used up by groups", err);
}

size_t yg_agg_bytes(const struct yg_agg_tree *a) {
    return yg_arena_reserved(a->arena) + a->pool.bytes + sizeof(uint32_t) * a->slot_cap;
}

// ------------------------------------------------------------ nodes

static uint32_t slot_of(const struct yg_agg_tree *a, uint32_t parent, uint32_t value) {
    uint64_t hash = yg_hash_u64((uint64_t)parent << 32 | value);
    uint32_t i = (uint32_t)hash & (a->slot_cap - 1);
    while (a->slots[i] != 0) {
        const struct yg_agg_node *n = &a->nodes[a->slots[i] - 1];
        if (n->parent == parent && n->value == value)
            break;
        i = (i + 1) & (a->slot_cap - 1);
    }
    return i;
}

static yg_rc grow_slots(struct yg_agg_tree *a, struct yg_err *err) {
    uint32_t cap = a->slot_cap ? a->slot_cap * 2 : 256;
    uint32_t *slots = yg_try_alloc(YG_MEM_QUERY, sizeof(uint32_t) * cap);
    if (slots == NULL)
        return yg_agg_used_up(a, err);
    memset(slots, 0, sizeof(uint32_t) * cap);
    yg_free(YG_MEM_QUERY, a->slots);
    a->slots = slots;
    a->slot_cap = cap;
    for (uint32_t n = 1; n < a->node_count; n++)
        if (a->nodes[n].parent != 0)
            slots[slot_of(a, a->nodes[n].parent, a->nodes[n].value)] = n + 1;
    return YG_OK;
}

// Room for every value that the first facet has so far.
static yg_rc grow_first_level(struct yg_agg_tree *a, struct yg_err *err) {
    uint32_t wanted = a->levels[1].table->count, cap = a->first_cap ? a->first_cap : 256;
    if (wanted <= a->first_cap)
        return YG_OK;
    while (cap < wanted)
        cap *= 2;
    uint32_t *nodes = yg_try_realloc(YG_MEM_QUERY, a->first_level, sizeof(uint32_t) * cap);
    if (nodes == NULL)
        return yg_agg_used_up(a, err);
    a->first_level = nodes;
    uint32_t *counts = yg_try_realloc(YG_MEM_QUERY, a->counts, sizeof(uint32_t) * cap);
    if (counts == NULL)
        return yg_agg_used_up(a, err);
    a->counts = counts;
    memset(nodes + a->first_cap, 0, sizeof(uint32_t) * (cap - a->first_cap));
    memset(counts + a->first_cap, 0, sizeof(uint32_t) * (cap - a->first_cap));
    a->first_cap = cap;
    return YG_OK;
}

static yg_rc new_node(struct yg_agg_tree *a, uint32_t parent, uint32_t value, uint32_t depth,
                      struct yg_err *err) {
    if (a->node_count > a->groups_max) {
        char what[64];
        snprintf(what, sizeof(what), "more than %u groups", a->groups_max);
        return too_large(a, what, err);
    }
    if (!YG_ARENA_GROW(a->arena, a->nodes, a->node_count, a->node_cap))
        return yg_agg_used_up(a, err);
    struct yg_agg_node *n = &a->nodes[a->node_count];
    *n = (struct yg_agg_node){.value = value,
                              .parent = parent,
                              .first_child = NONE,
                              .next_sibling = a->nodes[parent].first_child};
    n->accs = yg_arena_calloc(a->arena, 1, a->levels[depth].bytes + 1);
    if (n->accs == NULL)
        return yg_agg_used_up(a, err);
    a->nodes[parent].first_child = a->node_count++;
    return YG_OK;
}

yg_rc yg_agg_child(struct yg_agg_tree *a, uint32_t parent, uint32_t value, uint32_t depth,
                   uint32_t *ret_node, struct yg_err *err) {
    uint32_t *known;
    if (parent == 0) {
        if (value >= a->first_cap)
            YG_TRY(grow_first_level(a, err));
        known = &a->first_level[value];
    } else {
        if (a->node_count * 2 >= a->slot_cap)
            YG_TRY(grow_slots(a, err));
        known = &a->slots[slot_of(a, parent, value)];
    }
    if (*known == 0) {
        YG_TRY(new_node(a, parent, value, depth, err));
        *known = a->node_count;
    }
    *ret_node = *known - 1;
    return YG_OK;
}

// ------------------------------------------------------------ adding the rows of one level

char *yg_agg_buckets(struct yg_agg_tree *a, const struct yg_agg_slot *s, char *accs) {
    char **buckets = (char **)(void *)(accs + s->buckets_at);
    const struct yg_measure *m = &a->measures[s->measure];
    if (*buckets == NULL)
        *buckets = yg_arena_calloc(a->arena, m->bucket_count, m->acc_bytes);
    return *buckets;
}

// Rows of one group in one bucket: no work per row to find where they belong.
static bool one_bucket(const struct yg_agg_tree *a, const struct yg_measure *m,
                       const struct yg_agg_rows *c, uint32_t *ret_bucket) {
    const struct yg_time_range *range = &a->q->range;
    int64_t min = a->block->min_time_ns, max = a->block->max_time_ns;
    min = min > range->from_ns ? min : range->from_ns;
    max = max < range->to_ns ? max : range->to_ns - 1;
    *ret_bucket = yg_measure_bucket(m, min);
    return c->one != NULL && *ret_bucket == yg_measure_bucket(m, max);
}

static bool add_buckets(struct yg_agg_tree *a, const struct yg_agg_slot *s, struct yg_agg_rows *c) {
    struct yg_measure *m = &a->measures[s->measure];
    struct yg_targets targets = {.accs = c->buckets};
    uint32_t bucket;
    if (one_bucket(a, m, c, &bucket)) {
        char *buckets = yg_agg_buckets(a, s, c->one);
        targets.one = buckets + bucket * m->acc_bytes;
        return buckets != NULL && yg_measure_add(m, c->rows, c->count, &targets, &a->pool);
    }
    for (uint32_t k = 0; k < c->count; k++) {
        char *accs = c->one ? c->one : c->accs[k];
        char *buckets = *(char **)(void *)(accs + s->buckets_at);
        if (buckets == NULL && (buckets = yg_agg_buckets(a, s, accs)) == NULL)
            return false;
        c->buckets[k] = buckets + yg_measure_bucket(m, a->times[c->rows[k]]) * m->acc_bytes;
    }
    return yg_measure_add(m, c->rows, c->count, &targets, &a->pool);
}

// Adds the rows that wait on a level to all its measures.
static yg_rc flush_level(struct yg_agg_tree *a, uint32_t depth, struct yg_err *err) {
    const struct yg_agg_level *l = &a->levels[depth];
    struct yg_agg_rows *c = l->chunk;
    for (uint32_t i = 0; c->count > 0 && i < l->slot_count; i++) {
        const struct yg_agg_slot *s = &l->slots[i];
        struct yg_targets targets = {.one = c->one ? c->one + s->total_at : NULL,
                                     .root = depth == 0 && !s->timeseries,
                                     .accs = c->accs,
                                     .offset = s->total_at};
        if (!yg_measure_add(&a->measures[s->measure], c->rows, c->count, &targets, &a->pool) ||
            (s->timeseries && !add_buckets(a, s, c)))
            return yg_agg_used_up(a, err);
    }
    c->count = 0;
    c->one = NULL;
    return YG_OK;
}

// ------------------------------------------------------------ rows with one value of each facet

// One facet, and nothing but rows to count: an array by value, then one addition per group.
static bool counts_by_value(const struct yg_agg_tree *a) {
    const struct yg_agg_level *l = &a->levels[1];
    return a->q->group_count == 1 && l->slot_count == 1 && !l->slots[0].timeseries &&
           a->measures[l->slots[0].measure].compute->agg == YG_AGG_COUNT;
}

static yg_rc count_by_value(struct yg_agg_tree *a, struct yg_err *err) {
    const struct yg_facet_table *t = a->levels[1].table;
    uint32_t n = a->list.count, node = 0;
    if (t->is_constant) {
        if (t->constant == NONE)
            return YG_OK;
        YG_TRY(yg_agg_child(a, 0, t->constant, 1, &node, err));
        yg_acc_add_count(a->nodes[node].accs, n);
        return YG_OK;
    }
    YG_TRY(grow_first_level(a, err));
    for (uint32_t k = 0; k < n; k++)
        if (t->one[k] != NONE)
            a->counts[t->one[k]]++;
    bool few = t->count < n; // then the values are walked, else the rows
    for (uint32_t k = 0; k < (few ? t->count : n); k++) {
        uint32_t value = few ? k : t->one[k];
        if (value == NONE || a->counts[value] == 0)
            continue; // added with an earlier row
        YG_TRY(yg_agg_child(a, 0, value, 1, &node, err));
        yg_acc_add_count(a->nodes[node].accs, a->counts[value]);
        a->counts[value] = 0;
    }
    return YG_OK;
}

// Drops the rows that lack a facet; the tables move along. False: none is left.
static bool keep_rows_of_all_facets(struct yg_agg_tree *a) {
    bool lacking = false;
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++) {
        const struct yg_facet_table *t = a->levels[depth].table;
        if (t->is_constant && t->constant == NONE)
            return false;
        for (uint32_t k = 0; !t->is_constant && k < a->list.count; k++)
            lacking |= t->one[k] == NONE;
    }
    if (!lacking)
        return true;
    uint32_t kept = 0;
    for (uint32_t k = 0; k < a->list.count; k++) {
        bool all = true;
        for (uint32_t depth = 1; depth <= a->q->group_count; depth++) {
            struct yg_facet_table *t = a->levels[depth].table;
            all &= t->is_constant || t->one[k] != NONE;
            t->one[kept] = t->one[k];
        }
        a->list.rows[kept] = a->list.rows[k];
        kept += all;
    }
    a->list.count = kept;
    a->list.all = false;
    return kept > 0;
}

// The nodes of one level from those of the level above.
static yg_rc find_nodes(struct yg_agg_tree *a, uint32_t depth, const struct yg_agg_rows *above,
                        struct yg_agg_rows *c, struct yg_err *err) {
    const struct yg_facet_table *t = a->levels[depth].table;
    c->one = NULL;
    if (t->is_constant && above->one) {
        YG_TRY(yg_agg_child(a, above->nodes[0], t->constant, depth, &c->nodes[0], err));
        c->one = a->nodes[c->nodes[0]].accs;
        return YG_OK;
    }
    uint32_t parent = NONE, value = NONE, node = NONE; // neighbours are often alike
    if (depth == 1)
        YG_TRY(grow_first_level(a, err));
    for (uint32_t k = 0; k < a->list.count; k++) {
        uint32_t p = above->nodes[above->one ? 0 : k], v = t->is_constant ? t->constant : t->one[k];
        if (depth == 1 && a->first_level[v] != 0)
            node = a->first_level[v] - 1;
        else if (p != parent || v != value)
            YG_TRY(yg_agg_child(a, p, v, depth, &node, err));
        parent = p;
        value = v;
        c->nodes[k] = node;
        c->accs[k] = a->nodes[node].accs;
    }
    return YG_OK;
}

static yg_rc add_single(struct yg_agg_tree *a, struct yg_err *err) {
    if (counts_by_value(a))
        return count_by_value(a, err);
    if (!keep_rows_of_all_facets(a))
        return YG_OK;
    struct yg_agg_rows *root = a->levels[0].chunk;
    root->nodes[0] = 0;
    for (uint32_t depth = 0; depth <= a->q->group_count; depth++) {
        struct yg_agg_rows *c = a->levels[depth].chunk;
        if (depth == 0)
            c->one = a->nodes[0].accs;
        else
            YG_TRY(find_nodes(a, depth, a->levels[depth - 1].chunk, c, err));
        c->count = a->list.count;
        memcpy(c->rows, a->list.rows, sizeof(c->rows[0]) * c->count);
    }
    for (uint32_t depth = 0; depth <= a->q->group_count; depth++)
        YG_TRY(flush_level(a, depth, err));
    return YG_OK;
}

// ------------------------------------------------------------ rows with several values of a facet

static uint32_t values_of(const struct yg_facet_table *t, uint32_t k, const uint32_t **ret_ids,
                          uint32_t *one) {
    if (!t->single) {
        *ret_ids = t->pool + t->first[k];
        return t->counts[k];
    }
    *one = t->is_constant ? t->constant : t->one[k];
    *ret_ids = one;
    return *one != NONE;
}

// Puts the row under every node below `parent` that it belongs to. Depth: the number of group-bys.
static yg_rc visit(struct yg_agg_tree *a, uint32_t parent, uint32_t depth, uint32_t k,
                   struct yg_err *err) {
    if (depth > a->q->group_count)
        return YG_OK;
    const uint32_t *ids;
    uint32_t one, count = values_of(a->levels[depth].table, k, &ids, &one);
    struct yg_agg_rows *c = a->levels[depth].chunk;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = 0;
        YG_TRY(yg_agg_child(a, parent, ids[i], depth, &node, err));
        if (c->count == YG_GRANULE_ROWS)
            YG_TRY(flush_level(a, depth, err));
        c->rows[c->count] = a->list.rows[k];
        c->accs[c->count++] = a->nodes[node].accs;
        YG_TRY(visit(a, node, depth + 1, k, err));
    }
    return YG_OK;
}

static yg_rc add_lists(struct yg_agg_tree *a, struct yg_err *err) {
    for (uint32_t k = 0; k < a->list.count; k++) {
        bool in_all = true;
        for (uint32_t depth = 1; in_all && depth <= a->q->group_count; depth++) {
            const uint32_t *ids;
            uint32_t one;
            in_all = values_of(a->levels[depth].table, k, &ids, &one) > 0;
        }
        if (in_all)
            YG_TRY(visit(a, 0, 1, k, err));
    }
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++)
        YG_TRY(flush_level(a, depth, err));
    return YG_OK;
}

// ------------------------------------------------------------ a granule

static void list_rows(struct yg_row_list *list, const uint64_t *rows, uint32_t row_count) {
    uint32_t n = 0;
    bool all = yg_bits_count(rows, row_count) == row_count;
    if (all && list->all && list->count == row_count)
        return; // as in the granule before
    list->all = all;
    for (uint32_t w = 0; w < YG_BITS_WORDS(row_count); w++) {
        uint64_t word = rows[w];
        if (word == ~UINT64_C(0)) {
            for (uint32_t i = 0; i < 64; i++)
                list->rows[n + i] = (uint16_t)(w * 64 + i);
            n += 64;
            continue;
        }
        for (; word; word &= word - 1)
            list->rows[n++] = (uint16_t)(w * 64 + (uint32_t)__builtin_ctzll(word));
    }
    list->count = n;
}

static yg_rc open_granule(struct yg_agg_tree *a, struct yg_block *b, struct yg_err *err) {
    const struct yg_vec *time = NULL;
    bool timeseries = false;
    for (uint32_t i = 0; i < a->measure_count; i++) {
        YG_TRY(yg_measure_open(&a->measures[i], b, err));
        timeseries |= a->measures[i].compute->timeseries;
    }
    if (timeseries) {
        YG_TRY(yg_scan_column(b, YG_STR(YG_COL_TIME), YG_T_I64, &time, err));
        if (time == NULL)
            return yg_fail(err, YG_ECORRUPT, "segment %llu, granule %u: no column \"timestamp\"",
                           (unsigned long long)b->segment_id, b->granule);
        a->times = time->i64;
    }
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++) {
        yg_rc rc = yg_facet_table_read(a->levels[depth].table, b, &a->list, err);
        if (a->levels[depth].table->failed)
            return yg_agg_used_up(a, err);
        YG_TRY(rc);
    }
    return YG_OK;
}

bool yg_agg_only_counts(const struct yg_event_query *q) {
    if (q->group_count > 0)
        return false;
    for (uint32_t i = 0; i < q->compute_count; i++)
        if (q->computes[i].agg != YG_AGG_COUNT || q->computes[i].timeseries)
            return false;
    return true;
}

void yg_agg_add_rows(struct yg_agg_tree *a, uint64_t count) {
    for (uint32_t i = 0; i < a->levels[0].slot_count; i++)
        yg_acc_add_count(a->nodes[0].accs + a->levels[0].slots[i].total_at, count);
}

static yg_rc add_value_rows(void *ctx, uint32_t id, uint32_t count, struct yg_err *err) {
    struct yg_agg_tree *a = ctx;
    uint32_t node = 0;
    YG_TRY(yg_agg_child(a, 0, id, 1, &node, err));
    yg_acc_add_count(a->nodes[node].accs, count);
    return YG_OK;
}

yg_rc yg_agg_block(struct yg_agg_tree *a, struct yg_block *b, const uint64_t *rows,
                   struct yg_err *err) {
    if (yg_agg_only_counts(a->q)) {
        yg_agg_add_rows(a, yg_bits_count(rows, b->row_count));
        return YG_OK;
    }
    bool done = false;
    if (counts_by_value(a)) {
        yg_rc rc = yg_facet_table_tally(a->levels[1].table, b, rows, add_value_rows, a, &done, err);
        if (a->levels[1].table->failed)
            return yg_agg_used_up(a, err);
        if (rc != YG_OK || done)
            return rc;
    }
    list_rows(&a->list, rows, b->row_count);
    a->block = b;
    YG_TRY(open_granule(a, b, err));
    bool single = true;
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++)
        single &= a->levels[depth].table->single;
    return single ? add_single(a, err) : add_lists(a, err);
}
