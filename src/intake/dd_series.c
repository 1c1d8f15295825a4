// SPDX-License-Identifier: Apache-2.0
// Metric bodies in JSON: /api/v1/series, /api/v2/series, /api/v1/distribution_points.
//
// Members of a series come in any order, and "points" may stand before "type". Plain points are
// read where they stand and wait until the series is known. Of a long list, and of distributions,
// the reader itself waits: it is a small value, so a copy of it is kept and walked then. Source:
// DataDog/datadogpy datadog/api/metrics.py; DataDog/datadog-api-client-python (v2 series);
// DataDog/serverless-components crates/dogstatsd/src/datadog.rs (the extension's type numbers)
#include "intake/series.h"

#include <math.h>

#include "codec/json_read.h"

enum shape { SHAPE_V1, SHAPE_V2, SHAPE_DISTRIBUTION };

#define WAITING_MAX 64u

struct waiting {
    int64_t ts_s;
    double value;
};

struct item {
    struct yg_series_head head;
    yg_str type_text;
    int64_t type_number;
    bool type_known;
    bool extension; // this sender numbers types differently
    bool has_points;
    bool points_read;      // all of them wait in the reader
    struct yg_json points; // else: stands behind the array's BEGIN
};

struct reader {
    struct yg_series_sink sink;
    enum shape shape;
    struct yg_json j;
    struct waiting waiting[WAITING_MAX];
    uint32_t waiting_count;
};

// ------------------------------------------------------------ members

static yg_rc read_tags(struct reader *r, struct item *item, const struct yg_json_token *t,
                       struct yg_err *err) {
    if (t->kind != YG_JSON_ARRAY_BEGIN) {
        if (t->kind == YG_JSON_STRING)
            return yg_series_add_tags(&r->sink, &item->head, t->str, err);
        return yg_json_skip(&r->j, t, err);
    }
    for (;;) {
        struct yg_json_token tag;
        YG_TRY(yg_json_next(&r->j, &tag, err));
        if (tag.kind == YG_JSON_ARRAY_END)
            return YG_OK;
        if (tag.kind == YG_JSON_STRING)
            YG_TRY(yg_series_add_tag(&r->sink, &item->head, tag.str, err));
        else
            YG_TRY(yg_json_skip(&r->j, &tag, err));
    }
}

// {"name":…,"type":…}; the BEGIN was read.
static yg_rc read_resource(struct reader *r, struct item *item, struct yg_err *err) {
    yg_str name = YG_STR("");
    yg_str type = YG_STR("");
    for (;;) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(&r->j, &t, err));
        if (t.kind == YG_JSON_OBJECT_END)
            return yg_series_add_resource(&r->sink, &item->head, type, name, err);
        yg_str key = t.str;
        YG_TRY(yg_json_next(&r->j, &t, err));
        if (t.kind == YG_JSON_STRING && yg_str_eq_c(key, "name"))
            name = t.str;
        else if (t.kind == YG_JSON_STRING && yg_str_eq_c(key, "type"))
            type = t.str;
        else
            YG_TRY(yg_json_skip(&r->j, &t, err));
    }
}

static yg_rc read_resources(struct reader *r, struct item *item, const struct yg_json_token *t,
                            struct yg_err *err) {
    if (t->kind != YG_JSON_ARRAY_BEGIN)
        return yg_json_skip(&r->j, t, err);
    for (;;) {
        struct yg_json_token e;
        YG_TRY(yg_json_next(&r->j, &e, err));
        if (e.kind == YG_JSON_ARRAY_END)
            return YG_OK;
        if (e.kind == YG_JSON_OBJECT_BEGIN)
            YG_TRY(read_resource(r, item, err));
        else
            YG_TRY(yg_json_skip(&r->j, &e, err));
    }
}

static yg_rc read_type(struct reader *r, struct item *item, const struct yg_json_token *t,
                       struct yg_err *err) {
    item->type_known = true;
    if (t->kind == YG_JSON_INT) {
        item->type_number = t->i64;
    } else if (t->kind == YG_JSON_STRING) {
        item->type_text = t->str;
    } else {
        item->type_known = false;
        return yg_json_skip(&r->j, t, err);
    }
    return YG_OK;
}

