// SPDX-License-Identifier: Apache-2.0
// Merges of segment files, in the pool's background lane, one at a time.
//
// The inputs are pinned and read as a query reads them; the output is named in the catalogue as
// pending, written to tmp/, synced, renamed. One transaction then makes it live and the inputs
// dead, and the lists change in one step: a snapshot sees the inputs or the output, never both or
// neither. A dead file is unlinked with its last reader and forgotten by the catalogue afterwards;
// what a crash leaves, pending or dead, the next open removes.
//
// Only the end (and the naming) takes flush_lock. A flush that is wanted meanwhile runs here,
// between two columns: the merge has the worker that it waits for. A chunk that cannot be read
// keeps its file out of merges from then on: damage is neither spread nor hidden.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/panic.h"
#include "store/merge.h"
#include "store/merge_int.h"

#define FAN_IN_DEFAULT 8u
#define QUIET_MS_DEFAULT (INT64_C(3600) * 1000)
#define DECODED_STRIPES_MAX 3u // stripes of rows that a merge decodes and sorts
#define DECODED_ROWS_MAX 1048576u
// What the writer takes for a row of a stripe while a wide column and the ids that its texts lean
// on are decoded: measured on logs of 600 bytes, whose stripes of 524,288 rows did not fit 256 MiB
// and of 262,144 did.
#define STRIPE_BYTES_PER_ROW 900
#define ROWS_MIN 65536u
#define RETRY_NS (INT64_C(30) * YG_NS_PER_S)
#define POLITE_MS 2 // pause where queries wait for a worker

struct merge {
    struct yg_store *store;
    struct yg_merge_plan *plan;
    struct yg_deletion **deletions; // open ones of the track
    uint32_t deletion_count;
    uint64_t *removed;                 // rows, per deletion
    struct yg_trace_versions versions; // whose newest row is in files
    uint64_t *keep[YG_MERGE_INPUTS_MAX];
    uint64_t all_rows, kept_rows;
    struct yg_catalog_segment out; // the output's entry
    bool named;                    // in the catalogue
    bool written;                  // a file
    bool doubtful;                 // the last transaction failed and may have happened all the same
    struct yg_segment *damaged;
    bool too_wide;
};

// ------------------------------------------------------------ manners

// Between two columns. True: give up.
static bool manners(void *ctx) {
    struct yg_store *store = ctx;
    yg_store_flush_waiting(store);
    if (yg_pool_depth(store->o.pool, YG_LANE_INTERACTIVE) > 0) {
        const struct timespec pause = {.tv_nsec = POLITE_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    return atomic_load(&store->merging.stop);
}

// A merge of large stripes takes half of what the store may use. While rows wait in memory it waits
// for the flush, unless many files wait for it.
static bool has_memory(const struct yg_merge_plan *plan) {
    int64_t limit = yg_mem_limit(YG_MEM_STORE);
    return limit <= 0 || plan->rewrite || plan->count >= YG_MERGE_INPUTS_MAX / 2 ||
           yg_mem_used(YG_MEM_STORE) < limit / 3;
}

static bool has_room(struct yg_store *store, const struct yg_merge_plan *plan) {
    int64_t free_bytes, total_bytes;
    uint64_t need = 0;
    struct yg_err err;
    for (uint32_t i = 0; i < plan->count; i++)
        need += plan->inputs[i]->bytes;
    if (yg_file_free_bytes(store->dir, &free_bytes, &total_bytes, &err) != YG_OK)
        return false;
    int64_t reserve = yg_store_disk_reserve(total_bytes, store->o.disk_reserve_ratio);
    bool room = free_bytes - reserve > (int64_t)(need + need / 8);
    bool waited = atomic_exchange(&store->merging.waits_for_disk, !room);
    if (waited == room)
        yg_log(room ? YG_LOG_INFO : YG_LOG_WARN, "store",
               room ? "merges go on" : "merges wait: the disk lacks room",
               YG_KV_INT("need_bytes", need), YG_KV_INT("free_bytes", free_bytes));
    return room;
}

// ------------------------------------------------------------ which rows stay

static uint32_t live_count(const struct yg_block *b) {
    return b->live ? yg_bits_count(b->live, b->row_count) : b->row_count;
}

static yg_rc mask_granule(struct merge *m, struct yg_segment *seg, uint32_t granule,
                          struct yg_arena *arena, struct yg_block **ret_block, struct yg_err *err) {
    YG_TRY(yg_segment_block(seg, granule, arena, ret_block, err));
    struct yg_block *b = *ret_block;
    if (m->versions.len > 0)
        YG_TRY(yg_trace_versions_mask(&m->versions, b, err));
    for (uint32_t i = 0; i < m->deletion_count; i++) {
        uint32_t before = live_count(b);
        YG_TRY(yg_deletions_mask(&m->deletions[i], 1, seg, b, err));
        m->removed[i] += before - live_count(b);
    }
    return YG_OK;
}

static yg_rc mask_input(struct merge *m, struct yg_segment *seg, uint64_t *keep,
                        struct yg_err *err) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_STORE, (size_t)512 << 20);
    uint32_t row = 0;
    if (arena == NULL)
        return yg_fail(err, YG_ENOMEM, "the store's memory is used up");
    for (uint32_t g = 0; g < seg->dir.granule_count; g++) {
        struct yg_block *b;
        yg_arena_reset(arena);
        if (manners(m->store))
            return yg_fail(err, YG_ECANCEL, "the merge was told to stop");
        yg_rc rc = mask_granule(m, seg, g, arena, &b, err);
        if (rc == YG_ECORRUPT)
            m->damaged = seg;
        YG_TRY(rc);
        for (uint32_t r = 0; r < b->row_count; r++, row++)
            if (b->live == NULL || yg_bits_get(b->live, r)) {
                yg_bits_set(keep, row);
                m->kept_rows++;
            }
    }
    return YG_OK;
}

