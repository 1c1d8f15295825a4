// SPDX-License-Identifier: Apache-2.0
// Deletion of rows on request.
//
// A deletion is (track, time range, search, bound). It is durable in the catalogue before it is
// acknowledged, and from then on hides its rows in every new snapshot: a row is concerned when its
// own number (`_seq`, which begins with the number of its frame) lies below the bound, so what is
// acknowledged later stays, also after a replay. Rows of the traces track have no such number;
// there the bound is the id of a file, and the deletion begins with a flush.
//
// The background lane then writes each file that may hold such rows anew without them, and notes in
// the catalogue up to which deletion a file is clean. A file that a flush writes is clean from the
// start of those whose frames were all in files before. When no file is left the deletion is done.
#include "base/panic.h"
#include "filter/filter.h"
#include "store/store_int.h"

#define OPEN_MAX 64u
#define QUERY_BYTES_MAX 4096u
#define TREE_BYTES_MAX ((size_t)4 << 20)

// ------------------------------------------------------------ objects

void yg_deletion_unref(struct yg_deletion *d) {
    if (d == NULL || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    yg_arena_destroy(d->arena);
    yg_free(YG_MEM_STORE, d->query);
    yg_free(YG_MEM_STORE, d);
}

static yg_rc parse(struct yg_deletion *d, struct yg_err *err) {
    d->arena = yg_arena_create(YG_MEM_STORE, TREE_BYTES_MAX);
    if (d->arena == NULL)
        return yg_fail(err, YG_ENOMEM, "the store's memory is used up");
    struct yg_search_options options = {.track = d->track};
    struct yg_node *tree;
    YG_TRY(yg_search_parse(yg_str_c(d->query), &options, d->arena, &tree, err));
    d->tree = tree->kind == YG_NODE_ALL ? NULL : tree;
    return YG_OK;
}

static yg_rc deletion_new(const struct yg_catalog_deletion *c, struct yg_deletion **ret_deletion,
                          struct yg_err *err) {
    struct yg_deletion *d = yg_calloc(YG_MEM_STORE, 1, sizeof(*d));
    atomic_init(&d->refs, 1);
    atomic_init(&d->rows, c->rows);
    atomic_init(&d->done, c->state == YG_DELETION_DONE);
    d->id = c->id;
    d->track = c->track;
    d->range = (struct yg_time_range){c->from_ns, c->to_ns};
    d->sequence = c->sequence;
    d->created_ns = c->created_ns;
    d->query = yg_strndup(YG_MEM_STORE, c->query.ptr, c->query.len);
    yg_rc rc = parse(d, err);
    if (rc == YG_OK)
        *ret_deletion = d;
    else
        yg_deletion_unref(d);
    return rc;
}

static yg_rc put(struct yg_store *store, const struct yg_deletion *d, bool done,
                 struct yg_err *err) {
    struct yg_catalog_deletion c = {
        .id = d->id,
        .track = d->track,
        .from_ns = d->range.from_ns,
        .to_ns = d->range.to_ns,
        .sequence = d->sequence,
        .created_ns = d->created_ns,
        .rows = atomic_load(&d->rows),
        .state = done ? YG_DELETION_DONE : YG_DELETION_OPEN,
        .query = yg_str_c(d->query),
    };
    return yg_catalog_put_deletion(store->catalog, &c, err);
}

static void list_add(struct yg_deletions *l, struct yg_deletion *take) {
    YG_GROW(YG_MEM_STORE, l->items, l->count, l->cap);
    l->items[l->count++] = take;
}

static yg_rc load_one(void *ctx, const struct yg_catalog_deletion *c, struct yg_err *err) {
    struct yg_store *store = ctx;
    struct yg_deletion *d;
    YG_TRY(deletion_new(c, &d, err));
    list_add(&store->deletions, d);
    return YG_OK;
}

yg_rc yg_deletions_load(struct yg_store *store, struct yg_err *err) {
    return yg_catalog_each_deletion(store->catalog, load_one, store, err);
}

void yg_deletions_free(struct yg_deletions *d) {
    for (uint32_t i = 0; i < d->count; i++)
        yg_deletion_unref(d->items[i]);
    yg_free(YG_MEM_STORE, d->items);
}

// ------------------------------------------------------------ hiding

uint32_t yg_deletions_open(struct yg_store *store, enum yg_track track,
                           struct yg_deletion ***ret_items) {
    uint32_t n = 0;
    *ret_items = NULL;
    pthread_mutex_lock(&store->lists_lock);
    const struct yg_deletions *l = &store->deletions;
    for (uint32_t i = 0; i < l->count; i++) {
        struct yg_deletion *d = l->items[i];
        if (d->track != track || atomic_load(&d->done))
            continue;
        if (*ret_items == NULL)
            *ret_items = yg_alloc(YG_MEM_STORE, sizeof(struct yg_deletion *) * (l->count - i));
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
        (*ret_items)[n++] = d;
    }
    pthread_mutex_unlock(&store->lists_lock);
    return n;
}

static bool overlaps(const struct yg_deletion *d, int64_t min_ns, int64_t max_ns) {
    return min_ns < d->range.to_ns && max_ns >= d->range.from_ns;
}

bool yg_deletion_concerns(const struct yg_deletion *d, const struct yg_segment *seg) {
    if (d->track != seg->track || d->id <= atomic_load(&seg->deletion) ||
        !overlaps(d, seg->min_time_ns, seg->max_time_ns))
        return false;
    return d->track != YG_TRACK_TRACES || (!seg->in_memory && seg->id < d->sequence);
}

// Rows of the block that the deletion is about, whatever their number.
static yg_rc matching(const struct yg_deletion *d, struct yg_block *b, uint64_t *ret_rows,
                      struct yg_err *err) {
    struct yg_filter *filter;
    struct yg_node all = {.kind = YG_NODE_ALL};
    YG_TRY(yg_filter_compile(d->tree ? d->tree : &all, d->range, &filter, err));
    yg_rc rc = YG_OK;
    if (yg_filter_may_match(filter, b))
        rc = yg_filter_run(filter, b, ret_rows, err);
    yg_filter_destroy(filter);
    return rc;
}

// Drops from `rows` those of frames after the bound.
static yg_rc bound(const struct yg_deletion *d, struct yg_block *b, uint64_t *rows,
                   struct yg_err *err) {
    const struct yg_vec *seq[YG_TYPE_COUNT];
    uint32_t n;
    if (d->track == YG_TRACK_TRACES)
        return YG_OK;
    YG_TRY(b->ops->columns(b, YG_STR(YG_COL_SEQ), seq, &n, err));
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1))
        if (n != 1 || seq[0]->type != YG_T_I64 || !yg_vec_has(seq[0], r) ||
            (uint64_t)seq[0]->i64[r] >> 20 > d->sequence)
            yg_bits_clear(rows, r);
    return YG_OK;
}

