// SPDX-License-Identifier: Apache-2.0
// LEB128 integers and little-endian scalars.
#include "codec/varint.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "scalars are stored as they lie");

void yg_put_varint(struct yg_buf *b, uint64_t v) {
    unsigned char out[10];
    size_t n = 0;
    while (v >= 0x80) {
        out[n++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    out[n++] = (unsigned char)v;
    yg_buf_put(b, out, n);
}

void yg_put_svarint(struct yg_buf *b, int64_t v) {
    yg_put_varint(b, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

void yg_put_u32(struct yg_buf *b, uint32_t v) {
    yg_buf_put(b, &v, sizeof(v));
}

void yg_put_u64(struct yg_buf *b, uint64_t v) {
    yg_buf_put(b, &v, sizeof(v));
}

void yg_put_lenstr(struct yg_buf *b, yg_str s) {
    yg_put_varint(b, s.len);
    yg_buf_puts(b, s);
}

static yg_rc ends_early(const struct yg_cursor *c, const char *what, struct yg_err *err) {
    return yg_fail(err, YG_ECORRUPT, "%s ends early at byte %zu", what, c->pos);
}

yg_rc yg_get_varint(struct yg_cursor *c, uint64_t *ret_value, struct yg_err *err) {
    uint64_t v = 0;
    size_t pos = c->pos;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (pos >= c->in.len)
            return ends_early(c, "varint", err);
        unsigned char byte = (unsigned char)c->in.ptr[pos++];
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            c->pos = pos;
            *ret_value = v;
            return YG_OK;
        }
    }
    return yg_fail(err, YG_ECORRUPT, "varint over 64 bits at byte %zu", c->pos);
}

yg_rc yg_get_svarint(struct yg_cursor *c, int64_t *ret_value, struct yg_err *err) {
    uint64_t v;
    YG_TRY(yg_get_varint(c, &v, err));
    *ret_value = (int64_t)(v >> 1 ^ (0 - (v & 1)));
    return YG_OK;
}

yg_rc yg_get_u32(struct yg_cursor *c, uint32_t *ret_value, struct yg_err *err) {
    if (c->in.len - c->pos < sizeof(*ret_value))
        return ends_early(c, "u32", err);
    memcpy(ret_value, c->in.ptr + c->pos, sizeof(*ret_value));
    c->pos += sizeof(*ret_value);
    return YG_OK;
}

yg_rc yg_get_u64(struct yg_cursor *c, uint64_t *ret_value, struct yg_err *err) {
    if (c->in.len - c->pos < sizeof(*ret_value))
        return ends_early(c, "u64", err);
    memcpy(ret_value, c->in.ptr + c->pos, sizeof(*ret_value));
    c->pos += sizeof(*ret_value);
    return YG_OK;
}

yg_rc yg_get_bytes(struct yg_cursor *c, size_t len, yg_str *ret_bytes, struct yg_err *err) {
    if (c->in.len - c->pos < len)
        return ends_early(c, "byte run", err);
    *ret_bytes = (yg_str){c->in.ptr + c->pos, len};
    c->pos += len;
    return YG_OK;
}

yg_rc yg_get_lenstr(struct yg_cursor *c, yg_str *ret_str, struct yg_err *err) {
    uint64_t len;
    YG_TRY(yg_get_varint(c, &len, err));
    return yg_get_bytes(c, len, ret_str, err);
}
