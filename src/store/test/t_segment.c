// SPDX-License-Identifier: Apache-2.0
// The segment format by itself: what is written is read, for every encoding; damage is an error
// that names the file, or does not matter, but never wrong data.
#include "store/test/segment_common.h"

// ------------------------------------------------------------ round trips

static void memory_and_files_give_back_what_was_written(void **state) {
    (void)state;
    char path[] = "/tmp/yg-t-segment-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    struct rng r = {11};
    for (int round = 0; round < 12; round++) {
        bool wide = round % 3 == 0; // up to 2,500 columns
        uint32_t rows = 1 + rng_below(&r, wide || round < 6 ? 60 : 20000);
        struct model m = MODEL();
        struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, rows, wide ? 50 : 0, 1);
        model_add(&m, b);
        struct yg_columns *cs = columns_of(b);
        struct yg_segment *seg = write_memory(cs, NULL);
        check_segment(&m, seg);
        yg_segment_unref(seg);
        uint32_t *order = shuffled(&r, rows);
        seg = write_memory(cs, order);
        check_segment(&m, seg);
        yg_segment_unref(seg);
        write_file(path, cs, order, 1 + rng_below(&r, 9000));
        seg = yg_segment_of_file(path);
        check_segment(&m, seg);
        assert_true(yg_segment_unload(seg));
        check_segment(&m, seg); // and again after its directory was given back
        yg_segment_unref(seg);
        free(order);
        yg_columns_destroy(cs);
        yg_batch_destroy(b);
        model_fini(&m);
    }
    (void)unlink(path);
}

static void segments_join(void **state) {
    (void)state;
    struct rng r = {12};
    struct model m = MODEL();
    struct yg_segment *segs[3];
    struct yg_columns *joined = yg_columns_create(YG_TRACK_LOGS, YG_MEM_STORE, (size_t)1 << 30);
    for (int i = 0; i < 3; i++) {
        struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 1 + rng_below(&r, 9000), 0, 1);
        model_add(&m, b);
        struct yg_columns *cs = columns_of(b);
        segs[i] = write_memory(cs, NULL);
        yg_columns_destroy(cs);
        yg_batch_destroy(b);
        OK(yg_columns_want_segment(joined, segs[i], err));
    }
    OK(yg_columns_alloc(joined, err));
    for (int i = 0; i < 3; i++)
        OK(yg_columns_add_segment(joined, segs[i], NULL, err));
    struct yg_segment *seg = write_memory(joined, NULL);
    check_segment(&m, seg);
    yg_segment_unref(seg);
    yg_columns_destroy(joined);
    for (int i = 0; i < 3; i++)
        yg_segment_unref(segs[i]);
    model_fini(&m);
}

// All stripes of some files in one new file, as they stand.
static void copy_files(const char *path, struct yg_segment **segs, uint32_t n) {
    int fd;
    OK(yg_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    struct yg_seg_writer_options o = {
        .track = YG_TRACK_LOGS, .day = 20000, .segment_id = 10, .fd = fd};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    struct yg_seg_summary sum;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t s = 0; s < segs[i]->dir.stripe_count; s++)
            OK(yg_seg_writer_copy_stripe(w, segs[i], s, err));
    OK(yg_seg_writer_finish(w, &sum, err));
    yg_seg_writer_destroy(w);
    yg_file_close(&fd);
}

