// SPDX-License-Identifier: Apache-2.0
// Content encodings: round trips, torn bodies, bombs, members in a row, limits met exactly.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "codec/inflate.h"

#define TEXT_BYTES 200000u

static char text[TEXT_BYTES];

static int fill_text(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = (char)('a' + (seed >> 24) % 26); // compresses, but not to nothing
    }
    return 0;
}

static void zlib_pack(yg_str in, int window, struct yg_buf *out) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(yg_buf_reserve(out, deflateBound(&z, in.len), NULL), YG_OK);
    z.next_in = (unsigned char *)(uintptr_t)in.ptr;
    z.avail_in = (uInt)in.len;
    z.next_out = (unsigned char *)out->ptr;
    z.avail_out = (uInt)out->cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len = z.total_out;
    deflateEnd(&z);
}

static void pack(enum yg_encoding encoding, bool raw, yg_str in, struct yg_buf *out) {
    switch (encoding) {
    case YG_ENC_IDENTITY:
        yg_buf_puts(out, in);
        break;
    case YG_ENC_GZIP:
        assert_int_equal(yg_gzip(in, 6, out, NULL), YG_OK);
        break;
    case YG_ENC_DEFLATE:
        zlib_pack(in, raw ? -15 : 15, out);
        break;
    case YG_ENC_ZSTD:
        assert_int_equal(yg_zstd(in, 3, out, NULL), YG_OK);
        break;
    }
}

static void round_trips_and_exact_limits(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 100, 65536, TEXT_BYTES};
    for (int e = YG_ENC_IDENTITY; e <= YG_ENC_ZSTD; e++)
        for (size_t k = 0; k < 5; k++)
            for (int raw = 0; raw < (e == YG_ENC_DEFLATE ? 2 : 1); raw++) {
                yg_str in = {text, sizes[k]};
                YG_AUTO(yg_buf) packed = YG_BUF(YG_MEM_BASE, 1 << 20);
                pack((enum yg_encoding)e, raw, in, &packed);
                YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, sizes[k]); // not a byte more than needed
                struct yg_err err;
                assert_int_equal(yg_inflate((enum yg_encoding)e, yg_buf_str(&packed), &out, &err),
                                 YG_OK);
                assert_int_equal(out.len, in.len);
                if (in.len)
                    assert_memory_equal(out.ptr, text, in.len);
                if (sizes[k] == 0)
                    continue;
                YG_AUTO(yg_buf) tight = YG_BUF(YG_MEM_BASE, sizes[k] - 1);
                assert_int_equal(yg_inflate((enum yg_encoding)e, yg_buf_str(&packed), &tight, &err),
                                 YG_ELIMIT);
            }
}

static void torn_bodies(void **state) {
    (void)state;
    for (int e = YG_ENC_GZIP; e <= YG_ENC_ZSTD; e++) {
        YG_AUTO(yg_buf) packed = YG_BUF(YG_MEM_BASE, 1 << 20);
        pack((enum yg_encoding)e, false, (yg_str){text, 300}, &packed);
        for (size_t n = 0; n < packed.len; n++) {
            YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 1 << 20);
            struct yg_err err = {0};
            yg_rc rc = yg_inflate((enum yg_encoding)e, (yg_str){packed.ptr, n}, &out, &err);
            assert_int_equal(rc, YG_EINPUT);
            assert_non_null(strstr(err.text, "at byte"));
        }
        packed.ptr[packed.len / 2] ^= 0x55;
        packed.ptr[packed.len - 1] ^= 0x55;
        YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 1 << 20);
        yg_rc rc = yg_inflate((enum yg_encoding)e, yg_buf_str(&packed), &out, NULL);
        if (e != YG_ENC_ZSTD) // our zstd frames carry no checksum
            assert_int_equal(rc, YG_EINPUT);
    }
}

