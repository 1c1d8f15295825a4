// SPDX-License-Identifier: Apache-2.0
// Decodes chunks to present values. A damaged chunk is an error that names file, column, granule
// and offset; nothing that a chunk says is believed before it was checked.
#include "store/segment_encode.h"

#include <zstd.h>

#include "base/hash.h"
#include "base/panic.h"
#include "store/pack.h"

#define RAW_BYTES_MAX (1u << 31)

static _Atomic uint64_t dict_uids;

// What is being decoded, for error texts.
struct place {
    struct yg_segment *seg;
    const char *what; // "column" or "dictionary of column"
    yg_str column;
    uint32_t granule;
    uint64_t offset;
};

static yg_rc corrupt(const struct place *p, const char *fault, struct yg_err *err) {
    if (p->seg->damaged)
        atomic_fetch_add_explicit(p->seg->damaged, 1, memory_order_relaxed);
    return yg_fail(err, YG_ECORRUPT, "%s: %s %.*s, granule %u, byte %llu: %s",
                   yg_segment_name(p->seg), p->what, YG_STR_FMT(yg_str_sub(p->column, 0, 60)),
                   p->granule, (unsigned long long)p->offset, fault);
}

static yg_rc no_memory(const struct place *p, struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "no memory to read %s %.*s of %s", p->what,
                   YG_STR_FMT(yg_str_sub(p->column, 0, 60)), yg_segment_name(p->seg));
}

// ------------------------------------------------------------ chunks

// The chunk's bytes; YG_PACK_SLACK more are readable. Memory segments: in place, unchecked sums.
static yg_rc read_chunk(const struct place *p, uint32_t stored_bytes, struct yg_arena *arena,
                        struct yg_seg_chunk *ret_head, yg_str *ret_payload, struct yg_err *err) {
    struct yg_segment *seg = p->seg;
    const char *bytes;
    if (stored_bytes < sizeof(*ret_head))
        return corrupt(p, "shorter than a chunk", err);
    if (seg->in_memory) {
        if (p->offset > seg->mem.len || stored_bytes > seg->mem.len - p->offset)
            return corrupt(p, "past the end", err);
        bytes = seg->mem.ptr + p->offset;
    } else {
        char *own = yg_arena_alloc(arena, (size_t)stored_bytes + YG_PACK_SLACK);
        if (own == NULL)
            return no_memory(p, err);
        YG_TRY(yg_segment_pread(seg, own, stored_bytes, p->offset, err));
        memset(own + stored_bytes, 0, YG_PACK_SLACK);
        bytes = own;
    }
    memcpy(ret_head, bytes, sizeof(*ret_head));
    if (ret_head->stored_bytes > stored_bytes - sizeof(*ret_head))
        return corrupt(p, "chunk is longer than its entry", err);
    if (!seg->in_memory) {
        uint32_t crc = yg_crc32c(0, ret_head, offsetof(struct yg_seg_chunk, crc32c));
        crc = yg_crc32c(crc, bytes + sizeof(*ret_head), ret_head->stored_bytes);
        if (crc != ret_head->crc32c)
            return corrupt(p, "bad checksum", err);
    }
    if (ret_head->encoding >= YG_ENC_COUNT || ret_head->raw_bytes > RAW_BYTES_MAX)
        return corrupt(p, "unknown encoding", err);
    *ret_payload = yg_str_n(bytes + sizeof(*ret_head), ret_head->stored_bytes);
    return YG_OK;
}

// Splits lengths and bytes into n strings that point into `raw` (slack behind it).
static bool split_strings(yg_str raw, yg_str *out, uint32_t *lengths, uint32_t n) {
    size_t at = 0;
    if (!yg_unpack_u32(raw, &at, lengths, n))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (lengths[i] > raw.len - at)
            return false;
        out[i] = yg_str_n(raw.ptr + at, lengths[i]);
        at += lengths[i];
    }
    return at == raw.len;
}

// ------------------------------------------------------------ dictionaries

