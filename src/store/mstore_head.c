// SPDX-License-Identifier: Apache-2.0
// Metric points in memory since the last flush: per series a short ascending list of 10 s buckets.
//
// A bucket with one sample takes 16 bytes; gauges and rates with more get min, max, sum and count
// beside it; counts are added in place; distributions keep a sketch. A late point is put where it
// belongs, a very late one to the end: lists of points are settled before anybody sees them.

#include "base/panic.h"
#include "store/mstore_int.h"

struct yg_mhead *yg_mhead_create(void) {
    struct yg_mhead *h = yg_calloc(YG_MS_TAG, 1, sizeof(*h));
    atomic_init(&h->refs, 1);
    return h;
}

void yg_mhead_unref(struct yg_mhead *h) {
    if (h == NULL || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < h->sketch_len; i++)
        yg_sketch_fini(&h->sketches[i]);
    yg_free(YG_MS_TAG, h->sketches);
    yg_free(YG_MS_TAG, h->extras);
    yg_free(YG_MS_TAG, h->touched);
    for (uint32_t i = 0; i < h->chunk_cap; i++)
        yg_free(YG_MS_TAG, h->runs[i]);
    yg_free(YG_MS_TAG, h->runs);
    yg_bump_fini(&h->slots);
    yg_free(YG_MS_TAG, h);
}

uint64_t yg_mhead_bytes(const struct yg_mhead *h) {
    if (h->touched_len == 0)
        return 0;
    return h->slots.bytes + (uint64_t)h->chunk_cap * sizeof(*h->runs) +
           (uint64_t)h->chunk_count * YG_MHEAD_CHUNK * sizeof(**h->runs) +
           (uint64_t)h->touched_cap * sizeof(*h->touched) +
           (uint64_t)h->extra_cap * sizeof(*h->extras) +
           (uint64_t)h->sketch_cap * sizeof(*h->sketches) + h->sketch_bytes;
}

static struct yg_hrun *run_of(struct yg_mhead *h, uint32_t series) {
    uint32_t chunk = series / YG_MHEAD_CHUNK;
    if (chunk >= h->chunk_cap) {
        uint32_t cap = h->chunk_cap ? h->chunk_cap : 4;
        while (cap <= chunk)
            cap *= 2;
        h->runs = yg_realloc(YG_MS_TAG, h->runs, cap * sizeof(*h->runs));
        memset(h->runs + h->chunk_cap, 0, (cap - h->chunk_cap) * sizeof(*h->runs));
        h->chunk_cap = cap;
    }
    if (h->runs[chunk] == NULL) {
        h->runs[chunk] = yg_calloc(YG_MS_TAG, YG_MHEAD_CHUNK, sizeof(**h->runs));
        h->chunk_count++;
    }
    struct yg_hrun *run = &h->runs[chunk][series % YG_MHEAD_CHUNK];
    if (run->len == 0) {
        YG_GROW(YG_MS_TAG, h->touched, h->touched_len, h->touched_cap);
        h->touched[h->touched_len++] = series;
    }
    return run;
}

// Finds or makes the slot of a bucket.
static struct yg_hslot *slot_of(struct yg_mhead *h, struct yg_hrun *run, uint32_t bucket,
                                bool *ret_new) {
    // A point later than this many buckets goes to the end, out of order; yg_mrun_settle mends
    // that.
    uint32_t at = run->len, stop = run->len > 64 ? run->len - 64 : 0;
    while (at > stop && run->slots[at - 1].bucket > bucket)
        at--;
    *ret_new = at == 0 || run->slots[at - 1].bucket != bucket;
    if (!*ret_new)
        return &run->slots[at - 1];
    if (at == stop && stop > 0)
        at = run->len;
    if (run->len == run->cap) {
        uint32_t cap = run->cap ? run->cap * 2 : 4;
        struct yg_hslot *slots = yg_bump_alloc(&h->slots, cap * sizeof(*slots));
        if (run->len > 0)
            memcpy(slots, run->slots, run->len * sizeof(*slots));
        run->slots = slots;
        run->cap = cap;
    }
    memmove(run->slots + at + 1, run->slots + at, (run->len - at) * sizeof(*run->slots));
    run->len++;
    run->slots[at] = (struct yg_hslot){.bucket = bucket};
    return &run->slots[at];
}

