// SPDX-License-Identifier: Apache-2.0
// Series in JSON and Protocol Buffers: type numbers, bad series beside good ones, odd orders;
// traces and statistics that no recording has.
#include <math.h>

#include "intake/test/golden.h"

#include "codec/msgpack.h"
#include "codec/protobuf.h"
#include "codec/varint.h"

#define NOW_S (GOLDEN_NOW_NS / YG_NS_PER_S)

static struct yg_intake_tally tally;
static struct yg_err failure;

typedef yg_rc (*points_fn)(const struct yg_intake_in *, struct yg_points *,
                           struct yg_intake_tally *, struct yg_err *);

static struct yg_points *decode(points_fn fn, yg_str body, enum yg_intake_form form) {
    struct yg_points *p = yg_points_create(64u << 20);
    struct yg_intake_in in = {.body = body, .form = form, .now_ns = GOLDEN_NOW_NS};
    tally = (struct yg_intake_tally){0};
    if (fn(&in, p, &tally, &failure) != YG_OK) {
        yg_points_destroy(p);
        return NULL;
    }
    return p;
}

static const struct yg_point_series *series_of(const struct yg_points *p, uint32_t point) {
    assert_true(point < p->count);
    return &p->series[p->points[point].series];
}

static void type_numbers(void **state) {
    (void)state;
    struct yg_points *p = decode(
        yg_intake_series_v2,
        YG_STR("{\"series\":["
               "{\"metric\":\"a\",\"type\":0,\"points\":[{\"timestamp\":1790000000,\"value\":1}]},"
               "{\"metric\":\"b\",\"type\":1,\"points\":[{\"timestamp\":1790000000,\"value\":1}]},"
               "{\"metric\":\"c\",\"type\":2,\"points\":[{\"timestamp\":1790000000,\"value\":1}]},"
               "{\"metric\":\"d\",\"points\":[{\"timestamp\":1790000000,\"value\":1}],\"type\":3},"
               "{\"metric\":\"e\",\"type\":0,\"metadata\":{\"origin\":{\"origin_product\":1}},"
               "\"points\":[{\"timestamp\":1790000000,\"value\":1}]},"
               "{\"metric\":\"f\",\"type\":1,\"metadata\":{\"origin\":{\"origin_product\":1}},"
               "\"points\":[{\"timestamp\":1790000000,\"value\":1}]},"
               "{\"metric\":\"g\",\"type\":1,\"metadata\":{\"origin\":{\"product\":1}},"
               "\"points\":[{\"timestamp\":1790000000,\"value\":1}]}]}"),
        YG_FORM_JSON);
    const enum yg_metric_type want[] = {YG_METRIC_GAUGE, YG_METRIC_COUNT, YG_METRIC_RATE,
                                        YG_METRIC_GAUGE, YG_METRIC_COUNT, YG_METRIC_GAUGE,
                                        YG_METRIC_COUNT};
    assert_int_equal(p->count, 7);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(series_of(p, i)->type, want[i]);
    assert_int_equal(series_of(p, 4)->interval_s, 10);
    yg_points_destroy(p);
}

static void points_before_their_head(void **state) {
    (void)state;
    struct yg_points *p = decode(
        yg_intake_series_v1,
        YG_STR(
            "{\"x\":[],\"series\":[{\"points\":[[1790000000,2.5],[1790000010,3]],\"tags\":[\"B:c\","
            "\"a:b\",5],\"host\":\"web-1\",\"interval\":10,\"type\":\"rate\",\"device\":\"sda\","
            "\"metric\":\"disk.io\"}]}"),
        YG_FORM_JSON);
    assert_int_equal(p->count, 2);
    const struct yg_point_series *s = series_of(p, 0);
    assert_true(yg_str_eq_c(s->name, "disk.io"));
    assert_true(yg_str_eq_c(s->tags, "a:b,b:c,device:sda,host:web-1"));
    assert_int_equal(s->type, YG_METRIC_RATE);
    assert_true(p->points[1].value == 3 && p->points[1].ts_s == 1790000010);
    yg_points_destroy(p);
}

