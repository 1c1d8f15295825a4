// SPDX-License-Identifier: Apache-2.0
// Values of a chunk from its bytes, every encoding of format versions 1 and 2. Nothing that the
// bytes say is believed before it was checked.
#include "store/enc_part.h"

#include "base/panic.h"

yg_rc yg_enc_damaged(const char *fault, struct yg_err *err) {
    return yg_fail(err, YG_ECORRUPT, "%s", fault);
}

yg_rc yg_enc_no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "no memory to decode values");
}

static yg_str rest_of(const struct yg_enc_reader *r) {
    return yg_str_n(r->c.in.ptr + r->c.pos, r->c.in.len - r->c.pos);
}

// ------------------------------------------------------------ integers

static bool ints_v1(yg_str body, bool delta, int64_t *v, uint32_t n) {
    size_t at = 0;
    if (!delta)
        return yg_unpack_i64(body, &at, v, n);
    if (body.len < 8)
        return false;
    memcpy(v, body.ptr, 8);
    at = 8;
    if (!yg_unpack_i64(body, &at, v + 1, n - 1))
        return false;
    uint64_t sum = (uint64_t)v[0];
    for (uint32_t i = 1; i < n; i++)
        v[i] = (int64_t)(sum += (uint64_t)v[i]);
    return true;
}

static bool const_8(yg_str body, int64_t *v, uint32_t n) {
    if (body.len != 8)
        return false;
    memcpy(v, body.ptr, 8);
    for (uint32_t i = 1; i < n; i++)
        v[i] = v[0];
    return true;
}

static bool raw_8(yg_str body, int64_t *v, uint32_t n) {
    if (body.len != 8 * (size_t)n)
        return false;
    memcpy(v, body.ptr, body.len);
    return true;
}

yg_rc yg_enc_get_i64(struct yg_enc_reader *r, const int64_t **ret_values, struct yg_err *err) {
    yg_str body = rest_of(r);
    uint32_t n = r->count;
    int64_t *v = yg_arena_alloc(r->arena, sizeof(*v) * n);
    bool ok = false;
    if (v == NULL)
        return yg_enc_no_memory(err);
    if (r->encoding == YG_ENC_INTS)
        ok = yg_ints_get(&r->c, v, n);
    else if (r->encoding == YG_ENC_CONST)
        ok = const_8(body, v, n);
    else if (r->encoding == YG_ENC_RAW)
        ok = raw_8(body, v, n);
    else if (r->encoding == YG_ENC_FOR || r->encoding == YG_ENC_DELTA)
        ok = ints_v1(body, r->encoding == YG_ENC_DELTA, v, n);
    *ret_values = v;
    return ok ? YG_OK : yg_enc_damaged("integers do not fit their encoding", err);
}

// ------------------------------------------------------------ doubles

static bool get_decimal(struct yg_enc_reader *r, double *v, int64_t *whole) {
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    struct yg_cursor *c = &r->c;
    uint64_t exceptions;
    uint32_t n = r->count, k = 255;
    if (c->pos < c->in.len)
        k = (uint8_t)c->in.ptr[c->pos++];
    if (k >= sizeof(powers) / sizeof(powers[0]) || !yg_ints_get(c, whole, n))
        return false;
    for (uint32_t i = 0; i < n; i++)
        v[i] = (double)whole[i] / powers[k];
    if (yg_get_varint(c, &exceptions, NULL) != YG_OK || exceptions > n)
        return false;
    if (exceptions == 0)
        return true;
    uint32_t m = (uint32_t)exceptions, *at = (uint32_t *)whole; // the whole numbers are used up
    if (!yg_ints_get_u32(c, at, m, n - 1) || c->in.len - c->pos < 8 * exceptions)
        return false;
    for (uint32_t i = 0; i < m; i++, c->pos += 8)
        memcpy(&v[at[i]], c->in.ptr + c->pos, 8);
    return true;
}

yg_rc yg_enc_get_f64(struct yg_enc_reader *r, const double **ret_values, struct yg_err *err) {
    yg_str body = rest_of(r);
    uint32_t n = r->count;
    double *v = yg_arena_alloc(r->arena, sizeof(*v) * n);
    int64_t *ints = yg_arena_alloc(r->arena, sizeof(*ints) * n);
    bool ok = false;
    if (v == NULL || ints == NULL)
        return yg_enc_no_memory(err);
    *ret_values = v;
    if (r->encoding == YG_ENC_F64_DECIMAL)
        return get_decimal(r, v, ints) ? YG_OK : yg_enc_damaged("decimals do not fit", err);
    if (r->encoding == YG_ENC_F64_BITS)
        ok = yg_ints_get(&r->c, ints, n);
    else if (r->encoding == YG_ENC_CONST)
        ok = const_8(body, ints, n);
    else if (r->encoding == YG_ENC_RAW)
        ok = raw_8(body, ints, n);
    if (ok) {
        memcpy(v, ints, sizeof(*v) * n);
        return YG_OK;
    }
    if (r->encoding == YG_ENC_F64_FOR || r->encoding == YG_ENC_F64_DELTA)
        ok = ints_v1(body, r->encoding == YG_ENC_F64_DELTA, ints, n);
    for (uint32_t i = 0; ok && i < n; i++)
        v[i] = (double)ints[i];
    return ok ? YG_OK : yg_enc_damaged("doubles do not fit their encoding", err);
}

