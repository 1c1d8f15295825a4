// SPDX-License-Identifier: Apache-2.0
// Private to monitor: definition parsing in parts, the state machine, the running set.
#ifndef YG_MONITOR_INTERNAL_H
#define YG_MONITOR_INTERNAL_H

#include "base/map.h"
#include "codec/json_read.h"
#include "monitor/monitor.h"

#define YG_TEXT_BAD_QUERY "The value provided for parameter 'query' is invalid"

#define YG_MIN_NS (60 * YG_NS_PER_S)
#define YG_HOUR_NS (60 * YG_MIN_NS)
#define YG_DAY_NS (24 * YG_HOUR_NS)

// ---- parse_metric.c: aggr(window):expr op number
yg_rc yg_metric_monitor_parse(yg_str query, struct yg_arena *arena, struct yg_monitor_def *def,
                              struct yg_err *err) YG_MUST_USE;
// ---- parse_other.c: composites, checks and the like are only looked over
yg_rc yg_stored_monitor_check(yg_str type, yg_str query, struct yg_monitor_def *def,
                              struct yg_err *err) YG_MUST_USE;
// ---- parse_options.c
yg_rc yg_monitor_options_parse(const struct yg_monitor_record *rec, struct yg_arena *arena,
                               struct yg_monitor_def *def, struct yg_err *err) YG_MUST_USE;
// ---- scope.c: tags that all scopes of a query fix; name of its first metric
yg_rc yg_scope_of_metric(yg_str expr, struct yg_arena *arena, struct yg_monitor_def *def,
                         struct yg_err *err) YG_MUST_USE;
yg_rc yg_scope_of_filter(const struct yg_node *filter, struct yg_arena *arena,
                         struct yg_monitor_def *def, struct yg_err *err) YG_MUST_USE;
yg_str yg_first_metric(yg_str expr);
// "on average", "in total", "at least once", "at all times"; empty for events.
yg_str yg_monitor_aggr_words(const struct yg_monitor_def *def);

// ---- evaluate.c: what a window gives, group by group
struct yg_eval_value {
    yg_str group; // "service:a,host:b", "*"
    const struct yg_tag *tags;
    uint32_t tag_count;
    bool has_value; // false: the query named the group but had nothing for it
    double value;
    bool skip; // require_full_window: the group's data do not cover the window yet
};
struct yg_eval_result {
    struct yg_eval_value *values;
    uint32_t count;
    int64_t from_ns, to_ns;
};
yg_rc yg_monitor_run(struct yg_store *store, const struct yg_monitor_def *def, int64_t at_ns,
                     int64_t deadline_mono_ns, struct yg_arena *arena,
                     struct yg_eval_result *ret_result, struct yg_err *err) YG_MUST_USE;
// Tags of a stored group's name, for messages about groups that sent nothing.
yg_rc yg_group_tags_parse(yg_str group, struct yg_arena *arena, struct yg_tag **ret_tags,
                          uint32_t *ret_count, struct yg_err *err) YG_MUST_USE;

// ---- sample.c: the newest event of a group in the window, for {{log.message}} and its like. None
// when the monitor is not over events or nothing is found; a search that fails gives none, too.
void yg_monitor_sample(struct yg_store *store, const struct yg_monitor_def *def,
                       const struct yg_tag *group, uint32_t group_count, int64_t from_ns,
                       int64_t to_ns, struct yg_arena *arena, const struct yg_tag **ret_sample,
                       uint32_t *ret_count);
// Whether a template speaks of an event at all.
bool yg_wants_sample(yg_str text);

// ---- state.c: the state machine of one group, pure
enum yg_step_kind {
    YG_STEP_NONE,   // nothing to tell
    YG_STEP_QUIET,  // the state changed, nobody is told
    YG_STEP_NOTIFY, // the state changed, receivers are told
    YG_STEP_REPEAT, // the same state, receivers are told again
};
struct yg_step {
    enum yg_step_kind kind;
    enum yg_monitor_state from, to;
    bool forget;                // the group is to be dropped
    int64_t first_triggered_ns; // of the cycle that this step belongs to or ends
};
// Decides for one group at `at_ns`. value NULL: the window had nothing for it. Changes *g to what
// is to be stored when the step was stored.
struct yg_step yg_group_step(const struct yg_monitor_def *def, struct yg_group_record *g,
                             const double *value, int64_t at_ns);
// The state that a value alone says, coming from `from`.
enum yg_monitor_state yg_threshold_state(const struct yg_monitor_def *def,
                                         enum yg_monitor_state from, double value);
int yg_state_rank(enum yg_monitor_state s); // Alert 4 > Warn 3 > No Data 2 > OK 1 > others 0

#endif
