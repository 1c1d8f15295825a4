// SPDX-License-Identifier: Apache-2.0
// Random searches over random rows against an evaluator that knows no columns, dictionaries, codes
// or wide instructions: one value at a time, one character at a time. The same rows stand in
// blocks of three forms: dictionaries, strings one behind the other, strings scattered.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "filter/internal.h"
#include "filter/kernels.h"

#define OK(call) assert_int_equal((call), YG_OK)
#define ROWS 333u
static struct yg_err err;
static uint64_t seed = 11;
static struct yg_arena *arena;

static uint32_t below(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

// ------------------------------------------------------------ rows

enum { MESSAGE, S_STR, S_I64, S_F64, S_BOOL, S_JSON, TAGS, TRACE, TIME, COLUMNS };
static const struct {
    const char *name;
    enum yg_type type;
} columns[COLUMNS] = {
    {"message", YG_T_STR}, {"@s", YG_T_STR},      {"@s", YG_T_I64},
    {"@s", YG_T_F64},      {"@s", YG_T_BOOL},     {"@s", YG_T_JSON},
    {"tags", YG_T_STR},    {"trace_id", YG_T_ID}, {"timestamp", YG_T_I64},
};
struct cell {
    bool has;
    struct yg_value v;
    yg_str element; // of a JSON array of one text and one number
    int64_t number;
};
static struct cell cells[ROWS][COLUMNS];

static const char *const parts[] = {
    "time",
    "Timeout",
    "out",
    "a",
    "B",
    "c",
    " ",
    " ",
    "-",
    "_",
    ".",
    "7",
    "42",
    "k",
    "S",
    "i",
    "\xe2\x84\xaa",
    "\xc5\xbf",
    "\xc4\xb0",
    "\xc3\xa9",
    "\xc3\x89",
    "\xce\xa3",
    "\xcf\x82",
    "\xe6\x97\xa5",
    "\xe6\x9c\xac",
    "\xff",
    "error",
    "ERROR",
    "x1",
};

static yg_str text_of(uint32_t most) {
    char out[512];
    size_t n = 0;
    for (uint32_t k = below(most + 1); k > 0; k--) {
        yg_str p = yg_str_c(parts[below(sizeof(parts) / sizeof(parts[0]))]);
        memcpy(out + n, p.ptr, p.len);
        n += p.len;
    }
    return yg_arena_str(arena, (yg_str){out, n});
}

static void make_rows(void) {
    for (uint32_t r = 0; r < ROWS; r++) {
        struct cell *c = cells[r];
        memset(c, 0, sizeof(*c) * COLUMNS);
        for (uint32_t k = 0; k < COLUMNS; k++) {
            c[k].has = k == TIME || below(3) > 0;
            c[k].v.type = columns[k].type;
        }
        c[MESSAGE].v.str = text_of(12);
        c[S_STR].v.str = below(3) ? text_of(2) : yg_arena_printf(arena, "%u.5", below(40));
        c[S_I64].v.i64 = below(8) ? (int64_t)below(60) - 10 : INT64_MAX - (int64_t)below(3);
        c[S_F64].v.f64 = below(90) / 4.0 - 5;
        c[S_BOOL].v.i64 = below(2);
        c[S_JSON].element = below(2) ? YG_STR("time") : YG_STR("Out k");
        c[S_JSON].number = below(50);
        c[S_JSON].v.str = yg_arena_printf(arena, "[\"%.*s\",%d]", YG_STR_FMT(c[S_JSON].element),
                                          (int)c[S_JSON].number);
        c[TAGS].v.str =
            yg_arena_printf(arena, "k:%s,k:%u,B", below(2) ? "Time" : "out\xc3\x89", below(9));
        c[TRACE].v.id = (yg_id128){below(2), below(40)};
        c[TIME].v.i64 = r;
    }
}

// ------------------------------------------------------------ blocks

enum form { DICTIONARY, ONE_RUN, SCATTERED, FORMS };
struct test_block {
    struct yg_block block;
    struct yg_vec vecs[COLUMNS];
};

static yg_rc block_columns(struct yg_block *b, yg_str name,
                           const struct yg_vec *ret_vecs[YG_TYPE_COUNT], uint32_t *ret_count,
                           struct yg_err *e) {
    (void)e;
    *ret_count = 0;
    for (uint32_t k = 0; k < COLUMNS; k++)
        if (yg_str_eq_c(name, columns[k].name))
            ret_vecs[(*ret_count)++] = &((struct test_block *)b)->vecs[k];
    return YG_OK;
}
static void block_stats(struct yg_block *b, yg_str name, enum yg_type type,
                        struct yg_vec_stats *ret_stats) {
    (void)b;
    (void)name;
    (void)type;
    *ret_stats = (struct yg_vec_stats){0};
}
static bool block_column_at(struct yg_block *b, uint32_t idx, yg_str *ret_name,
                            enum yg_type *ret_type) {
    (void)b;
    if (idx >= COLUMNS)
        return false;
    *ret_name = yg_str_c(columns[idx].name);
    *ret_type = columns[idx].type;
    return true;
}
static const struct yg_block_ops ops = {
    .columns = block_columns, .stats = block_stats, .column_at = block_column_at};

static void fill_strings(struct yg_vec *v, uint32_t column, enum form form) {
    static uint64_t uid = 1000;
    yg_str *strs = YG_NEW_N(arena, yg_str, ROWS);
    uint32_t *codes = YG_NEW_N(arena, uint32_t, ROWS), n = 0;
    char *run = yg_arena_alloc(arena, 1u << 18);
    size_t at = 0;
    for (uint32_t r = 0; r < ROWS; r++) {
        yg_str s = cells[r][column].v.str;
        if (!cells[r][column].has)
            continue;
        if (form == DICTIONARY) {
            uint32_t c = 0;
            while (c < n && !yg_str_eq(strs[c], s))
                c++;
            strs[c] = s;
            n += c == n;
            codes[r] = c;
        } else if (form == ONE_RUN) {
            memcpy(run + at, s.ptr ? s.ptr : "", s.len);
            strs[r] = (yg_str){run + at, s.len};
            at += s.len;
        } else {
            strs[r] = s;
        }
    }
    if (form != DICTIONARY) {
        v->strs = strs;
        return;
    }
    struct yg_dict *dict = YG_NEW(arena, struct yg_dict);
    *dict = (struct yg_dict){.uid = uid++, .count = n, .strs = strs};
    v->dict = dict;
    v->codes = codes;
}

static void fill_block(struct test_block *t, enum form form) {
    t->block = (struct yg_block){.ops = &ops,
                                 .track = YG_TRACK_LOGS,
                                 .row_count = ROWS,
                                 .min_time_ns = 0,
                                 .max_time_ns = ROWS - 1,
                                 .arena = arena};
    for (uint32_t k = 0; k < COLUMNS; k++) {
        struct yg_vec *v = &t->vecs[k];
        *v = (struct yg_vec){.type = columns[k].type};
        uint64_t *present = YG_NEW_N(arena, uint64_t, YG_BITS_WORDS(ROWS));
        int64_t *i64 = YG_NEW_N(arena, int64_t, ROWS);
        double *f64 = YG_NEW_N(arena, double, ROWS);
        yg_id128 *ids = YG_NEW_N(arena, yg_id128, ROWS);
        for (uint32_t r = 0; r < ROWS; r++) {
            const struct cell *c = &cells[r][k];
            if (!c->has)
                continue;
            yg_bits_set(present, r);
            i64[r] = c->v.type == YG_T_I64 || c->v.type == YG_T_BOOL ? c->v.i64 : 0;
            f64[r] = c->v.type == YG_T_F64 ? c->v.f64 : 0;
            ids[r] = c->v.type == YG_T_ID ? c->v.id : (yg_id128){0};
        }
        v->present = k == TIME ? NULL : present;
        v->i64 = i64;
        v->f64 = f64;
        v->ids = ids;
        if (v->type == YG_T_STR || v->type == YG_T_JSON)
            fill_strings(v, k, form);
    }
}

// ------------------------------------------------------------ the slow evaluator

static uint32_t decode(yg_str s, bool nocase, uint32_t *out, bool wild) {
    uint32_t n = 0;
    for (size_t at = 0; at < s.len;) {
        if (wild && (s.ptr[at] == YG_WILD_RUN || s.ptr[at] == YG_WILD_ONE)) {
            out[n++] = s.ptr[at++] == YG_WILD_RUN ? UINT32_MAX - 1 : UINT32_MAX;
            continue;
        }
        uint32_t cp = yg_utf8_next(s, &at);
        out[n++] = nocase ? yg_text_fold(cp) : cp;
    }
    return n;
}

static bool blank(uint32_t cp) {
    return cp == ' ';
}

// Whole of p against whole of s; runs of '*' hold no blank when word.
static bool glob(const uint32_t *p, uint32_t pn, const uint32_t *s, uint32_t sn, bool word) {
    if (pn == 0)
        return sn == 0;
    if (p[0] == UINT32_MAX - 1) {
        for (uint32_t k = 0; k <= sn; k++) {
            if (glob(p + 1, pn - 1, s + k, sn - k, word))
                return true;
            if (k < sn && word && blank(s[k]))
                return false;
        }
        return false;
    }
    return sn > 0 && (p[0] == UINT32_MAX || p[0] == s[0]) &&
           glob(p + 1, pn - 1, s + 1, sn - 1, word);
}

static bool border(const uint32_t *raw, uint32_t n, uint32_t at) {
    if (at == 0 || at == n)
        return true;
    uint32_t a = raw[at - 1], b = raw[at];
    return !yg_utf8_is_word(a) || !yg_utf8_is_word(b) || yg_text_unspaced(a) || yg_text_unspaced(b);
}

static bool slow_words(const struct yg_node *n, yg_str text) {
    uint32_t p[512], raw[2048], s[2048];
    bool wild = n->wild;
    uint32_t pn = decode(n->text, true, p, wild);
    uint32_t sn = decode(text, true, s, false);
    decode(text, false, raw, false);
    bool open_start = pn > 0 && p[0] == UINT32_MAX - 1,
         open_end = pn > 0 && p[pn - 1] == UINT32_MAX - 1;
    for (uint32_t i = 0; i <= sn; i++)
        for (uint32_t j = i; j <= sn; j++)
            if ((open_start || border(raw, sn, i)) && (open_end || border(raw, sn, j)) &&
                glob(p, pn, s + i, j - i, true))
                return true;
    return false;
}

static bool slow_range(const struct yg_node *n, double v) {
    if (n->has_lo && !(n->lo_open ? v > n->lo_f64 : v >= n->lo_f64))
        return false;
    return !n->has_hi || (n->hi_open ? v < n->hi_f64 : v <= n->hi_f64);
}

static bool slow_text(const struct yg_node *n, yg_str text, bool nocase) {
    uint32_t p[512], s[2048];
    double number;
    switch (n->kind) {
    case YG_NODE_EXISTS:
        return true;
    case YG_NODE_TERM:
    case YG_NODE_GLOB: {
        if (n->kind == YG_NODE_TERM && !nocase)
            return yg_str_eq(n->text, text);
        uint32_t pn = decode(n->text, nocase, p, n->kind == YG_NODE_GLOB);
        uint32_t sn = decode(text, nocase, s, false);
        return glob(p, pn, s, sn, false);
    }
    case YG_NODE_RANGE:
        return yg_str_to_f64(text, &number) && slow_range(n, number);
    default:
        return slow_words(n, text);
    }
}

static bool slow_number(const struct yg_node *n, const struct yg_value *v) {
    double number, want;
    int64_t whole;
    if (n->kind == YG_NODE_EXISTS)
        return true;
    if (v->type == YG_T_BOOL && n->kind == YG_NODE_RANGE)
        return false;
    if (v->type == YG_T_BOOL && n->kind == YG_NODE_TERM)
        return yg_str_eq_nocase(n->text, v->i64 ? YG_STR("true") : YG_STR("false"));
    if (n->kind == YG_NODE_TERM) {
        if (v->type == YG_T_I64 && yg_str_to_i64(n->text, &whole))
            return whole == v->i64;
        return yg_value_number(v, &number) && yg_str_to_f64(n->text, &want) && want == number;
    }
    if (n->kind == YG_NODE_RANGE)
        return yg_value_number(v, &number) && slow_range(n, number);
    return slow_text(n, yg_value_text(v, arena), true);
}

static bool slow_id(const struct yg_node *n, yg_id128 id) {
    char hex[33], decimal[32];
    if (n->kind == YG_NODE_EXISTS)
        return true;
    if (n->kind == YG_NODE_RANGE)
        return false;
    yg_id128_hex(id, hex);
    snprintf(decimal, sizeof(decimal), "%llu", (unsigned long long)id.lo);
    if (n->kind == YG_NODE_TERM) { // only decimals are written here
        uint64_t low;
        return yg_str_to_u64(n->text, &low) && low == id.lo;
    }
    return slow_text(n, yg_str_c(hex), true) ||
           (id.hi == 0 && slow_text(n, yg_str_c(hex + 16), true)) ||
           slow_text(n, yg_str_c(decimal), true);
}

static bool slow_cell(const struct yg_node *n, const struct cell *c) {
    switch (c->v.type) {
    case YG_T_STR:
        return slow_text(n, c->v.str, false);
    case YG_T_JSON:
        return n->kind == YG_NODE_EXISTS || slow_text(n, c->element, false) ||
               slow_number(n, &(struct yg_value){.type = YG_T_I64, .i64 = c->number});
    case YG_T_ID:
        return slow_id(n, c->v.id);
    case YG_T_I64:
    case YG_T_F64:
    case YG_T_BOOL:
    case YG_TYPE_COUNT:
        break;
    }
    return slow_number(n, &c->v);
}

static bool slow_tags(const struct yg_node *n, yg_str tags) {
    yg_str tag;
    while (yg_str_split(&tags, ',', &tag))
        if (yg_str_starts(tag, YG_STR("k:")) && slow_text(n, yg_str_sub(tag, 2, tag.len), true))
            return true;
    return false;
}

static bool slow_leaf(const struct yg_node *n, uint32_t r) {
    bool words = n->kind == YG_NODE_TOKEN || n->kind == YG_NODE_PHRASE;
    for (uint32_t k = 0; k < COLUMNS; k++) {
        bool named = n->kind == YG_NODE_FULLTEXT ? k != TIME
                     : words                     ? k == MESSAGE
                                                 : yg_str_eq_c(n->field.name, columns[k].name);
        if (named && cells[r][k].has && slow_cell(n, &cells[r][k]))
            return true;
    }
    return !words && n->kind != YG_NODE_FULLTEXT && n->field.kind == YG_FIELD_TAG &&
           cells[r][TAGS].has && slow_tags(n, cells[r][TAGS].v.str);
}

static bool slow(const struct yg_node *n, uint32_t r) {
    bool any = false, all = true;
    switch (n->kind) {
    case YG_NODE_ALL:
        return true;
    case YG_NODE_NONE:
        return false;
    case YG_NODE_NOT:
        return !slow(n->children[0], r);
    case YG_NODE_AND:
    case YG_NODE_OR:
        for (uint32_t i = 0; i < n->child_count; i++) {
            bool is = slow(n->children[i], r);
            any = any || is;
            all = all && is;
        }
        return n->kind == YG_NODE_AND ? all : any;
    default:
        return slow_leaf(n, r);
    }
}

// ------------------------------------------------------------ searches

static void put_quoted(struct yg_buf *q, yg_str s) {
    yg_buf_putc(q, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"' || s.ptr[i] == '\\')
            yg_buf_putc(q, '\\');
        yg_buf_putc(q, s.ptr[i]);
    }
    yg_buf_putc(q, '"');
}

// A part of some row's text, so that something is found.
static yg_str cut_of(uint32_t column) {
    yg_str s = cells[below(ROWS)][column].v.str;
    if (s.len < 2)
        return YG_STR("out");
    size_t from = below((uint32_t)s.len), to = from + 1 + below(8);
    while (from > 0 && ((uint8_t)s.ptr[from] & 0xc0) == 0x80) // whole characters
        from--;
    while (to < s.len && ((uint8_t)s.ptr[to] & 0xc0) == 0x80)
        to++;
    return yg_str_sub(s, from, to);
}

static void put_wild(struct yg_buf *q, yg_str s, bool blanks) {
    size_t before = q->len;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c == ' ' && !blanks)
            continue;
        if (c < 0x80 && below(5) == 0) {
            yg_buf_putc(q, below(2) ? '*' : '?');
            continue;
        }
        bool plain =
            c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain)
            yg_buf_putc(q, '\\');
        yg_buf_putc(q, (char)c);
    }
    yg_buf_puts(q, q->len == before ? YG_STR("o*t") : YG_STR(""));
}

