// SPDX-License-Identifier: Apache-2.0
// Checks a data directory: catalogue, segments, write-ahead log, metric files, and what each says
// of the others. Nothing is written, except by a repair of the catalogue.
#include "store/fsck.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/panic.h"
#include "model/points.h"
#include "store/key_format.h"
#include "store/mstore_format.h"
#include "store/mstore_int.h"
#include "store/segment_rest.h"
#include "store/store_int.h"

#define LINE_BYTES 1024
#define FRAME_FACTOR 32u // as at recovery
#define FRAME_SPARE_BYTES (16u << 20)
#define LOG_FRAME_HEADER_BYTES 12u
#define LOG_FRAME_MAX_BYTES (16u << 20)

struct fsck {
    const struct yg_fsck_options *options;
    struct yg_fsck_summary sum;
    char dir[3072];
    struct yg_catalog *catalog;
    bool older; // schema: a server brings it up first
    uint64_t rows_mark, metrics_mark;
    struct yg_map named; // file names that the catalogue knows, whatever their state
};

static void say(struct fsck *k, bool is_fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct fsck *k, bool is_fault, const char *fmt, ...) {
    char line[LINE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    k->sum.faults += is_fault;
    if (is_fault)
        k->options->fault(k->options->ctx, line);
    else if (k->options->note)
        k->options->note(k->options->ctx, line);
}

// ------------------------------------------------------------ segments

static void check_bytes(struct fsck *k, struct yg_segment *seg, uint64_t offset,
                        uint32_t stored_bytes, char *buf) {
    struct yg_seg_chunk head;
    struct yg_err err = {0};
    k->sum.chunks++;
    if (yg_segment_pread(seg, buf, stored_bytes, offset, &err) != YG_OK) {
        say(k, true, "%s", err.text);
        return;
    }
    memcpy(&head, buf, sizeof(head));
    uint32_t crc = yg_crc32c(0, &head, offsetof(struct yg_seg_chunk, crc32c));
    if (stored_bytes < sizeof(head) || head.stored_bytes > stored_bytes - sizeof(head) ||
        yg_crc32c(crc, buf + sizeof(head), head.stored_bytes) != head.crc32c)
        say(k, true, "%s: byte %llu: bad checksum of a chunk", seg->path,
            (unsigned long long)offset);
}

static void check_piece(struct fsck *k, struct yg_segment *seg, uint64_t offset,
                        uint32_t stored_bytes) {
    if (stored_bytes == 0)
        return;
    char *buf = yg_try_alloc(YG_MEM_STORE, stored_bytes + sizeof(struct yg_seg_chunk));
    if (buf == NULL) {
        say(k, true, "%s: byte %llu: no memory for a chunk of %u bytes", seg->path,
            (unsigned long long)offset, stored_bytes);
        return;
    }
    check_bytes(k, seg, offset, stored_bytes, buf);
    yg_free(YG_MEM_STORE, buf);
}

// Checksums of everything that the directory names, also of what is no column.
static void check_records(struct fsck *k, struct yg_segment *seg, const struct yg_seg_stripe *st) {
    for (uint32_t i = 0; i < st->record_count; i++) {
        const struct yg_seg_record *rec = &st->records[i];
        check_piece(k, seg, rec->head.dict.offset, rec->head.dict.stored_bytes);
        check_piece(k, seg, rec->head.map.offset, rec->head.map.stored_bytes);
        for (uint32_t e = 0; e < rec->head.entry_count; e++)
            check_piece(k, seg, rec->entries[e].offset, rec->entries[e].stored_bytes);
    }
}

static void check_times(struct fsck *k, const struct yg_segment *seg, uint32_t granule,
                        const struct yg_seg_granule_entry *e, const struct yg_seg_values *v) {
    int64_t min_ns = INT64_MAX, max_ns = INT64_MIN;
    for (uint32_t i = 0; i < v->count; i++) {
        min_ns = v->i64[i] < min_ns ? v->i64[i] : min_ns;
        max_ns = v->i64[i] > max_ns ? v->i64[i] : max_ns;
    }
    if (v->count && (min_ns != e->min_time_ns || max_ns != e->max_time_ns))
        say(k, true, "%s: granule %u: times are not those of the directory", seg->path, granule);
}

static void decode_granule(struct fsck *k, struct yg_segment *seg, uint32_t s, uint32_t g,
                           struct yg_arena *arena) {
    const struct yg_seg_stripe *st = &seg->dir.stripes[s];
    for (uint32_t c = 0; c < seg->dir.column_count; c++) {
        const struct yg_seg_record *rec = yg_segment_record(st, c);
        struct yg_seg_values v;
        struct yg_err err = {0};
        if (rec == NULL || yg_segment_entry(rec, g)->count == 0)
            continue;
        yg_arena_reset(arena);
        if (yg_segment_values(seg, s, g, c, arena, &v, &err) != YG_OK)
            say(k, true, "%s", err.text);
        else if (seg->dir.columns[c].type == YG_T_I64 &&
                 yg_str_eq_c(seg->dir.columns[c].name, YG_COL_TIME))
            check_times(k, seg, g, &st->granules[g], &v);
    }
    k->sum.rows += st->granules[g].rows;
}

// Columns that have no record of their own.
static void decode_rest(struct fsck *k, struct yg_segment *seg, uint32_t stripe,
                        struct yg_arena *arena) {
    struct yg_rest_cursor cursor = {0};
    struct yg_err err = {0};
    uint32_t keys = 0;
    yg_arena_reset(arena);
    if (yg_segment_rest_count(seg, stripe, &keys, &err) != YG_OK)
        say(k, true, "%s", err.text);
    for (uint32_t i = 0; i < keys; i++) {
        const uint32_t *rows;
        struct yg_seg_values v;
        if (yg_segment_rest_read(seg, stripe, i, &cursor, arena, &rows, &v, &err) != YG_OK)
            say(k, true, "%s", err.text);
    }
}

// Pages of the key index, which queries read one by one.
static void check_keys(struct fsck *k, const struct yg_segment *seg) {
    for (uint32_t p = 0; p < seg->dir.keys.part_count; p++) {
        struct yg_err err = {0};
        char *data;
        if (yg_key_part_load(&seg->dir.keys, p, &data, &err) == YG_OK)
            yg_free(YG_MEM_STORE, data);
        else
            say(k, true, "%s: %s", seg->path, err.text);
    }
}

static void check_entry(struct fsck *k, const struct yg_catalog_segment *s,
                        const struct yg_seg_peek *peek, const char *path) {
    if (peek->id != s->id || peek->track != s->track || peek->day != s->day ||
        peek->index_id != s->index_id || peek->bytes != s->bytes || peek->row_count != s->rows ||
        peek->min_time_ns != s->min_time_ns || peek->max_time_ns != s->max_time_ns ||
        peek->max_sequence != s->max_sequence)
        say(k, true, "%s: byte 0: header and footer are not what catalog.db says", path);
    if (s->max_sequence > k->rows_mark)
        say(k, true, "%s: byte 0: frames up to %llu, but the mark is %llu", path,
            (unsigned long long)s->max_sequence, (unsigned long long)k->rows_mark);
}

static void segment_path(const struct fsck *k, const struct yg_catalog_segment *s, char *out,
                         size_t cap) {
    int n = snprintf(out, cap, "%s/segments/%s-%d-%016llx.seg", k->dir, yg_track_name(s->track),
                     (int)s->day, (unsigned long long)s->id);
    YG_ASSERT(n > 0 && (size_t)n < cap);
}

static void check_segment(struct fsck *k, const struct yg_catalog_segment *s, const char *path) {
    struct yg_seg_peek peek;
    struct yg_err err = {0};
    k->sum.files++;
    if (yg_segment_peek(path, &peek, &err) != YG_OK) {
        say(k, true, "%s", err.text);
        return;
    }
    check_entry(k, s, &peek, path);
    struct yg_segment *seg = yg_segment_of_file(path);
    struct yg_arena *arena = yg_arena_create(YG_MEM_STORE, (size_t)1 << 30);
    if (yg_segment_load(seg, &err) != YG_OK) {
        say(k, true, "%s", err.text);
    } else {
        if (seg->dir.granule_count != s->granules)
            say(k, true, "%s: byte 0: %u granules, catalog.db says %u", path,
                seg->dir.granule_count, s->granules);
        check_keys(k, seg);
        for (uint32_t st = 0; st < seg->dir.stripe_count; st++) {
            decode_rest(k, seg, st, arena);
            check_records(k, seg, &seg->dir.stripes[st]);
            for (uint32_t g = 0; g < seg->dir.stripes[st].granule_count; g++)
                decode_granule(k, seg, st, g, arena);
        }
    }
    yg_arena_destroy(arena);
    yg_segment_unref(seg);
}

static void on_entry(void *ctx, const struct yg_catalog_segment *s) {
    struct fsck *k = ctx;
    char path[4096];
    segment_path(k, s, path, sizeof(path));
    *yg_map_put(&k->named, yg_str_c(strrchr(path, '/') + 1), NULL) = 1;
    if (s->state == YG_CATALOG_LIVE)
        check_segment(k, s, path);
    else if (access(path, F_OK) == 0)
        say(k, false, "%s: %s; the next start removes it", path,
            s->state == YG_CATALOG_PENDING ? "an unfinished merge" : "merged or dropped");
}

// Files that the catalogue does not name.
static void check_strangers(struct fsck *k, struct yg_err *err) {
    char dir[4096];
    (void)snprintf(dir, sizeof(dir), "%s/segments", k->dir);
    DIR *d = opendir(dir);
    if (d == NULL) {
        (void)yg_fail_errno(err, "%s", dir);
        say(k, true, "%s", err->text);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[5120];
        struct yg_seg_peek peek;
        if (!yg_str_ends(yg_str_c(e->d_name), YG_STR(".seg")) ||
            yg_map_get(&k->named, yg_str_c(e->d_name)))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (yg_segment_peek(path, &peek, err) == YG_OK && peek.max_sequence <= k->rows_mark)
            say(k, true, "%s: catalog.db does not name this file, whose rows the log let go", path);
        else
            say(k, false, "%s: an unfinished flush; the next start removes it", path);
    }
    (void)closedir(d);
}

// ------------------------------------------------------------ catalogue

static void on_integrity(void *ctx, const char *what) {
    struct fsck *k = ctx;
    say(k, true, "%s/catalog.db: %s", k->dir, what);
}

static yg_rc on_deletion(void *ctx, const struct yg_catalog_deletion *d, struct yg_err *err) {
    (void)ctx;
    (void)d;
    (void)err;
    return YG_OK;
}

static void publication_of(struct yg_catalog *c, char *out, size_t cap) {
    struct yg_err err;
    out[0] = 0;
    if (yg_catalog_get(c, "publication", out, cap, &err) != YG_OK)
        out[0] = 0;
}

// A start without the catalogue makes a new one and refuses.
static void check_newness(struct fsck *k, const char *path) {
    char publication[64], copy[4096];
    publication_of(k->catalog, publication, sizeof(publication));
    (void)snprintf(copy, sizeof(copy), "%s/catalog.copy", k->dir);
    if (publication[0] == 0 && access(copy, F_OK) == 0)
        say(k, true, "%s: new, although catalog.copy stands beside it", path);
}

static void check_catalogue(struct fsck *k) {
    char path[4096];
    struct yg_err err = {0};
    uint64_t damaged = 0;
    (void)snprintf(path, sizeof(path), "%s/catalog.db", k->dir);
    k->sum.files++;
    if (access(path, F_OK) != 0) {
        say(k, true, "%s: byte 0: the file is missing", path);
        return;
    }
    yg_rc rc = yg_catalog_open_readonly(path, &k->catalog, &err);
    if (rc == YG_OK)
        rc = yg_catalog_integrity(k->catalog, on_integrity, k, &err);
    if (rc == YG_OK)
        rc = yg_catalog_marks(k->catalog, &k->rows_mark, &k->metrics_mark, &err);
    if (rc == YG_OK)
        rc = yg_catalog_each_deletion(k->catalog, on_deletion, k, &err);
    if (rc == YG_OK)
        rc = yg_catalog_each_segment(k->catalog, on_entry, k, &damaged, &err);
    if (rc == YG_EINPUT) {
        k->older = true;
        say(k, false, "%s; segments and log are checked from then on", err.text);
        return;
    }
    if (rc != YG_OK)
        say(k, true, "%s", err.text);
    else if (damaged)
        say(k, true, "%s: %llu rows of segments are damaged or missing", path,
            (unsigned long long)damaged);
    if (rc == YG_OK) {
        check_newness(k, path);
        check_strangers(k, &err);
    }
}

// ------------------------------------------------------------ write-ahead log

static yg_rc on_frame(void *ctx, const struct yg_wal_replay *f, struct yg_err *err) {
    struct fsck *k = ctx;
    size_t limit = f->payload->len * FRAME_FACTOR + FRAME_SPARE_BYTES;
    k->sum.frames++;
    if (f->kind == YG_WAL_ROWS) {
        struct yg_batch *b;
        YG_TRY(yg_batch_decode(yg_buf_str(f->payload), YG_MEM_STORE, limit, &b, err));
        yg_batch_destroy(b);
    } else if (f->kind == YG_WAL_POINTS) {
        struct yg_points *p;
        YG_TRY(yg_points_decode(yg_buf_str(f->payload), limit, &p, err));
        yg_points_destroy(p);
    } else if (f->kind != YG_WAL_DELIVERED && f->kind != YG_WAL_DIGESTS) {
        return yg_fail(err, YG_ECORRUPT, "frame of unknown kind %d", (int)f->kind);
    }
    return YG_OK;
}

static void on_log_damage(void *ctx, const char *line, bool torn_tail) {
    say(ctx, !torn_tail, "%s", line);
}

static void check_log(struct fsck *k) {
    char dir[4096];
    struct yg_err err = {0};
    struct yg_wal_recovery rec;
    (void)snprintf(dir, sizeof(dir), "%s/wal", k->dir);
    struct yg_wal_name *names;
    uint32_t count = 0;
    if (yg_wal_list(dir, &names, &count, &err) != YG_OK) {
        say(k, true, "%s", err.text);
        return;
    }
    yg_free(YG_MEM_STORE, names);
    k->sum.files += count;
    uint64_t above = k->rows_mark < k->metrics_mark ? k->rows_mark : k->metrics_mark;
    if (yg_wal_verify(dir, above, on_frame, on_log_damage, k, &rec, &err) != YG_OK)
        say(k, true, "%s", err.text);
    else if (rec.lost_frames)
        say(k, true, "%s: %llu frames are in no file", dir, (unsigned long long)rec.lost_frames);
}

// ------------------------------------------------------------ metrics

static void on_metric_damage(void *ctx, const struct yg_err *err) {
    say(ctx, true, "%s", err->text);
}

static void check_section(struct fsck *k, const struct yg_mblock *b,
                          const struct yg_msection *section) {
    const struct yg_mrange all = {0, UINT32_MAX};
    struct yg_mcursor c;
    struct yg_mrun run = {0};
    yg_mcursor_init(&c, b, section, YG_MS_NONE, all);
    c.damage = on_metric_damage;
    c.damage_ctx = k;
    while (yg_mcursor_next(&c)) {
        yg_mrun_reset(&run);
        (void)yg_mcursor_decode(&c, &all, 1,
                                section->step == 1 ? YG_MS_FIELDS_ALL : YG_MS_FIELDS_ROLLED, &run);
    }
    k->sum.chunks += section->chunk_count;
    yg_mrun_fini(&run);
    yg_mcursor_fini(&c);
}

static void check_block(struct fsck *k, const char *path) {
    struct yg_mblock *b;
    struct yg_err err = {0};
    if (yg_mblock_open(path, NULL, NULL, &b, &err) != YG_OK) {
        say(k, true, "%s", err.text);
        return;
    }
    for (uint32_t i = 0; i < b->section_count; i++)
        check_section(k, b, &b->sections[i]);
    k->sum.points += b->points;
    yg_mblock_unref(b);
}

// Frames of the series log: raw_bytes, stored_bytes, crc of both and the payload.
static void check_series(struct fsck *k, const char *path) {
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, (size_t)2 << 30);
    struct yg_err err = {0};
    if (yg_file_read_all(path, &bytes, &err) != YG_OK) {
        say(k, true, "%s", err.text);
        return;
    }
    const struct yg_mlog_header *head = (const void *)bytes.ptr;
    if (bytes.len < sizeof(*head) || head->magic != YG_MLOG_MAGIC) {
        say(k, true, "%s: byte 0: not a series log", path);
        return;
    }
    for (size_t at = sizeof(*head); at < bytes.len;) {
        uint32_t f[3];
        bool whole = bytes.len - at >= LOG_FRAME_HEADER_BYTES;
        if (whole)
            memcpy(f, bytes.ptr + at, sizeof(f));
        if (!whole || f[1] > LOG_FRAME_MAX_BYTES ||
            f[1] > bytes.len - at - LOG_FRAME_HEADER_BYTES) {
            say(k, true, "%s: byte %zu: the last frame is not whole", path, at);
            return;
        }
        uint32_t crc = yg_crc32c(0, f, 8);
        if (yg_crc32c(crc, bytes.ptr + at + LOG_FRAME_HEADER_BYTES, f[1]) != f[2])
            say(k, true, "%s: byte %zu: bad checksum of a frame", path, at);
        at += LOG_FRAME_HEADER_BYTES + f[1];
    }
}

