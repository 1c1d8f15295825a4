// SPDX-License-Identifier: Apache-2.0
// Functions of the metric language: the table that the parser reads, and what each does to
// evaluated series. Source: DataDog/documentation content/en/dashboards/functions/*.md

#include "query/metric_int.h"
#include <math.h>
#include <stdlib.h>

#define SAMPLE_LOOKBACK_S 300 // how far back the sample before may lie for differences

// ------------------------------------------------------------ points

static double per_point(const char *fn, double v, double arg) {
    if (isnan(v))
        return v;
    if (strcmp(fn, "abs") == 0)
        return fabs(v);
    if (strcmp(fn, "log2") == 0)
        return v > 0 ? log2(v) : (double)NAN;
    if (strcmp(fn, "log10") == 0)
        return v > 0 ? log10(v) : (double)NAN;
    if (strcmp(fn, "clamp_min") == 0)
        return v < arg ? arg : v;
    if (strcmp(fn, "clamp_max") == 0)
        return v > arg ? arg : v;
    if (strcmp(fn, "cutoff_min") == 0)
        return v < arg ? (double)NAN : v;
    if (strcmp(fn, "cutoff_max") == 0)
        return v > arg ? (double)NAN : v;
    return v;
}

static yg_rc number_of(const struct yg_mnode *n, uint32_t at, double *ret, struct yg_err *err) {
    if (at >= n->arg_count || n->args[at]->kind != YG_MN_NUMBER)
        return yg_fail(err, YG_EINPUT, "%s(): argument %u must be a number", n->fn->name, at + 1);
    *ret = n->args[at]->number;
    return YG_OK;
}

static yg_rc no_group_gets_zeros(struct yg_mrunner *r, uint32_t buckets, double with,
                                 struct yg_mval *v, struct yg_err *err) {
    v->list = YG_NEW(r->arena, struct yg_mser);
    if (v->list == NULL)
        return yg_mq_no_memory(err);
    v->list->v = YG_NEW_N(r->arena, double, buckets);
    if (v->list->v == NULL)
        return yg_mq_no_memory(err);
    for (uint32_t i = 0; i < buckets; i++)
        v->list->v[i] = with;
    v->count = 1;
    return YG_OK;
}

static bool is(const struct yg_mnode *n, const char *name) {
    return strcmp(n->fn->name, name) == 0;
}

yg_rc yg_mfn_apply(struct yg_mrunner *r, const struct yg_mnode *n, uint32_t buckets,
                   struct yg_mval *value, struct yg_err *err) {
    double arg = 0;
    if (n->arg_count > 1)
        YG_TRY(number_of(n, 1, &arg, err));
    bool fill = is(n, "default_zero") || is(n, "default");
    if (value->scalar) {
        value->number = per_point(n->fn->name, value->number, arg);
        return YG_OK;
    }
    if (fill && value->count == 0 && !value->grouped)
        YG_TRY(no_group_gets_zeros(r, buckets, arg, value, err));
    for (uint32_t s = 0; s < value->count; s++) {
        double *v = value->list[s].v;
        for (uint32_t i = 0; i < buckets; i++)
            v[i] = fill ? (isnan(v[i]) ? arg : v[i]) : per_point(n->fn->name, v[i], arg);
    }
    value->zero |= is(n, "default_zero");
    return YG_OK;
}

static yg_rc run_point(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                       uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    // default_zero() first fills between samples, then everything else with 0.
    if ((is(n, "default_zero") || is(n, "default")) && n->args[0]->kind == YG_MN_SERIES) {
        const struct yg_mleaf_options keep = {.keep_interpolated = true};
        YG_TRY(yg_mleaf(r, n->args[0], grid, &keep, ret, err));
    } else {
        YG_TRY(yg_meval(r, n->args[0], grid, depth + 1, ret, err));
    }
    return yg_mfn_apply(r, n, grid->count, ret, err);
}