static yg_rc dict_bytes(const struct place *p, const struct yg_seg_chunk *head, yg_str payload,
                        struct yg_seg_dict *d, yg_str *ret_raw, struct yg_err *err) {
    if (head->encoding == YG_ENC_RAW && p->seg->in_memory) {
        *ret_raw = payload;
        return YG_OK;
    }
    if (head->encoding != YG_ENC_RAW && head->encoding != YG_ENC_ZSTD)
        return corrupt(p, "unknown encoding of a dictionary", err);
    d->own_bytes = yg_try_alloc(YG_MEM_CACHE, (size_t)head->raw_bytes + YG_PACK_SLACK);
    if (d->own_bytes == NULL)
        return no_memory(p, err);
    if (head->encoding == YG_ENC_RAW) {
        if (payload.len != head->raw_bytes)
            return corrupt(p, "wrong length", err);
        memcpy(d->own_bytes, payload.ptr, payload.len);
    } else {
        size_t got = ZSTD_decompress(d->own_bytes, head->raw_bytes, payload.ptr, payload.len);
        if (ZSTD_isError(got) || got != head->raw_bytes)
            return corrupt(p, "does not decompress", err);
    }
    memset(d->own_bytes + head->raw_bytes, 0, YG_PACK_SLACK);
    *ret_raw = yg_str_n(d->own_bytes, head->raw_bytes);
    return YG_OK;
}

static yg_rc load_dict(const struct place *p, const struct yg_seg_dict_entry *e,
                       struct yg_arena *arena, struct yg_seg_dict *d, struct yg_err *err) {
    struct yg_seg_chunk head;
    yg_str payload, raw;
    YG_TRY(read_chunk(p, e->stored_bytes, arena, &head, &payload, err));
    YG_TRY(dict_bytes(p, &head, payload, d, &raw, err));
    d->own_strs = yg_try_alloc(YG_MEM_CACHE, sizeof(yg_str) * ((size_t)e->count + 1));
    uint32_t *lengths = yg_arena_alloc(arena, sizeof(*lengths) * ((size_t)e->count + 1));
    if (d->own_strs == NULL || lengths == NULL)
        return no_memory(p, err);
    if (e->count == 0 || !split_strings(raw, d->own_strs, lengths, e->count))
        return corrupt(p, "strings do not fit", err);
    d->dict = (struct yg_dict){
        .uid = atomic_fetch_add_explicit(&dict_uids, 1, memory_order_relaxed) + 1,
        .count = e->count,
        .strs = d->own_strs,
    };
    return YG_OK;
}

static yg_rc get_dict(const struct place *p, uint32_t stripe, uint32_t column,
                      struct yg_arena *arena, const struct yg_dict **ret_dict, struct yg_err *err) {
    struct yg_seg_record *rec = yg_segment_record(&p->seg->dir.stripes[stripe], column);
    struct place where = *p;
    where.what = "dictionary of column";
    where.offset = rec->head.dict.offset;
    pthread_mutex_lock(&p->seg->lock);
    struct yg_seg_dict *d = rec->dict;
    yg_rc rc = YG_OK;
    if (d == NULL) {
        d = yg_calloc(YG_MEM_CACHE, 1, sizeof(*d));
        rc = load_dict(&where, &rec->head.dict, arena, d, err);
        if (rc == YG_OK) {
            rec->dict = d;
        } else {
            yg_free(YG_MEM_CACHE, d->own_strs);
            yg_free(YG_MEM_CACHE, d->own_bytes);
            yg_free(YG_MEM_CACHE, d);
        }
    }
    pthread_mutex_unlock(&p->seg->lock);
    if (rc == YG_OK)
        *ret_dict = &d->dict;
    return rc;
}

// ------------------------------------------------------------ values

// No column refers to others yet.
yg_rc yg_segment_own_source(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                            uint32_t column, struct yg_arena *arena,
                            struct yg_enc_own_source *ret_source, struct yg_err *err) {
    (void)seg, (void)stripe, (void)granule, (void)column, (void)arena, (void)err;
    *ret_source = (struct yg_enc_own_source){0};
    return YG_OK;
}

struct decode {
    struct place at;
    struct yg_seg_chunk head;
    yg_str body; // behind the presence
    struct yg_arena *arena;
    struct yg_seg_values *out;
    const struct yg_seg_record *record;
    uint32_t stripe;
    uint32_t column;
};

