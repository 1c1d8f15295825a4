// SPDX-License-Identifier: Apache-2.0
// Candidates: no granule with a matching row is ever left out, and words of a search are words of
// every text that it finds. Random texts of the characters that make trouble.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "filter/internal.h"
#include "model/batch.h"

#define OK(call) assert_int_equal((call), YG_OK)
static struct yg_err err;
static uint64_t seed = 7;

static uint32_t below(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static const char *const parts[] = {
    "3f2a1b4c-0d9e-4f11-8a22-0123456789ab",
    "12345678-1234-1234-1234-123456789012",
    "3F2A1B4C",
    "0d9e",
    "4f11",
    "012345678901",
    "12345678",
    "-",
    "-",
    "-",
    " ",
    " ",
    ".",
    "_",
    "user1",
    "U2",
    "req-17",
    "a",
    "B",
    "7",
    "42",
    "1234",
    "\xe2\x84\xaa"
    "1",
    "\xc5\xbf"
    "9",
    "\xc4\xb0"
    "3",
    "\xe6\x97\xa5\xe6\x9c\xac",
    "\xe6\x97\xa5"
    "55",
    "\xc3\x89T9",
    "\xc3\xa9t9",
    "\xff",
    "\x80"
    "77",
    "\xcc\x81",
    "\xd9\xa3",
    "id=",
    ":",
    "abc123def",
    "deadbeef",
    "1234567890123456789",
};

static yg_str random_text(char *out, uint32_t most) {
    size_t n = 0;
    for (uint32_t k = below(most + 1); k > 0; k--) {
        yg_str p = yg_str_c(parts[below(sizeof(parts) / sizeof(parts[0]))]);
        memcpy(out + n, p.ptr, p.len);
        n += p.len;
    }
    return (yg_str){out, n};
}

// A piece of a text, now and then with wildcards or other case in it.
static yg_str random_search(yg_str text, char *out, bool wild) {
    size_t from = text.len ? below((uint32_t)text.len) : 0;
    size_t len = text.len > from ? 1 + below((uint32_t)(text.len - from)) : 0;
    yg_str cut = yg_str_sub(text, from, from + len);
    size_t n = 0;
    for (size_t i = 0; i < cut.len; i++) {
        char c = cut.ptr[i];
        uint32_t dice = below(24);
        if (wild && dice == 0)
            out[n++] = YG_WILD_RUN;
        else if (wild && dice == 1)
            out[n++] = YG_WILD_ONE;
        if (dice == 2 && c >= 'a' && c <= 'z')
            c = (char)(c - 32);
        if (!(wild && dice <= 1 && (uint8_t)c < 0x80))
            out[n++] = c;
    }
    return (yg_str){out, n};
}

static bool has_word(const struct yg_words *w, yg_str word) {
    for (uint32_t i = 0; i < w->count; i++)
        if (yg_str_eq((yg_str){w->folded + w->list[i].at, w->list[i].len}, word))
            return true;
    return false;
}

static void test_folding_keeps_borders(void **state) {
    (void)state;
    for (uint32_t cp = 1; cp <= 0x10ffff; cp++) {
        uint32_t to = yg_text_fold(cp);
        if (to != cp && (yg_utf8_is_word(cp) != yg_utf8_is_word(to) ||
                         yg_text_unspaced(cp) != yg_text_unspaced(to)))
            fail_msg("U+%04X folds to U+%04X of another class", cp, to);
    }
}

static void test_words_of_searches(void **state) {
    (void)state;
    struct yg_words text_words = {0}, search_words = {0};
    struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 16u << 20);
    char text_bytes[2048], search_bytes[4096];
    uint32_t matched = 0, asked = 0;
    for (uint32_t i = 0; i < 60000; i++) {
        bool wild = below(3) == 0;
        yg_str text = random_text(text_bytes, 12);
        yg_str search = random_search(text, search_bytes, wild);
        struct yg_pattern p;
        OK(yg_pattern_compile(search, wild, true, true, arena, &p, &err));
        if (search.len > 0 && yg_pattern_match(&p, text)) {
            matched++;
            yg_words_read(&text_words, text, false);
            yg_words_read(&search_words, search, wild);
            for (uint32_t k = 0; k < search_words.count; k++) {
                yg_str word = {search_words.folded + search_words.list[k].at,
                               search_words.list[k].len};
                if (!search_words.list[k].sure)
                    continue;
                asked++;
                if (!has_word(&text_words, word))
                    fail_msg("\"%.*s\" finds \"%.*s\", which lacks \"%.*s\"", YG_STR_FMT(search),
                             YG_STR_FMT(text), YG_STR_FMT(word));
            }
        }
        yg_arena_reset(arena);
    }
    assert_true(matched > 10000 && asked > 3000);
    yg_words_fini(&text_words);
    yg_words_fini(&search_words);
    yg_arena_destroy(arena);
}

