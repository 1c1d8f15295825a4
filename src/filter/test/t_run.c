// SPDX-License-Identifier: Apache-2.0
// Filters over blocks of a batch, as they are and with dictionaries: each condition finds exactly
// its rows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "filter/filter.h"
#include "model/batch.h"

static struct yg_arena *arena;
static struct yg_err err;

#define OK(call) assert_int_equal((call), YG_OK)

// ------------------------------------------------------------ a block with dictionaries over
// another block

struct dict_block {
    struct yg_block block;
    struct yg_block *under;
};
static uint64_t next_uid = 1;
static struct { const struct yg_vec *from, *to; } made[256];
static uint32_t made_count;

static const struct yg_vec *with_dict(struct dict_block *d, const struct yg_vec *v) {
    if (v->type != YG_T_STR && v->type != YG_T_JSON)
        return v;
    for (uint32_t i = 0; i < made_count; i++)
        if (made[i].from == v)
            return made[i].to;
    uint32_t rows = d->block.row_count, *codes = YG_NEW_N(arena, uint32_t, rows);
    yg_str *strs = YG_NEW_N(arena, yg_str, rows + 1);
    struct yg_dict *dict = YG_NEW(arena, struct yg_dict);
    struct yg_vec *out = YG_NEW(arena, struct yg_vec);
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t c = 0;
        while (c < dict->count && !yg_str_eq(strs[c], v->strs[r]))
            c++;
        strs[c] = v->strs[r];
        dict->count += c == dict->count;
        codes[r] = c;
    }
    dict->uid = next_uid++;
    dict->strs = strs;
    *out = *v;
    out->strs = NULL;
    out->dict = dict;
    out->codes = codes;
    assert_true(made_count < 256);
    made[made_count].from = v;
    made[made_count++].to = out;
    return out;
}

static yg_rc dict_columns(struct yg_block *b, yg_str name, const struct yg_vec *vecs[YG_TYPE_COUNT],
                          uint32_t *count, struct yg_err *e) {
    struct dict_block *d = (struct dict_block *)b;
    yg_rc rc = d->under->ops->columns(d->under, name, vecs, count, e);
    for (uint32_t i = 0; rc == YG_OK && i < *count; i++)
        vecs[i] = with_dict(d, vecs[i]);
    return rc;
}
static void dict_stats(struct yg_block *b, yg_str name, enum yg_type type, struct yg_vec_stats *s) {
    struct dict_block *d = (struct dict_block *)b;
    d->under->ops->stats(d->under, name, type, s);
    const struct yg_vec *vecs[YG_TYPE_COUNT];
    uint32_t count = 0;
    OK(d->under->ops->columns(d->under, name, vecs, &count, &err));
    for (uint32_t i = 0; i < count; i++) { // the ranges that a stored segment would know
        const struct yg_vec *v = vecs[i];
        if (v->type != type || (type != YG_T_I64 && type != YG_T_F64))
            continue;
        for (uint32_t r = 0; r < b->row_count; r++) {
            if (!yg_vec_has(v, r))
                continue;
            if (type == YG_T_I64) {
                s->min_i64 = !s->has_range || v->i64[r] < s->min_i64 ? v->i64[r] : s->min_i64;
                s->max_i64 = !s->has_range || v->i64[r] > s->max_i64 ? v->i64[r] : s->max_i64;
            } else {
                s->min_f64 = !s->has_range || v->f64[r] < s->min_f64 ? v->f64[r] : s->min_f64;
                s->max_f64 = !s->has_range || v->f64[r] > s->max_f64 ? v->f64[r] : s->max_f64;
            }
            s->has_range = true;
        }
    }
}
static bool dict_column_at(struct yg_block *b, uint32_t idx, yg_str *name, enum yg_type *type) {
    struct dict_block *d = (struct dict_block *)b;
    return d->under->ops->column_at(d->under, idx, name, type);
}
static const struct yg_block_ops dict_ops = {dict_columns, dict_stats, dict_column_at, NULL};

// ------------------------------------------------------------ data

struct fixture {
    struct yg_batch *batch;
    struct yg_block *plain;
    struct dict_block dict;
};
static struct fixture logs, spans;

static void finish(struct fixture *f) {
    OK(yg_block_of_batch(f->batch, arena, &f->plain, &err));
    f->dict.block = *f->plain;
    f->dict.block.ops = &dict_ops;
    f->dict.under = f->plain;
}

static void set(struct yg_batch *b, const char *name, const char *v) {
    OK(yg_batch_set_str(b, yg_str_c(name), yg_str_c(v), &err));
}

