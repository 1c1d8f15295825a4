// SPDX-License-Identifier: Apache-2.0
// A listener with its routes, limits and counters; connections are http_conn.c's.
#include "net/net_internal.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static void on_connection(uv_stream_t *listener, int status) {
    if (status == 0)
        net_conn_accept(listener->data);
}

static struct yg_counter *counter(const char *name, const char *what, const char *listener,
                                  enum yg_counter_kind kind) {
    char tags[128];
    (void)snprintf(tags, sizeof(tags), "listener:%s%s", listener, what);
    return yg_counter_get(kind, name, tags);
}

static void make_counters(struct yg_http_server *server) {
    static const char *const classes[6] = {",status:none", ",status:1xx", ",status:2xx",
                                           ",status:3xx",  ",status:4xx", ",status:5xx"};
    struct net_server_counters *c = &server->counters;
    const char *name = server->own_name;
    c->open = counter("yagura.net.connections_open", "", name, YG_GAUGE);
    c->accepted = counter("yagura.net.connections", "", name, YG_COUNTER);
    c->refused = counter("yagura.net.connections_refused", "", name, YG_COUNTER);
    c->bytes_in = counter("yagura.net.bytes", ",direction:in", name, YG_COUNTER);
    c->bytes_out = counter("yagura.net.bytes", ",direction:out", name, YG_COUNTER);
    c->timeouts = counter("yagura.net.timeouts", "", name, YG_COUNTER);
    c->body_bytes = counter("yagura.net.body_bytes", "", name, YG_GAUGE);
    // Bounds in seconds, as Prometheus wants them: every bucket holds those before it.
    static const char *const bounds[NET_DURATIONS] = {
        ",le:0.001", ",le:0.005", ",le:0.01", ",le:0.025", ",le:0.05",
        ",le:0.1",   ",le:0.25",  ",le:0.5",  ",le:1",     ",le:+Inf"};
    for (size_t i = 0; i < NET_DURATIONS; i++)
        c->within[i] =
            counter("yagura.net.request_duration_seconds_bucket", bounds[i], name, YG_COUNTER);
    c->duration_sum_us = counter("yagura.net.request_duration_microseconds", "", name, YG_COUNTER);
    for (size_t i = 0; i < 6; i++)
        c->status[i] = counter("yagura.net.requests", classes[i], name, YG_COUNTER);
}

static yg_rc listen_tcp(struct yg_http_server *server, struct yg_err *err) {
    const char *text = server->opt.address;
    struct sockaddr_storage addr;
    YG_TRY(net_address_resolve(text, false, &addr, err));
    uv_tcp_init(&server->loop->uv, &server->listener.tcp);
    server->listener_open = true;
    int rc = uv_tcp_bind(&server->listener.tcp, (const struct sockaddr *)&addr, 0);
    if (rc == 0)
        rc = uv_listen(&server->listener.stream, BACKLOG, on_connection);
    if (rc != 0) {
        (void)yg_fail(err, YG_EIO, "cannot listen on %s: %s", text, uv_strerror(rc));
        if (err)
            err->sys_errno = -rc;
        return YG_EIO;
    }
    struct sockaddr_storage real = {0};
    int len = sizeof(real);
    uv_tcp_getsockname(&server->listener.tcp, (struct sockaddr *)&real, &len);
    net_address_text((const struct sockaddr *)&real, true, server->address,
                     sizeof(server->address));
    return YG_OK;
}

// Somebody accepts connections on this socket file.
static bool socket_alive(const char *path) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    int fd = n > 0 && (size_t)n < sizeof(addr.sun_path) ? socket(AF_UNIX, SOCK_STREAM, 0) : -1;
    bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0;
    if (fd >= 0)
        (void)close(fd);
    return alive;
}

// A socket file that nobody listens on any more is taken over; a live one is an error.
static yg_rc listen_unix(struct yg_http_server *server, struct yg_err *err) {
    const char *path = server->own_unix_path;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !socket_alive(path))
        (void)unlink(path);
    uv_pipe_init(&server->loop->uv, &server->listener.pipe, 0);
    server->listener_open = true;
    int rc = uv_pipe_bind(&server->listener.pipe, path);
    if (rc == 0)
        rc = uv_listen(&server->listener.stream, BACKLOG, on_connection);
    if (rc == 0)
        rc = uv_pipe_chmod(&server->listener.pipe, UV_WRITABLE | UV_READABLE);
    if (rc != 0) {
        (void)yg_fail(err, YG_EIO, "cannot listen on %.150s: %s", path, uv_strerror(rc));
        if (err)
            err->sys_errno = -rc;
        return YG_EIO;
    }
    (void)snprintf(server->address, sizeof(server->address), "%.120s", path);
    return YG_OK;
}