static void put_term(struct yg_buf *q) {
    uint32_t n = below(50);
    switch (below(13)) {
    case 0:
        put_quoted(q, cut_of(MESSAGE));
        return;
    case 1:
        put_wild(q, cut_of(MESSAGE), false);
        return;
    case 2:
        yg_buf_puts(q, YG_STR("@s:"));
        put_quoted(q, below(2) ? cells[below(ROWS)][S_STR].v.str : YG_STR("time"));
        return;
    case 3:
        yg_buf_printf(q, "@s:%u%s", n, below(2) ? "" : ".5");
        return;
    case 4:
        yg_buf_printf(q, "@s:%c%u TO %d.25%c", below(2) ? '[' : '{', n / 2, (int)n,
                      below(2) ? ']' : '}');
        return;
    case 5:
        yg_buf_printf(q, "@s:%s%d", below(2) ? ">" : "<=", (int)n - 12);
        return;
    case 6:
        yg_buf_puts(q, below(2) ? YG_STR("message:*") : YG_STR("message:"));
        put_wild(q, cut_of(MESSAGE), true);
        yg_buf_puts(q, below(3) ? YG_STR("*") : YG_STR(""));
        return;
    case 7:
        yg_buf_puts(q, YG_STR("*:"));
        put_quoted(q, cut_of(below(2) ? MESSAGE : S_STR));
        return;
    case 8:
        yg_buf_printf(q, "*:%u", n);
        return;
    case 9:
        yg_buf_puts(q, below(2) ? YG_STR("k:TIME") : YG_STR("k:o*\xc3\xa9"));
        return;
    case 10:
        yg_buf_printf(q, "trace_id:%u", n % 40);
        return;
    case 11:
        yg_buf_puts(q, below(2) ? YG_STR("@s:true") : YG_STR("@s:*"));
        return;
    default:
        yg_buf_puts(q, YG_STR("@s:"));
        put_wild(q, cut_of(S_STR), true);
        return;
    }
}

