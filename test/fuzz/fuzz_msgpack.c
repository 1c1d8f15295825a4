// SPDX-License-Identifier: Apache-2.0
// MessagePack: what skips becomes JSON that reads, and both stop at the same byte.
#include "codec/json_read.h"
#include "codec/msgpack.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    yg_str in = fuzz_all(data, size);
    struct yg_mp skipper;
    struct yg_mp reader;
    struct yg_err err = {0};
    yg_mp_init(&skipper, in);
    yg_mp_init(&reader, in);
    yg_rc skipped = yg_mp_skip(&skipper, &err);
    YG_ASSERT(skipped == YG_OK || (skipped == YG_EINPUT && strstr(err.text, "at byte") != NULL));
    YG_AUTO(yg_buf) json = YG_BUF(YG_MEM_BASE, 8u << 20);
    yg_rc written = yg_mp_to_json(&reader, &json, &err);
    YG_ASSERT(written == YG_OK || written == YG_EINPUT || written == YG_ELIMIT);
    if (written != YG_OK)
        return 0;
    YG_ASSERT(skipped == YG_OK && skipper.pos == reader.pos && reader.pos <= size);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    struct yg_json j;
    struct yg_json_token t;
    yg_json_init(&j, yg_buf_str(&json), arena);
    do {
        yg_rc rc = yg_json_next(&j, &t, &err);
        if (rc == YG_ENOMEM)
            return 0;
        YG_ASSERT(rc == YG_OK);
    } while (t.kind != YG_JSON_END);
    return 0;
}
