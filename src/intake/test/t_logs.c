// SPDX-License-Identifier: Apache-2.0
// Logs: status words, times, ids, which path wins, opened messages, limits.
#include "intake/test/golden.h"

#include "intake/log_fields.h"

static struct yg_intake_tally tally;
static struct yg_err failure;

static struct yg_batch *decode_form(yg_str body, enum yg_intake_form form) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 64u << 20);
    struct yg_intake_in in = {.body = body, .form = form, .now_ns = GOLDEN_NOW_NS};
    tally = (struct yg_intake_tally){0};
    failure = (struct yg_err){0};
    if (yg_intake_logs(&in, b, &tally, &failure) != YG_OK) {
        yg_batch_destroy(b);
        return NULL;
    }
    return b;
}

static struct yg_batch *decode(const char *json) {
    return decode_form(yg_str_c(json), YG_FORM_JSON);
}

static void expect(const struct yg_batch *b, uint32_t row, const char *column, const char *want) {
    yg_str got = row_str(b, row, column);
    if (!yg_str_eq_c(got, want))
        fail_msg("%s is \"%.*s\", wanted \"%s\"", column, YG_STR_FMT(got), want);
}

static void status_words(void **state) {
    (void)state;
    const char *cases[][2] = {
        {"\"emerg\"", "emergency"},
        {"\"FATAL\"", "emergency"},
        {"\"Alert\"", "alert"},
        {"\"crit\"", "critical"},
        {"\"ERR\"", "error"},
        {"\"Warning\"", "warn"},
        {"\"notice\"", "notice"},
        {"\"information\"", "info"},
        {"\"debug\"", "debug"},
        {"\"trace\"", "debug"},
        {"\"verbose\"", "debug"},
        {"\"success\"", "ok"},
        {"\"OK\"", "ok"},
        {"3", "error"},
        {"\"7\"", "debug"},
        {"0", "emergency"},
        {"\"???\"", "info"},
        {"\"\"", "info"},
        {"null", "info"},
        {"true", "info"},
        {"200", "info"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[100];
        (void)snprintf(json, sizeof(json), "{\"message\":\"m\",\"level\":%s}", cases[i][0]);
        struct yg_batch *b = decode(json);
        assert_non_null(b);
        expect(b, 0, "status", cases[i][1]);
        yg_batch_destroy(b);
    }
    struct yg_batch *b = decode("{\"message\":\"m\",\"status\":404}"); // no severity: kept as it is
    assert_int_equal(row_i64(b, 0, "@status"), 404);
    expect(b, 0, "status", "info");
    yg_batch_destroy(b);
}

static void times(void **state) {
    (void)state;
    const struct {
        const char *json;
        int64_t ns;
    } cases[] = {
        {"{\"timestamp\":1790000000}", INT64_C(1790000000000000000)},
        {"{\"timestamp\":1790000000123}", INT64_C(1790000000123000000)},
        {"{\"timestamp\":\"1790000000123\"}", INT64_C(1790000000123000000)},
        {"{\"date\":\"1790000000\"}", INT64_C(1790000000000000000)},
        {"{\"@timestamp\":\"2026-09-21T14:13:20.5Z\"}", INT64_C(1790000000500000000)},
        {"{\"eventTime\":\"2026-09-21T16:13:20+02:00\"}", INT64_C(1790000000000000000)},
        {"{\"published_date\":1790000000123456}", INT64_C(1790000000123456000)},
        {"{\"_timestamp\":1790000000123456789}", INT64_C(1790000000123456789)},
        {"{\"timestamp\":1790000000.25}", INT64_C(1790000000250000000)},
        {"{\"timestamp\":\"yesterday\",\"date\":1790000000}", INT64_C(1790000000000000000)},
        {"{\"timestamp\":\"yesterday\"}", GOLDEN_NOW_NS},
        {"{\"timestamp\":-5}", GOLDEN_NOW_NS},
        {"{\"timestamp\":{\"a\":1}}", GOLDEN_NOW_NS},
        {"{\"x\":1}", GOLDEN_NOW_NS},
        {"{\"date\":1780000000,\"timestamp\":1790000000}", INT64_C(1790000000000000000)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yg_batch *b = decode(cases[i].json);
        assert_non_null(b);
        assert_int_equal(row_i64(b, 0, "timestamp"), cases[i].ns);
        yg_batch_destroy(b);
    }
    struct yg_batch *b = decode("{\"timestamp\":\"yesterday\"}");
    expect(b, 0, "@timestamp", "yesterday"); // what is no time stays an attribute
    yg_batch_destroy(b);
}

static void ids(void **state) {
    (void)state;
    const struct {
        const char *json, *trace;
        int64_t span;
    } cases[] = {
        {"{\"dd\":{\"trace_id\":\"66f00000000000001122334455667788\",\"span_id\":\"9\"}}",
         "66f00000000000001122334455667788", 9},
        {"{\"dd.trace_id\":\"1234567890123456789\",\"dd.span_id\":\"42\"}",
         "0000000000000000112210f47de98115", 42},
        {"{\"trace_id\":18446744073709551615}", "0000000000000000ffffffffffffffff", 0},
        {"{\"trace_id\":\"00F067AA0BA902B7\",\"span_id\":\"00f067aa0ba902b7\"}",
         "000000000000000000f067aa0ba902b7", INT64_C(0x00f067aa0ba902b7)},
        {"{\"contextMap\":{\"dd.trace_id\":\"7\"}}", "00000000000000000000000000000007", 0},
        {"{\"message\":\"[dd.service=x dd.trace_id=77 dd.span_id=78] hello\"}",
         "0000000000000000000000000000004d", 78},
        {"{\"trace_id\":\"1\",\"dd.trace_id\":\"2\"}", "00000000000000000000000000000002", 0},
        {"{\"trace_id\":\"0\"}", "", 0},
        {"{\"trace_id\":\"not an id\"}", "", 0},
        {"{\"message\":\"dd.trace_id=\"}", "", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yg_batch *b = decode(cases[i].json);
        struct yg_value v;
        char text[33] = "";
        if (row_value(b, 0, YG_STR("trace_id"), YG_T_ID, &v))
            yg_id128_hex(v.id, text);
        assert_string_equal(text, cases[i].trace);
        assert_int_equal(row_i64(b, 0, "span_id"), cases[i].span);
        yg_batch_destroy(b);
    }
}

static void which_path_wins(void **state) {
    (void)state;
    struct yg_batch *b = decode(
        "{\"level\":\"error\",\"status\":\"warn\",\"msg\":\"b\",\"message\":\"a\",\"host\":\"h2\","
        "\"hostname\":\"h1\",\"source\":\"s2\",\"ddsource\":\"s1\",\"syslog\":{\"appname\":\"app\"}"
        ","
        "\"service\":\"\"}");
    expect(b, 0, "status", "warn");
    expect(b, 0, "@level", "error");
    expect(b, 0, "message", "a");
    expect(b, 0, "@msg", "b");
    expect(b, 0, "host", "h1");
    expect(b, 0, "@host", "h2");
    expect(b, 0, "source", "s1");
    expect(b, 0, "service", "app");
    yg_batch_destroy(b);
}

static void query_defaults(void **state) {
    (void)state;
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 1u << 20);
    struct yg_intake_in in = {
        .body = YG_STR("[{\"message\":\"m\",\"service\":\"own\",\"ddtags\":\"a:1, b:2,,\"},\"x\"]"),
        .form = YG_FORM_JSON,
        .now_ns = 1,
        .service = YG_STR("q"),
        .hostname = YG_STR("h"),
        .ddsource = YG_STR("s"),
        .ddtags = YG_STR("c:3")};
    tally = (struct yg_intake_tally){0};
    assert_int_equal(yg_intake_logs(&in, b, &tally, NULL), YG_OK);
    expect(b, 0, "service", "own");
    expect(b, 0, "tags", "a:1,b:2,c:3");
    expect(b, 1, "service", "q");
    expect(b, 1, "host", "h");
    expect(b, 1, "source", "s");
    expect(b, 1, "tags", "c:3");
    yg_batch_destroy(b);
}

static void opened_messages(void **state) {
    (void)state;
    struct yg_batch *b = decode(
        "[{\"message\":\"{\\\"level\\\":\\\"error\\\",\\\"message\\\":\\\"inner\\\",\\\"code\\\":7}"
        "\","
        "\"status\":\"info\",\"service\":\"web\"},"
        "{\"message\":{\"message\":\"{\\\"msg\\\":\\\"deep\\\"}\",\"lambda\":{\"arn\":\"a\"},"
        "\"status\":\"warn\"},\"status\":\"info\"},"
        "{\"message\":\"{\\\"event\\\":\\\"no text\\\"}\"},"
        "{\"message\":\"{broken\"},{\"message\":\"{\\\"a\\\":1} "
        "tail\"},{\"log\":\"{\\\"a\\\":5}\"}]");
    assert_int_equal(b->row_count, 6);
    expect(b, 0, "message", "inner");
    expect(b, 0, "status", "error");
    expect(b, 0, "service", "web");
    assert_int_equal(row_i64(b, 0, "@code"), 7);
    expect(b, 1, "message", "deep");
    expect(b, 1, "status", "warn");
    expect(b, 1, "@lambda.arn", "a");
    expect(b, 2, "message", "{\"event\":\"no text\"}"); // nothing better to show
    expect(b, 2, "@event", "no text");
    expect(b, 3, "message", "{broken");
    expect(b, 4, "message", "{\"a\":1} tail");
    assert_int_equal(row_i64(b, 5, "@a"), 5);
    yg_batch_destroy(b);
}

static void flattening(void **state) {
    (void)state;
    struct yg_batch *b =
        decode("{\"a\":{\"b\":{\"c\":1,\"d\":[1, {\"x\":null}],\"e\":{}}},\"n\":null,"
               "\"f\":1.5,\"t\":true,\"big\":18446744073709551615,\"\":1,"
               "\"tags\":{\"k\":\"v\"},\"dup\":1,\"dup\":\"two\"}");
    struct yg_value v;
    assert_int_equal(row_i64(b, 0, "@a.b.c"), 1);
    assert_true(row_value(b, 0, YG_STR("@a.b.d"), YG_T_JSON, &v));
    assert_true(yg_str_eq_c(v.str, "[1, {\"x\":null}]"));
    assert_true(row_value(b, 0, YG_STR("@a.b.e"), YG_T_JSON, &v));
    assert_true(row_value(b, 0, YG_STR("@f"), YG_T_F64, &v) && v.f64 == 1.5);
    assert_true(row_value(b, 0, YG_STR("@t"), YG_T_BOOL, &v) && v.i64 == 1);
    assert_true(row_value(b, 0, YG_STR("@big"), YG_T_F64, &v));
    assert_null(yg_batch_find(b, YG_STR("@n"), YG_T_STR));
    expect(b, 0, "@tags.k", "v");
    expect(b, 0, "@dup", "two");
    yg_batch_destroy(b);
}

static void what_is_no_log(void **state) {
    (void)state;
    struct yg_batch *b = decode("[{\"message\":\"good\"},5,null,[],\"\",{\"message\":\"also\"}]");
    assert_int_equal(b->row_count, 2);
    assert_int_equal(tally.taken, 2);
    assert_int_equal(tally.skipped, 4);
    assert_string_equal(tally.first_skipped, "[1] at byte 20: a log must be an object or a string");
    yg_batch_destroy(b);
    b = decode("[]");
    assert_int_equal(tally.skipped + tally.taken, 0);
    yg_batch_destroy(b);
    b = decode(" {} ");
    assert_int_equal(b->row_count, 0);
    assert_int_equal(tally.taken, 1);
    yg_batch_destroy(b);
    b = decode("17");
    assert_int_equal(tally.skipped, 1);
    yg_batch_destroy(b);
    const char *bad[][2] = {{"[{\"message\":\"a\"},]", "17"},
                            {"{\"message\":tru}", "11"},
                            {"not json", "0"},
                            {"{\"a\":1} x", "8"},
                            {"", "0"},
                            {"[{\"message\":\"a\"}", "16"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(decode(bad[i][0]));
        assert_int_equal(failure.rc, YG_EINPUT);
        char want[40];
        (void)snprintf(want, sizeof(want), "JSON at byte %s:", bad[i][1]);
        assert_int_equal(strncmp(failure.text, want, strlen(want)), 0);
    }
}

static void text_lines(void **state) {
    (void)state;
    struct yg_batch *b = decode_form(YG_STR("one\r\n\n{\"message\":\"two\",\"n\":2}\nthr\xff"
                                            "ee"),
                                     YG_FORM_TEXT);
    assert_int_equal(b->row_count, 3);
    expect(b, 0, "message", "one");
    expect(b, 1, "message", "two");
    assert_int_equal(row_i64(b, 1, "@n"), 2);
    expect(b, 2, "message",
           "thr\xef\xbf\xbd"
           "ee");
    yg_batch_destroy(b);
}

static void long_values_are_cut(void **state) {
    (void)state;
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, 8u << 20);
    yg_buf_puts(&body, YG_STR("{\"message\":\""));
    for (int i = 0; i < 1048575; i++)
        yg_buf_putc(&body, 'x');
    yg_buf_puts(&body, YG_STR("\xc3\xa9 and more\"}")); // é lies across the border
    struct yg_batch *b = decode_form(yg_buf_str(&body), YG_FORM_JSON);
    yg_str message = row_str(b, 0, "message");
    assert_int_equal(message.len, 1048575);
    yg_batch_destroy(b);
}

static void too_many_attributes(void **state) {
    (void)state;
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, 8u << 20);
    yg_buf_puts(&body, YG_STR("[{\"message\":\"first\""));
    for (int i = 0; i < 5000; i++)
        yg_buf_printf(&body, ",\"key%d\":%d", i, i);
    yg_buf_puts(&body, YG_STR("},{\"message\":\"second\",\"key1\":7,\"service\":\"web\","
                              "\"hostname\":\"h\",\"ddsource\":\"s\",\"ddtags\":\"a:b\","
                              "\"dd.trace_id\":\"5\",\"dd.span_id\":\"6\"}]"));
    struct yg_batch *b = decode_form(yg_buf_str(&body), YG_FORM_JSON);
    assert_int_equal(b->row_count, 2); // rows stay, values beyond the limit are counted
    expect(b, 1, "message", "second");
    expect(b, 1, "service", "web"); // and a row's own fields have room
    assert_int_equal(row_i64(b, 1, "@key1"), 7);
    assert_true(tally.dropped_values >= 1000 && tally.dropped_values < 1100);
    yg_batch_destroy(b);
}

static void deep_nesting(void **state) {
    (void)state;
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, 8u << 20);
    for (int i = 0; i < 100; i++)
        yg_buf_puts(&body, YG_STR("{\"a\":"));
    yg_buf_puts(&body, YG_STR("1"));
    for (int i = 0; i < 100; i++)
        yg_buf_puts(&body, YG_STR("}"));
    struct yg_batch *b = decode_form(yg_buf_str(&body), YG_FORM_JSON);
    assert_non_null(b); // below some depth it is one JSON column
    uint32_t json_columns = 0;
    for (uint32_t i = 0; i < b->col_count; i++)
        json_columns += b->cols[i].type == YG_T_JSON;
    assert_int_equal(json_columns, 1);
    yg_batch_destroy(b);
    yg_buf_reset(&body);
    for (int i = 0; i < 100000; i++)
        yg_buf_puts(&body, YG_STR("{\"a\":"));
    assert_null(decode_form(yg_buf_str(&body), YG_FORM_JSON));
    assert_int_equal(failure.rc, YG_EINPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_words),
        cmocka_unit_test(times),
        cmocka_unit_test(ids),
        cmocka_unit_test(which_path_wins),
        cmocka_unit_test(query_defaults),
        cmocka_unit_test(opened_messages),
        cmocka_unit_test(flattening),
        cmocka_unit_test(what_is_no_log),
        cmocka_unit_test(text_lines),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(too_many_attributes),
        cmocka_unit_test(deep_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
