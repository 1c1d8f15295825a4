// SPDX-License-Identifier: Apache-2.0
// Logs and spans of the public API over real sockets and a real store: pages, items, buckets,
// refusals.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"

#define BASE INT64_C(1770000000000000000) // 2026-02-02T02:40:00Z
#define FROM "2026-02-02T02:40:00Z"
#define TO "2026-02-02T03:40:00Z"
#define ROWS 25u

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

// ------------------------------------------------------------ rows

static void append_done(void *arg, yg_rc rc, const struct yg_err *e) {
    (void)e;
    assert_int_equal(rc, YG_OK);
    yg_event_set(arg);
}

static void append(struct yg_batch *b) {
    struct yg_event done;
    yg_event_init(&done);
    OK(yg_store_append(api.store, b, append_done, &done, &err));
    yg_event_wait(&done);
    yg_event_fini(&done);
}

static void set(struct yg_batch *b, const char *name, const char *v) {
    OK(yg_batch_set_str(b, yg_str_c(name), yg_str_c(v), &err));
}

static void add_logs(void) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 64u << 20);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t r;
        OK(yg_batch_row(b, &r, &err));
        OK(yg_batch_set_i64(b, YG_STR("timestamp"),
                            BASE + (int64_t)i * YG_NS_PER_S + 7 * YG_NS_PER_MS, &err));
        OK(yg_batch_set_i64(b, YG_STR("@n"), (int64_t)i, &err));
        set(b, "status", i % 5 ? "info" : "error");
        set(b, "host", "h1");
        set(b, "service", i % 2 ? "web" : "api");
        set(b, "source", "sinatra");
        set(b, "message", "line");
        set(b, "tags", "source:sinatra,env:prod,source:sinatra");
        set(b, "@http.url", "/a b");
        set(b, "@http.url_details.path", "/");
        OK(yg_batch_set_f64(b, YG_STR("@http.time"), 0.25, &err));
        set(b, "@http-x", "1");
        set(b, "@leaf", "v");
        set(b, "@leaf.below.it", "w");
        OK(yg_batch_set_json(b, YG_STR("@list"), YG_STR("[1,\"x\",{\"y\":2}]"), &err));
        OK(yg_batch_set_bool(b, YG_STR("@flag"), true, &err));
        OK(yg_batch_set_id(b, YG_STR("trace_id"), (yg_id128){0, 77}, &err));
        set(b, "@_id", "x");
    }
    append(b);
}

static void add_spans(void) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 64u << 20);
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t r;
        OK(yg_batch_row(b, &r, &err));
        OK(yg_batch_set_i64(b, YG_STR("timestamp"), BASE + (int64_t)i * 100 * YG_NS_PER_S, &err));
        OK(yg_batch_set_id(b, YG_STR("trace_id"), (yg_id128){i == 0 ? 0x1234u : 0, 9}, &err));
        OK(yg_batch_set_i64(b, YG_STR("span_id"), (int64_t)UINT64_MAX - (int64_t)i, &err));
        OK(yg_batch_set_i64(b, YG_STR("parent_id"), 0, &err));
        OK(yg_batch_set_i64(b, YG_STR("duration"), 2500000 + (int64_t)i, &err));
        set(b, "service", "web");
        set(b, "env", "prod");
        set(b, "status", "ok");
        set(b, "type", "web");
        set(b, "operation_name", "op");
        set(b, "resource_name", "GET /");
        set(b, "@_dd.origin", "tracer's own");
        OK(yg_batch_set_f64(b, YG_STR("@http.status_code"), i < 4 ? 200 : 500, &err));
    }
    append(b);
}

static void add_events(void) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_EVENTS, 64u << 20);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t r;
        OK(yg_batch_row(b, &r, &err));
        OK(yg_batch_set_i64(b, YG_STR("timestamp"), BASE + (int64_t)i * YG_NS_PER_S, &err));
        set(b, "message", "deployed version 1");
        set(b, "@title", i == 1 ? "rollback" : "deploy");
        set(b, "@evt.kind", "event");
        set(b, "host", "h1");
        set(b, "tags", "env:prod");
    }
    append(b);
}

