// SPDX-License-Identifier: Apache-2.0
// Load generator: realistic spans, logs or points over the real wire protocols, deterministic by
// seed.
//
//   load spans|logs|points --address 127.0.0.1:8126 [--rows 1000000] [--batch 500] [--connections
//   2] [--seed 1] [--key K]
//        [--rate ROWS_PER_S]
//
// Spans: MessagePack v0.4, traces of 8 spans with about 25 attributes each. Logs: JSON arrays,
// about 750 bytes and 20 attributes a line. Points: v2 series JSON over 50,000 series. Prints rows,
// bytes and refused requests as JSON.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "codec/json_write.h"
#include "codec/msgpack.h"
#include "codec/text.h"

#define FUNCTIONS 500u
#define SPANS_PER_TRACE 8u
#define SERIES 50000u
#define BODY_MAX (24u << 20)
#define CONNECTIONS_MAX 16

enum what { SPANS, LOGS, POINTS };

struct plan {
    enum what what;
    struct sockaddr_in address;
    uint64_t rows;
    uint32_t batch;
    uint32_t connections;
    uint64_t seed;
    uint64_t rate; // rows per second over all connections; 0 = as fast as it goes
    const char *key;
};

struct sender {
    struct yg_thread thread;
    const struct plan *plan;
    uint64_t state; // random
    uint64_t rows_left;
    uint64_t sent_rows, sent_bytes, refused, resent;
    int fd;
};

static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t below(uint64_t *state, uint32_t n) {
    return (uint32_t)(next_random(state) % n);
}

// Durations spread over three decades, most of them short.
static int64_t a_duration_ns(uint64_t *state) {
    int64_t base = 200000 + (int64_t)(next_random(state) % 5000000);
    return below(state, 50) == 0 ? base * 200 : base;
}

// ------------------------------------------------------------ spans

static const char *const operations[] = {"aws.lambda", "aws.dynamodb", "http.request", "aws.sqs",
                                         "express.request"};
static const char *const tables[] = {"Orders",    "Customers", "Carts",
                                     "Inventory", "Prices",    "Sessions"};
static const char *const regions[] = {"ap-northeast-1", "us-east-1"};

static void put_kv(struct yg_buf *b, const char *key, const char *value) {
    yg_mp_put_str(b, yg_str_c(key));
    yg_mp_put_str(b, yg_str_c(value));
}

static void put_meta(struct yg_buf *b, uint64_t *state, uint32_t function, uint32_t kind,
                     const char *trace_hex) {
    char text[160], version[16], id[40];
    snprintf(version, sizeof(version), "%u", 40 + function % 7);
    yg_mp_put_map(b, 18);
    put_kv(b, "env", "prod");
    put_kv(b, "version", version);
    put_kv(b, "language", "javascript");
    put_kv(b, "_dd.p.tid", trace_hex);
    put_kv(b, "_dd.p.dm", "-1");
    snprintf(id, sizeof(id), "%08x-0000-4000-8000-%012x", function, function * 7);
    put_kv(b, "runtime-id", id);
    snprintf(text, sizeof(text), "fn-%03u", function);
    put_kv(b, "functionname", text);
    snprintf(text, sizeof(text), "arn:aws:lambda:%s:123456789012:function:fn-%03u",
             regions[function % 2], function);
    put_kv(b, "function_arn", text);
    snprintf(id, sizeof(id), "%016llx-%08x", (unsigned long long)next_random(state),
             below(state, UINT32_MAX));
    put_kv(b, "request_id", id);
    put_kv(b, "region", regions[function % 2]);
    put_kv(b, "span.kind", kind == 0 ? "server" : "client");
    put_kv(b, "component", kind == 1 ? "aws-sdk" : "http");
    put_kv(b, "http.method", below(state, 4) ? "GET" : "POST");
    snprintf(text, sizeof(text), "https://api.example.com/v1/orders/%u?page=%u",
             below(state, 100000), below(state, 9));
    put_kv(b, "http.url", text);
    put_kv(b, "http.status_code", below(state, 100) ? "200" : "500");
    put_kv(b, "tablename", tables[below(state, 6)]);
    snprintf(text, sizeof(text), "team-%u", function % 20);
    put_kv(b, "team", text);
    snprintf(text, sizeof(text), "user-%u", below(state, 40000));
    put_kv(b, "usr.id", text);
}

