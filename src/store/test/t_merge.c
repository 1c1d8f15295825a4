// SPDX-License-Identifier: Apache-2.0
// Merges: the same rows before and after, at most three writes of a row, few files; a crash at any
// file operation loses and doubles nothing; snapshots are not disturbed; damage stays where it is.
#include "store/test/rows_common.h"

#include <pthread.h>

#include "filter/filter.h"

#define MERGED (INT64_C(24) * 3600 * 1000) // quiet for a day: no merge by itself

static struct fixture small_stripes(uint32_t stripe_rows) {
    return (struct fixture){.o = {.trace_idle_ms = 3600000,
                                  .merge_quiet_ms = MERGED,
                                  .merge_stripe_rows = stripe_rows,
                                  .merge_fan_in = 4}};
}

static uint32_t file_count(struct yg_store *store) {
    struct yg_store_status st;
    yg_store_status(store, &st);
    return st.segments_file;
}

// Files in segments/ on the disk.
static uint32_t disk_count(const struct fixture *f) {
    char path[128];
    uint32_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/segments", f->dir);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += yg_str_ends(yg_str_c(e->d_name), YG_STR(".seg"));
    (void)closedir(d);
    return n;
}

static void fill(struct fixture *f, struct model *m, enum yg_track track, uint64_t seed,
                 uint32_t flushes, uint32_t rows, uint32_t wide) {
    struct rng r = {seed};
    for (uint32_t i = 0; i < flushes; i++) {
        store_rows(f->store, m, random_batch(&r, track, 1 + rng_below(&r, rows), wide, 2));
        store_rows(f->store, m, random_batch(&r, track, 1 + rng_below(&r, rows), 0, 2));
        OK(yg_store_flush(f->store, err));
    }
}

static void merges_keep_every_row(void **state) {
    (void)state;
    static const enum yg_track tracks[] = {YG_TRACK_LOGS, YG_TRACK_SPANS, YG_TRACK_EVENTS};
    struct fixture f = small_stripes(500);
    struct model m[YG_TRACK_COUNT];
    fixture_start(&f);
    for (size_t t = 0; t < 3; t++) {
        m[tracks[t]] = MODEL();
        fill(&f, &m[tracks[t]], tracks[t], 41 + t, 9, 300, t == 0 ? 3 : 0);
    }
    uint32_t before = file_count(f.store);
    for (int pass = 0; pass < 3; pass++) {
        for (size_t t = 0; t < 3; t++)
            model_check(&m[tracks[t]], f.store, tracks[t]);
        if (pass == 0)
            OK(yg_store_merge_now(f.store, true, err));
        else
            fixture_reopen(&f);
        assert_true(file_count(f.store) < before / 2);
        assert_int_equal(disk_count(&f), file_count(f.store));
    }
    for (size_t t = 0; t < 3; t++)
        model_fini(&m[tracks[t]]);
    fixture_end(&f);
}

// More names than a stripe has columns for: what stands in the rest of the inputs' stripes, and
// names that were columns there and are in the rest of the output, or the other way round.
static void rare_names_are_carried_over(void **state) {
    (void)state;
    struct fixture f = small_stripes(500);
    struct model m = MODEL();
    fixture_start(&f);
    for (uint32_t flush = 0; flush < 3; flush++) { // names 0 … 2999, 1000 … 3999, 2000 … 4999
        struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, (size_t)1 << 30);
        for (uint32_t i = 0; i < 120; i++) {
            uint32_t row;
            char name[32];
            OK(yg_batch_row(b, &row, err));
            OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + (int64_t)(i * 7 + flush), err));
            OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
            for (uint32_t k = 0; k < 50; k++) {
                uint32_t number = flush * 1000 + (i * 50 + k) % 3000;
                (void)snprintf(name, sizeof(name), "@rare.%u", number);
                if (number % 3 == 0)
                    OK(yg_batch_set_i64(b, keep(b, name), (int64_t)(i * k), err));
                else if (number % 3 == 1 || i % 2)
                    OK(yg_batch_set_str(b, keep(b, name), keep(b, name + k % 4), err));
                else
                    OK(yg_batch_set_f64(b, keep(b, name), (double)i / 3, err));
            }
        }
        store_rows(f.store, &m, b);
        OK(yg_store_flush(f.store, err));
    }
    for (int pass = 0; pass < 3; pass++) {
        model_check(&m, f.store, YG_TRACK_LOGS);
        if (pass == 0)
            OK(yg_store_merge_now(f.store, true, err));
        else
            fixture_reopen(&f);
        assert_int_equal(file_count(f.store), 1);
    }
    model_fini(&m);
    fixture_end(&f);
}

