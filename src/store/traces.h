// SPDX-License-Identifier: Apache-2.0
// Private to traces_*.c: the table of open traces of one shard. All on the shard's strand.
//
// A trace opens with its first span and closes when none came for trace_idle_ms, or early when the
// table is over its share of memory (the longest idle first). Only summaries are kept: no spans.
// A span of a trace that has a stored row already (late, or early closed) opens it again from that
// row, and the next close writes a newer version (_version = number of spans it is made of).
#ifndef YG_STORE_TRACES_H
#define YG_STORE_TRACES_H

#include "store/store_int.h"

#define YG_TRACES_BYTES_MAX (64u << 20) // all shards together
#define YG_TRACE_NONE UINT32_MAX
#define YG_TRACE_INTERVALS_MAX 512u // then touching and overlapping ones are joined
#define YG_TRACE_REPEATS_MAX 64u    // distinct (operation, resource) counted per trace
#define YG_TRACE_SERVICES_MAX 64u

struct yg_interval {
    int64_t start_ns;
    int64_t end_ns;
};

struct yg_repeat {
    uint32_t operation; // pool ids
    uint32_t resource;
    uint32_t count;
};

// Texts of a span that the trace's row shows, as pool ids (YG_TRACE_NONE = absent).
struct yg_trace_face {
    uint32_t service, operation, resource, env, status;
};

struct yg_open_trace {
    yg_id128 id;
    bool used;
    bool has_root;
    bool cold_start;
    bool gap_known;   // base_gap_ns comes from a stored row
    int64_t start_ns; // earliest start, latest end
    int64_t end_ns;
    int64_t face_start_ns;
    int64_t root_duration_ns;
    struct yg_trace_face face; // of the root, or of the earliest span
    uint32_t span_count;
    uint32_t error_count;
    uint64_t stored_version; // 0 = no row in the traces track
    int64_t base_gap_ns;
    uint32_t base_repeat; // pool id of the stored row's @top_repeat
    uint32_t base_repeat_count;
    struct yg_interval *intervals; // of spans other than the root
    uint32_t interval_count, interval_cap;
    struct yg_repeat *repeats;
    uint32_t repeat_count, repeat_cap;
    uint32_t *services;
    uint32_t service_count, service_cap;
    int64_t seen_mono_ns;
    uint32_t older, newer; // list by seen_mono_ns
};

struct yg_traces {
    struct yg_shard *shard;
    struct yg_open_trace *open;
    uint32_t cap, count;
    uint32_t free_first; // chained through `newer`
    uint32_t *slots;     // hash → index + 1
    uint32_t slot_cap;
    uint32_t oldest, newest;
    int64_t now_mono_ns; // when the spans that are being added came; set before yg_traces_open
    uint64_t bytes;
    // texts
    struct yg_map pool_index; // text → id + 1
    yg_str *pool;
    uint32_t pool_len, pool_cap;
    uint64_t pool_bytes;
    // rows that closed since the traces builder was sealed: filter of their ids
    uint32_t recent[2048];
    uint64_t recent_seal; // value of seals when it was emptied
    // segments of the traces track that may hold rows of traces that get spans now
    struct yg_segment **near;
    uint32_t near_count, near_cap;
    uint64_t near_epoch;
    int64_t near_from_ns, near_to_ns; // times that they cover
    // segments further back that may be looked into in the second that began at far_mono_ns
    int64_t far_mono_ns;
    int32_t far_left;
};

uint32_t yg_traces_text(struct yg_traces *t, yg_str text);
static inline yg_str yg_traces_str(const struct yg_traces *t, uint32_t id) {
    return id == YG_TRACE_NONE ? YG_STR("") : t->pool[id];
}
// Index of the trace in t->open, made when new.
uint32_t yg_traces_open(struct yg_traces *t, yg_id128 id, bool *ret_new);
void yg_traces_add_service(struct yg_traces *t, struct yg_open_trace *o, uint32_t service);
void yg_traces_add_repeat(struct yg_traces *t, struct yg_open_trace *o, struct yg_repeat add);
void yg_traces_add_interval(struct yg_traces *t, struct yg_open_trace *o, struct yg_interval add);

// traces_row.c: appends the trace's row to a batch of the traces track.
yg_rc yg_traces_put_row(struct yg_traces *t, struct yg_open_trace *o, struct yg_batch *b,
                        struct yg_err *err) YG_MUST_USE;

// traces_late.c: looks for a stored row of a trace that has just been opened, and takes it over.
// start, end: of its first span.
void yg_traces_find_stored(struct yg_traces *t, uint32_t idx, int64_t start_ns, int64_t end_ns,
                           bool has_parent);
void yg_traces_note_closed(struct yg_traces *t, yg_id128 id);
void yg_traces_drop_near(struct yg_traces *t);

#endif
