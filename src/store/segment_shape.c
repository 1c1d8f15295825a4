// SPDX-License-Identifier: Apache-2.0
// Shapes: one code a row in place of presence bits in every column. Sets of columns are told apart
// by a sum of mixed column numbers; each column's rows are compared with the shapes before it
// relies on them, so that two sets of one sum cost bytes and never rows.
#include "base/bits.h"
#include "base/hash.h"
#include "base/panic.h"
#include "store/segment_writer.h"

#define TABLE_SLOTS (4u * YG_SEG_SHAPES_MAX)
#define SPARSE_FACTOR 256u // second try: only columns that one row in so many has

static bool in_shapes(const struct w_work *sw, const struct yg_stripe_column *col) {
    bool rest = sw->in_rest && sw->in_rest[col - sw->src->columns];
    return !rest && col->count < sw->src->row_count && col->count >= sw->shapes.sparse_below;
}

static yg_rc sum_rows(struct w_work *sw, uint64_t *sums, struct yg_err *err) {
    const struct yg_stripe_source *src = sw->src;
    memset(sums, 0, sizeof(*sums) * src->row_count);
    for (uint32_t c = 0; c < src->column_count; c++) {
        const uint32_t *rows;
        uint32_t n;
        if (!in_shapes(sw, &src->columns[c]))
            continue;
        yg_arena_reset(sw->column);
        YG_TRY(src->rows(src->ctx, c, sw->column, &rows, &n, err));
        uint64_t mix = yg_hash_u64(c + 1);
        for (uint32_t i = 0; i < n; i++)
            sums[rows[i]] += mix;
    }
    return YG_OK;
}

// Numbers the sums by first use; false: there are too many.
static bool number_shapes(struct w_shapes *s, const uint64_t *sums, uint32_t rows, uint64_t *keys,
                          uint32_t *slots) {
    memset(slots, 0, sizeof(*slots) * TABLE_SLOTS);
    s->count = 0;
    for (uint32_t r = 0; r < rows; r++) {
        if (r > 0 && sums[r] == sums[r - 1]) {
            s->codes[r] = s->codes[r - 1];
            s->rows[s->codes[r]]++;
            continue;
        }
        uint32_t at = (uint32_t)(sums[r] >> 40) & (TABLE_SLOTS - 1);
        while (slots[at] && keys[slots[at] - 1] != sums[r])
            at = (at + 1) & (TABLE_SLOTS - 1);
        if (slots[at] == 0) {
            if (s->count == YG_SEG_SHAPES_MAX)
                return false;
            keys[s->count] = sums[r];
            s->rows[s->count] = 0;
            slots[at] = ++s->count;
        }
        s->codes[r] = slots[at] - 1;
        s->rows[s->codes[r]]++;
    }
    return true;
}

// Are codes smaller than what they replace?
static bool pays(const struct w_work *sw) {
    uint64_t presence = 0, rows = sw->src->row_count;
    for (uint32_t c = 0; c < sw->src->column_count; c++) {
        uint64_t n = sw->src->columns[c].count;
        if (in_shapes(sw, &sw->src->columns[c]))
            presence += 2 * n < rows / 8 ? 2 * n : rows / 8;
    }
    uint32_t width = 0;
    while ((1u << width) < sw->shapes.count)
        width++;
    return rows * width / 8 + 64 * sw->shapes.count < presence;
}

