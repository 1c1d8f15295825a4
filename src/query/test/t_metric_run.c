// SPDX-License-Identifier: Apache-2.0
// Metric queries over a real metric engine: aggregation, gaps, arithmetic, functions, monitor
// windows, formulas.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/metric.h"
#include "store/mstore.h"
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

// ------------------------------------------------------------ a store with metrics only

static struct yg_mstore *engine;
struct yg_mstore *yg_store_metrics(struct yg_store *store) {
    (void)store;
    return engine;
}

static char dir[64];
static struct yg_arena *arena;
static uint64_t sequence;
#define T0 INT64_C(1700000400) // 20 minutes past an hour

static int setup(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/yg-t-metric-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    const struct yg_mstore_options o = {.dir = dir, .clock = &yg_clock_system};
    arena = yg_arena_create(YG_MEM_QUERY, 256u << 20);
    sequence = 0;
    return yg_mstore_open(&o, &engine, NULL) == YG_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    yg_mstore_close(engine);
    yg_arena_destroy(arena);
    DIR *d = opendir(dir);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[400];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(path);
    }
    (void)closedir(d);
    (void)rmdir(dir);
    return yg_mem_used(YG_MEM_QUERY) == 0 && yg_mem_used(YG_MEM_METRICS) == 0 ? 0 : -1;
}

static void put_many(const char *name, const char *tags, enum yg_metric_type type,
                     uint32_t interval, int64_t ts, int64_t step, const double *values,
                     uint32_t n) {
    struct yg_points *p = yg_points_create(64u << 20);
    yg_str list[16], rest = yg_str_c(tags), tag;
    uint32_t count = 0, id;
    while (rest.len > 0 && yg_str_split(&rest, ',', &tag))
        list[count++] = tag;
    assert_int_equal(yg_points_series(p, yg_str_c(name), list, count, YG_STR(""), type, interval,
                                      YG_STR("ms"), &id, NULL),
                     YG_OK);
    for (uint32_t i = 0; i < n; i++)
        if (!isnan(values[i]))
            assert_int_equal(yg_points_add(p, id, ts + (int64_t)i * step, values[i], NULL), YG_OK);
    p->sequence = ++sequence;
    yg_mstore_apply(engine, p);
    yg_points_destroy(p);
}

static void put(const char *name, const char *tags, enum yg_metric_type type, int64_t ts,
                double value) {
    put_many(name, tags, type, 10, ts, 10, &value, 1);
}

static void put_flat(const char *name, const char *tags, enum yg_metric_type type, int64_t from,
                     int64_t to, double v) {
    for (int64_t ts = from; ts < to; ts += 10)
        put(name, tags, type, ts, v);
}

#define GAUGE YG_METRIC_GAUGE
#define COUNT YG_METRIC_COUNT

// ------------------------------------------------------------ asking

static yg_rc ask(const char *text, int64_t from, int64_t to, int64_t interval,
                 struct yg_metric_result *r, struct yg_err *err) {
    struct yg_metric_query *q;
    yg_rc rc = yg_metric_parse(yg_str_c(text), arena, &q, err);
    if (rc != YG_OK)
        return rc;
    const struct yg_metric_run_options o = {
        .from_ms = from * 1000, .to_ms = to * 1000, .interval_ms = interval * 1000};
    return yg_metric_run(NULL, q, &o, arena, r, err);
}

// "tags: offset=value …; tags: …", offsets in seconds from T0.
static const char *text_of(const struct yg_metric_result *r) {
    struct yg_buf b = YG_BUF(YG_MEM_BASE, 1u << 20);
    for (uint32_t s = 0; s < r->count; s++) {
        const struct yg_metric_out *o = &r->series[s];
        yg_buf_puts(&b, s > 0 ? YG_STR("; ") : YG_STR(""));
        for (uint32_t t = 0; t < o->group_count; t++)
            yg_buf_printf(&b, "%s%.*s", t > 0 ? "," : "", YG_STR_FMT(o->group_tags[t]));
        yg_buf_putc(&b, ':');
        for (uint32_t i = 0; i < o->point_count; i++)
            yg_buf_printf(&b, " %lld=%.6g", (long long)(o->points[i].ts_ms / 1000 - T0),
                          o->points[i].value);
    }
    yg_buf_putc(&b, 0);
    const char *copy = yg_arena_cstr(arena, yg_str_c(b.ptr));
    yg_buf_fini(&b);
    return copy;
}

static void expect(const char *text, int64_t from, int64_t to, int64_t interval, const char *want) {
    struct yg_metric_result r = {0};
    struct yg_err err = {0};
    if (ask(text, from, to, interval, &r, &err) != YG_OK)
        fail_msg("%s: %s", text, err.text);
    if (strcmp(text_of(&r), want) != 0)
        fail_msg("%s\n%s\nnot\n%s", text, text_of(&r), want);
}

static void refuse(const char *text, const char *want) {
    struct yg_metric_result r;
    struct yg_err err = {0};
    assert_int_equal(ask(text, T0, T0 + 600, 0, &r, &err), YG_EINPUT);
    if (strstr(err.text, want) == NULL)
        fail_msg("%s: %s", text, err.text);
}

// ------------------------------------------------------------ intervals

