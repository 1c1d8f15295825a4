// SPDX-License-Identifier: Apache-2.0
// Private to query: which granules of a segment a scan has to look into.
#ifndef YG_QUERY_EVENTS_KEYS_H
#define YG_QUERY_EVENTS_KEYS_H

#include "filter/filter.h"
#include "store/store.h"

// Granules of a segment in which rows within `range` may match the filter, by statistics of columns
// and the key index; no chunk is read. ret_bits: YG_BITS_WORDS(info.granule_count) words,
// overwritten. Damage of the key index never loses rows: its granules stay candidates and the store
// counts it. ECORRUPT: the segment's directory cannot be read. Thread: any; `filter` as in
// yg_filter_run.
yg_rc yg_scan_candidates(struct yg_snapshot *snap, uint32_t segment, struct yg_filter *filter,
                         struct yg_time_range range, uint64_t *ret_bits, uint32_t *ret_count,
                         struct yg_err *err) YG_MUST_USE;

#endif
