// SPDX-License-Identifier: Apache-2.0
// Streaming JSON writer over a buffer: commas and escapes are its business, nesting the caller's.
#ifndef YG_CODEC_JSON_WRITE_H
#define YG_CODEC_JSON_WRITE_H

#include "base/buf.h"

// Zeroed + buf is ready. Appends never fail by themselves: ask yg_buf_ok(w->buf) at the end.
struct yg_json_writer {
    struct yg_buf *buf;
    uint32_t depth;
    bool comma; // a value stands before in this container
};

#define YG_JSON_WRITER(b) ((struct yg_json_writer){.buf = (b)})

void yg_jw_object(struct yg_json_writer *w);
void yg_jw_object_end(struct yg_json_writer *w);
void yg_jw_array(struct yg_json_writer *w);
void yg_jw_array_end(struct yg_json_writer *w);
void yg_jw_key(struct yg_json_writer *w, yg_str key);
#define yg_jw_k(w, lit) yg_jw_key((w), YG_STR(lit))
void yg_jw_str(struct yg_json_writer *w, yg_str s); // invalid UTF-8 becomes U+FFFD
void yg_jw_i64(struct yg_json_writer *w, int64_t v);
void yg_jw_u64(struct yg_json_writer *w, uint64_t v);
void yg_jw_f64(struct yg_json_writer *w,
               double v); // shortest text that reads back; NaN, inf → null
void yg_jw_f64_float(struct yg_json_writer *w, double v); // as f64, but whole numbers keep ".0"
void yg_jw_bool(struct yg_json_writer *w, bool v);
void yg_jw_null(struct yg_json_writer *w);
void yg_jw_raw(struct yg_json_writer *w, yg_str json);   // a whole value, already JSON
void yg_jw_i64_str(struct yg_json_writer *w, int64_t v); // "123" – for ids and ns
void yg_jw_u64_str(struct yg_json_writer *w, uint64_t v);
// key + value in one call
void yg_jw_kstr(struct yg_json_writer *w, const char *key, yg_str v);
void yg_jw_ki64(struct yg_json_writer *w, const char *key, int64_t v);
void yg_jw_kf64(struct yg_json_writer *w, const char *key, double v);
void yg_jw_kbool(struct yg_json_writer *w, const char *key, bool v);
void yg_jw_knull(struct yg_json_writer *w, const char *key);

#endif
