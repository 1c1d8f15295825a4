// SPDX-License-Identifier: Apache-2.0
// What the files of the net room share with each other and show to nobody else.
#ifndef YG_NET_NET_INTERNAL_H
#define YG_NET_NET_INTERNAL_H

#include "base/counter.h"
#include "base/mem.h"
#include "base/panic.h"
#include "net/net.h"

#include <llhttp.h>
#include <uv.h>

#define NET_LOOP_MAGIC 0x6c6f6f70u
#define NET_SERVER_MAGIC 0x73727672u
#define NET_CONN_MAGIC 0x636f6e6eu
#define NET_REQUEST_MAGIC 0x72657175u
#define NET_UDP_MAGIC 0x75647073u

// Limits of the room; the README lists them.
#define NET_HEAD_MAX_BYTES (32u << 10)        // request line + header fields: 431 beyond
#define NET_HEADERS_MAX 100                   // header fields: 431 beyond
#define NET_CHUNK_EXTRA_MAX_BYTES (16u << 10) // chunk extensions + trailers: 400 beyond
#define NET_PENDING_MAX_BYTES (64u << 10)     // read ahead while a request is being answered
#define NET_READ_BYTES (64u << 10)
#define NET_DIRECT_BYTES_MIN (16u << 10) // room in a body that is worth reading into
#define NET_BODY_TRUST 16u // so many times what has come is reserved of what is announced
#define NET_DISCARD_MAX_BYTES (64u << 10) // a refused body up to here is read, the connection lives
#define NET_UNKNOWN_BODY_MAX_BYTES (1u << 20)     // body of a request that no route knows
#define NET_LINGER_MAX_BYTES (UINT64_C(64) << 20) // read and dropped after a closing answer
#define NET_LINGER_MS 2000
#define NET_LINGER_REFUSED_MS 5000
#define NET_WRITE_IDLE_MS 60000 // a peer that takes no byte for so long is dropped
#define NET_ACK_POLL_MS 5
#define NET_EXCHANGES_KEPT 32
#define NET_BODY_KEPT_BYTES (16u << 10)
#define NET_ADDRESS_BYTES 64

struct net_conn;
struct net_exchange;

struct net_post {
    yg_job_fn fn;
    void *arg;
};

// yg_loop_every: a timer that lives as long as the loop.
struct net_every {
    struct yg_loop *loop;
    uv_timer_t timer;
    int64_t interval_ms;
    yg_job_fn fn;
    void *arg;
    struct net_every *next;
};

enum net_loop_phase { NET_LOOP_NEW, NET_LOOP_RUNNING, NET_LOOP_DRAINING, NET_LOOP_ENDED };

struct yg_loop {
    uint32_t magic;
    struct yg_pool *pool;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t tick;  // connection timeouts; runs only while there are connections
    uv_timer_t ack;   // looks whether answers were acknowledged; runs only while one is waited for
    uv_timer_t grace; // end of a graceful stop
    struct yg_thread thread;
    _Atomic enum net_loop_phase phase; // written by the owner and the loop thread in turn
    bool closing;                      // set by the loop thread under lock: the wake handle is gone
    int64_t grace_ms;

    pthread_mutex_t lock; // guards the five members below and `closing` for other threads
    struct net_post *posts;
    uint32_t post_len;
    uint32_t post_cap;
    struct net_exchange *replied_first; // FIFO of answered requests
    struct net_exchange *replied_last;

    // Loop thread only (or the owner's before start and after stop).
    struct yg_http_server *servers;
    struct yg_udp *udps;
    struct net_every *everys;
    struct net_exchange *free_exchanges;
    uint32_t free_exchange_count;
    uint32_t conn_count;
    struct net_conn *acks; // connections with an answer whose receipt is awaited
    int64_t now_ms;        // monotonic
    char *read_buf;        // NET_READ_BYTES, shared by all connections of the loop
    int64_t date_s;
    char date[40]; // "Tue, 03 Feb 2026 03:00:12 GMT"
};

// --- router -------------------------------------------------------------------------------------

