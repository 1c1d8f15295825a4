// SPDX-License-Identifier: Apache-2.0
// Threads, the bounded job pool with two lanes, and strands (jobs that run one after the other).
#ifndef YG_BASE_THREAD_H
#define YG_BASE_THREAD_H

#include "base/err.h"
#include <pthread.h>
#include <stdint.h>

typedef void (*yg_job_fn)(void *arg);

enum yg_lane {
    YG_LANE_INTERACTIVE, // decode, then queries
    YG_LANE_BACKGROUND,  // flush, merge; at most half of the workers
    YG_LANE_COUNT
};

struct yg_pool;

struct yg_pool_options {
    uint32_t worker_count;                 // 0 = number of cores, at least 2
    uint32_t lane_capacity[YG_LANE_COUNT]; // queued jobs; 0 = 4,096
};

struct yg_pool *yg_pool_create(const struct yg_pool_options *options);
void yg_pool_destroy(struct yg_pool *pool); // runs what is queued, then joins
uint32_t yg_pool_workers(const struct yg_pool *pool);
uint32_t yg_pool_depth(const struct yg_pool *pool, enum yg_lane lane); // queued now
// YG_EBUSY when the lane is full: the caller answers 429 or 503. Any thread.
yg_rc yg_pool_submit(struct yg_pool *pool, enum yg_lane lane, yg_job_fn fn, void *arg,
                     struct yg_err *err) YG_MUST_USE;

// Work that several threads may share. fn(arg, 0) runs on the calling thread; on up to `helpers`
// workers of the lane fn(arg, 1), fn(arg, 2) … run as they come free, each slot on one thread at a
// time. fn takes its pieces from a shared place and returns false when none is left; true means
// that it gives way: it is called again with the same slot once the jobs queued before had their
// turn (at once in slot 0). Returns when every call that began has ended and slot 0 found nothing
// left; a helper that never got a worker is not waited for, so jobs may call this on a full pool.
typedef bool (*yg_share_fn)(void *arg, uint32_t slot);
void yg_pool_share(struct yg_pool *pool, enum yg_lane lane, uint32_t helpers, yg_share_fn fn,
                   void *arg);

// A FIFO of jobs of which at most one runs at a time: a shard's state needs no lock.
struct yg_strand;
struct yg_strand *yg_strand_create(struct yg_pool *pool, uint32_t capacity);
void yg_strand_destroy(struct yg_strand *strand); // waits until it is empty
// Never fails for want of a worker: the strand keeps its own queue. YG_EBUSY at its capacity.
yg_rc yg_strand_submit(struct yg_strand *strand, yg_job_fn fn, void *arg,
                       struct yg_err *err) YG_MUST_USE;
// As submit, but goes past the capacity: for work that was already acknowledged or must not be
// lost.
void yg_strand_force(struct yg_strand *strand, yg_job_fn fn, void *arg);
uint32_t yg_strand_depth(const struct yg_strand *strand);
// Runs fn on the strand and returns when it has run. Never call it from a job of the same strand.
void yg_strand_call(struct yg_strand *strand, yg_job_fn fn, void *arg);

// A joined thread with a name; panics when the system has no thread to give.
struct yg_thread {
    pthread_t id;
    yg_job_fn fn;
    void *arg;
    char name[16];
};
void yg_thread_start(struct yg_thread *t, const char *name, yg_job_fn fn, void *arg);
void yg_thread_join(struct yg_thread *t);

// One-shot or repeated hand-over between two threads.
struct yg_event {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool set;
};
void yg_event_init(struct yg_event *e);
void yg_event_fini(struct yg_event *e);
void yg_event_set(struct yg_event *e);
void yg_event_reset(struct yg_event *e);
void yg_event_wait(struct yg_event *e);
bool yg_event_wait_ms(struct yg_event *e, int64_t timeout_ms); // false = timed out

#endif
