// SPDX-License-Identifier: Apache-2.0
// Retention by age and by size, and memory of idle files given back.
//
// By age whole days of a (track, index) go, by size the oldest day over all tracks and metrics, and
// within today the oldest file. Snapshots keep what they read: a file is unlinked with its last
// reader.
#include "base/file.h"
#include "base/panic.h"
#include "store/store_int.h"

#define LOADED_MAX 256u // segments whose directory and descriptor are kept open while idle
#define INDEX_NAME_MAX 100u

// ------------------------------------------------------------ by age

int64_t yg_store_keep_ns(const struct yg_store *store, enum yg_track track, uint32_t index_id) {
    int64_t own = track == YG_TRACK_LOGS && index_id < YG_STORE_INDEXES_MAX
                      ? store->indexes[index_id].keep_ns
                      : 0;
    return own ? own : store->o.retention_ns[track];
}

yg_rc yg_store_index_retention(struct yg_store *store, yg_str index, int64_t keep_ns,
                               struct yg_err *err) {
    YG_CHECK(store, YG_STORE_MAGIC);
    if (index.len == 0 || index.len > INDEX_NAME_MAX || keep_ns < 0)
        return yg_fail(err, YG_EINPUT, "an index's name has 1 to %u bytes", INDEX_NAME_MAX);
    uint32_t id;
    pthread_mutex_lock(&store->flush_lock);
    yg_rc rc = yg_catalog_index(store->catalog, index, &id, err);
    if (rc == YG_OK && id >= YG_STORE_INDEXES_MAX)
        rc = yg_fail(err, YG_ELIMIT, "%u indexes are there already", YG_STORE_INDEXES_MAX);
    if (rc == YG_OK) {
        pthread_mutex_lock(&store->lists_lock);
        struct yg_store_index *at = &store->indexes[id];
        if (at->name == NULL)
            at->name = yg_strndup(YG_MEM_STORE, index.ptr, index.len);
        at->keep_ns = keep_ns;
        pthread_mutex_unlock(&store->lists_lock);
    }
    pthread_mutex_unlock(&store->flush_lock);
    return rc;
}

static bool is_before(const struct yg_segment *seg, uint32_t index_id, int32_t day) {
    return seg->index_id == index_id && seg->day < day;
}

// Takes the segments of days before `day` off the list; the files go with their last user.
static void drop_days(struct yg_store *store, enum yg_track track, uint32_t index_id, int32_t day) {
    struct yg_seg_list *list = &store->files[track];
    struct yg_segment *gone = NULL;
    for (;;) {
        pthread_mutex_lock(&store->lists_lock);
        gone = NULL;
        for (uint32_t i = 0; i < list->count && gone == NULL; i++)
            if (is_before(list->segs[i], index_id, day)) {
                gone = list->segs[i];
                memmove(&list->segs[i], &list->segs[i + 1],
                        sizeof(struct yg_segment *) * (list->count - i - 1));
                list->count--;
            }
        pthread_mutex_unlock(&store->lists_lock);
        if (gone == NULL)
            return;
        gone->unlink_at_end = true;
        yg_segment_unref(gone);
    }
}

static bool has_days_before(struct yg_store *store, enum yg_track track, uint32_t index_id,
                            int32_t day) {
    bool has = false;
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < store->files[track].count && !has; i++)
        has = is_before(store->files[track].segs[i], index_id, day);
    pthread_mutex_unlock(&store->lists_lock);
    return has;
}

static void forget_versions(struct yg_store *store, int32_t day) {
    struct yg_trace_versions kept = {0};
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < store->versions.cap; i++) {
        const struct yg_trace_version *v = &store->versions.slots[i];
        if (v->version && v->day >= day)
            yg_trace_versions_set(&kept, v->id, v->version, v->day, v->saved);
    }
    yg_free(YG_MEM_TRACES, store->versions.slots);
    store->versions = kept;
    pthread_mutex_unlock(&store->lists_lock);
}

