// SPDX-License-Identifier: Apache-2.0
// Trace queries: what parses and what is refused; random queries over random traces against an
// evaluator that looks at every pair of spans.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

#include "base/thread.h"
#include "query/query.h"

#define TRACES 400u
#define SPANS_MAX 14u
#define BASE INT64_C(1770000000000000000)

static struct yg_err err;
#define OK(call)                                                                                   \
    do {                                                                                           \
        err = (struct yg_err){0};                                                                  \
        if ((call) != YG_OK)                                                                       \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

static uint64_t seed = 7;
static uint32_t below(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

struct span {
    int64_t id, parent;
    uint32_t service, operation;
    bool error;
};
struct trace {
    yg_id128 id;
    struct span spans[SPANS_MAX];
    uint32_t count;
    int64_t duration_ns;
};
static struct trace traces[TRACES];
static char dir[64];
static struct yg_pool *pool;
static struct yg_store *store;
static struct yg_arena *arena;

static const char *const services[] = {"web", "api", "auth", "db"};
static const char *const operations[] = {"request", "query", "call"};

static void make_traces(void) {
    for (uint32_t t = 0; t < TRACES; t++) {
        struct trace *x = &traces[t];
        x->id = (yg_id128){77, 1000 + t};
        x->count = 1 + below(below(4) ? 5 : SPANS_MAX);
        x->duration_ns = (int64_t)(1 + below(9000)) * 1000000;
        for (uint32_t i = 0; i < x->count; i++) {
            int64_t parent = i == 0 ? 0 : x->spans[below(i)].id;
            if (i > 0 && below(20) == 0)
                parent = 999999; // never arrived
            x->spans[i] = (struct span){.id = (int64_t)(t * 100 + i + 1),
                                        .parent = parent,
                                        .service = below(4),
                                        .operation = below(3),
                                        .error = below(6) == 0};
        }
        if (x->count > 3 && below(15) == 0)
            x->spans[1].parent = x->spans[2].id, x->spans[2].parent = x->spans[1].id; // a circle
    }
}

static void put(struct yg_batch *b, const struct trace *t, const struct span *s) {
    uint32_t r;
    OK(yg_batch_row(b, &r, &err));
    OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), BASE + (int64_t)below(1000) * 1000000, &err));
    OK(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), t->id, &err));
    OK(yg_batch_set_i64(b, YG_STR(YG_COL_SPAN_ID), s->id, &err));
    if (s->parent)
        OK(yg_batch_set_i64(b, YG_STR(YG_COL_PARENT_ID), s->parent, &err));
    OK(yg_batch_set_i64(b, YG_STR(YG_COL_DURATION), t->duration_ns, &err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_SERVICE), yg_str_c(services[s->service]), &err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_OPERATION), yg_str_c(operations[s->operation]), &err));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_STATUS), s->error ? YG_STR("error") : YG_STR("ok"), &err));
}

static void done(void *arg, yg_rc rc, const struct yg_err *e) {
    (void)e;
    assert_int_equal(rc, YG_OK);
    yg_event_set(arg);
}