static yg_rc decode_presence(struct decode *d, const struct yg_seg_entry *e, struct yg_err *err) {
    struct yg_seg_values *out = d->out;
    uint32_t kind = d->head.flags & YG_CHUNK_F_PRESENCE;
    size_t words = YG_BITS_WORDS(out->rows);
    if (kind == YG_PRESENCE_ALL)
        return e->count == out->rows ? YG_OK : corrupt(&d->at, "presence is missing", err);
    uint64_t *bits = YG_NEW_N(d->arena, uint64_t, words);
    if (bits == NULL)
        return no_memory(&d->at, err);
    out->present = bits;
    if (kind == YG_PRESENCE_BITMAP) {
        if (d->body.len < words * 8)
            return corrupt(&d->at, "presence is cut", err);
        memcpy(bits, d->body.ptr, words * 8);
        d->body = yg_str_sub(d->body, words * 8, SIZE_MAX);
        if ((out->rows & 63) && bits[words - 1] >> (out->rows & 63))
            return corrupt(&d->at, "presence past the last row", err);
    } else if (kind == YG_PRESENCE_LIST) {
        uint16_t n = 0, row;
        if (d->body.len >= 2)
            memcpy(&n, d->body.ptr, 2);
        if (d->body.len < 2 + 2 * (size_t)n)
            return corrupt(&d->at, "presence is cut", err);
        for (uint32_t i = 0; i < n; i++) {
            memcpy(&row, d->body.ptr + 2 + 2 * i, 2);
            if (row >= out->rows)
                return corrupt(&d->at, "presence past the last row", err);
            yg_bits_set(bits, row);
        }
        d->body = yg_str_sub(d->body, 2 + 2 * (size_t)n, SIZE_MAX);
    } else {
        return corrupt(&d->at, "unknown kind of presence", err);
    }
    if (yg_bits_count(bits, out->rows) != e->count)
        return corrupt(&d->at, "presence does not match the count", err);
    return YG_OK;
}

static bool ints_of(struct decode *d, bool delta, int64_t *v, uint32_t n) {
    size_t at = 0;
    if (!delta)
        return yg_unpack_i64(d->body, &at, v, n);
    if (d->body.len < 8)
        return false;
    memcpy(v, d->body.ptr, 8);
    at = 8;
    if (!yg_unpack_i64(d->body, &at, v + 1, n - 1))
        return false;
    uint64_t sum = (uint64_t)v[0];
    for (uint32_t i = 1; i < n; i++)
        v[i] = (int64_t)(sum += (uint64_t)v[i]);
    return true;
}

static yg_rc decode_i64(struct decode *d, struct yg_err *err) {
    uint32_t n = d->out->count;
    if (d->head.encoding == YG_ENC_RAW && d->body.len == 8 * (size_t)n &&
        ((uintptr_t)d->body.ptr & 7) == 0) {
        d->out->i64 = (const int64_t *)(const void *)d->body.ptr;
        return YG_OK;
    }
    int64_t *v = yg_arena_alloc(d->arena, sizeof(*v) * n);
    if (v == NULL)
        return no_memory(&d->at, err);
    bool ok = false;
    if (d->head.encoding == YG_ENC_CONST && d->body.len == 8) {
        memcpy(v, d->body.ptr, 8);
        for (uint32_t i = 1; i < n; i++)
            v[i] = v[0];
        ok = true;
    } else if (d->head.encoding == YG_ENC_RAW && d->body.len == 8 * (size_t)n) {
        memcpy(v, d->body.ptr, d->body.len);
        ok = true;
    } else if (d->head.encoding == YG_ENC_FOR || d->head.encoding == YG_ENC_DELTA) {
        ok = ints_of(d, d->head.encoding == YG_ENC_DELTA, v, n);
    }
    d->out->i64 = v;
    return ok ? YG_OK : corrupt(&d->at, "integers do not fit their encoding", err);
}

