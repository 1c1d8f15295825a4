// SPDX-License-Identifier: Apache-2.0
// One connection: reading, dispatch, writing, time limits, lingering close, and what the peer
// acknowledged.
//
//   IDLE → HEAD → (BODY) → BUSY → WRITE → IDLE …            one request at a time, in order
//                             └──────────→ LINGER → CLOSED    after a closing answer
// Bytes that arrive while a request is answered wait in conn->pending (bounded: then reading
// stops), so pipelined requests are answered in their order without any bookkeeping.
//
// Lingering: after the last answer the sending side is shut down, and what still arrives is read
// and dropped for a while; closing at once would make the kernel send RST, and the peer could lose
// the answer that says why its body was refused.
//
// Receipt: an answer counts as delivered when the kernel's send queue (SIOCOUTQ: bytes that the
// peer's TCP has not acknowledged; on Unix sockets bytes that the peer has not read) no longer
// holds any of it.
#include "net/net_internal.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

static void conn_resume(struct net_conn *conn);
static void conn_written(struct net_conn *conn);

// --- receipt ------------------------------------------------------------------------------------

static uint64_t acked_bytes(struct net_conn *conn) {
    uv_os_fd_t fd = -1;
    int unsent = 0;
    if (uv_fileno(&conn->u.handle, &fd) != 0 || ioctl(fd, SIOCOUTQ, &unsent) != 0 || unsent < 0)
        return 0;
    uint64_t given = conn->out_total - uv_stream_get_write_queue_size(&conn->u.stream);
    if (conn->server->own_unix_path != NULL)
        return unsent == 0 ? given : 0;
    return given >= (uint64_t)unsent ? given - (uint64_t)unsent : 0;
}

static void ack_unlist(struct net_conn *conn) {
    if (!conn->ack_listed)
        return;
    struct yg_loop *loop = conn->server->loop;
    if (conn->ack_prev != NULL)
        conn->ack_prev->ack_next = conn->ack_next;
    else
        loop->acks = conn->ack_next;
    if (conn->ack_next != NULL)
        conn->ack_next->ack_prev = conn->ack_prev;
    conn->ack_listed = false;
}

// Calls what is known to have arrived; `last` gives up on the rest.
static void resolve_done(struct net_conn *conn, bool last) {
    if (conn->done_first == NULL)
        return;
    uint64_t acked = conn->peer_error ? 0 : acked_bytes(conn);
    while (conn->done_first != NULL) {
        struct net_done *done = conn->done_first;
        bool delivered = done->end <= acked;
        if (!delivered && !last)
            return;
        conn->done_first = done->next;
        if (conn->done_first == NULL)
            conn->done_last = NULL;
        done->fn(done->arg, delivered);
        yg_free(YG_MEM_NET, done);
    }
    ack_unlist(conn);
}

void net_conn_ack_poll(struct yg_loop *loop) {
    for (struct net_conn *c = loop->acks, *next; c != NULL; c = next) {
        next = c->ack_next;
        resolve_done(c, false);
        bool nothing_awaited = c->peer_eof || loop->phase != NET_LOOP_RUNNING;
        if (c->done_first == NULL && c->state == NET_CONN_LINGER && nothing_awaited)
            net_conn_close(c);
    }
}

// The answer of conn->x was given to the kernel: notes whom to tell when it has arrived.
static void await_receipt(struct net_conn *conn) {
    struct net_exchange *x = conn->x;
    if (!x->done_set)
        return;
    x->done_set = false;
    struct net_done *done = yg_calloc(YG_MEM_NET, 1, sizeof(*done));
    *done = (struct net_done){.end = conn->out_total, .fn = x->on_done, .arg = x->on_done_arg};
    if (conn->done_last != NULL)
        conn->done_last->next = done;
    else
        conn->done_first = done;
    conn->done_last = done;
    resolve_done(conn, false);
    if (conn->done_first == NULL || conn->ack_listed)
        return;
    struct yg_loop *loop = conn->server->loop;
    conn->ack_prev = NULL;
    conn->ack_next = loop->acks;
    if (loop->acks != NULL)
        loop->acks->ack_prev = conn;
    loop->acks = conn;
    conn->ack_listed = true;
    net_loop_tick_faster(loop);
}

// --- closing ------------------------------------------------------------------------------------

static void drop_exchange(struct net_exchange *x) {
    if (x->done_set)
        x->on_done(x->on_done_arg, false);
    net_exchange_put(x);
}

