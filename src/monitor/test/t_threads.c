// SPDX-License-Identifier: Apache-2.0
// The running set under its scheduler: changes, deletions, views and evaluations at the same time,
// on the system's clock. Meant for the thread sanitizer too; nothing here depends on how fast it
// runs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../meta/test/test_dir.h"
#include "monitor/set.h"

#define MONITORS 12
#define ROUNDS 25

struct fixture {
    void *dir;
    struct yg_meta *meta;
    struct yg_pool *pool;
    struct yg_monitors *ms;
    int64_t ids[MONITORS];
    _Atomic uint32_t runs;
};

static yg_rc fake_run(void *ctx, const struct yg_monitor_def *def, int64_t at_ns,
                      struct yg_arena *arena, struct yg_eval_result *r, struct yg_err *err) {
    struct fixture *f = ctx;
    (void)def;
    (void)err;
    uint32_t n = atomic_fetch_add(&f->runs, 1);
    *r = (struct yg_eval_result){.from_ns = at_ns - YG_MIN_NS, .to_ns = at_ns};
    r->values = YG_NEW(arena, struct yg_eval_value);
    r->count = 1;
    r->values[0] =
        (struct yg_eval_value){.group = YG_STR("*"), .has_value = true, .value = n % 3 ? 1 : 20};
    usleep(1000);
    return YG_OK;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct yg_err err = {0};
    struct yg_pool_options po = {.worker_count = 3};
    if (test_dir_make(&f->dir))
        return -1;
    struct yg_meta_options mo = {.dir = f->dir, .clock = &yg_clock_system};
    assert_int_equal(yg_meta_open(&mo, &f->meta, NULL, &err), YG_OK);
    f->pool = yg_pool_create(&po);
    struct yg_monitors_options o = {.meta = f->meta,
                                    .pool = f->pool,
                                    .clock = &yg_clock_system,
                                    .public_url = "http://y",
                                    .eval_interval_ms = 10};
    assert_int_equal(yg_monitors_create(&o, &f->ms, &err), YG_OK);
    f->ms->run = fake_run;
    f->ms->run_ctx = f;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    yg_monitors_destroy(f->ms);
    yg_pool_destroy(f->pool);
    yg_meta_close(f->meta);
    void *dir = f->dir;
    free(f);
    return test_dir_remove(&dir);
}

static int64_t put(struct fixture *f, int64_t id, const char *query) {
    struct yg_err err = {0};
    struct yg_monitor_record rec = {.id = id,
                                    .type = YG_STR("query alert"),
                                    .name = YG_STR("m"),
                                    .query = yg_str_c(query),
                                    .message = YG_STR("@webhook-none")};
    assert_int_equal(yg_meta_monitor_put(f->meta, &rec, false, &id, &err), YG_OK);
    assert_int_equal(yg_monitors_reload(f->ms, id, &err), YG_OK);
    return id;
}

// A pool job, as a handler of the API is one: several of them wait for busy monitors at once.
struct change {
    struct fixture *f;
    int64_t id;
    struct yg_event done;
};

static void change_job(void *arg) {
    struct change *c = arg;
    put(c->f, c->id, "avg(last_5m):avg:y{*} > 10");
    yg_event_set(&c->done);
}

static void handlers_that_wait_do_not_starve_evaluations(void **state) {
    struct fixture *f = *state;
    struct yg_err err = {0};
    for (int i = 0; i < MONITORS; i++)
        f->ids[i] = put(f, 0, "avg(last_5m):avg:x{*} > 10");
    yg_monitors_start(f->ms);
    for (int round = 0; round < ROUNDS; round++) {
        struct change changes[MONITORS];
        for (int i = 0; i < MONITORS; i++) {
            changes[i] = (struct change){.f = f, .id = f->ids[i]};
            yg_event_init(&changes[i].done);
            assert_int_equal(
                yg_pool_submit(f->pool, YG_LANE_INTERACTIVE, change_job, &changes[i], &err), YG_OK);
        }
        for (int i = 0; i < MONITORS; i++) {
            assert_true(yg_event_wait_ms(&changes[i].done, 60000)); // a deadlock would hang here
            yg_event_fini(&changes[i].done);
        }
    }
    uint32_t before = atomic_load(&f->runs);
    for (int i = 0; i < 1000 && atomic_load(&f->runs) < before + MONITORS; i++)
        usleep(10000);
    assert_true(atomic_load(&f->runs) >= before + MONITORS);
}

static void reader(void *arg) {
    struct fixture *f = arg;
    for (int i = 0; i < 200; i++) {
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 8 << 20);
        struct yg_err err = {0};
        struct yg_monitor_view v;
        struct yg_monitor_alert *alerts;
        uint32_t count, counts[YG_STATE_COUNT];
        (void)!yg_monitors_view(f->ms, f->ids[i % MONITORS], 0, INT64_MAX, arena, &v, &err);
        assert_int_equal(yg_monitors_alerts(f->ms, 50, arena, &alerts, &count, &err), YG_OK);
        yg_monitors_counts(f->ms, counts);
    }
}

static void evaluator(void *arg) {
    struct fixture *f = arg;
    for (int i = 0; i < 100; i++) {
        struct yg_err err = {0};
        yg_rc rc = yg_monitors_evaluate(f->ms, f->ids[i % MONITORS], &err);
        assert_true(rc == YG_OK || rc == YG_ENOTFOUND);
        assert_int_equal(yg_monitors_flush(f->ms, &err), YG_OK);
    }
}

static void deletions_views_and_evaluations_at_once(void **state) {
    struct fixture *f = *state;
    struct yg_err err = {0};
    struct yg_thread threads[3];
    for (int i = 0; i < MONITORS; i++)
        f->ids[i] = put(f, 0, "avg(last_5m):avg:x{*} > 10");
    yg_monitors_start(f->ms);
    yg_thread_start(&threads[0], "t-read", reader, f);
    yg_thread_start(&threads[1], "t-eval", evaluator, f);
    yg_thread_start(&threads[2], "t-eval2", evaluator, f);
    for (int i = 0; i < MONITORS - 1; i++) {
        usleep(5000);
        assert_int_equal(yg_meta_monitor_delete(f->meta, f->ids[i], &err), YG_OK);
        assert_int_equal(yg_monitors_reload(f->ms, f->ids[i], &err), YG_OK);
        assert_int_equal(yg_monitors_evaluate(f->ms, f->ids[i], &err), YG_ENOTFOUND);
    }
    for (int i = 0; i < 3; i++)
        yg_thread_join(&threads[i]);
    uint32_t counts[YG_STATE_COUNT], total = 0;
    yg_monitors_counts(f->ms, counts);
    for (int i = 0; i < YG_STATE_COUNT; i++)
        total += counts[i];
    assert_int_equal(total, 1);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(handlers_that_wait_do_not_starve_evaluations),
                                       T(deletions_views_and_evaluations_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
