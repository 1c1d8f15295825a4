// SPDX-License-Identifier: Apache-2.0
// The trace block by byte offset, and the tree below it: order, self times, cycles, missing
// parents.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/trace_block.h"

static struct yg_arena *arena;
static struct yg_err err;

static int set_up(void **state) {
    (void)state;
    arena = yg_arena_create(YG_MEM_QUERY, 512u << 20);
    err = (struct yg_err){0};
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    yg_arena_destroy(arena);
    return 0;
}

static struct yg_trace_tree *tree_of(const struct yg_trace_span *spans, uint32_t count) {
    struct yg_trace_tree *tree = NULL;
    if (yg_trace_tree_make(spans, count, arena, &tree, &err) != YG_OK)
        fail_msg("%s", err.text);
    return tree;
}

// a(100..200, svc) → b(110..150, db) and c(120..130, svc); given out of order.
static const struct yg_trace_span three[] = {
    {.start_ns = 1000120,
     .dur_ns = 10,
     .span_id = 0x33,
     .parent_id = 0x11,
     .name = YG_STR_INIT("c"),
     .resource = YG_STR_INIT("r"),
     .service = YG_STR_INIT("svc"),
     .type = YG_STR_INIT("web"),
     .env = YG_STR_INIT("prod"),
     .flags = YG_TRACE_ERROR},
    {.start_ns = 1000100,
     .dur_ns = 100,
     .span_id = 0x11,
     .parent_id = 0,
     .name = YG_STR_INIT("a"),
     .resource = YG_STR_INIT("r"),
     .service = YG_STR_INIT("svc"),
     .type = YG_STR_INIT("web"),
     .env = YG_STR_INIT("prod")},
    {.start_ns = 1000110,
     .dur_ns = 40,
     .span_id = 0x8000000000000022u,
     .parent_id = 0x11,
     .name = YG_STR_INIT("b"),
     .resource = YG_STR_INIT("get"),
     .service = YG_STR_INIT("db"),
     .type = YG_STR_INIT("redis"),
     .env = YG_STR_INIT("prod"),
     .flags = YG_TRACE_DB},
};

static void expect_bytes(const struct yg_buf *b, size_t at, const void *want, size_t len,
                         const char *what) {
    if (at + len > b->len || memcmp(b->ptr + at, want, len) != 0)
        fail_msg("%s differs at byte %zu", what, at);
}
#define EXPECT(b, at, what, type, ...)                                                             \
    do {                                                                                           \
        const type want_[] = {__VA_ARGS__};                                                        \
        expect_bytes((b), (at), want_, sizeof(want_), (what));                                     \
    } while (0)

