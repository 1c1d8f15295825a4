// SPDX-License-Identifier: Apache-2.0
// Faults: every file operation of the store and of its catalogue fails in turn, and every limited
// allocation. Rows whose append succeeded are there once, those that were refused are not, while
// the process lives and after it was started again; and when the fault is over, work goes on.
#include "store/test/rows_common.h"

#include <errno.h>
#include <sqlite3.h>

#define BATCHES 6u
#define ROWS_MAX 30u
#define STEPS_MAX 600

enum fault { // what the n-th operation does
    FAULT_NONE,
    FAULT_EIO,        // fails once
    FAULT_EIO_FOR_15, // and so do those after it
    FAULT_ENOSPC_FOR_15,
    FAULT_SHORT, // writes and reads half
    FAULT_COUNT
};
static const int fault_length[FAULT_COUNT] = {0, 1, 15, 15, 1};

static enum fault fault;
static _Atomic bool db_syncs_fail; // what SQLite writes arrives all the same
static _Atomic int op_number;      // operations so far
static int fault_at;
static uint32_t refused_batches; // in all lives of a test: the faults were felt

// 0: go on; else errno. FAULT_SHORT halves *len instead.
static int next_op(size_t *len) {
    int n = atomic_fetch_add(&op_number, 1) + 1;
    if (fault == FAULT_NONE || n < fault_at || n >= fault_at + fault_length[fault])
        return 0;
    if (fault == FAULT_SHORT) {
        if (len && *len > 1)
            *len /= 2;
        return 0;
    }
    return fault == FAULT_ENOSPC_FOR_15 ? ENOSPC : EIO;
}

#define MAY_FAIL(len)                                                                              \
    do {                                                                                           \
        int fault_ = next_op(len);                                                                 \
        if (fault_) {                                                                              \
            errno = fault_;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

static ssize_t op_write(int fd, const void *p, size_t n) {
    MAY_FAIL(&n);
    return write(fd, p, n);
}
static ssize_t op_pwrite(int fd, const void *p, size_t n, off_t at) {
    MAY_FAIL(&n);
    return pwrite(fd, p, n, at);
}
static ssize_t op_pread(int fd, void *p, size_t n, off_t at) {
    MAY_FAIL(&n);
    return pread(fd, p, n, at);
}
static int op_fdatasync(int fd) {
    MAY_FAIL(NULL);
    return fdatasync(fd);
}
static int op_fsync(int fd) {
    MAY_FAIL(NULL);
    return fsync(fd);
}
static int op_rename(const char *from, const char *to) {
    MAY_FAIL(NULL);
    return rename(from, to);
}

// ------------------------------------------------------------ the catalogue's files

// SQLite's own file layer with the same faults in front of writing.
struct db_file {
    sqlite3_file base;
    _Alignas(8) char real[];
};
static sqlite3_vfs *real_vfs;
static sqlite3_vfs faulty_vfs;

static sqlite3_file *real_file(sqlite3_file *f) {
    return (sqlite3_file *)(void *)((struct db_file *)f)->real;
}
static int db_fault(void) {
    switch (next_op(NULL)) {
    case 0:
        return SQLITE_OK;
    case ENOSPC:
        return SQLITE_FULL;
    default:
        return SQLITE_IOERR;
    }
}
static int db_close(sqlite3_file *f) {
    return real_file(f)->pMethods->xClose(real_file(f));
}
static int db_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) {
    return real_file(f)->pMethods->xRead(real_file(f), p, n, at);
}
static int db_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
    int rc = db_fault();
    return rc ? rc : real_file(f)->pMethods->xWrite(real_file(f), p, n, at);
}
static int db_truncate(sqlite3_file *f, sqlite3_int64 size) {
    int rc = db_fault();
    return rc ? rc : real_file(f)->pMethods->xTruncate(real_file(f), size);
}
static int db_sync(sqlite3_file *f, int flags) {
    int rc = atomic_load(&db_syncs_fail) ? SQLITE_IOERR_FSYNC : db_fault();
    return rc ? rc : real_file(f)->pMethods->xSync(real_file(f), flags);
}
static int db_size(sqlite3_file *f, sqlite3_int64 *size) {
    return real_file(f)->pMethods->xFileSize(real_file(f), size);
}
static int db_lock(sqlite3_file *f, int level) {
    return real_file(f)->pMethods->xLock(real_file(f), level);
}
static int db_unlock(sqlite3_file *f, int level) {
    return real_file(f)->pMethods->xUnlock(real_file(f), level);
}
static int db_reserved(sqlite3_file *f, int *out) {
    return real_file(f)->pMethods->xCheckReservedLock(real_file(f), out);
}
static int db_control(sqlite3_file *f, int op, void *arg) {
    return real_file(f)->pMethods->xFileControl(real_file(f), op, arg);
}
static int db_sector(sqlite3_file *f) {
    return real_file(f)->pMethods->xSectorSize(real_file(f));
}
static int db_device(sqlite3_file *f) {
    return real_file(f)->pMethods->xDeviceCharacteristics(real_file(f));
}
static int db_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **pp) {
    return real_file(f)->pMethods->xShmMap(real_file(f), page, size, extend, pp);
}
static int db_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    return real_file(f)->pMethods->xShmLock(real_file(f), offset, n, flags);
}
static void db_shm_barrier(sqlite3_file *f) {
    real_file(f)->pMethods->xShmBarrier(real_file(f));
}
static int db_shm_unmap(sqlite3_file *f, int remove_it) {
    return real_file(f)->pMethods->xShmUnmap(real_file(f), remove_it);
}
static const sqlite3_io_methods db_methods = {
    2,           db_close,       db_read,      db_write,   db_truncate, db_sync,   db_size,
    db_lock,     db_unlock,      db_reserved,  db_control, db_sector,   db_device, db_shm_map,
    db_shm_lock, db_shm_barrier, db_shm_unmap, NULL,       NULL,
};

