// SPDX-License-Identifier: Apache-2.0
// Columns of integers in metric blocks: blocks of 128, each in the cheapest of four ways.
//
// block = head u8 (mode × 64 + width), then by mode
//   0 offsets      base svarint, payload of n
//   1 deltas       first svarint, base svarint, payload of n − 1 deltas less the base
//   2 second       first, first delta, base svarint, payload of n − 2 differences of deltas
//   3 run lengths  runs − 1 u8, per run: value less the value before svarint, length varint;
//                  the width is 0
// payload = exceptions u8, n × width bits (least significant first), then per exception its place
// u8 and the bits above the width as varint. All arithmetic wraps at 64 bits.

#include "codec/varint.h"
#include "store/mstore_int.h"

enum { MODE_OFFSETS = 0, MODE_DELTAS = 1, MODE_SECOND = 2, MODE_RUNS = 3 };
#define BLOCK YG_MINTS_BLOCK
#define WIDTH_MAX 56u // a value lies within one 64-bit load, whatever bit it starts at
#define PACKED_MAX (BLOCK * WIDTH_MAX / 8u)

static uint64_t zigzag(uint64_t v) {
    return v << 1 ^ (uint64_t)((int64_t)v >> 63);
}
static uint64_t unzigzag(uint64_t v) {
    return v >> 1 ^ (0 - (v & 1));
}
static unsigned bits_of(uint64_t v) {
    return v == 0 ? 0 : 64u - (unsigned)__builtin_clzll(v);
}
static unsigned varint_bytes(unsigned bits) {
    return bits == 0 ? 1 : (bits + 6) / 7;
}

// ------------------------------------------------------------ choosing

struct packing {
    unsigned width, bytes;
    uint64_t base;
};

// The cheapest width for v − base, with what is wider as exceptions.
static struct packing pack_at(const uint64_t *v, uint32_t n, uint64_t base) {
    uint8_t histogram[65] = {0};
    unsigned top = 0, low = 0;
    for (uint32_t i = 0; i < n; i++) {
        unsigned bits = bits_of(v[i] - base);
        histogram[bits]++;
        top = bits > top ? bits : top;
    }
    struct packing best = {.bytes = UINT32_MAX, .base = base};
    unsigned common = 0; // no width below the bulk pays
    for (unsigned seen = 0; common < top && (seen += histogram[common]) < n / 2;)
        common++;
    low = common > 8 ? common - 8 : 0;
    unsigned from = top > WIDTH_MAX ? WIDTH_MAX : top;
    for (unsigned w = from + 1; w-- > low;) {
        unsigned cost = (n * w + 7) / 8;
        for (unsigned b = w + 1; b <= top; b++)
            cost += histogram[b] * (1 + varint_bytes(b - w));
        if (cost < best.bytes) {
            best.width = w;
            best.bytes = cost;
        }
    }
    best.bytes += varint_bytes(bits_of(zigzag(base)));
    return best;
}

// The base is the least value, or the third least when the two below lie far away.
static struct packing choose(const uint64_t *v, uint32_t n) {
    int64_t least[3] = {INT64_MAX, INT64_MAX, INT64_MAX}, most = INT64_MIN;
    for (uint32_t i = 0; i < n; i++) {
        int64_t s = (int64_t)v[i];
        most = s > most ? s : most;
        if (s >= least[2])
            continue;
        least[2] = s;
        for (unsigned k = 2; k > 0 && least[k] < least[k - 1]; k--) {
            int64_t t = least[k];
            least[k] = least[k - 1];
            least[k - 1] = t;
        }
    }
    struct packing best = pack_at(v, n, n > 0 ? (uint64_t)least[0] : 0);
    if (n < 16)
        return best;
    uint64_t range = (uint64_t)most - (uint64_t)least[0],
             inner = (uint64_t)most - (uint64_t)least[2];
    if (inner < range / 2) {
        struct packing other = pack_at(v, n, (uint64_t)least[2]);
        if (other.bytes < best.bytes)
            return other;
    }
    return best;
}

// ------------------------------------------------------------ writing

