// SPDX-License-Identifier: Apache-2.0
// Segment files of every format version that was ever released, read for ever. The rows are made
// again here and compared with what the files give back.
// To write files of today's version: t_store_segment_golden --write DIR/segment-vN-.
#include "store/test/lean_rows.h"

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

// What leans on what, and a rest, came with version 2.
enum golden { GOLDEN_LOGS, GOLDEN_SPANS, GOLDEN_TEXTS, GOLDEN_WIDE, GOLDEN_COUNT };
static const char *const golden_names[] = {"logs.seg", "spans.seg", "texts.seg", "wide.seg"};

static struct yg_batch *golden_rows(enum golden what) {
    struct rng r = {2027};
    next_uid = 1;
    switch (what) {
    case GOLDEN_SPANS:
        return spans_batch(&r, 1600);
    case GOLDEN_TEXTS:
        return logs_batch(&r, 800);
    case GOLDEN_WIDE:
        return wide_batch(&r, 500, 0, 3000);
    case GOLDEN_LOGS:
    case GOLDEN_COUNT:
        break;
    }
    return golden_batch();
}

static uint32_t stripe_rows(enum golden what) {
    return what == GOLDEN_LOGS ? GOLDEN_STRIPE : UINT32_MAX;
}

static void write_golden(const char *prefix, enum golden what) {
    char path[4096];
    struct yg_batch *b = golden_rows(what);
    struct yg_columns *cs = columns_of(b);
    struct yg_seg_summary sum;
    int fd;
    (void)snprintf(path, sizeof(path), "%s%s", prefix, golden_names[what]);
    OK(yg_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    struct yg_seg_writer_options o = {
        .track = b->track, .day = 20000, .segment_id = 77, .max_sequence = 5, .fd = fd};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    uint32_t *order = malloc(sizeof(*order) * cs->row_count);
    assert_non_null(order);
    for (uint32_t i = 0; i < cs->row_count; i++)
        order[i] = i;
    for (uint32_t at = 0, n; at < cs->row_count; at += n) {
        n = cs->row_count - at < stripe_rows(what) ? cs->row_count - at : stripe_rows(what);
        OK(yg_seg_writer_columns(w, cs, order + at, n, err));
    }
    OK(yg_seg_writer_finish(w, &sum, err));
    yg_seg_writer_destroy(w);
    yg_file_close(&fd);
    free(order);
    yg_columns_destroy(cs);
    yg_batch_destroy(b);
}

static void note_encodings(struct yg_segment *seg, uint32_t seen[256]) {
    for (uint32_t s = 0; s < seg->dir.stripe_count; s++)
        for (uint32_t i = 0; i < seg->dir.stripes[s].record_count; i++) {
            const struct yg_seg_record *rec = &seg->dir.stripes[s].records[i];
            for (uint32_t e = 0; e < rec->head.entry_count; e++)
                seen[rec->entries[e].encoding]++;
        }
}

// The rows of the file are the golden ones; encodings that stand in it: seen.
static void check_golden(uint32_t version, enum golden what, uint32_t seen[256]) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/src/store/test/data/segment-v%u-%s", YG_SOURCE_DIR,
                   version, golden_names[what]);
    struct model m = MODEL();
    struct yg_batch *b = golden_rows(what);
    model_add(&m, b);
    struct yg_segment *seg = yg_segment_of_file(path);
    check_segment(&m, seg);
    assert_int_equal(seg->version, version);
    assert_int_equal(seg->id, 77);
    assert_int_equal(seg->day, 20000);
    assert_int_equal(seg->row_count, b->row_count);
    assert_int_equal(seg->min_time_ns, DAY0);
    note_encodings(seg, seen);
    for (uint64_t id = 0; what == GOLDEN_LOGS && id < GOLDEN_ROWS / 5; id++)
        assert_true(yg_segment_may_hold_id(seg, id));
    yg_segment_unref(seg);
    yg_batch_destroy(b);
    model_fini(&m);
}

static void version_1_is_read(void **state) {
    (void)state;
    uint32_t seen[256] = {0};
    check_golden(1, GOLDEN_LOGS, seen);
    for (uint32_t e = YG_ENC_CONST; e <= YG_ENC_ID_SPLIT; e++)
        assert_int_not_equal(seen[e], 0);
}

static void version_2_is_read(void **state) {
    (void)state;
    uint32_t seen[256] = {0};
    for (enum golden what = 0; what < GOLDEN_COUNT; what++)
        check_golden(2, what, seen);
    assert_int_not_equal(seen[YG_ENC_FOLLOW], 0);
    assert_int_not_equal(seen[YG_ENC_PARENT_ROW], 0);
    assert_int_not_equal(seen[YG_ENC_STR_OWN], 0);
    assert_int_not_equal(seen[YG_ENC_INTS], 0);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        for (enum golden what = 0; what < GOLDEN_COUNT; what++)
            write_golden(argv[2], what);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_is_read),
        cmocka_unit_test(version_2_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
