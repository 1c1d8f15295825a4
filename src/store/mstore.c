// SPDX-License-Identifier: Apache-2.0
// The metric engine: applies point batches to the head, flushes heads to block files, merges and
// drops blocks.
//
// What is in the directory is what counts: a block file's name holds the range of WAL sequences
// that it is made of. A merge writes one file over the range of its sources and removes them; if
// the process dies in between, the next opening finds files whose range lies inside another's and
// removes them.

#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "store/mstore_int.h"
#include <dirent.h>
#include <math.h>
#include <unistd.h>

#define RETAIN_EVERY_S 60 // walking all series is not for every tick
#define FUTURE_MAX_S 7200 // points later than now + this are refused

// ------------------------------------------------------------ opening

static void note_damage(void *ctx, const struct yg_err *err) {
    struct yg_mstore *ms = ctx;
    atomic_fetch_add_explicit(&ms->damaged, 1, memory_order_relaxed);
    yg_counter_add(ms->damaged_counter, 1);
    yg_log(YG_LOG_ERROR, "store", "metric data skipped", YG_KV_C("error", err->text));
}

void yg_mstore_note_damage(struct yg_mstore *ms, const struct yg_err *err) {
    note_damage(ms, err);
}

struct found_series {
    struct yg_mreg *reg;
    uint32_t series_len, name_len;
    uint32_t expired_before; // bucket: what is older may be missing from the series log
    uint64_t unknown;
};

static void see_series(void *ctx, uint32_t series, uint32_t metric, uint32_t last_bucket) {
    struct found_series *f = ctx;
    f->series_len = series + 1 > f->series_len ? series + 1 : f->series_len;
    f->name_len = metric + 1 > f->name_len ? metric + 1 : f->name_len;
    struct yg_mseries *s = yg_mreg_series(f->reg, series);
    f->unknown += s == NULL && last_bucket >= f->expired_before;
    if (s != NULL && atomic_load_explicit(&s->last_bucket, memory_order_relaxed) < last_bucket)
        atomic_store_explicit(&s->last_bucket, last_bucket, memory_order_relaxed);
}

struct block_list {
    struct yg_mblock **items;
    uint32_t len, cap;
};

static int cmp_blocks(const void *a, const void *b) {
    const struct yg_mblock *x = *(struct yg_mblock *const *)a, *y = *(struct yg_mblock *const *)b;
    if (x->seq_lo != y->seq_lo)
        return x->seq_lo < y->seq_lo ? -1 : 1;
    return x->seq_hi > y->seq_hi ? -1 : x->seq_hi < y->seq_hi; // the wider one first
}

static yg_rc load_file(struct yg_mstore *ms, const char *name, struct found_series *found,
                       struct block_list *list, struct yg_err *err) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", ms->dir, name);
    yg_str n = yg_str_c(name);
    if (yg_str_starts(n, YG_STR("tmp-"))) {
        (void)unlink(path);
        return YG_OK;
    }
    if (!yg_str_starts(n, YG_STR("b-")) || !yg_str_ends(n, YG_STR(".ygm")))
        return YG_OK;
    struct yg_mblock *b;
    struct yg_err e = {0};
    yg_rc rc = yg_mblock_open(path, see_series, found, &b, &e);
    if (rc == YG_ECORRUPT) { // kept as it is for a person to look at; told and left out
        note_damage(ms, &e);
        return YG_OK;
    }
    if (rc != YG_OK) {
        if (err != NULL)
            *err = e;
        return rc;
    }
    YG_GROW(YG_MS_TAG, list->items, list->len, list->cap);
    list->items[list->len++] = b;
    return YG_OK;
}

static yg_rc load_files(struct yg_mstore *ms, struct found_series *found, struct block_list *list,
                        struct yg_err *err) {
    DIR *dir = opendir(ms->dir);
    if (dir == NULL)
        return yg_fail_errno(err, "open directory %s", ms->dir);
    yg_rc rc = YG_OK;
    for (struct dirent *e = readdir(dir); e != NULL && rc == YG_OK; e = readdir(dir))
        rc = load_file(ms, e->d_name, found, list, err);
    (void)closedir(dir);
    return rc;
}

