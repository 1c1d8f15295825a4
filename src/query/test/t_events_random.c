// SPDX-License-Identifier: Apache-2.0
// Random aggregations and searches over random rows against plain loops over the same rows: all
// aggregations, groups, buckets, orders, limits and cursors; with one worker and with several, with
// and without partial results, from memory and from files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "codec/ddsketch.h"
#include "query/events_cache.h"
#include "query/events_int.h"
#include "query/query.h"

#define ROWS 60000u
#define BASE INT64_C(1770000000000000000)
#define SPAN_NS (INT64_C(600) * YG_NS_PER_S)

static struct yg_err err;
#define OK(call)                                                                                   \
    do {                                                                                           \
        err = (struct yg_err){0};                                                                  \
        if ((call) != YG_OK)                                                                       \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

static uint64_t seed = 20261124;
static uint32_t below(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

// ------------------------------------------------------------ rows

struct row {
    int64_t time_ns;
    uint8_t service, status, tags; // tags: bit mask of teams
    bool has_code, has_size, has_user, mixed;
    int64_t code;
    double size;
    uint32_t user;
};
static struct row *rows; // [ROWS]

static char dir[64];
static struct yg_pool *pool;
static struct yg_store *store;
static struct yg_arena *arena;

static void make_rows(void) {
    for (uint32_t i = 0; i < ROWS; i++) {
        struct row *r = &rows[i];
        r->time_ns = BASE + (int64_t)below(600000) * YG_NS_PER_MS;
        r->service = (uint8_t)(below(4) ? below(3) : below(12));
        r->status = (uint8_t)below(4);
        r->tags = (uint8_t)(below(3) ? 1u << below(4) : below(16));
        r->has_code = below(5) != 0;
        r->code = 200 + (int64_t)below(6) * 50;
        r->has_size = below(7) != 0;
        r->mixed = below(3) == 0; // the size is a whole number: another column
        r->size = r->mixed ? (double)below(2000) : (double)below(2000000) / 1000 - 50;
        r->has_user = below(9) != 0;
        r->user = below(2) ? below(50) : below(20000);
    }
}

static const char *service_text(uint32_t service) {
    static const char *const names[] = {"web",    "api",  "auth",   "search", "orders", "carts",
                                        "prices", "mail", "images", "jobs",   "users",  "edge"};
    return names[service];
}
static const char *const statuses[] = {"info", "warn", "error", "debug"};

static void fill(struct yg_batch *b, const struct row *r) {
    uint32_t at;
    OK(yg_batch_row(b, &at, &err));
    OK(yg_batch_set_i64(b, YG_STR("timestamp"), r->time_ns, &err));
    OK(yg_batch_set_i64(b, YG_STR("@n"), r - rows, &err));
    OK(yg_batch_set_str(b, YG_STR("service"), yg_str_c(service_text(r->service)), &err));
    OK(yg_batch_set_str(b, YG_STR("status"), yg_str_c(statuses[r->status]), &err));
    char tags[80] = "env:prod";
    for (uint32_t t = 0; t < 4; t++)
        if (r->tags & (1u << t))
            (void)snprintf(tags + strlen(tags), sizeof(tags) - strlen(tags), ",team:t%u", t);
    OK(yg_batch_set_str(b, YG_STR("tags"), yg_arena_str(b->arena, yg_str_c(tags)), &err));
    if (r->has_code)
        OK(yg_batch_set_i64(b, YG_STR("@code"), r->code, &err));
    if (r->has_size && r->mixed)
        OK(yg_batch_set_i64(b, YG_STR("@size"), (int64_t)r->size, &err));
    else if (r->has_size)
        OK(yg_batch_set_f64(b, YG_STR("@size"), r->size, &err));
    if (r->has_user)
        OK(yg_batch_set_str(b, YG_STR("@user"), yg_arena_printf(b->arena, "u%u", r->user), &err));
}

static void append_done(void *arg, yg_rc rc, const struct yg_err *e) {
    (void)e;
    assert_int_equal(rc, YG_OK);
    yg_event_set(arg);
}

static void open_store(uint32_t workers) {
    pool = yg_pool_create(&(struct yg_pool_options){.worker_count = workers});
    struct yg_store_options options = {.dir = dir,
                                       .clock = &yg_clock_system,
                                       .pool = pool,
                                       .wal_sync = YG_WAL_SYNC_NONE,
                                       .shard_count = 2,
                                       .seal_interval_ms = 100000,
                                       .flush_interval_ms = 10000000};
    OK(yg_store_open(&options, &store, &err));
}

static void close_store(void) {
    yg_store_close(store);
    yg_pool_destroy(pool);
}

static void append_rows(uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i += 3000) {
        struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 256u << 20);
        struct yg_event done;
        yg_event_init(&done);
        for (uint32_t k = i; k < to && k < i + 3000; k++)
            fill(b, &rows[k]);
        OK(yg_store_append(store, b, append_done, &done, &err));
        yg_event_wait(&done);
        yg_event_fini(&done);
    }
}

