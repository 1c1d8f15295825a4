// SPDX-License-Identifier: Apache-2.0
// Measures: what a compute reads of the rows of a granule, straight from the column where there is
// just one. Values are gathered into short arrays first and added after, so that the loops over
// columns know nothing of aggregations and the loops over accumulators nothing of columns.
#include "query/events_agg.h"

#include "base/hash.h"
#include "base/mem.h"

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
    m->per_interval = 1 / (double)i;
    m->bucket_count = range.to_ns > range.from_ns ? 1 + yg_measure_bucket(m, range.to_ns - 1) : 1;
    return YG_OK;
}

void yg_measure_fini(struct yg_measure *m) {
    for (uint32_t i = 0; i < YG_CODE_HASHES; i++) {
        yg_free(YG_MEM_QUERY, m->dicts[i].hashes);
        yg_free(YG_MEM_QUERY, m->dicts[i].seen);
        m->dicts[i] = (struct yg_code_hashes){0};
    }
}

static enum yg_measure_mode mode_of(const struct yg_measure *m,
                                    const struct yg_field_source *source) {
    if (source->kind != YG_SOURCE_COLUMN)
        return YG_MEASURE_ANY;
    bool distinct = m->compute->agg == YG_AGG_CARDINALITY;
    if (source->vec->type == YG_T_STR && distinct)
        return source->vec->dict ? YG_MEASURE_CODES : YG_MEASURE_STRS;
    if (source->vec->type == YG_T_I64 && !distinct)
        return YG_MEASURE_I64;
    if (source->vec->type == YG_T_F64 && !distinct)
        return YG_MEASURE_F64;
    return YG_MEASURE_ANY;
}

static yg_rc open_codes(struct yg_measure *m, const struct yg_dict *dict,
                        struct yg_code_hashes **ret_codes, struct yg_err *err) {
    for (uint32_t i = 0; i < YG_CODE_HASHES; i++)
        if (m->dicts[i].uid == dict->uid && m->dicts[i].count == dict->count) {
            *ret_codes = &m->dicts[i];
            return YG_OK;
        }
    struct yg_code_hashes *d = &m->dicts[m->dict_next++ % YG_CODE_HASHES];
    size_t hash_bytes = sizeof(uint64_t) * ((size_t)dict->count + 1);
    size_t seen_bytes = sizeof(uint64_t) * YG_BITS_WORDS((size_t)dict->count + 1);
    yg_free(YG_MEM_QUERY, d->hashes);
    yg_free(YG_MEM_QUERY, d->seen);
    d->hashes = yg_try_alloc(YG_MEM_QUERY, hash_bytes);
    d->seen = yg_try_alloc(YG_MEM_QUERY, seen_bytes);
    d->uid = 0;
    if (d->hashes == NULL || d->seen == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a dictionary of %u values", dict->count);
    memset(d->hashes, 0, hash_bytes);
    memset(d->seen, 0, seen_bytes);
    d->uid = dict->uid;
    d->count = dict->count;
    *ret_codes = d;
    return YG_OK;
}

yg_rc yg_measure_open(struct yg_measure *m, struct yg_block *b, struct yg_err *err) {
    if (m->compute->agg == YG_AGG_COUNT)
        return YG_OK;
    return yg_field_view_open(&m->compute->metric, b, &m->view, err);
}

// ------------------------------------------------------------ gathering

#define GATHER 1024u

struct gather {
    const struct yg_measure *m;
    struct yg_code_hashes *codes; // of the dictionary under way
    const struct yg_targets *targets;
    struct yg_acc_pool *pool;
    uint32_t k; // the row under way
    uint32_t count;
    bool failed;
    uint16_t at[GATHER]; // value i is of row at[i]
    union {
        double numbers[GATHER];
        uint64_t hashes[GATHER];
    };
};

static void flush(struct gather *g) {
    enum yg_agg agg = g->m->compute->agg;
    if (g->count > 0 && !g->failed)
        g->failed =
            agg == YG_AGG_CARDINALITY
                ? !yg_acc_add_hashes(g->targets, g->at, g->hashes, g->count, g->pool)
                : !yg_acc_add_numbers(agg, g->targets, g->at, g->numbers, g->count, g->pool);
    g->count = 0;
}

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
    struct gather *g = ctx;
    double n;
    if (g->count == GATHER)
        flush(g);
    g->at[g->count] = (uint16_t)g->k;
    if (g->m->compute->agg == YG_AGG_CARDINALITY)
        g->hashes[g->count++] = hash_of_value(v);
    else if (yg_value_number(v, &n))
        g->numbers[g->count++] = n;
}