struct net_router;
struct net_match {
    const struct yg_route *route; // NULL: no such path
    void *ctx;
    uint32_t allow; // methods that the path knows
    bool method_ok;
    yg_str raw_params[YG_HTTP_PATH_PARAMS_MAX]; // not decoded, inside the path
    uint32_t param_count;
};
yg_rc net_router_create(const struct yg_route *const *tables, void *const *table_ctx,
                        struct net_router **ret_router, struct yg_err *err) YG_MUST_USE;
void net_router_destroy(struct net_router *router);
// path: raw (still percent-encoded), starts with '/'.
void net_router_find(const struct net_router *router, yg_str path, uint32_t method,
                     struct net_match *ret_match);
// "GET, POST" into out.
void net_allow_text(uint32_t methods, char *out, size_t out_bytes);

// --- server and connections ---------------------------------------------------------------------

#define NET_DURATIONS 10u

struct net_server_counters {
    struct yg_counter *open;
    struct yg_counter *accepted;
    struct yg_counter *refused;   // over connection_max
    struct yg_counter *status[6]; // by class, [0] = none
    struct yg_counter *bytes_in;
    struct yg_counter *bytes_out;
    struct yg_counter *timeouts;
    struct yg_counter *body_bytes; // gauge: bodies in memory
    // From a request's last byte to its answer's first: how many within each bound, all, and the
    // sum.
    struct yg_counter *within[NET_DURATIONS];
    struct yg_counter *duration_sum_us;
};

struct yg_http_server {
    uint32_t magic;
    struct yg_loop *loop;
    struct yg_http_server *next;
    struct yg_http_server_options opt; // strings are own copies or static
    char *own_name;
    char *own_unix_path;
    struct net_router *router;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } listener;
    bool listener_open;
    char address[128];
    struct net_conn *conns;
    uint32_t conn_count;
    uint64_t body_bytes;          // bodies in memory now
    _Atomic uint32_t outstanding; // requests with a handler
    struct net_server_counters counters;
};

enum net_conn_state {
    NET_CONN_IDLE,   // between requests
    NET_CONN_HEAD,   // bytes of a request seen, headers not complete
    NET_CONN_BODY,   // reading a body
    NET_CONN_BUSY,   // the handler has the request
    NET_CONN_WRITE,  // the answer is under way
    NET_CONN_LINGER, // FIN sent; what still comes is dropped
    NET_CONN_CLOSED, // uv_close was called
};

// An answer whose receipt somebody wants to know.
struct net_done {
    uint64_t end; // of the connection's byte stream
    void (*fn)(void *arg, bool delivered);
    void *arg;
    struct net_done *next;
};

struct net_conn {
    uint32_t magic;
    struct yg_http_server *server;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    struct net_conn *prev;
    struct net_conn *next;
    struct net_conn *ack_prev;
    struct net_conn *ack_next;
    bool ack_listed;
    enum net_conn_state state;
    llhttp_t parser;
    bool parser_dead; // after an error or a refusal: bytes are only dropped
    bool reading;
    bool peer_eof;
    bool peer_error;
    bool peer_loopback;
    bool pumping;
    bool close_after;       // this answer ends the connection
    bool linger_long;       // body not read: give the peer time to see the answer
    struct net_exchange *x; // the request being read or answered
    struct yg_buf pending;  // read ahead
    size_t pending_at;
    int64_t phase_ms;       // when the state was entered
    int64_t byte_ms;        // last progress
    uint64_t dropped_bytes; // while lingering
    uint64_t out_total;     // bytes given to the stream
    size_t queue_seen;      // write queue at the last look
    struct net_done *done_first;
    struct net_done *done_last;
    uv_write_t write_req;
    uv_shutdown_t shutdown_req;
    char peer[NET_ADDRESS_BYTES];
};

struct net_span {
    uint32_t name_at;
    uint32_t name_len;
    uint32_t value_at;
    uint32_t value_len;
};

// One request and its answer; recycled by the loop.
struct net_exchange {
    struct yg_http_request req; // first: the public pointer is the exchange
    struct yg_loop *loop;
    struct yg_http_server *server;
    struct net_conn *conn; // loop thread only; NULL when the connection went
    struct net_exchange *next;
    _Atomic bool gone;
    bool with_handler;

