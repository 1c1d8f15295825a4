// SPDX-License-Identifier: Apache-2.0
// The running set: loading, replacing, scheduling, storing what changes without a transition.
#include "monitor/set.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/panic.h"

#define INTERVAL_MS 60000
#define ARENA_BYTES (8u << 20) // of one monitor's record and definition
#define LOAD_ARENA_BYTES (1u << 30)
#define FLUSH_NS (60 * YG_NS_PER_S)
#define FLUSH_BATCH 256
#define START_AT_ONCE 200 // monitors that are all evaluated right after a start
#define PRUNE_EVERY_NS YG_HOUR_NS
#define HISTORY_NS (90 * YG_DAY_NS)
#define SLEEP_MS 1000

// ---------------------------------------------------------------- list and groups

static uint32_t lower_bound(const struct yg_monitors *ms, int64_t id) {
    uint32_t low = 0, high = ms->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (ms->list[mid]->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct monitor *yg_set_find(struct yg_monitors *ms, int64_t id) {
    uint32_t at = lower_bound(ms, id);
    return at < ms->count && ms->list[at]->id == id ? ms->list[at] : NULL;
}

struct monitor *yg_set_take(struct yg_monitors *ms, int64_t id) {
    struct monitor *m;
    while ((m = yg_set_find(ms, id)) != NULL && m->busy)
        pthread_cond_wait(&ms->idle, &ms->lock);
    if (m)
        m->busy = true;
    return m;
}

void yg_set_give(struct yg_monitors *ms, struct monitor *m) {
    m->busy = false;
    pthread_cond_broadcast(&ms->idle);
}

static void list_insert(struct yg_monitors *ms, struct monitor *m) {
    uint32_t at = lower_bound(ms, m->id);
    YG_GROW(YG_MEM_MONITOR, ms->list, ms->count, ms->cap);
    memmove(&ms->list[at + 1], &ms->list[at], (ms->count - at) * sizeof(ms->list[0]));
    ms->list[at] = m;
    ms->count++;
}

static void list_remove(struct yg_monitors *ms, struct monitor *m) {
    uint32_t at = lower_bound(ms, m->id);
    YG_ASSERT(at < ms->count && ms->list[at] == m);
    ms->count--;
    memmove(&ms->list[at], &ms->list[at + 1], (ms->count - at) * sizeof(ms->list[0]));
}

struct group *yg_group_get(struct monitor *m, yg_str name) {
    uint64_t *slot = yg_map_get(&m->groups, name);
    return slot ? (struct group *)(uintptr_t)*slot : NULL;
}

struct group *yg_group_make(struct monitor *m, yg_str name) {
    struct group *g = yg_group_get(m, name);
    if (g)
        return g;
    g = yg_calloc(YG_MEM_MONITOR, 1, sizeof(*g));
    g->name = yg_strndup(YG_MEM_MONITOR, name.ptr, name.len);
    g->rec.group = yg_str_n(g->name, name.len);
    g->rec.monitor_id = m->id;
    *yg_map_put(&m->groups, g->rec.group, NULL) = (uint64_t)(uintptr_t)g;
    return g;
}

static void group_free(struct group *g) {
    yg_free(YG_MEM_MONITOR, g->values);
    yg_free(YG_MEM_MONITOR, g->states);
    yg_free(YG_MEM_MONITOR, g->name);
    yg_free(YG_MEM_MONITOR, g);
}

void yg_group_drop(struct monitor *m, yg_str name) {
    struct group *g = yg_group_get(m, name);
    if (!g)
        return;
    yg_map_remove(&m->groups, name);
    if (g->values)
        m->ring_groups--;
    group_free(g);
}

static void groups_clear(struct monitor *m) {
    uint32_t at = 0;
    yg_str name;
    uint64_t value;
    while (yg_map_next(&m->groups, &at, &name, &value))
        group_free((struct group *)(uintptr_t)value);
    yg_map_fini(&m->groups);
    m->groups = YG_MAP(YG_MEM_MONITOR, false);
    m->ring_groups = 0;
}

static void monitor_free(struct monitor *m) {
    groups_clear(m);
    yg_arena_destroy(m->arena);
    yg_free(YG_MEM_MONITOR, m);
}

// ---------------------------------------------------------------- loading

// Windows of a day are looked at every tenth time, of two days every thirtieth; the rest of the
// monitors are spread over the interval by their id.
int64_t yg_next_due(const struct yg_monitors *ms, const struct monitor *m, int64_t at_ns) {
    int64_t window_ns = m->def ? m->def->window_ns : 0;
    int64_t times = window_ns >= 2 * YG_DAY_NS ? 30 : window_ns >= YG_DAY_NS ? 10 : 1;
    int64_t step_ns = ms->interval_ms * times * YG_NS_PER_MS;
    int64_t offset_ns = 0;
    if (ms->interval_ms >= 10000)
        offset_ns = (int64_t)(yg_hash_u64((uint64_t)m->id) % (uint64_t)step_ns);
    return ((at_ns - offset_ns) / step_ns + 1) * step_ns + offset_ns;
}

static struct monitor *monitor_make(int64_t id) {
    struct monitor *m = yg_calloc(YG_MEM_MONITOR, 1, sizeof(*m));
    m->id = id;
    m->groups = YG_MAP(YG_MEM_MONITOR, false);
    m->arena = yg_arena_create(YG_MEM_MONITOR, ARENA_BYTES);
    return m;
}

// Reads record and definition into m->arena.
static yg_rc monitor_read(struct yg_monitors *ms, struct monitor *m, struct yg_err *err) {
    struct yg_err parse = {0};
    YG_TRY(yg_meta_monitor_get(ms->meta, m->id, m->arena, &m->rec, err));
    m->overall = m->rec.overall_state;
    m->overall_modified_ns = m->rec.overall_modified_ns;
    if (yg_monitor_parse(&m->rec, m->arena, &m->def, &parse) != YG_OK) {
        m->def = NULL;
        snprintf(m->last_error, sizeof(m->last_error), "%.190s", parse.text);
        yg_log(YG_LOG_WARN, "monitor", "stored monitor does not parse", YG_KV_INT("monitor", m->id),
               YG_KV_C("error", parse.text));
    }
    m->due_ns = yg_now_ns(ms->clock);
    return YG_OK;
}

static void groups_take(struct monitor *m, const struct yg_group_record *groups, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct group *g = yg_group_make(m, groups[i].group);
        yg_str name = g->rec.group;
        g->rec = groups[i];
        g->rec.group = name;
        if (groups[i].evaluated_ns > m->evaluated_ns)
            m->evaluated_ns = groups[i].evaluated_ns;
    }
}

static yg_rc load_all(struct yg_monitors *ms, struct yg_err *err) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_META, LOAD_ARENA_BYTES);
    struct yg_monitor_record *recs;
    struct yg_group_record *groups;
    uint32_t rec_count, group_count, g = 0;
    YG_TRY(yg_meta_monitor_list(ms->meta, arena, &recs, &rec_count, err));
    YG_TRY(yg_meta_groups(ms->meta, 0, arena, &groups, &group_count, err));
    for (uint32_t i = 0; i < rec_count; i++) {
        struct monitor *m = monitor_make(recs[i].id);
        yg_rc rc = monitor_read(ms, m, err);
        if (rc != YG_OK) {
            monitor_free(m);
            return rc;
        }
        uint32_t first = g; // both lists are ordered by monitor
        while (g < group_count && groups[g].monitor_id == m->id)
            g++;
        groups_take(m, groups + first, g - first);
        if (rec_count > START_AT_ONCE) // a large set would otherwise fall due in one moment
            m->due_ns = yg_next_due(ms, m, yg_now_ns(ms->clock));
        list_insert(ms, m);
    }
    return YG_OK;
}