// ------------------------------------------------------------ server and client

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/yg_api_XXXXXX");
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
    static const struct yg_route *const tables[] = {yg_api_logs_routes, yg_api_spans_routes, NULL};
    static void *const contexts[] = {&api, &api};
    struct yg_http_server_options http = {
        .name = "api", .address = "127.0.0.1:0", .tables = tables, .table_ctx = contexts};
    loop = yg_loop_create(api.pool);
    OK(yg_http_server_create(loop, &http, &server, &err));
    yg_loop_start(loop);
    uint64_t n = 0;
    assert_true(yg_str_to_u64(yg_str_c(strrchr(yg_http_server_address(server), ':') + 1), &n));
    port = (uint16_t)n;
    add_logs();
    add_spans();
    add_events();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    yg_loop_stop(loop, 2000);
    yg_http_server_destroy(server);
    yg_store_close(api.store);
    yg_pool_destroy(api.pool);
    yg_loop_destroy(loop);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static int begin(void **state) {
    (void)state;
    arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    return 0;
}
static int end(void **state) {
    (void)state;
    yg_arena_destroy(arena);
    return 0;
}

// One exchange; the body as a tree, its status in *ret_status.
static const struct yg_json_node *ask(const char *method, const char *target, const char *body,
                                      int *ret_status) {
    static char answer[1u << 20];
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    yg_str request = yg_arena_printf(arena,
                                     "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                     "Content-Length: %zu\r\n\r\n%s",
                                     method, target, strlen(body), body);
    assert_int_equal(send(fd, request.ptr, request.len, MSG_NOSIGNAL), (ssize_t)request.len);
    size_t len = 0;
    ssize_t n;
    while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
        len += (size_t)n;
    close(fd);
    answer[len] = '\0';
    assert_true(sscanf(answer, "HTTP/1.1 %d", ret_status) == 1);
    const char *start = strstr(answer, "\r\n\r\n");
    assert_non_null(start);
    struct yg_json_node *root = NULL;
    yg_str copy = yg_arena_str(arena, yg_str_c(start + 4));
    if (yg_json_parse(copy, arena, &root, &err) != YG_OK)
        fail_msg("%s in: %s", err.text, start + 4);
    return root;
}

static const struct yg_json_node *post(const char *target, const char *body, int want) {
    int status = 0;
    const struct yg_json_node *root = ask("POST", target, body, &status);
    if (status != want)
        fail_msg("%s %s: status %d, wanted %d: %.*s", target, body, status, want,
                 YG_STR_FMT(root->raw));
    return root;
}

static yg_str str_at(const struct yg_json_node *root, const char *path) {
    const struct yg_json_node *n = yg_json_path(root, path);
    if (n == NULL)
        fail_msg("no %s in %.*s", path, YG_STR_FMT(root->raw));
    return n->str;
}

#define WINDOW "\"from\":\"" FROM "\",\"to\":\"" TO "\""

// ------------------------------------------------------------ logs

static void test_log_item(void **state) {
    (void)state;
    const struct yg_json_node *root =
        post("/api/v2/logs/events/search",
             "{\"filter\":{" WINDOW ",\"query\":\"@n:3\",\"indexes\":[\"main\"]}}", 200);
    const struct yg_json_node *data = yg_json_get(root, "data");
    assert_int_equal(data->count, 1);
    const struct yg_json_node *item = data->child, *a = yg_json_get(item, "attributes");
    assert_true(yg_str_eq_c(str_at(item, "type"), "log"));
    assert_int_equal(str_at(item, "id").len, 23);
    assert_true(yg_str_eq_c(str_at(a, "timestamp"), "2026-02-02T02:40:03.007Z"));
    assert_true(yg_str_eq_c(str_at(a, "service"), "web"));
    assert_true(yg_str_eq_c(str_at(a, "message"), "line"));
    assert_int_equal(yg_json_get(a, "tags")->count, 3); // duplicates stay
    const struct yg_json_node *nested = yg_json_get(a, "attributes");
    assert_true(yg_str_eq_c(str_at(nested, "http.url"), "/a b"));
    assert_true(yg_str_eq_c(str_at(nested, "http.url_details.path"), "/"));
    assert_true(yg_json_f64_or(yg_json_path(nested, "http.time"), 0) == 0.25);
    assert_true(yg_str_eq_c(str_at(nested, "http-x"), "1"));
    assert_true(yg_str_eq_c(str_at(nested, "leaf"), "v"));
    assert_true(yg_str_eq_c(yg_json_get(nested, "leaf.below.it")->str, "w"));
    assert_int_equal(yg_json_get(nested, "list")->count, 3);
    assert_true(yg_json_bool_or(yg_json_get(nested, "flag"), false));
    assert_true(yg_str_eq_c(str_at(nested, "trace_id"), "77"));
    assert_true(yg_str_eq_c(str_at(nested, "_id"), "x"));
    assert_true(yg_str_eq_c(str_at(root, "meta.status"), "done"));
}

