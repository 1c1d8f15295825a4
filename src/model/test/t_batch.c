// SPDX-License-Identifier: Apache-2.0
// Batches: what goes in comes out, also through the WAL payload; every damaged payload is refused
// or whole.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "model/batch.h"
#include "model/block.h"
#include "model/points.h"

#define ROWS 1500u

static void ok(yg_rc rc) {
    assert_int_equal(rc, YG_OK);
}

// Row r: service (few distinct), message (all distinct), duration, ratio in every third row, ids, a
// flag, a JSON list.
static struct yg_batch *sample(void) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 64u << 20);
    assert_non_null(b);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t row;
        ok(yg_batch_row(b, &row, NULL));
        assert_int_equal(row, i);
        ok(yg_batch_set_str(b, YG_STR("service"), i % 2 ? YG_STR("web") : YG_STR("api"), NULL));
        ok(yg_batch_set_str(b, YG_STR("message"), yg_arena_printf(b->arena, "line %u", i), NULL));
        ok(yg_batch_set_i64(b, YG_STR("duration"), (int64_t)i * -7, NULL));
        if (i % 3 == 0)
            ok(yg_batch_set_f64(b, YG_STR("@ratio"), i / 3.0, NULL));
        ok(yg_batch_set_id(b, YG_STR("trace_id"), (yg_id128){i, ~(uint64_t)i}, NULL));
        ok(yg_batch_set_bool(b, YG_STR("@flag"), i % 5 == 0, NULL));
        if (i == 700)
            ok(yg_batch_set_json(b, YG_STR("@list"), YG_STR("[1,\"x\"]"), NULL));
    }
    return b;
}

static void check_row(const struct yg_batch *b, uint32_t row, uint32_t i) {
    struct yg_value v;
    assert_true(yg_batch_col_value(yg_batch_find(b, YG_STR("service"), YG_T_STR), row, &v));
    assert_true(yg_str_eq_c(v.str, i % 2 ? "web" : "api"));
    char text[32];
    snprintf(text, sizeof(text), "line %u", i);
    assert_true(yg_batch_col_value(yg_batch_find(b, YG_STR("message"), YG_T_STR), row, &v));
    assert_true(yg_str_eq_c(v.str, text));
    assert_true(yg_batch_col_value(yg_batch_find(b, YG_STR("duration"), YG_T_I64), row, &v));
    assert_int_equal(v.i64, (int64_t)i * -7);
    bool has = yg_batch_col_value(yg_batch_find(b, YG_STR("@ratio"), YG_T_F64), row, &v);
    assert_int_equal(has, i % 3 == 0);
    assert_true(yg_batch_col_value(yg_batch_find(b, YG_STR("trace_id"), YG_T_ID), row, &v));
    assert_true(yg_id128_eq(v.id, (yg_id128){i, ~(uint64_t)i}));
    assert_int_equal(yg_batch_col_value(yg_batch_find(b, YG_STR("@list"), YG_T_JSON), row, &v),
                     i == 700);
}

static void values_survive_the_payload(void **state) {
    (void)state;
    struct yg_batch *b = sample();
    assert_true(yg_batch_find(b, YG_STR("service"), YG_T_STR)->interned);
    assert_false(yg_batch_find(b, YG_STR("message"), YG_T_STR)->interned);
    struct yg_buf bytes = YG_BUF(YG_MEM_BASE, 64u << 20);
    ok(yg_batch_encode(b, &bytes, NULL));
    yg_batch_destroy(b);
    ok(yg_batch_decode(yg_buf_str(&bytes), YG_MEM_STORE, 64u << 20, &b, NULL));
    yg_batch_keep_body(b, &bytes); // strings borrow from it
    assert_int_equal(b->row_count, ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        check_row(b, i, i);
    yg_batch_destroy(b);
}

static void removed_rows_close_up(void **state) {
    (void)state;
    struct yg_batch *b = sample();
    uint64_t drop[YG_BITS_WORDS(ROWS)] = {0};
    for (uint32_t i = 0; i < ROWS; i += 2)
        yg_bits_set(drop, i);
    ok(yg_batch_remove(b, drop, NULL));
    assert_int_equal(b->row_count, ROWS / 2);
    for (uint32_t i = 0; i < ROWS / 2; i++)
        check_row(b, i, 2 * i + 1);
    yg_batch_destroy(b);
}

static void dropped_row_leaves_no_value(void **state) {
    (void)state;
    struct yg_batch *b = sample();
    uint32_t row;
    ok(yg_batch_row(b, &row, NULL));
    ok(yg_batch_set_str(b, YG_STR("service"), YG_STR("gone"), NULL));
    yg_batch_row_drop(b);
    struct yg_value v;
    assert_int_equal(b->row_count, ROWS);
    assert_false(yg_batch_col_value(yg_batch_find(b, YG_STR("service"), YG_T_STR), ROWS, &v));
    yg_batch_destroy(b);
}

static void later_value_wins(void **state) {
    (void)state;
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 1u << 20);
    uint32_t row;
    ok(yg_batch_row(b, &row, NULL));
    ok(yg_batch_set_str(b, YG_STR("@a"), YG_STR("first"), NULL));
    ok(yg_batch_set_str(b, YG_STR("@a"), YG_STR("second"), NULL));
    struct yg_value v;
    assert_true(yg_batch_col_value(yg_batch_find(b, YG_STR("@a"), YG_T_STR), 0, &v));
    assert_true(yg_str_eq_c(v.str, "second"));
    yg_batch_destroy(b);
}

