// SPDX-License-Identifier: Apache-2.0
// What the page and the API show of the running set: copies, taken under the lock.
#include "monitor/set.h"

#include "base/panic.h"

#include <math.h>

#define VIEW_GROUPS_MAX 1000
#define VIEW_SERIES_MAX 24

static int by_rank(const void *a, const void *b) {
    const struct group *x = *(const struct group *const *)a, *y = *(const struct group *const *)b;
    int rank = yg_state_rank(y->rec.state) - yg_state_rank(x->rec.state);
    return rank ? rank : yg_str_cmp(x->rec.group, y->rec.group);
}

// All groups, worst first. In arena; NULL when out of memory.
static const struct group **groups_sorted(const struct monitor *m, struct yg_arena *arena) {
    const struct group **all = YG_NEW_N(arena, const struct group *, m->groups.len + 1);
    uint32_t at = 0, count = 0;
    yg_str name;
    uint64_t value;
    while (all && yg_map_next(&m->groups, &at, &name, &value))
        all[count++] = (const struct group *)(uintptr_t)value;
    if (count > 1)
        qsort(all, count, sizeof(all[0]), by_rank);
    return all;
}

static yg_rc fail_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "view of a monitor: no memory");
}

static yg_rc view_groups(const struct group **all, uint32_t count, struct yg_arena *arena,
                         struct yg_monitor_view *v, struct yg_err *err) {
    v->group_total = count;
    v->group_count = count < VIEW_GROUPS_MAX ? count : VIEW_GROUPS_MAX;
    struct yg_group_record *groups = YG_NEW_N(arena, struct yg_group_record, v->group_count + 1);
    if (!groups)
        return fail_memory(err);
    for (uint32_t i = 0; i < v->group_count; i++) {
        groups[i] = all[i]->rec;
        groups[i].group = yg_arena_str(arena, all[i]->rec.group);
        if (!groups[i].group.ptr)
            return fail_memory(err);
    }
    v->groups = groups;
    return YG_OK;
}

// Slots of the ring whose time lies in the range, oldest first.
static uint32_t slots_in(const struct monitor *m, int64_t from_ns, int64_t to_ns,
                         uint32_t slots[YG_RING]) {
    uint64_t first = m->evaluations > YG_RING ? m->evaluations - YG_RING : 0;
    uint32_t count = 0;
    for (uint64_t e = first; e < m->evaluations; e++) {
        uint32_t slot = (uint32_t)(e % YG_RING);
        if (m->ring_times_ns[slot] >= from_ns && m->ring_times_ns[slot] < to_ns)
            slots[count++] = slot;
    }
    return count;
}

static yg_rc view_series(const struct monitor *m, const struct group **all, int64_t from_ns,
                         int64_t to_ns, struct yg_arena *arena, struct yg_monitor_view *v,
                         struct yg_err *err) {
    uint32_t slots[YG_RING];
    uint32_t n = slots_in(m, from_ns, to_ns, slots);
    int64_t *times = YG_NEW_N(arena, int64_t, n + 1);
    struct yg_monitor_eval_series *series =
        YG_NEW_N(arena, struct yg_monitor_eval_series, VIEW_SERIES_MAX);
    if (!times || !series)
        return fail_memory(err);
    for (uint32_t i = 0; i < n; i++)
        times[i] = m->ring_times_ns[slots[i]];
    v->times_ns = times;
    v->time_count = n;
    v->series = series;
    for (uint32_t g = 0; g < v->group_count && v->series_count < VIEW_SERIES_MAX; g++) {
        if (!all[g]->values)
            continue;
        double *values = YG_NEW_N(arena, double, n + 1);
        char *states = YG_NEW_N(arena, char, n + 1);
        if (!values || !states)
            return fail_memory(err);
        for (uint32_t i = 0; i < n; i++) {
            values[i] = all[g]->values[slots[i]];
            states[i] = all[g]->states[slots[i]];
        }
        series[v->series_count++] =
            (struct yg_monitor_eval_series){v->groups[g].group, values, states};
    }
    return YG_OK;
}

