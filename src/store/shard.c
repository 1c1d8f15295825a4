// SPDX-License-Identifier: Apache-2.0
// Shards: durable batches wait in builders and are sealed into memory segments. Everything here
// runs on the shard's strand, so builders need no lock.
//
// A builder keeps the batches themselves; sealing copies their columns, with dictionaries remapped,
// into the segment format. Small memory segments are joined with the next seal while they are at
// most twice its size, so that many fresh queries leave few segments and cost little.
#include "base/panic.h"
#include "store/store_int.h"

void yg_shard_init(struct yg_shard *sh, struct yg_store *store, uint32_t idx) {
    *sh = (struct yg_shard){.store = store, .idx = idx};
    sh->strand = yg_strand_create(store->o.pool, 1u << 16);
    sh->traces = yg_traces_create(sh);
}

static void builder_reset(struct yg_store *store, struct yg_builder *b) {
    for (uint32_t i = 0; i < b->count; i++) {
        yg_free(YG_MEM_STORE, (void *)(uintptr_t)b->parts[i].remap);
        yg_shared_batch_unref(store, b->owners[i]);
    }
    b->count = b->row_count = 0;
    b->bytes = 0;
    b->min_sequence = b->max_sequence = 0;
}

static void drop_tails(struct yg_shard *sh, enum yg_track track) {
    while (sh->tail_count[track] > 0)
        yg_segment_unref(sh->tails[track][--sh->tail_count[track]]);
}

void yg_shard_fini(struct yg_shard *sh) {
    if (sh->strand == NULL)
        return;
    yg_strand_destroy(sh->strand);
    for (int t = 0; t < YG_TRACK_COUNT; t++) {
        builder_reset(sh->store, &sh->builders[t]);
        yg_free(YG_MEM_STORE, sh->builders[t].parts);
        yg_free(YG_MEM_STORE, sh->builders[t].owners);
        drop_tails(sh, (enum yg_track)t);
    }
    yg_free(YG_MEM_TRACES, sh->late);
    yg_traces_destroy(sh->traces);
}

void yg_shared_batch_unref(struct yg_store *store, struct yg_shared_batch *shared) {
    if (atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) != 1)
        return;
    atomic_fetch_sub_explicit(&store->memory_bytes, shared->bytes, memory_order_relaxed);
    yg_batch_destroy(shared->batch);
    yg_free(YG_MEM_STORE, shared->shard_of);
    yg_free(YG_MEM_STORE, shared);
}

// ------------------------------------------------------------ adding

// When the oldest row or point in memory came, for the flush interval.
static void note_memory(struct yg_store *store) {
    int64_t none = 0;
    int64_t now = yg_mono_ns(store->o.clock);
    (void)atomic_compare_exchange_strong(&store->oldest_memory_mono_ns, &none, now ? now : 1);
}

static void builder_add(struct yg_shard *sh, struct yg_shared_batch *shared,
                        struct yg_columns_part part) {
    struct yg_builder *b = &sh->builders[shared->batch->track];
    uint64_t sequence = shared->batch->sequence;
    YG_GROW(YG_MEM_STORE, b->parts, b->count, b->cap);
    YG_GROW(YG_MEM_STORE, b->owners, b->count, b->owner_cap);
    if (b->count == 0) {
        b->first_mono_ns = yg_mono_ns(sh->store->o.clock);
        b->min_sequence = sequence;
    }
    b->parts[b->count] = part;
    b->owners[b->count++] = shared;
    b->row_count += part.row_count;
    b->bytes += shared->bytes * part.row_count / shared->batch->row_count;
    b->max_sequence = sequence;
    note_memory(sh->store);
}

// Numbers this shard's rows of the batch; NULL and 0 rows when it has none.
static uint32_t *own_rows(const struct yg_shared_batch *shared, uint32_t shard,
                          uint32_t *ret_count) {
    uint32_t n = shared->batch->row_count, count = 0;
    uint32_t *remap = yg_alloc(YG_MEM_STORE, sizeof(*remap) * n);
    for (uint32_t r = 0; r < n; r++)
        remap[r] = shared->shard_of[r] == shard ? count++ : YG_COLUMN_NONE;
    *ret_count = count;
    return remap;
}

