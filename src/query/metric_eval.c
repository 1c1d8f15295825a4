// SPDX-License-Identifier: Apache-2.0
// Evaluation of a metric expression: nodes, arithmetic over groups, and the one-value-per-window
// form.

#include "base/map.h"
#include "query/metric_int.h"
#include <math.h>
#include <stdlib.h>

// ------------------------------------------------------------ reducing

static double mean_of(double sum, uint32_t n) {
    return sum / n;
}

static bool percentile_of(const double *v, uint32_t n, double q, double *ret) {
    uint32_t present = 0;
    double *sorted = yg_alloc(YG_MEM_QUERY, (n + 1) * sizeof(*sorted));
    for (uint32_t i = 0; i < n; i++)
        if (!isnan(v[i])) { // insertion keeps it sorted; series have ≤ 1,500 points
            uint32_t at = present++;
            for (; at > 0 && sorted[at - 1] > v[i]; at--)
                sorted[at] = sorted[at - 1];
            sorted[at] = v[i];
        }
    if (present > 0) {
        double rank = q * (present - 1);
        uint32_t low = (uint32_t)rank;
        uint32_t high = low + 1 < present ? low + 1 : low;
        *ret = sorted[low] + (sorted[high] - sorted[low]) * (rank - low);
    }
    yg_free(YG_MEM_QUERY, sorted);
    return present > 0;
}

// "percentile" is p95; "p99" and the like name theirs.
static bool wants_percentile(yg_str aggregator, double *ret_q) {
    *ret_q = 0.95;
    if (yg_str_eq_c(aggregator, "percentile"))
        return true;
    double pct;
    if (aggregator.len < 2 || aggregator.ptr[0] != 'p' ||
        !yg_str_to_f64(yg_str_sub(aggregator, 1, SIZE_MAX), &pct) || pct < 0 || pct > 100)
        return false;
    *ret_q = pct / 100;
    return true;
}

bool yg_mq_reduce(const double *v, const int64_t *starts, uint32_t n, yg_str aggregator,
                  double *ret_value) {
    uint32_t present = 0;
    double sum = 0, squares = 0, area = 0, min = (double)INFINITY, max = -(double)INFINITY,
           last = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(v[i]))
            continue;
        present++;
        sum += v[i];
        squares += v[i] * v[i];
        if (starts != NULL && i + 1 < n)
            area += v[i] * (double)(starts[i + 1] - starts[i]);
        min = fmin(min, v[i]);
        max = fmax(max, v[i]);
        last = v[i];
    }
    if (present == 0)
        return false;
    double q;
    if (yg_str_eq_c(aggregator, "sum"))
        *ret_value = sum;
    else if (yg_str_eq_c(aggregator, "min"))
        *ret_value = min;
    else if (yg_str_eq_c(aggregator, "max"))
        *ret_value = max;
    else if (yg_str_eq_c(aggregator, "last"))
        *ret_value = last;
    else if (yg_str_eq_c(aggregator, "l2norm"))
        *ret_value = sqrt(squares);
    else if (yg_str_eq_c(aggregator, "area"))
        *ret_value = area;
    else if (yg_str_eq_c(aggregator, "count"))
        *ret_value = present;
    else if (wants_percentile(aggregator, &q))
        return percentile_of(v, n, q, ret_value);
    else
        *ret_value = mean_of(sum, present);
    return true;
}

// ------------------------------------------------------------ arithmetic

static double compute(char op, double l, double r) {
    double v = op == '+' ? l + r : op == '-' ? l - r : op == '*' ? l * r : l / r;
    return isfinite(v) ? v : (double)NAN; // division by zero has no value
}

struct side {
    const struct yg_mval *value;
    const double *v; // NULL: a number, or nothing
    double number;
};

static double at(const struct side *s, uint32_t i) {
    if (s->value->scalar)
        return s->number;
    return s->v ? s->v[i] : (double)NAN;
}

