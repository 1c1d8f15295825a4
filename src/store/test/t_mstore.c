// SPDX-License-Identifier: Apache-2.0
// The metric engine: what is applied is read back, over flushes, restarts, merges, damage and
// threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/mstore_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

// The engine is tested without the store around it.
struct yg_mstore *yg_store_metrics(struct yg_store *store) {
    return (struct yg_mstore *)(void *)store;
}

// ------------------------------------------------------------ helpers

static int64_t fake_now(const struct yg_clock *c) {
    return c->fake_ns;
}
static struct yg_clock test_clock = {.now_ns = fake_now, .mono_ns = fake_now};

struct fixture {
    char dir[64];
    struct yg_mstore *ms;
    uint64_t sequence;
    uint32_t series_max, per_metric_max;
    int64_t retention_ns;
    struct yg_pool *pool;
};

static void open_it(struct fixture *f) {
    const struct yg_mstore_options o = {.dir = f->dir,
                                        .clock = &test_clock,
                                        .pool = f->pool,
                                        .retention_ns = f->retention_ns,
                                        .series_max = f->series_max,
                                        .series_per_metric_max = f->per_metric_max};
    struct yg_err err = {0};
    if (yg_mstore_open(&o, &f->ms, &err) != YG_OK)
        fail_msg("%s", err.text);
}

static void reopen(struct fixture *f) {
    yg_mstore_close(f->ms);
    open_it(f);
}

static void start(struct fixture *f) {
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/yg-t-mstore-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    test_clock.fake_ns = INT64_C(1700003600) * YG_NS_PER_S;
    open_it(f);
}

static void each_file(const char *dir, void (*fn)(void *ctx, const char *path), void *ctx) {
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        char path[400];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        fn(ctx, path);
    }
    (void)closedir(d);
}

static void remove_file(void *ctx, const char *path) {
    (void)ctx;
    (void)unlink(path);
}

static void finish(struct fixture *f) {
    yg_mstore_close(f->ms);
    each_file(f->dir, remove_file, NULL);
    (void)rmdir(f->dir);
    assert_int_equal(yg_mem_used(YG_MS_TAG), 0);
}

static struct yg_points *points_new(void) {
    struct yg_points *p = yg_points_create((size_t)64 << 20);
    assert_non_null(p);
    return p;
}

static uint32_t series_in(struct yg_points *p, const char *name, const char *tags,
                          enum yg_metric_type type) {
    yg_str list[32], rest = yg_str_c(tags), tag;
    uint32_t n = 0, id;
    while (rest.len > 0 && yg_str_split(&rest, ',', &tag))
        list[n++] = tag;
    struct yg_err err = {0};
    if (yg_points_series(p, yg_str_c(name), list, n, YG_STR(""), type, 10, YG_STR(""), &id, &err) !=
        YG_OK)
        fail_msg("%s", err.text);
    return id;
}

static void add(struct yg_points *p, uint32_t series, int64_t ts, double v) {
    assert_int_equal(yg_points_add(p, series, ts, v, NULL), YG_OK);
}

static void apply(struct fixture *f, struct yg_points *p) {
    p->sequence = ++f->sequence;
    yg_mstore_apply(f->ms, p);
    yg_points_destroy(p);
}

static void apply_one(struct fixture *f, const char *name, const char *tags,
                      enum yg_metric_type type, int64_t ts, double v) {
    struct yg_points *p = points_new();
    add(p, series_in(p, name, tags, type), ts, v);
    apply(f, p);
}

static void flush(struct fixture *f) {
    struct yg_err err = {0};
    if (yg_mstore_flush(f->ms, &err) != YG_OK)
        fail_msg("%s", err.text);
    assert_int_equal(yg_mstore_flushed_sequence(f->ms), f->sequence);
}

// What a read says, as text: comparable over restarts.
struct dump {
    struct yg_buf text;
    int64_t last_ts;
    uint32_t buckets, warnings;
    double total;
};

static bool dump_series(void *ctx, const struct yg_metric_series *s) {
    struct dump *d = ctx;
    yg_buf_printf(&d->text, "[%.*s] %d %u\n", YG_STR_FMT(s->tags), (int)s->type, s->interval_s);
    d->last_ts = -1;
    return true;
}

