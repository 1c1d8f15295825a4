// SPDX-License-Identifier: Apache-2.0
// Aggregation: a tree of groups, one level per group-by, filled granule by granule; the best groups
// come out.
//
// A node is one value of one facet below its parent's. Inner nodes carry only the measure that
// their level is sorted by, leaves all computes (and the measure that theirs is sorted by). So the
// top values of the first facet are the true ones, not sums over the second. A row that lacks a
// facet is in no group, unless the group-by says `missing`. Reading order: run_granule → visit →
// add_row; then emit_level.
#include "query/events_agg.h"

#include "base/hash.h"
#include "base/mem.h"

#define NONE UINT32_MAX
#define GROUPS_MAX 100000u

struct node {
    uint32_t value; // id in the level's table
    uint32_t parent;
    uint32_t first_child;
    uint32_t next_sibling;
    char *accs; // laid out as levels[…].measures say
};

// A measure as a level keeps it.
struct slot {
    uint32_t measure;
    size_t total_at;   // accumulator of the whole range
    size_t buckets_at; // pointer to bucket_count accumulators
    bool timeseries;
};

struct level {
    struct yg_facet_table *table; // NULL for the root
    struct slot *slots;
    uint32_t slot_count;
    size_t bytes;
    uint32_t sort_slot; // NONE: alphabetical
};

struct agg {
    const struct yg_event_query *q;
    struct yg_arena *arena; // nodes; freed with the aggregation
    struct yg_acc_pool pool;
    struct yg_measure *measures; // of the computes, then of the sorts
    uint32_t measure_count;
    struct level levels[YG_GROUP_LEVELS_MAX + 1]; // [0] = root
    struct node *nodes;                           // [0] = root
    uint32_t node_count, node_cap;
    uint32_t *slots; // open addressing: node index + 1 by (parent, value)
    uint32_t slot_cap;
    uint32_t
        *first_level; // node index + 1 by value of the first facet: no hashing for most queries
    uint32_t *counts; // rows of the open granule by value of the first facet
    uint32_t first_cap;
    uint32_t groups_max;
    const int64_t *times; // of the open granule
    struct yg_err *err;
};

// ------------------------------------------------------------ setting up

static const struct yg_compute count_compute = {.agg = YG_AGG_COUNT};

static bool same_compute(const struct yg_compute *a, const struct yg_compute *b) {
    return a->agg == b->agg && (a->agg != YG_AGG_PERCENTILE || !(a->q < b->q || a->q > b->q)) &&
           (a->agg == YG_AGG_COUNT ||
            (a->metric.kind == b->metric.kind && yg_str_eq(a->metric.name, b->metric.name)));
}

// Index of a measure for sorting, made when no compute is the same.
static yg_rc sort_measure(struct agg *a, const struct yg_group_by *g, uint32_t *ret_idx) {
    const struct yg_compute *want = g->has_sort_measure       ? &g->sort
                                    : a->q->compute_count > 0 ? &a->q->computes[0]
                                                              : &count_compute;
    for (*ret_idx = 0; *ret_idx < a->measure_count; (*ret_idx)++)
        if (same_compute(a->measures[*ret_idx].compute, want))
            return YG_OK;
    struct yg_compute *total = YG_NEW(a->arena, struct yg_compute);
    if (total == NULL)
        return yg_fail(a->err, YG_ENOMEM, "no memory for an aggregation");
    *total = *want;
    total->timeseries = false;
    return yg_measure_init(&a->measures[a->measure_count++], total, a->q->range, a->err);
}

static void level_add(struct agg *a, struct level *l, uint32_t measure, bool timeseries) {
    const struct yg_measure *m = &a->measures[measure];
    struct slot *s = &l->slots[l->slot_count++];
    *s = (struct slot){.measure = measure, .timeseries = timeseries, .total_at = l->bytes};
    l->bytes += m->acc_bytes;
    s->buckets_at = l->bytes;
    l->bytes += timeseries ? sizeof(void *) : 0;
}

