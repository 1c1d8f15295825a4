// SPDX-License-Identifier: Apache-2.0
// Stripes whose columns lean on each other: shapes, following values, parents as rows, texts
// without the row's own ids and numbers; and stripes of very many columns.
#include "store/merge.h"
#include "store/segment_lean.h"
#include "store/segment_rest.h"
#include "store/test/lean_rows.h"

// How often each encoding and kind of presence stands in the file.
struct seen {
    uint32_t encodings[256];
    uint32_t by_shape;
};

static struct seen look(struct yg_segment *seg, const char *path) {
    struct seen s = {0};
    int fd;
    OK(yg_file_open(path, O_RDONLY, &fd, err));
    for (uint32_t i = 0; i < seg->dir.stripe_count; i++)
        for (uint32_t k = 0; k < seg->dir.stripes[i].record_count; k++) {
            const struct yg_seg_record *rec = &seg->dir.stripes[i].records[k];
            for (uint32_t e = 0; e < rec->head.entry_count; e++) {
                struct yg_seg_chunk head;
                ssize_t got = pread(fd, &head, sizeof(head), (off_t)rec->entries[e].offset);
                assert_int_equal(got, sizeof(head));
                s.encodings[rec->entries[e].encoding]++;
                s.by_shape += (head.flags & YG_CHUNK_F_PRESENCE) == YG_PRESENCE_SHAPE;
            }
        }
    yg_file_close(&fd);
    return s;
}

