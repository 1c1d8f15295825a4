// SPDX-License-Identifier: Apache-2.0
// Building the server from its rooms and taking it apart again.
#include "main/wire.h"

#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/counter.h"
#include "main/keys.h"

// Shares of --memory-limit, in sixteenths (engine.md §6): what a room may hold before it refuses.
static const struct {
    enum yg_mem_tag tag;
    int64_t sixteenths;
} memory_shares[] = {
    {YG_MEM_NET, 1},     {YG_MEM_INTAKE, 2}, {YG_MEM_STORE, 4}, {YG_MEM_TRACES, 1},
    {YG_MEM_METRICS, 3}, {YG_MEM_QUERY, 4},  {YG_MEM_CACHE, 1},
};

void yg_wire_init(struct yg_wire *w) {
    *w = (struct yg_wire){0};
}

static void share_memory(int64_t limit_bytes) {
    for (size_t i = 0; i < sizeof(memory_shares) / sizeof(memory_shares[0]); i++)
        yg_mem_limit_set(memory_shares[i].tag, limit_bytes / 16 * memory_shares[i].sixteenths);
}

// ------------------------------------------------------------ what arrived, from intake to the
// page

struct seen_to {
    void (*fn)(void *ctx, const struct yg_api_seen *seen);
    void *ctx;
};

static void on_seen(void *arg, const struct yg_intake_seen *seen) {
    struct seen_to *to = arg;
    struct yg_api_seen copy = {
        .client = seen->client,
        .version = seen->version,
        .route = seen->route,
        .requests = seen->requests,
        .items = seen->items,
        .rejected = seen->rejected,
        .first_ns = seen->first_ns,
        .last_ns = seen->last_ns,
    };
    to->fn(to->ctx, &copy);
}

static void seen_each(void (*fn)(void *ctx, const struct yg_api_seen *seen), void *ctx) {
    struct seen_to to = {.fn = fn, .ctx = ctx};
    yg_intake_seen_each(on_seen, &to);
}

struct refused_to {
    void (*fn)(void *ctx, const struct yg_api_refused *refused);
    void *ctx;
};

static void on_refused(void *arg, const struct yg_intake_refused *refused) {
    struct refused_to *to = arg;
    struct yg_api_refused copy = {
        .route = refused->route,
        .text = refused->text,
        .status = refused->status,
        .at_ns = refused->at_ns,
    };
    to->fn(to->ctx, &copy);
}

static void refused_each(void (*fn)(void *ctx, const struct yg_api_refused *refused), void *ctx) {
    struct refused_to to = {.fn = fn, .ctx = ctx};
    yg_intake_refused_each(on_refused, &to);
}

// ------------------------------------------------------------ listeners

static bool refused_before_ready(const struct yg_wire *w, const struct yg_http_request *req,
                                 struct yg_http_guard_result *ret_result) {
    if (atomic_load_explicit(&w->api.ready, memory_order_acquire) ||
        req->route->access == YG_ACCESS_NONE)
        return false;
    *ret_result = (struct yg_http_guard_result){
        .status = 503, .content_type = "application/json", .retry_after_s = 1};
    snprintf(ret_result->body, sizeof(ret_result->body),
             "{\"errors\":[\"yagura is reading its write-ahead log; try again\"]}");
    return true;
}

static void guard_api(void *ctx, const struct yg_http_request *req,
                      struct yg_http_guard_result *ret_result) {
    struct yg_wire *w = ctx;
    if (!refused_before_ready(w, req, ret_result))
        yg_api_guard(&w->api, req, ret_result);
}

static void guard_agent(void *ctx, const struct yg_http_request *req,
                        struct yg_http_guard_result *ret_result) {
    refused_before_ready(ctx, req, ret_result);
}

static void agent_not_found(struct yg_http_request *take_req) {
    uint16_t status = take_req->route ? 405 : 404;
    yg_http_reply_text(take_req, status, "text/plain; charset=utf-8",
                       status == 405 ? YG_STR("method not allowed\n")
                                     : YG_STR("404 page not found\n"));
}