static yg_rc decode_f64(struct decode *d, struct yg_err *err) {
    uint32_t n = d->out->count;
    double *v = yg_arena_alloc(d->arena, sizeof(*v) * n);
    if (v == NULL)
        return no_memory(&d->at, err);
    bool ok = false;
    if (d->head.encoding == YG_ENC_CONST && d->body.len == 8) {
        memcpy(v, d->body.ptr, 8);
        for (uint32_t i = 1; i < n; i++)
            v[i] = v[0];
        ok = true;
    } else if (d->head.encoding == YG_ENC_RAW && d->body.len == 8 * (size_t)n) {
        memcpy(v, d->body.ptr, d->body.len);
        ok = true;
    } else if (d->head.encoding == YG_ENC_F64_FOR || d->head.encoding == YG_ENC_F64_DELTA) {
        int64_t *ints = yg_arena_alloc(d->arena, sizeof(*ints) * n);
        if (ints == NULL)
            return no_memory(&d->at, err);
        ok = ints_of(d, d->head.encoding == YG_ENC_F64_DELTA, ints, n);
        for (uint32_t i = 0; ok && i < n; i++)
            v[i] = (double)ints[i];
    }
    d->out->f64 = v;
    return ok ? YG_OK : corrupt(&d->at, "doubles do not fit their encoding", err);
}

static bool split_ids(yg_str in, size_t *at, yg_id128 *v, uint32_t n) {
    int64_t highs[YG_PACK_BLOCK];
    for (uint32_t i = 0; i < n; i += YG_PACK_BLOCK) {
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        if (!yg_unpack_i64(in, at, highs, m)) // a packed run is a row of such blocks
            return false;
        for (uint32_t k = 0; k < m; k++)
            v[i + k].hi = (uint64_t)highs[k];
    }
    if (in.len - *at < 8 * (size_t)n)
        return false;
    for (uint32_t i = 0; i < n; i++, *at += 8)
        memcpy(&v[i].lo, in.ptr + *at, 8);
    return true;
}

static bool id_runs(struct decode *d, yg_id128 *v, uint32_t n) {
    uint32_t runs = 0;
    if (d->body.len >= 4)
        memcpy(&runs, d->body.ptr, 4);
    if (runs == 0 || runs > n)
        return false;
    uint32_t lengths[YG_GRANULE_ROWS];
    yg_id128 *ids = yg_arena_alloc(d->arena, sizeof(*ids) * runs);
    size_t at = 4;
    if (ids == NULL || !split_ids(d->body, &at, ids, runs) ||
        !yg_unpack_u32(d->body, &at, lengths, runs))
        return false;
    uint32_t done = 0;
    for (uint32_t r = 0; r < runs; r++) {
        if (lengths[r] > n - done)
            return false;
        for (uint32_t i = 0; i < lengths[r]; i++)
            v[done++] = ids[r];
    }
    return done == n;
}

static yg_rc decode_ids(struct decode *d, struct yg_err *err) {
    uint32_t n = d->out->count;
    yg_id128 *v = yg_arena_alloc(d->arena, sizeof(*v) * n);
    if (v == NULL)
        return no_memory(&d->at, err);
    bool ok = false;
    if (d->head.encoding == YG_ENC_CONST && d->body.len == sizeof(*v)) {
        memcpy(v, d->body.ptr, sizeof(*v));
        for (uint32_t i = 1; i < n; i++)
            v[i] = v[0];
        ok = true;
    } else if (d->head.encoding == YG_ENC_RAW && d->body.len == sizeof(*v) * (size_t)n) {
        memcpy(v, d->body.ptr, d->body.len);
        ok = true;
    } else if (d->head.encoding == YG_ENC_ID_RUNS) {
        ok = id_runs(d, v, n);
    } else if (d->head.encoding == YG_ENC_ID_SPLIT) {
        size_t at = 0;
        ok = split_ids(d->body, &at, v, n);
    }
    d->out->ids = v;
    return ok ? YG_OK : corrupt(&d->at, "ids do not fit their encoding", err);
}

