// SPDX-License-Identifier: Apache-2.0
// Decodes chunks to present values. A damaged chunk is an error that names file, column, granule
// and offset; nothing that a chunk says is believed before it was checked.
#include "base/hash.h"
#include "base/panic.h"
#include "store/enc_part.h"
#include "store/segment_lean.h"
#include "store/segment_rest.h"

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
    if (ret_head->encoding >= YG_ENC_COUNT || ret_head->raw_bytes > YG_ENC_RAW_BYTES_MAX)
        return corrupt(p, "unknown encoding", err);
    *ret_payload = yg_str_n(bytes + sizeof(*ret_head), ret_head->stored_bytes);
    return YG_OK;
}

// ------------------------------------------------------------ dictionaries

// A fault in the values, told with its place.
static yg_rc placed(const struct place *p, yg_rc rc, const struct yg_err *why, struct yg_err *err) {
    if (rc == YG_ECORRUPT)
        return corrupt(p, why->text, err);
    if (rc == YG_ENOMEM)
        return no_memory(p, err);
    if (rc != YG_OK && err)
        *err = *why;
    return rc;
}

// Strings of a memory segment that stand there as they are stay there; others are copied.
static yg_rc keep_strings(const struct place *p, const yg_str *strs, uint32_t count, yg_str payload,
                          struct yg_seg_dict *d, struct yg_err *err) {
    size_t total = 0;
    bool inside = p->seg->in_memory;
    for (uint32_t i = 0; i < count; i++) {
        total += strs[i].len;
        inside &= strs[i].ptr >= payload.ptr && strs[i].ptr <= payload.ptr + payload.len;
    }
    d->own_strs = yg_try_alloc(YG_MEM_CACHE, sizeof(yg_str) * ((size_t)count + 1));
    if (!inside)
        d->own_bytes = yg_try_alloc(YG_MEM_CACHE, total + 1);
    if (d->own_strs == NULL || (!inside && d->own_bytes == NULL))
        return no_memory(p, err);
    char *to = d->own_bytes;
    for (uint32_t i = 0; i < count; i++) {
        d->own_strs[i] = strs[i];
        if (inside)
            continue;
        if (strs[i].len)
            memcpy(to, strs[i].ptr, strs[i].len);
        d->own_strs[i].ptr = to;
        to += strs[i].len;
    }
    return YG_OK;
}

// Strings of a chunk without rows: how they are written is never to refer to others.
static yg_rc chunk_strings(const struct place *p, const struct yg_seg_chunk *head, yg_str payload,
                           uint32_t count, struct yg_arena *arena, const yg_str **ret_strs,
                           struct yg_err *err) {
    struct yg_err why = {0};
    if (count == 0 || head->encoding == YG_ENC_CONST || head->encoding >= YG_ENC_STR_REPEATS)
        return corrupt(p, "unknown encoding of a dictionary", err);
    struct yg_enc_reader r = {
        .c = {payload, 0},
        .encoding = head->encoding,
        .raw_bytes = head->raw_bytes,
        .count = count,
        .arena = arena,
    };
    return placed(p, yg_enc_get_strs(&r, ret_strs, &why), &why, err);
}

static yg_rc load_dict(const struct place *p, const struct yg_seg_dict_entry *e,
                       struct yg_arena *arena, struct yg_seg_dict *d, struct yg_err *err) {
    struct yg_seg_chunk head;
    yg_str payload;
    const yg_str *strs;
    YG_TRY(read_chunk(p, e->stored_bytes, arena, &head, &payload, err));
    YG_TRY(chunk_strings(p, &head, payload, e->count, arena, &strs, err));
    YG_TRY(keep_strings(p, strs, e->count, payload, d, err));
    for (uint32_t i = 0; i < e->count; i++)
        for (size_t k = 0; k < d->own_strs[i].len; k++) {
            uint8_t c = (uint8_t)d->own_strs[i].ptr[k];
            d->chars[c >> 6] |= UINT64_C(1) << (c & 63);
        }
    d->dict = (struct yg_dict){
        .uid = atomic_fetch_add_explicit(&dict_uids, 1, memory_order_relaxed) + 1,
        .count = e->count,
        .strs = d->own_strs,
    };
    return YG_OK;
}

