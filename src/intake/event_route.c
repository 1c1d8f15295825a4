// SPDX-License-Identifier: Apache-2.0
// POST /api/v1/events: stores one event and repeats it with its id in the answer.
// Source: DataDog/datadogpy datadog/api/events.py (reads event.id)
#include "intake/door.h"

#include "codec/json_write.h"

#define BODY_MAX ((size_t)5 << 20)
#define ANSWER_MAX ((size_t)8 << 20)

// The door's decoder has no place for the event that the answer repeats, so this route decodes by
// itself and shares the rest.
static const struct yg_door door = {
    .name = "/api/v1/events",
    .client = "metrics-api",
    .track = YG_TRACK_EVENTS,
    .inflated_max_bytes = BODY_MAX,
    .forms = YG_DOOR_FORMS(YG_FORM_JSON),
    .form_default = YG_FORM_JSON,
    .style = YG_STYLE_STRINGS,
    .status = 202,
    .content_type = "application/json",
    .body = "{\"status\":\"ok\"}",
};

static void put_or_null(struct yg_json_writer *w, const char *key, yg_str value) {
    if (value.len)
        yg_jw_kstr(w, key, value);
    else
        yg_jw_knull(w, key);
}

static void put_url(struct yg_json_writer *w, const char *public_url, const char *id) {
    char url[512];
    int n = snprintf(url, sizeof(url), "%s/event/event?id=%s", public_url ? public_url : "", id);
    yg_jw_kstr(w, "url", (yg_str){url, n < (int)sizeof(url) ? (size_t)n : sizeof(url) - 1});
}

static void write_answer(const struct yg_intake_event *e, const char *public_url,
                         struct yg_buf *out) {
    char id[24];
    int n = snprintf(id, sizeof(id), "%lld", (long long)e->id);
    struct yg_json_writer w = YG_JSON_WRITER(out);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "status", YG_STR("ok"));
    yg_jw_k(&w, "event");
    yg_jw_object(&w);
    yg_jw_ki64(&w, "id", e->id);
    yg_jw_kstr(&w, "id_str", (yg_str){id, (size_t)n});
    yg_jw_kstr(&w, "title", e->title);
    yg_jw_kstr(&w, "text", e->text);
    yg_jw_ki64(&w, "date_happened", e->ts_s);
    yg_jw_knull(&w, "handle");
    put_or_null(&w, "priority", e->priority);
    if (e->related_id != 0)
        yg_jw_ki64(&w, "related_event_id", e->related_id);
    else
        yg_jw_knull(&w, "related_event_id");
    put_url(&w, public_url, id);
    yg_jw_k(&w, "tags");
    yg_jw_array(&w);
    for (uint32_t i = 0; i < e->tag_count; i++)
        yg_jw_str(&w, e->tags[i]);
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    yg_jw_object_end(&w);
}

// Decodes; on success *ret_batch and the answer's text are the caller's.
static yg_rc decode(struct yg_http_request *req, int64_t now_ns, const uint8_t digest[16],
                    struct yg_batch **ret_batch, struct yg_buf *answer, struct yg_err *err) {
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_INTAKE, 0);
    YG_TRY(yg_door_body(req, &door, &body, err));
    struct yg_batch *b = yg_batch_create(door.track, body.len * 16 + (1u << 20));
    if (b == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory to decode the body now");
    struct yg_intake_in in = {.body = yg_buf_str(&body), .form = YG_FORM_JSON, .now_ns = now_ns};
    struct yg_intake_tally tally = {0};
    struct yg_intake_event event;
    yg_batch_keep_body(b, &body);
    b->body_bytes = in.body.len;
    b->received_ns = now_ns;
    b->digest = yg_arena_str(b->arena, yg_str_n((const char *)digest, 16));
    yg_rc rc = b->digest.ptr ? yg_intake_event_v1(&in, b, &tally, &event, err)
                             : yg_fail(err, YG_ENOMEM, "no memory to decode the body now");
    if (rc == YG_OK) {
        if (event.ts_s == 0)
            event.ts_s = now_ns / YG_NS_PER_S;
        const struct yg_intake *intake = req->ctx;
        write_answer(&event, intake->public_url, answer);
        rc = yg_buf_ok(answer, err);
    }
    if (rc != YG_OK) {
        yg_batch_destroy(b);
        return rc;
    }
    yg_door_saw(req, &door, now_ns, &tally, false);
    *ret_batch = b;
    return YG_OK;
}

static void refuse(struct yg_http_request *take_req, uint16_t status, const char *reason,
                   const char *text) {
    struct yg_intake *intake = take_req->ctx;
    yg_pipeline_reject(intake->pipeline, door.name, reason, 1);
    yg_door_saw(take_req, &door, yg_now_ns(intake->clock), NULL, true);
    yg_door_refuse(take_req, &door, status, text);
}

void yg_events_v1(struct yg_http_request *take_req) {
    struct yg_intake *intake = take_req->ctx;
    enum yg_intake_form form;
    if (!yg_door_form(take_req, &door, &form)) {
        refuse(take_req, 415, "media_type",
               "this content type or content encoding is not taken here");
        return;
    }
    uint8_t digest[16];
    struct yg_err err = {0};
    struct yg_batch *b = NULL;
    YG_AUTO(yg_buf) answer = YG_BUF(YG_MEM_INTAKE, ANSWER_MAX);
    yg_pipeline_digest(yg_door_key(take_req), take_req->path, take_req->query, take_req->body,
                       digest);
    yg_rc rc = decode(take_req, yg_now_ns(intake->clock), digest, &b, &answer, &err);
    if (rc != YG_OK) {
        refuse(take_req, yg_door_status(rc), yg_rc_name(rc), err.text);
        return;
    }
    struct yg_door_ack *ack =
        yg_door_ack_create(take_req, &door, intake->pipeline, digest, &answer);
    rc = yg_pipeline_rows(intake->pipeline, b, yg_door_ack_done, ack, &err);
    if (rc == YG_OK)
        return;
    yg_door_ack_drop(ack);
    refuse(take_req, yg_door_status(rc), yg_rc_name(rc), err.text);
}
