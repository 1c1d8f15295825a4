// SPDX-License-Identifier: Apache-2.0
// Segment files: names, what is found at open, changes of the lists and of what the catalogue says.
#include <dirent.h>
#include <unistd.h>

#include "base/file.h"
#include "base/panic.h"
#include "store/store_int.h"

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
    uint64_t *leftover;  // of a crash: pending or dead
    uint32_t leftover_count, leftover_cap;
};

struct yg_segment *yg_store_file_of(struct yg_store *store,
                                    const struct yg_catalog_segment *entry) {
    char path[4096];
    yg_store_file_path(store, entry->track, entry->day, entry->id, path, sizeof(path));
    struct yg_segment *seg = yg_segment_of_file(path);
    seg->id = entry->id;
    seg->track = entry->track;
    seg->index_id = entry->index_id;
    seg->day = entry->day;
    seg->level = entry->level;
    atomic_store(&seg->deletion, entry->deletion);
    seg->row_count = entry->rows;
    seg->bytes = entry->bytes;
    seg->granule_count = entry->granules;
    seg->min_time_ns = entry->min_time_ns;
    seg->max_time_ns = entry->max_time_ns;
    seg->max_sequence = entry->max_sequence;
    seg->listed_mono_ns = yg_mono_ns(store->o.clock);
    seg->damaged = &store->damaged;
    return seg;
}

struct yg_catalog_segment yg_store_entry(const struct yg_segment *seg) {
    return (struct yg_catalog_segment){
        .id = seg->id,
        .track = seg->track,
        .index_id = seg->index_id,
        .day = seg->day,
        .level = seg->level,
        .deletion = atomic_load(&seg->deletion),
        .rows = seg->row_count,
        .bytes = seg->bytes,
        .granules = seg->granule_count,
        .min_time_ns = seg->min_time_ns,
        .max_time_ns = seg->max_time_ns,
        .max_sequence = seg->max_sequence,
    };
}

static void add_file(void *ctx, const struct yg_catalog_segment *s) {
    struct load *l = ctx;
    struct yg_store *store = l->store;
    if (s->id >= store->next_segment_id)
        store->next_segment_id = s->id + 1;
    if (s->state != YG_CATALOG_LIVE) {
        char path[4096];
        yg_store_file_path(store, s->track, s->day, s->id, path, sizeof(path));
        (void)unlink(path);
        YG_GROW(YG_MEM_STORE, l->leftover, l->leftover_count, l->leftover_cap);
        l->leftover[l->leftover_count++] = s->id;
        return;
    }
    struct yg_segment *seg = yg_store_file_of(store, s);
    struct yg_seg_list *list = &store->files[s->track];
    YG_GROW(YG_MEM_STORE, list->segs, list->count, list->cap);
    list->segs[list->count++] = seg;
    *yg_map_put(&l->known, yg_str_c(strrchr(seg->path, '/') + 1), NULL) = 1;
}

static void add_index(void *ctx, uint32_t id, const char *name) {
    struct yg_store *store = ctx;
    if (id < YG_STORE_INDEXES_MAX && store->indexes[id].name == NULL)
        store->indexes[id].name = yg_strndup(YG_MEM_STORE, name, strlen(name));
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

static bool has_copy(const struct yg_store *store) {
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/catalog.copy", store->dir);
    return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
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
    if (has_copy(store))
        return yg_fail(err, YG_ECORRUPT,
                       "%s holds %u segment files but catalog.db is new: yagura fsck --repair puts "
                       "it back from catalog.copy",
                       store->dir_segments, files);
    if (files == 0 || all_logged)
        return YG_OK;
    return yg_fail(err, YG_ECORRUPT,
                   "%s holds %u segment files but catalog.db is new: put the catalogue back, or "
                   "move the files away",
                   store->dir_segments, files);
}

static bool is_old(const struct yg_store *store, const struct yg_seg_peek *peek) {
    int64_t keep_ns = yg_store_keep_ns(store, peek->track, peek->index_id);
    return keep_ns > 0 && peek->day < yg_day_of_ns(yg_now_ns(store->o.clock) - keep_ns);
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
            peek.max_sequence > rows_mark || is_old(store, &peek))
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
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_BASE, (size_t)1 << 30);
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
        rc = yg_catalog_each_index(store->catalog, add_index, store, err);
    if (rc == YG_OK)
        rc = yg_deletions_load(store, err);
    if (rc == YG_OK && l.leftover_count)
        rc = yg_catalog_forget(store->catalog, l.leftover, l.leftover_count, err);
    yg_free(YG_MEM_STORE, l.leftover);
    gone += l.leftover_count;
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

// ------------------------------------------------------------ changes

static bool take_off(struct yg_seg_list *list, const struct yg_segment *seg) {
    for (uint32_t i = 0; i < list->count; i++)
        if (list->segs[i] == seg) {
            memmove(&list->segs[i], &list->segs[i + 1],
                    sizeof(struct yg_segment *) * (list->count - i - 1));
            list->count--;
            return true;
        }
    return false;
}

