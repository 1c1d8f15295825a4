// SPDX-License-Identifier: Apache-2.0
// The search language: text → tree. A recursive-descent reader over bytes; columns in errors count
// characters.
//
// Reading order: parse_or → parse_and → parse_unary → parse_atom → parse_field/parse_value.
// Wider than the recorded grammar where that is harmless: ':' may stand unescaped inside a value,
// ranges and comparisons may stand inside a value group, a blank may follow a comparison sign.
// Source: DataDog/documentation content/en/logs/explorer/search_syntax.md.
#include "filter/internal.h"

#include "base/utf8.h"

#define SEARCH_BYTES_MAX 32768u
#define SEARCH_NODES_MAX 10000u
#define SEARCH_DEPTH_MAX 100u

struct parser {
    yg_str in;
    size_t pos;
    const struct yg_search_options *options;
    struct yg_arena *arena;
    struct yg_err *err;
    char *out; // unescaped words: never longer than what was read
    uint32_t nodes;
    uint32_t depth;
};

// A run of characters with its escapes undone.
struct word {
    yg_str text;
    bool wild;    // holds '*' or '?'
    bool quoted;  // came in quotes
    bool escaped; // holds an escape: never an operator
    size_t at;
};

static yg_rc fail_at(struct parser *p, size_t at, const char *what) {
    size_t column = 1;
    for (size_t i = 0; i < at && i < p->in.len; column++)
        (void)yg_utf8_next(p->in, &i);
    return yg_fail(p->err, YG_EINPUT, "%s (column %zu)", what, column);
}

static bool at_end(const struct parser *p) {
    return p->pos >= p->in.len;
}
static char peek(const struct parser *p) {
    return at_end(p) ? '\0' : p->in.ptr[p->pos];
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool skip_blanks(struct parser *p) {
    size_t from = p->pos;
    for (;;) {
        if (!at_end(p) && is_blank(peek(p)))
            p->pos++;
        else if (yg_str_starts(yg_str_sub(p->in, p->pos, 3), YG_STR("\xe3\x80\x80"))) // ideographic
            p->pos += 3;
        else
            break;
    }
    return p->pos > from;
}

static struct yg_node *new_node(struct parser *p, enum yg_node_kind kind) {
    struct yg_node *n = NULL;
    if (p->nodes < SEARCH_NODES_MAX)
        n = YG_NEW(p->arena, struct yg_node);
    if (n == NULL) {
        if (p->nodes < SEARCH_NODES_MAX)
            (void)yg_fail(p->err, YG_ENOMEM, "no memory for a search of %zu bytes", p->in.len);
        else
            (void)yg_fail(p->err, YG_EINPUT, "a search may have at most %u conditions",
                          SEARCH_NODES_MAX);
        return NULL;
    }
    p->nodes++;
    n->kind = kind;
    return n;
}

// The failure that new_node noted.
static yg_rc node_failed(const struct parser *p) {
    return p->err && p->err->rc != YG_OK ? p->err->rc : YG_EINPUT;
}

static yg_rc enter(struct parser *p) {
    if (++p->depth > SEARCH_DEPTH_MAX)
        return fail_at(p, p->pos, "brackets are nested too deeply");
    return YG_OK;
}

// ------------------------------------------------------------ words

// True when operator `op` stands here as a word of its own.
static bool at_operator(const struct parser *p, const char *op) {
    yg_str rest = yg_str_sub(p->in, p->pos, p->in.len);
    size_t len = strlen(op);
    if (!yg_str_starts(rest, yg_str_c(op)))
        return false;
    if (rest.len == len)
        return true;
    char next = rest.ptr[len];
    return is_blank(next) || next == '(' || next == ')' ||
           yg_str_starts(yg_str_sub(rest, len, 3), YG_STR("\xe3\x80\x80"));
}

static bool ends_word(const struct parser *p, const char *stops) {
    char c = peek(p);
    if (is_blank(c) || strchr(stops, c) != NULL)
        return true;
    return yg_str_starts(yg_str_sub(p->in, p->pos, 3), YG_STR("\xe3\x80\x80"));
}

// Reads up to a blank or one of `stops`, undoing escapes.
static yg_rc read_word(struct parser *p, const char *stops, struct word *ret_word) {
    struct word w = {.at = p->pos};
    char *out = p->out + p->pos;
    size_t len = 0;
    while (!at_end(p) && !ends_word(p, stops)) {
        char c = peek(p);
        bool escaped = c == '\\';
        if (escaped) {
            if (p->pos + 1 >= p->in.len)
                return fail_at(p, p->pos, "an escape needs a character after it");
            c = p->in.ptr[++p->pos];
            w.escaped = true;
        }
        if (c == YG_WILD_RUN || c == YG_WILD_ONE)
            return fail_at(p, p->pos, "a control character cannot be searched for");
        if (!escaped && (c == '*' || c == '?')) {
            w.wild = true;
            c = c == '*' ? YG_WILD_RUN : YG_WILD_ONE;
        }
        out[len++] = c;
        p->pos++;
    }
    w.text = (yg_str){out, len};
    *ret_word = w;
    return YG_OK;
}

// "…" with \ before any character; the opening quote stands at pos.
static yg_rc read_phrase(struct parser *p, struct word *ret_word) {
    struct word w = {.at = p->pos, .quoted = true};
    char *out = p->out + p->pos;
    size_t len = 0;
    for (p->pos++; !at_end(p); p->pos++) {
        char c = peek(p);
        if (c == '"') {
            p->pos++;
            w.text = (yg_str){out, len};
            *ret_word = w;
            return YG_OK;
        }
        if (c == '\\' && p->pos + 1 < p->in.len)
            c = p->in.ptr[++p->pos];
        if (c == YG_WILD_RUN || c == YG_WILD_ONE) // as in a word: it has no text of its own
            return fail_at(p, p->pos, "a control character cannot be searched for");
        out[len++] = c;
    }
    return fail_at(p, w.at, "this quote is not closed");
}

static bool only_stars(yg_str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != YG_WILD_RUN)
            return false;
    return s.len > 0;
}

