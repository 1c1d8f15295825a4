// SPDX-License-Identifier: Apache-2.0
// Targets over the intake's decoders: rows are whole, errors have a place.
#ifndef YG_TEST_INTAKE_FUZZ_H
#define YG_TEST_INTAKE_FUZZ_H

#include "base/utf8.h"
#include "fuzz.h"
#include "intake/decode.h"

typedef yg_rc (*fuzz_rows_fn)(const struct yg_intake_in *, struct yg_batch *,
                              struct yg_intake_tally *, struct yg_err *);
typedef yg_rc (*fuzz_points_fn)(const struct yg_intake_in *, struct yg_points *,
                                struct yg_intake_tally *, struct yg_err *);

// Every row has a time, every text is valid UTF-8, and the WAL form takes it all.
static inline void fuzz_check_rows(const struct yg_batch *b) {
    const struct yg_batch_col *time = yg_batch_find(b, YG_STR(YG_COL_TIME), YG_T_I64);
    YG_ASSERT(b->row_count == 0 || (time != NULL && time->count == b->row_count));
    for (uint32_t i = 0; i < b->col_count; i++) {
        const struct yg_batch_col *c = &b->cols[i];
        YG_ASSERT(c->name.len > 0 && yg_utf8_check(c->name) == c->name.len);
        for (uint32_t k = 0; k < c->count; k++) {
            YG_ASSERT(c->rows[k] < b->row_count && (k == 0 || c->rows[k - 1] < c->rows[k]));
            if (c->type == YG_T_STR) {
                yg_str s = yg_batch_col_str(c, k);
                YG_ASSERT(yg_utf8_check(s) == s.len);
            }
        }
    }
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 4 * FUZZ_ARENA_BYTES);
    struct yg_err err = {0};
    YG_ASSERT(yg_batch_encode(b, &out, &err) == YG_OK);
}

static inline void fuzz_rows(fuzz_rows_fn fn, yg_str body, enum yg_intake_form form,
                             enum yg_track track) {
    struct yg_batch *b = yg_batch_create(track, FUZZ_ARENA_BYTES);
    struct yg_intake_in in = {.body = body, .form = form, .now_ns = FUZZ_NOW_NS};
    struct yg_intake_tally t = {0};
    struct yg_err err = {0};
    yg_rc rc = fn(&in, b, &t, &err);
    FUZZ_EXPECT_INPUT_RC(rc);
    YG_ASSERT(rc == YG_OK || err.text[0] != 0);
    if (rc == YG_OK)
        fuzz_check_rows(b);
    yg_batch_destroy(b);
}

static inline void fuzz_points(fuzz_points_fn fn, yg_str body, enum yg_intake_form form) {
    struct yg_points *p = yg_points_create(FUZZ_ARENA_BYTES);
    struct yg_intake_in in = {.body = body, .form = form, .now_ns = FUZZ_NOW_NS};
    struct yg_intake_tally t = {0};
    struct yg_err err = {0};
    yg_rc rc = fn(&in, p, &t, &err);
    FUZZ_EXPECT_INPUT_RC(rc);
    YG_ASSERT(rc == YG_OK || err.text[0] != 0);
    for (uint32_t i = 0; rc == YG_OK && i < p->count; i++) {
        YG_ASSERT(p->points[i].series < p->series_count && p->points[i].ts_s > 0);
        YG_ASSERT(p->points[i].value == p->points[i].value); // no NaN
    }
    yg_points_destroy(p);
}

#endif