static void memory_limit_is_an_error(void **state) {
    (void)state;
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 256u << 10);
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; rc == YG_OK && i < 1000000; i++) {
        uint32_t row;
        rc = yg_batch_row(b, &row, NULL);
        if (rc == YG_OK)
            rc = yg_batch_set_i64(b, YG_STR("n"), i, NULL);
    }
    assert_int_equal(rc, YG_ENOMEM);
    yg_batch_destroy(b);
}

// A payload cut or altered anywhere is refused as corrupt, or decodes to something whole: never a
// crash (ASan).
static void damaged_payload(void **state) {
    (void)state;
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 1u << 20);
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t row;
        ok(yg_batch_row(b, &row, NULL));
        ok(yg_batch_set_str(b, YG_STR("service"), i % 2 ? YG_STR("web") : YG_STR("api"), NULL));
        if (i % 4 == 0)
            ok(yg_batch_set_i64(b, YG_STR("@n"), i, NULL));
        if (i == 39)
            ok(yg_batch_set_f64(b, YG_STR("@f"), 1.5, NULL));
    }
    struct yg_buf bytes = YG_BUF(YG_MEM_BASE, 1u << 20);
    ok(yg_batch_encode(b, &bytes, NULL));
    yg_batch_destroy(b);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        struct yg_err err = {0};
        assert_int_equal(
            yg_batch_decode(yg_str_n(bytes.ptr, cut), YG_MEM_STORE, 1u << 20, &b, &err),
            YG_ECORRUPT);
    }
    for (size_t at = 0; at < bytes.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.ptr[at] = (char)(bytes.ptr[at] ^ (1 << bit));
            yg_rc rc = yg_batch_decode(yg_buf_str(&bytes), YG_MEM_STORE, 1u << 20, &b, NULL);
            assert_true(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_ENOMEM || rc == YG_ELIMIT);
            if (rc == YG_OK)
                yg_batch_destroy(b);
            bytes.ptr[at] = (char)(bytes.ptr[at] ^ (1 << bit));
        }
    }
    yg_buf_fini(&bytes);
}

static void block_shows_the_batch(void **state) {
    (void)state;
    struct yg_batch *b = sample();
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 16u << 20);
    struct yg_block *block;
    ok(yg_block_of_batch(b, arena, &block, NULL));
    const struct yg_vec *vecs[YG_TYPE_COUNT];
    uint32_t count;
    ok(block->ops->columns(block, YG_STR("@ratio"), vecs, &count, NULL));
    assert_int_equal(count, 1);
    struct yg_value v;
    assert_true(yg_vec_value(vecs[0], 3, &v));
    assert_true(v.f64 > 0.99 && v.f64 < 1.01);
    assert_false(yg_vec_value(vecs[0], 4, &v));
    ok(block->ops->columns(block, YG_STR("@absent"), vecs, &count, NULL));
    assert_int_equal(count, 0);
    yg_arena_destroy(arena);
    yg_batch_destroy(b);
}

// ------------------------------------------------------------ points

