// SPDX-License-Identifier: Apache-2.0
// The job pool with two lanes, strands, joined threads and events.
//
// Locks: a strand's lock and the pool's lock are never held together, and no lock is held while a
// job runs. A strand is `running` while one thread takes jobs off it, and `listed` while it stands
// in the pool's list of strands that want a worker; whoever stops running it lists it again when
// jobs are left. A thread inside yg_strand_call runs the strand itself when nobody else does, so
// that workers which wait for strands cannot starve them.
#include "base/thread.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/panic.h"

#define POOL_MAGIC 0x900150b5u
#define STRAND_MAGIC 0x57a4d001u
#define LANE_CAPACITY_DEFAULT 4096u
#define WORKERS_MAX 256u
#define STRAND_TURN 32u // jobs before a strand lets others have the worker

struct job {
    yg_job_fn fn;
    void *arg;
};

struct ring {
    struct job *slots;
    uint32_t cap;
    uint32_t head; // next to take
    uint32_t len;
};

struct yg_pool {
    uint32_t magic;
    uint32_t worker_count;
    uint32_t background_max;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct ring lanes[YG_LANE_COUNT];
    struct yg_strand *listed_first;
    struct yg_strand *listed_last;
    uint32_t listed_count;
    uint32_t background_running;
    uint32_t started; // gives workers their number
    bool strand_turn; // strands and plain jobs of the interactive lane take turns
    bool stopping;
    struct yg_thread *threads;
};

struct yg_strand {
    uint32_t magic;
    uint32_t capacity;
    struct yg_pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t changed; // a call was answered, or the strand came to rest
    struct ring jobs;
    bool running;
    bool listed;
    struct yg_strand *next_listed; // under the pool's lock
};

static void ring_push(struct ring *r, struct job job) {
    YG_ASSERT(r->len < r->cap);
    uint32_t at = r->head + r->len;
    r->slots[at >= r->cap ? at - r->cap : at] = job;
    r->len++;
}

static struct job ring_pop(struct ring *r) {
    YG_ASSERT(r->len > 0);
    struct job job = r->slots[r->head];
    r->head = r->head + 1 == r->cap ? 0 : r->head + 1;
    r->len--;
    return job;
}

static void ring_double(struct ring *r) {
    uint32_t cap = r->cap ? r->cap * 2 : 16;
    struct job *slots = yg_alloc(YG_MEM_BASE, sizeof(*slots) * cap);
    for (uint32_t i = 0; i < r->len; i++)
        slots[i] = r->slots[(r->head + i) % r->cap];
    yg_free(YG_MEM_BASE, r->slots);
    r->slots = slots;
    r->cap = cap;
    r->head = 0;
}

// --- strands, the worker's side ---

