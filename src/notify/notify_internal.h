// SPDX-License-Identifier: Apache-2.0
// Private to notify: pieces of the message language that several files use.
#ifndef YG_NOTIFY_INTERNAL_H
#define YG_NOTIFY_INTERNAL_H

#include "notify/notify.h"

#define YG_TEXT_MAX_BYTES (64u << 10) // one rendered message
#define YG_HANDLES_MAX 64             // of one message
#define YG_NUMBER_TEXT_BYTES 48

// "5.0", "0.081", "1234567.0": at most three decimals from 0.001 on, else three significant digits.
size_t yg_number_text(double v, char out[YG_NUMBER_TEXT_BYTES]);
// The number as the service writes a threshold: shortest, whole numbers with ".0".
size_t yg_threshold_text(double v, char out[YG_NUMBER_TEXT_BYTES]);
// A variable's value by its name in a message ("service.name", "value"), empty when unknown.
yg_str yg_notice_variable(const struct yg_notice *n, yg_str name, struct yg_arena *arena);
// {{eval "…"}}: arithmetic over variables. False when it is no expression.
bool yg_eval_expression(const struct yg_notice *n, yg_str text, struct yg_arena *arena,
                        yg_str *ret_text);
// "2021-05-31 23:43:27+09:00"; false when the zone is unknown.
bool yg_local_time_text(int64_t ns, yg_str zone, char out[YG_TIME_TEXT_BYTES]);

// ---- webhook.c, slack.c
yg_rc yg_webhook_build(struct yg_meta *meta, const struct yg_message_record *msg,
                       struct yg_arena *arena, struct yg_delivery *d,
                       struct yg_err *err) YG_MUST_USE;
yg_rc yg_slack_build(struct yg_meta *meta, const struct yg_message_record *msg,
                     struct yg_arena *arena, struct yg_delivery *d, struct yg_err *err) YG_MUST_USE;
void yg_delivery_header(struct yg_delivery *d, yg_str name, yg_str value);
// Finds account and channel of "slack-…" (without '@'); EINPUT says why there is none.
yg_rc yg_slack_resolve(struct yg_meta *meta, yg_str handle, struct yg_arena *arena,
                       yg_str *ret_receiver, struct yg_err *err) YG_MUST_USE;
// Everything that the $ variables need, as JSON for the outbox.
yg_rc yg_facts_make(const struct yg_notice *n, const struct yg_rendered *r, struct yg_arena *arena,
                    yg_str *ret_json, struct yg_err *err) YG_MUST_USE;

#endif
