// SPDX-License-Identifier: Apache-2.0
// Encodings of a granule's values: what is written is read, every encoding and every kind of
// integer stream is chosen somewhere, and bytes that are not what they were give an error or
// values, never a crash.
#include <ctype.h>
#include <math.h>

#include "store/enc_part.h"
#include "store/test/rows_common.h"

#define N_MAX YG_GRANULE_ROWS

static uint32_t encodings_seen[YG_ENC_COUNT];
static uint32_t kinds_seen[YG_INTS_KIND_COUNT];
static uint32_t probed_away; // texts that a search did not need
static uint32_t chars_known; // chunks that say which bytes are in them

// ------------------------------------------------------------ one chunk there and back

struct own_ctx {
    const struct yg_enc_input *in;
    uint32_t asked;
};

static yg_rc own_texts(void *ctx, uint32_t slot, struct yg_arena *arena, const yg_str **ret_texts,
                       struct yg_err *err) {
    struct own_ctx *c = ctx;
    (void)err;
    yg_str *texts = yg_arena_calloc(arena, c->in->rows, sizeof(*texts));
    assert_non_null(texts);
    for (uint32_t i = 0; i < c->in->count; i++)
        texts[c->in->at_rows[i]] = c->in->own[(size_t)i * c->in->own_count + slot];
    c->asked++;
    *ret_texts = texts;
    return YG_OK;
}

static void add_chars(uint64_t chars[4], yg_str s) {
    for (size_t k = 0; k < s.len; k++)
        chars[(uint8_t)s.ptr[k] >> 6] |= UINT64_C(1) << ((uint8_t)s.ptr[k] & 63);
}

static yg_rc own_chars(void *ctx, uint32_t slot, struct yg_arena *arena, uint64_t ret_chars[4],
                       struct yg_err *err) {
    const struct own_ctx *c = ctx;
    (void)arena;
    (void)err;
    memset(ret_chars, 0, 32);
    for (uint32_t i = 0; i < c->in->count; i++)
        add_chars(ret_chars, c->in->own[(size_t)i * c->in->own_count + slot]);
    return YG_OK;
}

struct decoded {
    const int64_t *i64;
    const double *f64;
    const yg_id128 *ids;
    const uint32_t *codes;
    const yg_str *strs;
};

// Presence as the segment reader hands it over; returns the bytes that it takes.
static size_t presence_of(const struct yg_enc_input *in, uint32_t kind, uint64_t *bits) {
    memset(bits, 0, 8 * YG_BITS_WORDS(YG_GRANULE_ROWS));
    for (uint32_t i = 0; i < in->count; i++)
        yg_bits_set(bits, in->at_rows[i]);
    if (kind == YG_PRESENCE_ALL)
        return 0;
    return kind == YG_PRESENCE_LIST ? 2 + 2 * (size_t)in->count : 8 * YG_BITS_WORDS(in->rows);
}

static yg_rc decode_probed(const struct yg_enc_input *in, const char *chunk, size_t len,
                           const struct yg_text_probe *probe, struct yg_arena *arena,
                           struct decoded *d, struct yg_err *err) {
    struct yg_seg_chunk head;
    uint64_t bits[YG_BITS_WORDS(YG_GRANULE_ROWS)];
    struct own_ctx ctx = {in, 0};
    memcpy(&head, chunk, sizeof(head));
    if (head.stored_bytes > len - sizeof(head))
        return yg_enc_damaged("test: length", err);
    size_t skip = presence_of(in, head.flags & YG_CHUNK_F_PRESENCE, bits);
    if (skip > head.stored_bytes)
        return yg_enc_damaged("test: presence", err);
    struct yg_enc_reader r = {
        .c = {yg_str_n(chunk + sizeof(head) + skip, head.stored_bytes - skip), 0},
        .encoding = head.encoding,
        .raw_bytes = head.raw_bytes < 1u << 24 ? head.raw_bytes : 1u << 24,
        .count = in->count,
        .rows = in->rows,
        .present = in->count < in->rows ? bits : NULL,
        .arena = arena,
        .own = {in->own_count, own_texts, own_chars, &ctx},
        .probe = probe,
    };
    *d = (struct decoded){0};
    switch (in->type) {
    case YG_T_STR:
    case YG_T_JSON:
        return in->coded ? yg_enc_get_codes(&r, in->code_max + 1, &d->codes, err)
                         : yg_enc_get_strs(&r, &d->strs, err);
    case YG_T_I64:
    case YG_T_BOOL:
        return yg_enc_get_i64(&r, &d->i64, err);
    case YG_T_F64:
        return yg_enc_get_f64(&r, &d->f64, err);
    case YG_T_ID:
        return yg_enc_get_ids(&r, &d->ids, err);
    case YG_TYPE_COUNT:
        break;
    }
    return YG_EINTERNAL;
}