// Follows `after` to the end; returns how many items came, each once.
static uint32_t follow_cursor(const char *sort) {
    uint32_t count = 0;
    bool seen[ROWS] = {false};
    yg_str cursor = {0};
    for (int page = 0; page < 20; page++) {
        yg_str body = yg_arena_printf(
            arena, "{\"filter\":{" WINDOW "},%s\"page\":{\"limit\":10%s%.*s%s}}", sort,
            cursor.len ? ",\"cursor\":\"" : "", YG_STR_FMT(cursor), cursor.len ? "\"" : "");
        const struct yg_json_node *root = post("/api/v2/logs/events/search", body.ptr, 200);
        for (const struct yg_json_node *i = yg_json_get(root, "data")->child; i; i = i->next) {
            int64_t n = yg_json_i64_or(yg_json_path(i, "attributes.attributes.n"), -1);
            assert_true(n >= 0 && n < ROWS && !seen[n]);
            int64_t want = sort[0] && strstr(sort, "\"timestamp\"") ? (int64_t)count
                                                                    : (int64_t)(ROWS - 1 - count);
            assert_int_equal(n, want);
            seen[n] = true;
            count++;
        }
        const struct yg_json_node *after = yg_json_path(root, "meta.page.after");
        if (after == NULL) { // only an empty page names no next one
            assert_int_equal(yg_json_get(root, "data")->count, 0);
            assert_null(yg_json_get(root, "links"));
            return count;
        }
        assert_non_null(yg_json_path(root, "links.next"));
        cursor = after->str;
    }
    return count;
}

static void test_log_pages(void **state) {
    (void)state;
    assert_int_equal(follow_cursor(""), ROWS);
    assert_int_equal(follow_cursor("\"sort\":\"timestamp\","), ROWS);
    assert_int_equal(follow_cursor("\"sort\":\"-timestamp\","), ROWS);
}

// links.next is a GET that goes on where the POST ended.
static void test_next_link(void **state) {
    (void)state;
    const struct yg_json_node *root =
        post("/api/v2/logs/events/search",
             "{\"filter\":{" WINDOW
             ",\"query\":\"service:(web OR api)\",\"indexes\":[\"main\"]},\"page\":{\"limit\":20}}",
             200);
    yg_str next = str_at(root, "links.next");
    assert_true(yg_str_starts(next, YG_STR("http://yagura.test/api/v2/logs/events?")));
    assert_true(yg_str_find(next, YG_STR("filter%5Bquery%5D=service%3A%28web%20OR%20api%29"), 0) !=
                SIZE_MAX);
    int status = 0;
    root =
        ask("GET", yg_arena_cstr(arena, yg_str_sub(next, strlen("http://yagura.test"), next.len)),
            "", &status);
    assert_int_equal(status, 200);
    assert_int_equal(yg_json_get(root, "data")->count, 5);
    assert_int_equal(
        yg_json_i64_or(yg_json_path(yg_json_get(root, "data")->child, "attributes.attributes.n"),
                       -1),
        4);
    // The search's own path takes the same parameters.
    size_t question = yg_str_find_char(next, '?', 0);
    yg_str same = yg_arena_printf(arena, "/api/v2/logs/events/search%.*s",
                                  YG_STR_FMT(yg_str_sub(next, question, next.len)));
    root = ask("GET", yg_arena_cstr(arena, same), "", &status);
    assert_int_equal(status, 200);
    assert_int_equal(yg_json_get(root, "data")->count, 5);
}

