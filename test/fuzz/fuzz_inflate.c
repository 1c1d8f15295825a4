// SPDX-License-Identifier: Apache-2.0
// Content encodings: never more bytes than the cap, and what we pack comes out again.
#include "codec/inflate.h"
#include "fuzz.h"

#define CAP (1u << 20)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size == 0)
        return 0;
    yg_str in = fuzz_rest(data, size);
    enum yg_encoding encoding = (enum yg_encoding)(data[0] % 4);
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, CAP);
    struct yg_err err = {0};
    FUZZ_EXPECT_INPUT_RC(yg_inflate(encoding, in, &out, &err));
    YG_ASSERT(out.len <= CAP);
    if (in.len > 65536)
        return 0;
    YG_AUTO(yg_buf) packed = YG_BUF(YG_MEM_BASE, CAP);
    YG_AUTO(yg_buf) back = YG_BUF(YG_MEM_BASE, CAP);
    bool gzip = encoding == YG_ENC_GZIP;
    yg_rc rc = gzip ? yg_gzip(in, 1, &packed, &err) : yg_zstd(in, 1, &packed, &err);
    YG_ASSERT(rc == YG_OK);
    rc = yg_inflate(gzip ? YG_ENC_GZIP : YG_ENC_ZSTD, yg_buf_str(&packed), &back, &err);
    YG_ASSERT(rc == YG_OK && yg_str_eq(yg_buf_str(&back), in));
    return 0;
}
