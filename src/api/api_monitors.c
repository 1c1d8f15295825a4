// SPDX-License-Identifier: Apache-2.0
// /api/v1/monitor: create, read, update, delete, list, validate; the routes of the integrations.
//
// Writes go to meta first and are then taken over by the running set, so the next GET and the next
// evaluation see them.
// Source: DataDog/datadog-api-client-typescript cassettes, v1 Monitors;
// DataDog/terraform-provider-datadog datadog/resource_datadog_monitor.go.
#include "api/monitor_json.h"

#define PAGE_SIZE 100
#define PAGE_SIZE_MAX 1000
#define IDS_MAX 1000
#define LIST_ARENA_BYTES (256u << 20) // every monitor with its groups

static struct yg_api *api_of(const struct yg_http_request *req) {
    return req->ctx;
}

// The monitor's id of the path; false: answered 404.
static bool path_id(struct yg_http_request *take_req, int64_t *ret_id) {
    if (yg_str_to_i64(take_req->params[0], ret_id) && *ret_id > 0)
        return true;
    yg_api_reply_error(take_req, 404, "Monitor not found");
    return false;
}

static void reply_monitor(struct yg_http_request *take_req, const struct yg_monitor_record *rec,
                          const struct yg_monitor_json_show *show) {
    struct yg_err err = {0};
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    const struct yg_user *user = yg_meta_user(api_of(take_req)->meta);
    if (yg_monitor_json_put(&w, rec, user, show, take_req->arena, &err) == YG_OK) {
        yg_api_reply(take_req, 200, &body);
        return;
    }
    yg_buf_fini(&body);
    yg_api_reply_err(take_req, &err);
}

// ---------------------------------------------------------------- checks

// Takes the body over *rec and checks the whole: fills multi and a missing name.
static yg_rc read_and_check(const struct yg_json_node *body, struct yg_arena *arena,
                            struct yg_monitor_record *rec, struct yg_monitor_def **ret_def,
                            struct yg_err *err) {
    YG_TRY(yg_monitor_json_read(body, arena, rec, err));
    YG_TRY(yg_monitor_parse(rec, arena, ret_def, err));
    rec->multi = (*ret_def)->multi && !(*ret_def)->simple;
    if (rec->name.len == 0)
        rec->name = yg_monitor_default_name(*ret_def, arena);
    // A cumulative window makes the service call a "metric alert" a "query alert".
    if ((*ret_def)->cumulative && yg_str_eq_c(rec->type, "metric alert"))
        rec->type = YG_STR("query alert");
    return YG_OK;
}

static bool same_keys(const struct yg_monitor_def *a, const struct yg_monitor_def *b) {
    if (a->kind != b->kind || a->simple != b->simple || a->key_count != b->key_count ||
        a->notify_by_count != b->notify_by_count)
        return false;
    for (uint32_t i = 0; i < a->key_count; i++)
        if (!yg_str_eq(a->keys[i], b->keys[i]))
            return false;
    for (uint32_t i = 0; i < a->notify_by_count; i++)
        if (!yg_str_eq(a->notify_by[i], b->notify_by[i]))
            return false;
    return true;
}

static yg_rc take_over(struct yg_api *api, int64_t id, struct yg_err *err) {
    return api->monitors ? yg_monitors_reload(api->monitors, id, err) : YG_OK;
}

