// SPDX-License-Identifier: Apache-2.0
// What a query says of tags: those that every scope of it fixes, so that {{service.name}} also
// works where the query is not grouped by service.
#include "monitor/monitor_internal.h"

#define SCOPE_TAGS_MAX 32

static bool simple_term(yg_str term) {
    if (term.len == 0 || yg_str_find_char(term, ':', 0) == SIZE_MAX)
        return false;
    for (size_t i = 0; i < term.len; i++)
        if (strchr("*?!() \"", term.ptr[i]))
            return false;
    return true;
}

static struct yg_tag tag_of(yg_str term) {
    size_t colon = yg_str_find_char(term, ':', 0);
    if (colon == SIZE_MAX)
        return (struct yg_tag){.key = term};
    return (struct yg_tag){yg_str_sub(term, 0, colon), yg_str_sub(term, colon + 1, term.len)};
}

static uint32_t scope_terms(yg_str inside, struct yg_tag *out) {
    uint32_t count = 0;
    yg_str rest = inside, term;
    while (count < SCOPE_TAGS_MAX && yg_str_split(&rest, ',', &term)) {
        term = yg_str_trim(term);
        if (simple_term(term))
            out[count++] = tag_of(term);
    }
    return count;
}

static bool holds_tag(const struct yg_tag *tags, uint32_t count, const struct yg_tag *tag) {
    for (uint32_t i = 0; i < count; i++)
        if (yg_str_eq(tags[i].key, tag->key) && yg_str_eq(tags[i].value, tag->value))
            return true;
    return false;
}

// True when the brace at `at` opens a list of keys ("… by {host}").
static bool is_by_list(yg_str expr, size_t at) {
    yg_str before = yg_str_trim(yg_str_sub(expr, 0, at));
    return yg_str_ends(before, YG_STR(" by")) || yg_str_ends(before, YG_STR("}by"));
}

yg_rc yg_scope_of_metric(yg_str expr, struct yg_arena *arena, struct yg_monitor_def *def,
                         struct yg_err *err) {
    struct yg_tag *common = YG_NEW_N(arena, struct yg_tag, SCOPE_TAGS_MAX);
    if (!common)
        return yg_fail(err, YG_ENOMEM, "scope of a monitor: no memory");
    uint32_t count = 0;
    bool first = true;
    for (size_t at = 0; (at = yg_str_find_char(expr, '{', at)) != SIZE_MAX;) {
        size_t end = yg_str_find_char(expr, '}', at);
        if (end == SIZE_MAX)
            break;
        if (!is_by_list(expr, at)) {
            struct yg_tag own[SCOPE_TAGS_MAX];
            uint32_t own_count = scope_terms(yg_str_sub(expr, at + 1, end - at - 1), own);
            uint32_t kept = 0;
            for (uint32_t i = 0; first && i < own_count; i++)
                common[kept++] = own[i];
            for (uint32_t i = 0; !first && i < count; i++)
                if (holds_tag(own, own_count, &common[i]))
                    common[kept++] = common[i];
            count = kept;
            first = false;
        }
        at = end;
    }
    def->scope = common;
    def->scope_count = count;
    return YG_OK;
}

// Terms that every match must have: of the root, or of an AND at the root.
yg_rc yg_scope_of_filter(const struct yg_node *filter, struct yg_arena *arena,
                         struct yg_monitor_def *def, struct yg_err *err) {
    struct yg_tag *tags = YG_NEW_N(arena, struct yg_tag, SCOPE_TAGS_MAX);
    if (!tags)
        return yg_fail(err, YG_ENOMEM, "scope of a monitor: no memory");
    uint32_t count = 0;
    uint32_t children = filter && filter->kind == YG_NODE_AND ? filter->child_count : 1;
    for (uint32_t i = 0; filter && i < children && count < SCOPE_TAGS_MAX; i++) {
        const struct yg_node *n = filter->kind == YG_NODE_AND ? filter->children[i] : filter;
        if (n->kind == YG_NODE_TERM)
            tags[count++] = (struct yg_tag){n->field.name, n->text};
    }
    def->scope = tags;
    def->scope_count = count;
    return YG_OK;
}

yg_str yg_first_metric(yg_str expr) {
    size_t end = yg_str_find_char(expr, '{', 0);
    if (end == SIZE_MAX)
        return (yg_str){"", 0};
    size_t start = end;
    while (start > 0 && !strchr(":( \t+-*/,", expr.ptr[start - 1]))
        start--;
    return yg_str_sub(expr, start, end - start);
}
