// SPDX-License-Identifier: Apache-2.0
// JSON reader and writer: what is accepted, what is refused and where, and that both agree.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/json_read.h"
#include "codec/json_write.h"

#define ARENA_BYTES (1u << 20)

// Reads everything; the code of the first failure.
static yg_rc read_all(yg_str in, struct yg_err *err) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, ARENA_BYTES);
    struct yg_json j;
    yg_json_init(&j, in, arena);
    for (;;) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(&j, &t, err));
        if (t.kind == YG_JSON_END)
            return YG_OK;
    }
}

static void tokens_in_order(void **state) {
    (void)state;
    yg_str in = YG_STR(" {\"a\" : [1, -2.5, true, null, \"x\"], \"b\":{}} ");
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, ARENA_BYTES);
    struct yg_json j;
    yg_json_init(&j, in, arena);
    const enum yg_json_kind want[] = {
        YG_JSON_OBJECT_BEGIN, YG_JSON_KEY,  YG_JSON_ARRAY_BEGIN,  YG_JSON_INT,
        YG_JSON_DOUBLE,       YG_JSON_BOOL, YG_JSON_NULL,         YG_JSON_STRING,
        YG_JSON_ARRAY_END,    YG_JSON_KEY,  YG_JSON_OBJECT_BEGIN, YG_JSON_OBJECT_END,
        YG_JSON_OBJECT_END,   YG_JSON_END,  YG_JSON_END};
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct yg_json_token t = {0};
        assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
        assert_int_equal(t.kind, want[i]);
        if (i == 1) {
            assert_true(yg_str_eq_c(t.str, "a"));
            assert_int_equal(t.at, 2);
            assert_ptr_equal(t.str.ptr, in.ptr + 3); // borrowed, not copied
        }
        if (i == 3)
            assert_int_equal(t.i64, 1);
        if (i == 4)
            assert_true(t.f64 == -2.5);
    }
}

static void refuses_with_a_place(void **state) {
    (void)state;
    struct {
        const char *text;
        int at;
    } cases[] = {
        {"", 0},
        {"[1,]", 3},
        {"{\"a\":1,}", 7},
        {"[1 2]", 3},
        {"{a:1}", 1},
        {"01", 1},
        {"1.", 2},
        {"-", 0},
        {"[NaN]", 1},
        {"\"a", 0},
        {"\"a\nb\"", 2},
        {"[1]x", 3},
        {"{\"a\" 1}", 5},
        {"tru", 0},
        {"{\"a\":}", 5},
        {"[", 1},
        {"1e999", 0},
        {"]", 0},
        {"\"ab\xff\"", 3},
        {"\"\xed\xa0\x80\"", 1},
        {"{\"a\":1]", 6},
        {"[1}", 2},
        {"1e", 2},
        {"\xef\xbb\xbf{}", 0},
        {"\"\\", 0},
        {"{1:2}", 1},
        {"[\"a\\q\"]", 3},
        {"[\"\\u12g4\"]", 2},
        {"[\"\\u12\"]", 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yg_err err = {0};
        assert_int_equal(read_all(yg_str_c(cases[i].text), &err), YG_EINPUT);
        char want[40];
        (void)snprintf(want, sizeof(want), "JSON at byte %d:", cases[i].at);
        if (strncmp(err.text, want, strlen(want)) != 0)
            fail_msg("%s: %s, wanted byte %d", cases[i].text, err.text, cases[i].at);
    }
}

static void escapes(void **state) {
    (void)state;
    struct {
        const char *text;
        yg_str want;
    } cases[] = {
        {"\"\\n\\t\\\"\"", YG_STR("\n\t\"")},
        {"\"a long text without escapes at first \\n then one\"",
         YG_STR("a long text without escapes at first \n then one")},
        {"\"\\u0041\\u00e9\\u65e5\\ud83d\\ude00\"",
         YG_STR("A\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80")},
        {"\"\\ud83d\"", YG_STR("\xef\xbf\xbd")},
        {"\"\\ude00x\"", YG_STR("\xef\xbf\xbdx")},
        {"\"\\ud83d\\u0041\"", YG_STR("\xef\xbf\xbd"
                                      "A")},
        {"\"\\\"\\\\\\/\\b\\f\\r\"", YG_STR("\"\\/\b\f\r")},
        {"\"\\u0000\"", YG_STR("\0")},
    };
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, ARENA_BYTES);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yg_json j;
        struct yg_json_token t;
        yg_json_init(&j, yg_str_c(cases[i].text), arena);
        assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
        assert_int_equal(t.str.len, cases[i].want.len);
        assert_memory_equal(t.str.ptr, cases[i].want.ptr, t.str.len);
    }
}

