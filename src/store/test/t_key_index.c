// SPDX-License-Identifier: Apache-2.0
// The key index against a plain map: nothing is ever missed, damage never loses a row, copied
// stripes keep their keys.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/bits.h"
#include "filter/filter.h"
#include "store/key_index.h"

#define GRANULES 200u

static uint64_t seed = 1;

static uint32_t below(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

// A "file": parts and section one after the other, behind some bytes of another kind.
struct file {
    struct yg_buf bytes;
    uint64_t section_at;
    uint32_t reads;
    bool broken; // every read fails
};

static yg_rc file_read(void *ctx, void *out, size_t len, uint64_t at, struct yg_err *err) {
    struct file *f = ctx;
    f->reads++;
    if (f->broken)
        return yg_fail(err, YG_EIO, "broken on purpose");
    assert_true(at + len <= f->bytes.len);
    memcpy(out, f->bytes.ptr + at, len);
    return YG_OK;
}

static void file_init(struct file *f) {
    *f = (struct file){.bytes = YG_BUF(YG_MEM_STORE, 64u << 20)};
    yg_buf_put(&f->bytes, "64 bytes that stand where the header of a segment stands.......", 64);
}

static void file_end(struct file *f, struct yg_key_builder *b, uint32_t granules) {
    struct yg_err err;
    assert_int_equal(
        yg_key_builder_write(b, f->bytes.len, granules, &f->bytes, &f->section_at, &err), YG_OK);
}

static yg_rc file_open(struct file *f, uint32_t granules, struct yg_key_index *ret,
                       struct yg_err *err) {
    yg_str section = yg_str_sub(yg_buf_str(&f->bytes), f->section_at, f->bytes.len);
    struct yg_key_io io = {file_read, f};
    assert_int_equal((uintptr_t)section.ptr % 8, 0);
    return yg_key_index_open(section, granules, f->section_at, &io, ret, err);
}

// Values of one column in one granule, kept to be asked for.
struct entry {
    char text[64];
    bool in[GRANULES];
};

#define TEXTS 3000u
struct world {
    struct entry *texts; // values of "@id", by number
    yg_id128 ids[TEXTS];
    bool id_in[TEXTS][GRANULES];
};

static struct world *world_new(void) {
    struct world *w = calloc(1, sizeof(*w));
    w->texts = calloc(TEXTS, sizeof(*w->texts));
    assert_non_null(w->texts);
    for (uint32_t i = 0; i < TEXTS; i++) {
        char *t = w->texts[i].text;
        switch (i % 4) {
        case 0:
            snprintf(t, 64, "%08x-%04x-%04x-%04x-%08x%04x", i * 2654435761u, i & 0xffff, 7u, 9u,
                     i * 40503u, i & 0xffff);
            break;
        case 1:
            snprintf(t, 64, "user-%u", i);
            break;
        case 2:
            snprintf(t, 64, "%u%012u", i + 1000, i * 7919);
            break;
        default:
            snprintf(t, 64, "%032x", i * 97u);
        }
        w->ids[i] = (yg_id128){i % 3 ? i : 0, (uint64_t)i * 0x9e3779b97f4a7c15u};
    }
    return w;
}

static void world_free(struct world *w) {
    free(w->texts);
    free(w);
}

static void fill_granule(struct world *w, struct yg_key_builder *b, uint32_t granule) {
    yg_str strs[64];
    yg_id128 ids[64];
    uint32_t n = 1 + below(64);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t t = below(TEXTS), d = below(TEXTS);
        strs[i] = yg_str_c(w->texts[t].text);
        w->texts[t].in[granule] = true;
        ids[i] = w->ids[d];
        w->id_in[d][granule] = true;
    }
    struct yg_key_input in = {.column = YG_STR("@id"),
                              .type = YG_T_STR,
                              .granule = granule,
                              .count = n,
                              .many_values = true,
                              .strs = strs};
    yg_key_builder_add(b, &in);
    in = (struct yg_key_input){
        .column = YG_STR("trace_id"), .type = YG_T_ID, .granule = granule, .count = n, .ids = ids};
    yg_key_builder_add(b, &in);
}

