// SPDX-License-Identifier: Apache-2.0
// Time texts there and back, and what is not a time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void formats(void **state) {
    (void)state;
    struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(1709251199999999999), "2024-02-29T23:59:59.999Z"},
        {INT64_C(1770087612345000000), "2026-02-03T03:00:12.345Z"},
        {INT64_C(951782400000000000), "2000-02-29T00:00:00.000Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[YG_TIME_TEXT_BYTES];
        size_t n = yg_time_format_iso(cases[i].ns, out);
        assert_string_equal(out, cases[i].text);
        assert_int_equal(n, strlen(out));
    }
}

static void parses(void **state) {
    (void)state;
    struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"2026-02-03T03:00:12.345Z", INT64_C(1770087612345000000)},
        {"2026-02-03T12:00:12.345+09:00", INT64_C(1770087612345000000)},
        {"2026-02-03T12:00:12,345+0900", INT64_C(1770087612345000000)},
        {"2026-02-02 22:00:12.345-05", INT64_C(1770087612345000000)},
        {"2026-02-03T03:00:12", INT64_C(1770087612000000000)},
        {"2026-02-03T03:00", INT64_C(1770087600000000000)},
        {"1970-01-01T00:00:00.123456789Z", 123456789},
        {"1970-01-01T00:00:00.1234567891234Z", 123456789},
        {"1969-12-31T23:59:59Z", -1000000000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 0;
        assert_true(yg_time_parse_iso(yg_str_c(cases[i].text), &ns));
        assert_int_equal(ns, cases[i].ns);
    }
    const char *bad[] = {"",
                         "2026",
                         "2026-02-03",
                         "2026-02-30T00:00:00Z",
                         "2026-13-01T00:00:00Z",
                         "2026-02-03T24:00:00Z",
                         "2026-02-03T03:00:12.Z",
                         "2026-02-03T03:00:12Zx",
                         "2023-02-29T00:00:00Z",
                         "2026-02-03T03:00:12+9",
                         "9999-01-01T00:00:00Z",
                         "2026-02-03x03:00:12Z",
                         "2026-02-03T03:60:12Z"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ns = 5;
        assert_false(yg_time_parse_iso(yg_str_c(bad[i]), &ns));
        assert_int_equal(ns, 5);
    }
}

static void every_day_goes_round(void **state) {
    (void)state;
    for (int64_t day = -100000; day < 100000; day += 37) {
        int64_t ns = day * 86400 * YG_NS_PER_S + 45296 * YG_NS_PER_S;
        char out[YG_TIME_TEXT_BYTES];
        size_t n = yg_time_format_iso(ns, out);
        int64_t back = 0;
        assert_true(yg_time_parse_iso((yg_str){out, n}, &back));
        assert_int_equal(back, ns);
    }
}

static void clocks(void **state) {
    (void)state;
    int64_t a = yg_mono_ns(&yg_clock_system);
    assert_true(yg_mono_ns(&yg_clock_system) >= a);
    assert_true(yg_now_ns(&yg_clock_system) > INT64_C(1700000000) * YG_NS_PER_S);
    struct yg_clock fake = yg_clock_fake(5);
    assert_int_equal(yg_now_ns(&fake), 5);
    fake.fake_ns = 9;
    assert_int_equal(yg_mono_ns(&fake), 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),
        cmocka_unit_test(parses),
        cmocka_unit_test(every_day_goes_round),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
