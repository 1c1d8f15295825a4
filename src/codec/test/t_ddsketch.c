// SPDX-License-Identifier: Apache-2.0
// Sketches: the agents' keys, relative error, exact merges, the stored form and damage to it.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/ddsketch.h"

// Keys as round-half-even(ln v / ln1p(1/64)) + 1338, worked out with 50 digits.
static void golden_keys(void **state) {
    (void)state;
    struct {
        double value;
        int32_t key;
    } cases[] = {
#include "codec/test/sketch_keys.inc"
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(yg_sketch_key(cases[i].value), cases[i].key);
        assert_int_equal(yg_sketch_key(-cases[i].value), -cases[i].key);
    }
    assert_int_equal(yg_sketch_key(0), 0);
    assert_int_equal(yg_sketch_key(9e-10), 0);
    assert_int_equal(yg_sketch_key((double)NAN), 0);
    assert_int_equal(yg_sketch_key((double)INFINITY), 32767);
    assert_int_equal(yg_sketch_key(-(double)INFINITY), -32767);
    assert_int_equal(yg_sketch_key(1.7e308), 32767);
    assert_true(yg_sketch_value(1338) == 1.0);
    assert_true(yg_sketch_value(-1339) == -1.015625);
    assert_true(yg_sketch_value(0) == 0);
    assert_true(isinf(yg_sketch_value(32767)));
}

static void keys_and_values_agree(void **state) {
    (void)state;
    for (int32_t k = 1; k < 32767; k++)
        assert_int_equal(yg_sketch_key(yg_sketch_value(k)), k);
    for (double v = 1e-8; v < 1e12; v *= 1.0007)
        assert_true(fabs(yg_sketch_value(yg_sketch_key(v)) - v) <= v / 128);
}

static void quantiles(void **state) {
    (void)state;
    YG_AUTO(yg_sketch) s = YG_SKETCH(YG_MEM_BASE);
    assert_true(isnan(yg_sketch_quantile(&s, 0.5)));
    for (int i = 1; i <= 1000; i++)
        yg_sketch_add(&s, i, 1);
    assert_true(s.count == 1000 && s.sum == 500500 && s.min == 1 && s.max == 1000);
    for (double q = 0.01; q < 1; q += 0.01) {
        double exact = nearbyint(q * 999) + 1;
        assert_true(fabs(yg_sketch_quantile(&s, q) - exact) <= exact / 50);
    }
    assert_true(yg_sketch_quantile(&s, 0) == 1);
    assert_true(yg_sketch_quantile(&s, 1) == 1000);
    YG_AUTO(yg_sketch) one = YG_SKETCH(YG_MEM_BASE);
    yg_sketch_add(&one, 3.7, 5);
    for (double q = 0; q <= 1; q += 0.25)
        assert_true(yg_sketch_quantile(&one, q) == 3.7);
    YG_AUTO(yg_sketch) mixed = YG_SKETCH(YG_MEM_BASE);
    yg_sketch_add(&mixed, -10, 1);
    yg_sketch_add(&mixed, 0, 1);
    yg_sketch_add(&mixed, 10, 1);
    assert_true(yg_sketch_quantile(&mixed, 0.5) == 0);
    yg_sketch_add(&mixed, (double)NAN, 1);
    yg_sketch_add(&mixed, 1, -1);
    assert_true(mixed.count == 3);
}

static void merging_is_adding(void **state) {
    (void)state;
    YG_AUTO(yg_sketch) whole = YG_SKETCH(YG_MEM_BASE);
    struct yg_sketch parts[3] = {YG_SKETCH(YG_MEM_BASE), YG_SKETCH(YG_MEM_BASE),
                                 YG_SKETCH(YG_MEM_BASE)};
    uint32_t seed = 9;
    for (int i = 0; i < 5000; i++) {
        seed = seed * 1664525 + 1013904223;
        double v = (double)(int32_t)seed / 1000;
        yg_sketch_add(&whole, v, 1);
        yg_sketch_add(&parts[i % 3], v, 1);
    }
    YG_AUTO(yg_sketch) sum = YG_SKETCH(YG_MEM_BASE);
    for (int i = 0; i < 3; i++)
        yg_sketch_merge(&sum, &parts[i]);
    assert_int_equal(sum.len, whole.len);
    for (uint32_t i = 0; i < sum.len; i++) {
        assert_int_equal(sum.bins[i].key, whole.bins[i].key);
        assert_true(sum.bins[i].count == whole.bins[i].count);
    }
    assert_true(sum.count == whole.count && sum.min == whole.min && sum.max == whole.max);
    for (int i = 0; i < 3; i++)
        yg_sketch_fini(&parts[i]);
}

static void too_many_bins_collapse(void **state) {
    (void)state;
    YG_AUTO(yg_sketch) s = YG_SKETCH(YG_MEM_BASE);
    for (int32_t k = 1; k <= 5000; k++)
        yg_sketch_add_bin(&s, k, 1);
    assert_int_equal(s.len, YG_SKETCH_BINS_MAX);
    assert_int_equal(s.bins[s.len - 1].key, 5000);
    assert_int_equal(s.bins[0].key, 905);
    assert_true(s.bins[0].count == 905); // nothing was lost
}

static void stored_form(void **state) {
    (void)state;
    YG_AUTO(yg_sketch) s = YG_SKETCH(YG_MEM_BASE);
    yg_sketch_add(&s, -3, 2.5);
    yg_sketch_add(&s, 0, 1);
    yg_sketch_add(&s, 12345, 70000);
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1000);
    yg_sketch_encode(&s, &b);
    YG_AUTO(yg_sketch) back = YG_SKETCH(YG_MEM_BASE);
    size_t at = 0;
    assert_int_equal(yg_sketch_decode(yg_buf_str(&b), &at, &back, NULL), YG_OK);
    assert_int_equal(at, b.len);
    assert_int_equal(back.len, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(back.bins[i].key, s.bins[i].key);
        assert_true(back.bins[i].count == s.bins[i].count);
    }
    assert_true(back.count == s.count && back.sum == s.sum && back.min == -3 && back.max == 12345);
    for (size_t n = 0; n < b.len; n++) {
        at = 0;
        assert_int_equal(yg_sketch_decode((yg_str){b.ptr, n}, &at, &back, NULL), YG_ECORRUPT);
        assert_int_equal(back.len, 0);
    }
    const yg_str bad[] = {
        YG_STR("\xff\xff\xff\xff\x0f"),             // more bins than bytes
        YG_STR("\x02\x02\x02\x00\x02\x00\x00\x00"), // the same key twice
        YG_STR("\x01\xff\xff\xff\x0f\x02\x00\x00"), // a key out of range
    };
    for (size_t i = 0; i < 3; i++) {
        at = 0;
        assert_int_equal(yg_sketch_decode(bad[i], &at, &back, NULL), YG_ECORRUPT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_keys),
        cmocka_unit_test(keys_and_values_agree),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(merging_is_adding),
        cmocka_unit_test(too_many_bins_collapse),
        cmocka_unit_test(stored_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