static void set_defaults(struct yg_http_server_options *opt) {
    if (opt->connection_max == 0)
        opt->connection_max = 4096;
    if (opt->body_memory_max_bytes == 0)
        opt->body_memory_max_bytes = UINT64_C(256) << 20;
    if (opt->header_timeout_ms == 0)
        opt->header_timeout_ms = 10000;
    if (opt->body_idle_timeout_ms == 0)
        opt->body_idle_timeout_ms = 15000;
    if (opt->body_total_timeout_ms == 0)
        opt->body_total_timeout_ms = 120000;
    if (opt->idle_timeout_ms == 0)
        opt->idle_timeout_ms = 75000;
}

static void server_free(struct yg_http_server *server) {
    net_router_destroy(server->router);
    yg_free(YG_MEM_NET, server->own_name);
    yg_free(YG_MEM_NET, server->own_unix_path);
    server->magic = 0;
    yg_free(YG_MEM_NET, server);
}

static void on_failed_closed(uv_handle_t *handle) {
    server_free(handle->data);
}

yg_rc yg_http_server_create(struct yg_loop *loop, const struct yg_http_server_options *options,
                            struct yg_http_server **ret_server, struct yg_err *err) {
    YG_CHECK(loop, NET_LOOP_MAGIC);
    YG_ASSERT(loop->phase == NET_LOOP_NEW);
    struct yg_http_server *server = yg_calloc(YG_MEM_NET, 1, sizeof(*server));
    server->magic = NET_SERVER_MAGIC;
    server->loop = loop;
    server->opt = *options;
    set_defaults(&server->opt);
    const char *name = options->name ? options->name : "http";
    server->own_name = yg_strndup(YG_MEM_NET, name, strlen(name));
    if (options->unix_path != NULL)
        server->own_unix_path =
            yg_strndup(YG_MEM_NET, options->unix_path, strlen(options->unix_path));
    server->listener.handle.data = server;
    make_counters(server);
    yg_rc rc = net_router_create(options->tables, options->table_ctx, &server->router, err);
    if (rc == YG_OK)
        rc = server->own_unix_path ? listen_unix(server, err) : listen_tcp(server, err);
    server->listener.handle.data = server;
    if (rc != YG_OK) {
        if (server->listener_open)
            uv_close(&server->listener.handle, on_failed_closed);
        else
            server_free(server);
        return rc;
    }
    server->opt.name = server->own_name;
    server->opt.unix_path = server->own_unix_path;
    server->opt.address = server->address;
    server->next = loop->servers;
    loop->servers = server;
    *ret_server = server;
    return YG_OK;
}

const char *yg_http_server_address(const struct yg_http_server *server) {
    YG_CHECK(server, NET_SERVER_MAGIC);
    return server->address;
}

void net_server_stop_listening(struct yg_http_server *server) {
    if (!server->listener_open)
        return;
    server->listener_open = false;
    uv_close(&server->listener.handle, NULL);
    if (server->own_unix_path != NULL)
        (void)unlink(server->own_unix_path);
}

void yg_http_server_destroy(struct yg_http_server *server) {
    if (server == NULL)
        return;
    YG_CHECK(server, NET_SERVER_MAGIC);
    struct yg_loop *loop = server->loop;
    if (loop->phase == NET_LOOP_NEW)
        yg_loop_stop(loop, 0);
    YG_ASSERT(loop->phase == NET_LOOP_ENDED);
    // Handlers that were not answered within the grace still hold requests of this server.
    for (int waited_ms = 0;; waited_ms++) {
        net_loop_flush(loop);
        if (atomic_load_explicit(&server->outstanding, memory_order_acquire) == 0)
            break;
        if (waited_ms >= 30000)
            yg_panic(__FILE__, __LINE__, "server %s: requests were never answered",
                     server->own_name);
        uv_sleep(1);
    }
    YG_ASSERT(server->conn_count == 0);
    for (struct yg_http_server **at = &loop->servers; *at != NULL; at = &(*at)->next)
        if (*at == server) {
            *at = server->next;
            break;
        }
    server_free(server);
}
