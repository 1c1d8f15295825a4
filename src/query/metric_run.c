// SPDX-License-Identifier: Apache-2.0
// Running metric queries: which buckets, then evaluation, then series with names for answers.

#include "base/clock.h"
#include "query/metric_int.h"
#include <math.h>
#include <stdlib.h>

#define LADDER_POINTS 300u
#define MONITOR_INTERVAL_MIN_S 10

// ------------------------------------------------------------ intervals

struct wish { // what .rollup asks for
    int64_t seconds;
    enum yg_calendar calendar;
    bool zone;
};

static void collect_rollups(const struct yg_mnode *n, uint32_t depth, struct wish *w) {
    if (n->kind == YG_MN_SERIES && n->mods.rollup) {
        w->seconds = n->mods.rollup_s > w->seconds ? n->mods.rollup_s : w->seconds;
        w->calendar = n->mods.calendar > w->calendar ? n->mods.calendar : w->calendar;
        w->zone |= n->mods.calendar_zone;
    }
    for (uint32_t i = 0; i < n->arg_count && depth < 2 * YG_MQ_DEPTH_MAX; i++)
        collect_rollups(n->args[i], depth + 1, w);
}

static void collect_named(const struct yg_mrunner *r, const struct yg_mnode *n, uint32_t depth,
                          struct wish *w) {
    if (n->kind == YG_MN_NAME)
        for (uint32_t i = 0; i < r->named_count; i++)
            if (yg_str_eq(r->named[i].name, n->text) && r->named[i].query != NULL &&
                r->named[i].query->count > 0)
                collect_rollups(r->named[i].query->parts[0], 0, w);
    for (uint32_t i = 0; i < n->arg_count && depth < 2 * YG_MQ_DEPTH_MAX; i++)
        collect_named(r, n->args[i], depth + 1, w);
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

// Operands of one expression share a grid: the coarsest .rollup, else the interval asked for, else
// the ladder.
static yg_rc choose_grid(struct yg_mrunner *r, const struct yg_mnode *n,
                         const struct yg_metric_run_options *o, int64_t interval_min_s,
                         struct yg_mgrid *ret, struct yg_err *err) {
    int64_t from = floor_div(o->from_ms + 999, 1000), to = floor_div(o->to_ms, 1000);
    if (o->from_ms >= o->to_ms)
        return yg_fail(err, YG_EINPUT, "from must be before to");
    struct wish w = {0};
    collect_rollups(n, 0, &w);
    collect_named(r, n, 0, &w);
    if (w.zone)
        return yg_fail(err, YG_EINPUT,
                       "calendar roll-ups are evaluated in UTC only by this version of yagura");
    uint32_t points_max = o->points_max > 0 ? o->points_max : YG_MQ_POINTS_MAX;
    int64_t interval = yg_mladder(to - from, LADDER_POINTS);
    if (w.seconds > 0)
        interval = w.seconds;
    else if (o->interval_ms > 0)
        interval = o->interval_ms >= 1000 ? o->interval_ms / 1000 : 1;
    if (interval < interval_min_s)
        interval = interval_min_s;
    if ((to - from) / interval > (int64_t)points_max)
        interval = yg_mladder(to - from, points_max);
    if ((to - from) / interval > (int64_t)points_max) // past the ladder's end
        interval = (to - from) / (int64_t)points_max / 86400 * 86400 + 86400;
    return yg_mgrid_make(r->arena, from, to, interval, w.calendar, ret, err);
}

yg_rc yg_mq_go_on(const struct yg_mrunner *r, struct yg_err *err) {
    if (r->deadline_mono_ns > 0 && yg_mono_ns(&yg_clock_system) > r->deadline_mono_ns)
        return yg_fail(err, YG_ETIMEOUT, "the metric query took too long");
    if (r->canceled != NULL && r->canceled(r->canceled_arg))
        return yg_fail(err, YG_ECANCEL, "the asker is gone");
    return YG_OK;
}

int64_t yg_metric_interval_s(int64_t from_ms, int64_t to_ms) {
    return yg_mladder((to_ms - from_ms) / 1000, LADDER_POINTS);
}

// ------------------------------------------------------------ results

static int cmp_groups(const void *a, const void *b) {
    const struct yg_mser *x = a, *y = b;
    for (uint32_t i = 0; i < x->tag_count && i < y->tag_count; i++) {
        int c = yg_str_cmp(x->tags[i], y->tags[i]);
        if (c != 0)
            return c;
    }
    return (x->tag_count > y->tag_count) - (x->tag_count < y->tag_count);
}

static bool keeps_order(const struct yg_mnode *n) {
    return n->kind == YG_MN_CALL && (yg_str_starts(yg_str_c(n->fn->name), YG_STR("top")) ||
                                     yg_str_starts(yg_str_c(n->fn->name), YG_STR("bottom")));
}

// A bare number becomes one series.
static yg_rc as_list(struct yg_mrunner *r, const struct yg_mnode *n, uint32_t buckets,
                     struct yg_mval *v, struct yg_err *err) {
    if (v->scalar) {
        v->list = YG_NEW(r->arena, struct yg_mser);
        double *values = YG_NEW_N(r->arena, double, buckets);
        if (v->list == NULL || values == NULL)
            return yg_mq_no_memory(err);
        for (uint32_t i = 0; i < buckets; i++)
            values[i] = v->number;
        v->list->v = values;
        v->count = 1;
    }
    if (!keeps_order(n) && v->count > 1)
        qsort(v->list, v->count, sizeof(*v->list), cmp_groups);
    return YG_OK;
}

// The unit of the metric when the expression does not change what is measured.
static yg_str unit_of(const struct yg_mrunner *r, const struct yg_mnode *n, uint32_t depth) {
    struct yg_metric_info info;
    if (depth > YG_MQ_DEPTH_MAX)
        return (yg_str){0};
    if (n->kind == YG_MN_SERIES && n->aggr != YG_SPACE_COUNT &&
        yg_metric_brief(r->store, n->metric, &info, NULL) == YG_OK)
        return info.unit;
    if (n->kind == YG_MN_NEGATE || (n->kind == YG_MN_CALL && n->fn->keeps_unit))
        return unit_of(r, n->args[0], depth + 1);
    if (n->kind == YG_MN_BINARY && (n->op == '+' || n->op == '-')) {
        yg_str left = unit_of(r, n->args[0], depth + 1), right = unit_of(r, n->args[1], depth + 1);
        return yg_str_eq(left, right) ? left : (yg_str){0};
    }
    if (n->kind == YG_MN_NAME)
        for (uint32_t i = 0; i < r->named_count; i++) {
            const struct yg_named_series *s = &r->named[i];
            if (!yg_str_eq(s->name, n->text))
                continue;
            if (s->query != NULL && s->query->count > 0)
                return unit_of(r, s->query->parts[0], depth + 1);
            return s->result.count > 0 ? s->result.series[0].unit : (yg_str){0};
        }
    return (yg_str){0};
}

struct out_list {
    struct yg_metric_out *items;
    uint32_t len, cap;
};

static yg_rc put_series(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                        const struct yg_mser *s, struct yg_metric_out *o, struct yg_err *err) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < grid->count; i++)
        count += isnan(s->v[i]) ? 0u : 1u;
    o->points = YG_NEW_N(r->arena, struct yg_metric_value, count + 1);
    if (o->points == NULL)
        return yg_mq_no_memory(err);
    for (uint32_t i = 0; i < grid->count; i++)
        if (!isnan(s->v[i]))
            o->points[o->point_count++] = (struct yg_metric_value){grid->starts[i] * 1000, s->v[i]};
    o->group_tags = s->tags;
    o->group_count = s->tag_count;
    o->interval_s =
        (uint32_t)(grid->interval_s > 0 && grid->calendar == YG_CAL_NONE ? grid->interval_s
                                                                         : yg_mgrid_width(grid, 0));
    o->metric = yg_mtext_metric(n, r->arena, 0);
    o->expression = yg_mtext_expression(n, s, r->arena, 0);
    o->scope = yg_mtext_scope(n, s, r->arena);
    if (o->metric.ptr == NULL || o->expression.ptr == NULL)
        return yg_mq_no_memory(err);
    return YG_OK;
}