// Every position of quote and escape relative to the 16-byte blocks.
static void block_borders(void **state) {
    (void)state;
    for (size_t n = 0; n < 70; n++)
        for (size_t esc = 0; esc <= n; esc += 3) {
            char text[160];
            size_t len = 0;
            text[len++] = '"';
            for (size_t i = 0; i < n; i++) {
                if (i == esc) {
                    text[len++] = '\\';
                    text[len++] = 'n';
                }
                text[len++] = (char)('a' + i % 26);
            }
            text[len++] = '"';
            YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, ARENA_BYTES);
            char *heap = yg_arena_alloc(arena, len); // so that reading past the end is seen
            assert_non_null(heap);
            memcpy(heap, text, len);
            struct yg_json j;
            struct yg_json_token t;
            yg_json_init(&j, (yg_str){heap, len}, arena);
            assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
            assert_int_equal(t.str.len, n + (esc < n ? 1 : 0));
            if (esc < n)
                assert_int_equal(t.str.ptr[esc], '\n');
            assert_int_equal(j.pos, len);
        }
}

static void skipping_and_raw(void **state) {
    (void)state;
    yg_str in = YG_STR("{\"skip\":{\"a\":[1,{\"b\":\"]}\\n\"}]},\"raw\": [ 1 ,2] ,\"n\":7}");
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, ARENA_BYTES);
    struct yg_json j;
    struct yg_json_token t;
    yg_json_init(&j, in, arena);
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_int_equal(yg_json_skip(&j, &t, NULL), YG_OK);
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_true(yg_str_eq_c(t.str, "raw"));
    yg_str raw;
    assert_int_equal(yg_json_raw(&j, &t, &raw, NULL), YG_OK);
    assert_true(yg_str_eq_c(raw, "[ 1 ,2]"));
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_int_equal(t.i64, 7);
    assert_int_equal(yg_arena_used(arena), 0); // skipping copies nothing
    yg_json_init(&j, YG_STR("[[1,\"\\q\"]]"), arena);
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_int_equal(yg_json_skip(&j, &t, NULL), YG_EINPUT); // skipped text is checked all the same
}

static void depth_and_memory_limits(void **state) {
    (void)state;
    char text[400];
    memset(text, '[', sizeof(text));
    struct yg_err err;
    assert_int_equal(read_all((yg_str){text, 129}, &err), YG_EINPUT);
    assert_string_equal(err.text, "JSON at byte 128: deeper than 128");
    memset(text + 128, ']', 128);
    assert_int_equal(read_all((yg_str){text, 256}, &err), YG_OK);
    YG_AUTO_ARENA tiny = yg_arena_create(YG_MEM_BASE, 64);
    struct yg_json j;
    struct yg_json_token t;
    memset(text, 'a', 300);
    text[0] = '"';
    text[10] = '\\';
    text[11] = 'n';
    text[299] = '"';
    yg_json_init(&j, (yg_str){text, 300}, tiny);
    assert_int_equal(yg_json_next(&j, &t, &err), YG_ENOMEM);
    struct yg_json_node *root;
    assert_int_equal(yg_json_parse(YG_STR("[1,2,3,4]"), tiny, &root, &err), YG_ENOMEM);
}

static void tree(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, ARENA_BYTES);
    struct yg_json_node *root;
    yg_str in =
        YG_STR("{\"data\":{\"attributes\":{\"name\":\"x\",\"n\":3.0,\"big\":1e300,\"ok\":true,"
               "\"list\":[1,[2],{}]}},\"dup\":1,\"dup\":2}");
    assert_int_equal(yg_json_parse(in, arena, &root, NULL), YG_OK);
    const struct yg_json_node *a = yg_json_path(root, "data.attributes");
    assert_true(yg_json_is(a, YG_JSON_OBJECT_BEGIN));
    assert_int_equal(a->count, 5);
    assert_true(yg_str_eq_c(yg_json_str_or(yg_json_get(a, "name"), YG_STR("-")), "x"));
    assert_int_equal(yg_json_i64_or(yg_json_get(a, "n"), -1), 3);
    assert_int_equal(yg_json_i64_or(yg_json_get(a, "big"), -1), -1);
    assert_true(yg_json_bool_or(yg_json_get(a, "ok"), false));
    assert_true(yg_json_f64_or(yg_json_get(a, "absent"), 1.5) == 1.5);
    const struct yg_json_node *list = yg_json_get(a, "list");
    assert_int_equal(list->count, 3);
    assert_true(yg_str_eq_c(list->raw, "[1,[2],{}]"));
    assert_true(yg_str_eq_c(list->child->next->raw, "[2]"));
    assert_int_equal(yg_json_i64_or(yg_json_get(root, "dup"), 0), 2);
    assert_null(yg_json_path(root, "data.nothing.name"));
    assert_null(yg_json_get(NULL, "x"));
}