// Evaluates the first argument with `more` buckets of history; values then start `more` earlier.
static yg_rc eval_back(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                       uint32_t more, uint32_t depth, struct yg_mgrid *ret_grid,
                       struct yg_mval *ret, struct yg_err *err) {
    YG_TRY(yg_mgrid_extend(r->arena, grid, more, ret_grid, err));
    YG_TRY(yg_meval(r, n->args[0], ret_grid, depth + 1, ret, err));
    if (ret->scalar)
        return yg_fail(err, YG_EINPUT, "%s() needs a query as its first argument", n->fn->name);
    return YG_OK;
}

static void cut_front(struct yg_mval *v, uint32_t more) {
    for (uint32_t s = 0; s < v->count; s++)
        v->list[s].v += more;
}

// ------------------------------------------------------------ sums over the window

static yg_rc run_sum(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                     uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    struct yg_mgrid same;
    YG_TRY(eval_back(r, n, grid, 0, depth, &same, ret, err));
    bool integral = is(n, "integral");
    for (uint32_t s = 0; s < ret->count; s++) {
        double *v = ret->list[s].v, sum = 0;
        for (uint32_t i = 0; i < grid->count; i++) {
            if (isnan(v[i]))
                continue;
            sum += v[i] * (integral ? (double)yg_mgrid_width(grid, i) : 1);
            v[i] = sum;
        }
    }
    return YG_OK;
}

static yg_rc run_throughput(struct yg_mrunner *r, const struct yg_mnode *n,
                            const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret,
                            struct yg_err *err) {
    struct yg_mgrid same;
    YG_TRY(eval_back(r, n, grid, 0, depth, &same, ret, err));
    for (uint32_t s = 0; s < ret->count; s++)
        for (uint32_t i = 0; i < grid->count; i++)
            ret->list[s].v[i] /= (double)yg_mgrid_width(grid, i);
    return YG_OK;
}

// ------------------------------------------------------------ differences

void yg_mpre_run(enum yg_mpre pre, double scale, const struct yg_mgrid *grid, double *v) {
    if (pre == YG_PRE_NONE)
        return;
    double before = (double)NAN;
    int64_t before_s = 0;
    for (uint32_t i = 0; i < grid->count; i++) {
        double now = v[i];
        if (isnan(now))
            continue;
        int64_t dt = grid->starts[i] - before_s;
        double delta = now - before; // NaN at the first sample
        if (dt > SAMPLE_LOOKBACK_S && dt > 2 * yg_mgrid_width(grid, i))
            delta = (double)NAN;
        if (pre == YG_PRE_RATE || pre == YG_PRE_DERIVATIVE)
            delta = delta / (double)dt * scale;
        if ((pre == YG_PRE_MONOTONIC || pre == YG_PRE_RATE) && delta < 0)
            delta = (double)NAN;
        v[i] = delta;
        before = now;
        before_s = grid->starts[i];
    }
}

static yg_rc run_difference(struct yg_mrunner *r, const struct yg_mnode *n,
                            const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret,
                            struct yg_err *err) {
    enum yg_mpre pre = is(n, "diff")             ? YG_PRE_DIFF
                       : is(n, "monotonic_diff") ? YG_PRE_MONOTONIC
                       : is(n, "derivative")     ? YG_PRE_DERIVATIVE
                                                 : YG_PRE_RATE;
    double scale = is(n, "per_minute") ? 60 : is(n, "per_hour") ? 3600 : 1;
    if (n->args[0]->kind == YG_MN_SERIES) { // on every series, before they are added up
        const struct yg_mleaf_options options = {.pre = pre, .pre_scale = scale};
        struct yg_mgrid back;
        YG_TRY(yg_mgrid_extend(r->arena, grid, 1, &back, err));
        YG_TRY(yg_mleaf(r, n->args[0], &back, &options, ret, err));
        cut_front(ret, 1);
        return YG_OK;
    }
    int64_t width = grid->interval_s > 0 ? grid->interval_s : yg_mgrid_width(grid, 0);
    uint32_t more = (uint32_t)((SAMPLE_LOOKBACK_S + width - 1) / width);
    struct yg_mgrid back;
    YG_TRY(eval_back(r, n, grid, more, depth, &back, ret, err));
    for (uint32_t s = 0; s < ret->count; s++)
        yg_mpre_run(pre, scale, &back, ret->list[s].v);
    cut_front(ret, more);
    return YG_OK;
}

