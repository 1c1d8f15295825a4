// SPDX-License-Identifier: Apache-2.0
// The page's calls over a real store: traces, spans, fleet, facets; asked through a listener as the
// page does.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/ui.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS YG_NS_PER_MS
#define S YG_NS_PER_S
#define DAY (INT64_C(86400) * S)

static struct yg_api api;
static struct yg_pool *pool;
static struct yg_loop *loop;
static struct yg_http_server *server;
static struct yg_arena *arena;
static char dir[] = "/tmp/yg-calls-XXXXXX";
static uint16_t port;
static char out[1u << 20];
static size_t out_len;
static int64_t now; // ns; a whole second

struct given {
    uint64_t trace_hi, trace_lo, id, parent;
    int64_t start_ns, dur_ns;
    const char *service, *name, *resource, *type, *env, *kind, *code;
    bool error, cold;
};

static void put(struct yg_batch *b, const char *name, const char *value) {
    struct yg_err err = {0};
    if (value != NULL)
        assert_int_equal(yg_batch_set_str(b, yg_str_c(name), yg_str_c(value), &err), YG_OK);
}

static void put_i64(struct yg_batch *b, const char *name, int64_t value) {
    struct yg_err err = {0};
    assert_int_equal(yg_batch_set_i64(b, yg_str_c(name), value, &err), YG_OK);
}

static void add_span(struct yg_batch *b, const struct given *g) {
    struct yg_err err = {0};
    uint32_t row = 0;
    assert_int_equal(yg_batch_row(b, &row, &err), YG_OK);
    yg_id128 id = {g->trace_hi, g->trace_lo};
    assert_int_equal(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), id, &err), YG_OK);
    put_i64(b, YG_COL_SPAN_ID, (int64_t)g->id);
    put_i64(b, YG_COL_PARENT_ID, (int64_t)g->parent);
    put_i64(b, YG_COL_TIME, g->start_ns);
    put_i64(b, YG_COL_DURATION, g->dur_ns);
    put(b, YG_COL_SERVICE, g->service);
    put(b, YG_COL_OPERATION, g->name);
    put(b, YG_COL_RESOURCE, g->resource);
    put(b, YG_COL_TYPE, g->type);
    put(b, YG_COL_ENV, g->env);
    put(b, YG_COL_STATUS, g->error ? "error" : "ok");
    put(b, "@span.kind", g->kind);
    if (g->kind != NULL && strcmp(g->kind, "server") == 0) // as the trace decoders mark entries
        assert_int_equal(yg_batch_set_bool(b, YG_STR(YG_COL_TOP_LEVEL), true, &err), YG_OK);
    put(b, "@http.status_code", g->code);
    put(b, "@cold_start", g->cold ? "true" : NULL);
    if (g->id == 0x12) { // one span with all that a span can carry
        assert_int_equal(yg_batch_set_f64(b, YG_STR("@_sampling_priority_v1"), 1, &err), YG_OK);
        assert_int_equal(yg_batch_set_json(b, YG_STR("@appsec"), YG_STR("{\"t\":[1]}"), &err),
                         YG_OK);
        assert_int_equal(
            yg_batch_set_json(b, YG_STR(YG_COL_LINKS),
                              YG_STR("[{\"trace_id\":\"000000000000000000000000000000aa\","
                                     "\"span_id\":\"00000000000000bb\",\"attributes\":{\"k\":1}}]"),
                              &err),
            YG_OK);
        assert_int_equal(yg_batch_set_json(b, YG_STR(YG_COL_SPAN_EVENTS),
                                           YG_STR("[{\"name\":\"exception\",\"time_unix_nano\":"
                                                  "1795544885855000001,\"attributes\":{}}]"),
                                           &err),
                         YG_OK);
    }
}

static void on_stored(void *arg, yg_rc rc, const struct yg_err *err) {
    (void)err;
    assert_int_equal(rc, YG_OK);
    yg_event_set(arg);
}