static void seal_if_large(struct yg_shard *sh, enum yg_track track) {
    struct yg_builder *b = &sh->builders[track];
    struct yg_err err = {0};
    if (b->row_count < YG_SEAL_ROWS && b->bytes < sh->store->seal_bytes)
        return;
    if (yg_shard_seal(sh, track, false, &err) != YG_OK)
        yg_log(YG_LOG_DEBUG, "store", "seal put off", YG_KV_C("why", err.text));
}

void yg_shard_apply(struct yg_shard *sh, struct yg_shared_batch *shared) {
    enum yg_track track = shared->batch->track;
    struct yg_columns_part part = {.batch = shared->batch, .row_count = shared->batch->row_count};
    if (shared->shard_of)
        part.remap = own_rows(shared, sh->idx, &part.row_count);
    YG_ASSERT(part.row_count > 0);
    sh->sequence = shared->batch->sequence;
    builder_add(sh, shared, part);
    if (track == YG_TRACK_SPANS)
        yg_traces_apply(sh->traces, &part);
    seal_if_large(sh, track);
}

void yg_shard_add_own(struct yg_shard *sh, struct yg_batch *take_batch) {
    struct yg_shared_batch *shared = yg_calloc(YG_MEM_STORE, 1, sizeof(*shared));
    atomic_init(&shared->refs, 1);
    shared->batch = take_batch;
    take_batch->sequence = sh->sequence;
    shared->shard = sh->idx;
    shared->bytes = yg_arena_reserved(take_batch->arena);
    atomic_fetch_add_explicit(&sh->store->memory_bytes, shared->bytes, memory_order_relaxed);
    struct yg_columns_part part = {.batch = take_batch, .row_count = take_batch->row_count};
    enum yg_track track = take_batch->track;
    builder_add(sh, shared, part);
    seal_if_large(sh, track);
}

// ------------------------------------------------------------ sealing

// How many of the newest tails the builder's rows are joined with.
static uint32_t joined_tails(const struct yg_shard *sh, enum yg_track track) {
    uint64_t rows = sh->builders[track].row_count;
    uint32_t n = 0;
    while (n < sh->tail_count[track]) {
        const struct yg_segment *seg = sh->tails[track][sh->tail_count[track] - n - 1];
        if (seg->row_count > 2 * rows || seg->row_count + rows > YG_SEAL_ROWS)
            break;
        rows += seg->row_count;
        n++;
    }
    return n;
}

static yg_rc gather(struct yg_segment **tails, uint32_t tail_count, const struct yg_builder *b,
                    struct yg_columns *cs, struct yg_err *err) {
    uint32_t **map;
    for (uint32_t i = 0; i < tail_count; i++)
        YG_TRY(yg_columns_want_segment(cs, tails[i], err));
    YG_TRY(yg_columns_want_parts(cs, b->parts, b->count, &map, err));
    YG_TRY(yg_columns_alloc(cs, err));
    for (uint32_t i = 0; i < tail_count; i++)
        YG_TRY(yg_columns_add_segment(cs, tails[i], NULL, err));
    return yg_columns_add_parts(cs, b->parts, b->count, map, err);
}

yg_rc yg_store_memory_segment(struct yg_store *store, const struct yg_columns *cs,
                              struct yg_segment **ret_seg, struct yg_err *err) {
    struct yg_seg_writer_options options = {
        .track = cs->track,
        .day = YG_DAY_MIXED,
        .segment_id = YG_MEMORY_SEGMENT_BIT | atomic_fetch_add(&store->next_memory_id, 1),
        .plain = true,
        .fd = -1,
    };
    struct yg_seg_writer *w = yg_seg_writer_create(&options);
    struct yg_seg_summary summary;
    yg_rc rc = yg_seg_writer_columns(w, cs, NULL, 0, err);
    if (rc == YG_OK)
        rc = yg_seg_writer_finish(w, &summary, err);
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, 0);
    if (rc == YG_OK) {
        yg_seg_writer_take(w, &bytes);
        rc = yg_segment_of_bytes(&bytes, ret_seg, err);
    }
    yg_seg_writer_destroy(w);
    return rc;
}

