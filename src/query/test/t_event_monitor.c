// SPDX-License-Identifier: Apache-2.0
// Event monitor queries: the recorded ones parse, the refused ones are refused with the recorded
// text; times.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/query.h"

static struct yg_arena *arena;
static struct yg_err err;

static int setup(void **state) {
    (void)state;
    arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    return arena == NULL;
}
static int teardown(void **state) {
    (void)state;
    yg_arena_destroy(arena);
    return 0;
}

static struct yg_event_monitor *parse(const char *text) {
    struct yg_event_monitor *m = NULL;
    err = (struct yg_err){0};
    if (yg_event_monitor_parse(yg_str_c(text), arena, &m, &err) != YG_OK)
        fail_msg("%s: %s", text, err.text);
    return m;
}

static void test_recorded_queries(void **state) {
    (void)state;
    static const char *const queries[] = {
        "logs(\"service:foo AND "
        "type:error\").index(\"main\").rollup(\"count\").by(\"source\").last(\"5m\") > 2",
        "logs(\"service:foo AND "
        "type:error\").index(\"main\").rollup(\"count\").by(\"source,status\").last(\"5m\") > 2",
        "ci-pipelines(\"ci_level:pipeline @git.branch:staging* "
        "@ci.status:error\").rollup(\"count\")"
        ".by(\"@git.branch,@ci.pipeline.name\").last(\"5m\") >= 1",
        "ci-tests(\"type:test @git.branch:staging* "
        "@test.status:fail\").rollup(\"count\").by(\"@test.name\").last(\"5m\") >= 1",
        "error-tracking-rum(\"service:foo AND "
        "@error.source:source\").rollup(\"count\").by(\"@issue.id\").last(\"1h\") >= 1",
        "llm-observability(\"*\").rollup(\"count\").last(\"2h\") > 0",
        "formula(\"query1 / query2 * 100\").last(\"15m\") >= 0.8",
        "formula(\"query2 / query1 * 100\").last(\"15m\") >= 0.8",
        "formula(\"var1 + var2\").last(\"5m\") > 100",
        "formula(\"query1\").rollup(\"sum\").last(\"5m\") > 124",
        "formula(\"exclude_null(query1)\").last(\"7d\").anomaly(direction=\"above\", threshold=10) "
        ">= 5",
        "formula(\"query1\").last(\"30d\").anomaly(direction=\"both\") > 6",
        "formula(\"failed_runs(run_query)\").by(job_name,workspace_name).last(10d) > 0",
        "formula(\"failed_runs(run_query)\").by(job_name).last(1h) > 0",
        "formula(\"query1\").last(\"30m\") > 1000",
        "events(\"source:x\").rollup(\"count\").last(\"1h\") > 5",
        "audits(\"*\").rollup(\"count\").last(\"5m\") > 10",
        "trace-analytics(\"env:prod\").rollup(\"count\").by(\"service\").last(\"5m\") > 100",
        "error-tracking(\"*\").source(\"backend\").new().rollup(\"count\").by(\"@issue.id\").last("
        "\"1d\") > 0",
        "error-tracking(\"*\").source(\"all\").impact().rollup(\"count\").by(\"@issue.id\").last("
        "\"1d\") > 5",
        "logs('*').index('main').rollup('count').last('5m') >= 10000",
    };
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
        assert_non_null(parse(queries[i]));
}

static void test_parts(void **state) {
    (void)state;
    struct yg_event_monitor *m = parse(
        "logs(\"service:\\\"a b\\\" status:error\").index(\"main\", \"other\")"
        ".rollup(\"pc95\", \"@duration\").by(\"source, @http.status_code\").last(\"5m\") <= -1.5");
    assert_true(yg_str_eq_c(m->source, "logs") && m->has_track && m->track == YG_TRACK_LOGS);
    assert_true(yg_str_eq_c(m->search, "service:\"a b\" status:error"));
    assert_non_null(m->filter);
    assert_int_equal(m->index_count, 2);
    assert_true(yg_str_eq_c(m->indexes[1], "other"));
    assert_true(yg_str_eq_c(m->method, "pc95") && yg_str_eq_c(m->measure, "@duration"));
    assert_int_equal(m->compute.agg, YG_AGG_PERCENTILE);
    assert_int_equal(m->by_count, 2);
    assert_true(yg_str_eq_c(m->by[1], "@http.status_code"));
    assert_int_equal(m->window_ns, 300 * YG_NS_PER_S);
    assert_int_equal(m->op, YG_CMP_LE);
    assert_true(m->threshold == -1.5 && yg_str_eq_c(m->threshold_text, "-1.5"));
    m = parse("formula(\"failed_runs(q)\").by(job_name,workspace_name).last(10d) > 0");
    assert_true(m->is_formula && !m->has_track && m->by_count == 2);
    assert_int_equal(m->window_ns, 864000 * YG_NS_PER_S);
    m = parse("error-tracking(\"*\").source(\"backend\").new().rollup(\"count\").last(\"1d\") > 0");
    assert_true(!m->has_track && m->call_count == 2 && yg_str_eq_c(m->calls[1], "new"));
}

