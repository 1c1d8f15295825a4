// SPDX-License-Identifier: Apache-2.0
// Reads chunks that lean on another column: shapes, following values, parent rows, own texts.
#include "store/segment_lean.h"

#include "base/panic.h"
#include "store/pack.h"

static yg_rc damaged(const char *what, struct yg_err *err) {
    return yg_fail(err, YG_ECORRUPT, "%s", what);
}

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "no memory for a column that another leans on");
}

static bool is_string(enum yg_type type) {
    return type == YG_T_STR || type == YG_T_JSON;
}

// The column that the chunk leans on; it must not lean on one itself, nor its texts on a third: a
// damaged directory could close a ring.
static yg_rc read_parent(const struct yg_lean *l, struct yg_seg_values *ret, struct yg_err *err) {
    const struct yg_seg_stripe *st = &l->seg->dir.stripes[l->stripe];
    uint32_t column = l->record->head.parent;
    const struct yg_seg_record *parent =
        column == YG_COLUMN_NONE ? NULL : yg_segment_record(st, column);
    if (parent == NULL || parent->head.parent != YG_COLUMN_NONE ||
        (is_string(l->seg->dir.columns[column].type) && parent->head.dict.stored_bytes == 0))
        return damaged("its parent column is missing or leans on another", err);
    return yg_segment_values_memo(l->seg, l->stripe, l->granule, column, l->memo, l->arena, ret,
                                  err);
}

// Row of the k-th present value, from the one before on.
static uint32_t next_row(const uint64_t *present, uint32_t rows, uint32_t from) {
    return present ? yg_bits_next(present, rows, from) : from;
}

// ------------------------------------------------------------ shapes

#define SHAPE_ROWS_MAX 64u // shapes of a stripe whose rows are kept as bitmaps

// Rows by shape, once for all columns of the granule.
static yg_rc make_shape_rows(const struct yg_seg_values *v, struct yg_seg_memo *memo,
                             struct yg_arena *arena, struct yg_err *err) {
    size_t words = YG_BITS_WORDS(v->rows);
    uint64_t *rows = YG_NEW_N(arena, uint64_t, words * v->dict->count);
    if (rows == NULL)
        return no_memory(err);
    for (uint32_t r = 0; r < v->rows; r++)
        rows[v->codes[r] * words + r / 64] |= UINT64_C(1) << (r & 63);
    memo->shape_rows = rows;
    return YG_OK;
}

static void rows_of_shapes(const struct yg_seg_values *v, const uint8_t *has, uint64_t *bits) {
    for (uint32_t base = 0; base < v->rows; base += 64) {
        uint32_t n = v->rows - base < 64 ? v->rows - base : 64;
        uint64_t word = 0;
        for (uint32_t i = 0; i < n; i++)
            word |= (uint64_t)has[v->codes[base + i]] << i;
        bits[base / 64] = word;
    }
}

yg_rc yg_lean_presence(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                       uint32_t shape_bit, struct yg_seg_memo *memo, struct yg_arena *arena,
                       uint64_t *bits, struct yg_err *err) {
    struct yg_seg_values v;
    const struct yg_seg_record *shapes =
        yg_segment_record(&seg->dir.stripes[stripe], YG_RECORD_SHAPES);
    if (shapes == NULL || shapes->head.parent != YG_COLUMN_NONE ||
        shapes->head.dict.stored_bytes == 0) // else they might lean on what has shapes
        return damaged("the stripe has no shapes", err);
    bool known = memo && memo->values && memo->values[seg->dir.column_count]; // asked for before
    YG_TRY(yg_segment_values_memo(seg, stripe, granule, YG_RECORD_SHAPES, memo, arena, &v, err));
    if (v.count != v.rows || v.codes == NULL || v.dict->count > YG_SEG_SHAPES_MAX)
        return damaged("the granule has no shapes", err);
    uint8_t has[YG_SEG_SHAPES_MAX];
    for (uint32_t i = 0; i < v.dict->count; i++) {
        yg_str s = v.dict->strs[i];
        has[i] = shape_bit / 8 < s.len && ((uint8_t)s.ptr[shape_bit / 8] >> (shape_bit & 7) & 1);
    }
    if (!known || v.dict->count > SHAPE_ROWS_MAX) {
        rows_of_shapes(&v, has, bits);
        return YG_OK;
    }
    if (memo->shape_rows == NULL)
        YG_TRY(make_shape_rows(&v, memo, arena, err));
    size_t words = YG_BITS_WORDS(v.rows);
    for (uint32_t i = 0; i < v.dict->count; i++)
        for (size_t w = 0; has[i] && w < words; w++)
            bits[w] |= memo->shape_rows[i * words + w];
    return YG_OK;
}