// ------------------------------------------------------------ sliding windows

static int cmp_double(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, uint32_t n) {
    if (n == 0)
        return (double)NAN;
    qsort(v, n, sizeof(*v), cmp_double);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

enum slide {
    SLIDE_MEDIAN,
    SLIDE_AVG,
    SLIDE_SUM,
    SLIDE_MIN,
    SLIDE_MAX,
    SLIDE_COUNT,
    SLIDE_KIND_COUNT
};

// One value out of the present ones of v[0 … n).
static double slide_value(enum slide how, const double *v, uint32_t n, double *scratch) {
    uint32_t present = 0;
    double sum = 0, min = (double)INFINITY, max = -(double)INFINITY;
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(v[i]))
            continue;
        scratch[present++] = v[i];
        sum += v[i];
        min = fmin(min, v[i]);
        max = fmax(max, v[i]);
    }
    if (present == 0)
        return (double)NAN;
    switch (how) {
    case SLIDE_MEDIAN:
        return median(scratch, present);
    case SLIDE_AVG:
        return sum / present;
    case SLIDE_SUM:
        return sum;
    case SLIDE_MIN:
        return min;
    case SLIDE_MAX:
        return max;
    case SLIDE_COUNT:
        return present;
    case SLIDE_KIND_COUNT:
        break;
    }
    return (double)NAN;
}

static yg_rc slide(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                   uint32_t depth, uint32_t span, enum slide how, struct yg_mval *ret,
                   struct yg_err *err) {
    struct yg_mgrid back;
    uint32_t more = span - 1;
    YG_TRY(eval_back(r, n, grid, more, depth, &back, ret, err));
    double *scratch = YG_NEW_N(r->arena, double, span);
    if (scratch == NULL)
        return yg_mq_no_memory(err);
    bool dense = is(n, "moving_rollup"); // others give a point only where there is one
    for (uint32_t s = 0; s < ret->count; s++) {
        double *out = YG_NEW_N(r->arena, double, grid->count), *v = ret->list[s].v;
        if (out == NULL)
            return yg_mq_no_memory(err);
        YG_TRY(yg_mq_go_on(r, err));
        for (uint32_t i = 0; i < grid->count; i++)
            out[i] =
                !dense && isnan(v[i + more]) ? (double)NAN : slide_value(how, v + i, span, scratch);
        ret->list[s].v = out;
    }
    return YG_OK;
}

static yg_rc run_median(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                        uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    return slide(r, n, grid, depth, (uint32_t)n->fn->param, SLIDE_MEDIAN, ret, err);
}

static yg_rc run_rolling(struct yg_mrunner *r, const struct yg_mnode *n,
                         const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret,
                         struct yg_err *err) {
    return slide(r, n, grid, depth, (uint32_t)n->fn->param, SLIDE_AVG, ret, err);
}

// 'text', or a bare word that the grammar could only read as something else.
static yg_str word_of(const struct yg_mnode *n, uint32_t at) {
    return at < n->arg_count && n->args[at]->kind == YG_MN_STRING ? n->args[at]->text : (yg_str){0};
}

