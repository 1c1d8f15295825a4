// SPDX-License-Identifier: Apache-2.0
// /api/beta/sketches: distributions that an agent or the Lambda extension has aggregated. Their
// bins have our keys, so they are taken over as they are.
//
// SketchPayload: 1 repeated Sketch {1 metric, 2 host, 4 repeated tags, 7 repeated Dogsketch}.
// Dogsketch: 1 int64 ts, 2 int64 cnt, 3 min, 4 max, 5 avg, 6 sum, 7 packed sint32 k, 8 packed
// uint32 n. Field 3 of Sketch, the older form, is not sent any more and not read.
// Source: DataDog/agent-payload proto/metrics/agent_payload.proto; DataDog/datadog-agent
// pkg/util/quantile
#include <math.h>

#include "codec/protobuf.h"
#include "intake/series.h"

#define KEY_MAX 32767

struct dogsketch {
    int64_t ts_s, count;
    double min, max, sum;
    struct yg_pb_field keys, counts; // the last packed runs; senders write one of each
};

static yg_rc wrong_wire(const struct yg_pb_field *f, struct yg_err *err) {
    return yg_fail(err, YG_EINPUT, "protobuf at byte %zu: field %u has another wire type", f->at,
                   f->number);
}

static yg_rc read_dogsketch(struct yg_pb *r, struct dogsketch *d, struct yg_err *err) {
    for (;;) {
        struct yg_pb_field f;
        bool more;
        YG_TRY(yg_pb_next(r, &f, &more, err));
        if (!more)
            return YG_OK;
        bool varint = f.number <= 2;
        bool fixed = f.number >= 3 && f.number <= 6;
        if ((varint && f.wire != YG_PB_VARINT) || (fixed && f.wire != YG_PB_FIXED64))
            return wrong_wire(&f, err);
        switch (f.number) {
        case 1:
            d->ts_s = (int64_t)f.u64;
            break;
        case 2:
            d->count = (int64_t)f.u64;
            break;
        case 3:
            d->min = yg_pb_f64(&f);
            break;
        case 4:
            d->max = yg_pb_f64(&f);
            break;
        case 6:
            d->sum = yg_pb_f64(&f);
            break;
        case 7:
            d->keys = f;
            break;
        case 8:
            d->counts = f;
            break;
        default:
            break;
        }
    }
}

// The bins; a larger count than 65,535 comes as the same key again, which adds up.
static void take_bins(const struct dogsketch *d, struct yg_sketch *out) {
    size_t key_at = 0;
    size_t count_at = 0;
    uint64_t key;
    uint64_t count;
    while (yg_pb_packed_varint(&d->keys, &key_at, &key) &&
           yg_pb_packed_varint(&d->counts, &count_at, &count)) {
        int64_t k = yg_pb_zigzag(key);
        if (k >= -KEY_MAX && k <= KEY_MAX && count <= UINT32_MAX)
            yg_sketch_add_bin(out, (int32_t)k, (double)count);
    }
}

static bool usable(const struct dogsketch *d) {
    return d->count > 0 && isfinite(d->min) && isfinite(d->max) && isfinite(d->sum) &&
           d->min <= d->max;
}

static yg_rc add_dogsketch(struct yg_series_sink *s, struct yg_series_head *h, struct yg_pb *r,
                           struct yg_err *err) {
    struct dogsketch d = {.ts_s = 0};
    struct yg_sketch *sketch;
    YG_TRY(read_dogsketch(r, &d, err));
    YG_TRY(yg_series_sketch(s, h, usable(&d) ? d.ts_s : 0, &sketch, err));
    if (sketch == NULL)
        return YG_OK;
    take_bins(&d, sketch);
    sketch->count = (double)d.count;
    sketch->sum = d.sum;
    sketch->min = d.min;
    sketch->max = d.max;
    return YG_OK;
}

static yg_rc take_text(struct yg_series_sink *s, const struct yg_pb_field *f, yg_str *ret_text,
                       struct yg_err *err) {
    if (f->wire != YG_PB_BYTES)
        return wrong_wire(f, err);
    *ret_text = yg_intake_utf8(s->p->arena, f->bytes);
    return ret_text->ptr ? YG_OK : yg_fail(err, YG_ENOMEM, "points memory is used up");
}

static yg_rc read_head(struct yg_series_sink *s, struct yg_series_head *h, struct yg_pb r,
                       struct yg_err *err) {
    for (;;) {
        struct yg_pb_field f;
        bool more;
        yg_str tag;
        YG_TRY(yg_pb_next(&r, &f, &more, err));
        if (!more)
            return YG_OK;
        if (f.number == 1) {
            YG_TRY(take_text(s, &f, &h->name, err));
        } else if (f.number == 2) {
            YG_TRY(take_text(s, &f, &h->host, err));
        } else if (f.number == 4) {
            YG_TRY(take_text(s, &f, &tag, err));
            YG_TRY(yg_series_add_tag(s, h, tag, err));
        }
    }
}

// Twice over the message, as a series: the head may stand behind the sketches.
static yg_rc read_sketch(struct yg_series_sink *s, struct yg_pb message, uint32_t idx,
                         struct yg_err *err) {
    struct yg_series_head h = {.type = YG_METRIC_DISTRIBUTION, .interval_s = 10};
    YG_TRY(read_head(s, &h, message, err));
    if (h.name.len == 0) {
        yg_intake_skip(s->tally, "sketches[%u].metric is missing", idx);
        return YG_OK;
    }
    YG_TRY(yg_series_begin(s, &h, err));
    for (;;) {
        struct yg_pb_field f;
        struct yg_pb sub;
        bool more;
        YG_TRY(yg_pb_next(&message, &f, &more, err));
        if (!more)
            break;
        if (f.number != 7)
            continue;
        if (f.wire != YG_PB_BYTES)
            return wrong_wire(&f, err);
        yg_pb_sub(&message, &f, &sub);
        YG_TRY(add_dogsketch(s, &h, &sub, err));
    }
    yg_series_end(s, &h, idx);
    return YG_OK;
}

yg_rc yg_intake_sketches(const struct yg_intake_in *in, struct yg_points *p,
                         struct yg_intake_tally *t, struct yg_err *err) {
    struct yg_series_sink s = {.p = p, .tally = t, .now_ns = in->now_ns};
    struct yg_pb r;
    yg_pb_init(&r, in->body, 0);
    for (uint32_t idx = 0;;) {
        struct yg_pb_field f;
        struct yg_pb sub;
        bool more;
        YG_TRY(yg_pb_next(&r, &f, &more, err));
        if (!more)
            return YG_OK;
        if (f.number != 1)
            continue;
        if (f.wire != YG_PB_BYTES)
            return wrong_wire(&f, err);
        yg_pb_sub(&r, &f, &sub);
        YG_TRY(read_sketch(&s, sub, idx++, err));
    }
}
