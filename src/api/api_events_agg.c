// SPDX-License-Identifier: Apache-2.0
// Aggregation over events for any track: request → computes and groups → buckets.
//
// Source: recorded answers of DataDog/datadog-api-client-typescript cassettes/v2/Logs_*, Spans_*,
// CI-Visibility-*; its packages/datadog-api-client-v2/models/LogsGroupBy.ts for limits.
#include "api/api_events.h"

#include <inttypes.h>
#include <math.h>

#include "base/rand.h"
#include "codec/text.h"

#define COMPUTES_MAX 32u
#define GROUPS_MAX 8u
#define POINTS_DEFAULT 150
#define GROUP_PRODUCT_MAX 10000u
#define HISTOGRAM_MAX 100
#define BUCKETS_PER_PAGE 1000u

struct request {
    struct yg_event_call call;
    struct yg_compute computes[COMPUTES_MAX];
    struct yg_group_by groups[GROUPS_MAX];
    yg_str facets[GROUPS_MAX]; // as written
    uint32_t offset;           // buckets of earlier pages
};

static yg_str member(const struct yg_json_node *node, const char *key) {
    return yg_json_str_or(yg_json_get(node, key), (yg_str){0});
}

// The smallest round interval that gives at most 150 points.
static int64_t default_interval(struct yg_time_range r) {
    static const int64_t seconds[] = {1,   2,    5,    10,   20,   30,    60,    120,   300,
                                      600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400};
    size_t n = sizeof(seconds) / sizeof(seconds[0]);
    int64_t span = r.to_ns - r.from_ns;
    for (size_t i = 0; i < n; i++)
        if (span / (seconds[i] * YG_NS_PER_S) <= POINTS_DEFAULT)
            return seconds[i] * YG_NS_PER_S;
    return seconds[n - 1] * YG_NS_PER_S * (1 + span / (86400 * YG_NS_PER_S) / POINTS_DEFAULT);
}

static yg_rc read_aggregation(struct request *r, const struct yg_json_node *node, const char *path,
                              struct yg_compute *out, struct yg_err *err) {
    struct yg_err reason = {0};
    yg_rc rc = yg_aggregation_parse(member(node, "aggregation"), member(node, "metric"),
                                    r->call.query.track, r->call.arena, out, &reason);
    if (rc != YG_OK) {
        char field[64];
        snprintf(field, sizeof(field), "%s.aggregation", path);
        return yg_event_refuse(&r->call, err, field, "%s", reason.text);
    }
    return YG_OK;
}

static yg_rc read_compute(struct request *r, const struct yg_json_node *node, uint32_t idx,
                          struct yg_err *err) {
    struct yg_compute *out = &r->computes[idx];
    char path[48];
    snprintf(path, sizeof(path), "compute[%u]", idx);
    YG_TRY(read_aggregation(r, node, path, out, err));
    const struct yg_json_node *given = yg_json_get(node, "interval"); // "5m", or milliseconds
    yg_str type = member(node, "type");
    yg_str interval = yg_json_is(given, YG_JSON_INT) ? given->str : member(node, "interval");
    out->timeseries = yg_str_eq_c(type, "timeseries");
    if (type.len > 0 && !out->timeseries && !yg_str_eq_c(type, "total")) {
        snprintf(path, sizeof(path), "compute[%u].type", idx);
        return yg_event_refuse(&r->call, err, path, "'total' or 'timeseries' is expected");
    }
    if (!out->timeseries)
        return YG_OK;
    out->interval_ns = default_interval(r->call.query.range);
    if (interval.len > 0 && !yg_interval_parse(interval, &out->interval_ns)) {
        snprintf(path, sizeof(path), "compute[%u].interval", idx);
        return yg_event_refuse(&r->call, err, path, "a time such as '5m' is expected");
    }
    return YG_OK;
}

static yg_rc read_computes(struct request *r, const struct yg_json_node *list, struct yg_err *err) {
    struct yg_event_query *q = &r->call.query;
    q->computes = r->computes;
    if (list && list->kind != YG_JSON_ARRAY_BEGIN && list->kind != YG_JSON_NULL)
        return yg_event_refuse(&r->call, err, "compute", "a list is expected");
    if (!yg_json_is(list, YG_JSON_ARRAY_BEGIN) || list->count == 0) {
        r->computes[0] = (struct yg_compute){.agg = YG_AGG_COUNT};
        q->compute_count = 1;
        return YG_OK;
    }
    if (list->count > COMPUTES_MAX)
        return yg_event_refuse(&r->call, err, "compute", "at most %u computes", COMPUTES_MAX);
    for (const struct yg_json_node *c = list->child; c; c = c->next)
        YG_TRY(read_compute(r, c, q->compute_count++, err));
    return YG_OK;
}

