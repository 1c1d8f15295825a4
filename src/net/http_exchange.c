// SPDX-License-Identifier: Apache-2.0
// A request and its answer as one recycled object: what handlers ask of it and how an answer is
// formatted.
#include "net/net_internal.h"

#include "codec/text.h"

#include <stdarg.h>

// --- recycling (loop thread) --------------------------------------------------------------------

struct net_exchange *net_exchange_get(struct net_conn *conn) {
    struct yg_loop *loop = conn->server->loop;
    struct net_exchange *x = loop->free_exchanges;
    if (x != NULL) {
        loop->free_exchanges = x->next;
        loop->free_exchange_count--;
    } else {
        x = yg_calloc(YG_MEM_NET, 1, sizeof(*x));
        x->loop = loop;
        x->head = YG_BUF(YG_MEM_NET, 2 * NET_HEAD_MAX_BYTES + (16u << 10));
        // Not charged to the room: it must be possible to say that the room is full.
        x->out_head = YG_BUF(YG_MEM_BASE, 64u << 10);
        x->body = YG_BUF(YG_MEM_NET, SIZE_MAX);
    }
    x->next = NULL;
    x->server = conn->server;
    x->conn = conn;
    x->req.magic = NET_REQUEST_MAGIC;
    x->req.own_conn = x;
    x->req.peer = yg_str_c(conn->peer);
    x->req.peer_loopback = conn->peer_loopback;
    return x;
}

void net_exchange_charge(struct net_exchange *x, uint64_t bytes) {
    x->server->body_bytes += bytes - x->charged;
    x->charged = bytes;
    yg_counter_set(x->server->counters.body_bytes, (int64_t)x->server->body_bytes);
}

void net_exchange_free(struct net_exchange *x) {
    yg_arena_destroy(x->req.arena);
    yg_buf_fini(&x->head);
    yg_buf_fini(&x->body);
    yg_buf_fini(&x->out_head);
    yg_buf_fini(&x->out_body);
    yg_free(YG_MEM_NET, x);
}

static void keep_small(struct yg_buf *b, size_t keep_bytes) {
    if (b->cap > keep_bytes)
        yg_buf_fini(b);
    else
        yg_buf_reset(b);
}

void net_exchange_put(struct net_exchange *x) {
    struct yg_loop *loop = x->loop;
    if (x->charged > 0)
        net_exchange_charge(x, 0);
    if (loop->free_exchange_count >= NET_EXCHANGES_KEPT) {
        net_exchange_free(x);
        return;
    }
    struct net_exchange kept = {0};
    keep_small(&x->head, 8u << 10);
    keep_small(&x->body, NET_BODY_KEPT_BYTES);
    keep_small(&x->out_head, 8u << 10);
    yg_buf_fini(&x->out_body);
    if (x->req.arena != NULL && yg_arena_used(x->req.arena) > (256u << 10)) {
        yg_arena_destroy(x->req.arena);
        x->req.arena = NULL;
    } else if (x->req.arena != NULL) {
        yg_arena_reset(x->req.arena);
    }
    kept.head = x->head;
    kept.out_head = x->out_head;
    struct yg_arena *arena = x->req.arena;
    size_t arena_limit = x->arena_limit;
    struct yg_buf body = x->body;
    // The two big arrays need no clearing: their counts are zero.
    memset(&x->req, 0, sizeof(x->req));
    memset((char *)x + offsetof(struct net_exchange, server), 0,
           offsetof(struct net_exchange, spans) - offsetof(struct net_exchange, server));
    memset((char *)x + offsetof(struct net_exchange, span_count), 0,
           offsetof(struct net_exchange, headers) - offsetof(struct net_exchange, span_count));
    memset((char *)x + offsetof(struct net_exchange, body), 0,
           sizeof(*x) - offsetof(struct net_exchange, body));
    x->head = kept.head;
    x->out_head = kept.out_head;
    x->body = body;
    x->body.limit_bytes = SIZE_MAX;
    x->body.tag = YG_MEM_NET;
    x->req.arena = arena;
    x->arena_limit = arena_limit;
    x->next = loop->free_exchanges;
    loop->free_exchanges = x;
    loop->free_exchange_count++;
}

