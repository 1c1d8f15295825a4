// SPDX-License-Identifier: Apache-2.0
// Writes seeds that are better made than kept: packed bodies, stored payloads, a segment, a WAL
// file, and one file per line of corpus/*.lines.
// Usage: make_seeds OUT_DIR CORPUS_DIR
#include <dirent.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/panic.h"
#include "model/batch.h"
#include "model/points.h"
#include "store/segment.h"
#include "store/wal.h"

#include "make_seeds.h"

#define NOW_NS INT64_C(1795600000000000000)

static const char *out_dir;

void seed_file(const char *target, const char *name, yg_str content) {
    char path[1024];
    struct yg_err err = {0};
    (void)snprintf(path, sizeof(path), "%s/%s", out_dir, target);
    yg_rc rc = yg_file_mkdirs(path, &err);
    (void)snprintf(path, sizeof(path), "%s/%s/%s", out_dir, target, name);
    if (rc == YG_OK)
        rc = yg_file_replace(path, content, &err);
    if (rc != YG_OK) {
        fprintf(stderr, "%s: %s\n", path, err.text);
        exit(1);
    }
}

// With a first byte that chooses the target's variant.
void seed_variant(const char *target, const char *name, char variant, yg_str content) {
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, BUF_MAX);
    yg_buf_putc(&b, variant);
    yg_buf_puts(&b, content);
    seed_file(target, name, yg_buf_str(&b));
}

static struct yg_batch *make_rows(enum yg_track track, uint32_t rows) {
    struct yg_batch *b = yg_batch_create(track, BUF_MAX);
    uint32_t row;
    for (uint32_t i = 0; i < rows; i++) {
        yg_str text = yg_arena_printf(b->arena, "message %u of the seed", i * i);
        yg_rc rc = yg_batch_row(b, &row, NULL);
        rc |= yg_batch_set_i64(b, YG_STR(YG_COL_TIME), NOW_NS + i * 1000, NULL);
        rc |= yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), text, NULL);
        rc |= yg_batch_set_str(b, YG_STR(YG_COL_SERVICE), i % 3 ? YG_STR("a") : YG_STR("b"), NULL);
        rc |= yg_batch_set_i64(b, YG_STR(YG_COL_DURATION), (int64_t)i * 7919, NULL);
        rc |= yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), (yg_id128){i / 4, 5}, NULL);
        if (i % 2)
            rc |= yg_batch_set_f64(b, YG_STR("@amount"), i / 3.0, NULL);
        if (i % 5 == 0)
            rc |= yg_batch_set_bool(b, YG_STR("@flag"), i % 2, NULL);
        if (i % 7 == 0)
            rc |= yg_batch_set_json(b, YG_STR("@list"), YG_STR("[1,\"a\"]"), NULL);
        YG_ASSERT(rc == YG_OK);
    }
    return b;
}

static void make_points_payload(struct yg_buf *out) {
    struct yg_points *p = yg_points_create(BUF_MAX);
    const yg_str tags[] = {YG_STR("env:prod"), YG_STR("service:a")};
    uint32_t series;
    struct yg_sketch *sketch;
    yg_rc rc = yg_points_series(p, YG_STR("a.count"), tags, 2, YG_STR("h"), YG_METRIC_COUNT, 10,
                                YG_STR(""), &series, NULL);
    for (int i = 0; i < 20; i++)
        rc |= yg_points_add(p, series, 1795600000 + i * 10, i * 1.5, NULL);
    rc |= yg_points_series(p, YG_STR("a.dist"), tags, 1, YG_STR(""), YG_METRIC_DISTRIBUTION, 0,
                           YG_STR("second"), &series, NULL);
    rc |= yg_points_add_sketch(p, series, 1795600000, &sketch, NULL);
    for (int i = 0; i < 50; i++)
        yg_sketch_add(sketch, i * i - 20, 1);
    rc |= yg_points_encode(p, out, NULL);
    YG_ASSERT(rc == YG_OK);
    yg_points_destroy(p);
}

static void make_payloads(void) {
    YG_AUTO(yg_sketch) s = YG_SKETCH(YG_MEM_BASE);
    YG_AUTO(yg_buf) sketch = YG_BUF(YG_MEM_BASE, BUF_MAX);
    YG_AUTO(yg_buf) rows = YG_BUF(YG_MEM_BASE, BUF_MAX);
    YG_AUTO(yg_buf) points = YG_BUF(YG_MEM_BASE, BUF_MAX);
    for (int i = -10; i < 100; i++)
        yg_sketch_add(&s, i * 3.7, 1 + i % 3 * 0.5);
    yg_sketch_encode(&s, &sketch);
    seed_variant("payloads", "sketch", 0, yg_buf_str(&sketch));
    struct yg_batch *b = make_rows(YG_TRACK_LOGS, 40);
    YG_ASSERT(yg_batch_encode(b, &rows, NULL) == YG_OK);
    seed_variant("payloads", "batch", 1, yg_buf_str(&rows));
    make_points_payload(&points);
    seed_variant("payloads", "points", 2, yg_buf_str(&points));
    yg_batch_destroy(b);
}