// Before the pipeline is there (and while it ends) datagrams are dropped and counted, as UDP may.
static void on_datagram(void *ctx, yg_str datagram) {
    struct yg_wire *w = ctx;
    if (atomic_load_explicit(&w->api.ready, memory_order_acquire))
        yg_intake_dogstatsd(&w->intake, datagram);
    else
        yg_counter_add(w->datagrams_early, 1);
}

static yg_rc listen_api(struct yg_wire *w, const struct yg_options *o, struct yg_err *err) {
    static const struct yg_route *tables[] = {yg_intake_api_routes,
                                              yg_api_logs_routes,
                                              yg_api_spans_routes,
                                              yg_api_metrics_routes,
                                              yg_api_monitors_routes,
                                              yg_api_ui_routes,
                                              NULL};
    void *contexts[] = {&w->intake, &w->api, &w->api, &w->api, &w->api, &w->api};
    struct yg_http_server_options options = {
        .name = "api",
        .address = o->listen_api,
        .tables = tables,
        .table_ctx = contexts,
        .guard = guard_api,
        .guard_ctx = w,
        .not_found = yg_api_not_found,
        .not_found_ctx = &w->api,
        .body_memory_max_bytes = (uint64_t)o->memory_limit_bytes / 8,
    };
    YG_TRY(yg_http_server_create(w->loop, &options, &w->api_server, err));
    snprintf(w->api.api_address, sizeof(w->api.api_address), "%s",
             yg_http_server_address(w->api_server));
    return YG_OK;
}

static yg_rc listen_agent(struct yg_wire *w, const struct yg_options *o, struct yg_err *err) {
    static const struct yg_route *tables[] = {yg_intake_agent_routes, NULL};
    void *contexts[] = {&w->intake};
    struct yg_http_server_options options = {
        .name = "agent",
        .address = o->listen_agent,
        .tables = tables,
        .table_ctx = contexts,
        .guard = guard_agent,
        .guard_ctx = w,
        .not_found = agent_not_found,
        .body_memory_max_bytes = (uint64_t)o->memory_limit_bytes / 8,
    };
    YG_TRY(yg_http_server_create(w->loop, &options, &w->agent_server, err));
    snprintf(w->api.agent_address, sizeof(w->api.agent_address), "%s",
             yg_http_server_address(w->agent_server));
    if (o->agent_socket == NULL)
        return YG_OK;
    options.name = "agent-socket";
    options.address = NULL;
    options.unix_path = o->agent_socket;
    return yg_http_server_create(w->loop, &options, &w->agent_socket_server, err);
}

// The admin socket's routes need the configuration only, which is open by the time that they are
// reachable.
static yg_rc listen_admin(struct yg_wire *w, const struct yg_options *o, struct yg_err *err) {
    static const struct yg_route *tables[] = {yg_keys_admin_routes, NULL};
    void *contexts[] = {&w->meta};
    snprintf(w->admin_path, sizeof(w->admin_path), "%s/admin.sock", o->data);
    unlink(w->admin_path);
    struct yg_http_server_options options = {.name = "admin",
                                             .unix_path = w->admin_path,
                                             .tables = tables,
                                             .table_ctx = contexts,
                                             .guard = guard_agent,
                                             .guard_ctx = w,
                                             .not_found = agent_not_found};
    YG_TRY(yg_http_server_create(w->loop, &options, &w->admin_server, err));
    if (chmod(w->admin_path, 0600) != 0) // whoever can connect can make keys
        return yg_fail_errno(err, "%s", w->admin_path);
    return YG_OK;
}

