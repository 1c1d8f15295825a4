// SPDX-License-Identifier: Apache-2.0
// Columns of doubles in metric blocks: constant, decimals as integer deltas, or raw.
//
// column = encoding u8, then
//   0 constant  one double
//   1 decimal   exponent u8, then n zigzag varints: the first value and the deltas, in units of
//   10^-exponent 2 raw       n doubles
// A decimal column reads back bit by bit: the writer checks every value.

#include "codec/varint.h"
#include "store/mstore_int.h"
#include <math.h>

enum { COL_CONSTANT = 0, COL_DECIMAL = 1, COL_RAW = 2 };
#define EXPONENT_MAX 9
#define INTEGER_MAX 4503599627370496.0 // 2^52: sums of two still fit

static const double pow10_of[EXPONENT_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

static bool same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static bool fits(double v, unsigned exponent) {
    double scaled = nearbyint(v * pow10_of[exponent]);
    return fabs(scaled) < INTEGER_MAX &&
           same_bits((double)(int64_t)scaled / pow10_of[exponent], v); // also refuses −0
}

// The smallest exponent at which every value is a whole number; −1 when there is none.
static int decimal_exponent(const double *v, uint32_t n) {
    unsigned e = 0;
    for (uint32_t i = 0; i < n; i++)
        while (!fits(v[i], e))
            if (++e > EXPONENT_MAX)
                return -1;
    // A larger exponent found late must suit the earlier values too.
    for (uint32_t i = 0; i < n; i++)
        if (!fits(v[i], e))
            return -1;
    return (int)e;
}

static void put_raw(struct yg_buf *out, const double *v, uint32_t n) {
    yg_buf_putc(out, COL_RAW);
    yg_buf_put(out, v, n * sizeof(*v));
}

void yg_mcol_put(struct yg_buf *out, const double *v, uint32_t n) {
    bool constant = true;
    for (uint32_t i = 1; i < n && constant; i++)
        constant = same_bits(v[i], v[0]);
    if (constant && n > 0) {
        yg_buf_putc(out, COL_CONSTANT);
        yg_buf_put(out, v, sizeof(*v));
        return;
    }
    int e = decimal_exponent(v, n);
    if (e < 0) {
        put_raw(out, v, n);
        return;
    }
    size_t start = out->len;
    yg_buf_putc(out, COL_DECIMAL);
    yg_buf_putc(out, (char)e);
    int64_t before = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t now = (int64_t)nearbyint(v[i] * pow10_of[e]);
        yg_put_svarint(out, now - before);
        before = now;
    }
    if (!out->failed && out->len - start > n * sizeof(*v)) {
        out->len = start;
        put_raw(out, v, n);
    }
}

// As yg_get_svarint; nearly all deltas are one byte.
static inline yg_rc get_delta(struct yg_cursor *c, int64_t *ret_delta, struct yg_err *err) {
    if (c->pos < c->in.len && (c->in.ptr[c->pos] & 0x80) == 0) {
        uint64_t raw = (unsigned char)c->in.ptr[c->pos++];
        *ret_delta = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
        return YG_OK;
    }
    return yg_get_svarint(c, ret_delta, err);
}

static yg_rc get_decimal(struct yg_cursor *c, double *v, uint32_t n, struct yg_err *err) {
    yg_str e;
    YG_TRY(yg_get_bytes(c, 1, &e, err));
    unsigned exponent = (unsigned char)e.ptr[0];
    if (exponent > EXPONENT_MAX)
        return yg_fail(err, YG_ECORRUPT, "column: exponent %u", exponent);
    const double unit = pow10_of[exponent];
    int64_t now = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t delta;
        YG_TRY(get_delta(c, &delta, err));
        if (__builtin_add_overflow(now, delta, &now))
            return yg_fail(err, YG_ECORRUPT, "column: value %u leaves 64 bits", i);
        v[i] = exponent == 0 ? (double)now : (double)now / unit;
    }
    return YG_OK;
}

yg_rc yg_mcol_get(yg_str in, size_t *at, double *v, uint32_t n, struct yg_err *err) {
    struct yg_cursor c = {.in = in, .pos = *at};
    yg_str bytes;
    YG_TRY(yg_get_bytes(&c, 1, &bytes, err));
    switch (bytes.ptr[0]) {
    case COL_CONSTANT:
        YG_TRY(yg_get_bytes(&c, sizeof(*v), &bytes, err));
        for (uint32_t i = 0; i < n; i++)
            memcpy(&v[i], bytes.ptr, sizeof(*v));
        break;
    case COL_DECIMAL:
        YG_TRY(get_decimal(&c, v, n, err));
        break;
    case COL_RAW:
        YG_TRY(yg_get_bytes(&c, n * sizeof(*v), &bytes, err));
        if (n > 0)
            memcpy(v, bytes.ptr, n * sizeof(*v));
        break;
    default:
        return yg_fail(err, YG_ECORRUPT, "column: unknown encoding %d", bytes.ptr[0]);
    }
    *at = c.pos;
    return YG_OK;
}
