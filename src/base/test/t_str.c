// SPDX-License-Identifier: Apache-2.0
// Strings, numbers, UTF-8, hashes, maps, errors, counters and random text.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/counter.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/utf8.h"

static void searching(void **state) {
    (void)state;
    yg_str s = YG_STR("hello world");
    assert_int_equal(yg_str_find(s, YG_STR("o"), 0), 4);
    assert_int_equal(yg_str_find(s, YG_STR("o"), 5), 7);
    assert_int_equal(yg_str_find(s, YG_STR("ox"), 0), SIZE_MAX);
    assert_int_equal(yg_str_find(s, YG_STR(""), 11), 11);
    assert_int_equal(yg_str_find(s, YG_STR("d"), 99), SIZE_MAX);
    assert_int_equal(yg_str_find_char(s, 'w', 0), 6);
    assert_int_equal(yg_str_rfind_char(s, 'l'), 9);
    assert_int_equal(yg_str_rfind_char(YG_STR(""), 'l'), SIZE_MAX);
    assert_true(yg_str_starts(s, YG_STR("hell")));
    assert_false(yg_str_starts(YG_STR("h"), s));
    assert_true(yg_str_ends(s, YG_STR("world")));
    assert_true(yg_str_eq_nocase(YG_STR("AbC"), YG_STR("aBc")));
    assert_false(yg_str_eq_nocase(YG_STR("AbC"), YG_STR("aBd")));
    assert_true(yg_str_cmp(YG_STR("a"), YG_STR("ab")) < 0);
    assert_true(yg_str_cmp(YG_STR("b"), YG_STR("ab")) > 0);
    assert_int_equal(yg_str_cmp(s, s), 0);
    assert_true(yg_str_eq_c(yg_str_sub(s, 6, 99), "world"));
    assert_true(yg_str_eq_c(yg_str_trim(YG_STR(" \t x \n")), "x"));
    assert_int_equal(yg_str_trim(YG_STR("  ")).len, 0);
}

static void splitting(void **state) {
    (void)state;
    const char *want[] = {"a", "", "b", ""};
    yg_str rest = YG_STR("a,,b,");
    yg_str piece;
    int n = 0;
    while (yg_str_split(&rest, ',', &piece)) {
        assert_true(n < 4);
        assert_true(yg_str_eq_c(piece, want[n++]));
    }
    assert_int_equal(n, 4);
}