static bool needs_mask(const struct merge *m, const struct yg_segment *seg) {
    bool needs = m->versions.len > 0;
    for (uint32_t i = 0; i < m->deletion_count && !needs; i++)
        needs = yg_deletion_concerns(m->deletions[i], seg);
    return needs;
}

static yg_rc mask_inputs(struct merge *m, struct yg_err *err) {
    for (uint32_t i = 0; i < m->plan->count; i++) {
        struct yg_segment *seg = m->plan->inputs[i];
        m->all_rows += seg->row_count;
        if (!needs_mask(m, seg)) {
            m->kept_rows += seg->row_count;
            continue;
        }
        m->keep[i] = yg_calloc(YG_MEM_STORE, YG_BITS_WORDS(seg->row_count) + 1u, 8);
        YG_TRY(mask_input(m, seg, m->keep[i], err));
    }
    return YG_OK;
}

// A superseded row may go only when the row that took its place is in a file: else a crash would
// lose both.
static void saved_versions(struct merge *m) {
    struct yg_store *store = m->store;
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < store->versions.cap; i++) {
        const struct yg_trace_version *v = &store->versions.slots[i];
        if (v->version && v->saved)
            yg_trace_versions_set(&m->versions, v->id, v->version, v->day, true);
    }
    pthread_mutex_unlock(&store->lists_lock);
}

// ------------------------------------------------------------ writing

static yg_rc take_fault(struct merge *m, const struct yg_merge_source *src, yg_rc rc) {
    if (src->damaged)
        m->damaged = src->damaged;
    m->too_wide |= src->too_wide;
    return rc;
}

static yg_rc write_windows(struct merge *m, struct yg_merge_source *src, struct yg_seg_writer *w,
                           struct yg_err *err) {
    uint32_t most = m->store->merging.stripe_rows;
    uint32_t stripes = (src->kept + most - 1) / most;
    for (uint32_t s = 0; s < stripes; s++) {
        uint32_t from = (uint32_t)((uint64_t)src->kept * s / stripes);
        uint32_t to = (uint32_t)((uint64_t)src->kept * (s + 1) / stripes);
        yg_merge_source_window(src, from, to - from);
        YG_TRY(yg_seg_writer_stripe(w, &src->stripe, err));
    }
    return YG_OK;
}

