// SPDX-License-Identifier: Apache-2.0
// Writes the rest of a stripe: attributes beyond YG_SEG_COLUMNS_MAX, the rarest, key by key.
#include "base/panic.h"
#include "store/segment_rest.h"
#include "store/segment_writer.h"

#define BLOCK_KEYS_MAX 4096u

static int by_count(const void *a, const void *b, void *arg) {
    const struct yg_stripe_column *c = arg;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    if (c[i].count != c[k].count)
        return c[i].count > c[k].count ? -1 : 1;
    return i < k ? -1 : i > k;
}

static int by_key(const void *a, const void *b, void *arg) {
    const struct yg_stripe_column *c = arg;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    int cmp = yg_str_cmp(c[i].name, c[k].name);
    return cmp ? cmp : (int)c[i].type - (int)c[k].type;
}

yg_rc yg_seg_rest_choose(struct w_work *sw, struct yg_err *err) {
    uint32_t n = sw->src->column_count;
    if (n <= YG_SEG_COLUMNS_MAX)
        return YG_OK;
    struct yg_stripe_column *columns = yg_arena_alloc(sw->arena, sizeof(*columns) * n);
    uint32_t *keys = yg_arena_alloc(sw->arena, sizeof(*keys) * n);
    sw->in_rest = YG_NEW_N(sw->arena, bool, n);
    if (columns == NULL || keys == NULL || sw->in_rest == NULL)
        return yg_seg_writer_no_memory(err);
    memcpy(columns, sw->src->columns, sizeof(*columns) * n);
    for (uint32_t i = 0; i < n; i++)
        keys[i] = i;
    qsort_r(keys, n, sizeof(*keys), by_count, columns);
    for (uint32_t i = YG_SEG_COLUMNS_MAX; i < n; i++) { // attributes only
        yg_str name = columns[keys[i]].name;
        sw->in_rest[keys[i]] = name.len > 0 && name.ptr[0] == '@';
        if (sw->in_rest[keys[i]] && columns[keys[i]].count > 0)
            keys[sw->rest_count++] = keys[i];
    }
    qsort_r(keys, sw->rest_count, sizeof(*keys), by_key, columns);
    sw->rest = keys;
    return YG_OK;
}

static void put_u32(struct yg_buf *out, uint32_t v) {
    yg_buf_put(out, &v, sizeof(v));
}

static void put_payload(const struct yg_stripe_column *col, const struct yg_stripe_values *v,
                        struct yg_buf *out) {
    put_u32(out, v->count);
    for (uint32_t i = 0; i < v->count; i++)
        put_u32(out, i ? v->rows[i] - v->rows[i - 1] : v->rows[i]);
    switch (col->type) {
    case YG_T_STR:
    case YG_T_JSON:
        for (uint32_t i = 0; i < v->count; i++)
            put_u32(out, (uint32_t)(v->codes ? v->dict[v->codes[i]] : v->strs[i]).len);
        for (uint32_t i = 0; i < v->count; i++)
            yg_buf_puts(out, v->codes ? v->dict[v->codes[i]] : v->strs[i]);
        break;
    case YG_T_I64:
    case YG_T_BOOL:
        yg_buf_put(out, v->i64, 8 * (size_t)v->count);
        break;
    case YG_T_F64:
        yg_buf_put(out, v->f64, 8 * (size_t)v->count);
        break;
    case YG_T_ID:
        yg_buf_put(out, v->ids, sizeof(*v->ids) * v->count);
        break;
    case YG_TYPE_COUNT:
        break;
    }
}

static yg_rc write_keys(struct w_work *sw, struct w_record *rec, const yg_str *keys, uint32_t n,
                        struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    uint64_t at = yg_seg_writer_position(w);
    YG_TRY(yg_encode_dict(&w->enc, keys, n, &w->out, err));
    rec->head.dict = (struct yg_seg_dict_entry){at, (uint32_t)(yg_seg_writer_position(w) - at), n};
    return YG_OK;
}

