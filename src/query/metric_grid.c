// SPDX-License-Identifier: Apache-2.0
// Buckets of metric queries: the ladder of intervals, grids aligned to 1970, calendar grids in UTC.

#include "query/metric_int.h"
#include <time.h>

// The smallest step with at most `points` buckets. The figures reproduce every documented window.
int64_t yg_mladder(int64_t window_s, uint32_t points) {
    static const int64_t steps[] = {1,   2,    5,    10,   20,   30,    60,    120,   300,
                                    600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (window_s <= steps[i] * (int64_t)points)
            return steps[i];
    return 86400;
}

// ------------------------------------------------------------ calendar, UTC

static int64_t civil(int year, int month) { // first day of a month, seconds; month may pass 11
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month, .tm_mday = 1};
    return (int64_t)timegm(&tm);
}

static int64_t floor_to(int64_t v, int64_t step) {
    int64_t rest = v % step;
    return v - (rest < 0 ? rest + step : rest);
}

// Start of the calendar bucket that holds ts, moved by `by` buckets.
static int64_t calendar_start(enum yg_calendar c, int64_t ts, int by) {
    struct tm tm;
    time_t t = (time_t)ts;
    (void)gmtime_r(&t, &tm);
    switch (c) {
    case YG_CAL_DAILY:
        return floor_to(ts, 86400) + by * INT64_C(86400);
    case YG_CAL_WEEKLY: // Mondays; 1970-01-01 was a Thursday
        return floor_to(ts + 3 * 86400, 604800) - 3 * 86400 + by * INT64_C(604800);
    case YG_CAL_MONTHLY:
        return civil(tm.tm_year + 1900, tm.tm_mon + by);
    case YG_CAL_YEARLY:
        return civil(tm.tm_year + 1900 + by, 0);
    case YG_CAL_NONE:
    case YG_CAL_KIND_COUNT:
        break;
    }
    return ts;
}

// ------------------------------------------------------------ grids

static yg_rc take(struct yg_arena *a, uint32_t count, struct yg_mgrid *g, struct yg_err *err) {
    g->starts = YG_NEW_N(a, int64_t, count + 1);
    g->count = count;
    return g->starts ? YG_OK : yg_mq_no_memory(err);
}

static yg_rc make_calendar(struct yg_arena *a, int64_t from_s, int64_t to_s, enum yg_calendar c,
                           struct yg_mgrid *g, struct yg_err *err) {
    int64_t first = calendar_start(c, from_s, 0);
    if (first < from_s && calendar_start(c, from_s, 1) <= to_s)
        first = calendar_start(c, from_s, 1);
    uint32_t count = 1;
    for (int64_t at = calendar_start(c, first, 1); at <= to_s; at = calendar_start(c, at, 1))
        if (++count > YG_MQ_POINTS_MAX)
            return yg_fail(err, YG_ELIMIT, "more than %u points", YG_MQ_POINTS_MAX);
    YG_TRY(take(a, count, g, err));
    g->calendar = c;
    g->starts[0] = first;
    for (uint32_t i = 1; i <= count; i++)
        g->starts[i] = calendar_start(c, g->starts[i - 1], 1);
    return YG_OK;
}

// Buckets whose start lies in [from, to]; when there is none, the one that holds `from`.
yg_rc yg_mgrid_make(struct yg_arena *a, int64_t from_s, int64_t to_s, int64_t interval_s,
                    enum yg_calendar calendar, struct yg_mgrid *ret_grid, struct yg_err *err) {
    *ret_grid = (struct yg_mgrid){.interval_s = interval_s};
    if (calendar != YG_CAL_NONE)
        return make_calendar(a, from_s, to_s, calendar, ret_grid, err);
    int64_t first = floor_to(from_s + interval_s - 1, interval_s),
            last = floor_to(to_s, interval_s);
    if (first > last)
        first = last = floor_to(from_s, interval_s);
    if ((last - first) / interval_s >= 100000)
        return yg_fail(err, YG_ELIMIT, "more than 100000 points");
    YG_TRY(take(a, (uint32_t)((last - first) / interval_s) + 1, ret_grid, err));
    for (uint32_t i = 0; i <= ret_grid->count; i++)
        ret_grid->starts[i] = first + (int64_t)i * interval_s;
    return YG_OK;
}

yg_rc yg_mgrid_extend(struct yg_arena *a, const struct yg_mgrid *g, uint32_t more,
                      struct yg_mgrid *ret_grid, struct yg_err *err) {
    *ret_grid = *g;
    if (more == 0)
        return YG_OK;
    if (more > 100000)
        return yg_fail(err, YG_ELIMIT, "more than 100000 points of history");
    YG_TRY(take(a, g->count + more, ret_grid, err));
    memcpy(ret_grid->starts + more, g->starts, (g->count + 1) * sizeof(*g->starts));
    for (uint32_t i = more; i-- > 0;) {
        int64_t next = ret_grid->starts[i + 1];
        int64_t width = g->interval_s > 0 ? g->interval_s : 1;
        ret_grid->starts[i] =
            g->calendar != YG_CAL_NONE ? calendar_start(g->calendar, next, -1) : next - width;
    }
    return YG_OK;
}

yg_rc yg_mgrid_shift(struct yg_arena *a, const struct yg_mgrid *g, int64_t shift_s,
                     struct yg_mgrid *ret_grid, struct yg_err *err) {
    *ret_grid = *g;
    YG_TRY(take(a, g->count, ret_grid, err));
    for (uint32_t i = 0; i <= g->count; i++)
        ret_grid->starts[i] = g->starts[i] + shift_s;
    return YG_OK;
}

uint32_t yg_mgrid_find(const struct yg_mgrid *g, int64_t ts_s) {
    if (g->count == 0 || ts_s < g->starts[0] || ts_s >= g->starts[g->count])
        return UINT32_MAX;
    if (g->interval_s > 0 && g->calendar == YG_CAL_NONE)
        return (uint32_t)((ts_s - g->starts[0]) / g->interval_s);
    uint32_t lo = 0, hi = g->count;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (g->starts[mid] <= ts_s)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}
