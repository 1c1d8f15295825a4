// SPDX-License-Identifier: Apache-2.0
// Bytes of real clients → points, samples and statistics against expect.jsonl.
#include <math.h>

#include "intake/test/golden.h"

static yg_rc (*decode_points)(const struct yg_intake_in *, struct yg_points *,
                              struct yg_intake_tally *, struct yg_err *);

static enum yg_metric_type type_of(yg_str name) {
    if (yg_str_eq_c(name, "count"))
        return YG_METRIC_COUNT;
    if (yg_str_eq_c(name, "rate"))
        return YG_METRIC_RATE;
    if (yg_str_eq_c(name, "distribution"))
        return YG_METRIC_DISTRIBUTION;
    assert_true(yg_str_eq_c(name, "gauge"));
    return YG_METRIC_GAUGE;
}

// The tags that a series must have: expected ones normalised, the host among them.
static void check_series_tags(struct golden *g, uint32_t row, yg_str joined,
                              const struct yg_json_node *e) {
    yg_str tags[300];
    uint32_t n = 0;
    for (const struct yg_json_node *t = yg_json_get(e, "tags")->child; t != NULL; t = t->next)
        tags[n++] = yg_tag_normalize(t->str, g->arena);
    yg_str host = yg_json_str_or(yg_json_get(e, "host"), YG_STR(""));
    if (host.len)
        tags[n++] =
            yg_tag_normalize(yg_arena_printf(g->arena, "host:%.*s", YG_STR_FMT(host)), g->arena);
    qsort(tags, n, sizeof(*tags), compare_strs);
    yg_str rest = joined;
    yg_str got;
    for (uint32_t i = 0; i < n; i++) {
        assert_true(yg_str_split(&rest, ',', &got));
        check_str(g, row, "tag", got, tags[i]);
    }
    assert_true(rest.ptr == NULL || (n == 0 && rest.len == 0));
}

static void check_value(const struct golden *g, const struct yg_points *p, uint32_t row,
                        const struct yg_json_node *values) {
    const struct yg_point *point = &p->points[row];
    double sum = 0;
    for (const struct yg_json_node *v = values->child; v != NULL; v = v->next)
        sum += v->f64;
    if (p->series[point->series].type != YG_METRIC_DISTRIBUTION) {
        assert_int_equal(values->count, 1);
        assert_true(point->sketch < 0 && point->value == sum);
        return;
    }
    assert_true(point->sketch >= 0);
    const struct yg_sketch *s = &p->sketches[point->sketch];
    if (s->count != values->count || fabs(s->sum - sum) > 1e-9 * fabs(sum))
        fail_msg("%s row %u: sketch of %g values, sum %g", g->dir, row, s->count, s->sum);
}

static void points_case(struct golden *g) {
    struct yg_points *p = yg_points_create(64u << 20);
    struct yg_intake_tally t = {0};
    struct yg_err err = {0};
    if (decode_points(&g->in, p, &t, &err) != YG_OK)
        fail_msg("%s: %s", g->dir, err.text);
    assert_int_equal(t.skipped + t.dropped_values, 0);
    assert_int_equal(p->count, g->expect_count);
    for (uint32_t row = 0; row < p->count; row++) {
        const struct yg_json_node *e = g->expect[row];
        const struct yg_point_series *s = &p->series[p->points[row].series];
        check_str(g, row, "name", s->name, yg_json_get(e, "name")->str);
        assert_int_equal(s->type, type_of(yg_json_get(e, "type")->str));
        assert_int_equal(s->interval_s, yg_json_i64_or(yg_json_get(e, "interval"), -1));
        assert_int_equal(p->points[row].ts_s, yg_json_i64_or(yg_json_get(e, "ts"), -1));
        check_series_tags(g, row, s->tags, e);
        check_value(g, p, row, yg_json_get(e, "values"));
    }
    yg_points_destroy(p);
}

static void series_v1(void **state) {
    (void)state;
    decode_points = yg_intake_series_v1;
    golden_each("series_v1", points_case);
}

static void series_v2(void **state) {
    (void)state;
    decode_points = yg_intake_series_v2;
    golden_each("series_v2", points_case);
}

static void distributions(void **state) {
    (void)state;
    decode_points = yg_intake_distribution_points;
    golden_each("distribution_points", points_case);
}

