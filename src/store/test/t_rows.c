// SPDX-License-Identifier: Apache-2.0
// Rows through the whole store: what was acknowledged is read back, exactly once, whatever its
// types, from memory and from files, over restarts.
#include "store/test/rows_common.h"

#include "base/panic.h"

static void rows_are_visible_when_acknowledged(void **state) {
    (void)state;
    struct fixture f = {0};
    struct model m = MODEL();
    struct rng r = {1};
    fixture_start(&f);
    for (int i = 0; i < 30; i++) {
        store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 1 + rng_below(&r, 40), 0, 1));
        model_check(&m, f.store, YG_TRACK_LOGS);
    }
    struct yg_store_status st;
    yg_store_status(f.store, &st);
    assert_int_equal(st.rows[YG_TRACK_LOGS], m.rows.len);
    assert_true(st.segments_memory > 0 && st.segments_memory < 12); // small ones were joined
    model_fini(&m);
    fixture_end(&f);
}

static void every_track_over_flush_and_restart(void **state) {
    (void)state;
    struct fixture f = {0};
    struct model m[YG_TRACK_COUNT];
    struct rng r = {2};
    fixture_start(&f);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        m[t] = MODEL();
    for (int round = 0; round < 3; round++) {
        for (int t = 0; t < YG_TRACK_COUNT; t++) {
            if (t == YG_TRACK_TRACES)
                continue; // the store's own
            for (int i = 0; i < 4; i++)
                store_rows(f.store, &m[t],
                           random_batch(&r, (enum yg_track)t, 1 + rng_below(&r, 700), 0, 3));
            model_check(&m[t], f.store, (enum yg_track)t);
        }
        OK(yg_store_flush(f.store, err));
        for (int t = 0; t < YG_TRACK_COUNT; t++)
            if (t != YG_TRACK_TRACES)
                model_check(&m[t], f.store, (enum yg_track)t);
        fixture_reopen(&f);
        for (int t = 0; t < YG_TRACK_COUNT; t++)
            if (t != YG_TRACK_TRACES)
                model_check(&m[t], f.store, (enum yg_track)t);
    }
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        model_fini(&m[t]);
    fixture_end(&f);
}

static void wide_rows_and_long_strings(void **state) {
    (void)state;
    struct fixture f = {0};
    struct model m = MODEL();
    struct rng r = {3};
    fixture_start(&f);
    for (int i = 0; i < 5; i++)
        store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 100, 30, 1));
    struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 6, 0, 1);
    uint32_t row;
    size_t len = 1u << 20;
    for (int i = 0; i < 4; i++) {
        OK(yg_batch_row(b, &row, err));
        char *p = yg_arena_alloc(b->arena, len);
        assert_non_null(p);
        for (size_t k = 0; k < len; k++)
            p[k] = (char)rng_next(&r);
        OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + i, err));
        OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
        OK(yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), yg_str_n(p, len), err));
    }
    store_rows(f.store, &m, b);
    model_check(&m, f.store, YG_TRACK_LOGS);
    fixture_reopen(&f);
    model_check(&m, f.store, YG_TRACK_LOGS);
    model_fini(&m);
    fixture_end(&f);
}

static void rows_without_a_time_get_the_moment_of_receipt(void **state) {
    (void)state;
    struct fixture f = {0};
    fixture_start(&f);
    struct yg_batch *b = yg_batch_create(YG_TRACK_EVENTS, 1 << 20);
    uint32_t row;
    OK(yg_batch_row(b, &row, err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), YG_STR("no time"), err));
    b->received_ns = DAY0 + 5;
    assert_int_equal(append_wait(f.store, b), YG_OK);
    struct yg_snapshot *snap;
    struct yg_time_range range = {DAY0 + 5, DAY0 + 6};
    OK(yg_snapshot_open(f.store, YG_TRACK_EVENTS, range, true, &snap, err));
    assert_int_equal(yg_snapshot_segments(snap), 1);
    yg_snapshot_close(snap);
    range = (struct yg_time_range){DAY0 + 6, DAY0 + 7};
    OK(yg_snapshot_open(f.store, YG_TRACK_EVENTS, range, true, &snap, err));
    assert_int_equal(yg_snapshot_segments(snap), 0);
    yg_snapshot_close(snap);
    fixture_end(&f);
}