static yg_rc read_point_list(struct reader *r, struct item *item, const struct yg_json_token *t,
                             struct yg_err *err);

static yg_rc read_member(struct reader *r, struct item *item, yg_str key,
                         const struct yg_json_token *t, struct yg_err *err) {
    bool text = t->kind == YG_JSON_STRING;
    if (yg_str_eq_c(key, "metric") && text) {
        item->head.name = t->str;
    } else if (yg_str_eq_c(key, "points") && t->kind == YG_JSON_ARRAY_BEGIN) {
        return read_point_list(r, item, t, err);
    } else if (yg_str_eq_c(key, "tags")) {
        return read_tags(r, item, t, err);
    } else if (yg_str_eq_c(key, "type")) {
        return read_type(r, item, t, err);
    } else if (yg_str_eq_c(key, "host") && text) {
        item->head.host = t->str;
    } else if (yg_str_eq_c(key, "device") && text) {
        return yg_series_add_resource(&r->sink, &item->head, YG_STR("device"), t->str, err);
    } else if (yg_str_eq_c(key, "unit") && text) {
        item->head.unit = t->str;
    } else if (yg_str_eq_c(key, "interval") && t->kind == YG_JSON_INT) {
        item->head.interval_s = t->i64 > 0 && t->i64 < UINT32_MAX ? (uint32_t)t->i64 : 0;
    } else if (yg_str_eq_c(key, "resources")) {
        return read_resources(r, item, t, err);
    } else if (yg_str_eq_c(key, "metadata")) {
        yg_str raw;
        YG_TRY(yg_json_raw(&r->j, t, &raw, err));
        item->extension |= yg_str_find(raw, YG_STR("\"origin_product\""), 0) != SIZE_MAX;
    } else {
        return yg_json_skip(&r->j, t, err);
    }
    return YG_OK;
}

// ------------------------------------------------------------ types

static enum yg_metric_type type_of_number(const struct item *item) {
    if (item->extension)
        return item->type_number == 0 ? YG_METRIC_COUNT : YG_METRIC_GAUGE;
    return yg_series_type(item->type_number);
}

static enum yg_metric_type type_of(const struct reader *r, struct item *item) {
    static const struct {
        const char *text;
        enum yg_metric_type type;
    } words[] = {
        {"count", YG_METRIC_COUNT},
        {"counter", YG_METRIC_COUNT},
        {"rate", YG_METRIC_RATE},
    };
    if (r->shape == SHAPE_DISTRIBUTION)
        return YG_METRIC_DISTRIBUTION;
    if (item->type_text.ptr == NULL && item->type_known) {
        if (item->extension && item->type_number == 0 && item->head.interval_s == 0)
            item->head.interval_s = 10; // its buckets, which it does not mention
        return type_of_number(item);
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (yg_str_eq_c(item->type_text, words[i].text))
            return words[i].type;
    return YG_METRIC_GAUGE;
}

// ------------------------------------------------------------ points

static bool number(const struct yg_json_token *t) {
    return t->kind == YG_JSON_INT || t->kind == YG_JSON_DOUBLE;
}

static int64_t seconds(const struct yg_json_token *t) {
    if (t->kind == YG_JSON_INT)
        return t->i64;
    return number(t) && fabs(t->f64) < 1e15 ? (int64_t)t->f64 : 0;
}

// [v, v, …] of one distribution point; the BEGIN was read.
static yg_rc read_values(struct reader *r, struct yg_json *j, struct item *item, int64_t ts_s,
                         struct yg_err *err) {
    for (;;) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(j, &t, err));
        if (t.kind == YG_JSON_ARRAY_END)
            return YG_OK;
        if (number(&t))
            YG_TRY(yg_series_value(&r->sink, &item->head, ts_s, t.f64, err));
        else
            YG_TRY(yg_json_skip(j, &t, err));
    }
}

// A point without a number for its value is counted as any other that cannot be kept.
static yg_rc no_value(struct reader *r, struct item *item, struct yg_err *err) {
    return yg_series_value(&r->sink, &item->head, 0, NAN, err);
}

