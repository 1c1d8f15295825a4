// SPDX-License-Identifier: Apache-2.0
// Parsing of trace queries.
//
//   query = or [ "where" condition+ ]        or  = and { "||" and }
//   and   = rel { "&&" rel }                 rel = not { ( "=>" | "->" ) not }
//   not   = NOT "(" or ")" | "(" or ")" | label | span query
//
// A span query reaches to the next operator outside quotes and brackets. A bracket is one of this
// language when an operator stands in it, else it belongs to a span query. What stands beside => or
// -> must be a set of spans: labels, || of them, or another relation.
#include "query/trace_query.h"

#include <ctype.h>
#include <math.h>

#define DEPTH_MAX 32u
#define EXPRS_MAX 512u // who evaluates goes down one by one

struct parser {
    yg_str text;
    size_t at, end; // of the expression
    const struct yg_trace_label *given;
    uint32_t given_count;
    struct yg_arena *arena;
    struct yg_trace_query *q;
    uint32_t depth;
    uint32_t exprs;
    struct yg_err *err;
};

static yg_rc bad(const struct parser *p, size_t at, const char *what) {
    return yg_fail(p->err, YG_EINPUT, "%s (column %zu)", what, at + 1);
}

static bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct parser *p) {
    while (p->at < p->end && blank(p->text.ptr[p->at]))
        p->at++;
}

static bool starts(const struct parser *p, size_t at, const char *word) {
    return yg_str_starts(yg_str_sub(p->text, at, p->end - at), yg_str_c(word));
}

static bool operator_at(const struct parser *p, size_t at) {
    return starts(p, at, "&&") || starts(p, at, "||") || starts(p, at, "=>") || starts(p, at, "->");
}

// Past what stands at `at`: an escaped character, a quoted text or one character.
static size_t step(const struct parser *p, size_t at) {
    const char *s = p->text.ptr;
    if (s[at] == '\\' && at + 1 < p->end)
        return at + 2;
    if (s[at] != '"')
        return at + 1;
    for (at++; at < p->end && s[at] != '"'; at++)
        at += s[at] == '\\' && at + 1 < p->end;
    return at < p->end ? at + 1 : at;
}

// The place of the bracket that closes the one at `at`, or end. ret_group: an operator is inside.
static size_t closing(const struct parser *p, size_t at, bool *ret_group) {
    uint32_t open = 0;
    *ret_group = false;
    for (; at < p->end; at = step(p, at)) {
        char c = p->text.ptr[at];
        open += c == '(';
        *ret_group |= open > 0 && operator_at(p, at);
        if (c == ')' && --open == 0)
            return at;
    }
    return p->end;
}

// ------------------------------------------------------------ expression

static yg_rc new_expr(struct parser *p, enum yg_trace_op op, struct yg_trace_expr *left,
                      struct yg_trace_expr *right, struct yg_trace_expr **ret) {
    if (++p->exprs > EXPRS_MAX)
        return bad(p, p->at, "more than 512 operators and span queries");
    struct yg_trace_expr *e = YG_NEW(p->arena, struct yg_trace_expr);
    if (e == NULL)
        return yg_fail(p->err, YG_ENOMEM, "no memory for a trace query");
    e->op = op;
    e->left = left;
    e->right = right;
    *ret = e;
    return YG_OK;
}

static yg_rc parse_or(struct parser *p, struct yg_trace_expr **ret);

static bool letter_taken(const struct parser *p, char letter) {
    for (uint32_t i = 0; i < p->given_count; i++)
        if (p->given[i].label == letter)
            return true;
    for (uint32_t i = 0; i < p->q->label_count; i++)
        if (p->q->letters[i] == letter)
            return true;
    return false;
}

