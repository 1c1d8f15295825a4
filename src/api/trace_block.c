// SPDX-License-Identifier: Apache-2.0
// Writes a trace as the page reads it: 64 bytes of header, eleven columns, strings, a JSON tail.
//
// Layout (docs/api.md has it by byte offset): every column begins at a multiple of 8, gaps are
// zero; string offsets u32[m+1] likewise, the string bytes directly behind them, the JSON tail at
// the next multiple of 8. All numbers little-endian. Strings 0 … S−1 are the services.
#include "api/trace_block.h"

#include "base/map.h"
#include "base/panic.h"
#include "codec/json_write.h"

#define HEADER_BYTES 64
#define TYPES_MAX 256

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "columns are copied as they lie in memory");

struct strings {
    struct yg_map index;
    yg_str *list;
    uint32_t count;
    uint32_t cap;
    struct yg_arena *arena;
    bool failed;
};

static uint32_t intern(struct strings *s, yg_str text) {
    bool fresh = false;
    uint64_t *place = yg_map_put(&s->index, text, &fresh);
    if (!fresh)
        return (uint32_t)*place;
    if (!YG_ARENA_GROW(s->arena, s->list, s->count, s->cap)) {
        s->failed = true;
        return 0;
    }
    s->list[s->count] = text;
    *place = s->count;
    return s->count++;
}

struct columns {
    double *start_off;
    double *dur;
    uint64_t *span_id;
    uint32_t *name;
    uint32_t *resource;
    uint16_t *service;
    uint16_t *flags;
    uint8_t *type;
    yg_str types[TYPES_MAX];
    uint32_t type_count;
};

static uint8_t type_index(struct columns *c, yg_str type) {
    for (uint32_t i = 0; i < c->type_count; i++)
        if (yg_str_eq(c->types[i], type))
            return (uint8_t)i;
    if (c->type_count == TYPES_MAX)
        return 0;
    c->types[c->type_count] = type;
    return (uint8_t)c->type_count++;
}

static bool columns_alloc(struct columns *c, uint32_t n, struct yg_arena *arena) {
    c->start_off = YG_NEW_N(arena, double, n + 1);
    c->dur = YG_NEW_N(arena, double, n + 1);
    c->span_id = YG_NEW_N(arena, uint64_t, n + 1);
    c->name = YG_NEW_N(arena, uint32_t, n + 1);
    c->resource = YG_NEW_N(arena, uint32_t, n + 1);
    c->service = YG_NEW_N(arena, uint16_t, n + 1);
    c->flags = YG_NEW_N(arena, uint16_t, n + 1);
    c->type = YG_NEW_N(arena, uint8_t, n + 1);
    return c->start_off && c->dur && c->span_id && c->name && c->resource && c->service &&
           c->flags && c->type;
}

static uint16_t row_flags(const struct yg_trace_tree *t, uint32_t row) {
    const struct yg_trace_span *s = &t->spans[t->order[row]];
    uint16_t flags = s->flags;
    if (t->parent[row] >= 0) {
        const struct yg_trace_span *up = &t->spans[t->order[t->parent[row]]];
        if (s->start_ns >= up->start_ns + up->dur_ns && up->dur_ns > 0)
            flags |= YG_TRACE_ASYNC;
    }
    return flags;
}

static void columns_fill(struct columns *c, const struct yg_trace_tree *t, int64_t base_ns,
                         struct strings *s) {
    c->types[0] = YG_STR("");
    c->type_count = 1;
    for (uint32_t row = 0; row < t->count; row++) {
        const struct yg_trace_span *span = &t->spans[t->order[row]];
        c->start_off[row] = (double)(span->start_ns - base_ns);
        c->dur[row] = span->dur_ns > 0 ? (double)span->dur_ns : 0.0;
        c->span_id[row] = span->span_id;
        c->name[row] = intern(s, span->name);
        c->resource[row] = intern(s, span->resource);
        uint32_t service = intern(s, span->service);
        c->service[row] = (uint16_t)(service > UINT16_MAX ? UINT16_MAX : service);
        c->flags[row] = row_flags(t, row);
        c->type[row] = type_index(c, span->type);
    }
}

static void pad8(struct yg_buf *out, size_t from) {
    while ((out->len - from) % 8 != 0)
        yg_buf_putc(out, '\0');
}

static void put_column(struct yg_buf *out, size_t from, const void *ptr, size_t bytes) {
    pad8(out, from);
    yg_buf_put(out, ptr, bytes);
}

static void put_strings(struct yg_buf *out, size_t from, const struct strings *s) {
    pad8(out, from);
    uint32_t at = 0;
    for (uint32_t i = 0; i <= s->count; i++) {
        yg_buf_put(out, &at, sizeof(at));
        if (i < s->count)
            at += (uint32_t)s->list[i].len;
    }
    for (uint32_t i = 0; i < s->count; i++)
        yg_buf_puts(out, s->list[i]);
}

