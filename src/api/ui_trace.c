// SPDX-License-Identifier: Apache-2.0
// GET Y/traces/:id (the binary block) and Y/traces/:id/spans/:sid (one span with all that it
// carries).
#include "api/ui.h"

#define BLOCK_BYTES_MAX (256u << 20)
#define ARENA_BYTES (192u << 20)
#define BASELINE_WINDOW_NS (INT64_C(86400) * YG_NS_PER_S)

// ---- the block ---------------------------------------------------------------------------------

struct collector {
    struct yg_arena *arena;
    struct yg_map pool; // strings copied so far
    struct yg_trace_span *spans;
    uint32_t count;
    uint32_t cap;
    uint32_t total;
    bool has_id;
    yg_id128 id;
};

static yg_rc collect(void *ctx, struct yg_block *b, const uint64_t *rows, struct yg_err *err) {
    struct collector *c = ctx;
    struct yg_ui_span_cols cols;
    YG_TRY(yg_ui_span_cols_open(b, &cols, err));
    YG_EACH_ROW(r, b, rows) {
        yg_id128 id = {0};
        if (yg_ui_col_id(&cols.trace_id, r, &id) && (!c->has_id || c->id.hi == 0)) {
            c->id = id;
            c->has_id = true;
        }
        c->total++;
        if (c->count == YG_TRACE_SPANS_MAX)
            continue;
        if (!YG_ARENA_GROW(c->arena, c->spans, c->count, c->cap))
            return yg_fail(err, YG_ENOMEM, "no memory for a trace of more than %u spans", c->count);
        yg_ui_span_of_row(&cols, r, &c->spans[c->count]);
        if (!yg_ui_span_copy_strings(&c->spans[c->count], &c->pool, c->arena))
            return yg_fail(err, YG_ENOMEM, "no memory for a trace of more than %u spans", c->count);
        c->count++;
    }
    return YG_OK;
}

// All time; segments that cannot hold the trace are left out. An id in digits may be decimal or
// hex: then no segment is left out for it.
static void aim(struct yg_ui_scan *scan, yg_str text, yg_id128 *id) {
    yg_id128 decimal = {0};
    scan->range = (struct yg_time_range){.from_ns = INT64_MIN, .to_ns = INT64_MAX};
    bool hex = yg_id128_parse(text, true, id);
    bool both = yg_id128_parse(text, false, &decimal) && !yg_id128_eq(decimal, *id);
    scan->trace_id = hex && !both ? id : NULL;
}

static yg_rc read_trace(struct yg_http_request *req, struct collector *c, struct yg_err *err) {
    struct yg_api *api = req->ctx;
    yg_id128 id = {0};
    if (!yg_id128_parse(req->params[0], true, &id))
        return yg_fail(err, YG_EINPUT,
                       "a trace id is 32 or 16 hexadecimal digits or a decimal number");
    struct yg_ui_scan scan = {
        .store = api->store,
        .track = YG_TRACK_SPANS,
        .filter = yg_ui_term(c->arena, YG_FIELD_RESERVED, YG_COL_TRACE_ID, req->params[0]),
        .fresh = true,
        .clock = api->clock,
        .deadline_mono_ns = yg_ui_deadline(api),
        .req = req,
    };
    if (scan.filter == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a query");
    aim(&scan, req->params[0], &id);
    YG_TRY(yg_ui_scan_run(&scan, collect, c, err));
    if (c->count == 0 && scan.partial)
        return yg_fail(err, YG_ETIMEOUT, "the trace was not found in time");
    if (c->count == 0)
        return yg_fail(err, YG_ENOTFOUND, "no trace of this id is stored");
    return YG_OK;
}

void yg_ui_trace(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, ARENA_BYTES);
    struct collector c = {.arena = arena, .pool = YG_MAP(YG_MEM_QUERY, false)};
    struct yg_http_reply reply = {.status = 200, .content_type = "application/vnd.yagura.trace"};
    reply.body = YG_BUF(YG_MEM_QUERY, BLOCK_BYTES_MAX);
    struct yg_trace_tree *tree = NULL;
    yg_rc rc = read_trace(take_req, &c, &err);
    if (rc == YG_OK)
        rc = yg_trace_tree_make(c.spans, c.count, arena, &tree, &err);
    if (rc == YG_OK)
        rc = yg_trace_block_write(tree, c.id, c.total, arena, &reply.body, &err);
    yg_map_fini(&c.pool);
    if (rc == YG_OK) {
        reply.extra[reply.extra_count++] =
            (struct yg_http_header){YG_STR("Cache-Control"), YG_STR("no-store")};
        yg_http_reply(take_req, &reply);
        return;
    }
    yg_buf_fini(&reply.body);
    yg_ui_reply_err(take_req, &err);
}

