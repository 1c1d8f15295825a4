// SPDX-License-Identifier: Apache-2.0
// Stored payloads (sketch, batch, points): damage is ECORRUPT, and what decodes encodes to the
// same.
#include <math.h>

#include "codec/ddsketch.h"
#include "fuzz.h"
#include "model/batch.h"
#include "model/points.h"

static void check_rc(yg_rc rc) {
    YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_ENOMEM || rc == YG_ELIMIT);
}

static void sketch(yg_str in) {
    YG_AUTO(yg_sketch) s = YG_SKETCH(YG_MEM_BASE);
    YG_AUTO(yg_sketch) again = YG_SKETCH(YG_MEM_BASE);
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 1u << 20);
    size_t at = 0;
    yg_rc rc = yg_sketch_decode(in, &at, &s, NULL);
    check_rc(rc);
    if (rc != YG_OK)
        return;
    YG_ASSERT(at <= in.len);
    yg_sketch_encode(&s, &out);
    at = 0;
    YG_ASSERT(yg_sketch_decode(yg_buf_str(&out), &at, &again, NULL) == YG_OK && at == out.len);
    YG_ASSERT(again.len == s.len && (again.count == s.count || isnan(s.count)));
    (void)yg_sketch_quantile(&s, 0.5);
    yg_sketch_merge(&again, &s);
    for (uint32_t i = 1; i < again.len; i++)
        YG_ASSERT(again.bins[i - 1].key < again.bins[i].key);
}

static void check_batch(const struct yg_batch *b) {
    struct yg_value v;
    for (uint32_t i = 0; i < b->col_count; i++) {
        const struct yg_batch_col *c = &b->cols[i];
        for (uint32_t k = 0; k < c->count; k++) {
            YG_ASSERT(c->rows[k] < b->row_count && (k == 0 || c->rows[k - 1] < c->rows[k]));
            YG_ASSERT(yg_batch_col_value(c, c->rows[k], &v));
            if (v.type == YG_T_STR || v.type == YG_T_JSON)
                fuzz_touch(v.str);
        }
    }
}

static void batch(yg_str in) {
    struct yg_batch *b;
    yg_rc rc = yg_batch_decode(in, YG_MEM_STORE, FUZZ_ARENA_BYTES, &b, NULL);
    check_rc(rc);
    if (rc != YG_OK)
        return;
    check_batch(b);
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    if (yg_batch_encode(b, &out, NULL) == YG_OK) {
        struct yg_batch *again;
        rc = yg_batch_decode(yg_buf_str(&out), YG_MEM_STORE, 4 * FUZZ_ARENA_BYTES, &again, NULL);
        YG_ASSERT(rc == YG_OK || rc == YG_ENOMEM);
        if (rc == YG_OK) {
            YG_ASSERT(again->row_count == b->row_count && again->col_count == b->col_count);
            yg_batch_destroy(again);
        }
    }
    yg_batch_destroy(b);
}

static void points(yg_str in) {
    struct yg_points *p;
    yg_rc rc = yg_points_decode(in, FUZZ_ARENA_BYTES, &p, NULL);
    check_rc(rc);
    if (rc != YG_OK)
        return;
    for (uint32_t i = 0; i < p->count; i++) {
        YG_ASSERT(p->points[i].series < p->series_count);
        YG_ASSERT(p->points[i].sketch < (int32_t)p->sketch_count);
    }
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    if (yg_points_encode(p, &out, NULL) == YG_OK) {
        struct yg_points *again;
        rc = yg_points_decode(yg_buf_str(&out), 4 * FUZZ_ARENA_BYTES, &again, NULL);
        YG_ASSERT(rc == YG_OK || rc == YG_ENOMEM);
        if (rc == YG_OK) {
            YG_ASSERT(again->count == p->count && again->series_count == p->series_count);
            yg_points_destroy(again);
        }
    }
    yg_points_destroy(p);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        sketch(fuzz_rest(data, size));
        break;
    case 1:
        batch(fuzz_rest(data, size));
        break;
    default:
        points(fuzz_rest(data, size));
        break;
    }
    return 0;
}