// Rows of the inputs decoded, sorted together, written as full stripes.
static yg_rc write_sorted(struct merge *m, struct yg_seg_writer *w, struct yg_err *err) {
    struct yg_merge_source src;
    yg_rc rc = yg_merge_source_init(&src, m->plan->inputs, m->plan->count, m->keep, err);
    src.pause = manners;
    src.pause_ctx = m->store;
    if (rc == YG_OK)
        rc = yg_merge_source_sort(&src, err);
    if (rc == YG_OK)
        rc = write_windows(m, &src, w, err);
    rc = take_fault(m, &src, rc);
    yg_merge_source_fini(&src);
    return rc;
}

// One stripe of an input, of which rows are dropped or that cannot be copied.
static yg_rc write_stripe(struct merge *m, struct yg_seg_writer *w, uint32_t input, uint32_t first,
                          uint32_t rows, struct yg_err *err) {
    struct yg_segment *seg = m->plan->inputs[input];
    uint64_t *keep = yg_calloc(YG_MEM_STORE, YG_BITS_WORDS(seg->row_count) + 1u, 8);
    for (uint32_t r = first; r < first + rows; r++)
        if (m->keep[input] == NULL || yg_bits_get(m->keep[input], r))
            yg_bits_set(keep, r);
    struct yg_merge_source src;
    yg_rc rc = yg_merge_source_init(&src, &seg, 1, &keep, err);
    src.pause = manners;
    src.pause_ctx = m->store;
    if (rc == YG_OK)
        rc = write_windows(m, &src, w, err);
    rc = take_fault(m, &src, rc);
    yg_merge_source_fini(&src);
    yg_free(YG_MEM_STORE, keep);
    return rc;
}

static bool all_kept(const struct merge *m, uint32_t input, uint32_t first, uint32_t rows) {
    bool all = true;
    for (uint32_t r = first; m->keep[input] && r < first + rows && all; r++)
        all = yg_bits_get(m->keep[input], r);
    return all;
}

// Stripe after stripe in the order they have; as they stand where no row of them is dropped.
static yg_rc write_in_turn(struct merge *m, struct yg_seg_writer *w, struct yg_err *err) {
    for (uint32_t i = 0; i < m->plan->count; i++) {
        struct yg_segment *seg = m->plan->inputs[i];
        uint32_t first = 0;
        for (uint32_t s = 0; s < seg->dir.stripe_count; s++) {
            uint32_t rows = seg->dir.stripes[s].row_count;
            yg_rc rc = YG_EINPUT;
            if (manners(m->store))
                return yg_fail(err, YG_ECANCEL, "the merge was told to stop");
            if (all_kept(m, i, first, rows))
                rc = yg_seg_writer_copy_stripe(w, seg, s, err);
            if (rc == YG_EINPUT) // of an earlier version, or rows are dropped
                rc = write_stripe(m, w, i, first, rows, err);
            if (rc == YG_ECORRUPT)
                m->damaged = seg;
            YG_TRY(rc);
            first += rows;
        }
    }
    return YG_OK;
}

