// SPDX-License-Identifier: Apache-2.0
// /api/v2/spans/…: search, list, aggregate.
#include "api/api_events.h"

static const struct yg_event_family spans = {
    .track = YG_TRACK_SPANS,
    .list_path = "/api/v2/spans/events",
    .content_type = "application/vnd.api+json",
    .wrapped = true,
    .put_item = yg_event_put_span,
};

static void search(struct yg_http_request *take_req) {
    yg_event_search_post(take_req, &spans);
}
static void list(struct yg_http_request *take_req) {
    yg_event_search_get(take_req, &spans);
}
static void aggregate(struct yg_http_request *take_req) {
    yg_event_aggregate(take_req, &spans);
}

const struct yg_route yg_api_spans_routes[] = {
    {YG_POST, "/api/v2/spans/events/search", YG_API_BODY_MAX, YG_ACCESS_FULL, search},
    {YG_GET, "/api/v2/spans/events", 0, YG_ACCESS_FULL, list},
    {YG_POST, "/api/v2/spans/analytics/aggregate", YG_API_BODY_MAX, YG_ACCESS_FULL, aggregate},
    {0},
};
