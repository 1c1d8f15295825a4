// SPDX-License-Identifier: Apache-2.0
// Which paths of a log mean something to us, and reading what stands there.
#ifndef YG_INTAKE_LOG_FIELDS_H
#define YG_INTAKE_LOG_FIELDS_H

#include "codec/json_read.h"
#include "model/value.h"

// A row's own fields. Several paths lead to one; the smaller `order` wins.
enum yg_log_slot {
    YG_SLOT_MESSAGE,
    YG_SLOT_STATUS,
    YG_SLOT_SERVICE,
    YG_SLOT_HOST,
    YG_SLOT_SOURCE,
    YG_SLOT_TIME,
    YG_SLOT_TRACE_ID,
    YG_SLOT_SPAN_ID,
    YG_SLOT_COUNT, // none: an attribute
    YG_SLOT_TAGS = YG_SLOT_COUNT + 1,
};

enum yg_log_slot yg_log_slot_of(yg_str path, uint8_t *ret_order);

// "emergency" … "debug", "ok" for any spelling of it. False: an integer that is no severity.
bool yg_log_status(const struct yg_json_token *t, yg_str *ret_status);
// ISO 8601, milliseconds or seconds since 1970 as number or digits. False: not a time.
bool yg_log_time(const struct yg_json_token *t, int64_t *ret_ns);
// Decimal or hex, number or text. False: not an id, or zero.
bool yg_log_trace_id(yg_str text, yg_id128 *ret_id);
bool yg_log_span_id(yg_str text, uint64_t *ret_id);
// "… dd.trace_id=123 dd.span_id=4 …" inside a line of text.
bool yg_log_ids_in_text(yg_str message, yg_id128 *ret_trace, uint64_t *ret_span);

#endif
