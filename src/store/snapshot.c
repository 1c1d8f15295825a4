// SPDX-License-Identifier: Apache-2.0
// Which segments count, and snapshots of them.
//
// The lists of live segments change in one step under lists_lock: a seal replaces a tail by the
// joined segment, a flush replaces memory segments by files. A snapshot references what overlaps
// its range, so that nothing it reads can go away.
//
// On the traces track the open traces are made into one more memory segment. A trace may close
// between that and the moment when the lists are looked at; and a trace that got late spans has an
// older row somewhere. Both are settled by masks: rows of a provisional trace are not live in any
// other segment; rows older than the version that the store knows are not live.
#include "base/panic.h"
#include "store/store_int.h"

#define SNAPSHOT_MAGIC 0x5a9b0001u
#define PROVISIONAL_PART UINT32_MAX

struct reading {
    _Atomic bool on;
};

struct yg_snapshot {
    uint32_t magic;
    struct yg_store *store;
    enum yg_track track;
    struct yg_segment **segs;
    struct reading *reading; // per segment: its directory is in use by this snapshot
    uint32_t count;
    struct yg_deletion **deletions; // open ones of the track: their rows are not live
    uint32_t deletion_count;
    // traces track
    uint32_t provisional;           // index of the open traces' segment, or PROVISIONAL_PART
    struct yg_trace_versions masks; // id → rows below this version are not live
};

// ------------------------------------------------------------ lists

static void list_add(struct yg_seg_list *l, struct yg_segment *seg) {
    YG_GROW(YG_MEM_STORE, l->segs, l->count, l->cap);
    l->segs[l->count++] = yg_segment_ref(seg);
}

static bool list_remove(struct yg_seg_list *l, const struct yg_segment *seg) {
    for (uint32_t i = l->count; i-- > 0;)
        if (l->segs[i] == seg) {
            memmove(&l->segs[i], &l->segs[i + 1], sizeof(*l->segs) * (l->count - i - 1));
            l->count--;
            return true;
        }
    return false;
}

void yg_store_publish(struct yg_store *store, const struct yg_publication *p) {
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < p->gone_count; i++) {
        bool found = list_remove(&store->memory[p->track], p->gone[i]);
        YG_ASSERT(found);
        atomic_fetch_sub(&store->memory_bytes, p->gone[i]->bytes);
    }
    if (p->add_memory) {
        list_add(&store->memory[p->track], p->add_memory);
        atomic_fetch_add(&store->memory_bytes, p->add_memory->bytes);
    }
    for (uint32_t i = 0; i < p->add_count; i++)
        list_add(&store->files[p->track], p->add_files[i]);
    for (uint32_t i = 0; i < p->late_count; i++)
        yg_trace_versions_set(&store->versions, p->late[i].id, p->late[i].version, p->late[i].day,
                              false);
    if (p->track == YG_TRACK_TRACES)
        atomic_fetch_add(&store->traces_epoch, 1);
    pthread_mutex_unlock(&store->lists_lock);
    for (uint32_t i = 0; i < p->gone_count; i++)
        yg_segment_unref(p->gone[i]); // the list's reference
}

// ------------------------------------------------------------ opening

struct seal_job {
    struct yg_shard *shard;
    enum yg_track track;
    yg_rc rc;
    struct yg_err *err;
};

static void seal(void *arg) {
    struct seal_job *job = arg;
    job->rc = yg_shard_seal(job->shard, job->track, false, job->err);
}

static yg_rc seal_all(struct yg_store *store, enum yg_track track, struct yg_err *err) {
    for (uint32_t s = 0; s < store->shard_count; s++) {
        struct seal_job job = {&store->shards[s], track, YG_OK, err};
        yg_strand_call(store->shards[s].strand, seal, &job);
        if (job.rc != YG_OK)
            return yg_err_wrap(err, "sealing %s", yg_track_name(track));
    }
    return YG_OK;
}