// ------------------------------------------------------------ values of a field

static yg_rc parse_value(struct parser *p, const struct yg_field *field, struct yg_node **ret_node);
static yg_rc parse_group(struct parser *p, const struct yg_field *field, struct yg_node **ret_node);

static yg_rc node_for_field(struct parser *p, enum yg_node_kind kind, const struct yg_field *field,
                            struct yg_node **ret_node) {
    struct yg_node *n = new_node(p, kind);
    if (n == NULL)
        return node_failed(p);
    n->field = *field;
    *ret_node = n;
    return YG_OK;
}

static yg_rc add_child(struct parser *p, struct yg_node *parent, struct yg_node *child) {
    uint32_t cap = parent->child_count; // grows at powers of two
    if ((cap & (cap - 1)) == 0) {
        uint32_t new_cap = cap ? cap * 2 : 2;
        struct yg_node **children = YG_NEW_N(p->arena, struct yg_node *, new_cap);
        if (children == NULL)
            return yg_fail(p->err, YG_ENOMEM, "no memory for a search of %zu bytes", p->in.len);
        if (cap > 0)
            memcpy(children, parent->children, sizeof(struct yg_node *) * cap);
        parent->children = children;
    }
    parent->children[parent->child_count++] = child;
    return YG_OK;
}

// Makes left a `kind` node that takes more children.
static yg_rc join(struct parser *p, enum yg_node_kind kind, struct yg_node **left_inout,
                  bool *owned_inout, struct yg_node *right) {
    if (!*owned_inout) {
        struct yg_node *n = new_node(p, kind);
        if (n == NULL)
            return node_failed(p);
        YG_TRY(add_child(p, n, *left_inout));
        *left_inout = n;
        *owned_inout = true;
    }
    return add_child(p, *left_inout, right);
}

static yg_rc negate(struct parser *p, struct yg_node *child, struct yg_node **ret_node) {
    struct yg_node *n = new_node(p, YG_NODE_NOT);
    if (n == NULL)
        return node_failed(p);
    YG_TRY(add_child(p, n, child));
    *ret_node = n;
    return YG_OK;
}

// Number with an optional unit of time, which makes it nanoseconds.
static bool parse_number(yg_str s, double *ret_value) {
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3},
                 {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},        {"h", 3600e9}};
    if (yg_str_to_f64(s, ret_value))
        return true;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        yg_str unit = yg_str_c(units[i].unit);
        double v;
        if (yg_str_ends(s, unit) && yg_str_to_f64(yg_str_sub(s, 0, s.len - unit.len), &v)) {
            *ret_value = v * units[i].ns;
            return true;
        }
    }
    return false;
}

