// SPDX-License-Identifier: Apache-2.0
// MessagePack: one token at a time, nothing copied.
// Source: msgpack/msgpack spec.md
#include "codec/msgpack.h"

#include "codec/json_write.h"
#include "codec/text.h"

#define DEPTH_MAX 128u

static uint64_t big_endian(const unsigned char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static yg_rc ends_early(const struct yg_mp *r, struct yg_err *err) {
    return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: the body ends at byte %zu", r->pos,
                   r->in.len);
}

static const char *kind_name(enum yg_mp_kind kind) {
    static const char *const names[] = {
        [YG_MP_NIL] = "nil",     [YG_MP_BOOL] = "boolean", [YG_MP_UINT] = "integer",
        [YG_MP_INT] = "integer", [YG_MP_F64] = "float",    [YG_MP_STR] = "string",
        [YG_MP_BIN] = "binary",  [YG_MP_ARRAY] = "array",  [YG_MP_MAP] = "map",
        [YG_MP_EXT] = "ext",
    };
    return names[kind];
}

static yg_rc wrong_kind(const struct yg_mp_token *t, const char *wanted, struct yg_err *err) {
    return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: %s where %s should be", t->at,
                   kind_name(t->kind), wanted);
}

// Formats with a head of `n` length or value bytes; the reader stands behind the format byte.
static yg_rc take_head(struct yg_mp *r, size_t n, uint64_t *ret_value, struct yg_err *err) {
    if (r->in.len - r->pos < n)
        return ends_early(r, err);
    *ret_value = big_endian((const unsigned char *)r->in.ptr + r->pos, n);
    r->pos += n;
    return YG_OK;
}

static yg_rc take_bytes(struct yg_mp *r, uint64_t len, yg_str *ret_str, struct yg_err *err) {
    if (r->in.len - r->pos < len)
        return yg_fail(err, YG_EINPUT,
                       "msgpack at byte %zu: %llu bytes wanted, the body ends at byte %zu", r->pos,
                       (unsigned long long)len, r->in.len);
    *ret_str = (yg_str){r->in.ptr + r->pos, len};
    r->pos += len;
    return YG_OK;
}

static yg_rc set_count(struct yg_mp *r, struct yg_mp_token *t, enum yg_mp_kind kind, uint64_t count,
                       struct yg_err *err) {
    uint64_t least = kind == YG_MP_MAP ? count * 2 : count; // a value takes a byte at least
    if (least > r->in.len - r->pos)
        return yg_fail(err, YG_EINPUT,
                       "msgpack at byte %zu: %s of %llu, but the body ends at byte %zu", t->at,
                       kind_name(kind), (unsigned long long)count, r->in.len);
    t->kind = kind;
    t->count = (uint32_t)count;
    return YG_OK;
}

static void set_signed(struct yg_mp_token *t, int64_t v) {
    t->kind = v < 0 ? YG_MP_INT : YG_MP_UINT;
    t->i64 = v;
    t->u64 = (uint64_t)v;
}

static int64_t sign_extend(uint64_t v, size_t bytes) {
    unsigned shift = 64 - 8 * (unsigned)bytes;
    return (int64_t)(v << shift) >> shift;
}

static yg_rc take_ext(struct yg_mp *r, struct yg_mp_token *t, uint64_t len, struct yg_err *err) {
    uint64_t type;
    YG_TRY(take_head(r, 1, &type, err));
    t->kind = YG_MP_EXT;
    t->ext = (int8_t)type;
    return take_bytes(r, len, &t->str, err);
}

static void set_float(struct yg_mp_token *t, uint64_t bits, bool single) {
    t->kind = YG_MP_F64;
    if (single) {
        uint32_t bits32 = (uint32_t)bits;
        float f;
        memcpy(&f, &bits32, sizeof(f));
        t->f64 = (double)f;
    } else {
        memcpy(&t->f64, &bits, sizeof(bits));
    }
}