static void retain_index(struct yg_store *store, enum yg_track track, uint32_t index_id) {
    int64_t keep_ns = yg_store_keep_ns(store, track, index_id);
    int32_t day = yg_day_of_ns(yg_now_ns(store->o.clock) - keep_ns);
    struct yg_err err = {0};
    if (keep_ns <= 0 || !has_days_before(store, track, index_id, day))
        return;
    if (yg_catalog_drop_days(store->catalog, track, index_id, day, &err) != YG_OK) {
        yg_log(YG_LOG_WARN, "store", "retention put off", YG_KV_C("why", err.text));
        return;
    }
    drop_days(store, track, index_id, day);
    if (track == YG_TRACK_TRACES)
        forget_versions(store, day);
}

static void retain_by_age(struct yg_store *store) {
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        for (uint32_t i = 0; i < YG_STORE_INDEXES_MAX; i++)
            if (store->indexes[i].name)
                retain_index(store, (enum yg_track)t, i);
}

// ------------------------------------------------------------ by size

struct oldest {
    struct yg_segment **segs; // referenced
    uint32_t count, cap;
    int32_t day;
    int64_t max_time_ns;
    bool found;
};

static uint64_t file_bytes(struct yg_store *store) {
    uint64_t bytes = yg_mstore_file_bytes(store->mstore);
    pthread_mutex_lock(&store->lists_lock);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        for (uint32_t i = 0; i < store->files[t].count; i++)
            bytes += store->files[t].segs[i]->bytes;
    pthread_mutex_unlock(&store->lists_lock);
    return bytes;
}

static void look(struct oldest *o, const struct yg_segment *seg) {
    if (o->found &&
        (seg->day > o->day || (seg->day == o->day && seg->max_time_ns >= o->max_time_ns)))
        return;
    o->found = true;
    o->day = seg->day;
    o->max_time_ns = seg->max_time_ns;
}

static void look_at_all(struct yg_store *store, struct oldest *o) {
    pthread_mutex_lock(&store->lists_lock);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        for (uint32_t i = 0; i < store->files[t].count; i++)
            look(o, store->files[t].segs[i]);
    pthread_mutex_unlock(&store->lists_lock);
}

// The files of the oldest day; of today only the oldest file. Under lists_lock: the track's.
static void take_track(struct oldest *o, const struct yg_seg_list *list, bool whole_day) {
    for (uint32_t i = 0; i < list->count; i++) {
        struct yg_segment *seg = list->segs[i];
        if (seg->day != o->day || (!whole_day && seg->max_time_ns > o->max_time_ns))
            continue;
        YG_GROW(YG_MEM_STORE, o->segs, o->count, o->cap);
        o->segs[o->count++] = yg_segment_ref(seg);
    }
}

static yg_rc drop_files(struct yg_store *store, const struct oldest *o, struct yg_err *err) {
    uint64_t *ids = yg_alloc(YG_MEM_STORE, sizeof(*ids) * (o->count + 1u));
    for (uint32_t i = 0; i < o->count; i++)
        ids[i] = o->segs[i]->id;
    struct yg_catalog_change change = {.gone = ids, .gone_count = o->count};
    yg_rc rc = o->count ? yg_catalog_change(store->catalog, &change, err) : YG_OK;
    yg_free(YG_MEM_STORE, ids);
    if (rc == YG_OK && o->count)
        yg_store_replace(store, o->segs, o->count, NULL);
    return rc;
}

// Drops the oldest there is. False: nothing was.
static bool drop_oldest(struct yg_store *store, int32_t today, struct yg_err *err) {
    struct oldest o = {0};
    look_at_all(store, &o);
    bool dropped = false;
    for (int t = 0; t < YG_TRACK_COUNT && o.found; t++) {
        pthread_mutex_lock(&store->lists_lock);
        take_track(&o, &store->files[t], o.day < today);
        pthread_mutex_unlock(&store->lists_lock);
        dropped |= o.count > 0 && drop_files(store, &o, err) == YG_OK;
        for (uint32_t i = 0; i < o.count; i++)
            yg_segment_unref(o.segs[i]);
        o.count = 0;
    }
    yg_free(YG_MEM_STORE, o.segs);
    if (dropped)
        yg_log(YG_LOG_INFO, "store", "the oldest rows were dropped: --retention-size",
               YG_KV_INT("day", o.day));
    if (dropped && o.day < today &&
        yg_catalog_forget_versions(store->catalog, o.day + 1, err) == YG_OK)
        forget_versions(store, o.day + 1);
    return dropped;
}

