// SPDX-License-Identifier: Apache-2.0
// One series query: time aggregation of each stored series, interpolation, space aggregation by
// keys.
//
// Series come one after the other; each is aggregated into the grid, filled, and added to its
// group, so memory grows with groups and not with series. Interpolated values count only where some
// series of the query has a real one (`mask`): a lone series has nothing to be interpolated for.

#include "base/clock.h"
#include "base/map.h"
#include "query/metric_int.h"
#include <math.h>

struct group {
    struct yg_mser out;
    double *a, *n;              // sums (or the extreme) and counts
    double *lo, *hi;            // distributions
    struct yg_sketch *sketches; // percentiles, one per bucket
};

struct leaf {
    struct yg_mrunner *r;
    const struct yg_mnode *node;
    const struct yg_mleaf_options *options;
    struct yg_mgrid grid; // with history in front
    uint32_t history;
    bool distribution, percentile;
    enum yg_fill fill;
    int64_t fill_limit_s;
    struct group *groups;
    uint32_t group_count, group_cap;
    struct yg_map index;
    uint8_t *mask;
    struct yg_buf key; // scratch of find_group
    // the series at hand
    uint32_t group;
    enum yg_metric_type type;
    int64_t interval_s;
    double *a, *n, *v; // per bucket: sum or extreme, weight (0 = nothing there), value
    yg_rc rc;
    struct yg_err err;
    uint32_t seen;
};

// ------------------------------------------------------------ groups

// The values of a key, comma-joined when there are several; "N/A" when there is none.
static yg_str key_value(struct yg_arena *a, yg_str key, yg_str tags) {
    yg_str found = {0}, rest = tags, tag;
    while (rest.len > 0 && yg_str_split(&rest, ',', &tag)) {
        if (tag.len <= key.len || tag.ptr[key.len] != ':' || memcmp(tag.ptr, key.ptr, key.len) != 0)
            continue;
        yg_str value = yg_str_sub(tag, key.len + 1, SIZE_MAX);
        found = found.len == 0
                    ? value
                    : yg_arena_printf(a, "%.*s,%.*s", YG_STR_FMT(found), YG_STR_FMT(value));
    }
    return found.len > 0 ? found : YG_STR("N/A");
}

static bool group_alloc(struct leaf *l, struct group *g) {
    struct yg_arena *a = l->r->arena;
    uint32_t n = l->grid.count;
    g->a = YG_NEW_N(a, double, n);
    g->n = YG_NEW_N(a, double, n);
    bool good = g->a != NULL && g->n != NULL;
    if (l->distribution) {
        g->lo = YG_NEW_N(a, double, n);
        g->hi = YG_NEW_N(a, double, n);
        good = good && g->lo != NULL && g->hi != NULL;
    }
    if (l->percentile) {
        g->sketches = YG_NEW_N(a, struct yg_sketch, n);
        good = good && g->sketches != NULL;
        for (uint32_t i = 0; good && i < n; i++)
            g->sketches[i] = YG_SKETCH(YG_MEM_QUERY);
    }
    return good;
}

static yg_rc find_group(struct leaf *l, yg_str tags, uint32_t *ret_idx) {
    struct yg_arena *a = l->r->arena;
    const struct yg_mnode *n = l->node;
    yg_str values[YG_MQ_KEYS_MAX];
    if (n->key_count == 0 && l->group_count > 0) { // there is one group
        *ret_idx = 0;
        return YG_OK;
    }
    yg_buf_reset(&l->key);
    for (uint32_t i = 0; i < n->key_count; i++) {
        values[i] = key_value(a, n->keys[i], tags);
        yg_buf_puts(&l->key, values[i]);
        yg_buf_putc(&l->key, 0);
    }
    bool fresh;
    uint64_t *at = yg_map_put(&l->index, yg_buf_str(&l->key), &fresh);
    if (!fresh) {
        *ret_idx = (uint32_t)*at;
        return YG_OK;
    }
    if (l->group_count == YG_MQ_GROUPS_MAX)
        return yg_fail(&l->err, YG_ELIMIT, "metric %.*s has more than %u groups",
                       YG_STR_FMT(n->metric), YG_MQ_GROUPS_MAX);
    if (!YG_ARENA_GROW(a, l->groups, l->group_count, l->group_cap))
        return yg_mq_no_memory(&l->err);
    struct group *g = &l->groups[l->group_count];
    *g = (struct group){.out.tag_count = n->key_count};
    yg_str *out = YG_NEW_N(a, yg_str, n->key_count + 1);
    for (uint32_t i = 0; out != NULL && i < n->key_count; i++)
        out[i] = yg_arena_printf(a, "%.*s:%.*s", YG_STR_FMT(n->keys[i]), YG_STR_FMT(values[i]));
    g->out.tags = out;
    *at = l->group_count;
    *ret_idx = l->group_count;
    l->group_count++; // counted before it is whole, so that its sketches are freed
    return out != NULL && group_alloc(l, g) ? YG_OK : yg_mq_no_memory(&l->err);
}

