// SPDX-License-Identifier: Apache-2.0
// Which granules of a segment a filter needs to see: statistics and keys put together by AND and
// OR, no value read.
#include "filter/steps.h"

#include <math.h>

#include "base/panic.h"

// Look-ups in one segment; a longer list of values is only asked for presence from then on.
#define KEY_QUESTIONS_MAX 1024u

struct granule_run {
    const struct yg_filter *f;
    const struct yg_granules *g;
    uint32_t words;
    uint64_t *stack; // a level of `words` per depth of the plan, and two for a leaf
    uint32_t questions;
};

static uint64_t *level(const struct granule_run *x, uint32_t depth) {
    return x->stack + (size_t)depth * x->words;
}

static void set_all(const struct granule_run *x, uint64_t *bits) {
    yg_bits_fill(bits, x->g->count);
}

yg_rc yg_leaf_words(struct yg_leaf *l, bool wild, struct yg_arena *arena, struct yg_err *err) {
    struct yg_words w = {0};
    if (l->status || l->kind == YG_NODE_FULLTEXT)
        return YG_OK;
    yg_words_read(&w, l->text, wild);
    yg_str *words = YG_NEW_N(arena, yg_str, w.count + 1);
    bool good = words != NULL;
    for (uint32_t i = 0; i < w.count && good; i++) {
        if (!w.list[i].sure)
            continue;
        yg_str word = yg_arena_str(arena, (yg_str){w.folded + w.list[i].at, w.list[i].len});
        good = word.ptr != NULL;
        words[l->word_count++] = word;
    }
    yg_words_fini(&w);
    l->words = words;
    return good ? YG_OK : yg_fail(err, YG_ENOMEM, "no memory for a search term");
}

// ------------------------------------------------------------ one condition on one column

struct fit {
    const struct yg_leaf *leaf;
    const struct yg_source *source;
};

static bool fits(void *arg, yg_str value) {
    const struct fit *f = arg;
    bool fit = f->source->kind == YG_SOURCE_COLUMN ? yg_leaf_str(f->leaf, value, false)
                                                   : yg_leaf_tags(f->leaf, value, f->source);
    // An expression that gave up: the granule is read, and says so.
    return fit || (f->leaf->kind == YG_NODE_REGEX && yg_regex_check(f->leaf->regex, NULL) != YG_OK);
}

static void matching_granules(const struct granule_run *x, const struct yg_leaf *l,
                              const struct yg_source *s, uint64_t *bits) {
    struct fit f = {l, s};
    if (l->kind == YG_NODE_EXISTS && s->kind == YG_SOURCE_COLUMN)
        x->g->present(x->g->ctx, s->column, YG_T_STR, NULL, bits);
    else
        x->g->matching(x->g->ctx, s->column, fits, &f, bits);
}

static void string_granules(struct granule_run *x, const struct yg_leaf *l,
                            const struct yg_source *s, uint64_t *bits, uint64_t *tmp) {
    yg_str column = s->column;
    const struct yg_granules *g = x->g;
    bool whole = l->kind == YG_NODE_TERM && !l->status;
    uint32_t asked = l->word_count + whole;
    if (asked == 0 || x->questions + asked > KEY_QUESTIONS_MAX) {
        matching_granules(x, l, s, bits);
        return;
    }
    x->questions += asked;
    uint64_t *all = tmp, *one = tmp + x->words;
    set_all(x, all);
    for (uint32_t i = 0; i < asked && yg_bits_any(all, g->count); i++) {
        yg_bits_zero(one, g->count);
        if (i < l->word_count)
            g->word(g->ctx, column, l->words[i], one);
        else
            g->value(g->ctx, column, l->text, one);
        for (uint32_t w = 0; w < x->words; w++)
            all[w] &= one[w];
    }
    for (uint32_t w = 0; w < x->words; w++)
        bits[w] |= all[w];
}

static void id_granules(struct granule_run *x, const struct yg_leaf *l, yg_str column,
                        uint64_t *bits) {
    const struct yg_granules *g = x->g;
    if (l->kind != YG_NODE_TERM || x->questions + l->id_count > KEY_QUESTIONS_MAX) {
        g->present(g->ctx, column, YG_T_ID, NULL, bits);
        return;
    }
    x->questions += l->id_count;
    for (uint32_t i = 0; i < l->id_count; i++)
        g->id(g->ctx, column, l->ids[i], bits);
}