static void intervals_follow_the_recorded_windows(void **state) {
    (void)state;
    put_flat("g", "", GAUGE, T0 - 10, T0 + 100, 1);
    static const struct {
        int64_t window, interval;
    } rows[] = {{1200, 5},         {3600, 20},       {14400, 60},      {86400, 300},
                {172800, 600},     {604800, 3600},   {2592000, 14400}, {7776000, 43200},
                {15552000, 86400}, {31536000, 86400}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct yg_metric_result r;
        assert_int_equal(ask("g{*}", T0 - rows[i].window + 120, T0 + 120, 0, &r, NULL), YG_OK);
        if (r.count > 0 && r.series[0].interval_s != rows[i].interval)
            fail_msg("%lld s: %u", (long long)rows[i].window, r.series[0].interval_s);
    }
    // recorded: from 1641343852 to 1641430252 gives 288 buckets of 300 s, 1641344100 … 1641430200
    put_flat("day", "", GAUGE, 1641343800, 1641430500, 1);
    struct yg_metric_result r;
    assert_int_equal(ask("day{*}", 1641343852, 1641430252, 0, &r, NULL), YG_OK);
    assert_int_equal(r.series[0].point_count, 288);
    assert_int_equal(r.series[0].points[0].ts_ms, INT64_C(1641344100000));
    assert_int_equal(r.series[0].points[287].ts_ms, INT64_C(1641430200000));
    // .rollup is honoured up to 1,500 points; 3,600 s at 1 s is too fine: 5 s
    assert_int_equal(ask("g{*}.rollup(avg, 1)", T0 - 3600 + 120, T0 + 120, 0, &r, NULL), YG_OK);
    assert_int_equal(r.series[0].interval_s, 5);
    assert_int_equal(ask("g{*}.rollup(avg, 30)", T0 - 3600, T0 + 120, 5, &r, NULL), YG_OK);
    assert_int_equal(r.series[0].interval_s, 30);
    // a window without a bucket's start answers the bucket that holds it
    expect("g{*}.rollup(max, 3600)", T0 + 10, T0 + 20, 0, ": -1200=1");
    assert_int_equal(ask("g{*}", T0, T0, 0, &r, NULL), YG_EINPUT);
}

static void calendar_buckets_are_utc(void **state) {
    (void)state;
    // 2023-11-14 22:20:00 is T0; the month began on the 1st, the next on December 1st
    put("m", "", COUNT, T0, 1);
    put("m", "", COUNT, T0 + 20 * 86400, 5);
    struct yg_metric_result r;
    assert_int_equal(
        ask("sum:m{*}.rollup(sum, monthly)", T0 - 20 * 86400, T0 + 21 * 86400, 0, &r, NULL), YG_OK);
    assert_int_equal(r.series[0].point_count, 2);
    assert_int_equal(r.series[0].points[0].ts_ms, INT64_C(1698796800000));
    assert_int_equal(r.series[0].points[1].ts_ms, INT64_C(1701388800000));
    assert_int_equal(ask("sum:m{*}.rollup(sum, weekly)", T0 - 86400 * 8, T0 + 86400, 0, &r, NULL),
                     YG_OK);
    assert_int_equal(r.series[0].points[0].ts_ms, INT64_C(1699833600000)); // Monday the 13th
    refuse("sum:m{*}.rollup(sum, daily, 'Asia/Tokyo')", "UTC");
}

// ------------------------------------------------------------ aggregation

static void space_and_time_are_aggregated(void **state) {
    (void)state;
    put_many("cpu", "host:a,env:prod", GAUGE, 10, T0, 10, (const double[]){10, 20, 30, 40}, 4);
    put_many("cpu", "host:b,env:prod", GAUGE, 10, T0, 10, (const double[]){1, 2, 3, 4}, 4);
    put_many("cpu", "host:c,env:dev", GAUGE, 10, T0, 10, (const double[]){100, 100, 100, 100}, 4);
    expect("avg:cpu{env:prod}", T0, T0 + 39, 20, ": 0=8.25 20=19.25");
    expect("cpu{env:prod}", T0, T0 + 39, 20, ": 0=8.25 20=19.25");
    expect("sum:cpu{env:prod}", T0, T0 + 39, 20, ": 0=16.5 20=38.5");
    expect("min:cpu{env:prod}", T0, T0 + 39, 20, ": 0=1.5 20=3.5");
    expect("max:cpu{env:prod}", T0, T0 + 39, 20, ": 0=15 20=35");
    expect("count:cpu{*}", T0, T0 + 39, 20, ": 0=3 20=3");
    expect("max:cpu{env:prod}.rollup(max, 20)", T0, T0 + 39, 0, ": 0=20 20=40");
    expect("sum:cpu{env:prod}.rollup(min, 40)", T0 - 10, T0 + 39, 0, ": 0=11");
    expect("avg:cpu{*} by {env}.rollup(sum, 40)", T0, T0 + 39, 0, "env:dev: 0=400; env:prod: 0=55");
    expect("avg:cpu{*} by {env,host}", T0, T0 + 9, 20,
           "env:dev,host:c: 0=100; env:prod,host:a: 0=15; env:prod,host:b: "
           "0=1.5");
    expect("avg:cpu{*} by {team}", T0, T0 + 9, 40, "team:N/A: 0=42.5");
    expect("avg:cpu{env:none}", T0, T0 + 39, 20, "");
    expect("avg:nothing{*}", T0, T0 + 39, 20, "");
    expect("avg:cpu{host:a}, max:cpu{host:b}", T0, T0 + 9, 10, ": 0=10; : 0=1");
}

