// SPDX-License-Identifier: Apache-2.0
// Kinds of monitors that this version keeps but does not evaluate: their queries are looked over,
// so that obvious mistakes are refused and what clients manage stays manageable.
#include "monitor/monitor_internal.h"

#define COMPOSITE_IDS_MAX 10
#define COMPOSITE_DEPTH_MAX 32

struct composite {
    yg_str text;
    size_t pos;
    uint32_t ids;
    uint32_t depth;
};

static char peek(struct composite *c) {
    while (c->pos < c->text.len && c->text.ptr[c->pos] == ' ')
        c->pos++;
    return c->pos < c->text.len ? c->text.ptr[c->pos] : 0;
}

static bool composite_or(struct composite *c);

static bool composite_not(struct composite *c) {
    while (peek(c) == '!')
        c->pos++;
    if (peek(c) == '(') {
        c->pos++;
        if (++c->depth > COMPOSITE_DEPTH_MAX || !composite_or(c) || peek(c) != ')')
            return false;
        c->depth--;
        c->pos++;
        return true;
    }
    size_t start = c->pos;
    while (c->pos < c->text.len && c->text.ptr[c->pos] >= '0' && c->text.ptr[c->pos] <= '9')
        c->pos++;
    return c->pos > start && ++c->ids <= COMPOSITE_IDS_MAX;
}

static bool joined(struct composite *c, const char *op, bool (*part)(struct composite *)) {
    if (!part(c))
        return false;
    while (peek(c) == op[0]) {
        if (c->pos + 1 >= c->text.len || c->text.ptr[c->pos + 1] != op[1])
            return false;
        c->pos += 2;
        if (!part(c))
            return false;
    }
    return true;
}

static bool composite_and(struct composite *c) {
    return joined(c, "&&", composite_not);
}
static bool composite_or(struct composite *c) {
    return joined(c, "||", composite_and);
}

static bool composite_check(yg_str query) {
    struct composite c = {.text = query};
    return composite_or(&c) && peek(&c) == 0;
}

static bool check_query(yg_str query) { // "name"[.over(…)][.by(…)].last(n)…
    return query.len > 2 && query.ptr[0] == '"' && yg_str_find_char(query, '"', 1) != SIZE_MAX &&
           yg_str_find(query, YG_STR(".last("), 0) != SIZE_MAX;
}

static bool slo_query(yg_str query) {
    return (yg_str_starts(query, YG_STR("error_budget(")) ||
            yg_str_starts(query, YG_STR("burn_rate("))) &&
           yg_str_find(query, YG_STR(").over("), 0) != SIZE_MAX &&
           yg_str_find_char(query, '>', 0) != SIZE_MAX;
}

yg_rc yg_stored_monitor_check(yg_str type, yg_str query, struct yg_monitor_def *def,
                              struct yg_err *err) {
    bool good = query.len > 0;
    def->kind = YG_MONITOR_STORED;
    if (yg_str_eq_c(type, "composite")) {
        good = composite_check(query);
        def->why_not = "composite monitors are not evaluated by this version";
    } else if (yg_str_eq_c(type, "service check")) {
        good = check_query(query);
        def->multi = yg_str_find(query, YG_STR(".by("), 0) != SIZE_MAX;
        def->why_not = "service checks are not evaluated by this version";
    } else if (yg_str_eq_c(type, "slo alert")) {
        good = slo_query(query);
        def->why_not = "SLO alerts are not evaluated by this version";
    } else if (yg_str_eq_c(type, "process alert")) {
        good = yg_str_starts(query, YG_STR("processes("));
        def->why_not = "process alerts are not evaluated by this version";
    } else {
        def->why_not = "monitors of this type are not evaluated by this version";
    }
    return good ? YG_OK : yg_fail(err, YG_EINPUT, "%s", YG_TEXT_BAD_QUERY);
}