static yg_rc emit(struct yg_mrunner *r, char op, const struct side *l, const struct side *rt,
                  const struct yg_mser *tags, uint32_t buckets, struct yg_mval *out,
                  struct yg_err *err) {
    double *v = YG_NEW_N(r->arena, double, buckets);
    if (v == NULL)
        return yg_mq_no_memory(err);
    for (uint32_t i = 0; i < buckets; i++) {
        double a = at(l, i), b = at(rt, i);
        if (isnan(a) && !isnan(b) && l->value->zero)
            a = 0;
        if (isnan(b) && !isnan(a) && rt->value->zero)
            b = 0;
        v[i] = compute(op, a, b);
    }
    struct yg_mser *to = &out->list[out->count++];
    *to = (struct yg_mser){.v = v};
    if (tags != NULL) {
        to->tags = tags->tags;
        to->tag_count = tags->tag_count;
    }
    return YG_OK;
}

static int cmp_tags(const void *a, const void *b) {
    return yg_str_cmp(*(const yg_str *)a, *(const yg_str *)b);
}

// The group's tags as one text, whatever the order of the keys. Empty ptr: no memory.
static yg_str group_key(struct yg_mrunner *r, const struct yg_mser *g) {
    yg_str sorted[YG_MQ_KEYS_MAX];
    uint32_t n = g->tag_count < YG_MQ_KEYS_MAX ? g->tag_count : YG_MQ_KEYS_MAX;
    size_t bytes = 1;
    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = g->tags[i];
        bytes += sorted[i].len + 1;
    }
    qsort(sorted, n, sizeof(*sorted), cmp_tags);
    char *out = yg_arena_alloc(r->arena, bytes);
    size_t len = 0;
    for (uint32_t i = 0; out != NULL && i < n; i++) {
        memcpy(out + len, sorted[i].ptr, sorted[i].len);
        len += sorted[i].len;
        out[len++] = 0;
    }
    return yg_str_n(out, len);
}

static yg_rc index_groups(struct yg_mrunner *r, const struct yg_mval *v, struct yg_map *index,
                          struct yg_err *err) {
    for (uint32_t i = 0; i < v->count; i++) {
        yg_str key = group_key(r, &v->list[i]);
        if (key.ptr == NULL)
            return yg_mq_no_memory(err);
        *yg_map_put(index, key, NULL) = i + 1;
    }
    return YG_OK;
}

// What meets in a join: for every left group the right one; then the right groups that nobody met.
static yg_rc join_groups(struct yg_mrunner *r, char op, const struct yg_mval *left,
                         const struct yg_mval *right, uint32_t buckets, struct yg_map *index,
                         struct yg_mval *out, struct yg_err *err) {
    bool *met = YG_NEW_N(r->arena, bool, right->count + 1);
    if (met == NULL)
        return yg_mq_no_memory(err);
    YG_TRY(index_groups(r, right, index, err));
    for (uint32_t i = 0; i < left->count; i++) {
        yg_str key = group_key(r, &left->list[i]);
        if (key.ptr == NULL)
            return yg_mq_no_memory(err);
        const uint64_t *at = yg_map_get(index, key);
        if (at == NULL && !right->zero)
            continue;
        struct side l = {.value = left, .v = left->list[i].v};
        struct side rt = {.value = right, .v = at ? right->list[*at - 1].v : NULL};
        if (at != NULL)
            met[*at - 1] = true;
        YG_TRY(emit(r, op, &l, &rt, &left->list[i], buckets, out, err));
    }
    for (uint32_t i = 0; left->zero && i < right->count; i++) {
        struct side l = {.value = left}, rt = {.value = right, .v = right->list[i].v};
        if (!met[i])
            YG_TRY(emit(r, op, &l, &rt, &right->list[i], buckets, out, err));
    }
    return YG_OK;
}

// Both sides have keys: groups of equal tags meet; a group of one side only stays when the other
// counts as 0.
static yg_rc combine_groups(struct yg_mrunner *r, char op, const struct yg_mval *left,
                            const struct yg_mval *right, uint32_t buckets, struct yg_mval *out,
                            struct yg_err *err) {
    struct yg_map index = YG_MAP(YG_MEM_QUERY, false);
    YG_TRY(yg_mq_go_on(r, err));
    yg_rc rc = join_groups(r, op, left, right, buckets, &index, out, err);
    yg_map_fini(&index);
    return rc;
}

