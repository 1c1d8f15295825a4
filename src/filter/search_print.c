// SPDX-License-Identifier: Apache-2.0
// Canonical text of a search tree: parsing it gives the same tree, and equal trees give equal text.
#include "filter/internal.h"

#include <arpa/inet.h>

#include "base/buf.h"

static const char specials[] = "+-=&|><!(){}[]^\"~*?:\\#,";

// A word: specials and blanks escaped; wildcards spelt out when the text is a pattern.
static void put_word(yg_str s, bool wild, struct yg_buf *out) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (wild && (c == YG_WILD_RUN || c == YG_WILD_ONE)) {
            yg_buf_putc(out, c == YG_WILD_RUN ? '*' : '?');
            continue;
        }
        bool ideographic = yg_str_starts(yg_str_sub(s, i, 3), YG_STR("\xe3\x80\x80"));
        if (ideographic || c == ' ' || (c >= '\t' && c <= '\r') || strchr(specials, c) != NULL)
            yg_buf_putc(out, '\\');
        yg_buf_putc(out, c);
    }
}

static void put_quoted(yg_str s, struct yg_buf *out) {
    yg_buf_putc(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"' || s.ptr[i] == '\\')
            yg_buf_putc(out, '\\');
        yg_buf_putc(out, s.ptr[i]);
    }
    yg_buf_putc(out, '"');
}

static void put_field(const struct yg_field *f, struct yg_buf *out) {
    size_t from = f->name.len > 0 && (f->name.ptr[0] == '@' || f->name.ptr[0] == '#') ? 1 : 0;
    yg_buf_puts(out, yg_str_sub(f->name, 0, from));
    put_word(yg_str_sub(f->name, from, f->name.len), false, out);
}

static void put_bound(bool has, yg_str text, struct yg_buf *out) {
    if (has)
        put_quoted(text, out);
    else
        yg_buf_putc(out, '*');
}

static void put_range(const struct yg_node *n, struct yg_buf *out) {
    put_field(&n->field, out);
    yg_buf_puts(out, n->lo_open ? YG_STR(":{") : YG_STR(":["));
    put_bound(n->has_lo, n->lo_text, out);
    yg_buf_puts(out, YG_STR(" TO "));
    put_bound(n->has_hi, n->hi_text, out);
    yg_buf_putc(out, n->hi_open ? '}' : ']');
}

static void put_cidr(const struct yg_node *n, struct yg_buf *out) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    yg_buf_puts(out, YG_STR("CIDR("));
    put_field(&n->field, out);
    for (uint32_t i = 0; i < n->cidr_count; i++) {
        const struct yg_cidr *c = &n->cidrs[i];
        char text[INET6_ADDRSTRLEN] = "";
        bool v4 = c->bits >= 96 && memcmp(c->addr, mapped, sizeof(mapped)) == 0;
        inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? c->addr + 12 : c->addr, text, sizeof(text));
        yg_buf_printf(out, ", %s/%u", text, v4 ? c->bits - 96u : c->bits);
    }
    yg_buf_putc(out, ')');
}

static void put_regex(yg_str expression, struct yg_buf *out) {
    yg_buf_puts(out, YG_STR(":~\""));
    for (size_t i = 0; i < expression.len; i++) {
        if (expression.ptr[i] == '"')
            yg_buf_putc(out, '\\');
        yg_buf_putc(out, expression.ptr[i]);
    }
    yg_buf_putc(out, '"');
}

static void put_node(const struct yg_node *n, struct yg_buf *out);

static void put_children(const struct yg_node *n, const char *separator, struct yg_buf *out) {
    yg_buf_putc(out, '(');
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (i > 0)
            yg_buf_puts(out, yg_str_c(separator));
        put_node(n->children[i], out);
    }
    yg_buf_putc(out, ')');
}

// Depth is the parser's limit.
static void put_node(const struct yg_node *n, struct yg_buf *out) {
    switch (n->kind) {
    case YG_NODE_ALL:
        yg_buf_putc(out, '*');
        break;
    case YG_NODE_NONE:
        yg_buf_puts(out, YG_STR("NOT *"));
        break;
    case YG_NODE_AND:
        put_children(n, " AND ", out);
        break;
    case YG_NODE_OR:
        put_children(n, " OR ", out);
        break;
    case YG_NODE_NOT:
        yg_buf_puts(out, YG_STR("NOT "));
        put_node(n->children[0], out);
        break;
    case YG_NODE_EXISTS:
        put_field(&n->field, out);
        yg_buf_puts(out, YG_STR(":*"));
        break;
    case YG_NODE_TERM:
        put_field(&n->field, out);
        yg_buf_putc(out, ':');
        put_quoted(n->text, out);
        break;
    case YG_NODE_GLOB:
        put_field(&n->field, out);
        yg_buf_putc(out, ':');
        put_word(n->text, true, out);
        break;
    case YG_NODE_RANGE:
        put_range(n, out);
        break;
    case YG_NODE_CIDR:
        put_cidr(n, out);
        break;
    case YG_NODE_TOKEN:
        if (yg_str_eq_c(n->text, "AND") || yg_str_eq_c(n->text, "OR") ||
            yg_str_eq_c(n->text, "NOT"))
            yg_buf_putc(out, '\\'); // a word, no operator
        put_word(n->text, n->wild, out);
        break;
    case YG_NODE_PHRASE:
        put_quoted(n->text, out);
        break;
    case YG_NODE_FULLTEXT:
        yg_buf_puts(out, YG_STR("*:"));
        put_word(n->text, n->wild, out);
        break;
    case YG_NODE_REGEX:
        put_field(&n->field, out);
        put_regex(n->text, out);
        break;
    case YG_NODE_KIND_COUNT:
        break;
    }
}

void yg_search_print(const struct yg_node *tree, struct yg_buf *out) {
    // The outermost brackets say nothing.
    if ((tree->kind == YG_NODE_AND || tree->kind == YG_NODE_OR) && tree->child_count > 0) {
        for (uint32_t i = 0; i < tree->child_count; i++) {
            if (i > 0)
                yg_buf_puts(out, tree->kind == YG_NODE_AND ? YG_STR(" AND ") : YG_STR(" OR "));
            put_node(tree->children[i], out);
        }
        return;
    }
    put_node(tree, out);
}
