// SPDX-License-Identifier: Apache-2.0
// Opening, appending, closing: the room's interface over WAL, shards, files and metrics.
//
// A row's way: append encodes the batch on the caller's thread and queues it for the WAL; the WAL
// thread writes and syncs, hands it to its shards' strands, then acknowledges it. So a snapshot
// that is opened after the acknowledgement and seals the builders sees the row.
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/panic.h"
#include "store/store_int.h"

#define QUEUE_BYTES_DEFAULT (64u << 20)
#define FLUSH_BYTES_DEFAULT (64u << 20)
#define MEMORY_FACTOR 4u // intake waits when memory holds this many flushes
// Share of the room's memory that rows may take: the rest is for writing them to files.
#define ROWS_SHARE_NUM 5
#define ROWS_SHARE_DEN 8
#define TICK_MS 100
#define SECOND_TICKS 10 // free room of the disk and merges are looked for every second
#define SLOW_TICKS 100  // retention and expiry every 10 s
// Columns over a frame of so many bytes take at most factor × bytes + spare.
#define PAYLOAD_FACTOR 32u
#define PAYLOAD_SPARE_BYTES (16u << 20)

struct pending {
    struct yg_wal_item item; // first: the WAL knows only this
    struct yg_store *store;
    struct yg_batch *batch;
    struct yg_points *points;
    yg_append_fn fn;
    void *arg;
};

// ------------------------------------------------------------ append

static void pending_free(struct pending *p) {
    yg_batch_destroy(p->batch);
    yg_points_destroy(p->points);
    yg_buf_fini(&p->item.payload);
    yg_free(YG_MEM_STORE, p);
}

static bool disk_became_full(struct yg_store *store) {
    yg_store_check_disk(store);
    return atomic_load_explicit(&store->disk_full, memory_order_relaxed);
}

// On the WAL thread, in order.
static void frame_done(void *ctx, struct yg_wal_item *take_item, yg_rc rc,
                       const struct yg_err *err) {
    struct yg_store *store = ctx;
    struct pending *p = (struct pending *)take_item;
    if (atomic_exchange(&store->log_failed, rc != YG_OK) != (rc != YG_OK))
        yg_log(rc == YG_OK ? YG_LOG_INFO : YG_LOG_ERROR, "store",
               rc == YG_OK ? "the write-ahead log is written again"
                           : "the write-ahead log cannot be written: nothing is acknowledged",
               YG_KV_C("why", rc == YG_OK ? "" : err->text));
    if (rc == YG_OK) {
        if (p->item.has_digest)
            yg_resend_note(&store->resend, p->item.digest, p->item.written_ns);
        if (p->batch) {
            p->batch->sequence = p->item.sequence;
            yg_batch_keep_body(p->batch, &p->item.payload);
            yg_store_dispatch(store, p->batch);
        } else {
            p->points->sequence = p->item.sequence;
            yg_store_dispatch_points(store, p->points);
        }
        p->batch = NULL;
        p->points = NULL;
    }
    struct yg_err full;
    if (rc == YG_EIO && disk_became_full(store)) { // the sender is to wait, not to give up
        rc = yg_fail(&full, YG_EBUSY, "the disk is full: %s", err->text);
        err = &full;
    }
    if (p->fn)
        p->fn(p->arg, rc, err);
    pending_free(p);
}

yg_rc yg_store_admit(struct yg_store *store, struct yg_err *err) {
    YG_CHECK(store, YG_STORE_MAGIC);
    if (atomic_load_explicit(&store->disk_full, memory_order_relaxed))
        return yg_fail(err, YG_EBUSY, "the disk is full: what is free is kept for recovery");
    uint64_t used = atomic_load_explicit(&store->memory_bytes, memory_order_relaxed);
    int64_t limit = yg_mem_limit(YG_MEM_STORE);
    bool room_full =
        limit > 0 && yg_mem_used(YG_MEM_STORE) > limit / ROWS_SHARE_DEN * ROWS_SHARE_NUM;
    if (used > store->o.flush_bytes * MEMORY_FACTOR || room_full)
        return yg_fail(err, YG_EBUSY, "%llu bytes wait in memory to be written to files",
                       (unsigned long long)used);
    if (yg_wal_queue_full(store->wal))
        return yg_fail(err, YG_EBUSY, "%llu bytes wait for the write-ahead log already",
                       (unsigned long long)yg_wal_queue_bytes(store->wal));
    return YG_OK;
}