static void a_key_may_have_several_values(void **state) {
    (void)state;
    put("multi", "team:a,team:b", GAUGE, T0, 1);
    expect("sum:multi{*} by {team}", T0, T0 + 5, 10, "team:a,b: 0=1");
}

static void counts_and_rates(void **state) {
    (void)state;
    put_many("hits", "s:a", COUNT, 10, T0, 10,
             (const double[]){1, 2, 3, (double)NAN, (double)NAN, 6}, 6);
    put_many("hits", "s:b", COUNT, 10, T0, 10, (const double[]){10, 10, 10, 10, 10, 10}, 6);
    expect("sum:hits{*}.as_count()", T0, T0 + 59, 20, ": 0=23 20=23 40=26");
    expect("sum:hits{s:a}.as_count()", T0, T0 + 59, 20, ": 0=3 20=3 40=6");
    expect("sum:hits{s:a}.as_rate()", T0, T0 + 59, 20, ": 0=0.15 20=0.15 40=0.3");
    expect("sum:hits{s:a}.as_rate()", T0, T0 + 29, 10,
           ": 0=1 10=2 20=3");                                     // no aggregation: raw counts
    expect("sum:hits{s:a}", T0, T0 + 59, 20, ": 0=1.5 20=3 40=6"); // avg of the raw points
    expect("sum:hits{*}.rollup(sum, 60)", T0 - 20, T0 + 59, 0, ": 0=72");
    // senders of one series and time are added up
    put("hits", "s:a", COUNT, T0, 4);
    expect("sum:hits{s:a}.as_count()", T0, T0 + 9, 10, ": 0=5");
    put_many("rate", "", YG_METRIC_RATE, 10, T0, 10, (const double[]){0.5, 1.5}, 2);
    expect("sum:rate{*}.as_count()", T0, T0 + 19, 20, ": 0=20");
    expect("sum:rate{*}.as_rate()", T0, T0 + 19, 20, ": 0=1");
    expect("sum:rate{*}", T0, T0 + 19, 20, ": 0=1");
    put("gauge", "", GAUGE, T0, 7);
    expect("sum:gauge{*}.as_count()", T0, T0 + 19, 20, ": 0=7"); // no effect
}

static void percentiles_come_from_merged_sketches(void **state) {
    (void)state;
    for (int part = 0; part < 4; part++) {
        struct yg_points *p = yg_points_create(64u << 20);
        char tag[16];
        (void)snprintf(tag, sizeof(tag), "host:h%d", part);
        const yg_str tags[] = {yg_str_c(tag)};
        uint32_t id;
        struct yg_sketch *s;
        assert_int_equal(yg_points_series(p, YG_STR("lat"), tags, 1, YG_STR(""),
                                          YG_METRIC_DISTRIBUTION, 10, YG_STR("ms"), &id, NULL),
                         YG_OK);
        for (int b = 0; b < 2; b++) {
            assert_int_equal(yg_points_add_sketch(p, id, T0 + b * 10, &s, NULL), YG_OK);
            for (int i = part * 250; i < part * 250 + 250; i++)
                yg_sketch_add(s, i + 1, 1);
        }
        p->sequence = ++sequence;
        yg_mstore_apply(engine, p);
        yg_points_destroy(p);
    }
    for (int round = 0; round < 2; round++) {
        expect("avg:lat{*}", T0, T0 + 19, 20, ": 0=500.5");
        expect("sum:lat{*}", T0, T0 + 19, 10, ": 0=500500 10=500500");
        expect("count:lat{*}", T0, T0 + 19, 20, ": 0=2000");
        expect("count:lat{*}.as_rate()", T0, T0 + 19, 20, ": 0=100");
        expect("max:lat{*} by {host}", T0, T0 + 5, 20,
               "host:h0: 0=250; host:h1: 0=500; host:h2: 0=750; host:h3: 0=1000");
        static const struct {
            const char *text;
            double want;
        } rows[] = {
            {"p50:lat{*}", 500}, {"p95:lat{*}", 950}, {"p99:lat{*}", 990}, {"p99.9:lat{*}", 999}};
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct yg_metric_result r;
            assert_int_equal(ask(rows[i].text, T0, T0 + 5, 20, &r, NULL), YG_OK);
            assert_int_equal(r.count, 1);
            double v = r.series[0].points[0].value;
            if (fabs(v - rows[i].want) > rows[i].want / 64)
                fail_msg("%s: %g", rows[i].text, v);
        }
        assert_int_equal(yg_mstore_flush(engine, NULL), YG_OK);
    }
    put("plain", "", GAUGE, T0, 1);
    expect("p95:plain{*}", T0, T0 + 5, 20, ""); // not a distribution: no data
}

// ------------------------------------------------------------ gaps

