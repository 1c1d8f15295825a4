// SPDX-License-Identifier: Apache-2.0
// Segment files: names, what is found at open, whole days dropped by age, memory given back.
#include <dirent.h>
#include <unistd.h>

#include "base/file.h"
#include "base/panic.h"
#include "store/store_int.h"

#define DAY_NS (INT64_C(86400) * YG_NS_PER_S)
#define LOADED_MAX 256u // segments whose directory and descriptor are kept open while idle

void yg_store_file_path(const struct yg_store *store, enum yg_track track, int32_t day, uint64_t id,
                        char *out, size_t cap) {
    int n = snprintf(out, cap, "%s/%s-%d-%016llx.seg", store->dir_segments, yg_track_name(track),
                     (int)day, (unsigned long long)id);
    YG_ASSERT(n > 0 && (size_t)n < cap);
}

// ------------------------------------------------------------ open

struct load {
    struct yg_store *store;
    struct yg_map known; // file names
};

static void add_file(void *ctx, const struct yg_catalog_segment *s) {
    struct load *l = ctx;
    struct yg_store *store = l->store;
    char path[4096];
    yg_store_file_path(store, s->track, s->day, s->id, path, sizeof(path));
    struct yg_segment *seg = yg_segment_of_file(path);
    seg->id = s->id;
    seg->track = s->track;
    seg->day = s->day;
    seg->row_count = s->rows;
    seg->bytes = s->bytes;
    seg->granule_count = s->granules;
    seg->min_time_ns = s->min_time_ns;
    seg->max_time_ns = s->max_time_ns;
    seg->max_sequence = s->max_sequence;
    seg->damaged = &store->damaged;
    struct yg_seg_list *list = &store->files[s->track];
    YG_GROW(YG_MEM_STORE, list->segs, list->count, list->cap);
    list->segs[list->count++] = seg;
    if (s->id >= store->next_segment_id)
        store->next_segment_id = s->id + 1;
    *yg_map_put(&l->known, yg_str_c(strrchr(path, '/') + 1), NULL) = 1;
}

static void add_version(void *ctx, const struct yg_catalog_version *v) {
    struct load *l = ctx;
    yg_trace_versions_set(&l->store->versions, v->id, v->version, v->day, true);
}

// Removes what no catalogue entry names: files whose publication a crash prevented, whose rows are
// still in the WAL.
static yg_rc sweep(const char *dir, const struct yg_map *known, yg_str suffix, uint32_t *ret_gone,
                   struct yg_err *err) {
    DIR *d = opendir(dir);
    if (d == NULL)
        return yg_fail_errno(err, "opendir %s", dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[4096];
        yg_str name = yg_str_c(e->d_name);
        if (e->d_name[0] == '.' || !yg_str_ends(name, suffix) || (known && yg_map_get(known, name)))
            continue;
        int n = snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (n > 0 && (size_t)n < sizeof(path) && unlink(path) == 0)
            ++*ret_gone;
    }
    (void)closedir(d);
    return YG_OK;
}

// A catalogue that was never published to beside segment files: either the first flush of all did
// not end, then the log still holds everything from its first frame on; or it is not their
// catalogue, and sweeping would remove what is stored nowhere else.
static yg_rc check_catalogue(struct yg_store *store, struct yg_err *err) {
    char publication[64];
    yg_rc rc = yg_catalog_get(store->catalog, "publication", publication, sizeof(publication), err);
    if (rc != YG_ENOTFOUND)
        return rc;
    DIR *d = opendir(store->dir_segments);
    if (d == NULL)
        return yg_fail_errno(err, "opendir %s", store->dir_segments);
    uint32_t files = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        files += yg_str_ends(yg_str_c(e->d_name), YG_STR(".seg"));
    (void)closedir(d);
    struct yg_wal_name *names;
    uint32_t count;
    YG_TRY(yg_wal_list(store->dir_wal, &names, &count, err));
    bool all_logged = count > 0 && names[0].first_sequence == 1;
    yg_free(YG_MEM_STORE, names);
    if (files == 0 || all_logged)
        return YG_OK;
    return yg_fail(err, YG_ECORRUPT,
                   "%s holds %u segment files but catalog.db is new: put the catalogue back, or "
                   "move the files away",
                   store->dir_segments, files);
}

static bool is_old(const struct yg_store *store, enum yg_track track, int32_t day) {
    int64_t keep_ns = store->o.retention_ns[track];
    return keep_ns > 0 && day < yg_day_of_ns(yg_now_ns(store->o.clock) - keep_ns);
}

