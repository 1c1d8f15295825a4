// SPDX-License-Identifier: Apache-2.0
// Return codes and the error text that travels with them.
#ifndef YG_BASE_ERR_H
#define YG_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

// One table in intake/ and one in api/ map these to HTTP statuses (in brackets).
typedef enum yg_rc {
    YG_OK = 0,
    YG_EINPUT,    // the caller's data is wrong (400)
    YG_EAUTH,     // no or wrong key (403)
    YG_ENOTFOUND, // 404
    YG_ECONFLICT, // 409
    YG_ELIMIT,    // larger than a stated limit (413)
    YG_EBUSY,     // a queue or room is full; try again later (429 or 503)
    YG_EAGAIN,    // a decoder needs more bytes; never crosses a room
    YG_EIO,       // the operating system refused; sys_errno says why
    YG_ECORRUPT,  // stored bytes fail their checksum or their own rules
    YG_ENOMEM,    // a memory limit, not a crash
    YG_EUPSTREAM, // another server answered wrongly (502)
    YG_ETIMEOUT,  // 504
    YG_ECANCEL,   // the asker went away
    YG_EINTERNAL, // a fault of ours (500)
    YG_RC_COUNT
} yg_rc;

// Where and why something failed. Lives on the caller's stack; rc is YG_OK until yg_fail sets it.
struct yg_err {
    yg_rc rc;
    int sys_errno;
    int line;
    const char *file;
    char text[232];
};

#define YG_MUST_USE __attribute__((warn_unused_result))

// Fills err (may be NULL) and has the value rc, so that failing is one statement. The code stands
// in the macro's value, so that the compiler sees that a failing function failed.
#define yg_fail(err, rc, ...)                                                                      \
    ((void)yg_fail_at((err), (rc), __FILE__, __LINE__, __VA_ARGS__), (yg_rc)(rc))
yg_rc yg_fail_at(struct yg_err *err, yg_rc rc, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

// As yg_fail with YG_EIO; notes errno and appends its text.
#define yg_fail_errno(err, ...)                                                                    \
    ((void)yg_fail_errno_at((err), __FILE__, __LINE__, __VA_ARGS__), (yg_rc)YG_EIO)
yg_rc yg_fail_errno_at(struct yg_err *err, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

// Puts a fact in front of the text that is already there ("segment 12: …"); returns err->rc.
yg_rc yg_err_wrap(struct yg_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Name of a code for logs and counters: "einput", "ebusy" …
const char *yg_rc_name(yg_rc rc);

// Forwards a failure unchanged.
#define YG_TRY(call)                                                                               \
    do {                                                                                           \
        yg_rc rc_ = (call);                                                                        \
        if (rc_ != YG_OK)                                                                          \
            return rc_;                                                                            \
    } while (0)

// Scope cleanup: struct T is finished by T##_fini on every way out.
#define YG_AUTO(T) __attribute__((cleanup(T##_fini))) struct T

#endif
