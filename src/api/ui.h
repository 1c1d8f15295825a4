// SPDX-License-Identifier: Apache-2.0
// What the files of the page and of its own API (/api/yagura/v1/, docs/api.md) share. Private to
// the room.
#ifndef YG_API_UI_H
#define YG_API_UI_H

#include "api/api.h"
#include "api/trace_block.h"
#include "base/bits.h"
#include "base/map.h"

#include <stdatomic.h>

// ---- handlers, by file
void yg_ui_status(struct yg_http_request *take_req);        // ui_status.c
void yg_ui_setup(struct yg_http_request *take_req);         // ui_setup.c
void yg_ui_fleet(struct yg_http_request *take_req);         // ui_fleet.c
void yg_ui_traces_search(struct yg_http_request *take_req); // ui_traces.c
void yg_ui_trace(struct yg_http_request *take_req);         // ui_trace.c
void yg_ui_span(struct yg_http_request *take_req);          // ui_trace.c
void yg_ui_search(struct yg_http_request *take_req);
void yg_ui_facets(struct yg_http_request *take_req);        // ui_facets.c
void yg_ui_facet_values(struct yg_http_request *take_req);  // ui_facets.c
void yg_ui_monitor_state(struct yg_http_request *take_req); // ui_monitor.c
void yg_ui_health(struct yg_http_request *take_req);        // ui_status.c
void yg_ui_ready(struct yg_http_request *take_req);         // ui_status.c
void yg_ui_metrics(struct yg_http_request *take_req);       // ui_status.c
void yg_ui_page(struct yg_http_request *take_req);          // ui_page.c
void yg_ui_asset(struct yg_http_request *take_req);         // ui_page.c

void yg_ui_data_delete(struct yg_http_request *take_req);    // ui_data.c
void yg_ui_data_deletions(struct yg_http_request *take_req); // ui_data.c

