// SPDX-License-Identifier: Apache-2.0
// Parser of the metric language. What it refuses it names by the column of the furthest failure, in
// the words of the service's own parser, so that clients show people what they are used to. Source:
// DataDog/documentation content/en/dashboards/functions, DataDog/hiring-engineers#397 (error text)

#include "query/metric_int.h"

// ------------------------------------------------------------ characters

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_name(char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '.';
}
static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool yg_mp_fail(struct yg_mparser *p, size_t at) {
    if (at > p->far && !p->hard)
        p->far = at;
    return false;
}

// An aggregator or function that does not exist is named where it begins.
static void unknown_word(struct yg_mparser *p, size_t start) {
    if (!p->hard)
        p->far = start;
    p->hard = true;
}

char yg_mp_peek(const struct yg_mparser *p) {
    return p->pos < p->in.len ? p->in.ptr[p->pos] : 0;
}

void yg_mp_blank(struct yg_mparser *p) {
    while (is_blank(yg_mp_peek(p)))
        p->pos++;
}

bool yg_mp_eat(struct yg_mparser *p, char c) {
    if (p->pos >= p->in.len || p->in.ptr[p->pos] != c)
        return yg_mp_fail(p, p->pos);
    p->pos++;
    return true;
}

bool yg_mp_word(struct yg_mparser *p, const char *word) {
    size_t n = strlen(word);
    yg_str here = yg_str_sub(p->in, p->pos, n);
    char after = p->pos + n < p->in.len ? p->in.ptr[p->pos + n] : 0;
    if (!yg_str_eq_c(here, word) || is_letter(after) || is_digit(after) || after == '_')
        return false;
    p->pos += n;
    return true;
}

static yg_str take_name(struct yg_mparser *p) {
    size_t start = p->pos;
    if (is_letter(yg_mp_peek(p)))
        while (is_name(yg_mp_peek(p)))
            p->pos++;
    return yg_str_sub(p->in, start, p->pos - start);
}

static struct yg_mnode *new_node(struct yg_mparser *p, enum yg_mnode_kind kind) {
    struct yg_mnode *n = YG_NEW(p->arena, struct yg_mnode);
    if (n == NULL)
        p->no_memory = true;
    else
        n->kind = kind;
    return n;
}

static struct yg_mnode *expr(struct yg_mparser *p);

// ------------------------------------------------------------ modifiers

static bool take_integer(struct yg_mparser *p, int64_t *ret) {
    size_t start = p->pos;
    while (is_digit(yg_mp_peek(p)))
        p->pos++;
    if (p->pos == start || !yg_str_to_i64(yg_str_sub(p->in, start, p->pos - start), ret))
        return yg_mp_fail(p, p->pos);
    return true;
}

static bool take_string(struct yg_mparser *p, yg_str *ret) {
    char quote = yg_mp_peek(p);
    if (quote != '\'' && quote != '"')
        return yg_mp_fail(p, p->pos);
    size_t end = yg_str_find_char(p->in, quote, p->pos + 1);
    if (end == SIZE_MAX)
        return yg_mp_fail(p, p->in.len);
    *ret = yg_str_sub(p->in, p->pos + 1, end - p->pos - 1);
    p->pos = end + 1;
    return true;
}

static const struct {
    const char *name;
    enum yg_time_agg method;
} methods[] = {{"avg", YG_TIME_AVG},
               {"sum", YG_TIME_SUM},
               {"min", YG_TIME_MIN},
               {"max", YG_TIME_MAX},
               {"count", YG_TIME_COUNT}};
static const struct {
    const char *name;
    enum yg_calendar calendar;
} calendars[] = {{"daily", YG_CAL_DAILY},
                 {"weekly", YG_CAL_WEEKLY},
                 {"monthly", YG_CAL_MONTHLY},
                 {"yearly", YG_CAL_YEARLY}};
