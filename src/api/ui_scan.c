// SPDX-License-Identifier: Apache-2.0
// One pass over a track's rows for the page's calls: snapshot → segments → granules → filter →
// callback.
#include "api/ui.h"

#include "base/hash.h"
#include "base/panic.h"

#define BLOCK_ARENA_BYTES (96u << 20)

struct pass {
    struct yg_ui_scan *scan;
    struct yg_snapshot *snap;
    struct yg_filter *filter;
    struct yg_arena *arena;
    yg_rc (*fn)(void *ctx, struct yg_block *b, const uint64_t *rows, struct yg_err *err);
    void *ctx;
    uint64_t bits[YG_BITS_WORDS(YG_GRANULE_ROWS)];
};

static yg_rc look_at_block(struct pass *p, struct yg_block *b, struct yg_err *err) {
    YG_ASSERT(b->row_count <= YG_GRANULE_ROWS);
    p->scan->rows += b->row_count;
    if (!yg_filter_may_match(p->filter, b))
        return YG_OK;
    YG_TRY(yg_filter_run(p->filter, b, p->bits, err));
    if (!yg_bits_any(p->bits, b->row_count))
        return YG_OK;
    p->scan->matched += yg_bits_count(p->bits, b->row_count);
    return p->fn(p->ctx, b, p->bits, err);
}

// False when the pass is to end. A damaged block is no reason to end.
static yg_rc one_granule(struct pass *p, uint32_t segment, uint32_t granule, struct yg_err *err) {
    struct yg_ui_scan *scan = p->scan;
    int64_t min_ns = 0;
    int64_t max_ns = 0;
    yg_snapshot_granule_range(p->snap, segment, granule, &min_ns, &max_ns);
    if (max_ns < scan->range.from_ns || min_ns >= scan->range.to_ns)
        return YG_OK;
    struct yg_block *b = NULL;
    yg_rc rc = yg_snapshot_block(p->snap, segment, granule, p->arena, &b, err);
    if (rc == YG_OK)
        rc = look_at_block(p, b, err);
    yg_arena_reset(p->arena);
    if (rc != YG_ECORRUPT)
        return rc;
    scan->damaged++;
    scan->partial = true;
    return YG_OK;
}

static bool out_of_time(const struct yg_ui_scan *scan) {
    return scan->deadline_mono_ns != 0 && yg_mono_ns(scan->clock) > scan->deadline_mono_ns;
}

static yg_rc one_segment(struct pass *p, uint32_t segment, struct yg_err *err) {
    struct yg_ui_scan *scan = p->scan;
    struct yg_segment_info info;
    yg_snapshot_segment(p->snap, segment, &info);
    if (scan->trace_id != NULL && !yg_snapshot_may_hold_trace(p->snap, segment, *scan->trace_id))
        return YG_OK;
    uint64_t rows_before = scan->rows;
    for (uint32_t g = 0; g < info.granule_count && !scan->stop; g++) {
        if (scan->req != NULL && yg_http_gone(scan->req))
            return yg_fail(err, YG_ECANCEL, "nobody waits for the answer");
        if (out_of_time(scan)) {
            scan->partial = true;
            scan->stop = true;
            break;
        }
        YG_TRY(one_granule(p, segment, g, err));
    }
    if (info.row_count > 0)
        scan->bytes += (uint64_t)((double)info.bytes * (double)(scan->rows - rows_before) /
                                  (double)info.row_count);
    return YG_OK;
}

static yg_rc all_segments(struct pass *p, struct yg_err *err) {
    uint32_t count = yg_snapshot_segments(p->snap);
    for (uint32_t s = 0; s < count && !p->scan->stop; s++)
        YG_TRY(one_segment(p, s, err));
    return YG_OK;
}

yg_rc yg_ui_scan_run(struct yg_ui_scan *scan,
                     yg_rc (*fn)(void *ctx, struct yg_block *b, const uint64_t *rows,
                                 struct yg_err *err),
                     void *ctx, struct yg_err *err) {
    static const struct yg_node all = {.kind = YG_NODE_ALL};
    struct pass *p = yg_calloc(YG_MEM_QUERY, 1, sizeof(*p));
    p->scan = scan;
    p->fn = fn;
    p->ctx = ctx;
    yg_rc rc = yg_filter_compile(scan->filter ? scan->filter : &all, scan->range, &p->filter, err);
    if (rc == YG_OK) {
        p->arena = yg_arena_create(YG_MEM_QUERY, BLOCK_ARENA_BYTES);
        rc = yg_snapshot_open(scan->store, scan->track, scan->range, scan->fresh, &p->snap, err);
    }
    if (rc == YG_OK) {
        rc = all_segments(p, err);
        yg_snapshot_close(p->snap);
    }
    yg_arena_destroy(p->arena);
    yg_filter_destroy(p->filter);
    yg_free(YG_MEM_QUERY, p);
    return rc;
}

// ---- columns -----------------------------------------------------------------------------------

yg_rc yg_ui_col_open(struct yg_block *b, const char *name, struct yg_ui_col *ret_col,
                     struct yg_err *err) {
    ret_col->count = 0;
    return b->ops->columns(b, yg_str_c(name), ret_col->vecs, &ret_col->count, err);
}

bool yg_ui_col_value(const struct yg_ui_col *col, uint32_t row, struct yg_value *ret_value) {
    for (uint32_t i = 0; i < col->count; i++)
        if (yg_vec_value(col->vecs[i], row, ret_value))
            return true;
    return false;
}

