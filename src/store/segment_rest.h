// SPDX-License-Identifier: Apache-2.0
// Private to the store room: the rest of a stripe, columns beyond YG_SEG_COLUMNS_MAX. They have no
// record each: their keys (name and type) are the dictionary of one record, their values stand in
// blocks of some keys, for the whole stripe. docs/formats/segment.md §3.
#ifndef YG_STORE_SEGMENT_REST_H
#define YG_STORE_SEGMENT_REST_H

#include "store/segment.h"

#define YG_REST_BLOCK_BYTES (64u << 10) // a block ends with the key that reaches it

// Keys of the stripe's rest; 0 without one. Key numbers follow name, then type. ECORRUPT, ENOMEM.
yg_rc yg_segment_rest_count(struct yg_segment *seg, uint32_t stripe, uint32_t *ret_count,
                            struct yg_err *err) YG_MUST_USE;
struct yg_rest_key {
    yg_str name; // borrowed from the segment's directory memory
    enum yg_type type;
    uint32_t count; // values in the stripe
};
// Only after yg_segment_rest_count said that there are so many.
struct yg_rest_key yg_segment_rest_key(const struct yg_segment *seg, uint32_t stripe, uint32_t key);
// First key of that name; the count of keys when there is none. Further types follow it.
uint32_t yg_segment_rest_find(const struct yg_segment *seg, uint32_t stripe, yg_str name);
// Keys whose names the directory does not list: what is to be listed beside it.
yg_rc yg_segment_rest_unlisted(struct yg_segment *seg, uint32_t stripe, const uint32_t **ret_keys,
                               uint32_t *ret_count, struct yg_err *err) YG_MUST_USE;

// Values of a key in the whole stripe, by ascending stripe row. Asked key after key a block is
// decoded once. Arrays and strings live in `arena` (the cursor's block, too).
struct yg_rest_cursor {
    uint32_t block; // + 1
    const yg_str *payloads;
};
yg_rc yg_segment_rest_read(struct yg_segment *seg, uint32_t stripe, uint32_t key,
                           struct yg_rest_cursor *cursor, struct yg_arena *arena,
                           const uint32_t **ret_rows, struct yg_seg_values *ret_values,
                           struct yg_err *err) YG_MUST_USE;
// The same in one granule, as yg_segment_values gives it (which calls this for columns from
// dir.column_count on).
yg_rc yg_segment_rest_values(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                             uint32_t key, struct yg_rest_cursor *cursor, struct yg_arena *arena,
                             struct yg_seg_values *ret_values, struct yg_err *err) YG_MUST_USE;

#endif
