// SPDX-License-Identifier: Apache-2.0
// Reading rows: a snapshot pins immutable segments; blocks of them are decoded on demand. Part of
// store/store.h.
#ifndef YG_STORE_ROWS_H
#define YG_STORE_ROWS_H

#include "model/block.h"
#include "model/query.h"

struct yg_store;
struct yg_snapshot;

// What may be read of one segment without decoding.
struct yg_segment_info {
    uint64_t id;
    uint64_t row_count;
    uint64_t bytes;
    uint32_t granule_count;
    int64_t min_time_ns;
    int64_t max_time_ns;
    bool in_memory;
    uint64_t hidden; // newest deletion that hides rows of it; 0 = none. What was computed from the
                     // segment holds for this (id, hidden) only
};

// Pins every segment of the track that overlaps the range; fresh = seal the builders first (≤ 5
// ms), so that every acknowledged row is seen; monitors pass false and see what is sealed (≤ 1 s
// old). On the traces track the open traces come as one more memory segment. Segments are ordered
// newest first by max time.
yg_rc yg_snapshot_open(struct yg_store *store, enum yg_track track, struct yg_time_range range,
                       bool fresh, struct yg_snapshot **ret_snapshot,
                       struct yg_err *err) YG_MUST_USE;
void yg_snapshot_close(struct yg_snapshot *snap); // unpins
uint32_t yg_snapshot_segments(const struct yg_snapshot *snap);
void yg_snapshot_segment(const struct yg_snapshot *snap, uint32_t idx,
                         struct yg_segment_info *ret_info);
// Time range of a granule, from the directory.
void yg_snapshot_granule_range(const struct yg_snapshot *snap, uint32_t segment, uint32_t granule,
                               int64_t *ret_min_ns, int64_t *ret_max_ns);
// Opens a granule as a block. It lives in `arena` (reset the arena when done with it). ECORRUPT:
// the caller counts it, adds the text to the answer's warnings and goes on. Thread: any, each block
// one thread at a time.
yg_rc yg_snapshot_block(struct yg_snapshot *snap, uint32_t segment, uint32_t granule,
                        struct yg_arena *arena, struct yg_block **ret_block,
                        struct yg_err *err) YG_MUST_USE;
// What the segment knows of its granules without reading a chunk (filter.h: yg_filter_granules).
// Borrow: until the snapshot is closed. Thread: any.
struct yg_granules;
yg_rc yg_snapshot_granules(struct yg_snapshot *snap, uint32_t segment,
                           struct yg_granules *ret_granules, struct yg_err *err) YG_MUST_USE;
// False when the column's statistics or (later) key index prove that no granule of the segment can
// hold the trace id.
bool yg_snapshot_may_hold_trace(struct yg_snapshot *snap, uint32_t segment, yg_id128 trace_id);

#endif
