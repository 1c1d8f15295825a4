// SPDX-License-Identifier: Apache-2.0
// Allocation with an account per room: the allocator's own block size is what is charged.
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>

#include "base/panic.h"

#define KEPT_BLOCK_BYTES_MAX (32 << 20) // the most that glibc takes: half a heap of a thread
#define KEPT_TOP_BYTES (64 << 20)

// One cache line per tag, so that rooms do not slow each other down.
struct account {
    _Alignas(64) _Atomic int64_t used;
    _Atomic int64_t limit;
    _Atomic int32_t exempt;
};
static struct account accounts[YG_MEM_TAG_COUNT];

// Tests: the n-th limited allocation from now on fails (and all after it). 0 = off.
static _Atomic int64_t fail_at;

static const char *const tag_names[YG_MEM_TAG_COUNT] = {
    [YG_MEM_BASE] = "base",       [YG_MEM_NET] = "net",       [YG_MEM_INTAKE] = "intake",
    [YG_MEM_STORE] = "store",     [YG_MEM_TRACES] = "traces", [YG_MEM_METRICS] = "metrics",
    [YG_MEM_QUERY] = "query",     [YG_MEM_CACHE] = "cache",   [YG_MEM_META] = "meta",
    [YG_MEM_MONITOR] = "monitor",
};

const char *yg_mem_tag_name(enum yg_mem_tag tag) {
    return (unsigned)tag < YG_MEM_TAG_COUNT ? tag_names[tag] : "unknown";
}

static void account_add(enum yg_mem_tag tag, int64_t bytes) {
    atomic_fetch_add_explicit(&accounts[tag].used, bytes, memory_order_relaxed);
}

static void charge_block(enum yg_mem_tag tag, void *ptr) {
    account_add(tag, (int64_t)malloc_usable_size(ptr));
}

static bool injected_failure(void) {
    if (atomic_load_explicit(&fail_at, memory_order_relaxed) == 0)
        return false;
    if (atomic_load_explicit(&fail_at, memory_order_relaxed) == 1)
        return true;
    atomic_fetch_sub_explicit(&fail_at, 1, memory_order_relaxed);
    return false;
}

void yg_mem_test_fail_at(int64_t n) {
    atomic_store_explicit(&fail_at, n, memory_order_relaxed);
}

void *yg_alloc(enum yg_mem_tag tag, size_t bytes) {
    YG_ASSERT((unsigned)tag < YG_MEM_TAG_COUNT);
    void *ptr = malloc(bytes ? bytes : 1);
    if (ptr == NULL)
        yg_panic(__FILE__, __LINE__, "out of memory: %zu bytes for %s", bytes, tag_names[tag]);
    charge_block(tag, ptr);
    return ptr;
}

void *yg_calloc(enum yg_mem_tag tag, size_t count, size_t bytes_each) {
    YG_ASSERT((unsigned)tag < YG_MEM_TAG_COUNT);
    void *ptr = calloc(count ? count : 1, bytes_each ? bytes_each : 1);
    if (ptr == NULL)
        yg_panic(__FILE__, __LINE__, "out of memory: %zu x %zu bytes for %s", count, bytes_each,
                 tag_names[tag]);
    charge_block(tag, ptr);
    return ptr;
}

// Resizes and corrects the account; NULL (and no change) when the system has no more.
static void *resize(enum yg_mem_tag tag, void *ptr, size_t bytes) {
    int64_t before = ptr ? (int64_t)malloc_usable_size(ptr) : 0;
    void *now = realloc(ptr, bytes ? bytes : 1);
    if (now != NULL)
        account_add(tag, (int64_t)malloc_usable_size(now) - before);
    return now;
}

void *yg_realloc(enum yg_mem_tag tag, void *ptr, size_t bytes) {
    YG_ASSERT((unsigned)tag < YG_MEM_TAG_COUNT);
    void *now = resize(tag, ptr, bytes);
    if (now == NULL)
        yg_panic(__FILE__, __LINE__, "out of memory: %zu bytes for %s", bytes, tag_names[tag]);
    return now;
}

// Does the room have `bytes` more? (Two threads may both pass just below the limit: it is a fence
// against floods, not a promise to the byte.)
static bool has_room(enum yg_mem_tag tag, size_t bytes) {
    if (bytes > PTRDIFF_MAX || injected_failure())
        return false;
    int64_t limit = atomic_load_explicit(&accounts[tag].limit, memory_order_relaxed);
    if (limit == 0 || atomic_load_explicit(&accounts[tag].exempt, memory_order_relaxed) > 0)
        return true;
    int64_t used = atomic_load_explicit(&accounts[tag].used, memory_order_relaxed);
    return used <= limit && (int64_t)bytes <= limit - used;
}

void *yg_try_alloc(enum yg_mem_tag tag, size_t bytes) {
    YG_ASSERT((unsigned)tag < YG_MEM_TAG_COUNT);
    if (!has_room(tag, bytes))
        return NULL;
    void *ptr = malloc(bytes ? bytes : 1);
    if (ptr != NULL)
        charge_block(tag, ptr);
    return ptr;
}

void *yg_try_realloc(enum yg_mem_tag tag, void *ptr, size_t bytes) {
    YG_ASSERT((unsigned)tag < YG_MEM_TAG_COUNT);
    size_t before = ptr ? malloc_usable_size(ptr) : 0;
    if (bytes > before && !has_room(tag, bytes - before))
        return NULL;
    return resize(tag, ptr, bytes);
}

void yg_free(enum yg_mem_tag tag, void *ptr) {
    if (ptr == NULL)
        return;
    account_add(tag, -(int64_t)malloc_usable_size(ptr));
    free(ptr);
}

char *yg_strndup(enum yg_mem_tag tag, const char *ptr, size_t len) {
    char *copy = yg_alloc(tag, len + 1);
    if (len)
        memcpy(copy, ptr, len);
    copy[len] = 0;
    return copy;
}

void yg_mem_tune(void) {
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_TOP_BYTES);
}

void yg_mem_trim(void) {
    (void)malloc_trim(0);
}

bool yg_mem_charge(enum yg_mem_tag tag, int64_t bytes) {
    int64_t now =
        atomic_fetch_add_explicit(&accounts[tag].used, bytes, memory_order_relaxed) + bytes;
    int64_t limit = atomic_load_explicit(&accounts[tag].limit, memory_order_relaxed);
    if (bytes <= 0 || limit == 0 || now <= limit)
        return true;
    account_add(tag, -bytes);
    return false;
}

void yg_mem_limit_set(enum yg_mem_tag tag, int64_t limit_bytes) {
    atomic_store_explicit(&accounts[tag].limit, limit_bytes, memory_order_relaxed);
}

void yg_mem_exempt(enum yg_mem_tag tag, bool on) {
    atomic_fetch_add_explicit(&accounts[tag].exempt, on ? 1 : -1, memory_order_relaxed);
}

int64_t yg_mem_limit(enum yg_mem_tag tag) {
    return atomic_load_explicit(&accounts[tag].limit, memory_order_relaxed);
}

int64_t yg_mem_used(enum yg_mem_tag tag) {
    return atomic_load_explicit(&accounts[tag].used, memory_order_relaxed);
}

bool yg_mem_over(enum yg_mem_tag tag) {
    int64_t limit = yg_mem_limit(tag);
    return limit != 0 && yg_mem_used(tag) > limit;
}
