// SPDX-License-Identifier: Apache-2.0
// The store's rules: resent bodies, retention, full disk and full memory, failed writes, damage,
// points beside rows.
#include "store/fsck.h"
#include "store/key_format.h"
#include "store/test/rows_common.h"

#include <errno.h>
#include <signal.h>

// A clock that the test moves while the store's threads look at it.
static int64_t moved_now(const struct yg_clock *c) {
    return __atomic_load_n(&c->fake_ns, __ATOMIC_RELAXED);
}
static struct yg_clock moved_clock(int64_t ns) {
    return (struct yg_clock){.now_ns = moved_now, .mono_ns = moved_now, .fake_ns = ns};
}
static void move_clock(struct yg_clock *c, int64_t by_ns) {
    __atomic_fetch_add(&c->fake_ns, by_ns, __ATOMIC_RELAXED);
}

// ------------------------------------------------------------ resent bodies

static yg_str digest_of(char fill, char out[YG_DIGEST_BYTES]) {
    memset(out, fill, YG_DIGEST_BYTES);
    return yg_str_n(out, YG_DIGEST_BYTES);
}

static struct yg_batch *one_row(char digest) {
    struct rng r = {51};
    struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 1, 0, 1);
    if (digest) {
        char *bytes = yg_arena_alloc(b->arena, YG_DIGEST_BYTES);
        assert_non_null(bytes);
        b->digest = digest_of(digest, bytes);
    }
    return b;
}

static bool seen(struct yg_store *store, char digest) {
    char bytes[YG_DIGEST_BYTES];
    return yg_store_resend_seen(store, digest_of(digest, bytes));
}

static void delivered(struct yg_store *store, char digest) {
    char bytes[YG_DIGEST_BYTES];
    yg_store_resend_delivered(store, digest_of(digest, bytes));
}

static void a_body_whose_answer_got_lost_is_known(void **state) {
    (void)state;
    struct fixture f = {0};
    fixture_start(&f);
    assert_false(seen(f.store, 'a'));
    assert_int_equal(append_wait(f.store, one_row('a')), YG_OK);
    assert_int_equal(append_wait(f.store, one_row('b')), YG_OK);
    assert_int_equal(append_wait(f.store, one_row(0)), YG_OK);
    assert_true(seen(f.store, 'a'));
    delivered(f.store, 'b');
    assert_false(seen(f.store, 'b')); // the same body again is a new one
    assert_false(seen(f.store, 'c'));
    assert_false(yg_store_resend_seen(f.store, YG_STR("short")));
    fixture_reopen(&f);
    assert_true(seen(f.store, 'a'));
    assert_false(seen(f.store, 'b'));
    delivered(f.store, 'a');
    fixture_reopen(&f);
    assert_false(seen(f.store, 'a'));
    fixture_end(&f);
}

static void wait_child(pid_t pid, int want_signal) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == want_signal);
}

static void digests_survive_a_kill(void **state) {
    (void)state;
    struct fixture f = {0};
    char dir[] = "/tmp/yg-t-rules-XXXXXX";
    assert_non_null(mkdtemp(dir));
    (void)snprintf(f.dir, sizeof(f.dir), "%s", dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        yg_log_level_set(YG_LOG_LEVEL_COUNT);
        f.pool = yg_pool_create(NULL);
        fixture_open(&f);
        for (char c = 'a'; c <= 'f'; c++)
            if (append_wait(f.store, one_row(c)) != YG_OK)
                _exit(1);
        delivered(f.store, 'b');
        delivered(f.store, 'd');
        (void)usleep(400000); // marks reach the log within 100 ms
        (void)raise(SIGKILL);
    }
    wait_child(pid, SIGKILL);
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    f.pool = yg_pool_create(NULL);
    fixture_open(&f);
    for (char c = 'a'; c <= 'f'; c++)
        assert_int_equal(seen(f.store, c), c != 'b' && c != 'd');
    fixture_end(&f);
}