static void test_words_of_texts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *words; // each followed by a blank
    } cases[] = {
        {"", ""},
        {"no digits here", ""},
        {"a1 ab12 x_9_Y", "ab12 x_9_y "},
        {"RequestId: 3F2A1B4C-0d9e-4f11-8a22-0123456789ab.",
         "3f2a1b4c-0d9e-4f11-8a22-0123456789ab "},
        {"12345678-1234-1234-1234-123456789012",
         "12345678-1234-1234-1234-123456789012 12345678 123456789012 "},
        {"abcdefab-cdef-abcd-efab-abcdefabcde1", "abcdefab-cdef-abcd-efab-abcdefabcde1 "},
        {"x3f2a1b4c-0d9e-4f11-8a22-0123456789ab", "x3f2a1b4c 0d9e 4f11 8a22 0123456789ab "},
        {"\xe6\x97\xa5"
         "555\xe6\x97\xa5"
         "777",
         "555 777 "},
        {"\xe2\x84\xaa"
         "99",
         "k99 "},
        {"T\xc3\x89"
         "10",
         "t\xc3\xa9"
         "10 "},
        {"0123456789012345678901234567890123456789012345678901234567890123 "
         "01234567890123456789012345678901234567890123456789012345678901234",
         "0123456789012345678901234567890123456789012345678901234567890123 "},
    };
    struct yg_words w = {0};
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char got[512];
        size_t n = 0;
        yg_words_read(&w, yg_str_c(cases[i].text), false);
        for (uint32_t k = 0; k < w.count; k++)
            n += (size_t)snprintf(got + n, sizeof(got) - n, "%.*s ", (int)w.list[k].len,
                                  w.folded + w.list[k].at);
        got[n] = '\0';
        assert_string_equal(got, cases[i].words);
    }
    yg_words_fini(&w);
}

// ------------------------------------------------------------ granules

#define GRANULES 70u
struct data {
    struct yg_arena *arena;
    struct yg_batch *batches[GRANULES];
    struct yg_block *blocks[GRANULES];
};

static void each_value(const struct data *d, yg_str column, enum yg_type type, uint64_t *bits,
                       bool (*fits)(const struct yg_batch_col *c, uint32_t k, const void *arg),
                       const void *arg) {
    for (uint32_t g = 0; g < GRANULES; g++) {
        const struct yg_batch_col *c = yg_batch_find(d->batches[g], column, type);
        for (uint32_t k = 0; c && k < c->count; k++)
            if (fits(c, k, arg))
                yg_bits_set(bits, g);
    }
}

static bool in_range(const struct yg_batch_col *c, uint32_t k, const void *arg) {
    const double *range = arg;
    if (range == NULL)
        return true;
    double v = c->type == YG_T_F64 ? c->f64[k] : (double)c->i64[k];
    return v >= range[0] && v <= range[1];
}
static bool equals(const struct yg_batch_col *c, uint32_t k, const void *arg) {
    return yg_str_eq(yg_batch_col_str(c, k), *(const yg_str *)arg);
}
static bool same_low(const struct yg_batch_col *c, uint32_t k, const void *arg) {
    return c->ids[k].lo == ((const yg_id128 *)arg)->lo;
}
static bool holds_word(const struct yg_batch_col *c, uint32_t k, const void *arg) {
    struct yg_words w = {0};
    yg_words_read(&w, yg_batch_col_str(c, k), false);
    bool has = has_word(&w, *(const yg_str *)arg);
    yg_words_fini(&w);
    return has;
}

static void present(void *ctx, yg_str column, enum yg_type type, const double range[2],
                    uint64_t *bits) {
    each_value(ctx, column, type, bits, in_range, range);
}
static void value(void *ctx, yg_str column, yg_str text, uint64_t *bits) {
    each_value(ctx, column, YG_T_STR, bits, equals, &text);
}
static void id(void *ctx, yg_str column, yg_id128 wanted, uint64_t *bits) {
    each_value(ctx, column, YG_T_ID, bits, same_low, &wanted);
}
struct fit {
    bool (*fits)(void *arg, yg_str value);
    void *arg;
};
static bool fit_value(const struct yg_batch_col *c, uint32_t k, const void *arg) {
    const struct fit *f = arg;
    return f->fits(f->arg, yg_batch_col_str(c, k));
}
static void matching(void *ctx, yg_str column, bool (*fits)(void *arg, yg_str value), void *arg,
                     uint64_t *bits) {
    each_value(ctx, column, YG_T_STR, bits, fit_value, &(struct fit){fits, arg});
}
static void word(void *ctx, yg_str column, yg_str folded_word, uint64_t *bits) {
    each_value(ctx, column, YG_T_STR, bits, holds_word, &folded_word);
}

