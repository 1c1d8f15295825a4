// SPDX-License-Identifier: Apache-2.0
// Sockets, HTTP and the router. Knows nothing of Datadog, stores nothing, parses no body.
//
// Life of a request: loop thread accepts, parses (llhttp) and looks the route up when the headers
// are complete; the route's guard may refuse before the body is read (401/403/404/405/413/429).
// With the whole body in memory the request becomes a job of the pool's interactive lane (full
// lane: 503 + Retry-After); the handler answers with yg_http_reply from any thread, now or later,
// exactly once.
#ifndef YG_NET_NET_H
#define YG_NET_NET_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/thread.h"

// ---------------------------------------------------------------- server

enum yg_method {
    YG_GET = 1,
    YG_POST = 2,
    YG_PUT = 4,
    YG_DELETE = 8,
    YG_PATCH = 16,
    YG_HEAD = 32,
    YG_OPTIONS = 64
};

struct yg_http_header {
    yg_str name; // lower case
    yg_str value;
};

struct yg_route;

#define YG_HTTP_PATH_PARAMS_MAX 6

// One request. Everything borrowed lives until the reply is given; any thread, one at a time.
struct yg_http_request {
    uint32_t magic;
    enum yg_method method;
    yg_str target; // as sent: "/api/v2/logs?ddsource=x"
    yg_str path;   // percent-decoded, without query
    yg_str query;  // raw, without '?'
    yg_str host;   // Host header
    yg_str peer;   // "127.0.0.1"
    bool peer_loopback;
    const struct yg_http_header *headers;
    uint32_t header_count;
    yg_str body;             // as received (content encoding not undone)
    struct yg_buf *own_body; // the same bytes; a handler may move it out (yg_buf_move) to keep them
    yg_str params[YG_HTTP_PATH_PARAMS_MAX]; // values of {…} in the route's path, decoded
    uint32_t param_count;
    const struct yg_route *route;
    struct yg_arena *arena; // scratch of the request, limit 4 × body_max + 1 MiB
    int64_t mono_start_ns;
    void *ctx;       // the route's context
    const void *who; // what the guard found (an API key's record …)
    void *own_conn;  // private to net
};

// Value of the first header of that (lower case) name; empty when absent.
yg_str yg_http_header(const struct yg_http_request *req, const char *name);
// Decoded query parameter; *ret_found (may be NULL). Empty when absent or unreadable.
yg_str yg_http_query(struct yg_http_request *req, const char *name, bool *ret_found);
// True when the asker is gone: long queries look now and then and give up (YG_ECANCEL).
bool yg_http_gone(const struct yg_http_request *req);

struct yg_http_reply {
    uint16_t status;
    const char *content_type;        // static; NULL = no content-type header
    struct yg_buf body;              // taken
    yg_str static_body;              // instead of body: lives for ever (page assets)
    struct yg_http_header extra[12]; // copied
    uint32_t extra_count;
    bool close; // end the connection after it
    // Called on the loop thread when every byte of the answer was acknowledged by the peer's TCP
    // (delivered = true) or the connection went before (false). For the resend rule of the WAL.
    void (*on_done)(void *arg, bool delivered);
    void *on_done_arg;
};

// Answers. Takes the request (do not touch it afterwards) and reply->body. Any thread.
void yg_http_reply(struct yg_http_request *take_req, struct yg_http_reply *reply);
// Short forms.
void yg_http_reply_json(struct yg_http_request *take_req, uint16_t status,
                        struct yg_buf *take_body);
void yg_http_reply_text(struct yg_http_request *take_req, uint16_t status, const char *content_type,
                        yg_str copy);

typedef void (*yg_http_handler)(struct yg_http_request *take_req);

// Rows of the route tables. `path`: literal segments and {name}; a last segment {name*} takes the
// rest of the path. Literal beats parameter. `access` is a number whose meaning the guard knows.
struct yg_route {
    uint32_t methods; // yg_method bits
    const char *path;
    size_t body_max_bytes; // 0: a body up to 64 KiB is read and dropped, the handler sees none
    uint32_t access;
    yg_http_handler handler; // on a worker
};

struct yg_http_guard_result {
    uint16_t status; // 0 = go on
    const char *content_type;
    char body[512];         // NUL-terminated answer when refused
    uint32_t retry_after_s; // 0 = no header
    const void *who;
};

