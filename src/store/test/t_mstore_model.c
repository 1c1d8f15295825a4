// SPDX-License-Identifier: Apache-2.0
// The metric engine against a plain table of buckets: random series, late and repeated points,
// flushes, merges with roll-ups, restarts; every width of buckets; with and without roll-ups bit by
// bit. And files of older format versions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "store/mstore_int.h"
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

// The engine is tested without the store around it.
struct yg_mstore *yg_store_metrics(struct yg_store *store) {
    return (struct yg_mstore *)(void *)store;
}

static int64_t fake_now(const struct yg_clock *c) {
    return c->fake_ns;
}
static struct yg_clock test_clock = {.now_ns = fake_now, .mono_ns = fake_now};

static int no_sync(int fd) { // hundreds of files; their order on disk is other tests' matter
    (void)fd;
    return 0;
}

static void remove_dir(const char *dir) {
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(path);
    }
    (void)closedir(d);
    (void)rmdir(dir);
}

static struct yg_mstore *open_dir(const char *dir) {
    const struct yg_mstore_options o = {.dir = dir, .clock = &test_clock};
    struct yg_mstore *ms;
    struct yg_err err = {0};
    if (yg_mstore_open(&o, &ms, &err) != YG_OK)
        fail_msg("%s", err.text);
    ms->fan_in[0] = 4; // all levels are reached soon
    ms->fan_in[1] = ms->fan_in[2] = 3;
    return ms;
}

// splitmix64: the same numbers every time
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

// ------------------------------------------------------------ the model

#define SERIES 24u
#define BUCKETS 6000u             // 16 hours and 40 minutes
#define START UINT32_C(170000280) // a multiple of 360: a full hour
#define END (START + BUCKETS)

struct cell {
    double last, min, max, sum, count;
};
struct model {
    char dir[64];
    struct yg_mstore *ms;
    uint64_t dice;
    uint64_t sequence;
    bool odd; // values of 17 digits; then only comparisons of reads with reads make sense
    struct cell cells[SERIES][BUCKETS];
};

static uint32_t pick(struct model *m, uint32_t n) {
    return (uint32_t)(next_random(&m->dice) % n);
}

static enum yg_metric_type type_of(uint32_t series) {
    return (enum yg_metric_type)(series % YG_METRIC_TYPE_COUNT);
}

static double value_of(struct model *m, uint32_t series) {
    if (m->odd)
        return (double)(next_random(&m->dice) >> 11) * 1e-13;
    if (series % 3 == 0)
        return 42; // constant
    return pick(m, series % 5 == 0 ? 1000000 : 64) * 0.25 - 3;
}

static void note(struct cell *c, enum yg_metric_type type, double v) {
    if (type == YG_METRIC_COUNT) {
        double total = (c->count > 0 ? c->sum : 0) + v;
        *c = (struct cell){total, total, total, total, 1};
        return;
    }
    c->min = c->count > 0 && c->min < v ? c->min : v;
    c->max = c->count > 0 && c->max > v ? c->max : v;
    c->sum += v;
    c->count += 1;
    c->last = type == YG_METRIC_DISTRIBUTION ? c->sum / c->count : v;
}

static void put_point(struct model *m, struct yg_points *p, const uint32_t *ids, uint32_t series,
                      uint32_t at) {
    double v = value_of(m, series);
    int64_t ts = (int64_t)(START + at) * YG_BUCKET_S + pick(m, YG_BUCKET_S);
    assert_int_equal(yg_points_add(p, ids[series], ts, v, NULL), YG_OK);
    note(&m->cells[series][at], type_of(series), v);
}

