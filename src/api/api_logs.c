// SPDX-License-Identifier: Apache-2.0
// /api/v2/logs/…: search, list, aggregate.
#include "api/api_events.h"

static const struct yg_event_family logs = {
    .track = YG_TRACK_LOGS,
    .list_path = "/api/v2/logs/events",
    .content_type = "application/json",
    .put_item = yg_event_put_log,
};

static void search(struct yg_http_request *take_req) {
    yg_event_search_post(take_req, &logs);
}
static void list(struct yg_http_request *take_req) {
    yg_event_search_get(take_req, &logs);
}
static void aggregate(struct yg_http_request *take_req) {
    yg_event_aggregate(take_req, &logs);
}

const struct yg_route yg_api_logs_routes[] = {
    {YG_POST, "/api/v2/logs/events/search", YG_API_BODY_MAX, YG_ACCESS_FULL, search},
    {YG_GET, "/api/v2/logs/events", 0, YG_ACCESS_FULL, list},
    {YG_POST, "/api/v2/logs/analytics/aggregate", YG_API_BODY_MAX, YG_ACCESS_FULL, aggregate},
    {0},
};
