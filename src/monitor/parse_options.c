// SPDX-License-Identifier: Apache-2.0
// Options of a monitor: thresholds against the query, No Data, repeats, delays, alert granularity.
// Source: DataDog/datadog-api-client-go .generator/schemas/v1/openapi.yaml (MonitorOptions)
#include "monitor/monitor_internal.h"

#define DELAY_MAX_S 86400
#define NEW_GROUP_MAX_S 86400
#define NO_DATA_MAX_MIN (14 * 24 * 60)
#define RENOTIFY_MAX_MIN (30 * 24 * 60)
#define LIST_MAX 100

// ---------------------------------------------------------------- thresholds

static yg_rc threshold(const struct yg_json_node *thresholds, const char *name,
                       struct yg_threshold *ret, struct yg_err *err) {
    const struct yg_json_node *node = yg_json_get(thresholds, name);
    if (!node || node->kind == YG_JSON_NULL)
        return YG_OK;
    ret->set = node->kind == YG_JSON_INT || node->kind == YG_JSON_DOUBLE ||
               (node->kind == YG_JSON_STRING && yg_str_to_f64(node->str, &ret->value));
    if (!ret->set)
        return yg_fail(err, YG_EINPUT, "Non-numeric threshold value.");
    if (node->kind != YG_JSON_STRING)
        ret->value = node->f64;
    return YG_OK;
}

static bool differs(double a, double b) {
    return a < b || a > b;
}

// The service prints thresholds as Python does: 90 is 90.0.
static yg_rc check_critical(const struct yg_monitor_def *def, struct yg_err *err) {
    char mine[48], theirs[48];
    if (!differs(def->critical.value, def->number))
        return YG_OK;
    const double values[2] = {def->critical.value, def->number};
    char *const texts[2] = {mine, theirs};
    for (int i = 0; i < 2; i++) {
        bool whole = !differs(values[i], (double)(int64_t)values[i]);
        snprintf(texts[i], 48, whole ? "%.1f" : "%.12g", values[i]);
    }
    return yg_fail(err, YG_EINPUT,
                   "Alert threshold (%s) does not match that used in the query (%s).", mine,
                   theirs);
}

// `milder` must lie on the OK side of `harder` for the comparison.
static bool is_milder(enum yg_compare op, double milder, double harder) {
    switch (op) {
    case YG_CMP_GT:
    case YG_CMP_GE:
        return milder < harder;
    case YG_CMP_LT:
    case YG_CMP_LE:
        return milder > harder;
    case YG_CMP_EQ:
    case YG_CMP_NE:
        return true;
    }
    return true;
}

static yg_rc check_milder(const struct yg_monitor_def *def, const struct yg_threshold *milder,
                          const struct yg_threshold *harder, const char *what, const char *than,
                          struct yg_err *err) {
    if (!milder->set || !harder->set || is_milder(def->op, milder->value, harder->value))
        return YG_OK;
    return yg_fail(err, YG_EINPUT, "%s (%g) must be on the OK side of %s (%g).", what,
                   milder->value, than, harder->value);
}

static yg_rc thresholds(const struct yg_json_node *options, struct yg_monitor_def *def,
                        bool compares, struct yg_err *err) {
    const struct yg_json_node *t = yg_json_get(options, "thresholds");
    if (t && t->kind != YG_JSON_NULL && t->kind != YG_JSON_OBJECT_BEGIN)
        return yg_fail(err, YG_EINPUT, "The value provided for parameter 'thresholds' is invalid");
    struct yg_threshold ok = {0};
    YG_TRY(threshold(t, "critical", &def->critical, err));
    YG_TRY(threshold(t, "warning", &def->warning, err));
    YG_TRY(threshold(t, "critical_recovery", &def->critical_recovery, err));
    YG_TRY(threshold(t, "warning_recovery", &def->warning_recovery, err));
    YG_TRY(threshold(t, "ok", &ok, err));
    if (!compares)
        return YG_OK;
    if (ok.set)
        return yg_fail(err, YG_EINPUT, "Non-numeric threshold value.");
    if (t && t->count > 0 && !def->critical.set)
        return yg_fail(err, YG_EINPUT, "Alert status is required.");
    if (!def->critical.set)
        def->critical = (struct yg_threshold){true, def->number};
    YG_TRY(check_critical(def, err));
    YG_TRY(check_milder(def, &def->warning, &def->critical, "Warning threshold", "alert threshold",
                        err));
    YG_TRY(check_milder(def, &def->critical_recovery, &def->critical, "Alert recovery threshold",
                        "alert threshold", err));
    return check_milder(def, &def->warning_recovery, &def->warning, "Warning recovery threshold",
                        "warning threshold", err);
}