static void dump_bucket(void *ctx, const struct yg_metric_bucket *b) {
    struct dump *d = ctx;
    assert_true(b->ts_s > d->last_ts);
    d->last_ts = b->ts_s;
    d->buckets++;
    d->total += b->sum;
    yg_buf_printf(&d->text, "%lld %.17g %.17g %.17g %.17g %.17g", (long long)b->ts_s, b->last,
                  b->min, b->max, b->sum, b->count);
    if (b->sketch != NULL)
        yg_buf_printf(&d->text, " n=%u p50=%.17g p99=%.17g", b->sketch->len,
                      yg_sketch_quantile(b->sketch, 0.5), yg_sketch_quantile(b->sketch, 0.99));
    yg_buf_putc(&d->text, '\n');
}

static void dump_warning(void *ctx, yg_str text) {
    struct dump *d = ctx;
    assert_true(text.len > 10);
    d->warnings++;
}

static const struct yg_metric_reader_ops dump_ops = {dump_series, dump_bucket, dump_warning, NULL};

static struct dump read_it(struct fixture *f, const char *name, const struct yg_node *scope,
                           int64_t from, int64_t to) {
    struct dump d = {.text = YG_BUF(YG_MEM_BASE, (size_t)64 << 20)};
    const struct yg_metric_read_options o = {.from_s = from, .to_s = to};
    assert_int_equal(yg_mstore_read(f->ms, yg_str_c(name), scope, &o, &dump_ops, &d, NULL), YG_OK);
    yg_buf_putc(&d.text, 0);
    return d;
}

static void expect(struct fixture *f, const char *name, const char *want) {
    struct dump d = read_it(f, name, NULL, 0, INT64_C(4000000000));
    assert_string_equal(d.text.ptr, want);
    yg_buf_fini(&d.text);
}

#define T0 INT64_C(1700000000)

// ------------------------------------------------------------ values

static void values_of_every_type_survive(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    struct yg_points *p = points_new();
    uint32_t g = series_in(p, "g", "b:2,a:1", YG_METRIC_GAUGE),
             c = series_in(p, "c", "a:1", YG_METRIC_COUNT);
    uint32_t r = series_in(p, "r", "", YG_METRIC_RATE),
             d = series_in(p, "d", "a:1", YG_METRIC_DISTRIBUTION);
    add(p, g, T0, 5);
    add(p, g, T0 + 3, 1.25);
    add(p, g, T0 + 10, -0.1);
    add(p, c, T0, 2);
    add(p, c, T0 + 9, 3);
    add(p, r, T0 + 20, 0.5);
    struct yg_sketch *s;
    assert_int_equal(yg_points_add_sketch(p, d, T0, &s, NULL), YG_OK);
    for (int i = 1; i <= 100; i++)
        yg_sketch_add(s, i, 1);
    apply(&f, p);
    const char *gauge = "[a:1,b:2] 0 10\n1700000000 1.25 1.25 5 6.25 2\n"
                        "1700000010 -0.10000000000000001 -0.10000000000000001 -0.10000000000000001 "
                        "-0.10000000000000001 1\n";
    const char *count = "[a:1] 1 10\n1700000000 5 5 5 5 1\n";
    for (int round = 0; round < 3; round++) {
        expect(&f, "g", gauge);
        expect(&f, "c", count);
        expect(&f, "r", "[] 2 10\n1700000020 0.5 0.5 0.5 0.5 1\n");
        struct dump sk = read_it(&f, "d", NULL, T0, T0 + 10);
        assert_non_null(strstr(sk.text.ptr, "1700000000 50.5 1 100 5050 100 n="));
        yg_buf_fini(&sk.text);
        if (round == 0)
            flush(&f);
        else
            reopen(&f);
    }
    // more of the same buckets: half in a file, half in memory
    apply_one(&f, "c", "a:1", YG_METRIC_COUNT, T0 + 1, 7);
    apply_one(&f, "g", "a:1,b:2", YG_METRIC_GAUGE, T0 + 1, 100);
    for (int round = 0; round < 3; round++) {
        expect(&f, "c", "[a:1] 1 10\n1700000000 12 12 12 12 1\n");
        struct dump d2 = read_it(&f, "g", NULL, T0, T0 + 10);
        assert_string_equal(d2.text.ptr, "[a:1,b:2] 0 10\n1700000000 100 1.25 100 106.25 3\n");
        yg_buf_fini(&d2.text);
        if (round == 0)
            flush(&f);
        else
            reopen(&f);
    }
    finish(&f);
}

