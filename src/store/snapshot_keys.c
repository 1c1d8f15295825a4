// SPDX-License-Identifier: Apache-2.0
// What a segment knows of its granules without reading a chunk: counts and ranges of the directory,
// and the key index. Part of the snapshot (rows.h).
#include "filter/filter.h"
#include "store/key_index.h"
#include "store/store_int.h"

#define DICT_ARENA_BYTES (64u << 20)

static bool meets(const struct yg_seg_entry *e, enum yg_type type, const double range[2]) {
    if (!(e->flags & YG_ENTRY_F_RANGE))
        return true;
    double min = (double)e->min, max = (double)e->max;
    if (type == YG_T_F64) {
        memcpy(&min, &e->min, 8);
        memcpy(&max, &e->max, 8);
    }
    return !(max < range[0]) && !(min > range[1]);
}

// Column of that name and type; column_count: none.
static uint32_t typed_column(const struct yg_segment *seg, yg_str name, enum yg_type type) {
    const struct yg_seg_dir *dir = &seg->dir;
    for (uint32_t c = yg_segment_column(seg, name);
         c < dir->column_count && yg_str_eq(dir->columns[c].name, name); c++)
        if (dir->columns[c].type == type)
            return c;
    return dir->column_count;
}

// Granules of one stripe with a value, but for those set in `but` (may be NULL).
static void present_in_stripe(const struct yg_seg_stripe *st, uint32_t first, uint32_t column,
                              enum yg_type type, const double range[2], const uint64_t *but,
                              uint64_t *bits) {
    const struct yg_seg_record *rec = yg_segment_record(st, column);
    bool rest = rec == NULL && yg_segment_record(st, YG_RECORD_REST) != NULL; // may be in there
    if (rec == NULL && !rest)
        return;
    for (uint32_t g = 0; g < st->granule_count; g++) {
        const struct yg_seg_entry *e = yg_segment_entry(rec, g);
        if (!rest && (e->count == 0 || (range && !meets(e, type, range))))
            continue;
        if (!(but && yg_bits_get(but, first + g)))
            yg_bits_set(bits, first + g);
    }
}

static void present_but(const struct yg_segment *seg, yg_str column, enum yg_type type,
                        const double range[2], const uint64_t *but, uint64_t *bits) {
    const struct yg_seg_dir *dir = &seg->dir;
    uint32_t c = typed_column(seg, column, type), first = 0;
    if (c == dir->column_count)
        return;
    for (uint32_t s = 0; s < dir->stripe_count; s++) {
        present_in_stripe(&dir->stripes[s], first, c, type, range, but, bits);
        first += dir->stripes[s].granule_count;
    }
}

// ------------------------------------------------------------ dictionaries

struct dict_ask {
    bool (*fits)(void *arg, yg_str value);
    void *arg;
    const uint64_t *but; // granules that are not asked for, may be NULL
};

// A stripe whose dictionary was read: hits[c] = codes below c that fit.
static void dict_granules(const struct yg_seg_stripe *st, const struct yg_seg_record *rec,
                          uint32_t first, const uint32_t *hits, uint32_t dict_count,
                          const uint64_t *but, uint64_t *bits) {
    if (hits[dict_count] == 0)
        return;
    for (uint32_t g = 0; g < st->granule_count; g++) {
        const struct yg_seg_entry *e = yg_segment_entry(rec, g);
        bool hit = e->count > 0;
        if (hit && (e->flags & YG_ENTRY_F_CODES) && e->min >= 0 && e->max < dict_count)
            hit = hits[e->max + 1] > hits[e->min];
        if (hit && !(but && yg_bits_get(but, first + g)))
            yg_bits_set(bits, first + g);
    }
}

// False: the stripe has no small dictionary of the column, or it cannot be read.
static bool ask_dict(struct yg_segment *seg, uint32_t stripe, uint32_t first, uint32_t column,
                     const struct dict_ask *ask, struct yg_arena *arena, uint64_t *bits) {
    const struct yg_seg_stripe *st = &seg->dir.stripes[stripe];
    const struct yg_seg_record *rec = yg_segment_record(st, column);
    const struct yg_dict *dict = NULL;
    struct yg_err err;
    if (rec == NULL || rec->head.dict.count > YG_KEY_MANY_VALUES ||
        yg_segment_dict(seg, stripe, column, arena, &dict, &err) != YG_OK || dict == NULL)
        return false;
    uint32_t *hits = YG_NEW_N(arena, uint32_t, dict->count + 1u);
    if (hits == NULL)
        return false;
    for (uint32_t c = 0; c < dict->count; c++)
        hits[c + 1] = hits[c] + ask->fits(ask->arg, dict->strs[c]);
    dict_granules(st, rec, first, hits, dict->count, ask->but, bits);
    return true;
}

