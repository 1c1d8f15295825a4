// SPDX-License-Identifier: Apache-2.0
// Checking and showing what is on the disk, without a running store. Part of store/store.h.
#ifndef YG_STORE_FSCK_H
#define YG_STORE_FSCK_H

#include "base/buf.h"

struct yg_fsck_options {
    // One fault or one fact, without a line feed: file, byte and what is wrong. Borrowed.
    void (*fault)(void *ctx, const char *line);
    void (*note)(void *ctx,
                 const char *line); // no fault: left by a crash, removed by the next start
    bool repair; // puts a lost or damaged catalogue back from its copy first; needs the lock
    void *ctx;
};
struct yg_fsck_summary {
    uint64_t files; // segments, log files, metric files
    uint64_t chunks;
    uint64_t rows;
    uint64_t frames;
    uint64_t points;
    uint64_t faults;
};
// Reads everything in a data directory that carries a checksum, decodes every chunk, and compares
// catalogue, headers and contents with each other. Writes nothing but a repair. A running server
// may change files meanwhile: the caller holds the directory's lock or says so. Errors: only when
// the directory cannot be read at all.
yg_rc yg_store_fsck(const char *dir, const struct yg_fsck_options *options,
                    struct yg_fsck_summary *ret_summary, struct yg_err *err) YG_MUST_USE;

// Structure of one file (segment, write-ahead log, metric block), as a table for people or as one
// JSON object. EINPUT: none of these; ECORRUPT.
yg_rc yg_store_inspect(const char *path, bool json, struct yg_buf *out,
                       struct yg_err *err) YG_MUST_USE;

#endif