void net_refuse(struct net_exchange *x, uint16_t status, const char *fmt, ...) {
    if (x->refuse_status != 0)
        return;
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    x->refuse_status = status;
    x->refuse_type = "application/json";
    (void)snprintf(x->refuse_body, sizeof(x->refuse_body), "{\"errors\":[\"%s\"]}", text);
}

// --- what handlers ask --------------------------------------------------------------------------

yg_str yg_http_header(const struct yg_http_request *req, const char *name) {
    YG_CHECK(req, NET_REQUEST_MAGIC);
    size_t len = strlen(name);
    for (uint32_t i = 0; i < req->header_count; i++)
        if (req->headers[i].name.len == len && memcmp(req->headers[i].name.ptr, name, len) == 0)
            return req->headers[i].value;
    return (yg_str){0};
}

yg_str yg_http_query(struct yg_http_request *req, const char *name, bool *ret_found) {
    YG_CHECK(req, NET_REQUEST_MAGIC);
    yg_str want = yg_str_c(name);
    yg_str rest = req->query;
    if (ret_found)
        *ret_found = false;
    while (rest.len > 0) {
        size_t amp = yg_str_find_char(rest, '&', 0);
        yg_str pair = amp == SIZE_MAX ? rest : yg_str_sub(rest, 0, amp);
        rest = amp == SIZE_MAX ? (yg_str){0} : yg_str_sub(rest, amp + 1, rest.len);
        size_t eq = yg_str_find_char(pair, '=', 0);
        yg_str key = eq == SIZE_MAX ? pair : yg_str_sub(pair, 0, eq);
        if (!yg_str_eq(key, want)) {
            if (yg_str_find_char(key, '%', 0) == SIZE_MAX &&
                yg_str_find_char(key, '+', 0) == SIZE_MAX)
                continue;
            if (!yg_str_eq(yg_url_decode(key, true, req->arena), want))
                continue;
        }
        if (ret_found)
            *ret_found = true;
        yg_str value = eq == SIZE_MAX ? (yg_str){0} : yg_str_sub(pair, eq + 1, pair.len);
        return yg_url_decode(value, true, req->arena);
    }
    return (yg_str){0};
}

bool yg_http_gone(const struct yg_http_request *req) {
    YG_CHECK(req, NET_REQUEST_MAGIC);
    const struct net_exchange *x = req->own_conn;
    return atomic_load_explicit(&x->gone, memory_order_relaxed);
}

// --- answers ------------------------------------------------------------------------------------

const char *net_status_text(uint16_t status) {
    switch (status) {
#define ROW(num, name, string)                                                                     \
    case num:                                                                                      \
        return #string;
        HTTP_STATUS_MAP(ROW)
#undef ROW
    default:
        return "UNKNOWN";
    }
}

// "NOT_FOUND" of the parser's table → "Not Found".
static void put_reason(struct yg_buf *out, const char *name) {
    bool start = true;
    for (; *name; name++) {
        bool upper = *name >= 'A' && *name <= 'Z';
        yg_buf_putc(out, *name == '_' ? ' ' : upper && !start ? (char)(*name + 32) : *name);
        start = *name == '_';
    }
}

static void put_header(struct yg_buf *out, yg_str name, yg_str value) {
    yg_buf_puts(out, name);
    yg_buf_puts(out, YG_STR(": "));
    for (size_t i = 0; i < value.len; i++) { // no value may end its line
        unsigned char c = (unsigned char)value.ptr[i];
        yg_buf_putc(out, c < 0x20 && c != '\t' ? ' ' : (char)c);
    }
    yg_buf_puts(out, YG_STR("\r\n"));
}

