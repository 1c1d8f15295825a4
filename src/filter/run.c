// SPDX-License-Identifier: Apache-2.0
// Running a compiled filter over a block: bitmaps, dictionary outcomes, skipping by statistics.
#include "filter/steps.h"

#include <math.h>

#include "base/hash.h"
#include "base/panic.h"
#include "filter/kernels.h"

// Rows that a source may decide: in mask, present, not yet found.
static inline uint64_t wanted(const uint64_t *mask, const uint64_t *present, const uint64_t *out,
                              uint32_t word) {
    return mask[word] & (present ? present[word] : ~UINT64_C(0)) & ~out[word];
}

// Runs `test` (an expression of row r) for the wanted rows.
#define EACH_WANTED_ROW(b, mask, v, out, test)                                                     \
    do {                                                                                           \
        for (uint32_t w_ = 0; w_ < YG_BITS_WORDS((b)->row_count); w_++) {                          \
            uint64_t found_ = 0;                                                                   \
            for (uint64_t todo_ = wanted((mask), (v)->present, (out), w_); todo_;                  \
                 todo_ &= todo_ - 1) {                                                             \
                uint32_t bit_ = (uint32_t)__builtin_ctzll(todo_), r = w_ * 64 + bit_;              \
                if (test)                                                                          \
                    found_ |= UINT64_C(1) << bit_;                                                 \
            }                                                                                      \
            (out)[w_] |= found_;                                                                   \
        }                                                                                          \
    } while (0)

struct leaf_run {
    struct yg_filter *f;
    const struct yg_leaf *leaf;
    const struct yg_source *source;
    uint32_t source_idx;
    struct yg_memo_table *memos;
    struct yg_block *b;
    const uint64_t *mask;
    uint64_t *out;
};

static bool test_text(const struct leaf_run *x, yg_str v, bool json) {
    switch (x->source->kind) {
    case YG_SOURCE_TAG:
    case YG_SOURCE_TAGS:
        return yg_leaf_tags(x->leaf, v, x->source);
    case YG_SOURCE_PATH:
        return yg_leaf_json(x->leaf, v, x->source->key, x->f->scratch);
    case YG_SOURCE_COLUMN:
        return json ? yg_leaf_json(x->leaf, v, (yg_str){0}, x->f->scratch)
                    : yg_leaf_str(x->leaf, v, false);
    }
    return false;
}

// out |= hits where a row is asked for and has a value.
static void add_hits(const struct leaf_run *x, const struct yg_vec *v, const uint64_t *hits) {
    for (uint32_t w = 0; w < YG_BITS_WORDS(x->b->row_count); w++)
        x->out[w] |= hits[w] & wanted(x->mask, v->present, x->out, w);
}

// Equality on a dictionary: at most one code answers.
static bool find_code(const struct yg_dict *d, yg_str text, uint32_t *ret_code) {
    for (uint32_t c = 0; c < d->count; c++)
        if (yg_str_eq(d->strs[c], text)) {
            *ret_code = c;
            return true;
        }
    return false;
}

static void run_term_on_dict(const struct leaf_run *x, const struct yg_vec *v, uint8_t *memo) {
    uint32_t code = 0;
    if (memo[v->dict->count] == 0) { // the byte past the codes: whether the search was made
        memo[v->dict->count] = 1;
        if (find_code(v->dict, x->leaf->text, &code))
            memo[code] = 2;
    } else {
        const uint8_t *hit = memchr(memo, 2, v->dict->count);
        code = hit ? (uint32_t)(hit - memo) : 0;
    }
    if (v->dict->count == 0 || memo[code] != 2)
        return;
    uint64_t hits[YG_REGISTER_WORDS];
    yg_rows_code(v->codes, x->b->row_count, code, hits);
    add_hits(x, v, hits);
}

// Asks for the values of the wanted rows that were not asked for before, then looks them all up.
static void run_memo(const struct leaf_run *x, const struct yg_vec *v, uint8_t *memo, bool json) {
    uint64_t hits[YG_REGISTER_WORDS];
    for (uint32_t w = 0; w < YG_BITS_WORDS(x->b->row_count); w++)
        for (uint64_t todo = wanted(x->mask, v->present, x->out, w); todo; todo &= todo - 1) {
            uint32_t code = v->codes[w * 64 + (uint32_t)__builtin_ctzll(todo)];
            if (memo[code] == 0)
                memo[code] = test_text(x, v->dict->strs[code], json) ? 2 : 1;
        }
    yg_rows_outcome(v->codes, x->b->row_count, memo, hits);
    add_hits(x, v, hits);
}

