// SPDX-License-Identifier: Apache-2.0
// JSON text: escapes, shortest numbers, commas.
#include "codec/json_write.h"

#include <emmintrin.h>
#include <math.h>

#include "base/utf8.h"

static void before_value(struct yg_json_writer *w) {
    if (w->comma)
        yg_buf_putc(w->buf, ',');
    w->comma = true;
}

void yg_jw_object(struct yg_json_writer *w) {
    before_value(w);
    yg_buf_putc(w->buf, '{');
    w->depth++;
    w->comma = false;
}

void yg_jw_object_end(struct yg_json_writer *w) {
    yg_buf_putc(w->buf, '}');
    w->depth--;
    w->comma = true;
}

void yg_jw_array(struct yg_json_writer *w) {
    before_value(w);
    yg_buf_putc(w->buf, '[');
    w->depth++;
    w->comma = false;
}

void yg_jw_array_end(struct yg_json_writer *w) {
    yg_buf_putc(w->buf, ']');
    w->depth--;
    w->comma = true;
}

static bool plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

// Number of bytes at `from` that go out as they are: printable ASCII without quote and backslash.
static size_t plain_run(yg_str s, size_t from) {
    size_t at = from;
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    while (s.len - at >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(s.ptr + at));
        // signed compare: bytes from 0x80 on are negative, so below the blank as well
        __m128i bad =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, slash)),
                         _mm_cmplt_epi8(block, space));
        int mask = _mm_movemask_epi8(bad);
        if (mask != 0)
            return at + (size_t)__builtin_ctz((unsigned)mask) - from;
        at += 16;
    }
    while (at < s.len && plain((unsigned char)s.ptr[at]))
        at++;
    return at - from;
}

static void put_escape(struct yg_buf *b, unsigned char c) {
    static const char *const known[0x20] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    if (c == '"')
        yg_buf_put(b, "\\\"", 2);
    else if (c == '\\')
        yg_buf_put(b, "\\\\", 2);
    else if (c < 0x20 && known[c])
        yg_buf_put(b, known[c], 2);
    else if (c < 0x20)
        yg_buf_printf(b, "\\u%04x", c);
    else
        yg_buf_putc(b, (char)c);
}

static void put_string(struct yg_buf *b, yg_str s) {
    yg_buf_putc(b, '"');
    for (size_t at = 0; at < s.len;) {
        size_t run = plain_run(s, at);
        yg_buf_put(b, s.ptr + at, run);
        at += run;
        if (at == s.len)
            break;
        if ((unsigned char)s.ptr[at] < 0x80) {
            put_escape(b, (unsigned char)s.ptr[at++]);
            continue;
        }
        char bytes[4];
        uint32_t cp = yg_utf8_next(s, &at);
        yg_buf_put(b, bytes, yg_utf8_put(cp, bytes));
    }
    yg_buf_putc(b, '"');
}

void yg_jw_key(struct yg_json_writer *w, yg_str key) {
    before_value(w);
    put_string(w->buf, key);
    yg_buf_putc(w->buf, ':');
    w->comma = false;
}

void yg_jw_str(struct yg_json_writer *w, yg_str s) {
    before_value(w);
    put_string(w->buf, s);
}

static void put_u64(struct yg_buf *b, uint64_t v, bool minus) {
    char text[24];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    if (minus)
        text[--at] = '-';
    yg_buf_put(b, text + at, sizeof(text) - at);
}

static void put_i64(struct yg_buf *b, int64_t v) {
    put_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void yg_jw_i64(struct yg_json_writer *w, int64_t v) {
    before_value(w);
    put_i64(w->buf, v);
}

void yg_jw_u64(struct yg_json_writer *w, uint64_t v) {
    before_value(w);
    put_u64(w->buf, v, false);
}

static bool is_whole(double v) {
    return v == trunc(v) && fabs(v) < 1e15;
}

// 15 digits always survive text and back; 17 always suffice; whole numbers need no search.
static void put_f64(struct yg_buf *b, double v) {
    if (is_whole(v)) {
        put_i64(b, (int64_t)v);
        return;
    }
    char text[40];
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof(text), "%.*g", digits, v);
        if (digits == 17 || strtod(text, NULL) == v)
            break;
    }
    yg_buf_put(b, text, (size_t)n);
}

void yg_jw_f64(struct yg_json_writer *w, double v) {
    before_value(w);
    if (isfinite(v))
        put_f64(w->buf, v);
    else
        yg_buf_put(w->buf, "null", 4);
}

void yg_jw_f64_float(struct yg_json_writer *w, double v) {
    yg_jw_f64(w, v);
    if (isfinite(v) && is_whole(v))
        yg_buf_put(w->buf, ".0", 2);
}

void yg_jw_bool(struct yg_json_writer *w, bool v) {
    before_value(w);
    yg_buf_puts(w->buf, v ? YG_STR("true") : YG_STR("false"));
}

void yg_jw_null(struct yg_json_writer *w) {
    before_value(w);
    yg_buf_put(w->buf, "null", 4);
}

void yg_jw_raw(struct yg_json_writer *w, yg_str json) {
    before_value(w);
    yg_buf_puts(w->buf, json);
}

void yg_jw_i64_str(struct yg_json_writer *w, int64_t v) {
    before_value(w);
    yg_buf_putc(w->buf, '"');
    put_i64(w->buf, v);
    yg_buf_putc(w->buf, '"');
}

void yg_jw_u64_str(struct yg_json_writer *w, uint64_t v) {
    before_value(w);
    yg_buf_putc(w->buf, '"');
    put_u64(w->buf, v, false);
    yg_buf_putc(w->buf, '"');
}

void yg_jw_kstr(struct yg_json_writer *w, const char *key, yg_str v) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_str(w, v);
}

void yg_jw_ki64(struct yg_json_writer *w, const char *key, int64_t v) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_i64(w, v);
}

void yg_jw_kf64(struct yg_json_writer *w, const char *key, double v) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_f64(w, v);
}

void yg_jw_kbool(struct yg_json_writer *w, const char *key, bool v) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_bool(w, v);
}

void yg_jw_knull(struct yg_json_writer *w, const char *key) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_null(w);
}
