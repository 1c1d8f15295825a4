// SPDX-License-Identifier: Apache-2.0
// The metric routes of the public API over a real socket, store and configuration.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"

static struct yg_err err;
#define OK(call)                                                                                   \
    do {                                                                                           \
        err = (struct yg_err){0};                                                                  \
        if ((call) != YG_OK)                                                                       \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

static char dir[64];
static struct yg_api api;
static struct yg_loop *loop;
static struct yg_http_server *server;
static struct yg_arena *arena;
static uint16_t port;
static int64_t t0; // start of a minute, ten minutes ago

// ------------------------------------------------------------ data

static void append_done(void *arg, yg_rc rc, const struct yg_err *e) {
    (void)e;
    assert_int_equal(rc, YG_OK);
    yg_event_set(arg);
}

static void append(struct yg_points *p) {
    struct yg_event done;
    yg_event_init(&done);
    OK(yg_store_append_points(api.store, p, append_done, &done, &err));
    yg_event_wait(&done);
    yg_event_fini(&done);
}

static void add(struct yg_points *p, const char *name, const char *service,
                enum yg_metric_type type, int64_t ts, double v) {
    const yg_str tags[] = {YG_STR("env:prod"), yg_arena_printf(arena, "service:%s", service)};
    uint32_t id;
    OK(yg_points_series(p, yg_str_c(name), tags, 2, yg_arena_printf(arena, "host-%s", service),
                        type, 10, YG_STR(""), &id, &err));
    OK(yg_points_add(p, id, ts, v, &err));
}

static void add_points(void) {
    struct yg_points *p = yg_points_create(64u << 20);
    for (int64_t i = 0; i < 6; i++) {
        add(p, "app.load", "web", YG_METRIC_GAUGE, t0 + i * 10, 1.5);
        add(p, "app.load", "api", YG_METRIC_GAUGE, t0 + i * 10, 3);
        add(p, "app.hits", "web", YG_METRIC_COUNT, t0 + i * 10, 10);
        add(p, "app.errors", "web", YG_METRIC_COUNT, t0 + i * 10, 1);
    }
    append(p);
}

static void add_logs(void) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 64u << 20);
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t r;
        OK(yg_batch_row(b, &r, &err));
        OK(yg_batch_set_i64(b, YG_STR("timestamp"), (t0 + i) * YG_NS_PER_S, &err));
        OK(yg_batch_set_str(b, YG_STR("service"), i % 3 ? YG_STR("web") : YG_STR("api"), &err));
        OK(yg_batch_set_str(b, YG_STR("message"), YG_STR("line"), &err));
    }
    struct yg_event done;
    yg_event_init(&done);
    OK(yg_store_append(api.store, b, append_done, &done, &err));
    yg_event_wait(&done);
    yg_event_fini(&done);
}

// ------------------------------------------------------------ server and client

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/yg_mapi_XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    api.clock = &yg_clock_system;
    api.public_url = "http://yagura.test";
    api.pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    struct yg_store_options options = {.dir = dir,
                                       .clock = api.clock,
                                       .pool = api.pool,
                                       .wal_sync = YG_WAL_SYNC_NONE,
                                       .shard_count = 2};
    OK(yg_store_open(&options, &api.store, &err));
    struct yg_meta_first_keys first;
    OK(yg_meta_open(&(struct yg_meta_options){.dir = dir, .clock = api.clock}, &api.meta, &first,
                    &err));
    static const struct yg_route *const tables[] = {yg_api_metrics_routes, NULL};
    static void *const contexts[] = {&api};
    struct yg_http_server_options http = {
        .name = "api", .address = "127.0.0.1:0", .tables = tables, .table_ctx = contexts};
    loop = yg_loop_create(api.pool);
    OK(yg_http_server_create(loop, &http, &server, &err));
    yg_loop_start(loop);
    uint64_t n = 0;
    assert_true(yg_str_to_u64(yg_str_c(strrchr(yg_http_server_address(server), ':') + 1), &n));
    port = (uint16_t)n;
    t0 = (yg_now_ns(api.clock) / YG_NS_PER_S - 600) / 60 * 60;
    arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    add_points();
    add_logs();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    yg_arena_destroy(arena);
    yg_loop_stop(loop, 2000);
    yg_http_server_destroy(server);
    yg_store_close(api.store);
    yg_meta_close(api.meta);
    yg_pool_destroy(api.pool);
    yg_loop_destroy(loop);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

