// SPDX-License-Identifier: Apache-2.0
// /api/v2/logs/…: search, list, aggregate; /api/v2/events: search, list.
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

static const struct yg_event_family events = {
    .track = YG_TRACK_EVENTS,
    .list_path = "/api/v2/events",
    .search_link_path = "/api/v2/events/search",
    .content_type = "application/json",
    .put_item = yg_event_put_event,
};

static void search_events(struct yg_http_request *take_req) {
    yg_event_search_post(take_req, &events);
}
static void list_events(struct yg_http_request *take_req) {
    yg_event_search_get(take_req, &events);
}

const struct yg_route yg_api_logs_routes[] = {
    {YG_POST, "/api/v2/logs/events/search", YG_API_BODY_MAX, YG_ACCESS_FULL, search},
    {YG_GET, "/api/v2/logs/events", 0, YG_ACCESS_FULL, list},
    {YG_GET, "/api/v2/logs/events/search", 0, YG_ACCESS_FULL, list},
    {YG_POST, "/api/v2/logs/analytics/aggregate", YG_API_BODY_MAX, YG_ACCESS_FULL, aggregate},
    {YG_POST, "/api/v2/events/search", YG_API_BODY_MAX, YG_ACCESS_FULL, search_events},
    {YG_GET, "/api/v2/events", 0, YG_ACCESS_FULL, list_events},
    {YG_GET, "/api/v2/events/search", 0, YG_ACCESS_FULL, list_events}, // links.next of the POST
    {0},
};
