// SPDX-License-Identifier: Apache-2.0
// Monitors between JSON and record: what is kept as sent, what is trimmed, what is filled in.
//
// Options are stored as the client sent them, less null thresholds and with thresholds as floats;
// what the service fills in is added only in answers, so that a default is never mistaken for a
// wish. Source: DataDog/datadog-api-client-typescript cassettes, v1 Monitors.
#include "api/monitor_json.h"

#define OPTIONS_MAX_BYTES (256u << 10)

static yg_rc fail_parameter(struct yg_err *err, const char *name) {
    return yg_fail(err, YG_EINPUT, "The value provided for parameter '%s' is invalid", name);
}

static yg_rc fail_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "monitor: no memory");
}

// ---------------------------------------------------------------- reading

static bool is_check(yg_str type) {
    return yg_str_eq_c(type, "service check");
}

// A member that must be text; absent leaves *ret as it is, null empties it where allowed.
static yg_rc take_text(const struct yg_json_node *body, const char *name, bool null_ok, yg_str *ret,
                       struct yg_err *err) {
    const struct yg_json_node *node = yg_json_get(body, name);
    if (!node)
        return YG_OK;
    if (node->kind == YG_JSON_NULL && null_ok) {
        *ret = (yg_str){"", 0};
        return YG_OK;
    }
    if (node->kind != YG_JSON_STRING)
        return fail_parameter(err, name);
    *ret = yg_str_trim(node->str);
    return YG_OK;
}

static yg_rc take_tags(const struct yg_json_node *body, struct yg_monitor_record *rec,
                       struct yg_err *err) {
    const struct yg_json_node *tags = yg_json_get(body, "tags");
    if (!tags)
        return YG_OK;
    if (tags->kind == YG_JSON_NULL) {
        rec->tags_json = YG_STR("[]");
        return YG_OK;
    }
    if (tags->kind != YG_JSON_ARRAY_BEGIN)
        return fail_parameter(err, "tags");
    for (const struct yg_json_node *t = tags->child; t; t = t->next)
        if (t->kind != YG_JSON_STRING)
            return fail_parameter(err, "tags");
    rec->tags_json = tags->raw;
    return YG_OK;
}

static yg_rc take_priority(const struct yg_json_node *body, struct yg_monitor_record *rec,
                           struct yg_err *err) {
    const struct yg_json_node *node = yg_json_get(body, "priority");
    if (!node)
        return YG_OK;
    rec->priority = 0;
    if (node->kind == YG_JSON_NULL)
        return YG_OK;
    rec->priority = yg_json_i64_or(node, -1);
    if (rec->priority < 0 || rec->priority > 5)
        return fail_parameter(err, "priority");
    return YG_OK;
}

// A member that is kept as sent when it is of this kind; null empties it.
static yg_rc take_raw(const struct yg_json_node *body, const char *name, enum yg_json_kind kind,
                      yg_str *ret, struct yg_err *err) {
    const struct yg_json_node *node = yg_json_get(body, name);
    if (!node)
        return YG_OK;
    if (node->kind != YG_JSON_NULL && node->kind != kind)
        return fail_parameter(err, name);
    *ret = node->kind == YG_JSON_NULL ? (yg_str){"", 0} : node->raw;
    return YG_OK;
}

static bool number_of(const struct yg_json_node *n, double *ret) {
    if (n->kind == YG_JSON_STRING)
        return yg_str_to_f64(n->str, ret);
    *ret = n->f64;
    return n->kind == YG_JSON_INT || n->kind == YG_JSON_DOUBLE;
}

// Thresholds without nulls, numbers as floats (whole ones of service checks stay whole).
static void put_thresholds(struct yg_json_writer *w, const struct yg_json_node *t, bool floats) {
    uint32_t kept = 0;
    for (const struct yg_json_node *n = t->child; n; n = n->next)
        kept += n->kind != YG_JSON_NULL;
    if (t->kind == YG_JSON_OBJECT_BEGIN && kept == 0)
        return;
    yg_jw_k(w, "thresholds");
    if (t->kind != YG_JSON_OBJECT_BEGIN) {
        yg_jw_raw(w, t->raw); // the check that follows refuses it
        return;
    }
    yg_jw_object(w);
    for (const struct yg_json_node *n = t->child; n; n = n->next) {
        double v;
        if (n->kind == YG_JSON_NULL)
            continue;
        yg_jw_key(w, n->key);
        if (floats && number_of(n, &v))
            yg_jw_f64_float(w, v);
        else
            yg_jw_raw(w, n->raw);
    }
    yg_jw_object_end(w);
}

