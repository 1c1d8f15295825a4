// SPDX-License-Identifier: Apache-2.0
// Bytes of real clients → span, log, event and check rows, field by field against expect.jsonl.
#include "intake/test/golden.h"

// ------------------------------------------------------------ spans

static bool promoted(yg_str key, const struct yg_json_node *e) {
    if (yg_str_eq_c(key, "env") || yg_str_eq_c(key, "_dd.p.tid"))
        return true;
    if (yg_str_eq_c(key, "_dd.span_links"))
        return yg_json_get(e, "links")->count > 0;
    return yg_str_eq_c(key, "events") && yg_json_get(e, "events")->count > 0;
}

static uint32_t check_meta(const struct golden *g, uint32_t row, const struct yg_batch *b,
                           const struct yg_json_node *e) {
    uint32_t count = 0;
    for (const struct yg_json_node *m = yg_json_get(e, "meta")->child; m != NULL; m = m->next) {
        char name[600];
        (void)snprintf(name, sizeof(name), "@%.*s", YG_STR_FMT(m->key));
        if (promoted(m->key, e))
            continue;
        check_str(g, row, name, row_str(b, row, name), m->str);
        count += row_str(b, row, name).len > 0 || m->str.len == 0;
    }
    yg_str env = yg_json_str_or(yg_json_path(e, "meta.env"), YG_STR(""));
    if (env.len)
        check_str(g, row, "env", row_str(b, row, "env"), env);
    return count;
}

static void check_metrics(const struct golden *g, uint32_t row, const struct yg_batch *b,
                          const struct yg_json_node *e) {
    for (const struct yg_json_node *m = yg_json_get(e, "metrics")->child; m != NULL; m = m->next) {
        char name[600];
        struct yg_value v;
        (void)snprintf(name, sizeof(name), "@%.*s", YG_STR_FMT(m->key));
        if (!row_value(b, row, yg_str_c(name), YG_T_F64, &v) || v.f64 != m->f64)
            fail_msg("%s row %u: metric %s is missing or another", g->dir, row, name);
    }
}

static struct yg_json_node *json_column(struct golden *g, uint32_t row, const struct yg_batch *b,
                                        const char *name) {
    struct yg_value v;
    struct yg_json_node *root = NULL;
    if (row_value(b, row, yg_str_c(name), YG_T_JSON, &v))
        assert_int_equal(yg_json_parse(v.str, g->arena, &root, NULL), YG_OK);
    return root;
}

static void check_links(struct golden *g, uint32_t row, const struct yg_batch *b,
                        const struct yg_json_node *want) {
    struct yg_json_node *got = json_column(g, row, b, YG_COL_LINKS);
    assert_int_equal(got ? got->count : 0, want->count);
    const struct yg_json_node *w = want->child;
    for (const struct yg_json_node *l = got ? got->child : NULL; l != NULL; l = l->next) {
        uint64_t id;
        uint64_t wanted;
        check_str(g, row, "link", yg_json_get(l, "trace_id")->str, yg_json_get(w, "trace_id")->str);
        assert_true(yg_str_hex_to_u64(yg_json_get(l, "span_id")->str, &id));
        assert_true(yg_str_to_u64(yg_json_get(w, "span_id")->str, &wanted));
        assert_true(id == wanted);
        assert_true(same_json(yg_json_get(l, "attributes"), yg_json_get(w, "attributes")));
        assert_true(same_json(yg_json_get(l, "tracestate"), yg_json_get(w, "tracestate")));
        assert_true(same_json(yg_json_get(l, "flags"), yg_json_get(w, "flags")));
        w = w->next;
    }
}

