// SPDX-License-Identifier: Apache-2.0
// The agent's own addresses: /info, remote configuration, telemetry, services, DogStatsD by HTTP
// and by UDP.
//
// Every answer but /info carries Datadog-Agent-Version and Datadog-Agent-State, the hash of /info's
// body: clients fetch /info again when it changes.
// Source: DataDog/datadog-agent pkg/trace/api/info.go, api.go, endpoints.go
#include <openssl/sha.h>
#include <pthread.h>

#include "codec/json_write.h"
#include "intake/door.h"

// The agent release whose protocol is spoken; clients compare it with their minimum.
#define AGENT_VERSION "7.66.0"
#define INFO_BYTES_MAX (16u << 10)
#define STATSD_ARENA_BYTES (8u << 20)

static pthread_once_t info_once = PTHREAD_ONCE_INIT;
static struct yg_buf info_body; // made once, lives as long as the process
static char info_state[2 * SHA256_DIGEST_LENGTH + 1];

static void put_list(struct yg_json_writer *w, const char *key, const char *const *items) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_array(w);
    for (; *items; items++)
        yg_jw_str(w, yg_str_c(*items));
    yg_jw_array_end(w);
}

static void make_info(void) {
    static const char *const endpoints[] = {
        "/v0.3/traces", "/v0.3/services",      "/v0.4/traces", "/v0.4/services",
        "/v0.5/traces", "/v0.7/traces",        "/v0.6/stats",  "/telemetry/proxy/",
        "/v0.7/config", "/dogstatsd/v2/proxy", NULL,
    };
    static const char *const kinds[] = {"server", "client", "producer", "consumer", NULL};
    static const char *const peer_tags[] = {
        "_dd.base_service",
        "amqp.destination",
        "amqp.exchange",
        "amqp.queue",
        "aws.queue.name",
        "aws.s3.bucket",
        "bucketname",
        "cassandra.cluster",
        "db.cassandra.contact.points",
        "db.couchbase.seed.nodes",
        "db.hostname",
        "db.instance",
        "db.name",
        "db.namespace",
        "db.system",
        "grpc.host",
        "hostname",
        "http.host",
        "http.server_name",
        "messaging.destination",
        "messaging.destination.name",
        "messaging.kafka.bootstrap.servers",
        "messaging.rabbitmq.exchange",
        "messaging.system",
        "mongodb.db",
        "msmq.queue.path",
        "net.peer.name",
        "network.destination.ip",
        "network.destination.name",
        "out.host",
        "peer.hostname",
        "peer.service",
        "queuename",
        "rpc.service",
        "rpc.system",
        "sequel.db.vendor",
        "server.address",
        "streamname",
        "tablename",
        "topicname",
        NULL,
    };
    static const char *const none[] = {NULL};
    unsigned char hash[SHA256_DIGEST_LENGTH];
    info_body = YG_BUF(YG_MEM_INTAKE, INFO_BYTES_MAX);
    struct yg_json_writer w = YG_JSON_WRITER(&info_body);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "version", YG_STR(AGENT_VERSION));
    yg_jw_kstr(&w, "git_commit", YG_STR(""));
    put_list(&w, "endpoints", endpoints);
    put_list(&w, "feature_flags", none);
    yg_jw_kbool(&w, "client_drop_p0s", false); // every span is wanted
    yg_jw_kbool(&w, "span_meta_structs", true);
    yg_jw_kbool(&w, "long_running_spans", true);
    yg_jw_kbool(&w, "span_events", true);
    put_list(&w, "peer_tags", peer_tags);
    put_list(&w, "span_kinds_stats_computed", kinds);
    yg_jw_k(&w, "config");
    yg_jw_object(&w);
    yg_jw_kstr(&w, "default_env", YG_STR("none"));
    yg_jw_ki64(&w, "max_request_bytes", 25 << 20);
    yg_jw_object_end(&w);
    yg_jw_object_end(&w);
    (void)SHA256((const unsigned char *)info_body.ptr, info_body.len, hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        (void)snprintf(info_state + 2 * i, 3, "%02x", hash[i]);
}

void yg_agent_headers(struct yg_http_reply *reply) {
    (void)pthread_once(&info_once, make_info);
    reply->extra[reply->extra_count++] = (struct yg_http_header){
        .name = YG_STR("datadog-agent-version"), .value = YG_STR(AGENT_VERSION)};
    reply->extra[reply->extra_count++] = (struct yg_http_header){
        .name = YG_STR("datadog-agent-state"), .value = yg_str_c(info_state)};
}

void yg_agent_info(struct yg_http_request *take_req) {
    (void)pthread_once(&info_once, make_info);
    struct yg_http_reply reply = {
        .status = 200, .content_type = "application/json", .static_body = yg_buf_str(&info_body)};
    yg_http_reply(take_req, &reply);
}

// ------------------------------------------------------------ taken, and no more

void yg_agent_config(struct yg_http_request *take_req) {
    static const struct yg_door door = {.name = "/v0.7/config",
                                        .client = "agent-protocol",
                                        .style = YG_STYLE_AGENT,
                                        .status = 200,
                                        .content_type = "application/json",
                                        .body = "{}"}; // nothing to change
    yg_door_accept(take_req, &door);
}