static void gaps_are_filled_as_documented(void **state) {
    (void)state;
    // a lone series keeps its gaps
    put_many("one", "", GAUGE, 10, T0, 10, (const double[]){1, (double)NAN, 3}, 3);
    expect("avg:one{*}", T0, T0 + 29, 10, ": 0=1 20=3");
    // two: where one has a sample the other is interpolated, up to 300 s
    put_many("two", "h:a", GAUGE, 10, T0, 10, (const double[]){1, (double)NAN, 3}, 3);
    put_many("two", "h:b", GAUGE, 10, T0, 10, (const double[]){10, 10, 10, 10}, 4);
    expect("sum:two{*}", T0, T0 + 39, 10, ": 0=11 10=12 20=13 30=13");
    put("two", "h:b", GAUGE, T0 + 320, 10);
    put("two", "h:b", GAUGE, T0 + 330, 10);
    expect("sum:two{*}", T0 + 320, T0 + 339, 10, ": 320=13 330=10");
    expect("sum:two{*}.fill(null)", T0, T0 + 39, 10, ": 0=11 10=10 20=13 30=10");
    expect("sum:two{h:a}.fill(last)", T0, T0 + 39, 10, ": 0=1 10=1 20=3 30=3");
    expect("sum:two{h:a}.fill(zero, 20)", T0, T0 + 59, 10, ": 0=1 10=0 20=3 30=0 40=0");
    expect("sum:two{h:a}.fill(linear)", T0, T0 + 29, 10, ": 0=1 10=2 20=3");
    // counts with a modifier have no gaps to fill
    put_many("c", "h:a", COUNT, 10, T0, 10, (const double[]){5, (double)NAN, 5}, 3);
    put_many("c", "h:b", COUNT, 10, T0, 10, (const double[]){1, 1, 1}, 3);
    expect("sum:c{*}.as_count()", T0, T0 + 29, 10, ": 0=6 10=1 20=6");
    expect("sum:c{*}", T0, T0 + 29, 10, ": 0=6 10=6 20=6");
}

static void default_zero_holds_then_fills(void **state) {
    (void)state;
    // recorded: one point in a window of 30 min at 60 s is 0 before, 1 for five more minutes, 0
    // after
    put("rare", "", GAUGE, T0 + 900, 1);
    struct yg_metric_result r;
    assert_int_equal(ask("default_zero(avg:rare{*})", T0, T0 + 1799, 60, &r, NULL), YG_OK);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.series[0].point_count, 30);
    for (uint32_t i = 0; i < 30; i++) {
        double want = i >= 15 && i <= 20 ? 1 : 0;
        if (fabs(r.series[0].points[i].value - want) > 1e-9)
            fail_msg("bucket %u: %g", i, r.series[0].points[i].value);
    }
    expect("default_zero(avg:never.seen{*})", T0, T0 + 20, 10, ": 0=0 10=0 20=0");
    expect("default_zero(avg:never.seen{*} by {host})", T0, T0 + 20, 10, "");
    expect("default_zero(sum:never.seen{*}.as_count())", T0, T0 + 10, 10, ": 0=0 10=0");
    expect("default(avg:never.seen{*}, 7)", T0, T0 + 10, 10, ": 0=7 10=7");
}

// ------------------------------------------------------------ arithmetic

static void arithmetic_meets_by_group(void **state) {
    (void)state;
    put("a", "s:x", GAUGE, T0, 6);
    put("a", "s:y", GAUGE, T0, 8);
    put("b", "s:x", GAUGE, T0, 3);
    put("b", "s:z", GAUGE, T0, 9);
    put("zero", "s:x", GAUGE, T0, 0);
    expect("sum:a{*} by {s} / sum:b{*} by {s}", T0, T0 + 5, 10, "s:x: 0=2");
    put("a2", "s:x,t:1", GAUGE, T0, 6);
    put("b2", "s:x,t:1", GAUGE, T0, 2);
    put("b2", "s:x,t:2", GAUGE, T0, 3);
    expect("sum:a2{*} by {s,t} / sum:b2{*} by {t,s}", T0, T0 + 5, 10, "s:x,t:1: 0=3");
    expect("sum:a{*} by {s} / sum:b2{*} by {t}", T0, T0 + 5, 10, "");
    expect("sum:a{*} by {s} * 2 + 1", T0, T0 + 5, 10, "s:x: 0=13; s:y: 0=17");
    expect("100 - sum:a{*} by {s}", T0, T0 + 5, 10, "s:x: 0=94; s:y: 0=92");
    expect("sum:a{*} by {s} / sum:b{*}", T0, T0 + 5, 10, "s:x: 0=0.5; s:y: 0=0.666667");
    expect("sum:b{*} / sum:a{*} by {s}", T0, T0 + 5, 10, "s:x: 0=2; s:y: 0=1.5");
    expect("-(sum:a{*} - sum:b{*})", T0, T0 + 5, 10, ": 0=-2");
    expect("sum:a{s:x} / sum:zero{*}", T0, T0 + 5, 10, ""); // no value, not infinity
    expect("sum:a{s:x} / 0", T0, T0 + 5, 10, "");
    expect("sum:a{*} by {s} - default_zero(sum:b{*} by {s})", T0, T0 + 5, 10, "s:x: 0=3; s:y: 0=8");
    expect("default_zero(sum:a{*} by {s}) + default_zero(sum:b{*} by {s})", T0, T0 + 5, 10,
           "s:x: 0=9; s:y: 0=8; s:z: 0=9");
    put_many("ec", "s:x", COUNT, 10, T0, 10, (const double[]){(double)NAN, 2}, 2);
    put_many("tc", "s:x", COUNT, 10, T0, 10, (const double[]){4, 4}, 2);
    expect("sum:ec{*}.as_count() / sum:tc{*}.as_count()", T0, T0 + 19, 10, ": 0=0 10=0.5");
    expect("sum:never{*}.as_count() / sum:tc{*}.as_count()", T0, T0 + 19, 10, ": 0=0 10=0");
    expect("sum:tc{*}.as_count() / sum:never{*}.as_count()", T0, T0 + 19, 10, "");
    expect("sum:never{*} / sum:tc{*}", T0, T0 + 19, 10, "");
    expect("2 * 3", T0, T0 + 10, 10, ": 0=6 10=6");
}