static void digests_are_forgotten_after_fifteen_minutes(void **state) {
    (void)state;
    struct yg_clock clock = moved_clock(DAY0 + 5 * YG_NS_PER_S);
    struct fixture f = {.o = {.clock = &clock}};
    fixture_start(&f);
    assert_int_equal(append_wait(f.store, one_row('a')), YG_OK);
    move_clock(&clock, YG_RESEND_NS - YG_NS_PER_S);
    assert_true(seen(f.store, 'a'));
    move_clock(&clock, 2 * YG_NS_PER_S);
    assert_false(seen(f.store, 'a'));
    fixture_end(&f);
}

// ------------------------------------------------------------ retention

static uint32_t files_in(const char *dir) {
    uint32_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void whole_days_go_when_they_are_old(void **state) {
    (void)state;
    struct yg_clock clock = moved_clock(DAY0 + INT64_C(6) * 86400 * YG_NS_PER_S);
    struct fixture f = {.o = {.clock = &clock}};
    struct rng r = {52};
    f.o.retention_ns[YG_TRACK_LOGS] = INT64_C(3) * 86400 * YG_NS_PER_S;
    fixture_start(&f);
    struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 600, 0, 6);
    uint32_t kept = 0; // days 3, 4, 5 of the six
    const struct yg_batch_col *time = yg_batch_find(b, YG_STR(YG_COL_TIME), YG_T_I64);
    for (uint32_t k = 0; k < time->count; k++)
        kept += yg_day_of_ns(time->i64[k]) >= yg_day_of_ns(DAY0) + 3;
    assert_int_equal(append_wait(f.store, b), YG_OK);
    OK(yg_store_flush(f.store, err));
    char segments[128];
    (void)snprintf(segments, sizeof(segments), "%s/segments", f.dir);
    assert_int_equal(files_in(segments), 6);
    struct yg_snapshot *snap; // a reader keeps its files until it is done
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, all, false, &snap, err));
    yg_store_retain(f.store);
    assert_int_equal(files_in(segments), 6);
    assert_int_equal(yg_snapshot_segments(snap), 6);
    yg_snapshot_close(snap);
    assert_int_equal(files_in(segments), 3);
    struct yg_store_status st;
    yg_store_status(f.store, &st);
    assert_int_equal(st.rows[YG_TRACK_LOGS], kept);
    fixture_reopen(&f);
    yg_store_status(f.store, &st);
    assert_int_equal(st.rows[YG_TRACK_LOGS], kept);
    move_clock(&clock, INT64_C(86400) * YG_NS_PER_S);
    yg_store_retain(f.store);
    assert_int_equal(files_in(segments), 2);
    fixture_end(&f);
}

// ------------------------------------------------------------ no room

static void the_reserve_holds_the_next_log_files(void **state) {
    (void)state;
    const int64_t mib = 1 << 20;
    assert_int_equal(yg_store_disk_reserve(1000000 * mib, 0.02), 20000 * mib);
    assert_int_equal(yg_store_disk_reserve(1000 * mib, 0.02), 128 * mib); // two log files
    assert_int_equal(yg_store_disk_reserve(200 * mib, 0.02), 50 * mib);   // a quarter at most
}

static void a_full_disk_refuses_and_recovers(void **state) {
    (void)state;
    struct fixture f = {0};
    struct model m = MODEL();
    struct rng r = {53};
    fixture_start(&f);
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 5, 0, 1));
    f.store->o.disk_reserve_ratio = 1.01; // more than there is
    yg_store_check_disk(f.store);
    struct yg_store_status st;
    yg_store_status(f.store, &st);
    assert_true(st.disk_full);
    assert_int_equal(append_wait(f.store, one_row(0)), YG_EBUSY);
    model_check(&m, f.store, YG_TRACK_LOGS); // reads go on
    f.store->o.disk_reserve_ratio = 0.0001;
    yg_store_check_disk(f.store);
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 5, 0, 1));
    model_check(&m, f.store, YG_TRACK_LOGS);
    model_fini(&m);
    fixture_end(&f);
}

static _Atomic bool rename_fails;
static int odd_rename(const char *from, const char *to) {
    if (atomic_load(&rename_fails)) {
        errno = EIO;
        return -1;
    }
    return rename(from, to);
}

