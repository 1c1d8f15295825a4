// SPDX-License-Identifier: Apache-2.0
// Every limit of a listener with the answer that it gives: sizes, memory, connections, time, full
// lanes.
#include "net_test.h"

#include "base/counter.h"

static _Atomic int in_handler;
static _Atomic int let_go;

static void length(struct yg_http_request *take_req) {
    char text[64];
    int n = snprintf(text, sizeof(text), "len=%zu", take_req->body.len);
    yg_http_reply_text(take_req, 200, "text/plain", yg_str_n(text, (size_t)n));
}

static void hold(struct yg_http_request *take_req) {
    atomic_fetch_add(&in_handler, 1);
    while (!atomic_load(&let_go))
        sleep_ms(2);
    length(take_req);
}

static const struct yg_route routes[] = {
    {YG_POST, "/small", 1000, 0, length},
    {YG_POST, "/large", 8u << 20, 0, length},
    {YG_POST, "/hold", 8u << 20, 0, hold},
    {YG_GET, "/get", 0, 0, length},
    {0},
};
static const struct yg_route *const tables[] = {routes, NULL};

static struct net_test t;
static char out[1u << 20];

static void start(struct yg_http_server_options opt) {
    opt.name = "limits";
    opt.tables = tables;
    atomic_store(&in_handler, 0);
    atomic_store(&let_go, 0);
    net_test_start(&t, &opt);
}

