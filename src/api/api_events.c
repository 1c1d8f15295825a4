// SPDX-License-Identifier: Apache-2.0
// Search over events for any track: request → query → page of items with a cursor.
//
// Source: recorded requests and answers of DataDog/datadog-api-client-typescript
// cassettes/v2/Logs_*, Spans_*, Events_*.
#include "api/api_events.h"

#include <inttypes.h>

#include "base/rand.h"
#include "codec/text.h"

#define QUERY_SECONDS_MAX 30
#define PAGE_DEFAULT 10
#define PAGE_MAX 1000
#define CALL_MEMORY_BYTES (96u << 20)
#define BAD_CURSOR                                                                                 \
    "{'errors': [u\"input_validation_error(Field 'page' is invalid: invalid cursor)\"]}"

// ------------------------------------------------------------ begin, refuse, end

static bool gone(void *arg) {
    return yg_http_gone(arg);
}

bool yg_event_begin(struct yg_http_request *take_req, const struct yg_event_family *family,
                    struct yg_event_call *ret_call) {
    struct yg_api *api = take_req->ctx;
    struct yg_event_call c = {
        .req = take_req, .family = family, .api = api, .link_path = family->list_path};
    if (take_req->method == YG_POST && family->search_link_path)
        c.link_path = family->search_link_path;
    c.arena = yg_arena_create(YG_MEM_QUERY, CALL_MEMORY_BYTES);
    if (c.arena == NULL) {
        yg_api_reply_error(take_req, 503, "no memory for a query; try again later");
        return false;
    }
    c.now_ns = yg_now_ns(api->clock);
    c.query.track = family->track;
    c.query.canceled = gone;
    c.query.canceled_arg = take_req;
    c.query.deadline_mono_ns = yg_mono_ns(&yg_clock_system) + QUERY_SECONDS_MAX * YG_NS_PER_S;
    *ret_call = c;
    return true;
}

void yg_event_end(struct yg_event_call *c) {
    yg_arena_destroy(c->arena);
}

yg_rc yg_event_refuse(struct yg_event_call *c, struct yg_err *err, const char *field,
                      const char *fmt, ...) {
    char reason[180];
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);
    (void)c;
    return yg_fail(err, YG_EINPUT, "invalid_argument(Field '%s' is invalid: %s)", field, reason);
}

// The window is the one fault that answers 422.
static uint16_t status_of(const struct yg_err *err) {
    if (err->rc == YG_EINPUT && strstr(err->text, "'from' should be anterior to 'to'"))
        return 422;
    return yg_api_status(err->rc);
}

void yg_event_reply_err(struct yg_event_call *c, const struct yg_err *err) {
    if (err->rc != YG_EINPUT) { // one form, with Retry-After where it helps
        yg_api_reply_err(c->req, err);
        return;
    }
    if (!c->family->wrapped || strcmp(err->text, BAD_CURSOR) == 0 ||
        strstr(err->text, "API input validation failed") == err->text) {
        yg_api_reply_error(c->req, status_of(err), "%s", err->text);
        return;
    }
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_k(&w, "errors");
    yg_jw_array(&w);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "title", YG_STR("Generic Error"));
    yg_jw_kstr(&w, "detail", yg_str_c(err->text));
    yg_jw_object_end(&w);
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    struct yg_http_reply reply = {
        .status = status_of(err), .content_type = c->family->content_type, .body = body};
    yg_http_reply(c->req, &reply);
}

void yg_event_reply(struct yg_event_call *c, const char *content_type, struct yg_buf *take_json) {
    struct yg_err err = {0};
    if (yg_buf_ok(take_json, &err) != YG_OK) {
        yg_buf_fini(take_json);
        yg_api_reply_error(c->req, 413, "the answer would exceed %u bytes: ask for less",
                           YG_API_ANSWER_MAX);
        return;
    }
    struct yg_http_reply reply = {.status = 200, .content_type = content_type};
    yg_buf_move(take_json, &reply.body);
    yg_http_reply(c->req, &reply);
}