// One round of points around `at`, then mostly a flush.
static void feed(struct model *m, uint32_t at, uint32_t span) {
    struct yg_points *p = yg_points_create((size_t)64 << 20);
    uint32_t ids[SERIES];
    for (uint32_t s = 0; s < SERIES; s++) {
        char name[16], tag[16];
        (void)snprintf(name, sizeof(name), "m%u", s % YG_METRIC_TYPE_COUNT);
        (void)snprintf(tag, sizeof(tag), "s:%02u", s);
        yg_str tags[] = {yg_str_c(tag), YG_STR("env:test")};
        assert_int_equal(yg_points_series(p, yg_str_c(name), tags, 2, YG_STR(""), type_of(s), 10,
                                          YG_STR(""), &ids[s], NULL),
                         YG_OK);
        if (s % 7 == 6 && pick(m, 8) > 0)
            continue; // seldom heard of
        for (uint32_t k = 0; k < span && at + k < BUCKETS; k++) {
            if (s % 4 == 2 && pick(m, 3) == 0)
                continue; // gaps
            put_point(m, p, ids, s, at + k);
            if (s >= 8 && s < 16 && pick(m, 4) == 0)
                put_point(m, p, ids, s, at + k); // several samples in a bucket
        }
        if (pick(m, 20) == 0 && at > 0)
            put_point(m, p, ids, s, pick(m, at)); // late, perhaps by hours
    }
    p->sequence = ++m->sequence;
    yg_mstore_apply(m->ms, p);
    if (pick(m, 5) > 0)
        assert_int_equal(yg_mstore_flush(m->ms, NULL), YG_OK);
    if (p->sequence <= yg_mstore_flushed_sequence(m->ms) && pick(m, 10) == 0)
        yg_mstore_apply(m->ms, p); // the WAL brings it once more
    yg_points_destroy(p);
}

// ------------------------------------------------------------ comparing

struct check {
    struct model *m;
    uint32_t step; // buckets
    uint32_t fields;
    uint32_t series;
    uint64_t buckets;
};

static bool on_series(void *ctx, const struct yg_metric_series *s) {
    struct check *c = ctx;
    char text[3] = {s->tags.ptr[s->tags.len - 2], s->tags.ptr[s->tags.len - 1], 0};
    c->series = (uint32_t)strtoul(text, NULL, 10);
    assert_int_equal(s->type, type_of(c->series));
    return true;
}

static bool same(double a, double b) {
    return memcmp(&a, &b, sizeof(a)) == 0;
}

// The model's node; count 0 when nothing is there.
static struct cell node_of(const struct model *m, uint32_t series, uint32_t at, uint32_t step) {
    struct cell n = {0};
    for (uint32_t i = at; i < at + step && i < BUCKETS; i++) {
        const struct cell *c = &m->cells[series][i];
        if (!(c->count > 0))
            continue;
        n.min = n.count > 0 && n.min < c->min ? n.min : c->min;
        n.max = n.count > 0 && n.max > c->max ? n.max : c->max;
        n.last = c->last;
        n.sum += c->sum;
        n.count += c->count;
    }
    if (type_of(series) == YG_METRIC_DISTRIBUTION && n.count > 0)
        n.last = n.sum / n.count;
    return n;
}

static void on_batch(void *ctx, const struct yg_metric_batch *b) {
    struct check *c = ctx;
    uint32_t k = 0;
    for (uint32_t at = 0; at < BUCKETS; at += c->step) {
        struct cell want = node_of(c->m, c->series, at, c->step);
        if (!(want.count > 0))
            continue;
        if (k == b->count || b->bucket[k] != START + at)
            fail_msg("series %u step %u: bucket %u is missing", c->series, c->step, at);
        double sum = b->sum[k], count = b->weight ? b->weight[k] : 1;
        double min = b->min ? b->min[k] : sum, max = b->max ? b->max[k] : sum;
        double last = (c->fields & YG_METRIC_LAST) == 0 ? want.last : b->last ? b->last[k] : sum;
        if (!same(sum, want.sum) || !same(count, want.count) || !same(min, want.min) ||
            !same(max, want.max) || !same(last, want.last))
            fail_msg("series %u step %u bucket %u: sum %.17g not %.17g, count %g %g, min %g %g, "
                     "max %g %g, last %g %g",
                     c->series, c->step, at, sum, want.sum, count, want.count, min, want.min, max,
                     want.max, last, want.last);
        if (type_of(c->series) == YG_METRIC_DISTRIBUTION) {
            assert_non_null(b->sketch[k]);
            double bins = 0;
            for (uint32_t i = 0; i < b->sketch[k]->len; i++)
                bins += b->sketch[k]->bins[i].count;
            assert_true(same(bins, want.count) && same(b->sketch[k]->sum, want.sum));
        }
        k++;
    }
    assert_int_equal(k, b->count);
    c->buckets += k;
}

