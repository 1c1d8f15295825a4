// SPDX-License-Identifier: Apache-2.0
// Columns that follow others: values decided by another column's value (function → version), and
// parents of spans as distances to the parent's row. docs/formats/segment.md §3.
#include "base/hash.h"
#include "base/panic.h"
#include "store/segment_writer.h"

#define EXCEPTIONS_DEN 64u   // one value in so many may differ from the map
#define FOLLOW_VALUES 1024u  // fewer are not worth a map
#define PARENT_SHARE_DEN 32u // a parent stands in at least one row of so many

// ------------------------------------------------------------ following values

yg_rc yg_seg_follow_keep(struct w_work *sw, const struct w_view *view, uint32_t number,
                         struct yg_err *err) {
    const struct yg_stripe_values *v = &view->v;
    if (sw->w->options.plain || !view->coded || v->dict_count < 2 ||
        sw->parent_count == W_PARENTS_MAX || v->count < FOLLOW_VALUES ||
        v->count < sw->src->row_count / PARENT_SHARE_DEN)
        return YG_OK;
    uint32_t *codes = yg_arena_alloc(sw->arena, sizeof(*codes) * sw->src->row_count);
    if (codes == NULL)
        return yg_seg_writer_no_memory(err);
    if (v->count < sw->src->row_count)
        memset(codes, 0xff, sizeof(*codes) * sw->src->row_count);
    for (uint32_t i = 0; i < v->count; i++)
        codes[v->rows[i]] = v->codes[i];
    sw->parents[sw->parent_count++] = (struct w_parent){number, v->dict_count, codes};
    return YG_OK;
}

// Fills the map by each parent code's first value; false when too many values differ.
static bool follows(const struct w_parent *p, const struct yg_stripe_values *v, uint32_t *map) {
    uint32_t differ = 0, most = v->count / EXCEPTIONS_DEN;
    memset(map, 0, sizeof(*map) * p->dict_count);
    for (uint32_t i = 0; i < v->count; i++) {
        uint32_t code = p->codes[v->rows[i]];
        if (code == YG_COLUMN_NONE) {
            differ++;
        } else if (map[code] == 0) {
            map[code] = v->codes[i] + 1;
            continue;
        } else {
            differ += map[code] != v->codes[i] + 1;
        }
        if (differ > most)
            return false;
    }
    return true;
}

static yg_rc write_map(struct w_work *sw, const struct w_parent *p, const uint32_t *map,
                       struct w_record *rec, struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    yg_str *strs = yg_arena_alloc(sw->column, sizeof(*strs) * p->dict_count);
    if (strs == NULL)
        return yg_seg_writer_no_memory(err);
    for (uint32_t i = 0; i < p->dict_count; i++)
        strs[i] = yg_str_n((const char *)&map[i], sizeof(map[i]));
    uint64_t at = yg_seg_writer_position(w);
    YG_TRY(yg_encode_dict(&w->enc, strs, p->dict_count, &w->out, err));
    rec->head.map =
        (struct yg_seg_dict_entry){at, (uint32_t)(yg_seg_writer_position(w) - at), p->dict_count};
    rec->head.parent = p->number;
    return YG_OK;
}

yg_rc yg_seg_follow_find(struct w_work *sw, const struct w_view *view, struct w_record *rec,
                         struct w_lean *lean, struct yg_err *err) {
    const struct yg_stripe_values *v = &view->v;
    if (sw->w->options.plain || !view->coded || v->dict_count < 2 || v->count < FOLLOW_VALUES)
        return YG_OK;
    // Parents come from many values to few: the one with the fewest has the smallest map.
    for (uint32_t i = sw->parent_count; i-- > 0;) {
        const struct w_parent *p = &sw->parents[i];
        if (p->dict_count < v->dict_count || p->dict_count > v->count / 8)
            continue;
        uint32_t *map = yg_arena_alloc(sw->column, sizeof(*map) * p->dict_count);
        if (map == NULL)
            return yg_seg_writer_no_memory(err);
        if (!follows(p, v, map))
            continue;
        lean->parent = p;
        lean->map = map;
        return write_map(sw, p, map, rec, err);
    }
    return YG_OK;
}

bool yg_seg_follow_granule(struct w_work *sw, const struct w_lean *lean, const uint32_t *rows,
                           const uint32_t *codes, uint32_t count) {
    uint16_t places[YG_GRANULE_ROWS / 16 + 1];
    uint32_t values[YG_GRANULE_ROWS / 16 + 1], n = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = lean->parent->codes[rows[i]];
        if (code != YG_COLUMN_NONE && lean->map[code] == codes[i] + 1)
            continue;
        if (n > count / 16)
            return false;
        places[n] = (uint16_t)i;
        values[n++] = codes[i];
    }
    yg_buf_reset(&sw->given);
    yg_buf_put(&sw->given, &n, sizeof(n));
    yg_buf_put(&sw->given, places, 2 * (size_t)n);
    yg_buf_put(&sw->given, values, 4 * (size_t)n);
    return !sw->given.failed;
}

