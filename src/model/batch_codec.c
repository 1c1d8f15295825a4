// SPDX-License-Identifier: Apache-2.0
// The batch as bytes, for the WAL. Layout (integers little endian; varint = LEB128):
//
//   u8 version = 1 · u8 track · varint row_count · varint column_count · svarint received_ns ·
//   varint body_bytes per column: varint name length, name · u8 type · u8 flags (1 interned, 2
//   dense, 4 bitmap) · varint count
//     rows, unless dense (value k belongs to row k): bitmap of row_count bits in whole u64 words,
//     or varint gaps
//       (first row, then row − previous row)
//     STR, JSON interned: varint dict_count · lengths as varints · bytes · u8 code width (1, 2, 4)
//     · codes STR, JSON plain:    lengths as varints · bytes I64: i64[count] · BOOL: u8[count] ·
//     F64: f64[count] · ID: {u64 hi, u64 lo}[count]
//
// A payload is valid when every count fits what follows, rows ascend below row_count and codes lie
// below dict_count. The frame around it carries the checksum, so a fault found here means a bug or
// a forged file: ECORRUPT all the same.
#include "base/bits.h"
#include "base/panic.h"
#include "codec/varint.h"
#include "model/batch.h"

#define CODEC_VERSION 1
#define FLAG_INTERNED 1
#define FLAG_DENSE 2
#define FLAG_BITMAP 4

// ------------------------------------------------------------ encode

static void put_rows_bitmap(const struct yg_batch_col *c, uint32_t row_count, struct yg_buf *out) {
    uint32_t k = 0;
    for (uint32_t word = 0; word < YG_BITS_WORDS(row_count); word++) {
        uint64_t bits = 0;
        for (; k < c->count && (c->rows[k] >> 6) == word; k++)
            bits |= UINT64_C(1) << (c->rows[k] & 63);
        yg_put_u64(out, bits);
    }
}

static void put_rows_gaps(const struct yg_batch_col *c, struct yg_buf *out) {
    uint32_t previous = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        yg_put_varint(out, c->rows[k] - previous);
        previous = c->rows[k];
    }
}

static void put_strings(const yg_str *strs, uint32_t count, struct yg_buf *out) {
    for (uint32_t i = 0; i < count; i++)
        yg_put_varint(out, strs[i].len);
    for (uint32_t i = 0; i < count; i++)
        yg_buf_puts(out, strs[i]);
}

static uint8_t code_width(uint32_t dict_count) {
    return dict_count <= 1u << 8 ? 1 : dict_count <= 1u << 16 ? 2 : 4;
}

static yg_rc put_codes(const struct yg_batch_col *c, struct yg_buf *out, struct yg_err *err) {
    uint8_t width = code_width(c->dict_count);
    yg_buf_putc(out, (char)width);
    YG_TRY(yg_buf_reserve(out, (size_t)c->count * width, err));
    char *at = out->ptr + out->len;
    for (uint32_t k = 0; k < c->count; k++, at += width)
        memcpy(at, &c->codes[k], width); // little endian host
    out->len += (size_t)c->count * width;
    return YG_OK;
}

static yg_rc put_values(const struct yg_batch_col *c, struct yg_buf *out, struct yg_err *err) {
    switch (c->type) {
    case YG_T_STR:
    case YG_T_JSON:
        if (!c->interned) {
            put_strings(c->strs, c->count, out);
            return YG_OK;
        }
        yg_put_varint(out, c->dict_count);
        put_strings(c->dict, c->dict_count, out);
        return put_codes(c, out, err);
    case YG_T_I64:
        yg_buf_put(out, c->i64, (size_t)c->count * sizeof(*c->i64));
        return YG_OK;
    case YG_T_BOOL:
        for (uint32_t k = 0; k < c->count; k++)
            yg_buf_putc(out, c->i64[k] != 0);
        return YG_OK;
    case YG_T_F64:
        yg_buf_put(out, c->f64, (size_t)c->count * sizeof(*c->f64));
        return YG_OK;
    case YG_T_ID:
        yg_buf_put(out, c->ids, (size_t)c->count * sizeof(*c->ids));
        return YG_OK;
    case YG_TYPE_COUNT:
        break;
    }
    return yg_fail(err, YG_EINTERNAL, "column of type %d", (int)c->type);
}

static yg_rc put_column(const struct yg_batch *b, const struct yg_batch_col *c, struct yg_buf *out,
                        struct yg_err *err) {
    bool dense = c->count == b->row_count;
    bool bitmap = !dense && b->row_count / 8 < c->count;
    bool text = c->type == YG_T_STR || c->type == YG_T_JSON;
    uint8_t flags = (uint8_t)((text && c->interned ? FLAG_INTERNED : 0) | (dense ? FLAG_DENSE : 0) |
                              (bitmap ? FLAG_BITMAP : 0));
    yg_put_lenstr(out, c->name);
    yg_buf_putc(out, (char)c->type);
    yg_buf_putc(out, (char)flags);
    yg_put_varint(out, c->count);
    if (bitmap)
        put_rows_bitmap(c, b->row_count, out);
    else if (!dense)
        put_rows_gaps(c, out);
    return put_values(c, out, err);
}