static void points_are_normalised_and_survive(void **state) {
    (void)state;
    struct yg_points *p = yg_points_create(1u << 20);
    const yg_str tags[] = {YG_STR("Env:Prod"), YG_STR("a b"), YG_STR("env:prod"), YG_STR("9x:y_")};
    uint32_t a, b;
    ok(yg_points_series(p, YG_STR("my metric"), tags, 4, YG_STR("web-1"), YG_METRIC_COUNT, 10,
                        YG_STR(""), &a, NULL));
    ok(yg_points_series(p, YG_STR("my_metric"), tags, 2, YG_STR("web-1"), YG_METRIC_COUNT, 10,
                        YG_STR(""), &b, NULL));
    assert_int_not_equal(a, b); // the second lacks x:y
    assert_true(yg_str_eq_c(p->series[a].name, "my_metric"));
    assert_true(yg_str_eq_c(p->series[a].tags, "a_b,env:prod,host:web-1,x:y"));
    ok(yg_points_add(p, a, 1000, 2.5, NULL));
    struct yg_sketch *sketch;
    ok(yg_points_add_sketch(p, b, 1010, &sketch, NULL));
    yg_sketch_add(sketch, 4, 3);
    struct yg_buf bytes = YG_BUF(YG_MEM_BASE, 1u << 20);
    ok(yg_points_encode(p, &bytes, NULL));
    yg_points_destroy(p);
    ok(yg_points_decode(yg_buf_str(&bytes), 1u << 20, &p, NULL));
    assert_int_equal(p->count, 2);
    assert_int_equal(p->points[0].ts_s, 1000);
    assert_true(p->points[0].value > 2.49 && p->points[0].value < 2.51);
    assert_int_equal(p->points[1].sketch, 0);
    assert_true(p->sketches[0].count > 2.9 && p->sketches[0].count < 3.1);
    yg_points_destroy(p);
    for (size_t cut = 0; cut < bytes.len; cut++)
        assert_int_equal(yg_points_decode(yg_str_n(bytes.ptr, cut), 1u << 20, &p, NULL),
                         YG_ECORRUPT);
    yg_buf_fini(&bytes);
}

static void names_without_a_letter_are_refused(void **state) {
    (void)state;
    struct yg_points *p = yg_points_create(1u << 20);
    uint32_t series;
    struct yg_err err = {0};
    assert_int_equal(yg_points_series(p, YG_STR("123"), NULL, 0, YG_STR(""), YG_METRIC_GAUGE, 0,
                                      YG_STR(""), &series, &err),
                     YG_EINPUT);
    assert_non_null(strstr(err.text, "123"));
    yg_points_destroy(p);
}

static void ids_in_every_notation(void **state) {
    (void)state;
    yg_id128 id;
    assert_true(yg_id128_parse(YG_STR("0000000000000001000000000000000a"), true, &id));
    assert_true(id.hi == 1 && id.lo == 10);
    assert_true(yg_id128_parse(YG_STR("18446744073709551615"), true, &id));
    assert_true(id.hi == 0 && id.lo == UINT64_MAX);
    assert_true(yg_id128_parse(YG_STR("1234567890123456"), false, &id));
    assert_true(id.lo == 1234567890123456u);
    assert_true(yg_id128_parse(YG_STR("1234567890123456"), true, &id));
    assert_true(id.lo == 0x1234567890123456u);
    assert_false(yg_id128_parse(YG_STR("xyz"), true, &id));
    assert_false(yg_id128_parse(YG_STR(""), true, &id));
    assert_false(yg_id128_parse(YG_STR("99999999999999999999"), false, &id));
    char text[33];
    yg_id128_hex((yg_id128){1, 10}, text);
    assert_string_equal(text, "0000000000000001000000000000000a");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_survive_the_payload),
        cmocka_unit_test(removed_rows_close_up),
        cmocka_unit_test(dropped_row_leaves_no_value),
        cmocka_unit_test(later_value_wins),
        cmocka_unit_test(memory_limit_is_an_error),
        cmocka_unit_test(damaged_payload),
        cmocka_unit_test(block_shows_the_batch),
        cmocka_unit_test(points_are_normalised_and_survive),
        cmocka_unit_test(names_without_a_letter_are_refused),
        cmocka_unit_test(ids_in_every_notation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
