// SPDX-License-Identifier: Apache-2.0
// POST and GET Y/data/delete: rows deleted on request, and how far that is (docs/api.md).
#include "api/ui.h"
#include "base/log.h"

static bool track_of(yg_str name, enum yg_track *ret_track) {
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        if (yg_str_eq_c(name, yg_track_name((enum yg_track)t))) {
            *ret_track = (enum yg_track)t;
            return true;
        }
    return false;
}

static void put_deletion(void *ctx, const struct yg_deletion_info *info) {
    struct yg_json_writer *w = ctx;
    yg_jw_object(w);
    yg_jw_ki64(w, "id", (int64_t)info->id);
    yg_jw_kstr(w, "track", yg_str_c(yg_track_name(info->track)));
    yg_ui_put_range(w, info->range);
    yg_jw_kstr(w, "query", yg_str_c(info->query));
    yg_jw_ki64(w, "created_ms", yg_ui_ms(info->created_ns));
    yg_jw_ki64(w, "rows_removed", (int64_t)info->rows_removed);
    yg_jw_ki64(w, "files_left", info->segments_left);
    yg_jw_ki64(w, "files_damaged", info->segments_damaged);
    yg_jw_kbool(w, "done", info->done);
    yg_jw_object_end(w);
}

void yg_ui_data_deletions(struct yg_http_request *take_req) {
    const struct yg_api *api = take_req->ctx;
    struct yg_buf out = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    yg_jw_object(&w);
    yg_jw_k(&w, "deletions");
    yg_jw_array(&w);
    yg_store_deletions(api->store, put_deletion, &w);
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    yg_ui_reply(take_req, &out);
}

// A member that is a time; what is deleted is never left to a default.
static bool has_time(const struct yg_json_node *root, const char *key, yg_str *ret_text) {
    const struct yg_json_node *node = yg_json_get(root, key);
    *ret_text = yg_json_is(node, YG_JSON_INT) ? node->raw : yg_json_str_or(node, (yg_str){0});
    return ret_text->len > 0;
}

// The search. A misspelt or odd one must not read as "all rows".
static yg_rc read_query(const struct yg_json_node *root, yg_str *ret_query, struct yg_err *err) {
    static const char *const known[] = {"track", "from", "to", "query"};
    for (const struct yg_json_node *m = root->child; m; m = m->next) {
        size_t k = 0;
        while (k < sizeof(known) / sizeof(known[0]) && !yg_str_eq_c(m->key, known[k]))
            k++;
        if (k == sizeof(known) / sizeof(known[0]))
            return yg_fail(err, YG_EINPUT, "%.*s: only track, from, to and query are known here",
                           YG_STR_FMT(yg_str_sub(m->key, 0, 60)));
    }
    const struct yg_json_node *node = yg_json_get(root, "query");
    if (node && !yg_json_is(node, YG_JSON_STRING))
        return yg_fail(err, YG_EINPUT, "query: a text is expected");
    *ret_query = yg_json_str_or(node, YG_STR(""));
    return YG_OK;
}

static void reply_taken(struct yg_http_request *take_req, uint64_t id) {
    struct yg_buf out = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    yg_jw_object(&w);
    yg_jw_ki64(&w, "id", (int64_t)id);
    yg_jw_object_end(&w);
    yg_api_reply(take_req, 202, &out);
}

void yg_ui_data_delete(struct yg_http_request *take_req) {
    struct yg_api *api = take_req->ctx;
    struct yg_json_node *root;
    struct yg_err err = {0};
    if (yg_api_body_parse(take_req, &root, &err) != YG_OK) {
        yg_ui_reply_error(take_req, yg_api_status(err.rc), "Bad request", 0, "%s", err.text);
        return;
    }
    enum yg_track track;
    yg_str from, to;
    if (!track_of(yg_json_str_or(yg_json_get(root, "track"), YG_STR("")), &track)) {
        yg_ui_reply_error(take_req, 400, "Bad request", 0,
                          "track: one of logs, spans, traces, events, ci, signals");
        return;
    }
    if (!has_time(root, "from", &from) || !has_time(root, "to", &to)) {
        yg_ui_reply_error(take_req, 400, "Bad request", 0, "from and to are both needed");
        return;
    }
    yg_str query;
    struct yg_time_range range;
    uint64_t id;
    yg_rc rc = read_query(root, &query, &err);
    if (rc == YG_OK)
        rc = yg_ui_range(api, from, to, &range, &err);
    if (rc == YG_OK)
        rc = yg_store_delete(api->store, track, range, query, &id, &err);
    if (rc != YG_OK) {
        yg_ui_reply_err(take_req, &err);
        return;
    }
    yg_log(YG_LOG_INFO, "audit", "rows are deleted on request", YG_KV_INT("deletion", id),
           YG_KV_C("track", yg_track_name(track)), YG_KV_INT("from_ms", yg_ui_ms(range.from_ns)),
           YG_KV_INT("to_ms", yg_ui_ms(range.to_ns)), YG_KV_INT("query_bytes", query.len));
    reply_taken(take_req, id);
}