// One exchange: the answer's body as a tree.
static const struct yg_json_node *ask(const char *method, yg_str target, yg_str body, int want) {
    static char answer[1u << 20];
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    yg_str request = yg_arena_printf(arena,
                                     "%s %.*s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                     "Content-Length: %zu\r\n\r\n%.*s",
                                     method, YG_STR_FMT(target), body.len, YG_STR_FMT(body));
    assert_int_equal(send(fd, request.ptr, request.len, MSG_NOSIGNAL), (ssize_t)request.len);
    size_t len = 0;
    ssize_t n;
    while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
        len += (size_t)n;
    close(fd);
    answer[len] = '\0';
    assert_int_equal(sscanf(answer, "HTTP/1.1 %d", &status), 1);
    const char *start = strstr(answer, "\r\n\r\n");
    assert_non_null(start);
    if (status != want)
        fail_msg("%.*s: %d %s", YG_STR_FMT(target), status, start + 4);
    struct yg_json_node *root = NULL;
    OK(yg_json_parse(yg_arena_str(arena, yg_str_c(start + 4)), arena, &root, &err));
    return root;
}

static const struct yg_json_node *get(const char *target, int want) {
    return ask("GET", yg_str_c(target), YG_STR(""), want);
}

static void expect(const struct yg_json_node *root, const char *path, const char *json) {
    const struct yg_json_node *n = yg_json_path(root, path);
    if (n == NULL || !yg_str_eq_c(n->raw, json))
        fail_msg("%s is %.*s, not %s, in %.*s", path, YG_STR_FMT(n ? n->raw : YG_STR("absent")),
                 json, YG_STR_FMT(root->raw));
}

static const struct yg_json_node *nth(const struct yg_json_node *n, const char *path, uint32_t i) {
    n = yg_json_path(n, path);
    assert_non_null(n);
    for (n = n->child; n != NULL && i > 0; i--)
        n = n->next;
    assert_non_null(n);
    return n;
}

// ------------------------------------------------------------ v1 query

static const struct yg_json_node *query(const char *encoded, int want) {
    return ask("GET",
               yg_arena_printf(arena, "/api/v1/query?from=%lld&to=%lld&query=%s", (long long)t0,
                               (long long)t0 + 59, encoded),
               YG_STR(""), want);
}

static void v1_answers_as_recorded(void **state) {
    (void)state;
    const struct yg_json_node *root =
        query("avg:app.load%7Benv:prod%7D%20by%20%7Bservice%7D.rollup(avg,%2060)", 200);
    expect(root, "status", "\"ok\"");
    expect(root, "resp_version", "1");
    expect(root, "res_type", "\"time_series\"");
    expect(root, "message", "\"\"");
    expect(root, "group_by", "[\"service\"]");
    expect(root, "times", "[]");
    const struct yg_json_node *s = nth(root, "series", 1);
    expect(s, "metric", "\"app.load\"");
    expect(s, "expression", "\"avg:app.load{env:prod,service:web}.rollup(avg,60)\"");
    expect(s, "scope", "\"env:prod,service:web\"");
    expect(s, "aggr", "\"avg\"");
    expect(s, "tag_set", "[\"service:web\"]");
    expect(s, "interval", "60");
    expect(s, "length", "1");
    expect(s, "unit", "null");
    assert_int_equal(yg_json_i64_or(yg_json_get(s, "start"), 0), t0 * 1000);
    assert_int_equal(yg_json_i64_or(yg_json_get(s, "end"), 0), (t0 + 59) * 1000);
    char want[64];
    snprintf(want, sizeof(want), "[[%lld000,1.5]]", (long long)t0);
    expect(s, "pointlist", want);
    s = nth(root, "series", 0);
    snprintf(want, sizeof(want), "[[%lld000,3.0]]", (long long)t0); // floats stay floats
    expect(s, "pointlist", want);
    root = query("app.load%7B*%7D", 200);
    expect(nth(root, "series", 0), "aggr", "null");
    expect(nth(root, "series", 0), "scope", "\"*\"");
    root = query("avg:no.such%7B*%7D", 200);
    expect(root, "series", "[]");
}

static void v1_refuses_with_the_parser_text(void **state) {
    (void)state;
    const struct yg_json_node *root = query("avg:app.load", 400);
    expect(root, "status", "\"error\"");
    expect(
        root, "error",
        "\"Error parsing query: \\n unable to parse avg:app.load: Rule 'scope_expr' didn't match "
        "at '' (line 1, column 13).\"");
    root = query("avg:app.load%7Ba:b%20AND%20!c:d%7D", 400);
    expect(root, "error", "\"Error parsing query: 'AND' and 'OR' cannot be mixed with ','\"");
    (void)get("/api/v1/query?from=1&to=2", 400);
    (void)get("/api/v1/query?from=x&to=2&query=a%7B*%7D", 400);
    (void)get("/api/v1/query?from=20&to=2&query=a%7B*%7D", 400);
}

