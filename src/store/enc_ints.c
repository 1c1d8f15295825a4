// SPDX-License-Identifier: Apache-2.0
// Streams of integers: the kind is chosen on a sample of blocks, the blocks are packed with
// exceptions. All arithmetic is modulo 2^64.
//
// A block has a base and a width; values that do not fit are exceptions: their low bits stand with
// the others, what is above (signed where one lies below the base) in a list behind. Width and base
// are those of least bytes, from a histogram of the widths.
#include "store/enc_ints.h"

#include "base/panic.h"

#define SAMPLE_BLOCKS 6u
#define OUTLIER_WIDTH 6u // narrower blocks are not looked at for low outliers
#define DICT_MAX 256u    // distinct values of a DICT stream
#define DICT_SLOTS 1024u
#define DICT_SAMPLE 128u
#define DEPTH_MAX 4u       // streams within streams
#define F_EXCEPTIONS 0x80u // of a block's width
#define F_SIGNED 0x80u     // of its exceptions' width

static inline uint64_t zigzag(int64_t v) {
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v) {
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}
static inline uint32_t varint_bytes(uint64_t v) {
    return (yg_width_of(v | 1) + 6) / 7;
}

// ------------------------------------------------------------ a block

struct block_plan {
    uint64_t base;
    uint32_t width;
    uint32_t ex_count;
    uint32_t ex_width;
    bool ex_signed;
    uint32_t bytes; // without head and base
};

// Best width for v − base.
static void plan_width(const int64_t *v, uint32_t m, uint64_t base, struct block_plan *p) {
    uint16_t hist[65] = {0};
    int64_t min = 0, max = 0;
    uint32_t below = 0;
    for (uint32_t i = 0; i < m; i++) {
        int64_t x = (int64_t)((uint64_t)v[i] - base);
        hist[yg_width_of((uint64_t)x)]++;
        min = x < min ? x : min;
        max = x > max ? x : max;
    }
    // Where the range passes 63 bits some differences look negative; then only exact fits count.
    below = min < 0 ? hist[64] : 0;
    uint32_t top = yg_width_of((uint64_t)max), ex = below;
    *p = (struct block_plan){.base = base, .width = 64, .bytes = (uint32_t)yg_packed_bytes(m, 64)};
    for (uint32_t w = top; ex <= m / 4; ex += hist[w], w--) {
        uint32_t bytes = (uint32_t)yg_packed_bytes(m, w), ex_width = 0;
        if (ex > 0) {
            uint64_t high = below ? zigzag(max >> w) : (uint64_t)max >> w;
            uint64_t low = below ? zigzag(min >> w) : 0;
            ex_width = yg_width_of(high > low ? high : low);
            bytes += 2 + ex + (uint32_t)yg_packed_bytes(ex, ex_width);
        }
        if (bytes < p->bytes)
            *p = (struct block_plan){base, w, ex, ex_width, below > 0, bytes};
        if (w == 0)
            break;
    }
}

// Is the lowest part an outlier? Then a base above it may be better: the least of the values that
// are not far below the lower eighth.
static bool higher_base(const int64_t *v, uint32_t m, int64_t min, uint64_t range,
                        int64_t *ret_base) {
    int64_t s[16];
    uint32_t n = 0;
    if (m < 32 || yg_width_of(range) < OUTLIER_WIDTH || range > INT64_MAX)
        return false;
    for (uint32_t i = 0; i < 16; i++) {
        int64_t x = v[i * m / 16];
        for (n = i; n > 0 && s[n - 1] > x; n--)
            s[n] = s[n - 1];
        s[n] = x;
    }
    int64_t spread = s[12] - s[3];
    if (yg_width_of((uint64_t)spread) + 2 >= yg_width_of(range) || s[3] - min <= 2 * spread)
        return false;
    int64_t floor = s[3] - spread - (spread >> 1), base = s[3];
    for (uint32_t i = 0; i < m; i++)
        if (v[i] >= floor && v[i] < base)
            base = v[i];
    *ret_base = base;
    return base > min;
}