static yg_rc take_options(const struct yg_json_node *body, struct yg_arena *arena,
                          struct yg_monitor_record *rec, struct yg_err *err) {
    const struct yg_json_node *options = yg_json_get(body, "options");
    if (!options)
        return YG_OK;
    if (options->kind == YG_JSON_NULL) {
        rec->options_json = YG_STR("{}");
        return YG_OK;
    }
    if (options->kind != YG_JSON_OBJECT_BEGIN)
        return fail_parameter(err, "options");
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_QUERY, OPTIONS_MAX_BYTES);
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    yg_jw_object(&w);
    for (const struct yg_json_node *o = options->child; o; o = o->next) {
        if (yg_str_eq_c(o->key, "thresholds")) {
            if (o->kind != YG_JSON_NULL)
                put_thresholds(&w, o, !is_check(rec->type));
            continue;
        }
        yg_jw_key(&w, o->key);
        if (yg_str_eq_c(o->key, "escalation_message") && o->kind == YG_JSON_STRING)
            yg_jw_str(&w, yg_str_trim(o->str));
        else
            yg_jw_raw(&w, o->raw);
    }
    yg_jw_object_end(&w);
    YG_TRY(yg_buf_ok(&out, err));
    rec->options_json = yg_arena_str(arena, yg_buf_str(&out));
    return rec->options_json.ptr ? YG_OK : fail_memory(err);
}

