// SPDX-License-Identifier: Apache-2.0
// GET /api/v1/monitor/search and /groups/search: monitors, or their groups, by the search language
// over their own facts, with counts per status, tag and type.
// Source: DataDog/datadog-api-client-typescript cassettes, v1 Monitors (Monitors-search…).
#include "api/monitor_json.h"

#include "base/map.h"
#include "filter/filter.h"

#define PER_PAGE 30
#define PER_PAGE_MAX 1000
#define DEPTH_MAX 64
#define LIST_MAX 100
#define ARENA_BYTES (256u << 20)

// One thing that may be found: a monitor, or one group of it.
struct row {
    const struct yg_monitor_record *rec;
    const struct yg_monitor_def *def;    // NULL: does not parse
    const struct yg_group_record *group; // NULL: a monitor
    const yg_str *tags;
    uint32_t tag_count;
    const yg_str *handles;
    uint32_t handle_count;
};

struct search {
    struct yg_http_request *req;
    struct yg_arena *arena; // holds every monitor
    struct row *rows;       // that match
    uint32_t count, cap;
    int64_t page, per_page;
};

static yg_rc fail_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "monitor search: no memory");
}

static yg_str classification(yg_str type) {
    if (yg_str_eq_c(type, "metric alert") || yg_str_eq_c(type, "query alert"))
        return YG_STR("metric");
    if (yg_str_eq_c(type, "service check"))
        return YG_STR("custom");
    if (yg_str_starts(type, YG_STR("event")))
        return YG_STR("event");
    return yg_str_ends(type, YG_STR(" alert")) ? yg_str_sub(type, 0, type.len - 6) : type;
}

// ---------------------------------------------------------------- matching

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

// Pattern with \x01 for '*' and \x02 for '?', without case. Linear in text × stars.
static bool glob(yg_str pattern, yg_str text) {
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == 1) {
            star = p++;
            mark = t;
        } else if (p < pattern.len &&
                   (pattern.ptr[p] == 2 || lower(pattern.ptr[p]) == lower(text.ptr[t]))) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == 1)
        p++;
    return p == pattern.len;
}

static bool contains(yg_str text, const struct yg_node *n, struct yg_arena *arena) {
    if (n->kind == YG_NODE_GLOB || n->wild) {
        yg_str pattern = yg_arena_printf(arena, "\x01%.*s\x01", YG_STR_FMT(n->text));
        return pattern.ptr && glob(pattern, text);
    }
    for (size_t i = 0; i + n->text.len <= text.len; i++)
        if (yg_str_eq_nocase(yg_str_sub(text, i, n->text.len), n->text))
            return true;
    return false;
}

static bool value_matches(const struct yg_node *n, yg_str value) {
    return n->kind == YG_NODE_GLOB ? glob(n->text, value) : yg_str_eq_nocase(n->text, value);
}

static bool list_matches(const struct yg_node *n, const yg_str *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (value_matches(n, values[i]))
            return true;
    return false;
}

static bool tag_with_key(const struct yg_node *n, yg_str key, const struct row *r) {
    for (uint32_t i = 0; i < r->tag_count; i++) {
        yg_str tag = r->tags[i];
        if (tag.len > key.len && yg_str_starts(tag, key) && tag.ptr[key.len] == ':' &&
            value_matches(n, yg_str_sub(tag, key.len + 1, tag.len)))
            return true;
    }
    return false;
}

static bool scope_matches(const struct yg_node *n, const struct row *r, struct yg_arena *arena) {
    for (uint32_t i = 0; r->def && i < r->def->scope_count; i++) {
        const struct yg_tag *t = &r->def->scope[i];
        if (value_matches(
                n, yg_arena_printf(arena, "%.*s:%.*s", YG_STR_FMT(t->key), YG_STR_FMT(t->value))))
            return true;
    }
    return false;
}

static enum yg_monitor_state row_state(const struct row *r) {
    return r->group ? r->group->state : r->rec->overall_state;
}

