// SPDX-License-Identifier: Apache-2.0
// The values of one chunk out of any bytes, every encoding: first byte the encoding, second the
// type, then the number of values (u16), then what stands behind the presence.
#include "base/bits.h"
#include "fuzz.h"
#include "store/enc_part.h"

#define HEAD_BYTES 4u
#define OWN_COUNT 3u
#define DICT_COUNT 1000u

static yg_rc own_texts(void *ctx, uint32_t slot, struct yg_arena *arena, const yg_str **ret_texts,
                       struct yg_err *err) {
    yg_str *texts = YG_NEW_N(arena, yg_str, YG_GRANULE_ROWS);
    (void)ctx;
    if (texts == NULL)
        return yg_enc_no_memory(err);
    for (uint32_t i = 0; i < YG_GRANULE_ROWS; i++)
        texts[i] =
            i % 7 == 0 ? yg_str_n(NULL, 0) : yg_str_sub(YG_STR("own text of a row"), slot, i % 17);
    *ret_texts = texts;
    return YG_OK;
}

static yg_rc decode(struct yg_enc_reader *r, uint32_t type, struct yg_err *err) {
    const int64_t *i64;
    const double *f64;
    const yg_id128 *ids;
    const uint32_t *codes;
    const yg_str *strs;
    switch (type % 5) {
    case 0:
        return yg_enc_get_i64(r, &i64, err);
    case 1:
        return yg_enc_get_f64(r, &f64, err);
    case 2:
        return yg_enc_get_ids(r, &ids, err);
    case 3:
        YG_TRY(yg_enc_get_codes(r, DICT_COUNT, &codes, err));
        for (uint32_t i = 0; i < r->count; i++)
            YG_ASSERT(codes[i] < DICT_COUNT);
        return YG_OK;
    default:
        break;
    }
    uint32_t count = r->count;
    YG_TRY(yg_enc_get_strs(r, &strs, err));
    for (uint32_t i = 0; i < count; i++)
        fuzz_touch(strs[i]);
    return YG_OK;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size < HEAD_BYTES || size > (1u << 20))
        return 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, FUZZ_ARENA_BYTES);
    uint16_t count;
    memcpy(&count, data + 2, 2);
    size_t len = size - HEAD_BYTES;
    char *body = yg_calloc(YG_MEM_QUERY, 1, len + YG_PACK_SLACK); // no byte more is readable
    memcpy(body, data + HEAD_BYTES, len);
    struct yg_enc_reader r = {
        .c = {yg_str_n(body, len), 0},
        .encoding = data[0],
        .raw_bytes = 1u << 16,
        .count = 1 + count % YG_GRANULE_ROWS,
        .rows = YG_GRANULE_ROWS,
        .arena = arena,
        .own = {OWN_COUNT, own_texts, NULL},
    };
    struct yg_err err = {0};
    yg_rc rc = decode(&r, data[1], &err);
    YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_ENOMEM);
    yg_free(YG_MEM_QUERY, body);
    return 0;
}