static void fill(struct world *w, struct file *f, uint32_t granules, uint32_t stripe) {
    struct yg_key_builder *b = yg_key_builder_create();
    struct yg_err err;
    file_init(f);
    for (uint32_t g = 0; g < granules; g++) {
        fill_granule(w, b, g);
        if (g % stripe == stripe - 1)
            assert_int_equal(yg_key_builder_stripe(b, f->bytes.len, &f->bytes, &err), YG_OK);
    }
    file_end(f, b, granules);
    yg_key_builder_destroy(b);
}

// Nothing missed; returns how many granules were named too many. shift: granule g of the world is
// g + shift of the index.
static uint32_t check(struct world *w, const struct yg_key_index *index, uint32_t first,
                      uint32_t granules, uint32_t shift) {
    struct yg_err err;
    uint32_t wrong = 0;
    for (uint32_t t = 0; t < TEXTS; t++) {
        uint64_t bits[2][YG_BITS_WORDS(GRANULES * 2)] = {{0}};
        uint32_t key = yg_key_of_value(YG_STR("@id"), yg_str_c(w->texts[t].text));
        assert_int_equal(yg_key_index_find(index, key, bits[0], &err), YG_OK);
        assert_int_equal(yg_key_index_find(index, yg_key_of_id(w->ids[t]), bits[1], &err), YG_OK);
        for (uint32_t g = first; g < first + granules; g++) {
            bool found = yg_bits_get(bits[0], g + shift), id = yg_bits_get(bits[1], g + shift);
            assert_true(found || !w->texts[t].in[g]);
            assert_true(id || !w->id_in[t][g]);
            wrong += (uint32_t)(found && !w->texts[t].in[g]) + (uint32_t)(id && !w->id_in[t][g]);
        }
    }
    return wrong;
}

static void test_finds(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 64, 97, 200};
    for (uint32_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct world *w = world_new();
        struct file f;
        struct yg_key_index index;
        struct yg_err err;
        fill(w, &f, sizes[s], 16);
        assert_int_equal(file_open(&f, sizes[s], &index, &err), YG_OK);
        assert_int_equal(index.part_count, (sizes[s] + 95) / 96);
        uint32_t wrong = check(w, &index, 0, sizes[s], 0);
        assert_true(wrong < 10); // 6,000 look-ups of 28 bits among ≤ 25,000 keys
        assert_true(yg_key_index_covers(&index, YG_STR("@id"), YG_T_STR, YG_KEY_VALUE));
        assert_true(yg_key_index_covers(&index, YG_STR("trace_id"), YG_T_ID, YG_KEY_VALUE));
        assert_false(yg_key_index_covers(&index, YG_STR("@id"), YG_T_STR, YG_KEY_WORD));
        assert_false(yg_key_index_covers(&index, YG_STR("@i"), YG_T_STR, YG_KEY_VALUE));
        yg_key_index_close(&index);
        yg_buf_fini(&f.bytes);
        world_free(w);
    }
}

static void test_copy(void **state) {
    (void)state;
    struct world *w = world_new();
    struct file from, to;
    struct yg_key_index index, copied;
    struct yg_err err;
    fill(w, &from, 150, 30);
    assert_int_equal(file_open(&from, 150, &index, &err), YG_OK);
    struct yg_key_builder *b = yg_key_builder_create();
    file_init(&to);
    assert_int_equal(yg_key_builder_copy(b, &index, 40, 80, 45, &err), YG_OK); // spans two parts
    assert_int_equal(yg_key_builder_stripe(b, to.bytes.len, &to.bytes, &err), YG_OK);
    file_end(&to, b, 130);
    yg_key_builder_destroy(b);
    assert_int_equal(file_open(&to, 130, &copied, &err), YG_OK);
    assert_true(check(w, &copied, 40, 80, 5) < 10);
    const uint64_t *covered = yg_key_index_covered(&copied, YG_STR("@id"), YG_T_STR, YG_KEY_VALUE);
    for (uint32_t g = 0; g < 130; g++)
        assert_int_equal(yg_bits_get(covered, g), g >= 45 && g < 125);
    assert_false(yg_key_index_covers(&copied, YG_STR("@id"), YG_T_STR, YG_KEY_VALUE));
    yg_key_index_close(&copied);
    yg_key_index_close(&index);
    yg_buf_fini(&from.bytes);
    yg_buf_fini(&to.bytes);
    world_free(w);
}