// ------------------------------------------------------------ following values
// Body: exceptions u32, then their places among the values (u16 each) and codes (u32 each).

static uint32_t map_code(const struct yg_dict *map, uint32_t parent_code) {
    uint32_t code = 0;
    if (parent_code < map->count && map->strs[parent_code].len == sizeof(code))
        memcpy(&code, map->strs[parent_code].ptr, sizeof(code));
    return code - 1; // YG_COLUMN_NONE: no value seen with it
}

static bool put_exceptions(const struct yg_lean *l, uint32_t *codes) {
    uint32_t n;
    if (l->body.len < sizeof(n))
        return false;
    memcpy(&n, l->body.ptr, sizeof(n));
    if (n > l->count || l->body.len != sizeof(n) + (size_t)n * 6)
        return false;
    const char *places = l->body.ptr + sizeof(n), *values = places + 2 * (size_t)n;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t at;
        memcpy(&at, places + 2 * (size_t)i, 2);
        if (at >= l->count)
            return false;
        memcpy(&codes[at], values + 4 * (size_t)i, 4);
    }
    return true;
}

// The map as an array, where the parent's dictionary is no larger than the granule; else NULL.
static const uint32_t *array_of_map(const struct yg_lean *l, const struct yg_seg_values *parent) {
    uint32_t count = parent->dict ? parent->dict->count : 0;
    if (count == 0 || count > l->count)
        return NULL;
    uint32_t *map = yg_arena_alloc(l->arena, sizeof(*map) * count);
    for (uint32_t i = 0; map && i < count; i++)
        map[i] = map_code(l->map, i);
    return map;
}

// Where both columns have a value in every row; parent codes are below the dictionary's count.
static void follow_all(const struct yg_lean *l, const struct yg_seg_values *parent,
                       const uint32_t *map, uint32_t *codes) {
    for (uint32_t i = 0; i < l->count; i++)
        codes[i] = map ? map[parent->codes[i]] : map_code(l->map, parent->codes[i]);
}

static void follow_some(const struct yg_lean *l, const struct yg_seg_values *parent,
                        const uint32_t *map, uint32_t *codes) {
    uint32_t row = 0, parent_row = 0, k = 0;
    for (uint32_t i = 0; i < l->count; i++, row++) {
        row = next_row(l->present, l->rows, row);
        while (k < parent->count &&
               (parent_row = next_row(parent->present, parent->rows, parent_row)) < row) {
            k++;
            parent_row++;
        }
        bool has = k < parent->count && parent_row == row;
        codes[i] = YG_COLUMN_NONE;
        if (has)
            codes[i] = map ? map[parent->codes[k]] : map_code(l->map, parent->codes[k]);
    }
}

yg_rc yg_lean_codes(const struct yg_lean *l, const uint32_t **ret_codes, struct yg_err *err) {
    struct yg_seg_values parent;
    YG_TRY(read_parent(l, &parent, err));
    if (parent.count > 0 && parent.codes == NULL)
        return damaged("its parent column has no codes", err);
    uint32_t *codes = yg_arena_alloc(l->arena, sizeof(*codes) * (l->count + 1u)), max = 0;
    if (codes == NULL)
        return no_memory(err);
    const uint32_t *map = array_of_map(l, &parent);
    if (l->present == NULL && parent.present == NULL && parent.count == l->count)
        follow_all(l, &parent, map, codes);
    else
        follow_some(l, &parent, map, codes);
    if (!put_exceptions(l, codes))
        return damaged("exceptions do not fit", err);
    for (uint32_t i = 0; i < l->count; i++)
        max = codes[i] > max ? codes[i] : max;
    if (max >= l->dict->count && l->count > 0)
        return damaged("code without a string", err);
    *ret_codes = codes;
    return YG_OK;
}

// ------------------------------------------------------------ parent rows
// Body: raw u32, wide u32, frame u32 (bytes), a zstd frame of a code u8 a value, wide u16 each, raw
// i64 each. Codes: 0: the value 0; 1: the next raw one; 2: the next wide distance; c ≥ 3: distance
// c − 3. A distance d is (d >> 1) rows up when even, (d >> 1) + 1 rows down when odd.

struct rows_reader {
    const uint8_t *codes;
    const char *wide;
    const char *raw;
    uint32_t wide_left;
    uint32_t raw_left;
};

