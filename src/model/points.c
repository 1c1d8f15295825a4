// SPDX-License-Identifier: Apache-2.0
// Batches of metric points: normalising and interning series, and the WAL payload.
//
// Payload (little endian, varint = LEB128): u8 version = 1 · svarint received_ns · varint
// body_bytes · varint series · varint points · varint sketches; per series: name, tags, unit as
// varint length + bytes · u8 type · varint interval_s; per point: varint series · varint sketch + 1
// (0 = value) · svarint seconds since the previous point · f64 value unless sketched; then the
// sketches as codec/ddsketch encodes them.
//
// Source (normalising): DataDog/documentation content/en/getting_started/tagging,
// content/en/metrics/custom_metrics.
#include "model/points.h"

#include "base/hash.h"
#include "base/panic.h"
#include "base/utf8.h"
#include "codec/varint.h"

#define CODEC_VERSION 1
#define NAME_CHARS_MAX 200u
#define TAG_CHARS_MAX 200u

struct yg_points *yg_points_create(size_t limit_bytes) {
    struct yg_arena *arena = yg_arena_create(YG_MEM_INTAKE, limit_bytes);
    if (arena == NULL)
        return NULL;
    struct yg_points *p = YG_NEW(arena, struct yg_points);
    if (p == NULL) {
        yg_arena_destroy(arena);
        return NULL;
    }
    p->arena = arena;
    p->own_index = YG_MAP(YG_MEM_INTAKE, false);
    return p;
}

void yg_points_destroy(struct yg_points *p) {
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->sketch_count; i++)
        yg_sketch_fini(&p->sketches[i]);
    yg_map_fini(&p->own_index);
    yg_arena_destroy(p->arena); // p itself lives in it
}

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "points memory is used up");
}

// ------------------------------------------------------------ normalising

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// True when the tag is already in normal form (ASCII only): the common case costs no copy.
static bool tag_is_normal(yg_str tag) {
    if (tag.len == 0 || tag.len > TAG_CHARS_MAX || tag.ptr[tag.len - 1] == '_' ||
        tag.ptr[0] < 'a' || tag.ptr[0] > 'z')
        return false;
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '-' || c == ':' ||
                  c == '.' || c == '/';
        if (!ok)
            return false;
    }
    return true;
}

yg_str yg_tag_normalize(yg_str tag, struct yg_arena *arena) {
    if (tag_is_normal(tag))
        return tag;
    char *out = yg_arena_alloc(arena, tag.len * 4 + 4);
    if (out == NULL)
        return (yg_str){NULL, 0};
    size_t len = 0, chars = 0, at = 0, kept = 0;
    while (at < tag.len && chars < TAG_CHARS_MAX) {
        uint32_t cp = yg_utf8_fold(yg_utf8_next(tag, &at));
        bool letter = cp >= 0x80 ? yg_utf8_is_word(cp) : cp >= 'a' && cp <= 'z';
        bool other = (cp >= '0' && cp <= '9') || cp == '-' || cp == ':' || cp == '.' || cp == '/';
        if (chars == 0 && !letter)
            continue; // a tag starts with a letter
        if (letter || other)
            len += yg_utf8_put(cp, out + len);
        else
            out[len++] = '_';
        chars++;
        if (letter || other)
            kept = len; // '_' at the end is dropped
    }
    return yg_str_n(out, kept);
}

yg_str yg_metric_name_normalize(yg_str name, struct yg_arena *arena) {
    size_t start = 0;
    while (start < name.len && !is_letter(name.ptr[start]))
        start++;
    name = yg_str_sub(name, start, name.len);
    bool normal = name.len <= NAME_CHARS_MAX;
    for (size_t i = 0; normal && i < name.len; i++)
        normal = is_letter(name.ptr[i]) || is_digit(name.ptr[i]) || name.ptr[i] == '_' ||
                 name.ptr[i] == '.';
    if (normal)
        return name;
    char *out = yg_arena_alloc(arena, name.len);
    if (out == NULL)
        return (yg_str){NULL, 0};
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if ((c & 0xc0) == 0x80)
            continue; // the rest of a character that became one '_'
        out[len++] = is_letter(c) || is_digit(c) || c == '_' || c == '.' ? c : '_';
    }
    return yg_str_n(out, len);
}