static void memory_that_cannot_be_written_refuses_and_loses_nothing(void **state) {
    (void)state;
    struct fixture f = {.o = {.flush_bytes = 100000, .flush_interval_ms = 3600000}};
    struct model m = MODEL();
    struct rng r = {54};
    fixture_start(&f);
    yg_file_ops.rename = odd_rename;
    atomic_store(&rename_fails, true);
    yg_rc rc = YG_OK;
    for (int i = 0; i < 2000 && rc == YG_OK; i++) {
        struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 40, 0, 1);
        struct model copy = MODEL(); // goes into the model only when it was taken
        model_add(&copy, b);
        rc = append_wait(f.store, b);
        uint32_t at = 0;
        yg_str key;
        uint64_t value;
        while (rc == YG_OK && yg_map_next(&copy.rows, &at, &key, &value)) {
            int64_t uid;
            memcpy(&uid, key.ptr, sizeof(uid));
            model_put(&m, uid, strdup((const char *)(uintptr_t)value));
        }
        model_fini(&copy);
    }
    assert_int_equal(rc, YG_EBUSY);
    struct yg_err why = {0};
    assert_int_equal(yg_store_flush(f.store, &why), YG_EIO);
    model_check(&m, f.store, YG_TRACK_LOGS);
    atomic_store(&rename_fails, false);
    OK(yg_store_flush(f.store, err));
    yg_file_ops.rename = yg_file_ops_system.rename;
    model_check(&m, f.store, YG_TRACK_LOGS);
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 40, 0, 1)); // intake goes on
    fixture_reopen(&f);
    model_check(&m, f.store, YG_TRACK_LOGS);
    model_fini(&m);
    fixture_end(&f);
}

static _Atomic bool sync_fails;
static int odd_sync(int fd) {
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static void rows_of_a_failed_sync_are_not_there(void **state) {
    (void)state;
    struct fixture f = {0};
    struct model m = MODEL();
    struct rng r = {55};
    fixture_start(&f);
    yg_file_ops.fdatasync = odd_sync;
    for (int i = 0; i < 6; i++) {
        atomic_store(&sync_fails, i % 2 == 1);
        struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 7, 0, 1);
        if (i % 2 == 0)
            store_rows(f.store, &m, b);
        else
            assert_int_equal(append_wait(f.store, b), YG_EIO);
        model_check(&m, f.store, YG_TRACK_LOGS);
    }
    atomic_store(&sync_fails, false);
    yg_file_ops.fdatasync = yg_file_ops_system.fdatasync;
    fixture_reopen(&f);
    model_check(&m, f.store, YG_TRACK_LOGS);
    model_fini(&m);
    fixture_end(&f);
}

void yg_mem_test_fail_at(int64_t n); // base/mem.c: for tests

// The n-th limited allocation fails, for every n: an answer, and nothing is lost.
static void no_memory_is_an_answer(void **state) {
    (void)state;
    struct fixture f = {.o = {.flush_interval_ms = 3600000, .seal_interval_ms = 3600000}};
    struct model m = MODEL();
    struct rng r = {57};
    fixture_start(&f);
    uint32_t refused = 0, flushes_refused = 0;
    for (int64_t n = 1; n < 40; n++) {
        struct yg_snapshot *snap;
        struct yg_time_range all = {INT64_MIN, INT64_MAX};
        struct yg_err why = {0};
        store_rows(f.store, &m, random_batch(&r, YG_TRACK_SPANS, 3, 0, 1));
        yg_mem_test_fail_at(n);
        yg_rc rc = yg_snapshot_open(f.store, YG_TRACK_SPANS, all, true, &snap, &why);
        yg_mem_test_fail_at(0);
        if (rc == YG_OK)
            yg_snapshot_close(snap);
        else
            assert_int_equal(rc, YG_ENOMEM);
        refused += rc != YG_OK;
        yg_mem_test_fail_at(n * 3);
        rc = yg_store_flush(f.store, &why);
        yg_mem_test_fail_at(0);
        if (rc != YG_OK)
            assert_int_equal(rc, YG_ENOMEM);
        flushes_refused += rc != YG_OK;
        if (n % 10 == 0)
            model_check(&m, f.store, YG_TRACK_SPANS);
    }
    assert_true(refused > 0 && flushes_refused > 0);
    model_check(&m, f.store, YG_TRACK_SPANS);
    fixture_reopen(&f);
    model_check(&m, f.store, YG_TRACK_SPANS);
    model_fini(&m);
    fixture_end(&f);
}

