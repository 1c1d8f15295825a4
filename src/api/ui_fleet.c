// SPDX-License-Identifier: Apache-2.0
// GET Y/fleet: services and functions by the spans through which they were entered, with
// sparklines.
//
// Two passes over the spans: the range itself, and the same window one day earlier. Every block is
// looked at as a whole first (span id → row), so that a span can be compared with its parent's
// service.
#include "api/ui.h"

#include "monitor/monitor.h"

#define SPARK 24
#define ITEMS_MAX 1000
#define ALERTS_MAX 50
#define DAY_NS (INT64_C(86400) * YG_NS_PER_S)

struct sums {
    uint64_t hits;
    uint64_t errors;
    uint64_t cold;
    struct yg_sketch durations;
    uint64_t hits_spark[SPARK];
    uint64_t errors_spark[SPARK];
    struct yg_sketch spark[SPARK];
};

struct item {
    yg_str name;
    yg_str env;
    bool function;
    int64_t last_ns;
    struct sums now;
    uint64_t prev_hits;
    uint64_t prev_errors;
    struct yg_sketch prev_durations;
};

struct fleet {
    struct yg_arena *arena;
    struct yg_api *api;
    struct yg_http_request *req;
    yg_str env;
    struct yg_time_range range;
    int64_t step_ns;
    int64_t shift_ns;    // of the pass under way: 0, or one day
    struct yg_map index; // "name \0 env \0 kind" → item + 1
    struct item **items;
    uint32_t count;
    uint32_t cap;
    struct item all;
    bool partial;
};

static void sums_init(struct sums *s) {
    s->durations = YG_SKETCH(YG_MEM_QUERY);
    for (unsigned i = 0; i < SPARK; i++)
        s->spark[i] = YG_SKETCH(YG_MEM_QUERY);
}

static void item_init(struct item *item) {
    sums_init(&item->now);
    item->prev_durations = YG_SKETCH(YG_MEM_QUERY);
}

static void item_fini(struct item *item) {
    yg_sketch_fini(&item->now.durations);
    yg_sketch_fini(&item->prev_durations);
    for (unsigned i = 0; i < SPARK; i++)
        yg_sketch_fini(&item->now.spark[i]);
}

// NULL when there is no room for another one; such spans count in the totals only.
static struct item *item_for(struct fleet *f, const struct yg_trace_span *span, bool function) {
    char key[512];
    int n = snprintf(key, sizeof(key), "%.*s%c%.*s%c%d", YG_STR_FMT(span->service), 0,
                     YG_STR_FMT(span->env), 0, function);
    if (n < 0 || (size_t)n >= sizeof(key))
        return NULL;
    yg_str text = yg_str_n(key, (size_t)n);
    uint64_t *at = yg_map_get(&f->index, text);
    if (at != NULL)
        return f->items[*at - 1];
    struct item *item = f->count < 4 * ITEMS_MAX ? YG_NEW(f->arena, struct item) : NULL;
    if (item == NULL || !YG_ARENA_GROW(f->arena, f->items, f->count, f->cap))
        return NULL;
    item_init(item);
    item->name = yg_arena_str(f->arena, span->service);
    item->env = yg_arena_str(f->arena, span->env);
    item->function = function;
    f->items[f->count] = item;
    *yg_map_put(&f->index, text, NULL) = ++f->count;
    return item;
}

static void add_now(struct sums *s, const struct yg_trace_span *span, uint32_t bucket) {
    bool error = span->flags & YG_TRACE_ERROR;
    s->hits++;
    s->errors += error;
    s->cold += (span->flags & YG_TRACE_COLD) != 0;
    yg_sketch_add(&s->durations, (double)span->dur_ns, 1);
    s->hits_spark[bucket]++;
    s->errors_spark[bucket] += error;
    yg_sketch_add(&s->spark[bucket], (double)span->dur_ns, 1);
}

static void add_span(struct fleet *f, struct item *item, const struct yg_trace_span *span) {
    if (f->shift_ns != 0) {
        item->prev_hits++;
        item->prev_errors += (span->flags & YG_TRACE_ERROR) != 0;
        yg_sketch_add(&item->prev_durations, (double)span->dur_ns, 1);
        return;
    }
    int64_t bucket = (span->start_ns - f->range.from_ns) / f->step_ns;
    bucket = bucket < 0 ? 0 : bucket >= SPARK ? SPARK - 1 : bucket;
    add_now(&item->now, span, (uint32_t)bucket);
    int64_t end_ns = span->start_ns + span->dur_ns;
    item->last_ns = end_ns > item->last_ns ? end_ns : item->last_ns;
}

