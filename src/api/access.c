// SPDX-License-Identifier: Apache-2.0
// The guard of the API listener: API keys for intakes; both keys, a bearer token or a page session
// for the rest.
//
// A page session is a signed text, "<seconds when made>.<32 random hex digits>.<HMAC-SHA-256,
// hex>", under a secret that lives as long as the process: nothing is stored, a restart ends all
// sessions. Against requests that other sites make the browser send: the cookie is SameSite=Strict,
// and a session's writing requests must carry this server's own Origin (SameSite does not tell
// ports of one host apart).
//
// Source: DataDog/datadog-api-client-go .generator/schemas/v1/openapi.yaml (security schemes, 403
// body); DataDog/terraform-provider-datadog (bearer token wins over keys).
#include "api/access.h"

#include "api/ui.h"
#include "base/panic.h"
#include "base/rand.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>

#define NONCE_DIGITS 32
#define MAC_BYTES SHA256_DIGEST_LENGTH
#define BLOCK_BYTES 64 // of SHA-256
#define SIGNED_MAX_BYTES 128

// The one secret of the process; written once, before the first session is made or checked.
static unsigned char session_secret[32];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;
static void make_secret(void) {
    yg_rand_bytes(session_secret, sizeof(session_secret));
}

// HMAC-SHA-256 (RFC 2104) of a short text; OpenSSL's own header for it names what this project
// bans.
static void hmac(const char *text, size_t len, unsigned char out[MAC_BYTES]) {
    unsigned char inner[BLOCK_BYTES + SIGNED_MAX_BYTES];
    unsigned char outer[BLOCK_BYTES + MAC_BYTES];
    YG_ASSERT(len <= SIGNED_MAX_BYTES);
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        unsigned char key = i < sizeof(session_secret) ? session_secret[i] : 0;
        inner[i] = key ^ 0x36;
        outer[i] = key ^ 0x5c;
    }
    memcpy(inner + BLOCK_BYTES, text, len);
    SHA256(inner, BLOCK_BYTES + len, outer + BLOCK_BYTES);
    SHA256(outer, sizeof(outer), out);
}

static void sign(const char *text, size_t len, char out_hex[2 * MAC_BYTES + 1]) {
    static const char digits[] = "0123456789abcdef";
    pthread_once(&secret_once, make_secret);
    unsigned char mac[MAC_BYTES];
    hmac(text, len, mac);
    for (size_t i = 0; i < MAC_BYTES; i++) {
        out_hex[2 * i] = digits[mac[i] >> 4];
        out_hex[2 * i + 1] = digits[mac[i] & 15];
    }
    out_hex[(size_t)2 * MAC_BYTES] = '\0';
}

void yg_session_make(int64_t now_s, char out[YG_SESSION_TEXT_BYTES]) {
    char nonce[NONCE_DIGITS + 1] = "";
    yg_rand_hex(nonce, NONCE_DIGITS);
    nonce[NONCE_DIGITS] = '\0';
    char text[64];
    int len = snprintf(text, sizeof(text), "%lld.%s", (long long)now_s, nonce);
    char mac[2 * MAC_BYTES + 1];
    sign(text, (size_t)len, mac);
    (void)snprintf(out, YG_SESSION_TEXT_BYTES, "%s.%s", text, mac);
}

bool yg_session_valid(yg_str value, int64_t now_s) {
    size_t dot = yg_str_find_char(value, '.', 0);
    size_t mac_at = yg_str_rfind_char(value, '.');
    int64_t made_s = 0;
    if (dot == SIZE_MAX || mac_at == dot || value.len - mac_at - 1 != (size_t)2 * MAC_BYTES ||
        mac_at > SIGNED_MAX_BYTES || !yg_str_to_i64(yg_str_sub(value, 0, dot), &made_s))
        return false;
    if (made_s > now_s + 60 || now_s - made_s > YG_SESSION_MAX_AGE_S)
        return false;
    char mac[2 * MAC_BYTES + 1];
    sign(value.ptr, mac_at, mac);
    return CRYPTO_memcmp(mac, value.ptr + mac_at + 1, (size_t)2 * MAC_BYTES) == 0;
}