static void check_metrics(struct fsck *k) {
    char dir[4096];
    struct yg_err err = {0};
    (void)snprintf(dir, sizeof(dir), "%s/metrics", k->dir);
    DIR *d = opendir(dir);
    if (d == NULL) {
        (void)yg_fail_errno(&err, "%s", dir);
        say(k, true, "%s", err.text);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[5120];
        yg_str name = yg_str_c(e->d_name);
        bool block = yg_str_ends(name, YG_STR(".ygm")), series = yg_str_eq_c(name, "series.ygs");
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        k->sum.files += block || series;
        if (block)
            check_block(k, path);
        else if (series)
            check_series(k, path);
    }
    (void)closedir(d);
}

// ------------------------------------------------------------ repair of the catalogue

static bool is_file_of(void *ctx, const struct yg_catalog_segment *s) {
    struct yg_seg_peek peek;
    struct yg_err err;
    char path[4096];
    segment_path(ctx, s, path, sizeof(path));
    return yg_segment_peek(path, &peek, &err) == YG_OK && peek.id == s->id &&
           peek.track == s->track && peek.day == s->day && peek.row_count == s->rows &&
           peek.bytes == s->bytes && peek.max_sequence == s->max_sequence;
}

static void count_fault(void *ctx, const char *what) {
    (void)what;
    ++*(uint32_t *)ctx;
}