static void copy_file(const char *from, const char *to) {
    struct yg_segment *seg = yg_segment_of_file(from);
    struct yg_seg_summary sum;
    int fd;
    OK(yg_segment_load(seg, err));
    OK(yg_file_open(to, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    struct yg_seg_writer_options o = {.track = seg->track, .day = 20000, .segment_id = 9, .fd = fd};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    for (uint32_t s = 0; s < seg->dir.stripe_count; s++)
        OK(yg_seg_writer_copy_stripe(w, seg, s, err));
    OK(yg_seg_writer_finish(w, &sum, err));
    yg_seg_writer_destroy(w);
    yg_file_close(&fd);
    yg_segment_unref(seg);
}

// The file at `path` joined into a set again and written as a memory segment.
static void check_joined(const struct model *m, const char *path, enum yg_track track) {
    struct yg_segment *seg = yg_segment_of_file(path);
    struct yg_columns *cs = yg_columns_create(track, YG_MEM_STORE, (size_t)1 << 30);
    OK(yg_segment_load(seg, err));
    OK(yg_columns_want_segment(cs, seg, err));
    OK(yg_columns_alloc(cs, err));
    OK(yg_columns_add_segment(cs, seg, NULL, err));
    struct yg_segment *memory = write_memory(cs, NULL);
    check_segment(m, memory);
    yg_segment_unref(memory);
    yg_columns_destroy(cs);
    yg_segment_unref(seg);
}

// Two files with the same rows merged, half of the rows from each.
static void check_merged(const struct model *m, char *const paths[2], const char *to) {
    struct yg_segment *segs[2];
    uint64_t *keep[2];
    for (uint32_t i = 0; i < 2; i++) {
        segs[i] = yg_segment_of_file(paths[i]);
        OK(yg_segment_load(segs[i], err));
        keep[i] = calloc(segs[i]->row_count / 64 + 1, 8);
        assert_non_null(keep[i]);
        for (uint32_t r = 0; r < segs[i]->row_count; r++)
            if (r % 2 == i)
                yg_bits_set(keep[i], r);
    }
    struct yg_merge_source source;
    struct yg_seg_summary sum;
    int fd;
    OK(yg_merge_source_init(&source, segs, 2, keep, err));
    OK(yg_merge_source_sort(&source, err));
    assert_int_equal(source.kept, segs[0]->row_count);
    OK(yg_file_open(to, O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    struct yg_seg_writer_options o = {
        .track = segs[0]->track, .day = 20000, .segment_id = 9, .fd = fd, .final = true};
    struct yg_seg_writer *w = yg_seg_writer_create(&o);
    yg_merge_source_window(&source, 0, source.kept / 3);
    OK(yg_seg_writer_stripe(w, &source.stripe, err));
    yg_merge_source_window(&source, source.kept / 3, source.kept - source.kept / 3);
    OK(yg_seg_writer_stripe(w, &source.stripe, err));
    OK(yg_seg_writer_finish(w, &sum, err));
    yg_seg_writer_destroy(w);
    yg_file_close(&fd);
    yg_merge_source_fini(&source);
    for (uint32_t i = 0; i < 2; i++) {
        yg_segment_unref(segs[i]);
        free(keep[i]);
    }
    struct yg_segment *seg = yg_segment_of_file(to);
    check_segment(m, seg);
    yg_segment_unref(seg);
}

// Through memory, a file of two stripes, a copy of it, and a join of that.
static void check_batches(struct yg_batch **take_batches, uint32_t n, char path[64],
                          struct seen *ret_seen) {
    struct model m = MODEL();
    char copy[64];
    (void)snprintf(path, 64, "/tmp/yg-t-lean-%d", (int)getpid());
    (void)snprintf(copy, 64, "/tmp/yg-t-lean-copy-%d", (int)getpid());
    struct yg_columns_part parts[2] = {0};
    struct yg_columns *cs;
    for (uint32_t i = 0; i < n; i++) {
        model_add(&m, take_batches[i]);
        parts[i] = (struct yg_columns_part){take_batches[i], NULL, take_batches[i]->row_count};
    }
    OK(yg_columns_of_parts(take_batches[0]->track, parts, n, &cs, err));
    struct yg_segment *seg = write_memory(cs, NULL);
    check_segment(&m, seg);
    yg_segment_unref(seg);
    uint32_t *order = malloc(sizeof(*order) * cs->row_count);
    assert_non_null(order);
    for (uint32_t i = 0; i < cs->row_count; i++)
        order[i] = cs->row_count - 1 - i;
    write_file(path, cs, order, cs->row_count * 3 / 4);
    seg = yg_segment_of_file(path);
    check_segment(&m, seg);
    *ret_seen = look(seg, path);
    yg_segment_unref(seg);
    copy_file(path, copy);
    seg = yg_segment_of_file(copy);
    check_segment(&m, seg);
    yg_segment_unref(seg);
    check_joined(&m, copy, cs->track);
    char *both[2] = {path, copy}, merged[64];
    (void)snprintf(merged, sizeof(merged), "/tmp/yg-t-lean-merged-%d", (int)getpid());
    check_merged(&m, both, merged);
    (void)unlink(merged);
    (void)unlink(copy);
    free(order);
    yg_columns_destroy(cs);
    for (uint32_t i = 0; i < n; i++)
        yg_batch_destroy(take_batches[i]);
    model_fini(&m);
}

static void check_batch(struct yg_batch *take_batch, char path[64], struct seen *ret_seen) {
    check_batches(&take_batch, 1, path, ret_seen);
}

static void spans_follow_functions_and_parents(void **state) {
    (void)state;
    struct rng r = {21};
    char path[64];
    struct seen seen;
    check_batch(spans_batch(&r, 20000), path, &seen);
    assert_true(seen.encodings[YG_ENC_FOLLOW] >= 4);
    assert_true(seen.encodings[YG_ENC_PARENT_ROW] >= 2);
    assert_true(seen.by_shape >= 6);
    (void)unlink(path);
}

static void messages_leave_ids_and_numbers_out(void **state) {
    (void)state;
    struct rng r = {22};
    char path[64];
    struct seen seen;
    check_batch(logs_batch(&r, 12000), path, &seen);
    assert_true(seen.encodings[YG_ENC_STR_OWN] >= 2);
    struct yg_segment *seg = yg_segment_of_file(path);
    OK(yg_segment_load(seg, err));
    assert_int_equal(seg->dir.stripes[0].own_count, 4); // request, trace, milliseconds, size
    yg_segment_unref(seg);
    (void)unlink(path);
}

static void numbers_as_messages_write_them(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},   {12.5, "12.5"},       {0.07, "0.07"}, {3.14159, ""}, {-1, ""},
                 {1e12, ""}, {999.999, "999.999"}, {1024, "1024"}, {1e300, ""}};
    char text[YG_OWN_TEXT_BYTES];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = yg_own_double(cases[i].v, text);
        assert_int_equal(n, strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, n);
    }
    assert_int_equal(yg_own_integer(INT64_MIN, text), 20);
    assert_memory_equal(text, "-9223372036854775808", 20);
}

// ------------------------------------------------------------ very many columns

static void rare_columns_are_columns_still(void **state) {
    (void)state;
    struct rng r = {23};
    char path[64];
    struct seen seen;
    struct yg_batch *halves[2] = {wide_batch(&r, 700, 0, 2600), wide_batch(&r, 700, 2500, 2500)};
    check_batches(halves, 2, path, &seen);
    struct yg_segment *seg = yg_segment_of_file(path);
    OK(yg_segment_load(seg, err));
    uint32_t keys;
    OK(yg_segment_rest_count(seg, 0, &keys, err));
    assert_in_range(keys, 1500, 4500);
    assert_in_range(seg->dir.stripes[0].record_count, 1900, YG_SEG_COLUMNS_MAX + 2);
    assert_true(seg->dir.memory_bytes < (1u << 20));
    // By name, and with an honest "not known" for statistics.
    struct yg_rest_key key = yg_segment_rest_key(seg, 0, keys / 2);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    struct yg_block *b;
    struct yg_vec_stats stats;
    const struct yg_vec *v[YG_TYPE_COUNT];
    uint32_t n, found = 0;
    OK(yg_segment_block(seg, 0, arena, &b, err));
    OK(b->ops->columns(b, key.name, v, &n, err));
    for (uint32_t i = 0; i < n; i++)
        found += v[i]->type == key.type ? yg_bits_count(v[i]->present, b->row_count) : 0;
    assert_int_equal(found, key.count);
    b->ops->stats(b, key.name, key.type, &stats);
    assert_false(stats.known);
    OK(b->ops->columns(b, YG_STR("@no.such.key"), v, &n, err));
    assert_int_equal(n, 0);
    yg_segment_unref(seg);
    (void)unlink(path);
}

// ------------------------------------------------------------ damage

static uint32_t read_everything(struct yg_segment *seg) {
    uint32_t refused = 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, (size_t)1 << 30);
    for (uint32_t s = 0; s < seg->dir.stripe_count; s++) {
        uint32_t keys = 0;
        struct yg_err err = {0};
        refused += yg_segment_rest_count(seg, s, &keys, &err) != YG_OK;
        for (uint32_t g = 0; g < seg->dir.stripes[s].granule_count; g++)
            for (uint32_t c = 0; c < seg->dir.column_count + (keys ? 40 : 0); c++) {
                struct yg_seg_values v;
                refused += yg_segment_values(seg, s, g, c, arena, &v, &err) != YG_OK;
            }
    }
    return refused;
}

