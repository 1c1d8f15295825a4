// SPDX-License-Identifier: Apache-2.0
// Reading the golden cases of test/golden and comparing rows with what they expect.
#ifndef YG_INTAKE_TEST_GOLDEN_H
#define YG_INTAKE_TEST_GOLDEN_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "codec/inflate.h"
#include "codec/json_read.h"
#include "codec/text.h"
#include "intake/decode.h"

#define GOLDEN_NOW_NS (INT64_C(1795600000) * YG_NS_PER_S) // after every case's time
#define GOLDEN_LINES_MAX 2000u

struct golden {
    char dir[700];
    struct yg_buf raw;  // as on the wire
    struct yg_buf body; // encoding undone
    struct yg_buf expect_text;
    struct yg_buf headers;
    yg_str target;
    struct yg_intake_in in;
    struct yg_arena *arena;
    struct yg_json_node *expect[GOLDEN_LINES_MAX];
    uint32_t expect_count;
};

static inline void golden_read(const char *dir, const char *file, struct yg_buf *out) {
    char path[800];
    struct yg_err err = {0};
    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    *out = YG_BUF(YG_MEM_BASE, 64u << 20);
    if (yg_file_read_all(path, out, &err) != YG_OK)
        fail_msg("%s", err.text);
}

static inline yg_str golden_header(const struct golden *g, yg_str name) {
    yg_str rest = yg_buf_str(&g->headers);
    yg_str line;
    while (yg_str_split(&rest, '\n', &line)) {
        size_t colon = yg_str_find_char(line, ':', 0);
        if (colon != SIZE_MAX && yg_str_eq_nocase(yg_str_sub(line, 0, colon), name))
            return yg_str_trim(yg_str_sub(line, colon + 1, SIZE_MAX));
    }
    return YG_STR("");
}

static inline yg_str golden_query(struct golden *g, const char *name) {
    size_t mark = yg_str_find_char(g->target, '?', 0);
    struct yg_query_param *params;
    uint32_t count;
    if (mark == SIZE_MAX)
        return YG_STR("");
    assert_int_equal(
        yg_query_parse(yg_str_sub(g->target, mark + 1, SIZE_MAX), g->arena, &params, &count, NULL),
        YG_OK);
    for (uint32_t i = 0; i < count; i++)
        if (yg_str_eq_c(params[i].key, name))
            return params[i].value;
    return YG_STR("");
}

static inline void golden_expect(struct golden *g) {
    yg_str rest = yg_buf_str(&g->expect_text);
    yg_str line;
    while (yg_str_split(&rest, '\n', &line)) {
        if (line.len == 0)
            continue;
        assert_true(g->expect_count < GOLDEN_LINES_MAX);
        assert_int_equal(yg_json_parse(line, g->arena, &g->expect[g->expect_count++], NULL), YG_OK);
    }
    assert_true(g->expect_count > 0);
}

static inline void golden_load(struct golden *g, const char *dir) {
    memset(g, 0, sizeof(*g));
    (void)snprintf(g->dir, sizeof(g->dir), "%s", dir);
    g->arena = yg_arena_create(YG_MEM_BASE, 256u << 20);
    golden_read(dir, "request.bin", &g->raw);
    golden_read(dir, "expect.jsonl", &g->expect_text);
    golden_read(dir, "headers.txt", &g->headers);
    golden_expect(g);
    yg_str first = yg_buf_str(&g->headers);
    yg_str word;
    assert_true(yg_str_split(&first, ' ', &word) && yg_str_split(&first, ' ', &g->target));
    enum yg_encoding encoding;
    assert_true(yg_encoding_parse(golden_header(g, YG_STR("content-encoding")), &encoding));
    g->body = YG_BUF(YG_MEM_BASE, 64u << 20);
    assert_int_equal(yg_inflate(encoding, yg_buf_str(&g->raw), &g->body, NULL), YG_OK);
    yg_str type = golden_header(g, YG_STR("content-type"));
    g->in = (struct yg_intake_in){.body = yg_buf_str(&g->body), .now_ns = GOLDEN_NOW_NS};
    if (yg_str_find(type, YG_STR("json"), 0) != SIZE_MAX)
        g->in.form = YG_FORM_JSON;
    else if (yg_str_find(type, YG_STR("msgpack"), 0) != SIZE_MAX)
        g->in.form = YG_FORM_MSGPACK;
    else if (yg_str_find(type, YG_STR("protobuf"), 0) != SIZE_MAX)
        g->in.form = YG_FORM_PROTOBUF;
    else if (yg_str_find(type, YG_STR("text/plain"), 0) != SIZE_MAX)
        g->in.form = YG_FORM_TEXT;
    g->in.ddsource = golden_query(g, "ddsource");
    g->in.service = golden_query(g, "service");
    g->in.hostname = golden_query(g, "hostname");
    g->in.ddtags = golden_query(g, "ddtags");
}

static inline void golden_free(struct golden *g) {
    yg_buf_fini(&g->raw);
    yg_buf_fini(&g->body);
    yg_buf_fini(&g->expect_text);
    yg_buf_fini(&g->headers);
    yg_arena_destroy(g->arena);
}

