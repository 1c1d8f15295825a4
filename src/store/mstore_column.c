// SPDX-License-Identifier: Apache-2.0
// Columns of doubles in metric blocks: constant, decimals as integers, or raw.
//
// column = encoding u8, then
//   0 constant  one double
//   1 decimal   (files of version 1) exponent u8, then n zigzag varints: the first value and the
//               deltas, in units of 10^-exponent
//   2 raw       n doubles
//   3 packed    exponent u8, number of exceptions varint, per exception: distance of its place
//               from the place after the one before varint, double; then n integers
//               (mstore_ints.c) in units of 10^-exponent
// A decimal column reads back bit by bit: the writer checks every value.

#include "codec/varint.h"
#include "store/mstore_int.h"
#include <math.h>

enum { COL_CONSTANT = 0, COL_DECIMAL = 1, COL_RAW = 2, COL_PACKED = 3 };
#define EXPONENT_MAX 9
#define INTEGER_MAX 2251799813685248.0 // 2^51: what the fast conversion back can do
#define EXCEPTIONS_SHARE 16            // one of so many at most, else all are raw

static const double pow10_of[EXPONENT_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

static bool same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static bool fits(double v, unsigned exponent) {
    double scaled = nearbyint(v * pow10_of[exponent]);
    return fabs(scaled) < INTEGER_MAX &&
           same_bits((double)(int64_t)scaled / pow10_of[exponent], v); // also refuses −0
}

// ------------------------------------------------------------ writing

// The smallest exponent at which nearly every value is a whole number; −1 when there is none.
static int decimal_exponent(const double *v, uint32_t n) {
    unsigned e = 0, odd = 0;
    for (uint32_t i = 0; i < n; i++) {
        unsigned try = e;
        while (try <= EXPONENT_MAX && !fits(v[i], try))
            try++;
        if (try <= EXPONENT_MAX)
            e = try;
        else if (++odd > n / EXCEPTIONS_SHARE)
            return -1;
    }
    return (int)e;
}

static void put_raw(struct yg_buf *out, const double *v, uint32_t n) {
    yg_buf_putc(out, COL_RAW);
    yg_buf_put(out, v, n * sizeof(*v));
}

// False when too many values are no decimals; then nothing of use was written.
static bool put_packed(struct yg_buf *out, const double *v, uint32_t n, unsigned e,
                       int64_t *integers, uint32_t *places) {
    uint32_t odd = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (fits(v[i], e)) {
            integers[i] = (int64_t)nearbyint(v[i] * pow10_of[e]);
            continue;
        }
        integers[i] = i > 0 ? integers[i - 1] : 0;
        places[odd++] = i;
    }
    if (odd > n / EXCEPTIONS_SHARE)
        return false;
    yg_buf_putc(out, COL_PACKED);
    yg_buf_putc(out, (char)e);
    yg_put_varint(out, odd);
    for (uint32_t i = 0, next = 0; i < odd; i++) {
        yg_put_varint(out, places[i] - next);
        yg_buf_put(out, &v[places[i]], sizeof(*v));
        next = places[i] + 1;
    }
    yg_mints_put(out, integers, n);
    return true;
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
    size_t start = out->len;
    if (e >= 0) {
        int64_t *integers = yg_alloc(YG_MS_TAG, n * (sizeof(*integers) + sizeof(uint32_t)));
        if (!put_packed(out, v, n, (unsigned)e, integers, (uint32_t *)(void *)(integers + n)))
            e = -1;
        yg_free(YG_MS_TAG, integers);
    }
    if (e < 0 || (!out->failed && out->len - start > n * sizeof(*v))) {
        out->len = start;
        put_raw(out, v, n);
    }
}

// ------------------------------------------------------------ reading

// As yg_get_svarint; nearly all deltas are one byte.
static inline yg_rc get_delta(struct yg_cursor *c, int64_t *ret_delta, struct yg_err *err) {
    if (c->pos < c->in.len && (c->in.ptr[c->pos] & 0x80) == 0) {
        uint64_t raw = (unsigned char)c->in.ptr[c->pos++];
        *ret_delta = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
        return YG_OK;
    }
    return yg_get_svarint(c, ret_delta, err);
}

static yg_rc get_exponent(struct yg_cursor *c, unsigned *ret, struct yg_err *err) {
    yg_str e;
    YG_TRY(yg_get_bytes(c, 1, &e, err));
    *ret = (unsigned char)e.ptr[0];
    if (*ret > EXPONENT_MAX)
        return yg_fail(err, YG_ECORRUPT, "column: exponent %u", *ret);
    return YG_OK;
}

