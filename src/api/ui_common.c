// SPDX-License-Identifier: Apache-2.0
// Errors, ranges and answers of the page's own API, the same for all its calls.
#include "api/ui.h"

#define DEADLINE_NS (INT64_C(20) * YG_NS_PER_S)

static void put_error(struct yg_http_request *take_req, uint16_t status, const char *title,
                      uint32_t column, yg_str detail) {
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    char id[33];
    yg_api_request_id(id);
    yg_jw_object(&w);
    yg_jw_k(&w, "errors");
    yg_jw_array(&w);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "title", yg_str_c(title));
    yg_jw_kstr(&w, "detail", detail);
    if (column > 0)
        yg_jw_ki64(&w, "column", column);
    yg_jw_object_end(&w);
    yg_jw_array_end(&w);
    yg_jw_kstr(&w, "request_id", yg_str_n(id, 8));
    yg_jw_object_end(&w);
    struct yg_http_reply reply = {
        .status = status, .content_type = "application/json", .body = body};
    if (status == 429 || status == 503)
        reply.extra[reply.extra_count++] =
            (struct yg_http_header){YG_STR("Retry-After"), YG_STR("2")};
    yg_http_reply(take_req, &reply);
}

void yg_ui_reply_error(struct yg_http_request *take_req, uint16_t status, const char *title,
                       uint32_t column, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    put_error(take_req, status, title, column, yg_str_n(text, len));
}

// Takes " (column N)" off the end of a text; 0 when it is not there.
static uint32_t cut_column(yg_str *text) {
    static const yg_str mark = YG_STR_INIT("(column ");
    size_t at = SIZE_MAX;
    for (size_t from = 0; (from = yg_str_find(*text, mark, from)) != SIZE_MAX; from++)
        at = from;
    if (at == SIZE_MAX)
        return 0;
    size_t end = yg_str_find_char(*text, ')', at);
    uint64_t column = 0;
    if (end == SIZE_MAX ||
        !yg_str_to_u64(yg_str_sub(*text, at + mark.len, end - at - mark.len), &column) ||
        column > UINT32_MAX)
        return 0;
    *text = yg_str_trim(yg_str_sub(*text, 0, at));
    return (uint32_t)column;
}

void yg_ui_reply_err(struct yg_http_request *take_req, const struct yg_err *err) {
    yg_str detail = yg_str_c(err->text);
    switch (err->rc) {
    case YG_EINPUT: {
        uint32_t column = cut_column(&detail);
        put_error(take_req, 400, column ? "Invalid query" : "Bad request", column, detail);
        return;
    }
    case YG_ENOTFOUND:
        put_error(take_req, 404, "Not found", 0, detail);
        return;
    case YG_ELIMIT:
        put_error(take_req, 422, "Unprocessable", 0, detail);
        return;
    case YG_EBUSY:
        put_error(take_req, 429, "Too many requests", 0, detail);
        return;
    case YG_ENOMEM:
    case YG_ETIMEOUT:
    case YG_ECANCEL:
        put_error(take_req, 503, "Not answered in its limits", 0, detail);
        return;
    case YG_OK:
    case YG_EAUTH:
    case YG_ECONFLICT:
    case YG_EAGAIN:
    case YG_EIO:
    case YG_ECORRUPT:
    case YG_EUPSTREAM:
    case YG_EINTERNAL:
    case YG_RC_COUNT:
        break;
    }
    put_error(take_req, 500, "Internal error", 0, detail);
}

void yg_ui_reply(struct yg_http_request *take_req, struct yg_buf *take_json) {
    struct yg_err err = {0};
    if (yg_buf_ok(take_json, &err) == YG_OK) {
        yg_http_reply_json(take_req, 200, take_json);
        return;
    }
    yg_buf_fini(take_json);
    yg_ui_reply_error(take_req, 422, "Unprocessable", 0,
                      "the answer would exceed %u bytes: ask for less", YG_API_ANSWER_MAX);
}

static yg_rc time_of(yg_str text, const char *name, int64_t now_ns, int64_t otherwise_ns,
                     int64_t *ret_ns, struct yg_err *err) {
    int64_t offset_ns = 0;
    if (text.len == 0)
        *ret_ns = otherwise_ns;
    else if (yg_str_starts(text, YG_STR("now+")) &&
             yg_interval_parse(yg_str_sub(text, 4, text.len), &offset_ns))
        *ret_ns = now_ns + offset_ns;
    else if (!yg_query_time_parse(text, now_ns, ret_ns))
        return yg_fail(err, YG_EINPUT, "%s: \"%.*s\" is no time (now-15m, epoch ms, ISO 8601)",
                       name, (int)(text.len < 60 ? text.len : 60), text.ptr);
    return YG_OK;
}

yg_rc yg_ui_range(const struct yg_api *api, yg_str from, yg_str to, struct yg_time_range *ret_range,
                  struct yg_err *err) {
    int64_t now_ns = yg_now_ns(api->clock);
    struct yg_time_range range;
    YG_TRY(time_of(from, "from", now_ns, now_ns - 15 * 60 * YG_NS_PER_S, &range.from_ns, err));
    YG_TRY(time_of(to, "to", now_ns, now_ns, &range.to_ns, err));
    // To whole milliseconds, as it is answered; the end grows, so that "now" holds what was just
    // stored.
    range.from_ns = range.from_ns / YG_NS_PER_MS * YG_NS_PER_MS;
    range.to_ns = (range.to_ns + YG_NS_PER_MS - 1) / YG_NS_PER_MS * YG_NS_PER_MS;
    if (range.from_ns >= range.to_ns)
        return yg_fail(err, YG_ELIMIT, "from must lie before to");
    *ret_range = range;
    return YG_OK;
}

yg_rc yg_ui_range_of(struct yg_http_request *req, struct yg_time_range *ret_range,
                     struct yg_err *err) {
    return yg_ui_range(req->ctx, yg_http_query(req, "from", NULL), yg_http_query(req, "to", NULL),
                       ret_range, err);
}

void yg_ui_put_range(struct yg_json_writer *w, struct yg_time_range range) {
    yg_jw_k(w, "range");
    yg_jw_object(w);
    yg_jw_ki64(w, "from_ms", yg_ui_ms(range.from_ns));
    yg_jw_ki64(w, "to_ms", yg_ui_ms(range.to_ns));
    yg_jw_object_end(w);
}

void yg_ui_put_ms_or_null(struct yg_json_writer *w, const char *key, int64_t ns) {
    if (ns == 0)
        yg_jw_knull(w, key);
    else
        yg_jw_ki64(w, key, yg_ui_ms(ns));
}

int64_t yg_ui_deadline(const struct yg_api *api) {
    return yg_mono_ns(api->clock) + DEADLINE_NS;
}