static void plan_block(const int64_t *v, uint32_t m, struct block_plan *p) {
    int64_t min = v[0], max = v[0], base;
    for (uint32_t i = 1; i < m; i++) {
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
    }
    uint64_t range = (uint64_t)max - (uint64_t)min;
    uint32_t top = yg_width_of(range), high = 0;
    if (range == 0) {
        *p = (struct block_plan){.base = (uint64_t)min};
        return;
    }
    for (uint32_t i = 0; i < m; i++) // many that need the whole width: no exceptions
        high += ((uint64_t)v[i] - (uint64_t)min) >> (top - 1) != 0;
    if (high * 8 > m) {
        *p = (struct block_plan){
            .base = (uint64_t)min, .width = top, .bytes = (uint32_t)yg_packed_bytes(m, top)};
        if (top < OUTLIER_WIDTH || high * 4 < m * 3)
            return; // else few low ones may set the base
    }
    if (range > INT64_MAX) {
        *p = (struct block_plan){
            .base = (uint64_t)min, .width = 64, .bytes = (uint32_t)yg_packed_bytes(m, 64)};
        return;
    }
    if (high * 8 <= m)
        plan_width(v, m, (uint64_t)min, p);
    if (higher_base(v, m, min, range, &base)) {
        struct block_plan other;
        plan_width(v, m, (uint64_t)base, &other);
        if (other.bytes < p->bytes)
            *p = other;
    }
}

static uint32_t block_bytes(const struct block_plan *p, uint64_t last_base) {
    return 1 + varint_bytes(zigzag((int64_t)(p->base - last_base))) + p->bytes;
}

static void put_block(struct yg_buf *out, const int64_t *v, uint32_t m, uint64_t *last_base) {
    struct block_plan p;
    plan_block(v, m, &p);
    yg_buf_putc(out, (char)(p.width | (p.ex_count ? F_EXCEPTIONS : 0)));
    yg_put_svarint(out, (int64_t)(p.base - *last_base));
    *last_base = p.base;
    if (p.width == 0 && p.ex_count == 0)
        return;
    uint64_t x[YG_PACK_BLOCK], high[YG_PACK_BLOCK];
    unsigned char at[YG_PACK_BLOCK];
    char bits[YG_PACK_BLOCK * 8 + 8];
    for (uint32_t i = 0; i < m; i++)
        x[i] = (uint64_t)v[i] - p.base;
    yg_pack_bits(bits, x, m, p.width);
    yg_buf_put(out, bits, yg_packed_bytes(m, p.width));
    if (p.ex_count == 0)
        return;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m; i++)
        if (yg_width_of(x[i]) > p.width) {
            at[n] = (unsigned char)i;
            high[n++] = p.ex_signed ? zigzag((int64_t)x[i] >> p.width) : x[i] >> p.width;
        }
    YG_ASSERT(n == p.ex_count);
    yg_buf_putc(out, (char)n);
    yg_buf_putc(out, (char)(p.ex_width | (p.ex_signed ? F_SIGNED : 0)));
    yg_buf_put(out, at, n);
    yg_pack_bits(bits, high, n, p.ex_width);
    yg_buf_put(out, bits, yg_packed_bytes(n, p.ex_width));
}

static bool take(struct yg_cursor *c, size_t bytes, const char **ret_ptr) {
    if (c->in.len - c->pos < bytes)
        return false;
    *ret_ptr = c->in.ptr + c->pos;
    c->pos += bytes;
    return true;
}

static bool get_exceptions(struct yg_cursor *c, uint64_t *x, uint32_t m, uint32_t width) {
    const char *p, *bits;
    if (!take(c, 2, &p))
        return false;
    uint32_t n = (uint8_t)p[0], ex_width = (uint8_t)p[1] & ~F_SIGNED;
    bool is_signed = (uint8_t)p[1] & F_SIGNED;
    uint64_t high[YG_PACK_BLOCK];
    if (n > m || ex_width > 64 || width >= 64 || !take(c, n, &p) ||
        !take(c, yg_packed_bytes(n, ex_width), &bits))
        return false;
    yg_unpack_bits(bits, high, n, ex_width);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint8_t)p[i];
        if (at >= m)
            return false;
        x[at] += (is_signed ? (uint64_t)unzigzag(high[i]) : high[i]) << width;
    }
    return true;
}