static void put_tail(struct yg_buf *out, const struct yg_trace_tree *t, const struct columns *c) {
    struct yg_json_writer w = YG_JSON_WRITER(out);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "env", t->count > 0 ? t->spans[t->order[0]].env : YG_STR(""));
    yg_jw_k(&w, "types");
    yg_jw_array(&w);
    for (uint32_t i = 0; i < c->type_count; i++)
        yg_jw_str(&w, c->types[i]);
    yg_jw_array_end(&w);
    yg_jw_k(&w, "services");
    yg_jw_array(&w);
    for (uint32_t i = 0; i < t->service_count; i++) {
        yg_jw_object(&w);
        yg_jw_kstr(&w, "name", t->services[i].name);
        yg_jw_ki64(&w, "spans", t->services[i].spans);
        yg_jw_ki64(&w, "errors", t->services[i].errors);
        yg_jw_ki64(&w, "self_ns", t->services[i].self_ns);
        yg_jw_object_end(&w);
    }
    yg_jw_array_end(&w);
    yg_jw_k(&w, "insights");
    yg_jw_array(&w);
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
}

static void set_u16(char *at, uint32_t v) {
    uint16_t x = (uint16_t)v;
    memcpy(at, &x, sizeof(x));
}
static void set_u32(char *at, uint64_t v) {
    uint32_t x = (uint32_t)v;
    memcpy(at, &x, sizeof(x));
}
static void set_u64_be(char *at, uint64_t v) {
    for (int i = 0; i < 8; i++)
        at[i] = (char)(v >> (56 - 8 * i));
}

static int64_t earliest(const struct yg_trace_tree *t) {
    int64_t base = t->count > 0 ? t->spans[0].start_ns : 0;
    for (uint32_t i = 1; i < t->count; i++)
        if (t->spans[i].start_ns < base)
            base = t->spans[i].start_ns;
    return base;
}

static void put_columns(struct yg_buf *out, size_t from, const struct yg_trace_tree *t,
                        const struct columns *c) {
    size_t n = t->count;
    put_column(out, from, c->start_off, 8 * n);
    put_column(out, from, c->dur, 8 * n);
    put_column(out, from, c->span_id, 8 * n);
    put_column(out, from, t->parent, 4 * n);
    put_column(out, from, t->end, 4 * n);
    put_column(out, from, c->name, 4 * n);
    put_column(out, from, c->resource, 4 * n);
    put_column(out, from, c->service, 2 * n);
    put_column(out, from, t->depth, 2 * n);
    put_column(out, from, c->flags, 2 * n);
    put_column(out, from, c->type, n);
}

static size_t string_bytes(const struct strings *s) {
    size_t sum = 0;
    for (uint32_t i = 0; i < s->count; i++)
        sum += s->list[i].len;
    return sum;
}

static yg_rc write_block(const struct yg_trace_tree *t, yg_id128 trace_id, uint32_t n_total,
                         struct columns *c, struct strings *s, struct yg_buf *out,
                         struct yg_err *err) {
    size_t from = out->len;
    int64_t base_ns = earliest(t);
    for (uint32_t i = 0; i < t->service_count; i++)
        (void)intern(s, t->services[i].name);
    columns_fill(c, t, base_ns, s);
    size_t bytes = string_bytes(s);
    if (s->failed || bytes > UINT32_MAX)
        return yg_fail(err, YG_ENOMEM, "no memory for the strings of a trace");
    char header[HEADER_BYTES] = "YGT1";
    set_u16(header + 4, 1);
    set_u16(header + 6, (n_total > t->count ? 1u : 0u) | (t->parent_missing ? 2u : 0u));
    set_u32(header + 8, t->count);
    set_u32(header + 12, n_total);
    set_u32(header + 16, s->count);
    set_u32(header + 20, bytes);
    memcpy(header + 24, &base_ns, 8);
    set_u64_be(header + 32, trace_id.hi);
    set_u64_be(header + 40, trace_id.lo);
    yg_buf_put(out, header, sizeof(header));
    put_columns(out, from, t, c);
    put_strings(out, from, s);
    pad8(out, from);
    size_t tail = out->len;
    put_tail(out, t, c);
    YG_TRY(yg_buf_ok(out, err));
    set_u32(out->ptr + from + 48, out->len - tail);
    set_u32(out->ptr + from + 52, out->len - from);
    return YG_OK;
}

yg_rc yg_trace_block_write(const struct yg_trace_tree *tree, yg_id128 trace_id, uint32_t n_total,
                           struct yg_arena *arena, struct yg_buf *out, struct yg_err *err) {
    YG_ASSERT(tree->count <= YG_TRACE_SPANS_MAX && n_total >= tree->count);
    struct columns *c = YG_NEW(arena, struct columns);
    if (c == NULL || !columns_alloc(c, tree->count, arena))
        return yg_fail(err, YG_ENOMEM, "no memory for a trace of %u spans", tree->count);
    struct strings s = {.index = YG_MAP(YG_MEM_QUERY, false), .arena = arena};
    yg_rc rc = write_block(tree, trace_id, n_total, c, &s, out, err);
    yg_map_fini(&s.index);
    return rc;
}
