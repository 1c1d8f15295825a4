// SPDX-License-Identifier: Apache-2.0
// One evaluation's window and what it gives for each group.
//
// At time T the window is [T − delay − w, T − delay); a cumulative one begins at its last reset
// (UTC). notify_by makes groups coarser: each keeps the worst value of those it holds.
#include "monitor/monitor_internal.h"

#include <math.h>

// ---------------------------------------------------------------- the window

static int64_t floor_to(int64_t ns, int64_t step_ns) {
    int64_t rest = ns % step_ns;
    return ns - (rest < 0 ? rest + step_ns : rest);
}

// Days since 1970 of the first day of the month that holds this day.
static int64_t month_start_day(int64_t day) {
    struct tm tm;
    time_t t = (time_t)(day * 86400);
    if (!gmtime_r(&t, &tm))
        return day;
    return day - (tm.tm_mday - 1);
}

static int64_t cumulative_start(const struct yg_monitor_def *def, int64_t to_ns) {
    int64_t offset_ns =
        def->cumulative == 'h' ? def->hour_starts * YG_MIN_NS : def->day_starts_min * YG_MIN_NS;
    int64_t shifted = to_ns - offset_ns;
    if (def->cumulative == 'h')
        return floor_to(shifted, YG_HOUR_NS) + offset_ns;
    int64_t day = floor_to(shifted, YG_DAY_NS) / YG_DAY_NS;
    if (def->cumulative == 'm')
        day = month_start_day(day);
    return day * YG_DAY_NS + offset_ns;
}

// ---------------------------------------------------------------- groups

static yg_str join_group(const yg_str *tags, uint32_t count, struct yg_arena *arena) {
    if (count == 0)
        return YG_STR("*");
    yg_str joined = tags[0];
    for (uint32_t i = 1; i < count && joined.ptr; i++)
        joined = yg_arena_printf(arena, "%.*s,%.*s", YG_STR_FMT(joined), YG_STR_FMT(tags[i]));
    return joined;
}

static struct yg_tag tag_of(yg_str text) {
    size_t colon = yg_str_find_char(text, ':', 0);
    if (colon == SIZE_MAX)
        return (struct yg_tag){.key = text, .value = {"", 0}};
    return (struct yg_tag){yg_str_sub(text, 0, colon), yg_str_sub(text, colon + 1, text.len)};
}

static yg_rc fail_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "groups of a monitor: no memory");
}

yg_rc yg_group_tags_parse(yg_str group, struct yg_arena *arena, struct yg_tag **ret_tags,
                          uint32_t *ret_count, struct yg_err *err) {
    struct yg_tag *tags = NULL;
    uint32_t count = 0, cap = 0;
    yg_str rest = group, piece;
    while (!yg_str_eq_c(group, "*") && yg_str_split(&rest, ',', &piece)) {
        if (!YG_ARENA_GROW(arena, tags, count, cap))
            return fail_memory(err);
        tags[count++] = tag_of(piece);
    }
    *ret_tags = tags;
    *ret_count = count;
    return YG_OK;
}

static yg_rc values_take(const struct yg_window_value *in, uint32_t count, struct yg_arena *arena,
                         struct yg_eval_result *r, struct yg_err *err) {
    r->values = YG_NEW_N(arena, struct yg_eval_value, count ? count : 1);
    if (!r->values)
        return fail_memory(err);
    r->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct yg_eval_value *v = &r->values[i];
        struct yg_tag *tags = YG_NEW_N(arena, struct yg_tag, in[i].group_count + 1);
        v->group = join_group(in[i].group_tags, in[i].group_count, arena);
        if (!tags || !v->group.ptr)
            return fail_memory(err);
        for (uint32_t k = 0; k < in[i].group_count; k++)
            tags[k] = tag_of(in[i].group_tags[k]);
        v->tags = tags;
        v->tag_count = in[i].group_count;
        v->has_value = in[i].has_value && isfinite(in[i].value);
        v->value = v->has_value ? in[i].value : 0;
    }
    return YG_OK;
}

static const struct yg_eval_value *find_value(const struct yg_eval_result *r, yg_str group) {
    for (uint32_t i = 0; i < r->count; i++)
        if (yg_str_eq(r->values[i].group, group))
            return &r->values[i];
    return NULL;
}

// ---------------------------------------------------------------- metric

