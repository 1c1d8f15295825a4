// SPDX-License-Identifier: Apache-2.0
// /api/v1/query, /api/v1/metrics, /api/v1/search, /api/v1/metrics/{name}: queries, names, metadata.
// Source: DataDog/datadog-api-client-typescript cassettes v1/Metrics,
// .generator/schemas/v1/openapi.yaml
#include "api/api_metrics.h"

#define LIST_MAX 100000u // names in one answer
#define DAY_S 86400

static int64_t now_s(const struct yg_api *api) {
    return yg_now_ns(api->clock) / YG_NS_PER_S;
}

// ------------------------------------------------------------ GET /api/v1/query

static void put_strings(struct yg_json_writer *w, const yg_str *list, uint32_t count) {
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++)
        yg_jw_str(w, list[i]);
    yg_jw_array_end(w);
}

static void put_series(struct yg_json_writer *w, const struct yg_metric_out *o) {
    int64_t step_ms = (int64_t)o->interval_s * 1000;
    yg_jw_object(w);
    yg_jw_kstr(w, "metric", o->metric);
    yg_jw_kstr(w, "display_name", o->metric);
    yg_jw_kstr(w, "expression", o->expression);
    yg_jw_kstr(w, "scope", o->scope);
    if (o->aggr.len > 0)
        yg_jw_kstr(w, "aggr", o->aggr);
    else
        yg_jw_knull(w, "aggr");
    yg_jw_k(w, "tag_set");
    put_strings(w, o->group_tags, o->group_count);
    yg_jw_k(w, "attributes");
    yg_jw_object(w);
    yg_jw_object_end(w);
    yg_jw_ki64(w, "query_index", o->query_index);
    yg_jw_ki64(w, "interval", o->interval_s);
    yg_jw_ki64(w, "start", o->points[0].ts_ms);
    yg_jw_ki64(w, "end", o->points[o->point_count - 1].ts_ms + step_ms - 1000);
    yg_jw_ki64(w, "length", o->point_count);
    yg_jw_k(w, "unit");
    yg_api_put_unit_pair(w, o->unit);
    yg_jw_k(w, "pointlist");
    yg_jw_array(w);
    for (uint32_t i = 0; i < o->point_count; i++) {
        yg_jw_array(w);
        yg_jw_i64(w, o->points[i].ts_ms);
        yg_jw_f64_float(w, o->points[i].value);
        yg_jw_array_end(w);
    }
    yg_jw_array_end(w);
    yg_jw_object_end(w);
}

// Problems that did not stop the query, in one text.
static yg_str warning_text(const struct yg_metric_result *r, struct yg_arena *arena) {
    if (r->warning_count == 0)
        return YG_STR("");
    yg_str first = r->warnings[0];
    return yg_arena_printf(arena, "%u damaged chunks were left out; the first: %.*s",
                           r->warning_count, YG_STR_FMT(first));
}

static void put_query_answer(struct yg_json_writer *w, yg_str text, const struct yg_metric_query *q,
                             const struct yg_metric_run_options *o,
                             const struct yg_metric_result *r, struct yg_arena *arena) {
    const yg_str *keys;
    uint32_t key_count = yg_metric_query_keys(q, 0, &keys);
    yg_jw_object(w);
    yg_jw_kstr(w, "status", YG_STR("ok"));
    yg_jw_ki64(w, "resp_version", 1);
    yg_jw_kstr(w, "res_type", YG_STR("time_series"));
    yg_jw_ki64(w, "from_date", o->from_ms);
    yg_jw_ki64(w, "to_date", o->to_ms);
    yg_jw_kstr(w, "query", text);
    yg_jw_kstr(w, "message", warning_text(r, arena));
    yg_jw_k(w, "group_by");
    put_strings(w, keys, key_count);
    yg_jw_k(w, "times");
    put_strings(w, NULL, 0);
    yg_jw_k(w, "values");
    put_strings(w, NULL, 0);
    yg_jw_k(w, "series");
    yg_jw_array(w);
    for (uint32_t i = 0; i < r->count; i++)
        put_series(w, &r->series[i]);
    yg_jw_array_end(w);
    yg_jw_object_end(w);
}

// {"status":"error","error":"…"}: the form of this one route.
static void reply_query_error(struct yg_http_request *take_req, uint16_t status, yg_str text) {
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "status", YG_STR("error"));
    yg_jw_kstr(&w, "error", text);
    yg_jw_object_end(&w);
    yg_api_reply(take_req, status, &body);
}