static void whole_numbers(void **state) {
    (void)state;
    int64_t i = 7;
    uint64_t u = 7;
    assert_true(yg_str_to_i64(YG_STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(yg_str_to_i64(YG_STR("9223372036854775807"), &i) && i == INT64_MAX);
    assert_false(yg_str_to_i64(YG_STR("9223372036854775808"), &i));
    assert_true(yg_str_to_u64(YG_STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(yg_str_to_u64(YG_STR("18446744073709551616"), &u));
    const char *bad[] = {"", "-", "1 ", " 1", "1a", "--1", "0x1"};
    for (size_t k = 0; k < 7; k++) {
        assert_false(yg_str_to_i64(yg_str_c(bad[k]), &i));
        assert_false(yg_str_to_u64(yg_str_c(bad[k]), &u));
    }
    assert_true(yg_str_hex_to_u64(YG_STR("ffFF"), &u) && u == 0xffff);
    assert_false(yg_str_hex_to_u64(YG_STR("00000000000000001"), &u));
    assert_false(yg_str_hex_to_u64(YG_STR("g"), &u));
}

static void decimal_numbers(void **state) {
    (void)state;
    const char *good[] = {"0",
                          "-0.0",
                          "1.5",
                          "1e22",
                          "1e23",
                          "123456789012345678",
                          "0.1",
                          "-2.5e-3",
                          "5e-324",
                          "1.7976931348623157e308",
                          ".5",
                          "5.",
                          "12345678901234567890123.25",
                          "0.000000000000000000000000001",
                          "1e-400"};
    for (size_t k = 0; k < sizeof(good) / sizeof(good[0]); k++) {
        double v;
        assert_true(yg_str_to_f64(yg_str_c(good[k]), &v));
        assert_true(v == strtod(good[k], NULL)); // the C library is the oracle
    }
    const char *bad[] = {"", ".", "e5", "1e", "nan", "inf", "0x10", "1.2.3", "1 ", "1e999", "+-1"};
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        double v;
        assert_false(yg_str_to_f64(yg_str_c(bad[k]), &v));
    }
}

static void utf8_validity(void **state) {
    (void)state;
    const yg_str good[] = {YG_STR(""), YG_STR("plain text longer than sixteen bytes"),
                           YG_STR("日本語のログ、監視"), YG_STR("\xf0\x9f\x98\x80 \xc3\xa9")};
    for (size_t k = 0; k < 4; k++)
        assert_int_equal(yg_utf8_check(good[k]), good[k].len);
    struct {
        yg_str text;
        size_t at;
    } bad[] = {
        {YG_STR("ab\xc0\x80"), 2},       {YG_STR("\xed\xa0\x80"), 0},
        {YG_STR("\xf4\x90\x80\x80"), 0}, {YG_STR("abcdefghijklmnopqrst\xff"), 20},
        {YG_STR("\xe3\x81"), 0},         {YG_STR("\xe0\x80\x80"), 0},
        {YG_STR("\xf0\x80\x80\x80"), 0}, {YG_STR("\xc3\xa9\x80"), 2},
    };
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
        assert_int_equal(yg_utf8_check(bad[k].text), bad[k].at);
}

static void utf8_round_trip(void **state) {
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10ffff; cp += cp < 0x3000 ? 1 : 251) {
        if (cp >= 0xd800 && cp <= 0xdfff)
            continue;
        char bytes[4];
        size_t n = yg_utf8_put(cp, bytes);
        size_t at = 0;
        assert_int_equal(yg_utf8_next((yg_str){bytes, n}, &at), cp);
        assert_int_equal(at, n);
    }
    size_t at = 0;
    assert_int_equal(yg_utf8_next(YG_STR("\xffz"), &at), 0xfffd);
    assert_int_equal(at, 1);
}

static void folding_and_words(void **state) {
    (void)state;
    assert_int_equal(yg_utf8_fold('A'), 'a');
    assert_int_equal(yg_utf8_fold(0xc9), 0xe9);     // É
    assert_int_equal(yg_utf8_fold(0x416), 0x436);   // Ж
    assert_int_equal(yg_utf8_fold(0x100), 0x101);   // Ā
    assert_int_equal(yg_utf8_fold(0x101), 0x101);   // ā
    assert_int_equal(yg_utf8_fold(0xff21), 0xff41); // full-width A
    assert_int_equal(yg_utf8_fold(0x3042), 0x3042); // あ
    assert_true(yg_utf8_is_word('_'));
    assert_true(yg_utf8_is_word('7'));
    assert_false(yg_utf8_is_word('-'));
    assert_true(yg_utf8_is_word(0x65e5));  // 日
    assert_true(yg_utf8_is_word(0x30fc));  // ー, a letter in katakana words
    assert_false(yg_utf8_is_word(0x3001)); // 、
    assert_false(yg_utf8_is_word(0x1f600));
}

static void hashes(void **state) {
    (void)state;
    assert_int_equal(yg_crc32c(0, "123456789", 9), 0xe3069283u); // the check value of CRC-32C
    unsigned char data[300];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7 + 3);
    for (size_t n = 0; n <= sizeof(data); n++) {
        assert_int_equal(yg_crc32c(0, data, n), yg_crc32c_scalar(0, data, n));
        uint32_t split = yg_crc32c(yg_crc32c(0, data, n / 2), data + n / 2, n - n / 2);
        assert_int_equal(split, yg_crc32c(0, data, n));
    }
    assert_true(yg_hash("a", 1) == yg_hash("a", 1) && yg_hash("a", 1) != yg_hash("b", 1));
    assert_true(yg_hash_stable("", 0) == UINT64_C(0x2d06800538d394c2)); // XXH3-64 of nothing
    uint64_t wide[2];
    yg_hash_stable128("", 0, wide);
    assert_true(wide[0] == UINT64_C(0x6001c324468d497f)); // low half of XXH3-128 of nothing
}

static void map_against_a_list(void **state) {
    (void)state;
    struct yg_map m = YG_MAP(YG_MEM_BASE, true);
    static uint64_t want[2000]; // value + 1 of key i; 0 = not there
    uint64_t seed = 42;
    for (int step = 0; step < 20000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t i = (uint32_t)(seed >> 33) % 2000;
        char key[16];
        yg_str k = {key, (size_t)snprintf(key, sizeof(key), "key-%u", i)};
        if (seed >> 20 & 1) {
            bool fresh;
            uint64_t *slot = yg_map_put(&m, k, &fresh);
            assert_int_equal(fresh, want[i] == 0);
            *slot = (uint64_t)step;
            want[i] = (uint64_t)step + 1;
        } else {
            assert_int_equal(yg_map_remove(&m, k), want[i] != 0);
            want[i] = 0;
        }
    }
    uint32_t there = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        char key[16];
        yg_str k = {key, (size_t)snprintf(key, sizeof(key), "key-%u", i)};
        const uint64_t *slot = yg_map_get(&m, k);
        assert_int_equal(slot != NULL, want[i] != 0);
        if (slot) {
            assert_int_equal(*slot + 1, want[i]);
            there++;
        }
    }
    uint32_t at = 0;
    uint32_t walked = 0;
    yg_str k;
    uint64_t v;
    while (yg_map_next(&m, &at, &k, &v))
        walked++;
    assert_int_equal(walked, there);
    assert_int_equal(m.len, there);
    yg_map_fini(&m);
    assert_null(yg_map_get(&m, YG_STR("key-1")));
}

