// SPDX-License-Identifier: Apache-2.0
// Request bodies: content type, content encoding, API key.
#include "intake/door.h"

// The content type without its parameters, blanks cut.
static yg_str media_type(yg_str header) {
    return yg_str_trim(yg_str_sub(header, 0, yg_str_find_char(header, ';', 0)));
}

static bool form_of(yg_str type, enum yg_intake_form *ret_form) {
    static const struct {
        yg_str type;
        enum yg_intake_form form;
    } types[] = {
        {YG_STR_INIT("application/json"), YG_FORM_JSON},
        {YG_STR_INIT("text/json"), YG_FORM_JSON},
        {YG_STR_INIT("application/msgpack"), YG_FORM_MSGPACK},
        {YG_STR_INIT("application/x-msgpack"), YG_FORM_MSGPACK},
        {YG_STR_INIT("application/x-protobuf"), YG_FORM_PROTOBUF},
        {YG_STR_INIT("application/protobuf"), YG_FORM_PROTOBUF},
        {YG_STR_INIT("text/plain"), YG_FORM_TEXT},
        {YG_STR_INIT("application/logplex-1"), YG_FORM_TEXT},
        // what curl says of any body that it was not told about
        {YG_STR_INIT("application/x-www-form-urlencoded"), YG_FORM_UNKNOWN},
        {YG_STR_INIT("application/octet-stream"), YG_FORM_UNKNOWN},
        {YG_STR_INIT(""), YG_FORM_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (yg_str_eq_nocase(type, types[i].type)) {
            *ret_form = types[i].form;
            return true;
        }
    if (!yg_str_ends(type, YG_STR("+json")))
        return false;
    *ret_form = YG_FORM_JSON;
    return true;
}

bool yg_door_form(struct yg_http_request *req, const struct yg_door *door,
                  enum yg_intake_form *ret_form) {
    enum yg_encoding encoding;
    enum yg_intake_form form = YG_FORM_UNKNOWN;
    bool any = door->style == YG_STYLE_AGENT; // agents' clients are not asked about their type
    bool known = form_of(media_type(yg_http_header(req, "content-type")), &form);
    if (!known && !any)
        return false;
    bool taken = form == YG_FORM_UNKNOWN || (door->forms & YG_DOOR_FORMS(form)) != 0;
    if (!taken && !any)
        return false;
    if (form == YG_FORM_UNKNOWN || !taken)
        form = door->form_default;
    *ret_form = form;
    return yg_encoding_parse(yg_http_header(req, "content-encoding"), &encoding);
}

yg_rc yg_door_body(struct yg_http_request *req, const struct yg_door *door, struct yg_buf *ret_body,
                   struct yg_err *err) {
    enum yg_encoding encoding = YG_ENC_IDENTITY;
    if (!yg_encoding_parse(yg_http_header(req, "content-encoding"), &encoding))
        return yg_fail(err, YG_EINPUT, "unknown content encoding");
    if (encoding == YG_ENC_IDENTITY) { // no copy: the request's own memory moves out
        if (req->own_body) {
            yg_buf_move(req->own_body, ret_body);
        } else {
            *ret_body = YG_BUF(YG_MEM_INTAKE, door->inflated_max_bytes);
        }
        return YG_OK;
    }
    struct yg_buf out = YG_BUF(YG_MEM_INTAKE, door->inflated_max_bytes);
    yg_rc rc = yg_inflate(encoding, req->body, &out, err);
    if (rc != YG_OK) {
        yg_buf_fini(&out);
        return rc;
    }
    yg_buf_move(&out, ret_body);
    return YG_OK;
}

yg_str yg_door_key(struct yg_http_request *req) {
    static const char *const queries[] = {"dd-api-key", "api_key"};
    yg_str key = yg_http_header(req, "dd-api-key");
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]) && key.len == 0; i++)
        key = yg_http_query(req, queries[i], NULL);
    if (key.len == 0 && req->param_count > 0)
        key = req->params[0];
    return key;
}