// ---- one span ----------------------------------------------------------------------------------

static bool span_id_of(yg_str text, uint64_t *ret_id) {
    if (text.len == 16)
        return yg_str_hex_to_u64(text, ret_id);
    return yg_str_to_u64(text, ret_id);
}

static yg_rc find_span(struct yg_http_request *req, struct yg_arena *arena, struct yg_row *ret_row,
                       struct yg_err *err) {
    struct yg_api *api = req->ctx;
    uint64_t span_id = 0;
    yg_id128 id;
    if (!yg_id128_parse(req->params[0], true, &id) || !span_id_of(req->params[1], &span_id))
        return yg_fail(err, YG_EINPUT,
                       "a span is named by its trace's id and 16 hexadecimal "
                       "digits or a decimal number");
    char hex[17];
    (void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)span_id);
    const struct yg_node *trace =
        yg_ui_term(arena, YG_FIELD_RESERVED, YG_COL_TRACE_ID, req->params[0]);
    const struct yg_node *span =
        yg_ui_term(arena, YG_FIELD_RESERVED, YG_COL_SPAN_ID, yg_str_n(hex, 16));
    const struct yg_node *both = trace && span ? yg_ui_all_of(arena, trace, span) : NULL;
    if (both == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a query");
    struct yg_event_query q = {
        .track = YG_TRACK_SPANS,
        .range = {.from_ns = INT64_MIN, .to_ns = INT64_MAX},
        .filter = both,
        .limit = 16, // all-digit texts can mean two ids
        .deadline_mono_ns = yg_ui_deadline(api),
    };
    struct yg_search_result result = {0};
    YG_TRY(yg_events_search(api->store, &q, true, arena, &result, err));
    for (uint32_t i = 0; i < result.count; i++) {
        const struct yg_value *v = yg_row_get(&result.rows[i], YG_COL_SPAN_ID, YG_T_I64);
        if (v != NULL && (uint64_t)v->i64 == span_id) {
            *ret_row = result.rows[i];
            return YG_OK;
        }
    }
    return yg_fail(err, YG_ENOTFOUND, "no such span is stored");
}

static yg_str row_str(const struct yg_row *row, const char *name) {
    const struct yg_value *v = yg_row_get(row, name, YG_T_STR);
    return v ? v->str : YG_STR("");
}
static int64_t row_i64(const struct yg_row *row, const char *name) {
    const struct yg_value *v = yg_row_get(row, name, YG_T_I64);
    return v ? v->i64 : 0;
}

static void put_hex16(struct yg_json_writer *w, const char *key, int64_t bits) {
    char text[17];
    (void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)bits);
    yg_jw_kstr(w, key, yg_str_n(text, 16));
}

static void put_span(struct yg_json_writer *w, const struct yg_row *row) {
    char trace[33] = "";
    const struct yg_value *id = yg_row_get(row, YG_COL_TRACE_ID, YG_T_ID);
    yg_id128_hex(id ? id->id : (yg_id128){0}, trace);
    yg_jw_k(w, "span");
    yg_jw_object(w);
    yg_jw_kstr(w, "trace_id", yg_str_n(trace, 32));
    put_hex16(w, "span_id", row_i64(row, YG_COL_SPAN_ID));
    put_hex16(w, "parent_id", row_i64(row, YG_COL_PARENT_ID));
    yg_jw_kstr(w, "service", row_str(row, YG_COL_SERVICE));
    yg_jw_kstr(w, "name", row_str(row, YG_COL_OPERATION));
    yg_jw_kstr(w, "resource", row_str(row, YG_COL_RESOURCE));
    yg_jw_kstr(w, "type", row_str(row, YG_COL_TYPE));
    yg_jw_k(w, "start_ns");
    yg_jw_i64_str(w, row->time_ns);
    yg_jw_ki64(w, "duration_ns", row_i64(row, YG_COL_DURATION));
    yg_jw_ki64(w, "error", yg_str_eq_c(row_str(row, YG_COL_STATUS), "error") ? 1 : 0);
    yg_jw_kstr(w, "env", row_str(row, YG_COL_ENV));
    yg_jw_kstr(w, "version", row_str(row, "@version"));
    yg_jw_kstr(w, "host", row_str(row, YG_COL_HOST));
    yg_jw_object_end(w);
}

