// SPDX-License-Identifier: Apache-2.0
// Crashes: a child process stores rows and dies, at every file operation in turn or by SIGKILL at
// any moment. Afterwards every acknowledged row is there once, and nothing else but the one batch
// that was on its way, whole or not at all.
#include "store/test/rows_common.h"

#include <signal.h>

#define BATCHES_MAX 4000u

static _Atomic int ops_left; // the process ends when they are used up
static void count_op(void) {
    if (atomic_fetch_sub(&ops_left, 1) == 1)
        _exit(7);
}
static ssize_t op_write(int fd, const void *p, size_t n) {
    count_op();
    return write(fd, p, n);
}
static ssize_t op_pwrite(int fd, const void *p, size_t n, off_t at) {
    count_op();
    return pwrite(fd, p, n, at);
}
static int op_fdatasync(int fd) {
    count_op();
    return fdatasync(fd);
}
static int op_fsync(int fd) {
    count_op();
    return fsync(fd);
}
static int op_rename(const char *from, const char *to) {
    count_op();
    return rename(from, to);
}

struct plan {
    const char *dir;
    uint64_t seed;    // batch i is the same in parent and child
    uint32_t first;   // batch to begin with
    uint32_t batches; // how many
    uint32_t rows_max;
    uint32_t flush_every; // 0 = only by itself
    int ops;              // 0 = no limit
    bool busy;            // flush all the time in the background
    bool close;
};

// Batch i of a plan: its rows' "@uid" are i × 1,000 + n.
static struct yg_batch *plan_batch(const struct plan *p, uint32_t i) {
    struct rng r = {p->seed + i * 7919u};
    next_uid = 1 + (int64_t)i * 1000;
    bool spans = i % 2 == 1; // of one hour: the reach of late spans
    return random_batch(&r, spans ? YG_TRACK_SPANS : YG_TRACK_LOGS, 1 + rng_below(&r, p->rows_max),
                        0, spans ? 1 : 2);
}

static void child(const struct plan *p, int pipe_fd) {
    struct yg_err err = {0};
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    struct yg_store_options o = {
        .dir = p->dir,
        .clock = &yg_clock_system,
        .pool = yg_pool_create(NULL),
        .shard_count = 2,
        .flush_interval_ms = p->busy ? 20 : 3600000,
        .seal_interval_ms = p->busy ? 10 : 1000,
        .trace_idle_ms = p->busy ? 15 : 3600000,
    };
    struct yg_store *store;
    if (p->ops) {
        atomic_store(&ops_left, p->ops);
        yg_file_ops =
            (struct yg_file_ops){op_write, op_pwrite, pread, op_fdatasync, op_fsync, op_rename};
    }
    if (yg_store_open(&o, &store, &err) != YG_OK)
        _exit(3);
    for (uint32_t i = p->first; i < p->first + p->batches; i++) {
        if (append_wait(store, plan_batch(p, i)) != YG_OK)
            _exit(4);
        if (write(pipe_fd, &i, sizeof(i)) != (ssize_t)sizeof(i))
            _exit(5);
        if (p->flush_every && i % p->flush_every == p->flush_every - 1 &&
            yg_store_flush(store, &err) != YG_OK)
            _exit(6);
    }
    while (p->busy)
        (void)pause(); // files are being written meanwhile
    if (p->close)
        yg_store_close(store);
    _exit(0);
}

