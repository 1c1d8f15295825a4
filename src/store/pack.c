// SPDX-License-Identifier: Apache-2.0
// Bit packing with 64-bit loads and stores; little-endian hosts only (asserted in segment.h).
#include "store/pack.h"

static uint32_t width_of(uint64_t range) {
    return range ? 64u - (uint32_t)__builtin_clzll(range) : 0;
}

static size_t packed_bytes(uint32_t n, uint32_t width) {
    return ((size_t)n * width + 7) / 8;
}

static void min_max(const int64_t *v, uint32_t n, int64_t *ret_min, uint64_t *ret_range) {
    int64_t min = v[0], max = v[0];
    for (uint32_t i = 1; i < n; i++) {
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
    }
    *ret_min = min;
    *ret_range = (uint64_t)max - (uint64_t)min;
}

// Writes n values of `width` bits at p, which has packed_bytes + 8 bytes of room and is zeroed.
struct bit_writer {
    char *p;
    uint64_t acc;
    uint32_t bits;
};

static inline void put_bits(struct bit_writer *w, uint64_t v, uint32_t width) {
    w->acc |= v << w->bits;
    uint32_t total = w->bits + width;
    if (total >= 64) {
        memcpy(w->p, &w->acc, 8);
        w->p += 8;
        w->acc = w->bits ? v >> (64 - w->bits) : 0;
        total -= 64;
    }
    w->bits = total;
}

static void flush_bits(struct bit_writer *w) {
    memcpy(w->p, &w->acc, (w->bits + 7) / 8);
}

static inline uint64_t mask_of(uint32_t width) {
    return width >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << width) - 1;
}

static inline uint64_t get_bits(const char *p, uint64_t bit, uint32_t width) {
    uint64_t lo;
    memcpy(&lo, p + bit / 8, 8);
    uint32_t shift = (uint32_t)(bit & 7);
    lo >>= shift;
    if (shift + width > 64) {
        uint8_t hi;
        memcpy(&hi, p + bit / 8 + 8, 1);
        lo |= (uint64_t)hi << (64 - shift);
    }
    return lo & mask_of(width);
}

size_t yg_pack_i64_size(const int64_t *v, uint32_t n) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i += YG_PACK_BLOCK) {
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        int64_t base;
        uint64_t range;
        min_max(v + i, m, &base, &range);
        bytes += 9 + packed_bytes(m, width_of(range));
    }
    return bytes;
}

void yg_pack_i64(struct yg_buf *out, const int64_t *v, uint32_t n) {
    for (uint32_t i = 0; i < n; i += YG_PACK_BLOCK) {
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        int64_t base;
        uint64_t range;
        min_max(v + i, m, &base, &range);
        uint32_t width = width_of(range);
        char block[9 + YG_PACK_BLOCK * 8 + 8];
        memcpy(block, &base, 8);
        block[8] = (char)width;
        struct bit_writer w = {.p = block + 9};
        for (uint32_t k = 0; width && k < m; k++)
            put_bits(&w, (uint64_t)v[i + k] - (uint64_t)base, width);
        flush_bits(&w);
        yg_buf_put(out, block, 9 + packed_bytes(m, width));
    }
}

bool yg_unpack_i64(yg_str in, size_t *at, int64_t *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i += YG_PACK_BLOCK) {
        uint32_t m = n - i < YG_PACK_BLOCK ? n - i : YG_PACK_BLOCK;
        if (in.len - *at < 9)
            return false;
        uint64_t base;
        memcpy(&base, in.ptr + *at, 8);
        uint32_t width = (uint8_t)in.ptr[*at + 8];
        *at += 9;
        if (width > 64 || in.len - *at < packed_bytes(m, width))
            return false;
        const char *p = in.ptr + *at;
        if (width == 0)
            for (uint32_t k = 0; k < m; k++)
                out[i + k] = (int64_t)base;
        else
            for (uint32_t k = 0; k < m; k++)
                out[i + k] = (int64_t)(base + get_bits(p, (uint64_t)k * width, width));
        *at += packed_bytes(m, width);
    }
    return true;
}

size_t yg_pack_u32_size(uint32_t n, uint32_t max) {
    return 1 + packed_bytes(n, width_of(max));
}

void yg_pack_u32(struct yg_buf *out, const uint32_t *v, uint32_t n, uint32_t max) {
    uint32_t width = width_of(max);
    yg_buf_putc(out, (char)width);
    if (width == 0)
        return;
    for (uint32_t i = 0; i < n; i += 1024) {
        uint32_t m = n - i < 1024 ? n - i : 1024;
        char block[1024 * 4 + 8];
        struct bit_writer w = {.p = block};
        for (uint32_t k = 0; k < m; k++)
            put_bits(&w, v[i + k], width);
        flush_bits(&w);
        yg_buf_put(out, block, packed_bytes(m, width));
    }
}

bool yg_unpack_u32(yg_str in, size_t *at, uint32_t *out, uint32_t n) {
    if (in.len - *at < 1)
        return false;
    uint32_t width = (uint8_t)in.ptr[*at];
    *at += 1;
    if (width > 32 || in.len - *at < packed_bytes(n, width))
        return false;
    const char *p = in.ptr + *at;
    if (width == 0)
        memset(out, 0, sizeof(*out) * n);
    else
        for (uint32_t k = 0; k < n; k++)
            out[k] = (uint32_t)get_bits(p, (uint64_t)k * width, width);
    *at += packed_bytes(n, width);
    return true;
}
