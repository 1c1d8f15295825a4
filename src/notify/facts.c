// SPDX-License-Identifier: Apache-2.0
// What an outbox row keeps of a change: rendered title and text and every $ variable of webhooks.
// Source: DataDog/documentation content/en/integrations/webhooks.md (variables)
#include "notify/notify_internal.h"

#include "base/hash.h"
#include "codec/json_write.h"

#define FACTS_MAX_BYTES (8u << 20)

struct facts {
    struct yg_json_writer *w;
    struct yg_arena *arena;
};

static void put(struct facts *f, const char *name, yg_str value) {
    yg_jw_kstr(f->w, name, value.ptr ? value : (yg_str){"", 0});
}

static void put_i64(struct facts *f, const char *name, int64_t v) {
    put(f, name, yg_arena_printf(f->arena, "%lld", (long long)v));
}

static yg_str key_of(const struct yg_notice *n, struct yg_arena *arena, bool cycle) {
    yg_str text = yg_arena_printf(arena, "%lld/%.*s/%lld", (long long)n->monitor_id,
                                  YG_STR_FMT(n->group), cycle ? (long long)n->cycle : 0);
    uint64_t hash[2] = {0, 0};
    if (text.ptr)
        yg_hash_stable128(text.ptr, text.len, hash);
    return yg_arena_printf(arena, "%016llx%016llx", (unsigned long long)hash[0],
                           (unsigned long long)hash[1]);
}

static yg_str join_tags(const struct yg_tag *tags, uint32_t count, yg_str start,
                        struct yg_arena *arena) {
    yg_str all = start;
    for (uint32_t i = 0; i < count && all.ptr; i++)
        all = yg_arena_printf(arena, "%.*s%s%.*s%s%.*s", YG_STR_FMT(all), all.len ? "," : "",
                              YG_STR_FMT(tags[i].key), tags[i].value.len ? ":" : "",
                              YG_STR_FMT(tags[i].value));
    return all;
}

static yg_str scope_of(const struct yg_notice *n, struct yg_arena *arena) {
    yg_str scope = join_tags(n->group_tags, n->group_tag_count, (yg_str){"", 0}, arena);
    if (scope.len == 0)
        scope = join_tags(n->scope_tags, n->scope_tag_count, (yg_str){"", 0}, arena);
    return scope.len ? scope : YG_STR("*");
}

static yg_str all_tags(const struct yg_notice *n, struct yg_arena *arena) {
    yg_str all = {"", 0};
    for (uint32_t i = 0; i < n->tag_count && all.ptr; i++)
        all = yg_arena_printf(arena, "%.*s%s%.*s", YG_STR_FMT(all), i ? "," : "",
                              YG_STR_FMT(n->tags[i]));
    all = join_tags(n->group_tags, n->group_tag_count, all, arena);
    return yg_arena_printf(arena, "%.*s%smonitor", YG_STR_FMT(all), all.len ? "," : "");
}

// "system.load.1 over host:a was > 0.0 at least once during the last 1m."
static yg_str status_of(const struct yg_notice *n, yg_str scope, struct yg_arena *arena) {
    char limit[YG_NUMBER_TEXT_BYTES] = "";
    bool warn = n->to == YG_STATE_WARN && n->has_warning;
    if (warn || n->has_critical)
        yg_threshold_text(warn ? n->warning : n->critical, limit);
    yg_str what = n->subject.len ? n->subject : n->query;
    if (n->to == YG_STATE_NO_DATA)
        return yg_arena_printf(arena, "%.*s over %.*s: no data during the %.*s.", YG_STR_FMT(what),
                               YG_STR_FMT(scope), YG_STR_FMT(n->window_words));
    return yg_arena_printf(arena, "%.*s over %.*s was %s%s %s%s%.*s during the %.*s.",
                           YG_STR_FMT(what), YG_STR_FMT(scope), n->to == YG_STATE_OK ? "not " : "",
                           n->comparator, limit, n->aggr_words.len ? " " : "",
                           YG_STR_FMT(n->aggr_words), YG_STR_FMT(n->window_words));
}

