// SPDX-License-Identifier: Apache-2.0
// Measures: what a compute reads of each row, straight from the column where there is just one.
#include "query/events_agg.h"

#include "base/hash.h"

yg_rc yg_measure_init(struct yg_measure *m, const struct yg_compute *compute,
                      struct yg_time_range range, struct yg_err *err) {
    *m = (struct yg_measure){.compute = compute, .acc_bytes = yg_acc_size(compute->agg)};
    if (!compute->timeseries)
        return YG_OK;
    int64_t i = compute->interval_ns, span;
    if (i <= 0)
        return yg_fail(err, YG_EINPUT, "a timeseries needs an interval");
    if (__builtin_sub_overflow(range.to_ns, range.from_ns, &span) || span / i >= YG_BUCKETS_MAX)
        return yg_fail(err, YG_EINPUT, "the interval cuts the time range into more than %u buckets",
                       YG_BUCKETS_MAX);
    m->first_bucket = range.from_ns / i - (range.from_ns % i < 0);
    m->bucket_count = 1 + yg_measure_bucket(m, range.to_ns - 1);
    return YG_OK;
}

static enum yg_measure_mode mode_of(const struct yg_measure *m) {
    if (m->view.count == 0)
        return YG_MEASURE_ABSENT;
    const struct yg_field_source *source = &m->view.sources[0];
    if (m->view.count > 1 || source->kind != YG_SOURCE_COLUMN)
        return YG_MEASURE_ANY;
    bool distinct = m->compute->agg == YG_AGG_CARDINALITY;
    if (source->vec->type == YG_T_STR && source->vec->dict && distinct)
        return YG_MEASURE_CODES;
    if (source->vec->type == YG_T_I64 && !distinct)
        return YG_MEASURE_I64;
    if (source->vec->type == YG_T_F64 && !distinct)
        return YG_MEASURE_F64;
    return YG_MEASURE_ANY;
}

yg_rc yg_measure_open(struct yg_measure *m, struct yg_block *b, struct yg_err *err) {
    m->mode = YG_MEASURE_COUNT;
    if (m->compute->agg == YG_AGG_COUNT)
        return YG_OK;
    YG_TRY(yg_field_view_open(&m->compute->metric, b, &m->view, err));
    m->mode = mode_of(m);
    m->vec = m->view.count > 0 ? m->view.sources[0].vec : NULL;
    if (m->mode == YG_MEASURE_CODES) {
        m->hashes = YG_NEW_N(b->arena, uint64_t, m->vec->dict->count + 1);
        if (m->hashes == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory for a dictionary of %u values",
                           m->vec->dict->count);
    }
    return YG_OK;
}

struct adder {
    const struct yg_measure *m;
    void *acc;
    struct yg_acc_pool *pool;
    bool failed;
};

// Equal numbers are equal whatever their type; text is its bytes.
static uint64_t hash_of_value(const struct yg_value *v) {
    double n = 0;
    uint64_t bits;
    switch (v->type) {
    case YG_T_STR:
    case YG_T_JSON:
        return yg_hash_str(v->str);
    case YG_T_ID:
        return yg_hash(&v->id, sizeof(v->id));
    case YG_T_BOOL:
        return yg_hash_str(v->i64 ? YG_STR("true") : YG_STR("false"));
    case YG_T_I64:
        n = (double)v->i64;
        if (n < 9.2e18 && (int64_t)n != v->i64)
            return yg_hash(&v->i64, sizeof(v->i64));
        break;
    case YG_T_F64:
        n = v->f64 == 0 ? 0 : v->f64; // -0 is 0
        break;
    case YG_TYPE_COUNT:
        break;
    }
    memcpy(&bits, &n, sizeof(bits));
    return yg_hash(&bits, sizeof(bits));
}

static void add_any(void *ctx, const struct yg_value *v) {
    struct adder *a = ctx;
    double n;
    if (a->m->compute->agg == YG_AGG_CARDINALITY) {
        a->failed |= !yg_acc_add_hash(a->acc, hash_of_value(v), a->pool);
    } else if (yg_value_number(v, &n)) {
        a->failed |= !yg_acc_add_number(a->m->compute->agg, a->acc, n, a->pool);
    }
}

bool yg_measure_add(struct yg_measure *m, uint32_t row, void *acc, struct yg_acc_pool *pool) {
    struct adder adder = {.m = m, .acc = acc, .pool = pool};
    switch (m->mode) {
    case YG_MEASURE_COUNT:
        yg_acc_add_count(acc, 1);
        return true;
    case YG_MEASURE_I64:
        return !yg_vec_has(m->vec, row) ||
               yg_acc_add_number(m->compute->agg, acc, (double)m->vec->i64[row], pool);
    case YG_MEASURE_F64:
        return !yg_vec_has(m->vec, row) ||
               yg_acc_add_number(m->compute->agg, acc, m->vec->f64[row], pool);
    case YG_MEASURE_CODES: {
        if (!yg_vec_has(m->vec, row))
            return true;
        uint32_t code = m->vec->codes[row];
        if (m->hashes[code] == 0)
            m->hashes[code] = yg_hash_str(m->vec->dict->strs[code]);
        return yg_acc_add_hash(acc, m->hashes[code], pool);
    }
    case YG_MEASURE_ANY:
        yg_field_view_values(&m->view, row, add_any, &adder);
        return !adder.failed;
    case YG_MEASURE_ABSENT:
        return true;
    }
    return true;
}
