// SPDX-License-Identifier: Apache-2.0
// Tree → flat steps over bitmap registers, cheapest conditions first.
//
// Register 0 holds the rows in question (live, within the time range). A step writes register `out`
// and needs to be right only for the rows of register `mask`: so the later conditions of an AND
// look only at rows that passed the earlier ones, and are skipped when none did (`jump`).
#include "filter/steps.h"

#define FILTER_ARENA_BYTES (16u << 20)

struct compiler {
    struct yg_filter *f;
    uint32_t step_cap;
    uint32_t leaf_cap;
    struct yg_err *err;
};

static uint32_t leaf_cost(const struct yg_node *n) {
    switch (n->kind) {
    case YG_NODE_TERM:
        return n->field.kind == YG_FIELD_TAG ? 8 : 1;
    case YG_NODE_EXISTS:
        return 2;
    case YG_NODE_RANGE:
        return 3;
    case YG_NODE_GLOB:
        return n->field.kind == YG_FIELD_TAG ? 10 : 6;
    case YG_NODE_CIDR:
        return 12;
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
        return 40;
    case YG_NODE_REGEX:
        return 60;
    case YG_NODE_FULLTEXT:
        return 400;
    case YG_NODE_ALL:
    case YG_NODE_NONE:
    case YG_NODE_AND:
    case YG_NODE_OR:
    case YG_NODE_NOT:
    case YG_NODE_KIND_COUNT:
        break;
    }
    return 0;
}

static bool is_condition(enum yg_node_kind kind) {
    return kind >= YG_NODE_EXISTS && kind < YG_NODE_KIND_COUNT;
}

static yg_rc add_step(struct compiler *c, struct yg_step step, uint32_t *ret_idx) {
    struct yg_filter *f = c->f;
    if (!YG_ARENA_GROW(f->arena, f->steps, f->step_count, c->step_cap))
        return yg_fail(c->err, YG_ENOMEM, "no memory for a filter of %u steps", f->step_count);
    if (step.out >= f->register_count)
        f->register_count = step.out + 1;
    if (ret_idx)
        *ret_idx = f->step_count;
    f->steps[f->step_count++] = step;
    return YG_OK;
}

static int by_cost(const void *a, const void *b) {
    const struct yg_plan_node *x = *(struct yg_plan_node *const *)a;
    const struct yg_plan_node *y = *(struct yg_plan_node *const *)b;
    return (x->cost > y->cost) - (x->cost < y->cost);
}

// Depth is the parser's limit.
static yg_rc plan_tree(struct compiler *c, const struct yg_node *n, uint32_t depth,
                       struct yg_plan_node **ret_node) {
    struct yg_filter *f = c->f;
    f->plan_depth = depth > f->plan_depth ? depth : f->plan_depth;
    struct yg_plan_node *p = YG_NEW(f->arena, struct yg_plan_node);
    if (p == NULL)
        return yg_fail(c->err, YG_ENOMEM, "no memory for a filter");
    p->kind = n->kind;
    p->cost = leaf_cost(n);
    if (is_condition(n->kind)) {
        struct yg_leaf *leaf = YG_NEW(f->arena, struct yg_leaf);
        if (leaf == NULL || !YG_ARENA_GROW(f->arena, f->leaves, f->leaf_count, c->leaf_cap))
            return yg_fail(c->err, YG_ENOMEM, "no memory for a filter of %u conditions",
                           f->leaf_count);
        YG_TRY(yg_leaf_compile(n, f->arena, leaf, c->err));
        p->leaf = f->leaf_count;
        f->leaves[f->leaf_count++] = leaf;
    }
    if (n->child_count > 0) {
        p->children = YG_NEW_N(f->arena, struct yg_plan_node *, n->child_count);
        if (p->children == NULL)
            return yg_fail(c->err, YG_ENOMEM, "no memory for a filter");
        for (; p->child_count < n->child_count; p->child_count++) {
            struct yg_plan_node *child = NULL;
            YG_TRY(plan_tree(c, n->children[p->child_count], depth + 1, &child));
            p->children[p->child_count] = child;
            p->cost += child->cost + 1;
        }
        if (n->kind == YG_NODE_AND)
            qsort(p->children, p->child_count, sizeof(p->children[0]), by_cost);
    }
    *ret_node = p;
    return YG_OK;
}

static yg_rc compile_node(struct compiler *c, const struct yg_plan_node *n, uint32_t out,
                          uint32_t mask);

