// SPDX-License-Identifier: Apache-2.0
// The system's clocks, and ISO 8601 text in UTC without the C library's time zone state.
#include "base/clock.h"

#include "base/panic.h"

#define S_PER_DAY INT64_C(86400)

static int64_t read_clock(clockid_t id) {
    struct timespec ts;
    if (clock_gettime(id, &ts) != 0)
        yg_panic(__FILE__, __LINE__, "clock_gettime failed");
    return (int64_t)ts.tv_sec * YG_NS_PER_S + ts.tv_nsec;
}

static int64_t system_now(const struct yg_clock *clock) {
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(const struct yg_clock *clock) {
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

const struct yg_clock yg_clock_system = {.now_ns = system_now, .mono_ns = system_mono};

static int64_t fake_now(const struct yg_clock *clock) {
    return clock->fake_ns;
}

struct yg_clock yg_clock_fake(int64_t now_ns) {
    return (struct yg_clock){.now_ns = fake_now, .mono_ns = fake_now, .fake_ns = now_ns};
}

// Days since 1970-01-01 of a date in the proleptic Gregorian calendar; years begin in March here,
// so that the leap day is the last one.
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *ret_day = doy - (153 * mp + 2) / 5 + 1;
    *ret_month = mp < 10 ? mp + 3 : mp - 9;
    *ret_year = yoe + era * 400 + (*ret_month <= 2);
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

size_t yg_time_format_iso(int64_t ns, char out[YG_TIME_TEXT_BYTES]) {
    int64_t ms = floor_div(ns, YG_NS_PER_MS);
    int64_t s = floor_div(ms, 1000);
    int64_t day = floor_div(s, S_PER_DAY);
    int64_t of_day = s - day * S_PER_DAY;
    int64_t y;
    int64_t m;
    int64_t d;
    date_of(day, &y, &m, &d);
    int n = snprintf(out, YG_TIME_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)y, (int)m,
                     (int)d, (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60),
                     (int)(ms - s * 1000));
    YG_ASSERT(n > 0 && n < YG_TIME_TEXT_BYTES);
    return (size_t)n;
}

// Exactly `digits` decimal digits at *at, then moves on.
static bool number(yg_str s, size_t *at, size_t digits, int64_t *ret_value) {
    int64_t v = 0;
    if (*at + digits > s.len)
        return false;
    for (size_t i = 0; i < digits; i++) {
        char c = s.ptr[*at + i];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *at += digits;
    *ret_value = v;
    return true;
}

static bool literal(yg_str s, size_t *at, const char *any_of) {
    if (*at >= s.len || s.ptr[*at] == 0 || strchr(any_of, s.ptr[*at]) == NULL)
        return false;
    (*at)++;
    return true;
}

static bool parse_date(yg_str s, size_t *at, int64_t *ret_days) {
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t y;
    int64_t m;
    int64_t d;
    if (!number(s, at, 4, &y) || !literal(s, at, "-") || !number(s, at, 2, &m) ||
        !literal(s, at, "-") || !number(s, at, 2, &d))
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (m < 1 || m > 12 || d < 1 || d > lengths[m - 1] + (m == 2 && leap))
        return false;
    *ret_days = days_of(y, m, d);
    return true;
}

static bool parse_time(yg_str s, size_t *at, int64_t *ret_s, int64_t *ret_ns) {
    int64_t hour;
    int64_t minute;
    int64_t second = 0;
    *ret_ns = 0;
    if (!number(s, at, 2, &hour) || !literal(s, at, ":") || !number(s, at, 2, &minute))
        return false;
    if (literal(s, at, ":")) {
        if (!number(s, at, 2, &second))
            return false;
        if (literal(s, at, ".,")) {
            int64_t scale = YG_NS_PER_S / 10;
            size_t from = *at;
            int64_t digit;
            for (; number(s, at, 1, &digit); scale /= 10)
                *ret_ns += digit * scale;
            if (*at == from)
                return false;
        }
    }
    *ret_s = hour * 3600 + minute * 60 + second;
    return hour < 24 && minute < 60 && second <= 60; // 60: a leap second
}

static bool parse_zone(yg_str s, size_t *at, int64_t *ret_offset_s) {
    *ret_offset_s = 0;
    if (*at == s.len || literal(s, at, "Zz"))
        return true;
    bool minus = s.ptr[*at] == '-';
    int64_t hour;
    int64_t minute = 0;
    if (!literal(s, at, "+-") || !number(s, at, 2, &hour))
        return false;
    if (*at < s.len) {
        (void)literal(s, at, ":");
        if (!number(s, at, 2, &minute))
            return false;
    }
    if (hour > 23 || minute > 59)
        return false;
    *ret_offset_s = (hour * 3600 + minute * 60) * (minus ? -1 : 1);
    return true;
}

bool yg_time_parse_iso(yg_str s, int64_t *ret_ns) {
    size_t at = 0;
    int64_t days;
    int64_t of_day;
    int64_t ns;
    int64_t zone;
    if (!parse_date(s, &at, &days) || !literal(s, &at, "Tt ") ||
        !parse_time(s, &at, &of_day, &ns) || !parse_zone(s, &at, &zone) || at != s.len)
        return false;
    int64_t total;
    if (__builtin_mul_overflow(days * S_PER_DAY + of_day - zone, YG_NS_PER_S, &total) ||
        __builtin_add_overflow(total, ns, &total))
        return false;
    *ret_ns = total;
    return true;
}
