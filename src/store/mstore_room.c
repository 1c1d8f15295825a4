// SPDX-License-Identifier: Apache-2.0
// Metric files for want of room: which day goes first, and dropping what is before a day.

#include "store/mstore_int.h"

#define DAY_BUCKETS (86400u / YG_BUCKET_S)

bool yg_mstore_oldest_day(struct yg_mstore *ms, int32_t *ret_day) {
    pthread_rwlock_rdlock(&ms->state_lock);
    uint32_t oldest = UINT32_MAX;
    // The newest block stays whatever happens: it names the sequence.
    for (uint32_t i = 0; i + 1 < ms->blocks->count; i++)
        if (ms->blocks->blocks[i]->max_bucket < oldest)
            oldest = ms->blocks->blocks[i]->max_bucket;
    pthread_rwlock_unlock(&ms->state_lock);
    *ret_day = (int32_t)(oldest / DAY_BUCKETS);
    return oldest != UINT32_MAX;
}

void yg_mstore_drop_before(struct yg_mstore *ms, int32_t day) {
    if (day <= 0 || (uint32_t)day > UINT32_MAX / DAY_BUCKETS)
        return;
    pthread_mutex_lock(&ms->flush_lock);
    yg_mstore_drop_blocks(ms, (uint32_t)day * DAY_BUCKETS);
    pthread_mutex_unlock(&ms->flush_lock);
}