// ------------------------------------------------------------ time aggregation

static enum yg_time_agg method_of(const struct leaf *l) {
    const struct yg_mmods *m = &l->node->mods;
    if (m->method != YG_TIME_DEFAULT)
        return m->method;
    bool summed = l->type == YG_METRIC_COUNT ? m->as_count || m->as_rate
                                             : l->type == YG_METRIC_RATE && m->as_count;
    return summed ? YG_TIME_SUM : YG_TIME_AVG;
}

static double add_up(const double *v, uint32_t from, uint32_t to) {
    double sum = v[from];
    for (uint32_t i = from + 1; i < to; i++)
        sum += v[i];
    return sum;
}

static double least(const double *v, uint32_t from, uint32_t to) {
    double x = v[from];
    for (uint32_t i = from + 1; i < to; i++)
        x = v[i] < x ? v[i] : x;
    return x;
}

static double most(const double *v, uint32_t from, uint32_t to) {
    double x = v[from];
    for (uint32_t i = from + 1; i < to; i++)
        x = v[i] > x ? v[i] : x;
    return x;
}

static void add_sketches(struct leaf *l, uint32_t i, const struct yg_metric_batch *b, uint32_t from,
                         uint32_t to) {
    struct group *g = &l->groups[l->group];
    bool first = g->n[i] <= 0;
    double lo = least(b->min ? b->min : b->sum, from, to),
           hi = most(b->max ? b->max : b->sum, from, to);
    g->lo[i] = first || lo < g->lo[i] ? lo : g->lo[i];
    g->hi[i] = first || hi > g->hi[i] ? hi : g->hi[i];
    g->a[i] += add_up(b->sum, from, to); // first within the series, whatever the roll-ups
    g->n[i] += b->weight ? add_up(b->weight, from, to) : to - from;
    for (uint32_t k = from; l->percentile && b->sketch != NULL && k < to; k++)
        if (b->sketch[k] != NULL)
            yg_sketch_merge(&g->sketches[i], b->sketch[k]);
}

// Buckets [from, to) of the batch lie in bucket i of the grid.
static void add_scalars(struct leaf *l, enum yg_time_agg method, uint32_t i,
                        const struct yg_metric_batch *b, uint32_t from, uint32_t to) {
    if (method == YG_TIME_MIN || method == YG_TIME_MAX) {
        l->a[i] = method == YG_TIME_MIN ? least(b->min ? b->min : b->sum, from, to)
                                        : most(b->max ? b->max : b->sum, from, to);
        l->n[i] = 1;
        return;
    }
    l->a[i] = add_up(b->sum, from, to);
    l->n[i] = b->weight ? add_up(b->weight, from, to) : to - from;
}

// Sums and extremes → values, NaN where nothing is.
static void time_values(struct leaf *l, enum yg_time_agg method) {
    const struct yg_mmods *m = &l->node->mods;
    uint32_t n = l->grid.count;
    for (uint32_t i = 0; i < n; i++) {
        double v = method == YG_TIME_AVG     ? l->a[i] / l->n[i]
                   : method == YG_TIME_COUNT ? l->n[i]
                                             : l->a[i];
        l->v[i] = l->n[i] > 0 ? v : (double)NAN;
    }
    if (method != YG_TIME_SUM)
        return;
    double per_s = (double)(l->interval_s > 0 ? l->interval_s : YG_BUCKET_S);
    if (l->type == YG_METRIC_RATE && m->as_count)
        for (uint32_t i = 0; i < n; i++)
            l->v[i] *= per_s;
    if (l->type != YG_METRIC_COUNT || !m->as_rate)
        return;
    for (uint32_t i = 0; i < n; i++) { // without aggregation over time the raw counts come back
        int64_t width = yg_mgrid_width(&l->grid, i);
        if (l->interval_s == 0 || width > l->interval_s)
            l->v[i] /= (double)width;
    }
}

