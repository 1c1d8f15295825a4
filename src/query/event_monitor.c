// SPDX-License-Identifier: Apache-2.0
// Event-platform monitor queries: logs("…").index("…").rollup("count").by("a,b").last("5m") > 2,
// and formula("…").
//
// Source: recorded requests and answers of DataDog/datadog-api-client-typescript
// cassettes/v1/Monitors_*.
#include "query/query.h"

#include <math.h>

#include "base/utf8.h"

#define QUERY_BYTES_MAX 16384u
#define LIST_MAX 64u
#define GROUPS_MAX 1000u
#define INVALID "The value provided for parameter 'query' is invalid"

struct parser {
    yg_str in;
    size_t pos;
    struct yg_arena *arena;
    struct yg_err *err;
    struct yg_event_monitor *m;
    bool has_rollup;
};

static yg_rc fail_operator(struct parser *p) {
    return yg_fail(p->err, YG_EINPUT, INVALID ": invalid operator specified: ");
}

static yg_rc fail_at(struct parser *p, size_t at, const char *what) {
    size_t column = 1;
    for (size_t i = 0; i < at && i < p->in.len; column++)
        (void)yg_utf8_next(p->in, &i);
    return yg_fail(p->err, YG_EINPUT, INVALID ": %s (column %zu)", what, column);
}

static char peek(const struct parser *p) {
    return p->pos < p->in.len ? p->in.ptr[p->pos] : '\0';
}

static void skip_blanks(struct parser *p) {
    while (p->pos < p->in.len && (peek(p) == ' ' || (peek(p) >= '\t' && peek(p) <= '\r')))
        p->pos++;
}

static yg_str read_name(struct parser *p) {
    size_t from = p->pos;
    while (p->pos < p->in.len &&
           ((peek(p) >= 'a' && peek(p) <= 'z') || peek(p) == '-' || peek(p) == '_'))
        p->pos++;
    return yg_str_sub(p->in, from, p->pos - from);
}

// A quoted string, or (where bare ones occur) everything up to the closing bracket.
static yg_rc read_string(struct parser *p, bool bare_allowed, yg_str *ret_str) {
    size_t at = p->pos, len = 0;
    char quote = peek(p);
    char *out = yg_arena_alloc(p->arena, p->in.len - at + 1);
    if (out == NULL)
        return yg_fail(p->err, YG_ENOMEM, "no memory for a monitor query");
    if (quote != '"' && quote != '\'') {
        if (!bare_allowed)
            return fail_at(p, at, "a quoted string is expected here");
        size_t close = yg_str_find_char(p->in, ')', at);
        if (close == SIZE_MAX)
            return fail_at(p, at, "a closing bracket is missing");
        *ret_str = yg_str_trim(yg_str_sub(p->in, at, close - at));
        p->pos = close;
        return YG_OK;
    }
    for (p->pos++; p->pos < p->in.len; p->pos++) {
        char c = peek(p);
        if (c == quote) {
            p->pos++;
            *ret_str = (yg_str){out, len};
            return YG_OK;
        }
        // Only quotes and the backslash itself are unescaped: others belong to the search.
        if (c == '\\' && p->pos + 1 < p->in.len) {
            char next = p->in.ptr[p->pos + 1];
            if (next == '"' || next == '\'' || next == '\\') {
                c = next;
                p->pos++;
            }
        }
        out[len++] = c;
    }
    return fail_at(p, at, "this quote is not closed");
}

static yg_rc expect(struct parser *p, char c) {
    skip_blanks(p);
    if (peek(p) != c)
        return fail_at(p, p->pos,
                       c == ')' ? "a closing bracket is expected here"
                                : "an opening bracket is expected here");
    p->pos++;
    skip_blanks(p);
    return YG_OK;
}

// ("a", "b") → list. The name before was read.
static yg_rc read_args(struct parser *p, bool bare_allowed, yg_str args[LIST_MAX],
                       uint32_t *count) {
    YG_TRY(expect(p, '('));
    *count = 0;
    while (peek(p) != ')') {
        if (*count == LIST_MAX)
            return fail_at(p, p->pos, "too many arguments");
        if (*count > 0) {
            if (peek(p) != ',')
                return fail_at(p, p->pos, "a comma or a closing bracket is expected here");
            p->pos++;
            skip_blanks(p);
        }
        YG_TRY(read_string(p, bare_allowed, &args[(*count)++]));
        skip_blanks(p);
    }
    p->pos++;
    return YG_OK;
}