// ------------------------------------------------------------ repeats

// refs to numbers of distinct values, in place; *ret_count must come out at `distinct`.
static bool resolve_refs(uint32_t *refs, uint32_t n, uint32_t distinct) {
    uint32_t seen = 0;
    bool fits = true;
    for (uint32_t i = 0; i < n; i++) { // seen − 0 is the new one's number
        uint32_t back = refs[i];
        fits &= back <= seen;
        refs[i] = seen - back;
        seen += back == 0;
    }
    return fits && seen == distinct;
}

static yg_rc get_refs(struct yg_enc_reader *r, uint32_t *ret_distinct, uint32_t **ret_refs,
                      struct yg_err *err) {
    uint64_t distinct;
    uint32_t n = r->count;
    *ret_refs = NULL;
    if (yg_get_varint(&r->c, &distinct, NULL) != YG_OK || distinct == 0 || distinct > n)
        return yg_enc_damaged("number of distinct values does not hold", err);
    *ret_distinct = (uint32_t)distinct;
    if (distinct == n)
        return YG_OK;
    uint32_t *refs = yg_arena_alloc(r->arena, sizeof(*refs) * n);
    if (refs == NULL)
        return yg_enc_no_memory(err);
    if (!yg_ints_get_u32(&r->c, refs, n, n) || !resolve_refs(refs, n, *ret_distinct))
        return yg_enc_damaged("references to values do not fit", err);
    *ret_refs = refs;
    return YG_OK;
}

// ------------------------------------------------------------ ids

static yg_rc get_ids(struct yg_enc_reader *r, yg_id128 *v, struct yg_err *err) {
    uint32_t distinct, *refs, n = r->count;
    YG_TRY(get_refs(r, &distinct, &refs, err));
    int64_t *half = yg_alloc(YG_MEM_STORE, sizeof(*half) * distinct * 2);
    bool ok = yg_ints_get(&r->c, half, distinct) && yg_ints_get(&r->c, half + distinct, distinct);
    for (uint32_t i = 0; ok && i < n; i++) {
        uint32_t k = refs ? refs[i] : i;
        v[i] = (yg_id128){(uint64_t)half[k], (uint64_t)half[distinct + k]};
    }
    yg_free(YG_MEM_STORE, half);
    return ok ? YG_OK : yg_enc_damaged("halves of ids do not fit", err);
}

