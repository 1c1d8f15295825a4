// SPDX-License-Identifier: Apache-2.0
// Private to query: walking the granules of a track under a filter, and the accumulators of
// aggregation.
#ifndef YG_QUERY_EVENTS_INT_H
#define YG_QUERY_EVENTS_INT_H

#include "base/buf.h"
#include "query/events.h"

#define YG_QUERY_MEMORY_BYTES (64u << 20)  // groups and accumulators of one query
#define YG_BLOCK_MEMORY_BYTES (256u << 20) // decoded columns of one granule
#define YG_WARNINGS_BYTES (1u << 20)       // texts of one thread

// ------------------------------------------------------------ scan (events_scan.c)

struct yg_scan_granule {
    uint32_t segment;
    uint32_t granule;
    int64_t min_ns;
    int64_t max_ns;
};

// A walk over all granules that overlap a time range.
struct yg_scan {
    struct yg_snapshot *snapshot;
    struct yg_filter *filter;
    struct yg_arena *block_arena; // the open block; reset with every block
    struct yg_arena *arena;       // the asker's: texts of warnings
    struct yg_scan_granule *granules;
    uint32_t granule_count;
    const struct yg_event_query *query;
    struct yg_warnings *warnings;
    struct yg_query_stats *stats;
    bool forked; // snapshot and granules belong to another scan
};

enum yg_scan_order { YG_SCAN_NEWEST_FIRST, YG_SCAN_OLDEST_FIRST, YG_SCAN_BY_SEGMENT };

// warnings and stats must be zeroed and outlive the scan.
yg_rc yg_scan_open(struct yg_store *store, const struct yg_event_query *q, bool fresh,
                   enum yg_scan_order order, struct yg_arena *arena, struct yg_warnings *warnings,
                   struct yg_query_stats *stats, struct yg_scan *ret_scan,
                   struct yg_err *err) YG_MUST_USE;
void yg_scan_fini(struct yg_scan *s);
// The same walk for another thread: its own filter, blocks, warnings and counts. The first scan
// must outlive it. join adds its warnings and counts to the first.
yg_rc yg_scan_fork(const struct yg_scan *s, struct yg_warnings *warnings,
                   struct yg_query_stats *stats, struct yg_scan *ret_scan,
                   struct yg_err *err) YG_MUST_USE;
void yg_scan_join(struct yg_scan *s, const struct yg_scan *fork);
// Opens granule idx and runs the filter. *ret_block = NULL when the granule holds no match (or is
// damaged: a warning). Asks deadline and cancellation first. rows: YG_BITS_WORDS(YG_GRANULE_ROWS)
// words.
yg_rc yg_scan_granule(struct yg_scan *s, uint32_t idx, struct yg_block **ret_block, uint64_t *rows,
                      struct yg_err *err) YG_MUST_USE;
// Opens granule idx without the filter; NULL when damaged (a warning).
yg_rc yg_scan_block(struct yg_scan *s, uint32_t segment, uint32_t granule,
                    struct yg_block **ret_block, struct yg_err *err) YG_MUST_USE;
// Notes a failure that the query survives: true when it was one (ECORRUPT, EIO).
bool yg_scan_survives(struct yg_scan *s, const struct yg_err *err);
yg_rc yg_scan_pulse(const struct yg_scan *s,
                    struct yg_err *err) YG_MUST_USE; // deadline, cancellation
// The one column of that name and type, or NULL when the block has none.
yg_rc yg_scan_column(struct yg_block *b, yg_str name, enum yg_type type,
                     const struct yg_vec **ret_vec, struct yg_err *err) YG_MUST_USE;

// ------------------------------------------------------------ distinct values (events_distinct.c)

// Set of 64-bit hashes: exact up to YG_DISTINCT_EXACT_MAX, HyperLogLog of 2^14 registers (±0.8 %)
// after. What it holds depends on the hashes alone, not on their order or on how sets were merged.
#define YG_DISTINCT_EXACT_MAX 4096u
struct yg_distinct;
struct yg_distinct *yg_distinct_create(void); // NULL without memory
void yg_distinct_destroy(struct yg_distinct *d);
bool yg_distinct_add(struct yg_distinct *d, uint64_t hash); // false without memory
double yg_distinct_count(const struct yg_distinct *d);
size_t yg_distinct_bytes(const struct yg_distinct *d);
// Bytes for the same process (hashes are seeded), and adding such bytes. *at moves past them.
void yg_distinct_save(const struct yg_distinct *d, struct yg_buf *out);
bool yg_distinct_load(struct yg_distinct *d, yg_str in, size_t *at); // false without memory

// ------------------------------------------------------------ quantiles (events_quantile.c)

// Counts by sketch key (codec/ddsketch.h): a few keys as they come, then a dense array over the
// keys seen. Gives the same quantiles as a yg_sketch of the same values.
struct yg_quantile;
struct yg_quantile *yg_quantile_create(void); // NULL without memory
void yg_quantile_destroy(struct yg_quantile *s);
bool yg_quantile_add(struct yg_quantile *s, double value); // false without memory
double yg_quantile_value(const struct yg_quantile *s, double q);
size_t yg_quantile_bytes(const struct yg_quantile *s);
void yg_quantile_save(const struct yg_quantile *s, struct yg_buf *out);
bool yg_quantile_load(struct yg_quantile *s, yg_str in, size_t *at); // false without memory

// ------------------------------------------------------------ accumulators (events_acc.c)

// One measure of one group (or of one bucket of it). Layout depends on the aggregation; all zero is
// empty.
size_t yg_acc_size(enum yg_agg agg);
struct yg_acc_pool { // owns what accumulators point to
    struct yg_quantile **quantiles;
    uint32_t quantile_count, quantile_cap;
    struct yg_distinct **sets;
    uint32_t set_count, set_cap;
    size_t bytes;
    size_t limit_bytes;
};
void yg_acc_pool_fini(struct yg_acc_pool *pool);
struct yg_targets;
// Value i belongs to row at[i] of the targets. false: out of memory.
bool yg_acc_add_numbers(enum yg_agg agg, const struct yg_targets *targets, const uint16_t *at,
                        const double *values, uint32_t count, struct yg_acc_pool *pool) YG_MUST_USE;
bool yg_acc_add_hashes(const struct yg_targets *targets, const uint16_t *at, const uint64_t *hashes,
                       uint32_t count, struct yg_acc_pool *pool) YG_MUST_USE; // CARDINALITY
void yg_acc_add_counts(const struct yg_targets *targets, uint32_t count); // rows 0 … count: COUNT
static inline void yg_acc_add_count(void *acc, uint64_t n) {
    *(uint64_t *)acc += n;
}
// False when nothing was added (COUNT and CARDINALITY always have a value).
bool yg_acc_value(const struct yg_compute *c, const void *acc, double *ret_value);
bool yg_acc_is_empty(enum yg_agg agg, const void *acc);
// Bytes of what it holds, and adding them to another. *at moves past them; false without memory.
void yg_acc_save(enum yg_agg agg, const void *acc, struct yg_buf *out);
bool yg_acc_load(enum yg_agg agg, void *acc, yg_str in, size_t *at, struct yg_acc_pool *pool);

#endif