static void test_log_defaults(void **state) {
    (void)state;
    const struct yg_json_node *root =
        post("/api/v2/logs/events/search", "{}", 200); // the last 15 minutes
    assert_int_equal(yg_json_get(root, "data")->count, 0);
    root = post("/api/v2/logs/events/search", "", 200); // no body
    assert_int_equal(yg_json_get(root, "data")->count, 0);
    root = post("/api/v2/logs/events/search", "{\"filter\":{" WINDOW "}}", 200);
    assert_int_equal(yg_json_get(root, "data")->count, 10);
    root = post("/api/v2/logs/events/search",
                "{\"filter\":{\"from\":1770000000000,\"to\":\"1770003600000\"}}", 200);
    assert_int_equal(yg_json_get(root, "data")->count, 10);
    root = post("/api/v2/logs/events/search", "{\"filter\":{" WINDOW ",\"indexes\":[\"other\"]}}",
                200);
    assert_int_equal(yg_json_get(root, "data")->count, 0);
}

static void expect_error(const char *target, const char *body, int status, const char *want) {
    const struct yg_json_node *root = post(target, body, status);
    if (yg_str_find(root->raw, yg_str_c(want), 0) == SIZE_MAX)
        fail_msg("\"%s\" is not in %.*s", want, YG_STR_FMT(root->raw));
}

static void test_log_refusals(void **state) {
    (void)state;
    const char *search = "/api/v2/logs/events/search",
               *aggregate = "/api/v2/logs/analytics/aggregate";
    expect_error(search, "{\"filter\":{\"query\":\"(a\"}}", 400,
                 "Field 'filter.query' is invalid: this bracket is not closed (column 1)");
    expect_error(search, "{\"filter\":{\"from\":\"now\",\"to\":\"now-1m\"}}", 422,
                 "'from' should be anterior to 'to'");
    expect_error(search, "{\"filter\":{\"from\":\"yesterday\"}}", 400, "filter.from");
    post(aggregate,
         "{\"filter\":{\"from\":-9000000000000000000},\"compute\":[{\"aggregation\":\"count\","
         "\"type\":\"timeseries\"}]}",
         400);
    post(aggregate,
         "{\"filter\":{\"from\":-9000000000000},\"compute\":[{\"aggregation\":\"count\",\"type\":"
         "\"timeseries\"}]}",
         200);
    expect_error(search, "{\"page\":{\"limit\":1001}}", 400, "page.limit");
    expect_error(search, "{\"page\":{\"limit\":0}}", 400, "page.limit");
    expect_error(search, "{\"page\":{\"limit\":\"x\"}}", 400, "page.limit");
    expect_error(search, "{\"page\":{\"cursor\":\"eyJ9\"}}", 400, "invalid cursor");
    expect_error(search, "{\"sort\":\"service\"}", 400, "Field 'sort'");
    expect_error(search, "{", 400, "JSON");
    expect_error(search, "[]", 400, "must be an object");
    expect_error(aggregate, "{\"compute\":[{\"aggregation\":\"pc50\"}]}", 400,
                 "compute[0].aggregation");
    expect_error(aggregate, "{\"compute\":[{\"aggregation\":\"avg\"}]}", 400, "needs a metric");
    expect_error(
        aggregate,
        "{\"compute\":[{\"aggregation\":\"count\",\"type\":\"timeseries\",\"interval\":\"x\"}]}",
        400, "compute[0].interval");
    expect_error(aggregate,
                 "{\"group_by\":[{\"facet\":\"a\",\"limit\":200},{\"facet\":\"b\",\"limit\":100}]}",
                 400, "above 10000");
    expect_error(aggregate, "{\"group_by\":[{\"limit\":200}]}", 400, "group_by[0].facet");
    expect_error(
        aggregate,
        "{\"group_by\":[{\"facet\":\"@x\",\"histogram\":{\"interval\":1,\"min\":0,\"max\":101}}]}",
        400, "at most 100 buckets");
}