static yg_rc view_make(const struct yg_monitors *ms, const struct monitor *m, int64_t from_ns,
                       int64_t to_ns, struct yg_arena *arena, struct yg_monitor_view *v,
                       struct yg_err *err) {
    const struct yg_monitor_def *def = m->def;
    (void)ms;
    *v = (struct yg_monitor_view){.id = m->id,
                                  .name = yg_arena_str(arena, m->rec.name),
                                  .query = yg_arena_str(arena, m->rec.query),
                                  .overall = m->overall,
                                  .kind = def ? def->kind : YG_MONITOR_STORED,
                                  .why_not = def ? def->why_not : "the definition does not parse",
                                  .last_error = yg_arena_str(arena, yg_str_c(m->last_error)),
                                  .evaluated_ns = m->evaluated_ns,
                                  .next_ns = m->due_ns,
                                  .comparator = ""};
    if (def) {
        v->window_ns = def->window_ns;
        v->delay_ns = def->delay_ns;
        v->comparator = def->kind == YG_MONITOR_STORED ? "" : yg_compare_text(def->op);
        v->critical = def->critical;
        v->warning = def->warning;
        v->critical_recovery = def->critical_recovery;
        v->warning_recovery = def->warning_recovery;
    }
    const struct group **all = groups_sorted(m, arena);
    if (!all)
        return fail_memory(err);
    YG_TRY(view_groups(all, m->groups.len, arena, v, err));
    return view_series(m, all, from_ns, to_ns, arena, v, err);
}

yg_rc yg_monitors_view(struct yg_monitors *ms, int64_t id, int64_t from_ns, int64_t to_ns,
                       struct yg_arena *arena, struct yg_monitor_view *ret_view,
                       struct yg_err *err) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    pthread_mutex_lock(&ms->lock);
    struct monitor *m = yg_set_find(ms, id);
    yg_rc rc = m ? view_make(ms, m, from_ns, to_ns, arena, ret_view, err)
                 : yg_fail(err, YG_ENOTFOUND, "Monitor not found");
    pthread_mutex_unlock(&ms->lock);
    return rc;
}

void yg_monitors_counts(struct yg_monitors *ms, uint32_t ret_counts[YG_STATE_COUNT]) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    memset(ret_counts, 0, YG_STATE_COUNT * sizeof(ret_counts[0]));
    pthread_mutex_lock(&ms->lock);
    for (uint32_t i = 0; i < ms->count; i++)
        ret_counts[ms->list[i]->overall]++;
    pthread_mutex_unlock(&ms->lock);
}

// ---------------------------------------------------------------- alerts

static int by_worst_newest(const void *a, const void *b) {
    const struct yg_monitor_alert *x = a, *y = b;
    int rank = yg_state_rank(y->state) - yg_state_rank(x->state);
    if (rank)
        return rank;
    return x->since_ns < y->since_ns ? 1 : x->since_ns > y->since_ns ? -1 : 0;
}

static bool is_alerting(const struct group *g) {
    enum yg_monitor_state s = g->rec.state;
    return s == YG_STATE_ALERT || s == YG_STATE_WARN ||
           (s == YG_STATE_NO_DATA && g->rec.last_nodata_ns > 0);
}

static yg_rc alerts_of(const struct monitor *m, struct yg_arena *arena,
                       struct yg_monitor_alert **alerts, uint32_t *count, uint32_t *cap,
                       struct yg_err *err) {
    uint32_t at = 0;
    yg_str name;
    uint64_t value;
    yg_str monitor = {"", 0};
    while (m->def && yg_map_next(&m->groups, &at, &name, &value)) {
        const struct group *g = (const struct group *)(uintptr_t)value;
        if (!is_alerting(g))
            continue;
        if (monitor.len == 0)
            monitor = yg_arena_str(arena, m->rec.name);
        if (!YG_ARENA_GROW(arena, *alerts, *count, *cap))
            return fail_memory(err);
        (*alerts)[(*count)++] = (struct yg_monitor_alert){
            .monitor_id = m->id,
            .monitor = monitor,
            .state = g->rec.state,
            .group = yg_arena_str(arena, g->rec.group),
            .since_ns = g->rec.since_ns,
            .has_value = g->rec.has_value,
            .value = g->rec.value,
            .threshold = g->rec.state == YG_STATE_WARN ? m->def->warning : m->def->critical};
    }
    return YG_OK;
}

yg_rc yg_monitors_alerts(struct yg_monitors *ms, uint32_t limit, struct yg_arena *arena,
                         struct yg_monitor_alert **ret_alerts, uint32_t *ret_count,
                         struct yg_err *err) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    struct yg_monitor_alert *alerts = NULL;
    uint32_t count = 0, cap = 0;
    yg_rc rc = YG_OK;
    pthread_mutex_lock(&ms->lock);
    for (uint32_t i = 0; i < ms->count && rc == YG_OK; i++)
        rc = alerts_of(ms->list[i], arena, &alerts, &count, &cap, err);
    pthread_mutex_unlock(&ms->lock);
    if (count > 1)
        qsort(alerts, count, sizeof(alerts[0]), by_worst_newest);
    *ret_alerts = alerts;
    *ret_count = count < limit ? count : limit;
    return rc;
}
