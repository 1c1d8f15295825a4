// SPDX-License-Identifier: Apache-2.0
// POST Y/traces/search: whole traces of which at least one span matches, sorted, with cursor and
// summary.
//
// Three passes: (1) spans that match the query → set of trace ids (not for an empty query); (2)
// rows of the traces track in the range and in the set → the list that is sorted and summed; (3)
// spans of the page's traces, between their earliest start and latest end → roots and self times by
// service.
#include "api/ui_traces.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200
#define IDS_MAX (4u << 20)
#define ROWS_MAX (2u << 20)
#define PAGE_SPANS_MAX 500000u
#define SERVICES_MAX 12
#define LATE_SPANS_NS (INT64_C(900) * YG_NS_PER_S) // a trace of the range may have spans after it

struct listed { // spans of one trace of the page
    struct yg_trace_span *spans;
    uint32_t count;
    uint32_t cap;
    yg_str *codes; // http.status_code of each span
    uint32_t code_count;
    uint32_t code_cap;
    int64_t cold_ns;
    bool cold;
};

struct search {
    struct yg_http_request *req;
    struct yg_api *api;
    struct yg_arena *arena;
    struct yg_time_range range;
    const struct yg_node *filter;
    struct yg_trace_query *traces; // "tq", or NULL
    struct yg_trace_matches *matches;
    struct yg_ui_trace_order order;
    uint32_t limit;
    bool has_after;
    int64_t after_value;
    yg_id128 after_id;
    bool has_min, has_max;
    int64_t min_ns, max_ns;
    bool summary;
    int64_t deadline_mono_ns;
    // found
    struct yg_ui_ids ids;
    struct yg_ui_trace_row *rows;
    uint32_t count;
    uint32_t cap;
    bool partial;
    uint64_t scanned_rows;
    uint64_t scanned_bytes;
    const struct yg_ui_trace_row *page;
    uint32_t page_count;
    struct yg_map page_index; // trace id → index + 1
    struct listed *listed;
    uint32_t listed_spans;
    struct yg_map pool;
};

// ---- the request -------------------------------------------------------------------------------

static yg_str time_text(const struct yg_json_node *body, const char *key) {
    const struct yg_json_node *n = yg_json_get(body, key);
    bool text = yg_json_is(n, YG_JSON_STRING) || yg_json_is(n, YG_JSON_INT) ||
                yg_json_is(n, YG_JSON_DOUBLE);
    return text ? n->str : (yg_str){0};
}

static void duration_limit(const struct yg_json_node *body, const char *key, bool *ret_has,
                           int64_t *ret_ns) {
    const struct yg_json_node *n = yg_json_get(body, key);
    *ret_has = yg_json_is(n, YG_JSON_INT) || yg_json_is(n, YG_JSON_DOUBLE) ||
               (yg_json_is(n, YG_JSON_STRING) && yg_str_to_i64(n->str, ret_ns));
    if (*ret_has && !yg_json_is(n, YG_JSON_STRING)) {
        double ns = yg_json_f64_or(n, 0);
        *ret_ns = ns > 9e18 ? INT64_MAX : ns < 0 ? 0 : (int64_t)ns;
    }
}

// "tq": a trace query; "spans": {"a":"service:web", …}, the span queries that it names.
static yg_rc read_trace_query(struct search *s, const struct yg_json_node *body,
                              struct yg_err *err) {
    yg_str text = yg_json_str_or(yg_json_get(body, "tq"), YG_STR(""));
    const struct yg_json_node *spans = yg_json_get(body, "spans");
    struct yg_trace_label labels[YG_TRACE_LABELS_MAX];
    uint32_t count = 0;
    for (const struct yg_json_node *span = spans ? spans->child : NULL; span; span = span->next) {
        if (count == YG_TRACE_LABELS_MAX || span->key.len != 1 || span->key.ptr[0] < 'a' ||
            span->key.ptr[0] > 'z' || !yg_json_is(span, YG_JSON_STRING))
            return yg_fail(err, YG_EINPUT, "spans: at most %u letters a to z, each a span query",
                           YG_TRACE_LABELS_MAX);
        labels[count++] = (struct yg_trace_label){span->key.ptr[0], span->str};
    }
    if (yg_str_trim(text).len == 0)
        return YG_OK;
    if (yg_trace_query_parse(text, labels, count, s->arena, &s->traces, err) != YG_OK)
        return yg_err_wrap(err, "tq");
    return YG_OK;
}

