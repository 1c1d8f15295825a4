// SPDX-License-Identifier: Apache-2.0
// POST /api/v2/query/timeseries and /scalar: named queries of metrics and events, formulas over
// them. Source: DataDog/datadog-api-client-typescript cassettes v2/Metrics
// (Timeseries-cross-product-query…, Scalar-cross-product-query…),
// packages/datadog-api-client-v2/models/{Timeseries,Scalar}FormulaRequest*.ts
#include "api/api_metrics.h"

#include <stdlib.h>

#define QUERIES_MAX 100u
#define FORMULAS_MAX 100u
#define TIMES_MAX 100000u
#define RETENTION_MS (INT64_C(456) * 86400 * 1000) // fifteen months: nothing older can be asked for

struct formula {
    yg_str text;
    uint32_t limit; // 0 = none
    bool ascending;
    struct yg_metric_result result;
};

struct call {
    struct yg_http_request *req;
    struct yg_api *api;
    struct yg_arena *arena;
    bool scalar;
    int64_t from_ms, to_ms, interval_ms;
    struct yg_named_series named[QUERIES_MAX];
    struct yg_event_series_spec *specs[QUERIES_MAX]; // of events queries
    uint32_t named_count;
    struct formula formulas[FORMULAS_MAX];
    uint32_t formula_count;
    uint32_t warning_count;
    yg_str no_data;      // a data source that is not kept, or empty
    struct yg_buf error; // a longer text than yg_err holds; empty = none
};

// ------------------------------------------------------------ reading the request

static yg_rc read_metric_query(struct call *c, const struct yg_json_node *q,
                               struct yg_named_series *n, struct yg_err *err) {
    yg_str text = yg_json_str_or(yg_json_get(q, "query"), (yg_str){0});
    struct yg_metric_query *parsed;
    yg_rc rc = yg_metric_parse(text, c->arena, &parsed, err);
    if (rc == YG_EINPUT) {
        yg_buf_puts(&c->error, YG_STR("Error(s) found in query:\n"));
        yg_metric_error_text(text, err, &c->error);
    }
    if (rc != YG_OK)
        return rc;
    if (yg_metric_query_count(parsed) != 1)
        return yg_fail(err, YG_EINPUT, "query \"%.*s\" holds several queries", YG_STR_FMT(n->name));
    static const char *const known[] = {"avg",        "min",  "max",    "sum", "last",
                                        "percentile", "mean", "l2norm", "area"};
    n->reduce = yg_json_str_or(yg_json_get(q, "aggregator"), YG_STR("avg"));
    bool good = false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        good |= yg_str_eq_c(n->reduce, known[i]);
    if (!good)
        return yg_fail(err, YG_EINPUT, "aggregator: \"%.*s\" is not known",
                       (int)(n->reduce.len < 40 ? n->reduce.len : 40), n->reduce.ptr);
    n->query = parsed;
    return YG_OK;
}