// Rows come at an even pace with a flush every few; files are merged whenever that is due.
static void a_row_is_written_at_most_three_times(void **state) {
    (void)state;
    static const struct {
        uint32_t rows_max, flushes;
    } paces[] = {{3, 260}, {400, 60}, {1500, 24}}; // trickle, fractions of a stripe, full stripes
    for (size_t k = 0; k < sizeof(paces) / sizeof(paces[0]); k++) {
        struct fixture f = small_stripes(1000);
        struct model m = MODEL();
        struct rng r = {51 + k};
        struct yg_store_status st;
        uint32_t most = 0;
        fixture_start(&f);
        for (uint32_t i = 0; i < paces[k].flushes; i++) {
            store_rows(f.store, &m,
                       random_batch(&r, YG_TRACK_LOGS, 1 + rng_below(&r, paces[k].rows_max), 0, 1));
            OK(yg_store_flush(f.store, err));
            OK(yg_store_merge_now(f.store, false, err));
            most = file_count(f.store) > most ? file_count(f.store) : most;
        }
        OK(yg_store_merge_now(f.store, true, err));
        yg_store_status(f.store, &st);
        assert_int_equal(st.rows_flushed, m.rows.len);
        assert_true(st.rows_merged >= m.rows.len);
        assert_true(st.rows_flushed + st.rows_merged <= 3 * (uint64_t)m.rows.len);
        assert_int_equal(st.rows_rewritten, 0);
        assert_true(most <= 30); // fan-in 4: 16 small files, some of level 2, one of level 3 a 16
        assert_true(st.segments_file <= 8);
        model_check(&m, f.store, YG_TRACK_LOGS);
        model_fini(&m);
        fixture_end(&f);
    }
}

// ------------------------------------------------------------ snapshots

struct reader {
    const struct model *m;
    struct yg_store *store;
    _Atomic bool stop;
    uint32_t reads;
};

static void *read_again_and_again(void *arg) {
    struct reader *r = arg;
    while (!atomic_load(&r->stop)) {
        model_check(r->m, r->store, YG_TRACK_LOGS);
        r->reads++;
    }
    return NULL;
}

static void snapshots_read_what_they_saw(void **state) {
    (void)state;
    struct fixture f = small_stripes(400);
    struct model m = MODEL();
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    fixture_start(&f);
    fill(&f, &m, YG_TRACK_LOGS, 61, 8, 200, 1);
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, all, true, &snap, err));
    uint32_t before = disk_count(&f);
    struct reader r = {.m = &m, .store = f.store};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_again_and_again, &r), 0);
    OK(yg_store_merge_now(f.store, true, err));
    atomic_store(&r.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(model_check_snapshot(&m, snap), m.rows.len); // of files that are dead by now
    assert_true(disk_count(&f) > before);
    yg_snapshot_close(snap);
    assert_int_equal(disk_count(&f), file_count(f.store));
    yg_store_retain(f.store); // the catalogue forgets them
    fixture_reopen(&f);
    model_check(&m, f.store, YG_TRACK_LOGS);
    model_fini(&m);
    fixture_end(&f);
}

// ------------------------------------------------------------ damage

static void flip(const char *path, off_t at) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char c;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x10;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    (void)close(fd);
}