static int db_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *out) {
    (void)vfs;
    int rc = real_vfs->xOpen(real_vfs, name, real_file(f), flags, out);
    f->pMethods = rc == SQLITE_OK ? &db_methods : NULL;
    return rc;
}

static int setup(void **state) {
    (void)state;
    real_vfs = sqlite3_vfs_find(NULL);
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.szOsFile = (int)sizeof(struct db_file) + real_vfs->szOsFile;
    faulty_vfs.xOpen = db_open;
    assert_int_equal(sqlite3_vfs_register(&faulty_vfs, 1), SQLITE_OK);
    yg_file_ops =
        (struct yg_file_ops){op_write, op_pwrite, op_pread, op_fdatasync, op_fsync, op_rename};
    return 0;
}

// ------------------------------------------------------------ one life under a fault

struct life {
    struct fixture f;
    struct model m[YG_TRACK_COUNT];
    struct model refused; // rows that must not be seen
    uint32_t stored;      // batches
};

static void life_begin(struct life *l) {
    *l = (struct life){.f = {.o = {.flush_interval_ms = 3600000,
                                   .seal_interval_ms = 1000,
                                   .trace_idle_ms = 3600000,
                                   .shard_count = 2}},
                       .refused = MODEL()};
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        l->m[t] = MODEL();
    next_uid = 1;
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    (void)snprintf(l->f.dir, sizeof(l->f.dir), "/tmp/yg-t-faults-XXXXXX");
    assert_non_null(mkdtemp(l->f.dir));
    l->f.pool = yg_pool_create(NULL);
    l->f.o.dir = l->f.dir;
    l->f.o.clock = &yg_clock_system;
    l->f.o.pool = l->f.pool;
}

static void life_end(struct life *l) {
    for (int t = 0; t < YG_TRACK_COUNT; t++)
        model_fini(&l->m[t]);
    model_fini(&l->refused);
    fixture_end(&l->f);
}

// A batch and its rows as text, made before anything fails.
struct prepared {
    struct yg_batch *batch;
    enum yg_track track;
    struct model rows;
};

static struct prepared prepare(struct rng *r, uint32_t i) {
    enum yg_track track = i % 2 ? YG_TRACK_SPANS : YG_TRACK_LOGS;
    struct prepared p = {random_batch(r, track, 1 + rng_below(r, ROWS_MAX), 0, 1), track, MODEL()};
    model_add(&p.rows, p.batch);
    return p;
}

static void store_one(struct life *l, struct prepared *take) {
    bool stored = append_wait(l->f.store, take->batch) == YG_OK;
    l->stored += stored;
    refused_batches += !stored;
    uint32_t at = 0;
    yg_str key;
    uint64_t text;
    while (yg_map_next(&take->rows.rows, &at, &key, &text)) {
        struct model *to = stored ? &l->m[take->track] : &l->refused;
        *yg_map_put(&to->rows, key, NULL) = text;
    }
    yg_map_fini(&take->rows.rows);
}

static void check(struct life *l) {
    model_check(&l->m[YG_TRACK_LOGS], l->f.store, YG_TRACK_LOGS); // also: nothing that was refused
    model_check(&l->m[YG_TRACK_SPANS], l->f.store, YG_TRACK_SPANS);
}

// The store opens once the fault is over, whatever it met before.
static void open_at_last(struct life *l) {
    struct yg_err err = {0};
    if (l->f.store == NULL && yg_store_open(&l->f.o, &l->f.store, &err) != YG_OK) {
        l->f.store = NULL;
        fault = FAULT_NONE;
        yg_mem_test_fail_at(0);
        fixture_open(&l->f);
    }
}

static void work(struct life *l, struct prepared batches[BATCHES]) {
    struct yg_err err;
    open_at_last(l);
    for (uint32_t i = 0; i < BATCHES; i++) {
        store_one(l, &batches[i]);
        if (i % 3 == 2)
            (void)!yg_store_flush(l->f.store, &err); // may fail; nothing is lost by that
    }
}

static void prepare_all(struct rng *r, struct prepared batches[BATCHES]) {
    for (uint32_t i = 0; i < BATCHES; i++)
        batches[i] = prepare(r, i);
}

