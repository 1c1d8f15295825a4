// SPDX-License-Identifier: Apache-2.0
// Running the event IR: search with cursors, aggregation with groups and buckets, whole traces. Part of query/query.h.
#ifndef YG_QUERY_EVENTS_H
#define YG_QUERY_EVENTS_H

#include "filter/filter.h"
#include "model/query.h"
#include "store/store.h"

// Problems that did not stop the query ("segment 12, column service, granule 3: checksum …"): shown in answers.
struct yg_warnings {
    yg_str text[16];
    uint32_t count;   // may pass 16: how many there were
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
    bool more;           // a next page exists (its cursor: the last row)
    struct yg_warnings warnings;
    struct yg_query_stats stats;
};
// Everything in the result lives in arena. fresh as in yg_snapshot_open. ETIMEOUT, ECANCEL, ENOMEM ("query memory of 64 MiB
// is used up"). The traces track answers the newest version of each trace.
yg_rc yg_events_search(struct yg_store *store, const struct yg_event_query *q, bool fresh, struct yg_arena *arena,
                       struct yg_search_result *ret_result, struct yg_err *err) YG_MUST_USE;
const struct yg_value *yg_row_get(const struct yg_row *row, const char *column, enum yg_type type); // or NULL

// ---- aggregate
struct yg_agg_point {
    int64_t time_ns;
    double value;
    bool has_value;
};
struct yg_agg_value {
    double value;      // total
    bool has_value;    // false: no row had the measure
    struct yg_agg_point *points; // timeseries: ascending, empty buckets left out
    uint32_t point_count;
};
struct yg_agg_bucket {
    yg_str *by;        // group values, one per group-by
    struct yg_value *by_values; // the same typed
    struct yg_agg_value *computes; // one per compute
};
struct yg_agg_result {
    struct yg_agg_bucket *buckets; // in group order; one bucket without `by` for an ungrouped query (also with no match)
    uint32_t count;
    struct yg_warnings warnings;
    struct yg_query_stats stats;
};
// ELIMIT names the facet and its cardinality when the groups pass their limit.
yg_rc yg_events_aggregate(struct yg_store *store, const struct yg_event_query *q, bool fresh, struct yg_arena *arena,
                          struct yg_agg_result *ret_result, struct yg_err *err) YG_MUST_USE;

// ---- facets: names of the columns and tags seen in the range (with share of rows sampled), and top values of one
struct yg_facet {
    yg_str name;   // "service", "@http.status_code", "env" (tag)
    enum yg_field_kind kind;
    enum yg_type type;
    uint64_t count; // rows with a value, of those sampled
};
yg_rc yg_events_facets(struct yg_store *store, enum yg_track track, struct yg_time_range range, struct yg_arena *arena,
                       struct yg_facet **ret_facets, uint32_t *ret_count, uint64_t *ret_sampled, struct yg_err *err) YG_MUST_USE;

// ---- one trace: all its spans, each with all its columns, by start time. 128 bits, or the low 64 alone when
// trace_id.hi is 0. Searches all time.
yg_rc yg_trace_spans(struct yg_store *store, yg_id128 trace_id, struct yg_arena *arena, struct yg_search_result *ret_spans,
                     struct yg_err *err) YG_MUST_USE;

// ---- times as the search API takes them: "now-15m", ISO 8601, epoch ms (also > 10^17: ns). Relative to now_ns.
bool yg_query_time_parse(yg_str s, int64_t now_ns, int64_t *ret_ns);
// "5m", "30s", "1h", "1d", "1w" → ns; plain digits are ms.
bool yg_interval_parse(yg_str s, int64_t *ret_ns);

#endif