static yg_rc decode(const struct yg_enc_input *in, const char *chunk, size_t len,
                    struct yg_arena *arena, struct decoded *d, struct yg_err *err) {
    return decode_probed(in, chunk, len, NULL, arena, d, err);
}

static void check_equal(const struct yg_enc_input *in, const struct decoded *d) {
    if (in->type == YG_T_I64 || in->type == YG_T_BOOL)
        assert_memory_equal(d->i64, in->i64, 8 * (size_t)in->count);
    else if (in->type == YG_T_F64)
        assert_memory_equal(d->f64, in->f64, 8 * (size_t)in->count);
    else if (in->type == YG_T_ID)
        assert_memory_equal(d->ids, in->ids, sizeof(yg_id128) * in->count);
    else if (in->coded)
        assert_memory_equal(d->codes, in->codes, 4 * (size_t)in->count);
    else
        for (uint32_t i = 0; i < in->count; i++)
            if (!yg_str_eq(d->strs[i], in->strs[i]))
                fail_msg("value %u: \"%.*s\" is not \"%.*s\"", i, YG_STR_FMT(d->strs[i]),
                         YG_STR_FMT(in->strs[i]));
}

// Where the probe's bytes stand; `ctx` is the probe.
static size_t find_wanted(const void *ctx, yg_str text, size_t from) {
    const struct yg_text_probe *p = ctx;
    for (size_t at = from; at + p->len <= text.len; at++) {
        size_t k = 0;
        while (k < p->len &&
               (p->nocase ? tolower((unsigned char)text.ptr[at + k])
                          : (unsigned char)text.ptr[at + k]) == (unsigned char)p->bytes[k])
            k++;
        if (k == p->len)
            return at;
    }
    return SIZE_MAX;
}

static bool beyond_ascii(yg_str s) {
    for (size_t k = 0; k < s.len; k++)
        if ((unsigned char)s.ptr[k] >= 0x80)
            return true;
    return false;
}

// Parts of texts are looked for: who holds one comes whole, the others whole or empty.
static void probe(const struct yg_enc_input *in, const char *chunk, size_t len, struct rng *r) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 256u << 20);
    for (uint32_t round = 0; round < 12; round++) {
        yg_str from = in->strs[rng_below(r, in->count)];
        char bytes[40];
        if (from.len == 0)
            continue;
        size_t at = rng_below(r, (uint32_t)from.len), n = 1 + rng_below(r, 30);
        n = n > from.len - at ? from.len - at : n;
        struct yg_text_probe p = {bytes, n, rng_below(r, 2), rng_below(r, 2), find_wanted, &p};
        for (size_t k = 0; k < n; k++)
            bytes[k] = p.nocase ? (char)tolower((unsigned char)from.ptr[at + k]) : from.ptr[at + k];
        if (rng_below(r, 4) == 0)
            bytes[n / 2] = 'z';
        struct decoded d;
        yg_arena_reset(arena);
        OK(decode_probed(in, chunk, len, &p, arena, &d, err));
        for (uint32_t i = 0; i < in->count; i++) {
            bool holds =
                find_wanted(&p, in->strs[i], 0) != SIZE_MAX || (p.odd && beyond_ascii(in->strs[i]));
            if (!yg_str_eq(d.strs[i], in->strs[i]) && (holds || d.strs[i].len > 0))
                fail_msg("value %u: \"%.*s\" is not \"%.*s\"", i, YG_STR_FMT(d.strs[i]),
                         YG_STR_FMT(in->strs[i]));
            probed_away += d.strs[i].len < in->strs[i].len;
        }
    }
}

// What a chunk says of the bytes in it is true of every text.
static void check_chars(const struct yg_enc_input *in, uint8_t encoding, const char *chunk,
                        struct yg_arena *arena) {
    struct yg_seg_chunk head;
    uint64_t bits[YG_BITS_WORDS(YG_GRANULE_ROWS)], chars[4] = {0}, all[4] = {0};
    memcpy(&head, chunk, sizeof(head));
    size_t skip = presence_of(in, head.flags & YG_CHUNK_F_PRESENCE, bits);
    struct yg_enc_reader reader = {
        .c = {yg_str_n(chunk + sizeof(head) + skip, head.stored_bytes - skip), 0},
        .encoding = encoding,
        .count = in->count,
        .arena = arena,
    };
    if (!yg_enc_text_chars(&reader, chars))
        return;
    chars_known++;
    for (uint32_t i = 0; i < in->count; i++)
        add_chars(all, in->strs[i]);
    for (uint32_t k = 0; k < 4; k++)
        assert_int_equal(all[k] & ~chars[k], 0);
}

