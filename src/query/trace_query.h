// SPDX-License-Identifier: Apache-2.0
// Private to query: the parsed form of a trace query.
#ifndef YG_QUERY_TRACE_QUERY_H
#define YG_QUERY_TRACE_QUERY_H

#include "query/trace_search.h"

enum yg_trace_op {
    YG_TRACE_LABEL, // spans of one span query
    YG_TRACE_AND,
    YG_TRACE_OR,
    YG_TRACE_NOT,       // left
    YG_TRACE_CHILD,     // spans of right whose parent is one of left
    YG_TRACE_DESCENDANT // spans of right that have an ancestor in left
};

struct yg_trace_expr {
    enum yg_trace_op op;
    uint32_t label; // index
    struct yg_trace_expr *left, *right;
};

enum yg_trace_subject { YG_TRACE_SPAN_COUNT, YG_TRACE_TOTAL_SPANS, YG_TRACE_DURATION };
struct yg_trace_cond {
    enum yg_trace_subject subject;
    uint32_t label;  // of SPAN_COUNT
    double min, max; // min ≤ value ≤ max, without the ends where open
    bool min_open, max_open;
};

#define YG_TRACE_CONDS_MAX 16u
struct yg_trace_query {
    struct yg_trace_expr *expr;
    const struct yg_node *searches[YG_TRACE_LABELS_MAX];
    char letters[YG_TRACE_LABELS_MAX];
    uint32_t label_count;
    struct yg_trace_cond conds[YG_TRACE_CONDS_MAX];
    uint32_t cond_count;
    bool has_child, has_descendant;
};

#endif