static yg_rc keep_list(struct parser *p, const yg_str *items, uint32_t count,
                       const yg_str **ret_list) {
    yg_str *list = YG_NEW_N(p->arena, yg_str, count + 1);
    if (list == NULL)
        return yg_fail(p->err, YG_ENOMEM, "no memory for a monitor query");
    memcpy(list, items, sizeof(*list) * count);
    *ret_list = list;
    return YG_OK;
}

// ------------------------------------------------------------ calls

static yg_rc call_index(struct parser *p) {
    yg_str args[LIST_MAX];
    size_t at = p->pos;
    YG_TRY(read_args(p, false, args, &p->m->index_count));
    if (p->m->index_count == 0)
        return fail_at(p, at, "index() needs a name");
    return keep_list(p, args, p->m->index_count, &p->m->indexes);
}

static yg_rc call_rollup(struct parser *p) {
    yg_str args[LIST_MAX];
    uint32_t count = 0;
    size_t at = p->pos;
    YG_TRY(read_args(p, false, args, &count));
    if (count < 1 || count > 2)
        return fail_at(p, at, "rollup() takes a method and a measure");
    p->m->method = args[0];
    p->m->measure = count == 2 ? args[1] : (yg_str){0};
    p->has_rollup = true;
    struct yg_compute known;
    yg_str measure = p->m->measure.len > 0 ? p->m->measure : YG_STR("@x");
    if (yg_aggregation_parse(args[0], measure, YG_TRACK_LOGS, p->arena, &known, NULL) != YG_OK)
        return fail_at(p, at + 1, "this is no method of rollup()");
    return YG_OK;
}

static yg_rc call_by(struct parser *p) {
    yg_str args[LIST_MAX], items[LIST_MAX], piece;
    uint32_t count = 0, n = 0;
    size_t at = p->pos;
    YG_TRY(read_args(p, true, args, &count));
    for (uint32_t i = 0; i < count; i++)
        while (yg_str_split(&args[i], ',', &piece)) {
            piece = yg_str_trim(piece);
            if (piece.len == 0 || n == 8)
                return fail_at(p, at, "by() takes 1 to 8 facets");
            items[n++] = piece;
        }
    if (n == 0)
        return fail_at(p, at, "by() takes 1 to 8 facets");
    p->m->by_count = n;
    return keep_list(p, items, n, &p->m->by);
}

// Event monitors look back at most two days; cost and data jobs (formulas) at most a month.
static yg_rc call_last(struct parser *p) {
    yg_str args[LIST_MAX];
    uint32_t count = 0;
    size_t at = p->pos;
    YG_TRY(read_args(p, true, args, &count));
    int64_t days_max = p->m->is_formula ? 31 : 2;
    if (count != 1 || args[0].len < 2 || strchr("mhd", args[0].ptr[args[0].len - 1]) == NULL ||
        !yg_interval_parse(args[0], &p->m->window_ns))
        return fail_at(p, at + 1, "last() takes a time such as \"5m\", \"1h\" or \"1d\"");
    if (p->m->window_ns > days_max * 86400 * YG_NS_PER_S)
        return fail_at(p, at + 1,
                       p->m->is_formula ? "last() goes back at most 31 days"
                                        : "last() goes back at most 2 days");
    p->m->last = args[0];
    return YG_OK;
}

// Calls that are kept by name: their arguments are read over, strings respected.
static yg_rc call_other(struct parser *p, yg_str name) {
    static const char *const known[] = {"current", "source", "new",      "impact",
                                        "anomaly", "change", "forecast", "weighted"};
    size_t i = 0, n = sizeof(known) / sizeof(known[0]), at = p->pos;
    while (i < n && !yg_str_eq_c(name, known[i]))
        i++;
    if (i == n)
        return fail_at(p, at - name.len, "this call is not known");
    YG_TRY(expect(p, '('));
    while (p->pos < p->in.len && peek(p) != ')') {
        yg_str skipped;
        if (peek(p) == '"' || peek(p) == '\'')
            YG_TRY(read_string(p, false, &skipped));
        else
            p->pos++;
    }
    YG_TRY(expect(p, ')'));
    yg_str names[LIST_MAX];
    if (p->m->call_count == LIST_MAX)
        return fail_at(p, at, "too many calls");
    for (uint32_t k = 0; k < p->m->call_count; k++)
        names[k] = p->m->calls[k];
    names[p->m->call_count++] = name;
    return keep_list(p, names, p->m->call_count, &p->m->calls);
}

