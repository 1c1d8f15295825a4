// SPDX-License-Identifier: Apache-2.0
// Traces: API Gateway or SQS → Lambda → DynamoDB, SQS, HTTP, S3, SNS, Redis and the application's
// own spans; two of three traces go on through a queue into a second function. One trace of 4,000
// makes 100 to 180 DynamoDB calls.
#include "gen.h"

#include <stdlib.h>

#define TRACES_A_BLOCK 140u
#define USERS 40000u
#define ONE_LARGE_OF 4000u

enum span_shape {
    GATEWAY,
    LAMBDA,
    EXPRESS,
    MIDDLEWARE,
    DYNAMODB,
    SQS_SEND,
    SQS_RECEIVE,
    HTTP,
    S3,
    SNS,
    COMPUTE
};

struct trace {
    struct gen_row row;
    uint64_t random;
    uint64_t hi, lo;
    uint32_t user;
    int64_t now_ns; // where the next child starts
    gen_row_fn fn;
    void *arg;
    uint32_t spans; // in the whole trace
    bool first;
};

// The parts of one trace, before any row is made.
struct plan {
    uint32_t functions[2];
    uint32_t children[2];
    uint32_t requests;
    bool gateway;
    bool large;
};

static const char *const tables[] = {"Orders",    "Customers", "Carts",   "Inventory",
                                     "Prices",    "Sessions",  "Ledger",  "Reviews",
                                     "Shipments", "Invoices",  "Returns", "Offers"};
static const char *const calls[] = {"GetItem", "Query", "PutItem", "UpdateItem", "BatchGetItem"};
static const char *const things[] = {"orders", "carts", "users", "products", "prices", "reviews"};

static void tag(struct gen_row *r, const char *key, yg_str value) {
    gen_add(r, GEN_TAG, key, value);
}
static void tag_c(struct gen_row *r, const char *key, const char *value) {
    gen_add(r, GEN_TAG, key, yg_str_c(value));
}

static void common(struct trace *t, const struct gen_function *f) {
    struct gen_row *r = &t->row;
    tag_c(r, "env", "prod");
    tag(r, "version", f->version);
    tag(r, "language",
        yg_str_starts(f->runtime, YG_STR("node"))     ? YG_STR("javascript")
        : yg_str_starts(f->runtime, YG_STR("python")) ? YG_STR("python")
                                                      : YG_STR("jvm"));
    tag(r, "runtime-id", f->runtime_id);
    tag_c(r, "_dd.origin", "lambda");
    tag_c(r, "_dd.p.dm", "-1");
    tag(r, "team", f->team);
    tag(r, "region", f->region);
    tag(r, "functionname", f->name);
    tag(r, "account_id", f->account);
    tag(r, "host", f->host);
    tag_c(r, "datacenter", "aws");
    tag_c(r, "dd_extension_version", "65");
}

static void aws(struct trace *t, const struct gen_function *f, const char *service,
                const char *operation, bool uuid) {
    struct gen_row *r = &t->row;
    uint64_t a = gen_next(&t->random), b = gen_next(&t->random);
    tag_c(r, "aws.service", service);
    tag_c(r, "aws.operation", operation);
    tag(r, "aws.region", f->region);
    tag_c(r, "aws.agent", "js-aws-sdk");
    tag_c(r, "aws.partition", "aws");
    tag(r, "out.host",
        gen_text(r, "%s.%.*s.amazonaws.com", service, (int)f->region.len, f->region.ptr));
    tag_c(r, "http.method", "POST");
    tag_c(r, "component", "aws-sdk");
    tag_c(r, "span.kind", "client");
    tag(r, "_dd.base_service", f->service);
    tag_c(r, "http.status_code", "200");
    tag(r, "aws.response.request_id",
        uuid ? gen_uuid(r, a, b)
             : gen_text(r, "%016llX%010llXVV4KQNSO5AEMVJF66Q9ASUAAJG", (unsigned long long)a,
                        (unsigned long long)(b >> 24)));
}