// Gauges of which only a part of the bucket was heard count by that part.
static void weigh(struct leaf *l) {
    int64_t step = l->interval_s > YG_BUCKET_S ? l->interval_s : YG_BUCKET_S;
    for (uint32_t i = 0; i < l->grid.count; i++) {
        if (isnan(l->v[i]))
            continue;
        double share = l->n[i] * (double)step / (double)yg_mgrid_width(&l->grid, i);
        l->v[i] *= share < 1 ? share : 1;
    }
}

// ------------------------------------------------------------ interpolation

static bool interpolates(const struct leaf *l) {
    const struct yg_mmods *m = &l->node->mods;
    if (m->fill_set)
        return l->fill != YG_FILL_NULL;
    return l->type == YG_METRIC_GAUGE || !(m->as_count || m->as_rate);
}

static void fill_gap(const struct leaf *l, double *v, uint32_t from, uint32_t to) {
    const int64_t *t = l->grid.starts;
    bool held = to >= l->grid.count || isnan(v[to]);
    for (uint32_t i = from + 1; i < to && t[i] - t[from] <= l->fill_limit_s; i++) {
        if (l->fill == YG_FILL_ZERO)
            v[i] = 0;
        else if (l->fill == YG_FILL_LAST || held)
            v[i] = v[from];
        else
            v[i] =
                v[from] + (v[to] - v[from]) * (double)(t[i] - t[from]) / (double)(t[to] - t[from]);
    }
}

static void interpolate(const struct leaf *l, double *v) {
    uint32_t n = l->grid.count, last = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(v[i]))
            continue;
        if (last != UINT32_MAX && i > last + 1)
            fill_gap(l, v, last, i);
        last = i;
    }
    if (last != UINT32_MAX)
        fill_gap(l, v, last, n);
}

// ------------------------------------------------------------ space aggregation

