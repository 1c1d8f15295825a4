// SPDX-License-Identifier: Apache-2.0
// JSON lines on standard error: constant message, key-value facts, no payload bytes.
#ifndef YG_BASE_LOG_H
#define YG_BASE_LOG_H

#include "base/str.h"

enum yg_log_level { YG_LOG_DEBUG, YG_LOG_INFO, YG_LOG_WARN, YG_LOG_ERROR, YG_LOG_LEVEL_COUNT };

struct yg_log_kv {
    const char *key;
    enum { YG_KV_STR_KIND, YG_KV_INT_KIND, YG_KV_F64_KIND } kind;
    union {
        yg_str str;
        int64_t i64;
        double f64;
    };
};
#define YG_KV_STR(k, v) ((struct yg_log_kv){.key = (k), .kind = YG_KV_STR_KIND, .str = (v)})
#define YG_KV_C(k, v) ((struct yg_log_kv){.key = (k), .kind = YG_KV_STR_KIND, .str = yg_str_c(v)})
#define YG_KV_INT(k, v)                                                                            \
    ((struct yg_log_kv){.key = (k), .kind = YG_KV_INT_KIND, .i64 = (int64_t)(v)})
#define YG_KV_F64(k, v) ((struct yg_log_kv){.key = (k), .kind = YG_KV_F64_KIND, .f64 = (v)})

void yg_log_level_set(enum yg_log_level level);
bool yg_log_level_parse(yg_str name, enum yg_log_level *ret_level);
// yg_log(YG_LOG_WARN, "store", "segment skipped", YG_KV_INT("segment", id), …). At most 10 lines a
// second per call site; what was held back is counted in the next line. Any thread.
#define yg_log(level, room, message, ...)                                                          \
    do {                                                                                           \
        static struct yg_log_site site_;                                                           \
        const struct yg_log_kv kv_[] = {{.key = NULL}, ##__VA_ARGS__};                             \
        yg_log_write(&site_, (level), (room), (message), kv_ + 1,                                  \
                     sizeof(kv_) / sizeof(kv_[0]) - 1);                                            \
    } while (0)

struct yg_log_site {
    int64_t second;
    uint32_t count;
    uint32_t held;
};
void yg_log_write(struct yg_log_site *site, enum yg_log_level level, const char *room,
                  const char *message, const struct yg_log_kv *kv, size_t kv_count);

#endif
