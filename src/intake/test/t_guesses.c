// SPDX-License-Identifier: Apache-2.0
// Decoders guess that a row looks like the one before it. A row must read the same whatever stands
// before it: random rows in one body are compared with the same rows, each in a body of its own.
#include "intake/test/golden.h"

#include "codec/msgpack.h"

#define ROWS 300u
#define TEXT_MAX 65536u

typedef yg_rc (*decode_fn)(const struct yg_intake_in *in, struct yg_batch *b,
                           struct yg_intake_tally *t, struct yg_err *err);

static uint64_t state = 5;
static uint32_t below(uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static struct yg_batch *decode(decode_fn fn, enum yg_track track, enum yg_intake_form form,
                               yg_str body) {
    struct yg_batch *b = yg_batch_create(track, 64u << 20);
    struct yg_intake_in in = {
        .body = body, .form = form, .now_ns = GOLDEN_NOW_NS, .ddtags = YG_STR("from:query")};
    struct yg_intake_tally tally = {0};
    struct yg_err err = {0};
    if (fn(&in, b, &tally, &err) != YG_OK)
        fail_msg("%s: %.*s", err.text, (int)(body.len < 2000 ? body.len : 2000), body.ptr);
    return b;
}

static uint32_t values_of_row(const struct yg_batch *b, uint32_t row) {
    struct yg_value v;
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->col_count; i++)
        n += yg_batch_col_value(&b->cols[i], row, &v);
    return n;
}

static bool same(const struct yg_value *x, const struct yg_value *y) {
    if (x->type == YG_T_STR || x->type == YG_T_JSON)
        return yg_str_eq(x->str, y->str);
    if (x->type == YG_T_F64)
        return memcmp(&x->f64, &y->f64, sizeof(x->f64)) == 0;
    if (x->type == YG_T_ID)
        return x->id.hi == y->id.hi && x->id.lo == y->id.lo;
    return x->i64 == y->i64;
}

// Row `row` of `all` is the only row of `one`.
static void compare(const struct yg_batch *all, uint32_t row, const struct yg_batch *one) {
    assert_int_equal(one->row_count, 1);
    assert_int_equal(values_of_row(all, row), values_of_row(one, 0));
    for (uint32_t i = 0; i < one->col_count; i++) {
        struct yg_value want, got;
        if (!yg_batch_col_value(&one->cols[i], 0, &want))
            continue;
        const struct yg_batch_col *c = yg_batch_find(all, one->cols[i].name, one->cols[i].type);
        if (c == NULL || !yg_batch_col_value(c, row, &got) || !same(&want, &got))
            fail_msg("row %u: %.*s differs", row, YG_STR_FMT(one->cols[i].name));
    }
}

// ------------------------------------------------------------ logs

static const char *const names[] = {
    "message", "msg",  "status",   "level",    "service", "dd",   "a",       "b",
    "a.b",     "tags", "ddtags",   "hostname", "http",    "n\\n", "\\u0061", "trace_id",
    "span_id", "c",    "ddsource", "date",     "x y",     "",     "b.c",     "usr"};
static const char *const values[] = {
    "1",
    "-2.5e3",
    "true",
    "null",
    "\"\"",
    "\"one\"",
    "\"two\"",
    "\"\\u00e9\\\"\"",
    "\"a:1,b:2\"",
    "\"a:1,b:2, c:3\"",
    "[\"t:1\",\"t,2\"]",
    "[1,{}]",
    "{}",
    "\"{\\\"a\\\":1,\\\"service\\\":\\\"inside\\\",\\\"message\\\":\\\"deep\\\"}\"",
    "\"1795545000000\"",
    "\"77777777777777777777777777777777\""};

static void put_object(struct yg_buf *out, uint32_t depth) {
    uint32_t members = 1 + below(6), first = below(24);
    yg_buf_putc(out, '{');
    for (uint32_t i = 0; i < members; i++) {
        uint32_t at = below(8) == 0 ? below(24) : first + i; // mostly the same order
        yg_buf_printf(out, "%s%s\"%s\"%s", i ? "," : "", i && below(5) == 0 ? " " : "",
                      names[at % 24], below(9) == 0 ? " :" : ":");
        if (depth < 3 && below(5) == 0)
            put_object(out, depth + 1);
        else
            yg_buf_puts(out, yg_str_c(values[below(16)]));
    }
    yg_buf_putc(out, '}');
}

