// SPDX-License-Identifier: Apache-2.0
// Metric monitors: aggr(window):expr op number, also with change() and pct_change().
//
// anomalies(), outliers() and forecast() are looked over and kept, not evaluated by this version.
// Source: DataDog/terraform-provider-datadog datadog/tests/cassettes (TestAccDatadogMonitor_*)
#include "monitor/monitor_internal.h"

static yg_rc fail_query(struct yg_err *err) {
    return yg_fail(err, YG_EINPUT, "%s", YG_TEXT_BAD_QUERY);
}

// "5m", "1h", "1d", "1w", "1mo" with a number ≥ 1; ns.
static bool span_parse(yg_str s, int64_t *ret_ns) {
    static const struct {
        const char *unit;
        int64_t ns, most;
    } units[] = {{"mo", 30 * YG_DAY_NS, 1},
                 {"m", YG_MIN_NS, 10080},
                 {"h", YG_HOUR_NS, 168},
                 {"d", YG_DAY_NS, 31},
                 {"w", 7 * YG_DAY_NS, 4}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        int64_t n;
        if (!yg_str_ends(s, yg_str_c(units[i].unit)))
            continue;
        if (!yg_str_to_i64(yg_str_sub(s, 0, s.len - strlen(units[i].unit)), &n) || n < 1 ||
            n > units[i].most)
            return false;
        *ret_ns = n * units[i].ns;
        return true;
    }
    return false;
}

static bool window_parse(yg_str s, struct yg_monitor_def *def) {
    s = yg_str_trim(s);
    if (yg_str_starts(s, YG_STR("last_")) || yg_str_starts(s, YG_STR("next_")))
        return span_parse(yg_str_sub(s, 5, s.len), &def->window_ns);
    if (yg_str_eq_c(s, "current_1h"))
        def->cumulative = 'h';
    else if (yg_str_eq_c(s, "current_1d"))
        def->cumulative = 'd';
    else if (yg_str_eq_c(s, "current_1mo"))
        def->cumulative = 'm';
    return def->cumulative != 0;
}

// "5m_ago", "last_5m".
static bool shift_parse(yg_str s, int64_t *ret_ns) {
    s = yg_str_trim(s);
    if (yg_str_starts(s, YG_STR("last_")))
        return span_parse(yg_str_sub(s, 5, s.len), ret_ns);
    return yg_str_ends(s, YG_STR("_ago")) && span_parse(yg_str_sub(s, 0, s.len - 4), ret_ns);
}

static bool agg_parse(yg_str s, enum yg_window_agg *ret_agg) {
    static const struct {
        const char *name;
        enum yg_window_agg agg;
    } names[] = {{"avg", YG_WINDOW_AVG},
                 {"sum", YG_WINDOW_SUM},
                 {"min", YG_WINDOW_MIN},
                 {"max", YG_WINDOW_MAX}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (yg_str_eq_c(yg_str_trim(s), names[i].name)) {
            *ret_agg = names[i].agg;
            return true;
        }
    }
    return false;
}

// Takes "op number" off the end of *text. The number may be negative.
static bool comparison_take(yg_str *text, struct yg_monitor_def *def) {
    static const struct {
        const char *text;
        enum yg_compare op;
    } ops[] = {{">=", YG_CMP_GE}, {"<=", YG_CMP_LE}, {"==", YG_CMP_EQ},
               {"!=", YG_CMP_NE}, {">", YG_CMP_GT},  {"<", YG_CMP_LT}};
    yg_str s = yg_str_trim(*text);
    size_t at = s.len;
    while (at > 0 && strchr("0123456789.eE+-", s.ptr[at - 1]))
        at--;
    if (!yg_str_to_f64(yg_str_sub(s, at, s.len), &def->number))
        return false;
    yg_str left = yg_str_trim(yg_str_sub(s, 0, at));
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (yg_str_ends(left, yg_str_c(ops[i].text))) {
            def->op = ops[i].op;
            *text = yg_str_trim(yg_str_sub(left, 0, left.len - strlen(ops[i].text)));
            return true;
        }
    }
    return false;
}

// "aggr(window)" or "change(aggr(window),shift)": what stands before the colon.
static bool head_parse(yg_str head, struct yg_monitor_def *def) {
    head = yg_str_trim(head);
    bool change = yg_str_starts(head, YG_STR("change("));
    def->pct_change = yg_str_starts(head, YG_STR("pct_change("));
    if (change || def->pct_change) {
        size_t open = yg_str_find_char(head, '(', 0);
        size_t comma = yg_str_rfind_char(head, ',');
        if (comma == SIZE_MAX || comma < open || head.ptr[head.len - 1] != ')' ||
            !shift_parse(yg_str_sub(head, comma + 1, head.len - comma - 2), &def->shift_ns))
            return false;
        head = yg_str_trim(yg_str_sub(head, open + 1, comma - open - 1));
    }
    size_t open = yg_str_find_char(head, '(', 0);
    if (open == SIZE_MAX || head.ptr[head.len - 1] != ')')
        return false;
    return agg_parse(yg_str_sub(head, 0, open), &def->agg) &&
           window_parse(yg_str_sub(head, open + 1, head.len - open - 2), def);
}

// The colon after the head: the first one outside parentheses.
static size_t head_end(yg_str s) {
    int depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        depth += s.ptr[i] == '(' ? 1 : s.ptr[i] == ')' ? -1 : 0;
        if (s.ptr[i] == ':' && depth == 0)
            return i;
    }
    return SIZE_MAX;
}

static const char *learned_function(yg_str expr) {
    static const char *const names[] = {"anomalies(", "outliers(", "forecast("};
    for (size_t i = 0; i < 3; i++)
        if (yg_str_starts(expr, yg_str_c(names[i])))
            return i == 0   ? "anomaly detection is not part of this version"
                   : i == 1 ? "outlier detection is not part of this version"
                            : "forecasts are not part of this version";
    return NULL;
}

static bool has_by(yg_str expr) {
    return yg_str_find(expr, YG_STR("} by {"), 0) != SIZE_MAX ||
           yg_str_find(expr, YG_STR("}by{"), 0) != SIZE_MAX;
}

yg_rc yg_metric_monitor_parse(yg_str query, struct yg_arena *arena, struct yg_monitor_def *def,
                              struct yg_err *err) {
    yg_str text = query;
    if (!comparison_take(&text, def))
        return fail_query(err);
    size_t colon = head_end(text);
    if (colon == SIZE_MAX || !head_parse(yg_str_sub(text, 0, colon), def))
        return fail_query(err);
    def->kind = YG_MONITOR_METRIC;
    def->expr = yg_str_trim(yg_str_sub(text, colon + 1, text.len));
    def->why_not = learned_function(def->expr);
    if (def->why_not) {
        def->kind = YG_MONITOR_STORED;
        def->multi = has_by(def->expr);
        return def->expr.ptr[def->expr.len - 1] == ')' ? YG_OK : fail_query(err);
    }
    yg_rc rc = yg_metric_parse(def->expr, arena, &def->metric, err);
    if (rc == YG_ENOMEM)
        return rc;
    if (rc != YG_OK || yg_metric_query_count(def->metric) != 1)
        return fail_query(err);
    def->key_count = yg_metric_query_keys(def->metric, 0, &def->keys);
    def->multi = def->key_count > 0;
    return yg_scope_of_metric(def->expr, arena, def, err);
}
