// SPDX-License-Identifier: Apache-2.0
// Event queries of the v2 query API and of monitor formulas: JSON → spec → series of numbers.
//
// Source: DataDog/datadog-api-client-typescript
// packages/datadog-api-client-v2/models/EventsTimeseriesQuery.ts.
#include "query/query.h"

#include "codec/json_read.h"

static const struct {
    const char *name;
    double q; // of a percentile
    enum yg_agg agg;
} aggregations[] = {
    {"count", 0, YG_AGG_COUNT},
    {"cardinality", 0, YG_AGG_CARDINALITY},
    {"sum", 0, YG_AGG_SUM},
    {"min", 0, YG_AGG_MIN},
    {"max", 0, YG_AGG_MAX},
    {"avg", 0, YG_AGG_AVG},
    {"median", 0.5, YG_AGG_PERCENTILE},
    {"pc75", 0.75, YG_AGG_PERCENTILE},
    {"pc90", 0.90, YG_AGG_PERCENTILE},
    {"pc95", 0.95, YG_AGG_PERCENTILE},
    {"pc98", 0.98, YG_AGG_PERCENTILE},
    {"pc99", 0.99, YG_AGG_PERCENTILE},
};

yg_rc yg_aggregation_parse(yg_str aggregation, yg_str metric, enum yg_track track,
                           struct yg_arena *arena, struct yg_compute *ret_compute,
                           struct yg_err *err) {
    size_t i = 0, known = sizeof(aggregations) / sizeof(aggregations[0]);
    while (i < known && !yg_str_eq_c(aggregation, aggregations[i].name))
        i++;
    if (i == known)
        return yg_fail(err, YG_EINPUT,
                       "'%.*s' is not an aggregation: count, cardinality, sum, min, max, avg, "
                       "median, pc75, pc90, pc95, pc98, pc99",
                       (int)(aggregation.len < 40 ? aggregation.len : 40), aggregation.ptr);
    struct yg_compute c = {.agg = aggregations[i].agg, .q = aggregations[i].q};
    if (c.agg != YG_AGG_COUNT) {
        if (metric.len == 0)
            return yg_fail(err, YG_EINPUT, "aggregation '%s' needs a metric", aggregations[i].name);
        YG_TRY(yg_field_parse(metric, track, arena, &c.metric, err));
    }
    *ret_compute = c;
    return YG_OK;
}

yg_rc yg_data_source_track(yg_str data_source, enum yg_track *ret_track, struct yg_err *err) {
    static const struct {
        const char *name;
        enum yg_track track;
    } kept[] = {{"logs", YG_TRACK_LOGS},
                {"spans", YG_TRACK_SPANS},
                {"trace-analytics", YG_TRACK_SPANS},
                {"events", YG_TRACK_EVENTS},
                {"apm", YG_TRACK_SPANS}};
    static const char *const others[] = {"rum",
                                         "security_signals",
                                         "security-signals",
                                         "profiles",
                                         "audit",
                                         "audits",
                                         "ci_tests",
                                         "ci-tests",
                                         "ci_pipelines",
                                         "ci-pipelines",
                                         "incident_analytics",
                                         "product_analytics",
                                         "on_call_events",
                                         "dora",
                                         "network",
                                         "network-performance",
                                         "network_path",
                                         "network-path",
                                         "database_queries",
                                         "database-monitoring",
                                         "errors",
                                         "error-tracking",
                                         "error-tracking-rum",
                                         "error-tracking-traces",
                                         "error-tracking-logs",
                                         "llm_observability",
                                         "llm-observability",
                                         "cloud_cost",
                                         "process",
                                         "container",
                                         "slo",
                                         "apm_metrics",
                                         "apm_resource_stats",
                                         "apm_dependency_stats"};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (yg_str_eq_c(data_source, kept[i].name)) {
            *ret_track = kept[i].track;
            return YG_OK;
        }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (yg_str_eq_c(data_source, others[i]))
            return yg_fail(err, YG_ENOTFOUND, "yagura keeps no data of source '%s' yet", others[i]);
    return yg_fail(err, YG_EINPUT, "'%.*s' is not a data source",
                   (int)(data_source.len < 60 ? data_source.len : 60), data_source.ptr);
}

// ------------------------------------------------------------ JSON

struct reader {
    struct yg_arena *arena;
    struct yg_event_series_spec *spec;
    struct yg_err *err;
};