// ------------------------------------------------------------ group by

static yg_rc refuse_group(struct request *r, struct yg_err *err, uint32_t idx, const char *what,
                          const char *reason) {
    char field[48];
    snprintf(field, sizeof(field), "group_by[%u].%s", idx, what);
    return yg_event_refuse(&r->call, err, field, "%s", reason);
}

static yg_rc read_histogram(struct request *r, const struct yg_json_node *node, uint32_t idx,
                            struct yg_err *err) {
    struct yg_group_by *g = &r->groups[idx];
    const struct yg_json_node *h = yg_json_get(node, "histogram");
    if (!yg_json_is(h, YG_JSON_OBJECT_BEGIN))
        return YG_OK;
    g->histogram = true;
    g->hist_interval = yg_json_f64_or(yg_json_get(h, "interval"), NAN);
    g->hist_min = yg_json_f64_or(yg_json_get(h, "min"), NAN);
    g->hist_max = yg_json_f64_or(yg_json_get(h, "max"), NAN);
    if (!(g->hist_interval > 0) || !(g->hist_max > g->hist_min))
        return refuse_group(r, err, idx, "histogram", "interval > 0 and min < max are expected");
    if ((g->hist_max - g->hist_min) / g->hist_interval > HISTOGRAM_MAX)
        return refuse_group(r, err, idx, "histogram", "at most 100 buckets are allowed");
    return YG_OK;
}

static yg_rc read_sort(struct request *r, const struct yg_json_node *node, uint32_t idx,
                       struct yg_err *err) {
    struct yg_group_by *g = &r->groups[idx];
    const struct yg_json_node *sort = yg_json_get(node, "sort");
    if (!yg_json_is(sort, YG_JSON_OBJECT_BEGIN))
        return YG_OK;
    yg_str type = member(sort, "type"), order = member(sort, "order");
    bool measure =
        yg_str_eq_c(type, "measure") || (type.len == 0 && member(sort, "aggregation").len);
    g->sort_alphabetical = !measure;
    g->sort_ascending = order.len ? yg_str_eq_c(order, "asc") : g->sort_alphabetical;
    if (type.len > 0 && !measure && !yg_str_eq_c(type, "alphabetical"))
        return refuse_group(r, err, idx, "sort.type", "'alphabetical' or 'measure' is expected");
    if (order.len > 0 && !yg_str_eq_c(order, "asc") && !yg_str_eq_c(order, "desc"))
        return refuse_group(r, err, idx, "sort.order", "'asc' or 'desc' is expected");
    if (!measure)
        return YG_OK;
    char path[48];
    snprintf(path, sizeof(path), "group_by[%u].sort", idx);
    g->has_sort_measure = true;
    return read_aggregation(r, sort, path, &g->sort, err);
}

// A string or a number as its text; `true` as "*".
static bool read_label(const struct yg_json_node *node, yg_str *ret_text) {
    if (yg_json_is(node, YG_JSON_STRING) || yg_json_is(node, YG_JSON_INT) ||
        yg_json_is(node, YG_JSON_DOUBLE)) {
        *ret_text = node->str;
        return true;
    }
    *ret_text = YG_STR("*");
    return yg_json_is(node, YG_JSON_BOOL) && node->boolean;
}