// Bytes of a file in memory, where checksums are not looked at: decoders alone must hold.
static void damage(struct yg_batch *take_batch, uint32_t tries) {
    struct rng r = {24};
    char path[64];
    struct seen seen;
    check_batch(take_batch, path, &seen);
    YG_AUTO(yg_buf) file = YG_BUF(YG_MEM_STORE, 64u << 20);
    OK(yg_file_read_all(path, &file, err));
    uint32_t refused = 0;
    for (uint32_t i = 0; i < tries; i++) {
        YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, 64u << 20);
        struct yg_segment *seg;
        OK(yg_buf_append(&bytes, yg_buf_str(&file), err));
        OK(yg_segment_of_bytes(&bytes, &seg, err));
        for (int k = 0; k < 40; k++) {
            uint64_t at = YG_SEG_HEADER_BYTES + rng_next(&r) % (seg->mem.len / 10 * 9);
            seg->mem.ptr[at] = (char)rng_next(&r);
        }
        refused += read_everything(seg);
        yg_segment_unref(seg);
    }
    assert_true(refused > 0);
    (void)unlink(path);
}

static void damaged_leaning_columns_are_errors(void **state) {
    (void)state;
    struct rng r = {25};
    damage(spans_batch(&r, 3000), 20);
    damage(logs_batch(&r, 2500), 20);
    damage(wide_batch(&r, 700, 0, 3000), 3);
}

