// SPDX-License-Identifier: Apache-2.0
// Logs: START, END and REPORT of every request and what the application says between them. Trace,
// span and user are those of the request; requests that run at the same time are interleaved.
#include "gen.h"

#include <stdlib.h>

#define REQUESTS_MAX 400u
#define LINES_MAX 12u
#define USERS 40000u
#define ADDRESSES 30000u
#define ORDERS 90000u

enum shape {
    START,
    END,
    REPORT,
    ACCESS,
    PRICED,
    TABLE,
    CACHE,
    PUBLISHED,
    SIGNED_IN,
    SLOW,
    UPSTREAM,
    FAILED
};

struct request {
    uint64_t random; // what its texts are made from
    uint64_t id_hi, id_lo, trace_id, span_id;
    int64_t start_ms;
    uint32_t duration_us, function, user, address;
    bool cold;
};

struct line {
    int64_t at_ms;
    uint32_t request;
    uint16_t number;
    uint8_t shape;
};

static const char *const tables[] = {"Orders",    "Customers", "Carts",   "Inventory",
                                     "Prices",    "Sessions",  "Ledger",  "Reviews",
                                     "Shipments", "Invoices",  "Returns", "Offers"};
static const char *const calls[] = {"GetItem", "Query", "PutItem", "UpdateItem", "BatchGetItem"};
static const char *const resources[] = {"orders",   "carts",  "users",
                                        "products", "prices", "reviews"};

static void make_request(const struct gen *g, uint64_t block, uint32_t i, struct request *q) {
    uint64_t number = block * REQUESTS_MAX + i;
    uint64_t s = gen_state(g->seed, 'L', number);
    double slice_ms = (double)(g->end_ms - g->start_ms) / (double)g->blocks;
    q->start_ms = g->start_ms + (int64_t)((double)block * slice_ms + gen_unit(&s) * slice_ms);
    // A trace has 1.67 requests: two of three share theirs with a neighbour.
    uint64_t trace = gen_state(g->seed, 'T', number - (i % 5 == 1 || i % 5 == 3));
    q->trace_id = trace >> 1 | 1;
    q->id_hi = gen_next(&s);
    q->id_lo = gen_next(&s);
    q->span_id = gen_next(&s) >> 1 | 1;
    q->function = gen_skewed(&s, GEN_FUNCTIONS);
    uint64_t who = trace;
    q->user = gen_skewed(&who, USERS);
    q->address = q->user * 7 % ADDRESSES;
    double u = gen_unit(&s);
    q->duration_us = 1500 + q->function % 40 * 400 + (uint32_t)(u * u * u * 900000);
    q->cold = gen_below(&s, 60) == 0;
    q->random = s;
}

// How often each message of the application comes, of 10,000.
static enum shape app_shape(uint64_t *s) {
    static const struct {
        uint32_t up_to;
        enum shape shape;
    } shares[] = {{2300, ACCESS}, {3800, PRICED},    {6800, TABLE},
                  {8300, CACHE},  {9000, PUBLISHED}, {9550, SIGNED_IN},
                  {9750, SLOW},   {9808, UPSTREAM},  {10000, FAILED}};
    uint32_t n = gen_below(s, 10000), i = 0;
    while (n >= shares[i].up_to)
        i++;
    return shares[i].shape;
}

static uint32_t make_lines(const struct request *q, uint32_t request, struct line *lines) {
    uint64_t s = q->random ^ 0x5bd1e995;
    uint32_t app = gen_below(&s, 6), n = 0;
    uint32_t duration_ms = q->duration_us / 1000;
    lines[n++] = (struct line){q->start_ms, request, 0, START};
    for (uint32_t i = 0; i < app; i++)
        lines[n++] = (struct line){q->start_ms + duration_ms * (i + 1) / (app + 2), request,
                                   (uint16_t)(i + 1), (uint8_t)app_shape(&s)};
    lines[n++] = (struct line){q->start_ms + duration_ms, request, 30, END};
    lines[n++] = (struct line){q->start_ms + duration_ms, request, 31, REPORT};
    return n;
}