yg_rc yg_mcombine(struct yg_mrunner *r, char op, const struct yg_mval *left,
                  const struct yg_mval *right, uint32_t buckets, struct yg_mval *ret_value,
                  struct yg_err *err) {
    *ret_value = (struct yg_mval){.zero = left->zero && right->zero,
                                  .grouped = left->grouped || right->grouped};
    if (left->scalar && right->scalar) {
        ret_value->scalar = true;
        ret_value->number = compute(op, left->number, right->number);
        return YG_OK;
    }
    if (left->scalar || right->scalar)
        ret_value->zero = left->zero || right->zero;
    ret_value->list = YG_NEW_N(r->arena, struct yg_mser, left->count + right->count + 1);
    if (ret_value->list == NULL)
        return yg_mq_no_memory(err);
    if (left->grouped && right->grouped)
        return combine_groups(r, op, left, right, buckets, ret_value, err);
    // One side is a number or one series without keys: it goes with every group of the other.
    const struct yg_mval *many = left->grouped || right->scalar ? left : right;
    if (!left->grouped && !right->grouped && !left->scalar && !right->scalar)
        many = left->count > 0 ? left : right;
    for (uint32_t i = 0; i < many->count; i++) {
        struct side l = {.value = left, .number = left->number},
                    rt = {.value = right, .number = right->number};
        l.v = many == left ? left->list[i].v : left->count > 0 ? left->list[0].v : NULL;
        rt.v = many == right ? right->list[i].v : right->count > 0 ? right->list[0].v : NULL;
        YG_TRY(emit(r, op, &l, &rt, &many->list[i], buckets, ret_value, err));
    }
    return YG_OK;
}

// ------------------------------------------------------------ names of a formula

static const struct yg_named_series *find_named(const struct yg_mrunner *r, yg_str name) {
    for (uint32_t i = 0; i < r->named_count; i++)
        if (yg_str_eq(r->named[i].name, name))
            return &r->named[i];
    return NULL;
}

static yg_rc named_points(struct yg_mrunner *r, const struct yg_named_series *s,
                          const struct yg_mgrid *grid, struct yg_mval *ret, struct yg_err *err) {
    ret->list = YG_NEW_N(r->arena, struct yg_mser, s->result.count + 1);
    if (ret->list == NULL)
        return yg_mq_no_memory(err);
    for (uint32_t i = 0; i < s->result.count; i++) {
        const struct yg_metric_out *o = &s->result.series[i];
        double *v = YG_NEW_N(r->arena, double, grid->count);
        if (v == NULL)
            return yg_mq_no_memory(err);
        for (uint32_t b = 0; b < grid->count; b++)
            v[b] = (double)NAN;
        if (r->scalar && grid->count > 0) // whatever time it stands under
            (void)yg_metric_reduce(o, s->reduce, &v[0]);
        for (uint32_t p = 0; p < o->point_count && !r->scalar; p++) {
            uint32_t b = yg_mgrid_find(grid, o->points[p].ts_ms / 1000);
            if (b != UINT32_MAX)
                v[b] = o->points[p].value;
        }
        ret->list[ret->count++] = (struct yg_mser){o->group_tags, o->group_count, v};
        ret->grouped |= o->group_count > 0;
    }
    return YG_OK;
}

static yg_rc eval_name(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                       uint32_t depth, struct yg_mval *ret, struct yg_err *err) {
    const struct yg_named_series *s = find_named(r, n->text);
    if (s == NULL)
        return yg_fail(err, YG_EINPUT, "formula: there is no query named \"%.*s\"",
                       YG_STR_FMT(n->text));
    if (s->query == NULL)
        return named_points(r, s, grid, ret, err);
    if (s->query->count == 0)
        return YG_OK;
    return yg_meval(r, s->query->parts[0], grid, depth + 1, ret, err);
}

// ------------------------------------------------------------ nodes

static yg_rc eval_binary(struct yg_mrunner *r, const struct yg_mnode *n,
                         const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret,
                         struct yg_err *err) {
    struct yg_mval left, right;
    YG_TRY(yg_meval(r, n->args[0], grid, depth + 1, &left, err));
    YG_TRY(yg_meval(r, n->args[1], grid, depth + 1, &right, err));
    return yg_mcombine(r, n->op, &left, &right, grid->count, ret, err);
}

static void negate(struct yg_mval *v, uint32_t buckets) {
    v->number = -v->number;
    for (uint32_t s = 0; s < v->count; s++)
        for (uint32_t i = 0; i < buckets; i++)
            v->list[s].v[i] = -v->list[s].v[i];
}

