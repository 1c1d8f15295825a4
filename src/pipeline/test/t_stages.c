// SPDX-License-Identifier: Apache-2.0
// Stages and the resend rule, over a real store in a directory of its own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/pipeline.h"
#include "pipeline/stages.h"

#define HOUR_NS (INT64_C(3600) * YG_NS_PER_S)

struct fixture {
    char dir[64];
    struct yg_pool *pool;
    struct yg_store *store;
    struct yg_meta *meta;
    struct yg_pipeline *pipeline;
};

static int set_up(void **state) {
    struct fixture *f = yg_calloc(YG_MEM_BASE, 1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/yagura-stages-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    struct yg_err err = {0};
    struct yg_pool_options pool = {0};
    f->pool = yg_pool_create(&pool);
    struct yg_store_options store = {.dir = f->dir, .clock = &yg_clock_system, .pool = f->pool};
    assert_int_equal(yg_store_open(&store, &f->store, &err), YG_OK);
    struct yg_meta_options meta = {.dir = f->dir, .clock = &yg_clock_system};
    struct yg_meta_first_keys first;
    assert_int_equal(yg_meta_open(&meta, &f->meta, &first, &err), YG_OK);
    struct yg_pipeline_options options = {
        .store = f->store, .meta = f->meta, .clock = &yg_clock_system};
    options.retention_ns[YG_TRACK_LOGS] = 24 * HOUR_NS;
    f->pipeline = yg_pipeline_create(&options);
    *state = f;
    return 0;
}

static void remove_tree(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        char child[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        if (unlink(child) != 0)
            remove_tree(child);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    yg_pipeline_destroy(f->pipeline);
    yg_store_close(f->store);
    yg_meta_close(f->meta);
    yg_pool_destroy(f->pool);
    remove_tree(f->dir);
    yg_free(YG_MEM_BASE, f);
    return 0;
}

static struct yg_batch *batch_at(int64_t time_ns, uint32_t rows) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 8u << 20);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row;
        assert_int_equal(yg_batch_row(b, &row, NULL), YG_OK);
        assert_int_equal(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), time_ns, NULL), YG_OK);
        assert_int_equal(yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), YG_STR("hello"), NULL), YG_OK);
    }
    return b;
}

struct outcome {
    struct yg_event done;
    yg_rc rc;
};

static void on_done(void *arg, yg_rc rc, const struct yg_err *err) {
    (void)err;
    struct outcome *o = arg;
    o->rc = rc;
    yg_event_set(&o->done);
}

static void append(struct fixture *f, struct yg_batch *b) {
    struct outcome o = {.rc = YG_EINTERNAL};
    struct yg_err err = {0};
    yg_event_init(&o.done);
    assert_int_equal(yg_pipeline_rows(f->pipeline, b, on_done, &o, &err), YG_OK);
    yg_event_wait(&o.done);
    assert_int_equal(o.rc, YG_OK);
    yg_event_fini(&o.done);
}

static uint64_t stored_rows(struct fixture *f) {
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN / 2, INT64_MAX / 2};
    struct yg_err err = {0};
    assert_int_equal(yg_snapshot_open(f->store, YG_TRACK_LOGS, all, true, &snap, &err), YG_OK);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < yg_snapshot_segments(snap); i++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, i, &info);
        rows += info.row_count;
    }
    yg_snapshot_close(snap);
    return rows;
}

static void future_times_become_now_and_are_kept(void **state) {
    struct fixture *f = *state;
    int64_t now_ns = yg_now_ns(&yg_clock_system);
    struct yg_batch *b = batch_at(now_ns + 3 * HOUR_NS, 2);
    assert_int_equal(yg_stages_run(f->pipeline, b, now_ns, NULL), YG_OK);
    struct yg_value v;
    assert_true(yg_batch_col_value(yg_batch_find(b, YG_STR(YG_COL_TIME), YG_T_I64), 1, &v));
    assert_int_equal(v.i64, now_ns);
    assert_true(yg_batch_col_value(yg_batch_find(b, YG_STR("@_sent_timestamp"), YG_T_I64), 1, &v));
    assert_int_equal(v.i64, now_ns + 3 * HOUR_NS);
    yg_batch_destroy(b);
}

static void a_body_full_of_attributes_loses_only_the_sent_time(void **state) {
    struct fixture *f = *state;
    int64_t now_ns = yg_now_ns(&yg_clock_system);
    struct yg_batch *b = batch_at(now_ns + 3 * HOUR_NS, 2);
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; rc == YG_OK; i++) {
        char name[24];
        uint32_t idx;
        snprintf(name, sizeof(name), "@key%u", i);
        rc = yg_batch_col(b, yg_str_c(name), YG_T_I64, &idx, NULL);
    }
    assert_int_equal(rc, YG_ELIMIT);
    assert_int_equal(yg_stages_run(f->pipeline, b, now_ns, NULL), YG_OK);
    struct yg_value v;
    assert_true(yg_batch_col_value(yg_batch_find(b, YG_STR(YG_COL_TIME), YG_T_I64), 1, &v));
    assert_int_equal(v.i64, now_ns);
    assert_non_null(yg_batch_find(b, YG_STR(YG_COL_STATUS), YG_T_STR));
    yg_batch_destroy(b);
}

