// SPDX-License-Identifier: Apache-2.0
// Damaged bodies: every truncation and thousands of flipped bytes of the golden requests. Nothing
// may crash or leak, a truncated body never gives more rows than the whole one, errors say where.
#include "intake/test/golden.h"

#define CUTS_MAX 3000u
#define FLIPS 300u

typedef yg_rc (*rows_fn)(const struct yg_intake_in *, struct yg_batch *, struct yg_intake_tally *,
                         struct yg_err *);
typedef yg_rc (*points_fn)(const struct yg_intake_in *, struct yg_points *,
                           struct yg_intake_tally *, struct yg_err *);

static rows_fn rows;
static points_fn points;

// Decodes a copy of exactly len bytes, so that reading one byte too far is seen by the sanitizer.
static yg_rc run(const struct golden *g, yg_str body, uint32_t *ret_rows, struct yg_err *err) {
    struct yg_intake_in in = g->in;
    char *copy = malloc(body.len ? body.len : 1);
    struct yg_intake_tally t = {0};
    yg_rc rc;
    assert_non_null(copy);
    if (body.len)
        memcpy(copy, body.ptr, body.len);
    in.body = (yg_str){copy, body.len};
    if (rows) {
        struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 64u << 20);
        rc = rows(&in, b, &t, err);
        *ret_rows = b->row_count;
        yg_batch_destroy(b);
    } else {
        struct yg_points *p = yg_points_create(64u << 20);
        rc = points(&in, p, &t, err);
        *ret_rows = p->count;
        yg_points_destroy(p);
    }
    free(copy);
    return rc;
}

static void check_outcome(const struct golden *g, size_t cut, yg_rc rc, const struct yg_err *err) {
    if (rc != YG_OK && rc != YG_EINPUT && rc != YG_ELIMIT)
        fail_msg("%s cut at %zu: %s", g->dir, cut, yg_rc_name(rc));
    if (rc == YG_EINPUT && strstr(err->text, "byte ") == NULL && strchr(err->text, '"') == NULL)
        fail_msg("%s cut at %zu: no place in: %s", g->dir, cut, err->text);
}

static void truncations(struct golden *g) {
    uint32_t whole;
    struct yg_err err = {0};
    assert_int_equal(run(g, g->in.body, &whole, &err), YG_OK);
    size_t step = g->in.body.len / CUTS_MAX + 1;
    for (size_t cut = 0; cut < g->in.body.len; cut += step) {
        uint32_t got;
        yg_rc rc = run(g, yg_str_sub(g->in.body, 0, cut), &got, &err);
        check_outcome(g, cut, rc, &err);
        assert_true(got <= whole);
        bool binary = g->in.form == YG_FORM_MSGPACK || g->in.form == YG_FORM_JSON;
        if (binary && rc == YG_OK)
            fail_msg("%s cut at %zu of %zu is taken for whole", g->dir, cut, g->in.body.len);
    }
}

static void flips(struct golden *g) {
    uint64_t seed = g->in.body.len * 2654435761u + 1;
    char *copy = malloc(g->in.body.len);
    assert_non_null(copy);
    for (uint32_t i = 0; i < FLIPS; i++) {
        memcpy(copy, g->in.body.ptr, g->in.body.len);
        for (uint32_t k = 0; k <= i % 4; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            copy[(seed >> 33) % g->in.body.len] = (char)(seed >> 16);
        }
        uint32_t got;
        struct yg_err err = {0};
        yg_rc rc = run(g, (yg_str){copy, g->in.body.len}, &got, &err);
        if (rc != YG_OK && rc != YG_EINPUT && rc != YG_ELIMIT)
            fail_msg("%s flip %u: %s", g->dir, i, yg_rc_name(rc));
    }
    free(copy);
}

static void damage(struct golden *g) {
    truncations(g);
    flips(g);
}

static void rows_of(const char *protocol, rows_fn fn) {
    rows = fn;
    points = NULL;
    golden_each(protocol, damage);
}

static void points_of(const char *protocol, points_fn fn) {
    rows = NULL;
    points = fn;
    golden_each(protocol, damage);
}

static void traces(void **state) {
    (void)state;
    rows_of("trace_v03", yg_intake_traces_v04);
    rows_of("trace_v04", yg_intake_traces_v04);
    rows_of("trace_v05", yg_intake_traces_v05);
    rows_of("trace_v07", yg_intake_traces_v07);
}

static void logs(void **state) {
    (void)state;
    rows_of("logs_v2", yg_intake_logs);
    rows_of("check_run", yg_intake_checks);
}

static void metrics(void **state) {
    (void)state;
    points_of("series_v1", yg_intake_series_v1);
    points_of("series_v2", yg_intake_series_v2);
    points_of("distribution_points", yg_intake_distribution_points);
    points_of("stats_v06", yg_intake_stats_v06);
}

// ------------------------------------------------------------ memory

// The n-th allocation fails: an error comes out, nothing leaks.
static void starve(struct golden *g) {
    bool failed = true;
    for (int64_t n = 1; failed && n < 200; n++) {
        struct yg_intake_tally t = {0};
        yg_mem_test_fail_at(n);
        struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 64u << 20);
        yg_rc rc = b ? rows(&g->in, b, &t, NULL) : YG_ENOMEM;
        yg_mem_test_fail_at(0);
        yg_batch_destroy(b);
        failed = rc != YG_OK;
        if (failed && rc != YG_ENOMEM && rc != YG_ELIMIT)
            fail_msg("%s without memory: %s", g->dir, yg_rc_name(rc));
    }
    assert_false(failed);
}