// The shapes of a stripe made to follow a column whose presence they are.
static void columns_that_lean_in_a_ring_are_errors(void **state) {
    (void)state;
    struct rng r = {26};
    char path[64];
    struct seen seen;
    check_batch(spans_batch(&r, 20000), path, &seen);
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, 64u << 20);
    struct yg_segment *seg;
    OK(yg_file_read_all(path, &bytes, err));
    OK(yg_segment_of_bytes(&bytes, &seg, err));
    const struct yg_seg_stripe *st = &seg->dir.stripes[0];
    struct yg_seg_record *shapes = yg_segment_record(st, YG_RECORD_SHAPES);
    assert_non_null(shapes);
    for (uint32_t i = 0; i < st->record_count; i++) {
        const struct yg_seg_record *rec = &st->records[i];
        struct yg_seg_chunk head;
        memcpy(&head, seg->mem.ptr + rec->entries[0].offset, sizeof(head));
        if (rec->head.dict.stored_bytes && rec->head.parent == YG_COLUMN_NONE &&
            (head.flags & YG_CHUNK_F_PRESENCE) == YG_PRESENCE_SHAPE)
            shapes->head.parent = rec->head.column;
    }
    assert_int_not_equal(shapes->head.parent, YG_COLUMN_NONE);
    shapes->head.map = shapes->head.dict;
    for (uint32_t e = 0; e < shapes->head.entry_count; e++)
        seg->mem.ptr[shapes->entries[e].offset + offsetof(struct yg_seg_chunk, encoding)] =
            (char)YG_ENC_FOLLOW;
    assert_true(read_everything(seg) > 0);
    yg_segment_unref(seg);
    (void)unlink(path);
}

// Columns of a directory: (type, bytes of the name, name) each, in order and once.
static void columns_stand_in_order(void **state) {
    (void)state;
    static const struct {
        uint32_t types[2];
        const char *names[2];
        bool good;
    } cases[] = {
        {{YG_T_STR, YG_T_STR}, {"a", "b"}, true},  {{YG_T_STR, YG_T_I64}, {"a", "a"}, true},
        {{YG_T_STR, YG_T_STR}, {"a", "a"}, false}, {{YG_T_I64, YG_T_STR}, {"a", "a"}, false},
        {{YG_T_STR, YG_T_STR}, {"b", "a"}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint32_t counts[2] = {2, 0};
        struct yg_seg_dir d = {.bytes = yg_calloc(YG_MEM_CACHE, 1, 48)};
        memcpy(d.bytes, counts, 8);
        for (size_t k = 0; k < 2; k++) {
            const uint32_t head[2] = {cases[i].types[k], 1};
            memcpy(d.bytes + 8 + 16 * k, head, 8);
            d.bytes[16 + 16 * k] = cases[i].names[k][0];
        }
        assert_int_equal(yg_seg_dir_parse(&d, YG_SEG_VERSION, 40, 0, 0), cases[i].good);
        yg_seg_dir_fini(&d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_follow_functions_and_parents),
        cmocka_unit_test(messages_leave_ids_and_numbers_out),
        cmocka_unit_test(numbers_as_messages_write_them),
        cmocka_unit_test(rare_columns_are_columns_still),
        cmocka_unit_test(damaged_leaning_columns_are_errors),
        cmocka_unit_test(columns_that_lean_in_a_ring_are_errors),
        cmocka_unit_test(columns_stand_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