static void make_public_url(struct yg_wire *w, const struct yg_options *o) {
    if (o->public_url) {
        size_t len = strlen(o->public_url);
        while (len > 0 && o->public_url[len - 1] == '/')
            len--;
        snprintf(w->public_url, sizeof(w->public_url), "%.*s", (int)len, o->public_url);
    } else {
        const char *address =
            w->api.api_address; // "0.0.0.0" and "[::]" are no addresses to open in a browser
        const char *colon = strrchr(address, ':');
        bool any = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
        snprintf(w->public_url, sizeof(w->public_url), "http://%s%s", any ? "127.0.0.1" : address,
                 any ? colon : "");
    }
    w->api.public_url = w->intake.public_url = w->public_url;
}

yg_rc yg_wire_listen(struct yg_wire *w, const struct yg_options *o, struct yg_err *err) {
    yg_mem_tune();
    share_memory(o->memory_limit_bytes);
    w->api.clock = &yg_clock_system;
    w->api.started_ns = yg_now_ns(&yg_clock_system);
    w->intake.clock = &yg_clock_system;
    w->intake.version = YG_VERSION;
    if (o->wal_sync == YG_WAL_SYNC_NONE)
        w->api.wal_sync_note =
            "acknowledged data is not synced to disk (--wal-sync none): a power failure loses it";
    struct yg_pool_options pool = {0};
    w->pool = yg_pool_create(&pool);
    w->api.pool = w->pool;
    w->api.ui = yg_api_ui_create();
    w->api.data_dir = o->data;
    w->api.seen_each = seen_each;
    w->api.refused_each = refused_each;
    w->loop = yg_loop_create(w->pool);
    YG_TRY(listen_api(w, o, err));
    YG_TRY(listen_agent(w, o, err));
    YG_TRY(listen_admin(w, o, err));
    w->datagrams_early = yg_counter_get(YG_COUNTER, "yagura.dogstatsd.early_datagrams", "");
    YG_TRY(yg_udp_create(w->loop, o->listen_dogstatsd, on_datagram, w, &w->dogstatsd, err));
    snprintf(w->api.dogstatsd_address, sizeof(w->api.dogstatsd_address), "%s",
             yg_udp_address(w->dogstatsd));
    make_public_url(w, o);
    yg_loop_start(w->loop);
    w->loop_running = true;
    return YG_OK;
}

// ------------------------------------------------------------ recovery

static yg_rc open_meta(struct yg_wire *w, const struct yg_options *o,
                       struct yg_meta_first_keys *ret_first, struct yg_err *err) {
    struct yg_meta_options options = {.dir = o->data,
                                      .clock = &yg_clock_system,
                                      .first_api_key = getenv("YAGURA_API_KEY"),
                                      .first_app_key = getenv("YAGURA_APP_KEY")};
    YG_TRY(yg_meta_open(&options, &w->meta, ret_first, err));
    w->api.meta = w->meta;
    if (ret_first->made) {
        memcpy(w->api.first_api_key, ret_first->api_key, sizeof(w->api.first_api_key));
        memcpy(w->api.first_app_key, ret_first->app_key, sizeof(w->api.first_app_key));
    }
    return YG_OK;
}

static yg_rc open_store(struct yg_wire *w, const struct yg_options *o, struct yg_err *err) {
    struct yg_store_options options = {
        .dir = o->data,
        .clock = &yg_clock_system,
        .pool = w->pool,
        .wal_sync = o->wal_sync,
        .wal_sync_interval_ms = o->wal_sync_interval_ms,
        .retention_metrics_ns = o->retention_metrics_ns,
        .retention_bytes = (uint64_t)o->retention_size_bytes,
    };
    options.retention_ns[YG_TRACK_LOGS] = options.retention_ns[YG_TRACK_EVENTS] =
        options.retention_ns[YG_TRACK_SIGNALS] = o->retention_logs_ns;
    options.retention_ns[YG_TRACK_SPANS] = options.retention_ns[YG_TRACK_TRACES] =
        options.retention_ns[YG_TRACK_CI] = o->retention_spans_ns;
    YG_TRY(yg_store_open(&options, &w->store, err));
    w->api.store = w->store;
    struct yg_pipeline_options pipeline = {
        .store = w->store, .meta = w->meta, .clock = &yg_clock_system};
    memcpy(pipeline.retention_ns, options.retention_ns, sizeof(pipeline.retention_ns));
    w->pipeline = yg_pipeline_create(&pipeline);
    w->api.pipeline = w->intake.pipeline = w->pipeline;
    return YG_OK;
}

