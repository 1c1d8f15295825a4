// SPDX-License-Identifier: Apache-2.0
// One server at a time per data directory.
#ifndef YG_MAIN_LOCK_H
#define YG_MAIN_LOCK_H

#include "base/err.h"

// Takes DIR/lock for this process (released by the kernel when it ends) and writes who holds it.
// EBUSY names the holder; EIO when the directory cannot be used. *ret_fd: yg_lock_release.
yg_rc yg_lock_take(const char *dir, const char *who, int *ret_fd, struct yg_err *err) YG_MUST_USE;
void yg_lock_release(int *fd);

#endif