// Reads damaged copies of the chunk: no crash, and only the errors that a reader may give.
static void damage(const struct yg_enc_input *in, const char *chunk, size_t len, struct rng *r) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    uint32_t step = len > 2000 ? (uint32_t)len / 500 : 1;
    for (size_t at = 0; at < len; at += step) {
        // A copy of its own size, so that a sanitizer sees reads past the slack.
        char *bad = calloc(1, len + YG_PACK_SLACK);
        struct yg_err err = {0};
        struct decoded d;
        assert_non_null(bad);
        memcpy(bad, chunk, len);
        bad[at] = (char)(rng_below(r, 2) ? rng_next(r) : (uint64_t)(bad[at] ^ 1 << at % 8));
        struct yg_seg_chunk head;
        memcpy(&head, bad, sizeof(head));
        uint32_t crc = yg_crc32c(0, bad, offsetof(struct yg_seg_chunk, crc32c));
        if (head.stored_bytes <= len - sizeof(head) && memcmp(bad, chunk, len) != 0)
            assert_int_not_equal(yg_crc32c(crc, bad + sizeof(head), head.stored_bytes),
                                 head.crc32c);
        yg_arena_reset(arena);
        yg_rc rc = decode(in, bad, len, arena, &d, &err);
        assert_true(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_ENOMEM);
        free(bad);
    }
}

static uint8_t round_trip(enum yg_enc_level level, const struct yg_enc_input *in, struct rng *r) {
    struct yg_encoder e;
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_STORE, 1u << 30);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 1u << 28);
    struct yg_seg_entry entry;
    struct decoded d;
    yg_encoder_init(&e, level);
    OK(yg_encode_chunk(&e, in, &out, &entry, err));
    yg_encoder_fini(&e);
    size_t len = entry.stored_bytes;
    char *copy = calloc(1, len + YG_PACK_SLACK);
    assert_non_null(copy);
    memcpy(copy, out.ptr, len);
    OK(decode(in, copy, len, arena, &d, err));
    check_equal(in, &d);
    encodings_seen[entry.encoding]++;
    if (entry.encoding == YG_ENC_INTS && in->count == in->rows)
        kinds_seen[(uint8_t)copy[sizeof(struct yg_seg_chunk)]]++;
    if (entry.encoding == YG_ENC_STR_OWN)
        probe(in, copy, len, r);
    if (in->type == YG_T_STR && !in->coded && in->count > 0)
        check_chars(in, entry.encoding, copy, arena);
    if (rng_below(r, 4) == 0)
        damage(in, copy, len, r);
    free(copy);
    return entry.encoding;
}

// Every level, with and without rows that have no value.
static uint8_t all_ways(struct yg_enc_input *in, struct rng *r) {
    static uint32_t at_rows[N_MAX];
    uint8_t encoding = 0;
    in->at_rows = at_rows;
    for (int sparse = 0; sparse < 2; sparse++) {
        uint32_t row = 0;
        for (uint32_t i = 0; i < in->count; i++, row++) {
            if (sparse && N_MAX - row > in->count - i)
                row += rng_below(r, 2);
            at_rows[i] = row;
        }
        in->rows = sparse && row < N_MAX ? row + 1 : row;
        (void)round_trip(YG_ENC_LEVEL_PLAIN, in, r);
        (void)round_trip(YG_ENC_LEVEL_FINAL, in, r);
        encoding = round_trip(YG_ENC_LEVEL_FILE, in, r);
    }
    return encoding;
}

// ------------------------------------------------------------ bits

static void packed_bits_come_back(void **state) {
    (void)state;
    struct rng r = {1};
    uint64_t v[300], a[300], b[300];
    uint32_t a32[300], b32[300];
    for (uint32_t width = 0; width <= 64; width++)
        for (int round = 0; round < 20; round++) {
            uint32_t n = 1 + rng_below(&r, 300);
            for (uint32_t i = 0; i < n; i++)
                v[i] = width ? rng_next(&r) >> (64 - width) : 0;
            size_t bytes = yg_packed_bytes(n, width);
            char *p = calloc(1, bytes + YG_PACK_SLACK);
            assert_non_null(p);
            yg_pack_bits(p, v, n, width);
            yg_unpack_bits(p, a, n, width);
            yg_unpack_bits_plain(p, b, n, width);
            assert_memory_equal(a, v, 8 * (size_t)n);
            assert_memory_equal(b, v, 8 * (size_t)n);
            if (width <= 32) {
                yg_unpack_bits32(p, a32, n, width);
                yg_unpack_bits32_plain(p, b32, n, width);
                for (uint32_t i = 0; i < n; i++)
                    assert_true(a32[i] == v[i] && b32[i] == v[i]);
            }
            free(p);
        }
}

// ------------------------------------------------------------ integers

static const int64_t edges[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN + 1, 1 << 30};