// One block without its base; *ret_base is what to add.
static bool get_block(struct yg_cursor *c, uint64_t *x, uint32_t m, uint64_t *last_base) {
    const char *p, *bits;
    int64_t step;
    if (!take(c, 1, &p) || yg_get_svarint(c, &step, NULL) != YG_OK)
        return false;
    uint32_t head = (uint8_t)*p, width = head & ~F_EXCEPTIONS;
    *last_base += (uint64_t)step;
    if (width > 64 || !take(c, yg_packed_bytes(m, width), &bits))
        return false;
    yg_unpack_bits(bits, x, m, width);
    return !(head & F_EXCEPTIONS) || get_exceptions(c, x, m, width);
}

static void put_blocks(struct yg_buf *out, const int64_t *v, uint32_t n) {
    uint64_t base = 0;
    for (uint32_t i = 0; i < n; i += YG_PACK_BLOCK)
        put_block(out, v + i, n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK, &base);
}

static bool get_blocks(struct yg_cursor *c, int64_t *out, uint32_t n) {
    uint64_t base = 0, x[YG_PACK_BLOCK];
    for (uint32_t i = 0; i < n; i += YG_PACK_BLOCK) {
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        if (!get_block(c, x, m, &base))
            return false;
        for (uint32_t k = 0; k < m; k++)
            out[i + k] = (int64_t)(x[k] + base);
    }
    return true;
}

// ------------------------------------------------------------ choice

// Differences of a part: order 0 (none), 1, 2. v[−order] … must exist.
static void differences(const int64_t *v, int64_t *d, uint32_t n, uint32_t order) {
    for (uint32_t i = 0; i < n; i++) {
        const int64_t *x = v + i;
        uint64_t y = (uint64_t)x[0];
        if (order >= 1)
            y -= (uint64_t)x[-1];
        if (order == 2)
            y -= (uint64_t)x[-1] - (uint64_t)x[-2];
        d[i] = (int64_t)y;
    }
}

struct choice {
    uint32_t order;
    uint64_t bytes; // of the whole stream, by the sample
};

static struct choice choose_order(const int64_t *v, uint32_t n, bool quick) {
    struct choice best = {0, UINT64_MAX};
    uint32_t blocks = (n + YG_PACK_BLOCK - 1) / YG_PACK_BLOCK;
    uint32_t step = blocks > SAMPLE_BLOCKS ? blocks / SAMPLE_BLOCKS : 1;
    for (uint32_t order = 0; order <= (quick ? 0u : 2u) && order < n; order++) {
        uint64_t bytes = order * 4, base = 0, values = 0;
        for (uint32_t b = 0; b < blocks; b += step) {
            int64_t d[YG_PACK_BLOCK];
            struct block_plan p;
            uint32_t from = b * YG_PACK_BLOCK,
                     to = from + YG_PACK_BLOCK < n ? from + YG_PACK_BLOCK : n;
            from = from < order ? order : from;
            if (from >= to)
                continue;
            differences(v + from, d, to - from, order);
            plan_block(d, to - from, &p);
            bytes += b == 0 ? 1 + p.bytes : block_bytes(&p, base);
            base = p.base;
            values += to - from;
        }
        bytes = values ? bytes * n / values : bytes;
        if (bytes < best.bytes)
            best = (struct choice){order, bytes};
    }
    return best;
}

static void put_depth(struct yg_buf *out, const int64_t *v, uint32_t n, bool quick, uint32_t depth);

static uint32_t count_runs(const int64_t *v, uint32_t n) {
    uint32_t runs = 1;
    for (uint32_t i = 1; i < n; i++)
        runs += v[i] != v[i - 1];
    return runs;
}

static void put_runs(struct yg_buf *out, const int64_t *v, uint32_t n, uint32_t runs,
                     uint32_t depth) {
    int64_t *values = yg_alloc(YG_MEM_STORE, sizeof(*values) * runs * 2);
    int64_t *lengths = values + runs;
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; k++) {
        uint32_t from = i++;
        while (i < n && v[i] == v[from])
            i++;
        values[k] = v[from];
        lengths[k] = i - from;
    }
    YG_ASSERT(k == runs);
    yg_buf_putc(out, YG_INTS_RUNS);
    yg_put_varint(out, runs);
    put_depth(out, values, runs, false, depth + 1);
    put_depth(out, lengths, runs, false, depth + 1);
    yg_free(YG_MEM_STORE, values);
}