static void put_span(struct yg_buf *b, uint64_t *state, uint64_t trace_id, uint64_t root_id,
                     uint32_t position, int64_t start_ns, const char *trace_hex) {
    uint32_t function = (uint32_t)(trace_id % FUNCTIONS), kind = position % 5;
    char text[64];
    yg_mp_put_map(b, 12);
    yg_mp_put_str(b, YG_STR("trace_id"));
    yg_mp_put_u64(b, trace_id);
    yg_mp_put_str(b, YG_STR("span_id"));
    yg_mp_put_u64(b, position == 0 ? root_id : next_random(state) >> 1);
    yg_mp_put_str(b, YG_STR("parent_id"));
    yg_mp_put_u64(b, position == 0 ? 0 : root_id);
    yg_mp_put_str(b, YG_STR("name"));
    yg_mp_put_str(b, yg_str_c(operations[kind]));
    yg_mp_put_str(b, YG_STR("service"));
    snprintf(text, sizeof(text), "svc-%02u", function % 60);
    yg_mp_put_str(b, yg_str_c(text));
    yg_mp_put_str(b, YG_STR("resource"));
    snprintf(text, sizeof(text), "GET /v1/orders/:id %u", function % 40);
    yg_mp_put_str(b, yg_str_c(text));
    yg_mp_put_str(b, YG_STR("type"));
    yg_mp_put_str(b, kind == 0 ? YG_STR("serverless") : YG_STR("http"));
    yg_mp_put_str(b, YG_STR("start"));
    yg_mp_put_i64(b, start_ns + position * 300000);
    yg_mp_put_str(b, YG_STR("duration"));
    yg_mp_put_i64(b, a_duration_ns(state));
    yg_mp_put_str(b, YG_STR("error"));
    yg_mp_put_i64(b, below(state, 200) == 0);
    yg_mp_put_str(b, YG_STR("meta"));
    put_meta(b, state, function, kind, trace_hex);
    yg_mp_put_str(b, YG_STR("metrics"));
    yg_mp_put_map(b, 4);
    yg_mp_put_str(b, YG_STR("_sampling_priority_v1"));
    yg_mp_put_f64(b, 1);
    yg_mp_put_str(b, YG_STR("process_id"));
    yg_mp_put_f64(b, 8);
    yg_mp_put_str(b, YG_STR("_dd.agent_psr"));
    yg_mp_put_f64(b, 1);
    yg_mp_put_str(b, YG_STR("memorysize"));
    yg_mp_put_f64(b, 512);
}

static uint32_t body_spans(struct sender *s, struct yg_buf *b, uint32_t rows) {
    uint32_t traces = rows / SPANS_PER_TRACE ? rows / SPANS_PER_TRACE : 1;
    int64_t now_ns = yg_now_ns(&yg_clock_system);
    yg_mp_put_array(b, traces);
    for (uint32_t t = 0; t < traces; t++) {
        uint64_t trace_id = next_random(&s->state) >> 1, root_id = next_random(&s->state) >> 1;
        char hex[17];
        snprintf(hex, sizeof(hex), "%08x00000000", (uint32_t)(now_ns / YG_NS_PER_S));
        yg_mp_put_array(b, SPANS_PER_TRACE);
        int64_t start_ns = now_ns - 50000000 - (int64_t)below(&s->state, 1000000000);
        for (uint32_t i = 0; i < SPANS_PER_TRACE; i++)
            put_span(b, &s->state, trace_id, root_id, i, start_ns, hex);
    }
    return traces * SPANS_PER_TRACE;
}

// ------------------------------------------------------------ logs

static const char *const levels[] = {"info", "info", "info",  "info",
                                     "warn", "info", "debug", "error"};

