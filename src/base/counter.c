// SPDX-License-Identifier: Apache-2.0
// The registry of yagura's own metrics.
#include "base/counter.h"

#include <pthread.h>

#include "base/map.h"

#define COUNTERS_MAX 4096u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct yg_map by_name = {.tag = YG_MEM_BASE, .own_keys = true};
static struct yg_counter *first;
static struct yg_counter *last;
static uint32_t count;

static struct yg_counter overflow = {
    .name = "yagura.counters.overflow", .tags = "", .kind = YG_COUNTER};

static struct yg_counter *make(enum yg_counter_kind kind, const char *name, const char *tags) {
    struct yg_counter *c = yg_calloc(YG_MEM_BASE, 1, sizeof(*c));
    c->name = yg_strndup(YG_MEM_BASE, name, strlen(name));
    c->tags = yg_strndup(YG_MEM_BASE, tags, strlen(tags));
    c->kind = kind;
    if (last)
        last->next = c;
    else
        first = c;
    last = c;
    count++;
    return c;
}

struct yg_counter *yg_counter_get(enum yg_counter_kind kind, const char *name, const char *tags) {
    char key[512];
    int n = snprintf(key, sizeof(key), "%s{%s}", name, tags);
    if (n < 0 || (size_t)n >= sizeof(key))
        return &overflow;
    yg_str k = {key, (size_t)n};
    struct yg_counter *found = &overflow;
    pthread_mutex_lock(&lock);
    uint64_t *slot = yg_map_get(&by_name, k);
    if (slot == NULL && count < COUNTERS_MAX) {
        slot = yg_map_put(&by_name, k, NULL);
        *slot = (uint64_t)(uintptr_t)make(kind, name, tags);
    }
    if (slot != NULL)
        found = (struct yg_counter *)(uintptr_t)*slot;
    pthread_mutex_unlock(&lock);
    return found;
}

// Counters are never freed and a link is written once, so only how many there are is read under
// the lock; fn may make counters itself.
void yg_counter_each(void (*fn)(void *ctx, const struct yg_counter *c, int64_t value), void *ctx) {
    pthread_mutex_lock(&lock);
    uint32_t left = count;
    struct yg_counter *c = first;
    pthread_mutex_unlock(&lock);
    while (left > 0) {
        fn(ctx, c, atomic_load_explicit(&c->value, memory_order_relaxed));
        if (--left > 0)
            c = c->next;
    }
    int64_t lost = atomic_load_explicit(&overflow.value, memory_order_relaxed);
    if (lost)
        fn(ctx, &overflow, lost);
}
