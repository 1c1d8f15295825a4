// SPDX-License-Identifier: Apache-2.0
// What comes out of an aggregation: at every level the best groups by the level's measure (or by
// name), then the group of all rows.
#include "query/events_agg.h"

struct output {
    struct yg_agg_tree *a;
    struct yg_arena *arena; // the asker's
    struct yg_agg_result *result;
    struct yg_err *err;
    uint32_t cap;
    uint32_t path[YG_GROUP_LEVELS_MAX]; // value ids from the first facet on
};

static yg_rc no_memory(struct output *o) {
    return yg_fail(o->err, YG_ENOMEM, "query memory is used up by %u groups", o->result->count);
}

static yg_rc emit_points(struct output *o, const struct yg_agg_slot *s, const char *accs,
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
    struct yg_agg_tree *a = o->a;
    const struct yg_agg_level *l = &a->levels[a->q->group_count];
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
        const struct yg_agg_slot *s = &l->slots[i];
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

static void rank(struct output *o, const struct yg_agg_level *l, uint32_t node,
                 struct ranked *out) {
    const struct yg_agg_node *n = &o->a->nodes[node];
    *out = (struct ranked){.node = node, .text = l->table->texts[n->value]};
    if (l->sort_slot == YG_NONE) {
        const struct yg_value *v = &l->table->values[n->value];
        out->is_number = v->type != YG_T_STR && yg_value_number(v, &out->value);
        return;
    }
    const struct yg_agg_slot *s = &l->slots[l->sort_slot];
    out->has_value =
        yg_acc_value(o->a->measures[s->measure].compute, n->accs + s->total_at, &out->value);
}

// Brings the first `wanted` in order to the front, without ordering them.
static void select_first(struct ranked *v, uint32_t count, uint32_t wanted,
                         int (*order)(const void *, const void *)) {
    uint32_t low = 0, high = count;
    while (high - low > 16) {
        struct ranked pivot = v[low + (high - low) / 2];
        uint32_t i = low, j = high - 1;
        for (;;) {
            while (order(&v[i], &pivot) < 0)
                i++;
            while (order(&pivot, &v[j]) < 0)
                j--;
            if (i >= j)
                break;
            struct ranked swap = v[i];
            v[i++] = v[j];
            v[j--] = swap;
        }
        if (wanted <= j + 1)
            high = j + 1;
        else
            low = j + 1;
    }
    if (high - low > 1)
        qsort(v + low, high - low, sizeof(v[0]), order); // where the border lies
}

static uint32_t limit_of(const struct yg_group_by *g) {
    return g->limit ? g->limit : g->histogram ? 100 : 10;
}

// The best children of `parent`; the bucket of all rows comes after them. Depth: the number of
// group-bys.
static yg_rc emit_level(struct output *o, uint32_t parent, uint32_t depth) {
    struct yg_agg_tree *a = o->a;
    if (depth > a->q->group_count)
        return emit_group(o, a->nodes[parent].accs);
    const struct yg_agg_level *l = &a->levels[depth];
    const struct yg_group_by *g = &a->q->group_by[depth - 1];
    uint32_t count = 0, total = YG_NONE;
    for (uint32_t n = a->nodes[parent].first_child; n != YG_NONE; n = a->nodes[n].next_sibling)
        count++;
    struct ranked *order = YG_NEW_N(a->arena, struct ranked, count + 1);
    if (order == NULL)
        return yg_agg_used_up(a, o->err);
    count = 0;
    for (uint32_t n = a->nodes[parent].first_child; n != YG_NONE; n = a->nodes[n].next_sibling) {
        if (a->nodes[n].value == l->table->total_id)
            total = n;
        else
            rank(o, l, n, &order[count++]);
    }
    int (*by)(const void *, const void *) = g->sort_ascending ? measure_up : measure_down;
    if (l->sort_slot == YG_NONE)
        by = g->sort_ascending ? alphabetical_up : alphabetical_down;
    if (count > limit_of(g)) {
        select_first(order, count, limit_of(g), by);
        count = limit_of(g);
    }
    if (count > 1)
        qsort(order, count, sizeof(order[0]), by);
    for (uint32_t i = 0; i < count; i++) {
        o->path[depth - 1] = a->nodes[order[i].node].value;
        YG_TRY(emit_level(o, order[i].node, depth + 1));
    }
    if (total == YG_NONE)
        return YG_OK;
    o->path[depth - 1] = a->nodes[total].value;
    return emit_level(o, total, depth + 1);
}

yg_rc yg_agg_emit(struct yg_agg_tree *a, struct yg_arena *arena, struct yg_agg_result *result,
                  struct yg_err *err) {
    struct output o = {.a = a, .arena = arena, .result = result, .err = err};
    return emit_level(&o, 0, 1);
}
