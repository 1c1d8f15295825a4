// SPDX-License-Identifier: Apache-2.0
// Little memory: a log of many small frames, far more than the room may hold at once, is read to
// its end; a room full of rows empties itself, whatever its limit leaves for sealing and writing
// files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "store/store.h"

#define BATCHES 4000u
#define INTAKE_LIMIT_BYTES (INT64_C(8) << 20)
#define STORE_LIMIT_BYTES (INT64_C(16) << 20) // every frame takes at least 4 KiB once decoded

static atomic_uint acknowledged;

static void on_done(void *arg, yg_rc rc, const struct yg_err *err) {
    (void)arg;
    (void)err;
    if (rc == YG_OK)
        atomic_fetch_add(&acknowledged, 1);
}

static struct yg_batch *one_row(int64_t now_ns) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 1u << 20);
    uint32_t row;
    struct yg_err err = {0};
    if (b == NULL || yg_batch_row(b, &row, &err) != YG_OK ||
        yg_batch_set_i64(b, YG_STR(YG_COL_TIME), now_ns, &err) != YG_OK ||
        yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), YG_STR("small"), &err) != YG_OK)
        _exit(2);
    return b;
}

// Appends and dies without closing.
static void child(const char *dir) {
    struct yg_err err = {0};
    struct yg_store_options o = {.dir = dir,
                                 .clock = &yg_clock_system,
                                 .pool = yg_pool_create(NULL),
                                 .wal_sync = YG_WAL_SYNC_NONE,
                                 .flush_interval_ms = 3600000};
    struct yg_store *store;
    if (yg_store_open(&o, &store, &err) != YG_OK)
        _exit(3);
    for (uint32_t i = 0; i < BATCHES; i++)
        if (yg_store_append(store, one_row(yg_now_ns(&yg_clock_system)), on_done, NULL, &err) !=
            YG_OK)
            _exit(4);
    while (atomic_load(&acknowledged) < BATCHES)
        usleep(1000);
    _exit(0);
}

static uint64_t rows_of(struct yg_store *store) {
    struct yg_snapshot *snap;
    struct yg_err err = {0};
    uint64_t rows = 0;
    assert_int_equal(yg_snapshot_open(store, YG_TRACK_LOGS, (struct yg_time_range){0, INT64_MAX},
                                      true, &snap, &err),
                     YG_OK);
    for (uint32_t i = 0; i < yg_snapshot_segments(snap); i++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, i, &info);
        rows += info.row_count;
    }
    yg_snapshot_close(snap);
    return rows;
}

static void small_frames_are_read_with_little_memory(void **state) {
    (void)state;
    char dir[] = "/tmp/yagura-replay-XXXXXX";
    assert_non_null(mkdtemp(dir));
    pid_t pid = fork();
    if (pid == 0)
        child(dir);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);

    yg_mem_limit_set(YG_MEM_INTAKE, INTAKE_LIMIT_BYTES);
    yg_mem_limit_set(YG_MEM_STORE, STORE_LIMIT_BYTES);
    struct yg_pool *pool = yg_pool_create(NULL);
    struct yg_store_options o = {.dir = dir, .clock = &yg_clock_system, .pool = pool};
    struct yg_store *store;
    struct yg_err err = {0};
    yg_rc rc = yg_store_open(&o, &store, &err);
    if (rc != YG_OK)
        print_message("%s\n", err.text);
    assert_int_equal(rc, YG_OK);
    assert_int_equal(rows_of(store), BATCHES);
    yg_store_close(store);
    yg_pool_destroy(pool);
    yg_mem_limit_set(YG_MEM_INTAKE, 0);
    yg_mem_limit_set(YG_MEM_STORE, 0);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static struct yg_batch *some_rows(uint32_t rows, uint32_t nth) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 64u << 20);
    struct yg_err err = {0};
    assert_non_null(b);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row;
        char name[24];
        assert_int_equal(yg_batch_row(b, &row, &err), YG_OK);
        assert_int_equal(
            yg_batch_set_i64(b, YG_STR(YG_COL_TIME), INT64_C(1795545000000000000) + i, &err),
            YG_OK);
        for (uint32_t c = 0; c < 12; c++) {
            (void)snprintf(name, sizeof(name), "@attribute.%u", c);
            yg_str value = yg_arena_printf(b->arena, "value %u of batch %u", c < 6 ? c : i, nth);
            assert_int_equal(yg_batch_set_str(b, yg_str_c(name), value, &err), YG_OK);
        }
    }
    return b;
}

// One batch of many rows takes more to seal than the room has left beside it.
static void a_full_room_empties_itself(void **state) {
    (void)state;
    char dir[] = "/tmp/yagura-full-XXXXXX";
    assert_non_null(mkdtemp(dir));
    yg_mem_limit_set(YG_MEM_STORE, STORE_LIMIT_BYTES);
    struct yg_pool *pool = yg_pool_create(NULL);
    struct yg_store_options o = {
        .dir = dir, .clock = &yg_clock_system, .pool = pool, .wal_sync = YG_WAL_SYNC_NONE};
    struct yg_store *store;
    struct yg_err err = {0};
    assert_int_equal(yg_store_open(&o, &store, &err), YG_OK);
    uint64_t sent = 0;
    uint32_t busy = 0;
    atomic_store(&acknowledged, 0);
    for (uint32_t i = 0; i < 24; i++) {
        uint32_t rows = i % 3 == 0 ? 30000 : 2000;
        while (yg_store_append(store, some_rows(rows, i), on_done, NULL, &err) != YG_OK) {
            assert_int_equal(err.rc, YG_EBUSY);
            busy++;
            usleep(20000);
        }
        sent += rows;
    }
    while (atomic_load(&acknowledged) < 24)
        usleep(1000);
    assert_true(busy > 0); // else the room was never full and this shows nothing
    assert_true(rows_of(store) == sent);
    yg_store_close(store);
    yg_pool_destroy(pool);
    yg_mem_limit_set(YG_MEM_STORE, 0);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(small_frames_are_read_with_little_memory),
                                       cmocka_unit_test(a_full_room_empties_itself)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
