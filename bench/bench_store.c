// SPDX-License-Identifier: Apache-2.0
// CPU time of rows through write-ahead log and memory segments: spans or logs in decoded batches.
// Usage: bench_store spans|logs <rows> <rows per batch> [none|always]
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/thread.h"
#include "store/store.h"

static uint64_t rng_state = 1;
static uint64_t rnd(void) {
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return rng_state >> 16;
}

static void must(yg_rc rc, const struct yg_err *err) {
    if (rc == YG_OK)
        return;
    (void)fprintf(stderr, "bench_store: %s\n", err->text);
    exit(1);
}

#define DO(call)                                                                                   \
    do {                                                                                           \
        struct yg_err err_ = {0};                                                                  \
        struct yg_err *err = &err_;                                                                \
        must((call), err);                                                                         \
    } while (0)

static void set(struct yg_batch *b, const char *name, const char *fmt, uint64_t v) {
    DO(yg_batch_set_str(b, yg_str_c(name),
                        yg_arena_printf(b->arena, "%s%llu", fmt, (unsigned long long)v), err));
}

static int64_t now_ns;

// 25 attributes a span, as a Lambda function's tracer sends them.
static void put_span(struct yg_batch *b, uint64_t trace, uint32_t nth) {
    char name[32];
    now_ns += 20000;
    DO(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), now_ns, err));
    DO(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), (yg_id128){0x6789, trace}, err));
    DO(yg_batch_set_i64(b, YG_STR(YG_COL_SPAN_ID), (int64_t)rnd(), err));
    DO(yg_batch_set_i64(b, YG_STR(YG_COL_PARENT_ID), nth ? (int64_t)trace : 0, err));
    DO(yg_batch_set_i64(b, YG_STR(YG_COL_DURATION), (int64_t)(rnd() % 100000000), err));
    set(b, YG_COL_SERVICE, "service-", trace % 50);
    set(b, YG_COL_OPERATION, "operation.", nth % 8);
    set(b, YG_COL_RESOURCE, "GET /path/number/", rnd() % 400);
    set(b, YG_COL_TYPE, "web", nth % 2);
    set(b, YG_COL_ENV, "prod", 0);
    set(b, YG_COL_HOST, "host-", trace % 500);
    DO(yg_batch_set_str(b, YG_STR(YG_COL_STATUS), rnd() % 50 ? YG_STR("ok") : YG_STR("error"),
                        err));
    set(b, "@request_id", "f7a1c9d2-0000-4444-8888-", rnd());
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof(name), "@meta.key_%u", i);
        set(b, name, "value-of-a-tag-", i < 7 ? trace % 20 : rnd() % 3000);
    }
    for (unsigned i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof(name), "@metrics.m%u", i);
        DO(yg_batch_set_f64(b, yg_str_c(name), i < 3 ? 1 : (double)(rnd() % 1000) / 7, err));
    }
}

static void put_log(struct yg_batch *b, uint64_t nth) {
    char name[32];
    now_ns += 50000;
    DO(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), now_ns, err));
    set(b, YG_COL_SERVICE, "service-", nth % 50);
    set(b, YG_COL_HOST, "host-", nth % 500);
    set(b, YG_COL_SOURCE, "lambda", 0);
    set(b, YG_COL_STATUS, "info", nth % 3);
    set(b, YG_COL_TAGS, "env:prod,team:booking,version:", nth % 10);
    set(b, YG_COL_MESSAGE,
        "request handled for user with a body that is some ninety bytes long in all ", rnd());
    DO(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), (yg_id128){0x6789, rnd()}, err));
    set(b, "@lambda.request_id", "f7a1c9d2-0000-4444-8888-", rnd());
    set(b, "@user.id", "user-", rnd() % 5000);
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(name, sizeof(name), "@attr.key_%u", i);
        set(b, name, "value-of-an-attribute-", rnd() % 100);
    }
    DO(yg_batch_set_i64(b, YG_STR("@http.status_code"), 200 + (int64_t)(rnd() % 5), err));
    DO(yg_batch_set_f64(b, YG_STR("@duration_ms"), (double)(rnd() % 100000) / 100, err));
}