static yg_rc parse_compare(struct parser *p, const struct yg_field *field,
                           struct yg_node **ret_node) {
    bool greater = peek(p) == '>';
    p->pos++;
    bool equal = peek(p) == '=';
    p->pos += equal;
    skip_blanks(p);
    struct word w;
    YG_TRY(read_word(p, "()\"", &w));
    double v;
    if (w.wild || !parse_number(w.text, &v))
        return fail_at(p, w.at, "a number is expected after a comparison");
    struct yg_node *n = NULL;
    YG_TRY(node_for_field(p, YG_NODE_RANGE, field, &n));
    if (greater) {
        n->has_lo = n->lo_numeric = true;
        n->lo_open = !equal;
        n->lo_f64 = v;
        n->lo_text = w.text;
    } else {
        n->has_hi = n->hi_numeric = true;
        n->hi_open = !equal;
        n->hi_f64 = v;
        n->hi_text = w.text;
    }
    *ret_node = n;
    return YG_OK;
}

static yg_rc read_bound(struct parser *p, size_t open_at, struct word *ret_word) {
    skip_blanks(p);
    if (at_end(p))
        return fail_at(p, open_at, "this range is not closed");
    if (peek(p) == '"')
        return read_phrase(p, ret_word);
    size_t at = p->pos;
    YG_TRY(read_word(p, "]}\"", ret_word));
    if (ret_word->text.len == 0)
        return fail_at(p, at, "a range needs a bound here");
    if (ret_word->wild && !(ret_word->text.len == 1 && ret_word->text.ptr[0] == YG_WILD_RUN))
        return fail_at(p, at, "a bound of a range is a value or * alone");
    return YG_OK;
}

static yg_rc parse_range(struct parser *p, const struct yg_field *field,
                         struct yg_node **ret_node) {
    size_t open_at = p->pos;
    bool lo_open = peek(p) == '{';
    struct word lo, hi;
    p->pos++;
    YG_TRY(read_bound(p, open_at, &lo));
    skip_blanks(p);
    if (at_end(p))
        return fail_at(p, open_at, "this range is not closed");
    if (!at_operator(p, "TO"))
        return fail_at(p, p->pos, "TO is expected between the bounds of a range");
    p->pos += 2;
    YG_TRY(read_bound(p, open_at, &hi));
    skip_blanks(p);
    if (peek(p) != ']' && peek(p) != '}')
        return fail_at(p, at_end(p) ? open_at : p->pos,
                       at_end(p) ? "this range is not closed" : "] or } is expected here");
    struct yg_node *n = NULL;
    YG_TRY(node_for_field(p, YG_NODE_RANGE, field, &n));
    n->has_lo = !lo.wild;
    n->has_hi = !hi.wild;
    n->lo_open = lo_open;
    n->hi_open = peek(p) == '}';
    p->pos++;
    n->lo_text = n->has_lo ? lo.text : (yg_str){0};
    n->hi_text = n->has_hi ? hi.text : (yg_str){0};
    n->lo_numeric = n->has_lo && parse_number(lo.text, &n->lo_f64);
    n->hi_numeric = n->has_hi && parse_number(hi.text, &n->hi_f64);
    if (!n->has_lo && !n->has_hi)
        n->kind = YG_NODE_EXISTS;
    *ret_node = n;
    return YG_OK;
}

static yg_rc value_node(struct parser *p, const struct yg_field *field, const struct word *w,
                        struct yg_node **ret_node) {
    enum yg_node_kind kind = YG_NODE_TERM;
    if (w->wild)
        kind = only_stars(w->text) ? YG_NODE_EXISTS : YG_NODE_GLOB;
    YG_TRY(node_for_field(p, kind, field, ret_node));
    if (kind != YG_NODE_EXISTS)
        (*ret_node)->text = w->text;
    (*ret_node)->wild = kind == YG_NODE_GLOB;
    return YG_OK;
}

// What stands after "field:".
// ~"expression": only \" is an escape of the search, all others are the expression's.
static yg_rc parse_regex(struct parser *p, const struct yg_field *field,
                         struct yg_node **ret_node) {
    size_t open_at = ++p->pos;
    char *out = p->out + p->pos;
    size_t len = 0;
    for (p->pos++; !at_end(p) && peek(p) != '"'; p->pos++) {
        if (peek(p) == '\\' && p->pos + 1 < p->in.len) {
            if (p->in.ptr[p->pos + 1] != '"')
                out[len++] = '\\';
            p->pos++;
        }
        out[len++] = peek(p);
    }
    if (at_end(p))
        return fail_at(p, open_at, "this quote is not closed");
    p->pos++;
    if (len == 0)
        return fail_at(p, open_at, "an empty expression finds nothing");
    YG_TRY(node_for_field(p, YG_NODE_REGEX, field, ret_node));
    (*ret_node)->text = (yg_str){out, len};
    struct yg_regex *regex;
    struct yg_err why;
    yg_rc rc = yg_regex_compile((*ret_node)->text, p->arena, &regex, &why); // to refuse it here
    return rc == YG_OK       ? rc
           : rc == YG_ENOMEM ? yg_fail(p->err, rc, "%s", why.text)
                             : fail_at(p, open_at + 1, why.text);
}