// Sources with a request form of their own; the others are known to yg_event_series_parse.
static bool knows_source(yg_str source) {
    static const char *const words[] = {
        "apm_metrics", "apm_resource_stats", "apm_dependency_stats", "slo", "process", "container",
        "network",     "on_call_events",     "product_analytics"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (yg_str_eq_c(source, words[i]))
            return true;
    return false;
}

static yg_rc read_query(struct call *c, const struct yg_json_node *q, struct yg_err *err) {
    struct yg_named_series *n = &c->named[c->named_count];
    yg_str source = yg_json_str_or(yg_json_get(q, "data_source"), (yg_str){0});
    n->name = yg_json_str_or(yg_json_get(q, "name"), (yg_str){0});
    if (n->name.len == 0) // a query that no formula names
        n->name = yg_arena_printf(c->arena, "query%u", c->named_count + 1);
    for (uint32_t i = 0; i < c->named_count; i++)
        if (yg_str_eq(c->named[i].name, n->name))
            return yg_fail(err, YG_EINPUT, "two queries are named \"%.*s\"", YG_STR_FMT(n->name));
    if (yg_str_eq_c(source, "metrics") || yg_str_eq_c(source, "cloud_cost")) {
        YG_TRY(read_metric_query(c, q, n, err));
    } else {
        yg_rc rc = yg_event_series_parse(q, c->arena, &c->specs[c->named_count], err);
        if (rc == YG_EINPUT && knows_source(source))
            rc = YG_ENOTFOUND;
        if (rc ==
            YG_ENOTFOUND) // a source of which this version keeps nothing: no rows, and said so
            c->no_data = source;
        else
            YG_TRY(rc);
        n->reduce = YG_STR("last");
    }
    c->named_count++;
    return YG_OK;
}

static yg_rc read_formula(struct call *c, const struct yg_json_node *f, struct yg_err *err) {
    struct formula *to = &c->formulas[c->formula_count];
    to->text = yg_json_str_or(yg_json_get(f, "formula"), (yg_str){0});
    if (to->text.len == 0)
        return yg_fail(err, YG_EINPUT, "formulas[%u].formula is missing", c->formula_count);
    const struct yg_json_node *limit = yg_json_get(f, "limit");
    if (limit != NULL) {
        int64_t count = yg_json_i64_or(yg_json_get(limit, "count"), 0);
        if (count < 0 || count > 10000)
            return yg_fail(err, YG_EINPUT, "formulas[%u].limit.count is out of range",
                           c->formula_count);
        to->limit = (uint32_t)count;
        to->ascending =
            yg_str_eq_c(yg_json_str_or(yg_json_get(limit, "order"), (yg_str){0}), "asc");
    }
    c->formula_count++;
    return YG_OK;
}

static yg_rc read_window(struct call *c, const struct yg_json_node *a, struct yg_err *err) {
    c->from_ms = yg_json_i64_or(yg_json_get(a, "from"), -1);
    c->to_ms = yg_json_i64_or(yg_json_get(a, "to"), -1);
    c->interval_ms = yg_json_i64_or(yg_json_get(a, "interval"), 0);
    if (c->from_ms < 0 || c->to_ms < 0)
        return yg_fail(err, YG_EINPUT, "from and to (milliseconds since 1970) are required");
    if (c->to_ms < yg_now_ns(c->api->clock) / YG_NS_PER_MS - RETENTION_MS)
        return yg_fail(err, YG_EINPUT, "Queries ending outside the retention date are invalid");
    if (c->from_ms >= c->to_ms)
        return yg_fail(err, YG_EINPUT, "from must be before to");
    if (c->interval_ms < 0 || c->to_ms > INT64_C(100000000000000))
        return yg_fail(err, YG_EINPUT, "interval or to is out of range");
    return YG_OK;
}

static yg_rc read_request(struct call *c, const struct yg_json_node *root, struct yg_err *err) {
    const char *type = c->scalar ? "scalar_request" : "timeseries_request";
    if (!yg_str_eq_c(yg_json_str_or(yg_json_path(root, "data.type"), (yg_str){0}), type))
        return yg_fail(err, YG_EINPUT,
                       "API input validation failed: Invalid type. Expected \"%s\".", type);
    const struct yg_json_node *a = yg_json_path(root, "data.attributes");
    YG_TRY(read_window(c, a, err));
    const struct yg_json_node *queries = yg_json_get(a, "queries"),
                              *formulas = yg_json_get(a, "formulas");
    if (!yg_json_is(queries, YG_JSON_ARRAY_BEGIN) || queries->count == 0)
        return yg_fail(err, YG_EINPUT, "queries: at least one is required");
    if (queries->count > QUERIES_MAX || (formulas != NULL && formulas->count > FORMULAS_MAX))
        return yg_fail(err, YG_EINPUT, "at most %u queries and %u formulas", QUERIES_MAX,
                       FORMULAS_MAX);
    for (const struct yg_json_node *q = queries->child; q != NULL; q = q->next)
        YG_TRY(read_query(c, q, err));
    for (const struct yg_json_node *f = formulas ? formulas->child : NULL; f != NULL; f = f->next)
        YG_TRY(read_formula(c, f, err));
    for (uint32_t i = 0; c->formula_count == 0 && i < c->named_count; i++)
        c->formulas[i].text = c->named[i].name;
    if (c->formula_count == 0)
        c->formula_count = c->named_count;
    return YG_OK;
}

// ------------------------------------------------------------ running

// A count over no rows is answered as no value, as recorded.
static bool nothing_counted(const struct yg_event_series_spec *spec,
                            const struct yg_metric_result *r) {
    return spec->group_count == 0 && spec->compute.agg == YG_AGG_COUNT && r->count == 1 &&
           r->series[0].point_count == 1 && !(r->series[0].points[0].value > 0);
}

static yg_rc run_events(struct call *c, int64_t deadline_ns, struct yg_err *err) {
    for (uint32_t i = 0; i < c->named_count; i++) {
        const struct yg_event_series_spec *spec = c->specs[i];
        if (spec == NULL)
            continue;
        int64_t interval = c->scalar            ? 0
                           : c->interval_ms > 0 ? c->interval_ms
                           : spec->interval_ms > 0
                               ? spec->interval_ms
                               : yg_metric_interval_s(c->from_ms, c->to_ms) * 1000;
        YG_TRY(yg_events_named_series(c->api->store, spec, c->from_ms, c->to_ms, interval, true,
                                      deadline_ns, c->arena, &c->named[i].result, err));
        if (c->scalar && nothing_counted(spec, &c->named[i].result))
            c->named[i].result.count = 0;
    }
    return YG_OK;
}

static yg_rc run(struct call *c, struct yg_err *err) {
    int64_t deadline = yg_mono_ns(c->api->clock) + YG_API_QUERY_MS * YG_NS_PER_MS;
    struct yg_metric_run_options o = {.from_ms = c->from_ms,
                                      .to_ms = c->to_ms - 1, // `to` is exclusive here
                                      .interval_ms = c->interval_ms,
                                      .deadline_mono_ns = deadline,
                                      .canceled = yg_api_asker_gone,
                                      .canceled_arg = c->req,
                                      .store = c->api->store,
                                      .scalar = c->scalar};
    for (uint32_t i = 0; i < c->named_count && o.interval_ms == 0; i++)
        if (c->specs[i] != NULL) // all sources of a formula share their buckets
            o.interval_ms = c->specs[i]->interval_ms;
    YG_TRY(run_events(c, deadline, err));
    for (uint32_t i = 0; i < c->formula_count; i++) {
        struct formula *f = &c->formulas[i];
        YG_TRY(yg_formula_run(f->text, c->named, c->named_count, &o, c->arena, &f->result, err));
        c->warning_count += f->result.warning_count;
    }
    return YG_OK;
}

// ------------------------------------------------------------ timeseries answer

static int cmp_i64(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Every time at which some series has a value.
static yg_rc all_times(const struct call *c, int64_t **ret_times, uint32_t *ret_count,
                       struct yg_err *err) {
    size_t total = 0, n = 0;
    for (uint32_t f = 0; f < c->formula_count; f++)
        for (uint32_t s = 0; s < c->formulas[f].result.count; s++)
            total += c->formulas[f].result.series[s].point_count;
    int64_t *t = YG_NEW_N(c->arena, int64_t, total + 1);
    if (t == NULL)
        return yg_fail(err, YG_ENOMEM, "the memory of one query is used up");
    for (uint32_t f = 0; f < c->formula_count; f++)
        for (uint32_t s = 0; s < c->formulas[f].result.count; s++) {
            const struct yg_metric_out *o = &c->formulas[f].result.series[s];
            for (uint32_t p = 0; p < o->point_count; p++)
                t[n++] = o->points[p].ts_ms;
        }
    if (n > 1)
        qsort(t, n, sizeof(*t), cmp_i64);
    uint32_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || t[i] != t[kept - 1])
            t[kept++] = t[i];
    if (kept > TIMES_MAX)
        return yg_fail(err, YG_ELIMIT, "more than %u times in one answer", TIMES_MAX);
    *ret_times = t;
    *ret_count = kept;
    return YG_OK;
}

static void put_values(struct yg_json_writer *w, const struct yg_metric_out *o,
                       const int64_t *times, uint32_t count) {
    uint32_t p = 0;
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        if (p < o->point_count && o->points[p].ts_ms == times[i])
            yg_jw_f64(w, o->points[p++].value);
        else
            yg_jw_null(w);
    }
    yg_jw_array_end(w);
}