static yg_rc write_temp(struct merge *m, const char *path, struct yg_err *err) {
    int fd;
    YG_TRY(yg_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    struct yg_seg_writer_options options = {
        .track = m->out.track,
        .index_id = m->out.index_id,
        .day = m->out.day,
        .segment_id = m->out.id,
        .max_sequence = m->out.max_sequence,
        .final = m->plan->level >= YG_MERGE_LEVEL_LAST,
        .fd = fd,
    };
    struct yg_seg_writer *w = yg_seg_writer_create(&options);
    struct yg_seg_summary sum;
    yg_rc rc =
        m->plan->copy || m->plan->rewrite ? write_in_turn(m, w, err) : write_sorted(m, w, err);
    if (rc == YG_OK)
        rc = yg_seg_writer_finish(w, &sum, err);
    yg_seg_writer_destroy(w);
    if (rc == YG_OK)
        rc = yg_file_sync(fd, err);
    yg_file_close(&fd);
    if (rc != YG_OK)
        return rc;
    m->out.rows = sum.row_count;
    m->out.bytes = sum.bytes;
    m->out.granules = sum.granule_count;
    m->out.min_time_ns = sum.min_time_ns;
    m->out.max_time_ns = sum.max_time_ns;
    if (sum.row_count != m->kept_rows)
        return yg_fail(err, YG_EINTERNAL, "a merge of %llu rows wrote %llu",
                       (unsigned long long)m->kept_rows, (unsigned long long)sum.row_count);
    return YG_OK;
}

static yg_rc pend(struct merge *m, struct yg_err *err) {
    struct yg_store *store = m->store;
    m->out.id = atomic_fetch_add(&store->next_segment_id, 1);
    pthread_mutex_lock(&store->flush_lock);
    yg_rc rc = store->doubt_count ? yg_fail(err, YG_ECANCEL,
                                            "a flush has to settle first what the catalogue holds")
                                  : yg_catalog_pend(store->catalog, &m->out, 1, err);
    pthread_mutex_unlock(&store->flush_lock);
    return rc;
}

static yg_rc write_output(struct merge *m, struct yg_err *err) {
    struct yg_store *store = m->store;
    char temp[4096], path[4096];
    YG_TRY(pend(m, err));
    m->named = true;
    (void)snprintf(temp, sizeof(temp), "%s/%016llx.seg", store->dir_tmp,
                   (unsigned long long)m->out.id);
    yg_store_file_path(store, m->out.track, m->out.day, m->out.id, path, sizeof(path));
    yg_rc rc = write_temp(m, temp, err);
    if (rc == YG_OK)
        rc = yg_file_rename(temp, path, err);
    if (rc == YG_OK)
        rc = yg_file_sync_dir(store->dir_segments, err);
    m->written = rc == YG_OK;
    if (rc != YG_OK)
        (void)unlink(temp);
    return rc;
}

// ------------------------------------------------------------ publication

static bool all_listed(struct yg_store *store, const struct yg_merge_plan *plan) {
    const struct yg_seg_list *list = &store->files[plan->inputs[0]->track];
    uint32_t found = 0;
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < list->count; i++)
        for (uint32_t k = 0; k < plan->count; k++)
            found += list->segs[i] == plan->inputs[k];
    pthread_mutex_unlock(&store->lists_lock);
    return found == plan->count;
}

// Traces that were deleted meanwhile are known by their files: the output would show them again.
static bool deletions_changed(struct merge *m) {
    struct yg_deletion **now;
    uint32_t n = yg_deletions_open(m->store, m->out.track, &now);
    bool changed =
        m->out.track == YG_TRACK_TRACES && n > 0 &&
        (m->deletion_count == 0 || now[n - 1]->id != m->deletions[m->deletion_count - 1]->id);
    for (uint32_t i = 0; i < n; i++)
        yg_deletion_unref(now[i]);
    yg_free(YG_MEM_STORE, now);
    return changed;
}

// Lists: the inputs go, the output comes.
static void swap_lists(struct merge *m) {
    struct yg_store *store = m->store;
    struct yg_segment *seg = m->written ? yg_store_file_of(store, &m->out) : NULL;
    for (uint32_t i = 0; i < m->deletion_count; i++)
        atomic_fetch_add(&m->deletions[i]->rows, m->removed[i]);
    yg_store_replace(store, m->plan->inputs, m->plan->count, seg);
    yg_segment_unref(seg);
}

static yg_rc publish_locked(struct merge *m, struct yg_err *err) {
    struct yg_store *store = m->store;
    if (!all_listed(store, m->plan)) // retention was faster
        return yg_fail(err, YG_ECANCEL, "an input of the merge was dropped meanwhile");
    if (deletions_changed(m))
        return yg_fail(err, YG_ECANCEL, "rows of an input were deleted meanwhile");
    uint64_t gone[YG_MERGE_INPUTS_MAX];
    for (uint32_t i = 0; i < m->plan->count; i++)
        gone[i] = m->plan->inputs[i]->id;
    struct yg_catalog_change change = {
        .gone = gone,
        .gone_count = m->plan->count,
        .add = &m->out,
        .add_count = m->written,
    };
    yg_rc rc = yg_catalog_change(store->catalog, &change, err);
    m->doubtful = rc != YG_OK;
    YG_TRY(rc);
    swap_lists(m);
    return YG_OK;
}

