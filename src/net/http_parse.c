// SPDX-License-Identifier: Apache-2.0
// llhttp's callbacks: bytes → request. Decides everything that can be refused before the body is
// read.
//
// While a request is read its parts are offsets into x->head (which may move as it grows); they
// become pointers when the headers are complete. Header fields cost no allocation: names
// (lower-cased) and values lie one after the other in x->head, the fixed tables point into it.
//
// Smuggling: all lenient flags are off and llhttp is built strict, so that Content-Length together
// with Transfer-Encoding, two lengths, or a transfer coding whose last member is not "chunked" are
// errors; what llhttp lets through beyond that (codings before chunked, Transfer-Encoding in
// HTTP/1.0, no or two Host fields) is refused here.
#include "net/net_internal.h"

#include "codec/text.h"

static struct net_exchange *of(llhttp_t *p) {
    return ((struct net_conn *)p->data)->x;
}

static bool head_put(struct net_exchange *x, const char *at, size_t len, bool lower) {
    x->head_bytes += len;
    if (x->head_bytes > NET_HEAD_MAX_BYTES) {
        net_refuse(x, 431, "request line and header fields exceed %u bytes", NET_HEAD_MAX_BYTES);
        return false;
    }
    size_t from = x->head.len;
    yg_buf_put(&x->head, at, len);
    if (x->head.failed || x->head.len != from + len) {
        net_refuse(x, 429, "out of memory for request heads");
        x->refuse_retry_after_s = 1;
        return false;
    }
    if (lower)
        for (size_t i = from; i < x->head.len; i++)
            if (x->head.ptr[i] >= 'A' && x->head.ptr[i] <= 'Z')
                x->head.ptr[i] = (char)(x->head.ptr[i] + 32);
    return true;
}

static int on_message_begin(llhttp_t *p) {
    struct net_conn *conn = p->data;
    if (conn->x == NULL)
        conn->x = net_exchange_get(conn);
    conn->x->req.mono_start_ns = (int64_t)uv_hrtime();
    return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t len) {
    struct net_exchange *x = of(p);
    if (!head_put(x, at, len, false))
        return HPE_USER;
    x->target_len += (uint32_t)len;
    return 0;
}

// Trailers are read, bounded and dropped.
static int trailer_bytes(struct net_exchange *x, size_t len) {
    x->extra_bytes += len;
    if (x->extra_bytes <= NET_CHUNK_EXTRA_MAX_BYTES)
        return 0;
    net_refuse(x, 400, "chunk extensions and trailers exceed %u bytes", NET_CHUNK_EXTRA_MAX_BYTES);
    return HPE_USER;
}

static int on_field(llhttp_t *p, const char *at, size_t len) {
    struct net_exchange *x = of(p);
    if (x->in_trailer)
        return trailer_bytes(x, len);
    if (x->span_count == 0 || x->in_value) {
        if (x->span_count == NET_HEADERS_MAX) {
            net_refuse(x, 431, "more than %d header fields", NET_HEADERS_MAX);
            return HPE_USER;
        }
        x->spans[x->span_count++] = (struct net_span){.name_at = (uint32_t)x->head.len};
        x->in_value = false;
        x->head_bytes += 4; // ": " and the line's end
    }
    if (!head_put(x, at, len, true))
        return HPE_USER;
    x->spans[x->span_count - 1].name_len += (uint32_t)len;
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len) {
    struct net_exchange *x = of(p);
    if (x->in_trailer)
        return trailer_bytes(x, len);
    struct net_span *span = &x->spans[x->span_count - 1];
    if (!x->in_value) {
        span->value_at = (uint32_t)x->head.len;
        x->in_value = true;
    }
    if (!head_put(x, at, len, false))
        return HPE_USER;
    span->value_len += (uint32_t)len;
    return 0;
}

static int on_chunk_extension(llhttp_t *p, const char *at, size_t len) {
    (void)at;
    return trailer_bytes(of(p), len);
}

// --- headers complete ---------------------------------------------------------------------------

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Percent-decodes into *out, which has room for s.len bytes; false on an encoded NUL.
static bool decode_into(yg_str s, char **out, yg_str *ret_text) {
    char *at = *out;
    ret_text->ptr = at;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%' && i + 2 < s.len && hex_digit(s.ptr[i + 1]) >= 0 &&
            hex_digit(s.ptr[i + 2]) >= 0) {
            c = (char)(hex_digit(s.ptr[i + 1]) * 16 + hex_digit(s.ptr[i + 2]));
            i += 2;
            if (c == '\0')
                return false;
        }
        *at++ = c;
    }
    ret_text->len = (size_t)(at - *out);
    *out = at;
    return true;
}

