// SPDX-License-Identifier: Apache-2.0
// Encodings of column chunks: the cheapest that fits is kept. docs/formats/segment.md §3.
#include "store/segment_encode.h"

#include <math.h>

#include "base/hash.h"
#include "base/panic.h"
#include "store/enc_part.h"

#define CHUNK_BYTES_MAX ((size_t)1 << 31)

void yg_encoder_init(struct yg_encoder *e, enum yg_enc_level level) {
    *e = (struct yg_encoder){.level = level,
                             .raw = YG_BUF(YG_MEM_STORE, CHUNK_BYTES_MAX),
                             .own = YG_BUF(YG_MEM_STORE, CHUNK_BYTES_MAX)};
    if (level == YG_ENC_LEVEL_PLAIN)
        return;
    e->zstd = ZSTD_createCCtx();
    YG_ASSERT(e->zstd != NULL);
    e->dedupe.slots = yg_alloc(YG_MEM_STORE, sizeof(uint32_t) * 5 * YG_GRANULE_ROWS);
    e->dedupe.hashes = e->dedupe.slots + 2 * YG_GRANULE_ROWS;
    e->dedupe.first = e->dedupe.hashes + YG_GRANULE_ROWS;
    e->dedupe.refs = e->dedupe.first + YG_GRANULE_ROWS;
}

void yg_encoder_fini(struct yg_encoder *e) {
    if (e->zstd)
        ZSTD_freeCCtx(e->zstd);
    yg_buf_fini(&e->raw);
    yg_buf_fini(&e->own);
    yg_free(YG_MEM_STORE, e->dedupe.slots);
}

// ------------------------------------------------------------ chunk frame

static size_t chunk_begin(struct yg_buf *out) {
    size_t at = out->len;
    static const struct yg_seg_chunk empty;
    yg_buf_put(out, &empty, sizeof(empty));
    return at;
}

static yg_rc chunk_end(struct yg_buf *out, size_t at, struct yg_seg_chunk head,
                       struct yg_err *err) {
    YG_TRY(yg_buf_ok(out, err));
    size_t stored = out->len - at - sizeof(head);
    if (stored > UINT32_MAX)
        return yg_fail(err, YG_ELIMIT, "column chunk of %zu bytes", stored);
    head.stored_bytes = (uint32_t)stored;
    uint32_t crc = yg_crc32c(0, &head, offsetof(struct yg_seg_chunk, crc32c));
    head.crc32c = yg_crc32c(crc, out->ptr + at + sizeof(head), stored);
    memcpy(out->ptr + at, &head, sizeof(head));
    while (out->len & 7) // chunks begin at multiples of 8
        yg_buf_putc(out, 0);
    return yg_buf_ok(out, err);
}

// Which rows have a value; returns the flag.
static uint8_t put_presence(const struct yg_enc_input *in, struct yg_buf *out) {
    if (in->count == in->rows)
        return YG_PRESENCE_ALL;
    if (in->by_shape)
        return YG_PRESENCE_SHAPE;
    size_t words = YG_BITS_WORDS(in->rows);
    if (2 + 2 * (size_t)in->count < words * 8) {
        uint16_t list[YG_GRANULE_ROWS];
        for (uint32_t i = 0; i < in->count; i++)
            list[i] = (uint16_t)in->at_rows[i];
        uint16_t n = (uint16_t)in->count;
        yg_buf_put(out, &n, 2);
        yg_buf_put(out, list, 2 * (size_t)in->count);
        return YG_PRESENCE_LIST;
    }
    uint64_t bits[YG_BITS_WORDS(YG_GRANULE_ROWS)] = {0};
    for (uint32_t i = 0; i < in->count; i++)
        yg_bits_set(bits, in->at_rows[i]);
    yg_buf_put(out, bits, words * 8);
    return YG_PRESENCE_BITMAP;
}

// ------------------------------------------------------------ values

static bool const_8(const void *values, uint32_t n, struct yg_buf *out) {
    const char *v = values;
    if (n > 1 && memcmp(v, v + 8, 8 * ((size_t)n - 1)) != 0)
        return false;
    yg_buf_put(out, v, 8);
    return true;
}

static bool const_id(const yg_id128 *v, uint32_t n, struct yg_buf *out) {
    if (n > 1 && memcmp(v, v + 1, sizeof(*v) * ((size_t)n - 1)) != 0)
        return false;
    yg_buf_put(out, v, sizeof(*v));
    return true;
}