static void sketches_merge_exactly(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    struct yg_sketch all = YG_SKETCH(YG_MEM_BASE);
    for (int part = 0; part < 5; part++) {
        struct yg_points *p = points_new();
        uint32_t d = series_in(p, "lat", "a:1", YG_METRIC_DISTRIBUTION);
        struct yg_sketch *s;
        assert_int_equal(yg_points_add_sketch(p, d, T0, &s, NULL), YG_OK);
        for (int i = 0; i < 200; i++) {
            yg_sketch_add(s, (part * 200 + i) * 0.37 - 20, 1);
            yg_sketch_add(&all, (part * 200 + i) * 0.37 - 20, 1);
        }
        apply(&f, p);
        if (part % 2 == 0)
            flush(&f);
    }
    char want[200];
    (void)snprintf(want, sizeof(want), "n=%u p50=%.17g p99=%.17g\n", all.len,
                   yg_sketch_quantile(&all, 0.5), yg_sketch_quantile(&all, 0.99));
    for (int round = 0; round < 2; round++) {
        struct dump d = read_it(&f, "lat", NULL, T0, T0 + 10);
        assert_non_null(strstr(d.text.ptr, want));
        assert_int_equal(d.buckets, 1);
        yg_buf_fini(&d.text);
        reopen(&f);
    }
    // 1,000 values evenly from −20 to 349.63: the true median is 164.815
    assert_true(fabs(yg_sketch_quantile(&all, 0.5) - 164.8) < 164.8 / 100);
    yg_sketch_fini(&all);
    finish(&f);
}

static void columns_read_back_bit_by_bit(void **state) {
    (void)state;
    const double sets[][6] = {{1, 1, 1, 1, 1, 1},
                              {0.1, 0.25, -3.125, 1e6, 17, 99.99},
                              {1e300, -1e-300, 3.0, 0.1 + 0.2, 1.0 / 3, 5},
                              {4503599627370495.0, -4503599627370495.0, 0, 1, 2, 3},
                              {-0.0, 0.0, 1, 2, 3, 4},
                              {123456789.123456789, 1, 2, 3, 4, 5}};
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 4096);
        yg_mcol_put(&b, sets[i], 6);
        double out[6];
        size_t at = 0;
        assert_int_equal(yg_mcol_get(yg_buf_str(&b), &at, out, 6, NULL), YG_OK);
        assert_int_equal(at, b.len);
        assert_memory_equal(out, sets[i], sizeof(out));
        for (size_t cut = 0; cut < b.len; cut++) {
            at = 0;
            assert_int_equal(yg_mcol_get(yg_str_n(b.ptr, cut), &at, out, 6, NULL), YG_ECORRUPT);
        }
    }
}

static void late_points_find_their_place(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    for (int i = 300; i > 0; i--) // newest first: far more than the head looks back
        apply_one(&f, "late", "a:1", YG_METRIC_COUNT, T0 + i * 10, 1);
    for (int i = 1; i <= 300; i++)
        apply_one(&f, "late", "a:1", YG_METRIC_COUNT, T0 + i * 10, i);
    for (int round = 0; round < 3; round++) {
        struct dump d = read_it(&f, "late", NULL, 0, T0 + 100000);
        assert_int_equal(d.buckets, 300);
        assert_true(d.total >= 300 + 300 * 301 / 2 && d.total <= 300 + 300 * 301 / 2);
        yg_buf_fini(&d.text);
        if (round == 0)
            flush(&f);
        else
            reopen(&f);
    }
    struct dump d = read_it(&f, "late", NULL, T0 + 20, T0 + 40); // half open
    assert_int_equal(d.buckets, 2);
    yg_buf_fini(&d.text);
    finish(&f);
}

// ------------------------------------------------------------ scopes

static struct yg_node *leaf(struct yg_arena *a, enum yg_node_kind kind, const char *key,
                            const char *text) {
    struct yg_node *n = YG_NEW(a, struct yg_node);
    n->kind = kind;
    n->field = (struct yg_field){YG_FIELD_TAG, yg_str_c(key)};
    n->text = yg_str_c(text);
    return n;
}

static struct yg_node *node2(struct yg_arena *a, enum yg_node_kind kind, struct yg_node *x,
                             struct yg_node *y) {
    struct yg_node *n = YG_NEW(a, struct yg_node);
    n->kind = kind;
    n->children = YG_NEW_N(a, struct yg_node *, 2);
    n->children[0] = x;
    n->children[1] = y;
    n->child_count = y ? 2 : 1;
    return n;
}