static bool field_matches(const struct yg_node *n, const struct row *r, struct yg_arena *arena) {
    yg_str name = n->field.name;
    if (name.len && name.ptr[0] == '@')
        name = yg_str_sub(name, 1, name.len);
    if (yg_str_eq_c(name, "status") || yg_str_eq_c(name, "group_status"))
        return value_matches(n, yg_str_c(yg_state_name(row_state(r))));
    if (yg_str_eq_c(name, "type"))
        return value_matches(n, classification(r->rec->type));
    if (yg_str_eq_c(name, "tag"))
        return list_matches(n, r->tags, r->tag_count);
    if (yg_str_eq_c(name, "title"))
        return contains(r->rec->name, n, arena);
    if (yg_str_eq_c(name, "message"))
        return contains(r->rec->message, n, arena);
    if (yg_str_eq_c(name, "id") || yg_str_eq_c(name, "monitor_id"))
        return value_matches(n, yg_arena_printf(arena, "%lld", (long long)r->rec->id));
    if (yg_str_eq_c(name, "muted"))
        return value_matches(n, YG_STR("false")); // downtimes are not part of this version
    if (yg_str_eq_c(name, "notification"))
        return list_matches(n, r->handles, r->handle_count);
    if (yg_str_eq_c(name, "scope"))
        return scope_matches(n, r, arena);
    if (yg_str_eq_c(name, "metric"))
        return contains(r->rec->query, n, arena);
    if (yg_str_eq_c(name, "group"))
        return r->group && contains(r->group->group, n, arena);
    if (yg_str_eq_c(name, "priority"))
        return value_matches(n, yg_arena_printf(arena, "p%lld", (long long)r->rec->priority));
    return tag_with_key(n, name, r);
}

static bool matches(const struct yg_node *n, const struct row *r, struct yg_arena *arena,
                    uint32_t depth) {
    uint32_t hits = 0;
    if (depth > DEPTH_MAX)
        return false;
    switch (n->kind) {
    case YG_NODE_ALL:
        return true;
    case YG_NODE_AND:
    case YG_NODE_OR:
        for (uint32_t i = 0; i < n->child_count; i++)
            hits += matches(n->children[i], r, arena, depth + 1);
        return n->kind == YG_NODE_AND ? hits == n->child_count : hits > 0;
    case YG_NODE_NOT:
        return !matches(n->children[0], r, arena, depth + 1);
    case YG_NODE_TERM:
    case YG_NODE_GLOB:
        return field_matches(n, r, arena);
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
        return contains(r->rec->name, n, arena) || contains(r->rec->message, n, arena);
    case YG_NODE_NONE:
    case YG_NODE_EXISTS:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_REGEX:
    case YG_NODE_KIND_COUNT:
        break;
    }
    return false; // the monitors' search knows no ranges and expressions
}

// A status that is no monitor's status is refused, as the service does.
static yg_rc check_statuses(const struct yg_node *n, uint32_t depth, struct yg_err *err) {
    enum yg_monitor_state s;
    yg_str name = n->field.name;
    if (n->kind == YG_NODE_TERM &&
        (yg_str_eq_c(name, "status") || yg_str_eq_c(name, "group_status")) &&
        !yg_state_parse(n->text, &s))
        return yg_fail(err, YG_EINPUT, "Query parsing error: '%.*s' is not a valid monitor status",
                       (int)(n->text.len > 100 ? 100 : n->text.len), n->text.ptr);
    for (uint32_t i = 0; i < n->child_count && depth < DEPTH_MAX; i++)
        YG_TRY(check_statuses(n->children[i], depth + 1, err));
    return YG_OK;
}

// ---------------------------------------------------------------- finding

static yg_rc row_of(const struct yg_monitor_record *rec, struct yg_arena *arena,
                    struct row *ret_row, struct yg_err *err) {
    struct yg_monitor_def *def = NULL;
    struct yg_err ignored = {0};
    struct yg_json_node *tags;
    yg_str *list;
    *ret_row = (struct row){.rec = rec};
    if (yg_monitor_parse(rec, arena, &def, &ignored) == YG_OK)
        ret_row->def = def;
    YG_TRY(yg_json_parse(rec->tags_json, arena, &tags, err));
    list = YG_NEW_N(arena, yg_str, tags->count + 1);
    if (!list)
        return fail_memory(err);
    for (const struct yg_json_node *t = tags->child; t; t = t->next)
        list[ret_row->tag_count++] = t->str;
    ret_row->tags = list;
    const yg_str *handles;
    YG_TRY(yg_handles_find(rec->message, arena, &handles, &ret_row->handle_count, err));
    yg_str *bare = YG_NEW_N(arena, yg_str, ret_row->handle_count + 1);
    if (!bare)
        return fail_memory(err);
    for (uint32_t i = 0; i < ret_row->handle_count; i++)
        bare[i] = yg_str_sub(handles[i], 1, handles[i].len);
    ret_row->handles = bare;
    return YG_OK;
}

static yg_rc row_keep(struct search *s, const struct yg_node *query, const struct row *r,
                      struct yg_err *err) {
    if (!matches(query, r, s->arena, 0))
        return YG_OK;
    if (!YG_ARENA_GROW(s->arena, s->rows, s->count, s->cap))
        return fail_memory(err);
    s->rows[s->count++] = *r;
    return YG_OK;
}