static int64_t shaped(struct rng *r, uint32_t shape, uint32_t i, int64_t last) {
    switch (shape) {
    case 0:
        return edges[rng_below(r, 7)];
    case 1: // whole milliseconds
        return DAY0 + ((int64_t)i * 17 + rng_below(r, 9)) * 1000000;
    case 2:
        return (int64_t)rng_next(r);
    case 3: // small with rare large ones
        return rng_below(r, 40) ? rng_below(r, 16) : (int64_t)(rng_next(r) >> 20);
    case 4: // long runs
        return i % 97 == 0 ? (int64_t)rng_below(r, 1000) : last;
    case 5: // few distinct, far apart
        return (int64_t)(rng_below(r, 6) * UINT64_C(0x1234567890123));
    case 6:
        return (int64_t)(rng_next(r) >> rng_below(r, 64));
    case 7: // steps with jumps back, as spans in trace order
        return rng_below(r, 8) ? last + 1000 + rng_below(r, 5000) : last - 40000000;
    case 8: // accelerating
        return (int64_t)i * i * 13 + rng_below(r, 2);
    case 9:
        return INT64_MIN + i;
    case 10: // steady
        return 5000 + (int64_t)i * 3;
    case 11: // outliers on both sides
        return rng_below(r, 30) ? 700 + rng_below(r, 64) : (int64_t)(rng_next(r) >> 30) - (1 << 28);
    case 12: // around the wrap of 64 bits
        return (int64_t)(UINT64_C(0x7fffffffffffff00) + i * 3);
    default:
        return -(int64_t)rng_below(r, 1u << (shape % 30));
    }
}

static void integers_come_back(void **state) {
    (void)state;
    struct rng r = {2};
    static int64_t v[N_MAX];
    static const uint32_t counts[] = {1, 2, 3, 7, 127, 128, 129, 400, 1500, N_MAX};
    for (uint32_t shape = 0; shape < 24; shape++)
        for (uint32_t c = 0; c < 10; c++) {
            struct yg_enc_input in = {.type = YG_T_I64, .count = counts[c], .i64 = v};
            for (uint32_t i = 0; i < in.count; i++)
                v[i] = shaped(&r, shape, i, i ? v[i - 1] : 1000000);
            (void)all_ways(&in, &r);
        }
    for (uint32_t k = 0; k < YG_INTS_KIND_COUNT; k++)
        if (kinds_seen[k] == 0 && k != YG_INTS_CONST) // a constant column has its own encoding
            fail_msg("integer streams of kind %u were never written", k);
}

static void codes_come_back(void **state) {
    (void)state;
    struct rng r = {3};
    static uint32_t v[N_MAX];
    for (uint32_t round = 0; round < 60; round++) {
        struct yg_enc_input in = {.type = YG_T_STR, .coded = true, .codes = v};
        in.count = round % 3 ? 1 + rng_below(&r, 700) : N_MAX;
        in.code_max = rng_below(&r, 1u << (1 + round % 20));
        bool runs = round & 1;
        for (uint32_t i = 0; i < in.count; i++)
            v[i] = runs && i && rng_below(&r, 50) ? v[i - 1] : rng_below(&r, in.code_max + 1);
        (void)all_ways(&in, &r);
    }
    struct yg_cursor c = {YG_STR("\0\6\0"), 0}; // const 3
    uint32_t three[4];
    assert_true(yg_ints_get_u32(&c, three, 4, 3) && three[3] == 3);
    c.pos = 0;
    assert_false(yg_ints_get_u32(&c, three, 4, 2)); // no code may pass the dictionary
}

// ------------------------------------------------------------ doubles, ids

static void doubles_come_back(void **state) {
    (void)state;
    struct rng r = {4};
    static double v[N_MAX];
    static const double odd[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 5e-324, 1e308, 0.1, -2.5};
    for (uint32_t round = 0; round < 90; round++) {
        struct yg_enc_input in = {.type = YG_T_F64, .f64 = v};
        in.count = round % 3 ? 1 + rng_below(&r, 700) : N_MAX;
        uint32_t shape = round % 9;
        for (uint32_t i = 0; i < in.count; i++) {
            double cents = (double)rng_below(&r, 100000) / 100;
            uint64_t bits = rng_next(&r);
            v[i] = shape == 0   ? odd[rng_below(&r, 9)]
                   : shape == 1 ? cents
                   : shape == 2 ? (rng_below(&r, 50) ? cents : odd[rng_below(&r, 9)])
                   : shape == 3 ? (double)(int32_t)bits
                   : shape == 4 ? (double)rng_below(&r, 1000) / 7
                   : shape == 5 ? -cents
                   : shape == 6 ? (double)rng_below(&r, 1000000) / 1e14
                   : shape == 7 ? (double)(bits >> 8)
                                : 1.0 / 3;
            if (shape == 4 && (bits & 3))
                v[i] = 2.0 / 3;
            if (shape == 7 && round > 45)
                memcpy(&v[i], &bits, 8);
        }
        uint8_t encoding = all_ways(&in, &r);
        if (shape == 1 && in.count > 300)
            assert_int_equal(encoding, YG_ENC_F64_DECIMAL);
    }
}

