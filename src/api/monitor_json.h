// SPDX-License-Identifier: Apache-2.0
// Private to api: monitors between their JSON and their record.
#ifndef YG_API_MONITOR_JSON_H
#define YG_API_MONITOR_JSON_H

#include "api/api.h"
#include "monitor/monitor.h"

#define YG_API_ORG_ID 1 // the one organisation, where answers want a number

// Puts the members of a request's body over *rec (a new record is zeroed). Strings live in arena.
// EINPUT names the member.
yg_rc yg_monitor_json_read(const struct yg_json_node *body, struct yg_arena *arena,
                           struct yg_monitor_record *rec, struct yg_err *err) YG_MUST_USE;

struct yg_monitor_json_show {
    bool restriction_policy;  // answers of POST and PUT, or asked for
    bool no_restricted_roles; // with_restricted_roles=false
    bool assets;
    bool downtimes;
    bool states;         // group_states asked for
    uint32_t state_bits; // bits of enum yg_monitor_state to show
    const struct yg_group_record *groups;
    uint32_t group_count;
};
// Writes one monitor as it is answered, with the fills that the service adds.
yg_rc yg_monitor_json_put(struct yg_json_writer *w, const struct yg_monitor_record *rec,
                          const struct yg_user *creator, const struct yg_monitor_json_show *show,
                          struct yg_arena *arena, struct yg_err *err) YG_MUST_USE;

// Handlers of api_monitor_search.c, listed in api_monitors.c's table.
void yg_api_monitor_search(struct yg_http_request *take_req);
void yg_api_monitor_group_search(struct yg_http_request *take_req);

// Handlers of api_integrations.c, listed in api_monitors.c's table.
void yg_api_webhook_create(struct yg_http_request *take_req);
void yg_api_webhook_get(struct yg_http_request *take_req);
void yg_api_webhook_update(struct yg_http_request *take_req);
void yg_api_webhook_delete(struct yg_http_request *take_req);
void yg_api_variable_create(struct yg_http_request *take_req);
void yg_api_variable_get(struct yg_http_request *take_req);
void yg_api_variable_update(struct yg_http_request *take_req);
void yg_api_variable_delete(struct yg_http_request *take_req);
void yg_api_slack_create(struct yg_http_request *take_req);
void yg_api_slack_get(struct yg_http_request *take_req);
void yg_api_slack_delete(struct yg_http_request *take_req);
void yg_api_channel_create(struct yg_http_request *take_req);
void yg_api_channel_list(struct yg_http_request *take_req);
void yg_api_channel_get(struct yg_http_request *take_req);
void yg_api_channel_update(struct yg_http_request *take_req);
void yg_api_channel_delete(struct yg_http_request *take_req);

#endif