static void on_warning(void *ctx, yg_str text) {
    (void)ctx;
    fail_msg("%.*s", YG_STR_FMT(text));
}

static const uint32_t steps[] = {1, 6, 30, 360};

static void compare(struct model *m) {
    static const struct yg_metric_reader_ops ops = {on_series, NULL, on_warning, on_batch};
    uint64_t all = 0;
    for (uint32_t s = 0; s < SERIES; s++)
        for (uint32_t i = 0; i < BUCKETS; i++)
            all += m->cells[s][i].count > 0;
    for (size_t i = 0; i < 8; i++) {
        uint32_t fields = i < 4 ? YG_MS_FIELDS_ALL : YG_MS_FIELDS_ROLLED;
        struct check c = {.m = m, .step = steps[i % 4], .fields = fields};
        for (uint32_t t = 0; t < YG_METRIC_TYPE_COUNT; t++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "m%u", t);
            const struct yg_metric_read_options o = {.from_s = (int64_t)START * YG_BUCKET_S,
                                                     .to_s = (int64_t)(END + 360) * YG_BUCKET_S,
                                                     .step_s = c.step * YG_BUCKET_S,
                                                     .fields = fields};
            assert_int_equal(yg_mstore_read(m->ms, yg_str_c(name), NULL, &o, &ops, &c, NULL),
                             YG_OK);
        }
        if (c.step == 1)
            assert_int_equal(c.buckets, all);
    }
}

struct bits {
    struct yg_buf out;
    uint32_t fields;
};

static bool bits_series(void *ctx, const struct yg_metric_series *s) {
    struct bits *b = ctx;
    yg_buf_puts(&b->out, s->tags);
    return true;
}

static void bits_batch(void *ctx, const struct yg_metric_batch *b) {
    struct bits *o = ctx;
    for (uint32_t i = 0; i < b->count; i++) {
        double v[4] = {b->sum[i], b->weight ? b->weight[i] : 1, 0, 0};
        if (o->fields != (YG_METRIC_SUM | YG_METRIC_WEIGHT)) {
            v[2] = b->min ? b->min[i] : v[0];
            v[3] = b->max ? b->max[i] : v[0];
        }
        yg_buf_put(&o->out, &b->bucket[i], sizeof(b->bucket[i]));
        yg_buf_put(&o->out, v, sizeof(v));
        if ((o->fields & YG_METRIC_SKETCH) == 0 || b->sketch == NULL || b->sketch[i] == NULL)
            continue;
        yg_sketch_encode(b->sketch[i], &o->out);
    }
}

