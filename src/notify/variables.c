// SPDX-License-Identifier: Apache-2.0
// Values of a message's variables: {{value}}, {{service.name}}, {{last_triggered_at}} …
// Source: DataDog/documentation content/en/monitors/notify/variables.md
#include "notify/notify_internal.h"

#include <math.h>

size_t yg_number_text(double v, char out[YG_NUMBER_TEXT_BYTES]) {
    if (fabs(v) >= 0.001 && fabs(v) < 1e15) {
        double rounded = round(v * 1000) / 1000;
        return yg_threshold_text(rounded, out);
    }
    if (!(v < 0) && !(v > 0))
        return yg_threshold_text(0, out);
    return (size_t)snprintf(out, YG_NUMBER_TEXT_BYTES, "%.3g", v);
}

size_t yg_threshold_text(double v, char out[YG_NUMBER_TEXT_BYTES]) {
    int len = 0;
    if (v >= -1e15 && v <= 1e15 && !(v < floor(v)) && !(v > floor(v)))
        return (size_t)snprintf(out, YG_NUMBER_TEXT_BYTES, "%.1f", v);
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        len = snprintf(out, YG_NUMBER_TEXT_BYTES, "%.*g", digits, v);
        if (yg_str_to_f64(yg_str_n(out, (size_t)len), &back) && !(back < v) && !(back > v))
            break;
    }
    return (size_t)len;
}

static yg_str number(double v, bool has, struct yg_arena *arena, bool exact) {
    char text[YG_NUMBER_TEXT_BYTES];
    if (!has)
        return (yg_str){"", 0};
    size_t len = exact ? yg_threshold_text(v, text) : yg_number_text(v, text);
    return yg_arena_str(arena, yg_str_n(text, len));
}

static yg_str time_text(int64_t ns, struct yg_arena *arena) {
    char text[YG_TIME_TEXT_BYTES];
    if (ns == 0)
        return (yg_str){"", 0};
    yg_time_format_iso(ns, text); // "2021-05-31T14:43:27.000Z"
    return yg_arena_printf(arena, "%.10s %.8s UTC", text, text + 11);
}

static yg_str epoch_ms(int64_t ns, struct yg_arena *arena) {
    if (ns == 0)
        return (yg_str){"", 0};
    return yg_arena_printf(arena, "%lld", (long long)(ns / YG_NS_PER_MS));
}

// Values of one tag key, in lexical order, joined by commas. The group's own tags win over the
// scope's.
static yg_str tag_values(const struct yg_tag *tags, uint32_t count, yg_str key,
                         struct yg_arena *arena) {
    yg_str joined = {"", 0};
    yg_str last = {"", 0};
    for (bool first = true;; first = false) {
        const struct yg_tag *next = NULL;
        for (uint32_t i = 0; i < count; i++) {
            bool later = first || yg_str_cmp(tags[i].value, last) > 0;
            if (yg_str_eq(tags[i].key, key) && later &&
                (!next || yg_str_cmp(tags[i].value, next->value) < 0))
                next = &tags[i];
        }
        if (!next)
            return joined;
        last = next->value;
        joined = first ? last
                       : yg_arena_printf(arena, "%.*s,%.*s", YG_STR_FMT(joined), YG_STR_FMT(last));
        if (!joined.ptr)
            return (yg_str){"", 0};
    }
}

static yg_str group_value(const struct yg_notice *n, yg_str key, struct yg_arena *arena) {
    yg_str value = tag_values(n->group_tags, n->group_tag_count, key, arena);
    if (value.len == 0)
        value = tag_values(n->scope_tags, n->scope_tag_count, key, arena);
    return value;
}

// "[dot.key].name" and "dot.key.name" → "dot.key"; false when the name does not end so.
static bool tag_key(yg_str name, yg_str *ret_key) {
    if (!yg_str_ends(name, YG_STR(".name")))
        return false;
    yg_str key = yg_str_sub(name, 0, name.len - 5);
    if (key.len >= 2 && key.ptr[0] == '[' && key.ptr[key.len - 1] == ']')
        key = yg_str_sub(key, 1, key.len - 2);
    *ret_key = key;
    return true;
}

static yg_str duration_s(const struct yg_notice *n, struct yg_arena *arena) {
    if (n->first_triggered_ns == 0)
        return (yg_str){"", 0};
    return yg_arena_printf(arena, "%lld",
                           (long long)((n->at_ns - n->first_triggered_ns) / YG_NS_PER_S));
}

// {{log.attributes.k}}, {{span.tags.[dot.key]}}: from the sample, whatever the event is called.
static bool sample_value(const struct yg_notice *n, yg_str name, struct yg_arena *arena,
                         yg_str *ret_value) {
    static const char *const roots[] = {"log.", "span.", "event.", "rum."};
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        yg_str root = yg_str_c(roots[i]);
        if (!yg_str_starts(name, root))
            continue;
        yg_str path = yg_str_sub(name, root.len, name.len);
        size_t open = yg_str_find_char(path, '[', 0);
        if (open != SIZE_MAX && path.ptr[path.len - 1] == ']')
            path = yg_arena_printf(arena, "%.*s%.*s", (int)open, path.ptr,
                                   YG_STR_FMT(yg_str_sub(path, open + 1, path.len - open - 2)));
        *ret_value = tag_values(n->sample, n->sample_count, path, arena);
        return true;
    }
    return false;
}

static yg_str lookup(const struct yg_notice *n, yg_str name, struct yg_arena *arena) {
    if (yg_str_eq_c(name, "value"))
        return number(n->value, n->has_value, arena, false);
    if (yg_str_eq_c(name, "threshold"))
        return number(n->critical, n->has_critical, arena, true);
    if (yg_str_eq_c(name, "warn_threshold"))
        return number(n->warning, n->has_warning, arena, true);
    if (yg_str_eq_c(name, "alert_recovery_threshold"))
        return number(n->critical_recovery, n->has_critical_recovery, arena, true);
    if (yg_str_eq_c(name, "warn_recovery_threshold"))
        return number(n->warning_recovery, n->has_warning_recovery, arena, true);
    if (yg_str_eq_c(name, "comparator"))
        return yg_str_c(n->comparator);
    if (yg_str_eq_c(name, "first_triggered_at"))
        return time_text(n->first_triggered_ns, arena);
    if (yg_str_eq_c(name, "first_triggered_at_epoch"))
        return epoch_ms(n->first_triggered_ns, arena);
    if (yg_str_eq_c(name, "last_triggered_at"))
        return time_text(n->last_triggered_ns, arena);
    if (yg_str_eq_c(name, "last_triggered_at_epoch"))
        return epoch_ms(n->last_triggered_ns, arena);
    if (yg_str_eq_c(name, "triggered_duration_sec"))
        return duration_s(n, arena);
    if (yg_str_eq_c(name, "priority") && n->priority)
        return yg_arena_printf(arena, "P%lld", (long long)n->priority);
    yg_str key, sampled;
    if (sample_value(n, name, arena, &sampled))
        return sampled;
    if (tag_key(name, &key))
        return group_value(n, key, arena);
    return (yg_str){"", 0};
}

yg_str yg_notice_variable(const struct yg_notice *n, yg_str name, struct yg_arena *arena) {
    yg_str value = lookup(n, yg_str_trim(name), arena);
    return value.ptr ? value : (yg_str){"", 0};
}