static void a_damaged_file_is_left_out(void **state) {
    (void)state;
    struct fixture f = small_stripes(500);
    struct model m = MODEL();
    struct yg_store_status st;
    struct rng r = {71};
    fixture_start(&f);
    for (int i = 0; i < 5; i++) {
        store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 100, 0, 1));
        OK(yg_store_flush(f.store, err));
    }
    assert_int_equal(file_count(f.store), 5);
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s", f.store->files[YG_TRACK_LOGS].segs[2]->path);
    flip(path, 200);
    OK(yg_store_merge_now(f.store, true, err)); // ends, although it failed once
    yg_store_status(f.store, &st);
    assert_int_equal(st.segments_file, 2);
    assert_int_equal(st.segments_kept_out, 1);
    assert_int_equal(st.merge_failures, 1);
    assert_int_equal(access(path, F_OK), 0); // as it was
    assert_int_equal(disk_count(&f), 2);
    flip(path, 200); // healed by hand: everything is there
    fixture_reopen(&f);
    model_check(&m, f.store, YG_TRACK_LOGS);
    OK(yg_store_merge_now(f.store, true, err));
    assert_int_equal(file_count(f.store), 1);
    model_check(&m, f.store, YG_TRACK_LOGS);
    model_fini(&m);
    fixture_end(&f);
}

// ------------------------------------------------------------ crashes

static _Atomic int ops_left; // the process ends when they are used up; 0 = never
static void count_op(void) {
    if (atomic_fetch_sub(&ops_left, 1) == 1)
        _exit(7);
}
static ssize_t op_write(int fd, const void *p, size_t n) {
    count_op();
    return write(fd, p, n);
}
static ssize_t op_pread(int fd, void *p, size_t n, off_t at) {
    return pread(fd, p, n, at);
}
static ssize_t op_pwrite(int fd, const void *p, size_t n, off_t at) {
    count_op();
    return pwrite(fd, p, n, at);
}
static int op_sync(int fd) {
    count_op();
    return fsync(fd);
}
static int op_rename(const char *from, const char *to) {
    count_op();
    int rc = rename(from, to);
    count_op(); // and right after it
    return rc;
}

// Merges and a deletion; dies at the given file operation. Exit code 0: all were survived.
static int merging_child(struct fixture *f, int ops) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct yg_err err = {0};
        uint64_t id;
        struct yg_time_range all = {INT64_MIN, INT64_MAX};
        f->pool = yg_pool_create(NULL);
        f->o.pool = f->pool;
        f->o.dir = f->dir;
        if (yg_store_open(&f->o, &f->store, &err) != YG_OK)
            _exit(3);
        atomic_store(&ops_left, ops);
        yg_file_ops =
            (struct yg_file_ops){op_write, op_pwrite, op_pread, op_sync, op_sync, op_rename};
        if (yg_store_merge_now(f->store, true, &err) != YG_OK ||
            yg_store_delete(f->store, YG_TRACK_LOGS, all, YG_STR("service:service-3"), &id, &err) !=
                YG_OK ||
            yg_store_merge_now(f->store, true, &err) != YG_OK)
            _exit(4);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static uint32_t count_rows(struct yg_store *store, const char *query) {
    struct yg_store_status st;
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    uint32_t rows = 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, (size_t)1 << 30);
    YG_AUTO_ARENA trees = yg_arena_create(YG_MEM_QUERY, (size_t)1 << 20);
    struct yg_search_options options = {.track = YG_TRACK_LOGS};
    struct yg_node *tree;
    struct yg_filter *filter;
    OK(yg_search_parse(yg_str_c(query), &options, trees, &tree, err));
    OK(yg_filter_compile(tree, all, &filter, err));
    OK(yg_snapshot_open(store, YG_TRACK_LOGS, all, true, &snap, err));
    for (uint32_t s = 0; s < yg_snapshot_segments(snap); s++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, s, &info);
        for (uint32_t g = 0; g < info.granule_count; g++) {
            struct yg_block *b;
            uint64_t bits[YG_BITS_WORDS(YG_GRANULE_ROWS)];
            yg_arena_reset(arena);
            OK(yg_snapshot_block(snap, s, g, arena, &b, err));
            OK(yg_filter_run(filter, b, bits, err));
            rows += yg_bits_count(bits, b->row_count);
        }
    }
    yg_snapshot_close(snap);
    yg_filter_destroy(filter);
    yg_store_status(store, &st);
    assert_int_equal(st.damaged_chunks, 0);
    return rows;
}

