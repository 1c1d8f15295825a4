// SPDX-License-Identifier: Apache-2.0
// Event queries over a real store, against plain loops over the same rows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "codec/json_read.h"
#include "query/query.h"

#define ROWS 20000u
#define BASE INT64_C(1770000000000000000)
#define STEP INT64_C(50000000) // 50 ms: 1,000 s in all

static struct yg_err err;
#define OK(call)                                                                                   \
    do {                                                                                           \
        err = (struct yg_err){0};                                                                  \
        if ((call) != YG_OK)                                                                       \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

static char dir[64];
static struct yg_pool *pool;
static struct yg_store *store;
static struct yg_arena *arena;

// ------------------------------------------------------------ rows, made from their number

static const char *const services[] = {"web", "api", "auth", "search", "orders"};
static int64_t time_of(uint32_t i) {
    return BASE + (int64_t)((i * 7919u) % ROWS) * STEP;
} // shuffled
static const char *service_of(uint32_t i) {
    return services[i % 5 < 3 ? i % 3 : i % 5];
}
static bool has_code(uint32_t i) {
    return i % 4 != 3;
}
static int64_t code_of(uint32_t i) {
    return 200 + (int64_t)(i % 7) * 50;
}
static double size_of(uint32_t i) {
    return (double)((i * 131u) % 5000u) / 4;
}
static bool is_error(uint32_t i) {
    return i % 10 == 0;
}
static const struct yg_time_range all = {BASE, BASE + (int64_t)ROWS *STEP};

static void append_done(void *arg, yg_rc rc, const struct yg_err *e) {
    (void)e;
    assert_int_equal(rc, YG_OK);
    yg_event_set(arg);
}

static void append(struct yg_batch *b) {
    struct yg_event done;
    yg_event_init(&done);
    OK(yg_store_append(store, b, append_done, &done, &err));
    yg_event_wait(&done);
    yg_event_fini(&done);
}

static void fill_row(struct yg_batch *b, uint32_t i) {
    uint32_t r;
    OK(yg_batch_row(b, &r, &err));
    OK(yg_batch_set_i64(b, YG_STR("timestamp"), time_of(i), &err));
    OK(yg_batch_set_i64(b, YG_STR("@n"), (int64_t)i, &err));
    OK(yg_batch_set_str(b, YG_STR("service"), yg_str_c(service_of(i)), &err));
    OK(yg_batch_set_str(b, YG_STR("status"), is_error(i) ? YG_STR("error") : YG_STR("info"), &err));
    OK(yg_batch_set_str(b, YG_STR("message"), yg_arena_printf(b->arena, "line %u of the test", i),
                        &err));
    OK(yg_batch_set_str(
        b, YG_STR("tags"),
        yg_arena_printf(b->arena, "env:%s,shard:%u", i % 2 ? "prod" : "dev", i % 16), &err));
    if (has_code(i))
        OK(yg_batch_set_i64(b, YG_STR("@http.status_code"), code_of(i), &err));
    OK(yg_batch_set_f64(b, YG_STR("@size"), size_of(i), &err));
    OK(yg_batch_set_str(b, YG_STR("@user"), yg_arena_printf(b->arena, "u%u", i % 9001), &err));
    if (i % 100 == 0)
        OK(yg_batch_set_json(b, YG_STR("@roles"),
                             i % 200 ? YG_STR("[\"a\",\"b\"]") : YG_STR("[\"b\",\"b\"]"), &err));
}

static void open_store(void) {
    struct yg_store_options options = {.dir = dir,
                                       .clock = &yg_clock_system,
                                       .pool = pool,
                                       .wal_sync = YG_WAL_SYNC_NONE,
                                       .shard_count = 2,
                                       .seal_interval_ms = 100000,
                                       .flush_interval_ms = 10000000};
    OK(yg_store_open(&options, &store, &err));
}

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/yg_events_XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    open_store();
    for (uint32_t from = 0; from < ROWS; from += 4000) {
        struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 256u << 20);
        for (uint32_t i = from; i < from + 4000; i++)
            fill_row(b, i);
        append(b);
    }
    return 0;
}

