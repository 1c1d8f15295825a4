// SPDX-License-Identifier: Apache-2.0
// The room's route tables: what each address takes and answers, in one place.
//
// Statuses are what senders compare with: 202 for series, logs, checks and events, 200 for the
// agent protocol and the old logs address (a sender that wants 202 sends the same body again after
// a 200). Source: DataDog/datadog-agent pkg/trace/api/endpoints.go; DataDog/documentation
// content/en/api/latest; DataDog/datadog-lambda-extension bottlecap/src/traces
#include "intake/door.h"

#define MIB ((size_t)1 << 20)
#define BODY_MAX (25 * MIB)
#define SERIES_BODY_MAX (5 * MIB)
#define SERIES_INFLATED_MAX (60 * MIB)
#define SKETCHES_INFLATED_MAX (62 * MIB)
#define SMALL_BODY_MAX (5 * MIB)

#define JSON_TYPE "application/json"
#define TEXT_JSON_TYPE "text/json" // as the oldest intakes answer
#define RATES "{\"rate_by_service\":{\"service:,env:\":1}}"
#define STATUS_OK "{\"status\":\"ok\"}"

// ------------------------------------------------------------ agent protocol

#define TRACE_FORMS (YG_DOOR_FORMS(YG_FORM_JSON) | YG_DOOR_FORMS(YG_FORM_MSGPACK))
#define ANY_FORM (~0u)

static void traces_v03(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/v0.3/traces",
        .client = "agent-protocol",
        .track = YG_TRACK_SPANS,
        .rows = yg_intake_traces_v04,
        .inflated_max_bytes = BODY_MAX,
        .forms = TRACE_FORMS,
        .style = YG_STYLE_AGENT,
        .status = 200,
        .content_type = "text/plain",
        .body = "OK\n",
    };
    yg_door_run(take_req, &door);
}

static void traces_v04(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/v0.4/traces",
        .client = "agent-protocol",
        .track = YG_TRACK_SPANS,
        .rows = yg_intake_traces_v04,
        .inflated_max_bytes = BODY_MAX,
        .forms = TRACE_FORMS,
        .style = YG_STYLE_AGENT,
        .status = 200,
        .content_type = JSON_TYPE,
        .body = RATES,
    };
    yg_door_run(take_req, &door);
}

static void traces_v05(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/v0.5/traces",
        .client = "agent-protocol",
        .track = YG_TRACK_SPANS,
        .rows = yg_intake_traces_v05,
        .inflated_max_bytes = BODY_MAX,
        .forms = ANY_FORM,
        .style = YG_STYLE_AGENT,
        .status = 200,
        .content_type = JSON_TYPE,
        .body = RATES,
    };
    yg_door_run(take_req, &door);
}

static void traces_v07(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/v0.7/traces",
        .client = "agent-protocol",
        .track = YG_TRACK_SPANS,
        .rows = yg_intake_traces_v07,
        .inflated_max_bytes = BODY_MAX,
        .forms = ANY_FORM,
        .style = YG_STYLE_AGENT,
        .status = 200,
        .content_type = JSON_TYPE,
        .body = RATES,
    };
    yg_door_run(take_req, &door);
}

static void stats_v06(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/v0.6/stats",
        .client = "agent-protocol",
        .points = yg_intake_stats_v06,
        .inflated_max_bytes = BODY_MAX,
        .forms = ANY_FORM,
        .style = YG_STYLE_AGENT,
        .status = 200,
        .content_type = JSON_TYPE,
        .body = "{}",
        .lenient = true,
    };
    yg_door_run(take_req, &door);
}

#define TAKE (YG_POST | YG_PUT)

