// SPDX-License-Identifier: Apache-2.0
// Files: whole reads and writes, durable replacement, errors that name the path.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_BYTES 4096u

const struct yg_file_ops yg_file_ops_system = {
    .write = write,
    .pwrite = pwrite,
    .pread = pread,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .rename = rename,
};

struct yg_file_ops yg_file_ops = {
    .write = write,
    .pwrite = pwrite,
    .pread = pread,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .rename = rename,
};

yg_rc yg_file_open(const char *path, int flags, int *ret_fd, struct yg_err *err) {
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return yg_fail_errno(err, "open %s", path);
    *ret_fd = fd;
    return YG_OK;
}

yg_rc yg_file_write_all(int fd, const void *ptr, size_t len, struct yg_err *err) {
    const char *p = ptr;
    while (len) {
        ssize_t n = yg_file_ops.write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return yg_fail_errno(err, "write of %zu bytes", len);
        p += n;
        len -= (size_t)n;
    }
    return YG_OK;
}

yg_rc yg_file_pwrite_all(int fd, const void *ptr, size_t len, off_t at, struct yg_err *err) {
    const char *p = ptr;
    while (len) {
        ssize_t n = yg_file_ops.pwrite(fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return yg_fail_errno(err, "write of %zu bytes at %lld", len, (long long)at);
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return YG_OK;
}

yg_rc yg_file_pread_all(int fd, void *ptr, size_t len, off_t at, struct yg_err *err) {
    char *p = ptr;
    while (len) {
        ssize_t n = yg_file_ops.pread(fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return yg_fail_errno(err, "read of %zu bytes at %lld", len, (long long)at);
        if (n == 0)
            return yg_fail(err, YG_ECORRUPT, "short read: %zu bytes missing at %lld", len,
                           (long long)at);
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return YG_OK;
}

yg_rc yg_file_datasync(int fd, struct yg_err *err) {
    return yg_file_ops.fdatasync(fd) == 0 ? YG_OK : yg_fail_errno(err, "fdatasync");
}

yg_rc yg_file_sync(int fd, struct yg_err *err) {
    return yg_file_ops.fsync(fd) == 0 ? YG_OK : yg_fail_errno(err, "fsync");
}

yg_rc yg_file_sync_dir(const char *dir, struct yg_err *err) {
    int fd;
    YG_TRY(yg_file_open(dir, O_RDONLY | O_DIRECTORY, &fd, err));
    yg_rc rc = yg_file_sync(fd, err);
    yg_file_close(&fd);
    return rc == YG_OK ? YG_OK : yg_err_wrap(err, "%s", dir);
}

yg_rc yg_file_rename(const char *from, const char *to, struct yg_err *err) {
    if (yg_file_ops.rename(from, to) != 0)
        return yg_fail_errno(err, "rename %s to %s", from, to);
    return YG_OK;
}

yg_rc yg_file_size(int fd, int64_t *ret_bytes, struct yg_err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return yg_fail_errno(err, "fstat");
    *ret_bytes = st.st_size;
    return YG_OK;
}

yg_rc yg_file_mkdirs(const char *path, struct yg_err *err) {
    char part[PATH_BYTES];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part))
        return yg_fail(err, YG_EINPUT, "path of %zu bytes: 1 to %u allowed", len, PATH_BYTES - 1);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != 0)
            continue;
        char saved = part[i];
        part[i] = 0;
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return yg_fail_errno(err, "mkdir %s", part);
        part[i] = saved;
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return yg_fail_errno(err, "stat %s", path);
    if (!S_ISDIR(st.st_mode))
        return yg_fail(err, YG_EIO, "%s is not a folder", path);
    return YG_OK;
}

static yg_rc read_fd(int fd, struct yg_buf *out, struct yg_err *err) {
    for (off_t at = 0;;) {
        size_t want = out->cap - out->len;
        if (want == 0) {
            want = out->limit_bytes - out->len < 65536 ? out->limit_bytes - out->len : 65536;
            if (want == 0) { // full: only an end of file is still right
                char probe;
                ssize_t n = yg_file_ops.pread(fd, &probe, 1, at);
                if (n < 0)
                    return yg_fail_errno(err, "read");
                return n == 0 ? YG_OK
                              : yg_fail(err, YG_ELIMIT, "larger than %zu bytes", out->limit_bytes);
            }
            YG_TRY(yg_buf_reserve(out, want, err));
        }
        ssize_t n = yg_file_ops.pread(fd, out->ptr + out->len, want, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return yg_fail_errno(err, "read");
        if (n == 0)
            return YG_OK;
        out->len += (size_t)n;
        at += n;
    }
}

yg_rc yg_file_read_all(const char *path, struct yg_buf *out, struct yg_err *err) {
    int fd;
    YG_TRY(yg_file_open(path, O_RDONLY, &fd, err));
    yg_rc rc = read_fd(fd, out, err);
    yg_file_close(&fd);
    if (rc != YG_OK && err != NULL)
        return yg_err_wrap(err, "%s", path);
    return rc;
}

static yg_rc write_temp(const char *path, yg_str content, struct yg_err *err) {
    int fd;
    YG_TRY(yg_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    yg_rc rc = yg_file_write_all(fd, content.ptr, content.len, err);
    if (rc == YG_OK)
        rc = yg_file_sync(fd, err);
    yg_file_close(&fd);
    return rc;
}

yg_rc yg_file_replace(const char *path, yg_str content, struct yg_err *err) {
    char temp[PATH_BYTES];
    char dir[PATH_BYTES];
    int n = snprintf(temp, sizeof(temp), "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof(temp))
        return yg_fail(err, YG_EINPUT, "path too long: at most %u bytes", PATH_BYTES - 5);
    yg_rc rc = write_temp(temp, content, err);
    if (rc == YG_OK)
        rc = yg_file_rename(temp, path, err);
    if (rc != YG_OK) {
        (void)unlink(temp);
        return rc;
    }
    size_t slash = yg_str_rfind_char(yg_str_c(path), '/');
    if (slash == SIZE_MAX) {
        return yg_file_sync_dir(".", err);
    }
    memcpy(dir, path, slash ? slash : 1);
    dir[slash ? slash : 1] = 0;
    return yg_file_sync_dir(dir, err);
}

void yg_file_close(int *fd) {
    if (*fd >= 0)
        (void)close(*fd); // data was synced before; Linux closes even when this reports EINTR
    *fd = -1;
}

yg_rc yg_file_free_bytes(const char *dir, int64_t *ret_free, int64_t *ret_total,
                         struct yg_err *err) {
    struct statvfs vfs;
    if (statvfs(dir, &vfs) != 0)
        return yg_fail_errno(err, "statvfs %s", dir);
    *ret_free = (int64_t)vfs.f_bavail * (int64_t)vfs.f_frsize;
    *ret_total = (int64_t)vfs.f_blocks * (int64_t)vfs.f_frsize;
    return YG_OK;
}