// How a catalogue is: sound (OK), of an older schema (EINPUT), readable with wrong rows (ECORRUPT
// and *ret_readable), or lost.
static yg_rc look_at_catalogue(const char *path, char *publication, size_t cap, bool *ret_readable,
                               struct yg_err *err) {
    struct yg_catalog *c;
    uint32_t faults = 0;
    uint64_t marks[2];
    *ret_readable = false;
    if (access(path, F_OK) != 0)
        return yg_fail(err, YG_ECORRUPT, "%s: the file is missing", path);
    YG_TRY(yg_catalog_open_readonly(path, &c, err));
    publication_of(c, publication, cap);
    yg_rc rc = yg_catalog_integrity(c, count_fault, &faults, err);
    if (rc == YG_OK && faults)
        rc = yg_fail(err, YG_ECORRUPT, "%s: its structure is damaged", path);
    if (rc == YG_OK)
        rc = yg_catalog_marks(c, &marks[0], &marks[1], err);
    if (rc == YG_OK)
        rc = yg_catalog_each_deletion(c, on_deletion, NULL, err);
    *ret_readable = rc == YG_OK;
    if (rc == YG_OK)
        rc = yg_catalog_check_rows(c, err);
    yg_catalog_close(c);
    return rc;
}

static yg_rc mend(struct fsck *k, const char *path, struct yg_catalog *copy, struct yg_err *err) {
    struct yg_catalog *c;
    uint64_t mended = 0, dropped = 0;
    YG_TRY(yg_catalog_open(path, &c, err));
    yg_rc rc = yg_catalog_mend(c, copy, is_file_of, k, &mended, &dropped, err);
    yg_catalog_close(c);
    if (rc == YG_OK)
        say(k, false, "%s: %llu rows put back from its copy, %llu damaged ones dropped", path,
            (unsigned long long)mended, (unsigned long long)dropped);
    return rc;
}