static bool seconds_param(struct yg_http_request *req, const char *name, int64_t *ret) {
    double v;
    if (!yg_str_to_f64(yg_http_query(req, name, NULL), &v) || v < 0 || v > 1e11)
        return false;
    *ret = (int64_t)v;
    return true;
}

bool yg_api_asker_gone(void *req) {
    return yg_http_gone(req);
}

static yg_rc run_query(struct yg_http_request *req, yg_str text, struct yg_metric_run_options *o,
                       struct yg_arena *arena, struct yg_buf *out, struct yg_err *err) {
    struct yg_api *api = req->ctx;
    struct yg_metric_query *q;
    struct yg_metric_result result;
    yg_rc rc = yg_metric_parse(text, arena, &q, err);
    if (rc != YG_OK) {
        if (rc == YG_EINPUT)
            yg_metric_error_text(text, err, out);
        return rc;
    }
    o->deadline_mono_ns = yg_mono_ns(api->clock) + YG_API_QUERY_MS * YG_NS_PER_MS;
    o->canceled = yg_api_asker_gone;
    o->canceled_arg = req;
    YG_TRY(yg_metric_run(api->store, q, o, arena, &result, err));
    struct yg_json_writer w = YG_JSON_WRITER(out);
    put_query_answer(&w, text, q, o, &result, arena);
    return YG_OK;
}

static void query(struct yg_http_request *take_req) {
    yg_str text = yg_http_query(take_req, "query", NULL);
    int64_t from, to;
    if (text.len == 0 || !seconds_param(take_req, "from", &from) ||
        !seconds_param(take_req, "to", &to)) {
        reply_query_error(take_req, 400,
                          YG_STR("from, to (seconds since 1970) and query are required"));
        return;
    }
    struct yg_metric_run_options o = {.from_ms = from * 1000, .to_ms = to * 1000};
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, YG_API_QUERY_BYTES);
    struct yg_buf out = yg_api_buf();
    struct yg_err err = {0};
    yg_rc rc = run_query(take_req, text, &o, arena, &out, &err);
    if (rc == YG_OK) {
        yg_api_reply(take_req, 200, &out);
    } else {
        yg_str why = out.len > 0 ? yg_buf_str(&out) : yg_str_c(err.text);
        reply_query_error(take_req, yg_api_status(rc), why);
        yg_buf_fini(&out);
    }
    yg_arena_destroy(arena);
}

// ------------------------------------------------------------ names

struct name_list {
    struct yg_json_writer *w;
    const struct yg_node *scope;
    yg_str host;     // "host:x" that a series must have, or empty
    yg_str contains; // in the name, or empty
    struct yg_map seen;
    uint32_t count;
};

static bool has_tag(yg_str tags, yg_str wanted) {
    yg_str tag;
    while (tags.len > 0 && yg_str_split(&tags, ',', &tag))
        if (yg_str_eq(tag, wanted))
            return true;
    return false;
}

static bool on_name(void *ctx, const struct yg_metric_info *info) {
    struct name_list *l = ctx;
    if (l->contains.len == 0 || yg_str_find(info->name, l->contains, 0) != SIZE_MAX) {
        yg_jw_str(l->w, info->name);
        l->count++;
    }
    return l->count < LIST_MAX;
}

// Series arrive metric by metric in no order of names: the set is kept, and written by
// on_wanted_name.
static bool on_tags(void *ctx, yg_str metric, yg_str tags) {
    struct name_list *l = ctx;
    if ((l->host.len == 0 || has_tag(tags, l->host)) && yg_tags_match(l->scope, tags))
        *yg_map_put(&l->seen, metric, NULL) = 1;
    return true;
}

static bool on_wanted_name(void *ctx, const struct yg_metric_info *info) {
    const struct name_list *l = ctx;
    return yg_map_get(&l->seen, info->name) != NULL ? on_name(ctx, info) : true;
}