static void put_payload(struct yg_buf *out, const uint64_t *v, uint32_t n,
                        const struct packing *p) {
    unsigned char packed[PACKED_MAX + 16] = {0};
    uint8_t places[BLOCK];
    unsigned count = 0;
    uint64_t mask = (UINT64_C(1) << p->width) - 1;
    for (uint32_t i = 0, bit = 0; i < n; i++, bit += p->width) {
        uint64_t u = v[i] - p->base, word;
        if (u > mask)
            places[count++] = (uint8_t)i;
        memcpy(&word, packed + bit / 8, sizeof(word));
        word |= (u & mask) << (bit & 7);
        memcpy(packed + bit / 8, &word, sizeof(word));
    }
    yg_buf_putc(out, (char)count);
    yg_buf_put(out, packed, (n * p->width + 7) / 8);
    for (unsigned i = 0; i < count; i++) {
        yg_buf_putc(out, (char)places[i]);
        yg_put_varint(out, (v[places[i]] - p->base) >> p->width);
    }
}

// Stops at the limit, when others are cheaper anyway.
static unsigned runs_bytes(const uint64_t *v, uint32_t n, unsigned limit) {
    unsigned bytes = 1;
    uint64_t before = 0;
    for (uint32_t i = 0; i < n && bytes < limit;) {
        uint32_t end = i + 1;
        while (end < n && v[end] == v[i])
            end++;
        bytes += varint_bytes(bits_of(zigzag(v[i] - before))) + varint_bytes(bits_of(end - i));
        before = v[i];
        i = end;
    }
    return bytes;
}

static void put_runs(struct yg_buf *out, const uint64_t *v, uint32_t n) {
    unsigned runs = 0;
    for (uint32_t i = 1; i < n; i++)
        runs += v[i] != v[i - 1];
    yg_buf_putc(out, (char)(MODE_RUNS * 64));
    yg_buf_putc(out, (char)runs);
    uint64_t before = 0;
    for (uint32_t i = 0; i < n;) {
        uint32_t end = i + 1;
        while (end < n && v[end] == v[i])
            end++;
        yg_put_varint(out, zigzag(v[i] - before));
        yg_put_varint(out, end - i);
        before = v[i];
        i = end;
    }
}

static void put_block(struct yg_buf *out, const uint64_t *v, uint32_t n) {
    uint64_t deltas[BLOCK], second[BLOCK];
    for (uint32_t i = 1; i < n; i++)
        deltas[i - 1] = v[i] - v[i - 1];
    for (uint32_t i = 2; i < n; i++)
        second[i - 2] = deltas[i - 1] - deltas[i - 2];
    unsigned first = varint_bytes(bits_of(zigzag(v[0])));
    struct packing p[3] = {choose(v, n), {.bytes = UINT32_MAX}, {.bytes = UINT32_MAX}};
    if (n > 1) {
        p[1] = choose(deltas, n - 1);
        p[1].bytes += first;
    }
    if (n > 2) {
        p[2] = choose(second, n - 2);
        p[2].bytes += first + varint_bytes(bits_of(zigzag(deltas[0])));
    }
    unsigned mode = p[1].bytes < p[0].bytes;
    mode = p[2].bytes < p[mode].bytes ? 2 : mode;
    unsigned limit = p[mode].bytes + 1; // and the number of exceptions
    if (runs_bytes(v, n, limit) < limit) {
        put_runs(out, v, n);
        return;
    }
    yg_buf_putc(out, (char)(mode * 64 + p[mode].width));
    if (mode >= MODE_DELTAS)
        yg_put_varint(out, zigzag(v[0]));
    if (mode == MODE_SECOND)
        yg_put_varint(out, zigzag(deltas[0]));
    yg_put_varint(out, zigzag(p[mode].base));
    put_payload(out,
                mode == MODE_OFFSETS  ? v
                : mode == MODE_DELTAS ? deltas
                                      : second,
                n - mode, &p[mode]);
}

void yg_mints_put(struct yg_buf *out, const int64_t *v, uint32_t n) {
    uint64_t block[BLOCK];
    for (uint32_t at = 0; at < n; at += BLOCK) {
        uint32_t len = n - at < BLOCK ? n - at : BLOCK;
        for (uint32_t i = 0; i < len; i++)
            block[i] = (uint64_t)v[at + i];
        put_block(out, block, len);
    }
}

// ------------------------------------------------------------ reading

// As yg_get_varint; nearly all numbers here are one byte.
static inline bool get_number(yg_str in, size_t *at, uint64_t *ret) {
    if (*at < in.len && (in.ptr[*at] & 0x80) == 0) {
        *ret = (unsigned char)in.ptr[(*at)++];
        return true;
    }
    struct yg_cursor c = {.in = in, .pos = *at};
    if (yg_get_varint(&c, ret, NULL) != YG_OK)
        return false;
    *at = c.pos;
    return true;
}

