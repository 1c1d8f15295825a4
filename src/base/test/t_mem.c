// SPDX-License-Identifier: Apache-2.0
// Accounts, limits, buffers and arenas: every limit is met exactly, and every byte is given back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

static void accounts_balance(void **state) {
    (void)state;
    int64_t before = yg_mem_used(YG_MEM_QUERY);
    void *a = yg_alloc(YG_MEM_QUERY, 1000);
    void *b = yg_calloc(YG_MEM_QUERY, 10, 10);
    assert_true(yg_mem_used(YG_MEM_QUERY) >= before + 1100);
    a = yg_realloc(YG_MEM_QUERY, a, 100000);
    assert_true(yg_mem_used(YG_MEM_QUERY) >= before + 100100);
    assert_int_equal(((char *)b)[99], 0);
    char *copy = yg_strndup(YG_MEM_QUERY, "abc", 2);
    assert_string_equal(copy, "ab");
    yg_free(YG_MEM_QUERY, copy);
    yg_free(YG_MEM_QUERY, a);
    yg_free(YG_MEM_QUERY, b);
    yg_free(YG_MEM_QUERY, NULL);
    assert_int_equal(yg_mem_used(YG_MEM_QUERY), before);
}

static void limit_refuses(void **state) {
    (void)state;
    yg_mem_limit_set(YG_MEM_CACHE, 4096);
    void *a = yg_try_alloc(YG_MEM_CACHE, 3000);
    assert_non_null(a);
    assert_null(yg_try_alloc(YG_MEM_CACHE, 3000));
    assert_null(yg_try_alloc(YG_MEM_CACHE, SIZE_MAX));
    assert_null(yg_try_realloc(YG_MEM_CACHE, a, 5000));
    a = yg_try_realloc(YG_MEM_CACHE, a, 100); // smaller is always allowed
    assert_non_null(a);
    assert_true(yg_mem_charge(YG_MEM_CACHE, 3500));
    assert_false(yg_mem_charge(YG_MEM_CACHE, 3500));
    assert_false(yg_mem_over(YG_MEM_CACHE));
    void *b = yg_alloc(YG_MEM_CACHE, 3000); // sizes of our own are never refused, only counted
    assert_true(yg_mem_over(YG_MEM_CACHE));
    assert_null(yg_try_alloc(YG_MEM_CACHE, 1));
    assert_true(yg_mem_charge(YG_MEM_CACHE, -3500));
    yg_free(YG_MEM_CACHE, a);
    yg_free(YG_MEM_CACHE, b);
    assert_int_equal(yg_mem_used(YG_MEM_CACHE), 0);
    yg_mem_limit_set(YG_MEM_CACHE, 0);
    assert_string_equal(yg_mem_tag_name(YG_MEM_CACHE), "cache");
}

static void injected_failure_comes_at_n(void **state) {
    (void)state;
    yg_mem_test_fail_at(2);
    void *a = yg_try_alloc(YG_MEM_BASE, 1);
    assert_non_null(a);
    assert_null(yg_try_alloc(YG_MEM_BASE, 1));
    assert_null(yg_try_alloc(YG_MEM_BASE, 1));
    yg_mem_test_fail_at(0);
    yg_free(YG_MEM_BASE, a);
}

// Too little memory is not the same as too large: whoever can free some tries again.
static void buffer_finds_no_memory(void **state) {
    (void)state;
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1000);
    struct yg_err err;
    yg_mem_test_fail_at(1);
    yg_buf_putc(&b, 'x');
    yg_mem_test_fail_at(0);
    assert_int_equal(yg_buf_ok(&b, &err), YG_ENOMEM);
    yg_buf_puts(&b, YG_STR("later")); // a hole would be worse
    assert_int_equal(b.len, 0);
    yg_buf_reset(&b);
    yg_buf_puts(&b, YG_STR("anew"));
    assert_int_equal(yg_buf_ok(&b, &err), YG_OK);
}

