// SPDX-License-Identifier: Apache-2.0
// Memory of one request or batch: many small pieces, freed together, never more than a limit.
#ifndef YG_BASE_ARENA_H
#define YG_BASE_ARENA_H

#include "base/mem.h"
#include "base/str.h"

struct yg_arena;

struct yg_arena *yg_arena_create(enum yg_mem_tag tag, size_t limit_bytes);
void yg_arena_destroy(struct yg_arena *a); // runs the deferred calls, newest first; NULL is fine
void yg_arena_reset(struct yg_arena *a);   // the same, keeps one chunk for reuse

// 16-byte aligned. NULL when the limit (or the room's) is reached: callers answer YG_ENOMEM.
void *yg_arena_alloc(struct yg_arena *a, size_t bytes);
void *yg_arena_calloc(struct yg_arena *a, size_t count, size_t bytes_each);
// Copy; NULL ptr when the limit is reached (and s was not empty).
yg_str yg_arena_str(struct yg_arena *a, yg_str s);
char *yg_arena_cstr(struct yg_arena *a, yg_str s); // NUL-terminated
yg_str yg_arena_printf(struct yg_arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
size_t yg_arena_used(const struct yg_arena *a);
size_t yg_arena_reserved(const struct yg_arena *a); // what it takes from the system: never less
// fn(arg) is called when the arena is reset or destroyed. False when out of memory (fn not kept).
bool yg_arena_defer(struct yg_arena *a, void (*fn)(void *), void *arg);

#define YG_NEW(arena, T) ((T *)yg_arena_calloc((arena), 1, sizeof(T)))
#define YG_NEW_N(arena, T, n) ((T *)yg_arena_calloc((arena), (n), sizeof(T)))

// An arena-backed array grows by doubling; false when out of memory (the array stays as it was).
#define YG_ARENA_GROW(arena, arr, len, cap)                                                        \
    ((len) < (cap) || __extension__({                                                              \
         void *grown_ = yg_arena_grow((arena), (arr), &(cap), sizeof(*(arr)));                     \
         if (grown_ != NULL)                                                                       \
             (arr) = grown_;                                                                       \
         grown_ != NULL;                                                                           \
     }))
void *yg_arena_grow(struct yg_arena *a, const void *old, uint32_t *cap, size_t bytes_each);

// So that YG_AUTO-like cleanup works with a pointer: __attribute__((cleanup(yg_arena_cleanup))).
void yg_arena_cleanup(struct yg_arena **a);
#define YG_AUTO_ARENA __attribute__((cleanup(yg_arena_cleanup))) struct yg_arena *

#endif