// Windows of any place and length: roll-ups must not change a bit.
static void compare_with_points_only(struct model *m) {
    static const struct yg_metric_reader_ops ops = {bits_series, NULL, on_warning, bits_batch};
    for (uint32_t round = 0; round < 40; round++) {
        uint32_t step = steps[1 + pick(m, 3)];
        uint32_t from = pick(m, BUCKETS), to = from + pick(m, BUCKETS - from) + 1;
        char name[16];
        (void)snprintf(name, sizeof(name), "m%u", pick(m, YG_METRIC_TYPE_COUNT));
        struct bits b[2];
        for (uint32_t i = 0; i < 2; i++) {
            const struct yg_metric_read_options o = {
                .from_s = (int64_t)(START + from / step * step) * YG_BUCKET_S,
                .to_s = (int64_t)(START + (to + step) / step * step) * YG_BUCKET_S,
                .step_s = step * YG_BUCKET_S,
                .fields = round % 2 ? YG_METRIC_SUM | YG_METRIC_WEIGHT : YG_MS_FIELDS_ROLLED,
                .points_only = i == 1};
            b[i] = (struct bits){.out = YG_BUF(YG_MEM_BASE, (size_t)1 << 28), .fields = o.fields};
            assert_int_equal(yg_mstore_read(m->ms, yg_str_c(name), NULL, &o, &ops, &b[i], NULL),
                             YG_OK);
        }
        if (!yg_str_eq(yg_buf_str(&b[0].out), yg_buf_str(&b[1].out)))
            fail_msg("round %u: %s by %u from %u to %u differs with roll-ups", round, name, step,
                     from, to);
        yg_buf_fini(&b[0].out);
        yg_buf_fini(&b[1].out);
    }
}

// Windows up to now say the same whether written heads are still in memory or files are read.
static void compare_with_files(struct model *m, uint32_t at) {
    static const struct yg_metric_reader_ops ops = {bits_series, NULL, on_warning, bits_batch};
    for (uint32_t t = 0; t < YG_METRIC_TYPE_COUNT; t++) {
        uint32_t back = pick(m, pick(m, 2) ? 100 : 1500);
        const struct yg_metric_read_options o = {
            .from_s = (int64_t)(START + (at > back ? at - back : 0)) * YG_BUCKET_S,
            .to_s = (int64_t)(END + 360) * YG_BUCKET_S,
            .fields = YG_MS_FIELDS_ALL};
        char name[16];
        (void)snprintf(name, sizeof(name), "m%u", t);
        struct yg_mrecent none = {.since = UINT32_MAX}, kept = m->ms->recent;
        struct bits b[2];
        for (uint32_t i = 0; i < 2; i++) {
            b[i] = (struct bits){.out = YG_BUF(YG_MEM_BASE, (size_t)1 << 28), .fields = o.fields};
            m->ms->recent = i == 0 ? kept : none;
            assert_int_equal(yg_mstore_read(m->ms, yg_str_c(name), NULL, &o, &ops, &b[i], NULL),
                             YG_OK);
        }
        m->ms->recent = kept;
        if (!yg_str_eq(yg_buf_str(&b[0].out), yg_buf_str(&b[1].out)))
            fail_msg("%s: the last %u buckets before %u differ in files", name, back, at);
        yg_buf_fini(&b[0].out);
        yg_buf_fini(&b[1].out);
    }
}

