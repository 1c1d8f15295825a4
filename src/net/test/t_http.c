// SPDX-License-Identifier: Apache-2.0
// The HTTP server over real sockets: keep-alive, pipelining, bodies, refusals, smuggling, receipt.
#include "net_test.h"

#include "base/hash.h"

static void say(struct yg_http_request *take_req) {
    struct yg_buf body = YG_BUF(YG_MEM_NET, 128u << 10);
    yg_buf_printf(&body, "method=%u path=%.*s query=%.*s host=%.*s peer=%.*s loopback=%d",
                  (unsigned)take_req->method, YG_STR_FMT(take_req->path),
                  YG_STR_FMT(take_req->query), YG_STR_FMT(take_req->host),
                  YG_STR_FMT(take_req->peer), take_req->peer_loopback);
    for (uint32_t i = 0; i < take_req->param_count; i++)
        yg_buf_printf(&body, " p%u=%.*s", i, YG_STR_FMT(take_req->params[i]));
    bool found = false;
    yg_str q = yg_http_query(take_req, "q", &found);
    if (found)
        yg_buf_printf(&body, " q=%.*s", YG_STR_FMT(q));
    yg_buf_printf(&body, " x-a=%.*s", YG_STR_FMT(yg_http_header(take_req, "x-a")));
    struct yg_http_reply reply = {.status = 200, .content_type = "text/plain"};
    yg_buf_move(&body, &reply.body);
    reply.extra[reply.extra_count++] =
        (struct yg_http_header){YG_STR("X-Bad"), YG_STR("a\r\nInjected: 1")};
    yg_http_reply(take_req, &reply);
}

static void sum(struct yg_http_request *take_req) {
    char text[64];
    int n = snprintf(text, sizeof(text), "len=%zu crc=%08x", take_req->body.len,
                     yg_crc32c(0, take_req->body.ptr, take_req->body.len));
    assert_int_equal(take_req->own_body->len, take_req->body.len);
    yg_http_reply_text(take_req, 202, "text/plain", yg_str_n(text, (size_t)n));
}

static void big(struct yg_http_request *take_req) {
    uint64_t bytes = 0;
    assert_true(yg_str_to_u64(yg_http_query(take_req, "bytes", NULL), &bytes));
    struct yg_http_reply reply = {.status = 200, .content_type = "application/octet-stream"};
    reply.body = YG_BUF(YG_MEM_NET, bytes + 1);
    for (uint64_t i = 0; i < bytes; i++)
        yg_buf_putc(&reply.body, (char)('a' + i % 26));
    yg_http_reply(take_req, &reply);
}

static void slow(struct yg_http_request *take_req) {
    sleep_ms(60);
    yg_http_reply_text(take_req, 200, "text/plain", YG_STR("slow"));
}

static _Atomic int done_true;
static _Atomic int done_false;
static void on_done(void *arg, bool delivered) {
    assert_ptr_equal(arg, &done_true);
    atomic_fetch_add(delivered ? &done_true : &done_false, 1);
}

static void told(struct yg_http_request *take_req) {
    uint64_t ms = 0;
    if (yg_str_to_u64(yg_http_query(take_req, "ms", NULL), &ms))
        sleep_ms((int)ms);
    struct yg_http_reply reply = {.status = 202, .on_done = on_done, .on_done_arg = &done_true};
    yg_http_reply(take_req, &reply);
}

static _Atomic int saw_gone;
static void wait_gone(struct yg_http_request *take_req) {
    for (int i = 0; i < 400 && !yg_http_gone(take_req); i++)
        sleep_ms(5);
    atomic_store(&saw_gone, yg_http_gone(take_req) ? 1 : 2);
    struct yg_http_reply reply = {.status = 200, .on_done = on_done, .on_done_arg = &done_true};
    yg_http_reply(take_req, &reply);
}

static void empty(struct yg_http_request *take_req) {
    struct yg_http_reply reply = {.status = 204};
    yg_http_reply(take_req, &reply);
}