static void put_timeseries_header(struct yg_json_writer *w, const struct call *c) {
    yg_jw_k(w, "series");
    yg_jw_array(w);
    for (uint32_t f = 0; f < c->formula_count; f++)
        for (uint32_t s = 0; s < c->formulas[f].result.count; s++) {
            const struct yg_metric_out *o = &c->formulas[f].result.series[s];
            yg_jw_object(w);
            yg_jw_k(w, "group_tags");
            yg_jw_array(w);
            for (uint32_t t = 0; t < o->group_count; t++)
                yg_jw_str(w, o->group_tags[t]);
            yg_jw_array_end(w);
            yg_jw_ki64(w, "query_index", f);
            yg_jw_k(w, "unit");
            yg_api_put_unit_pair(w, o->unit);
            yg_jw_object_end(w);
        }
    yg_jw_array_end(w);
}

static yg_rc put_timeseries(struct yg_json_writer *w, const struct call *c, struct yg_err *err) {
    int64_t *times = NULL;
    uint32_t count = 0;
    YG_TRY(all_times(c, &times, &count, err));
    yg_jw_kstr(w, "id", YG_STR("0"));
    yg_jw_kstr(w, "type", YG_STR("timeseries_response"));
    yg_jw_k(w, "attributes");
    yg_jw_object(w);
    put_timeseries_header(w, c);
    yg_jw_k(w, "times");
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++)
        yg_jw_i64(w, times[i]);
    yg_jw_array_end(w);
    yg_jw_k(w, "values");
    yg_jw_array(w);
    for (uint32_t f = 0; f < c->formula_count; f++)
        for (uint32_t s = 0; s < c->formulas[f].result.count; s++)
            put_values(w, &c->formulas[f].result.series[s], times, count);
    yg_jw_array_end(w);
    yg_jw_object_end(w);
    return YG_OK;
}