static yg_rc mask(const struct yg_deletion *d, struct yg_block *b, struct yg_err *err) {
    uint32_t words = YG_BITS_WORDS(b->row_count);
    uint64_t *rows = YG_NEW_N(b->arena, uint64_t, words);
    if (rows == NULL)
        return yg_fail(err, YG_ENOMEM, "the memory for hiding deleted rows is used up");
    YG_TRY(matching(d, b, rows, err));
    if (!yg_bits_any(rows, b->row_count))
        return YG_OK;
    YG_TRY(bound(d, b, rows, err));
    uint64_t *live = YG_NEW_N(b->arena, uint64_t, words);
    if (live == NULL)
        return yg_fail(err, YG_ENOMEM, "the memory for hiding deleted rows is used up");
    if (b->live)
        memcpy(live, b->live, words * 8);
    else
        yg_bits_fill(live, b->row_count);
    for (uint32_t w = 0; w < words; w++)
        live[w] &= ~rows[w];
    b->live = live;
    return YG_OK;
}

yg_rc yg_deletions_mask(struct yg_deletion *const *items, uint32_t count,
                        const struct yg_segment *seg, struct yg_block *b, struct yg_err *err) {
    for (uint32_t i = 0; i < count; i++)
        if (yg_deletion_concerns(items[i], seg) &&
            overlaps(items[i], b->min_time_ns, b->max_time_ns))
            YG_TRY(mask(items[i], b, err));
    return YG_OK;
}

// ------------------------------------------------------------ progress

uint64_t yg_deletions_settled(const struct yg_store *store, enum yg_track track) {
    uint64_t settled = 0;
    for (uint32_t i = 0; i < store->deletions.count; i++) {
        const struct yg_deletion *d = store->deletions.items[i];
        if (d->track != track)
            continue;
        if (track != YG_TRACK_TRACES && d->sequence > store->flushed)
            break; // ids and bounds ascend together
        settled = d->id;
    }
    return settled;
}

// Files that may hold rows of it; under lists_lock.
static uint32_t left(const struct yg_store *store, const struct yg_deletion *d,
                     uint32_t *ret_damaged) {
    const struct yg_seg_list *list = &store->files[d->track];
    uint32_t n = 0;
    *ret_damaged = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        bool concerned = yg_deletion_concerns(d, list->segs[i]);
        n += concerned;
        *ret_damaged += concerned && atomic_load(&list->segs[i]->keep_out);
    }
    return n;
}

void yg_deletions_finish(struct yg_store *store) {
    struct yg_deletion *ended[OPEN_MAX];
    uint32_t n = 0, damaged;
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < store->deletions.count && n < OPEN_MAX; i++) {
        struct yg_deletion *d = store->deletions.items[i];
        bool in_files = d->track == YG_TRACK_TRACES || d->sequence <= store->flushed;
        if (!atomic_load(&d->done) && in_files && left(store, d, &damaged) == 0)
            ended[n++] = d;
    }
    pthread_mutex_unlock(&store->lists_lock);
    for (uint32_t i = 0; i < n; i++) {
        struct yg_err err = {0};
        if (put(store, ended[i], true, &err) == YG_OK) {
            atomic_store(&ended[i]->done, true);
            yg_log(YG_LOG_INFO, "store", "deletion done", YG_KV_INT("deletion", ended[i]->id),
                   YG_KV_INT("rows", atomic_load(&ended[i]->rows)));
        } else {
            yg_log(YG_LOG_WARN, "store", "the end of a deletion was not noted; tried again",
                   YG_KV_C("why", err.text));
        }
    }
}