yg_rc yg_monitors_create(const struct yg_monitors_options *o, struct yg_monitors **ret_monitors,
                         struct yg_err *err) {
    YG_ASSERT(o->meta && o->clock);
    struct yg_monitors *ms = yg_calloc(YG_MEM_MONITOR, 1, sizeof(*ms));
    const char *url = o->public_url ? o->public_url : "";
    ms->magic = YG_MONITORS_MAGIC;
    ms->store = o->store;
    ms->meta = o->meta;
    ms->notifier = o->notifier;
    ms->pool = o->pool;
    ms->clock = o->clock;
    ms->public_url = yg_strndup(YG_MEM_MONITOR, url, strlen(url));
    ms->interval_ms = o->eval_interval_ms > 0 ? o->eval_interval_ms : INTERVAL_MS;
    ms->in_flight_max = o->pool ? (yg_pool_workers(o->pool) + 1) / 2 : 1;
    ms->flushed_ns = yg_now_ns(o->clock);
    ms->done = yg_counter_get(YG_COUNTER, "yagura.monitor.evaluations", "outcome:done");
    ms->failed = yg_counter_get(YG_COUNTER, "yagura.monitor.evaluations", "outcome:failed");
    pthread_mutex_init(&ms->lock, NULL);
    pthread_cond_init(&ms->idle, NULL);
    yg_event_init(&ms->wake);
    yg_rc rc = load_all(ms, err);
    if (rc != YG_OK) {
        yg_monitors_destroy(ms);
        return rc;
    }
    *ret_monitors = ms;
    return YG_OK;
}

