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

// Header and payload, compressed where that saves an eighth.
static yg_rc write_chunk(struct yg_mwriter *w, uint32_t kind, yg_str raw,
                         uint32_t *ret_stored_bytes, struct yg_err *err) {
    struct yg_mchunk_header h = {.raw_bytes = (uint32_t)raw.len,
                                 .stored_bytes = (uint32_t)raw.len,
                                 .encoding = YG_MCHUNK_RAW,
                                 .kind = (uint8_t)kind};
    size_t bound = ZSTD_compressBound(raw.len);
    yg_buf_reset(&w->stored);
    YG_TRY(yg_buf_reserve(&w->stored, sizeof(h) + bound, err));
    char *payload = w->stored.ptr + sizeof(h);
    size_t packed =
        raw.len < 64 ? 0 : ZSTD_compressCCtx(w->zstd, payload, bound, raw.ptr, raw.len, 1);
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

static yg_rc close_chunk(struct yg_mwriter *w, struct yg_err *err) {
    if (w->open_runs == 0)
        return YG_OK;
    YG_TRY(yg_buf_ok(&w->raw, err));
    w->open.offset = w->offset;
    w->open.raw_bytes = (uint32_t)w->raw.len;
    YG_TRY(write_chunk(w, YG_MCHUNK_RUNS, yg_buf_str(&w->raw), &w->open.stored_bytes, err));
    YG_GROW(YG_MS_TAG, w->chunks, w->chunk_count, w->chunk_cap);
    w->chunks[w->chunk_count++] = w->open;
    w->open_runs = 0;
    yg_buf_reset(&w->raw);
    return YG_OK;
}

// ------------------------------------------------------------ runs

static void put_times(struct yg_buf *out, const struct yg_mrun *run) {
    yg_put_varint(out, run->points[0].bucket);
    bool regular = true;
    for (uint32_t i = 2; i < run->len && regular; i++)
        regular = run->points[i].bucket - run->points[i - 1].bucket ==
                  run->points[1].bucket - run->points[0].bucket;
    if (regular && run->len > 1) {
        yg_put_varint(out, run->points[1].bucket - run->points[0].bucket);
        return;
    }
    yg_put_varint(out, 0);
    for (uint32_t i = 1; i < run->len; i++)
        yg_put_varint(out, run->points[i].bucket - run->points[i - 1].bucket);
}

static double *column_of(struct yg_mwriter *w, uint32_t n) {
    if (n > w->column_cap) {
        w->column_cap = n;
        w->column = yg_realloc(YG_MS_TAG, w->column, n * sizeof(*w->column));
    }
    return w->column;
}

#define PUT_FIELD(field)                                                                           \
    do {                                                                                           \
        for (uint32_t i = 0; i < run->len; i++)                                                    \
            column[i] = run->points[i].field;                                                      \
        yg_mcol_put(out, column, run->len);                                                        \
    } while (0)

static bool all_single(const struct yg_mrun *run) {
    for (uint32_t i = 0; i < run->len; i++) {
        const struct yg_mpoint *p = &run->points[i];
        if (p->count > 1 || p->last < p->sum || p->last > p->sum)
            return false;
    }
    return true;
}

static void put_values(struct yg_mwriter *w, struct yg_buf *out, enum yg_metric_type type,
                       const struct yg_mrun *run) {
    if (type == YG_METRIC_DISTRIBUTION) {
        yg_buf_putc(out, YG_MRUN_SKETCHES);
        for (uint32_t i = 0; i < run->len; i++)
            yg_sketch_encode(run->points[i].sketch, out);
        return;
    }
    double *column = column_of(w, run->len);
    if (all_single(run)) {
        yg_buf_putc(out, YG_MRUN_SINGLE);
        PUT_FIELD(sum);
        return;
    }
    yg_buf_putc(out, YG_MRUN_FULL);
    PUT_FIELD(last);
    PUT_FIELD(min);
    PUT_FIELD(max);
    PUT_FIELD(sum);
    PUT_FIELD(count);
}

static void note_series(struct yg_mwriter *w, uint32_t metric, uint32_t series,
                        uint32_t last_bucket) {
    yg_put_svarint(&w->series, (int64_t)series - (int64_t)w->last_series);
    yg_put_svarint(&w->series, (int64_t)metric - (int64_t)w->last_metric);
    yg_put_varint(&w->series, last_bucket);
    w->last_series = series;
    w->last_metric = metric;
    w->series_count++;
}

static yg_rc put_piece(struct yg_mwriter *w, uint32_t metric, uint32_t series,
                       enum yg_metric_type type, const struct yg_mrun *run, struct yg_err *err) {
    struct yg_buf *out = &w->scratch;
    yg_buf_reset(out);
    yg_put_varint(out, run->len);
    put_times(out, run);
    put_values(w, out, type, run);
    YG_TRY(yg_buf_ok(out, err));

    uint32_t first = run->points[0].bucket, last = run->points[run->len - 1].bucket;
    if (w->open_runs > 0 && w->raw.len + out->len > YG_MS_CHUNK_RAW_BYTES)
        YG_TRY(close_chunk(w, err));
    if (w->open_runs++ == 0)
        w->open = (struct yg_mchunk_ref){.first_metric = metric,
                                         .first_series = series,
                                         .min_bucket = first,
                                         .max_bucket = last};
    w->open.last_metric = metric;
    w->open.last_series = series;
    w->open.min_bucket = first < w->open.min_bucket ? first : w->open.min_bucket;
    w->open.max_bucket = last > w->open.max_bucket ? last : w->open.max_bucket;
    yg_put_varint(&w->raw, metric);
    yg_put_varint(&w->raw, series);
    yg_buf_putc(&w->raw, (char)type);
    yg_put_lenstr(&w->raw, yg_buf_str(out));

    w->min_bucket = w->points == 0 || first < w->min_bucket ? first : w->min_bucket;
    w->max_bucket = w->points == 0 || last > w->max_bucket ? last : w->max_bucket;
    w->points += run->len;
    return YG_OK;
}

yg_rc yg_mwriter_run(struct yg_mwriter *w, uint32_t metric, uint32_t series,
                     enum yg_metric_type type, const struct yg_mrun *run, struct yg_err *err) {
    if (run->len == 0)
        return YG_OK;
    note_series(w, metric, series, run->points[run->len - 1].bucket);
    for (uint32_t at = 0; at < run->len; at += YG_MS_RUN_POINTS_MAX) {
        struct yg_mrun piece = {.points = run->points + at, .len = run->len - at};
        if (piece.len > YG_MS_RUN_POINTS_MAX)
            piece.len = YG_MS_RUN_POINTS_MAX;
        YG_TRY(put_piece(w, metric, series, type, &piece, err));
    }
    return YG_OK;
}

// ------------------------------------------------------------ directory and footer

static yg_rc write_directory(struct yg_mwriter *w, struct yg_mfile_footer *f, struct yg_err *err) {
    yg_buf_reset(&w->raw);
    uint64_t offset = 0;
    for (uint32_t i = 0; i < w->chunk_count; i++) {
        const struct yg_mchunk_ref *c = &w->chunks[i];
        yg_put_varint(&w->raw, c->offset - offset);
        offset = c->offset;
        yg_put_varint(&w->raw, c->stored_bytes);
        yg_put_varint(&w->raw, c->raw_bytes);
        yg_put_varint(&w->raw, c->first_metric);
        yg_put_varint(&w->raw, c->first_series);
        yg_put_varint(&w->raw, c->last_metric);
        yg_put_varint(&w->raw, c->last_series);
        yg_put_varint(&w->raw, c->min_bucket);
        yg_put_varint(&w->raw, c->max_bucket);
    }
    YG_TRY(yg_buf_ok(&w->raw, err));
    YG_TRY(yg_buf_ok(&w->series, err));
    f->chunk_count = w->chunk_count;
    f->directory_offset = w->offset;
    YG_TRY(write_chunk(w, YG_MCHUNK_DIRECTORY, yg_buf_str(&w->raw), &f->directory_bytes, err));
    f->series_offset = w->offset;
    f->series_count = w->series_count;
    return write_chunk(w, YG_MCHUNK_SERIES, yg_buf_str(&w->series), &f->series_bytes, err);
}

yg_rc yg_mwriter_finish(struct yg_mwriter *w, struct yg_err *err) {
    YG_TRY(close_chunk(w, err));
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
    w->raw = YG_BUF(YG_MS_TAG, YG_MS_CHUNK_MAX_BYTES);
    w->stored = YG_BUF(YG_MS_TAG, 2 * (size_t)YG_MS_CHUNK_MAX_BYTES);
    w->scratch = YG_BUF(YG_MS_TAG, YG_MS_CHUNK_MAX_BYTES / 2);
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
    yg_free(YG_MS_TAG, w->chunks);
    yg_free(YG_MS_TAG, w->column);
    yg_buf_fini(&w->raw);
    yg_buf_fini(&w->stored);
    yg_buf_fini(&w->scratch);
    yg_buf_fini(&w->series);
    (void)ZSTD_freeCCtx(w->zstd);
}
