// SPDX-License-Identifier: Apache-2.0
// Load generator: logs, spans or points of an invented fleet, the same rows for every server.
//
//   yagura-load logs   [--form json|flat]          /api/v2/logs, JSON lines
//   yagura-load spans  [--form v04|v05|flat]       MessagePack of the tracers, JSON lines
//   yagura-load points [--form json|protobuf]      /api/v2/series
//     --address 127.0.0.1:PORT [--path P]  or  --out FILE (- is standard output)
//     [--rows N] [--batch ROWS] [--connections N] [--seed N] [--rate ROWS_PER_S] [--key K]
//     [--hours H] [--end-ms T] [--live] [--series N] [--points N] [--interval S] [--limit-s S]
//
// Rows lie between end-ms − hours and end-ms (now); --live gives every row the time at which it is
// sent. --points: points of one series in a body. Prints rows, bytes and refused requests as JSON.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "gen.h"

#define BODY_MAX (512u << 20)
#define CONNECTIONS_MAX 16
#define ATTEMPTS_MAX 5000

enum what { LOGS, SPANS, POINTS };

struct plan {
    enum what what;
    enum gen_form form;
    enum gen_points_form points_form;
    struct sockaddr_in address;
    const char *path, *key, *out;
    struct gen gen;
    uint64_t rows, rate;
    uint32_t batch, connections, series, points, interval_s;
    int64_t limit_ns; // stop sending after this long; 0 = when the rows are sent
    double hours;
    bool live;
};

struct sender {
    struct yg_thread thread;
    const struct plan *plan;
    uint32_t number;
    uint64_t sent_rows, sent_bytes, refused, resent;
    int64_t start_ns, slowest_ns;
    int fd;
    FILE *file;
};

// ------------------------------------------------------------ HTTP

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
    const char *type = p->what == SPANS && p->form != GEN_SPANS_FLAT ? "application/msgpack"
                       : p->what == POINTS && p->points_form == GEN_POINTS_PROTOBUF
                           ? "application/x-protobuf"
                           : "application/json";
    snprintf(out, cap,
             "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\nContent-Type: "
             "%s\r\nDD-API-KEY: %s\r\n"
             "X-Datadog-Trace-Count: %u\r\nDatadog-Meta-Lang: nodejs\r\n\r\n",
             p->path, body_bytes, type, p->key, rows / 8);
}

// Sends until taken: 429 and 503 wait and try again, as clients do.
static void send_body(struct sender *s, const struct yg_buf *body, uint32_t rows) {
    char head[1024];
    head_of(s->plan, body->len, rows, head, sizeof(head));
    for (uint32_t attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        int64_t begin_ns = yg_mono_ns(&yg_clock_system);
        int status = write_all(s->fd, head, strlen(head)) && write_all(s->fd, body->ptr, body->len)
                         ? read_answer(s->fd)
                         : 0;
        int64_t took_ns = yg_mono_ns(&yg_clock_system) - begin_ns;
        if (took_ns > s->slowest_ns)
            s->slowest_ns = took_ns;
        if (status >= 200 && status < 300) {
            s->sent_rows += rows;
            s->sent_bytes += body->len;
            return;
        }
        if (status != 429 && status != 503 && status != 0) {
            if (s->refused == 0)
                fprintf(stderr, "load: answered with %d\n", status);
            break;
        }
        s->resent++;
        usleep(20000);
        if (status == 0) {
            close(s->fd);
            s->fd = connect_to(s->plan);
        }
    }
    s->refused++;
}

static void take_body(struct sender *s, const struct yg_buf *body, uint32_t rows) {
    if (s->file == NULL) {
        send_body(s, body, rows);
        return;
    }
    if (fwrite(body->ptr, 1, body->len, s->file) != body->len) {
        fprintf(stderr, "load: cannot write %s: %m\n", s->plan->out);
        exit(1);
    }
    s->sent_rows += rows;
    s->sent_bytes += body->len;
}

// ------------------------------------------------------------ what a sender sends

// Waits as --rate asks. False when --limit-s has passed.
static bool pace(const struct sender *s) {
    const struct plan *p = s->plan;
    int64_t now_ns = yg_mono_ns(&yg_clock_system);
    if (p->limit_ns != 0 && now_ns - s->start_ns > p->limit_ns)
        return false;
    if (p->rate == 0)
        return true;
    int64_t due_ns =
        s->start_ns + (int64_t)((double)s->sent_rows * p->connections / (double)p->rate * 1e9);
    if (due_ns > now_ns)
        usleep((useconds_t)((due_ns - now_ns) / 1000));
    return true;
}

