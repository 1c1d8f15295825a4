// SPDX-License-Identifier: Apache-2.0
// The payload of a run in a metric block file: times, then values of one series.
//
// Written is version 2; what version 1 has otherwise is read by the functions named v1. The bytes
// are described in docs/formats/metrics.md.

#include "base/panic.h"
#include "codec/varint.h"
#include "store/mstore_format.h"
#include "store/mstore_int.h"

void yg_mscratch_fini(struct yg_mscratch *s) {
    yg_free(YG_MS_TAG, s->values);
    yg_free(YG_MS_TAG, s->times);
    yg_free(YG_MS_TAG, s->places);
    *s = (struct yg_mscratch){0};
}

static void scratch_for(struct yg_mscratch *s, uint32_t n) {
    if (n <= s->cap)
        return;
    s->values = yg_realloc(YG_MS_TAG, s->values, n * sizeof(*s->values));
    s->times = yg_realloc(YG_MS_TAG, s->times, n * sizeof(*s->times));
    s->places = yg_realloc(YG_MS_TAG, s->places, n * sizeof(*s->places));
    s->cap = n;
}

// ------------------------------------------------------------ writing

static void put_times(struct yg_buf *out, const uint32_t *bucket, uint32_t n, uint32_t step,
                      struct yg_mscratch *s) {
    if (n == 1)
        return;
    bool regular = true;
    for (uint32_t i = 2; i < n && regular; i++)
        regular = bucket[i] - bucket[i - 1] == bucket[1] - bucket[0];
    if (regular) {
        yg_put_varint(out, (bucket[1] - bucket[0]) / step);
        return;
    }
    yg_put_varint(out, 0);
    for (uint32_t i = 0; i < n; i++)
        s->times[i] = bucket[i] / step;
    yg_mints_put(out, s->times, n);
}

static void put_at(struct yg_buf *out, const double *v, const struct yg_mscratch *s, uint32_t n,
                   uint32_t multi) {
    if (multi == n) {
        yg_mcol_put(out, v, n);
        return;
    }
    for (uint32_t i = 0; i < multi; i++)
        s->values[i] = v[s->places[i]];
    yg_mcol_put(out, s->values, multi);
}

static bool is_multi(const struct yg_mrun *r, uint32_t i) {
    return r->count[i] < 1 || r->count[i] > 1 || r->last[i] < r->sum[i] || r->last[i] > r->sum[i] ||
           r->min[i] < r->sum[i] || r->max[i] > r->sum[i];
}