struct dict {
    int64_t keys[DICT_SLOTS];
    uint16_t codes[DICT_SLOTS]; // + 1
    int64_t values[DICT_MAX];
    uint32_t count;
};

// Code of v; DICT_MAX when there are too many.
static inline uint32_t dict_code(struct dict *d, int64_t v) {
    uint32_t at = (uint32_t)((uint64_t)v * 0x9e3779b97f4a7c15u >> 54);
    while (d->codes[at] && d->keys[at] != v)
        at = (at + 1) & (DICT_SLOTS - 1);
    if (d->codes[at])
        return d->codes[at] - 1u;
    if (d->count == DICT_MAX)
        return DICT_MAX;
    d->keys[at] = v;
    d->values[d->count] = v;
    d->codes[at] = (uint16_t)++d->count;
    return d->count - 1;
}

// Few distinct values? Nothing is written when that does not pay.
static bool put_dict(struct yg_buf *out, const int64_t *v, uint32_t n, uint64_t limit_bytes,
                     uint32_t depth) {
    struct dict d;
    d.count = 0;
    memset(d.codes, 0, sizeof(d.codes));
    uint32_t sample = n < DICT_SAMPLE ? n : DICT_SAMPLE;
    for (uint32_t i = 0; i < sample; i++)
        (void)dict_code(&d, v[(uint64_t)i * n / sample]);
    uint64_t guess = (uint64_t)n * yg_width_of(d.count - 1) / 8 + 2 * d.count;
    if (d.count > DICT_SAMPLE / 2 || guess + guess / 3 >= limit_bytes)
        return false;
    int64_t *codes = yg_alloc(YG_MEM_STORE, sizeof(*codes) * n);
    uint32_t code = 0;
    for (uint32_t i = 0; i < n && code < DICT_MAX; i++)
        codes[i] = code = dict_code(&d, v[i]);
    size_t before = out->len;
    if (code < DICT_MAX) {
        yg_buf_putc(out, YG_INTS_DICT);
        yg_put_varint(out, d.count);
        put_depth(out, d.values, d.count, true, depth + 1);
        put_depth(out, codes, n, false, depth + 1);
        if (out->len - before >= limit_bytes)
            out->len = before;
    }
    yg_free(YG_MEM_STORE, codes);
    return out->len > before;
}

// v / f for every value; false at the first that is no multiple. Inlined with a constant f, so that
// no division is left.
__attribute__((always_inline)) static inline bool divide(const int64_t *v, int64_t *q, uint32_t n,
                                                         int64_t f) {
    for (uint32_t i = 0; i < n; i++) {
        q[i] = v[i] / f;
        if (q[i] * f != v[i])
            return false;
    }
    return true;
}

// Times in whole milliseconds, sizes in whole megabytes …: their common factor, else 0.
static uint32_t common_factor(const int64_t *v, int64_t *q, uint32_t n) {
    uint32_t some = n < 4 ? n : 4;
    if (!divide(v, q, some, 4))
        return 0;
    if (divide(v, q, some, 1000)) {
        if (divide(v, q, some, 1000000)) {
            if (divide(v, q, some, 1000000000) && divide(v, q, n, 1000000000))
                return 1000000000;
            if (divide(v, q, n, 1000000))
                return 1000000;
        }
        if (divide(v, q, n, 1000))
            return 1000;
    }
    if (divide(v, q, some, 1 << 20) && divide(v, q, n, 1 << 20))
        return 1 << 20;
    return divide(v, q, some, 1024) && divide(v, q, n, 1024) ? 1024 : 0;
}

// Nothing is written when there is no common factor.
static bool put_scaled(struct yg_buf *out, const int64_t *v, uint32_t n, uint32_t depth) {
    int64_t *q = yg_alloc(YG_MEM_STORE, sizeof(*q) * n);
    uint32_t factor = common_factor(v, q, n);
    if (factor) {
        yg_buf_putc(out, YG_INTS_SCALED);
        yg_put_varint(out, factor);
        put_depth(out, q, n, false, depth + 1);
    }
    yg_free(YG_MEM_STORE, q);
    return factor != 0;
}