static void run_rows(struct sender *s, struct yg_buf *body) {
    const struct plan *p = s->plan;
    uint32_t blocks = p->batch / GEN_BLOCK_ROWS ? p->batch / GEN_BLOCK_ROWS : 1;
    for (uint64_t b = (uint64_t)s->number * blocks; b < p->gen.blocks && pace(s);
         b += (uint64_t)p->connections * blocks) {
        struct gen g = p->gen;
        uint64_t left = p->gen.blocks - b;
        if (p->live) {
            g.blocks = 1;
            g.start_ms = yg_now_ns(&yg_clock_system) / YG_NS_PER_MS - 1000 * (int64_t)(b + 1);
            g.end_ms = g.start_ms + 1000;
        }
        yg_buf_reset(body);
        uint32_t rows = gen_body(&g, p->form, b, left < blocks ? (uint32_t)left : blocks, body);
        take_body(s, body, rows);
    }
}

static void run_points(struct sender *s, struct yg_buf *body) {
    const struct plan *p = s->plan;
    struct gen_points points;
    struct yg_err err;
    uint32_t first = p->series * s->number / p->connections;
    uint32_t end = p->series * (s->number + 1) / p->connections;
    uint32_t step = p->batch / p->points ? p->batch / p->points : 1;
    uint64_t passes = p->rows / ((uint64_t)p->series * p->points);
    gen_points_init(&points, p->gen.seed, first, end - first, p->gen.start_ms / 1000,
                    p->interval_s);
    for (uint64_t pass = 0; pass < passes; pass++) {
        if (p->live)
            points.next_s = yg_now_ns(&yg_clock_system) / YG_NS_PER_S;
        for (uint32_t at = first; at < end; at += step) {
            uint32_t count = end - at < step ? end - at : step;
            if (!pace(s))
                goto done;
            yg_buf_reset(body);
            gen_points_body(&points, p->points_form, at, count, p->points, body);
            if (yg_buf_ok(body, &err) != YG_OK) {
                fputs("load: a body is larger than its limit\n", stderr);
                exit(1);
            }
            take_body(s, body, count * p->points);
        }
        gen_points_forward(&points, p->points);
    }
done:
    gen_points_fini(&points);
}

static void run_sender(void *arg) {
    struct sender *s = arg;
    struct yg_buf body = YG_BUF(YG_MEM_BASE, BODY_MAX);
    s->start_ns = yg_mono_ns(&yg_clock_system);
    s->fd = s->file ? -1 : connect_to(s->plan);
    if (s->plan->what == POINTS)
        run_points(s, &body);
    else
        run_rows(s, &body);
    if (s->fd >= 0)
        close(s->fd);
    yg_buf_fini(&body);
}

// ------------------------------------------------------------ command line

static void usage(void) {
    fputs("usage: yagura-load logs|spans|points [--form json|flat|v04|v05|protobuf]\n"
          "  --address 127.0.0.1:PORT [--path P] | --out FILE\n"
          "  [--rows N] [--batch N] [--connections N] [--seed N] [--rate N] [--key K] [--hours H]\n"
          "  [--end-ms T] [--live yes] [--series N] [--points N] [--interval S] [--limit-s S]\n",
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

static void set_form(struct plan *p, const char *text) {
    static const struct {
        enum what what;
        const char *name, *path;
        enum gen_form form;
        enum gen_points_form points_form;
    } forms[] = {
        {LOGS, "json", "/api/v2/logs", GEN_LOGS_JSON, 0},
        {LOGS, "flat", "/insert/jsonline", GEN_LOGS_FLAT, 0},
        {SPANS, "v04", "/v0.4/traces", GEN_SPANS_V04, 0},
        {SPANS, "v05", "/v0.5/traces", GEN_SPANS_V05, 0},
        {SPANS, "flat", "/insert/jsonline", GEN_SPANS_FLAT, 0},
        {POINTS, "json", "/api/v2/series", 0, GEN_POINTS_JSON},
        {POINTS, "protobuf", "/api/v2/series", 0, GEN_POINTS_PROTOBUF},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].what != p->what || (text[0] && strcmp(text, forms[i].name) != 0))
            continue;
        p->form = forms[i].form;
        p->points_form = forms[i].points_form;
        if (p->path == NULL)
            p->path = forms[i].path;
        return;
    }
    usage();
}

static bool set_number(struct plan *p, const char *name, const char *text) {
    uint64_t number = strtoull(text, NULL, 10);
    struct {
        const char *name;
        uint64_t *u64;
        uint32_t *u32;
    } numbers[] = {{"--rows", &p->rows, NULL},     {"--seed", &p->gen.seed, NULL},
                   {"--rate", &p->rate, NULL},     {"--batch", NULL, &p->batch},
                   {"--series", NULL, &p->series}, {"--connections", NULL, &p->connections},
                   {"--points", NULL, &p->points}, {"--interval", NULL, &p->interval_s}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        if (numbers[i].u64)
            *numbers[i].u64 = number;
        else
            *numbers[i].u32 = (uint32_t)number;
        return true;
    }
    return false;
}

