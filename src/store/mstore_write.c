// SPDX-License-Identifier: Apache-2.0
// Writing metric block files: chunk after chunk into a temporary file, then directory, footer,
// fsync, rename. The format, byte by byte: docs/formats/metrics.md.

#include "base/file.h"
#include "base/hash.h"
#include "codec/varint.h"
#include "store/mstore_format.h"
#include "store/mstore_int.h"
#include <fcntl.h>
#include <unistd.h>

// ------------------------------------------------------------ chunks

// Header and payload, compressed when asked and where that saves an eighth.
static yg_rc write_chunk(struct yg_mwriter *w, uint32_t kind, yg_str raw, bool compress,
                         uint32_t *ret_stored_bytes, struct yg_err *err) {
    struct yg_mchunk_header h = {.raw_bytes = (uint32_t)raw.len,
                                 .stored_bytes = (uint32_t)raw.len,
                                 .encoding = YG_MCHUNK_RAW,
                                 .kind = (uint8_t)kind};
    size_t bound = ZSTD_compressBound(raw.len), packed = 0;
    yg_buf_reset(&w->stored);
    YG_TRY(yg_buf_reserve(&w->stored, sizeof(h) + bound, err));
    char *payload = w->stored.ptr + sizeof(h);
    if (compress && raw.len >= 64)
        packed = ZSTD_compressCCtx(w->zstd, payload, bound, raw.ptr, raw.len, 1);
    if (packed != 0 && !ZSTD_isError(packed) && packed < raw.len - raw.len / 8) {
        h.encoding = YG_MCHUNK_ZSTD;
        h.stored_bytes = (uint32_t)packed;
    } else if (raw.len > 0) {
        memcpy(payload, raw.ptr, raw.len);
    }
    h.crc = yg_crc32c(yg_crc32c(0, &h, sizeof(h)), payload, h.stored_bytes);
    memcpy(w->stored.ptr, &h, sizeof(h));
    *ret_stored_bytes = (uint32_t)sizeof(h) + h.stored_bytes;
    YG_TRY(yg_file_write_all(w->fd, w->stored.ptr, *ret_stored_bytes, err));
    w->offset += *ret_stored_bytes;
    return YG_OK;
}

static yg_rc close_chunk(struct yg_mwriter *w, struct yg_mwriter_section *s, struct yg_err *err) {
    if (s->open_runs == 0)
        return YG_OK;
    YG_TRY(yg_buf_ok(&s->raw, err));
    s->open.offset = w->offset;
    s->open.raw_bytes = (uint32_t)s->raw.len;
    // Few points a run repeat their heads; long runs are packed as small as zstd would make them.
    bool compress = s->sketches || w->level < YG_MS_PLAIN_LEVEL;
    YG_TRY(
        write_chunk(w, YG_MCHUNK_RUNS, yg_buf_str(&s->raw), compress, &s->open.stored_bytes, err));
    YG_GROW(YG_MS_TAG, s->s.chunks, s->s.chunk_count, s->s.chunk_cap);
    s->s.chunks[s->s.chunk_count++] = s->open;
    s->open_runs = 0;
    s->metric = s->series = s->first = 0;
    s->sketches = false;
    yg_buf_reset(&s->raw);
    return YG_OK;
}

// ------------------------------------------------------------ runs

static void note_series(struct yg_mwriter *w, uint32_t metric, uint32_t series,
                        uint32_t last_bucket) {
    yg_put_svarint(&w->series, (int64_t)series - (int64_t)w->last_series);
    yg_put_svarint(&w->series, (int64_t)metric - (int64_t)w->last_metric);
    yg_put_varint(&w->series, last_bucket);
    w->last_series = series;
    w->last_metric = metric;
    w->series_count++;
}

static void put_head(struct yg_mwriter_section *s, uint32_t metric, uint32_t series,
                     enum yg_metric_type type, uint32_t first) {
    first /= s->s.step;
    yg_put_varint(&s->raw, (uint64_t)(metric - s->metric) * YG_METRIC_TYPE_COUNT + type);
    yg_put_svarint(&s->raw, (int64_t)series - s->series);
    yg_put_svarint(&s->raw, (int64_t)first - s->first);
    s->metric = metric;
    s->series = series;
    s->first = first;
}