// A whole file that no entry names although the log no longer holds its rows: it was published, so
// the entry was lost (or its day is over, and a crash came before it was removed). It is left where
// it is, for who mends the catalogue.
static yg_rc keep_published(struct yg_store *store, struct yg_map *known, struct yg_err *err) {
    uint64_t rows_mark, metrics_mark;
    uint32_t kept = 0;
    YG_TRY(yg_catalog_marks(store->catalog, &rows_mark, &metrics_mark, err));
    DIR *d = opendir(store->dir_segments);
    if (d == NULL)
        return yg_fail_errno(err, "opendir %s", store->dir_segments);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[4096];
        struct yg_seg_peek peek;
        struct yg_err why;
        yg_str name = yg_str_c(e->d_name);
        int n = snprintf(path, sizeof(path), "%s/%s", store->dir_segments, e->d_name);
        if (!yg_str_ends(name, YG_STR(".seg")) || yg_map_get(known, name) || n <= 0 ||
            (size_t)n >= sizeof(path) || yg_segment_peek(path, &peek, &why) != YG_OK ||
            peek.max_sequence > rows_mark || is_old(store, peek.track, peek.day))
            continue;
        *yg_map_put(known, name, NULL) = 1;
        kept++;
    }
    (void)closedir(d);
    if (kept)
        yg_log(YG_LOG_ERROR, "store", "segment files that catalog.db does not name; kept, not read",
               YG_KV_INT("files", kept), YG_KV_C("dir", store->dir_segments));
    return YG_OK;
}

static yg_rc load_checkpoint(struct yg_store *store, struct yg_err *err) {
    char path[4096];
    yg_rc rc = yg_catalog_get(store->catalog, "open_traces", store->checkpoint,
                              sizeof(store->checkpoint), err);
    if (rc == YG_ENOTFOUND || (rc == YG_OK && store->checkpoint[0] == 0)) {
        store->checkpoint[0] = 0;
        return YG_OK;
    }
    YG_TRY(rc);
    (void)snprintf(path, sizeof(path), "%s/%s", store->dir_segments, store->checkpoint);
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_TRACES, (size_t)1 << 30);
    rc = yg_file_read_all(path, &bytes, err);
    if (rc == YG_OK)
        rc = yg_traces_load(store, yg_buf_str(&bytes), err);
    if (rc == YG_OK)
        return YG_OK;
    // Only summaries of traces that were open at the flush are lost; their spans are stored.
    atomic_fetch_add(&store->damaged, 1);
    yg_log(YG_LOG_ERROR, "store", "open traces of the last flush cannot be read; skipped",
           YG_KV_C("file", path), YG_KV_C("why", err->text));
    return YG_OK;
}

yg_rc yg_store_load_files(struct yg_store *store, struct yg_err *err) {
    struct load l = {.store = store, .known = YG_MAP(YG_MEM_STORE, true)};
    store->next_segment_id = 1;
    uint32_t gone = 0;
    YG_TRY(check_catalogue(store, err));
    uint64_t damaged;
    yg_rc rc = yg_catalog_each_segment(store->catalog, add_file, &l, &damaged, err);
    if (rc == YG_OK && damaged) {
        atomic_fetch_add(&store->damaged, damaged);
        yg_log(YG_LOG_ERROR, "store", "rows of catalog.db are damaged; their files are not read",
               YG_KV_INT("rows", damaged), YG_KV_C("dir", store->dir));
    }
    if (rc == YG_OK)
        rc = yg_catalog_each_version(store->catalog, add_version, &l, err);
    if (rc == YG_OK)
        rc = load_checkpoint(store, err);
    if (rc == YG_OK)
        rc = keep_published(store, &l.known, err);
    if (rc == YG_OK) {
        *yg_map_put(&l.known, yg_str_c(store->checkpoint), NULL) = 1;
        rc = sweep(store->dir_segments, &l.known, YG_STR(""), &gone, err);
    }
    if (rc == YG_OK)
        rc = sweep(store->dir_tmp, NULL, YG_STR(""), &gone, err);
    yg_map_fini(&l.known);
    if (rc == YG_OK && gone)
        yg_log(YG_LOG_INFO, "store", "removed unfinished files", YG_KV_INT("files", gone));
    return rc;
}

// ------------------------------------------------------------ retention

// Takes the track's segments of days before `day` off the list; the files go with their last user.
static void drop_days(struct yg_store *store, enum yg_track track, int32_t day) {
    struct yg_seg_list *list = &store->files[track];
    struct yg_segment *gone = NULL;
    for (;;) {
        pthread_mutex_lock(&store->lists_lock);
        gone = NULL;
        for (uint32_t i = 0; i < list->count && gone == NULL; i++)
            if (list->segs[i]->day < day) {
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

static bool has_days_before(struct yg_store *store, enum yg_track track, int32_t day) {
    bool has = false;
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < store->files[track].count && !has; i++)
        has = store->files[track].segs[i]->day < day;
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

static void retain_track(struct yg_store *store, enum yg_track track) {
    int64_t keep_ns = store->o.retention_ns[track];
    int32_t day = yg_day_of_ns(yg_now_ns(store->o.clock) - keep_ns);
    struct yg_err err = {0};
    if (keep_ns <= 0 || !has_days_before(store, track, day))
        return;
    if (yg_catalog_drop_days(store->catalog, track, day, &err) != YG_OK) {
        yg_log(YG_LOG_WARN, "store", "retention put off", YG_KV_C("why", err.text));
        return;
    }
    drop_days(store, track, day);
    if (track == YG_TRACK_TRACES)
        forget_versions(store, day);
}

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
        for (int t = 0; t < YG_TRACK_COUNT; t++)
            retain_track(store, (enum yg_track)t);
        pthread_mutex_unlock(&store->flush_lock);
    }
    yg_mstore_retain(store->mstore); // beside the strand: it may wait for a flush
    unload_idle(store);
}

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