static void sum_file_bytes(struct yg_mstore *ms) {
    int64_t sum = ms->log.size;
    for (uint32_t i = 0; i < ms->blocks->count; i++)
        sum += ms->blocks->blocks[i]->bytes;
    atomic_store_explicit(&ms->file_bytes, (uint64_t)sum, memory_order_relaxed);
}

// Leaves out (and removes) sources of a finished merge.
static void publish_loaded(struct yg_mstore *ms, struct block_list *list) {
    if (list->len > 1)
        qsort(list->items, list->len, sizeof(struct yg_mblock *), cmp_blocks);
    uint64_t flushed = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->len; i++) {
        struct yg_mblock *b = list->items[i];
        if (kept > 0 && b->seq_hi <= flushed) {
            (void)unlink(b->path);
            yg_mblock_unref(b);
            continue;
        }
        flushed = b->seq_hi;
        list->items[kept++] = b;
        if (b->points > 0 && b->max_bucket >= ms->recent.since)
            ms->recent.since = b->max_bucket + 1;
    }
    ms->blocks = yg_mblocks_create(kept);
    for (uint32_t i = 0; i < kept; i++)
        ms->blocks->blocks[i] = list->items[i];
    list->len = 0;
    ms->last_applied = flushed;
    atomic_store_explicit(&ms->flushed_sequence, flushed, memory_order_release);
    sum_file_bytes(ms);
}

static int64_t retention_cutoff(const struct yg_mstore *ms) {
    if (ms->retention_ns <= 0)
        return 0;
    return (yg_now_ns(ms->clock) - ms->retention_ns) / YG_NS_PER_S / YG_BUCKET_S;
}

// Files hold series that the log does not name: it is damaged. A copy stays for a person to look
// at.
static void set_log_aside(struct yg_mstore *ms, uint64_t unknown) {
    struct yg_err e = {0};
    (void)yg_fail(&e, YG_ECORRUPT, "%s: %llu series of the block files are not named in it",
                  ms->log.path, (unsigned long long)unknown);
    note_damage(ms, &e);
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s.damaged", ms->log.path);
    (void)unlink(path);
    if (link(ms->log.path, path) == 0)
        ms->log.broken =
            true; // the next flush writes a new one, the old bytes stay under that name
}

static yg_rc open_files(struct yg_mstore *ms, struct yg_err *err) {
    YG_TRY(yg_mlog_open(&ms->log, ms->dir, &ms->reg, note_damage, ms, err));
    int64_t cutoff = retention_cutoff(ms);
    struct found_series found = {.reg = &ms->reg,
                                 .expired_before = cutoff > 0 ? (uint32_t)cutoff : 0};
    struct block_list list = {0};
    yg_rc rc = load_files(ms, &found, &list, err);
    if (rc == YG_OK) {
        yg_mreg_reserve(&ms->reg, found.series_len, found.name_len);
        publish_loaded(ms, &list);
        if (found.unknown > 0)
            set_log_aside(ms, found.unknown);
    }
    for (uint32_t i = 0; i < list.len; i++)
        yg_mblock_unref(list.items[i]);
    yg_free(YG_MS_TAG, list.items);
    return rc;
}

static void count_active(struct yg_mstore *ms) {
    int64_t since = (yg_now_ns(ms->clock) / YG_NS_PER_S - YG_MS_ACTIVE_S) / YG_BUCKET_S;
    yg_mreg_count_active(&ms->reg, since > 0 && since < UINT32_MAX ? (uint32_t)since : 0);
}

