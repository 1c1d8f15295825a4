// SPDX-License-Identifier: Apache-2.0
// Span links and span events: native msgpack or JSON text in meta, one JSON form in the row.
// Source: DataDog/dd-trace-js packages/dd-trace/src/encode/0.4.js (native),
// packages/dd-trace/src/span_format.js (JSON in meta)
#include "intake/spans.h"

#include "codec/json_read.h"
#include "codec/json_write.h"

#define TEXT_ARENA_BYTES (16u << 20)
#define ANY_DEPTH_MAX 8u

// Writer standing where the next element of the list goes.
static struct yg_json_writer list_writer(struct yg_buf *list) {
    struct yg_json_writer w = YG_JSON_WRITER(list);
    if (list->len == 0)
        yg_buf_putc(list, '[');
    else
        w.comma = true;
    return w;
}

static void put_hex(struct yg_json_writer *w, const char *key, uint64_t high, uint64_t low,
                    bool wide) {
    char text[33];
    yg_id128_hex((yg_id128){high, low}, text);
    yg_jw_kstr(w, key, wide ? (yg_str){text, 32} : (yg_str){text + 16, 16});
}

// ------------------------------------------------------------ links

struct link {
    uint64_t trace_id, trace_id_high, span_id, flags;
    yg_str tracestate;
    yg_str attributes; // JSON
};

static void put_link(struct yg_buf *list, const struct link *link) {
    struct yg_json_writer w = list_writer(list);
    yg_jw_object(&w);
    put_hex(&w, "trace_id", link->trace_id_high, link->trace_id, true);
    put_hex(&w, "span_id", 0, link->span_id, false);
    yg_jw_k(&w, "attributes");
    yg_jw_raw(&w, link->attributes.len ? link->attributes : YG_STR("{}"));
    yg_jw_kstr(&w, "tracestate", link->tracestate);
    yg_jw_ki64(&w, "flags", (int64_t)(link->flags & UINT32_MAX));
    yg_jw_object_end(&w);
}

// One value as JSON text in the scratch buffer.
static yg_rc value_json(struct yg_spans *s, struct yg_mp *r, yg_str *ret_json, struct yg_err *err) {
    yg_buf_reset(&s->scratch);
    YG_TRY(yg_mp_to_json(r, &s->scratch, err));
    *ret_json = yg_buf_str(&s->scratch);
    return YG_OK;
}

static yg_rc read_link(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    struct link link = {0};
    uint32_t members;
    YG_TRY(yg_mp_map(r, &members, err));
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(r, &key, err));
        if (yg_str_eq_c(key, "trace_id"))
            YG_TRY(yg_mp_u64(r, &link.trace_id, err));
        else if (yg_str_eq_c(key, "trace_id_high"))
            YG_TRY(yg_mp_u64(r, &link.trace_id_high, err));
        else if (yg_str_eq_c(key, "span_id"))
            YG_TRY(yg_mp_u64(r, &link.span_id, err));
        else if (yg_str_eq_c(key, "flags"))
            YG_TRY(yg_mp_u64(r, &link.flags, err));
        else if (yg_str_eq_c(key, "tracestate"))
            YG_TRY(yg_mp_str(r, &link.tracestate, err));
        else if (yg_str_eq_c(key, "attributes"))
            YG_TRY(value_json(s, r, &link.attributes, err));
        else
            YG_TRY(yg_mp_skip(r, err));
    }
    if (link.attributes.len > 0 && link.attributes.ptr[0] != '{')
        link.attributes = YG_STR("{}"); // nil
    put_link(&s->links, &link);
    return YG_OK;
}

yg_rc yg_spans_links(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_array(r, &count, err));
    for (uint32_t i = 0; i < count; i++)
        YG_TRY(read_link(s, r, err));
    return YG_OK;
}

// ------------------------------------------------------------ events

// An AnyValue map: its one *_value member says all; "type" is not needed.
static yg_rc put_any(struct yg_json_writer *w, struct yg_mp *r, uint32_t depth, struct yg_err *err);