static yg_rc add_block(void *ctx, struct yg_block *b, const uint64_t *rows, struct yg_err *err) {
    struct fleet *f = ctx;
    struct yg_ui_span_cols cols;
    YG_TRY(yg_ui_span_cols_open(b, &cols, err));
    YG_EACH_ROW(r, b, rows) {
        if (!yg_ui_span_is_entry(&cols, r))
            continue;
        struct yg_trace_span span;
        yg_ui_span_of_row(&cols, r, &span);
        bool function =
            yg_str_eq_c(span.type, "serverless") || yg_str_eq_c(span.name, "aws.lambda");
        struct item *item = item_for(f, &span, function);
        add_span(f, &f->all, &span);
        if (item != NULL)
            add_span(f, item, &span);
    }
    return YG_OK;
}

static yg_rc read_window(struct fleet *f, int64_t shift_ns, int64_t deadline_mono_ns,
                         struct yg_err *err) {
    f->shift_ns = shift_ns;
    struct yg_ui_scan scan = {
        .store = f->api->store,
        .track = YG_TRACK_SPANS,
        .range = {.from_ns = f->range.from_ns - shift_ns, .to_ns = f->range.to_ns - shift_ns},
        .fresh = true,
        .clock = f->api->clock,
        .deadline_mono_ns = deadline_mono_ns,
        .req = f->req,
    };
    if (f->env.len > 0) {
        scan.filter = yg_ui_term(f->arena, YG_FIELD_RESERVED, YG_COL_ENV, f->env);
        if (scan.filter == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory for a query");
    }
    YG_TRY(yg_ui_scan_run(&scan, add_block, f, err));
    f->partial |= scan.partial;
    return YG_OK;
}

// ---- the answer --------------------------------------------------------------------------------

static void put_quantile(struct yg_json_writer *w, const char *key, const struct yg_sketch *s,
                         double q) {
    if (s->count > 0)
        yg_jw_ki64(w, key, (int64_t)yg_sketch_quantile(s, q));
    else
        yg_jw_knull(w, key);
}

static void put_counts(struct yg_json_writer *w, const char *key, const uint64_t *counts) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_array(w);
    for (unsigned i = 0; i < SPARK; i++)
        yg_jw_u64(w, counts[i]);
    yg_jw_array_end(w);
}

static void put_sums(struct yg_json_writer *w, const struct sums *s) {
    yg_jw_ki64(w, "hits", (int64_t)s->hits);
    yg_jw_ki64(w, "errors", (int64_t)s->errors);
    yg_jw_ki64(w, "cold", (int64_t)s->cold);
    put_quantile(w, "p50_ns", &s->durations, 0.5);
    put_quantile(w, "p95_ns", &s->durations, 0.95);
    put_quantile(w, "p99_ns", &s->durations, 0.99);
    put_counts(w, "hits_spark", s->hits_spark);
    put_counts(w, "errors_spark", s->errors_spark);
    yg_jw_k(w, "p95_spark");
    yg_jw_array(w);
    for (unsigned i = 0; i < SPARK; i++) {
        if (s->spark[i].count > 0)
            yg_jw_i64(w, (int64_t)yg_sketch_quantile(&s->spark[i], 0.95));
        else
            yg_jw_null(w);
    }
    yg_jw_array_end(w);
}

static void put_prev(struct yg_json_writer *w, const struct item *item) {
    if (item->prev_hits == 0) {
        yg_jw_knull(w, "prev");
        return;
    }
    yg_jw_k(w, "prev");
    yg_jw_object(w);
    yg_jw_ki64(w, "hits", (int64_t)item->prev_hits);
    yg_jw_ki64(w, "errors", (int64_t)item->prev_errors);
    put_quantile(w, "p95_ns", &item->prev_durations, 0.95);
    yg_jw_object_end(w);
}

static void put_item(struct yg_json_writer *w, const struct item *item) {
    yg_jw_object(w);
    yg_jw_kstr(w, "name", item->name);
    yg_jw_kstr(w, "kind", item->function ? YG_STR("function") : YG_STR("service"));
    yg_jw_kstr(w, "env", item->env);
    put_sums(w, &item->now);
    yg_ui_put_ms_or_null(w, "last_ms", item->last_ns);
    put_prev(w, item);
    yg_jw_object_end(w);
}