static yg_rc open_rows(const struct yg_lean *l, struct rows_reader *r, struct yg_err *err) {
    uint32_t head[3];
    if (l->body.len < sizeof(head))
        return damaged("parent rows are cut", err);
    memcpy(head, l->body.ptr, sizeof(head));
    if (head[0] > l->count || head[1] > l->count || head[2] > l->body.len ||
        l->body.len != sizeof(head) + head[2] + 2 * (size_t)head[1] + 8 * (size_t)head[0])
        return damaged("parent rows do not fit", err);
    char *codes = yg_arena_alloc(l->arena, l->count + 1u);
    if (codes == NULL)
        return no_memory(err);
    const char *frame = l->body.ptr + sizeof(head);
    size_t got = ZSTD_decompress(codes, l->count, frame, head[2]);
    if (ZSTD_isError(got) || got != l->count)
        return damaged("parent rows do not decompress", err);
    *r = (struct rows_reader){
        .codes = (const uint8_t *)codes,
        .wide = frame + head[2],
        .raw = frame + head[2] + 2 * (size_t)head[1],
        .wide_left = head[1],
        .raw_left = head[0],
    };
    return YG_OK;
}

// The ids of the granule by row, and which rows have one.
static yg_rc ids_by_row(const struct yg_lean *l, const int64_t **ret_ids,
                        const uint64_t **ret_present, struct yg_err *err) {
    struct yg_seg_values v;
    YG_TRY(read_parent(l, &v, err));
    if (v.count == 0 || v.i64 == NULL)
        return damaged("its parent column has no integers", err);
    *ret_present = v.present;
    *ret_ids = v.i64;
    if (v.present == NULL)
        return YG_OK;
    int64_t *ids = YG_NEW_N(l->arena, int64_t, v.rows);
    if (ids == NULL)
        return no_memory(err);
    uint32_t row = 0;
    for (uint32_t k = 0; k < v.count; k++, row++) {
        row = yg_bits_next(v.present, v.rows, row);
        ids[row] = v.i64[k];
    }
    *ret_ids = ids;
    return YG_OK;
}

static bool value_of(struct rows_reader *r, uint32_t code, uint32_t row, uint32_t rows,
                     const int64_t *ids, const uint64_t *present, int64_t *ret) {
    uint32_t d = code - 3;
    *ret = 0;
    if (code == 0)
        return true;
    if (code == 1) {
        if (r->raw_left-- == 0)
            return false;
        memcpy(ret, r->raw, 8);
        r->raw += 8;
        return true;
    }
    if (code == 2) {
        uint16_t wide;
        if (r->wide_left-- == 0)
            return false;
        memcpy(&wide, r->wide, 2);
        r->wide += 2;
        d = wide;
    }
    uint32_t at = d & 1 ? row + (d >> 1) + 1 : row - (d >> 1);
    if (at >= rows || (present && !yg_bits_get(present, at)))
        return false;
    *ret = ids[at];
    return true;
}

yg_rc yg_lean_rows(const struct yg_lean *l, const int64_t **ret_values, struct yg_err *err) {
    struct rows_reader r;
    const int64_t *ids;
    const uint64_t *present;
    YG_TRY(open_rows(l, &r, err));
    YG_TRY(ids_by_row(l, &ids, &present, err));
    int64_t *values = yg_arena_alloc(l->arena, sizeof(*values) * (l->count + 1u));
    if (values == NULL)
        return no_memory(err);
    uint32_t row = 0;
    for (uint32_t i = 0; i < l->count; i++, row++) {
        row = next_row(l->present, l->rows, row);
        if (!value_of(&r, r.codes[i], row, l->rows, ids, present, &values[i]))
            return damaged("parent row outside of the granule", err);
    }
    *ret_values = values;
    return YG_OK;
}

// ------------------------------------------------------------ own texts

struct own {
    struct yg_segment *seg;
    uint32_t stripe;
    uint32_t granule;
    struct yg_seg_memo *memo;
};

size_t yg_own_hex(yg_id128 id, char out[YG_OWN_TEXT_BYTES]) {
    yg_id128_hex(id, out);
    return 32;
}

static size_t put_digits(uint64_t v, char *out) {
    char back[20];
    size_t n = 0;
    do
        back[n++] = (char)('0' + v % 10);
    while (v /= 10);
    for (size_t i = 0; i < n; i++)
        out[i] = back[n - 1 - i];
    return n;
}

size_t yg_own_integer(int64_t v, char out[YG_OWN_TEXT_BYTES]) {
    size_t sign = v < 0;
    out[0] = '-';
    return sign + put_digits(sign ? 0 - (uint64_t)v : (uint64_t)v, out + sign);
}