static yg_rc find(struct search *s, const struct yg_node *query, bool by_group,
                  struct yg_err *err) {
    struct yg_meta *meta = ((struct yg_api *)s->req->ctx)->meta;
    struct yg_arena *arena = s->arena;
    struct yg_monitor_record *recs;
    struct yg_group_record *groups = NULL;
    uint32_t rec_count, group_count = 0, g = 0;
    YG_TRY(yg_meta_monitor_list(meta, arena, &recs, &rec_count, err));
    if (by_group)
        YG_TRY(yg_meta_groups(meta, 0, arena, &groups, &group_count, err));
    for (uint32_t i = 0; i < rec_count; i++) {
        struct row r;
        YG_TRY(row_of(&recs[i], arena, &r, err));
        if (!by_group)
            YG_TRY(row_keep(s, query, &r, err));
        for (; g < group_count && groups[g].monitor_id <= recs[i].id; g++) {
            if (groups[g].monitor_id < recs[i].id)
                continue;
            r.group = &groups[g];
            YG_TRY(row_keep(s, query, &r, err));
        }
    }
    return YG_OK;
}

static int by_name(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    return yg_str_cmp(x->rec->name, y->rec->name);
}

static int by_status(const void *a, const void *b) {
    return (int)row_state(a) - (int)row_state(b);
}

static void sort_rows(struct search *s) {
    yg_str order = yg_http_query(s->req, "sort", NULL);
    int (*compare)(const void *, const void *) = NULL;
    if (yg_str_starts(order, YG_STR("name")))
        compare = by_name;
    else if (yg_str_starts(order, YG_STR("status")))
        compare = by_status;
    if (!compare || s->count < 2)
        return;
    qsort(s->rows, s->count, sizeof(s->rows[0]), compare);
    for (uint32_t i = 0; yg_str_ends(order, YG_STR(",desc")) && i < s->count / 2; i++) {
        struct row swap = s->rows[i];
        s->rows[i] = s->rows[s->count - 1 - i];
        s->rows[s->count - 1 - i] = swap;
    }
}

// ---------------------------------------------------------------- counts

struct tally {
    yg_str name;
    uint64_t count;
};

static int by_count(const void *a, const void *b) {
    const struct tally *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return yg_str_cmp(x->name, y->name);
}

static yg_rc put_tally(struct yg_json_writer *w, const char *key, struct yg_map *map,
                       struct yg_arena *arena, struct yg_err *err) {
    struct tally *list = YG_NEW_N(arena, struct tally, map->len + 1);
    uint32_t at = 0, count = 0;
    if (!list)
        return fail_memory(err);
    while (yg_map_next(map, &at, &list[count].name, &list[count].count))
        count++;
    if (count > 1)
        qsort(list, count, sizeof(list[0]), by_count);
    yg_jw_key(w, yg_str_c(key));
    yg_jw_array(w);
    for (uint32_t i = 0; i < count && i < LIST_MAX; i++) {
        yg_jw_object(w);
        yg_jw_ki64(w, "count", (int64_t)list[i].count);
        yg_jw_kstr(w, "name", list[i].name);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
    return YG_OK;
}

static void put_muted(struct yg_json_writer *w, uint32_t count) {
    yg_jw_k(w, "muted");
    yg_jw_array(w);
    if (count) {
        yg_jw_object(w);
        yg_jw_ki64(w, "count", count);
        yg_jw_kbool(w, "name", false);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
}

static yg_rc put_counts(struct search *s, struct yg_json_writer *w, struct yg_err *err) {
    struct yg_map maps[3];
    static const char *const keys[3] = {"status", "tag", "type"};
    yg_rc rc = YG_OK;
    for (int i = 0; i < 3; i++)
        maps[i] = YG_MAP(YG_MEM_QUERY, false);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct row *r = &s->rows[i];
        (*yg_map_put(&maps[0], yg_str_c(yg_state_name(row_state(r))), NULL))++;
        (*yg_map_put(&maps[2], classification(r->rec->type), NULL))++;
        for (uint32_t t = 0; t < r->tag_count; t++)
            (*yg_map_put(&maps[1], r->tags[t], NULL))++;
    }
    yg_jw_k(w, "counts");
    yg_jw_object(w);
    for (int i = 0; i < 3 && rc == YG_OK; i++)
        rc = put_tally(w, keys[i], &maps[i], s->arena, err);
    put_muted(w, s->count);
    yg_jw_object_end(w);
    for (int i = 0; i < 3; i++)
        yg_map_fini(&maps[i]);
    return rc;
}

// ---------------------------------------------------------------- rows

static void put_strings(struct yg_json_writer *w, const char *key, const yg_str *list,
                        uint32_t count, yg_str prefix) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++)
        if (yg_str_starts(list[i], prefix))
            yg_jw_str(w, list[i]);
    yg_jw_array_end(w);
}

