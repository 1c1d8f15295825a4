// SPDX-License-Identifier: Apache-2.0
// Who may ask: keys, bearer tokens, page sessions. Private to the room (the guard is in api.h).
#ifndef YG_API_ACCESS_H
#define YG_API_ACCESS_H

#include "api/api.h"

#define YG_SESSION_COOKIE "yagura_session"
#define YG_SESSION_TEXT_BYTES 160
#define YG_SESSION_MAX_AGE_S (30 * 24 * 3600)

// True when this request may get a page session: loopback peer and a loopback name in Host (a
// foreign name that resolves to this machine must not get one).
bool yg_session_allowed(const struct yg_http_request *req);
// A fresh session's cookie value. Sessions end with the process or after 30 days.
void yg_session_make(int64_t now_s, char out[YG_SESSION_TEXT_BYTES]);
bool yg_session_valid(yg_str value, int64_t now_s);
// The session cookie of a request, empty when it sent none.
yg_str yg_session_cookie(const struct yg_http_request *req);
// True when the request may come from this server's own page: reading methods, or Origin = own
// origin.
bool yg_origin_ok(const struct yg_http_request *req);

// The API key that a request carries: header, query (?api_key=, ?dd-api-key=) or /v1/input/<key>.
yg_str yg_request_api_key(const struct yg_http_request *req);
yg_str yg_request_app_key(const struct yg_http_request *req);

#endif