static void fold(const struct leaf *l, struct group *g, const double *v) {
    uint32_t n = l->grid.count;
    if (l->node->aggr == YG_SPACE_MIN || l->node->aggr == YG_SPACE_MAX) {
        bool least_wins = l->node->aggr == YG_SPACE_MIN;
        for (uint32_t i = 0; i < n; i++) {
            if (isnan(v[i]))
                continue;
            if (g->n[i] <= 0 || (least_wins ? v[i] < g->a[i] : v[i] > g->a[i]))
                g->a[i] = v[i];
            g->n[i] += 1;
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        bool there = !isnan(v[i]);
        g->a[i] += there ? v[i] : 0;
        g->n[i] += there;
    }
}

// The values of a series are complete: into its group.
static void close_series(struct leaf *l, enum yg_time_agg method) {
    uint32_t n = l->grid.count, there = 0;
    time_values(l, method);
    if (l->node->mods.weighted && l->type == YG_METRIC_GAUGE)
        weigh(l);
    if (l->options->pre != YG_PRE_NONE)
        yg_mpre_run(l->options->pre, l->options->pre_scale, &l->grid, l->v);
    for (uint32_t i = 0; i < n; i++) {
        bool is = !isnan(l->v[i]);
        l->mask[i] |= is;
        there += is;
    }
    if (there < n && interpolates(l))
        interpolate(l, l->v);
    fold(l, &l->groups[l->group], l->v);
}

// ------------------------------------------------------------ reading

static bool on_series(void *ctx, const struct yg_metric_series *s) {
    struct leaf *l = ctx;
    if (l->rc != YG_OK || (s->type == YG_METRIC_DISTRIBUTION) != l->distribution)
        return false;
    if ((++l->seen & 63) == 0)
        l->rc = yg_mq_go_on(l->r, &l->err);
    if (l->rc != YG_OK)
        return false;
    l->type = s->type;
    l->interval_s = s->interval_s;
    l->rc = find_group(l, s->tags, &l->group);
    return l->rc == YG_OK;
}

static void on_batch(void *ctx, const struct yg_metric_batch *b) {
    struct leaf *l = ctx;
    enum yg_time_agg method = method_of(l);
    if (!l->distribution)
        memset(l->n, 0, l->grid.count * sizeof(*l->n));
    for (uint32_t from = 0, to; from < b->count; from = to) {
        uint32_t i = yg_mgrid_find(&l->grid, (int64_t)b->bucket[from] * YG_BUCKET_S);
        to = from + 1;
        if (i == UINT32_MAX)
            continue;
        int64_t end = (l->grid.starts[i + 1] + YG_BUCKET_S - 1) / YG_BUCKET_S;
        while (to < b->count && b->bucket[to] < end)
            to++;
        if (l->distribution)
            add_sketches(l, i, b, from, to);
        else
            add_scalars(l, method, i, b, from, to);
    }
    if (!l->distribution)
        close_series(l, method);
}

static void on_warning(void *ctx, yg_str text) {
    struct leaf *l = ctx;
    struct yg_metric_result *w = l->r->warnings;
    if (w == NULL)
        return;
    if (w->warning_count < YG_METRIC_WARNINGS_MAX)
        w->warnings[w->warning_count] = yg_arena_str(l->r->arena, text);
    w->warning_count++;
}

// ------------------------------------------------------------ results

static double scalar_result(const struct leaf *l, const struct group *g, uint32_t i) {
    if (g->n[i] <= 0)
        return (double)NAN;
    switch (l->node->aggr) {
    case YG_SPACE_AVG:
        return g->a[i] / g->n[i];
    case YG_SPACE_COUNT:
        return g->n[i];
    case YG_SPACE_SUM:
    case YG_SPACE_MIN:
    case YG_SPACE_MAX:
        return g->a[i];
    case YG_SPACE_PERCENTILE:
    case YG_SPACE_HISTOGRAM:
    case YG_SPACE_KIND_COUNT:
        break;
    }
    return (double)NAN; // percentiles are of distributions
}

static double sketch_result(const struct leaf *l, const struct group *g, uint32_t i) {
    if (g->n[i] <= 0)
        return (double)NAN;
    double per = l->node->mods.as_rate ? (double)yg_mgrid_width(&l->grid, i) : 1;
    switch (l->node->aggr) {
    case YG_SPACE_AVG:
        return g->a[i] / g->n[i];
    case YG_SPACE_SUM:
        return g->a[i] / per;
    case YG_SPACE_COUNT:
        return g->n[i] / per;
    case YG_SPACE_MIN:
        return g->lo[i];
    case YG_SPACE_MAX:
        return g->hi[i];
    case YG_SPACE_PERCENTILE:
        return yg_sketch_quantile(&g->sketches[i], l->node->q);
    case YG_SPACE_HISTOGRAM:
    case YG_SPACE_KIND_COUNT:
        break;
    }
    return (double)NAN;
}

static yg_rc finish(struct leaf *l, struct yg_mval *ret_value, struct yg_err *err) {
    bool masked = !l->distribution && !l->options->keep_interpolated && !l->node->mods.fill_set;
    ret_value->list = YG_NEW_N(l->r->arena, struct yg_mser, l->group_count + 1);
    if (ret_value->list == NULL)
        return yg_mq_no_memory(err);
    for (uint32_t g = 0; g < l->group_count; g++) {
        struct group *group = &l->groups[g];
        double *v = group->a; // results take the place of the sums
        for (uint32_t i = 0; i < l->grid.count; i++)
            v[i] = masked && !l->mask[i] ? (double)NAN
                   : l->distribution     ? sketch_result(l, group, i)
                                         : scalar_result(l, group, i);
        group->out.v = v + l->history;
        ret_value->list[g] = group->out;
    }
    ret_value->count = l->group_count;
    return YG_OK;
}

static bool counts_as_zero(const struct yg_mnode *n, bool known, enum yg_metric_type type) {
    bool marked = n->mods.as_count || n->mods.as_rate;
    return marked && (!known || type != YG_METRIC_GAUGE);
}

static yg_rc prepare(struct leaf *l, const struct yg_mgrid *grid, bool known,
                     const struct yg_metric_info *info, struct yg_err *err) {
    const struct yg_mmods *m = &l->node->mods;
    l->distribution = known && info->type == YG_METRIC_DISTRIBUTION;
    l->percentile = l->distribution && l->node->aggr == YG_SPACE_PERCENTILE;
    l->fill = m->fill_set ? m->fill : YG_FILL_LINEAR;
    l->fill_limit_s = m->fill_set ? m->fill_limit_s : YG_MQ_INTERPOLATE_S;
    int64_t width = grid->interval_s > 0 ? grid->interval_s : yg_mgrid_width(grid, 0);
    bool look_back = !l->r->window || l->options->pre != YG_PRE_NONE;
    if (!l->distribution &&
        look_back) // what came shortly before the window can still be held or differenced
        l->history = (uint32_t)((YG_MQ_INTERPOLATE_S + width - 1) / width);
    YG_TRY(yg_mgrid_extend(l->r->arena, grid, l->history, &l->grid, err));
    uint32_t n = l->grid.count;
    l->mask = YG_NEW_N(l->r->arena, uint8_t, n);
    l->a = YG_NEW_N(l->r->arena, double, n);
    l->n = YG_NEW_N(l->r->arena, double, n);
    l->v = YG_NEW_N(l->r->arena, double, n);
    return l->mask && l->a && l->n && l->v ? YG_OK : yg_mq_no_memory(err);
}

// The widest buckets out of which the grid can be made.
static uint32_t step_of(const struct yg_mgrid *g) {
    static const uint32_t steps[] = {3600, 300, 60};
    for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
        bool fits = true;
        for (uint32_t i = 0; i <= g->count && fits; i++)
            fits = g->starts[i] % steps[k] == 0;
        if (fits)
            return steps[k];
    }
    return YG_BUCKET_S;
}