static yg_rc put_piece(struct yg_mwriter *w, struct yg_mwriter_section *s, uint32_t metric,
                       uint32_t series, enum yg_metric_type type, const struct yg_mrun *run,
                       uint32_t at, uint32_t n, struct yg_err *err) {
    yg_buf_reset(&w->payload);
    yg_mpayload_put(&w->payload, type, run, at, n, s->s.step, &w->scratch);
    YG_TRY(yg_buf_ok(&w->payload, err));
    uint32_t first = run->bucket[at], last = run->bucket[at + n - 1];
    size_t full = w->level < YG_MS_PLAIN_LEVEL ? YG_MS_CHUNK_YOUNG_BYTES : YG_MS_CHUNK_RAW_BYTES;
    if (s->open_runs > 0 && s->raw.len + w->payload.len > full)
        YG_TRY(close_chunk(w, s, err));
    if (s->open_runs++ == 0)
        s->open = (struct yg_mchunk_ref){.first_metric = metric,
                                         .first_series = series,
                                         .min_bucket = first,
                                         .max_bucket = last};
    s->open.last_metric = metric;
    s->open.last_series = series;
    s->open.min_bucket = first < s->open.min_bucket ? first : s->open.min_bucket;
    s->open.max_bucket = last > s->open.max_bucket ? last : s->open.max_bucket;
    s->sketches |= type == YG_METRIC_DISTRIBUTION;
    put_head(s, metric, series, type, first);
    yg_put_lenstr(&s->raw, yg_buf_str(&w->payload));
    return YG_OK;
}

static yg_rc put_run(struct yg_mwriter *w, struct yg_mwriter_section *s, uint32_t metric,
                     uint32_t series, enum yg_metric_type type, const struct yg_mrun *run,
                     struct yg_err *err) {
    for (uint32_t at = 0; at < run->len; at += YG_MS_RUN_POINTS_MAX) {
        uint32_t n = run->len - at < YG_MS_RUN_POINTS_MAX ? run->len - at : YG_MS_RUN_POINTS_MAX;
        YG_TRY(put_piece(w, s, metric, series, type, run, at, n, err));
    }
    return YG_OK;
}

yg_rc yg_mwriter_run(struct yg_mwriter *w, uint32_t metric, uint32_t series,
                     enum yg_metric_type type, const struct yg_mrun *run, struct yg_err *err) {
    if (run->len == 0)
        return YG_OK;
    uint32_t first = run->bucket[0], last = run->bucket[run->len - 1];
    note_series(w, metric, series, last);
    w->min_bucket = w->points == 0 || first < w->min_bucket ? first : w->min_bucket;
    w->max_bucket = w->points == 0 || last > w->max_bucket ? last : w->max_bucket;
    w->points += run->len;
    YG_TRY(put_run(w, &w->sections[0], metric, series, type, run, err));
    if (w->section_count == 1)
        return YG_OK;
    yg_mrun_roll(run, type, 6, YG_MS_FIELDS_ROLLED, &w->minutes);
    for (uint32_t i = 1; i < w->section_count; i++) {
        struct yg_mwriter_section *s = &w->sections[i];
        yg_mrun_roll(i == 1 ? &w->minutes : &w->sections[i - 1].rolled, type, s->s.step,
                     YG_MS_FIELDS_ROLLED, &s->rolled);
        YG_TRY(put_run(w, s, metric, series, type, &s->rolled, err));
    }
    return YG_OK;
}

// ------------------------------------------------------------ directory and footer

static void put_section(struct yg_buf *out, const struct yg_msection *s) {
    yg_put_varint(out, s->step);
    yg_put_varint(out, s->chunk_count);
    uint64_t offset = 0;
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        const struct yg_mchunk_ref *c = &s->chunks[i];
        yg_put_varint(out, c->offset - offset);
        offset = c->offset;
        yg_put_varint(out, c->stored_bytes);
        yg_put_varint(out, c->raw_bytes);
        yg_put_varint(out, c->first_metric);
        yg_put_varint(out, c->first_series);
        yg_put_varint(out, c->last_metric);
        yg_put_varint(out, c->last_series);
        yg_put_varint(out, c->min_bucket);
        yg_put_varint(out, c->max_bucket);
    }
}

static yg_rc write_directory(struct yg_mwriter *w, struct yg_mfile_footer *f, struct yg_err *err) {
    yg_buf_reset(&w->payload);
    yg_put_varint(&w->payload, w->section_count);
    for (uint32_t i = 0; i < w->section_count; i++) {
        put_section(&w->payload, &w->sections[i].s);
        f->chunk_count += w->sections[i].s.chunk_count;
    }
    YG_TRY(yg_buf_ok(&w->payload, err));
    YG_TRY(yg_buf_ok(&w->series, err));
    f->directory_offset = w->offset;
    YG_TRY(write_chunk(w, YG_MCHUNK_DIRECTORY, yg_buf_str(&w->payload), true, &f->directory_bytes,
                       err));
    f->series_offset = w->offset;
    f->series_count = w->series_count;
    return write_chunk(w, YG_MCHUNK_SERIES, yg_buf_str(&w->series), true, &f->series_bytes, err);
}