// ------------------------------------------------------------ questions

enum key { K_SERVICE, K_STATUS, K_CODE, K_TEAM, K_USER, K_COUNT };
static const char *const key_names[] = {"service", "status", "@code", "team", "@user"};
enum metric { M_NONE, M_SIZE, M_CODE, M_USER };
static const char *const metric_names[] = {"", "@size", "@code", "@user"};

struct question {
    const char *search;
    int wanted_status, wanted_service; // of the search; -1 = any
    double size_above;                 // NAN = any
    struct yg_time_range range;
    enum key keys[2];
    bool missing[2];
    uint32_t key_count;
    const char *agg;
    enum metric metric;
    int64_t interval_ns;
    uint32_t limit;
    bool alphabetical, ascending;
};

static bool matches(const struct question *q, const struct row *r) {
    return r->time_ns >= q->range.from_ns && r->time_ns < q->range.to_ns &&
           (q->wanted_status < 0 || r->status == q->wanted_status) &&
           (q->wanted_service < 0 || r->service == q->wanted_service) &&
           (isnan(q->size_above) || (r->has_size && r->size > q->size_above));
}

static struct question ask(void) {
    static const struct {
        const char *text;
        int status, service;
        double above;
    } searches[] = {
        {"*", -1, -1, (double)NAN},          {"status:error", 2, -1, (double)NAN},
        {"service:web", -1, 0, (double)NAN}, {"service:api status:info", 0, 1, (double)NAN},
        {"@size:>1500", -1, -1, 1500},       {"service:images @size:>-10", -1, 8, -10}};
    static const char *const aggs[] = {"count", "sum",  "avg",         "min",
                                       "max",   "pc95", "cardinality", "median"};
    uint32_t s = below(6);
    struct question q = {.search = searches[s].text,
                         .wanted_status = searches[s].status,
                         .wanted_service = searches[s].service,
                         .size_above = searches[s].above,
                         .range = {BASE, BASE + SPAN_NS},
                         .key_count = below(3),
                         .agg = aggs[below(8)],
                         .limit = 1 + below(30),
                         .alphabetical = below(4) == 0,
                         .ascending = below(3) == 0};
    if (below(2)) {
        q.range.from_ns += (int64_t)below(300000) * YG_NS_PER_MS;
        q.range.to_ns = q.range.from_ns + 1 + (int64_t)below(300000) * YG_NS_PER_MS;
    }
    for (uint32_t i = 0; i < q.key_count; i++) {
        q.keys[i] = (enum key)below(K_COUNT);
        q.missing[i] = below(3) == 0;
    }
    if (strcmp(q.agg, "count") != 0)
        q.metric = strcmp(q.agg, "cardinality") == 0 ? M_SIZE + below(3) : M_SIZE + below(2);
    if (below(3) == 0)
        q.interval_ns = (int64_t)(1 + below(120)) * YG_NS_PER_S;
    return q;
}

// ------------------------------------------------------------ the slow answer

#define GROUPS 40000u
#define BUCKETS 700u

struct slow {
    char name[2][24];
    uint32_t n;     // rows
    double *values; // of the measure
    int64_t *times;
    uint32_t count, cap;
};
static struct slow *groups; // [GROUPS]
static uint32_t group_count;
static struct yg_map group_index;