// ------------------------------------------------------------ client statistics

// Sum over all series of that name and tag; sketches by their counts.
static double total(const struct yg_points *p, const char *name, yg_str tag) {
    double sum = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct yg_point_series *s = &p->series[p->points[i].series];
        yg_str rest = s->tags;
        yg_str t;
        bool tagged = false;
        while (yg_str_split(&rest, ',', &t))
            tagged |= yg_str_eq(t, tag);
        if (!tagged || !yg_str_eq_c(s->name, name))
            continue;
        int32_t sketch = p->points[i].sketch;
        sum += sketch >= 0 ? p->sketches[sketch].count : p->points[i].value;
    }
    return sum;
}

static double expected(const struct golden *g, yg_str name, yg_str resource, const char *what) {
    double sum = 0;
    for (uint32_t i = 0; i < g->expect_count; i++)
        if (yg_str_eq(yg_json_get(g->expect[i], "name")->str, name) &&
            yg_str_eq(yg_json_get(g->expect[i], "resource")->str, resource))
            sum += yg_json_f64_or(yg_json_get(g->expect[i], what), 0);
    return sum;
}

static void stats_case(struct golden *g) {
    struct yg_points *p = yg_points_create(64u << 20);
    struct yg_intake_tally t = {0};
    assert_int_equal(yg_intake_stats_v06(&g->in, p, &t, NULL), YG_OK);
    assert_int_equal(t.taken, g->expect_count);
    for (uint32_t i = 0; i < g->expect_count; i++) {
        yg_str name = yg_json_get(g->expect[i], "name")->str;
        yg_str resource = yg_json_get(g->expect[i], "resource")->str;
        yg_str tag = yg_tag_normalize(
            yg_arena_printf(g->arena, "resource_name:%.*s", YG_STR_FMT(resource)), g->arena);
        char metric[300];
        (void)snprintf(metric, sizeof(metric), "trace.%.*s.hits", YG_STR_FMT(name));
        assert_true(total(p, metric, tag) == expected(g, name, resource, "hits"));
        (void)snprintf(metric, sizeof(metric), "trace.%.*s.errors", YG_STR_FMT(name));
        assert_true(total(p, metric, tag) == expected(g, name, resource, "errors"));
        (void)snprintf(metric, sizeof(metric), "trace.%.*s", YG_STR_FMT(name));
        double values =
            expected(g, name, resource, "ok_count") + expected(g, name, resource, "error_count");
        assert_true(total(p, metric, tag) == values);
        (void)snprintf(metric, sizeof(metric), "trace.%.*s.duration", YG_STR_FMT(name));
        double seconds = expected(g, name, resource, "duration_ns") * 1e-9;
        assert_true(fabs(total(p, metric, tag) - seconds) <= seconds * 1e-9);
    }
    yg_points_destroy(p);
}

static void stats(void **state) {
    (void)state;
    golden_each("stats_v06", stats_case);
}

// ------------------------------------------------------------ DogStatsD

struct expectation {
    struct golden *g;
    uint32_t at;
};

// What the client sends about itself does not come out of the parser.
static const struct yg_json_node *next_expected(struct expectation *x, const char *kind) {
    while (x->at < x->g->expect_count) {
        const struct yg_json_node *e = x->g->expect[x->at++];
        yg_str name = yg_json_str_or(yg_json_get(e, "name"), YG_STR(""));
        if (yg_str_starts(name, YG_STR("datadog.dogstatsd.client.")))
            continue;
        check_str(x->g, x->at - 1, "kind", yg_str_c(kind), yg_json_get(e, "kind")->str);
        return e;
    }
    fail_msg("%s: more came out than was expected", x->g->dir);
    return NULL;
}

// The intake takes "host:…" out of the tags; the expectation has it among them.
static void check_sample_tags(struct expectation *x, const yg_str *tags, uint32_t count,
                              yg_str host, const struct yg_json_node *want) {
    yg_str all[300];
    uint32_t n = 0;
    assert_true(count < 299);
    for (uint32_t i = 0; i < count; i++)
        all[n++] = tags[i];
    if (host.len)
        all[n++] = yg_arena_printf(x->g->arena, "host:%.*s", YG_STR_FMT(host));
    check_tags(x->g, x->at - 1, all, n, want);
}