static void list(struct yg_http_request *take_req) {
    struct yg_api *api = take_req->ctx;
    int64_t from;
    bool given;
    yg_str from_text = yg_http_query(take_req, "from", &given);
    if (!given || from_text.len == 0) {
        from = now_s(api) - DAY_S;
        from_text = yg_arena_printf(take_req->arena, "%lld", (long long)from);
    } else if (!seconds_param(take_req, "from", &from)) {
        yg_api_reply_error(take_req, 400, "Parameter 'from' must be seconds since 1970");
        return;
    }
    struct yg_buf out = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    struct name_list l = {.w = &w, .seen = YG_MAP(YG_MEM_QUERY, false)};
    yg_str host = yg_http_query(take_req, "host", NULL);
    yg_str filter = yg_http_query(take_req, "tag_filter", NULL);
    struct yg_err err = {0};
    if (host.len > 0)
        l.host = yg_tag_normalize(yg_arena_printf(take_req->arena, "host:%.*s", YG_STR_FMT(host)),
                                  take_req->arena);
    if (filter.len > 0 && yg_metric_scope_parse(filter, take_req->arena, &l.scope, &err) != YG_OK) {
        yg_buf_fini(&out);
        yg_api_reply_error(take_req, 400, "Parameter 'tag_filter' is invalid: %s", err.text);
        return;
    }
    yg_jw_object(&w);
    yg_jw_kstr(&w, "from", from_text);
    yg_jw_k(&w, "metrics");
    yg_jw_array(&w);
    if (l.host.len > 0 || l.scope != NULL) {
        yg_metric_tags(api->store, NULL, from, on_tags, &l);
        yg_metric_names(api->store, from, on_wanted_name, &l);
    } else {
        yg_metric_names(api->store, from, on_name, &l);
    }
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    yg_map_fini(&l.seen);
    yg_api_reply(take_req, 200, &out);
}

// ------------------------------------------------------------ GET /api/v1/search

static bool on_host_tags(void *ctx, yg_str metric, yg_str tags) {
    struct name_list *l = ctx;
    (void)metric;
    yg_str tag;
    while (tags.len > 0 && yg_str_split(&tags, ',', &tag)) {
        if (!yg_str_starts(tag, YG_STR("host:")))
            continue;
        yg_str host = yg_str_sub(tag, 5, SIZE_MAX);
        bool fresh = false;
        if (l->contains.len == 0 || yg_str_find(host, l->contains, 0) != SIZE_MAX)
            (void)yg_map_put(&l->seen, host, &fresh);
        if (fresh) {
            yg_jw_str(l->w, host);
            l->count++;
        }
    }
    return l->count < LIST_MAX;
}

static void search(struct yg_http_request *take_req) {
    struct yg_api *api = take_req->ctx;
    yg_str q = yg_http_query(take_req, "q", NULL);
    bool metrics = yg_str_starts(q, YG_STR("metrics:")), hosts = yg_str_starts(q, YG_STR("hosts:"));
    if (metrics || hosts)
        q = yg_str_sub(q, yg_str_find_char(q, ':', 0) + 1, SIZE_MAX);
    else
        metrics = hosts = true;
    int64_t since = now_s(api) - DAY_S;
    struct yg_buf out = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    struct name_list l = {.w = &w, .contains = q, .seen = YG_MAP(YG_MEM_QUERY, false)};
    yg_jw_object(&w);
    yg_jw_k(&w, "results");
    yg_jw_object(&w);
    yg_jw_k(&w, "metrics");
    yg_jw_array(&w);
    if (metrics)
        yg_metric_names(api->store, since, on_name, &l);
    yg_jw_array_end(&w);
    yg_jw_k(&w, "hosts");
    yg_jw_array(&w);
    l.count = 0;
    if (hosts)
        yg_metric_tags(api->store, NULL, since, on_host_tags, &l);
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    yg_jw_object_end(&w);
    yg_map_fini(&l.seen);
    yg_api_reply(take_req, 200, &out);
}

// ------------------------------------------------------------ metadata

static const char *type_word(enum yg_metric_type type) {
    switch (type) {
    case YG_METRIC_GAUGE:
        return "gauge";
    case YG_METRIC_COUNT:
        return "count";
    case YG_METRIC_RATE:
        return "rate";
    case YG_METRIC_DISTRIBUTION:
        return "distribution";
    case YG_METRIC_TYPE_COUNT:
        break;
    }
    return "gauge";
}

// What a person set, on top of what points say. ENOTFOUND: neither knows the name.
static yg_rc read_metadata(const struct yg_http_request *req, yg_str name, struct yg_metric_meta *m,
                           struct yg_err *err) {
    struct yg_api *api = req->ctx;
    struct yg_metric_info info = {0};
    bool seen = yg_metric_info(api->store, name, &info, NULL) == YG_OK;
    yg_rc rc = yg_meta_metric_get(api->meta, name, req->arena, m, err);
    if (rc != YG_OK && rc != YG_ENOTFOUND)
        return rc;
    if (rc == YG_ENOTFOUND) {
        if (!seen)
            return yg_fail(err, YG_ENOTFOUND, "%.*s not found", YG_STR_FMT(name));
        *m = (struct yg_metric_meta){.name = name};
    }
    if (m->type.len == 0 && seen)
        m->type = yg_str_c(type_word(info.type));
    if (m->unit.len == 0 && seen)
        m->unit = info.unit;
    if (m->statsd_interval == 0 && seen)
        m->statsd_interval = info.interval_s;
    return YG_OK;
}

