// SPDX-License-Identifier: Apache-2.0
// Accumulators: one measure of one group. Small by design, because a query may hold millions of
// buckets of them.
//
// COUNT: uint64 rows. SUM, AVG, MIN, MAX: struct number. PERCENTILE: struct yg_quantile *.
// CARDINALITY: struct yg_distinct *. All zero is empty.
//
// Sums are kept in two doubles, the second one holding what the first lost by rounding. So the
// answer is (but for one case in 2^50) the rounded true sum, whatever the order of the rows and
// however many threads added their parts.
#include "query/events_agg.h"

#include <math.h>

#include "base/mem.h"
#include "base/panic.h"

struct number {
    double value;
    double rest;
    uint64_t count;
};

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
    for (uint32_t i = 0; i < pool->quantile_count; i++)
        yg_quantile_destroy(pool->quantiles[i]);
    for (uint32_t i = 0; i < pool->set_count; i++)
        yg_distinct_destroy(pool->sets[i]);
    yg_free(YG_MEM_QUERY, pool->quantiles);
    yg_free(YG_MEM_QUERY, pool->sets);
    *pool = (struct yg_acc_pool){0};
}

// Accounts a change of size; false when that passes the limit.
static bool recharge(struct yg_acc_pool *pool, size_t before, size_t after) {
    pool->bytes += after - before;
    return pool->bytes <= pool->limit_bytes;
}

static struct yg_quantile *quantile_at(void *acc, struct yg_acc_pool *pool) {
    struct yg_quantile **s = acc;
    if (*s == NULL && (*s = yg_quantile_create()) != NULL) {
        YG_GROW(YG_MEM_QUERY, pool->quantiles, pool->quantile_count, pool->quantile_cap);
        pool->quantiles[pool->quantile_count++] = *s;
        pool->bytes += yg_quantile_bytes(*s);
    }
    return *s;
}

static struct yg_distinct *set_at(void *acc, struct yg_acc_pool *pool) {
    struct yg_distinct **d = acc;
    if (*d == NULL && (*d = yg_distinct_create()) != NULL) {
        YG_GROW(YG_MEM_QUERY, pool->sets, pool->set_count, pool->set_cap);
        pool->sets[pool->set_count++] = *d;
        pool->bytes += yg_distinct_bytes(*d);
    }
    return *d;
}

static inline void *target(const struct yg_targets *t, uint32_t k) {
    return t->one ? t->one : t->accs[k] + t->offset;
}

// ------------------------------------------------------------ adding

static inline void add_sum(struct number *n, double v) {
    double sum = n->value + v, part = sum - n->value;
    n->rest += (n->value - (sum - part)) + (v - part);
    n->value = sum;
    n->count++;
}

static void add_sums(const struct yg_targets *t, const uint16_t *at, const double *values,
                     uint32_t count) {
    if (t->one) { // in registers
        struct number n = *(struct number *)(void *)t->one;
        for (uint32_t i = 0; i < count; i++)
            if (!isnan(values[i]))
                add_sum(&n, values[i]);
        *(struct number *)(void *)t->one = n;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            add_sum(target(t, at[i]), values[i]);
}

static void add_extremes(bool max, const struct yg_targets *t, const uint16_t *at,
                         const double *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct number *n = target(t, at[i]);
        double v = values[i];
        if (isnan(v))
            continue;
        if (n->count++ == 0 || (max ? v > n->value : v < n->value))
            n->value = v;
    }
}

static bool add_quantiles(const struct yg_targets *t, const uint16_t *at, const double *values,
                          uint32_t count, struct yg_acc_pool *pool) {
    for (uint32_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        struct yg_quantile *s = quantile_at(target(t, at[i]), pool);
        if (s == NULL)
            return false;
        size_t before = yg_quantile_bytes(s);
        if (!yg_quantile_add(s, values[i]))
            return false;
        if (!recharge(pool, before, yg_quantile_bytes(s)))
            return false;
    }
    return true;
}

bool yg_acc_add_numbers(enum yg_agg agg, const struct yg_targets *targets, const uint16_t *at,
                        const double *values, uint32_t count, struct yg_acc_pool *pool) {
    switch (agg) {
    case YG_AGG_SUM:
    case YG_AGG_AVG:
        add_sums(targets, at, values, count);
        return true;
    case YG_AGG_MIN:
    case YG_AGG_MAX:
        add_extremes(agg == YG_AGG_MAX, targets, at, values, count);
        return true;
    case YG_AGG_PERCENTILE:
        return add_quantiles(targets, at, values, count, pool);
    case YG_AGG_COUNT:
    case YG_AGG_CARDINALITY:
    case YG_AGG_KIND_COUNT:
        break;
    }
    YG_ASSERT(!"an aggregation of numbers");
    return false;
}

