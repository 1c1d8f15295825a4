// SPDX-License-Identifier: Apache-2.0
// DDSketch with the agents' mapping, so that sketches from clients and ours merge bin by bin.
//
// Key k > 0 stands for values around γ^(k − 1338) with γ = 1 + 2/128; rounding is to the nearest
// key, so a bin reaches half a key to both sides of its value. 1338 makes the key of the smallest
// value, 1e-9, the first. Negative values have the negative key, zero and what is smaller than 1e-9
// has key 0. Source: DataDog/opentelemetry-mapping-go pkg/quantile (config.go, sparse.go)
#include "codec/ddsketch.h"

#include <math.h>

#include "base/panic.h"
#include "codec/varint.h"

#define GAMMA 1.015625
#define GAMMA_LN 0.015504186535965254
#define BIAS 1338
#define KEY_INF 32767
#define VALUE_MIN 9.94185408912145e-10 // γ^(1 − 1338), the value of key 1: less counts as zero

void yg_sketch_fini(struct yg_sketch *s) {
    if (s == NULL)
        return;
    yg_free(s->tag, s->bins);
    *s = YG_SKETCH(s->tag);
}

void yg_sketch_reset(struct yg_sketch *s) {
    s->len = 0;
    s->count = 0;
    s->sum = 0;
    s->min = 0;
    s->max = 0;
}

// ln(size) / ln(γ) of a normal number, off by less than 2e-9: ln m = 2 artanh((m − 1) / (m + 1)).
static double key_near(double size) {
    uint64_t bits;
    memcpy(&bits, &size, sizeof(bits));
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0xfffffffffffff)) | UINT64_C(0x3ff0000000000000);
    double m;
    memcpy(&m, &bits, sizeof(m)); // 1 ≤ m < 2
    bool upper = m > M_SQRT2;     // then m / 2, so that the series converges fast
    m = upper ? m * 0.5 : m;
    double s = (m - 1) / (m + 1), z = s * s;
    double series = 1 + z * (1. / 3 + z * (1. / 5 + z * (1. / 7 + z * (1. / 9 + z * (1. / 11)))));
    return (double)(exponent + upper) * (M_LN2 / GAMMA_LN) + s * series * (2 / GAMMA_LN);
}

// Rounds half to even; the largest double has key 47116, beyond what an agent's key can be. The
// logarithm of the library is asked only where the near one lies close to the middle of two keys.
static double round_key(double size) {
    const double round = 6755399441055744.0; // 1.5 · 2^52: adding it leaves no fraction
    double near = key_near(size), whole = (near + round) - round;
    if (fabs(fabs(near - whole) - 0.5) < 1e-6)
        return nearbyint(log(size) / GAMMA_LN);
    return whole;
}

int32_t yg_sketch_key(double value) {
    double size = fabs(value);
    if (!(size >= VALUE_MIN)) // also NaN
        return 0;
    double exponent = isinf(size) ? KEY_INF : round_key(size);
    int32_t key = exponent + BIAS >= KEY_INF ? KEY_INF : (int32_t)exponent + BIAS;
    if (key < 1)
        key = 1;
    return value < 0 ? -key : key;
}

double yg_sketch_value(int32_t key) {
    if (key == 0)
        return 0;
    int32_t size = key < 0 ? -key : key;
    double value = size >= KEY_INF ? (double)INFINITY : pow(GAMMA, size - BIAS);
    return key < 0 ? -value : value;
}