// Path and query of a target in origin form, or in absolute form as proxies get it.
static yg_str split_target(yg_str target, yg_str *ret_query) {
    yg_str path = target;
    size_t scheme = yg_str_find(target, YG_STR("://"), 0);
    if (target.len > 0 && target.ptr[0] != '/' && scheme != SIZE_MAX) {
        size_t slash = yg_str_find_char(target, '/', scheme + 3);
        path = slash == SIZE_MAX ? YG_STR("/") : yg_str_sub(target, slash, target.len);
    }
    size_t hash = yg_str_find_char(path, '#', 0);
    if (hash != SIZE_MAX)
        path = yg_str_sub(path, 0, hash);
    size_t mark = yg_str_find_char(path, '?', 0);
    *ret_query = mark == SIZE_MAX ? (yg_str){0} : yg_str_sub(path, mark + 1, path.len);
    return mark == SIZE_MAX ? path : yg_str_sub(path, 0, mark);
}

static uint32_t method_bit(uint8_t method) {
    switch (method) {
    case HTTP_GET:
        return YG_GET;
    case HTTP_POST:
        return YG_POST;
    case HTTP_PUT:
        return YG_PUT;
    case HTTP_DELETE:
        return YG_DELETE;
    case HTTP_PATCH:
        return YG_PATCH;
    case HTTP_HEAD:
        return YG_HEAD;
    case HTTP_OPTIONS:
        return YG_OPTIONS;
    default:
        return 0;
    }
}

// Spans → pointers; notes the fields that net itself obeys.
static void fix_headers(struct net_exchange *x) {
    uint32_t hosts = 0;
    for (uint32_t i = 0; i < x->span_count; i++) {
        const struct net_span *s = &x->spans[i];
        struct yg_http_header *h = &x->headers[i];
        h->name = yg_str_n(x->head.ptr + s->name_at, s->name_len);
        h->value = yg_str_trim(yg_str_n(x->head.ptr + s->value_at, s->value_len));
        if (yg_str_eq(h->name, YG_STR("host"))) {
            x->req.host = h->value;
            hosts++;
        } else if (yg_str_eq(h->name, YG_STR("expect"))) {
            if (yg_str_eq_nocase(h->value, YG_STR("100-continue")))
                x->expect_continue = !x->http10;
            else
                net_refuse(x, 417, "Expect: only 100-continue is known");
        } else if (yg_str_eq(h->name, YG_STR("transfer-encoding"))) {
            if (x->http10)
                net_refuse(x, 400, "Transfer-Encoding in an HTTP/1.0 request");
            else if (!yg_str_eq_nocase(h->value, YG_STR("chunked")))
                net_refuse(x, 501, "Transfer-Encoding: only chunked is known");
        }
    }
    x->req.headers = x->headers;
    x->req.header_count = x->span_count;
    if (hosts > 1 || (hosts == 0 && !x->http10))
        net_refuse(x, 400, hosts ? "more than one Host field" : "no Host field");
}

// Room for the decoded path and parameters behind the head: before anything points into it.
static bool reserve_target(struct net_exchange *x) {
    if (yg_buf_reserve(&x->head, 2 * (size_t)x->target_len + 1, NULL) == YG_OK)
        return true;
    net_refuse(x, 429, "out of memory for request heads");
    return false;
}

// Target, path, parameters; finds the route. False when the request is refused.
static bool fix_target(struct net_exchange *x, struct net_match *ret_match) {
    size_t len = x->target_len;
    size_t from = x->head.len;
    YG_ASSERT(x->head.cap - from > 2 * len); // reserve_target
    x->req.target = yg_str_n(x->head.ptr, len);
    yg_str raw = split_target(x->req.target, &x->req.query);
    char *out = x->head.ptr + from;
    bool ok = decode_into(raw, &out, &x->req.path);
    net_router_find(x->server->router, raw, x->req.method, ret_match);
    x->req.param_count = ret_match->param_count;
    for (uint32_t i = 0; ok && i < ret_match->param_count; i++)
        ok = decode_into(ret_match->raw_params[i], &out, &x->req.params[i]);
    if (!ok)
        net_refuse(x, 400, "the path has an encoded NUL byte");
    return ok;
}