// A damaged roll-up takes nothing from an answer: the points are there.
static void damage_roll_ups(const struct model *m) {
    for (uint32_t i = 0; i < m->ms->blocks->count; i++) {
        const struct yg_mblock *b = m->ms->blocks->blocks[i];
        int fd = open(b->path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        for (uint32_t k = 1; k < b->section_count; k++)
            for (uint32_t c = 0; c < b->sections[k].chunk_count; c += 2) {
                const struct yg_mchunk_ref *r = &b->sections[k].chunks[c];
                off_t at = (off_t)(r->offset + r->stored_bytes / 2);
                char byte;
                assert_int_equal(pread(b->fd, &byte, 1, at), 1);
                byte = (char)(byte ^ 0x20);
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
            }
        assert_int_equal(close(fd), 0);
    }
}

static bool has_level(const struct model *m, uint32_t level) {
    for (uint32_t i = 0; i < m->ms->blocks->count; i++)
        if (m->ms->blocks->blocks[i]->level >= level &&
            m->ms->blocks->blocks[i]->section_count == YG_MSECTIONS_MAX)
            return true;
    return false;
}

static void run_model(bool odd, uint64_t seed) {
    struct model *m = yg_calloc(YG_MEM_BASE, 1, sizeof(*m));
    (void)snprintf(m->dir, sizeof(m->dir), "/tmp/yg-t-mmodel-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    yg_file_ops.fsync = no_sync;
    yg_file_ops.fdatasync = no_sync;
    m->odd = odd;
    m->dice = seed;
    test_clock.fake_ns = (int64_t)END * YG_BUCKET_S * YG_NS_PER_S;
    m->ms = open_dir(m->dir);
    uint32_t at = 0, kept = 0;
    for (uint32_t round = 0; at < BUCKETS; round++) {
        uint32_t span = 6 + pick(m, 40);
        feed(m, at, span);
        at += span;
        if (!odd && round % 3 == 2)
            compare_with_files(m, at);
        kept += m->ms->recent.count;
        if (round % 60 == 59) {
            assert_int_equal(yg_mstore_flush(m->ms, NULL), YG_OK);
            yg_mstore_close(m->ms);
            m->ms = open_dir(m->dir);
        }
        if (round % 90 == 89 && !odd)
            compare(m);
    }
    assert_true(has_level(m, YG_MS_ROLLUP_LEVEL)); // else nothing was rolled up
    assert_true(kept > 0);
    if (!odd)
        compare(m);
    compare_with_points_only(m);
    assert_int_equal(yg_mstore_flush(m->ms, NULL), YG_OK);
    yg_mstore_close(m->ms);
    m->ms = open_dir(m->dir);
    if (!odd)
        compare(m);
    compare_with_points_only(m);
    assert_int_equal(atomic_load(&m->ms->damaged), 0);
    damage_roll_ups(m);
    compare_with_points_only(m);
    assert_true(atomic_load(&m->ms->damaged) > 0);
    yg_mstore_close(m->ms);
    remove_dir(m->dir);
    yg_file_ops = yg_file_ops_system;
    yg_free(YG_MEM_BASE, m);
    assert_int_equal(yg_mem_used(YG_MS_TAG), 0);
}

static void answers_are_those_of_a_plain_table(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        run_model(false, seed);
}

static void roll_ups_do_not_change_a_bit(void **state) {
    (void)state;
    run_model(true, 7);
}

// ------------------------------------------------------------ columns

static void columns_of_any_kind_come_back(void **state) {
    (void)state;
    uint64_t dice = 3;
    double v[700], out[700];
    for (uint32_t round = 0; round < 400; round++) {
        uint32_t n = 1 + (uint32_t)(next_random(&dice) % 700), kind = round % 8;
        double now = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t r = next_random(&dice);
            now += (double)(r % 1000);
            const double shapes[] = {7,
                                     now,
                                     (double)(r % 100000) / 100 - 300,
                                     i % 50 == 0 ? (double)(r >> 20) : (double)(r % 16),
                                     (double)(r >> 11) * 1e-13,
                                     i % 40 == 0 ? 0.1 + 0.2 : (double)(r % 10) / 10,
                                     (double)(i / 60 * 3),
                                     i % 97 == 0 ? -now : now};
            v[i] = shapes[kind];
        }
        YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1 << 16);
        yg_mcol_put(&b, v, n);
        size_t at = 0;
        assert_int_equal(yg_mcol_get(yg_buf_str(&b), &at, out, n, NULL), YG_OK);
        assert_int_equal(at, b.len);
        assert_memory_equal(v, out, n * sizeof(*v));
        uint32_t from = (uint32_t)(next_random(&dice) % n),
                 to = from + (uint32_t)(next_random(&dice) % (n - from + 1));
        at = 0;
        assert_int_equal(yg_mcol_get_range(yg_buf_str(&b), &at, out, n, from, to, NULL), YG_OK);
        assert_int_equal(at, b.len);
        assert_memory_equal(v + from, out, (to - from) * sizeof(*v));
        at = 0;
        assert_int_equal(yg_mcol_get_range(yg_str_n(b.ptr, b.len - 1), &at, out, n, 0, n, NULL),
                         YG_ECORRUPT);
    }
}