void yg_store_replace(struct yg_store *store, struct yg_segment *const *gone, uint32_t count,
                      struct yg_segment *add) {
    struct yg_merging *g = &store->merging;
    enum yg_track track = gone[0]->track;
    struct yg_seg_list *list = &store->files[track];
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < count; i++) {
        bool found = take_off(list, gone[i]);
        YG_ASSERT(found);
    }
    if (add) {
        YG_GROW(YG_MEM_STORE, list->segs, list->count, list->cap);
        list->segs[list->count++] = yg_segment_ref(add);
    }
    if (track == YG_TRACK_TRACES)
        atomic_fetch_add(&store->traces_epoch, 1);
    pthread_mutex_unlock(&store->lists_lock);
    for (uint32_t i = 0; i < count; i++) {
        YG_GROW(YG_MEM_STORE, g->dead, g->dead_count, g->dead_cap);
        g->dead[g->dead_count++] = gone[i]->id;
        gone[i]->unlink_at_end = true;
        yg_segment_unref(gone[i]); // the list's reference
    }
}

// ------------------------------------------------------------ doubts

void yg_store_doubt(struct yg_store *store, uint64_t id, const char *path) {
    YG_GROW(YG_MEM_STORE, store->doubts, store->doubt_count, store->doubt_cap);
    store->doubts[store->doubt_count++] =
        (struct yg_doubt){id, yg_strndup(YG_MEM_STORE, path, strlen(path))};
}

yg_rc yg_store_settle(struct yg_store *store, const struct yg_catalog_publication *p,
                      struct yg_err *err) {
    struct yg_catalog_publication all = *p;
    struct yg_catalog_segment *listed = NULL;
    uint32_t cap = 0;
    uint64_t *ids = yg_alloc(YG_MEM_STORE, sizeof(*ids) * (store->doubt_count + 1u));
    for (uint32_t i = 0; i < store->doubt_count; i++)
        ids[i] = store->doubts[i].id;
    all.voided = ids;
    all.voided_count = store->doubt_count;
    pthread_mutex_lock(&store->lists_lock);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        for (uint32_t i = 0; i < store->files[t].count; i++) {
            YG_GROW(YG_MEM_STORE, listed, all.listed_count, cap);
            listed[all.listed_count++] = yg_store_entry(store->files[t].segs[i]);
        }
    pthread_mutex_unlock(&store->lists_lock);
    all.listed = listed;
    yg_rc rc = yg_catalog_publish(store->catalog, &all, err);
    for (uint32_t i = 0; rc == YG_OK && i < store->doubt_count; i++)
        (void)unlink(store->doubts[i].path);
    if (rc == YG_OK)
        yg_store_doubts_free(store);
    yg_free(YG_MEM_STORE, ids);
    yg_free(YG_MEM_STORE, listed);
    return rc;
}

void yg_store_doubts_free(struct yg_store *store) {
    for (uint32_t i = 0; i < store->doubt_count; i++)
        yg_free(YG_MEM_STORE, store->doubts[i].path);
    yg_free(YG_MEM_STORE, store->doubts);
    store->doubts = NULL;
    store->doubt_count = store->doubt_cap = 0;
}

// ------------------------------------------------------------ dead files

struct burial {
    struct yg_store *store;
    uint64_t *gone;
    uint32_t count;
};

static void look_for_file(void *ctx, const struct yg_catalog_segment *s) {
    struct burial *b = ctx;
    const struct yg_merging *g = &b->store->merging;
    bool ours = false;
    for (uint32_t i = 0; i < g->dead_count && !ours; i++)
        ours = g->dead[i] == s->id;
    if (!ours || s->state != YG_CATALOG_DEAD)
        return;
    char path[4096];
    yg_store_file_path(b->store, s->track, s->day, s->id, path, sizeof(path));
    if (access(path, F_OK) != 0)
        b->gone[b->count++] = s->id;
}

static void forget_dead(struct yg_merging *g, const uint64_t *gone, uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->dead_count; i++) {
        bool is_gone = false;
        for (uint32_t k = 0; k < count && !is_gone; k++)
            is_gone = gone[k] == g->dead[i];
        if (!is_gone)
            g->dead[kept++] = g->dead[i];
    }
    g->dead_count = kept;
}

void yg_store_bury(struct yg_store *store) {
    struct yg_merging *g = &store->merging;
    struct burial b = {.store = store};
    struct yg_err err = {0};
    uint64_t damaged;
    if (g->dead_count == 0)
        return;
    b.gone = yg_alloc(YG_MEM_STORE, sizeof(*b.gone) * g->dead_count);
    yg_rc rc = yg_catalog_each_segment(store->catalog, look_for_file, &b, &damaged, &err);
    if (rc == YG_OK && b.count)
        rc = yg_catalog_forget(store->catalog, b.gone, b.count, &err);
    if (rc == YG_OK)
        forget_dead(g, b.gone, b.count);
    else
        yg_log(YG_LOG_DEBUG, "store", "dead files stay named for now", YG_KV_C("why", err.text));
    yg_free(YG_MEM_STORE, b.gone);
}