// [ts, value] or [ts, [values]]; the BEGIN was read.
static yg_rc read_pair(struct reader *r, struct yg_json *j, struct item *item, struct yg_err *err) {
    int64_t ts_s = 0;
    bool has_value = false;
    for (uint32_t i = 0;; i++) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(j, &t, err));
        if (t.kind == YG_JSON_ARRAY_END)
            return has_value ? YG_OK : no_value(r, item, err);
        bool list = t.kind == YG_JSON_ARRAY_BEGIN;
        has_value |= i == 1 && (number(&t) || list);
        if (i == 0 && number(&t))
            ts_s = seconds(&t);
        else if (i == 1 && number(&t))
            YG_TRY(yg_series_value(&r->sink, &item->head, ts_s, t.f64, err));
        else if (i == 1 && list)
            YG_TRY(read_values(r, j, item, ts_s, err));
        else
            YG_TRY(yg_json_skip(j, &t, err));
    }
}

// {"timestamp":…,"value":…}; the BEGIN was read. A point without a value has none: NaN, time 0.
static yg_rc read_point(struct yg_json *j, struct waiting *ret_point, struct yg_err *err) {
    struct yg_json_token ts = {.kind = YG_JSON_NULL};
    struct yg_json_token value = {.kind = YG_JSON_NULL};
    for (;;) {
        struct yg_json_token t;
        bool is_ts = yg_json_try_key(j, YG_STR("timestamp"));
        bool is_value = !is_ts && yg_json_try_key(j, YG_STR("value"));
        if (!is_ts && !is_value) {
            YG_TRY(yg_json_next(j, &t, err));
            if (t.kind == YG_JSON_OBJECT_END)
                break;
            is_ts = yg_str_eq_c(t.str, "timestamp");
            is_value = yg_str_eq_c(t.str, "value");
        }
        YG_TRY(yg_json_next(j, &t, err));
        if (is_ts && number(&t))
            ts = t;
        else if (is_value && number(&t))
            value = t;
        else
            YG_TRY(yg_json_skip(j, &t, err));
    }
    *ret_point =
        number(&value) ? (struct waiting){seconds(&ts), value.f64} : (struct waiting){0, NAN};
    return YG_OK;
}

// Reads the list now where it is short and plain: objects of a number each, as the v2 intake has
// them. Everything else is only skipped here and read when the series is known.
static yg_rc read_point_list(struct reader *r, struct item *item, const struct yg_json_token *t,
                             struct yg_err *err) {
    item->has_points = true;
    item->points_read = false;
    item->points = r->j;
    r->waiting_count = 0;
    while (r->shape == SHAPE_V2 && r->waiting_count < WAITING_MAX) {
        struct yg_json_token p;
        YG_TRY(yg_json_next(&r->j, &p, err));
        if (p.kind == YG_JSON_ARRAY_END) {
            item->points_read = true;
            return YG_OK;
        }
        if (p.kind != YG_JSON_OBJECT_BEGIN)
            break;
        YG_TRY(read_point(&r->j, &r->waiting[r->waiting_count], err));
        r->waiting_count++;
    }
    r->j = item->points;
    return yg_json_skip(&r->j, t, err);
}

static yg_rc read_points(struct reader *r, struct item *item, struct yg_err *err) {
    for (uint32_t i = 0; item->points_read && i < r->waiting_count; i++)
        YG_TRY(
            yg_series_value(&r->sink, &item->head, r->waiting[i].ts_s, r->waiting[i].value, err));
    if (item->points_read)
        return YG_OK;
    struct yg_json j = item->points;
    for (;;) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(&j, &t, err));
        if (t.kind == YG_JSON_ARRAY_END)
            return YG_OK;
        if (t.kind == YG_JSON_ARRAY_BEGIN) {
            YG_TRY(read_pair(r, &j, item, err));
        } else if (t.kind == YG_JSON_OBJECT_BEGIN) {
            struct waiting p;
            YG_TRY(read_point(&j, &p, err));
            YG_TRY(yg_series_value(&r->sink, &item->head, p.ts_s, p.value, err));
        } else {
            YG_TRY(yg_json_skip(&j, &t, err));
            YG_TRY(no_value(r, item, err));
        }
    }
}

