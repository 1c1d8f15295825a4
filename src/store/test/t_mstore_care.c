// SPDX-License-Identifier: Apache-2.0
// The metric engine when things go wrong: refused points are counted, room is made, a merge that
// fails or dies at any of its file operations loses and doubles nothing, damage is found.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "store/mstore_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

// The engine is tested without the store around it.
struct yg_mstore *yg_store_metrics(struct yg_store *store) {
    return (struct yg_mstore *)(void *)store;
}

static int64_t fake_now(const struct yg_clock *c) {
    return c->fake_ns;
}
static struct yg_clock test_clock = {.now_ns = fake_now, .mono_ns = fake_now};

#define T0 INT64_C(1700002800) // a full hour

struct fixture {
    char dir[64];
    struct yg_mstore *ms;
    uint64_t sequence;
    uint32_t series_max, per_metric_max;
};

static void open_it(struct fixture *f) {
    const struct yg_mstore_options o = {.dir = f->dir,
                                        .clock = &test_clock,
                                        .series_max = f->series_max,
                                        .series_per_metric_max = f->per_metric_max};
    struct yg_err err = {0};
    if (yg_mstore_open(&o, &f->ms, &err) != YG_OK)
        fail_msg("%s", err.text);
    f->ms->fan_in[0] = 4;
    f->ms->fan_in[1] = f->ms->fan_in[2] = 1000; // one level only, unless a test says otherwise
}

static void start(struct fixture *f) {
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/yg-t-mcare-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    test_clock.fake_ns = (T0 + 3600) * YG_NS_PER_S;
    open_it(f);
}