bool yg_acc_add_hashes(const struct yg_targets *targets, const uint16_t *at, const uint64_t *hashes,
                       uint32_t count, struct yg_acc_pool *pool) {
    for (uint32_t i = 0; i < count; i++) {
        struct yg_distinct *d = set_at(target(targets, at[i]), pool);
        if (d == NULL)
            return false;
        size_t before = yg_distinct_bytes(d);
        if (!yg_distinct_add(d, hashes[i]) || !recharge(pool, before, yg_distinct_bytes(d)))
            return false;
    }
    return true;
}

void yg_acc_add_counts(const struct yg_targets *targets, uint32_t count) {
    if (targets->one) {
        yg_acc_add_count(targets->one, count);
        return;
    }
    for (uint32_t k = 0; k < count; k++)
        yg_acc_add_count(target(targets, k), 1);
}

// ------------------------------------------------------------ reading

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

static double sum_of(const struct number *n) {
    return isfinite(n->value) ? n->value + n->rest : n->value;
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
    case YG_AGG_MIN:
    case YG_AGG_MAX:
        *ret_value = empty ? 0 : n->value;
        return !empty;
    case YG_AGG_SUM:
        *ret_value = empty ? 0 : sum_of(n);
        return !empty;
    case YG_AGG_AVG:
        *ret_value = empty ? 0 : sum_of(n) / (double)n->count;
        return !empty;
    case YG_AGG_PERCENTILE:
        *ret_value = empty ? 0 : yg_quantile_value(*(struct yg_quantile *const *)acc, c->q);
        return !empty;
    case YG_AGG_KIND_COUNT:
        break;
    }
    return false;
}

// ------------------------------------------------------------ partials

void yg_acc_save(enum yg_agg agg, const void *acc, struct yg_buf *out) {
    if (agg != YG_AGG_CARDINALITY && agg != YG_AGG_PERCENTILE) {
        yg_buf_put(out, acc, yg_acc_size(agg));
        return;
    }
    bool has = !yg_acc_is_empty(agg, acc);
    yg_buf_putc(out, has);
    if (has && agg == YG_AGG_CARDINALITY)
        yg_distinct_save(*(struct yg_distinct *const *)acc, out);
    else if (has)
        yg_quantile_save(*(struct yg_quantile *const *)acc, out);
}

static void load_number(enum yg_agg agg, struct number *n, const struct number *from) {
    if (from->count == 0)
        return;
    if (agg == YG_AGG_SUM || agg == YG_AGG_AVG) {
        add_sum(n, from->value);
        n->rest += from->rest;
        n->count--;
    } else if (n->count == 0 ||
               (agg == YG_AGG_MAX ? from->value > n->value : from->value < n->value)) {
        n->value = from->value;
    }
    n->count += from->count;
}

static bool load_set(void *acc, yg_str in, size_t *at, struct yg_acc_pool *pool) {
    struct yg_distinct *d = set_at(acc, pool);
    if (d == NULL)
        return false;
    size_t before = yg_distinct_bytes(d);
    return yg_distinct_load(d, in, at) && recharge(pool, before, yg_distinct_bytes(d));
}

static bool load_quantile(void *acc, yg_str in, size_t *at, struct yg_acc_pool *pool) {
    struct yg_quantile *s = quantile_at(acc, pool);
    if (s == NULL)
        return false;
    size_t before = yg_quantile_bytes(s);
    return yg_quantile_load(s, in, at) && recharge(pool, before, yg_quantile_bytes(s));
}

bool yg_acc_load(enum yg_agg agg, void *acc, yg_str in, size_t *at, struct yg_acc_pool *pool) {
    if (agg == YG_AGG_CARDINALITY || agg == YG_AGG_PERCENTILE) {
        if (in.ptr[(*at)++] == 0)
            return true;
        return agg == YG_AGG_CARDINALITY ? load_set(acc, in, at, pool)
                                         : load_quantile(acc, in, at, pool);
    }
    if (agg == YG_AGG_COUNT) {
        uint64_t n;
        memcpy(&n, in.ptr + *at, sizeof(n));
        yg_acc_add_count(acc, n);
    } else {
        struct number from;
        memcpy(&from, in.ptr + *at, sizeof(from));
        load_number(agg, acc, &from);
    }
    *at += yg_acc_size(agg);
    return true;
}