static yg_rc parse_value(struct parser *p, const struct yg_field *field,
                         struct yg_node **ret_node) {
    char c = peek(p);
    if (c == '~' && p->pos + 1 < p->in.len && p->in.ptr[p->pos + 1] == '"')
        return parse_regex(p, field, ret_node);
    if (c == '(') {
        YG_TRY(enter(p));
        yg_rc rc = parse_group(p, field, ret_node);
        p->depth--;
        return rc;
    }
    if (c == '[' || c == '{')
        return parse_range(p, field, ret_node);
    if (c == '>' || c == '<')
        return parse_compare(p, field, ret_node);
    struct word w;
    size_t at = p->pos;
    if (c == '"')
        YG_TRY(read_phrase(p, &w));
    else
        YG_TRY(read_word(p, "()\"", &w));
    if (!w.quoted && w.text.len == 0)
        return fail_at(p, at, "a value is expected here");
    if (!w.quoted && peek(p) == '"')
        return fail_at(p, p->pos, "a quote inside a word is written \\\"");
    return value_node(p, field, &w, ret_node);
}

static yg_rc parse_group_term(struct parser *p, const struct yg_field *field,
                              struct yg_node **ret_node) {
    bool minus = peek(p) == '-' && p->pos + 1 < p->in.len && !is_blank(p->in.ptr[p->pos + 1]) &&
                 p->in.ptr[p->pos + 1] != ')';
    if (minus || at_operator(p, "NOT")) {
        p->pos += minus ? 1 : 3;
        skip_blanks(p);
        struct yg_node *child = NULL;
        YG_TRY(enter(p));
        YG_TRY(parse_group_term(p, field, &child));
        p->depth--;
        return negate(p, child, ret_node);
    }
    if (at_end(p))
        return fail_at(p, p->pos, "a value is expected before the end");
    if (peek(p) == ')' || at_operator(p, "AND") || at_operator(p, "OR"))
        return fail_at(p, p->pos, "a value is expected here");
    return parse_value(p, field, ret_node);
}

static yg_rc parse_group_and(struct parser *p, const struct yg_field *field,
                             struct yg_node **ret_node) {
    bool owned = false;
    YG_TRY(parse_group_term(p, field, ret_node));
    for (;;) {
        skip_blanks(p);
        if (at_end(p) || peek(p) == ')' || at_operator(p, "OR"))
            return YG_OK;
        if (at_operator(p, "AND")) {
            p->pos += 3;
            skip_blanks(p);
        }
        struct yg_node *right = NULL;
        YG_TRY(parse_group_term(p, field, &right));
        YG_TRY(join(p, YG_NODE_AND, ret_node, &owned, right));
    }
}

// "(a OR b)" after a field: the opening bracket stands at pos.
static yg_rc parse_group(struct parser *p, const struct yg_field *field,
                         struct yg_node **ret_node) {
    size_t open_at = p->pos++;
    bool owned = false;
    skip_blanks(p);
    YG_TRY(parse_group_and(p, field, ret_node));
    while (at_operator(p, "OR")) {
        p->pos += 2;
        skip_blanks(p);
        struct yg_node *right = NULL;
        YG_TRY(parse_group_and(p, field, &right));
        YG_TRY(join(p, YG_NODE_OR, ret_node, &owned, right));
    }
    if (peek(p) != ')')
        return fail_at(p, open_at, "this bracket is not closed");
    p->pos++;
    return YG_OK;
}

// ------------------------------------------------------------ terms

static yg_rc field_at(struct parser *p, const struct word *w, struct yg_field *ret_field) {
    struct yg_err local = {0};
    yg_rc rc = yg_field_parse(w->text, p->options->track, p->arena, ret_field, &local);
    if (rc == YG_EINPUT)
        return fail_at(p, w->at, local.text);
    return rc == YG_OK ? YG_OK : yg_fail(p->err, rc, "%s", local.text);
}

