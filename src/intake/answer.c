// SPDX-License-Identifier: Apache-2.0
// Answers: the one table from codes to statuses, the wording of errors, and the answer that waits
// for the WAL.
//
// Senders read statuses strictly (reference of each route in routes.c): a status other than the
// documented one makes some of them send again. So success has exactly the door's status and body.
#include "intake/door.h"

#include "codec/json_write.h"

#define ANSWER_BYTES_MAX (64u << 10)
#define RETRY_AFTER_S "2"

uint16_t yg_door_status(yg_rc rc) {
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
    case YG_ENOMEM:
    case YG_EIO:
        return 503;
    case YG_EUPSTREAM:
        return 502;
    case YG_ETIMEOUT:
        return 504;
    case YG_EAGAIN:
    case YG_ECORRUPT:
    case YG_ECANCEL:
    case YG_EINTERNAL:
    case YG_RC_COUNT:
        break;
    }
    return 500;
}

static const char *title_of(uint16_t status) {
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 413:
        return "Payload Too Large";
    case 415:
        return "Unsupported Media Type";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void word_error(struct yg_buf *out, enum yg_intake_style style, uint16_t status,
                       const char *text) {
    struct yg_json_writer w = YG_JSON_WRITER(out);
    char number[8];
    switch (style) {
    case YG_STYLE_AGENT:
        yg_buf_puts(out, yg_str_c(text));
        yg_buf_putc(out, '\n');
        return;
    case YG_STYLE_STRINGS:
        yg_jw_object(&w);
        yg_jw_k(&w, "errors");
        yg_jw_array(&w);
        yg_jw_str(&w, yg_str_c(text));
        break;
    case YG_STYLE_OBJECTS:
        (void)snprintf(number, sizeof(number), "%u", status);
        yg_jw_object(&w);
        yg_jw_k(&w, "errors");
        yg_jw_array(&w);
        yg_jw_object(&w);
        yg_jw_kstr(&w, "status", yg_str_c(number));
        yg_jw_kstr(&w, "title", yg_str_c(title_of(status)));
        yg_jw_kstr(&w, "detail", yg_str_c(text));
        yg_jw_object_end(&w);
        break;
    }
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
}

static struct yg_http_reply error_reply(const struct yg_door *door, uint16_t status,
                                        const char *text) {
    struct yg_http_reply reply = {.status = status};
    bool plain = door->style == YG_STYLE_AGENT;
    reply.content_type = plain ? "text/plain; charset=utf-8" : "application/json";
    reply.body = YG_BUF(YG_MEM_INTAKE, ANSWER_BYTES_MAX);
    word_error(&reply.body, door->style, status, text);
    if (status == 429 || status == 503)
        reply.extra[reply.extra_count++] =
            (struct yg_http_header){.name = YG_STR("retry-after"), .value = YG_STR(RETRY_AFTER_S)};
    if (plain)
        yg_agent_headers(&reply);
    return reply;
}

static struct yg_http_reply good_reply(const struct yg_door *door) {
    struct yg_http_reply reply = {.status = door->status,
                                  .content_type = door->content_type,
                                  .static_body = yg_str_c(door->body)};
    if (door->style == YG_STYLE_AGENT)
        yg_agent_headers(&reply);
    return reply;
}

void yg_door_refuse(struct yg_http_request *take_req, const struct yg_door *door, uint16_t status,
                    const char *text) {
    const struct yg_intake *intake = take_req->ctx;
    yg_intake_refused(door->name, status, text, yg_now_ns(intake->clock));
    struct yg_http_reply reply = error_reply(door, status, text);
    yg_http_reply(take_req, &reply);
}

void yg_door_fail(struct yg_http_request *take_req, const struct yg_door *door,
                  const struct yg_err *err) {
    yg_door_refuse(take_req, door, yg_door_status(err->rc), err->text);
}

void yg_door_accept(struct yg_http_request *take_req, const struct yg_door *door) {
    struct yg_http_reply reply = good_reply(door);
    yg_http_reply(take_req, &reply);
}

// ------------------------------------------------------------ after the WAL

struct yg_door_ack {
    struct yg_http_request *req;
    const struct yg_door *door;
    struct yg_pipeline *pipeline;
    struct yg_buf body;
    uint8_t digest[16];
    bool stored;
};

struct yg_door_ack *yg_door_ack_create(struct yg_http_request *take_req, const struct yg_door *door,
                                       struct yg_pipeline *pipeline, const uint8_t digest[16],
                                       struct yg_buf *take_body) {
    struct yg_door_ack *ack = yg_calloc(YG_MEM_INTAKE, 1, sizeof(*ack));
    ack->req = take_req;
    ack->door = door;
    ack->pipeline = pipeline;
    ack->body = YG_BUF(YG_MEM_INTAKE, 0);
    memcpy(ack->digest, digest, sizeof(ack->digest));
    if (take_body)
        yg_buf_move(take_body, &ack->body);
    return ack;
}

void yg_door_ack_drop(struct yg_door_ack *ack) {
    yg_buf_fini(&ack->body);
    yg_free(YG_MEM_INTAKE, ack);
}

// Loop thread: the sender has every byte of the answer, or is gone without it.
static void answered(void *arg, bool delivered) {
    struct yg_door_ack *ack = arg;
    yg_pipeline_delivered(ack->pipeline, ack->digest, delivered && ack->stored);
    yg_door_ack_drop(ack);
}

void yg_door_ack_done(void *arg, yg_rc rc, const struct yg_err *err) {
    struct yg_door_ack *ack = arg;
    struct yg_http_request *req = ack->req;
    struct yg_http_reply reply;
    ack->req = NULL;
    ack->stored = rc == YG_OK;
    if (rc != YG_OK) {
        reply = error_reply(ack->door, yg_door_status(rc), err ? err->text : yg_rc_name(rc));
    } else {
        reply = good_reply(ack->door);
        if (ack->body.len > 0) {
            reply.static_body = (yg_str){NULL, 0};
            yg_buf_move(&ack->body, &reply.body);
        }
    }
    reply.on_done = answered;
    reply.on_done_arg = ack;
    yg_http_reply(req, &reply);
}