// ------------------------------------------------------------ functions

static void functions_of_points(void **state) {
    (void)state;
    put_many("f", "", GAUGE, 10, T0, 10, (const double[]){-4, 1, 8, 100}, 4);
    expect("abs(avg:f{*})", T0, T0 + 39, 10, ": 0=4 10=1 20=8 30=100");
    expect("log2(avg:f{*})", T0, T0 + 39, 10, ": 10=0 20=3 30=6.64386");
    expect("log10(avg:f{*})", T0, T0 + 39, 10, ": 10=0 20=0.90309 30=2");
    expect("clamp_min(avg:f{*}, 2)", T0, T0 + 39, 10, ": 0=2 10=2 20=8 30=100");
    expect("clamp_max(avg:f{*}, 8)", T0, T0 + 39, 10, ": 0=-4 10=1 20=8 30=8");
    expect("cutoff_min(avg:f{*}, 1)", T0, T0 + 39, 10, ": 10=1 20=8 30=100");
    expect("cutoff_max(avg:f{*}, 8)", T0, T0 + 39, 10, ": 0=-4 10=1 20=8");
    expect("cumsum(avg:f{*})", T0, T0 + 39, 10, ": 0=-4 10=-3 20=5 30=105");
    expect("integral(avg:f{*})", T0, T0 + 39, 10, ": 0=-40 10=-30 20=50 30=1050");
    expect("throughput(avg:f{*})", T0, T0 + 39, 10, ": 0=-0.4 10=0.1 20=0.8 30=10");
    expect("diff(avg:f{*})", T0, T0 + 39, 10, ": 10=5 20=7 30=92");
    expect("diff(avg:f{*})", T0 + 10, T0 + 39, 10, ": 10=5 20=7 30=92"); // looks back
    expect("derivative(avg:f{*})", T0, T0 + 39, 10, ": 10=0.5 20=0.7 30=9.2");
    expect("diff(avg:f{*} + 0)", T0 + 10, T0 + 39, 10, ": 10=5 20=7 30=92");
    put_many("ctr", "", GAUGE, 10, T0, 10, (const double[]){10, 20, 5, 15}, 4);
    expect("monotonic_diff(avg:ctr{*})", T0, T0 + 39, 10, ": 10=10 30=10");
    expect("per_second(avg:ctr{*})", T0, T0 + 39, 10, ": 10=1 30=1");
    expect("per_minute(avg:ctr{*})", T0, T0 + 39, 10, ": 10=60 30=60");
    expect("per_hour(avg:ctr{*})", T0, T0 + 39, 10, ": 10=3600 30=3600");
    expect("per_second(sum:ctr{*})", T0, T0 + 39, 5,
           ": 10=1 30=1"); // buckets finer than the samples
    expect("ewma_3(avg:ctr{*})", T0, T0 + 39, 10, ": 0=10 10=15 20=10 30=12.5");
    expect("median_3(avg:ctr{*})", T0, T0 + 39, 10, ": 0=10 10=15 20=10 30=15");
    expect("rollingavg_5(avg:ctr{*})", T0 + 20, T0 + 39, 10, ": 20=11.6667 30=12.5");
    expect("moving_rollup(avg:ctr{*}, 20, 'max')", T0, T0 + 49, 10,
           ": 0=10 10=20 20=20 30=15 40=15");
    expect("moving_rollup(avg:ctr{*}, 20, 'sum')", T0 + 10, T0 + 39, 10, ": 10=30 20=25 30=20");
    refuse("moving_rollup(avg:ctr{*}, 20, 'most')", "third argument");
}

static void functions_of_time(void **state) {
    (void)state;
    put("t", "", GAUGE, T0, 5);
    expect("hour_before(avg:t{*})", T0 + 3600, T0 + 3610, 10, ": 3600=5");
    expect("day_before(avg:t{*})", T0 + 86400, T0 + 86410, 10, ": 86400=5");
    expect("week_before(avg:t{*})", T0 + 604800, T0 + 604810, 10, ": 604800=5");
    expect("month_before(avg:t{*})", T0 + 2419200, T0 + 2419210, 10, ": 2419200=5");
    expect("timeshift(avg:t{*}, -600)", T0 + 600, T0 + 610, 10, ": 600=5");
    expect("avg:t{*} - timeshift(avg:t{*}, -600)", T0 + 600, T0 + 610, 10, "");
    refuse("timeshift(avg:t{*}, 600)", "negative");
}

