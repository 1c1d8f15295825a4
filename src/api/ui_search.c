// SPDX-License-Identifier: Apache-2.0
// GET Y/search/{track}: events newest first in slices of time: what is found so far, how far the
// search got, and a cursor to go on with. Whoever stops asking has cancelled it.
#include "api/api_events.h"
#include "api/ui.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
#define BUDGET_MS_DEFAULT 200
#define BUDGET_MS_MAX 5000

struct search {
    struct yg_http_request *req;
    struct yg_api *api;
    struct yg_arena *arena;
    struct yg_event_query query;
    void (*put_item)(struct yg_json_writer *w, const struct yg_row *row);
};

static bool nobody_waits(void *arg) {
    return yg_http_gone(arg);
}

static yg_rc read_track(struct search *s, struct yg_err *err) {
    static const struct {
        const char *name;
        enum yg_track track;
        void (*put_item)(struct yg_json_writer *w, const struct yg_row *row);
    } tracks[] = {{"logs", YG_TRACK_LOGS, yg_event_put_log},
                  {"spans", YG_TRACK_SPANS, yg_event_put_span},
                  {"events", YG_TRACK_EVENTS, yg_event_put_event}};
    for (size_t i = 0; i < sizeof(tracks) / sizeof(tracks[0]); i++)
        if (yg_str_eq_c(s->req->params[0], tracks[i].name)) {
            s->query.track = tracks[i].track;
            s->put_item = tracks[i].put_item;
            return YG_OK;
        }
    return yg_fail(err, YG_ENOTFOUND, "track: logs, spans or events");
}

static yg_rc read_number(struct search *s, const char *name, int64_t max, int64_t *value,
                         struct yg_err *err) {
    yg_str text = yg_http_query(s->req, name, NULL);
    if (text.len > 0 && (!yg_str_to_i64(text, value) || *value < 1 || *value > max))
        return yg_fail(err, YG_EINPUT, "%s: 1 to %lld", name, (long long)max);
    return YG_OK;
}

// "<sort value>:<number>" as put_answer writes it.
static yg_rc read_cursor(struct search *s, struct yg_err *err) {
    yg_str text = yg_http_query(s->req, "cursor", NULL);
    if (text.len == 0)
        return YG_OK;
    size_t colon = yg_str_find_char(text, ':', 0);
    struct yg_cursor_pos *after = &s->query.after;
    if (colon == SIZE_MAX || !yg_str_to_i64(yg_str_sub(text, 0, colon), &after->sort_value) ||
        !yg_str_to_i64(yg_str_sub(text, colon + 1, text.len), &after->seq) ||
        after->sort_value == INT64_MIN || after->sort_value == INT64_MAX)
        return yg_fail(err, YG_EINPUT, "cursor: not one that this call gave");
    after->set = true;
    return YG_OK;
}

static yg_rc read_request(struct search *s, struct yg_err *err) {
    int64_t limit = LIMIT_DEFAULT, budget_ms = BUDGET_MS_DEFAULT;
    struct yg_node *tree = NULL;
    YG_TRY(read_track(s, err));
    struct yg_search_options options = {.track = s->query.track};
    YG_TRY(yg_search_parse(yg_http_query(s->req, "q", NULL), &options, s->arena, &tree, err));
    YG_TRY(yg_ui_range_of(s->req, &s->query.range, err));
    YG_TRY(read_number(s, "limit", LIMIT_MAX, &limit, err));
    YG_TRY(read_number(s, "budget_ms", BUDGET_MS_MAX, &budget_ms, err));
    YG_TRY(read_cursor(s, err));
    s->query.filter = tree;
    s->query.limit = (uint32_t)limit;
    s->query.slice_mono_ns = yg_mono_ns(&yg_clock_system) + budget_ms * YG_NS_PER_MS;
    s->query.deadline_mono_ns = yg_ui_deadline(s->api);
    s->query.canceled = nobody_waits;
    s->query.canceled_arg = s->req;
    return YG_OK;
}

static void put_answer(struct search *s, const struct yg_search_result *r, struct yg_buf *out) {
    struct yg_json_writer w = YG_JSON_WRITER(out);
    yg_jw_object(&w);
    yg_ui_put_range(&w, s->query.range);
    yg_jw_k(&w, "data");
    yg_jw_array(&w);
    for (uint32_t i = 0; i < r->count; i++)
        s->put_item(&w, &r->rows[i]);
    yg_jw_array_end(&w);
    yg_jw_k(&w, "cursor");
    if (r->more)
        yg_jw_str(&w, yg_arena_printf(s->arena, "%lld:%lld", (long long)r->next.sort_value,
                                      (long long)r->next.seq));
    else
        yg_jw_null(&w);
    yg_jw_kbool(&w, "sliced", r->sliced);
    int64_t reached_ns = r->sliced ? r->reached_ns
                         : r->more ? r->rows[r->count - 1].time_ns
                                   : s->query.range.from_ns;
    yg_jw_k(&w, "progress");
    yg_jw_object(&w);
    yg_jw_ki64(&w, "bytes", (int64_t)r->bytes_done);
    yg_jw_ki64(&w, "bytes_total", (int64_t)r->bytes_total);
    yg_jw_ki64(&w, "reached_ms", reached_ns / YG_NS_PER_MS);
    yg_jw_object_end(&w);
    yg_jw_kbool(&w, "partial", r->warnings.count > 0);
    yg_jw_object_end(&w);
}

void yg_ui_search(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 96u << 20);
    struct search s = {.req = take_req, .api = take_req->ctx, .arena = arena};
    struct yg_search_result result = {0};
    yg_rc rc = arena ? read_request(&s, &err) : yg_fail(&err, YG_ENOMEM, "no memory for a search");
    if (rc == YG_OK)
        rc = yg_events_search(s.api->store, &s.query, true, arena, &result, &err);
    if (rc != YG_OK) {
        yg_ui_reply_err(take_req, &err);
        return;
    }
    struct yg_buf out = yg_api_buf();
    put_answer(&s, &result, &out);
    yg_ui_reply(take_req, &out);
}