static uint32_t key_values(const struct question *q, uint32_t i, const struct row *r,
                           char out[4][24]) {
    uint32_t n = 0;
    switch (q->keys[i]) {
    case K_SERVICE:
        n += (uint32_t)(snprintf(out[0], 24, "%s", service_text(r->service)) > 0);
        break;
    case K_STATUS:
        n += (uint32_t)(snprintf(out[0], 24, "%s", statuses[r->status]) > 0);
        break;
    case K_CODE:
        n += r->has_code && snprintf(out[0], 24, "%lld", (long long)r->code) > 0;
        break;
    case K_TEAM:
        for (uint32_t t = 0; t < 4; t++)
            if (r->tags & (1u << t))
                n += (uint32_t)(snprintf(out[n], 24, "t%u", t) > 0);
        break;
    case K_USER:
        n += r->has_user && snprintf(out[0], 24, "u%u", r->user) > 0;
        break;
    case K_COUNT:
        break;
    }
    if (n == 0 && q->missing[i])
        n += (uint32_t)(snprintf(out[0], 24, "none") > 0);
    return n;
}

static bool metric_of(const struct question *q, const struct row *r, double *ret) {
    *ret = q->metric == M_CODE ? (double)r->code : q->metric == M_USER ? r->user : r->size;
    return q->metric == M_NONE   ? true
           : q->metric == M_CODE ? r->has_code
           : q->metric == M_USER ? r->has_user
                                 : r->has_size;
}

static struct slow *slow_group(const char *a, const char *b) {
    char key[64];
    int len = snprintf(key, sizeof(key), "%s|%s", a, b);
    uint64_t *at = yg_map_put(&group_index, yg_str_n(key, (size_t)len), NULL);
    if (*at == 0) {
        assert_true(group_count < GROUPS);
        struct slow *g = &groups[group_count];
        *g = (struct slow){0};
        (void)snprintf(g->name[0], 24, "%s", a);
        (void)snprintf(g->name[1], 24, "%s", b);
        *at = ++group_count;
    }
    return &groups[*at - 1];
}

static void slow_add(struct slow *g, const struct question *q, const struct row *r) {
    double v;
    g->n++;
    if (!metric_of(q, r, &v))
        return;
    if (g->count == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 8;
        g->values = yg_realloc(YG_MEM_QUERY, g->values, sizeof(double) * g->cap);
        g->times = yg_realloc(YG_MEM_QUERY, g->times, sizeof(int64_t) * g->cap);
    }
    g->values[g->count] = v;
    g->times[g->count++] = r->time_ns;
}

static void slow_clear(void) {
    for (uint32_t i = 0; i < group_count; i++) {
        yg_free(YG_MEM_QUERY, groups[i].values);
        yg_free(YG_MEM_QUERY, groups[i].times);
    }
    group_count = 0;
    yg_map_fini(&group_index);
    group_index = YG_MAP(YG_MEM_QUERY, true);
}