yg_str yg_ui_col_str(const struct yg_ui_col *col, uint32_t row) {
    for (uint32_t i = 0; i < col->count; i++) {
        const struct yg_vec *v = col->vecs[i];
        if ((v->type == YG_T_STR || v->type == YG_T_JSON) && yg_vec_has(v, row))
            return yg_vec_str(v, row);
    }
    return YG_STR("");
}

int64_t yg_ui_col_i64(const struct yg_ui_col *col, uint32_t row, int64_t otherwise) {
    struct yg_value v;
    if (!yg_ui_col_value(col, row, &v))
        return otherwise;
    switch (v.type) {
    case YG_T_I64:
    case YG_T_BOOL:
        return v.i64;
    case YG_T_F64:
        return v.f64 >= -9.2e18 && v.f64 <= 9.2e18 ? (int64_t)v.f64 : otherwise;
    case YG_T_STR:
    case YG_T_ID:
    case YG_T_JSON:
    case YG_TYPE_COUNT:
        break;
    }
    return otherwise;
}

bool yg_ui_col_id(const struct yg_ui_col *col, uint32_t row, yg_id128 *ret_id) {
    for (uint32_t i = 0; i < col->count; i++)
        if (col->vecs[i]->type == YG_T_ID && yg_vec_has(col->vecs[i], row)) {
            *ret_id = col->vecs[i]->ids[row];
            return true;
        }
    return false;
}

bool yg_ui_col_true(const struct yg_ui_col *col, uint32_t row) {
    struct yg_value v;
    if (!yg_ui_col_value(col, row, &v))
        return false;
    switch (v.type) {
    case YG_T_I64:
    case YG_T_BOOL:
        return v.i64 != 0;
    case YG_T_F64:
        return v.f64 > 0 || v.f64 < 0;
    case YG_T_STR:
        return yg_str_eq_nocase(v.str, YG_STR("true")) || yg_str_eq_c(v.str, "1");
    case YG_T_ID:
    case YG_T_JSON:
    case YG_TYPE_COUNT:
        break;
    }
    return false;
}

// ---- nodes -------------------------------------------------------------------------------------

struct yg_node *yg_ui_term(struct yg_arena *arena, enum yg_field_kind kind, const char *name,
                           yg_str text) {
    struct yg_node *node = YG_NEW(arena, struct yg_node);
    if (node == NULL)
        return NULL;
    node->kind = YG_NODE_TERM;
    node->field = (struct yg_field){.kind = kind, .name = yg_str_c(name)};
    node->text = yg_arena_str(arena, text);
    return node->text.ptr != NULL || text.len == 0 ? node : NULL;
}

static const struct yg_node *not_all(const struct yg_node *node) {
    return node != NULL && node->kind != YG_NODE_ALL ? node : NULL;
}

struct yg_node *yg_ui_all_of(struct yg_arena *arena, const struct yg_node *a,
                             const struct yg_node *b) {
    struct yg_node *node = YG_NEW(arena, struct yg_node);
    struct yg_node **children = YG_NEW_N(arena, struct yg_node *, 2);
    if (node == NULL || children == NULL)
        return NULL;
    node->kind = YG_NODE_ALL;
    const struct yg_node *both[2] = {not_all(a), not_all(b)};
    for (int i = 0; i < 2; i++) {
        if (both[i] == NULL)
            continue;
        struct yg_node *copy = YG_NEW(arena, struct yg_node);
        if (copy == NULL)
            return NULL;
        *copy = *both[i];
        children[node->child_count++] = copy;
    }
    if (node->child_count == 1)
        return children[0];
    if (node->child_count == 2) {
        node->kind = YG_NODE_AND;
        node->children = children;
    }
    return node;
}

// ---- set of ids --------------------------------------------------------------------------------

static uint32_t place_of(const struct yg_ui_ids *set, yg_id128 id) {
    uint32_t mask = set->cap - 1;
    uint32_t at = (uint32_t)yg_hash_u64(id.lo ^ (id.hi * 0x9e3779b97f4a7c15u)) & mask;
    while (!yg_id128_is_zero(set->slots[at]) && !yg_id128_eq(set->slots[at], id))
        at = (at + 1) & mask;
    return at;
}

bool yg_ui_ids_has(const struct yg_ui_ids *set, yg_id128 id) {
    if (yg_id128_is_zero(id))
        return set->has_zero;
    return set->cap > 0 && !yg_id128_is_zero(set->slots[place_of(set, id)]);
}

static bool grow(struct yg_ui_ids *set) {
    struct yg_ui_ids larger = {.cap = set->cap ? set->cap * 2 : 1024, .has_zero = set->has_zero};
    larger.slots = yg_try_alloc(YG_MEM_QUERY, larger.cap * sizeof(yg_id128));
    if (larger.slots == NULL)
        return false;
    memset(larger.slots, 0, larger.cap * sizeof(yg_id128));
    for (uint32_t i = 0; i < set->cap; i++)
        if (!yg_id128_is_zero(set->slots[i]))
            larger.slots[place_of(&larger, set->slots[i])] = set->slots[i];
    larger.len = set->len;
    yg_free(YG_MEM_QUERY, set->slots);
    *set = larger;
    return true;
}

bool yg_ui_ids_add(struct yg_ui_ids *set, yg_id128 id) {
    if (yg_id128_is_zero(id)) {
        set->has_zero = true;
        return true;
    }
    if (set->len * 2 >= set->cap && !grow(set))
        return false;
    yg_id128 *slot = &set->slots[place_of(set, id)];
    set->len += yg_id128_is_zero(*slot);
    *slot = id;
    return true;
}

void yg_ui_ids_fini(struct yg_ui_ids *set) {
    yg_free(YG_MEM_QUERY, set->slots);
    *set = (struct yg_ui_ids){0};
}
