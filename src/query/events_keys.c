// SPDX-License-Identifier: Apache-2.0
// Candidate granules of a segment: what time, statistics and keys leave over.
#include "query/events_keys.h"

#include "base/panic.h"

yg_rc yg_scan_candidates(struct yg_snapshot *snap, uint32_t segment, struct yg_filter *filter,
                         struct yg_time_range range, uint64_t *ret_bits, uint32_t *ret_count,
                         struct yg_err *err) {
    struct yg_segment_info info;
    struct yg_granules granules;
    yg_snapshot_segment(snap, segment, &info);
    *ret_count = 0;
    YG_TRY(yg_snapshot_granules(snap, segment, &granules, err));
    if (granules.count != info.granule_count)
        return yg_fail(err, YG_ECORRUPT, "segment %llu has %u granules, not %u",
                       (unsigned long long)info.id, granules.count, info.granule_count);
    YG_TRY(yg_filter_granules(filter, &granules, ret_bits, err));
    for (uint32_t g = yg_bits_next(ret_bits, granules.count, 0); g < granules.count;
         g = yg_bits_next(ret_bits, granules.count, g + 1)) {
        int64_t min_ns, max_ns;
        yg_snapshot_granule_range(snap, segment, g, &min_ns, &max_ns);
        if (max_ns < range.from_ns || min_ns >= range.to_ns)
            yg_bits_clear(ret_bits, g);
        else
            ++*ret_count;
    }
    return YG_OK;
}