static void big_integers(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, ARENA_BYTES);
    struct yg_json j;
    struct yg_json_token t;
    yg_json_init(&j, YG_STR("[9223372036854775807,18446744073709551615,-0]"), arena);
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_int_equal(t.kind, YG_JSON_INT);
    assert_int_equal(t.i64, INT64_MAX);
    assert_int_equal(yg_json_next(&j, &t, NULL), YG_OK);
    assert_int_equal(t.kind, YG_JSON_DOUBLE);
    assert_true(yg_str_eq_c(t.str, "18446744073709551615")); // the text keeps what a double cannot
}

static void writer(void **state) {
    (void)state;
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1 << 16);
    struct yg_json_writer w = YG_JSON_WRITER(&b);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "s", YG_STR("q\" b\\ n\n \x01 \xff é 0123456789abcdef \x7f"));
    yg_jw_k(&w, "a");
    yg_jw_array(&w);
    yg_jw_i64(&w, INT64_MIN);
    yg_jw_u64(&w, UINT64_MAX);
    yg_jw_f64(&w, 0.1);
    yg_jw_f64(&w, 1e21);
    yg_jw_f64(&w, (double)NAN);
    yg_jw_f64_float(&w, 3);
    yg_jw_f64_float(&w, 2.5);
    yg_jw_u64_str(&w, 7);
    yg_jw_i64_str(&w, -7);
    yg_jw_raw(&w, YG_STR("{\"r\":1}"));
    yg_jw_array_end(&w);
    yg_jw_k(&w, "o");
    yg_jw_object(&w);
    yg_jw_object_end(&w);
    yg_jw_kbool(&w, "t", true);
    yg_jw_ki64(&w, "i", 5);
    yg_jw_kf64(&w, "f", 5);
    yg_jw_knull(&w, "z");
    yg_jw_object_end(&w);
    assert_int_equal(yg_buf_ok(&b, NULL), YG_OK);
    yg_str got = yg_buf_str(&b);
    yg_str want = YG_STR(
        "{\"s\":\"q\\\" b\\\\ n\\n \\u0001 \xef\xbf\xbd é 0123456789abcdef \x7f\","
        "\"a\":[-9223372036854775808,18446744073709551615,0.1,1e+21,null,3.0,2.5,\"7\",\"-7\","
        "{\"r\":1}],\"o\":{},\"t\":true,\"i\":5,\"f\":5,\"z\":null}");
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.ptr, got.len);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, ARENA_BYTES);
    struct yg_json_node *root;
    assert_int_equal(yg_json_parse(got, arena, &root, NULL), YG_OK);
    assert_true(yg_str_eq_c(yg_json_str_or(yg_json_get(root, "s"), YG_STR("")),
                            "q\" b\\ n\n \x01 \xef\xbf\xbd é 0123456789abcdef \x7f"));
}

static void doubles_read_back(void **state) {
    (void)state;
    uint64_t seed = 7;
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1 << 16);
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        double v;
        memcpy(&v, &seed, sizeof(v));
        if (!isfinite(v))
            continue;
        yg_buf_reset(&b);
        struct yg_json_writer w = YG_JSON_WRITER(&b);
        yg_jw_f64(&w, v);
        double back;
        assert_true(yg_str_to_f64(yg_buf_str(&b), &back));
        assert_true(back == v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_in_order),
        cmocka_unit_test(refuses_with_a_place),
        cmocka_unit_test(escapes),
        cmocka_unit_test(block_borders),
        cmocka_unit_test(skipping_and_raw),
        cmocka_unit_test(depth_and_memory_limits),
        cmocka_unit_test(tree),
        cmocka_unit_test(big_integers),
        cmocka_unit_test(writer),
        cmocka_unit_test(doubles_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
