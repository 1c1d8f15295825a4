// SPDX-License-Identifier: Apache-2.0
// Merging metric block files, on the pool's background lane: ten flushes, then twelve of those (two
// hours of traffic), then twelve of those (a day). So a point is written four times at most; files
// of a day carry roll-ups.
//
// Merged are neighbours in the order of WAL sequences, so the result covers one range of sequences
// and takes its sources' place in one rename.

#include "base/log.h"
#include "base/panic.h"
#include "store/mstore_int.h"
#include <unistd.h>

#define SPAN_BUCKETS (86400u / YG_BUCKET_S)

struct merge_source {
    struct yg_mcursor cursor;
    struct yg_mblock *block;
    struct yg_err *first; // damage in any source
    bool live;
};

static bool before(const struct yg_mrunref *a, const struct yg_mrunref *b) {
    return a->metric != b->metric ? a->metric < b->metric : a->series < b->series;
}

static yg_rc merge_runs(struct merge_source *src, uint32_t n, struct yg_mwriter *w,
                        struct yg_err *err) {
    static const struct yg_mrange always = {0, UINT32_MAX};
    struct yg_mrun run = {0};
    yg_rc rc = YG_OK;
    while (rc == YG_OK) {
        const struct yg_mrunref *low = NULL;
        for (uint32_t i = 0; i < n; i++)
            if (src[i].live && (low == NULL || before(&src[i].cursor.run, low)))
                low = &src[i].cursor.run;
        if (low == NULL)
            break;
        uint32_t metric = low->metric, series = low->series;
        enum yg_metric_type type = (enum yg_metric_type)low->type;
        yg_mrun_reset(&run);
        for (uint32_t i = 0; i < n; i++) {
            struct merge_source *s = &src[i];
            while (s->live && s->cursor.run.series == series && s->cursor.run.metric == metric) {
                (void)yg_mcursor_decode(&s->cursor, &always, 1, YG_MS_FIELDS_ALL, &run);
                s->live = yg_mcursor_next(&s->cursor);
            }
        }
        yg_mrun_settle(&run, type);
        rc = yg_mwriter_run(w, metric, series, type, &run, err);
    }
    yg_mrun_fini(&run);
    return rc;
}

// Damage in a source would be lost for good by a merge: it stops instead.
static void stop_on_damage(void *ctx, const struct yg_err *err) {
    struct merge_source *s = ctx;
    atomic_store_explicit(&s->block->damaged, true, memory_order_relaxed);
    if (s->first->rc == YG_OK)
        *s->first = *err;
}

static yg_rc merge_blocks(struct yg_mstore *ms, struct yg_mblock *const *b, uint32_t n,
                          struct yg_mblock **ret_block, struct yg_err *err) {
    const struct yg_mwriter_options options = {.dir = ms->dir,
                                               .level = b[0]->level + 1,
                                               .seq_lo = b[0]->seq_lo,
                                               .seq_hi = b[n - 1]->seq_hi,
                                               .created_s = yg_now_ns(ms->clock) / YG_NS_PER_S};
    struct merge_source *src = yg_calloc(YG_MS_TAG, n, sizeof(*src));
    struct yg_err damage = {0};
    for (uint32_t i = 0; i < n; i++) {
        yg_mcursor_init(&src[i].cursor, b[i], &b[i]->sections[0], YG_MS_NONE,
                        (struct yg_mrange){0, UINT32_MAX});
        src[i].cursor.damage = stop_on_damage;
        src[i].cursor.damage_ctx = &src[i];
        src[i].block = b[i];
        src[i].first = &damage;
        src[i].live = yg_mcursor_next(&src[i].cursor);
    }
    struct yg_mwriter w;
    yg_rc rc = yg_mwriter_open(&w, &options, err);
    if (rc == YG_OK)
        rc = merge_runs(src, n, &w, err);
    if (rc == YG_OK && damage.rc != YG_OK)
        rc = yg_fail(err, damage.rc, "%s", damage.text);
    if (rc == YG_OK)
        rc = yg_mwriter_finish(&w, err);
    if (rc == YG_OK)
        rc = yg_mblock_open(w.path, NULL, NULL, ret_block, err);
    yg_mwriter_fini(&w);
    for (uint32_t i = 0; i < n; i++)
        yg_mcursor_fini(&src[i].cursor);
    yg_free(YG_MS_TAG, src);
    return rc;
}

