// SPDX-License-Identifier: Apache-2.0
// The search grammar: recorded and refused vectors, columns of errors, canonical text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/file.h"
#include "codec/json_read.h"
#include "filter/filter.h"

static struct yg_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    return arena == NULL;
}

static int teardown(void **state) {
    (void)state;
    yg_arena_destroy(arena);
    return 0;
}

static yg_rc parse(yg_str text, enum yg_track track, struct yg_node **tree, struct yg_err *err) {
    struct yg_search_options options = {.track = track};
    *err = (struct yg_err){0};
    return yg_search_parse(text, &options, arena, tree, err);
}

// Canonical text of a search; the error text when it is refused.
static const char *canonical(const char *text, enum yg_track track) {
    struct yg_node *tree = NULL;
    struct yg_err err;
    if (parse(yg_str_c(text), track, &tree, &err) != YG_OK)
        return yg_arena_cstr(arena, yg_str_c(err.text));
    struct yg_buf out = YG_BUF(YG_MEM_QUERY, 1u << 20);
    yg_search_print(tree, &out);
    const char *copy = yg_arena_cstr(arena, yg_buf_str(&out));
    yg_buf_fini(&out);
    return copy;
}

static void check_vector(const struct yg_json_node *v) {
    yg_str q = yg_json_str_or(yg_json_get(v, "q"), (yg_str){0});
    struct yg_node *tree = NULL;
    struct yg_err err;
    yg_rc rc = parse(q, YG_TRACK_LOGS, &tree, &err);
    if (yg_json_bool_or(yg_json_get(v, "ok"), false)) {
        if (rc != YG_OK)
            fail_msg("\"%.*s\" must parse: %s", YG_STR_FMT(q), err.text);
        // Canonical text is a fixed point.
        const char *once = canonical(yg_arena_cstr(arena, q), YG_TRACK_LOGS);
        assert_string_equal(canonical(once, YG_TRACK_LOGS), once);
        return;
    }
    if (rc != YG_EINPUT)
        fail_msg("\"%.*s\" must be refused", YG_STR_FMT(q));
    char want[32];
    snprintf(want, sizeof(want), "(column %d)", (int)yg_json_i64_or(yg_json_get(v, "column"), -1));
    if (strstr(err.text, want) == NULL)
        fail_msg("\"%.*s\": expected %s in: %s", YG_STR_FMT(q), want, err.text);
}

static void test_vectors(void **state) {
    (void)state;
    struct yg_buf file = YG_BUF(YG_MEM_QUERY, 4u << 20);
    struct yg_err err = {0};
    struct yg_json_node *root = NULL;
    assert_int_equal(yg_file_read_all(YG_SOURCE_DIR "/test/vectors/search.json", &file, &err),
                     YG_OK);
    assert_int_equal(yg_json_parse(yg_buf_str(&file), arena, &root, &err), YG_OK);
    uint32_t count = 0;
    for (const struct yg_json_node *v = root->child; v; v = v->next, count++)
        check_vector(v);
    assert_true(count >= 60);
    yg_buf_fini(&file);
}

