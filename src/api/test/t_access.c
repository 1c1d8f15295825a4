// SPDX-License-Identifier: Apache-2.0
// Who gets in: the guard, page sessions and the page's routes through a real listener.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/access.h"
#include "api/ui.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <sys/socket.h>
#include <unistd.h>

#define API_KEY "0123456789abcdef0123456789abcdef"
#define APP_KEY "0123456789abcdef0123456789abcdef01234567"
#define KEYS "DD-API-KEY: " API_KEY "\r\nDD-APPLICATION-KEY: " APP_KEY "\r\n"

static void yes(struct yg_http_request *take_req) {
    yg_http_reply_text(take_req, 200, "text/plain", YG_STR("in"));
}

static const struct yg_route routes[] = {
    {YG_POST, "/api/v2/logs", 1000, YG_ACCESS_API_KEY, yes},
    {YG_POST, "/v1/input/{key}", 1000, YG_ACCESS_API_KEY, yes},
    {YG_GET | YG_POST | YG_DELETE, "/api/v1/monitor", 1000, YG_ACCESS_FULL, yes},
    {YG_GET | YG_POST, "/api/yagura/v1/test", 1000, YG_ACCESS_FULL, yes},
    {YG_GET, "/open", 0, YG_ACCESS_NONE, yes},
    {0},
};

static struct yg_api api;
static struct yg_pool *pool;
static struct yg_loop *loop;
static struct yg_http_server *server;
static char dir[] = "/tmp/yg-access-XXXXXX";
static uint16_t port;
static char out[64u << 10];