static void ids_come_back(void **state) {
    (void)state;
    struct rng r = {5};
    static yg_id128 v[N_MAX];
    for (uint32_t round = 0; round < 40; round++) {
        struct yg_enc_input in = {.type = YG_T_ID, .ids = v};
        in.count = round % 4 ? 1 + rng_below(&r, 700) : N_MAX;
        for (uint32_t i = 0; i < in.count; i++) {
            uint32_t back = 1 + rng_below(&r, 40);
            bool repeat = i >= back && rng_below(&r, 1 + round % 8);
            v[i] = repeat ? v[i - back]
                          : (yg_id128){round & 1 ? UINT64_C(0x66ff30) << 40 | i : 0, rng_next(&r)};
        }
        (void)all_ways(&in, &r);
    }
}

// ------------------------------------------------------------ strings

static yg_str text_of(struct rng *r, uint32_t shape, uint32_t i, char *buf, size_t room) {
    uint64_t a = rng_next(r), b = rng_next(r);
    int n = 0;
    switch (shape) {
    case 0:
        n = snprintf(buf, room, "%08x-%04x-4%03x-%04x-%012llx", (uint32_t)a, (uint32_t)(a >> 48),
                     (uint32_t)b & 0xfff, 0x8000 | ((uint32_t)(b >> 12) & 0x3fff),
                     (unsigned long long)(b >> 16));
        break;
    case 1:
        n = snprintf(buf, room, "%016llX", (unsigned long long)a);
        break;
    case 2:
        n = snprintf(buf, room, "user-%u", (uint32_t)a >> (b & 31));
        break;
    case 3:
        n = snprintf(buf, room, "10.%u.%u.%u", (uint32_t)a & 255, (uint32_t)b & 255,
                     (uint32_t)(b >> 40) & 255);
        break;
    case 4:
        n = snprintf(buf, room, "2026-11-24T10:%02u:%02u.%03uZ", i / 60 % 60, i % 60,
                     (uint32_t)a % 1000);
        break;
    case 5:
        n = snprintf(buf, room, "1-%08x-%08x%016llx", 0x67000000u + i, (uint32_t)a,
                     (unsigned long long)b);
        break;
    case 6: // any bytes, also those that mean something in texts with references
        for (n = 0; n < (int)(b % 40); n++)
            buf[n] = (char)(rng_below(r, 3) ? rng_next(r) : rng_below(r, 10));
        break;
    case 7:
        n = snprintf(buf, room, "value %u of a few", (uint32_t)a % 9);
        break;
    case 8:
        n = snprintf(buf, room, "%llu", (unsigned long long)(a >> (5 + b % 59)));
        break;
    case 9:
        n = snprintf(buf, room, "%04x", (uint32_t)a & 0xffff);
        break;
    case 10: // one length, no shape
        for (n = 0; n < 20; n++)
            buf[n] = (char)('a' + rng_below(r, 26));
        break;
    case 11:
        n = snprintf(buf, room, "%05u", (uint32_t)a % 100000);
        break;
    case 12: // hex of both cases in one column
        n = snprintf(buf, room, a & 1 ? "%08x" : "%08X", (uint32_t)b);
        break;
    case 13:
        n = a % 5 ? snprintf(buf, room, "some words, then %u", (uint32_t)a) : 0;
        break;
    default:
        n = snprintf(buf, room, "%*s|%u", (int)(a % 300), "", (uint32_t)b);
        break;
    }
    return yg_str_n(buf, (size_t)n);
}

static void strings_come_back(void **state) {
    (void)state;
    struct rng r = {6};
    static yg_str v[N_MAX];
    static const uint32_t counts[] = {1, 2, 5, 40, 300, 2000};
    for (uint32_t shape = 0; shape < 15; shape++)
        for (uint32_t c = 0; c < 6; c++)
            for (uint32_t repeats = 0; repeats < 2; repeats++) {
                struct yg_enc_input in = {.type = YG_T_STR, .count = counts[c], .strs = v};
                YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
                for (uint32_t i = 0; i < in.count; i++) {
                    char buf[400];
                    uint32_t back = 1 + rng_below(&r, 20);
                    if (repeats && i >= back && rng_below(&r, 5))
                        v[i] = v[i - back];
                    else
                        v[i] = yg_arena_str(arena, text_of(&r, shape, i, buf, sizeof(buf)));
                }
                uint8_t encoding = all_ways(&in, &r);
                bool is_shaped = shape < 6 || shape == 8 || shape == 9 || shape == 11;
                if (is_shaped && !repeats && counts[c] > 10 && counts[c] < 1000)
                    assert_int_equal(encoding, YG_ENC_STR_LAYOUT);
                if (repeats && counts[c] >= 300)
                    assert_int_equal(encoding, YG_ENC_STR_REPEATS);
            }
}