static void death_at_every_file_operation(void **state) {
    (void)state;
    int ended = 0;
    uint32_t deleted_at = 0;
    for (int ops = 1; !ended && ops < 200; ops++) {
        struct fixture f = small_stripes(150);
        struct model m = MODEL();
        fixture_start(&f);
        fill(&f, &m, YG_TRACK_LOGS, 81, 4, 60, 0);
        uint32_t hidden = count_rows(f.store, "service:service-3");
        uint32_t all = count_rows(f.store, "");
        assert_true(hidden > 0 && hidden < all);
        yg_store_close(f.store);
        yg_pool_destroy(f.pool);
        int code = merging_child(&f, ops);
        assert_true(code == 0 || code == 7);
        ended = code == 0;
        f.pool = yg_pool_create(NULL);
        fixture_open(&f);
        uint32_t now = count_rows(f.store, "");
        assert_true(now == all || now == all - hidden); // the deletion was accepted or not
        assert_int_equal(disk_count(&f), file_count(f.store));
        if (now != all && deleted_at == 0)
            deleted_at = (uint32_t)ops;
        assert_true(deleted_at == 0 || now == all - hidden); // once accepted, always
        OK(yg_store_merge_now(f.store, true, err));
        assert_int_equal(count_rows(f.store, ""), now);
        fixture_reopen(&f);
        assert_int_equal(count_rows(f.store, ""), now);
        if (now == all)
            model_check(&m, f.store, YG_TRACK_LOGS);
        model_fini(&m);
        fixture_end(&f);
    }
    assert_true(ended);
    assert_true(deleted_at > 3);
}

// ------------------------------------------------------------ deletion

struct progress {
    struct yg_deletion_info info;
    uint32_t count;
};
static void on_deletion(void *ctx, const struct yg_deletion_info *info) {
    struct progress *p = ctx;
    if (p->count++ == 0)
        p->info = *info;
}

static void deleted_rows_are_hidden_at_once_and_then_gone(void **state) {
    (void)state;
    struct fixture f = small_stripes(200);
    struct model m = MODEL();
    struct rng r = {91};
    uint64_t id;
    fixture_start(&f);
    fill(&f, &m, YG_TRACK_LOGS, 92, 3, 150, 0);                         // in files
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 80, 0, 2)); // in memory
    uint32_t all = count_rows(f.store, ""),
             some = count_rows(f.store, "service:service-1 @small:<0");
    assert_true(some > 0);
    struct yg_snapshot *before;
    struct yg_time_range range = {INT64_MIN, INT64_MAX};
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, range, true, &before, err));
    OK(yg_store_delete(f.store, YG_TRACK_LOGS, range, YG_STR("service:service-1 @small:<0"), &id,
                       err));
    assert_int_equal(count_rows(f.store, ""), all - some);
    assert_int_equal(count_rows(f.store, "service:service-1 @small:<0"), 0);
    assert_int_equal(model_check_snapshot(&m, before), all); // opened before the order
    yg_snapshot_close(before);
    // What comes later stays, also when it matches.
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 300, 0, 2));
    uint32_t later = count_rows(f.store, "service:service-1 @small:<0");
    assert_true(later > 0);
    uint32_t now = count_rows(f.store, "");
    assert_int_equal(now, all - some + 300);
    fixture_reopen(&f); // flushed; the order is still there
    assert_int_equal(count_rows(f.store, ""), now);
    OK(yg_store_merge_now(f.store, false, err));
    assert_int_equal(count_rows(f.store, ""), now);
    struct progress p = {0};
    yg_store_deletions(f.store, on_deletion, &p);
    assert_int_equal(p.count, 1);
    assert_true(p.info.done);
    assert_int_equal(p.info.rows_removed, some);
    struct yg_store_status st;
    yg_store_status(f.store, &st);
    assert_int_equal(st.rows[YG_TRACK_LOGS], now); // physically
    fixture_reopen(&f);
    assert_int_equal(count_rows(f.store, ""), now);
    assert_int_equal(count_rows(f.store, "service:service-1 @small:<0"), later);
    model_fini(&m);
    fixture_end(&f);
}