static void go_on_and_check(struct life *l, struct rng *r) {
    check(l);
    uint32_t before = l->stored;
    for (uint32_t i = 0; i < 2; i++) {
        struct prepared p = prepare(r, i);
        store_one(l, &p);
    }
    assert_int_equal(l->stored, before + 2); // the fault is over: everything is taken again
    OK(yg_store_flush(l->f.store, err));
    check(l);
    fixture_reopen(&l->f);
    check(l);
}

// Runs a life with the fault at operation n; false when it has fewer operations.
static bool live(enum fault kind, int n) {
    struct life l;
    struct rng r = {77};
    struct prepared batches[BATCHES];
    life_begin(&l);
    prepare_all(&r, batches);
    fault = kind;
    fault_at = n;
    atomic_store(&op_number, 0);
    work(&l, batches);
    bool reached = atomic_load(&op_number) >= n;
    fault = FAULT_NONE;
    go_on_and_check(&l, &r);
    life_end(&l);
    return reached;
}

static void every_operation(enum fault kind) {
    int n = 1;
    refused_batches = 0;
    while (n < STEPS_MAX && live(kind, n))
        n++;
    assert_in_range(n, 40, STEPS_MAX - 1); // all of them, and they were many
    assert_true(refused_batches > 0 || kind == FAULT_SHORT);
}

// ------------------------------------------------------------ a commit that seems to fail

// In a child that ends without a close: rows in two files of a day and in memory, then no sync of
// the catalogue succeeds: neither a flush nor a merge does. Their transactions may be in the log of
// SQLite all the same, whole, and count for who opens it.
static void commit_unsynced(struct life *l, struct prepared batches[BATCHES], bool merge) {
    struct yg_err err;
    l->f.o.merge_fan_in = 2;
    l->f.o.pool = yg_pool_create(NULL); // threads do not pass a fork
    if (yg_store_open(&l->f.o, &l->f.store, &err) != YG_OK)
        _exit(2);
    for (uint32_t i = 0; i < BATCHES; i++) {
        if (append_wait(l->f.store, batches[i].batch) != YG_OK)
            _exit(3);
        if ((i < 4 || merge) && i % 2 == 1 && yg_store_flush(l->f.store, &err) != YG_OK)
            _exit(4);
    }
    atomic_store(&db_syncs_fail, true);
    yg_rc rc =
        merge ? yg_store_merge_now(l->f.store, true, &err) : yg_store_flush(l->f.store, &err);
    _exit(rc == YG_OK ? 5 : 0);
}

static void unsynced(bool merge) {
    struct life l;
    struct rng r = {79};
    struct prepared batches[BATCHES];
    life_begin(&l);
    prepare_all(&r, batches);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        commit_unsynced(&l, batches, merge);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (uint32_t i = 0; i < BATCHES; i++) {
        struct model *to = &l.m[batches[i].track];
        uint32_t at = 0;
        yg_str key;
        uint64_t text;
        while (yg_map_next(&batches[i].rows.rows, &at, &key, &text))
            *yg_map_put(&to->rows, key, NULL) = text;
        yg_map_fini(&batches[i].rows.rows);
        yg_batch_destroy(batches[i].batch);
    }
    fixture_open(&l.f);
    go_on_and_check(&l, &r);
    life_end(&l);
}

static void a_flush_whose_commit_is_not_synced(void **state) {
    (void)state;
    unsynced(false);
}
static void a_merge_whose_commit_is_not_synced(void **state) {
    (void)state;
    unsynced(true);
}

// ------------------------------------------------------------ tests

static void an_operation_that_fails_once(void **state) {
    (void)state;
    every_operation(FAULT_EIO);
}
static void a_device_that_fails_for_a_while(void **state) {
    (void)state;
    every_operation(FAULT_EIO_FOR_15);
}
static void a_disk_that_is_full_for_a_while(void **state) {
    (void)state;
    every_operation(FAULT_ENOSPC_FOR_15);
}
static void writes_and_reads_that_stop_half_way(void **state) {
    (void)state;
    every_operation(FAULT_SHORT);
}

// From the n-th limited allocation on all fail, until the check.
static void memory_that_ends_at_any_allocation(void **state) {
    (void)state;
    refused_batches = 0;
    for (int64_t n = 1; n < 400; n = n < 60 ? n + 1 : n + 7) {
        struct life l;
        struct rng r = {78};
        struct prepared batches[BATCHES];
        life_begin(&l);
        prepare_all(&r, batches);
        yg_mem_test_fail_at(n);
        work(&l, batches);
        yg_mem_test_fail_at(0);
        go_on_and_check(&l, &r);
        life_end(&l);
    }
    assert_true(refused_batches > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flush_whose_commit_is_not_synced),
        cmocka_unit_test(a_merge_whose_commit_is_not_synced),
        cmocka_unit_test(an_operation_that_fails_once),
        cmocka_unit_test(a_device_that_fails_for_a_while),
        cmocka_unit_test(a_disk_that_is_full_for_a_while),
        cmocka_unit_test(writes_and_reads_that_stop_half_way),
        cmocka_unit_test(memory_that_ends_at_any_allocation),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
