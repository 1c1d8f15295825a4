// SPDX-License-Identifier: Apache-2.0
// Which traces match a trace query.
//
// One pass over the spans that match any span query gives, per trace, which span queries it has
// spans of, and how many. Traces without such a span are not kept: what holds for them holds for
// all. Where the query has => or ->, a second pass lists the spans of the traces that may still
// match (for => those that match a span query, for -> all), and each trace's tree is looked at.
// Memory is bounded by MEMORY_MAX; past it the query is refused, never cut.
#include "query/trace_query.h"

#include "base/hash.h"
#include "base/mem.h"
#include "query/events_int.h"

#define MEMORY_MAX ((size_t)64 << 20)
#define NONE UINT32_MAX
#define BY_ID_MAX 200u // traces whose spans are looked up by id

struct trace {
    yg_id128 id;
    uint32_t labels;    // bit per span query
    uint32_t relations; // bit per relation, once its tree was looked at
    bool candidate;
    bool matches;
};

struct yg_trace_matches {
    const struct yg_trace_query *q;
    struct trace *traces;
    uint32_t *counts; // [trace × counted]
    uint32_t count, cap;
    uint32_t *slots; // trace + 1
    uint32_t slot_cap;
    uint32_t counted;                          // span queries that are counted
    uint32_t count_of[YG_TRACE_LABELS_MAX];    // place among them, or NONE
    const struct yg_trace_expr *relations[32]; // outermost => and ->
    uint32_t relation_count;
    bool others; // traces without a matching span match
};

struct span {
    uint32_t trace;
    uint32_t labels;
    int64_t id, parent;
};

struct finder {
    struct yg_trace_matches *m;
    const struct yg_trace_query *q;
    const struct yg_trace_search_options *options;
    struct yg_arena *arena;
    struct yg_filter *filters[YG_TRACE_LABELS_MAX];
    struct yg_scan scan;
    struct span *spans;
    uint32_t span_count, span_cap;
    uint16_t labels[YG_GRANULE_ROWS]; // of the open granule
    struct yg_err *err;
};

// ------------------------------------------------------------ traces by id

static uint32_t slot_of(const struct yg_trace_matches *m, yg_id128 id) {
    uint32_t mask = m->slot_cap - 1;
    uint32_t i = (uint32_t)yg_hash_u64(id.lo ^ (id.hi * UINT64_C(0x9e3779b97f4a7c15))) & mask;
    while (m->slots[i] != 0 && !yg_id128_eq(m->traces[m->slots[i] - 1].id, id))
        i = (i + 1) & mask;
    return i;
}

static uint32_t find_trace(const struct yg_trace_matches *m, yg_id128 id) {
    return m->slot_cap == 0 ? NONE : m->slots[slot_of(m, id)] - 1;
}

static yg_rc too_many(const struct yg_trace_matches *m, struct yg_err *err) {
    return yg_fail(err, YG_ELIMIT,
                   "query memory of 64 MiB is used up by %u traces with matching spans; choose a "
                   "shorter time range or narrower span queries",
                   m->count);
}

// Doubles the table; the traces stay where they are.
static yg_rc grow(struct yg_trace_matches *m, struct yg_err *err) {
    uint32_t cap = m->cap ? m->cap * 2 : 1024;
    size_t each = sizeof(struct trace) + sizeof(uint32_t) * (m->counted + 2);
    if (cap * each > MEMORY_MAX)
        return too_many(m, err);
    struct trace *traces = yg_try_realloc(YG_MEM_QUERY, m->traces, sizeof(*traces) * cap);
    if (traces == NULL)
        return too_many(m, err);
    m->traces = traces;
    uint32_t *counts =
        yg_try_realloc(YG_MEM_QUERY, m->counts, sizeof(*counts) * ((size_t)cap * m->counted + 1));
    if (counts == NULL)
        return too_many(m, err);
    m->counts = counts;
    uint32_t *slots = yg_try_alloc(YG_MEM_QUERY, sizeof(*slots) * cap * 2);
    if (slots == NULL)
        return too_many(m, err);
    memset(slots, 0, sizeof(*slots) * cap * 2);
    yg_free(YG_MEM_QUERY, m->slots);
    m->slots = slots;
    m->slot_cap = cap * 2;
    m->cap = cap;
    for (uint32_t i = 0; i < m->count; i++)
        slots[slot_of(m, m->traces[i].id)] = i + 1;
    return YG_OK;
}