// Nothing of the file is to go: only the note that it is clean.
static yg_rc note_clean(struct merge *m, struct yg_err *err) {
    struct yg_segment *seg = m->plan->inputs[0];
    struct yg_catalog_segment entry = yg_store_entry(seg);
    entry.deletion = m->out.deletion;
    struct yg_catalog_change change = {.add = &entry, .add_count = 1};
    if (!all_listed(m->store, m->plan))
        return yg_fail(err, YG_ECANCEL, "the file was dropped meanwhile");
    YG_TRY(yg_catalog_change(m->store->catalog, &change, err));
    atomic_store(&seg->deletion, entry.deletion);
    return YG_OK;
}

static yg_rc publish(struct merge *m, struct yg_err *err) {
    struct yg_store *store = m->store;
    bool clean = m->plan->rewrite && m->kept_rows == m->all_rows;
    pthread_mutex_lock(&store->flush_lock);
    yg_rc rc = clean ? note_clean(m, err) : publish_locked(m, err);
    if (rc == YG_OK)
        yg_deletions_finish(store);
    pthread_mutex_unlock(&store->flush_lock);
    return rc;
}

// The output does not come: its file and its name go.
static void abandon(struct merge *m) {
    struct yg_store *store = m->store;
    char path[4096];
    struct yg_err err;
    yg_store_file_path(store, m->out.track, m->out.day, m->out.id, path, sizeof(path));
    pthread_mutex_lock(&store->flush_lock);
    if (m->doubtful) {
        yg_store_doubt(store, m->out.id, path);
        pthread_mutex_unlock(&store->flush_lock);
        return;
    }
    (void)unlink(path);
    if (yg_catalog_forget(store->catalog, &m->out.id, 1, &err) != YG_OK)
        yg_log(YG_LOG_DEBUG, "store", "an unfinished merge stays named until the next start",
               YG_KV_C("why", err.text));
    pthread_mutex_unlock(&store->flush_lock);
}

// ------------------------------------------------------------ one merge

static void describe_output(struct merge *m) {
    const struct yg_merge_plan *plan = m->plan;
    const struct yg_segment *first = plan->inputs[0];
    m->out = (struct yg_catalog_segment){
        .track = first->track,
        .index_id = first->index_id,
        .day = first->day,
        .level = plan->level,
        .deletion = UINT64_MAX,
    };
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct yg_segment *seg = plan->inputs[i];
        if (seg->max_sequence > m->out.max_sequence)
            m->out.max_sequence = seg->max_sequence;
        // What was applied to every input; the open ones are applied now.
        uint64_t applied = atomic_load(&seg->deletion);
        if (applied < m->out.deletion)
            m->out.deletion = applied;
    }
    if (m->deletion_count && m->deletions[m->deletion_count - 1]->id > m->out.deletion)
        m->out.deletion = m->deletions[m->deletion_count - 1]->id;
}

static yg_rc load_inputs(struct merge *m, struct yg_err *err) {
    for (uint32_t i = 0; i < m->plan->count; i++) {
        struct yg_segment *seg = m->plan->inputs[i];
        yg_rc rc = yg_segment_load(seg, err);
        if (rc == YG_ECORRUPT)
            m->damaged = seg;
        YG_TRY(rc);
    }
    return YG_OK;
}

static yg_rc merge_steps(struct merge *m, struct yg_err *err) {
    YG_TRY(load_inputs(m, err));
    m->deletion_count = yg_deletions_open(m->store, m->plan->inputs[0]->track, &m->deletions);
    if (m->plan->inputs[0]->track == YG_TRACK_TRACES)
        saved_versions(m);
    m->removed = yg_calloc(YG_MEM_STORE, m->deletion_count + 1u, sizeof(*m->removed));
    describe_output(m);
    YG_TRY(mask_inputs(m, err));
    bool clean = m->plan->rewrite && m->kept_rows == m->all_rows;
    yg_rc rc = YG_OK;
    if (m->kept_rows > 0 && !clean)
        rc = write_output(m, err);
    if (rc == YG_OK)
        rc = publish(m, err);
    if (rc != YG_OK && m->named)
        abandon(m);
    return rc;
}

