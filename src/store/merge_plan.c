// SPDX-License-Identifier: Apache-2.0
// Which files are merged next.
//
// Files have levels: 1 from a flush, 2 and 3 from merges, one more than the highest of the inputs;
// level 3 and files of 4 GiB are left alone. So a row is written at most three times. Files of a
// day wait for each other: at level 1 until they fill a stripe or are many, at level 2 until there
// are as many as the fan-in. A day that is over and quiet is put together whatever there is. A file
// that a deletion concerns is written anew by itself, at the level it has.
#include "base/panic.h"
#include "store/merge_int.h"

#define BYTES_MAX (UINT64_C(4) << 30) // larger files are not merged again
#define SMALL_FILES_FACTOR 4          // so many times the fan-in of small files are merged
#define FULL_NUM 3                    // a stripe of three quarters is as good as full
#define FULL_DEN 4

// The files of one (track, index, day) that may be merged, by level, then by id.
struct day_files {
    struct yg_segment **segs;
    uint32_t count, cap;
    uint32_t ones; // of level 1; they come first
    int64_t listed_mono_ns;
};

static int by_level(const void *a, const void *b) {
    const struct yg_segment *x = *(struct yg_segment *const *)a;
    const struct yg_segment *y = *(struct yg_segment *const *)b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool same_day(const struct yg_segment *a, const struct yg_segment *b) {
    return a->index_id == b->index_id && a->day == b->day;
}

static void collect(const struct yg_seg_list *list, const struct yg_segment *first,
                    struct day_files *d) {
    d->count = d->ones = 0;
    d->listed_mono_ns = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct yg_segment *seg = list->segs[i];
        if (!same_day(seg, first) || seg->level >= YG_MERGE_LEVEL_LAST || seg->bytes >= BYTES_MAX ||
            atomic_load(&seg->keep_out))
            continue;
        YG_GROW(YG_MEM_STORE, d->segs, d->count, d->cap);
        d->segs[d->count++] = seg;
        d->ones += seg->level <= 1;
        if (seg->listed_mono_ns > d->listed_mono_ns)
            d->listed_mono_ns = seg->listed_mono_ns;
    }
    if (d->count > 1)
        qsort(d->segs, d->count, sizeof(struct yg_segment *), by_level);
}

// ------------------------------------------------------------ choosing

static uint64_t rows_of(struct yg_segment *const *segs, uint32_t count) {
    uint64_t rows = 0;
    for (uint32_t i = 0; i < count; i++)
        rows += segs[i]->row_count;
    return rows;
}

// As many of the files as may go into one. Copied: up to 4 GiB; decoded: up to rows_max.
static uint32_t fits(struct yg_segment *const *segs, uint32_t count, bool copy, uint64_t rows_max) {
    uint64_t rows = 0, bytes = 0;
    uint32_t n = 0;
    for (; n < count && n < YG_MERGE_INPUTS_MAX; n++) {
        rows += segs[n]->row_count;
        bytes += segs[n]->bytes;
        if (n > 0 && (copy ? bytes > BYTES_MAX : rows > rows_max))
            break;
    }
    return n;
}

// Stripes that are full enough are copied as they are. Rows of traces that were superseded are to
// go: always decoded.
static bool worth_copying(const struct yg_merge_limits *l, struct yg_segment *const *segs,
                          uint32_t count) {
    if (segs[0]->track == YG_TRACK_TRACES)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t stripes = (segs[i]->row_count + l->stripe_rows - 1) / l->stripe_rows;
        if (segs[i]->row_count * FULL_DEN < stripes * l->stripe_rows * FULL_NUM)
            return false;
    }
    return true;
}

static bool take(const struct yg_merge_limits *l, struct yg_segment *const *segs, uint32_t count,
                 struct yg_merge_plan *ret_plan) {
    bool copy = worth_copying(l, segs, count);
    uint32_t n = fits(segs, count, copy, l->rows_max);
    if (!copy && (n < 2 || (segs[0]->level >= 2 && n < count))) { // too many rows to sort
        copy = true;
        n = fits(segs, count, copy, l->rows_max);
    }
    if (n < 2)
        return false;
    *ret_plan = (struct yg_merge_plan){.copy = copy, .count = n};
    for (uint32_t i = 0; i < n; i++) {
        ret_plan->inputs[i] = yg_segment_ref(segs[i]);
        if (segs[i]->level >= ret_plan->level)
            ret_plan->level = segs[i]->level + 1;
    }
    return true;
}

static bool choose(const struct yg_merge_limits *l, const struct day_files *d,
                   struct yg_merge_plan *ret_plan) {
    if (d->count < 2)
        return false;
    uint32_t twos = d->count - d->ones;
    if (d->ones >= l->fan_in &&
        (rows_of(d->segs, d->ones) >= l->stripe_rows || d->ones >= l->fan_in * SMALL_FILES_FACTOR))
        return take(l, d->segs, d->ones, ret_plan);
    if (twos >= l->fan_in)
        return take(l, d->segs + d->ones, twos, ret_plan);
    bool over = d->segs[0]->day < l->today;
    if (l->finish || (over && l->mono_ns - d->listed_mono_ns >= l->quiet_ns))
        return take(l, d->segs, d->count, ret_plan) ||
               (d->ones > 1 && take(l, d->segs, d->ones, ret_plan)) ||
               (twos > 1 && take(l, d->segs + d->ones, twos, ret_plan));
    return false;
}

static bool plan_track(const struct yg_merge_limits *l, const struct yg_seg_list *list,
                       struct yg_merge_plan *ret_plan) {
    struct day_files d = {0};
    bool found = false;
    for (uint32_t i = 0; i < list->count && !found; i++) {
        bool seen = false; // the day was looked at with an earlier file
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = same_day(list->segs[k], list->segs[i]);
        if (seen)
            continue;
        collect(list, list->segs[i], &d);
        found = choose(l, &d, ret_plan);
    }
    yg_free(YG_MEM_STORE, d.segs);
    return found;
}

// A file of which rows are to be deleted. Its deletion must have all its rows in files, or the file
// would be written anew again and again.
static bool plan_deletion(const struct yg_store *store, struct yg_merge_plan *ret_plan) {
    for (uint32_t i = 0; i < store->deletions.count; i++) {
        const struct yg_deletion *d = store->deletions.items[i];
        const struct yg_seg_list *list = &store->files[d->track];
        if (atomic_load(&d->done))
            continue;
        for (uint32_t k = 0; k < list->count; k++) {
            struct yg_segment *seg = list->segs[k];
            if (!yg_deletion_concerns(d, seg) || atomic_load(&seg->keep_out))
                continue;
            *ret_plan = (struct yg_merge_plan){.rewrite = true, .count = 1, .level = seg->level};
            ret_plan->inputs[0] = yg_segment_ref(seg);
            return true;
        }
    }
    return false;
}

bool yg_merge_plan_next(struct yg_store *store, const struct yg_merge_limits *l,
                        struct yg_merge_plan *ret_plan) {
    bool found = false;
    pthread_mutex_lock(&store->lists_lock);
    found = plan_deletion(store, ret_plan);
    for (int t = 0; t < YG_TRACK_COUNT && !found && l->fan_in > 1; t++)
        found = plan_track(l, &store->files[t], ret_plan);
    pthread_mutex_unlock(&store->lists_lock);
    return found;
}