static void store_spans(const struct given *spans, uint32_t count) {
    struct yg_err err = {0};
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 16u << 20);
    for (uint32_t i = 0; i < count; i++)
        add_span(b, &spans[i]);
    b->received_ns = now;
    struct yg_event event;
    yg_event_init(&event);
    if (yg_store_append(api.store, b, on_stored, &event, &err) != YG_OK)
        fail_msg("%s", err.text);
    yg_event_wait(&event);
    yg_event_fini(&event);
}

// Trace 1: web → db (a cold function in between); 2: an error; 3: long, of another environment;
// 4: starts where its parent is not stored; 5: yesterday.
static void store_all(void) {
    int64_t t = now - 60 * S;
    const struct given spans[] = {
        {0xa1, 0x01, 0x11, 0, t, 100 * MS, "web", "web.request", "GET /", "web", "prod", "server",
         "200", false, false},
        {0xa1, 0x01, 0x12, 0x11, t + 10 * MS, 50 * MS, "fn", "aws.lambda", "fn", "serverless",
         "prod", "server", NULL, false, true},
        {0xa1, 0x01, 0x13, 0x12, t + 20 * MS, 20 * MS, "fn", "redis.command", "GET", "redis",
         "prod", "client", NULL, false, false},
        {0xa2, 0x02, 0x21, 0, t + 5 * S, 30 * MS, "web", "web.request", "GET /fail", "web", "prod",
         "server", "500", true, false},
        {0xa3, 0x03, 0x31, 0, t + 9 * S, 3 * S, "web", "web.request", "GET /slow", "web", "dev",
         "server", "200", false, false},
        {0xa4, 0x04, 0x41, 0x999, t + 12 * S, 7 * MS, "api", "http.server", "GET /api", "http",
         "prod", "server", NULL, false, false},
        {0xa4, 0x04, 0x42, 0x998, t + 12 * S, 1 * MS, "api", "inner", "inner", "custom", "prod",
         NULL, NULL, false, false},
        {0xa5, 0x05, 0x51, 0, t - DAY, 40 * MS, "web", "web.request", "GET /", "web", "prod",
         "server", "200", true, false},
    };
    store_spans(spans, sizeof(spans) / sizeof(spans[0]));
}

static int set_up(void **state) {
    (void)state;
    static const struct yg_route *const tables[] = {yg_api_ui_routes, NULL};
    static void *ctx[] = {&api};
    struct yg_err err = {0};
    assert_non_null(mkdtemp(dir));
    now = yg_now_ns(&yg_clock_system) / S * S;
    pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 4});
    struct yg_store_options store = {.dir = dir, .clock = &yg_clock_system, .pool = pool};
    if (yg_store_open(&store, &api.store, &err) != YG_OK)
        fail_msg("%s", err.text);
    api.clock = &yg_clock_system;
    api.public_url = "http://127.0.0.1:1";
    atomic_store(&api.ready, true);
    loop = yg_loop_create(pool);
    struct yg_http_server_options opt = {
        .name = "calls", .address = "127.0.0.1:0", .tables = tables, .table_ctx = ctx};
    if (yg_http_server_create(loop, &opt, &server, &err) != YG_OK)
        fail_msg("%s", err.text);
    yg_loop_start(loop);
    uint64_t number = 0;
    yg_str address = yg_str_c(yg_http_server_address(server));
    assert_true(
        yg_str_to_u64(yg_str_sub(address, yg_str_rfind_char(address, ':') + 1, 9), &number));
    port = (uint16_t)number;
    arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    store_all();
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    yg_loop_stop(loop, 1000);
    yg_http_server_destroy(server);
    yg_loop_destroy(loop);
    yg_store_close(api.store);
    yg_pool_destroy(pool);
    yg_arena_destroy(arena);
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