static void every_track_keeps_its_rows_apart(void **state) {
    (void)state;
    struct fixture f = {0};
    struct model m[YG_TRACK_COUNT];
    struct rng r = {21};
    fixture_start(&f);
    for (int t = 0; t < YG_TRACK_COUNT; t++) {
        m[t] = MODEL();
        if (t != YG_TRACK_TRACES) // made by the store itself
            store_rows(f.store, &m[t], random_batch(&r, (enum yg_track)t, 300, 0, 2));
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < YG_TRACK_COUNT; t++)
            if (t != YG_TRACK_TRACES)
                model_check(&m[t], f.store, (enum yg_track)t);
        fixture_reopen(&f);
    }
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        model_fini(&m[t]);
    fixture_end(&f);
}

static void files_are_sorted_and_cut_by_day(void **state) {
    (void)state;
    struct fixture f = {0};
    struct model m = MODEL();
    struct rng r = {4};
    fixture_start(&f);
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 9000, 0, 4));
    OK(yg_store_flush(f.store, err));
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, all, true, &snap, err));
    assert_int_equal(yg_snapshot_segments(snap), 4);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    int64_t newest = INT64_MAX;
    for (uint32_t s = 0; s < 4; s++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, s, &info);
        assert_false(info.in_memory);
        assert_true(info.max_time_ns <= newest);
        newest = info.max_time_ns;
        assert_int_equal(yg_day_of_ns(info.min_time_ns), yg_day_of_ns(info.max_time_ns));
        struct yg_block *b;
        OK(yg_snapshot_block(snap, s, 0, arena, &b, err));
        const struct yg_vec *service[YG_TYPE_COUNT], *time[YG_TYPE_COUNT];
        uint32_t n;
        OK(b->ops->columns(b, YG_STR(YG_COL_SERVICE), service, &n, err));
        assert_int_equal(n, 1);
        OK(b->ops->columns(b, YG_STR(YG_COL_TIME), time, &n, err));
        for (uint32_t k = 1; k < b->row_count; k++) {
            yg_str a = yg_vec_has(service[0], k - 1) ? yg_vec_str(service[0], k - 1) : YG_STR("");
            yg_str z = yg_vec_has(service[0], k) ? yg_vec_str(service[0], k) : YG_STR("");
            int cmp = yg_str_cmp(a, z);
            assert_true(cmp < 0 || (cmp == 0 && time[0]->i64[k - 1] <= time[0]->i64[k]));
        }
        struct yg_vec_stats stats;
        b->ops->stats(b, YG_STR("@small"), YG_T_I64, &stats);
        assert_true(stats.known && stats.has_range && stats.min_i64 >= -500 && stats.max_i64 < 500);
        b->ops->stats(b, YG_STR("@nowhere"), YG_T_I64, &stats);
        assert_true(stats.known && stats.count == 0);
        assert_true(yg_snapshot_may_hold_trace(snap, s, (yg_id128){0, 7}));
        assert_false(yg_snapshot_may_hold_trace(snap, s, (yg_id128){0, 123456789}));
    }
    yg_snapshot_close(snap);
    model_check(&m, f.store, YG_TRACK_LOGS);
    model_fini(&m);
    fixture_end(&f);
}

// ------------------------------------------------------------ at once

struct writer {
    struct yg_thread thread;
    struct fixture *f;
    uint32_t nth;
    uint32_t batches;
    _Atomic uint32_t *running;
};

// cmocka's assertions belong to the main thread: others abort.
#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            yg_panic(__FILE__, __LINE__, "%s", #cond);                                             \
    } while (0)