static void monitor_validate(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_monitor_record rec = {0};
    struct yg_monitor_def *def;
    struct yg_err err = {0};
    if (!yg_api_body_json(take_req, &body))
        return;
    if (read_and_check(body, take_req->arena, &rec, &def, &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        yg_http_reply_text(take_req, 200, "application/json", YG_STR("{}"));
}

static void monitor_validate_existing(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_monitor_record rec;
    struct yg_monitor_def *def;
    struct yg_err err = {0};
    int64_t id;
    if (!path_id(take_req, &id) || !yg_api_body_json(take_req, &body))
        return;
    yg_rc rc = yg_meta_monitor_get(api_of(take_req)->meta, id, take_req->arena, &rec, &err);
    if (rc == YG_OK)
        rc = read_and_check(body, take_req->arena, &rec, &def, &err);
    if (rc != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        yg_http_reply_text(take_req, 200, "application/json", YG_STR("{}"));
}

// ---------------------------------------------------------------- create, read, update, delete

static yg_rc create(struct yg_api *api, const struct yg_json_node *body, struct yg_arena *arena,
                    struct yg_monitor_record *rec, struct yg_err *err) {
    struct yg_monitor_def *def;
    int64_t id;
    YG_TRY(read_and_check(body, arena, rec, &def, err));
    YG_TRY(yg_meta_monitor_put(api->meta, rec, false, &id, err));
    YG_TRY(yg_meta_monitor_get(api->meta, id, arena, rec, err));
    return take_over(api, id, err);
}

static void monitor_create(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_monitor_record rec = {0};
    struct yg_err err = {0};
    if (!yg_api_body_json(take_req, &body))
        return;
    if (create(api_of(take_req), body, take_req->arena, &rec, &err) != YG_OK) {
        yg_api_reply_err(take_req, &err);
        return;
    }
    struct yg_monitor_json_show show = {.restriction_policy = true, .assets = true};
    reply_monitor(take_req, &rec, &show);
}

static yg_rc update(struct yg_api *api, int64_t id, const struct yg_json_node *body,
                    struct yg_arena *arena, struct yg_monitor_record *rec, struct yg_err *err) {
    struct yg_monitor_def *old_def = NULL, *def;
    struct yg_err ignored = {0};
    YG_TRY(yg_meta_monitor_get(api->meta, id, arena, rec, err));
    if (yg_monitor_parse(rec, arena, &old_def, &ignored) != YG_OK)
        old_def = NULL;
    YG_TRY(read_and_check(body, arena, rec, &def, err));
    bool reset = !old_def || !same_keys(old_def, def);
    YG_TRY(yg_meta_monitor_put(api->meta, rec, reset, NULL, err));
    YG_TRY(yg_meta_monitor_get(api->meta, id, arena, rec, err));
    YG_TRY(take_over(api, id, err));
    if (api->monitors && def->notify_audit)
        return yg_monitors_audit(api->monitors, id, "was changed", err);
    return YG_OK;
}

static void monitor_update(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_monitor_record rec = {0};
    struct yg_err err = {0};
    int64_t id;
    if (!path_id(take_req, &id) || !yg_api_body_json(take_req, &body))
        return;
    if (update(api_of(take_req), id, body, take_req->arena, &rec, &err) != YG_OK) {
        yg_api_reply_err(take_req, &err);
        return;
    }
    struct yg_monitor_json_show show = {.restriction_policy = true, .assets = true};
    reply_monitor(take_req, &rec, &show);
}

// Bits of the states that group_states names; false: it names something else.
static bool parse_group_states(yg_str text, uint32_t *ret_bits) {
    yg_str rest = text, piece;
    *ret_bits = 0;
    while (yg_str_split(&rest, ',', &piece)) {
        enum yg_monitor_state s;
        piece = yg_str_trim(piece);
        if (yg_str_eq_nocase(piece, YG_STR("all")))
            *ret_bits = UINT32_MAX;
        else if (yg_state_parse(piece, &s))
            *ret_bits |= 1u << s;
        else
            return false;
    }
    return true;
}

static bool flag(struct yg_http_request *req, const char *name) {
    return yg_str_eq_nocase(yg_http_query(req, name, NULL), YG_STR("true"));
}

// What a GET asks to be shown; false: answered 400.
static bool show_asked(struct yg_http_request *take_req, struct yg_monitor_json_show *show) {
    bool found;
    yg_str states = yg_http_query(take_req, "group_states", &found);
    *show = (struct yg_monitor_json_show){.restriction_policy =
                                              flag(take_req, "with_restriction_policy"),
                                          .assets = flag(take_req, "with_assets"),
                                          .downtimes = flag(take_req, "with_downtimes"),
                                          .states = found && states.len > 0};
    show->no_restricted_roles =
        yg_str_eq_nocase(yg_http_query(take_req, "with_restricted_roles", NULL), YG_STR("false"));
    if (!show->states || parse_group_states(states, &show->state_bits))
        return true;
    yg_api_reply_error(take_req, 400, "Invalid group_state filters.");
    return false;
}

static void monitor_get(struct yg_http_request *take_req) {
    struct yg_monitor_record rec;
    struct yg_monitor_json_show show;
    struct yg_err err = {0};
    struct yg_meta *meta = api_of(take_req)->meta;
    struct yg_group_record *groups;
    int64_t id;
    if (!path_id(take_req, &id) || !show_asked(take_req, &show))
        return;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, LIST_ARENA_BYTES);
    yg_rc rc = yg_meta_monitor_get(meta, id, arena, &rec, &err);
    if (rc == YG_OK && show.states) {
        rc = yg_meta_groups(meta, id, arena, &groups, &show.group_count, &err);
        show.groups = groups;
    }
    if (rc != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_monitor(take_req, &rec, &show);
}

// ---------------------------------------------------------------- references of composites

// Whether a composite's query names this id.
static bool names_id(yg_str query, int64_t id) {
    for (size_t i = 0; i < query.len;) {
        size_t start = i;
        int64_t v;
        while (i < query.len && query.ptr[i] >= '0' && query.ptr[i] <= '9')
            i++;
        if (i > start && yg_str_to_i64(yg_str_sub(query, start, i - start), &v) && v == id)
            return true;
        if (i == start)
            i++;
    }
    return false;
}

// "monitor [1,name] is referenced in composite monitors: [2,name]", or empty.
static yg_str reference_text(const struct yg_monitor_record *all, uint32_t count,
                             const struct yg_monitor_record *rec, struct yg_arena *arena) {
    yg_str text = {"", 0};
    for (uint32_t i = 0; i < count; i++) {
        if (!yg_str_eq_c(all[i].type, "composite") || !names_id(all[i].query, rec->id))
            continue;
        yg_str start = text.len ? text
                                : yg_arena_printf(arena,
                                                  "monitor [%lld,%.*s] is referenced in composite"
                                                  " monitors: ",
                                                  (long long)rec->id, YG_STR_FMT(rec->name));
        text = yg_arena_printf(arena, "%.*s%s[%lld,%.*s]", YG_STR_FMT(start), text.len ? ", " : "",
                               (long long)all[i].id, YG_STR_FMT(all[i].name));
    }
    return text;
}

static yg_rc delete_monitor(struct yg_api *api, int64_t id, bool force, struct yg_err *err) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, LIST_ARENA_BYTES);
    struct yg_monitor_record rec, *all;
    uint32_t count;
    YG_TRY(yg_meta_monitor_get(api->meta, id, arena, &rec, err));
    if (!force) {
        YG_TRY(yg_meta_monitor_list(api->meta, arena, &all, &count, err));
        yg_str text = reference_text(all, count, &rec, arena);
        if (text.len)
            return yg_fail(err, YG_EINPUT, "%.*s", YG_STR_FMT(text));
    }
    YG_TRY(yg_meta_monitor_delete(api->meta, id, err));
    return take_over(api, id, err);
}

static void monitor_delete(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    int64_t id;
    if (!path_id(take_req, &id))
        return;
    bool force = flag(take_req, "force");
    if (delete_monitor(api_of(take_req), id, force, &err) != YG_OK) {
        yg_api_reply_err(take_req, &err);
        return;
    }
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_ki64(&w, "deleted_monitor_id", id);
    yg_jw_object_end(&w);
    yg_api_reply(take_req, 200, &body);
}

struct can_delete {
    int64_t ids[IDS_MAX];
    yg_str reasons[IDS_MAX]; // empty: it can go
    uint32_t count;
    uint32_t refused;
};

static void put_can_delete(struct yg_json_writer *w, const struct can_delete *c) {
    yg_jw_object(w);
    yg_jw_k(w, "data");
    yg_jw_object(w);
    yg_jw_k(w, "ok");
    yg_jw_array(w);
    for (uint32_t i = 0; i < c->count; i++)
        if (c->reasons[i].len == 0)
            yg_jw_i64(w, c->ids[i]);
    yg_jw_array_end(w);
    yg_jw_object_end(w);
    yg_jw_k(w, "errors");
    if (c->refused == 0)
        yg_jw_null(w);
    else
        yg_jw_object(w);
    for (uint32_t i = 0; i < c->count; i++) {
        char key[24];
        if (c->reasons[i].len == 0)
            continue;
        snprintf(key, sizeof(key), "%lld", (long long)c->ids[i]);
        yg_jw_key(w, yg_str_c(key));
        yg_jw_array(w);
        yg_jw_str(w, c->reasons[i]);
        yg_jw_array_end(w);
    }
    if (c->refused)
        yg_jw_object_end(w);
    yg_jw_object_end(w);
}

static yg_rc can_delete_fill(struct yg_http_request *req, struct yg_arena *arena,
                             struct can_delete *c, struct yg_err *err) {
    struct yg_monitor_record *all;
    uint32_t count;
    yg_str rest = yg_http_query(req, "monitor_ids", NULL), piece;
    YG_TRY(yg_meta_monitor_list(api_of(req)->meta, arena, &all, &count, err));
    while (rest.len && yg_str_split(&rest, ',', &piece)) {
        const struct yg_monitor_record *rec = NULL;
        int64_t id;
        if (!yg_str_to_i64(yg_str_trim(piece), &id) || c->count == IDS_MAX)
            return yg_fail(err, YG_EINPUT, "Invalid parameter monitor_ids");
        for (uint32_t i = 0; i < count; i++)
            rec = all[i].id == id ? &all[i] : rec;
        if (!rec)
            return yg_fail(err, YG_ENOTFOUND, "Monitor not found");
        c->ids[c->count] = id;
        c->reasons[c->count] = reference_text(all, count, rec, arena);
        c->refused += c->reasons[c->count++].len > 0;
    }
    return YG_OK;
}

static void monitor_can_delete(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, LIST_ARENA_BYTES);
    struct can_delete *c = YG_NEW(arena, struct can_delete);
    yg_rc rc = c ? can_delete_fill(take_req, arena, c, &err)
                 : yg_fail(&err, YG_ENOMEM, "can_delete: no memory");
    if (rc != YG_OK) {
        yg_api_reply_err(take_req, &err);
        return;
    }
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    put_can_delete(&w, c);
    yg_api_reply(take_req, c->refused ? 409 : 200, &body);
}