static void remove_tree(const char *path) {
    DIR *d = opendir(path);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        char child[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        if (unlink(child) != 0)
            remove_tree(child);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static int teardown(void **state) {
    (void)state;
    yg_store_close(store);
    yg_pool_destroy(pool);
    remove_tree(dir);
    return 0;
}

static int begin(void **state) {
    (void)state;
    arena = yg_arena_create(YG_MEM_QUERY, 256u << 20);
    return 0;
}
static int end(void **state) {
    (void)state;
    yg_arena_destroy(arena);
    return 0;
}

static const struct yg_node *search(const char *text) {
    struct yg_search_options options = {.track = YG_TRACK_LOGS};
    struct yg_node *tree = NULL;
    OK(yg_search_parse(yg_str_c(text), &options, arena, &tree, &err));
    return tree;
}

static struct yg_event_query query(const char *text) {
    return (struct yg_event_query){.track = YG_TRACK_LOGS, .range = all, .filter = search(text)};
}

static uint32_t number_of(const struct yg_row *row) {
    const struct yg_value *v = yg_row_get(row, "@n", YG_T_I64);
    assert_non_null(v);
    return (uint32_t)v->i64;
}

// ------------------------------------------------------------ search

// Pages through everything that matches; returns how many rows came, each once and in order.
static uint32_t page_through(const char *text, bool ascending, uint32_t limit,
                             bool (*wanted)(uint32_t i)) {
    static uint8_t seen[ROWS];
    memset(seen, 0, sizeof(seen));
    struct yg_event_query q = query(text);
    q.ascending = ascending;
    q.limit = limit;
    uint32_t count = 0;
    int64_t last = ascending ? INT64_MIN : INT64_MAX;
    for (;;) {
        struct yg_search_result r;
        OK(yg_events_search(store, &q, true, arena, &r, &err));
        assert_int_equal(r.warnings.count, 0);
        for (uint32_t k = 0; k < r.count; k++) {
            uint32_t i = number_of(&r.rows[k]);
            assert_true(i < ROWS && !seen[i] && wanted(i));
            seen[i] = 1;
            assert_int_equal(r.rows[k].time_ns, time_of(i));
            assert_true(ascending ? r.rows[k].time_ns >= last : r.rows[k].time_ns <= last);
            last = r.rows[k].time_ns;
            count++;
        }
        if (!r.more)
            return count;
        assert_int_equal(r.count, limit);
        q.after =
            (struct yg_cursor_pos){true, r.rows[r.count - 1].sort_value, r.rows[r.count - 1].seq};
    }
}

static bool any(uint32_t i) {
    return i < ROWS;
}
static bool web_error(uint32_t i) {
    return is_error(i) && strcmp(service_of(i), "web") == 0;
}

static uint32_t count_if(bool (*wanted)(uint32_t i)) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        n += wanted(i);
    return n;
}

static void test_pages(void **state) {
    (void)state;
    assert_int_equal(page_through("*", false, 1000, any), ROWS);
    assert_int_equal(page_through("*", true, 3001, any), ROWS);
    assert_int_equal(page_through("service:web status:error", false, 97, web_error),
                     count_if(web_error));
    assert_int_equal(page_through("service:web status:error", true, 97, web_error),
                     count_if(web_error));
    assert_int_equal(page_through("service:nobody", false, 10, any), 0);
}

static void test_row_content(void **state) {
    (void)state;
    struct yg_event_query q = query("@n:4200");
    struct yg_search_result r;
    q.limit = 10;
    OK(yg_events_search(store, &q, true, arena, &r, &err));
    assert_int_equal(r.count, 1);
    assert_false(r.more);
    const struct yg_row *row = &r.rows[0];
    assert_true(yg_str_eq_c(yg_row_get(row, "service", YG_T_STR)->str, service_of(4200)));
    assert_true(yg_str_eq_c(yg_row_get(row, "message", YG_T_STR)->str, "line 4200 of the test"));
    assert_true(yg_row_get(row, "@size", YG_T_F64)->f64 == size_of(4200));
    assert_non_null(yg_row_get(row, "@roles", YG_T_JSON));
    assert_null(yg_row_get(row, "@nosuch", YG_T_STR));
    for (uint32_t i = 1; i < row->attr_count; i++)
        assert_true(yg_str_cmp(row->attrs[i - 1].name, row->attrs[i].name) <= 0);
}

static void test_early_stop(void **state) {
    (void)state;
    struct yg_event_query q = query("*");
    struct yg_search_result r;
    q.limit = 1;
    q.range.to_ns = BASE + STEP * 10;
    OK(yg_events_search(store, &q, true, arena, &r, &err));
    assert_int_equal(r.count, 1);
    assert_true(r.more);
    assert_int_equal(r.rows[0].time_ns, BASE + STEP * 9);
}

static bool always(void *arg) {
    (void)arg;
    return true;
}

static void test_deadline_and_cancel(void **state) {
    (void)state;
    struct yg_event_query q = query("*");
    struct yg_search_result r;
    struct yg_agg_result a;
    q.limit = 1;
    q.deadline_mono_ns = 1;
    assert_int_equal(yg_events_search(store, &q, true, arena, &r, &err), YG_ETIMEOUT);
    assert_int_equal(yg_events_aggregate(store, &q, true, arena, &a, &err), YG_ETIMEOUT);
    q.deadline_mono_ns = 0;
    q.canceled = always;
    assert_int_equal(yg_events_search(store, &q, true, arena, &r, &err), YG_ECANCEL);
}

// ------------------------------------------------------------ aggregation

static struct yg_compute compute(const char *aggregation, const char *metric) {
    struct yg_compute c;
    OK(yg_aggregation_parse(yg_str_c(aggregation), yg_str_c(metric), YG_TRACK_LOGS, arena, &c,
                            &err));
    return c;
}

static struct yg_group_by group(const char *facet, uint32_t limit) {
    struct yg_group_by g = {.limit = limit};
    OK(yg_field_parse(yg_str_c(facet), YG_TRACK_LOGS, arena, &g.facet, &err));
    return g;
}

static struct yg_agg_result run(struct yg_event_query *q) {
    struct yg_agg_result r;
    OK(yg_events_aggregate(store, q, true, arena, &r, &err));
    assert_int_equal(r.warnings.count, 0);
    return r;
}

static int compare_f64(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_computes(void **state) {
    (void)state;
    static double sizes[ROWS];
    double sum = 0, code_sum = 0;
    uint32_t codes = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        sizes[i] = size_of(i);
        sum += sizes[i];
        code_sum += has_code(i) ? (double)code_of(i) : 0;
        codes += has_code(i);
    }
    qsort(sizes, ROWS, sizeof(double), compare_f64);
    struct yg_compute computes[] = {compute("count", ""),
                                    compute("sum", "@size"),
                                    compute("avg", "@http.status_code"),
                                    compute("min", "@size"),
                                    compute("max", "@size"),
                                    compute("cardinality", "service"),
                                    compute("cardinality", "@user"),
                                    compute("pc95", "@size"),
                                    compute("median", "@size"),
                                    compute("cardinality", "@http.status_code"),
                                    compute("avg", "@nosuch"),
                                    compute("cardinality", "shard")};
    struct yg_event_query q = query("*");
    q.computes = computes;
    q.compute_count = sizeof(computes) / sizeof(computes[0]);
    struct yg_agg_result r = run(&q);
    assert_int_equal(r.count, 1);
    const struct yg_agg_value *v = r.buckets[0].computes;
    assert_true(v[0].value == ROWS);
    assert_true(fabs(v[1].value - sum) < 1e-6 * sum);
    assert_true(fabs(v[2].value - code_sum / codes) < 1e-9 * code_sum);
    assert_true(v[3].value == sizes[0] && v[4].value == sizes[ROWS - 1]);
    assert_true(v[5].value == 5);
    assert_true(fabs(v[6].value - 9001) < 9001 * 0.03); // HyperLogLog
    assert_true(fabs(v[7].value / sizes[ROWS * 95 / 100] - 1) < 0.02);
    assert_true(fabs(v[8].value / sizes[ROWS / 2] - 1) < 0.02);
    assert_true(v[9].value == 7);
    assert_false(v[10].has_value);
    assert_true(v[11].value == 16);
    assert_int_equal(r.stats.rows_matched, ROWS);
}

static void test_exact_cardinality(void **state) {
    (void)state;
    struct yg_compute c = compute("cardinality", "@user");
    struct yg_event_query q = query("@n:<4000");
    q.computes = &c;
    q.compute_count = 1;
    assert_true(run(&q).buckets[0].computes[0].value == 4000);
}

static void test_nothing_matches(void **state) {
    (void)state;
    struct yg_compute computes[] = {compute("count", ""), compute("sum", "@size"),
                                    compute("cardinality", "@user")};
    struct yg_event_query q = query("service:nobody");
    q.computes = computes;
    q.compute_count = 3;
    struct yg_agg_result r = run(&q);
    assert_int_equal(r.count, 1);
    assert_true(r.buckets[0].computes[0].has_value && r.buckets[0].computes[0].value == 0);
    assert_false(r.buckets[0].computes[1].has_value);
    assert_true(r.buckets[0].computes[2].has_value && r.buckets[0].computes[2].value == 0);
    struct yg_group_by g = group("service", 10);
    q.group_by = &g;
    q.group_count = 1;
    assert_int_equal(run(&q).count, 0);
}

static uint32_t rows_of_service(const char *service, int64_t code) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        n += strcmp(service_of(i), service) == 0 &&
             (code < 0 || (has_code(i) && code_of(i) == code));
    return n;
}

