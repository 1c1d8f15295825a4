// SPDX-License-Identifier: Apache-2.0
// Arena: chunks of growing size, bump allocation, everything given back at once.
#include "base/arena.h"

#include <stdarg.h>

#include "base/panic.h"

#define ARENA_MAGIC 0x41a7e0a1u
#define ALIGN_BYTES 16u
#define CHUNK_FIRST_BYTES (4u << 10)
#define CHUNK_MAX_BYTES (1u << 20)

struct chunk {
    struct chunk *next;
    size_t cap; // bytes after this header
    size_t used;
    size_t pad_; // keeps the payload 16-byte aligned
};
_Static_assert(sizeof(struct chunk) % ALIGN_BYTES == 0, "payload must stay aligned");

struct deferred {
    struct deferred *next;
    void (*fn)(void *);
    void *arg;
};

struct yg_arena {
    uint32_t magic;
    enum yg_mem_tag tag;
    size_t limit_bytes;
    size_t reserved_bytes; // sum of all chunks' cap
    size_t next_chunk_bytes;
    struct chunk *chunks; // the one in use first
    struct deferred *deferred;
};

static char *payload(struct chunk *c) {
    return (char *)(c + 1);
}

struct yg_arena *yg_arena_create(enum yg_mem_tag tag, size_t limit_bytes) {
    struct yg_arena *a = yg_calloc(tag, 1, sizeof(*a));
    a->magic = ARENA_MAGIC;
    a->tag = tag;
    a->limit_bytes = limit_bytes;
    a->next_chunk_bytes = CHUNK_FIRST_BYTES;
    return a;
}

static void run_deferred(struct yg_arena *a) {
    while (a->deferred != NULL) {
        struct deferred *d = a->deferred;
        a->deferred = d->next;
        d->fn(d->arg);
    }
}

static void free_chunks(struct yg_arena *a, struct chunk *c) {
    while (c != NULL) {
        struct chunk *next = c->next;
        yg_free(a->tag, c);
        c = next;
    }
}

void yg_arena_destroy(struct yg_arena *a) {
    if (a == NULL)
        return;
    YG_CHECK(a, ARENA_MAGIC);
    run_deferred(a);
    free_chunks(a, a->chunks);
    a->magic = 0;
    yg_free(a->tag, a);
}

void yg_arena_reset(struct yg_arena *a) {
    YG_CHECK(a, ARENA_MAGIC);
    run_deferred(a);
    if (a->chunks == NULL)
        return;
    free_chunks(a, a->chunks->next);
    a->chunks->next = NULL;
    a->chunks->used = 0;
    a->reserved_bytes = a->chunks->cap;
}

void yg_arena_cleanup(struct yg_arena **a) {
    yg_arena_destroy(*a);
    *a = NULL;
}

// A chunk with room for `bytes`, in front of the list. NULL at the limit.
static struct chunk *add_chunk(struct yg_arena *a, size_t bytes) {
    size_t left = a->limit_bytes - a->reserved_bytes;
    if (bytes > left)
        return NULL;
    size_t cap = a->next_chunk_bytes;
    if (cap < bytes)
        cap = bytes;
    if (cap > left)
        cap = left & ~(size_t)(ALIGN_BYTES - 1);
    if (cap < bytes)
        return NULL;
    struct chunk *c = yg_try_alloc(a->tag, sizeof(*c) + cap);
    if (c == NULL)
        return NULL;
    *c = (struct chunk){.next = a->chunks, .cap = cap};
    a->chunks = c;
    a->reserved_bytes += cap;
    if (a->next_chunk_bytes < CHUNK_MAX_BYTES)
        a->next_chunk_bytes *= 2;
    return c;
}

void *yg_arena_alloc(struct yg_arena *a, size_t bytes) {
    YG_CHECK(a, ARENA_MAGIC);
    if (bytes > SIZE_MAX - ALIGN_BYTES)
        return NULL;
    size_t need = bytes ? (bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1) : ALIGN_BYTES;
    struct chunk *c = a->chunks;
    if (c == NULL || need > c->cap - c->used) {
        c = add_chunk(a, need);
        if (c == NULL)
            return NULL;
    }
    void *p = payload(c) + c->used;
    c->used += need;
    return p;
}

void *yg_arena_calloc(struct yg_arena *a, size_t count, size_t bytes_each) {
    size_t bytes;
    if (__builtin_mul_overflow(count, bytes_each, &bytes))
        return NULL;
    void *p = yg_arena_alloc(a, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

char *yg_arena_cstr(struct yg_arena *a, yg_str s) {
    if (s.len == SIZE_MAX)
        return NULL;
    char *p = yg_arena_alloc(a, s.len + 1);
    if (p == NULL)
        return NULL;
    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = 0;
    return p;
}

yg_str yg_arena_str(struct yg_arena *a, yg_str s) {
    if (s.len == 0)
        return (yg_str){"", 0};
    char *p = yg_arena_alloc(a, s.len);
    if (p == NULL)
        return (yg_str){NULL, 0};
    memcpy(p, s.ptr, s.len);
    return (yg_str){p, s.len};
}

yg_str yg_arena_printf(struct yg_arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    YG_ASSERT(n >= 0);
    char *p = yg_arena_alloc(a, (size_t)n + 1);
    if (p == NULL)
        return (yg_str){NULL, 0};
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (yg_str){p, (size_t)n};
}

size_t yg_arena_used(const struct yg_arena *a) {
    YG_CHECK(a, ARENA_MAGIC);
    size_t sum = 0;
    for (const struct chunk *c = a->chunks; c != NULL; c = c->next)
        sum += c->used;
    return sum;
}

size_t yg_arena_reserved(const struct yg_arena *a) {
    YG_CHECK(a, ARENA_MAGIC);
    return a->reserved_bytes;
}

bool yg_arena_defer(struct yg_arena *a, void (*fn)(void *), void *arg) {
    struct deferred *d = yg_arena_alloc(a, sizeof(*d));
    if (d == NULL)
        return false;
    *d = (struct deferred){.next = a->deferred, .fn = fn, .arg = arg};
    a->deferred = d;
    return true;
}

void *yg_arena_grow(struct yg_arena *a, const void *old, uint32_t *cap, size_t bytes_each) {
    if (*cap > UINT32_MAX / 2)
        return NULL;
    uint32_t new_cap = *cap ? *cap * 2 : 8;
    size_t bytes;
    if (__builtin_mul_overflow((size_t)new_cap, bytes_each, &bytes))
        return NULL;
    void *p = yg_arena_alloc(a, bytes);
    if (p == NULL)
        return NULL;
    if (*cap)
        memcpy(p, old, (size_t)*cap * bytes_each);
    *cap = new_cap;
    return p;
}