const struct yg_route yg_intake_agent_routes[] = {
    {TAKE, "/v0.3/traces", BODY_MAX, YG_INTAKE_ACCESS_AGENT, traces_v03},
    {TAKE, "/v0.4/traces", BODY_MAX, YG_INTAKE_ACCESS_AGENT, traces_v04},
    {TAKE, "/v0.5/traces", BODY_MAX, YG_INTAKE_ACCESS_AGENT, traces_v05},
    {TAKE, "/v0.7/traces", BODY_MAX, YG_INTAKE_ACCESS_AGENT, traces_v07},
    {TAKE, "/v0.3/services", BODY_MAX, YG_INTAKE_ACCESS_AGENT, yg_agent_services},
    {TAKE, "/v0.4/services", BODY_MAX, YG_INTAKE_ACCESS_AGENT, yg_agent_services},
    {TAKE, "/v0.6/stats", BODY_MAX, YG_INTAKE_ACCESS_AGENT, stats_v06},
    {YG_GET, "/info", 0, YG_INTAKE_ACCESS_AGENT, yg_agent_info},
    {TAKE | YG_GET, "/v0.7/config", MIB, YG_INTAKE_ACCESS_AGENT, yg_agent_config},
    {TAKE, "/telemetry/proxy", BODY_MAX, YG_INTAKE_ACCESS_AGENT, yg_agent_telemetry},
    {TAKE, "/telemetry/proxy/{rest*}", BODY_MAX, YG_INTAKE_ACCESS_AGENT, yg_agent_telemetry},
    {TAKE, "/dogstatsd/v1/proxy", SMALL_BODY_MAX, YG_INTAKE_ACCESS_AGENT, yg_agent_dogstatsd},
    {TAKE, "/dogstatsd/v2/proxy", SMALL_BODY_MAX, YG_INTAKE_ACCESS_AGENT, yg_agent_dogstatsd},
    {0},
};

// ------------------------------------------------------------ public intakes

#define LOG_FORMS (YG_DOOR_FORMS(YG_FORM_JSON) | YG_DOOR_FORMS(YG_FORM_TEXT))

static void logs_v2(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/api/v2/logs",
        .client = "logs-http",
        .track = YG_TRACK_LOGS,
        .rows = yg_intake_logs,
        .inflated_max_bytes = BODY_MAX,
        .forms = LOG_FORMS,
        .form_default = YG_FORM_JSON,
        .style = YG_STYLE_OBJECTS,
        .status = 202,
        .content_type = JSON_TYPE,
        .body = "{}",
    };
    yg_door_run(take_req, &door);
}

static const struct yg_door logs_v1_door = {
    .name = "/v1/input",
    .client = "logs-http",
    .track = YG_TRACK_LOGS,
    .rows = yg_intake_logs,
    .inflated_max_bytes = BODY_MAX,
    .forms = LOG_FORMS,
    .form_default = YG_FORM_JSON,
    .style = YG_STYLE_OBJECTS,
    .status = 200,
    .content_type = JSON_TYPE,
    .body = "{}",
};

static void logs_v1(struct yg_http_request *take_req) {
    yg_door_run(take_req, &logs_v1_door);
}

// The key stands in the path, where the listener's guard does not look.
static void logs_v1_key(struct yg_http_request *take_req) {
    struct yg_intake *intake = take_req->ctx;
    if (yg_admit_api_key(intake->pipeline, take_req->params[0])) {
        yg_door_run(take_req, &logs_v1_door);
        return;
    }
    yg_pipeline_reject(intake->pipeline, logs_v1_door.name, "bad_key", 1);
    yg_door_refuse(take_req, &logs_v1_door, 403, "Forbidden");
}

static void series_v1(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/api/v1/series",
        .client = "metrics-api",
        .points = yg_intake_series_v1,
        .inflated_max_bytes = SERIES_INFLATED_MAX,
        .forms = YG_DOOR_FORMS(YG_FORM_JSON) | YG_DOOR_FORMS(YG_FORM_TEXT),
        .form_default = YG_FORM_JSON,
        .style = YG_STYLE_STRINGS,
        .status = 202,
        .content_type = TEXT_JSON_TYPE,
        .body = STATUS_OK,
    };
    yg_door_run(take_req, &door);
}