static void bombs_stop_at_the_cap(void **state) {
    (void)state;
    YG_AUTO(yg_buf) zeros = YG_BUF(YG_MEM_BASE, 64 << 20);
    assert_int_equal(yg_buf_reserve(&zeros, 64 << 20, NULL), YG_OK);
    memset(zeros.ptr, 0, 64 << 20);
    zeros.len = 64 << 20;
    for (int e = YG_ENC_GZIP; e <= YG_ENC_ZSTD; e++) {
        YG_AUTO(yg_buf) packed = YG_BUF(YG_MEM_BASE, 65 << 20);
        pack((enum yg_encoding)e, false, yg_buf_str(&zeros), &packed);
        assert_true(packed.len < 100000);
        YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 1 << 20);
        struct yg_err err;
        assert_int_equal(yg_inflate((enum yg_encoding)e, yg_buf_str(&packed), &out, &err),
                         YG_ELIMIT);
        assert_int_equal(out.cap, 1 << 20);
        assert_non_null(strstr(err.text, "1048576"));
    }
}

static void members_are_joined(void **state) {
    (void)state;
    for (int e = YG_ENC_GZIP; e <= YG_ENC_ZSTD; e += YG_ENC_ZSTD - YG_ENC_GZIP) {
        YG_AUTO(yg_buf) packed = YG_BUF(YG_MEM_BASE, 1 << 20);
        pack((enum yg_encoding)e, false, YG_STR("first "), &packed);
        YG_AUTO(yg_buf) more = YG_BUF(YG_MEM_BASE, 1 << 20);
        pack((enum yg_encoding)e, false, YG_STR("second"), &more);
        yg_buf_puts(&packed, yg_buf_str(&more));
        YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 100);
        assert_int_equal(yg_inflate((enum yg_encoding)e, yg_buf_str(&packed), &out, NULL), YG_OK);
        assert_true(yg_str_eq_c(yg_buf_str(&out), "first second"));
        yg_buf_puts(&packed, YG_STR("garbage"));
        yg_buf_reset(&out);
        assert_int_equal(yg_inflate((enum yg_encoding)e, yg_buf_str(&packed), &out, NULL),
                         YG_EINPUT);
    }
}

static void names(void **state) {
    (void)state;
    enum yg_encoding e;
    assert_true(yg_encoding_parse(YG_STR("GZip"), &e) && e == YG_ENC_GZIP);
    assert_true(yg_encoding_parse(YG_STR("x-gzip"), &e) && e == YG_ENC_GZIP);
    assert_true(yg_encoding_parse(YG_STR(" zstd "), &e) && e == YG_ENC_ZSTD);
    assert_true(yg_encoding_parse(YG_STR("deflate"), &e) && e == YG_ENC_DEFLATE);
    assert_true(yg_encoding_parse(YG_STR("zstd1"), &e) && e == YG_ENC_ZSTD);
    assert_true(yg_encoding_parse(YG_STR(""), &e) && e == YG_ENC_IDENTITY);
    assert_false(yg_encoding_parse(YG_STR("br"), &e));
}

static void memory_failure(void **state) {
    (void)state;
    YG_AUTO(yg_buf) packed = YG_BUF(YG_MEM_BASE, 1 << 20);
    pack(YG_ENC_GZIP, false, (yg_str){text, TEXT_BYTES}, &packed);
    for (int n = 1; n < 3; n++) {
        YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 1 << 20);
        yg_mem_test_fail_at(n);
        yg_rc rc = yg_inflate(YG_ENC_GZIP, yg_buf_str(&packed), &out, NULL);
        yg_mem_test_fail_at(0);
        assert_int_equal(rc, n == 1 ? YG_ENOMEM : YG_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_and_exact_limits),
        cmocka_unit_test(torn_bodies),
        cmocka_unit_test(bombs_stop_at_the_cap),
        cmocka_unit_test(members_are_joined),
        cmocka_unit_test(names),
        cmocka_unit_test(memory_failure),
    };
    return cmocka_run_group_tests(tests, fill_text, NULL);
}
