// SPDX-License-Identifier: Apache-2.0
// Time is always passed in, so that schedulers and retention run in simulated time under test.
#ifndef YG_BASE_CLOCK_H
#define YG_BASE_CLOCK_H

#include "base/str.h"

#define YG_NS_PER_S INT64_C(1000000000)
#define YG_NS_PER_MS INT64_C(1000000)

// now_ns: Unix time; mono_ns: monotonic. Both callable from any thread.
struct yg_clock {
    int64_t (*now_ns)(const struct yg_clock *clock);
    int64_t (*mono_ns)(const struct yg_clock *clock);
    int64_t fake_ns; // for test clocks
};

extern const struct yg_clock yg_clock_system;
static inline int64_t yg_now_ns(const struct yg_clock *c) {
    return c->now_ns(c);
}
static inline int64_t yg_mono_ns(const struct yg_clock *c) {
    return c->mono_ns(c);
}

// A clock that stands still at fake_ns (wall and monotonic) until the test moves it.
struct yg_clock yg_clock_fake(int64_t now_ns);

#define YG_TIME_TEXT_BYTES 40
// "2026-02-03T03:00:12.345Z" (milliseconds, UTC); returns the text's length.
size_t yg_time_format_iso(int64_t ns, char out[YG_TIME_TEXT_BYTES]);
// ISO 8601 date-time with zone (Z, ±hh:mm; none = UTC), fraction up to ns. False when it is not
// one.
bool yg_time_parse_iso(yg_str s, int64_t *ret_ns);

#endif
