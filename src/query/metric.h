// SPDX-License-Identifier: Apache-2.0
// The metric language: text → plan → series. Part of query/query.h.
#ifndef YG_QUERY_METRIC_H
#define YG_QUERY_METRIC_H

#include "store/store.h"

// One parsed query: a list of expressions (comma at top level), in the order of query_index.
struct yg_metric_query;

// Parses query-languages §1.1 into arena. EINPUT: "Rule 'scope_expr' didn't match at '…' (line 1,
// column N)." as §1.10.
yg_rc yg_metric_parse(yg_str text, struct yg_arena *arena, struct yg_metric_query **ret_query,
                      struct yg_err *err) YG_MUST_USE;
// The whole text that the service answers for a failed parse ("Error parsing query: \n unable to
// parse …: Rule …").
void yg_metric_error_text(yg_str query, const struct yg_err *err, struct yg_buf *out);
uint32_t yg_metric_query_count(const struct yg_metric_query *q);
// True when any series of the query uses .as_count(): monitors then swap arithmetic and time
// aggregation.
bool yg_metric_query_as_count(const struct yg_metric_query *q);
// Group-by keys of expression idx (of its first series).
uint32_t yg_metric_query_keys(const struct yg_metric_query *q, uint32_t idx,
                              const yg_str **ret_keys);

struct yg_metric_value {
    int64_t ts_ms; // bucket start
    double value;
};
struct yg_metric_out {
    uint32_t query_index;
    yg_str metric;     // "system.cpu.idle", "default_zero(system.cpu.idle)"
    yg_str expression; // "sum:x{env:prod,service:a} by {…}" of this series
    yg_str scope;      // "env:prod,service:a"
    yg_str aggr;       // empty when the query named none
    const yg_str
        *group_tags; // "service:a" per key, "service:N/A" when missing; sorted by key order
    uint32_t group_count;
    uint32_t interval_s;
    yg_str unit;                    // unit name or empty
    struct yg_metric_value *points; // ascending, missing buckets left out
    uint32_t point_count;
};
#define YG_METRIC_WARNINGS_MAX 8
struct yg_metric_result {
    struct yg_metric_out *series;
    uint32_t count;
    yg_str warnings[YG_METRIC_WARNINGS_MAX]; // damaged chunks that were left out
    uint32_t warning_count;                  // may pass the array: how many there were
};

struct yg_metric_run_options {
    int64_t from_ms, to_ms;
    int64_t interval_ms; // 0 = by the ladder of §1.3
    uint32_t points_max; // 0 = 1,500
    // Monitors: one bucket per group over the whole window instead of a grid (interval = window),
    // and with as_count the totals are put into the arithmetic (monitors-slos §2.2, 2.3). The outer
    // time aggregation of a monitor is done by yg_metric_window below.
    int64_t deadline_mono_ns;    // 0 = none
    bool (*canceled)(void *arg); // asked now and then: ECANCEL; may be NULL
    void *canceled_arg;
    // yg_formula_run only:
    struct yg_store *store; // for named queries that are given as `query`
    bool scalar; // one value per group: every operand is reduced by its `reduce`, then combined
};
// Points are those of buckets whose start lies in [from_ms, to_ms]; when no bucket starts there, of
// the one that holds from_ms. Series without a point are left out. EINPUT for a function that this
// version does not evaluate, ELIMIT past 10,000 groups, ETIMEOUT, ENOMEM.
yg_rc yg_metric_run(struct yg_store *store, const struct yg_metric_query *q,
                    const struct yg_metric_run_options *options, struct yg_arena *arena,
                    struct yg_metric_result *ret_result, struct yg_err *err) YG_MUST_USE;

// A monitor's evaluation: aggr (avg sum min max last, or "min"/"max" for every/at least once …)
// over [from, to) of expression 0, one value per group; has_value false = No Data for that group.
enum yg_window_agg {
    YG_WINDOW_AVG,
    YG_WINDOW_SUM,
    YG_WINDOW_MIN,
    YG_WINDOW_MAX,
    YG_WINDOW_LAST,
    YG_WINDOW_PERCENTILE
};
struct yg_window_value {
    const yg_str *group_tags;
    uint32_t group_count;
    double value;
    bool has_value;
};
yg_rc yg_metric_window(struct yg_store *store, const struct yg_metric_query *q,
                       enum yg_window_agg agg, double percentile, int64_t from_ms, int64_t to_ms,
                       struct yg_arena *arena, struct yg_window_value **ret_values,
                       uint32_t *ret_count, struct yg_err *err) YG_MUST_USE;

// The scope of a series alone ("env:prod,!host:a", "env IN (a,b) AND x:y"), for tag filters. EINPUT
// as above.
yg_rc yg_metric_scope_parse(yg_str text, struct yg_arena *arena, const struct yg_node **ret_scope,
                            struct yg_err *err) YG_MUST_USE;
// The interval in seconds that a window gets by itself.
int64_t yg_metric_interval_s(int64_t from_ms, int64_t to_ms);

// Formulas over named queries (v2 API): each name is bound to the series of a query; functions and
// arithmetic as §1.
struct yg_named_series {
    yg_str name;
    struct yg_metric_result result;
    // When set, used instead of result: expression 0 is evaluated in place, so that functions that
    // look back (hour_before, diff, moving_rollup …) see what they need.
    const struct yg_metric_query *query;
    yg_str reduce; // with options.scalar: avg min max sum last percentile mean l2norm area; empty =
                   // avg
};
yg_rc yg_formula_run(yg_str formula, const struct yg_named_series *named, uint32_t named_count,
                     const struct yg_metric_run_options *options, struct yg_arena *arena,
                     struct yg_metric_result *ret_result, struct yg_err *err) YG_MUST_USE;
// Reduces a series to one number: avg min max sum last percentile mean l2norm area (scalar
// queries).
bool yg_metric_reduce(const struct yg_metric_out *series, yg_str aggregator, double *ret_value);

#endif