static void scopes_match_tags(void **state) {
    (void)state;
    YG_AUTO_ARENA a = yg_arena_create(YG_MEM_BASE, 1 << 20);
    yg_str tags = YG_STR("bare,device:/dev/loop0,env:prod,service:web-canary,service:web2");
    const struct {
        enum yg_node_kind kind;
        const char *key, *text;
        bool want;
    } rows[] = {{YG_NODE_TERM, "env", "prod", true},
                {YG_NODE_TERM, "env", "pro", false},
                {YG_NODE_TERM, "env", "prod2", false},
                {YG_NODE_TERM, "en", "v:prod", false},
                {YG_NODE_TERM, "service", "web2", true},
                {YG_NODE_TERM, "", "bare", true},
                {YG_NODE_TERM, "", "env", false},
                {YG_NODE_TERM, "", "env:prod", true},
                {YG_NODE_GLOB, "device", "/dev/loop\x01", true},
                {YG_NODE_GLOB, "service", "\x01-canary", true},
                {YG_NODE_GLOB, "service",
                 "\x01"
                 "b-c"
                 "\x01",
                 true},
                {YG_NODE_GLOB, "service",
                 "\x01"
                 "bc"
                 "\x01",
                 false},
                {YG_NODE_GLOB, "env",
                 "pr\x02"
                 "d",
                 true},
                {YG_NODE_GLOB, "env", "\x01\x01", true},
                {YG_NODE_EXISTS, "env", "", true},
                {YG_NODE_EXISTS, "team", "", false},
                {YG_NODE_NONE, "", "", false},
                {YG_NODE_ALL, "", "", true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct yg_node *n = leaf(a, rows[i].kind, rows[i].key, rows[i].text);
        if (yg_tags_match(n, tags) != rows[i].want)
            fail_msg("row %zu: %s:%s", i, rows[i].key, rows[i].text);
        assert_int_equal(yg_tags_match(node2(a, YG_NODE_NOT, n, NULL), tags), !rows[i].want);
    }
    struct yg_node *yes = leaf(a, YG_NODE_TERM, "env", "prod"),
                   *no = leaf(a, YG_NODE_TERM, "env", "dev");
    assert_false(yg_tags_match(node2(a, YG_NODE_AND, yes, no), tags));
    assert_true(yg_tags_match(node2(a, YG_NODE_OR, no, yes), tags));
    assert_true(yg_tags_match(NULL, YG_STR("")));
    assert_false(yg_tags_match(yes, YG_STR("")));
}

static void filters_choose_series(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    struct yg_points *p = points_new();
    for (int i = 0; i < 200; i++) {
        char tags[64];
        (void)snprintf(tags, sizeof(tags), "env:%s,host:h%d", i % 2 ? "prod" : "dev", i);
        add(p, series_in(p, "load", tags, YG_METRIC_GAUGE), T0, i);
        if (i < 3)
            add(p, series_in(p, "other", tags, YG_METRIC_GAUGE), T0, i);
    }
    apply(&f, p);
    YG_AUTO_ARENA a = yg_arena_create(YG_MEM_BASE, 1 << 20);
    struct yg_node *host = leaf(a, YG_NODE_TERM, "host", "h7"),
                   *prod = leaf(a, YG_NODE_TERM, "env", "prod");
    struct yg_node *dev = leaf(a, YG_NODE_TERM, "env", "dev"),
                   *none = leaf(a, YG_NODE_TERM, "env", "x");
    const struct {
        const char *name;
        struct yg_node *scope;
        uint32_t want;
    } rows[] = {{"load", NULL, 200},
                {"load", host, 1},
                {"load", prod, 100},
                {"load", node2(a, YG_NODE_AND, prod, host), 1},
                {"load", node2(a, YG_NODE_AND, dev, host), 0},
                {"load", node2(a, YG_NODE_OR, dev, host), 101},
                {"load", node2(a, YG_NODE_NOT, dev, NULL), 100},
                {"load", node2(a, YG_NODE_AND, node2(a, YG_NODE_NOT, dev, NULL), prod), 100},
                {"load", none, 0},
                {"other", host, 0},
                {"other", dev, 2},
                {"missing", NULL, 0}};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct dump d = read_it(&f, rows[i].name, rows[i].scope, 0, T0 + 10);
            if (d.buckets != rows[i].want)
                fail_msg("row %zu: %u series, not %u", i, d.buckets, rows[i].want);
            yg_buf_fini(&d.text);
        }
        if (round == 0)
            flush(&f);
        else
            reopen(&f);
    }
    finish(&f);
}

// ------------------------------------------------------------ files

static void count_block(void *ctx, const char *path) {
    *(uint32_t *)ctx += strstr(path, ".ygm") != NULL;
}