static void put_order(struct yg_buf *out, const int64_t *v, uint32_t n, uint32_t order) {
    yg_buf_putc(out, (char)(YG_INTS_FOR + order));
    if (order == 0) {
        put_blocks(out, v, n);
        return;
    }
    yg_put_svarint(out, v[0]);
    if (order == 2)
        yg_put_svarint(out, (int64_t)((uint64_t)v[1] - (uint64_t)v[0]));
    uint64_t base = 0;
    for (uint32_t i = order; i < n; i += YG_PACK_BLOCK) {
        int64_t d[YG_PACK_BLOCK];
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        differences(v + i, d, m, order);
        put_block(out, d, m, &base);
    }
}

static void put_depth(struct yg_buf *out, const int64_t *v, uint32_t n, bool quick,
                      uint32_t depth) {
    uint32_t runs = count_runs(v, n);
    if (runs == 1) {
        yg_buf_putc(out, YG_INTS_CONST);
        yg_put_svarint(out, v[0]);
        return;
    }
    bool may_nest = !quick && depth + 1 < DEPTH_MAX && n >= 8;
    struct choice c = choose_order(v, n, quick);
    if (may_nest && runs < n / 4) {
        size_t before = out->len;
        put_runs(out, v, n, runs, depth);
        if (out->len - before < c.bytes)
            return;
        out->len = before;
    }
    if (may_nest && c.bytes > n / 2) {
        if (put_scaled(out, v, n, depth) || put_dict(out, v, n, c.bytes, depth))
            return;
    }
    size_t before = out->len;
    if (c.bytes < 8 * (uint64_t)n)
        put_order(out, v, n, c.order);
    if (out->len == before || out->len - before > 8 * (size_t)n) {
        out->len = before;
        yg_buf_putc(out, YG_INTS_RAW);
        yg_buf_put(out, v, 8 * (size_t)n);
    }
}

void yg_ints_put(struct yg_buf *out, const int64_t *v, uint32_t n, bool quick) {
    put_depth(out, v, n, quick, 0);
}

void yg_ints_put_u32(struct yg_buf *out, const uint32_t *v, uint32_t n, bool quick) {
    int64_t *wide = yg_alloc(YG_MEM_STORE, sizeof(*wide) * n);
    for (uint32_t i = 0; i < n; i++)
        wide[i] = v[i];
    put_depth(out, wide, n, quick, 0);
    yg_free(YG_MEM_STORE, wide);
}

// ------------------------------------------------------------ reading

static bool get_depth(struct yg_cursor *c, int64_t *out, uint32_t n, uint32_t depth);

#define RUN_STEP 8u // values of a short run are written at once

static bool get_runs(struct yg_cursor *c, int64_t *out, uint32_t n, uint32_t depth) {
    uint64_t runs;
    if (yg_get_varint(c, &runs, NULL) != YG_OK || runs == 0 || runs > n)
        return false;
    int64_t *values = yg_alloc(YG_MEM_STORE, sizeof(*values) * runs * 2);
    int64_t *lengths = values + runs;
    bool ok = get_depth(c, values, (uint32_t)runs, depth + 1) &&
              get_depth(c, lengths, (uint32_t)runs, depth + 1);
    uint32_t done = 0;
    for (uint32_t r = 0; ok && r < runs; r++) {
        ok = lengths[r] >= 0 && lengths[r] <= n - done;
        if (!ok)
            break;
        uint32_t len = (uint32_t)lengths[r];
        int64_t *to = out + done;
        done += len;
        if (len <= RUN_STEP && n - (uint32_t)(to - out) >= RUN_STEP) {
            for (uint32_t i = 0; i < RUN_STEP; i++) // what is too much is written over
                to[i] = values[r];
            continue;
        }
        for (uint32_t i = 0; i < len; i++)
            to[i] = values[r];
    }
    yg_free(YG_MEM_STORE, values);
    return ok && done == n;
}

static bool get_dict(struct yg_cursor *c, int64_t *out, uint32_t n, uint32_t depth) {
    uint64_t count;
    int64_t values[DICT_MAX];
    if (yg_get_varint(c, &count, NULL) != YG_OK || count == 0 || count > DICT_MAX ||
        !get_depth(c, values, (uint32_t)count, depth + 1) || !get_depth(c, out, n, depth + 1))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if ((uint64_t)out[i] >= count)
            return false;
        out[i] = values[out[i]];
    }
    return true;
}