// ---------------------------------------------------------------- numbers and lists

// A whole number in [0, most] or null; absent and null leave *ret as it is.
static yg_rc whole(const struct yg_json_node *options, const char *name, int64_t most, int64_t *ret,
                   struct yg_err *err) {
    const struct yg_json_node *node = yg_json_get(options, name);
    if (!node || node->kind == YG_JSON_NULL)
        return YG_OK;
    int64_t v = yg_json_i64_or(node, -1);
    if (v < 0 || v > most)
        return yg_fail(err, YG_EINPUT,
                       "The value provided for parameter '%s' is invalid: it must be a whole"
                       " number from 0 to %lld",
                       name, (long long)most);
    *ret = v;
    return YG_OK;
}

static yg_rc flag(const struct yg_json_node *options, const char *name, bool *ret,
                  struct yg_err *err) {
    const struct yg_json_node *node = yg_json_get(options, name);
    if (!node || node->kind == YG_JSON_NULL)
        return YG_OK;
    if (node->kind != YG_JSON_BOOL)
        return yg_fail(err, YG_EINPUT,
                       "The value provided for parameter '%s' is invalid: it must be true or false",
                       name);
    *ret = node->boolean;
    return YG_OK;
}

static yg_rc strings(const struct yg_json_node *list, const char *name, struct yg_arena *arena,
                     const yg_str **ret, uint32_t *ret_count, struct yg_err *err) {
    if (!list || list->kind == YG_JSON_NULL)
        return YG_OK;
    if (list->kind != YG_JSON_ARRAY_BEGIN || list->count > LIST_MAX)
        return yg_fail(err, YG_EINPUT,
                       "The value provided for parameter '%s' is invalid: it must be a list of at"
                       " most %d texts",
                       name, LIST_MAX);
    yg_str *out = YG_NEW_N(arena, yg_str, list->count ? list->count : 1);
    if (!out)
        return yg_fail(err, YG_ENOMEM, "options of a monitor: no memory");
    uint32_t count = 0;
    for (const struct yg_json_node *n = list->child; n; n = n->next) {
        if (n->kind != YG_JSON_STRING)
            return yg_fail(err, YG_EINPUT,
                           "The value provided for parameter '%s' is invalid: item %u is no text",
                           name, count);
        out[count++] = n->str;
    }
    *ret = out;
    *ret_count = count;
    return YG_OK;
}

// ---------------------------------------------------------------- groups of options

static yg_rc missing_options(const struct yg_json_node *options, struct yg_monitor_def *def,
                             struct yg_err *err) {
    static const char *const modes[] = {"default", "show_no_data", "show_and_notify_no_data",
                                        "resolve"};
    int64_t minutes = 0, hours = 0;
    YG_TRY(flag(options, "notify_no_data", &def->notify_no_data, err));
    YG_TRY(whole(options, "no_data_timeframe", NO_DATA_MAX_MIN, &minutes, err));
    YG_TRY(whole(options, "timeout_h", 24, &hours, err));
    def->no_data_ns = minutes > 0          ? minutes * YG_MIN_NS
                      : def->window_ns > 0 ? 2 * def->window_ns
                                           : 10 * YG_MIN_NS;
    def->timeout_ns = hours * YG_HOUR_NS;
    const struct yg_json_node *mode = yg_json_get(options, "on_missing_data");
    if (!mode || mode->kind == YG_JSON_NULL)
        return YG_OK;
    for (int i = 0; i < 4; i++)
        if (yg_str_eq_c(yg_json_str_or(mode, (yg_str){"", 0}), modes[i]))
            def->on_missing = (enum yg_missing_mode)(YG_MISSING_DEFAULT + i);
    if (def->on_missing == YG_MISSING_UNSET)
        return yg_fail(err, YG_EINPUT,
                       "The value provided for parameter 'on_missing_data' is invalid");
    return YG_OK;
}