static void put_log(struct yg_buf *b, uint64_t *state, int64_t now_ms) {
    uint32_t function = below(state, FUNCTIONS);
    char text[256];
    struct yg_json_writer w = YG_JSON_WRITER(b);
    yg_jw_object(&w);
    snprintf(text, sizeof(text), "order %u of customer %u priced at %u.%02u JPY in %u ms",
             below(state, 10000000), below(state, 40000), below(state, 90000), below(state, 100),
             below(state, 900));
    yg_jw_kstr(&w, "message", yg_str_c(text));
    yg_jw_kstr(&w, "status", yg_str_c(levels[below(state, 8)]));
    yg_jw_ki64(&w, "timestamp", now_ms - below(state, 1000));
    snprintf(text, sizeof(text), "svc-%02u", function % 60);
    yg_jw_kstr(&w, "service", yg_str_c(text));
    snprintf(text, sizeof(text), "fn-%03u", function);
    yg_jw_kstr(&w, "hostname", yg_str_c(text));
    yg_jw_kstr(&w, "ddsource", YG_STR("lambda"));
    snprintf(text, sizeof(text), "env:prod,team:team-%u,functionname:fn-%03u,version:%u,region:%s",
             function % 20, function, 40 + function % 7, regions[function % 2]);
    yg_jw_kstr(&w, "ddtags", yg_str_c(text));
    snprintf(text, sizeof(text), "%016llx%016llx", (unsigned long long)next_random(state),
             (unsigned long long)next_random(state));
    yg_jw_kstr(&w, "request_id", yg_str_c(text));
    yg_jw_k(&w, "dd");
    yg_jw_object(&w);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)(next_random(state) >> 1));
    yg_jw_kstr(&w, "trace_id", yg_str_c(text));
    yg_jw_kstr(&w, "span_id", yg_str_c(text));
    yg_jw_object_end(&w);
    yg_jw_k(&w, "http");
    yg_jw_object(&w);
    yg_jw_kstr(&w, "method", YG_STR("GET"));
    yg_jw_ki64(&w, "status_code", below(state, 50) ? 200 : 500);
    snprintf(text, sizeof(text), "/v1/orders/%u", below(state, 100000));
    yg_jw_kstr(&w, "path", yg_str_c(text));
    yg_jw_kf64(&w, "duration_ms", below(state, 90000) / 100.0);
    yg_jw_object_end(&w);
    yg_jw_k(&w, "usr");
    yg_jw_object(&w);
    yg_jw_ki64(&w, "id", below(state, 40000));
    yg_jw_kstr(&w, "plan", below(state, 10) ? YG_STR("standard") : YG_STR("premium"));
    yg_jw_object_end(&w);
    yg_jw_kbool(&w, "cold_start", below(state, 60) == 0);
    yg_jw_ki64(&w, "memory_mb", 128 + below(state, 300));
    yg_jw_kstr(&w, "logger", YG_STR("orders.pricing"));
    yg_jw_kstr(&w, "thread", YG_STR("main"));
    yg_jw_object_end(&w);
}

static uint32_t body_logs(struct sender *s, struct yg_buf *b, uint32_t rows) {
    int64_t now_ms = yg_now_ns(&yg_clock_system) / YG_NS_PER_MS;
    yg_buf_putc(b, '[');
    for (uint32_t i = 0; i < rows; i++) {
        if (i > 0)
            yg_buf_putc(b, ',');
        put_log(b, &s->state, now_ms);
    }
    yg_buf_putc(b, ']');
    return rows;
}

// ------------------------------------------------------------ points