// ---------------------------------------------------------------- list

struct list_filter {
    yg_str name, tags, monitor_tags;
    int64_t id_offset, page, page_size; // page < 0: all
};

static bool contains_nocase(yg_str text, yg_str part) {
    for (size_t i = 0; i + part.len <= text.len; i++)
        if (yg_str_eq_nocase(yg_str_sub(text, i, part.len), part))
            return true;
    return false;
}

// Every tag of the comma list is one of the monitor's.
static bool has_tags(yg_str list, yg_str tags_json, struct yg_arena *arena) {
    struct yg_err err = {0};
    struct yg_json_node *tags;
    if (yg_json_parse(tags_json, arena, &tags, &err) != YG_OK)
        return false;
    yg_str rest = list, piece;
    while (rest.len && yg_str_split(&rest, ',', &piece)) {
        bool found = false;
        for (const struct yg_json_node *t = tags->child; t; t = t->next)
            found |= yg_str_eq(t->str, yg_str_trim(piece));
        if (!found)
            return false;
    }
    return true;
}

// Every tag of the comma list stands in the query's scope.
static bool scoped_by(yg_str list, yg_str query) {
    yg_str rest = list, piece;
    while (rest.len && yg_str_split(&rest, ',', &piece))
        if (yg_str_find(query, yg_str_trim(piece), 0) == SIZE_MAX)
            return false;
    return true;
}

