// SPDX-License-Identifier: Apache-2.0
// The pool: limits of lanes, the background share, order on strands, calls out of workers.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"

static void count_job(void *arg) {
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void runs_everything_before_it_ends(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 3});
    assert_int_equal(yg_pool_workers(pool), 3);
    _Atomic int done = 0;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(yg_pool_submit(pool, i % 2 ? YG_LANE_INTERACTIVE : YG_LANE_BACKGROUND,
                                        count_job, &done, NULL),
                         YG_OK);
    yg_pool_destroy(pool);
    assert_int_equal(done, 1000);
}

struct gate {
    struct yg_event started;
    struct yg_event release;
};

static void wait_at_gate(void *arg) {
    struct gate *g = arg;
    yg_event_set(&g->started);
    yg_event_wait(&g->release);
}

static void gate_init(struct gate *g) {
    yg_event_init(&g->started);
    yg_event_init(&g->release);
}

static void gate_fini(struct gate *g) {
    yg_event_fini(&g->started);
    yg_event_fini(&g->release);
}

static void full_lane_answers_busy(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(
        &(struct yg_pool_options){.worker_count = 1, .lane_capacity = {[YG_LANE_INTERACTIVE] = 4}});
    struct gate g;
    gate_init(&g);
    assert_int_equal(yg_pool_submit(pool, YG_LANE_INTERACTIVE, wait_at_gate, &g, NULL), YG_OK);
    yg_event_wait(&g.started);
    _Atomic int done = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(yg_pool_submit(pool, YG_LANE_INTERACTIVE, count_job, &done, NULL), YG_OK);
    struct yg_err err;
    assert_int_equal(yg_pool_submit(pool, YG_LANE_INTERACTIVE, count_job, &done, &err), YG_EBUSY);
    assert_int_equal(yg_pool_depth(pool, YG_LANE_INTERACTIVE), 4);
    yg_event_set(&g.release);
    yg_pool_destroy(pool);
    gate_fini(&g);
    assert_int_equal(done, 4);
}

// Two workers: one background job may wait, a second must not run, interactive work goes on.
static void background_takes_half_at_most(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    struct gate a;
    struct gate b;
    gate_init(&a);
    gate_init(&b);
    assert_int_equal(yg_pool_submit(pool, YG_LANE_BACKGROUND, wait_at_gate, &a, NULL), YG_OK);
    yg_event_wait(&a.started);
    assert_int_equal(yg_pool_submit(pool, YG_LANE_BACKGROUND, wait_at_gate, &b, NULL), YG_OK);
    struct yg_event ran;
    yg_event_init(&ran);
    assert_int_equal(yg_pool_submit(pool, YG_LANE_INTERACTIVE, (yg_job_fn)yg_event_set, &ran, NULL),
                     YG_OK);
    yg_event_wait(&ran);
    assert_false(yg_event_wait_ms(&b.started, 50));
    yg_event_set(&a.release);
    yg_event_wait(&b.started);
    yg_event_set(&b.release);
    yg_pool_destroy(pool);
    yg_event_fini(&ran);
    gate_fini(&a);
    gate_fini(&b);
}

#define ORDER_JOBS 2000

struct order {
    int next; // no atomic: the strand is the lock
    bool wrong;
};
struct order_job {
    struct order *order;
    int number;
};

static void check_order(void *arg) {
    struct order_job *job = arg;
    job->order->wrong |= job->order->next != job->number;
    job->order->next = job->number + 1;
}

static void strand_keeps_order(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 4});
    static struct order_job jobs[3][ORDER_JOBS];
    struct order order[3] = {{0}};
    struct yg_strand *strands[3];
    for (int s = 0; s < 3; s++)
        strands[s] = yg_strand_create(pool, ORDER_JOBS);
    for (int i = 0; i < ORDER_JOBS; i++)
        for (int s = 0; s < 3; s++) {
            jobs[s][i] = (struct order_job){&order[s], i};
            assert_int_equal(yg_strand_submit(strands[s], check_order, &jobs[s][i], NULL), YG_OK);
        }
    for (int s = 0; s < 3; s++) {
        yg_strand_destroy(strands[s]);
        assert_false(order[s].wrong);
        assert_int_equal(order[s].next, ORDER_JOBS);
    }
    yg_pool_destroy(pool);
}

static void strand_capacity(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 1});
    struct yg_strand *s = yg_strand_create(pool, 2);
    struct gate g;
    gate_init(&g);
    assert_int_equal(yg_strand_submit(s, wait_at_gate, &g, NULL), YG_OK);
    yg_event_wait(&g.started);
    _Atomic int done = 0;
    assert_int_equal(yg_strand_submit(s, count_job, &done, NULL), YG_OK);
    assert_int_equal(yg_strand_submit(s, count_job, &done, NULL), YG_OK);
    assert_int_equal(yg_strand_submit(s, count_job, &done, NULL), YG_EBUSY);
    for (int i = 0; i < 40; i++)
        yg_strand_force(s, count_job, &done);
    assert_int_equal(yg_strand_depth(s), 42);
    yg_event_set(&g.release);
    yg_strand_destroy(s);
    yg_pool_destroy(pool);
    gate_fini(&g);
    assert_int_equal(done, 42);
}

struct nested {
    struct yg_strand *strand;
    _Atomic int *done;
    int sum; // changed on the strand only
};

static void add_one(void *arg) {
    ((struct nested *)arg)->sum++;
}

static void call_from_worker(void *arg) {
    struct nested *n = arg;
    yg_strand_call(n->strand, add_one, n);
    atomic_fetch_add(n->done, 1);
}

// Every worker waits for the strand at once; the calls must still be answered.
static void calls_from_all_workers(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    _Atomic int done = 0;
    struct nested n = {.strand = yg_strand_create(pool, 8), .done = &done};
    for (int i = 0; i < 500; i++)
        assert_int_equal(yg_pool_submit(pool, YG_LANE_INTERACTIVE, call_from_worker, &n, NULL),
                         YG_OK);
    for (int i = 0; i < 500; i++)
        yg_strand_call(n.strand, add_one, &n);
    struct yg_strand *other = yg_strand_create(pool, 1);
    yg_strand_destroy(other);
    while (atomic_load(&done) < 500)
        yg_strand_call(n.strand, add_one, &(struct nested){0});
    yg_strand_destroy(n.strand);
    assert_int_equal(n.sum, 1000);
    yg_pool_destroy(pool);
}

static void events_time_out(void **state) {
    (void)state;
    struct yg_event e;
    yg_event_init(&e);
    assert_false(yg_event_wait_ms(&e, 5));
    yg_event_set(&e);
    assert_true(yg_event_wait_ms(&e, 0));
    yg_event_reset(&e);
    assert_false(yg_event_wait_ms(&e, 0));
    yg_event_fini(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_everything_before_it_ends),
        cmocka_unit_test(full_lane_answers_busy),
        cmocka_unit_test(background_takes_half_at_most),
        cmocka_unit_test(strand_keeps_order),
        cmocka_unit_test(strand_capacity),
        cmocka_unit_test(calls_from_all_workers),
        cmocka_unit_test(events_time_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
