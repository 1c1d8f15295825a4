// SPDX-License-Identifier: Apache-2.0
// Quantiles of values that come one by one: counts by sketch key in a dense array.
//
// A sorted list of bins (struct yg_sketch) costs a search and often a move per value; the keys of
// one measure lie close together (three decades are 450 keys), so an array over the range seen is
// both smaller and faster. The answer is read off a yg_sketch of the same bins.
#include "query/events_int.h"

#include "base/mem.h"
#include "codec/ddsketch.h"

#define SMALL 16u

struct yg_quantile {
    uint64_t count;
    double min, max;
    int32_t base;     // key of counts[0]
    uint32_t width;   // 0: the keys are in `small`
    uint32_t *counts; // stop at UINT32_MAX
    int32_t small[SMALL];
};

struct yg_quantile *yg_quantile_create(void) {
    struct yg_quantile *s = yg_try_alloc(YG_MEM_QUERY, sizeof(*s));
    if (s)
        *s = (struct yg_quantile){0};
    return s;
}

void yg_quantile_destroy(struct yg_quantile *s) {
    if (s == NULL)
        return;
    yg_free(YG_MEM_QUERY, s->counts);
    yg_free(YG_MEM_QUERY, s);
}

size_t yg_quantile_bytes(const struct yg_quantile *s) {
    return sizeof(*s) + sizeof(uint32_t) * s->width;
}

// Makes room for keys [low, high] with some more on both sides.
static bool widen(struct yg_quantile *s, int32_t low, int32_t high) {
    if (s->width > 0) {
        low = low < s->base ? low : s->base;
        high = high > s->base + (int32_t)s->width - 1 ? high : s->base + (int32_t)s->width - 1;
    }
    int32_t slack = (high - low) / 8 + 8;
    int32_t base = s->width == 0 || low < s->base ? low - slack : s->base;
    int32_t end = s->width == 0 || high >= s->base + (int32_t)s->width ? high + slack : high;
    uint32_t width = (uint32_t)(end - base) + 1;
    uint32_t *counts = yg_try_alloc(YG_MEM_QUERY, sizeof(*counts) * width);
    if (counts == NULL)
        return false;
    memset(counts, 0, sizeof(*counts) * width);
    if (s->width > 0)
        memcpy(counts + (s->base - base), s->counts, sizeof(*counts) * s->width);
    yg_free(YG_MEM_QUERY, s->counts);
    s->counts = counts;
    s->base = base;
    s->width = width;
    return true;
}

static void add_at(struct yg_quantile *s, uint32_t i, uint32_t n) {
    if (__builtin_add_overflow(s->counts[i], n, &s->counts[i]))
        s->counts[i] = UINT32_MAX;
}

static bool to_dense(struct yg_quantile *s, int32_t key) {
    int32_t low = key, high = key;
    for (uint32_t i = 0; i < s->count; i++) {
        low = s->small[i] < low ? s->small[i] : low;
        high = s->small[i] > high ? s->small[i] : high;
    }
    if (!widen(s, low, high))
        return false;
    for (uint32_t i = 0; i < s->count; i++)
        s->counts[s->small[i] - s->base]++;
    return true;
}

static bool add_key(struct yg_quantile *s, int32_t key, uint32_t n) {
    if (s->width == 0) {
        if (s->count + n <= SMALL) {
            for (uint32_t i = 0; i < n; i++)
                s->small[s->count++] = key;
            return true;
        }
        if (!to_dense(s, key))
            return false;
    }
    uint32_t i = (uint32_t)(key - s->base);
    if (i >= s->width) {
        if (!widen(s, key, key))
            return false;
        i = (uint32_t)(key - s->base);
    }
    add_at(s, i, n);
    s->count += n;
    return true;
}

bool yg_quantile_add(struct yg_quantile *s, double value) {
    s->min = s->count == 0 || value < s->min ? value : s->min;
    s->max = s->count == 0 || value > s->max ? value : s->max;
    return add_key(s, yg_sketch_key(value), 1);
}

double yg_quantile_value(const struct yg_quantile *s, double q) {
    struct yg_sketch sketch = YG_SKETCH(YG_MEM_QUERY);
    for (uint32_t i = 0; s->width == 0 && i < s->count; i++)
        yg_sketch_add_bin(&sketch, s->small[i], 1);
    if (s->width > 0) { // in order already
        sketch.cap = s->width;
        sketch.bins = yg_alloc(YG_MEM_QUERY, sizeof(*sketch.bins) * s->width);
    }
    for (uint32_t i = 0; i < s->width; i++)
        if (s->counts[i] > 0)
            sketch.bins[sketch.len++] =
                (struct yg_sketch_bin){.key = s->base + (int32_t)i, .count = s->counts[i]};
    sketch.count = (double)s->count;
    sketch.min = s->min;
    sketch.max = s->max;
    double value = yg_sketch_quantile(&sketch, q);
    yg_sketch_fini(&sketch);
    return value;
}

// Saved: min, max, number of bins; bins of (key, count).
struct bin {
    int32_t key;
    uint32_t count;
};
struct head {
    double min, max;
    uint32_t bins;
    uint32_t reserved;
};

void yg_quantile_save(const struct yg_quantile *s, struct yg_buf *out) {
    struct head head = {.min = s->min, .max = s->max};
    head.bins = s->width == 0 ? (uint32_t)s->count : 0;
    for (uint32_t i = 0; i < s->width; i++)
        head.bins += s->counts[i] > 0;
    yg_buf_put(out, &head, sizeof(head));
    for (uint32_t i = 0; s->width == 0 && i < s->count; i++) {
        struct bin bin = {s->small[i], 1};
        yg_buf_put(out, &bin, sizeof(bin));
    }
    for (uint32_t i = 0; i < s->width; i++) {
        struct bin bin = {s->base + (int32_t)i, s->counts[i]};
        if (bin.count > 0)
            yg_buf_put(out, &bin, sizeof(bin));
    }
}

bool yg_quantile_load(struct yg_quantile *s, yg_str in, size_t *at) {
    struct head head;
    memcpy(&head, in.ptr + *at, sizeof(head));
    const char *bins = in.ptr + *at + sizeof(head);
    *at += sizeof(head) + sizeof(struct bin) * head.bins;
    if (head.bins == 0)
        return true;
    s->min = s->count == 0 || head.min < s->min ? head.min : s->min;
    s->max = s->count == 0 || head.max > s->max ? head.max : s->max;
    if (head.bins > SMALL) { // saved from an array: in order, so that one look makes room for all
        struct bin low, high;
        memcpy(&low, bins, sizeof(low));
        memcpy(&high, bins + sizeof(high) * (head.bins - 1), sizeof(high));
        if (s->width == 0 && !to_dense(s, low.key))
            return false;
        if ((low.key < s->base || high.key >= s->base + (int32_t)s->width) &&
            !widen(s, low.key, high.key))
            return false;
    }
    for (uint32_t i = 0; i < head.bins; i++) {
        struct bin bin;
        memcpy(&bin, bins + sizeof(bin) * i, sizeof(bin));
        if (s->width > 0 && (uint32_t)(bin.key - s->base) < s->width) {
            add_at(s, (uint32_t)(bin.key - s->base), bin.count);
            s->count += bin.count;
        } else if (!add_key(s, bin.key, bin.count)) {
            return false;
        }
    }
    return true;
}
