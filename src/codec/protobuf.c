// SPDX-License-Identifier: Apache-2.0
// Protocol Buffers wire format without a schema.
// Source: protocolbuffers/protobuf docs (encoding)
#include "codec/protobuf.h"

static yg_rc fail_at(const struct yg_pb *r, size_t pos, const char *what, struct yg_err *err) {
    return yg_fail(err, YG_EINPUT, "protobuf at byte %zu: %s", r->base + pos, what);
}

// LEB128 of up to ten bytes; false at the end of s or beyond 64 bits.
static bool take_varint(yg_str s, size_t *pos, uint64_t *ret_value) {
    uint64_t v = 0;
    size_t at = *pos;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at >= s.len)
            return false;
        unsigned char byte = (unsigned char)s.ptr[at++];
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *pos = at;
            *ret_value = v;
            return true;
        }
    }
    return false;
}

static yg_rc take_fixed(struct yg_pb *r, size_t n, uint64_t *ret_value, struct yg_err *err) {
    if (r->in.len - r->pos < n)
        return fail_at(r, r->pos, "fixed value ends early", err);
    uint64_t v = 0;
    memcpy(&v, r->in.ptr + r->pos, n); // little-endian, as this machine
    r->pos += n;
    *ret_value = v;
    return YG_OK;
}

static yg_rc take_bytes(struct yg_pb *r, yg_str *ret_bytes, struct yg_err *err) {
    uint64_t len;
    if (!take_varint(r->in, &r->pos, &len))
        return fail_at(r, r->pos, "bad length", err);
    if (len > r->in.len - r->pos)
        return fail_at(r, r->pos, "field is longer than its message", err);
    *ret_bytes = (yg_str){r->in.ptr + r->pos, len};
    r->pos += len;
    return YG_OK;
}

yg_rc yg_pb_next(struct yg_pb *r, struct yg_pb_field *f, bool *ret_more, struct yg_err *err) {
    if (r->pos >= r->in.len) {
        *ret_more = false;
        return YG_OK;
    }
    size_t at = r->pos;
    uint64_t key;
    if (!take_varint(r->in, &r->pos, &key))
        return fail_at(r, at, "bad field key", err);
    uint64_t number = key >> 3;
    if (number == 0 || number > (1u << 29) - 1)
        return fail_at(r, at, "field number out of range", err);
    *f = (struct yg_pb_field){.number = (uint32_t)number, .at = r->base + at};
    switch (key & 7) {
    case YG_PB_VARINT:
        f->wire = YG_PB_VARINT;
        if (!take_varint(r->in, &r->pos, &f->u64))
            return fail_at(r, r->pos, "bad varint", err);
        break;
    case YG_PB_FIXED64:
        f->wire = YG_PB_FIXED64;
        YG_TRY(take_fixed(r, 8, &f->u64, err));
        break;
    case YG_PB_BYTES:
        f->wire = YG_PB_BYTES;
        YG_TRY(take_bytes(r, &f->bytes, err));
        break;
    case YG_PB_FIXED32:
        f->wire = YG_PB_FIXED32;
        YG_TRY(take_fixed(r, 4, &f->u64, err));
        break;
    default:
        return fail_at(r, at, "groups and unknown wire types are not read", err);
    }
    *ret_more = true;
    return YG_OK;
}

void yg_pb_sub(const struct yg_pb *r, const struct yg_pb_field *f, struct yg_pb *ret_sub) {
    size_t base = r->base;
    if (f->bytes.len > 0)
        base += (size_t)(f->bytes.ptr - r->in.ptr);
    yg_pb_init(ret_sub, f->bytes, base);
}

double yg_pb_f64(const struct yg_pb_field *f) {
    double v;
    memcpy(&v, &f->u64, sizeof(v));
    return v;
}

float yg_pb_f32(const struct yg_pb_field *f) {
    uint32_t bits = (uint32_t)f->u64;
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

int64_t yg_pb_zigzag(uint64_t v) {
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

bool yg_pb_packed_varint(const struct yg_pb_field *f, size_t *at, uint64_t *ret_value) {
    if (f->wire == YG_PB_BYTES)
        return take_varint(f->bytes, at, ret_value);
    if (f->wire != YG_PB_VARINT || *at > 0)
        return false;
    *at = 1;
    *ret_value = f->u64;
    return true;
}

bool yg_pb_packed_f64(const struct yg_pb_field *f, size_t *at, double *ret_value) {
    if (f->wire == YG_PB_BYTES) {
        if (f->bytes.len - *at < sizeof(*ret_value))
            return false;
        memcpy(ret_value, f->bytes.ptr + *at, sizeof(*ret_value));
        *at += sizeof(*ret_value);
        return true;
    }
    if (f->wire != YG_PB_FIXED64 || *at > 0)
        return false;
    *at = 1;
    *ret_value = yg_pb_f64(f);
    return true;
}

static void put_raw_varint(struct yg_buf *b, uint64_t v) {
    unsigned char out[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (unsigned char)(v | 0x80);
    out[n++] = (unsigned char)v;
    yg_buf_put(b, out, n);
}

void yg_pb_put_varint(struct yg_buf *b, uint32_t number, uint64_t v) {
    put_raw_varint(b, (uint64_t)number << 3 | YG_PB_VARINT);
    put_raw_varint(b, v);
}

void yg_pb_put_f64(struct yg_buf *b, uint32_t number, double v) {
    put_raw_varint(b, (uint64_t)number << 3 | YG_PB_FIXED64);
    yg_buf_put(b, &v, sizeof(v));
}

void yg_pb_put_bytes(struct yg_buf *b, uint32_t number, yg_str s) {
    put_raw_varint(b, (uint64_t)number << 3 | YG_PB_BYTES);
    put_raw_varint(b, s.len);
    yg_buf_puts(b, s);
}
