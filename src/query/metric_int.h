// SPDX-License-Identifier: Apache-2.0
// Private to the metric language: the tree that the parser makes, the function table, evaluated
// values.
#ifndef YG_QUERY_METRIC_INT_H
#define YG_QUERY_METRIC_INT_H

#include "query/metric.h"

#define YG_MQ_DEPTH_MAX 64u
#define YG_MQ_PARTS_MAX 64u
#define YG_MQ_KEYS_MAX 16u
#define YG_MQ_POINTS_MAX 1500u
#define YG_MQ_GROUPS_MAX 10000u
#define YG_MQ_INTERPOLATE_S 300
#define YG_MQ_INTERPOLATE_MAX_S 600

enum yg_mnode_kind {
    YG_MN_NUMBER,
    YG_MN_STRING, // only as an argument
    YG_MN_SERIES,
    YG_MN_NAME, // a named query, in formulas
    YG_MN_CALL,
    YG_MN_BINARY,
    YG_MN_NEGATE,
    YG_MN_KIND_COUNT
};

enum yg_space_agg {
    YG_SPACE_AVG,
    YG_SPACE_SUM,
    YG_SPACE_MIN,
    YG_SPACE_MAX,
    YG_SPACE_COUNT,
    YG_SPACE_PERCENTILE,
    YG_SPACE_HISTOGRAM,
    YG_SPACE_KIND_COUNT
};
enum yg_time_agg {
    YG_TIME_DEFAULT,
    YG_TIME_AVG,
    YG_TIME_SUM,
    YG_TIME_MIN,
    YG_TIME_MAX,
    YG_TIME_COUNT,
    YG_TIME_KIND_COUNT
};
enum yg_calendar {
    YG_CAL_NONE,
    YG_CAL_DAILY,
    YG_CAL_WEEKLY,
    YG_CAL_MONTHLY,
    YG_CAL_YEARLY,
    YG_CAL_KIND_COUNT
};
enum yg_fill {
    YG_FILL_DEFAULT,
    YG_FILL_LINEAR,
    YG_FILL_LAST,
    YG_FILL_ZERO,
    YG_FILL_NULL,
    YG_FILL_KIND_COUNT
};

struct yg_mmods {
    bool as_count, as_rate, weighted, rollup, fill_set;
    enum yg_time_agg method; // of .rollup; DEFAULT when it named none
    int64_t rollup_s;        // 0 = not said
    enum yg_calendar calendar;
    bool calendar_zone; // a start or zone argument that is not UTC
    enum yg_fill fill;
    int64_t fill_limit_s;
};

struct yg_mfn;

struct yg_mnode {
    enum yg_mnode_kind kind;
    yg_str text;    // as written; STRING: the content; NAME: the name
    yg_str keyword; // of a keyword argument
    double number;
    char op; // BINARY
    const struct yg_mfn *fn;
    struct yg_mnode **args; // CALL: all; BINARY: two; NEGATE: one
    uint32_t arg_count;
    // SERIES
    bool has_aggr;
    enum yg_space_agg aggr;
    double q; // 0–1, PERCENTILE
    yg_str aggr_text, metric, scope_text;
    const struct yg_node *scope;
    yg_str *keys;
    uint32_t key_count;
    struct yg_mmods mods; // SERIES; those after a call or a bracket are handed down to its series
};

struct yg_metric_query {
    yg_str text;
    struct yg_mnode **parts;
    uint32_t count;
    bool as_count;
};

// ------------------------------------------------------------ parsing

struct yg_mparser {
    yg_str in;
    size_t pos;
    size_t far; // of the furthest failure
    bool hard;  // `far` is final: an unknown word, named by its start
    bool mixed; // AND/OR beside ',' or '!'
    bool formula;
    bool no_memory;
    bool as_count;
    uint32_t depth;
    struct yg_arena *arena;
};
// All of these leave p->far (or p->mixed, p->no_memory) behind when they fail.
bool yg_mp_fail(struct yg_mparser *p, size_t at); // always false
void yg_mp_blank(struct yg_mparser *p);
char yg_mp_peek(const struct yg_mparser *p); // 0 at the end
bool yg_mp_eat(struct yg_mparser *p, char c);
bool yg_mp_word(struct yg_mparser *p, const char *word); // not followed by a letter, digit or '_'
// "{…}" of a series; p stands behind '{' and comes to stand on '}'.
bool yg_mp_scope(struct yg_mparser *p, const struct yg_node **ret_scope);
yg_rc yg_mp_formula(yg_str text, struct yg_arena *arena, struct yg_mnode **ret_node,
                    struct yg_err *err) YG_MUST_USE;

// ------------------------------------------------------------ evaluated values

// Buckets, ascending; starts[count] is the end of the last. Seconds.
struct yg_mgrid {
    int64_t *starts;
    uint32_t count;
    int64_t interval_s; // 0 = calendar buckets of different length
    enum yg_calendar calendar;
};

struct yg_mser {
    const yg_str *tags; // "key:value" per key
    uint32_t tag_count;
    double *v; // one per bucket, NaN = none
};

