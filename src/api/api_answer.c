// SPDX-License-Identifier: Apache-2.0
// Answers and errors of the public API: one place that maps codes to statuses and words the
// envelope.
#include "api/api.h"

#include "base/rand.h"
#include "codec/inflate.h"

struct yg_buf yg_api_buf(void) {
    return YG_BUF(YG_MEM_QUERY, YG_API_ANSWER_MAX);
}

uint16_t yg_api_status(yg_rc rc) {
    switch (rc) {
    case YG_OK:
        return 200;
    case YG_EINPUT:
        return 400;
    case YG_EAUTH:
        return 403;
    case YG_ENOTFOUND:
        return 404;
    case YG_ECONFLICT:
        return 409;
    case YG_ELIMIT:
        return 413;
    case YG_EBUSY:
        return 429;
    case YG_EUPSTREAM:
        return 502;
    case YG_ETIMEOUT:
        return 504;
    case YG_ENOMEM:
        return 503;
    case YG_ECANCEL:
        return 499;
    case YG_EAGAIN:
    case YG_EIO:
    case YG_ECORRUPT:
    case YG_EINTERNAL:
    case YG_RC_COUNT:
        return 500;
    }
    return 500;
}

void yg_api_reply(struct yg_http_request *take_req, uint16_t status, struct yg_buf *take_json) {
    struct yg_err err = {0};
    if (yg_buf_ok(take_json, &err) != YG_OK) {
        yg_buf_fini(take_json);
        yg_api_reply_error(take_req, 413, "the answer would exceed %u bytes: ask for less",
                           YG_API_ANSWER_MAX);
        return;
    }
    yg_http_reply_json(take_req, status, take_json);
}

static void reply_errors(struct yg_http_request *take_req, uint16_t status, yg_str text) {
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_k(&w, "errors");
    yg_jw_array(&w);
    yg_jw_str(&w, text);
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    struct yg_http_reply reply = {
        .status = status, .content_type = "application/json", .body = body};
    if (status == 429 || status == 503)
        reply.extra[reply.extra_count++] =
            (struct yg_http_header){YG_STR("Retry-After"), YG_STR("5")};
    yg_http_reply(take_req, &reply);
}

void yg_api_reply_err(struct yg_http_request *take_req, const struct yg_err *err) {
    reply_errors(take_req, yg_api_status(err->rc), yg_str_c(err->text));
}

void yg_api_reply_error(struct yg_http_request *take_req, uint16_t status, const char *fmt, ...) {
    char stack[2048];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(stack, sizeof(stack), fmt, args);
    va_end(args);
    size_t used = len < 0 ? 0 : (size_t)len < sizeof(stack) ? (size_t)len : sizeof(stack) - 1;
    reply_errors(take_req, status, yg_str_n(stack, used));
}

// Undoes the body's content encoding; the decoded bytes live until the request is answered.
static yg_rc decoded_body(struct yg_http_request *req, yg_str *ret_body, struct yg_err *err) {
    enum yg_encoding encoding;
    yg_str name = yg_http_header(req, "content-encoding");
    if (!yg_encoding_parse(name, &encoding))
        return yg_fail(err, YG_EINPUT, "content-encoding \"%.*s\" is not known", YG_STR_FMT(name));
    if (encoding == YG_ENC_IDENTITY) {
        *ret_body = req->body;
        return YG_OK;
    }
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_QUERY, YG_API_BODY_MAX);
    YG_TRY(yg_inflate(encoding, req->body, &out, err));
    *ret_body = yg_arena_str(req->arena, yg_buf_str(&out));
    if (ret_body->ptr == NULL && out.len > 0)
        return yg_fail(err, YG_ENOMEM, "no memory for a body of %zu bytes", out.len);
    return YG_OK;
}

yg_rc yg_api_body_parse(struct yg_http_request *req, struct yg_json_node **ret_root,
                        struct yg_err *err) {
    yg_str body;
    YG_TRY(decoded_body(req, &body, err));
    return yg_json_parse(body, req->arena, ret_root, err);
}

bool yg_api_body_json(struct yg_http_request *take_req, struct yg_json_node **ret_root) {
    struct yg_err err = {0};
    if (yg_api_body_parse(take_req, ret_root, &err) == YG_OK)
        return true;
    yg_api_reply_err(take_req, &err);
    return false;
}

void yg_api_request_id(char out[33]) {
    yg_rand_hex(out, 32);
    out[32] = 0;
}
