// SPDX-License-Identifier: Apache-2.0
// The reader of metric block files on damaged bytes. Checksums are made right on the way: those of
// header and footer in the file, a chunk's when it is read.
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "fuzz.h"
#include "store/mstore_format.h"
#include "store/mstore_int.h"

#define RUNS_MAX 2000u

static char path[80];
static int fd = -1;
static size_t file_bytes;

static void remove_file(void) {
    (void)unlink(path);
}

static void make_file(void) {
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(path, sizeof(path), "%s/yg-fuzz-mblock-XXXXXX", root);
    fd = mkstemp(path);
    YG_ASSERT(fd >= 0);
    atexit(remove_file);
}

// Whatever is read between header and footer is a chunk.
static ssize_t mending_pread(int from, void *ptr, size_t len, off_t at) {
    struct yg_mchunk_header h;
    ssize_t n = pread(from, ptr, len, at);
    bool inside = at >= (off_t)sizeof(struct yg_mfile_header) &&
                  (size_t)at + len <= file_bytes - sizeof(struct yg_mfile_footer);
    if (n != (ssize_t)len || len < sizeof(h) || !inside)
        return n;
    memcpy(&h, ptr, sizeof(h));
    h.stored_bytes = (uint32_t)(len - sizeof(h));
    h.crc = 0;
    h.crc = yg_crc32c(yg_crc32c(0, &h, sizeof(h)), (char *)ptr + sizeof(h), h.stored_bytes);
    memcpy(ptr, &h, sizeof(h));
    return n;
}

static void fix_ends(char *bytes, size_t size) {
    struct yg_mfile_header head;
    struct yg_mfile_footer foot;
    memcpy(&head, bytes, sizeof(head));
    head.magic = YG_MFILE_MAGIC;
    head.version = head.version % 2 == 1 ? 1 : YG_MFILE_VERSION; // both are read
    head.crc = yg_crc32c(0, &head, offsetof(struct yg_mfile_header, crc));
    memcpy(bytes, &head, sizeof(head));
    memcpy(&foot, bytes + size - sizeof(foot), sizeof(foot));
    foot.magic = YG_MFILE_FOOTER_MAGIC;
    foot.crc = yg_crc32c(0, &foot, offsetof(struct yg_mfile_footer, crc));
    memcpy(bytes + size - sizeof(foot), &foot, sizeof(foot));
}

static void on_series(void *ctx, uint32_t series, uint32_t metric, uint32_t last_bucket) {
    (void)ctx;
    (void)series;
    (void)metric;
    (void)last_bucket;
}

static void on_damage(void *ctx, const struct yg_err *err) {
    (void)ctx;
    YG_ASSERT(err->text[0] != 0);
}

static void read_runs(const struct yg_mblock *b, const struct yg_msection *section) {
    static const struct yg_mrange always = {0, UINT32_MAX};
    struct yg_mcursor c;
    struct yg_mrun run = {0};
    yg_mcursor_init(&c, b, section, YG_MS_NONE, always);
    c.damage = on_damage;
    for (uint32_t i = 0; i < RUNS_MAX && yg_mcursor_next(&c); i++) {
        YG_ASSERT(c.valid && c.run.type < YG_METRIC_TYPE_COUNT);
        yg_mrun_reset(&run);
        (void)yg_mcursor_decode(&c, &always, 1, YG_MS_FIELDS_ALL, &run);
        for (uint32_t k = 0; run.full && k < run.len; k++)
            if (run.sketch[k])
                (void)yg_sketch_quantile(run.sketch[k], 0.5);
    }
    yg_mrun_fini(&run);
    yg_mcursor_fini(&c);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size < sizeof(struct yg_mfile_header) + sizeof(struct yg_mfile_footer) || size > (1u << 18))
        return 0;
    if (fd < 0) {
        make_file();
        yg_file_ops.pread = mending_pread;
    }
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_BASE, size);
    struct yg_err err = {0};
    YG_ASSERT(yg_buf_append(&bytes, fuzz_all(data, size), &err) == YG_OK);
    fix_ends(bytes.ptr, size);
    file_bytes = size;
    YG_ASSERT(ftruncate(fd, 0) == 0 && pwrite(fd, bytes.ptr, size, 0) == (ssize_t)size);
    struct yg_mblock *b;
    yg_rc rc = yg_mblock_open(path, on_series, NULL, &b, &err);
    YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_EIO || rc == YG_ENOMEM);
    if (rc != YG_OK)
        return 0;
    for (uint32_t i = 0; i < b->section_count; i++)
        read_runs(b, &b->sections[i]);
    yg_mblock_unref(b);
    return 0;
}