static bool leaf_matches(void *ctx, yg_str text) {
    return yg_leaf_str(ctx, text, false);
}

// Patterns and expressions on strings without a dictionary: all rows of the chunk in one pass.
static bool run_pattern_on_chunk(const struct leaf_run *x, const struct yg_vec *v) {
    bool odd = false;
    const struct yg_finder *need = yg_leaf_need(x->leaf, false, &odd);
    if (need == NULL || x->source->kind != YG_SOURCE_COLUMN || v->strs == NULL)
        return false;
    uint64_t todo[YG_REGISTER_WORDS];
    for (uint32_t w = 0; w < YG_BITS_WORDS(x->b->row_count); w++)
        todo[w] = wanted(x->mask, v->present, x->out, w);
    struct yg_text_rows rows = {
        .strs = v->strs,
        .row_count = x->b->row_count,
        .wanted = todo,
        .out = x->out,
        .matches = leaf_matches,
        .ctx = (void *)(uintptr_t)x->leaf,
    };
    return yg_text_rows_find(&rows, need, odd);
}

static void run_text(const struct leaf_run *x, const struct yg_vec *v) {
    bool json = v->type == YG_T_JSON;
    uint8_t *memo = v->dict ? yg_memo_get(x->memos, v->dict, x->source_idx * 2 + json) : NULL;
    if (memo && !json && x->leaf->kind == YG_NODE_TERM && !x->leaf->status &&
        x->source->kind == YG_SOURCE_COLUMN) {
        run_term_on_dict(x, v, memo);
        return;
    }
    if (memo)
        run_memo(x, v, memo, json);
    else if (json || !run_pattern_on_chunk(x, v))
        EACH_WANTED_ROW(x->b, x->mask, v, x->out, test_text(x, yg_vec_str(v, r), json));
}

// The range of whole numbers that a numeric range allows; false where doubles round.
static bool whole_bounds(const struct yg_leaf *l, int64_t *ret_lo, int64_t *ret_hi) {
    const double exact = 9007199254740992.0; // 2^53
    if (!l->numeric || (l->has_lo && !(fabs(l->lo) < exact)) ||
        (l->has_hi && !(fabs(l->hi) < exact)))
        return false;
    *ret_lo = !l->has_lo ? INT64_MIN : (int64_t)(l->lo_open ? floor(l->lo) + 1 : ceil(l->lo));
    *ret_hi = !l->has_hi ? INT64_MAX : (int64_t)(l->hi_open ? ceil(l->hi) - 1 : floor(l->hi));
    return true;
}

static void run_i64(const struct leaf_run *x, const struct yg_vec *v) {
    const struct yg_leaf *l = x->leaf;
    bool is_id = yg_str_eq_c(x->source->column, YG_COL_SPAN_ID) ||
                 yg_str_eq_c(x->source->column, YG_COL_PARENT_ID);
    int64_t lo = l->i64, hi = l->i64;
    bool plain = !is_id && ((l->kind == YG_NODE_TERM && l->has_i64) ||
                            (l->kind == YG_NODE_RANGE && whole_bounds(l, &lo, &hi)));
    if (!plain) {
        EACH_WANTED_ROW(x->b, x->mask, v, x->out, yg_leaf_i64(l, v->i64[r], is_id));
        return;
    }
    uint64_t hits[YG_REGISTER_WORDS];
    yg_rows_i64(v->i64, x->b->row_count, lo, hi, hits);
    add_hits(x, v, hits);
}

// Values repeat, and the text of one is dear: outcomes of the newest, 0 = not asked.
#define F64_MEMO_SLOTS 512u
struct f64_memo {
    uint64_t bits[F64_MEMO_SLOTS];
    uint8_t outcome[F64_MEMO_SLOTS];
};

static bool f64_memo_test(struct f64_memo *m, const struct yg_leaf *l, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    uint32_t slot = (uint32_t)yg_hash_u64(bits) % F64_MEMO_SLOTS;
    if (m->outcome[slot] == 0 || m->bits[slot] != bits) {
        m->bits[slot] = bits;
        m->outcome[slot] = yg_leaf_f64(l, v) ? 2 : 1;
    }
    return m->outcome[slot] == 2;
}