static void row(struct yg_batch *b, int64_t time) {
    uint32_t r;
    OK(yg_batch_row(b, &r, &err));
    OK(yg_batch_set_i64(b, YG_STR("timestamp"), time, &err));
}

// Rows 0–7; the comments say what each is for.
static void make_logs(void) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 64u << 20);
    logs.batch = b;
    row(b, 1000); // 0
    set(b, "service", "web");
    set(b, "status", "error");
    set(b, "message", "Connection refused: timeout after 30s");
    set(b, "tags", "env:prod,team:Booking,source:sinatra,source:sinatra");
    OK(yg_batch_set_i64(b, YG_STR("@http.status_code"), 500, &err));
    set(b, "@ip", "13.1.2.3");
    row(b, 2000); // 1
    set(b, "service", "web-admin");
    set(b, "status", "warn");
    set(b, "message", "request timeouts are rare");
    set(b, "tags", "env:staging,daffy");
    OK(yg_batch_set_str(b, YG_STR("@http.status_code"), YG_STR("404"), &err));
    set(b, "@ip", "2001:db8::1");
    row(b, 3000); // 2: JSON array of scalars, floating number, bool
    set(b, "service", "api");
    set(b, "status", "Info");
    set(b, "message",
        "\xe6\x8e\xa5\xe7\xb6\x9a\xe3\x82\xa8\xe3\x83\xa9\xe3\x83\xbc\xe3\x81\x8c"
        "\xe7\x99\xba\xe7\x94\x9f"); // connection error occurred
    OK(yg_batch_set_json(b, YG_STR("@ips"), YG_STR("[\"10.0.0.1\",\"15.0.0.9\"]"), &err));
    OK(yg_batch_set_json(b, YG_STR("@mixed"), YG_STR("[1,\"two\",true,2.5,[\"deep\"]]"), &err));
    OK(yg_batch_set_f64(b, YG_STR("@ratio"), 0.25, &err));
    OK(yg_batch_set_bool(b, YG_STR("@flag"), true, &err));
    row(b, 4000); // 3: array of objects
    set(b, "service", "api");
    set(b, "status", "info");
    set(b, "message",
        "STRASSE \xc3\x89T\xc3\x89 \xce\xa3\xce\x99\xce\x93\xce\x9c\xce\x91"); // ÉTÉ ΣΙΓΜΑ
    OK(yg_batch_set_json(b, YG_STR("@Event.Data"),
                         YG_STR("[{\"Name\":\"X\",\"v\":{\"w\":7}},{\"Name\":\"Y\\u0041\"}]"),
                         &err));
    row(b, 5000); // 4: ids
    set(b, "service", "ids");
    set(b, "message", "us-east-1 is down");
    OK(yg_batch_set_id(b, YG_STR("trace_id"), (yg_id128){0x1234, 0xabcdef0123456789}, &err));
    OK(yg_batch_set_i64(b, YG_STR("span_id"), (int64_t)UINT64_C(0xfedcba9876543210), &err));
    row(b, 6000); // 5: text that is a number, odd letters
    set(b, "message",
        "\xe2\x84\xaa"
        "elvin 100\xe2\x84\xaa sen\xc5\xbf"
        "e"); // K sign, long s
    set(b, "@size", "12.5");
    set(b, "@path", "/a/b?c=d*e");
    row(b, 7000); // 6: nothing but a message
    set(b, "message", "");
    row(b, 8000); // 7: number of 17 digits
    OK(yg_batch_set_i64(b, YG_STR("@size"), 9007199254740993, &err));
    set(b, "message", "first query - tf-Test \xef\xbc\x81 image/a_b c.d");
    finish(&logs);
}

static void make_spans(void) {
    struct yg_batch *b = yg_batch_create(YG_TRACK_SPANS, 64u << 20);
    spans.batch = b;
    row(b, 1000); // 0
    set(b, "service", "web");
    set(b, "resource_name", "GET /users/{id}");
    set(b, "operation_name", "express.request");
    set(b, "env", "prod");
    OK(yg_batch_set_i64(b, YG_STR("duration"), 25000000, &err));
    set(b, "@http.method", "GET");
    OK(yg_batch_set_f64(b, YG_STR("@http.status_code"), 200, &err));
    row(b, 2000); // 1
    set(b, "service", "db");
    set(b, "resource_name", "SELECT 1");
    set(b, "operation_name", "pg.query");
    set(b, "tags", "http.method:PUT,Owner:me");
    OK(yg_batch_set_i64(b, YG_STR("duration"), 1000, &err));
    finish(&spans);
}