static void check_events(struct golden *g, uint32_t row, const struct yg_batch *b,
                         const struct yg_json_node *want) {
    struct yg_json_node *got = json_column(g, row, b, YG_COL_SPAN_EVENTS);
    assert_int_equal(got ? got->count : 0, want->count);
    const struct yg_json_node *w = want->child;
    for (const struct yg_json_node *v = got ? got->child : NULL; v != NULL; v = v->next) {
        assert_true(same_json(yg_json_get(v, "name"), yg_json_get(w, "name")));
        assert_int_equal(yg_json_i64_or(yg_json_get(v, "time_unix_nano"), -1),
                         yg_json_i64_or(yg_json_get(w, "time_ns"), -2));
        assert_true(same_json(yg_json_get(v, "attributes"), yg_json_get(w, "attributes")));
        w = w->next;
    }
}

static void check_structs(struct golden *g, uint32_t row, const struct yg_batch *b,
                          const struct yg_json_node *want) {
    for (const struct yg_json_node *m = want ? want->child : NULL; m != NULL; m = m->next) {
        char name[600];
        (void)snprintf(name, sizeof(name), "@%.*s", YG_STR_FMT(m->key));
        if (!same_json(json_column(g, row, b, name), m))
            fail_msg("%s row %u: meta_struct %s", g->dir, row, name);
    }
}

// How many "@…" text values the row has.
static uint32_t count_texts(const struct yg_batch *b, uint32_t row) {
    uint32_t count = 0;
    struct yg_value v;
    for (uint32_t i = 0; i < b->col_count; i++)
        if (b->cols[i].type == YG_T_STR && b->cols[i].name.ptr[0] == '@')
            count += yg_batch_col_value(&b->cols[i], row, &v);
    return count;
}

static void check_span(struct golden *g, uint32_t row, const struct yg_batch *b,
                       const struct yg_json_node *e) {
    check_trace_id(g, row, b, yg_json_get(e, "trace_id")->str);
    check_u64(g, row, b, YG_COL_SPAN_ID, yg_json_get(e, "span_id")->str);
    check_u64(g, row, b, YG_COL_PARENT_ID, yg_json_get(e, "parent_id")->str);
    check_field(g, row, b, YG_COL_SERVICE, e, "service");
    check_field(g, row, b, YG_COL_OPERATION, e, "name");
    check_field(g, row, b, YG_COL_RESOURCE, e, "resource");
    check_field(g, row, b, YG_COL_TYPE, e, "type");
    assert_int_equal(row_i64(b, row, YG_COL_TIME), yg_json_i64_or(yg_json_get(e, "start_ns"), -1));
    assert_int_equal(row_i64(b, row, YG_COL_DURATION),
                     yg_json_i64_or(yg_json_get(e, "duration_ns"), -1));
    bool error = yg_json_i64_or(yg_json_get(e, "error"), -1) != 0;
    check_str(g, row, "status", row_str(b, row, "status"), error ? YG_STR("error") : YG_STR("ok"));
    uint32_t texts = check_meta(g, row, b, e);
    check_metrics(g, row, b, e);
    check_links(g, row, b, yg_json_get(e, "links"));
    check_events(g, row, b, yg_json_get(e, "events"));
    check_structs(g, row, b, yg_json_get(e, "meta_struct"));
    const struct yg_json_node *chunk = yg_json_get(e, "chunk");
    if (chunk == NULL && texts != count_texts(b, row))
        fail_msg("%s row %u: %u tags, wanted %u", g->dir, row, count_texts(b, row), texts);
    if (chunk)
        check_str(g, row, "origin", row_str(b, row, "@_dd.origin"),
                  yg_json_str_or(yg_json_get(chunk, "origin"), YG_STR("")));
}

static yg_rc (*decode_rows)(const struct yg_intake_in *, struct yg_batch *,
                            struct yg_intake_tally *, struct yg_err *);
static enum yg_track track;

static struct yg_batch *decode_case(struct golden *g) {
    struct yg_batch *b = yg_batch_create(track, 64u << 20);
    struct yg_intake_tally t = {0};
    struct yg_err err = {0};
    if (decode_rows(&g->in, b, &t, &err) != YG_OK)
        fail_msg("%s: %s", g->dir, err.text);
    assert_int_equal(t.skipped, 0);
    return b;
}