static yg_rc read_request(struct search *s, const struct yg_json_node *body, struct yg_err *err) {
    struct yg_search_options options = {.track = YG_TRACK_SPANS};
    yg_str q = yg_json_str_or(yg_json_get(body, "q"), YG_STR(""));
    struct yg_node *tree = NULL;
    YG_TRY(yg_search_parse(q, &options, s->arena, &tree, err));
    s->filter = tree;
    YG_TRY(read_trace_query(s, body, err));
    YG_TRY(yg_ui_range(s->api, time_text(body, "from"), time_text(body, "to"), &s->range, err));
    yg_str sort = yg_json_str_or(yg_json_get(body, "sort"), YG_STR(""));
    if (!yg_ui_trace_order_parse(sort, &s->order))
        return yg_fail(err, YG_EINPUT,
                       "sort: duration, spans, start or errors, \"-\" before it "
                       "for falling");
    int64_t limit = yg_json_i64_or(yg_json_get(body, "limit"), LIMIT_DEFAULT);
    if (limit < 1 || limit > LIMIT_MAX)
        return yg_fail(err, YG_EINPUT, "limit: 1 to %d", LIMIT_MAX);
    s->limit = (uint32_t)limit;
    yg_str cursor = yg_json_str_or(yg_json_get(body, "cursor"), YG_STR(""));
    s->has_after = cursor.len > 0;
    if (s->has_after && !yg_ui_cursor_parse(cursor, &s->after_value, &s->after_id))
        return yg_fail(err, YG_EINPUT, "cursor: not one that this call gave");
    duration_limit(body, "min_duration_ns", &s->has_min, &s->min_ns);
    duration_limit(body, "max_duration_ns", &s->has_max, &s->max_ns);
    s->summary = yg_json_bool_or(yg_json_get(body, "summary"), false);
    return YG_OK;
}

// ---- passes ------------------------------------------------------------------------------------

static yg_rc run_pass(struct search *s, enum yg_track track, struct yg_time_range range,
                      const struct yg_node *filter,
                      yg_rc (*fn)(void *ctx, struct yg_block *b, const uint64_t *rows,
                                  struct yg_err *err),
                      struct yg_err *err) {
    struct yg_ui_scan scan = {
        .store = s->api->store,
        .track = track,
        .range = range,
        .filter = filter,
        .fresh = true,
        .clock = s->api->clock,
        .deadline_mono_ns = s->deadline_mono_ns,
        .req = s->req,
    };
    yg_rc rc = yg_ui_scan_run(&scan, fn, s, err);
    s->partial |= scan.partial;
    s->scanned_rows += scan.rows;
    s->scanned_bytes += scan.bytes;
    return rc;
}

static yg_rc take_ids(void *ctx, struct yg_block *b, const uint64_t *rows, struct yg_err *err) {
    struct search *s = ctx;
    struct yg_ui_col ids;
    YG_TRY(yg_ui_col_open(b, YG_COL_TRACE_ID, &ids, err));
    YG_EACH_ROW(r, b, rows) {
        yg_id128 id;
        if (!yg_ui_col_id(&ids, r, &id))
            continue;
        if (s->ids.len >= IDS_MAX || !yg_ui_ids_add(&s->ids, id)) {
            s->partial = true;
            return YG_OK;
        }
    }
    return YG_OK;
}

static bool wanted(const struct search *s, const struct yg_ui_trace_row *row) {
    return (!s->has_min || row->dur_ns >= s->min_ns) && (!s->has_max || row->dur_ns < s->max_ns);
}