static void functions_of_groups(void **state) {
    (void)state;
    put("q", "h:a", GAUGE, T0, 3);
    put("q", "h:b", GAUGE, T0, 1);
    put("q", "h:c", GAUGE, T0, 2);
    put("q", "", GAUGE, T0, 0);
    expect("top(avg:q{*} by {h}, 2, 'mean', 'desc')", T0, T0 + 5, 10, "h:a: 0=3; h:c: 0=2");
    expect("top(avg:q{*} by {h}, 2, 'max', 'asc')", T0, T0 + 5, 10, "h:N/A: 0=0; h:b: 0=1");
    expect("top5_mean(avg:q{*} by {h})", T0, T0 + 5, 10,
           "h:a: 0=3; h:c: 0=2; h:b: 0=1; h:N/A: 0=0");
    expect("bottom5_min(exclude_null(avg:q{*} by {h}))", T0, T0 + 5, 10,
           "h:b: 0=1; h:c: 0=2; h:a: 0=3");
    expect("exclude_null(avg:q{*} by {h})", T0, T0 + 5, 10, "h:a: 0=3; h:b: 0=1; h:c: 0=2");
    expect("count_nonzero(avg:q{*} by {h})", T0, T0 + 5, 10, ": 0=3");
    expect("count_not_null(avg:q{*} by {h})", T0, T0 + 5, 10, ": 0=4");
    refuse("top(avg:q{*} by {h}, 2, 'best', 'desc')", "third argument");
    refuse("top(avg:q{*} by {h}, 2, 'mean', 'down')", "fourth argument");
}

static void what_is_not_there_yet_says_so(void **state) {
    (void)state;
    put("q", "h:a", GAUGE, T0, 3);
    refuse("anomalies(avg:q{*}, 'basic', 2)", "anomalies() is not evaluated by this version");
    refuse("forecast(avg:q{*}, 'linear', 1)", "forecast() is not evaluated");
    refuse("outliers(avg:q{*} by {h}, 'DBSCAN', 3)", "outliers() is not evaluated");
    refuse("autosmooth(avg:q{*})", "autosmooth() is not evaluated");
    refuse("histogram:q{*}", "histogram");
}

// ------------------------------------------------------------ names

static void answers_are_named_as_recorded(void **state) {
    (void)state;
    put("system.cpu.idle", "host:a,env:prod", GAUGE, T0, 3);
    struct yg_metric_result r;
    assert_int_equal(ask("system.cpu.idle{*}, default_zero(sum:system.cpu.idle{env:prod} by "
                         "{host}.as_count()) / 2",
                         T0, T0 + 5, 10, &r, NULL),
                     YG_OK);
    assert_int_equal(r.count, 2);
    const struct yg_metric_out *o = &r.series[0];
    assert_true(yg_str_eq_c(o->metric, "system.cpu.idle"));
    assert_true(yg_str_eq_c(o->expression, "system.cpu.idle{*}"));
    assert_true(yg_str_eq_c(o->scope, "*"));
    assert_true(yg_str_eq_c(o->unit, "ms"));
    assert_int_equal(o->aggr.len, 0);
    o = &r.series[1];
    assert_int_equal(o->query_index, 1);
    assert_true(yg_str_eq_c(o->metric, "(default_zero(system.cpu.idle) / 2)"));
    assert_true(yg_str_eq_c(o->expression,
                            "(default_zero(sum:system.cpu.idle{env:prod,host:a}.as_count()) / 2)"));
    assert_true(yg_str_eq_c(o->scope, "env:prod,host:a"));
    assert_true(yg_str_eq_c(o->aggr, "sum"));
    assert_int_equal(o->unit.len, 0);
}

// ------------------------------------------------------------ monitors

struct window {
    struct yg_window_value *v;
    uint32_t n;
};

static struct window window(const char *text, enum yg_window_agg agg, int64_t from, int64_t to) {
    struct yg_metric_query *q;
    struct window w = {0};
    struct yg_err err = {0};
    if (yg_metric_parse(yg_str_c(text), arena, &q, &err) != YG_OK ||
        yg_metric_window(NULL, q, agg, 0, from * 1000, to * 1000, arena, &w.v, &w.n, &err) != YG_OK)
        fail_msg("%s: %s", text, err.text);
    return w;
}

static void expect_window(const char *text, enum yg_window_agg agg, double want) {
    struct window w = window(text, agg, T0, T0 + 300);
    assert_int_equal(w.n, 1);
    if (isnan(want) ? w.v[0].has_value : !w.v[0].has_value || fabs(w.v[0].value - want) > 1e-9)
        fail_msg("%s: %d %g, not %g", text, w.v[0].has_value, w.v[0].value, want);
}

static void windows_reduce_points(void **state) {
    (void)state;
    put_many("w", "", GAUGE, 10, T0, 60, (const double[]){1, 2, 3, 4, 10}, 5);
    expect_window("avg:w{*}", YG_WINDOW_AVG, 4);
    expect_window("avg:w{*}", YG_WINDOW_SUM, 20);
    expect_window("avg:w{*}", YG_WINDOW_MIN, 1);
    expect_window("avg:w{*}", YG_WINDOW_MAX, 10);
    expect_window("avg:w{*}", YG_WINDOW_LAST, 10);
    expect_window("avg:never{*}", YG_WINDOW_AVG, (double)NAN);
    put("wg", "h:a", GAUGE, T0, 1);
    put("wg", "h:b", GAUGE, T0 + 290, 2);
    put("wg", "h:old", GAUGE, T0 - 10, 2);
    put("wg", "h:next", GAUGE, T0 + 300, 2);
    struct window w = window("avg:wg{*} by {h}", YG_WINDOW_MAX, T0, T0 + 300);
    uint32_t with = 0;
    for (uint32_t i = 0; i < w.n; i++)
        with += w.v[i].has_value;
    assert_int_equal(with, 2);
    assert_true(yg_str_eq_c(w.v[0].group_tags[0], "h:a"));
}