static int setup(void **state) {
    (void)state;
    arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    make_logs();
    make_spans();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    yg_batch_destroy(logs.batch);
    yg_batch_destroy(spans.batch);
    yg_arena_destroy(arena);
    return 0;
}

// Rows that match, as digits: "013".
static const char *rows_of(struct yg_block *b, const char *text, struct yg_time_range range,
                           bool *ret_may) {
    struct yg_search_options options = {.track = b->track};
    struct yg_node *tree = NULL;
    struct yg_filter *f = NULL;
    static char out[YG_GRANULE_ROWS];
    if (yg_search_parse(yg_str_c(text), &options, arena, &tree, &err) != YG_OK)
        fail_msg("%s: %s", text, err.text);
    OK(yg_filter_compile(tree, range, &f, &err));
    uint64_t rows[YG_BITS_WORDS(YG_GRANULE_ROWS)];
    *ret_may = yg_filter_may_match(f, b);
    for (int again = 0; again < 2; again++) { // the second run meets remembered outcomes
        OK(yg_filter_run(f, b, rows, &err));
        size_t n = 0;
        for (uint32_t r = 0; r < b->row_count; r++)
            if (yg_bits_get(rows, r))
                out[n++] = (char)('0' + r);
        out[n] = '\0';
    }
    yg_filter_destroy(f);
    return out;
}

static const struct yg_time_range all_time = {INT64_MIN, INT64_MAX};

static void check(struct fixture *f, const char *text, const char *want) {
    bool may = false;
    const char *got = rows_of(f->plain, text, all_time, &may);
    if (strcmp(got, want) != 0)
        fail_msg("%s: rows %s, wanted %s", text, got, want);
    got = rows_of(&f->dict.block, text, all_time, &may);
    if (strcmp(got, want) != 0)
        fail_msg("%s, with dictionaries: rows %s, wanted %s", text, got, want);
    if (*want && !may)
        fail_msg("%s: statistics rule out rows %s", text, want);
}

#define CHECK_ALL(f, rows)                                                                         \
    for (size_t i_ = 0; i_ < sizeof(rows) / sizeof(rows[0]); i_++)                                 \
    check((f), rows[i_][0], rows[i_][1])

static void test_fields(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", "01234567"},
        {"service:web", "0"},
        {"service:Web", ""},
        {"service:web*", "01"},
        {"service:*web*", "01"},
        {"service:*-admin", "1"},
        {"service:w?b", "0"},
        {"service:w?*n", "1"},
        {"service:*", "01234"},
        {"-service:*", "567"},
        {"_missing_:service", "567"},
        {"service:(web OR api)", "023"},
        {"service:\"web*\"", ""},
        {"status:error", "0"},
        {"status:ERR", "0"},
        {"status:warning", "1"},
        {"status:info", "23"},
        {"status:(error OR warn)", "01"},
        {"status:e*", "0"},
        {"NOT status:info", "014567"},
        {"service:web AND -status:error", ""},
        {"service:api OR service:web status:error", "023"},
        {"index:main service:web", "0"},
        {"index:other", ""},
        {"nosuch:thing", ""},
        {"@nosuch:*", ""},
        {"-@nosuch:*", "01234567"},
    };
    CHECK_ALL(&logs, rows);
}

static void test_tags(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"env:prod", "0"},
        {"env:Prod", "0"},
        {"ENV:prod", "0"},
        {"env:*", "01"},
        {"env:pro", ""},
        {"env:p*", "0"},
        {"team:booking", "0"},
        {"-env:prod", "1234567"},
        {"tags:daffy", "1"},
        {"tags:env\\:prod", "0"},
        {"tags:\"env:prod\"", "0"},
        {"env:(prod OR staging)", "01"},
        {"tags:*", "01"},
        {"daff:y", ""},
    };
    CHECK_ALL(&logs, rows);
}