static yg_str member(const struct yg_json_node *node, const char *key) {
    return yg_json_str_or(yg_json_get(node, key), (yg_str){0});
}

static yg_rc read_compute(struct reader *r, const struct yg_json_node *node) {
    const struct yg_json_node *compute = yg_json_get(node, "compute");
    yg_str aggregation = member(compute, "aggregation");
    if (aggregation.len == 0)
        return yg_fail(r->err, YG_EINPUT, "compute.aggregation is missing");
    if (yg_aggregation_parse(aggregation, member(compute, "metric"), r->spec->track, r->arena,
                             &r->spec->compute, r->err) != YG_OK)
        return yg_err_wrap(r->err, "compute");
    r->spec->interval_ms = yg_json_i64_or(yg_json_get(compute, "interval"), 0);
    if (r->spec->interval_ms < 0)
        return yg_fail(r->err, YG_EINPUT, "compute.interval: milliseconds above 0 are expected");
    return YG_OK;
}

static yg_rc read_group(struct reader *r, const struct yg_json_node *node, uint32_t idx) {
    struct yg_group_by *g = &r->spec->group_by[idx];
    yg_str facet = yg_json_is(node, YG_JSON_STRING) ? node->str : member(node, "facet");
    if (facet.len == 0)
        return yg_fail(r->err, YG_EINPUT, "group_by[%u].facet is missing", idx);
    if (yg_field_parse(facet, r->spec->track, r->arena, &g->facet, r->err) != YG_OK)
        return yg_err_wrap(r->err, "group_by[%u].facet", idx);
    r->spec->group_names[idx] = yg_arena_str(r->arena, facet);
    int64_t limit = yg_json_i64_or(yg_json_get(node, "limit"), 10);
    if (limit < 1 || limit > 10000)
        return yg_fail(r->err, YG_EINPUT, "group_by[%u].limit: 1 to 10000 is allowed", idx);
    g->limit = (uint32_t)limit;
    const struct yg_json_node *sort = yg_json_get(node, "sort");
    if (!yg_json_is(sort, YG_JSON_OBJECT_BEGIN))
        return YG_OK;
    g->sort_ascending = yg_str_eq_c(member(sort, "order"), "asc");
    if (member(sort, "aggregation").len == 0)
        return YG_OK;
    g->has_sort_measure = true;
    if (yg_aggregation_parse(member(sort, "aggregation"), member(sort, "metric"), r->spec->track,
                             r->arena, &g->sort, r->err) != YG_OK)
        return yg_err_wrap(r->err, "group_by[%u].sort", idx);
    return YG_OK;
}

static yg_rc read_groups(struct reader *r, const struct yg_json_node *groups) {
    if (!yg_json_is(groups, YG_JSON_ARRAY_BEGIN) || groups->count == 0)
        return YG_OK;
    if (groups->count > 8)
        return yg_fail(r->err, YG_EINPUT, "group_by: at most 8 facets");
    r->spec->group_by = YG_NEW_N(r->arena, struct yg_group_by, groups->count);
    r->spec->group_names = YG_NEW_N(r->arena, yg_str, groups->count);
    if (r->spec->group_by == NULL || r->spec->group_names == NULL)
        return yg_fail(r->err, YG_ENOMEM, "no memory for an event query");
    uint64_t product = 1;
    for (const struct yg_json_node *g = groups->child; g; g = g->next) {
        YG_TRY(read_group(r, g, r->spec->group_count));
        product *= r->spec->group_by[r->spec->group_count++].limit;
        if (product > 10000)
            return yg_fail(r->err, YG_EINPUT,
                           "group_by: the product of all limits may be at most 10000");
    }
    return YG_OK;
}

yg_rc yg_event_series_parse(const struct yg_json_node *node, struct yg_arena *arena,
                            struct yg_event_series_spec **ret_spec, struct yg_err *err) {
    struct yg_event_series_spec *spec = YG_NEW(arena, struct yg_event_series_spec);
    struct reader r = {.arena = arena, .spec = spec, .err = err};
    if (spec == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for an event query");
    spec->name = yg_arena_str(arena, member(node, "name"));
    spec->data_source = yg_arena_str(arena, member(node, "data_source"));
    if (spec->data_source.len == 0)
        return yg_fail(err, YG_EINPUT, "data_source is missing");
    yg_rc rc = yg_data_source_track(spec->data_source, &spec->track, err);
    if (rc != YG_OK)
        return yg_err_wrap(err, "data_source");
    spec->search = yg_arena_str(arena, member(yg_json_get(node, "search"), "query"));
    struct yg_search_options options = {.track = spec->track};
    struct yg_node *tree = NULL;
    if (yg_search_parse(spec->search, &options, arena, &tree, err) != YG_OK)
        return yg_err_wrap(err, "search.query");
    spec->filter = tree;
    YG_TRY(read_compute(&r, node));
    YG_TRY(read_groups(&r, yg_json_get(node, "group_by")));
    *ret_spec = spec;
    return YG_OK;
}

// ------------------------------------------------------------ running

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "query memory is used up by series");
}