// ------------------------------------------------------------ v2 query

static const struct yg_json_node *post(const char *kind, const char *rest, int want) {
    yg_str body = yg_arena_printf(
        arena, "{\"data\":{\"type\":\"%s_request\",\"attributes\":{\"from\":%lld,\"to\":%lld,%s}}}",
        kind, (long long)t0 * 1000, (long long)(t0 + 60) * 1000, rest);
    return ask("POST", yg_arena_printf(arena, "/api/v2/query/%s", kind), body, want);
}

#define METRIC(name, query)                                                                        \
    "{\"data_source\":\"metrics\",\"name\":\"" name "\",\"query\":\"" query "\"}"

static void timeseries_of_metrics_and_formulas(void **state) {
    (void)state;
    const struct yg_json_node *root = post(
        "timeseries",
        "\"interval\":20000,\"queries\":[" METRIC("a", "sum:app.load{*} by {service}") "," METRIC(
            "e",
            "sum:app.errors{*}.as_count()") "," METRIC("h",
                                                       "sum:app.hits{*}.as_count()") "],"
                                                                                     "\"formulas\":"
                                                                                     "[{"
                                                                                     "\"formula\":"
                                                                                     "\"a * "
                                                                                     "2\"},{"
                                                                                     "\"formula\":"
                                                                                     "\"e / h\"}]",
        200);
    expect(root, "data.type", "\"timeseries_response\"");
    const struct yg_json_node *a = yg_json_path(root, "data.attributes");
    expect(a, "series",
           "[{\"group_tags\":[\"service:api\"],\"query_index\":0,\"unit\":null},{\"group_tags\":["
           "\"service:web\"],\"query_index\":0,\"unit\":null},{\"group_tags\":[],\"query_index\":1,"
           "\"unit\":null}]");
    expect(a, "values", "[[6,6,6],[3,3,3],[0.1,0.1,0.1]]");
    assert_int_equal(yg_json_path(a, "times")->count, 3);
    assert_int_equal(yg_json_path(a, "times")->child->i64, t0 * 1000);
    root = post("timeseries", "\"queries\":[" METRIC("a", "avg:none{*}") "]", 200);
    expect(root, "data.attributes", "{\"series\":[],\"times\":[],\"values\":[]}");
}

static void timeseries_of_logs_beside_metrics(void **state) {
    (void)state;
    const struct yg_json_node *root =
        post("timeseries",
             "\"interval\":60000,\"queries\":[{\"data_source\":\"logs\",\"name\":\"l\",\"search\":{"
             "\"query\":\"service:web\"},\"compute\":{\"aggregation\":\"count\"}}," METRIC(
                 "h", "sum:app.hits{*}.as_count()") "],\"formulas\":[{\"formula\":\"l\"},{"
                                                    "\"formula\":\"h / l\"}]",
             200);
    expect(root, "data.attributes.values", "[[8],[7.5]]"); // 60 hits for 8 lines
}

static void sources_that_are_not_kept_have_no_rows(void **state) {
    (void)state;
    static const char *const words[] = {"rum", "apm_metrics", "ci_tests", "container"};
    for (size_t i = 0; i < 4; i++) {
        yg_str q =
            yg_arena_printf(arena,
                            "\"queries\":[{\"data_source\":\"%s\",\"name\":\"a\",\"stat\":\"hits\","
                            "\"compute\":{\"aggregation\":\"count\"},\"search\":{\"query\":\"\"}}]",
                            words[i]);
        const struct yg_json_node *root = post("timeseries", q.ptr, 200);
        expect(root, "data.attributes", "{\"series\":[],\"times\":[],\"values\":[]}");
        yg_str said = nth(root, "meta.warnings", 0)->str;
        assert_true(yg_str_find(said, yg_str_c(words[i]), 0) != SIZE_MAX);
        root = post("scalar", q.ptr, 200);
        expect(nth(root, "data.attributes.columns", 0), "values", "[]");
    }
}

