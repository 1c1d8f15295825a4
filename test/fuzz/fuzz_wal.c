// SPDX-License-Identifier: Apache-2.0
// WAL recovery over a damaged file: frames come in order and inside the file, the rest is named or
// cut. Checksums are made right first, except in every eighth input.
#include <dirent.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "fuzz.h"
#include "store/wal.h"

static char dir[64];
static char aside[80];

static void make_dirs(void) {
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(dir, sizeof(dir), "%s/yg-fuzz-wal-XXXXXX", root);
    YG_ASSERT(mkdtemp(dir) != NULL);
    (void)snprintf(aside, sizeof(aside), "%s/aside", dir);
    YG_ASSERT(yg_file_mkdirs(aside, NULL) == YG_OK);
}

static void empty(const char *path) {
    DIR *d = opendir(path);
    YG_ASSERT(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char inner[512];
        (void)snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && strcmp(e->d_name, "aside") != 0)
            (void)unlink(inner);
    }
    closedir(d);
}

static void remove_dirs(void) {
    empty(aside);
    empty(dir);
    (void)rmdir(aside);
    (void)rmdir(dir);
}

static void fix_checksums(char *bytes, size_t size) {
    struct yg_wal_file_header head;
    memcpy(&head, bytes, sizeof(head));
    memcpy(head.magic, YG_WAL_FILE_MAGIC, 4);
    head.version = YG_WAL_VERSION;
    head.crc32c = yg_crc32c(0, &head, YG_WAL_HEADER_BYTES - 4);
    memcpy(bytes, &head, sizeof(head));
    for (size_t at = YG_WAL_HEADER_BYTES; size - at >= YG_WAL_FRAME_BYTES;) {
        struct yg_wal_frame frame;
        memcpy(&frame, bytes + at, sizeof(frame));
        size_t left = size - at - YG_WAL_FRAME_BYTES;
        if (frame.magic != YG_WAL_FRAME_MAGIC || frame.payload_bytes > left)
            return;
        frame.crc32c = 0;
        frame.crc32c = yg_wal_frame_crc(&frame, bytes + at + YG_WAL_FRAME_BYTES);
        memcpy(bytes + at, &frame, sizeof(frame));
        size_t step = (YG_WAL_FRAME_BYTES + (size_t)frame.payload_bytes + 7) & ~(size_t)7;
        if (step > size - at)
            return;
        at += step;
    }
}

static uint64_t last_sequence;

static yg_rc on_frame(void *ctx, const struct yg_wal_replay *frame, struct yg_err *err) {
    (void)ctx;
    (void)err;
    YG_ASSERT(frame->sequence > last_sequence);
    last_sequence = frame->sequence;
    if (frame->kind == YG_WAL_ROWS) {
        struct yg_batch *b;
        yg_rc rc =
            yg_batch_decode(yg_buf_str(frame->payload), YG_MEM_STORE, FUZZ_ARENA_BYTES, &b, NULL);
        YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_ENOMEM || rc == YG_ELIMIT);
        if (rc == YG_OK)
            yg_batch_destroy(b);
    } else if (frame->kind == YG_WAL_POINTS) {
        struct yg_points *p;
        yg_rc rc = yg_points_decode(yg_buf_str(frame->payload), FUZZ_ARENA_BYTES, &p, NULL);
        YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_ENOMEM || rc == YG_ELIMIT);
        if (rc == YG_OK)
            yg_points_destroy(p);
    } else {
        fuzz_touch(yg_buf_str(frame->payload));
    }
    return YG_OK;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size < YG_WAL_HEADER_BYTES || size > (1u << 18))
        return 0;
    if (dir[0] == 0) {
        make_dirs();
        atexit(remove_dirs);
    }
    char path[512];
    struct yg_err err = {0};
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, size);
    YG_ASSERT(yg_buf_append(&bytes, fuzz_all(data, size), &err) == YG_OK);
    if (data[size - 1] % 8 != 0)
        fix_checksums(bytes.ptr, size);
    struct yg_wal_file_header head;
    memcpy(&head, bytes.ptr, sizeof(head));
    empty(dir);
    empty(aside);
    yg_wal_file_name(path, sizeof(path), dir, head.number, head.first_sequence);
    FILE *f = fopen(path, "wb");
    YG_ASSERT(f != NULL && fwrite(bytes.ptr, 1, size, f) == size);
    YG_ASSERT(fclose(f) == 0);
    struct yg_wal_recovery recovery;
    last_sequence = 0;
    yg_rc rc = yg_wal_recover(dir, aside, 0, on_frame, NULL, &recovery, &err);
    YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_EIO || rc == YG_ENOMEM ||
              rc == YG_ELIMIT);
    YG_ASSERT(rc != YG_OK || recovery.next_sequence > last_sequence || last_sequence == 0);
    return 0;
}