static bool get_scaled(struct yg_cursor *c, int64_t *out, uint32_t n, uint32_t depth) {
    uint64_t factor;
    if (yg_get_varint(c, &factor, NULL) != YG_OK || !get_depth(c, out, n, depth + 1))
        return false;
    for (uint32_t i = 0; i < n; i++)
        out[i] = (int64_t)((uint64_t)out[i] * factor);
    return true;
}

static bool get_delta(struct yg_cursor *c, int64_t *out, uint32_t n, uint32_t order) {
    int64_t first, step = 0;
    if (n < order || yg_get_svarint(c, &first, NULL) != YG_OK ||
        (order == 2 && yg_get_svarint(c, &step, NULL) != YG_OK))
        return false;
    out[0] = first;
    if (order == 2)
        out[1] = (int64_t)((uint64_t)first + (uint64_t)step);
    uint64_t base = 0, x[YG_PACK_BLOCK], sum = (uint64_t)out[order - 1], slope = (uint64_t)step;
    for (uint32_t i = order; i < n; i += YG_PACK_BLOCK) {
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        if (!get_block(c, x, m, &base))
            return false;
        if (order == 1) {
            for (uint32_t k = 0; k < m; k++)
                out[i + k] = (int64_t)(sum += x[k] + base);
        } else {
            for (uint32_t k = 0; k < m; k++)
                out[i + k] = (int64_t)(sum += slope += x[k] + base);
        }
    }
    return true;
}

static bool get_depth(struct yg_cursor *c, int64_t *out, uint32_t n, uint32_t depth) {
    const char *p;
    int64_t one;
    if (depth >= DEPTH_MAX || !take(c, 1, &p))
        return false;
    switch ((uint8_t)*p) {
    case YG_INTS_CONST:
        if (yg_get_svarint(c, &one, NULL) != YG_OK)
            return false;
        for (uint32_t i = 0; i < n; i++)
            out[i] = one;
        return true;
    case YG_INTS_RAW:
        if (!take(c, 8 * (size_t)n, &p))
            return false;
        memcpy(out, p, 8 * (size_t)n);
        return true;
    case YG_INTS_FOR:
        return get_blocks(c, out, n);
    case YG_INTS_DELTA:
        return get_delta(c, out, n, 1);
    case YG_INTS_DELTA2:
        return get_delta(c, out, n, 2);
    case YG_INTS_RUNS:
        return get_runs(c, out, n, depth);
    case YG_INTS_DICT:
        return get_dict(c, out, n, depth);
    case YG_INTS_SCALED:
        return get_scaled(c, out, n, depth);
    default:
        return false;
    }
}

bool yg_ints_get(struct yg_cursor *c, int64_t *out, uint32_t n) {
    return get_depth(c, out, n, 0);
}

// Packed codes are the common case: a block at a time, without a detour over memory.
static bool get_blocks32(struct yg_cursor *c, uint32_t *out, uint32_t n, uint32_t max) {
    uint64_t base = 0, x[YG_PACK_BLOCK], top = 0;
    for (uint32_t i = 0; i < n; i += YG_PACK_BLOCK) {
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        if (!get_block(c, x, m, &base))
            return false;
        for (uint32_t k = 0; k < m; k++) {
            uint64_t v = x[k] + base;
            out[i + k] = (uint32_t)v;
            top = v > top ? v : top;
        }
    }
    return top <= max;
}

bool yg_ints_get_u32(struct yg_cursor *c, uint32_t *out, uint32_t n, uint32_t max) {
    if (c->pos < c->in.len && (uint8_t)c->in.ptr[c->pos] == YG_INTS_FOR) {
        c->pos++;
        return get_blocks32(c, out, n, max);
    }
    int64_t *wide = yg_alloc(YG_MEM_STORE, sizeof(*wide) * ((size_t)n + 1)); // n is checked
    bool ok = get_depth(c, wide, n, 0);
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = (uint64_t)wide[i] <= max;
        out[i] = (uint32_t)wide[i];
    }
    yg_free(YG_MEM_STORE, wide);
    return ok;
}