static yg_rc decode_codes(struct decode *d, struct yg_err *err) {
    uint32_t n = d->out->count;
    YG_TRY(get_dict(&d->at, d->stripe, d->column, d->arena, &d->out->dict, err));
    uint32_t *v = yg_arena_alloc(d->arena, sizeof(*v) * n);
    if (v == NULL)
        return no_memory(&d->at, err);
    size_t at = 0;
    uint32_t max = 0;
    if (d->head.encoding == YG_ENC_CONST && d->body.len == 4) {
        memcpy(&max, d->body.ptr, 4);
        for (uint32_t i = 0; i < n; i++)
            v[i] = max;
    } else if (d->head.encoding == YG_ENC_CODES && yg_unpack_u32(d->body, &at, v, n)) {
        for (uint32_t i = 0; i < n; i++)
            max = v[i] > max ? v[i] : max;
    } else {
        return corrupt(&d->at, "codes do not fit their encoding", err);
    }
    if (max >= d->out->dict->count)
        return corrupt(&d->at, "code without a string", err);
    d->out->codes = v;
    return YG_OK;
}

static yg_rc decode_strings(struct decode *d, struct yg_err *err) {
    uint32_t n = d->out->count;
    yg_str *v = yg_arena_alloc(d->arena, sizeof(*v) * n);
    uint32_t *lengths = yg_arena_alloc(d->arena, sizeof(*lengths) * n);
    if (v == NULL || lengths == NULL)
        return no_memory(&d->at, err);
    d->out->strs = v;
    yg_str raw = d->body;
    if (d->head.encoding == YG_ENC_CONST) {
        for (uint32_t i = 0; i < n; i++)
            v[i] = d->body;
        return YG_OK;
    }
    if (d->head.encoding == YG_ENC_ZSTD) {
        char *own = yg_arena_alloc(d->arena, (size_t)d->head.raw_bytes + YG_PACK_SLACK);
        if (own == NULL)
            return no_memory(&d->at, err);
        size_t got = ZSTD_decompress(own, d->head.raw_bytes, raw.ptr, raw.len);
        if (ZSTD_isError(got) || got != d->head.raw_bytes)
            return corrupt(&d->at, "does not decompress", err);
        memset(own + got, 0, YG_PACK_SLACK);
        raw = yg_str_n(own, got);
    } else if (d->head.encoding != YG_ENC_RAW) {
        return corrupt(&d->at, "unknown encoding of strings", err);
    }
    return split_strings(raw, v, lengths, n) ? YG_OK : corrupt(&d->at, "strings do not fit", err);
}

static yg_rc decode_type(struct decode *d, enum yg_type type, struct yg_err *err) {
    switch (type) {
    case YG_T_STR:
    case YG_T_JSON:
        if (d->record->head.dict.stored_bytes)
            return decode_codes(d, err);
        return decode_strings(d, err);
    case YG_T_I64:
    case YG_T_BOOL:
        return decode_i64(d, err);
    case YG_T_F64:
        return decode_f64(d, err);
    case YG_T_ID:
        return decode_ids(d, err);
    case YG_TYPE_COUNT:
        break;
    }
    return corrupt(&d->at, "unknown type", err);
}

yg_rc yg_segment_values(struct yg_segment *seg, uint32_t stripe, uint32_t granule, uint32_t column,
                        struct yg_arena *arena, struct yg_seg_values *ret_values,
                        struct yg_err *err) {
    YG_ASSERT(seg->loaded && stripe < seg->dir.stripe_count && column < seg->dir.column_count);
    const struct yg_seg_stripe *st = &seg->dir.stripes[stripe];
    YG_ASSERT(granule < st->granule_count);
    const struct yg_seg_record *rec = yg_segment_record(st, column);
    const struct yg_seg_entry *e = yg_segment_entry(rec, granule);
    const struct yg_seg_column *col = &seg->dir.columns[column];
    struct yg_seg_values out = {.rows = st->granules[granule].rows, .count = e->count};
    struct decode d = {
        .at = {seg, "column", col->name, granule, e->offset},
        .arena = arena,
        .out = &out,
        .record = rec,
        .stripe = stripe,
        .column = column,
    };
    if (e->count > 0) {
        YG_TRY(read_chunk(&d.at, e->stored_bytes, arena, &d.head, &d.body, err));
        if (d.head.rows != (uint16_t)out.rows || d.head.encoding != e->encoding)
            return corrupt(&d.at, "chunk is not the one that the directory names", err);
        YG_TRY(decode_presence(&d, e, err));
        YG_TRY(decode_type(&d, col->type, err));
        out.constant = d.head.encoding == YG_ENC_CONST;
    }
    *ret_values = out;
    return YG_OK;
}
