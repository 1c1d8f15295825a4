// SPDX-License-Identifier: Apache-2.0
// The state machine of one group: value and time in, next state and whom to tell out. Pure.
//
//   value      → Alert, Warn or OK by thresholds; recovery thresholds hold a state that is left
//   no value   → by on_missing_data, or No Data after no_data_timeframe with notify_no_data, or as
//   it was same state → a repeat when renotify_interval has passed since the last message
//
// A group that never had data stays No Data and tells nobody. The first OK of a group tells nobody.
// A cycle is the time from leaving OK to being OK again; it numbers the messages that belong
// together. Source: DataDog/documentation content/en/monitors/configuration/_index.md
#include "monitor/monitor_internal.h"

#define RENOTIFY_END_NS                                                                            \
    (30 * YG_HOUR_NS) // repeats without a limit end so long after the first alert

int yg_state_rank(enum yg_monitor_state s) {
    switch (s) {
    case YG_STATE_ALERT:
        return 4;
    case YG_STATE_WARN:
        return 3;
    case YG_STATE_NO_DATA:
        return 2;
    case YG_STATE_OK:
        return 1;
    case YG_STATE_IGNORED:
    case YG_STATE_SKIPPED:
    case YG_STATE_UNKNOWN:
    case YG_STATE_COUNT:
        break;
    }
    return 0;
}

enum yg_monitor_state yg_threshold_state(const struct yg_monitor_def *def,
                                         enum yg_monitor_state from, double value) {
    const struct yg_threshold *crit_r = &def->critical_recovery, *warn_r = &def->warning_recovery;
    if (def->critical.set && yg_compare_holds(def->op, value, def->critical.value))
        return YG_STATE_ALERT;
    if (from == YG_STATE_ALERT && crit_r->set && yg_compare_holds(def->op, value, crit_r->value))
        return YG_STATE_ALERT;
    if (def->warning.set && yg_compare_holds(def->op, value, def->warning.value))
        return YG_STATE_WARN;
    if (from == YG_STATE_WARN && warn_r->set && yg_compare_holds(def->op, value, warn_r->value))
        return YG_STATE_WARN;
    return YG_STATE_OK;
}

static bool alert_worthy(enum yg_monitor_state s) {
    return yg_state_rank(s) >= 2;
}

// When the newest point that the last good window can have held was sent. A window that is found
// empty now held its last point just inside the one before.
static int64_t silent_since(const struct yg_monitor_def *def, const struct yg_group_record *g) {
    int64_t since = g->last_data_ns - def->window_ns;
    return since > 0 ? since : g->last_data_ns;
}

// The state without a value; *ret_notify says whether a change to it is told.
static enum yg_monitor_state missing_state(const struct yg_monitor_def *def,
                                           const struct yg_group_record *g, int64_t at_ns,
                                           bool *ret_notify) {
    *ret_notify = true;
    if (g->last_data_ns == 0)
        return g->state;
    int64_t silent_ns = at_ns - silent_since(def, g);
    if (def->timeout_ns > 0 && silent_ns >= def->timeout_ns &&
        (g->state == YG_STATE_ALERT || g->state == YG_STATE_WARN || g->state == YG_STATE_NO_DATA))
        return YG_STATE_OK;
    switch (def->on_missing) {
    case YG_MISSING_UNSET:
        if (def->notify_no_data)
            return silent_ns >= def->no_data_ns ? YG_STATE_NO_DATA : g->state;
        return def->counts ? yg_threshold_state(def, g->state, 0) : g->state;
    case YG_MISSING_DEFAULT:
        return def->counts ? yg_threshold_state(def, g->state, 0) : g->state;
    case YG_MISSING_SHOW:
        *ret_notify = false;
        return YG_STATE_NO_DATA;
    case YG_MISSING_NOTIFY:
        return YG_STATE_NO_DATA;
    case YG_MISSING_RESOLVE:
        return YG_STATE_OK;
    }
    return g->state;
}