static void put_search(struct yg_buf *q) {
    for (uint32_t k = 1 + below(4); k > 0; k--) {
        if (below(5) == 0)
            yg_buf_puts(q, YG_STR("NOT "));
        put_term(q);
        if (k > 1)
            yg_buf_puts(q, below(2) ? YG_STR(" ") : YG_STR(" OR "));
    }
}

static void compare(const struct yg_node *tree, struct test_block blocks[FORMS], yg_str search,
                    uint32_t *found) {
    bool want[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) {
        want[r] = r >= 5 && r < 330 && slow(tree, r);
        *found += want[r];
    }
    for (uint32_t form = 0; form < FORMS; form++) {
        struct yg_filter *f;
        uint64_t rows[YG_BITS_WORDS(YG_GRANULE_ROWS)];
        OK(yg_filter_compile(tree, (struct yg_time_range){5, 330}, &f, &err));
        OK(yg_filter_run(f, &blocks[form].block, rows, &err));
        for (uint32_t r = 0; r < ROWS; r++)
            if (yg_bits_get(rows, r) != want[r])
                fail_msg("%.*s, form %u, row %u (\"%.*s\"): wanted %d", YG_STR_FMT(search), form, r,
                         YG_STR_FMT(cells[r][MESSAGE].v.str), want[r]);
        yg_filter_destroy(f);
    }
}