yg_str yg_session_cookie(const struct yg_http_request *req) {
    static const yg_str name = YG_STR_INIT(YG_SESSION_COOKIE "=");
    for (uint32_t i = 0; i < req->header_count; i++) {
        if (!yg_str_eq_c(req->headers[i].name, "cookie"))
            continue;
        yg_str rest = req->headers[i].value;
        while (rest.len > 0) {
            size_t end = yg_str_find_char(rest, ';', 0);
            yg_str pair = yg_str_trim(end == SIZE_MAX ? rest : yg_str_sub(rest, 0, end));
            rest = end == SIZE_MAX ? (yg_str){0} : yg_str_sub(rest, end + 1, rest.len);
            if (yg_str_starts(pair, name))
                return yg_str_sub(pair, name.len, pair.len);
        }
    }
    return (yg_str){0};
}

static bool loopback_name(yg_str host) {
    size_t colon = yg_str_rfind_char(host, ':');
    bool bracket = host.len > 0 && host.ptr[0] == '[';
    if (colon != SIZE_MAX && (!bracket || host.ptr[colon - 1] == ']'))
        host.len = colon;
    if (yg_str_eq_nocase(host, YG_STR("localhost")) || yg_str_eq_c(host, "[::1]"))
        return true;
    // 127.a.b.c, and nothing that merely begins like it
    uint32_t parts = 0;
    yg_str rest = host;
    for (bool more = true; more; parts++) {
        size_t dot = yg_str_find_char(rest, '.', 0);
        more = dot != SIZE_MAX;
        uint64_t number = 0;
        yg_str part = more ? yg_str_sub(rest, 0, dot) : rest;
        rest = more ? yg_str_sub(rest, dot + 1, rest.len) : rest;
        if (part.len > 3 || !yg_str_to_u64(part, &number) || number > 255 ||
            (parts == 0 && number != 127))
            return false;
    }
    return parts == 4;
}

bool yg_session_allowed(const struct yg_http_request *req) {
    return req->peer_loopback && loopback_name(req->host);
}

bool yg_origin_ok(const struct yg_http_request *req) {
    if (req->method == YG_GET || req->method == YG_HEAD)
        return true;
    yg_str origin = yg_http_header(req, "origin");
    if (yg_str_starts(origin, YG_STR("http://")))
        origin = yg_str_sub(origin, 7, origin.len);
    else if (yg_str_starts(origin, YG_STR("https://")))
        origin = yg_str_sub(origin, 8, origin.len);
    else
        return false;
    return req->host.len > 0 && yg_str_eq_nocase(origin, req->host);
}

// A key in the query; keys are hex digits, so nothing needs decoding.
static yg_str query_value(yg_str query, yg_str name) {
    while (query.len > 0) {
        size_t amp = yg_str_find_char(query, '&', 0);
        yg_str pair = amp == SIZE_MAX ? query : yg_str_sub(query, 0, amp);
        query = amp == SIZE_MAX ? (yg_str){0} : yg_str_sub(query, amp + 1, query.len);
        if (pair.len > name.len && pair.ptr[name.len] == '=' && yg_str_starts(pair, name))
            return yg_str_sub(pair, name.len + 1, pair.len);
    }
    return (yg_str){0};
}

yg_str yg_request_api_key(const struct yg_http_request *req) {
    static const yg_str input = YG_STR_INIT("/v1/input/");
    yg_str key = yg_http_header(req, "dd-api-key");
    if (key.len == 0)
        key = query_value(req->query, YG_STR("api_key"));
    if (key.len == 0)
        key = query_value(req->query, YG_STR("dd-api-key"));
    if (key.len == 0 && yg_str_starts(req->path, input))
        key = yg_str_sub(req->path, input.len, req->path.len);
    return key;
}