static void put_status_line(struct yg_buf *out, uint16_t status) {
    yg_buf_reset(out);
    if (status == 200) {
        yg_buf_puts(out, YG_STR("HTTP/1.1 200 OK\r\n"));
        return;
    }
    yg_buf_printf(out, "HTTP/1.1 %u ", (unsigned)status);
    put_reason(out, net_status_text(status));
    yg_buf_puts(out, YG_STR("\r\n"));
}

static void put_length(struct yg_buf *out, size_t len) {
    char text[48];
    int n = snprintf(text, sizeof(text), "Content-Length: %zu\r\n", len);
    yg_buf_put(out, text, (size_t)n);
}

static void put_allow(struct net_exchange *x) {
    char text[96];
    net_allow_text(x->allow, text, sizeof(text));
    put_header(&x->out_head, YG_STR("Allow"), yg_str_c(text));
}

static bool bodyless(uint16_t status) {
    return status == 204 || status == 304 || status < 200;
}

void net_reply_format(struct net_exchange *x, struct yg_http_reply *take_reply) {
    struct yg_http_reply *r = take_reply;
    YG_ASSERT(r->status >= 200 && r->status <= 599 && r->extra_count <= 12);
    x->status = r->status;
    x->want_close = r->close;
    x->done_set = r->on_done != NULL;
    x->on_done = r->on_done;
    x->on_done_arg = r->on_done_arg;
    x->out_body = r->body;
    r->body = (struct yg_buf){0};
    x->out_static = r->static_body;
    struct yg_buf *out = &x->out_head;
    put_status_line(out, r->status);
    size_t len = x->out_body.len + x->out_static.len;
    YG_ASSERT(x->out_body.len == 0 || x->out_static.len == 0);
    if (r->content_type != NULL)
        put_header(out, YG_STR("Content-Type"), yg_str_c(r->content_type));
    if (!bodyless(r->status))
        put_length(out, len);
    for (uint32_t i = 0; i < r->extra_count; i++)
        put_header(out, r->extra[i].name, r->extra[i].value);
    if (r->status == 405 && x->allow != 0)
        put_allow(x);
    if (x->is_head || bodyless(r->status)) {
        yg_buf_fini(&x->out_body);
        x->out_static = (yg_str){0};
    }
}

void net_reply_refusal(struct net_exchange *x) {
    struct yg_buf *out = &x->out_head;
    x->status = x->refuse_status;
    put_status_line(out, x->status);
    put_header(out, YG_STR("Content-Type"), yg_str_c(x->refuse_type));
    put_length(out, strlen(x->refuse_body));
    if (x->refuse_retry_after_s > 0)
        yg_buf_printf(out, "Retry-After: %u\r\n", x->refuse_retry_after_s);
    if (x->status == 405 && x->allow != 0)
        put_allow(x);
    x->out_static = x->is_head ? (yg_str){0} : yg_str_c(x->refuse_body);
}

void yg_http_reply(struct yg_http_request *take_req, struct yg_http_reply *reply) {
    YG_CHECK(take_req, NET_REQUEST_MAGIC);
    struct net_exchange *x = take_req->own_conn;
    net_reply_format(x, reply);
    take_req->magic = 0; // a second answer panics
    net_loop_push_reply(x);
}

void yg_http_reply_json(struct yg_http_request *take_req, uint16_t status,
                        struct yg_buf *take_body) {
    struct yg_http_reply reply = {.status = status, .content_type = "application/json"};
    if (take_body != NULL)
        yg_buf_move(take_body, &reply.body);
    yg_http_reply(take_req, &reply);
}

void yg_http_reply_text(struct yg_http_request *take_req, uint16_t status, const char *content_type,
                        yg_str copy) {
    struct yg_http_reply reply = {.status = status, .content_type = content_type};
    reply.body = YG_BUF(YG_MEM_BASE, copy.len + 1); // short, and must always be possible
    yg_buf_puts(&reply.body, copy);
    yg_http_reply(take_req, &reply);
}
