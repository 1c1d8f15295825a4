// SPDX-License-Identifier: Apache-2.0
// Fills the error that travels up with a return code.
#include "base/err.h"

#include <errno.h>

static const char *const rc_names[YG_RC_COUNT] = {
    [YG_OK] = "ok",
    [YG_EINPUT] = "einput",
    [YG_EAUTH] = "eauth",
    [YG_ENOTFOUND] = "enotfound",
    [YG_ECONFLICT] = "econflict",
    [YG_ELIMIT] = "elimit",
    [YG_EBUSY] = "ebusy",
    [YG_EAGAIN] = "eagain",
    [YG_EIO] = "eio",
    [YG_ECORRUPT] = "ecorrupt",
    [YG_ENOMEM] = "enomem",
    [YG_EUPSTREAM] = "eupstream",
    [YG_ETIMEOUT] = "etimeout",
    [YG_ECANCEL] = "ecancel",
    [YG_EINTERNAL] = "einternal",
};

const char *yg_rc_name(yg_rc rc) {
    return (unsigned)rc < YG_RC_COUNT ? rc_names[rc] : "unknown";
}

yg_rc yg_fail_at(struct yg_err *err, yg_rc rc, const char *file, int line, const char *fmt, ...) {
    if (err == NULL)
        return rc;
    err->rc = rc;
    err->sys_errno = 0;
    err->file = file;
    err->line = line;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return rc;
}

yg_rc yg_fail_errno_at(struct yg_err *err, const char *file, int line, const char *fmt, ...) {
    int sys_errno = errno;
    if (err == NULL)
        return YG_EIO;
    err->rc = YG_EIO;
    err->sys_errno = sys_errno;
    err->file = file;
    err->line = line;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->text)) {
        char reason[96];
        const char *text = strerror_r(sys_errno, reason, sizeof(reason));
        (void)snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", text);
    }
    return YG_EIO;
}

yg_rc yg_err_wrap(struct yg_err *err, const char *fmt, ...) {
    if (err == NULL)
        return YG_EINTERNAL;
    char inner[sizeof(err->text)];
    memcpy(inner, err->text, sizeof(inner));
    inner[sizeof(inner) - 1] = 0;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        (void)snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", inner);
    return err->rc;
}