static void count_merge(struct merge *m) {
    struct yg_merging *g = &m->store->merging;
    uint64_t rows = m->written ? m->out.rows : 0, bytes = m->written ? m->out.bytes : 0;
    atomic_fetch_add(m->plan->rewrite ? &g->rows_rewritten : &g->rows_merged, rows);
    atomic_fetch_add(m->plan->rewrite ? &g->bytes_rewritten : &g->bytes_merged, bytes);
    atomic_fetch_add(&g->rows_dropped, m->all_rows - m->kept_rows);
    atomic_fetch_add(&g->merges, 1);
}

static void note_failure(struct merge *m, yg_rc rc, const struct yg_err *err) {
    struct yg_merging *g = &m->store->merging;
    if (rc == YG_ECANCEL)
        return;
    atomic_fetch_add(&g->failures, 1);
    if (m->damaged) {
        atomic_store(&m->damaged->keep_out, true);
        atomic_fetch_add(&g->kept_out, 1);
        atomic_fetch_add(&m->store->damaged, 1);
        yg_log(YG_LOG_ERROR, "store", "a damaged file is left out of merges",
               YG_KV_C("why", err->text));
        return;
    }
    if ((m->too_wide || rc == YG_ENOMEM || rc == YG_ELIMIT) && g->stripe_rows > ROWS_MIN / 2) {
        g->stripe_rows /= 2; // until the next start: what is decoded at once follows it
        g->rows_max /= 2;
    }
    if (m->too_wide)
        return;
    atomic_store(&g->failed_mono_ns, yg_mono_ns(m->store->o.clock));
    yg_log(YG_LOG_WARN, "store", "merge failed; tried again later", YG_KV_C("why", err->text));
}

static int64_t thread_cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * YG_NS_PER_S + t.tv_nsec;
}

// Takes the plan's references.
static yg_rc run(struct yg_store *store, struct yg_merge_plan *plan, struct yg_err *err) {
    struct merge m = {.store = store, .plan = plan};
    int64_t cpu_ns = thread_cpu_ns(), now = yg_mono_ns(store->o.clock);
    for (uint32_t i = 0; i < plan->count; i++)
        atomic_fetch_add_explicit(&plan->inputs[i]->users, 1, memory_order_acq_rel);
    yg_rc rc = merge_steps(&m, err);
    if (rc == YG_OK)
        count_merge(&m);
    else
        note_failure(&m, rc, err);
    if (rc == YG_OK)
        yg_log(YG_LOG_DEBUG, "store", "merged", YG_KV_C("track", yg_track_name(m.out.track)),
               YG_KV_INT("files", plan->count), YG_KV_INT("rows", m.out.rows),
               YG_KV_INT("level", plan->level));
    for (uint32_t i = 0; i < plan->count; i++) {
        atomic_store_explicit(&plan->inputs[i]->used_mono_ns, now, memory_order_relaxed);
        atomic_fetch_sub_explicit(&plan->inputs[i]->users, 1, memory_order_acq_rel);
        yg_free(YG_MEM_STORE, m.keep[i]);
        yg_segment_unref(plan->inputs[i]);
    }
    for (uint32_t i = 0; i < m.deletion_count; i++)
        yg_deletion_unref(m.deletions[i]);
    yg_free(YG_MEM_STORE, m.deletions);
    yg_free(YG_MEM_STORE, m.removed);
    yg_free(YG_MEM_TRACES, m.versions.slots);
    atomic_fetch_add(&store->merging.cpu_ns, thread_cpu_ns() - cpu_ns);
    return rc;
}

// ------------------------------------------------------------ when