static void stripes_are_copied(void **state) {
    (void)state;
    struct rng r = {16};
    struct model m = MODEL();
    struct yg_segment *segs[3], *copy;
    char paths[4][64];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "/tmp/yg-t-segment-%d-%d", (int)getpid(), i);
        if (i == 3)
            break;
        struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 30, 40u * (uint32_t)i, 1);
        model_add(&m, b);
        struct yg_columns *cs = columns_of(b);
        uint32_t *order = shuffled(&r, cs->row_count);
        write_file(paths[i], cs, order, 17);
        segs[i] = yg_segment_of_file(paths[i]);
        OK(yg_segment_load(segs[i], err));
        free(order);
        yg_columns_destroy(cs);
        yg_batch_destroy(b);
    }
    copy_files(paths[3], segs, 3);
    copy = yg_segment_of_file(paths[3]);
    check_segment(&m, copy);
    assert_int_equal(copy->dir.stripe_count, 6);
    // A damaged chunk is not carried on.
    int fd;
    struct yg_err fault = {0};
    OK(yg_file_open(paths[0], O_RDWR, &fd, err));
    uint64_t at = segs[0]->dir.stripes[0].records[3].entries[0].offset + 17;
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    yg_file_close(&fd);
    struct yg_seg_writer_options o = {.track = YG_TRACK_LOGS, .fd = -1};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    assert_int_equal(yg_seg_writer_copy_stripe(w, segs[0], 0, &fault), YG_ECORRUPT);
    assert_non_null(strstr(fault.text, paths[0]));
    yg_seg_writer_destroy(w);
    yg_segment_unref(copy);
    for (int i = 0; i < 4; i++) {
        if (i < 3)
            yg_segment_unref(segs[i]);
        (void)unlink(paths[i]);
    }
    model_fini(&m);
}

// Integers and doubles at their limits, in shapes that pick each encoding.
static void numbers_at_their_limits(void **state) {
    (void)state;
    static const int64_t edges[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN + 1, 1 << 30};
    struct rng r = {13};
    for (int shape = 0; shape < 8; shape++) {
        struct model m = MODEL();
        struct yg_batch *b = yg_batch_create(YG_TRACK_EVENTS, 64u << 20);
        for (uint32_t i = 0; i < 700; i++) {
            uint32_t row;
            int64_t steady = 1000000 + (int64_t)i * 1000 + rng_below(&r, 3);
            int64_t v = shape == 0   ? edges[rng_below(&r, 7)]
                        : shape == 1 ? steady
                        : shape == 2 ? (int64_t)rng_next(&r)
                        : shape == 3 ? INT64_MIN + (int64_t)i
                        : shape == 4 ? (i == 300 ? INT64_MAX : 5)
                        : shape == 5 ? 42
                        : shape == 6 ? (int64_t)(rng_next(&r) >> (rng_below(&r, 63)))
                                     : -steady;
            OK(yg_batch_row(b, &row, err));
            OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
            OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), v, err));
            if (i % (1 + (uint32_t)shape) == 0)
                OK(yg_batch_set_i64(b, YG_STR("@v"), v, err));
            OK(yg_batch_set_f64(b, YG_STR("@f"), (double)(v % 1000), err));
            OK(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID),
                               (yg_id128){(uint64_t)v, (uint64_t)shape < 4 ? i / 9 : i}, err));
        }
        model_add(&m, b);
        struct yg_columns *cs = columns_of(b);
        struct yg_segment *seg = write_memory(cs, NULL);
        check_segment(&m, seg);
        yg_segment_unref(seg);
        yg_columns_destroy(cs);
        yg_batch_destroy(b);
        model_fini(&m);
    }
}

// ------------------------------------------------------------ damage

// Reads everything; OK only when every row is exactly right.
static yg_rc read_all(const struct model *m, struct yg_segment *seg, struct yg_err *err) {
    YG_TRY(yg_segment_load(seg, err));
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, (size_t)1 << 30);
    uint32_t rows = 0;
    for (uint32_t s = 0; s < seg->dir.stripe_count; s++)
        for (uint32_t g = 0; g < seg->dir.stripes[s].granule_count; g++)
            for (uint32_t c = 0; c < seg->dir.column_count; c++) {
                struct yg_seg_values v;
                yg_rc rc = yg_segment_values(seg, s, g, c, arena, &v, err);
                if (rc != YG_OK)
                    return rc;
            }
    for (uint32_t g = 0; g < seg->dir.granule_count; g++) {
        struct yg_block *b;
        YG_TRY(yg_segment_block(seg, g, arena, &b, err));
        for (uint32_t r = 0; r < b->row_count; r++, rows++) {
            int64_t uid;
            char *text = block_row(b, r, &uid);
            const uint64_t *want = yg_map_get(&m->rows, yg_str_n((const char *)&uid, sizeof(uid)));
            if (want == NULL || strcmp(text, (const char *)(uintptr_t)*want) != 0)
                fail_msg("wrong data: %s", text);
            free(text);
        }
    }
    assert_int_equal(rows, m->rows.len);
    return YG_OK;
}

