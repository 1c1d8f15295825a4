// SPDX-License-Identifier: Apache-2.0
// Pull reader and small writer for MessagePack. Strings and binaries are borrowed from the input.
#ifndef YG_CODEC_MSGPACK_H
#define YG_CODEC_MSGPACK_H

#include "base/buf.h"
#include "base/str.h"

enum yg_mp_kind {
    YG_MP_NIL,
    YG_MP_BOOL,
    YG_MP_UINT,
    YG_MP_INT,
    YG_MP_F64,
    YG_MP_STR,
    YG_MP_BIN,
    YG_MP_ARRAY,
    YG_MP_MAP,
    YG_MP_EXT
};

struct yg_mp {
    yg_str in;
    size_t pos;
};

struct yg_mp_token {
    enum yg_mp_kind kind;
    bool boolean;
    uint64_t u64;   // UINT; also the bits of INT
    int64_t i64;    // INT (negative)
    double f64;     // F64 (float32 widened)
    uint32_t count; // ARRAY elements, MAP pairs
    int8_t ext;
    yg_str str; // STR, BIN, EXT payload
    size_t at;
};

static inline void yg_mp_init(struct yg_mp *r, yg_str in) {
    *r = (struct yg_mp){.in = in};
}
// All errors are EINPUT "msgpack at byte N: …". A count larger than the bytes left is refused.
yg_rc yg_mp_next(struct yg_mp *r, struct yg_mp_token *ret_token, struct yg_err *err) YG_MUST_USE;
yg_rc yg_mp_skip(struct yg_mp *r, struct yg_err *err) YG_MUST_USE; // one whole value, depth ≤ 128
yg_rc yg_mp_array(struct yg_mp *r, uint32_t *ret_count, struct yg_err *err) YG_MUST_USE; // nil → 0
yg_rc yg_mp_map(struct yg_mp *r, uint32_t *ret_count, struct yg_err *err) YG_MUST_USE; // nil → 0
yg_rc yg_mp_str(struct yg_mp *r, yg_str *ret_str,
                struct yg_err *err) YG_MUST_USE; // str or bin; nil → ""
// Reads a string of up to 255 bytes and nothing else; false, and nothing read, for what it does not
// know. For loops over many of them.
static inline bool yg_mp_try_str(struct yg_mp *r, yg_str *ret_str) {
    size_t left = r->in.len - r->pos;
    if (left < 2)
        return false;
    const unsigned char *p = (const unsigned char *)r->in.ptr + r->pos;
    size_t head = p[0] == 0xd9 ? 2 : 1;
    size_t len = p[0] == 0xd9 ? p[1] : p[0] & 31u;
    if ((p[0] != 0xd9 && (p[0] & 0xe0) != 0xa0) || left - head < len)
        return false;
    *ret_str = (yg_str){(const char *)p + head, len};
    r->pos += head + len;
    return true;
}
// For a reader that knows which name comes next: reads it and says true, or reads nothing.
static inline bool yg_mp_try_name(struct yg_mp *r, yg_str name) {
    size_t at = r->pos;
    yg_str s;
    if (yg_mp_try_str(r, &s) && yg_str_eq(s, name))
        return true;
    r->pos = at;
    return false;
}
// The same for a float of eight bytes.
static inline bool yg_mp_try_f64(struct yg_mp *r, double *ret_value) {
    if (r->in.len - r->pos < 9 || (unsigned char)r->in.ptr[r->pos] != 0xcb)
        return false;
    uint64_t bits;
    memcpy(&bits, r->in.ptr + r->pos + 1, sizeof(bits));
    bits = __builtin_bswap64(bits); // little endian host
    memcpy(ret_value, &bits, sizeof(bits));
    r->pos += 9;
    return true;
}
yg_rc yg_mp_i64(struct yg_mp *r, int64_t *ret_value,
                struct yg_err *err) YG_MUST_USE; // any number; u64 wraps
yg_rc yg_mp_u64(struct yg_mp *r, uint64_t *ret_value,
                struct yg_err *err) YG_MUST_USE; // negative wraps
yg_rc yg_mp_f64(struct yg_mp *r, double *ret_value, struct yg_err *err) YG_MUST_USE; // any number
// Reads one value and appends it to out as JSON (bin as base64); for nested structures.
yg_rc yg_mp_to_json(struct yg_mp *r, struct yg_buf *out, struct yg_err *err) YG_MUST_USE;

void yg_mp_put_nil(struct yg_buf *b);
void yg_mp_put_u64(struct yg_buf *b, uint64_t v);
void yg_mp_put_i64(struct yg_buf *b, int64_t v);
void yg_mp_put_f64(struct yg_buf *b, double v);
void yg_mp_put_str(struct yg_buf *b, yg_str s);
void yg_mp_put_array(struct yg_buf *b, uint32_t count);
void yg_mp_put_map(struct yg_buf *b, uint32_t count);

#endif
