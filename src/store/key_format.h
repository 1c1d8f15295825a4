// SPDX-License-Identifier: Apache-2.0
// Private to the key index: the section and its parts by byte offset, and bit fields in them.
#ifndef YG_STORE_KEY_FORMAT_H
#define YG_STORE_KEY_FORMAT_H

#include <string.h>

#include "base/bits.h"
#include "store/key_index.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats are little endian in place");

#define YG_KEY_PAGE_BYTES 4096u

// Section: this head, the parts, the pages' CRCs (u32 each, zeros up to a multiple of 8), then per
// covered column yg_key_cover_head, its name, zeros up to a multiple of 8, and a bit per granule in
// whole u64 words.
struct yg_key_section {
    uint32_t kind;
    uint32_t granules;
    uint32_t parts;
    uint32_t covers;
    uint32_t pages; // of all parts
    uint32_t zero;
};
_Static_assert(sizeof(struct yg_key_section) == 24, "key section head is 24 bytes");

// Part: at `offset` of the file the table, then the buckets, then zeros up to a multiple of 8.
// Table: u32 entries before bucket 0 (zero), 1, … up to 2^bucket_bits (all). Bucket b of n entries
// begins, in bits from the table's end, at b · highs + (entries before) · (1 + low_bits +
// granule_bits), where highs = 2^(28 − bucket_bits − low_bits): n + highs bits of the upper halves
// (entry i of upper half h: bit h + i), n · low_bits of the lower, n · granule_bits of granules,
// counted from first_granule. Entries ascend by (key, granule).
struct yg_key_part_head {
    uint64_t offset;
    uint32_t first_granule;
    uint32_t granules;
    uint32_t entries;
    uint8_t bucket_bits;
    uint8_t low_bits;
    uint8_t granule_bits;
    uint8_t zero;
    uint32_t table_crc32c;
    uint32_t first_page; // its first CRC's number; pages count from the table's end
};
_Static_assert(sizeof(struct yg_key_part_head) == 32, "key part head is 32 bytes");

struct yg_key_cover_head {
    uint32_t name_bytes;
    uint8_t type; // enum yg_type
    uint8_t kind; // enum yg_key_kind
    uint16_t zero;
};
_Static_assert(sizeof(struct yg_key_cover_head) == 8, "key cover head is 8 bytes");

struct yg_key_part {
    struct yg_key_part_head head;
    uint32_t *table;
};

struct yg_key_cover {
    yg_str name; // in the section
    enum yg_type type;
    enum yg_key_kind kind;
    const uint64_t *granules; // in the section
};

static inline uint32_t yg_key_rest_bits(const struct yg_key_part_head *h) {
    return YG_KEY_BITS - h->bucket_bits;
}
static inline uint64_t yg_key_highs(const struct yg_key_part_head *h) {
    return UINT64_C(1) << (yg_key_rest_bits(h) - h->low_bits);
}
static inline uint64_t yg_key_table_bytes(const struct yg_key_part_head *h) {
    return ((UINT64_C(1) << h->bucket_bits) + 1) * 4;
}
static inline uint64_t yg_key_bucket_at(const struct yg_key_part_head *h, uint32_t bucket,
                                        uint32_t entries_before) {
    return bucket * yg_key_highs(h) +
           (uint64_t)entries_before * (1u + h->low_bits + h->granule_bits);
}
static inline uint64_t yg_key_data_bytes(const struct yg_key_part_head *h) {
    return (yg_key_bucket_at(h, 1u << h->bucket_bits, h->entries) + 7) / 8;
}
static inline uint32_t yg_key_pages(const struct yg_key_part_head *h) {
    return (uint32_t)((yg_key_data_bytes(h) + YG_KEY_PAGE_BYTES - 1) / YG_KEY_PAGE_BYTES);
}

// All data of a part, checked (yg_free with YG_MEM_STORE).
yg_rc yg_key_part_load(const struct yg_key_index *index, uint32_t part, char **ret_data,
                       struct yg_err *err) YG_MUST_USE;

// Bit fields of ≤ 56 bits; 8 bytes after the last one must be readable (and writable).
static inline uint64_t yg_key_bits_get(const char *p, uint64_t at, uint32_t width) {
    uint64_t word;
    memcpy(&word, p + (at >> 3), 8);
    return (word >> (at & 7)) & ((UINT64_C(1) << width) - 1);
}
static inline void yg_key_bits_put(char *p, uint64_t at, uint64_t value) {
    uint64_t word;
    memcpy(&word, p + (at >> 3), 8);
    word |= value << (at & 7);
    memcpy(p + (at >> 3), &word, 8);
}

#endif