static bool overlaps(const struct yg_segment *seg, struct yg_time_range range) {
    return seg->row_count > 0 && seg->min_time_ns < range.to_ns &&
           seg->max_time_ns >= range.from_ns;
}

static void pin(struct yg_snapshot *snap, uint32_t *cap, struct yg_segment *seg) {
    YG_GROW(YG_MEM_QUERY, snap->segs, snap->count, *cap);
    snap->segs[snap->count++] = yg_segment_ref(seg);
}

static void pin_list(struct yg_snapshot *snap, uint32_t *cap, const struct yg_seg_list *list,
                     struct yg_time_range range) {
    for (uint32_t i = 0; i < list->count; i++)
        if (overlaps(list->segs[i], range))
            pin(snap, cap, list->segs[i]);
}

static int newest_first(const void *a, const void *b) {
    const struct yg_segment *x = *(struct yg_segment *const *)a;
    const struct yg_segment *y = *(struct yg_segment *const *)b;
    if (x->max_time_ns != y->max_time_ns)
        return x->max_time_ns > y->max_time_ns ? -1 : 1;
    return x->id > y->id ? -1 : x->id < y->id;
}

struct provisional_job {
    struct yg_shard *shard;
    struct yg_batch *batch;
    yg_rc rc;
    struct yg_err *err;
};

static void take_open(void *arg) {
    struct provisional_job *job = arg;
    job->rc = yg_traces_provisional(job->shard->traces, &job->batch, job->err);
}

// The rows of provisional traces hide every other row of them.
static void mask_batch(struct yg_trace_versions *masks, const struct yg_batch *b) {
    const struct yg_batch_col *ids = yg_batch_find(b, YG_STR(YG_COL_TRACE_ID), YG_T_ID);
    for (uint32_t k = 0; ids && k < ids->count; k++)
        yg_trace_versions_set(masks, ids->ids[k], UINT64_MAX, 0, true);
}

static yg_rc add_open_traces(struct yg_snapshot *snap, uint32_t *cap, struct yg_time_range range,
                             struct yg_err *err) {
    struct yg_store *store = snap->store;
    struct yg_columns_part *parts =
        yg_calloc(YG_MEM_QUERY, store->shard_count, sizeof(struct yg_columns_part));
    uint32_t n = 0;
    yg_rc rc = YG_OK;
    for (uint32_t s = 0; s < store->shard_count && rc == YG_OK; s++) {
        struct provisional_job job = {&store->shards[s], NULL, YG_OK, err};
        yg_strand_call(store->shards[s].strand, take_open, &job);
        rc = job.rc;
        if (rc == YG_OK && job.batch) {
            mask_batch(&snap->masks, job.batch);
            parts[n++] = (struct yg_columns_part){job.batch, NULL, job.batch->row_count};
        }
    }
    struct yg_columns *cs = NULL;
    struct yg_segment *seg = NULL;
    if (rc == YG_OK && n > 0)
        rc = yg_columns_of_parts(YG_TRACK_TRACES, parts, n, &cs, err);
    if (rc == YG_OK && n > 0)
        rc = yg_store_memory_segment(store, cs, &seg, err);
    if (rc == YG_OK && seg && overlaps(seg, range)) {
        snap->provisional = 0;
        pin(snap, cap, seg);
    }
    yg_segment_unref(seg);
    yg_columns_destroy(cs);
    for (uint32_t i = 0; i < n; i++)
        yg_batch_destroy(parts[i].batch);
    yg_free(YG_MEM_QUERY, parts);
    return rc;
}

static void copy_versions(struct yg_snapshot *snap) {
    const struct yg_trace_versions *v = &snap->store->versions;
    for (uint32_t i = 0; i < v->cap; i++)
        if (v->slots[i].version && yg_trace_versions_get(&snap->masks, v->slots[i].id) == 0)
            yg_trace_versions_set(&snap->masks, v->slots[i].id, v->slots[i].version, 0, true);
}

