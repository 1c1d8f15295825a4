// SPDX-License-Identifier: Apache-2.0
// Segment files of every format version that was ever released, read for ever. The rows are made
// again here and compared with what the files give back.
// To write a file of today's version: t_store_segment_golden --write PATH.
#include "store/test/rows_common.h"

#define GOLDEN_ROWS 300u
#define GOLDEN_STRIPE 200u

static void put_numbers(struct yg_batch *b, uint32_t i, struct rng *r) {
    OK(yg_batch_set_i64(b, YG_STR("@i_raw"), (int64_t)rng_next(r), err));
    OK(yg_batch_set_i64(b, YG_STR("@i_for"), (int64_t)rng_below(r, 5000) - 2500, err));
    OK(yg_batch_set_i64(b, YG_STR("@i_const"), INT64_MIN, err));
    if (rng_below(r, 2))
        OK(yg_batch_set_bool(b, YG_STR("@yes"), rng_below(r, 2) == 1, err));
    OK(yg_batch_set_f64(b, YG_STR("@f_raw"), odd_doubles[rng_below(r, 10)], err));
    OK(yg_batch_set_f64(b, YG_STR("@f_for"), (double)rng_below(r, 600), err));
    OK(yg_batch_set_f64(b, YG_STR("@f_delta"), (double)(1000000 + i * 1000 + rng_below(r, 3)),
                        err));
    OK(yg_batch_set_f64(b, YG_STR("@f_const"), -0.0, err));
}

static void put_strings(struct yg_batch *b, uint32_t i, struct rng *r) {
    char text[128];
    (void)snprintf(text, sizeof(text), "service-%u", rng_below(r, 7));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_SERVICE), keep(b, text), err));
    OK(yg_batch_set_str(b, YG_STR("@code_const"), YG_STR("always the same"), err));
    (void)snprintf(text, sizeof(text), "request %016llx was handled in %u ms",
                   (unsigned long long)rng_next(r), rng_below(r, 900));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), keep(b, text), err));
    uint64_t bits = rng_next(r);
    yg_str bytes = yg_arena_str(b->arena, yg_str_n((const char *)&bits, 6));
    for (size_t k = 0; k < bytes.len; k++) // no 0: the tests compare rows as text
        ((char *)(uintptr_t)bytes.ptr)[k] |= 1;
    OK(yg_batch_set_str(b, YG_STR("@s_raw"), bytes, err));
    if (i % 50 == 3)
        OK(yg_batch_set_str(b, YG_STR("@seldom"), YG_STR("here"), err));
    if (i % 3)
        OK(yg_batch_set_str(b, YG_STR("@often"), YG_STR(""), err));
    if (i % 4 == 0)
        OK(yg_batch_set_json(b, YG_STR("@list"), YG_STR("[1,{\"a\":\"b\"}]"), err));
    if (i >= GOLDEN_STRIPE) // a column that the first stripe does not have
        OK(yg_batch_set_str(b, YG_STR("@i_for"), YG_STR("as text"), err));
}

static struct yg_batch *golden_batch(void) {
    struct rng r = {2026};
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 64u << 20);
    for (uint32_t i = 0; i < GOLDEN_ROWS; i++) {
        uint32_t row;
        OK(yg_batch_row(b, &row, err));
        OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), DAY0 + (int64_t)i * 1000000, err));
        OK(yg_batch_set_i64(b, YG_STR("@uid"), (int64_t)i, err));
        OK(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), (yg_id128){UINT64_C(0x66aa) << 32, i / 5},
                           err));
        OK(yg_batch_set_id(b, YG_STR("@id_split"), (yg_id128){i, rng_next(&r)}, err));
        OK(yg_batch_set_id(b, YG_STR("@id_const"), (yg_id128){1, 2}, err));
        put_numbers(b, i, &r);
        put_strings(b, i, &r);
    }
    b->received_ns = DAY0;
    return b;
}

static int write_golden(const char *path) {
    struct yg_batch *b = golden_batch();
    struct yg_columns_part part = {b, NULL, b->row_count};
    struct yg_columns *cs;
    int fd;
    OK(yg_columns_of_parts(b->track, &part, 1, &cs, err));
    OK(yg_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    struct yg_seg_writer_options o = {
        .track = b->track, .day = 20000, .segment_id = 77, .max_sequence = 5, .fd = fd};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    struct yg_seg_summary sum;
    uint32_t order[GOLDEN_ROWS];
    for (uint32_t i = 0; i < GOLDEN_ROWS; i++)
        order[i] = i;
    OK(yg_seg_writer_columns(w, cs, order, GOLDEN_STRIPE, err));
    OK(yg_seg_writer_columns(w, cs, order + GOLDEN_STRIPE, GOLDEN_ROWS - GOLDEN_STRIPE, err));
    OK(yg_seg_writer_finish(w, &sum, err));
    yg_seg_writer_destroy(w);
    yg_file_close(&fd);
    yg_columns_destroy(cs);
    yg_batch_destroy(b);
    return 0;
}

static void note_encodings(struct yg_segment *seg, uint32_t seen[256]) {
    for (uint32_t s = 0; s < seg->dir.stripe_count; s++)
        for (uint32_t g = 0; g < seg->dir.stripes[s].granule_count; g++)
            for (uint32_t c = 0; c < seg->dir.column_count; c++) {
                const struct yg_seg_record *rec = yg_segment_record(&seg->dir.stripes[s], c);
                seen[yg_segment_entry(rec, g)->encoding]++;
            }
}

// The rows of the file are the golden ones; every encoding up to `last` stands in it.
static void check_golden(const char *name, uint32_t first, uint32_t last) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/src/store/test/data/%s", YG_SOURCE_DIR, name);
    struct model m = MODEL();
    struct yg_batch *b = golden_batch();
    model_add(&m, b);
    struct yg_segment *seg = yg_segment_of_file(path);
    OK(yg_segment_load(seg, err));
    assert_int_equal(seg->id, 77);
    assert_int_equal(seg->day, 20000);
    assert_int_equal(seg->row_count, GOLDEN_ROWS);
    assert_int_equal(seg->min_time_ns, DAY0);
    assert_int_equal(seg->dir.stripe_count, 2);
    uint32_t rows = 0, seen[256] = {0};
    for (uint32_t g = 0; g < seg->dir.granule_count; g++) {
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
        struct yg_block *block;
        OK(yg_segment_block(seg, g, arena, &block, err));
        for (uint32_t r = 0; r < block->row_count; r++, rows++) {
            int64_t uid;
            char *text = block_row(block, r, &uid);
            const uint64_t *want = yg_map_get(&m.rows, yg_str_n((const char *)&uid, sizeof(uid)));
            assert_non_null(want);
            assert_string_equal(text, (const char *)(uintptr_t)*want);
            free(text);
        }
    }
    assert_int_equal(rows, GOLDEN_ROWS);
    note_encodings(seg, seen);
    for (uint32_t e = first; e <= last; e++)
        if (seen[e] == 0)
            fail_msg("%s has no chunk of encoding %u", name, e);
    for (uint64_t id = 0; id < GOLDEN_ROWS / 5; id++)
        assert_true(yg_segment_may_hold_id(seg, id));
    yg_segment_unref(seg);
    yg_batch_destroy(b);
    model_fini(&m);
}

static void version_1_is_read(void **state) {
    (void)state;
    check_golden("segment-v1-logs.seg", 1, 10);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_golden(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
