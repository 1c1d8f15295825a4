// SPDX-License-Identifier: Apache-2.0
// The way of a batch from a decoder to the store: resend rule, stages, append.
//
// Resend rule. A client that never saw an answer sends the body again; it must be stored once. Two
// senders may also send equal bodies on purpose (two sandboxes, one metric): both must be stored.
// So a digest is a resend only when the store holds it as not delivered and no request with it is
// being answered at this moment.
#include "pipeline/pipeline.h"

#include <pthread.h>

#include "base/counter.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/panic.h"
#include "pipeline/stages.h"
#include "pipeline/statsd_agg.h"

#define DIGEST_BYTES 16u
#define IN_FLIGHT_MAX 65536u
#define PIPELINE_MAGIC 0x9a3f51e7u

struct yg_pipeline {
    uint32_t magic;
    struct yg_pipeline_options options;
    struct yg_statsd_agg *statsd;
    pthread_mutex_t lock;    // guards in_flight
    struct yg_map in_flight; // digest → number of requests being answered
    struct yg_counter *rows[YG_TRACK_COUNT];
    struct yg_counter *bytes[YG_TRACK_COUNT];
    struct yg_counter *points;
    struct yg_counter *point_bytes;
    struct yg_counter *resent;
};

struct yg_pipeline *yg_pipeline_create(const struct yg_pipeline_options *options) {
    struct yg_pipeline *p = yg_calloc(YG_MEM_INTAKE, 1, sizeof(*p));
    p->magic = PIPELINE_MAGIC;
    p->options = *options;
    p->in_flight = YG_MAP(YG_MEM_INTAKE, true);
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned t = 0; t < YG_TRACK_COUNT; t++) {
        char tags[48];
        snprintf(tags, sizeof(tags), "track:%s", yg_track_name((enum yg_track)t));
        p->rows[t] = yg_counter_get(YG_COUNTER, "yagura.intake.rows", tags);
        p->bytes[t] = yg_counter_get(YG_COUNTER, "yagura.intake.bytes", tags);
    }
    p->points = yg_counter_get(YG_COUNTER, "yagura.intake.rows", "track:metrics");
    p->point_bytes = yg_counter_get(YG_COUNTER, "yagura.intake.bytes", "track:metrics");
    p->resent = yg_counter_get(YG_COUNTER, "yagura.intake.resent", "");
    p->statsd = yg_statsd_agg_create(p, options->clock);
    return p;
}

void yg_pipeline_destroy(struct yg_pipeline *p) {
    if (p == NULL)
        return;
    YG_CHECK(p, PIPELINE_MAGIC);
    yg_statsd_flush(p, true);
    yg_statsd_agg_destroy(p->statsd);
    yg_map_fini(&p->in_flight);
    pthread_mutex_destroy(&p->lock);
    p->magic = 0;
    yg_free(YG_MEM_INTAKE, p);
}

bool yg_admit_api_key(struct yg_pipeline *p, yg_str key) {
    return yg_meta_key_valid(p->options.meta, YG_KEY_API, key);
}

int64_t yg_pipeline_retention_ns(const struct yg_pipeline *p, enum yg_track track) {
    return p->options.retention_ns[track];
}

void yg_pipeline_reject(struct yg_pipeline *p, const char *route, const char *reason,
                        int64_t items) {
    (void)p;
    char tags[160];
    snprintf(tags, sizeof(tags), "route:%s,reason:%s", route, reason);
    yg_counter_add(yg_counter_get(YG_COUNTER, "yagura.intake.rejected", tags), items);
}

// ------------------------------------------------------------ resend rule

void yg_pipeline_digest(yg_str key, yg_str path, yg_str query, yg_str body, uint8_t out[16]) {
    uint64_t parts[8];
    yg_hash_stable128(key.ptr, key.len, &parts[0]);
    yg_hash_stable128(path.ptr, path.len, &parts[2]);
    yg_hash_stable128(query.ptr, query.len, &parts[4]);
    yg_hash_stable128(body.ptr, body.len, &parts[6]);
    uint64_t digest[2];
    yg_hash_stable128(parts, sizeof(parts), digest);
    memcpy(out, digest, DIGEST_BYTES);
}

static void in_flight_leave(struct yg_pipeline *p, yg_str digest) {
    pthread_mutex_lock(&p->lock);
    uint64_t *count = yg_map_get(&p->in_flight, digest);
    if (count && --*count == 0)
        yg_map_remove(&p->in_flight, digest);
    pthread_mutex_unlock(&p->lock);
}

