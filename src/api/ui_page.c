// SPDX-License-Identifier: Apache-2.0
// The page: embedded files, index.html with its boot block and session, redirects of vendor-shaped
// links.
#include "api/ui.h"

#include "api/access.h"
#include "codec/inflate.h"

#define POLICY                                                                                     \
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "              \
    "frame-ancestors 'none'; object-src 'none'"
#define BOOT_MARK "id=\"boot\">"

static void add(struct yg_http_reply *reply, yg_str name, yg_str value) {
    reply->extra[reply->extra_count++] = (struct yg_http_header){name, value};
}

static void add_security(struct yg_http_reply *reply) {
    add(reply, YG_STR("Content-Security-Policy"), YG_STR(POLICY));
    add(reply, YG_STR("X-Content-Type-Options"), YG_STR("nosniff"));
    add(reply, YG_STR("Referrer-Policy"), YG_STR("same-origin"));
}

static bool lists(yg_str header, const char *word) {
    return yg_str_find(header, yg_str_c(word), 0) != SIZE_MAX;
}

// gzip is named and not refused by q=0.
static bool takes_gzip(const struct yg_http_request *req) {
    yg_str rest = yg_http_header(req, "accept-encoding");
    while (rest.len > 0) {
        size_t comma = yg_str_find_char(rest, ',', 0);
        yg_str item = yg_str_trim(comma == SIZE_MAX ? rest : yg_str_sub(rest, 0, comma));
        rest = comma == SIZE_MAX ? (yg_str){0} : yg_str_sub(rest, comma + 1, rest.len);
        if (!yg_str_starts(item, YG_STR("gzip")) && !yg_str_starts(item, YG_STR("*")))
            continue;
        size_t q = yg_str_find(item, YG_STR("q="), 0);
        double weight = 1;
        if (q != SIZE_MAX &&
            !yg_str_to_f64(yg_str_trim(yg_str_sub(item, q + 2, item.len)), &weight))
            weight = 1;
        return weight > 0;
    }
    return false;
}

void yg_ui_asset(struct yg_http_request *take_req) {
    const struct yg_asset *a = yg_ui_asset_find(take_req->path);
    if (a == NULL) {
        yg_http_reply_text(take_req, 404, "text/plain; charset=utf-8", YG_STR("no such file\n"));
        return;
    }
    char etag[80];
    (void)snprintf(etag, sizeof(etag), "\"%.70s\"", a->etag);
    struct yg_http_reply reply = {.status = 200, .content_type = a->type};
    add_security(&reply);
    add(&reply, YG_STR("ETag"), yg_str_c(etag));
    add(&reply, YG_STR("Vary"), YG_STR("Accept-Encoding"));
    add(&reply, YG_STR("Cache-Control"),
        a->flags & YG_ASSET_IMMUTABLE ? YG_STR("public, max-age=31536000, immutable")
                                      : YG_STR("no-cache"));
    if (lists(yg_http_header(take_req, "if-none-match"), etag)) {
        reply.status = 304;
        reply.content_type = NULL;
        yg_http_reply(take_req, &reply);
        return;
    }
    yg_str bytes = yg_str_n(a->ptr, (size_t)a->len);
    if (!(a->flags & YG_ASSET_GZIP)) {
        reply.static_body = bytes;
    } else if (takes_gzip(take_req)) {
        reply.static_body = bytes;
        add(&reply, YG_STR("Content-Encoding"), YG_STR("gzip"));
    } else {
        struct yg_err err = {0};
        reply.body = yg_api_buf();
        if (yg_inflate(YG_ENC_GZIP, bytes, &reply.body, &err) != YG_OK) {
            yg_buf_fini(&reply.body);
            yg_api_reply_err(take_req, &err);
            return;
        }
    }
    yg_http_reply(take_req, &reply);
}

// ---- the boot block ----------------------------------------------------------------------------

static bool has_data(struct yg_api *api) {
    if (api->store == NULL)
        return false;
    struct yg_store_status s;
    yg_store_status(api->store, &s);
    // Metrics alone do not count: yagura stores its own from the first seconds on.
    return s.rows[YG_TRACK_LOGS] + s.rows[YG_TRACK_SPANS] + s.rows[YG_TRACK_EVENTS] > 0 ||
           s.open_traces > 0;
}

static void put_boot(struct yg_api *api, bool session, struct yg_arena *arena, struct yg_buf *out) {
    struct yg_json_writer w = YG_JSON_WRITER(out);
    yg_str *envs = NULL;
    uint32_t count = 0;
    struct yg_err err = {0};
    bool ready = atomic_load_explicit(&api->ready, memory_order_acquire);
    if (ready && session && yg_ui_envs(api, arena, &envs, &count, &err) != YG_OK)
        count = 0; // the page works without the list
    yg_jw_object(&w);
    yg_jw_kstr(&w, "version", YG_STR(YG_VERSION));
    yg_jw_kbool(&w, "session", session);
    yg_jw_ki64(&w, "now_ms", yg_ui_ms(yg_now_ns(api->clock)));
    yg_jw_kstr(&w, "public_url", yg_str_c(api->public_url));
    yg_jw_k(&w, "envs");
    yg_jw_array(&w);
    for (uint32_t i = 0; i < count; i++)
        yg_jw_str(&w, envs[i]);
    yg_jw_array_end(&w);
    yg_jw_kbool(&w, "has_data", ready && session && has_data(api));
    yg_jw_object_end(&w);
}

// Copies JSON into HTML: no byte of it can end the script element.
static void put_escaped(struct yg_buf *out, yg_str json) {
    for (size_t i = 0; i < json.len; i++) {
        if (json.ptr[i] == '<')
            yg_buf_puts(out, YG_STR("\\u003c"));
        else
            yg_buf_putc(out, json.ptr[i]);
    }
}

