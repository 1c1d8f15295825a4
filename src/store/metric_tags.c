// SPDX-License-Identifier: Apache-2.0
// Scopes of metric queries against the tags of one series.

#include "store/mstore_int.h"

static bool glob_match(yg_str pattern, yg_str s) {
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < s.len) {
        if (p < pattern.len && pattern.ptr[p] == '\x01') {
            star = p++;
            mark = i;
        } else if (p < pattern.len && (pattern.ptr[p] == s.ptr[i] || pattern.ptr[p] == '\x02')) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '\x01')
        p++;
    return p == pattern.len;
}

// One tag against a leaf of the scope.
static bool leaf_matches(const struct yg_node *n, yg_str tag) {
    yg_str value = tag;
    size_t key = n->field.name.len;
    if (key > 0) {
        if (tag.len < key || memcmp(tag.ptr, n->field.name.ptr, key) != 0)
            return false;
        if (tag.len == key)
            return n->kind == YG_NODE_EXISTS;
        if (tag.ptr[key] != ':')
            return false;
        value = yg_str_sub(tag, key + 1, SIZE_MAX);
    }
    switch (n->kind) {
    case YG_NODE_EXISTS:
        return true;
    case YG_NODE_TERM:
        return yg_str_eq(value, n->text);
    case YG_NODE_GLOB:
        return glob_match(n->text, value);
    case YG_NODE_ALL:
    case YG_NODE_NONE:
    case YG_NODE_AND:
    case YG_NODE_OR:
    case YG_NODE_NOT:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
    case YG_NODE_REGEX:
    case YG_NODE_KIND_COUNT:
        break;
    }
    return false; // not of the metric language
}

static bool any_tag(const struct yg_node *n, yg_str tags) {
    yg_str tag;
    while (tags.len > 0 && yg_str_split(&tags, ',', &tag))
        if (leaf_matches(n, tag))
            return true;
    return false;
}

#define SCOPE_DEPTH_MAX 128

static bool match_at(const struct yg_node *n, yg_str tags, uint32_t depth) {
    if (depth > SCOPE_DEPTH_MAX)
        return false;
    switch (n->kind) {
    case YG_NODE_ALL:
        return true;
    case YG_NODE_NONE:
        return false;
    case YG_NODE_AND:
        for (uint32_t i = 0; i < n->child_count; i++)
            if (!match_at(n->children[i], tags, depth + 1))
                return false;
        return true;
    case YG_NODE_OR:
        for (uint32_t i = 0; i < n->child_count; i++)
            if (match_at(n->children[i], tags, depth + 1))
                return true;
        return false;
    case YG_NODE_NOT:
        return !match_at(n->children[0], tags, depth + 1);
    case YG_NODE_EXISTS:
    case YG_NODE_TERM:
    case YG_NODE_GLOB:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
    case YG_NODE_REGEX:
    case YG_NODE_KIND_COUNT:
        break;
    }
    return any_tag(n, tags);
}

bool yg_tags_match(const struct yg_node *scope, yg_str tags) {
    return scope == NULL || match_at(scope, tags, 0);
}