// Notes that a body of this digest is being answered. False: it is a resend of a stored one.
static bool in_flight_enter(struct yg_pipeline *p, yg_str digest) {
    pthread_mutex_lock(&p->lock);
    uint64_t *count = yg_map_get(&p->in_flight, digest);
    bool resend = count == NULL && yg_store_resend_seen(p->options.store, digest);
    if (count == NULL && p->in_flight.len < IN_FLIGHT_MAX)
        count = yg_map_put(&p->in_flight, digest, NULL);
    if (count)
        ++*count;
    pthread_mutex_unlock(&p->lock);
    return !resend;
}

void yg_pipeline_delivered(struct yg_pipeline *p, const uint8_t digest[16], bool delivered) {
    yg_str key = yg_str_n((const char *)digest, DIGEST_BYTES);
    if (delivered)
        yg_store_resend_delivered(p->options.store, key);
    in_flight_leave(p, key);
}

// ------------------------------------------------------------ rows and points

yg_rc yg_pipeline_room(struct yg_pipeline *p, struct yg_err *err) {
    YG_CHECK(p, PIPELINE_MAGIC);
    return yg_store_admit(p->options.store, err);
}

static yg_rc append_rows(struct yg_pipeline *p, struct yg_batch *take_batch, yg_append_fn fn,
                         void *arg, struct yg_err *err) {
    enum yg_track track = take_batch->track;
    int64_t rows = take_batch->row_count, bytes = (int64_t)take_batch->body_bytes;
    YG_TRY(yg_store_append(p->options.store, take_batch, fn, arg, err));
    yg_counter_add(p->rows[track], rows);
    yg_counter_add(p->bytes[track], bytes);
    return YG_OK;
}

yg_rc yg_pipeline_rows(struct yg_pipeline *p, struct yg_batch *take_batch, yg_append_fn fn,
                       void *arg, struct yg_err *err) {
    YG_CHECK(p, PIPELINE_MAGIC);
    yg_str digest = take_batch->digest;
    if (digest.len == DIGEST_BYTES && !in_flight_enter(p, digest)) {
        yg_counter_add(p->resent, take_batch->row_count);
        yg_batch_destroy(take_batch);
        fn(arg, YG_OK, NULL);
        return YG_OK;
    }
    uint8_t copy[DIGEST_BYTES] = {0}; // the batch may be gone when the append fails
    if (digest.len == DIGEST_BYTES)
        memcpy(copy, digest.ptr, DIGEST_BYTES);
    yg_rc rc = yg_stages_run(p, take_batch, yg_now_ns(p->options.clock), err);
    if (rc == YG_OK)
        rc = append_rows(p, take_batch, fn, arg, err);
    else
        yg_batch_destroy(take_batch);
    if (rc != YG_OK && digest.len == DIGEST_BYTES)
        in_flight_leave(p, yg_str_n((const char *)copy, DIGEST_BYTES));
    return rc;
}

yg_rc yg_pipeline_points(struct yg_pipeline *p, struct yg_points *take_points, yg_append_fn fn,
                         void *arg, struct yg_err *err) {
    YG_CHECK(p, PIPELINE_MAGIC);
    yg_str digest = take_points->digest;
    if (digest.len == DIGEST_BYTES && !in_flight_enter(p, digest)) {
        yg_counter_add(p->resent, take_points->count);
        yg_points_destroy(take_points);
        fn(arg, YG_OK, NULL);
        return YG_OK;
    }
    uint8_t copy[DIGEST_BYTES] = {0};
    if (digest.len == DIGEST_BYTES)
        memcpy(copy, digest.ptr, DIGEST_BYTES);
    int64_t count = take_points->count, bytes = (int64_t)take_points->body_bytes;
    yg_rc rc = yg_store_append_points(p->options.store, take_points, fn, arg, err);
    if (rc != YG_OK) {
        if (digest.len == DIGEST_BYTES)
            in_flight_leave(p, yg_str_n((const char *)copy, DIGEST_BYTES));
        return rc;
    }
    yg_counter_add(p->points, count);
    yg_counter_add(p->point_bytes, bytes);
    return YG_OK;
}

// ------------------------------------------------------------ DogStatsD

bool yg_statsd_add(struct yg_pipeline *p, const struct yg_statsd_sample *sample) {
    return yg_statsd_agg_add(p->statsd, sample);
}

void yg_statsd_flush(struct yg_pipeline *p, bool all) {
    yg_statsd_agg_flush(p->statsd, all);
}