yg_rc yg_batch_encode(const struct yg_batch *b, struct yg_buf *out, struct yg_err *err) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < b->col_count; i++)
        used += b->cols[i].count > 0;
    yg_buf_putc(out, CODEC_VERSION);
    yg_buf_putc(out, (char)b->track);
    yg_put_varint(out, b->row_count);
    yg_put_varint(out, used);
    yg_put_svarint(out, b->received_ns);
    yg_put_varint(out, b->body_bytes);
    for (uint32_t i = 0; i < b->col_count; i++)
        if (b->cols[i].count > 0)
            YG_TRY(put_column(b, &b->cols[i], out, err));
    return yg_buf_ok(out, err);
}

// ------------------------------------------------------------ decode

static yg_rc corrupt(const struct yg_cursor *c, const char *what, struct yg_err *err) {
    return yg_fail(err, YG_ECORRUPT, "batch at byte %zu: %s", c->pos, what);
}

static yg_rc get_u8(struct yg_cursor *c, uint8_t *ret_value, struct yg_err *err) {
    yg_str s;
    YG_TRY(yg_get_bytes(c, 1, &s, err));
    *ret_value = (uint8_t)s.ptr[0];
    return YG_OK;
}

static yg_rc get_rows_bitmap(struct yg_cursor *c, uint32_t row_count, struct yg_batch_col *col,
                             struct yg_err *err) {
    uint32_t k = 0;
    for (uint32_t word = 0; word < YG_BITS_WORDS(row_count); word++) {
        uint64_t bits;
        YG_TRY(yg_get_u64(c, &bits, err));
        for (; bits != 0; bits &= bits - 1) {
            uint32_t row = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (k == col->count || row >= row_count)
                return corrupt(c, "row bitmap does not fit its count", err);
            col->rows[k++] = row;
        }
    }
    return k == col->count ? YG_OK : corrupt(c, "row bitmap does not fit its count", err);
}

static yg_rc get_rows_gaps(struct yg_cursor *c, uint32_t row_count, struct yg_batch_col *col,
                           struct yg_err *err) {
    uint64_t row = 0;
    for (uint32_t k = 0; k < col->count; k++) {
        uint64_t gap;
        YG_TRY(yg_get_varint(c, &gap, err));
        if ((k > 0 && gap == 0) || gap >= row_count || (row += gap) >= row_count)
            return corrupt(c, "row numbers do not ascend", err);
        col->rows[k] = (uint32_t)row;
    }
    return YG_OK;
}

static yg_rc get_strings(struct yg_cursor *c, struct yg_arena *arena, uint32_t count,
                         yg_str **ret_strs, struct yg_err *err) {
    yg_str *strs = YG_NEW_N(arena, yg_str, count ? count : 1);
    if (strs == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t len;
        YG_TRY(yg_get_varint(c, &len, err));
        strs[i].len = len;
    }
    for (uint32_t i = 0; i < count; i++)
        YG_TRY(yg_get_bytes(c, strs[i].len, &strs[i], err));
    *ret_strs = strs;
    return YG_OK;
}

