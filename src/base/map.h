// SPDX-License-Identifier: Apache-2.0
// Hash map from byte strings to a pointer-sized value. Keys are borrowed unless told to copy.
#ifndef YG_BASE_MAP_H
#define YG_BASE_MAP_H

#include "base/mem.h"
#include "base/str.h"

struct yg_map_slot {
    yg_str key;
    uint64_t hash; // 0 = free
    uint64_t value;
};

// Zeroed + tag is a valid empty map. Not thread safe.
struct yg_map {
    struct yg_map_slot *slots;
    uint32_t cap; // power of two or 0
    uint32_t len;
    enum yg_mem_tag tag;
    bool own_keys; // copy keys on insert, free them in fini
};

#define YG_MAP(mem_tag, copies) ((struct yg_map){.tag = (mem_tag), .own_keys = (copies)})

void yg_map_fini(struct yg_map *m);
// The value's place, or NULL. Valid until the next insert or removal.
uint64_t *yg_map_get(const struct yg_map *m, yg_str key);
// The value's place, made with value 0 when it was not there; *ret_new (may be NULL) says which.
uint64_t *yg_map_put(struct yg_map *m, yg_str key, bool *ret_new);
bool yg_map_remove(struct yg_map *m, yg_str key);
// Walks: start with *at = 0; false at the end. No insert or removal meanwhile.
bool yg_map_next(const struct yg_map *m, uint32_t *at, yg_str *ret_key, uint64_t *ret_value);

#endif