static void on_sample(void *ctx, const struct yg_statsd_sample *s) {
    static const char *const names[] = {"count",  "gauge", "histogram",
                                        "timing", "set",   "distribution"};
    struct expectation *x = ctx;
    const struct yg_json_node *e = next_expected(x, "point");
    const struct yg_json_node *values = yg_json_get(e, "values");
    uint32_t row = x->at - 1;
    check_str(x->g, row, "name", s->name, yg_json_get(e, "name")->str);
    check_str(x->g, row, "type", yg_str_c(names[s->type]), yg_json_get(e, "type")->str);
    assert_true(s->sample_rate == yg_json_f64_or(yg_json_get(e, "rate"), -1));
    assert_int_equal(s->ts_s, yg_json_i64_or(yg_json_get(e, "ts"), 0));
    check_sample_tags(x, s->tags, s->tag_count, s->host, yg_json_get(e, "tags"));
    if (s->type == YG_STATSD_SET) {
        check_str(x->g, row, "value", s->set_value, values->child->str);
        return;
    }
    assert_int_equal(s->value_count, values->count);
    const struct yg_json_node *v = values->child;
    for (uint32_t i = 0; i < s->value_count; i++, v = v->next)
        assert_true(s->values[i] == v->f64);
}

static void on_event(void *ctx, const struct yg_intake_event *got) {
    struct expectation *x = ctx;
    const struct yg_json_node *e = next_expected(x, "event");
    uint32_t row = x->at - 1;
    check_str(x->g, row, "title", got->title, yg_json_get(e, "title")->str);
    check_str(x->g, row, "text", got->text, yg_json_get(e, "text")->str);
    check_str(x->g, row, "host", got->host, yg_json_get(e, "host")->str);
    check_str(x->g, row, "alert", got->alert_type, yg_json_get(e, "alert_type")->str);
    check_str(x->g, row, "priority", got->priority, yg_json_get(e, "priority")->str);
    check_str(x->g, row, "key", got->aggregation_key, yg_json_get(e, "aggregation_key")->str);
    check_str(x->g, row, "source", got->source, yg_json_get(e, "source_type_name")->str);
    assert_int_equal(got->ts_s, yg_json_i64_or(yg_json_get(e, "ts"), 0));
    check_tags(x->g, row, got->tags, got->tag_count, yg_json_get(e, "tags"));
}

static void on_check(void *ctx, const struct yg_intake_check *got) {
    struct expectation *x = ctx;
    const struct yg_json_node *e = next_expected(x, "check");
    uint32_t row = x->at - 1;
    check_str(x->g, row, "name", got->name, yg_json_get(e, "name")->str);
    check_str(x->g, row, "message", got->message, yg_json_get(e, "message")->str);
    check_str(x->g, row, "host", got->host, yg_json_get(e, "host")->str);
    assert_int_equal(got->status, yg_json_i64_or(yg_json_get(e, "status"), -1));
    assert_int_equal(got->ts_s, yg_json_i64_or(yg_json_get(e, "ts"), 0));
    check_tags(x->g, row, got->tags, got->tag_count, yg_json_get(e, "tags"));
}

static void statsd_case(struct golden *g) {
    struct expectation x = {.g = g};
    const struct yg_dogstatsd_sink sink = {
        .sample = on_sample, .event = on_event, .check = on_check, .ctx = &x};
    struct yg_intake_tally t = {0};
    yg_dogstatsd_parse(g->in.body, &sink, g->arena, &t);
    if (t.skipped)
        fail_msg("%s: %s", g->dir, t.first_skipped);
    while (x.at < g->expect_count) {
        yg_str name = yg_json_str_or(yg_json_get(g->expect[x.at++], "name"), YG_STR(""));
        assert_true(yg_str_starts(name, YG_STR("datadog.dogstatsd.client.")));
    }
    assert_int_equal(t.taken, g->expect_count);
}

static void dogstatsd(void **state) {
    (void)state;
    golden_each("dogstatsd", statsd_case);
    golden_each("dogstatsd_http", statsd_case);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_v1), cmocka_unit_test(series_v2), cmocka_unit_test(distributions),
        cmocka_unit_test(stats),     cmocka_unit_test(dogstatsd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