static void expect_refused(const char *text, const char *want) {
    struct yg_event_monitor *m = NULL;
    err = (struct yg_err){0};
    assert_int_equal(yg_event_monitor_parse(yg_str_c(text), arena, &m, &err), YG_EINPUT);
    if (strncmp(err.text, want, strlen(want)) != 0)
        fail_msg("%s: %s", text, err.text);
}

static void test_refused(void **state) {
    (void)state;
    const char *op =
        "The value provided for parameter 'query' is invalid: invalid operator specified: ";
    const char *invalid = "The value provided for parameter 'query' is invalid";
    expect_refused("query", op);
    expect_refused("", op);
    expect_refused("log(\"x\").last(\"10m\") > 40", op);
    expect_refused("logs(\"x\").last(\"10m\")", op);
    expect_refused("logs(\"x\").last(\"10m\") ~ 4", op);
    expect_refused("logs(\"x\").last(\"3d\") > 1", invalid);
    expect_refused("logs(\"x\").last(\"5x\") > 1", invalid);
    expect_refused("logs(\"x\").last(\"0m\") > 1", invalid);
    expect_refused("logs(\"x\") > 1", invalid);
    expect_refused("logs(\"x\").rollup(\"p42\").last(\"5m\") > 1", invalid);
    expect_refused("logs(\"x\").rollup(\"avg\").last(\"5m\") > 1", invalid);
    expect_refused("logs(\"x\").by(\"\").last(\"5m\") > 1", invalid);
    expect_refused("logs(\"x\").last(\"5m\") > abc", invalid);
    expect_refused("logs(\"x\").last(\"5m\") > 1 2", invalid);
    expect_refused("logs(\"(x\").last(\"5m\") > 1", invalid);
    expect_refused("logs(\"x).last(5m) > 1", invalid);
    expect_refused("logs(\"x\").nosuch().last(\"5m\") > 1", invalid);
    expect_refused("formula(\"\").last(\"5m\") > 1", invalid);
    expect_refused("formula(\"a\").last(\"32d\") > 1", invalid);
}

static void test_compare(void **state) {
    (void)state;
    assert_true(yg_compare_holds(YG_CMP_GE, 2, 2) && !yg_compare_holds(YG_CMP_GT, 2, 2));
    assert_true(yg_compare_holds(YG_CMP_LE, 2, 2) && !yg_compare_holds(YG_CMP_LT, 2, 2));
    assert_true(yg_compare_holds(YG_CMP_EQ, 2, 2) && yg_compare_holds(YG_CMP_NE, 1, 2));
    assert_string_equal(yg_compare_text(YG_CMP_NE), "!=");
}

static void test_times(void **state) {
    (void)state;
    const int64_t now = INT64_C(1600000000123456789), s = YG_NS_PER_S; // 2020-09-13T12:26:40
    static const struct {
        const char *text;
        int64_t want; // relative to now when small
    } rows[] = {
        {"now", 0},          {"now-15m", -900},   {"now-30s", -30},        {"now+1h", 3600},
        {"now-2d", -172800}, {"now-1w", -604800}, {"now-1M", -31 * 86400}, {"now-1y", -366 * 86400},
    };
    int64_t got;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(yg_query_time_parse(yg_str_c(rows[i].text), now, &got));
        assert_int_equal(got, now + rows[i].want * s);
    }
    assert_true(yg_query_time_parse(YG_STR("1688034751000"), now, &got));
    assert_int_equal(got, INT64_C(1688034751000000000));
    assert_true(yg_query_time_parse(YG_STR("1688034751000000001"), now, &got));
    assert_int_equal(got, INT64_C(1688034751000000001));
    assert_true(yg_query_time_parse(YG_STR("2020-09-17T11:48:36+01:00"), now, &got));
    assert_int_equal(got, INT64_C(1600339716000000000));
    static const char *const bad[] = {"",       "now-",    "now-m",     "now-5",
                                      "now-5x", "now--5m", "yesterday", "now-99999999999y"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(yg_query_time_parse(yg_str_c(bad[i]), now, &got));
    assert_true(yg_interval_parse(YG_STR("5m"), &got) && got == 300 * s);
    assert_true(yg_interval_parse(YG_STR("5000"), &got) && got == 5 * s);
    assert_true(yg_interval_parse(YG_STR("1w"), &got) && got == 604800 * s);
    assert_false(yg_interval_parse(YG_STR("0s"), &got));
    assert_false(yg_interval_parse(YG_STR("m"), &got));
    assert_false(yg_interval_parse(YG_STR("-5m"), &got));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_queries),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