static void put_priority(struct yg_json_writer *w, const struct row *r) {
    if (r->rec->priority)
        yg_jw_ki64(w, "priority", r->rec->priority);
    else
        yg_jw_knull(w, "priority");
}

static void put_scopes(struct yg_json_writer *w, const struct row *r, struct yg_arena *arena) {
    yg_str joined = {"", 0};
    for (uint32_t i = 0; r->def && i < r->def->scope_count; i++) {
        const struct yg_tag *t = &r->def->scope[i];
        joined = yg_arena_printf(arena, "%.*s%s%.*s:%.*s", YG_STR_FMT(joined), i ? "," : "",
                                 YG_STR_FMT(t->key), YG_STR_FMT(t->value));
    }
    yg_jw_k(w, "scopes");
    yg_jw_array(w);
    if (joined.len)
        yg_jw_str(w, joined);
    yg_jw_array_end(w);
}

// The name in front of each scope of a metric query, each once.
static void put_metrics(struct yg_json_writer *w, const struct row *r) {
    yg_str expr = r->def && r->def->kind == YG_MONITOR_METRIC ? r->def->expr : (yg_str){"", 0};
    yg_str last = {"", 0};
    yg_jw_k(w, "metrics");
    yg_jw_array(w);
    for (size_t at = 0; (at = yg_str_find_char(expr, '{', at)) != SIZE_MAX; at++) {
        size_t start = at;
        while (start > 0 && !strchr(":( \t+-*/,{}", expr.ptr[start - 1]))
            start--;
        yg_str name = yg_str_sub(expr, start, at - start);
        if (name.len && !yg_str_eq_c(name, "by") && !yg_str_eq(name, last))
            yg_jw_str(w, name);
        last = name;
    }
    yg_jw_array_end(w);
}

