// SPDX-License-Identifier: Apache-2.0
// Assertions that stay on in release builds, and the panic behind them. Never for input from
// outside.
#ifndef YG_BASE_PANIC_H
#define YG_BASE_PANIC_H

#include <stddef.h>
#include <stdint.h>

// Writes place, reason and build to standard error and aborts; the WAL makes that safe.
_Noreturn void yg_panic(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define YG_ASSERT(cond)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            yg_panic(__FILE__, __LINE__, "%s", #cond);                                             \
    } while (0)

// Only in debug builds: checks that walk whole structures.
#ifdef NDEBUG
#define YG_DASSERT(cond) ((void)0)
#else
#define YG_DASSERT(cond) YG_ASSERT(cond)
#endif

// For objects that cross threads or callbacks: a first member `uint32_t magic` proves the pointer.
#define YG_CHECK(p, m)                                                                             \
    do {                                                                                           \
        if ((p) == NULL || (p)->magic != (m))                                                      \
            yg_panic(__FILE__, __LINE__, "%s is not a live object", #p);                           \
    } while (0)

#endif