// ------------------------------------------------------------ scalar answer

struct row {
    const yg_str *tags;
    uint32_t tag_count;
    double *values;
    bool *has;
};

static bool same_group(const struct row *r, const struct yg_metric_out *o) {
    if (r->tag_count != o->group_count)
        return false;
    for (uint32_t i = 0; i < r->tag_count; i++)
        if (!yg_str_eq(r->tags[i], o->group_tags[i]))
            return false;
    return true;
}

static int cmp_rows(const void *a, const void *b, void *arg) {
    const struct row *x = a, *y = b;
    const struct call *c = arg;
    for (uint32_t f = 0; f < c->formula_count; f++) {
        if (c->formulas[f].limit == 0)
            continue;
        if (x->has[f] != y->has[f])
            return x->has[f] ? -1 : 1;
        if (x->values[f] > y->values[f] || x->values[f] < y->values[f])
            return (x->values[f] < y->values[f]) == c->formulas[f].ascending ? -1 : 1;
        return 0;
    }
    return 0;
}

// One row per group, a value per formula.
static yg_rc gather_rows(const struct call *c, struct row **ret_rows, uint32_t *ret_count,
                         struct yg_err *err) {
    struct row *rows = NULL;
    uint32_t len = 0, cap = 0, limit = 0;
    for (uint32_t f = 0; f < c->formula_count; f++) {
        const struct yg_metric_result *r = &c->formulas[f].result;
        if (limit == 0)
            limit = c->formulas[f].limit;
        for (uint32_t s = 0; s < r->count; s++) {
            // Formulas over the same groups answer them in the same order: look there first.
            uint32_t at = s < len && same_group(&rows[s], &r->series[s]) ? s : 0;
            while (at < len && !same_group(&rows[at], &r->series[s]))
                at++;
            if (at == len) {
                if (!YG_ARENA_GROW(c->arena, rows, len, cap))
                    return yg_fail(err, YG_ENOMEM, "the memory of one query is used up");
                rows[len] = (struct row){.tags = r->series[s].group_tags,
                                         .tag_count = r->series[s].group_count,
                                         .values = YG_NEW_N(c->arena, double, c->formula_count),
                                         .has = YG_NEW_N(c->arena, bool, c->formula_count)};
                if (rows[len].values == NULL || rows[len].has == NULL)
                    return yg_fail(err, YG_ENOMEM, "the memory of one query is used up");
                len++;
            }
            rows[at].values[f] = r->series[s].points[0].value;
            rows[at].has[f] = true;
        }
    }
    if (limit > 0 && len > 1)
        qsort_r(rows, len, sizeof(*rows), cmp_rows, (void *)(uintptr_t)c);
    *ret_rows = rows;
    *ret_count = limit > 0 && limit < len ? limit : len;
    return YG_OK;
}