static bool list_matches(const struct list_filter *f, const struct yg_monitor_record *rec,
                         struct yg_arena *arena) {
    if (rec->id <= f->id_offset)
        return false;
    if (f->name.len && !contains_nocase(rec->name, f->name))
        return false;
    if (f->tags.len && !scoped_by(f->tags, rec->query))
        return false;
    return f->monitor_tags.len == 0 || has_tags(f->monitor_tags, rec->tags_json, arena);
}

static bool list_number(struct yg_http_request *take_req, const char *name, int64_t otherwise,
                        int64_t *ret) {
    bool found;
    yg_str text = yg_http_query(take_req, name, &found);
    *ret = otherwise;
    if (!found || text.len == 0 || (yg_str_to_i64(text, ret) && *ret >= 0))
        return true;
    yg_api_reply_error(take_req, 400, "Invalid parameter %s", name);
    return false;
}

static bool list_asked(struct yg_http_request *take_req, struct list_filter *f) {
    f->name = yg_http_query(take_req, "name", NULL);
    f->tags = yg_http_query(take_req, "tags", NULL);
    f->monitor_tags = yg_http_query(take_req, "monitor_tags", NULL);
    if (!list_number(take_req, "id_offset", 0, &f->id_offset) ||
        !list_number(take_req, "page", -1, &f->page) ||
        !list_number(take_req, "page_size", 0, &f->page_size))
        return false;
    if (f->page_size > PAGE_SIZE_MAX)
        f->page_size = PAGE_SIZE_MAX;
    if (f->page >= 0 && f->page_size == 0)
        f->page_size = PAGE_SIZE;
    return true;
}

// arena holds the records; scratch is emptied after each monitor.
static yg_rc list_put(struct yg_meta *meta, const struct list_filter *f,
                      struct yg_monitor_json_show *show, struct yg_arena *arena,
                      struct yg_arena *scratch, struct yg_json_writer *w, struct yg_err *err) {
    struct yg_monitor_record *recs;
    struct yg_group_record *groups = NULL;
    uint32_t count, group_count = 0;
    int64_t seen = 0, skip = f->page > 0 ? f->page * f->page_size : 0;
    YG_TRY(yg_meta_monitor_list(meta, arena, &recs, &count, err));
    if (show->states)
        YG_TRY(yg_meta_groups(meta, 0, arena, &groups, &group_count, err));
    yg_jw_array(w);
    for (uint32_t i = 0, g = 0; i < count; i++) {
        while (g < group_count && groups[g].monitor_id < recs[i].id)
            g++;
        yg_arena_reset(scratch);
        show->groups = groups + g; // both lists are ordered by monitor
        show->group_count = 0;
        while (g < group_count && groups[g].monitor_id == recs[i].id) {
            show->group_count++;
            g++;
        }
        if (!list_matches(f, &recs[i], scratch) || seen++ < skip)
            continue;
        if (f->page_size > 0 && seen > skip + f->page_size)
            break;
        YG_TRY(yg_monitor_json_put(w, &recs[i], yg_meta_user(meta), show, scratch, err));
    }
    yg_jw_array_end(w);
    return YG_OK;
}