static int by_hits(const void *left, const void *right) {
    const struct item *a = *(struct item *const *)left;
    const struct item *b = *(struct item *const *)right;
    if (a->now.hits != b->now.hits)
        return a->now.hits > b->now.hits ? -1 : 1;
    int cmp = yg_str_cmp(a->name, b->name);
    return cmp ? cmp : yg_str_cmp(a->env, b->env);
}

static void put_items(struct yg_json_writer *w, struct fleet *f) {
    if (f->count > 1)
        qsort(f->items, f->count, sizeof(f->items[0]), by_hits);
    yg_jw_k(w, "items");
    yg_jw_array(w);
    for (uint32_t i = 0; i < f->count && i < ITEMS_MAX; i++)
        if (f->items[i]->now.hits > 0)
            put_item(w, f->items[i]);
    yg_jw_array_end(w);
}

static void put_totals(struct yg_json_writer *w, const struct fleet *f) {
    int64_t functions = 0;
    int64_t services = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        bool seen = f->items[i]->now.hits > 0;
        functions += seen && f->items[i]->function;
        services += seen && !f->items[i]->function;
    }
    yg_jw_k(w, "totals");
    yg_jw_object(w);
    yg_jw_ki64(w, "services", services);
    yg_jw_ki64(w, "functions", functions);
    put_sums(w, &f->all.now);
    yg_jw_object_end(w);
}

static yg_rc put_alerts(struct yg_json_writer *w, struct fleet *f, struct yg_err *err) {
    struct yg_monitor_alert *alerts = NULL;
    uint32_t count = 0;
    if (f->api->monitors != NULL)
        YG_TRY(yg_monitors_alerts(f->api->monitors, ALERTS_MAX, f->arena, &alerts, &count, err));
    yg_jw_k(w, "alerts");
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        const struct yg_monitor_alert *a = &alerts[i];
        yg_jw_object(w);
        yg_jw_ki64(w, "monitor_id", a->monitor_id);
        yg_jw_kstr(w, "name", a->monitor);
        yg_jw_kstr(w, "state", yg_str_c(yg_state_name(a->state)));
        yg_jw_kstr(w, "group", a->group);
        yg_ui_put_ms_or_null(w, "since_ms", a->since_ns);
        if (a->has_value)
            yg_jw_kf64(w, "value", a->value);
        else
            yg_jw_knull(w, "value");
        if (a->threshold.set)
            yg_jw_kf64(w, "threshold", a->threshold.value);
        else
            yg_jw_knull(w, "threshold");
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
    return YG_OK;
}

static yg_rc run_fleet(struct fleet *f, struct yg_buf *out, struct yg_err *err) {
    YG_TRY(yg_ui_range_of(f->req, &f->range, err));
    f->env = yg_http_query(f->req, "env", NULL);
    // Whole milliseconds, rounded up, so that 24 of them cover the range.
    int64_t dur_ns = f->range.to_ns - f->range.from_ns;
    f->step_ns = (dur_ns + SPARK * YG_NS_PER_MS - 1) / (SPARK * YG_NS_PER_MS) * YG_NS_PER_MS;
    int64_t deadline = yg_ui_deadline(f->api);
    YG_TRY(read_window(f, 0, deadline, err));
    YG_TRY(read_window(f, DAY_NS, deadline, err));
    struct yg_json_writer w = YG_JSON_WRITER(out);
    yg_jw_object(&w);
    yg_ui_put_range(&w, f->range);
    yg_jw_ki64(&w, "step_ms", yg_ui_ms(f->step_ns));
    yg_jw_kbool(&w, "partial", f->partial);
    put_totals(&w, f);
    put_prev(&w, &f->all);
    put_items(&w, f);
    YG_TRY(put_alerts(&w, f, err));
    yg_jw_object_end(&w);
    return YG_OK;
}

void yg_ui_fleet(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 128u << 20);
    struct fleet *f = YG_NEW(arena, struct fleet);
    if (f == NULL) {
        (void)yg_fail(&err, YG_ENOMEM, "no memory for the fleet");
        yg_ui_reply_err(take_req, &err);
        return;
    }
    f->arena = arena;
    f->api = take_req->ctx;
    f->req = take_req;
    f->index = YG_MAP(YG_MEM_QUERY, true);
    item_init(&f->all);
    struct yg_buf out = yg_api_buf();
    yg_rc rc = run_fleet(f, &out, &err);
    for (uint32_t i = 0; i < f->count; i++)
        item_fini(f->items[i]);
    item_fini(&f->all);
    yg_map_fini(&f->index);
    if (rc == YG_OK) {
        yg_ui_reply(take_req, &out);
        return;
    }
    yg_buf_fini(&out);
    yg_ui_reply_err(take_req, &err);
}
