// SPDX-License-Identifier: Apache-2.0
// Messages of monitors: rendering, receivers, and the sender that works off the outbox.
//
// A change of state goes: monitor fills a yg_notice → yg_notice_messages renders title and text,
// finds the @handles and gives rows → monitor stores them in the transaction of the change → the
// notifier sends them, retries, and notes the outcome. Nothing is sent that is not in the outbox.
#ifndef YG_NOTIFY_NOTIFY_H
#define YG_NOTIFY_NOTIFY_H

#include "base/clock.h"
#include "meta/meta.h"
#include "net/net.h"

struct yg_tag { // "service:a"; value empty when the tag has no ':'
    yg_str key;
    yg_str value;
};

// What a message may speak of. All borrowed.
struct yg_notice {
    int64_t monitor_id;
    yg_str type;               // "query alert"
    yg_str name;               // template
    yg_str message;            // template
    yg_str escalation_message; // template, added to repeats
    yg_str query;
    yg_str metric;      // first metric of the query, or empty
    yg_str subject;     // what is measured, for $ALERT_STATUS: metric or search; empty: the query
    const yg_str *tags; // the monitor's own
    uint32_t tag_count;
    int64_t priority; // 0 = none
    bool include_tags;

    yg_str group; // "service:a", "*"
    const struct yg_tag *group_tags;
    uint32_t group_tag_count;
    const struct yg_tag *scope_tags; // tags that the query's scope fixes: {{x.name}} falls back on
    uint32_t scope_tag_count;        // them

    const char *audit; // not NULL: the monitor itself "was changed", no change of state
    // One matching event: "message", "service", "attributes.http.url", "tags.env" → {{log.message}}
    // …
    const struct yg_tag *sample;
    uint32_t sample_count;

    enum yg_monitor_state from, to;
    bool is_repeat;
    bool has_value;
    double value;
    const char *comparator; // ">"
    bool has_critical, has_warning, has_critical_recovery, has_warning_recovery;
    double critical, warning, critical_recovery, warning_recovery;
    yg_str window_words; // "last 5m"
    yg_str aggr_words;   // "on average", "in total", "at least once", "at all times", or empty
    int64_t at_ns;
    int64_t window_from_ns, window_to_ns;
    int64_t first_triggered_ns, last_triggered_ns; // 0 = never
    int64_t cycle;

    yg_str org_id, org_name;
    yg_str public_url;
    const struct yg_user *user;
};

// "Triggered", "Re-Triggered", "Warn", "Re-Warn", "No Data", "Re-No Data", "Recovered"; "Modified".
const char *yg_notice_transition(const struct yg_notice *n);

// Renders one template (message language: README.md) into arena. Never fails on what users wrote:
// an unknown variable is empty, an unfinished block ends at the text's end, text past 64 KiB is
// cut. ENOMEM.
yg_rc yg_template_render(const struct yg_notice *n, yg_str text, struct yg_arena *arena,
                         yg_str *ret_text, struct yg_err *err) YG_MUST_USE;

struct yg_rendered {
    yg_str title;          // "[Triggered on {service:a}] Error rate high"
    yg_str text;           // body with its handles
    const yg_str *handles; // "@webhook-ops", each once, in order
    uint32_t handle_count;
};
yg_rc yg_notice_render(const struct yg_notice *n, struct yg_arena *arena,
                       struct yg_rendered *ret_rendered, struct yg_err *err) YG_MUST_USE;
// The handles of a text, without rendering. In arena.
yg_rc yg_handles_find(yg_str text, struct yg_arena *arena, const yg_str **ret_handles,
                      uint32_t *ret_count, struct yg_err *err) YG_MUST_USE;

// Rows for yg_transition_record.messages: one per handle, due now; a handle that nobody can deliver
// becomes a row in state FAILED that says why. Reads webhooks' and Slack accounts' names from meta.
// silent (may be NULL): a reason to send nothing; every row is then FAILED with it.
yg_rc yg_notice_messages(struct yg_meta *meta, const struct yg_notice *n, const char *silent,
                         struct yg_arena *arena, struct yg_message_record **ret_messages,
                         uint32_t *ret_count, struct yg_err *err) YG_MUST_USE;

// The payload that a webhook without one of its own sends.
// Source: DataDog/datadog-api-client-typescript cassettes, v1 Webhooks-Integration.
extern const char yg_webhook_default_payload[];

// One HTTP request made of a message. In arena.
struct yg_delivery {
    yg_str url;
    struct yg_http_header headers[24]; // Content-Type, X-Yagura-Delivery, the webhook's own
    uint32_t header_count;
    yg_str body;
};
// ENOTFOUND: the receiver is gone; EINPUT: its URL or headers cannot be used. Both final.
yg_rc yg_delivery_build(struct yg_meta *meta, const struct yg_message_record *msg,
                        struct yg_arena *arena, struct yg_delivery *ret_delivery,
                        struct yg_err *err) YG_MUST_USE;

// ---------------------------------------------------------------- sender

struct yg_notifier;

struct yg_notifier_options {
    struct yg_meta *meta;
    struct yg_client *client;
    const struct yg_clock *clock;
    int64_t retry_first_ms; // 0 = 1,000; doubles up to …
    int64_t retry_max_ms;   // 0 = 300,000
    int64_t timeout_ms;     // of one try; 0 = 15,000
    uint32_t tries_max;     // 0 = 20: a receiver may be away for about an hour
    uint32_t in_flight_max; // 0 = 16
};

struct yg_notifier *yg_notifier_create(const struct yg_notifier_options *options);
// Destroy before the client and the meta. Answers under way are awaited for two seconds; a delivery
// whose answer comes later counts as never answered and is repeated by the next start.
void yg_notifier_destroy(struct yg_notifier *n);
void yg_notifier_start(struct yg_notifier *n); // own thread
void yg_notifier_kick(struct yg_notifier *n);  // new rows are in the outbox. Any thread
// One round without the thread, for tests: notes answers that came, sends what is due. Tells how
// many deliveries are under way. Never while the thread runs.
uint32_t yg_notifier_pass(struct yg_notifier *n);

#endif