static yg_rc take_traces(void *ctx, struct yg_block *b, const uint64_t *rows, struct yg_err *err) {
    struct search *s = ctx;
    struct yg_ui_col id, time, duration, spans, errors, cold;
    YG_TRY(yg_ui_col_open(b, YG_COL_TRACE_ID, &id, err));
    YG_TRY(yg_ui_col_open(b, YG_COL_TIME, &time, err));
    YG_TRY(yg_ui_col_open(b, YG_COL_DURATION, &duration, err));
    YG_TRY(yg_ui_col_open(b, "@span_count", &spans, err));
    YG_TRY(yg_ui_col_open(b, "@error_count", &errors, err));
    YG_TRY(yg_ui_col_open(b, "@cold_start", &cold, err));
    bool all = s->filter->kind == YG_NODE_ALL;
    YG_EACH_ROW(r, b, rows) {
        struct yg_ui_trace_row row = {
            .start_ns = yg_ui_col_i64(&time, r, 0),
            .dur_ns = yg_ui_col_i64(&duration, r, 0),
            .span_count = (uint32_t)yg_ui_col_i64(&spans, r, 0),
            .error_count = (uint32_t)yg_ui_col_i64(&errors, r, 0),
            .cold = yg_ui_col_true(&cold, r),
        };
        if (!yg_ui_col_id(&id, r, &row.id) || (!all && !yg_ui_ids_has(&s->ids, row.id)) ||
            !wanted(s, &row))
            continue;
        if (s->matches != NULL &&
            !yg_trace_matches_has(s->matches, row.id, row.span_count, row.dur_ns))
            continue;
        if (s->count >= ROWS_MAX) {
            s->partial = true;
            return YG_OK;
        }
        if (!YG_ARENA_GROW(s->arena, s->rows, s->count, s->cap))
            return yg_fail(err, YG_ENOMEM, "no memory for more than %u traces", s->count);
        s->rows[s->count++] = row;
    }
    return YG_OK;
}

static yg_str id_key(const yg_id128 *id) {
    return yg_str_n((const char *)id, sizeof(*id));
}

static bool list_span(struct search *s, struct listed *to, const struct yg_ui_span_cols *cols,
                      uint32_t r) {
    if (!YG_ARENA_GROW(s->arena, to->spans, to->count, to->cap) ||
        !YG_ARENA_GROW(s->arena, to->codes, to->code_count, to->code_cap))
        return false;
    struct yg_trace_span *span = &to->spans[to->count];
    yg_ui_span_of_row(cols, r, span);
    if (!yg_ui_span_copy_strings(span, &s->pool, s->arena))
        return false;
    if (span->flags & YG_TRACE_COLD) {
        to->cold = true;
        if (yg_str_eq_c(span->name, "aws.lambda.cold_start"))
            to->cold_ns = span->dur_ns;
    }
    struct yg_value code;
    to->codes[to->code_count] = (yg_str){0};
    if (yg_ui_col_value(&cols->http_status, r, &code))
        to->codes[to->code_count] = yg_arena_str(s->arena, yg_value_text(&code, s->arena));
    to->count++;
    to->code_count++;
    return true;
}

static yg_rc take_page_spans(void *ctx, struct yg_block *b, const uint64_t *rows,
                             struct yg_err *err) {
    struct search *s = ctx;
    struct yg_ui_col ids;
    struct yg_ui_span_cols cols;
    bool opened = false;
    YG_TRY(yg_ui_col_open(b, YG_COL_TRACE_ID, &ids, err));
    YG_EACH_ROW(r, b, rows) {
        yg_id128 id;
        uint64_t *at = yg_ui_col_id(&ids, r, &id) ? yg_map_get(&s->page_index, id_key(&id)) : NULL;
        if (at == NULL)
            continue;
        if (!opened)
            YG_TRY(yg_ui_span_cols_open(b, &cols, err));
        opened = true;
        if (s->listed_spans++ >= PAGE_SPANS_MAX || !list_span(s, &s->listed[*at - 1], &cols, r)) {
            s->partial = true;
            return YG_OK;
        }
    }
    return YG_OK;
}