static void head_sizes(void **state) {
    (void)state;
    start((struct yg_http_server_options){0});
    static char req[64u << 10];
    size_t len = (size_t)snprintf(req, sizeof(req), "GET /get HTTP/1.1\r\nHost: x\r\nX-Long: ");
    memset(req + len, 'a', 40000);
    memcpy(req + len + 40000, "\r\n\r\n", 5);
    exchange(&t, req, out, sizeof(out));
    assert_starts(out, "HTTP/1.1 431 Request Header Fields Too Large");
    assert_contains(out, "32768 bytes");

    len = (size_t)snprintf(req, sizeof(req), "GET /get?");
    memset(req + len, 'a', 40000);
    memcpy(req + len + 40000, " HTTP/1.1\r\nHost: x\r\n\r\n", 23);
    exchange(&t, req, out, sizeof(out));
    assert_starts(out, "HTTP/1.1 431 ");

    len = (size_t)snprintf(req, sizeof(req), "GET /get HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(req + len, sizeof(req) - len, "X-%d: 1\r\n", i);
    (void)snprintf(req + len, sizeof(req) - len, "\r\n");
    exchange(&t, req, out, sizeof(out));
    assert_starts(out, "HTTP/1.1 431 ");
    assert_contains(out, "more than 100 header fields");

    // Just below both limits it is served.
    len = (size_t)snprintf(req, sizeof(req),
                           "GET /get HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: ");
    memset(req + len, 'a', 32000);
    memcpy(req + len + 32000, "\r\n\r\n", 5);
    exchange(&t, req, out, sizeof(out));
    assert_starts(out, "HTTP/1.1 200 ");
    net_test_stop(&t);
}

static void body_sizes(void **state) {
    (void)state;
    start((struct yg_http_server_options){0});
    static char body[2u << 20];
    memset(body, 'b', sizeof(body));
    // Announced: refused at once, and the client that goes on sending still sees the answer.
    int fd = dial(&t);
    send_text(fd, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n");
    assert_int_equal(send_bytes(fd, body, sizeof(body)), sizeof(body));
    shutdown(fd, SHUT_WR);
    assert_true(read_all(fd, out, sizeof(out), 3000));
    assert_starts(out, "HTTP/1.1 413 Payload Too Large");
    assert_contains(out, "limit of 1000 bytes");
    assert_contains(out, "Connection: close");
    close(fd);
    // One byte too many, chunked: refused when it is reached.
    fd = dial(&t);
    send_text(fd, "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
    send_bytes(fd, body, 1001);
    read_until(fd, out, sizeof(out), "]}", 1, 3000);
    assert_starts(out, "HTTP/1.1 413 ");
    close(fd);
    // Exactly the limit passes either way.
    char req[2048];
    (void)snprintf(req, sizeof(req),
                   "POST /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   "Content-Length: 1000\r\n\r\n%.1000s",
                   body);
    exchange(&t, req, out, sizeof(out));
    assert_contains(out, "len=1000");
    (void)snprintf(req, sizeof(req),
                   "POST /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n3e8\r\n%.1000s\r\n0\r\n\r\n",
                   body);
    exchange(&t, req, out, sizeof(out));
    assert_contains(out, "len=1000");
    // Endless chunk extensions and trailers end too.
    fd = dial(&t);
    send_text(fd, "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    send_bytes(fd, body, 20000);
    read_until(fd, out, sizeof(out), "]}", 1, 3000);
    assert_starts(out, "HTTP/1.1 400 ");
    assert_contains(out, "chunk extensions and trailers exceed");
    close(fd);
    // A GET with a small body is served without it.
    exchange(&t,
             "GET /get HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnull",
             out, sizeof(out));
    assert_contains(out, "len=0");
    net_test_stop(&t);
}

static void body_memory(void **state) {
    (void)state;
    start((struct yg_http_server_options){.body_memory_max_bytes = 3u << 20});
    static char body[2u << 20];
    memset(body, 'b', sizeof(body));
    int fd = dial(&t);
    send_text(fd, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n");
    assert_int_equal(send_bytes(fd, body, sizeof(body)), sizeof(body));
    for (int i = 0; i < 400 && atomic_load(&in_handler) < 1; i++)
        sleep_ms(5);
    // Two MiB are held: two more do not fit, whether announced or not.
    exchange(&t, "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n", out,
             sizeof(out));
    assert_starts(out, "HTTP/1.1 429 Too Many Requests");
    assert_contains(out, "\r\nRetry-After: 1\r\n");
    int chunked = dial(&t);
    send_text(chunked,
              "POST /large HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n");
    send_bytes(chunked, body, sizeof(body));
    read_until(chunked, out, sizeof(out), "]}", 1, 3000);
    assert_starts(out, "HTTP/1.1 429 ");
    close(chunked);
    exchange(&t,
             "POST /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab",
             out, sizeof(out));
    assert_contains(out, "len=2");
    atomic_store(&let_go, 1);
    read_until(fd, out, sizeof(out), "len=2097152", 1, 3000);
    assert_contains(out, "len=2097152");
    // Given back.
    send_text(fd, "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n");
    assert_int_equal(send_bytes(fd, body, sizeof(body)), sizeof(body));
    read_until(fd, out, sizeof(out), "len=2097152", 1, 3000);
    assert_contains(out, "HTTP/1.1 200 ");
    close(fd);
    net_test_stop(&t);
    assert_int_equal(
        atomic_load(&yg_counter_get(YG_GAUGE, "yagura.net.body_bytes", "listener:limits")->value),
        0);
}

static void connection_count(void **state) {
    (void)state;
    start((struct yg_http_server_options){.connection_max = 2});
    int a = dial(&t);
    int b = dial(&t);
    send_text(a, "GET /get HTTP/1.1\r\nHost: x\r\n\r\n");
    send_text(b, "GET /get HTTP/1.1\r\nHost: x\r\n\r\n");
    read_until(a, out, sizeof(out), "len=0", 1, 3000);
    read_until(b, out, sizeof(out), "len=0", 1, 3000);
    int c = dial(&t);
    (void)read_all(c, out, sizeof(out), 3000);
    assert_starts(out, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n");
    close(c);
    close(a);
    sleep_ms(50);
    exchange(&t, "GET /get HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", out, sizeof(out));
    assert_starts(out, "HTTP/1.1 200 ");
    close(b);
    net_test_stop(&t);
}

static int64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void slow_clients(void **state) {
    (void)state;
    start((struct yg_http_server_options){.header_timeout_ms = 250,
                                          .body_idle_timeout_ms = 250,
                                          .body_total_timeout_ms = 800,
                                          .idle_timeout_ms = 300});
    int64_t from = now_ms();
    exchange(&t, "GET /get HTTP/1.1\r\nHo", out, sizeof(out));
    assert_starts(out, "HTTP/1.1 408 Request Timeout");
    assert_contains(out, "Connection: close");
    assert_in_range(now_ms() - from, 200, 2000);
    exchange(&t, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123", out,
             sizeof(out));
    assert_starts(out, "HTTP/1.1 408 Request Timeout");
    // A drip keeps the idle limit quiet, not the total one.
    int fd = dial(&t);
    from = now_ms();
    send_text(fd, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
    out[0] = '\0';
    for (int i = 0; i < 40 && out[0] == '\0'; i++) {
        send_bytes(fd, "z", 1);
        read_until(fd, out, sizeof(out), "]}", 1, 100);
    }
    assert_starts(out, "HTTP/1.1 408 ");
    assert_in_range(now_ms() - from, 700, 3000);
    close(fd);
    // Idle connections are closed without a word.
    fd = dial(&t);
    send_text(fd, "GET /get HTTP/1.1\r\nHost: x\r\n\r\n");
    from = now_ms();
    assert_true(read_all(fd, out, sizeof(out), 3000));
    assert_int_equal(count_of(out, "HTTP/1.1"), 1);
    assert_in_range(now_ms() - from, 200, 2000);
    close(fd);
    net_test_stop(&t);
}

static void full_lane(void **state) {
    (void)state;
    struct yg_http_server_options opt = {
        .name = "limits", .tables = tables, .address = "127.0.0.1:0"};
    struct yg_pool_options pool = {.worker_count = 2, .lane_capacity = {2, 2}};
    struct yg_err err = {0};
    atomic_store(&let_go, 0);
    t.pool = yg_pool_create(&pool);
    t.loop = yg_loop_create(t.pool);
    assert_int_equal(yg_http_server_create(t.loop, &opt, &t.server, &err), YG_OK);
    yg_loop_start(t.loop);
    int fds[8];
    for (int i = 0; i < 8; i++) {
        fds[i] = dial(&t);
        send_text(fds[i], "POST /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        sleep_ms(10);
    }
    read_until(fds[7], out, sizeof(out), "]}", 1, 3000);
    assert_starts(out, "HTTP/1.1 503 Service Unavailable");
    assert_contains(out, "\r\nRetry-After: 1\r\n");
    atomic_store(&let_go, 1);
    int served = 0;
    for (int i = 0; i < 8; i++) {
        if (i < 7)
            read_until(fds[i], out, sizeof(out), "HTTP/1.1 ", 1, 3000);
        served += strncmp(out, "HTTP/1.1 200", 12) == 0;
        close(fds[i]);
    }
    assert_in_range(served, 2, 4);
    net_test_stop(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_sizes),   cmocka_unit_test(body_sizes),
        cmocka_unit_test(body_memory),  cmocka_unit_test(connection_count),
        cmocka_unit_test(slow_clients), cmocka_unit_test(full_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
