// SPDX-License-Identifier: Apache-2.0
// The traces track: one row per trace, provisional while it is open, a newer version after late
// spans, exact over flushes and restarts.
#include "store/test/rows_common.h"

#define MS YG_NS_PER_MS

struct span {
    uint64_t trace;
    int64_t parent;
    int64_t start_ms, duration_ms;
    const char *service, *operation, *resource, *status;
};

// Traces from this number on have ids that say when they began: at DAY0.
#define DATED UINT64_C(1000000)

static yg_id128 id_of(uint64_t trace) {
    return (yg_id128){trace < DATED ? 7 : (uint64_t)(DAY0 / YG_NS_PER_S) << 32, trace};
}

static void put_span(struct yg_batch *b, const struct span *s) {
    uint32_t row;
    OK(yg_batch_row(b, &row, err));
    OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + s->start_ms * MS, err));
    OK(yg_batch_set_i64(b, YG_STR(YG_COL_DURATION), s->duration_ms * MS, err));
    OK(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), id_of(s->trace), err));
    OK(yg_batch_set_i64(b, YG_STR(YG_COL_SPAN_ID), (int64_t)(1000 + row), err));
    OK(yg_batch_set_i64(b, YG_STR(YG_COL_PARENT_ID), s->parent, err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_SERVICE), keep(b, s->service), err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_OPERATION), keep(b, s->operation), err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_RESOURCE), keep(b, s->resource), err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_STATUS), keep(b, s->status ? s->status : "ok"), err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_ENV), YG_STR("prod"), err));
}

static void send_spans(struct yg_store *store, const struct span *spans, uint32_t n) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 64u << 20);
    for (uint32_t i = 0; i < n; i++)
        put_span(b, &spans[i]);
    assert_int_equal(append_wait(store, b), YG_OK);
}

// ------------------------------------------------------------ what the track says

struct row {
    uint64_t trace;
    int64_t start_ms, duration_ms, spans, errors, gap_ms, root_ms, repeats, version;
    bool has_root, cold;
    char service[32], resource[32], status[16], top[64], services[128];
};
struct rows {
    struct row r[2000];
    uint32_t count;
};

static bool get(struct yg_block *b, const char *name, uint32_t row, struct yg_value *ret_value) {
    const struct yg_vec *v[YG_TYPE_COUNT];
    uint32_t n;
    OK(b->ops->columns(b, yg_str_c(name), v, &n, err));
    return n > 0 && yg_vec_value(v[0], row, ret_value);
}

static int64_t i64(struct yg_block *b, const char *name, uint32_t row) {
    struct yg_value v = {.i64 = -1};
    return get(b, name, row, &v) ? v.i64 : -1;
}

static void text(struct yg_block *b, const char *name, uint32_t row, char *out, size_t cap) {
    struct yg_value v;
    out[0] = 0;
    if (get(b, name, row, &v))
        (void)snprintf(out, cap, "%.*s", YG_STR_FMT(v.str));
}

static void read_row(struct yg_block *b, uint32_t r, struct row *out) {
    struct yg_value id;
    assert_true(get(b, YG_COL_TRACE_ID, r, &id));
    *out = (struct row){
        .trace = id.id.lo,
        .start_ms = (i64(b, YG_COL_TIME, r) - DAY0) / MS,
        .duration_ms = i64(b, YG_COL_DURATION, r) / MS,
        .spans = i64(b, "@span_count", r),
        .errors = i64(b, "@error_count", r),
        .gap_ms = i64(b, "@longest_gap", r) / MS,
        .root_ms = i64(b, "@root_duration", r) / MS,
        .repeats = i64(b, "@top_repeat_count", r),
        .version = i64(b, YG_COL_VERSION, r),
        .cold = i64(b, "@cold_start", r) == 1,
    };
    struct yg_value v;
    out->has_root = get(b, "@root_duration", r, &v);
    text(b, YG_COL_SERVICE, r, out->service, sizeof(out->service));
    text(b, YG_COL_RESOURCE, r, out->resource, sizeof(out->resource));
    text(b, YG_COL_STATUS, r, out->status, sizeof(out->status));
    text(b, "@top_repeat", r, out->top, sizeof(out->top));
    text(b, "@services", r, out->services, sizeof(out->services));
}