static void a_range_is_deleted_and_nothing_beside_it(void **state) {
    (void)state;
    struct fixture f = small_stripes(200);
    struct model m = MODEL();
    uint64_t id;
    struct yg_err why = {0};
    fixture_start(&f);
    fill(&f, &m, YG_TRACK_LOGS, 95, 3, 100, 0);
    uint32_t all = count_rows(f.store, "");
    struct yg_time_range first_day = {DAY0, DAY0 + INT64_C(86400) * YG_NS_PER_S};
    OK(yg_store_delete(f.store, YG_TRACK_LOGS, first_day, YG_STR(""), &id, err));
    uint32_t now = count_rows(f.store, "");
    assert_true(now > 0 && now < all);
    struct yg_snapshot *snap;
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, first_day, true, &snap, err));
    assert_true(yg_snapshot_segments(snap) > 0);
    yg_snapshot_close(snap);
    OK(yg_store_merge_now(f.store, false, err));
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, first_day, true, &snap, err));
    assert_int_equal(yg_snapshot_segments(snap), 0); // whole files went
    yg_snapshot_close(snap);
    assert_int_equal(count_rows(f.store, ""), now);
    assert_int_equal(yg_store_delete(f.store, YG_TRACK_LOGS, first_day, YG_STR("(a"), &id, &why),
                     YG_EINPUT);
    struct yg_time_range empty = {5, 5};
    assert_int_equal(yg_store_delete(f.store, YG_TRACK_LOGS, empty, YG_STR(""), &id, &why),
                     YG_EINPUT);
    model_fini(&m);
    fixture_end(&f);
}

// ------------------------------------------------------------ retention by size

static void the_oldest_go_when_there_are_too_many_bytes(void **state) {
    (void)state;
    struct fixture f = small_stripes(200);
    struct model m = MODEL();
    struct rng r = {97};
    struct yg_store_status st;
    fixture_start(&f);
    for (uint32_t day = 0; day < 5; day++) {
        struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, (size_t)1 << 26);
        for (uint32_t i = 0; i < 200; i++) {
            uint32_t row;
            OK(yg_batch_row(b, &row, err));
            OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME),
                                DAY0 + (int64_t)day * 86400 * YG_NS_PER_S + i, err));
            OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
            OK(yg_batch_set_i64(b, YG_STR("@noise"), (int64_t)rng_next(&r), err));
        }
        store_rows(f.store, &m, b);
    }
    OK(yg_store_flush(f.store, err));
    yg_store_status(f.store, &st);
    assert_int_equal(st.segments_file, 5);
    f.store->o.retention_bytes = st.bytes_files / 2;
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, all, true, &snap, err));
    yg_store_retain(f.store);
    assert_int_equal(model_check_snapshot(&m, snap), 1000); // not broken
    yg_snapshot_close(snap);
    yg_store_status(f.store, &st);
    assert_true(st.bytes_files <= f.store->o.retention_bytes);
    assert_int_equal(st.rows[YG_TRACK_LOGS], 400);
    OK(yg_snapshot_open(f.store, YG_TRACK_LOGS, all, true, &snap, err));
    struct yg_segment_info info;
    yg_snapshot_segment(snap, yg_snapshot_segments(snap) - 1, &info);
    assert_int_equal(info.min_time_ns, DAY0 + INT64_C(3) * 86400 * YG_NS_PER_S); // the oldest went
    yg_snapshot_close(snap);
    assert_int_equal(disk_count(&f), 2);
    fixture_reopen(&f);
    assert_int_equal(count_rows(f.store, ""), 400);
    model_fini(&m);
    fixture_end(&f);
}

