// SPDX-License-Identifier: Apache-2.0
// Private to the segment reader: chunks that lean on another column of the same granule. What they
// lean on never leans on something itself, so that reading ends. docs/formats/segment.md §3.
#ifndef YG_STORE_SEGMENT_LEAN_H
#define YG_STORE_SEGMENT_LEAN_H

#include "store/segment_encode.h"

// The chunk at hand.
struct yg_lean {
    struct yg_segment *seg;
    uint32_t stripe;
    uint32_t granule;
    const struct yg_seg_record *record;
    yg_str body; // behind the presence
    uint32_t rows;
    uint32_t count;
    const uint64_t *present;  // NULL = all rows
    struct yg_seg_memo *memo; // may be NULL
    struct yg_arena *arena;
    const struct yg_dict *dict; // FOLLOW: its own, and the map
    const struct yg_dict *map;
};

// Texts of values that are not texts, as they stand in messages; 0 bytes: none. Writer and reader
// share them: they are part of the format.
#define YG_OWN_TEXT_BYTES 40u
size_t yg_own_hex(yg_id128 id, char out[YG_OWN_TEXT_BYTES]);
size_t yg_own_integer(int64_t v, char out[YG_OWN_TEXT_BYTES]);
size_t yg_own_double(double v, char out[YG_OWN_TEXT_BYTES]);

// FOLLOW: codes of the present values, all below dict->count.
yg_rc yg_lean_codes(const struct yg_lean *l, const uint32_t **ret_codes,
                    struct yg_err *err) YG_MUST_USE;
// PARENT_ROW: the present values.
yg_rc yg_lean_rows(const struct yg_lean *l, const int64_t **ret_values,
                   struct yg_err *err) YG_MUST_USE;
// Sets the bits of the rows whose shape has the bit.
yg_rc yg_lean_presence(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                       uint32_t shape_bit, struct yg_seg_memo *memo, struct yg_arena *arena,
                       uint64_t *bits, struct yg_err *err) YG_MUST_USE;

#endif
