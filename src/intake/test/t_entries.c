// SPDX-License-Identifier: Apache-2.0
// Service entries: computed per chunk, or as the tracer marks them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/msgpack.h"
#include "intake/decode.h"

struct span {
    uint64_t id, parent;
    const char *service;
    int mark; // -1: no metric _dd.top_level
};

static void put_span(struct yg_buf *b, const struct span *s) {
    yg_mp_put_map(b, s->mark < 0 ? 7 : 8);
    yg_mp_put_str(b, YG_STR("trace_id"));
    yg_mp_put_u64(b, 7);
    yg_mp_put_str(b, YG_STR("span_id"));
    yg_mp_put_u64(b, s->id);
    yg_mp_put_str(b, YG_STR("parent_id"));
    yg_mp_put_u64(b, s->parent);
    yg_mp_put_str(b, YG_STR("service"));
    yg_mp_put_str(b, yg_str_c(s->service));
    yg_mp_put_str(b, YG_STR("name"));
    yg_mp_put_str(b, YG_STR("op"));
    yg_mp_put_str(b, YG_STR("start"));
    yg_mp_put_u64(b, 1795545000000000000u);
    yg_mp_put_str(b, YG_STR("duration"));
    yg_mp_put_u64(b, 1000);
    if (s->mark < 0)
        return;
    yg_mp_put_str(b, YG_STR("metrics"));
    yg_mp_put_map(b, 1);
    yg_mp_put_str(b, YG_STR("_dd.top_level"));
    yg_mp_put_f64(b, s->mark);
}

// Bit k of the result: span k of the one chunk is an entry.
static unsigned entries_of(const struct span *spans, uint32_t count) {
    struct yg_buf body = YG_BUF(YG_MEM_BASE, 16u << 20);
    yg_mp_put_array(&body, 1);
    yg_mp_put_array(&body, count);
    for (uint32_t i = 0; i < count; i++)
        put_span(&body, &spans[i]);
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 128u << 20);
    struct yg_intake_in in = {
        .body = yg_buf_str(&body), .form = YG_FORM_MSGPACK, .now_ns = 1795545001000000000};
    struct yg_intake_tally tally = {0};
    struct yg_err err = {0};
    assert_int_equal(yg_intake_traces_v04(&in, b, &tally, &err), YG_OK);
    const struct yg_batch_col *marks = yg_batch_find(b, YG_STR(YG_COL_TOP_LEVEL), YG_T_BOOL);
    unsigned bits = 0;
    for (uint32_t row = 0; row < b->row_count; row++) {
        struct yg_value v;
        if (marks && yg_batch_col_value(marks, row, &v) && v.i64)
            bits |= 1u << (row & 31);
    }
    yg_batch_destroy(b);
    yg_buf_fini(&body);
    return bits;
}

static void a_root_is_an_entry_its_children_are_not(void **state) {
    (void)state;
    const struct span spans[] = {{1, 0, "web", -1}, {2, 1, "web", -1}, {3, 2, "web", -1}};
    assert_int_equal(entries_of(spans, 3), 1);
}

static void another_service_is_entered(void **state) {
    (void)state;
    const struct span spans[] = {{2, 1, "db", -1}, {3, 2, "db", -1}, {1, 0, "web", -1}};
    assert_int_equal(entries_of(spans, 3), 1 | 4);
}

static void a_parent_elsewhere_makes_an_entry(void **state) {
    (void)state;
    const struct span spans[] = {{2, 99, "web", -1}, {3, 2, "web", -1}};
    assert_int_equal(entries_of(spans, 2), 1);
}

// As tracers that mark every entry: a parent that was sent before is no entry.
static void a_parent_elsewhere_is_inside_where_the_tracer_marks(void **state) {
    (void)state;
    const struct span spans[] = {{2, 99, "web", -1}, {3, 2, "web", 1}, {4, 2, "web", 0}};
    assert_int_equal(entries_of(spans, 3), 2);
}

// As tracers that mark roots alone: another service is entered all the same.
static void another_service_is_entered_beside_a_marked_root(void **state) {
    (void)state;
    const struct span spans[] = {{1, 0, "web", 1}, {2, 1, "web", -1}, {3, 2, "web-db", -1}};
    assert_int_equal(entries_of(spans, 3), 1 | 4);
}

static void a_long_chunk(void **state) {
    (void)state;
    struct span spans[24];
    for (uint32_t i = 0; i < 24; i++)
        spans[i] = (struct span){i + 1, i, i < 12 ? "web" : "db", -1};
    assert_int_equal(entries_of(spans, 24), 1 | 1u << 12);
}

// One id a hundred thousand times costs no more than a hundred thousand ids.
static void equal_ids_cost_no_more(void **state) {
    (void)state;
    const uint32_t count = 100000;
    struct span *spans = yg_calloc(YG_MEM_BASE, count, sizeof(*spans));
    for (uint32_t i = 0; i < count; i++)
        spans[i] = (struct span){7, 7, "web", -1};
    assert_int_equal(entries_of(spans, count), 0);
    yg_free(YG_MEM_BASE, spans);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_root_is_an_entry_its_children_are_not),
        cmocka_unit_test(another_service_is_entered),
        cmocka_unit_test(a_parent_elsewhere_makes_an_entry),
        cmocka_unit_test(a_parent_elsewhere_is_inside_where_the_tracer_marks),
        cmocka_unit_test(another_service_is_entered_beside_a_marked_root),
        cmocka_unit_test(a_long_chunk),
        cmocka_unit_test(equal_ids_cost_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
