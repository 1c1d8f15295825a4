// SPDX-License-Identifier: Apache-2.0
// Private to merges: what is chosen (merge_plan.c) and then done (merge.c).
#ifndef YG_STORE_MERGE_INT_H
#define YG_STORE_MERGE_INT_H

#include "store/store_int.h"

#define YG_MERGE_INPUTS_MAX 32u
#define YG_MERGE_LEVEL_LAST 3u

struct yg_merge_limits {
    uint32_t fan_in;
    uint32_t stripe_rows;
    uint64_t rows_max; // of inputs that are decoded
    int32_t today;
    int64_t mono_ns;
    int64_t quiet_ns;
    bool finish; // as if every day were over and quiet
};

struct yg_merge_plan {
    struct yg_segment *inputs[YG_MERGE_INPUTS_MAX]; // of one track, index and day; referenced
    uint32_t count;
    uint32_t level; // of the output
    bool copy;      // whole stripes, where no row of them is dropped
    bool rewrite;   // for a deletion
};

// False: nothing is due.
bool yg_merge_plan_next(struct yg_store *store, const struct yg_merge_limits *l,
                        struct yg_merge_plan *ret_plan);

#endif