static void merges_keep_everything(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    for (int i = 0; i < 70; i++) {
        struct yg_points *p = points_new();
        for (int s = 0; s < 20; s++) {
            char tags[32];
            (void)snprintf(tags, sizeof(tags), "n:%d", (s * 7 + i) % 30);
            add(p, series_in(p, s % 2 ? "m.odd" : "m.even", tags, YG_METRIC_COUNT), T0 + i * 3,
                s + 0.5);
        }
        apply(&f, p);
        if (i == 35) { // what is in memory only would be lost by a restart here: files first
            flush(&f);
            reopen(&f);
        } else {
            flush(&f);
        }
    }
    uint32_t files = 0;
    each_file(f.dir, count_block, &files);
    assert_in_range(files, 2, 20); // 70 = 7 × 10
    struct dump odd = read_it(&f, "m.odd", NULL, 0, T0 * 2),
                even = read_it(&f, "m.even", NULL, 0, T0 * 2);
    double want_odd = 0, want_even = 0;
    for (int s = 0; s < 20; s++)
        *(s % 2 ? &want_odd : &want_even) += 70 * (s + 0.5);
    assert_true(fabs(odd.total - want_odd) < 1e-9);
    assert_true(fabs(even.total - want_even) < 1e-9);
    reopen(&f);
    struct dump again = read_it(&f, "m.odd", NULL, 0, T0 * 2);
    assert_string_equal(odd.text.ptr, again.text.ptr);
    yg_buf_fini(&odd.text);
    yg_buf_fini(&even.text);
    yg_buf_fini(&again.text);
    finish(&f);
}

static void sources_of_a_merge_do_not_count_twice(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    char keep[64] = "/tmp/yg-t-mstore-keep-XXXXXX", path[400] = "";
    int fd = mkstemp(keep);
    assert_true(fd >= 0);
    (void)close(fd);
    for (int i = 0; i < 10; i++) {
        apply_one(&f, "x", "a:1", YG_METRIC_COUNT, T0, 1);
        if (i == 0) {
            flush(&f);
            (void)snprintf(path, sizeof(path), "%s/" YG_MBLOCK_NAME, f.dir, 1ull, 1ull);
            (void)unlink(keep);
            assert_int_equal(link(path, keep), 0);
        }
        flush(&f);
    }
    assert_int_not_equal(access(path, F_OK), 0); // merged away
    assert_int_equal(rename(keep, path), 0);     // as if the process had died before removing it
    reopen(&f);
    expect(&f, "x", "[a:1] 1 10\n1700000000 10 10 10 10 1\n");
    assert_int_not_equal(access(path, F_OK), 0);
    finish(&f);
}

static void replay_is_ignored(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    apply_one(&f, "x", "", YG_METRIC_COUNT, T0, 1);
    apply_one(&f, "x", "", YG_METRIC_COUNT, T0, 1);
    flush(&f);
    apply_one(&f, "x", "", YG_METRIC_COUNT, T0, 1);
    reopen(&f); // the third is lost from memory …
    assert_int_equal(yg_mstore_flushed_sequence(f.ms), 2);
    f.sequence = 0; // … and the WAL brings all three
    for (int i = 0; i < 3; i++)
        apply_one(&f, "x", "", YG_METRIC_COUNT, T0, 1);
    expect(&f, "x", "[] 1 10\n1700000000 3 3 3 3 1\n");
    finish(&f);
}

static int fail_fsync(int fd) {
    (void)fd;
    errno = EIO;
    return -1;
}
static int fail_rename(const char *a, const char *b) {
    (void)a;
    (void)b;
    errno = ENOSPC;
    return -1;
}
static ssize_t fail_write(int fd, const void *p, size_t n) {
    (void)fd;
    (void)p;
    (void)n;
    errno = ENOSPC;
    return -1;
}
static ssize_t fail_pwrite(int fd, const void *p, size_t n, off_t at) {
    (void)at;
    return fail_write(fd, p, n);
}

static void a_failed_flush_is_made_good(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    for (int step = 0; step < 5; step++) {
        char tags[16];
        (void)snprintf(tags, sizeof(tags), "s:%d", step);
        apply_one(&f, "x", tags, YG_METRIC_COUNT, T0, 1);
        switch (step) {
        case 0:
            yg_file_ops.fsync = fail_fsync;
            break;
        case 1:
            yg_file_ops.rename = fail_rename;
            break;
        case 2:
            yg_file_ops.write = fail_write;
            break;
        case 3:
            yg_file_ops.pwrite = fail_pwrite;
            break;
        case 4:
            yg_file_ops.fdatasync = fail_fsync;
            break;
        default:
            break;
        }
        struct yg_err err = {0};
        assert_int_equal(yg_mstore_flush(f.ms, &err), YG_EIO);
        assert_true(strlen(err.text) > 10);
        assert_true(yg_mstore_head_bytes(f.ms) > 0); // still there, still counted
        yg_file_ops = yg_file_ops_system;
        apply_one(&f, "x", "s:more", YG_METRIC_COUNT, T0, 1);
        struct dump d = read_it(&f, "x", NULL, 0, T0 + 10);
        assert_true(d.total > 2 * step + 1.5 && d.total < 2 * step + 2.5);
        yg_buf_fini(&d.text);
        flush(&f);
        assert_int_equal(yg_mstore_head_bytes(f.ms), 0);
        reopen(&f);
        d = read_it(&f, "x", NULL, 0, T0 + 10);
        assert_true(d.total > 2 * step + 1.5 && d.total < 2 * step + 2.5);
        yg_buf_fini(&d.text);
    }
    finish(&f);
}

