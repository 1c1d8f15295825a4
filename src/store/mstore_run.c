// SPDX-License-Identifier: Apache-2.0
// Lists of buckets of one series, column by column: gathering, sorting, joining, rolling up.
//
// Sums are made in one order everywhere, so that an answer does not depend on what was rolled up
// beforehand: 10 s buckets in a minute, minutes in five, those in an hour, each from the oldest on.

#include "base/panic.h"
#include "store/mstore_int.h"

void yg_mrun_reset(struct yg_mrun *r) {
    r->sketch_len = 0;
    r->len = 0;
    r->unsorted = false;
    r->full = false;
}

void yg_mrun_fini(struct yg_mrun *r) {
    for (uint32_t i = 0; i < r->sketch_cap; i++) {
        if (r->sketches[i] != NULL)
            yg_sketch_fini(r->sketches[i]);
        yg_free(YG_MS_TAG, r->sketches[i]);
    }
    yg_free(YG_MS_TAG, r->sketches);
    yg_free(YG_MS_TAG, r->bucket);
    yg_free(YG_MS_TAG, r->sum);
    yg_free(YG_MS_TAG, r->last);
    yg_free(YG_MS_TAG, r->min);
    yg_free(YG_MS_TAG, r->max);
    yg_free(YG_MS_TAG, r->count);
    yg_free(YG_MS_TAG, r->sketch);
    *r = (struct yg_mrun){0};
}

#define GROW(field) r->field = yg_realloc(YG_MS_TAG, r->field, cap * sizeof(*r->field))

void yg_mrun_reserve(struct yg_mrun *r, uint32_t more) {
    if (r->len + more <= r->cap)
        return;
    uint32_t cap = r->cap * 2 > r->len + more ? r->cap * 2 : r->len + more;
    cap = cap < 16 ? 16 : cap;
    GROW(bucket);
    GROW(sum);
    GROW(last);
    GROW(min);
    GROW(max);
    GROW(count);
    GROW(sketch);
    r->cap = cap;
}

void yg_mrun_make_full(struct yg_mrun *r) {
    if (r->full)
        return;
    r->full = true;
    if (r->len == 0)
        return;
    memcpy(r->last, r->sum, r->len * sizeof(*r->sum));
    memcpy(r->min, r->sum, r->len * sizeof(*r->sum));
    memcpy(r->max, r->sum, r->len * sizeof(*r->sum));
    for (uint32_t i = 0; i < r->len; i++) {
        r->count[i] = 1;
        r->sketch[i] = NULL;
    }
}

static uint32_t add_at(struct yg_mrun *r, uint32_t bucket) {
    yg_mrun_reserve(r, 1);
    r->unsorted |= r->len > 0 && r->bucket[r->len - 1] >= bucket;
    r->bucket[r->len] = bucket;
    return r->len++;
}

void yg_mrun_add(struct yg_mrun *r, uint32_t bucket, double value) {
    uint32_t i = add_at(r, bucket);
    r->sum[i] = value;
    if (!r->full)
        return;
    r->last[i] = r->min[i] = r->max[i] = value;
    r->count[i] = 1;
    r->sketch[i] = NULL;
}

void yg_mrun_add_full(struct yg_mrun *r, uint32_t bucket, const struct yg_hextra *x,
                      struct yg_sketch *sketch) {
    yg_mrun_make_full(r);
    uint32_t i = add_at(r, bucket);
    r->sum[i] = x->sum;
    r->last[i] = x->last;
    r->min[i] = x->min;
    r->max[i] = x->max;
    r->count[i] = x->count;
    r->sketch[i] = sketch;
}

