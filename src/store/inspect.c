// SPDX-License-Identifier: Apache-2.0
// Shows the structure of one file: a segment, a write-ahead log, a metric block.
#include <fcntl.h>

#include "base/file.h"
#include "base/hash.h"
#include "codec/json_write.h"
#include "store/fsck.h"
#include "store/mstore_format.h"
#include "store/mstore_int.h"
#include "store/segment.h"
#include "store/wal.h"

// One writer for both forms: named values, and rows of tables.
struct show {
    bool json;
    struct yg_buf *out;
    struct yg_json_writer w;
};

static void show_text(struct show *s, const char *key, const char *value) {
    if (s->json)
        yg_jw_kstr(&s->w, key, yg_str_c(value));
    else
        yg_buf_printf(s->out, "%-16s %s\n", key, value);
}

static void show_number(struct show *s, const char *key, int64_t value) {
    if (s->json)
        yg_jw_ki64(&s->w, key, value);
    else
        yg_buf_printf(s->out, "%-16s %lld\n", key, (long long)value);
}

static void list_begin(struct show *s, const char *key, const char *heading) {
    if (s->json) {
        yg_jw_key(&s->w, yg_str_c(key));
        yg_jw_array(&s->w);
    } else {
        yg_buf_printf(s->out, "\n%s\n", heading);
    }
}

static void list_end(struct show *s) {
    if (s->json)
        yg_jw_array_end(&s->w);
}

// ------------------------------------------------------------ segment

static const char *const type_names[] = {
    [YG_T_STR] = "string", [YG_T_I64] = "i64", [YG_T_F64] = "f64",
    [YG_T_BOOL] = "bool",  [YG_T_ID] = "id",   [YG_T_JSON] = "json",
};
static const char *const encoding_names[YG_ENC_COUNT] = {
    [YG_ENC_NULL] = "null",
    [YG_ENC_CONST] = "const",
    [YG_ENC_RAW] = "raw",
    [YG_ENC_CODES] = "codes",
    [YG_ENC_FOR] = "for",
    [YG_ENC_DELTA] = "delta",
    [YG_ENC_ZSTD] = "zstd",
    [YG_ENC_F64_FOR] = "f64-for",
    [YG_ENC_F64_DELTA] = "f64-delta",
    [YG_ENC_ID_RUNS] = "id-runs",
    [YG_ENC_ID_SPLIT] = "id-split",
    [YG_ENC_INTS] = "ints",
    [YG_ENC_F64_DECIMAL] = "f64-decimal",
    [YG_ENC_F64_BITS] = "f64-bits",
    [YG_ENC_CODE_INTS] = "code-ints",
    [YG_ENC_IDS] = "ids",
    [YG_ENC_STR_BYTES] = "str-bytes",
    [YG_ENC_STR_ZSTD] = "str-zstd",
    [YG_ENC_STR_LAYOUT] = "str-layout",
    [YG_ENC_STR_REPEATS] = "str-repeats",
    [YG_ENC_STR_OWN] = "str-own",
    [YG_ENC_STR_GROUPS] = "str-groups",
    [YG_ENC_PARENT_ROW] = "parent-row",
    [YG_ENC_FOLLOW] = "follow",
};

_Static_assert(YG_ENC_COUNT <= 64, "a bit per encoding");
struct column_sum {
    uint64_t values, bytes, dict_bytes, distinct;
    uint64_t encodings; // bit per number
};

static void sum_record(const struct yg_seg_record *rec, struct column_sum *sum) {
    sum->dict_bytes += rec->head.dict.stored_bytes + rec->head.map.stored_bytes;
    sum->distinct += rec->head.dict.count;
    for (uint32_t e = 0; e < rec->head.entry_count; e++) {
        sum->values += rec->entries[e].count;
        sum->bytes += rec->entries[e].stored_bytes;
        if (rec->entries[e].encoding < YG_ENC_COUNT)
            sum->encodings |= UINT64_C(1) << rec->entries[e].encoding;
    }
}

static void encoding_list(uint64_t bits, char *out, size_t cap) {
    size_t at = 0;
    out[0] = 0;
    for (uint32_t e = 0; e < YG_ENC_COUNT; e++)
        if ((bits >> e & 1) && encoding_names[e] && at + 16 < cap)
            at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? "," : "", encoding_names[e]);
}