static yg_rc metric_window(struct yg_store *store, const struct yg_monitor_def *def,
                           int64_t from_ns, int64_t to_ns, struct yg_arena *arena,
                           struct yg_eval_result *r, struct yg_err *err) {
    struct yg_window_value *values = NULL;
    uint32_t count = 0;
    YG_TRY(yg_metric_window(store, def->metric, def->agg, 0, from_ns / YG_NS_PER_MS,
                            to_ns / YG_NS_PER_MS, arena, &values, &count, err));
    return values_take(values, count, arena, r, err);
}

// change(): now minus then, or in percent of then. A group without both has no value.
static yg_rc subtract_shifted(struct yg_store *store, const struct yg_monitor_def *def,
                              struct yg_arena *arena, struct yg_eval_result *r,
                              struct yg_err *err) {
    struct yg_eval_result then = {0};
    YG_TRY(metric_window(store, def, r->from_ns - def->shift_ns, r->to_ns - def->shift_ns, arena,
                         &then, err));
    for (uint32_t i = 0; i < r->count; i++) {
        struct yg_eval_value *v = &r->values[i];
        const struct yg_eval_value *old = find_value(&then, v->group);
        v->has_value = v->has_value && old && old->has_value;
        if (!v->has_value)
            continue;
        double diff = v->value - old->value;
        v->value = def->pct_change ? diff / fabs(old->value) * 100 : diff;
        v->has_value = isfinite(v->value);
    }
    return YG_OK;
}

// A group covers the window when its first fifth (at least 20 s) holds data.
static yg_rc mark_not_full(struct yg_store *store, const struct yg_monitor_def *def,
                           struct yg_arena *arena, struct yg_eval_result *r, struct yg_err *err) {
    struct yg_eval_result head = {0};
    int64_t slice_ns = (r->to_ns - r->from_ns) / 5;
    if (slice_ns < 20 * YG_NS_PER_S)
        slice_ns = 20 * YG_NS_PER_S;
    YG_TRY(metric_window(store, def, r->from_ns, r->from_ns + slice_ns, arena, &head, err));
    for (uint32_t i = 0; i < r->count; i++) {
        const struct yg_eval_value *first = find_value(&head, r->values[i].group);
        r->values[i].skip = r->values[i].has_value && !(first && first->has_value);
    }
    return YG_OK;
}

static yg_rc metric_run(struct yg_store *store, const struct yg_monitor_def *def,
                        struct yg_arena *arena, struct yg_eval_result *r, struct yg_err *err) {
    YG_TRY(metric_window(store, def, r->from_ns, r->to_ns, arena, r, err));
    if (def->shift_ns)
        YG_TRY(subtract_shifted(store, def, arena, r, err));
    if (def->require_full_window && !def->cumulative)
        YG_TRY(mark_not_full(store, def, arena, r, err));
    return YG_OK;
}

// ---------------------------------------------------------------- events

static yg_rc event_run(struct yg_store *store, const struct yg_monitor_def *def,
                       int64_t deadline_mono_ns, struct yg_arena *arena, struct yg_eval_result *r,
                       struct yg_err *err) {
    struct yg_window_value *values = NULL;
    uint32_t count = 0;
    YG_TRY(yg_event_monitor_window(store, def->event, r->from_ns, r->to_ns, false, deadline_mono_ns,
                                   arena, &values, &count, NULL, err));
    return values_take(values, count, arena, r, err);
}

static yg_rc formula_run(struct yg_store *store, const struct yg_monitor_def *def,
                         int64_t deadline_mono_ns, struct yg_arena *arena, struct yg_eval_result *r,
                         struct yg_err *err) {
    int64_t from_ms = r->from_ns / YG_NS_PER_MS, to_ms = r->to_ns / YG_NS_PER_MS;
    struct yg_metric_run_options run = {.from_ms = from_ms,
                                        .to_ms = to_ms,
                                        .interval_ms = to_ms - from_ms,
                                        .deadline_mono_ns = deadline_mono_ns};
    struct yg_named_series *named =
        YG_NEW_N(arena, struct yg_named_series, def->variable_count + 1);
    if (!named)
        return fail_memory(err);
    for (uint32_t i = 0; i < def->variable_count; i++) {
        named[i].name = def->variables[i]->name;
        YG_TRY(yg_events_named_series(store, def->variables[i], from_ms, to_ms, 0, false,
                                      deadline_mono_ns, arena, &named[i].result, err));
    }
    struct yg_metric_result result;
    YG_TRY(yg_formula_run(def->formula, named, def->variable_count, &run, arena, &result, err));
    struct yg_window_value *values = YG_NEW_N(arena, struct yg_window_value, result.count + 1);
    if (!values)
        return fail_memory(err);
    for (uint32_t i = 0; i < result.count; i++) {
        const struct yg_metric_out *s = &result.series[i];
        values[i] = (struct yg_window_value){.group_tags = s->group_tags,
                                             .group_count = s->group_count,
                                             .has_value = s->point_count > 0,
                                             .value = s->point_count ? s->points[0].value : 0};
    }
    return values_take(values, result.count, arena, r, err);
}