static yg_rc name_series(const struct yg_event_series_spec *spec, const struct yg_agg_bucket *b,
                         struct yg_arena *arena, struct yg_metric_out *out, struct yg_err *err) {
    yg_str *tags = YG_NEW_N(arena, yg_str, spec->group_count + 1);
    if (tags == NULL)
        return no_memory(err);
    out->scope = spec->group_count ? (yg_str){0} : YG_STR("*");
    for (uint32_t i = 0; i < spec->group_count; i++) {
        tags[i] = yg_arena_printf(arena, "%.*s:%.*s", YG_STR_FMT(spec->group_names[i]),
                                  YG_STR_FMT(b->by[i]));
        out->scope = i == 0 ? tags[0]
                            : yg_arena_printf(arena, "%.*s,%.*s", YG_STR_FMT(out->scope),
                                              YG_STR_FMT(tags[i]));
        if (tags[i].ptr == NULL || out->scope.ptr == NULL)
            return no_memory(err);
    }
    out->group_tags = tags;
    out->group_count = spec->group_count;
    out->metric = spec->name;
    out->expression = spec->search;
    return YG_OK;
}

static yg_rc fill_points(const struct yg_agg_value *v, int64_t from_ms, bool timeseries,
                         struct yg_arena *arena, struct yg_metric_out *out, struct yg_err *err) {
    uint32_t cap = timeseries ? v->point_count : 1;
    out->points = YG_NEW_N(arena, struct yg_metric_value, cap + 1);
    if (out->points == NULL)
        return no_memory(err);
    if (!timeseries && v->has_value)
        out->points[out->point_count++] = (struct yg_metric_value){from_ms, v->value};
    for (uint32_t i = 0; timeseries && i < v->point_count; i++)
        if (v->points[i].has_value)
            out->points[out->point_count++] =
                (struct yg_metric_value){v->points[i].time_ns / YG_NS_PER_MS, v->points[i].value};
    return YG_OK;
}

yg_rc yg_events_named_series(struct yg_store *store, const struct yg_event_series_spec *spec,
                             int64_t from_ms, int64_t to_ms, int64_t interval_ms, bool fresh,
                             int64_t deadline_mono_ns, struct yg_arena *arena,
                             struct yg_metric_result *ret_result, struct yg_err *err) {
    struct yg_compute compute = spec->compute;
    compute.timeseries = interval_ms > 0;
    compute.interval_ns = interval_ms * YG_NS_PER_MS;
    struct yg_event_query q = {.track = spec->track,
                               .range = {from_ms * YG_NS_PER_MS, to_ms * YG_NS_PER_MS},
                               .filter = spec->filter,
                               .computes = &compute,
                               .compute_count = 1,
                               .group_by = spec->group_by,
                               .group_count = spec->group_count,
                               .deadline_mono_ns = deadline_mono_ns};
    struct yg_agg_result agg;
    YG_TRY(yg_events_aggregate(store, &q, fresh, arena, &agg, err));
    struct yg_metric_result result = {.series =
                                          YG_NEW_N(arena, struct yg_metric_out, agg.count + 1)};
    if (result.series == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < agg.count; i++) {
        const struct yg_agg_value *v = &agg.buckets[i].computes[0];
        struct yg_metric_out *out = &result.series[result.count];
        out->interval_s = interval_ms >= 1000 ? (uint32_t)(interval_ms / 1000) : 1;
        YG_TRY(fill_points(v, from_ms, compute.timeseries, arena, out, err));
        if (out->point_count == 0)
            continue; // nothing was found: no series
        YG_TRY(name_series(spec, &agg.buckets[i], arena, out, err));
        result.count++;
    }
    *ret_result = result;
    return YG_OK;
}
