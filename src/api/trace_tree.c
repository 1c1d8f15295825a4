// SPDX-License-Identifier: Apache-2.0
// Spans of a trace as a tree in depth-first order, with self times: what the block and the trace
// list need.
//
// Spans come in any order. Their parents are found by a table of span ids, all spans are sorted by
// (parent, start, id) so that the children of one span are neighbours, and an explicit stack walks
// the forest. What the walk did not reach hangs on a cycle; it is walked from its earliest span, as
// a root.
#include "api/trace_block.h"

#include "base/hash.h"
#include "base/map.h"

#define NO_PARENT UINT32_MAX            // root
#define MISSING_PARENT (UINT32_MAX - 1) // its parent is not here

struct maker {
    const struct yg_trace_span *spans;
    uint32_t count;
    struct yg_arena *arena;
    uint32_t *slots; // open addressing: span index + 1
    uint32_t slot_mask;
    uint32_t *up;     // span → parent's span, NO_PARENT, MISSING_PARENT
    uint32_t *sorted; // spans by (up, start, id)
    uint32_t *first;  // span → first of its children in sorted
    uint32_t *kids;   // span → number of children
    uint32_t *row_of; // span → row + 1
    uint32_t root_first;
    uint32_t root_count;
    struct yg_trace_tree *tree;
    uint32_t rows;
};

static uint32_t find(const struct maker *m, uint64_t id) {
    for (uint64_t at = yg_hash_u64(id);; at++) {
        uint32_t slot = m->slots[at & m->slot_mask];
        if (slot == 0)
            return UINT32_MAX;
        if (m->spans[slot - 1].span_id == id)
            return slot - 1;
    }
}

static void insert(struct maker *m, uint32_t span) {
    uint64_t at = yg_hash_u64(m->spans[span].span_id);
    while (m->slots[at & m->slot_mask] != 0) {
        if (m->spans[m->slots[at & m->slot_mask] - 1].span_id == m->spans[span].span_id)
            return; // sent twice: children hang on the first
        at++;
    }
    m->slots[at & m->slot_mask] = span + 1;
}

static bool make_tables(struct maker *m) {
    uint32_t cap = 16;
    while (cap < m->count * 2)
        cap *= 2;
    m->slot_mask = cap - 1;
    m->slots = YG_NEW_N(m->arena, uint32_t, cap);
    m->up = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    m->sorted = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    m->first = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    m->kids = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    m->row_of = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    return m->slots && m->up && m->sorted && m->first && m->kids && m->row_of;
}

static bool make_tree(struct maker *m) {
    struct yg_trace_tree *t = m->tree = YG_NEW(m->arena, struct yg_trace_tree);
    if (t == NULL)
        return false;
    t->spans = m->spans;
    t->count = m->count;
    t->order = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    t->parent = YG_NEW_N(m->arena, int32_t, m->count + 1);
    t->end = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    t->depth = YG_NEW_N(m->arena, uint16_t, m->count + 1);
    t->self_ns = YG_NEW_N(m->arena, int64_t, m->count + 1);
    return t->order && t->parent && t->end && t->depth && t->self_ns;
}

static int by_parent_start_id(const void *left, const void *right, void *arg) {
    const struct maker *m = arg;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    // Roots of both kinds sort together, behind all children.
    uint32_t up_a = m->up[a] == MISSING_PARENT ? NO_PARENT : m->up[a];
    uint32_t up_b = m->up[b] == MISSING_PARENT ? NO_PARENT : m->up[b];
    if (up_a != up_b)
        return up_a < up_b ? -1 : 1;
    const struct yg_trace_span *x = &m->spans[a];
    const struct yg_trace_span *y = &m->spans[b];
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    if (x->span_id != y->span_id)
        return x->span_id < y->span_id ? -1 : 1;
    return a < b ? -1 : 1;
}

static void link_parents(struct maker *m) {
    for (uint32_t i = 0; i < m->count; i++)
        insert(m, i);
    for (uint32_t i = 0; i < m->count; i++) {
        uint64_t parent = m->spans[i].parent_id;
        uint32_t at = parent == 0 ? NO_PARENT : find(m, parent);
        m->up[i] = parent == 0 ? NO_PARENT : at == UINT32_MAX || at == i ? MISSING_PARENT : at;
        m->sorted[i] = i;
    }
    qsort_r(m->sorted, m->count, sizeof(m->sorted[0]), by_parent_start_id, m);
    m->root_first = m->count;
    for (uint32_t k = 0; k < m->count; k++) {
        uint32_t up = m->up[m->sorted[k]];
        if (up == NO_PARENT || up == MISSING_PARENT) {
            if (m->root_count++ == 0)
                m->root_first = k;
        } else if (m->kids[up]++ == 0) {
            m->first[up] = k;
        }
    }
}

