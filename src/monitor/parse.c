// SPDX-License-Identifier: Apache-2.0
// From a stored record to a definition that can be evaluated; the checks of create and validate.
#include "monitor/monitor_internal.h"

#include <ctype.h>

#define VARIABLES_MAX 20

enum family { FAMILY_METRIC, FAMILY_EVENT, FAMILY_STORED };

// Types that clients may send. Source: DataDog/datadog-api-client-go
// .generator/schemas/v1/openapi.yaml (MonitorType)
static const struct {
    const char *type;
    enum family family;
} types[] = {
    {"metric alert", FAMILY_METRIC},
    {"query alert", FAMILY_METRIC},
    {"log alert", FAMILY_EVENT},
    {"trace-analytics alert", FAMILY_EVENT},
    {"event-v2 alert", FAMILY_EVENT},
    {"event alert", FAMILY_EVENT},
    {"rum alert", FAMILY_EVENT},
    {"audit alert", FAMILY_EVENT},
    {"ci-pipelines alert", FAMILY_EVENT},
    {"ci-tests alert", FAMILY_EVENT},
    {"error-tracking alert", FAMILY_EVENT},
    {"database-monitoring alert", FAMILY_EVENT},
    {"network-performance alert", FAMILY_EVENT},
    {"network-path alert", FAMILY_EVENT},
    {"llm-observability alert", FAMILY_EVENT},
    {"cost alert", FAMILY_EVENT},
    {"data-quality alert", FAMILY_EVENT},
    {"data-jobs alert", FAMILY_EVENT},
    {"composite", FAMILY_STORED},
    {"service check", FAMILY_STORED},
    {"process alert", FAMILY_STORED},
    {"slo alert", FAMILY_STORED},
    {"synthetics alert", FAMILY_STORED},
};

static bool family_of(yg_str type, enum family *ret_family) {
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (yg_str_eq_c(type, types[i].type)) {
            *ret_family = types[i].family;
            return true;
        }
    }
    return false;
}

// ---------------------------------------------------------------- event monitors

// Every name of the formula that is no function must be a variable's.
static bool formula_names_known(yg_str formula, const struct yg_json_node *variables) {
    for (size_t i = 0; i < formula.len;) {
        if (!isalpha((unsigned char)formula.ptr[i]) && formula.ptr[i] != '_') {
            i++;
            continue;
        }
        size_t start = i;
        while (i < formula.len && (isalnum((unsigned char)formula.ptr[i]) || formula.ptr[i] == '_'))
            i++;
        yg_str name = yg_str_sub(formula, start, i - start);
        bool quoted =
            start > 0 && (formula.ptr[start - 1] == '\'' || formula.ptr[start - 1] == '"');
        bool number = start > 0 && isdigit((unsigned char)formula.ptr[start - 1]); // 1e5
        bool called = i < formula.len && formula.ptr[i] == '(';
        bool known = quoted || number || called;
        for (const struct yg_json_node *v = variables ? variables->child : NULL; v; v = v->next)
            known |= yg_str_eq(yg_json_str_or(yg_json_get(v, "name"), (yg_str){"", 0}), name);
        if (!known)
            return false;
    }
    return true;
}

static yg_rc variable_parse(const struct yg_json_node *node, struct yg_arena *arena,
                            struct yg_monitor_def *def, struct yg_err *err) {
    struct yg_event_series_spec *spec = NULL;
    const struct yg_json_node *by = yg_json_get(node, "group_by");
    if (yg_json_is(by, YG_JSON_ARRAY_BEGIN) && yg_json_is(by->child, YG_JSON_OBJECT_BEGIN))
        def->multi = true; // a list of bare names (data quality) groups, but is no multi alert
    yg_rc rc = yg_event_series_parse(node, arena, &spec, err);
    if (rc == YG_ENOTFOUND || rc == YG_EINPUT) { // of a source that is not kept: not ours to judge
        def->kind = YG_MONITOR_STORED;
        def->why_not = "a variable of the formula is of a source that this version does not keep";
        return YG_OK;
    }
    YG_TRY(rc);
    def->variables[def->variable_count++] = spec;
    if (def->key_count == 0 && spec->group_count > 0) {
        def->keys = spec->group_names;
        def->key_count = spec->group_count;
    }
    return YG_OK;
}

static yg_rc formula_parse(const struct yg_monitor_record *rec, struct yg_arena *arena,
                           struct yg_monitor_def *def, struct yg_err *err) {
    struct yg_json_node *options;
    YG_TRY(yg_json_parse(rec->options_json.len ? rec->options_json : YG_STR("{}"), arena, &options,
                         err));
    const struct yg_json_node *list = yg_json_get(options, "variables");
    def->kind = YG_MONITOR_FORMULA;
    def->formula = def->event->search;
    def->variables = YG_NEW_N(arena, struct yg_event_series_spec *, VARIABLES_MAX);
    if (!def->variables)
        return yg_fail(err, YG_ENOMEM, "formula of a monitor: no memory");
    if (list && (list->kind != YG_JSON_ARRAY_BEGIN || list->count > VARIABLES_MAX))
        return yg_fail(err, YG_EINPUT, "The value provided for parameter 'variables' is invalid");
    if (!list || !formula_names_known(def->formula, list))
        return yg_fail(err, YG_EINPUT, "%s: the formula names a query that 'variables' lacks",
                       YG_TEXT_BAD_QUERY);
    for (const struct yg_json_node *v = list->child; v; v = v->next)
        YG_TRY(variable_parse(v, arena, def, err));
    if (def->event->call_count > 0 && def->kind == YG_MONITOR_FORMULA) {
        def->kind = YG_MONITOR_STORED;
        def->why_not = "the query uses a function that this version does not evaluate";
    }
    return YG_OK;
}

