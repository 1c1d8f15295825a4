// SPDX-License-Identifier: Apache-2.0
// Client statistics (/v0.6/stats) → the trace metrics that users query.
//
// One group of one bucket becomes, at the bucket's start:
//   trace.<name>.hits, .errors            count over the bucket's length
//   trace.<name>.hits.by_http_status,
//   trace.<name>.errors.by_http_status    the same with http.status_class, when there is a status
//   trace.<name>.duration                 gauge, seconds spent in all of the group's spans
//   trace.<name>                          distribution of the spans' durations, seconds
// with tags service, env, version, resource_name, span.kind, http.status_code and the peer tags.
//
// The clients' sketches have a γ of their own (1.0202…). A bin is read as the value that represents
// it and added to a sketch of ours, so a duration is off by at most 1 % + 0.8 %.
// Source: DataDog/datadog-agent pkg/proto/pbgo/trace/stats_gen.go; DataDog/sketches-go
// ddsketch/pb/ddsketch.proto, ddsketch/mapping/logarithmic_mapping.go; DataDog/documentation
// content/en/tracing/metrics/metrics_namespace.md
#include <math.h>

#include "base/clock.h"
#include "codec/msgpack.h"
#include "codec/protobuf.h"
#include "intake/decode.h"

#define TAGS_MAX 64u
#define CLIENT_BINS_MAX 8192u
#define NS 1e-9

struct payload {
    yg_str env, version, service;
};

struct group {
    yg_str service, name, resource, span_kind;
    uint64_t hits, errors, http_status;
    double duration_ns;
    yg_str ok_summary, error_summary;
    bool synthetics;
    yg_str peer_tags[32];
    uint32_t peer_tag_count;
};

struct stats {
    struct yg_mp r;
    struct yg_points *p;
    struct yg_intake_tally *tally;
    int64_t now_ns;
    struct payload payload;
    int64_t bucket_ns, bucket_len_ns;
};

// ------------------------------------------------------------ clients' sketches

struct mapping {
    double gamma;
    double offset;
    uint64_t interpolation;
};

static bool read_mapping(const struct yg_pb *outer, const struct yg_pb_field *f,
                         struct mapping *ret_mapping) {
    struct yg_pb r;
    struct yg_pb_field m;
    bool more;
    yg_pb_sub(outer, f, &r);
    while (yg_pb_next(&r, &m, &more, NULL) == YG_OK && more) {
        if (m.number == 1 && m.wire == YG_PB_FIXED64)
            ret_mapping->gamma = yg_pb_f64(&m);
        else if (m.number == 2 && m.wire == YG_PB_FIXED64)
            ret_mapping->offset = yg_pb_f64(&m);
        else if (m.number == 3 && m.wire == YG_PB_VARINT)
            ret_mapping->interpolation = m.u64;
    }
    // Only logarithmic keys without interpolation are read; clients send no others.
    return ret_mapping->gamma > 1.0001 && ret_mapping->gamma < 2 &&
           ret_mapping->interpolation == 0 && isfinite(ret_mapping->offset);
}

// The value in the middle of a client's bin, in seconds.
static double bin_value(const struct mapping *m, double index) {
    double lower = exp((index - m->offset) * log(m->gamma));
    return lower * (1 + (m->gamma - 1) / (m->gamma + 1)) * NS;
}

static void add_bin(struct yg_sketch *out, const struct mapping *m, double index, double count,
                    double sign) {
    double value = bin_value(m, index);
    if (count > 0 && isfinite(count) && isfinite(value))
        yg_sketch_add(out, sign * value, count);
}

// Entry of the binCounts map: {1 sint32 key, 2 double value}.
static void read_sparse(const struct yg_pb *outer, const struct yg_pb_field *f,
                        const struct mapping *m, double sign, struct yg_sketch *out) {
    struct yg_pb r;
    struct yg_pb_field e;
    bool more;
    int64_t index = 0;
    double count = 0;
    yg_pb_sub(outer, f, &r);
    while (yg_pb_next(&r, &e, &more, NULL) == YG_OK && more) {
        if (e.number == 1 && e.wire == YG_PB_VARINT)
            index = yg_pb_zigzag(e.u64);
        else if (e.number == 2 && e.wire == YG_PB_FIXED64)
            count = yg_pb_f64(&e);
    }
    add_bin(out, m, (double)index, count, sign);
}

static void read_contiguous(const struct yg_pb_field *f, int64_t first, const struct mapping *m,
                            double sign, struct yg_sketch *out) {
    size_t at = 0;
    double count;
    for (uint32_t i = 0; i < CLIENT_BINS_MAX && yg_pb_packed_f64(f, &at, &count); i++)
        add_bin(out, m, (double)(first + i), count, sign);
}