yg_rc yg_mstore_open(const struct yg_mstore_options *options, struct yg_mstore **ret_ms,
                     struct yg_err *err) {
    struct yg_mstore *ms = yg_calloc(YG_MS_TAG, 1, sizeof(*ms));
    ms->magic = YG_MSTORE_MAGIC;
    ms->dir = yg_strndup(YG_MS_TAG, options->dir, strlen(options->dir));
    ms->clock = options->clock ? options->clock : &yg_clock_system;
    ms->retention_ns = options->retention_ns;
    ms->refused_by_name = YG_MAP(YG_MS_TAG, true);
    ms->fan_in[0] = 10; // ten minutes, then two hours, then a day
    ms->fan_in[1] = ms->fan_in[2] = 12;
    ms->damaged_counter = yg_counter_get(YG_COUNTER, "yagura.store.damaged", "track:metrics");
    ms->refused_value = yg_counter_get(YG_COUNTER, "yagura.metrics.refused", "reason:not_finite");
    ms->refused_time = yg_counter_get(YG_COUNTER, "yagura.metrics.refused", "reason:timestamp");
    yg_mreg_init(&ms->reg, options->series_max, options->series_per_metric_max);
    pthread_mutex_init(&ms->flush_lock, NULL);
    pthread_rwlock_init(&ms->state_lock, NULL);
    ms->pool = options->pool;
    yg_event_init(&ms->merge_idle);
    yg_event_set(&ms->merge_idle);
    ms->log.fd = -1;
    yg_rc rc = open_files(ms, err);
    if (rc != YG_OK) {
        yg_mstore_close(ms);
        return yg_err_wrap(err, "metrics");
    }
    ms->head = yg_mhead_create();
    count_active(ms);
    *ret_ms = ms;
    return YG_OK;
}

void yg_mstore_close(struct yg_mstore *ms) {
    if (ms == NULL)
        return;
    YG_CHECK(ms, YG_MSTORE_MAGIC);
    atomic_store_explicit(&ms->closing, true, memory_order_relaxed);
    yg_event_wait(&ms->merge_idle);
    yg_event_fini(&ms->merge_idle);
    yg_mhead_unref(ms->head);
    yg_mhead_unref(ms->frozen);
    yg_mstore_prune_recent(ms, true);
    yg_mblocks_unref(ms->blocks);
    (void)ZSTD_freeDCtx(atomic_load_explicit(&ms->spare_zstd, memory_order_acquire));
    yg_mlog_close(&ms->log);
    yg_mreg_fini(&ms->reg);
    yg_map_fini(&ms->refused_by_name);
    yg_free(YG_MS_TAG, ms->refused_counters);
    pthread_rwlock_destroy(&ms->state_lock);
    pthread_mutex_destroy(&ms->flush_lock);
    yg_free(YG_MS_TAG, ms->dir);
    ms->magic = 0;
    yg_free(YG_MS_TAG, ms);
}

// ------------------------------------------------------------ applying

// Of the head and of what waits to be written.
void yg_mstore_note_head_bytes(struct yg_mstore *ms) {
    uint64_t bytes = yg_mhead_bytes(ms->head) + (ms->frozen ? yg_mhead_bytes(ms->frozen) : 0);
    atomic_store_explicit(&ms->head_bytes, bytes, memory_order_relaxed);
}

// What times a batch may carry. A point from the far future would keep its block for ever.
struct bounds {
    int64_t min_s, max_s;
};

static struct bounds bounds_now(const struct yg_mstore *ms) {
    struct bounds b = {.min_s = retention_cutoff(ms) * YG_BUCKET_S,
                       .max_s = yg_now_ns(ms->clock) / YG_NS_PER_S + FUTURE_MAX_S};
    if (b.min_s < 0)
        b.min_s = 0;
    if (b.max_s / YG_BUCKET_S >= UINT32_MAX - 1)
        b.max_s = (int64_t)(UINT32_MAX - 2) * YG_BUCKET_S;
    return b;
}

static void apply_point(struct yg_mstore *ms, const struct yg_points *points,
                        const struct yg_point *p, uint32_t id, struct bounds bounds) {
    if (p->ts_s < bounds.min_s || p->ts_s > bounds.max_s) {
        yg_counter_add(ms->refused_time, 1);
        return;
    }
    const struct yg_sketch *sketch = p->sketch >= 0 && (uint32_t)p->sketch < points->sketch_count
                                         ? &points->sketches[p->sketch]
                                         : NULL;
    struct yg_mseries *s = yg_mreg_series(&ms->reg, id);
    bool distribution = s->type == YG_METRIC_DISTRIBUTION;
    if (sketch == NULL ? !isfinite(p->value) : !distribution || !(sketch->count > 0)) {
        yg_counter_add(ms->refused_value, 1);
        return;
    }
    uint32_t bucket = (uint32_t)(p->ts_s / YG_BUCKET_S);
    yg_mhead_add(ms->head, id, (enum yg_metric_type)s->type, bucket, p->value, sketch);
    if (atomic_load_explicit(&s->last_bucket, memory_order_relaxed) < bucket)
        atomic_store_explicit(&s->last_bucket, bucket, memory_order_relaxed);
}