// out = child0; then per child: skip the rest when out is empty, next register = child, out &=
// next.
static yg_rc compile_and(struct compiler *c, const struct yg_plan_node *n, uint32_t out,
                         uint32_t mask) {
    uint32_t *jumps = YG_NEW_N(c->f->arena, uint32_t, n->child_count + 1);
    if (jumps == NULL)
        return yg_fail(c->err, YG_ENOMEM, "no memory for a filter");
    YG_TRY(compile_node(c, n->children[0], out, mask));
    YG_TRY(add_step(c, (struct yg_step){.op = YG_STEP_AND, .out = out, .other = mask}, NULL));
    for (uint32_t i = 1; i < n->child_count; i++) {
        YG_TRY(add_step(c, (struct yg_step){.op = YG_STEP_JUMP_IF_NONE, .out = out}, &jumps[i]));
        YG_TRY(compile_node(c, n->children[i], out + 1, out));
        YG_TRY(
            add_step(c, (struct yg_step){.op = YG_STEP_AND, .out = out, .other = out + 1}, NULL));
    }
    for (uint32_t i = 1; i < n->child_count; i++)
        c->f->steps[jumps[i]].jump = c->f->step_count;
    return YG_OK;
}

static yg_rc compile_or(struct compiler *c, const struct yg_plan_node *n, uint32_t out,
                        uint32_t mask) {
    YG_TRY(compile_node(c, n->children[0], out, mask));
    for (uint32_t i = 1; i < n->child_count; i++) {
        YG_TRY(compile_node(c, n->children[i], out + 1, mask));
        YG_TRY(add_step(c, (struct yg_step){.op = YG_STEP_OR, .out = out, .other = out + 1}, NULL));
    }
    return YG_OK;
}

// Depth is the parser's limit.
static yg_rc compile_node(struct compiler *c, const struct yg_plan_node *n, uint32_t out,
                          uint32_t mask) {
    switch (n->kind) {
    case YG_NODE_ALL:
        return add_step(c, (struct yg_step){.op = YG_STEP_ALL, .out = out}, NULL);
    case YG_NODE_NONE:
        return add_step(c, (struct yg_step){.op = YG_STEP_NONE, .out = out}, NULL);
    case YG_NODE_AND:
        return compile_and(c, n, out, mask);
    case YG_NODE_OR:
        return compile_or(c, n, out, mask);
    case YG_NODE_NOT:
        YG_TRY(compile_node(c, n->children[0], out, mask));
        return add_step(c, (struct yg_step){.op = YG_STEP_NOT, .out = out}, NULL);
    case YG_NODE_EXISTS:
    case YG_NODE_TERM:
    case YG_NODE_GLOB:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
    case YG_NODE_REGEX:
        return add_step(
            c, (struct yg_step){.op = YG_STEP_LEAF, .out = out, .mask = mask, .leaf = n->leaf},
            NULL);
    case YG_NODE_KIND_COUNT:
        break;
    }
    return yg_fail(c->err, YG_EINTERNAL, "a filter tree holds a node of kind %d", (int)n->kind);
}

yg_rc yg_filter_compile(const struct yg_node *tree, struct yg_time_range range,
                        struct yg_filter **ret_filter, struct yg_err *err) {
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, FILTER_ARENA_BYTES);
    struct yg_filter *f = arena ? YG_NEW(arena, struct yg_filter) : NULL;
    if (f == NULL) {
        yg_arena_destroy(arena);
        return yg_fail(err, YG_ENOMEM, "no memory for a filter");
    }
    f->arena = arena;
    f->range = range;
    struct compiler c = {.f = f, .err = err};
    yg_rc rc = plan_tree(&c, tree, 1, &f->plan);
    if (rc == YG_OK)
        rc = compile_node(&c, f->plan, 1, 0);
    if (rc == YG_OK) {
        f->scratch = yg_arena_create(YG_MEM_QUERY, FILTER_ARENA_BYTES);
        f->registers = YG_NEW_N(arena, uint64_t, (size_t)f->register_count * YG_REGISTER_WORDS);
        f->memos = YG_NEW_N(arena, struct yg_memo_table, f->leaf_count + 1);
        if (f->scratch == NULL || f->registers == NULL || f->memos == NULL)
            rc = yg_fail(err, YG_ENOMEM, "no memory for a filter");
    }
    if (rc != YG_OK) {
        yg_filter_destroy(f);
        return rc;
    }
    *ret_filter = f;
    return YG_OK;
}

void yg_filter_destroy(struct yg_filter *f) {
    if (f == NULL)
        return;
    for (uint32_t i = 0; f->memos && i < f->leaf_count; i++)
        yg_memo_table_fini(&f->memos[i]);
    yg_arena_destroy(f->scratch);
    yg_arena_destroy(f->arena);
}