static int by_trace(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    return x->trace < y->trace ? -1 : x->trace > y->trace;
}

static struct rows *traces(struct yg_store *store) {
    static struct rows out;
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    out.count = 0;
    OK(yg_snapshot_open(store, YG_TRACK_TRACES, all, true, &snap, err));
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    for (uint32_t s = 0; s < yg_snapshot_segments(snap); s++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, s, &info);
        for (uint32_t g = 0; g < info.granule_count; g++) {
            struct yg_block *b;
            yg_arena_reset(arena);
            OK(yg_snapshot_block(snap, s, g, arena, &b, err));
            for (uint32_t r = 0; r < b->row_count; r++)
                if (b->live == NULL || yg_bits_get(b->live, r)) {
                    assert_true(out.count < 2000);
                    read_row(b, r, &out.r[out.count++]);
                }
        }
    }
    yg_snapshot_close(snap);
    qsort(out.r, out.count, sizeof(out.r[0]), by_trace);
    for (uint32_t i = 1; i < out.count; i++)
        if (out.r[i].trace == out.r[i - 1].trace)
            fail_msg("trace %llu has two rows: versions %lld and %lld",
                     (unsigned long long)out.r[i].trace, (long long)out.r[i - 1].version,
                     (long long)out.r[i].version);
    return &out;
}

static const struct row *trace(struct yg_store *store, uint64_t id) {
    struct rows *all = traces(store);
    for (uint32_t i = 0; i < all->count; i++)
        if (all->r[i].trace == id)
            return &all->r[i];
    fail_msg("trace %llu is not there", (unsigned long long)id);
    return NULL;
}

static const struct span story[] = {
    {1, 0, 0, 1000, "web", "http.request", "GET /", "ok"},
    {1, 5, 10, 100, "db", "query", "SELECT a", "ok"},
    {1, 5, 100, 100, "db", "query", "SELECT a", "error"},
    {1, 5, 700, 100, "db", "query", "SELECT a", "ok"},
    {1, 5, 720, 50, "cache", "get", "k", "ok"},
};

static void check_story(const struct row *r) {
    assert_int_equal(r->start_ms, 0);
    assert_int_equal(r->duration_ms, 1000);
    assert_int_equal(r->spans, 5);
    assert_int_equal(r->errors, 1);
    assert_int_equal(r->root_ms, 1000);
    assert_int_equal(r->gap_ms, 500); // 200 … 700
    assert_int_equal(r->repeats, 3);
    assert_string_equal(r->top, "query SELECT a");
    assert_string_equal(r->service, "web");
    assert_string_equal(r->resource, "GET /");
    assert_string_equal(r->status, "ok");
    assert_string_equal(r->services, "[\"web\",\"db\",\"cache\"]");
    assert_int_equal(r->version, 5);
    assert_false(r->cold);
}

// ------------------------------------------------------------ tests

static void an_open_trace_is_listed_at_once(void **state) {
    (void)state;
    struct fixture f = {.o = {.trace_idle_ms = 3600000}};
    fixture_start(&f);
    send_spans(f.store, story + 1, 2); // children first: the earliest span stands for the root
    const struct row *r = trace(f.store, 1);
    assert_int_equal(r->spans, 2);
    assert_false(r->has_root);
    assert_string_equal(r->service, "db");
    send_spans(f.store, story + 3, 2);
    send_spans(f.store, story, 1);
    r = trace(f.store, 1);
    assert_string_equal(r->services, "[\"db\",\"cache\",\"web\"]");
    assert_true(r->has_root);
    assert_string_equal(r->service, "web");
    assert_int_equal(r->spans, 5);
    fixture_end(&f);
}