static yg_rc run_moving(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                        uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    static const char *const names[] = {[SLIDE_AVG] = "avg",
                                        [SLIDE_SUM] = "sum",
                                        [SLIDE_MIN] = "min",
                                        [SLIDE_MAX] = "max",
                                        [SLIDE_COUNT] = "count"};
    double seconds = 0;
    YG_TRY(number_of(n, 1, &seconds, err));
    enum slide how = SLIDE_MEDIAN;
    for (uint32_t i = SLIDE_AVG; i <= SLIDE_COUNT; i++)
        if (yg_str_eq_c(word_of(n, 2), names[i]))
            how = (enum slide)i;
    if (how == SLIDE_MEDIAN)
        return yg_fail(
            err, YG_EINPUT,
            "moving_rollup(): the third argument is 'avg', 'sum', 'min', 'max' or 'count'");
    int64_t width = grid->interval_s > 0 ? grid->interval_s : yg_mgrid_width(grid, 0);
    if (!(seconds >= 1) || seconds / (double)width > YG_MQ_POINTS_MAX)
        return yg_fail(err, YG_EINPUT, "moving_rollup(): a window of %g s", seconds);
    uint32_t span = (uint32_t)ceil(seconds / (double)width);
    return slide(r, n, grid, depth, span, how, ret, err);
}

static yg_rc run_ewma(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                      uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    struct yg_mgrid back;
    uint32_t more = (uint32_t)n->fn->param;
    YG_TRY(eval_back(r, n, grid, more, depth, &back, ret, err));
    double alpha = 2.0 / (n->fn->param + 1.0);
    for (uint32_t s = 0; s < ret->count; s++) {
        double *v = ret->list[s].v, smooth = (double)NAN;
        for (uint32_t i = 0; i < back.count; i++) {
            if (isnan(v[i]))
                continue;
            smooth = isnan(smooth) ? v[i] : alpha * v[i] + (1 - alpha) * smooth;
            v[i] = smooth;
        }
    }
    cut_front(ret, more);
    return YG_OK;
}

// ------------------------------------------------------------ shifts

static yg_rc shift(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                   uint32_t depth, int64_t seconds, struct yg_mval *ret, struct yg_err *err) {
    struct yg_mgrid moved;
    YG_TRY(yg_mgrid_shift(r->arena, grid, seconds, &moved, err));
    return yg_meval(r, n->args[0], &moved, depth + 1, ret, err);
}

static yg_rc run_before(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                        uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    return shift(r, n, grid, depth, -(int64_t)n->fn->param, ret, err);
}

static yg_rc run_timeshift(struct yg_mrunner *r, const struct yg_mnode *n,
                           const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret,
                           struct yg_err *err) {
    double seconds = 0;
    YG_TRY(number_of(n, 1, &seconds, err));
    if (seconds >= 0 || seconds < -10.0 * 366 * 86400)
        return yg_fail(err, YG_EINPUT, "timeshift(): seconds must be negative, at most ten years");
    return shift(r, n, grid, depth, (int64_t)seconds, ret, err);
}

// ------------------------------------------------------------ groups

static yg_rc run_count(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                       uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    struct yg_mval in;
    struct yg_mgrid same;
    YG_TRY(eval_back(r, n, grid, 0, depth, &same, &in, err));
    bool nonzero = is(n, "count_nonzero");
    *ret = (struct yg_mval){0};
    if (in.count == 0)
        return YG_OK;
    YG_TRY(no_group_gets_zeros(r, grid->count, 0, ret, err));
    for (uint32_t s = 0; s < in.count; s++)
        for (uint32_t i = 0; i < grid->count; i++) {
            double v = in.list[s].v[i];
            ret->list->v[i] += !isnan(v) && (!nonzero || v < 0 || v > 0);
        }
    return YG_OK;
}

static yg_rc run_exclude_null(struct yg_mrunner *r, const struct yg_mnode *n,
                              const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret,
                              struct yg_err *err) {
    struct yg_mgrid same;
    YG_TRY(eval_back(r, n, grid, 0, depth, &same, ret, err));
    uint32_t kept = 0;
    for (uint32_t s = 0; s < ret->count; s++) {
        bool null = false;
        for (uint32_t t = 0; t < ret->list[s].tag_count; t++)
            null |= yg_str_ends(ret->list[s].tags[t], YG_STR(":N/A"));
        if (!null)
            ret->list[kept++] = ret->list[s];
    }
    ret->count = kept;
    return YG_OK;
}