// Points of four days and rows of the third: the oldest go, of either kind.
static void points_and_rows_go_oldest_first(void **state) {
    (void)state;
    struct fixture f = small_stripes(200);
    struct model m = MODEL();
    fixture_start(&f);
    for (uint32_t day = 0; day < 4; day++) {
        struct yg_points *p = yg_points_create(1u << 20);
        uint32_t series;
        yg_str tag = YG_STR("env:prod");
        OK(yg_points_series(p, YG_STR("test.hits"), &tag, 1, YG_STR("h"), YG_METRIC_COUNT, 10,
                            YG_STR(""), &series, err));
        OK(yg_points_add(p, series, DAY0 / YG_NS_PER_S + (int64_t)day * 86400, 1, err));
        struct ack a;
        yg_event_init(&a.done);
        OK(yg_store_append_points(f.store, p, on_ack, &a, err));
        yg_event_wait(&a.done);
        assert_int_equal(a.rc, YG_OK);
        yg_event_fini(&a.done);
        if (day == 2) {
            struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, (size_t)1 << 26);
            uint32_t row;
            OK(yg_batch_row(b, &row, err));
            OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + INT64_C(2) * 86400 * YG_NS_PER_S,
                                err));
            OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
            store_rows(f.store, &m, b);
        }
        OK(yg_store_flush(f.store, err));
    }
    int32_t oldest, next; // two days may be one block
    assert_true(yg_mstore_oldest_day(f.store->mstore, &oldest));
    assert_true(oldest < DAY0 / YG_NS_PER_S / 86400 + 2);
    uint64_t rows_bytes = f.store->files[YG_TRACK_LOGS].segs[0]->bytes;
    uint64_t points_bytes = yg_mstore_file_bytes(f.store->mstore);
    f.store->o.retention_bytes = rows_bytes + points_bytes - 1; // one day of points is enough
    yg_store_retain(f.store);
    assert_true(yg_mstore_oldest_day(f.store->mstore, &next));
    assert_true(next > oldest);
    assert_int_equal(file_count(f.store), 1);
    f.store->o.retention_bytes = 1; // all that may go; the newest points stay
    yg_store_retain(f.store);
    assert_false(yg_mstore_oldest_day(f.store->mstore, &oldest));
    assert_int_equal(file_count(f.store), 0);
    assert_true(yg_mstore_file_bytes(f.store->mstore) > 0);
    model_fini(&m);
    fixture_end(&f);
}

// ------------------------------------------------------------ a lost or damaged catalogue

static void ignore_line(void *ctx, const char *line) {
    (void)ctx;
    (void)line;
}

static uint64_t fsck(const struct fixture *f, bool repair) {
    struct yg_fsck_options options = {.fault = ignore_line, .note = ignore_line, .repair = repair};
    struct yg_fsck_summary sum;
    OK(yg_store_fsck(f->dir, &options, &sum, err));
    return sum.faults;
}

// Rows in merged files, rows deleted, a late flush: all of it is as before.
static void the_catalogue_comes_back_from_its_copy(void **state) {
    (void)state;
    static const char *const gone[] = {"catalog.db", "catalog.db-wal", "catalog.db-shm"};
    struct fixture f = small_stripes(500);
    struct model m = MODEL();
    char path[128];
    fixture_start(&f);
    fill(&f, &m, YG_TRACK_LOGS, 77, 9, 200, 0);
    OK(yg_store_merge_now(f.store, true, err));
    fill(&f, &m, YG_TRACK_LOGS, 78, 1, 200, 0);
    uint64_t id;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    OK(yg_store_delete(f.store, YG_TRACK_LOGS, all, YG_STR("service:service-3"), &id, err));
    uint32_t left = count_rows(f.store, "");
    assert_true(left > 0 && left < m.rows.len);
    for (int pass = 0; pass < 3; pass++) {
        uint32_t files = file_count(f.store);
        yg_store_close(f.store);
        assert_int_equal(fsck(&f, false), 0);
        for (int i = 0; i < 3; i++) {
            (void)snprintf(path, sizeof(path), "%s/%s", f.dir, gone[i]);
            if (pass < 2)
                (void)unlink(path);
            else if (i == 0)
                flip(path, 20);
        }
        struct yg_err why = {0};
        if (pass == 1) { // a start without it makes a new one and refuses
            assert_int_equal(yg_store_open(&f.o, &f.store, &why), YG_ECORRUPT);
            assert_non_null(strstr(why.text, "fsck --repair"));
        }
        assert_true(fsck(&f, false) > 0);
        assert_int_equal(fsck(&f, true), 0);
        assert_int_equal(fsck(&f, true), 0); // nothing to do
        fixture_open(&f);
        assert_int_equal(file_count(f.store), files);
        assert_int_equal(count_rows(f.store, ""), left);
    }
    model_fini(&m);
    fixture_end(&f);
}

