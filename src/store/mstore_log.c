// SPDX-License-Identifier: Apache-2.0
// The series log: DIR/series.ygs names every metric and series, so that block files need only their
// ids.
//
// header, then frames: raw_bytes u32, stored_bytes u32, crc32c u32 (of the two numbers and the
// payload), payload (zstd of records). A record: kind u8 and varints and texts, see yg_mlog_append.
// A frame is synced before the block file that needs it is renamed into place, so a torn tail is
// never missed and is cut off; a damaged frame inside is told and skipped, and the log is written
// anew at the next flush.

#include "base/file.h"
#include "base/hash.h"
#include "codec/varint.h"
#include "store/mstore_format.h"
#include "store/mstore_int.h"
#include <fcntl.h>
#include <unistd.h>

#define FRAME_HEADER_BYTES 12u
#define FRAME_RAW_BYTES (1024u * 1024u) // a frame is closed at this size
#define FRAME_MAX_BYTES (16u * 1024u * 1024u)

// ------------------------------------------------------------ reading

static yg_rc read_type(struct yg_cursor *in, enum yg_metric_type *ret_type, struct yg_err *err) {
    uint64_t type;
    YG_TRY(yg_get_varint(in, &type, err));
    if (type >= YG_METRIC_TYPE_COUNT)
        return yg_fail(err, YG_ECORRUPT, "unknown metric type %llu", (unsigned long long)type);
    *ret_type = (enum yg_metric_type)type;
    return YG_OK;
}

static yg_rc read_record(struct yg_cursor *in, struct yg_mreg *reg, uint32_t *records,
                         struct yg_err *err) {
    uint64_t kind, id, metric = 0, interval;
    enum yg_metric_type type = YG_METRIC_GAUGE;
    yg_str text, unit = {0};
    YG_TRY(yg_get_varint(in, &kind, err));
    if (kind != YG_MLOG_NAME && kind != YG_MLOG_SERIES)
        return yg_fail(err, YG_ECORRUPT, "unknown record %llu", (unsigned long long)kind);
    YG_TRY(yg_get_varint(in, &id, err));
    if (kind == YG_MLOG_SERIES)
        YG_TRY(yg_get_varint(in, &metric, err));
    YG_TRY(read_type(in, &type, err));
    YG_TRY(yg_get_varint(in, &interval, err));
    YG_TRY(yg_get_lenstr(in, &text, err));
    if (kind == YG_MLOG_NAME)
        YG_TRY(yg_get_lenstr(in, &unit, err));
    if (id >= (kind == YG_MLOG_NAME ? YG_MS_NAME_ID_MAX : YG_MS_SERIES_ID_MAX) ||
        metric >= YG_MS_NAME_ID_MAX || interval > UINT32_MAX)
        return yg_fail(err, YG_ECORRUPT, "record with id %llu", (unsigned long long)id);
    if (kind == YG_MLOG_NAME)
        yg_mreg_load_name(reg, (uint32_t)id, text, type, (uint32_t)interval, unit);
    else
        yg_mreg_load_series(reg, (uint32_t)id, (uint32_t)metric, type, (uint32_t)interval, text);
    ++*records;
    return YG_OK;
}

// One frame out of `in` (the whole file) at *at. ECORRUPT leaves *at behind the frame when its
// sizes are believable; *ret_torn = true when the rest of the file is not a frame at all.
static yg_rc read_frame(yg_str in, size_t *at, struct yg_mreg *reg, char *raw, uint32_t *records,
                        bool *ret_torn, struct yg_err *err) {
    uint32_t h[3];
    *ret_torn = in.len - *at < FRAME_HEADER_BYTES;
    if (*ret_torn)
        return yg_fail(err, YG_ECORRUPT, "torn frame");
    memcpy(h, in.ptr + *at, sizeof(h));
    *ret_torn = h[0] > FRAME_MAX_BYTES || h[1] > in.len - *at - FRAME_HEADER_BYTES;
    if (*ret_torn)
        return yg_fail(err, YG_ECORRUPT, "torn frame");
    const char *payload = in.ptr + *at + FRAME_HEADER_BYTES;
    *at += FRAME_HEADER_BYTES + h[1];
    if (yg_crc32c(yg_crc32c(0, h, 8), payload, h[1]) != h[2])
        return yg_fail(err, YG_ECORRUPT, "checksum of the frame does not hold");
    size_t n = ZSTD_decompress(raw, FRAME_MAX_BYTES, payload, h[1]);
    if (ZSTD_isError(n) || n != h[0])
        return yg_fail(err, YG_ECORRUPT, "zstd payload is damaged");
    struct yg_cursor in_frame = {.in = yg_str_n(raw, n)};
    while (in_frame.pos < in_frame.in.len)
        YG_TRY(read_record(&in_frame, reg, records, err));
    return YG_OK;
}

