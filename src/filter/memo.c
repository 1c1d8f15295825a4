// SPDX-License-Identifier: Apache-2.0
// What a leaf found out about the entries of a dictionary, kept for the next granules of the
// stripe.
#include "filter/steps.h"

#include "base/hash.h"
#include "base/mem.h"

static uint64_t slot_hash(uint64_t uid, uint32_t source) {
    return yg_hash_u64(uid * 31 + source);
}

static struct yg_memo *find_slot(struct yg_memo *slots, uint32_t cap, uint64_t uid,
                                 uint32_t source) {
    uint32_t i = (uint32_t)slot_hash(uid, source) & (cap - 1);
    while (slots[i].uid != 0 && !(slots[i].uid == uid && slots[i].source == source))
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

void yg_memo_table_fini(struct yg_memo_table *t) {
    for (uint32_t i = 0; i < t->cap; i++)
        yg_free(YG_MEM_QUERY, t->slots[i].outcomes);
    yg_free(YG_MEM_QUERY, t->slots);
    *t = (struct yg_memo_table){0};
}

static bool grow(struct yg_memo_table *t) {
    if (t->cap > 0 && t->len * 2 < t->cap)
        return true;
    uint32_t cap = t->cap ? t->cap * 2 : 8;
    struct yg_memo *slots = yg_try_alloc(YG_MEM_QUERY, sizeof(*slots) * cap);
    if (slots == NULL)
        return false;
    memset(slots, 0, sizeof(*slots) * cap);
    for (uint32_t i = 0; i < t->cap; i++)
        if (t->slots[i].uid != 0)
            *find_slot(slots, cap, t->slots[i].uid, t->slots[i].source) = t->slots[i];
    yg_free(YG_MEM_QUERY, t->slots);
    t->slots = slots;
    t->cap = cap;
    return true;
}

uint8_t *yg_memo_get(struct yg_memo_table *t, const struct yg_dict *dict, uint32_t source) {
    if (t->cap > 0) {
        struct yg_memo *m = find_slot(t->slots, t->cap, dict->uid, source);
        if (m->uid != 0 && m->count == dict->count)
            return m->outcomes;
    }
    if (t->bytes + dict->count > YG_MEMO_BYTES_MAX)
        yg_memo_table_fini(t);
    if (!grow(t))
        return NULL;
    uint8_t *outcomes = yg_try_alloc(YG_MEM_QUERY, dict->count + 1);
    if (outcomes == NULL)
        return NULL;
    memset(outcomes, 0, dict->count + 1);
    struct yg_memo *m = find_slot(t->slots, t->cap, dict->uid, source);
    if (m->uid == 0) {
        t->len++;
    } else { // the dictionary grew (a batch that is still filled)
        t->bytes -= m->count;
        yg_free(YG_MEM_QUERY, m->outcomes);
    }
    *m = (struct yg_memo){dict->uid, source, dict->count, outcomes};
    t->bytes += dict->count;
    return outcomes;
}