static yg_rc put_all(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                     struct yg_mval *v, uint32_t query_index, struct out_list *out,
                     struct yg_err *err) {
    YG_TRY(as_list(r, n, grid->count, v, err));
    const struct yg_mnode *first = yg_mnode_first(n, YG_MN_SERIES, 0);
    yg_str unit = unit_of(r, n, 0);
    for (uint32_t s = 0; s < v->count; s++) {
        if (!YG_ARENA_GROW(r->arena, out->items, out->len, out->cap))
            return yg_mq_no_memory(err);
        struct yg_metric_out *o = &out->items[out->len];
        *o = (struct yg_metric_out){.query_index = query_index, .unit = unit};
        if (first != NULL && first->has_aggr)
            o->aggr = first->aggr_text;
        YG_TRY(put_series(r, n, grid, &v->list[s], o, err));
        out->len += o->point_count > 0;
    }
    return YG_OK;
}

yg_rc yg_metric_run(struct yg_store *store, const struct yg_metric_query *q,
                    const struct yg_metric_run_options *options, struct yg_arena *arena,
                    struct yg_metric_result *ret_result, struct yg_err *err) {
    struct yg_mrunner r = {.store = store,
                           .arena = arena,
                           .deadline_mono_ns = options->deadline_mono_ns,
                           .canceled = options->canceled,
                           .canceled_arg = options->canceled_arg};
    struct yg_metric_result result = {0};
    r.warnings = &result;
    struct out_list out = {0};
    for (uint32_t i = 0; i < q->count; i++) {
        struct yg_mgrid grid;
        struct yg_mval v;
        YG_TRY(choose_grid(&r, q->parts[i], options, 1, &grid, err));
        YG_TRY(yg_meval(&r, q->parts[i], &grid, 0, &v, err));
        YG_TRY(put_all(&r, q->parts[i], &grid, &v, i, &out, err));
    }
    result.series = out.items;
    result.count = out.len;
    *ret_result = result;
    return YG_OK;
}