static void layout_is_exact(void **state) {
    (void)state;
    struct yg_buf b = YG_BUF(YG_MEM_QUERY, 1u << 20);
    yg_id128 id = {0x0102030405060708u, 0x090a0b0c0d0e0f10u};
    assert_int_equal(yg_trace_block_write(tree_of(three, 3), id, 5, arena, &b, &err), YG_OK);
    const char *json =
        "{\"env\":\"prod\",\"types\":[\"\",\"web\",\"redis\"],\"services\":["
        "{\"name\":\"svc\",\"spans\":2,\"errors\":1,\"self_ns\":70},"
        "{\"name\":\"db\",\"spans\":1,\"errors\":0,\"self_ns\":40}],\"insights\":[]}";
    // svc db a r b get c: 7 strings, 12 bytes
    EXPECT(&b, 0, "magic", char, 'Y', 'G', 'T', '1');
    EXPECT(&b, 4, "version, flags", uint16_t, 1, 1);
    EXPECT(&b, 8, "n, n_total, m, string bytes", uint32_t, 3, 5, 7, 12);
    EXPECT(&b, 24, "base_ns", uint64_t, 1000100);
    EXPECT(&b, 32, "trace id", uint8_t, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    EXPECT(&b, 48, "tail bytes, block bytes", uint32_t, (uint32_t)strlen(json),
           (uint32_t)(280 + strlen(json)));
    EXPECT(&b, 56, "reserved", uint64_t, 0);
    EXPECT(&b, 64, "start_off", double, 0.0, 10.0, 20.0);
    EXPECT(&b, 88, "dur", double, 100.0, 40.0, 10.0);
    EXPECT(&b, 112, "span_id", uint64_t, 0x11, 0x8000000000000022u, 0x33);
    EXPECT(&b, 136, "parent and gap", int32_t, -1, 0, 0, 0);
    EXPECT(&b, 152, "end_of_subtree and gap", uint32_t, 3, 2, 3, 0);
    EXPECT(&b, 168, "name and gap", uint32_t, 2, 4, 6, 0);
    EXPECT(&b, 184, "resource and gap", uint32_t, 3, 5, 3, 0);
    EXPECT(&b, 200, "service and gap", uint16_t, 0, 1, 0, 0);
    EXPECT(&b, 208, "depth and gap", uint16_t, 0, 1, 1, 0);
    EXPECT(&b, 216, "flags and gap", uint16_t, 0, YG_TRACE_DB, YG_TRACE_ERROR, 0);
    EXPECT(&b, 224, "type and gap", uint8_t, 1, 2, 1, 0, 0, 0, 0, 0);
    EXPECT(&b, 232, "string offsets", uint32_t, 0, 3, 5, 6, 7, 8, 11, 12);
    expect_bytes(&b, 264, "svcdbarbgetc\0\0\0\0", 16, "string bytes and gap");
    expect_bytes(&b, 280, json, strlen(json), "JSON tail");
    assert_int_equal(b.len, 280 + strlen(json));
    yg_buf_fini(&b);
}

static void empty_trace(void **state) {
    (void)state;
    struct yg_buf b = YG_BUF(YG_MEM_QUERY, 1u << 20);
    assert_int_equal(yg_trace_block_write(tree_of(NULL, 0), (yg_id128){0, 1}, 0, arena, &b, &err),
                     YG_OK);
    EXPECT(&b, 8, "n, n_total, m, string bytes", uint32_t, 0, 0, 0, 0);
    EXPECT(&b, 64, "string offsets", uint32_t, 0);
    yg_buf_fini(&b);
}

static void self_time_is_without_children(void **state) {
    (void)state;
    struct yg_trace_span spans[] = {
        {.start_ns = 0, .dur_ns = 100, .span_id = 1, .service = YG_STR("a")},
        {.start_ns = 10, .dur_ns = 30, .span_id = 2, .parent_id = 1, .service = YG_STR("b")},
        {.start_ns = 20, .dur_ns = 30, .span_id = 3, .parent_id = 1, .service = YG_STR("b")},
        {.start_ns = 90, .dur_ns = 500, .span_id = 4, .parent_id = 1, .service = YG_STR("c")},
        {.start_ns = -50, .dur_ns = 55, .span_id = 5, .parent_id = 1, .service = YG_STR("d")},
        {.start_ns = 700, .dur_ns = -3, .span_id = 6, .parent_id = 1, .service = YG_STR("d")},
    };
    struct yg_trace_tree *t = tree_of(spans, 6);
    // Covered: [10,50) by both, [90,100) of the overhanging one, [0,5) of the early one.
    assert_int_equal(t->self_ns[0], 100 - 40 - 10 - 5);
    assert_int_equal(t->service_count, 4);
    assert_true(yg_str_eq_c(t->services[0].name, "c")); // 500
    assert_int_equal(t->services[0].self_ns, 500);
    assert_true(yg_str_eq_c(t->services[1].name, "b")); // 60
    assert_int_equal(t->services[1].spans, 2);
    struct yg_buf b = YG_BUF(YG_MEM_QUERY, 1u << 20);
    assert_int_equal(yg_trace_block_write(t, (yg_id128){0, 1}, 6, arena, &b, &err), YG_OK);
    // base is the earliest span; spans in depth-first order, children by start
    EXPECT(&b, 64, "start_off", double, 50.0, 0.0, 60.0, 70.0, 140.0, 750.0);
    EXPECT(&b, 64 + 48, "negative durations are 0", double, 100.0, 55.0, 30.0, 30.0, 500.0, 0.0);
    // after the parent ended: async
    size_t flags_at = 64 + 3 * 48 + 4 * 24 + 2 * 16;
    EXPECT(&b, flags_at, "flags", uint16_t, 0, 0, 0, 0, 0, YG_TRACE_ASYNC);
    yg_buf_fini(&b);
}

static void orphans_cycles_and_twins(void **state) {
    (void)state;
    struct yg_trace_span spans[] = {
        {.start_ns = 5, .dur_ns = 1, .span_id = 10, .parent_id = 99}, // parent not stored
        {.start_ns = 6, .dur_ns = 1, .span_id = 11, .parent_id = 10},
        {.start_ns = 1, .dur_ns = 1, .span_id = 20, .parent_id = 21}, // a ring of two
        {.start_ns = 2, .dur_ns = 1, .span_id = 21, .parent_id = 20},
        {.start_ns = 3, .dur_ns = 1, .span_id = 30, .parent_id = 30}, // its own parent
        {.start_ns = 8, .dur_ns = 1, .span_id = 11, .parent_id = 10}, // sent twice
    };
    struct yg_trace_tree *t = tree_of(spans, 6);
    uint32_t seen = 0;
    for (uint32_t row = 0; row < 6; row++) {
        seen |= 1u << t->order[row];
        assert_true(t->parent[row] < (int32_t)row);
        assert_true(t->end[row] > row && t->end[row] <= 6);
    }
    assert_int_equal(seen, 63); // every span exactly once
    assert_true(t->parent_missing);
    assert_int_equal(t->order[0],
                     4); // roots by start: the one that is its own parent, then the orphan
    assert_int_equal(t->parent[0], -2);
    assert_int_equal(t->order[1], 0);
    assert_int_equal(t->parent[1], -2);
    assert_int_equal(t->end[1], 4);
    assert_int_equal(t->parent[2], 1);
    assert_int_equal(t->parent[3], 1);
    assert_int_equal(t->parent[4], -2); // the ring, opened at one place
    assert_int_equal(t->parent[5], 4);
    struct yg_buf b = YG_BUF(YG_MEM_QUERY, 1u << 20);
    assert_int_equal(yg_trace_block_write(t, (yg_id128){0, 1}, 6, arena, &b, &err), YG_OK);
    EXPECT(&b, 6, "flags: some parent missing", uint16_t, 2);
    yg_buf_fini(&b);
}

static void deep_and_wide(void **state) {
    (void)state;
    enum { N = 100000 };
    struct yg_trace_span *spans = yg_calloc(YG_MEM_QUERY, N, sizeof(*spans));
    for (uint32_t i = 0; i < N; i++) // one chain, given from the leaf to the root
        spans[i] = (struct yg_trace_span){.start_ns = N - i,
                                          .dur_ns = N,
                                          .span_id = i + 1,
                                          .parent_id = i + 1 < N ? i + 2 : 0,
                                          .service = YG_STR("s")};
    struct yg_trace_tree *t = tree_of(spans, N);
    assert_int_equal(t->order[0], N - 1);
    assert_int_equal(t->depth[N - 1], UINT16_MAX); // capped
    assert_int_equal(t->end[0], N);
    for (uint32_t i = 0; i < N; i++) // all children of one
        spans[i].parent_id = i == 0 ? 0 : 1;
    t = tree_of(spans, N);
    assert_int_equal(t->depth[N - 1], 1);
    struct yg_buf b = YG_BUF(YG_MEM_QUERY, 64u << 20);
    assert_int_equal(yg_trace_block_write(t, (yg_id128){0, 1}, N, arena, &b, &err), YG_OK);
    yg_buf_fini(&b);
    struct yg_buf small = YG_BUF(YG_MEM_QUERY, 1000);
    assert_int_equal(yg_trace_block_write(t, (yg_id128){0, 1}, N, arena, &small, &err), YG_ELIMIT);
    yg_buf_fini(&small);
    yg_free(YG_MEM_QUERY, spans);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(layout_is_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_trace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(self_time_is_without_children, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orphans_cycles_and_twins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deep_and_wide, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