static void the_row_is_the_same_open_closed_and_after_restarts(void **state) {
    (void)state;
    struct fixture f = {.o = {.trace_idle_ms = 3600000}};
    fixture_start(&f);
    send_spans(f.store, story, 5);
    check_story(trace(f.store, 1));
    OK(yg_store_flush(f.store, err)); // still open: kept in the checkpoint
    check_story(trace(f.store, 1));
    fixture_reopen(&f);
    check_story(trace(f.store, 1));
    f.o.trace_idle_ms = 1; // closes now
    fixture_reopen(&f);
    (void)usleep(400000);
    struct yg_store_status st;
    yg_store_status(f.store, &st);
    assert_int_equal(st.open_traces, 0);
    check_story(trace(f.store, 1));
    fixture_reopen(&f);
    check_story(trace(f.store, 1));
    fixture_end(&f);
}

static void settle(struct yg_store *store) {
    struct yg_store_status st = {.open_traces = 1};
    for (int i = 0; i < 200 && st.open_traces; i++) {
        (void)usleep(20000);
        yg_store_status(store, &st);
    }
    assert_int_equal(st.open_traces, 0);
}

static void late_spans_make_a_newer_version(void **state) {
    (void)state;
    // Where the earlier row stands when the late spans come: just closed, flushed, after a restart.
    for (int where = 0; where < 3; where++) {
        struct fixture f = {.o = {.trace_idle_ms = 1}};
        fixture_start(&f);
        send_spans(f.store, story, 3);
        settle(f.store);
        assert_int_equal(trace(f.store, 1)->version, 3);
        if (where >= 1)
            OK(yg_store_flush(f.store, err));
        if (where >= 2)
            fixture_reopen(&f);
        send_spans(f.store, story + 3, 2);
        const struct row *r = trace(f.store, 1); // provisional or closed: one row, all spans
        assert_int_equal(r->spans, 5);
        settle(f.store);
        r = trace(f.store, 1);
        assert_int_equal(r->spans, 5);
        assert_int_equal(r->version, 5);
        assert_int_equal(r->errors, 1);
        assert_int_equal(r->repeats, 3);
        assert_string_equal(r->top, "query SELECT a");
        assert_string_equal(r->service, "web");
        assert_string_equal(r->services, "[\"web\",\"db\",\"cache\"]");
        OK(yg_store_flush(f.store, err));
        assert_int_equal(trace(f.store, 1)->version, 5);
        fixture_reopen(&f); // the older row stays hidden
        assert_int_equal(trace(f.store, 1)->version, 5);
        assert_int_equal(traces(f.store)->count, 1);
        // And once more, when two versions are stored.
        static const struct span more = {1, 5, 2000, 10, "queue", "send", "q", "error"};
        send_spans(f.store, &more, 1);
        settle(f.store);
        r = trace(f.store, 1);
        assert_int_equal(r->version, 6);
        assert_int_equal(r->errors, 2);
        assert_int_equal(r->duration_ms, 2010);
        fixture_reopen(&f);
        assert_int_equal(trace(f.store, 1)->version, 6);
        fixture_end(&f);
    }
}

#define HOURS(n) ((n)*INT64_C(3600000))

