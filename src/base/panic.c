// SPDX-License-Identifier: Apache-2.0
// The way out when an invariant of ours does not hold.
#include "base/panic.h"

#include <stdarg.h>
#include <unistd.h>

#ifndef YG_VERSION
#define YG_VERSION "unknown"
#endif

_Noreturn void yg_panic(const char *file, int line, const char *fmt, ...) {
    char text[512];
    int n = snprintf(text, sizeof(text), "yagura %s panic at %s:%d: ", YG_VERSION, file, line);
    size_t len = n > 0 && (size_t)n < sizeof(text) ? (size_t)n : 0;
    va_list ap;
    va_start(ap, fmt);
    n = vsnprintf(text + len, sizeof(text) - len - 1, fmt, ap);
    va_end(ap);
    if (n > 0)
        len += (size_t)n < sizeof(text) - len - 1 ? (size_t)n : sizeof(text) - len - 2;
    text[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, text, len);
    (void)written; // nothing more can be done here
    abort();
}