static yg_rc parse_calls(struct parser *p) {
    for (;;) {
        skip_blanks(p);
        if (peek(p) != '.')
            return YG_OK;
        p->pos++;
        yg_str name = read_name(p);
        if (yg_str_eq_c(name, "index"))
            YG_TRY(call_index(p));
        else if (yg_str_eq_c(name, "rollup"))
            YG_TRY(call_rollup(p));
        else if (yg_str_eq_c(name, "by"))
            YG_TRY(call_by(p));
        else if (yg_str_eq_c(name, "last"))
            YG_TRY(call_last(p));
        else
            YG_TRY(call_other(p, name));
    }
}

// ------------------------------------------------------------ head and tail

static const char *const compare_texts[] = {
    [YG_CMP_LT] = "<",  [YG_CMP_LE] = "<=", [YG_CMP_GT] = ">",
    [YG_CMP_GE] = ">=", [YG_CMP_EQ] = "==", [YG_CMP_NE] = "!="};

const char *yg_compare_text(enum yg_compare op) {
    return compare_texts[op];
}

bool yg_compare_holds(enum yg_compare op, double value, double threshold) {
    switch (op) {
    case YG_CMP_LT:
        return value < threshold;
    case YG_CMP_LE:
        return value <= threshold;
    case YG_CMP_GT:
        return value > threshold;
    case YG_CMP_GE:
        return value >= threshold;
    case YG_CMP_EQ:
        return !(value < threshold) && !(value > threshold);
    case YG_CMP_NE:
        return value < threshold || value > threshold;
    }
    return false;
}

static yg_rc parse_comparison(struct parser *p) {
    static const enum yg_compare order[] = {YG_CMP_LE, YG_CMP_GE, YG_CMP_EQ,
                                            YG_CMP_NE, YG_CMP_LT, YG_CMP_GT};
    size_t i = 0, n = sizeof(order) / sizeof(order[0]);
    yg_str rest = yg_str_sub(p->in, p->pos, p->in.len);
    while (i < n && !yg_str_starts(rest, yg_str_c(compare_texts[order[i]])))
        i++;
    if (i == n)
        return fail_operator(p);
    p->m->op = order[i];
    p->pos += strlen(compare_texts[order[i]]);
    skip_blanks(p);
    p->m->threshold_text = yg_str_trim(yg_str_sub(p->in, p->pos, p->in.len));
    if (!yg_str_to_f64(p->m->threshold_text, &p->m->threshold))
        return fail_at(p, p->pos, "a number is expected after the comparison");
    return YG_OK;
}

// True when the name begins an event query at all.
static bool source_known(struct yg_event_monitor *m) {
    m->is_formula = yg_str_eq_c(m->source, "formula");
    if (m->is_formula)
        return true;
    yg_rc rc = yg_data_source_track(m->source, &m->track, NULL);
    m->has_track = rc == YG_OK;
    return rc != YG_EINPUT;
}

static yg_rc finish_search(struct parser *p, size_t search_at) {
    struct yg_event_monitor *m = p->m;
    if (m->is_formula)
        return m->search.len > 0 ? YG_OK : fail_at(p, search_at, "the formula is empty");
    struct yg_search_options options = {.track = m->has_track ? m->track : YG_TRACK_LOGS};
    struct yg_node *tree = NULL;
    struct yg_err local = {0};
    if (yg_search_parse(m->search, &options, p->arena, &tree, &local) != YG_OK)
        return local.rc == YG_EINPUT
                   ? yg_fail(p->err, YG_EINPUT, INVALID ": in the search: %s", local.text)
                   : yg_fail(p->err, local.rc, "%s", local.text);
    m->filter = m->has_track ? tree : NULL;
    yg_rc rc =
        yg_aggregation_parse(m->method, m->measure, options.track, p->arena, &m->compute, &local);
    if (rc != YG_OK)
        return yg_fail(p->err, rc, INVALID ": rollup: %s", local.text);
    return YG_OK;
}