// Late by the times of the spans: long after the trace began, and a root that begins long before
// what was seen of the trace. `where` as above.
static void spans_hours_apart_make_one_row(void **state) {
    (void)state;
    static const struct span first[] = {
        {1, 0, 1, 50, "web", "request", "GET /a", "ok"},
        {DATED, 0, 2, 50, "web", "request", "GET /b", "ok"},
        {3, 9, HOURS(1), 50, "db", "query", "SELECT a", "ok"},
        {4, 0, 3, 50, "web", "request", "GET /d", "ok"},
    };
    static const struct span late[] = {
        {1, 5, HOURS(9), 10, "queue", "send", "q", "error"},       // has a parent
        {DATED, 0, HOURS(100), 10, "queue", "send", "q", "error"}, // no parent: only the id says
        {3, 0, 0, HOURS(2), "web", "request", "GET /c", "ok"},     // the root, begun an hour before
        {DATED + 1, 7, HOURS(50), 10, "queue", "send", "r", "error"}, // of a trace unseen so far
    };
    for (int where = 0; where < 3; where++) {
        struct fixture f = {.o = {.trace_idle_ms = 1}};
        fixture_start(&f);
        send_spans(f.store, first, 4);
        settle(f.store);
        assert_int_equal(traces(f.store)->count, 4);
        if (where >= 1)
            OK(yg_store_flush(f.store, err));
        if (where >= 2)
            fixture_reopen(&f);
        send_spans(f.store, late, 4);
        settle(f.store);
        for (int pass = 0; pass < 2; pass++) {
            assert_int_equal(traces(f.store)->count, 5);
            assert_int_equal(trace(f.store, 1)->spans, 2);
            assert_int_equal(trace(f.store, 1)->duration_ms, HOURS(9) + 10 - 1);
            assert_int_equal(trace(f.store, DATED)->spans, 2);
            assert_int_equal(trace(f.store, DATED)->version, 2);
            assert_int_equal(trace(f.store, 3)->spans, 2);
            assert_int_equal(trace(f.store, 3)->duration_ms, HOURS(2));
            assert_string_equal(trace(f.store, 3)->service, "web");
            assert_int_equal(trace(f.store, 4)->spans, 1);
            assert_int_equal(trace(f.store, DATED + 1)->spans, 1);
            fixture_reopen(&f);
        }
        fixture_end(&f);
    }
}

static void many_traces_over_shards(void **state) {
    (void)state;
    struct fixture f = {.o = {.trace_idle_ms = 50, .shard_count = 4}};
    struct rng r = {21};
    uint32_t spans[500] = {0};
    fixture_start(&f);
    for (int i = 0; i < 60; i++) {
        struct span s[40];
        uint32_t n = 1 + rng_below(&r, 40);
        for (uint32_t k = 0; k < n; k++) {
            uint64_t id = rng_below(&r, 500);
            s[k] = (struct span){1 + id,
                                 rng_below(&r, 4) ? 1 : 0,
                                 1 + (int64_t)rng_below(&r, 9000),
                                 5,
                                 "s",
                                 "op",
                                 "res",
                                 "ok"};
            spans[id]++;
        }
        send_spans(f.store, s, n);
        if (i % 20 == 7)
            OK(yg_store_flush(f.store, err));
        if (i % 20 == 13)
            fixture_reopen(&f);
        if (i % 10 == 3)
            (void)usleep(200000); // some close meanwhile
    }
    for (int pass = 0; pass < 2; pass++) {
        const struct rows *all = traces(f.store);
        for (uint32_t i = 0, at = 0; i < 500; i++) {
            if (spans[i] == 0)
                continue;
            assert_true(at < all->count && all->r[at].trace == 1 + i);
            assert_int_equal(all->r[at].spans, spans[i]);
            assert_int_equal(all->r[at].version, spans[i]);
            at++;
        }
        settle(f.store);
    }
    fixture_end(&f);
}

// The room of traces is full of the very traces that are to be kept over the restart.
static void open_traces_survive_a_restart_in_a_full_room(void **state) {
    (void)state;
    struct fixture f = {.o = {.trace_idle_ms = 3600000}};
    fixture_start(&f);
    struct span spans[1500];
    for (uint32_t i = 0; i < 1500; i++)
        spans[i] = (struct span){i + 1, 0, i, 5, "shop", "op", "GET /", NULL};
    send_spans(f.store, spans, 1500);
    assert_int_equal(traces(f.store)->count, 1500);
    yg_mem_limit_set(YG_MEM_TRACES, yg_mem_used(YG_MEM_TRACES)); // full
    assert_int_equal(traces(f.store)->count, 1500);
    fixture_reopen(&f);
    yg_mem_limit_set(YG_MEM_TRACES, 0);
    assert_int_equal(traces(f.store)->count, 1500);
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_trace_is_listed_at_once),
        cmocka_unit_test(the_row_is_the_same_open_closed_and_after_restarts),
        cmocka_unit_test(late_spans_make_a_newer_version),
        cmocka_unit_test(spans_hours_apart_make_one_row),
        cmocka_unit_test(many_traces_over_shards),
        cmocka_unit_test(open_traces_survive_a_restart_in_a_full_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