static void monitor_list(struct yg_http_request *take_req) {
    struct yg_monitor_json_show show;
    struct list_filter f;
    struct yg_err err = {0};
    if (!show_asked(take_req, &show) || !list_asked(take_req, &f))
        return;
    show.downtimes = true; // recorded in lists, asked for or not
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, LIST_ARENA_BYTES);
    YG_AUTO_ARENA scratch = yg_arena_create(YG_MEM_QUERY, LIST_ARENA_BYTES);
    if (list_put(api_of(take_req)->meta, &f, &show, arena, scratch, &w, &err) == YG_OK) {
        yg_api_reply(take_req, 200, &body);
        return;
    }
    yg_buf_fini(&body);
    yg_api_reply_err(take_req, &err);
}

#define HOOKS "/api/v1/integration/webhooks/configuration/webhooks"
#define VARS "/api/v1/integration/webhooks/configuration/custom-variables"
#define CHANNELS "/api/v1/integration/slack/configuration/accounts/{account}/channels"

const struct yg_route yg_api_monitors_routes[] = {
    {YG_GET, "/api/v1/monitor", 0, YG_ACCESS_FULL, monitor_list},
    {YG_POST, "/api/v1/monitor", YG_API_BODY_MAX, YG_ACCESS_FULL, monitor_create},
    {YG_POST, "/api/v1/monitor/validate", YG_API_BODY_MAX, YG_ACCESS_FULL, monitor_validate},
    {YG_GET, "/api/v1/monitor/can_delete", 0, YG_ACCESS_FULL, monitor_can_delete},
    {YG_GET, "/api/v1/monitor/search", 0, YG_ACCESS_FULL, yg_api_monitor_search},
    {YG_GET, "/api/v1/monitor/groups/search", 0, YG_ACCESS_FULL, yg_api_monitor_group_search},
    {YG_GET, "/api/v1/monitor/{id}", 0, YG_ACCESS_FULL, monitor_get},
    {YG_PUT, "/api/v1/monitor/{id}", YG_API_BODY_MAX, YG_ACCESS_FULL, monitor_update},
    {YG_DELETE, "/api/v1/monitor/{id}", YG_API_BODY_MAX, YG_ACCESS_FULL, monitor_delete},
    {YG_POST, "/api/v1/monitor/{id}/validate", YG_API_BODY_MAX, YG_ACCESS_FULL,
     monitor_validate_existing},
    {YG_POST, HOOKS, YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_webhook_create},
    {YG_GET, HOOKS "/{name}", 0, YG_ACCESS_FULL, yg_api_webhook_get},
    {YG_PUT, HOOKS "/{name}", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_webhook_update},
    {YG_DELETE, HOOKS "/{name}", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_webhook_delete},
    {YG_POST, VARS, YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_variable_create},
    {YG_GET, VARS "/{name}", 0, YG_ACCESS_FULL, yg_api_variable_get},
    {YG_PUT, VARS "/{name}", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_variable_update},
    {YG_DELETE, VARS "/{name}", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_variable_delete},
    {YG_POST | YG_PUT, "/api/v1/integration/slack", YG_API_BODY_MAX, YG_ACCESS_FULL,
     yg_api_slack_create},
    {YG_GET, "/api/v1/integration/slack", 0, YG_ACCESS_FULL, yg_api_slack_get},
    {YG_DELETE, "/api/v1/integration/slack", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_slack_delete},
    {YG_GET, CHANNELS, 0, YG_ACCESS_FULL, yg_api_channel_list},
    {YG_POST, CHANNELS, YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_channel_create},
    {YG_GET, CHANNELS "/{channel}", 0, YG_ACCESS_FULL, yg_api_channel_get},
    {YG_PATCH, CHANNELS "/{channel}", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_channel_update},
    {YG_DELETE, CHANNELS "/{channel}", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_api_channel_delete},
    {0},
};
