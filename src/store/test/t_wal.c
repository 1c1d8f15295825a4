// SPDX-License-Identifier: Apache-2.0
// The write-ahead log by itself: order, group commit, failures of the disk, torn and damaged files.
#include "store/test/rows_common.h"

#include <errno.h>

struct log {
    char dir[64];
    char aside[80];
    struct yg_wal *wal;
    enum yg_wal_sync sync;
    int64_t interval_ms;
    uint64_t queue_max;
    uint64_t next_sequence, next_number;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t ok, failed;
    uint64_t sequences[4096]; // by item number, 0 = not stored
};

struct test_item {
    struct yg_wal_item item;
    uint32_t nth;
};

static void done(void *ctx, struct yg_wal_item *take_item, yg_rc rc, const struct yg_err *err) {
    struct log *l = ctx;
    struct test_item *t = (struct test_item *)take_item;
    assert_true((rc == YG_OK) == (err == NULL));
    pthread_mutex_lock(&l->lock);
    if (rc == YG_OK) {
        l->ok++;
        l->sequences[t->nth] = take_item->sequence;
    } else {
        l->failed++;
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    yg_buf_fini(&take_item->payload);
    free(t);
}

static void log_open(struct log *l) {
    struct yg_wal_options o = {
        .dir = l->dir,
        .clock = &yg_clock_system,
        .sync = l->sync,
        .sync_interval_ms = l->interval_ms,
        .queue_max_bytes = l->queue_max ? l->queue_max : 1u << 30,
        .next_sequence = l->next_sequence,
        .next_number = l->next_number,
        .done = done,
        .ctx = l,
    };
    OK(yg_wal_start(&o, &l->wal, err));
}

static void log_start(struct log *l) {
    (void)snprintf(l->dir, sizeof(l->dir), "/tmp/yg-t-wal-XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    (void)snprintf(l->aside, sizeof(l->aside), "%s/aside", l->dir);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    l->next_sequence = l->next_sequence ? l->next_sequence : 1;
    l->next_number = l->next_number ? l->next_number : 1;
    log_open(l);
}

static void log_stop(struct log *l, bool clean) {
    yg_wal_stop(l->wal);
    yg_wal_close(l->wal, clean);
    l->wal = NULL;
}

static void log_end(struct log *l) {
    if (l->wal)
        log_stop(l, false);
    remove_tree(l->dir);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
}

// Payload of item n: its number and a length that depends on it.
static size_t payload_of(uint32_t n, char *out) {
    size_t len = 8 + n * 37 % 200;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(n + i * 7);
    memcpy(out, &n, sizeof(n));
    return len;
}

static yg_rc push(struct log *l, uint32_t nth) {
    char bytes[256];
    struct yg_err err = {0};
    struct test_item *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->nth = nth;
    t->item.kind = YG_WAL_ROWS;
    t->item.payload = YG_BUF(YG_MEM_STORE, 1u << 20);
    yg_buf_put(&t->item.payload, bytes, payload_of(nth, bytes));
    yg_rc rc = yg_wal_push(l->wal, &t->item, &err);
    if (rc != YG_OK) {
        yg_buf_fini(&t->item.payload);
        free(t);
    }
    return rc;
}

static void wait_for(struct log *l, uint32_t answers) {
    pthread_mutex_lock(&l->lock);
    while (l->ok + l->failed < answers)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

struct replayed {
    uint32_t seen[4096];
    uint32_t count;
    uint64_t last;
};

static yg_rc on_frame(void *ctx, const struct yg_wal_replay *f, struct yg_err *err) {
    struct replayed *r = ctx;
    char want[256];
    uint32_t n;
    (void)err;
    assert_true(f->sequence > r->last);
    r->last = f->sequence;
    if (f->kind != YG_WAL_ROWS)
        return YG_OK;
    assert_true(f->payload->len >= 8);
    memcpy(&n, f->payload->ptr, sizeof(n));
    assert_true(n < 4096);
    assert_int_equal(f->payload->len, payload_of(n, want));
    assert_memory_equal(f->payload->ptr, want, f->payload->len);
    r->seen[n]++;
    r->count++;
    return YG_OK;
}

static struct replayed replay(struct log *l, struct yg_wal_recovery *rec) {
    static struct replayed r;
    r = (struct replayed){0};
    OK(yg_wal_recover(l->dir, l->aside, 0, on_frame, &r, rec, err));
    return r;
}

// Every acknowledged frame once; nothing twice.
static void check_acknowledged(struct log *l, const struct replayed *r) {
    for (uint32_t n = 0; n < 4096; n++)
        if (l->sequences[n])
            assert_int_equal(r->seen[n], 1);
        else
            assert_true(r->seen[n] <= 1);
}

static void frames_come_back_in_order(void **state) {
    (void)state;
    struct log l = {0};
    struct yg_wal_recovery rec;
    log_start(&l);
    for (uint32_t n = 0; n < 500; n++)
        assert_int_equal(push(&l, n), YG_OK);
    wait_for(&l, 500);
    log_stop(&l, false);
    struct replayed r = replay(&l, &rec);
    assert_int_equal(r.count, 500);
    assert_int_equal(rec.damaged, 0);
    assert_false(rec.torn_tail);
    for (uint32_t n = 1; n < 500; n++)
        assert_true(l.sequences[n] == l.sequences[n - 1] + 1);
    assert_int_equal(rec.next_sequence, l.sequences[499] + 1);
    // A second life goes on with the numbers; both files are read.
    l.next_sequence = rec.next_sequence;
    l.next_number = rec.next_number;
    log_open(&l);
    assert_int_equal(push(&l, 500), YG_OK);
    wait_for(&l, 501);
    log_stop(&l, false);
    r = replay(&l, &rec);
    assert_int_equal(r.count, 501);
    check_acknowledged(&l, &r);
    log_end(&l);
}

static void released_files_go(void **state) {
    (void)state;
    struct log l = {0};
    struct yg_wal_recovery rec;
    struct yg_wal_name *names;
    uint32_t count;
    log_start(&l);
    for (uint32_t n = 0; n < 5; n++)
        assert_int_equal(push(&l, n), YG_OK);
    wait_for(&l, 5);
    uint64_t last = l.sequences[4];
    yg_wal_release(l.wal, last); // the file that is written stays
    OK(yg_wal_list(l.dir, &names, &count, err));
    assert_int_equal(count, 1);
    yg_free(YG_MEM_STORE, names);
    log_stop(&l, true);
    OK(yg_wal_list(l.dir, &names, &count, err));
    assert_int_equal(count, 1); // a short one that remembers the number
    assert_true(names[0].first_sequence > last);
    yg_free(YG_MEM_STORE, names);
    struct replayed r = replay(&l, &rec);
    assert_int_equal(r.count, 0);
    assert_true(rec.next_sequence > last);
    log_end(&l);
}

// ------------------------------------------------------------ failures of the disk

static _Atomic int fail_calls; // the next so many calls fail
static int failing_sync(int fd) {
    if (atomic_load(&fail_calls) > 0) {
        atomic_fetch_sub(&fail_calls, 1);
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static void after_a_failed_sync_a_new_file_is_begun(void **state) {
    (void)state;
    struct log l = {0};
    struct yg_wal_recovery rec;
    struct yg_wal_name *names;
    uint32_t count;
    log_start(&l);
    assert_int_equal(push(&l, 0), YG_OK);
    wait_for(&l, 1);
    yg_file_ops.fdatasync = failing_sync;
    for (uint32_t n = 1; n < 40; n++) {
        atomic_store(&fail_calls, n % 3 == 0);
        assert_int_equal(push(&l, n), YG_OK);
        wait_for(&l, n + 1);
        assert_true((l.sequences[n] == 0) == (n % 3 == 0)); // refused, never acknowledged
    }
    yg_file_ops.fdatasync = yg_file_ops_system.fdatasync;
    OK(yg_wal_list(l.dir, &names, &count, err));
    assert_int_equal(count, 1 + 12); // one more after each failure that something followed
    yg_free(YG_MEM_STORE, names);
    log_stop(&l, false);
    struct replayed r = replay(&l, &rec);
    check_acknowledged(&l, &r);
    assert_int_equal(rec.damaged, 0);
    // Refused frames are void: their numbers were used again.
    for (uint32_t n = 3; n < 39; n += 3)
        assert_int_equal(r.seen[n], 0);
    log_end(&l);
}

static _Atomic int write_mode; // 1: short writes, 2: no space
static _Atomic int writes_left;
static ssize_t odd_pwrite(int fd, const void *ptr, size_t len, off_t at) {
    if (atomic_load(&write_mode) == 1)
        return pwrite(fd, ptr, len > 7 ? len / 2 : len, at);
    if (atomic_load(&write_mode) == 2 && atomic_fetch_sub(&writes_left, 1) <= 0) {
        if (len > 20)
            (void)!pwrite(fd, ptr, 20, at); // a part of it got there
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, ptr, len, at);
}

static void short_writes_go_on_and_failed_ones_are_refused(void **state) {
    (void)state;
    struct log l = {0};
    struct yg_wal_recovery rec;
    log_start(&l);
    yg_file_ops.pwrite = odd_pwrite;
    atomic_store(&write_mode, 1);
    for (uint32_t n = 0; n < 50; n++)
        assert_int_equal(push(&l, n), YG_OK);
    wait_for(&l, 50);
    assert_int_equal(l.failed, 0);
    atomic_store(&write_mode, 2);
    atomic_store(&writes_left, 0);
    for (uint32_t n = 50; n < 60; n++) {
        assert_int_equal(push(&l, n), YG_OK);
        wait_for(&l, n + 1);
    }
    assert_int_equal(l.failed, 10);
    atomic_store(&write_mode, 0); // there is room again
    for (uint32_t n = 60; n < 70; n++)
        assert_int_equal(push(&l, n), YG_OK);
    wait_for(&l, 70);
    assert_int_equal(l.failed, 10);
    yg_file_ops.pwrite = yg_file_ops_system.pwrite;
    log_stop(&l, false);
    struct replayed r = replay(&l, &rec);
    check_acknowledged(&l, &r);
    assert_int_equal(r.count, 60);
    assert_int_equal(rec.damaged, 0);
    log_end(&l);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static int gated_sync(int fd) {
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return fdatasync(fd);
}

static void a_full_queue_is_an_answer(void **state) {
    (void)state;
    struct log l = {.queue_max = 2000};
    log_start(&l);
    yg_file_ops.fdatasync = gated_sync;
    pthread_mutex_lock(&gate);
    assert_int_equal(push(&l, 0), YG_OK); // taken by the thread, which now waits for the disk
    uint32_t taken = 1;
    yg_rc rc = YG_OK;
    for (uint32_t n = 1; n < 200 && rc == YG_OK; n++) {
        rc = push(&l, n);
        taken += rc == YG_OK;
        (void)usleep(n == 1 ? 20000 : 0);
    }
    assert_int_equal(rc, YG_EBUSY);
    pthread_mutex_unlock(&gate);
    wait_for(&l, taken);
    assert_int_equal(l.ok, taken);
    assert_int_equal(push(&l, 201), YG_OK);
    wait_for(&l, taken + 1);
    yg_file_ops.fdatasync = yg_file_ops_system.fdatasync;
    log_end(&l);
}

static _Atomic int syncs;
static int counting_sync(int fd) {
    atomic_fetch_add(&syncs, 1);
    return fdatasync(fd);
}

static void policies(void **state) {
    (void)state;
    yg_file_ops.fdatasync = counting_sync;
    struct log l = {.sync = YG_WAL_SYNC_NONE};
    log_start(&l);
    for (uint32_t n = 0; n < 20; n++) {
        assert_int_equal(push(&l, n), YG_OK);
        wait_for(&l, n + 1);
    }
    assert_int_equal(atomic_load(&syncs), 0);
    log_end(&l);
    struct log i = {.sync = YG_WAL_SYNC_INTERVAL, .interval_ms = 50};
    log_start(&i);
    int64_t before = yg_mono_ns(&yg_clock_system);
    atomic_store(&syncs, 0);
    for (uint32_t n = 0; n < 20; n++)
        assert_int_equal(push(&i, n), YG_OK);
    wait_for(&i, 20);
    assert_true(yg_mono_ns(&yg_clock_system) - before >= 40 * YG_NS_PER_MS);
    assert_true(atomic_load(&syncs) <= 3);
    log_end(&i);
    yg_file_ops.fdatasync = yg_file_ops_system.fdatasync;
}

// ------------------------------------------------------------ torn and damaged files

// A small log of 6 frames, each its own group, in one file that is cut behind its content.
static char *one_file(struct log *l, int64_t *ret_used) {
    struct yg_wal_name *names;
    uint32_t count;
    char *path = malloc(4096);
    assert_non_null(path);
    log_start(l);
    for (uint32_t n = 0; n < 6; n++) {
        assert_int_equal(push(l, n), YG_OK);
        wait_for(l, n + 1);
    }
    int64_t used = (int64_t)yg_wal_file_bytes(l->wal);
    log_stop(l, false);
    OK(yg_wal_list(l->dir, &names, &count, err));
    assert_int_equal(count, 1);
    yg_wal_file_name(path, 4096, l->dir, names[0].number, names[0].first_sequence);
    yg_free(YG_MEM_STORE, names);
    *ret_used = used;
    assert_int_equal(truncate(path, used + 256), 0);
    return path;
}

static char *slurp(const char *path, int64_t len) {
    char *bytes = malloc((size_t)len);
    int fd = open(path, O_RDONLY);
    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)len, 0), len);
    (void)close(fd);
    return bytes;
}

static void restore(const char *path, const char *bytes, int64_t len) {
    int fd = open(path, O_RDWR | O_TRUNC | O_CREAT, 0600);
    assert_int_equal(pwrite(fd, bytes, (size_t)len, 0), len);
    (void)close(fd);
}

static void a_torn_tail_is_cut_off(void **state) {
    (void)state;
    struct log l = {0};
    struct yg_wal_recovery rec;
    int64_t used;
    char *path = one_file(&l, &used);
    char *bytes = slurp(path, used);
    for (int64_t len = used - 1; len >= 64; len--) {
        restore(path, bytes, len);
        struct replayed r = replay(&l, &rec);
        // A prefix of the frames: whatever was cut was the newest.
        assert_true(r.count < 6 || (r.count == 6 && len > used - 8)); // only padding was cut
        for (uint32_t n = 0; n < 6; n++)
            assert_int_equal(r.seen[n], n < r.count);
        assert_int_equal(rec.damaged, 0);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size <= len);
    }
    free(bytes);
    free(path);
    log_end(&l);
}

static void every_damaged_byte_is_named(void **state) {
    (void)state;
    struct log l = {0};
    struct yg_wal_recovery rec;
    int64_t used;
    char *path = one_file(&l, &used);
    char *bytes = slurp(path, used + 256);
    for (int second = 0; second < 2; second++) {
        for (int64_t at = 0; at < used; at++) {
            bytes[at] ^= at % 2 ? (char)0xff : (char)0x10;
            restore(path, bytes, used + 256);
            bytes[at] ^= at % 2 ? (char)0xff : (char)0x10;
            struct replayed r = replay(&l, &rec);
            uint32_t missing = 0;
            for (uint32_t n = 0; n < 6; n++)
                missing += r.seen[n] == 0;
            assert_true(missing <= 1);
            if (missing) { // named: file and offset
                assert_true(rec.damaged || rec.torn_tail);
                assert_non_null(strstr(rec.damage_text, path));
            }
            // Durable frames before the last are never taken for a torn tail.
            if (missing && (r.seen[5] || second))
                assert_true(rec.damaged == 1 && rec.lost_frames == 1);
        }
        restore(path, bytes, used + 256);
        if (second == 0) { // once more as a file that is not the last
            l.next_sequence = 7;
            l.next_number = 2;
            log_open(&l);
            log_stop(&l, false);
        }
    }
    remove_tree(l.aside);
    free(bytes);
    free(path);
    log_end(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_back_in_order),
        cmocka_unit_test(released_files_go),
        cmocka_unit_test(after_a_failed_sync_a_new_file_is_begun),
        cmocka_unit_test(short_writes_go_on_and_failed_ones_are_refused),
        cmocka_unit_test(a_full_queue_is_an_answer),
        cmocka_unit_test(policies),
        cmocka_unit_test(a_torn_tail_is_cut_off),
        cmocka_unit_test(every_damaged_byte_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
