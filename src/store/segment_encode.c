// SPDX-License-Identifier: Apache-2.0
// Encodings of column chunks: the cheapest that fits is kept. docs/formats/segment.md §3.
#include "store/segment_encode.h"

#include <math.h>

#include "base/hash.h"
#include "base/panic.h"
#include "store/pack.h"

#define CHUNK_BYTES_MAX ((size_t)1 << 31)

void yg_encoder_init(struct yg_encoder *e, enum yg_enc_level level) {
    *e = (struct yg_encoder){.level = level, .raw = YG_BUF(YG_MEM_STORE, CHUNK_BYTES_MAX)};
    if (level != YG_ENC_LEVEL_PLAIN) {
        e->zstd = ZSTD_createCCtx();
        YG_ASSERT(e->zstd != NULL);
    }
    e->ints = yg_alloc(YG_MEM_STORE, sizeof(*e->ints) * YG_GRANULE_ROWS);
    e->deltas = yg_alloc(YG_MEM_STORE, sizeof(*e->deltas) * YG_GRANULE_ROWS);
}

void yg_encoder_fini(struct yg_encoder *e) {
    if (e->zstd)
        ZSTD_freeCCtx(e->zstd);
    yg_buf_fini(&e->raw);
    yg_free(YG_MEM_STORE, e->ints);
    yg_free(YG_MEM_STORE, e->deltas);
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

// ------------------------------------------------------------ integers and doubles

static bool all_equal_i64(const int64_t *v, uint32_t n) {
    for (uint32_t i = 1; i < n; i++)
        if (v[i] != v[0])
            return false;
    return true;
}

// Returns 0 for raw, else FOR or DELTA; `deltas` is filled when it is DELTA.
static uint8_t pick_ints(const int64_t *v, int64_t *deltas, uint32_t n) {
    for (uint32_t i = 1; i < n; i++)
        deltas[i - 1] = (int64_t)((uint64_t)v[i] - (uint64_t)v[i - 1]);
    size_t for_bytes = yg_pack_i64_size(v, n);
    size_t delta_bytes = 8 + yg_pack_i64_size(deltas, n - 1);
    if (delta_bytes < for_bytes && delta_bytes < 8 * (size_t)n)
        return YG_ENC_DELTA;
    return for_bytes < 8 * (size_t)n ? YG_ENC_FOR : 0;
}

static uint8_t put_ints(struct yg_encoder *e, const int64_t *v, uint32_t n, struct yg_buf *out) {
    uint8_t kind = pick_ints(v, e->deltas, n);
    if (kind == YG_ENC_DELTA) {
        yg_buf_put(out, v, 8);
        yg_pack_i64(out, e->deltas, n - 1);
    } else if (kind == YG_ENC_FOR) {
        yg_pack_i64(out, v, n);
    }
    return kind;
}

static uint8_t put_i64(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out) {
    if (all_equal_i64(in->i64, in->count)) {
        yg_buf_put(out, in->i64, 8);
        return YG_ENC_CONST;
    }
    uint8_t kind = put_ints(e, in->i64, in->count, out);
    if (kind)
        return kind;
    yg_buf_put(out, in->i64, 8 * (size_t)in->count);
    return YG_ENC_RAW;
}

// All whole numbers that come back bit for bit?
static bool whole_numbers(const double *v, int64_t *ints, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (!(v[i] >= -9007199254740992.0 && v[i] <= 9007199254740992.0))
            return false;
        ints[i] = (int64_t)v[i];
        double back = (double)ints[i];
        if (memcmp(&back, &v[i], 8) != 0)
            return false;
    }
    return true;
}

static uint8_t put_f64(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out) {
    uint32_t same = 1;
    while (same < in->count && memcmp(&in->f64[same], &in->f64[0], 8) == 0)
        same++;
    if (same == in->count) {
        yg_buf_put(out, in->f64, 8);
        return YG_ENC_CONST;
    }
    if (whole_numbers(in->f64, e->ints, in->count)) {
        uint8_t kind = put_ints(e, e->ints, in->count, out);
        if (kind)
            return kind == YG_ENC_DELTA ? YG_ENC_F64_DELTA : YG_ENC_F64_FOR;
    }
    yg_buf_put(out, in->f64, 8 * (size_t)in->count);
    return YG_ENC_RAW;
}

// ------------------------------------------------------------ ids

// High halves (mostly a time) packed, then the low halves.
static void put_split(struct yg_encoder *e, const yg_id128 *ids, uint32_t n, struct yg_buf *out) {
    for (uint32_t i = 0; i < n; i++)
        e->ints[i] = (int64_t)ids[i].hi;
    yg_pack_i64(out, e->ints, n);
    for (uint32_t i = 0; i < n; i++)
        yg_buf_put(out, &ids[i].lo, 8);
}