void yg_mrun_append(struct yg_mrun *r, const struct yg_mrun *from, uint32_t at, uint32_t n) {
    if (n == 0)
        return;
    if (from->full)
        yg_mrun_make_full(r);
    yg_mrun_reserve(r, n);
    r->unsorted |= from->unsorted || (r->len > 0 && r->bucket[r->len - 1] >= from->bucket[at]);
    memcpy(r->bucket + r->len, from->bucket + at, n * sizeof(*r->bucket));
    memcpy(r->sum + r->len, from->sum + at, n * sizeof(*r->sum));
    if (r->full) {
        const struct yg_mrun *f = from;
        memcpy(r->last + r->len, (f->full ? f->last : f->sum) + at, n * sizeof(*r->sum));
        memcpy(r->min + r->len, (f->full ? f->min : f->sum) + at, n * sizeof(*r->sum));
        memcpy(r->max + r->len, (f->full ? f->max : f->sum) + at, n * sizeof(*r->sum));
        for (uint32_t i = 0; i < n; i++) {
            r->count[r->len + i] = f->full ? f->count[at + i] : 1;
            r->sketch[r->len + i] = f->full ? f->sketch[at + i] : NULL;
        }
    }
    r->len += n;
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

// ------------------------------------------------------------ sorting and joining

void yg_mrun_move(struct yg_mrun *r, uint32_t to, uint32_t from) {
    r->bucket[to] = r->bucket[from];
    r->sum[to] = r->sum[from];
    if (!r->full)
        return;
    r->last[to] = r->last[from];
    r->min[to] = r->min[from];
    r->max[to] = r->max[from];
    r->count[to] = r->count[from];
    r->sketch[to] = r->sketch[from];
}

static void join(struct yg_mrun *r, uint32_t into, uint32_t from, enum yg_metric_type type) {
    if (type == YG_METRIC_COUNT) {
        r->sum[into] += r->sum[from];
        if (r->full)
            r->last[into] = r->min[into] = r->max[into] = r->sum[into];
        return;
    }
    r->last[into] = r->last[from];
    r->min[into] = r->min[from] < r->min[into] ? r->min[from] : r->min[into];
    r->max[into] = r->max[from] > r->max[into] ? r->max[from] : r->max[into];
    r->sum[into] += r->sum[from];
    r->count[into] += r->count[from];
    if (type != YG_METRIC_DISTRIBUTION)
        return;
    r->last[into] = r->count[into] > 0 ? r->sum[into] / r->count[into] : 0;
    if (r->sketch[into] != NULL && r->sketch[from] != NULL)
        yg_sketch_merge(r->sketch[into], r->sketch[from]);
}

static int cmp_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// By bucket; equal buckets stay in the order in which they were added.
static void sort_points(struct yg_mrun *r) {
    uint64_t *keys = yg_alloc(YG_MS_TAG, r->len * sizeof(*keys));
    for (uint32_t i = 0; i < r->len; i++)
        keys[i] = (uint64_t)r->bucket[i] << 32 | i;
    qsort(keys, r->len, sizeof(*keys), cmp_u64);
    struct yg_mrun sorted = {.full = r->full};
    yg_mrun_reserve(&sorted, r->len);
    for (uint32_t i = 0; i < r->len; i++)
        yg_mrun_append(&sorted, r, (uint32_t)keys[i], 1);
    sorted.sketches = r->sketches; // the pool stays with the list
    sorted.sketch_len = r->sketch_len;
    sorted.sketch_cap = r->sketch_cap;
    r->sketches = NULL;
    r->sketch_cap = 0;
    yg_mrun_fini(r);
    *r = sorted;
    yg_free(YG_MS_TAG, keys);
}

void yg_mrun_settle(struct yg_mrun *r, enum yg_metric_type type) {
    if (!r->unsorted)
        return;
    sort_points(r);
    bool twice = false;
    for (uint32_t i = 1; i < r->len && !twice; i++)
        twice = r->bucket[i] == r->bucket[i - 1];
    if (twice && type != YG_METRIC_COUNT)
        yg_mrun_make_full(r);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < r->len; i++) {
        if (r->bucket[i] == r->bucket[kept])
            join(r, kept, i, type);
        else
            yg_mrun_move(r, ++kept, i);
    }
    r->len = r->len > 0 ? kept + 1 : 0;
    r->unsorted = false;
}

// ------------------------------------------------------------ rolling up

static void roll_sketches(const struct yg_mrun *in, uint32_t at, uint32_t end, struct yg_mrun *out,
                          uint32_t to) {
    for (uint32_t i = at; i < end; i++) {
        if (in->sketch[i] == NULL)
            continue;
        if (out->sketch[to] == NULL)
            out->sketch[to] = yg_mrun_sketch(out);
        yg_sketch_merge(out->sketch[to], in->sketch[i]);
    }
    if (out->sketch[to] != NULL) { // the same order of adding as the columns have
        out->sketch[to]->sum = out->sum[to];
        out->sketch[to]->count = out->count[to];
    }
}

static double add_up(const double *v, uint32_t at, uint32_t end) {
    double sum = v[at];
    for (uint32_t i = at + 1; i < end; i++)
        sum += v[i];
    return sum;
}

static void roll_one(const struct yg_mrun *in, uint32_t at, uint32_t end, enum yg_metric_type type,
                     struct yg_mrun *out, uint32_t to) {
    const double *min = in->full ? in->min : in->sum, *max = in->full ? in->max : in->sum;
    double lo = min[at], hi = max[at];
    for (uint32_t i = at + 1; i < end; i++) {
        lo = min[i] < lo ? min[i] : lo;
        hi = max[i] > hi ? max[i] : hi;
    }
    out->min[to] = lo;
    out->max[to] = hi;
    out->sum[to] = add_up(in->sum, at, end);
    out->count[to] = in->full ? add_up(in->count, at, end) : (double)(end - at);
    out->last[to] = in->full ? in->last[end - 1] : in->sum[end - 1];
    out->sketch[to] = NULL;
    if (type == YG_METRIC_DISTRIBUTION)
        out->last[to] = out->count[to] > 0 ? out->sum[to] / out->count[to] : 0;
}

static void roll_sums(const struct yg_mrun *in, uint32_t at, uint32_t end, struct yg_mrun *out,
                      uint32_t to) {
    out->sum[to] = add_up(in->sum, at, end);
    out->count[to] = in->full ? add_up(in->count, at, end) : (double)(end - at);
    out->min[to] = out->max[to] = out->last[to] = 0; // not asked for
    out->sketch[to] = NULL;
}

void yg_mrun_roll(const struct yg_mrun *in, enum yg_metric_type type, uint32_t step,
                  uint32_t fields, struct yg_mrun *out) {
    YG_ASSERT(!in->unsorted && in != out);
    yg_mrun_reset(out);
    out->full = true;
    yg_mrun_reserve(out, in->len);
    bool sums = (fields & ~(uint32_t)(YG_METRIC_SUM | YG_METRIC_WEIGHT)) == 0;
    bool sketches = type == YG_METRIC_DISTRIBUTION && (fields & YG_METRIC_SKETCH) != 0;
    for (uint32_t at = 0, end; at < in->len; at = end) {
        uint32_t node = in->bucket[at] - in->bucket[at] % step, to = out->len++;
        for (end = at + 1; end < in->len && in->bucket[end] - node < step;)
            end++;
        out->bucket[to] = node;
        if (sums)
            roll_sums(in, at, end, out, to);
        else
            roll_one(in, at, end, type, out, to);
        if (sketches)
            roll_sketches(in, at, end, out, to);
    }
}