static void on_closed(uv_handle_t *handle) {
    struct net_conn *conn = handle->data;
    struct yg_http_server *server = conn->server;
    if (conn->x != NULL)
        drop_exchange(conn->x);
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    server->conn_count--;
    yg_counter_set(server->counters.open, server->conn_count);
    yg_buf_fini(&conn->pending);
    conn->magic = 0;
    yg_free(YG_MEM_NET, conn);
    net_loop_conn_closed(server->loop);
}

void net_conn_close(struct net_conn *conn) {
    if (conn->state == NET_CONN_CLOSED)
        return;
    resolve_done(conn, true);
    struct net_exchange *x = conn->x;
    if (x != NULL &&
        x->with_handler) { // the handler still has it; its answer will find no connection
        atomic_store_explicit(&x->gone, true, memory_order_relaxed);
        x->conn = NULL;
        conn->x = NULL;
    }
    conn->state = NET_CONN_CLOSED;
    uv_close(&conn->u.handle, on_closed);
}

static void set_state(struct net_conn *conn, enum net_conn_state state) {
    conn->state = state;
    conn->phase_ms = conn->byte_ms = conn->server->loop->now_ms;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf);
static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);

static void start_reading(struct net_conn *conn) {
    if (conn->reading || conn->peer_eof || conn->state == NET_CONN_CLOSED)
        return;
    conn->reading = uv_read_start(&conn->u.stream, on_alloc, on_read) == 0;
}

static void stop_reading(struct net_conn *conn) {
    if (!conn->reading)
        return;
    uv_read_stop(&conn->u.stream);
    conn->reading = false;
}

static void on_shutdown(uv_shutdown_t *req, int status) {
    struct net_conn *conn = req->data;
    if (conn->state == NET_CONN_CLOSED)
        return;
    if (status != 0)
        conn->peer_error = true;
    if (status != 0 || (conn->peer_eof && conn->done_first == NULL))
        net_conn_close(conn);
}

static void linger(struct net_conn *conn) {
    set_state(conn, NET_CONN_LINGER);
    yg_buf_fini(&conn->pending);
    conn->pending_at = 0;
    conn->shutdown_req.data = conn;
    if (uv_shutdown(&conn->shutdown_req, &conn->u.stream, on_shutdown) != 0)
        net_conn_close(conn);
    else
        start_reading(conn);
}

// --- writing ------------------------------------------------------------------------------------

void net_continue(struct net_conn *conn) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buf = {.base = (char *)(uintptr_t)text, .len = sizeof(text) - 1};
    int n = uv_try_write(&conn->u.stream, &buf, 1);
    if (n > 0)
        conn->out_total +=
            (uint64_t)n; // the queue is empty here, so it goes whole or the peer is gone
}

static void finish_head(struct net_conn *conn, struct net_exchange *x) {
    struct yg_loop *loop = conn->server->loop;
    bool more = conn->pending_at < conn->pending.len;
    conn->close_after = x->want_close || !x->keep_alive || conn->parser_dead ||
                        loop->phase != NET_LOOP_RUNNING || (conn->peer_eof && !more);
    struct yg_buf *out = &x->out_head;
    yg_buf_puts(out, YG_STR("Date: "));
    yg_buf_puts(out, net_loop_date(loop));
    if (conn->close_after)
        yg_buf_puts(out, YG_STR("\r\nConnection: close\r\n\r\n"));
    else if (x->http10)
        yg_buf_puts(out, YG_STR("\r\nConnection: keep-alive\r\n\r\n"));
    else
        yg_buf_puts(out, YG_STR("\r\n\r\n"));
    YG_ASSERT(!out->failed);
}

static void on_write(uv_write_t *req, int status) {
    struct net_conn *conn = req->data;
    if (conn->state == NET_CONN_CLOSED)
        return;
    if (status != 0) {
        conn->peer_error = true;
        net_conn_close(conn);
        return;
    }
    conn_written(conn);
    conn_resume(conn);
}

static void count_duration(const struct net_exchange *x) {
    static const uint64_t bounds_us[NET_DURATIONS] = {1000,   5000,   10000,  25000,   50000,
                                                      100000, 250000, 500000, 1000000, UINT64_MAX};
    const struct net_server_counters *counters = &x->server->counters;
    if (x->complete_ns == 0)
        return;
    uint64_t us = (uv_hrtime() - x->complete_ns) / 1000;
    yg_counter_add(counters->duration_sum_us, (int64_t)us);
    for (uint32_t i = NET_DURATIONS; i > 0 && us <= bounds_us[i - 1]; i--)
        yg_counter_add(counters->within[i - 1], 1);
}