// The copy's state, or the file's with the copy's rows.
static yg_rc repair_from(struct fsck *k, const char *path, struct yg_catalog *copy, bool readable,
                         const char *publication, struct yg_err *err) {
    char its[64];
    publication_of(copy, its, sizeof(its));
    if (readable && strcmp(its, publication) != 0)
        return mend(k, path, copy, err);
    YG_TRY(yg_catalog_restore(path, err));
    say(k, false, "%s: put back from catalog.copy; what was there is catalog.damaged.db", path);
    return YG_OK;
}

static yg_rc repair_catalogue(struct fsck *k, struct yg_err *err) {
    char path[4096], publication[64] = "";
    bool readable;
    struct yg_catalog *copy;
    struct yg_err why = {0}, none;
    (void)snprintf(path, sizeof(path), "%s/catalog.db", k->dir);
    yg_rc rc = look_at_catalogue(path, publication, sizeof(publication), &readable, &why);
    bool is_new = rc == YG_OK && publication[0] == 0; // made by a start without its catalogue
    if ((rc == YG_OK && !is_new) || rc == YG_EINPUT)
        return YG_OK;
    bool found = yg_catalog_open_copy(path, false, &copy, &none) == YG_OK;
    if (is_new && !found)
        return YG_OK;
    if (!found && readable)
        found = yg_catalog_open_copy(path, true, &copy, &none) == YG_OK;
    if (!found)
        return yg_fail(err, YG_ECORRUPT, "%s; not repaired: %s", why.text, none.text);
    rc = repair_from(k, path, copy, readable && !is_new, publication, err);
    yg_catalog_close(copy);
    return rc;
}

// ------------------------------------------------------------ all

yg_rc yg_store_fsck(const char *dir, const struct yg_fsck_options *options,
                    struct yg_fsck_summary *ret_summary, struct yg_err *err) {
    struct fsck k = {.options = options, .named = YG_MAP(YG_MEM_STORE, true)};
    if (snprintf(k.dir, sizeof(k.dir), "%s", dir) >= (int)sizeof(k.dir))
        return yg_fail(err, YG_EINPUT, "the path is too long");
    DIR *d = opendir(dir);
    if (d == NULL)
        return yg_fail_errno(err, "%s", dir);
    (void)closedir(d);
    if (options->repair && repair_catalogue(&k, err) != YG_OK)
        say(&k, false, "%s", err->text);
    check_catalogue(&k);
    if (!k.older)
        check_log(&k);
    check_metrics(&k);
    yg_catalog_close(k.catalog);
    yg_map_fini(&k.named);
    *ret_summary = k.sum;
    return YG_OK;
}