static void as_count_puts_totals_into_arithmetic(void **state) {
    (void)state;
    put_many("e", "", COUNT, 60, T0, 60, (const double[]){1, 2, 3, 4, 5}, 5);
    put_many("t", "", COUNT, 60, T0, 60, (const double[]){5, 5, 5, 5, 5}, 5);
    expect_window("sum:e{*}.as_rate() / sum:t{*}.as_rate()", YG_WINDOW_SUM, 3);
    expect_window("sum:e{*}.as_count() / sum:t{*}.as_count()", YG_WINDOW_SUM, 0.6);
    expect_window("(sum:e{*}.as_count() / sum:t{*}.as_count()) * 100", YG_WINDOW_SUM, 60);
    expect_window("abs(-(sum:e{*}.as_count() / sum:t{*}.as_count()))", YG_WINDOW_SUM, 0.6);
    expect_window("sum:none{*}.as_count() / sum:t{*}.as_count()", YG_WINDOW_SUM,
                  0); // no errors at all: 0, not No Data
    expect_window("sum:none{*}.as_count() / sum:nothing{*}.as_count()", YG_WINDOW_SUM, (double)NAN);
    expect_window("default_zero(sum:e{*}.as_count())", YG_WINDOW_SUM, 15);
    expect_window("sum:t{*}.as_count()", YG_WINDOW_SUM, 25);
}

// The handbook's first alert, with and without errors and invocations.
static void the_handbook_monitor_works(void **state) {
    (void)state;
    static const char *const q = "default_zero(sum:aws.lambda.errors{env:prod,service:x}) / "
                                 "default_zero(sum:aws.lambda.invocations{env:prod,service:x})";
    expect_window(q, YG_WINDOW_AVG, (double)NAN); // 0 / 0 everywhere: no data
    put_flat("aws.lambda.invocations", "env:prod,service:x,function:f", COUNT, T0, T0 + 300, 20);
    put_flat("aws.lambda.invocations", "env:dev,service:x,function:f", COUNT, T0, T0 + 300, 1000);
    expect_window(q, YG_WINDOW_AVG, 0); // no errors were ever sent
    put_flat("aws.lambda.errors", "env:prod,service:x,function:f", COUNT, T0, T0 + 300, 2);
    expect_window(q, YG_WINDOW_AVG, 0.1);
    put_flat("aws.lambda.errors", "env:prod,service:y,function:f", COUNT, T0, T0 + 300, 200);
    expect_window(q, YG_WINDOW_AVG, 0.1);
    assert_int_equal(yg_mstore_flush(engine, NULL), YG_OK);
    expect_window(q, YG_WINDOW_AVG, 0.1);
}

// ------------------------------------------------------------ formulas

static struct yg_metric_query *parsed(const char *text) {
    struct yg_metric_query *q = NULL;
    assert_int_equal(yg_metric_parse(yg_str_c(text), arena, &q, NULL), YG_OK);
    return q;
}