static uint8_t put_ids(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out) {
    uint32_t runs = 1;
    for (uint32_t i = 1; i < in->count; i++)
        runs += !yg_id128_eq(in->ids[i], in->ids[i - 1]);
    if (runs == 1) {
        yg_buf_put(out, in->ids, sizeof(yg_id128));
        return YG_ENC_CONST;
    }
    if (runs > in->count / 4 * 3) {
        put_split(e, in->ids, in->count, out);
        return YG_ENC_ID_SPLIT;
    }
    uint32_t lengths[YG_GRANULE_ROWS];
    yg_id128 *ids = yg_alloc(YG_MEM_STORE, sizeof(*ids) * runs);
    uint32_t n = 0, max = 0;
    for (uint32_t i = 0; i < in->count; n++) {
        uint32_t len = 1;
        while (i + len < in->count && yg_id128_eq(in->ids[i], in->ids[i + len]))
            len++;
        ids[n] = in->ids[i];
        lengths[n] = len;
        max = len > max ? len : max;
        i += len;
    }
    YG_ASSERT(n == runs);
    yg_buf_put(out, &runs, 4);
    put_split(e, ids, runs, out);
    yg_pack_u32(out, lengths, n, max);
    yg_free(YG_MEM_STORE, ids);
    return YG_ENC_ID_RUNS;
}

// ------------------------------------------------------------ strings

static yg_rc raw_strings(struct yg_buf *raw, const yg_str *strs, uint32_t n, struct yg_err *err) {
    uint32_t max = 0;
    uint32_t *lengths = yg_alloc(YG_MEM_STORE, sizeof(*lengths) * n);
    size_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        lengths[i] = (uint32_t)strs[i].len;
        max = lengths[i] > max ? lengths[i] : max;
        total += strs[i].len;
    }
    yg_rc rc = yg_buf_reserve(raw, total + yg_pack_u32_size(n, max), err);
    if (rc == YG_OK) {
        yg_pack_u32(raw, lengths, n, max);
        for (uint32_t i = 0; i < n; i++)
            yg_buf_put(raw, strs[i].ptr, strs[i].len);
        rc = yg_buf_ok(raw, err);
    }
    yg_free(YG_MEM_STORE, lengths);
    return rc;
}

// Lengths and bytes, compressed where that helps.
static yg_rc put_strings(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                         struct yg_seg_chunk *head, struct yg_err *err) {
    size_t before = out->len;
    if (e->zstd == NULL) {
        YG_TRY(raw_strings(out, strs, n, err));
        head->encoding = YG_ENC_RAW;
        head->raw_bytes = (uint32_t)(out->len - before);
        return YG_OK;
    }
    yg_buf_reset(&e->raw);
    YG_TRY(raw_strings(&e->raw, strs, n, err));
    head->raw_bytes = (uint32_t)e->raw.len;
    size_t room = ZSTD_compressBound(e->raw.len);
    YG_TRY(yg_buf_reserve(out, room, err));
    size_t got = ZSTD_compressCCtx(e->zstd, out->ptr + out->len, room, e->raw.ptr, e->raw.len, 1);
    if (ZSTD_isError(got))
        return yg_fail(err, YG_EINTERNAL, "zstd: %s", ZSTD_getErrorName(got));
    if (got < e->raw.len) {
        out->len += got;
        head->encoding = YG_ENC_ZSTD;
        return YG_OK;
    }
    yg_buf_put(out, e->raw.ptr, e->raw.len);
    head->encoding = YG_ENC_RAW;
    return YG_OK;
}

static bool put_const_string(const struct yg_enc_input *in, struct yg_buf *out) {
    for (uint32_t i = 1; i < in->count; i++)
        if (!yg_str_eq(in->strs[i], in->strs[0]))
            return false;
    yg_buf_put(out, in->strs[0].ptr, in->strs[0].len);
    return true;
}

static uint8_t put_codes(const struct yg_enc_input *in, struct yg_buf *out) {
    uint32_t same = 1;
    while (same < in->count && in->codes[same] == in->codes[0])
        same++;
    if (same == in->count) {
        yg_buf_put(out, in->codes, 4);
        return YG_ENC_CONST;
    }
    yg_pack_u32(out, in->codes, in->count, in->code_max);
    return YG_ENC_CODES;
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
                        struct yg_seg_chunk *head, struct yg_err *err) {
    switch (in->type) {
    case YG_T_STR:
    case YG_T_JSON:
        if (in->coded)
            head->encoding = put_codes(in, out);
        else if (put_const_string(in, out))
            head->encoding = YG_ENC_CONST;
        else
            return put_strings(e, in->strs, in->count, out, head, err);
        return YG_OK;
    case YG_T_I64:
    case YG_T_BOOL:
        head->encoding = put_i64(e, in, out);
        return YG_OK;
    case YG_T_F64:
        head->encoding = put_f64(e, in, out);
        return YG_OK;
    case YG_T_ID:
        head->encoding = put_ids(e, in, out);
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
    YG_TRY(put_values(e, in, out, &head, err));
    if (head.raw_bytes == 0)
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
    YG_TRY(put_strings(e, strs, count, out, &head, err));
    return chunk_end(out, at, head, err);
}