// ------------------------------------------------------------ bodies

// The series' BEGIN was read.
static yg_rc read_series(struct reader *r, uint32_t idx, struct yg_err *err) {
    struct item item = {.has_points = false};
    for (;;) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(&r->j, &t, err));
        if (t.kind == YG_JSON_OBJECT_END)
            break;
        yg_str key = t.str;
        YG_TRY(yg_json_next(&r->j, &t, err));
        YG_TRY(read_member(r, &item, key, &t, err));
    }
    if (item.head.name.len == 0) {
        yg_intake_skip(r->sink.tally, "series[%u].metric is missing", idx);
        return YG_OK;
    }
    if (!item.has_points) {
        yg_intake_skip(r->sink.tally, "series[%u].points is missing or no array", idx);
        return YG_OK;
    }
    item.head.type = type_of(r, &item);
    YG_TRY(yg_series_begin(&r->sink, &item.head, err));
    YG_TRY(read_points(r, &item, err));
    yg_series_end(&r->sink, &item.head, idx);
    return YG_OK;
}

static yg_rc read_list(struct reader *r, struct yg_err *err) {
    for (uint32_t idx = 0;; idx++) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(&r->j, &t, err));
        if (t.kind == YG_JSON_ARRAY_END)
            return YG_OK;
        if (t.kind == YG_JSON_OBJECT_BEGIN) {
            YG_TRY(read_series(r, idx, err));
        } else {
            yg_intake_skip(r->sink.tally, "series[%u] is no object", idx);
            YG_TRY(yg_json_skip(&r->j, &t, err));
        }
    }
}

static yg_rc read_body(struct reader *r, struct yg_err *err) {
    struct yg_json_token t;
    bool found = false;
    YG_TRY(yg_json_next(&r->j, &t, err));
    if (t.kind != YG_JSON_OBJECT_BEGIN)
        return yg_fail(err, YG_EINPUT, "JSON at byte %zu: {\"series\":[…]} expected", t.at);
    for (;;) {
        YG_TRY(yg_json_next(&r->j, &t, err));
        if (t.kind == YG_JSON_OBJECT_END)
            break;
        bool series = yg_str_eq_c(t.str, "series");
        YG_TRY(yg_json_next(&r->j, &t, err));
        if (series && t.kind == YG_JSON_ARRAY_BEGIN) {
            found = true;
            YG_TRY(read_list(r, err));
        } else {
            YG_TRY(yg_json_skip(&r->j, &t, err));
        }
    }
    YG_TRY(yg_json_next(&r->j, &t, err)); // nothing may follow
    if (!found)
        return yg_fail(err, YG_EINPUT, "\"series\" is missing or no array");
    return YG_OK;
}

static yg_rc decode(const struct yg_intake_in *in, enum shape shape, struct yg_points *p,
                    struct yg_intake_tally *t, struct yg_err *err) {
    struct reader r = {.shape = shape, .sink = {.p = p, .tally = t, .now_ns = in->now_ns}};
    yg_json_init(&r.j, in->body, p->arena);
    return read_body(&r, err);
}

yg_rc yg_intake_series_v1(const struct yg_intake_in *in, struct yg_points *p,
                          struct yg_intake_tally *t, struct yg_err *err) {
    return decode(in, SHAPE_V1, p, t, err);
}

yg_rc yg_intake_series_v2(const struct yg_intake_in *in, struct yg_points *p,
                          struct yg_intake_tally *t, struct yg_err *err) {
    if (in->form == YG_FORM_PROTOBUF)
        return yg_series_protobuf(in, p, t, err);
    return decode(in, SHAPE_V2, p, t, err);
}

yg_rc yg_intake_distribution_points(const struct yg_intake_in *in, struct yg_points *p,
                                    struct yg_intake_tally *t, struct yg_err *err) {
    return decode(in, SHAPE_DISTRIBUTION, p, t, err);
}
