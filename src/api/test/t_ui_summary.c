// SPDX-License-Identifier: Apache-2.0
// The trace list's order, cursor and summary.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/ui_traces.h"

static void orders(void **state) {
    (void)state;
    struct yg_ui_trace_order order;
    assert_true(yg_ui_trace_order_parse(YG_STR(""), &order));
    assert_true(order.sort == YG_UI_BY_DURATION && !order.ascending);
    assert_true(yg_ui_trace_order_parse(YG_STR("spans"), &order));
    assert_true(order.sort == YG_UI_BY_SPANS && order.ascending);
    assert_true(yg_ui_trace_order_parse(YG_STR("-errors"), &order));
    assert_true(order.sort == YG_UI_BY_ERRORS && !order.ascending);
    assert_false(yg_ui_trace_order_parse(YG_STR("-cost"), &order));
    assert_false(yg_ui_trace_order_parse(YG_STR("-"), &order));
}

static void pages_meet_every_row_once(void **state) {
    (void)state;
    enum { N = 100 };
    struct yg_ui_trace_row rows[N];
    for (uint32_t i = 0; i < N; i++)
        rows[i] = (struct yg_ui_trace_row){
            .id = {i * 7919 % 13, i}, .dur_ns = i * 31 % 10, .span_count = i % 3, .start_ns = i};
    for (int sort = 0; sort < YG_UI_TRACE_SORT_COUNT; sort++)
        for (int ascending = 0; ascending < 2; ascending++) {
            struct yg_ui_trace_order order = {(enum yg_ui_trace_sort)sort, ascending};
            yg_ui_trace_rows_sort(rows, N, order);
            for (uint32_t i = 1; i < N; i++) {
                int64_t a = yg_ui_trace_sort_value(&rows[i - 1], order.sort);
                int64_t b = yg_ui_trace_sort_value(&rows[i], order.sort);
                assert_true(ascending ? a <= b : a >= b);
            }
            uint32_t at = 0;
            while (at < N) { // pages of 7, by cursor text
                uint32_t last = at + 7 <= N ? at + 6 : N - 1;
                char text[YG_UI_CURSOR_BYTES];
                int64_t value = 0;
                yg_id128 id;
                yg_ui_cursor_make(yg_ui_trace_sort_value(&rows[last], order.sort), rows[last].id,
                                  text);
                assert_true(yg_ui_cursor_parse(yg_str_c(text), &value, &id));
                assert_int_equal(yg_ui_trace_rows_after(rows, N, order, value, id), last + 1);
                at = last + 1;
            }
        }
    int64_t value;
    yg_id128 id;
    assert_false(yg_ui_cursor_parse(YG_STR("12"), &value, &id));
    assert_false(yg_ui_cursor_parse(YG_STR("x.00000000000000000000000000000001"), &value, &id));
    assert_false(yg_ui_cursor_parse(YG_STR("1.0000000000000000000000000000000g"), &value, &id));
}

static struct yg_json_node *summary_of(const struct yg_ui_trace_row *rows, uint32_t count,
                                       struct yg_time_range range, struct yg_arena *arena,
                                       struct yg_buf *text) {
    struct yg_json_writer w = YG_JSON_WRITER(text);
    struct yg_err err = {0};
    struct yg_json_node *root = NULL;
    yg_jw_object(&w);
    assert_int_equal(yg_ui_put_summary(&w, rows, count, range, arena, &err), YG_OK);
    yg_jw_object_end(&w);
    if (yg_json_parse(yg_buf_str(text), arena, &root, &err) != YG_OK)
        fail_msg("%s: %.*s", err.text, YG_STR_FMT(yg_buf_str(text)));
    return root;
}

static int64_t number_at(const struct yg_json_node *array, uint32_t at) {
    const struct yg_json_node *n = array->child;
    while (at-- > 0)
        n = n->next;
    return n->i64;
}