// The dictionary that `entry` names, kept in *slot.
static yg_rc get_strs(const struct place *p, const char *what,
                      const struct yg_seg_dict_entry *entry, struct yg_seg_dict **slot,
                      struct yg_arena *arena, const struct yg_dict **ret_dict, struct yg_err *err) {
    struct place where = *p;
    where.what = what;
    where.offset = entry->offset;
    pthread_mutex_lock(&p->seg->lock);
    struct yg_seg_dict *d = *slot;
    yg_rc rc = YG_OK;
    if (d == NULL) {
        d = yg_calloc(YG_MEM_CACHE, 1, sizeof(*d));
        rc = load_dict(&where, entry, arena, d, err);
        if (rc == YG_OK) {
            *slot = d;
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

static yg_rc get_dict(const struct place *p, uint32_t stripe, uint32_t column,
                      struct yg_arena *arena, const struct yg_dict **ret_dict, struct yg_err *err) {
    struct yg_seg_record *rec = yg_segment_record(&p->seg->dir.stripes[stripe], column);
    return get_strs(p, "dictionary of column", &rec->head.dict, &rec->dict, arena, ret_dict, err);
}

// ------------------------------------------------------------ values

yg_rc yg_segment_strings(struct yg_segment *seg, const char *what, uint64_t offset,
                         uint32_t stored_bytes, uint32_t count, struct yg_arena *arena,
                         const yg_str **ret_strs, struct yg_err *err) {
    struct place p = {seg, what, YG_STR(""), 0, offset};
    struct yg_seg_chunk head;
    yg_str payload;
    YG_TRY(read_chunk(&p, stored_bytes, arena, &head, &payload, err));
    return chunk_strings(&p, &head, payload, count, arena, ret_strs, err);
}

yg_rc yg_segment_strings_kept(struct yg_segment *seg, const char *what, struct yg_seg_record *rec,
                              const struct yg_dict **ret_dict, struct yg_err *err) {
    struct place p = {seg, what, YG_STR(""), 0, rec->head.dict.offset};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_CACHE, (size_t)2 << 30);
    return get_strs(&p, what, &rec->head.dict, &rec->dict, arena, ret_dict, err);
}

struct decode {
    struct place at;
    struct yg_seg_chunk head;
    yg_str body; // behind the presence
    struct yg_arena *arena;
    struct yg_seg_memo *memo; // may be NULL
    const struct yg_text_probe *probe;
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
    } else if (kind == YG_PRESENCE_SHAPE && YG_RECORD_IS_COLUMN(d->column)) {
        YG_TRY(yg_lean_presence(d->at.seg, d->stripe, d->at.granule, d->record->head.shape_bit,
                                d->memo, d->arena, bits, err));
    } else {
        return corrupt(&d->at, "unknown kind of presence", err);
    }
    if (yg_bits_count(bits, out->rows) != e->count)
        return corrupt(&d->at, "presence does not match the count", err);
    return YG_OK;
}

// Raw integers of a memory segment are used where they stand.
static bool in_place(const struct decode *d) {
    return d->head.encoding == YG_ENC_RAW && d->body.len == 8 * (size_t)d->out->count &&
           ((uintptr_t)d->body.ptr & 7) == 0;
}

static struct yg_lean lean_on(const struct decode *d) {
    return (struct yg_lean){
        .seg = d->at.seg,
        .stripe = d->stripe,
        .granule = d->at.granule,
        .record = d->record,
        .body = d->body,
        .rows = d->out->rows,
        .count = d->out->count,
        .present = d->out->present,
        .memo = d->memo,
        .arena = d->arena,
    };
}

static yg_rc decode_strings(struct decode *d, struct yg_enc_reader *r, struct yg_err *why) {
    struct yg_seg_values *out = d->out;
    const struct place *p = &d->at;
    if (!d->record->head.dict.stored_bytes) {
        if (d->head.encoding == YG_ENC_STR_OWN)
            YG_TRY(yg_segment_own_source(p->seg, d->stripe, p->granule, d->column, d->memo,
                                         d->arena, &r->own, why));
        r->probe = d->probe;
        return yg_enc_get_strs(r, &out->strs, why);
    }
    YG_TRY(get_dict(p, d->stripe, d->column, d->arena, &out->dict, why));
    if (d->head.encoding == YG_ENC_FOLLOW) {
        struct yg_lean l = lean_on(d);
        struct yg_seg_record *rec = yg_segment_record(&p->seg->dir.stripes[d->stripe], d->column);
        l.dict = out->dict;
        YG_TRY(get_strs(p, "map of column", &rec->head.map, &rec->map, d->arena, &l.map, why));
        return yg_lean_codes(&l, &out->codes, why);
    }
    return yg_enc_get_codes(r, out->dict->count, &out->codes, why);
}

static yg_rc decode_type(struct decode *d, enum yg_type type, struct yg_err *why) {
    struct yg_seg_values *out = d->out;
    struct yg_enc_reader r = {
        .c = {d->body, 0},
        .encoding = d->head.encoding,
        .raw_bytes = d->head.raw_bytes,
        .count = out->count,
        .rows = out->rows,
        .present = out->present,
        .arena = d->arena,
    };
    switch (type) {
    case YG_T_STR:
    case YG_T_JSON:
        return decode_strings(d, &r, why);
    case YG_T_I64:
    case YG_T_BOOL:
        if (d->head.encoding == YG_ENC_PARENT_ROW) {
            struct yg_lean l = lean_on(d);
            return yg_lean_rows(&l, &out->i64, why);
        }
        if (!in_place(d))
            return yg_enc_get_i64(&r, &out->i64, why);
        out->i64 = (const int64_t *)(const void *)d->body.ptr;
        return YG_OK;
    case YG_T_F64:
        return yg_enc_get_f64(&r, &out->f64, why);
    case YG_T_ID:
        return yg_enc_get_ids(&r, &out->ids, why);
    case YG_TYPE_COUNT:
        break;
    }
    return yg_enc_damaged("unknown type", why);
}

yg_rc yg_segment_dict(struct yg_segment *seg, uint32_t stripe, uint32_t column,
                      struct yg_arena *arena, const struct yg_dict **ret_dict, struct yg_err *err) {
    YG_ASSERT(seg->loaded && stripe < seg->dir.stripe_count && column < seg->dir.column_count);
    const struct yg_seg_record *rec = yg_segment_record(&seg->dir.stripes[stripe], column);
    struct place at = {seg, "dictionary of column", seg->dir.columns[column].name, 0, 0};
    *ret_dict = NULL;
    if (rec == NULL || rec->head.dict.stored_bytes == 0)
        return YG_OK;
    return get_dict(&at, stripe, column, arena, ret_dict, err);
}

static yg_rc decode_values(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                           uint32_t column, struct yg_seg_memo *memo,
                           const struct yg_text_probe *probe, struct yg_arena *arena,
                           struct yg_seg_values *ret_values, struct yg_err *err) {
    struct yg_rest_cursor cursor = {0};
    if (column >= seg->dir.column_count && column != YG_RECORD_SHAPES)
        return yg_segment_rest_values(seg, stripe, granule, column - seg->dir.column_count, &cursor,
                                      arena, ret_values, err);
    static const struct yg_seg_column shapes = {{"(shapes)", 8}, YG_T_STR};
    YG_ASSERT(seg->loaded && stripe < seg->dir.stripe_count &&
              (column < seg->dir.column_count || column == YG_RECORD_SHAPES));
    const struct yg_seg_stripe *st = &seg->dir.stripes[stripe];
    YG_ASSERT(granule < st->granule_count);
    const struct yg_seg_record *rec = yg_segment_record(st, column);
    const struct yg_seg_entry *e = yg_segment_entry(rec, granule);
    const struct yg_seg_column *col =
        YG_RECORD_IS_COLUMN(column) ? &seg->dir.columns[column] : &shapes;
    struct yg_seg_values out = {.rows = st->granules[granule].rows, .count = e->count};
    struct decode d = {
        .at = {seg, "column", col->name, granule, e->offset},
        .arena = arena,
        .memo = memo,
        .probe = probe,
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
        struct yg_err why = {0};
        YG_TRY(placed(&d.at, decode_type(&d, col->type, &why), &why, err));
        out.constant = d.head.encoding == YG_ENC_CONST;
    }
    *ret_values = out;
    return YG_OK;
}

yg_rc yg_segment_values_memo(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                             uint32_t column, struct yg_seg_memo *memo, struct yg_arena *arena,
                             struct yg_seg_values *ret_values, struct yg_err *err) {
    uint32_t slot = column == YG_RECORD_SHAPES ? seg->dir.column_count : column;
    if (memo == NULL || slot > seg->dir.column_count ||
        (column != YG_RECORD_SHAPES && column >= seg->dir.column_count))
        return decode_values(seg, stripe, granule, column, NULL, NULL, arena, ret_values, err);
    if (memo->values == NULL)
        memo->values = YG_NEW_N(arena, struct yg_seg_values *, seg->dir.column_count + 1u);
    if (memo->values && memo->values[slot]) {
        *ret_values = *memo->values[slot];
        return YG_OK;
    }
    YG_TRY(decode_values(seg, stripe, granule, column, memo, NULL, arena, ret_values, err));
    struct yg_seg_values *kept = YG_NEW(arena, struct yg_seg_values);
    if (memo->values == NULL || kept == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory to keep values of %s", yg_segment_name(seg));
    *kept = *ret_values;
    memo->values[slot] = kept;
    return YG_OK;
}

yg_rc yg_segment_values(struct yg_segment *seg, uint32_t stripe, uint32_t granule, uint32_t column,
                        struct yg_arena *arena, struct yg_seg_values *ret_values,
                        struct yg_err *err) {
    return decode_values(seg, stripe, granule, column, NULL, NULL, arena, ret_values, err);
}

yg_rc yg_segment_values_probed(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                               uint32_t column, struct yg_seg_memo *memo,
                               const struct yg_text_probe *probe, struct yg_arena *arena,
                               struct yg_seg_values *ret_values, struct yg_err *err) {
    return decode_values(seg, stripe, granule, column, memo, probe, arena, ret_values, err);
}

yg_rc yg_segment_text_chars(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                            uint32_t column, struct yg_arena *arena, uint64_t ret_chars[4],
                            struct yg_err *err) {
    if (column >= seg->dir.column_count) {
        memset(ret_chars, 0xff, sizeof(*ret_chars) * 4);
        return YG_OK;
    }
    const struct yg_seg_record *rec = yg_segment_record(&seg->dir.stripes[stripe], column);
    const struct yg_seg_entry *e = yg_segment_entry(rec, granule);
    memset(ret_chars, 0, sizeof(*ret_chars) * 4);
    if (e->count == 0)
        return YG_OK;
    if (rec->head.dict.stored_bytes) {
        const struct yg_dict *dict;
        YG_TRY(yg_segment_dict(seg, stripe, column, arena, &dict, err));
        const struct yg_seg_dict *d = (const struct yg_seg_dict *)(const void *)dict;
        memcpy(ret_chars, d->chars, sizeof(d->chars)); // the dictionary is its first member
        return YG_OK;
    }
    struct yg_seg_values out = {.rows = seg->dir.stripes[stripe].granules[granule].rows,
                                .count = e->count};
    struct decode d = {
        .at = {seg, "column", seg->dir.columns[column].name, granule, e->offset},
        .arena = arena,
        .out = &out,
        .record = rec,
        .stripe = stripe,
        .column = column,
    };
    YG_TRY(read_chunk(&d.at, e->stored_bytes, arena, &d.head, &d.body, err));
    if (d.head.rows != (uint16_t)out.rows || d.head.encoding != e->encoding)
        return corrupt(&d.at, "chunk is not the one that the directory names", err);
    YG_TRY(decode_presence(&d, e, err));
    struct yg_enc_reader r = {
        .c = {d.body, 0}, .encoding = d.head.encoding, .count = out.count, .arena = arena};
    if (!yg_enc_text_chars(&r, ret_chars))
        memset(ret_chars, 0xff, sizeof(*ret_chars) * 4);
    return YG_OK;
}
