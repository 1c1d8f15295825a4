// SPDX-License-Identifier: Apache-2.0
// GET Y/monitors/:id/state: what was evaluated, which changes it made, what became of their
// messages.
#include "api/ui.h"

#include "monitor/monitor.h"

#define TRANSITIONS_MAX 200

static void put_number(struct yg_json_writer *w, const char *key, bool has, double value) {
    if (has)
        yg_jw_kf64(w, key, value);
    else
        yg_jw_knull(w, key);
}

static void put_thresholds(struct yg_json_writer *w, const struct yg_monitor_view *v) {
    yg_jw_k(w, "thresholds");
    yg_jw_object(w);
    put_number(w, "critical", v->critical.set, v->critical.value);
    put_number(w, "warning", v->warning.set, v->warning.value);
    put_number(w, "critical_recovery", v->critical_recovery.set, v->critical_recovery.value);
    put_number(w, "warning_recovery", v->warning_recovery.set, v->warning_recovery.value);
    yg_jw_object_end(w);
}

static void put_groups(struct yg_json_writer *w, const struct yg_monitor_view *v) {
    yg_jw_k(w, "groups");
    yg_jw_array(w);
    for (uint32_t i = 0; i < v->group_count; i++) {
        const struct yg_group_record *g = &v->groups[i];
        yg_jw_object(w);
        yg_jw_kstr(w, "group", g->group);
        yg_jw_kstr(w, "state", yg_str_c(yg_state_name(g->state)));
        yg_ui_put_ms_or_null(w, "since_ms", g->since_ns);
        put_number(w, "value", g->has_value, g->value);
        yg_ui_put_ms_or_null(w, "evaluated_at_ms", g->evaluated_ns);
        yg_ui_put_ms_or_null(w, "notified_at_ms", g->last_notified_ns);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
}

static void put_series(struct yg_json_writer *w, const struct yg_monitor_eval_series *s,
                       uint32_t times) {
    yg_jw_object(w);
    yg_jw_kstr(w, "group", s->group);
    yg_jw_k(w, "values");
    yg_jw_array(w);
    for (uint32_t t = 0; t < times; t++)
        yg_jw_f64(w, s->values[t]); // NaN is written as null
    yg_jw_array_end(w);
    yg_jw_kstr(w, "states", yg_str_n(s->states, times));
    yg_jw_object_end(w);
}

static void put_evaluations(struct yg_json_writer *w, const struct yg_monitor_view *v) {
    yg_jw_k(w, "evaluations");
    yg_jw_object(w);
    yg_jw_k(w, "times");
    yg_jw_array(w);
    for (uint32_t t = 0; t < v->time_count; t++)
        yg_jw_i64(w, yg_ui_ms(v->times_ns[t]));
    yg_jw_array_end(w);
    yg_jw_k(w, "series");
    yg_jw_array(w);
    for (uint32_t i = 0; i < v->series_count; i++)
        put_series(w, &v->series[i], v->time_count);
    yg_jw_array_end(w);
    yg_jw_object_end(w);
}

static void put_message(struct yg_json_writer *w, const struct yg_message_record *m) {
    yg_jw_object(w);
    yg_jw_kstr(w, "id", yg_str_c(m->id));
    yg_jw_kstr(w, "target", m->target);
    yg_jw_kstr(w, "state", yg_str_c(yg_message_state_name(m->state)));
    yg_jw_ki64(w, "attempts", m->attempts);
    yg_jw_ki64(w, "at_ms", yg_ui_ms(m->done_ns ? m->done_ns : m->created_ns));
    if (m->last_error.len > 0)
        yg_jw_kstr(w, "error", m->last_error);
    else
        yg_jw_knull(w, "error");
    yg_jw_object_end(w);
}

static void put_transitions(struct yg_json_writer *w, const struct yg_transition_record *rows,
                            uint32_t count) {
    yg_jw_k(w, "transitions");
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        const struct yg_transition_record *t = &rows[i];
        yg_jw_object(w);
        yg_jw_ki64(w, "at_ms", yg_ui_ms(t->at_ns));
        yg_jw_kstr(w, "group", t->group);
        yg_jw_kstr(w, "from", yg_str_c(yg_state_name(t->from)));
        yg_jw_kstr(w, "to", yg_str_c(yg_state_name(t->to)));
        yg_jw_kstr(w, "kind", t->kind);
        put_number(w, "value", t->has_value, t->value);
        yg_jw_k(w, "messages");
        yg_jw_array(w);
        for (uint32_t m = 0; m < t->message_count; m++)
            put_message(w, &t->messages[m]);
        yg_jw_array_end(w);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
}

static void put_view(struct yg_json_writer *w, const struct yg_monitor_view *v) {
    yg_jw_ki64(w, "monitor_id", v->id);
    yg_jw_kstr(w, "overall_state", yg_str_c(yg_state_name(v->overall)));
    yg_ui_put_ms_or_null(w, "evaluated_at_ms", v->evaluated_ns);
    yg_ui_put_ms_or_null(w, "next_at_ms", v->next_ns);
    yg_jw_ki64(w, "window_s", v->window_ns / YG_NS_PER_S);
    yg_jw_ki64(w, "delay_s", v->delay_ns / YG_NS_PER_S);
    yg_jw_kstr(w, "comparator", yg_str_c(v->comparator));
    put_thresholds(w, v);
    if (v->why_not != NULL)
        yg_jw_kstr(w, "why_not", yg_str_c(v->why_not));
    if (v->last_error.len > 0)
        yg_jw_kstr(w, "last_error", v->last_error);
    put_groups(w, v);
    yg_jw_ki64(w, "group_total", v->group_total);
    put_evaluations(w, v);
}

static yg_rc read_state(struct yg_http_request *req, struct yg_arena *arena, struct yg_buf *out,
                        struct yg_err *err) {
    struct yg_api *api = req->ctx;
    int64_t id = 0;
    struct yg_time_range range;
    struct yg_monitor_view view = {0};
    struct yg_transition_record *rows = NULL;
    uint32_t count = 0;
    if (!yg_str_to_i64(req->params[0], &id))
        return yg_fail(err, YG_EINPUT, "a monitor's id is a whole number");
    YG_TRY(yg_ui_range_of(req, &range, err));
    YG_TRY(yg_monitors_view(api->monitors, id, range.from_ns, range.to_ns, arena, &view, err));
    YG_TRY(yg_meta_transitions(api->meta, id, range.from_ns, range.to_ns, TRANSITIONS_MAX, arena,
                               &rows, &count, err));
    struct yg_json_writer w = YG_JSON_WRITER(out);
    yg_jw_object(&w);
    yg_ui_put_range(&w, range);
    put_view(&w, &view);
    put_transitions(&w, rows, count);
    yg_jw_object_end(&w);
    return YG_OK;
}

void yg_ui_monitor_state(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    struct yg_buf body = yg_api_buf();
    if (read_state(take_req, arena, &body, &err) == YG_OK) {
        yg_ui_reply(take_req, &body);
        return;
    }
    yg_buf_fini(&body);
    yg_ui_reply_err(take_req, &err);
}