// Attributes of the kinds in `types` as members named without their '@'.
static void put_attrs(struct yg_json_writer *w, const char *key, const struct yg_row *row,
                      unsigned types) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_object(w);
    for (uint32_t i = 0; i < row->attr_count; i++) {
        const struct yg_row_attr *a = &row->attrs[i];
        if (a->name.len < 2 || a->name.ptr[0] != '@' || !(types & (1u << a->value.type)))
            continue;
        yg_jw_key(w, yg_str_sub(a->name, 1, a->name.len));
        if (a->value.type == YG_T_STR)
            yg_jw_str(w, a->value.str);
        else if (a->value.type == YG_T_JSON)
            yg_jw_raw(w, a->value.str);
        else if (a->value.type == YG_T_F64)
            yg_jw_f64(w, a->value.f64);
        else if (a->value.type == YG_T_BOOL)
            yg_jw_bool(w, a->value.i64 != 0);
        else if (a->value.i64 > (INT64_C(1) << 53) || a->value.i64 < -(INT64_C(1) << 53))
            yg_jw_i64_str(w, a->value.i64);
        else
            yg_jw_i64(w, a->value.i64);
    }
    yg_jw_object_end(w);
}

static yg_str row_json(const struct yg_row *row, const char *name) {
    const struct yg_value *v = yg_row_get(row, name, YG_T_JSON);
    return v ? v->str : YG_STR("[]");
}

static void put_links(struct yg_json_writer *w, const struct yg_row *row, struct yg_arena *arena) {
    struct yg_json_node *root = NULL;
    struct yg_err err = {0};
    yg_jw_k(w, "links");
    yg_jw_array(w);
    if (yg_json_parse(row_json(row, YG_COL_LINKS), arena, &root, &err) == YG_OK)
        for (const struct yg_json_node *n = root->child; n != NULL; n = n->next) {
            const struct yg_json_node *attributes = yg_json_get(n, "attributes");
            yg_jw_object(w);
            yg_jw_kstr(w, "trace_id", yg_json_str_or(yg_json_get(n, "trace_id"), YG_STR("")));
            yg_jw_kstr(w, "span_id", yg_json_str_or(yg_json_get(n, "span_id"), YG_STR("")));
            yg_jw_k(w, "attributes");
            yg_jw_raw(w, attributes ? attributes->raw : YG_STR("{}"));
            yg_jw_object_end(w);
        }
    yg_jw_array_end(w);
}

static void put_events(struct yg_json_writer *w, const struct yg_row *row, struct yg_arena *arena) {
    struct yg_json_node *root = NULL;
    struct yg_err err = {0};
    yg_jw_k(w, "events");
    yg_jw_array(w);
    if (yg_json_parse(row_json(row, YG_COL_SPAN_EVENTS), arena, &root, &err) == YG_OK)
        for (const struct yg_json_node *n = root->child; n != NULL; n = n->next) {
            const struct yg_json_node *attributes = yg_json_get(n, "attributes");
            const struct yg_json_node *time = yg_json_get(n, "time_unix_nano");
            yg_jw_object(w);
            yg_jw_kstr(w, "name", yg_json_str_or(yg_json_get(n, "name"), YG_STR("")));
            yg_jw_kstr(w, "time_ns", time ? time->str : YG_STR("0"));
            yg_jw_k(w, "attributes");
            yg_jw_raw(w, attributes ? attributes->raw : YG_STR("{}"));
            yg_jw_object_end(w);
        }
    yg_jw_array_end(w);
}