static void bad_beside_good(void **state) {
    (void)state;
    struct yg_points *p = decode(
        yg_intake_series_v2,
        YG_STR(
            "{\"series\":[{\"metric\":\"ok\",\"points\":[{\"timestamp\":1790000000,\"value\":2}]},"
            "{\"points\":[{\"timestamp\":1790000000,\"value\":1}]},7,"
            "{\"metric\":\"bad\",\"points\":[{\"timestamp\":\"x\",\"value\":1}]},"
            "{\"metric\":\"123\",\"points\":[{\"timestamp\":1790000000,\"value\":1}]},"
            "{\"metric\":\"future\",\"points\":[{\"timestamp\":2790000000,\"value\":1}]},"
            "{\"metric\":\"empty\",\"points\":[]}]}"),
        YG_FORM_JSON);
    assert_int_equal(p->count, 1);
    assert_int_equal(tally.taken, 2);
    assert_int_equal(tally.skipped, 5);
    assert_string_equal(tally.first_skipped, "series[1].metric is missing");
    yg_points_destroy(p);
    const char *bad[] = {"{\"series\":[", "{}", "[]", "{\"series\":5}", "{\"series\":[]} x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(decode(yg_intake_series_v2, yg_str_c(bad[i]), YG_FORM_JSON));
}

// A series is never taken with all of its points thrown away in silence.
static void points_that_cannot_be_read_are_told(void **state) {
    (void)state;
    static const struct {
        const char *points, *why;
    } cases[] = {
        {"\"x\"", "series[0].points is missing or no array"},
        {"null", "series[0].points is missing or no array"},
        {"[[1790000000,\"1\"]]", "series[0]: no point has a usable time and a finite value"},
        {"[[1790000000]]", "series[0]: no point has a usable time and a finite value"},
        {"[7]", "series[0]: no point has a usable time and a finite value"},
        {"[{\"timestamp\":1790000000}]",
         "series[0]: no point has a usable time and a finite value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[200];
        snprintf(body, sizeof(body), "{\"series\":[{\"metric\":\"m\",\"points\":%s}]}",
                 cases[i].points);
        struct yg_points *p = decode(yg_intake_series_v2, yg_str_c(body), YG_FORM_JSON);
        assert_non_null(p);
        assert_int_equal(tally.taken, 0);
        assert_int_equal(tally.skipped, 1);
        assert_string_equal(tally.first_skipped, cases[i].why);
        yg_points_destroy(p);
    }
}

static void distributions_become_sketches(void **state) {
    (void)state;
    struct yg_points *p =
        decode(yg_intake_distribution_points,
               YG_STR("{\"series\":[{\"metric\":\"d\",\"points\":[[1790000000,[1,2,\"x\",3]],"
                      "[1790000010,[]],[1790000020,5]]}]}"),
               YG_FORM_JSON);
    assert_int_equal(p->count, 2);
    assert_true(p->sketches[p->points[0].sketch].count == 3);
    assert_true(p->sketches[p->points[0].sketch].sum == 6);
    assert_true(p->sketches[p->points[1].sketch].max == 5);
    yg_points_destroy(p);
}

static void protobuf_series(void **state) {
    (void)state;
    YG_AUTO(yg_buf) point = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) nan_point = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) resource = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) series = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, 1000);
    yg_pb_put_f64(&point, 1, 2.5);
    yg_pb_put_varint(&point, 2, 1790000000);
    yg_pb_put_f64(&nan_point, 1, (double)NAN);
    yg_pb_put_varint(&nan_point, 2, 1790000000);
    yg_pb_put_bytes(&resource, 1, YG_STR("host"));
    yg_pb_put_bytes(&resource, 2, YG_STR("web-1"));
    yg_pb_put_bytes(&series, 4, yg_buf_str(&point)); // points first
    yg_pb_put_bytes(&series, 4, yg_buf_str(&nan_point));
    yg_pb_put_varint(&series, 5, 1);
    yg_pb_put_bytes(&series, 3, YG_STR("env:prod"));
    yg_pb_put_bytes(&series, 1, yg_buf_str(&resource));
    yg_pb_put_bytes(&series, 2, YG_STR("a.b"));
    yg_pb_put_bytes(&body, 1, yg_buf_str(&series));
    struct yg_points *p = decode(yg_intake_series_v2, yg_buf_str(&body), YG_FORM_PROTOBUF);
    assert_int_equal(p->count, 1);
    assert_true(yg_str_eq_c(series_of(p, 0)->tags, "env:prod,host:web-1"));
    assert_int_equal(series_of(p, 0)->type, YG_METRIC_COUNT);
    assert_int_equal(tally.dropped_values, 1);
    yg_points_destroy(p);
    for (size_t cut = 1; cut < body.len; cut++) {
        assert_null(
            decode(yg_intake_series_v2, yg_str_sub(yg_buf_str(&body), 0, cut), YG_FORM_PROTOBUF));
        assert_non_null(strstr(failure.text, "protobuf at byte"));
    }
}