static yg_rc level_init(struct agg *a, uint32_t depth) {
    struct level *l = &a->levels[depth];
    const struct yg_event_query *q = a->q;
    l->sort_slot = NONE;
    l->slots = YG_NEW_N(a->arena, struct slot, q->compute_count + 1);
    if (l->slots == NULL)
        return yg_fail(a->err, YG_ENOMEM, "no memory for an aggregation");
    if (depth == q->group_count)
        for (uint32_t i = 0; i < q->compute_count; i++)
            level_add(a, l, i, q->computes[i].timeseries);
    if (depth == 0)
        return YG_OK;
    const struct yg_group_by *g = &q->group_by[depth - 1];
    l->table = yg_calloc(YG_MEM_QUERY, 1, sizeof(*l->table));
    YG_TRY(yg_facet_table_init(l->table, g, a->arena, a->err));
    if (g->sort_alphabetical)
        return YG_OK;
    uint32_t measure = 0;
    YG_TRY(sort_measure(a, g, &measure));
    for (l->sort_slot = 0; l->sort_slot < l->slot_count; l->sort_slot++)
        if (l->slots[l->sort_slot].measure == measure)
            return YG_OK;
    level_add(a, l, measure, false);
    return YG_OK;
}

static yg_rc agg_init(struct agg *a) {
    const struct yg_event_query *q = a->q;
    if (q->group_count > YG_GROUP_LEVELS_MAX)
        return yg_fail(a->err, YG_EINPUT, "at most %u group-bys", YG_GROUP_LEVELS_MAX);
    a->groups_max = q->groups_max ? q->groups_max : GROUPS_MAX;
    a->pool.limit_bytes = YG_QUERY_MEMORY_BYTES;
    a->arena = yg_arena_create(YG_MEM_QUERY, YG_QUERY_MEMORY_BYTES);
    if (a->arena == NULL)
        return yg_fail(a->err, YG_ENOMEM, "no memory for an aggregation");
    a->measures = YG_NEW_N(a->arena, struct yg_measure, q->compute_count + q->group_count + 1);
    a->nodes = YG_NEW_N(a->arena, struct node, 64);
    if (a->measures == NULL || a->nodes == NULL)
        return yg_fail(a->err, YG_ENOMEM, "no memory for an aggregation");
    for (uint32_t i = 0; i < q->compute_count; i++)
        YG_TRY(
            yg_measure_init(&a->measures[a->measure_count++], &q->computes[i], q->range, a->err));
    for (uint32_t depth = 0; depth <= q->group_count; depth++)
        YG_TRY(level_init(a, depth));
    a->node_cap = 64;
    a->node_count = 1;
    a->nodes[0] = (struct node){.first_child = NONE, .next_sibling = NONE, .parent = NONE};
    a->nodes[0].accs = yg_arena_calloc(a->arena, 1, a->levels[0].bytes + 1);
    return a->nodes[0].accs ? YG_OK : yg_fail(a->err, YG_ENOMEM, "no memory for an aggregation");
}

static void agg_fini(struct agg *a) {
    for (uint32_t depth = 0; depth <= YG_GROUP_LEVELS_MAX; depth++)
        if (a->levels[depth].table) {
            yg_facet_table_fini(a->levels[depth].table);
            yg_free(YG_MEM_QUERY, a->levels[depth].table);
        }
    yg_acc_pool_fini(&a->pool);
    yg_free(YG_MEM_QUERY, a->slots);
    yg_free(YG_MEM_QUERY, a->first_level);
    yg_free(YG_MEM_QUERY, a->counts);
    yg_arena_destroy(a->arena);
}

// ------------------------------------------------------------ filling

// Names the facet of most values: it is what makes the query too large.
static yg_rc too_large(struct agg *a, const char *what) {
    const struct yg_facet_table *worst = NULL;
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++) {
        const struct yg_facet_table *t = a->levels[depth].table;
        if (worst == NULL || t->count > worst->count)
            worst = t;
    }
    if (worst == NULL)
        return yg_fail(a->err, YG_ELIMIT, "%s; narrow the query", what);
    yg_str name = worst->group->facet.name;
    return yg_fail(a->err, YG_ELIMIT,
                   "%s: facet \"%.*s\" has at least %u values here; narrow the query", what,
                   (int)(name.len < 100 ? name.len : 100), name.ptr, worst->count);
}

