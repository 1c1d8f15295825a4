// SPDX-License-Identifier: Apache-2.0
// What was written to files lately, kept as it was in memory: monitors ask for the last minutes
// again and again and then read no file.
//
// The heads kept are the newest ones, without a gap. All of `recent` is under state_lock; the heads
// themselves do not change any more.

#include "store/mstore_int.h"

// Lets go of the oldest `count`; the caller gets the references.
static void leave(struct yg_mrecent *r, uint32_t count, struct yg_mhead **ret_heads) {
    for (uint32_t i = 0; i < count; i++) {
        ret_heads[i] = r->heads[i];
        r->bytes -= yg_mhead_bytes(r->heads[i]);
        if (r->heads[i]->max_bucket >= r->since)
            r->since = r->heads[i]->max_bucket + 1;
    }
    r->count -= count;
    memmove(r->heads, r->heads + count, r->count * sizeof(struct yg_mhead *));
    memmove(r->written_s, r->written_s + count, r->count * sizeof(*r->written_s));
}

static uint64_t room(void) {
    int64_t limit = yg_mem_limit(YG_MS_TAG);
    if (limit <= 0)
        return YG_MS_RECENT_BYTES;
    if (yg_mem_used(YG_MS_TAG) > limit / 4 * 3)
        return 0;
    return limit / 4 < (int64_t)YG_MS_RECENT_BYTES ? (uint64_t)limit / 4 : YG_MS_RECENT_BYTES;
}

static uint32_t prune(struct yg_mrecent *r, int64_t now_s, struct yg_mhead **ret_heads) {
    uint64_t most = room(), bytes = r->bytes;
    uint32_t go = 0;
    while (go < r->count && (bytes > most || r->count - go == YG_MS_RECENT_MAX ||
                             r->written_s[go] > now_s || now_s - r->written_s[go] > YG_MS_RECENT_S))
        bytes -= yg_mhead_bytes(r->heads[go++]);
    leave(r, go, ret_heads);
    return go;
}

static void unref_all(struct yg_mhead *const *heads, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        yg_mhead_unref(heads[i]);
}

uint32_t yg_mrecent_put(struct yg_mrecent *r, struct yg_mhead *take_head, int64_t now_s,
                        struct yg_mhead **ret_gone) {
    uint32_t gone;
    if (take_head->late) { // its lists are not what the file says, point by point
        gone = r->count;
        leave(r, gone, ret_gone);
        if (take_head->max_bucket >= r->since)
            r->since = take_head->max_bucket + 1;
        ret_gone[gone++] = take_head;
        return gone;
    }
    gone = prune(r, now_s, ret_gone);
    r->heads[r->count] = take_head;
    r->written_s[r->count++] = now_s;
    r->bytes += yg_mhead_bytes(take_head);
    return gone;
}

void yg_mstore_prune_recent(struct yg_mstore *ms, bool all) {
    struct yg_mhead *gone[YG_MS_RECENT_MAX + 1];
    int64_t now_s = yg_now_ns(ms->clock) / YG_NS_PER_S;
    pthread_rwlock_wrlock(&ms->state_lock);
    uint32_t count = ms->recent.count;
    if (all)
        leave(&ms->recent, count, gone);
    else
        count = prune(&ms->recent, now_s, gone);
    pthread_rwlock_unlock(&ms->state_lock);
    unref_all(gone, count);
}

uint32_t yg_mrecent_pin(const struct yg_mrecent *r, const struct yg_mblocks *blocks,
                        uint32_t from_bucket, uint32_t *ret_files, struct yg_mhead **ret_heads) {
    *ret_files = blocks->count;
    uint32_t first = 0;
    if (from_bucket >= r->since) {
        *ret_files = 0; // what is in no head any more is older
    } else if (r->count > 0) {
        // Files made of heads that are all here need not be read.
        uint32_t b = blocks->count;
        while (b > 0 && blocks->blocks[b - 1]->seq_lo >= r->heads[0]->seq_lo)
            b--;
        *ret_files = b;
        uint64_t seq = b < blocks->count ? blocks->blocks[b]->seq_lo : UINT64_MAX;
        while (first < r->count && r->heads[first]->seq_lo < seq)
            first++;
    }
    uint32_t count = 0;
    for (uint32_t i = first; i < r->count; i++) {
        struct yg_mhead *h = r->heads[i];
        if (h->max_bucket < from_bucket)
            continue;
        atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
        ret_heads[count++] = h;
    }
    return count;
}