static struct pending *pending_new(struct yg_store *store, enum yg_wal_kind kind, yg_str digest,
                                   yg_append_fn fn, void *arg) {
    struct pending *p = yg_calloc(YG_MEM_STORE, 1, sizeof(*p));
    p->item.kind = kind;
    p->item.payload = YG_BUF(YG_MEM_STORE, YG_WAL_PAYLOAD_MAX);
    p->item.has_digest = digest.len == YG_DIGEST_BYTES;
    if (p->item.has_digest)
        memcpy(p->item.digest, digest.ptr, YG_DIGEST_BYTES);
    p->store = store;
    p->fn = fn;
    p->arg = arg;
    return p;
}

static yg_rc push(struct yg_store *store, struct pending *p, yg_rc rc, struct yg_err *err) {
    if (rc == YG_ENOMEM) // a room that is full empties itself
        rc = yg_fail(err, YG_EBUSY, "the store's memory is used up");
    if (rc == YG_OK)
        rc = yg_wal_push(store->wal, &p->item, err);
    if (rc != YG_OK)
        pending_free(p);
    return rc;
}

// The rows as the shards keep them: columns over the frame's bytes. A third of a decoded body, and
// what the decoder used is free again on the thread that used it, while it is in its cache.
static yg_rc open_payload(const struct yg_buf *payload, struct yg_batch **ret_batch,
                          struct yg_err *err) {
    size_t limit = payload->len * PAYLOAD_FACTOR + PAYLOAD_SPARE_BYTES;
    return yg_batch_decode(yg_buf_str(payload), YG_MEM_STORE, limit, ret_batch, err);
}

yg_rc yg_store_append(struct yg_store *store, struct yg_batch *take_batch, yg_append_fn fn,
                      void *arg, struct yg_err *err) {
    YG_CHECK(store, YG_STORE_MAGIC);
    if (take_batch->row_count == 0) {
        yg_batch_destroy(take_batch);
        if (fn)
            fn(arg, YG_OK, NULL);
        return YG_OK;
    }
    struct pending *p = pending_new(store, YG_WAL_ROWS, take_batch->digest, fn, arg);
    if (take_batch->received_ns == 0)
        take_batch->received_ns = yg_now_ns(store->o.clock);
    yg_rc rc = yg_store_admit(store, err);
    if (rc == YG_OK && take_batch->row_count > YG_BATCH_ROWS_MAX)
        rc = yg_fail(err, YG_ELIMIT, "batch of %u rows", take_batch->row_count);
    if (rc == YG_OK)
        rc = yg_batch_encode(take_batch, &p->item.payload, err);
    yg_batch_destroy(take_batch);
    if (rc == YG_OK)
        rc = open_payload(&p->item.payload, &p->batch, err);
    return push(store, p, rc, err);
}

yg_rc yg_store_append_points(struct yg_store *store, struct yg_points *take_points, yg_append_fn fn,
                             void *arg, struct yg_err *err) {
    YG_CHECK(store, YG_STORE_MAGIC);
    if (take_points->count == 0) {
        yg_points_destroy(take_points);
        if (fn)
            fn(arg, YG_OK, NULL);
        return YG_OK;
    }
    struct pending *p = pending_new(store, YG_WAL_POINTS, take_points->digest, fn, arg);
    p->points = take_points;
    if (take_points->received_ns == 0)
        take_points->received_ns = yg_now_ns(store->o.clock);
    yg_rc rc = yg_store_admit(store, err);
    uint64_t head = yg_mstore_head_bytes(store->mstore);
    if (rc == YG_OK && head > store->o.flush_bytes * MEMORY_FACTOR)
        rc = yg_fail(err, YG_EBUSY, "%llu bytes of points wait in memory to be written to files",
                     (unsigned long long)head);
    if (rc == YG_OK)
        rc = yg_points_encode(take_points, &p->item.payload, err);
    return push(store, p, rc, err);
}