static void pool_list(struct yg_pool *pool, struct yg_strand *s) {
    pthread_mutex_lock(&pool->lock);
    s->next_listed = NULL;
    if (pool->listed_last)
        pool->listed_last->next_listed = s;
    else
        pool->listed_first = s;
    pool->listed_last = s;
    pool->listed_count++;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

// Under the strand's lock: stop running; true when the caller must list it.
static bool strand_rest(struct yg_strand *s) {
    bool list = s->jobs.len > 0 && !s->listed;
    s->running = false;
    s->listed |= list;
    pthread_cond_broadcast(&s->changed);
    return list;
}

// A worker took the strand off the list: run a turn of it.
static void strand_turn(struct yg_strand *s) {
    YG_CHECK(s, STRAND_MAGIC);
    pthread_mutex_lock(&s->lock);
    s->listed = false;
    if (s->running) { // a caller is on it and will list it again if need be
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        return;
    }
    s->running = true;
    for (uint32_t i = 0; i < STRAND_TURN && s->jobs.len > 0; i++) {
        struct job job = ring_pop(&s->jobs);
        pthread_mutex_unlock(&s->lock);
        job.fn(job.arg);
        pthread_mutex_lock(&s->lock);
    }
    bool list = strand_rest(s);
    struct yg_pool *pool = s->pool;
    pthread_mutex_unlock(&s->lock);
    if (list)
        pool_list(pool, s);
}

// --- pool ---

// What one worker does next; under the pool's lock.
struct task {
    struct job job;
    struct yg_strand *strand;
    bool background;
};

static bool take_background(struct yg_pool *pool, struct task *ret_task) {
    if (pool->lanes[YG_LANE_BACKGROUND].len == 0 ||
        pool->background_running >= pool->background_max)
        return false;
    pool->background_running++;
    *ret_task = (struct task){
        .job = ring_pop(&pool->lanes[YG_LANE_BACKGROUND]),
        .background = true,
    };
    return true;
}

static bool take_interactive(struct yg_pool *pool, struct task *ret_task) {
    struct ring *lane = &pool->lanes[YG_LANE_INTERACTIVE];
    if (pool->listed_first != NULL && (pool->strand_turn || lane->len == 0)) {
        struct yg_strand *s = pool->listed_first;
        pool->listed_first = s->next_listed;
        if (pool->listed_first == NULL)
            pool->listed_last = NULL;
        pool->listed_count--;
        pool->strand_turn = false;
        *ret_task = (struct task){.strand = s};
        return true;
    }
    if (lane->len == 0)
        return false;
    pool->strand_turn = true;
    *ret_task = (struct task){.job = ring_pop(lane)};
    return true;
}

// The first worker looks at the background lane first, so that flushing goes on under any load;
// the others look there last, so that queries do.
static bool take_task(struct yg_pool *pool, uint32_t worker_no, struct task *ret_task) {
    if (worker_no == 0)
        return take_background(pool, ret_task) || take_interactive(pool, ret_task);
    return take_interactive(pool, ret_task) || take_background(pool, ret_task);
}

static void worker(void *arg) {
    struct yg_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    uint32_t worker_no = pool->started++;
    for (;;) {
        struct task task;
        if (!take_task(pool, worker_no, &task)) {
            if (pool->stopping)
                break;
            pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        if (task.strand)
            strand_turn(task.strand);
        else
            task.job.fn(task.job.arg);
        pthread_mutex_lock(&pool->lock);
        if (task.background) {
            pool->background_running--;
            if (pool->lanes[YG_LANE_BACKGROUND].len > 0)
                pthread_cond_signal(&pool->work);
        }
    }
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

static uint32_t default_workers(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 2)
        return 2;
    return cores > (long)WORKERS_MAX ? WORKERS_MAX : (uint32_t)cores;
}

struct yg_pool *yg_pool_create(const struct yg_pool_options *options) {
    static const struct yg_pool_options defaults;
    if (options == NULL)
        options = &defaults;
    struct yg_pool *pool = yg_calloc(YG_MEM_BASE, 1, sizeof(*pool));
    pool->magic = POOL_MAGIC;
    pool->worker_count = options->worker_count ? options->worker_count : default_workers();
    YG_ASSERT(pool->worker_count <= WORKERS_MAX);
    pool->background_max = pool->worker_count / 2 ? pool->worker_count / 2 : 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    for (int i = 0; i < YG_LANE_COUNT; i++) {
        uint32_t cap = options->lane_capacity[i];
        if (cap == 0)
            cap = LANE_CAPACITY_DEFAULT;
        pool->lanes[i].cap = cap;
        pool->lanes[i].slots = yg_calloc(YG_MEM_BASE, cap, sizeof(struct job));
    }
    pool->threads = yg_calloc(YG_MEM_BASE, pool->worker_count, sizeof(*pool->threads));
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "worker-%u", i & 0xffu);
        yg_thread_start(&pool->threads[i], name, worker, pool);
    }
    return pool;
}

void yg_pool_destroy(struct yg_pool *pool) {
    if (pool == NULL)
        return;
    YG_CHECK(pool, POOL_MAGIC);
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->worker_count; i++)
        yg_thread_join(&pool->threads[i]);
    for (int i = 0; i < YG_LANE_COUNT; i++)
        yg_free(YG_MEM_BASE, pool->lanes[i].slots);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    yg_free(YG_MEM_BASE, pool->threads);
    pool->magic = 0;
    yg_free(YG_MEM_BASE, pool);
}