void yg_store_merge_init(struct yg_store *store) {
    struct yg_merging *g = &store->merging;
    struct yg_store_options *o = &store->o;
    pthread_mutex_init(&g->lock, NULL);
    if (o->merge_stripe_rows == 0 || o->merge_stripe_rows > YG_COLUMNS_ROWS_MAX)
        o->merge_stripe_rows = YG_COLUMNS_ROWS_MAX;
    o->merge_fan_in = o->merge_fan_in ? o->merge_fan_in : FAN_IN_DEFAULT;
    o->merge_quiet_ms = o->merge_quiet_ms ? o->merge_quiet_ms : QUIET_MS_DEFAULT;
    g->stripe_rows = o->merge_stripe_rows;
    int64_t room = yg_mem_limit(YG_MEM_STORE);
    while (room > 0 && g->stripe_rows > ROWS_MIN &&
           (int64_t)g->stripe_rows * STRIPE_BYTES_PER_ROW > room)
        g->stripe_rows /= 2;
    g->rows_max = g->stripe_rows * DECODED_STRIPES_MAX;
    if (g->rows_max > DECODED_ROWS_MAX)
        g->rows_max = DECODED_ROWS_MAX;
}

static bool next(struct yg_store *store, bool over, struct yg_merge_plan *ret_plan) {
    const struct yg_merge_limits limits = {
        .fan_in = store->o.merge_fan_in,
        .stripe_rows = store->merging.stripe_rows,
        .rows_max = store->merging.rows_max,
        .today = yg_day_of_ns(yg_now_ns(store->o.clock)),
        .mono_ns = yg_mono_ns(store->o.clock),
        .quiet_ns = store->o.merge_quiet_ms * YG_NS_PER_MS,
        .finish = over,
    };
    return yg_merge_plan_next(store, &limits, ret_plan);
}

static void plan_drop(struct yg_merge_plan *plan) {
    for (uint32_t i = 0; i < plan->count; i++)
        yg_segment_unref(plan->inputs[i]);
}

yg_rc yg_store_merge_now(struct yg_store *store, bool over, struct yg_err *err) {
    struct yg_merge_plan plan;
    yg_rc rc = YG_OK;
    uint32_t smaller = 0;
    pthread_mutex_lock(&store->merging.lock);
    while (rc == YG_OK && next(store, over, &plan)) {
        rc = run(store, &plan, err);
        if (rc == YG_ECORRUPT || (rc == YG_ELIMIT && smaller++ < 8)) // noted: the next plan differs
            rc = YG_OK;
    }
    pthread_mutex_unlock(&store->merging.lock);
    return rc;
}

static void merge_job(void *arg) {
    struct yg_store *store = arg;
    struct yg_merge_plan plan;
    struct yg_err err = {0};
    pthread_mutex_lock(&store->merging.lock);
    if (!atomic_load(&store->merging.stop) && next(store, false, &plan)) {
        if (!has_memory(&plan)) {
            plan_drop(&plan); // the next second will do
        } else if (has_room(store, &plan)) {
            (void)run(store, &plan, &err); // noted there
        } else {
            plan_drop(&plan);
            atomic_store(&store->merging.failed_mono_ns, yg_mono_ns(store->o.clock));
        }
    }
    pthread_mutex_unlock(&store->merging.lock);
    atomic_store(&store->merging.queued, false);
    atomic_fetch_sub(&store->jobs, 1);
}

void yg_store_merge_if_due(struct yg_store *store) {
    struct yg_merging *g = &store->merging;
    struct yg_merge_plan plan;
    int64_t now = yg_mono_ns(store->o.clock);
    if (atomic_load(&g->queued) || atomic_load(&g->stop) ||
        (atomic_load(&g->failed_mono_ns) && now - atomic_load(&g->failed_mono_ns) < RETRY_NS) ||
        !next(store, false, &plan))
        return;
    plan_drop(&plan); // chosen again by the job: until then much may change
    atomic_store(&g->failed_mono_ns, 0);
    atomic_store(&g->queued, true);
    atomic_fetch_add(&store->jobs, 1);
    if (yg_pool_submit(store->o.pool, YG_LANE_BACKGROUND, merge_job, store, NULL) != YG_OK) {
        atomic_store(&g->queued, false);
        atomic_fetch_sub(&store->jobs, 1);
    }
}