static void test_groups(void **state) {
    (void)state;
    struct yg_compute computes[] = {compute("count", ""), compute("max", "@n")};
    struct yg_group_by groups[] = {group("service", 3), group("@http.status_code", 2)};
    struct yg_event_query q = query("*");
    q.computes = computes;
    q.compute_count = 2;
    q.group_by = groups;
    q.group_count = 1;
    struct yg_agg_result r = run(&q);
    assert_int_equal(r.count, 3);
    for (uint32_t i = 0; i < r.count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%.*s", YG_STR_FMT(r.buckets[i].by[0]));
        assert_true(r.buckets[i].computes[0].value == rows_of_service(name, -1));
        if (i > 0)
            assert_true(r.buckets[i - 1].computes[0].value >= r.buckets[i].computes[0].value);
    }
    q.group_count = 2;
    r = run(&q);
    assert_int_equal(r.count, 6);
    for (uint32_t i = 0; i < r.count; i++) {
        char name[16];
        int64_t code;
        snprintf(name, sizeof(name), "%.*s", YG_STR_FMT(r.buckets[i].by[0]));
        assert_true(yg_str_to_i64(r.buckets[i].by[1], &code));
        assert_int_equal(r.buckets[i].by_values[1].type, YG_T_I64);
        assert_true(r.buckets[i].computes[0].value == rows_of_service(name, code));
    }
    // Alphabetical, upwards.
    groups[0].sort_alphabetical = groups[0].sort_ascending = true;
    q.group_count = 1;
    r = run(&q);
    assert_true(yg_str_eq_c(r.buckets[0].by[0], "api"));
    assert_true(yg_str_eq_c(r.buckets[1].by[0], "auth"));
    // By a measure of its own, upwards: the smallest of the largest numbers.
    groups[0] = group("service", 10);
    groups[0].has_sort_measure = groups[0].sort_ascending = true;
    groups[0].sort = compute("max", "@n");
    r = run(&q);
    assert_int_equal(r.count, 5);
    for (uint32_t i = 1; i < r.count; i++)
        assert_true(r.buckets[i - 1].computes[1].value <= r.buckets[i].computes[1].value);
}