static void logs_read_the_same_behind_any_other(void **unused) {
    (void)unused;
    for (uint32_t turn = 0; turn < 20; turn++) {
        struct yg_buf all = YG_BUF(YG_MEM_BASE, 16u << 20);
        size_t from[ROWS + 1];
        yg_buf_putc(&all, '[');
        for (uint32_t i = 0; i < ROWS; i++) {
            from[i] = all.len;
            if (i > 0 && below(3) == 0) { // the row before once more
                yg_str again = {all.ptr + from[i - 1], from[i] - from[i - 1] - 1};
                char copy[TEXT_MAX];
                assert_true(again.len < sizeof(copy));
                memcpy(copy, again.ptr, again.len);
                yg_buf_put(&all, copy, again.len);
            } else {
                put_object(&all, 0);
            }
            yg_buf_putc(&all, i + 1 < ROWS ? ',' : ']');
        }
        from[ROWS] = all.len;
        struct yg_batch *b = decode(yg_intake_logs, YG_TRACK_LOGS, YG_FORM_JSON, yg_buf_str(&all));
        assert_int_equal(b->row_count, ROWS);
        for (uint32_t i = 0; i < ROWS; i++) {
            yg_str text = {all.ptr + from[i], from[i + 1] - from[i] - 1};
            struct yg_batch *one = decode(yg_intake_logs, YG_TRACK_LOGS, YG_FORM_JSON, text);
            compare(b, i, one);
            yg_batch_destroy(one);
        }
        yg_batch_destroy(b);
        yg_buf_fini(&all);
    }
}

// ------------------------------------------------------------ spans

static void put_text(struct yg_buf *b) {
    static const char *const texts[] = {"", "v1", "v2", "caf\xc3\xa9", "bad \xff byte", "v1"};
    yg_mp_put_str(b, yg_str_c(texts[below(6)]));
}

static void put_tags(struct yg_buf *b, bool numbers) {
    static const char *const tags[] = {"env",          "version", "k1", "k2",
                                       "_dd.hostname", "k\xff",   "k1", "_dd.top_level"};
    uint32_t count = below(9), first = below(3);
    yg_mp_put_map(b, count);
    for (uint32_t i = 0; i < count; i++) {
        yg_mp_put_str(b, yg_str_c(tags[(below(7) == 0 ? below(8) : first + i) % 8]));
        if (below(12) == 0)
            yg_mp_put_nil(b);
        else if (numbers || below(12) == 0)
            yg_mp_put_f64(b, below(3));
        else
            put_text(b);
    }
}

// Each a trace of one span.
static void put_trace(struct yg_buf *b) {
    static const char *const fields[] = {"service",   "name",  "resource", "type",
                                         "parent_id", "error", "unknown",  "trace_id"};
    uint32_t count = 3 + below(7), first = below(2);
    yg_mp_put_array(b, 1);
    yg_mp_put_map(b, count);
    yg_mp_put_str(b, YG_STR("span_id"));
    yg_mp_put_u64(b, 1 + below(1000));
    for (uint32_t i = 1; i < count; i++) {
        uint32_t f = below(7) == 0 ? below(10) : first + i - 1;
        if (f >= 8) {
            yg_mp_put_str(b, f == 8 ? YG_STR("meta") : YG_STR("metrics"));
            put_tags(b, f != 8);
            continue;
        }
        yg_mp_put_str(b, yg_str_c(fields[f]));
        if (f < 4)
            put_text(b);
        else
            yg_mp_put_u64(b, below(300));
    }
}

static void spans_read_the_same_behind_any_other(void **unused) {
    (void)unused;
    for (uint32_t turn = 0; turn < 20; turn++) {
        struct yg_buf all = YG_BUF(YG_MEM_BASE, 16u << 20);
        size_t from[ROWS + 1];
        yg_mp_put_array(&all, ROWS);
        for (uint32_t i = 0; i < ROWS; i++) {
            from[i] = all.len;
            put_trace(&all);
        }
        from[ROWS] = all.len;
        struct yg_batch *b =
            decode(yg_intake_traces_v04, YG_TRACK_SPANS, YG_FORM_MSGPACK, yg_buf_str(&all));
        assert_int_equal(b->row_count, ROWS);
        for (uint32_t i = 0; i < ROWS; i++) {
            struct yg_buf body = YG_BUF(YG_MEM_BASE, 1u << 20);
            yg_mp_put_array(&body, 1);
            yg_buf_put(&body, all.ptr + from[i], from[i + 1] - from[i]);
            struct yg_batch *one =
                decode(yg_intake_traces_v04, YG_TRACK_SPANS, YG_FORM_MSGPACK, yg_buf_str(&body));
            compare(b, i, one);
            yg_batch_destroy(one);
            yg_buf_fini(&body);
        }
        yg_batch_destroy(b);
        yg_buf_fini(&all);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_read_the_same_behind_any_other),
        cmocka_unit_test(spans_read_the_same_behind_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