yg_str yg_request_app_key(const struct yg_http_request *req) {
    yg_str key = yg_http_header(req, "dd-application-key");
    return key.len > 0 ? key : query_value(req->query, YG_STR("application_key"));
}

static void refuse(struct yg_http_guard_result *ret_result, uint16_t status, const char *body) {
    ret_result->status = status;
    ret_result->content_type = "application/json";
    (void)snprintf(ret_result->body, sizeof(ret_result->body), "%s", body);
}

// Our own API words its refusals itself (docs/api.md), the public one as its clients expect.
static void refuse_full(const struct yg_http_request *req, bool foreign_origin,
                        struct yg_http_guard_result *ret_result) {
    if (!yg_str_starts(req->path, YG_STR("/api/yagura/"))) {
        refuse(ret_result, 403, "{\"errors\":[\"Forbidden\"]}");
        return;
    }
    char id[33];
    char body[256];
    yg_api_request_id(id);
    (void)snprintf(body, sizeof(body),
                   "{\"errors\":[{\"title\":\"%s\",\"detail\":\"%s\"}],\"request_id\":\"%.8s\"}",
                   foreign_origin ? "Forbidden" : "Unauthorized",
                   foreign_origin ? "a session's writing requests need this server's own Origin"
                                  : "send the API and application key, or open the page first",
                   id);
    refuse(ret_result, foreign_origin ? 403 : 401, body);
}

// Bearer: an application key alone acts as its owner.
static yg_str bearer_token(const struct yg_http_request *req) {
    yg_str value = yg_http_header(req, "authorization");
    if (value.len < 7 || !yg_str_eq_nocase(yg_str_sub(value, 0, 7), YG_STR("Bearer ")))
        return (yg_str){0};
    return yg_str_trim(yg_str_sub(value, 7, value.len));
}

static void guard_full(struct yg_api *api, const struct yg_http_request *req,
                       struct yg_http_guard_result *ret_result) {
    yg_str token = bearer_token(req);
    if (token.len > 0) {
        if (!yg_meta_key_valid(api->meta, YG_KEY_APP, token))
            refuse_full(req, false, ret_result);
        return;
    }
    yg_str api_key = yg_request_api_key(req);
    yg_str app_key = yg_request_app_key(req);
    if (api_key.len > 0 || app_key.len > 0) {
        if (!yg_meta_key_valid(api->meta, YG_KEY_API, api_key) ||
            !yg_meta_key_valid(api->meta, YG_KEY_APP, app_key))
            refuse_full(req, false, ret_result);
        return;
    }
    yg_str cookie = yg_session_cookie(req);
    int64_t now_s = yg_now_ns(api->clock) / YG_NS_PER_S;
    if (cookie.len == 0 || !yg_session_valid(cookie, now_s))
        refuse_full(req, false, ret_result);
    else if (!yg_origin_ok(req))
        refuse_full(req, true, ret_result);
}

void yg_api_guard(void *ctx, const struct yg_http_request *req,
                  struct yg_http_guard_result *ret_result) {
    struct yg_api *api = ctx;
    switch ((enum yg_access)req->route->access) {
    case YG_ACCESS_NONE:
    case YG_ACCESS_PAGE:
    case YG_ACCESS_AGENT:
        return;
    case YG_ACCESS_API_KEY:
        if (yg_meta_key_valid(api->meta, YG_KEY_API, yg_request_api_key(req)))
            return;
        refuse(ret_result, 403, "{\"errors\":[\"Forbidden\"]}");
        yg_ui_note_refused(api, req, 403,
                           yg_request_api_key(req).len > 0 ? "API key is wrong"
                                                           : "API key is missing");
        return;
    case YG_ACCESS_FULL:
        guard_full(api, req, ret_result);
        return;
    }
    refuse(ret_result, 500, "{\"errors\":[\"route without an access rule\"]}");
}