static void add_sketch(struct yg_mhead *h, struct yg_hslot *slot, double value,
                       const struct yg_sketch *sketch) {
    if (slot->extra == 0) {
        YG_GROW(YG_MS_TAG, h->sketches, h->sketch_len, h->sketch_cap);
        h->sketches[h->sketch_len++] = YG_SKETCH(YG_MS_TAG);
        slot->extra = h->sketch_len;
    }
    struct yg_sketch *into = &h->sketches[slot->extra - 1];
    h->sketch_bytes -= into->cap * sizeof(*into->bins);
    if (sketch != NULL)
        yg_sketch_merge(into, sketch);
    else
        yg_sketch_add(into, value, 1);
    h->sketch_bytes += into->cap * sizeof(*into->bins);
}

static void add_sample(struct yg_mhead *h, struct yg_hslot *slot, double value) {
    if (slot->extra == 0) {
        YG_GROW(YG_MS_TAG, h->extras, h->extra_len, h->extra_cap);
        double v = slot->value;
        h->extras[h->extra_len++] = (struct yg_hextra){v, v, v, v, 1};
        slot->extra = h->extra_len;
    }
    struct yg_hextra *x = &h->extras[slot->extra - 1];
    x->last = value;
    x->min = value < x->min ? value : x->min;
    x->max = value > x->max ? value : x->max;
    x->sum += value;
    x->count += 1;
}

void yg_mhead_add(struct yg_mhead *h, uint32_t series, enum yg_metric_type type, uint32_t bucket,
                  double value, const struct yg_sketch *sketch) {
    bool fresh;
    struct yg_hslot *slot = slot_of(h, run_of(h, series), bucket, &fresh);
    h->point_count++;
    if (value == 0)
        value = 0; // no negative zero
    switch (type) {
    case YG_METRIC_COUNT:
        slot->value += value;
        return;
    case YG_METRIC_GAUGE:
    case YG_METRIC_RATE:
        if (fresh)
            slot->value = value;
        else
            add_sample(h, slot, value);
        return;
    case YG_METRIC_DISTRIBUTION:
        add_sketch(h, slot, value, sketch);
        return;
    case YG_METRIC_TYPE_COUNT:
        break;
    }
    YG_ASSERT(!"a metric type");
}

static void copy_slot(const struct yg_mhead *h, const struct yg_hslot *slot,
                      enum yg_metric_type type, struct yg_mrun *run) {
    struct yg_mpoint *p = yg_mrun_add(run, slot->bucket);
    if (type == YG_METRIC_DISTRIBUTION) {
        const struct yg_sketch *from = &h->sketches[slot->extra - 1];
        struct yg_sketch *copy = yg_mrun_sketch(run);
        yg_sketch_merge(copy, from);
        p->sketch = copy;
        p->sum = from->sum;
        p->count = from->count;
        p->min = from->min;
        p->max = from->max;
        p->last = from->count > 0 ? from->sum / from->count : 0;
        return;
    }
    if (slot->extra == 0) {
        p->last = p->min = p->max = p->sum = slot->value;
        p->count = 1;
        return;
    }
    const struct yg_hextra *x = &h->extras[slot->extra - 1];
    p->last = x->last;
    p->min = x->min;
    p->max = x->max;
    p->sum = x->sum;
    p->count = x->count;
}

void yg_mhead_copy(const struct yg_mhead *h, uint32_t series, enum yg_metric_type type,
                   uint32_t from, uint32_t to, struct yg_mrun *run) {
    uint32_t chunk = series / YG_MHEAD_CHUNK;
    if (chunk >= h->chunk_cap || h->runs[chunk] == NULL)
        return;
    const struct yg_hrun *r = &h->runs[chunk][series % YG_MHEAD_CHUNK];
    for (uint32_t i = 0; i < r->len; i++)
        if (r->slots[i].bucket >= from && r->slots[i].bucket < to)
            copy_slot(h, &r->slots[i], type, run);
}

// ------------------------------------------------------------ lists of points

void yg_mrun_reset(struct yg_mrun *r) {
    r->sketch_len = 0;
    r->len = 0;
    r->unsorted = false;
}