static void number_granules(const struct granule_run *x, const struct yg_leaf *l, yg_str column,
                            enum yg_type type, uint64_t *bits) {
    const struct yg_granules *g = x->g;
    double range[2] = {-HUGE_VAL, HUGE_VAL};
    bool bounded = false;
    if (l->kind == YG_NODE_RANGE) {
        if (!l->numeric || type == YG_T_BOOL)
            return;
        range[0] = l->has_lo ? l->lo : range[0];
        range[1] = l->has_hi ? l->hi : range[1];
        bounded = true;
    } else if (l->kind == YG_NODE_TERM && type == YG_T_BOOL) {
        if (l->boolean < 0)
            return;
        range[0] = range[1] = l->boolean;
        bounded = true;
    } else if (l->kind == YG_NODE_TERM && l->bits_count == 0) {
        if (!l->has_f64)
            return;
        range[0] = range[1] = l->f64;
        bounded = true;
    }
    g->present(g->ctx, column, type, bounded ? range : NULL, bits);
}

static void source_granules(struct granule_run *x, const struct yg_leaf *l,
                            const struct yg_source *s, uint64_t *bits, uint64_t *tmp) {
    const struct yg_granules *g = x->g;
    switch (s->kind) {
    case YG_SOURCE_TAG:
    case YG_SOURCE_TAGS:
        matching_granules(x, l, s, bits);
        return;
    case YG_SOURCE_PATH:
        g->present(g->ctx, s->column, YG_T_JSON, NULL, bits);
        return;
    case YG_SOURCE_COLUMN:
        string_granules(x, l, s, bits, tmp);
        id_granules(x, l, s->column, bits);
        number_granules(x, l, s->column, YG_T_I64, bits);
        number_granules(x, l, s->column, YG_T_F64, bits);
        number_granules(x, l, s->column, YG_T_BOOL, bits);
        g->present(g->ctx, s->column, YG_T_JSON, NULL, bits);
        return;
    }
}

static void leaf_granules(struct granule_run *x, const struct yg_leaf *l, uint64_t *bits,
                          uint64_t *tmp) {
    yg_bits_zero(bits, x->g->count);
    if (l->kind == YG_NODE_FULLTEXT || l->prefix_exists) {
        set_all(x, bits);
        return;
    }
    for (uint32_t i = 0; i < l->source_count; i++) {
        const struct yg_source *s = &l->sources[i];
        if (!(s->tracks & (1u << x->g->track)))
            continue;
        if (x->g->track == YG_TRACK_LOGS && yg_str_eq_c(s->column, "index"))
            set_all(x, bits);
        else
            source_granules(x, l, s, bits, tmp);
    }
}

// ------------------------------------------------------------ the whole filter

// Depth is the parser's limit.
static void node_granules(struct granule_run *x, const struct yg_plan_node *n, uint32_t depth,
                          uint64_t *bits) {
    uint64_t *child = level(x, depth);
    switch (n->kind) {
    case YG_NODE_NONE:
        yg_bits_zero(bits, x->g->count);
        return;
    case YG_NODE_AND:
        set_all(x, bits);
        for (uint32_t i = 0; i < n->child_count && yg_bits_any(bits, x->g->count); i++) {
            node_granules(x, n->children[i], depth + 1, child);
            for (uint32_t w = 0; w < x->words; w++)
                bits[w] &= child[w];
        }
        return;
    case YG_NODE_OR:
        yg_bits_zero(bits, x->g->count);
        for (uint32_t i = 0; i < n->child_count; i++) {
            node_granules(x, n->children[i], depth + 1, child);
            for (uint32_t w = 0; w < x->words; w++)
                bits[w] |= child[w];
        }
        return;
    case YG_NODE_ALL:
    case YG_NODE_NOT:
    case YG_NODE_KIND_COUNT:
        set_all(x, bits);
        return;
    case YG_NODE_EXISTS:
    case YG_NODE_TERM:
    case YG_NODE_GLOB:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
    case YG_NODE_REGEX:
        leaf_granules(x, x->f->leaves[n->leaf], bits, level(x, x->f->plan_depth));
        return;
    }
}

yg_rc yg_filter_granules(struct yg_filter *f, const struct yg_granules *g, uint64_t *ret_bits,
                         struct yg_err *err) {
    struct granule_run x = {.f = f, .g = g, .words = YG_BITS_WORDS(g->count)};
    size_t bytes = (f->plan_depth + 2u) * sizeof(uint64_t) * (x.words + 1u);
    x.stack = yg_try_alloc(YG_MEM_QUERY, bytes);
    if (x.stack == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory to choose among %u granules", g->count);
    node_granules(&x, f->plan, 0, ret_bits);
    yg_free(YG_MEM_QUERY, x.stack);
    return YG_OK;
}