static void request_tags(struct trace *t, const struct gen_function *f, bool cold) {
    struct gen_row *r = &t->row;
    tag(r, "request_id", gen_uuid(r, gen_next(&t->random), gen_next(&t->random)));
    tag(r, "function_arn", f->arn);
    tag(r, "architecture", f->architecture);
    tag(r, "runtime", f->runtime);
    tag(r, "memorysize", f->memory);
    tag_c(r, "cold_start", cold ? "true" : "false");
    tag_c(r, "function_trigger.event_source", t->first ? "sqs" : "api-gateway");
    tag_c(r, "span.kind", "server");
    tag_c(r, "datadog_lambda", "11.127.0");
    tag_c(r, "dd_trace", "5.71.0");
}

static void http_url(struct trace *t, const char *kind) {
    struct gen_row *r = &t->row;
    static const char *const methods[] = {"GET", "GET", "POST", "PUT"};
    tag_c(r, "http.method", methods[gen_below(&t->random, 4)]);
    tag(r, "http.url",
        gen_text(r, "https://api.example.com/v1/%s/%u", things[gen_below(&t->random, 6)],
                 gen_skewed(&t->random, 90000)));
    tag_c(r, "span.kind", kind);
}

// Name, resource, type and the tags of each kind.
static void describe(struct trace *t, enum span_shape shape, const struct gen_function *f) {
    struct gen_row *r = &t->row;
    const char *thing = things[f->name.len % 6], *call, *table;
    r->service = f->service;
    r->resource = f->name;
    common(t, f);
    switch (shape) {
    case GATEWAY:
        r->name = YG_STR("aws.apigateway");
        r->type = YG_STR("web");
        r->resource = gen_text(r, "GET /v1/%s/{id}", things[gen_below(&t->random, 6)]);
        http_url(t, "server");
        tag_c(r, "apiid", "k3x9d1q7za");
        tag_c(r, "stage", "prod");
        tag(r, "peer.service", f->service);
        tag(r, "http.useragent", YG_STR("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"));
        tag_c(r, "http.status_code", r->error ? "502" : "200");
        break;
    case LAMBDA:
        r->name = YG_STR("aws.lambda");
        r->type = YG_STR("serverless");
        request_tags(t, f, gen_below(&t->random, 60) == 0);
        break;
    case EXPRESS:
        r->name = YG_STR("express.request");
        r->type = YG_STR("web");
        r->resource = gen_text(r, "GET /v1/%s/:id", thing);
        http_url(t, "server");
        tag(r, "http.route", gen_text(r, "/v1/%s/:id", thing));
        tag(r, "user_id", gen_text(r, "user-%05u", t->user));
        tag_c(r, "component", "express");
        tag_c(r, "http.status_code", r->error ? "500" : "200");
        break;
    case MIDDLEWARE:
        r->name = YG_STR("express.middleware");
        r->type = YG_STR("web");
        r->resource = gen_below(&t->random, 2) ? YG_STR("jsonParser") : YG_STR("authenticate");
        tag_c(r, "component", "express");
        tag(r, "user_id", gen_text(r, "user-%05u", t->user));
        break;
    case DYNAMODB:
        call = calls[gen_below(&t->random, 5)];
        table = tables[gen_below(&t->random, 12)];
        r->name = YG_STR("aws.dynamodb");
        r->type = YG_STR("http");
        r->resource = gen_text(r, "%s %s", call, table);
        aws(t, f, "dynamodb", call, false);
        tag_c(r, "tablename", table);
        tag_c(r, "peer.service", table);
        tag_c(r, "_dd.peer.service.source", "tablename");
        break;
    case SQS_SEND:
        r->name = YG_STR("aws.sqs");
        r->type = YG_STR("http");
        r->resource = gen_text(r, "sendMessage %s-events", thing);
        aws(t, f, "sqs", "sendMessage", true);
        tag(r, "queuename", gen_text(r, "%s-events", thing));
        tag(r, "peer.service", gen_text(r, "%s-events", thing));
        break;
    case SQS_RECEIVE:
        r->name = YG_STR("aws.sqs");
        r->type = YG_STR("web");
        r->resource = gen_text(r, "%s-events", thing);
        tag(r, "receipt_handle",
            gen_text(r, "AQEB%016llx%016llxbXFIpQ7nQ==", (unsigned long long)gen_next(&t->random),
                     (unsigned long long)gen_next(&t->random)));
        tag(r, "sender_id", gen_text(r, "AROA%.*s:prod", (int)f->account.len, f->account.ptr));
        tag(r, "queuename", gen_text(r, "%s-events", thing));
        tag_c(r, "operation_name", "aws.sqs");
        tag_c(r, "span.kind", "server");
        break;
    case HTTP:
        r->name = YG_STR("http.request");
        r->type = YG_STR("http");
        r->resource = YG_STR("GET");
        http_url(t, "client");
        tag_c(r, "component", "http");
        tag_c(r, "out.host", "api.example.com");
        tag_c(r, "http.status_code", r->error ? "504" : "200");
        tag(r, "_dd.base_service", f->service);
        tag_c(r, "peer.service", "api.example.com");
        break;
    case S3:
        r->name = YG_STR("aws.s3");
        r->type = YG_STR("http");
        r->resource = gen_text(r, "getObject %s-media", thing);
        aws(t, f, "s3", "getObject", true);
        tag(r, "bucketname", gen_text(r, "%s-media", thing));
        tag(r, "peer.service", gen_text(r, "%s-media", thing));
        break;
    case SNS:
        r->name = YG_STR("aws.sns");
        r->type = YG_STR("http");
        r->resource = gen_text(r, "publish %s-topic", thing);
        aws(t, f, "sns", "publish", true);
        tag(r, "topicname", gen_text(r, "%s-topic", thing));
        break;
    case COMPUTE:
        r->name = gen_below(&t->random, 2) ? YG_STR("pricing.compute") : YG_STR("cart.merge");
        r->type = YG_STR("");
        r->resource = r->name;
        tag_c(r, "component", "app");
        tag(r, "user_id", gen_text(r, "user-%05u", t->user));
        break;
    }
}