static void nothing(void *arg) {
    (void)arg;
}

struct yg_mstore *yg_store_metrics(struct yg_store *store) {
    YG_CHECK(store, YG_STORE_MAGIC);
    yg_strand_call(store->metrics_strand, nothing, NULL);
    return store->mstore;
}

// ------------------------------------------------------------ the clock

struct tick_job {
    struct yg_shard *shard;
    int64_t mono_ns;
};

static void tick_shard(void *arg) {
    struct tick_job *job = arg;
    struct yg_shard *sh = job->shard;
    struct yg_err err = {0};
    yg_traces_close_idle(sh->traces, job->mono_ns, false);
    for (int t = 0; t < YG_TRACK_COUNT; t++) {
        const struct yg_builder *b = &sh->builders[t];
        bool old = b->count > 0 &&
                   job->mono_ns - b->first_mono_ns >= sh->store->o.seal_interval_ms * YG_NS_PER_MS;
        if (old && yg_shard_seal(sh, (enum yg_track)t, false, &err) != YG_OK)
            yg_log(YG_LOG_DEBUG, "store", "seal put off", YG_KV_C("why", err.text));
    }
}

static void tick(struct yg_store *store, uint64_t count) {
    int64_t now = yg_mono_ns(store->o.clock);
    for (uint32_t s = 0; s < store->shard_count; s++) {
        struct tick_job job = {&store->shards[s], now};
        yg_strand_call(store->shards[s].strand, tick_shard, &job);
    }
    yg_store_flush_if_due(store);
    if (count % SECOND_TICKS == 0) {
        yg_store_check_disk(store);
        yg_store_merge_if_due(store);
    }
    if (count % SLOW_TICKS == 0) {
        yg_store_retain(store);
        yg_resend_expire(&store->resend, yg_now_ns(store->o.clock));
    }
}

static void clock_main(void *arg) {
    struct yg_store *store = arg;
    for (uint64_t count = 1; !yg_event_wait_ms(&store->stop, TICK_MS); count++)
        tick(store, count);
}

// ------------------------------------------------------------ opening

static char *join_path(const char *dir, const char *name) {
    size_t len = strlen(dir) + strlen(name) + 2;
    char *path = yg_alloc(YG_MEM_STORE, len);
    (void)snprintf(path, len, "%s/%s", dir, name);
    return path;
}

static yg_rc make_dirs(struct yg_store *store, struct yg_err *err) {
    store->dir_wal = join_path(store->dir, "wal");
    store->dir_segments = join_path(store->dir, "segments");
    store->dir_tmp = join_path(store->dir, "tmp");
    store->dir_metrics = join_path(store->dir, "metrics");
    store->dir_damaged = join_path(store->dir, "damaged");
    YG_TRY(yg_file_mkdirs(store->dir_wal, err));
    YG_TRY(yg_file_mkdirs(store->dir_segments, err));
    YG_TRY(yg_file_mkdirs(store->dir_tmp, err));
    return yg_file_mkdirs(store->dir_metrics, err);
}

static void defaults(struct yg_store *store, const struct yg_store_options *options) {
    store->o = *options;
    struct yg_store_options *o = &store->o;
    o->wal_queue_max_bytes = o->wal_queue_max_bytes ? o->wal_queue_max_bytes : QUEUE_BYTES_DEFAULT;
    o->seal_interval_ms = o->seal_interval_ms ? o->seal_interval_ms : 1000;
    store->small_waits = o->flush_interval_ms == 0;
    o->flush_interval_ms = o->flush_interval_ms ? o->flush_interval_ms : 60000;
    o->flush_bytes = o->flush_bytes ? o->flush_bytes : FLUSH_BYTES_DEFAULT;
    uint64_t room = (uint64_t)yg_mem_limit(YG_MEM_STORE);
    if (room > 0 && o->flush_bytes > room / 4)
        o->flush_bytes = room / 4;
    // A seal takes about twice its input beside it, on every shard at once.
    store->seal_bytes = o->flush_bytes / 8 < YG_SEAL_BYTES ? o->flush_bytes / 8 : YG_SEAL_BYTES;
    store->flush_group_bytes = o->flush_bytes / 3; // joining takes about three times its input
    o->trace_idle_ms = o->trace_idle_ms ? o->trace_idle_ms : 60000;
    o->disk_reserve_ratio = o->disk_reserve_ratio > 0 ? o->disk_reserve_ratio : 0.02;
    store->dir = yg_strndup(YG_MEM_STORE, options->dir, strlen(options->dir));
    o->dir = store->dir;
}

