// SPDX-License-Identifier: Apache-2.0
// Small texts: numbers against the C library, times, base64, query strings, UTF-8, ids.
#include <math.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "codec/text.h"
#include "fuzz.h"
#include "model/points.h"
#include "model/value.h"

static void numbers(yg_str in) {
    char text[80];
    double v;
    if (in.len >= sizeof(text))
        return;
    memcpy(text, in.ptr, in.len);
    text[in.len] = 0;
    if (!yg_str_to_f64(in, &v))
        return;
    char *end;
    YG_ASSERT(strtod(text, &end) == v && end == text + in.len); // the C library is the oracle
}

static void times(yg_str in) {
    int64_t ns;
    if (!yg_time_parse_iso(in, &ns))
        return;
    char text[YG_TIME_TEXT_BYTES];
    size_t len = yg_time_format_iso(ns, text);
    int64_t again;
    YG_ASSERT(yg_time_parse_iso((yg_str){text, len}, &again));
    YG_ASSERT(again <= ns && ns - again < YG_NS_PER_MS);
}

static void encodings(yg_str in, struct yg_arena *arena) {
    yg_str bytes;
    YG_AUTO(yg_buf) text = YG_BUF(YG_MEM_BASE, 1u << 20);
    (void)(yg_base64_decode(in, arena, &bytes, NULL) == YG_OK);
    yg_base64_put(&text, in, in.len & 1);
    YG_ASSERT(yg_base64_decode(yg_buf_str(&text), arena, &bytes, NULL) == YG_OK);
    YG_ASSERT(yg_str_eq(bytes, in));
    yg_buf_reset(&text);
    yg_url_put(&text, in);
    YG_ASSERT(yg_str_eq(yg_url_decode(yg_buf_str(&text), true, arena), in));
    struct yg_query_param *params;
    uint32_t count;
    yg_rc rc = yg_query_parse(in, arena, &params, &count, NULL);
    YG_ASSERT(rc == YG_OK || rc == YG_ELIMIT || rc == YG_ENOMEM);
}

static void names(yg_str in, struct yg_arena *arena) {
    yg_str tag = yg_tag_normalize(in, arena);
    YG_ASSERT(yg_str_eq(yg_tag_normalize(tag, arena), tag)); // normal once, normal for ever
    yg_str name = yg_metric_name_normalize(in, arena);
    YG_ASSERT(yg_str_eq(yg_metric_name_normalize(name, arena), name));
    yg_id128 id;
    if (yg_id128_parse(in, true, &id)) {
        char hex[33];
        yg_id128 again;
        yg_id128_hex(id, hex);
        YG_ASSERT(yg_id128_parse((yg_str){hex, 32}, true, &again) && yg_id128_eq(id, again));
    }
}

static void characters(yg_str in) {
    size_t bad = yg_utf8_check(in);
    YG_ASSERT(bad <= in.len);
    size_t at = 0;
    while (at < in.len) {
        size_t from = at;
        uint32_t cp = yg_utf8_next(in, &at);
        char bytes[4];
        size_t n = yg_utf8_put(cp, bytes);
        YG_ASSERT(at > from && at <= in.len);
        if (from < bad)
            YG_ASSERT(n == at - from && memcmp(bytes, in.ptr + from, n) == 0);
        (void)yg_utf8_fold(cp);
        (void)yg_utf8_is_word(cp);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size > 4096)
        return 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    yg_str in = fuzz_all(data, size);
    numbers(in);
    times(in);
    encodings(in, arena);
    names(in, arena);
    characters(in);
    return 0;
}