static void make_segment(enum yg_track track, uint32_t rows, bool plain, const char *name) {
    struct yg_batch *b = make_rows(track, rows);
    struct yg_columns_part part = {b, NULL, b->row_count};
    struct yg_columns *cs;
    struct yg_seg_writer_options o = {
        .track = track, .day = YG_DAY_MIXED, .segment_id = 3, .plain = plain, .fd = -1};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    struct yg_seg_summary sum;
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, 0);
    yg_rc rc = yg_columns_of_parts(track, &part, 1, &cs, NULL);
    YG_ASSERT(rc == YG_OK);
    rc = yg_seg_writer_columns(w, cs, NULL, cs->row_count, NULL);
    rc |= yg_seg_writer_finish(w, &sum, NULL);
    YG_ASSERT(rc == YG_OK);
    yg_seg_writer_take(w, &bytes);
    seed_file("segment", name, yg_buf_str(&bytes));
    yg_seg_writer_destroy(w);
    yg_columns_destroy(cs);
    yg_batch_destroy(b);
}

static void put_frame(struct yg_buf *out, enum yg_wal_kind kind, uint64_t sequence,
                      yg_str payload) {
    struct yg_wal_frame frame = {.payload_bytes = (uint32_t)payload.len,
                                 .sequence = sequence,
                                 .written_ns = NOW_NS,
                                 .magic = YG_WAL_FRAME_MAGIC,
                                 .kind = (uint8_t)kind,
                                 .flags = YG_WAL_F_DIGEST,
                                 .group_first = sequence};
    frame.crc32c = yg_wal_frame_crc(&frame, payload.ptr);
    yg_buf_put(out, &frame, sizeof(frame));
    yg_buf_puts(out, payload);
    while (out->len % 8)
        yg_buf_putc(out, 0);
}

static void make_wal(void) {
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, BUF_MAX);
    YG_AUTO(yg_buf) rows = YG_BUF(YG_MEM_BASE, BUF_MAX);
    YG_AUTO(yg_buf) points = YG_BUF(YG_MEM_BASE, BUF_MAX);
    struct yg_wal_file_header head = {.magic = YG_WAL_FILE_MAGIC,
                                      .version = YG_WAL_VERSION,
                                      .number = 1,
                                      .first_sequence = 1,
                                      .created_ns = NOW_NS};
    head.crc32c = yg_crc32c(0, &head, YG_WAL_HEADER_BYTES - 4);
    yg_buf_put(&out, &head, sizeof(head));
    struct yg_batch *b = make_rows(YG_TRACK_SPANS, 10);
    YG_ASSERT(yg_batch_encode(b, &rows, NULL) == YG_OK);
    make_points_payload(&points);
    put_frame(&out, YG_WAL_ROWS, 1, yg_buf_str(&rows));
    put_frame(&out, YG_WAL_POINTS, 2, yg_buf_str(&points));
    put_frame(&out, YG_WAL_DELIVERED, 3, YG_STR("0123456789abcdef"));
    put_frame(&out, YG_WAL_DIGESTS, 4, YG_STR("0123456789abcdef\0\0\0\0\0\0\0\1"));
    put_frame(&out, YG_WAL_ROWS, 5, yg_buf_str(&rows));
    for (int i = 0; i < 64; i++)
        yg_buf_putc(&out, 0);
    yg_buf_putc(&out, 1); // tells the target to make checksums right
    seed_file("wal", "whole", yg_buf_str(&out));
    yg_batch_destroy(b);
}

// corpus/search.lines → search/0, search/1 …
static void split_lines(const char *corpus, const char *file) {
    char path[1024];
    char target[256];
    char name[16];
    YG_AUTO(yg_buf) text = YG_BUF(YG_MEM_BASE, BUF_MAX);
    (void)snprintf(path, sizeof(path), "%s/%s", corpus, file);
    (void)snprintf(target, sizeof(target), "%.*s", (int)(strlen(file) - 6), file);
    if (yg_file_read_all(path, &text, NULL) != YG_OK)
        exit(1);
    yg_str rest = yg_buf_str(&text);
    yg_str line;
    for (int i = 0; yg_str_split(&rest, '\n', &line); i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        seed_file(target, name, line);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: make_seeds OUT_DIR CORPUS_DIR\n");
        return 2;
    }
    out_dir = argv[1];
    make_payloads();
    make_segment(YG_TRACK_LOGS, 60, true, "logs-plain");
    make_segment(YG_TRACK_SPANS, 60, false, "spans-packed");
    make_segment(YG_TRACK_EVENTS, 1, false, "one-row");
    make_wal();
    seed_packed();
    seed_mblock();
    seed_chunk();
    DIR *d = opendir(argv[2]);
    if (d == NULL)
        return 1;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (yg_str_ends(yg_str_c(e->d_name), YG_STR(".lines")))
            split_lines(argv[2], e->d_name);
    closedir(d);
    return 0;
}