// ------------------------------------------------------------ monitors

static yg_str window_word(enum yg_window_agg agg, double percentile, struct yg_arena *a) {
    switch (agg) {
    case YG_WINDOW_AVG:
        return YG_STR("avg");
    case YG_WINDOW_SUM:
        return YG_STR("sum");
    case YG_WINDOW_MIN:
        return YG_STR("min");
    case YG_WINDOW_MAX:
        return YG_STR("max");
    case YG_WINDOW_LAST:
        return YG_STR("last");
    case YG_WINDOW_PERCENTILE: // 0.95, or 95
        return yg_arena_printf(a, "p%.6g", percentile <= 1 ? percentile * 100 : percentile);
    }
    return YG_STR("avg");
}

static yg_rc window_values(struct yg_mrunner *r, const struct yg_mval *v,
                           const struct yg_mgrid *grid, uint32_t buckets, yg_str how,
                           struct yg_window_value **ret_values, uint32_t *ret_count,
                           struct yg_err *err) {
    // An ungrouped query has one group, with or without data.
    uint32_t count = v->count == 0 && !v->grouped ? 1 : v->count;
    struct yg_window_value *out = YG_NEW_N(r->arena, struct yg_window_value, count + 1);
    if (out == NULL)
        return yg_mq_no_memory(err);
    for (uint32_t s = 0; s < v->count; s++) {
        out[s].group_tags = v->list[s].tags;
        out[s].group_count = v->list[s].tag_count;
        out[s].has_value = yg_mq_reduce(v->list[s].v, grid->starts, buckets, how, &out[s].value);
    }
    *ret_values = out;
    *ret_count = count;
    return YG_OK;
}

yg_rc yg_metric_window(struct yg_store *store, const struct yg_metric_query *q,
                       enum yg_window_agg agg, double percentile, int64_t from_ms, int64_t to_ms,
                       struct yg_arena *arena, struct yg_window_value **ret_values,
                       uint32_t *ret_count, struct yg_err *err) {
    const struct yg_metric_run_options o = {.from_ms = from_ms, .to_ms = to_ms - 1};
    struct yg_mrunner r = {.store = store,
                           .arena = arena,
                           .window = true,
                           .reduce = window_word(agg, percentile, arena)};
    if (q->count == 0)
        return yg_fail(err, YG_EINPUT, "the query is empty");
    const struct yg_mnode *n = q->parts[0];
    struct yg_mgrid grid;
    struct yg_mval v;
    YG_TRY(choose_grid(&r, n, &o, MONITOR_INTERVAL_MIN_S, &grid, err));
    if (q->as_count) { // arithmetic over the totals of the window
        YG_TRY(yg_meval_window(&r, n, &grid, 0, &v, err));
        YG_TRY(as_list(&r, n, 1, &v, err));
        return window_values(&r, &v, &grid, 1, YG_STR("last"), ret_values, ret_count, err);
    }
    YG_TRY(yg_meval(&r, n, &grid, 0, &v, err));
    YG_TRY(as_list(&r, n, grid.count, &v, err));
    return window_values(&r, &v, &grid, grid.count, r.reduce, ret_values, ret_count, err);
}

