// SPDX-License-Identifier: Apache-2.0
// Reserved paths of logs, status words, times and ids.
// Source: DataDog/documentation content/en/logs/log_configuration/pipelines.md (reserved
// attributes), content/en/logs/log_configuration/processors.md (status and date remapper)
#include "intake/log_fields.h"

#include <math.h>

#include "base/clock.h"

enum yg_log_slot yg_log_slot_of(yg_str path, uint8_t *ret_order) {
    static const struct {
        yg_str path;
        uint8_t slot;
        uint8_t order;
    } reserved[] = {
        {YG_STR_INIT("message"), YG_SLOT_MESSAGE, 0},
        {YG_STR_INIT("msg"), YG_SLOT_MESSAGE, 1},
        {YG_STR_INIT("log"), YG_SLOT_MESSAGE, 2},
        {YG_STR_INIT("status"), YG_SLOT_STATUS, 0},
        {YG_STR_INIT("severity"), YG_SLOT_STATUS, 1},
        {YG_STR_INIT("level"), YG_SLOT_STATUS, 2},
        {YG_STR_INIT("syslog.severity"), YG_SLOT_STATUS, 3},
        {YG_STR_INIT("service"), YG_SLOT_SERVICE, 0},
        {YG_STR_INIT("syslog.appname"), YG_SLOT_SERVICE, 1},
        {YG_STR_INIT("dd.service"), YG_SLOT_SERVICE, 2},
        {YG_STR_INIT("hostname"), YG_SLOT_HOST, 0},
        {YG_STR_INIT("host"), YG_SLOT_HOST, 1},
        {YG_STR_INIT("syslog.hostname"), YG_SLOT_HOST, 2},
        {YG_STR_INIT("ddsource"), YG_SLOT_SOURCE, 0},
        {YG_STR_INIT("source"), YG_SLOT_SOURCE, 1},
        {YG_STR_INIT("timestamp"), YG_SLOT_TIME, 0},
        {YG_STR_INIT("date"), YG_SLOT_TIME, 1},
        {YG_STR_INIT("@timestamp"), YG_SLOT_TIME, 2},
        {YG_STR_INIT("_timestamp"), YG_SLOT_TIME, 3},
        {YG_STR_INIT("Timestamp"), YG_SLOT_TIME, 4},
        {YG_STR_INIT("eventTime"), YG_SLOT_TIME, 5},
        {YG_STR_INIT("published_date"), YG_SLOT_TIME, 6},
        {YG_STR_INIT("dd.trace_id"), YG_SLOT_TRACE_ID, 0},
        {YG_STR_INIT("contextMap.dd.trace_id"), YG_SLOT_TRACE_ID, 1},
        {YG_STR_INIT("named_tags.dd.trace_id"), YG_SLOT_TRACE_ID, 2},
        {YG_STR_INIT("trace_id"), YG_SLOT_TRACE_ID, 3},
        {YG_STR_INIT("dd.span_id"), YG_SLOT_SPAN_ID, 0},
        {YG_STR_INIT("contextMap.dd.span_id"), YG_SLOT_SPAN_ID, 1},
        {YG_STR_INIT("named_tags.dd.span_id"), YG_SLOT_SPAN_ID, 2},
        {YG_STR_INIT("span_id"), YG_SLOT_SPAN_ID, 3},
        {YG_STR_INIT("ddtags"), YG_SLOT_TAGS, 0},
        {YG_STR_INIT("tags"), YG_SLOT_TAGS, 1},
    };
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (yg_str_eq(path, reserved[i].path)) {
            *ret_order = reserved[i].order;
            return (enum yg_log_slot)reserved[i].slot;
        }
    *ret_order = 0;
    return YG_SLOT_COUNT;
}

static bool begins(yg_str s, const char *lower) {
    size_t n = strlen(lower);
    return s.len >= n && yg_str_eq_nocase(yg_str_sub(s, 0, n), yg_str_n(lower, n));
}