// Formats 0xc0–0xdf: everything whose head is longer than the format byte.
static yg_rc take_long(struct yg_mp *r, unsigned c, struct yg_mp_token *t, struct yg_err *err) {
    uint64_t v = 0;
    switch (c) {
    case 0xc0:
        t->kind = YG_MP_NIL;
        return YG_OK;
    case 0xc2:
    case 0xc3:
        t->kind = YG_MP_BOOL;
        t->boolean = c == 0xc3;
        return YG_OK;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        YG_TRY(take_head(r, (size_t)1 << (c - 0xc4), &v, err));
        t->kind = YG_MP_BIN;
        return take_bytes(r, v, &t->str, err);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        YG_TRY(take_head(r, (size_t)1 << (c - 0xc7), &v, err));
        return take_ext(r, t, v, err);
    case 0xca:
    case 0xcb:
        YG_TRY(take_head(r, c == 0xca ? 4 : 8, &v, err));
        set_float(t, v, c == 0xca);
        return YG_OK;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        YG_TRY(take_head(r, (size_t)1 << (c - 0xcc), &v, err));
        t->kind = YG_MP_UINT;
        t->u64 = v;
        t->i64 = (int64_t)v;
        return YG_OK;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        YG_TRY(take_head(r, (size_t)1 << (c - 0xd0), &v, err));
        set_signed(t, sign_extend(v, (size_t)1 << (c - 0xd0)));
        return YG_OK;
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_ext(r, t, UINT64_C(1) << (c - 0xd4), err);
    case 0xd9:
    case 0xda:
    case 0xdb:
        YG_TRY(take_head(r, (size_t)1 << (c - 0xd9), &v, err));
        t->kind = YG_MP_STR;
        return take_bytes(r, v, &t->str, err);
    case 0xdc:
    case 0xdd:
        YG_TRY(take_head(r, c == 0xdc ? 2 : 4, &v, err));
        return set_count(r, t, YG_MP_ARRAY, v, err);
    case 0xde:
    case 0xdf:
        YG_TRY(take_head(r, c == 0xde ? 2 : 4, &v, err));
        return set_count(r, t, YG_MP_MAP, v, err);
    default:
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: format 0x%02x does not exist", t->at,
                       c);
    }
}

yg_rc yg_mp_next(struct yg_mp *r, struct yg_mp_token *t, struct yg_err *err) {
    t->at = r->pos;
    if (r->pos >= r->in.len)
        return ends_early(r, err);
    unsigned c = (unsigned char)r->in.ptr[r->pos++];
    if (c < 0x80 || c >= 0xe0) {
        set_signed(t, (int8_t)c);
        return YG_OK;
    }
    if (c >= 0xc0)
        return take_long(r, c, t, err);
    if (c >= 0xa0) {
        t->kind = YG_MP_STR;
        return take_bytes(r, c & 31, &t->str, err);
    }
    return set_count(r, t, c >= 0x90 ? YG_MP_ARRAY : YG_MP_MAP, c & 15, err);
}

yg_rc yg_mp_skip(struct yg_mp *r, struct yg_err *err) {
    uint64_t left[DEPTH_MAX]; // values still to skip in each open container
    uint32_t depth = 0;
    do {
        struct yg_mp_token t;
        YG_TRY(yg_mp_next(r, &t, err));
        if (depth > 0)
            left[depth - 1]--;
        if (t.kind == YG_MP_ARRAY || t.kind == YG_MP_MAP) {
            if (depth == DEPTH_MAX)
                return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: deeper than %u", t.at,
                               DEPTH_MAX);
            left[depth++] = t.kind == YG_MP_MAP ? (uint64_t)t.count * 2 : t.count;
        }
        while (depth > 0 && left[depth - 1] == 0)
            depth--;
    } while (depth > 0);
    return YG_OK;
}

yg_rc yg_mp_array(struct yg_mp *r, uint32_t *ret_count, struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    if (t.kind != YG_MP_ARRAY && t.kind != YG_MP_NIL)
        return wrong_kind(&t, "array", err);
    *ret_count = t.kind == YG_MP_NIL ? 0 : t.count;
    return YG_OK;
}

yg_rc yg_mp_map(struct yg_mp *r, uint32_t *ret_count, struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    if (t.kind != YG_MP_MAP && t.kind != YG_MP_NIL)
        return wrong_kind(&t, "map", err);
    *ret_count = t.kind == YG_MP_NIL ? 0 : t.count;
    return YG_OK;
}