static void test_numbers(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"@http.status_code:500", "0"},
        {"@http.status_code:404", "1"},
        {"@http.status_code:4*", "1"},
        {"@http.status_code:5*", "0"},
        {"@http.status_code:>=404", "01"},
        {"@http.status_code:>404", "0"},
        {"@http.status_code:[400 TO 499]", "1"},
        {"@http.status_code:{404 TO 500]", "0"},
        {"@http.status_code:{404 TO 500}", ""},
        {"@http.status_code:<1", ""},
        {"@ratio:0.25", "2"},
        {"@ratio:0.250", "2"},
        {"@ratio:<0.3", "2"},
        {"@flag:true", "2"},
        {"@flag:false", ""},
        {"@size:12.5", "5"},
        {"@size:>12", "57"},
        {"@size:9007199254740993", "7"},
        {"@size:9007199254740992", ""},
        {"@ip:[a TO z]", ""},
        {"@ip:[1 TO 3]", ""},
        {"service:[api TO web]", "0234"},
        {"service:{api TO web}", "4"},
    };
    CHECK_ALL(&logs, rows);
}

static void test_addresses(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"CIDR(@ip, 13.0.0.0/8)", "0"},    {"CIDR(@ip, 13.1.2.3)", "0"},
        {"CIDR(@ip, 13.1.2.2/31)", "0"},   {"CIDR(@ip, 13.1.2.0/31)", ""},
        {"CIDR(@ip, 2001:db8::/32)", "1"}, {"CIDR(@ip, 13.0.0.0/8, 2001:db8::/32)", "01"},
        {"CIDR(@ip, 0.0.0.0/0)", "0"},     {"CIDR(@ip, ::/0)", "01"},
        {"CIDR(@ips, 15.0.0.0/8)", "2"},   {"NOT(CIDR(@ip, 13.0.0.0/8)) @ip:*", "1"},
    };
    CHECK_ALL(&logs, rows);
}

static void test_json(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"@ips:10.0.0.1", "2"},
        {"@ips:10.*", "2"},
        {"@ips:*", "2"},
        {"@mixed:two", "2"},
        {"@mixed:1", "2"},
        {"@mixed:true", "2"},
        {"@mixed:>2", "2"},
        {"@mixed:>3", ""},
        {"@mixed:deep", "2"},
        {"@Event.Data.Name:X", "3"},
        {"@Event.Data.Name:YA", "3"},
        {"@Event.Data.Name:Z", ""},
        {"@Event.Data.v.w:7", "3"},
        {"@Event.Data.v.w:[6 TO 8]", "3"},
        {"@Event.Data.Name:*", "3"},
        {"@Event.Data.nope:*", ""},
        {"@Event:*", "3"},
        {"@http:*", "01"},
    };
    CHECK_ALL(&logs, rows);
}

static void test_ids(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"trace_id:0000000000001234abcdef0123456789", "4"},
        {"trace_id:abcdef0123456789", "4"},
        {"trace_id:12379813738877118345", "4"}, // the low half in decimal
        {"trace_id:12379813738877118346", ""},
        {"trace_id:0000000000001235abcdef0123456789", ""},
        {"trace_id:*6789", "4"},
        {"span_id:18364758544493064720", "4"},
        {"span_id:fedcba9876543210", "4"},
        {"span_id:1", ""},
    };
    CHECK_ALL(&logs, rows);
}

static void test_words(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"timeout", "0"},
        {"TIMEOUT", "0"},
        {"timeout*", "01"},
        {"*imeout*", "01"},
        {"*imeout", "0"},
        {"time?ut", "0"},
        {"refused timeout", "0"},
        {"\"connection refused\"", "0"},
        {"\"refused connection\"", ""},
        {"\"onnection refused\"", ""},
        {"con*d", ""},
        {"co*n", "0"},
        {"us-east-1", "4"},
        {"us-east", "4"},
        {"east", "4"},
        {"\xe3\x82\xa8\xe3\x83\xa9\xe3\x83\xbc", "2"}, // a word within a Japanese run
        {"\xe6\x8e\xa5\xe7\xb6\x9a", "2"},
        {"\xc3\xa9t\xc3\xa9", "3"},                        // été
        {"\xcf\x83\xce\xb9\xce\xb3\xce\xbc\xce\xb1", "3"}, // σιγμα
        {"kelvin", "5"},
        {"100k", "5"},
        {"sense", "5"},
        {"first query - tf-Test", "7"},
        {"image\\/a_b", "7"},
        {"a_b", "7"},
        {"b", ""},
        {"c.d", "7"},
        {"-timeout service:web*", "1"},
        {"*", "01234567"},
    };
    CHECK_ALL(&logs, rows);
}

static void test_fulltext(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"*:timeout", "0"},
        {"*:SINATRA", "0"},
        {"*:web", "01"},
        {"*:404", "1"},
        {"*:500", "0"},
        {"*:deep", "2"},
        {"*:ya", "3"},
        {"*:0.25", "2"},
        {"*:nosuchthing", ""},
        {"*:\"connection refused\"", "0"},
        {"*:staging", "1"},
        {"*:12379813738877118345", "4"},
        {"-*:web service:*", "234"},
    };
    CHECK_ALL(&logs, rows);
}