static yg_rc add_label(struct parser *p, char letter, yg_str search, size_t at,
                       uint32_t *ret_label) {
    struct yg_trace_query *q = p->q;
    struct yg_search_options options = {.track = YG_TRACK_SPANS};
    struct yg_node *tree = NULL;
    if (q->label_count == YG_TRACE_LABELS_MAX)
        return bad(p, at, "more than 16 span queries");
    struct yg_err inner = {0};
    if (yg_search_parse(search, &options, p->arena, &tree, &inner) != YG_OK)
        return yg_fail(p->err, inner.rc, "span query %c: %s", letter, inner.text);
    q->searches[q->label_count] = tree;
    q->letters[q->label_count] = letter;
    *ret_label = q->label_count++;
    return YG_OK;
}

// The index of a letter; UINT32_MAX when nothing has it.
static yg_rc find_label(struct parser *p, char letter, size_t at, uint32_t *ret_label) {
    for (*ret_label = 0; *ret_label < p->q->label_count; ++*ret_label)
        if (p->q->letters[*ret_label] == letter)
            return YG_OK;
    for (uint32_t i = 0; i < p->given_count; i++)
        if (p->given[i].label == letter)
            return add_label(p, letter, p->given[i].search, at, ret_label);
    *ret_label = UINT32_MAX;
    return YG_OK;
}

// A label or a span query: up to the next operator or closing bracket of ours.
static yg_rc parse_spans(struct parser *p, struct yg_trace_expr **ret) {
    size_t from = p->at, at = from;
    while (at < p->end && p->text.ptr[at] != ')' && !operator_at(p, at)) {
        bool group = false;
        if (p->text.ptr[at] == '(')
            at = closing(p, at, &group);
        if (at < p->end)
            at = step(p, at);
    }
    p->at = at;
    yg_str text = yg_str_trim(yg_str_sub(p->text, from, at - from));
    if (text.len == 0)
        return bad(p, from, "a span query is missing");
    uint32_t label = UINT32_MAX;
    if (text.len == 1 && text.ptr[0] >= 'a' && text.ptr[0] <= 'z')
        YG_TRY(find_label(p, text.ptr[0], from, &label));
    if (label == UINT32_MAX) {
        char letter = 'a';
        while (letter < 'z' && letter_taken(p, letter))
            letter++;
        YG_TRY(add_label(p, letter, text, from, &label));
    }
    YG_TRY(new_expr(p, YG_TRACE_LABEL, NULL, NULL, ret));
    (*ret)->label = label;
    return YG_OK;
}

static yg_rc parse_group(struct parser *p, struct yg_trace_expr **ret) {
    size_t open = p->at++;
    if (++p->depth > DEPTH_MAX)
        return bad(p, open, "brackets nest too deep");
    YG_TRY(parse_or(p, ret));
    p->depth--;
    skip_blanks(p);
    if (p->at >= p->end || p->text.ptr[p->at] != ')')
        return bad(p, open, "this bracket is not closed");
    p->at++;
    return YG_OK;
}

static yg_rc parse_not(struct parser *p, struct yg_trace_expr **ret) {
    bool group = false;
    skip_blanks(p);
    if (starts(p, p->at, "NOT")) {
        size_t from = p->at;
        p->at += 3;
        skip_blanks(p);
        if (p->at < p->end && p->text.ptr[p->at] == '(') {
            struct yg_trace_expr *inner = NULL;
            YG_TRY(parse_group(p, &inner));
            return new_expr(p, YG_TRACE_NOT, inner, NULL, ret);
        }
        p->at = from; // NOT of a span query
    }
    if (p->at < p->end && p->text.ptr[p->at] == '(') {
        size_t close = closing(p, p->at, &group);
        struct parser after = *p;
        after.at = close + 1;
        skip_blanks(&after);
        bool alone = close < p->end && (after.at >= p->end || p->text.ptr[after.at] == ')' ||
                                        operator_at(p, after.at));
        if (group || alone)
            return parse_group(p, ret);
    }
    return parse_spans(p, ret);
}