static void put_full(struct yg_buf *out, const struct yg_mrun *r, uint32_t at, uint32_t n,
                     uint32_t step, struct yg_mscratch *s) {
    uint32_t multi = 0;
    if (step > 1) {
        yg_buf_putc(out, YG_MRUN_ROLLED);
        yg_mcol_put(out, r->min + at, n);
        yg_mcol_put(out, r->max + at, n);
        yg_mcol_put(out, r->sum + at, n);
        yg_mcol_put(out, r->count + at, n);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        if (is_multi(r, at + i))
            s->places[multi++] = i;
    if (multi == 0) {
        yg_buf_putc(out, YG_MRUN_SINGLE);
        yg_mcol_put(out, r->sum + at, n);
        return;
    }
    yg_buf_putc(out, YG_MRUN_MIXED);
    yg_mcol_put(out, r->last + at, n);
    yg_put_varint(out, multi);
    if (multi < n)
        yg_mints_put(out, s->places, multi);
    put_at(out, r->min + at, s, n, multi);
    put_at(out, r->max + at, s, n, multi);
    put_at(out, r->sum + at, s, n, multi);
    put_at(out, r->count + at, s, n, multi);
}

void yg_mpayload_put(struct yg_buf *out, enum yg_metric_type type, const struct yg_mrun *r,
                     uint32_t at, uint32_t n, uint32_t step, struct yg_mscratch *s) {
    scratch_for(s, n);
    yg_put_varint(out, n);
    put_times(out, r->bucket + at, n, step, s);
    if (type == YG_METRIC_DISTRIBUTION) {
        yg_buf_putc(out, YG_MRUN_SKETCHES);
        for (uint32_t i = 0; i < n; i++)
            yg_sketch_encode(r->sketch[at + i], out);
    } else if (r->full) {
        put_full(out, r, at, n, step, s);
    } else {
        yg_buf_putc(out, YG_MRUN_SINGLE);
        yg_mcol_put(out, r->sum + at, n);
    }
}

// ------------------------------------------------------------ reading times

struct times {
    uint32_t n;
    uint32_t first, step; // step 0: at[i]
    const int64_t *at;
};

static uint32_t time_at(const struct times *t, uint32_t i) {
    return t->step > 0 ? t->first + i * t->step : (uint32_t)t->at[i];
}

// The first index whose bucket is not before `bucket`.
static uint32_t time_index(const struct times *t, uint32_t bucket) {
    if (bucket <= t->first)
        return 0;
    if (t->step > 0) {
        uint64_t i = ((uint64_t)bucket - t->first + t->step - 1) / t->step;
        return i < t->n ? (uint32_t)i : t->n;
    }
    uint32_t lo = 0, hi = t->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->at[mid] < (int64_t)bucket)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static yg_rc get_u32(struct yg_cursor *c, uint32_t *ret, struct yg_err *err) {
    uint64_t v;
    YG_TRY(yg_get_varint(c, &v, err));
    if (v > UINT32_MAX)
        return yg_fail(err, YG_ECORRUPT, "number %llu is too large", (unsigned long long)v);
    *ret = (uint32_t)v;
    return YG_OK;
}

static yg_rc bad_times(struct yg_err *err) {
    return yg_fail(err, YG_ECORRUPT, "times of series do not ascend");
}

static yg_rc get_times_v1(struct yg_cursor *in, struct times *t, struct yg_mscratch *s,
                          struct yg_err *err) {
    YG_TRY(get_u32(in, &t->first, err));
    YG_TRY(get_u32(in, &t->step, err));
    t->at = s->times;
    s->times[0] = t->first;
    for (uint32_t i = 1; t->step == 0 && i < t->n; i++) {
        uint32_t delta;
        YG_TRY(get_u32(in, &delta, err));
        s->times[i] = s->times[i - 1] + delta;
        if (delta == 0 || s->times[i] > UINT32_MAX)
            return bad_times(err);
    }
    return YG_OK;
}

static void fill_in(void *ctx, const int64_t *v, uint32_t n) {
    int64_t **to = ctx;
    memcpy(*to, v, n * sizeof(*v));
    *to += n;
}

static yg_rc get_times(struct yg_cursor *in, uint32_t step, struct times *t, struct yg_mscratch *s,
                       struct yg_err *err) {
    uint32_t distance = 1;
    if (t->n > 1)
        YG_TRY(get_u32(in, &distance, err));
    if (distance > UINT32_MAX / step)
        return bad_times(err);
    t->step = distance * step;
    if (t->step > 0)
        return YG_OK;
    int64_t *to = s->times;
    if (!yg_mints_get(in->in, &in->pos, t->n, 0, t->n, fill_in, &to))
        return yg_fail(err, YG_ECORRUPT, "packed times are damaged");
    t->at = s->times;
    for (uint32_t i = 0; i < t->n; i++) {
        if (s->times[i] < 0 || s->times[i] > UINT32_MAX / step ||
            (i > 0 && s->times[i] * step <= s->times[i - 1]))
            return bad_times(err);
        s->times[i] *= step;
    }
    return s->times[0] == t->first ? YG_OK : bad_times(err);
}

// ------------------------------------------------------------ reading values

struct window { // of a run's points, and where they go
    uint32_t from, to;
    struct yg_mrun *run;
    uint32_t fields;
};

static yg_rc get_column(struct yg_cursor *in, double *to, uint32_t n, const struct window *w,
                        uint32_t field, struct yg_err *err) {
    if ((w->fields & field) != 0)
        return yg_mcol_get_range(in->in, &in->pos, to + w->run->len, n, w->from, w->to, err);
    memset(to + w->run->len, 0, (w->to - w->from) * sizeof(*to)); // joined, but by nobody read
    return yg_mcol_get_range(in->in, &in->pos, to, n, 0, 0, err);
}

static yg_rc get_full_v1(struct yg_cursor *in, uint32_t n, const struct window *w,
                         struct yg_err *err) {
    struct yg_mrun *r = w->run;
    YG_TRY(get_column(in, r->last, n, w, YG_METRIC_LAST, err));
    YG_TRY(get_column(in, r->min, n, w, YG_METRIC_MIN, err));
    YG_TRY(get_column(in, r->max, n, w, YG_METRIC_MAX, err));
    YG_TRY(get_column(in, r->sum, n, w, YG_METRIC_SUM, err));
    return get_column(in, r->count, n, w, YG_METRIC_WEIGHT, err);
}

static yg_rc get_rolled(struct yg_cursor *in, uint32_t n, const struct window *w,
                        struct yg_err *err) {
    struct yg_mrun *r = w->run;
    memset(r->last + r->len, 0, (w->to - w->from) * sizeof(*r->last)); // nobody asks for it
    YG_TRY(get_column(in, r->min, n, w, YG_METRIC_MIN, err));
    YG_TRY(get_column(in, r->max, n, w, YG_METRIC_MAX, err));
    YG_TRY(get_column(in, r->sum, n, w, YG_METRIC_SUM, err));
    return get_column(in, r->count, n, w, YG_METRIC_WEIGHT, err);
}

// Values of the buckets with several samples, put at their places.
static yg_rc get_spread(struct yg_cursor *in, double *to, uint32_t multi, uint32_t lo, uint32_t hi,
                        const struct window *w, struct yg_mscratch *s, struct yg_err *err) {
    YG_TRY(yg_mcol_get_range(in->in, &in->pos, s->values, multi, lo, hi, err));
    for (uint32_t i = lo; i < hi; i++)
        to[w->run->len + (uint32_t)s->places[i] - w->from] = s->values[i - lo];
    return YG_OK;
}

static yg_rc get_places(struct yg_cursor *in, uint32_t multi, uint32_t n, const struct window *w,
                        struct yg_mscratch *s, uint32_t *ret_lo, uint32_t *ret_hi,
                        struct yg_err *err) {
    int64_t *to = s->places;
    if (!yg_mints_get(in->in, &in->pos, multi, 0, multi, fill_in, &to))
        return yg_fail(err, YG_ECORRUPT, "places of buckets are damaged");
    *ret_lo = *ret_hi = 0;
    for (uint32_t i = 0; i < multi; i++) {
        if (s->places[i] < 0 || s->places[i] >= n || (i > 0 && s->places[i] <= s->places[i - 1]))
            return yg_fail(err, YG_ECORRUPT, "places of buckets do not ascend");
        *ret_lo += s->places[i] < w->from;
        *ret_hi += s->places[i] < w->to;
    }
    return YG_OK;
}

static yg_rc get_mixed(struct yg_cursor *in, uint32_t n, const struct window *w,
                       struct yg_mscratch *s, struct yg_err *err) {
    struct yg_mrun *r = w->run;
    size_t last = in->pos;
    uint32_t multi;
    YG_TRY(yg_mcol_get_range(in->in, &in->pos, r->last, n, 0, 0, err));
    YG_TRY(get_u32(in, &multi, err));
    if (multi == 0 || multi > n)
        return yg_fail(err, YG_ECORRUPT, "%u of %u buckets have several samples", multi, n);
    if (multi == n) {
        struct yg_cursor again = {.in = in->in, .pos = last};
        YG_TRY(get_column(&again, r->last, n, w, YG_METRIC_LAST, err));
        YG_TRY(get_column(in, r->min, n, w, YG_METRIC_MIN, err));
        YG_TRY(get_column(in, r->max, n, w, YG_METRIC_MAX, err));
        YG_TRY(get_column(in, r->sum, n, w, YG_METRIC_SUM, err));
        return get_column(in, r->count, n, w, YG_METRIC_WEIGHT, err);
    }
    double *to = r->last + r->len;
    size_t bytes = (w->to - w->from) * sizeof(*to);
    YG_TRY(yg_mcol_get_range(in->in, &last, to, n, w->from, w->to, err));
    memcpy(r->min + r->len, to, bytes);
    memcpy(r->max + r->len, to, bytes);
    memcpy(r->sum + r->len, to, bytes);
    for (uint32_t i = 0; i < w->to - w->from; i++)
        r->count[r->len + i] = 1;
    uint32_t lo, hi;
    YG_TRY(get_places(in, multi, n, w, s, &lo, &hi, err));
    YG_TRY(get_spread(in, r->min, multi, lo, hi, w, s, err));
    YG_TRY(get_spread(in, r->max, multi, lo, hi, w, s, err));
    YG_TRY(get_spread(in, r->sum, multi, lo, hi, w, s, err));
    return get_spread(in, r->count, multi, lo, hi, w, s, err);
}

static yg_rc get_sketches(struct yg_cursor *in, const struct window *w, struct yg_err *err) {
    struct yg_mrun *r = w->run;
    for (uint32_t i = 0; i < w->to; i++) {
        struct yg_sketch *s = yg_mrun_sketch(r);
        YG_TRY(yg_sketch_decode(in->in, &in->pos, s, err));
        if (i < w->from) { // its memory serves the next one
            r->sketch_len--;
            continue;
        }
        uint32_t to = r->len + i - w->from;
        r->sketch[to] = s;
        r->sum[to] = s->sum;
        r->count[to] = s->count;
        r->min[to] = s->min;
        r->max[to] = s->max;
        r->last[to] = s->count > 0 ? s->sum / s->count : 0;
    }
    return YG_OK;
}

static yg_rc get_values(struct yg_cursor in, uint8_t kind, uint32_t n, const struct window *w,
                        struct yg_mscratch *s, struct yg_err *err) {
    struct yg_mrun *r = w->run;
    uint32_t count = w->to - w->from;
    if (kind == YG_MRUN_SINGLE) {
        double *to = r->sum + r->len;
        YG_TRY(yg_mcol_get_range(in.in, &in.pos, to, n, w->from, w->to, err));
        if (!r->full)
            return YG_OK;
        memcpy(r->last + r->len, to, count * sizeof(*to));
        memcpy(r->min + r->len, to, count * sizeof(*to));
        memcpy(r->max + r->len, to, count * sizeof(*to));
        for (uint32_t i = 0; i < count; i++)
            r->count[r->len + i] = 1;
    }
    if (r->full) // not touched by the others
        memset(r->sketch + r->len, 0, count * sizeof(struct yg_sketch *));
    switch (kind) {
    case YG_MRUN_SINGLE:
        return YG_OK;
    case YG_MRUN_FULL:
        return get_full_v1(&in, n, w, err);
    case YG_MRUN_MIXED:
        return get_mixed(&in, n, w, s, err);
    case YG_MRUN_ROLLED:
        return get_rolled(&in, n, w, err);
    default:
        return get_sketches(&in, w, err);
    }
}

yg_rc yg_mpayload_get(const struct yg_mrunref *ref, const struct yg_mrange *ranges,
                      uint32_t range_count, uint32_t fields, struct yg_mscratch *s,
                      struct yg_mrun *run, struct yg_err *err) {
    struct yg_cursor in = {.in = ref->payload};
    struct times t = {.first = ref->first};
    YG_TRY(get_u32(&in, &t.n, err));
    if (t.n == 0 || t.n > YG_MS_RUN_POINTS_MAX)
        return yg_fail(err, YG_ECORRUPT, "run of %u points", t.n);
    scratch_for(s, t.n);
    YG_TRY(ref->version == 1 ? get_times_v1(&in, &t, s, err)
                             : get_times(&in, ref->step, &t, s, err));
    if (t.step > 0 && (uint64_t)t.first + (uint64_t)(t.n - 1) * t.step > UINT32_MAX)
        return bad_times(err);
    yg_str kind;
    YG_TRY(yg_get_bytes(&in, 1, &kind, err));
    uint8_t k = (uint8_t)kind.ptr[0];
    if (k > YG_MRUN_ROLLED || (k == YG_MRUN_SKETCHES) != (ref->type == YG_METRIC_DISTRIBUTION))
        return yg_fail(err, YG_ECORRUPT, "run kind %u does not suit the metric's type", k);
    for (uint32_t i = 0; i < range_count; i++) {
        struct window w = {.run = run, .fields = fields};
        w.from = time_index(&t, ranges[i].from);
        w.to = time_index(&t, ranges[i].to);
        if (w.from >= w.to)
            continue;
        if (k != YG_MRUN_SINGLE)
            yg_mrun_make_full(run);
        yg_mrun_reserve(run, w.to - w.from);
        for (uint32_t p = w.from; p < w.to; p++)
            run->bucket[run->len + p - w.from] = time_at(&t, p);
        YG_TRY(get_values(in, k, t.n, &w, s, err));
        run->unsorted |= run->len > 0 && run->bucket[run->len - 1] >= run->bucket[run->len];
        run->len += w.to - w.from;
    }
    return YG_OK;
}