static void read_store(const struct yg_pb *outer, const struct yg_pb_field *f,
                       const struct mapping *m, double sign, struct yg_sketch *out) {
    struct yg_pb r;
    struct yg_pb_field e;
    bool more;
    int64_t first = 0;
    struct yg_pb_field contiguous[8]; // packed runs; their offset may stand behind them
    uint32_t runs = 0;
    yg_pb_sub(outer, f, &r);
    for (uint32_t i = 0; i < CLIENT_BINS_MAX; i++) {
        if (yg_pb_next(&r, &e, &more, NULL) != YG_OK || !more)
            break;
        if (e.number == 1 && e.wire == YG_PB_BYTES)
            read_sparse(&r, &e, m, sign, out);
        else if (e.number == 2 && runs < sizeof(contiguous) / sizeof(contiguous[0]))
            contiguous[runs++] = e;
        else if (e.number == 3 && e.wire == YG_PB_VARINT)
            first = yg_pb_zigzag(e.u64);
    }
    for (uint32_t i = 0; i < runs; i++) {
        read_contiguous(&contiguous[i], first, m, sign, out);
        first += (int64_t)(contiguous[i].bytes.len / sizeof(double));
    }
}

// Adds a client's sketch. False: it cannot be read; out is as it was.
static bool add_client_sketch(yg_str bytes, struct yg_sketch *out) {
    struct mapping m = {0};
    bool known = false;
    double zeros = 0;
    for (int pass = 0; pass < 2; pass++) { // the mapping first, wherever it stands
        struct yg_pb r;
        struct yg_pb_field f;
        bool more;
        yg_pb_init(&r, bytes, 0);
        for (;;) {
            if (yg_pb_next(&r, &f, &more, NULL) != YG_OK)
                return false;
            if (!more)
                break;
            bool message = f.wire == YG_PB_BYTES;
            if (pass == 0 && f.number == 1 && message)
                known = read_mapping(&r, &f, &m);
            else if (pass == 0 && f.number == 4 && f.wire == YG_PB_FIXED64)
                zeros = yg_pb_f64(&f);
            else if (pass == 1 && (f.number == 2 || f.number == 3) && message)
                read_store(&r, &f, &m, f.number == 2 ? 1 : -1, out);
        }
        if (!known)
            return false;
    }
    yg_sketch_add(out, 0, zeros);
    return true;
}

// ------------------------------------------------------------ points

static yg_rc add_point(struct stats *s, const struct group *g, const char *suffix,
                       const yg_str *tags, uint32_t tag_count, enum yg_metric_type type,
                       double value, struct yg_err *err) {
    yg_str name = yg_arena_printf(s->p->arena, "trace.%.*s%s", YG_STR_FMT(g->name), suffix);
    uint32_t interval = (uint32_t)(s->bucket_len_ns / YG_NS_PER_S);
    uint32_t series;
    if (name.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "points memory is used up");
    YG_TRY(yg_points_series(s->p, name, tags, tag_count, YG_STR(""), type, interval, YG_STR(""),
                            &series, err));
    return yg_points_add(s->p, series, s->bucket_ns / YG_NS_PER_S, value, err);
}

static yg_rc add_durations(struct stats *s, const struct group *g, const yg_str *tags,
                           uint32_t tag_count, struct yg_err *err) {
    yg_str name = yg_arena_printf(s->p->arena, "trace.%.*s", YG_STR_FMT(g->name));
    struct yg_sketch *sketch;
    uint32_t series;
    if (name.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "points memory is used up");
    YG_TRY(yg_points_series(s->p, name, tags, tag_count, YG_STR(""), YG_METRIC_DISTRIBUTION,
                            (uint32_t)(s->bucket_len_ns / YG_NS_PER_S), YG_STR("second"), &series,
                            err));
    YG_TRY(yg_points_add_sketch(s->p, series, s->bucket_ns / YG_NS_PER_S, &sketch, err));
    bool read = add_client_sketch(g->ok_summary, sketch);
    read = add_client_sketch(g->error_summary, sketch) || read;
    if (!read || sketch->count <= 0) { // no sketch: every span took the mean time
        yg_sketch_reset(sketch);
        yg_sketch_add(sketch, g->duration_ns * NS / (double)g->hits, (double)g->hits);
    }
    if (fabs(sketch->count - (double)g->hits) < 0.5)
        sketch->sum = g->duration_ns * NS; // exact, where the bins are not
    return YG_OK;
}

