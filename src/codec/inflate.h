// SPDX-License-Identifier: Apache-2.0
// Content encodings of request bodies, always under a cap on the output.
#ifndef YG_CODEC_INFLATE_H
#define YG_CODEC_INFLATE_H

#include "base/buf.h"

enum yg_encoding { YG_ENC_IDENTITY, YG_ENC_GZIP, YG_ENC_DEFLATE, YG_ENC_ZSTD };

// "gzip", "x-gzip", "deflate" (zlib or raw), "zstd", "zstd1", "identity", "" (any case). False: not
// known.
bool yg_encoding_parse(yg_str name, enum yg_encoding *ret_encoding);
// Appends the decoded bytes to out. EINPUT "gzip at byte N: …" (torn or damaged), ELIMIT when more
// than out->limit_bytes would come out (the bomb is not inflated further), several gzip members and
// zstd frames are joined.
yg_rc yg_inflate(enum yg_encoding encoding, yg_str in, struct yg_buf *out,
                 struct yg_err *err) YG_MUST_USE;
yg_rc yg_gzip(yg_str in, int level, struct yg_buf *out, struct yg_err *err) YG_MUST_USE;
yg_rc yg_zstd(yg_str in, int level, struct yg_buf *out, struct yg_err *err) YG_MUST_USE;

#endif
