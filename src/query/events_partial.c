// SPDX-License-Identifier: Apache-2.0
// An aggregation as bytes, and adding such bytes to another one of the same plan: how workers'
// parts come together, and what is kept of sealed segments.
//
// Bytes: per level number of values, each type, value and text; number of nodes; the root and then
// each node as parent and value (numbers of this partial), its accumulators, and for timeseries the
// number of filled buckets, each with its number since 1970. Parents come before their children.
#include "query/events_agg.h"

#include "base/mem.h"

// ------------------------------------------------------------ saving

static void put_u32(struct yg_buf *out, uint32_t v) {
    yg_buf_put(out, &v, sizeof(v));
}

static void put_text(struct yg_buf *out, yg_str s) {
    put_u32(out, (uint32_t)s.len);
    yg_buf_puts(out, s);
}

static void save_table(const struct yg_facet_table *t, struct yg_buf *out) {
    put_u32(out, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        struct yg_value v = t->values[i];
        put_u32(out, (uint32_t)v.type);
        put_text(out, t->texts[i]);
        if (v.type == YG_T_STR || v.type == YG_T_JSON)
            v.id = (yg_id128){0}; // the text is the value
        yg_buf_put(out, &v.id, sizeof(v.id));
    }
}

static void save_buckets(const struct yg_agg_tree *a, const struct yg_agg_slot *s, const char *accs,
                         struct yg_buf *out) {
    const struct yg_measure *m = &a->measures[s->measure];
    enum yg_agg agg = m->compute->agg;
    const char *buckets = *(char *const *)(const void *)(accs + s->buckets_at);
    uint32_t filled = 0;
    for (uint32_t i = 0; buckets && i < m->bucket_count; i++)
        filled += !yg_acc_is_empty(agg, buckets + i * m->acc_bytes);
    put_u32(out, filled);
    for (uint32_t i = 0; filled > 0 && i < m->bucket_count; i++) {
        int64_t number = m->first_bucket + i;
        if (yg_acc_is_empty(agg, buckets + i * m->acc_bytes))
            continue;
        yg_buf_put(out, &number, sizeof(number));
        yg_acc_save(agg, buckets + i * m->acc_bytes, out);
    }
}

static void save_node(const struct yg_agg_tree *a, const struct yg_agg_level *l, const char *accs,
                      struct yg_buf *out) {
    for (uint32_t i = 0; i < l->slot_count; i++) {
        const struct yg_agg_slot *s = &l->slots[i];
        yg_acc_save(a->measures[s->measure].compute->agg, accs + s->total_at, out);
        if (s->timeseries)
            save_buckets(a, s, accs, out);
    }
}

yg_rc yg_agg_save(const struct yg_agg_tree *a, struct yg_buf *out, struct yg_err *err) {
    uint8_t *depths = yg_try_alloc(YG_MEM_QUERY, a->node_count);
    if (depths == NULL)
        return yg_agg_used_up(a, err);
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++)
        save_table(a->levels[depth].table, out);
    put_u32(out, a->node_count);
    depths[0] = 0;
    save_node(a, &a->levels[0], a->nodes[0].accs, out);
    for (uint32_t i = 1; i < a->node_count && !out->failed; i++) {
        const struct yg_agg_node *n = &a->nodes[i];
        depths[i] = (uint8_t)(depths[n->parent] + 1);
        put_u32(out, n->parent);
        put_u32(out, n->value);
        save_node(a, &a->levels[depths[i]], n->accs, out);
    }
    yg_free(YG_MEM_QUERY, depths);
    return yg_buf_ok(out, err);
}

// ------------------------------------------------------------ loading

struct load {
    struct yg_agg_tree *a;
    yg_str in;
    size_t at;
    uint32_t *ids[YG_GROUP_LEVELS_MAX + 1]; // number here → id in the table
    uint32_t *nodes;                        // number here → node
    uint8_t *depths;
    struct yg_err *err;
};

