// SPDX-License-Identifier: Apache-2.0
// "{…}" of a metric query: a comma list with '!', or AND/OR/NOT/IN; the two styles may not be
// mixed. Source: DataDog/documentation content/en/metrics/advanced-filtering.md

#include "query/metric_int.h"

#define LIST_MAX 256u
#define SCOPE_DEPTH_MAX 32u

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static bool is_value(char c) {
    return c != 0 && !is_blank(c) && c != ',' && c != ')' && c != '}';
}

static bool no_memory(struct yg_mparser *p) {
    p->no_memory = true;
    return false;
}

static struct yg_node *new_node(struct yg_mparser *p, enum yg_node_kind kind) {
    struct yg_node *n = YG_NEW(p->arena, struct yg_node);
    if (n == NULL)
        p->no_memory = true;
    else
        n->kind = kind;
    return n;
}

// ------------------------------------------------------------ matchers

// As tags are stored: lower case, what is no letter, digit or _-:./ becomes '_'; '*' becomes a
// wildcard.
static yg_str wild_text(struct yg_mparser *p, yg_str s) {
    char *out = yg_arena_alloc(p->arena, s.len + 1);
    if (out == NULL) {
        p->no_memory = true;
        return (yg_str){0};
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0 ||
                    (c != 0 && strchr("_-:./", c) != NULL);
        out[i] = c == '*' ? '\x01' : kept ? c : '_';
    }
    return yg_str_n(out, s.len);
}

static bool leaf(struct yg_mparser *p, yg_str key, yg_str value, struct yg_node **ret_node) {
    bool wild = yg_str_find_char(value, '*', 0) != SIZE_MAX;
    struct yg_node *n = new_node(p, wild ? YG_NODE_GLOB : YG_NODE_TERM);
    if (n == NULL)
        return false;
    n->field.kind = YG_FIELD_TAG;
    if (wild) {
        n->field.name = key.len > 0 ? yg_tag_normalize(key, p->arena) : (yg_str){0};
        n->text = wild_text(p, value);
    } else if (key.len > 0) {
        yg_str tag = yg_arena_printf(p->arena, "%.*s:%.*s", YG_STR_FMT(key), YG_STR_FMT(value));
        tag = yg_tag_normalize(tag, p->arena);
        size_t colon = yg_str_find_char(tag, ':', 0);
        n->field.name = yg_str_sub(tag, 0, colon == SIZE_MAX ? tag.len : colon);
        n->text = colon == SIZE_MAX ? (yg_str){0} : yg_str_sub(tag, colon + 1, SIZE_MAX);
    } else {
        n->text = yg_tag_normalize(value, p->arena);
    }
    *ret_node = n;
    return !p->no_memory;
}

static bool take_value(struct yg_mparser *p, yg_str *ret) {
    size_t start = p->pos;
    while (is_value(yg_mp_peek(p)))
        p->pos++;
    if (p->pos == start)
        return yg_mp_fail(p, p->pos);
    *ret = yg_str_sub(p->in, start, p->pos - start);
    return true;
}

// key:value, key: value, a bare tag, or a template variable (which stands for everything).
static bool matcher(struct yg_mparser *p, struct yg_node **ret_node) {
    yg_str word, value;
    if (yg_mp_peek(p) == '{' || yg_mp_peek(p) == '(')
        return yg_mp_fail(p, p->pos);
    if (!take_value(p, &word))
        return false;
    if (word.ptr[0] == '$') {
        *ret_node = new_node(p, YG_NODE_ALL);
        return *ret_node != NULL;
    }
    size_t colon = yg_str_find_char(word, ':', 0);
    if (colon == SIZE_MAX)
        return leaf(p, (yg_str){0}, word, ret_node);
    yg_str key = yg_str_sub(word, 0, colon);
    value = yg_str_sub(word, colon + 1, SIZE_MAX);
    if (key.len == 0)
        return yg_mp_fail(p, p->pos - word.len);
    if (value.len == 0) {
        yg_mp_blank(p);
        if (!take_value(p, &value))
            return false;
    }
    if (value.ptr[0] == '$') { // key:$var.value
        *ret_node = new_node(p, YG_NODE_ALL);
        return *ret_node != NULL;
    }
    return leaf(p, key, value, ret_node);
}

