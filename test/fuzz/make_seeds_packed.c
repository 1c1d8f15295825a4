// SPDX-License-Identifier: Apache-2.0
// Seeds for the content encodings.
#include "base/panic.h"
#include "codec/inflate.h"
#include "codec/protobuf.h"
#include "make_seeds.h"

static void seed_sketches(void) {
    YG_AUTO(yg_buf) dog = YG_BUF(YG_MEM_BASE, BUF_MAX);
    YG_AUTO(yg_buf) sketch = YG_BUF(YG_MEM_BASE, BUF_MAX);
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, BUF_MAX);
    yg_pb_put_varint(&dog, 1, 1790000000);
    yg_pb_put_varint(&dog, 2, 3);
    for (uint32_t field = 3; field <= 6; field++)
        yg_pb_put_f64(&dog, field, field);
    yg_pb_put_bytes(&dog, 7, YG_STR("\xf4\x14\xf6\x14")); // keys 1338, 1339
    yg_pb_put_bytes(&dog, 8, YG_STR("\x01\x02"));
    yg_pb_put_bytes(&sketch, 1, YG_STR("a.dist"));
    yg_pb_put_bytes(&sketch, 2, YG_STR("host"));
    yg_pb_put_bytes(&sketch, 4, YG_STR("env:prod"));
    yg_pb_put_bytes(&sketch, 7, yg_buf_str(&dog));
    yg_pb_put_bytes(&body, 1, yg_buf_str(&sketch));
    seed_file("sketches", "one", yg_buf_str(&body));
}

void seed_packed(void) {
    seed_sketches();
    yg_str text = YG_STR("{\"message\":\"packed packed packed packed packed\",\"n\":1}");
    YG_AUTO(yg_buf) gzip = YG_BUF(YG_MEM_BASE, BUF_MAX);
    YG_AUTO(yg_buf) zstd = YG_BUF(YG_MEM_BASE, BUF_MAX);
    yg_rc rc = yg_gzip(text, 6, &gzip, NULL);
    rc |= yg_gzip(text, 6, &gzip, NULL); // two members
    rc |= yg_zstd(text, 3, &zstd, NULL);
    YG_ASSERT(rc == YG_OK);
    seed_variant("inflate", "gzip", YG_ENC_GZIP, yg_buf_str(&gzip));
    seed_variant("inflate", "zstd", YG_ENC_ZSTD, yg_buf_str(&zstd));
    seed_variant("inflate", "plain", YG_ENC_IDENTITY, text);
    seed_variant("inflate", "deflate", YG_ENC_DEFLATE,
                 YG_STR("\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15"));
}