static int setup(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/yg_traceq_XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    make_traces();
    pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    struct yg_store_options options = {.dir = dir,
                                       .clock = &yg_clock_system,
                                       .pool = pool,
                                       .wal_sync = YG_WAL_SYNC_NONE,
                                       .shard_count = 2,
                                       .seal_interval_ms = 100000,
                                       .flush_interval_ms = 10000000};
    OK(yg_store_open(&options, &store, &err));
    for (uint32_t half = 0; half < 2; half++) { // spans of one trace come in two batches
        struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 64u << 20);
        for (uint32_t t = 0; t < TRACES; t++)
            for (uint32_t i = half; i < traces[t].count; i += 2)
                put(b, &traces[t], &traces[t].spans[i]);
        struct yg_event event;
        yg_event_init(&event);
        OK(yg_store_append(store, b, done, &event, &err));
        yg_event_wait(&event);
        yg_event_fini(&event);
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

static struct yg_trace_matches *find(const char *text) {
    static const struct yg_trace_label labels[] = {{'x', YG_STR("service:api status:error")}};
    struct yg_trace_query *q;
    OK(yg_trace_query_parse(yg_str_c(text), labels, 1, arena, &q, &err));
    struct yg_trace_search_options options = {.range = {BASE, BASE + INT64_C(1000000000000)}};
    struct yg_warnings warnings = {0};
    struct yg_query_stats stats = {0};
    struct yg_trace_matches *m;
    OK(yg_trace_matches_find(store, q, &options, arena, &warnings, &stats, &m, &err));
    assert_int_equal(warnings.count, 0);
    return m;
}

static bool has(const struct yg_trace_matches *m, const struct trace *t) {
    return yg_trace_matches_has(m, t->id, t->count, t->duration_ns);
}

// ------------------------------------------------------------ random queries

struct expr {
    char op;                     // 's' span query, '&', '|', '!', '=', '-'
    uint32_t service, operation; // of 's'; 9 = any
    uint32_t left, right;
};
static struct expr exprs[64];
static uint32_t expr_count;

static uint32_t make_spans(void) {
    exprs[expr_count] = (struct expr){
        .op = 's', .service = below(5) ? below(4) : 9, .operation = below(2) ? below(3) : 9};
    return expr_count++;
}

static uint32_t make_relation(uint32_t depth) {
    uint32_t left = depth > 0 && below(3) == 0 ? make_relation(depth - 1) : make_spans();
    uint32_t right = make_spans();
    exprs[expr_count] = (struct expr){.op = below(2) ? '=' : '-', .left = left, .right = right};
    return expr_count++;
}

static uint32_t make(uint32_t depth) {
    static const char ops[] = "&|!";
    if (depth == 0 || below(4) == 0)
        return below(2) ? make_spans() : make_relation(1);
    struct expr e = {.op = ops[below(3)]};
    e.left = make(depth - 1);
    e.right = e.op == '!' ? 0 : make(depth - 1);
    exprs[expr_count] = e;
    return expr_count++;
}

static void print(uint32_t i, char *out) { // at most 2,000 bytes
    const struct expr *e = &exprs[i];
    char left[2000] = "", right[2000] = "";
    if (e->op == 's') {
        (void)snprintf(out, 2000, "%s%s%s%s%s", e->service == 9 ? "" : "service:",
                       e->service == 9 ? "" : services[e->service],
                       e->operation == 9 ? "" : " operation_name:",
                       e->operation == 9 ? "" : operations[e->operation],
                       e->service == 9 && e->operation == 9 ? "*" : "");
        return;
    }
    print(e->left, left);
    if (e->op != '!')
        print(e->right, right);
    (void)snprintf(out, 2000, e->op == '!' ? "NOT(%s)%s%s" : "(%s)%s(%s)", left,
                   e->op == '!'   ? ""
                   : e->op == '&' ? " && "
                   : e->op == '|' ? " || "
                   : e->op == '=' ? " => "
                                  : " -> ",
                   right);
}

static bool is_child(const struct trace *t, uint32_t a, uint32_t b) {
    return a != b && t->spans[b].parent != 0 && t->spans[b].parent == t->spans[a].id;
}

static bool is_below(const struct trace *t, uint32_t a, uint32_t b) {
    bool reached[SPANS_MAX] = {false};
    for (uint32_t round = 0; round < SPANS_MAX; round++)
        for (uint32_t y = 0; y < t->count; y++)
            for (uint32_t x = 0; x < t->count; x++)
                reached[y] |= is_child(t, x, y) && (x == a || reached[x]);
    return reached[b];
}

static bool in_set(const struct trace *t, uint32_t i, uint32_t span) {
    const struct expr *e = &exprs[i];
    if (e->op == 's')
        return (e->service == 9 || t->spans[span].service == e->service) &&
               (e->operation == 9 || t->spans[span].operation == e->operation);
    if (!in_set(t, e->right, span))
        return false;
    for (uint32_t a = 0; a < t->count; a++)
        if (in_set(t, e->left, a) && (e->op == '=' ? is_child(t, a, span) : is_below(t, a, span)))
            return true;
    return false;
}

static bool holds(const struct trace *t, uint32_t i) {
    const struct expr *e = &exprs[i];
    if (e->op == '&')
        return holds(t, e->left) && holds(t, e->right);
    if (e->op == '|')
        return holds(t, e->left) || holds(t, e->right);
    if (e->op == '!')
        return !holds(t, e->left);
    for (uint32_t s = 0; s < t->count; s++)
        if (in_set(t, i, s))
            return true;
    return false;
}

static void test_random(void **state) {
    (void)state;
    for (uint32_t round = 0; round < 150; round++) {
        char text[2000];
        expr_count = 0;
        uint32_t top = make(3);
        uint32_t queries = 0, matched = 0;
        for (uint32_t i = 0; i < expr_count; i++)
            queries += exprs[i].op == 's';
        if (queries > 16)
            continue;
        print(top, text);
        struct yg_trace_matches *m = find(text);
        for (uint32_t t = 0; t < TRACES; t++) {
            bool want = holds(&traces[t], top);
            if (has(m, &traces[t]) != want)
                fail_msg("trace %u: %d expected of %s", t, want, text);
            matched += want;
        }
        (void)matched;
        yg_trace_matches_destroy(m);
    }
}

// ------------------------------------------------------------ conditions

static uint32_t count_of(const struct trace *t, uint32_t service) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->count; i++)
        n += t->spans[i].service == service;
    return n;
}

