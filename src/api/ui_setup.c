// SPDX-License-Identifier: Apache-2.0
// GET Y/setup: addresses, keys and what has arrived so far, one row per kind of data.
#include "api/ui.h"

#define SERVICES_MAX 5
#define SERVICES_WINDOW_NS (INT64_C(3600) * YG_NS_PER_S)

struct received {
    const char *name;
    char client[96];
    uint64_t count;
    int64_t first_ns;
    int64_t last_ns;
    yg_str services[SERVICES_MAX];
    uint32_t service_count;
};

struct gathered {
    struct received rows[YG_RECEIVED_COUNT];
};

static void on_seen(void *ctx, const struct yg_api_seen *seen) {
    struct gathered *g = ctx;
    enum yg_received_kind kind = yg_ui_received_kind(yg_str_c(seen->route));
    if (kind == YG_RECEIVED_COUNT)
        return;
    struct received *r = &g->rows[kind];
    // Telemetry has no rows: its requests are what arrives.
    r->count += kind == YG_RECEIVED_TELEMETRY ? seen->requests : seen->items;
    if (seen->first_ns != 0 && (r->first_ns == 0 || seen->first_ns < r->first_ns))
        r->first_ns = seen->first_ns;
    if (seen->last_ns < r->last_ns)
        return;
    r->last_ns = seen->last_ns;
    const char *version = seen->version ? seen->version : "";
    (void)snprintf(r->client, sizeof(r->client), "%.48s%s%.40s", seen->client ? seen->client : "",
                   version[0] ? " " : "", version);
}

// Rows that are stored tell more than the counts since the start.
static void add_stored(struct yg_api *api, struct gathered *g) {
    struct yg_store_status s;
    yg_store_status(api->store, &s);
    const struct {
        enum yg_received_kind kind;
        enum yg_track track;
    } kinds[] = {{YG_RECEIVED_TRACES, YG_TRACK_SPANS}, {YG_RECEIVED_LOGS, YG_TRACK_LOGS}};
    for (size_t i = 0; i < 2; i++) {
        struct received *r = &g->rows[kinds[i].kind];
        if (s.rows[kinds[i].track] > r->count)
            r->count = s.rows[kinds[i].track];
        if (r->last_ns == 0)
            r->last_ns = s.last_row_received_ns[kinds[i].track];
    }
}

// Services of the last hour, the ones whose newest row is newest first.
static void add_services(struct yg_api *api, struct received *r, enum yg_track track,
                         struct yg_arena *arena) {
    static const struct yg_node all = {.kind = YG_NODE_ALL};
    if (r->count == 0)
        return;
    struct yg_compute newest = {
        .agg = YG_AGG_MAX,
        .metric = {.kind = YG_FIELD_RESERVED, .name = YG_STR(YG_COL_TIME)},
    };
    struct yg_group_by by = {
        .facet = {.kind = YG_FIELD_RESERVED, .name = YG_STR(YG_COL_SERVICE)},
        .limit = SERVICES_MAX,
    };
    int64_t now_ns = yg_now_ns(api->clock);
    struct yg_event_query q = {
        .track = track,
        .range = {.from_ns = now_ns - SERVICES_WINDOW_NS, .to_ns = now_ns + YG_NS_PER_S},
        .filter = &all,
        .computes = &newest,
        .compute_count = 1,
        .group_by = &by,
        .group_count = 1,
        .deadline_mono_ns = yg_mono_ns(api->clock) + YG_NS_PER_S,
    };
    struct yg_agg_result result = {0};
    struct yg_err err = {0};
    if (yg_events_aggregate(api->store, &q, true, arena, &result, &err) != YG_OK)
        return; // the list is a convenience
    for (uint32_t i = 0; i < result.count && r->service_count < SERVICES_MAX; i++)
        if (result.buckets[i].by != NULL && result.buckets[i].by[0].len > 0)
            r->services[r->service_count++] = result.buckets[i].by[0];
}

static void put_received(struct yg_json_writer *w, struct yg_api *api, const struct received *r,
                         enum yg_received_kind kind) {
    yg_jw_object(w);
    yg_jw_kstr(w, "kind", yg_str_c(r->name));
    yg_jw_kstr(w, "client", yg_str_c(r->client));
    yg_jw_ki64(w, "count", (int64_t)r->count);
    yg_ui_put_ms_or_null(w, "first_ms", r->first_ns);
    yg_ui_put_ms_or_null(w, "last_ms", r->last_ns);
    yg_jw_k(w, "services");
    yg_jw_array(w);
    for (uint32_t i = 0; i < r->service_count; i++)
        yg_jw_str(w, r->services[i]);
    yg_jw_array_end(w);
    struct yg_ui_refused refused;
    yg_ui_last_refused(api, kind, &refused);
    if (refused.at_ns == 0) {
        yg_jw_knull(w, "last_error");
    } else {
        yg_jw_k(w, "last_error");
        yg_jw_object(w);
        yg_jw_ki64(w, "status", refused.status);
        yg_jw_kstr(w, "text", yg_str_c(refused.text));
        yg_jw_ki64(w, "at_ms", yg_ui_ms(refused.at_ns));
        yg_jw_object_end(w);
    }
    yg_jw_object_end(w);
}