// Texts around ids of their rows; some rows have none, some ids stand twice, some inside others.
static void own_texts_come_back(void **state) {
    (void)state;
    struct rng r = {7};
    static yg_str v[1000], own[3000];
    for (uint32_t round = 0; round < 30; round++) {
        struct yg_enc_input in = {.type = YG_T_STR, .strs = v, .own = own, .own_count = 3};
        in.count = 1 + rng_below(&r, 1000);
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
        for (uint32_t i = 0; i < in.count; i++) {
            char a[400], b[400], text[1000], noise[400];
            yg_str id = text_of(&r, round % 3 == 2 ? 6 : 0, i, a, sizeof(a));
            yg_str number = text_of(&r, 8, i, b, sizeof(b));
            yg_str odd = text_of(&r, 6, i, noise, sizeof(noise));
            own[i * 3] = rng_below(&r, 9) ? yg_arena_str(arena, id) : yg_str_n(NULL, 0);
            own[i * 3 + 1] = yg_arena_str(arena, number);
            own[i * 3 + 2] = round & 1 ? own[i * 3] : yg_arena_str(arena, yg_str_sub(id, 4, 20));
            char *p = text;
            for (uint32_t k = rng_below(&r, 6); k > 0; k--) {
                yg_str s = rng_below(&r, 4) == 0 ? number : rng_below(&r, 6) == 0 ? odd : id;
                memcpy(p, s.ptr, s.len);
                p += s.len;
                *p++ = (char)(' ' - rng_below(&r, 33));
            }
            v[i] = yg_arena_str(arena, yg_str_n(text, (size_t)(p - text)));
        }
        uint8_t encoding = all_ways(&in, &r);
        if (round % 3 == 0 && in.count > 60)
            assert_int_equal(encoding, YG_ENC_STR_OWN);
    }
    assert_true(probed_away > 0);
    assert_true(chars_known > 0);
}

static yg_str message_of(struct rng *r, uint32_t i, yg_str id, char *buf, size_t room) {
    uint32_t a = rng_below(r, 90000), b = rng_below(r, 300);
    uint32_t kind = rng_below(r, 40);
    int n = 0;
    switch (kind < 36 ? kind % 6 : 6) {
    case 0:
        n = snprintf(buf, room, "START RequestId: %.*s Version: $LATEST", YG_STR_FMT(id));
        break;
    case 1:
        n = snprintf(buf, room, "REPORT RequestId: %.*s\tDuration: %u.%02u ms\tMemory: %u MB",
                     YG_STR_FMT(id), a / 100, a % 100, b);
        break;
    case 2:
        n = snprintf(buf, room, "%u", a);
        break;
    case 3:
        n = snprintf(buf, room, "GET /v1/orders/%u/items %u in %u.%u ms", a, 200 + b % 2, b,
                     a % 10);
        break;
    case 4: // more fields than a template may have
        for (uint32_t k = 0; k < 20; k++)
            n += snprintf(buf + n, room - (size_t)n, "%u,", a + k);
        break;
    case 5: // a form of its own
        for (n = 0; n < 30; n++)
            buf[n] = (char)('a' + (i * 7 + (uint32_t)n * i) % 26);
        break;
    default: // nothing, a zero byte, bytes that stand for references elsewhere
        n = (int)(b % 4);
        memcpy(buf, "\0\1\2", 3);
        break;
    }
    return yg_str_n(buf, (size_t)n);
}

static void templates_come_back(void **state) {
    (void)state;
    struct rng r = {9};
    static yg_str v[N_MAX], own[N_MAX];
    uint32_t before = encodings_seen[YG_ENC_STR_GROUPS];
    for (uint32_t round = 0; round < 12; round++) {
        struct yg_enc_input in = {.type = YG_T_STR, .strs = v, .own = own, .own_count = 1};
        in.count = round < 3 ? 1 + rng_below(&r, 100) : 300 + rng_below(&r, 3000);
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
        for (uint32_t i = 0; i < in.count; i++) {
            char a[100], buf[400];
            own[i] = yg_arena_str(arena, text_of(&r, 0, i, a, sizeof(a)));
            v[i] = yg_arena_str(arena, message_of(&r, i, own[i], buf, sizeof(buf)));
        }
        (void)all_ways(&in, &r);
        for (uint32_t i = 0; i < in.count; i++) { // no id in any text
            char buf[400];
            v[i] = yg_arena_str(arena, message_of(&r, i, YG_STR("none"), buf, sizeof(buf)));
        }
        (void)all_ways(&in, &r);
    }
    assert_true(encodings_seen[YG_ENC_STR_GROUPS] > before); // now and then zstd makes less
}

