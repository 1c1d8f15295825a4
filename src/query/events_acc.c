// SPDX-License-Identifier: Apache-2.0
// Accumulators: one measure of one group. Small by design, because a query may hold millions of
// buckets of them.
//
// COUNT: uint64 rows. SUM, AVG, MIN, MAX: struct number. PERCENTILE: struct yg_sketch *.
// CARDINALITY: struct yg_distinct *. All zero is empty.
#include "query/events_int.h"

#include <math.h>

#include "base/mem.h"
#include "base/panic.h"

struct number {
    double value;
    uint64_t count;
};

// What a sketch is charged with before its bins are known.
#define SKETCH_BYTES 4096u

size_t yg_acc_size(enum yg_agg agg) {
    switch (agg) {
    case YG_AGG_COUNT:
        return sizeof(uint64_t);
    case YG_AGG_SUM:
    case YG_AGG_MIN:
    case YG_AGG_MAX:
    case YG_AGG_AVG:
        return sizeof(struct number);
    case YG_AGG_CARDINALITY:
    case YG_AGG_PERCENTILE:
        return sizeof(void *);
    case YG_AGG_KIND_COUNT:
        break;
    }
    YG_ASSERT(!"an aggregation");
    return 0;
}

void yg_acc_pool_fini(struct yg_acc_pool *pool) {
    for (uint32_t i = 0; i < pool->sketch_count; i++) {
        yg_sketch_fini(pool->sketches[i]);
        yg_free(YG_MEM_QUERY, pool->sketches[i]);
    }
    for (uint32_t i = 0; i < pool->set_count; i++)
        yg_distinct_destroy(pool->sets[i]);
    yg_free(YG_MEM_QUERY, pool->sketches);
    yg_free(YG_MEM_QUERY, pool->sets);
    *pool = (struct yg_acc_pool){0};
}

static bool charge(struct yg_acc_pool *pool, size_t bytes) {
    if (bytes > pool->limit_bytes - pool->bytes)
        return false;
    pool->bytes += bytes;
    return true;
}

static struct yg_sketch *new_sketch(struct yg_acc_pool *pool) {
    if (!charge(pool, SKETCH_BYTES))
        return NULL;
    struct yg_sketch *s = yg_try_alloc(YG_MEM_QUERY, sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = YG_SKETCH(YG_MEM_QUERY);
    YG_GROW(YG_MEM_QUERY, pool->sketches, pool->sketch_count, pool->sketch_cap);
    pool->sketches[pool->sketch_count++] = s;
    return s;
}

bool yg_acc_add_number(enum yg_agg agg, void *acc, double v, struct yg_acc_pool *pool) {
    if (isnan(v))
        return true;
    if (agg == YG_AGG_PERCENTILE) {
        struct yg_sketch **s = acc;
        if (*s == NULL && (*s = new_sketch(pool)) == NULL)
            return false;
        yg_sketch_add(*s, v, 1);
        return true;
    }
    struct number *n = acc;
    switch (agg) {
    case YG_AGG_SUM:
    case YG_AGG_AVG:
        n->value += v;
        break;
    case YG_AGG_MIN:
        n->value = n->count == 0 || v < n->value ? v : n->value;
        break;
    case YG_AGG_MAX:
        n->value = n->count == 0 || v > n->value ? v : n->value;
        break;
    case YG_AGG_COUNT:
    case YG_AGG_CARDINALITY:
    case YG_AGG_PERCENTILE:
    case YG_AGG_KIND_COUNT:
        YG_ASSERT(!"an aggregation of numbers");
    }
    n->count++;
    return true;
}

bool yg_acc_add_hash(void *acc, uint64_t hash, struct yg_acc_pool *pool) {
    struct yg_distinct **d = acc;
    if (*d == NULL) {
        if (!charge(pool, 64) || (*d = yg_distinct_create()) == NULL)
            return false;
        YG_GROW(YG_MEM_QUERY, pool->sets, pool->set_count, pool->set_cap);
        pool->sets[pool->set_count++] = *d;
    }
    size_t bytes_before = yg_distinct_bytes(*d);
    if (!yg_distinct_add(*d, hash))
        return false;
    size_t bytes = yg_distinct_bytes(*d);
    if (bytes > bytes_before)
        return charge(pool, bytes - bytes_before);
    pool->bytes -= bytes_before - bytes;
    return true;
}

bool yg_acc_is_empty(enum yg_agg agg, const void *acc) {
    switch (agg) {
    case YG_AGG_COUNT:
        return *(const uint64_t *)acc == 0;
    case YG_AGG_SUM:
    case YG_AGG_MIN:
    case YG_AGG_MAX:
    case YG_AGG_AVG:
        return ((const struct number *)acc)->count == 0;
    case YG_AGG_CARDINALITY:
    case YG_AGG_PERCENTILE:
        return *(void *const *)acc == NULL;
    case YG_AGG_KIND_COUNT:
        break;
    }
    return true;
}

bool yg_acc_value(const struct yg_compute *c, const void *acc, double *ret_value) {
    bool empty = yg_acc_is_empty(c->agg, acc);
    const struct number *n = acc;
    *ret_value = 0;
    switch (c->agg) {
    case YG_AGG_COUNT:
        *ret_value = (double)*(const uint64_t *)acc;
        return true;
    case YG_AGG_CARDINALITY:
        *ret_value = empty ? 0 : yg_distinct_count(*(struct yg_distinct *const *)acc);
        return true;
    case YG_AGG_SUM:
    case YG_AGG_MIN:
    case YG_AGG_MAX:
        *ret_value = empty ? 0 : n->value;
        return !empty;
    case YG_AGG_AVG:
        *ret_value = empty ? 0 : n->value / (double)n->count;
        return !empty;
    case YG_AGG_PERCENTILE:
        *ret_value = empty ? 0 : yg_sketch_quantile(*(struct yg_sketch *const *)acc, c->q);
        return !empty;
    case YG_AGG_KIND_COUNT:
        break;
    }
    return false;
}
