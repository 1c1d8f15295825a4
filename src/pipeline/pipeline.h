// SPDX-License-Identifier: Apache-2.0
// From decoded batches to the store: admission (key), normalisation, the DogStatsD aggregator, the
// resend rule.
#ifndef YG_PIPELINE_PIPELINE_H
#define YG_PIPELINE_PIPELINE_H

#include "meta/meta.h"
#include "store/store.h"

struct yg_pipeline;

struct yg_pipeline_options {
    struct yg_store *store;
    struct yg_meta *meta;
    const struct yg_clock *clock;
    int64_t retention_ns[YG_TRACK_COUNT]; // rows older than this are dropped at the door; 0 = none
};

struct yg_pipeline *yg_pipeline_create(const struct yg_pipeline_options *options);
void yg_pipeline_destroy(struct yg_pipeline *p); // flushes the aggregator first

// True when the API key is known and not revoked. In memory; never blocks: fit for the loop thread.
bool yg_admit_api_key(struct yg_pipeline *p, yg_str key);

// 16 bytes into out: digest of (key, path, query, body).
void yg_pipeline_digest(yg_str key, yg_str path, yg_str query, yg_str body, uint8_t out[16]);

// Is there room for more? EBUSY as from yg_pipeline_rows, before anything was decoded.
yg_rc yg_pipeline_room(struct yg_pipeline *p, struct yg_err *err) YG_MUST_USE;
// Runs the stages and appends. Takes the batch also on failure. fn as in yg_store_append: called
// exactly once unless an error is returned. EBUSY → 429 with Retry-After. A digest that was stored
// and not known to be delivered is acknowledged without storing. Stages: event time bounds (later
// than now + 2 h → intake time with the sent one kept as
// "@_sent_timestamp"; older than the retention → dropped and counted), default status, service and
// host, spans: env, status, limits of field lengths.
yg_rc yg_pipeline_rows(struct yg_pipeline *p, struct yg_batch *take_batch, yg_append_fn fn,
                       void *arg, struct yg_err *err) YG_MUST_USE;
yg_rc yg_pipeline_points(struct yg_pipeline *p, struct yg_points *take_points, yg_append_fn fn,
                         void *arg, struct yg_err *err) YG_MUST_USE;
// The answer was (not) delivered: see yg_http_reply.on_done.
void yg_pipeline_delivered(struct yg_pipeline *p, const uint8_t digest[16], bool delivered);

// ---- DogStatsD: samples are aggregated into 10 s buckets and appended when a bucket is over.
enum yg_statsd_type {
    YG_STATSD_COUNT,
    YG_STATSD_GAUGE,
    YG_STATSD_HISTOGRAM,
    YG_STATSD_TIMING,
    YG_STATSD_SET,
    YG_STATSD_DISTRIBUTION
};
struct yg_statsd_sample {
    yg_str name;
    enum yg_statsd_type type;
    const double *values; // one or several (protocol 1.1)
    uint32_t value_count;
    yg_str set_value;   // SET
    bool gauge_delta;   // "+1"/"-1" on a gauge is a plain value in DogStatsD; kept for completeness
    double sample_rate; // 1 when not sent
    const yg_str *tags;
    uint32_t tag_count;
    yg_str host;  // from host: tag or empty
    int64_t ts_s; // 0 = now; otherwise written as it is, without aggregation
};
// Any thread; bounded: false when the aggregator's memory is full (counted as dropped).
bool yg_statsd_add(struct yg_pipeline *p, const struct yg_statsd_sample *sample);
// Closes buckets that ended before now (and all when `all`): called every second by main's clock,
// and by tests.
void yg_statsd_flush(struct yg_pipeline *p, bool all);

// Counter of refused or dropped items by route and reason: shows as
// yagura.intake.rejected{route,reason}.
void yg_pipeline_reject(struct yg_pipeline *p, const char *route, const char *reason,
                        int64_t items);

#endif