// Runs the plan; kills it after kill_us (0 = lets it end). *ret_acked: batches acknowledged.
static int run(const struct plan *p, unsigned kill_us, uint32_t *ret_acked) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(fds[0]);
        child(p, fds[1]);
    }
    (void)close(fds[1]);
    if (kill_us) {
        (void)usleep(kill_us);
        (void)kill(pid, SIGKILL);
    }
    uint32_t i;
    *ret_acked = p->first;
    while (read(fds[0], &i, sizeof(i)) == (ssize_t)sizeof(i)) {
        assert_int_equal(i, *ret_acked);
        ++*ret_acked;
    }
    (void)close(fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

// ------------------------------------------------------------ checking

struct books {
    struct model m[YG_TRACK_COUNT];
    bool stored[BATCHES_MAX];
    uint32_t known; // batches decided so far
};

static void books_add(struct books *k, const struct plan *p, uint32_t i) {
    struct yg_batch *b = plan_batch(p, i);
    model_add(&k->m[b->track], b);
    k->stored[i] = true;
    yg_batch_destroy(b);
}

// Spans per trace, from the traces track and from the spans themselves: the same.
static void check_traces(struct yg_store *store) {
    struct yg_map spans = YG_MAP(YG_MEM_BASE, true);
    for (int pass = 0; pass < 2; pass++) {
        struct yg_snapshot *snap;
        struct yg_time_range all = {INT64_MIN, INT64_MAX};
        uint32_t rows = 0;
        OK(yg_snapshot_open(store, pass ? YG_TRACK_TRACES : YG_TRACK_SPANS, all, true, &snap, err));
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
        for (uint32_t s = 0; s < yg_snapshot_segments(snap); s++) {
            struct yg_segment_info info;
            yg_snapshot_segment(snap, s, &info);
            for (uint32_t g = 0; g < info.granule_count; g++) {
                struct yg_block *b;
                const struct yg_vec *id[YG_TYPE_COUNT], *count[YG_TYPE_COUNT];
                uint32_t n, m;
                yg_arena_reset(arena);
                OK(yg_snapshot_block(snap, s, g, arena, &b, err));
                OK(b->ops->columns(b, YG_STR(YG_COL_TRACE_ID), id, &n, err));
                OK(b->ops->columns(b, YG_STR("@span_count"), count, &m, err));
                for (uint32_t r = 0; r < b->row_count; r++) {
                    if (n == 0 || !yg_vec_has(id[0], r) || (b->live && !yg_bits_get(b->live, r)))
                        continue;
                    yg_str key = yg_str_n((const char *)&id[0]->ids[r], sizeof(yg_id128));
                    if (pass == 0) {
                        ++*yg_map_put(&spans, key, NULL);
                        continue;
                    }
                    const uint64_t *want = yg_map_get(&spans, key);
                    assert_non_null(want);
                    assert_int_equal(count[0]->i64[r], *want);
                    rows++;
                }
            }
        }
        yg_snapshot_close(snap);
        if (pass)
            assert_int_equal(rows, spans.len);
    }
    yg_map_fini(&spans);
}

static void check_after(struct books *k, const struct plan *p, uint32_t acked) {
    struct fixture f = {.o = {.trace_idle_ms = 3600000}};
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    (void)snprintf(f.dir, sizeof(f.dir), "%s", p->dir);
    f.pool = yg_pool_create(NULL);
    fixture_open(&f);
    for (; k->known < acked; k->known++)
        books_add(k, p, k->known);
    // The one on its way: whole or not at all.
    struct yg_batch *b = plan_batch(p, acked);
    if (holds(f.store, b->track, 1 + (int64_t)acked * 1000))
        books_add(k, p, acked);
    yg_batch_destroy(b);
    k->known = acked + 1;
    model_check(&k->m[YG_TRACK_LOGS], f.store, YG_TRACK_LOGS);
    model_check(&k->m[YG_TRACK_SPANS], f.store, YG_TRACK_SPANS);
    check_traces(f.store);
    struct yg_store_status st;
    yg_store_status(f.store, &st);
    assert_int_equal(st.damaged_chunks, 0);
    yg_store_close(f.store);
    yg_pool_destroy(f.pool);
}

static struct books *books_open(void) {
    struct books *k = calloc(1, sizeof(*k));
    assert_non_null(k);
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        k->m[t] = MODEL();
    return k;
}

static void books_close(struct books *k) {
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        model_fini(&k->m[t]);
    free(k);
}

// ------------------------------------------------------------ tests

static void death_at_every_file_operation(void **state) {
    (void)state;
    int ended = 0;
    for (int ops = 1; ended == 0 && ops < 400; ops++) {
        char dir[] = "/tmp/yg-t-crash-XXXXXX";
        assert_non_null(mkdtemp(dir));
        struct plan p = {.dir = dir,
                         .seed = 31,
                         .batches = 6,
                         .rows_max = 20,
                         .flush_every = 3,
                         .ops = ops,
                         .close = true};
        struct books *k = books_open();
        uint32_t acked;
        int status = run(&p, 0, &acked);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 7 || WEXITSTATUS(status) == 0);
        ended = WEXITSTATUS(status) == 0; // all operations were survived
        check_after(k, &p, acked);
        // And a second life in the same folder ends well.
        struct plan more = p;
        more.first = k->known;
        more.ops = 0;
        assert_int_equal(run(&more, 0, &acked), 0);
        assert_int_equal(acked, more.first + more.batches);
        check_after(k, &more, acked);
        books_close(k);
        remove_tree(dir);
    }
    assert_int_equal(ended, 1);
}

static void sigkill_at_any_moment(void **state) {
    (void)state;
    char dir[] = "/tmp/yg-t-crash-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct books *k = books_open();
    struct rng r = {32};
    for (int round = 0; round < 14; round++) {
        struct plan p = {.dir = dir,
                         .seed = 33,
                         .first = k->known,
                         .batches = 150,
                         .rows_max = 60,
                         .busy = true};
        uint32_t acked;
        int status = run(&p, 60000 + rng_below(&r, 400000), &acked);
        assert_true(WIFSIGNALED(status));
        assert_true(acked < BATCHES_MAX - 1);
        check_after(k, &p, acked);
    }
    books_close(k);
    remove_tree(dir);
}

static void copy_files(const char *from, const char *to) {
    OK(yg_file_mkdirs(to, err));
    DIR *d = opendir(from);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char a[4096], b[4096];
        YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_BASE, 256u << 20);
        if (e->d_name[0] == '.')
            continue;
        int n = snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
        int m = snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
        assert_true(n > 0 && (size_t)n < sizeof(a) && m > 0 && (size_t)m < sizeof(b));
        OK(yg_file_read_all(a, &bytes, err));
        OK(yg_file_replace(b, yg_buf_str(&bytes), err));
    }
    (void)closedir(d);
}

// Published, but the log's files are still there, as a crash between the two leaves them.
static void frames_that_are_in_files_already_are_skipped(void **state) {
    (void)state;
    struct fixture f = {.o = {.trace_idle_ms = 3600000}};
    struct model m = MODEL();
    struct rng r = {34};
    char wal[128], saved[128];
    fixture_start(&f);
    (void)snprintf(wal, sizeof(wal), "%s/wal", f.dir);
    (void)snprintf(saved, sizeof(saved), "%s/saved", f.dir);
    for (int i = 0; i < 5; i++)
        store_rows(f.store, &m, random_batch(&r, YG_TRACK_SPANS, 50, 0, 1));
    copy_files(wal, saved);
    yg_store_close(f.store); // files written, log released
    copy_files(saved, wal);
    fixture_open(&f);
    model_check(&m, f.store, YG_TRACK_SPANS);
    check_traces(f.store);
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_SPANS, 50, 0, 1));
    fixture_reopen(&f);
    model_check(&m, f.store, YG_TRACK_SPANS);
    check_traces(f.store);
    model_fini(&m);
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_that_are_in_files_already_are_skipped),
        cmocka_unit_test(death_at_every_file_operation),
        cmocka_unit_test(sigkill_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