static void show_column(struct show *s, yg_str name, const char *type,
                        const struct column_sum *sum) {
    char encodings[256];
    encoding_list(sum->encodings, encodings, sizeof(encodings));
    if (!s->json) {
        yg_buf_printf(s->out, "%12llu %12llu %10llu %10llu  %-6s  %-28s  %.*s\n",
                      (unsigned long long)(sum->bytes + sum->dict_bytes),
                      (unsigned long long)sum->dict_bytes, (unsigned long long)sum->values,
                      (unsigned long long)sum->distinct, type, encodings, YG_STR_FMT(name));
        return;
    }
    yg_jw_object(&s->w);
    yg_jw_kstr(&s->w, "name", name);
    yg_jw_kstr(&s->w, "type", yg_str_c(type));
    yg_jw_ki64(&s->w, "bytes", (int64_t)(sum->bytes + sum->dict_bytes));
    yg_jw_ki64(&s->w, "dictionary_bytes", (int64_t)sum->dict_bytes);
    yg_jw_ki64(&s->w, "values", (int64_t)sum->values);
    yg_jw_ki64(&s->w, "dictionary_values", (int64_t)sum->distinct);
    yg_jw_kstr(&s->w, "encodings", yg_str_c(encodings));
    yg_jw_object_end(&s->w);
}

static void show_stripe(struct show *s, uint32_t number, const struct yg_seg_stripe *st) {
    uint64_t bytes = 0;
    struct column_sum sum = {0};
    for (uint32_t i = 0; i < st->record_count; i++)
        sum_record(&st->records[i], &sum);
    bytes = sum.bytes + sum.dict_bytes;
    if (!s->json) {
        yg_buf_printf(s->out, "%6u %10u %9u %8u %12llu\n", number, st->row_count, st->granule_count,
                      st->record_count, (unsigned long long)bytes);
        return;
    }
    yg_jw_object(&s->w);
    yg_jw_ki64(&s->w, "rows", st->row_count);
    yg_jw_ki64(&s->w, "granules", st->granule_count);
    yg_jw_ki64(&s->w, "columns", st->record_count);
    yg_jw_ki64(&s->w, "bytes", (int64_t)bytes);
    yg_jw_object_end(&s->w);
}

// What belongs to no column: shape codes, the rest.
static void show_others(struct show *s, const struct yg_seg_dir *dir) {
    static const struct {
        uint32_t number;
        const char *name;
    } others[] = {{YG_RECORD_SHAPES, "(shapes)"}, {YG_RECORD_REST, "(rest)"}};
    for (size_t o = 0; o < sizeof(others) / sizeof(others[0]); o++) {
        struct column_sum sum = {0};
        for (uint32_t t = 0; t < dir->stripe_count; t++)
            for (uint32_t i = 0; i < dir->stripes[t].record_count; i++)
                if (dir->stripes[t].records[i].head.column == others[o].number)
                    sum_record(&dir->stripes[t].records[i], &sum);
        if (sum.bytes + sum.dict_bytes > 0)
            show_column(s, yg_str_c(others[o].name), "-", &sum);
    }
}

static void show_directory(struct show *s, const struct yg_seg_dir *dir) {
    list_begin(s, "stripes", "stripe       rows  granules  columns        bytes");
    for (uint32_t t = 0; t < dir->stripe_count; t++)
        show_stripe(s, t, &dir->stripes[t]);
    list_end(s);
    list_begin(s, "columns",
               "       bytes   dictionary     values   distinct  type    encodings"
               "                     column");
    for (uint32_t c = 0; c < dir->column_count; c++) {
        struct column_sum sum = {0};
        for (uint32_t t = 0; t < dir->stripe_count; t++) {
            const struct yg_seg_record *rec = yg_segment_record(&dir->stripes[t], c);
            if (rec)
                sum_record(rec, &sum);
        }
        show_column(s, dir->columns[c].name, type_names[dir->columns[c].type], &sum);
    }
    show_others(s, dir);
    list_end(s);
}

