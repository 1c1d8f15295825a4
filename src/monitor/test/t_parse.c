// SPDX-License-Identifier: Apache-2.0
// Definitions: what validates, what is refused with which text, what is taken out of a query.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/monitor.h"

static yg_rc parse(const char *type, const char *query, const char *options, struct yg_arena *arena,
                   struct yg_monitor_def **def, struct yg_err *err) {
    struct yg_monitor_record rec = {
        .type = yg_str_c(type), .query = yg_str_c(query), .options_json = yg_str_c(options)};
    return yg_monitor_parse(&rec, arena, def, err);
}

struct good {
    const char *type, *query, *options;
    enum yg_monitor_kind kind;
    bool multi;
};

static void queries_that_validate(void **state) {
    (void)state;
    static const struct good cases[] = {
        {"query alert", "avg(last_5m):sum:system.net.bytes_rcvd{host:host0} > 100", "{}",
         YG_MONITOR_METRIC, false},
        {"metric alert", "avg(last_1h):sum:system.net.bytes_rcvd{host:host0} > 200", "{}",
         YG_MONITOR_METRIC, false},
        {"query alert", "avg(last_1h):avg:aws.ec2.cpu{environment:foo,host:foo} by {host} > 2\n",
         "{\"thresholds\":{\"critical\":2,\"warning\":1}}", YG_MONITOR_METRIC, true},
        {"query alert", "avg(last_1h):avg:aws.ec2.cpu{environment:foo,host:foo} by {host} > 2.5",
         "{}", YG_MONITOR_METRIC, true},
        {"query alert",
         "change(min(last_1m),last_5m):sum:a.5xx{example,framework:chronos} + sum:a.4xx{example} > "
         "5",
         "{}", YG_MONITOR_METRIC, false},
        {"query alert", "pct_change(avg(last_5m),1h_ago):avg:x{*} < -50", "{}", YG_MONITOR_METRIC,
         false},
        {"metric alert", "avg(current_1mo):avg:system.load.5{*} > 0.5",
         "{\"scheduling_options\":{\"evaluation_window\":{\"day_starts\":\"04:00\",\"month_"
         "starts\":1}}}",
         YG_MONITOR_METRIC, false},
        {"query alert", "avg(current_1h):avg:system.load.5{*} > 0.5",
         "{\"scheduling_options\":{\"evaluation_window\":{\"hour_starts\":0,\"timezone\":\"Europe/"
         "Amsterdam\"}}}",
         YG_MONITOR_METRIC, false},
        {"query alert",
         "avg(last_5m):default_zero(sum:aws.lambda.errors{env:prod,service:x}) / "
         "default_zero(sum:aws.lambda.invocations{env:prod,service:x}) > 0.05",
         "{}", YG_MONITOR_METRIC, false},
        {"query alert", "sum(last_5m):sum:a.errors{*}.as_count() / sum:a.hits{*}.as_count() >= 0.1",
         "{}", YG_MONITOR_METRIC, false},
        {"query alert",
         "avg(last_1h):anomalies(avg:system.cpu.system{name:cassandra}, 'basic', 3, "
         "direction='above', "
         "alert_window='last_5m', interval=20, count_default_zero='true') >= 1",
         "{}", YG_MONITOR_STORED, false},
        {"query alert",
         "avg(last_30m):outliers(avg:system.cpu.user{role:es} by {host}, 'dbscan', 7) > 0", "{}",
         YG_MONITOR_STORED, true},
        {"service check", "\"ntp.in_sync\".by(\"*\").last(2).count_by_status()",
         "{\"thresholds\":{\"critical\":1,\"ok\":1,\"warning\":1}}", YG_MONITOR_STORED, true},
        {"composite", "243450659 || 243450660", "{}", YG_MONITOR_STORED, false},
        {"composite", "(1 || 2) && !(3 || 4)", "{}", YG_MONITOR_STORED, false},
        {"slo alert",
         "burn_rate(\"abc\").over(\"30d\").long_window(\"1h\").short_window(\"5m\") > 14.4", "{}",
         YG_MONITOR_STORED, false},
        {"log alert",
         "logs(\"service:foo AND "
         "type:error\").index(\"main\").rollup(\"count\").by(\"source,status\").last(\"5m\") > 2",
         "{\"notify_by\":[\"status\"],\"group_retention_duration\":\"2d\",\"no_data_timeframe\":"
         "null}",
         YG_MONITOR_EVENT, true},
        {"log alert", "formula(\"a / b * 100\").last(\"15m\") >= 0.8",
         "{\"variables\":[{\"data_source\":\"logs\",\"name\":\"a\",\"compute\":{\"aggregation\":"
         "\"count\"},\"search\":{\"query\":\"x\"}},"
         "{\"data_source\":\"logs\",\"name\":\"b\",\"compute\":{\"aggregation\":\"count\"},"
         "\"search\":{\"query\":\"\"},"
         "\"group_by\":[{\"facet\":\"service\"}]}]}",
         YG_MONITOR_FORMULA, true},
        {"rum alert", "rum(\"*\").rollup(\"count\").last(\"5m\") > 1", "{}", YG_MONITOR_STORED,
         false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 8 << 20);
        struct yg_err err = {0};
        struct yg_monitor_def *def;
        if (parse(cases[i].type, cases[i].query, cases[i].options, arena, &def, &err) != YG_OK)
            fail_msg("%s: %s", cases[i].query, err.text);
        if (def->kind != cases[i].kind || def->multi != cases[i].multi)
            fail_msg("%s: kind %d, multi %d", cases[i].query, def->kind, def->multi);
        assert_true((def->kind == YG_MONITOR_STORED) == (def->why_not != NULL));
    }
}

