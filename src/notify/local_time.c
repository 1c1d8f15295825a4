// SPDX-License-Identifier: Apache-2.0
// A point in time as a named zone writes it, from the system's zone files (TZif, RFC 8536).
#include "notify/notify_internal.h"

#include "base/file.h"

#define ZONE_FILE_MAX_BYTES (256u << 10)
#define ZONE_NAME_MAX 64

static uint32_t be32(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const unsigned char *p) {
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

struct header {
    uint32_t isut, isstd, leap, times, types, chars;
};

static bool header_read(const unsigned char *p, size_t len, struct header *ret_header) {
    if (len < 44 || memcmp(p, "TZif", 4) != 0)
        return false;
    *ret_header = (struct header){be32(p + 20), be32(p + 24), be32(p + 28),
                                  be32(p + 32), be32(p + 36), be32(p + 40)};
    const uint32_t *all = &ret_header->isut;
    for (int i = 0; i < 6; i++)
        if (all[i] > 65536)
            return false;
    return true;
}

static size_t body_bytes(const struct header *h, size_t time_bytes) {
    return h->times * time_bytes + h->times + h->types * 6 + h->chars + h->leap * (time_bytes + 4) +
           h->isstd + h->isut;
}

// Seconds east of UTC at a moment. Times after the last transition keep its offset: zone files of
// today list transitions up to 2037.
static bool offset_at(yg_str file, int64_t at_s, int32_t *ret_offset) {
    const unsigned char *p = (const unsigned char *)file.ptr;
    struct header h;
    if (!header_read(p, file.len, &h) || p[4] < '2')
        return false;
    size_t skip = 44 + body_bytes(&h, 4); // the 32-bit copy
    if (skip > file.len || !header_read(p + skip, file.len - skip, &h) || h.types == 0)
        return false;
    size_t times = skip + 44;
    if (times + body_bytes(&h, 8) > file.len)
        return false;
    size_t kinds = times + (size_t)h.times * 8;
    size_t types = kinds + h.times;
    uint32_t kind = 0;
    for (uint32_t i = 0; i < h.times && be64(p + times + (size_t)i * 8) <= at_s; i++)
        kind = p[kinds + i];
    if (kind >= h.types)
        return false;
    *ret_offset = (int32_t)be32(p + types + (size_t)kind * 6);
    return true;
}

static bool zone_name_safe(yg_str zone) {
    if (zone.len == 0 || zone.len > ZONE_NAME_MAX || zone.ptr[0] == '/')
        return false;
    for (size_t i = 0; i < zone.len; i++) {
        char c = zone.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '/' && c != '_' && c != '-' && c != '+')
            return false; // no dots: the name cannot leave the folder
    }
    return true;
}

bool yg_local_time_text(int64_t ns, yg_str zone, char out[YG_TIME_TEXT_BYTES]) {
    int32_t offset = 0;
    int64_t at_s = ns / YG_NS_PER_S;
    bool utc = yg_str_eq_nocase(zone, YG_STR("UTC"));
    if (!utc) {
        char path[128];
        struct yg_err err = {0};
        YG_AUTO(yg_buf) file = YG_BUF(YG_MEM_MONITOR, ZONE_FILE_MAX_BYTES);
        if (!zone_name_safe(zone))
            return false;
        snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.*s", YG_STR_FMT(zone));
        if (yg_file_read_all(path, &file, &err) != YG_OK ||
            !offset_at(yg_buf_str(&file), at_s, &offset))
            return false;
    }
    char iso[YG_TIME_TEXT_BYTES];
    yg_time_format_iso((at_s + offset) * YG_NS_PER_S, iso);
    int32_t minutes = (offset < 0 ? -offset : offset) / 60;
    snprintf(out, YG_TIME_TEXT_BYTES, "%.10s %.8s%c%02d:%02d", iso, iso + 11,
             offset < 0 ? '-' : '+', minutes / 60 % 24, minutes % 60);
    return true;
}
