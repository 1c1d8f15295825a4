// SPDX-License-Identifier: Apache-2.0
// Reading metric block files: opening, the list of blocks that readers pin, and the cursor over
// runs.

#include "base/file.h"
#include "base/hash.h"
#include "base/panic.h"
#include "codec/varint.h"
#include "store/mstore_format.h"
#include "store/mstore_int.h"
#include <fcntl.h>

// ------------------------------------------------------------ references

struct yg_mblock *yg_mblock_ref(struct yg_mblock *b) {
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void yg_mblock_unref(struct yg_mblock *b) {
    if (b == NULL || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
        return;
    yg_file_close(&b->fd);
    for (uint32_t i = 0; i < YG_MSECTIONS_MAX; i++)
        yg_free(YG_MS_TAG, b->sections[i].chunks);
    yg_free(YG_MS_TAG, b->path);
    yg_free(YG_MS_TAG, b);
}

struct yg_mblocks *yg_mblocks_create(uint32_t count) {
    struct yg_mblocks *l = yg_calloc(YG_MS_TAG, 1, sizeof(*l) + count * sizeof(l->blocks[0]));
    atomic_init(&l->refs, 1);
    l->count = count;
    return l;
}

struct yg_mblocks *yg_mblocks_ref(struct yg_mblocks *l) {
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void yg_mblocks_unref(struct yg_mblocks *l) {
    if (l == NULL || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < l->count; i++)
        yg_mblock_unref(l->blocks[i]);
    yg_free(YG_MS_TAG, l);
}

// ------------------------------------------------------------ chunks

// Reads, checks and unpacks the chunk at an offset. *ret_raw points into *stored or *raw.
static yg_rc read_chunk(const struct yg_mblock *b, uint64_t offset, uint32_t bytes, uint32_t kind,
                        struct yg_mcursor *c, yg_str *ret_raw, struct yg_err *err) {
    struct yg_mchunk_header h;
    if (bytes < sizeof(h) || bytes > YG_MS_CHUNK_MAX_BYTES)
        return yg_fail(err, YG_ECORRUPT, "chunk of %u bytes", bytes);
    if (bytes > c->stored_cap) {
        yg_free(YG_MS_TAG, c->stored);
        c->stored = yg_alloc(YG_MS_TAG, bytes);
        c->stored_cap = bytes;
    }
    YG_TRY(yg_file_pread_all(b->fd, c->stored, bytes, (off_t)offset, err));
    memcpy(&h, c->stored, sizeof(h));
    uint32_t crc = h.crc;
    h.crc = 0;
    const char *payload = c->stored + sizeof(h);
    if (h.stored_bytes != bytes - sizeof(h) || h.kind != kind ||
        h.raw_bytes > YG_MS_CHUNK_MAX_BYTES ||
        yg_crc32c(yg_crc32c(0, &h, sizeof(h)), payload, h.stored_bytes) != crc)
        return yg_fail(err, YG_ECORRUPT, "checksum of the chunk does not hold");
    if (h.encoding == YG_MCHUNK_RAW && h.raw_bytes == h.stored_bytes) {
        *ret_raw = yg_str_n(payload, h.raw_bytes);
        return YG_OK;
    }
    if (h.encoding != YG_MCHUNK_ZSTD)
        return yg_fail(err, YG_ECORRUPT, "unknown chunk encoding %u", h.encoding);
    if (h.raw_bytes > c->raw_cap) {
        yg_free(YG_MS_TAG, c->raw);
        c->raw = yg_alloc(YG_MS_TAG, h.raw_bytes);
        c->raw_cap = h.raw_bytes;
    }
    ZSTD_DCtx **zstd = c->zstd != NULL ? c->zstd : &c->own_zstd;
    if (*zstd == NULL)
        *zstd = ZSTD_createDCtx();
    if (*zstd == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a zstd context");
    size_t n = ZSTD_decompressDCtx(*zstd, c->raw, c->raw_cap, payload, h.stored_bytes);
    if (ZSTD_isError(n) || n != h.raw_bytes)
        return yg_fail(err, YG_ECORRUPT, "zstd payload is damaged");
    *ret_raw = yg_str_n(c->raw, n);
    return YG_OK;
}

// ------------------------------------------------------------ opening

static yg_rc get_u32(struct yg_cursor *c, uint32_t *ret, struct yg_err *err) {
    uint64_t v;
    YG_TRY(yg_get_varint(c, &v, err));
    if (v > UINT32_MAX)
        return yg_fail(err, YG_ECORRUPT, "number %llu is too large", (unsigned long long)v);
    *ret = (uint32_t)v;
    return YG_OK;
}

// A directory's chunk entry takes nine bytes at least.
static yg_rc load_section(struct yg_msection *s, struct yg_cursor *in, struct yg_err *err) {
    if (s->chunk_count > in->in.len / 9)
        return yg_fail(err, YG_ECORRUPT, "directory of %zu bytes cannot hold %u chunks", in->in.len,
                       s->chunk_count);
    s->chunks = yg_calloc(YG_MS_TAG, s->chunk_count + 1, sizeof(*s->chunks));
    uint64_t offset = 0;
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        struct yg_mchunk_ref *r = &s->chunks[i];
        uint64_t delta;
        YG_TRY(yg_get_varint(in, &delta, err));
        offset += delta;
        r->offset = offset;
        YG_TRY(get_u32(in, &r->stored_bytes, err));
        YG_TRY(get_u32(in, &r->raw_bytes, err));
        YG_TRY(get_u32(in, &r->first_metric, err));
        YG_TRY(get_u32(in, &r->first_series, err));
        YG_TRY(get_u32(in, &r->last_metric, err));
        YG_TRY(get_u32(in, &r->last_series, err));
        YG_TRY(get_u32(in, &r->min_bucket, err));
        YG_TRY(get_u32(in, &r->max_bucket, err));
    }
    return YG_OK;
}

static yg_rc load_directory(struct yg_mblock *b, const struct yg_mfile_footer *f,
                            struct yg_mcursor *c, struct yg_err *err) {
    yg_str raw;
    YG_TRY(
        read_chunk(b, f->directory_offset, f->directory_bytes, YG_MCHUNK_DIRECTORY, c, &raw, err));
    struct yg_cursor in = {.in = raw};
    b->section_count = 1;
    b->sections[0].step = 1;
    b->sections[0].chunk_count = f->chunk_count;
    if (b->version == 1)
        return load_section(&b->sections[0], &in, err);
    YG_TRY(get_u32(&in, &b->section_count, err));
    if (b->section_count < 1 || b->section_count > YG_MSECTIONS_MAX)
        return yg_fail(err, YG_ECORRUPT, "directory of %u sections", b->section_count);
    for (uint32_t i = 0; i < b->section_count; i++) {
        struct yg_msection *s = &b->sections[i];
        YG_TRY(get_u32(&in, &s->step, err));
        YG_TRY(get_u32(&in, &s->chunk_count, err));
        if (s->step == 0 || s->step > YG_MS_STEP_MAX || (i == 0) != (s->step == 1))
            return yg_fail(err, YG_ECORRUPT, "section %u has %u buckets a node", i, s->step);
        YG_TRY(load_section(s, &in, err));
    }
    return YG_OK;
}

const struct yg_msection *yg_mblock_section(const struct yg_mblock *b, uint32_t step) {
    for (uint32_t i = 0; i < b->section_count; i++)
        if (b->sections[i].step == step)
            return &b->sections[i];
    return NULL;
}

static yg_rc
load_series(const struct yg_mblock *b, const struct yg_mfile_footer *f, struct yg_mcursor *c,
            void (*fn)(void *ctx, uint32_t series, uint32_t metric, uint32_t last_bucket),
            void *ctx, struct yg_err *err) {
    yg_str raw;
    YG_TRY(read_chunk(b, f->series_offset, f->series_bytes, YG_MCHUNK_SERIES, c, &raw, err));
    struct yg_cursor in = {.in = raw};
    int64_t series = 0, metric = 0;
    for (uint32_t i = 0; i < f->series_count; i++) {
        int64_t ds, dm;
        uint32_t last = 0;
        YG_TRY(yg_get_svarint(&in, &ds, err));
        YG_TRY(yg_get_svarint(&in, &dm, err));
        YG_TRY(get_u32(&in, &last, err));
        if (__builtin_add_overflow(series, ds, &series) ||
            __builtin_add_overflow(metric, dm, &metric) || series < 0 ||
            series >= YG_MS_SERIES_ID_MAX || metric < 0 || metric >= YG_MS_NAME_ID_MAX)
            return yg_fail(err, YG_ECORRUPT, "series entry %u is out of range", i);
        if (fn != NULL)
            fn(ctx, (uint32_t)series, (uint32_t)metric, last);
    }
    return YG_OK;
}

static yg_rc read_ends(struct yg_mblock *b, struct yg_mfile_footer *f, struct yg_err *err) {
    struct yg_mfile_header h;
    YG_TRY(yg_file_size(b->fd, &b->bytes, err));
    if (b->bytes < (int64_t)(sizeof(h) + sizeof(*f)))
        return yg_fail(err, YG_ECORRUPT, "only %lld bytes", (long long)b->bytes);
    YG_TRY(yg_file_pread_all(b->fd, &h, sizeof(h), 0, err));
    if (h.magic != YG_MFILE_MAGIC ||
        yg_crc32c(0, &h, offsetof(struct yg_mfile_header, crc)) != h.crc)
        return yg_fail(err, YG_ECORRUPT, "header at byte 0 is damaged");
    if (h.version < 1 || h.version > YG_MFILE_VERSION)
        return yg_fail(err, YG_ECORRUPT, "format version %u is not known", h.version);
    off_t at = (off_t)(b->bytes - (int64_t)sizeof(*f));
    YG_TRY(yg_file_pread_all(b->fd, f, sizeof(*f), at, err));
    if (f->magic != YG_MFILE_FOOTER_MAGIC ||
        yg_crc32c(0, f, offsetof(struct yg_mfile_footer, crc)) != f->crc)
        return yg_fail(err, YG_ECORRUPT, "footer at byte %lld is damaged", (long long)at);
    b->version = h.version;
    b->level = h.level;
    b->seq_lo = h.seq_lo;
    b->seq_hi = h.seq_hi;
    b->points = f->points;
    b->min_bucket = f->min_bucket;
    b->max_bucket = f->max_bucket;
    return YG_OK;
}

yg_rc yg_mblock_open(const char *path,
                     void (*fn)(void *ctx, uint32_t series, uint32_t metric, uint32_t last_bucket),
                     void *ctx, struct yg_mblock **ret_block, struct yg_err *err) {
    struct yg_mblock *b = yg_calloc(YG_MS_TAG, 1, sizeof(*b));
    atomic_init(&b->refs, 1);
    b->fd = -1;
    b->path = yg_strndup(YG_MS_TAG, path, strlen(path));
    struct yg_mcursor c = {0};
    struct yg_mfile_footer f;
    yg_rc rc = yg_file_open(path, O_RDONLY | O_CLOEXEC, &b->fd, err);
    if (rc == YG_OK)
        rc = read_ends(b, &f, err);
    if (rc == YG_OK)
        rc = load_directory(b, &f, &c, err);
    if (rc == YG_OK)
        rc = load_series(b, &f, &c, fn, ctx, err);
    yg_mcursor_fini(&c);
    if (rc != YG_OK) {
        yg_mblock_unref(b);
        return yg_err_wrap(err, "metric block %s", path);
    }
    *ret_block = b;
    return YG_OK;
}

// ------------------------------------------------------------ cursor

// True when chunk r ends before (metric, series).
static bool ends_before(const struct yg_mchunk_ref *r, uint32_t metric, uint32_t series) {
    return r->last_metric < metric || (r->last_metric == metric && r->last_series < series);
}

static uint32_t lower_chunk(const struct yg_msection *s, uint32_t from, uint32_t metric,
                            uint32_t series) {
    uint32_t lo = from, hi = s->chunk_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ends_before(&s->chunks[mid], metric, series))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void yg_mcursor_init(struct yg_mcursor *c, const struct yg_mblock *b,
                     const struct yg_msection *section, uint32_t only_metric,
                     struct yg_mrange range) {
    *c = (struct yg_mcursor){.block = b,
                             .section = section,
                             .only_metric = only_metric,
                             .range = range,
                             .chunk_end = section->chunk_count};
    c->run.version = b->version;
    c->run.step = section->step;
    if (only_metric != YG_MS_NONE)
        c->chunk = lower_chunk(section, 0, only_metric, 0);
}

void yg_mcursor_skip_to(struct yg_mcursor *c, uint32_t series) {
    if (c->only_metric == YG_MS_NONE)
        return;
    // The loaded chunk (the one before c->chunk) is left only when it cannot hold the series.
    if (c->raw_len > 0 && !ends_before(&c->section->chunks[c->chunk - 1], c->only_metric, series))
        return;
    uint32_t at = lower_chunk(c->section, c->chunk, c->only_metric, series);
    if (at > c->chunk || c->raw_len > 0) {
        c->chunk = at;
        c->pos = c->raw_len = 0;
        c->valid = false;
    }
}

static void tell_damage(struct yg_mcursor *c, struct yg_err *err) {
    (void)yg_err_wrap(err, "metric block %s, chunk at byte %llu", c->block->path,
                      (unsigned long long)c->section->chunks[c->chunk - 1].offset);
    if (c->damage != NULL)
        c->damage(c->damage_ctx, err);
}

// Loads the next chunk that may hold something wanted.
static bool load_next(struct yg_mcursor *c) {
    c->pos = c->raw_len = 0;
    c->run.metric = c->run.series = c->run.first = 0; // heads are relative within a chunk
    while (c->chunk < c->chunk_end) {
        const struct yg_mchunk_ref *r = &c->section->chunks[c->chunk++];
        if (c->only_metric != YG_MS_NONE && r->first_metric > c->only_metric) {
            c->chunk = c->chunk_end;
            return false;
        }
        if (r->max_bucket + c->section->step <= c->range.from || r->min_bucket >= c->range.to)
            continue;
        struct yg_err err = {0};
        yg_str raw;
        if (read_chunk(c->block, r->offset, r->stored_bytes, YG_MCHUNK_RUNS, c, &raw, &err) !=
            YG_OK) {
            tell_damage(c, &err);
            continue;
        }
        if (raw.len == 0)
            continue;
        if (raw.ptr != c->raw) { // raw bytes are kept where the next read does not go
            if (raw.len > c->raw_cap) {
                yg_free(YG_MS_TAG, c->raw);
                c->raw = yg_alloc(YG_MS_TAG, raw.len);
                c->raw_cap = raw.len;
            }
            memcpy(c->raw, raw.ptr, raw.len);
        }
        c->raw_len = raw.len;
        return true;
    }
    return false;
}

static yg_rc read_head_v1(struct yg_cursor *in, struct yg_mrunref *run, struct yg_err *err) {
    yg_str type;
    YG_TRY(get_u32(in, &run->metric, err));
    YG_TRY(get_u32(in, &run->series, err));
    YG_TRY(yg_get_bytes(in, 1, &type, err));
    if ((unsigned char)type.ptr[0] >= YG_METRIC_TYPE_COUNT)
        return yg_fail(err, YG_ECORRUPT, "unknown metric type %d", type.ptr[0]);
    run->type = (uint8_t)type.ptr[0];
    return YG_OK;
}

// The numbers of a head are distances from the run before in the chunk.
static yg_rc add_distance(uint32_t *number, struct yg_cursor *in, uint32_t max,
                          struct yg_err *err) {
    int64_t d;
    YG_TRY(yg_get_svarint(in, &d, err));
    if (__builtin_add_overflow(d, (int64_t)*number, &d) || d < 0 || d > (int64_t)max)
        return yg_fail(err, YG_ECORRUPT, "head of a run is out of range");
    *number = (uint32_t)d;
    return YG_OK;
}

static yg_rc read_head(struct yg_cursor *in, struct yg_mrunref *run, struct yg_err *err) {
    uint64_t kind;
    YG_TRY(yg_get_varint(in, &kind, err));
    if (kind / YG_METRIC_TYPE_COUNT > YG_MS_NAME_ID_MAX - run->metric)
        return yg_fail(err, YG_ECORRUPT, "head of a run is out of range");
    run->metric += (uint32_t)(kind / YG_METRIC_TYPE_COUNT);
    run->type = (uint8_t)(kind % YG_METRIC_TYPE_COUNT);
    YG_TRY(add_distance(&run->series, in, YG_MS_SERIES_ID_MAX - 1, err));
    run->first /= run->step;
    YG_TRY(add_distance(&run->first, in, UINT32_MAX / run->step, err));
    run->first *= run->step;
    return YG_OK;
}

static yg_rc read_run(struct yg_mcursor *c, struct yg_err *err) {
    struct yg_cursor in = {.in = yg_str_n(c->raw, c->raw_len), .pos = c->pos};
    YG_TRY(c->run.version == 1 ? read_head_v1(&in, &c->run, err) : read_head(&in, &c->run, err));
    YG_TRY(yg_get_lenstr(&in, &c->run.payload, err));
    c->pos = in.pos;
    return YG_OK;
}

bool yg_mcursor_next(struct yg_mcursor *c) {
    c->valid = false;
    for (;;) {
        if (c->pos >= c->raw_len && !load_next(c))
            return false;
        struct yg_err err = {0};
        if (read_run(c, &err) != YG_OK) {
            tell_damage(c, &err);
            c->pos = c->raw_len;
            continue;
        }
        if (c->only_metric != YG_MS_NONE && c->run.metric < c->only_metric)
            continue;
        if (c->only_metric != YG_MS_NONE && c->run.metric > c->only_metric) {
            c->pos = c->raw_len;
            c->chunk = c->chunk_end;
            return false;
        }
        c->valid = true;
        return true;
    }
}

bool yg_mcursor_decode(struct yg_mcursor *c, const struct yg_mrange *ranges, uint32_t range_count,
                       uint32_t fields, struct yg_mrun *run) {
    YG_ASSERT(c->valid);
    struct yg_err err = {0};
    uint32_t len = run->len, sketches = run->sketch_len;
    if (yg_mpayload_get(&c->run, ranges, range_count, fields, &c->scratch, run, &err) == YG_OK)
        return true;
    run->len = len;
    run->sketch_len = sketches;
    tell_damage(c, &err);
    return false;
}

void yg_mcursor_fini(struct yg_mcursor *c) {
    yg_free(YG_MS_TAG, c->stored);
    yg_free(YG_MS_TAG, c->raw);
    yg_mscratch_fini(&c->scratch);
    (void)ZSTD_freeDCtx(c->own_zstd);
    *c = (struct yg_mcursor){0};
}