static inline bool get_signed(yg_str in, size_t *at, uint64_t *ret) {
    if (!get_number(in, at, ret))
        return false;
    *ret = unzigzag(*ret);
    return true;
}

static void unpack(const char *p, unsigned width, uint64_t base, uint64_t *out, uint32_t n) {
    uint64_t mask = (UINT64_C(1) << width) - 1;
    for (uint32_t i = 0, bit = 0; i < n; i++, bit += width) {
        uint64_t word;
        memcpy(&word, p + (bit >> 3), sizeof(word));
        out[i] = (word >> (bit & 7) & mask) + base;
    }
}

// out NULL: only steps over it.
static bool get_payload(yg_str in, size_t *at, unsigned width, uint64_t base, uint64_t *out,
                        uint32_t n) {
    size_t bytes = (n * width + 7) / 8;
    if (*at >= in.len || in.len - *at - 1 < bytes)
        return false;
    unsigned count = (unsigned char)in.ptr[(*at)++];
    const char *packed = in.ptr + *at;
    if (out != NULL && width == 0) {
        for (uint32_t i = 0; i < n; i++)
            out[i] = base;
    } else if (out != NULL && in.len - *at >= bytes + 8) {
        unpack(packed, width, base, out, n);
    } else if (out != NULL) { // no loads past the end
        char tail[PACKED_MAX + 8] = {0};
        memcpy(tail, packed, bytes);
        unpack(tail, width, base, out, n);
    }
    *at += bytes;
    for (unsigned i = 0; i < count; i++) {
        uint64_t high;
        if (*at >= in.len)
            return false;
        unsigned place = (unsigned char)in.ptr[(*at)++];
        if (place >= n || !get_number(in, at, &high))
            return false;
        if (out != NULL)
            out[place] += high << width;
    }
    return true;
}

static bool get_runs(yg_str in, size_t *at, uint64_t *out, uint32_t n) {
    if (*at >= in.len)
        return false;
    unsigned runs = (unsigned char)in.ptr[(*at)++] + 1u;
    uint64_t value = 0;
    uint32_t have = 0;
    for (unsigned r = 0; r < runs; r++) {
        uint64_t change, length;
        if (!get_signed(in, at, &change) || !get_number(in, at, &length) || length > n - have)
            return false;
        value += change;
        for (uint64_t i = 0; out != NULL && i < length; i++)
            out[have + i] = value;
        have += (uint32_t)length;
    }
    return have == n;
}

// One block of n ≤ 128 values; out NULL: only steps over it.
static bool get_block(yg_str in, size_t *at, uint64_t *out, uint32_t n) {
    if (*at >= in.len)
        return false;
    unsigned head = (unsigned char)in.ptr[(*at)++], mode = head / 64, width = head % 64;
    uint64_t first = 0, delta = 0, base;
    if (mode == MODE_RUNS)
        return width == 0 && get_runs(in, at, out, n);
    if (width > WIDTH_MAX || mode > n || (mode >= MODE_DELTAS && !get_signed(in, at, &first)) ||
        (mode == MODE_SECOND && !get_signed(in, at, &delta)) || !get_signed(in, at, &base) ||
        !get_payload(in, at, width, base, out ? out + mode : NULL, n - mode))
        return false;
    if (out == NULL || mode == MODE_OFFSETS)
        return true;
    out[0] = first;
    if (mode == MODE_DELTAS) {
        for (uint32_t i = 1; i < n; i++)
            out[i] = first += out[i];
        return true;
    }
    out[1] = first += delta;
    for (uint32_t i = 2; i < n; i++) {
        delta += out[i];
        out[i] = first += delta;
    }
    return true;
}

bool yg_mints_get(yg_str in, size_t *at, uint32_t n, uint32_t from, uint32_t to,
                  void (*fn)(void *ctx, const int64_t *v, uint32_t count), void *ctx) {
    union {
        uint64_t u[BLOCK];
        int64_t i[BLOCK];
    } block;
    for (uint32_t b = 0; b < n; b += BLOCK) {
        uint32_t len = n - b < BLOCK ? n - b : BLOCK;
        bool wanted = b < to && b + len > from;
        if (!get_block(in, at, wanted ? block.u : NULL, len))
            return false;
        if (!wanted)
            continue;
        uint32_t lo = from > b ? from - b : 0, hi = to < b + len ? to - b : len;
        fn(ctx, block.i + lo, hi - lo);
    }
    return true;
}