static yg_rc used_up(struct agg *a) {
    return too_large(a, "query memory of 64 MiB is used up by groups");
}

static uint32_t slot_of(const struct agg *a, uint32_t parent, uint32_t value) {
    uint64_t hash = yg_hash_u64((uint64_t)parent << 32 | value);
    uint32_t i = (uint32_t)hash & (a->slot_cap - 1);
    while (a->slots[i] != 0) {
        const struct node *n = &a->nodes[a->slots[i] - 1];
        if (n->parent == parent && n->value == value)
            break;
        i = (i + 1) & (a->slot_cap - 1);
    }
    return i;
}

static yg_rc grow_slots(struct agg *a) {
    uint32_t cap = a->slot_cap ? a->slot_cap * 2 : 256;
    uint32_t *slots = yg_try_alloc(YG_MEM_QUERY, sizeof(uint32_t) * cap);
    if (slots == NULL)
        return used_up(a);
    memset(slots, 0, sizeof(uint32_t) * cap);
    yg_free(YG_MEM_QUERY, a->slots);
    a->slots = slots;
    a->slot_cap = cap;
    for (uint32_t n = 1; n < a->node_count; n++)
        slots[slot_of(a, a->nodes[n].parent, a->nodes[n].value)] = n + 1;
    return YG_OK;
}

static yg_rc child_of(struct agg *a, uint32_t parent, uint32_t value, uint32_t depth,
                      uint32_t *ret_node) {
    if (parent == 0 && a->first_level[value] != 0) {
        *ret_node = a->first_level[value] - 1;
        return YG_OK;
    }
    if (a->node_count * 2 >= a->slot_cap)
        YG_TRY(grow_slots(a));
    uint32_t slot = slot_of(a, parent, value);
    if (a->slots[slot] != 0) {
        *ret_node = a->slots[slot] - 1;
        return YG_OK;
    }
    if (a->node_count > a->groups_max) {
        char what[64];
        snprintf(what, sizeof(what), "more than %u groups", a->groups_max);
        return too_large(a, what);
    }
    if (!YG_ARENA_GROW(a->arena, a->nodes, a->node_count, a->node_cap))
        return used_up(a);
    struct node *n = &a->nodes[a->node_count];
    *n = (struct node){.value = value,
                       .parent = parent,
                       .first_child = NONE,
                       .next_sibling = a->nodes[parent].first_child};
    n->accs = yg_arena_calloc(a->arena, 1, a->levels[depth].bytes + 1);
    if (n->accs == NULL)
        return used_up(a);
    a->nodes[parent].first_child = a->node_count;
    a->slots[slot] = a->node_count + 1;
    if (parent == 0)
        a->first_level[value] = a->node_count + 1;
    *ret_node = a->node_count++;
    return YG_OK;
}

static yg_rc add_row(struct agg *a, const struct level *l, char *accs, uint32_t row) {
    for (uint32_t i = 0; i < l->slot_count; i++) {
        const struct slot *s = &l->slots[i];
        struct yg_measure *m = &a->measures[s->measure];
        if (!yg_measure_add(m, row, accs + s->total_at, &a->pool))
            return used_up(a);
        if (!s->timeseries)
            continue;
        char **buckets = (char **)(void *)(accs + s->buckets_at);
        if (*buckets == NULL &&
            (*buckets = yg_arena_calloc(a->arena, m->bucket_count, m->acc_bytes)) == NULL)
            return used_up(a);
        uint32_t bucket = yg_measure_bucket(m, a->times[row]);
        if (bucket < m->bucket_count &&
            !yg_measure_add(m, row, *buckets + bucket * m->acc_bytes, &a->pool))
            return used_up(a);
    }
    return YG_OK;
}

// Adds the row to every group below `parent` that it belongs to. Depth: the number of group-bys.
static yg_rc visit(struct agg *a, uint32_t parent, uint32_t depth, uint32_t row) {
    if (depth > a->q->group_count)
        return YG_OK;
    const struct level *l = &a->levels[depth];
    const struct yg_facet_table *t = l->table;
    for (uint32_t i = 0; i < t->counts[row]; i++) {
        uint32_t node = 0;
        YG_TRY(child_of(a, parent, t->pool[t->first[row] + i], depth, &node));
        YG_TRY(add_row(a, l, a->nodes[node].accs, row));
        YG_TRY(visit(a, node, depth + 1, row));
    }
    return YG_OK;
}

