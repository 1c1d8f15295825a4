// SPDX-License-Identifier: Apache-2.0
// Seeds for the encodings of values: a chunk of every one that is written.
#include <stdio.h>

#include "base/panic.h"
#include "make_seeds.h"
#include "store/enc_part.h"

#define ROWS 300u

static uint64_t state = 7;

static uint64_t next(void) {
    state += 0x9e3779b97f4a7c15u;
    return yg_hash_u64(state);
}

// fuzz_type: as in fuzz_chunk.c.
static void put(const char *name, struct yg_enc_input *in, char fuzz_type) {
    struct yg_encoder e;
    struct yg_seg_entry entry = {0};
    YG_AUTO(yg_buf) chunk = YG_BUF(YG_MEM_BASE, BUF_MAX);
    YG_AUTO(yg_buf) seed = YG_BUF(YG_MEM_BASE, BUF_MAX);
    uint32_t rows[ROWS];
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i;
    in->rows = in->count = ROWS;
    in->at_rows = rows;
    yg_encoder_init(&e, YG_ENC_LEVEL_FINAL);
    yg_rc rc = yg_encode_chunk(&e, in, &chunk, &entry, NULL);
    YG_ASSERT(rc == YG_OK);
    yg_encoder_fini(&e);
    uint16_t count = ROWS - 1;
    yg_buf_putc(&seed, (char)entry.encoding);
    yg_buf_putc(&seed, fuzz_type);
    yg_buf_put(&seed, &count, 2);
    yg_buf_put(&seed, chunk.ptr + sizeof(struct yg_seg_chunk),
               entry.stored_bytes - sizeof(struct yg_seg_chunk));
    seed_file("chunk", name, yg_buf_str(&seed));
}

static int64_t number(uint32_t shape, uint32_t i, int64_t last) {
    switch (shape) {
    case 0:
        return (int64_t)next();
    case 1:
        return (int64_t)(next() % 40 ? next() % 16 : next() >> 20);
    case 2:
        return last + 1000 + (int64_t)(next() % 5000);
    case 3:
        return (int64_t)i * i * 13;
    case 4:
        return i % 50 ? last : (int64_t)(next() % 1000);
    case 5:
        return (int64_t)(next() % 6 * UINT64_C(0x1234567890123));
    default:
        return ((int64_t)i * 17 + (int64_t)(next() % 9)) * 1000000;
    }
}

static void seed_numbers(void) {
    int64_t v[ROWS];
    double f[ROWS];
    yg_id128 ids[ROWS];
    uint32_t codes[ROWS];
    char name[40];
    for (uint32_t shape = 0; shape < 7; shape++) {
        for (uint32_t i = 0; i < ROWS; i++)
            v[i] = number(shape, i, i ? v[i - 1] : 0);
        (void)snprintf(name, sizeof(name), "ints-%u", shape);
        put(name, &(struct yg_enc_input){.type = YG_T_I64, .i64 = v}, 0);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        f[i] = i % 40 ? (double)(next() % 10000) / 100 : (double)i / 7;
        ids[i] = i % 5 ? ids[i - 1 - next() % (i % 5)] : (yg_id128){0x66ff30, next()};
        codes[i] = (uint32_t)(next() % 900);
    }
    put("decimal", &(struct yg_enc_input){.type = YG_T_F64, .f64 = f}, 1);
    put("ids", &(struct yg_enc_input){.type = YG_T_ID, .ids = ids}, 2);
    struct yg_enc_input coded = {.type = YG_T_STR, .coded = true, .code_max = 999, .codes = codes};
    put("codes", &coded, 3);
    for (uint32_t i = 0; i < ROWS; i++)
        f[i] = (double)next() / 7;
    put("bits", &(struct yg_enc_input){.type = YG_T_F64, .f64 = f}, 1);
}

static void seed_texts(void) {
    static char text[ROWS][80];
    yg_str strs[ROWS], own[ROWS];
    char name[40];
    for (uint32_t shape = 0; shape < 6; shape++) {
        for (uint32_t i = 0; i < ROWS; i++) {
            unsigned long long a = next(), b = next();
            int n = 0;
            if (shape == 0)
                n = snprintf(text[i], sizeof(text[i]), "%08llx-%012llx", a >> 32, b >> 16);
            else if (shape == 1)
                n = snprintf(text[i], sizeof(text[i]), "user-%llu.%llu", a % 900, b % 90);
            else if (shape == 2)
                n = snprintf(text[i], sizeof(text[i]), "one of %llu", a % 20);
            else if (shape == 3)
                n = snprintf(text[i], sizeof(text[i]), "%s took %llu ms",
                             i % 3 ? "query" : "request", a % 10000);
            else if (shape == 4)
                for (; n < (int)(a % 60); n++)
                    text[i][n] = (char)(32 + next() % 90);
            else
                n = snprintf(text[i], sizeof(text[i]), "START id-%04llx-%04llx, %llu", a % 65536,
                             b % 65536, a % 7);
            strs[i] = yg_str_n(text[i], (size_t)n);
            own[i] = yg_str_sub(strs[i], 6, 12);
        }
        struct yg_enc_input in = {.type = YG_T_STR, .strs = strs};
        if (shape == 3 || shape == 5) {
            in.own = own;
            in.own_count = 1;
        }
        (void)snprintf(name, sizeof(name), "texts-%u", shape);
        put(name, &in, 4);
    }
}

void seed_chunk(void) {
    seed_numbers();
    seed_texts();
}
