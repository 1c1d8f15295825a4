// SPDX-License-Identifier: Apache-2.0
// Running an aggregation: the granules are cut into tasks, which the calling thread and idle
// workers take one by one; each adds to a tree of its own, and the trees are added up at the end.
//
// The answer does not depend on who took what: counts, sets and sketches add exactly, sums carry
// their rounding (events_acc.c), and the order of groups is that of their values. Runs of granules
// of a sealed file that lie wholly within the range are added through a partial result, which is
// kept for the next query of the same plan.
#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"
#include "query/events_agg.h"
#include "query/events_cache.h"

#define TASK_GRANULES 16u    // that no partial is kept of
#define PARTIAL_GRANULES 64u // granule numbers [64 n, 64 n + 64) of a segment share a partial
#define HELP_GRANULES 16u    // fewer are not worth waking a worker
#define HELPERS_MAX 63u
#define PARTS_BYTES_MAX (256u << 20)

struct task {
    uint32_t first, count; // of scan.granules
    bool keep;             // through a partial
};

struct worker {
    struct yg_scan scan;
    struct yg_warnings warnings;
    struct yg_query_stats stats;
    struct yg_agg_tree agg;
    struct yg_agg_tree part; // of the task under way
    struct yg_err err;
    bool started;
    uint64_t rows[YG_BITS_WORDS(YG_GRANULE_ROWS)];
};

struct run {
    struct yg_store *store;
    const struct yg_event_query *q;
    struct yg_scan *scan;
    struct task *tasks;
    uint32_t task_count, task_cap;
    _Atomic uint32_t next;
    _Atomic bool stop;
    _Atomic bool large; // a partial passed the limit: no more of them
    _Atomic size_t bytes;
    bool keeps;
    struct yg_partials *partials;
    uint64_t plan[2];
    struct worker *workers; // [0] is the caller's
    uint32_t worker_count;
};

// ------------------------------------------------------------ tasks

static bool is_within(const struct yg_scan_granule *g, struct yg_time_range range) {
    return g->min_ns >= range.from_ns && g->max_ns < range.to_ns;
}

static yg_rc add_task(struct run *r, uint32_t first, uint32_t count, bool keep,
                      struct yg_err *err) {
    if (!YG_ARENA_GROW(r->scan->arena, r->tasks, r->task_count, r->task_cap))
        return yg_fail(err, YG_ENOMEM, "no memory for %u tasks", r->task_count);
    r->tasks[r->task_count++] = (struct task){first, count, keep};
    return YG_OK;
}

// Cuts the granules [from, to) of one segment. Granules that are not listed hold no match, so a
// partial may leave them out, but only where all of its granules are known to lie within the range.
static yg_rc cut_segment(struct run *r, uint32_t from, uint32_t to,
                         const struct yg_segment_info *info, struct yg_err *err) {
    const struct yg_scan_granule *g = r->scan->granules;
    bool within = info->min_time_ns >= r->q->range.from_ns && info->max_time_ns < r->q->range.to_ns;
    while (from < to) {
        uint32_t first = g[from].granule / PARTIAL_GRANULES * PARTIAL_GRANULES;
        uint32_t last = first + PARTIAL_GRANULES;
        uint32_t n = 0, whole = (last < info->granule_count ? last : info->granule_count) - first;
        bool all = true;
        for (; from + n < to && g[from + n].granule < last; n++)
            all &= is_within(&g[from + n], r->q->range);
        bool keep = r->keeps && !info->in_memory && (within || (all && n == whole));
        for (uint32_t done = 0; done < n;) {
            uint32_t count = keep || n - done < TASK_GRANULES ? n - done : TASK_GRANULES;
            YG_TRY(add_task(r, from + done, count, keep, err));
            done += count;
        }
        from += n;
    }
    return YG_OK;
}

static bool matches_everything(const struct yg_event_query *q) {
    return q->filter == NULL || q->filter->kind == YG_NODE_ALL;
}

static yg_rc cut(struct run *r, struct yg_err *err) {
    struct yg_scan *s = r->scan;
    // Rows of traces may be superseded, so their number says nothing.
    bool by_number =
        yg_agg_only_counts(r->q) && matches_everything(r->q) && r->q->track != YG_TRACK_TRACES;
    for (uint32_t from = 0, to; from < s->granule_count; from = to) {
        struct yg_segment_info info;
        uint32_t segment = s->granules[from].segment;
        yg_snapshot_segment(s->snapshot, segment, &info);
        for (to = from; to < s->granule_count && s->granules[to].segment == segment;)
            to++;
        if (by_number && info.hidden == 0 && info.min_time_ns >= r->q->range.from_ns &&
            info.max_time_ns < r->q->range.to_ns) {
            yg_agg_add_rows(&r->workers[0].agg, info.row_count);
            s->stats->rows_matched += info.row_count;
            s->stats->granules_skipped += to - from;
            continue;
        }
        YG_TRY(cut_segment(r, from, to, &info, err));
    }
    return YG_OK;
}