static yg_rc trace_for(struct yg_trace_matches *m, yg_id128 id, uint32_t *ret_trace,
                       struct yg_err *err) {
    if (m->count == m->cap)
        YG_TRY(grow(m, err));
    uint32_t slot = slot_of(m, id);
    if (m->slots[slot] == 0) {
        m->traces[m->count] = (struct trace){.id = id};
        memset(m->counts + (size_t)m->count * m->counted, 0, sizeof(uint32_t) * m->counted);
        m->slots[slot] = ++m->count;
    }
    *ret_trace = m->slots[slot] - 1;
    return YG_OK;
}

// ------------------------------------------------------------ reading spans

// Which span queries each row of the block matches; `rows` match at least one.
static yg_rc label_rows(struct finder *f, struct yg_block *b, const uint64_t *rows) {
    uint64_t bits[YG_BITS_WORDS(YG_GRANULE_ROWS)];
    memset(f->labels, 0, sizeof(f->labels[0]) * b->row_count);
    for (uint32_t l = 0; l < f->q->label_count; l++) {
        const uint64_t *of_label = rows;
        if (f->filters[l]) {
            YG_TRY(yg_filter_run(f->filters[l], b, bits, f->err));
            of_label = bits;
        }
        for (uint32_t r = yg_bits_next(of_label, b->row_count, 0); r < b->row_count;
             r = yg_bits_next(of_label, b->row_count, r + 1))
            f->labels[r] |= (uint16_t)(1u << l);
    }
    return YG_OK;
}

static yg_rc count_block(struct finder *f, struct yg_block *b, const uint64_t *rows) {
    struct yg_trace_matches *m = f->m;
    const struct yg_vec *ids = NULL;
    YG_TRY(yg_scan_column(b, YG_STR(YG_COL_TRACE_ID), YG_T_ID, &ids, f->err));
    if (ids == NULL)
        return YG_OK;
    YG_TRY(label_rows(f, b, rows));
    uint32_t trace = NONE; // spans of a trace often lie together
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1)) {
        if (!yg_vec_has(ids, r))
            continue;
        if (trace == NONE || !yg_id128_eq(m->traces[trace].id, ids->ids[r]))
            YG_TRY(trace_for(m, ids->ids[r], &trace, f->err));
        m->traces[trace].labels |= f->labels[r];
        for (uint32_t l = 0; m->counted > 0 && l < f->q->label_count; l++)
            if (m->count_of[l] != NONE && (f->labels[r] & (1u << l)))
                m->counts[(size_t)trace * m->counted + m->count_of[l]]++;
    }
    return YG_OK;
}

static yg_rc list_span(struct finder *f, const struct span *span) {
    if (f->span_count == f->span_cap) {
        uint32_t cap = f->span_cap ? f->span_cap * 2 : 4096;
        struct span *spans = cap * sizeof(*spans) > MEMORY_MAX
                                 ? NULL
                                 : yg_try_realloc(YG_MEM_QUERY, f->spans, sizeof(*spans) * cap);
        if (spans == NULL)
            return yg_fail(f->err, YG_ELIMIT,
                           "query memory of 64 MiB is used up by %u spans of traces whose tree has "
                           "to be looked at; choose a shorter time range or narrower span queries",
                           f->span_count);
        f->spans = spans;
        f->span_cap = cap;
    }
    f->spans[f->span_count++] = *span;
    return YG_OK;
}