static void scalars(void **state) {
    (void)state;
    const struct yg_json_node *root =
        post("scalar",
             "\"queries\":[{\"data_source\":\"metrics\",\"name\":\"a\",\"aggregator\":\"max\","
             "\"query\":\"avg:app.load{*} by {service}\"},{\"data_source\":\"logs\",\"name\":\"l\","
             "\"search\":{\"query\":\"\"},\"compute\":{\"aggregation\":\"count\"},\"group_by\":[{"
             "\"facet\":\"service\"}]}],\"formulas\":[{\"formula\":\"a\",\"limit\":{\"count\":10,"
             "\"order\":\"desc\"}},{\"formula\":\"a * l\"}]",
             200);
    expect(root, "data.type", "\"scalar_response\"");
    expect(root, "data.id", "\"0\"");
    const struct yg_json_node *c = yg_json_path(root, "data.attributes.columns");
    assert_int_equal(c->count, 3);
    expect(nth(root, "data.attributes.columns", 0), "name", "\"service\"");
    expect(nth(root, "data.attributes.columns", 0), "type", "\"group\"");
    expect(nth(root, "data.attributes.columns", 0), "values", "[[\"api\"],[\"web\"]]");
    expect(nth(root, "data.attributes.columns", 1), "values", "[3,1.5]");
    expect(nth(root, "data.attributes.columns", 2), "values", "[12,12]"); // 3 × 4, 1.5 × 8
    expect(nth(root, "data.attributes.columns", 2), "meta.unit", "null");
    root = post("scalar",
                "\"queries\":[{\"data_source\":\"metrics\",\"name\":\"e\",\"aggregator\":\"sum\","
                "\"query\":\"sum:app.errors{*}.as_count()\"},{\"data_source\":\"metrics\",\"name\":"
                "\"h\",\"aggregator\":\"sum\",\"query\":\"sum:app.hits{*}.as_count()\"}],"
                "\"formulas\":[{\"formula\":\"100 * e / h\"}]",
                200);
    expect(nth(root, "data.attributes.columns", 0), "values", "[10]");
    root = post("scalar",
                "\"queries\":[{\"data_source\":\"logs\",\"name\":\"l\",\"search\":{\"query\":"
                "\"service:nobody\"},\"compute\":{\"aggregation\":\"count\"}}]",
                200);
    expect(nth(root, "data.attributes.columns", 0), "values", "[]");
    root = post("scalar", "\"queries\":[" METRIC("a", "avg:none{*}") "]", 200);
    expect(nth(root, "data.attributes.columns", 0), "values", "[]");
    expect(nth(root, "data.attributes.columns", 0), "name", "\"a\"");
}

static void first_error(const struct yg_json_node *root, const char *want) {
    yg_str text = nth(root, "errors", 0)->str;
    if (yg_str_find(text, yg_str_c(want), 0) == SIZE_MAX)
        fail_msg("%.*s, not %s", YG_STR_FMT(text), want);
}