static void test_escapes(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"@path:\\/a\\/b\\?c\\=d\\*e", "5"},
        {"@path:/a/b?c=d*e", "5"},
        {"@path:\"/a/b?c=d*e\"", "5"},
        {"@path:*\\*e", "5"},
        {"@path:*\\*f", ""},
        {"@path:/a/b?c?d*", "5"},
    };
    CHECK_ALL(&logs, rows);
}

static void test_spans(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"http.method:GET", "0"}, // a bare key also finds the attribute
        {"http.method:get", ""},
        {"http.method:PUT", "1"},
        {"http.method:*", "01"},
        {"http.status_code:200", "0"},
        {"owner:me", "1"},
        {"env:prod", "0"},
        {"@duration:>20ms", "0"},
        {"duration:<1ms", "1"},
        {"duration:[1us TO 1us]", "1"},
        {"users", "0"},
        {"express.request", "0"},
        {"select", "1"},
        {"resource_name:\"SELECT 1\"", "1"},
    };
    CHECK_ALL(&spans, rows);
}

static void test_time_and_live(void **state) {
    (void)state;
    bool may = false;
    assert_string_equal(rows_of(logs.plain, "*", (struct yg_time_range){2000, 4000}, &may), "12");
    assert_true(may);
    assert_string_equal(
        rows_of(logs.plain, "-service:web", (struct yg_time_range){1000, 2001}, &may), "1");
    rows_of(logs.plain, "*", (struct yg_time_range){8001, 9000}, &may);
    assert_false(may);
    rows_of(logs.plain, "*", (struct yg_time_range){0, 1000}, &may);
    assert_false(may);
    uint64_t live[1] = {0xf0};
    logs.plain->live = live;
    assert_string_equal(rows_of(logs.plain, "-service:web", all_time, &may), "4567");
    logs.plain->live = NULL;
}

static void expect_skip(struct fixture *f, const char *text, bool want) {
    bool may = !want;
    (void)rows_of(&f->dict.block, text, all_time, &may);
    if (may != want)
        fail_msg("%s: may match %d", text, may);
}

static void test_skipping(void **state) {
    (void)state;
    expect_skip(&spans, "duration:>30ms", false);
    expect_skip(&spans, "duration:>20ms", true);
    expect_skip(&spans, "duration:<1000", true); // the open bound itself is in the range
    expect_skip(&spans, "duration:<999", false);
    expect_skip(&spans, "@nosuch:1 service:web", false);
    expect_skip(&spans, "@nosuch:1 OR service:web", true);
    expect_skip(&spans, "-@nosuch:1", true);
    expect_skip(&spans, "@http.status_code:201", false);
    expect_skip(&spans, "http.status_code:201", true); // the tag set cannot be ruled out
}

static void collect(void *ctx, const struct yg_value *v) {
    struct yg_buf *out = ctx;
    yg_buf_puts(out, yg_value_text(v, arena));
    yg_buf_putc(out, '|');
}

static void expect_values(struct fixture *f, const char *name, uint32_t r, const char *want) {
    struct yg_field field;
    struct yg_buf out = YG_BUF(YG_MEM_QUERY, 4096);
    OK(yg_field_parse(yg_str_c(name), f->plain->track, arena, &field, &err));
    OK(yg_field_values(&field, f->plain, r, collect, &out, &err));
    yg_buf_putc(&out, '\0');
    assert_string_equal(out.ptr, want);
    yg_buf_reset(&out);
    OK(yg_field_values(&field, &f->dict.block, r, collect, &out, &err));
    yg_buf_putc(&out, '\0');
    assert_string_equal(out.ptr, want);
    yg_buf_fini(&out);
}

static void test_values(void **state) {
    (void)state;
    expect_values(&logs, "service", 0, "web|");
    expect_values(&logs, "service", 6, "");
    expect_values(&logs, "source", 0, "");
    expect_values(&logs, "team", 0, "Booking|");
    expect_values(&logs, "tags", 1, "env:staging|daffy|");
    expect_values(&logs, "@mixed", 2, "1|two|true|2.5|deep|");
    expect_values(&logs, "@Event.Data.Name", 3, "X|YA|");
    expect_values(&logs, "@flag", 2, "true|");
    expect_values(&logs, "@ratio", 2, "0.25|");
    expect_values(&logs, "trace_id", 4, "0000000000001234abcdef0123456789|");
    expect_values(&spans, "http.method", 0, "GET|");
    expect_values(&spans, "http.method", 1, "PUT|");
    double n;
    assert_true(yg_value_number(&(struct yg_value){.type = YG_T_STR, .str = YG_STR("12.5")}, &n));
    assert_true(n == 12.5);
    assert_false(yg_value_number(&(struct yg_value){.type = YG_T_STR, .str = YG_STR("12.5x")}, &n));
}

