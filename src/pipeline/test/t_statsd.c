// SPDX-License-Identifier: Apache-2.0
// DogStatsD aggregation in simulated time: what is emitted per bucket, and that memory stays
// bounded.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/statsd_agg.h"
#include <stdlib.h>

#define T0 INT64_C(1700000000)

static int64_t fake_now(const struct yg_clock *c) {
    return c->fake_ns;
}
static struct yg_clock fake_clock = {.now_ns = fake_now, .mono_ns = fake_now};
static struct yg_statsd_agg *agg;
static struct yg_buf log_text;
static uint64_t rejected;

// The pipeline behind the aggregator: writes down what it gets.
static int cmp_line(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

yg_rc yg_pipeline_points(struct yg_pipeline *p, struct yg_points *take_points, yg_append_fn fn,
                         void *arg, struct yg_err *err) {
    (void)p;
    (void)err;
    char *lines[4096];
    uint32_t n = 0;
    for (uint32_t i = 0; i < take_points->count && n < 4096; i++) {
        const struct yg_point *pt = &take_points->points[i];
        const struct yg_point_series *s = &take_points->series[pt->series];
        char line[512];
        int len = snprintf(line, sizeof(line), "%.*s{%.*s} %d@%lld", YG_STR_FMT(s->name),
                           YG_STR_FMT(s->tags), (int)s->type, (long long)(pt->ts_s - T0));
        if (pt->sketch < 0)
            snprintf(line + len, sizeof(line) - (size_t)len, "=%.6g", pt->value);
        else
            snprintf(line + len, sizeof(line) - (size_t)len, " n=%.6g sum=%.6g",
                     take_points->sketches[pt->sketch].count,
                     take_points->sketches[pt->sketch].sum);
        lines[n++] = yg_strndup(YG_MEM_BASE, line, strlen(line));
    }
    qsort(lines, n, sizeof(*lines), cmp_line);
    for (uint32_t i = 0; i < n; i++) {
        yg_buf_printf(&log_text, "%s\n", lines[i]);
        yg_free(YG_MEM_BASE, lines[i]);
    }
    yg_points_destroy(take_points);
    fn(arg, YG_OK, NULL);
    return YG_OK;
}

void yg_pipeline_reject(struct yg_pipeline *p, const char *route, const char *reason,
                        int64_t items) {
    (void)p;
    assert_string_equal(route, "dogstatsd");
    assert_true(strlen(reason) > 3);
    rejected += (uint64_t)items;
}

static int setup(void **state) {
    (void)state;
    fake_clock.fake_ns = T0 * YG_NS_PER_S;
    log_text = YG_BUF(YG_MEM_BASE, 16u << 20);
    rejected = 0;
    agg = yg_statsd_agg_create(NULL, &fake_clock);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    yg_statsd_agg_destroy(agg);
    yg_buf_fini(&log_text);
    return yg_mem_used(YG_MEM_INTAKE) == 0 ? 0 : -1;
}

static bool sample(const char *name, enum yg_statsd_type type, double v, double rate,
                   const char *tag) {
    const yg_str tags[] = {yg_str_c(tag)};
    const struct yg_statsd_sample s = {.name = yg_str_c(name),
                                       .type = type,
                                       .values = &v,
                                       .value_count = 1,
                                       .sample_rate = rate,
                                       .tags = tags,
                                       .tag_count = tag[0] != 0};
    return yg_statsd_agg_add(agg, &s);
}

static void at(int64_t s) {
    fake_clock.fake_ns = (T0 + s) * YG_NS_PER_S;
    yg_statsd_agg_flush(agg, false);
}

static void expect(const char *want) {
    yg_buf_putc(&log_text, 0);
    assert_string_equal(log_text.ptr, want);
    yg_buf_reset(&log_text);
}

static void counters_add_up_and_run_out_in_zeros(void **state) {
    (void)state;
    sample("hits", YG_STATSD_COUNT, 2, 1, "env:prod");
    at(5);
    sample("hits", YG_STATSD_COUNT, 3, 0.5, "env:prod");
    expect("");
    at(10);
    expect("hits{env:prod} 1@0=8\n");
    at(20);
    expect("hits{env:prod} 1@10=0\n");
    at(320);
    yg_buf_putc(&log_text, 0);
    uint32_t zeros = 0;
    for (const char *p = log_text.ptr; (p = strstr(p, "=0\n")) != NULL; p += 3)
        zeros++;
    assert_in_range(zeros, 28, 30);
    yg_buf_reset(&log_text);
    at(400);
    expect("");
}

static void gauges_keep_the_last(void **state) {
    (void)state;
    sample("g", YG_STATSD_GAUGE, 5, 1, "");
    sample("g", YG_STATSD_GAUGE, 7, 0.1, "");
    at(10);
    expect("g{} 0@0=7\n");
    at(20);
    expect("");
}

static void histograms_give_five_series(void **state) {
    (void)state;
    for (int i = 1; i <= 20; i++)
        sample("h", YG_STATSD_HISTOGRAM, i, 1, "a:b");
    at(10);
    // index (n − 1) / 2 = 9 and (95 n − 1) / 100 = 18 of the sorted samples
    expect("h.95percentile{a:b} 0@0=19\nh.avg{a:b} 0@0=10.5\nh.count{a:b} 1@0=20\n"
           "h.max{a:b} 0@0=20\nh.median{a:b} 0@0=10\n");
    sample("t", YG_STATSD_TIMING, -4, 0.25, "");
    at(20);
    expect("t.95percentile{} 0@10=-4\nt.avg{} 0@10=-4\nt.count{} 1@10=4\nt.max{} 0@10=-4\n"
           "t.median{} 0@10=-4\n");
    for (int i = 0; i < 20000; i++) // too many to be kept one by one
        sample("big", YG_STATSD_HISTOGRAM, i, 1, "");
    at(30);
    yg_buf_putc(&log_text, 0);
    double median = strtod(strstr(log_text.ptr, "big.median{} 0@20=") + 18, NULL);
    double p95 = strtod(strstr(log_text.ptr, "big.95percentile{} 0@20=") + 24, NULL);
    assert_true(median > 9800 && median < 10200);
    assert_true(p95 > 18700 && p95 < 19300);
    assert_non_null(strstr(log_text.ptr, "big.count{} 1@20=20000\n"));
}

static void sets_count_distinct_values(void **state) {
    (void)state;
    static const char *const values[] = {"u1", "u2", "u1", "u3:x"};
    for (size_t i = 0; i < 4; i++) {
        const struct yg_statsd_sample s = {
            .name = YG_STR("users"), .type = YG_STATSD_SET, .set_value = yg_str_c(values[i])};
        assert_true(yg_statsd_agg_add(agg, &s));
    }
    at(10);
    expect("users{} 0@0=3\n");
}

static void distributions_fill_sketches(void **state) {
    (void)state;
    for (int i = 1; i <= 4; i++)
        sample("d", YG_STATSD_DISTRIBUTION, i, 0.5, "");
    at(10);
    expect("d{} 3@0 n=8 sum=20\n");
}

static void order_of_tags_does_not_matter_and_types_are_apart(void **state) {
    (void)state;
    const yg_str ab[] = {YG_STR_INIT("a:1"), YG_STR_INIT("b:2")};
    const yg_str ba[] = {YG_STR_INIT("b:2"), YG_STR_INIT("a:1")};
    double v = 1;
    struct yg_statsd_sample s = {.name = YG_STR("x"),
                                 .type = YG_STATSD_COUNT,
                                 .values = &v,
                                 .value_count = 1,
                                 .sample_rate = 1,
                                 .tags = ab,
                                 .tag_count = 2,
                                 .host = YG_STR("h1")};
    assert_true(yg_statsd_agg_add(agg, &s));
    s.tags = ba;
    assert_true(yg_statsd_agg_add(agg, &s));
    s.host = YG_STR("h2");
    assert_true(yg_statsd_agg_add(agg, &s));
    s.type = YG_STATSD_GAUGE;
    assert_true(yg_statsd_agg_add(agg, &s));
    at(10);
    expect("x{a:1,b:2,host:h1} 1@0=2\nx{a:1,b:2,host:h2} 0@0=1\nx{a:1,b:2,host:h2} 1@0=1\n");
}

static void packed_values_and_own_times(void **state) {
    (void)state;
    const double v[] = {1, 2, 3};
    struct yg_statsd_sample s = {.name = YG_STR("p"),
                                 .type = YG_STATSD_DISTRIBUTION,
                                 .values = v,
                                 .value_count = 3,
                                 .sample_rate = 1};
    assert_true(yg_statsd_agg_add(agg, &s));
    s.type = YG_STATSD_GAUGE;
    s.name = YG_STR("timed");
    s.value_count = 1;
    s.ts_s = T0 - 500;
    assert_true(yg_statsd_agg_add(agg, &s));
    at(1); // with a time of its own: not held until the bucket is over
    expect("timed{} 0@-500=1\n");
    at(10);
    expect("p{} 3@0 n=3 sum=6\n");
}

static void everything_comes_out_at_the_end(void **state) {
    (void)state;
    sample("hits", YG_STATSD_COUNT, 2, 1, "");
    sample("g", YG_STATSD_GAUGE, 2, 1, "");
    yg_statsd_agg_flush(agg, true);
    expect("g{} 0@0=2\nhits{} 1@0=2\n");
    sample("hits", YG_STATSD_COUNT, 3, 1, "");
    yg_statsd_agg_flush(agg, true);
    expect("hits{} 1@0=3\n");
}

static void the_clock_may_jump(void **state) {
    (void)state;
    sample("hits", YG_STATSD_COUNT, 2, 1, "");
    at(1000000);
    expect("hits{} 1@0=2\n");
    sample("hits", YG_STATSD_COUNT, 1, 1, "");
    at(-1000);
    expect("hits{} 1@1000000=1\n");
    sample("hits", YG_STATSD_COUNT, 4, 1, "");
    at(-990);
    expect("hits{} 1@-1000=4\n");
}

static void memory_is_bounded(void **state) {
    (void)state;
    bool full = false;
    for (int i = 0; i < 250000 && !full; i++) {
        char name[128];
        snprintf(name, sizeof(name), "m%d.%0100d", i, 0);
        full = !sample(name, YG_STATSD_COUNT, 1, 1, "");
    }
    assert_true(full);
    assert_true(rejected == 1);
    assert_true(yg_mem_used(YG_MEM_INTAKE) < 128 << 20);
    assert_true(sample("m1.%0100d", YG_STATSD_COUNT, 1, 1, "") == false);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(counters_add_up_and_run_out_in_zeros),
        T(gauges_keep_the_last),
        T(histograms_give_five_series),
        T(sets_count_distinct_values),
        T(distributions_fill_sketches),
        T(order_of_tags_does_not_matter_and_types_are_apart),
        T(packed_values_and_own_times),
        T(everything_comes_out_at_the_end),
        T(the_clock_may_jump),
        T(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
