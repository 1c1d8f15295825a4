// SPDX-License-Identifier: Apache-2.0
// Memory segments to files.
//
// A flush begins with a cut: while no frame can be handed on, every shard's strand gets a job that
// seals its builders and saves its open traces. So what stands before the cut is exactly the frames
// up to number W in every shard. Then, without holding anybody up: the segments before the cut are
// joined, sorted and written to tmp/, synced, renamed; the open traces go to a checkpoint file; the
// catalogue names all of it and W in one transaction; the lists change; WAL files up to W go.
// A crash before the transaction leaves orphans, which the next open removes, and the rows in the
// WAL; a crash after it leaves WAL files whose frames are skipped by number.
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/panic.h"
#include "store/store_int.h"

#define SMALL_BYTES (4u << 20)
#define SMALL_FACTOR 10
#define WAL_FACTOR 2 // a log that grew by so many flushes is long to replay
#define GROUP_BYTES_MIN (1u << 20)
#define RETRY_NS (INT64_C(5) * YG_NS_PER_S)

struct cut_job {
    struct yg_shard *shard;
    struct yg_buf open_traces;
    yg_rc rc;
    struct yg_err err;
};

struct flush {
    struct yg_store *store;
    uint64_t low_water;                  // W
    struct cut_job *cuts;                // per shard
    struct yg_catalog_segment *segments; // written
    struct yg_segment **files;           // the same, as objects
    uint32_t count, cap, file_cap;
    struct yg_catalog_version *versions;
    uint32_t version_count, version_cap;
    struct yg_segment **gone[YG_TRACK_COUNT];
    uint32_t gone_count[YG_TRACK_COUNT];
    char checkpoint[64];
    bool doubtful; // the transaction failed and may have happened all the same
};

// ------------------------------------------------------------ cut

static void cut(void *arg) {
    struct cut_job *job = arg;
    struct yg_shard *sh = job->shard;
    for (int t = 0; t < YG_TRACK_COUNT && job->rc == YG_OK; t++)
        job->rc = yg_shard_seal(sh, (enum yg_track)t, true, &job->err);
    if (job->rc != YG_OK)
        return;
    yg_traces_save(sh->traces, &job->open_traces);
    if (job->open_traces.failed) {
        job->rc = yg_fail(&job->err, YG_ENOMEM, "no memory to save the open traces");
        return;
    }
    struct yg_store *store = sh->store;
    pthread_mutex_lock(&store->lists_lock);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        for (uint32_t i = 0; i < store->memory[t].count; i++)
            if (store->memory[t].segs[i]->shard == sh->idx)
                store->memory[t].segs[i]->cut = true;
    pthread_mutex_unlock(&store->lists_lock);
}

static void nothing(void *arg) {
    (void)arg;
}

static yg_rc cut_all(struct flush *f, struct yg_err *err) {
    struct yg_store *store = f->store;
    f->cuts = yg_calloc(YG_MEM_STORE, store->shard_count, sizeof(*f->cuts));
    for (uint32_t s = 0; s < store->shard_count; s++) {
        f->cuts[s].shard = &store->shards[s];
        f->cuts[s].open_traces = YG_BUF(YG_MEM_BASE, (size_t)1 << 30);
    }
    pthread_mutex_lock(&store->dispatch_lock);
    f->low_water = store->dispatched;
    for (uint32_t s = 0; s < store->shard_count; s++)
        yg_strand_force(store->shards[s].strand, cut, &f->cuts[s]);
    pthread_mutex_unlock(&store->dispatch_lock);
    for (uint32_t s = 0; s < store->shard_count; s++)
        yg_strand_call(store->shards[s].strand, nothing, NULL);
    for (uint32_t s = 0; s < store->shard_count; s++)
        if (f->cuts[s].rc != YG_OK) {
            *err = f->cuts[s].err;
            return f->cuts[s].rc;
        }
    return YG_OK;
}

static uint32_t collect(struct flush *f) {
    struct yg_store *store = f->store;
    uint32_t total = 0;
    pthread_mutex_lock(&store->lists_lock);
    for (int t = 0; t < YG_TRACK_COUNT; t++) {
        const struct yg_seg_list *list = &store->memory[t];
        f->gone[t] = yg_calloc(YG_MEM_STORE, list->count + 1u, sizeof(struct yg_segment *));
        for (uint32_t i = 0; i < list->count; i++)
            if (list->segs[i]->cut)
                f->gone[t][f->gone_count[t]++] = list->segs[i];
        total += f->gone_count[t];
    }
    pthread_mutex_unlock(&store->lists_lock);
    return total;
}