static yg_rc list_block(struct finder *f, struct yg_block *b, const uint64_t *rows) {
    const struct yg_vec *ids = NULL, *span = NULL, *parent = NULL;
    YG_TRY(yg_scan_column(b, YG_STR(YG_COL_TRACE_ID), YG_T_ID, &ids, f->err));
    bool opened = false;
    uint32_t trace = NONE;
    yg_id128 last = {0};
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); ids && r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1)) {
        if (!yg_vec_has(ids, r))
            continue;
        if (r == 0 || !yg_id128_eq(last, ids->ids[r]))
            trace = find_trace(f->m, ids->ids[r]);
        last = ids->ids[r];
        if (trace == NONE || !f->m->traces[trace].candidate)
            continue;
        if (!opened) {
            YG_TRY(label_rows(f, b, rows));
            YG_TRY(yg_scan_column(b, YG_STR(YG_COL_SPAN_ID), YG_T_I64, &span, f->err));
            YG_TRY(yg_scan_column(b, YG_STR(YG_COL_PARENT_ID), YG_T_I64, &parent, f->err));
            opened = true;
        }
        struct span s = {.trace = trace,
                         .labels = f->labels[r],
                         .id = span && yg_vec_has(span, r) ? span->i64[r] : 0,
                         .parent = parent && yg_vec_has(parent, r) ? parent->i64[r] : 0};
        YG_TRY(list_span(f, &s));
    }
    return YG_OK;
}

// One pass over the spans that match `filter`.
static yg_rc pass(struct finder *f, struct yg_store *store, const struct yg_node *filter,
                  yg_rc (*fn)(struct finder *f, struct yg_block *b, const uint64_t *rows),
                  struct yg_warnings *warnings, struct yg_query_stats *stats) {
    struct yg_event_query q = {.track = YG_TRACK_SPANS,
                               .range = f->options->range,
                               .filter = filter,
                               .deadline_mono_ns = f->options->deadline_mono_ns,
                               .canceled = f->options->canceled,
                               .canceled_arg = f->options->canceled_arg};
    uint64_t rows[YG_BITS_WORDS(YG_GRANULE_ROWS)];
    YG_TRY(yg_scan_open(store, &q, true, YG_SCAN_BY_SEGMENT, f->arena, warnings, stats, &f->scan,
                        f->err));
    yg_rc rc = yg_scan_pulse(&f->scan, f->err);
    for (uint32_t i = 0; rc == YG_OK && i < f->scan.granule_count; i++) {
        struct yg_block *b = NULL;
        rc = yg_scan_granule(&f->scan, i, &b, rows, f->err);
        if (rc != YG_OK || b == NULL)
            continue;
        struct yg_err local = {0}, *err = f->err;
        f->err = &local;
        rc = fn(f, b, rows);
        f->err = err;
        if (rc == YG_OK || yg_scan_survives(&f->scan, &local))
            rc = YG_OK;
        else if (err)
            *err = local;
    }
    yg_scan_fini(&f->scan);
    return rc;
}

// ------------------------------------------------------------ the tree of one trace

struct tree {
    const struct span *spans; // of one trace, by id
    uint32_t count;
    struct yg_arena *arena;
};

