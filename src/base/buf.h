// SPDX-License-Identifier: Apache-2.0
// A growing run of bytes that always knows how large it may get.
#ifndef YG_BASE_BUF_H
#define YG_BASE_BUF_H

#include "base/mem.h"
#include "base/str.h"

// Zero is not a valid state: use YG_BUF. Freed by yg_buf_fini (YG_AUTO(yg_buf) works).
struct yg_buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t limit_bytes;
    enum yg_mem_tag tag;
    bool failed;    // an unchecked append met the limit or too little memory; see yg_buf_ok
    bool no_memory; // it was the memory
};

#define YG_BUF(mem_tag, limit) ((struct yg_buf){.limit_bytes = (limit), .tag = (mem_tag)})

void yg_buf_fini(struct yg_buf *b);
void yg_buf_reset(struct yg_buf *b); // empties, keeps the memory
yg_rc yg_buf_reserve(struct yg_buf *b, size_t more_bytes, struct yg_err *err) YG_MUST_USE; // ELIMIT
// The same without room for more appends: for output whose size is known.
yg_rc yg_buf_reserve_exact(struct yg_buf *b, size_t more_bytes, struct yg_err *err) YG_MUST_USE;
yg_rc yg_buf_append(struct yg_buf *b, yg_str s, struct yg_err *err) YG_MUST_USE;

// For writers of long answers: append now, ask yg_buf_ok once at the end.
void yg_buf_put(struct yg_buf *b, const void *ptr, size_t len);
void yg_buf_puts(struct yg_buf *b, yg_str s);
void yg_buf_putc(struct yg_buf *b, char c);
void yg_buf_printf(struct yg_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
yg_rc yg_buf_ok(const struct yg_buf *b,
                struct yg_err *err) YG_MUST_USE; // ELIMIT, ENOMEM if one was cut

static inline yg_str yg_buf_str(const struct yg_buf *b) {
    return (yg_str){b->ptr, b->len};
}
// Hands the content over: *ret_buf owns it, b is empty.
void yg_buf_move(struct yg_buf *b, struct yg_buf *ret_buf);

#endif