// Sends the formatted answer of conn->x.
static void conn_write(struct net_conn *conn) {
    struct net_exchange *x = conn->x;
    const struct net_server_counters *counters = &conn->server->counters;
    finish_head(conn, x);
    set_state(conn, NET_CONN_WRITE);
    yg_str body = x->out_static.len > 0 ? x->out_static : yg_buf_str(&x->out_body);
    uv_buf_t bufs[2] = {{.base = x->out_head.ptr, .len = x->out_head.len},
                        {.base = (char *)(uintptr_t)body.ptr, .len = body.len}};
    size_t total = bufs[0].len + bufs[1].len;
    yg_counter_add(counters->status[x->status / 100], 1);
    count_duration(x);
    yg_counter_add(counters->bytes_out, (int64_t)total);
    conn->out_total += total;
    int n = uv_try_write(&conn->u.stream, bufs, body.len > 0 ? 2 : 1);
    if (n < 0 && n != UV_EAGAIN) {
        conn->peer_error = true;
        net_conn_close(conn);
        return;
    }
    size_t done = n > 0 ? (size_t)n : 0;
    if (done == total) {
        conn_written(conn);
        return;
    }
    for (int i = 0; i < 2; i++) {
        size_t cut = done < bufs[i].len ? done : bufs[i].len;
        bufs[i].base += cut;
        bufs[i].len -= cut;
        done -= cut;
    }
    conn->write_req.data = conn;
    conn->queue_seen = bufs[0].len + bufs[1].len;
    if (uv_write(&conn->write_req, &conn->u.stream, bufs, 2, on_write) != 0) {
        conn->peer_error = true;
        net_conn_close(conn);
    }
}

// Every byte of the answer is with the kernel.
static void conn_written(struct net_conn *conn) {
    await_receipt(conn);
    net_exchange_put(conn->x);
    conn->x = NULL;
    if (conn->close_after)
        linger(conn);
    else
        set_state(conn, NET_CONN_IDLE);
}

// --- dispatch -----------------------------------------------------------------------------------

static void run_handler(void *arg) {
    struct net_exchange *x = arg;
    x->handler(&x->req);
}

// conn->x is complete, or refused.
static void dispatch(struct net_conn *conn) {
    struct net_exchange *x = conn->x;
    struct yg_http_server *server = conn->server;
    if (x->refuse_status == 0) {
        YG_ASSERT(x->handler != NULL);
        x->with_handler = true;
        atomic_fetch_add_explicit(&server->outstanding, 1, memory_order_relaxed);
        if (yg_pool_submit(server->loop->pool, YG_LANE_INTERACTIVE, run_handler, x, NULL) == YG_OK)
            return;
        x->with_handler = false;
        atomic_fetch_sub_explicit(&server->outstanding, 1, memory_order_relaxed);
        net_refuse(x, 503, "the queue of requests is full; try again later");
        x->refuse_retry_after_s = 1;
    }
    conn->linger_long = conn->parser_dead;
    net_reply_refusal(x);
    conn_write(conn);
}

void net_conn_replied(struct net_exchange *x) {
    struct yg_http_server *server = x->server;
    x->with_handler = false;
    struct net_conn *conn = x->conn;
    if (conn == NULL) {
        drop_exchange(x);
    } else {
        conn_write(conn);
        conn_resume(conn);
    }
    atomic_fetch_sub_explicit(&server->outstanding, 1, memory_order_release);
}

// --- reading ------------------------------------------------------------------------------------

static bool parsing(const struct net_conn *conn) {
    return conn->state <= NET_CONN_BODY;
}

// Parses while the connection wants requests; returns how many bytes were used.
static size_t feed(struct net_conn *conn, const char *ptr, size_t len) {
    size_t used = 0;
    while (used < len && parsing(conn)) {
        used += net_parser_feed(conn, ptr + used, len - used);
        if (conn->state == NET_CONN_BUSY)
            dispatch(conn);
    }
    return used;
}