yg_rc yg_mp_str(struct yg_mp *r, yg_str *ret_str, struct yg_err *err) {
    struct yg_mp_token t;
    if (yg_mp_try_str(r, ret_str))
        return YG_OK;
    YG_TRY(yg_mp_next(r, &t, err));
    if (t.kind == YG_MP_NIL)
        *ret_str = YG_STR("");
    else if (t.kind == YG_MP_STR || t.kind == YG_MP_BIN)
        *ret_str = t.str;
    else
        return wrong_kind(&t, "string", err);
    return YG_OK;
}

// A float as an integer: cut towards zero; what does not fit is refused rather than undefined.
static yg_rc float_to_i64(const struct yg_mp_token *t, int64_t *ret_value, struct yg_err *err) {
    if (!(t->f64 >= -9223372036854775808.0 && t->f64 < 9223372036854775808.0))
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: float outside the integers", t->at);
    *ret_value = (int64_t)t->f64;
    return YG_OK;
}

yg_rc yg_mp_i64(struct yg_mp *r, int64_t *ret_value, struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    if (t.kind == YG_MP_UINT || t.kind == YG_MP_INT)
        *ret_value = (int64_t)t.u64;
    else if (t.kind == YG_MP_F64)
        return float_to_i64(&t, ret_value, err);
    else
        return wrong_kind(&t, "integer", err);
    return YG_OK;
}

yg_rc yg_mp_u64(struct yg_mp *r, uint64_t *ret_value, struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    int64_t v;
    if (t.kind == YG_MP_UINT || t.kind == YG_MP_INT) {
        *ret_value = t.u64;
    } else if (t.kind == YG_MP_F64) {
        YG_TRY(float_to_i64(&t, &v, err));
        *ret_value = (uint64_t)v;
    } else {
        return wrong_kind(&t, "integer", err);
    }
    return YG_OK;
}

yg_rc yg_mp_f64(struct yg_mp *r, double *ret_value, struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    if (t.kind == YG_MP_F64)
        *ret_value = t.f64;
    else if (t.kind == YG_MP_UINT)
        *ret_value = (double)t.u64;
    else if (t.kind == YG_MP_INT)
        *ret_value = (double)t.i64;
    else
        return wrong_kind(&t, "number", err);
    return YG_OK;
}

// --- to JSON ---

static void put_base64(struct yg_json_writer *w, yg_str bytes) {
    struct yg_buf *b = w->buf;
    if (w->comma)
        yg_buf_putc(b, ',');
    yg_buf_putc(b, '"');
    yg_base64_put(b, bytes, false);
    yg_buf_putc(b, '"');
    w->comma = true;
}

// JSON's names are strings: other kinds of key are written as their text.
static yg_rc put_key(struct yg_mp *r, struct yg_json_writer *w, struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    char text[40];
    int n;
    switch (t.kind) {
    case YG_MP_STR:
    case YG_MP_BIN:
        yg_jw_key(w, t.str);
        return YG_OK;
    case YG_MP_UINT:
        n = snprintf(text, sizeof(text), "%llu", (unsigned long long)t.u64);
        break;
    case YG_MP_INT:
        n = snprintf(text, sizeof(text), "%lld", (long long)t.i64);
        break;
    case YG_MP_F64:
        n = snprintf(text, sizeof(text), "%.17g", t.f64);
        break;
    case YG_MP_BOOL:
        n = snprintf(text, sizeof(text), "%s", t.boolean ? "true" : "false");
        break;
    case YG_MP_NIL:
    case YG_MP_ARRAY:
    case YG_MP_MAP:
    case YG_MP_EXT:
    default:
        return wrong_kind(&t, "map key", err);
    }
    yg_jw_key(w, (yg_str){text, (size_t)n});
    return YG_OK;
}

