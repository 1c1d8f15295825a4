// SPDX-License-Identifier: Apache-2.0
// Routes of the page and of its own API, and the handler of everything that no route knows.
#include "api/ui.h"

#include "base/counter.h"

#define Y "/api/yagura/v1/"

const struct yg_route yg_api_ui_routes[] = {
    {YG_GET, "/health", 0, YG_ACCESS_NONE, yg_ui_health},
    {YG_GET, "/ready", 0, YG_ACCESS_NONE, yg_ui_ready},
    // The page's explorer has the same path: a browser (text/html) gets the page there.
    {YG_GET, "/metrics", 0, YG_ACCESS_NONE, yg_ui_metrics},
    {YG_GET, "/", 0, YG_ACCESS_PAGE, yg_ui_page},
    {YG_GET, "/assets/{path*}", 0, YG_ACCESS_NONE, yg_ui_asset},
    {YG_GET, Y "status", 0, YG_ACCESS_FULL, yg_ui_status},
    {YG_GET, Y "setup", 0, YG_ACCESS_FULL, yg_ui_setup},
    {YG_GET, Y "fleet", 0, YG_ACCESS_FULL, yg_ui_fleet},
    {YG_POST, Y "traces/search", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_ui_traces_search},
    {YG_GET, Y "traces/{id}", 0, YG_ACCESS_FULL, yg_ui_trace},
    {YG_GET, Y "traces/{id}/spans/{sid}", 0, YG_ACCESS_FULL, yg_ui_span},
    {YG_GET, Y "search/{track}", 0, YG_ACCESS_FULL, yg_ui_search},
    {YG_GET, Y "facets/{track}", 0, YG_ACCESS_FULL, yg_ui_facets},
    {YG_GET, Y "facets/{track}/{key}/values", 0, YG_ACCESS_FULL, yg_ui_facet_values},
    {YG_POST, Y "data/delete", YG_API_BODY_MAX, YG_ACCESS_FULL, yg_ui_data_delete},
    {YG_GET, Y "data/delete", 0, YG_ACCESS_FULL, yg_ui_data_deletions},
    {YG_GET, Y "monitors/{id}/state", 0, YG_ACCESS_FULL, yg_ui_monitor_state},
    {0},
};

static bool api_path(yg_str path) {
    static const char *const prefixes[] = {"/api/",       "/v1/",        "/v2/",
                                           "/v0.",        "/intake",     "/telemetry/",
                                           "/evp_proxy/", "/dogstatsd/", NULL};
    for (size_t i = 0; prefixes[i] != NULL; i++)
        if (yg_str_starts(path, yg_str_c(prefixes[i])))
            return true;
    return yg_str_eq_c(path, "/api");
}

static bool varies(yg_str segment) {
    uint32_t digits = 0;
    for (size_t i = 0; i < segment.len; i++)
        digits += segment.ptr[i] >= '0' && segment.ptr[i] <= '9';
    return segment.len > 24 || (digits > 0 && segment.ptr[0] != 'v');
}

// "/api/v1/monitor/12/x y" → "/api/v1/monitor/{id}/x_y": few distinct texts, none that breaks a
// tag.
static void path_shape(yg_str path, char *out, size_t out_bytes) {
    size_t at = 0;
    yg_str rest = path;
    for (bool more = true; more && at + 30 < out_bytes;) {
        size_t slash = yg_str_find_char(rest, '/', 0);
        more = slash != SIZE_MAX;
        yg_str segment = more ? yg_str_sub(rest, 0, slash) : rest;
        rest = more ? yg_str_sub(rest, slash + 1, rest.len) : rest;
        if (segment.len > 0 && varies(segment))
            segment = YG_STR("{id}");
        for (size_t i = 0; i < segment.len && at + 2 < out_bytes; i++) {
            char c = segment.ptr[i];
            bool plain = c > ' ' && c < 0x7f && c != ',' && c != ':' && c != '"' && c != '\\';
            out[at++] = plain ? c : '_';
        }
        if (more)
            out[at++] = '/';
    }
    out[at] = '\0';
}

static void count_unknown(struct yg_api *api, yg_str path) {
    char shape[100];
    char tags[128];
    path_shape(path, shape, sizeof(shape));
    (void)snprintf(tags, sizeof(tags), "path:%s", yg_ui_name_path(api, shape) ? shape : "other");
    yg_counter_add(yg_counter_get(YG_COUNTER, "yagura.api.unknown_path", tags), 1);
}

void yg_api_not_found(struct yg_http_request *take_req) {
    if (take_req->route != NULL) {
        yg_api_reply_error(take_req, 405, "Method Not Allowed");
        return;
    }
    bool reads = take_req->method == YG_GET || take_req->method == YG_HEAD;
    if (reads && !api_path(take_req->path)) {
        yg_ui_page(take_req);
        return;
    }
    count_unknown(take_req->ctx, take_req->path);
    if (yg_str_starts(take_req->path, YG_STR("/api/yagura/")))
        yg_ui_reply_error(take_req, 404, "Not found", 0, "no such call");
    else
        yg_api_reply_error(take_req, 404, "Not found");
}