static void test_log_aggregate(void **state) {
    (void)state;
    const char *target = "/api/v2/logs/analytics/aggregate";
    const struct yg_json_node *root = post(target, "{\"filter\":{" WINDOW "}}", 200), *b;
    assert_int_equal(yg_json_path(root, "data.buckets")->count, 1);
    b = yg_json_path(root, "data.buckets")->child;
    assert_int_equal(yg_json_i64_or(yg_json_path(b, "computes.c0"), 0), ROWS);
    assert_int_equal(yg_json_get(b, "by")->count, 0);
    root = post(target, "{\"filter\":{" WINDOW ",\"query\":\"nothing\"}}", 200);
    assert_int_equal(yg_json_path(root, "data.buckets")->count, 0);
    root = post(
        target,
        "{\"filter\":{" WINDOW
        "},\"compute\":[{\"aggregation\":\"count\"},{\"aggregation\":\"max\",\"metric\":\"@n\"}],"
        "\"group_by\":[{\"facet\":\"service\",\"total\":true}]}",
        200);
    assert_int_equal(yg_json_path(root, "data.buckets")->count, 3);
    b = yg_json_path(root, "data.buckets")->child;
    assert_true(yg_str_eq_c(str_at(b, "by.service"), "api"));
    assert_int_equal(yg_json_i64_or(yg_json_path(b, "computes.c0"), 0), 13);
    assert_int_equal(yg_json_i64_or(yg_json_path(b, "computes.c1"), 0), 24);
    root = post(
        target,
        "{\"filter\":{" WINDOW
        "},\"compute\":[{\"aggregation\":\"count\",\"type\":\"timeseries\",\"interval\":\"10s\"}]}",
        200);
    const struct yg_json_node *points =
        yg_json_path(yg_json_path(root, "data.buckets")->child, "computes.c0");
    assert_int_equal(points->count, 3);
    assert_true(yg_str_eq_c(str_at(points->child, "time"), "2026-02-02T02:40:00.000Z"));
    assert_int_equal(yg_json_i64_or(yg_json_get(points->child, "value"), 0), 10);
}

// ------------------------------------------------------------ spans

static void test_spans(void **state) {
    (void)state;
    const struct yg_json_node *root =
        post("/api/v2/spans/events/search",
             "{\"data\":{\"type\":\"search_request\",\"attributes\":{\"filter\":{" WINDOW
             ",\"query\":\"service:web* AND @http.status_code:[200 TO 299]\"},"
             "\"page\":{\"limit\":3},\"sort\":\"timestamp\"}}}",
             200);
    assert_int_equal(yg_json_get(root, "data")->count, 3);
    const struct yg_json_node *a = yg_json_get(yg_json_get(root, "data")->child, "attributes");
    assert_true(yg_str_eq_c(str_at(a, "trace_id"), "00000000000012340000000000000009"));
    assert_true(yg_str_eq_c(str_at(a, "span_id"), "18446744073709551615"));
    assert_true(yg_str_eq_c(str_at(a, "parent_id"), "0"));
    assert_true(yg_str_eq_c(str_at(a, "start_timestamp"), "2026-02-02T02:40:00.000Z"));
    assert_true(yg_str_eq_c(str_at(a, "end_timestamp"), "2026-02-02T02:40:00.002Z"));
    assert_int_equal(yg_json_i64_or(yg_json_path(a, "custom.duration"), 0), 2500000);
    assert_int_equal(yg_json_i64_or(yg_json_path(a, "custom.http.status_code"), 0), 200);
    assert_true(yg_str_eq_c(str_at(a, "custom.env"), "prod"));
    assert_null(yg_json_path(a, "custom._dd"));
    a = yg_json_get(yg_json_get(root, "data")->child->next, "attributes");
    assert_true(yg_str_eq_c(str_at(a, "trace_id"), "9"));
    yg_str next = str_at(root, "links.next");
    assert_true(yg_str_find(next, YG_STR("filter%5Bfrom%5D=1770000000000"), 0) != SIZE_MAX);
    int status = 0;
    root =
        ask("GET", yg_arena_cstr(arena, yg_str_sub(next, strlen("http://yagura.test"), next.len)),
            "", &status);
    assert_int_equal(status, 200);
    assert_int_equal(yg_json_get(root, "data")->count, 1);
}