static void test_missing_total_tags_arrays(void **state) {
    (void)state;
    struct yg_compute c = compute("count", "");
    struct yg_group_by g = group("@http.status_code", 20);
    struct yg_event_query q = query("*");
    q.computes = &c;
    q.compute_count = 1;
    q.group_by = &g;
    q.group_count = 1;
    assert_int_equal(run(&q).count, 7);
    g.has_missing = g.has_total = true;
    g.missing = YG_STR("none");
    g.total = YG_STR("*");
    struct yg_agg_result r = run(&q);
    assert_int_equal(r.count, 9);
    bool missing = false;
    for (uint32_t i = 0; i < r.count; i++)
        missing |=
            yg_str_eq_c(r.buckets[i].by[0], "none") && r.buckets[i].computes[0].value == ROWS / 4;
    assert_true(missing);
    assert_true(yg_str_eq_c(r.buckets[8].by[0], "*"));
    assert_true(r.buckets[8].computes[0].value == ROWS);
    g = group("env", 10);
    r = run(&q);
    assert_int_equal(r.count, 2);
    assert_true(r.buckets[0].computes[0].value == ROWS / 2);
    g = group("@roles", 10); // an element that stands twice in a row counts once
    r = run(&q);
    assert_int_equal(r.count, 2);
    assert_true(yg_str_eq_c(r.buckets[0].by[0], "b") &&
                r.buckets[0].computes[0].value == ROWS / 100);
    assert_true(yg_str_eq_c(r.buckets[1].by[0], "a") &&
                r.buckets[1].computes[0].value == ROWS / 200);
}

