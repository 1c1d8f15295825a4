// SPDX-License-Identifier: Apache-2.0
// What a field name means: the columns, tags and JSON paths that may hold its values, and reading
// those.
//
// Source: DataDog/documentation content/en/tracing/trace_explorer/query_syntax.md and
// logs/explorer/search_syntax.md (reserved attributes per track).
#include "filter/internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/json_read.h"

#define BIT(track) (1u << (track))
#define LIKE_LOGS (BIT(YG_TRACK_LOGS) | BIT(YG_TRACK_EVENTS) | BIT(YG_TRACK_SIGNALS))
#define LIKE_SPANS (BIT(YG_TRACK_SPANS) | BIT(YG_TRACK_CI))
#define NOT_LOGS (YG_TRACKS_ALL & ~BIT(YG_TRACK_LOGS))

static const struct {
    const char *name;
    uint32_t tracks;
} reserved[] = {
    {"timestamp", YG_TRACKS_ALL},
    {"tags", YG_TRACKS_ALL},
    {"service", YG_TRACKS_ALL},
    {"status", YG_TRACKS_ALL},
    {"host", YG_TRACKS_ALL},
    {"message", LIKE_LOGS},
    {"source", LIKE_LOGS},
    {"trace_id", YG_TRACKS_ALL & ~BIT(YG_TRACK_EVENTS)},
    {"span_id", BIT(YG_TRACK_LOGS) | LIKE_SPANS},
    {"parent_id", LIKE_SPANS},
    {"duration", LIKE_SPANS | BIT(YG_TRACK_TRACES)},
    {"operation_name", LIKE_SPANS | BIT(YG_TRACK_TRACES)},
    {"resource_name", LIKE_SPANS | BIT(YG_TRACK_TRACES)},
    {"type", LIKE_SPANS},
    {"env", LIKE_SPANS | BIT(YG_TRACK_TRACES)},
    {"index", BIT(YG_TRACK_LOGS)},
    {"ci_level", BIT(YG_TRACK_CI)},
    {"test_level", BIT(YG_TRACK_CI)},
};

static bool is_reserved(yg_str name, enum yg_track track) {
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if ((reserved[i].tracks & BIT(track)) && yg_str_eq_c(name, reserved[i].name))
            return true;
    return false;
}

