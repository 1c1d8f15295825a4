// SPDX-License-Identifier: Apache-2.0
// For tests of segments: batches into memory segments and files, and what must be read back.
#ifndef YG_STORE_TEST_SEGMENT_COMMON_H
#define YG_STORE_TEST_SEGMENT_COMMON_H

#include "store/test/rows_common.h"

static inline struct yg_columns *columns_of(struct yg_batch *b) {
    struct yg_columns_part part = {b, NULL, b->row_count};
    struct yg_columns *cs;
    OK(yg_columns_of_parts(b->track, &part, 1, &cs, err));
    return cs;
}

static inline void check_segment(const struct model *m, struct yg_segment *seg) {
    uint32_t rows = 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, (size_t)1 << 30);
    OK(yg_segment_load(seg, err));
    for (uint32_t g = 0; g < seg->dir.granule_count; g++) {
        struct yg_block *b;
        yg_arena_reset(arena);
        OK(yg_segment_block(seg, g, arena, &b, err));
        for (uint32_t r = 0; r < b->row_count; r++, rows++) {
            int64_t uid;
            char *text = block_row(b, r, &uid);
            const uint64_t *want = yg_map_get(&m->rows, yg_str_n((const char *)&uid, sizeof(uid)));
            assert_non_null(want);
            assert_string_equal(text, (const char *)(uintptr_t)*want);
            free(text);
        }
    }
    assert_int_equal(rows, m->rows.len);
}

static inline struct yg_segment *write_memory(const struct yg_columns *cs, const uint32_t *order) {
    struct yg_seg_writer_options o = {
        .track = cs->track, .day = YG_DAY_MIXED, .segment_id = 9, .plain = true, .fd = -1};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    struct yg_seg_summary sum;
    struct yg_buf bytes = YG_BUF(YG_MEM_STORE, 0);
    struct yg_segment *seg;
    OK(yg_seg_writer_columns(w, cs, order, cs->row_count, err));
    OK(yg_seg_writer_finish(w, &sum, err));
    yg_seg_writer_take(w, &bytes);
    yg_seg_writer_destroy(w);
    OK(yg_segment_of_bytes(&bytes, &seg, err));
    return seg;
}

// A file with the rows cut into stripes of `stripe` rows.
static inline void write_file(const char *path, const struct yg_columns *cs, uint32_t *order,
                              uint32_t stripe) {
    int fd;
    OK(yg_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    struct yg_seg_writer_options o = {.track = cs->track, .day = 20000, .segment_id = 9, .fd = fd};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    struct yg_seg_summary sum;
    for (uint32_t at = 0; at < cs->row_count; at += stripe) {
        uint32_t n = cs->row_count - at < stripe ? cs->row_count - at : stripe;
        OK(yg_seg_writer_columns(w, cs, order + at, n, err));
    }
    OK(yg_seg_writer_finish(w, &sum, err));
    assert_int_equal(sum.row_count, cs->row_count);
    yg_seg_writer_destroy(w);
    yg_file_close(&fd);
}

static inline uint32_t *shuffled(struct rng *r, uint32_t n) {
    uint32_t *order = malloc(sizeof(*order) * n);
    assert_non_null(order);
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t k = rng_below(r, i + 1), t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    return order;
}

#endif