static void test_searches(void **state) {
    (void)state;
    uint32_t found = 0, searches = 0;
    struct test_block blocks[FORMS];
    for (uint32_t round = 0; round < 12; round++) {
        arena = yg_arena_create(YG_MEM_QUERY, 256u << 20);
        make_rows();
        for (uint32_t form = 0; form < FORMS; form++)
            fill_block(&blocks[form], (enum form)form);
        for (uint32_t i = 0; i < 60; i++) {
            struct yg_buf q = YG_BUF(YG_MEM_QUERY, 65536);
            struct yg_node *tree;
            put_search(&q);
            if (yg_search_parse(yg_buf_str(&q), &(struct yg_search_options){.track = YG_TRACK_LOGS},
                                arena, &tree, &err) == YG_OK) {
                compare(tree, blocks, yg_buf_str(&q), &found);
                searches++;
            }
            yg_buf_fini(&q);
        }
        yg_arena_destroy(arena);
    }
    assert_true(searches > 600 && found > 20000);
}

// ------------------------------------------------------------ kernels

static void test_finder(void **state) {
    (void)state;
    char text[300], literal[40];
    for (uint32_t i = 0; i < 40000; i++) {
        uint32_t letters = 1 + below(3);
        size_t n = below(sizeof(text)), len = 1 + below(below(3) ? 4 : 38);
        for (size_t k = 0; k < n; k++)
            text[k] = (char)("aBk\xc3"[below(letters + 1)] ^ (below(9) ? 0 : 0x20));
        bool nocase = below(2);
        for (size_t k = 0; k < len; k++)
            literal[k] = "abk"[below(letters)];
        if (!nocase && n > len && below(2))
            memcpy(literal, text + below((uint32_t)(n - len)), len);
        struct yg_finder f;
        yg_finder_init(&f, (yg_str){literal, len}, nocase);
        yg_str s = {text, n};
        size_t at = below(5), naive = YG_NOT_FOUND;
        for (size_t k = at; k + len <= n && naive == YG_NOT_FOUND; k++) {
            size_t same = 0;
            while (same < len) {
                char c = text[k + same];
                if (nocase && c >= 'A' && c <= 'Z')
                    c = (char)(c + 32);
                if (c != literal[same])
                    break;
                same++;
            }
            naive = same == len ? k : naive;
        }
        assert_int_equal(yg_finder_next(&f, s, at), naive);
        assert_int_equal(yg_finder_next_scalar(&f, s, at), naive);
    }
}