// ---- how this span compares with its like ------------------------------------------------------

static const struct yg_node *same_kind(const struct yg_row *row, struct yg_arena *arena) {
    static const char *const names[] = {YG_COL_SERVICE, YG_COL_OPERATION, YG_COL_RESOURCE};
    const struct yg_node *all = NULL;
    for (size_t i = 0; i < 3; i++) {
        const struct yg_node *term =
            yg_ui_term(arena, YG_FIELD_RESERVED, names[i], row_str(row, names[i]));
        all = term ? all ? yg_ui_all_of(arena, all, term) : term : NULL;
        if (all == NULL)
            return NULL;
    }
    return all;
}

struct likes {
    struct yg_sketch durations;
    int64_t dur_ns;
    uint64_t faster;
};

static yg_rc add_like(void *ctx, struct yg_block *b, const uint64_t *rows, struct yg_err *err) {
    struct likes *l = ctx;
    struct yg_ui_col duration;
    YG_TRY(yg_ui_col_open(b, YG_COL_DURATION, &duration, err));
    YG_EACH_ROW(r, b, rows) {
        int64_t dur_ns = yg_ui_col_i64(&duration, r, 0);
        yg_sketch_add(&l->durations, (double)dur_ns, 1);
        l->faster += dur_ns < l->dur_ns;
    }
    return YG_OK;
}

// Optional: left out when it takes too long.
static void put_baseline(struct yg_json_writer *w, struct yg_http_request *req,
                         const struct yg_row *row, struct yg_arena *arena) {
    struct yg_api *api = req->ctx;
    struct likes l = {.durations = YG_SKETCH(YG_MEM_QUERY),
                      .dur_ns = row_i64(row, YG_COL_DURATION)};
    int64_t now_ns = yg_now_ns(api->clock);
    struct yg_ui_scan scan = {
        .store = api->store,
        .track = YG_TRACK_SPANS,
        .range = {.from_ns = now_ns - BASELINE_WINDOW_NS, .to_ns = now_ns + YG_NS_PER_S},
        .filter = same_kind(row, arena),
        .clock = api->clock,
        .deadline_mono_ns = yg_mono_ns(api->clock) + YG_NS_PER_S,
        .req = req,
    };
    struct yg_err err = {0};
    bool ok = scan.filter != NULL && yg_ui_scan_run(&scan, add_like, &l, &err) == YG_OK &&
              !scan.partial && scan.matched > 0;
    if (ok) {
        yg_jw_k(w, "baseline");
        yg_jw_object(w);
        yg_jw_ki64(w, "count", (int64_t)scan.matched);
        yg_jw_kf64(w, "slower_than", (double)l.faster / (double)scan.matched);
        yg_jw_ki64(w, "p50_ns", (int64_t)yg_sketch_quantile(&l.durations, 0.5));
        yg_jw_ki64(w, "p95_ns", (int64_t)yg_sketch_quantile(&l.durations, 0.95));
        yg_jw_ki64(w, "p99_ns", (int64_t)yg_sketch_quantile(&l.durations, 0.99));
        yg_jw_ki64(w, "window_ms", BASELINE_WINDOW_NS / YG_NS_PER_MS);
        yg_jw_object_end(w);
    }
    yg_sketch_fini(&l.durations);
}

void yg_ui_span(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    struct yg_row row = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    if (find_span(take_req, arena, &row, &err) != YG_OK) {
        yg_ui_reply_err(take_req, &err);
        return;
    }
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    put_span(&w, &row);
    put_attrs(&w, "tags", &row, 1u << YG_T_STR);
    put_attrs(&w, "metrics", &row, (1u << YG_T_F64) | (1u << YG_T_I64) | (1u << YG_T_BOOL));
    put_attrs(&w, "meta_struct", &row, 1u << YG_T_JSON);
    put_links(&w, &row, arena);
    put_events(&w, &row, arena);
    put_baseline(&w, take_req, &row, arena);
    yg_jw_object_end(&w);
    yg_ui_reply(take_req, &body);
}