// One exchange; the answer's body is at *ret_body. Returns the status.
static int ask(const char *method, const char *target, const char *json, yg_str *ret_body) {
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    char req[4096];
    int n =
        snprintf(req, sizeof(req),
                 "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 method, target, strlen(json), json);
    assert_int_equal(send(fd, req, (size_t)n, MSG_NOSIGNAL), n);
    out_len = 0;
    ssize_t got;
    while (out_len + 1 < sizeof(out) &&
           (got = recv(fd, out + out_len, sizeof(out) - 1 - out_len, 0)) > 0)
        out_len += (size_t)got;
    out[out_len] = '\0';
    close(fd);
    uint64_t status = 0;
    assert_true(out_len > 12 && yg_str_to_u64(yg_str_n(out + 9, 3), &status));
    size_t head = yg_str_find(yg_str_n(out, out_len), YG_STR("\r\n\r\n"), 0);
    *ret_body = yg_str_n(out + head + 4, out_len - head - 4);
    return (int)status;
}

static struct yg_json_node *json_of(yg_str body) {
    struct yg_err err = {0};
    struct yg_json_node *root = NULL;
    if (yg_json_parse(yg_arena_str(arena, body), arena, &root, &err) != YG_OK)
        fail_msg("%s in %.*s", err.text, YG_STR_FMT(body));
    return root;
}

static struct yg_json_node *search(const char *body) {
    yg_str answer;
    int status = ask("POST", "/api/yagura/v1/traces/search", body, &answer);
    if (status != 200)
        fail_msg("%d: %.*s", status, YG_STR_FMT(answer));
    return json_of(answer);
}

static struct yg_json_node *get(const char *target) {
    yg_str answer;
    int status = ask("GET", target, "", &answer);
    if (status != 200)
        fail_msg("%d: %.*s", status, YG_STR_FMT(answer));
    return json_of(answer);
}

static int64_t i64_at(const struct yg_json_node *root, const char *path) {
    return yg_json_i64_or(yg_json_path(root, path), -999);
}
static void expect_str(const struct yg_json_node *node, const char *want) {
    yg_str got = yg_json_str_or(node, YG_STR("(none)"));
    if (!yg_str_eq_c(got, want))
        fail_msg("\"%.*s\" is not \"%s\"", YG_STR_FMT(got), want);
}

// The last two digits of the answered traces' ids, in order: "01,02".
static void expect_traces(const struct yg_json_node *root, const char *want) {
    char got[256] = "";
    size_t at = 0;
    const struct yg_json_node *data = yg_json_get(root, "data");
    for (const struct yg_json_node *n = data->child; n != NULL; n = n->next) {
        yg_str id = yg_json_str_or(yg_json_get(n, "trace_id"), YG_STR(""));
        assert_int_equal(id.len, 32);
        at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%.2s", at ? "," : "", id.ptr + 30);
    }
    assert_string_equal(got, want);
}

static const struct yg_json_node *element(const struct yg_json_node *array, const char *key,
                                          const char *value) {
    for (const struct yg_json_node *n = array->child; n != NULL; n = n->next)
        if (yg_str_eq_c(yg_json_str_or(yg_json_get(n, key), YG_STR("")), value))
            return n;
    fail_msg("no element with %s = %s", key, value);
    return NULL;
}

static void finds_traces(void **state) {
    (void)state;
    expect_traces(search("{\"from\":\"now-1h\"}"), "03,01,02,04"); // by duration
    expect_traces(search("{\"from\":\"now-1h\",\"sort\":\"-spans\",\"limit\":2}"), "01,04");
    expect_traces(search("{\"from\":\"now-1h\",\"sort\":\"start\"}"), "01,02,03,04");
    expect_traces(search("{\"from\":\"now-1h\",\"sort\":\"-errors\",\"limit\":1}"), "02");
    // Any span may match, the whole trace is found.
    expect_traces(search("{\"from\":\"now-1h\",\"q\":\"service:fn type:redis\"}"), "01");
    expect_traces(search("{\"from\":\"now-1h\",\"q\":\"status:error\"}"), "02");
    expect_traces(search("{\"from\":\"now-1h\",\"q\":\"env:dev\"}"), "03");
    expect_traces(search("{\"from\":\"now-1h\",\"q\":\"service:nobody\"}"), "");
    expect_traces(search("{\"from\":\"now-1h\",\"tq\":\"service:web -> x\","
                         "\"spans\":{\"x\":\"type:redis\"}}"),
                  "01");
    expect_traces(search("{\"from\":\"now-1h\",\"tq\":\"service:fn where total_span_count:>50\"}"),
                  "");
    expect_traces(search("{\"from\":\"now-2d\",\"to\":\"now-1h\"}"), "05");
    // [min, max)
    expect_traces(search("{\"from\":\"now-1h\",\"min_duration_ns\":30000000,"
                         "\"max_duration_ns\":100000000}"),
                  "02");
    const struct yg_json_node *root = search("{\"from\":\"now-1h\",\"q\":\"type:redis\"}");
    const struct yg_json_node *row = yg_json_get(root, "data")->child;
    assert_int_equal(i64_at(row, "span_count"), 3);
    assert_int_equal(i64_at(row, "duration_ns"), 100 * MS);
    expect_str(yg_json_path(row, "root.service"), "web");
    expect_str(yg_json_path(row, "root.resource"), "GET /");
    expect_str(yg_json_path(row, "root.status_code"), "200");
    expect_str(yg_json_get(row, "env"), "prod");
    assert_true(yg_json_bool_or(yg_json_get(row, "cold"), false));
    const struct yg_json_node *services = yg_json_get(row, "services");
    assert_int_equal(services->count, 2);
    // web covers 100 ms less 50 of the function; the function's 50 less 20, and these 20
    assert_int_equal(i64_at(element(services, "name", "web"), "self_ns"), 50 * MS);
    assert_int_equal(i64_at(element(services, "name", "fn"), "self_ns"), 50 * MS);
    assert_int_equal(i64_at(element(services, "name", "fn"), "spans"), 2);
}

static void pages_through_traces(void **state) {
    (void)state;
    char body[300] = "{\"from\":\"now-1h\",\"limit\":1}";
    static const char *const wanted[] = {"03", "01", "02", "04"};
    for (int i = 0; i < 4; i++) {
        const struct yg_json_node *root = search(body);
        assert_int_equal(i64_at(root, "matched"), 4);
        expect_traces(root, wanted[i]);
        const struct yg_json_node *cursor = yg_json_get(root, "cursor");
        if (i == 3)
            assert_true(yg_json_is(cursor, YG_JSON_NULL));
        else
            (void)snprintf(body, sizeof(body),
                           "{\"from\":\"now-1h\",\"limit\":1,\"cursor\":\"%.*s\"}",
                           YG_STR_FMT(cursor->str));
    }
    const struct yg_json_node *root = search("{\"from\":\"now-1h\",\"limit\":1,\"summary\":true}");
    assert_int_equal(i64_at(root, "summary.count"), 4);
    assert_int_equal(i64_at(root, "summary.errors"), 1);
}

static void searches_in_slices(void **state) {
    (void)state;
    uint32_t rows = 0, calls = 0;
    char target[300] = "/api/yagura/v1/search/spans?from=now-1h&limit=2&budget_ms=1";
    for (; calls < 50; calls++) {
        const struct yg_json_node *root = get(target);
        rows += yg_json_get(root, "data")->count;
        assert_true(i64_at(root, "progress.bytes") <= i64_at(root, "progress.bytes_total"));
        const struct yg_json_node *cursor = yg_json_get(root, "cursor");
        if (cursor->kind == YG_JSON_NULL)
            break;
        (void)snprintf(target, sizeof(target),
                       "/api/yagura/v1/search/spans?from=now-1h&limit=2&cursor=%.*s",
                       YG_STR_FMT(cursor->str));
    }
    assert_true(calls > 1 && calls < 50);
    const struct yg_json_node *all = get("/api/yagura/v1/search/spans?from=now-1h&limit=1000");
    assert_int_equal(rows, yg_json_get(all, "data")->count);
    yg_str answer;
    assert_int_equal(ask("GET", "/api/yagura/v1/search/spans?cursor=x", "", &answer), 400);
    assert_int_equal(ask("GET", "/api/yagura/v1/search/spans?budget_ms=0", "", &answer), 400);
    assert_int_equal(ask("GET", "/api/yagura/v1/search/cats", "", &answer), 404);
}

static void refuses_bad_searches(void **state) {
    (void)state;
    static const struct {
        const char *body;
        int status;
        const char *detail;
    } cases[] = {
        {"{\"sort\":\"-cost\"}", 400, "sort: "},
        {"{\"limit\":0}", 400, "limit: "},
        {"{\"limit\":201}", 400, "limit: "},
        {"{\"cursor\":\"x\"}", 400, "cursor: "},
        {"{\"from\":\"yesterdayish\"}", 400, "from: \"yesterdayish\" is no time"},
        {"{\"from\":\"now\",\"to\":\"now-1h\"}", 422, "from must lie before to"},
        {"{\"q\":\"(service:a\"}", 400, "\"column\":"},
        {"{\"tq\":\"service:a =>\"}", 400, "a span query is missing\",\"column\":13"},
        {"{\"tq\":\"a\",\"spans\":{\"ab\":\"*\"}}", 400, "spans: at most 16 letters"},
        {"{", 400, "\"detail\":\"JSON at byte"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        yg_str answer;
        assert_int_equal(ask("POST", "/api/yagura/v1/traces/search", cases[i].body, &answer),
                         cases[i].status);
        yg_str want = yg_str_c(cases[i].detail);
        char plain[400]; // quotes stand escaped in the answer
        size_t n = 0;
        for (size_t k = 0; k < answer.len && n + 1 < sizeof(plain); k++)
            if (answer.ptr[k] != '\\')
                plain[n++] = answer.ptr[k];
        if (yg_str_find(yg_str_n(plain, n), want, 0) == SIZE_MAX)
            fail_msg("%s: %.*s", cases[i].body, YG_STR_FMT(answer));
    }
}

static void one_trace_in_every_spelling(void **state) {
    (void)state;
    static const char *const spelled[] = {"00000000000000a10000000000000001", "0000000000000001",
                                          "1"};
    for (size_t i = 0; i < 3; i++) {
        char target[100];
        yg_str body;
        (void)snprintf(target, sizeof(target), "/api/yagura/v1/traces/%s", spelled[i]);
        assert_int_equal(ask("GET", target, "", &body), 200);
        assert_true(strstr(out, "\r\nContent-Type: application/vnd.yagura.trace\r\n") != NULL);
        uint32_t n = 0;
        uint16_t flags[3];
        memcpy(&n, body.ptr + 8, 4);
        assert_int_equal(n, 3);
        assert_int_equal(body.ptr[39], (char)0xa1); // the whole id, however it was asked for
        memcpy(flags, body.ptr + 216, sizeof(flags));
        assert_int_equal(flags[0], 0);
        assert_int_equal(flags[1], YG_TRACE_COLD | YG_TRACE_HAS_EVENTS | YG_TRACE_HAS_LINKS);
        assert_int_equal(flags[2], YG_TRACE_DB);
    }
    yg_str body;
    assert_int_equal(ask("GET", "/api/yagura/v1/traces/ff", "", &body), 400);
    assert_int_equal(ask("GET", "/api/yagura/v1/traces/255", "", &body), 404);
}

static void one_span(void **state) {
    (void)state;
    static const char *const spelled[] = {"0000000000000012", "18"};
    for (size_t i = 0; i < 2; i++) {
        char target[120];
        (void)snprintf(target, sizeof(target), "/api/yagura/v1/traces/1/spans/%s", spelled[i]);
        const struct yg_json_node *root = get(target);
        expect_str(yg_json_path(root, "span.trace_id"), "00000000000000a10000000000000001");
        expect_str(yg_json_path(root, "span.parent_id"), "0000000000000011");
        expect_str(yg_json_path(root, "span.name"), "aws.lambda");
        expect_str(yg_json_get(yg_json_get(root, "tags"), "span.kind"), "server");
        assert_int_equal(
            yg_json_i64_or(yg_json_get(yg_json_get(root, "metrics"), "_sampling_priority_v1"), 0),
            1);
        assert_true(yg_json_is(yg_json_path(root, "meta_struct.appsec.t"), YG_JSON_ARRAY_BEGIN));
        const struct yg_json_node *link = yg_json_get(root, "links")->child;
        expect_str(yg_json_get(link, "span_id"), "00000000000000bb");
        assert_int_equal(i64_at(link, "attributes.k"), 1);
        const struct yg_json_node *event = yg_json_get(root, "events")->child;
        expect_str(yg_json_get(event, "time_ns"), "1795544885855000001"); // no digit is lost
        assert_int_equal(i64_at(root, "baseline.count"), 1);
        assert_int_equal(i64_at(root, "baseline.p50_ns"), 50 * MS);
    }
    yg_str body;
    assert_int_equal(ask("GET", "/api/yagura/v1/traces/1/spans/99", "", &body), 404);
    assert_int_equal(ask("GET", "/api/yagura/v1/traces/2/spans/18", "", &body), 404);
    assert_int_equal(ask("GET", "/api/yagura/v1/traces/1/spans/zz", "", &body), 400);
}

static void fleet(void **state) {
    (void)state;
    const struct yg_json_node *root = get("/api/yagura/v1/fleet?from=now-1h&env=prod");
    const struct yg_json_node *items = yg_json_get(root, "items");
    assert_int_equal(items->count, 3); // web, fn, api; nothing of env dev
    const struct yg_json_node *web = element(items, "name", "web");
    expect_str(yg_json_get(web, "kind"), "service");
    assert_int_equal(i64_at(web, "hits"), 2);
    assert_int_equal(i64_at(web, "errors"), 1);
    assert_int_equal(i64_at(web, "prev.hits"), 1); // one day earlier
    assert_int_equal(i64_at(web, "prev.errors"), 1);
    const struct yg_json_node *fn = element(items, "name", "fn");
    expect_str(yg_json_get(fn, "kind"), "function");
    assert_int_equal(i64_at(fn, "hits"), 1); // its inner span is no entry
    assert_int_equal(i64_at(fn, "cold"), 1);
    assert_true(yg_json_is(yg_json_get(fn, "prev"), YG_JSON_NULL));
    // Its caller is not stored: it says that it serves; the other orphan does not.
    assert_int_equal(i64_at(element(items, "name", "api"), "hits"), 1);
    assert_int_equal(i64_at(root, "totals.hits"), 4);
    assert_int_equal(i64_at(root, "totals.functions"), 1);
    assert_int_equal(i64_at(root, "totals.services"), 2);
    int64_t sum = 0;
    const struct yg_json_node *spark = yg_json_path(root, "totals.hits_spark");
    assert_int_equal(spark->count, 24);
    for (const struct yg_json_node *n = spark->child; n != NULL; n = n->next)
        sum += n->i64;
    assert_int_equal(sum, 4);
    assert_int_equal(i64_at(get("/api/yagura/v1/fleet?from=now-1h"), "totals.hits"), 5);
}

static int64_t count_of(const struct yg_json_node *facet, const char *value) {
    return i64_at(element(yg_json_get(facet, "values"), "value", value), "count");
}

static void facets(void **state) {
    (void)state;
    const struct yg_json_node *root = get("/api/yagura/v1/facets/spans?from=now-1h");
    assert_int_equal(i64_at(root, "total"), 7);
    const struct yg_json_node *list = yg_json_get(root, "facets");
    expect_str(yg_json_get(list->child, "key"), "service"); // reserved ones first
    assert_int_equal(count_of(element(list, "key", "service"), "web"), 3);
    assert_int_equal(count_of(element(list, "key", "env"), "prod"), 6);
    const struct yg_json_node *code = element(list, "key", "@http.status_code");
    expect_str(yg_json_get(code, "type"), "number");
    assert_int_equal(i64_at(code, "count"), 3);
    assert_int_equal(i64_at(code, "min"), 200);
    assert_int_equal(i64_at(code, "max"), 500);
    const struct yg_json_node *duration = element(list, "key", "@duration");
    assert_int_equal(i64_at(duration, "max"), 3 * S);
    for (const struct yg_json_node *n = list->child; n != NULL; n = n->next) {
        yg_str key = yg_json_str_or(yg_json_get(n, "key"), YG_STR(""));
        assert_false(yg_str_starts(key, YG_STR("_")) || yg_str_starts(key, YG_STR("@_")));
    }
    // Narrowed by a query; the traces track has entry spans only.
    root = get("/api/yagura/v1/facets/spans?from=now-1h&q=service:fn");
    assert_int_equal(i64_at(root, "total"), 2);
    root = get("/api/yagura/v1/facets/traces?from=now-1h");
    assert_int_equal(i64_at(root, "total"), 5);
    assert_int_equal(count_of(element(yg_json_get(root, "facets"), "key", "service"), "fn"), 1);
    yg_str body;
    assert_int_equal(ask("GET", "/api/yagura/v1/facets/nothing", "", &body), 404);
    assert_int_equal(ask("GET", "/api/yagura/v1/facets/spans?q=%28", "", &body), 400);
    assert_int_equal(ask("GET", "/api/yagura/v1/facets/metrics", "", &body), 400);
}

static void facet_values(void **state) {
    (void)state;
    const struct yg_json_node *root =
        get("/api/yagura/v1/facets/spans/resource_name/values?from=now-1h&prefix=get%20/&limit=2");
    const struct yg_json_node *values = yg_json_get(root, "values");
    assert_int_equal(values->count, 2);
    assert_true(yg_json_bool_or(yg_json_get(root, "more"), false));
    for (const struct yg_json_node *n = values->child; n != NULL; n = n->next)
        assert_true(
            yg_str_starts(yg_json_str_or(yg_json_get(n, "value"), YG_STR("")), YG_STR("GET /")));
    root = get("/api/yagura/v1/facets/spans/%40http.status_code/values?from=now-1h");
    expect_str(yg_json_get(root, "key"), "@http.status_code");
    values = yg_json_get(root, "values");
    assert_int_equal(values->count, 2);
    expect_str(yg_json_get(values->child, "value"), "200"); // falling count
    assert_int_equal(i64_at(values->child, "count"), 2);
    root = get("/api/yagura/v1/facets/spans/@duration/values?from=now-1h&prefix=3");
    values = yg_json_get(root, "values");
    assert_int_equal(values->count, 2); // 30 ms and 3 s
    assert_int_equal(
        yg_json_get(get("/api/yagura/v1/facets/spans/@none/values?from=now-1h"), "values")->count,
        0);
    yg_str body;
    assert_int_equal(ask("GET", "/api/yagura/v1/facets/spans/service/values?limit=101", "", &body),
                     400);
}

// What the call does not know is refused: it would delete more than was meant.
static void refuses_odd_deletions(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"track\":\"spans\",\"from\":\"now-1h\",\"to\":\"now\",\"q\":\"service:x\"}",
        "{\"track\":\"spans\",\"from\":\"now-1h\",\"to\":\"now\",\"query\":7}",
        "{\"track\":\"spans\",\"from\":\"now-1h\",\"to\":\"now\",\"query\":[\"service:x\"]}",
        "{\"track\":\"spans\",\"from\":\"now-1h\",\"query\":\"service:x\"}",
        "[]",
    };
    yg_str body;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(ask("POST", "/api/yagura/v1/data/delete", bodies[i], &body), 400);
    const struct yg_json_node *list = yg_json_get(get("/api/yagura/v1/data/delete"), "deletions");
    assert_int_equal(list->count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_traces),
        cmocka_unit_test(pages_through_traces),
        cmocka_unit_test(searches_in_slices),
        cmocka_unit_test(refuses_bad_searches),
        cmocka_unit_test(one_trace_in_every_spelling),
        cmocka_unit_test(one_span),
        cmocka_unit_test(fleet),
        cmocka_unit_test(facets),
        cmocka_unit_test(facet_values),
        cmocka_unit_test(refuses_odd_deletions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