    // reading
    struct yg_buf head; // target, names and values, decoded path and parameters
    uint32_t target_len;
    struct net_span spans[NET_HEADERS_MAX];
    uint32_t span_count;
    bool in_value;
    size_t head_bytes;
    struct yg_http_header headers[NET_HEADERS_MAX];
    struct yg_buf body;
    bool has_body; // a body is announced
    bool chunked;
    uint64_t body_announced; // content length
    size_t body_limit;
    bool discard; // read the body, keep nothing: an answer is already decided
    uint64_t discarded;
    size_t extra_bytes; // chunk extensions, trailers
    bool in_trailer;
    uint64_t charged;     // of server->body_bytes
    uint64_t complete_ns; // uv_hrtime when the request was whole; 0: it never was
    uint32_t allow;       // for 405
    bool http10;
    bool keep_alive;
    bool expect_continue;
    bool is_head;
    yg_http_handler handler;
    size_t arena_limit;

    // refusal decided by net or by the guard
    uint16_t refuse_status;
    uint32_t refuse_retry_after_s;
    const char *refuse_type;
    char refuse_body[512];

    // answer
    uint16_t status;
    struct yg_buf out_head;
    struct yg_buf out_body;
    yg_str out_static;
    bool want_close;
    bool done_set;
    void (*on_done)(void *arg, bool delivered);
    void *on_done_arg;
};

// http_parse.c
void net_parser_init(struct net_conn *conn);
// Feeds bytes; returns how many were used. Sets conn->state to BUSY when a request is complete
// (then conn->x is ready to be dispatched) and conn->x->refuse_status when it must be refused.
size_t net_parser_feed(struct net_conn *conn, const char *ptr, size_t len);
// Notes the first refusal; later ones are ignored.
void net_refuse(struct net_exchange *x, uint16_t status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

// http_exchange.c
struct net_exchange *net_exchange_get(struct net_conn *conn);
void net_exchange_put(struct net_exchange *x); // recycles or frees; releases charges
void net_exchange_free(struct net_exchange *x);
void net_exchange_charge(struct net_exchange *x, uint64_t bytes);
// Formats status line and headers (without Date, Connection and the empty line).
void net_reply_format(struct net_exchange *x, struct yg_http_reply *take_reply);
void net_reply_refusal(struct net_exchange *x); // formats refuse_*
const char *net_status_text(uint16_t status);

// http_conn.c
void net_conn_accept(struct yg_http_server *server);
void net_conn_replied(struct net_exchange *x); // loop thread: an answer is ready
void net_conn_tick(struct net_conn *conn, int64_t now_ms);
void net_conn_ack_poll(struct yg_loop *loop);
void net_conn_drain(struct net_conn *conn); // graceful stop: close when nothing is under way
void net_conn_close(struct net_conn *conn); // at once
void net_continue(struct net_conn *conn);   // sends 100 Continue

// http_server.c
void net_server_stop_listening(struct yg_http_server *server);

// udp.c
void net_udp_stop(struct yg_udp *udp);
struct yg_udp *net_udp_next(struct yg_udp *udp);

// loop.c
void net_loop_wake(struct yg_loop *loop);
void net_loop_push_reply(struct net_exchange *x);
void net_loop_conn_opened(struct yg_loop *loop);
void net_loop_conn_closed(struct yg_loop *loop);
void net_loop_tick_faster(struct yg_loop *loop); // ack timer on
void net_loop_flush(struct yg_loop *loop); // runs what was posted; owner, after the thread ended
yg_str net_loop_date(struct yg_loop *loop);

// address.c
yg_rc net_address_resolve(const char *text, bool udp, struct sockaddr_storage *ret_addr,
                          struct yg_err *err) YG_MUST_USE;
void net_address_text(const struct sockaddr *addr, bool with_port, char *out, size_t out_bytes);
bool net_address_loopback(const struct sockaddr *addr);

#endif