static void put_notifications(struct yg_json_writer *w, const struct row *r) {
    yg_jw_k(w, "notifications");
    yg_jw_array(w);
    for (uint32_t i = 0; i < r->handle_count; i++) {
        yg_jw_object(w);
        yg_jw_kstr(w, "handle", r->handles[i]);
        yg_jw_kstr(w, "name", r->handles[i]);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
}

static void put_s_or_null(struct yg_json_writer *w, const char *key, int64_t ns) {
    if (ns)
        yg_jw_ki64(w, key, ns / YG_NS_PER_S);
    else
        yg_jw_knull(w, key);
}

static void put_monitor_row(struct search *s, struct yg_json_writer *w, const struct row *r) {
    const struct yg_user *user = yg_meta_user(((struct yg_api *)s->req->ctx)->meta);
    yg_jw_object(w);
    yg_jw_ki64(w, "id", r->rec->id);
    yg_jw_kstr(w, "name", r->rec->name);
    yg_jw_kstr(w, "type", r->rec->type);
    yg_jw_kstr(w, "classification", classification(r->rec->type));
    yg_jw_kstr(w, "query", r->rec->query);
    yg_jw_kstr(w, "status", yg_str_c(yg_state_name(row_state(r))));
    put_scopes(w, r, s->arena);
    put_metrics(w, r);
    put_notifications(w, r);
    put_strings(w, "tags", r->tags, r->tag_count, (yg_str){"", 0});
    yg_jw_k(w, "creator");
    yg_jw_object(w);
    yg_jw_ki64(w, "id", user->id);
    yg_jw_kstr(w, "handle", user->handle);
    yg_jw_kstr(w, "name", user->name.len ? user->name : user->email);
    yg_jw_object_end(w);
    bool triggered = r->rec->overall_state == YG_STATE_ALERT;
    put_s_or_null(w, "last_triggered_ts", triggered ? r->rec->overall_modified_ns : 0);
    put_s_or_null(w, "overall_state_modified", r->rec->overall_modified_ns);
    yg_jw_knull(w, "muted_until_ts");
    put_priority(w, r);
    yg_jw_k(w, "restricted_roles");
    yg_jw_raw(w, r->rec->restricted_roles_json.len ? r->rec->restricted_roles_json : YG_STR("[]"));
    yg_jw_ki64(w, "org_id", YG_API_ORG_ID);
    yg_jw_object_end(w);
}

static void put_group_row(struct yg_json_writer *w, const struct row *r) {
    const struct yg_group_record *g = r->group;
    bool total = yg_str_eq_c(g->group, "*");
    yg_str rest = total ? YG_STR("total") : g->group, piece;
    yg_jw_object(w);
    yg_jw_ki64(w, "monitor_id", r->rec->id);
    yg_jw_kstr(w, "monitor_name", r->rec->name);
    yg_jw_kstr(w, "group", rest);
    yg_jw_k(w, "group_tags");
    yg_jw_array(w);
    while (yg_str_split(&rest, ',', &piece))
        yg_jw_str(w, piece);
    yg_jw_array_end(w);
    yg_jw_kstr(w, "status", yg_str_c(yg_state_name(g->state)));
    yg_jw_ki64(w, "last_triggered_ts", g->last_triggered_ns / YG_NS_PER_S);
    yg_jw_ki64(w, "last_nodata_ts", g->last_nodata_ns / YG_NS_PER_S);
    yg_jw_kbool(w, "muted", false);
    yg_jw_knull(w, "muted_until_ts");
    yg_jw_knull(w, "muted_remaining");
    put_strings(w, "downtimes", NULL, 0, (yg_str){"", 0});
    put_strings(w, "all_tags", r->tags, r->tag_count, (yg_str){"", 0});
    put_strings(w, "env_tags", r->tags, r->tag_count, YG_STR("env:"));
    put_strings(w, "team_tags", r->tags, r->tag_count, YG_STR("team:"));
    put_priority(w, r);
    yg_jw_object_end(w);
}

static yg_rc put_answer(struct search *s, bool by_group, struct yg_json_writer *w,
                        struct yg_err *err) {
    int64_t from = s->page * s->per_page;
    yg_jw_object(w);
    YG_TRY(put_counts(s, w, err));
    yg_jw_key(w, by_group ? YG_STR("groups") : YG_STR("monitors"));
    yg_jw_array(w);
    for (int64_t i = from; i < (int64_t)s->count && i < from + s->per_page; i++) {
        if (by_group)
            put_group_row(w, &s->rows[i]);
        else
            put_monitor_row(s, w, &s->rows[i]);
    }
    yg_jw_array_end(w);
    yg_jw_k(w, "metadata");
    yg_jw_object(w);
    yg_jw_ki64(w, "total_count", s->count);
    yg_jw_ki64(w, "page_count", (s->count + s->per_page - 1) / s->per_page);
    yg_jw_ki64(w, "page", s->page);
    yg_jw_ki64(w, "per_page", s->per_page);
    yg_jw_object_end(w);
    yg_jw_object_end(w);
    return YG_OK;
}

// ---------------------------------------------------------------- handlers

static yg_rc number(struct yg_http_request *req, const char *name, int64_t otherwise, int64_t low,
                    int64_t high, int64_t *ret, struct yg_err *err) {
    bool found;
    yg_str text = yg_http_query(req, name, &found);
    *ret = otherwise;
    if (found && text.len && (!yg_str_to_i64(text, ret) || *ret < low || *ret > high))
        return yg_fail(err, YG_EINPUT, "Invalid parameter %s", name);
    return YG_OK;
}

static yg_rc search(struct search *s, bool by_group, struct yg_json_writer *w, struct yg_err *err) {
    struct yg_http_request *req = s->req;
    struct yg_search_options options = {.track = YG_TRACK_LOGS};
    struct yg_node *query;
    YG_TRY(number(req, "page", 0, 0, INT32_MAX, &s->page, err));
    YG_TRY(number(req, "per_page", PER_PAGE, 1, PER_PAGE_MAX, &s->per_page, err));
    yg_str text = yg_http_query(req, "query", NULL);
    if (yg_search_parse(text, &options, s->arena, &query, err) != YG_OK)
        return yg_err_wrap(err, "Query parsing error");
    YG_TRY(check_statuses(query, 0, err));
    YG_TRY(find(s, query, by_group, err));
    sort_rows(s);
    return put_answer(s, by_group, w, err);
}

static void answer(struct yg_http_request *take_req, bool by_group) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, ARENA_BYTES);
    struct search s = {.req = take_req, .arena = arena};
    struct yg_err err = {0};
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    if (search(&s, by_group, &w, &err) == YG_OK) {
        yg_api_reply(take_req, 200, &body);
        return;
    }
    yg_buf_fini(&body);
    yg_api_reply_err(take_req, &err);
}

void yg_api_monitor_search(struct yg_http_request *take_req) {
    answer(take_req, false);
}
void yg_api_monitor_group_search(struct yg_http_request *take_req) {
    answer(take_req, true);
}