static bool is_span_set(const struct yg_trace_expr *e) {
    switch (e->op) {
    case YG_TRACE_LABEL:
    case YG_TRACE_CHILD:
    case YG_TRACE_DESCENDANT:
        return true;
    case YG_TRACE_OR:
        return is_span_set(e->left) && is_span_set(e->right);
    case YG_TRACE_AND:
    case YG_TRACE_NOT:
        break;
    }
    return false;
}

static yg_rc parse_rel(struct parser *p, struct yg_trace_expr **ret) {
    YG_TRY(parse_not(p, ret));
    for (;;) {
        skip_blanks(p);
        size_t at = p->at;
        bool child = starts(p, at, "=>");
        if (!child && !starts(p, at, "->"))
            return YG_OK;
        p->at += 2;
        struct yg_trace_expr *right = NULL;
        YG_TRY(parse_not(p, &right));
        if (!is_span_set(*ret) || !is_span_set(right))
            return bad(p, at, "&& and NOT(…) give no spans that could be parents or children");
        YG_TRY(new_expr(p, child ? YG_TRACE_CHILD : YG_TRACE_DESCENDANT, *ret, right, ret));
        p->q->has_child |= child;
        p->q->has_descendant |= !child;
    }
}

static yg_rc parse_and(struct parser *p, struct yg_trace_expr **ret) {
    YG_TRY(parse_rel(p, ret));
    for (skip_blanks(p); starts(p, p->at, "&&"); skip_blanks(p)) {
        struct yg_trace_expr *right = NULL;
        p->at += 2;
        YG_TRY(parse_rel(p, &right));
        YG_TRY(new_expr(p, YG_TRACE_AND, *ret, right, ret));
    }
    return YG_OK;
}

static yg_rc parse_or(struct parser *p, struct yg_trace_expr **ret) {
    YG_TRY(parse_and(p, ret));
    for (skip_blanks(p); starts(p, p->at, "||"); skip_blanks(p)) {
        struct yg_trace_expr *right = NULL;
        p->at += 2;
        YG_TRY(parse_and(p, &right));
        YG_TRY(new_expr(p, YG_TRACE_OR, *ret, right, ret));
    }
    return YG_OK;
}

// ------------------------------------------------------------ conditions

// "10", "5s", "250ms": durations in ns.
static bool number_of(yg_str s, bool duration, double *ret) {
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    double factor = 1;
    for (size_t i = 0; duration && i < sizeof(units) / sizeof(units[0]); i++) {
        yg_str unit = yg_str_c(units[i].unit);
        if (!yg_str_ends(s, unit) || s.len == unit.len ||
            isalpha((unsigned char)s.ptr[s.len - unit.len - 1]))
            continue;
        s = yg_str_sub(s, 0, s.len - unit.len);
        factor = units[i].ns;
        break;
    }
    if (!yg_str_to_f64(s, ret) || !isfinite(*ret))
        return false;
    *ret *= factor;
    return true;
}

static bool parse_compare(yg_str s, struct yg_trace_cond *c) {
    bool duration = c->subject == YG_TRACE_DURATION;
    c->min = -(double)INFINITY;
    c->max = (double)INFINITY;
    if (s.len > 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']') {
        yg_str inner = yg_str_sub(s, 1, s.len - 2);
        size_t to = yg_str_find(inner, YG_STR(" TO "), 0);
        if (to == SIZE_MAX)
            return false;
        yg_str low = yg_str_trim(yg_str_sub(inner, 0, to)),
               high = yg_str_trim(yg_str_sub(inner, to + 4, inner.len));
        return (yg_str_eq_c(low, "*") || number_of(low, duration, &c->min)) &&
               (yg_str_eq_c(high, "*") || number_of(high, duration, &c->max));
    }
    bool above = s.len > 0 && s.ptr[0] == '>', below = s.len > 0 && s.ptr[0] == '<';
    bool equal = (above || below) && s.len > 1 && s.ptr[1] == '=';
    double n;
    if (!number_of(yg_str_sub(s, (size_t)(above || below) + equal, s.len), duration, &n))
        return false;
    if (!above)
        c->max = n;
    if (!below)
        c->min = n;
    c->min_open = above && !equal;
    c->max_open = below && !equal;
    return true;
}

