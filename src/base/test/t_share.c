// SPDX-License-Identifier: Apache-2.0
// Shared work: done once each, also when no worker is free, when all workers share at the same
// time, and when helpers give way.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"

#define PIECES 5000u

struct work {
    _Atomic uint32_t next;
    _Atomic uint8_t done[PIECES];
    _Atomic uint32_t inside[8]; // calls under way by slot
    bool give_way;
};

static bool take(void *arg, uint32_t slot) {
    struct work *w = arg;
    assert_true(slot < 8);
    assert_int_equal(atomic_fetch_add(&w->inside[slot], 1), 0);
    bool more = false;
    for (;;) {
        uint32_t i = atomic_fetch_add(&w->next, 1);
        if (i >= PIECES)
            break;
        atomic_fetch_add(&w->done[i], 1);
        if (w->give_way && i % 7 == 0) {
            more = true;
            break;
        }
    }
    atomic_fetch_sub(&w->inside[slot], 1);
    return more;
}

static void check(struct work *w) {
    for (uint32_t i = 0; i < PIECES; i++)
        assert_int_equal(w->done[i], 1);
}

static void shares_with_idle_workers(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 4});
    for (int round = 0; round < 50; round++) {
        struct work w = {.give_way = round % 2};
        yg_pool_share(pool, round % 3 ? YG_LANE_INTERACTIVE : YG_LANE_BACKGROUND,
                      (uint32_t)round % 6, take, &w);
        check(&w);
    }
    yg_pool_destroy(pool);
}

struct gate {
    struct yg_event started, release;
};

static void hold(void *arg) {
    struct gate *g = arg;
    yg_event_set(&g->started);
    yg_event_wait(&g->release);
}

// The only worker is held until the sharing has ended: it must not be waited for.
static void does_everything_itself_when_nobody_comes(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(
        &(struct yg_pool_options){.worker_count = 1, .lane_capacity = {[YG_LANE_INTERACTIVE] = 2}});
    struct gate g;
    yg_event_init(&g.started);
    yg_event_init(&g.release);
    assert_int_equal(yg_pool_submit(pool, YG_LANE_INTERACTIVE, hold, &g, NULL), YG_OK);
    yg_event_wait(&g.started);
    struct work w = {.give_way = true};
    yg_pool_share(pool, YG_LANE_INTERACTIVE, 7, take, &w); // more helpers than the lane has room
    check(&w);
    yg_event_set(&g.release);
    yg_pool_destroy(pool);
    yg_event_fini(&g.started);
    yg_event_fini(&g.release);
}

struct nested {
    struct yg_pool *pool;
    _Atomic uint32_t finished;
};

static void share_inside(void *arg) {
    struct nested *n = arg;
    struct work w = {.give_way = true};
    yg_pool_share(n->pool, YG_LANE_INTERACTIVE, 3, take, &w);
    check(&w);
    atomic_fetch_add(&n->finished, 1);
}

static void all_workers_share_at_once(void **state) {
    (void)state;
    struct yg_pool *pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 3});
    struct nested n = {.pool = pool};
    for (int i = 0; i < 40; i++)
        assert_int_equal(yg_pool_submit(pool, YG_LANE_INTERACTIVE, share_inside, &n, NULL), YG_OK);
    yg_pool_destroy(pool);
    assert_int_equal(n.finished, 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_with_idle_workers),
        cmocka_unit_test(does_everything_itself_when_nobody_comes),
        cmocka_unit_test(all_workers_share_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
