// SPDX-License-Identifier: Apache-2.0
// Regular expressions in searches: what they find, how they are refused, and that looking for a
// plain part first never changes the answer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "filter/internal.h"
#include "model/batch.h"

#define OK(call) assert_int_equal((call), YG_OK)
static struct yg_err err;
static uint64_t seed = 3;

static uint32_t below(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static bool finds(const char *expression, const char *text) {
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 4u << 20);
    struct yg_regex *re;
    if (yg_regex_compile(yg_str_c(expression), arena, &re, &err) != YG_OK)
        fail_msg("%s: %s", expression, err.text);
    bool found = yg_regex_match(re, yg_str_c(text));
    OK(yg_regex_check(re, &err));
    yg_arena_destroy(arena);
    return found;
}

static void test_needs(void **state) {
    (void)state;
    static const struct {
        const char *expression;
        const char *need;
    } cases[] = {
        {"timeout", "timeout"},
        {"^took [0-9]+ ms$", "took "},
        {"took \\d+ milliseconds", " milliseconds"},
        {"ab?cde", "cde"},
        {"abc+d", "abc"},
        {"abcd{2,3}e", "abc"},
        {"abcd*", "abc"},
        {"(abc|def)gh", "gh"},
        {"abc|def", ""},
        {"a(?!bcdef)g", "a"},
        {"(?i)ABC", "abc"},
        {"a(?i)bcd", ""},
        {"a\\.b\\\\c", "a.b\\c"},
        {"\\x41bcd", ""},
        {"[a-z]xyz[^]x]uvw", "xyz"},
        {"(*UTF)abc", ""},
        {"(?i)\xc3\xa9t\xc3\xa9zz", "zz"},
        {"\xe6\x97\xa5?abc", "abc"},
        {"", ""},
    };
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 4u << 20);
        struct yg_regex *re;
        bool odd;
        OK(yg_regex_compile(yg_str_c(cases[i].expression), arena, &re, &err));
        const struct yg_finder *need = yg_regex_need(re, &odd);
        if (!yg_str_eq_c((yg_str){need->bytes, need->len}, cases[i].need))
            fail_msg("%s needs \"%.*s\", wanted \"%s\"", cases[i].expression, (int)need->len,
                     need->bytes, cases[i].need);
        yg_arena_destroy(arena);
    }
}

static size_t random_of(const char *const *parts, uint32_t count, uint32_t most, char *out) {
    size_t n = 0;
    for (uint32_t k = 1 + below(most); k > 0; k--) {
        const char *p = parts[below(count)];
        memcpy(out + n, p, strlen(p));
        n += strlen(p);
    }
    out[n] = '\0';
    return n;
}

static void test_need_changes_nothing(void **state) {
    (void)state;
    static const char *const atoms[] = {"a",   "b",    "ab",   "k",      "\xc3\xa9", "K",    "s",
                                        ".",   "[ab]", "[^k]", "(ab|k)", "(?:a|)",   "\\d",  "1",
                                        "\\.", "^",    "$",    "(?=a)",  "(?!b)",    "\\bk", " "};
    static const char *const after[] = {"", "", "", "", "?", "*", "+", "{2}", "{0,1}", "+?", "*+"};
    static const char *const texts[] = {
        "a",        "b",        "k", "K", "s", "\xc5\xbf", "\xe2\x84\xaa",
        "\xc3\xa9", "\xc3\x89", "1", ".", " ", "ab",       "\xff"};
    uint32_t found = 0, missed = 0;
    for (uint32_t i = 0; i < 8000; i++) {
        char expression[256], plain[300], text[256];
        size_t n = (size_t)snprintf(expression, sizeof(expression), "%s", below(3) ? "" : "(?i)");
        for (uint32_t k = 1 + below(5); k > 0; k--) {
            const char *atom = atoms[below(sizeof(atoms) / sizeof(atoms[0]))];
            const char *quantifier = after[below(sizeof(after) / sizeof(after[0]))];
            if (strchr("^$", atom[0]) || atom[0] == '(')
                quantifier = "";
            n += (size_t)snprintf(expression + n, sizeof(expression) - n, "%s%s", atom, quantifier);
        }
        snprintf(plain, sizeof(plain), "(?:%s)|(?!)", expression); // has no part that it needs
        random_of(texts, sizeof(texts) / sizeof(texts[0]), 8, text);
        bool want = finds(plain, text);
        if (finds(expression, text) != want)
            fail_msg("%s on %s: %d without its need", expression, text, want);
        found += want;
        missed += !want;
    }
    assert_true(found > 1000 && missed > 1000);
}

// ------------------------------------------------------------ in searches