yg_rc yg_seg_shapes_build(struct w_work *sw, struct yg_err *err) {
    struct w_shapes *s = &sw->shapes;
    uint32_t rows = sw->src->row_count;
    if (sw->w->options.plain)
        return YG_OK;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_STORE, (size_t)1 << 30);
    uint64_t *sums = yg_arena_alloc(arena, sizeof(*sums) * rows);
    uint64_t *keys = yg_arena_alloc(arena, sizeof(*keys) * YG_SEG_SHAPES_MAX);
    uint32_t *slots = yg_arena_alloc(arena, sizeof(*slots) * TABLE_SLOTS);
    s->codes = yg_arena_alloc(sw->arena, sizeof(*s->codes) * rows);
    s->rows = yg_arena_alloc(sw->arena, sizeof(*s->rows) * YG_SEG_SHAPES_MAX);
    s->seen = yg_arena_alloc(sw->arena, sizeof(*s->seen) * YG_SEG_SHAPES_MAX);
    if (sums == NULL || keys == NULL || slots == NULL || s->codes == NULL || s->rows == NULL ||
        s->seen == NULL)
        return yg_seg_writer_no_memory(err);
    for (int attempt = 0; attempt < 2 && !s->on; attempt++) {
        s->sparse_below = attempt ? rows / SPARSE_FACTOR : 0;
        YG_TRY(sum_rows(sw, sums, err));
        s->on = number_shapes(s, sums, rows, keys, slots) && pays(sw);
    }
    if (!s->on)
        return YG_OK;
    s->stride = (sw->src->column_count + 7) / 8;
    s->bits = YG_NEW_N(sw->arena, uint8_t, (size_t)s->count * s->stride);
    return s->bits ? YG_OK : yg_seg_writer_no_memory(err);
}

bool yg_seg_shapes_take(struct w_work *sw, const struct w_view *view, struct w_record *rec) {
    struct w_shapes *s = &sw->shapes;
    if (!s->on || !in_shapes(sw, view->col) || s->bit_count == s->stride * 8)
        return false;
    memset(s->seen, 0, sizeof(*s->seen) * s->count);
    for (uint32_t i = 0; i < view->v.count; i++)
        s->seen[s->codes[view->v.rows[i]]]++;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->seen[i] != 0 && s->seen[i] != s->rows[i])
            return false;
    uint32_t bit = s->bit_count++;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->seen[i])
            s->bits[(size_t)i * s->stride + bit / 8] |= (uint8_t)(1u << (bit & 7));
    rec->head.shape_bit = bit;
    return true;
}

yg_rc yg_seg_shapes_write(struct w_work *sw, struct yg_err *err) {
    struct w_shapes *s = &sw->shapes;
    struct yg_seg_writer *w = sw->w;
    struct w_record *rec;
    if (s->bit_count == 0)
        return YG_OK;
    yg_arena_reset(sw->column);
    yg_str *strs = yg_arena_alloc(sw->column, sizeof(*strs) * s->count);
    if (strs == NULL)
        return yg_seg_writer_no_memory(err);
    for (uint32_t i = 0; i < s->count; i++)
        strs[i] = yg_str_n((const char *)s->bits + (size_t)i * s->stride, (s->bit_count + 7) / 8);
    YG_TRY(yg_seg_writer_record(w, sw->stripe, YG_RECORD_SHAPES, &rec, err));
    uint64_t at = yg_seg_writer_position(w);
    YG_TRY(yg_encode_dict(&w->enc, strs, s->count, &w->out, err));
    rec->head.dict =
        (struct yg_seg_dict_entry){at, (uint32_t)(yg_seg_writer_position(w) - at), s->count};
    for (uint32_t g = 0; g < sw->granule_count; g++) {
        uint32_t rows = sw->cuts[g + 1] - sw->cuts[g];
        struct yg_enc_input in = {
            .type = YG_T_STR,
            .rows = rows,
            .count = rows,
            .coded = true,
            .code_max = s->count - 1,
            .codes = s->codes + sw->cuts[g],
        };
        struct yg_seg_entry e;
        at = yg_seg_writer_position(w);
        YG_TRY(yg_encode_chunk(&w->enc, &in, &w->out, &e, err));
        e.offset = at;
        YG_TRY(yg_seg_writer_entry(w, rec, g, &e, err));
        YG_TRY(yg_seg_writer_flush(w, YG_SEG_WRITER_BUFFER_BYTES, err));
    }
    return YG_OK;
}