static const struct {
    const char *name;
    enum yg_fill fill;
} fills[] = {{"linear", YG_FILL_LINEAR},
             {"last", YG_FILL_LAST},
             {"zero", YG_FILL_ZERO},
             {"null", YG_FILL_NULL}};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool take_calendar(struct yg_mparser *p, struct yg_mmods *m) {
    for (size_t i = 0; i < COUNT(calendars); i++) {
        if (!yg_mp_word(p, calendars[i].name))
            continue;
        m->calendar = calendars[i].calendar;
        // start and time zone, in any order; only UTC without a start is evaluated
        for (yg_mp_blank(p); yg_mp_peek(p) == ','; yg_mp_blank(p)) {
            p->pos++;
            yg_mp_blank(p);
            size_t start = p->pos;
            yg_str zone;
            if (yg_mp_peek(p) == '\'' || yg_mp_peek(p) == '"') {
                if (!take_string(p, &zone))
                    return false;
            } else {
                while (yg_mp_peek(p) != ',' && yg_mp_peek(p) != ')' && yg_mp_peek(p) != 0)
                    p->pos++;
                zone = yg_str_trim(yg_str_sub(p->in, start, p->pos - start));
                if (zone.len == 0)
                    return yg_mp_fail(p, p->pos);
            }
            m->calendar_zone |= !yg_str_eq_c(zone, "UTC") && !yg_str_eq_c(zone, "Etc/UTC");
        }
        return true;
    }
    return false;
}

static bool take_rollup(struct yg_mparser *p, struct yg_mmods *m) {
    m->rollup = true;
    yg_mp_blank(p);
    bool named = false;
    for (size_t i = 0; i < COUNT(methods) && !named; i++)
        if (yg_mp_word(p, methods[i].name)) {
            m->method = methods[i].method;
            named = true;
        }
    yg_mp_blank(p);
    if (named && yg_mp_peek(p) != ',')
        return true;
    if (named) {
        p->pos++;
        yg_mp_blank(p);
        if (take_calendar(p, m))
            return true;
        if (m->calendar != YG_CAL_NONE)
            return false;
    }
    if (!take_integer(p, &m->rollup_s))
        return false;
    if (m->rollup_s < 1 || m->rollup_s > INT64_C(100) * 366 * 86400)
        return yg_mp_fail(p, p->pos);
    return true;
}

static bool take_fill(struct yg_mparser *p, struct yg_mmods *m) {
    m->fill_set = true;
    m->fill_limit_s = YG_MQ_INTERPOLATE_S;
    yg_mp_blank(p);
    for (size_t i = 0; i < COUNT(fills); i++) {
        if (!yg_mp_word(p, fills[i].name))
            continue;
        m->fill = fills[i].fill;
        yg_mp_blank(p);
        if (yg_mp_peek(p) != ',')
            return true;
        p->pos++;
        yg_mp_blank(p);
        if (!take_integer(p, &m->fill_limit_s))
            return false;
        if (m->fill_limit_s > YG_MQ_INTERPOLATE_MAX_S)
            m->fill_limit_s = YG_MQ_INTERPOLATE_MAX_S;
        return true;
    }
    return yg_mp_fail(p, p->pos);
}

static bool take_modifier(struct yg_mparser *p, struct yg_mmods *m) {
    bool good = true, flag = false;
    if ((flag = yg_mp_word(p, "as_count")))
        m->as_count = p->as_count = true;
    else if ((flag = yg_mp_word(p, "as_rate")))
        m->as_rate = true;
    else if ((flag = yg_mp_word(p, "weighted")))
        m->weighted = true;
    if (flag) {
        if (!yg_mp_eat(p, '('))
            return false;
    } else if (yg_mp_word(p, "rollup")) {
        good = yg_mp_eat(p, '(') && take_rollup(p, m);
    } else if (yg_mp_word(p, "fill")) {
        good = yg_mp_eat(p, '(') && take_fill(p, m);
    } else {
        return yg_mp_fail(p, p->pos);
    }
    yg_mp_blank(p);
    return good && yg_mp_eat(p, ')');
}

static bool take_modifiers(struct yg_mparser *p, struct yg_mmods *m) {
    while (yg_mp_peek(p) == '.') {
        p->pos++;
        if (!take_modifier(p, m))
            return false;
    }
    return true;
}

// Modifiers behind a call or a bracket act on its series: an inner one of the same kind is kept.
static void hand_down(struct yg_mnode *n, const struct yg_mmods *m) {
    if (n->kind == YG_MN_SERIES) {
        struct yg_mmods *own = &n->mods;
        if (!own->as_count && !own->as_rate) {
            own->as_count = m->as_count;
            own->as_rate = m->as_rate;
        }
        own->weighted |= m->weighted;
        if (m->rollup && !own->rollup) {
            own->rollup = true;
            own->method = m->method;
            own->rollup_s = m->rollup_s;
            own->calendar = m->calendar;
            own->calendar_zone = m->calendar_zone;
        }
        if (m->fill_set && !own->fill_set) {
            own->fill_set = true;
            own->fill = m->fill;
            own->fill_limit_s = m->fill_limit_s;
        }
    }
    for (uint32_t i = 0; i < n->arg_count; i++) // depth: bounded by the parser's own
        hand_down(n->args[i], m);
}