static void slow_run(const struct question *q) {
    slow_clear();
    if (q->key_count == 0)
        (void)slow_group("", "");
    for (uint32_t i = 0; i < ROWS; i++) {
        char a[4][24] = {""}, b[4][24] = {""};
        uint32_t na = 1, nb = 1;
        if (!matches(q, &rows[i]))
            continue;
        if (q->key_count > 0)
            na = key_values(q, 0, &rows[i], a);
        if (q->key_count > 1)
            nb = key_values(q, 1, &rows[i], b);
        for (uint32_t x = 0; x < na; x++)
            for (uint32_t y = 0; y < nb; y++)
                slow_add(slow_group(a[x], b[y]), q, &rows[i]);
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The measure of the values in [from, to); false: has none. ret_slack: how far off an answer may
// be.
static bool slow_value(const struct question *q, const struct slow *g, int64_t from, int64_t to,
                       double *ret, double *ret_slack) {
    double *v = yg_alloc(YG_MEM_QUERY, sizeof(double) * (g->count + 1));
    uint32_t n = 0, distinct = 0;
    long double sum = 0;
    struct yg_sketch sketch = YG_SKETCH(YG_MEM_QUERY);
    for (uint32_t i = 0; i < g->count; i++)
        if (g->times[i] >= from && g->times[i] < to) {
            v[n++] = g->values[i];
            sum += (long double)g->values[i];
            yg_sketch_add(&sketch, g->values[i], 1);
        }
    qsort(v, n, sizeof(double), by_value);
    for (uint32_t i = 0; i < n; i++)
        distinct += i == 0 || v[i] > v[i - 1];
    bool has = n > 0;
    *ret_slack = 0;
    if (strcmp(q->agg, "count") == 0)
        *ret = n;
    else if (strcmp(q->agg, "cardinality") == 0) {
        *ret = distinct;
        *ret_slack = distinct > YG_DISTINCT_EXACT_MAX ? distinct * 0.04 : 0;
    } else if (strcmp(q->agg, "sum") == 0)
        *ret = (double)sum;
    else if (strcmp(q->agg, "avg") == 0)
        *ret = n ? (double)sum / n : 0;
    else if (strcmp(q->agg, "min") == 0)
        *ret = n ? v[0] : 0;
    else if (strcmp(q->agg, "max") == 0)
        *ret = n ? v[n - 1] : 0;
    else
        *ret = n ? yg_sketch_quantile(&sketch, strcmp(q->agg, "pc95") == 0 ? 0.95 : 0.5) : 0;
    if (strcmp(q->agg, "count") == 0 || strcmp(q->agg, "cardinality") == 0)
        has = true;
    if (strcmp(q->agg, "sum") == 0 || strcmp(q->agg, "avg") == 0)
        *ret_slack = fabs(*ret) * 1e-14 + 1e-12;
    yg_sketch_fini(&sketch);
    yg_free(YG_MEM_QUERY, v);
    return has;
}

// ------------------------------------------------------------ comparing

static void check_points(const struct question *q, const struct slow *g,
                         const struct yg_agg_value *v) {
    uint32_t at = 0;
    int64_t i = q->interval_ns;
    for (int64_t t = q->range.from_ns / i * i; t < q->range.to_ns; t += i) {
        double want, slack;
        bool has = slow_value(q, g, t, t + i, &want, &slack);
        bool empty = !has || (strcmp(q->agg, "count") == 0 && want < 0.5) ||
                     (strcmp(q->agg, "cardinality") == 0 && want < 0.5);
        if (empty)
            continue; // empty buckets are left out
        assert_true(at < v->point_count);
        assert_true(v->points[at].time_ns == t);
        assert_true(fabs(v->points[at].value - want) <= slack);
        at++;
    }
    assert_int_equal(at, v->point_count);
}

static void check_aggregate(const struct question *q, const struct yg_agg_result *r) {
    for (uint32_t i = 0; i < r->count; i++) {
        const struct yg_agg_bucket *b = &r->buckets[i];
        char name[2][24] = {"", ""};
        for (uint32_t k = 0; k < q->key_count; k++)
            (void)snprintf(name[k], 24, "%.*s", YG_STR_FMT(b->by[k]));
        uint32_t before = group_count;
        struct slow *g = slow_group(name[0], name[1]);
        assert_int_equal(group_count, before); // a group that is there
        double want, slack;
        bool has = slow_value(q, g, INT64_MIN, INT64_MAX, &want, &slack);
        assert_int_equal(has, b->computes[0].has_value);
        if (has && fabs(b->computes[0].value - want) > slack)
            fail_msg("%s of %s by %s: %.17g instead of %.17g", q->agg, metric_names[q->metric],
                     q->key_count ? key_names[q->keys[0]] : "-", b->computes[0].value, want);
        if (q->interval_ns)
            check_points(q, g, &b->computes[0]);
    }
    if (q->key_count == 0)
        assert_int_equal(r->count, 1);
    if (q->key_count == 1) { // as many as there are, and the best of them
        assert_int_equal(r->count, group_count < q->limit ? group_count : q->limit);
        for (uint32_t i = 1; i < r->count && !q->alphabetical; i++) {
            const struct yg_agg_value *x = &r->buckets[i - 1].computes[0],
                                      *y = &r->buckets[i].computes[0];
            if (x->has_value && y->has_value)
                assert_true(q->ascending ? x->value <= y->value : x->value >= y->value);
        }
    }
}

static bool same_value(const struct yg_agg_value *a, const struct yg_agg_value *b) {
    bool same = a->has_value == b->has_value && memcmp(&a->value, &b->value, 8) == 0 &&
                a->point_count == b->point_count;
    for (uint32_t i = 0; same && i < a->point_count; i++)
        same = a->points[i].time_ns == b->points[i].time_ns &&
               memcmp(&a->points[i].value, &b->points[i].value, 8) == 0;
    return same;
}

// To the last bit.
static void check_same(const struct yg_agg_result *a, const struct yg_agg_result *b,
                       uint32_t key_count) {
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < key_count; k++)
            assert_true(yg_str_eq(a->buckets[i].by[k], b->buckets[i].by[k]));
        assert_true(same_value(&a->buckets[i].computes[0], &b->buckets[i].computes[0]));
    }
}