static int set_up(void **state) {
    (void)state;
    static const struct yg_route *const tables[] = {routes, yg_api_ui_routes, NULL};
    static void *ctx[] = {&api, &api};
    struct yg_err err = {0};
    assert_non_null(mkdtemp(dir));
    struct yg_meta_options meta = {
        .dir = dir, .clock = &yg_clock_system, .first_api_key = API_KEY, .first_app_key = APP_KEY};
    if (yg_meta_open(&meta, &api.meta, NULL, &err) != YG_OK)
        fail_msg("%s", err.text);
    api.clock = &yg_clock_system;
    api.public_url = "http://127.0.0.1:1";
    api.ui = yg_api_ui_create();
    pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    loop = yg_loop_create(pool);
    struct yg_http_server_options opt = {.name = "api",
                                         .address = "127.0.0.1:0",
                                         .tables = tables,
                                         .table_ctx = ctx,
                                         .guard = yg_api_guard,
                                         .guard_ctx = &api,
                                         .not_found = yg_api_not_found,
                                         .not_found_ctx = &api};
    if (yg_http_server_create(loop, &opt, &server, &err) != YG_OK)
        fail_msg("%s", err.text);
    yg_loop_start(loop);
    uint64_t number = 0;
    yg_str address = yg_str_c(yg_http_server_address(server));
    assert_true(
        yg_str_to_u64(yg_str_sub(address, yg_str_rfind_char(address, ':') + 1, 9), &number));
    port = (uint16_t)number;
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
    yg_pool_destroy(pool);
    yg_http_server_destroy(server);
    yg_loop_destroy(loop);
    yg_meta_close(api.meta);
    yg_api_ui_destroy(api.ui);
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

// One exchange; headers end with "\r\n" each. Returns the status, the answer is in `out`.
static int ask(const char *method, const char *target, const char *headers) {
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    char req[4096];
    const char *host = strstr(headers, "Host:") ? "" : "Host: 127.0.0.1:1\r\n";
    int n = snprintf(req, sizeof(req), "%s %s HTTP/1.1\r\n%s%sConnection: close\r\n\r\n", method,
                     target, host, headers);
    assert_int_equal(send(fd, req, (size_t)n, MSG_NOSIGNAL), n);
    size_t len = 0;
    ssize_t got;
    while (len + 1 < sizeof(out) && (got = recv(fd, out + len, sizeof(out) - 1 - len, 0)) > 0)
        len += (size_t)got;
    out[len] = '\0';
    close(fd);
    uint64_t status = 0;
    assert_true(len > 12 && yg_str_to_u64(yg_str_n(out + 9, 3), &status));
    return (int)status;
}

static void expect_in(const char *what) {
    if (strstr(out, what) == NULL)
        fail_msg("\"%s\" is not in:\n%s", what, out);
}
static void expect_not_in(const char *what) {
    if (strstr(out, what) != NULL)
        fail_msg("\"%s\" is in:\n%s", what, out);
}

static void intakes_want_the_api_key(void **state) {
    (void)state;
    assert_int_equal(ask("POST", "/api/v2/logs", ""), 403);
    expect_in("{\"errors\":[\"Forbidden\"]}");
    struct yg_ui_refused refused;
    yg_ui_last_refused(&api, YG_RECEIVED_LOGS, &refused);
    assert_int_equal(refused.status, 403);
    assert_string_equal(refused.text, "API key is missing");
    assert_int_equal(
        ask("POST", "/api/v2/logs", "DD-API-KEY: ffffffffffffffffffffffffffffffff\r\n"), 403);
    yg_ui_last_refused(&api, YG_RECEIVED_LOGS, &refused);
    assert_string_equal(refused.text, "API key is wrong");
    assert_int_equal(ask("POST", "/api/v2/logs", "DD-API-KEY: " APP_KEY "\r\n"), 403);
    assert_int_equal(ask("POST", "/api/v2/logs", "DD-API-KEY: " API_KEY "\r\n"), 200);
    assert_int_equal(ask("POST", "/api/v2/logs?x=1&api_key=" API_KEY, ""), 200);
    assert_int_equal(ask("POST", "/api/v2/logs?dd-api-key=" API_KEY, ""), 200);
    assert_int_equal(ask("POST", "/api/v2/logs?xapi_key=" API_KEY, ""), 403);
    assert_int_equal(ask("POST", "/v1/input/" API_KEY, ""), 200);
    assert_int_equal(ask("POST", "/v1/input/" APP_KEY, ""), 403);
    assert_int_equal(ask("GET", "/open", ""), 200);
}

static void management_wants_both(void **state) {
    (void)state;
    assert_int_equal(ask("GET", "/api/v1/monitor", ""), 403);
    expect_in("{\"errors\":[\"Forbidden\"]}");
    assert_int_equal(ask("GET", "/api/v1/monitor", "DD-API-KEY: " API_KEY "\r\n"), 403);
    assert_int_equal(ask("GET", "/api/v1/monitor", "DD-APPLICATION-KEY: " APP_KEY "\r\n"), 403);
    assert_int_equal(ask("GET", "/api/v1/monitor",
                         "DD-API-KEY: " APP_KEY "\r\nDD-APPLICATION-KEY: " API_KEY "\r\n"),
                     403);
    assert_int_equal(ask("DELETE", "/api/v1/monitor", KEYS), 200);
    assert_int_equal(ask("GET", "/api/v1/monitor?api_key=" API_KEY "&application_key=" APP_KEY, ""),
                     200);
    assert_int_equal(ask("GET", "/api/v1/monitor", "Authorization: Bearer " APP_KEY "\r\n"), 200);
    assert_int_equal(ask("GET", "/api/v1/monitor", "Authorization: Bearer " API_KEY "\r\n"), 403);
    // A bearer token wins over keys: a wrong one is not mended by them.
    assert_int_equal(ask("GET", "/api/v1/monitor", KEYS "Authorization: Bearer x\r\n"), 403);
    assert_int_equal(ask("GET", "/api/yagura/v1/test", ""), 401);
    expect_in("{\"errors\":[{\"title\":\"Unauthorized\",\"detail\":\"");
    expect_in("\"request_id\":\"");
    assert_int_equal(ask("POST", "/api/yagura/v1/test", KEYS), 200); // keys need no Origin
}

static void session_text(void **state) {
    (void)state;
    char value[YG_SESSION_TEXT_BYTES];
    yg_session_make(1000000, value);
    yg_str text = yg_str_c(value);
    assert_true(yg_session_valid(text, 1000000));
    assert_true(yg_session_valid(text, 1000000 + YG_SESSION_MAX_AGE_S));
    assert_false(yg_session_valid(text, 1000001 + YG_SESSION_MAX_AGE_S));
    assert_false(yg_session_valid(text, 1000000 - 61)); // from the future
    for (size_t i = 0; i < text.len; i++) {             // no byte may differ
        char forged[YG_SESSION_TEXT_BYTES];
        memcpy(forged, value, sizeof(forged));
        forged[i] = forged[i] == '1' ? '2' : '1';
        assert_false(yg_session_valid(yg_str_n(forged, text.len), 1000000));
    }
    assert_false(yg_session_valid(yg_str_n(value, text.len - 1), 1000000));
    static const char *const broken[] = {
        "", ".", "..", "1.2", "a.b.c", "1000000.", "99999999999999999999.a.b"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_false(yg_session_valid(yg_str_c(broken[i]), 1000000));
    char other[YG_SESSION_TEXT_BYTES];
    yg_session_make(1000000, other);
    assert_string_not_equal(value, other);
}

// "Cookie: yagura_session=…\r\n" for a session that is valid now.
static void cookie_header(char header[300]) {
    char value[YG_SESSION_TEXT_BYTES];
    yg_session_make(yg_now_ns(&yg_clock_system) / YG_NS_PER_S, value);
    (void)snprintf(header, 300, "Cookie: a=b; " YG_SESSION_COOKIE "=%s; c=d\r\n", value);
}

static void sessions_read_and_write(void **state) {
    (void)state;
    char cookie[300];
    char headers[600];
    cookie_header(cookie);
    assert_int_equal(ask("GET", "/api/v1/monitor", cookie), 200);
    assert_int_equal(ask("GET", "/api/yagura/v1/test", cookie), 200);
    static const struct {
        const char *origin;
        int status;
    } cases[] = {
        {"", 403},
        {"Origin: null\r\n", 403},
        {"Origin: http://evil.example\r\n", 403},
        {"Origin: http://127.0.0.1:3000\r\n", 403}, // another port of the same host
        {"Origin: http://127.0.0.1\r\n", 403},
        {"Origin: 127.0.0.1:1\r\n", 403},
        {"Origin: http://127.0.0.1:1\r\n", 200},
        {"Origin: https://127.0.0.1:1\r\n", 200},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(headers, sizeof(headers), "%s%s", cookie, cases[i].origin);
        assert_int_equal(ask("POST", "/api/v1/monitor", headers), cases[i].status);
        assert_int_equal(ask("POST", "/api/yagura/v1/test", headers), cases[i].status);
    }
    // Intakes take no session, and a wrong key is not mended by one.
    (void)snprintf(headers, sizeof(headers), "%sOrigin: http://127.0.0.1:1\r\n", cookie);
    assert_int_equal(ask("POST", "/api/v2/logs", headers), 403);
    (void)snprintf(headers, sizeof(headers), "%sDD-API-KEY: wrong\r\n", cookie);
    assert_int_equal(ask("GET", "/api/v1/monitor", headers), 403);
    assert_int_equal(ask("GET", "/api/v1/monitor", "Cookie: " YG_SESSION_COOKIE "=1.2.3\r\n"), 403);
}

static void page_and_its_neighbours(void **state) {
    (void)state;
    assert_int_equal(ask("GET", "/health", ""), 200);
    expect_in("\r\n\r\n{\"status\":\"ok\"}");
    assert_int_equal(ask("GET", "/ready", ""), 503);
    expect_in("\"reason\":\"");
    atomic_store(&api.ready, true);
    assert_int_equal(ask("GET", "/ready", ""), 200);
    atomic_store(&api.disk_full, true);
    assert_int_equal(ask("GET", "/ready", ""), 503);
    expect_in("\"reason\":\"the disk is full");
    atomic_store(&api.disk_full, false);
    atomic_store(&api.ready, false);
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    expect_in("Content-Type: text/plain; version=0.0.4");
    expect_in("# TYPE yagura_net_requests counter\nyagura_net_requests{listener=\"api\",status=\"");
    assert_int_equal(ask("GET", "/", "Accept: */*\r\n"), 200);
    expect_in("Content-Type: application/json");
    expect_in("\"agents\":{\"prefixes_ipv4\":[\"");
    expect_not_in("Set-Cookie");
    assert_int_equal(ask("GET", "/traces", "Accept: text/html\r\n"), 200);
    expect_in("Content-Type: text/html; charset=utf-8");
    expect_in("Content-Security-Policy: default-src 'self'; img-src 'self' data:;");
    expect_in("X-Content-Type-Options: nosniff\r\n");
    expect_in("Referrer-Policy: same-origin\r\n");
    expect_in("Cache-Control: no-store\r\n");
    assert_int_equal(ask("GET", "/apm/traces?query=a&from_ts=5", "Accept: text/html\r\n"), 302);
    expect_in("\r\nLocation: /traces?q=a&from=5\r\n");
    assert_int_equal(ask("GET", "/assets/none.js", ""), 404);
    expect_not_in("<html");
    assert_int_equal(ask("GET", "/api/v2/unheard/of", KEYS), 404);
    expect_in("{\"errors\":[\"Not found\"]}");
    assert_int_equal(ask("GET", "/api/yagura/v1/none", ""), 404);
    expect_in("\"request_id\"");
    assert_int_equal(ask("DELETE", "/api/v2/logs", KEYS), 405);
    expect_in("\r\nAllow: POST\r\n");
    assert_int_equal(ask("POST", "/traces", ""), 404);
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    expect_in("yagura_api_unknown_path{path=\"/api/v2/unheard/of\"} 1\n");
}

static void who_may_have_a_session(void **state) {
    (void)state;
    static const struct {
        const char *host;
        bool allowed;
    } cases[] = {
        {"127.0.0.1:8080", true},
        {"localhost:8080", true},
        {"LOCALHOST", true},
        {"[::1]:8080", true},
        {"127.0.0.1", true},
        {"127.9.8.7:1", true},
        {"evil.example", false},
        {"evil.example:8080", false},
        {"127.0.0.1.evil.example", false},
        {"localhost.evil.example", false},
        {"127.evil", false},
        {"127.0.0.256", false},
        {"127.0.0", false},
        {"10.0.0.1:8080", false},
        {"[::2]:80", false},
        {"", false},
        {"1127.0.0.1", false},
        {"127.0.0.1.5", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yg_http_request req = {.peer_loopback = true, .host = yg_str_c(cases[i].host)};
        if (yg_session_allowed(&req) != cases[i].allowed)
            fail_msg("Host: %s", cases[i].host);
        req.peer_loopback = false;
        assert_false(yg_session_allowed(&req));
    }
}

static void the_page_gives_one(void **state) {
    (void)state;
    if (!yg_ui_assets_there()) // without a page there is no session to give
        skip();
    assert_int_equal(ask("GET", "/", "Accept: text/html\r\n"), 200);
    expect_in("\r\nSet-Cookie: " YG_SESSION_COOKIE "=");
    expect_in("; HttpOnly; SameSite=Strict; Path=/\r\n");
    expect_in("id=\"boot\">{\"version\":\"" YG_VERSION "\",\"session\":true,\"now_ms\":");
    assert_int_equal(ask("GET", "/", "Accept: text/html\r\nHost: evil.example\r\n"), 200);
    expect_not_in("Set-Cookie");
    expect_in("\"session\":false");
    char cookie[300];
    char headers[400];
    cookie_header(cookie);
    (void)snprintf(headers, sizeof(headers), "%sAccept: text/html\r\n", cookie);
    assert_int_equal(ask("GET", "/logs", headers), 200);
    expect_not_in("Set-Cookie"); // it has one
    expect_in("\"session\":true");
    const char *src = strstr(out, "src=\"/assets/");
    assert_non_null(src);
    char path[200];
    (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(src + 5, "\""), src + 5);
    assert_int_equal(ask("GET", path, "Accept-Encoding: gzip, br\r\n"), 200);
    expect_in("Content-Encoding: gzip\r\n");
    expect_in("Cache-Control: public, max-age=31536000, immutable\r\n");
    const char *etag = strstr(out, "ETag: ");
    (void)snprintf(headers, sizeof(headers), "If-None-Match: %.*s\r\n",
                   (int)strcspn(etag + 6, "\r"), etag + 6);
    assert_int_equal(ask("GET", path, headers), 304);
    assert_int_equal(ask("GET", path, "Accept-Encoding: gzip;q=0\r\n"), 200);
    expect_not_in("Content-Encoding");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intakes_want_the_api_key),
        cmocka_unit_test(management_wants_both),
        cmocka_unit_test(session_text),
        cmocka_unit_test(sessions_read_and_write),
        cmocka_unit_test(page_and_its_neighbours),
        cmocka_unit_test(who_may_have_a_session),
        cmocka_unit_test(the_page_gives_one),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
