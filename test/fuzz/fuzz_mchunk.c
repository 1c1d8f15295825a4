// SPDX-License-Identifier: Apache-2.0
// Readers of metric files behind their checksums: the input is the content of one chunk (runs,
// directory, series) or of one frame of the series log, and the file around it is made right.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "codec/varint.h"
#include "fuzz.h"
#include "store/mstore_format.h"
#include "store/mstore_int.h"

#define INPUT_MAX 65536u
#define POINTS_MAX 1000000u // looked at in one input

static void put_chunk(struct yg_buf *file, uint8_t kind, yg_str raw, uint64_t *ret_offset,
                      uint32_t *ret_bytes) {
    struct yg_mchunk_header h = {.raw_bytes = (uint32_t)raw.len,
                                 .stored_bytes = (uint32_t)raw.len,
                                 .encoding = YG_MCHUNK_RAW,
                                 .kind = kind};
    h.crc = yg_crc32c(yg_crc32c(0, &h, sizeof(h)), raw.ptr, raw.len);
    *ret_offset = file->len;
    *ret_bytes = (uint32_t)(sizeof(h) + raw.len);
    yg_buf_put(file, &h, sizeof(h));
    yg_buf_puts(file, raw);
}

// The directory of one chunk that may hold anything.
static void put_directory(struct yg_buf *b, uint64_t offset, uint32_t stored, uint32_t raw) {
    yg_put_varint(b, offset);
    yg_put_varint(b, stored);
    yg_put_varint(b, raw);
    for (int i = 0; i < 2; i++)
        yg_put_varint(b, 0);
    for (int i = 0; i < 2; i++)
        yg_put_varint(b, UINT32_MAX);
    yg_put_varint(b, 0);
    yg_put_varint(b, UINT32_MAX);
}

static void make_block(struct yg_buf *file, yg_str input, unsigned kind, uint32_t version) {
    struct yg_mfile_header h = {.magic = YG_MFILE_MAGIC, .version = version};
    h.crc = yg_crc32c(0, &h, offsetof(struct yg_mfile_header, crc));
    yg_buf_put(file, &h, sizeof(h));
    struct yg_mfile_footer f = {
        .points = 1, .max_bucket = UINT32_MAX, .magic = YG_MFILE_FOOTER_MAGIC};
    uint64_t at;
    uint32_t stored;
    put_chunk(file, YG_MCHUNK_RUNS, kind == YG_MCHUNK_RUNS ? input : YG_STR(""), &at, &stored);
    struct yg_buf directory = YG_BUF(YG_MEM_BASE, 4096);
    if (version > 1) {
        yg_put_varint(&directory, 1); // section
        yg_put_varint(&directory, 1); // bucket a node
        yg_put_varint(&directory, 1); // chunk
    }
    put_directory(&directory, at, stored, (uint32_t)input.len);
    yg_str d = kind == YG_MCHUNK_DIRECTORY ? input : yg_buf_str(&directory);
    f.chunk_count = kind == YG_MCHUNK_DIRECTORY ? (uint32_t)(input.len / 9) : 1;
    put_chunk(file, YG_MCHUNK_DIRECTORY, d, &f.directory_offset, &f.directory_bytes);
    f.series_count = kind == YG_MCHUNK_SERIES ? (uint32_t)(input.len / 3) : 0;
    put_chunk(file, YG_MCHUNK_SERIES, kind == YG_MCHUNK_SERIES ? input : YG_STR(""),
              &f.series_offset, &f.series_bytes);
    f.crc = yg_crc32c(0, &f, offsetof(struct yg_mfile_footer, crc));
    yg_buf_put(file, &f, sizeof(f));
    yg_buf_fini(&directory);
}

static int as_file(const struct yg_buf *bytes, char path[64]) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    YG_ASSERT(fd >= 0);
    YG_ASSERT(write(fd, bytes->ptr, bytes->len) == (ssize_t)bytes->len);
    (void)snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void expect_damage(void *ctx, const struct yg_err *err) {
    (void)ctx;
    YG_ASSERT(err->rc != YG_OK && err->text[0] != 0);
}

static void see_series(void *ctx, uint32_t series, uint32_t metric, uint32_t last_bucket) {
    (void)ctx;
    (void)last_bucket;
    YG_ASSERT(series < YG_MS_SERIES_ID_MAX && metric < YG_MS_NAME_ID_MAX);
}