static void put_or_null(struct yg_json_writer *w, const char *key, yg_str v) {
    if (v.len > 0)
        yg_jw_kstr(w, key, v);
    else
        yg_jw_knull(w, key);
}

static void reply_metadata(struct yg_http_request *take_req, const struct yg_metric_meta *m) {
    struct yg_buf out = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    yg_jw_object(&w);
    put_or_null(&w, "description", m->description);
    put_or_null(&w, "short_name", m->short_name);
    yg_jw_knull(&w, "integration");
    if (m->statsd_interval > 0)
        yg_jw_ki64(&w, "statsd_interval", m->statsd_interval);
    else
        yg_jw_knull(&w, "statsd_interval");
    put_or_null(&w, "per_unit", m->per_unit);
    put_or_null(&w, "type", m->type);
    put_or_null(&w, "unit", m->unit);
    yg_jw_object_end(&w);
    yg_api_reply(take_req, 200, &out);
}

static void metadata_get(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    struct yg_metric_meta m;
    if (read_metadata(take_req, take_req->params[0], &m, &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_metadata(take_req, &m);
}

// A member of the request: absent keeps what is there, null empties it.
static yg_rc take_text(const struct yg_json_node *root, const char *key, yg_str *value,
                       struct yg_err *err) {
    const struct yg_json_node *n = yg_json_get(root, key);
    if (n == NULL)
        return YG_OK;
    if (n->kind == YG_JSON_NULL)
        *value = (yg_str){0};
    else if (n->kind == YG_JSON_STRING)
        *value = n->str;
    else
        return yg_fail(err, YG_EINPUT, "%s: must be a text", key);
    return YG_OK;
}

static yg_rc take_members(const struct yg_json_node *root, struct yg_metric_meta *m,
                          struct yg_err *err) {
    static const char *const types[] = {"gauge", "count", "rate", "distribution"};
    if (!yg_json_is(root, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "the body must be an object");
    YG_TRY(take_text(root, "type", &m->type, err));
    YG_TRY(take_text(root, "description", &m->description, err));
    YG_TRY(take_text(root, "short_name", &m->short_name, err));
    YG_TRY(take_text(root, "unit", &m->unit, err));
    YG_TRY(take_text(root, "per_unit", &m->per_unit, err));
    m->statsd_interval = yg_json_i64_or(yg_json_get(root, "statsd_interval"), m->statsd_interval);
    bool known = m->type.len == 0;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        known |= yg_str_eq_c(m->type, types[i]);
    if (!known)
        return yg_fail(err, YG_EINPUT, "type: \"%.*s\" is not gauge, count, rate or distribution",
                       (int)(m->type.len < 40 ? m->type.len : 40), m->type.ptr);
    if (m->statsd_interval < 0)
        return yg_fail(err, YG_EINPUT, "statsd_interval: must not be negative");
    return YG_OK;
}

static void metadata_put(struct yg_http_request *take_req) {
    struct yg_api *api = take_req->ctx;
    struct yg_json_node *root;
    struct yg_metric_meta m;
    struct yg_err err = {0};
    if (!yg_api_body_json(take_req, &root))
        return;
    yg_rc rc = read_metadata(take_req, take_req->params[0], &m, &err);
    if (rc == YG_OK)
        rc = take_members(root, &m, &err);
    m.name = take_req->params[0];
    if (rc == YG_OK)
        rc = yg_meta_metric_put(api->meta, &m, &err);
    if (rc != YG_OK) {
        yg_api_reply_err(take_req, &err);
        return;
    }
    // Known by metadata alone: there are no answers to name the unit in yet.
    if (yg_json_get(root, "unit") != NULL)
        (void)(yg_metric_unit_set(api->store, m.name, m.unit, NULL) == YG_OK);
    reply_metadata(take_req, &m);
}

// ------------------------------------------------------------ routes

const struct yg_route yg_api_metrics_routes[] = {
    {YG_GET, "/api/v1/query", 0, YG_ACCESS_FULL, query},
    {YG_POST, "/api/v2/query/timeseries", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_query_timeseries},
    {YG_POST, "/api/v2/query/scalar", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_query_scalar},
    {YG_GET, "/api/v1/metrics", 0, YG_ACCESS_FULL, list},
    {YG_GET, "/api/v1/search", 0, YG_ACCESS_FULL, search},
    {YG_GET, "/api/v1/metrics/{name}", 0, YG_ACCESS_FULL, metadata_get},
    {YG_PUT, "/api/v1/metrics/{name}", YG_API_BODY_MAX, YG_ACCESS_FULL, metadata_put},
    {0},
};