// ------------------------------------------------------------ damage

static void a_damaged_file_is_named_and_the_rest_is_read(void **state) {
    (void)state;
    struct fixture f = {0};
    struct rng r = {56};
    char path[192], dir[128];
    fixture_start(&f);
    assert_int_equal(append_wait(f.store, random_batch(&r, YG_TRACK_LOGS, 400, 0, 2)), YG_OK);
    fixture_reopen(&f);
    (void)snprintf(dir, sizeof(dir), "%s/segments", f.dir);
    (void)snprintf(path, sizeof(path), "%s/logs-20000-%016x.seg", dir, 1u);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    char bytes[512];
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 200), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] ^= 0x55;
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 200), sizeof(bytes));
    (void)close(fd);
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, all, true, &snap, err));
    assert_int_equal(yg_snapshot_segments(snap), 2);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    uint32_t refused = 0, read = 0;
    for (uint32_t s = 0; s < 2; s++) {
        struct yg_block *b;
        yg_str name;
        enum yg_type type;
        OK(yg_snapshot_block(snap, s, 0, arena, &b, err));
        for (uint32_t i = 0; b->ops->column_at(b, i, &name, &type); i++) {
            const struct yg_vec *v[YG_TYPE_COUNT];
            uint32_t n;
            struct yg_err why = {0};
            if (b->ops->columns(b, name, v, &n, &why) == YG_OK) {
                read++;
                continue;
            }
            refused++;
            assert_int_equal(why.rc, YG_ECORRUPT);
            assert_non_null(strstr(why.text, path));
            assert_non_null(strstr(why.text, "granule 0"));
            assert_non_null(strstr(why.text, "byte "));
        }
    }
    assert_true(refused >= 1 && refused <= 8 && read > 10);
    yg_snapshot_close(snap);
    struct yg_store_status st;
    yg_store_status(f.store, &st);
    assert_int_equal(st.damaged_chunks, refused);
    fixture_end(&f);
}

static void a_damaged_catalogue_is_an_error(void **state) {
    (void)state;
    struct fixture f = {0};
    char path[128];
    fixture_start(&f);
    assert_int_equal(append_wait(f.store, one_row(0)), YG_OK);
    yg_store_close(f.store);
    (void)snprintf(path, sizeof(path), "%s/catalog.db", f.dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    char zeros[100] = {1, 2, 3};
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
    (void)close(fd);
    struct yg_err err = {0};
    assert_int_equal(yg_store_open(&f.o, &f.store, &err), YG_ECORRUPT);
    assert_non_null(strstr(err.text, "catalog.db"));
    yg_pool_destroy(f.pool);
    remove_tree(f.dir);
}

// Bytes of the catalogue changed in turn: an error that names it, or what can be read is right;
// and with the catalogue put back nothing is missing, whatever was done in between.
static void a_damaged_catalogue_never_costs_rows(void **state) {
    (void)state;
    struct fixture f = {.o = {.trace_idle_ms = 3600000}};
    struct model m = MODEL();
    struct rng r = {58};
    char path[128];
    fixture_start(&f);
    for (int i = 0; i < 3; i++) {
        store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 5, 0, 2));
        OK(yg_store_flush(f.store, err));
    }
    yg_store_close(f.store);
    (void)snprintf(path, sizeof(path), "%s/catalog.db", f.dir);
    YG_AUTO(yg_buf) good = YG_BUF(YG_MEM_BASE, 16u << 20);
    OK(yg_file_read_all(path, &good, err));
    for (size_t at = rng_below(&r, 200); at < good.len; at += 1 + rng_below(&r, 500)) {
        struct yg_err why = {0};
        good.ptr[at] ^= 0x21;
        OK(yg_file_replace(path, yg_buf_str(&good), err));
        good.ptr[at] ^= 0x21;
        yg_rc rc = yg_store_open(&f.o, &f.store, &why);
        if (rc == YG_OK) {
            struct yg_snapshot *snap;
            struct yg_store_status st;
            struct yg_time_range all = {INT64_MIN, INT64_MAX};
            OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, all, true, &snap, err));
            uint32_t rows = model_check_snapshot(&m, snap); // no row wrong, none twice
            yg_snapshot_close(snap);
            yg_store_status(f.store, &st);
            assert_true(rows == m.rows.len || st.damaged_chunks > 0);
            yg_store_close(f.store);
        } else {
            assert_non_null(strstr(why.text, f.dir));
        }
        OK(yg_file_replace(path, yg_buf_str(&good), err));
        char aside[160];
        (void)snprintf(aside, sizeof(aside), "%s-wal", path);
        (void)unlink(aside);
        fixture_open(&f);
        model_check(&m, f.store, YG_TRACK_LOGS);
        yg_store_close(f.store);
        yg_buf_reset(&good);
        OK(yg_file_read_all(path, &good, err));
    }
    fixture_open(&f);
    model_fini(&m);
    fixture_end(&f);
}

