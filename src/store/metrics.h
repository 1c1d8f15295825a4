// SPDX-License-Identifier: Apache-2.0
// Reading metrics: names, series by tags, buckets. Part of store/store.h.
//
// A bucket is 10 s of one series. Counts of different senders at one timestamp are added; gauges
// keep last, min, max, sum and count of the samples; rates likewise; distributions keep a sketch.
#ifndef YG_STORE_METRICS_H
#define YG_STORE_METRICS_H

#include "model/points.h"
#include "model/query.h"

#define YG_BUCKET_S 10

struct yg_store;

struct yg_metric_info {
    yg_str name;
    enum yg_metric_type type;
    uint32_t interval_s; // of submission, 0 = unknown
    yg_str unit;
    uint32_t series_count;
    int64_t last_s; // newest point
};

// Calls fn for every metric name with a point at or after since_s, in name order. False from fn
// stops.
void yg_metric_names(struct yg_store *store, int64_t since_s,
                     bool (*fn)(void *ctx, const struct yg_metric_info *info), void *ctx);
// ENOTFOUND when the metric was never seen. Strings borrowed: for the store's life.
yg_rc yg_metric_info(struct yg_store *store, yg_str name, struct yg_metric_info *ret_info,
                     struct yg_err *err) YG_MUST_USE;
// The same without last_s, which takes a look at every series.
yg_rc yg_metric_brief(struct yg_store *store, yg_str name, struct yg_metric_info *ret_info,
                      struct yg_err *err) YG_MUST_USE;
// What a person says the unit is; holds until a sender says otherwise. Kept over restarts with the
// next flush. ENOTFOUND when the metric was never seen.
yg_rc yg_metric_unit_set(struct yg_store *store, yg_str name, yg_str unit,
                         struct yg_err *err) YG_MUST_USE;

// Scope of a metric query as a tree over one series' tags (struct yg_node with TAG fields, TERM,
// GLOB, AND, OR, NOT, ALL; a TERM with an empty field name is a tag without key). True when the
// comma-joined tags match.
bool yg_tags_match(const struct yg_node *scope, yg_str tags);

struct yg_metric_bucket {
    int64_t ts_s; // start, multiple of YG_BUCKET_S
    double last, min, max, sum;
    double count;                   // samples (or weight of the sketch)
    const struct yg_sketch *sketch; // distributions; borrowed for the call
};

struct yg_metric_series {
    uint32_t id;
    yg_str tags; // sorted, comma-joined; borrowed for the store's life
    enum yg_metric_type type;
    uint32_t interval_s;
};

// What a reader wants of each bucket.
enum {
    YG_METRIC_SUM = 1,
    YG_METRIC_WEIGHT = 2, // count
    YG_METRIC_MIN = 4,
    YG_METRIC_MAX = 8,
    YG_METRIC_LAST = 16,
    YG_METRIC_SKETCH = 32
};

// Buckets of one series in columns, ascending, each once. NULL columns: min, max, last are `sum`,
// count is 1, there is no sketch. Columns that were not asked for hold nothing of use.
struct yg_metric_batch {
    uint32_t count;
    const uint32_t *bucket; // start / YG_BUCKET_S
    const double *sum, *weight, *min, *max, *last;
    struct yg_sketch *const *sketch; // an element may be NULL: empty
};

struct yg_metric_reader_ops {
    // A series begins (return false to skip it), then its buckets in ascending time, each once, all
    // sources merged.
    bool (*series)(void *ctx, const struct yg_metric_series *series);
    void (*bucket)(void *ctx, const struct yg_metric_bucket *bucket);
    // May be NULL. A chunk of a file is damaged and left out ("metric block …, chunk at byte N:
    // …"). Borrowed.
    void (*warning)(void *ctx, yg_str text);
    // Instead of `bucket`, when set: all buckets of the series at once. Borrowed for the call.
    void (*batch)(void *ctx, const struct yg_metric_batch *batch);
};

struct yg_metric_read_options {
    int64_t from_s, to_s; // buckets with start in [from_s, to_s)
    // Width of the buckets that are wanted: 10, or 60, 300, 3,600. Then starts are multiples of it,
    // from_s and to_s must be, and sums are made in one order (10 s in 60 in 300 in 3,600), whether
    // out of points or of roll-ups: the answer is the same bit by bit.
    uint32_t step_s;  // 0 = 10
    uint32_t fields;  // YG_METRIC_…; 0 = all
    bool points_only; // no roll-ups: to compare
};

// Reads every series of `name` whose tags match `scope` (NULL = all), buckets with start in
// [from_s, to_s). Sees every acknowledged point. The calling thread does the work.
yg_rc yg_metric_read(struct yg_store *store, yg_str name, const struct yg_node *scope,
                     int64_t from_s, int64_t to_s, const struct yg_metric_reader_ops *ops,
                     void *ctx, struct yg_err *err) YG_MUST_USE;
yg_rc yg_metric_read_as(struct yg_store *store, yg_str name, const struct yg_node *scope,
                        const struct yg_metric_read_options *options,
                        const struct yg_metric_reader_ops *ops, void *ctx,
                        struct yg_err *err) YG_MUST_USE;
// Calls fn for the tags of every series of a metric (NULL name: of all), newest activity ≥ since_s.
void yg_metric_tags(struct yg_store *store, const yg_str *name, int64_t since_s,
                    bool (*fn)(void *ctx, yg_str metric, yg_str tags), void *ctx);

#endif