// `value` is an expression of row r.
#define GATHER_ROWS(field, value)                                                                  \
    for (uint32_t from_ = 0; from_ < count; from_ += GATHER) {                                     \
        uint32_t to_ = count - from_ < GATHER ? count : from_ + GATHER, n_ = 0;                    \
        for (uint32_t k_ = from_; k_ < to_; k_++) {                                                \
            uint32_t r = rows[k_];                                                                 \
            g->at[n_] = (uint16_t)k_;                                                              \
            g->field[n_] = (value);                                                                \
            n_ += present == NULL || yg_bits_get(present, r);                                      \
        }                                                                                          \
        g->count = n_;                                                                             \
        flush(g);                                                                                  \
    }

static uint64_t hash_of_code(const struct gather *g, const struct yg_vec *v, uint32_t code) {
    uint64_t *hash = &g->codes->hashes[code];
    if (*hash == 0)
        *hash = yg_hash_str(v->dict->strs[code]);
    return *hash;
}

// Each code of the dictionary once in a whole query.
static void gather_new_codes(struct gather *g, const struct yg_vec *v, const uint16_t *rows,
                             uint32_t count) {
    uint64_t *seen = g->codes->seen;
    for (uint32_t k = 0; k < count; k++) {
        if (!yg_vec_has(v, rows[k]) || yg_bits_get(seen, v->codes[rows[k]]))
            continue;
        yg_bits_set(seen, v->codes[rows[k]]);
        if (g->count == GATHER)
            flush(g);
        g->at[g->count] = (uint16_t)k;
        g->hashes[g->count++] = hash_of_code(g, v, v->codes[rows[k]]);
    }
    flush(g);
}

static void gather_any(struct gather *g, const struct yg_field_source *source, const uint16_t *rows,
                       uint32_t count) {
    struct yg_field_view view = {.sources = {*source}, .count = 1, .arena = g->m->view.arena};
    for (g->k = 0; g->k < count; g->k++)
        yg_field_view_values(&view, rows[g->k], add_any, g);
    flush(g);
}

static yg_rc gather_source(struct gather *g, struct yg_measure *m,
                           const struct yg_field_source *source, const uint16_t *rows,
                           uint32_t count, struct yg_err *err) {
    const struct yg_vec *v = source->vec;
    const uint64_t *present = v->present;
    switch (mode_of(m, source)) {
    case YG_MEASURE_I64:
        GATHER_ROWS(numbers, (double)v->i64[r])
        break;
    case YG_MEASURE_F64:
        GATHER_ROWS(numbers, v->f64[r])
        break;
    case YG_MEASURE_CODES:
        YG_TRY(open_codes(m, v->dict, &g->codes, err));
        if (g->targets->root)
            gather_new_codes(g, v, rows, count);
        else
            GATHER_ROWS(hashes, hash_of_code(g, v, v->codes[r]))
        break;
    case YG_MEASURE_STRS:
        GATHER_ROWS(hashes, yg_hash_str(yg_vec_str(v, r)))
        break;
    case YG_MEASURE_ANY:
        gather_any(g, source, rows, count);
        break;
    }
    return YG_OK;
}

bool yg_measure_add(struct yg_measure *m, const uint16_t *rows, uint32_t count,
                    const struct yg_targets *targets, struct yg_acc_pool *pool) {
    if (m->compute->agg == YG_AGG_COUNT) {
        yg_acc_add_counts(targets, count);
        return true;
    }
    struct gather g;
    g.m = m;
    g.targets = targets;
    g.pool = pool;
    g.count = 0;
    g.failed = false;
    for (uint32_t i = 0; i < m->view.count && !g.failed; i++)
        if (gather_source(&g, m, &m->view.sources[i], rows, count, NULL) != YG_OK)
            return false;
    return !g.failed;
}