static yg_rc put_any_array(struct yg_json_writer *w, struct yg_mp *r, uint32_t depth,
                           struct yg_err *err) {
    uint32_t members;
    YG_TRY(yg_mp_map(r, &members, err));
    yg_jw_array(w);
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(r, &key, err));
        if (!yg_str_eq_c(key, "values")) {
            YG_TRY(yg_mp_skip(r, err));
            continue;
        }
        uint32_t count;
        YG_TRY(yg_mp_array(r, &count, err));
        for (uint32_t k = 0; k < count; k++)
            YG_TRY(put_any(w, r, depth + 1, err));
    }
    yg_jw_array_end(w);
    return YG_OK;
}

static yg_rc put_scalar(struct yg_json_writer *w, struct yg_mp *r, struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    switch (t.kind) {
    case YG_MP_BOOL:
        yg_jw_bool(w, t.boolean);
        break;
    case YG_MP_UINT:
        yg_jw_u64(w, t.u64);
        break;
    case YG_MP_INT:
        yg_jw_i64(w, t.i64);
        break;
    case YG_MP_F64:
        yg_jw_f64(w, t.f64);
        break;
    case YG_MP_STR:
    case YG_MP_BIN:
        yg_jw_str(w, t.str);
        break;
    case YG_MP_NIL:
    case YG_MP_EXT:
        yg_jw_null(w);
        break;
    case YG_MP_ARRAY:
    case YG_MP_MAP:
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: container where a value should be",
                       t.at);
    }
    return YG_OK;
}

static yg_rc put_any(struct yg_json_writer *w, struct yg_mp *r, uint32_t depth,
                     struct yg_err *err) {
    if (depth > ANY_DEPTH_MAX)
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: attribute deeper than %u", r->pos,
                       ANY_DEPTH_MAX);
    uint32_t members;
    bool written = false;
    YG_TRY(yg_mp_map(r, &members, err));
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(r, &key, err));
        bool value = !written && yg_str_ends(key, YG_STR("_value"));
        if (value && yg_str_eq_c(key, "array_value"))
            YG_TRY(put_any_array(w, r, depth, err));
        else if (value)
            YG_TRY(put_scalar(w, r, err));
        else
            YG_TRY(yg_mp_skip(r, err));
        written |= value;
    }
    if (!written)
        yg_jw_null(w);
    return YG_OK;
}

// The attributes as a JSON object in the scratch buffer.
static yg_rc read_attributes(struct yg_spans *s, struct yg_mp *r, yg_str *ret_json,
                             struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_map(r, &count, err));
    yg_buf_reset(&s->scratch);
    struct yg_json_writer w = YG_JSON_WRITER(&s->scratch);
    yg_jw_object(&w);
    for (uint32_t i = 0; i < count; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(r, &key, err));
        yg_jw_key(&w, key);
        YG_TRY(put_any(&w, r, 0, err));
    }
    yg_jw_object_end(&w);
    YG_TRY(yg_buf_ok(&s->scratch, err));
    *ret_json = yg_buf_str(&s->scratch);
    return YG_OK;
}

static void put_event(struct yg_buf *list, yg_str name, yg_str time, yg_str attributes) {
    struct yg_json_writer w = list_writer(list);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "name", name);
    yg_jw_k(&w, "time_unix_nano");
    yg_jw_raw(&w, time);
    yg_jw_k(&w, "attributes");
    yg_jw_raw(&w, attributes.len ? attributes : YG_STR("{}"));
    yg_jw_object_end(&w);
}

static yg_rc read_event(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    uint32_t members;
    yg_str name = YG_STR("");
    yg_str attributes = YG_STR("");
    uint64_t time = 0;
    YG_TRY(yg_mp_map(r, &members, err));
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(r, &key, err));
        if (yg_str_eq_c(key, "name"))
            YG_TRY(yg_mp_str(r, &name, err));
        else if (yg_str_eq_c(key, "time_unix_nano"))
            YG_TRY(yg_mp_u64(r, &time, err));
        else if (yg_str_eq_c(key, "attributes"))
            YG_TRY(read_attributes(s, r, &attributes, err));
        else
            YG_TRY(yg_mp_skip(r, err));
    }
    char text[24];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)time);
    put_event(&s->events, name, (yg_str){text, (size_t)n}, attributes);
    return YG_OK;
}