static uint32_t body_points(struct sender *s, struct yg_buf *b, uint32_t rows) {
    int64_t now_s = yg_now_ns(&yg_clock_system) / YG_NS_PER_S;
    char text[200];
    yg_buf_puts(b, YG_STR("{\"series\":["));
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t series = below(&s->state, SERIES), function = series % FUNCTIONS;
        int len = snprintf(text, sizeof(text),
                           "%s{\"metric\":\"aws.lambda.enhanced.m%u\",\"type\":%u,\"points\":[{"
                           "\"timestamp\":%lld,\"value\":%u}],",
                           i ? "," : "", series / FUNCTIONS % 35, 1 + 2 * (series & 1),
                           (long long)now_s, below(&s->state, 5000));
        yg_buf_put(b, text, (size_t)len);
        len = snprintf(
            text, sizeof(text),
            "\"tags\":[\"env:prod\",\"functionname:fn-%03u\",\"team:team-%u\",\"version:%u\"],"
            "\"resources\":[{\"type\":\"host\",\"name\":\"i-%u\"}]}",
            function, function % 20, 40 + function % 7, series / FUNCTIONS / 35);
        yg_buf_put(b, text, (size_t)len);
    }
    yg_buf_puts(b, YG_STR("]}"));
    return rows;
}

// ------------------------------------------------------------ sending

static int connect_to(const struct plan *p) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&p->address, sizeof(p->address)) != 0) {
        fprintf(stderr, "load: cannot connect: %m\n");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static bool write_all(int fd, const char *ptr, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, ptr, len);
        if (n <= 0)
            return false;
        ptr += n;
        len -= (size_t)n;
    }
    return true;
}

// Status of the answer; its body (Content-Length) is read and dropped. 0 when the connection broke.
static int read_answer(int fd) {
    char head[4096];
    size_t len = 0;
    const char *end = NULL;
    while (end == NULL && len < sizeof(head) - 1) {
        ssize_t n = read(fd, head + len, sizeof(head) - 1 - len);
        if (n <= 0)
            return 0;
        len += (size_t)n;
        head[len] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    const char *length = strcasestr(head, "content-length:");
    uint64_t body = length ? strtoull(length + 15, NULL, 10) : 0;
    uint64_t have = end ? len - (size_t)(end + 4 - head) : 0;
    while (have < body) {
        ssize_t n = read(fd, head, sizeof(head));
        if (n <= 0)
            return 0;
        have += (uint64_t)n;
    }
    return (int)strtol(head + 9, NULL, 10);
}

static void head_of(const struct plan *p, size_t body_bytes, uint32_t rows, char *out, size_t cap) {
    static const char *const paths[] = {"/v0.4/traces", "/api/v2/logs", "/api/v2/series"};
    snprintf(out, cap,
             "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\nContent-Type: "
             "%s\r\nDD-API-KEY: %s\r\n"
             "X-Datadog-Trace-Count: %u\r\nDatadog-Meta-Lang: nodejs\r\n\r\n",
             paths[p->what], body_bytes,
             p->what == SPANS ? "application/msgpack" : "application/json", p->key,
             rows / SPANS_PER_TRACE);
}

// Sends until taken: 429 and 503 wait and try again, as clients do.
static void send_body(struct sender *s, const struct yg_buf *body, uint32_t rows) {
    char head[512];
    head_of(s->plan, body->len, rows, head, sizeof(head));
    for (uint32_t attempt = 0;; attempt++) {
        int status = write_all(s->fd, head, strlen(head)) && write_all(s->fd, body->ptr, body->len)
                         ? read_answer(s->fd)
                         : 0;
        if (status >= 200 && status < 300) {
            s->sent_rows += rows;
            s->sent_bytes += body->len;
            return;
        }
        if (status != 429 && status != 503 && status != 0) {
            s->refused++;
            return;
        }
        s->resent++;
        if (attempt > 2000) {
            s->refused++;
            return;
        }
        usleep(20000);
        if (status == 0) {
            close(s->fd);
            s->fd = connect_to(s->plan);
        }
    }
}

static void run_sender(void *arg) {
    struct sender *s = arg;
    const struct plan *p = s->plan;
    struct yg_buf body = YG_BUF(YG_MEM_BASE, BODY_MAX);
    int64_t start_ns = yg_mono_ns(&yg_clock_system);
    s->fd = connect_to(p);
    while (s->rows_left > 0) {
        uint32_t rows = s->rows_left < p->batch ? (uint32_t)s->rows_left : p->batch;
        yg_buf_reset(&body);
        uint32_t made = p->what == SPANS  ? body_spans(s, &body, rows)
                        : p->what == LOGS ? body_logs(s, &body, rows)
                                          : body_points(s, &body, rows);
        send_body(s, &body, made);
        s->rows_left -= s->rows_left < made ? s->rows_left : made;
        if (p->rate == 0)
            continue;
        int64_t due_ns =
            start_ns + (int64_t)((double)s->sent_rows * p->connections / (double)p->rate * 1e9);
        int64_t wait_ns = due_ns - yg_mono_ns(&yg_clock_system);
        if (wait_ns > 0)
            usleep((useconds_t)(wait_ns / 1000));
    }
    close(s->fd);
    yg_buf_fini(&body);
}

// ------------------------------------------------------------ command line

static void usage(void) {
    fputs("usage: load spans|logs|points --address HOST:PORT [--rows N] [--batch N] [--connections "
          "N] [--seed N] [--rate N] "
          "[--key K]\n",
          stderr);
    exit(2);
}

static void set_address(struct plan *p, const char *text) {
    yg_str s = yg_str_c(text);
    size_t colon = yg_str_rfind_char(s, ':');
    char host[64];
    int64_t port;
    if (colon == SIZE_MAX || colon >= sizeof(host) ||
        !yg_str_to_i64(yg_str_sub(s, colon + 1, s.len), &port))
        usage();
    snprintf(host, sizeof(host), "%.*s", (int)colon, text);
    p->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &p->address.sin_addr) != 1 ||
        (ntohl(p->address.sin_addr.s_addr) >> 24) != 127) {
        fputs("load: only loopback addresses\n", stderr);
        exit(2);
    }
}

