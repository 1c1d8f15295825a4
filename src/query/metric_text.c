// SPDX-License-Identifier: Apache-2.0
// Names of results: "default_zero(a.b)", "sum:a.b{env:prod,service:x}", "env:prod,service:x".

#include "query/metric_int.h"

#define TEXT_DEPTH_MAX (2 * YG_MQ_DEPTH_MAX)

static yg_str binary(const struct yg_mnode *n, yg_str left, yg_str right, struct yg_arena *a) {
    return yg_arena_printf(a, "(%.*s %c %.*s)", YG_STR_FMT(left), n->op, YG_STR_FMT(right));
}

yg_str yg_mtext_metric(const struct yg_mnode *n, struct yg_arena *a, uint32_t depth) {
    if (depth > TEXT_DEPTH_MAX)
        return n->text;
    switch (n->kind) {
    case YG_MN_SERIES:
        return n->metric;
    case YG_MN_CALL:
        return yg_arena_printf(a, "%s(%.*s)", n->fn->name,
                               YG_STR_FMT(yg_mtext_metric(n->args[0], a, depth + 1)));
    case YG_MN_NEGATE:
        return yg_arena_printf(a, "-%.*s", YG_STR_FMT(yg_mtext_metric(n->args[0], a, depth + 1)));
    case YG_MN_BINARY:
        return binary(n, yg_mtext_metric(n->args[0], a, depth + 1),
                      yg_mtext_metric(n->args[1], a, depth + 1), a);
    case YG_MN_NUMBER:
    case YG_MN_STRING:
    case YG_MN_NAME:
    case YG_MN_KIND_COUNT:
        break;
    }
    return n->text;
}

yg_str yg_mtext_scope(const struct yg_mnode *n, const struct yg_mser *group, struct yg_arena *a) {
    const struct yg_mnode *s = yg_mnode_first(n, YG_MN_SERIES, 0);
    bool all = s == NULL || yg_str_eq_c(s->scope_text, "*");
    if (all && (group == NULL || group->tag_count == 0))
        return s ? YG_STR("*") : YG_STR("");
    yg_str out = all ? (yg_str){0} : s->scope_text;
    for (uint32_t i = 0; group != NULL && i < group->tag_count; i++)
        out = yg_arena_printf(a, "%.*s%s%.*s", YG_STR_FMT(out), out.len > 0 ? "," : "",
                              YG_STR_FMT(group->tags[i]));
    return out;
}

static yg_str call_text(const struct yg_mnode *n, const struct yg_mser *group, struct yg_arena *a,
                        uint32_t depth) {
    yg_str out = yg_arena_printf(a, "%s(%.*s", n->fn->name,
                                 YG_STR_FMT(yg_mtext_expression(n->args[0], group, a, depth + 1)));
    for (uint32_t i = 1; i < n->arg_count; i++) {
        const struct yg_mnode *arg = n->args[i];
        const char *quote = arg->kind == YG_MN_STRING ? "'" : "";
        yg_str text = arg->kind == YG_MN_STRING || arg->kind == YG_MN_NUMBER
                          ? arg->text
                          : yg_mtext_expression(arg, group, a, depth + 1);
        out = yg_arena_printf(a, "%.*s, %.*s%s%s%.*s%s", YG_STR_FMT(out), YG_STR_FMT(arg->keyword),
                              arg->keyword.len > 0 ? "=" : "", quote, YG_STR_FMT(text), quote);
    }
    return yg_arena_printf(a, "%.*s)", YG_STR_FMT(out));
}

static yg_str series_text(const struct yg_mnode *n, const struct yg_mser *group,
                          struct yg_arena *a) {
    // The scope of a grouped series names its group; a query without keys keeps its own.
    yg_str scope = yg_mtext_scope(n, n->key_count > 0 ? group : NULL, a);
    const char *mod = n->mods.as_count ? ".as_count()" : n->mods.as_rate ? ".as_rate()" : "";
    yg_str out =
        yg_arena_printf(a, "%.*s%s%.*s{%.*s}%s", YG_STR_FMT(n->aggr_text), n->has_aggr ? ":" : "",
                        YG_STR_FMT(n->metric), YG_STR_FMT(scope), mod);
    if (n->mods.rollup_s > 0)
        out = yg_arena_printf(a, "%.*s.rollup(%s%lld)", YG_STR_FMT(out),
                              n->mods.method == YG_TIME_AVG     ? "avg,"
                              : n->mods.method == YG_TIME_SUM   ? "sum,"
                              : n->mods.method == YG_TIME_MIN   ? "min,"
                              : n->mods.method == YG_TIME_MAX   ? "max,"
                              : n->mods.method == YG_TIME_COUNT ? "count,"
                                                                : "",
                              (long long)n->mods.rollup_s);
    return out;
}

yg_str yg_mtext_expression(const struct yg_mnode *n, const struct yg_mser *group,
                           struct yg_arena *a, uint32_t depth) {
    if (depth > TEXT_DEPTH_MAX)
        return n->text;
    switch (n->kind) {
    case YG_MN_SERIES:
        return series_text(n, group, a);
    case YG_MN_CALL:
        return call_text(n, group, a, depth);
    case YG_MN_NEGATE:
        return yg_arena_printf(a, "-%.*s",
                               YG_STR_FMT(yg_mtext_expression(n->args[0], group, a, depth + 1)));
    case YG_MN_BINARY:
        return binary(n, yg_mtext_expression(n->args[0], group, a, depth + 1),
                      yg_mtext_expression(n->args[1], group, a, depth + 1), a);
    case YG_MN_NUMBER:
    case YG_MN_STRING:
    case YG_MN_NAME:
    case YG_MN_KIND_COUNT:
        break;
    }
    return n->text;
}