#define BAD "The value provided for parameter 'query' is invalid"

static void queries_that_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *type, *query, *options, *text; // text NULL: any
    } cases[] = {
        {"log alert", "query", "{}", BAD ": invalid operator specified: "},
        {"metric alert", "THIS IS A BAD QUERY", "{}", BAD},
        {"query alert", "logs(\"*\").index(\"*\").rollup(\"count\").last(\"5m\") > 2", "{}", BAD},
        {"query alert", "avg(last_5m):avg:x{*} > 200", "{\"thresholds\":{\"critical\":90}}",
         "Alert threshold (90.0) does not match that used in the query (200.0)."},
        {"query alert", "avg(last_5m):avg:x{*} > 200", "{\"thresholds\":{\"warning\":90}}",
         "Alert status is required."},
        {"query alert", "avg(last_5m):avg:x{*} > 2", "{\"thresholds\":{\"critical\":\"two\"}}",
         "Non-numeric threshold value."},
        {"log alert", "logs(\"*\").rollup(\"count\").last(\"5m\") > 2",
         "{\"thresholds\":{\"critical\":2,\"ok\":1}}", "Non-numeric threshold value."},
        {"query alert", "avg(last_0m):avg:x{*} > 1", "{}", BAD},
        {"query alert", "avg(last_5m)avg:x{*} > 1", "{}", BAD},
        {"query alert", "avg(last_5m):avg:x{*}", "{}", BAD},
        {"query alert", "median(last_5m):avg:x{*} > 1", "{}", BAD},
        {"query alert", "avg(last_5m):avg:x > 1", "{}", BAD},
        {"query alert", "avg(last_5m):avg:x{*} ~ 1", "{}", BAD},
        {"query alert", "avg(last_5m):avg:x{*},avg:y{*} > 1", "{}", BAD},
        {"query alert", "", "{}", BAD},
        {"query alert", ":", "{}", BAD},
        {"query alert", "> 1", "{}", BAD},
        {"query alert", "):( > 1", "{}", BAD},
        {"query alert", "change(avg(last_5m)):avg:x{*} > 1", "{}", BAD},
        {"composite", "1 && ", "{}", BAD},
        {"composite", "1 & 2", "{}", BAD},
        {"composite", "1||2||3||4||5||6||7||8||9||10||11", "{}", BAD},
        {"no such alert", "avg(last_5m):avg:x{*} > 1", "{}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2",
         "{\"thresholds\":{\"critical\":2,\"warning\":3}}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} < 2",
         "{\"thresholds\":{\"critical\":2,\"warning\":1}}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2",
         "{\"thresholds\":{\"critical\":2,\"critical_recovery\":3}}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2",
         "{\"thresholds\":{\"critical\":2,\"warning\":1,\"warning_recovery\":1.5}}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2", "{\"evaluation_delay\":-1}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2", "{\"evaluation_delay\":86401}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2", "{\"renotify_occurrences\":3}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2", "{\"notify_no_data\":\"yes\"}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} by {host} > 2", "{\"notify_by\":[\"az\"]}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2", "{\"on_missing_data\":\"shrug\"}", NULL},
        {"query alert", "avg(last_5m):avg:x{*} > 2", "{\"group_retention_duration\":\"5m\"}", NULL},
        {"log alert", "formula(\"a\").last(\"5m\") > 1", "{\"variables\":[]}", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 8 << 20);
        struct yg_err err = {0};
        struct yg_monitor_def *def;
        yg_rc rc = parse(cases[i].type, cases[i].query, cases[i].options, arena, &def, &err);
        if (rc != YG_EINPUT)
            fail_msg("%s %s: %s", cases[i].query, cases[i].options, yg_rc_name(rc));
        if (cases[i].text && strcmp(err.text, cases[i].text) != 0)
            fail_msg("%s: got \"%s\"", cases[i].query, err.text);
    }
}