// ---------------------------------------------------------------- notify_by

static bool kept_key(const struct yg_monitor_def *def, yg_str key) {
    for (uint32_t i = 0; i < def->notify_by_count; i++)
        if (yg_str_eq(def->notify_by[i], key))
            return true;
    return false;
}

static bool is_worse(enum yg_compare op, double a, double b) {
    bool low_is_bad = op == YG_CMP_LT || op == YG_CMP_LE;
    return low_is_bad ? a < b : a > b;
}

static yg_rc coarse_group(const struct yg_monitor_def *def, struct yg_eval_value *v,
                          struct yg_arena *arena, struct yg_err *err) {
    struct yg_tag *tags = YG_NEW_N(arena, struct yg_tag, v->tag_count + 1);
    if (!tags)
        return fail_memory(err);
    uint32_t count = 0;
    yg_str name = {"", 0};
    for (uint32_t i = 0; i < v->tag_count && name.ptr; i++) {
        if (!kept_key(def, v->tags[i].key))
            continue;
        tags[count] = v->tags[i];
        name = yg_arena_printf(arena, "%.*s%s%.*s:%.*s", YG_STR_FMT(name), count ? "," : "",
                               YG_STR_FMT(tags[count].key), YG_STR_FMT(tags[count].value));
        count++;
    }
    if (!name.ptr)
        return fail_memory(err);
    v->group = count ? name : YG_STR("*");
    v->tags = tags;
    v->tag_count = count;
    return YG_OK;
}

static yg_rc make_coarse(const struct yg_monitor_def *def, struct yg_arena *arena,
                         struct yg_eval_result *r, struct yg_err *err) {
    struct yg_map at = YG_MAP(YG_MEM_MONITOR, false);
    uint32_t kept = 0;
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < r->count && rc == YG_OK; i++) {
        struct yg_eval_value v = r->values[i];
        bool is_new;
        rc = coarse_group(def, &v, arena, err);
        uint64_t *slot = yg_map_put(&at, v.group, &is_new);
        if (is_new) {
            *slot = kept;
            r->values[kept++] = v;
            continue;
        }
        struct yg_eval_value *have = &r->values[*slot];
        have->skip = have->skip && v.skip;
        if (v.has_value && !v.skip &&
            (!have->has_value || is_worse(def->op, v.value, have->value))) {
            have->has_value = true;
            have->value = v.value;
        }
    }
    r->count = kept;
    yg_map_fini(&at);
    return rc;
}

// ---------------------------------------------------------------- entry

yg_rc yg_monitor_run(struct yg_store *store, const struct yg_monitor_def *def, int64_t at_ns,
                     int64_t deadline_mono_ns, struct yg_arena *arena,
                     struct yg_eval_result *ret_result, struct yg_err *err) {
    struct yg_eval_result r = {.to_ns = at_ns - def->delay_ns};
    r.from_ns = def->cumulative ? cumulative_start(def, r.to_ns) : r.to_ns - def->window_ns;
    yg_rc rc = YG_OK;
    switch (def->kind) {
    case YG_MONITOR_METRIC:
        rc = metric_run(store, def, arena, &r, err);
        break;
    case YG_MONITOR_EVENT:
        rc = event_run(store, def, deadline_mono_ns, arena, &r, err);
        break;
    case YG_MONITOR_FORMULA:
        rc = formula_run(store, def, deadline_mono_ns, arena, &r, err);
        break;
    case YG_MONITOR_STORED:
    case YG_MONITOR_KIND_COUNT:
        return yg_fail(err, YG_EINTERNAL, "a monitor of this kind is not evaluated");
    }
    YG_TRY(rc);
    if (def->simple || def->notify_by_count > 0)
        YG_TRY(make_coarse(def, arena, &r, err));
    *ret_result = r;
    return YG_OK;
}