static yg_str key_of(yg_str tag) {
    size_t colon = yg_str_find_char(tag, ':', 0);
    return yg_str_sub(tag, 0, colon == SIZE_MAX ? tag.len : colon);
}

static void put_group_column(struct yg_json_writer *w, const struct row *rows, uint32_t count,
                             yg_str key) {
    yg_jw_object(w);
    yg_jw_kstr(w, "name", key);
    yg_jw_kstr(w, "type", YG_STR("group"));
    yg_jw_k(w, "values");
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        yg_jw_array(w);
        for (uint32_t t = 0; t < rows[i].tag_count; t++)
            if (yg_str_eq(key_of(rows[i].tags[t]), key))
                yg_jw_str(w, yg_str_sub(rows[i].tags[t], key.len + 1, SIZE_MAX));
        yg_jw_array_end(w);
    }
    yg_jw_array_end(w);
    yg_jw_object_end(w);
}

static void put_number_column(struct yg_json_writer *w, const struct call *c, uint32_t f,
                              const struct row *rows, uint32_t count) {
    const struct yg_metric_result *r = &c->formulas[f].result;
    yg_jw_object(w);
    yg_jw_kstr(w, "name", c->formulas[f].text);
    yg_jw_kstr(w, "type", YG_STR("number"));
    yg_jw_k(w, "values");
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].has[f])
            yg_jw_f64(w, rows[i].values[f]);
        else
            yg_jw_null(w);
    }
    yg_jw_array_end(w);
    yg_jw_k(w, "meta");
    yg_jw_object(w);
    yg_jw_k(w, "unit");
    yg_api_put_unit_pair(w, r->count > 0 ? r->series[0].unit : (yg_str){0});
    yg_jw_object_end(w);
    yg_jw_object_end(w);
}

