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
// The room is reserved once, by a bound computed from the columns; then bytes are put behind a
// pointer without asking again.

#define VARINT_MAX 10u
#define COLUMN_HEAD_MAX (2u + 4u * VARINT_MAX) // without the name

static uint64_t strings_bound(const yg_str *strs, uint32_t count) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += strs[i].len + (strs[i].len < 0x80 ? 1 : VARINT_MAX);
    return bytes;
}

static bool is_text(const struct yg_batch_col *c) {
    return c->type == YG_T_STR || c->type == YG_T_JSON;
}

static uint8_t code_width(uint32_t dict_count) {
    return dict_count <= 1u << 8 ? 1 : dict_count <= 1u << 16 ? 2 : 4;
}

static uint64_t column_bound(const struct yg_batch *b, const struct yg_batch_col *c) {
    uint64_t rows =
        b->row_count / 8 < c->count ? YG_BITS_WORDS(b->row_count) * 8u : (uint64_t)c->count * 5;
    uint64_t bytes = COLUMN_HEAD_MAX + c->name.len + rows;
    if (!is_text(c)) {
        size_t each = c->type == YG_T_ID ? sizeof(yg_id128) : c->type == YG_T_BOOL ? 1 : 8;
        return bytes + c->count * each;
    }
    if (!c->interned)
        return bytes + strings_bound(c->strs, c->count);
    return bytes + strings_bound(c->dict, c->dict_count) +
           (uint64_t)c->count * code_width(c->dict_count);
}

static char *put_varint(char *at, uint64_t v) {
    while (v >= 0x80) {
        *at++ = (char)(v | 0x80);
        v >>= 7;
    }
    *at++ = (char)v;
    return at;
}