// ------------------------------------------------------------ parent rows

yg_rc yg_seg_rows_keep(struct w_work *sw, const struct w_view *view, uint32_t number,
                       struct yg_err *err) {
    if (sw->w->options.plain || sw->src->track != YG_TRACK_SPANS || view->col->type != YG_T_I64 ||
        !yg_str_eq_c(view->col->name, YG_COL_SPAN_ID))
        return YG_OK;
    int64_t *spans = YG_NEW_N(sw->arena, int64_t, sw->src->row_count);
    if (spans == NULL)
        return yg_seg_writer_no_memory(err);
    for (uint32_t i = 0; i < view->v.count; i++)
        spans[view->v.rows[i]] = view->v.i64[i];
    sw->spans = spans;
    sw->span_number = number;
    return YG_OK;
}

#define ROW_SLOTS (2u * YG_GRANULE_ROWS)

// Where the granule's span ids stand; the first of two equal ones counts.
static void index_spans(const struct w_work *sw, uint32_t from, uint32_t to, uint16_t *slots) {
    memset(slots, 0, sizeof(*slots) * ROW_SLOTS);
    for (uint32_t r = from; r < to; r++) {
        uint32_t at = (uint32_t)yg_hash_u64((uint64_t)sw->spans[r]) & (ROW_SLOTS - 1);
        while (slots[at] && sw->spans[from + slots[at] - 1u] != sw->spans[r])
            at = (at + 1) & (ROW_SLOTS - 1);
        if (slots[at] == 0 && sw->spans[r] != 0)
            slots[at] = (uint16_t)(r - from + 1);
    }
}

static uint32_t find_span(const struct w_work *sw, uint32_t from, const uint16_t *slots,
                          int64_t id) {
    uint32_t at = (uint32_t)yg_hash_u64((uint64_t)id) & (ROW_SLOTS - 1);
    for (; slots[at]; at = (at + 1) & (ROW_SLOTS - 1))
        if (sw->spans[from + slots[at] - 1u] == id)
            return slots[at] - 1u;
    return YG_COLUMN_NONE;
}

struct rows_out {
    uint8_t codes[YG_GRANULE_ROWS];
    uint16_t wide[YG_GRANULE_ROWS];
    int64_t raw[YG_GRANULE_ROWS];
    uint16_t slots[ROW_SLOTS];
    uint32_t head[3]; // raw, wide, frame bytes
};

static void put_value(struct rows_out *o, uint32_t i, uint32_t row, uint32_t parent, int64_t v) {
    uint32_t d = parent <= row ? (row - parent) << 1 : ((parent - row - 1) << 1) | 1;
    if (v == 0) {
        o->codes[i] = 0;
    } else if (parent == YG_COLUMN_NONE) {
        o->codes[i] = 1;
        o->raw[o->head[0]++] = v;
    } else if (d > UINT8_MAX - 3) {
        o->codes[i] = 2;
        o->wide[o->head[1]++] = (uint16_t)d;
    } else {
        o->codes[i] = (uint8_t)(d + 3);
    }
}

bool yg_seg_rows_granule(struct w_work *sw, const uint32_t *rows, const int64_t *values,
                         uint32_t count, uint32_t granule) {
    uint32_t from = sw->cuts[granule];
    struct rows_out *o = yg_alloc(YG_MEM_STORE, sizeof(*o));
    memset(o->head, 0, sizeof(o->head));
    index_spans(sw, from, sw->cuts[granule + 1], o->slots);
    for (uint32_t i = 0; i < count; i++)
        put_value(o, i, rows[i] - from, find_span(sw, from, o->slots, values[i]), values[i]);
    size_t room = ZSTD_compressBound(count);
    char *frame = yg_alloc(YG_MEM_STORE, room);
    size_t got = ZSTD_compressCCtx(sw->w->enc.zstd, frame, room, o->codes, count, 1);
    bool ok = !ZSTD_isError(got) && o->head[0] <= count / 2;
    o->head[2] = (uint32_t)got;
    if (ok) {
        yg_buf_reset(&sw->given);
        yg_buf_put(&sw->given, o->head, sizeof(o->head));
        yg_buf_put(&sw->given, frame, got);
        yg_buf_put(&sw->given, o->wide, 2 * (size_t)o->head[1]);
        yg_buf_put(&sw->given, o->raw, 8 * (size_t)o->head[0]);
        ok = !sw->given.failed;
    }
    yg_free(YG_MEM_STORE, frame);
    yg_free(YG_MEM_STORE, o);
    return ok;
}
