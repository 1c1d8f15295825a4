// SPDX-License-Identifier: Apache-2.0
// Search over whole traces (query-languages §3): span queries joined by &&, ||, NOT, => (direct
// child) and -> (descendant), and conditions on the trace. Part of query/query.h.
#ifndef YG_QUERY_TRACE_SEARCH_H
#define YG_QUERY_TRACE_SEARCH_H

#include "query/events.h"

#define YG_TRACE_LABELS_MAX 16u

// A span query that the expression names by one letter.
struct yg_trace_label {
    char label; // 'a' … 'z'
    yg_str search;
};

struct yg_trace_query;
// text: "a => b && NOT(c) where span_count(a):>10 trace_duration:>5s", with span queries in the
// place of labels: "service:web => operation_name:aws.dynamodb where span_count(b):>=100". Those
// are labelled a, b, c … in their order, but for letters that `labels` has. EINPUT: "… (column N)".
// Lives in arena.
yg_rc yg_trace_query_parse(yg_str text, const struct yg_trace_label *labels, uint32_t label_count,
                           struct yg_arena *arena, struct yg_trace_query **ret_query,
                           struct yg_err *err) YG_MUST_USE;

struct yg_trace_search_options {
    struct yg_time_range range; // of the spans looked at
    int64_t deadline_mono_ns;
    bool (*canceled)(void *arg);
    void *canceled_arg;
};
// Which traces match, as far as their spans tell. ELIMIT when the traces or spans that matter take
// more than 64 MiB. warnings, stats: zeroed. Strings of warnings live in arena.
struct yg_trace_matches;
yg_rc yg_trace_matches_find(struct yg_store *store, const struct yg_trace_query *query,
                            const struct yg_trace_search_options *options, struct yg_arena *arena,
                            struct yg_warnings *warnings, struct yg_query_stats *stats,
                            struct yg_trace_matches **ret_matches, struct yg_err *err) YG_MUST_USE;
void yg_trace_matches_destroy(struct yg_trace_matches *m);
// True when the trace of this id, number of spans and duration matches; also for traces of which no
// span matched any span query.
bool yg_trace_matches_has(const struct yg_trace_matches *m, yg_id128 id, uint64_t span_count,
                          int64_t duration_ns);

#endif