static void buffer_meets_its_limit(void **state) {
    (void)state;
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1000);
    struct yg_err err;
    for (int i = 0; i < 10; i++)
        assert_int_equal(yg_buf_append(&b, YG_STR("0123456789"), &err), YG_OK);
    yg_buf_printf(&b, "%0900d", 7);
    assert_int_equal(b.len, 1000);
    assert_int_equal(yg_buf_ok(&b, &err), YG_OK);
    assert_int_equal(yg_buf_append(&b, YG_STR("x"), &err), YG_ELIMIT);
    assert_non_null(strstr(err.text, "1000"));
    assert_int_equal(yg_buf_ok(&b, &err), YG_OK);
    yg_buf_putc(&b, 'x');
    yg_buf_puts(&b, YG_STR(""));
    assert_int_equal(yg_buf_ok(&b, &err), YG_ELIMIT);
    assert_int_equal(b.len, 1000);
    yg_buf_reset(&b);
    assert_int_equal(yg_buf_ok(&b, &err), YG_OK);
    yg_buf_puts(&b, YG_STR("moved"));
    struct yg_buf other;
    yg_buf_move(&b, &other);
    assert_null(b.ptr);
    assert_true(yg_str_eq(yg_buf_str(&other), YG_STR("moved")));
    yg_buf_fini(&other);
    yg_mem_test_fail_at(1);
    assert_int_equal(yg_buf_append(&b, YG_STR("x"), &err), YG_ENOMEM);
    yg_mem_test_fail_at(0);
}

static int calls;
static void note_call(void *arg) {
    assert_int_equal(calls, *(const int *)arg);
    calls++;
}

static void arena_aligns_grows_and_defers(void **state) {
    (void)state;
    int64_t before = yg_mem_used(YG_MEM_QUERY);
    {
        YG_AUTO_ARENA a = yg_arena_create(YG_MEM_QUERY, 1 << 20);
        static const int first = 0;
        static const int second = 1;
        assert_true(yg_arena_defer(a, note_call, (void *)(uintptr_t)&second));
        assert_true(yg_arena_defer(a, note_call, (void *)(uintptr_t)&first));
        for (size_t n = 0; n < 300; n++) {
            unsigned char *p = yg_arena_alloc(a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            memset(p, 0xa5, n);
        }
        uint32_t *list = NULL;
        uint32_t len = 0;
        uint32_t cap = 0;
        for (uint32_t i = 0; i < 1000; i++) {
            assert_true(YG_ARENA_GROW(a, list, len, cap));
            list[len++] = i;
        }
        for (uint32_t i = 0; i < 1000; i++)
            assert_int_equal(list[i], i);
        assert_true(yg_str_eq_c(yg_arena_printf(a, "%d-%s", 5, "x"), "5-x"));
        assert_string_equal(yg_arena_cstr(a, YG_STR("abc")), "abc");
        assert_true(yg_str_eq_c(yg_arena_str(a, YG_STR("copy")), "copy"));
        assert_non_null(yg_arena_str(a, YG_STR("")).ptr);
        calls = 0;
        yg_arena_reset(a);
        assert_int_equal(calls, 2);
        assert_int_equal(yg_arena_used(a), 0);
    }
    assert_int_equal(yg_mem_used(YG_MEM_QUERY), before);
}

static void arena_stops_at_its_limit(void **state) {
    (void)state;
    YG_AUTO_ARENA a = yg_arena_create(YG_MEM_QUERY, 10000);
    size_t got = 0;
    while (yg_arena_alloc(a, 64))
        got += 64;
    assert_true(got <= 10000 && got > 9000);
    assert_null(yg_arena_alloc(a, 5000));
    assert_null(yg_arena_alloc(a, SIZE_MAX));
    assert_null(yg_arena_calloc(a, SIZE_MAX / 2, 3));
    assert_null(yg_arena_str(a, (yg_str){"x", 20000}).ptr);
    yg_arena_reset(a);
    assert_non_null(yg_arena_alloc(a, 5000));
    yg_arena_reset(a);
    yg_mem_test_fail_at(1);
    assert_null(yg_arena_alloc(a, 9000));
    yg_mem_test_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accounts_balance),
        cmocka_unit_test(limit_refuses),
        cmocka_unit_test(injected_failure_comes_at_n),
        cmocka_unit_test(buffer_finds_no_memory),
        cmocka_unit_test(buffer_meets_its_limit),
        cmocka_unit_test(arena_aligns_grows_and_defers),
        cmocka_unit_test(arena_stops_at_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