static yg_rc read_page_spans(struct search *s, struct yg_err *err) {
    struct yg_time_range range = {.from_ns = INT64_MAX, .to_ns = INT64_MIN};
    s->listed = YG_NEW_N(s->arena, struct listed, s->page_count + 1);
    if (s->listed == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a page of traces");
    for (uint32_t i = 0; i < s->page_count; i++) {
        const struct yg_ui_trace_row *row = &s->page[i];
        int64_t end_ns = row->start_ns + row->dur_ns + 1;
        range.from_ns = row->start_ns < range.from_ns ? row->start_ns : range.from_ns;
        range.to_ns = end_ns > range.to_ns ? end_ns : range.to_ns;
        *yg_map_put(&s->page_index, id_key(&row->id), NULL) = i + 1;
    }
    return s->page_count > 0 ? run_pass(s, YG_TRACK_SPANS, range, NULL, take_page_spans, err)
                             : YG_OK;
}

static bool nobody_waits(void *arg) {
    return yg_http_gone(arg);
}

static yg_rc match_traces(struct search *s, struct yg_time_range range, struct yg_err *err) {
    struct yg_trace_search_options options = {.range = range,
                                              .deadline_mono_ns = s->deadline_mono_ns,
                                              .canceled = nobody_waits,
                                              .canceled_arg = s->req};
    struct yg_warnings warnings = {0};
    struct yg_query_stats stats = {0};
    YG_TRY(yg_trace_matches_find(s->api->store, s->traces, &options, s->arena, &warnings, &stats,
                                 &s->matches, err));
    s->partial |= warnings.count > 0;
    s->scanned_rows += stats.rows_scanned;
    return YG_OK;
}

static yg_rc find_traces(struct search *s, struct yg_err *err) {
    struct yg_time_range range = s->range;
    if (range.to_ns < INT64_MAX - LATE_SPANS_NS)
        range.to_ns += LATE_SPANS_NS;
    if (s->filter->kind != YG_NODE_ALL)
        YG_TRY(run_pass(s, YG_TRACK_SPANS, range, s->filter, take_ids, err));
    if (s->traces != NULL)
        YG_TRY(match_traces(s, range, err));
    YG_TRY(run_pass(s, YG_TRACK_TRACES, s->range, NULL, take_traces, err));
    yg_ui_trace_rows_sort(s->rows, s->count, s->order);
    uint32_t from = s->has_after ? yg_ui_trace_rows_after(s->rows, s->count, s->order,
                                                          s->after_value, s->after_id)
                                 : 0;
    s->page = s->rows + from;
    s->page_count = s->count - from < s->limit ? s->count - from : s->limit;
    return read_page_spans(s, err);
}

// ---- the answer --------------------------------------------------------------------------------

static void put_root(struct yg_json_writer *w, const struct listed *l,
                     const struct yg_trace_tree *tree, yg_str *ret_env) {
    uint32_t root = 0;
    for (uint32_t row = 0; row < tree->count; row = tree->end[row])
        if (tree->parent[row] == -1) {
            root = row;
            break;
        }
    const struct yg_trace_span *span = &l->spans[tree->order[root]];
    yg_str code = l->codes[tree->order[root]];
    *ret_env = span->env;
    yg_jw_k(w, "root");
    yg_jw_object(w);
    yg_jw_kstr(w, "service", span->service);
    yg_jw_kstr(w, "name", span->name);
    yg_jw_kstr(w, "resource", span->resource);
    yg_jw_kstr(w, "type", span->type);
    if (code.len > 0)
        yg_jw_kstr(w, "status_code", code);
    yg_jw_object_end(w);
}

static void put_services(struct yg_json_writer *w, const struct yg_trace_tree *tree) {
    yg_jw_k(w, "services");
    yg_jw_array(w);
    for (uint32_t i = 0; i < tree->service_count && i < SERVICES_MAX; i++) {
        yg_jw_object(w);
        yg_jw_kstr(w, "name", tree->services[i].name);
        yg_jw_ki64(w, "spans", tree->services[i].spans);
        yg_jw_ki64(w, "self_ns", tree->services[i].self_ns);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
}

static yg_rc put_trace(struct yg_json_writer *w, struct search *s, uint32_t i, struct yg_err *err) {
    const struct yg_ui_trace_row *row = &s->page[i];
    const struct listed *l = &s->listed[i];
    char hex[33];
    yg_str env = YG_STR("");
    yg_id128_hex(row->id, hex);
    yg_jw_object(w);
    yg_jw_kstr(w, "trace_id", yg_str_n(hex, 32));
    yg_jw_k(w, "start_ns");
    yg_jw_i64_str(w, row->start_ns);
    yg_jw_ki64(w, "duration_ns", row->dur_ns);
    if (l->count > 0) {
        struct yg_trace_tree *tree = NULL;
        YG_TRY(yg_trace_tree_make(l->spans, l->count, s->arena, &tree, err));
        put_root(w, l, tree, &env);
        put_services(w, tree);
    } else { // its spans are gone or were not reached: the page shows the row without them
        yg_jw_k(w, "root");
        yg_jw_raw(w, YG_STR("{\"service\":\"\",\"name\":\"\",\"resource\":\"\",\"type\":\"\"}"));
        yg_jw_k(w, "services");
        yg_jw_raw(w, YG_STR("[]"));
    }
    yg_jw_kstr(w, "env", env);
    yg_jw_ki64(w, "span_count", row->span_count);
    yg_jw_ki64(w, "error_count", row->error_count);
    yg_jw_kbool(w, "cold", row->cold || l->cold);
    if (l->cold_ns > 0)
        yg_jw_ki64(w, "cold_ns", l->cold_ns);
    yg_jw_object_end(w);
    return YG_OK;
}

static void put_cursor(struct yg_json_writer *w, const struct search *s) {
    bool more = s->page_count > 0 && s->page + s->page_count < s->rows + s->count;
    if (!more) {
        yg_jw_knull(w, "cursor");
        return;
    }
    char text[YG_UI_CURSOR_BYTES];
    const struct yg_ui_trace_row *last = &s->page[s->page_count - 1];
    yg_ui_cursor_make(yg_ui_trace_sort_value(last, s->order.sort), last->id, text);
    yg_jw_kstr(w, "cursor", yg_str_c(text));
}

static yg_rc put_result(struct yg_json_writer *w, struct search *s, struct yg_err *err) {
    yg_jw_object(w);
    yg_ui_put_range(w, s->range);
    yg_jw_ki64(w, "matched", s->count);
    yg_jw_kbool(w, "partial", s->partial);
    yg_jw_k(w, "scanned");
    yg_jw_object(w);
    yg_jw_ki64(w, "rows", (int64_t)s->scanned_rows);
    yg_jw_ki64(w, "bytes", (int64_t)s->scanned_bytes);
    yg_jw_object_end(w);
    put_cursor(w, s);
    yg_jw_k(w, "data");
    yg_jw_array(w);
    for (uint32_t i = 0; i < s->page_count; i++)
        YG_TRY(put_trace(w, s, i, err));
    yg_jw_array_end(w);
    if (s->summary)
        YG_TRY(yg_ui_put_summary(w, s->rows, s->count, s->range, s->arena, err));
    yg_jw_object_end(w);
    return YG_OK;
}

static yg_rc run_search(struct search *s, const struct yg_json_node *body, struct yg_buf *out,
                        struct yg_err *err) {
    struct yg_json_writer w = YG_JSON_WRITER(out);
    YG_TRY(read_request(s, body, err));
    YG_TRY(find_traces(s, err));
    return put_result(&w, s, err);
}

void yg_ui_traces_search(struct yg_http_request *take_req) {
    struct yg_json_node *body = NULL;
    struct yg_err err = {0};
    if (yg_api_body_parse(take_req, &body, &err) != YG_OK) {
        yg_ui_reply_err(take_req, &err);
        return;
    }
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 256u << 20);
    struct search *s = YG_NEW(arena, struct search);
    if (s == NULL) {
        (void)yg_fail(&err, YG_ENOMEM, "no memory for a search");
        yg_ui_reply_err(take_req, &err);
        return;
    }
    s->req = take_req;
    s->api = take_req->ctx;
    s->arena = arena;
    s->deadline_mono_ns = yg_ui_deadline(s->api);
    s->page_index = YG_MAP(YG_MEM_QUERY, false);
    s->pool = YG_MAP(YG_MEM_QUERY, false);
    struct yg_buf out = yg_api_buf();
    yg_rc rc = run_search(s, body, &out, &err);
    yg_ui_ids_fini(&s->ids);
    yg_trace_matches_destroy(s->matches);
    yg_map_fini(&s->page_index);
    yg_map_fini(&s->pool);
    if (rc == YG_OK) {
        yg_ui_reply(take_req, &out);
        return;
    }
    yg_buf_fini(&out);
    yg_ui_reply_err(take_req, &err);
}