static yg_rc read_all(struct yg_mlog *l, struct yg_mreg *reg,
                      void (*damage)(void *ctx, const struct yg_err *err), void *ctx,
                      struct yg_err *err) {
    YG_AUTO(yg_buf) file = YG_BUF(YG_MS_TAG, (size_t)1 << 32);
    YG_TRY(yg_file_read_all(l->path, &file, err));
    struct yg_mlog_header h = {0};
    if (file.len >= sizeof(h))
        memcpy(&h, file.ptr, sizeof(h));
    if (h.magic != YG_MLOG_MAGIC || h.version != 1) {
        struct yg_err e = {0};
        (void)yg_fail(&e, YG_ECORRUPT, "%s: header at byte 0 is damaged", l->path);
        damage(ctx, &e);
        l->broken = true;
        if (file.len < sizeof(h))
            return YG_OK;
    }
    char *raw = yg_alloc(YG_MS_TAG, FRAME_MAX_BYTES);
    size_t at = sizeof(h);
    l->size = (int64_t)at;
    while (at < file.len) {
        struct yg_err e = {0};
        bool torn;
        size_t frame = at;
        yg_rc rc = read_frame(yg_buf_str(&file), &at, reg, raw, &l->records, &torn, &e);
        if (rc != YG_OK && !torn) {
            (void)yg_err_wrap(&e, "%s, frame at byte %zu", l->path, frame);
            damage(ctx, &e);
            l->broken = true;
        }
        if (torn)
            break;
        l->size = (int64_t)at;
    }
    yg_free(YG_MS_TAG, raw);
    return YG_OK;
}

// ------------------------------------------------------------ writing

struct frame_writer {
    int fd;
    int64_t at;
    struct yg_buf raw;
    struct yg_buf out;
};

static yg_rc put_frame(struct frame_writer *w, struct yg_err *err) {
    if (w->raw.len == 0)
        return YG_OK;
    YG_TRY(yg_buf_ok(&w->raw, err));
    size_t bound = ZSTD_compressBound(w->raw.len);
    yg_buf_reset(&w->out);
    YG_TRY(yg_buf_reserve(&w->out, FRAME_HEADER_BYTES + bound, err));
    char *payload = w->out.ptr + FRAME_HEADER_BYTES;
    size_t n = ZSTD_compress(payload, bound, w->raw.ptr, w->raw.len, 1);
    if (ZSTD_isError(n))
        return yg_fail(err, YG_EINTERNAL, "zstd: %s", ZSTD_getErrorName(n));
    uint32_t h[3] = {(uint32_t)w->raw.len, (uint32_t)n, 0};
    h[2] = yg_crc32c(yg_crc32c(0, h, 8), payload, n);
    memcpy(w->out.ptr, h, sizeof(h));
    YG_TRY(yg_file_pwrite_all(w->fd, w->out.ptr, FRAME_HEADER_BYTES + n, (off_t)w->at, err));
    w->at += (int64_t)(FRAME_HEADER_BYTES + n);
    yg_buf_reset(&w->raw);
    return YG_OK;
}

static void put_name(struct yg_buf *b, const struct yg_mname *n) {
    yg_put_varint(b, YG_MLOG_NAME);
    yg_put_varint(b, n->id);
    yg_put_varint(b, (uint64_t)n->type);
    yg_put_varint(b, n->interval_s);
    yg_put_lenstr(b, n->name);
    yg_put_lenstr(b, n->unit);
}

static void put_series(struct yg_buf *b, const struct yg_mreg *reg, uint32_t id,
                       const struct yg_mseries *s) {
    yg_put_varint(b, YG_MLOG_SERIES);
    yg_put_varint(b, id);
    yg_put_varint(b, s->metric);
    yg_put_varint(b, s->type);
    yg_put_varint(b, atomic_load_explicit(&s->interval_s, memory_order_relaxed));
    yg_put_lenstr(b, yg_mreg_tags(reg, s->tagset));
}

struct collected {
    struct yg_buf *frames; // raw frames, one buffer each
    uint32_t len, cap;
    uint32_t series_len;
    uint32_t records;
};

static struct yg_buf *open_frame(struct collected *c) {
    if (c->len == 0 || c->frames[c->len - 1].len >= FRAME_RAW_BYTES) {
        YG_GROW(YG_MS_TAG, c->frames, c->len, c->cap);
        c->frames[c->len++] = YG_BUF(YG_MS_TAG, FRAME_MAX_BYTES);
    }
    return &c->frames[c->len - 1];
}

// Copies what is to be written under the lock; writing itself happens without it.
static void collect(struct yg_mreg *reg, bool all, struct collected *c) {
    pthread_rwlock_wrlock(&reg->lock);
    for (uint32_t i = 0; (all || reg->names_dirty) && i < reg->name_len; i++) {
        struct yg_mname *n = reg->names[i];
        if (n == NULL || (n->logged && !all))
            continue;
        put_name(open_frame(c), n);
        c->records++;
        n->logged = true;
    }
    reg->names_dirty = false;
    for (uint32_t id = all ? 0 : reg->logged_series; id < reg->series_len; id++) {
        const struct yg_mseries *s = yg_mreg_series(reg, id);
        if (s == NULL || s->dead)
            continue;
        put_series(open_frame(c), reg, id, s);
        c->records++;
    }
    c->series_len = reg->series_len;
    pthread_rwlock_unlock(&reg->lock);
}