// ------------------------------------------------------------ schema 2

static void copy_folder(const char *from, const char *to) {
    OK(yg_file_mkdirs(to, err));
    DIR *d = opendir(from);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char a[4096], b[4096];
        struct stat st;
        YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_BASE, 16u << 20);
        if (e->d_name[0] == '.')
            continue;
        int n = snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
        int m = snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
        assert_true(n > 0 && (size_t)n < sizeof(a) && m > 0 && (size_t)m < sizeof(b));
        assert_int_equal(lstat(a, &st), 0);
        if (S_ISDIR(st.st_mode)) {
            copy_folder(a, b);
            continue;
        }
        OK(yg_file_read_all(a, &bytes, err));
        OK(yg_file_replace(b, yg_buf_str(&bytes), err));
    }
    (void)closedir(d);
}

// A directory that a server before indexes and deletions left: 60 logs, its own metrics.
static void a_directory_of_schema_2_is_taken_over(void **state) {
    (void)state;
    struct fixture f = small_stripes(500);
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    (void)snprintf(f.dir, sizeof(f.dir), "/tmp/yg-t-rows-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    copy_folder(YG_SOURCE_DIR "/src/store/test/data/catalog-2", f.dir);
    f.pool = yg_pool_create(NULL);
    fixture_open(&f);
    char version[16];
    struct yg_store_status st;
    for (int pass = 0; pass < 2; pass++) {
        OK(yg_catalog_get(f.store->catalog, "schema", version, sizeof(version), err));
        assert_string_equal(version, "3");
        assert_int_equal(count_rows(f.store, "golden message"), 60);
        assert_int_equal(count_rows(f.store, "service:service-1 @golden.yes:true"), 9);
        yg_store_status(f.store, &st);
        assert_int_equal(st.rows[YG_TRACK_LOGS], 60);
        fixture_reopen(&f);
    }
    struct rng r = {99};
    struct model m = MODEL();
    store_rows(f.store, &m, random_batch(&r, YG_TRACK_LOGS, 50, 0, 1));
    OK(yg_store_flush(f.store, err));
    OK(yg_store_merge_now(f.store, true, err));
    assert_int_equal(count_rows(f.store, "golden message"), 60);
    assert_int_equal(count_rows(f.store, ""), 110);
    model_fini(&m);
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_keep_every_row),
        cmocka_unit_test(rare_names_are_carried_over),
        cmocka_unit_test(a_row_is_written_at_most_three_times),
        cmocka_unit_test(snapshots_read_what_they_saw),
        cmocka_unit_test(a_damaged_file_is_left_out),
        cmocka_unit_test(deleted_rows_are_hidden_at_once_and_then_gone),
        cmocka_unit_test(a_range_is_deleted_and_nothing_beside_it),
        cmocka_unit_test(the_oldest_go_when_there_are_too_many_bytes),
        cmocka_unit_test(points_and_rows_go_oldest_first),
        cmocka_unit_test(the_catalogue_comes_back_from_its_copy),
        cmocka_unit_test(a_directory_of_schema_2_is_taken_over),
        cmocka_unit_test(death_at_every_file_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