static bool split_v1(yg_str in, size_t *at, yg_id128 *v, uint32_t n) {
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

static bool runs_v1(yg_str body, struct yg_arena *arena, yg_id128 *v, uint32_t n) {
    uint32_t runs = 0;
    if (body.len >= 4)
        memcpy(&runs, body.ptr, 4);
    if (runs == 0 || runs > n)
        return false;
    uint32_t lengths[YG_GRANULE_ROWS];
    yg_id128 *ids = yg_arena_alloc(arena, sizeof(*ids) * runs);
    size_t at = 4;
    if (ids == NULL || !split_v1(body, &at, ids, runs) || !yg_unpack_u32(body, &at, lengths, runs))
        return false;
    uint32_t done = 0;
    for (uint32_t k = 0; k < runs; k++) {
        if (lengths[k] > n - done)
            return false;
        for (uint32_t i = 0; i < lengths[k]; i++)
            v[done++] = ids[k];
    }
    return done == n;
}

yg_rc yg_enc_get_ids(struct yg_enc_reader *r, const yg_id128 **ret_values, struct yg_err *err) {
    yg_str body = rest_of(r);
    uint32_t n = r->count;
    yg_id128 *v = yg_arena_alloc(r->arena, sizeof(*v) * n);
    size_t at = 0;
    bool ok = false;
    if (v == NULL)
        return yg_enc_no_memory(err);
    *ret_values = v;
    if (r->encoding == YG_ENC_IDS)
        return get_ids(r, v, err);
    if (r->encoding == YG_ENC_CONST && body.len == sizeof(*v)) {
        memcpy(v, body.ptr, sizeof(*v));
        for (uint32_t i = 1; i < n; i++)
            v[i] = v[0];
        ok = true;
    } else if (r->encoding == YG_ENC_RAW && body.len == sizeof(*v) * (size_t)n) {
        memcpy(v, body.ptr, body.len);
        ok = true;
    } else if (r->encoding == YG_ENC_ID_RUNS) {
        ok = runs_v1(body, r->arena, v, n);
    } else if (r->encoding == YG_ENC_ID_SPLIT) {
        ok = split_v1(body, &at, v, n);
    }
    return ok ? YG_OK : yg_enc_damaged("ids do not fit their encoding", err);
}

// ------------------------------------------------------------ codes

yg_rc yg_enc_get_codes(struct yg_enc_reader *r, uint32_t dict_count, const uint32_t **ret_codes,
                       struct yg_err *err) {
    yg_str body = rest_of(r);
    uint32_t n = r->count, max = 0;
    size_t at = 0;
    uint32_t *v = yg_arena_alloc(r->arena, sizeof(*v) * n);
    bool ok = false;
    if (v == NULL)
        return yg_enc_no_memory(err);
    *ret_codes = v;
    if (r->encoding == YG_ENC_CODE_INTS) {
        ok = yg_ints_get_u32(&r->c, v, n, dict_count - 1);
    } else if (r->encoding == YG_ENC_CONST && body.len == 4) {
        memcpy(&max, body.ptr, 4);
        for (uint32_t i = 0; i < n; i++)
            v[i] = max;
        ok = max < dict_count;
    } else if (r->encoding == YG_ENC_CODES && yg_unpack_u32(body, &at, v, n)) {
        for (uint32_t i = 0; i < n; i++)
            max = v[i] > max ? v[i] : max;
        ok = max < dict_count;
    }
    return ok ? YG_OK : yg_enc_damaged("codes do not fit their encoding or dictionary", err);
}

// ------------------------------------------------------------ strings

static yg_rc inflate(struct yg_enc_reader *r, yg_str packed, size_t bytes, yg_str *ret_raw,
                     struct yg_err *err) {
    if (bytes > YG_ENC_RAW_BYTES_MAX ||
        ZSTD_getFrameContentSize(packed.ptr, packed.len) != (unsigned long long)bytes)
        return yg_enc_damaged("compressed bytes are not as many as said", err);
    char *own = yg_arena_alloc(r->arena, bytes + YG_PACK_SLACK);
    if (own == NULL)
        return yg_enc_no_memory(err);
    size_t got = ZSTD_decompress(own, bytes, packed.ptr, packed.len);
    if (ZSTD_isError(got) || got != bytes)
        return yg_enc_damaged("does not decompress", err);
    memset(own + got, 0, YG_PACK_SLACK);
    *ret_raw = yg_str_n(own, got);
    return YG_OK;
}

static yg_rc cut(yg_str raw, const uint32_t *lengths, yg_str *v, uint32_t n, struct yg_err *err) {
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (lengths[i] > raw.len - at)
            return yg_enc_damaged("strings do not fit", err);
        v[i] = yg_str_n(raw.ptr + at, lengths[i]);
        at += lengths[i];
    }
    return at == raw.len ? YG_OK : yg_enc_damaged("strings do not fill their bytes", err);
}

// Format version 1: packed lengths and bytes, both in the zstd frame.
static yg_rc strs_v1(struct yg_enc_reader *r, yg_str *v, uint32_t *lengths, struct yg_err *err) {
    yg_str raw = rest_of(r);
    size_t at = 0;
    if (r->encoding == YG_ENC_ZSTD)
        YG_TRY(inflate(r, raw, r->raw_bytes, &raw, err));
    if (!yg_unpack_u32(raw, &at, lengths, r->count))
        return yg_enc_damaged("lengths of strings do not fit", err);
    return cut(yg_str_sub(raw, at, SIZE_MAX), lengths, v, r->count, err);
}

static yg_rc get_bytes(struct yg_enc_reader *r, yg_str *v, uint32_t *lengths, struct yg_err *err) {
    size_t total = 0;
    if (!yg_ints_get_u32(&r->c, lengths, r->count, INT32_MAX))
        return yg_enc_damaged("lengths of strings do not fit", err);
    for (uint32_t i = 0; i < r->count; i++)
        total += lengths[i];
    yg_str raw = rest_of(r);
    if (r->encoding == YG_ENC_STR_ZSTD)
        YG_TRY(inflate(r, raw, total, &raw, err));
    return cut(raw, lengths, v, r->count, err);
}