static void soon_is_not_the_future(void **state) {
    struct fixture *f = *state;
    int64_t now_ns = yg_now_ns(&yg_clock_system);
    struct yg_batch *b = batch_at(now_ns + HOUR_NS, 1);
    assert_int_equal(yg_stages_run(f->pipeline, b, now_ns, NULL), YG_OK);
    assert_null(yg_batch_find(b, YG_STR("@_sent_timestamp"), YG_T_I64));
    yg_batch_destroy(b);
}

static void rows_past_the_retention_are_dropped(void **state) {
    struct fixture *f = *state;
    int64_t now_ns = yg_now_ns(&yg_clock_system);
    struct yg_batch *b = batch_at(now_ns - 25 * HOUR_NS, 3);
    uint32_t row;
    assert_int_equal(yg_batch_row(b, &row, NULL), YG_OK);
    assert_int_equal(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), now_ns, NULL), YG_OK);
    assert_int_equal(yg_stages_run(f->pipeline, b, now_ns, NULL), YG_OK);
    assert_int_equal(b->row_count, 1);
    yg_batch_destroy(b);
}

static void a_log_without_a_status_is_info(void **state) {
    struct fixture *f = *state;
    int64_t now_ns = yg_now_ns(&yg_clock_system);
    struct yg_batch *b = batch_at(now_ns, 1);
    uint32_t row;
    assert_int_equal(yg_batch_row(b, &row, NULL), YG_OK);
    assert_int_equal(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), now_ns, NULL), YG_OK);
    assert_int_equal(yg_batch_set_str(b, YG_STR(YG_COL_STATUS), YG_STR("error"), NULL), YG_OK);
    assert_int_equal(yg_stages_run(f->pipeline, b, now_ns, NULL), YG_OK);
    const struct yg_batch_col *status = yg_batch_find(b, YG_STR(YG_COL_STATUS), YG_T_STR);
    struct yg_value v;
    assert_true(yg_batch_col_value(status, 0, &v));
    assert_true(yg_str_eq_c(v.str, "info"));
    assert_true(yg_batch_col_value(status, 1, &v));
    assert_true(yg_str_eq_c(v.str, "error"));
    yg_batch_destroy(b);
}

// The answer got lost: the same body again is stored once.
static void a_resent_body_is_stored_once(void **state) {
    struct fixture *f = *state;
    uint8_t digest[16];
    yg_pipeline_digest(YG_STR("k"), YG_STR("/p"), YG_STR(""), YG_STR("body"), digest);
    for (int i = 0; i < 2; i++) {
        struct yg_batch *b = batch_at(yg_now_ns(&yg_clock_system), 1);
        b->digest = yg_arena_str(b->arena, yg_str_n((const char *)digest, 16));
        append(f, b);
        yg_pipeline_delivered(f->pipeline, digest, false);
    }
    assert_int_equal(stored_rows(f), 1);
}

// The answer arrived: an equal body is another one.
static void an_equal_body_after_a_delivered_answer_is_stored(void **state) {
    struct fixture *f = *state;
    uint8_t digest[16];
    yg_pipeline_digest(YG_STR("k"), YG_STR("/p"), YG_STR(""), YG_STR("body"), digest);
    for (int i = 0; i < 2; i++) {
        struct yg_batch *b = batch_at(yg_now_ns(&yg_clock_system), 1);
        b->digest = yg_arena_str(b->arena, yg_str_n((const char *)digest, 16));
        append(f, b);
        yg_pipeline_delivered(f->pipeline, digest, true);
    }
    assert_int_equal(stored_rows(f), 2);
}

// Two senders at once: neither answer is out yet, so neither is a resend.
static void equal_bodies_at_once_are_both_stored(void **state) {
    struct fixture *f = *state;
    uint8_t digest[16];
    yg_pipeline_digest(YG_STR("k"), YG_STR("/p"), YG_STR(""), YG_STR("body"), digest);
    for (int i = 0; i < 2; i++) {
        struct yg_batch *b = batch_at(yg_now_ns(&yg_clock_system), 1);
        b->digest = yg_arena_str(b->arena, yg_str_n((const char *)digest, 16));
        append(f, b);
    }
    yg_pipeline_delivered(f->pipeline, digest, true);
    yg_pipeline_delivered(f->pipeline, digest, true);
    assert_int_equal(stored_rows(f), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(future_times_become_now_and_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_full_of_attributes_loses_only_the_sent_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(soon_is_not_the_future, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_past_the_retention_are_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_without_a_status_is_info, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_resent_body_is_stored_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_equal_body_after_a_delivered_answer_is_stored, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(equal_bodies_at_once_are_both_stored, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