yg_rc yg_snapshot_open(struct yg_store *store, enum yg_track track, struct yg_time_range range,
                       bool fresh, struct yg_snapshot **ret_snapshot, struct yg_err *err) {
    YG_CHECK(store, YG_STORE_MAGIC);
    YG_ASSERT((unsigned)track < YG_TRACK_COUNT);
    struct yg_snapshot *snap = yg_calloc(YG_MEM_QUERY, 1, sizeof(*snap));
    uint32_t cap = 0;
    snap->magic = SNAPSHOT_MAGIC;
    snap->store = store;
    snap->track = track;
    snap->provisional = PROVISIONAL_PART;
    yg_rc rc = YG_OK;
    if (track == YG_TRACK_TRACES)
        rc = add_open_traces(snap, &cap, range, err);
    if (rc == YG_OK && (fresh || track == YG_TRACK_TRACES)) // a trace that just closed is a row
        rc = seal_all(store, track, err);
    if (rc != YG_OK) {
        yg_snapshot_close(snap);
        return rc;
    }
    // Before the lists: a file may be written anew in between, but not a deletion be missed.
    snap->deletion_count = yg_deletions_open(store, track, &snap->deletions);
    pthread_mutex_lock(&store->lists_lock);
    pin_list(snap, &cap, &store->memory[track], range);
    pin_list(snap, &cap, &store->files[track], range);
    if (track == YG_TRACK_TRACES)
        copy_versions(snap);
    pthread_mutex_unlock(&store->lists_lock);
    struct yg_segment *open = snap->provisional == 0 ? snap->segs[0] : NULL;
    if (snap->count > 1)
        qsort(snap->segs, snap->count, sizeof(struct yg_segment *), newest_first);
    for (uint32_t i = 0; open && i < snap->count; i++)
        if (snap->segs[i] == open)
            snap->provisional = i;
    snap->reading = yg_calloc(YG_MEM_QUERY, snap->count + 1u, sizeof(*snap->reading));
    *ret_snapshot = snap;
    return YG_OK;
}

void yg_snapshot_close(struct yg_snapshot *snap) {
    if (snap == NULL)
        return;
    YG_CHECK(snap, SNAPSHOT_MAGIC);
    int64_t now = yg_mono_ns(snap->store->o.clock);
    for (uint32_t i = 0; i < snap->count; i++) {
        if (snap->reading && atomic_load(&snap->reading[i].on)) {
            atomic_store_explicit(&snap->segs[i]->used_mono_ns, now, memory_order_relaxed);
            atomic_fetch_sub_explicit(&snap->segs[i]->users, 1, memory_order_acq_rel);
        }
        yg_segment_unref(snap->segs[i]);
    }
    for (uint32_t i = 0; i < snap->deletion_count; i++)
        yg_deletion_unref(snap->deletions[i]);
    yg_free(YG_MEM_STORE, snap->deletions);
    yg_free(YG_MEM_QUERY, snap->segs);
    yg_free(YG_MEM_QUERY, snap->reading);
    yg_free(YG_MEM_TRACES, snap->masks.slots);
    snap->magic = 0;
    yg_free(YG_MEM_QUERY, snap);
}

// ------------------------------------------------------------ reading

uint32_t yg_snapshot_segments(const struct yg_snapshot *snap) {
    YG_CHECK(snap, SNAPSHOT_MAGIC);
    return snap->count;
}

// From the first read to the snapshot's end the segment's directory stays.
static yg_rc load(const struct yg_snapshot *snap, uint32_t segment, struct yg_err *err) {
    YG_CHECK(snap, SNAPSHOT_MAGIC);
    YG_ASSERT(segment < snap->count);
    // Counted before it is marked: whoever sees the mark relies on the count.
    atomic_fetch_add_explicit(&snap->segs[segment]->users, 1, memory_order_acq_rel);
    if (atomic_exchange(&snap->reading[segment].on, true))
        atomic_fetch_sub_explicit(&snap->segs[segment]->users, 1, memory_order_acq_rel);
    yg_rc rc = yg_segment_load(snap->segs[segment], err);
    if (rc == YG_ECORRUPT)
        atomic_fetch_add_explicit(&snap->store->damaged, 1, memory_order_relaxed);
    return rc;
}