yg_rc yg_event_monitor_parse(yg_str text, struct yg_arena *arena,
                             struct yg_event_monitor **ret_monitor, struct yg_err *err) {
    struct yg_event_monitor *m = YG_NEW(arena, struct yg_event_monitor);
    yg_str in = yg_arena_str(arena, yg_str_trim(text));
    if (m == NULL || (in.ptr == NULL && text.len > 0))
        return yg_fail(err, YG_ENOMEM, "no memory for a monitor query");
    struct parser p = {.in = in, .arena = arena, .err = err, .m = m};
    if (in.len > QUERY_BYTES_MAX)
        return yg_fail(err, YG_EINPUT, INVALID ": longer than %u bytes", QUERY_BYTES_MAX);
    m->method = YG_STR("count");
    m->source = read_name(&p);
    if (!source_known(m) || peek(&p) != '(')
        return fail_operator(&p);
    YG_TRY(expect(&p, '('));
    size_t search_at = p.pos;
    YG_TRY(read_string(&p, false, &m->search));
    YG_TRY(expect(&p, ')'));
    YG_TRY(parse_calls(&p));
    YG_TRY(parse_comparison(&p));
    if (m->last.len == 0)
        return yg_fail(err, YG_EINPUT, INVALID ": .last(\"…\") is missing");
    YG_TRY(finish_search(&p, search_at));
    *ret_monitor = m;
    return YG_OK;
}

// ------------------------------------------------------------ evaluation

static int largest_first(const void *a, const void *b) {
    const struct yg_window_value *x = a, *y = b;
    if (x->has_value != y->has_value)
        return x->has_value ? -1 : 1;
    return (x->value < y->value) - (x->value > y->value);
}

static yg_rc plan_groups(const struct yg_event_monitor *m, struct yg_arena *arena,
                         struct yg_group_by **ret_groups, struct yg_err *err) {
    struct yg_group_by *groups = YG_NEW_N(arena, struct yg_group_by, m->by_count + 1);
    if (groups == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for the groups of a monitor");
    for (uint32_t i = 0; i < m->by_count; i++) {
        YG_TRY(yg_field_parse(m->by[i], m->track, arena, &groups[i].facet, err));
        groups[i].limit = GROUPS_MAX;
    }
    *ret_groups = groups;
    return YG_OK;
}

yg_rc yg_event_monitor_window(struct yg_store *store, const struct yg_event_monitor *monitor,
                              int64_t from_ns, int64_t to_ns, bool fresh, int64_t deadline_mono_ns,
                              struct yg_arena *arena, struct yg_window_value **ret_values,
                              uint32_t *ret_count, struct yg_warnings *warnings,
                              struct yg_err *err) {
    const struct yg_event_monitor *m = monitor;
    struct yg_group_by *groups = NULL;
    if (m->is_formula)
        return yg_fail(err, YG_EINTERNAL, "a formula has no window of its own");
    if (!m->has_track)
        return yg_fail(err, YG_ENOTFOUND, "yagura keeps no data of source '%.*s' yet",
                       YG_STR_FMT(m->source));
    YG_TRY(plan_groups(m, arena, &groups, err));
    struct yg_event_query q = {.track = m->track,
                               .range = {from_ns, to_ns},
                               .filter = m->filter,
                               .computes = &m->compute,
                               .compute_count = 1,
                               .group_by = groups,
                               .group_count = m->by_count,
                               .deadline_mono_ns = deadline_mono_ns,
                               .background = !fresh};
    struct yg_agg_result agg;
    YG_TRY(yg_events_aggregate(store, &q, fresh, arena, &agg, err));
    struct yg_window_value *values = YG_NEW_N(arena, struct yg_window_value, agg.count + 1);
    if (values == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for %u groups of a monitor", agg.count);
    for (uint32_t i = 0; i < agg.count; i++) {
        yg_str *tags = YG_NEW_N(arena, yg_str, m->by_count + 1);
        if (tags == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory for %u groups of a monitor", agg.count);
        for (uint32_t k = 0; k < m->by_count; k++)
            tags[k] = yg_arena_printf(arena, "%.*s:%.*s", YG_STR_FMT(m->by[k]),
                                      YG_STR_FMT(agg.buckets[i].by[k]));
        const struct yg_agg_value *v = &agg.buckets[i].computes[0];
        values[i] = (struct yg_window_value){.group_tags = tags,
                                             .group_count = m->by_count,
                                             .value = v->value,
                                             .has_value = v->has_value};
    }
    if (agg.count > 1)
        qsort(values, agg.count, sizeof(values[0]), largest_first);
    *ret_values = values;
    *ret_count = agg.count < GROUPS_MAX ? agg.count : GROUPS_MAX;
    if (warnings)
        *warnings = agg.warnings;
    return YG_OK;
}