static const struct yg_route routes[] = {
    {YG_GET, "/say/{a}", 0, 0, say},
    {YG_GET, "/say/{a}/{rest*}", 0, 0, say},
    {YG_POST | YG_PUT, "/sum", 1u << 20, 0, sum},
    {YG_POST, "/tiny", 10, 0, sum},
    {YG_GET, "/big", 0, 0, big},
    {YG_GET, "/slow", 0, 0, slow},
    {YG_GET, "/told", 0, 0, told},
    {YG_GET, "/gone", 0, 0, wait_gone},
    {YG_GET, "/empty", 0, 0, empty},
    {YG_POST, "/locked", 1u << 20, 7, sum},
    {0},
};
static const struct yg_route *const tables[] = {routes, NULL};

static void guard(void *ctx, const struct yg_http_request *req,
                  struct yg_http_guard_result *ret_result) {
    assert_ptr_equal(ctx, &done_false);
    if (req->route->access != 7)
        return;
    ret_result->status = 403;
    ret_result->content_type = "application/json";
    (void)snprintf(ret_result->body, sizeof(ret_result->body), "{\"errors\":[\"Forbidden\"]}");
}

static struct net_test t;

static int set_up(void **state) {
    (void)state;
    struct yg_http_server_options opt = {
        .name = "test", .tables = tables, .guard = guard, .guard_ctx = &done_false};
    net_test_start(&t, &opt);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    net_test_stop(&t);
    return 0;
}

static char out[4u << 20];

static void gives_the_request(void **state) {
    (void)state;
    exchange(&t,
             "GET /say/a%2Fb/c%20d/e?q=1+2%26&z HTTP/1.1\r\nHost: h:1\r\nX-A:  v w \r\n"
             "Connection: close\r\n\r\n",
             out, sizeof(out));
    assert_starts(out, "HTTP/1.1 200 OK\r\n");
    assert_contains(out, "method=1 path=/say/a/b/c d/e query=q=1+2%26&z host=h:1 "
                         "peer=127.0.0.1 loopback=1 p0=a/b p1=c d/e q=1 2& x-a=v w");
    assert_contains(out, "\r\nConnection: close\r\n");
    assert_contains(out, "\r\nDate: ");
    assert_contains(out, "\r\nX-Bad: a  Injected: 1\r\n");
    assert_null(strstr(out, "\r\nInjected"));
}

// The head grows (and moves) while it is read: nothing may point to where it was.
static void long_heads_stay_in_place(void **state) {
    (void)state;
    static char req[32768];
    for (size_t len = 500; len < 14000; len += 701) {
        size_t at = (size_t)snprintf(req, sizeof(req), "GET /say/");
        for (size_t i = 0; i < len; i++)
            req[at++] = (char)('a' + i % 26);
        at += (size_t)snprintf(req + at, sizeof(req) - at,
                               "?q=last HTTP/1.1\r\nHost: right\r\nX-A: value\r\n"
                               "Connection: close\r\n\r\n");
        exchange(&t, req, out, sizeof(out));
        assert_starts(out, "HTTP/1.1 200 OK\r\n");
        assert_contains(out, " host=right ");
        assert_contains(out, " q=last x-a=value");
        char *param = strstr(out, " p0=");
        assert_non_null(param);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(param[4 + i], (char)('a' + i % 26));
    }
}