static yg_rc parse_cidr(struct parser *p, struct yg_node **ret_node) {
    struct word w;
    struct yg_field field;
    p->pos++; // '('
    skip_blanks(p);
    YG_TRY(read_word(p, ",()\"", &w));
    if (w.text.len == 0 || w.wild)
        return fail_at(p, w.at, "CIDR needs the name of a field");
    YG_TRY(field_at(p, &w, &field));
    struct yg_node *n = NULL;
    YG_TRY(node_for_field(p, YG_NODE_CIDR, &field, &n));
    uint32_t cap = 0;
    for (;;) {
        skip_blanks(p);
        if (peek(p) == ')' && n->cidr_count > 0)
            break;
        if (peek(p) != ',')
            return fail_at(p, p->pos, "CIDR needs a comma and an address block here");
        p->pos++;
        skip_blanks(p);
        YG_TRY(read_word(p, ",()\"", &w));
        if (!YG_ARENA_GROW(p->arena, n->cidrs, n->cidr_count, cap))
            return yg_fail(p->err, YG_ENOMEM, "no memory for address blocks");
        if (!yg_cidr_parse(w.text, &n->cidrs[n->cidr_count]))
            return fail_at(p, w.at, "this is no address block such as 13.0.0.0/8 or 2001:db8::/32");
        n->cidr_count++;
    }
    p->pos++;
    *ret_node = n;
    return YG_OK;
}

static yg_rc parse_fulltext(struct parser *p, size_t at, struct yg_node **ret_node) {
    if (p->options->no_fulltext)
        return fail_at(p, at, "full-text search (*:) is not allowed here");
    struct word w;
    size_t value_at = p->pos;
    if (peek(p) == '"')
        YG_TRY(read_phrase(p, &w));
    else
        YG_TRY(read_word(p, "()\"", &w));
    if (w.text.len == 0)
        return fail_at(p, value_at, "a value is expected here");
    bool all = w.wild && only_stars(w.text);
    struct yg_node *n = new_node(p, all ? YG_NODE_ALL : YG_NODE_FULLTEXT);
    if (n == NULL)
        return node_failed(p);
    n->text = all ? (yg_str){0} : w.text;
    n->wild = !all && w.wild;
    *ret_node = n;
    return YG_OK;
}

// "_exists_:name" and "_missing_:name".
static yg_rc parse_existence(struct parser *p, bool missing, struct yg_node **ret_node) {
    struct word w;
    YG_TRY(read_word(p, "()\"", &w));
    if (w.text.len == 0 || w.wild)
        return fail_at(p, w.at, "the name of a field is expected here");
    struct yg_field field;
    YG_TRY(field_at(p, &w, &field));
    struct yg_node *n = NULL;
    YG_TRY(node_for_field(p, YG_NODE_EXISTS, &field, &n));
    if (missing)
        return negate(p, n, ret_node);
    *ret_node = n;
    return YG_OK;
}

// The colon after `name` was read.
static yg_rc parse_field(struct parser *p, const struct word *name, struct yg_node **ret_node) {
    if (name->text.len == 0)
        return fail_at(p, name->at, "a value without the name of a field");
    skip_blanks(p);
    if (at_end(p) || peek(p) == ')' || at_operator(p, "AND") || at_operator(p, "OR"))
        return fail_at(p, p->pos, "a value is expected here");
    if (name->wild) {
        if (only_stars(name->text))
            return parse_fulltext(p, name->at, ret_node);
        return fail_at(p, name->at, "the name of a field cannot hold * or ?");
    }
    if (yg_str_eq_c(name->text, "_exists_") || yg_str_eq_c(name->text, "_missing_"))
        return parse_existence(p, name->text.ptr[1] == 'm', ret_node);
    struct yg_field field;
    YG_TRY(field_at(p, name, &field));
    return parse_value(p, &field, ret_node);
}

static yg_rc free_node(struct parser *p, const struct word *w, struct yg_node **ret_node) {
    if (w->text.len == 0)
        return fail_at(p, w->at, "an empty phrase finds nothing");
    enum yg_node_kind kind = w->quoted ? YG_NODE_PHRASE : YG_NODE_TOKEN;
    if (w->wild && only_stars(w->text))
        kind = YG_NODE_ALL;
    struct yg_node *n = new_node(p, kind);
    if (n == NULL)
        return node_failed(p);
    n->text = kind == YG_NODE_ALL ? (yg_str){0} : w->text;
    n->wild = kind == YG_NODE_TOKEN && w->wild;
    *ret_node = n;
    return YG_OK;
}

