// SPDX-License-Identifier: Apache-2.0
// Searching, splitting and reading numbers out of borrowed byte runs.
#include "base/str.h"

#include <errno.h>
#include <math.h>

int yg_str_cmp(yg_str a, yg_str b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c != 0)
        return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool yg_str_eq_nocase(yg_str a, yg_str b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool yg_str_starts(yg_str s, yg_str prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool yg_str_ends(yg_str s, yg_str suffix) {
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

size_t yg_str_find(yg_str s, yg_str needle, size_t from) {
    if (from > s.len || needle.len > s.len - from)
        return SIZE_MAX;
    if (needle.len == 0)
        return from;
    const char *hit = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

size_t yg_str_find_char(yg_str s, char c, size_t from) {
    if (from >= s.len)
        return SIZE_MAX;
    const char *hit = memchr(s.ptr + from, c, s.len - from);
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

size_t yg_str_rfind_char(yg_str s, char c) {
    if (s.len == 0)
        return SIZE_MAX;
    const char *hit = memrchr(s.ptr, c, s.len);
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

yg_str yg_str_sub(yg_str s, size_t from, size_t len) {
    if (from > s.len)
        from = s.len;
    if (len > s.len - from)
        len = s.len - from;
    return (yg_str){s.ptr ? s.ptr + from : NULL, len};
}

static bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

yg_str yg_str_trim(yg_str s) {
    while (s.len && blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

// A used-up rest is {NULL, 0}; an empty last piece ("a,") still has a pointer.
bool yg_str_split(yg_str *rest, char sep, yg_str *ret_piece) {
    if (rest->ptr == NULL)
        return false;
    size_t at = yg_str_find_char(*rest, sep, 0);
    if (at == SIZE_MAX) {
        *ret_piece = *rest;
        *rest = (yg_str){NULL, 0};
    } else {
        *ret_piece = (yg_str){rest->ptr, at};
        *rest = (yg_str){rest->ptr + at + 1, rest->len - at - 1};
    }
    return true;
}

bool yg_str_to_u64(yg_str s, uint64_t *ret_value) {
    if (s.len == 0)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned d = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (d > 9 || __builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)d, &v))
            return false;
    }
    *ret_value = v;
    return true;
}

bool yg_str_to_i64(yg_str s, int64_t *ret_value) {
    bool minus = s.len && s.ptr[0] == '-';
    if (s.len && (minus || s.ptr[0] == '+'))
        s = yg_str_sub(s, 1, SIZE_MAX);
    uint64_t v;
    if (!yg_str_to_u64(s, &v) || v > (uint64_t)INT64_MAX + (minus ? 1 : 0))
        return false;
    *ret_value = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool yg_str_hex_to_u64(yg_str s, uint64_t *ret_value) {
    if (s.len == 0 || s.len > 16)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        int d = hex_digit(s.ptr[i]);
        if (d < 0)
            return false;
        v = v << 4 | (uint64_t)d;
    }
    *ret_value = v;
    return true;
}

// Digits, one point, an exponent: what a number may be made of. Up to 18 digits are kept in
// *ret_mantissa; *ret_scale is the power of ten to multiply it by. *ret_exact: nothing was lost.
static bool scan_decimal(yg_str s, uint64_t *ret_mantissa, int64_t *ret_scale, bool *ret_exact) {
    size_t i = 0;
    size_t digits = 0;
    size_t kept = 0;
    bool point = false;
    *ret_mantissa = 0;
    *ret_scale = 0;
    for (; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.') {
            if (point)
                return false;
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        digits++;
        if (kept < 18) {
            *ret_mantissa = *ret_mantissa * 10 + (uint64_t)(c - '0');
            kept += *ret_mantissa != 0;
            *ret_scale -= point;
        } else {
            *ret_exact = false;
            *ret_scale += !point;
        }
    }
    if (digits == 0)
        return false;
    if (i == s.len)
        return true;
    if (s.ptr[i] != 'e' && s.ptr[i] != 'E')
        return false;
    int64_t exponent;
    if (!yg_str_to_i64(yg_str_sub(s, i + 1, SIZE_MAX), &exponent))
        return false;
    if (exponent > 100000 || exponent < -100000)
        *ret_exact = false;
    else
        *ret_scale += exponent;
    return true;
}

// The slow way for what is not exact in one step: the C library, on a terminated copy.
static bool slow_f64(yg_str s, double *ret_value) {
    char text[512];
    if (s.len >= sizeof(text))
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    char *end;
    double v = strtod(text, &end);
    if (end != text + s.len || !isfinite(v))
        return false;
    *ret_value = v;
    return true;
}

bool yg_str_to_f64(yg_str s, double *ret_value) {
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    yg_str body = s;
    bool minus = s.len && s.ptr[0] == '-';
    if (s.len && (minus || s.ptr[0] == '+'))
        body = yg_str_sub(s, 1, SIZE_MAX);
    uint64_t mantissa;
    int64_t scale;
    bool exact = true;
    if (!scan_decimal(body, &mantissa, &scale, &exact))
        return false;
    if (!exact || mantissa > (UINT64_C(1) << 53) || scale < -22 || scale > 22)
        return slow_f64(s, ret_value);
    double v = (double)mantissa; // exact, and so are powers of ten up to 22: one rounding only
    v = scale < 0 ? v / tens[-scale] : v * tens[scale];
    *ret_value = minus ? -v : v;
    return true;
}
