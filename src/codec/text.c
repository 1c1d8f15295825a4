// SPDX-License-Identifier: Apache-2.0
// base64, hex, percent encoding and query strings.
#include "codec/text.h"

#define QUERY_PARAMS_MAX 256u

static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

void yg_base64_put(struct yg_buf *b, yg_str s, bool url) {
    const char *abc = url ? base64_url : base64_std;
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t left = s.len;
    char four[4];
    for (; left >= 3; left -= 3, p += 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        four[0] = abc[v >> 18];
        four[1] = abc[v >> 12 & 63];
        four[2] = abc[v >> 6 & 63];
        four[3] = abc[v & 63];
        yg_buf_put(b, four, 4);
    }
    if (left == 0)
        return;
    uint32_t v = (uint32_t)p[0] << 16 | (left == 2 ? (uint32_t)p[1] << 8 : 0);
    four[0] = abc[v >> 18];
    four[1] = abc[v >> 12 & 63];
    four[2] = left == 2 ? abc[v >> 6 & 63] : '=';
    four[3] = '=';
    yg_buf_put(b, four, url ? left + 1 : 4);
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

yg_rc yg_base64_decode(yg_str s, struct yg_arena *arena, yg_str *ret_bytes, struct yg_err *err) {
    size_t digits = s.len;
    while (digits > 0 && s.len - digits < 2 && s.ptr[digits - 1] == '=')
        digits--;
    bool padded = digits < s.len;
    if (digits % 4 == 1 || (padded && s.len % 4 != 0))
        return yg_fail(err, YG_EINPUT, "base64 of %zu characters ends early", s.len);
    unsigned char *out = yg_arena_alloc(arena, digits / 4 * 3 + 3);
    if (out == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for base64 of %zu characters", s.len);
    size_t n = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < digits; i++) {
        int d = base64_digit(s.ptr[i]);
        if (d < 0)
            return yg_fail(err, YG_EINPUT, "base64 at byte %zu: not a digit", i);
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (unsigned char)(bits >> have);
        }
    }
    *ret_bytes = (yg_str){(const char *)out, n};
    return YG_OK;
}

void yg_hex_put(struct yg_buf *b, const void *ptr, size_t len) {
    const unsigned char *p = ptr;
    for (size_t i = 0; i < len; i++) {
        char two[2] = {hex_lower[p[i] >> 4], hex_lower[p[i] & 15]};
        yg_buf_put(b, two, 2);
    }
}

static bool unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void yg_url_put(struct yg_buf *b, yg_str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (unreserved(c)) {
            yg_buf_putc(b, c);
            continue;
        }
        unsigned char u = (unsigned char)c;
        char three[3] = {'%', hex_upper[u >> 4], hex_upper[u & 15]};
        yg_buf_put(b, three, 3);
    }
}

yg_str yg_url_decode(yg_str s, bool plus, struct yg_arena *arena) {
    if (yg_str_find_char(s, '%', 0) == SIZE_MAX &&
        (!plus || yg_str_find_char(s, '+', 0) == SIZE_MAX))
        return yg_arena_str(arena, s);
    char *out = yg_arena_alloc(arena, s.len);
    if (out == NULL)
        return (yg_str){NULL, 0};
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint64_t byte;
        if (s.ptr[i] == '%' && s.len - i > 2 && yg_str_hex_to_u64(yg_str_sub(s, i + 1, 2), &byte)) {
            out[n++] = (char)byte;
            i += 2;
        } else {
            out[n++] = plus && s.ptr[i] == '+' ? ' ' : s.ptr[i];
        }
    }
    return (yg_str){out, n};
}

yg_rc yg_query_parse(yg_str s, struct yg_arena *arena, struct yg_query_param **ret_params,
                     uint32_t *ret_count, struct yg_err *err) {
    struct yg_query_param *params = NULL;
    uint32_t count = 0;
    uint32_t cap = 0;
    yg_str piece;
    while (yg_str_split(&s, '&', &piece)) {
        if (piece.len == 0)
            continue;
        if (count == QUERY_PARAMS_MAX)
            return yg_fail(err, YG_ELIMIT, "more than %u query parameters", QUERY_PARAMS_MAX);
        if (!YG_ARENA_GROW(arena, params, count, cap))
            return yg_fail(err, YG_ENOMEM, "no memory for query parameters");
        size_t eq = yg_str_find_char(piece, '=', 0);
        yg_str key = yg_str_sub(piece, 0, eq);
        yg_str value = eq == SIZE_MAX ? YG_STR("") : yg_str_sub(piece, eq + 1, SIZE_MAX);
        struct yg_query_param *p = &params[count++];
        p->key = yg_url_decode(key, true, arena);
        p->value = yg_url_decode(value, true, arena);
        if (p->key.ptr == NULL || p->value.ptr == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory for query parameters");
    }
    *ret_params = params;
    *ret_count = count;
    return YG_OK;
}