static void test_span_aggregate(void **state) {
    (void)state;
    const struct yg_json_node *root = post(
        "/api/v2/spans/analytics/aggregate",
        "{\"data\":{\"type\":\"aggregate_request\",\"attributes\":{\"filter\":{" WINDOW "},"
        "\"compute\":[{\"aggregation\":\"count\",\"type\":\"timeseries\",\"interval\":\"5m\"}]}}}",
        200);
    const struct yg_json_node *b = yg_json_get(root, "data")->child;
    assert_true(yg_str_eq_c(str_at(b, "type"), "bucket"));
    assert_int_equal(yg_json_path(b, "attributes.compute.c0")->count, 2);
    root = post("/api/v2/spans/analytics/aggregate",
                "{\"data\":{\"type\":\"aggregate_request\",\"attributes\":{\"filter\":{" WINDOW "},"
                "\"compute\":[{\"aggregation\":\"pc95\",\"metric\":\"@duration\"}],\"group_by\":[{"
                "\"facet\":\"@http.status_code\"}]}}}",
                200);
    assert_int_equal(yg_json_get(root, "data")->count, 2);
    b = yg_json_get(root, "data")->child;
    double p95 = yg_json_f64_or(yg_json_path(b, "attributes.compute.c0"), 0);
    assert_true(p95 > 2.4e6 && p95 < 2.6e6);
}

static void test_span_refusals(void **state) {
    (void)state;
    const char *search = "/api/v2/spans/events/search";
    expect_error(search, "", 400, "must be an object");
    expect_error(search, "{}", 400, "Object must include `data` key.");
    expect_error(search, "{\"data\":{\"type\":\"x\"}}", 400,
                 "Invalid type. Expected \\\"search_request\\\".");
    const struct yg_json_node *root = post(search,
                                           "{\"data\":{\"type\":\"search_request\",\"attributes\":{"
                                           "\"filter\":{\"from\":\"now\",\"to\":\"now-1m\"}}}}",
                                           422);
    const struct yg_json_node *first = yg_json_get(root, "errors")->child;
    assert_true(yg_str_eq_c(str_at(first, "title"), "Generic Error"));
    assert_true(yg_str_eq_c(
        str_at(first, "detail"),
        "invalid_argument(Field 'filter.from,to' is invalid: 'from' should be anterior to 'to')"));
    int status = 0;
    root =
        ask("GET", "/api/v2/spans/events?filter%5Bfrom%5D=now&filter%5Bto%5D=now-1m", "", &status);
    assert_int_equal(status, 422);
}

// ------------------------------------------------------------ events

static void test_events(void **state) {
    (void)state;
    const struct yg_json_node *root = post(
        "/api/v2/events/search",
        "{\"filter\":{" WINDOW ",\"query\":\"deployed rollback\"},\"page\":{\"limit\":2}}", 200);
    assert_int_equal(yg_json_get(root, "data")->count, 1); // a word of the title counts
    yg_str next = str_at(root, "links.next");
    assert_true(
        yg_str_starts(next, YG_STR("http://yagura.test/api/v2/events/search?filter%5Bfrom%5D=")));
    int status = 0;
    (void)ask("GET", yg_arena_cstr(arena, yg_str_sub(next, strlen("http://yagura.test"), next.len)),
              "", &status);
    assert_int_equal(status, 200);
    const struct yg_json_node *a = yg_json_get(yg_json_get(root, "data")->child, "attributes");
    assert_true(yg_str_eq_c(str_at(a, "attributes.title"), "rollback"));
    assert_true(yg_str_eq_c(str_at(a, "attributes.evt.kind"), "event"));
    assert_true(yg_str_eq_c(str_at(a, "attributes.hostname"), "h1"));
    assert_true(yg_str_eq_c(str_at(a, "message"), "deployed version 1"));
    root =
        post("/api/v2/events/search", "{\"filter\":{" WINDOW ",\"query\":\"title:deploy\"}}", 200);
    assert_int_equal(yg_json_get(root, "data")->count, 2);
    root = ask("GET",
               "/api/v2/events?filter%5Bfrom%5D=" FROM "&filter%5Bto%5D=" TO "&page%5Blimit%5D=2",
               "", &status);
    assert_int_equal(status, 200);
    assert_int_equal(yg_json_get(root, "data")->count, 2);
    assert_true(
        yg_str_starts(str_at(root, "links.next"), YG_STR("http://yagura.test/api/v2/events?")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_log_item),     TEST(test_log_pages),      TEST(test_next_link),
        TEST(test_log_defaults), TEST(test_log_refusals),   TEST(test_log_aggregate),
        TEST(test_spans),        TEST(test_span_aggregate), TEST(test_span_refusals),
        TEST(test_events),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
