// SPDX-License-Identifier: Apache-2.0
// /api/v2/series as Protocol Buffers: the agents' MetricPayload.
//
// MetricPayload: 1 repeated MetricSeries. MetricSeries: 1 repeated Resource {1 type, 2 name},
// 2 metric, 3 repeated tags, 4 repeated MetricPoint {1 double value, 2 int64 timestamp}, 5 type,
// 6 unit, 8 interval.
// Source: DataDog/agent-payload proto/metrics/agent_payload.proto
#include "base/utf8.h"
#include "codec/protobuf.h"
#include "intake/series.h"

static yg_rc wrong_wire(const struct yg_pb_field *f, struct yg_err *err) {
    return yg_fail(err, YG_EINPUT, "protobuf at byte %zu: field %u has another wire type", f->at,
                   f->number);
}

// A string field's text, made valid UTF-8.
static yg_rc take_text(struct yg_series_sink *s, const struct yg_pb_field *f, yg_str *ret_text,
                       struct yg_err *err) {
    if (f->wire != YG_PB_BYTES)
        return wrong_wire(f, err);
    *ret_text = yg_intake_utf8(s->p->arena, f->bytes);
    return ret_text->ptr ? YG_OK : yg_fail(err, YG_ENOMEM, "points memory is used up");
}

static yg_rc read_resource(struct yg_series_sink *s, struct yg_series_head *h, struct yg_pb *r,
                           struct yg_err *err) {
    yg_str type = YG_STR("");
    yg_str name = YG_STR("");
    for (;;) {
        struct yg_pb_field f;
        bool more;
        YG_TRY(yg_pb_next(r, &f, &more, err));
        if (!more)
            return yg_series_add_resource(s, h, type, name, err);
        if (f.number == 1)
            YG_TRY(take_text(s, &f, &type, err));
        else if (f.number == 2)
            YG_TRY(take_text(s, &f, &name, err));
    }
}

static yg_rc read_point(struct yg_series_sink *s, struct yg_series_head *h, struct yg_pb *r,
                        struct yg_err *err) {
    double value = 0;
    int64_t ts_s = 0;
    for (;;) {
        struct yg_pb_field f;
        bool more;
        YG_TRY(yg_pb_next(r, &f, &more, err));
        if (!more)
            return yg_series_value(s, h, ts_s, value, err);
        if (f.number == 1 && f.wire == YG_PB_FIXED64)
            value = yg_pb_f64(&f);
        else if (f.number == 2 && f.wire == YG_PB_VARINT)
            ts_s = (int64_t)f.u64;
        else if (f.number <= 2)
            return wrong_wire(&f, err);
    }
}

// All but the points.
static yg_rc read_head_field(struct yg_series_sink *s, struct yg_series_head *h,
                             const struct yg_pb *r, const struct yg_pb_field *f,
                             struct yg_err *err) {
    struct yg_pb sub;
    yg_str text;
    switch (f->number) {
    case 1:
        if (f->wire != YG_PB_BYTES)
            return wrong_wire(f, err);
        yg_pb_sub(r, f, &sub);
        return read_resource(s, h, &sub, err);
    case 2:
        return take_text(s, f, &h->name, err);
    case 3:
        YG_TRY(take_text(s, f, &text, err));
        return yg_series_add_tag(s, h, text, err);
    case 5:
        if (f->wire != YG_PB_VARINT)
            return wrong_wire(f, err);
        h->type = yg_series_type((int64_t)f->u64);
        return YG_OK;
    case 6:
        return take_text(s, f, &h->unit, err);
    case 8:
        if (f->wire != YG_PB_VARINT)
            return wrong_wire(f, err);
        h->interval_s = f->u64 < UINT32_MAX ? (uint32_t)f->u64 : 0;
        return YG_OK;
    default:
        return YG_OK;
    }
}

// Twice over the message: the head may stand behind the points.
static yg_rc read_series(struct yg_series_sink *s, const struct yg_pb *message, uint32_t idx,
                         struct yg_err *err) {
    struct yg_series_head h = {.type = YG_METRIC_GAUGE};
    struct yg_pb_field f;
    bool more;
    for (struct yg_pb r = *message;;) {
        YG_TRY(yg_pb_next(&r, &f, &more, err));
        if (!more)
            break;
        YG_TRY(read_head_field(s, &h, &r, &f, err));
    }
    if (h.name.len == 0) {
        yg_intake_skip(s->tally, "series[%u].metric is missing", idx);
        return YG_OK;
    }
    YG_TRY(yg_series_begin(s, &h, err));
    for (struct yg_pb r = *message;;) {
        YG_TRY(yg_pb_next(&r, &f, &more, err));
        if (!more)
            break;
        if (f.number != 4)
            continue;
        if (f.wire != YG_PB_BYTES)
            return wrong_wire(&f, err);
        struct yg_pb point;
        yg_pb_sub(&r, &f, &point);
        YG_TRY(read_point(s, &h, &point, err));
    }
    yg_series_end(s, &h, idx);
    return YG_OK;
}

yg_rc yg_series_protobuf(const struct yg_intake_in *in, struct yg_points *p,
                         struct yg_intake_tally *t, struct yg_err *err) {
    struct yg_series_sink s = {.p = p, .tally = t, .now_ns = in->now_ns};
    struct yg_pb r;
    yg_pb_init(&r, in->body, 0);
    for (uint32_t idx = 0;;) {
        struct yg_pb_field f;
        bool more;
        YG_TRY(yg_pb_next(&r, &f, &more, err));
        if (!more)
            return YG_OK;
        if (f.number != 1)
            continue;
        if (f.wire != YG_PB_BYTES)
            return wrong_wire(&f, err);
        struct yg_pb series;
        yg_pb_sub(&r, &f, &series);
        YG_TRY(read_series(&s, &series, idx++, err));
    }
}
