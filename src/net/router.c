// SPDX-License-Identifier: Apache-2.0
// Path → route: a tree of segments built once from the route tables, walked without allocation.
//
// A segment is a literal, {name} (any non-empty segment) or, at the end, {name*} (the rest, may be
// empty). At every step the literal is tried first, then {name}, then {name*}; the first complete
// path whose row has the method wins. Matching works on the raw path, so that %2F stays inside its
// segment.
#include "net/net_internal.h"

#define NET_DEPTH_MAX 32

struct router_node {
    yg_str literal;
    struct router_node *children; // literals, linked by next
    struct router_node *next;
    struct router_node *param;
    struct router_node *rest;
    const struct yg_route **rows; // routes that end here
    void **row_ctx;
    uint32_t row_count;
    uint32_t row_cap;
};

struct net_router {
    struct router_node root;
    struct yg_arena *arena;
};

static bool is_param(yg_str segment) {
    return segment.len >= 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

static bool is_rest(yg_str segment) {
    return is_param(segment) && segment.len >= 3 && segment.ptr[segment.len - 2] == '*';
}

// Takes the piece up to the next '/' off *rest; *ret_more: a '/' followed, so another piece (maybe
// empty).
static yg_str next_segment(yg_str *rest, bool *ret_more) {
    yg_str segment = *rest;
    size_t slash = yg_str_find_char(*rest, '/', 0);
    *ret_more = slash != SIZE_MAX;
    if (*ret_more) {
        segment.len = slash;
        rest->ptr += slash + 1;
        rest->len -= slash + 1;
    }
    return segment;
}

static struct router_node *child_for(struct net_router *router, struct router_node *at,
                                     yg_str segment) {
    if (is_param(segment)) {
        struct router_node **place = is_rest(segment) ? &at->rest : &at->param;
        if (*place == NULL)
            *place = YG_NEW(router->arena, struct router_node);
        return *place;
    }
    for (struct router_node *c = at->children; c != NULL; c = c->next)
        if (yg_str_eq(c->literal, segment))
            return c;
    struct router_node *fresh = YG_NEW(router->arena, struct router_node);
    if (fresh != NULL) {
        fresh->literal = segment;
        fresh->next = at->children;
        at->children = fresh;
    }
    return fresh;
}

static yg_rc add_row(struct net_router *router, const struct yg_route *row, void *ctx,
                     struct yg_err *err) {
    yg_str path = yg_str_c(row->path);
    if (path.len == 0 || path.ptr[0] != '/' || row->handler == NULL)
        return yg_fail(err, YG_EINTERNAL, "route \"%s\": no leading / or no handler", row->path);
    yg_str rest = yg_str_sub(path, 1, path.len);
    struct router_node *at = &router->root;
    uint32_t params = 0;
    bool more = true;
    for (uint32_t depth = 1; more; depth++) {
        yg_str segment = next_segment(&rest, &more);
        params += is_param(segment);
        if (depth > NET_DEPTH_MAX || params > YG_HTTP_PATH_PARAMS_MAX)
            return yg_fail(err, YG_EINTERNAL, "route \"%s\": too many segments", row->path);
        if (is_rest(segment) && more)
            return yg_fail(err, YG_EINTERNAL, "route \"%s\": {…*} must be last", row->path);
        at = child_for(router, at, segment);
        if (at == NULL)
            return yg_fail(err, YG_ENOMEM, "router: out of memory");
    }
    for (uint32_t i = 0; i < at->row_count; i++)
        if (at->rows[i]->methods & row->methods)
            return yg_fail(err, YG_EINTERNAL, "route \"%s\" stands twice", row->path);
    YG_GROW(YG_MEM_NET, at->rows, at->row_count, at->row_cap);
    at->row_ctx = yg_realloc(YG_MEM_NET, at->row_ctx, sizeof(void *) * at->row_cap);
    at->rows[at->row_count] = row;
    at->row_ctx[at->row_count++] = ctx;
    return YG_OK;
}

static void node_fini(struct router_node *node, uint32_t depth) {
    if (node == NULL || depth > NET_DEPTH_MAX + 1)
        return;
    for (struct router_node *c = node->children; c != NULL; c = c->next)
        node_fini(c, depth + 1);
    node_fini(node->param, depth + 1);
    node_fini(node->rest, depth + 1);
    yg_free(YG_MEM_NET, node->rows);
    yg_free(YG_MEM_NET, node->row_ctx);
}

yg_rc net_router_create(const struct yg_route *const *tables, void *const *table_ctx,
                        struct net_router **ret_router, struct yg_err *err) {
    struct net_router *router = yg_calloc(YG_MEM_NET, 1, sizeof(*router));
    router->arena = yg_arena_create(YG_MEM_NET, 4u << 20);
    for (size_t t = 0; tables != NULL && tables[t] != NULL; t++) {
        void *ctx = table_ctx ? table_ctx[t] : NULL;
        for (const struct yg_route *row = tables[t]; row->path != NULL; row++) {
            yg_rc rc = add_row(router, row, ctx, err);
            if (rc != YG_OK) {
                net_router_destroy(router);
                return rc;
            }
        }
    }
    *ret_router = router;
    return YG_OK;
}

void net_router_destroy(struct net_router *router) {
    if (router == NULL)
        return;
    node_fini(&router->root, 0);
    yg_arena_destroy(router->arena);
    yg_free(YG_MEM_NET, router);
}

struct walk {
    uint32_t method;
    struct net_match *match;
    yg_str params[YG_HTTP_PATH_PARAMS_MAX];
    uint32_t param_count;
};

// A node where the whole path was used up: takes its row for the method. True when found.
static bool settle(struct walk *w, const struct router_node *node) {
    struct net_match *m = w->match;
    const struct yg_route *hit = NULL;
    void *ctx = NULL;
    uint32_t wanted = w->method == YG_HEAD ? (uint32_t)(YG_HEAD | YG_GET) : w->method;
    for (uint32_t i = 0; i < node->row_count; i++) {
        uint32_t methods = node->rows[i]->methods;
        m->allow |= methods | (methods & YG_GET ? (uint32_t)YG_HEAD : 0);
        if ((methods & wanted) && (hit == NULL || (methods & w->method))) {
            hit = node->rows[i];
            ctx = node->row_ctx[i];
        }
    }
    if (hit == NULL) {
        if (m->route == NULL && node->row_count > 0) { // 405 will want to know the path
            m->route = node->rows[0];
            m->ctx = node->row_ctx[0];
        }
        return false;
    }
    m->route = hit;
    m->ctx = ctx;
    m->method_ok = true;
    m->param_count = w->param_count;
    memcpy(m->raw_params, w->params, sizeof(w->params));
    return true;
}

static bool walk_from(struct walk *w, const struct router_node *node, yg_str rest, bool more,
                      uint32_t depth) {
    if (!more)
        return settle(w, node);
    if (depth >= NET_DEPTH_MAX)
        return false;
    yg_str tail = rest;
    bool tail_more = false;
    yg_str segment = next_segment(&tail, &tail_more);
    for (const struct router_node *c = node->children; c != NULL; c = c->next)
        if (yg_str_eq(c->literal, segment) && walk_from(w, c, tail, tail_more, depth + 1))
            return true;
    if (node->param != NULL && segment.len > 0) {
        w->params[w->param_count++] = segment;
        if (walk_from(w, node->param, tail, tail_more, depth + 1))
            return true;
        w->param_count--;
    }
    if (node->rest != NULL) {
        w->params[w->param_count++] = rest;
        if (settle(w, node->rest))
            return true;
        w->param_count--;
    }
    return false;
}

void net_router_find(const struct net_router *router, yg_str path, uint32_t method,
                     struct net_match *ret_match) {
    *ret_match = (struct net_match){0};
    if (path.len == 0 || path.ptr[0] != '/')
        return;
    struct walk w = {.method = method, .match = ret_match};
    (void)walk_from(&w, &router->root, yg_str_sub(path, 1, path.len), true, 0);
}

void net_allow_text(uint32_t methods, char *out, size_t out_bytes) {
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{YG_GET, "GET"},        {YG_HEAD, "HEAD"},   {YG_POST, "POST"},
                 {YG_PUT, "PUT"},        {YG_PATCH, "PATCH"}, {YG_DELETE, "DELETE"},
                 {YG_OPTIONS, "OPTIONS"}};
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(methods & names[i].bit))
            continue;
        int n = snprintf(out + at, out_bytes - at, "%s%s", at ? ", " : "", names[i].name);
        if (n < 0 || (size_t)n >= out_bytes - at)
            return;
        at += (size_t)n;
    }
}