static int compare_tags(const void *a, const void *b) {
    return yg_str_cmp(*(const yg_str *)a, *(const yg_str *)b);
}

// Normalised, sorted, without duplicates, comma-joined; the host becomes a tag unless one is there.
static yg_rc join_tags(struct yg_points *p, const yg_str *tags, uint32_t tag_count, yg_str host,
                       yg_str *ret_joined, struct yg_err *err) {
    yg_str *sorted = YG_NEW_N(p->arena, yg_str, tag_count + 1u);
    if (sorted == NULL)
        return no_memory(err);
    uint32_t n = 0;
    bool has_host = false;
    size_t bytes = 0;
    for (uint32_t i = 0; i < tag_count; i++) {
        yg_str tag = yg_tag_normalize(tags[i], p->arena);
        if (tag.len == 0)
            continue;
        has_host = has_host || yg_str_starts(tag, YG_STR("host:"));
        sorted[n++] = tag;
    }
    if (host.len > 0 && !has_host) {
        sorted[n] =
            yg_tag_normalize(yg_arena_printf(p->arena, "host:%.*s", YG_STR_FMT(host)), p->arena);
        n += sorted[n].len > 0;
    }
    qsort(sorted, n, sizeof(*sorted), compare_tags);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (distinct > 0 && yg_str_eq(sorted[distinct - 1], sorted[i]))
            continue;
        sorted[distinct++] = sorted[i];
        bytes += sorted[i].len + 1;
    }
    char *out = yg_arena_alloc(p->arena, bytes + 1);
    if (out == NULL)
        return no_memory(err);
    size_t len = 0;
    for (uint32_t i = 0; i < distinct; i++) {
        if (i > 0)
            out[len++] = ',';
        memcpy(out + len, sorted[i].ptr, sorted[i].len);
        len += sorted[i].len;
    }
    *ret_joined = yg_str_n(out, len);
    return YG_OK;
}

// ------------------------------------------------------------ building

static yg_rc series_make(struct yg_points *p, const struct yg_point_series *series,
                         uint32_t *ret_series, struct yg_err *err) {
    struct yg_buf key = YG_BUF(YG_MEM_INTAKE, 1u << 20);
    yg_buf_puts(&key, series->name);
    yg_buf_putc(&key, (char)series->type);
    yg_buf_puts(&key, series->tags);
    yg_str own = yg_arena_str(p->arena, yg_buf_str(&key));
    bool complete = !key.failed;
    yg_buf_fini(&key);
    if (!complete)
        return yg_fail(err, YG_ELIMIT, "series \"%.*s\": tags are longer than 1 MiB",
                       YG_STR_FMT(series->name));
    if (own.ptr == NULL)
        return no_memory(err);
    bool is_new;
    uint64_t *slot = yg_map_put(&p->own_index, own, &is_new);
    if (is_new) {
        *slot = p->series_count;
        if (!YG_ARENA_GROW(p->arena, p->series, p->series_count, p->series_cap)) {
            yg_map_remove(&p->own_index, own);
            return no_memory(err);
        }
        p->series[p->series_count++] = *series;
    }
    *ret_series = (uint32_t)*slot;
    return YG_OK;
}