static bool in_every_facet(const struct agg *a, uint32_t row) {
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++)
        if (a->levels[depth].table->counts[row] == 0)
            return false;
    return true;
}

// Room for every value that the first facet has so far.
static yg_rc grow_first_level(struct agg *a) {
    uint32_t wanted = a->levels[1].table->count, cap = a->first_cap ? a->first_cap : 256;
    if (wanted <= a->first_cap)
        return YG_OK;
    while (cap < wanted)
        cap *= 2;
    uint32_t *nodes = yg_try_realloc(YG_MEM_QUERY, a->first_level, sizeof(uint32_t) * cap);
    if (nodes == NULL)
        return used_up(a);
    a->first_level = nodes;
    uint32_t *counts = yg_try_realloc(YG_MEM_QUERY, a->counts, sizeof(uint32_t) * cap);
    if (counts == NULL)
        return used_up(a);
    a->counts = counts;
    memset(nodes + a->first_cap, 0, sizeof(uint32_t) * (cap - a->first_cap));
    memset(counts + a->first_cap, 0, sizeof(uint32_t) * (cap - a->first_cap));
    a->first_cap = cap;
    return YG_OK;
}

static yg_rc open_granule(struct agg *a, struct yg_block *b, const uint64_t *rows,
                          struct yg_err *err) {
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
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++)
        YG_TRY(yg_facet_table_read(a->levels[depth].table, b, rows, err));
    return a->q->group_count > 0 ? grow_first_level(a) : YG_OK;
}

// Counting all rows needs no column at all.
static bool only_counts(const struct agg *a) {
    if (a->q->group_count > 0)
        return false;
    for (uint32_t i = 0; i < a->q->compute_count; i++)
        if (a->q->computes[i].agg != YG_AGG_COUNT || a->q->computes[i].timeseries)
            return false;
    return true;
}

// One facet, and nothing but rows to count: an array by value, then one addition per group.
static bool counts_by_value(const struct agg *a) {
    const struct level *l = &a->levels[1];
    return a->q->group_count == 1 && l->slot_count == 1 && !l->slots[0].timeseries &&
           a->measures[l->slots[0].measure].compute->agg == YG_AGG_COUNT;
}

static yg_rc count_by_value(struct agg *a, struct yg_block *b, const uint64_t *rows) {
    const struct yg_facet_table *t = a->levels[1].table;
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1))
        for (uint32_t i = 0; i < t->counts[r]; i++)
            a->counts[t->pool[t->first[r] + i]]++;
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1))
        for (uint32_t i = 0; i < t->counts[r]; i++) {
            uint32_t value = t->pool[t->first[r] + i], node = 0;
            if (a->counts[value] == 0)
                continue; // added with an earlier row
            YG_TRY(child_of(a, 0, value, 1, &node));
            yg_acc_add_count(a->nodes[node].accs, a->counts[value]);
            a->counts[value] = 0;
        }
    return YG_OK;
}

static yg_rc run_granule(struct agg *a, struct yg_block *b, const uint64_t *rows) {
    if (only_counts(a)) {
        uint32_t n = yg_bits_count(rows, b->row_count);
        for (uint32_t i = 0; i < a->levels[0].slot_count; i++)
            yg_acc_add_count(a->nodes[0].accs + a->levels[0].slots[i].total_at, n);
        return YG_OK;
    }
    if (counts_by_value(a))
        return count_by_value(a, b, rows);
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1)) {
        if (a->q->group_count == 0)
            YG_TRY(add_row(a, &a->levels[0], a->nodes[0].accs, r));
        else if (in_every_facet(a, r))
            YG_TRY(visit(a, 0, 1, r));
    }
    return YG_OK;
}