// ---------------------------------------------------------------- reload

static void monitor_remove(struct yg_monitors *ms, int64_t id) {
    pthread_mutex_lock(&ms->lock);
    struct monitor *m = yg_set_take(ms, id);
    if (m) {
        list_remove(ms, m);
        pthread_cond_broadcast(&ms->idle);
    }
    pthread_mutex_unlock(&ms->lock);
    if (m)
        monitor_free(m);
}

// The new definition takes the old one's place; groups stay unless the database forgot them.
static void monitor_replace(struct yg_monitors *ms, struct monitor *fresh, bool keep_groups) {
    pthread_mutex_lock(&ms->lock);
    struct monitor *old = yg_set_take(ms, fresh->id);
    if (!old) {
        list_insert(ms, fresh);
        pthread_mutex_unlock(&ms->lock);
        return;
    }
    struct yg_arena *old_arena = old->arena;
    old->arena = fresh->arena;
    old->rec = fresh->rec;
    old->def = fresh->def;
    old->due_ns = fresh->due_ns;
    memcpy(old->last_error, fresh->last_error, sizeof(old->last_error));
    fresh->arena = old_arena; // freed with `fresh`
    if (!keep_groups) {
        groups_clear(old);
        old->overall = fresh->overall;
        old->overall_modified_ns = fresh->overall_modified_ns;
    }
    yg_set_give(ms, old);
    pthread_mutex_unlock(&ms->lock);
    monitor_free(fresh);
}

yg_rc yg_monitors_reload(struct yg_monitors *ms, int64_t id, struct yg_err *err) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    struct monitor *fresh = monitor_make(id);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_META, LOAD_ARENA_BYTES);
    struct yg_group_record *groups;
    uint32_t group_count = 0;
    yg_rc rc = monitor_read(ms, fresh, err);
    if (rc == YG_OK)
        rc = yg_meta_groups(ms->meta, id, arena, &groups, &group_count, err);
    if (rc != YG_OK) {
        monitor_free(fresh);
        if (rc != YG_ENOTFOUND)
            return rc;
        monitor_remove(ms, id);
        return YG_OK;
    }
    monitor_replace(ms, fresh, group_count > 0);
    yg_event_set(&ms->wake);
    return YG_OK;
}

// ---------------------------------------------------------------- storing

struct flush {
    struct monitor *taken[FLUSH_BATCH];
    struct yg_monitor_change changes[FLUSH_BATCH];
    uint32_t count;
};

// With the lock: takes up to a batch of monitors whose groups changed since they were stored.
static yg_rc flush_collect(struct yg_monitors *ms, struct yg_arena *arena, struct flush *f,
                           struct yg_err *err) {
    for (uint32_t i = 0; i < ms->count && f->count < FLUSH_BATCH; i++) {
        struct monitor *m = ms->list[i];
        if (!m->dirty || m->busy)
            continue;
        struct yg_group_record *groups = YG_NEW_N(arena, struct yg_group_record, m->groups.len + 1);
        if (!groups)
            return yg_fail(err, YG_ENOMEM, "states of monitors: no memory");
        struct yg_monitor_change c = {.monitor_id = m->id, .groups = groups};
        uint32_t at = 0;
        yg_str name;
        uint64_t value;
        while (yg_map_next(&m->groups, &at, &name, &value))
            groups[c.group_count++] = ((const struct group *)(uintptr_t)value)->rec;
        m->busy = true;
        m->dirty = false;
        f->taken[f->count] = m;
        f->changes[f->count++] = c;
    }
    return YG_OK;
}

// All in one transaction; when one of them was deleted meanwhile, one by one.
static yg_rc flush_apply(struct yg_monitors *ms, struct flush *f, struct yg_err *err) {
    yg_rc rc = yg_meta_monitor_apply(ms->meta, f->changes, f->count, err);
    if (rc != YG_ENOTFOUND)
        return rc;
    for (uint32_t i = 0; i < f->count; i++) {
        rc = yg_meta_monitor_apply(ms->meta, &f->changes[i], 1, err);
        if (rc != YG_OK && rc != YG_ENOTFOUND)
            return rc;
    }
    return YG_OK;
}