static void test_conditions(void **state) {
    (void)state;
    struct yg_trace_matches *m =
        find("service:db where span_count(a):>=2 total_span_count:<10 trace_duration:>1.5s");
    uint32_t matched = 0;
    for (uint32_t t = 0; t < TRACES; t++) {
        bool want = count_of(&traces[t], 3) >= 2 && traces[t].count < 10 &&
                    traces[t].duration_ns > 1500000000;
        assert_int_equal(has(m, &traces[t]), want);
        matched += want;
    }
    assert_true(matched > 0);
    yg_trace_matches_destroy(m);
    m = find("NOT(service:db) where trace_duration:[10ms TO 3s]");
    for (uint32_t t = 0; t < TRACES; t++)
        assert_int_equal(has(m, &traces[t]), count_of(&traces[t], 3) == 0 &&
                                                 traces[t].duration_ns >= 10000000 &&
                                                 traces[t].duration_ns <= 3000000000);
    yg_trace_matches_destroy(m);
    m = find("x && (service:web OR service:auth) where span_count(x):1");
    for (uint32_t t = 0; t < TRACES; t++) {
        uint32_t errors = 0;
        for (uint32_t i = 0; i < traces[t].count; i++)
            errors += traces[t].spans[i].service == 1 && traces[t].spans[i].error;
        assert_int_equal(has(m, &traces[t]),
                         errors == 1 && count_of(&traces[t], 0) + count_of(&traces[t], 2) > 0);
    }
    yg_trace_matches_destroy(m);
}

static bool yes(void *arg) {
    (void)arg;
    return true;
}

static void test_ends(void **state) {
    (void)state;
    struct yg_trace_query *q;
    OK(yg_trace_query_parse(YG_STR("service:web"), NULL, 0, arena, &q, &err));
    struct yg_trace_search_options o = {.range = {BASE, BASE + 1000}, .canceled = yes};
    struct yg_warnings w = {0};
    struct yg_query_stats s = {0};
    struct yg_trace_matches *m;
    assert_int_equal(yg_trace_matches_find(store, q, &o, arena, &w, &s, &m, &err), YG_ECANCEL);
    o = (struct yg_trace_search_options){.range = o.range, .deadline_mono_ns = 1};
    assert_int_equal(yg_trace_matches_find(store, q, &o, arena, &w, &s, &m, &err), YG_ETIMEOUT);
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "a =>",
                                        "service:web &&",
                                        "(service:web && service:api",
                                        "service:web && service:api)",
                                        "(a && b) => c",
                                        "NOT(a) => b",
                                        "service:web where",
                                        "service:web where span_count(q):>1",
                                        "service:web where size:>1",
                                        "service:web where total_span_count:>many",
                                        "service:web where trace_duration:>1week",
                                        "service:web where total_span_count",
                                        "service:[ => b"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct yg_trace_query *q;
        yg_rc rc = yg_trace_query_parse(yg_str_c(texts[i]), NULL, 0, arena, &q, &err);
        if (rc != YG_EINPUT)
            fail_msg("\"%s\" is taken", texts[i]);
    }
}

// Each operator is a step down for who evaluates: a text of them without end is refused.
static void test_very_many_operators(void **state) {
    (void)state;
    struct yg_trace_query *q;
    static char text[300000];
    for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
        memcpy(text + i, i + 6 > sizeof(text) ? "a  " : "a||", 3);
    OK(yg_trace_query_parse(yg_str_n("a||a||a", 7), NULL, 0, arena, &q, &err));
    struct yg_err why = {0};
    assert_int_equal(yg_trace_query_parse(yg_str_n(text, sizeof(text)), NULL, 0, arena, &q, &why),
                     YG_EINPUT);
    assert_non_null(strstr(why.text, "512"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random, begin, end),
        cmocka_unit_test_setup_teardown(test_conditions, begin, end),
        cmocka_unit_test_setup_teardown(test_ends, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals, begin, end),
        cmocka_unit_test_setup_teardown(test_very_many_operators, begin, end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