static yg_rc run_scan(struct agg *a, struct yg_scan *s) {
    uint64_t rows[YG_BITS_WORDS(YG_GRANULE_ROWS)];
    for (uint32_t i = 0; i < s->granule_count; i++) {
        struct yg_block *b = NULL;
        YG_TRY(yg_scan_granule(s, i, &b, rows, a->err));
        if (b == NULL)
            continue;
        struct yg_err local = {0};
        yg_rc rc = only_counts(a) ? YG_OK : open_granule(a, b, rows, &local);
        if (rc != YG_OK) {
            if (yg_scan_survives(s, &local))
                continue;
            for (uint32_t depth = 1; depth <= a->q->group_count; depth++)
                if (a->levels[depth].table->failed)
                    return used_up(a);
            if (a->err)
                *a->err = local;
            return rc;
        }
        YG_TRY(run_granule(a, b, rows));
    }
    return YG_OK;
}

// ------------------------------------------------------------ coming out

struct output {
    struct agg *a;
    struct yg_arena *arena; // the asker's
    struct yg_agg_result *result;
    uint32_t cap;
    uint32_t path[YG_GROUP_LEVELS_MAX]; // value ids from the first facet on
};

static yg_rc no_memory(struct output *o) {
    return yg_fail(o->a->err, YG_ENOMEM, "query memory is used up by %u groups", o->result->count);
}

static yg_rc emit_points(struct output *o, const struct slot *s, const char *accs,
                         struct yg_agg_value *out) {
    const struct yg_measure *m = &o->a->measures[s->measure];
    const char *buckets = *(char *const *)(const void *)(accs + s->buckets_at);
    for (uint32_t i = 0; buckets && i < m->bucket_count; i++)
        out->point_count += !yg_acc_is_empty(m->compute->agg, buckets + i * m->acc_bytes);
    out->points = YG_NEW_N(o->arena, struct yg_agg_point, out->point_count + 1);
    if (out->points == NULL)
        return no_memory(o);
    uint32_t n = 0;
    for (uint32_t i = 0; n < out->point_count; i++) {
        const char *acc = buckets + i * m->acc_bytes;
        if (yg_acc_is_empty(m->compute->agg, acc))
            continue;
        struct yg_agg_point *p = &out->points[n++];
        p->time_ns = (m->first_bucket + i) * m->compute->interval_ns;
        p->has_value = yg_acc_value(m->compute, acc, &p->value);
    }
    return YG_OK;
}

static yg_rc emit_group(struct output *o, const char *accs) {
    struct agg *a = o->a;
    const struct level *l = &a->levels[a->q->group_count];
    if (!YG_ARENA_GROW(o->arena, o->result->buckets, o->result->count, o->cap))
        return no_memory(o);
    struct yg_agg_bucket *b = &o->result->buckets[o->result->count];
    b->by = YG_NEW_N(o->arena, yg_str, a->q->group_count + 1);
    b->by_values = YG_NEW_N(o->arena, struct yg_value, a->q->group_count + 1);
    b->computes = YG_NEW_N(o->arena, struct yg_agg_value, a->q->compute_count + 1);
    if (b->by == NULL || b->by_values == NULL || b->computes == NULL)
        return no_memory(o);
    for (uint32_t i = 0; i < a->q->group_count; i++) {
        const struct yg_facet_table *t = a->levels[i + 1].table;
        b->by[i] = yg_arena_str(o->arena, t->texts[o->path[i]]);
        b->by_values[i] = t->values[o->path[i]];
        if (b->by[i].ptr == NULL && t->texts[o->path[i]].len > 0)
            return no_memory(o);
        if (b->by_values[i].type == YG_T_STR || b->by_values[i].type == YG_T_JSON)
            b->by_values[i].str = b->by[i];
    }
    for (uint32_t i = 0; i < a->q->compute_count; i++) { // the first slots are the computes
        const struct slot *s = &l->slots[i];
        struct yg_agg_value *out = &b->computes[i];
        out->has_value = yg_acc_value(&a->q->computes[i], accs + s->total_at, &out->value);
        if (s->timeseries)
            YG_TRY(emit_points(o, s, accs, out));
    }
    o->result->count++;
    return YG_OK;
}

struct ranked {
    uint32_t node;
    bool has_value;
    bool is_number;
    double value;
    yg_str text;
};

