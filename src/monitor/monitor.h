// SPDX-License-Identifier: Apache-2.0
// Monitors: parsing and checking definitions, evaluating them on a clock, what the page shows.
//
// An evaluation reads its window through query, decides each group's state, stores the change with
// its messages in one transaction (meta) and tells the notifier. States live in memory and in meta;
// a restart goes on where the last transaction left off.
#ifndef YG_MONITOR_MONITOR_H
#define YG_MONITOR_MONITOR_H

#include "base/thread.h"
#include "meta/meta.h"
#include "notify/notify.h"
#include "query/query.h"

// ---------------------------------------------------------------- definition

enum yg_monitor_kind {
    YG_MONITOR_METRIC,  // metric alert, query alert
    YG_MONITOR_EVENT,   // log alert and others over a track that is kept
    YG_MONITOR_FORMULA, // formula("…") over options.variables
    YG_MONITOR_STORED,  // checked and kept, not evaluated by this version: `why_not`
    YG_MONITOR_KIND_COUNT
};

enum yg_missing_mode { // options.on_missing_data
    YG_MISSING_UNSET,
    YG_MISSING_DEFAULT,
    YG_MISSING_SHOW,
    YG_MISSING_NOTIFY,
    YG_MISSING_RESOLVE
};

struct yg_threshold {
    bool set;
    double value;
};

// Everything borrowed from the record or in the arena of yg_monitor_parse.
struct yg_monitor_def {
    enum yg_monitor_kind kind;
    const char *why_not; // for STORED
    bool multi;
    const yg_str *keys; // group-by names as written
    uint32_t key_count;

    enum yg_compare op;
    double number; // as in the query
    struct yg_threshold critical, warning, critical_recovery, warning_recovery;

    int64_t window_ns;                             // rolling window; 0 for a cumulative one
    char cumulative;                               // 0, 'h', 'd', 'm': since the last reset (UTC)
    int hour_starts, day_starts_min, month_starts; // when a cumulative window resets
    int64_t delay_ns;                              // evaluation_delay

    // METRIC
    enum yg_window_agg agg;
    struct yg_metric_query *metric;
    yg_str expr;      // the metric query's text
    int64_t shift_ns; // change(): compare with the window this much earlier; 0 = no change()
    bool pct_change;
    // EVENT
    struct yg_event_monitor *event;
    bool counts; // nothing found = 0
    // FORMULA
    yg_str formula;
    struct yg_event_series_spec **variables;
    uint32_t variable_count;

    // options
    bool notify_no_data, require_full_window, include_tags, notify_audit;
    enum yg_missing_mode on_missing;
    int64_t no_data_ns;         // no_data_timeframe or its default
    int64_t group_retention_ns; // 24 h
    int64_t renotify_ns;        // 0 = never
    int64_t renotify_max;       // 0 = no limit but 30 h
    uint32_t renotify_states;   // bits of enum yg_monitor_state
    yg_str escalation_message;
    int64_t new_group_ns; // groups younger than this are not evaluated
    int64_t timeout_ns;   // 0 = never: without data that long the state goes OK
    const yg_str *notify_by;
    uint32_t notify_by_count;
    bool simple;       // notify_by ["*"]: one alert for all groups
    bool silenced_all; // options.silenced has "*"
    const yg_str *tags;
    uint32_t tag_count;
    const struct yg_tag *scope; // tags that the query's scope fixes
    uint32_t scope_count;
};

// Parses and checks as POST /monitor and /validate do. EINPUT with the service's text (§1.3 of the
// reference). rec->options_json and rec->tags_json must be JSON of the right shape. Thread: any.
yg_rc yg_monitor_parse(const struct yg_monitor_record *rec, struct yg_arena *arena,
                       struct yg_monitor_def **ret_def, struct yg_err *err) YG_MUST_USE;
// "last 5m", "current 1d".
yg_str yg_monitor_window_words(const struct yg_monitor_def *def, struct yg_arena *arena);
// Name for a monitor that was sent without one.
yg_str yg_monitor_default_name(const struct yg_monitor_def *def, struct yg_arena *arena);

