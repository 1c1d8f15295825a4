// SPDX-License-Identifier: Apache-2.0
// The public API and the page: what handlers need, how routes are listed, how answers and errors
// are made.
//
// One file per family (api_logs.c, api_metrics.c, api_monitors.c …), each with its own route table,
// ended by a zero row. Handlers run on workers with req->ctx = struct yg_api *; access was checked
// by the guard (access.c) beforehand.
#ifndef YG_API_API_H
#define YG_API_API_H

#include "base/clock.h"
#include "codec/json_read.h"
#include "codec/json_write.h"
#include "meta/meta.h"
#include "net/net.h"
#include "pipeline/pipeline.h"
#include "query/query.h"
#include "store/store.h"

struct yg_monitors; // monitor/monitor.h

// What the guard demands before a route's handler runs.
enum yg_access {
    YG_ACCESS_NONE,    // /health, /ready, /metrics, the page's files
    YG_ACCESS_API_KEY, // public intakes and /api/v1/validate: a valid API key
    YG_ACCESS_FULL,    // API key + application key, a bearer token, or a page session
    YG_ACCESS_PAGE,    // GET / and page paths: makes a session where allowed
    YG_ACCESS_AGENT,   // the agent listener: nothing asked
};

// One kind of client that sent something, for Setup: as intake's list has it.
struct yg_api_seen {
    const char *client;
    const char *version;
    const char *route; // "/v0.4/traces", "dogstatsd"
    uint64_t requests;
    uint64_t items; // rows of them; 0 where a route has none
    uint64_t rejected;
    int64_t first_ns;
    int64_t last_ns;
};
// The last refused request of an intake route.
struct yg_api_refused {
    const char *route;
    const char *text;
    uint16_t status;
    int64_t at_ns;
};
struct yg_api_ui;

// What main gives to the API. Lives as long as the server.
struct yg_api {
    struct yg_store *store;
    struct yg_meta *meta;
    struct yg_pipeline *pipeline;
    struct yg_monitors *monitors;
    struct yg_pool *pool;
    struct yg_client *client;
    const struct yg_clock *clock;
    const char *public_url; // "http://127.0.0.1:8080", no slash at the end
    char agent_address[64]; // real addresses, for Setup
    char api_address[64];
    char dogstatsd_address[64];
    const char *wal_sync_note; // NULL, or what the page says when wal-sync is none
    _Atomic bool ready;        // recovery done and intake accepts
    _Atomic bool draining;
    _Atomic bool disk_full; // intake waits for room on the disk; kept by yg_api_tick
    int64_t started_ns;
    // The first pair of keys while it is known to this process (Setup's copy-paste lines); empty
    // otherwise.
    char first_api_key[33];
    char first_app_key[41];
    const char *data_dir; // for the free space of its disk; NULL = not shown
    // Clients' signs of life (intake keeps them, main hands them over); NULL = none are known.
    void (*seen_each)(void (*fn)(void *ctx, const struct yg_api_seen *seen), void *ctx);
    void (*refused_each)(void (*fn)(void *ctx, const struct yg_api_refused *refused), void *ctx);
    struct yg_api_ui *ui; // yg_api_ui_create; NULL = no rates, no refused requests in Setup
};

// State of the page's own API: rates, refused requests, cached lists.
struct yg_api_ui *yg_api_ui_create(void);
void yg_api_ui_destroy(struct yg_api_ui *ui);
// Once a second, from any one thread: takes the sample that Y/status' rates come from, and what
// /ready knows of the disk.
void yg_api_tick(struct yg_api *api);

// Route tables, one per file; NULL-terminated list of all.
extern const struct yg_route yg_api_logs_routes[];
extern const struct yg_route yg_api_spans_routes[];
extern const struct yg_route yg_api_metrics_routes[];
extern const struct yg_route yg_api_monitors_routes[];
extern const struct yg_route
    yg_api_ui_routes[]; // /health /ready /metrics /api/yagura/v1/… and the page

// Guard of the API listener (ctx = struct yg_api *) and the handler of unknown paths (404 as the
// public API words it, counted by path; page paths get the page).
void yg_api_guard(void *ctx, const struct yg_http_request *req,
                  struct yg_http_guard_result *ret_result);
void yg_api_not_found(struct yg_http_request *take_req);

// ---- answers (api_answer.c)
#define YG_API_BODY_MAX (4u << 20)    // management and query request bodies
#define YG_API_ANSWER_MAX (64u << 20) // one answer
struct yg_buf yg_api_buf(void);       // an empty answer buffer
void yg_api_reply(struct yg_http_request *take_req, uint16_t status, struct yg_buf *take_json);
// {"errors":["…"]} with the status that err->rc maps to (the one table).
void yg_api_reply_err(struct yg_http_request *take_req, const struct yg_err *err);
// {"errors":["…"]} with a status of one's own.
void yg_api_reply_error(struct yg_http_request *take_req, uint16_t status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
uint16_t yg_api_status(yg_rc rc);
// Parses the request's JSON body (content encodings undone) into req->arena; on failure answers 400
// and returns false: the request is gone then.
bool yg_api_body_json(struct yg_http_request *take_req, struct yg_json_node **ret_root);
// The same without an answer: for calls that word their errors themselves. EINPUT, ELIMIT, ENOMEM.
yg_rc yg_api_body_parse(struct yg_http_request *req, struct yg_json_node **ret_root,
                        struct yg_err *err) YG_MUST_USE;
// A request id as answers carry it (random, base64url-like text); out has 33 bytes.
void yg_api_request_id(char out[33]);

#endif