yg_rc yg_points_series(struct yg_points *p, yg_str name, const yg_str *tags, uint32_t tag_count,
                       yg_str host, enum yg_metric_type type, uint32_t interval_s, yg_str unit,
                       uint32_t *ret_series, struct yg_err *err) {
    YG_ASSERT(type < YG_METRIC_TYPE_COUNT);
    yg_str clean = yg_metric_name_normalize(name, p->arena);
    if (clean.len == 0)
        return yg_fail(err, YG_EINPUT, "metric name \"%.*s\" has no letter to start with",
                       (int)(name.len < 80 ? name.len : 80), name.ptr ? name.ptr : "");
    if (clean.len > NAME_CHARS_MAX)
        return yg_fail(err, YG_EINPUT, "metric name \"%.*s…\" is longer than %u characters", 40,
                       clean.ptr, NAME_CHARS_MAX);
    struct yg_point_series series = {.type = type, .interval_s = interval_s};
    series.name = yg_arena_str(p->arena, clean);
    series.unit = yg_arena_str(p->arena, unit);
    if (series.name.ptr == NULL || (series.unit.ptr == NULL && unit.len > 0))
        return no_memory(err);
    YG_TRY(join_tags(p, tags, tag_count, host, &series.tags, err));
    return series_make(p, &series, ret_series, err);
}

yg_rc yg_points_add(struct yg_points *p, uint32_t series, int64_t ts_s, double value,
                    struct yg_err *err) {
    YG_ASSERT(series < p->series_count);
    if (!YG_ARENA_GROW(p->arena, p->points, p->count, p->cap))
        return no_memory(err);
    p->points[p->count++] =
        (struct yg_point){.series = series, .sketch = -1, .ts_s = ts_s, .value = value};
    return YG_OK;
}

yg_rc yg_points_add_sketch(struct yg_points *p, uint32_t series, int64_t ts_s,
                           struct yg_sketch **ret_sketch, struct yg_err *err) {
    YG_ASSERT(series < p->series_count);
    if (!YG_ARENA_GROW(p->arena, p->sketches, p->sketch_count, p->sketch_cap) ||
        !YG_ARENA_GROW(p->arena, p->points, p->count, p->cap))
        return no_memory(err);
    p->sketches[p->sketch_count] = YG_SKETCH(YG_MEM_INTAKE);
    p->points[p->count++] =
        (struct yg_point){.series = series, .sketch = (int32_t)p->sketch_count, .ts_s = ts_s};
    *ret_sketch = &p->sketches[p->sketch_count++];
    return YG_OK;
}

// ------------------------------------------------------------ codec

static void put_f64(struct yg_buf *b, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    yg_put_u64(b, bits);
}

yg_rc yg_points_encode(const struct yg_points *p, struct yg_buf *out, struct yg_err *err) {
    yg_buf_putc(out, CODEC_VERSION);
    yg_put_svarint(out, p->received_ns);
    yg_put_varint(out, p->body_bytes);
    yg_put_varint(out, p->series_count);
    yg_put_varint(out, p->count);
    yg_put_varint(out, p->sketch_count);
    for (uint32_t i = 0; i < p->series_count; i++) {
        const struct yg_point_series *s = &p->series[i];
        yg_put_lenstr(out, s->name);
        yg_put_lenstr(out, s->tags);
        yg_put_lenstr(out, s->unit);
        yg_buf_putc(out, (char)s->type);
        yg_put_varint(out, s->interval_s);
    }
    int64_t previous_s = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct yg_point *point = &p->points[i];
        yg_put_varint(out, point->series);
        yg_put_varint(out, (uint64_t)(point->sketch + 1));
        yg_put_svarint(out, (int64_t)((uint64_t)point->ts_s - (uint64_t)previous_s));
        previous_s = point->ts_s;
        if (point->sketch < 0)
            put_f64(out, point->value);
    }
    for (uint32_t i = 0; i < p->sketch_count; i++)
        yg_sketch_encode(&p->sketches[i], out);
    return yg_buf_ok(out, err);
}

static yg_rc corrupt(const struct yg_cursor *c, const char *what, struct yg_err *err) {
    return yg_fail(err, YG_ECORRUPT, "points at byte %zu: %s", c->pos, what);
}