uint32_t yg_pool_workers(const struct yg_pool *pool) {
    YG_CHECK(pool, POOL_MAGIC);
    return pool->worker_count;
}

static pthread_mutex_t *unconst(const pthread_mutex_t *lock) {
    return (pthread_mutex_t *)(uintptr_t)lock; // locking to look is no change of the object
}

uint32_t yg_pool_depth(const struct yg_pool *pool, enum yg_lane lane) {
    YG_CHECK(pool, POOL_MAGIC);
    pthread_mutex_lock(unconst(&pool->lock));
    uint32_t depth = pool->lanes[lane].len;
    if (lane == YG_LANE_INTERACTIVE)
        depth += pool->listed_count;
    pthread_mutex_unlock(unconst(&pool->lock));
    return depth;
}

yg_rc yg_pool_submit(struct yg_pool *pool, enum yg_lane lane, yg_job_fn fn, void *arg,
                     struct yg_err *err) {
    YG_CHECK(pool, POOL_MAGIC);
    YG_ASSERT((unsigned)lane < YG_LANE_COUNT && fn != NULL);
    struct ring *r = &pool->lanes[lane];
    pthread_mutex_lock(&pool->lock);
    bool full = r->len == r->cap;
    if (!full) {
        ring_push(r, (struct job){fn, arg});
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    if (full)
        return yg_fail(err, YG_EBUSY, "%u jobs are queued already", r->cap);
    return YG_OK;
}

// --- strands, the user's side ---

struct yg_strand *yg_strand_create(struct yg_pool *pool, uint32_t capacity) {
    YG_CHECK(pool, POOL_MAGIC);
    YG_ASSERT(capacity > 0);
    struct yg_strand *s = yg_calloc(YG_MEM_BASE, 1, sizeof(*s));
    s->magic = STRAND_MAGIC;
    s->pool = pool;
    s->capacity = capacity;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    return s;
}

void yg_strand_destroy(struct yg_strand *s) {
    if (s == NULL)
        return;
    YG_CHECK(s, STRAND_MAGIC);
    pthread_mutex_lock(&s->lock);
    while (s->jobs.len > 0 || s->running || s->listed)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    yg_free(YG_MEM_BASE, s->jobs.slots);
    s->magic = 0;
    yg_free(YG_MEM_BASE, s);
}

static yg_rc strand_put(struct yg_strand *s, struct job job, bool force, struct yg_err *err) {
    YG_CHECK(s, STRAND_MAGIC);
    YG_ASSERT(job.fn != NULL);
    pthread_mutex_lock(&s->lock);
    if (!force && s->jobs.len >= s->capacity) {
        pthread_mutex_unlock(&s->lock);
        return yg_fail(err, YG_EBUSY, "%u jobs are queued already", s->capacity);
    }
    if (s->jobs.len == s->jobs.cap)
        ring_double(&s->jobs);
    ring_push(&s->jobs, job);
    bool list = !s->running && !s->listed;
    s->listed |= list;
    pthread_mutex_unlock(&s->lock);
    if (list)
        pool_list(s->pool, s);
    return YG_OK;
}

yg_rc yg_strand_submit(struct yg_strand *s, yg_job_fn fn, void *arg, struct yg_err *err) {
    return strand_put(s, (struct job){fn, arg}, false, err);
}

void yg_strand_force(struct yg_strand *s, yg_job_fn fn, void *arg) {
    (void)strand_put(s, (struct job){fn, arg}, true, NULL);
}

uint32_t yg_strand_depth(const struct yg_strand *s) {
    YG_CHECK(s, STRAND_MAGIC);
    pthread_mutex_lock(unconst(&s->lock));
    uint32_t depth = s->jobs.len;
    pthread_mutex_unlock(unconst(&s->lock));
    return depth;
}

struct call {
    struct job job;
    struct yg_strand *strand;
    bool done; // under the strand's lock
};

static void run_call(void *arg) {
    struct call *call = arg;
    call->job.fn(call->job.arg);
    pthread_mutex_lock(&call->strand->lock);
    call->done = true;
    pthread_cond_broadcast(&call->strand->changed);
    pthread_mutex_unlock(&call->strand->lock);
}

// Runs fn at once when nobody is on the strand and nothing waits there: no worker is woken.
static bool call_idle(struct yg_strand *s, yg_job_fn fn, void *arg) {
    YG_CHECK(s, STRAND_MAGIC);
    pthread_mutex_lock(&s->lock);
    bool idle = !s->running && s->jobs.len == 0;
    s->running |= idle;
    pthread_mutex_unlock(&s->lock);
    if (!idle)
        return false;
    fn(arg);
    pthread_mutex_lock(&s->lock);
    bool list = strand_rest(s);
    pthread_mutex_unlock(&s->lock);
    if (list)
        pool_list(s->pool, s);
    return true;
}

void yg_strand_call(struct yg_strand *s, yg_job_fn fn, void *arg) {
    if (call_idle(s, fn, arg))
        return;
    struct call call = {.job = {fn, arg}, .strand = s};
    (void)strand_put(s, (struct job){run_call, &call}, true, NULL);
    pthread_mutex_lock(&s->lock);
    while (!call.done) {
        if (s->running) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        s->running = true; // nobody is on it: do the work here
        while (!call.done) {
            struct job job = ring_pop(&s->jobs);
            pthread_mutex_unlock(&s->lock);
            job.fn(job.arg);
            pthread_mutex_lock(&s->lock);
        }
        bool list = strand_rest(s);
        pthread_mutex_unlock(&s->lock);
        if (list)
            pool_list(s->pool, s);
        return;
    }
    pthread_mutex_unlock(&s->lock);
}

// --- threads and events ---

static void *thread_main(void *arg) {
    struct yg_thread *t = arg;
    (void)pthread_setname_np(pthread_self(), t->name);
    t->fn(t->arg);
    return NULL;
}

void yg_thread_start(struct yg_thread *t, const char *name, yg_job_fn fn, void *arg) {
    *t = (struct yg_thread){.fn = fn, .arg = arg};
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    int rc = pthread_create(&t->id, NULL, thread_main, t);
    if (rc != 0)
        yg_panic(__FILE__, __LINE__, "no thread for %s: errno %d", t->name, rc);
}

void yg_thread_join(struct yg_thread *t) {
    int rc = pthread_join(t->id, NULL);
    YG_ASSERT(rc == 0);
}

void yg_event_init(struct yg_event *e) {
    e->set = false;
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&e->cond, &attr);
    pthread_condattr_destroy(&attr);
}