yg_rc yg_meval(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
               uint32_t depth, struct yg_mval *ret_value, struct yg_err *err) {
    static const struct yg_mleaf_options plain = {0};
    *ret_value = (struct yg_mval){0};
    if (depth > 4 * YG_MQ_DEPTH_MAX)
        return yg_fail(err, YG_EINPUT, "query is nested too deeply");
    switch (n->kind) {
    case YG_MN_NUMBER:
        ret_value->scalar = true;
        ret_value->number = n->number;
        return YG_OK;
    case YG_MN_SERIES:
        return yg_mleaf(r, n, grid, &plain, ret_value, err);
    case YG_MN_NAME:
        return eval_name(r, n, grid, depth, ret_value, err);
    case YG_MN_CALL:
        if (n->fn->run == NULL)
            return yg_fail(err, YG_EINPUT, "%s() is not evaluated by this version of yagura yet",
                           n->fn->name);
        return n->fn->run(r, n, grid, depth, ret_value, err);
    case YG_MN_BINARY:
        return eval_binary(r, n, grid, depth, ret_value, err);
    case YG_MN_NEGATE:
        YG_TRY(yg_meval(r, n->args[0], grid, depth + 1, ret_value, err));
        negate(ret_value, grid->count);
        return YG_OK;
    case YG_MN_STRING:
    case YG_MN_KIND_COUNT:
        break;
    }
    return yg_fail(err, YG_EINPUT, "a text stands where a query is needed");
}

// ------------------------------------------------------------ one value per window

static bool has_arithmetic(const struct yg_mnode *n, uint32_t depth) {
    if (n->kind == YG_MN_BINARY || n->kind == YG_MN_NEGATE)
        return true;
    for (uint32_t i = 0; i < n->arg_count && depth < 2 * YG_MQ_DEPTH_MAX; i++)
        if (has_arithmetic(n->args[i], depth + 1))
            return true;
    return false;
}

static yg_str reducer_of(const struct yg_mrunner *r, const struct yg_mnode *n) {
    const struct yg_mnode *name = yg_mnode_first(n, YG_MN_NAME, 0);
    const struct yg_named_series *s = name ? find_named(r, name->text) : NULL;
    return s != NULL ? s->reduce : r->reduce;
}

static yg_rc reduce_operand(struct yg_mrunner *r, const struct yg_mnode *n,
                            const struct yg_mgrid *grid, uint32_t depth, struct yg_mval *ret,
                            struct yg_err *err) {
    YG_TRY(yg_meval(r, n, grid, depth + 1, ret, err));
    yg_str how = reducer_of(r, n);
    for (uint32_t s = 0; s < ret->count; s++) {
        double *one = YG_NEW_N(r->arena, double, 1);
        if (one == NULL)
            return yg_mq_no_memory(err);
        if (!yg_mq_reduce(ret->list[s].v, grid->starts, grid->count, how, one))
            *one = (double)NAN;
        ret->list[s].v = one;
    }
    return YG_OK;
}

yg_rc yg_meval_window(struct yg_mrunner *r, const struct yg_mnode *n, const struct yg_mgrid *grid,
                      uint32_t depth, struct yg_mval *ret_value, struct yg_err *err) {
    *ret_value = (struct yg_mval){0};
    if (depth > 4 * YG_MQ_DEPTH_MAX)
        return yg_fail(err, YG_EINPUT, "query is nested too deeply");
    if (n->kind == YG_MN_BINARY) {
        struct yg_mval left, right;
        YG_TRY(yg_meval_window(r, n->args[0], grid, depth + 1, &left, err));
        YG_TRY(yg_meval_window(r, n->args[1], grid, depth + 1, &right, err));
        return yg_mcombine(r, n->op, &left, &right, 1, ret_value, err);
    }
    if (n->kind == YG_MN_NEGATE) {
        YG_TRY(yg_meval_window(r, n->args[0], grid, depth + 1, ret_value, err));
        negate(ret_value, 1);
        return YG_OK;
    }
    if (n->kind == YG_MN_CALL && n->fn->per_point && has_arithmetic(n->args[0], 0)) {
        YG_TRY(yg_meval_window(r, n->args[0], grid, depth + 1, ret_value, err));
        return yg_mfn_apply(r, n, 1, ret_value, err);
    }
    return reduce_operand(r, n, grid, depth, ret_value, err);
}