static void push_tail(struct yg_shard *sh, enum yg_track track, struct yg_segment *take_seg) {
    struct yg_segment **tails = sh->tails[track];
    if (sh->tail_count[track] == YG_SHARD_TAILS_MAX) { // the longest is left alone from now on
        yg_segment_unref(tails[0]);
        memmove(tails, tails + 1, sizeof(struct yg_segment *) * --sh->tail_count[track]);
    }
    tails[sh->tail_count[track]++] = take_seg;
}

static yg_rc seal_builder(struct yg_shard *sh, enum yg_track track, uint32_t joined,
                          struct yg_err *err) {
    struct yg_store *store = sh->store;
    struct yg_builder *b = &sh->builders[track];
    struct yg_segment **tails = &sh->tails[track][sh->tail_count[track] - joined];
    struct yg_columns *cs = yg_columns_create(track, YG_MEM_STORE, (size_t)2 << 30);
    if (cs == NULL)
        return yg_fail(err, YG_ENOMEM, "the store's memory is used up");
    struct yg_segment *seg = NULL;
    yg_rc rc = gather(tails, joined, b, cs, err);
    if (rc == YG_OK)
        rc = yg_store_memory_segment(store, cs, &seg, err);
    yg_columns_destroy(cs);
    if (rc != YG_OK)
        return rc;
    seg->max_sequence = b->max_sequence;
    seg->shard = sh->idx;
    struct yg_publication p = {
        .track = track, .gone = tails, .gone_count = joined, .add_memory = seg};
    if (track == YG_TRACK_TRACES) {
        p.late = sh->late;
        p.late_count = sh->late_count;
        sh->late_count = 0;
    }
    yg_store_publish(store, &p);
    for (; joined > 0; joined--)
        yg_segment_unref(sh->tails[track][--sh->tail_count[track]]);
    push_tail(sh, track, seg);
    builder_reset(store, b);
    return YG_OK;
}

yg_rc yg_shard_seal(struct yg_shard *sh, enum yg_track track, bool final, struct yg_err *err) {
    struct yg_builder *b = &sh->builders[track];
    if (b->count > 0) {
        uint32_t joined = b->bytes < sh->store->seal_bytes ? joined_tails(sh, track) : 0;
        yg_rc rc = seal_builder(sh, track, joined, err);
        if (rc == YG_ENOMEM) { // a seal is what frees the room that it has not got
            yg_mem_exempt(YG_MEM_STORE, true);
            rc = seal_builder(sh, track, 0, err);
            yg_mem_exempt(YG_MEM_STORE, false);
        }
        if (rc != YG_OK)
            return rc;
    }
    if (final)
        drop_tails(sh, track);
    return YG_OK;
}

// ------------------------------------------------------------ dispatch

struct apply_job {
    struct yg_shard *shard;
    struct yg_shared_batch *shared;
};

static void apply(void *arg) {
    struct apply_job *job = arg;
    yg_shard_apply(job->shard, job->shared);
    yg_free(YG_MEM_STORE, job);
}

static uint32_t shard_of_hash(const struct yg_store *store, uint64_t hash) {
    return (uint32_t)(hash >> 32) & (store->shard_count - 1);
}

uint32_t yg_store_shard_of_trace(const struct yg_store *store, yg_id128 id) {
    return shard_of_hash(store, yg_hash_u64(id.lo));
}

// Spans: each trace has its shard. Returns NULL when all rows have the same one.
static uint8_t *shards_of_spans(struct yg_store *store, const struct yg_batch *b,
                                uint64_t *ret_mask, uint32_t *ret_first) {
    const struct yg_batch_col *ids = yg_batch_find(b, YG_STR(YG_COL_TRACE_ID), YG_T_ID);
    uint8_t *of = yg_calloc(YG_MEM_STORE, b->row_count, 1);
    for (uint32_t k = 0; ids && k < ids->count; k++)
        of[ids->rows[k]] = (uint8_t)yg_store_shard_of_trace(store, ids->ids[k]);
    uint64_t mask = 0;
    for (uint32_t r = 0; r < b->row_count; r++)
        mask |= UINT64_C(1) << of[r];
    *ret_mask = mask;
    *ret_first = of[0];
    if ((mask & (mask - 1)) != 0)
        return of;
    yg_free(YG_MEM_STORE, of);
    return NULL;
}

