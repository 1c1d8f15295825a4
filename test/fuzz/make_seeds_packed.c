// SPDX-License-Identifier: Apache-2.0
// Seeds for the content encodings.
#include "base/panic.h"
#include "codec/inflate.h"
#include "make_seeds.h"

void seed_packed(void) {
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