yg_rc yg_mwriter_finish(struct yg_mwriter *w, struct yg_err *err) {
    for (uint32_t i = 0; i < w->section_count; i++)
        YG_TRY(close_chunk(w, &w->sections[i], err));
    struct yg_mfile_footer f = {.points = w->points,
                                .min_bucket = w->min_bucket,
                                .max_bucket = w->max_bucket,
                                .magic = YG_MFILE_FOOTER_MAGIC};
    YG_TRY(write_directory(w, &f, err));
    f.crc = yg_crc32c(0, &f, offsetof(struct yg_mfile_footer, crc));
    YG_TRY(yg_file_write_all(w->fd, &f, sizeof(f), err));
    YG_TRY(yg_file_sync(w->fd, err));
    YG_TRY(yg_file_rename(w->tmp, w->path, err));
    yg_free(YG_MS_TAG, w->tmp);
    w->tmp = NULL;
    return yg_file_sync_dir(w->dir, err);
}

// ------------------------------------------------------------ life

static char *path_of(const char *dir, const char *prefix, uint64_t lo, uint64_t hi) {
    char name[4096];
    int n = snprintf(name, sizeof(name), "%s/%s" YG_MBLOCK_NAME, dir, prefix,
                     (unsigned long long)lo, (unsigned long long)hi);
    return yg_strndup(YG_MS_TAG, name, (size_t)(n < (int)sizeof(name) ? n : (int)sizeof(name) - 1));
}

yg_rc yg_mwriter_open(struct yg_mwriter *w, const struct yg_mwriter_options *options,
                      struct yg_err *err) {
    *w = (struct yg_mwriter){.fd = -1,
                             .dir = options->dir,
                             .level = options->level,
                             .seq_lo = options->seq_lo,
                             .seq_hi = options->seq_hi};
    static const uint32_t steps[YG_MSECTIONS_MAX] = {1, 30, 360};
    w->section_count = w->level < YG_MS_ROLLUP_LEVEL ? 1 : YG_MSECTIONS_MAX;
    for (uint32_t i = 0; i < w->section_count; i++) {
        w->sections[i].s.step = steps[i];
        w->sections[i].raw = YG_BUF(YG_MS_TAG, YG_MS_CHUNK_MAX_BYTES);
    }
    w->stored = YG_BUF(YG_MS_TAG, 2 * (size_t)YG_MS_CHUNK_MAX_BYTES);
    w->payload = YG_BUF(YG_MS_TAG, YG_MS_CHUNK_MAX_BYTES / 2);
    w->series = YG_BUF(YG_MS_TAG, YG_MS_CHUNK_MAX_BYTES);
    w->path = path_of(w->dir, "", w->seq_lo, w->seq_hi);
    w->tmp = path_of(w->dir, "tmp-", w->seq_lo, w->seq_hi);
    w->zstd = ZSTD_createCCtx();
    if (w->zstd == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a zstd context");
    YG_TRY(yg_file_open(w->tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, &w->fd, err));
    struct yg_mfile_header h = {.magic = YG_MFILE_MAGIC,
                                .version = YG_MFILE_VERSION,
                                .level = w->level,
                                .seq_lo = w->seq_lo,
                                .seq_hi = w->seq_hi,
                                .created_s = options->created_s};
    h.crc = yg_crc32c(0, &h, offsetof(struct yg_mfile_header, crc));
    YG_TRY(yg_file_write_all(w->fd, &h, sizeof(h), err));
    w->offset = sizeof(h);
    return YG_OK;
}

void yg_mwriter_fini(struct yg_mwriter *w) {
    yg_file_close(&w->fd);
    if (w->tmp != NULL)
        (void)unlink(w->tmp);
    yg_free(YG_MS_TAG, w->tmp);
    yg_free(YG_MS_TAG, w->path);
    for (uint32_t i = 0; i < w->section_count; i++) {
        yg_free(YG_MS_TAG, w->sections[i].s.chunks);
        yg_buf_fini(&w->sections[i].raw);
        yg_mrun_fini(&w->sections[i].rolled);
    }
    yg_mscratch_fini(&w->scratch);
    yg_mrun_fini(&w->minutes);
    yg_buf_fini(&w->stored);
    yg_buf_fini(&w->payload);
    yg_buf_fini(&w->series);
    (void)ZSTD_freeCCtx(w->zstd);
}
