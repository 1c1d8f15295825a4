// SPDX-License-Identifier: Apache-2.0
// MessagePack, Protocol Buffers, varints and small text encodings, with every truncation of each.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/msgpack.h"
#include "codec/protobuf.h"
#include "codec/text.h"
#include "codec/varint.h"

static void msgpack_every_format(void **state) {
    (void)state;
    struct {
        yg_str in;
        const char *json;
    } cases[] = {
        {YG_STR("\x00"), "0"},
        {YG_STR("\x7f"), "127"},
        {YG_STR("\xe0"), "-32"},
        {YG_STR("\xc0"), "null"},
        {YG_STR("\xc2"), "false"},
        {YG_STR("\xc3"), "true"},
        {YG_STR("\xcc\xff"), "255"},
        {YG_STR("\xcd\x01\x00"), "256"},
        {YG_STR("\xce\x00\x01\x00\x00"), "65536"},
        {YG_STR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615"},
        {YG_STR("\xd0\x80"), "-128"},
        {YG_STR("\xd1\x80\x00"), "-32768"},
        {YG_STR("\xd2\x80\x00\x00\x00"), "-2147483648"},
        {YG_STR("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), "-9223372036854775808"},
        {YG_STR("\xd0\x05"), "5"},
        {YG_STR("\xca\x3f\xc0\x00\x00"), "1.5"},
        {YG_STR("\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"), "0.1"},
        {YG_STR("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), "null"},
        {YG_STR("\xa2hi"), "\"hi\""},
        {YG_STR("\xd9\x02hi"), "\"hi\""},
        {YG_STR("\xda\x00\x02hi"), "\"hi\""},
        {YG_STR("\xdb\x00\x00\x00\x02hi"), "\"hi\""},
        {YG_STR("\xc4\x03\x01\x02\x03"), "\"AQID\""},
        {YG_STR("\xc5\x00\x01\xff"), "\"/w==\""},
        {YG_STR("\xc6\x00\x00\x00\x00"), "\"\""},
        {YG_STR("\x93\x01\x02\x03"), "[1,2,3]"},
        {YG_STR("\xdc\x00\x01\x01"), "[1]"},
        {YG_STR("\xdd\x00\x00\x00\x00"), "[]"},
        {YG_STR("\x82\xa1"
                "a\x01\x02\xa1"
                "b"),
         "{\"a\":1,\"2\":\"b\"}"},
        {YG_STR("\xde\x00\x01\xc3\x90"), "{\"true\":[]}"},
        {YG_STR("\xdf\x00\x00\x00\x01\xff\x80"), "{\"-1\":{}}"},
        {YG_STR("\xd4\x05\x07"), "\"Bw==\""},
        {YG_STR("\xc7\x02\x05\x07\x08"), "\"Bwg=\""},
        {YG_STR("\xd8\x05"
                "0123456789abcdef"),
         "\"MDEyMzQ1Njc4OWFiY2RlZg==\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 1 << 16);
        struct yg_mp r;
        yg_mp_init(&r, cases[i].in);
        assert_int_equal(yg_mp_to_json(&r, &out, NULL), YG_OK);
        yg_buf_putc(&out, 0);
        assert_string_equal(out.ptr, cases[i].json);
        assert_int_equal(r.pos, cases[i].in.len);
        yg_mp_init(&r, cases[i].in);
        assert_int_equal(yg_mp_skip(&r, NULL), YG_OK);
        assert_int_equal(r.pos, cases[i].in.len);
        for (size_t n = 0; n < cases[i].in.len; n++) { // every truncation is an error
            struct yg_err err;
            yg_mp_init(&r, (yg_str){cases[i].in.ptr, n});
            assert_int_equal(yg_mp_skip(&r, &err), YG_EINPUT);
            assert_non_null(strstr(err.text, "msgpack at byte"));
        }
    }
}

static void msgpack_refuses(void **state) {
    (void)state;
    struct yg_mp r;
    struct yg_err err;
    yg_mp_init(&r, YG_STR("\xdd\xff\xff\xff\xff\x01"));
    uint32_t count;
    assert_int_equal(yg_mp_array(&r, &count, &err), YG_EINPUT); // would be a huge allocation
    yg_mp_init(&r, YG_STR("\xdf\x00\x00\x00\x02\x01\x01\x01"));
    assert_int_equal(yg_mp_map(&r, &count, &err), YG_EINPUT);
    yg_mp_init(&r, YG_STR("\xc1"));
    assert_int_equal(yg_mp_skip(&r, &err), YG_EINPUT);
    char deep[200];
    memset(deep, '\x91', sizeof(deep));
    deep[199] = 1;
    yg_mp_init(&r, (yg_str){deep, sizeof(deep)});
    assert_int_equal(yg_mp_skip(&r, &err), YG_EINPUT);
    assert_string_equal(err.text, "msgpack at byte 128: deeper than 128");
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 1 << 16);
    yg_mp_init(&r, (yg_str){deep, sizeof(deep)});
    assert_int_equal(yg_mp_to_json(&r, &out, &err), YG_EINPUT);
    assert_string_equal(err.text, "msgpack at byte 128: deeper than 128");
    for (size_t n = 128; n <= 129; n++) { // n arrays around a number: 128 pass, for both readers
        yg_buf_reset(&out);
        yg_mp_init(&r, (yg_str){deep + 199 - n, n + 1});
        assert_int_equal(yg_mp_skip(&r, &err), n == 128 ? YG_OK : YG_EINPUT);
        yg_mp_init(&r, (yg_str){deep + 199 - n, n + 1});
        assert_int_equal(yg_mp_to_json(&r, &out, &err), n == 128 ? YG_OK : YG_EINPUT);
    }
    yg_str s;
    yg_mp_init(&r, YG_STR("\x05"));
    assert_int_equal(yg_mp_str(&r, &s, &err), YG_EINPUT);
    assert_string_equal(err.text, "msgpack at byte 0: integer where string should be");
    int64_t i;
    yg_mp_init(&r, YG_STR("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"));
    assert_int_equal(yg_mp_i64(&r, &i, &err), YG_EINPUT);
}

static void msgpack_typed_reads(void **state) {
    (void)state;
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1 << 20);
    const int64_t values[] = {0,         127,      128, 255, 256,  65535, 65536,  INT64_C(1) << 32,
                              INT64_MAX, -1,       -32, -33, -128, -129,  -32768, -32769,
                              INT32_MIN, INT64_MIN};
    const size_t n = sizeof(values) / sizeof(values[0]);
    yg_mp_put_array(&b, (uint32_t)n);
    for (size_t k = 0; k < n; k++)
        yg_mp_put_i64(&b, values[k]);
    char text[70000];
    memset(text, 'x', sizeof(text));
    const size_t lengths[] = {0, 31, 32, 255, 256, 65535, 65536};
    for (size_t k = 0; k < 7; k++)
        yg_mp_put_str(&b, (yg_str){text, lengths[k]});
    yg_mp_put_f64(&b, -0.5);
    yg_mp_put_nil(&b);
    yg_mp_put_map(&b, 0);
    struct yg_mp r;
    yg_mp_init(&r, yg_buf_str(&b));
    uint32_t count;
    assert_int_equal(yg_mp_array(&r, &count, NULL), YG_OK);
    assert_int_equal(count, n);
    for (size_t k = 0; k < n; k++) {
        size_t at = r.pos;
        int64_t i;
        uint64_t u;
        double d;
        assert_int_equal(yg_mp_i64(&r, &i, NULL), YG_OK);
        assert_int_equal(i, values[k]);
        r.pos = at;
        assert_int_equal(yg_mp_u64(&r, &u, NULL), YG_OK);
        assert_true(u == (uint64_t)values[k]);
        r.pos = at;
        assert_int_equal(yg_mp_f64(&r, &d, NULL), YG_OK);
        assert_true(d == (double)values[k]);
    }
    for (size_t k = 0; k < 7; k++) {
        yg_str s;
        assert_int_equal(yg_mp_str(&r, &s, NULL), YG_OK);
        assert_int_equal(s.len, lengths[k]);
    }
    int64_t i;
    assert_int_equal(yg_mp_i64(&r, &i, NULL), YG_OK);
    assert_int_equal(i, 0); // −0.5 cut towards zero
    yg_str s;
    assert_int_equal(yg_mp_str(&r, &s, NULL), YG_OK);
    assert_int_equal(s.len, 0);
    assert_int_equal(yg_mp_map(&r, &count, NULL), YG_OK);
    assert_int_equal(r.pos, b.len);
}

static void protobuf_fields(void **state) {
    (void)state;
    YG_AUTO(yg_buf) inner = YG_BUF(YG_MEM_BASE, 1 << 16);
    yg_pb_put_varint(&inner, 1, 300);
    yg_pb_put_f64(&inner, 2, 2.5);
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1 << 16);
    yg_pb_put_bytes(&b, 1, YG_STR("name"));
    yg_pb_put_bytes(&b, 7, yg_buf_str(&inner));
    yg_pb_put_varint(&b, 536870911, UINT64_MAX);
    yg_buf_puts(&b, YG_STR("\x1d\x00\x00\x80\x3f")); // field 3, fixed32, 1.0f
    struct yg_pb r;
    struct yg_pb_field f;
    bool more;
    yg_pb_init(&r, yg_buf_str(&b), 100);
    assert_int_equal(yg_pb_next(&r, &f, &more, NULL), YG_OK);
    assert_true(more && f.number == 1 && yg_str_eq_c(f.bytes, "name"));
    assert_int_equal(f.at, 100);
    assert_int_equal(yg_pb_next(&r, &f, &more, NULL), YG_OK);
    struct yg_pb sub;
    yg_pb_sub(&r, &f, &sub);
    assert_int_equal(sub.base, 108);
    struct yg_pb_field g;
    assert_int_equal(yg_pb_next(&sub, &g, &more, NULL), YG_OK);
    assert_int_equal(g.u64, 300);
    assert_int_equal(yg_pb_next(&sub, &g, &more, NULL), YG_OK);
    assert_true(yg_pb_f64(&g) == 2.5);
    assert_int_equal(yg_pb_next(&sub, &g, &more, NULL), YG_OK);
    assert_false(more);
    assert_int_equal(yg_pb_next(&r, &f, &more, NULL), YG_OK);
    assert_true(f.number == 536870911 && f.u64 == UINT64_MAX);
    assert_int_equal(yg_pb_next(&r, &f, &more, NULL), YG_OK);
    assert_true(yg_pb_f32(&f) == 1.0f);
    assert_int_equal(yg_pb_next(&r, &f, &more, NULL), YG_OK);
    assert_false(more);
}

static void protobuf_packed(void **state) {
    (void)state;
    struct yg_pb_field f = {.wire = YG_PB_BYTES, .bytes = YG_STR("\x01\xac\x02\x03")};
    size_t at = 0;
    uint64_t v;
    uint64_t sum = 0;
    while (yg_pb_packed_varint(&f, &at, &v))
        sum += v;
    assert_int_equal(sum, 304);
    f = (struct yg_pb_field){.wire = YG_PB_VARINT, .u64 = 9};
    at = 0;
    assert_true(yg_pb_packed_varint(&f, &at, &v) && v == 9);
    assert_false(yg_pb_packed_varint(&f, &at, &v));
    double d;
    at = 0;
    f = (struct yg_pb_field){.wire = YG_PB_BYTES, .bytes = YG_STR("\0\0\0\0\0\0\xf0\x3f\0\0\0")};
    assert_true(yg_pb_packed_f64(&f, &at, &d) && d == 1.0);
    assert_false(yg_pb_packed_f64(&f, &at, &d)); // three bytes are no double
    assert_int_equal(yg_pb_zigzag(1), -1);
    assert_int_equal(yg_pb_zigzag(UINT64_MAX), INT64_MIN);
}

static void protobuf_refuses(void **state) {
    (void)state;
    const yg_str bad[] = {
        YG_STR("\x0a\x05"
               "abc"),
        YG_STR("\x0b"),
        YG_STR("\x08"),
        YG_STR("\x09\x01\x02"),
        YG_STR("\x00\x01"),
        YG_STR("\x0f\x01"),
        YG_STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        YG_STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct yg_pb r;
        struct yg_pb_field f;
        bool more;
        struct yg_err err;
        yg_pb_init(&r, bad[i], 0);
        assert_int_equal(yg_pb_next(&r, &f, &more, &err), YG_EINPUT);
        assert_non_null(strstr(err.text, "protobuf at byte"));
    }
}

static void varints(void **state) {
    (void)state;
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1 << 16);
    const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < 8; i++) {
        yg_put_varint(&b, values[i]);
        yg_put_svarint(&b, (int64_t)values[i]);
        yg_put_svarint(&b, -(int64_t)(values[i] >> 1));
    }
    yg_put_u32(&b, 0x01020304);
    yg_put_u64(&b, 5);
    yg_put_lenstr(&b, YG_STR("text"));
    struct yg_cursor c = {.in = yg_buf_str(&b)};
    uint64_t u;
    int64_t i64;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(yg_get_varint(&c, &u, NULL), YG_OK);
        assert_true(u == values[i]);
        assert_int_equal(yg_get_svarint(&c, &i64, NULL), YG_OK);
        assert_int_equal(i64, (int64_t)values[i]);
        assert_int_equal(yg_get_svarint(&c, &i64, NULL), YG_OK);
        assert_int_equal(i64, -(int64_t)(values[i] >> 1));
    }
    uint32_t u32;
    yg_str s;
    assert_int_equal(yg_get_u32(&c, &u32, NULL), YG_OK);
    assert_int_equal(u32, 0x01020304);
    assert_int_equal(yg_get_u64(&c, &u, NULL), YG_OK);
    assert_int_equal(yg_get_lenstr(&c, &s, NULL), YG_OK);
    assert_true(yg_str_eq_c(s, "text"));
    struct yg_err err;
    assert_int_equal(yg_get_u32(&c, &u32, &err), YG_ECORRUPT);
    assert_non_null(strstr(err.text, "at byte"));
    c = (struct yg_cursor){.in = YG_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")};
    assert_int_equal(yg_get_varint(&c, &u, NULL), YG_ECORRUPT);
    c = (struct yg_cursor){.in = YG_STR("\xff\xff")};
    assert_int_equal(yg_get_varint(&c, &u, NULL), YG_ECORRUPT);
    assert_int_equal(c.pos, 0);
    c = (struct yg_cursor){.in = YG_STR("\x05"
                                        "abc")};
    assert_int_equal(yg_get_lenstr(&c, &s, NULL), YG_ECORRUPT);
}

static void base64_and_hex(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, 1 << 20);
    unsigned char data[40];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 37 + 250);
    for (size_t n = 0; n <= sizeof(data); n++)
        for (int url = 0; url < 2; url++) {
            YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1000);
            yg_base64_put(&b, (yg_str){(const char *)data, n}, url);
            yg_str back;
            assert_int_equal(yg_base64_decode(yg_buf_str(&b), arena, &back, NULL), YG_OK);
            assert_int_equal(back.len, n);
            assert_memory_equal(back.ptr, data, n);
        }
    yg_str back;
    struct yg_err err;
    assert_int_equal(yg_base64_decode(YG_STR("QUJD"), arena, &back, NULL), YG_OK);
    assert_true(yg_str_eq_c(back, "ABC"));
    const char *bad[] = {"A", "QUJDR", "QU*D", "QQ=", "=", "Q=Q="};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(yg_base64_decode(yg_str_c(bad[i]), arena, &back, &err), YG_EINPUT);
    YG_AUTO(yg_buf) hex = YG_BUF(YG_MEM_BASE, 100);
    yg_hex_put(&hex, "\x00\xff\x1a", 3);
    assert_true(yg_str_eq_c(yg_buf_str(&hex), "00ff1a"));
}