static uint32_t parent_of(const struct tree *t, uint32_t i) {
    int64_t id = t->spans[i].parent;
    uint32_t low = 0, high = t->count;
    while (id != 0 && low < high) {
        uint32_t mid = (low + high) / 2;
        if (t->spans[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return id != 0 && low < t->count && t->spans[low].id == id && low != i ? low : NONE;
}

enum { UNKNOWN, BELOW, NOT_BELOW, ON_WAY };

// state[i]: whether span i has an ancestor in `set`. Parents that go round in a circle end the way.
static void find_ancestors(const struct tree *t, const uint8_t *set, uint8_t *state,
                           uint32_t *way) {
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t length = 0, at = i;
        uint8_t found = NOT_BELOW;
        while (at != NONE && state[at] == UNKNOWN) {
            state[at] = ON_WAY;
            way[length++] = at;
            uint32_t up = parent_of(t, at);
            if (up != NONE && set[up]) {
                found = BELOW;
                break;
            }
            at = up;
            if (at != NONE && (state[at] == BELOW || state[at] == NOT_BELOW))
                found = state[at];
        }
        // All below the point where it was found share the answer: none of them met one earlier.
        while (length > 0)
            state[way[--length]] = found;
    }
}

// The spans that an expression stands for, a byte each; NULL without memory. Depth: the parser's
// limit.
static uint8_t *span_set(const struct tree *t, const struct yg_trace_expr *e) {
    uint8_t *set = YG_NEW_N(t->arena, uint8_t, t->count + 1);
    if (set == NULL)
        return NULL;
    if (e->op == YG_TRACE_LABEL) {
        for (uint32_t i = 0; i < t->count; i++)
            set[i] = (t->spans[i].labels >> e->label) & 1;
        return set;
    }
    const uint8_t *left = span_set(t, e->left), *right = span_set(t, e->right);
    uint8_t *state = YG_NEW_N(t->arena, uint8_t, t->count + 1);
    uint32_t *way = YG_NEW_N(t->arena, uint32_t, t->count + 1);
    if (left == NULL || right == NULL || state == NULL || way == NULL)
        return NULL;
    if (e->op == YG_TRACE_DESCENDANT)
        find_ancestors(t, left, state, way);
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t up = e->op == YG_TRACE_CHILD && right[i] ? parent_of(t, i) : NONE;
        set[i] = e->op == YG_TRACE_OR      ? left[i] | right[i]
                 : e->op == YG_TRACE_CHILD ? up != NONE && left[up]
                                           : right[i] && state[i] == BELOW;
    }
    return set;
}

static int by_trace(const void *a, const void *b) {
    const struct span *x = a, *y = b;
    if (x->trace != y->trace)
        return x->trace < y->trace ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static yg_rc look_at_trees(struct finder *f) {
    YG_AUTO_ARENA scratch = yg_arena_create(YG_MEM_QUERY, MEMORY_MAX);
    if (scratch == NULL)
        return yg_fail(f->err, YG_ENOMEM, "no memory for trees of traces");
    if (f->span_count > 1)
        qsort(f->spans, f->span_count, sizeof(f->spans[0]), by_trace);
    for (uint32_t from = 0, to; from < f->span_count; from = to) {
        uint32_t trace = f->spans[from].trace;
        for (to = from; to < f->span_count && f->spans[to].trace == trace;)
            to++;
        struct tree t = {f->spans + from, to - from, scratch};
        for (uint32_t r = 0; r < f->m->relation_count; r++) {
            const uint8_t *set = span_set(&t, f->m->relations[r]);
            if (set == NULL)
                return yg_fail(f->err, YG_ENOMEM, "no memory for a trace of %u spans", t.count);
            if (memchr(set, 1, t.count))
                f->m->traces[trace].relations |= 1u << r;
        }
        yg_arena_reset(scratch);
    }
    return YG_OK;
}

// ------------------------------------------------------------ deciding

// Whether a trace with spans of these span queries may have a span in the set.
static bool possible(const struct yg_trace_expr *e, uint32_t labels) {
    if (e->op == YG_TRACE_LABEL)
        return (labels >> e->label) & 1;
    if (e->op == YG_TRACE_OR)
        return possible(e->left, labels) || possible(e->right, labels);
    return possible(e->left, labels) && possible(e->right, labels);
}

static uint32_t possible_relations(const struct yg_trace_matches *m, uint32_t labels) {
    uint32_t bits = 0;
    for (uint32_t r = 0; r < m->relation_count; r++)
        bits |= (uint32_t)possible(m->relations[r], labels) << r;
    return bits;
}

static bool holds(const struct yg_trace_matches *m, const struct yg_trace_expr *e, uint32_t labels,
                  uint32_t relations) {
    switch (e->op) {
    case YG_TRACE_LABEL:
        return (labels >> e->label) & 1;
    case YG_TRACE_AND:
        return holds(m, e->left, labels, relations) && holds(m, e->right, labels, relations);
    case YG_TRACE_OR:
        return holds(m, e->left, labels, relations) || holds(m, e->right, labels, relations);
    case YG_TRACE_NOT:
        return !holds(m, e->left, labels, relations);
    case YG_TRACE_CHILD:
    case YG_TRACE_DESCENDANT:
        for (uint32_t r = 0; r < m->relation_count; r++)
            if (m->relations[r] == e)
                return (relations >> r) & 1;
        break;
    }
    return false;
}

static bool within(const struct yg_trace_cond *c, double v) {
    return (c->min_open ? v > c->min : v >= c->min) && (c->max_open ? v < c->max : v <= c->max);
}

// The conditions on numbers of spans of one span query. counts: NULL = none of any.
static bool counts_hold(const struct yg_trace_matches *m, const uint32_t *counts) {
    for (uint32_t i = 0; i < m->q->cond_count; i++) {
        const struct yg_trace_cond *c = &m->q->conds[i];
        if (c->subject == YG_TRACE_SPAN_COUNT &&
            !within(c, counts ? counts[m->count_of[c->label]] : 0))
            return false;
    }
    return true;
}

static void decide(struct yg_trace_matches *m) {
    for (uint32_t i = 0; i < m->count; i++) {
        struct trace *t = &m->traces[i];
        t->matches = holds(m, m->q->expr, t->labels, t->relations) &&
                     counts_hold(m, m->counts + (size_t)i * m->counted);
    }
    m->others = holds(m, m->q->expr, 0, 0) && counts_hold(m, NULL);
}

// Depth: the parser's limit.
static yg_rc find_relations(struct yg_trace_matches *m, const struct yg_trace_expr *e,
                            struct yg_err *err) {
    if (e == NULL || e->op == YG_TRACE_LABEL)
        return YG_OK;
    if (e->op == YG_TRACE_CHILD || e->op == YG_TRACE_DESCENDANT) {
        if (m->relation_count == 32)
            return yg_fail(err, YG_EINPUT, "more than 32 relations");
        m->relations[m->relation_count++] = e;
        return YG_OK;
    }
    YG_TRY(find_relations(m, e->left, err));
    return find_relations(m, e->right, err);
}

// ------------------------------------------------------------ the whole

static yg_rc any_of(struct finder *f, const struct yg_node *const *nodes, uint32_t count,
                    const struct yg_node **ret) {
    struct yg_node *any = YG_NEW(f->arena, struct yg_node);
    struct yg_node **children = YG_NEW_N(f->arena, struct yg_node *, count + 1);
    struct yg_node *copies = YG_NEW_N(f->arena, struct yg_node, count + 1);
    if (any == NULL || children == NULL || copies == NULL)
        return yg_fail(f->err, YG_ENOMEM, "no memory for a trace query");
    for (uint32_t i = 0; i < count; i++) {
        copies[i] = *nodes[i];
        children[i] = &copies[i];
    }
    *any = (struct yg_node){.kind = YG_NODE_OR, .children = children, .child_count = count};
    *ret = count == 1 ? nodes[0] : any;
    return YG_OK;
}

// Traces by id, for the key index.
static yg_rc ids_filter(struct finder *f, uint32_t count, const struct yg_node **ret) {
    const struct yg_node *terms[BY_ID_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->m->count && n < count; i++) {
        if (!f->m->traces[i].candidate)
            continue;
        struct yg_node *term = YG_NEW(f->arena, struct yg_node);
        char *text = yg_arena_alloc(f->arena, 33);
        if (term == NULL || text == NULL)
            return yg_fail(f->err, YG_ENOMEM, "no memory for a trace query");
        yg_id128_hex(f->m->traces[i].id, text);
        *term = (struct yg_node){.kind = YG_NODE_TERM,
                                 .field = {YG_FIELD_RESERVED, YG_STR(YG_COL_TRACE_ID)},
                                 .text = {text, 32}};
        terms[n++] = term;
    }
    return any_of(f, terms, n, ret);
}

static yg_rc find_trees(struct finder *f, struct yg_store *store, const struct yg_node *matching,
                        struct yg_warnings *warnings, struct yg_query_stats *stats) {
    uint32_t candidates = 0;
    for (uint32_t i = 0; i < f->m->count; i++) {
        struct trace *t = &f->m->traces[i];
        t->candidate = possible_relations(f->m, t->labels) != 0;
        candidates += t->candidate;
    }
    if (candidates == 0)
        return YG_OK;
    const struct yg_node *filter = f->q->has_descendant ? NULL : matching;
    if (candidates <= BY_ID_MAX)
        YG_TRY(ids_filter(f, candidates, &filter));
    if (f->q->label_count == 1 && filter != matching) // its rows are not those of the scan
        YG_TRY(yg_filter_compile(f->q->searches[0], f->options->range, &f->filters[0], f->err));
    YG_TRY(pass(f, store, filter, list_block, warnings, stats));
    return look_at_trees(f);
}

static yg_rc find_all(struct finder *f, struct yg_store *store, struct yg_warnings *warnings,
                      struct yg_query_stats *stats) {
    const struct yg_trace_query *q = f->q;
    const struct yg_node *matching = NULL;
    for (uint32_t l = 0; l < q->label_count; l++)
        f->m->count_of[l] = NONE;
    for (uint32_t i = 0; i < q->cond_count; i++)
        if (q->conds[i].subject == YG_TRACE_SPAN_COUNT && f->m->count_of[q->conds[i].label] == NONE)
            f->m->count_of[q->conds[i].label] = f->m->counted++;
    YG_TRY(find_relations(f->m, q->expr, f->err));
    for (uint32_t l = 0; q->label_count > 1 && l < q->label_count; l++)
        YG_TRY(yg_filter_compile(q->searches[l], f->options->range, &f->filters[l], f->err));
    YG_TRY(any_of(f, q->searches, q->label_count, &matching));
    YG_TRY(pass(f, store, matching, count_block, warnings, stats));
    if (f->m->relation_count > 0)
        YG_TRY(find_trees(f, store, matching, warnings, stats));
    decide(f->m);
    return YG_OK;
}

yg_rc yg_trace_matches_find(struct yg_store *store, const struct yg_trace_query *query,
                            const struct yg_trace_search_options *options, struct yg_arena *arena,
                            struct yg_warnings *warnings, struct yg_query_stats *stats,
                            struct yg_trace_matches **ret_matches, struct yg_err *err) {
    struct finder *f = yg_calloc(YG_MEM_QUERY, 1, sizeof(*f));
    f->m = yg_calloc(YG_MEM_QUERY, 1, sizeof(*f->m));
    f->m->q = f->q = query;
    f->options = options;
    f->arena = arena;
    f->err = err;
    yg_rc rc = find_all(f, store, warnings, stats);
    for (uint32_t l = 0; l < YG_TRACE_LABELS_MAX; l++)
        yg_filter_destroy(f->filters[l]);
    yg_free(YG_MEM_QUERY, f->spans);
    if (rc == YG_OK)
        *ret_matches = f->m;
    else
        yg_trace_matches_destroy(f->m);
    yg_free(YG_MEM_QUERY, f);
    return rc;
}

void yg_trace_matches_destroy(struct yg_trace_matches *m) {
    if (m == NULL)
        return;
    yg_free(YG_MEM_QUERY, m->traces);
    yg_free(YG_MEM_QUERY, m->counts);
    yg_free(YG_MEM_QUERY, m->slots);
    yg_free(YG_MEM_QUERY, m);
}

bool yg_trace_matches_has(const struct yg_trace_matches *m, yg_id128 id, uint64_t span_count,
                          int64_t duration_ns) {
    uint32_t trace = find_trace(m, id);
    if (trace == NONE ? !m->others : !m->traces[trace].matches)
        return false;
    for (uint32_t i = 0; i < m->q->cond_count; i++) {
        const struct yg_trace_cond *c = &m->q->conds[i];
        if ((c->subject == YG_TRACE_TOTAL_SPANS && !within(c, (double)span_count)) ||
            (c->subject == YG_TRACE_DURATION && !within(c, (double)duration_ns)))
            return false;
    }
    return true;
}