// Ids of two services in one column, each with a length of its own.
static void ids_of_two_lengths_come_back(void **state) {
    (void)state;
    struct rng r = {10};
    static yg_str v[2000];
    for (uint32_t round = 0; round < 4; round++) {
        struct yg_enc_input in = {.type = YG_T_STR, .count = 2000, .strs = v};
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
        for (uint32_t i = 0; i < in.count; i++) {
            char a[100];
            yg_str id = text_of(&r, rng_below(&r, 2), i, a, sizeof(a));
            v[i] = yg_arena_str(arena, id);
        }
        assert_int_equal(all_ways(&in, &r), YG_ENC_STR_GROUPS);
    }
}

// A reference to a column that the reader knows nothing of.
static void a_missing_own_column_is_damage(void **state) {
    (void)state;
    yg_str strs[40], own[40];
    uint32_t rows[40];
    char bytes[40][40];
    for (uint32_t i = 0; i < 40; i++) {
        (void)snprintf(bytes[i], sizeof(bytes[i]), "START id-%04u-%04u!", i, i * 7);
        strs[i] = yg_str_c(bytes[i]);
        own[i] = yg_str_sub(strs[i], 6, 12);
        rows[i] = i;
    }
    struct yg_enc_input in = {.type = YG_T_STR,
                              .rows = 40,
                              .count = 40,
                              .at_rows = rows,
                              .strs = strs,
                              .own = own,
                              .own_count = 1};
    struct rng r = {8};
    assert_int_equal(round_trip(YG_ENC_LEVEL_FILE, &in, &r), YG_ENC_STR_OWN);
    struct yg_encoder e;
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_STORE, 1u << 20);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 1u << 20);
    struct yg_seg_entry entry;
    struct decoded d;
    struct yg_err fault = {0};
    yg_encoder_init(&e, YG_ENC_LEVEL_FILE);
    OK(yg_encode_chunk(&e, &in, &out, &entry, err));
    yg_encoder_fini(&e);
    OK(yg_buf_reserve(&out, YG_PACK_SLACK, err));
    in.own_count = 0;
    assert_int_equal(decode(&in, out.ptr, entry.stored_bytes, arena, &d, &fault), YG_ECORRUPT);
}

// ------------------------------------------------------------ chunks of this format for ever

#define GOLDEN_ROWS 300u
#define GOLDEN_CHUNKS 34u

struct golden {
    struct yg_enc_input in;
    uint32_t rows[GOLDEN_ROWS];
    int64_t i64[GOLDEN_ROWS];
    double f64[GOLDEN_ROWS];
    yg_id128 ids[GOLDEN_ROWS];
    uint32_t codes[GOLDEN_ROWS];
    yg_str strs[GOLDEN_ROWS];
    yg_str own[GOLDEN_ROWS];
};

// The k-th chunk's values: 0–13 integers, 14–16 doubles, ids, codes, 17–31 strings, 32–33 texts.
static void golden_values(uint32_t k, struct golden *g, struct yg_arena *arena) {
    struct rng r = {1000 + k};
    g->in = (struct yg_enc_input){.type = k < 14    ? YG_T_I64
                                          : k == 14 ? YG_T_F64
                                          : k == 15 ? YG_T_ID
                                                    : YG_T_STR};
    g->in.rows = g->in.count = GOLDEN_ROWS;
    g->in.at_rows = g->rows;
    g->in.coded = k == 16;
    g->in.code_max = 999;
    g->in.i64 = g->i64, g->in.f64 = g->f64, g->in.ids = g->ids;
    g->in.codes = g->codes, g->in.strs = g->strs;
    g->in.own = k >= 32 ? g->own : NULL;
    g->in.own_count = k >= 32;
    for (uint32_t i = 0; i < GOLDEN_ROWS; i++) {
        char a[100], buf[400];
        g->rows[i] = i;
        g->i64[i] = shaped(&r, k, i, i ? g->i64[i - 1] : 1000000);
        g->f64[i] = i % 40 ? (double)rng_below(&r, 10000) / 100 : (double)i / 7;
        g->ids[i] = i % 5 ? g->ids[i - i % 5] : (yg_id128){0x66ff30, rng_next(&r)};
        g->codes[i] = rng_below(&r, 1000);
        g->own[i] = yg_arena_str(arena, text_of(&r, 0, i, a, sizeof(a)));
        g->strs[i] = yg_arena_str(arena, k >= 32 ? message_of(&r, i, g->own[i], buf, sizeof(buf))
                                                 : text_of(&r, k - 17, i, buf, sizeof(buf)));
    }
}