static void scope_tags_are_those_of_every_part(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 8 << 20);
    struct yg_err err = {0};
    struct yg_monitor_def *def;
    assert_int_equal(parse("query alert",
                           "avg(last_5m):sum:a{env:prod,service:x,a:b*} by {host} / "
                           "sum:b{service:x,!c:d} by {host} > 1",
                           "{}", arena, &def, &err),
                     YG_OK);
    assert_int_equal(def->scope_count, 1);
    assert_true(yg_str_eq_c(def->scope[0].key, "service"));
    assert_true(yg_str_eq_c(def->scope[0].value, "x"));
    assert_int_equal(
        parse("log alert",
              "logs(\"service:web -status:ok error\").rollup(\"count\").last(\"5m\") > 1", "{}",
              arena, &def, &err),
        YG_OK);
    assert_int_equal(def->scope_count, 1);
    assert_true(yg_str_eq_c(def->scope[0].value, "web"));
}

static void default_name(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 8 << 20);
    struct yg_err err = {0};
    struct yg_monitor_def *def;
    assert_int_equal(parse("metric alert",
                           "avg(last_1h):sum:system.net.bytes_rcvd{host:host0} > 100", "{}", arena,
                           &def, &err),
                     YG_OK);
    assert_string_equal(yg_arena_cstr(arena, yg_monitor_default_name(def, arena)),
                        "**system.net.bytes_rcvd** over **host:host0** was **> 100.0** on average "
                        "during the **last 1h**.");
}

static void options_are_read(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 8 << 20);
    struct yg_err err = {0};
    struct yg_monitor_def *def;
    assert_int_equal(
        parse("query alert", "max(last_10m):avg:x{*} by {host,az} <= -1.5e3",
              "{\"thresholds\":{\"critical\":-1500,\"warning\":-1000,\"critical_recovery\":null},"
              "\"evaluation_delay\":300,\"notify_no_data\":true,\"no_data_timeframe\":20,"
              "\"renotify_interval\":60,\"renotify_statuses\":[\"warn\"],\"new_host_delay\":300,"
              "\"notify_by\":[\"az\"],\"include_tags\":false,\"timeout_h\":1}",
              arena, &def, &err),
        YG_OK);
    assert_int_equal(def->op, YG_CMP_LE);
    assert_true(def->critical.set && def->critical.value < -1499 && !def->critical_recovery.set);
    assert_int_equal(def->delay_ns, 300 * YG_NS_PER_S);
    assert_int_equal(def->no_data_ns, 1200 * YG_NS_PER_S);
    assert_int_equal(def->renotify_states, 1u << YG_STATE_WARN);
    assert_int_equal(def->new_group_ns, 300 * YG_NS_PER_S); // grouped by host
    assert_int_equal(def->notify_by_count, 1);
    assert_false(def->include_tags);
    assert_int_equal(parse("query alert", "avg(last_5m):avg:x{*} by {host} > 1",
                           "{\"notify_by\":[\"*\"]}", arena, &def, &err),
                     YG_OK);
    assert_true(def->simple);
    assert_int_equal(def->no_data_ns, 600 * YG_NS_PER_S); // twice the window
    assert_true(def->include_tags);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_that_validate), cmocka_unit_test(queries_that_are_refused),
        cmocka_unit_test(scope_tags_are_those_of_every_part), cmocka_unit_test(default_name),
        cmocka_unit_test(options_are_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