// ------------------------------------------------------------ one task

static yg_rc run_granules(struct worker *w, const struct task *t, struct yg_agg_tree *into) {
    for (uint32_t i = t->first; i < t->first + t->count; i++) {
        struct yg_block *b = NULL;
        YG_TRY(yg_scan_granule(&w->scan, i, &b, w->rows, &w->err));
        if (b == NULL)
            continue;
        struct yg_err local = {0};
        yg_rc rc = yg_agg_block(into, b, w->rows, &local);
        if (rc != YG_OK && !yg_scan_survives(&w->scan, &local)) {
            w->err = local;
            return rc;
        }
    }
    return YG_OK;
}

// Saves w->part and adds it to the worker's tree; keeps the bytes when they are few.
static yg_rc add_part(struct run *r, struct worker *w, const struct yg_partial_key *key,
                      const struct yg_query_stats *before, bool whole) {
    struct yg_buf bytes = YG_BUF(YG_MEM_QUERY, PARTS_BYTES_MAX);
    yg_rc rc = yg_agg_save(&w->part, &bytes, &w->err);
    if (rc == YG_OK)
        rc = yg_agg_load(&w->agg, yg_buf_str(&bytes), &w->err);
    // Where nearly every row is a group of its own, a partial costs more than it saves.
    uint64_t matched = w->stats.rows_matched - before->rows_matched;
    bool large = bytes.len > YG_PARTIAL_BYTES_MAX ||
                 (w->part.node_count > 1000 && w->part.node_count > matched / 4);
    if (rc == YG_OK && large)
        atomic_store(&r->large, true);
    else if (rc == YG_OK && whole)
        yg_partials_put(r->partials, key, yg_buf_str(&bytes),
                        w->stats.rows_scanned - before->rows_scanned,
                        w->stats.rows_matched - before->rows_matched);
    yg_buf_fini(&bytes);
    return rc;
}

static yg_rc run_kept(struct run *r, struct worker *w, const struct task *t) {
    const struct yg_scan_granule *g = &r->scan->granules[t->first];
    struct yg_segment_info info;
    yg_snapshot_segment(r->scan->snapshot, g->segment, &info);
    struct yg_partial_key key = {.segment_id = info.id,
                                 .hidden = info.hidden,
                                 .plan = {r->plan[0], r->plan[1] ^ info.hidden},
                                 .run = g->granule / PARTIAL_GRANULES};
    struct yg_partial *known = yg_partials_get(r->partials, &key);
    if (known) {
        yg_rc rc = yg_agg_load(&w->agg, yg_str_n(known->data, known->bytes), &w->err);
        w->stats.rows_matched += known->rows_matched;
        w->stats.granules_skipped += t->count;
        yg_partial_unref(known);
        return rc;
    }
    if (atomic_load(&r->large))
        return run_granules(w, t, &w->agg);
    struct yg_query_stats before = w->stats;
    uint32_t warnings = w->warnings.count;
    YG_TRY(yg_agg_init(&w->part, r->q, &w->err));
    yg_rc rc = run_granules(w, t, &w->part);
    if (rc == YG_OK)
        rc = add_part(r, w, &key, &before, warnings == w->warnings.count);
    yg_agg_fini(&w->part);
    return rc;
}

static yg_rc start_worker(struct run *r, struct worker *w) {
    if (w->started)
        return YG_OK;
    w->started = true;
    YG_TRY(yg_scan_fork(r->scan, &w->warnings, &w->stats, &w->scan, &w->err));
    return yg_agg_init(&w->agg, r->q, &w->err);
}

// All workers' trees together, so that more workers are no more memory.
static yg_rc check_memory(struct run *r, struct worker *w, size_t before) {
    size_t change = yg_agg_bytes(&w->agg) - before; // may be "negative"
    size_t all = atomic_fetch_add(&r->bytes, change) + change;
    return all <= YG_QUERY_MEMORY_BYTES ? YG_OK : yg_agg_used_up(&w->agg, &w->err);
}

static yg_rc run_task(struct run *r, struct worker *w, const struct task *t) {
    YG_TRY(start_worker(r, w));
    size_t before = yg_agg_bytes(&w->agg);
    YG_TRY(t->keep ? run_kept(r, w, t) : run_granules(w, t, &w->agg));
    return check_memory(r, w, before);
}