static void files_without_their_catalogue_are_left_alone(void **state) {
    (void)state;
    struct fixture f = {0};
    char path[128], segments[128];
    fixture_start(&f);
    assert_int_equal(append_wait(f.store, one_row(0)), YG_OK);
    yg_store_close(f.store);
    (void)snprintf(path, sizeof(path), "%s/catalog.db", f.dir);
    (void)snprintf(segments, sizeof(segments), "%s/segments", f.dir);
    assert_int_equal(unlink(path), 0);
    struct yg_err err = {0};
    assert_int_equal(yg_store_open(&f.o, &f.store, &err), YG_ECORRUPT);
    assert_non_null(strstr(err.text, segments));
    assert_int_equal(files_in(segments), 1);
    yg_pool_destroy(f.pool);
    remove_tree(f.dir);
}

// ------------------------------------------------------------ points

static struct yg_points *one_point(double value) {
    struct yg_points *p = yg_points_create(1u << 20);
    uint32_t series;
    yg_str tag = YG_STR("env:prod");
    OK(yg_points_series(p, YG_STR("test.hits"), &tag, 1, YG_STR("h"), YG_METRIC_COUNT, 10,
                        YG_STR(""), &series, err));
    OK(yg_points_add(p, series, DAY0 / YG_NS_PER_S, value, err));
    return p;
}

static yg_rc append_points_wait(struct yg_store *store, struct yg_points *take_points) {
    struct ack a;
    struct yg_err err = {0};
    yg_event_init(&a.done);
    yg_rc rc = yg_store_append_points(store, take_points, on_ack, &a, &err);
    if (rc == YG_OK) {
        yg_event_wait(&a.done);
        rc = a.rc;
    }
    yg_event_fini(&a.done);
    return rc;
}

static bool on_series(void *ctx, const struct yg_metric_series *series) {
    (void)ctx;
    (void)series;
    return true;
}
static void on_bucket(void *ctx, const struct yg_metric_bucket *bucket) {
    *(double *)ctx += bucket->sum;
}

static double sum_of_points(struct yg_store *store) {
    static const struct yg_metric_reader_ops ops = {.series = on_series, .bucket = on_bucket};
    double sum = 0;
    OK(yg_metric_read(store, YG_STR("test.hits"), NULL, DAY0 / YG_NS_PER_S - 100,
                      DAY0 / YG_NS_PER_S + 100, &ops, &sum, err));
    return sum;
}

static void points_are_counted_once(void **state) {
    (void)state;
    struct yg_clock clock = moved_clock(DAY0 + 5 * YG_NS_PER_S);
    struct fixture f = {.o = {.clock = &clock}};
    fixture_start(&f);
    double want = 0;
    for (int i = 1; i <= 12; i++) {
        assert_int_equal(append_points_wait(f.store, one_point(i)), YG_OK);
        want += i;
        assert_true(sum_of_points(f.store) == want); // NOLINT: whole numbers
        if (i % 3 == 0)
            OK(yg_store_flush(f.store, err));
        if (i % 4 == 0)
            fixture_reopen(&f);
        assert_int_equal(append_wait(f.store, one_row(0)), YG_OK);
        assert_true(sum_of_points(f.store) == want);
    }
    fixture_end(&f);
}

