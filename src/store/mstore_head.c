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
    h->first_cap = 4;
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
    if (at == stop && stop > 0) {
        at = run->len;
        h->late = true;
    }
    if (run->len == run->cap) {
        uint32_t cap = run->cap ? run->cap + run->cap / 2 + 1 : h->first_cap;
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
    h->max_bucket = bucket > h->max_bucket ? bucket : h->max_bucket;
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
    if (type == YG_METRIC_DISTRIBUTION) {
        const struct yg_sketch *from = &h->sketches[slot->extra - 1];
        struct yg_sketch *copy = yg_mrun_sketch(run);
        yg_sketch_merge(copy, from);
        const struct yg_hextra x = {.sum = from->sum,
                                    .count = from->count,
                                    .min = from->min,
                                    .max = from->max,
                                    .last = from->count > 0 ? from->sum / from->count : 0};
        yg_mrun_add_full(run, slot->bucket, &x, copy);
    } else if (slot->extra == 0) {
        yg_mrun_add(run, slot->bucket, slot->value);
    } else {
        yg_mrun_add_full(run, slot->bucket, &h->extras[slot->extra - 1], NULL);
    }
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