yg_rc yg_spans_events(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_array(r, &count, err));
    for (uint32_t i = 0; i < count; i++)
        YG_TRY(read_event(s, r, err));
    return YG_OK;
}

// ------------------------------------------------------------ JSON text in meta

// "ab…" of up to `digits` hex digits, as 64-bit halves.
static bool hex_id(yg_str s, uint64_t *ret_high, uint64_t *ret_low) {
    *ret_high = 0;
    if (s.len > 32)
        return false;
    if (s.len <= 16)
        return yg_str_hex_to_u64(s, ret_low);
    return yg_str_hex_to_u64(yg_str_sub(s, 0, s.len - 16), ret_high) &&
           yg_str_hex_to_u64(yg_str_sub(s, s.len - 16, 16), ret_low);
}

static bool link_from_json(const struct yg_json_node *node, struct link *ret_link) {
    struct link link = {0};
    uint64_t none;
    if (!hex_id(yg_json_str_or(yg_json_get(node, "trace_id"), YG_STR("")), &link.trace_id_high,
                &link.trace_id) ||
        !hex_id(yg_json_str_or(yg_json_get(node, "span_id"), YG_STR("")), &none, &link.span_id))
        return false;
    const struct yg_json_node *attributes = yg_json_get(node, "attributes");
    if (yg_json_is(attributes, YG_JSON_OBJECT_BEGIN))
        link.attributes = attributes->raw;
    link.tracestate = yg_json_str_or(yg_json_get(node, "tracestate"), YG_STR(""));
    link.flags = (uint64_t)yg_json_i64_or(yg_json_get(node, "flags"), 0);
    *ret_link = link;
    return true;
}

bool yg_spans_links_text(struct yg_spans *s, yg_str json) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_INTAKE, TEXT_ARENA_BYTES);
    struct yg_json_node *root;
    if (yg_json_parse(json, arena, &root, NULL) != YG_OK || root->kind != YG_JSON_ARRAY_BEGIN)
        return false;
    struct link link;
    for (const struct yg_json_node *n = root->child; n != NULL; n = n->next)
        if (!link_from_json(n, &link))
            return false;
    for (const struct yg_json_node *n = root->child; n != NULL; n = n->next)
        if (link_from_json(n, &link))
            put_link(&s->links, &link);
    return true;
}

static bool event_shape(const struct yg_json_node *n) {
    return yg_json_is(yg_json_get(n, "name"), YG_JSON_STRING) &&
           yg_json_i64_or(yg_json_get(n, "time_unix_nano"), -1) >= 0;
}

bool yg_spans_events_text(struct yg_spans *s, yg_str json) {
    if (json.len == 0 || json.ptr[0] != '[') // a tag of the user's that has this name
        return false;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_INTAKE, TEXT_ARENA_BYTES);
    struct yg_json_node *root;
    if (yg_json_parse(json, arena, &root, NULL) != YG_OK || root->kind != YG_JSON_ARRAY_BEGIN)
        return false;
    for (const struct yg_json_node *n = root->child; n != NULL; n = n->next)
        if (!event_shape(n))
            return false;
    for (const struct yg_json_node *n = root->child; n != NULL; n = n->next) {
        const struct yg_json_node *attributes = yg_json_get(n, "attributes");
        bool object = yg_json_is(attributes, YG_JSON_OBJECT_BEGIN);
        char time[24];
        int len = snprintf(time, sizeof(time), "%lld",
                           (long long)yg_json_i64_or(yg_json_get(n, "time_unix_nano"), 0));
        put_event(&s->events, yg_json_get(n, "name")->str, (yg_str){time, (size_t)len},
                  object ? attributes->raw : YG_STR(""));
    }
    return true;
}