static int by_text(const struct ranked *x, const struct ranked *y) {
    if (x->is_number && y->is_number && (x->value < y->value || x->value > y->value))
        return x->value < y->value ? -1 : 1;
    return yg_str_cmp(x->text, y->text);
}
static int alphabetical_up(const void *a, const void *b) {
    return by_text(a, b);
}
static int alphabetical_down(const void *a, const void *b) {
    return by_text(b, a);
}

static int by_measure(const struct ranked *x, const struct ranked *y, bool ascending) {
    if (x->has_value != y->has_value)
        return x->has_value ? -1 : 1; // groups without the measure come last
    if (x->has_value && (x->value < y->value || x->value > y->value))
        return (x->value < y->value) == ascending ? -1 : 1;
    return yg_str_cmp(x->text, y->text);
}
static int measure_up(const void *a, const void *b) {
    return by_measure(a, b, true);
}
static int measure_down(const void *a, const void *b) {
    return by_measure(a, b, false);
}

static void rank(struct output *o, const struct level *l, uint32_t node, struct ranked *out) {
    const struct node *n = &o->a->nodes[node];
    *out = (struct ranked){.node = node, .text = l->table->texts[n->value]};
    if (l->sort_slot == NONE) {
        const struct yg_value *v = &l->table->values[n->value];
        out->is_number = v->type != YG_T_STR && yg_value_number(v, &out->value);
        return;
    }
    const struct slot *s = &l->slots[l->sort_slot];
    out->has_value =
        yg_acc_value(o->a->measures[s->measure].compute, n->accs + s->total_at, &out->value);
}

static uint32_t limit_of(const struct yg_group_by *g) {
    return g->limit ? g->limit : g->histogram ? 100 : 10;
}

// The best children of `parent`; the bucket of all rows comes after them. Depth: the number of
// group-bys.
static yg_rc emit_level(struct output *o, uint32_t parent, uint32_t depth) {
    struct agg *a = o->a;
    if (depth > a->q->group_count)
        return emit_group(o, a->nodes[parent].accs);
    const struct level *l = &a->levels[depth];
    const struct yg_group_by *g = &a->q->group_by[depth - 1];
    uint32_t count = 0, total = NONE;
    for (uint32_t n = a->nodes[parent].first_child; n != NONE; n = a->nodes[n].next_sibling)
        count++;
    struct ranked *order = YG_NEW_N(a->arena, struct ranked, count + 1);
    if (order == NULL)
        return used_up(a);
    count = 0;
    for (uint32_t n = a->nodes[parent].first_child; n != NONE; n = a->nodes[n].next_sibling) {
        if (a->nodes[n].value == l->table->total_id)
            total = n;
        else
            rank(o, l, n, &order[count++]);
    }
    if (count > 1)
        qsort(order, count, sizeof(order[0]),
              l->sort_slot == NONE ? (g->sort_ascending ? alphabetical_up : alphabetical_down)
                                   : (g->sort_ascending ? measure_up : measure_down));
    for (uint32_t i = 0; i < count && i < limit_of(g); i++) {
        o->path[depth - 1] = a->nodes[order[i].node].value;
        YG_TRY(emit_level(o, order[i].node, depth + 1));
    }
    if (total == NONE)
        return YG_OK;
    o->path[depth - 1] = a->nodes[total].value;
    return emit_level(o, total, depth + 1);
}

yg_rc yg_events_aggregate(struct yg_store *store, const struct yg_event_query *q, bool fresh,
                          struct yg_arena *arena, struct yg_agg_result *ret_result,
                          struct yg_err *err) {
    struct agg a = {.q = q, .err = err};
    struct yg_scan scan = {0};
    struct output o = {.a = &a, .arena = arena, .result = ret_result};
    *ret_result = (struct yg_agg_result){0};
    yg_rc rc = agg_init(&a);
    if (rc == YG_OK)
        rc = yg_scan_open(store, q, fresh, YG_SCAN_NEWEST_FIRST, arena, &ret_result->warnings,
                          &ret_result->stats, &scan, err);
    if (rc == YG_OK)
        rc = run_scan(&a, &scan);
    if (rc == YG_OK)
        rc = emit_level(&o, 0, 1);
    yg_scan_fini(&scan);
    agg_fini(&a);
    return rc;
}