static bool outer_modifiers(struct yg_mparser *p, struct yg_mnode *n) {
    if (yg_mp_peek(p) != '.')
        return true;
    struct yg_mmods m = {0};
    if (!take_modifiers(p, &m))
        return false;
    hand_down(n, &m);
    return true;
}

// ------------------------------------------------------------ series

static bool known_aggregator(struct yg_mnode *n, yg_str word) {
    static const struct {
        const char *name;
        enum yg_space_agg aggr;
    } rows[] = {{"avg", YG_SPACE_AVG},     {"sum", YG_SPACE_SUM},
                {"min", YG_SPACE_MIN},     {"max", YG_SPACE_MAX},
                {"count", YG_SPACE_COUNT}, {"histogram", YG_SPACE_HISTOGRAM}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (yg_str_eq_c(word, rows[i].name)) {
            n->aggr = rows[i].aggr;
            return true;
        }
    double pct;
    if (word.len < 2 || word.ptr[0] != 'p' || !is_digit(word.ptr[1]) ||
        !yg_str_to_f64(yg_str_sub(word, 1, SIZE_MAX), &pct) || pct > 100)
        return false;
    n->aggr = YG_SPACE_PERCENTILE;
    n->q = pct / 100;
    return true;
}

static bool is_key(char c) {
    return c != 0 && !is_blank(c) && c != ',' && c != '{' && c != '}' && c != '(' && c != ')';
}

static bool take_keys(struct yg_mparser *p, struct yg_mnode *n) {
    size_t before = p->pos;
    yg_mp_blank(p);
    if (!yg_mp_word(p, "by")) {
        p->pos = before;
        return true;
    }
    yg_mp_blank(p);
    if (!yg_mp_eat(p, '{'))
        return false;
    n->keys = YG_NEW_N(p->arena, yg_str, YG_MQ_KEYS_MAX);
    if (n->keys == NULL) {
        p->no_memory = true;
        return false;
    }
    do {
        yg_mp_blank(p);
        size_t start = p->pos;
        while (is_key(yg_mp_peek(p)))
            p->pos++;
        if (p->pos == start || n->key_count == YG_MQ_KEYS_MAX)
            return yg_mp_fail(p, p->pos);
        yg_str key = yg_tag_normalize(yg_str_sub(p->in, start, p->pos - start), p->arena);
        if (key.len == 0)
            return yg_mp_fail(p, start);
        n->keys[n->key_count++] = key;
        yg_mp_blank(p);
    } while (yg_mp_peek(p) == ',' && yg_mp_eat(p, ','));
    return yg_mp_eat(p, '}');
}

static struct yg_mnode *series(struct yg_mparser *p, yg_str first, size_t start) {
    struct yg_mnode *n = new_node(p, YG_MN_SERIES);
    if (n == NULL)
        return NULL;
    n->metric = first;
    if (yg_mp_peek(p) == ':') {
        if (!known_aggregator(n, first)) {
            unknown_word(p, start);
            return NULL;
        }
        p->pos++;
        n->has_aggr = true;
        n->aggr_text = first;
        n->metric = take_name(p);
        if (n->metric.len == 0) {
            (void)yg_mp_fail(p, p->pos);
            return NULL;
        }
    }
    if (!yg_mp_eat(p, '{'))
        return NULL;
    size_t scope = p->pos;
    if (!yg_mp_scope(p, &n->scope))
        return NULL;
    n->scope_text = yg_str_trim(yg_str_sub(p->in, scope, p->pos - scope));
    if (!yg_mp_eat(p, '}') || !take_keys(p, n) || !take_modifiers(p, &n->mods))
        return NULL;
    n->text = yg_str_sub(p->in, start, p->pos - start);
    return n;
}

// ------------------------------------------------------------ calls

static struct yg_mnode *number_arg(struct yg_mparser *p) {
    size_t start = p->pos;
    if (yg_mp_peek(p) == '-')
        p->pos++;
    while (is_digit(yg_mp_peek(p)) || yg_mp_peek(p) == '.')
        p->pos++;
    struct yg_mnode *n = new_node(p, YG_MN_NUMBER);
    if (n == NULL)
        return NULL;
    n->text = yg_str_sub(p->in, start, p->pos - start);
    if (!yg_str_to_f64(n->text, &n->number)) {
        (void)yg_mp_fail(p, p->pos);
        return NULL;
    }
    return n;
}

static struct yg_mnode *string_arg(struct yg_mparser *p) {
    struct yg_mnode *n = new_node(p, YG_MN_STRING);
    return n != NULL && take_string(p, &n->text) ? n : NULL;
}

// name = 'text' or name = number; NULL without moving when it is none.
static struct yg_mnode *keyword_arg(struct yg_mparser *p) {
    size_t start = p->pos;
    while (is_letter(yg_mp_peek(p)) || yg_mp_peek(p) == '_' ||
           (p->pos > start && is_digit(yg_mp_peek(p))))
        p->pos++;
    yg_str keyword = yg_str_sub(p->in, start, p->pos - start);
    yg_mp_blank(p);
    if (keyword.len == 0 || yg_mp_peek(p) != '=') {
        p->pos = start;
        return NULL;
    }
    p->pos++;
    yg_mp_blank(p);
    char c = yg_mp_peek(p);
    struct yg_mnode *n = c == '\'' || c == '"' ? string_arg(p) : number_arg(p);
    if (n != NULL)
        n->keyword = keyword;
    return n;
}

static struct yg_mnode *arg(struct yg_mparser *p) {
    char c = yg_mp_peek(p);
    if (c == '\'' || c == '"')
        return string_arg(p);
    size_t start = p->pos;
    struct yg_mnode *n = keyword_arg(p);
    if (n != NULL || p->pos != start)
        return n;
    return expr(p);
}

static struct yg_mnode *call(struct yg_mparser *p, const struct yg_mfn *fn, size_t start) {
    struct yg_mnode *n = new_node(p, YG_MN_CALL);
    if (n == NULL)
        return NULL;
    n->fn = fn;
    n->args = YG_NEW_N(p->arena, struct yg_mnode *, fn->args_max);
    if (n->args == NULL) {
        p->no_memory = true;
        return NULL;
    }
    p->pos++; // '('
    do {
        yg_mp_blank(p);
        if (n->arg_count == fn->args_max) {
            (void)yg_mp_fail(p, p->pos);
            return NULL;
        }
        struct yg_mnode *a = n->arg_count == 0 ? expr(p) : arg(p);
        if (a == NULL)
            return NULL;
        n->args[n->arg_count++] = a;
        yg_mp_blank(p);
    } while (yg_mp_peek(p) == ',' && yg_mp_eat(p, ','));
    if (n->arg_count < fn->args_min && yg_mp_peek(p) == ')') {
        (void)yg_mp_fail(p, p->pos);
        return NULL;
    }
    if (!yg_mp_eat(p, ')') || !outer_modifiers(p, n))
        return NULL;
    n->text = yg_str_sub(p->in, start, p->pos - start);
    return n;
}

// ------------------------------------------------------------ expressions

static struct yg_mnode *number(struct yg_mparser *p) {
    size_t start = p->pos;
    while (is_digit(yg_mp_peek(p)))
        p->pos++;
    if (yg_mp_peek(p) == '.') {
        p->pos++;
        while (is_digit(yg_mp_peek(p)))
            p->pos++;
    }
    if (yg_mp_peek(p) == 'e' || yg_mp_peek(p) == 'E') {
        size_t mark = p->pos++;
        if (yg_mp_peek(p) == '+' || yg_mp_peek(p) == '-')
            p->pos++;
        if (!is_digit(yg_mp_peek(p)))
            p->pos = mark;
        while (is_digit(yg_mp_peek(p)))
            p->pos++;
    }
    struct yg_mnode *n = new_node(p, YG_MN_NUMBER);
    if (n == NULL)
        return NULL;
    n->text = yg_str_sub(p->in, start, p->pos - start);
    if (!yg_str_to_f64(n->text, &n->number)) {
        (void)yg_mp_fail(p, start);
        return NULL;
    }
    return n;
}

static struct yg_mnode *bracket(struct yg_mparser *p) {
    p->pos++;
    yg_mp_blank(p);
    struct yg_mnode *n = expr(p);
    if (n == NULL)
        return NULL;
    yg_mp_blank(p);
    return yg_mp_eat(p, ')') && outer_modifiers(p, n) ? n : NULL;
}

static struct yg_mnode *primary(struct yg_mparser *p) {
    char c = yg_mp_peek(p);
    if (c == '(')
        return bracket(p);
    if (is_digit(c) || (c == '.' && p->pos + 1 < p->in.len && is_digit(p->in.ptr[p->pos + 1])))
        return number(p);
    size_t start = p->pos;
    yg_str name = take_name(p);
    if (name.len == 0) {
        (void)yg_mp_fail(p, p->pos);
        return NULL;
    }
    const struct yg_mfn *fn = yg_mp_peek(p) == '(' ? yg_mfn_find(name) : NULL;
    if (fn != NULL)
        return call(p, fn, start);
    if (yg_mp_peek(p) == '(') {
        unknown_word(p, start);
        return NULL;
    }
    if (!p->formula)
        return series(p, name, start);
    if (yg_mp_peek(p) == '{' || yg_mp_peek(p) == ':') {
        (void)yg_mp_fail(p, p->pos);
        return NULL;
    }
    struct yg_mnode *n = new_node(p, YG_MN_NAME);
    if (n != NULL)
        n->text = name;
    return n;
}

static struct yg_mnode *factor(struct yg_mparser *p) {
    if (yg_mp_peek(p) != '-')
        return primary(p);
    size_t start = p->pos++;
    yg_mp_blank(p);
    struct yg_mnode *inner = primary(p), *n = inner ? new_node(p, YG_MN_NEGATE) : NULL;
    if (n == NULL)
        return NULL;
    if (inner->kind == YG_MN_NUMBER) { // −3 is a number
        inner->number = -inner->number;
        inner->text = yg_str_sub(p->in, start, p->pos - start);
        return inner;
    }
    n->args = YG_NEW_N(p->arena, struct yg_mnode *, 1);
    if (n->args == NULL) {
        p->no_memory = true;
        return NULL;
    }
    n->args[0] = inner;
    n->arg_count = 1;
    n->text = yg_str_sub(p->in, start, p->pos - start);
    return n;
}

static struct yg_mnode *binary(struct yg_mparser *p, char op, struct yg_mnode *left,
                               struct yg_mnode *right, size_t start) {
    struct yg_mnode *n = right ? new_node(p, YG_MN_BINARY) : NULL;
    if (n == NULL)
        return NULL;
    n->args = YG_NEW_N(p->arena, struct yg_mnode *, 2);
    if (n->args == NULL) {
        p->no_memory = true;
        return NULL;
    }
    n->op = op;
    n->args[0] = left;
    n->args[1] = right;
    n->arg_count = 2;
    n->text = yg_str_sub(p->in, start, p->pos - start);
    return n;
}

static struct yg_mnode *chain(struct yg_mparser *p, const char *ops,
                              struct yg_mnode *(*next)(struct yg_mparser *)) {
    size_t start = p->pos;
    struct yg_mnode *left = next(p);
    for (uint32_t links = 0; left != NULL; links++) {
        size_t before = p->pos;
        yg_mp_blank(p);
        char op = yg_mp_peek(p);
        if (op == 0 || strchr(ops, op) == NULL) {
            (void)yg_mp_fail(p, p->pos);
            p->pos = before;
            return left;
        }
        if (links >= YG_MQ_DEPTH_MAX) { // the tree grows by one level per link
            (void)yg_mp_fail(p, p->pos);
            return NULL;
        }
        p->pos++;
        yg_mp_blank(p);
        left = binary(p, op, left, next(p), start);
    }
    return NULL;
}

static struct yg_mnode *term(struct yg_mparser *p) {
    return chain(p, "*/", factor);
}

static struct yg_mnode *expr(struct yg_mparser *p) {
    if (++p->depth > YG_MQ_DEPTH_MAX) {
        (void)yg_mp_fail(p, p->pos);
        return NULL;
    }
    struct yg_mnode *n = chain(p, "+-", term);
    p->depth--;
    return n;
}

// ------------------------------------------------------------ the whole

static yg_rc refuse(const struct yg_mparser *p, struct yg_err *err) {
    if (p->no_memory)
        return yg_mq_no_memory(err);
    if (p->mixed)
        return yg_fail(err, YG_EINPUT, "'AND' and 'OR' cannot be mixed with ','");
    uint32_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < p->far && i < p->in.len; i++)
        if (p->in.ptr[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    yg_str next = yg_str_sub(p->in, p->far, 20);
    while (next.len > 0 && p->far + next.len < p->in.len &&
           (p->in.ptr[p->far + next.len] & 0xc0) == 0x80)
        next.len--; // no half character
    return yg_fail(err, YG_EINPUT,
                   "Rule 'scope_expr' didn't match at '%.*s' (line %u, column %zu).",
                   YG_STR_FMT(next), line, p->far - line_start + 1);
}

yg_rc yg_metric_parse(yg_str text, struct yg_arena *arena, struct yg_metric_query **ret_query,
                      struct yg_err *err) {
    struct yg_mparser p = {.in = text, .arena = arena};
    struct yg_metric_query *q = YG_NEW(arena, struct yg_metric_query);
    if (q == NULL)
        return yg_mq_no_memory(err);
    q->text = text;
    q->parts = YG_NEW_N(arena, struct yg_mnode *, YG_MQ_PARTS_MAX);
    if (q->parts == NULL)
        return yg_mq_no_memory(err);
    do {
        yg_mp_blank(&p);
        struct yg_mnode *n = q->count < YG_MQ_PARTS_MAX ? expr(&p) : NULL;
        if (n == NULL)
            return refuse(&p, err);
        q->parts[q->count++] = n;
        yg_mp_blank(&p);
    } while (yg_mp_peek(&p) == ',' && yg_mp_eat(&p, ','));
    if (p.pos < text.len) {
        (void)yg_mp_fail(&p, p.pos);
        return refuse(&p, err);
    }
    q->as_count = p.as_count;
    *ret_query = q;
    return YG_OK;
}

yg_rc yg_mp_formula(yg_str text, struct yg_arena *arena, struct yg_mnode **ret_node,
                    struct yg_err *err) {
    struct yg_mparser p = {.in = text, .arena = arena, .formula = true};
    yg_mp_blank(&p);
    struct yg_mnode *n = expr(&p);
    if (n != NULL)
        yg_mp_blank(&p);
    if (n == NULL || p.pos < text.len) {
        (void)yg_mp_fail(&p, p.pos);
        return refuse(&p, err);
    }
    *ret_node = n;
    return YG_OK;
}

yg_rc yg_metric_scope_parse(yg_str text, struct yg_arena *arena, const struct yg_node **ret_scope,
                            struct yg_err *err) {
    struct yg_mparser p = {.in = text, .arena = arena};
    if (!yg_mp_scope(&p, ret_scope))
        return refuse(&p, err);
    if (p.pos < text.len) {
        (void)yg_mp_fail(&p, p.pos);
        return refuse(&p, err);
    }
    return YG_OK;
}

uint32_t yg_metric_query_count(const struct yg_metric_query *q) {
    return q->count;
}
bool yg_metric_query_as_count(const struct yg_metric_query *q) {
    return q->as_count;
}

const struct yg_mnode *yg_mnode_first(const struct yg_mnode *n, enum yg_mnode_kind kind,
                                      uint32_t depth) {
    if (n->kind == kind)
        return n;
    for (uint32_t i = 0; i < n->arg_count && depth < 2 * YG_MQ_DEPTH_MAX; i++) {
        const struct yg_mnode *found = yg_mnode_first(n->args[i], kind, depth + 1);
        if (found != NULL)
            return found;
    }
    return NULL;
}

uint32_t yg_metric_query_keys(const struct yg_metric_query *q, uint32_t idx,
                              const yg_str **ret_keys) {
    const struct yg_mnode *s =
        idx < q->count ? yg_mnode_first(q->parts[idx], YG_MN_SERIES, 0) : NULL;
    *ret_keys = s ? s->keys : NULL;
    return s ? s->key_count : 0;
}

void yg_metric_error_text(yg_str query, const struct yg_err *err, struct yg_buf *out) {
    yg_str text = yg_str_c(err->text);
    if (yg_str_starts(text, YG_STR("Rule ")))
        yg_buf_printf(out, "Error parsing query: \n unable to parse %.*s: %s", YG_STR_FMT(query),
                      err->text);
    else
        yg_buf_printf(out, "Error parsing query: %s", err->text);
}

yg_rc yg_mq_no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "the memory of one query is used up");
}