static void bad_requests_are_told_why(void **state) {
    (void)state;
    const struct yg_json_node *root =
        ask("POST", YG_STR("/api/v2/query/timeseries"),
            YG_STR("{\"data\":{\"type\":\"timeseries_rquest\",\"attributes\":{}}}"), 400);
    expect(root, "errors",
           "[\"API input validation failed: Invalid type. Expected \\\"timeseries_request\\\".\"]");
    root = ask("POST", YG_STR("/api/v2/query/scalar"),
               YG_STR("{\"data\":{\"type\":\"scalar_request\",\"attributes\":{\"from\":1000,\"to\":"
                      "2000,\"queries\":[]}}}"),
               400);
    expect(root, "errors", "[\"Queries ending outside the retention date are invalid\"]");
    static const struct {
        const char *rest, *want;
    } rows[] = {
        {"\"queries\":[" METRIC("a", "avg:x") "]",
         "Error(s) found in query:\nError parsing query: \n unable to parse avg:x: Rule "},
        {"\"queries\":[]", "at least one"},
        {"\"queries\":[" METRIC("a", "a{*}") "," METRIC("a", "a{*}") "]", "two queries"},
        {"\"queries\":[" METRIC("a", "a{*}, b{*}") "]", "several queries"},
        {"\"queries\":[" METRIC("a", "a{*}") "],\"formulas\":[{\"formula\":\"b\"}]",
         "no query named \"b\""},
        {"\"queries\":[" METRIC("a", "a{*}") "],\"formulas\":[{\"formula\":\"a +\"}]", "column 4"},
        {"\"queries\":[" METRIC("a", "a{*}") "],\"formulas\":[{}]", "formulas[0].formula"},
        {"\"queries\":[{\"data_source\":\"nonsense\",\"name\":\"a\"}]", "nonsense"},
        {"\"queries\":[" METRIC("a", "forecast(avg:app.load{*}, 'linear', 1)") "]",
         "not evaluated"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        first_error(post("timeseries", rows[i].rest, 400), rows[i].want);
    (void)ask("POST", YG_STR("/api/v2/query/timeseries"), YG_STR("{"), 400);
}

// ------------------------------------------------------------ names and metadata

static void names_are_listed_and_found(void **state) {
    (void)state;
    yg_str target = yg_arena_printf(arena, "/api/v1/metrics?from=%lld", (long long)t0);
    const struct yg_json_node *root = ask("GET", target, YG_STR(""), 200);
    expect(root, "metrics", "[\"app.errors\",\"app.hits\",\"app.load\"]");
    char want[32];
    snprintf(want, sizeof(want), "\"%lld\"", (long long)t0);
    expect(root, "from", want);
    expect(get("/api/v1/metrics?from=9999999999", 200), "metrics", "[]");
    expect(get("/api/v1/metrics?from=1&host=host-api", 200), "metrics", "[\"app.load\"]");
    expect(get("/api/v1/metrics?from=1&tag_filter=service:web%20AND%20env:prod", 200), "metrics",
           "[\"app.errors\",\"app.hits\",\"app.load\"]");
    expect(get("/api/v1/metrics?from=1&tag_filter=service:none", 200), "metrics", "[]");
    (void)get("/api/v1/metrics?from=1&tag_filter=a:b%20AND%20!c", 400);
    (void)get("/api/v1/metrics?from=yesterday", 400);
    root = get("/api/v1/search?q=metrics:app.h", 200);
    expect(root, "results", "{\"metrics\":[\"app.hits\"],\"hosts\":[]}");
    root = get("/api/v1/search?q=hosts:web", 200);
    expect(root, "results", "{\"metrics\":[],\"hosts\":[\"host-web\"]}");
    root = get("/api/v1/search?q=app.", 200);
    expect(root, "results.metrics", "[\"app.errors\",\"app.hits\",\"app.load\"]");
}

static void metadata_merges(void **state) {
    (void)state;
    const struct yg_json_node *root = get("/api/v1/metrics/app.load", 200);
    expect(root, "type", "\"gauge\"");
    expect(root, "statsd_interval", "10");
    expect(root, "unit", "null");
    expect(root, "description", "null");
    expect(root, "integration", "null");
    root = get("/api/v1/metrics/no.such", 404);
    expect(root, "errors", "[\"no.such not found\"]");
    root = ask("PUT", YG_STR("/api/v1/metrics/app.load"),
               YG_STR("{\"description\":\"Load\",\"unit\":\"percent\",\"type\":\"gauge\"}"), 200);
    expect(root, "description", "\"Load\"");
    root = ask("PUT", YG_STR("/api/v1/metrics/app.load"), YG_STR("{\"short_name\":\"l\"}"), 200);
    expect(root, "description", "\"Load\"");
    root = get("/api/v1/metrics/app.load", 200);
    expect(root, "short_name", "\"l\"");
    expect(root, "unit", "\"percent\"");
    root = query("avg:app.load%7B*%7D.rollup(avg,%2060)", 200); // answers carry the unit
    expect(nth(root, "series", 0), "unit",
           "[{\"family\":\"percentage\",\"scale_factor\":1.0,\"name\":\"percent\",\"short_name\":"
           "\"%\",\"plural\":\"percent\",\"id\":17},null]");
    (void)ask("PUT", YG_STR("/api/v1/metrics/no.such"), YG_STR("{}"), 404);
    (void)ask("PUT", YG_STR("/api/v1/metrics/app.load"), YG_STR("{\"type\":\"sum\"}"), 400);
    (void)ask("PUT", YG_STR("/api/v1/metrics/app.load"), YG_STR("{\"unit\":7}"), 400);
    (void)ask("PUT", YG_STR("/api/v1/metrics/app.load"), YG_STR("[]"), 400);
    (void)ask("PUT", YG_STR("/api/v1/metrics/app.load"), YG_STR("{\"unit\":null}"), 200);
    expect(get("/api/v1/metrics/app.load", 200), "unit", "null");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v1_answers_as_recorded),
        cmocka_unit_test(v1_refuses_with_the_parser_text),
        cmocka_unit_test(timeseries_of_metrics_and_formulas),
        cmocka_unit_test(timeseries_of_logs_beside_metrics),
        cmocka_unit_test(sources_that_are_not_kept_have_no_rows),
        cmocka_unit_test(scalars),
        cmocka_unit_test(bad_requests_are_told_why),
        cmocka_unit_test(names_are_listed_and_found),
        cmocka_unit_test(metadata_merges),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