static yg_str status_word(yg_str word) {
    static const struct {
        const char *start;
        yg_str status;
    } words[] = {
        {"emerg", YG_STR_INIT("emergency")},
        {"f", YG_STR_INIT("emergency")},
        {"a", YG_STR_INIT("alert")},
        {"c", YG_STR_INIT("critical")},
        {"e", YG_STR_INIT("error")},
        {"w", YG_STR_INIT("warn")},
        {"n", YG_STR_INIT("notice")},
        {"i", YG_STR_INIT("info")},
        {"d", YG_STR_INIT("debug")},
        {"trace", YG_STR_INIT("debug")},
        {"verbose", YG_STR_INIT("debug")},
        {"o", YG_STR_INIT("ok")},
        {"s", YG_STR_INIT("ok")},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (begins(word, words[i].start))
            return words[i].status;
    return YG_STR("info");
}

bool yg_log_status(const struct yg_json_token *t, yg_str *ret_status) {
    static const yg_str severities[] = {
        YG_STR_INIT("emergency"), YG_STR_INIT("alert"), YG_STR_INIT("critical"),
        YG_STR_INIT("error"),     YG_STR_INIT("warn"),  YG_STR_INIT("notice"),
        YG_STR_INIT("info"),      YG_STR_INIT("debug"),
    };
    int64_t severity;
    if (t->kind == YG_JSON_INT)
        severity = t->i64;
    else if (t->kind != YG_JSON_STRING)
        return false;
    else if (!yg_str_to_i64(t->str, &severity)) {
        *ret_status = status_word(yg_str_trim(t->str));
        return true;
    }
    if (severity < 0 || severity > 7)
        return false;
    *ret_status = severities[severity];
    return true;
}

// Seconds up to the year 5138, milliseconds above; micro- and nanoseconds by their size.
static int64_t unit_ns(int64_t v) {
    if (v < INT64_C(100000000000))
        return YG_NS_PER_S;
    if (v < INT64_C(100000000000000))
        return YG_NS_PER_MS;
    return v < INT64_C(100000000000000000) ? 1000 : 1;
}

static bool integer_time(int64_t v, int64_t *ret_ns) {
    return v > 0 && !__builtin_mul_overflow(v, unit_ns(v), ret_ns);
}

// Whole and fraction apart: a double cannot hold today's nanoseconds.
static bool number_time(double v, int64_t *ret_ns) {
    if (!(v >= 1 && v < 9.2e18))
        return false;
    int64_t whole = (int64_t)v;
    double fraction_ns = (v - (double)whole) * (double)unit_ns(whole);
    return integer_time(whole, ret_ns) &&
           !__builtin_add_overflow(*ret_ns, llrint(fraction_ns), ret_ns);
}

bool yg_log_time(const struct yg_json_token *t, int64_t *ret_ns) {
    if (t->kind == YG_JSON_INT)
        return integer_time(t->i64, ret_ns);
    if (t->kind == YG_JSON_DOUBLE)
        return number_time(t->f64, ret_ns);
    if (t->kind != YG_JSON_STRING)
        return false;
    int64_t v;
    yg_str text = yg_str_trim(t->str);
    if (text.len >= 10 && yg_str_to_i64(text, &v))
        return integer_time(v, ret_ns);
    return yg_time_parse_iso(text, ret_ns);
}

bool yg_log_trace_id(yg_str text, yg_id128 *ret_id) {
    yg_id128 id;
    if (!yg_id128_parse(yg_str_trim(text), false, &id) || yg_id128_is_zero(id))
        return false;
    *ret_id = id;
    return true;
}

bool yg_log_span_id(yg_str text, uint64_t *ret_id) {
    uint64_t id;
    text = yg_str_trim(text);
    if (!yg_str_to_u64(text, &id) && (text.len != 16 || !yg_str_hex_to_u64(text, &id)))
        return false;
    if (id == 0)
        return false;
    *ret_id = id;
    return true;
}

// The word after `key` in message, up to a blank, bracket, quote or comma.
static yg_str word_after(yg_str message, yg_str key) {
    size_t at = yg_str_find(message, key, 0);
    if (at == SIZE_MAX)
        return YG_STR("");
    size_t from = at + key.len;
    size_t end = from;
    while (end < message.len && strchr(" \t\r\n]),;\"'}", message.ptr[end]) == NULL)
        end++;
    return yg_str_sub(message, from, end - from);
}

bool yg_log_ids_in_text(yg_str message, yg_id128 *ret_trace, uint64_t *ret_span) {
    if (!yg_log_trace_id(word_after(message, YG_STR("dd.trace_id=")), ret_trace))
        return false;
    *ret_span = 0;
    (void)yg_log_span_id(word_after(message, YG_STR("dd.span_id=")), ret_span);
    return true;
}