// ------------------------------------------------------------ files

static yg_rc write_stripes(struct yg_seg_writer *w, const struct yg_columns *cs,
                           const uint32_t *order, uint32_t count, struct yg_seg_summary *ret_sum,
                           struct yg_err *err) {
    for (uint32_t at = 0; at < count; at += YG_COLUMNS_ROWS_MAX) {
        uint32_t n = count - at < YG_COLUMNS_ROWS_MAX ? count - at : YG_COLUMNS_ROWS_MAX;
        YG_TRY(yg_seg_writer_columns(w, cs, order + at, n, err));
    }
    return yg_seg_writer_finish(w, ret_sum, err);
}

// The rows of one day into tmp/, synced.
static yg_rc write_temp(struct flush *f, const char *path, const struct yg_columns *cs,
                        const uint32_t *order, const struct yg_columns_run *run, uint64_t id,
                        struct yg_seg_summary *ret_sum, struct yg_err *err) {
    int fd;
    YG_TRY(yg_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    struct yg_seg_writer_options options = {
        .track = cs->track,
        .day = run->day,
        .segment_id = id,
        .max_sequence = f->low_water,
        .fd = fd,
    };
    struct yg_seg_writer *w = yg_seg_writer_create(&options);
    yg_rc rc = write_stripes(w, cs, order + run->first, run->count, ret_sum, err);
    yg_seg_writer_destroy(w);
    if (rc == YG_OK)
        rc = yg_file_sync(fd, err);
    yg_file_close(&fd);
    return rc == YG_OK ? rc : yg_err_wrap(err, "%s", path);
}

static yg_rc write_file(struct flush *f, const struct yg_columns *cs, const uint32_t *order,
                        const struct yg_columns_run *run, struct yg_err *err) {
    struct yg_store *store = f->store;
    char temp[4096], path[4096];
    uint64_t id = atomic_fetch_add(&store->next_segment_id, 1);
    (void)snprintf(temp, sizeof(temp), "%s/%016llx.seg", store->dir_tmp, (unsigned long long)id);
    yg_store_file_path(store, cs->track, run->day, id, path, sizeof(path));
    struct yg_seg_summary sum;
    yg_rc rc = write_temp(f, temp, cs, order, run, id, &sum, err);
    if (rc == YG_OK)
        rc = yg_file_rename(temp, path, err);
    if (rc != YG_OK) {
        (void)unlink(temp);
        return rc;
    }
    YG_GROW(YG_MEM_STORE, f->segments, f->count, f->cap);
    YG_GROW(YG_MEM_STORE, f->files, f->count, f->file_cap);
    struct yg_catalog_segment *entry = &f->segments[f->count];
    *entry = (struct yg_catalog_segment){
        .id = id,
        .track = cs->track,
        .day = run->day,
        .level = 1,
        .rows = sum.row_count,
        .bytes = sum.bytes,
        .granules = sum.granule_count,
        .min_time_ns = sum.min_time_ns,
        .max_time_ns = sum.max_time_ns,
        .max_sequence = f->low_water,
        .deletion = store->settled[cs->track],
    };
    f->files[f->count++] = yg_store_file_of(store, entry);
    atomic_fetch_add(&store->rows_flushed, sum.row_count);
    atomic_fetch_add(&store->bytes_flushed, sum.bytes);
    return YG_OK;
}

// Versions that supersede stored rows and that this file makes durable.
static void note_versions(struct flush *f, const struct yg_columns *cs) {
    struct yg_store *store = f->store;
    const struct yg_column *ids = yg_columns_find(cs, YG_STR(YG_COL_TRACE_ID), YG_T_ID);
    const struct yg_column *versions = yg_columns_find(cs, YG_STR(YG_COL_VERSION), YG_T_I64);
    const struct yg_column *time = yg_columns_find(cs, YG_STR(YG_COL_TIME), YG_T_I64);
    if (cs->track != YG_TRACK_TRACES || ids == NULL || versions == NULL || time == NULL ||
        ids->count != versions->count || ids->count != time->count)
        return;
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t k = 0; k < ids->count && store->versions.len > 0; k++) {
        uint64_t newest = yg_trace_versions_get(&store->versions, ids->ids[k]);
        if (newest == 0 || newest != (uint64_t)versions->i64[k])
            continue;
        YG_GROW(YG_MEM_STORE, f->versions, f->version_count, f->version_cap);
        f->versions[f->version_count++] =
            (struct yg_catalog_version){ids->ids[k], newest, yg_day_of_ns(time->i64[k])};
    }
    pthread_mutex_unlock(&store->lists_lock);
}