static void test_canonical(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"  ", "*"},
        {"a b OR c", "(a AND b) OR c"},
        {"a OR b c", "a OR (b AND c)"},
        {"-a OR NOT b", "NOT a OR NOT b"},
        {"NOT(a b)", "NOT (a AND b)"},
        {"service:foo", "service:\"foo\""},
        {"@x:(a OR b)", "@x:\"a\" OR @x:\"b\""},
        {"@x:(a b)", "@x:\"a\" AND @x:\"b\""},
        {"@x:(a AND -b)", "@x:\"a\" AND NOT @x:\"b\""},
        {"@n:>100", "@n:{\"100\" TO *]"},
        {"@n:<=5", "@n:[* TO \"5\"]"},
        {"@n:[* TO *]", "@n:*"},
        {"@n:[1 TO 5}", "@n:[\"1\" TO \"5\"}"},
        {"_exists_:a", "a:*"},
        {"_missing_:@a", "NOT @a:*"},
        {"@x:a\\*b*", "@x:a\\*b*"},
        {"@x:\"a*b\"", "@x:\"a*b\""},
        {"*:a*", "*:a*"},
        {"@x:~\"a\\d\\\"b\"", "@x:~\"a\\d\\\"b\""},
        {"*:*", "*"},
        {"CIDR(@ip, 10.0.0.0/8, 2001:db8::/32)", "CIDR(@ip, 10.0.0.0/8, 2001:db8::/32)"},
        {"\\AND", "\\AND"},
        {"host:a:8080", "host:\"a:8080\""},
        {"@user.first\\ name:x", "@user.first\\ name:\"x\""},
        {"first query - tf-Test", "first AND query AND \\- AND tf\\-Test"},
        {"\xe3\x82\xb5\xe3\x80\x80\xe3\x82\xad", "\xe3\x82\xb5 AND \xe3\x82\xad"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(canonical(rows[i].in, YG_TRACK_LOGS), rows[i].out);
}

static void test_columns_count_characters(void **state) {
    (void)state;
    assert_non_null(strstr(canonical("\xe3\x82\xb5\xe3\x82\xad (a", YG_TRACK_LOGS), "(column 4)"));
}

static void test_units(void **state) {
    (void)state;
    static const struct {
        const char *in;
        double ns;
    } rows[] = {{"@d:>7", 7},       {"@d:>7ns", 7},      {"@d:>2us", 2e3},  {"@d:>2\xc2\xb5s", 2e3},
                {"@d:>20ms", 20e6}, {"@d:>1.5s", 1.5e9}, {"@d:>2m", 120e9}, {"@d:>1h", 3600e9}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct yg_node *tree = NULL;
        struct yg_err err;
        assert_int_equal(parse(yg_str_c(rows[i].in), YG_TRACK_LOGS, &tree, &err), YG_OK);
        assert_int_equal(tree->kind, YG_NODE_RANGE);
        assert_true(tree->lo_f64 == rows[i].ns);
    }
}

static void expect_field(const char *name, enum yg_track track, enum yg_field_kind kind,
                         const char *column) {
    struct yg_field f;
    struct yg_err err = {0};
    assert_int_equal(yg_field_parse(yg_str_c(name), track, arena, &f, &err), YG_OK);
    assert_int_equal(f.kind, kind);
    assert_string_equal(yg_arena_cstr(arena, f.name), column);
}

static void test_field_kinds(void **state) {
    (void)state;
    expect_field("service", YG_TRACK_LOGS, YG_FIELD_RESERVED, "service");
    expect_field("env", YG_TRACK_LOGS, YG_FIELD_TAG, "env");
    expect_field("env", YG_TRACK_SPANS, YG_FIELD_RESERVED, "env");
    expect_field("@http.url", YG_TRACK_LOGS, YG_FIELD_ATTR, "@http.url");
    expect_field("source", YG_TRACK_SPANS, YG_FIELD_TAG, "source");
    expect_field("@duration", YG_TRACK_SPANS, YG_FIELD_RESERVED, "duration");
    expect_field("@duration", YG_TRACK_LOGS, YG_FIELD_ATTR, "@duration");
    expect_field("resource_name", YG_TRACK_TRACES, YG_FIELD_RESERVED, "resource_name");
    struct yg_field f;
    struct yg_err err = {0};
    assert_int_equal(yg_field_parse(YG_STR(""), YG_TRACK_LOGS, arena, &f, &err), YG_EINPUT);
    assert_int_equal(yg_field_parse(YG_STR("@"), YG_TRACK_LOGS, arena, &f, &err), YG_EINPUT);
}