// Metrics of the day, when they are no newer than the oldest rows. False: nothing was dropped.
static bool drop_oldest_points(struct yg_store *store) {
    int32_t day;
    uint64_t before = yg_mstore_file_bytes(store->mstore);
    struct oldest o = {0};
    if (!yg_mstore_oldest_day(store->mstore, &day))
        return false;
    look_at_all(store, &o);
    if (o.found && o.day < day)
        return false;
    yg_mstore_drop_before(store->mstore, day + 1);
    if (yg_mstore_file_bytes(store->mstore) >= before)
        return false;
    yg_log(YG_LOG_INFO, "store", "the oldest points were dropped: --retention-size",
           YG_KV_INT("day", day));
    return true;
}

static void retain_by_size(struct yg_store *store) {
    struct yg_err err = {0};
    int32_t today = yg_day_of_ns(yg_now_ns(store->o.clock));
    while (store->o.retention_bytes && file_bytes(store) > store->o.retention_bytes)
        if (!drop_oldest_points(store) && !drop_oldest(store, today, &err)) {
            if (err.rc != YG_OK)
                yg_log(YG_LOG_WARN, "store", "retention by size put off", YG_KV_C("why", err.text));
            return;
        }
}

// ------------------------------------------------------------ idle files

// Idle segments beyond a number give their directory back, the longest unused first.
static void unload_idle(struct yg_store *store) {
    for (;;) {
        uint32_t loaded = 0;
        struct yg_segment *oldest = NULL;
        pthread_mutex_lock(&store->lists_lock);
        for (int t = 0; t < YG_TRACK_COUNT; t++)
            for (uint32_t i = 0; i < store->files[t].count; i++) {
                struct yg_segment *seg = store->files[t].segs[i];
                if (!seg->loaded || atomic_load(&seg->users) > 0)
                    continue;
                loaded++;
                if (oldest == NULL ||
                    atomic_load(&seg->used_mono_ns) < atomic_load(&oldest->used_mono_ns))
                    oldest = seg;
            }
        if (loaded > LOADED_MAX && oldest)
            (void)yg_segment_ref(oldest);
        pthread_mutex_unlock(&store->lists_lock);
        if (loaded <= LOADED_MAX || oldest == NULL)
            return;
        bool idle = yg_segment_unload(oldest);
        yg_segment_unref(oldest);
        if (!idle)
            return;
    }
}

void yg_store_retain(struct yg_store *store) {
    if (pthread_mutex_trylock(&store->flush_lock) == 0) { // else the next time will do
        retain_by_age(store);
        retain_by_size(store);
        yg_deletions_finish(store);
        yg_store_bury(store);
        pthread_mutex_unlock(&store->flush_lock);
    }
    yg_mstore_retain(store->mstore); // beside the strand: it may wait for a flush
    unload_idle(store);
}

// ------------------------------------------------------------ disk

int64_t yg_store_disk_reserve(int64_t total_bytes, double ratio) {
    int64_t share = (int64_t)((double)total_bytes * ratio);
    int64_t logs = 2 * (int64_t)YG_WAL_FILE_BYTES; // on a small disk two log files are more
    if (logs > total_bytes / 4)
        logs = total_bytes / 4;
    return share > logs ? share : logs;
}

void yg_store_check_disk(struct yg_store *store) {
    int64_t free_bytes, total_bytes;
    struct yg_err err = {0};
    if (yg_file_free_bytes(store->dir, &free_bytes, &total_bytes, &err) != YG_OK)
        return; // what cannot be asked does not stop intake
    bool full = free_bytes < yg_store_disk_reserve(total_bytes, store->o.disk_reserve_ratio);
    bool was = atomic_exchange(&store->disk_full, full);
    if (full != was)
        yg_log(full ? YG_LOG_ERROR : YG_LOG_INFO, "store",
               full ? "disk is full: intake waits" : "disk has room again: intake goes on",
               YG_KV_INT("free_bytes", free_bytes));
}
