// SPDX-License-Identifier: Apache-2.0
// Running the event IR: search with cursors, aggregation with groups and buckets, whole traces.
// Part of query/query.h.
#ifndef YG_QUERY_EVENTS_H
#define YG_QUERY_EVENTS_H

#include "filter/filter.h"
#include "model/query.h"
#include "store/store.h"

// Problems that did not stop the query ("segment 12, column service, granule 3: checksum …"): shown
// in answers.
struct yg_warnings {
    yg_str text[16];
    uint32_t count; // may pass 16: how many there were
};

struct yg_query_stats {
    uint64_t rows_scanned, rows_matched;
    uint64_t bytes_read;
    uint32_t segments, granules, granules_skipped;
};

// ---- search
struct yg_row_attr {
    yg_str name; // column name
    struct yg_value value;
};
struct yg_row {
    int64_t time_ns;
    int64_t seq;
    int64_t sort_value;
    struct yg_row_attr *attrs; // every column with a value, by name; YG_COL_TIME and YG_COL_SEQ too
    uint32_t attr_count;
};
struct yg_search_result {
    struct yg_row *rows; // in sort order
    uint32_t count;
    bool more; // a next page exists (its cursor: `next`)
    struct yg_cursor_pos next;
    // A search that its slice of time ended: rows are all that match up to `reached_ns` and may be
    // fewer than the limit (or none); `next` goes on from there. Progress: bytes of the granules
    // that could not be left out, looked at and in all; with a limit reached first, more are left.
    bool sliced;
    int64_t reached_ns;
    uint64_t bytes_done, bytes_total;
    struct yg_warnings warnings;
    struct yg_query_stats stats;
};
// Everything in the result lives in arena. fresh as in yg_snapshot_open. ETIMEOUT, ECANCEL, ENOMEM
// ("query memory of 64 MiB is used up"). The traces track answers the newest version of each trace.
yg_rc yg_events_search(struct yg_store *store, const struct yg_event_query *q, bool fresh,
                       struct yg_arena *arena, struct yg_search_result *ret_result,
                       struct yg_err *err) YG_MUST_USE;
const struct yg_value *yg_row_get(const struct yg_row *row, const char *column,
                                  enum yg_type type); // or NULL

// ---- aggregate
struct yg_agg_point {
    int64_t time_ns;
    double value;
    bool has_value;
};
struct yg_agg_value {
    double value;                // total
    bool has_value;              // false: no row had the measure
    struct yg_agg_point *points; // timeseries: ascending, empty buckets left out
    uint32_t point_count;
};
struct yg_agg_bucket {
    yg_str *by;                    // group values, one per group-by
    struct yg_value *by_values;    // the same typed
    struct yg_agg_value *computes; // one per compute
};
struct yg_agg_result {
    struct yg_agg_bucket *buckets; // in group order; one bucket without `by` for an ungrouped query
                                   // (also with no match)
    uint32_t count;
    struct yg_warnings warnings;
    struct yg_query_stats stats;
};
// ELIMIT names the facet and its cardinality when the groups pass their limit.
yg_rc yg_events_aggregate(struct yg_store *store, const struct yg_event_query *q, bool fresh,
                          struct yg_arena *arena, struct yg_agg_result *ret_result,
                          struct yg_err *err) YG_MUST_USE;

// ---- one trace: all its spans, each with all its columns, by start time. 128 bits, or the low 64
// alone when trace_id.hi is 0. Searches all time.
yg_rc yg_trace_spans(struct yg_store *store, yg_id128 trace_id, struct yg_arena *arena,
                     struct yg_search_result *ret_spans, struct yg_err *err) YG_MUST_USE;

// ---- times as the search API takes them: "now-15m", ISO 8601, epoch ms (also > 10^17: ns).
// Relative to now_ns.
bool yg_query_time_parse(yg_str s, int64_t now_ns, int64_t *ret_ns);
// "5m", "30s", "1h", "1d", "1w" → ns; plain digits are ms.
bool yg_interval_parse(yg_str s, int64_t *ret_ns);

// "count", "cardinality", "avg", "sum", "min", "max", "median", "pc75", "pc90", "pc95", "pc98",
// "pc99" and the metric they are of (empty for count) → compute (total). EINPUT: not known, or a
// metric is missing.
yg_rc yg_aggregation_parse(yg_str aggregation, yg_str metric, enum yg_track track,
                           struct yg_arena *arena, struct yg_compute *ret_compute,
                           struct yg_err *err) YG_MUST_USE;
// Data sources of the query API and the events monitors: YG_OK with the track; ENOTFOUND for one
// that clients know but yagura does not keep yet ("rum", "ci_tests" …); EINPUT for any other name.
yg_rc yg_data_source_track(yg_str data_source, enum yg_track *ret_track,
                           struct yg_err *err) YG_MUST_USE;