static uint32_t power_of_two(uint32_t n) {
    uint32_t p = 2;
    while (p < n && p < YG_SHARDS_MAX)
        p *= 2;
    return p;
}

// Kept from the directory unless the caller insists; a flush covers all shards at one number, so
// the count may change at any start.
static yg_rc choose_shards(struct yg_store *store, struct yg_err *err) {
    char text[32];
    uint64_t kept = 0;
    uint32_t count = store->o.shard_count;
    yg_rc rc = yg_catalog_get(store->catalog, "shards", text, sizeof(text), err);
    if (rc != YG_OK && rc != YG_ENOTFOUND)
        return rc;
    if (rc == YG_OK && !yg_str_to_u64(yg_str_c(text), &kept))
        return yg_fail(err, YG_ECORRUPT, "%s: shard count \"%s\"", store->dir, text);
    if (count == 0)
        count = kept ? (uint32_t)kept : (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    store->shard_count = power_of_two(count);
    if (store->shard_count == kept)
        return YG_OK;
    (void)snprintf(text, sizeof(text), "%u", store->shard_count);
    return yg_catalog_set(store->catalog, "shards", text, err);
}

struct replay {
    struct yg_store *store;
    uint64_t rows_mark;
    uint64_t metrics_mark;
};

// What the replayed rows and points take, as a share of what they may take.
static bool replay_holds(struct yg_store *store, uint64_t num, uint64_t den) {
    uint64_t room = (uint64_t)yg_mem_limit(YG_MEM_STORE) / ROWS_SHARE_DEN * ROWS_SHARE_NUM;
    uint64_t most = store->o.flush_bytes * MEMORY_FACTOR;
    most = (room > most ? room : most) / den * num;
    int64_t intake = yg_mem_limit(YG_MEM_INTAKE);
    return atomic_load(&store->memory_bytes) > most ||
           yg_mstore_head_bytes(store->mstore) > store->o.flush_bytes * MEMORY_FACTOR / den * num ||
           (room > 0 && (uint64_t)yg_mem_used(YG_MEM_STORE) > room / den * num) ||
           (intake > 0 && (uint64_t)yg_mem_used(YG_MEM_INTAKE) > (uint64_t)intake / den * num);
}

// Replay reads faster than files are written. A log of usual length fits into memory and is written
// when the server works already; of a longer one, part is written beside the replay, which waits
// only where memory would be short.
static yg_rc replay_make_room(struct yg_store *store, struct yg_err *err) {
    if (!replay_holds(store, 3, 4))
        return YG_OK;
    yg_store_flush_begin(store);
    if (!replay_holds(store, 1, 1))
        return YG_OK;
    yg_strand_call(store->metrics_strand, nothing, NULL);
    pthread_mutex_lock(&store->flush_lock); // held by the flush that runs
    pthread_mutex_unlock(&store->flush_lock);
    return replay_holds(store, 1, 1) ? yg_store_flush(store, err) : YG_OK;
}

static yg_rc replay_rows(struct yg_store *store, const struct yg_wal_replay *f,
                         struct yg_err *err) {
    struct yg_batch *b;
    YG_TRY(open_payload(f->payload, &b, err));
    yg_batch_keep_body(b, f->payload);
    if (b->row_count == 0 || b->track >= YG_TRACK_COUNT) {
        yg_batch_destroy(b);
        return yg_fail(err, YG_ECORRUPT, "batch without rows");
    }
    b->sequence = f->sequence;
    yg_store_dispatch(store, b);
    return YG_OK;
}

static yg_rc replay_points(struct yg_store *store, const struct yg_wal_replay *f,
                           struct yg_err *err) {
    struct yg_points *p;
    size_t limit = f->payload->len * PAYLOAD_FACTOR + PAYLOAD_SPARE_BYTES;
    YG_TRY(yg_points_decode(yg_buf_str(f->payload), limit, &p, err));
    p->sequence = f->sequence;
    yg_store_dispatch_points(store, p);
    return YG_OK;
}

static yg_rc replay_frame(void *ctx, const struct yg_wal_replay *f, struct yg_err *err) {
    struct replay *r = ctx;
    struct yg_store *store = r->store;
    if (f->digest && f->written_ns > yg_now_ns(store->o.clock) - YG_RESEND_NS)
        yg_resend_note(&store->resend, f->digest, f->written_ns);
    YG_TRY(replay_make_room(store, err));
    switch (f->kind) {
    case YG_WAL_ROWS:
        return f->sequence > r->rows_mark ? replay_rows(store, f, err) : YG_OK;
    case YG_WAL_POINTS:
        return f->sequence > r->metrics_mark ? replay_points(store, f, err) : YG_OK;
    case YG_WAL_DELIVERED:
    case YG_WAL_DIGESTS:
        yg_resend_replay(&store->resend, f->kind, yg_buf_str(f->payload));
        return YG_OK;
    }
    return yg_fail(err, YG_ECORRUPT, "frame of unknown kind %d", (int)f->kind);
}

static void report(const struct yg_store *store, const struct yg_wal_recovery *rec) {
    if (rec->damaged == 0 && !rec->torn_tail)
        return;
    yg_log(rec->damaged ? YG_LOG_ERROR : YG_LOG_WARN, "store",
           rec->damaged
               ? "write-ahead log is damaged; readable frames were kept, the rest put aside"
               : "torn tail of the write-ahead log cut off",
           YG_KV_C("first", rec->damage_text), YG_KV_INT("regions", rec->damaged),
           YG_KV_INT("frames_lost", rec->lost_frames), YG_KV_C("aside", store->dir_damaged));
}

static yg_rc recover(struct yg_store *store, struct yg_wal_recovery *ret_rec, struct yg_err *err) {
    struct replay r = {.store = store};
    YG_TRY(yg_catalog_marks(store->catalog, &r.rows_mark, &r.metrics_mark, err));
    store->flushed = r.rows_mark;
    store->metrics_flushed = r.metrics_mark;
    store->dispatched = r.rows_mark < r.metrics_mark ? r.rows_mark : r.metrics_mark;
    uint64_t above = r.rows_mark > r.metrics_mark ? r.rows_mark : r.metrics_mark;
    YG_TRY(
        yg_wal_recover(store->dir_wal, store->dir_damaged, above, replay_frame, &r, ret_rec, err));
    // A block of metrics may be ahead of a log whose tail was lost with the power (wal-sync none or
    // interval): its numbers are never given out again, or new points would pass for a replay.
    uint64_t metrics = yg_mstore_flushed_sequence(store->mstore);
    if (ret_rec->next_sequence <= metrics)
        ret_rec->next_sequence = metrics + 1;
    atomic_fetch_add(&store->damaged, ret_rec->damaged);
    report(store, ret_rec);
    return YG_OK;
}

static yg_rc start_wal(struct yg_store *store, const struct yg_wal_recovery *rec,
                       struct yg_err *err) {
    struct yg_wal_options options = {
        .dir = store->dir_wal,
        .clock = store->o.clock,
        .sync = store->o.wal_sync,
        .sync_interval_ms = store->o.wal_sync_interval_ms,
        .queue_max_bytes = store->o.wal_queue_max_bytes,
        .next_sequence = rec->next_sequence,
        .next_number = rec->next_number,
        .done = frame_done,
        .digests = yg_resend_fill_digests,
        .delivered = yg_resend_fill_delivered,
        .ctx = store,
    };
    struct yg_wal *wal;
    YG_TRY(yg_wal_start(&options, &wal, err));
    atomic_store(&store->wal, wal);
    return YG_OK;
}

static yg_rc open_parts(struct yg_store *store, struct yg_err *err) {
    YG_TRY(make_dirs(store, err));
    char *path = join_path(store->dir, "catalog.db");
    yg_rc rc = yg_catalog_open(path, &store->catalog, err);
    yg_free(YG_MEM_STORE, path);
    YG_TRY(rc);
    YG_TRY(choose_shards(store, err));
    struct yg_mstore_options mo = {
        .dir = store->dir_metrics,
        .clock = store->o.clock,
        .pool = store->o.pool,
        .retention_ns = store->o.retention_metrics_ns,
    };
    YG_TRY(yg_mstore_open(&mo, &store->mstore, err));
    store->metrics_strand = yg_strand_create(store->o.pool, 1u << 16);
    store->shards = yg_calloc(YG_MEM_STORE, store->shard_count, sizeof(*store->shards));
    for (uint32_t s = 0; s < store->shard_count; s++)
        yg_shard_init(&store->shards[s], store, s);
    YG_TRY(yg_store_load_files(store, err));
    struct yg_wal_recovery rec;
    YG_TRY(recover(store, &rec, err));
    return start_wal(store, &rec, err);
}

static void free_lists(struct yg_seg_list *lists) {
    for (int t = 0; t < YG_TRACK_COUNT; t++) {
        for (uint32_t i = 0; i < lists[t].count; i++)
            yg_segment_unref(lists[t].segs[i]);
        yg_free(YG_MEM_STORE, lists[t].segs);
    }
}

// A merge ends at its next column.
static void wait_for_jobs(struct yg_store *store) {
    const struct timespec ms = {.tv_nsec = 1000000};
    atomic_store(&store->merging.stop, true);
    while (atomic_load(&store->jobs) > 0)
        (void)nanosleep(&ms, NULL);
}

static void store_free(struct yg_store *store) {
    for (uint32_t s = 0; store->shards && s < store->shard_count; s++)
        yg_shard_fini(&store->shards[s]);
    yg_free(YG_MEM_STORE, store->shards);
    yg_strand_destroy(store->metrics_strand);
    if (store->mstore)
        yg_mstore_close(store->mstore);
    free_lists(store->files);
    free_lists(store->memory);
    yg_catalog_close(store->catalog);
    yg_resend_fini(&store->resend);
    yg_free(YG_MEM_TRACES, store->versions.slots);
    yg_deletions_free(&store->deletions);
    yg_free(YG_MEM_STORE, store->merging.dead);
    yg_store_doubts_free(store);
    for (uint32_t i = 0; i < YG_STORE_INDEXES_MAX; i++)
        yg_free(YG_MEM_STORE, store->indexes[i].name);
    yg_event_fini(&store->stop);
    pthread_mutex_destroy(&store->dispatch_lock);
    pthread_mutex_destroy(&store->lists_lock);
    pthread_mutex_destroy(&store->flush_lock);
    yg_store_detach(store);
    pthread_mutex_destroy(&store->attach_lock);
    pthread_mutex_destroy(&store->merging.lock);
    char *const paths[] = {store->dir,     store->dir_wal,     store->dir_segments,
                           store->dir_tmp, store->dir_metrics, store->dir_damaged};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        yg_free(YG_MEM_STORE, paths[i]);
    store->magic = 0;
    yg_free(YG_MEM_STORE, store);
}

yg_rc yg_store_open(const struct yg_store_options *options, struct yg_store **ret_store,
                    struct yg_err *err) {
    struct yg_store *store = yg_calloc(YG_MEM_STORE, 1, sizeof(*store));
    store->magic = YG_STORE_MAGIC;
    atomic_init(&store->traces_epoch, 1);
    pthread_mutex_init(&store->dispatch_lock, NULL);
    pthread_mutex_init(&store->lists_lock, NULL);
    pthread_mutex_init(&store->attach_lock, NULL);
    pthread_mutex_init(&store->flush_lock, NULL);
    yg_event_init(&store->stop);
    yg_resend_init(&store->resend);
    defaults(store, options);
    yg_store_merge_init(store);
    yg_rc rc = open_parts(store, err);
    if (rc != YG_OK) {
        wait_for_jobs(store);
        store_free(store);
        return yg_err_wrap(err, "store");
    }
    yg_store_check_disk(store);
    yg_thread_start(&store->clock_thread, "store-clock", clock_main, store);
    *ret_store = store;
    return YG_OK;
}

void yg_store_close(struct yg_store *store) {
    if (store == NULL)
        return;
    YG_CHECK(store, YG_STORE_MAGIC);
    yg_event_set(&store->stop);
    yg_thread_join(&store->clock_thread);
    struct yg_err err = {0};
    wait_for_jobs(store);
    yg_wal_stop(store->wal); // what is queued is written and acknowledged
    bool clean = yg_store_flush(store, &err) == YG_OK;
    if (!clean)
        yg_log(YG_LOG_WARN, "store", "closed without writing files; the log keeps the rows",
               YG_KV_C("why", err.text));
    yg_wal_close(store->wal, clean);
    store_free(store);
}

// ------------------------------------------------------------ status

void yg_store_status(struct yg_store *store, struct yg_store_status *ret_status) {
    YG_CHECK(store, YG_STORE_MAGIC);
    struct yg_store_status s = {0};
    pthread_mutex_lock(&store->lists_lock);
    for (int t = 0; t < YG_TRACK_COUNT; t++) {
        for (uint32_t i = 0; i < store->files[t].count; i++) {
            s.rows[t] += store->files[t].segs[i]->row_count;
            s.bytes_files += store->files[t].segs[i]->bytes;
        }
        for (uint32_t i = 0; i < store->memory[t].count; i++)
            s.rows[t] += store->memory[t].segs[i]->row_count;
        s.segments_file += store->files[t].count;
        s.segments_memory += store->memory[t].count;
        s.last_row_received_ns[t] =
            atomic_load_explicit(&store->last_row_ns[t], memory_order_relaxed);
    }
    for (uint32_t i = 0; i < store->deletions.count; i++)
        s.deletions_open += !atomic_load(&store->deletions.items[i]->done);
    pthread_mutex_unlock(&store->lists_lock);
    const struct yg_merging *g = &store->merging;
    s.rows_flushed = atomic_load(&store->rows_flushed);
    s.bytes_flushed = atomic_load(&store->bytes_flushed);
    s.rows_merged = atomic_load(&g->rows_merged);
    s.bytes_merged = atomic_load(&g->bytes_merged);
    s.rows_rewritten = atomic_load(&g->rows_rewritten);
    s.bytes_rewritten = atomic_load(&g->bytes_rewritten);
    s.rows_dropped = atomic_load(&g->rows_dropped);
    s.merges = atomic_load(&g->merges);
    s.merge_failures = atomic_load(&g->failures);
    s.merge_cpu_ns = atomic_load(&g->cpu_ns);
    s.merge_waits_for_disk = atomic_load(&g->waits_for_disk);
    s.log_failed = atomic_load(&store->log_failed);
    s.flush_failed = atomic_load(&store->flush_failed);
    s.segments_kept_out = atomic_load(&g->kept_out);
    s.bytes_files += yg_mstore_file_bytes(store->mstore);
    s.wal_bytes = yg_wal_file_bytes(store->wal);
    s.wal_queue_bytes = yg_wal_queue_bytes(store->wal);
    s.open_traces = atomic_load_explicit(&store->open_traces, memory_order_relaxed);
    s.series = yg_mstore_series_count(store->mstore);
    s.damaged_chunks = atomic_load_explicit(&store->damaged, memory_order_relaxed);
    s.disk_full = atomic_load_explicit(&store->disk_full, memory_order_relaxed);
    s.last_point_received_ns = atomic_load_explicit(&store->last_point_ns, memory_order_relaxed);
    *ret_status = s;
}