static void arena_for(struct net_exchange *x, size_t body_max) {
    size_t limit = 4 * body_max + (1u << 20);
    if (x->req.arena != NULL && x->arena_limit != limit) {
        yg_arena_destroy(x->req.arena);
        x->req.arena = NULL;
    }
    if (x->req.arena == NULL)
        x->req.arena = yg_arena_create(YG_MEM_NET, limit);
    x->arena_limit = limit;
}

// Route, context, guard; leaves x->handler NULL when net itself must answer.
static void apply_route(struct net_exchange *x, const struct net_match *m) {
    struct yg_http_server *server = x->server;
    x->req.route = m->route;
    x->allow = m->allow;
    if (!m->method_ok) {
        x->body_limit = NET_UNKNOWN_BODY_MAX_BYTES;
        x->discard = true;
        arena_for(x, 0);
        x->req.ctx = server->opt.not_found_ctx;
        x->handler = server->opt.not_found;
        if (x->handler == NULL)
            net_refuse(x, m->route ? 405 : 404, m->route ? "Method not allowed" : "Not found");
        return;
    }
    x->body_limit = m->route->body_max_bytes;
    arena_for(x, x->body_limit);
    if (x->body_limit == 0) { // a GET with a body: tolerated while small, never seen by the handler
        x->discard = true;
        x->body_limit = NET_DISCARD_MAX_BYTES;
    }
    x->req.ctx = m->ctx;
    x->handler = m->route->handler;
    if (server->opt.guard == NULL)
        return;
    struct yg_http_guard_result result;
    result.status = 0;
    result.content_type = NULL;
    result.body[0] = '\0';
    result.retry_after_s = 0;
    result.who = NULL;
    server->opt.guard(server->opt.guard_ctx, &x->req, &result);
    x->req.who = result.who;
    if (result.status == 0)
        return;
    x->refuse_status = result.status;
    x->refuse_type = result.content_type ? result.content_type : "application/json";
    x->refuse_retry_after_s = result.retry_after_s;
    _Static_assert(sizeof(x->refuse_body) == sizeof(result.body), "one size of refusals");
    memcpy(x->refuse_body, result.body, sizeof(result.body));
    x->refuse_body[sizeof(x->refuse_body) - 1] = '\0';
}

static void check_body_room(struct net_exchange *x) {
    const struct yg_http_server *server = x->server;
    if (x->req.route != NULL && x->body_announced > x->body_limit)
        net_refuse(x, 413, "the body's %llu bytes exceed this address's limit of %zu bytes",
                   (unsigned long long)x->body_announced, x->body_limit);
    if (x->has_body && server->body_bytes + x->body_announced > server->opt.body_memory_max_bytes) {
        net_refuse(x, 429, "too many bytes of request bodies in memory; try again later");
        if (x->refuse_status == 429)
            x->refuse_retry_after_s = 1;
    }
}

static int on_headers_complete(llhttp_t *p) {
    struct net_conn *conn = p->data;
    struct net_exchange *x = conn->x;
    p->upgrade = 0; // no protocol to switch to: the request is served as HTTP/1.1
    x->http10 = p->http_major == 1 && p->http_minor == 0;
    x->keep_alive = llhttp_should_keep_alive(p) != 0;
    x->chunked = (p->flags & F_CHUNKED) != 0;
    x->body_announced = (p->flags & F_CONTENT_LENGTH) ? p->content_length : 0;
    x->has_body = x->chunked || x->body_announced > 0;
    uint32_t method = method_bit(p->method);
    x->req.method = (enum yg_method)method;
    x->is_head = method == YG_HEAD;
    if (!reserve_target(x))
        return HPE_USER;
    fix_headers(x);
    if (p->http_major != 1)
        net_refuse(x, 505, "only HTTP/1.0 and HTTP/1.1 are known");
    else if (method == 0)
        net_refuse(x, 501, "method not known");
    struct net_match match = {0};
    if (x->refuse_status != 0 || !fix_target(x, &match))
        return HPE_USER; // malformed in itself: the connection ends
    apply_route(x, &match);
    if (x->refuse_status == 0)
        check_body_room(x);
    x->in_trailer = x->chunked;
    if (x->refuse_status != 0) {
        // A small body is read and dropped, so that the connection stays usable.
        if (x->has_body && (x->chunked || x->expect_continue || x->refuse_status == 413 ||
                            x->body_announced > NET_DISCARD_MAX_BYTES))
            return HPE_USER;
        x->discard = true;
        x->body_limit = NET_DISCARD_MAX_BYTES;
    } else if (!match.method_ok && x->has_body &&
               (x->expect_continue || x->body_announced > x->body_limit)) {
        net_refuse(x, match.route ? 405 : 404, match.route ? "Method not allowed" : "Not found");
        return HPE_USER;
    } else if (x->has_body && x->expect_continue) {
        net_continue(conn);
    }
    if (x->has_body) {
        conn->state = NET_CONN_BODY;
        conn->phase_ms = conn->server->loop->now_ms;
    }
    return 0;
}

