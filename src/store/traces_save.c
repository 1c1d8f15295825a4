// SPDX-License-Identifier: Apache-2.0
// Open traces as bytes: the checkpoint that a flush leaves, so that a restart goes on with them.
// By byte offset: docs/formats/wal.md §5.
#include "base/hash.h"
#include "codec/varint.h"
#include "store/traces.h"

#include <zstd.h>

#define MAGIC 0x544f4759u // "YGOT"
#define VERSION 1u
#define HEAD_BYTES 20u
#define BLOCK_BYTES_MAX ((size_t)1 << 30)
#define F_ROOT 1u
#define F_COLD 2u
#define F_GAP 4u

static void put_text(const struct yg_traces *t, uint32_t id, struct yg_buf *out) {
    yg_put_lenstr(out, yg_traces_str(t, id));
}

static void put_trace(const struct yg_traces *t, const struct yg_open_trace *o,
                      struct yg_buf *out) {
    yg_put_u64(out, o->id.hi);
    yg_put_u64(out, o->id.lo);
    yg_put_varint(out, (o->has_root ? F_ROOT : 0) | (o->cold_start ? F_COLD : 0) |
                           (o->gap_known ? F_GAP : 0));
    yg_put_u64(out, (uint64_t)o->start_ns);
    yg_put_u64(out, (uint64_t)o->end_ns);
    yg_put_u64(out, (uint64_t)o->face_start_ns);
    yg_put_svarint(out, o->root_duration_ns);
    yg_put_varint(out, o->span_count);
    yg_put_varint(out, o->error_count);
    yg_put_varint(out, o->stored_version);
    yg_put_svarint(out, o->base_gap_ns);
    yg_put_varint(out, o->base_repeat_count);
    const uint32_t texts[] = {o->face.service, o->face.operation, o->face.resource,
                              o->face.env,     o->face.status,    o->base_repeat};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        put_text(t, texts[i], out);
    yg_put_varint(out, o->service_count);
    for (uint32_t i = 0; i < o->service_count; i++)
        put_text(t, o->services[i], out);
    yg_put_varint(out, o->repeat_count);
    for (uint32_t i = 0; i < o->repeat_count; i++) {
        put_text(t, o->repeats[i].operation, out);
        put_text(t, o->repeats[i].resource, out);
        yg_put_varint(out, o->repeats[i].count);
    }
    yg_put_varint(out, o->interval_count);
    for (uint32_t i = 0; i < o->interval_count; i++) {
        yg_put_svarint(out, o->intervals[i].start_ns - o->start_ns);
        yg_put_svarint(out, o->intervals[i].end_ns - o->intervals[i].start_ns);
    }
}

void yg_traces_save(const struct yg_traces *t, struct yg_buf *out) {
    if (t->count == 0)
        return;
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, BLOCK_BYTES_MAX); // see yg_traces_save's header
    yg_put_varint(&body, t->count);
    for (uint32_t i = t->oldest; i != YG_TRACE_NONE; i = t->open[i].newer)
        put_trace(t, &t->open[i], &body);
    size_t room = ZSTD_compressBound(body.len);
    if (body.failed || yg_buf_reserve(out, room + HEAD_BYTES, NULL) != YG_OK) {
        out->failed = true; // the flush asks
        return;
    }
    char *to = out->ptr + out->len + HEAD_BYTES;
    size_t got = ZSTD_compress(to, room, body.ptr, body.len, 1);
    if (ZSTD_isError(got)) {
        out->failed = true;
        return;
    }
    yg_put_u32(out, MAGIC);
    yg_put_u32(out, VERSION);
    yg_put_u32(out, (uint32_t)body.len);
    yg_put_u32(out, (uint32_t)got);
    yg_put_u32(out, yg_crc32c(0, to, got));
    out->len += got;
}

// ------------------------------------------------------------ back

static yg_rc get_text(struct yg_traces *t, struct yg_cursor *c, uint32_t *ret_id,
                      struct yg_err *err) {
    yg_str s;
    YG_TRY(yg_get_lenstr(c, &s, err));
    *ret_id = s.len ? yg_traces_text(t, s) : YG_TRACE_NONE;
    return YG_OK;
}

static yg_rc get_u32v(struct yg_cursor *c, uint32_t *ret_value, struct yg_err *err) {
    uint64_t v;
    YG_TRY(yg_get_varint(c, &v, err));
    if (v > UINT32_MAX)
        return yg_fail(err, YG_ECORRUPT, "number too large at byte %zu", c->pos);
    *ret_value = (uint32_t)v;
    return YG_OK;
}