yg_rc yg_monitor_json_read(const struct yg_json_node *body, struct yg_arena *arena,
                           struct yg_monitor_record *rec, struct yg_err *err) {
    if (!yg_json_is(body, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "The body must be a JSON object");
    YG_TRY(take_text(body, "type", false, &rec->type, err));
    YG_TRY(take_text(body, "query", false, &rec->query, err));
    YG_TRY(take_text(body, "name", true, &rec->name, err));
    YG_TRY(take_text(body, "message", true, &rec->message, err));
    YG_TRY(take_text(body, "draft_status", false, &rec->draft_status, err));
    if (rec->draft_status.len && !yg_str_eq_c(rec->draft_status, "draft") &&
        !yg_str_eq_c(rec->draft_status, "published"))
        return fail_parameter(err, "draft_status");
    YG_TRY(take_tags(body, rec, err));
    YG_TRY(take_priority(body, rec, err));
    YG_TRY(take_options(body, arena, rec, err));
    YG_TRY(take_raw(body, "assets", YG_JSON_ARRAY_BEGIN, &rec->assets_json, err));
    YG_TRY(
        take_raw(body, "restricted_roles", YG_JSON_ARRAY_BEGIN, &rec->restricted_roles_json, err));
    return take_raw(body, "restriction_policy", YG_JSON_OBJECT_BEGIN, &rec->restriction_policy_json,
                    err);
}

// ---------------------------------------------------------------- writing

// "2024-10-10T16:40:30.574547+00:00"
static yg_str time_micro(int64_t ns, struct yg_arena *arena) {
    char text[YG_TIME_TEXT_BYTES];
    yg_time_format_iso(ns, text);
    return yg_arena_printf(arena, "%.19s.%06lld+00:00", text, (long long)(ns % YG_NS_PER_S / 1000));
}

static yg_str time_whole(int64_t ns, struct yg_arena *arena) {
    char text[YG_TIME_TEXT_BYTES];
    yg_time_format_iso(ns, text);
    return yg_arena_printf(arena, "%.19s+00:00", text);
}

static bool is_one_of(yg_str type, const char *const *names) {
    for (; *names; names++)
        if (yg_str_eq_c(type, *names))
            return true;
    return false;
}

static void fill_bool(struct yg_json_writer *w, const struct yg_json_node *have, const char *name,
                      bool value) {
    if (!yg_json_get(have, name))
        yg_jw_kbool(w, name, value);
}

// What the service adds when the client did not say it.
static void put_fills(struct yg_json_writer *w, yg_str type, const struct yg_json_node *have) {
    static const char *const groupby[] = {"log alert",
                                          "rum alert",
                                          "ci-pipelines alert",
                                          "ci-tests alert",
                                          "audit alert",
                                          "event-v2 alert",
                                          "error-tracking alert",
                                          "trace-analytics alert",
                                          "network-path alert",
                                          "database-monitoring alert",
                                          "network-performance alert",
                                          "llm-observability alert",
                                          NULL};
    static const char *const avalanche[] = {"rum alert", "error-tracking alert", NULL};
    fill_bool(w, have, "notify_no_data", false);
    fill_bool(w, have, "notify_audit", false);
    if (!yg_json_get(have, "new_host_delay"))
        yg_jw_ki64(w, "new_host_delay", 300);
    fill_bool(w, have, "include_tags", true);
    if (is_one_of(type, groupby))
        fill_bool(w, have, "groupby_simple_monitor", false);
    if (is_one_of(type, avalanche) && !yg_json_get(have, "avalanche_window"))
        yg_jw_ki64(w, "avalanche_window", 20);
    if (!yg_json_get(have, "silenced")) {
        yg_jw_k(w, "silenced");
        yg_jw_raw(w, YG_STR("{}"));
    }
}

static yg_rc put_options(struct yg_json_writer *w, const struct yg_monitor_record *rec,
                         struct yg_arena *arena, struct yg_err *err) {
    struct yg_json_node *options;
    yg_str text = rec->options_json.len ? rec->options_json : YG_STR("{}");
    YG_TRY(yg_json_parse(text, arena, &options, err));
    yg_jw_k(w, "options");
    yg_jw_object(w);
    for (const struct yg_json_node *o = options->child; o; o = o->next) {
        yg_jw_key(w, o->key);
        yg_jw_raw(w, o->raw);
    }
    put_fills(w, rec->type, options);
    yg_jw_object_end(w);
    return YG_OK;
}

static void put_or(struct yg_json_writer *w, const char *key, const struct yg_json_node *node,
                   yg_str otherwise) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_raw(w, node ? node->raw : otherwise);
}

static yg_rc put_assets(struct yg_json_writer *w, const struct yg_monitor_record *rec,
                        struct yg_arena *arena, struct yg_err *err) {
    struct yg_json_node *assets;
    yg_str text = rec->assets_json.len ? rec->assets_json : YG_STR("[]");
    YG_TRY(yg_json_parse(text, arena, &assets, err));
    yg_jw_k(w, "assets");
    yg_jw_array(w);
    for (const struct yg_json_node *a = assets->child; a; a = a->next) {
        if (a->kind != YG_JSON_OBJECT_BEGIN)
            continue;
        yg_jw_object(w);
        yg_jw_ki64(w, "monitor_id", rec->id);
        put_or(w, "name", yg_json_get(a, "name"), YG_STR("null"));
        put_or(w, "category", yg_json_get(a, "category"), YG_STR("null"));
        put_or(w, "url", yg_json_get(a, "url"), YG_STR("null"));
        put_or(w, "template_variables", yg_json_get(a, "template_variables"), YG_STR("{}"));
        put_or(w, "options", yg_json_get(a, "options"), YG_STR("{}"));
        put_or(w, "resource_key", yg_json_get(a, "resource_key"), YG_STR("null"));
        put_or(w, "resource_type", yg_json_get(a, "resource_type"), YG_STR("null"));
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
    return YG_OK;
}

static void put_ts(struct yg_json_writer *w, const char *key, int64_t ns) {
    if (ns)
        yg_jw_ki64(w, key, ns / YG_NS_PER_S);
    else
        yg_jw_knull(w, key);
}

static void put_states(struct yg_json_writer *w, const struct yg_monitor_json_show *show) {
    yg_jw_k(w, "state");
    yg_jw_object(w);
    yg_jw_k(w, "groups");
    yg_jw_object(w);
    for (uint32_t i = 0; i < show->group_count; i++) {
        const struct yg_group_record *g = &show->groups[i];
        if (!(show->state_bits & 1u << g->state))
            continue;
        yg_jw_key(w, g->group);
        yg_jw_object(w);
        yg_jw_kstr(w, "name", g->group);
        yg_jw_kstr(w, "status", yg_str_c(yg_state_name(g->state)));
        put_ts(w, "last_triggered_ts", g->last_triggered_ns);
        put_ts(w, "last_notified_ts", g->last_notified_ns);
        put_ts(w, "last_resolved_ts", g->last_resolved_ns);
        put_ts(w, "last_nodata_ts", g->last_nodata_ns);
        yg_jw_object_end(w);
    }
    yg_jw_object_end(w);
    yg_jw_object_end(w);
}

static void put_creator(struct yg_json_writer *w, const struct yg_user *user) {
    yg_jw_k(w, "creator");
    yg_jw_object(w);
    if (user->name.len)
        yg_jw_kstr(w, "name", user->name);
    else
        yg_jw_knull(w, "name");
    yg_jw_kstr(w, "handle", user->handle);
    yg_jw_kstr(w, "email", user->email);
    yg_jw_ki64(w, "id", user->id);
    yg_jw_object_end(w);
}

static void put_raw_or_null(struct yg_json_writer *w, const char *key, yg_str json) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_raw(w, json.len ? json : YG_STR("null"));
}

