// SPDX-License-Identifier: Apache-2.0
// From a request to the pipeline: the steps that all doors share.
#include "intake/door.h"

#define ARENA_SPARE_BYTES (16u << 20)

struct visit {
    struct yg_http_request *req;
    const struct yg_door *door;
    struct yg_intake *intake;
    struct yg_intake_in in;
    struct yg_intake_tally tally;
    uint8_t digest[16];
    struct yg_batch *batch; // one of the two, once decoded
    struct yg_points *points;
};

static void take_query(struct visit *v) {
    v->in.ddsource = yg_http_query(v->req, "ddsource", NULL);
    v->in.service = yg_http_query(v->req, "service", NULL);
    v->in.hostname = yg_http_query(v->req, "hostname", NULL);
    if (v->in.hostname.len == 0)
        v->in.hostname = yg_http_query(v->req, "host", NULL);
    v->in.ddtags = yg_http_query(v->req, "ddtags", NULL);
}

// Strings of the query live in the request's arena, which may go before the rows do.
static bool keep_query(struct visit *v, struct yg_arena *arena) {
    yg_str *const texts[] = {&v->in.ddsource, &v->in.service, &v->in.hostname, &v->in.ddtags};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i]->len == 0)
            continue;
        yg_str copy = yg_arena_str(arena, *texts[i]);
        *texts[i] = copy.ptr ? yg_intake_utf8(arena, copy) : copy;
        if (texts[i]->ptr == NULL)
            return false;
    }
    return true;
}

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "no memory to decode the body now");
}

// A body that does not fit its arena although the room has memory is too large for us; it would be
// so again.
static yg_rc judge(yg_rc rc, struct yg_err *err) {
    if (rc != YG_ENOMEM || yg_mem_over(YG_MEM_INTAKE))
        return rc;
    int64_t limit = yg_mem_limit(YG_MEM_INTAKE);
    if (limit != 0 && yg_mem_used(YG_MEM_INTAKE) > limit / 2)
        return rc; // others hold the memory: try again later
    return yg_fail(err, YG_ELIMIT, "the body needs more memory than one body may take");
}

static yg_rc nothing_usable(const struct visit *v, struct yg_err *err) {
    if (v->tally.taken > 0 || v->tally.skipped == 0 || v->door->lenient)
        return YG_OK;
    return yg_fail(err, YG_EINPUT, "no usable item of %u: %s", v->tally.skipped,
                   v->tally.first_skipped);
}

// Decodes into v->batch. Takes the body: rows borrow from it.
static yg_rc decode_rows(struct visit *v, struct yg_buf *take_body, struct yg_err *err) {
    struct yg_batch *b = yg_batch_create(v->door->track, take_body->len * 4 + ARENA_SPARE_BYTES);
    if (b == NULL)
        return no_memory(err);
    v->batch = b;
    v->in.body = yg_buf_str(take_body);
    yg_batch_keep_body(b, take_body);
    b->body_bytes = v->in.body.len;
    b->received_ns = v->in.now_ns;
    b->digest = yg_arena_str(b->arena, yg_str_n((const char *)v->digest, sizeof(v->digest)));
    if (b->digest.ptr == NULL || !keep_query(v, b->arena))
        return no_memory(err);
    return v->door->rows(&v->in, b, &v->tally, err);
}

// Decodes into v->points, which copy what they keep of the body.
static yg_rc decode_points(struct visit *v, yg_str body, struct yg_err *err) {
    struct yg_points *p = yg_points_create(body.len * 4 + ARENA_SPARE_BYTES);
    if (p == NULL)
        return no_memory(err);
    v->points = p;
    v->in.body = body;
    p->body_bytes = body.len;
    p->received_ns = v->in.now_ns;
    p->digest = yg_arena_str(p->arena, yg_str_n((const char *)v->digest, sizeof(v->digest)));
    if (p->digest.ptr == NULL)
        return no_memory(err);
    return v->door->points(&v->in, p, &v->tally, err);
}

static yg_rc decode(struct visit *v, struct yg_err *err) {
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_INTAKE, 0);
    YG_TRY(yg_door_body(v->req, v->door, &body, err));
    yg_rc rc;
    if (v->door->rows)
        rc = decode_rows(v, &body, err);
    else
        rc = decode_points(v, yg_buf_str(&body), err);
    return rc == YG_OK ? nothing_usable(v, err) : judge(rc, err);
}

static void refuse(struct visit *v, uint16_t status, const char *reason, const char *text) {
    yg_batch_destroy(v->batch);
    yg_points_destroy(v->points);
    yg_pipeline_reject(v->intake->pipeline, v->door->name, reason, 1);
    yg_door_saw(v->req, v->door, v->in.now_ns, NULL, true);
    yg_door_refuse(v->req, v->door, status, text);
}

static void count_losses(const struct visit *v) {
    struct yg_pipeline *p = v->intake->pipeline;
    if (v->tally.skipped > 0)
        yg_pipeline_reject(p, v->door->name, "unusable_item", v->tally.skipped);
    if (v->tally.dropped_values > 0)
        yg_pipeline_reject(p, v->door->name, "dropped_value", v->tally.dropped_values);
}

// Hands the rows on. From here on the request belongs to the acknowledgement, unless the pipeline
// refuses at once.
static void submit(struct visit *v) {
    struct yg_pipeline *p = v->intake->pipeline;
    struct yg_err err = {0};
    count_losses(v);
    yg_door_saw(v->req, v->door, v->in.now_ns, &v->tally, false);
    struct yg_door_ack *ack = yg_door_ack_create(v->req, v->door, p, v->digest, NULL);
    yg_rc rc = v->batch ? yg_pipeline_rows(p, v->batch, yg_door_ack_done, ack, &err)
                        : yg_pipeline_points(p, v->points, yg_door_ack_done, ack, &err);
    if (rc == YG_OK)
        return;
    yg_door_ack_drop(ack);
    yg_pipeline_reject(p, v->door->name, yg_rc_name(rc), 1);
    yg_door_refuse(v->req, v->door, yg_door_status(rc), err.text);
}

void yg_door_run(struct yg_http_request *take_req, const struct yg_door *door) {
    struct yg_intake *intake = take_req->ctx;
    struct visit v = {.req = take_req, .door = door, .intake = intake};
    struct yg_err err = {0};
    v.in.now_ns = yg_now_ns(intake->clock);
    if (!yg_door_form(take_req, door, &v.in.form)) {
        refuse(&v, 415, "media_type", "this content type or content encoding is not taken here");
        return;
    }
    yg_rc rc = yg_pipeline_room(intake->pipeline, &err);
    if (rc == YG_OK) {
        take_query(&v);
        yg_pipeline_digest(yg_door_key(take_req), take_req->path, take_req->query, take_req->body,
                           v.digest);
        rc = decode(&v, &err);
    }
    if (rc != YG_OK)
        refuse(&v, yg_door_status(rc), yg_rc_name(rc), err.text);
    else
        submit(&v);
}