static yg_rc write_set(struct flush *f, struct yg_columns *cs, struct yg_err *err) {
    uint32_t *order;
    struct yg_columns_run *runs;
    uint32_t run_count;
    YG_TRY(yg_columns_sort(cs, &order, &runs, &run_count, err));
    note_versions(f, cs);
    for (uint32_t i = 0; i < run_count; i++)
        YG_TRY(write_file(f, cs, order, &runs[i], err));
    return YG_OK;
}

// Some memory segments of a track, joined and written by day.
static yg_rc write_group(struct flush *f, enum yg_track track, struct yg_segment **segs, uint32_t n,
                         struct yg_err *err) {
    struct yg_columns *cs = yg_columns_create(track, YG_MEM_STORE, (size_t)2 << 30);
    if (cs == NULL)
        return yg_fail(err, YG_ENOMEM, "the store's memory is used up");
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < n && rc == YG_OK; i++)
        rc = yg_columns_want_segment(cs, segs[i], err);
    if (rc == YG_OK)
        rc = yg_columns_alloc(cs, err);
    for (uint32_t i = 0; i < n && rc == YG_OK; i++)
        rc = yg_columns_add_segment(cs, segs[i], NULL, err);
    if (rc == YG_OK && cs->row_count > 0)
        rc = write_set(f, cs, err);
    yg_columns_destroy(cs);
    return rc;
}

static yg_rc write_track(struct flush *f, enum yg_track track, struct yg_err *err) {
    for (uint32_t from = 0; from < f->gone_count[track];) {
        uint64_t rows = 0, bytes = 0;
        uint32_t to = from;
        for (; to < f->gone_count[track]; to++) {
            const struct yg_segment *seg = f->gone[track][to];
            if (to > from && (rows + seg->row_count > YG_COLUMNS_ROWS_MAX ||
                              bytes + seg->bytes > f->store->flush_group_bytes))
                break;
            rows += seg->row_count;
            bytes += seg->bytes;
        }
        YG_TRY(write_group(f, track, f->gone[track] + from, to - from, err));
        from = to;
    }
    return YG_OK;
}

static yg_rc write_checkpoint(struct flush *f, struct yg_err *err) {
    struct yg_store *store = f->store;
    YG_AUTO(yg_buf) all = YG_BUF(YG_MEM_BASE, (size_t)1 << 30);
    for (uint32_t s = 0; s < store->shard_count; s++)
        yg_buf_puts(&all, yg_buf_str(&f->cuts[s].open_traces));
    if (yg_buf_ok(&all, err) != YG_OK)
        return yg_fail(err, YG_ENOMEM, "no memory to save the open traces");
    if (all.len == 0)
        return YG_OK;
    char path[4096];
    (void)snprintf(f->checkpoint, sizeof(f->checkpoint), "open-traces-%llu.%llu",
                   (unsigned long long)f->low_water,
                   (unsigned long long)atomic_fetch_add(&store->next_segment_id, 1));
    (void)snprintf(path, sizeof(path), "%s/%s", store->dir_segments, f->checkpoint);
    return yg_file_replace(path, yg_buf_str(&all), err);
}

// ------------------------------------------------------------ metrics

static void drained(void *arg) {
    (void)arg;
}

// Points up to the cut stand in the strand's queue before this call: they are applied first. The
// writing itself goes on beside the strand, so that queries and later points do not wait for it.
static void metrics_to_files(struct flush *f) {
    struct yg_err err = {0};
    yg_strand_call(f->store->metrics_strand, drained, NULL);
    if (yg_mstore_flush(f->store->mstore, &err) == YG_OK)
        f->store->metrics_flushed = f->low_water;
    else
        yg_log(YG_LOG_WARN, "store", "metrics not written; the log keeps them",
               YG_KV_C("why", err.text));
}

// ------------------------------------------------------------ publication