static bool repeat_due(const struct yg_monitor_def *def, const struct yg_group_record *g,
                       int64_t at_ns) {
    if (def->renotify_ns == 0 || !(def->renotify_states & 1u << g->state) ||
        g->last_notified_ns == 0 || at_ns - g->last_notified_ns < def->renotify_ns)
        return false;
    if (def->renotify_max > 0)
        return g->renotify_count < def->renotify_max;
    return at_ns - g->first_triggered_ns < RENOTIFY_END_NS;
}

// Times and counters of a change.
static void note_change(struct yg_group_record *g, enum yg_monitor_state to, int64_t at_ns) {
    if (alert_worthy(to) && g->first_triggered_ns == 0) {
        g->first_triggered_ns = at_ns;
        g->cycle++;
    }
    if (to == YG_STATE_ALERT || to == YG_STATE_WARN)
        g->last_triggered_ns = at_ns;
    if (to == YG_STATE_NO_DATA)
        g->last_nodata_ns = at_ns;
    if (to == YG_STATE_OK)
        g->last_resolved_ns = alert_worthy(g->state) ? at_ns : g->last_resolved_ns;
    g->state = to;
    g->since_ns = at_ns;
    g->renotify_count = 0;
}

static struct yg_step change(struct yg_group_record *g, enum yg_monitor_state to, bool notify,
                             int64_t at_ns) {
    struct yg_step step = {.kind = YG_STEP_NOTIFY, .from = g->state, .to = to};
    bool told = g->first_triggered_ns > 0 && g->last_notified_ns >= g->first_triggered_ns;
    if (!notify || (to == YG_STATE_OK && !told))
        step.kind = YG_STEP_QUIET; // nobody heard of trouble: nobody hears of its end
    note_change(g, to, at_ns);
    if (step.kind == YG_STEP_NOTIFY)
        g->last_notified_ns = at_ns;
    step.first_triggered_ns = g->first_triggered_ns;
    if (to == YG_STATE_OK)
        g->first_triggered_ns = 0;
    return step;
}

static bool aged_out(const struct yg_monitor_def *def, const struct yg_group_record *g,
                     int64_t at_ns) {
    int64_t seen = g->last_data_ns ? g->last_data_ns : g->first_seen_ns;
    return !yg_str_eq_c(g->group, "*") && at_ns - seen >= def->group_retention_ns;
}

struct yg_step yg_group_step(const struct yg_monitor_def *def, struct yg_group_record *g,
                             const double *value, int64_t at_ns) {
    struct yg_step none = {.kind = YG_STEP_NONE, .from = g->state, .to = g->state};
    if (g->first_seen_ns == 0)
        g->first_seen_ns = at_ns;
    // A count of nothing is 0, but a monitor that asks for No Data takes it as missing.
    bool zero_is_missing = def->counts && def->on_missing >= YG_MISSING_SHOW;
    if (value && zero_is_missing && !(*value > 0) && !(*value < 0))
        value = NULL;
    g->evaluated_ns = at_ns;
    g->has_value = value != NULL;
    g->value = value ? *value : 0;
    if (value)
        g->last_data_ns = at_ns;
    if (!value && aged_out(def, g, at_ns)) {
        none.forget = true;
        return none;
    }
    if (at_ns - g->first_seen_ns < def->new_group_ns)
        return none;
    bool notify = true;
    enum yg_monitor_state to =
        value ? yg_threshold_state(def, g->state, *value) : missing_state(def, g, at_ns, &notify);
    if (to != g->state)
        return change(g, to, notify, at_ns);
    if (!repeat_due(def, g, at_ns))
        return none;
    g->last_notified_ns = at_ns;
    g->renotify_count++;
    none.kind = YG_STEP_REPEAT;
    none.first_triggered_ns = g->first_triggered_ns;
    return none;
}
