// SPDX-License-Identifier: Apache-2.0
// The metric engine alone: points of the generator's series, a flush a minute, merges; then bytes a
// point, CPU and queries.
//
//   bench_metrics DIR SERIES HOURS [SERIES2 …]: DIR must be empty
#include "base/mem.h"
#include "gen.h"
#include "query/metric.h"
#include "store/mstore_int.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define STEPS_A_FLUSH 6u // a minute
#define START_S INT64_C(1700006400)

// Queries run on the engine without a store around it.
struct yg_mstore *yg_store_metrics(struct yg_store *store) {
    return (struct yg_mstore *)(void *)store;
}

static int64_t fake_now(const struct yg_clock *c) {
    return c->fake_ns;
}
static struct yg_clock bench_clock = {.now_ns = fake_now, .mono_ns = fake_now};

static double cpu_s(void) {
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void must(yg_rc rc, const struct yg_err *err) {
    if (rc == YG_OK)
        return;
    fprintf(stderr, "bench_metrics: %s\n", err->text);
    exit(1);
}

// ------------------------------------------------------------ points in

static uint32_t add_series(struct yg_points *p, struct gen_points *g, uint32_t i) {
    char texts[3][40];
    yg_str tags[3];
    const char *family = gen_points_family(g, i);
    (void)snprintf(texts[0], sizeof(texts[0]), "service:s%u", i % 40);
    (void)snprintf(texts[1], sizeof(texts[1]), "functionname:f%u", i % 500);
    (void)snprintf(texts[2], sizeof(texts[2]), "n:%u", i);
    for (uint32_t k = 0; k < 3; k++)
        tags[k] = yg_str_c(texts[k]);
    bool count = strcmp(family, "fleet.requests") == 0;
    uint32_t id;
    struct yg_err err = {0};
    must(yg_points_series(p, yg_str_c(family), tags, 3, YG_STR(""),
                          count ? YG_METRIC_COUNT : YG_METRIC_GAUGE, 10, YG_STR(""), &id, &err),
         &err);
    return id;
}

// A minute of some series as one batch.
static double feed(struct yg_mstore *ms, struct gen_points *g, uint32_t first, uint32_t count,
                   int64_t at_s, uint64_t sequence) {
    struct yg_points *p = yg_points_create((size_t)256 << 20);
    struct yg_err err = {0};
    for (uint32_t i = first; i < first + count; i++) {
        uint32_t id = add_series(p, g, i);
        for (uint32_t k = 0; k < STEPS_A_FLUSH; k++)
            must(yg_points_add(p, id, at_s + k * YG_BUCKET_S, (double)gen_points_value(g, i) / 100,
                               &err),
                 &err);
    }
    p->sequence = sequence;
    double before = cpu_s();
    yg_mstore_apply(ms, p);
    double used = cpu_s() - before;
    yg_points_destroy(p);
    return used;
}

static void load(struct yg_mstore *ms, uint32_t series, uint32_t minutes) {
    struct gen_points g;
    gen_points_init(&g, 1, 0, series, START_S, YG_BUCKET_S);
    double apply = 0, flush = 0;
    uint64_t sequence = 0;
    struct yg_err err = {0};
    for (uint32_t m = 0; m < minutes; m++) {
        int64_t at_s = START_S + m * 60;
        bench_clock.fake_ns = (at_s + 60) * YG_NS_PER_S;
        for (uint32_t first = 0; first < series; first += 5000)
            apply += feed(ms, &g, first, series - first < 5000 ? series - first : 5000, at_s,
                          ++sequence);
        double before = cpu_s();
        must(yg_mstore_flush(ms, &err), &err);
        flush += cpu_s() - before;
    }
    gen_points_fini(&g);
    double points = (double)series * minutes * STEPS_A_FLUSH;
    printf("%.1f M points: apply %.3f, flush and merges %.3f CPU s a million\n", points / 1e6,
           apply / points * 1e6, flush / points * 1e6);
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    printf("peak %.0f bytes a series (whole process, the generator's 16 too)\n",
           (double)u.ru_maxrss * 1024 / series);
}

static void print_files(const struct yg_mstore *ms) {
    for (uint32_t i = 0; i < ms->blocks->count; i++) {
        const struct yg_mblock *b = ms->blocks->blocks[i];
        printf("level %u: %5.1f M points, %.3f bytes a point", b->level, (double)b->points / 1e6,
               (double)b->bytes / (double)b->points);
        for (uint32_t k = 0; k < b->section_count; k++) {
            double bytes = 0;
            for (uint32_t c = 0; c < b->sections[k].chunk_count; c++)
                bytes += b->sections[k].chunks[c].stored_bytes;
            printf(", by %u s %.3f", b->sections[k].step * YG_BUCKET_S, bytes / (double)b->points);
        }
        printf("\n");
    }
}

// Bytes a point by metric, heads included, of the largest file.
static void print_metrics(const struct yg_mstore *ms) {
    const struct yg_mblock *big = ms->blocks->count > 0 ? ms->blocks->blocks[0] : NULL;
    for (uint32_t m = 0; big != NULL && m < ms->reg.name_len; m++) {
        struct yg_mcursor c;
        struct yg_mrun run = {0};
        static const struct yg_mrange always = {0, UINT32_MAX};
        double bytes = 0, points = 0, before = 0, used = 0;
        yg_mcursor_init(&c, big, &big->sections[0], m, always);
        while (yg_mcursor_next(&c)) {
            yg_mrun_reset(&run);
            before = cpu_s();
            (void)yg_mcursor_decode(&c, &always, 1, YG_METRIC_SUM | YG_METRIC_WEIGHT, &run);
            used += cpu_s() - before;
            bytes += (double)c.run.payload.len + 5;
            points += run.len;
        }
        printf("%-30.*s %5.1f M points, %.3f bytes, %.2f ns decoding a point\n",
               YG_STR_FMT(ms->reg.names[m]->name), points / 1e6, bytes / points,
               used / points * 1e9);
        yg_mrun_fini(&run);
        yg_mcursor_fini(&c);
    }
}

// ------------------------------------------------------------ queries

static void ask(struct yg_mstore *ms, const char *text, int64_t from_s, int64_t to_s,
                uint32_t times) {
    double best = INFINITY;
    uint32_t groups = 0;
    for (uint32_t i = 0; i < times; i++) {
        YG_AUTO_ARENA a = yg_arena_create(YG_MEM_QUERY, (size_t)64 << 20);
        struct yg_metric_query *q;
        struct yg_metric_result r;
        struct yg_err err = {0};
        must(yg_metric_parse(yg_str_c(text), a, &q, &err), &err);
        const struct yg_metric_run_options o = {.from_ms = from_s * 1000, .to_ms = to_s * 1000};
        double before = cpu_s();
        must(yg_metric_run((struct yg_store *)(void *)ms, q, &o, a, &r, &err), &err);
        double used = cpu_s() - before;
        best = used < best ? used : best;
        groups = r.count;
    }
    printf("%-52s %6.1f h: %8.2f CPU ms, %u groups\n", text, (double)(to_s - from_s) / 3600,
           best * 1e3, groups);
}

static void ask_all(struct yg_mstore *ms, int64_t end_s) {
    static const char *const texts[] = {
        "sum:fleet.requests{*}.as_rate()",
        "sum:fleet.memory.used_mb{*}",
        "avg:fleet.latency_ms{*} by {service}",
        "max:fleet.latency_ms{*}.rollup(max, 300)",
        "sum:fleet.requests{*}.as_count().rollup(sum, 10)",
        "sum:fleet.requests{functionname:f7}.as_rate()",
        "sum:fleet.requests{n:77}.as_rate()",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ask(ms, texts[i], START_S, end_s, 3);
        ask(ms, texts[i], end_s - 300, end_s, 3);
    }
}

// What 5,000 monitors ask in a minute: the last five of a function's series, each a group.
static void ask_monitors(struct yg_mstore *ms, int64_t end_s) {
    const uint32_t monitors = 5000;
    double before = cpu_s();
    size_t groups = 0;
    for (uint32_t i = 0; i < monitors; i++) {
        YG_AUTO_ARENA a = yg_arena_create(YG_MEM_QUERY, (size_t)64 << 20);
        char text[96];
        (void)snprintf(text, sizeof(text), "sum:fleet.requests{functionname:f%u} by {n}%s", i % 500,
                       i % 2 ? ".as_count()" : "");
        struct yg_metric_query *q;
        struct yg_window_value *values;
        uint32_t count;
        struct yg_err err = {0};
        must(yg_metric_parse(yg_str_c(text), a, &q, &err), &err);
        must(yg_metric_window((struct yg_store *)(void *)ms, q, YG_WINDOW_SUM, 0,
                              (end_s - 300) * 1000, end_s * 1000, a, &values, &count, &err),
             &err);
        groups += count;
    }
    printf("%u monitors, five minutes, %zu groups: %.2f CPU s\n", monitors, groups,
           cpu_s() - before);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: bench_metrics DIR SERIES HOURS\n", stderr);
        return 2;
    }
    uint32_t series = (uint32_t)strtoul(argv[2], NULL, 10);
    uint32_t minutes = (uint32_t)(strtod(argv[3], NULL) * 60);
    (void)mkdir(argv[1], 0700);
    bench_clock.fake_ns = START_S * YG_NS_PER_S;
    const struct yg_mstore_options o = {.dir = argv[1],
                                        .clock = &bench_clock,
                                        .series_max = 2 * series + 1000,
                                        .series_per_metric_max = 2 * series + 1000};
    struct yg_mstore *ms;
    struct yg_err err = {0};
    must(yg_mstore_open(&o, &ms, &err), &err);
    int64_t end_s = START_S + (int64_t)minutes * 60;
    if (yg_mstore_file_bytes(ms) == 0)
        load(ms, series, minutes);
    bench_clock.fake_ns = end_s * YG_NS_PER_S;
    print_files(ms);
    print_metrics(ms);
    ask_all(ms, end_s);
    ask_monitors(ms, end_s);
    yg_mstore_close(ms);
    double before = cpu_s();
    must(yg_mstore_open(&o, &ms, &err), &err);
    printf("opened again in %.3f CPU s, %.1f MiB of memory for %u series\n", cpu_s() - before,
           (double)yg_mem_used(YG_MS_TAG) / 1048576, yg_mstore_series_count(ms));
    yg_mstore_close(ms);
    return 0;
}