// ------------------------------------------------------------ lists of children

struct children {
    struct yg_node *items[LIST_MAX];
    uint32_t count;
};

static bool gather(struct yg_mparser *p, enum yg_node_kind kind, struct yg_node **items,
                   uint32_t count, struct yg_node **ret_node) {
    if (count == 1) {
        *ret_node = items[0];
        return true;
    }
    struct yg_node *n = new_node(p, kind);
    if (n == NULL)
        return false;
    n->children = YG_NEW_N(p->arena, struct yg_node *, count);
    if (n->children == NULL)
        return no_memory(p);
    memcpy(n->children, items, count * sizeof(*items));
    n->child_count = count;
    *ret_node = n;
    return true;
}

static bool negate(struct yg_mparser *p, struct yg_node **node) {
    struct yg_node *n = new_node(p, YG_NODE_NOT);
    if (n == NULL)
        return false;
    n->children = YG_NEW_N(p->arena, struct yg_node *, 1);
    if (n->children == NULL)
        return no_memory(p);
    n->children[0] = *node;
    n->child_count = 1;
    *node = n;
    return true;
}

static bool add(struct yg_mparser *p, struct children *c, struct yg_node *n) {
    if (c->count == LIST_MAX)
        return yg_mp_fail(p, p->pos);
    c->items[c->count++] = n;
    return true;
}

static bool symbol_list(struct yg_mparser *p, struct yg_node **ret_node) {
    struct children c;
    c.count = 0;
    do {
        yg_mp_blank(p);
        bool not = yg_mp_peek(p) == '!';
        p->pos += not ;
        struct yg_node *n;
        if (!matcher(p, &n) || (not &&!negate(p, &n)) || !add(p, &c, n))
            return false;
        yg_mp_blank(p);
    } while (yg_mp_peek(p) == ',' && yg_mp_eat(p, ','));
    return gather(p, YG_NODE_AND, c.items, c.count, ret_node);
}

// ------------------------------------------------------------ AND, OR, NOT, IN

static bool keyword(struct yg_mparser *p, const char *upper, const char *lower) {
    size_t before = p->pos;
    if (!yg_mp_word(p, upper) && !yg_mp_word(p, lower))
        return false;
    char after = yg_mp_peek(p);
    if (after == 0 || is_blank(after) || after == '(')
        return true;
    p->pos = before; // "or:x", "in-flight"
    return false;
}

// key [NOT] IN (a, b): p stands behind the key and its blanks. False without moving when it is not
// one.
static bool in_list(struct yg_mparser *p, yg_str key, bool *ret_is_in, struct yg_node **ret_node) {
    size_t before = p->pos;
    *ret_is_in = false;
    bool not = keyword(p, "NOT", "not");
    yg_mp_blank(p);
    if (!keyword(p, "IN", "in")) {
        p->pos = before;
        return true;
    }
    *ret_is_in = true;
    yg_mp_blank(p);
    if (!yg_mp_eat(p, '('))
        return false;
    struct children c;
    c.count = 0;
    do {
        yg_mp_blank(p);
        if (yg_mp_peek(p) == '!') {
            p->mixed = true;
            return false;
        }
        yg_str value;
        struct yg_node *n;
        if (!take_value(p, &value) || !leaf(p, key, value, &n) || !add(p, &c, n))
            return false;
        yg_mp_blank(p);
    } while (yg_mp_peek(p) == ',' && yg_mp_eat(p, ','));
    if (!yg_mp_eat(p, ')') || !gather(p, YG_NODE_OR, c.items, c.count, ret_node))
        return false;
    return !not || negate(p, ret_node);
}

static bool bool_or(struct yg_mparser *p, uint32_t depth, struct yg_node **ret_node);

