// SPDX-License-Identifier: Apache-2.0
// What the decoders of this room take and give. They know bodies, not HTTP: tests and fuzzers call
// them as the routes do.
//
// A decoder refuses a body as a whole (EINPUT with the place, ELIMIT, ENOMEM; the batch is then the
// caller's to throw away) only when it does not parse. Items that parse but make no sense are
// skipped and counted; the routes answer 400 when nothing was usable.
#ifndef YG_INTAKE_DECODE_H
#define YG_INTAKE_DECODE_H

#include "model/batch.h"
#include "model/points.h"
#include "pipeline/pipeline.h"

enum yg_intake_form {
    YG_FORM_UNKNOWN, // no or no telling content type: the first byte decides
    YG_FORM_JSON,
    YG_FORM_MSGPACK,
    YG_FORM_PROTOBUF,
    YG_FORM_TEXT,
};

struct yg_intake_in {
    yg_str body; // content encoding undone; lives as long as the batch (rows borrow from it)
    enum yg_intake_form form;
    int64_t now_ns;
    yg_str ddsource; // logs: defaults from the query string
    yg_str service;
    yg_str hostname;
    yg_str ddtags;
};

struct yg_intake_tally {
    uint32_t taken;
    uint32_t skipped;        // items that make no sense
    uint32_t dropped_values; // single values of rows that were kept (too many attributes)
    char first_skipped[96];  // why the first one was skipped, with its place
};

// --- traces (dd_traces.c, dd_traces_v05.c)
yg_rc yg_intake_traces_v04(const struct yg_intake_in *in, struct yg_batch *b,
                           struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE;
yg_rc yg_intake_traces_v05(const struct yg_intake_in *in, struct yg_batch *b,
                           struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE;
yg_rc yg_intake_traces_v07(const struct yg_intake_in *in, struct yg_batch *b,
                           struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE;

// --- client statistics (dd_stats.c)
yg_rc yg_intake_stats_v06(const struct yg_intake_in *in, struct yg_points *p,
                          struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE;

// --- logs (dd_logs.c)
yg_rc yg_intake_logs(const struct yg_intake_in *in, struct yg_batch *b, struct yg_intake_tally *t,
                     struct yg_err *err) YG_MUST_USE;

// --- metrics (dd_series.c, dd_series_pb.c)
yg_rc yg_intake_series_v1(const struct yg_intake_in *in, struct yg_points *p,
                          struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE;
yg_rc yg_intake_series_v2(const struct yg_intake_in *in, struct yg_points *p,
                          struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE; // JSON, pb
yg_rc yg_intake_distribution_points(const struct yg_intake_in *in, struct yg_points *p,
                                    struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE;

yg_rc yg_intake_sketches(const struct yg_intake_in *in, struct yg_points *p,
                         struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE; // protobuf

// --- events and service checks (dd_events.c)
struct yg_intake_event {
    yg_str title, text, host, alert_type, priority, aggregation_key, source;
    const yg_str *tags;
    uint32_t tag_count;
    int64_t ts_s; // 0 = now
    int64_t id;
    int64_t related_id; // 0 = none
};
struct yg_intake_check {
    yg_str name, message, host;
    const yg_str *tags;
    uint32_t tag_count;
    int64_t ts_s;   // 0 = now
    int64_t status; // 0 ok, 1 warning, 2 critical, 3 unknown
};
// Adds one row of the events track. Strings are copied.
yg_rc yg_intake_put_event(struct yg_batch *b, const struct yg_intake_event *e, int64_t now_ns,
                          struct yg_err *err) YG_MUST_USE;
yg_rc yg_intake_put_check(struct yg_batch *b, const struct yg_intake_check *c, int64_t now_ns,
                          struct yg_err *err) YG_MUST_USE;
yg_rc yg_intake_checks(const struct yg_intake_in *in, struct yg_batch *b, struct yg_intake_tally *t,
                       struct yg_err *err) YG_MUST_USE;
// *ret_event: what the answer repeats. Borrow: from the batch's arena and the body.
yg_rc yg_intake_event_v1(const struct yg_intake_in *in, struct yg_batch *b,
                         struct yg_intake_tally *t, struct yg_intake_event *ret_event,
                         struct yg_err *err) YG_MUST_USE;

// --- DogStatsD (dogstatsd.c)
struct yg_dogstatsd_sink {
    void (*sample)(void *ctx, const struct yg_statsd_sample *sample); // borrowed for the call
    void (*event)(void *ctx, const struct yg_intake_event *event);
    void (*check)(void *ctx, const struct yg_intake_check *check);
    void *ctx;
};
// Lines of a datagram or of an HTTP body. A line that does not follow the grammar is skipped and
// counted in t->skipped. Needs scratch memory from arena; never fails as a whole.
void yg_dogstatsd_parse(yg_str data, const struct yg_dogstatsd_sink *sink, struct yg_arena *arena,
                        struct yg_intake_tally *t);

// --- shared helpers (values.c)
// Valid UTF-8 in place of s: s itself, or a copy with U+FFFD. NULL ptr without memory.
yg_str yg_intake_utf8(struct yg_arena *arena, yg_str s);
// "a,b , c" appended to an array of tags (blanks cut, empty ones left out).
bool yg_intake_split_tags(struct yg_arena *arena, yg_str list, yg_str **tags, uint32_t *count,
                          uint32_t *cap);
// Tags joined as the column "tags" wants them: ',' inside a tag becomes '_'. NULL ptr without
// memory.
yg_str yg_intake_join_tags(struct yg_arena *arena, const yg_str *tags, uint32_t count);
// Cut to at most max bytes, never inside a character.
yg_str yg_intake_cut(yg_str s, size_t max);
// Counts a skipped item; the first reason is kept.
void yg_intake_skip(struct yg_intake_tally *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
// Is a point's time usable? Later than now + 2 h or before 1970 is not.
bool yg_intake_time_ok(int64_t ts_s, int64_t now_ns);

#endif
