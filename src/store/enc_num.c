// SPDX-License-Identifier: Apache-2.0
// Doubles, and 128-bit ids with their repeats.
//
// A double is decimal when the nearest integer to v · 10^k, divided by 10^k, is v bit for bit: so
// are nearly all measured values that people's programs send. The smallest k that suits a sample is
// taken for the chunk; what it does not suit stands as an exception.
#include "store/enc_part.h"

#include "base/hash.h"
#include "base/panic.h"

#define EXPONENT_MAX 14
#define SAMPLE 32u
#define WHOLE_MAX 2251799813685248.0      // 2^51
#define ROUNDING_SHIFT 6755399441055744.0 // 2^52 + 2^51: adding it rounds to whole numbers

static const double powers[EXPONENT_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                                1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};

static inline bool decimal(double v, double power, int64_t *ret_whole) {
    double scaled = v * power;
    if (!(scaled >= -WHOLE_MAX && scaled <= WHOLE_MAX))
        return false;
    double whole = (scaled + ROUNDING_SHIFT) - ROUNDING_SHIFT, back = whole / power;
    *ret_whole = (int64_t)whole;
    back = *ret_whole == 0 ? 0.0 : back; // never −0
    return memcmp(&back, &v, sizeof(v)) == 0;
}

// Smallest exponent for most of a sample; −1: none.
static int pick_exponent(const double *v, uint32_t n) {
    uint32_t sample = n < SAMPLE ? n : SAMPLE, fit[EXPONENT_MAX + 1] = {0}, sum = 0;
    for (uint32_t i = 0; i < sample; i++) {
        int64_t whole;
        double x = v[(uint64_t)i * n / sample];
        for (int k = 0; k <= EXPONENT_MAX; k++)
            if (decimal(x, powers[k], &whole)) {
                fit[k]++;
                sum++;
                break;
            }
    }
    if (sum * 8 < sample * 7)
        return -1;
    uint32_t seen = 0;
    for (int k = 0; k <= EXPONENT_MAX; k++) {
        seen += fit[k];
        if ((sum - seen) * 16 <= sum)
            return k;
    }
    return -1;
}

static bool put_decimal(const double *v, uint32_t n, struct yg_buf *out) {
    int k = pick_exponent(v, n);
    if (k < 0)
        return false;
    int64_t *whole = yg_alloc(YG_MEM_STORE, sizeof(*whole) * n);
    uint32_t *at = yg_alloc(YG_MEM_STORE, sizeof(*at) * n);
    uint32_t exceptions = 0;
    int64_t last = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (decimal(v[i], powers[k], &whole[i]))
            last = whole[i];
        else {
            whole[i] = last;
            at[exceptions++] = i;
        }
    }
    bool ok = exceptions <= n / 4;
    if (ok) {
        yg_buf_putc(out, (char)k);
        yg_ints_put(out, whole, n, false);
        yg_put_varint(out, exceptions);
        if (exceptions)
            yg_ints_put_u32(out, at, exceptions, false);
        for (uint32_t i = 0; i < exceptions; i++)
            yg_buf_put(out, &v[at[i]], 8);
    }
    yg_free(YG_MEM_STORE, whole);
    yg_free(YG_MEM_STORE, at);
    return ok;
}

uint8_t yg_enc_put_f64(const double *v, uint32_t n, bool quick, struct yg_buf *out) {
    size_t before = out->len;
    if (!quick && put_decimal(v, n, out)) {
        if (out->len - before < 8 * (size_t)n)
            return YG_ENC_F64_DECIMAL;
        out->len = before;
    }
    int64_t *bits = yg_alloc(YG_MEM_STORE, sizeof(*bits) * n);
    memcpy(bits, v, 8 * (size_t)n);
    yg_ints_put(out, bits, n, quick);
    yg_free(YG_MEM_STORE, bits);
    return YG_ENC_F64_BITS;
}

// ------------------------------------------------------------ repeats

#define SLOTS (2 * YG_GRANULE_ROWS)

static inline bool note_ref(struct yg_enc_dedupe *d, uint32_t slot, uint32_t i, uint32_t hash,
                            uint32_t max) {
    if (d->slots[slot]) {
        d->refs[i] = d->count - (d->slots[slot] - 1);
        return true;
    }
    if (d->count == max)
        return false;
    d->hashes[d->count] = hash;
    d->first[d->count] = i;
    d->slots[slot] = ++d->count;
    d->refs[i] = 0;
    return true;
}

bool yg_enc_dedupe_strs(struct yg_enc_dedupe *d, const yg_str *strs, uint32_t n, uint32_t max) {
    YG_ASSERT(n <= YG_GRANULE_ROWS);
    memset(d->slots, 0, sizeof(*d->slots) * SLOTS);
    d->count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t hash = (uint32_t)yg_hash_str(strs[i]), slot = hash & (SLOTS - 1);
        for (; d->slots[slot]; slot = (slot + 1) & (SLOTS - 1)) {
            uint32_t k = d->slots[slot] - 1;
            if (d->hashes[k] == hash && yg_str_eq(strs[d->first[k]], strs[i]))
                break;
        }
        if (!note_ref(d, slot, i, hash, max))
            return false;
    }
    return true;
}

bool yg_enc_dedupe_ids(struct yg_enc_dedupe *d, const yg_id128 *ids, uint32_t n, uint32_t max) {
    YG_ASSERT(n <= YG_GRANULE_ROWS);
    memset(d->slots, 0, sizeof(*d->slots) * SLOTS);
    d->count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t hash = (uint32_t)yg_hash_u64(ids[i].lo ^ ids[i].hi * 3);
        uint32_t slot = hash & (SLOTS - 1);
        while (d->slots[slot] && !yg_id128_eq(ids[d->first[d->slots[slot] - 1]], ids[i]))
            slot = (slot + 1) & (SLOTS - 1);
        if (!note_ref(d, slot, i, hash, max))
            return false;
    }
    return true;
}

// distinct · references where some repeat · high halves · low halves of the distinct.
uint8_t yg_enc_put_ids(struct yg_encoder *e, const yg_id128 *ids, uint32_t n, struct yg_buf *out) {
    bool quick = e->level == YG_ENC_LEVEL_PLAIN;
    uint32_t distinct = n;
    if (!quick && yg_enc_dedupe_ids(&e->dedupe, ids, n, n / 8 * 7))
        distinct = e->dedupe.count;
    yg_put_varint(out, distinct);
    if (distinct < n)
        yg_ints_put_u32(out, e->dedupe.refs, n, false);
    int64_t *half = yg_alloc(YG_MEM_STORE, sizeof(*half) * distinct * 2);
    for (uint32_t i = 0; i < distinct; i++) {
        yg_id128 id = ids[distinct < n ? e->dedupe.first[i] : i];
        half[i] = (int64_t)id.hi;
        half[distinct + i] = (int64_t)id.lo;
    }
    yg_ints_put(out, half, distinct, quick);
    yg_ints_put(out, half + distinct, distinct, quick);
    yg_free(YG_MEM_STORE, half);
    return YG_ENC_IDS;
}