static void put_row(struct maker *m, uint32_t span, int32_t parent_row, uint32_t depth) {
    struct yg_trace_tree *t = m->tree;
    t->order[m->rows] = span;
    t->parent[m->rows] = parent_row;
    t->depth[m->rows] = (uint16_t)(depth > UINT16_MAX ? UINT16_MAX : depth);
    m->row_of[span] = ++m->rows;
    if (parent_row == -2)
        t->parent_missing = true;
}

// The subtree of one root. stack holds rows; next[row's span] the next child to visit.
static void walk(struct maker *m, uint32_t root, int32_t parent_row, uint32_t *stack,
                 uint32_t *next) {
    uint32_t top = 0;
    put_row(m, root, parent_row, 0);
    stack[top++] = m->rows - 1;
    while (top > 0) {
        uint32_t row = stack[top - 1];
        uint32_t span = m->tree->order[row];
        if (next[span] == m->kids[span]) {
            m->tree->end[row] = m->rows;
            top--;
            continue;
        }
        uint32_t child = m->sorted[m->first[span] + next[span]++];
        if (m->row_of[child] != 0)
            continue; // the way round a cycle ends here
        put_row(m, child, (int32_t)row, top);
        stack[top++] = m->rows - 1;
    }
}

static bool walk_all(struct maker *m) {
    uint32_t *stack = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    uint32_t *next = YG_NEW_N(m->arena, uint32_t, m->count + 1);
    if (stack == NULL || next == NULL)
        return false;
    for (uint32_t k = m->root_first; k < m->count; k++) {
        uint32_t span = m->sorted[k];
        walk(m, span, m->up[span] == MISSING_PARENT ? -2 : -1, stack, next);
    }
    for (uint32_t k = 0; m->rows < m->count && k < m->count; k++)
        if (m->row_of[m->sorted[k]] == 0)
            walk(m, m->sorted[k], -2, stack, next);
    return true;
}

static int64_t duration(const struct yg_trace_span *s) {
    return s->dur_ns > 0 ? s->dur_ns : 0;
}

// Own duration less the union of the children's spans inside it. Children are in order of start.
static void self_times(struct yg_trace_tree *t) {
    for (uint32_t row = 0; row < t->count; row++) {
        const struct yg_trace_span *s = &t->spans[t->order[row]];
        int64_t end = s->start_ns + duration(s);
        int64_t at = s->start_ns; // covered up to here
        int64_t covered = 0;
        for (uint32_t c = row + 1; c < t->end[row]; c = t->end[c]) {
            const struct yg_trace_span *child = &t->spans[t->order[c]];
            int64_t from = child->start_ns > at ? child->start_ns : at;
            int64_t to = child->start_ns + duration(child);
            to = to < end ? to : end;
            if (to > from) {
                covered += to - from;
                at = to;
            }
        }
        t->self_ns[row] = duration(s) - covered;
    }
}

static int by_self(const void *left, const void *right) {
    const struct yg_trace_service *a = left;
    const struct yg_trace_service *b = right;
    if (a->self_ns != b->self_ns)
        return a->self_ns > b->self_ns ? -1 : 1;
    return yg_str_cmp(a->name, b->name);
}

static bool sum_services(struct yg_trace_tree *t, struct yg_arena *arena) {
    struct yg_map index = YG_MAP(YG_MEM_QUERY, false);
    uint32_t cap = 0;
    bool ok = true;
    for (uint32_t row = 0; row < t->count && ok; row++) {
        const struct yg_trace_span *s = &t->spans[t->order[row]];
        bool fresh = false;
        uint64_t *place = yg_map_put(&index, s->service, &fresh);
        if (fresh) {
            ok = YG_ARENA_GROW(arena, t->services, t->service_count, cap);
            if (!ok)
                break;
            t->services[t->service_count] = (struct yg_trace_service){.name = s->service};
            *place = t->service_count++;
        }
        struct yg_trace_service *sum = &t->services[*place];
        sum->spans++;
        sum->errors += (s->flags & YG_TRACE_ERROR) != 0;
        sum->self_ns += t->self_ns[row];
    }
    yg_map_fini(&index);
    if (ok && t->service_count > 0)
        qsort(t->services, t->service_count, sizeof(t->services[0]), by_self);
    return ok;
}

yg_rc yg_trace_tree_make(const struct yg_trace_span *spans, uint32_t count, struct yg_arena *arena,
                         struct yg_trace_tree **ret_tree, struct yg_err *err) {
    struct maker m = {.spans = spans, .count = count, .arena = arena};
    if (count > (1u << 28) || !make_tables(&m) || !make_tree(&m))
        return yg_fail(err, YG_ENOMEM, "no memory for a trace of %u spans", count);
    link_parents(&m);
    if (!walk_all(&m))
        return yg_fail(err, YG_ENOMEM, "no memory for a trace of %u spans", count);
    self_times(m.tree);
    if (!sum_services(m.tree, arena))
        return yg_fail(err, YG_ENOMEM, "no memory for the services of a trace");
    *ret_tree = m.tree;
    return YG_OK;
}
