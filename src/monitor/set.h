// SPDX-License-Identifier: Apache-2.0
// Private to monitor: the running set, its monitors and groups, and who may touch them when.
//
// `lock` guards the list, every monitor's fields and `in_flight`. A monitor that is `busy` belongs
// to the one evaluation (or flush) under way: its record, definition and groups are changed by
// nobody else, so the holder may read them without the lock and takes it only to install what it
// decided. Whoever wants to replace or remove a busy monitor waits on `idle`.
#ifndef YG_MONITOR_SET_H
#define YG_MONITOR_SET_H

#include "base/counter.h"
#include "monitor/monitor_internal.h"

#include <stdatomic.h>

#define YG_RING 360           // evaluations remembered for the page: 6 hours at one a minute
#define YG_RING_GROUPS_MAX 64 // groups of a monitor with such a memory
#define YG_GROUPS_MAX 10000   // of one monitor

struct group {
    struct yg_group_record rec; // rec.group points to `name`
    char *name;
    double *values; // [YG_RING] or NULL
    char *states;   // [YG_RING] or NULL
    uint64_t seen;  // number of the attempt that had it last
};

struct monitor {
    int64_t id;
    struct yg_arena *arena; // of rec and def
    struct yg_monitor_record rec;
    struct yg_monitor_def *def; // NULL: the stored definition does not parse
    struct yg_map groups;       // name → struct group *
    uint32_t ring_groups;
    int64_t ring_times_ns[YG_RING];
    uint64_t evaluations; // so far; the newest is in slot (evaluations − 1) % YG_RING
    uint64_t attempts;    // evaluations begun: marks the groups that one has seen
    int64_t due_ns;
    int64_t evaluated_ns;
    bool busy;   // belongs to one evaluation or flush
    bool queued; // a job for it waits in the pool
    bool dirty;  // groups changed since they were stored
    enum yg_monitor_state overall;
    int64_t overall_modified_ns;
    char last_error[200];
};

typedef yg_rc (*yg_run_fn)(void *ctx, const struct yg_monitor_def *def, int64_t at_ns,
                           struct yg_arena *arena, struct yg_eval_result *ret_result,
                           struct yg_err *err);

struct yg_monitors {
    uint32_t magic;
    struct yg_store *store;
    struct yg_meta *meta;
    struct yg_notifier *notifier;
    struct yg_pool *pool;
    const struct yg_clock *clock;
    char *public_url;
    int64_t interval_ms;
    yg_run_fn run; // how a window is read; tests put their own here
    void *run_ctx;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    struct monitor **list; // by id
    uint32_t count, cap;
    uint32_t in_flight, in_flight_max;
    struct yg_event wake;
    struct yg_thread thread;
    bool started;
    _Atomic bool stop;
    int64_t flushed_ns, pruned_ns;
    struct yg_counter *done, *failed;
};

#define YG_MONITORS_MAGIC 0x4d6f6e31u

// ---- set.c; callers hold the lock
struct monitor *yg_set_find(struct yg_monitors *ms, int64_t id);
// Waits until nobody works on it and marks it busy; NULL when it is not there (any more).
struct monitor *yg_set_take(struct yg_monitors *ms, int64_t id);
void yg_set_give(struct yg_monitors *ms, struct monitor *m);
struct group *yg_group_get(struct monitor *m, yg_str name);
struct group *yg_group_make(struct monitor *m, yg_str name);
void yg_group_drop(struct monitor *m, yg_str name);
int64_t yg_next_due(const struct yg_monitors *ms, const struct monitor *m, int64_t at_ns);

// ---- run.c: evaluates a busy monitor; without the lock
void yg_monitor_evaluate(struct yg_monitors *ms, struct monitor *m, int64_t at_ns);
// Facts for a message about one group.
void yg_notice_fill(struct yg_monitors *ms, const struct monitor *m, struct yg_arena *arena,
                    struct yg_notice *n);

#endif
