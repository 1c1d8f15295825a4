// SPDX-License-Identifier: Apache-2.0
// File operations behind one table, so that a test can make any of them fail.
#ifndef YG_BASE_FILE_H
#define YG_BASE_FILE_H

#include "base/buf.h"
#include <sys/types.h>

// The system calls that touch data. A test replaces entries; NULL entries are not allowed.
struct yg_file_ops {
    ssize_t (*write)(int fd, const void *ptr, size_t len);
    ssize_t (*pwrite)(int fd, const void *ptr, size_t len, off_t at);
    ssize_t (*pread)(int fd, void *ptr, size_t len, off_t at);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*rename)(const char *from, const char *to);
};
extern struct yg_file_ops yg_file_ops;              // what everybody uses
extern const struct yg_file_ops yg_file_ops_system; // the real ones

yg_rc yg_file_open(const char *path, int flags, int *ret_fd,
                   struct yg_err *err) YG_MUST_USE; // mode 0600
yg_rc yg_file_write_all(int fd, const void *ptr, size_t len, struct yg_err *err) YG_MUST_USE;
yg_rc yg_file_pwrite_all(int fd, const void *ptr, size_t len, off_t at,
                         struct yg_err *err) YG_MUST_USE;
// Exactly len bytes, else YG_ECORRUPT ("short read").
yg_rc yg_file_pread_all(int fd, void *ptr, size_t len, off_t at, struct yg_err *err) YG_MUST_USE;
yg_rc yg_file_datasync(int fd, struct yg_err *err) YG_MUST_USE;
yg_rc yg_file_sync(int fd, struct yg_err *err) YG_MUST_USE;
yg_rc yg_file_sync_dir(const char *dir, struct yg_err *err) YG_MUST_USE;
yg_rc yg_file_rename(const char *from, const char *to, struct yg_err *err) YG_MUST_USE;
yg_rc yg_file_size(int fd, int64_t *ret_bytes, struct yg_err *err) YG_MUST_USE;
yg_rc yg_file_mkdirs(const char *path, struct yg_err *err) YG_MUST_USE; // 0700, parents too
// Whole file; YG_ELIMIT above the buffer's limit.
yg_rc yg_file_read_all(const char *path, struct yg_buf *out, struct yg_err *err) YG_MUST_USE;
// tmp file + fsync + rename + directory fsync.
yg_rc yg_file_replace(const char *path, yg_str content, struct yg_err *err) YG_MUST_USE;
void yg_file_close(int *fd); // -1 is fine; sets -1
yg_rc yg_file_free_bytes(const char *dir, int64_t *ret_free, int64_t *ret_total,
                         struct yg_err *err) YG_MUST_USE;

#endif