static uint32_t get_u32(struct load *l) {
    uint32_t v;
    memcpy(&v, l->in.ptr + l->at, sizeof(v));
    l->at += sizeof(v);
    return v;
}

static yg_rc load_table(struct load *l, uint32_t depth) {
    struct yg_facet_table *t = l->a->levels[depth].table;
    uint32_t count = get_u32(l);
    uint32_t *ids = yg_try_alloc(YG_MEM_QUERY, sizeof(*ids) * ((size_t)count + 1));
    if (ids == NULL)
        return yg_agg_used_up(l->a, l->err);
    l->ids[depth] = ids;
    uint32_t total = t->group->has_total ? (uint32_t)t->group->has_missing : YG_NONE;
    for (uint32_t i = 0; i < count; i++) {
        struct yg_value v = {.type = (enum yg_type)get_u32(l)};
        size_t len = get_u32(l);
        yg_str text = yg_str_n(l->in.ptr + l->at, len);
        l->at += len;
        memcpy(&v.id, l->in.ptr + l->at, sizeof(v.id));
        l->at += sizeof(v.id);
        if (v.type == YG_T_STR || v.type == YG_T_JSON)
            v.str = text;
        // The group of all rows is told by its place: a value may have the same text.
        ids[i] = i == total ? t->total_id : yg_facet_table_id(t, text, v);
        if (ids[i] == YG_NONE)
            return yg_agg_used_up(l->a, l->err);
    }
    return YG_OK;
}

static bool load_buckets(struct load *l, const struct yg_agg_slot *s, char *accs) {
    const struct yg_measure *m = &l->a->measures[s->measure];
    uint32_t filled = get_u32(l);
    if (filled == 0)
        return true;
    char *buckets = yg_agg_buckets(l->a, s, accs);
    if (buckets == NULL)
        return false;
    for (uint32_t i = 0; i < filled; i++) {
        int64_t number;
        memcpy(&number, l->in.ptr + l->at, sizeof(number));
        l->at += sizeof(number);
        uint64_t bucket = (uint64_t)number - (uint64_t)m->first_bucket;
        if (bucket >= m->bucket_count) // the granules are within the range, so are their buckets
            return false;
        if (!yg_acc_load(m->compute->agg, buckets + bucket * m->acc_bytes, l->in, &l->at,
                         &l->a->pool))
            return false;
    }
    return true;
}

static yg_rc load_node(struct load *l, uint32_t depth, char *accs) {
    const struct yg_agg_level *level = &l->a->levels[depth];
    for (uint32_t i = 0; i < level->slot_count; i++) {
        const struct yg_agg_slot *s = &level->slots[i];
        enum yg_agg agg = l->a->measures[s->measure].compute->agg;
        if (!yg_acc_load(agg, accs + s->total_at, l->in, &l->at, &l->a->pool) ||
            (s->timeseries && !load_buckets(l, s, accs)))
            return yg_agg_used_up(l->a, l->err);
    }
    return YG_OK;
}

static yg_rc load_all(struct load *l) {
    struct yg_agg_tree *a = l->a;
    for (uint32_t depth = 1; depth <= a->q->group_count; depth++)
        YG_TRY(load_table(l, depth));
    uint32_t count = get_u32(l);
    l->nodes = yg_try_alloc(YG_MEM_QUERY, sizeof(*l->nodes) * count);
    l->depths = yg_try_alloc(YG_MEM_QUERY, count);
    if (l->nodes == NULL || l->depths == NULL)
        return yg_agg_used_up(a, l->err);
    l->nodes[0] = 0;
    l->depths[0] = 0;
    YG_TRY(load_node(l, 0, a->nodes[0].accs));
    for (uint32_t i = 1; i < count; i++) {
        uint32_t parent = get_u32(l), value = get_u32(l);
        uint32_t depth = l->depths[parent] + 1u;
        l->depths[i] = (uint8_t)depth;
        YG_TRY(
            yg_agg_child(a, l->nodes[parent], l->ids[depth][value], depth, &l->nodes[i], l->err));
        YG_TRY(load_node(l, depth, a->nodes[l->nodes[i]].accs));
    }
    return YG_OK;
}

