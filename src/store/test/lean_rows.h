// SPDX-License-Identifier: Apache-2.0
// For tests of segments: rows whose columns lean on each other, and rows of very many attributes.
// Golden files hold what these functions make from their seeds: they must not change.
#ifndef YG_STORE_TEST_LEAN_ROWS_H
#define YG_STORE_TEST_LEAN_ROWS_H

#include "store/test/segment_common.h"

static inline void set_text(struct yg_batch *b, const char *name, const char *prefix, uint32_t v) {
    yg_str text = yg_arena_printf(b->arena, "%s%u", prefix, v);
    OK(yg_batch_set_str(b, yg_str_c(name), text, err));
}

// Traces of eight spans; version and team are decided by the function, but for a few rows.
static inline struct yg_batch *spans_batch(struct rng *r, uint32_t rows) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, (size_t)1 << 30);
    int64_t ids[8];
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row, function = i / 8 % 97;
        ids[i % 8] = (int64_t)rng_next(r);
        int64_t parent = i % 8 == 0 ? 0 : ids[rng_below(r, i % 8)];
        if (rng_below(r, 50) == 0)
            parent = (int64_t)rng_next(r); // of another service's stripe
        OK(yg_batch_row(b, &row, err));
        OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
        OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + (int64_t)i * 1000, err));
        OK(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), (yg_id128){7, i / 8}, err));
        if (i % 97 != 5)
            OK(yg_batch_set_i64(b, YG_STR(YG_COL_SPAN_ID), ids[i % 8], err));
        OK(yg_batch_set_i64(b, YG_STR(YG_COL_PARENT_ID), parent, err));
        set_text(b, "@function", "function-", function);
        set_text(b, "@version", "v", rng_below(r, 400) ? function % 31 : 77);
        if (i % 3) {
            set_text(b, "@team", "team-", function % 11);
            set_text(b, "@kind", "kind-", i % 7);
        }
        if (i % 8 == 4)
            OK(yg_batch_set_f64(b, YG_STR("@bytes"), (double)rng_below(r, 9000), err));
    }
    b->received_ns = DAY0;
    return b;
}

static inline struct yg_batch *logs_batch(struct rng *r, uint32_t rows) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, (size_t)1 << 30);
    for (uint32_t i = 0; i < rows; i++) {
        char request[40], text[160];
        uint32_t row, ms = rng_below(r, 900000);
        (void)snprintf(request, sizeof(request), "%08x-0000-4000-8000-%012llx", i / 3,
                       (unsigned long long)yg_hash_u64(i / 3) >> 16);
        OK(yg_batch_row(b, &row, err));
        OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
        OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + (int64_t)i * 1000000, err));
        OK(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), (yg_id128){i, ~(uint64_t)i}, err));
        if (i % 5)
            OK(yg_batch_set_str(b, YG_STR("@request_id"), keep(b, request), err));
        if (i % 3 == 2)
            OK(yg_batch_set_f64(b, YG_STR("@ms"), (double)ms / 100, err));
        OK(yg_batch_set_i64(b, YG_STR("@size"), (int64_t)(ms % 7777) - 3000, err));
        (void)snprintf(
            text, sizeof(text), "request %s took %u.%02u ms, %d bytes, trace %016x%016llx", request,
            ms / 100, ms % 100, (int)(ms % 7777) - 3000, i, (unsigned long long)~(uint64_t)i);
        OK(yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), keep(b, text), err));
    }
    b->received_ns = DAY0;
    return b;
}

static inline struct yg_batch *wide_batch(struct rng *r, uint32_t rows, uint32_t from,
                                          uint32_t names) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, (size_t)1 << 30);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row;
        OK(yg_batch_row(b, &row, err));
        OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
        OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + (int64_t)i, err));
        for (uint32_t k = 0; k < 6; k++) {
            char text[64];
            uint32_t name = from + rng_below(r, names);
            (void)snprintf(text, sizeof(text), "@key.%u", name);
            yg_str key = keep(b, text);
            if (name % 4 == 0)
                OK(yg_batch_set_i64(b, key, (int64_t)rng_next(r), err));
            else if (name % 4 == 1)
                OK(yg_batch_set_f64(b, key, odd_doubles[rng_below(r, 10)], err));
            else
                OK(yg_batch_set_str(b, key, keep(b, text), err));
            if (name % 7 == 0) // two types of one name
                OK(yg_batch_set_bool(b, key, true, err));
        }
    }
    b->received_ns = DAY0;
    return b;
}

#endif