void yg_mrun_fini(struct yg_mrun *r) {
    for (uint32_t i = 0; i < r->sketch_cap; i++) {
        if (r->sketches[i] != NULL)
            yg_sketch_fini(r->sketches[i]);
        yg_free(YG_MS_TAG, r->sketches[i]);
    }
    yg_free(YG_MS_TAG, r->sketches);
    yg_free(YG_MS_TAG, r->points);
    *r = (struct yg_mrun){0};
}

void yg_mrun_reserve(struct yg_mrun *r, uint32_t more) {
    if (r->len + more <= r->cap)
        return;
    uint32_t cap = r->cap * 2 > r->len + more ? r->cap * 2 : r->len + more;
    r->points = yg_realloc(YG_MS_TAG, r->points, cap * sizeof(*r->points));
    r->cap = cap;
}

struct yg_mpoint *yg_mrun_add(struct yg_mrun *r, uint32_t bucket) {
    YG_GROW(YG_MS_TAG, r->points, r->len, r->cap);
    if (r->len > 0 && r->points[r->len - 1].bucket >= bucket)
        r->unsorted = true;
    struct yg_mpoint *p = &r->points[r->len++];
    *p = (struct yg_mpoint){.bucket = bucket};
    return p;
}

struct yg_sketch *yg_mrun_sketch(struct yg_mrun *r) {
    if (r->sketch_len == r->sketch_cap) {
        uint32_t cap = r->sketch_cap ? r->sketch_cap * 2 : 8;
        r->sketches = yg_realloc(YG_MS_TAG, r->sketches, cap * sizeof(*r->sketches));
        memset(r->sketches + r->sketch_cap, 0, (cap - r->sketch_cap) * sizeof(*r->sketches));
        r->sketch_cap = cap;
    }
    struct yg_sketch **at = &r->sketches[r->sketch_len++];
    if (*at == NULL) {
        *at = yg_calloc(YG_MS_TAG, 1, sizeof(**at));
        **at = YG_SKETCH(YG_MS_TAG);
    }
    yg_sketch_reset(*at);
    return *at;
}

static void join(struct yg_mpoint *into, const struct yg_mpoint *from, enum yg_metric_type type) {
    if (type == YG_METRIC_COUNT) {
        double total = into->sum + from->sum;
        into->last = into->min = into->max = into->sum = total;
        return;
    }
    into->last = from->last;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    into->sum += from->sum;
    into->count += from->count;
    if (type != YG_METRIC_DISTRIBUTION)
        return;
    into->last = into->count > 0 ? into->sum / into->count : 0;
    if (into->sketch != NULL && from->sketch != NULL) {
        // The sketch belongs to the run's own pool, whose elements may change.
        union {
            const struct yg_sketch *in;
            struct yg_sketch *out;
        } own = {.in = into->sketch};
        yg_sketch_merge(own.out, from->sketch);
    }
}

static int cmp_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// By bucket; equal buckets stay in the order in which they were added.
static void sort_points(struct yg_mrun *r) {
    uint64_t *keys = yg_alloc(YG_MS_TAG, r->len * sizeof(*keys));
    for (uint32_t i = 0; i < r->len; i++)
        keys[i] = (uint64_t)r->points[i].bucket << 32 | i;
    qsort(keys, r->len, sizeof(*keys), cmp_u64);
    struct yg_mpoint *sorted = yg_alloc(YG_MS_TAG, r->len * sizeof(*sorted));
    for (uint32_t i = 0; i < r->len; i++)
        sorted[i] = r->points[(uint32_t)keys[i]];
    memcpy(r->points, sorted, r->len * sizeof(*sorted));
    yg_free(YG_MS_TAG, sorted);
    yg_free(YG_MS_TAG, keys);
}

void yg_mrun_settle(struct yg_mrun *r, enum yg_metric_type type) {
    if (!r->unsorted)
        return;
    sort_points(r);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < r->len; i++) {
        if (r->points[i].bucket == r->points[kept].bucket)
            join(&r->points[kept], &r->points[i], type);
        else
            r->points[++kept] = r->points[i];
    }
    r->len = r->len > 0 ? kept + 1 : 0;
    r->unsorted = false;
}