static void summary(void **state) {
    (void)state;
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 16u << 20);
    struct yg_buf text = YG_BUF(YG_MEM_QUERY, 1u << 20);
    struct yg_time_range range = {INT64_C(1770000000123) * YG_NS_PER_MS,
                                  INT64_C(1770003600123) * YG_NS_PER_MS};
    struct yg_ui_trace_row rows[] = {
        {.id = {0, 1}, .start_ns = range.from_ns, .dur_ns = 1500000, .error_count = 2},
        {.id = {0, 2}, .start_ns = range.from_ns + 90 * YG_NS_PER_S, .dur_ns = 2000000},
        {.id = {0, 3}, .start_ns = range.to_ns - 1, .dur_ns = 9999999, .error_count = 1},
        {.id = {0, 4}, .start_ns = range.to_ns - 1, .dur_ns = 1999999},
    };
    struct yg_json_node *root = summary_of(rows, 4, range, arena, &text);
    const struct yg_json_node *s = yg_json_get(root, "summary");
    assert_int_equal(yg_json_i64_or(yg_json_get(s, "count"), -1), 4);
    assert_int_equal(yg_json_i64_or(yg_json_get(s, "errors"), -1), 2);
    assert_int_equal(yg_json_i64_or(yg_json_get(s, "max_ns"), -1), 9999999);
    assert_int_equal(yg_json_i64_or(yg_json_get(s, "p50_ns"), -1), 2000000);
    const struct yg_json_node *heat = yg_json_get(s, "heat");
    // 3,600 s do not fit 60 columns of 60 s when the start is not aligned
    assert_int_equal(yg_json_i64_or(yg_json_get(heat, "step_ms"), -1), 120000);
    assert_int_equal(yg_json_i64_or(yg_json_get(heat, "start_ms"), -1), 1770000000000);
    int64_t cols = yg_json_i64_or(yg_json_get(heat, "cols"), -1);
    assert_int_equal(cols, 31);
    const struct yg_json_node *edges = yg_json_get(heat, "edges_ns");
    assert_int_equal(edges->count, 4); // 1 ms, 2 ms, 5 ms, 10 ms
    assert_int_equal(number_at(edges, 0), 1000000);
    assert_int_equal(number_at(edges, 3), 10000000);
    const struct yg_json_node *counts = yg_json_get(heat, "counts");
    assert_int_equal(counts->count, 3 * cols);
    assert_int_equal(number_at(counts, 0), 1);
    assert_int_equal(number_at(counts, (uint32_t)cols), 1);     // 2 ms is in [2, 5)
    assert_int_equal(number_at(counts, (uint32_t)cols - 1), 1); // 1.999999 ms in [1, 2)
    assert_int_equal(number_at(counts, 3 * (uint32_t)cols - 1), 1);
    assert_int_equal(number_at(yg_json_get(heat, "errors"), 0), 1);
    assert_int_equal(number_at(yg_json_get(heat, "errors"), (uint32_t)cols), 0);
    yg_buf_fini(&text);
    yg_arena_destroy(arena);
}

static void extremes(void **state) {
    (void)state;
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 16u << 20);
    struct yg_ui_trace_row rows[] = {{.dur_ns = 0}, {.dur_ns = INT64_MAX}, {.dur_ns = 5}};
    static const struct yg_time_range ranges[] = {{0, YG_NS_PER_MS},
                                                  {0, INT64_C(400) * 86400 * YG_NS_PER_S},
                                                  {-5 * YG_NS_PER_S, YG_NS_PER_S}};
    for (size_t i = 0; i < 3; i++)
        for (uint32_t n = 0; n <= 3; n++) {
            struct yg_buf text = YG_BUF(YG_MEM_QUERY, 1u << 20);
            struct yg_json_node *root = summary_of(rows, n, ranges[i], arena, &text);
            const struct yg_json_node *heat = yg_json_path(root, "summary.heat");
            int64_t cols = yg_json_i64_or(yg_json_get(heat, "cols"), -1);
            assert_in_range(cols, 1, 60);
            int64_t step_ms = yg_json_i64_or(yg_json_get(heat, "step_ms"), 0);
            int64_t start_ms = yg_json_i64_or(yg_json_get(heat, "start_ms"), INT64_MAX);
            assert_true(start_ms <= ranges[i].from_ns / YG_NS_PER_MS && start_ms % step_ms == 0);
            assert_true(start_ms + cols * step_ms >= ranges[i].to_ns / YG_NS_PER_MS);
            int64_t sum = 0;
            const struct yg_json_node *counts = yg_json_get(heat, "counts");
            for (const struct yg_json_node *c = counts->child; c != NULL; c = c->next)
                sum += c->i64;
            assert_int_equal(sum, n); // nobody falls out
            yg_buf_fini(&text);
        }
    yg_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(pages_meet_every_row_once),
        cmocka_unit_test(summary),
        cmocka_unit_test(extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