static void test_no_fulltext(void **state) {
    (void)state;
    struct yg_search_options options = {.track = YG_TRACK_LOGS, .no_fulltext = true};
    struct yg_node *tree = NULL;
    struct yg_err err = {0};
    assert_int_equal(yg_search_parse(YG_STR("a *:x"), &options, arena, &tree, &err), YG_EINPUT);
    assert_non_null(strstr(err.text, "(column 3)"));
}

// Deep nesting and great length are refused, not run into.
static void test_limits(void **state) {
    (void)state;
    struct yg_node *tree = NULL;
    struct yg_err err;
    static char deep[20000], wide[40000];
    memset(deep, '(', sizeof(deep));
    assert_int_equal(parse((yg_str){deep, sizeof(deep)}, YG_TRACK_LOGS, &tree, &err), YG_EINPUT);
    memset(deep, '-', sizeof(deep));
    assert_int_equal(parse((yg_str){deep, sizeof(deep)}, YG_TRACK_LOGS, &tree, &err), YG_EINPUT);
    memset(wide, 'a', sizeof(wide));
    assert_int_equal(parse((yg_str){wide, sizeof(wide)}, YG_TRACK_LOGS, &tree, &err), YG_EINPUT);
    for (size_t i = 0; i < 30000; i++)
        wide[i] = i % 2 ? ' ' : 'a';
    assert_int_equal(parse((yg_str){wide, 30000}, YG_TRACK_LOGS, &tree, &err), YG_EINPUT);
    assert_non_null(strstr(err.text, "at most 10000 conditions"));
    assert_int_equal(parse((yg_str){wide, 15000}, YG_TRACK_LOGS, &tree, &err), YG_OK);
    assert_int_equal(tree->child_count, 7500);
}

// Random texts over the characters that mean something: refused or read, and read texts print to a
// fixed point.
static void test_random_texts(void **state) {
    (void)state;
    static const char *const pieces[] = {"a",
                                         "service",
                                         ":",
                                         "@x.y",
                                         " ",
                                         "(",
                                         ")",
                                         "\"",
                                         "\\",
                                         "*",
                                         "?",
                                         "-",
                                         "[",
                                         "]",
                                         "{",
                                         "}",
                                         " TO ",
                                         "AND",
                                         " OR ",
                                         "NOT ",
                                         ">=",
                                         "<",
                                         "1.5ms",
                                         "CIDR(",
                                         ",",
                                         "10.0.0.0/8",
                                         "\xe3\x82\xa8",
                                         "\xe3\x80\x80",
                                         "_exists_",
                                         "#",
                                         "=",
                                         "\xff",
                                         "tags",
                                         "status"};
    uint32_t seed = 12345, read = 0;
    for (uint32_t round = 0; round < 30000; round++) {
        char text[256];
        size_t len = 0;
        for (uint32_t n = 1 + round % 12; n > 0; n--) {
            seed = seed * 1664525u + 1013904223u;
            const char *piece = pieces[(seed >> 16) % (sizeof(pieces) / sizeof(pieces[0]))];
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", piece);
        }
        struct yg_arena *kept = arena;
        arena = yg_arena_create(YG_MEM_QUERY, 4u << 20);
        struct yg_node *tree = NULL;
        struct yg_err err;
        yg_rc rc = parse((yg_str){text, len}, YG_TRACK_LOGS, &tree, &err);
        if (rc == YG_OK) {
            const char *once = canonical(text, YG_TRACK_LOGS);
            const char *twice = canonical(once, YG_TRACK_LOGS);
            if (strcmp(once, twice) != 0)
                fail_msg("\"%s\" prints as \"%s\", then as \"%s\"", text, once, twice);
            read++;
        } else {
            assert_int_equal(rc, YG_EINPUT);
            assert_non_null(strstr(err.text, "(column "));
        }
        yg_arena_destroy(arena);
        arena = kept;
    }
    assert_true(read > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),     cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_units),       cmocka_unit_test(test_columns_count_characters),
        cmocka_unit_test(test_field_kinds), cmocka_unit_test(test_no_fulltext),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_random_texts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