static yg_rc try_file(const struct model *m, const char *path, uint64_t bytes) {
    struct yg_err err = {0};
    struct yg_segment *seg = yg_segment_of_file(path);
    seg->id = 9;
    seg->track = YG_TRACK_LOGS;
    seg->bytes = bytes;
    yg_rc rc = read_all(m, seg, &err);
    if (rc != YG_OK && (rc != YG_ECORRUPT || strstr(err.text, path) == NULL))
        fail_msg("%s: %s", yg_rc_name(rc), err.text);
    yg_segment_unref(seg);
    return rc;
}

static void every_damaged_byte_is_noticed_or_harmless(void **state) {
    (void)state;
    char path[] = "/tmp/yg-t-segment-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct rng r = {14};
    struct model m = MODEL();
    struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 90, 0, 1);
    model_add(&m, b);
    struct yg_columns *cs = columns_of(b);
    uint32_t *order = shuffled(&r, 90);
    write_file(path, cs, order, 60);
    int64_t size;
    OK(yg_file_size(fd, &size, err));
    assert_int_equal(try_file(&m, path, (uint64_t)size), YG_OK);
    uint32_t noticed = 0;
    for (int64_t at = 0; at < size; at++) {
        static const unsigned char masks[] = {0xff, 0x01, 0x80};
        unsigned char good, bad;
        assert_int_equal(pread(fd, &good, 1, at), 1);
        bad = good ^ masks[at % 3];
        assert_int_equal(pwrite(fd, &bad, 1, at), 1);
        noticed += try_file(&m, path, (uint64_t)size) != YG_OK;
        assert_int_equal(pwrite(fd, &good, 1, at), 1);
    }
    assert_true(noticed > (uint32_t)size / 10 * 8); // the rest is padding
    for (int64_t len = size - 1; len >= 0; len -= 1 + len / 97) {
        assert_int_equal(ftruncate(fd, len), 0);
        assert_int_equal(try_file(&m, path, (uint64_t)size), YG_ECORRUPT);
        assert_int_equal(try_file(&m, path, 0), YG_ECORRUPT);
    }
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(try_file(&m, path, (uint64_t)size), YG_ECORRUPT); // gone: named, too
    free(order);
    yg_columns_destroy(cs);
    yg_batch_destroy(b);
    model_fini(&m);
}

// The same without checksums in the way: the decoder itself must not trust lengths and codes.
static void a_decoder_survives_any_bytes(void **state) {
    (void)state;
    struct rng r = {15};
    struct model m = MODEL();
    struct yg_batch *b = random_batch(&r, YG_TRACK_LOGS, 200, 0, 1);
    struct yg_columns *cs = columns_of(b);
    struct yg_segment *seg = write_memory(cs, NULL); // memory segments skip chunk checksums
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    uint64_t end = 0;
    for (uint32_t c = 0; c < seg->dir.column_count; c++) {
        const struct yg_seg_entry *e =
            yg_segment_entry(yg_segment_record(&seg->dir.stripes[0], c), 0);
        end = e->count && e->offset + e->stored_bytes > end ? e->offset + e->stored_bytes : end;
    }
    uint32_t refused = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t at = YG_SEG_HEADER_BYTES + rng_next(&r) % (end - YG_SEG_HEADER_BYTES);
        char good = seg->mem.ptr[at];
        seg->mem.ptr[at] = (char)rng_next(&r);
        yg_arena_reset(arena);
        for (uint32_t c = 0; c < seg->dir.column_count; c++) {
            struct yg_seg_values v;
            struct yg_err err = {0};
            refused += yg_segment_values(seg, 0, 0, c, arena, &v, &err) != YG_OK;
        }
        seg->mem.ptr[at] = good;
    }
    assert_true(refused > 0);
    yg_segment_unref(seg);
    yg_columns_destroy(cs);
    yg_batch_destroy(b);
    model_fini(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_and_files_give_back_what_was_written),
        cmocka_unit_test(segments_join),
        cmocka_unit_test(stripes_are_copied),
        cmocka_unit_test(numbers_at_their_limits),
        cmocka_unit_test(every_damaged_byte_is_noticed_or_harmless),
        cmocka_unit_test(a_decoder_survives_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
