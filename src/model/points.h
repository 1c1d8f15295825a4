// SPDX-License-Identifier: Apache-2.0
// Metric points on their way from a decoder to the WAL: series interned per batch, then points and
// sketches.
#ifndef YG_MODEL_POINTS_H
#define YG_MODEL_POINTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "codec/ddsketch.h"

// On disk: part of the WAL and metric block formats.
enum yg_metric_type {
    YG_METRIC_GAUGE = 0,
    YG_METRIC_COUNT = 1,
    YG_METRIC_RATE = 2, // values are per second over `interval_s`
    YG_METRIC_DISTRIBUTION = 3,
    YG_METRIC_TYPE_COUNT
};

// One series. name normalised (letter first; letters, digits, '_', '.'; ≤ 200); tags normalised
// (lower case, ≤ 200 characters each), sorted, without duplicates, comma-joined, host included as
// "host:x" when known.
struct yg_point_series {
    yg_str name;
    yg_str tags;
    enum yg_metric_type type;
    uint32_t interval_s; // as sent; 0 = not said
    yg_str unit;         // as sent or empty
};

struct yg_point {
    uint32_t series;
    int32_t sketch; // index, or −1: the value counts
    int64_t ts_s;   // seconds since 1970
    double value;
};

struct yg_points {
    struct yg_arena *arena;
    struct yg_point_series *series;
    uint32_t series_count;
    uint32_t series_cap;
    struct yg_point *points;
    uint32_t count;
    uint32_t cap;
    struct yg_sketch *sketches;
    uint32_t sketch_count;
    uint32_t sketch_cap;
    struct yg_map own_index;
    yg_str digest; // as in yg_batch
    uint64_t body_bytes;
    int64_t received_ns;
    uint64_t sequence;
};

struct yg_points *yg_points_create(size_t limit_bytes); // NULL without memory
void yg_points_destroy(struct yg_points *p);

// Normalises and interns a series. `tags`: as sent, any order; host may be empty. EINPUT for a name
// without a letter at its start after normalising, or longer than 200. Source: see reference of
// each intake.
yg_rc yg_points_series(struct yg_points *p, yg_str name, const yg_str *tags, uint32_t tag_count,
                       yg_str host, enum yg_metric_type type, uint32_t interval_s, yg_str unit,
                       uint32_t *ret_series, struct yg_err *err) YG_MUST_USE;
yg_rc yg_points_add(struct yg_points *p, uint32_t series, int64_t ts_s, double value,
                    struct yg_err *err) YG_MUST_USE;
// A sketch to fill; valid until the next call of this function.
yg_rc yg_points_add_sketch(struct yg_points *p, uint32_t series, int64_t ts_s,
                           struct yg_sketch **ret_sketch, struct yg_err *err) YG_MUST_USE;

yg_rc yg_points_encode(const struct yg_points *p, struct yg_buf *out,
                       struct yg_err *err) YG_MUST_USE;
yg_rc yg_points_decode(yg_str in, size_t limit_bytes, struct yg_points **ret_points,
                       struct yg_err *err) YG_MUST_USE;

// "Env:Prod X" → "env:prod_x": lower case, other characters than letters digits _ - : . / become
// '_', at most 200 characters, trailing '_' dropped; must start with a letter after cutting leading
// other characters. Into arena.
yg_str yg_tag_normalize(yg_str tag, struct yg_arena *arena);
yg_str yg_metric_name_normalize(yg_str name, struct yg_arena *arena); // "" when nothing is left

#endif