static yg_rc put_scalar(struct yg_json_writer *w, const struct call *c, struct yg_err *err) {
    struct row *rows = NULL;
    uint32_t count = 0;
    YG_TRY(gather_rows(c, &rows, &count, err));
    yg_jw_kstr(w, "id", YG_STR("0"));
    yg_jw_kstr(w, "type", YG_STR("scalar_response"));
    yg_jw_k(w, "attributes");
    yg_jw_object(w);
    yg_jw_k(w, "columns");
    yg_jw_array(w);
    const struct row *widest = NULL; // the row with the most keys names the columns
    for (uint32_t i = 0; i < count; i++)
        if (widest == NULL || rows[i].tag_count > widest->tag_count)
            widest = &rows[i];
    for (uint32_t t = 0; widest != NULL && t < widest->tag_count; t++)
        put_group_column(w, rows, count, key_of(widest->tags[t]));
    for (uint32_t f = 0; f < c->formula_count; f++)
        put_number_column(w, c, f, rows, count);
    yg_jw_array_end(w);
    yg_jw_object_end(w);
    return YG_OK;
}

// ------------------------------------------------------------ handlers

// What the asker should know about the numbers; absent when all is well.
static void put_meta(struct yg_json_writer *w, const struct call *c) {
    if (c->warning_count == 0 && c->no_data.len == 0)
        return;
    yg_jw_k(w, "meta");
    yg_jw_object(w);
    yg_jw_k(w, "warnings");
    yg_jw_array(w);
    if (c->warning_count > 0)
        yg_jw_str(w,
                  yg_arena_printf(c->arena, "%u damaged chunks were left out", c->warning_count));
    if (c->no_data.len > 0)
        yg_jw_str(w, yg_arena_printf(c->arena, "this version keeps nothing of data_source \"%.*s\"",
                                     YG_STR_FMT(c->no_data)));
    yg_jw_array_end(w);
    yg_jw_object_end(w);
}

static yg_rc answer(struct call *c, const struct yg_json_node *root, struct yg_buf *out,
                    struct yg_err *err) {
    YG_TRY(read_request(c, root, err));
    YG_TRY(run(c, err));
    struct yg_json_writer w = YG_JSON_WRITER(out);
    yg_jw_object(&w);
    yg_jw_k(&w, "data");
    yg_jw_object(&w);
    YG_TRY(c->scalar ? put_scalar(&w, c, err) : put_timeseries(&w, c, err));
    yg_jw_object_end(&w);
    put_meta(&w, c);
    yg_jw_object_end(&w);
    return YG_OK;
}

static void reply(struct yg_http_request *take_req, struct yg_buf *take_json) {
    if (yg_buf_ok(take_json, NULL) != YG_OK) {
        yg_api_reply(take_req, 200, take_json); // words the refusal
        return;
    }
    struct yg_http_reply r = {
        .status = 200, .content_type = "application/vnd.api+json", .body = *take_json};
    yg_http_reply(take_req, &r);
}

static void handle(struct yg_http_request *take_req, bool scalar) {
    struct yg_json_node *root;
    if (!yg_api_body_json(take_req, &root))
        return;
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, YG_API_QUERY_BYTES);
    struct yg_err err = {0};
    struct yg_buf out = yg_api_buf();
    struct call *c = YG_NEW(arena, struct call);
    yg_rc rc = YG_ENOMEM;
    if (c != NULL) {
        *c = (struct call){.req = take_req, .api = take_req->ctx, .arena = arena, .scalar = scalar};
        c->error = YG_BUF(YG_MEM_QUERY, 1u << 20);
        rc = answer(c, root, &out, &err);
    } else {
        (void)yg_fail(&err, YG_ENOMEM, "no memory for a query");
    }
    if (rc == YG_OK) {
        reply(take_req, &out);
    } else if (c != NULL && c->error.len > 0) {
        yg_api_reply_error(take_req, 400, "%.*s", (int)c->error.len, c->error.ptr);
    } else {
        yg_api_reply_err(take_req, &err);
    }
    if (c != NULL)
        yg_buf_fini(&c->error);
    if (rc != YG_OK)
        yg_buf_fini(&out);
    yg_arena_destroy(arena);
}

void yg_api_query_timeseries(struct yg_http_request *take_req) {
    handle(take_req, false);
}

void yg_api_query_scalar(struct yg_http_request *take_req) {
    handle(take_req, true);
}