static uint32_t push_tag(struct stats *s, yg_str *tags, uint32_t count, const char *key,
                         yg_str value) {
    if (value.len == 0 || count == TAGS_MAX)
        return count;
    yg_str tag = yg_arena_printf(s->p->arena, "%s:%.*s", key, YG_STR_FMT(value));
    if (tag.ptr != NULL)
        tags[count++] = tag;
    return count;
}

static yg_rc add_group(struct stats *s, const struct group *g, struct yg_err *err) {
    yg_str tags[TAGS_MAX];
    char status[24] = "";
    char class[24] = "";
    uint32_t n = 0;
    if (g->http_status > 0 && g->http_status < 1000) {
        (void)snprintf(status, sizeof(status), "%llu", (unsigned long long)g->http_status);
        (void)snprintf(class, sizeof(class), "%lluxx", (unsigned long long)g->http_status / 100);
    }
    n = push_tag(s, tags, n, "service", g->service.len ? g->service : s->payload.service);
    n = push_tag(s, tags, n, "env", s->payload.env);
    n = push_tag(s, tags, n, "version", s->payload.version);
    n = push_tag(s, tags, n, "resource_name", g->resource);
    n = push_tag(s, tags, n, "span.kind", g->span_kind);
    n = push_tag(s, tags, n, "http.status_code", yg_str_c(status));
    if (g->synthetics)
        n = push_tag(s, tags, n, "synthetics", YG_STR("true"));
    for (uint32_t i = 0; i < g->peer_tag_count && n < TAGS_MAX; i++)
        tags[n++] = g->peer_tags[i];
    double hits = (double)g->hits;
    double errors = (double)g->errors;
    YG_TRY(add_point(s, g, ".hits", tags, n, YG_METRIC_COUNT, hits, err));
    YG_TRY(add_point(s, g, ".errors", tags, n, YG_METRIC_COUNT, errors, err));
    YG_TRY(add_point(s, g, ".duration", tags, n, YG_METRIC_GAUGE, g->duration_ns * NS, err));
    if (g->hits > 0)
        YG_TRY(add_durations(s, g, tags, n, err));
    if (class[0] == 0)
        return YG_OK;
    n = push_tag(s, tags, n, "http.status_class", yg_str_c(class));
    YG_TRY(add_point(s, g, ".hits.by_http_status", tags, n, YG_METRIC_COUNT, hits, err));
    return add_point(s, g, ".errors.by_http_status", tags, n, YG_METRIC_COUNT, errors, err);
}

// ------------------------------------------------------------ msgpack

// A number, or its decimal text (dd-trace-js writes the status so), or nil.
static yg_rc read_status(struct yg_mp *r, uint64_t *ret_status, struct yg_err *err) {
    struct yg_mp_token t;
    *ret_status = 0;
    YG_TRY(yg_mp_next(r, &t, err));
    if (t.kind == YG_MP_UINT)
        *ret_status = t.u64;
    else if (t.kind == YG_MP_STR)
        (void)yg_str_to_u64(t.str, ret_status); // "" is no status
    else if (t.kind != YG_MP_NIL)
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: HTTPStatusCode is no number", t.at);
    return YG_OK;
}

static yg_rc read_bool(struct yg_mp *r, bool *ret_value, struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    if (t.kind == YG_MP_ARRAY || t.kind == YG_MP_MAP)
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: not a boolean", t.at);
    *ret_value = t.kind == YG_MP_BOOL && t.boolean;
    return YG_OK;
}

static yg_rc read_peer_tags(struct yg_mp *r, struct group *g, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_array(r, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        yg_str tag;
        YG_TRY(yg_mp_str(r, &tag, err));
        if (g->peer_tag_count < sizeof(g->peer_tags) / sizeof(g->peer_tags[0]))
            g->peer_tags[g->peer_tag_count++] = tag;
    }
    return YG_OK;
}

static yg_rc read_group_member(struct yg_mp *r, yg_str key, struct group *g, struct yg_err *err) {
    if (yg_str_eq_c(key, "Service"))
        return yg_mp_str(r, &g->service, err);
    if (yg_str_eq_c(key, "Name"))
        return yg_mp_str(r, &g->name, err);
    if (yg_str_eq_c(key, "Resource"))
        return yg_mp_str(r, &g->resource, err);
    if (yg_str_eq_c(key, "SpanKind"))
        return yg_mp_str(r, &g->span_kind, err);
    if (yg_str_eq_c(key, "Hits"))
        return yg_mp_u64(r, &g->hits, err);
    if (yg_str_eq_c(key, "Errors"))
        return yg_mp_u64(r, &g->errors, err);
    if (yg_str_eq_c(key, "Duration"))
        return yg_mp_f64(r, &g->duration_ns, err);
    if (yg_str_eq_c(key, "OkSummary"))
        return yg_mp_str(r, &g->ok_summary, err);
    if (yg_str_eq_c(key, "ErrorSummary"))
        return yg_mp_str(r, &g->error_summary, err);
    if (yg_str_eq_c(key, "HTTPStatusCode"))
        return read_status(r, &g->http_status, err);
    if (yg_str_eq_c(key, "Synthetics"))
        return read_bool(r, &g->synthetics, err);
    if (yg_str_eq_c(key, "PeerTags"))
        return read_peer_tags(r, g, err);
    return yg_mp_skip(r, err);
}