yg_rc yg_field_parse(yg_str name, enum yg_track track, struct yg_arena *arena,
                     struct yg_field *ret_field, struct yg_err *err) {
    if (name.len == 0 || (name.len == 1 && (name.ptr[0] == '@' || name.ptr[0] == '#')))
        return yg_fail(err, YG_EINPUT, "a field needs a name");
    if (name.len > 1024)
        return yg_fail(err, YG_EINPUT, "a field name is longer than 1024 bytes");
    struct yg_field f = {.kind = YG_FIELD_TAG, .name = yg_arena_str(arena, name)};
    if (f.name.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a field name");
    bool spans = track == YG_TRACK_SPANS || track == YG_TRACK_TRACES;
    if (spans && yg_str_eq_c(name, "@duration")) { // a span's duration is no client's attribute
        f.kind = YG_FIELD_RESERVED;
        f.name = YG_STR(YG_COL_DURATION);
    } else if (name.ptr[0] == '@' || name.ptr[0] == '#') {
        f.kind = YG_FIELD_ATTR;
    } else if (is_reserved(name, track)) {
        f.kind = YG_FIELD_RESERVED;
    }
    *ret_field = f;
    return YG_OK;
}

// "@a.b.c" may be column "@a.b.c", path "c" below the JSON column "@a.b", or "b.c" below "@a".
static uint32_t attr_sources(yg_str column, uint32_t tracks, struct yg_source *out, uint32_t n) {
    out[n++] = (struct yg_source){.column = column, .kind = YG_SOURCE_COLUMN, .tracks = tracks};
    for (size_t i = column.len; i-- > 2 && n < YG_SOURCES_MAX;)
        if (column.ptr[i] == '.')
            out[n++] = (struct yg_source){.column = yg_str_sub(column, 0, i),
                                          .kind = YG_SOURCE_PATH,
                                          .key = yg_str_sub(column, i + 1, column.len),
                                          .tracks = tracks};
    return n;
}

yg_rc yg_field_sources(const struct yg_field *field, struct yg_arena *arena,
                       struct yg_source out[YG_SOURCES_MAX], uint32_t *ret_count,
                       struct yg_err *err) {
    if (field->kind == YG_FIELD_ATTR) {
        *ret_count = attr_sources(field->name, YG_TRACKS_ALL, out, 0);
        return YG_OK;
    }
    *ret_count = 1;
    if (field->kind == YG_FIELD_RESERVED) {
        bool tags = yg_str_eq_c(field->name, YG_COL_TAGS);
        out[0] = (struct yg_source){.column = field->name,
                                    .kind = tags ? YG_SOURCE_TAGS : YG_SOURCE_COLUMN,
                                    .tracks = YG_TRACKS_ALL};
        return YG_OK;
    }
    out[0] = (struct yg_source){.column = YG_STR(YG_COL_TAGS),
                                .kind = YG_SOURCE_TAG,
                                .key = field->name,
                                .tracks = YG_TRACKS_ALL};
    yg_str twin = yg_arena_printf(arena, "@%.*s", YG_STR_FMT(field->name));
    if (twin.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a field name");
    *ret_count = attr_sources(twin, NOT_LOGS, out, 1);
    return YG_OK;
}

// ------------------------------------------------------------ JSON columns

struct scalars {
    struct yg_json reader;
    bool deep;
    void (*fn)(void *ctx, const struct yg_value *v);
    void *ctx;
};

static void emit_scalar(struct scalars *s, const struct yg_json_token *t) {
    struct yg_value v = {0};
    switch (t->kind) {
    case YG_JSON_STRING:
        v = (struct yg_value){.type = YG_T_STR, .str = t->str};
        break;
    case YG_JSON_INT:
        v = (struct yg_value){.type = YG_T_I64, .i64 = t->i64};
        break;
    case YG_JSON_DOUBLE:
        v = (struct yg_value){.type = YG_T_F64, .f64 = t->f64};
        break;
    case YG_JSON_BOOL:
        v = (struct yg_value){.type = YG_T_BOOL, .i64 = t->boolean};
        break;
    case YG_JSON_NULL:
    case YG_JSON_END:
    case YG_JSON_KEY:
    case YG_JSON_OBJECT_BEGIN:
    case YG_JSON_OBJECT_END:
    case YG_JSON_ARRAY_BEGIN:
    case YG_JSON_ARRAY_END:
        return;
    }
    s->fn(s->ctx, &v);
}

// The rest of `path` below member `key`; false when the path does not lead there. Keys may hold
// dots themselves.
static bool path_below(yg_str path, yg_str key, yg_str *ret_rest) {
    if (!yg_str_starts(path, key))
        return false;
    if (path.len == key.len) {
        *ret_rest = (yg_str){0};
        return true;
    }
    if (path.ptr[key.len] != '.')
        return false;
    *ret_rest = yg_str_sub(path, key.len + 1, path.len);
    return true;
}

// Walks the value that begins with t. False when the text ends or is broken. Depth: the reader's
// limit.
static bool walk_value(struct scalars *s, const struct yg_json_token *t, yg_str path);

static bool walk_object(struct scalars *s, yg_str path) {
    for (;;) {
        struct yg_json_token key, value;
        if (yg_json_next(&s->reader, &key, NULL) != YG_OK)
            return false;
        if (key.kind == YG_JSON_OBJECT_END)
            return true;
        if (yg_json_next(&s->reader, &value, NULL) != YG_OK)
            return false;
        yg_str rest = {0};
        bool wanted = s->deep || (path.len > 0 && path_below(path, key.str, &rest));
        if (wanted ? !walk_value(s, &value, rest) : yg_json_skip(&s->reader, &value, NULL) != YG_OK)
            return false;
    }
}

static bool walk_value(struct scalars *s, const struct yg_json_token *t, yg_str path) {
    if (t->kind == YG_JSON_OBJECT_BEGIN) {
        if (s->deep || path.len > 0)
            return walk_object(s, path);
        yg_str raw;
        if (yg_json_raw(&s->reader, t, &raw, NULL) != YG_OK)
            return false;
        s->fn(s->ctx, &(struct yg_value){.type = YG_T_JSON, .str = raw});
        return true;
    }
    if (t->kind != YG_JSON_ARRAY_BEGIN) {
        if (s->deep || path.len == 0)
            emit_scalar(s, t);
        return true;
    }
    for (;;) {
        struct yg_json_token element;
        if (yg_json_next(&s->reader, &element, NULL) != YG_OK)
            return false;
        if (element.kind == YG_JSON_ARRAY_END)
            return true;
        if (!walk_value(s, &element, path))
            return false;
    }
}

void yg_json_scalars(yg_str json, yg_str path, bool deep, struct yg_arena *arena,
                     void (*fn)(void *ctx, const struct yg_value *v), void *ctx) {
    struct scalars s = {.deep = deep, .fn = fn, .ctx = ctx};
    struct yg_json_token t;
    yg_json_init(&s.reader, json, arena);
    if (yg_json_next(&s.reader, &t, NULL) == YG_OK)
        (void)walk_value(&s, &t, path);
}

// ------------------------------------------------------------ tags

bool yg_tag_next(yg_str *rest, yg_str *ret_tag) {
    while (yg_str_split(rest, ',', ret_tag))
        if (ret_tag->len > 0)
            return true;
    return false;
}

bool yg_tag_value(yg_str tag, yg_str key, yg_str *ret_value) {
    if (tag.len <= key.len || tag.ptr[key.len] != ':')
        return false;
    if (!yg_str_eq_nocase(yg_str_sub(tag, 0, key.len), key))
        return false;
    *ret_value = yg_str_sub(tag, key.len + 1, tag.len);
    return true;
}

// ------------------------------------------------------------ views

static bool source_type_fits(enum yg_source_kind kind, enum yg_type type) {
    switch (kind) {
    case YG_SOURCE_COLUMN:
        return true;
    case YG_SOURCE_TAG:
    case YG_SOURCE_TAGS:
        return type == YG_T_STR;
    case YG_SOURCE_PATH:
        return type == YG_T_JSON;
    }
    return false;
}

static yg_rc view_add(struct yg_field_view *view, const struct yg_source *source,
                      struct yg_block *b, struct yg_err *err) {
    const struct yg_vec *vecs[YG_TYPE_COUNT];
    uint32_t count = 0;
    YG_TRY(b->ops->columns(b, source->column, vecs, &count, err));
    uint32_t room = (uint32_t)(sizeof(view->sources) / sizeof(view->sources[0]));
    for (uint32_t i = 0; i < count && view->count < room; i++)
        if (source_type_fits(source->kind, vecs[i]->type))
            view->sources[view->count++] =
                (struct yg_field_source){.vec = vecs[i], .kind = source->kind, .key = source->key};
    return YG_OK;
}

yg_rc yg_field_view_open(const struct yg_field *field, struct yg_block *b,
                         struct yg_field_view *ret_view, struct yg_err *err) {
    struct yg_source sources[YG_SOURCES_MAX];
    uint32_t count = 0;
    YG_TRY(yg_field_sources(field, b->arena, sources, &count, err));
    struct yg_field_view view = {.arena = b->arena};
    for (uint32_t i = 0; i < count; i++)
        if (sources[i].tracks & BIT(b->track))
            YG_TRY(view_add(&view, &sources[i], b, err));
    *ret_view = view;
    return YG_OK;
}

static void tag_values(yg_str tags, const struct yg_field_source *source,
                       void (*fn)(void *ctx, const struct yg_value *v), void *ctx) {
    yg_str tag;
    struct yg_value v = {.type = YG_T_STR};
    while (yg_tag_next(&tags, &tag)) {
        v.str = tag;
        if (source->kind == YG_SOURCE_TAGS || yg_tag_value(tag, source->key, &v.str))
            fn(ctx, &v);
    }
}

void yg_field_view_values(const struct yg_field_view *view, uint32_t row,
                          void (*fn)(void *ctx, const struct yg_value *v), void *ctx) {
    for (uint32_t i = 0; i < view->count; i++) {
        const struct yg_field_source *source = &view->sources[i];
        if (!yg_vec_has(source->vec, row))
            continue;
        if (source->kind == YG_SOURCE_TAG || source->kind == YG_SOURCE_TAGS) {
            tag_values(yg_vec_str(source->vec, row), source, fn, ctx);
        } else if (source->vec->type == YG_T_JSON) {
            yg_json_scalars(yg_vec_str(source->vec, row), source->key, false, view->arena, fn, ctx);
        } else {
            struct yg_value v;
            if (yg_vec_value(source->vec, row, &v))
                fn(ctx, &v);
        }
    }
}

yg_rc yg_field_values(const struct yg_field *field, struct yg_block *b, uint32_t row,
                      void (*fn)(void *ctx, const struct yg_value *v), void *ctx,
                      struct yg_err *err) {
    struct yg_field_view view;
    YG_TRY(yg_field_view_open(field, b, &view, err));
    yg_field_view_values(&view, row, fn, ctx);
    return YG_OK;
}

// ------------------------------------------------------------ values

static size_t f64_text(double v, char out[40]) {
    if (v > -1e15 && v < 1e15 && v == (double)(int64_t)v)
        return (size_t)snprintf(out, 40, "%" PRId64, (int64_t)v);
    for (int digits = 15; digits <= 17; digits++) {
        int len = snprintf(out, 40, "%.*g", digits, v);
        if (digits == 17 || strtod(out, NULL) == v)
            return (size_t)len;
    }
    return 0;
}

yg_str yg_value_text(const struct yg_value *v, struct yg_arena *arena) {
    char text[40];
    switch (v->type) {
    case YG_T_STR:
    case YG_T_JSON:
        return v->str;
    case YG_T_BOOL:
        return v->i64 ? YG_STR("true") : YG_STR("false");
    case YG_T_I64:
        return yg_arena_printf(arena, "%" PRId64, v->i64);
    case YG_T_F64:
        return yg_arena_str(arena, (yg_str){text, f64_text(v->f64, text)});
    case YG_T_ID:
        yg_id128_hex(v->id, text);
        return yg_arena_str(arena, (yg_str){text, 32});
    case YG_TYPE_COUNT:
        break;
    }
    return (yg_str){0};
}

bool yg_value_number(const struct yg_value *v, double *ret_number) {
    switch (v->type) {
    case YG_T_I64:
        *ret_number = (double)v->i64;
        return true;
    case YG_T_F64:
        *ret_number = v->f64;
        return true;
    case YG_T_STR:
        return yg_str_to_f64(v->str, ret_number);
    case YG_T_BOOL:
    case YG_T_ID:
    case YG_T_JSON:
    case YG_TYPE_COUNT:
        break;
    }
    return false;
}

static const struct {
    const char *from;
    const char *to;
} status_words[] = {
    {"warning", "warn"},       {"err", "error"},     {"information", "info"},
    {"informational", "info"}, {"crit", "critical"}, {"emerg", "emergency"},
    {"fatal", "emergency"},    {"trace", "debug"},   {"verbose", "debug"},
    {"success", "ok"},
};

yg_str yg_status_canonical(yg_str s, char out[YG_STATUS_BYTES]) {
    if (s.len >= YG_STATUS_BYTES)
        return s;
    for (size_t i = 0; i < s.len; i++)
        out[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    yg_str low = {out, s.len};
    for (size_t i = 0; i < sizeof(status_words) / sizeof(status_words[0]); i++)
        if (yg_str_eq_c(low, status_words[i].from))
            return yg_str_c(status_words[i].to);
    return low;
}
