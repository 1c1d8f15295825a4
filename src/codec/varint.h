// SPDX-License-Identifier: Apache-2.0
// LEB128 integers and little-endian scalars for our own formats.
#ifndef YG_CODEC_VARINT_H
#define YG_CODEC_VARINT_H

#include "base/buf.h"

void yg_put_varint(struct yg_buf *b, uint64_t v);
void yg_put_svarint(struct yg_buf *b, int64_t v); // zigzag
void yg_put_u32(struct yg_buf *b, uint32_t v);
void yg_put_u64(struct yg_buf *b, uint64_t v);
void yg_put_lenstr(struct yg_buf *b, yg_str s); // varint length + bytes

// A cursor over stored bytes; all readers give ECORRUPT "… at byte N" past the end.
struct yg_cursor {
    yg_str in;
    size_t pos;
};
yg_rc yg_get_varint(struct yg_cursor *c, uint64_t *ret_value, struct yg_err *err) YG_MUST_USE;
yg_rc yg_get_svarint(struct yg_cursor *c, int64_t *ret_value, struct yg_err *err) YG_MUST_USE;
yg_rc yg_get_u32(struct yg_cursor *c, uint32_t *ret_value, struct yg_err *err) YG_MUST_USE;
yg_rc yg_get_u64(struct yg_cursor *c, uint64_t *ret_value, struct yg_err *err) YG_MUST_USE;
yg_rc yg_get_bytes(struct yg_cursor *c, size_t len, yg_str *ret_bytes,
                   struct yg_err *err) YG_MUST_USE;                                        // Borrow
yg_rc yg_get_lenstr(struct yg_cursor *c, yg_str *ret_str, struct yg_err *err) YG_MUST_USE; // Borrow

#endif