static void test_columns(void **state) {
    (void)state;
    uint32_t codes[700];
    int64_t i64[700];
    double f64[700];
    uint8_t outcomes[8] = {1, 2, 1, 2, 2, 1, 0, 0};
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t n = below(700), code = below(6);
        int64_t lo = (int64_t)below(9) - 4, hi = lo + below(5);
        bool open[2] = {below(2), below(2)};
        for (uint32_t k = 0; k < n; k++) {
            codes[k] = below(6);
            i64[k] = below(20) ? (int64_t)below(12) - 6 : below(2) ? INT64_MIN : INT64_MAX;
            f64[k] = below(20) ? (double)i64[k] / 2 : (double)NAN;
        }
        uint64_t a[11] = {0}, b[11] = {0}, c[11] = {0}, d[11] = {0};
        yg_rows_code(codes, n, code, a);
        yg_rows_i64(i64, n, lo, hi, b);
        yg_rows_f64(f64, n, (double)lo, open[0], (double)hi, open[1], c);
        yg_rows_outcome(codes, n, outcomes, d);
        for (uint32_t k = 0; k < YG_BITS_WORDS(n) * 64; k++) {
            double v = k < n ? f64[k] : 0;
            bool in = (open[0] ? v > (double)lo : v >= (double)lo) &&
                      (open[1] ? v < (double)hi : v <= (double)hi);
            assert_int_equal(yg_bits_get(a, k), k < n && codes[k] == code);
            assert_int_equal(yg_bits_get(b, k), k < n && i64[k] >= lo && i64[k] <= hi);
            assert_int_equal(yg_bits_get(c, k), k < n && in);
            assert_int_equal(yg_bits_get(d, k), k < n && outcomes[codes[k]] == 2);
        }
    }
}

// Letters that fold into others: those that the fast search knows of are all there are.
static void test_odd_letters(void **state) {
    (void)state;
    for (uint32_t cp = 0x80; cp <= 0x10ffff; cp++) {
        bool odd = cp == 0x130 || cp == 0x17f || cp == 0x212a;
        if (yg_text_fold(cp) < 0x80 && !odd)
            fail_msg("U+%04X folds to U+%04X", cp, yg_text_fold(cp));
        if (yg_text_unspaced(cp) && yg_text_fold(cp) != cp)
            fail_msg("U+%04X has a case", cp);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd_letters),
        cmocka_unit_test(test_finder),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_searches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