// Every byte of section and parts turned: refused, or every look-up still finds what there is (the
// footer's hash covers the section; here only what the index checks by itself is tried).
static void test_damage(void **state) {
    (void)state;
    struct world *w = world_new();
    struct file f;
    struct yg_err err;
    fill(w, &f, 6, 3);
    uint32_t refused = 0, named = 0;
    for (size_t i = 64; i < f.section_at; i++) { // parts
        f.bytes.ptr[i] ^= (char)(1 << (i % 8));
        struct yg_key_index index;
        if (file_open(&f, 6, &index, &err) != YG_OK) {
            refused++;
        } else {
            for (uint32_t t = 0; t < TEXTS; t += 7) {
                uint64_t bits[1] = {0};
                uint32_t key = yg_key_of_value(YG_STR("@id"), yg_str_c(w->texts[t].text));
                named += yg_key_index_find(&index, key, bits, &err) == YG_ECORRUPT;
                for (uint32_t g = 0; g < 6; g++)
                    assert_true(yg_bits_get(bits, g) || !w->texts[t].in[g]);
            }
            yg_key_index_close(&index);
        }
        f.bytes.ptr[i] ^= (char)(1 << (i % 8));
    }
    assert_true(refused > 0 && named > 0);
    for (size_t i = f.section_at; i < f.bytes.len; i++)
        for (int bit = 0; bit < 8; bit++) { // the section: no read outside of it, no crash
            f.bytes.ptr[i] ^= (char)(1 << bit);
            struct yg_key_index index;
            if (file_open(&f, 6, &index, &err) == YG_OK) {
                uint64_t bits[1] = {0};
                yg_rc rc = yg_key_index_find(&index, 12345, bits, &err);
                assert_true(rc == YG_OK || rc == YG_ECORRUPT);
                yg_key_index_close(&index);
            }
            f.bytes.ptr[i] ^= (char)(1 << bit);
        }
    for (size_t len = 0; len < f.bytes.len - f.section_at; len++) {
        struct yg_key_index index;
        struct yg_key_io io = {file_read, &f};
        yg_rc rc = yg_key_index_open((yg_str){f.bytes.ptr + f.section_at, len}, 6, f.section_at,
                                     &io, &index, &err);
        assert_int_equal(rc, len == 0 ? YG_OK : YG_ECORRUPT);
        yg_key_index_close(&index);
    }
    yg_buf_fini(&f.bytes);
    world_free(w);
}

static void test_unreadable(void **state) {
    (void)state;
    struct world *w = world_new();
    struct file f;
    struct yg_key_index index;
    struct yg_err err;
    fill(w, &f, 6, 3);
    assert_int_equal(file_open(&f, 6, &index, &err), YG_OK);
    f.broken = true;
    uint64_t bits[1] = {0};
    uint32_t key = yg_key_of_value(YG_STR("@id"), yg_str_c(w->texts[0].text));
    assert_int_equal(yg_key_index_find(&index, key, bits, &err), YG_EIO);
    assert_int_equal(bits[0], 0x3f);
    yg_key_index_close(&index);
    yg_buf_fini(&f.bytes);
    world_free(w);
}