static yg_rc inspect_segment(struct show *s, const char *path, const struct yg_seg_footer *foot,
                             struct yg_err *err) {
    struct yg_segment *seg = yg_segment_of_file(path);
    struct yg_seg_peek peek = {0};
    yg_rc rc = yg_segment_peek(path, &peek, err);
    if (rc == YG_OK)
        rc = yg_segment_load(seg, err);
    if (rc == YG_OK) {
        show_text(s, "kind", "segment");
        show_number(s, "version", seg->version);
        show_text(s, "track", yg_track_name(seg->track));
        show_number(s, "index", peek.index_id);
        show_number(s, "day", seg->day);
        show_number(s, "id", (int64_t)seg->id);
        show_number(s, "max_sequence", (int64_t)peek.max_sequence);
        show_number(s, "rows", (int64_t)seg->row_count);
        show_number(s, "bytes", (int64_t)seg->bytes);
        show_number(s, "min_time_ns", seg->min_time_ns);
        show_number(s, "max_time_ns", seg->max_time_ns);
        show_number(s, "directory_bytes", foot->directory_bytes);
        show_number(s, "key_index_bytes", foot->key_index_bytes);
        show_directory(s, &seg->dir);
    }
    yg_segment_unref(seg);
    return rc;
}

// ------------------------------------------------------------ write-ahead log

static void show_frame(struct show *s, uint64_t at, const struct yg_wal_frame *f, bool good) {
    static const char *const kinds[] = {"?", "rows", "points", "delivered", "digests"};
    const char *kind = kinds[f->kind < 5 ? f->kind : 0];
    if (!s->json) {
        yg_buf_printf(s->out, "%12llu %12llu %10u  %-9s %s\n", (unsigned long long)at,
                      (unsigned long long)f->sequence, f->payload_bytes, kind,
                      good ? "" : "bad checksum");
        return;
    }
    yg_jw_object(&s->w);
    yg_jw_ki64(&s->w, "offset", (int64_t)at);
    yg_jw_ki64(&s->w, "sequence", (int64_t)f->sequence);
    yg_jw_ki64(&s->w, "written_ns", f->written_ns);
    yg_jw_kstr(&s->w, "kind", yg_str_c(kind));
    yg_jw_ki64(&s->w, "payload_bytes", f->payload_bytes);
    yg_jw_kbool(&s->w, "sound", good);
    yg_jw_object_end(&s->w);
}

static yg_rc show_frames(struct show *s, int fd, uint64_t size, struct yg_err *err) {
    YG_AUTO(yg_buf) payload = YG_BUF(YG_MEM_STORE, (size_t)YG_WAL_PAYLOAD_MAX + 16u);
    uint64_t at = YG_WAL_HEADER_BYTES;
    struct yg_wal_frame f;
    while (at + sizeof(f) <= size) {
        YG_TRY(yg_file_pread_all(fd, &f, sizeof(f), (off_t)at, err));
        if (f.magic != YG_WAL_FRAME_MAGIC || f.payload_bytes > size - at - sizeof(f))
            break;
        yg_buf_reset(&payload);
        YG_TRY(yg_buf_reserve(&payload, f.payload_bytes + 1u, err));
        YG_TRY(yg_file_pread_all(fd, payload.ptr, f.payload_bytes, (off_t)(at + sizeof(f)), err));
        show_frame(s, at, &f, yg_wal_frame_crc(&f, payload.ptr) == f.crc32c);
        at = (at + sizeof(f) + f.payload_bytes + 7) & ~UINT64_C(7);
    }
    list_end(s);
    show_number(s, "frames_end", (int64_t)at);
    return YG_OK;
}

static yg_rc inspect_log(struct show *s, int fd, uint64_t size, const char *head,
                         struct yg_err *err) {
    struct yg_wal_file_header h;
    memcpy(&h, head, sizeof(h));
    show_text(s, "kind", "write-ahead log");
    show_number(s, "version", h.version);
    show_number(s, "number", (int64_t)h.number);
    show_number(s, "first_sequence", (int64_t)h.first_sequence);
    show_number(s, "bytes", (int64_t)size);
    show_text(s, "header",
              h.crc32c == yg_crc32c(0, &h, offsetof(struct yg_wal_file_header, crc32c))
                  ? "sound"
                  : "bad checksum");
    list_begin(s, "frames", "      offset     sequence    payload  kind");
    return show_frames(s, fd, size, err);
}