static void count_refused(struct yg_mstore *ms, const struct yg_points *points,
                          const uint32_t *ids) {
    for (uint32_t i = 0; i < points->count; i++) {
        uint32_t series = points->points[i].series;
        if (series < points->series_count && ids[series] >= YG_MS_REFUSED_METRIC)
            yg_mstore_note_refused(ms, points->series[series].name, ids[series], 1);
    }
}

void yg_mstore_apply(struct yg_mstore *ms, const struct yg_points *points) {
    YG_CHECK(ms, YG_MSTORE_MAGIC);
    uint64_t flushed = atomic_load_explicit(&ms->flushed_sequence, memory_order_acquire);
    if (points->sequence != 0 && points->sequence <= flushed)
        return;
    uint32_t *ids = yg_alloc(YG_MS_TAG, (points->series_count + 1) * sizeof(*ids));
    const struct bounds bounds = bounds_now(ms);
    pthread_rwlock_wrlock(&ms->state_lock);
    yg_mreg_resolve(&ms->reg, points->series, points->series_count, ids);
    if (ms->head->point_count == 0)
        ms->head->seq_lo = ms->last_applied + 1;
    uint32_t refused = 0;
    for (uint32_t i = 0; i < points->count; i++) {
        const struct yg_point *p = &points->points[i];
        if (p->series >= points->series_count)
            continue;
        if (ids[p->series] < YG_MS_REFUSED_METRIC)
            apply_point(ms, points, p, ids[p->series], bounds);
        else
            refused++;
    }
    if (refused > 0)
        count_refused(ms, points, ids);
    if (points->sequence > ms->last_applied)
        ms->last_applied = points->sequence;
    ms->head->seq_hi = ms->last_applied;
    yg_mstore_note_head_bytes(ms);
    pthread_rwlock_unlock(&ms->state_lock);
    yg_free(YG_MS_TAG, ids);
}

// ------------------------------------------------------------ flushing

struct order_key {
    uint32_t metric, series;
};

static int cmp_order(const void *a, const void *b) {
    const struct order_key *x = a, *y = b;
    if (x->metric != y->metric)
        return x->metric < y->metric ? -1 : 1;
    return (x->series > y->series) - (x->series < y->series);
}

static yg_rc write_runs(struct yg_mstore *ms, const struct yg_mhead *h,
                        const struct order_key *order, struct yg_mwriter *w, struct yg_err *err) {
    struct yg_mrun run = {0};
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < h->touched_len && rc == YG_OK; i++) {
        pthread_rwlock_rdlock(&ms->reg.lock);
        const struct yg_mseries *s = yg_mreg_series(&ms->reg, order[i].series);
        enum yg_metric_type type = (enum yg_metric_type)s->type;
        pthread_rwlock_unlock(&ms->reg.lock);
        yg_mrun_reset(&run);
        yg_mhead_copy(h, order[i].series, type, 0, UINT32_MAX, &run);
        yg_mrun_settle(&run, type);
        rc = yg_mwriter_run(w, order[i].metric, order[i].series, type, &run, err);
    }
    yg_mrun_fini(&run);
    return rc;
}