static int by_time(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    if (x->request != y->request)
        return x->request < y->request ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

// ------------------------------------------------------------ what a line says

struct said {
    yg_str message, status, logger;
};

static yg_str address_of(struct gen_row *r, const struct request *q) {
    return gen_text(r, "%u.%u.%u.%u", 20 + q->address % 7, q->address / 251 % 251, q->address % 251,
                    1 + q->address / 7 % 250);
}

static void say_report(struct gen_row *r, const struct request *q, struct said *said) {
    const struct gen_function *f = gen_function(q->function);
    uint64_t s = q->random;
    yg_str id = gen_uuid(r, q->id_hi, q->id_lo);
    yg_str ms = gen_hundredths(r, q->duration_us / 10);
    uint32_t used = f->memory_mb * (45 + gen_below(&s, 30)) / 100;
    yg_str init = gen_hundredths(r, 12000 + gen_below(&s, 60000));
    yg_str billed = gen_decimal(r, (q->duration_us + 999) / 1000);
    said->message =
        gen_text(r,
                 "REPORT RequestId: %.*s\\tDuration: %.*s ms\\tBilled Duration: %.*s ms\\tMemory "
                 "Size: %u MB\\tMax Memory Used: %u MB%s%.*s%s",
                 (int)id.len, id.ptr, (int)ms.len, ms.ptr, (int)billed.len, billed.ptr,
                 f->memory_mb, used, q->cold ? "\\tInit Duration: " : "",
                 q->cold ? (int)init.len : 0, init.ptr, q->cold ? " ms" : "");
    gen_add_number(r, GEN_ATTRIBUTE, "duration_ms", ms);
    gen_add_number(r, GEN_ATTRIBUTE, "billed_duration_ms", billed);
    gen_add_number(r, GEN_ATTRIBUTE, "max_memory_mb", gen_decimal(r, used));
    if (q->cold)
        gen_add_number(r, GEN_ATTRIBUTE, "init_duration_ms", init);
}

static void say_platform(struct gen_row *r, const struct request *q, enum shape shape,
                         struct said *said) {
    yg_str id = gen_uuid(r, q->id_hi, q->id_lo);
    said->status = YG_STR("info");
    said->logger = YG_STR("platform");
    if (shape == START)
        said->message = gen_text(r, "START RequestId: %.*s Version: $LATEST", (int)id.len, id.ptr);
    else if (shape == END)
        said->message = gen_text(r, "END RequestId: %.*s", (int)id.len, id.ptr);
    else
        say_report(r, q, said);
}

static void say_access(struct gen_row *r, const struct request *q, uint64_t *s, struct said *said) {
    static const char *const methods[] = {"GET", "GET", "GET", "POST", "PUT", "DELETE"};
    static const uint16_t codes[] = {200, 200, 200, 200, 200, 201, 204, 304, 400, 404, 500, 503};
    uint32_t code = codes[gen_below(s, 12)];
    if (code >= 500 && gen_below(s, 4) != 0)
        code = 200;
    yg_str path = gen_text(r, "/v1/%s/%u", resources[gen_below(s, 6)], gen_below(s, 60000));
    yg_str ms = gen_hundredths(r, q->duration_us / 20 + gen_below(s, 300));
    const char *method = methods[gen_below(s, 6)];
    said->message = gen_text(r, "%s %.*s %u in %.*s ms", method, (int)path.len, path.ptr, code,
                             (int)ms.len, ms.ptr);
    said->status = code >= 500 ? YG_STR("error") : code >= 400 ? YG_STR("warn") : YG_STR("info");
    said->logger = YG_STR("http.access");
    gen_add(r, GEN_ATTRIBUTE, "http.method", yg_str_c(method));
    gen_add(r, GEN_ATTRIBUTE, "http.path", path);
    gen_add_number(r, GEN_ATTRIBUTE, "http.status_code", gen_decimal(r, code));
    gen_add_number(r, GEN_ATTRIBUTE, "http.duration_ms", ms);
    gen_add(r, GEN_ATTRIBUTE, "network.client.ip", address_of(r, q));
}

static void say_table(struct gen_row *r, uint64_t *s, bool slow, struct said *said) {
    const char *call = calls[gen_below(s, 5)], *table = tables[gen_below(s, 12)];
    double u = gen_unit(s);
    yg_str ms =
        gen_hundredths(r, slow ? 50000 + gen_below(s, 90000) : 120 + (uint64_t)(u * u * u * 6000));
    yg_str capacity = gen_hundredths(r, 50 * (1 + gen_below(s, 20)));
    if (slow)
        said->message = gen_text(r, "Slow query: DynamoDB %s on %s took %.*s ms", call, table,
                                 (int)ms.len, ms.ptr);
    else
        said->message = gen_text(r, "DynamoDB %s on %s took %.*s ms, consumed %.*s units", call,
                                 table, (int)ms.len, ms.ptr, (int)capacity.len, capacity.ptr);
    said->status = slow ? YG_STR("warn") : YG_STR("debug");
    said->logger = YG_STR("store.dynamodb");
    gen_add(r, GEN_ATTRIBUTE, "db.operation", yg_str_c(call));
    gen_add(r, GEN_ATTRIBUTE, "db.table", yg_str_c(table));
    gen_add_number(r, GEN_ATTRIBUTE, "db.duration_ms", ms);
    gen_add_number(r, GEN_ATTRIBUTE, "db.capacity", capacity);
}

static void say_failed(struct gen_row *r, uint64_t *s, struct said *said) {
    static const char *const errors[] = {
        "TypeError: Cannot read properties of undefined (reading 'total')",
        "ValidationError: quantity must be a positive integer",
        "ConditionalCheckFailedException: The conditional request failed",
        "TimeoutError: Socket timed out without establishing a connection",
        "ThrottlingException: Rate exceeded"};
    const char *error = errors[gen_below(s, 5)];
    yg_str kind = {error, strcspn(error, ":")};
    said->message = gen_text(r,
                             "%s\\n    at Pricing.sum (/var/task/src/pricing.js:%u:17)\\n    at "
                             "async handler (/var/task/index.js:%u:5)",
                             error, 20 + gen_below(s, 60), 10 + gen_below(s, 9));
    said->status = YG_STR("error");
    said->logger = YG_STR("app.handler");
    gen_add(r, GEN_ATTRIBUTE, "error.kind", kind);
    gen_add_number(r, GEN_ATTRIBUTE, "error.line", gen_decimal(r, 20 + gen_below(s, 60)));
}

static void say_upstream(struct gen_row *r, uint64_t *s, struct said *said) {
    uint32_t attempt = 1 + gen_below(s, 3), ms = 1000 * (1 + gen_below(s, 5));
    const struct gen_function *other = gen_function(gen_below(s, GEN_FUNCTIONS));
    said->message = gen_text(r, "upstream %.*s timed out after %u ms, attempt %u of 3",
                             (int)other->service.len, other->service.ptr, ms, attempt);
    said->status = attempt == 3 ? YG_STR("error") : YG_STR("warn");
    said->logger = YG_STR("http.client");
    gen_add(r, GEN_ATTRIBUTE, "peer.service", other->service);
    gen_add_number(r, GEN_ATTRIBUTE, "attempt", gen_decimal(r, attempt));
}

static void say_order(struct gen_row *r, const struct request *q, uint64_t *s, struct said *said) {
    yg_str order = gen_text(r, "%u", 1000000 + gen_skewed(s, ORDERS) * 37);
    yg_str amount = gen_hundredths(r, 100 * (1 + gen_below(s, 400)) + 99 * gen_below(s, 2));
    said->message = gen_text(r, "order %.*s of user-%05u priced at %.*s USD", (int)order.len,
                             order.ptr, q->user, (int)amount.len, amount.ptr);
    said->status = YG_STR("info");
    said->logger = YG_STR("orders.pricing");
    gen_add(r, GEN_ATTRIBUTE, "order_id", order);
    gen_add_number(r, GEN_ATTRIBUTE, "amount", amount);
}

static void say(struct gen_row *r, const struct request *q, const struct line *line,
                struct said *said) {
    uint64_t s = gen_state(q->random, line->number, 3);
    switch ((enum shape)line->shape) {
    case START:
    case END:
    case REPORT:
        say_platform(r, q, line->shape, said);
        return;
    case ACCESS:
        say_access(r, q, &s, said);
        return;
    case PRICED:
        say_order(r, q, &s, said);
        return;
    case TABLE:
    case SLOW:
        say_table(r, &s, line->shape == SLOW, said);
        return;
    case UPSTREAM:
        say_upstream(r, &s, said);
        return;
    case FAILED:
        say_failed(r, &s, said);
        return;
    case CACHE:
        said->message = gen_text(r, "cache %s for key session:user-%05u",
                                 gen_below(&s, 4) ? "hit" : "miss", q->user);
        said->status = YG_STR("debug");
        said->logger = YG_STR("store.cache");
        return;
    case PUBLISHED:
        said->message = gen_text(r, "published %u records to queue %s-events",
                                 1 + gen_skewed(&s, 25), resources[gen_below(&s, 6)]);
        said->status = YG_STR("info");
        said->logger = YG_STR("queue.sqs");
        return;
    case SIGNED_IN: {
        yg_str ip = address_of(r, q);
        said->message = gen_text(r, "Signed in user-%05u from %.*s", q->user, (int)ip.len, ip.ptr);
        said->status = YG_STR("info");
        said->logger = YG_STR("auth.session");
        gen_add(r, GEN_ATTRIBUTE, "network.client.ip", ip);
        return;
    }
    }
}

static void make_row(struct gen_row *r, const struct request *q, const struct line *line) {
    const struct gen_function *f = gen_function(q->function);
    struct said said = {0};
    bool app = line->shape > REPORT;
    gen_row_clear(r);
    r->at_ns = line->at_ms * 1000000;
    say(r, q, line, &said);
    gen_add(r, GEN_ATTRIBUTE, "request_id", gen_uuid(r, q->id_hi, q->id_lo));
    gen_add(r, GEN_ATTRIBUTE, "logger", said.logger);
    if (app) {
        gen_add(r, GEN_ATTRIBUTE, "dd.trace_id", gen_decimal(r, q->trace_id));
        gen_add(r, GEN_ATTRIBUTE, "dd.span_id", gen_decimal(r, q->span_id));
        if (line->shape != TABLE || q->function % 3 == 0)
            gen_add(r, GEN_ATTRIBUTE, "user_id", gen_text(r, "user-%05u", q->user));
    }
    if (q->cold && app)
        gen_add(r, GEN_ATTRIBUTE, "cold_start", YG_STR("yes"));
    gen_add(r, GEN_TOP, "message", said.message);
    gen_add(r, GEN_TOP, "status", said.status);
    gen_add_number(r, GEN_TOP, "timestamp", gen_decimal(r, (uint64_t)line->at_ms));
    gen_add(r, GEN_TOP, "hostname", f->host);
    gen_add(r, GEN_TOP, "service", f->service);
    gen_add(r, GEN_TOP, "ddsource", YG_STR("lambda"));
    gen_add(r, GEN_TAG, "env", YG_STR("prod"));
    gen_add(r, GEN_TAG, "functionname", f->name);
    gen_add(r, GEN_TAG, "version", f->version);
    gen_add(r, GEN_TAG, "team", f->team);
    gen_add(r, GEN_TAG, "region", f->region);
    gen_add(r, GEN_TAG, "account_id", f->account);
    gen_add(r, GEN_TAG, "runtime", f->runtime);
    gen_add(r, GEN_TAG, "architecture", f->architecture);
    gen_add(r, GEN_TAG, "memorysize", f->memory);
    gen_add(r, GEN_TAG, "dd_extension_version", YG_STR("65"));
}

uint32_t gen_logs(const struct gen *g, uint64_t block, gen_row_fn fn, void *arg) {
    struct request requests[REQUESTS_MAX];
    struct line lines[GEN_BLOCK_ROWS + LINES_MAX];
    struct gen_row row;
    uint32_t count = 0;
    for (uint32_t i = 0; i < REQUESTS_MAX && count < GEN_BLOCK_ROWS; i++) {
        make_request(g, block, i, &requests[i]);
        count += make_lines(&requests[i], i, lines + count);
    }
    if (count > GEN_BLOCK_ROWS)
        count = GEN_BLOCK_ROWS;
    qsort(lines, count, sizeof(lines[0]), by_time);
    for (uint32_t i = 0; i < count; i++) {
        make_row(&row, &requests[lines[i].request], &lines[i]);
        fn(arg, &row, false, 0);
    }
    return count;
}