static struct yg_agg_result run(const struct question *q) {
    struct yg_search_options options = {.track = YG_TRACK_LOGS};
    struct yg_node *tree = NULL;
    OK(yg_search_parse(yg_str_c(q->search), &options, arena, &tree, &err));
    struct yg_compute c;
    OK(yg_aggregation_parse(yg_str_c(q->agg), yg_str_c(metric_names[q->metric]), YG_TRACK_LOGS,
                            arena, &c, &err));
    c.timeseries = q->interval_ns > 0;
    c.interval_ns = q->interval_ns;
    struct yg_group_by by[2] = {{.limit = 0}};
    for (uint32_t i = 0; i < q->key_count; i++) {
        by[i] = (struct yg_group_by){.limit = q->limit,
                                     .sort_alphabetical = q->alphabetical,
                                     .sort_ascending = q->ascending,
                                     .has_missing = q->missing[i],
                                     .missing = YG_STR("none")};
        OK(yg_field_parse(yg_str_c(key_names[q->keys[i]]), YG_TRACK_LOGS, arena, &by[i].facet,
                          &err));
    }
    struct yg_event_query e = {.track = YG_TRACK_LOGS,
                               .range = q->range,
                               .filter = tree,
                               .computes = &c,
                               .compute_count = 1,
                               .group_by = by,
                               .group_count = q->key_count};
    struct yg_agg_result r;
    OK(yg_events_aggregate(store, &e, true, arena, &r, &err));
    assert_int_equal(r.warnings.count, 0);
    return r;
}

// Pages of random size through a random search: every row once, in order.
static void check_pages(const struct question *q) {
    struct yg_search_options options = {.track = YG_TRACK_LOGS};
    struct yg_node *tree = NULL;
    OK(yg_search_parse(yg_str_c(q->search), &options, arena, &tree, &err));
    struct yg_event_query e = {.track = YG_TRACK_LOGS,
                               .range = q->range,
                               .filter = tree,
                               .ascending = q->ascending,
                               .limit = 100 + q->limit * 300};
    static uint8_t seen[ROWS];
    memset(seen, 0, sizeof(seen));
    uint32_t count = 0, want = 0;
    int64_t last = q->ascending ? INT64_MIN : INT64_MAX;
    struct yg_search_result r;
    do {
        struct yg_arena *page = yg_arena_create(YG_MEM_QUERY, 256u << 20);
        OK(yg_events_search(store, &e, true, page, &r, &err));
        for (uint32_t i = 0; i < r.count; i++) {
            int64_t n = yg_row_get(&r.rows[i], "@n", YG_T_I64)->i64, t = r.rows[i].time_ns;
            assert_true(n >= 0 && n < ROWS && !seen[n] && matches(q, &rows[n]));
            assert_true(t == rows[n].time_ns && (q->ascending ? t >= last : t <= last));
            seen[n] = 1;
            last = t;
            count++;
        }
        if (r.count > 0)
            e.after = (struct yg_cursor_pos){true, r.rows[r.count - 1].sort_value,
                                             r.rows[r.count - 1].seq};
        yg_arena_destroy(page);
    } while (r.more);
    for (uint32_t i = 0; i < ROWS; i++)
        want += matches(q, &rows[i]);
    assert_int_equal(count, want);
}