static yg_rc read_group(struct request *r, const struct yg_json_node *node, uint32_t idx,
                        struct yg_err *err) {
    struct yg_group_by *g = &r->groups[idx];
    struct yg_err reason = {0};
    r->facets[idx] = member(node, "facet");
    if (yg_field_parse(r->facets[idx], r->call.query.track, r->call.arena, &g->facet, &reason) !=
        YG_OK)
        return refuse_group(r, err, idx, "facet", reason.text);
    YG_TRY(read_histogram(r, node, idx, err));
    YG_TRY(read_sort(r, node, idx, err));
    const struct yg_json_node *limit = yg_json_get(node, "limit");
    int64_t n = yg_json_i64_or(limit, g->histogram ? HISTOGRAM_MAX : 10);
    if (n < 1 || n > GROUP_PRODUCT_MAX ||
        (limit && limit->kind != YG_JSON_INT && limit->kind != YG_JSON_NULL))
        return refuse_group(r, err, idx, "limit", "1 to 10000 is allowed");
    g->limit = (uint32_t)n;
    const struct yg_json_node *missing = yg_json_get(node, "missing");
    g->has_missing = !yg_json_is(missing, YG_JSON_BOOL) && read_label(missing, &g->missing);
    g->has_total = read_label(yg_json_get(node, "total"), &g->total);
    return YG_OK;
}

static yg_rc read_groups(struct request *r, const struct yg_json_node *list, struct yg_err *err) {
    struct yg_event_query *q = &r->call.query;
    q->group_by = r->groups;
    if (list && list->kind != YG_JSON_ARRAY_BEGIN && list->kind != YG_JSON_NULL)
        return yg_event_refuse(&r->call, err, "group_by", "a list is expected");
    if (!yg_json_is(list, YG_JSON_ARRAY_BEGIN))
        return YG_OK;
    if (list->count > GROUPS_MAX)
        return yg_event_refuse(&r->call, err, "group_by", "at most %u facets", GROUPS_MAX);
    uint64_t product = 1;
    for (const struct yg_json_node *g = list->child; g; g = g->next) {
        YG_TRY(read_group(r, g, q->group_count, err));
        product *= r->groups[q->group_count++].limit;
        if (product > GROUP_PRODUCT_MAX)
            return yg_event_refuse(&r->call, err, "group_by",
                                   "the product of all limits is above %u", GROUP_PRODUCT_MAX);
    }
    return YG_OK;
}

// base64url of {"offset":n}.
static yg_rc read_cursor(struct request *r, yg_str text, struct yg_err *err) {
    yg_str json;
    struct yg_json_node *root = NULL;
    if (text.len == 0)
        return YG_OK;
    int64_t offset = -1;
    if (text.len <= 1024 && yg_base64_decode(text, r->call.arena, &json, NULL) == YG_OK &&
        yg_json_parse(json, r->call.arena, &root, NULL) == YG_OK)
        offset = yg_json_i64_or(yg_json_get(root, "offset"), -1);
    if (offset < 0 || offset > GROUP_PRODUCT_MAX)
        return yg_fail(err, YG_EINPUT,
                       "{'errors': [u\"input_validation_error(Field 'page' is "
                       "invalid: invalid cursor)\"]}");
    r->offset = (uint32_t)offset;
    return YG_OK;
}

static yg_rc read_request(struct request *r, const struct yg_json_node *root, struct yg_err *err) {
    const struct yg_json_node *attributes = NULL;
    YG_TRY(yg_event_read_body(&r->call, root, "aggregate_request", &attributes, err));
    YG_TRY(yg_event_read_filter(&r->call, yg_json_get(attributes, "filter"), err));
    YG_TRY(read_computes(r, yg_json_get(attributes, "compute"), err));
    YG_TRY(read_groups(r, yg_json_get(attributes, "group_by"), err));
    return read_cursor(r, member(yg_json_get(attributes, "page"), "cursor"), err);
}

// ------------------------------------------------------------ answer