// Hours that the rows stretch over unless said: a million logs 4.8 h, a million spans 7.8 h, a day
// at most.
static void set_times(struct plan *p, int64_t end_ms) {
    double hours = p->hours;
    if (p->what == POINTS)
        hours = (double)(p->rows / p->series) * p->interval_s / 3600;
    else if (hours <= 0)
        hours = (double)p->rows / 1e6 * (p->what == LOGS ? 4.8 : 7.8);
    if (p->what != POINTS && hours > 24)
        hours = 24;
    p->gen.end_ms = end_ms;
    p->gen.start_ms = end_ms - (int64_t)(hours * 3600000);
    p->gen.blocks = (p->rows + GEN_BLOCK_ROWS - 1) / GEN_BLOCK_ROWS;
}

static void parse(int argc, char **argv, struct plan *p) {
    int64_t end_ms = yg_now_ns(&yg_clock_system) / YG_NS_PER_MS;
    const char *form = "";
    *p = (struct plan){.rows = 1000000,
                       .batch = 1000,
                       .connections = 2,
                       .key = "",
                       .gen.seed = 1,
                       .series = GEN_SERIES,
                       .points = 1,
                       .interval_s = 10};
    if (argc < 2)
        usage();
    p->what = strcmp(argv[1], "spans") == 0 ? SPANS : strcmp(argv[1], "logs") == 0 ? LOGS : POINTS;
    if (p->what == POINTS && strcmp(argv[1], "points") != 0)
        usage();
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--address") == 0)
            set_address(p, value);
        else if (strcmp(name, "--form") == 0)
            form = value;
        else if (strcmp(name, "--path") == 0)
            p->path = value;
        else if (strcmp(name, "--out") == 0)
            p->out = value;
        else if (strcmp(name, "--key") == 0)
            p->key = value;
        else if (strcmp(name, "--hours") == 0)
            p->hours = strtod(value, NULL);
        else if (strcmp(name, "--end-ms") == 0)
            end_ms = strtoll(value, NULL, 10);
        else if (strcmp(name, "--limit-s") == 0)
            p->limit_ns = (int64_t)(strtod(value, NULL) * 1e9);
        else if (strcmp(name, "--live") == 0)
            p->live = strcmp(value, "yes") == 0;
        else if (!set_number(p, name, value))
            usage();
    }
    set_form(p, form);
    if ((p->address.sin_port == 0) == (p->out == NULL) || p->batch == 0 || p->connections == 0 ||
        p->connections > CONNECTIONS_MAX || p->series == 0 || p->series > GEN_SERIES ||
        p->points == 0 || argc % 2 != 0)
        usage();
    set_times(p, end_ms);
}

int main(int argc, char **argv) {
    struct plan plan;
    parse(argc, argv, &plan);
    struct sender senders[CONNECTIONS_MAX] = {0};
    FILE *file = NULL;
    if (plan.out) {
        plan.connections = 1;
        file = strcmp(plan.out, "-") == 0 ? stdout : fopen(plan.out, "w");
        if (file == NULL) {
            fprintf(stderr, "load: cannot open %s: %m\n", plan.out);
            return 1;
        }
    }
    for (uint32_t i = 0; i < plan.connections; i++) {
        senders[i] = (struct sender){.plan = &plan, .number = i, .file = file};
        yg_thread_start(&senders[i].thread, "sender", run_sender, &senders[i]);
    }
    uint64_t rows = 0, bytes = 0, refused = 0, resent = 0;
    int64_t slowest_ns = 0;
    for (uint32_t i = 0; i < plan.connections; i++) {
        yg_thread_join(&senders[i].thread);
        rows += senders[i].sent_rows;
        bytes += senders[i].sent_bytes;
        refused += senders[i].refused;
        resent += senders[i].resent;
        if (senders[i].slowest_ns > slowest_ns)
            slowest_ns = senders[i].slowest_ns;
    }
    if (file && fclose(file) != 0) {
        fprintf(stderr, "load: cannot write %s: %m\n", plan.out);
        return 1;
    }
    fprintf(file == stdout ? stderr : stdout,
            "{\"rows\":%llu,\"bytes\":%llu,\"refused\":%llu,\"resent\":%llu,\"slowest_ms\":%.1f}\n",
            (unsigned long long)rows, (unsigned long long)bytes, (unsigned long long)refused,
            (unsigned long long)resent, (double)slowest_ns / 1e6);
    return refused ? 1 : 0;
}