// ------------------------------------------------------------ sketches

static void put_packed(struct yg_buf *b, uint32_t number, const uint64_t *values, uint32_t n) {
    YG_AUTO(yg_buf) packed = YG_BUF(YG_MEM_BASE, 1000);
    for (uint32_t i = 0; i < n; i++)
        yg_put_varint(&packed, values[i]);
    yg_pb_put_bytes(b, number, yg_buf_str(&packed));
}

// One sketch of 1 and 2 ×70,000 in the agents' bins: 1338 is 1.0, 1383 holds 2.0.
static void put_sketches(struct yg_buf *body, int64_t ts_s) {
    YG_AUTO(yg_buf) dog = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) sketch = YG_BUF(YG_MEM_BASE, 1000);
    const uint64_t keys[] = {1338 << 1, 1383 << 1, 1383 << 1};
    const uint64_t counts[] = {1, 65535, 4465};
    yg_pb_put_varint(&dog, 1, (uint64_t)ts_s);
    yg_pb_put_varint(&dog, 2, 70001);
    yg_pb_put_f64(&dog, 3, 1);
    yg_pb_put_f64(&dog, 4, 2);
    yg_pb_put_f64(&dog, 5, 2);
    yg_pb_put_f64(&dog, 6, 140001);
    put_packed(&dog, 7, keys, 3);
    put_packed(&dog, 8, counts, 3);
    yg_pb_put_bytes(&sketch, 7, yg_buf_str(&dog)); // before its head
    yg_pb_put_bytes(&sketch, 1, YG_STR("aws.lambda.enhanced.duration"));
    yg_pb_put_bytes(&sketch, 2, YG_STR("h1"));
    yg_pb_put_bytes(&sketch, 4, YG_STR("functionname:pay"));
    yg_pb_put_bytes(body, 1, yg_buf_str(&sketch));
}

static void agents_sketches(void **state) {
    (void)state;
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, 4000);
    put_sketches(&body, 1790000000);
    struct yg_points *p = decode(yg_intake_sketches, yg_buf_str(&body), YG_FORM_PROTOBUF);
    assert_int_equal(p->count, 1);
    const struct yg_sketch *s = &p->sketches[p->points[0].sketch];
    assert_int_equal(s->len, 2);
    assert_true(s->bins[0].key == 1338 && s->bins[0].count == 1);
    assert_true(s->bins[1].key == 1383 && s->bins[1].count == 70000);
    assert_true(s->count == 70001 && s->sum == 140001 && s->min == 1 && s->max == 2);
    assert_int_equal(yg_sketch_key(2.0), 1383);
    assert_true(yg_str_eq_c(series_of(p, 0)->tags, "functionname:pay,host:h1"));
    yg_points_destroy(p);
    for (size_t cut = 1; cut < body.len; cut++) {
        assert_null(
            decode(yg_intake_sketches, yg_str_sub(yg_buf_str(&body), 0, cut), YG_FORM_PROTOBUF));
        assert_non_null(strstr(failure.text, "protobuf at byte"));
    }
    yg_buf_reset(&body);
    put_sketches(&body, 2790000000);
    p = decode(yg_intake_sketches, yg_buf_str(&body), YG_FORM_PROTOBUF);
    assert_int_equal(p->count, 0);
    assert_int_equal(tally.skipped, 1);
    yg_points_destroy(p);
}

// ------------------------------------------------------------ statistics

static void put_key(struct yg_buf *b, const char *key) {
    yg_mp_put_str(b, yg_str_c(key));
}