bool yg_enc_is_part(uint8_t encoding) {
    return encoding == YG_ENC_STR_LAYOUT || encoding == YG_ENC_STR_BYTES ||
           encoding == YG_ENC_STR_ZSTD;
}

static bool take_encoding(struct yg_enc_reader *r) {
    if (r->c.pos >= r->c.in.len)
        return false;
    r->encoding = (uint8_t)r->c.in.ptr[r->c.pos++];
    return true;
}

yg_rc yg_enc_get_part(struct yg_enc_reader *r, yg_str *v, struct yg_err *err) {
    if (r->encoding == YG_ENC_STR_LAYOUT)
        return yg_enc_get_layout(r, v, err);
    uint32_t *lengths = yg_arena_alloc(r->arena, sizeof(*lengths) * ((size_t)r->count + 1));
    if (lengths == NULL)
        return yg_enc_no_memory(err);
    if (r->encoding == YG_ENC_STR_BYTES || r->encoding == YG_ENC_STR_ZSTD)
        return get_bytes(r, v, lengths, err);
    if (r->encoding == YG_ENC_RAW || r->encoding == YG_ENC_ZSTD)
        return strs_v1(r, v, lengths, err);
    return yg_enc_damaged("unknown encoding of strings", err);
}

static yg_rc get_repeats(struct yg_enc_reader *r, yg_str *v, struct yg_err *err) {
    uint32_t distinct, *refs, n = r->count;
    YG_TRY(get_refs(r, &distinct, &refs, err));
    if (!take_encoding(r) || !yg_enc_is_part(r->encoding))
        return yg_enc_damaged("unknown encoding of distinct strings", err);
    if (refs == NULL)
        return yg_enc_get_part(r, v, err);
    yg_str *strs = yg_arena_alloc(r->arena, sizeof(*strs) * distinct);
    if (strs == NULL)
        return yg_enc_no_memory(err);
    r->count = distinct;
    yg_rc rc = yg_enc_get_part(r, strs, err);
    r->count = n;
    for (uint32_t i = 0; rc == YG_OK && i < n; i++)
        v[i] = strs[refs[i]];
    r->distinct = strs;
    r->refs = refs;
    r->distinct_count = distinct;
    return rc;
}

static yg_rc get_strs(struct yg_enc_reader *r, yg_str *v, struct yg_err *err) {
    if (r->encoding == YG_ENC_STR_REPEATS)
        return get_repeats(r, v, err);
    if (r->encoding == YG_ENC_STR_GROUPS)
        return yg_enc_get_groups(r, v, err);
    return yg_enc_get_part(r, v, err);
}

static yg_rc get_own(struct yg_enc_reader *r, yg_str *v, struct yg_err *err) {
    struct yg_enc_own_plan plan = {0};
    struct yg_cursor *c = &r->c;
    uint64_t total;
    if (c->pos < c->in.len)
        plan.count = (uint8_t)c->in.ptr[c->pos++];
    if (plan.count == 0 || plan.count > YG_ENC_OWN_ACTIVE || c->in.len - c->pos < plan.count)
        return yg_enc_damaged("number of own texts does not hold", err);
    memcpy(plan.slots, c->in.ptr + c->pos, plan.count);
    c->pos += plan.count;
    if (yg_get_varint(c, &total, NULL) != YG_OK || !take_encoding(r))
        return yg_enc_damaged("texts with references are cut", err);
    YG_TRY(get_strs(r, v, err));
    return r->probe ? yg_enc_own_restore_some(r, &plan, total, v, err)
                    : yg_enc_own_restore(r, &plan, total, v, err);
}

bool yg_enc_text_chars(struct yg_enc_reader *r, uint64_t chars[4]) {
    uint32_t distinct, *refs;
    if (r->encoding == YG_ENC_STR_REPEATS &&
        (get_refs(r, &distinct, &refs, NULL) != YG_OK || !take_encoding(r)))
        return false;
    return r->encoding == YG_ENC_STR_LAYOUT && yg_enc_layout_chars(r, chars);
}

yg_rc yg_enc_get_strs(struct yg_enc_reader *r, const yg_str **ret_strs, struct yg_err *err) {
    yg_str *v = yg_arena_alloc(r->arena, sizeof(*v) * ((size_t)r->count + 1));
    if (v == NULL)
        return yg_enc_no_memory(err);
    *ret_strs = v;
    if (r->encoding == YG_ENC_CONST) {
        for (uint32_t i = 0; i < r->count; i++)
            v[i] = rest_of(r);
        return YG_OK;
    }
    if (r->encoding == YG_ENC_STR_OWN)
        return get_own(r, v, err);
    return get_strs(r, v, err);
}