static yg_rc put_value(struct yg_mp *r, struct yg_json_writer *w, uint32_t depth,
                       struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    if (depth == DEPTH_MAX && (t.kind == YG_MP_ARRAY || t.kind == YG_MP_MAP))
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: deeper than %u", t.at, DEPTH_MAX);
    switch (t.kind) {
    case YG_MP_NIL:
        yg_jw_null(w);
        break;
    case YG_MP_BOOL:
        yg_jw_bool(w, t.boolean);
        break;
    case YG_MP_UINT:
        yg_jw_u64(w, t.u64);
        break;
    case YG_MP_INT:
        yg_jw_i64(w, t.i64);
        break;
    case YG_MP_F64:
        yg_jw_f64(w, t.f64);
        break;
    case YG_MP_STR:
        yg_jw_str(w, t.str);
        break;
    case YG_MP_BIN:
    case YG_MP_EXT:
        put_base64(w, t.str);
        break;
    case YG_MP_ARRAY:
        yg_jw_array(w);
        for (uint32_t i = 0; i < t.count; i++)
            YG_TRY(put_value(r, w, depth + 1, err));
        yg_jw_array_end(w);
        break;
    case YG_MP_MAP:
        yg_jw_object(w);
        for (uint32_t i = 0; i < t.count; i++) {
            YG_TRY(put_key(r, w, err));
            YG_TRY(put_value(r, w, depth + 1, err));
        }
        yg_jw_object_end(w);
        break;
    }
    return YG_OK;
}

yg_rc yg_mp_to_json(struct yg_mp *r, struct yg_buf *out, struct yg_err *err) {
    struct yg_json_writer w = YG_JSON_WRITER(out);
    YG_TRY(put_value(r, &w, 0, err));
    return yg_buf_ok(out, err);
}

// --- writer ---

static void put_head(struct yg_buf *b, unsigned format, uint64_t v, size_t bytes) {
    unsigned char out[9];
    out[0] = (unsigned char)format;
    for (size_t i = 0; i < bytes; i++)
        out[1 + i] = (unsigned char)(v >> (8 * (bytes - 1 - i)));
    yg_buf_put(b, out, 1 + bytes);
}

void yg_mp_put_nil(struct yg_buf *b) {
    put_head(b, 0xc0, 0, 0);
}

void yg_mp_put_u64(struct yg_buf *b, uint64_t v) {
    if (v < 0x80)
        put_head(b, (unsigned)v, 0, 0);
    else if (v <= UINT8_MAX)
        put_head(b, 0xcc, v, 1);
    else if (v <= UINT16_MAX)
        put_head(b, 0xcd, v, 2);
    else if (v <= UINT32_MAX)
        put_head(b, 0xce, v, 4);
    else
        put_head(b, 0xcf, v, 8);
}

void yg_mp_put_i64(struct yg_buf *b, int64_t v) {
    if (v >= 0)
        yg_mp_put_u64(b, (uint64_t)v);
    else if (v >= -32)
        put_head(b, (unsigned)v & 0xff, 0, 0);
    else if (v >= INT8_MIN)
        put_head(b, 0xd0, (uint64_t)v, 1);
    else if (v >= INT16_MIN)
        put_head(b, 0xd1, (uint64_t)v, 2);
    else if (v >= INT32_MIN)
        put_head(b, 0xd2, (uint64_t)v, 4);
    else
        put_head(b, 0xd3, (uint64_t)v, 8);
}

void yg_mp_put_f64(struct yg_buf *b, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    put_head(b, 0xcb, bits, 8);
}

void yg_mp_put_str(struct yg_buf *b, yg_str s) {
    if (s.len < 32)
        put_head(b, 0xa0 | (unsigned)s.len, 0, 0);
    else if (s.len <= UINT8_MAX)
        put_head(b, 0xd9, s.len, 1);
    else if (s.len <= UINT16_MAX)
        put_head(b, 0xda, s.len, 2);
    else
        put_head(b, 0xdb, s.len, 4);
    yg_buf_puts(b, s);
}

void yg_mp_put_array(struct yg_buf *b, uint32_t count) {
    if (count < 16)
        put_head(b, 0x90 | count, 0, 0);
    else if (count <= UINT16_MAX)
        put_head(b, 0xdc, count, 2);
    else
        put_head(b, 0xdd, count, 4);
}

void yg_mp_put_map(struct yg_buf *b, uint32_t count) {
    if (count < 16)
        put_head(b, 0x80 | count, 0, 0);
    else if (count <= UINT16_MAX)
        put_head(b, 0xde, count, 2);
    else
        put_head(b, 0xdf, count, 4);
}