static void put_index(struct yg_api *api, const struct yg_asset *index, bool session,
                      struct yg_arena *arena, struct yg_buf *out) {
    static const yg_str mark = YG_STR_INIT(BOOT_MARK "{}");
    yg_str html = yg_str_n(index->ptr, (size_t)index->len);
    size_t at = yg_str_find(html, mark, 0);
    if (at == SIZE_MAX) {
        yg_buf_puts(out, html);
        return;
    }
    struct yg_buf boot = YG_BUF(YG_MEM_QUERY, 256u << 10);
    put_boot(api, session, arena, &boot);
    yg_buf_puts(out, yg_str_sub(html, 0, at + mark.len - 2));
    put_escaped(out, boot.failed ? YG_STR("{}") : yg_buf_str(&boot));
    yg_buf_puts(out, yg_str_sub(html, at + mark.len, html.len));
    yg_buf_fini(&boot);
}

// A valid session goes on; another one is made where that is allowed.
static bool session_for(struct yg_api *api, const struct yg_http_request *req,
                        char ret_cookie[256]) {
    int64_t now_s = yg_now_ns(api->clock) / YG_NS_PER_S;
    ret_cookie[0] = '\0';
    if (yg_session_valid(yg_session_cookie(req), now_s))
        return true;
    if (!yg_session_allowed(req))
        return false;
    char value[YG_SESSION_TEXT_BYTES];
    yg_session_make(now_s, value);
    (void)snprintf(ret_cookie, 256, YG_SESSION_COOKIE "=%s; HttpOnly; SameSite=Strict; Path=/",
                   value);
    return true;
}

// ---- GET / without text/html -------------------------------------------------------------------

// Source: DataDog/datadog-api-client-go .generator/schemas/v1/openapi.yaml (IPRanges).
static void ip_ranges(struct yg_http_request *take_req) {
    static const char *const kinds[] = {"agents",       "api",     "apm",      "global",    "logs",
                                        "orchestrator", "process", "webhooks", "synthetics"};
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_ki64(&w, "version", 1);
    yg_jw_kstr(&w, "modified", YG_STR("2026-01-01-00-00-00"));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool synthetics = strcmp(kinds[i], "synthetics") == 0;
        yg_jw_key(&w, yg_str_c(kinds[i]));
        yg_jw_object(&w);
        yg_jw_k(&w, "prefixes_ipv4");
        yg_jw_raw(&w, YG_STR("[\"127.0.0.1/32\"]"));
        yg_jw_k(&w, "prefixes_ipv6");
        yg_jw_raw(&w, YG_STR("[\"::1/128\"]"));
        if (synthetics) {
            yg_jw_k(&w, "prefixes_ipv4_by_location");
            yg_jw_raw(&w, YG_STR("{\"yagura:local\":[\"127.0.0.1/32\"]}"));
            yg_jw_k(&w, "prefixes_ipv6_by_location");
            yg_jw_raw(&w, YG_STR("{\"yagura:local\":[\"::1/128\"]}"));
        }
        yg_jw_object_end(&w);
    }
    yg_jw_object_end(&w);
    yg_api_reply(take_req, 200, &body);
}

static void redirect(struct yg_http_request *take_req, struct yg_buf *take_where) {
    struct yg_http_reply reply = {.status = 302};
    add_security(&reply);
    add(&reply, YG_STR("Location"), yg_buf_str(take_where));
    add(&reply, YG_STR("Cache-Control"), YG_STR("no-store"));
    yg_http_reply(take_req, &reply); // copies the headers
    yg_buf_fini(take_where);
}

static void no_page(struct yg_http_request *take_req) {
    struct yg_http_reply reply = {.status = 200, .content_type = "text/html; charset=utf-8"};
    add_security(&reply);
    add(&reply, YG_STR("Cache-Control"), YG_STR("no-store"));
    reply.static_body = YG_STR(
        "<!doctype html><html lang=\"en\"><title>yagura</title><h1>yagura runs</h1>"
        "<p>This binary was built without its web page (CMake option <code>YG_WEB_DIR</code>). "
        "The API under <code>/api/</code> works; <code>make build</code> builds both.</p></html>");
    yg_http_reply(take_req, &reply);
}

void yg_ui_page(struct yg_http_request *take_req) {
    struct yg_api *api = take_req->ctx;
    bool html = lists(yg_http_header(take_req, "accept"), "text/html");
    if (yg_str_eq_c(take_req->path, "/") && !html) {
        ip_ranges(take_req);
        return;
    }
    struct yg_buf where = YG_BUF(YG_MEM_QUERY, 64u << 10);
    if (yg_ui_alias(take_req->path, take_req->query, &where) && !where.failed) {
        redirect(take_req, &where);
        return;
    }
    yg_buf_fini(&where);
    const struct yg_asset *index = yg_ui_asset_find(YG_STR("/index.html"));
    if (index == NULL) {
        no_page(take_req);
        return;
    }
    char cookie[256];
    bool session = session_for(api, take_req, cookie);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 8u << 20);
    struct yg_http_reply reply = {.status = 200, .content_type = index->type};
    reply.body = yg_api_buf();
    put_index(api, index, session, arena, &reply.body);
    add_security(&reply);
    add(&reply, YG_STR("Cache-Control"), YG_STR("no-store"));
    if (cookie[0])
        add(&reply, YG_STR("Set-Cookie"), yg_str_c(cookie));
    yg_http_reply(take_req, &reply);
}
