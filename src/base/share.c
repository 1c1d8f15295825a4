// SPDX-License-Identifier: Apache-2.0
// Work shared by the calling thread and whatever workers are idle.
//
// The caller never waits for a job that has not begun: it does all the work itself if no worker
// comes. A job that begins after the end finds `closed` and only drops its reference, which is why
// the state lives on the heap.
#include <stdatomic.h>

#include "base/mem.h"
#include "base/panic.h"
#include "base/thread.h"

#define HELPERS_MAX 255u

struct share;
struct helper {
    struct share *share;
    uint32_t slot;
};

struct share {
    struct yg_pool *pool;
    enum yg_lane lane;
    yg_share_fn fn;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t rested;
    uint32_t running; // helpers inside fn
    bool closed;
    _Atomic uint32_t refs;
    struct helper helpers[];
};

static void unref(struct share *s) {
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_cond_destroy(&s->rested);
    pthread_mutex_destroy(&s->lock);
    yg_free(YG_MEM_BASE, s);
}

static void help(void *arg) {
    struct helper *h = arg;
    struct share *s = h->share;
    pthread_mutex_lock(&s->lock);
    bool run = !s->closed;
    s->running += run;
    pthread_mutex_unlock(&s->lock);
    bool again = run && s->fn(s->arg, h->slot);
    if (run) {
        pthread_mutex_lock(&s->lock);
        s->running--;
        again &= !s->closed;
        pthread_cond_signal(&s->rested);
        pthread_mutex_unlock(&s->lock);
    }
    if (!again || yg_pool_submit(s->pool, s->lane, help, h, NULL) != YG_OK)
        unref(s);
}

void yg_pool_share(struct yg_pool *pool, enum yg_lane lane, uint32_t helpers, yg_share_fn fn,
                   void *arg) {
    YG_ASSERT(fn != NULL && helpers <= HELPERS_MAX);
    struct share *s = NULL;
    if (helpers > 0) {
        s = yg_calloc(YG_MEM_BASE, 1, sizeof(*s) + sizeof(s->helpers[0]) * helpers);
        s->pool = pool;
        s->lane = lane;
        s->fn = fn;
        s->arg = arg;
        pthread_mutex_init(&s->lock, NULL);
        pthread_cond_init(&s->rested, NULL);
        atomic_init(&s->refs, 1);
    }
    for (uint32_t i = 0; i < helpers; i++) {
        s->helpers[i] = (struct helper){s, i + 1};
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
        if (yg_pool_submit(pool, lane, help, &s->helpers[i], NULL) != YG_OK) {
            unref(s); // the lane is full: nobody is idle
            break;
        }
    }
    while (fn(arg, 0))
        ;
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->closed = true;
    while (s->running > 0)
        pthread_cond_wait(&s->rested, &s->lock);
    pthread_mutex_unlock(&s->lock);
    unref(s);
}