static void write_rows(void *arg) {
    struct writer *w = arg;
    for (uint32_t i = 0; i < w->batches; i++) {
        struct yg_batch *b =
            yg_batch_create(i % 2 ? YG_TRACK_SPANS : YG_TRACK_LOGS, (size_t)16 << 20);
        int64_t uid = 0;
        for (uint32_t k = 0; k < 20; k++) {
            uint32_t row;
            uid = (int64_t)w->nth << 32 | (int64_t)(i * 100 + k);
            yg_id128 id = {1, 1 + (uint64_t)uid % 37};
            MUST(yg_batch_row(b, &row, NULL) == YG_OK);
            MUST(yg_batch_set_i64(b, YG_STR("@uid"), uid, NULL) == YG_OK);
            MUST(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + uid % 1000, NULL) == YG_OK);
            MUST(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), id, NULL) == YG_OK);
        }
        enum yg_track track = b->track;
        MUST(append_wait(w->f->store, b) == YG_OK);
        MUST(holds(w->f->store, track, uid)); // acknowledged: a new snapshot has it
    }
    atomic_fetch_sub(w->running, 1);
}

static uint64_t live_rows(struct yg_store *store, enum yg_track track, uint64_t *ret_spans) {
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    uint64_t rows = 0;
    *ret_spans = 0;
    OK(yg_snapshot_open(store, track, all, true, &snap, err));
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    for (uint32_t s = 0; s < yg_snapshot_segments(snap); s++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, s, &info);
        for (uint32_t g = 0; g < info.granule_count; g++) {
            struct yg_block *b;
            const struct yg_vec *v[YG_TYPE_COUNT];
            uint32_t n;
            yg_arena_reset(arena);
            OK(yg_snapshot_block(snap, s, g, arena, &b, err));
            OK(b->ops->columns(b, YG_STR("@span_count"), v, &n, err));
            for (uint32_t r = 0; r < b->row_count; r++)
                if (b->live == NULL || yg_bits_get(b->live, r)) {
                    rows++;
                    *ret_spans += n ? (uint64_t)v[0]->i64[r] : 0;
                }
        }
    }
    yg_snapshot_close(snap);
    return rows;
}

static void writers_readers_and_flushes_at_once(void **state) {
    (void)state;
    struct fixture f = {.o = {.seal_interval_ms = 5, .flush_interval_ms = 30, .trace_idle_ms = 20}};
    struct writer w[3];
    _Atomic uint32_t running = 3;
    fixture_start(&f);
    for (uint32_t i = 0; i < 3; i++) {
        w[i] = (struct writer){.f = &f, .nth = i + 1, .batches = 40, .running = &running};
        yg_thread_start(&w[i].thread, "writer", write_rows, &w[i]);
    }
    uint64_t last = 0, spans;
    while (atomic_load(&running)) {
        uint64_t rows = live_rows(f.store, YG_TRACK_LOGS, &spans);
        assert_true(rows >= last && rows <= 3 * 20 * 20);
        last = rows;
        uint64_t traces = live_rows(f.store, YG_TRACK_TRACES, &spans);
        assert_true(traces <= 37 && spans <= 3 * 20 * 20);
    }
    for (uint32_t i = 0; i < 3; i++)
        yg_thread_join(&w[i].thread);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(live_rows(f.store, YG_TRACK_LOGS, &spans), 3 * 20 * 20);
        assert_int_equal(live_rows(f.store, YG_TRACK_SPANS, &spans), 3 * 20 * 20);
        assert_int_equal(live_rows(f.store, YG_TRACK_TRACES, &spans), 37);
        assert_int_equal(spans, 3 * 20 * 20);
        fixture_reopen(&f);
    }
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_visible_when_acknowledged),
        cmocka_unit_test(every_track_over_flush_and_restart),
        cmocka_unit_test(wide_rows_and_long_strings),
        cmocka_unit_test(rows_without_a_time_get_the_moment_of_receipt),
        cmocka_unit_test(every_track_keeps_its_rows_apart),
        cmocka_unit_test(files_are_sorted_and_cut_by_day),
        cmocka_unit_test(writers_readers_and_flushes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