static void without_memory(void **state) {
    (void)state;
    rows = yg_intake_traces_v04;
    golden_each("trace_v04", starve);
    rows = yg_intake_traces_v05;
    golden_each("trace_v05", starve);
    rows = yg_intake_logs;
    golden_each("logs_v2", starve);
}

// ------------------------------------------------------------ times

// start + duration never leaves 64 bits: every reader may add them.
static void no_span_ends_after_time_does(void **state) {
    (void)state;
    struct yg_intake_in in = {
        .form = YG_FORM_JSON,
        .body =
            YG_STR("[[{\"name\":\"a\",\"trace_id\":1,\"span_id\":1,\"start\":1795546132744896928,"
                   "\"duration\":9223372036854775807},"
                   "{\"name\":\"b\",\"trace_id\":1,\"span_id\":2,\"start\":1795546132744896928,"
                   "\"duration\":-5},"
                   "{\"name\":\"c\",\"trace_id\":1,\"span_id\":3,\"start\":1795546132744896928,"
                   "\"duration\":1000}]]")};
    struct yg_intake_tally t = {0};
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 1u << 20);
    struct yg_err err = {0};
    assert_int_equal(yg_intake_traces_v04(&in, b, &t, &err), YG_OK);
    uint32_t idx;
    assert_int_equal(yg_batch_col(b, YG_STR(YG_COL_DURATION), YG_T_I64, &idx, &err), YG_OK);
    assert_int_equal(b->cols[idx].count, 3);
    assert_int_equal(b->cols[idx].i64[0], 0);
    assert_int_equal(b->cols[idx].i64[1], 0);
    assert_int_equal(b->cols[idx].i64[2], 1000);
    yg_batch_destroy(b);
}

// ------------------------------------------------------------ DogStatsD

static uint32_t samples;

static void count_sample(void *ctx, const struct yg_statsd_sample *s) {
    (void)ctx;
    assert_true(s->name.len > 0);
    samples++;
}

static void any_event(void *ctx, const struct yg_intake_event *e) {
    (void)ctx;
    assert_true(e->title.len > 0);
}

static void any_check(void *ctx, const struct yg_intake_check *c) {
    (void)ctx;
    assert_true(c->status >= 0 && c->status <= 3);
}

static const struct yg_dogstatsd_sink counting = {
    .sample = count_sample, .event = any_event, .check = any_check};

static void statsd_bytes(const char *bytes, size_t len, struct yg_intake_tally *t) {
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len)
        memcpy(copy, bytes, len);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, 1u << 20);
    yg_dogstatsd_parse((yg_str){copy, len}, &counting, arena, t);
    free(copy);
}

static void statsd_damage(struct golden *g) {
    struct yg_intake_tally t;
    for (size_t cut = 0; cut < g->in.body.len; cut++) {
        t = (struct yg_intake_tally){0};
        statsd_bytes(g->in.body.ptr, cut, &t);
    }
    uint64_t seed = 7;
    char *copy = malloc(g->in.body.len);
    assert_non_null(copy);
    for (uint32_t i = 0; i < 2000; i++) {
        memcpy(copy, g->in.body.ptr, g->in.body.len);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        copy[(seed >> 33) % g->in.body.len] = ":|#@\n,{}_e0T"[(seed >> 16) % 12];
        t = (struct yg_intake_tally){0};
        statsd_bytes(copy, g->in.body.len, &t);
    }
    free(copy);
}

static void statsd_lines(void **state) {
    (void)state;
    golden_each("dogstatsd", statsd_damage);
    const char *bad[] = {
        "nothing",
        ":1|c",
        "x|c",
        "x:1",
        "x:1|q",
        "x:NaN|g",
        "x:one|c",
        "x:1|c|@0",
        "x:1|c|@2",
        "x:1|c|@",
        "_e{5}:x",
        "_e{5,5}:ab|c",
        "_sc|x",
        "_sc|x|9",
        "_sc||1",
        "x:1|c|T0",
        "x:|c",
        "x::|c",
        "x:|s",
        "_e{99999999999,1}:",
        "_e{0,1}:|a",
        "_e{1,1}:a|bx",
        "x:1|c|Tx",
        "_e{18446744073709551615,2}:a|b",
        "_e{1,18446744073709551615}:a|b",
        "_e{",
        "_sc|",
        "x:1:inf|h",
        "x:0x10|c",
        "_e{1,1}:a|b|d:x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct yg_intake_tally t = {0};
        samples = 0;
        statsd_bytes(bad[i], strlen(bad[i]), &t);
        if (samples != 0 || t.taken != 0 || t.skipped != 1)
            fail_msg("\"%s\" was taken", bad[i]);
        char beside[200]; // and it does not hurt its neighbours
        t = (struct yg_intake_tally){0};
        int n = snprintf(beside, sizeof(beside), "a:1|c\n%s\n\nb:2|g\n", bad[i]);
        samples = 0;
        statsd_bytes(beside, (size_t)n, &t);
        if (samples != 2)
            fail_msg("\"%s\" hurts its neighbours", bad[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces),       cmocka_unit_test(logs),
        cmocka_unit_test(metrics),      cmocka_unit_test(without_memory),
        cmocka_unit_test(statsd_lines), cmocka_unit_test(no_span_ends_after_time_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