// ------------------------------------------------------------ metric block

static void show_metric_chunk(struct show *s, const struct yg_msection *section,
                              const struct yg_mchunk_ref *c) {
    uint32_t step_s = section->step * (uint32_t)YG_BUCKET_S;
    if (!s->json) {
        yg_buf_printf(s->out, "%7u %12u %12u  %u to %u\n", step_s, c->stored_bytes, c->raw_bytes,
                      c->first_metric, c->last_metric);
        return;
    }
    yg_jw_object(&s->w);
    yg_jw_ki64(&s->w, "step_s", step_s);
    yg_jw_ki64(&s->w, "stored_bytes", c->stored_bytes);
    yg_jw_ki64(&s->w, "raw_bytes", c->raw_bytes);
    yg_jw_ki64(&s->w, "first_metric", c->first_metric);
    yg_jw_ki64(&s->w, "last_metric", c->last_metric);
    yg_jw_object_end(&s->w);
}

static yg_rc inspect_block(struct show *s, const char *path, struct yg_err *err) {
    struct yg_mblock *b;
    YG_TRY(yg_mblock_open(path, NULL, NULL, &b, err));
    show_text(s, "kind", "metric block");
    show_number(s, "version", b->version);
    show_number(s, "level", b->level);
    show_number(s, "first_sequence", (int64_t)b->seq_lo);
    show_number(s, "last_sequence", (int64_t)b->seq_hi);
    show_number(s, "bytes", b->bytes);
    show_number(s, "points", (int64_t)b->points);
    show_number(s, "min_bucket", b->min_bucket);
    show_number(s, "max_bucket", b->max_bucket);
    list_begin(s, "chunks", " step_s       stored          raw  metrics");
    for (uint32_t i = 0; i < b->section_count; i++)
        for (uint32_t k = 0; k < b->sections[i].chunk_count; k++)
            show_metric_chunk(s, &b->sections[i], &b->sections[i].chunks[k]);
    list_end(s);
    yg_mblock_unref(b);
    return YG_OK;
}

// ------------------------------------------------------------ which

static yg_rc inspect(struct show *s, const char *path, int fd, struct yg_err *err) {
    int64_t size;
    char head[64];
    struct yg_seg_footer foot;
    uint32_t magic;
    YG_TRY(yg_file_size(fd, &size, err));
    if (size < (int64_t)sizeof(head))
        return yg_fail(err, YG_EINPUT, "%s: %lld bytes are too few for a file of yagura", path,
                       (long long)size);
    YG_TRY(yg_file_pread_all(fd, head, sizeof(head), 0, err));
    YG_TRY(yg_file_pread_all(fd, &foot, sizeof(foot), (off_t)size - (off_t)sizeof(foot), err));
    memcpy(&magic, head, 4);
    show_text(s, "file", path);
    if (memcmp(head, YG_SEG_MAGIC, 4) == 0)
        return inspect_segment(s, path, &foot, err);
    if (memcmp(head, YG_WAL_FILE_MAGIC, 4) == 0)
        return inspect_log(s, fd, (uint64_t)size, head, err);
    if (magic == YG_MFILE_MAGIC)
        return inspect_block(s, path, err);
    return yg_fail(err, YG_EINPUT, "%s: no segment, write-ahead log or metric block", path);
}

yg_rc yg_store_inspect(const char *path, bool json, struct yg_buf *out, struct yg_err *err) {
    struct show s = {.json = json, .out = out, .w = YG_JSON_WRITER(out)};
    int fd;
    YG_TRY(yg_file_open(path, O_RDONLY, &fd, err));
    if (json)
        yg_jw_object(&s.w);
    yg_rc rc = inspect(&s, path, fd, err);
    yg_file_close(&fd);
    if (json)
        yg_jw_object_end(&s.w);
    if (json)
        yg_buf_putc(out, '\n');
    return rc == YG_OK ? yg_buf_ok(out, err) : rc;
}