static void series_v2(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/api/v2/series",
        .client = "metrics-api",
        .points = yg_intake_series_v2,
        .inflated_max_bytes = SERIES_INFLATED_MAX,
        .forms = YG_DOOR_FORMS(YG_FORM_JSON) | YG_DOOR_FORMS(YG_FORM_PROTOBUF),
        .form_default = YG_FORM_JSON,
        .style = YG_STYLE_STRINGS,
        .status = 202,
        .content_type = JSON_TYPE,
        .body = "{\"errors\":[]}",
    };
    yg_door_run(take_req, &door);
}

static void distribution_points(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/api/v1/distribution_points",
        .client = "metrics-api",
        .points = yg_intake_distribution_points,
        .inflated_max_bytes = SERIES_INFLATED_MAX,
        .forms = YG_DOOR_FORMS(YG_FORM_JSON),
        .form_default = YG_FORM_JSON,
        .style = YG_STYLE_STRINGS,
        .status = 202,
        .content_type = JSON_TYPE,
        .body = STATUS_OK,
    };
    yg_door_run(take_req, &door);
}

static void sketches(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/api/beta/sketches",
        .client = "metrics-api",
        .points = yg_intake_sketches,
        .inflated_max_bytes = SKETCHES_INFLATED_MAX,
        .forms = YG_DOOR_FORMS(YG_FORM_PROTOBUF),
        .form_default = YG_FORM_PROTOBUF,
        .style = YG_STYLE_STRINGS,
        .status = 202,
        .content_type = JSON_TYPE,
        .body = "{}",
    };
    yg_door_run(take_req, &door);
}

static void check_run(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .name = "/api/v1/check_run",
        .client = "metrics-api",
        .track = YG_TRACK_EVENTS,
        .rows = yg_intake_checks,
        .inflated_max_bytes = SMALL_BODY_MAX,
        .forms = YG_DOOR_FORMS(YG_FORM_JSON),
        .form_default = YG_FORM_JSON,
        .style = YG_STYLE_STRINGS,
        .status = 202,
        .content_type = TEXT_JSON_TYPE,
        .body = STATUS_OK,
    };
    yg_door_run(take_req, &door);
}

// The key was checked by the guard.
static void validate(struct yg_http_request *take_req) {
    static const struct yg_door door = {
        .style = YG_STYLE_STRINGS,
        .status = 200,
        .content_type = JSON_TYPE,
        .body = "{\"valid\":true}",
    };
    yg_door_accept(take_req, &door);
}

#define KEYED YG_INTAKE_ACCESS_API_KEY
#define NO_GUARD 0u

const struct yg_route yg_intake_api_routes[] = {
    {YG_POST, "/api/v2/logs", BODY_MAX, KEYED, logs_v2},
    {YG_POST, "/v1/input", BODY_MAX, KEYED, logs_v1},
    {YG_POST, "/v1/input/{key}", BODY_MAX, NO_GUARD, logs_v1_key},
    {YG_POST, "/api/v1/series", SERIES_BODY_MAX, KEYED, series_v1},
    {YG_POST, "/api/v2/series", SERIES_BODY_MAX, KEYED, series_v2},
    {YG_POST, "/api/v1/distribution_points", SERIES_BODY_MAX, KEYED, distribution_points},
    {YG_POST, "/api/beta/sketches", BODY_MAX, KEYED, sketches},
    {YG_POST, "/api/v1/sketches", BODY_MAX, KEYED, sketches},
    {YG_POST, "/api/v1/check_run", SMALL_BODY_MAX, KEYED, check_run},
    {YG_POST, "/api/v2/service_checks", SMALL_BODY_MAX, KEYED, check_run},
    {YG_POST, "/api/v1/events", SMALL_BODY_MAX, KEYED, yg_events_v1},
    {YG_GET, "/api/v1/validate", 0, KEYED, validate},
    {0},
};