// Goes on with what was read ahead, after an answer. Never nests: a synchronous answer inside the
// walk comes back here at once and the outer walk goes on.
static void conn_resume(struct net_conn *conn) {
    if (conn->pumping)
        return;
    conn->pumping = true;
    while (conn->pending_at < conn->pending.len && parsing(conn))
        conn->pending_at +=
            feed(conn, conn->pending.ptr + conn->pending_at, conn->pending.len - conn->pending_at);
    conn->pumping = false;
    if (conn->state == NET_CONN_CLOSED || conn->state == NET_CONN_LINGER)
        return;
    if (conn->pending_at == conn->pending.len) {
        yg_buf_fini(&conn->pending);
        conn->pending_at = 0;
        if (conn->peer_eof && parsing(conn)) {
            net_conn_close(conn);
            return;
        }
    }
    if (conn->pending.len - conn->pending_at < NET_PENDING_MAX_BYTES)
        start_reading(conn);
}

static void read_ahead(struct net_conn *conn, const char *ptr, size_t len) {
    yg_buf_put(&conn->pending, ptr, len);
    if (conn->pending.failed) { // memory of the room is used up
        net_conn_close(conn);
        return;
    }
    if (conn->pending.len - conn->pending_at >= NET_PENDING_MAX_BYTES)
        stop_reading(conn);
}

static void on_bytes(struct net_conn *conn, const char *ptr, size_t len) {
    conn->byte_ms = conn->server->loop->now_ms;
    yg_counter_add(conn->server->counters.bytes_in, (int64_t)len);
    resolve_done(conn, false);
    if (conn->state == NET_CONN_LINGER || conn->parser_dead) {
        conn->dropped_bytes += len;
        if (conn->dropped_bytes > NET_LINGER_MAX_BYTES)
            net_conn_close(conn);
        return;
    }
    size_t used = 0;
    if (parsing(conn) && conn->pending.len == 0) {
        conn->pumping = true;
        used = feed(conn, ptr, len);
        conn->pumping = false;
    }
    if (used < len && conn->state < NET_CONN_LINGER)
        read_ahead(conn, ptr + used, len - used);
}

static void on_gone(struct net_conn *conn, bool eof) {
    stop_reading(conn);
    conn->peer_eof = true;
    if (!eof) {
        conn->peer_error = true;
        net_conn_close(conn);
        return;
    }
    if (conn->x != NULL)
        atomic_store_explicit(&conn->x->gone, true, memory_order_relaxed);
    if (conn->state == NET_CONN_LINGER) {
        resolve_done(conn, false);
        if (conn->done_first == NULL)
            net_conn_close(conn);
    } else if (parsing(conn)) {
        net_conn_close(conn); // idle, or half a request
    }                         // else a half-closed peer may still want its answer
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    (void)suggested;
    struct net_conn *conn = handle->data;
    *ret_buf = uv_buf_init(conn->server->loop->read_buf, NET_READ_BYTES);
    // A body of known length is read to where it will stay; on_body finds it there.
    struct net_exchange *x = conn->x;
    if (conn->state != NET_CONN_BODY || x == NULL || x->discard || x->chunked ||
        conn->pending.len > 0 || x->body_announced <= x->body.len)
        return;
    size_t room = x->body.cap - x->body.len;
    uint64_t left = x->body_announced - x->body.len;
    if (room >= NET_DIRECT_BYTES_MIN || room >= left)
        *ret_buf =
            uv_buf_init(x->body.ptr + x->body.len, (unsigned)(room < left ? room : (size_t)left));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf) {
    struct net_conn *conn = stream->data;
    conn->server->loop->now_ms = (int64_t)uv_now(&conn->server->loop->uv);
    if (nread > 0)
        on_bytes(conn, buf->base, (size_t)nread);
    else if (nread < 0)
        on_gone(conn, nread == UV_EOF);
}

// --- time ---------------------------------------------------------------------------------------

static void time_out(struct net_conn *conn, const char *what) {
    yg_counter_add(conn->server->counters.timeouts, 1);
    if (conn->x == NULL)
        conn->x = net_exchange_get(conn);
    net_refuse(conn->x, 408, "%s", what);
    if (conn->x->refuse_status != 408) { // it was to be refused anyway once its body was read
        conn->x->refuse_status = 0;
        net_refuse(conn->x, 408, "%s", what);
    }
    conn->parser_dead = true;
    conn->state = NET_CONN_BUSY;
    dispatch(conn);
}