// Substrings at every offset and length around the 16-byte steps, against a plain search.
static void test_find_against_plain_search(void **state) {
    (void)state;
    char text[80];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + (i * 7 + i / 5) % 5);
    for (size_t from = 0; from < 40; from++)
        for (size_t len = 1; len < 40; len++) {
            char glob[100], value[81], broken[81];
            snprintf(glob, sizeof(glob), "@x:*%.*s*", (int)len, text + from);
            struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, 1u << 20);
            struct fixture f = {.batch = b};
            memcpy(value, text, sizeof(text));
            value[80] = '\0';
            row(b, 1);
            set(b, "@x", value);
            row(b, 2);
            memcpy(broken, value, sizeof(value)); // the batch borrows both
            broken[from + len / 2] = '#';         // breaks this occurrence
            set(b, "@x", broken);
            OK(yg_block_of_batch(b, arena, &f.plain, &err));
            char needle[48];
            snprintf(needle, sizeof(needle), "%.*s", (int)len, text + from);
            bool may;
            assert_string_equal(rows_of(f.plain, glob, all_time, &may),
                                strstr(broken, needle) ? "01" : "0");
            yg_batch_destroy(b);
        }
}

// Random trees: dictionaries change nothing, and NOT gives exactly the other rows.
static void test_random_trees(void **state) {
    (void)state;
    static const char *const terms[] = {"service:web",
                                        "service:*",
                                        "status:info",
                                        "env:prod",
                                        "@http.status_code:>400",
                                        "timeout",
                                        "@mixed:two",
                                        "@size:12.5",
                                        "@Event.Data.Name:X",
                                        "*:web",
                                        "trace_id:*",
                                        "CIDR(@ip, 13.0.0.0/8)",
                                        "@nosuch:1",
                                        "*",
                                        "\"connection refused\"",
                                        "@flag:true",
                                        "service:w*",
                                        "-tags:daffy"};
    uint32_t seed = 99, count = (uint32_t)(sizeof(terms) / sizeof(terms[0]));
    for (uint32_t round = 0; round < 600; round++) {
        char text[512], negated[520];
        size_t len = 0;
        uint32_t open = 0;
        for (uint32_t n = 2 + round % 5; n > 0; n--) {
            seed = seed * 1664525u + 1013904223u;
            bool bracket = (seed >> 9) % 3 == 0 && n > 1;
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s",
                                    (seed >> 12) % 4 == 0 ? "NOT " : "", bracket ? "(" : "",
                                    terms[(seed >> 16) % count]);
            open += bracket;
            if (open > 0 && (!bracket || n == 1) && (seed >> 14) % 2) {
                len += (size_t)snprintf(text + len, sizeof(text) - len, ")");
                open--;
            }
            if (n > 1)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                        (seed >> 20) % 2 ? " OR " : " ");
        }
        for (; open > 0; open--)
            len += (size_t)snprintf(text + len, sizeof(text) - len, ")");
        snprintf(negated, sizeof(negated), "NOT (%s)", text);
        bool may;
        char plain[16], other[16];
        snprintf(plain, sizeof(plain), "%s", rows_of(logs.plain, text, all_time, &may));
        check(&logs, text, plain);
        snprintf(other, sizeof(other), "%s", rows_of(logs.plain, negated, all_time, &may));
        for (char r = '0'; r < '8'; r++)
            if ((strchr(plain, r) == NULL) == (strchr(other, r) == NULL))
                fail_msg("row %c: %s gives %s, its negation %s", r, text, plain, other);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_json),          cmocka_unit_test(test_ids),
        cmocka_unit_test(test_words),         cmocka_unit_test(test_fulltext),
        cmocka_unit_test(test_escapes),       cmocka_unit_test(test_spans),
        cmocka_unit_test(test_time_and_live), cmocka_unit_test(test_skipping),
        cmocka_unit_test(test_values),        cmocka_unit_test(test_find_against_plain_search),
        cmocka_unit_test(test_random_trees),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