// ------------------------------------------------------------ formulas

static int cmp_i64(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Times of results that came from elsewhere: their union.
static yg_rc union_grid(struct yg_mrunner *r, struct yg_mgrid *g, struct yg_err *err) {
    size_t points = 0;
    uint32_t interval = 0;
    for (uint32_t i = 0; i < r->named_count; i++)
        for (uint32_t s = 0; s < r->named[i].result.count; s++) {
            const struct yg_metric_out *o = &r->named[i].result.series[s];
            points += o->point_count;
            interval = interval == 0 || (o->interval_s > 0 && o->interval_s < interval)
                           ? o->interval_s
                           : interval;
        }
    *g = (struct yg_mgrid){.starts = YG_NEW_N(r->arena, int64_t, points + 2)};
    if (g->starts == NULL)
        return yg_mq_no_memory(err);
    size_t n = 0;
    for (uint32_t i = 0; i < r->named_count; i++)
        for (uint32_t s = 0; s < r->named[i].result.count; s++)
            for (uint32_t p = 0; p < r->named[i].result.series[s].point_count; p++)
                g->starts[n++] = r->named[i].result.series[s].points[p].ts_ms / 1000;
    if (n > 1)
        qsort(g->starts, n, sizeof(*g->starts), cmp_i64);
    for (size_t i = 0; i < n; i++)
        if (g->count == 0 || g->starts[i] != g->starts[g->count - 1])
            g->starts[g->count++] = g->starts[i];
    g->starts[g->count] =
        g->count > 0 ? g->starts[g->count - 1] + (interval > 0 ? interval : 1) : 0;
    return YG_OK;
}

static yg_rc formula_grid(struct yg_mrunner *r, const struct yg_mnode *n,
                          const struct yg_metric_run_options *o, struct yg_mgrid *g,
                          struct yg_err *err) {
    for (uint32_t i = 0; i < r->named_count; i++)
        if (r->named[i].query != NULL)
            return choose_grid(r, n, o, 1, g, err);
    return union_grid(r, g, err);
}

yg_rc yg_formula_run(yg_str formula, const struct yg_named_series *named, uint32_t named_count,
                     const struct yg_metric_run_options *options, struct yg_arena *arena,
                     struct yg_metric_result *ret_result, struct yg_err *err) {
    struct yg_mrunner r = {.store = options->store,
                           .arena = arena,
                           .deadline_mono_ns = options->deadline_mono_ns,
                           .canceled = options->canceled,
                           .canceled_arg = options->canceled_arg,
                           .named = named,
                           .named_count = named_count,
                           .scalar = options->scalar};
    struct yg_metric_result result = {0};
    r.warnings = &result;
    struct yg_mnode *n;
    YG_TRY(yg_mp_formula(formula, arena, &n, err));
    struct yg_mgrid grid;
    struct yg_mval v;
    YG_TRY(formula_grid(&r, n, options, &grid, err));
    if (options->scalar) {
        YG_TRY(yg_meval_window(&r, n, &grid, 0, &v, err));
        grid.count = grid.count > 0; // one value
        if (grid.count == 0)
            v.count = 0;
    } else {
        YG_TRY(yg_meval(&r, n, &grid, 0, &v, err));
    }
    struct out_list out = {0};
    YG_TRY(put_all(&r, n, &grid, &v, 0, &out, err));
    result.series = out.items;
    result.count = out.len;
    *ret_result = result;
    return YG_OK;
}

bool yg_metric_reduce(const struct yg_metric_out *series, yg_str aggregator, double *ret_value) {
    uint32_t n = series->point_count;
    double *v = yg_alloc(YG_MEM_QUERY, (n + 1) * sizeof(*v));
    int64_t *starts = yg_alloc(YG_MEM_QUERY, (n + 1) * sizeof(*starts));
    for (uint32_t i = 0; i < n; i++) {
        v[i] = series->points[i].value;
        starts[i] = series->points[i].ts_ms / 1000;
    }
    bool good = yg_mq_reduce(v, starts, n, aggregator, ret_value);
    yg_free(YG_MEM_QUERY, v);
    yg_free(YG_MEM_QUERY, starts);
    return good;
}
