// SPDX-License-Identifier: Apache-2.0
// The loop's life: graceful stop, late answers, posts, timers, Unix sockets, UDP, failing to bind.
#include "net_test.h"

#include <sys/stat.h>

static _Atomic int in_handler;
static _Atomic int let_go;
static _Atomic int done_true;
static _Atomic int done_false;

static void on_done(void *arg, bool delivered) {
    (void)arg;
    atomic_fetch_add(delivered ? &done_true : &done_false, 1);
}

static void hold(struct yg_http_request *take_req) {
    atomic_fetch_add(&in_handler, 1);
    while (!atomic_load(&let_go))
        sleep_ms(2);
    struct yg_http_reply reply = {.status = 200, .static_body = YG_STR("held"), .on_done = on_done};
    yg_http_reply(take_req, &reply);
}

static void peer(struct yg_http_request *take_req) {
    yg_http_reply_text(take_req, 200, "text/plain", take_req->peer);
}

static const struct yg_route routes[] = {
    {YG_GET, "/hold", 0, 0, hold},
    {YG_GET, "/peer", 0, 0, peer},
    {0},
};
static const struct yg_route *const tables[] = {routes, NULL};
static struct net_test t;
static char out[64u << 10];

static void reset_flags(void) {
    atomic_store(&in_handler, 0);
    atomic_store(&let_go, 0);
    atomic_store(&done_true, 0);
    atomic_store(&done_false, 0);
}

static void wait_for(_Atomic int *what, int value) {
    for (int i = 0; i < 600 && atomic_load(what) < value; i++)
        sleep_ms(5);
    assert_int_equal(atomic_load(what), value);
}

static void let_go_soon(void *arg) {
    (void)arg;
    sleep_ms(100);
    atomic_store(&let_go, 1);
}