struct flip {
    struct fixture *f;
    const char *want;
    uint32_t flips, damaged;
};

static void flip_file(void *ctx, const char *path) {
    struct flip *fl = ctx;
    YG_AUTO(yg_buf) good = YG_BUF(YG_MEM_BASE, 1 << 20);
    assert_int_equal(yg_file_read_all(path, &good, NULL), YG_OK);
    for (size_t i = 0; i < good.len; i++) {
        int fd = open(path, O_WRONLY);
        char bad = (char)(good.ptr[i] ^ (1 << (i % 8)));
        assert_int_equal(pwrite(fd, &bad, 1, (off_t)i), 1);
        reopen(fl->f);
        struct dump d = read_it(fl->f, "x", NULL, 0, T0 + 1000);
        bool told = atomic_load(&fl->f->ms->damaged) > 0;
        fl->flips++;
        fl->damaged += told;
        if (strcmp(d.text.ptr, fl->want) != 0 && !told)
            fail_msg("%s byte %zu: wrong data, nothing told:\n%s", path, i, d.text.ptr);
        yg_buf_fini(&d.text);
        assert_int_equal(pwrite(fd, &good.ptr[i], 1, (off_t)i), 1);
        (void)close(fd);
    }
}

static void every_flipped_byte_is_noticed(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    for (int i = 0; i < 10; i++) {
        apply_one(&f, "x", i % 2 ? "a:1" : "a:2", YG_METRIC_COUNT, T0 + i * 10, i);
        apply_one(&f, "y", "a:1", YG_METRIC_GAUGE, T0 + i * 10, i);
    }
    flush(&f);
    struct dump d = read_it(&f, "x", NULL, 0, T0 + 1000);
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    struct flip fl = {.f = &f, .want = d.text.ptr};
    each_file(f.dir, flip_file, &fl);
    assert_true(fl.flips > 300);
    assert_true(fl.damaged > fl.flips * 9 / 10);
    reopen(&f);
    assert_int_equal(atomic_load(&f.ms->damaged), 0);
    yg_log_level_set(YG_LOG_INFO);
    yg_buf_fini(&d.text);
    finish(&f);
}

static void a_torn_series_log_loses_nothing_published(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    apply_one(&f, "x", "a:1", YG_METRIC_COUNT, T0, 1);
    flush(&f);
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/series.ygs", f.dir);
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "\x10\0\0\0\xff\xff\0\0torn", 12), 12);
    (void)close(fd);
    reopen(&f);
    apply_one(&f, "x", "a:2", YG_METRIC_COUNT, T0, 2);
    flush(&f);
    reopen(&f);
    expect(&f, "x", "[a:1] 1 10\n1700000000 1 1 1 1 1\n[a:2] 1 10\n1700000000 2 2 2 2 1\n");
    finish(&f);
}

// ------------------------------------------------------------ limits, retention, names

static void cardinality_is_limited_and_counted(void **state) {
    (void)state;
    struct fixture f = {.series_max = 10, .per_metric_max = 6};
    start(&f);
    int64_t before = atomic_load(&f.ms->reg.refused_total->value),
            before_m = atomic_load(&f.ms->reg.refused_metric->value);
    struct yg_points *p = points_new();
    for (int i = 0; i < 8; i++) {
        char tags[16];
        (void)snprintf(tags, sizeof(tags), "i:%d", i);
        add(p, series_in(p, "a", tags, YG_METRIC_COUNT), T0, 1);
        add(p, series_in(p, "b", tags, YG_METRIC_COUNT), T0, 1);
    }
    apply(&f, p);
    assert_int_equal(yg_mstore_series_count(f.ms), 10);
    assert_int_equal(atomic_load(&f.ms->reg.refused_total->value) - before, 6);
    assert_int_equal(atomic_load(&f.ms->reg.refused_metric->value) - before_m, 0);
    struct dump d = read_it(&f, "a", NULL, 0, T0 + 10);
    assert_int_equal(d.buckets, 5);
    yg_buf_fini(&d.text);
    finish(&f);

    struct fixture g = {.series_max = 100, .per_metric_max = 6};
    start(&g);
    before_m = atomic_load(&g.ms->reg.refused_metric->value);
    for (int i = 0; i < 8; i++) {
        char tags[16];
        (void)snprintf(tags, sizeof(tags), "i:%d", i);
        apply_one(&g, "a", tags, YG_METRIC_COUNT, T0, 1);
    }
    assert_int_equal(atomic_load(&g.ms->reg.refused_metric->value) - before_m, 2);
    finish(&g);
}

