// SPDX-License-Identifier: Apache-2.0
// Private to api: requests and answers that the event routes (logs, spans) share.
#ifndef YG_API_API_EVENTS_H
#define YG_API_API_EVENTS_H

#include "api/api.h"

// How a family of event routes differs from the others.
struct yg_event_family {
    enum yg_track track;
    const char *list_path;        // of links.next
    const char *search_link_path; // the same after a POST; NULL = list_path
    const char *content_type;
    bool wrapped; // bodies are {"data":{"type","attributes"}}, errors are objects
    void (*put_item)(struct yg_json_writer *w, const struct yg_row *row);
};

// Handlers for any family. Each answers the request.
void yg_event_search_post(struct yg_http_request *take_req, const struct yg_event_family *family);
void yg_event_search_get(struct yg_http_request *take_req, const struct yg_event_family *family);
void yg_event_aggregate(struct yg_http_request *take_req, const struct yg_event_family *family);

// ---- pieces of them

// One request under way. Errors are noted with yg_event_refuse and answered once, by the handler.
struct yg_event_call {
    struct yg_http_request *req;
    const struct yg_event_family *family;
    struct yg_api *api;
    struct yg_arena *arena; // of the query
    int64_t now_ns;
    struct yg_event_query query;
    // As the client wrote them, for links.next; numbers as their text.
    yg_str query_text, from_text, to_text, sort_text, indexes_text;
    const char *link_path;
    bool no_index; // none of the named indexes exists: no row can match
};

// {"errors":["invalid_argument(Field 'page.limit' is invalid: …)"]} or the object form of wrapped
// families.
yg_rc yg_event_refuse(struct yg_event_call *c, struct yg_err *err, const char *field,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void yg_event_reply_err(struct yg_event_call *c, const struct yg_err *err);
// query, from, to, indexes of `filter` (NULL = all defaults) into c->query.
yg_rc yg_event_read_filter(struct yg_event_call *c, const struct yg_json_node *filter,
                           struct yg_err *err) YG_MUST_USE;
// The request's JSON body; NULL when there is none. On failure answers 400 and returns false.
bool yg_event_body(struct yg_http_request *take_req, struct yg_json_node **ret_root);
// The body (its data.attributes when wrapped); type_name: what data.type must be.
yg_rc yg_event_read_body(struct yg_event_call *c, const struct yg_json_node *root,
                         const char *type_name, const struct yg_json_node **ret_attributes,
                         struct yg_err *err) YG_MUST_USE;
// "elapsed", "request_id", "status", "warnings" members of an open meta object.
void yg_event_put_meta(struct yg_json_writer *w, const struct yg_event_call *c,
                       const struct yg_warnings *warnings);
bool yg_event_begin(struct yg_http_request *take_req, const struct yg_event_family *family,
                    struct yg_event_call *ret_call);
void yg_event_reply(struct yg_event_call *c, const char *content_type, struct yg_buf *take_json);
void yg_event_end(struct yg_event_call *c); // frees what begin made; the request is not touched

// ---- rows as JSON (api_event_json.c)

#define YG_EVENT_ID_BYTES 25
// Stable id of a row: base64url of version, time and number.
void yg_event_id(const struct yg_row *row, char out[YG_EVENT_ID_BYTES]);
// One item of `data`.
void yg_event_put_log(struct yg_json_writer *w, const struct yg_row *row);
void yg_event_put_span(struct yg_json_writer *w, const struct yg_row *row);
void yg_event_put_event(struct yg_json_writer *w, const struct yg_row *row);

#endif
