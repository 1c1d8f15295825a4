// SPDX-License-Identifier: Apache-2.0
// Open addressing with linear probing; removal moves followers back, so there are no tombstones.
#include "base/map.h"

#include "base/hash.h"
#include "base/panic.h"

#define FIRST_SLOTS 16u

static uint64_t key_hash(yg_str key) {
    uint64_t h = yg_hash_str(key);
    return h ? h : 1; // 0 means free
}

void yg_map_fini(struct yg_map *m) {
    if (m == NULL)
        return;
    if (m->own_keys)
        for (uint32_t i = 0; i < m->cap; i++)
            if (m->slots[i].hash) {
                union {
                    const char *c;
                    void *v;
                } key = {.c = m->slots[i].key.ptr};
                yg_free(m->tag, key.v);
            }
    yg_free(m->tag, m->slots);
    m->slots = NULL;
    m->cap = 0;
    m->len = 0;
}

// The slot that holds key, or the free one where it belongs. cap must not be 0.
static struct yg_map_slot *probe(const struct yg_map *m, yg_str key, uint64_t hash) {
    uint32_t mask = m->cap - 1;
    uint32_t i = (uint32_t)hash & mask;
    while (m->slots[i].hash) {
        if (m->slots[i].hash == hash && yg_str_eq(m->slots[i].key, key))
            break;
        i = (i + 1) & mask;
    }
    return &m->slots[i];
}

static void grow(struct yg_map *m) {
    struct yg_map_slot *old = m->slots;
    uint32_t old_cap = m->cap;
    YG_ASSERT(old_cap <= UINT32_MAX / 2);
    m->cap = old_cap ? old_cap * 2 : FIRST_SLOTS;
    m->slots = yg_calloc(m->tag, m->cap, sizeof(*m->slots));
    for (uint32_t i = 0; i < old_cap; i++) {
        if (old[i].hash == 0)
            continue;
        uint32_t at = (uint32_t)old[i].hash & (m->cap - 1);
        while (m->slots[at].hash)
            at = (at + 1) & (m->cap - 1);
        m->slots[at] = old[i];
    }
    yg_free(m->tag, old);
}

uint64_t *yg_map_get(const struct yg_map *m, yg_str key) {
    if (m->len == 0)
        return NULL;
    struct yg_map_slot *s = probe(m, key, key_hash(key));
    return s->hash ? &s->value : NULL;
}

uint64_t *yg_map_put(struct yg_map *m, yg_str key, bool *ret_new) {
    if (m->len >= m->cap - m->cap / 4) // also when cap is 0
        grow(m);
    uint64_t hash = key_hash(key);
    struct yg_map_slot *s = probe(m, key, hash);
    if (ret_new)
        *ret_new = s->hash == 0;
    if (s->hash == 0) {
        s->hash = hash;
        s->value = 0;
        s->key = m->own_keys ? yg_str_n(yg_strndup(m->tag, key.ptr, key.len), key.len) : key;
        m->len++;
    }
    return &s->value;
}

bool yg_map_remove(struct yg_map *m, yg_str key) {
    if (m->len == 0)
        return false;
    struct yg_map_slot *s = probe(m, key, key_hash(key));
    if (s->hash == 0)
        return false;
    if (m->own_keys) {
        union {
            const char *c;
            void *v;
        } own = {.c = s->key.ptr};
        yg_free(m->tag, own.v);
    }
    uint32_t mask = m->cap - 1;
    uint32_t hole = (uint32_t)(s - m->slots);
    for (uint32_t i = (hole + 1) & mask; m->slots[i].hash; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)m->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; // it would land before its home
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (struct yg_map_slot){0};
    m->len--;
    return true;
}

bool yg_map_next(const struct yg_map *m, uint32_t *at, yg_str *ret_key, uint64_t *ret_value) {
    for (; *at < m->cap; (*at)++) {
        const struct yg_map_slot *s = &m->slots[*at];
        if (s->hash == 0)
            continue;
        if (ret_key)
            *ret_key = s->key;
        if (ret_value)
            *ret_value = s->value;
        (*at)++;
        return true;
    }
    return false;
}
