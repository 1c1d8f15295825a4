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
#define YG_GROUPS_MAX 1000000u    // groups_max of a query that does not say
#define YG_NONE UINT32_MAX

// The rows of a granule that count, ascending. Everything below speaks of the k-th of them.
struct yg_row_list {
    uint32_t count;
    bool all; // rows 0 … count
    uint16_t rows[YG_GRANULE_ROWS];
};

// ------------------------------------------------------------ facets (events_facet.c)

struct yg_facet_cache;  // value lists by dictionary code
struct yg_facet_number; // id of a number

// The distinct values of one facet, and for the open granule the values of each listed row.
struct yg_facet_table {
    const struct yg_group_by *group;
    struct yg_arena *arena; // of the aggregation
    struct yg_map ids;      // text → id + 1
    struct yg_value *values;
    yg_str *texts;
    uint32_t count, cap;
    uint32_t missing_id, total_id; // YG_NONE = none
    // Per granule. single: row k has the value one[k] or none (YG_NONE); constant: all rows have
    // this one and one[] is not filled. Otherwise row k has counts[k] values from pool[first[k]].
    bool single;
    bool is_constant;
    uint32_t constant;
    uint32_t one[YG_GRANULE_ROWS];
    uint32_t first[YG_GRANULE_ROWS];
    uint16_t counts[YG_GRANULE_ROWS];
    const uint32_t *pool;
    // private
    uint32_t *own_pool; // lists of rows that no dictionary gives
    uint32_t pool_len, pool_cap;
    struct yg_facet_cache *caches;
    uint32_t cache_next;
    uint32_t list_from; // where the list under construction begins
    bool failed;        // no memory
    struct yg_facet_number *numbers;
    uint32_t number_count, number_cap;
};

yg_rc yg_facet_table_init(struct yg_facet_table *t, const struct yg_group_by *group,
                          struct yg_arena *arena, struct yg_err *err) YG_MUST_USE;
void yg_facet_table_fini(struct yg_facet_table *t);
// Reads the facet of the listed rows. ENOMEM.
yg_rc yg_facet_table_read(struct yg_facet_table *t, struct yg_block *b,
                          const struct yg_row_list *list, struct yg_err *err) YG_MUST_USE;
// Where only the number of rows matters and the column has a dictionary (*ret_done, else nothing
// was done): add(id, rows) for each value of the rows in `rows`.
yg_rc yg_facet_table_tally(struct yg_facet_table *t, struct yg_block *b, const uint64_t *rows,
                           yg_rc (*add)(void *ctx, uint32_t id, uint32_t count, struct yg_err *err),
                           void *ctx, bool *ret_done, struct yg_err *err) YG_MUST_USE;
// Id of a value by its text; the text is copied when it is new. YG_NONE without memory.
uint32_t yg_facet_table_id(struct yg_facet_table *t, yg_str text, struct yg_value value);

// ------------------------------------------------------------ measures (events_measure.c)

// How one column of a measure is read.
enum yg_measure_mode {
    YG_MEASURE_I64,
    YG_MEASURE_F64,
    YG_MEASURE_CODES, // distinct values of a dictionary column
    YG_MEASURE_STRS,  // distinct values of a string column
    YG_MEASURE_ANY
};

struct yg_code_hashes { // of one dictionary
    uint64_t uid;       // 0 = free
    uint32_t count;
    uint64_t *hashes; // by code; 0 = not made yet
    uint64_t *seen;   // bit per code: added to the one accumulator of an ungrouped query
};
#define YG_CODE_HASHES 4u

// One compute, opened on a granule.
struct yg_measure {
    const struct yg_compute *compute;
    size_t acc_bytes;
    int64_t first_bucket; // timeseries: number of the first interval
    uint32_t bucket_count;
    double per_interval; // 1 / interval
    struct yg_code_hashes dicts[YG_CODE_HASHES];
    uint32_t dict_next;
    struct yg_field_view view;
};

// Where the listed rows are added: at `one`, or row k at accs[k] + offset.
struct yg_targets {
    char *one;
    bool root; // `one` takes all rows of the query: a dictionary code need be added once only
    char *const *accs;
    size_t offset;
};

yg_rc yg_measure_init(struct yg_measure *m, const struct yg_compute *compute,
                      struct yg_time_range range, struct yg_err *err) YG_MUST_USE;
void yg_measure_fini(struct yg_measure *m);
yg_rc yg_measure_open(struct yg_measure *m, struct yg_block *b, struct yg_err *err) YG_MUST_USE;
// Adds the rows to their accumulators; false without memory.
bool yg_measure_add(struct yg_measure *m, const uint16_t *rows, uint32_t count,
                    const struct yg_targets *targets, struct yg_acc_pool *pool) YG_MUST_USE;
