// SPDX-License-Identifier: Apache-2.0
// Reads the rest of a stripe: columns that have no record of their own.
#include "store/segment_rest.h"

#include "base/panic.h"
#include "store/segment_encode.h"

#define KEY_HEAD_BYTES 5u // type u8, values u32; then the name

static struct yg_seg_record *rest_of(const struct yg_segment *seg, uint32_t stripe) {
    return yg_segment_record(&seg->dir.stripes[stripe], YG_RECORD_REST);
}

static yg_rc damaged(const struct yg_segment *seg, const struct yg_seg_record *rec,
                     const char *what, struct yg_err *err) {
    if (seg->damaged)
        atomic_fetch_add_explicit(seg->damaged, 1, memory_order_relaxed);
    return yg_fail(err, YG_ECORRUPT, "%s: rest of a stripe, byte %llu: %s", yg_segment_name(seg),
                   (unsigned long long)rec->head.dict.offset, what);
}

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "no memory for the rest of a stripe");
}

// ------------------------------------------------------------ keys

static struct yg_rest_key parse_key(yg_str s) {
    struct yg_rest_key k = {.type = (enum yg_type)s.ptr[0]};
    memcpy(&k.count, s.ptr + 1, sizeof(k.count));
    k.name = yg_str_sub(s, KEY_HEAD_BYTES, SIZE_MAX);
    return k;
}

static int key_cmp(const struct yg_rest_key *a, const struct yg_rest_key *b) {
    int cmp = yg_str_cmp(a->name, b->name);
    return cmp ? cmp : (int)a->type - (int)b->type;
}

yg_rc yg_segment_rest_count(struct yg_segment *seg, uint32_t stripe, uint32_t *ret_count,
                            struct yg_err *err) {
    struct yg_seg_record *rec = rest_of(seg, stripe);
    const struct yg_dict *keys;
    *ret_count = 0;
    if (rec == NULL)
        return YG_OK;
    struct yg_seg_stripe *st = &seg->dir.stripes[stripe];
    pthread_mutex_lock(&seg->lock);
    *ret_count = st->rest_keys;
    pthread_mutex_unlock(&seg->lock);
    if (*ret_count > 0)
        return YG_OK;
    YG_TRY(yg_segment_strings_kept(seg, "keys of the rest", rec, &keys, err));
    struct yg_rest_key last = {0};
    for (uint32_t i = 0; i < keys->count; i++) {
        yg_str s = keys->strs[i];
        if (s.len < KEY_HEAD_BYTES || (uint8_t)s.ptr[0] >= YG_TYPE_COUNT)
            return damaged(seg, rec, "a key is cut", err);
        struct yg_rest_key k = parse_key(s);
        if (i > 0 && key_cmp(&last, &k) >= 0)
            return damaged(seg, rec, "keys are out of order", err);
        last = k;
    }
    pthread_mutex_lock(&seg->lock);
    *ret_count = st->rest_keys = keys->count;
    pthread_mutex_unlock(&seg->lock);
    return YG_OK;
}

struct yg_rest_key yg_segment_rest_key(const struct yg_segment *seg, uint32_t stripe,
                                       uint32_t key) {
    const struct yg_seg_record *rec = rest_of(seg, stripe);
    YG_ASSERT(rec && rec->dict && key < rec->dict->dict.count);
    return parse_key(rec->dict->dict.strs[key]);
}