static yg_rc event_parse(const struct yg_monitor_record *rec, struct yg_arena *arena,
                         struct yg_monitor_def *def, struct yg_err *err) {
    YG_TRY(yg_event_monitor_parse(rec->query, arena, &def->event, err));
    const struct yg_event_monitor *e = def->event;
    def->kind = YG_MONITOR_EVENT;
    def->op = e->op;
    def->number = e->threshold;
    def->window_ns = e->window_ns;
    def->keys = e->by;
    def->key_count = e->by_count;
    def->multi = e->by_count > 0;
    def->counts = yg_str_eq_c(e->method, "count") || yg_str_eq_c(e->method, "cardinality");
    if (e->is_formula)
        return formula_parse(rec, arena, def, err);
    if (!e->has_track || e->call_count > 0) {
        def->kind = YG_MONITOR_STORED;
        def->why_not = e->has_track
                           ? "the query uses a function that this version does not evaluate"
                           : "this version does not keep the source of this query";
        return YG_OK;
    }
    return yg_scope_of_filter(e->filter, arena, def, err);
}

// ---------------------------------------------------------------- entry

yg_rc yg_monitor_parse(const struct yg_monitor_record *rec, struct yg_arena *arena,
                       struct yg_monitor_def **ret_def, struct yg_err *err) {
    enum family family;
    struct yg_monitor_def *def = YG_NEW(arena, struct yg_monitor_def);
    if (!def)
        return yg_fail(err, YG_ENOMEM, "monitor: no memory");
    if (!family_of(rec->type, &family))
        return yg_fail(err, YG_EINPUT, "The value provided for parameter 'type' is invalid");
    yg_rc rc = YG_OK;
    switch (family) {
    case FAMILY_METRIC:
        rc = yg_metric_monitor_parse(yg_str_trim(rec->query), arena, def, err);
        break;
    case FAMILY_EVENT:
        rc = event_parse(rec, arena, def, err);
        break;
    case FAMILY_STORED:
        rc = yg_stored_monitor_check(rec->type, yg_str_trim(rec->query), def, err);
        break;
    }
    YG_TRY(rc);
    YG_TRY(yg_monitor_options_parse(rec, arena, def, err));
    *ret_def = def;
    return YG_OK;
}

// ---------------------------------------------------------------- words

yg_str yg_monitor_window_words(const struct yg_monitor_def *def, struct yg_arena *arena) {
    int64_t s = def->window_ns / YG_NS_PER_S;
    if (def->cumulative)
        return def->cumulative == 'h'   ? YG_STR("current 1h")
               : def->cumulative == 'd' ? YG_STR("current 1d")
                                        : YG_STR("current 1mo");
    if (s % 604800 == 0 && s)
        return yg_arena_printf(arena, "last %lldw", (long long)(s / 604800));
    if (s % 86400 == 0 && s)
        return yg_arena_printf(arena, "last %lldd", (long long)(s / 86400));
    if (s % 3600 == 0 && s)
        return yg_arena_printf(arena, "last %lldh", (long long)(s / 3600));
    return yg_arena_printf(arena, "last %lldm", (long long)(s / 60));
}

yg_str yg_monitor_aggr_words(const struct yg_monitor_def *def) {
    bool above = def->op == YG_CMP_GT || def->op == YG_CMP_GE;
    if (def->kind != YG_MONITOR_METRIC)
        return (yg_str){"", 0};
    if (def->agg == YG_WINDOW_AVG)
        return YG_STR("on average");
    if (def->agg == YG_WINDOW_SUM)
        return YG_STR("in total");
    if ((def->agg == YG_WINDOW_MAX) == above)
        return YG_STR("at least once");
    return YG_STR("at all times");
}

// "**system.net.bytes_rcvd** over **host:host0** was **> 100.0** on average during the **last
// 1h**." Source: DataDog/datadogpy tests/integration (test_monitor_crud)
yg_str yg_monitor_default_name(const struct yg_monitor_def *def, struct yg_arena *arena) {
    char number[48];
    bool whole = def->number >= -1e15 && def->number <= 1e15 &&
                 !(def->number < (double)(int64_t)def->number) &&
                 !(def->number > (double)(int64_t)def->number);
    snprintf(number, sizeof(number), whole ? "%.1f" : "%.12g", def->number);
    if (def->kind != YG_MONITOR_METRIC)
        return YG_STR("Monitor without a name");
    size_t open = yg_str_find_char(def->expr, '{', 0);
    size_t close = open == SIZE_MAX ? SIZE_MAX : yg_str_find_char(def->expr, '}', open);
    yg_str metric = yg_first_metric(def->expr);
    yg_str scope =
        close == SIZE_MAX ? YG_STR("*") : yg_str_sub(def->expr, open + 1, close - open - 1);
    yg_str words = yg_monitor_window_words(def, arena);
    yg_str aggr = yg_monitor_aggr_words(def);
    return yg_arena_printf(arena, "**%.*s** over **%.*s** was **%s %s** %.*s during the **%.*s**.",
                           YG_STR_FMT(metric), YG_STR_FMT(scope), yg_compare_text(def->op), number,
                           YG_STR_FMT(aggr), YG_STR_FMT(words));
}
