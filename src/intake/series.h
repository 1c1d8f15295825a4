// SPDX-License-Identifier: Apache-2.0
// Building points out of one series, whatever encoding it came in.
#ifndef YG_INTAKE_SERIES_H
#define YG_INTAKE_SERIES_H

#include "intake/decode.h"

struct yg_series_sink {
    struct yg_points *p;
    struct yg_intake_tally *tally;
    int64_t now_ns;
};

// What is known of a series before its points.
struct yg_series_head {
    yg_str name, host, unit;
    yg_str *tags;
    uint32_t tag_count, tag_cap;
    enum yg_metric_type type;
    uint32_t interval_s;
    // private
    uint32_t series;
    bool usable;
    uint32_t kept, dropped;
    const char *why;
    int64_t sketch_ts_s; // distributions: the open sketch's time
    struct yg_sketch *sketch;
};

// v2's numbers: 1 count, 2 rate, all else gauge.
enum yg_metric_type yg_series_type(int64_t number);
yg_rc yg_series_add_tag(struct yg_series_sink *s, struct yg_series_head *h, yg_str tag,
                        struct yg_err *err) YG_MUST_USE;
yg_rc yg_series_add_tags(struct yg_series_sink *s, struct yg_series_head *h, yg_str list,
                         struct yg_err *err) YG_MUST_USE; // comma-separated
// A "host" resource is the host, any other the tag "type:name".
yg_rc yg_series_add_resource(struct yg_series_sink *s, struct yg_series_head *h, yg_str type,
                             yg_str name, struct yg_err *err) YG_MUST_USE;
// Head complete: interns the series. A name that cannot be one makes its values be dropped.
yg_rc yg_series_begin(struct yg_series_sink *s, struct yg_series_head *h,
                      struct yg_err *err) YG_MUST_USE;
yg_rc yg_series_value(struct yg_series_sink *s, struct yg_series_head *h, int64_t ts_s,
                      double value, struct yg_err *err) YG_MUST_USE;
// A sketch to fill at that time; NULL when the series or the time cannot be used.
yg_rc yg_series_sketch(struct yg_series_sink *s, struct yg_series_head *h, int64_t ts_s,
                       struct yg_sketch **ret_sketch, struct yg_err *err) YG_MUST_USE;
void yg_series_end(struct yg_series_sink *s, struct yg_series_head *h, uint32_t idx);

yg_rc yg_series_protobuf(const struct yg_intake_in *in, struct yg_points *p,
                         struct yg_intake_tally *t, struct yg_err *err) YG_MUST_USE;

#endif