static void ask_many(uint32_t questions) {
    for (uint32_t i = 0; i < questions; i++) {
        struct question q = ask();
        arena = yg_arena_create(YG_MEM_QUERY, 512u << 20);
        slow_run(&q);
        struct yg_agg_result first = run(&q);
        check_aggregate(&q, &first);
        struct yg_agg_result again = run(&q); // from partials where they were kept
        check_same(&first, &again, q.key_count);
        yg_partials_clear(yg_partials_of(store));
        if (i % 8 == 0)
            check_pages(&q);
        yg_arena_destroy(arena);
    }
}

#define KEPT 24u

// The same questions with one worker and with several: equal to the last bit.
static void ask_with_workers(void) {
    struct question q[KEPT];
    struct yg_agg_result one[KEPT];
    struct yg_arena *keep = yg_arena_create(YG_MEM_QUERY, 512u << 20);
    arena = keep;
    for (uint32_t i = 0; i < KEPT; i++) {
        q[i] = ask();
        one[i] = run(&q[i]);
    }
    for (uint32_t workers = 2; workers < 6; workers += 3) {
        close_store();
        open_store(workers);
        for (uint32_t i = 0; i < KEPT; i++) {
            if (strcmp(q[i].agg, "cardinality") == 0 && q[i].metric == M_USER)
                continue; // fine too, but nothing of it is compared twice
            struct yg_agg_result many = run(&q[i]);
            check_same(&one[i], &many, q[i].key_count);
        }
    }
    yg_arena_destroy(keep);
}

// Partial results that were kept before a deletion must not bring its rows back.
static void ask_after_a_deletion(void) {
    struct question q = {.search = "*",
                         .wanted_status = -1,
                         .wanted_service = -1,
                         .size_above = (double)NAN,
                         .range = {BASE, BASE + SPAN_NS},
                         .keys = {K_SERVICE},
                         .key_count = 1,
                         .agg = "count",
                         .limit = 20};
    struct question all = q;
    all.key_count = 0;
    arena = yg_arena_create(YG_MEM_QUERY, 256u << 20);
    (void)run(&q);
    double before = run(&all).buckets[0].computes[0].value;
    uint64_t id;
    OK(yg_store_delete(store, YG_TRACK_LOGS, q.range, YG_STR("service:web"), &id, &err));
    uint32_t web = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        web += rows[i].service == 0;
    struct yg_agg_result after = run(&q);
    for (uint32_t i = 0; i < after.count; i++)
        assert_false(yg_str_eq_c(after.buckets[i].by[0], "web"));
    assert_true(run(&all).buckets[0].computes[0].value == before - web);
    yg_arena_destroy(arena);
}

static void test_random(void **state) {
    (void)state;
    append_rows(0, ROWS / 2);
    close_store(); // half of the rows in files
    open_store(1);
    append_rows(ROWS / 2, ROWS);
    ask_many(60);
    close_store(); // all of them
    open_store(3);
    ask_many(60);
    close_store();
    open_store(1);
    ask_with_workers();
    ask_after_a_deletion();
}

static int setup(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/yg_random_XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    rows = yg_calloc(YG_MEM_QUERY, ROWS, sizeof(*rows));
    groups = yg_calloc(YG_MEM_QUERY, GROUPS, sizeof(*groups));
    group_index = YG_MAP(YG_MEM_QUERY, true);
    make_rows();
    open_store(1);
    return 0;
}

static void remove_tree(const char *path) {
    DIR *d = opendir(path);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        char child[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        if (unlink(child) != 0)
            remove_tree(child);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static int teardown(void **state) {
    (void)state;
    slow_clear();
    yg_map_fini(&group_index);
    yg_free(YG_MEM_QUERY, groups);
    yg_free(YG_MEM_QUERY, rows);
    close_store();
    remove_tree(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