static yg_rc parse_or(struct parser *p, struct yg_node **ret_node);

static yg_rc parse_bracket(struct parser *p, struct yg_node **ret_node) {
    size_t open_at = p->pos++;
    YG_TRY(enter(p));
    YG_TRY(parse_or(p, ret_node));
    p->depth--;
    if (peek(p) != ')')
        return fail_at(p, open_at, "this bracket is not closed");
    p->pos++;
    return YG_OK;
}

static yg_rc parse_atom(struct parser *p, struct yg_node **ret_node) {
    struct word w;
    if (peek(p) == '(')
        return parse_bracket(p, ret_node);
    if (peek(p) == '"') {
        YG_TRY(read_phrase(p, &w));
        return free_node(p, &w, ret_node);
    }
    YG_TRY(read_word(p, "():\"", &w));
    if (peek(p) == ':') {
        p->pos++;
        return parse_field(p, &w, ret_node);
    }
    if (peek(p) == '(' && !w.escaped && yg_str_eq_c(w.text, "CIDR"))
        return parse_cidr(p, ret_node);
    if (peek(p) == '"')
        return fail_at(p, p->pos, "a quote inside a word is written \\\"");
    return free_node(p, &w, ret_node);
}

static yg_rc parse_unary(struct parser *p, struct yg_node **ret_node) {
    skip_blanks(p);
    if (at_end(p))
        return fail_at(p, p->pos, "a term is expected before the end");
    if (peek(p) == ')')
        return fail_at(p, p->pos, "a term is expected before this bracket");
    if (at_operator(p, "AND") || at_operator(p, "OR"))
        return fail_at(p, p->pos, "a term is expected before this operator");
    char after = p->pos + 1 < p->in.len ? p->in.ptr[p->pos + 1] : ' ';
    bool minus = peek(p) == '-' && !is_blank(after) && after != ')';
    if (minus || at_operator(p, "NOT")) {
        p->pos += minus ? 1 : 3;
        struct yg_node *child = NULL;
        YG_TRY(enter(p));
        YG_TRY(parse_unary(p, &child));
        p->depth--;
        return negate(p, child, ret_node);
    }
    return parse_atom(p, ret_node);
}

static yg_rc parse_and(struct parser *p, struct yg_node **ret_node) {
    bool owned = false;
    YG_TRY(parse_unary(p, ret_node));
    for (;;) {
        skip_blanks(p);
        if (at_end(p) || peek(p) == ')' || at_operator(p, "OR"))
            return YG_OK;
        if (at_operator(p, "AND"))
            p->pos += 3;
        struct yg_node *right = NULL;
        YG_TRY(parse_unary(p, &right));
        YG_TRY(join(p, YG_NODE_AND, ret_node, &owned, right));
    }
}

static yg_rc parse_or(struct parser *p, struct yg_node **ret_node) {
    bool owned = false;
    YG_TRY(parse_and(p, ret_node));
    while (at_operator(p, "OR")) {
        p->pos += 2;
        struct yg_node *right = NULL;
        YG_TRY(parse_and(p, &right));
        YG_TRY(join(p, YG_NODE_OR, ret_node, &owned, right));
    }
    return YG_OK;
}

yg_rc yg_search_parse(yg_str text, const struct yg_search_options *options, struct yg_arena *arena,
                      struct yg_node **ret_tree, struct yg_err *err) {
    struct yg_err local = {0}; // new_node reads it back
    struct parser p = {.in = text, .options = options, .arena = arena, .err = err ? err : &local};
    p.err->rc = YG_OK;
    if (text.len > SEARCH_BYTES_MAX)
        return yg_fail(err, YG_EINPUT, "a search may be at most %u bytes long (column %u)",
                       SEARCH_BYTES_MAX, SEARCH_BYTES_MAX + 1);
    p.out = YG_NEW_N(arena, char, text.len + 1);
    if (p.out == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a search of %zu bytes", text.len);
    skip_blanks(&p);
    if (at_end(&p)) {
        *ret_tree = new_node(&p, YG_NODE_ALL);
        return *ret_tree ? YG_OK : node_failed(&p);
    }
    struct yg_node *tree = NULL;
    YG_TRY(parse_or(&p, &tree));
    if (!at_end(&p))
        return fail_at(&p, p.pos, "this bracket was never opened");
    *ret_tree = tree;
    return YG_OK;
}