// Bucket of a time within the query's range.
static inline uint32_t yg_measure_bucket(const struct yg_measure *m, int64_t time_ns) {
    int64_t interval = m->compute->interval_ns;
    uint64_t past = (uint64_t)time_ns - (uint64_t)(m->first_bucket * interval);
    uint64_t n = (uint64_t)((double)past * m->per_interval); // off by one at most
    if (n * (uint64_t)interval > past)
        n--;
    else if (past - n * (uint64_t)interval >= (uint64_t)interval)
        n++;
    return (uint32_t)n;
}

// ------------------------------------------------------------ the tree (events_tree.c)

struct yg_agg_node {
    uint32_t value; // id in the level's table
    uint32_t parent;
    uint32_t first_child;
    uint32_t next_sibling;
    char *accs; // laid out as levels[…].slots say
};

// A measure as a level keeps it.
struct yg_agg_slot {
    uint32_t measure;
    size_t total_at;   // accumulator of the whole range
    size_t buckets_at; // pointer to bucket_count accumulators
    bool timeseries;
};

struct yg_agg_level {
    struct yg_facet_table *table; // NULL for the root
    struct yg_agg_slot *slots;
    uint32_t slot_count;
    size_t bytes;
    uint32_t sort_slot;        // YG_NONE: alphabetical
    struct yg_agg_rows *chunk; // rows that wait to be added; NULL where the level has no slot
};

struct yg_agg_tree {
    const struct yg_event_query *q;
    struct yg_arena *arena; // nodes; freed with the aggregation
    struct yg_acc_pool pool;
    struct yg_measure *measures; // of the computes, then of the sorts
    uint32_t measure_count;
    struct yg_agg_level levels[YG_GROUP_LEVELS_MAX + 1]; // [0] = root
    struct yg_agg_node *nodes;                           // [0] = root
    uint32_t node_count, node_cap;
    uint32_t *slots; // open addressing: node index + 1 by (parent, value)
    uint32_t slot_cap;
    uint32_t *first_level; // node index + 1 by value of the first facet: no hashing
    uint32_t *counts;      // rows of the open granule by value of the first facet
    uint32_t first_cap;
    uint32_t groups_max;
    struct yg_row_list list; // of the open granule
    struct yg_block *block;
    const int64_t *times; // of the open granule
};

yg_rc yg_agg_init(struct yg_agg_tree *a, const struct yg_event_query *q,
                  struct yg_err *err) YG_MUST_USE;
void yg_agg_fini(struct yg_agg_tree *a);
// Adds the rows of a block. ECORRUPT, EIO: nothing was added; ENOMEM; ELIMIT names the facet.
yg_rc yg_agg_block(struct yg_agg_tree *a, struct yg_block *b, const uint64_t *rows,
                   struct yg_err *err) YG_MUST_USE;
// True when nothing but the number of rows is asked for.
bool yg_agg_only_counts(const struct yg_event_query *q);
void yg_agg_add_rows(struct yg_agg_tree *a, uint64_t count); // only_counts
size_t yg_agg_bytes(const struct yg_agg_tree *a);
// Makes or finds the child of a node. value: an id of the level's table.
yg_rc yg_agg_child(struct yg_agg_tree *a, uint32_t parent, uint32_t value, uint32_t depth,
                   uint32_t *ret_node, struct yg_err *err) YG_MUST_USE;
// The buckets of one slot, made when there are none; NULL without memory.
char *yg_agg_buckets(struct yg_agg_tree *a, const struct yg_agg_slot *s, char *accs);
yg_rc yg_agg_used_up(const struct yg_agg_tree *a, struct yg_err *err); // ELIMIT with the facet

// The best groups, into arena.
yg_rc yg_agg_emit(struct yg_agg_tree *a, struct yg_arena *arena, struct yg_agg_result *result,
                  struct yg_err *err) YG_MUST_USE; // events_emit.c

// ------------------------------------------------------------ partials (events_partial.c)

// What an aggregation holds, as bytes of this process (hashes are seeded): of one worker or of
// sealed granules. The plan (fingerprint) must be the same where it is added; range, limits and
// order may differ.
yg_rc yg_agg_save(const struct yg_agg_tree *a, struct yg_buf *out, struct yg_err *err) YG_MUST_USE;
yg_rc yg_agg_load(struct yg_agg_tree *a, yg_str partial, struct yg_err *err) YG_MUST_USE;
// Text that is equal for equal plans. False: a plan that cannot be told (too long).
bool yg_agg_fingerprint(const struct yg_event_query *q, struct yg_buf *out);

#endif