static yg_rc flush_batch(struct yg_monitors *ms, uint32_t *ret_count, struct yg_err *err) {
    struct flush *f = yg_calloc(YG_MEM_MONITOR, 1, sizeof(*f));
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_META, LOAD_ARENA_BYTES);
    pthread_mutex_lock(&ms->lock);
    yg_rc rc = flush_collect(ms, arena, f, err);
    pthread_mutex_unlock(&ms->lock);
    if (rc == YG_OK && f->count > 0)
        rc = flush_apply(ms, f, err);
    pthread_mutex_lock(&ms->lock);
    for (uint32_t i = 0; i < f->count; i++) {
        f->taken[i]->dirty = rc != YG_OK;
        yg_set_give(ms, f->taken[i]);
    }
    pthread_mutex_unlock(&ms->lock);
    *ret_count = f->count;
    yg_free(YG_MEM_MONITOR, f);
    return rc;
}

yg_rc yg_monitors_flush(struct yg_monitors *ms, struct yg_err *err) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    uint32_t count = FLUSH_BATCH;
    while (count == FLUSH_BATCH)
        YG_TRY(flush_batch(ms, &count, err));
    return YG_OK;
}

static void keep_house(struct yg_monitors *ms, int64_t now_ns) {
    struct yg_err err = {0};
    if (now_ns - ms->flushed_ns >= FLUSH_NS) {
        ms->flushed_ns = now_ns;
        if (yg_monitors_flush(ms, &err) != YG_OK)
            yg_log(YG_LOG_WARN, "monitor", "states could not be stored",
                   YG_KV_C("error", err.text));
    }
    if (now_ns - ms->pruned_ns >= PRUNE_EVERY_NS) {
        ms->pruned_ns = now_ns;
        if (yg_meta_history_prune(ms->meta, now_ns - HISTORY_NS, &err) != YG_OK)
            yg_log(YG_LOG_WARN, "monitor", "old history could not be removed",
                   YG_KV_C("error", err.text));
    }
}

// ---------------------------------------------------------------- scheduling

// With the lock: the due monitor that waits longest; else NULL and when the next one is due.
static struct monitor *find_due(struct yg_monitors *ms, int64_t now_ns, int64_t *ret_next_ns) {
    struct monitor *first = NULL;
    *ret_next_ns = INT64_MAX;
    for (uint32_t i = 0; i < ms->count; i++) {
        struct monitor *m = ms->list[i];
        if (m->busy || m->queued)
            continue;
        if (m->due_ns < *ret_next_ns)
            *ret_next_ns = m->due_ns;
        if (m->due_ns <= now_ns && (!first || m->due_ns < first->due_ns))
            first = m;
    }
    return first;
}

uint32_t yg_monitors_tick(struct yg_monitors *ms) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    YG_ASSERT(!ms->started);
    int64_t now_ns = yg_now_ns(ms->clock), next_ns;
    for (uint32_t done = 0;; done++) {
        pthread_mutex_lock(&ms->lock);
        struct monitor *m = find_due(ms, now_ns, &next_ns);
        if (m)
            m->busy = true;
        pthread_mutex_unlock(&ms->lock);
        if (!m) {
            keep_house(ms, now_ns);
            return done;
        }
        yg_monitor_evaluate(ms, m, now_ns);
        pthread_mutex_lock(&ms->lock);
        yg_set_give(ms, m);
        pthread_mutex_unlock(&ms->lock);
    }
}

yg_rc yg_monitors_evaluate(struct yg_monitors *ms, int64_t id, struct yg_err *err) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    pthread_mutex_lock(&ms->lock);
    struct monitor *m = yg_set_take(ms, id);
    pthread_mutex_unlock(&ms->lock);
    if (!m)
        return yg_fail(err, YG_ENOTFOUND, "Monitor not found");
    yg_monitor_evaluate(ms, m, yg_now_ns(ms->clock));
    pthread_mutex_lock(&ms->lock);
    yg_set_give(ms, m);
    pthread_mutex_unlock(&ms->lock);
    return YG_OK;
}

// A job names its monitor by id and makes it busy only when it runs: a worker that waits for a busy
// monitor (reload, evaluate) so never waits for a job that is still behind it in the queue.
struct job {
    struct yg_monitors *ms;
    int64_t id;
};