static void put_compute(struct yg_json_writer *w, const struct yg_compute *c,
                        const struct yg_agg_value *v) {
    if (!c->timeseries) {
        if (v->has_value)
            yg_jw_f64(w, v->value);
        else
            yg_jw_null(w);
        return;
    }
    yg_jw_array(w);
    for (uint32_t i = 0; i < v->point_count; i++) {
        char text[YG_TIME_TEXT_BYTES];
        size_t len = yg_time_format_iso(v->points[i].time_ns, text);
        yg_jw_object(w);
        yg_jw_kstr(w, "time", (yg_str){text, len});
        yg_jw_kf64(w, "value", v->points[i].value);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
}

static void put_bucket(struct yg_json_writer *w, const struct request *r,
                       const struct yg_agg_bucket *b) {
    const struct yg_event_query *q = &r->call.query;
    yg_jw_k(w, "by");
    yg_jw_object(w);
    for (uint32_t i = 0; i < q->group_count; i++) {
        yg_jw_key(w, r->facets[i]);
        if (r->groups[i].histogram && b->by_values[i].type == YG_T_F64)
            yg_jw_f64(w, b->by_values[i].f64);
        else
            yg_jw_str(w, b->by[i]);
    }
    yg_jw_object_end(w);
    yg_jw_key(w, r->call.family->wrapped ? YG_STR("compute") : YG_STR("computes"));
    yg_jw_object(w);
    for (uint32_t i = 0; i < q->compute_count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%u", i);
        yg_jw_key(w, yg_str_c(name));
        put_compute(w, &q->computes[i], &b->computes[i]);
    }
    yg_jw_object_end(w);
}

static void put_wrapped_bucket(struct yg_json_writer *w, const struct request *r,
                               const struct yg_agg_bucket *b) {
    char id[YG_UUID_TEXT_BYTES];
    yg_uuid_v4(id);
    yg_jw_object(w);
    yg_jw_kstr(w, "id", yg_str_c(id));
    yg_jw_kstr(w, "type", YG_STR("bucket"));
    yg_jw_k(w, "attributes");
    yg_jw_object(w);
    put_bucket(w, r, b);
    yg_jw_object_end(w);
    yg_jw_object_end(w);
}

static void put_buckets(struct yg_json_writer *w, const struct request *r,
                        const struct yg_agg_result *result, uint32_t from, uint32_t to) {
    yg_jw_array(w);
    for (uint32_t i = from; i < to; i++) {
        if (r->call.family->wrapped) {
            put_wrapped_bucket(w, r, &result->buckets[i]);
            continue;
        }
        yg_jw_object(w);
        put_bucket(w, r, &result->buckets[i]);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
}

static void put_after(struct yg_json_writer *w, uint32_t offset) {
    char json[40];
    struct yg_buf cursor = YG_BUF(YG_MEM_QUERY, 128);
    snprintf(json, sizeof(json), "{\"offset\":%u}", offset);
    yg_base64_put(&cursor, yg_str_c(json), true);
    yg_jw_k(w, "page");
    yg_jw_object(w);
    yg_jw_kstr(w, "after", yg_buf_str(&cursor));
    yg_jw_object_end(w);
    yg_buf_fini(&cursor);
}

static void put_answer(struct yg_buf *body, const struct request *r,
                       const struct yg_agg_result *result) {
    struct yg_json_writer w = YG_JSON_WRITER(body);
    // Nothing matched: no bucket, not one that counts 0.
    uint32_t count = result->stats.rows_matched > 0 ? result->count : 0;
    uint32_t from = r->offset < count ? r->offset : count;
    uint32_t to = count - from > BUCKETS_PER_PAGE ? from + BUCKETS_PER_PAGE : count;
    yg_jw_object(&w);
    yg_jw_k(&w, "data");
    if (!r->call.family->wrapped) {
        yg_jw_object(&w);
        yg_jw_k(&w, "buckets");
    }
    put_buckets(&w, r, result, from, to);
    if (!r->call.family->wrapped)
        yg_jw_object_end(&w);
    yg_jw_k(&w, "meta");
    yg_jw_object(&w);
    yg_event_put_meta(&w, &r->call, &result->warnings);
    if (to < count)
        put_after(&w, to);
    yg_jw_object_end(&w);
    yg_jw_object_end(&w);
}

void yg_event_aggregate(struct yg_http_request *take_req, const struct yg_event_family *family) {
    struct yg_json_node *root = NULL;
    struct yg_err err = {0};
    struct yg_event_call call;
    if (!yg_event_body(take_req, &root) || !yg_event_begin(take_req, family, &call))
        return;
    struct request *r = YG_NEW(call.arena, struct request);
    if (r == NULL) {
        yg_api_reply_error(take_req, 503, "no memory for a query; try again later");
        yg_event_end(&call);
        return;
    }
    r->call = call;
    struct yg_agg_result result = {0};
    yg_rc rc = read_request(r, root, &err);
    if (rc == YG_OK && !r->call.no_index)
        rc = yg_events_aggregate(call.api->store, &r->call.query, true, call.arena, &result, &err);
    if (rc != YG_OK) {
        yg_event_reply_err(&r->call, &err);
    } else {
        struct yg_buf body = yg_api_buf();
        put_answer(&body, r, &result);
        yg_event_reply(&r->call, "application/json", &body);
    }
    yg_event_end(&call);
}