void yg_store_deletions(struct yg_store *store,
                        void (*fn)(void *ctx, const struct yg_deletion_info *info), void *ctx) {
    YG_CHECK(store, YG_STORE_MAGIC);
    pthread_mutex_lock(&store->lists_lock);
    uint32_t count = store->deletions.count;
    struct yg_deletion_info *infos = yg_calloc(YG_MEM_STORE, count + 1u, sizeof(*infos));
    struct yg_deletion **held = yg_calloc(YG_MEM_STORE, count + 1u, sizeof(struct yg_deletion *));
    for (uint32_t i = 0; i < count; i++) {
        struct yg_deletion *d = held[i] = store->deletions.items[count - 1 - i];
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
        infos[i] = (struct yg_deletion_info){
            .id = d->id,
            .track = d->track,
            .range = d->range,
            .created_ns = d->created_ns,
            .query = d->query,
            .rows_removed = atomic_load(&d->rows),
            .done = atomic_load(&d->done),
        };
        if (!infos[i].done)
            infos[i].segments_left = left(store, d, &infos[i].segments_damaged);
    }
    pthread_mutex_unlock(&store->lists_lock);
    for (uint32_t i = 0; i < count; i++) {
        fn(ctx, &infos[i]);
        yg_deletion_unref(held[i]);
    }
    yg_free(YG_MEM_STORE, infos);
    yg_free(YG_MEM_STORE, held);
}

// ------------------------------------------------------------ request

static uint64_t open_count(struct yg_store *store, uint64_t *ret_last_id) {
    uint64_t open = 0;
    pthread_mutex_lock(&store->lists_lock);
    for (uint32_t i = 0; i < store->deletions.count; i++) {
        open += !atomic_load(&store->deletions.items[i]->done);
        *ret_last_id = store->deletions.items[i]->id;
    }
    pthread_mutex_unlock(&store->lists_lock);
    return open;
}

// Under flush_lock, so that ids and bounds ascend together and no flush stands between.
static yg_rc make(struct yg_store *store, struct yg_catalog_deletion *c, struct yg_err *err) {
    uint64_t last = 0;
    if (open_count(store, &last) >= OPEN_MAX)
        return yg_fail(err, YG_EBUSY, "%u deletions are under way already", OPEN_MAX);
    c->id = last + 1;
    if (c->track == YG_TRACK_TRACES) {
        c->sequence = atomic_load(&store->next_segment_id);
    } else {
        pthread_mutex_lock(&store->dispatch_lock);
        c->sequence = store->dispatched;
        pthread_mutex_unlock(&store->dispatch_lock);
    }
    struct yg_deletion *d;
    YG_TRY(deletion_new(c, &d, err));
    yg_rc rc = put(store, d, false, err);
    if (rc != YG_OK) {
        yg_deletion_unref(d);
        return rc;
    }
    pthread_mutex_lock(&store->lists_lock);
    list_add(&store->deletions, d);
    atomic_fetch_add(&store->traces_epoch, 1);
    pthread_mutex_unlock(&store->lists_lock);
    yg_log(YG_LOG_INFO, "store", "deletion begins", YG_KV_INT("deletion", d->id),
           YG_KV_C("track", yg_track_name(d->track)));
    return YG_OK;
}

yg_rc yg_store_delete(struct yg_store *store, enum yg_track track, struct yg_time_range range,
                      yg_str query, uint64_t *ret_id, struct yg_err *err) {
    YG_CHECK(store, YG_STORE_MAGIC);
    YG_ASSERT((unsigned)track < YG_TRACK_COUNT);
    if (query.len > QUERY_BYTES_MAX)
        return yg_fail(err, YG_EINPUT, "a search of %zu bytes; %u are allowed", query.len,
                       QUERY_BYTES_MAX);
    if (range.from_ns >= range.to_ns)
        return yg_fail(err, YG_EINPUT, "the time range is empty");
    struct yg_catalog_deletion c = {
        .track = track,
        .from_ns = range.from_ns,
        .to_ns = range.to_ns,
        .created_ns = yg_now_ns(store->o.clock),
        .state = YG_DELETION_OPEN,
        .query = query,
    };
    if (track == YG_TRACK_TRACES) // their bound is a file: what is closed goes there first
        YG_TRY(yg_store_flush(store, err));
    pthread_mutex_lock(&store->flush_lock);
    yg_rc rc = make(store, &c, err);
    pthread_mutex_unlock(&store->flush_lock);
    if (rc == YG_OK)
        *ret_id = c.id;
    return rc;
}