static yg_rc publish(struct flush *f, struct yg_err *err) {
    struct yg_store *store = f->store;
    struct yg_catalog_publication p = {
        .segments = f->segments,
        .segment_count = f->count,
        .versions = f->versions,
        .version_count = f->version_count,
        .shard_count = store->shard_count,
        .low_water = f->low_water,
        .metrics_low_water = store->metrics_flushed,
        .checkpoint = f->checkpoint,
    };
    if (f->count || f->checkpoint[0])
        YG_TRY(yg_file_sync_dir(store->dir_segments, err));
    yg_rc rc = store->doubt_count ? yg_store_settle(store, &p, err)
                                  : yg_catalog_publish(store->catalog, &p, err);
    f->doubtful = rc != YG_OK;
    YG_TRY(rc);
    uint32_t at = 0;
    for (int t = 0; t < YG_TRACK_COUNT; t++) {
        struct yg_publication lists = {
            .track = (enum yg_track)t, .gone = f->gone[t], .gone_count = f->gone_count[t]};
        lists.add_files = f->files + at;
        while (at < f->count && f->segments[at].track == (enum yg_track)t) {
            at++;
            lists.add_count++;
        }
        if (lists.gone_count || lists.add_count)
            yg_store_publish(store, &lists);
    }
    YG_ASSERT(at == f->count);
    store->flushed = f->low_water;
    return YG_OK;
}

static void remove_checkpoint(struct yg_store *store, const char *name) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", store->dir_segments, name);
    (void)unlink(path);
}

// Of a flush that failed.
static void end_checkpoint(struct flush *f) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", f->store->dir_segments, f->checkpoint);
    if (f->doubtful)
        yg_store_doubt(f->store, 0, path);
    else
        (void)unlink(path);
}

// WAL files of which everything is in files; while the log is replayed they stay.
static void release_log(struct yg_store *store) {
    struct yg_wal *wal = atomic_load(&store->wal);
    if (wal == NULL)
        return;
    uint64_t done =
        store->flushed < store->metrics_flushed ? store->flushed : store->metrics_flushed;
    yg_wal_release(wal, done);
    atomic_store(&store->wal_bytes_flushed, yg_wal_file_bytes(wal));
}

static void after(struct flush *f) {
    struct yg_store *store = f->store;
    if (store->checkpoint[0] && strcmp(store->checkpoint, f->checkpoint) != 0)
        remove_checkpoint(store, store->checkpoint);
    memcpy(store->checkpoint, f->checkpoint, sizeof(store->checkpoint));
    release_log(store);
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < f->version_count; i++) {
        const struct yg_catalog_version *v = &f->versions[i];
        if (yg_trace_versions_get(&store->versions, v->id) == v->version) // no newer one since
            yg_trace_versions_set(&store->versions, v->id, v->version, v->day, true);
    }
    pthread_mutex_unlock(&store->lists_lock);
}

static yg_rc flush_steps(struct flush *f, struct yg_err *err) {
    struct yg_store *store = f->store;
    if (store->doubt_count) // no more files before the catalogue takes a transaction
        YG_TRY(yg_catalog_forget(store->catalog, NULL, 0, err));
    atomic_store(&store->oldest_memory_mono_ns, 0); // what comes from now on is for the next one
    YG_TRY(cut_all(f, err));
    if (collect(f) == 0 && f->low_water == store->flushed &&
        yg_mstore_head_bytes(store->mstore) == 0 && store->doubt_count == 0) {
        release_log(store); // a flush during replay could not
        return YG_OK;
    }
    pthread_mutex_lock(&store->lists_lock);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        store->settled[t] = yg_deletions_settled(store, (enum yg_track)t);
    pthread_mutex_unlock(&store->lists_lock);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        YG_TRY(write_track(f, (enum yg_track)t, err));
    YG_TRY(write_checkpoint(f, err));
    metrics_to_files(f);
    YG_TRY(publish(f, err));
    after(f);
    return YG_OK;
}