static void parse(int argc, char **argv, struct plan *p) {
    *p = (struct plan){.rows = 1000000, .batch = 500, .connections = 2, .seed = 1, .key = ""};
    if (argc < 2)
        usage();
    p->what = strcmp(argv[1], "spans") == 0 ? SPANS : strcmp(argv[1], "logs") == 0 ? LOGS : POINTS;
    if (p->what == POINTS && strcmp(argv[1], "points") != 0)
        usage();
    for (int i = 2; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--address") == 0)
            set_address(p, argv[i + 1]);
        else if (strcmp(argv[i], "--rows") == 0)
            p->rows = number;
        else if (strcmp(argv[i], "--batch") == 0)
            p->batch = (uint32_t)number;
        else if (strcmp(argv[i], "--connections") == 0)
            p->connections = (uint32_t)number;
        else if (strcmp(argv[i], "--seed") == 0)
            p->seed = number;
        else if (strcmp(argv[i], "--rate") == 0)
            p->rate = number;
        else if (strcmp(argv[i], "--key") == 0)
            p->key = argv[i + 1];
        else
            usage();
    }
    if (p->address.sin_port == 0 || p->connections == 0 || p->connections > CONNECTIONS_MAX ||
        p->batch == 0)
        usage();
}

int main(int argc, char **argv) {
    struct plan plan;
    parse(argc, argv, &plan);
    struct sender senders[CONNECTIONS_MAX] = {0};
    for (uint32_t i = 0; i < plan.connections; i++) {
        senders[i] = (struct sender){.plan = &plan,
                                     .state = plan.seed * 1000003 + i,
                                     .rows_left = plan.rows / plan.connections};
        yg_thread_start(&senders[i].thread, "sender", run_sender, &senders[i]);
    }
    uint64_t rows = 0, bytes = 0, refused = 0, resent = 0;
    for (uint32_t i = 0; i < plan.connections; i++) {
        yg_thread_join(&senders[i].thread);
        rows += senders[i].sent_rows;
        bytes += senders[i].sent_bytes;
        refused += senders[i].refused;
        resent += senders[i].resent;
    }
    printf("{\"rows\":%llu,\"bytes\":%llu,\"refused\":%llu,\"resent\":%llu}\n",
           (unsigned long long)rows, (unsigned long long)bytes, (unsigned long long)refused,
           (unsigned long long)resent);
    return refused ? 1 : 0;
}