static yg_rc write_head(struct yg_mstore *ms, const struct yg_mhead *h,
                        struct yg_mblock **ret_block, struct yg_err *err) {
    struct order_key *order = yg_alloc(YG_MS_TAG, (h->touched_len + 1) * sizeof(*order));
    pthread_rwlock_rdlock(&ms->reg.lock);
    for (uint32_t i = 0; i < h->touched_len; i++)
        order[i] =
            (struct order_key){yg_mreg_series(&ms->reg, h->touched[i])->metric, h->touched[i]};
    pthread_rwlock_unlock(&ms->reg.lock);
    qsort(order, h->touched_len, sizeof(*order), cmp_order);
    const struct yg_mwriter_options options = {.dir = ms->dir,
                                               .seq_lo = h->seq_lo,
                                               .seq_hi = h->seq_hi,
                                               .created_s = yg_now_ns(ms->clock) / YG_NS_PER_S};
    struct yg_mwriter w;
    yg_rc rc = yg_mwriter_open(&w, &options, err);
    if (rc == YG_OK)
        rc = write_runs(ms, h, order, &w, err);
    if (rc == YG_OK)
        rc = yg_mwriter_finish(&w, err);
    if (rc == YG_OK)
        rc = yg_mblock_open(w.path, NULL, NULL, ret_block, err);
    yg_mwriter_fini(&w);
    yg_free(YG_MS_TAG, order);
    return rc;
}

void yg_mstore_replace_blocks(struct yg_mstore *ms, uint32_t at, uint32_t drop,
                              struct yg_mblock *take_block, bool frozen_is_written) {
    struct yg_mblocks *old = ms->blocks;
    struct yg_mblocks *l = yg_mblocks_create(old->count - drop + (take_block != NULL));
    uint32_t n = 0;
    for (uint32_t i = 0; i < at; i++)
        l->blocks[n++] = yg_mblock_ref(old->blocks[i]);
    if (take_block != NULL)
        l->blocks[n++] = take_block;
    for (uint32_t i = at + drop; i < old->count; i++)
        l->blocks[n++] = yg_mblock_ref(old->blocks[i]);
    struct yg_mhead *gone[YG_MS_RECENT_MAX + 1];
    uint32_t gone_count = 0;
    int64_t now_s = yg_now_ns(ms->clock) / YG_NS_PER_S;
    pthread_rwlock_wrlock(&ms->state_lock);
    ms->blocks = l;
    if (frozen_is_written) {
        gone_count = yg_mrecent_put(&ms->recent, ms->frozen, now_s, gone);
        ms->frozen = NULL;
        yg_mstore_note_head_bytes(ms);
    }
    pthread_rwlock_unlock(&ms->state_lock);
    yg_mblocks_unref(old);
    for (uint32_t i = 0; i < gone_count; i++)
        yg_mhead_unref(gone[i]);
    sum_file_bytes(ms);
}

// Freezes the head unless an earlier one still waits to be written. False when there is nothing to
// write.
static bool freeze(struct yg_mstore *ms) {
    struct yg_mhead *fresh = yg_mhead_create();
    pthread_rwlock_wrlock(&ms->state_lock);
    if (ms->frozen == NULL && ms->head->point_count > 0) {
        uint64_t mean = ms->head->point_count / ms->head->touched_len;
        fresh->first_cap = mean < 15 ? (uint32_t)mean + 1 : 16; // as many as last time, and a bit
        ms->frozen = ms->head;
        ms->head = fresh;
        fresh = NULL;
    } else if (ms->frozen == NULL) {
        atomic_store_explicit(&ms->flushed_sequence, ms->last_applied, memory_order_release);
    }
    bool any = ms->frozen != NULL;
    pthread_rwlock_unlock(&ms->state_lock);
    yg_mhead_unref(fresh);
    return any;
}

static yg_rc flush_one(struct yg_mstore *ms, struct yg_err *err) {
    YG_TRY(yg_mlog_append(&ms->log, ms->dir, &ms->reg, err));
    struct yg_mblock *block;
    uint64_t seq_hi = ms->frozen->seq_hi; // only a flush changes `frozen`, and this is the flush
    YG_TRY(write_head(ms, ms->frozen, &block, err));
    yg_mstore_replace_blocks(ms, ms->blocks->count, 0, block, true);
    atomic_store_explicit(&ms->flushed_sequence, seq_hi, memory_order_release);
    return YG_OK;
}

// ------------------------------------------------------------ flush