// ---- errors and ranges (ui_common.c)
// {"errors":[{"title","detail","column"}],"request_id"}; column 0 = none.
void yg_ui_reply_error(struct yg_http_request *take_req, uint16_t status, const char *title,
                       uint32_t column, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
// From a failure of the query: "… (column N)" becomes the column.
void yg_ui_reply_err(struct yg_http_request *take_req, const struct yg_err *err);
// Times as docs/api.md takes them; empty ones have their defaults. EINPUT: not a time (400);
// ELIMIT: from ≥ to (422).
yg_rc yg_ui_range(const struct yg_api *api, yg_str from, yg_str to, struct yg_time_range *ret_range,
                  struct yg_err *err) YG_MUST_USE;
// The same from ?from=&to=.
yg_rc yg_ui_range_of(struct yg_http_request *req, struct yg_time_range *ret_range,
                     struct yg_err *err) YG_MUST_USE;
void yg_ui_put_range(struct yg_json_writer *w, struct yg_time_range range);
void yg_ui_put_ms_or_null(struct yg_json_writer *w, const char *key, int64_t ns); // 0 → null
// Answers JSON, or 503 when the buffer met its limit.
void yg_ui_reply(struct yg_http_request *take_req, struct yg_buf *take_json);
static inline int64_t yg_ui_ms(int64_t ns) {
    return ns / YG_NS_PER_MS;
}
// Time that a call of the page may take.
int64_t yg_ui_deadline(const struct yg_api *api);

// ---- scanning rows (ui_scan.c)
struct yg_ui_scan {
    struct yg_store *store;
    enum yg_track track;
    struct yg_time_range range;
    const struct yg_node *filter; // NULL = all rows
    const yg_id128 *trace_id;     // leave out segments that cannot hold it; may be NULL
    bool fresh;
    int64_t deadline_mono_ns; // 0 = none
    const struct yg_clock *clock;
    const struct yg_http_request *req; // gives up when the asker is gone; may be NULL
    // out
    uint64_t rows;  // of the blocks looked at
    uint64_t bytes; // estimate, by share of the segments' sizes
    uint64_t matched;
    uint32_t damaged; // blocks left out
    bool partial;     // stopped by the deadline, or damaged
    bool stop;        // set by fn: enough
};
// fn sees every block with a matching row (bits as yg_filter_run sets them), newest segment first;
// what it keeps it must copy. ECANCEL, ENOMEM, EINPUT of the filter. A damaged block is skipped and
// counted.
yg_rc yg_ui_scan_run(struct yg_ui_scan *scan,
                     yg_rc (*fn)(void *ctx, struct yg_block *b, const uint64_t *rows,
                                 struct yg_err *err),
                     void *ctx, struct yg_err *err) YG_MUST_USE;

// A column of a block under one name, whatever its types.
struct yg_ui_col {
    const struct yg_vec *vecs[YG_TYPE_COUNT];
    uint32_t count;
};
yg_rc yg_ui_col_open(struct yg_block *b, const char *name, struct yg_ui_col *ret_col,
                     struct yg_err *err) YG_MUST_USE;
bool yg_ui_col_value(const struct yg_ui_col *col, uint32_t row, struct yg_value *ret_value);
yg_str yg_ui_col_str(const struct yg_ui_col *col, uint32_t row); // "" when it has no text
int64_t yg_ui_col_i64(const struct yg_ui_col *col, uint32_t row,
                      int64_t otherwise); // numbers and booleans
bool yg_ui_col_id(const struct yg_ui_col *col, uint32_t row, yg_id128 *ret_id);
// True for a true boolean, a number ≠ 0, the text "true".
bool yg_ui_col_true(const struct yg_ui_col *col, uint32_t row);
#define YG_EACH_ROW(r, b, rows)                                                                    \
    for (uint32_t r = yg_bits_next((rows), (b)->row_count, 0); r < (b)->row_count;                 \
         r = yg_bits_next((rows), (b)->row_count, r + 1))

// Nodes made by hand, in the arena; NULL when it is full.
struct yg_node *yg_ui_term(struct yg_arena *arena, enum yg_field_kind kind, const char *name,
                           yg_str text);
struct yg_node *yg_ui_all_of(struct yg_arena *arena, const struct yg_node *a,
                             const struct yg_node *b); // either may be NULL

// Set of 128-bit ids.
struct yg_ui_ids {
    yg_id128 *slots; // zero = free
    uint32_t cap;
    uint32_t len;
    bool has_zero;
};
bool yg_ui_ids_has(const struct yg_ui_ids *set, yg_id128 id);
bool yg_ui_ids_add(struct yg_ui_ids *set, yg_id128 id); // false: no memory
void yg_ui_ids_fini(struct yg_ui_ids *set);

// Spans as the trace block wants them, strings copied into the arena (ui_spans.c).
struct yg_ui_span_cols {
    struct yg_ui_col time, duration, span_id, parent_id, service, name, resource, type, env, status;
    struct yg_ui_col kind, cold, inferred, links, events, trace_id, http_status, top_level;
};
yg_rc yg_ui_span_cols_open(struct yg_block *b, struct yg_ui_span_cols *ret_cols,
                           struct yg_err *err) YG_MUST_USE;
// Strings are borrowed from the block.
void yg_ui_span_of_row(const struct yg_ui_span_cols *cols, uint32_t row,
                       struct yg_trace_span *ret_span);
bool yg_ui_span_copy_strings(struct yg_trace_span *span, struct yg_map *pool,
                             struct yg_arena *arena);
// True when the span is where its service was entered (docs/api.md, fleet).
bool yg_ui_span_is_entry(const struct yg_ui_span_cols *cols, uint32_t row);

// ---- state of the page's API (ui_state.c): rates, refused requests, known environments
struct yg_api_ui;
void yg_ui_note_refused(struct yg_api *api, const struct yg_http_request *req, uint16_t status,
                        const char *text);

enum yg_received_kind {
    YG_RECEIVED_TRACES,
    YG_RECEIVED_LOGS,
    YG_RECEIVED_METRICS,
    YG_RECEIVED_DOGSTATSD,
    YG_RECEIVED_DISTRIBUTIONS,
    YG_RECEIVED_CHECKS,
    YG_RECEIVED_EVENTS,
    YG_RECEIVED_STATS,
    YG_RECEIVED_TELEMETRY,
    YG_RECEIVED_COUNT
};
// Kind of an intake path; COUNT when it is none.
enum yg_received_kind yg_ui_received_kind(yg_str path);

struct yg_ui_rates {
    double spans, logs, points, rejected; // per second, means over the last 10 s
};
void yg_ui_rates(struct yg_api *api, struct yg_ui_rates *ret_rates);
struct yg_ui_refused {
    int64_t at_ns; // 0 = never
    uint16_t status;
    char text[96];
};
void yg_ui_last_refused(struct yg_api *api, enum yg_received_kind kind,
                        struct yg_ui_refused *ret_refused);
// True while the shape of an unknown path may be counted under its own name (64 are).
bool yg_ui_name_path(struct yg_api *api, const char *shape);
// Known values of env in the last hours, most rows first, cached for some seconds; in the arena.
yg_rc yg_ui_envs(struct yg_api *api, struct yg_arena *arena, yg_str **ret_envs, uint32_t *ret_count,
                 struct yg_err *err) YG_MUST_USE;

// ---- embedded files (ui_assets.c)
#define YG_ASSET_GZIP 1u
#define YG_ASSET_IMMUTABLE 2u
struct yg_asset { // laid out like this by tools/embed_assets.py
    const char *path;
    const char *type;
    const char *etag;
    const char *ptr;
    uint64_t len;
    uint64_t flags;
};
const struct yg_asset *yg_ui_asset_find(yg_str path); // NULL: no such file
bool yg_ui_assets_there(void);                        // false: built without the page

// ---- Datadog-shaped addresses of the page (ui_alias.c)
// Where a page path of the vendor's shape leads ("/apm/traces?query=x" → "/traces?q=x"); false when
// it is none.
bool yg_ui_alias(yg_str path, yg_str query, struct yg_buf *out);

#endif