// Always a success: a tracer whose telemetry is refused sends it to the vendor's site.
void yg_agent_telemetry(struct yg_http_request *take_req) {
    static const struct yg_door door = {.name = "/telemetry/proxy",
                                        .client = "agent-protocol",
                                        .style = YG_STYLE_AGENT,
                                        .status = 200,
                                        .content_type = "application/json",
                                        .body = "{}"};
    struct yg_intake *intake = take_req->ctx;
    const struct yg_intake_tally one = {.taken = 1};
    yg_door_saw(take_req, &door, yg_now_ns(intake->clock), &one, false);
    yg_door_accept(take_req, &door);
}

void yg_agent_services(struct yg_http_request *take_req) {
    static const struct yg_door door = {.name = "/v0.4/services",
                                        .style = YG_STYLE_AGENT,
                                        .status = 200,
                                        .content_type = "text/plain",
                                        .body = "OK\n"};
    yg_door_accept(take_req, &door);
}

// ------------------------------------------------------------ DogStatsD

struct statsd {
    struct yg_pipeline *pipeline;
    struct yg_batch *events; // made when the first event or check comes
    int64_t now_ns;
    uint64_t lost; // for want of memory
};

static void take_sample(void *ctx, const struct yg_statsd_sample *sample) {
    struct statsd *s = ctx;
    if (!yg_statsd_add(s->pipeline, sample))
        s->lost++;
}

static struct yg_batch *event_batch(struct statsd *s) {
    if (s->events == NULL)
        s->events = yg_batch_create(YG_TRACK_EVENTS, STATSD_ARENA_BYTES);
    return s->events;
}

static void take_event(void *ctx, const struct yg_intake_event *event) {
    struct statsd *s = ctx;
    struct yg_batch *b = event_batch(s);
    if (b == NULL || yg_intake_put_event(b, event, s->now_ns, NULL) != YG_OK)
        s->lost++;
}

static void take_check(void *ctx, const struct yg_intake_check *check) {
    struct statsd *s = ctx;
    struct yg_batch *b = event_batch(s);
    if (b == NULL || yg_intake_put_check(b, check, s->now_ns, NULL) != YG_OK)
        s->lost++;
}

// UDP and the proxy have no one to tell when the WAL refuses: it is counted.
static void events_stored(void *arg, yg_rc rc, const struct yg_err *err) {
    (void)err;
    if (rc != YG_OK)
        yg_pipeline_reject(arg, "dogstatsd", yg_rc_name(rc), 1);
}

static void run_statsd(struct yg_intake *intake, yg_str data, const char *route) {
    struct statsd s = {.pipeline = intake->pipeline, .now_ns = yg_now_ns(intake->clock)};
    const struct yg_dogstatsd_sink sink = {
        .sample = take_sample, .event = take_event, .check = take_check, .ctx = &s};
    struct yg_intake_tally tally = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_INTAKE, STATSD_ARENA_BYTES);
    yg_dogstatsd_parse(data, &sink, arena, &tally);
    if (s.events) {
        uint32_t rows = s.events->row_count;
        s.events->received_ns = s.now_ns;
        s.events->body_bytes = data.len;
        if (yg_pipeline_rows(s.pipeline, s.events, events_stored, s.pipeline, NULL) != YG_OK)
            s.lost += rows;
    }
    if (tally.skipped > 0)
        yg_pipeline_reject(s.pipeline, route, "grammar", tally.skipped);
    if (s.lost > 0)
        yg_pipeline_reject(s.pipeline, route, "full", (int64_t)s.lost);
    struct yg_intake_visit visit = {.client = YG_STR("dogstatsd"),
                                    .version = YG_STR(""),
                                    .route = route,
                                    .items = tally.taken,
                                    .bytes = data.len,
                                    .rejected = tally.skipped + s.lost,
                                    .now_ns = s.now_ns};
    yg_intake_saw(&visit);
}

void yg_agent_dogstatsd(struct yg_http_request *take_req) {
    static const struct yg_door door = {.name = "/dogstatsd/v2/proxy",
                                        .client = "dogstatsd",
                                        .inflated_max_bytes = 5u << 20,
                                        .forms = ~0u,
                                        .style = YG_STYLE_AGENT,
                                        .status = 200,
                                        .content_type = "text/plain",
                                        .body = "OK\n"};
    struct yg_err err = {0};
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_INTAKE, 0);
    if (yg_door_body(take_req, &door, &body, &err) != YG_OK) {
        yg_door_fail(take_req, &door, &err);
        return;
    }
    run_statsd(take_req->ctx, yg_buf_str(&body), door.name);
    yg_door_accept(take_req, &door);
}

void yg_intake_dogstatsd(void *ctx, yg_str datagram) {
    struct yg_intake *intake = ctx;
    if (intake->pipeline == NULL) { // recovery is still reading the WAL
        yg_pipeline_reject(NULL, "dogstatsd", "not_ready", 1);
        return;
    }
    run_statsd(intake, datagram, "dogstatsd");
}