static void errors_say_where(void **state) {
    (void)state;
    struct yg_err err = {0};
    assert_int_equal(yg_fail(&err, YG_EINPUT, "byte %d", 7), YG_EINPUT);
    assert_string_equal(err.text, "byte 7");
    assert_non_null(strstr(err.file, "t_str.c"));
    assert_int_equal(yg_err_wrap(&err, "segment %d", 12), YG_EINPUT);
    assert_string_equal(err.text, "segment 12: byte 7");
    errno = ENOENT;
    assert_int_equal(yg_fail_errno(&err, "open x"), YG_EIO);
    assert_string_equal(err.text, "open x: No such file or directory");
    assert_int_equal(err.sys_errno, ENOENT);
    assert_int_equal(yg_fail(NULL, YG_EBUSY, "nobody listens"), YG_EBUSY);
    for (int i = 0; i < 50; i++)
        (void)yg_err_wrap(&err, "a long fact number %d", i);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    for (int rc = 0; rc < YG_RC_COUNT; rc++)
        assert_non_null(yg_rc_name((yg_rc)rc));
}

static void sum_counter(void *ctx, const struct yg_counter *c, int64_t value) {
    if (strcmp(c->name, "t.one") == 0)
        *(int64_t *)ctx += value;
}

static void counters(void **state) {
    (void)state;
    struct yg_counter *a = yg_counter_get(YG_COUNTER, "t.one", "k:a");
    struct yg_counter *b = yg_counter_get(YG_COUNTER, "t.one", "k:b");
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(a, yg_counter_get(YG_COUNTER, "t.one", "k:a"));
    yg_counter_add(a, 2);
    yg_counter_add(b, 3);
    int64_t sum = 0;
    yg_counter_each(sum_counter, &sum);
    assert_int_equal(sum, 5);
    for (int i = 0; i < 5000; i++) {
        char tags[16];
        (void)snprintf(tags, sizeof(tags), "i:%d", i);
        assert_non_null(yg_counter_get(YG_COUNTER, "t.flood", tags));
    }
    struct yg_counter *over = yg_counter_get(YG_COUNTER, "t.flood", "i:4999");
    assert_string_equal(over->name, "yagura.counters.overflow");
}

static void random_text(void **state) {
    (void)state;
    char a[YG_UUID_TEXT_BYTES];
    char b[YG_UUID_TEXT_BYTES];
    yg_uuid_v4(a);
    yg_uuid_v4(b);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
    assert_string_not_equal(a, b);
    char hex[100];
    yg_rand_hex(hex, sizeof(hex));
    for (size_t i = 0; i < sizeof(hex); i++)
        assert_true((hex[i] >= '0' && hex[i] <= '9') || (hex[i] >= 'a' && hex[i] <= 'f'));
}

static void bits(void **state) {
    (void)state;
    uint64_t b[3];
    yg_bits_zero(b, 130);
    yg_bits_set(b, 0);
    yg_bits_set(b, 64);
    yg_bits_set(b, 129);
    assert_int_equal(yg_bits_count(b, 130), 3);
    assert_int_equal(yg_bits_next(b, 130, 1), 64);
    assert_int_equal(yg_bits_next(b, 130, 65), 129);
    yg_bits_clear(b, 129);
    assert_int_equal(yg_bits_next(b, 130, 65), 130);
    yg_bits_fill(b, 130);
    assert_int_equal(yg_bits_count(b, 130), 130);
    assert_int_equal(b[2], 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searching),
        cmocka_unit_test(splitting),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(decimal_numbers),
        cmocka_unit_test(utf8_validity),
        cmocka_unit_test(utf8_round_trip),
        cmocka_unit_test(folding_and_words),
        cmocka_unit_test(hashes),
        cmocka_unit_test(map_against_a_list),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(counters),
        cmocka_unit_test(random_text),
        cmocka_unit_test(bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