static void tick_write(struct net_conn *conn, int64_t now_ms) {
    size_t queued = uv_stream_get_write_queue_size(&conn->u.stream);
    if (queued != conn->queue_seen) {
        conn->queue_seen = queued;
        conn->byte_ms = now_ms;
    } else if (now_ms - conn->byte_ms > NET_WRITE_IDLE_MS) {
        yg_counter_add(conn->server->counters.timeouts, 1);
        net_conn_close(conn);
    }
}

void net_conn_tick(struct net_conn *conn, int64_t now_ms) {
    const struct yg_http_server_options *opt = &conn->server->opt;
    int64_t phase_for = now_ms - conn->phase_ms;
    switch (conn->state) {
    case NET_CONN_IDLE:
        if (phase_for > opt->idle_timeout_ms)
            net_conn_close(conn);
        break;
    case NET_CONN_HEAD:
        if (phase_for > opt->header_timeout_ms)
            time_out(conn, "the request's header did not arrive in time");
        break;
    case NET_CONN_BODY:
        if (now_ms - conn->byte_ms > opt->body_idle_timeout_ms ||
            phase_for > opt->body_total_timeout_ms)
            time_out(conn, "the request's body did not arrive in time");
        break;
    case NET_CONN_WRITE:
        tick_write(conn, now_ms);
        break;
    case NET_CONN_LINGER: {
        int64_t max = conn->linger_long ? NET_LINGER_REFUSED_MS : NET_LINGER_MS;
        if (conn->server->loop->phase != NET_LOOP_RUNNING)
            max = NET_LINGER_MS / 4;
        if (phase_for > max)
            net_conn_close(conn);
        break;
    }
    case NET_CONN_BUSY:
    case NET_CONN_CLOSED:
        break;
    }
}

void net_conn_drain(struct net_conn *conn) {
    if (conn->state != NET_CONN_IDLE || conn->pending.len > 0)
        conn->close_after = true;
    else if (conn->done_first != NULL)
        linger(conn); // its last answer was not acknowledged yet
    else
        net_conn_close(conn);
}

// --- accepting ----------------------------------------------------------------------------------

static void note_peer(struct net_conn *conn) {
    if (conn->server->own_unix_path != NULL) {
        (void)snprintf(conn->peer, sizeof(conn->peer), "unix");
        conn->peer_loopback = true;
        return;
    }
    struct sockaddr_storage addr = {0};
    int len = sizeof(addr);
    if (uv_tcp_getpeername(&conn->u.tcp, (struct sockaddr *)&addr, &len) != 0)
        return;
    net_address_text((const struct sockaddr *)&addr, false, conn->peer, sizeof(conn->peer));
    conn->peer_loopback = net_address_loopback((const struct sockaddr *)&addr);
    uv_tcp_nodelay(&conn->u.tcp, 1);
}

static void turn_away(struct net_conn *conn) {
    static const char text[] = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n"
                               "Connection: close\r\nContent-Length: 0\r\n\r\n";
    uv_buf_t buf = {.base = (char *)(uintptr_t)text, .len = sizeof(text) - 1};
    yg_counter_add(conn->server->counters.refused, 1);
    (void)uv_try_write(&conn->u.stream, &buf, 1);
    net_conn_close(conn);
}

void net_conn_accept(struct yg_http_server *server) {
    struct yg_loop *loop = server->loop;
    struct net_conn *conn = yg_calloc(YG_MEM_NET, 1, sizeof(*conn));
    conn->magic = NET_CONN_MAGIC;
    conn->server = server;
    conn->pending = YG_BUF(YG_MEM_NET, NET_PENDING_MAX_BYTES + NET_READ_BYTES);
    if (server->own_unix_path != NULL)
        uv_pipe_init(&loop->uv, &conn->u.pipe, 0);
    else
        uv_tcp_init(&loop->uv, &conn->u.tcp);
    conn->u.handle.data = conn;
    conn->next = server->conns;
    if (conn->next != NULL)
        conn->next->prev = conn;
    server->conns = conn;
    net_loop_conn_opened(loop);
    yg_counter_set(server->counters.open, ++server->conn_count);
    yg_counter_add(server->counters.accepted, 1);
    loop->now_ms = (int64_t)uv_now(&loop->uv);
    set_state(conn, NET_CONN_IDLE);
    if (uv_accept(&server->listener.stream, &conn->u.stream) != 0) {
        net_conn_close(conn);
        return;
    }
    note_peer(conn);
    net_parser_init(conn);
    if (server->conn_count > server->opt.connection_max) {
        turn_away(conn);
        return;
    }
    start_reading(conn);
}