static yg_rc parse_subject(struct parser *p, yg_str s, size_t at, struct yg_trace_cond *c) {
    if (yg_str_eq_c(s, "total_span_count")) {
        c->subject = YG_TRACE_TOTAL_SPANS;
    } else if (yg_str_eq_c(s, "trace_duration")) {
        c->subject = YG_TRACE_DURATION;
    } else if (s.len == 13 && yg_str_starts(s, YG_STR("span_count(")) && s.ptr[12] == ')') {
        c->subject = YG_TRACE_SPAN_COUNT;
        YG_TRY(find_label(p, s.ptr[11], at, &c->label));
        if (c->label == UINT32_MAX)
            return bad(p, at, "span_count of a letter that no span query has");
    } else {
        return bad(p, at, "span_count(a), total_span_count or trace_duration is expected");
    }
    return YG_OK;
}

static yg_rc parse_conditions(struct parser *p, size_t from) {
    p->at = from;
    p->end = p->text.len;
    for (skip_blanks(p); p->at < p->end; skip_blanks(p)) {
        size_t at = p->at, colon = yg_str_find_char(p->text, ':', at);
        if (colon == SIZE_MAX)
            return bad(p, at, "a condition is name:comparison");
        size_t to = colon + 1;
        bool range = to < p->end && p->text.ptr[to] == '[';
        while (to < p->end && (range ? p->text.ptr[to - 1] != ']' : !blank(p->text.ptr[to])))
            to++;
        if (p->q->cond_count == YG_TRACE_CONDS_MAX)
            return bad(p, at, "more than 16 conditions");
        struct yg_trace_cond *c = &p->q->conds[p->q->cond_count++];
        YG_TRY(parse_subject(p, yg_str_sub(p->text, at, colon - at), at, c));
        if (!parse_compare(yg_str_sub(p->text, colon + 1, to - colon - 1), c))
            return bad(
                p, colon + 1,
                "a number or a duration is expected, after < > <= >= if need be, or [x TO y]");
        p->at = to;
    }
    return p->q->cond_count > 0 ? YG_OK : bad(p, from, "a condition is missing");
}

// The last "where" outside quotes and brackets; end when there is none.
static size_t find_where(const struct parser *p) {
    size_t found = p->end;
    bool group;
    for (size_t at = 0; at < p->end;) {
        if (p->text.ptr[at] == '(') {
            size_t close = closing(p, at, &group);
            at = close < p->end ? close + 1 : close;
            continue;
        }
        bool word = starts(p, at, "where") &&
                    (at == 0 || blank(p->text.ptr[at - 1]) || p->text.ptr[at - 1] == ')') &&
                    (at + 5 >= p->end || blank(p->text.ptr[at + 5]));
        if (word)
            found = at;
        at = step(p, at);
    }
    return found;
}

yg_rc yg_trace_query_parse(yg_str text, const struct yg_trace_label *labels, uint32_t label_count,
                           struct yg_arena *arena, struct yg_trace_query **ret_query,
                           struct yg_err *err) {
    struct parser p = {.text = text,
                       .end = text.len,
                       .given = labels,
                       .given_count = label_count,
                       .arena = arena,
                       .q = YG_NEW(arena, struct yg_trace_query),
                       .err = err};
    if (p.q == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a trace query");
    size_t where = find_where(&p);
    p.end = where;
    YG_TRY(parse_or(&p, &p.q->expr));
    skip_blanks(&p);
    if (p.at < p.end)
        return bad(&p, p.at, "an operator is expected");
    if (where < text.len)
        YG_TRY(parse_conditions(&p, where + 5));
    *ret_query = p.q;
    return YG_OK;
}