static void flush_fini(struct flush *f, bool published) {
    for (uint32_t s = 0; f->cuts && s < f->store->shard_count; s++)
        yg_buf_fini(&f->cuts[s].open_traces);
    yg_free(YG_MEM_STORE, f->cuts);
    for (uint32_t i = 0; i < f->count; i++) {
        f->files[i]->unlink_at_end = !published && !f->doubtful;
        if (f->doubtful)
            yg_store_doubt(f->store, f->files[i]->id, f->files[i]->path);
        yg_segment_unref(f->files[i]);
    }
    if (!published && f->checkpoint[0])
        end_checkpoint(f);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        yg_free(YG_MEM_STORE, f->gone[t]);
    yg_free(YG_MEM_STORE, f->segments);
    yg_free(YG_MEM_STORE, f->files);
    yg_free(YG_MEM_STORE, f->versions);
}

static yg_rc flush_once(struct yg_store *store, struct yg_err *err) {
    struct flush f = {.store = store};
    int64_t oldest = atomic_load(&store->oldest_memory_mono_ns);
    yg_rc rc = flush_steps(&f, err);
    if (rc != YG_OK) {
        int64_t none = 0;
        (void)atomic_compare_exchange_strong(&store->oldest_memory_mono_ns, &none, oldest);
    }
    flush_fini(&f, rc == YG_OK);
    return rc;
}

// Only a flush frees a room that is full of rows. So where it found too little memory it is tried
// again with smaller groups, and the room's limit does not hold for it.
yg_rc yg_store_flush(struct yg_store *store, struct yg_err *err) {
    struct yg_err own = {0};
    err = err ? err : &own;
    pthread_mutex_lock(&store->flush_lock);
    yg_rc rc = flush_once(store, err);
    if (rc == YG_ENOMEM) {
        if (store->flush_group_bytes > GROUP_BYTES_MIN)
            store->flush_group_bytes /= 2;
        *err = (struct yg_err){0};
        yg_mem_exempt(YG_MEM_STORE, true);
        rc = flush_once(store, err);
        yg_mem_exempt(YG_MEM_STORE, false);
    }
    pthread_mutex_unlock(&store->flush_lock);
    return rc == YG_OK ? rc : yg_err_wrap(err, "writing memory to files");
}

// ------------------------------------------------------------ in the background

void yg_store_flush_waiting(struct yg_store *store) {
    struct yg_err err = {0};
    if (!atomic_exchange(&store->flush_wanted, false))
        return;
    if (yg_store_flush(store, &err) != YG_OK) {
        store->flush_failed_mono_ns = yg_mono_ns(store->o.clock);
        atomic_store(&store->flush_failed, true);
        yg_log(YG_LOG_WARN, "store", "flush failed; tried again soon", YG_KV_C("why", err.text));
    } else {
        store->flush_failed_mono_ns = 0;
        atomic_store(&store->flush_failed, false);
    }
    atomic_store(&store->flushing, false);
}

static void flush_job(void *arg) {
    struct yg_store *store = arg;
    yg_store_flush_waiting(store);
    atomic_fetch_sub(&store->jobs, 1);
}

void yg_store_flush_if_due(struct yg_store *store) {
    int64_t now = yg_mono_ns(store->o.clock);
    int64_t oldest = atomic_load(&store->oldest_memory_mono_ns);
    uint64_t bytes = atomic_load(&store->memory_bytes) + yg_mstore_head_bytes(store->mstore);
    // Little that waits may wait longer, so that a quiet server does not leave 1,440 files a day.
    int64_t interval = store->o.flush_interval_ms * YG_NS_PER_MS *
                       (store->small_waits && bytes < SMALL_BYTES ? SMALL_FACTOR : 1);
    uint64_t logged = yg_wal_file_bytes(store->wal);
    bool long_log = logged > store->wal_bytes_flushed + WAL_FACTOR * store->o.flush_bytes;
    bool due = bytes >= store->o.flush_bytes || long_log || (oldest && now - oldest >= interval);
    if (due && (!store->flush_failed_mono_ns || now - store->flush_failed_mono_ns >= RETRY_NS))
        yg_store_flush_begin(store);
}

void yg_store_flush_begin(struct yg_store *store) {
    if (atomic_exchange(&store->flushing, true))
        return;
    atomic_store(&store->flush_wanted, true);
    atomic_fetch_add(&store->jobs, 1);
    if (yg_pool_submit(store->o.pool, YG_LANE_BACKGROUND, flush_job, store, NULL) != YG_OK) {
        atomic_fetch_sub(&store->jobs, 1);
        if (atomic_exchange(&store->flush_wanted, false)) // else a merge has begun it
            atomic_store(&store->flushing, false);
    }
}