static void formulas_bind_names(void **state) {
    (void)state;
    put_many("fa", "h:a", GAUGE, 10, T0, 10, (const double[]){1, 2, 3}, 3);
    put_many("fa", "h:b", GAUGE, 10, T0, 10, (const double[]){10, 20, 30}, 3);
    put_many("fb", "", GAUGE, 10, T0, 10, (const double[]){2, 2, 2}, 3);
    put("fa", "h:a", GAUGE, T0 - 3600, 100);
    struct yg_named_series named[] = {
        {.name = YG_STR("query1"), .query = parsed("avg:fa{*} by {h}"), .reduce = YG_STR("max")},
        {.name = YG_STR("b"), .query = parsed("avg:fb{*}"), .reduce = YG_STR("sum")},
    };
    struct yg_metric_run_options o = {
        .from_ms = T0 * 1000, .to_ms = (T0 + 29) * 1000, .interval_ms = 10000};
    struct yg_metric_result r;
    struct yg_err err = {0};
    static struct {
        const char *formula;
        bool scalar;
        const char *want;
    } rows[] = {
        {"query1", false, "h:a: 0=1 10=2 20=3; h:b: 0=10 10=20 20=30"},
        {"query1 / b", false, "h:a: 0=0.5 10=1 20=1.5; h:b: 0=5 10=10 20=15"},
        {"(query1 - b) * 100", false, "h:a: 0=-100 10=0 20=100; h:b: 0=800 10=1800 20=2800"},
        {"hour_before(query1)", false, "h:a: 0=100"},
        {"diff(query1)", false, "h:a: 10=1 20=1; h:b: 10=10 20=10"},
        {"top(query1, 1, 'max', 'desc')", false, "h:b: 0=10 10=20 20=30"},
        {"query1", true, "h:a: 0=3; h:b: 0=30"},
        {"query1 / b", true, "h:a: 0=0.5; h:b: 0=5"}, // max / sum
        {"abs(query1 - b)", true, "h:a: 0=3; h:b: 0=24"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        o.scalar = rows[i].scalar;
        if (yg_formula_run(yg_str_c(rows[i].formula), named, 2, &o, arena, &r, &err) != YG_OK)
            fail_msg("%s: %s", rows[i].formula, err.text);
        if (strcmp(text_of(&r), rows[i].want) != 0)
            fail_msg("%s\n%s\nnot\n%s", rows[i].formula, text_of(&r), rows[i].want);
    }
    // results that were made elsewhere
    struct yg_named_series given[2] = {{.name = YG_STR("a")}, {.name = YG_STR("b")}};
    o.scalar = false;
    assert_int_equal(yg_metric_run(NULL, named[0].query, &o, arena, &given[0].result, NULL), YG_OK);
    assert_int_equal(yg_metric_run(NULL, named[1].query, &o, arena, &given[1].result, NULL), YG_OK);
    assert_int_equal(yg_formula_run(YG_STR("a * b"), given, 2, &o, arena, &r, NULL), YG_OK);
    assert_string_equal(text_of(&r), "h:a: 0=2 10=4 20=6; h:b: 0=20 10=40 20=60");
    assert_int_equal(yg_formula_run(YG_STR("a * c"), given, 2, &o, arena, &r, &err), YG_EINPUT);
    assert_non_null(strstr(err.text, "\"c\""));
    assert_int_equal(yg_formula_run(YG_STR("a *"), given, 2, &o, arena, &r, &err), YG_EINPUT);
    assert_int_equal(yg_formula_run(YG_STR("avg:x{*}"), given, 2, &o, arena, &r, &err), YG_EINPUT);
}

static void series_are_reduced(void **state) {
    (void)state;
    struct yg_metric_value p[] = {{0, 3}, {10000, 1}, {20000, 2}};
    const struct yg_metric_out o = {.points = p, .point_count = 3};
    static const struct {
        const char *how;
        double want;
    } rows[] = {{"avg", 2}, {"mean", 2},        {"min", 1},   {"max", 3},
                {"sum", 6}, {"last", 2},        {"area", 40}, {"l2norm", 3.7416573867739413},
                {"p50", 2}, {"percentile", 2.9}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double v;
        assert_true(yg_metric_reduce(&o, yg_str_c(rows[i].how), &v));
        if (fabs(v - rows[i].want) > 1e-9)
            fail_msg("%s: %.17g", rows[i].how, v);
    }
    const struct yg_metric_out none = {0};
    double v;
    assert_false(yg_metric_reduce(&none, YG_STR("avg"), &v));
}

static void memory_is_bounded(void **state) {
    (void)state;
    for (int i = 0; i < 300; i++) {
        char tag[16];
        (void)snprintf(tag, sizeof(tag), "h:%d", i);
        put("wide", tag, GAUGE, T0, i);
    }
    struct yg_arena *small = yg_arena_create(YG_MEM_QUERY, 256 << 10);
    struct yg_metric_query *q = parsed("avg:wide{*} by {h}");
    const struct yg_metric_run_options o = {.from_ms = T0 * 1000, .to_ms = (T0 + 1200) * 1000};
    struct yg_metric_result r;
    assert_int_equal(yg_metric_run(NULL, q, &o, small, &r, NULL), YG_ENOMEM);
    yg_arena_destroy(small);
}

static bool always(void *arg) {
    ++*(uint32_t *)arg;
    return true;
}

static void long_queries_end_when_told(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        char tag[16];
        (void)snprintf(tag, sizeof(tag), "h:%d", i);
        put("wide", tag, GAUGE, T0, i);
    }
    struct yg_metric_query *q = parsed("avg:wide{*} by {h}");
    uint32_t asked = 0;
    struct yg_metric_run_options o = {.from_ms = T0 * 1000,
                                      .to_ms = (T0 + 1200) * 1000,
                                      .canceled = always,
                                      .canceled_arg = &asked};
    struct yg_metric_result r;
    assert_int_equal(yg_metric_run(NULL, q, &o, arena, &r, NULL), YG_ECANCEL);
    assert_int_equal(asked, 1);
    o.canceled = NULL;
    o.deadline_mono_ns = 1;
    assert_int_equal(yg_metric_run(NULL, q, &o, arena, &r, NULL), YG_ETIMEOUT);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(intervals_follow_the_recorded_windows),
        T(calendar_buckets_are_utc),
        T(space_and_time_are_aggregated),
        T(a_key_may_have_several_values),
        T(counts_and_rates),
        T(percentiles_come_from_merged_sketches),
        T(gaps_are_filled_as_documented),
        T(default_zero_holds_then_fills),
        T(arithmetic_meets_by_group),
        T(functions_of_points),
        T(functions_of_time),
        T(functions_of_groups),
        T(what_is_not_there_yet_says_so),
        T(answers_are_named_as_recorded),
        T(windows_reduce_points),
        T(as_count_puts_totals_into_arithmetic),
        T(the_handbook_monitor_works),
        T(formulas_bind_names),
        T(series_are_reduced),
        T(memory_is_bounded),
        T(long_queries_end_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