static void make_row(struct yg_batch *b, uint32_t n) {
    uint32_t r;
    char *text = yg_arena_alloc(b->arena, 1024), small[32];
    OK(yg_batch_row(b, &r, &err));
    OK(yg_batch_set_i64(b, YG_STR("timestamp"), n, &err));
    if (below(4))
        OK(yg_batch_set_str(b, YG_STR("message"), random_text(text, 10), &err));
    if (below(3) == 0)
        OK(yg_batch_set_id(b, YG_STR("trace_id"), (yg_id128){below(3), below(50)}, &err));
    snprintf(small, sizeof(small), "%u", below(60));
    yg_str digits = yg_arena_str(b->arena, yg_str_c(small));
    switch (below(7)) {
    case 0:
        OK(yg_batch_set_i64(b, YG_STR("@n"), below(60), &err));
        break;
    case 1:
        OK(yg_batch_set_f64(b, YG_STR("@n"), below(120) / 2.0, &err));
        break;
    case 2:
        OK(yg_batch_set_str(b, YG_STR("@n"), digits, &err));
        break;
    case 3:
        OK(yg_batch_set_json(b, YG_STR("@n"), yg_arena_printf(b->arena, "[%u]", below(60)), &err));
        break;
    case 4:
        OK(yg_batch_set_bool(b, YG_STR("@n"), below(2), &err));
        break;
    case 5:
        OK(yg_batch_set_str(b, YG_STR("tags"), yg_arena_printf(b->arena, "k:%u", below(60)), &err));
        break;
    default:
        OK(yg_batch_set_json(b, YG_STR("@o"), yg_arena_printf(b->arena, "{\"n\":%u}", below(60)),
                             &err));
    }
}

static void data_init(struct data *d) {
    d->arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    for (uint32_t g = 0; g < GRANULES; g++) {
        d->batches[g] = yg_batch_create(YG_TRACK_LOGS, 16u << 20);
        for (uint32_t r = 0; r < 3; r++)
            make_row(d->batches[g], g * 10 + r);
        OK(yg_block_of_batch(d->batches[g], d->arena, &d->blocks[g], &err));
    }
}

static void random_term(struct yg_buf *q) {
    char text[1024], cut[2048];
    uint32_t n = below(60);
    switch (below(10)) {
    case 0:
        yg_buf_printf(q, "@n:%u", n);
        return;
    case 1:
        yg_buf_printf(q, "@n:[%u TO %u]", n, n + below(3));
        return;
    case 2:
        yg_buf_printf(q, "trace_id:%u", n);
        return;
    case 3:
        yg_buf_printf(q, "k:%u", n);
        return;
    case 4:
        yg_buf_printf(q, "@o.n:%u", n);
        return;
    case 5:
        yg_buf_printf(q, "@n:(%u OR %u OR true)", n, n / 2);
        return;
    case 6:
        yg_buf_puts(q, YG_STR("@o:*"));
        return;
    default:
        break;
    }
    yg_str s = random_search(random_text(text, 5), cut, false);
    yg_buf_puts(q, below(3) ? YG_STR("\"") : YG_STR("message:\""));
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"' || s.ptr[i] == '\\')
            yg_buf_putc(q, '\\');
        yg_buf_putc(q, s.ptr[i]);
    }
    yg_buf_puts(q, s.len ? YG_STR("\"") : YG_STR("x\""));
}

static void test_candidates(void **state) {
    (void)state;
    struct data d;
    data_init(&d);
    struct yg_granules g = {YG_TRACK_LOGS, GRANULES, present, value, id, word, matching, &d};
    uint32_t found = 0, skipped = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        struct yg_buf q = YG_BUF(YG_MEM_QUERY, 65536);
        struct yg_node *tree;
        struct yg_filter *f;
        for (uint32_t k = 1 + below(3); k > 0; k--) {
            yg_buf_puts(&q, below(6) ? YG_STR("") : YG_STR("-"));
            random_term(&q);
            yg_buf_puts(&q, k == 1 ? YG_STR("") : below(2) ? YG_STR(" AND ") : YG_STR(" OR "));
        }
        struct yg_arena *arena = yg_arena_create(YG_MEM_QUERY, 4u << 20);
        OK(yg_search_parse(yg_buf_str(&q), &(struct yg_search_options){.track = YG_TRACK_LOGS},
                           arena, &tree, &err));
        OK(yg_filter_compile(tree, (struct yg_time_range){0, INT64_MAX}, &f, &err));
        uint64_t bits[YG_BITS_WORDS(GRANULES)], rows[1];
        OK(yg_filter_granules(f, &g, bits, &err));
        for (uint32_t n = 0; n < GRANULES; n++) {
            OK(yg_filter_run(f, d.blocks[n], rows, &err));
            bool some = yg_bits_any(rows, d.blocks[n]->row_count);
            found += some;
            skipped += !yg_bits_get(bits, n);
            if (some && !yg_bits_get(bits, n))
                fail_msg("granule %u holds rows of %.*s", n, (int)q.len, q.ptr);
        }
        yg_filter_destroy(f);
        yg_arena_destroy(arena);
        yg_buf_fini(&q);
    }
    assert_true(found > 10000 && skipped > 10000);
    for (uint32_t n = 0; n < GRANULES; n++)
        yg_batch_destroy(d.batches[n]);
    yg_arena_destroy(d.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folding_keeps_borders),
        cmocka_unit_test(test_words_of_searches),
        cmocka_unit_test(test_words_of_texts),
        cmocka_unit_test(test_candidates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