struct yg_mval {
    bool scalar;
    double number;
    struct yg_mser *list;
    uint32_t count;
    bool grouped; // there are keys: an empty list means that no group is known
    bool zero;    // a missing value counts as 0 in arithmetic
};

// One evaluation.
struct yg_mrunner {
    struct yg_store *store;
    struct yg_arena *arena;
    int64_t deadline_mono_ns; // 0 = none
    bool (*canceled)(void *arg);
    void *canceled_arg;
    const struct yg_named_series *named;
    uint32_t named_count;
    bool window;                       // monitors: what lies before the window is not held into it
    bool scalar;                       // given results are reduced to one point
    yg_str reduce;                     // reducer of operands in yg_meval_window
    struct yg_metric_result *warnings; // where they go; may be NULL
};

enum yg_mpre {
    YG_PRE_NONE,
    YG_PRE_DIFF,
    YG_PRE_MONOTONIC,
    YG_PRE_RATE,
    YG_PRE_DERIVATIVE,
    YG_PRE_KIND_COUNT
};
// Differences to the sample before, in place; scale per second (RATE drops negative ones).
void yg_mpre_run(enum yg_mpre pre, double scale, const struct yg_mgrid *grid, double *v);

struct yg_mleaf_options {
    bool keep_interpolated; // default_zero: also where no series has a sample
    enum yg_mpre pre;
    double pre_scale;
};
yg_rc yg_mleaf(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
               const struct yg_mleaf_options *options, struct yg_mval *ret_value,
               struct yg_err *err) YG_MUST_USE;

yg_rc yg_meval(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
               uint32_t depth, struct yg_mval *ret_value, struct yg_err *err) YG_MUST_USE;
// One value per group: every operand of arithmetic is evaluated on the grid and reduced, then
// combined. ret_value's lists have one bucket.
yg_rc yg_meval_window(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                      uint32_t depth, struct yg_mval *ret_value, struct yg_err *err) YG_MUST_USE;
yg_rc yg_mcombine(struct yg_mrunner *r, char op, const struct yg_mval *left,
                  const struct yg_mval *right, uint32_t buckets, struct yg_mval *ret_value,
                  struct yg_err *err) YG_MUST_USE;

// Grids (metric_grid.c).
int64_t yg_mladder(int64_t window_s, uint32_t points);
yg_rc yg_mgrid_make(struct yg_arena *a, int64_t from_s, int64_t to_s, int64_t interval_s,
                    enum yg_calendar calendar, struct yg_mgrid *ret_grid,
                    struct yg_err *err) YG_MUST_USE;
// The same with `more` buckets in front, or moved by shift_s.
yg_rc yg_mgrid_extend(struct yg_arena *a, const struct yg_mgrid *g, uint32_t more,
                      struct yg_mgrid *ret_grid, struct yg_err *err) YG_MUST_USE;
yg_rc yg_mgrid_shift(struct yg_arena *a, const struct yg_mgrid *g, int64_t shift_s,
                     struct yg_mgrid *ret_grid, struct yg_err *err) YG_MUST_USE;
// Bucket of a time; UINT32_MAX outside.
uint32_t yg_mgrid_find(const struct yg_mgrid *g, int64_t ts_s);
static inline int64_t yg_mgrid_width(const struct yg_mgrid *g, uint32_t i) {
    return g->starts[i + 1] - g->starts[i];
}

// ------------------------------------------------------------ functions

typedef yg_rc (*yg_mfn_run)(struct yg_mrunner *r, const struct yg_mnode *n,
                            const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret_value,
                            struct yg_err *err);
struct yg_mfn {
    const char *name;
    uint8_t args_min, args_max;
    bool per_point; // may be applied to a value per window
    bool keeps_unit;
    yg_mfn_run run; // NULL: parsed, but not evaluated by this version
    int param;      // N of ewma_N, seconds of hour_before …
};
const struct yg_mfn *yg_mfn_find(yg_str name);
// Applies a per-point function to values that are there already (buckets wide).
yg_rc yg_mfn_apply(struct yg_mrunner *r, const struct yg_mnode *n, uint32_t buckets,
                   struct yg_mval *value, struct yg_err *err) YG_MUST_USE;

// Names for answers (metric_text.c).
yg_str yg_mtext_metric(const struct yg_mnode *n, struct yg_arena *a, uint32_t depth);
yg_str yg_mtext_expression(const struct yg_mnode *n, const struct yg_mser *group,
                           struct yg_arena *a, uint32_t depth);
yg_str yg_mtext_scope(const struct yg_mnode *n, const struct yg_mser *group, struct yg_arena *a);
// The first series of an expression in reading order, or NULL; and the first name of a formula.
const struct yg_mnode *yg_mnode_first(const struct yg_mnode *n, enum yg_mnode_kind kind,
                                      uint32_t depth);

yg_rc yg_mq_no_memory(struct yg_err *err);
// ETIMEOUT or ECANCEL when the asker waits no longer.
yg_rc yg_mq_go_on(const struct yg_mrunner *r, struct yg_err *err) YG_MUST_USE;
bool yg_mq_reduce(const double *v, const int64_t *starts, uint32_t n, yg_str aggregator,
                  double *ret_value);

#endif