static _Atomic uint32_t acked;
static void on_ack(void *arg, yg_rc rc, const struct yg_err *err) {
    (void)arg;
    must(rc, err);
    atomic_fetch_add(&acked, 1);
}

static double cpu_s(void) {
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static struct yg_batch *make(bool spans, uint32_t rows, uint64_t first) {
    struct yg_batch *b = yg_batch_create(spans ? YG_TRACK_SPANS : YG_TRACK_LOGS, (size_t)1 << 30);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row;
        DO(yg_batch_row(b, &row, err));
        if (spans)
            put_span(b, (first + i) / 8 * 2654435761u, (uint32_t)((first + i) % 8));
        else
            put_log(b, first + i);
    }
    b->received_ns = now_ns;
    b->body_bytes = rows * 700u;
    return b;
}

static void flush_now(struct yg_store *store, uint32_t rows) {
    double before = cpu_s();
    yg_store_close(store);
    (void)printf("close (files): %.2f us CPU a row\n", (cpu_s() - before) * 1e6 / rows);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    bool spans = strcmp(argv[1], "spans") == 0;
    uint64_t rows, per_batch;
    if (!yg_str_to_u64(yg_str_c(argv[2]), &rows) || !yg_str_to_u64(yg_str_c(argv[3]), &per_batch))
        return 2;
    char dir[] = "bench-store-XXXXXX";
    if (mkdtemp(dir) == NULL)
        return 1;
    struct yg_store_options o = {.dir = dir, .clock = &yg_clock_system};
    o.wal_sync = argc > 4 && strcmp(argv[4], "none") == 0 ? YG_WAL_SYNC_NONE : YG_WAL_SYNC_ALWAYS;
    o.flush_interval_ms = 3600000;
    o.flush_bytes = (uint64_t)1 << 40;
    o.wal_queue_max_bytes = (uint64_t)1 << 34;
    o.pool = yg_pool_create(NULL);
    struct yg_store *store;
    DO(yg_store_open(&o, &store, err));
    now_ns = yg_now_ns(&yg_clock_system);
    uint32_t n = (uint32_t)(rows / per_batch);
    struct yg_batch **batches = yg_calloc(YG_MEM_BASE, n, sizeof(struct yg_batch *));
    for (uint32_t i = 0; i < n; i++)
        batches[i] = make(spans, (uint32_t)per_batch, i * per_batch);
    double cpu = cpu_s();
    int64_t wall = yg_mono_ns(&yg_clock_system);
    for (uint32_t i = 0; i < n; i++)
        DO(yg_store_append(store, batches[i], on_ack, NULL, err));
    while (atomic_load(&acked) < n)
        (void)usleep(200);
    struct yg_snapshot *snap;
    DO(yg_snapshot_open(store, spans ? YG_TRACK_SPANS : YG_TRACK_LOGS,
                        (struct yg_time_range){INT64_MIN, INT64_MAX}, true, &snap, err));
    double per_row = (cpu_s() - cpu) * 1e6 / (double)(n * per_batch);
    double wall_s = (double)(yg_mono_ns(&yg_clock_system) - wall) / 1e9;
    uint64_t bytes = 0, seen = 0;
    for (uint32_t i = 0; i < yg_snapshot_segments(snap); i++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, i, &info);
        bytes += info.bytes;
        seen += info.row_count;
    }
    yg_snapshot_close(snap);
    struct yg_store_status st;
    yg_store_status(store, &st);
    (void)printf("%s: %llu rows, %.2f us CPU a row = %.0f rows/s a core, %.2f s wall, "
                 "WAL %.0f B a row, memory segments %.0f B a row\n",
                 argv[1], (unsigned long long)seen, per_row, 1e6 / per_row, wall_s,
                 (double)st.wal_bytes / (double)seen, (double)bytes / (double)seen);
    yg_free(YG_MEM_BASE, batches);
    flush_now(store, (uint32_t)seen);
    yg_pool_destroy(o.pool);
    char cmd[128];
    (void)snprintf(cmd, sizeof(cmd), "du -sh --apparent-size %s/segments; rm -r %s", dir, dir);
    return system(cmd) != 0;
}
