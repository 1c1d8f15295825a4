// SPDX-License-Identifier: Apache-2.0
// Names of tracks, and the text forms of trace ids.
#include "model/track.h"

#include "base/panic.h"
#include "model/value.h"

const char *yg_track_name(enum yg_track track) {
    static const char *const names[YG_TRACK_COUNT] = {"logs",   "spans", "traces",
                                                      "events", "ci",    "signals"};
    YG_ASSERT(track < YG_TRACK_COUNT);
    return names[track];
}

static bool all_digits(yg_str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

static bool parse_hex(yg_str s, yg_id128 *ret_id) {
    yg_id128 id = {0, 0};
    if (s.len > 16 && !yg_str_hex_to_u64(yg_str_n(s.ptr, s.len - 16), &id.hi))
        return false;
    yg_str low = s.len > 16 ? yg_str_n(s.ptr + s.len - 16, 16) : s;
    if (!yg_str_hex_to_u64(low, &id.lo))
        return false;
    *ret_id = id;
    return true;
}

bool yg_id128_parse(yg_str s, bool hex_first, yg_id128 *ret_id) {
    bool hex_length = s.len == 16 || s.len == 32;
    if (all_digits(s) && !(hex_first && hex_length)) {
        uint64_t low;
        if (s.len <= 20 && yg_str_to_u64(s, &low)) {
            *ret_id = (yg_id128){0, low};
            return true;
        }
    }
    return hex_length && parse_hex(s, ret_id);
}

void yg_id128_hex(yg_id128 id, char out[33]) {
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 16; i++) {
        out[i] = digits[(id.hi >> (60 - 4 * i)) & 15];
        out[16 + i] = digits[(id.lo >> (60 - 4 * i)) & 15];
    }
    out[32] = 0;
}