// Every run, decoded for all time, for a part of it, or for two.
static void walk(const struct yg_mblock *b, const struct yg_msection *section, uint32_t only_metric,
                 const struct yg_mrange *ranges, uint32_t count) {
    struct yg_mcursor c;
    struct yg_mrun run = {0};
    uint64_t seen = 0;
    yg_mcursor_init(&c, b, section, only_metric,
                    (struct yg_mrange){ranges[0].from, ranges[count - 1].to});
    c.damage = expect_damage;
    while (seen < POINTS_MAX && yg_mcursor_next(&c)) {
        yg_mrun_reset(&run);
        if (!yg_mcursor_decode(&c, ranges, count, YG_MS_FIELDS_ALL, &run))
            continue;
        yg_mrun_settle(&run, (enum yg_metric_type)c.run.type);
        for (uint32_t i = 0; i < run.len; i++) {
            YG_ASSERT(run.bucket[i] >= ranges[0].from && run.bucket[i] < ranges[count - 1].to);
            YG_ASSERT(i == 0 || run.bucket[i - 1] < run.bucket[i]);
        }
        seen += run.len + 1;
        yg_mcursor_skip_to(&c, c.run.series + 1);
    }
    yg_mrun_fini(&run);
    yg_mcursor_fini(&c);
}

static void fuzz_block(yg_str input, unsigned kind, uint32_t version) {
    static const struct yg_mrange always = {0, UINT32_MAX}, parts[] = {{5, 1000}, {1500, 1501}};
    struct yg_buf file = YG_BUF(YG_MEM_BASE, 1u << 20);
    make_block(&file, input, kind, version);
    char path[64];
    int fd = as_file(&file, path);
    struct yg_mblock *b;
    struct yg_err err = {0};
    yg_rc rc = yg_mblock_open(path, see_series, NULL, &b, &err);
    YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT);
    for (uint32_t i = 0; rc == YG_OK && i < b->section_count; i++) {
        walk(b, &b->sections[i], YG_MS_NONE, &always, 1);
        walk(b, &b->sections[i], YG_MS_NONE, parts, 2);
        walk(b, &b->sections[i], 1, &always, 1);
    }
    if (rc == YG_OK)
        yg_mblock_unref(b);
    (void)close(fd);
    yg_buf_fini(&file);
}

static void make_log(struct yg_buf *file, yg_str records) {
    const struct yg_mlog_header h = {.magic = YG_MLOG_MAGIC, .version = 1};
    yg_buf_put(file, &h, sizeof(h));
    static char packed[INPUT_MAX * 2];
    size_t n = ZSTD_compress(packed, sizeof(packed), records.ptr, records.len, 1);
    YG_ASSERT(!ZSTD_isError(n));
    uint32_t f[3] = {(uint32_t)records.len, (uint32_t)n, 0};
    f[2] = yg_crc32c(yg_crc32c(0, f, 8), packed, n);
    yg_buf_put(file, f, sizeof(f));
    yg_buf_put(file, packed, n);
}

static void fuzz_log(yg_str input) {
    struct yg_buf file = YG_BUF(YG_MEM_BASE, 1u << 20);
    make_log(&file, input);
    char dir[] = "/tmp/yg-fuzz-mlog-XXXXXX", path[64];
    YG_ASSERT(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/series.ygs", dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    YG_ASSERT(fd >= 0 && write(fd, file.ptr, file.len) == (ssize_t)file.len);
    (void)close(fd);
    struct yg_mreg reg;
    struct yg_mlog log;
    struct yg_err err = {0};
    yg_mreg_init(&reg, 0, 0);
    YG_ASSERT(yg_mlog_open(&log, dir, &reg, expect_damage, NULL, &err) == YG_OK);
    for (uint32_t m = 0; m < reg.name_len; m++)
        for (uint32_t i = 0; reg.names[m] != NULL && i < reg.names[m]->len; i++) {
            const struct yg_mseries *s = yg_mreg_series(&reg, reg.names[m]->series[i]);
            YG_ASSERT(s != NULL && s->metric == m && !s->dead);
        }
    yg_mlog_close(&log);
    yg_mreg_fini(&reg);
    (void)unlink(path);
    (void)rmdir(dir);
    yg_buf_fini(&file);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size < 2 || size > INPUT_MAX)
        return 0;
    yg_str input = fuzz_rest(data, size);
    static const unsigned kinds[] = {YG_MCHUNK_RUNS, YG_MCHUNK_DIRECTORY, YG_MCHUNK_SERIES};
    unsigned what = data[0] % 7;
    if (what == 3)
        fuzz_log(input);
    else
        fuzz_block(input, kinds[what % 4], 1 + what / 4);
    return 0;
}