static uint32_t fields_of(const struct leaf *l) {
    uint32_t fields = YG_METRIC_SUM | YG_METRIC_WEIGHT;
    if (l->distribution)
        fields |= YG_METRIC_MIN | YG_METRIC_MAX;
    if (l->percentile)
        fields |= YG_METRIC_SKETCH;
    if (l->node->mods.method == YG_TIME_MIN)
        fields |= YG_METRIC_MIN;
    if (l->node->mods.method == YG_TIME_MAX)
        fields |= YG_METRIC_MAX;
    return fields;
}

static yg_rc read_all(struct leaf *l, struct yg_err *err) {
    static const struct yg_metric_reader_ops ops = {on_series, NULL, on_warning, on_batch};
    const struct yg_metric_read_options o = {.from_s = l->grid.starts[0],
                                             .to_s = l->grid.starts[l->grid.count],
                                             .step_s = step_of(&l->grid),
                                             .fields = fields_of(l)};
    YG_TRY(yg_metric_read_as(l->r->store, l->node->metric, l->node->scope, &o, &ops, l, err));
    if (l->rc != YG_OK && err != NULL)
        *err = l->err;
    return l->rc;
}

static void leaf_fini(struct leaf *l) {
    for (uint32_t g = 0; g < l->group_count; g++)
        for (uint32_t i = 0; l->groups[g].sketches != NULL && i < l->grid.count; i++)
            yg_sketch_fini(&l->groups[g].sketches[i]);
    yg_map_fini(&l->index);
    yg_buf_fini(&l->key);
}

yg_rc yg_mleaf(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
               const struct yg_mleaf_options *options, struct yg_mval *ret_value,
               struct yg_err *err) {
    if (n->aggr == YG_SPACE_HISTOGRAM)
        return yg_fail(err, YG_EINPUT,
                       "histogram: is for heat maps, which this version does not draw");
    struct yg_metric_info info = {0};
    bool known = yg_metric_brief(r->store, n->metric, &info, NULL) == YG_OK;
    struct leaf l = {.r = r,
                     .node = n,
                     .options = options,
                     .index = YG_MAP(YG_MEM_QUERY, true),
                     .key = YG_BUF(YG_MEM_QUERY, 1u << 20)};
    *ret_value =
        (struct yg_mval){.grouped = n->key_count > 0, .zero = counts_as_zero(n, known, info.type)};
    YG_TRY(prepare(&l, grid, known, &info, err));
    yg_rc rc = YG_OK;
    if (known)
        rc = read_all(&l, err);
    if (rc == YG_OK)
        rc = finish(&l, ret_value, err);
    leaf_fini(&l);
    return rc;
}
