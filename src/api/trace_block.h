// SPDX-License-Identifier: Apache-2.0
// The binary block of one trace (docs/api.md, GET /api/yagura/v1/traces/:id). Private to the room.
#ifndef YG_API_TRACE_BLOCK_H
#define YG_API_TRACE_BLOCK_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/value.h"

#define YG_TRACE_SPANS_MAX 250000u // spans in one block; the rest is counted, not sent

enum yg_trace_flag {
    YG_TRACE_ERROR = 1,
    YG_TRACE_COLD = 2,
    YG_TRACE_INFERRED = 4,
    YG_TRACE_ASYNC = 8, // also set by the writer: starts after its parent ended
    YG_TRACE_CRITICAL = 16,
    YG_TRACE_HAS_LOGS = 32,
    YG_TRACE_HAS_PROFILE = 64,
    YG_TRACE_ATTACK = 128,
    YG_TRACE_DB = 256,
    YG_TRACE_EXTERNAL = 512,
    YG_TRACE_FOLDED = 1024,
    YG_TRACE_HAS_EVENTS = 2048,
    YG_TRACE_HAS_LINKS = 4096,
};

struct yg_trace_span {
    int64_t start_ns;
    int64_t dur_ns; // negative counts as 0
    uint64_t span_id;
    uint64_t parent_id; // 0 = none
    yg_str name;        // strings are borrowed for the call
    yg_str resource;
    yg_str service;
    yg_str type;
    yg_str env;
    uint16_t flags;
};

// Self time of services over a trace, by falling self time, then name.
struct yg_trace_service {
    yg_str name;
    uint32_t spans;
    uint32_t errors;
    int64_t self_ns;
};

// Spans in depth-first order with what follows from it. Lives in the arena.
struct yg_trace_tree {
    uint32_t count;
    const struct yg_trace_span *spans; // as given
    uint32_t *order;                   // row → span
    int32_t *parent;                   // row of the parent, −1 root, −2 parent not stored
    uint32_t *end;                     // row after the last descendant
    uint16_t *depth;
    int64_t *self_ns; // by row: own duration without what children cover
    struct yg_trace_service *services;
    uint32_t service_count;
    bool parent_missing;
};

// Children by start, then span id; roots likewise. Spans on a cycle of parents become roots whose
// parent is missing. ENOMEM.
yg_rc yg_trace_tree_make(const struct yg_trace_span *spans, uint32_t count, struct yg_arena *arena,
                         struct yg_trace_tree **ret_tree, struct yg_err *err) YG_MUST_USE;

// Appends the whole block. n_total: spans stored (≥ count; more = partial). ELIMIT, ENOMEM.
yg_rc yg_trace_block_write(const struct yg_trace_tree *tree, yg_id128 trace_id, uint32_t n_total,
                           struct yg_arena *arena, struct yg_buf *out,
                           struct yg_err *err) YG_MUST_USE;

#endif
