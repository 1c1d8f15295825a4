// SPDX-License-Identifier: Apache-2.0
// Private to query: values of a facet by row, measures by row, and the tree of groups of one
// aggregation.
#ifndef YG_QUERY_EVENTS_AGG_H
#define YG_QUERY_EVENTS_AGG_H

#include "base/map.h"
#include "query/events_int.h"

#define YG_GROUP_LEVELS_MAX 8u
#define YG_FACET_VALUES_MAX 1024u // of one row
#define YG_BUCKETS_MAX 20000u     // of one timeseries

// ------------------------------------------------------------ facets (events_facet.c)

struct yg_facet_cache; // value lists by dictionary code

// The distinct values of one facet, and for the open granule the list of values of each row.
struct yg_facet_table {
    const struct yg_group_by *group;
    struct yg_arena *arena; // of the aggregation
    struct yg_map ids;      // text → id + 1
    struct yg_value *values;
    yg_str *texts;
    uint32_t count, cap;
    uint32_t missing_id, total_id; // UINT32_MAX = none
    // Per granule: row r has count[r] values from pool[first[r]].
    uint32_t first[YG_GRANULE_ROWS];
    uint16_t counts[YG_GRANULE_ROWS];
    const uint32_t *pool;
    // private
    uint32_t *own_pool; // lists of rows that no dictionary gives
    uint32_t pool_len, pool_cap;
    struct yg_facet_cache *caches;
    uint32_t cache_next;
    uint32_t list_from; // where the list under construction begins
    bool failed;
    struct {
        enum yg_type type;
        bool used;
        uint64_t bits;
        uint32_t id;
    } numbers[256]; // ids of numbers met lately
};

yg_rc yg_facet_table_init(struct yg_facet_table *t, const struct yg_group_by *group,
                          struct yg_arena *arena, struct yg_err *err) YG_MUST_USE;
void yg_facet_table_fini(struct yg_facet_table *t);
// Reads the facet of the rows in `rows`. ENOMEM.
yg_rc yg_facet_table_read(struct yg_facet_table *t, struct yg_block *b, const uint64_t *rows,
                          struct yg_err *err) YG_MUST_USE;

// ------------------------------------------------------------ measures (events_measure.c)

enum yg_measure_mode {
    YG_MEASURE_COUNT,
    YG_MEASURE_I64,
    YG_MEASURE_F64,
    YG_MEASURE_CODES,
    YG_MEASURE_ANY,
    YG_MEASURE_ABSENT
};

// One compute, opened on a granule.
struct yg_measure {
    const struct yg_compute *compute;
    size_t acc_bytes;
    int64_t first_bucket; // timeseries: number of the first interval
    uint32_t bucket_count;
    enum yg_measure_mode mode;
    const struct yg_vec *vec;
    uint64_t *hashes; // CODES: by code; 0 = not made yet
    struct yg_field_view view;
};

yg_rc yg_measure_init(struct yg_measure *m, const struct yg_compute *compute,
                      struct yg_time_range range, struct yg_err *err) YG_MUST_USE;
yg_rc yg_measure_open(struct yg_measure *m, struct yg_block *b, struct yg_err *err) YG_MUST_USE;
// Adds row r to acc; false without memory.
bool yg_measure_add(struct yg_measure *m, uint32_t row, void *acc, struct yg_acc_pool *pool);
static inline uint32_t yg_measure_bucket(const struct yg_measure *m, int64_t time_ns) {
    int64_t i = m->compute->interval_ns, n = time_ns / i - (time_ns % i < 0);
    return (uint32_t)(n - m->first_bucket);
}

#endif