static void metrics(struct gen_row *r, bool top) {
    gen_add_number(r, GEN_ATTRIBUTE, "process_id", YG_STR("8"));
    if (!top)
        return;
    gen_add_number(r, GEN_ATTRIBUTE, "_sampling_priority_v1", YG_STR("1"));
    gen_add_number(r, GEN_ATTRIBUTE, "_dd.top_level", YG_STR("1"));
    gen_add_number(r, GEN_ATTRIBUTE, "_dd.agent_psr", YG_STR("1"));
}

// One span; the id is returned for its children.
static uint64_t span(struct trace *t, enum span_shape shape, uint32_t function, uint64_t parent,
                     int64_t start_ns, int64_t duration_ns) {
    struct gen_row *r = &t->row;
    const struct gen_function *f = gen_function(function);
    gen_row_clear(r);
    r->trace_hi = t->hi;
    r->trace_lo = t->lo;
    r->span_id = gen_next(&t->random) >> 1 | 1;
    r->parent_id = parent;
    r->at_ns = start_ns;
    r->duration_ns = duration_ns;
    r->error = gen_below(&t->random, shape == HTTP ? 60 : 250) == 0;
    describe(t, shape, f);
    gen_add(r, GEN_TAG, "_dd.p.tid", gen_hex(r, t->hi));
    if (r->error) {
        tag_c(r, "error.type", "TimeoutError");
        tag_c(r, "error.message", "Socket timed out without establishing a connection");
    }
    metrics(r, parent == 0 || shape == LAMBDA);
    t->fn(t->arg, r, t->first, t->spans);
    t->first = false;
    return r->span_id;
}

// Shares of the children of a function, of 100.
static enum span_shape child_shape(uint64_t *s) {
    uint32_t n = gen_below(s, 100);
    return n < 74   ? DYNAMODB
           : n < 80 ? HTTP
           : n < 84 ? MIDDLEWARE
           : n < 89 ? COMPUTE
           : n < 94 ? S3
                    : SNS;
}

static int64_t a_duration_ns(uint64_t *s, int64_t typical_ns) {
    double u = gen_unit(s);
    return (int64_t)((double)typical_ns * (0.3 + u * u * u * u * 9)) +
           (int64_t)gen_below(s, 1000000);
}

static int64_t shape_ns(enum span_shape shape) {
    return shape == HTTP ? 25000000 : shape == S3 ? 12000000 : shape == COMPUTE ? 900000 : 3500000;
}