// The limit is on what was heard of within a day; what is older is kept, up to four times as many.
static void quiet_series_make_room(void **state) {
    (void)state;
    struct fixture f = {.series_max = 10};
    start(&f);
    for (int day = 0; day < 6; day++) {
        test_clock.fake_ns = (T0 + day * INT64_C(90000)) * YG_NS_PER_S;
        yg_mstore_retain(f.ms);
        for (int i = 0; i < 12; i++) {
            char tags[32];
            (void)snprintf(tags, sizeof(tags), "d:%d,i:%d", day, i);
            apply_one(&f, "a", tags, YG_METRIC_COUNT, T0 + day * INT64_C(90000), 1);
        }
        assert_int_equal(yg_mstore_series_count(f.ms), day < 4 ? 10 * (day + 1) : 40);
        flush(&f);
        reopen(&f);
    }
    finish(&f);
}

static void bad_values_are_refused(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    apply_one(&f, "x", "", YG_METRIC_GAUGE, -5, 1);
    apply_one(&f, "x", "", YG_METRIC_GAUGE, INT64_MAX, 1);
    apply_one(&f, "x", "", YG_METRIC_GAUGE, T0, (double)NAN);
    apply_one(&f, "x", "", YG_METRIC_GAUGE, T0, (double)INFINITY);
    expect(&f, "x", "");
    flush(&f);
    finish(&f);
}

static void retention_drops_blocks_and_series(void **state) {
    (void)state;
    struct fixture f = {.retention_ns = INT64_C(3600) * YG_NS_PER_S};
    start(&f);
    apply_one(&f, "old", "a:1", YG_METRIC_COUNT, T0, 1);
    flush(&f);
    apply_one(&f, "x", "a:1", YG_METRIC_COUNT, T0 + 3000, 1);
    apply_one(&f, "x", "a:old", YG_METRIC_COUNT, T0, 1);
    flush(&f);
    test_clock.fake_ns = (T0 + 5000) * YG_NS_PER_S;
    yg_mstore_retain(f.ms);
    assert_int_equal(f.ms->blocks->count, 1);
    assert_int_equal(yg_mstore_series_count(f.ms), 1);
    expect(&f, "old", "");
    apply_one(&f, "old", "a:1", YG_METRIC_COUNT, T0 + 4990, 2); // it comes back as a new series
    expect(&f, "old", "[a:1] 1 10\n1700004990 2 2 2 2 1\n");
    flush(&f);
    reopen(&f);
    expect(&f, "old", "[a:1] 1 10\n1700004990 2 2 2 2 1\n");
    finish(&f);
}

struct name_list {
    char text[256];
};
static bool see_name(void *ctx, const struct yg_metric_info *info) {
    struct name_list *l = ctx;
    size_t n = strlen(l->text);
    (void)snprintf(l->text + n, sizeof(l->text) - n, "%.*s:%d:%u:%lld ", YG_STR_FMT(info->name),
                   (int)info->type, info->series_count, (long long)info->last_s);
    return true;
}
static bool see_tags(void *ctx, yg_str metric, yg_str tags) {
    struct name_list *l = ctx;
    size_t n = strlen(l->text);
    (void)snprintf(l->text + n, sizeof(l->text) - n, "%.*s{%.*s} ", YG_STR_FMT(metric),
                   YG_STR_FMT(tags));
    return true;
}