static yg_rc renotify_statuses(const struct yg_json_node *options, struct yg_arena *arena,
                               struct yg_monitor_def *def, struct yg_err *err) {
    const yg_str *names = NULL;
    uint32_t count = 0;
    YG_TRY(strings(yg_json_get(options, "renotify_statuses"), "renotify_statuses", arena, &names,
                   &count, err));
    def->renotify_states = 1u << YG_STATE_ALERT | 1u << YG_STATE_NO_DATA;
    if (count)
        def->renotify_states = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum yg_monitor_state s;
        if (!yg_state_parse(names[i], &s) ||
            (s != YG_STATE_ALERT && s != YG_STATE_WARN && s != YG_STATE_NO_DATA))
            return yg_fail(err, YG_EINPUT,
                           "The value provided for parameter 'renotify_statuses' is invalid");
        def->renotify_states |= 1u << s;
    }
    if (count && def->renotify_ns == 0)
        return yg_fail(err, YG_EINPUT, "renotify_statuses need a renotify_interval.");
    return YG_OK;
}

static yg_rc renotify_options(const struct yg_json_node *options, struct yg_arena *arena,
                              struct yg_monitor_def *def, struct yg_err *err) {
    int64_t minutes = 0;
    YG_TRY(whole(options, "renotify_interval", RENOTIFY_MAX_MIN, &minutes, err));
    YG_TRY(whole(options, "renotify_occurrences", 1000, &def->renotify_max, err));
    def->renotify_ns = minutes * YG_MIN_NS;
    def->escalation_message =
        yg_json_str_or(yg_json_get(options, "escalation_message"), (yg_str){"", 0});
    if (def->renotify_max && def->renotify_ns == 0)
        return yg_fail(err, YG_EINPUT, "renotify_occurrences need a renotify_interval.");
    return renotify_statuses(options, arena, def, err);
}

static bool groups_by(const struct yg_monitor_def *def, yg_str key) {
    for (uint32_t i = 0; i < def->key_count; i++)
        if (yg_str_eq(def->keys[i], key))
            return true;
    return false;
}

static yg_rc granularity_options(const struct yg_json_node *options, struct yg_arena *arena,
                                 struct yg_monitor_def *def, struct yg_err *err) {
    bool simple = false;
    YG_TRY(flag(options, "groupby_simple_monitor", &simple, err));
    YG_TRY(strings(yg_json_get(options, "notify_by"), "notify_by", arena, &def->notify_by,
                   &def->notify_by_count, err));
    if (def->notify_by_count == 1 && yg_str_eq_c(def->notify_by[0], "*")) {
        simple = true;
        def->notify_by_count = 0;
    }
    for (uint32_t i = 0; i < def->notify_by_count && def->kind != YG_MONITOR_STORED; i++)
        if (!groups_by(def, def->notify_by[i]))
            return yg_fail(err, YG_EINPUT,
                           "The value provided for parameter 'notify_by' is invalid: the query is"
                           " not grouped by %.*s",
                           (int)(def->notify_by[i].len > 64 ? 64 : def->notify_by[i].len),
                           def->notify_by[i].ptr);
    def->simple = simple && def->key_count > 0;
    return YG_OK;
}

static yg_rc delay_options(const struct yg_json_node *options, struct yg_monitor_def *def,
                           struct yg_err *err) {
    int64_t delay_s = 0, group_s = -1, host_s = 0;
    YG_TRY(whole(options, "evaluation_delay", DELAY_MAX_S, &delay_s, err));
    YG_TRY(whole(options, "new_group_delay", NEW_GROUP_MAX_S, &group_s, err));
    YG_TRY(whole(options, "new_host_delay", NEW_GROUP_MAX_S, &host_s, err));
    def->delay_ns = delay_s * YG_NS_PER_S;
    if (group_s >= 0)
        def->new_group_ns = group_s * YG_NS_PER_S;
    else if (groups_by(def, YG_STR("host")))
        def->new_group_ns = host_s * YG_NS_PER_S;
    return YG_OK;
}