static void put_key(struct yg_json_writer *w, const struct yg_key *key, const char *first) {
    char masked[32];
    (void)snprintf(masked, sizeof(masked), "••••%s", key->last4);
    size_t len = strlen(first);
    bool whole = len > 4 && strcmp(first + len - 4, key->last4) == 0;
    yg_jw_object(w);
    yg_jw_kstr(w, "kind", key->kind == YG_KEY_API ? YG_STR("api") : YG_STR("application"));
    yg_jw_kstr(w, "name", yg_str_c(key->name));
    yg_jw_kstr(w, "masked", yg_str_c(masked));
    if (whole)
        yg_jw_kstr(w, "value", yg_str_c(first));
    else
        yg_jw_knull(w, "value");
    yg_jw_ki64(w, "created_ms", yg_ui_ms(key->created_ns));
    yg_jw_object_end(w);
}

// Whole values only for a page session of the process that made them (docs/api.md).
static yg_rc put_keys(struct yg_json_writer *w, struct yg_api *api, bool by_session,
                      struct yg_arena *arena, struct yg_err *err) {
    struct yg_key *keys = NULL;
    uint32_t count = 0;
    YG_TRY(yg_meta_key_list(api->meta, arena, &keys, &count, err));
    yg_jw_k(w, "keys");
    yg_jw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        const char *first = keys[i].kind == YG_KEY_API ? api->first_api_key : api->first_app_key;
        if (!keys[i].revoked)
            put_key(w, &keys[i], by_session ? first : "");
    }
    yg_jw_array_end(w);
    return YG_OK;
}

static void put_endpoints(struct yg_json_writer *w, const struct yg_api *api) {
    yg_jw_kstr(w, "public_url", yg_str_c(api->public_url));
    yg_jw_k(w, "endpoints");
    yg_jw_object(w);
    yg_jw_kstr(w, "api", yg_str_c(api->api_address));
    yg_jw_kstr(w, "agent", yg_str_c(api->agent_address));
    yg_jw_kstr(w, "dogstatsd", yg_str_c(api->dogstatsd_address));
    yg_jw_object_end(w);
}

void yg_ui_setup(struct yg_http_request *take_req) {
    static const char *const names[YG_RECEIVED_COUNT] = {"traces",    "logs",          "metrics",
                                                         "dogstatsd", "distributions", "checks",
                                                         "events",    "stats",         "telemetry"};
    struct yg_api *api = take_req->ctx;
    struct yg_err err = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 16u << 20);
    struct gathered *g = YG_NEW(arena, struct gathered);
    if (g == NULL) {
        (void)yg_fail(&err, YG_ENOMEM, "no memory for the list of what arrived");
        yg_ui_reply_err(take_req, &err);
        return;
    }
    for (unsigned k = 0; k < YG_RECEIVED_COUNT; k++)
        g->rows[k].name = names[k];
    if (api->seen_each != NULL)
        api->seen_each(on_seen, g);
    add_stored(api, g);
    add_services(api, &g->rows[YG_RECEIVED_TRACES], YG_TRACK_SPANS, arena);
    add_services(api, &g->rows[YG_RECEIVED_LOGS], YG_TRACK_LOGS, arena);
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_ki64(&w, "now_ms", yg_ui_ms(yg_now_ns(api->clock)));
    put_endpoints(&w, api);
    bool by_session = yg_http_header(take_req, "dd-api-key").len == 0 &&
                      yg_http_header(take_req, "authorization").len == 0;
    if (put_keys(&w, api, by_session, arena, &err) != YG_OK) {
        yg_buf_fini(&body);
        yg_ui_reply_err(take_req, &err);
        return;
    }
    yg_jw_k(&w, "received");
    yg_jw_array(&w);
    for (unsigned k = 0; k < YG_RECEIVED_COUNT; k++)
        put_received(&w, api, &g->rows[k], (enum yg_received_kind)k);
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    yg_ui_reply(take_req, &body);
}