// Without zeros at the end; not at all where a thousandth is not exact.
size_t yg_own_double(double v, char out[YG_OWN_TEXT_BYTES]) {
    if (!(v >= 0 && v < 1e12))
        return 0;
    uint64_t thousandths = (uint64_t)(v * 1000 + 0.5);
    if ((double)thousandths / 1000 != v)
        return 0;
    size_t n = put_digits(thousandths / 1000, out);
    uint32_t rest = (uint32_t)(thousandths % 1000);
    if (rest == 0)
        return n;
    out[n++] = '.';
    for (uint32_t unit = 100; rest; unit /= 10) {
        out[n++] = (char)('0' + rest / unit);
        rest %= unit;
    }
    return n;
}

static yg_str own_text(const struct yg_seg_values *v, uint32_t k, uint32_t form,
                       struct yg_arena *arena) {
    char text[YG_OWN_TEXT_BYTES];
    size_t n = 0;
    if (v->codes)
        return v->dict->strs[v->codes[k]];
    if (v->strs)
        return v->strs[k];
    if (form == YG_OWN_HEX && v->ids)
        n = yg_own_hex(v->ids[k], text);
    else if (form == YG_OWN_NUMBER && v->i64)
        n = yg_own_integer(v->i64[k], text);
    else if (form == YG_OWN_NUMBER && v->f64)
        n = yg_own_double(v->f64[k], text);
    return n == 0 ? yg_str_n("", 0) : yg_arena_str(arena, yg_str_n(text, n));
}

static yg_rc own_texts(void *ctx, uint32_t slot, struct yg_arena *arena, const yg_str **ret_texts,
                       struct yg_err *err) {
    const struct own *o = ctx;
    const struct yg_seg_stripe *st = &o->seg->dir.stripes[o->stripe];
    struct yg_seg_values v;
    if (slot >= st->own_count)
        return damaged("reference to a column that is not there", err);
    const struct yg_seg_own_entry *own = &st->own[slot];
    YG_TRY(yg_segment_values_memo(o->seg, o->stripe, o->granule, own->column, o->memo, arena, &v,
                                  err));
    yg_str *texts = YG_NEW_N(arena, yg_str, st->granules[o->granule].rows);
    if (texts == NULL)
        return no_memory(err);
    uint32_t row = 0;
    for (uint32_t k = 0; k < v.count; k++, row++) {
        row = next_row(v.present, v.rows, row);
        texts[row] = own_text(&v, k, own->form, arena);
        if (texts[row].ptr == NULL)
            return no_memory(err);
    }
    *ret_texts = texts;
    return YG_OK;
}

static void add_chars(uint64_t chars[4], const char *text) {
    for (; *text; text++)
        chars[(uint8_t)*text >> 6] |= UINT64_C(1) << ((uint8_t)*text & 63);
}

static yg_rc own_chars(void *ctx, uint32_t slot, struct yg_arena *arena, uint64_t ret_chars[4],
                       struct yg_err *err) {
    const struct own *o = ctx;
    const struct yg_seg_stripe *st = &o->seg->dir.stripes[o->stripe];
    memset(ret_chars, 0, sizeof(*ret_chars) * 4);
    if (slot >= st->own_count)
        return damaged("reference to a column that is not there", err);
    const struct yg_seg_own_entry *own = &st->own[slot];
    if (own->form == YG_OWN_TEXT)
        return yg_segment_text_chars(o->seg, o->stripe, o->granule, own->column, arena, ret_chars,
                                     err);
    add_chars(ret_chars, own->form == YG_OWN_HEX ? "0123456789abcdef" : "-.0123456789");
    return YG_OK;
}

yg_rc yg_segment_own_source(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                            uint32_t column, struct yg_seg_memo *memo, struct yg_arena *arena,
                            struct yg_enc_own_source *ret_source, struct yg_err *err) {
    const struct yg_seg_stripe *st = &seg->dir.stripes[stripe];
    *ret_source = (struct yg_enc_own_source){0};
    for (uint32_t i = 0; i < st->own_count; i++)
        if (st->own[i].column == column) // what others refer to refers to nothing
            return YG_OK;
    struct own *o = YG_NEW(arena, struct own);
    if (o == NULL)
        return no_memory(err);
    *o = (struct own){seg, stripe, granule, memo};
    *ret_source = (struct yg_enc_own_source){st->own_count, own_texts, own_chars, o};
    return YG_OK;
}