static yg_rc get_codes(struct yg_cursor *c, struct yg_arena *arena, struct yg_batch_col *col,
                       struct yg_err *err) {
    uint8_t width;
    YG_TRY(get_u8(c, &width, err));
    if (width != code_width(col->dict_count))
        return corrupt(c, "code width", err);
    yg_str bytes;
    YG_TRY(yg_get_bytes(c, (size_t)col->count * width, &bytes, err));
    col->codes = YG_NEW_N(arena, uint32_t, col->count);
    if (col->codes == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    for (uint32_t k = 0; k < col->count; k++) {
        memcpy(&col->codes[k], bytes.ptr + (size_t)k * width, width);
        if (col->codes[k] >= col->dict_count)
            return corrupt(c, "code beyond the dictionary", err);
    }
    return YG_OK;
}

// Copies count fixed-size values into the arena, aligned.
static yg_rc get_fixed(struct yg_cursor *c, struct yg_arena *arena, uint32_t count,
                       size_t bytes_each, void **ret_values, struct yg_err *err) {
    yg_str bytes;
    YG_TRY(yg_get_bytes(c, (size_t)count * bytes_each, &bytes, err));
    void *values = yg_arena_alloc(arena, bytes.len);
    if (values == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    memcpy(values, bytes.ptr, bytes.len);
    *ret_values = values;
    return YG_OK;
}

static yg_rc get_text(struct yg_cursor *c, struct yg_arena *arena, struct yg_batch_col *col,
                      struct yg_err *err) {
    if (!col->interned)
        return get_strings(c, arena, col->count, &col->strs, err);
    uint64_t dict_count;
    YG_TRY(yg_get_varint(c, &dict_count, err));
    if (dict_count > YG_BATCH_ROWS_MAX * 2u || dict_count > c->in.len)
        return corrupt(c, "dictionary larger than its bytes", err);
    col->dict_count = (uint32_t)dict_count;
    YG_TRY(get_strings(c, arena, col->dict_count, &col->dict, err));
    return get_codes(c, arena, col, err);
}

static yg_rc get_values(struct yg_cursor *c, struct yg_arena *arena, struct yg_batch_col *col,
                        struct yg_err *err) {
    void *values;
    switch (col->type) {
    case YG_T_STR:
    case YG_T_JSON:
        return get_text(c, arena, col, err);
    case YG_T_I64:
        YG_TRY(get_fixed(c, arena, col->count, sizeof(int64_t), &values, err));
        col->i64 = values;
        return YG_OK;
    case YG_T_F64:
        YG_TRY(get_fixed(c, arena, col->count, sizeof(double), &values, err));
        col->f64 = values;
        return YG_OK;
    case YG_T_ID:
        YG_TRY(get_fixed(c, arena, col->count, sizeof(yg_id128), &values, err));
        col->ids = values;
        return YG_OK;
    case YG_T_BOOL: {
        yg_str bytes;
        YG_TRY(yg_get_bytes(c, col->count, &bytes, err));
        col->i64 = YG_NEW_N(arena, int64_t, col->count);
        if (col->i64 == NULL)
            return yg_fail(err, YG_ENOMEM, "batch memory is used up");
        for (uint32_t k = 0; k < col->count; k++)
            col->i64[k] = bytes.ptr[k] != 0;
        return YG_OK;
    }
    case YG_TYPE_COUNT:
        break;
    }
    return corrupt(c, "column type", err);
}

static yg_rc get_column(struct yg_cursor *c, struct yg_batch *b, struct yg_err *err) {
    yg_str name;
    uint8_t type, flags;
    uint64_t count;
    YG_TRY(yg_get_lenstr(c, &name, err));
    YG_TRY(get_u8(c, &type, err));
    YG_TRY(get_u8(c, &flags, err));
    YG_TRY(yg_get_varint(c, &count, err));
    if (type >= YG_TYPE_COUNT || count == 0 || count > b->row_count)
        return corrupt(c, "column type or count", err);
    if (yg_batch_find(b, name, (enum yg_type)type) != NULL)
        return corrupt(c, "column named twice", err);
    uint32_t idx;
    YG_TRY(yg_batch_col(b, name, (enum yg_type)type, &idx, err));
    struct yg_batch_col *col = &b->cols[idx];
    col->count = col->cap = col->own_value_cap = (uint32_t)count;
    bool text = type == YG_T_STR || type == YG_T_JSON;
    col->interned = text && (flags & FLAG_INTERNED);
    col->rows = YG_NEW_N(b->arena, uint32_t, col->count);
    if (col->rows == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    if (flags & FLAG_DENSE) {
        if (count != b->row_count)
            return corrupt(c, "dense column with missing values", err);
        for (uint32_t k = 0; k < col->count; k++)
            col->rows[k] = k;
    } else if (flags & FLAG_BITMAP) {
        YG_TRY(get_rows_bitmap(c, b->row_count, col, err));
    } else {
        YG_TRY(get_rows_gaps(c, b->row_count, col, err));
    }
    return get_values(c, b->arena, col, err);
}

static yg_rc decode_into(struct yg_cursor *c, struct yg_batch *b, struct yg_err *err) {
    uint64_t rows, columns, body_bytes;
    YG_TRY(yg_get_varint(c, &rows, err));
    YG_TRY(yg_get_varint(c, &columns, err));
    YG_TRY(yg_get_svarint(c, &b->received_ns, err));
    YG_TRY(yg_get_varint(c, &body_bytes, err));
    if (rows > YG_BATCH_ROWS_MAX || columns > YG_BATCH_COLUMNS_MAX)
        return corrupt(c, "row or column count", err);
    b->row_count = (uint32_t)rows;
    b->body_bytes = body_bytes;
    for (uint64_t i = 0; i < columns; i++)
        YG_TRY(get_column(c, b, err));
    return c->pos == c->in.len ? YG_OK : corrupt(c, "bytes after the last column", err);
}

yg_rc yg_batch_decode(yg_str in, size_t limit_bytes, struct yg_batch **ret_batch,
                      struct yg_err *err) {
    struct yg_cursor c = {.in = in};
    uint8_t version, track;
    YG_TRY(get_u8(&c, &version, err));
    YG_TRY(get_u8(&c, &track, err));
    if (version != CODEC_VERSION || track >= YG_TRACK_COUNT)
        return corrupt(&c, "version or track", err);
    struct yg_batch *b = yg_batch_create((enum yg_track)track, limit_bytes);
    if (b == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a batch");
    c.in = yg_arena_str(b->arena, in); // values borrow from this copy
    yg_rc rc =
        c.in.ptr ? decode_into(&c, b, err) : yg_fail(err, YG_ENOMEM, "batch memory is used up");
    if (rc != YG_OK) {
        yg_batch_destroy(b);
        return rc;
    }
    *ret_batch = b;
    return YG_OK;
}