static void names_and_tags_are_listed(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    apply_one(&f, "b", "a:1", YG_METRIC_COUNT, T0, 1);
    apply_one(&f, "a.x", "a:1", YG_METRIC_GAUGE, T0 + 100, 1);
    apply_one(&f, "a.x", "a:2", YG_METRIC_GAUGE, T0 + 50, 1);
    for (int round = 0; round < 2; round++) {
        struct name_list l = {0};
        yg_mstore_names(f.ms, 0, see_name, &l);
        assert_string_equal(l.text, "a.x:0:2:1700000100 b:1:1:1700000000 ");
        l = (struct name_list){0};
        yg_mstore_names(f.ms, T0 + 60, see_name, &l);
        assert_string_equal(l.text, "a.x:0:2:1700000100 ");
        l = (struct name_list){0};
        yg_mstore_tags(f.ms, NULL, T0 + 60, see_tags, &l);
        assert_string_equal(l.text, "a.x{a:1} ");
        struct yg_metric_info info;
        assert_int_equal(yg_mstore_info(f.ms, YG_STR("b"), &info, NULL), YG_OK);
        assert_int_equal(info.interval_s, 10);
        assert_int_equal(yg_mstore_info(f.ms, YG_STR("nope"), &info, NULL), YG_ENOTFOUND);
        flush(&f);
        reopen(&f);
    }
    finish(&f);
}

// Ids grow with churn and are never used twice: what is gone must not cost memory.
static void ids_far_apart_cost_little(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    apply_one(&f, "x", "a:1", YG_METRIC_COUNT, T0, 1);
    yg_mreg_reserve(&f.ms->reg, 50000000, 1);
    int64_t before = yg_mem_used(YG_MS_TAG);
    apply_one(&f, "x", "a:2", YG_METRIC_COUNT, T0, 2);
    assert_true(yg_mem_used(YG_MS_TAG) - before < 4 << 20);
    for (int round = 0; round < 2; round++) {
        expect(&f, "x", "[a:1] 1 10\n1700000000 1 1 1 1 1\n[a:2] 1 10\n1700000000 2 2 2 2 1\n");
        flush(&f);
        reopen(&f);
    }
    assert_int_equal(f.ms->reg.series_len, 50000001);
    assert_true(yg_mem_used(YG_MS_TAG) < 4 << 20);
    finish(&f);
}

// ------------------------------------------------------------ threads

struct race {
    struct fixture f;
    _Atomic bool done;
    _Atomic uint32_t reads;
};

static void race_reader(void *arg) {
    struct race *r = arg;
    double before = 0;
    while (!atomic_load(&r->done)) {
        struct dump d = read_it(&r->f, "race", NULL, 0, T0 + 100000);
        // every batch adds 1 to each of ten series: a torn batch would not be a multiple of ten
        assert_true(fabs(fmod(d.total, 10)) < 1e-9);
        assert_true(d.total >= before);
        before = d.total;
        r->reads++;
        yg_buf_fini(&d.text);
        usleep(500);
    }
}

static void readers_and_writer_agree(void **state) {
    (void)state;
    static struct race r;
    r.f.pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    start(&r.f);
    struct yg_thread t[2];
    yg_thread_start(&t[0], "reader0", race_reader, &r);
    yg_thread_start(&t[1], "reader1", race_reader, &r);
    for (int i = 0; i < 400; i++) {
        struct yg_points *p = points_new();
        for (int s = 0; s < 10; s++) {
            char tags[16];
            (void)snprintf(tags, sizeof(tags), "s:%d", s + (i / 40) * 10);
            add(p, series_in(p, "race", tags, YG_METRIC_COUNT), T0 + i, 1);
        }
        apply(&r.f, p);
        if (i % 15 == 0)
            flush(&r.f);
    }
    atomic_store(&r.done, true);
    yg_thread_join(&t[0]);
    yg_thread_join(&t[1]);
    struct dump d = read_it(&r.f, "race", NULL, 0, T0 + 100000);
    assert_true(d.total > 3999.5 && d.total < 4000.5);
    assert_true(r.reads > 0);
    yg_buf_fini(&d.text);
    finish(&r.f);
    yg_pool_destroy(r.f.pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_type_survive),
        cmocka_unit_test(sketches_merge_exactly),
        cmocka_unit_test(columns_read_back_bit_by_bit),
        cmocka_unit_test(late_points_find_their_place),
        cmocka_unit_test(scopes_match_tags),
        cmocka_unit_test(filters_choose_series),
        cmocka_unit_test(merges_keep_everything),
        cmocka_unit_test(sources_of_a_merge_do_not_count_twice),
        cmocka_unit_test(replay_is_ignored),
        cmocka_unit_test(a_failed_flush_is_made_good),
        cmocka_unit_test(every_flipped_byte_is_noticed),
        cmocka_unit_test(a_torn_series_log_loses_nothing_published),
        cmocka_unit_test(cardinality_is_limited_and_counted),
        cmocka_unit_test(quiet_series_make_room),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(retention_drops_blocks_and_series),
        cmocka_unit_test(names_and_tags_are_listed),
        cmocka_unit_test(ids_far_apart_cost_little),
        cmocka_unit_test(readers_and_writer_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