static struct yg_block *block_of(struct yg_batch *b, struct yg_arena *arena) {
    static const char *const messages[] = {"took 17 ms", "took seventeen ms", "TOOK 5 ms", ""};
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t r;
        OK(yg_batch_row(b, &r, &err));
        OK(yg_batch_set_i64(b, YG_STR("timestamp"), i, &err));
        OK(yg_batch_set_str(b, YG_STR("message"), yg_str_c(messages[i]), &err));
        OK(yg_batch_set_str(b, YG_STR("tags"), i ? YG_STR("env:prod,x:y") : YG_STR("env:dev"),
                            &err));
        OK(yg_batch_set_i64(b, YG_STR("@n"), 100 + i, &err));
        OK(yg_batch_set_json(b, YG_STR("@l"), i == 2 ? YG_STR("[\"aa\",\"b1\"]") : YG_STR("[]"),
                             &err));
        OK(yg_batch_set_id(b, YG_STR("trace_id"), (yg_id128){0, i}, &err));
    }
    struct yg_block *block;
    OK(yg_block_of_batch(b, arena, &block, &err));
    return block;
}

static yg_rc run(struct yg_block *b, const char *search, struct yg_arena *arena,
                 uint64_t *ret_rows) {
    struct yg_node *tree;
    struct yg_filter *f;
    YG_TRY(yg_search_parse(yg_str_c(search), &(struct yg_search_options){.track = YG_TRACK_LOGS},
                           arena, &tree, &err));
    OK(yg_filter_compile(tree, (struct yg_time_range){0, 100}, &f, &err));
    yg_rc rc = yg_filter_run(f, b, ret_rows, &err);
    yg_filter_destroy(f);
    return rc;
}

static void test_searches(void **state) {
    (void)state;
    static const struct {
        const char *search;
        uint64_t rows;
    } cases[] = {
        {"message:~\"took \\d+ ms\"", 1},
        {"message:~\"(?i)took \\d+ ms\"", 5},
        {"message:~\"^$\"", 8},
        {"-message:~\"took\" ", 12},
        {"env:~\"^pr.d$\"", 14},
        {"tags:~\"^x:\"", 14},
        {"@n:~\"^10[12]$\"", 6},
        {"@l:~\"^b\\d$\"", 4},
        {"trace_id:~\"0{31}[13]\"", 10},
        {"message:~\"took\" @n:~\"3$|00$\"", 1},
        {"@nosuch:~\"x\"", 0},
    };
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    struct yg_batch *batch = yg_batch_create(YG_TRACK_LOGS, 4u << 20);
    struct yg_block *b = block_of(batch, arena);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t rows[1] = {0};
        OK(run(b, cases[i].search, arena, rows));
        if (rows[0] != cases[i].rows)
            fail_msg("%s: rows %llx", cases[i].search, (unsigned long long)rows[0]);
    }
    yg_batch_destroy(batch);
    yg_arena_destroy(arena);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *search;
        const char *text;
    } cases[] = {
        {"a message:~\"b(c\"", "missing closing parenthesis, at its byte 4 (column 13)"},
        {"message:~\"", "this quote is not closed (column 10)"},
        {"message:~\"\"", "an empty expression finds nothing (column 10)"},
        {"message:~\"\\C\"", "\\C is disabled"},
    };
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 4u << 20);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t rows[1];
        assert_int_equal(run(NULL, cases[i].search, arena, rows), YG_EINPUT);
        if (strstr(err.text, cases[i].text) == NULL)
            fail_msg("%s: %s", cases[i].search, err.text);
    }
    char expression[YG_REGEX_BYTES_MAX + 2];
    struct yg_regex *re;
    memset(expression, 'a', sizeof(expression));
    assert_int_equal(yg_regex_compile((yg_str){expression, sizeof(expression)}, arena, &re, &err),
                     YG_ELIMIT);
    yg_arena_destroy(arena);
}

// An expression that would run for hours ends the query with an error.
static void test_costly(void **state) {
    (void)state;
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 4u << 20);
    struct yg_block *block;
    uint32_t r;
    uint64_t rows[1];
    OK(yg_batch_row(b, &r, &err));
    OK(yg_batch_set_i64(b, YG_STR("timestamp"), 1, &err));
    OK(yg_batch_set_str(b, YG_STR("@x"), YG_STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
                        &err));
    OK(yg_block_of_batch(b, arena, &block, &err));
    assert_int_equal(run(block, "@x:~\"^(a|a)*c?$\"", arena, rows), YG_EINPUT);
    assert_non_null(strstr(err.text, "100000 steps"));
    OK(run(block, "@x:~\"^a*b$\"", arena, rows));
    assert_int_equal(rows[0], 1);
    yg_batch_destroy(b);
    yg_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needs),    cmocka_unit_test(test_need_changes_nothing),
        cmocka_unit_test(test_searches), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_costly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