static void test_words(void **state) {
    (void)state;
    static const char *const texts[] = {
        "START RequestId: 3f2a1b4c-0d9e-4f11-8a22-0123456789ab Version: $LATEST",
        "order ORD-48193 paid 17.50 EUR by user u_1234567",
        "trace 1234567890123456789 span 42",
    };
    struct yg_key_builder *b = yg_key_builder_create();
    struct file f;
    struct yg_key_index index;
    struct yg_err err;
    file_init(&f);
    for (uint32_t g = 0; g < 3; g++) {
        yg_str text = yg_str_c(texts[g]);
        struct yg_key_input in = {.column = YG_STR("message"),
                                  .type = YG_T_STR,
                                  .granule = g,
                                  .count = 1,
                                  .many_values = true,
                                  .strs = &text};
        yg_key_builder_add(b, &in);
    }
    file_end(&f, b, 3);
    yg_key_builder_destroy(b);
    assert_int_equal(file_open(&f, 3, &index, &err), YG_OK);
    static const struct {
        const char *word;
        uint64_t granules;
    } asked[] = {
        {"3f2a1b4c-0d9e-4f11-8a22-0123456789ab", 1},
        {"48193", 2},
        {"u_1234567", 2},
        {"1234567890123456789", 4},
        {"4f11", 0},
        {"start", 0},
        {"99999", 0},
    };
    for (uint32_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        uint64_t bits[1] = {0};
        uint32_t key = yg_key_of_word(YG_STR("message"), yg_str_c(asked[i].word));
        assert_int_equal(yg_key_index_find(&index, key, bits, &err), YG_OK);
        assert_int_equal(bits[0], asked[i].granules);
    }
    // The key of an id in a text is that of the same id in its own column.
    assert_int_equal(yg_key_of_word(YG_STR("message"), YG_STR("1234567890123456789")),
                     yg_key_of_id((yg_id128){7, 1234567890123456789u}));
    assert_int_equal(
        yg_key_of_value(YG_STR("@request_id"), YG_STR("3F2A1B4C-0D9E-4F11-8A22-0123456789AB")),
        yg_key_of_word(YG_STR("message"), YG_STR("3f2a1b4c-0d9e-4f11-8a22-0123456789ab")));
    assert_int_not_equal(yg_key_of_value(YG_STR("@a"), YG_STR("user-1")),
                         yg_key_of_value(YG_STR("@b"), YG_STR("user-1")));
    assert_true(yg_key_index_covers(&index, YG_STR("message"), YG_T_STR, YG_KEY_WORD));
    yg_key_index_close(&index);
    yg_buf_fini(&f.bytes);
}

// More keys than wait at most: what came too late is not covered, nothing else.
static void test_bounded(void **state) {
    (void)state;
    struct yg_key_builder *b = yg_key_builder_create();
    struct file f;
    struct yg_key_index index;
    struct yg_err err;
    file_init(&f);
    yg_str *strs = calloc(8192, sizeof(*strs));
    char *text = malloc(8192 * 16);
    for (uint32_t g = 0; g < 600; g++) {
        for (uint32_t i = 0; i < 8192; i++) {
            int len = snprintf(text + i * 16, 16, "v%u.%u", g, i);
            strs[i] = (yg_str){text + i * 16, (size_t)len};
        }
        struct yg_key_input in = {.column = YG_STR("@v"),
                                  .type = YG_T_STR,
                                  .granule = g,
                                  .count = 8192,
                                  .many_values = true,
                                  .strs = strs};
        yg_key_builder_add(b, &in);
    }
    file_end(&f, b, 600);
    yg_key_builder_destroy(b);
    assert_int_equal(file_open(&f, 600, &index, &err), YG_OK);
    const uint64_t *covered = yg_key_index_covered(&index, YG_STR("@v"), YG_T_STR, YG_KEY_VALUE);
    uint32_t count = yg_bits_count(covered, 600);
    assert_true(count > 400 && count < 600);
    for (uint32_t g = 0; g < count; g += 13) {
        uint64_t bits[YG_BITS_WORDS(600)] = {0};
        snprintf(text, 16, "v%u.%u", g, g * 7);
        uint32_t key = yg_key_of_value(YG_STR("@v"), yg_str_c(text));
        assert_int_equal(yg_key_index_find(&index, key, bits, &err), YG_OK);
        assert_true(yg_bits_get(covered, g) && yg_bits_get(bits, g));
    }
    yg_key_index_close(&index);
    yg_buf_fini(&f.bytes);
    free(text);
    free(strs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds),  cmocka_unit_test(test_copy),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_words),  cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