struct yg_http_server_options {
    const char *name;      // "api", "agent": for counters
    const char *address;   // "127.0.0.1:8080", "[::1]:0", ":8080"
    const char *unix_path; // instead of address, or NULL
    const struct yg_route *const
        *tables;            // NULL-terminated list of tables, each ended by a zero row
    void *const *table_ctx; // req->ctx per table
    // On the loop thread with headers complete, route found; must not block. May be NULL.
    void (*guard)(void *ctx, const struct yg_http_request *req,
                  struct yg_http_guard_result *ret_result);
    void *guard_ctx;
    // Answers what no route knows (path unknown or method not allowed: req->route NULL / set).
    yg_http_handler not_found;
    void *not_found_ctx;
    uint32_t connection_max;        // 0 = 4,096; one more is closed at once
    uint64_t body_memory_max_bytes; // sum of bodies in memory; 0 = 256 MiB; more: 429 + Retry-After
    uint32_t header_timeout_ms;     // 0 = 10,000: from first byte to complete headers
    uint32_t body_idle_timeout_ms;  // 0 = 15,000 without a byte: 408
    uint32_t body_total_timeout_ms; // 0 = 120,000
    uint32_t idle_timeout_ms;       // 0 = 75,000 keep-alive
};

struct yg_loop; // one libuv loop on one thread
struct yg_http_server;

struct yg_loop *yg_loop_create(struct yg_pool *pool);
void yg_loop_start(struct yg_loop *loop); // starts the thread
// Stops accepting on every listener; requests under way are answered (up to grace_ms), then closes
// and joins.
void yg_loop_stop(struct yg_loop *loop, int64_t grace_ms);
// After its servers and UDP sockets, and after every handler has answered. NULL is fine.
void yg_loop_destroy(struct yg_loop *loop);
// Runs fn(arg) on the loop thread. Any thread.
void yg_loop_post(struct yg_loop *loop, yg_job_fn fn, void *arg);
// fn(arg) every interval_ms on the loop thread; before or after start.
void yg_loop_every(struct yg_loop *loop, int64_t interval_ms, yg_job_fn fn, void *arg);

// Binds and listens at once (so that failure is known before start). EIO with errno (EADDRINUSE,
// EACCES).
yg_rc yg_http_server_create(struct yg_loop *loop, const struct yg_http_server_options *options,
                            struct yg_http_server **ret_server, struct yg_err *err) YG_MUST_USE;
// "127.0.0.1:41234" with the real port. Borrow: while the server lives.
const char *yg_http_server_address(const struct yg_http_server *server);
// After the loop stopped. Waits for requests that handlers still have (30 s, then it panics): what
// they need must live until then. on_done(false) of late answers is called here.
void yg_http_server_destroy(struct yg_http_server *server);

// UDP: fn gets each datagram on the loop thread (borrowed for the call); must not block.
struct yg_udp;
yg_rc yg_udp_create(struct yg_loop *loop, const char *address,
                    void (*fn)(void *ctx, yg_str datagram), void *ctx, struct yg_udp **ret_udp,
                    struct yg_err *err) YG_MUST_USE;
const char *yg_udp_address(const struct yg_udp *udp);
void yg_udp_destroy(struct yg_udp *udp);

// ---------------------------------------------------------------- client (webhooks and the like)

struct yg_client; // one libcurl multi on its own egress thread

struct yg_client_request {
    const char *method;                   // "POST"
    const char *url;                      // http or https
    const struct yg_http_header *headers; // names as to be sent
    uint32_t header_count;
    yg_str body;
    int64_t timeout_ms;      // whole exchange; 0 = 10,000
    size_t answer_max_bytes; // 0 = 64 KiB
};

// Outcome: rc OK with any status, else EUPSTREAM/ETIMEOUT and a text; `sent` tells whether the
// request may have reached the peer (bytes of it went out) although no answer was seen.
struct yg_client_answer {
    yg_rc rc;
    long status;
    yg_str body; // borrowed for the call
    bool sent;
    int64_t retry_after_s; // of the answer's Retry-After (seconds or date); 0 = not said
    const char *error;
};

struct yg_client *yg_client_create(uint32_t in_flight_max); // 0 = 64
void yg_client_destroy(struct yg_client *client); // cancels what is under way (fn is called)
// Copies the request. fn on the egress thread, exactly once. EBUSY when 4 × in_flight_max are
// queued.
yg_rc yg_client_send(struct yg_client *client, const struct yg_client_request *request,
                     void (*fn)(void *arg, const struct yg_client_answer *answer), void *arg,
                     struct yg_err *err) YG_MUST_USE;

#endif
