// SPDX-License-Identifier: Apache-2.0
// Small text encodings: base64, hex, percent, query strings.
#ifndef YG_CODEC_TEXT_H
#define YG_CODEC_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

void yg_base64_put(struct yg_buf *b, yg_str s, bool url); // url: -_ and no padding
// Standard or URL alphabet, padding optional. EINPUT names the offset.
yg_rc yg_base64_decode(yg_str s, struct yg_arena *arena, yg_str *ret_bytes,
                       struct yg_err *err) YG_MUST_USE;
void yg_hex_put(struct yg_buf *b, const void *ptr, size_t len);
void yg_url_put(struct yg_buf *b, yg_str s); // percent-encodes all but unreserved characters
// Percent-decodes; plus = '+' means blank. A bad escape stays as it is.
yg_str yg_url_decode(yg_str s, bool plus, struct yg_arena *arena);

struct yg_query_param {
    yg_str key; // decoded: "filter[query]"
    yg_str value;
};
// Splits "a=1&b=2" (no '?'), decoded into the arena; at most 256 parameters. ENOMEM, ELIMIT.
yg_rc yg_query_parse(yg_str s, struct yg_arena *arena, struct yg_query_param **ret_params,
                     uint32_t *ret_count, struct yg_err *err) YG_MUST_USE;

#endif