yg_rc yg_mstore_flush(struct yg_mstore *ms, struct yg_err *err) {
    YG_CHECK(ms, YG_MSTORE_MAGIC);
    pthread_mutex_lock(&ms->flush_lock);
    pthread_rwlock_rdlock(&ms->state_lock);
    uint64_t goal = ms->last_applied;
    pthread_rwlock_unlock(&ms->state_lock);
    yg_rc rc = YG_OK;
    // Twice when an earlier flush had failed: what it froze, then the head.
    for (uint32_t i = 0; i < 2 && rc == YG_OK && freeze(ms); i++) {
        rc = flush_one(ms, err);
        if (rc == YG_OK && yg_mstore_flushed_sequence(ms) >= goal)
            break;
    }
    bool merge = rc == YG_OK && yg_mstore_claim_merge(ms);
    pthread_mutex_unlock(&ms->flush_lock);
    if (rc != YG_OK)
        return yg_err_wrap(err, "metric flush");
    if (merge)
        yg_mstore_start_merge(ms);
    return YG_OK;
}

// ------------------------------------------------------------ retention and figures

// Mostly records of series that are gone.
static bool log_is_stale(struct yg_mstore *ms) {
    pthread_rwlock_rdlock(&ms->reg.lock);
    uint32_t living = ms->reg.series_live + ms->reg.name_len;
    pthread_rwlock_unlock(&ms->reg.lock);
    return ms->log.records / 2 > living + 1000;
}

void yg_mstore_drop_blocks(struct yg_mstore *ms, uint32_t before_bucket) {
    for (uint32_t i = 0; i < ms->blocks->count;) {
        struct yg_mblock *b = ms->blocks->blocks[i];
        // The newest stays: its name tells up to which WAL sequence all is in files.
        if (b->max_bucket >= before_bucket || i + 1 == ms->blocks->count) {
            i++;
            continue;
        }
        (void)yg_mblock_ref(b);
        yg_mstore_replace_blocks(ms, i, 1, NULL, false);
        yg_mstore_prune_recent(ms, true); // its points may be in there
        (void)unlink(b->path);
        yg_mblock_unref(b);
    }
}

void yg_mstore_retain(struct yg_mstore *ms) {
    YG_CHECK(ms, YG_MSTORE_MAGIC);
    if (pthread_mutex_trylock(&ms->flush_lock) != 0)
        return; // a flush is at it: the next call will do
    int64_t now_s = yg_now_ns(ms->clock) / YG_NS_PER_S;
    if (now_s >= ms->retained_s && now_s - ms->retained_s < RETAIN_EVERY_S) {
        pthread_mutex_unlock(&ms->flush_lock);
        return;
    }
    ms->retained_s = now_s;
    int64_t cutoff = retention_cutoff(ms);
    if (cutoff > UINT32_MAX)
        cutoff = 0;
    if (cutoff > 0)
        yg_mstore_drop_blocks(ms, (uint32_t)cutoff);
    yg_mstore_prune_recent(ms, false);
    pthread_rwlock_wrlock(&ms->state_lock); // not between a batch's look-up and its points
    if (cutoff > 0)
        yg_mreg_expire(&ms->reg, (uint32_t)cutoff);
    count_active(ms);
    pthread_rwlock_unlock(&ms->state_lock);
    if (log_is_stale(ms))
        ms->log.broken = true; // the next flush writes it anew
    pthread_mutex_unlock(&ms->flush_lock);
}

uint64_t yg_mstore_flushed_sequence(const struct yg_mstore *ms) {
    return atomic_load_explicit(&ms->flushed_sequence, memory_order_acquire);
}
uint64_t yg_mstore_head_bytes(const struct yg_mstore *ms) {
    return atomic_load_explicit(&ms->head_bytes, memory_order_relaxed);
}
uint64_t yg_mstore_file_bytes(const struct yg_mstore *ms) {
    return atomic_load_explicit(&ms->file_bytes, memory_order_relaxed);
}

uint32_t yg_mstore_series_count(const struct yg_mstore *ms) {
    union { // the lock of a const engine
        const struct yg_mstore *in;
        struct yg_mstore *out;
    } own = {.in = ms};
    pthread_rwlock_rdlock(&own.out->reg.lock);
    uint32_t n = ms->reg.series_live;
    pthread_rwlock_unlock(&own.out->reg.lock);
    return n;
}