static yg_str event_type(yg_str type) {
    static const struct {
        const char *type, *event;
    } table[] = {{"metric alert", "metric_alert_monitor"},
                 {"query alert", "query_alert_monitor"},
                 {"service check", "service_check"},
                 {"event alert", "event_alert"},
                 {"event-v2 alert", "event_v2_alert"},
                 {"log alert", "log_alert"},
                 {"trace-analytics alert", "trace_analytics_alert"}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (yg_str_eq_c(type, table[i].type))
            return yg_str_c(table[i].event);
    return YG_STR("monitor");
}

static const char *alert_type(enum yg_monitor_state to) {
    return to == YG_STATE_ALERT || to == YG_STATE_NO_DATA ? "error"
           : to == YG_STATE_WARN                          ? "warning"
           : to == YG_STATE_OK                            ? "success"
                                                          : "info";
}

static yg_str tag_value(const struct yg_notice *n, const char *key) {
    for (uint32_t i = 0; i < n->group_tag_count; i++)
        if (yg_str_eq_c(n->group_tags[i].key, key))
            return n->group_tags[i].value;
    return (yg_str){"", 0};
}

static void put_variables(struct facts *f, const struct yg_notice *n, const struct yg_rendered *r,
                          yg_str link) {
    yg_str scope = scope_of(n, f->arena);
    size_t dot = yg_str_find_char(n->metric, '.', 0);
    put(f, "AGGREG_KEY", key_of(n, f->arena, false));
    put(f, "ALERT_CYCLE_KEY", key_of(n, f->arena, true));
    put_i64(f, "ALERT_ID", n->monitor_id);
    put(f, "ALERT_METRIC", n->metric);
    put(f, "ALERT_PRIORITY", yg_notice_variable(n, YG_STR("priority"), f->arena));
    put(f, "ALERT_QUERY", n->query);
    put(f, "ALERT_SCOPE", scope);
    put(f, "ALERT_STATUS", status_of(n, scope, f->arena));
    put(f, "ALERT_TITLE", r->title);
    put(f, "ALERT_TRANSITION", yg_str_c(yg_notice_transition(n)));
    put(f, "ALERT_TYPE", yg_str_c(alert_type(n->to)));
    put_i64(f, "DATE", n->at_ns / YG_NS_PER_MS);
    put(f, "EMAIL", n->user ? n->user->email : (yg_str){"", 0});
    put(f, "EVENT_MSG", r->text);
    put(f, "EVENT_TITLE", r->title);
    put(f, "EVENT_TYPE", event_type(n->type));
    put(f, "HOSTNAME", tag_value(n, "host"));
    put_i64(f, "LAST_UPDATED", n->at_ns / YG_NS_PER_MS);
    put(f, "LINK", link);
    put(f, "METRIC_NAMESPACE", dot == SIZE_MAX ? (yg_str){"", 0} : yg_str_sub(n->metric, 0, dot));
    put(f, "ORG_ID", n->org_id);
    put(f, "ORG_NAME", n->org_name);
    put(f, "PRIORITY", YG_STR("normal"));
    put(f, "TAGS", all_tags(n, f->arena));
    put(f, "TEXT_ONLY_MSG", r->text);
    put(f, "USER", n->user ? n->user->email : (yg_str){"", 0});
    put(f, "USERNAME", n->user ? n->user->email : (yg_str){"", 0});
}

yg_rc yg_facts_make(const struct yg_notice *n, const struct yg_rendered *r, struct yg_arena *arena,
                    yg_str *ret_json, struct yg_err *err) {
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_MONITOR, FACTS_MAX_BYTES);
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    struct facts f = {.w = &w, .arena = arena};
    yg_str link = yg_arena_printf(arena, "%.*s/monitors/%lld", YG_STR_FMT(n->public_url),
                                  (long long)n->monitor_id);
    yg_jw_object(&w);
    put(&f, "title", r->title);
    put(&f, "text", r->text);
    put(&f, "link", link);
    yg_jw_ki64(&w, "to", (int64_t)n->to);
    yg_jw_ki64(&w, "at_s", n->at_ns / YG_NS_PER_S);
    yg_jw_k(&w, "vars");
    yg_jw_object(&w);
    put_variables(&f, n, r, link);
    yg_jw_object_end(&w);
    yg_jw_object_end(&w);
    YG_TRY(yg_buf_ok(&out, err));
    *ret_json = yg_arena_str(arena, yg_buf_str(&out));
    return ret_json->ptr ? YG_OK : yg_fail(err, YG_ENOMEM, "facts of a message: no memory");
}