void yg_event_put_meta(struct yg_json_writer *w, const struct yg_event_call *c,
                       const struct yg_warnings *warnings) {
    char id[33];
    yg_api_request_id(id);
    yg_jw_ki64(w, "elapsed", (yg_mono_ns(&yg_clock_system) - c->req->mono_start_ns) / YG_NS_PER_MS);
    yg_jw_kstr(w, "request_id", yg_str_c(id));
    yg_jw_kstr(w, "status", YG_STR("done"));
    if (warnings->count == 0)
        return;
    yg_jw_k(w, "warnings");
    yg_jw_array(w);
    for (uint32_t i = 0; i < warnings->count && i < 16; i++) {
        yg_jw_object(w);
        yg_jw_kstr(w, "code", YG_STR("damaged_data"));
        yg_jw_kstr(w, "title", YG_STR("Some stored rows could not be read"));
        yg_jw_kstr(w, "detail", warnings->text[i]);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
}

// ------------------------------------------------------------ reading a filter

// A string, or a number as its text; empty when absent.
static yg_str text_member(const struct yg_json_node *node, const char *key) {
    const struct yg_json_node *v = yg_json_get(node, key);
    if (yg_json_is(v, YG_JSON_STRING) || yg_json_is(v, YG_JSON_INT) ||
        yg_json_is(v, YG_JSON_DOUBLE))
        return v->str;
    return (yg_str){0};
}

static yg_rc read_range(struct yg_event_call *c, struct yg_err *err) {
    struct yg_time_range *r = &c->query.range;
    yg_str from = c->from_text.len ? c->from_text : YG_STR("now-15m");
    yg_str to = c->to_text.len ? c->to_text : YG_STR("now");
    if (!yg_query_time_parse(from, c->now_ns, &r->from_ns))
        return yg_event_refuse(c, err, "filter.from", "'%.*s' is no time",
                               (int)(from.len < 60 ? from.len : 60), from.ptr);
    if (!yg_query_time_parse(to, c->now_ns, &r->to_ns))
        return yg_event_refuse(c, err, "filter.to", "'%.*s' is no time",
                               (int)(to.len < 60 ? to.len : 60), to.ptr);
    if (r->from_ns < 0) // nothing is older than 1970, and differences stay in range
        r->from_ns = 0;
    if (r->from_ns >= r->to_ns)
        return yg_event_refuse(c, err, "filter.from,to", "'from' should be anterior to 'to'");
    return YG_OK;
}

static yg_rc read_query(struct yg_event_call *c, struct yg_err *err) {
    struct yg_search_options options = {.track = c->query.track};
    struct yg_err reason = {0};
    struct yg_node *tree = NULL;
    yg_rc rc = yg_search_parse(c->query_text, &options, c->arena, &tree, &reason);
    if (rc == YG_EINPUT)
        return yg_event_refuse(c, err, "filter.query", "%s", reason.text);
    if (rc != YG_OK) {
        *err = reason;
        return rc;
    }
    c->query.filter = tree;
    return YG_OK;
}

// There is one index, "main".
static bool index_exists(yg_str name) {
    return yg_str_eq_c(name, "main") || yg_str_eq_c(name, "*");
}

static yg_rc read_indexes(struct yg_event_call *c, const struct yg_json_node *indexes,
                          struct yg_err *err) {
    if (!yg_json_is(indexes, YG_JSON_ARRAY_BEGIN) || indexes->count == 0)
        return YG_OK;
    c->no_index = true;
    for (const struct yg_json_node *i = indexes->child; i; i = i->next) {
        if (i->kind != YG_JSON_STRING)
            return yg_event_refuse(c, err, "filter.indexes", "a list of names is expected");
        c->no_index &= !index_exists(i->str);
        c->indexes_text = c->indexes_text.len
                              ? yg_arena_printf(c->arena, "%.*s,%.*s", YG_STR_FMT(c->indexes_text),
                                                YG_STR_FMT(i->str))
                              : i->str;
    }
    return YG_OK;
}

yg_rc yg_event_read_filter(struct yg_event_call *c, const struct yg_json_node *filter,
                           struct yg_err *err) {
    const struct yg_json_node *query = yg_json_get(filter, "query");
    if (query && query->kind != YG_JSON_STRING && query->kind != YG_JSON_NULL)
        return yg_event_refuse(c, err, "filter.query", "a string is expected");
    c->query_text = text_member(filter, "query");
    c->from_text = text_member(filter, "from");
    c->to_text = text_member(filter, "to");
    YG_TRY(read_range(c, err));
    YG_TRY(read_indexes(c, yg_json_get(filter, "indexes"), err));
    return read_query(c, err);
}

bool yg_event_body(struct yg_http_request *take_req, struct yg_json_node **ret_root) {
    *ret_root = NULL;
    return take_req->body.len == 0 || yg_api_body_json(take_req, ret_root);
}

yg_rc yg_event_read_body(struct yg_event_call *c, const struct yg_json_node *root,
                         const char *type_name, const struct yg_json_node **ret_attributes,
                         struct yg_err *err) {
    *ret_attributes = root;
    if (root == NULL && !c->family->wrapped) // clients may leave the body out
        return YG_OK;
    if (!yg_json_is(root, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "API input validation failed: the body must be an object.");
    if (!c->family->wrapped)
        return YG_OK;
    const struct yg_json_node *data = yg_json_get(root, "data");
    if (!yg_json_is(data, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT,
                       "API input validation failed: {'_schema': [{'detail': 'Object must include "
                       "`data` key.', 'source': {'pointer': '/'}}]}");
    const struct yg_json_node *type = yg_json_get(data, "type");
    if (type && !yg_str_eq_c(yg_json_str_or(type, (yg_str){0}), type_name))
        return yg_fail(err, YG_EINPUT,
                       "API input validation failed: Invalid type. Expected \"%s\".", type_name);
    *ret_attributes = yg_json_get(data, "attributes");
    return YG_OK;
}

// ------------------------------------------------------------ sort, page, cursor

static yg_rc read_sort(struct yg_event_call *c, yg_str sort, struct yg_err *err) {
    c->sort_text = sort;
    c->query.ascending = yg_str_eq_c(sort, "timestamp");
    if (sort.len > 0 && !c->query.ascending && !yg_str_eq_c(sort, "-timestamp"))
        return yg_event_refuse(c, err, "sort", "'timestamp' or '-timestamp' is expected");
    return YG_OK;
}

static yg_rc set_limit(struct yg_event_call *c, int64_t limit, struct yg_err *err) {
    if (limit < 1 || limit > PAGE_MAX)
        return yg_event_refuse(c, err, "page.limit", "1 to %d is allowed", PAGE_MAX);
    c->query.limit = (uint32_t)limit;
    return YG_OK;
}

// base64url of {"after":"<id>","values":[<sort value>,<number>]}.
static yg_rc read_cursor(struct yg_event_call *c, yg_str text, struct yg_err *err) {
    yg_str json;
    struct yg_json_node *root = NULL;
    if (text.len == 0)
        return YG_OK;
    bool ok = text.len <= 1024 && yg_base64_decode(text, c->arena, &json, NULL) == YG_OK &&
              yg_json_parse(json, c->arena, &root, NULL) == YG_OK;
    const struct yg_json_node *values = yg_json_get(root, "values");
    ok = ok && yg_json_is(values, YG_JSON_ARRAY_BEGIN) && values->count == 2 &&
         values->child->kind == YG_JSON_INT && values->child->next->kind == YG_JSON_INT;
    if (!ok)
        return yg_fail(err, YG_EINPUT, "%s", BAD_CURSOR);
    c->query.after = (struct yg_cursor_pos){
        .set = true, .sort_value = values->child->i64, .seq = values->child->next->i64};
    return YG_OK;
}

static yg_str make_cursor(const struct yg_event_call *c, const struct yg_row *row) {
    char id[YG_EVENT_ID_BYTES];
    yg_event_id(row, id);
    yg_str json =
        yg_arena_printf(c->arena, "{\"after\":\"%s\",\"values\":[%" PRId64 ",%" PRId64 "]}", id,
                        row->sort_value, row->seq);
    struct yg_buf out = YG_BUF(YG_MEM_QUERY, 512);
    yg_base64_put(&out, json, true);
    yg_str copy = yg_arena_str(c->arena, yg_buf_str(&out));
    yg_buf_fini(&out);
    return copy;
}

// ------------------------------------------------------------ answer

static void put_param(struct yg_buf *url, const char *encoded_key, yg_str value) {
    if (value.len == 0)
        return;
    char last = url->len ? url->ptr[url->len - 1] : '?';
    if (last != '?')
        yg_buf_putc(url, '&');
    yg_buf_puts(url, yg_str_c(encoded_key));
    yg_buf_putc(url, '=');
    yg_url_put(url, value);
}

static void put_next_link(struct yg_json_writer *w, const struct yg_event_call *c, yg_str cursor) {
    YG_AUTO(yg_buf) url = YG_BUF(YG_MEM_QUERY, 256u << 10);
    char limit[16], from[24], to[24];
    snprintf(limit, sizeof(limit), "%u", c->query.limit);
    yg_str from_text = c->from_text, to_text = c->to_text;
    if (c->family->wrapped) { // spans: absolute
        snprintf(from, sizeof(from), "%" PRId64, c->query.range.from_ns / YG_NS_PER_MS);
        snprintf(to, sizeof(to), "%" PRId64, c->query.range.to_ns / YG_NS_PER_MS);
        from_text = yg_str_c(from);
        to_text = yg_str_c(to);
    }
    yg_buf_printf(&url, "%s%s?", c->api->public_url, c->link_path);
    put_param(&url, "filter%5Bfrom%5D", from_text); // by name, as recorded
    put_param(&url, "filter%5Bindexes%5D", c->indexes_text);
    put_param(&url, "filter%5Bquery%5D", c->query_text);
    put_param(&url, "filter%5Bto%5D", to_text);
    put_param(&url, "page%5Bcursor%5D", cursor);
    put_param(&url, "page%5Blimit%5D", yg_str_c(limit));
    put_param(&url, "sort", c->sort_text);
    yg_jw_k(w, "links");
    yg_jw_object(w);
    yg_jw_kstr(w, "next", yg_buf_str(&url));
    yg_jw_object_end(w);
}

static void put_page(struct yg_buf *body, const struct yg_event_call *c,
                     const struct yg_search_result *result) {
    struct yg_json_writer w = YG_JSON_WRITER(body);
    yg_str cursor = {0};
    // As recorded: every page that holds something names a next one, which may turn out empty.
    if (result->count > 0)
        cursor = make_cursor(c, &result->rows[result->count - 1]);
    yg_jw_object(&w);
    yg_jw_k(&w, "data");
    yg_jw_array(&w);
    for (uint32_t i = 0; i < result->count; i++)
        c->family->put_item(&w, &result->rows[i]);
    yg_jw_array_end(&w);
    if (cursor.len > 0)
        put_next_link(&w, c, cursor);
    yg_jw_k(&w, "meta");
    yg_jw_object(&w);
    if (cursor.len > 0) {
        yg_jw_k(&w, "page");
        yg_jw_object(&w);
        yg_jw_kstr(&w, "after", cursor);
        yg_jw_object_end(&w);
    }
    yg_event_put_meta(&w, c, &result->warnings);
    yg_jw_object_end(&w);
    yg_jw_object_end(&w);
}

static void run_search(struct yg_event_call *c, yg_rc read_rc, struct yg_err *err) {
    struct yg_search_result result = {0};
    yg_rc rc = read_rc;
    if (rc == YG_OK && !c->no_index)
        rc = yg_events_search(c->api->store, &c->query, true, c->arena, &result, err);
    if (rc != YG_OK) {
        yg_event_reply_err(c, err);
    } else {
        struct yg_buf body = yg_api_buf();
        put_page(&body, c, &result);
        yg_event_reply(c, c->family->content_type, &body);
    }
    yg_event_end(c);
}

static yg_rc read_search(struct yg_event_call *c, const struct yg_json_node *root,
                         struct yg_err *err) {
    const struct yg_json_node *attributes = NULL;
    YG_TRY(yg_event_read_body(c, root, "search_request", &attributes, err));
    YG_TRY(yg_event_read_filter(c, yg_json_get(attributes, "filter"), err));
    const struct yg_json_node *sort = yg_json_get(attributes, "sort");
    if (sort && sort->kind != YG_JSON_STRING && sort->kind != YG_JSON_NULL)
        return yg_event_refuse(c, err, "sort", "'timestamp' or '-timestamp' is expected");
    YG_TRY(read_sort(c, yg_json_str_or(sort, (yg_str){0}), err));
    const struct yg_json_node *page = yg_json_get(attributes, "page");
    const struct yg_json_node *limit = yg_json_get(page, "limit");
    if (limit && limit->kind != YG_JSON_INT && limit->kind != YG_JSON_NULL)
        return yg_event_refuse(c, err, "page.limit", "1 to %d is allowed", PAGE_MAX);
    YG_TRY(set_limit(c, yg_json_i64_or(limit, PAGE_DEFAULT), err));
    return read_cursor(c, yg_json_str_or(yg_json_get(page, "cursor"), (yg_str){0}), err);
}

void yg_event_search_post(struct yg_http_request *take_req, const struct yg_event_family *family) {
    struct yg_event_call c;
    struct yg_json_node *root = NULL;
    struct yg_err err = {0};
    if (!yg_event_body(take_req, &root) || !yg_event_begin(take_req, family, &c))
        return;
    run_search(&c, read_search(&c, root, &err), &err);
}

static yg_rc read_list(struct yg_event_call *c, struct yg_err *err) {
    struct yg_http_request *req = c->req;
    yg_str limit = yg_http_query(req, "page[limit]", NULL), piece;
    int64_t n = PAGE_DEFAULT;
    c->query_text = yg_http_query(req, "filter[query]", NULL);
    c->from_text = yg_http_query(req, "filter[from]", NULL);
    c->to_text = yg_http_query(req, "filter[to]", NULL);
    c->indexes_text = yg_http_query(req, "filter[indexes]", NULL);
    c->no_index = c->indexes_text.len > 0;
    for (yg_str rest = c->indexes_text; yg_str_split(&rest, ',', &piece);)
        c->no_index &= !index_exists(piece);
    YG_TRY(read_range(c, err));
    YG_TRY(read_query(c, err));
    YG_TRY(read_sort(c, yg_http_query(req, "sort", NULL), err));
    if (limit.len > 0 && !yg_str_to_i64(limit, &n))
        return yg_event_refuse(c, err, "page[limit]", "1 to %d is allowed", PAGE_MAX);
    YG_TRY(set_limit(c, n, err));
    return read_cursor(c, yg_http_query(req, "page[cursor]", NULL), err);
}

void yg_event_search_get(struct yg_http_request *take_req, const struct yg_event_family *family) {
    struct yg_event_call c;
    struct yg_err err = {0};
    if (yg_event_begin(take_req, family, &c))
        run_search(&c, read_list(&c, &err), &err);
}
