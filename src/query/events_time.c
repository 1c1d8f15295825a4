// SPDX-License-Identifier: Apache-2.0
// Times and intervals as the search API writes them.
#include "query/events.h"

#include "base/clock.h"

// now ± n months or years on the calendar.
static bool shift_calendar(int64_t now_ns, int64_t months, int64_t *ret_ns) {
    time_t seconds = (time_t)(now_ns / YG_NS_PER_S);
    struct tm tm;
    if (months > 12000 || months < -12000 || gmtime_r(&seconds, &tm) == NULL)
        return false;
    tm.tm_mon += (int)months;
    *ret_ns = (int64_t)timegm(&tm) * YG_NS_PER_S + now_ns % YG_NS_PER_S;
    return true;
}

static bool parse_relative(yg_str s, int64_t now_ns, int64_t *ret_ns) {
    yg_str rest = yg_str_sub(s, 3, s.len);
    if (rest.len == 0) {
        *ret_ns = now_ns;
        return true;
    }
    int64_t n;
    if (rest.len < 3 || (rest.ptr[0] != '-' && rest.ptr[0] != '+') || rest.ptr[1] < '0' ||
        rest.ptr[1] > '9' || !yg_str_to_i64(yg_str_sub(rest, 1, rest.len - 2), &n) || n > 100000000)
        return false;
    if (rest.ptr[0] == '-')
        n = -n;
    int64_t unit_s = 0;
    switch (rest.ptr[rest.len - 1]) {
    case 's':
        unit_s = 1;
        break;
    case 'm':
        unit_s = 60;
        break;
    case 'h':
        unit_s = 3600;
        break;
    case 'd':
        unit_s = 86400;
        break;
    case 'w':
        unit_s = 604800;
        break;
    case 'M':
        return shift_calendar(now_ns, n, ret_ns);
    case 'y':
        return shift_calendar(now_ns, n * 12, ret_ns);
    default:
        return false;
    }
    int64_t shift;
    if (__builtin_mul_overflow(n, unit_s * YG_NS_PER_S, &shift))
        return false;
    return !__builtin_add_overflow(now_ns, shift, ret_ns);
}

bool yg_query_time_parse(yg_str s, int64_t now_ns, int64_t *ret_ns) {
    s = yg_str_trim(s);
    if (yg_str_starts(s, YG_STR("now")))
        return parse_relative(s, now_ns, ret_ns);
    int64_t n;
    if (yg_str_to_i64(s, &n)) {
        if (n > INT64_C(100000000000000000)) {
            *ret_ns = n;
            return true;
        }
        return !__builtin_mul_overflow(n, YG_NS_PER_MS, ret_ns);
    }
    return yg_time_parse_iso(s, ret_ns);
}

bool yg_interval_parse(yg_str s, int64_t *ret_ns) {
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"ms", YG_NS_PER_MS},      {"s", YG_NS_PER_S},         {"m", 60 * YG_NS_PER_S},
                 {"h", 3600 * YG_NS_PER_S}, {"d", 86400 * YG_NS_PER_S}, {"w", 604800 * YG_NS_PER_S},
                 {"", YG_NS_PER_MS}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        yg_str unit = yg_str_c(units[i].unit);
        int64_t n, ns;
        if (!yg_str_ends(s, unit) || !yg_str_to_i64(yg_str_sub(s, 0, s.len - unit.len), &n))
            continue;
        if (n <= 0 || __builtin_mul_overflow(n, units[i].ns, &ns))
            return false;
        *ret_ns = ns;
        return true;
    }
    return false;
}