static bool bool_atom(struct yg_mparser *p, uint32_t depth, struct yg_node **ret_node) {
    if (yg_mp_peek(p) == '(') {
        p->pos++;
        if (!bool_or(p, depth + 1, ret_node))
            return false;
        yg_mp_blank(p);
        return yg_mp_eat(p, ')');
    }
    if (yg_mp_peek(p) == '!') {
        p->mixed = true;
        return false;
    }
    size_t start = p->pos;
    yg_str key;
    if (!take_value(p, &key))
        return false;
    if (yg_str_find_char(key, ':', 0) == SIZE_MAX) {
        yg_mp_blank(p);
        bool is_in;
        if (!in_list(p, key, &is_in, ret_node))
            return false;
        if (is_in)
            return true;
    }
    p->pos = start;
    return matcher(p, ret_node);
}

static bool bool_not(struct yg_mparser *p, uint32_t depth, struct yg_node **ret_node) {
    yg_mp_blank(p);
    bool not = keyword(p, "NOT", "not");
    yg_mp_blank(p);
    return bool_atom(p, depth, ret_node) && (!not || negate(p, ret_node));
}

static bool bool_and(struct yg_mparser *p, uint32_t depth, struct yg_node **ret_node) {
    struct yg_node *items[LIST_MAX / 8];
    uint32_t count = 0;
    do {
        if (count == LIST_MAX / 8)
            return yg_mp_fail(p, p->pos);
        if (!bool_not(p, depth, &items[count++]))
            return false;
        yg_mp_blank(p);
        p->mixed |= yg_mp_peek(p) == ',';
    } while (!p->mixed && keyword(p, "AND", "and"));
    return !p->mixed && gather(p, YG_NODE_AND, items, count, ret_node);
}

static bool bool_or(struct yg_mparser *p, uint32_t depth, struct yg_node **ret_node) {
    if (depth > SCOPE_DEPTH_MAX)
        return yg_mp_fail(p, p->pos);
    struct yg_node *items[LIST_MAX / 8];
    uint32_t count = 0;
    do {
        if (count == LIST_MAX / 8)
            return yg_mp_fail(p, p->pos);
        if (!bool_and(p, depth, &items[count++]))
            return false;
        yg_mp_blank(p);
    } while (keyword(p, "OR", "or"));
    return gather(p, YG_NODE_OR, items, count, ret_node);
}

// ------------------------------------------------------------ which style

static bool is_operator(yg_str w) {
    static const char *const words[] = {"AND", "and", "OR", "or", "NOT", "not", "IN", "in"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (yg_str_eq_c(w, words[i]))
            return true;
    return false;
}

// True when a bracket or an operator word stands before the closing '}'.
static bool is_boolean(const struct yg_mparser *p) {
    size_t i = p->pos;
    while (i < p->in.len && p->in.ptr[i] != '}') {
        char c = p->in.ptr[i];
        if (c == '(' && (i == p->pos || is_blank(p->in.ptr[i - 1])))
            return true;
        if (is_blank(c) || c == ',' || c == '(' || c == ')') {
            i++;
            continue;
        }
        size_t start = i;
        while (i < p->in.len && is_value(p->in.ptr[i]) && p->in.ptr[i] != '(')
            i++;
        if (is_operator(yg_str_sub(p->in, start, i - start)))
            return true;
        i += i == start;
    }
    return false;
}

bool yg_mp_scope(struct yg_mparser *p, const struct yg_node **ret_scope) {
    yg_mp_blank(p);
    size_t start = p->pos;
    struct yg_node *n = NULL;
    if (yg_mp_peek(p) == '*') {
        p->pos++;
        yg_mp_blank(p);
        if (yg_mp_peek(p) == '}' || p->pos == p->in.len) {
            n = new_node(p, YG_NODE_ALL);
            *ret_scope = n;
            return n != NULL;
        }
        p->pos = start;
    }
    bool good = is_boolean(p) ? bool_or(p, 0, &n) : symbol_list(p, &n);
    if (!good)
        return false;
    yg_mp_blank(p);
    *ret_scope = n;
    return true;
}