struct ranked {
    double by;
    uint32_t at;
    bool has;
};

static int cmp_ranked(const void *a,
                      const void *b) { // largest first, empty last, then the order of before
    const struct ranked *x = a, *y = b;
    if (x->has != y->has)
        return x->has ? -1 : 1;
    if (x->has && (x->by > y->by || x->by < y->by))
        return x->by > y->by ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static yg_rc keep_top(struct yg_mrunner *r, const struct yg_mgrid *grid, uint32_t limit, yg_str by,
                      bool ascending, struct yg_mval *v, struct yg_err *err) {
    struct ranked *order = YG_NEW_N(r->arena, struct ranked, v->count + 1);
    struct yg_mser *list = YG_NEW_N(r->arena, struct yg_mser, v->count + 1);
    if (order == NULL || list == NULL)
        return yg_mq_no_memory(err);
    for (uint32_t s = 0; s < v->count; s++) {
        order[s].at = s;
        order[s].has = yg_mq_reduce(v->list[s].v, grid->starts, grid->count, by, &order[s].by);
        if (ascending)
            order[s].by = -order[s].by;
    }
    qsort(order, v->count, sizeof(*order), cmp_ranked);
    uint32_t kept = 0;
    for (uint32_t s = 0; s < v->count && kept < limit; s++)
        if (order[s].has)
            list[kept++] = v->list[order[s].at];
    v->list = list;
    v->count = kept;
    return YG_OK;
}

static yg_rc run_top(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                     uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    static const char *const reducers[] = {"max", "mean", "min", "sum", "last", "l2norm", "area"};
    double limit = 0;
    YG_TRY(number_of(n, 1, &limit, err));
    yg_str by = word_of(n, 2), dir = word_of(n, 3);
    bool good = false;
    for (size_t i = 0; i < sizeof(reducers) / sizeof(reducers[0]); i++)
        good |= yg_str_eq_c(by, reducers[i]);
    if (!good)
        return yg_fail(err, YG_EINPUT,
                       "top(): the third argument is one of max mean min sum last l2norm area");
    if (!yg_str_eq_c(dir, "asc") && !yg_str_eq_c(dir, "desc"))
        return yg_fail(err, YG_EINPUT, "top(): the fourth argument is 'asc' or 'desc'");
    if (!(limit >= 1) || limit > YG_MQ_GROUPS_MAX)
        return yg_fail(err, YG_EINPUT, "top(): a limit of %g", limit);
    struct yg_mgrid same;
    YG_TRY(eval_back(r, n, grid, 0, depth, &same, ret, err));
    return keep_top(r, grid, (uint32_t)limit, by, yg_str_eq_c(dir, "asc"), ret, err);
}

// top5_mean(x), bottom10_min(x) …
static yg_rc run_short_top(struct yg_mrunner *r, const struct yg_mnode *n,
                           const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret,
                           struct yg_err *err) {
    struct yg_mgrid same;
    YG_TRY(eval_back(r, n, grid, 0, depth, &same, ret, err));
    yg_str by = yg_str_c(strchr(n->fn->name, '_') + 1);
    return keep_top(r, grid, (uint32_t)n->fn->param, by, n->fn->name[0] == 'b', ret, err);
}

// ------------------------------------------------------------ the table

#define POINT(name, args)                                                                          \
    { name, args, args, true, true, run_point, 0 }
#define SHORT_TOP(word, n)                                                                         \
    {word #n "_mean", 1, 1, false, true, run_short_top, n},                                        \
        {word #n "_min", 1, 1, false, true, run_short_top, n},                                     \
        {word #n "_max", 1, 1, false, true, run_short_top, n},                                     \
        {word #n "_last", 1, 1, false, true, run_short_top, n},                                    \
        {word #n "_area", 1, 1, false, true, run_short_top, n}, {                                  \
        word #n "_l2norm", 1, 1, false, true, run_short_top, n                                     \
    }

static const struct yg_mfn functions[] = {
    POINT("abs", 1),
    {"log2", 1, 1, true, false, run_point, 0},
    {"log10", 1, 1, true, false, run_point, 0},
    POINT("default_zero", 1),
    POINT("default", 2),
    POINT("clamp_min", 2),
    POINT("clamp_max", 2),
    POINT("cutoff_min", 2),
    POINT("cutoff_max", 2),
    {"cumsum", 1, 1, false, true, run_sum, 0},
    {"integral", 1, 1, false, false, run_sum, 0},
    {"throughput", 1, 1, false, false, run_throughput, 0},
    {"count_nonzero", 1, 1, false, false, run_count, 0},
    {"count_not_null", 1, 1, false, false, run_count, 0},
    {"diff", 1, 1, false, true, run_difference, 0},
    {"monotonic_diff", 1, 1, false, true, run_difference, 0},
    {"derivative", 1, 1, false, false, run_difference, 0},
    {"per_second", 1, 1, false, false, run_difference, 0},
    {"per_minute", 1, 1, false, false, run_difference, 0},
    {"per_hour", 1, 1, false, false, run_difference, 0},
    {"exclude_null", 1, 1, false, true, run_exclude_null, 0},
    {"top", 4, 4, false, true, run_top, 0},
    SHORT_TOP("top", 5),
    SHORT_TOP("top", 10),
    SHORT_TOP("top", 15),
    SHORT_TOP("top", 20),
    SHORT_TOP("bottom", 5),
    SHORT_TOP("bottom", 10),
    SHORT_TOP("bottom", 15),
    SHORT_TOP("bottom", 20),
    {"moving_rollup", 3, 3, false, true, run_moving, 0},
    {"ewma_3", 1, 1, false, true, run_ewma, 3},
    {"ewma_5", 1, 1, false, true, run_ewma, 5},
    {"ewma_7", 1, 1, false, true, run_ewma, 7},
    {"ewma_10", 1, 1, false, true, run_ewma, 10},
    {"ewma_20", 1, 1, false, true, run_ewma, 20},
    {"median_3", 1, 1, false, true, run_median, 3},
    {"median_5", 1, 1, false, true, run_median, 5},
    {"median_7", 1, 1, false, true, run_median, 7},
    {"median_9", 1, 1, false, true, run_median, 9},
    {"rollingavg_5", 1, 1, false, true, run_rolling, 5},
    {"rollingavg_13", 1, 1, false, true, run_rolling, 13},
    {"rollingavg_21", 1, 1, false, true, run_rolling, 21},
    {"rollingavg_29", 1, 1, false, true, run_rolling, 29},
    {"hour_before", 1, 1, false, true, run_before, 3600},
    {"day_before", 1, 1, false, true, run_before, 86400},
    {"week_before", 1, 1, false, true, run_before, 604800},
    {"month_before", 1, 1, false, true, run_before, 2419200},
    {"timeshift", 2, 2, false, true, run_timeshift, 0},
    {"dt", 1, 1, false, false, NULL, 0},
    {"calendar_shift", 3, 3, false, true, NULL, 0},
    {"autosmooth", 1, 1, false, true, NULL, 0},
    {"robust_trend", 1, 1, false, true, NULL, 0},
    {"trend_line", 1, 1, false, true, NULL, 0},
    {"piecewise_constant", 1, 1, false, true, NULL, 0},
    {"anomalies", 3, 9, false, true, NULL, 0},
    {"outliers", 3, 4, false, true, NULL, 0},
    {"forecast", 3, 7, false, true, NULL, 0},
};

const struct yg_mfn *yg_mfn_find(yg_str name) {
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (yg_str_eq_c(name, functions[i].name))
            return &functions[i];
    return NULL;
}