// ---------------------------------------------------------------- running

struct yg_monitors;

struct yg_monitors_options {
    struct yg_store *store;
    struct yg_meta *meta;
    struct yg_notifier *notifier; // may be NULL: rows stay in the outbox
    struct yg_pool *pool;         // evaluations run on its interactive lane, at most half of it
    const struct yg_clock *clock;
    const char *public_url;
    int64_t eval_interval_ms; // 0 = 60,000; windows ≥ 24 h: ten times, ≥ 48 h: thirty times this
};

// Reads all monitors and their states. A stored definition that no longer parses is kept and
// logged.
yg_rc yg_monitors_create(const struct yg_monitors_options *options,
                         struct yg_monitors **ret_monitors, struct yg_err *err) YG_MUST_USE;
void yg_monitors_start(struct yg_monitors *ms);   // scheduler thread
void yg_monitors_destroy(struct yg_monitors *ms); // waits for evaluations under way, stores states
// Evaluates all that is due, on this thread; for tests without start. Tells how many were
// evaluated.
uint32_t yg_monitors_tick(struct yg_monitors *ms);
// Evaluates one now, on this thread, due or not. ENOTFOUND.
yg_rc yg_monitors_evaluate(struct yg_monitors *ms, int64_t id, struct yg_err *err) YG_MUST_USE;
// The record changed in meta (made, replaced, deleted): take it over; it is due at once. Any
// worker.
yg_rc yg_monitors_reload(struct yg_monitors *ms, int64_t id, struct yg_err *err) YG_MUST_USE;
// notify_audit: tells the monitor's handles that somebody changed it. Nothing when it is off.
yg_rc yg_monitors_audit(struct yg_monitors *ms, int64_t id, const char *what,
                        struct yg_err *err) YG_MUST_USE;
// Stores states that changed without a transition (values, times). The scheduler does it every
// minute.
yg_rc yg_monitors_flush(struct yg_monitors *ms, struct yg_err *err) YG_MUST_USE;

// ---------------------------------------------------------------- for the page and the API

// Copies into arena. All in memory.
struct yg_monitor_eval_series {
    yg_str group;
    const double *values; // NaN = no data
    const char *states;   // one letter per time: O W A N, '-' not evaluated
};
struct yg_monitor_view {
    int64_t id;
    yg_str name, query;
    enum yg_monitor_state overall;
    enum yg_monitor_kind kind;
    const char *why_not; // not evaluated: why
    yg_str last_error;   // of the last evaluation; empty when it went well
    int64_t evaluated_ns, next_ns;
    int64_t window_ns, delay_ns;
    const char *comparator;
    struct yg_threshold critical, warning, critical_recovery, warning_recovery;
    const struct yg_group_record *groups; // worst first, at most 1,000
    uint32_t group_count;
    uint32_t group_total;
    const int64_t *times_ns; // evaluations in [from, to), at most 500
    uint32_t time_count;
    const struct yg_monitor_eval_series *series; // at most 24 groups, worst first
    uint32_t series_count;
};
yg_rc yg_monitors_view(struct yg_monitors *ms, int64_t id, int64_t from_ns, int64_t to_ns,
                       struct yg_arena *arena, struct yg_monitor_view *ret_view,
                       struct yg_err *err) YG_MUST_USE; // ENOTFOUND

// Monitors by overall state.
void yg_monitors_counts(struct yg_monitors *ms, uint32_t ret_counts[YG_STATE_COUNT]);

// Groups in Alert, Warn or No Data (after data), in this order, newest first.
struct yg_monitor_alert {
    int64_t monitor_id;
    yg_str monitor; // name
    enum yg_monitor_state state;
    yg_str group;
    int64_t since_ns;
    bool has_value;
    double value;
    struct yg_threshold threshold; // the one that was passed
};
yg_rc yg_monitors_alerts(struct yg_monitors *ms, uint32_t limit, struct yg_arena *arena,
                         struct yg_monitor_alert **ret_alerts, uint32_t *ret_count,
                         struct yg_err *err) YG_MUST_USE;

#endif