// First bin whose key is not below `key`.
static uint32_t lower_bound(const struct yg_sketch *s, int32_t key) {
    uint32_t low = 0;
    uint32_t high = s->len;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (s->bins[mid].key < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

// The lowest bins become one when there are too many: high quantiles stay exact.
static void collapse(struct yg_sketch *s) {
    if (s->len <= YG_SKETCH_BINS_MAX)
        return;
    uint32_t extra = s->len - YG_SKETCH_BINS_MAX;
    double gathered = 0;
    for (uint32_t i = 0; i < extra; i++)
        gathered += s->bins[i].count;
    memmove(s->bins, s->bins + extra, sizeof(*s->bins) * (s->len - extra));
    s->len -= extra;
    s->bins[0].count += gathered;
}

void yg_sketch_add_bin(struct yg_sketch *s, int32_t key, double count) {
    if (!(count > 0) || !isfinite(count))
        return;
    uint32_t at = lower_bound(s, key);
    if (at < s->len && s->bins[at].key == key) {
        s->bins[at].count += count;
        return;
    }
    YG_GROW(s->tag, s->bins, s->len, s->cap);
    memmove(s->bins + at + 1, s->bins + at, sizeof(*s->bins) * (s->len - at));
    s->bins[at] = (struct yg_sketch_bin){.key = key, .count = count};
    s->len++;
    collapse(s);
}

static void add_summary(struct yg_sketch *s, double count, double sum, double min, double max) {
    if (!(count > 0))
        return;
    s->min = s->count > 0 && s->min < min ? s->min : min;
    s->max = s->count > 0 && s->max > max ? s->max : max;
    s->count += count;
    s->sum += sum;
}

void yg_sketch_add(struct yg_sketch *s, double value, double count) {
    if (isnan(value) || !(count > 0) || !isfinite(count))
        return;
    yg_sketch_add_bin(s, yg_sketch_key(value), count);
    add_summary(s, count, value * count, value, value);
}

void yg_sketch_merge(struct yg_sketch *into, const struct yg_sketch *from) {
    YG_ASSERT(into != from);
    add_summary(into, from->count, from->sum, from->min, from->max);
    if (from->len == 0)
        return;
    uint32_t need = into->len + from->len;
    if (into->cap < need) {
        into->cap = need;
        into->bins = yg_realloc(into->tag, into->bins, sizeof(*into->bins) * need);
    }
    // From behind, so that the merge needs no second array; equal keys leave a gap at the front.
    uint32_t i = into->len;
    uint32_t k = from->len;
    uint32_t out = need;
    while (k > 0) {
        if (i > 0 && into->bins[i - 1].key > from->bins[k - 1].key) {
            into->bins[--out] = into->bins[--i];
        } else if (i > 0 && into->bins[i - 1].key == from->bins[k - 1].key) {
            struct yg_sketch_bin sum = into->bins[--i];
            sum.count += from->bins[--k].count;
            into->bins[--out] = sum;
        } else {
            into->bins[--out] = from->bins[--k];
        }
    }
    if (out > i) // bins [0, i) are in place already
        memmove(into->bins + i, into->bins + out, sizeof(*into->bins) * (need - out));
    into->len = need - (out - i);
    collapse(into);
}

static double clamp(const struct yg_sketch *s, double v) {
    if (!(s->count > 0))
        return v;
    return v < s->min ? s->min : v > s->max ? s->max : v;
}

double yg_sketch_quantile(const struct yg_sketch *s, double q) {
    if (s->len == 0)
        return s->count > 0 ? clamp(s, s->sum / s->count) : (double)NAN;
    if (s->count > 0 && q <= 0)
        return s->min;
    if (s->count > 0 && q >= 1)
        return s->max;
    double total = 0;
    for (uint32_t i = 0; i < s->len; i++)
        total += s->bins[i].count;
    double rank = nearbyint(q * (total - 1));
    double seen = 0;
    for (uint32_t i = 0; i < s->len; i++) {
        const struct yg_sketch_bin *bin = &s->bins[i];
        seen += bin->count;
        if (seen <= rank && i + 1 < s->len)
            continue;
        double weight = (seen - rank) / bin->count;
        if (weight > 1)
            weight = 1;
        if (weight < 0)
            weight = 0;
        double low = yg_sketch_value(bin->key);
        double high = isinf(low) ? low : low * GAMMA;
        if (i == 0 && s->count > 0)
            low = s->min;
        if (isinf(low) || isinf(high))
            return clamp(s, low);
        return clamp(s, low * weight + high * (1 - weight));
    }
    return (double)NAN; // not reached: the last bin always answers
}

// --- stored form: varint bins; then per bin svarint key delta, count; then count, sum, min, max.
// A count is varint(n << 1) when it is whole and below 2^53, else varint 1 and the double's bits.

static void put_count(struct yg_buf *out, double count) {
    if (count >= 0 && count < 9007199254740992.0 && count == floor(count)) {
        yg_put_varint(out, (uint64_t)count << 1);
        return;
    }
    uint64_t bits;
    memcpy(&bits, &count, sizeof(bits));
    yg_put_varint(out, 1);
    yg_put_u64(out, bits);
}

static void put_f64(struct yg_buf *out, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    yg_put_u64(out, bits);
}

void yg_sketch_encode(const struct yg_sketch *s, struct yg_buf *out) {
    yg_put_varint(out, s->len);
    int32_t before = 0;
    for (uint32_t i = 0; i < s->len; i++) {
        yg_put_svarint(out, (int64_t)s->bins[i].key - before);
        put_count(out, s->bins[i].count);
        before = s->bins[i].key;
    }
    put_count(out, s->count);
    put_f64(out, s->sum);
    put_f64(out, s->min);
    put_f64(out, s->max);
}

static yg_rc get_f64(struct yg_cursor *c, double *ret_value, struct yg_err *err) {
    uint64_t bits;
    YG_TRY(yg_get_u64(c, &bits, err));
    memcpy(ret_value, &bits, sizeof(bits));
    return YG_OK;
}

static yg_rc get_count(struct yg_cursor *c, double *ret_count, struct yg_err *err) {
    uint64_t v;
    size_t at = c->pos;
    YG_TRY(yg_get_varint(c, &v, err));
    double count = (double)(v >> 1);
    if (v & 1)
        YG_TRY(get_f64(c, &count, err));
    if (!isfinite(count) || count < 0)
        return yg_fail(err, YG_ECORRUPT, "sketch count at byte %zu is no count", at);
    *ret_count = count;
    return YG_OK;
}

static yg_rc get_bins(struct yg_cursor *c, struct yg_sketch *out, struct yg_err *err) {
    uint64_t len;
    YG_TRY(yg_get_varint(c, &len, err));
    if (len > YG_SKETCH_BINS_MAX || len * 2 > c->in.len - c->pos)
        return yg_fail(err, YG_ECORRUPT, "sketch of %llu bins at byte %zu", (unsigned long long)len,
                       c->pos);
    if (out->cap < len) {
        out->cap = (uint32_t)len;
        out->bins = yg_realloc(out->tag, out->bins, sizeof(*out->bins) * out->cap);
    }
    int64_t key = 0;
    for (uint32_t i = 0; i < len; i++) {
        int64_t delta;
        size_t at = c->pos;
        YG_TRY(yg_get_svarint(c, &delta, err));
        bool ordered = delta >= -2 * KEY_INF && delta <= 2 * KEY_INF && (i == 0 || delta > 0);
        key = ordered ? key + delta : 0;
        if (!ordered || key < -KEY_INF || key > KEY_INF)
            return yg_fail(err, YG_ECORRUPT, "sketch key at byte %zu out of order", at);
        out->bins[i].key = (int32_t)key;
        YG_TRY(get_count(c, &out->bins[i].count, err));
        out->len = i + 1;
    }
    return YG_OK;
}

yg_rc yg_sketch_decode(yg_str in, size_t *at, struct yg_sketch *out, struct yg_err *err) {
    struct yg_cursor c = {.in = in, .pos = *at};
    YG_ASSERT(c.pos <= in.len);
    yg_sketch_reset(out);
    yg_rc rc = get_bins(&c, out, err);
    if (rc == YG_OK)
        rc = get_count(&c, &out->count, err);
    if (rc == YG_OK)
        rc = get_f64(&c, &out->sum, err);
    if (rc == YG_OK)
        rc = get_f64(&c, &out->min, err);
    if (rc == YG_OK)
        rc = get_f64(&c, &out->max, err);
    if (rc != YG_OK) {
        yg_sketch_reset(out);
        return rc;
    }
    *at = c.pos;
    return YG_OK;
}