static bool const_str(const yg_str *v, uint32_t n, struct yg_buf *out) {
    for (uint32_t i = 1; i < n; i++)
        if (!yg_str_eq(v[i], v[0]))
            return false;
    yg_buf_put(out, v[0].ptr, v[0].len);
    return true;
}

static bool const_code(const uint32_t *v, uint32_t n, struct yg_buf *out) {
    if (n > 1 && memcmp(v, v + 1, sizeof(*v) * ((size_t)n - 1)) != 0)
        return false;
    yg_buf_put(out, v, sizeof(*v));
    return true;
}

// ------------------------------------------------------------ a chunk

static void fill_range(const struct yg_enc_input *in, struct yg_seg_entry *e) {
    if (in->type == YG_T_I64 || in->type == YG_T_BOOL) {
        e->min = e->max = in->i64[0];
        for (uint32_t i = 1; i < in->count; i++) {
            e->min = in->i64[i] < e->min ? in->i64[i] : e->min;
            e->max = in->i64[i] > e->max ? in->i64[i] : e->max;
        }
        e->flags |= YG_ENTRY_F_RANGE;
    } else if (in->type == YG_T_F64) {
        double min = in->f64[0], max = in->f64[0];
        for (uint32_t i = 0; i < in->count; i++) {
            if (isnan(in->f64[i]))
                return;
            min = in->f64[i] < min ? in->f64[i] : min;
            max = in->f64[i] > max ? in->f64[i] : max;
        }
        memcpy(&e->min, &min, 8);
        memcpy(&e->max, &max, 8);
        e->flags |= YG_ENTRY_F_RANGE;
    }
}

static yg_rc put_values(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out,
                        uint8_t *ret_encoding, struct yg_err *err) {
    bool quick = e->level == YG_ENC_LEVEL_PLAIN;
    uint32_t n = in->count;
    *ret_encoding = YG_ENC_CONST;
    switch (in->type) {
    case YG_T_STR:
    case YG_T_JSON:
        if (!in->coded)
            return const_str(in->strs, n, out) ? YG_OK
                                               : yg_enc_put_strs(e, in, out, ret_encoding, err);
        if (const_code(in->codes, n, out))
            return YG_OK;
        yg_ints_put_u32(out, in->codes, n, quick);
        *ret_encoding = YG_ENC_CODE_INTS;
        return YG_OK;
    case YG_T_I64:
    case YG_T_BOOL:
        if (const_8(in->i64, n, out))
            return YG_OK;
        yg_ints_put(out, in->i64, n, quick);
        *ret_encoding = YG_ENC_INTS;
        return YG_OK;
    case YG_T_F64:
        if (!const_8(in->f64, n, out))
            *ret_encoding = yg_enc_put_f64(in->f64, n, quick, out);
        return YG_OK;
    case YG_T_ID:
        if (!const_id(in->ids, n, out))
            *ret_encoding = yg_enc_put_ids(e, in->ids, n, out);
        return YG_OK;
    case YG_TYPE_COUNT:
        break;
    }
    return yg_fail(err, YG_EINTERNAL, "column of type %d", (int)in->type);
}

yg_rc yg_encode_chunk(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out,
                      struct yg_seg_entry *ret_entry, struct yg_err *err) {
    YG_ASSERT(in->count > 0 && in->count <= in->rows && in->rows <= YG_GRANULE_ROWS);
    size_t at = chunk_begin(out);
    struct yg_seg_chunk head = {.rows = (uint16_t)in->rows};
    head.flags = put_presence(in, out);
    size_t values_at = out->len;
    if (in->given_encoding) {
        head.encoding = in->given_encoding;
        yg_buf_puts(out, in->given);
    } else {
        YG_TRY(put_values(e, in, out, &head.encoding, err));
    }
    head.raw_bytes = (uint32_t)(out->len - values_at);
    size_t end = out->len;
    YG_TRY(chunk_end(out, at, head, err));
    *ret_entry = (struct yg_seg_entry){
        .stored_bytes = (uint32_t)(end - at),
        .count = (uint16_t)in->count,
        .encoding = head.encoding,
    };
    fill_range(in, ret_entry);
    return YG_OK;
}

yg_rc yg_encode_dict(struct yg_encoder *e, const yg_str *strs, uint32_t count, struct yg_buf *out,
                     struct yg_err *err) {
    size_t at = chunk_begin(out);
    struct yg_seg_chunk head = {0};
    YG_TRY(yg_enc_put_distinct(e, strs, count, out, &head.encoding, err));
    head.raw_bytes = (uint32_t)(out->len - at - sizeof(head));
    return chunk_end(out, at, head, err);
}