static void run_f64(const struct leaf_run *x, const struct yg_vec *v) {
    const struct yg_leaf *l = x->leaf;
    uint64_t hits[YG_REGISTER_WORDS];
    if (l->kind == YG_NODE_TERM && l->has_f64) {
        yg_rows_f64(v->f64, x->b->row_count, l->f64, false, l->f64, false, hits);
    } else if (l->kind == YG_NODE_RANGE && l->numeric) {
        double lo = l->has_lo ? l->lo : -HUGE_VAL, hi = l->has_hi ? l->hi : HUGE_VAL;
        yg_rows_f64(v->f64, x->b->row_count, lo, l->has_lo && l->lo_open, hi,
                    l->has_hi && l->hi_open, hits);
    } else {
        struct f64_memo memo;
        memset(memo.outcome, 0, sizeof(memo.outcome));
        EACH_WANTED_ROW(x->b, x->mask, v, x->out, f64_memo_test(&memo, l, v->f64[r]));
        return;
    }
    add_hits(x, v, hits);
}

static void run_bool(const struct leaf_run *x, const struct yg_vec *v) {
    uint64_t is_false[YG_REGISTER_WORDS];
    bool yes = yg_leaf_bool(x->leaf, true), no = yg_leaf_bool(x->leaf, false);
    yg_rows_i64(v->i64, x->b->row_count, 0, 0, is_false);
    for (uint32_t w = 0; w < YG_BITS_WORDS(x->b->row_count); w++) {
        uint64_t hits = (yes ? ~is_false[w] : 0) | (no ? is_false[w] : 0);
        x->out[w] |= hits & wanted(x->mask, v->present, x->out, w);
    }
}

static void run_exists(const struct leaf_run *x, const struct yg_vec *v) {
    for (uint32_t w = 0; w < YG_BITS_WORDS(x->b->row_count); w++)
        x->out[w] |= x->mask[w] & (v->present ? v->present[w] : ~UINT64_C(0));
}

static void run_vec(const struct leaf_run *x, const struct yg_vec *v) {
    const struct yg_leaf *l = x->leaf;
    bool plain = x->source->kind == YG_SOURCE_COLUMN;
    if (l->kind == YG_NODE_EXISTS && plain) {
        run_exists(x, v);
        return;
    }
    switch (v->type) {
    case YG_T_STR:
        if (x->source->kind != YG_SOURCE_PATH)
            run_text(x, v);
        break;
    case YG_T_JSON:
        if (plain || x->source->kind == YG_SOURCE_PATH)
            run_text(x, v);
        break;
    case YG_T_I64:
        if (plain)
            run_i64(x, v);
        break;
    case YG_T_F64:
        if (plain)
            run_f64(x, v);
        break;
    case YG_T_BOOL:
        if (plain)
            run_bool(x, v);
        break;
    case YG_T_ID:
        if (plain)
            EACH_WANTED_ROW(x->b, x->mask, v, x->out, yg_leaf_id(l, v->ids[r]));
        break;
    case YG_TYPE_COUNT:
        break;
    }
}

static size_t probe_find(const void *ctx, yg_str text, size_t from) {
    return yg_finder_next(ctx, text, from);
}

// Texts are searched where they stand, if the leaf can say what they must hold.
static yg_rc columns_of(const struct leaf_run *x, yg_str name, const struct yg_vec **vecs,
                        uint32_t *count, struct yg_err *err) {
    bool odd = false;
    const struct yg_finder *need = x->b->ops->columns_probed && x->source->kind == YG_SOURCE_COLUMN
                                       ? yg_leaf_need(x->leaf, false, &odd)
                                       : NULL;
    if (need == NULL || need->len == 0)
        return x->b->ops->columns(x->b, name, vecs, count, err);
    struct yg_text_probe probe = {.bytes = need->bytes,
                                  .len = need->len,
                                  .nocase = need->nocase,
                                  .odd = odd,
                                  .find = probe_find,
                                  .ctx = need};
    return x->b->ops->columns_probed(x->b, name, &probe, vecs, count, err);
}

static yg_rc run_column(struct leaf_run *x, yg_str name, struct yg_err *err) {
    const struct yg_vec *vecs[YG_TYPE_COUNT];
    uint32_t count = 0;
    YG_TRY(columns_of(x, name, vecs, &count, err));
    for (uint32_t i = 0; i < count; i++)
        run_vec(x, vecs[i]);
    return YG_OK;
}