// ---- event queries as series (v2 query API, formulas of monitors): result types of query/metric.h
struct yg_metric_result;
struct yg_window_value;
struct yg_json_node;

// One events query: what `{"data_source":"logs","name":…,"search":{"query":…},"indexes":…,
// "compute":{"aggregation","metric","interval"},"group_by":[{"facet","limit","sort"}]}` says.
struct yg_event_series_spec {
    yg_str name;
    yg_str data_source; // "logs", "spans", "events"
    enum yg_track track;
    yg_str search;
    const struct yg_node *filter;
    struct yg_compute compute;
    struct yg_group_by *group_by;
    yg_str *group_names; // facets as written: "@http.status_code", "service"
    uint32_t group_count;
    int64_t interval_ms; // of compute; 0 = not said
};
// Reads one such object. EINPUT names the JSON path below `node` ("compute.aggregation: …");
// ENOTFOUND: a data source that is known to clients but not kept by yagura yet (text names it).
// Lives in arena.
yg_rc yg_event_series_parse(const struct yg_json_node *node, struct yg_arena *arena,
                            struct yg_event_series_spec **ret_spec, struct yg_err *err) YG_MUST_USE;
// Runs it over [from_ms, to_ms). interval_ms > 0: a timeseries in buckets aligned to 1970 (the
// caller chooses the interval, see spec->interval_ms); 0: one point per group at from_ms. One
// series per group, in group order; group_tags are "facet:value". A count gives no point for an
// empty bucket. interval_s of a series is rounded up to 1.
yg_rc yg_events_named_series(struct yg_store *store, const struct yg_event_series_spec *spec,
                             int64_t from_ms, int64_t to_ms, int64_t interval_ms, bool fresh,
                             int64_t deadline_mono_ns, struct yg_arena *arena,
                             struct yg_metric_result *ret_result, struct yg_err *err) YG_MUST_USE;

// ---- event-platform monitor queries (query-languages §4):
// logs("…").index("…").rollup("count").by("a,b").last("5m") > 2
enum yg_compare { YG_CMP_LT, YG_CMP_LE, YG_CMP_GT, YG_CMP_GE, YG_CMP_EQ, YG_CMP_NE };
const char *yg_compare_text(enum yg_compare op); // "<", "<=" …
bool yg_compare_holds(enum yg_compare op, double value, double threshold);

struct yg_event_monitor {
    yg_str source;       // "logs", "ci-pipelines", "formula" …
    bool is_formula;     // `search` is then a formula over the monitor's options.variables
    bool has_track;      // yagura keeps this source today: logs; spans, trace-analytics; events
    enum yg_track track; // when has_track
    yg_str search;       // escapes of the quotes undone
    const struct yg_node *filter; // parsed search, when has_track and no formula
    const yg_str *indexes;        // empty = "*"
    uint32_t index_count;
    yg_str method;  // "count" (also when there is no .rollup), "cardinality", "avg", "pc95" …
    yg_str measure; // "@duration"; empty = none
    struct yg_compute compute; // the same, for the engine (field parsed when has_track)
    const yg_str *by;          // facets as written, one each: "source", "@http.status_code"
    uint32_t by_count;         // > 0: multi alert
    const yg_str *calls;       // other calls as written, name only: "new", "impact", "anomaly" …
    uint32_t call_count;
    yg_str last; // "5m"
    int64_t window_ns;
    enum yg_compare op;
    double threshold;
    yg_str threshold_text; // as written
};
// EINPUT with the service's text: "The value provided for parameter 'query' is invalid", with ":
// invalid operator specified: " when no comparison (or no known source) is found, and with ":
// <what> (column N)" where yagura can say more.
yg_rc yg_event_monitor_parse(yg_str text, struct yg_arena *arena,
                             struct yg_event_monitor **ret_monitor, struct yg_err *err) YG_MUST_USE;
// Evaluates a monitor that is no formula over [from_ns, to_ns): one value per group (group_tags
// "facet:value"), or one value without groups. Count and cardinality of nothing are 0 with
// has_value true when ungrouped; other methods over no rows give has_value false. At most 1,000
// groups, largest first. warnings (may be NULL): damaged chunks that were skipped.
yg_rc yg_event_monitor_window(struct yg_store *store, const struct yg_event_monitor *monitor,
                              int64_t from_ns, int64_t to_ns, bool fresh, int64_t deadline_mono_ns,
                              struct yg_arena *arena, struct yg_window_value **ret_values,
                              uint32_t *ret_count, struct yg_warnings *warnings,
                              struct yg_err *err) YG_MUST_USE;

#endif
