// SPDX-License-Identifier: Apache-2.0
// Protocol Buffers wire format: pull reader over one message, and a writer. No schema, no
// allocation.
#ifndef YG_CODEC_PROTOBUF_H
#define YG_CODEC_PROTOBUF_H

#include "base/buf.h"
#include "base/str.h"

enum yg_pb_wire { YG_PB_VARINT = 0, YG_PB_FIXED64 = 1, YG_PB_BYTES = 2, YG_PB_FIXED32 = 5 };

struct yg_pb {
    yg_str in;
    size_t pos;
    size_t base; // offset of in.ptr[0] in the whole body, for error texts
};

struct yg_pb_field {
    uint32_t number;
    enum yg_pb_wire wire;
    uint64_t u64; // VARINT, FIXED64, FIXED32 (raw bits)
    yg_str bytes; // BYTES
    size_t at;
};

static inline void yg_pb_init(struct yg_pb *r, yg_str in, size_t base) {
    *r = (struct yg_pb){.in = in, .base = base};
}
// *ret_more = false at the end. EINPUT "protobuf at byte N: …". Groups are refused.
yg_rc yg_pb_next(struct yg_pb *r, struct yg_pb_field *ret_field, bool *ret_more,
                 struct yg_err *err) YG_MUST_USE;
// Reader over a BYTES field's message, with the right base.
void yg_pb_sub(const struct yg_pb *r, const struct yg_pb_field *f, struct yg_pb *ret_sub);
double yg_pb_f64(const struct yg_pb_field *f); // FIXED64 bits as double
float yg_pb_f32(const struct yg_pb_field *f);  // FIXED32 bits as float
int64_t yg_pb_zigzag(uint64_t v);
// Next element of a packed or single repeated number: call until false. *at starts at 0.
bool yg_pb_packed_varint(const struct yg_pb_field *f, size_t *at, uint64_t *ret_value);
bool yg_pb_packed_f64(const struct yg_pb_field *f, size_t *at, double *ret_value);

void yg_pb_put_varint(struct yg_buf *b, uint32_t number, uint64_t v);
void yg_pb_put_f64(struct yg_buf *b, uint32_t number, double v);
void yg_pb_put_bytes(struct yg_buf *b, uint32_t number, yg_str s);

#endif