// yg_share_fn: takes tasks until there are none; helpers give way to whoever waits at a screen.
static bool take_tasks(void *arg, uint32_t slot) {
    struct run *r = arg;
    struct worker *w = &r->workers[slot];
    while (!atomic_load(&r->stop)) {
        uint32_t i = atomic_fetch_add(&r->next, 1);
        if (i >= r->task_count)
            return false;
        if (run_task(r, w, &r->tasks[i]) != YG_OK) {
            atomic_store(&r->stop, true);
            return false;
        }
        if (slot > 0 && yg_pool_depth(yg_store_pool(r->store), YG_LANE_INTERACTIVE) > 0)
            return true;
    }
    return false;
}

// ------------------------------------------------------------ the whole

static void add_worker(struct run *r, struct worker *w, yg_rc *rc, struct yg_err *err) {
    if (w->err.rc != YG_OK && *rc == YG_OK) {
        *rc = w->err.rc;
        if (err)
            *err = w->err;
    }
    if (*rc == YG_OK && w != r->workers && w->started) {
        struct yg_buf bytes = YG_BUF(YG_MEM_QUERY, PARTS_BYTES_MAX);
        *rc = yg_agg_save(&w->agg, &bytes, err);
        if (*rc == YG_OK)
            *rc = yg_agg_load(&r->workers[0].agg, yg_buf_str(&bytes), err);
        yg_buf_fini(&bytes);
    }
    if (w->scan.warnings)
        yg_scan_join(r->scan, &w->scan);
}

static yg_rc run_tasks(struct run *r, struct yg_err *err) {
    struct yg_pool *pool = yg_store_pool(r->store);
    uint32_t granules = 0, helpers = r->worker_count - 1;
    for (uint32_t i = 0; i < r->task_count; i++)
        granules += r->tasks[i].count;
    if (granules < HELP_GRANULES || r->task_count < 2)
        helpers = 0;
    else if (helpers >= r->task_count)
        helpers = r->task_count - 1;
    yg_pool_share(pool, r->q->background ? YG_LANE_BACKGROUND : YG_LANE_INTERACTIVE, helpers,
                  take_tasks, r);
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < r->worker_count; i++)
        add_worker(r, &r->workers[i], &rc, err);
    return rc;
}

static yg_rc run_open(struct run *r, struct yg_err *err) {
    uint32_t threads = yg_pool_workers(yg_store_pool(r->store));
    r->worker_count = threads > HELPERS_MAX ? HELPERS_MAX + 1 : threads;
    r->workers = yg_calloc(YG_MEM_QUERY, r->worker_count, sizeof(*r->workers));
    struct yg_buf plan = YG_BUF(YG_MEM_QUERY, 1u << 20);
    r->keeps = r->q->track != YG_TRACK_TRACES && yg_agg_fingerprint(r->q, &plan);
    if (r->keeps) {
        yg_hash_stable128(plan.ptr, plan.len, r->plan);
        r->partials = yg_partials_of(r->store);
    }
    yg_buf_fini(&plan);
    yg_rc rc = start_worker(r, &r->workers[0]);
    if (rc != YG_OK && err)
        *err = r->workers[0].err;
    return rc;
}

static void run_close(struct run *r) {
    for (uint32_t i = 0; r->workers && i < r->worker_count; i++) {
        if (r->workers[i].scan.forked)
            yg_scan_fini(&r->workers[i].scan);
        yg_agg_fini(&r->workers[i].agg);
    }
    yg_free(YG_MEM_QUERY, r->workers);
}

yg_rc yg_events_aggregate(struct yg_store *store, const struct yg_event_query *q, bool fresh,
                          struct yg_arena *arena, struct yg_agg_result *ret_result,
                          struct yg_err *err) {
    struct yg_scan scan = {0};
    struct run r = {.store = store, .q = q, .scan = &scan};
    *ret_result = (struct yg_agg_result){0};
    YG_TRY(yg_scan_open(store, q, fresh, YG_SCAN_BY_SEGMENT, arena, &ret_result->warnings,
                        &ret_result->stats, &scan, err));
    yg_rc rc = yg_scan_pulse(&scan, err);
    if (rc == YG_OK)
        rc = run_open(&r, err);
    if (rc == YG_OK)
        rc = cut(&r, err);
    if (rc == YG_OK)
        rc = run_tasks(&r, err);
    if (rc == YG_OK)
        rc = yg_agg_emit(&r.workers[0].agg, arena, ret_result, err);
    run_close(&r);
    yg_scan_fini(&scan);
    return rc;
}