// Logs and events: a body goes where its first row's (service, host) points, so that a sender's
// rows stand together.
static uint32_t shard_of_sender(const struct yg_store *store, const struct yg_batch *b) {
    static const char *const names[] = {YG_COL_SERVICE, YG_COL_HOST};
    uint64_t hash = 0;
    for (int i = 0; i < 2; i++) {
        const struct yg_batch_col *c = yg_batch_find(b, yg_str_c(names[i]), YG_T_STR);
        if (c && c->count && c->rows[0] == 0)
            hash = yg_hash_u64(hash ^ yg_hash_str(yg_batch_col_str(c, 0)));
    }
    return shard_of_hash(store, yg_hash_u64(hash));
}

static void note_received(struct yg_store *store, const struct yg_batch *b) {
    int64_t now = b->received_ns ? b->received_ns : yg_now_ns(store->o.clock);
    atomic_store_explicit(&store->last_row_ns[b->track], now, memory_order_relaxed);
}

static uint64_t kept_bytes(const struct yg_batch *b) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < b->own_body_count; i++)
        bytes += b->own_bodies[i].cap;
    return bytes;
}

void yg_store_dispatch(struct yg_store *store, struct yg_batch *take_batch) {
    struct yg_shared_batch *shared = yg_calloc(YG_MEM_STORE, 1, sizeof(*shared));
    uint64_t mask;
    shared->batch = take_batch;
    shared->bytes = yg_arena_reserved(take_batch->arena) + kept_bytes(take_batch);
    if (take_batch->track == YG_TRACK_SPANS) {
        shared->shard_of = shards_of_spans(store, take_batch, &mask, &shared->shard);
    } else {
        shared->shard = shard_of_sender(store, take_batch);
        mask = UINT64_C(1) << shared->shard;
    }
    atomic_init(&shared->refs, (uint32_t)__builtin_popcountll(mask));
    atomic_fetch_add_explicit(&store->memory_bytes, shared->bytes, memory_order_relaxed);
    note_received(store, take_batch);
    uint64_t sequence = take_batch->sequence;
    pthread_mutex_lock(&store->dispatch_lock);
    for (; mask; mask &= mask - 1) {
        struct apply_job *job = yg_alloc(YG_MEM_STORE, sizeof(*job));
        *job = (struct apply_job){&store->shards[__builtin_ctzll(mask)], shared};
        yg_strand_force(job->shard->strand, apply, job);
    }
    YG_ASSERT(sequence > store->dispatched);
    store->dispatched = sequence;
    pthread_mutex_unlock(&store->dispatch_lock);
}

struct points_job {
    struct yg_store *store;
    struct yg_points *points;
};

static void apply_points(void *arg) {
    struct points_job *job = arg;
    yg_mstore_apply(job->store->mstore, job->points);
    yg_points_destroy(job->points);
    yg_free(YG_MEM_STORE, job);
}

void yg_store_dispatch_points(struct yg_store *store, struct yg_points *take_points) {
    struct points_job *job = yg_alloc(YG_MEM_STORE, sizeof(*job));
    *job = (struct points_job){store, take_points};
    int64_t now = take_points->received_ns ? take_points->received_ns : yg_now_ns(store->o.clock);
    atomic_store_explicit(&store->last_point_ns, now, memory_order_relaxed);
    note_memory(store);
    uint64_t sequence = take_points->sequence;
    pthread_mutex_lock(&store->dispatch_lock);
    yg_strand_force(store->metrics_strand, apply_points, job);
    YG_ASSERT(sequence > store->dispatched);
    store->dispatched = sequence;
    pthread_mutex_unlock(&store->dispatch_lock);
}