// ------------------------------------------------------------ files of older versions

struct dump {
    struct yg_buf text;
};

static bool dump_series(void *ctx, const struct yg_metric_series *s) {
    struct dump *d = ctx;
    yg_buf_printf(&d->text, "[%.*s] %d %u\n", YG_STR_FMT(s->tags), (int)s->type, s->interval_s);
    return true;
}

static void dump_bucket(void *ctx, const struct yg_metric_bucket *b) {
    struct dump *d = ctx;
    yg_buf_printf(&d->text, "%lld %.17g %.17g %.17g %.17g %.17g", (long long)b->ts_s, b->last,
                  b->min, b->max, b->sum, b->count);
    if (b->sketch != NULL)
        yg_buf_printf(&d->text, " n=%u p50=%.17g p99=%.17g", b->sketch->len,
                      yg_sketch_quantile(b->sketch, 0.5), yg_sketch_quantile(b->sketch, 0.99));
    yg_buf_putc(&d->text, '\n');
}

static void copy_file(const char *from, const char *to) {
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_BASE, 1 << 20);
    assert_int_equal(yg_file_read_all(from, &bytes, NULL), YG_OK);
    int fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
    (void)close(fd);
}

static void expect_golden(struct yg_mstore *ms, yg_str want) {
    static const struct yg_metric_reader_ops ops = {dump_series, dump_bucket, on_warning, NULL};
    struct dump d = {.text = YG_BUF(YG_MEM_BASE, 1 << 20)};
    static const char *const names[] = {"g", "c", "r", "d"};
    for (size_t i = 0; i < 4; i++) {
        yg_buf_printf(&d.text, "%s\n", names[i]);
        const struct yg_metric_read_options o = {.to_s = INT64_C(4000000000)};
        assert_int_equal(yg_mstore_read(ms, yg_str_c(names[i]), NULL, &o, &ops, &d, NULL), YG_OK);
    }
    assert_int_equal(atomic_load(&ms->damaged), 0);
    if (!yg_str_eq(yg_buf_str(&d.text), want))
        fail_msg("not what the files hold:\n%.*s", YG_STR_FMT(yg_buf_str(&d.text)));
    yg_buf_fini(&d.text);
}

static void read_golden(const char *folder, uint32_t version) {
    char source[512], dir[] = "/tmp/yg-t-mgolden-XXXXXX";
    (void)snprintf(source, sizeof(source), "%s/test/golden/store/%s", YG_SOURCE_DIR, folder);
    assert_non_null(mkdtemp(dir));
    DIR *d = opendir(source);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char from[1024], to[1024];
        (void)snprintf(from, sizeof(from), "%s/%s", source, e->d_name);
        (void)snprintf(to, sizeof(to), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            copy_file(from, to);
    }
    (void)closedir(d);
    test_clock.fake_ns = INT64_C(1700003600) * YG_NS_PER_S;
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/expect.txt", source);
    YG_AUTO(yg_buf) want = YG_BUF(YG_MEM_BASE, 1 << 20);
    assert_int_equal(yg_file_read_all(path, &want, NULL), YG_OK);
    struct yg_mstore *ms = open_dir(dir);
    assert_int_equal(ms->blocks->blocks[0]->version, version);
    expect_golden(ms, yg_buf_str(&want));
    yg_mstore_close(ms);
    remove_dir(dir);
}

static void files_of_every_version_are_read(void **state) {
    (void)state;
    read_golden("metrics_v1", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_of_any_kind_come_back),
        cmocka_unit_test(files_of_every_version_are_read),
        cmocka_unit_test(answers_are_those_of_a_plain_table),
        cmocka_unit_test(roll_ups_do_not_change_a_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