// {Env, Stats: [{Stats: [group], Duration, Start}]} with members in an unusual order.
static void put_stats(struct yg_buf *b, int64_t start_ns, yg_str sketch) {
    yg_mp_put_map(b, 2);
    put_key(b, "Stats");
    yg_mp_put_array(b, 1);
    yg_mp_put_map(b, 3);
    put_key(b, "Stats");
    yg_mp_put_array(b, 1);
    yg_mp_put_map(b, 8);
    put_key(b, "Name");
    yg_mp_put_str(b, YG_STR("web.request"));
    put_key(b, "Service");
    yg_mp_put_str(b, YG_STR("Shop"));
    put_key(b, "Resource");
    yg_mp_put_str(b, YG_STR("GET /"));
    put_key(b, "Hits");
    yg_mp_put_u64(b, 4);
    put_key(b, "Errors");
    yg_mp_put_u64(b, 1);
    put_key(b, "Duration");
    yg_mp_put_u64(b, 4000000000);
    put_key(b, "HTTPStatusCode");
    yg_mp_put_str(b, YG_STR("503")); // as dd-trace-js sends it
    put_key(b, "OkSummary");
    yg_mp_put_str(b, sketch);
    put_key(b, "Start");
    yg_mp_put_i64(b, start_ns);
    put_key(b, "Duration");
    yg_mp_put_i64(b, 10 * YG_NS_PER_S);
    put_key(b, "Env");
    yg_mp_put_str(b, YG_STR("prod"));
}

static const struct yg_point *find_point(const struct yg_points *p, const char *name) {
    for (uint32_t i = 0; i < p->count; i++)
        if (yg_str_eq_c(series_of(p, i)->name, name))
            return &p->points[i];
    return NULL;
}

static void statistics(void **state) {
    (void)state;
    // a client's sketch: γ 1.02…, one bin of four values around one second, stores after the
    // mapping
    YG_AUTO(yg_buf) mapping = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) entry = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) store = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) sketch = YG_BUF(YG_MEM_BASE, 1000);
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, 4000);
    double gamma = 1.02020202020202;
    uint64_t index = (uint64_t)floor(log(1e9) / log(gamma));
    yg_pb_put_f64(&mapping, 1, gamma);
    yg_pb_put_varint(&entry, 1, index << 1); // zigzag
    yg_pb_put_f64(&entry, 2, 4);
    yg_pb_put_bytes(&store, 1, yg_buf_str(&entry));
    yg_pb_put_bytes(&sketch, 2, yg_buf_str(&store));
    yg_pb_put_bytes(&sketch, 1, yg_buf_str(&mapping));
    put_stats(&body, (NOW_S - 20) / 10 * 10 * YG_NS_PER_S, yg_buf_str(&sketch));
    struct yg_points *p = decode(yg_intake_stats_v06, yg_buf_str(&body), YG_FORM_MSGPACK);
    assert_int_equal(p->count, 6);
    assert_true(find_point(p, "trace.web.request.hits")->value == 4);
    assert_true(find_point(p, "trace.web.request.errors")->value == 1);
    assert_true(find_point(p, "trace.web.request.duration")->value == 4);
    assert_true(find_point(p, "trace.web.request.hits.by_http_status")->value == 4);
    assert_true(find_point(p, "trace.web.request.errors.by_http_status")->value == 1);
    const struct yg_point *d = find_point(p, "trace.web.request");
    const struct yg_sketch *s = &p->sketches[d->sketch];
    assert_true(s->count == 4 && s->sum == 4);
    assert_true(fabs(yg_sketch_quantile(s, 0.5) - 1) < 0.02);
    assert_int_equal(d->ts_s % 10, 0);
    assert_true(yg_str_eq_c(p->series[d->series].tags,
                            "env:prod,http.status_code:503,resource_name:get_/,service:shop"));
    yg_points_destroy(p);
    // a sketch that cannot be read: the mean stands in
    yg_buf_reset(&body);
    put_stats(&body, (NOW_S - 20) * YG_NS_PER_S, YG_STR("\xff\xff"));
    p = decode(yg_intake_stats_v06, yg_buf_str(&body), YG_FORM_MSGPACK);
    s = &p->sketches[find_point(p, "trace.web.request")->sketch];
    assert_true(s->count == 4 && s->min == 1 && s->max == 1);
    yg_points_destroy(p);
    yg_buf_reset(&body);
    put_stats(&body, (NOW_S + 90000) * YG_NS_PER_S, YG_STR(""));
    p = decode(yg_intake_stats_v06, yg_buf_str(&body), YG_FORM_MSGPACK);
    assert_int_equal(p->count, 0); // a bucket of tomorrow
    assert_int_equal(tally.skipped, 1);
    yg_points_destroy(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(type_numbers),
        cmocka_unit_test(points_before_their_head),
        cmocka_unit_test(points_that_cannot_be_read_are_told),
        cmocka_unit_test(bad_beside_good),
        cmocka_unit_test(distributions_become_sketches),
        cmocka_unit_test(protobuf_series),
        cmocka_unit_test(statistics),
        cmocka_unit_test(agents_sketches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