struct range {
    uint32_t from, to;
};

static yg_rc get_decimal(struct yg_cursor *c, double *v, uint32_t n, struct range want,
                         struct yg_err *err) {
    unsigned exponent;
    YG_TRY(get_exponent(c, &exponent, err));
    const double unit = pow10_of[exponent];
    int64_t now = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t delta;
        YG_TRY(get_delta(c, &delta, err));
        if (__builtin_add_overflow(now, delta, &now))
            return yg_fail(err, YG_ECORRUPT, "column: value %u leaves 64 bits", i);
        if (i >= want.from && i < want.to)
            v[i - want.from] = exponent == 0 ? (double)now : (double)now / unit;
    }
    return YG_OK;
}

struct filling {
    double *v;
    double unit;
};

// |x| < 2^51 as a double, without the conversion instruction that only newer processors have for
// several at a time.
static inline double small_double(int64_t x) {
    union {
        int64_t i;
        double d;
    } bits = {.i = (int64_t)((uint64_t)x + UINT64_C(0x4338000000000000))}; // 1.5 × 2^52 + x
    return bits.d - 6755399441055744.0;
}

static void fill(void *ctx, const int64_t *x, uint32_t n) {
    struct filling *f = ctx;
    double *v = f->v, unit = f->unit;
    f->v += n;
    if (unit > 1) {
        for (uint32_t i = 0; i < n; i++)
            v[i] = small_double(x[i]) / unit;
    } else {
        for (uint32_t i = 0; i < n; i++)
            v[i] = small_double(x[i]);
    }
}

static yg_rc get_packed(struct yg_cursor *c, double *v, uint32_t n, struct range want,
                        struct yg_err *err) {
    unsigned exponent;
    uint64_t odd;
    YG_TRY(get_exponent(c, &exponent, err));
    YG_TRY(yg_get_varint(c, &odd, err));
    struct yg_cursor exceptions = *c;
    yg_str bytes;
    uint64_t distance;
    if (odd > n)
        return yg_fail(err, YG_ECORRUPT, "column: %llu exceptions", (unsigned long long)odd);
    for (uint64_t i = 0; i < odd; i++) {
        YG_TRY(yg_get_varint(c, &distance, err));
        YG_TRY(yg_get_bytes(c, sizeof(*v), &bytes, err));
    }
    struct filling f = {.v = v, .unit = pow10_of[exponent]};
    if (!yg_mints_get(c->in, &c->pos, n, want.from, want.to, fill, &f))
        return yg_fail(err, YG_ECORRUPT, "column: packed values are damaged");
    uint64_t next = 0;
    for (uint64_t i = 0; i < odd; i++) {
        YG_TRY(yg_get_varint(&exceptions, &distance, err));
        YG_TRY(yg_get_bytes(&exceptions, sizeof(*v), &bytes, err));
        if (distance >= n - next)
            return yg_fail(err, YG_ECORRUPT, "column: exception past the end");
        next += distance;
        if (next >= want.from && next < want.to)
            memcpy(&v[next - want.from], bytes.ptr, sizeof(*v));
        next++;
    }
    return YG_OK;
}

yg_rc yg_mcol_get_range(yg_str in, size_t *at, double *v, uint32_t n, uint32_t from, uint32_t to,
                        struct yg_err *err) {
    struct yg_cursor c = {.in = in, .pos = *at};
    struct range want = {from, to};
    yg_str bytes;
    YG_TRY(yg_get_bytes(&c, 1, &bytes, err));
    switch (bytes.ptr[0]) {
    case COL_CONSTANT:
        YG_TRY(yg_get_bytes(&c, sizeof(*v), &bytes, err));
        for (uint32_t i = from; i < to; i++)
            memcpy(&v[i - from], bytes.ptr, sizeof(*v));
        break;
    case COL_DECIMAL:
        YG_TRY(get_decimal(&c, v, n, want, err));
        break;
    case COL_PACKED:
        YG_TRY(get_packed(&c, v, n, want, err));
        break;
    case COL_RAW:
        YG_TRY(yg_get_bytes(&c, n * sizeof(*v), &bytes, err));
        if (to > from)
            memcpy(v, bytes.ptr + from * sizeof(*v), (to - from) * sizeof(*v));
        break;
    default:
        return yg_fail(err, YG_ECORRUPT, "column: unknown encoding %d", bytes.ptr[0]);
    }
    *at = c.pos;
    return YG_OK;
}

yg_rc yg_mcol_get(yg_str in, size_t *at, double *v, uint32_t n, struct yg_err *err) {
    return yg_mcol_get_range(in, at, v, n, 0, n, err);
}