// --- body ---------------------------------------------------------------------------------------

// How much to reserve when `len` more bytes have come: of an announced length at first one read,
// then a multiple of what came, so that an announcement alone takes no memory.
static size_t body_room(const struct net_exchange *x, size_t len) {
    if (x->chunked || x->body_announced <= x->body.len + len || len <= x->body.cap - x->body.len)
        return len;
    uint64_t left = x->body_announced - x->body.len;
    uint64_t trusted = x->body.len == 0 ? NET_READ_BYTES : x->body.len * NET_BODY_TRUST;
    if (trusted < len)
        trusted = len;
    return (size_t)(left < trusted ? left : trusted);
}

static int on_body(llhttp_t *p, const char *at, size_t len) {
    struct net_exchange *x = of(p);
    struct yg_http_server *server = x->server;
    if (x->discard) {
        x->discarded += len;
        if (x->discarded <= x->body_limit)
            return 0;
        net_refuse(x, 413, "the body exceeds %zu bytes", x->body_limit);
        return HPE_USER;
    }
    if (len > x->body_limit - x->body.len) {
        net_refuse(x, 413, "the body exceeds this address's limit of %zu bytes", x->body_limit);
        return HPE_USER;
    }
    size_t want = body_room(x, len);
    uint64_t others = server->body_bytes - x->charged;
    if (others + x->body.len + want > server->opt.body_memory_max_bytes ||
        (x->chunked ? yg_buf_reserve(&x->body, want, NULL)
                    : yg_buf_reserve_exact(&x->body, want, NULL)) != YG_OK) {
        net_refuse(x, 429, "too many bytes of request bodies in memory; try again later");
        x->refuse_retry_after_s = 1;
        return HPE_USER;
    }
    if (at == x->body.ptr + x->body.len) // it was read to its place
        x->body.len += len;
    else
        yg_buf_put(&x->body, at, len);
    if (x->body.cap != x->charged)
        net_exchange_charge(x, x->body.cap);
    return 0;
}

static int on_message_complete(llhttp_t *p) {
    struct net_conn *conn = p->data;
    struct net_exchange *x = conn->x;
    x->complete_ns = uv_hrtime();
    x->req.own_body = &x->body;
    x->req.body = yg_buf_str(&x->body);
    conn->state = NET_CONN_BUSY;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
};

void net_parser_init(struct net_conn *conn) {
    llhttp_init(&conn->parser, HTTP_REQUEST, &settings);
    conn->parser.data = conn;
}

// The parser's own errors, as statuses.
static void refuse_for(struct net_exchange *x, llhttp_t *p, llhttp_errno_t rc) {
    const char *reason = llhttp_get_error_reason(p);
    switch (rc) {
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        net_refuse(x, 505, "only HTTP/1.0 and HTTP/1.1 are known");
        break;
    case HPE_INVALID_METHOD:
        net_refuse(x, 501, "method not known");
        break;
    default:
        net_refuse(x, 400, "malformed HTTP request: %s", reason && *reason ? reason : "?");
        break;
    }
}

size_t net_parser_feed(struct net_conn *conn, const char *ptr, size_t len) {
    llhttp_t *p = &conn->parser;
    if (p->error == HPE_PAUSED)
        llhttp_resume(p);
    if (conn->state == NET_CONN_IDLE) {
        conn->state = NET_CONN_HEAD;
        conn->phase_ms = conn->server->loop->now_ms;
    }
    llhttp_errno_t rc = llhttp_execute(p, ptr, len);
    if (rc == HPE_OK)
        return len;
    if (rc == HPE_PAUSED && conn->state == NET_CONN_BUSY)
        return (size_t)(llhttp_get_error_pos(p) - ptr);
    if (conn->x == NULL)
        conn->x = net_exchange_get(conn);
    if (rc != HPE_USER || conn->x->refuse_status == 0)
        refuse_for(conn->x, p, rc);
    conn->parser_dead = true;
    conn->state = NET_CONN_BUSY;
    return len;
}
