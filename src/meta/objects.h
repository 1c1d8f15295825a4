// SPDX-License-Identifier: Apache-2.0
// Monitors, their state and history, webhooks, Slack accounts, metric metadata, the outbox. Part of
// meta/meta.h.
//
// Strings handed in are borrowed for the call; everything handed out lives in the given arena. All
// functions lock for themselves and may be called from any thread but the loop's. `*_json` members
// are JSON texts as they are answered.
#ifndef YG_META_OBJECTS_H
#define YG_META_OBJECTS_H

#include "base/arena.h"

struct yg_meta;

// ---------------------------------------------------------------- people

// Who is answered as creator: the owner of the first application key. In memory.
struct yg_user {
    int64_t id;
    char uuid[37];
    yg_str handle;
    yg_str email;
    yg_str name; // empty: answered as null
};
const struct yg_user *yg_meta_user(struct yg_meta *m);

// ---------------------------------------------------------------- monitors

// Stored: the numbers are part of the database.
enum yg_monitor_state {
    YG_STATE_NO_DATA = 0,
    YG_STATE_OK = 1,
    YG_STATE_WARN = 2,
    YG_STATE_ALERT = 3,
    YG_STATE_IGNORED = 4, // draft, or of a kind that this version does not evaluate
    YG_STATE_SKIPPED = 5,
    YG_STATE_UNKNOWN = 6,
    YG_STATE_COUNT
};
const char *yg_state_name(enum yg_monitor_state state); // "OK", "Alert", "Warn", "No Data" …
bool yg_state_parse(yg_str name, enum yg_monitor_state *ret_state); // no case

struct yg_monitor_record {
    int64_t id; // 0 = not stored yet
    yg_str type, name, query, message;
    yg_str tags_json;               // ["a:b"]
    yg_str options_json;            // {…}
    yg_str restricted_roles_json;   // empty: null
    yg_str restriction_policy_json; // empty: null
    yg_str assets_json;             // [] …
    yg_str draft_status;            // "published", "draft"
    int64_t priority;               // 0: null
    bool multi;
    int64_t creator_id;
    int64_t created_ns;
    int64_t modified_ns;
    enum yg_monitor_state overall_state;
    int64_t overall_modified_ns; // 0: never
};

