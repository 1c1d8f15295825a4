// SPDX-License-Identifier: Apache-2.0
// Newest versions of traces: a small hash map by trace id. Used under the lists lock, or by one
// snapshot alone.
#include "base/hash.h"
#include "store/store_int.h"

static struct yg_trace_version *find(const struct yg_trace_versions *v, yg_id128 id) {
    uint32_t at = (uint32_t)yg_hash_u64(id.lo ^ id.hi * 0x9e3779b97f4a7c15u) & (v->cap - 1);
    while (v->slots[at].version && !yg_id128_eq(v->slots[at].id, id))
        at = (at + 1) & (v->cap - 1);
    return &v->slots[at];
}

uint64_t yg_trace_versions_get(const struct yg_trace_versions *v, yg_id128 id) {
    return v->len ? find(v, id)->version : 0;
}

static void grow(struct yg_trace_versions *v) {
    struct yg_trace_versions old = *v;
    v->cap = old.cap ? old.cap * 2 : 64;
    v->slots = yg_calloc(YG_MEM_TRACES, v->cap, sizeof(*v->slots));
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.slots[i].version)
            *find(v, old.slots[i].id) = old.slots[i];
    yg_free(YG_MEM_TRACES, old.slots);
}

void yg_trace_versions_set(struct yg_trace_versions *v, yg_id128 id, uint64_t version, int32_t day,
                           bool saved) {
    if (v->len >= v->cap / 2)
        grow(v);
    struct yg_trace_version *s = find(v, id);
    v->len += s->version == 0;
    *s = (struct yg_trace_version){id, version, day, saved};
}