void yg_event_fini(struct yg_event *e) {
    pthread_cond_destroy(&e->cond);
    pthread_mutex_destroy(&e->lock);
}

void yg_event_set(struct yg_event *e) {
    pthread_mutex_lock(&e->lock);
    e->set = true;
    pthread_cond_broadcast(&e->cond);
    pthread_mutex_unlock(&e->lock);
}

void yg_event_reset(struct yg_event *e) {
    pthread_mutex_lock(&e->lock);
    e->set = false;
    pthread_mutex_unlock(&e->lock);
}

void yg_event_wait(struct yg_event *e) {
    pthread_mutex_lock(&e->lock);
    while (!e->set)
        pthread_cond_wait(&e->cond, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

bool yg_event_wait_ms(struct yg_event *e, int64_t timeout_ms) {
    int64_t until = yg_mono_ns(&yg_clock_system) + timeout_ms * YG_NS_PER_MS;
    struct timespec ts = {.tv_sec = until / YG_NS_PER_S, .tv_nsec = until % YG_NS_PER_S};
    pthread_mutex_lock(&e->lock);
    while (!e->set)
        if (pthread_cond_timedwait(&e->cond, &e->lock, &ts) == ETIMEDOUT)
            break;
    bool set = e->set;
    pthread_mutex_unlock(&e->lock);
    return set;
}
