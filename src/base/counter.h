// SPDX-License-Identifier: Apache-2.0
// yagura's own metrics: counters and gauges by name and tags, read by main for /metrics and for
// itself.
#ifndef YG_BASE_COUNTER_H
#define YG_BASE_COUNTER_H

#include "base/str.h"
#include <stdatomic.h>

enum yg_counter_kind { YG_COUNTER, YG_GAUGE };

struct yg_counter {
    const char *name; // "yagura.intake.rows"
    const char *tags; // "track:logs,reason:bad_key" or ""
    enum yg_counter_kind kind;
    _Atomic int64_t value;
    struct yg_counter *next;
};

// Finds or makes the counter; name and tags are copied. Slow (a lock): keep the pointer. At most
// 4,096 counters exist; past that a shared overflow counter is returned, so callers never get NULL.
struct yg_counter *yg_counter_get(enum yg_counter_kind kind, const char *name, const char *tags);
static inline void yg_counter_add(struct yg_counter *c, int64_t n) {
    atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
}
static inline void yg_counter_set(struct yg_counter *c, int64_t v) {
    atomic_store_explicit(&c->value, v, memory_order_relaxed);
}
// Calls fn for every counter, in the order in which they were made.
void yg_counter_each(void (*fn)(void *ctx, const struct yg_counter *c, int64_t value), void *ctx);

#endif