uint32_t yg_segment_rest_find(const struct yg_segment *seg, uint32_t stripe, yg_str name) {
    const struct yg_dict *keys = &rest_of(seg, stripe)->dict->dict;
    uint32_t lo = 0, hi = keys->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (yg_str_cmp(parse_key(keys->strs[mid]).name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < keys->count && yg_str_eq(parse_key(keys->strs[lo]).name, name) ? lo : keys->count;
}

yg_rc yg_segment_rest_unlisted(struct yg_segment *seg, uint32_t stripe, const uint32_t **ret_keys,
                               uint32_t *ret_count, struct yg_err *err) {
    struct yg_seg_stripe *st = &seg->dir.stripes[stripe];
    uint32_t count;
    YG_TRY(yg_segment_rest_count(seg, stripe, &count, err));
    pthread_mutex_lock(&seg->lock);
    if (st->own_unlisted == NULL && count > 0) {
        uint32_t *keys = yg_try_alloc(YG_MEM_CACHE, sizeof(*keys) * count);
        uint32_t n = 0;
        for (uint32_t i = 0; keys && i < count; i++)
            if (yg_segment_column(seg, yg_segment_rest_key(seg, stripe, i).name) ==
                seg->dir.column_count)
                keys[n++] = i;
        st->own_unlisted = keys;
        st->unlisted_count = n;
    }
    pthread_mutex_unlock(&seg->lock);
    *ret_keys = st->own_unlisted;
    *ret_count = st->unlisted_count;
    return count == 0 || st->own_unlisted ? YG_OK : no_memory(err);
}

// ------------------------------------------------------------ values
// Of a key: values u32, rows (the first, then differences) u32 each, then the values: 8 B, ids
// 16 B, strings: lengths u32 each, then the bytes.

static yg_rc load_block(struct yg_segment *seg, const struct yg_seg_record *rec, uint32_t block,
                        struct yg_arena *arena, struct yg_rest_cursor *cursor, struct yg_err *err) {
    const struct yg_seg_entry *e = &rec->entries[block];
    YG_TRY(yg_segment_strings(seg, "block of the rest", e->offset, e->stored_bytes, e->count, arena,
                              &cursor->payloads, err));
    cursor->block = block + 1;
    return YG_OK;
}

static uint32_t block_of(const struct yg_seg_record *rec, uint32_t key) {
    uint32_t lo = 0, hi = rec->head.entry_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (rec->entries[mid].max < (int64_t)key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

// Values of fixed width are copied: a payload begins anywhere.
static bool take_fixed(yg_str in, size_t width, uint32_t n, struct yg_arena *arena,
                       void **ret_values) {
    if (in.len != width * n)
        return false;
    *ret_values = yg_arena_alloc(arena, width * n + 1);
    if (*ret_values)
        memcpy(*ret_values, in.ptr, in.len);
    return true;
}

static bool take_strings(yg_str in, uint32_t n, struct yg_arena *arena, yg_str **ret_strs) {
    size_t at = 4 * (size_t)n;
    if (in.len < at)
        return false;
    yg_str *strs = yg_arena_alloc(arena, sizeof(*strs) * (n + 1u));
    for (uint32_t i = 0; strs && i < n; i++) {
        uint32_t len;
        memcpy(&len, in.ptr + 4 * (size_t)i, 4);
        if (len > in.len - at)
            return false;
        strs[i] = yg_str_n(in.ptr + at, len);
        at += len;
    }
    *ret_strs = strs;
    return strs == NULL || at == in.len;
}

static bool take_values(yg_str in, enum yg_type type, struct yg_arena *arena,
                        struct yg_seg_values *out, bool *ret_memory) {
    void *fixed = NULL;
    yg_str *strs = NULL;
    bool ok = false;
    switch (type) {
    case YG_T_STR:
    case YG_T_JSON:
        ok = take_strings(in, out->count, arena, &strs);
        out->strs = strs;
        break;
    case YG_T_I64:
    case YG_T_BOOL:
        ok = take_fixed(in, 8, out->count, arena, &fixed);
        out->i64 = fixed;
        break;
    case YG_T_F64:
        ok = take_fixed(in, 8, out->count, arena, &fixed);
        out->f64 = fixed;
        break;
    case YG_T_ID:
        ok = take_fixed(in, sizeof(yg_id128), out->count, arena, &fixed);
        out->ids = fixed;
        break;
    case YG_TYPE_COUNT:
        break;
    }
    *ret_memory = fixed || strs;
    return ok;
}

yg_rc yg_segment_rest_read(struct yg_segment *seg, uint32_t stripe, uint32_t key,
                           struct yg_rest_cursor *cursor, struct yg_arena *arena,
                           const uint32_t **ret_rows, struct yg_seg_values *ret_values,
                           struct yg_err *err) {
    const struct yg_seg_record *rec = rest_of(seg, stripe);
    struct yg_rest_key k = yg_segment_rest_key(seg, stripe, key);
    uint32_t block = block_of(rec, key), row_count = seg->dir.stripes[stripe].row_count;
    if (block == rec->head.entry_count || rec->entries[block].min > (int64_t)key ||
        key - (uint64_t)rec->entries[block].min >= rec->entries[block].count)
        return damaged(seg, rec, "a key without a block", err);
    if (cursor->block != block + 1)
        YG_TRY(load_block(seg, rec, block, arena, cursor, err));
    yg_str in = cursor->payloads[key - (uint64_t)rec->entries[block].min];
    struct yg_seg_values out = {.rows = row_count};
    if (in.len >= 4)
        memcpy(&out.count, in.ptr, 4);
    if (out.count == 0 || out.count != k.count || out.count > row_count ||
        in.len < 4 + 4 * (size_t)out.count)
        return damaged(seg, rec, "a key's rows are cut", err);
    uint32_t *rows = yg_arena_alloc(arena, sizeof(*rows) * out.count);
    if (rows == NULL)
        return no_memory(err);
    uint64_t row = 0;
    for (uint32_t i = 0; i < out.count; i++) {
        uint32_t step;
        memcpy(&step, in.ptr + 4 + 4 * (size_t)i, 4);
        row += step;
        if ((i > 0 && step == 0) || row >= row_count)
            return damaged(seg, rec, "rows out of order", err);
        rows[i] = (uint32_t)row;
    }
    bool memory;
    if (!take_values(yg_str_sub(in, 4 + 4 * (size_t)out.count, SIZE_MAX), k.type, arena, &out,
                     &memory))
        return damaged(seg, rec, "a key's values are cut", err);
    *ret_rows = rows;
    *ret_values = out;
    return memory ? YG_OK : no_memory(err);
}

yg_rc yg_segment_rest_values(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                             uint32_t key, struct yg_rest_cursor *cursor, struct yg_arena *arena,
                             struct yg_seg_values *ret_values, struct yg_err *err) {
    const struct yg_seg_stripe *st = &seg->dir.stripes[stripe];
    struct yg_seg_values all;
    const uint32_t *rows;
    uint32_t from = 0, first = 0, n = 0, count;
    YG_TRY(yg_segment_rest_count(seg, stripe, &count, err));
    YG_ASSERT(key < count);
    YG_TRY(yg_segment_rest_read(seg, stripe, key, cursor, arena, &rows, &all, err));
    for (uint32_t g = 0; g < granule; g++)
        from += st->granules[g].rows;
    struct yg_seg_values out = {.rows = st->granules[granule].rows};
    uint64_t *bits = YG_NEW_N(arena, uint64_t, YG_BITS_WORDS(out.rows));
    if (bits == NULL)
        return no_memory(err);
    while (first < all.count && rows[first] < from)
        first++;
    for (; first + n < all.count && rows[first + n] < from + out.rows; n++)
        yg_bits_set(bits, rows[first + n] - from);
    out.count = n;
    out.present = bits;
    out.strs = all.strs ? all.strs + first : NULL;
    out.i64 = all.i64 ? all.i64 + first : NULL;
    out.f64 = all.f64 ? all.f64 + first : NULL;
    out.ids = all.ids ? all.ids + first : NULL;
    *ret_values = n ? out : (struct yg_seg_values){.rows = out.rows};
    return YG_OK;
}