static void job_end(struct job *job, struct monitor *m) {
    struct yg_monitors *ms = job->ms;
    pthread_mutex_lock(&ms->lock);
    ms->in_flight--;
    if (m)
        yg_set_give(ms, m);
    else
        pthread_cond_broadcast(&ms->idle);
    yg_event_set(&ms->wake); // still under the lock: destroy waits for in_flight with it
    pthread_mutex_unlock(&ms->lock);
    yg_free(YG_MEM_MONITOR, job);
}

static void job_run(void *arg) {
    struct job *job = arg;
    struct yg_monitors *ms = job->ms;
    pthread_mutex_lock(&ms->lock);
    struct monitor *m = yg_set_take(ms, job->id); // NULL: deleted meanwhile
    if (m)
        m->queued = false;
    pthread_mutex_unlock(&ms->lock);
    if (m && !atomic_load_explicit(&ms->stop, memory_order_acquire))
        yg_monitor_evaluate(ms, m, yg_now_ns(ms->clock));
    job_end(job, m);
}

// Hands due monitors to the pool as long as its share is not used up. Returns when to look again.
static int64_t dispatch(struct yg_monitors *ms, int64_t now_ns) {
    int64_t next_ns = INT64_MAX;
    for (;;) {
        struct yg_err err = {0};
        struct job *job = NULL;
        pthread_mutex_lock(&ms->lock);
        struct monitor *m = NULL;
        if (ms->in_flight < ms->in_flight_max)
            m = find_due(ms, now_ns, &next_ns);
        if (m) {
            m->queued = true;
            ms->in_flight++;
            job = yg_calloc(YG_MEM_MONITOR, 1, sizeof(*job));
            *job = (struct job){ms, m->id};
        }
        pthread_mutex_unlock(&ms->lock);
        if (!job)
            return next_ns; // the end of a job wakes us
        if (yg_pool_submit(ms->pool, YG_LANE_INTERACTIVE, job_run, job, &err) == YG_OK)
            continue;
        pthread_mutex_lock(&ms->lock);
        m = yg_set_find(ms, job->id);
        if (m)
            m->queued = false;
        pthread_mutex_unlock(&ms->lock);
        job_end(job, NULL);
        return now_ns + 200 * YG_NS_PER_MS; // the lane is full: a little later
    }
}

static void scheduler_main(void *arg) {
    struct yg_monitors *ms = arg;
    while (!atomic_load_explicit(&ms->stop, memory_order_acquire)) {
        yg_event_reset(&ms->wake);
        int64_t now_ns = yg_now_ns(ms->clock);
        int64_t next_ns = dispatch(ms, now_ns);
        keep_house(ms, now_ns);
        int64_t wait_ms = SLEEP_MS;
        if (next_ns < now_ns + SLEEP_MS * YG_NS_PER_MS)
            wait_ms = next_ns > now_ns ? (next_ns - now_ns) / YG_NS_PER_MS + 1 : 1;
        (void)yg_event_wait_ms(&ms->wake, wait_ms);
    }
}

void yg_monitors_start(struct yg_monitors *ms) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    YG_ASSERT(!ms->started && ms->pool);
    ms->started = true;
    yg_thread_start(&ms->thread, "yg-monitors", scheduler_main, ms);
}

void yg_monitors_destroy(struct yg_monitors *ms) {
    if (!ms)
        return;
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    struct yg_err err = {0};
    atomic_store_explicit(&ms->stop, true, memory_order_release);
    yg_event_set(&ms->wake);
    if (ms->started)
        yg_thread_join(&ms->thread);
    pthread_mutex_lock(&ms->lock);
    while (ms->in_flight > 0)
        pthread_cond_wait(&ms->idle, &ms->lock);
    pthread_mutex_unlock(&ms->lock);
    if (yg_monitors_flush(ms, &err) != YG_OK)
        yg_log(YG_LOG_WARN, "monitor", "states could not be stored", YG_KV_C("error", err.text));
    for (uint32_t i = 0; i < ms->count; i++)
        monitor_free(ms->list[i]);
    yg_free(YG_MEM_MONITOR, ms->list);
    yg_free(YG_MEM_MONITOR, ms->public_url);
    yg_event_fini(&ms->wake);
    pthread_cond_destroy(&ms->idle);
    pthread_mutex_destroy(&ms->lock);
    ms->magic = 0;
    yg_free(YG_MEM_MONITOR, ms);
}