// Granules with a string that may fit, but for those set in ask->but.
static void strings(struct yg_segment *seg, yg_str column, const struct dict_ask *ask,
                    uint64_t *bits) {
    const struct yg_seg_dir *dir = &seg->dir;
    uint32_t c = typed_column(seg, column, YG_T_STR), first = 0;
    if (c == dir->column_count)
        return;
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, DICT_ARENA_BYTES);
    for (uint32_t s = 0; s < dir->stripe_count; s++) {
        if (arena == NULL || !ask_dict(seg, s, first, c, ask, arena, bits))
            present_in_stripe(&dir->stripes[s], first, c, YG_T_STR, NULL, ask->but, bits);
        first += dir->stripes[s].granule_count;
        if (arena)
            yg_arena_reset(arena);
    }
    yg_arena_destroy(arena);
}

static void matching(void *ctx, yg_str column, bool (*fits)(void *arg, yg_str value), void *arg,
                     uint64_t *bits) {
    strings(ctx, column, &(struct dict_ask){fits, arg, NULL}, bits);
}

static bool equals(void *arg, yg_str text) {
    return yg_str_eq(text, *(const yg_str *)arg);
}

static void present(void *ctx, yg_str column, enum yg_type type, const double range[2],
                    uint64_t *bits) {
    present_but(ctx, column, type, range, NULL, bits);
}

static void find_key(const struct yg_segment *seg, uint32_t key, uint64_t *bits) {
    struct yg_err err;
    if (yg_key_index_find(&seg->dir.keys, key, bits, &err) == YG_ECORRUPT && seg->damaged)
        atomic_fetch_add_explicit(seg->damaged, 1, memory_order_relaxed);
}

// What the index does not cover stays a candidate.
static void keyed(const struct yg_segment *seg, yg_str column, enum yg_type type,
                  enum yg_key_kind kind, uint32_t key, uint64_t *bits) {
    const uint64_t *covered = yg_key_index_covered(&seg->dir.keys, column, type, kind);
    present_but(seg, column, type, NULL, covered, bits);
    if (covered)
        find_key(seg, key, bits);
}

static void value(void *ctx, yg_str column, yg_str text, uint64_t *bits) {
    struct yg_segment *seg = ctx;
    const uint64_t *covered = yg_key_index_covered(&seg->dir.keys, column, YG_T_STR, YG_KEY_VALUE);
    strings(seg, column, &(struct dict_ask){equals, &text, covered}, bits);
    if (covered)
        find_key(seg, yg_key_of_value(column, text), bits);
}

static void word(void *ctx, yg_str column, yg_str folded_word, uint64_t *bits) {
    keyed(ctx, column, YG_T_STR, YG_KEY_WORD, yg_key_of_word(column, folded_word), bits);
}

static void id(void *ctx, yg_str column, yg_id128 wanted, uint64_t *bits) {
    const struct yg_segment *seg = ctx;
    if (seg->dir.bloom && yg_str_eq_c(column, YG_COL_TRACE_ID) &&
        !yg_segment_may_hold_id(seg, wanted.lo))
        return;
    keyed(seg, column, YG_T_ID, YG_KEY_VALUE, yg_key_of_id(wanted), bits);
}

yg_rc yg_snapshot_granules(struct yg_snapshot *snap, uint32_t segment,
                           struct yg_granules *ret_granules, struct yg_err *err) {
    struct yg_segment *seg;
    YG_TRY(yg_snapshot_load(snap, segment, &seg, err));
    *ret_granules = (struct yg_granules){
        .track = seg->track,
        .count = seg->dir.granule_count,
        .present = present,
        .value = value,
        .id = id,
        .word = word,
        .matching = matching,
        .ctx = seg,
    };
    return YG_OK;
}