static void span_case(struct golden *g) {
    struct yg_batch *b = decode_case(g);
    uint32_t row = 0;
    for (uint32_t i = 0; i < g->expect_count; i++) {
        if (!yg_str_eq_c(yg_json_get(g->expect[i], "kind")->str, "span"))
            continue;
        assert_true(row < b->row_count);
        check_span(g, row++, b, g->expect[i]);
    }
    assert_int_equal(row, b->row_count);
    yg_batch_destroy(b);
}

static void traces_v03(void **state) {
    (void)state;
    track = YG_TRACK_SPANS;
    decode_rows = yg_intake_traces_v04;
    golden_each("trace_v03", span_case);
}

static void traces_v04(void **state) {
    (void)state;
    track = YG_TRACK_SPANS;
    decode_rows = yg_intake_traces_v04;
    golden_each("trace_v04", span_case);
}

static void traces_v05(void **state) {
    (void)state;
    track = YG_TRACK_SPANS;
    decode_rows = yg_intake_traces_v05;
    golden_each("trace_v05", span_case);
}

static void traces_v07(void **state) {
    (void)state;
    track = YG_TRACK_SPANS;
    decode_rows = yg_intake_traces_v07;
    golden_each("trace_v07", span_case);
}

// ------------------------------------------------------------ logs

static bool same_scalar(const struct yg_batch *b, uint32_t row, yg_str name,
                        const struct yg_json_node *want) {
    struct yg_value v;
    switch (want->kind) {
    case YG_JSON_NULL:
        return true;
    case YG_JSON_BOOL:
        return row_value(b, row, name, YG_T_BOOL, &v) && (v.i64 != 0) == want->boolean;
    case YG_JSON_INT:
        return row_value(b, row, name, YG_T_I64, &v) && v.i64 == want->i64;
    case YG_JSON_DOUBLE:
        return row_value(b, row, name, YG_T_F64, &v) && v.f64 == want->f64;
    case YG_JSON_STRING:
        return row_value(b, row, name, YG_T_STR, &v) && yg_str_eq(v.str, want->str);
    default:
        return false;
    }
}

static void check_attributes(struct golden *g, uint32_t row, const struct yg_batch *b,
                             const char *prefix, const struct yg_json_node *want) {
    for (const struct yg_json_node *n = want->child; n != NULL; n = n->next) {
        char name[600];
        (void)snprintf(name, sizeof(name), "%s%.*s", prefix, YG_STR_FMT(n->key));
        if (n->kind == YG_JSON_OBJECT_BEGIN && n->count > 0) {
            char deeper[601];
            (void)snprintf(deeper, sizeof(deeper), "%s.", name);
            check_attributes(g, row, b, deeper, n);
        } else if (n->kind == YG_JSON_OBJECT_BEGIN || n->kind == YG_JSON_ARRAY_BEGIN) {
            if (!same_json(json_column(g, row, b, name), n))
                fail_msg("%s row %u: attribute %s", g->dir, row, name);
        } else if (!same_scalar(b, row, yg_str_c(name), n)) {
            fail_msg("%s row %u: attribute %s", g->dir, row, name);
        }
    }
}

static void log_case(struct golden *g) {
    struct yg_batch *b = decode_case(g);
    assert_int_equal(b->row_count, g->expect_count);
    for (uint32_t row = 0; row < b->row_count; row++) {
        const struct yg_json_node *e = g->expect[row];
        check_field(g, row, b, YG_COL_MESSAGE, e, "message");
        check_field(g, row, b, YG_COL_STATUS, e, "status");
        check_field(g, row, b, YG_COL_SERVICE, e, "service");
        check_field(g, row, b, YG_COL_HOST, e, "host");
        check_field(g, row, b, YG_COL_SOURCE, e, "source");
        check_tag_column(g, row, b, yg_json_get(e, "tags"));
        check_trace_id(g, row, b, yg_json_str_or(yg_json_get(e, "trace_id"), YG_STR("")));
        yg_str span = yg_json_str_or(yg_json_get(e, "span_id"), YG_STR(""));
        check_u64(g, row, b, YG_COL_SPAN_ID, span.len ? span : YG_STR("0"));
        int64_t ms = yg_json_i64_or(yg_json_get(e, "timestamp_ms"), GOLDEN_NOW_NS / YG_NS_PER_MS);
        assert_int_equal(row_i64(b, row, YG_COL_TIME) / YG_NS_PER_MS, ms);
        check_attributes(g, row, b, "@", yg_json_get(e, "attributes"));
    }
    yg_batch_destroy(b);
}