static void test_histogram_facet(void **state) {
    (void)state;
    struct yg_compute c = compute("count", "");
    struct yg_group_by g = group("@size", 0);
    g.histogram = g.sort_alphabetical = g.sort_ascending = true;
    g.hist_interval = 100;
    g.hist_min = 100;
    g.hist_max = 400;
    struct yg_event_query q = query("*");
    q.computes = &c;
    q.compute_count = 1;
    q.group_by = &g;
    q.group_count = 1;
    struct yg_agg_result r = run(&q);
    assert_int_equal(r.count, 3);
    for (uint32_t k = 0; k < 3; k++) {
        uint32_t n = 0;
        double lo = 100 * (k + 1);
        for (uint32_t i = 0; i < ROWS; i++)
            n += size_of(i) >= lo && size_of(i) < lo + 100;
        assert_true(r.buckets[k].by_values[0].f64 == lo);
        assert_true(r.buckets[k].computes[0].value == n);
    }
}

static void test_timeseries(void **state) {
    (void)state;
    struct yg_compute computes[] = {compute("count", ""), compute("avg", "@size")};
    computes[0].timeseries = computes[1].timeseries = true;
    computes[0].interval_ns = computes[1].interval_ns = 60 * YG_NS_PER_S;
    struct yg_event_query q = query("status:error");
    q.computes = computes;
    q.compute_count = 2;
    q.range.from_ns += 90 * YG_NS_PER_S;
    struct yg_agg_result r = run(&q);
    assert_int_equal(r.count, 1);
    double total = 0;
    for (uint32_t p = 0; p < r.buckets[0].computes[0].point_count; p++) {
        const struct yg_agg_point *point = &r.buckets[0].computes[0].points[p];
        double n = 0, sum = 0;
        assert_int_equal(point->time_ns % (60 * YG_NS_PER_S), 0);
        for (uint32_t i = 0; i < ROWS; i++)
            if (is_error(i) && time_of(i) >= q.range.from_ns && time_of(i) >= point->time_ns &&
                time_of(i) < point->time_ns + 60 * YG_NS_PER_S) {
                n++;
                sum += size_of(i);
            }
        assert_true(point->value == n && n > 0);
        assert_true(fabs(r.buckets[0].computes[1].points[p].value - sum / n) < 1e-9 * sum);
        total += n;
    }
    assert_true(r.buckets[0].computes[0].value == total);
    computes[0].interval_ns = 1;
    assert_int_equal(yg_events_aggregate(store, &q, true, arena, &r, &err), YG_EINPUT);
}