static yg_rc read_group(struct stats *s, struct yg_err *err) {
    struct group g = {0};
    size_t at = s->r.pos;
    uint32_t members;
    YG_TRY(yg_mp_map(&s->r, &members, err));
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(&s->r, &key, err));
        YG_TRY(read_group_member(&s->r, key, &g, err));
    }
    if (!isfinite(g.duration_ns) || g.duration_ns < 0)
        g.duration_ns = 0;
    if (!yg_intake_time_ok(s->bucket_ns / YG_NS_PER_S, s->now_ns)) {
        yg_intake_skip(s->tally, "byte %zu: the bucket's start is no usable time", at);
        return YG_OK;
    }
    yg_rc rc = add_group(s, &g, err);
    if (rc == YG_EINPUT) { // a name that no metric can have
        yg_intake_skip(s->tally, "byte %zu: %.60s", at, err ? err->text : "");
        return YG_OK;
    }
    if (rc == YG_OK)
        s->tally->taken++;
    return rc;
}

static yg_rc read_bucket(struct stats *s, struct yg_err *err) {
    uint32_t members;
    struct yg_mp groups = {{NULL, 0}, 0};
    s->bucket_ns = 0;
    s->bucket_len_ns = 0;
    YG_TRY(yg_mp_map(&s->r, &members, err));
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(&s->r, &key, err));
        if (yg_str_eq_c(key, "Start")) {
            YG_TRY(yg_mp_i64(&s->r, &s->bucket_ns, err));
        } else if (yg_str_eq_c(key, "Duration")) {
            YG_TRY(yg_mp_i64(&s->r, &s->bucket_len_ns, err));
        } else {
            if (yg_str_eq_c(key, "Stats"))
                groups = s->r;
            YG_TRY(yg_mp_skip(&s->r, err));
        }
    }
    if (groups.in.len == 0)
        return YG_OK;
    if (s->bucket_len_ns < YG_NS_PER_S || s->bucket_len_ns > 3600 * YG_NS_PER_S)
        s->bucket_len_ns = 10 * YG_NS_PER_S;
    size_t end = s->r.pos;
    uint32_t count;
    s->r.pos = groups.pos; // now with the bucket's time known
    YG_TRY(yg_mp_array(&s->r, &count, err));
    for (uint32_t i = 0; i < count; i++)
        YG_TRY(read_group(s, err));
    s->r.pos = end;
    return YG_OK;
}

static yg_rc read_payload(struct stats *s, struct yg_err *err) {
    uint32_t members;
    struct yg_mp buckets = {{NULL, 0}, 0};
    YG_TRY(yg_mp_map(&s->r, &members, err));
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(&s->r, &key, err));
        if (yg_str_eq_c(key, "Env")) {
            YG_TRY(yg_mp_str(&s->r, &s->payload.env, err));
        } else if (yg_str_eq_c(key, "Version")) {
            YG_TRY(yg_mp_str(&s->r, &s->payload.version, err));
        } else if (yg_str_eq_c(key, "Service")) {
            YG_TRY(yg_mp_str(&s->r, &s->payload.service, err));
        } else {
            if (yg_str_eq_c(key, "Stats"))
                buckets = s->r;
            YG_TRY(yg_mp_skip(&s->r, err));
        }
    }
    if (s->r.pos != s->r.in.len)
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: bytes after the end", s->r.pos);
    if (buckets.in.len == 0)
        return YG_OK;
    uint32_t count;
    s->r = buckets;
    YG_TRY(yg_mp_array(&s->r, &count, err));
    for (uint32_t i = 0; i < count; i++)
        YG_TRY(read_bucket(s, err));
    return YG_OK;
}

yg_rc yg_intake_stats_v06(const struct yg_intake_in *in, struct yg_points *p,
                          struct yg_intake_tally *t, struct yg_err *err) {
    struct stats s = {.p = p, .tally = t, .now_ns = in->now_ns};
    yg_mp_init(&s.r, in->body);
    return read_payload(&s, err);
}