static void each_file(const char *dir, void (*fn)(void *ctx, const char *path), void *ctx) {
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
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

// Points of one series of every type at a time, applied as one batch.
static void feed(struct fixture *f, const char *tag, int64_t ts_s, uint32_t points) {
    struct yg_points *p = yg_points_create((size_t)16 << 20);
    static const char *const names[] = {"g", "c", "r", "d"};
    for (uint32_t t = 0; t < YG_METRIC_TYPE_COUNT; t++) {
        yg_str tags[] = {yg_str_c(tag)};
        uint32_t id;
        assert_int_equal(yg_points_series(p, yg_str_c(names[t]), tags, 1, YG_STR(""),
                                          (enum yg_metric_type)t, 10, YG_STR(""), &id, NULL),
                         YG_OK);
        for (uint32_t i = 0; i < points; i++) {
            int64_t at = ts_s + i * YG_BUCKET_S;
            assert_int_equal(yg_points_add(p, id, at, i * 0.5, NULL), YG_OK);
            if (i % 3 == 1)
                assert_int_equal(yg_points_add(p, id, at + 1, i * 0.25, NULL), YG_OK);
        }
    }
    p->sequence = ++f->sequence;
    yg_mstore_apply(f->ms, p);
    yg_points_destroy(p);
}

static void flush(struct fixture *f) {
    struct yg_err err = {0};
    if (yg_mstore_flush(f->ms, &err) != YG_OK)
        fail_msg("%s", err.text);
}

// ------------------------------------------------------------ what is there

struct dump {
    struct yg_buf text;
    uint32_t warnings;
};

static bool dump_series(void *ctx, const struct yg_metric_series *s) {
    yg_buf_printf(&((struct dump *)ctx)->text, "[%.*s]\n", YG_STR_FMT(s->tags));
    return true;
}

static void dump_bucket(void *ctx, const struct yg_metric_bucket *b) {
    yg_buf_printf(&((struct dump *)ctx)->text, "%lld %g %g %g %g %g %u\n", (long long)b->ts_s,
                  b->last, b->min, b->max, b->sum, b->count, b->sketch ? b->sketch->len : 0);
}

static void dump_warning(void *ctx, yg_str text) {
    assert_true(text.len > 10);
    ((struct dump *)ctx)->warnings++;
}

static struct dump read_all(struct fixture *f, uint32_t step_s) {
    static const struct yg_metric_reader_ops ops = {dump_series, dump_bucket, dump_warning, NULL};
    static const char *const names[] = {"g", "c", "r", "d"};
    struct dump d = {.text = YG_BUF(YG_MEM_BASE, (size_t)16 << 20)};
    for (size_t i = 0; i < 4; i++) {
        const struct yg_metric_read_options o = {
            .to_s = INT64_C(3600) * 1000000, .step_s = step_s, .fields = YG_MS_FIELDS_ROLLED};
        assert_int_equal(yg_mstore_read(f->ms, yg_str_c(names[i]), NULL, &o, &ops, &d, NULL),
                         YG_OK);
    }
    yg_buf_putc(&d.text, 0);
    return d;
}

static void expect(struct fixture *f, const struct dump *want) {
    struct dump d = read_all(f, 10);
    assert_string_equal(d.text.ptr, want->text.ptr);
    assert_int_equal(d.warnings, 0);
    yg_buf_fini(&d.text);
}

// ------------------------------------------------------------ failing merges

static int countdown = -1; // file operations before one fails; −1 = never
static bool die;           // instead of failing

static bool fails(void) {
    if (countdown < 0 || countdown-- > 0)
        return false;
    if (die)
        _exit(77);
    errno = EIO;
    return true;
}
static ssize_t bad_write(int fd, const void *p, size_t n) {
    return fails() ? -1 : write(fd, p, n);
}
static ssize_t bad_pwrite(int fd, const void *p, size_t n, off_t at) {
    return fails() ? -1 : pwrite(fd, p, n, at);
}
static ssize_t bad_pread(int fd, void *p, size_t n, off_t at) {
    return fails() ? -1 : pread(fd, p, n, at);
}
static int bad_fsync(int fd) {
    return fails() ? -1 : fsync(fd);
}
static int bad_rename(const char *from, const char *to) {
    return fails() ? -1 : rename(from, to);
}

static void break_files(int after, bool by_death) {
    countdown = after;
    die = by_death;
    yg_file_ops = (struct yg_file_ops){.write = bad_write,
                                       .pwrite = bad_pwrite,
                                       .pread = bad_pread,
                                       .fdatasync = bad_fsync,
                                       .fsync = bad_fsync,
                                       .rename = bad_rename};
}

static void mend_files(void) {
    countdown = -1;
    yg_file_ops = yg_file_ops_system;
}

// Three flushed files and a head: the next flush writes the fourth and merges them.
static struct dump prepare(struct fixture *f) {
    start(f);
    for (int i = 0; i < 4; i++) {
        feed(f, "a:1", T0 + i * 200, 20);
        feed(f, "a:2", T0 + i * 100, 20); // overlaps
        if (i < 3)
            flush(f);
    }
    return read_all(f, 10);
}

static void a_merge_may_fail_anywhere(void **state) {
    (void)state;
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    bool through = false;
    for (int at = 0; !through; at++) {
        assert_true(at < 200);
        struct fixture f = {0};
        struct dump want = prepare(&f);
        break_files(at, false);
        (void)!yg_mstore_flush(f.ms, NULL);
        through = countdown >= 0; // nothing failed any more
        mend_files();
        expect(&f, &want);
        flush(&f);
        expect(&f, &want);
        yg_mstore_close(f.ms);
        open_it(&f);
        expect(&f, &want);
        yg_buf_fini(&want.text);
        finish(&f);
    }
    yg_log_level_set(YG_LOG_INFO);
}

static void a_merge_may_die_anywhere(void **state) {
    (void)state;
    bool through = false;
    for (int at = 0; !through; at++) {
        assert_true(at < 200);
        struct fixture f = {0};
        struct dump want = prepare(&f);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            break_files(at, true);
            (void)!yg_mstore_flush(f.ms, NULL);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        through = WEXITSTATUS(status) == 0;
        yg_mstore_close(f.ms);
        open_it(&f);
        if (yg_mstore_flushed_sequence(f.ms) < f.sequence) { // the WAL brings what is in no file
            assert_int_equal(yg_mstore_flushed_sequence(f.ms), f.sequence - 2);
            f.sequence -= 2;
            feed(&f, "a:1", T0 + 600, 20);
            feed(&f, "a:2", T0 + 300, 20);
        }
        expect(&f, &want);
        flush(&f);
        expect(&f, &want);
        yg_buf_fini(&want.text);
        finish(&f);
    }
}

// ------------------------------------------------------------ damage

static void path_of_largest(void *ctx, const char *path) {
    if (strstr(path, ".ygm") != NULL)
        (void)snprintf(ctx, 512, "%s", path);
}

// A file with every kind of run and with roll-ups: each byte in turn.
static void a_flipped_byte_is_told_or_harmless(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    f.ms->fan_in[0] = 2;
    f.ms->fan_in[1] = f.ms->fan_in[2] = 2;
    for (int i = 0; i < 8; i++) {
        feed(&f, "a:1", T0 + i * 300, 7);
        flush(&f);
    }
    assert_int_equal(f.ms->blocks->count, 1);
    assert_int_equal(f.ms->blocks->blocks[0]->section_count, YG_MSECTIONS_MAX);
    struct dump want = read_all(&f, 10), wide = read_all(&f, 300), hours = read_all(&f, 3600);
    yg_mstore_close(f.ms);
    char path[512] = "";
    each_file(f.dir, path_of_largest, path);
    YG_AUTO(yg_buf) good = YG_BUF(YG_MEM_BASE, 1 << 20);
    assert_int_equal(yg_file_read_all(path, &good, NULL), YG_OK);
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    uint32_t told = 0;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    for (size_t i = 0; i < good.len; i++) {
        char bad = (char)(good.ptr[i] ^ (1 << (i % 8)));
        assert_int_equal(pwrite(fd, &bad, 1, (off_t)i), 1);
        open_it(&f);
        struct dump d = read_all(&f, 10), w = read_all(&f, 300), h = read_all(&f, 3600);
        bool same = strcmp(d.text.ptr, want.text.ptr) == 0 &&
                    strcmp(w.text.ptr, wide.text.ptr) == 0 &&
                    strcmp(h.text.ptr, hours.text.ptr) == 0;
        bool noticed = atomic_load(&f.ms->damaged) > 0;
        if (!same && !noticed)
            fail_msg("byte %zu: wrong data, nothing told", i);
        told += noticed;
        yg_buf_fini(&d.text);
        yg_buf_fini(&w.text);
        yg_buf_fini(&h.text);
        yg_mstore_close(f.ms);
        assert_int_equal(pwrite(fd, &good.ptr[i], 1, (off_t)i), 1);
    }
    (void)close(fd);
    assert_true(told > good.len * 9 / 10);
    yg_log_level_set(YG_LOG_INFO);
    yg_buf_fini(&want.text);
    yg_buf_fini(&wide.text);
    yg_buf_fini(&hours.text);
    open_it(&f);
    finish(&f);
}

// ------------------------------------------------------------ limits and room

static int64_t counter(const char *name, const char *tags) {
    return atomic_load(&yg_counter_get(YG_COUNTER, name, tags)->value);
}

static void refused_points_are_counted_by_metric(void **state) {
    (void)state;
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    struct fixture f = {.series_max = 100, .per_metric_max = 2};
    start(&f);
    int64_t before = counter("yagura.metrics.refused", "reason:series_per_metric_max"),
            of_g = counter("yagura.metrics.refused_by_metric", "metric:g");
    feed(&f, "a:1", T0, 1);
    feed(&f, "a:2", T0, 1);
    for (int i = 0; i < 3; i++)
        feed(&f, "a:3", T0, 6); // a metric: 6 points and 2 second samples
    assert_int_equal(counter("yagura.metrics.refused", "reason:series_per_metric_max") - before,
                     3 * 4 * 8);
    assert_int_equal(counter("yagura.metrics.refused_by_metric", "metric:g") - of_g, 3 * 8);
    feed(&f, "a:1", T0 + 10, 1); // what is known goes on
    assert_int_equal(yg_mstore_series_count(f.ms), 8);
    finish(&f);

    struct fixture g = {.series_max = 4};
    start(&g);
    before = counter("yagura.metrics.refused", "reason:series_max");
    feed(&g, "a:1", T0, 1);
    feed(&g, "a:2", T0, 1);
    assert_int_equal(counter("yagura.metrics.refused", "reason:series_max") - before, 4);
    struct yg_points *p = yg_points_create(1 << 20); // its own figures have a room beside
    uint32_t id;
    assert_int_equal(yg_points_series(p, YG_STR("yagura.rows"), NULL, 0, YG_STR(""),
                                      YG_METRIC_GAUGE, 10, YG_STR(""), &id, NULL),
                     YG_OK);
    assert_int_equal(yg_points_add(p, id, T0, 1, NULL), YG_OK);
    yg_mstore_apply(g.ms, p);
    yg_points_destroy(p);
    assert_int_equal(yg_mstore_series_count(g.ms), 5);
    assert_int_equal(counter("yagura.metrics.refused", "reason:series_max") - before, 4);
    finish(&g);
    yg_log_level_set(YG_LOG_INFO);
}

static void the_oldest_days_make_room(void **state) {
    (void)state;
    struct fixture f = {0};
    start(&f);
    // Two days apart, so that none are merged.
    int32_t day, first = (int32_t)(T0 / 86400);
    assert_false(yg_mstore_oldest_day(f.ms, &day));
    for (int i = 0; i < 3; i++) {
        test_clock.fake_ns = (T0 + i * INT64_C(172800) + 3600) * YG_NS_PER_S;
        feed(&f, "a:1", T0 + i * INT64_C(172800), 2);
        flush(&f);
    }
    assert_true(yg_mstore_oldest_day(f.ms, &day));
    assert_int_equal(day, first);
    uint64_t bytes = yg_mstore_file_bytes(f.ms);
    yg_mstore_drop_before(f.ms, first + 2);
    assert_int_equal(f.ms->blocks->count, 2);
    assert_true(yg_mstore_file_bytes(f.ms) < bytes);
    assert_true(yg_mstore_oldest_day(f.ms, &day));
    assert_int_equal(day, first + 2);
    yg_mstore_drop_before(f.ms, first + 100); // all but the newest
    assert_int_equal(f.ms->blocks->count, 1);
    assert_false(yg_mstore_oldest_day(f.ms, &day));
    yg_mstore_close(f.ms);
    open_it(&f);
    assert_int_equal(yg_mstore_flushed_sequence(f.ms), f.sequence);
    finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_merge_may_fail_anywhere),
        cmocka_unit_test(a_merge_may_die_anywhere),
        cmocka_unit_test(a_flipped_byte_is_told_or_harmless),
        cmocka_unit_test(refused_points_are_counted_by_metric),
        cmocka_unit_test(the_oldest_days_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