// Columns come once per (name, type): a name is run when it is met first.
static yg_rc run_named_columns(struct leaf_run *x,
                               bool (*fits)(const struct yg_leaf *l, yg_str name),
                               struct yg_err *err) {
    struct yg_source source = {.kind = YG_SOURCE_COLUMN};
    yg_str name, last = {0};
    enum yg_type type;
    x->source = &source;
    for (uint32_t i = 0; x->b->ops->column_at(x->b, i, &name, &type); i++) {
        if (yg_str_eq(name, last) || !fits(x->leaf, name))
            continue;
        if (x->leaf->no_number && (type == YG_T_I64 || type == YG_T_F64))
            continue; // not decoded for nothing
        last = name;
        source.column = name;
        x->source_idx = YG_SOURCES_MAX + 1; // dictionaries tell columns apart
        YG_TRY(run_column(x, name, err));
    }
    return YG_OK;
}

static bool fits_fulltext(const struct yg_leaf *l, yg_str name) {
    (void)l;
    return name.len > 0 && name.ptr[0] != '_' && !yg_str_eq_c(name, YG_COL_TIME);
}

static bool fits_prefix(const struct yg_leaf *l, yg_str name) {
    return name.len > l->field_name.len && name.ptr[l->field_name.len] == '.' &&
           yg_str_starts(name, l->field_name);
}

// All logs are in the index "main" until there are several.
static void run_index(const struct leaf_run *x) {
    if (yg_leaf_str(x->leaf, YG_STR("main"), false))
        for (uint32_t w = 0; w < YG_BITS_WORDS(x->b->row_count); w++)
            x->out[w] |= x->mask[w];
}

// Sets bits of `out` for the rows of mask that satisfy the leaf.
static yg_rc run_leaf(struct yg_filter *f, uint32_t leaf, struct yg_block *b, const uint64_t *mask,
                      uint64_t *out, struct yg_err *err) {
    struct leaf_run x = {.f = f,
                         .leaf = f->leaves[leaf],
                         .memos = &f->memos[leaf],
                         .b = b,
                         .mask = mask,
                         .out = out};
    yg_bits_zero(out, b->row_count);
    if (x.leaf->kind == YG_NODE_FULLTEXT)
        return run_named_columns(&x, fits_fulltext, err);
    for (uint32_t i = 0; i < x.leaf->source_count; i++) {
        x.source = &x.leaf->sources[i];
        x.source_idx = i;
        if (!(x.source->tracks & (1u << b->track)))
            continue;
        if (b->track == YG_TRACK_LOGS && yg_str_eq_c(x.source->column, "index"))
            run_index(&x);
        else
            YG_TRY(run_column(&x, x.source->column, err));
    }
    if (x.leaf->kind == YG_NODE_REGEX)
        return yg_regex_check(x.leaf->regex, err);
    return x.leaf->prefix_exists ? run_named_columns(&x, fits_prefix, err) : YG_OK;
}

// ------------------------------------------------------------ the whole filter

static yg_rc start_rows(const struct yg_filter *f, struct yg_block *b, uint64_t *out,
                        struct yg_err *err) {
    yg_bits_fill(out, b->row_count);
    uint32_t words = YG_BITS_WORDS(b->row_count);
    for (uint32_t w = 0; b->live && w < words; w++)
        out[w] &= b->live[w];
    if (b->min_time_ns >= f->range.from_ns && b->max_time_ns < f->range.to_ns)
        return YG_OK;
    const struct yg_vec *vecs[YG_TYPE_COUNT];
    uint32_t count = 0;
    YG_TRY(b->ops->columns(b, YG_STR(YG_COL_TIME), vecs, &count, err));
    if (count != 1 || vecs[0]->type != YG_T_I64)
        return yg_fail(err, YG_ECORRUPT, "segment %llu, granule %u: no column \"timestamp\"",
                       (unsigned long long)b->segment_id, b->granule);
    uint64_t *in_range = f->registers; // not in use yet
    if (f->range.to_ns == INT64_MIN) { // nothing is before that
        yg_bits_zero(out, b->row_count);
        return YG_OK;
    }
    yg_rows_i64(vecs[0]->i64, b->row_count, f->range.from_ns, f->range.to_ns - 1, in_range);
    for (uint32_t w = 0; w < words; w++)
        out[w] &= in_range[w];
    return YG_OK;
}

static uint64_t *reg(const struct yg_filter *f, uint32_t idx) {
    return f->registers + (size_t)idx * YG_REGISTER_WORDS;
}