static void query_strings(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, 1 << 20);
    struct yg_query_param *p;
    uint32_t n;
    yg_str in = YG_STR("filter%5Bquery%5D=service%3Aa+b&flag&&x=1=2&bad=%zz%4");
    assert_int_equal(yg_query_parse(in, arena, &p, &n, NULL), YG_OK);
    assert_int_equal(n, 4);
    assert_true(yg_str_eq_c(p[0].key, "filter[query]"));
    assert_true(yg_str_eq_c(p[0].value, "service:a b"));
    assert_true(yg_str_eq_c(p[1].key, "flag"));
    assert_int_equal(p[1].value.len, 0);
    assert_true(yg_str_eq_c(p[2].value, "1=2"));
    assert_true(yg_str_eq_c(p[3].value, "%zz%4"));
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 4096);
    yg_url_put(&b, YG_STR("a b/é~"));
    assert_true(yg_str_eq_c(yg_buf_str(&b), "a%20b%2F%C3%A9~"));
    assert_true(yg_str_eq_c(yg_url_decode(yg_buf_str(&b), false, arena), "a b/é~"));
    yg_buf_reset(&b);
    for (int i = 0; i < 257; i++)
        yg_buf_puts(&b, YG_STR("a=b&"));
    assert_int_equal(yg_query_parse(yg_buf_str(&b), arena, &p, &n, NULL), YG_ELIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(msgpack_every_format),
        cmocka_unit_test(msgpack_refuses),
        cmocka_unit_test(msgpack_typed_reads),
        cmocka_unit_test(protobuf_fields),
        cmocka_unit_test(protobuf_packed),
        cmocka_unit_test(protobuf_refuses),
        cmocka_unit_test(varints),
        cmocka_unit_test(base64_and_hex),
        cmocka_unit_test(query_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