static yg_rc write_frames(struct frame_writer *w, struct collected *c, struct yg_err *err) {
    for (uint32_t i = 0; i < c->len; i++) {
        yg_buf_reset(&w->raw);
        YG_TRY(yg_buf_append(&w->raw, yg_buf_str(&c->frames[i]), err));
        YG_TRY(put_frame(w, err));
    }
    return YG_OK;
}

static yg_rc append_frames(struct yg_mlog *l, struct collected *c, struct yg_err *err) {
    if (c->len == 0)
        return YG_OK;
    struct frame_writer w = {.fd = l->fd, .at = l->size};
    w.raw = YG_BUF(YG_MS_TAG, FRAME_MAX_BYTES);
    w.out = YG_BUF(YG_MS_TAG, 2 * FRAME_MAX_BYTES);
    yg_rc rc = write_frames(&w, c, err);
    if (rc == YG_OK)
        rc = yg_file_datasync(l->fd, err);
    if (rc == YG_OK) {
        l->size = w.at;
        l->records += c->records;
    }
    yg_buf_fini(&w.raw);
    yg_buf_fini(&w.out);
    return rc;
}

// A new file with all that lives, in place of the old one.
static yg_rc rewrite(struct yg_mlog *l, const char *dir, struct collected *c, struct yg_err *err) {
    char tmp[4096];
    (void)snprintf(tmp, sizeof(tmp), "%s/tmp-series.ygs", dir);
    struct frame_writer w = {.fd = -1, .at = sizeof(struct yg_mlog_header)};
    w.raw = YG_BUF(YG_MS_TAG, FRAME_MAX_BYTES);
    w.out = YG_BUF(YG_MS_TAG, 2 * FRAME_MAX_BYTES);
    const struct yg_mlog_header h = {.magic = YG_MLOG_MAGIC, .version = 1};
    yg_rc rc = yg_file_open(tmp, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, &w.fd, err);
    if (rc == YG_OK)
        rc = yg_file_pwrite_all(w.fd, &h, sizeof(h), 0, err);
    if (rc == YG_OK)
        rc = write_frames(&w, c, err);
    if (rc == YG_OK)
        rc = yg_file_sync(w.fd, err);
    if (rc == YG_OK)
        rc = yg_file_rename(tmp, l->path, err);
    if (rc == YG_OK)
        rc = yg_file_sync_dir(dir, err);
    yg_buf_fini(&w.raw);
    yg_buf_fini(&w.out);
    if (rc != YG_OK) {
        yg_file_close(&w.fd);
        (void)unlink(tmp);
        return rc;
    }
    yg_file_close(&l->fd);
    l->fd = w.fd;
    l->size = w.at;
    l->records = c->records;
    l->broken = false;
    return YG_OK;
}

yg_rc yg_mlog_append(struct yg_mlog *l, const char *dir, struct yg_mreg *reg, struct yg_err *err) {
    struct collected c = {0};
    collect(reg, l->broken, &c);
    yg_rc rc = l->broken ? rewrite(l, dir, &c, err) : append_frames(l, &c, err);
    if (rc == YG_OK) {
        pthread_rwlock_wrlock(&reg->lock);
        reg->logged_series = c.series_len;
        pthread_rwlock_unlock(&reg->lock);
    } else {
        l->broken = true; // what was written is not trusted: all of it is written anew
    }
    for (uint32_t i = 0; i < c.len; i++)
        yg_buf_fini(&c.frames[i]);
    yg_free(YG_MS_TAG, c.frames);
    return rc == YG_OK ? rc : yg_err_wrap(err, "series log");
}

// ------------------------------------------------------------ life

yg_rc yg_mlog_open(struct yg_mlog *l, const char *dir, struct yg_mreg *reg,
                   void (*damage)(void *ctx, const struct yg_err *err), void *ctx,
                   struct yg_err *err) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/series.ygs", dir);
    *l = (struct yg_mlog){.fd = -1, .path = yg_strndup(YG_MS_TAG, path, strlen(path))};
    if (access(path, F_OK) != 0) {
        l->broken = true; // nothing there: the first flush makes it
        return YG_OK;
    }
    YG_TRY(yg_file_open(path, O_RDWR | O_CLOEXEC, &l->fd, err));
    YG_TRY(read_all(l, reg, damage, ctx, err));
    reg->logged_series = reg->series_len;
    return YG_OK;
}

void yg_mlog_close(struct yg_mlog *l) {
    if (l->path == NULL)
        return;
    yg_file_close(&l->fd);
    yg_free(YG_MS_TAG, l->path);
    *l = (struct yg_mlog){.fd = -1};
}