yg_rc yg_agg_load(struct yg_agg_tree *a, yg_str partial, struct yg_err *err) {
    struct load l = {.a = a, .in = partial, .err = err};
    yg_rc rc = load_all(&l);
    for (uint32_t depth = 0; depth <= YG_GROUP_LEVELS_MAX; depth++)
        yg_free(YG_MEM_QUERY, l.ids[depth]);
    yg_free(YG_MEM_QUERY, l.nodes);
    yg_free(YG_MEM_QUERY, l.depths);
    return rc;
}

// ------------------------------------------------------------ fingerprint

static void put_field(struct yg_buf *out, const struct yg_field *f) {
    put_u32(out, (uint32_t)f->kind);
    put_text(out, f->name);
}

static void put_compute(struct yg_buf *out, const struct yg_compute *c) {
    put_u32(out, (uint32_t)c->agg);
    if (c->agg != YG_AGG_COUNT)
        put_field(out, &c->metric);
    if (c->agg == YG_AGG_PERCENTILE)
        yg_buf_put(out, &c->q, sizeof(c->q));
    put_u32(out, c->timeseries);
    if (c->timeseries)
        yg_buf_put(out, &c->interval_ns, sizeof(c->interval_ns));
}

static void put_group(struct yg_buf *out, const struct yg_group_by *g) {
    put_field(out, &g->facet);
    put_u32(out, (uint32_t)(g->sort_alphabetical | g->has_sort_measure << 1 | g->has_missing << 2 |
                            g->has_total << 3 | g->histogram << 4));
    if (g->has_sort_measure && !g->sort_alphabetical)
        put_compute(out, &g->sort);
    if (g->has_missing)
        put_text(out, g->missing);
    if (g->has_total)
        put_text(out, g->total);
    if (g->histogram) {
        double cut[3] = {g->hist_interval, g->hist_min, g->hist_max};
        yg_buf_put(out, cut, sizeof(cut));
    }
}

// Depth is the parser's limit.
static void put_node(struct yg_buf *out, const struct yg_node *n) {
    put_u32(out, (uint32_t)n->kind);
    put_field(out, &n->field);
    put_text(out, n->text);
    put_u32(out, (uint32_t)(n->wild | n->has_lo << 1 | n->has_hi << 2 | n->lo_open << 3 |
                            n->hi_open << 4 | n->lo_numeric << 5 | n->hi_numeric << 6));
    yg_buf_put(out, &n->lo_f64, sizeof(n->lo_f64));
    yg_buf_put(out, &n->hi_f64, sizeof(n->hi_f64));
    put_text(out, n->lo_text);
    put_text(out, n->hi_text);
    put_u32(out, n->cidr_count);
    for (uint32_t i = 0; i < n->cidr_count; i++)
        yg_buf_put(out, &n->cidrs[i], sizeof(n->cidrs[i]));
    put_u32(out, n->child_count);
    for (uint32_t i = 0; i < n->child_count; i++)
        put_node(out, n->children[i]);
}

bool yg_agg_fingerprint(const struct yg_event_query *q, struct yg_buf *out) {
    put_u32(out, (uint32_t)q->track);
    put_u32(out, q->compute_count);
    for (uint32_t i = 0; i < q->compute_count; i++)
        put_compute(out, &q->computes[i]);
    put_u32(out, q->group_count);
    for (uint32_t i = 0; i < q->group_count; i++)
        put_group(out, &q->group_by[i]);
    if (q->filter)
        put_node(out, q->filter);
    return yg_buf_ok(out, NULL) == YG_OK;
}
