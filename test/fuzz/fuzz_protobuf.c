// SPDX-License-Identifier: Apache-2.0
// Protocol Buffers: fields lie inside their message, whatever is taken for a message.
#include "codec/protobuf.h"
#include "fuzz.h"

static void walk(struct yg_pb r, int depth) {
    struct yg_pb_field f;
    bool more;
    struct yg_err err = {0};
    for (;;) {
        size_t before = r.pos;
        yg_rc rc = yg_pb_next(&r, &f, &more, &err);
        if (rc != YG_OK) {
            YG_ASSERT(rc == YG_EINPUT && strstr(err.text, "protobuf at byte") != NULL);
            return;
        }
        if (!more)
            return;
        YG_ASSERT(r.pos > before && r.pos <= r.in.len && f.number > 0);
        YG_ASSERT(f.at >= r.base && f.at < r.base + r.in.len);
        size_t at = 0;
        uint64_t u64;
        double f64;
        while (yg_pb_packed_varint(&f, &at, &u64))
            YG_ASSERT(at > 0);
        at = 0;
        while (yg_pb_packed_f64(&f, &at, &f64))
            YG_ASSERT(at > 0);
        (void)yg_pb_f32(&f);
        if (f.wire != YG_PB_BYTES)
            continue;
        YG_ASSERT(f.bytes.ptr >= r.in.ptr && f.bytes.len <= r.in.len);
        struct yg_pb sub;
        yg_pb_sub(&r, &f, &sub);
        if (depth < 6)
            walk(sub, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    struct yg_pb r;
    if (size > 4096) // six levels over the same bytes are enough of them
        size = 4096;
    yg_pb_init(&r, fuzz_all(data, size), 0);
    walk(r, 0);
    return 0;
}