yg_rc yg_snapshot_load(struct yg_snapshot *snap, uint32_t segment, struct yg_segment **ret_seg,
                       struct yg_err *err) {
    YG_TRY(load(snap, segment, err));
    *ret_seg = snap->segs[segment];
    return YG_OK;
}

void yg_snapshot_segment(const struct yg_snapshot *snap, uint32_t idx,
                         struct yg_segment_info *ret_info) {
    YG_CHECK(snap, SNAPSHOT_MAGIC);
    YG_ASSERT(idx < snap->count);
    const struct yg_segment *seg = snap->segs[idx];
    *ret_info = (struct yg_segment_info){
        .id = seg->id,
        .row_count = seg->row_count,
        .bytes = seg->bytes,
        .granule_count = seg->granule_count,
        .min_time_ns = seg->min_time_ns,
        .max_time_ns = seg->max_time_ns,
        .in_memory = seg->in_memory,
    };
    for (uint32_t i = 0; i < snap->deletion_count; i++)
        if (yg_deletion_concerns(snap->deletions[i], seg))
            ret_info->hidden = snap->deletions[i]->id;
}

void yg_snapshot_granule_range(const struct yg_snapshot *snap, uint32_t segment, uint32_t granule,
                               int64_t *ret_min_ns, int64_t *ret_max_ns) {
    YG_CHECK(snap, SNAPSHOT_MAGIC);
    YG_ASSERT(segment < snap->count);
    struct yg_segment *seg = snap->segs[segment];
    struct yg_err err;
    if (load(snap, segment, &err) != YG_OK || granule >= seg->dir.granule_count) {
        *ret_min_ns = seg->min_time_ns;
        *ret_max_ns = seg->max_time_ns;
        return;
    }
    uint32_t stripe, in_stripe;
    yg_segment_locate(seg, granule, &stripe, &in_stripe);
    const struct yg_seg_granule_entry *g = &seg->dir.stripes[stripe].granules[in_stripe];
    *ret_min_ns = g->min_time_ns;
    *ret_max_ns = g->max_time_ns;
}

yg_rc yg_snapshot_block(struct yg_snapshot *snap, uint32_t segment, uint32_t granule,
                        struct yg_arena *arena, struct yg_block **ret_block, struct yg_err *err) {
    YG_TRY(load(snap, segment, err));
    if (granule >= snap->segs[segment]->dir.granule_count)
        return yg_fail(err, YG_ECORRUPT, "%s: granule %u is missing",
                       yg_segment_name(snap->segs[segment]), granule);
    struct yg_block *block;
    YG_TRY(yg_segment_block(snap->segs[segment], granule, arena, &block, err));
    if (snap->track == YG_TRACK_TRACES && segment != snap->provisional && snap->masks.len > 0) {
        yg_rc rc = yg_trace_versions_mask(&snap->masks, block, err);
        if (rc == YG_ECORRUPT)
            atomic_fetch_add_explicit(&snap->store->damaged, 1, memory_order_relaxed);
        YG_TRY(rc);
    }
    if (snap->deletion_count > 0)
        YG_TRY(yg_deletions_mask(snap->deletions, snap->deletion_count, snap->segs[segment], block,
                                 err));
    *ret_block = block;
    return YG_OK;
}

bool yg_snapshot_may_hold_trace(struct yg_snapshot *snap, uint32_t segment, yg_id128 trace_id) {
    struct yg_err err;
    if (load(snap, segment, &err) != YG_OK)
        return true; // reading it will say what is wrong
    return yg_segment_may_hold_id(snap->segs[segment], trace_id.lo);
}