static char *put_svarint(char *at, int64_t v) {
    return put_varint(at, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static char *put_bytes(char *at, const void *ptr, size_t len) {
    if (len)
        memcpy(at, ptr, len);
    return at + len;
}

static char *put_rows_bitmap(const struct yg_batch_col *c, uint32_t row_count, char *at) {
    uint32_t k = 0;
    for (uint32_t word = 0; word < YG_BITS_WORDS(row_count); word++) {
        uint64_t bits = 0;
        for (; k < c->count && (c->rows[k] >> 6) == word; k++)
            bits |= UINT64_C(1) << (c->rows[k] & 63);
        at = put_bytes(at, &bits, sizeof(bits));
    }
    return at;
}

static char *put_rows_gaps(const struct yg_batch_col *c, char *at) {
    uint32_t previous = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        at = put_varint(at, c->rows[k] - previous);
        previous = c->rows[k];
    }
    return at;
}

static char *put_strings(const yg_str *strs, uint32_t count, char *at) {
    for (uint32_t i = 0; i < count; i++)
        at = put_varint(at, strs[i].len);
    for (uint32_t i = 0; i < count; i++)
        at = put_bytes(at, strs[i].ptr, strs[i].len);
    return at;
}

static char *put_codes(const struct yg_batch_col *c, char *at) {
    uint8_t width = code_width(c->dict_count);
    *at++ = (char)width;
    if (width == 1) {
        for (uint32_t k = 0; k < c->count; k++)
            at[k] = (char)c->codes[k];
    } else if (width == 2) {
        for (uint32_t k = 0; k < c->count; k++)
            memcpy(at + (size_t)k * 2, &c->codes[k], 2); // little endian host
    } else {
        put_bytes(at, c->codes, (size_t)c->count * 4);
    }
    return at + (size_t)c->count * width;
}

static char *put_values(const struct yg_batch_col *c, char *at) {
    switch (c->type) {
    case YG_T_STR:
    case YG_T_JSON:
        if (!c->interned)
            return put_strings(c->strs, c->count, at);
        at = put_varint(at, c->dict_count);
        return put_codes(c, put_strings(c->dict, c->dict_count, at));
    case YG_T_I64:
        return put_bytes(at, c->i64, (size_t)c->count * sizeof(*c->i64));
    case YG_T_BOOL:
        for (uint32_t k = 0; k < c->count; k++)
            *at++ = c->i64[k] != 0;
        return at;
    case YG_T_F64:
        return put_bytes(at, c->f64, (size_t)c->count * sizeof(*c->f64));
    case YG_T_ID:
        return put_bytes(at, c->ids, (size_t)c->count * sizeof(*c->ids));
    case YG_TYPE_COUNT:
        break;
    }
    YG_ASSERT(false);
    return at;
}

static char *put_column(const struct yg_batch *b, const struct yg_batch_col *c, char *at) {
    bool dense = c->count == b->row_count;
    bool bitmap = !dense && b->row_count / 8 < c->count;
    uint8_t flags = (uint8_t)((is_text(c) && c->interned ? FLAG_INTERNED : 0) |
                              (dense ? FLAG_DENSE : 0) | (bitmap ? FLAG_BITMAP : 0));
    at = put_varint(at, c->name.len);
    at = put_bytes(at, c->name.ptr, c->name.len);
    *at++ = (char)c->type;
    *at++ = (char)flags;
    at = put_varint(at, c->count);
    if (bitmap)
        at = put_rows_bitmap(c, b->row_count, at);
    else if (!dense)
        at = put_rows_gaps(c, at);
    return put_values(c, at);
}

yg_rc yg_batch_encode(const struct yg_batch *b, struct yg_buf *out, struct yg_err *err) {
    uint32_t used = 0;
    uint64_t bound = 2 + 4 * VARINT_MAX;
    for (uint32_t i = 0; i < b->col_count; i++) {
        if (b->cols[i].count == 0)
            continue;
        used++;
        bound += column_bound(b, &b->cols[i]);
    }
    YG_TRY(yg_buf_reserve_exact(out, bound, err));
    char *at = out->ptr + out->len;
    *at++ = CODEC_VERSION;
    *at++ = (char)b->track;
    at = put_varint(at, b->row_count);
    at = put_varint(at, used);
    at = put_svarint(at, b->received_ns);
    at = put_varint(at, b->body_bytes);
    for (uint32_t i = 0; i < b->col_count; i++)
        if (b->cols[i].count > 0)
            at = put_column(b, &b->cols[i], at);
    size_t len = (size_t)(at - out->ptr);
    YG_ASSERT(len <= out->cap && len - out->len <= bound);
    out->len = len;
    return YG_OK;
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
    if (count > c->in.len - c->pos) // a length takes a byte at least
        return corrupt(c, "more strings than bytes", err);
    yg_str *strs = yg_arena_alloc(arena, sizeof(*strs) * (count ? count : 1));
    if (strs == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t len = c->pos < c->in.len ? (unsigned char)c->in.ptr[c->pos] : 0x80;
        if (len < 0x80)
            c->pos++;
        else
            YG_TRY(yg_get_varint(c, &len, err));
        strs[i].len = len;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strs[i].len > c->in.len - c->pos)
            return corrupt(c, "string ends early", err);
        strs[i].ptr = c->in.ptr + c->pos;
        c->pos += strs[i].len;
    }
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
    uint32_t *codes = col->codes = yg_arena_alloc(arena, sizeof(*codes) * col->count);
    if (codes == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    uint32_t most = 0;
    if (width == 1) {
        for (uint32_t k = 0; k < col->count; k++)
            codes[k] = (unsigned char)bytes.ptr[k];
    } else if (width == 2) {
        for (uint32_t k = 0; k < col->count; k++) {
            uint16_t code;
            memcpy(&code, bytes.ptr + (size_t)k * 2, 2);
            codes[k] = code;
        }
    } else {
        memcpy(codes, bytes.ptr, (size_t)col->count * 4);
    }
    for (uint32_t k = 0; k < col->count; k++)
        most = codes[k] > most ? codes[k] : most;
    return most < col->dict_count ? YG_OK : corrupt(c, "code beyond the dictionary", err);
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
        col->i64 = yg_arena_alloc(arena, sizeof(*col->i64) * col->count);
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

// Row numbers 0, 1, 2 …: one array for all dense columns of the batch.
static uint32_t *all_rows(struct yg_batch *b, uint32_t **dense) {
    if (*dense != NULL)
        return *dense;
    uint32_t *rows = yg_arena_alloc(b->arena, sizeof(*rows) * b->row_count);
    for (uint32_t k = 0; rows && k < b->row_count; k++)
        rows[k] = k;
    return *dense = rows;
}

static yg_rc get_column(struct yg_cursor *c, struct yg_batch *b, uint32_t **dense,
                        struct yg_err *err) {
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
    if ((flags & FLAG_DENSE) && count != b->row_count)
        return corrupt(c, "dense column with missing values", err);
    col->rows = flags & FLAG_DENSE ? all_rows(b, dense)
                                   : yg_arena_alloc(b->arena, sizeof(*col->rows) * col->count);
    if (col->rows == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    if (flags & FLAG_DENSE) {
        // as they stand
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
    uint32_t *dense = NULL;
    for (uint64_t i = 0; i < columns; i++)
        YG_TRY(get_column(c, b, &dense, err));
    return c->pos == c->in.len ? YG_OK : corrupt(c, "bytes after the last column", err);
}

yg_rc yg_batch_decode(yg_str in, enum yg_mem_tag tag, size_t limit_bytes,
                      struct yg_batch **ret_batch, struct yg_err *err) {
    struct yg_cursor c = {.in = in};
    uint8_t version, track;
    YG_TRY(get_u8(&c, &version, err));
    YG_TRY(get_u8(&c, &track, err));
    if (version != CODEC_VERSION || track >= YG_TRACK_COUNT)
        return corrupt(&c, "version or track", err);
    struct yg_batch *b = yg_batch_create_for(tag, (enum yg_track)track, limit_bytes);
    if (b == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a batch");
    yg_rc rc = decode_into(&c, b, err);
    if (rc != YG_OK) {
        yg_batch_destroy(b);
        return rc;
    }
    *ret_batch = b;
    return YG_OK;
}