// Neighbours of one level, enough of them or all of a day: where they begin and how many; 0 = none.
static uint32_t merge_candidate(const struct yg_mstore *ms, const struct yg_mblocks *l,
                                uint32_t *ret_at) {
    for (uint32_t at = 0; at < l->count; at++) {
        const struct yg_mblock *first = l->blocks[at];
        if (first->level >= YG_MS_LEVELS)
            continue;
        int64_t bytes = 0;
        uint32_t n = 0, fan = ms->fan_in[first->level];
        bool full = false; // the next one would make too long a time or too large a file
        for (; n < fan && at + n < l->count && !full; n += !full) {
            const struct yg_mblock *b = l->blocks[at + n];
            if (b->level != first->level || atomic_load_explicit(&b->damaged, memory_order_relaxed))
                break;
            bytes += b->bytes;
            // By the newest point of each: a late one must not look like a long time.
            full =
                bytes > YG_MS_MERGE_MAX_BYTES || (b->max_bucket > first->max_bucket &&
                                                  b->max_bucket - first->max_bucket > SPAN_BUCKETS);
        }
        if (n == fan || (full && n >= 2)) {
            *ret_at = at;
            return n;
        }
    }
    return 0;
}

// Puts a merged block in the place of its sources. False when one of them is gone meanwhile (it
// aged out): then the merge would bring it back, and is thrown away.
static bool publish_merge(struct yg_mstore *ms, struct yg_mblock *const *b, uint32_t n,
                          struct yg_mblock *take_merged) {
    pthread_mutex_lock(&ms->flush_lock);
    const struct yg_mblocks *l = ms->blocks;
    uint32_t at = 0;
    while (at < l->count && l->blocks[at] != b[0])
        at++;
    bool whole =
        at + n <= l->count && memcmp(l->blocks + at, b, n * sizeof(struct yg_mblock *)) == 0;
    if (whole)
        yg_mstore_replace_blocks(ms, at, n, take_merged, false);
    pthread_mutex_unlock(&ms->flush_lock);
    for (uint32_t i = 0; whole && i < n; i++)
        (void)unlink(b[i]->path);
    if (!whole) {
        (void)unlink(take_merged->path);
        yg_mblock_unref(take_merged);
    }
    return whole;
}

static bool merge_once(struct yg_mstore *ms, struct yg_mblocks *l) {
    uint32_t at, n = merge_candidate(ms, l, &at);
    if (n == 0 || atomic_load_explicit(&ms->closing, memory_order_relaxed))
        return false;
    struct yg_err err = {0};
    struct yg_mblock *merged;
    if (merge_blocks(ms, l->blocks + at, n, &merged, &err) != YG_OK) {
        yg_log(YG_LOG_WARN, "store", "metric blocks not merged", YG_KV_C("error", err.text));
        // The damaged source is left out from now on; anything else is tried at the next flush.
        return err.rc == YG_ECORRUPT;
    }
    return publish_merge(ms, l->blocks + at, n, merged);
}

static void merge_job(void *arg) {
    struct yg_mstore *ms = arg;
    bool more = true;
    while (more) {
        pthread_rwlock_rdlock(&ms->state_lock);
        struct yg_mblocks *l = yg_mblocks_ref(ms->blocks);
        pthread_rwlock_unlock(&ms->state_lock);
        more = merge_once(ms, l);
        yg_mblocks_unref(l);
    }
    yg_event_set(&ms->merge_idle);
}

bool yg_mstore_claim_merge(struct yg_mstore *ms) {
    uint32_t at;
    if (merge_candidate(ms, ms->blocks, &at) == 0 || !yg_event_wait_ms(&ms->merge_idle, 0))
        return false;
    yg_event_reset(&ms->merge_idle);
    return true;
}

// On the pool's background lane, so that neither the strand that applies nor a flush waits for it.
void yg_mstore_start_merge(struct yg_mstore *ms) {
    if (ms->pool == NULL)
        merge_job(ms);
    else if (yg_pool_submit(ms->pool, YG_LANE_BACKGROUND, merge_job, ms, NULL) != YG_OK)
        yg_event_set(&ms->merge_idle); // the lane is full: the next flush tries again
}
