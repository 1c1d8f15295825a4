// SPDX-License-Identifier: Apache-2.0
// Vendor-shaped links and where they lead; what is no such link stays where it is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/ui.h"

static void table(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"/apm/services", "/services"},
        {"/apm/map", "/map"},
        {"/apm/traces?query=service%3Aa%20env%3Ab&from_ts=1&to_ts=2",
         "/traces?q=service%3Aa%20env%3Ab&from=1&to=2"},
        {"/apm/trace/64c1a2?spanID=7", "/trace/64c1a2?spanID=7"},
        {"/logs?query=status%3Aerror&from_ts=1770000000000&to_ts=1770000900000&live=true",
         "/logs?q=status%3Aerror&from=1770000000000&to=1770000900000&live=true"},
        {"/logs/livetail?query=x", "/logs/live?q=x"},
        {"/metric/explorer?query=avg", "/metrics?q=avg"},
        {"/metric/summary", "/metrics"},
        {"/monitors/manage?query=x", "/monitors?q=x"},
        {"/slo?slo_id=abc&from_ts=5", "/slos/abc?from=5"},
        {"/slo", "/slos"},
        {"/slo/manage", "/slos"},
        {"/apm/error-tracking", "/errors"},
        {"/apm/error-tracking/issue/12-34", "/errors/12-34"},
        {"/profiling/explorer", "/profiles"},
        {"/profiling/comparison", "/profiles/compare"},
        {"/security", "/security/signals"},
        {"/security/appsec", "/security/attacks"},
        {"/ci/pipeline-executions", "/ci/pipelines"},
        {"/ci/test-runs", "/ci/tests"},
        {"/billing/usage", "/usage"},
        {"/organization-settings/api-keys", "/settings/api-keys"},
        {"/organization-settings/a/b", "/settings/a/b"},
        {"/apm/trace/a b\"<", "/trace/a%20b%22%3C"},
        {"/logs", NULL},
        {"/logs?q=a&from=now-1h", NULL},
        {"/traces", NULL},
        {"/apm/trace/", NULL},
        {"/apm/trace/a/b", NULL},
        {"/monitors/12", NULL},
        {"/dashboard/abc/slug", NULL},
        {"//evil.example/?query=x", NULL}, // never leads away from here
    };
    struct yg_buf out = YG_BUF(YG_MEM_QUERY, 4096);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        yg_str from = yg_str_c(cases[i][0]);
        size_t mark = yg_str_find_char(from, '?', 0);
        yg_str path = mark == SIZE_MAX ? from : yg_str_sub(from, 0, mark);
        yg_str query = mark == SIZE_MAX ? (yg_str){0} : yg_str_sub(from, mark + 1, from.len);
        bool found = yg_ui_alias(path, query, &out);
        if (found != (cases[i][1] != NULL))
            fail_msg("%s: %s", cases[i][0], found ? "is an alias" : "is none");
        if (found && !yg_str_eq_c(yg_buf_str(&out), cases[i][1]))
            fail_msg("%s leads to %.*s", cases[i][0], YG_STR_FMT(yg_buf_str(&out)));
    }
    yg_buf_fini(&out);
}

static void kinds_of_intake_paths(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum yg_received_kind kind;
    } cases[] = {
        {"/v0.4/traces", YG_RECEIVED_TRACES},
        {"/v0.7/traces", YG_RECEIVED_TRACES},
        {"/v0.6/stats", YG_RECEIVED_STATS},
        {"/v0.7/config", YG_RECEIVED_COUNT},
        {"/api/v2/logs", YG_RECEIVED_LOGS},
        {"/v1/input/abc", YG_RECEIVED_LOGS},
        {"/api/v1/series", YG_RECEIVED_METRICS},
        {"/api/v2/series", YG_RECEIVED_METRICS},
        {"/api/v1/events", YG_RECEIVED_EVENTS},
        {"/api/v1/check_run", YG_RECEIVED_CHECKS},
        {"/api/v1/monitor", YG_RECEIVED_COUNT},
        {"dogstatsd", YG_RECEIVED_DOGSTATSD},
        {"/dogstatsd/v2/proxy", YG_RECEIVED_DOGSTATSD},
        {"/telemetry/proxy/api/v2/apmtelemetry", YG_RECEIVED_TELEMETRY},
        {"/api/v1/distribution_points", YG_RECEIVED_DISTRIBUTIONS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (yg_ui_received_kind(yg_str_c(cases[i].path)) != cases[i].kind)
            fail_msg("%s", cases[i].path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(kinds_of_intake_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