static yg_rc get_series(struct yg_cursor *c, struct yg_points *p, struct yg_err *err) {
    struct yg_point_series s = {0};
    yg_str type;
    uint64_t interval;
    YG_TRY(yg_get_lenstr(c, &s.name, err));
    YG_TRY(yg_get_lenstr(c, &s.tags, err));
    YG_TRY(yg_get_lenstr(c, &s.unit, err));
    YG_TRY(yg_get_bytes(c, 1, &type, err));
    YG_TRY(yg_get_varint(c, &interval, err));
    if ((uint8_t)type.ptr[0] >= YG_METRIC_TYPE_COUNT || interval > UINT32_MAX)
        return corrupt(c, "series type or interval", err);
    s.type = (enum yg_metric_type)type.ptr[0];
    s.interval_s = (uint32_t)interval;
    if (!YG_ARENA_GROW(p->arena, p->series, p->series_count, p->series_cap))
        return no_memory(err);
    p->series[p->series_count++] = s;
    return YG_OK;
}

static yg_rc get_point(struct yg_cursor *c, struct yg_points *p, uint64_t sketches,
                       int64_t *previous_s, struct yg_err *err) {
    uint64_t series, sketch, bits = 0;
    int64_t step_s;
    YG_TRY(yg_get_varint(c, &series, err));
    YG_TRY(yg_get_varint(c, &sketch, err));
    YG_TRY(yg_get_svarint(c, &step_s, err));
    if (sketch == 0)
        YG_TRY(yg_get_u64(c, &bits, err));
    if (series >= p->series_count || sketch > sketches)
        return corrupt(c, "point beyond series or sketches", err);
    *previous_s = (int64_t)((uint64_t)*previous_s + (uint64_t)step_s);
    double value;
    memcpy(&value, &bits, sizeof(value));
    YG_TRY(yg_points_add(p, (uint32_t)series, *previous_s, value, err));
    p->points[p->count - 1].sketch = (int32_t)sketch - 1;
    return YG_OK;
}

static yg_rc decode_into(struct yg_cursor *c, struct yg_points *p, struct yg_err *err) {
    uint64_t body_bytes, series, points, sketches;
    int64_t previous_s = 0;
    YG_TRY(yg_get_svarint(c, &p->received_ns, err));
    YG_TRY(yg_get_varint(c, &body_bytes, err));
    YG_TRY(yg_get_varint(c, &series, err));
    YG_TRY(yg_get_varint(c, &points, err));
    YG_TRY(yg_get_varint(c, &sketches, err));
    if (series > c->in.len || points > c->in.len || sketches > points || sketches > INT32_MAX)
        return corrupt(c, "counts larger than the bytes", err);
    p->body_bytes = body_bytes;
    for (uint64_t i = 0; i < series; i++)
        YG_TRY(get_series(c, p, err));
    for (uint64_t i = 0; i < points; i++)
        YG_TRY(get_point(c, p, sketches, &previous_s, err));
    for (uint64_t i = 0; i < sketches; i++) {
        if (!YG_ARENA_GROW(p->arena, p->sketches, p->sketch_count, p->sketch_cap))
            return no_memory(err);
        p->sketches[p->sketch_count] = YG_SKETCH(YG_MEM_INTAKE);
        YG_TRY(yg_sketch_decode(c->in, &c->pos, &p->sketches[p->sketch_count++], err));
    }
    return c->pos == c->in.len ? YG_OK : corrupt(c, "bytes after the last sketch", err);
}

yg_rc yg_points_decode(yg_str in, size_t limit_bytes, struct yg_points **ret_points,
                       struct yg_err *err) {
    if (in.len == 0 || in.ptr[0] != CODEC_VERSION)
        return yg_fail(err, YG_ECORRUPT, "points at byte 0: version");
    struct yg_points *p = yg_points_create(limit_bytes);
    if (p == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for points");
    struct yg_cursor c = {.in = yg_arena_str(p->arena, in),
                          .pos = 1}; // names borrow from this copy
    yg_rc rc = c.in.ptr ? decode_into(&c, p, err) : no_memory(err);
    if (rc != YG_OK) {
        yg_points_destroy(p);
        return rc;
    }
    *ret_points = p;
    return YG_OK;
}