static void test_too_many_groups(void **state) {
    (void)state;
    struct yg_compute c = compute("count", "");
    struct yg_group_by g = group("@user", 10);
    struct yg_event_query q = query("*");
    struct yg_agg_result r;
    q.computes = &c;
    q.compute_count = 1;
    q.group_by = &g;
    q.group_count = 1;
    q.groups_max = 1000;
    assert_int_equal(yg_events_aggregate(store, &q, true, arena, &r, &err), YG_ELIMIT);
    assert_non_null(strstr(err.text, "\"@user\""));
    const char *at = strstr(err.text, "at least ");
    assert_non_null(at);
    unsigned long values = strtoul(at + strlen("at least "), NULL, 10);
    assert_in_range(values, 1000, 9001);
    q.groups_max = 0;
    r = run(&q);
    assert_int_equal(r.count, 10);
    assert_true(r.buckets[0].computes[0].value == 3);
}

// Groups times buckets past the memory of a query, and answers past the asker's.
static void test_memory_limits(void **state) {
    (void)state;
    struct yg_compute c = compute("count", "");
    struct yg_group_by g = group("@user", 10);
    struct yg_event_query q = query("*");
    struct yg_agg_result r;
    struct yg_search_result rows;
    c.timeseries = true;
    c.interval_ns = YG_NS_PER_S;
    q.computes = &c;
    q.compute_count = 1;
    q.group_by = &g;
    q.group_count = 1;
    assert_int_equal(yg_events_aggregate(store, &q, true, arena, &r, &err), YG_ELIMIT);
    assert_non_null(strstr(err.text, "64 MiB"));
    assert_non_null(strstr(err.text, "\"@user\""));
    q.limit = 1000;
    struct yg_arena *small = yg_arena_create(YG_MEM_QUERY, 64u << 10);
    assert_int_equal(yg_events_search(store, &q, true, small, &rows, &err), YG_ENOMEM);
    yg_arena_destroy(small);
}

// ------------------------------------------------------------ slices, series, monitors

// Slices of no time at all: every one gets ahead, and together they give every row once.
static void test_slices(void **state) {
    (void)state;
    for (int ascending = 0; ascending < 2; ascending++) {
        struct yg_event_query q = query("service:web");
        static uint8_t seen[ROWS];
        uint32_t count = 0, slices = 0;
        memset(seen, 0, sizeof(seen));
        q.ascending = ascending;
        q.limit = 3000;
        q.slice_mono_ns = 1;
        struct yg_search_result r;
        do {
            OK(yg_events_search(store, &q, true, arena, &r, &err));
            for (uint32_t k = 0; k < r.count; k++) {
                uint32_t i = number_of(&r.rows[k]);
                assert_true(!seen[i] && strcmp(service_of(i), "web") == 0);
                if (r.sliced)
                    assert_true(ascending ? time_of(i) < r.reached_ns : time_of(i) > r.reached_ns);
                seen[i] = 1;
                count++;
            }
            assert_true(r.bytes_done <= r.bytes_total);
            assert_true(r.more || r.bytes_done == r.bytes_total);
            q.after = r.next;
            slices++;
        } while (r.more);
        uint32_t want = 0;
        for (uint32_t i = 0; i < ROWS; i++)
            want += strcmp(service_of(i), "web") == 0;
        assert_int_equal(count, want);
        assert_true(slices > 1);
    }
}