// Stores a new monitor (id 0: *ret_id is its id) or replaces one (ENOTFOUND).
// created/modified/creator are set here. reset_groups: forget the groups' state, because the query
// groups differently now.
yg_rc yg_meta_monitor_put(struct yg_meta *m, const struct yg_monitor_record *rec, bool reset_groups,
                          int64_t *ret_id, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_monitor_get(struct yg_meta *m, int64_t id, struct yg_arena *arena,
                          struct yg_monitor_record *ret_rec,
                          struct yg_err *err) YG_MUST_USE; // ENOTFOUND
yg_rc yg_meta_monitor_list(struct yg_meta *m, struct yg_arena *arena,
                           struct yg_monitor_record **ret_recs, uint32_t *ret_count,
                           struct yg_err *err) YG_MUST_USE; // by id
// With its groups, history and undelivered messages.
yg_rc yg_meta_monitor_delete(struct yg_meta *m, int64_t id,
                             struct yg_err *err) YG_MUST_USE; // ENOTFOUND

// One group of a monitor. `group` is "service:a,host:b" in the order of the query's keys, "*"
// without keys.
struct yg_group_record {
    int64_t monitor_id;
    yg_str group;
    enum yg_monitor_state state;
    bool has_value;
    double value;     // last evaluated
    int64_t since_ns; // of the state
    int64_t evaluated_ns;
    int64_t first_seen_ns;
    int64_t last_data_ns; // newest evaluation that found data; 0 = never
    int64_t last_triggered_ns, last_resolved_ns, last_nodata_ns;
    int64_t first_triggered_ns; // of the current alert cycle; 0 = none
    int64_t last_notified_ns;
    int64_t renotify_count; // repeats sent in this cycle
    int64_t cycle;          // number of the alert cycle: same from trigger to recovery
};
// monitor_id 0 = of all monitors; ordered by monitor and group.
yg_rc yg_meta_groups(struct yg_meta *m, int64_t monitor_id, struct yg_arena *arena,
                     struct yg_group_record **ret_groups, uint32_t *ret_count,
                     struct yg_err *err) YG_MUST_USE;

// ---------------------------------------------------------------- outbox

enum yg_message_kind {
    YG_MESSAGE_WEBHOOK = 0,
    YG_MESSAGE_SLACK = 1,
    YG_MESSAGE_NONE = 2,
    YG_MESSAGE_KIND_COUNT
};
enum yg_message_state {
    YG_MESSAGE_PENDING = 0,
    YG_MESSAGE_SENT = 1,
    YG_MESSAGE_FAILED =
        2, // refused for good, tries used up, or no such receiver: last_error says why
    YG_MESSAGE_UNKNOWN =
        3, // tries used up and the last one may have arrived: its answer was never seen
    YG_MESSAGE_STATE_COUNT
};
const char *
yg_message_state_name(enum yg_message_state state); // "pending" "sent" "failed" "unknown"

struct yg_message_record {
    int64_t seq; // order; set by the outbox
    char id[37]; // the delivery's UUID: the same on every try; filled when empty
    int64_t monitor_id;
    int64_t transition_id; // set by yg_meta_monitor_apply
    yg_str group;
    yg_str target; // "@webhook-ops"
    enum yg_message_kind kind;
    yg_str receiver;   // webhook's name; "account\nchannel" for Slack
    yg_str facts_json; // what the sender expands: notify/notify.h
    enum yg_message_state state;
    int64_t attempts;
    int64_t due_ns;
    int64_t created_ns;
    int64_t done_ns;     // 0 = not yet
    int64_t last_status; // HTTP status of the last answer, 0 = none
    yg_str last_error;
};

// One change of a group's state, or a repeat (from == to).
struct yg_transition_record {
    int64_t id;
    int64_t monitor_id;
    yg_str group;
    int64_t at_ns;
    enum yg_monitor_state from, to;
    yg_str kind; // "Triggered", "Recovered", "Renotify" …
    bool has_value;
    double value;
    int64_t window_from_ns, window_to_ns;
    struct yg_message_record *messages;
    uint32_t message_count;
};

// What one evaluation changes, in one transaction: after it, state, history and messages are all
// durable or none is. A monitor that is gone meanwhile: ENOTFOUND and nothing is written.
struct yg_monitor_change {
    int64_t monitor_id;
    const struct yg_group_record *groups; // made or replaced
    uint32_t group_count;
    const yg_str *forget; // groups to remove
    uint32_t forget_count;
    struct yg_transition_record *transitions; // ids of rows and messages are filled in
    uint32_t transition_count;
    bool set_overall;
    enum yg_monitor_state overall_state;
    int64_t overall_modified_ns;
};
yg_rc yg_meta_monitor_apply(struct yg_meta *m, const struct yg_monitor_change *changes,
                            uint32_t change_count, struct yg_err *err) YG_MUST_USE;
// Newest first, with their messages (without facts_json). At most `limit`.
yg_rc yg_meta_transitions(struct yg_meta *m, int64_t monitor_id, int64_t from_ns, int64_t to_ns,
                          uint32_t limit, struct yg_arena *arena,
                          struct yg_transition_record **ret_rows, uint32_t *ret_count,
                          struct yg_err *err) YG_MUST_USE;

// Pending messages that are due, oldest first, of each (monitor, group, target) only the oldest
// pending one, so that a receiver sees a group's changes in order. *ret_next_due_ns: when the next
// one is due, INT64_MAX = none.
yg_rc yg_meta_outbox_due(struct yg_meta *m, int64_t now_ns, uint32_t limit, struct yg_arena *arena,
                         struct yg_message_record **ret_rows, uint32_t *ret_count,
                         int64_t *ret_next_due_ns, struct yg_err *err) YG_MUST_USE;
// Notes the outcome of a try: state, attempts, due_ns, done_ns, last_status and last_error of rec,
// by rec->seq.
yg_rc yg_meta_outbox_note(struct yg_meta *m, const struct yg_message_record *rec,
                          struct yg_err *err) YG_MUST_USE;
// Removes history and finished messages older than this. At most 10,000 rows a call.
yg_rc yg_meta_history_prune(struct yg_meta *m, int64_t before_ns, struct yg_err *err) YG_MUST_USE;

// ---------------------------------------------------------------- integrations

struct yg_webhook {
    yg_str name, url, payload;
    yg_str encode_as; // "json", "form"
    bool has_headers;
    yg_str custom_headers; // JSON object as text, kept as sent
    yg_str auth_method_id; // empty: null
};
// old_name empty: a new one, ECONFLICT when the name is taken. Else replaces that one, which may
// rename it. ENOTFOUND.
yg_rc yg_meta_webhook_put(struct yg_meta *m, yg_str old_name, const struct yg_webhook *hook,
                          struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_webhook_get(struct yg_meta *m, yg_str name, struct yg_arena *arena,
                          struct yg_webhook *ret_hook, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_webhook_delete(struct yg_meta *m, yg_str name, struct yg_err *err) YG_MUST_USE;

struct yg_webhook_variable {
    yg_str name, value;
    bool is_secret;
};
yg_rc yg_meta_variable_put(struct yg_meta *m, yg_str old_name,
                           const struct yg_webhook_variable *var, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_variable_get(struct yg_meta *m, yg_str name, struct yg_arena *arena,
                           struct yg_webhook_variable *ret_var, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_variable_delete(struct yg_meta *m, yg_str name, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_variable_list(struct yg_meta *m, struct yg_arena *arena,
                            struct yg_webhook_variable **ret_vars, uint32_t *ret_count,
                            struct yg_err *err) YG_MUST_USE;

struct yg_slack_account {
    yg_str name, url;
};
struct yg_slack_channel {
    yg_str account, name; // name with its '#'
    yg_str display_json;
};
yg_rc yg_meta_slack_account_put(struct yg_meta *m, const struct yg_slack_account *account,
                                struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_slack_account_list(struct yg_meta *m, struct yg_arena *arena,
                                 struct yg_slack_account **ret_accounts, uint32_t *ret_count,
                                 struct yg_err *err) YG_MUST_USE; // in order of making
yg_rc yg_meta_slack_account_delete(struct yg_meta *m, yg_str name, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_slack_channel_put(
    struct yg_meta *m, yg_str old_name, const struct yg_slack_channel *channel,
    struct yg_err *err) YG_MUST_USE; // as webhook_put; ENOTFOUND: account
yg_rc yg_meta_slack_channel_list(struct yg_meta *m, yg_str account, struct yg_arena *arena,
                                 struct yg_slack_channel **ret_channels, uint32_t *ret_count,
                                 struct yg_err *err) YG_MUST_USE; // account empty = of all
yg_rc yg_meta_slack_channel_delete(struct yg_meta *m, yg_str account, yg_str name,
                                   struct yg_err *err) YG_MUST_USE;

// ---------------------------------------------------------------- metric metadata (as users set
// it)

struct yg_metric_meta {
    yg_str name, type, description, short_name, unit, per_unit; // empty: null
    int64_t statsd_interval;                                    // 0: null
};
yg_rc yg_meta_metric_put(struct yg_meta *m, const struct yg_metric_meta *meta,
                         struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_metric_get(struct yg_meta *m, yg_str name, struct yg_arena *arena,
                         struct yg_metric_meta *ret_meta,
                         struct yg_err *err) YG_MUST_USE; // ENOTFOUND: nobody set anything

#endif