// A function's run: its own span, an express span in front of web ones, its calls, and the message
// that starts the next function. Returns the span that the next one hangs on.
static uint64_t run(struct trace *t, const struct plan *p, uint32_t i, uint64_t parent) {
    uint32_t function = p->functions[i];
    uint64_t s = gen_state(t->random, 'R', i);
    int64_t begin_ns = t->now_ns, at_ns = begin_ns + 400000, ends_ns[200];
    enum span_shape shapes[200];
    for (uint32_t c = 0; c < p->children[i]; c++) {
        shapes[c] = p->large ? DYNAMODB : child_shape(&s);
        ends_ns[c] = a_duration_ns(&s, shape_ns(shapes[c]) + function % 20 * 200000);
        at_ns += ends_ns[c];
    }
    int64_t whole_ns = at_ns - begin_ns + 300000 + (int64_t)gen_below(&s, 2000000);
    uint64_t lambda = span(t, LAMBDA, function, parent, begin_ns, whole_ns), inner = lambda;
    bool web = i == 0 && p->gateway;
    if (web)
        inner = span(t, EXPRESS, function, lambda, begin_ns + 200000, whole_ns - 300000);
    at_ns = begin_ns + 400000;
    for (uint32_t c = 0; c < p->children[i]; c++) {
        span(t, shapes[c], function, inner, at_ns, ends_ns[c]);
        at_ns += ends_ns[c];
    }
    t->now_ns = begin_ns + whole_ns;
    if (i + 1 == p->requests)
        return 0;
    uint64_t sent = span(t, SQS_SEND, function, inner, at_ns, 2000000);
    t->now_ns += 3000000 + (int64_t)gen_below(&s, 40000000);
    return span(t, SQS_RECEIVE, p->functions[i + 1], sent, t->now_ns - 1000000, 1000000);
}

static void make_plan(uint64_t *s, uint64_t number, struct plan *p) {
    p->gateway = gen_below(s, 100) < 60;
    p->requests = gen_below(s, 100) < 67 ? 2 : 1;
    p->large = number % ONE_LARGE_OF == 17;
    for (uint32_t i = 0; i < p->requests; i++) {
        p->functions[i] = gen_skewed(s, GEN_FUNCTIONS);
        p->children[i] = gen_below(s, 6) * 3 / 4;
    }
    if (p->large)
        p->children[0] = 100 + gen_below(s, 81);
}

static uint32_t span_count(const struct plan *p) {
    uint32_t n = 1 + p->gateway; // the entry: API Gateway, or SQS
    for (uint32_t i = 0; i < p->requests; i++)
        n += 1 + p->children[i] + (i > 0 ? 2 : 0);
    return n;
}

static uint32_t make_trace(const struct gen *g, uint64_t block, uint32_t i, struct trace *t) {
    uint64_t number = block * TRACES_A_BLOCK + i, s = gen_state(g->seed, 'S', number);
    double slice_ms = (double)(g->end_ms - g->start_ms) / (double)g->blocks;
    double at_ms = ((double)block + (i + gen_unit(&s)) / TRACES_A_BLOCK) * slice_ms;
    struct plan p;
    t->now_ns = g->start_ms * 1000000 + (int64_t)(at_ms * 1e6);
    t->lo = gen_next(&s) >> 1 | 1;
    t->hi = (uint64_t)(t->now_ns / 1000000000) << 32;
    t->user = gen_skewed(&s, USERS);
    make_plan(&s, number, &p);
    t->random = s;
    t->spans = span_count(&p);
    t->first = true;
    int64_t begin_ns = t->now_ns;
    uint64_t parent;
    if (p.gateway) {
        parent =
            span(t, GATEWAY, p.functions[0], 0, begin_ns, 8000000 + a_duration_ns(&s, 20000000));
        t->now_ns += 2000000;
    } else
        parent = span(t, SQS_RECEIVE, p.functions[0], 0, begin_ns - 1500000, 1500000);
    for (uint32_t r = 0; r < p.requests; r++)
        parent = run(t, &p, r, parent);
    return t->spans;
}

uint32_t gen_spans(const struct gen *g, uint64_t block, gen_row_fn fn, void *arg) {
    struct trace t = {.fn = fn, .arg = arg};
    uint32_t count = 0;
    for (uint32_t i = 0; i < TRACES_A_BLOCK; i++)
        count += make_trace(g, block, i, &t);
    return count;
}