static void logs(void **state) {
    (void)state;
    track = YG_TRACK_LOGS;
    decode_rows = yg_intake_logs;
    golden_each("logs_v2", log_case);
}

// ------------------------------------------------------------ events and checks

static void check_event_time(uint32_t row, const struct yg_batch *b, const struct yg_json_node *e) {
    int64_t s = yg_json_i64_or(yg_json_get(e, "ts"), GOLDEN_NOW_NS / YG_NS_PER_S);
    assert_int_equal(row_i64(b, row, YG_COL_TIME) / YG_NS_PER_S, s);
}

static void check_event_row(struct golden *g, uint32_t row, const struct yg_batch *b,
                            const struct yg_json_node *e) {
    check_field(g, row, b, "@title", e, "title");
    check_field(g, row, b, YG_COL_MESSAGE, e, "text");
    check_field(g, row, b, YG_COL_HOST, e, "host");
    check_field(g, row, b, "@alert_type", e, "alert_type");
    check_field(g, row, b, "@priority", e, "priority");
    check_field(g, row, b, "@aggregation_key", e, "aggregation_key");
    check_field(g, row, b, YG_COL_SOURCE, e, "source_type_name");
    check_str(g, row, "kind", row_str(b, row, "@evt.kind"), YG_STR("event"));
    check_tag_column(g, row, b, yg_json_get(e, "tags"));
    check_event_time(row, b, e);
}

static void check_check_row(struct golden *g, uint32_t row, const struct yg_batch *b,
                            const struct yg_json_node *e) {
    static const char *const words[] = {"ok", "warning", "critical", "unknown"};
    check_field(g, row, b, "@check", e, "name");
    check_field(g, row, b, YG_COL_MESSAGE, e, "message");
    check_field(g, row, b, YG_COL_HOST, e, "host");
    check_str(g, row, "status", row_str(b, row, "status"),
              yg_str_c(words[yg_json_i64_or(yg_json_get(e, "status"), 0)]));
    check_str(g, row, "kind", row_str(b, row, "@evt.kind"), YG_STR("service_check"));
    check_tag_column(g, row, b, yg_json_get(e, "tags"));
    check_event_time(row, b, e);
}

static void checks_case(struct golden *g) {
    struct yg_batch *b = decode_case(g);
    assert_int_equal(b->row_count, g->expect_count);
    for (uint32_t row = 0; row < b->row_count; row++)
        check_check_row(g, row, b, g->expect[row]);
    yg_batch_destroy(b);
}

static void checks(void **state) {
    (void)state;
    track = YG_TRACK_EVENTS;
    decode_rows = yg_intake_checks;
    golden_each("check_run", checks_case);
}

static void event_case(struct golden *g) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_EVENTS, 1u << 20);
    struct yg_intake_tally t = {0};
    struct yg_intake_event event;
    assert_int_equal(yg_intake_event_v1(&g->in, b, &t, &event, NULL), YG_OK);
    assert_int_equal(b->row_count, 1);
    check_event_row(g, 0, b, g->expect[0]);
    assert_int_equal(row_i64(b, 0, "@evt.id"), event.id);
    assert_true(event.id > 0 && event.id < INT64_C(1) << 53);
    yg_batch_destroy(b);
}

static void events(void **state) {
    (void)state;
    golden_each("events_v1", event_case);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_v03), cmocka_unit_test(traces_v04), cmocka_unit_test(traces_v05),
        cmocka_unit_test(traces_v07), cmocka_unit_test(logs),       cmocka_unit_test(checks),
        cmocka_unit_test(events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