// "60m" … "72h", "2d".
static yg_rc retention_option(const struct yg_json_node *options, struct yg_monitor_def *def,
                              struct yg_err *err) {
    const struct yg_json_node *node = yg_json_get(options, "group_retention_duration");
    def->group_retention_ns = YG_DAY_NS;
    if (!node || node->kind == YG_JSON_NULL)
        return YG_OK;
    yg_str s = yg_json_str_or(node, (yg_str){"", 0});
    int64_t n = 0;
    char unit = s.len ? s.ptr[s.len - 1] : 0;
    int64_t unit_ns = unit == 'm' ? YG_MIN_NS : unit == 'h' ? YG_HOUR_NS : YG_DAY_NS;
    bool good = (unit == 'm' || unit == 'h' || unit == 'd') && s.len < 8 &&
                yg_str_to_i64(yg_str_sub(s, 0, s.len - 1), &n) && n > 0 &&
                n * unit_ns >= YG_HOUR_NS && n * unit_ns <= 3 * YG_DAY_NS;
    if (!good)
        return yg_fail(err, YG_EINPUT,
                       "The value provided for parameter 'group_retention_duration' is invalid:"
                       " it must be from 60m to 72h");
    def->group_retention_ns = n * unit_ns;
    return YG_OK;
}

static int minutes_of(yg_str hhmm) {
    int64_t h, m;
    if (hhmm.len != 5 || hhmm.ptr[2] != ':' || !yg_str_to_i64(yg_str_sub(hhmm, 0, 2), &h) ||
        !yg_str_to_i64(yg_str_sub(hhmm, 3, 2), &m) || h < 0 || h > 23 || m < 0 || m > 59)
        return -1;
    return (int)(h * 60 + m);
}

static yg_rc schedule_options(const struct yg_json_node *options, struct yg_monitor_def *def,
                              struct yg_err *err) {
    const struct yg_json_node *w = yg_json_path(options, "scheduling_options.evaluation_window");
    const struct yg_json_node *hour = yg_json_get(w, "hour_starts");
    const struct yg_json_node *day = yg_json_get(w, "day_starts");
    const struct yg_json_node *month = yg_json_get(w, "month_starts");
    def->month_starts = 1;
    if (hour && (day || month))
        return yg_fail(err, YG_EINPUT,
                       "hour_starts excludes day_starts and month_starts in evaluation_window.");
    if (month && !day)
        return yg_fail(err, YG_EINPUT, "month_starts needs day_starts in evaluation_window.");
    if (day && minutes_of(yg_json_str_or(day, (yg_str){"", 0})) < 0)
        return yg_fail(err, YG_EINPUT, "day_starts must be a time as HH:MM.");
    int64_t h = yg_json_i64_or(hour, 0), m = yg_json_i64_or(month, 1);
    if (h < 0 || h > 59 || m != 1)
        return yg_fail(err, YG_EINPUT,
                       "hour_starts must be from 0 to 59 and month_starts 1 in evaluation_window.");
    def->hour_starts = (int)h;
    def->day_starts_min = day ? minutes_of(day->str) : 0;
    return YG_OK;
}

yg_rc yg_monitor_options_parse(const struct yg_monitor_record *rec, struct yg_arena *arena,
                               struct yg_monitor_def *def, struct yg_err *err) {
    struct yg_json_node *options, *tags;
    yg_str text = rec->options_json.len ? rec->options_json : YG_STR("{}");
    YG_TRY(yg_json_parse(text, arena, &options, err));
    if (options->kind != YG_JSON_OBJECT_BEGIN)
        return yg_fail(err, YG_EINPUT, "The value provided for parameter 'options' is invalid");
    def->include_tags = true;
    YG_TRY(thresholds(options, def, def->kind != YG_MONITOR_STORED, err));
    YG_TRY(missing_options(options, def, err));
    YG_TRY(renotify_options(options, arena, def, err));
    YG_TRY(granularity_options(options, arena, def, err));
    YG_TRY(delay_options(options, def, err));
    YG_TRY(retention_option(options, def, err));
    YG_TRY(schedule_options(options, def, err));
    YG_TRY(flag(options, "require_full_window", &def->require_full_window, err));
    YG_TRY(flag(options, "include_tags", &def->include_tags, err));
    YG_TRY(flag(options, "notify_audit", &def->notify_audit, err));
    def->silenced_all = yg_json_path(options, "silenced.*") != NULL;
    text = rec->tags_json.len ? rec->tags_json : YG_STR("[]");
    YG_TRY(yg_json_parse(text, arena, &tags, err));
    return strings(tags, "tags", arena, &def->tags, &def->tag_count, err);
}