static void test_named_series(void **state) {
    (void)state;
    struct yg_json_node *node = NULL;
    struct yg_event_series_spec *spec = NULL;
    struct yg_metric_result r;
    OK(yg_json_parse(
        YG_STR("{\"data_source\":\"logs\",\"name\":\"a\",\"search\":{\"query\":\"status:error\"},"
               "\"compute\":{\"aggregation\":\"count\",\"interval\":60000},"
               "\"group_by\":[{\"facet\":\"service\",\"limit\":2}]}"),
        arena, &node, &err));
    OK(yg_event_series_parse(node, arena, &spec, &err));
    assert_int_equal(spec->interval_ms, 60000);
    OK(yg_events_named_series(store, spec, all.from_ns / YG_NS_PER_MS, all.to_ns / YG_NS_PER_MS,
                              60000, true, 0, arena, &r, &err));
    assert_int_equal(r.count, 2);
    assert_true(yg_str_starts(r.series[0].group_tags[0], YG_STR("service:")));
    assert_true(r.series[0].point_count >= 16);
    OK(yg_events_named_series(store, spec, all.from_ns / YG_NS_PER_MS, all.to_ns / YG_NS_PER_MS, 0,
                              true, 0, arena, &r, &err));
    assert_int_equal(r.series[0].point_count, 1);
    OK(yg_json_parse(YG_STR("{\"data_source\":\"rum\",\"compute\":{\"aggregation\":\"count\"}}"),
                     arena, &node, &err));
    assert_int_equal(yg_event_series_parse(node, arena, &spec, &err), YG_ENOTFOUND);
    OK(yg_json_parse(YG_STR("{\"data_source\":\"logs\",\"compute\":{\"aggregation\":\"pc50\"}}"),
                     arena, &node, &err));
    assert_int_equal(yg_event_series_parse(node, arena, &spec, &err), YG_EINPUT);
    assert_non_null(strstr(err.text, "compute"));
}

static void test_monitor_window(void **state) {
    (void)state;
    struct yg_event_monitor *m = NULL;
    struct yg_window_value *values = NULL;
    uint32_t count = 0;
    OK(yg_event_monitor_parse(
        YG_STR("logs(\"status:error\").index(\"main\").rollup(\"count\").by(\"service,env\")"
               ".last(\"5m\") > 2"),
        arena, &m, &err));
    OK(yg_event_monitor_window(store, m, all.from_ns, all.to_ns, true, 0, arena, &values, &count,
                               NULL, &err));
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i].value;
        assert_int_equal(values[i].group_count, 2);
        assert_true(yg_str_starts(values[i].group_tags[1], YG_STR("env:")));
    }
    assert_true(sum == ROWS / 10);
    OK(yg_event_monitor_parse(YG_STR("logs(\"service:nobody\").rollup(\"count\").last(\"5m\") > 2"),
                              arena, &m, &err));
    OK(yg_event_monitor_window(store, m, all.from_ns, all.to_ns, true, 0, arena, &values, &count,
                               NULL, &err));
    assert_true(count == 1 && values[0].has_value && values[0].value == 0);
    OK(yg_event_monitor_parse(
        YG_STR("logs(\"service:nobody\").rollup(\"avg\", \"@size\").last(\"5m\") > 2"), arena, &m,
        &err));
    OK(yg_event_monitor_window(store, m, all.from_ns, all.to_ns, true, 0, arena, &values, &count,
                               NULL, &err));
    assert_true(count == 1 && !values[0].has_value);
}

// ------------------------------------------------------------ traces