static yg_rc make_key(struct w_work *sw, const struct yg_stripe_column *col, uint32_t count,
                      yg_str *ret_key, struct yg_err *err) {
    char *key = yg_arena_alloc(sw->arena, col->name.len + 5);
    if (key == NULL)
        return yg_seg_writer_no_memory(err);
    key[0] = (char)col->type;
    memcpy(key + 1, &count, sizeof(count));
    memcpy(key + 5, col->name.ptr, col->name.len);
    *ret_key = yg_str_n(key, col->name.len + 5);
    return YG_OK;
}

// Payloads of keys [from, to), which stand in `raw` one behind the other.
static yg_rc write_block(struct w_work *sw, struct w_record *rec, uint32_t from, uint32_t to,
                         const size_t *ends, const struct yg_buf *raw, struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    yg_str strs[BLOCK_KEYS_MAX];
    for (uint32_t i = 0; i < to - from; i++)
        strs[i] = yg_str_n(raw->ptr + (i ? ends[i - 1] : 0), ends[i] - (i ? ends[i - 1] : 0));
    uint64_t at = yg_seg_writer_position(w);
    size_t place = w->out.len;
    YG_TRY(yg_encode_dict(&w->enc, strs, to - from, &w->out, err));
    struct yg_seg_chunk head;
    memcpy(&head, w->out.ptr + place, sizeof(head));
    struct yg_seg_entry e = {
        .offset = at,
        .stored_bytes = (uint32_t)sizeof(head) + head.stored_bytes,
        .count = (uint16_t)(to - from),
        .encoding = head.encoding,
        .flags = YG_ENTRY_F_RANGE,
        .min = from,
        .max = (int64_t)to - 1,
    };
    YG_TRY(yg_seg_writer_entry(w, rec, 0, &e, err));
    return yg_seg_writer_flush(w, YG_SEG_WRITER_BUFFER_BYTES, err);
}

// A source's counts are bounds: columns that turn out empty have no key.
static yg_rc write_blocks(struct w_work *sw, struct w_record *rec, yg_str *keys, uint32_t *ret_n,
                          struct yg_buf *raw, struct yg_err *err) {
    size_t ends[BLOCK_KEYS_MAX];
    uint32_t from = 0, n = 0;
    for (uint32_t i = 0; i < sw->rest_count; i++) {
        struct yg_stripe_values v;
        const struct yg_stripe_column *col = &sw->src->columns[sw->rest[i]];
        yg_arena_reset(sw->column);
        YG_TRY(sw->src->values(sw->src->ctx, sw->rest[i], sw->column, &v, err));
        if (v.count > 0) {
            YG_TRY(make_key(sw, col, v.count, &keys[n], err));
            put_payload(col, &v, raw);
            YG_TRY(yg_buf_ok(raw, err));
            ends[n++ - from] = raw->len;
        }
        if (n == from ||
            (raw->len < YG_REST_BLOCK_BYTES && n - from < BLOCK_KEYS_MAX && i + 1 < sw->rest_count))
            continue;
        YG_TRY(write_block(sw, rec, from, n, ends, raw, err));
        yg_buf_reset(raw);
        from = n;
    }
    *ret_n = n;
    return YG_OK;
}

yg_rc yg_seg_rest_write(struct w_work *sw, struct yg_err *err) {
    struct w_record *rec;
    if (sw->rest_count == 0)
        return YG_OK;
    yg_str *keys = yg_arena_alloc(sw->arena, sizeof(*keys) * sw->rest_count);
    if (keys == NULL)
        return yg_seg_writer_no_memory(err);
    YG_TRY(yg_seg_writer_record(sw->w, sw->stripe, YG_RECORD_REST, &rec, err));
    YG_AUTO(yg_buf) raw = YG_BUF(YG_MEM_STORE, (size_t)1 << 31);
    uint32_t n;
    YG_TRY(write_blocks(sw, rec, keys, &n, &raw, err));
    if (n > 0)
        return write_keys(sw, rec, keys, n, err);
    sw->stripe->record_count--; // all of them were empty
    return YG_OK;
}