static void append_golden(const struct golden *g, uint32_t k, struct yg_buf *out) {
    struct yg_encoder e;
    struct yg_seg_entry entry;
    yg_encoder_init(&e, k & 1 ? YG_ENC_LEVEL_FINAL : YG_ENC_LEVEL_FILE);
    OK(yg_encode_chunk(&e, &g->in, out, &entry, err));
    yg_encoder_fini(&e);
}

// The file holds the chunks one behind the other, each filled up to a multiple of 8. With
// YG_WRITE_GOLDEN set it is written anew: only as long as the format has not been released.
static void stored_chunks_are_read(void **state) {
    (void)state;
    static const char path[] = YG_SOURCE_DIR "/src/store/test/data/chunks-v2.bin";
    static struct golden g;
    bool write = getenv("YG_WRITE_GOLDEN") != NULL;
    uint32_t seen[YG_ENC_COUNT] = {0};
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, 1u << 24);
    if (!write)
        OK(yg_file_read_all(path, &bytes, err));
    OK(yg_buf_reserve(&bytes, YG_PACK_SLACK, err));
    size_t at = 0;
    for (uint32_t k = 0; k < GOLDEN_CHUNKS; k++) {
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
        struct yg_seg_chunk head;
        struct decoded d;
        golden_values(k, &g, arena);
        if (write) {
            append_golden(&g, k, &bytes);
            continue;
        }
        assert_true(bytes.len - at >= sizeof(head));
        memcpy(&head, bytes.ptr + at, sizeof(head));
        OK(decode(&g.in, bytes.ptr + at, bytes.len - at, arena, &d, err));
        check_equal(&g.in, &d);
        seen[head.encoding]++;
        at += (sizeof(head) + head.stored_bytes + 7) / 8 * 8;
    }
    if (write) {
        OK(yg_file_replace(path, yg_buf_str(&bytes), err));
        return;
    }
    assert_int_equal(at, bytes.len);
    for (uint32_t k = YG_ENC_INTS; k <= YG_ENC_STR_GROUPS; k++)
        if (seen[k] == 0 && k != YG_ENC_F64_BITS && k != YG_ENC_STR_BYTES)
            fail_msg("encoding %u is not in %s", k, path);
}

// From the n-th limited allocation on all fail: no memory, or values that are read all the same.
static void encoding_without_memory_is_an_error(void **state) {
    (void)state;
    static struct golden g;
    uint32_t refused = 0;
    for (uint32_t k = 0; k < GOLDEN_CHUNKS; k++)
        for (int64_t n = 1; n < 12; n++) {
            YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
            YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_STORE, 1u << 24);
            struct yg_seg_entry entry;
            struct yg_encoder e;
            struct decoded d;
            struct yg_err why = {0};
            golden_values(k, &g, arena);
            yg_encoder_init(&e, YG_ENC_LEVEL_FINAL);
            yg_mem_test_fail_at(n);
            yg_rc rc = yg_encode_chunk(&e, &g.in, &out, &entry, &why);
            yg_mem_test_fail_at(0);
            yg_encoder_fini(&e);
            refused += rc == YG_ENOMEM;
            assert_true(rc == YG_OK || rc == YG_ENOMEM);
            if (rc != YG_OK)
                continue;
            OK(yg_buf_reserve(&out, YG_PACK_SLACK, err));
            OK(decode(&g.in, out.ptr, entry.stored_bytes, arena, &d, err));
            check_equal(&g.in, &d);
        }
    assert_true(refused > GOLDEN_CHUNKS);
}

static void every_encoding_was_chosen(void **state) {
    (void)state;
    for (uint32_t k = YG_ENC_INTS; k <= YG_ENC_STR_OWN; k++)
        if (encodings_seen[k] == 0)
            fail_msg("encoding %u was never written", k);
    assert_true(encodings_seen[YG_ENC_CONST] > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_bits_come_back),
        cmocka_unit_test(integers_come_back),
        cmocka_unit_test(codes_come_back),
        cmocka_unit_test(doubles_come_back),
        cmocka_unit_test(ids_come_back),
        cmocka_unit_test(strings_come_back),
        cmocka_unit_test(own_texts_come_back),
        cmocka_unit_test(templates_come_back),
        cmocka_unit_test(ids_of_two_lengths_come_back),
        cmocka_unit_test(a_missing_own_column_is_damage),
        cmocka_unit_test(stored_chunks_are_read),
        cmocka_unit_test(encoding_without_memory_is_an_error),
        cmocka_unit_test(every_encoding_was_chosen), // after all others
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