static void points_survive_a_kill(void **state) {
    (void)state;
    static struct yg_clock clock;
    clock = moved_clock(DAY0 + 5 * YG_NS_PER_S);
    struct fixture f = {.o = {.clock = &clock}};
    char dir[] = "/tmp/yg-t-rules-XXXXXX";
    assert_non_null(mkdtemp(dir));
    (void)snprintf(f.dir, sizeof(f.dir), "%s", dir);
    for (int round = 1; round <= 4; round++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct yg_err err;
            yg_log_level_set(YG_LOG_LEVEL_COUNT);
            f.pool = yg_pool_create(NULL);
            fixture_open(&f);
            for (int i = 0; i < 10; i++) {
                if (append_points_wait(f.store, one_point(1)) != YG_OK ||
                    append_wait(f.store, one_row(0)) != YG_OK)
                    _exit(1);
                if (i % 4 == round - 1 && yg_store_flush(f.store, &err) != YG_OK)
                    _exit(2);
            }
            (void)raise(SIGKILL);
        }
        wait_child(pid, SIGKILL);
        yg_log_level_set(YG_LOG_LEVEL_COUNT);
        f.pool = yg_pool_create(NULL);
        fixture_open(&f);
        assert_true(sum_of_points(f.store) == 10.0 * round);
        yg_store_close(f.store);
        yg_pool_destroy(f.pool);
    }
    remove_tree(dir);
}

// ------------------------------------------------------------ fsck

static void count_fault(void *ctx, const char *line) {
    (void)line;
    ++*(uint32_t *)ctx;
}

static void flip_byte(const char *path, uint64_t at) {
    char byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    (void)close(fd);
}

// Queries read a key index page by page, so nobody would meet what no query asks for.
static void fsck_reads_the_pages_of_key_indexes(void **state) {
    (void)state;
    struct fixture f = {0};
    struct model m = MODEL();
    struct rng r = {31};
    fixture_start(&f);
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_SPANS, 3000, 0, 1));
    OK(yg_store_flush(f.store, err));
    struct yg_segment *seg = yg_segment_of_file(f.store->files[YG_TRACK_SPANS].segs[0]->path);
    OK(yg_segment_load(seg, err));
    assert_true(seg->dir.keys.part_count > 0);
    const struct yg_key_part_head *h = &seg->dir.keys.parts[0].head;
    uint64_t page_at = h->offset + yg_key_table_bytes(h);
    yg_store_close(f.store);
    uint32_t faults = 0;
    struct yg_fsck_options options = {.fault = count_fault, .ctx = &faults};
    struct yg_fsck_summary sum;
    OK(yg_store_fsck(f.dir, &options, &sum, err));
    assert_int_equal(faults, 0);
    flip_byte(seg->path, page_at);
    OK(yg_store_fsck(f.dir, &options, &sum, err));
    assert_int_equal(faults, 1);
    yg_segment_unref(seg);
    fixture_open(&f);
    model_fini(&m);
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fsck_reads_the_pages_of_key_indexes),
        cmocka_unit_test(a_body_whose_answer_got_lost_is_known),
        cmocka_unit_test(digests_survive_a_kill),
        cmocka_unit_test(digests_are_forgotten_after_fifteen_minutes),
        cmocka_unit_test(whole_days_go_when_they_are_old),
        cmocka_unit_test(the_reserve_holds_the_next_log_files),
        cmocka_unit_test(a_full_disk_refuses_and_recovers),
        cmocka_unit_test(memory_that_cannot_be_written_refuses_and_loses_nothing),
        cmocka_unit_test(rows_of_a_failed_sync_are_not_there),
        cmocka_unit_test(no_memory_is_an_answer),
        cmocka_unit_test(a_damaged_file_is_named_and_the_rest_is_read),
        cmocka_unit_test(a_damaged_catalogue_is_an_error),
        cmocka_unit_test(a_damaged_catalogue_never_costs_rows),
        cmocka_unit_test(files_without_their_catalogue_are_left_alone),
        cmocka_unit_test(points_are_counted_once),
        cmocka_unit_test(points_survive_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