// Calls fn for every case of a protocol; at least one must be there.
static inline void golden_each(const char *protocol, void (*fn)(struct golden *g)) {
    char folder[400];
    (void)snprintf(folder, sizeof(folder), "%s/test/golden/%s", YG_SOURCE_DIR, protocol);
    DIR *d = opendir(folder);
    assert_non_null(d);
    uint32_t cases = 0;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        char dir[700];
        static struct golden g;
        (void)snprintf(dir, sizeof(dir), "%s/%s", folder, e->d_name);
        golden_load(&g, dir);
        fn(&g);
        golden_free(&g);
        cases++;
    }
    closedir(d);
    assert_true(cases > 0);
}

// ------------------------------------------------------------ comparing

static inline bool same_json(const struct yg_json_node *a, const struct yg_json_node *b) {
    bool number_a = yg_json_is(a, YG_JSON_INT) || yg_json_is(a, YG_JSON_DOUBLE);
    bool number_b = yg_json_is(b, YG_JSON_INT) || yg_json_is(b, YG_JSON_DOUBLE);
    if (a == NULL || b == NULL)
        return a == b;
    if (number_a || number_b)
        return number_a && number_b && a->f64 == b->f64;
    if (a->kind != b->kind || a->count != b->count)
        return false;
    if (a->kind == YG_JSON_BOOL)
        return a->boolean == b->boolean;
    if (a->kind == YG_JSON_STRING)
        return yg_str_eq(a->str, b->str);
    const struct yg_json_node *other = b->child;
    for (const struct yg_json_node *n = a->child; n != NULL; n = n->next) {
        if (a->kind == YG_JSON_OBJECT_BEGIN) {
            char key[512];
            (void)snprintf(key, sizeof(key), "%.*s", YG_STR_FMT(n->key));
            if (!same_json(n, yg_json_get(b, key)))
                return false;
        } else {
            if (!same_json(n, other))
                return false;
            other = other->next;
        }
    }
    return true;
}

static inline bool row_value(const struct yg_batch *b, uint32_t row, yg_str name, enum yg_type type,
                             struct yg_value *ret_value) {
    const struct yg_batch_col *c = yg_batch_find(b, name, type);
    return c != NULL && yg_batch_col_value(c, row, ret_value);
}

static inline yg_str row_str(const struct yg_batch *b, uint32_t row, const char *name) {
    struct yg_value v;
    return row_value(b, row, yg_str_c(name), YG_T_STR, &v) ? v.str : YG_STR("");
}

static inline int64_t row_i64(const struct yg_batch *b, uint32_t row, const char *name) {
    struct yg_value v;
    return row_value(b, row, yg_str_c(name), YG_T_I64, &v) ? v.i64 : 0;
}

static inline void check_str(const struct golden *g, uint32_t row, const char *what, yg_str got,
                             yg_str want) {
    if (!yg_str_eq(got, want))
        fail_msg("%s row %u: %s is \"%.*s\", wanted \"%.*s\"", g->dir, row, what, YG_STR_FMT(got),
                 YG_STR_FMT(want));
}

static inline void check_field(const struct golden *g, uint32_t row, const struct yg_batch *b,
                               const char *column, const struct yg_json_node *e, const char *key) {
    check_str(g, row, column, row_str(b, row, column),
              yg_json_str_or(yg_json_get(e, key), YG_STR("")));
}

// The trace id as text, "" when the row has none.
static inline void check_trace_id(const struct golden *g, uint32_t row, const struct yg_batch *b,
                                  yg_str want) {
    struct yg_value v;
    char text[33] = "";
    if (row_value(b, row, YG_STR(YG_COL_TRACE_ID), YG_T_ID, &v))
        yg_id128_hex(v.id, text);
    check_str(g, row, "trace_id", yg_str_c(text), want);
}

static inline void check_u64(const struct golden *g, uint32_t row, const struct yg_batch *b,
                             const char *column, yg_str want) {
    char text[24];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)row_i64(b, row, column));
    check_str(g, row, column, (yg_str){text, (size_t)n}, want);
}

static inline int compare_strs(const void *a, const void *b) {
    return yg_str_cmp(*(const yg_str *)a, *(const yg_str *)b);
}

// Tags as a set, against a JSON array of strings.
static inline void check_tags(const struct golden *g, uint32_t row, const yg_str *tags,
                              uint32_t count, const struct yg_json_node *want) {
    yg_str got[300];
    yg_str expected[300];
    uint32_t n = 0;
    assert_true(count <= 300 && want != NULL && want->count <= 300);
    for (uint32_t i = 0; i < count; i++)
        got[i] = tags[i];
    for (const struct yg_json_node *t = want->child; t != NULL; t = t->next)
        expected[n++] = t->str;
    qsort(got, count, sizeof(*got), compare_strs);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || !yg_str_eq(got[distinct - 1], got[i]))
            got[distinct++] = got[i];
    if (n != distinct)
        fail_msg("%s row %u: %u tags, wanted %u", g->dir, row, distinct, n);
    qsort(expected, n, sizeof(*expected), compare_strs);
    for (uint32_t i = 0; i < n; i++)
        check_str(g, row, "tag", got[i], expected[i]);
}

static inline void check_tag_column(struct golden *g, uint32_t row, const struct yg_batch *b,
                                    const struct yg_json_node *want) {
    yg_str *tags = NULL;
    uint32_t count = 0;
    uint32_t cap = 0;
    assert_true(yg_intake_split_tags(g->arena, row_str(b, row, YG_COL_TAGS), &tags, &count, &cap));
    check_tags(g, row, tags, count, want);
}

#endif