static void test_trace_spans(void **state) {
    (void)state;
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 64u << 20);
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t r;
        OK(yg_batch_row(b, &r, &err));
        OK(yg_batch_set_i64(b, YG_STR("timestamp"), BASE + 1000 - (int64_t)i, &err));
        OK(yg_batch_set_id(b, YG_STR("trace_id"), (yg_id128){7, i % 3 + 1}, &err));
        OK(yg_batch_set_i64(b, YG_STR("span_id"), (int64_t)i + 1, &err));
        OK(yg_batch_set_i64(b, YG_STR("parent_id"), i < 3 ? 0 : (int64_t)(i % 3) + 1, &err));
        OK(yg_batch_set_i64(b, YG_STR("duration"), 1000 + (int64_t)i, &err));
        OK(yg_batch_set_str(b, YG_STR("service"), YG_STR("web"), &err));
        OK(yg_batch_set_str(b, YG_STR("operation_name"), YG_STR("op"), &err));
        OK(yg_batch_set_str(b, YG_STR("resource_name"), YG_STR("res"), &err));
        OK(yg_batch_set_str(b, YG_STR("status"), YG_STR("ok"), &err));
    }
    append(b);
    struct yg_search_result r;
    OK(yg_trace_spans(store, (yg_id128){7, 2}, arena, &r, &err));
    assert_int_equal(r.count, 100);
    for (uint32_t i = 1; i < r.count; i++)
        assert_true(r.rows[i - 1].time_ns <= r.rows[i].time_ns);
    OK(yg_trace_spans(store, (yg_id128){0, 2}, arena, &r, &err)); // the low half alone
    assert_int_equal(r.count, 100);
    OK(yg_trace_spans(store, (yg_id128){8, 2}, arena, &r, &err));
    assert_int_equal(r.count, 0);
    // By duration, longest first, with a cursor; and whole traces by their number of spans.
    struct yg_event_query q = {
        .track = YG_TRACK_SPANS, .range = all, .sort = YG_SORT_DURATION, .limit = 2};
    OK(yg_events_search(store, &q, true, arena, &r, &err));
    assert_true(r.count == 2 && r.more && r.rows[0].sort_value == 1299 &&
                r.rows[1].sort_value == 1298);
    q.after = (struct yg_cursor_pos){true, r.rows[1].sort_value, r.rows[1].seq};
    OK(yg_events_search(store, &q, true, arena, &r, &err));
    assert_int_equal(r.rows[0].sort_value, 1297);
    q = (struct yg_event_query){
        .track = YG_TRACK_TRACES, .range = all, .sort = YG_SORT_SPAN_COUNT, .limit = 10};
    OK(yg_events_search(store, &q, true, arena, &r, &err));
    assert_int_equal(r.count, 3);
    assert_int_equal(r.rows[0].sort_value, 100);
}

// ------------------------------------------------------------ damage

static void damage_files(const char *path, uint32_t *count) {
    DIR *d = opendir(path);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        char child[512];
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        if (stat(child, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            damage_files(child, count);
        } else if (strstr(child, "logs") && st.st_size > 20000 && strstr(child, "wal") == NULL) {
            int fd = open(child, O_RDWR | O_CLOEXEC);
            char zeros[512] = {0};
            assert_int_equal(pwrite(fd, zeros, sizeof(zeros), st.st_size / 2),
                             (ssize_t)sizeof(zeros));
            close(fd);
            (*count)++;
        }
    }
    if (d)
        closedir(d);
}

// Damaged columns are said so; what is whole is still found. Runs last.
static void test_damage_is_told(void **state) {
    (void)state;
    uint32_t damaged = 0;
    yg_store_close(store);
    damage_files(dir, &damaged);
    open_store();
    if (damaged == 0)
        fail_msg("no segment file of logs was found under %s", dir);
    struct yg_event_query q = query("*");
    struct yg_search_result r;
    q.limit = ROWS + 1;
    OK(yg_events_search(store, &q, true, arena, &r, &err));
    assert_true(r.warnings.count > 0);
    assert_true(r.warnings.text[0].len > 0);
    assert_true(r.count > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_pages),
        TEST(test_row_content),
        TEST(test_early_stop),
        TEST(test_deadline_and_cancel),
        TEST(test_computes),
        TEST(test_exact_cardinality),
        TEST(test_nothing_matches),
        TEST(test_groups),
        TEST(test_missing_total_tags_arrays),
        TEST(test_histogram_facet),
        TEST(test_timeseries),
        TEST(test_too_many_groups),
        TEST(test_memory_limits),
        TEST(test_slices),
        TEST(test_named_series),
        TEST(test_monitor_window),
        TEST(test_trace_spans),
        TEST(test_damage_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
