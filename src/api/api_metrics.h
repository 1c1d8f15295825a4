// SPDX-License-Identifier: Apache-2.0
// Private to api: what the metric routes share.
#ifndef YG_API_API_METRICS_H
#define YG_API_API_METRICS_H

#include "api/api.h"

#define YG_API_QUERY_BYTES (64u << 20)
#define YG_API_QUERY_MS 30000

// {"family":…,"scale_factor":…,"name":…,"short_name":…,"plural":…,"id":…}; null for an empty name.
void yg_api_put_unit(struct yg_json_writer *w, yg_str name);
// null, or [unit, null].
void yg_api_put_unit_pair(struct yg_json_writer *w, yg_str name);

// yg_metric_run_options.canceled with the request as its argument.
bool yg_api_asker_gone(void *req);

// POST /api/v2/query/timeseries and /scalar (api_query.c).
void yg_api_query_timeseries(struct yg_http_request *take_req);
void yg_api_query_scalar(struct yg_http_request *take_req);

#endif