static void graceful_stop(void **state) {
    (void)state;
    reset_flags();
    net_test_start(&t, &(struct yg_http_server_options){.name = "stop", .tables = tables});
    int idle = dial(&t);
    int busy = dial(&t);
    int half = dial(&t);
    send_text(busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    send_text(half, "GET /peer HTTP/1.1\r\nHo");
    wait_for(&in_handler, 1);
    sleep_ms(30);
    struct yg_thread helper;
    yg_thread_start(&helper, "helper", let_go_soon, NULL);
    yg_loop_post(t.loop, let_go_soon, NULL); // keeps the loop from noticing anything for a moment
    send_text(half, "st: x\r\n\r\n");
    yg_loop_stop(t.loop, 3000);
    yg_thread_join(&helper);
    assert_true(read_all(idle, out, sizeof(out), 1000));
    assert_string_equal(out, "");
    assert_true(read_all(busy, out, sizeof(out), 1000));
    assert_contains(out, "held");
    assert_contains(out, "Connection: close");
    assert_true(read_all(half, out, sizeof(out), 1000));
    assert_contains(out, "127.0.0.1");
    assert_contains(out, "Connection: close");
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(port_of(yg_http_server_address(t.server))),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    close(idle);
    close(busy);
    close(half);
    net_test_stop(&t);
    assert_int_equal(atomic_load(&done_true), 1);
}

static void grace_ends(void **state) {
    (void)state;
    reset_flags();
    net_test_start(&t, &(struct yg_http_server_options){.name = "stop", .tables = tables});
    int busy = dial(&t);
    send_text(busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&in_handler, 1);
    yg_loop_stop(t.loop, 50); // the handler still has the request
    (void)read_all(busy, out, sizeof(out), 1000);
    assert_string_equal(out, "");
    close(busy);
    atomic_store(&let_go, 1); // its answer comes after the loop has gone
    net_test_stop(&t);
    assert_int_equal(atomic_load(&done_false), 1);
    assert_int_equal(atomic_load(&done_true), 0);
}

static _Atomic int posted;
static _Atomic int ticked;
static void on_post(void *arg) {
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void posts_and_timers(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    struct yg_loop *loop = yg_loop_create(pool);
    yg_loop_post(loop, on_post, &posted); // before the start
    yg_loop_every(loop, 10, on_post, &ticked);
    yg_loop_start(loop);
    for (int i = 0; i < 1000; i++)
        yg_loop_post(loop, on_post, &posted);
    yg_loop_every(loop, 10, on_post, &ticked);
    wait_for(&posted, 1001);
    for (int i = 0; i < 400 && atomic_load(&ticked) < 6; i++)
        sleep_ms(5);
    assert_true(atomic_load(&ticked) >= 6);
    yg_loop_stop(loop, 0);
    yg_loop_post(loop, on_post, &posted); // after the end: runs when the loop is destroyed
    yg_loop_destroy(loop);
    assert_int_equal(atomic_load(&posted), 1002);
    yg_pool_destroy(pool);
    yg_loop_destroy(NULL);
    yg_http_server_destroy(NULL);
    yg_udp_destroy(NULL);
    yg_client_destroy(NULL);
}

static void unix_sockets(void **state) {
    (void)state;
    reset_flags();
    char dir[] = "/tmp/yg-net-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    for (int round = 0; round < 2; round++) { // the second time over a socket file left behind
        if (round == 1) {
            int stale = socket(AF_UNIX, SOCK_STREAM, 0);
            struct sockaddr_un old = {.sun_family = AF_UNIX};
            (void)snprintf(old.sun_path, sizeof(old.sun_path), "%s", path);
            assert_int_equal(bind(stale, (const struct sockaddr *)&old, sizeof(old)), 0);
            close(stale);
        }
        net_test_start(&t, &(struct yg_http_server_options){
                               .name = "unix", .unix_path = path, .tables = tables});
        struct yg_loop *other = yg_loop_create(NULL); // a live socket is not taken over
        struct yg_http_server *second = NULL;
        struct yg_err err = {0};
        assert_int_equal(yg_http_server_create(other,
                                               &(struct yg_http_server_options){.unix_path = path},
                                               &second, &err),
                         YG_EIO);
        assert_int_equal(err.sys_errno, EADDRINUSE);
        yg_loop_destroy(other);
        atomic_store(&let_go, 1);
        atomic_store(&done_true, 0);
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
        send_text(fd, "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n");
        read_until(fd, out, sizeof(out), "unix", 1, 2000);
        assert_starts(out, "HTTP/1.1 200 OK");
        send_text(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        sleep_ms(60);
        assert_int_equal(atomic_load(&done_true), 0); // not read yet: not delivered
        read_until(fd, out, sizeof(out), "held", 1, 2000);
        wait_for(&done_true, 1);
        close(fd);
        net_test_stop(&t);
        struct stat st;
        assert_int_equal(stat(path, &st), -1);
    }
    assert_int_equal(rmdir(dir), 0);
}

static _Atomic int datagrams;
static _Atomic int datagram_bytes;
static void on_datagram(void *ctx, yg_str datagram) {
    assert_ptr_equal(ctx, &datagrams);
    assert_true(datagram.len == 0 || datagram.ptr[0] == 'm');
    atomic_fetch_add(&datagram_bytes, (int)datagram.len);
    atomic_fetch_add(&datagrams, 1);
}

static void udp(void **state) {
    (void)state;
    struct yg_err err = {0};
    struct yg_loop *loop = yg_loop_create(NULL);
    struct yg_udp *u = NULL;
    if (yg_udp_create(loop, "127.0.0.1:0", on_datagram, &datagrams, &u, &err) != YG_OK)
        fail_msg("%s", err.text);
    struct yg_udp *again = NULL;
    assert_int_equal(yg_udp_create(loop, yg_udp_address(u), on_datagram, NULL, &again, &err),
                     YG_EIO);
    assert_int_equal(err.sys_errno, EADDRINUSE);
    yg_loop_start(loop);
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(port_of(yg_udp_address(u))),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    char big[60000];
    memset(big, 'm', sizeof(big));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(sendto(fd, "m.a:1|c", 7, 0, (const struct sockaddr *)&addr, sizeof(addr)),
                         7);
        if (i % 20 == 0)
            sleep_ms(2);
    }
    wait_for(&datagrams, 100);
    assert_int_equal(sendto(fd, big, sizeof(big), 0, (const struct sockaddr *)&addr, sizeof(addr)),
                     sizeof(big));
    wait_for(&datagrams, 101);
    assert_int_equal(atomic_load(&datagram_bytes), 700 + 60000);
    close(fd);
    yg_loop_stop(loop, 0);
    yg_udp_destroy(u);
    yg_loop_destroy(loop);
}

static void addresses(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:65536",
                                      "::1:80",
                                      "127.0.0.1:x",
                                      "no.such.host.invalid:1"};
    struct yg_loop *loop = yg_loop_create(NULL);
    struct yg_http_server *s = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct yg_err err = {0};
        assert_int_equal(yg_http_server_create(
                             loop, &(struct yg_http_server_options){.address = bad[i]}, &s, &err),
                         YG_EINPUT);
        assert_contains(err.text, "address \"");
    }
    struct yg_err err = {0};
    struct yg_http_server_options any = {.name = "any", .address = ":0", .tables = tables};
    assert_int_equal(yg_http_server_create(loop, &any, &s, &err), YG_OK);
    struct yg_http_server *second = NULL;
    char taken[64];
    (void)snprintf(taken, sizeof(taken), ":%u", port_of(yg_http_server_address(s)));
    assert_int_equal(yg_http_server_create(loop, &(struct yg_http_server_options){.address = taken},
                                           &second, &err),
                     YG_EIO);
    assert_int_equal(err.sys_errno, EADDRINUSE);
    assert_contains(err.text, "cannot listen on :");
    yg_http_server_destroy(s); // a loop that never ran
    yg_loop_destroy(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graceful_stop),
        cmocka_unit_test(grace_ends),
        cmocka_unit_test(posts_and_timers),
        cmocka_unit_test(unix_sockets),
        cmocka_unit_test(udp),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
