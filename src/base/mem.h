// SPDX-License-Identifier: Apache-2.0
// Every allocation is charged to a room, so that memory has an owner and a limit.
#ifndef YG_BASE_MEM_H
#define YG_BASE_MEM_H

#include "base/err.h"
#include <stdint.h>

enum yg_mem_tag {
    YG_MEM_BASE,
    YG_MEM_NET,     // connections, request bodies
    YG_MEM_INTAKE,  // decoding and pipeline
    YG_MEM_STORE,   // builders, memory segments
    YG_MEM_TRACES,  // open traces
    YG_MEM_METRICS, // metric heads, series registry
    YG_MEM_QUERY,   // queries
    YG_MEM_CACHE,   // decoded chunks, partials
    YG_MEM_META,    // configuration
    YG_MEM_MONITOR, // monitor state
    YG_MEM_TAG_COUNT
};

// Heap memory, uninitialised / zeroed / resized. A failure of the system's allocator panics: these
// are for sizes that the program chose; sizes from outside go through yg_try_alloc.
void *yg_alloc(enum yg_mem_tag tag, size_t bytes) __attribute__((malloc));
void *yg_calloc(enum yg_mem_tag tag, size_t count, size_t bytes_each) __attribute__((malloc));
void *yg_realloc(enum yg_mem_tag tag, void *ptr, size_t bytes);
// NULL where the room's limit (or the system) has no more. For sizes that come from outside.
void *yg_try_alloc(enum yg_mem_tag tag, size_t bytes) __attribute__((malloc));
void *yg_try_realloc(enum yg_mem_tag tag, void *ptr, size_t bytes);
void yg_free(enum yg_mem_tag tag, void *ptr);                       // NULL is fine
char *yg_strndup(enum yg_mem_tag tag, const char *ptr, size_t len); // NUL-terminated copy

// Tells the system's allocator to keep what is freed for the next body or segment instead of
// handing every large block back and faulting it in again. Before threads start.
void yg_mem_tune(void);
// Hands free memory back to the system. Takes milliseconds; other threads' allocations wait
// meanwhile, a heap at a time.
void yg_mem_trim(void);

// Charge without allocating (negative gives back); false when the room's limit would be passed.
bool yg_mem_charge(enum yg_mem_tag tag, int64_t bytes);
void yg_mem_limit_set(enum yg_mem_tag tag,
                      int64_t limit_bytes); // 0 = no limit; before threads start
int64_t yg_mem_limit(enum yg_mem_tag tag);
// While a caller is exempt the room's limit holds for nobody: for work that frees what fills the
// room and failed for want of memory. on = false ends it. Counted.
void yg_mem_exempt(enum yg_mem_tag tag, bool on);
int64_t yg_mem_used(enum yg_mem_tag tag);
bool yg_mem_over(enum yg_mem_tag tag); // used > limit: new work is to be refused
const char *yg_mem_tag_name(enum yg_mem_tag tag);
// Tests only: the n-th limited allocation (yg_try_*) from now on and all after it fail; 0 = off.
void yg_mem_test_fail_at(int64_t n);

// Grows array `arr` of `cap` elements so that `len + 1` fit; for arrays of own making only.
#define YG_GROW(tag, arr, len, cap)                                                                \
    do {                                                                                           \
        if ((len) >= (cap)) {                                                                      \
            (cap) = (cap) ? (cap)*2 : 8;                                                           \
            (arr) = yg_realloc((tag), (arr), sizeof(*(arr)) * (cap));                              \
        }                                                                                          \
    } while (0)

#endif
