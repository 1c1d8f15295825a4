// SPDX-License-Identifier: Apache-2.0
// What the tests of the net room share: a server on a free port and a raw client that sees every
// byte.
#ifndef YG_NET_TEST_NET_TEST_H
#define YG_NET_TEST_NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/panic.h"
#include "net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct net_test {
    struct yg_pool *pool;
    struct yg_loop *loop;
    struct yg_http_server *server;
};

static inline void sleep_ms(int ms) {
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&ts, NULL);
}

// Starts a server with these options; address defaults to a free loopback port.
static inline void net_test_start(struct net_test *t,
                                  const struct yg_http_server_options *options) {
    struct yg_err err = {0};
    struct yg_pool_options pool_options = {.worker_count = 4};
    struct yg_http_server_options opt = *options;
    if (opt.address == NULL && opt.unix_path == NULL)
        opt.address = "127.0.0.1:0";
    t->pool = yg_pool_create(&pool_options);
    t->loop = yg_loop_create(t->pool);
    yg_rc rc = yg_http_server_create(t->loop, &opt, &t->server, &err);
    if (rc != YG_OK)
        fail_msg("%s", err.text);
    yg_loop_start(t->loop);
}

static inline void net_test_stop(struct net_test *t) {
    yg_loop_stop(t->loop, 2000);
    yg_pool_destroy(t->pool);
    yg_http_server_destroy(t->server);
    yg_loop_destroy(t->loop);
}

static inline uint16_t port_of(const char *address) {
    uint64_t port = 0;
    assert_true(yg_str_to_u64(yg_str_c(strrchr(address, ':') + 1), &port));
    return (uint16_t)port;
}

static inline int dial(const struct net_test *t) {
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(port_of(yg_http_server_address(t->server))),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

// Everything or failure of the peer; returns bytes sent.
static inline size_t send_bytes(int fd, const char *ptr, size_t len) {
    size_t at = 0;
    while (at < len) {
        ssize_t n = send(fd, ptr + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return at;
}

static inline void send_text(int fd, const char *text) {
    assert_int_equal(send_bytes(fd, text, strlen(text)), strlen(text));
}

// Reads until `stop` has been seen `times` times, EOF, an error or the time is over;
// NUL-terminates.
static inline size_t read_until(int fd, char *out, size_t out_bytes, const char *stop, int times,
                                int timeout_ms) {
    size_t len = 0;
    size_t stop_len = stop ? strlen(stop) : 0;
    const char *from = out; // where the next occurrence may begin
    int seen = 0;
    out[0] = '\0';
    while (len + 1 < out_bytes) {
        for (const char *p; stop != NULL && (p = strstr(from, stop)) != NULL; from = p + stop_len)
            seen++;
        if (stop != NULL && seen >= times)
            break;
        if (stop_len > 0 && out + len >= from + stop_len)
            from = out + len - stop_len + 1;
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        if (poll(&pfd, 1, timeout_ms) <= 0)
            break;
        ssize_t n = recv(fd, out + len, out_bytes - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        out[len] = '\0';
    }
    return len;
}

// Reads to the end of the stream. False when it did not end in time or ended with a reset.
static inline bool read_all(int fd, char *out, size_t out_bytes, int timeout_ms) {
    size_t len = 0;
    for (;;) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        out[len] = '\0';
        if (len + 1 >= out_bytes || poll(&pfd, 1, timeout_ms) <= 0)
            return false;
        ssize_t n = recv(fd, out + len, out_bytes - 1 - len, 0);
        if (n <= 0)
            return n == 0;
        len += (size_t)n;
    }
}

// One exchange on a fresh connection, to the end of the stream.
static inline void exchange(const struct net_test *t, const char *request, char *out,
                            size_t out_bytes) {
    int fd = dial(t);
    send_text(fd, request);
    assert_true(read_all(fd, out, out_bytes, 5000));
    close(fd);
}

static inline int count_of(const char *text, const char *what) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
        n++;
    return n;
}

#define assert_contains(text, what)                                                                \
    do {                                                                                           \
        if (strstr((text), (what)) == NULL)                                                        \
            fail_msg("\"%s\" is not in:\n%s", (what), (text));                                     \
    } while (0)
#define assert_starts(text, what)                                                                  \
    do {                                                                                           \
        if (strncmp((text), (what), strlen(what)) != 0)                                            \
            fail_msg("does not start with \"%s\":\n%s", (what), (text));                           \
    } while (0)

#endif
