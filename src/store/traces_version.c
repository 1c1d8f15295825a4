// SPDX-License-Identifier: Apache-2.0
// Newest versions of traces: a small hash map by trace id. Used under the lists lock, or by one
// snapshot alone.
#include "base/bits.h"
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

yg_rc yg_trace_versions_mask(const struct yg_trace_versions *v, struct yg_block *b,
                             struct yg_err *err) {
    const struct yg_vec *ids[YG_TYPE_COUNT], *versions[YG_TYPE_COUNT];
    uint32_t id_count, version_count;
    YG_TRY(b->ops->columns(b, YG_STR(YG_COL_TRACE_ID), ids, &id_count, err));
    YG_TRY(b->ops->columns(b, YG_STR(YG_COL_VERSION), versions, &version_count, err));
    if (id_count != 1 || ids[0]->type != YG_T_ID || version_count != 1)
        return YG_OK;
    uint64_t *live = NULL;
    for (uint32_t r = 0; r < b->row_count; r++) {
        uint64_t newest = yg_trace_versions_get(v, ids[0]->ids[r]);
        if (newest <= (uint64_t)versions[0]->i64[r])
            continue;
        if (live == NULL) {
            live = YG_NEW_N(b->arena, uint64_t, YG_BITS_WORDS(b->row_count));
            if (live == NULL)
                return yg_fail(err, YG_ENOMEM, "the memory for masking superseded rows is used up");
            yg_bits_fill(live, b->row_count);
        }
        yg_bits_clear(live, r);
    }
    b->live = live;
    return YG_OK;
}
