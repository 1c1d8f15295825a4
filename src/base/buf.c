// SPDX-License-Identifier: Apache-2.0
// Growing byte runs under a limit.
#include "base/buf.h"

#include <stdarg.h>

#include "base/panic.h"

#define FIRST_BYTES 256

void yg_buf_fini(struct yg_buf *b) {
    if (b == NULL)
        return;
    yg_free(b->tag, b->ptr);
    b->ptr = NULL;
    b->len = 0;
    b->cap = 0;
    b->failed = b->no_memory = false;
}

void yg_buf_reset(struct yg_buf *b) {
    b->len = 0;
    b->failed = b->no_memory = false;
}

// The size after more_bytes; 0 where it would pass the limit.
static size_t wanted(const struct yg_buf *b, size_t more_bytes) {
    if (b->len > b->limit_bytes || more_bytes > b->limit_bytes - b->len)
        return 0;
    return b->len + more_bytes;
}

static yg_rc over_limit(const struct yg_buf *b, struct yg_err *err) {
    return yg_fail(err, YG_ELIMIT, "buffer would exceed %zu bytes", b->limit_bytes);
}

static yg_rc grow_to(struct yg_buf *b, size_t cap, struct yg_err *err) {
    char *grown = yg_try_realloc(b->tag, b->ptr, cap);
    if (grown == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a buffer of %zu bytes (%s)", cap,
                       yg_mem_tag_name(b->tag));
    b->ptr = grown;
    b->cap = cap;
    return YG_OK;
}

yg_rc yg_buf_reserve(struct yg_buf *b, size_t more_bytes, struct yg_err *err) {
    YG_ASSERT(b->len <= b->cap);
    if (more_bytes <= b->cap - b->len)
        return YG_OK;
    size_t want = wanted(b, more_bytes);
    if (want == 0)
        return over_limit(b, err);
    size_t cap = b->cap ? b->cap : FIRST_BYTES;
    while (cap < want)
        cap = cap > SIZE_MAX / 2 ? want : cap * 2;
    return grow_to(b, cap > b->limit_bytes ? b->limit_bytes : cap, err);
}

yg_rc yg_buf_reserve_exact(struct yg_buf *b, size_t more_bytes, struct yg_err *err) {
    YG_ASSERT(b->len <= b->cap);
    if (more_bytes <= b->cap - b->len)
        return YG_OK;
    size_t want = wanted(b, more_bytes);
    return want == 0 ? over_limit(b, err) : grow_to(b, want, err);
}

yg_rc yg_buf_append(struct yg_buf *b, yg_str s, struct yg_err *err) {
    YG_TRY(yg_buf_reserve(b, s.len, err));
    if (s.len)
        memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
    return YG_OK;
}

static void make_room(struct yg_buf *b, size_t more_bytes) {
    yg_rc rc = yg_buf_reserve(b, more_bytes, NULL);
    b->failed |= rc != YG_OK;
    b->no_memory |= rc == YG_ENOMEM;
}

void yg_buf_put(struct yg_buf *b, const void *ptr, size_t len) {
    if (len > b->cap - b->len)
        make_room(b, len);
    if (b->failed || len == 0)
        return;
    memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

void yg_buf_puts(struct yg_buf *b, yg_str s) {
    yg_buf_put(b, s.ptr, s.len);
}

void yg_buf_putc(struct yg_buf *b, char c) {
    if (b->len == b->cap)
        make_room(b, 1);
    if (!b->failed)
        b->ptr[b->len++] = c;
}

void yg_buf_printf(struct yg_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char small[256];
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    YG_ASSERT(n >= 0);
    if ((size_t)n < sizeof(small)) {
        yg_buf_put(b, small, (size_t)n);
        return;
    }
    char *large = yg_alloc(b->tag, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(large, (size_t)n + 1, fmt, ap);
    va_end(ap);
    yg_buf_put(b, large, (size_t)n);
    yg_free(b->tag, large);
}

yg_rc yg_buf_ok(const struct yg_buf *b, struct yg_err *err) {
    if (b->no_memory) // whoever may free some, or take more, tells it apart
        return yg_fail(err, YG_ENOMEM, "no memory for a buffer (%s)", yg_mem_tag_name(b->tag));
    if (b->failed)
        return yg_fail(err, YG_ELIMIT, "output exceeds %zu bytes", b->limit_bytes);
    return YG_OK;
}

void yg_buf_move(struct yg_buf *b, struct yg_buf *ret_buf) {
    *ret_buf = *b;
    b->ptr = NULL;
    b->len = 0;
    b->cap = 0;
    b->failed = b->no_memory = false;
}