// A test knob (docs/configuration.md): the minute between evaluations, in milliseconds.
static int64_t monitor_interval_ms(void) {
    const char *text = getenv("YAGURA_MONITOR_INTERVAL_MS");
    int64_t ms;
    return text && yg_str_to_i64(yg_str_c(text), &ms) && ms >= 50 ? ms : 0;
}

static yg_rc open_monitors(struct yg_wire *w, struct yg_err *err) {
    w->client = yg_client_create(0);
    w->api.client = w->client;
    struct yg_notifier_options notifier = {
        .meta = w->meta, .client = w->client, .clock = &yg_clock_system};
    w->notifier = yg_notifier_create(&notifier);
    struct yg_monitors_options options = {.store = w->store,
                                          .meta = w->meta,
                                          .notifier = w->notifier,
                                          .pool = w->pool,
                                          .clock = &yg_clock_system,
                                          .public_url = w->public_url,
                                          .eval_interval_ms = monitor_interval_ms()};
    YG_TRY(yg_monitors_create(&options, &w->monitors, err));
    w->api.monitors = w->monitors;
    return YG_OK;
}

yg_rc yg_wire_recover(struct yg_wire *w, const struct yg_options *o,
                      struct yg_meta_first_keys *ret_first, struct yg_err *err) {
    YG_TRY(open_meta(w, o, ret_first, err));
    YG_TRY(open_store(w, o, err));
    YG_TRY(open_monitors(w, err));
    w->watch = (struct yg_selfwatch){
        .pipeline = w->pipeline, .store = w->store, .pool = w->pool, .clock = &yg_clock_system};
    yg_selfwatch_init(&w->watch);
    return YG_OK;
}

void yg_wire_open_doors(struct yg_wire *w) {
    yg_notifier_start(w->notifier);
    yg_monitors_start(w->monitors);
    atomic_store_explicit(&w->api.ready, true, memory_order_release);
}

void yg_wire_tick(struct yg_wire *w) {
    yg_statsd_flush(w->pipeline, false);
    yg_selfwatch_tick(&w->watch);
    yg_api_tick(&w->api);
}

// ------------------------------------------------------------ end

void yg_wire_drain(struct yg_wire *w, int64_t grace_ms) {
    atomic_store_explicit(&w->api.draining, true, memory_order_release);
    yg_loop_stop(w->loop, grace_ms);
    w->loop_running = false;
}

void yg_wire_fini(struct yg_wire *w) {
    if (w->loop_running)
        yg_loop_stop(w->loop, 0);
    // First the listeners: they wait for requests that are still with a handler or the WAL, whose
    // answers tell the pipeline whether they were delivered.
    yg_http_server_destroy(w->admin_server);
    yg_http_server_destroy(w->agent_socket_server);
    yg_http_server_destroy(w->agent_server);
    yg_http_server_destroy(w->api_server);
    yg_udp_destroy(w->dogstatsd);
    yg_monitors_destroy(w->monitors);
    yg_notifier_destroy(w->notifier);
    yg_client_destroy(w->client);
    yg_pipeline_destroy(w->pipeline);
    yg_store_close(w->store);
    yg_loop_destroy(w->loop);
    yg_meta_close(w->meta);
    yg_selfwatch_fini(&w->watch);
    yg_pool_destroy(w->pool);
    yg_api_ui_destroy(w->api.ui);
    if (w->admin_path[0])
        unlink(w->admin_path);
}