static void keeps_alive_and_answers_in_order(void **state) {
    (void)state;
    int fd = dial(&t);
    // All in one segment: the slow one first, a refused one between, a body, and one in two halves.
    send_text(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /say/1 HTTP/1.1\r\nHost: x\r\n\r\n"
                  "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
                  "POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                  "GET /say/2 HTTP/1.1\r\nHo");
    size_t len = read_until(fd, out, sizeof(out), "len=3", 1, 3000);
    send_text(fd, "st: x\r\n\r\n");
    read_until(fd, out + len, sizeof(out) - len, "p0=2", 1, 3000);
    const char *a = strstr(out, "\r\n\r\nslow");
    const char *b = strstr(out, "p0=1");
    const char *c = strstr(out, "HTTP/1.1 404 Not Found");
    const char *d = strstr(out, "len=3");
    const char *e = strstr(out, "p0=2");
    assert_true(a && b && c && d && e);
    assert_true(a < b && b < c && c < d && d < e);
    assert_null(strstr(out, "Connection: close"));
    close(fd);
}

static void answers_many_pipelined(void **state) {
    (void)state;
    int fd = dial(&t);
    enum { N = 3000 };
    static char req[N * 64];
    size_t len = 0;
    for (int i = 0; i < N; i++) // refused ones are answered without a worker: must not nest
        len += (size_t)snprintf(req + len, sizeof(req) - len, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n",
                                i % 3 ? "nope" : "empty");
    assert_int_equal(send_bytes(fd, req, len), len);
    read_until(fd, out, sizeof(out), "HTTP/1.1 404", N / 3 * 2, 5000);
    assert_int_equal(count_of(out, "HTTP/1.1 404 Not Found"), 2000);
    assert_int_equal(count_of(out, "HTTP/1.1 204 No Content"), 1000);
    close(fd);
}

static void reads_chunked_bodies(void **state) {
    (void)state;
    char want[64];
    (void)snprintf(want, sizeof(want), "len=11 crc=%08x", yg_crc32c(0, "hello world", 11));
    exchange(&t,
             "POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
             "Connection: close\r\n\r\n5\r\nhello\r\n6;ext=\"1\"\r\n world\r\n0\r\nT: r\r\n\r\n",
             out, sizeof(out));
    assert_starts(out, "HTTP/1.1 202 Accepted");
    assert_contains(out, want);
    int fd = dial(&t); // byte by byte
    const char *slowly = "POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "b\r\nhello world\r\n0\r\n\r\n";
    for (const char *p = slowly; *p; p++)
        assert_int_equal(send_bytes(fd, p, 1), 1);
    read_until(fd, out, sizeof(out), want, 1, 3000);
    assert_contains(out, want);
    close(fd);
}

static void reads_large_bodies(void **state) {
    (void)state;
    static char body[1u << 20];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)(i * 7 + i / 1000);
    int fd = dial(&t);
    char want[64];
    (void)snprintf(want, sizeof(want), "len=%zu crc=%08x", sizeof(body),
                   yg_crc32c(0, body, sizeof(body)));
    for (int round = 0; round < 2; round++) {
        send_text(fd, "PUT /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
        assert_int_equal(send_bytes(fd, body, sizeof(body)), sizeof(body));
        read_until(fd, out, sizeof(out), want, 1, 3000);
        assert_contains(out, want);
    }
    close(fd);
}

static void says_continue(void **state) {
    (void)state;
    int fd = dial(&t);
    send_text(fd,
              "POST /sum HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    read_until(fd, out, sizeof(out), "\r\n\r\n", 1, 3000);
    assert_string_equal(out, "HTTP/1.1 100 Continue\r\n\r\n");
    send_text(fd, "ab");
    read_until(fd, out, sizeof(out), "len=2", 1, 3000);
    assert_starts(out, "HTTP/1.1 202 Accepted");
    close(fd);
    // A refused one is never asked for its body.
    exchange(&t,
             "POST /locked HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
             "Content-Length: 9\r\n\r\n",
             out, sizeof(out));
    assert_starts(out, "HTTP/1.1 403 Forbidden");
    exchange(&t, "POST /sum HTTP/1.1\r\nHost: x\r\nExpect: more\r\nContent-Length: 9\r\n\r\n", out,
             sizeof(out));
    assert_starts(out, "HTTP/1.1 417 ");
}

static void refuses_ambiguous_lengths(void **state) {
    (void)state;
    static const char *const heads[] = {
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: +3",
        "Content-Length: 0x3",
        "Content-Length: 3, 3",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding : chunked",
        "Content-Length : 3",
        "Host: y",
        "Bad\x01Name: 1",
        "Folded: 1\r\n 2\x02",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        char req[512];
        (void)snprintf(req, sizeof(req),
                       "POST /sum HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                       "GET /say/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
                       heads[i]);
        exchange(&t, req, out, sizeof(out));
        if (strncmp(out, "HTTP/1.1 400 Bad Request\r\n", 26) != 0)
            fail_msg("%s: %s", heads[i], out);
        assert_contains(out, "Connection: close");
        assert_int_equal(count_of(out, "HTTP/1.1"), 1);
    }
    static const char *const codings[] = {"gzip, chunked", "xchunked", "identity", ""};
    for (size_t i = 0; i < 4; i++) { // never taken for a request without a body
        char req[256];
        (void)snprintf(req, sizeof(req),
                       "POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: %s\r\n\r\n"
                       "GET /say/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
                       codings[i]);
        exchange(&t, req, out, sizeof(out));
        assert_true(strncmp(out, "HTTP/1.1 501 ", 13) == 0 ||
                    strncmp(out, "HTTP/1.1 400 ", 13) == 0);
        assert_int_equal(count_of(out, "HTTP/1.1"), 1);
    }
    exchange(&t, "POST /sum HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", out,
             sizeof(out));
    assert_starts(out, "HTTP/1.1 400 ");
}

static void refuses_malformed(void **state) {
    (void)state;
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"GET /say/a HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "}, // no Host
        {"GARBAGE\r\n\r\n", "HTTP/1.1 "},
        {"\x16\x03\x01\x02", "HTTP/1.1 "}, // TLS on a plain port
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 "},
        {"GET /say/a HTTP/9.9\r\nHost: x\r\n\r\n", "HTTP/1.1 505 "},
        {"PURGE /say/a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 501 "},
        {"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 501 "},
        {"GET /say/%00 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
        {"POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
         "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        exchange(&t, cases[i].request, out, sizeof(out));
        assert_starts(out, cases[i].answer);
        assert_contains(out, "{\"errors\":[\"");
    }
}

static void unknown_paths_and_methods(void **state) {
    (void)state;
    int fd = dial(&t);
    send_text(fd, "DELETE /sum HTTP/1.1\r\nHost: x\r\n\r\n");
    read_until(fd, out, sizeof(out), "]}", 1, 3000);
    assert_starts(out, "HTTP/1.1 405 Method Not Allowed");
    assert_contains(out, "\r\nAllow: POST, PUT\r\n");
    // A small body of a refused request is skipped, the connection lives.
    send_text(fd, "POST /locked HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n01234"
                  "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
    read_until(fd, out, sizeof(out), "HTTP/1.1 204", 1, 3000);
    assert_starts(out, "HTTP/1.1 403 Forbidden");
    assert_contains(out, "{\"errors\":[\"Forbidden\"]}");
    assert_contains(out, "HTTP/1.1 204 No Content");
    close(fd);
}

static void head_has_no_body(void **state) {
    (void)state;
    int fd = dial(&t);
    send_text(fd, "HEAD /big?bytes=100 HTTP/1.1\r\nHost: x\r\n\r\n"
                  "HEAD /none HTTP/1.1\r\nHost: x\r\n\r\n"
                  "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
    read_until(fd, out, sizeof(out), "204 No Content", 1, 3000);
    assert_contains(out, "\r\nContent-Length: 100\r\n");
    assert_null(strstr(out, "abcdef"));
    assert_null(strstr(out, "errors"));
    assert_int_equal(count_of(out, "HTTP/1.1 "), 3);
    close(fd);
}

static void speaks_http10(void **state) {
    (void)state;
    exchange(&t, "GET /say/a HTTP/1.0\r\n\r\n", out, sizeof(out));
    assert_contains(out, "Connection: close");
    int fd = dial(&t);
    send_text(fd, "GET /say/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    read_until(fd, out, sizeof(out), "p0=a", 1, 3000);
    assert_contains(out, "Connection: keep-alive");
    send_text(fd, "GET /say/b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    read_until(fd, out, sizeof(out), "p0=b", 1, 3000);
    assert_contains(out, "p0=b");
    close(fd);
}

static void takes_proxy_and_upgrade_forms(void **state) {
    (void)state;
    exchange(&t, "GET http://host:80/say/a?q=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             out, sizeof(out));
    assert_contains(out, "path=/say/a query=q=1");
    exchange(&t,
             "GET /say/h2c HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
             "Upgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n",
             out, sizeof(out));
    assert_contains(out, "p0=h2c");
}

static void writes_large_answers_to_slow_readers(void **state) {
    (void)state;
    enum { BYTES = 24000000 }; // more than two sockets' buffers grow to
    size_t room = BYTES + 65536;
    char *text = yg_alloc(YG_MEM_NET, room);
    int fd = dial(&t);
    send_text(fd, "GET /big?bytes=24000000 HTTP/1.1\r\nHost: x\r\n\r\n"
                  "GET /say/after HTTP/1.1\r\nHost: x\r\n\r\n");
    sleep_ms(150); // the server's write has met a full socket by now
    read_until(fd, text, room, "p0=after", 1, 5000);
    char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    for (size_t i = 0; i < BYTES; i++)
        if (body[4 + i] != (char)('a' + i % 26))
            fail_msg("byte %zu differs", i);
    assert_contains(body + 4 + BYTES, "p0=after");
    close(fd);
    yg_free(YG_MEM_NET, text);
}

static void wait_for(_Atomic int *what, int value) {
    for (int i = 0; i < 400 && atomic_load(what) != value; i++)
        sleep_ms(5);
    assert_int_equal(atomic_load(what), value);
}

static void tells_what_was_delivered(void **state) {
    (void)state;
    atomic_store(&done_true, 0);
    atomic_store(&done_false, 0);
    int fd = dial(&t);
    send_text(fd, "GET /told HTTP/1.1\r\nHost: x\r\n\r\nGET /told HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&done_true, 2);
    send_text(fd, "GET /told HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    wait_for(&done_true, 3);
    close(fd);
    assert_int_equal(atomic_load(&done_false), 0);
    // The asker resets the connection while the handler works: nothing was delivered.
    fd = dial(&t);
    send_text(fd, "GET /told?ms=80 HTTP/1.1\r\nHost: x\r\n\r\n");
    sleep_ms(20);
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    wait_for(&done_false, 1);
    assert_int_equal(atomic_load(&done_true), 3);
}

static void half_closed_peers_get_their_answer(void **state) {
    (void)state;
    int fd = dial(&t);
    send_text(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /say/z HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(fd, SHUT_WR);
    assert_true(read_all(fd, out, sizeof(out), 3000));
    assert_contains(out, "\r\n\r\nslow");
    assert_contains(out, "p0=z");
    close(fd);
}

static void long_handlers_see_that_nobody_waits(void **state) {
    (void)state;
    atomic_store(&saw_gone, 0);
    atomic_store(&done_true, 0);
    atomic_store(&done_false, 0);
    int fd = dial(&t);
    send_text(fd, "GET /gone HTTP/1.1\r\nHost: x\r\n\r\n");
    sleep_ms(30);
    close(fd);
    wait_for(&saw_gone, 1);
    for (int i = 0; i < 400 && atomic_load(&done_true) + atomic_load(&done_false) == 0; i++)
        sleep_ms(5);
    assert_int_equal(atomic_load(&done_true), 0);
    assert_int_equal(atomic_load(&done_false), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_request),
        cmocka_unit_test(long_heads_stay_in_place),
        cmocka_unit_test(keeps_alive_and_answers_in_order),
        cmocka_unit_test(answers_many_pipelined),
        cmocka_unit_test(reads_chunked_bodies),
        cmocka_unit_test(reads_large_bodies),
        cmocka_unit_test(says_continue),
        cmocka_unit_test(refuses_ambiguous_lengths),
        cmocka_unit_test(refuses_malformed),
        cmocka_unit_test(unknown_paths_and_methods),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(speaks_http10),
        cmocka_unit_test(takes_proxy_and_upgrade_forms),
        cmocka_unit_test(writes_large_answers_to_slow_readers),
        cmocka_unit_test(tells_what_was_delivered),
        cmocka_unit_test(half_closed_peers_get_their_answer),
        cmocka_unit_test(long_handlers_see_that_nobody_waits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