static void put_tail(struct yg_json_writer *w, const struct yg_monitor_record *rec,
                     const struct yg_monitor_json_show *show, struct yg_arena *arena) {
    if (rec->priority)
        yg_jw_ki64(w, "priority", rec->priority);
    else
        yg_jw_knull(w, "priority");
    if (!show->no_restricted_roles)
        put_raw_or_null(w, "restricted_roles", rec->restricted_roles_json);
    if (show->restriction_policy)
        put_raw_or_null(w, "restriction_policy", rec->restriction_policy_json);
    yg_jw_kstr(w, "draft_status", rec->draft_status.len ? rec->draft_status : YG_STR("published"));
    yg_jw_kstr(w, "overall_state", yg_str_c(yg_state_name(rec->overall_state)));
    if (rec->overall_modified_ns)
        yg_jw_kstr(w, "overall_state_modified", time_whole(rec->overall_modified_ns, arena));
    else
        yg_jw_knull(w, "overall_state_modified");
}

yg_rc yg_monitor_json_put(struct yg_json_writer *w, const struct yg_monitor_record *rec,
                          const struct yg_user *creator, const struct yg_monitor_json_show *show,
                          struct yg_arena *arena, struct yg_err *err) {
    yg_jw_object(w);
    yg_jw_ki64(w, "id", rec->id);
    yg_jw_ki64(w, "org_id", YG_API_ORG_ID);
    yg_jw_kstr(w, "type", rec->type);
    yg_jw_kstr(w, "name", rec->name);
    yg_jw_kstr(w, "message", rec->message);
    yg_jw_k(w, "tags");
    yg_jw_raw(w, rec->tags_json.len ? rec->tags_json : YG_STR("[]"));
    yg_jw_kstr(w, "query", rec->query);
    YG_TRY(put_options(w, rec, arena, err));
    yg_jw_kbool(w, "multi", rec->multi);
    yg_jw_ki64(w, "created_at", rec->created_ns / YG_NS_PER_S * 1000);
    yg_jw_kstr(w, "created", time_micro(rec->created_ns, arena));
    yg_jw_kstr(w, "modified", time_micro(rec->modified_ns, arena));
    yg_jw_knull(w, "deleted");
    put_tail(w, rec, show, arena);
    if (show->assets)
        YG_TRY(put_assets(w, rec, arena, err));
    put_creator(w, creator);
    if (show->states)
        put_states(w, show);
    if (show->downtimes) { // downtimes are not part of this version: none matches
        yg_jw_k(w, "matching_downtimes");
        yg_jw_raw(w, YG_STR("[]"));
    }
    yg_jw_object_end(w);
    return YG_OK;
}