static yg_rc get_lists(struct yg_traces *t, struct yg_cursor *c, struct yg_open_trace *o,
                       struct yg_err *err) {
    uint32_t n, id;
    YG_TRY(get_u32v(c, &n, err));
    for (uint32_t i = 0; i < n; i++) {
        YG_TRY(get_text(t, c, &id, err));
        yg_traces_add_service(t, o, id);
    }
    YG_TRY(get_u32v(c, &n, err));
    for (uint32_t i = 0; i < n; i++) {
        struct yg_repeat r;
        YG_TRY(get_text(t, c, &r.operation, err));
        YG_TRY(get_text(t, c, &r.resource, err));
        YG_TRY(get_u32v(c, &r.count, err));
        yg_traces_add_repeat(t, o, r);
    }
    YG_TRY(get_u32v(c, &n, err));
    for (uint32_t i = 0; i < n; i++) {
        int64_t from, len;
        YG_TRY(yg_get_svarint(c, &from, err));
        YG_TRY(yg_get_svarint(c, &len, err));
        yg_traces_add_interval(t, o,
                               (struct yg_interval){o->start_ns + from, o->start_ns + from + len});
    }
    return YG_OK;
}

static yg_rc get_trace(struct yg_traces *t, struct yg_cursor *c, yg_id128 id, struct yg_err *err) {
    bool is_new;
    uint32_t flags;
    uint64_t start, end, face_start;
    t->now_mono_ns = yg_mono_ns(t->shard->store->o.clock);
    uint32_t idx = yg_traces_open(t, id, &is_new);
    struct yg_open_trace *o = &t->open[idx];
    YG_TRY(get_u32v(c, &flags, err));
    YG_TRY(yg_get_u64(c, &start, err));
    YG_TRY(yg_get_u64(c, &end, err));
    YG_TRY(yg_get_u64(c, &face_start, err));
    YG_TRY(yg_get_svarint(c, &o->root_duration_ns, err));
    YG_TRY(get_u32v(c, &o->span_count, err));
    YG_TRY(get_u32v(c, &o->error_count, err));
    YG_TRY(yg_get_varint(c, &o->stored_version, err));
    YG_TRY(yg_get_svarint(c, &o->base_gap_ns, err));
    YG_TRY(get_u32v(c, &o->base_repeat_count, err));
    o->start_ns = (int64_t)start;
    o->end_ns = (int64_t)end;
    o->face_start_ns = (int64_t)face_start;
    o->has_root = flags & F_ROOT;
    o->cold_start = flags & F_COLD;
    o->gap_known = flags & F_GAP;
    uint32_t *const texts[] = {&o->face.service, &o->face.operation, &o->face.resource,
                               &o->face.env,     &o->face.status,    &o->base_repeat};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        YG_TRY(get_text(t, c, texts[i], err));
    return get_lists(t, c, o, err);
}

static yg_rc load_block(struct yg_store *store, yg_str body, struct yg_err *err) {
    struct yg_cursor c = {.in = body};
    uint64_t count;
    YG_TRY(yg_get_varint(&c, &count, err));
    for (uint64_t i = 0; i < count; i++) {
        yg_id128 id;
        YG_TRY(yg_get_u64(&c, &id.hi, err));
        YG_TRY(yg_get_u64(&c, &id.lo, err));
        YG_TRY(get_trace(store->shards[yg_store_shard_of_trace(store, id)].traces, &c, id, err));
    }
    return YG_OK;
}

static yg_rc unpack_block(struct yg_store *store, yg_str packed, uint32_t raw_bytes,
                          struct yg_err *err) {
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_BASE, BLOCK_BYTES_MAX);
    YG_TRY(yg_buf_reserve(&body, (size_t)raw_bytes + 1, err));
    size_t got = ZSTD_decompress(body.ptr, raw_bytes, packed.ptr, packed.len);
    if (ZSTD_isError(got) || got != raw_bytes)
        return yg_fail(err, YG_ECORRUPT, "open traces do not decompress");
    return load_block(store, yg_str_n(body.ptr, got), err);
}

yg_rc yg_traces_load(struct yg_store *store, yg_str in, struct yg_err *err) {
    struct yg_cursor c = {.in = in};
    while (c.pos < in.len) {
        uint32_t magic, version, raw_bytes, bytes, crc;
        yg_str packed;
        YG_TRY(yg_get_u32(&c, &magic, err));
        YG_TRY(yg_get_u32(&c, &version, err));
        YG_TRY(yg_get_u32(&c, &raw_bytes, err));
        YG_TRY(yg_get_u32(&c, &bytes, err));
        YG_TRY(yg_get_u32(&c, &crc, err));
        if (magic != MAGIC || version != VERSION)
            return yg_fail(err, YG_ECORRUPT, "not open traces at byte %zu", c.pos);
        YG_TRY(yg_get_bytes(&c, bytes, &packed, err));
        if (yg_crc32c(0, packed.ptr, packed.len) != crc)
            return yg_fail(err, YG_ECORRUPT, "bad checksum at byte %zu", c.pos);
        YG_TRY(unpack_block(store, packed, raw_bytes, err));
    }
    return YG_OK;
}
