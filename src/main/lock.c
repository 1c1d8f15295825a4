// SPDX-License-Identifier: Apache-2.0
// The data directory's lock: flock on DIR/lock, whose text tells a second process who holds it.
#include "main/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

static yg_rc say_holder(int fd, const char *dir, struct yg_err *err) {
    char text[160] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return yg_fail(err, YG_EBUSY, "%s is in use by %s", dir, text[0] ? text : "another process");
}

yg_rc yg_lock_take(const char *dir, const char *who, int *ret_fd, struct yg_err *err) {
    char path[4096], now[YG_TIME_TEXT_BYTES], text[160];
    if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
        return yg_fail(err, YG_EINPUT, "the path of the data directory is too long");
    int fd;
    YG_TRY(yg_file_open(path, O_RDWR | O_CREAT | O_CLOEXEC, &fd, err));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        yg_rc rc = errno == EWOULDBLOCK ? say_holder(fd, dir, err) : yg_fail_errno(err, "%s", path);
        yg_file_close(&fd);
        return rc;
    }
    yg_time_format_iso(yg_now_ns(&yg_clock_system), now);
    int len = snprintf(text, sizeof(text), "%s, process %ld, since %s", who, (long)getpid(), now);
    yg_rc rc = ftruncate(fd, 0) == 0 ? yg_file_pwrite_all(fd, text, (size_t)len, 0, err)
                                     : yg_fail_errno(err, "%s", path);
    if (rc != YG_OK) {
        yg_file_close(&fd);
        return rc;
    }
    *ret_fd = fd;
    return YG_OK;
}

void yg_lock_release(int *fd) {
    yg_file_close(fd);
}