yg_rc yg_filter_run(struct yg_filter *f, struct yg_block *b, uint64_t *ret_rows,
                    struct yg_err *err) {
    YG_ASSERT(b->row_count <= YG_GRANULE_ROWS);
    uint32_t words = YG_BITS_WORDS(b->row_count);
    YG_TRY(start_rows(f, b, ret_rows, err));
    memcpy(reg(f, 0), ret_rows, words * 8);
    bool none = !yg_bits_any(ret_rows, b->row_count);
    for (uint32_t i = 0; !none && i < f->step_count;) {
        const struct yg_step *s = &f->steps[i++];
        uint64_t *out = reg(f, s->out);
        const uint64_t *other = reg(f, s->other);
        switch (s->op) {
        case YG_STEP_ALL:
            yg_bits_fill(out, b->row_count);
            break;
        case YG_STEP_NONE:
            yg_bits_zero(out, b->row_count);
            break;
        case YG_STEP_LEAF:
            YG_TRY(run_leaf(f, s->leaf, b, reg(f, s->mask), out, err));
            break;
        case YG_STEP_AND:
            for (uint32_t w = 0; w < words; w++)
                out[w] &= other[w];
            break;
        case YG_STEP_OR:
            for (uint32_t w = 0; w < words; w++)
                out[w] |= other[w];
            break;
        case YG_STEP_NOT:
            for (uint32_t w = 0; w < words; w++)
                out[w] = ~out[w];
            break;
        case YG_STEP_JUMP_IF_NONE:
            if (!yg_bits_any(out, b->row_count))
                i = s->jump;
            break;
        }
    }
    for (uint32_t w = 0; !none && w < words; w++)
        ret_rows[w] &= reg(f, 1)[w];
    return YG_OK;
}

// ------------------------------------------------------------ skipping

// True unless statistics prove that no value of (column, type) can satisfy the leaf.
static bool may_match_typed(const struct yg_leaf *l, const struct yg_source *s, struct yg_block *b,
                            enum yg_type type) {
    if (s->kind == YG_SOURCE_PATH && type != YG_T_JSON)
        return false;
    struct yg_vec_stats stats = {0};
    b->ops->stats(b, s->column, type, &stats);
    if (!stats.known)
        return true;
    if (stats.count == 0)
        return false;
    if (!stats.has_range || s->kind != YG_SOURCE_COLUMN)
        return true;
    if (type == YG_T_I64)
        return yg_leaf_may_number(l, (double)stats.min_i64, (double)stats.max_i64);
    if (type == YG_T_F64)
        return yg_leaf_may_number(l, stats.min_f64, stats.max_f64);
    return true;
}

static bool leaf_may_match(const struct yg_leaf *l, struct yg_block *b) {
    if (l->kind == YG_NODE_FULLTEXT || l->prefix_exists)
        return true;
    for (uint32_t i = 0; i < l->source_count; i++) {
        const struct yg_source *s = &l->sources[i];
        if (!(s->tracks & (1u << b->track)))
            continue;
        if (b->track == YG_TRACK_LOGS && yg_str_eq_c(s->column, "index"))
            return true;
        for (int type = 0; type < YG_TYPE_COUNT; type++)
            if (may_match_typed(l, s, b, (enum yg_type)type))
                return true;
    }
    return false;
}

// Depth is the parser's limit.
static bool node_may_match(const struct yg_filter *f, const struct yg_plan_node *n,
                           struct yg_block *b) {
    switch (n->kind) {
    case YG_NODE_NONE:
        return false;
    case YG_NODE_AND:
        for (uint32_t i = 0; i < n->child_count; i++)
            if (!node_may_match(f, n->children[i], b))
                return false;
        return true;
    case YG_NODE_OR:
        for (uint32_t i = 0; i < n->child_count; i++)
            if (node_may_match(f, n->children[i], b))
                return true;
        return false;
    case YG_NODE_ALL:
    case YG_NODE_NOT:
    case YG_NODE_KIND_COUNT:
        return true;
    case YG_NODE_EXISTS:
    case YG_NODE_TERM:
    case YG_NODE_GLOB:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
    case YG_NODE_REGEX:
        return leaf_may_match(f->leaves[n->leaf], b);
    }
    return true;
}

void yg_filter_narrow(struct yg_filter *f, struct yg_time_range range) {
    if (range.from_ns > f->range.from_ns)
        f->range.from_ns = range.from_ns;
    if (range.to_ns < f->range.to_ns)
        f->range.to_ns = range.to_ns;
}

bool yg_filter_may_match(struct yg_filter *f, struct yg_block *b) {
    bool timed = b->min_time_ns <= b->max_time_ns; // a batch may have no times yet
    if (!timed)
        return node_may_match(f, f->plan, b);
    if (b->max_time_ns < f->range.from_ns || b->min_time_ns >= f->range.to_ns)
        return false;
    return node_may_match(f, f->plan, b);
}
