// SPDX-License-Identifier: Apache-2.0
// Trace bodies v0.3 and v0.4 (array of traces of span maps) and v0.7 (payload with chunks).
//
// JSON bodies have the same members; they are turned into MessagePack first, so that there is one
// reader. Payload and chunk fields of v0.7 may stand behind the spans that they belong to, so both
// levels are walked twice: fields first, spans then.
// Source: DataDog/datadog-agent pkg/trace/api/api.go, pkg/proto/pbgo/trace/span_gen.go,
// tracer_payload_gen.go; DataDog/dd-trace-js packages/dd-trace/src/encode/0.4.js
#include "codec/json_read.h"
#include "codec/text.h"
#include "intake/spans.h"

#define JSON_AS_MSGPACK_MAX (128u << 20)

// ------------------------------------------------------------ JSON → MessagePack

struct convert {
    struct yg_buf *out;
    size_t head[YG_JSON_DEPTH_MAX]; // where each open container's count stands
    uint32_t count[YG_JSON_DEPTH_MAX];
    uint32_t depth;
};

static void convert_open(struct convert *c, bool map) {
    yg_buf_putc(c->out, (char)(map ? 0xdf : 0xdd));
    c->head[c->depth] = c->out->len;
    c->count[c->depth++] = 0;
    yg_buf_put(c->out, "\0\0\0\0", 4);
}

static void convert_close(struct convert *c) {
    uint32_t n = c->count[--c->depth];
    const unsigned char bytes[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
                                    (unsigned char)(n >> 8), (unsigned char)n};
    if (!c->out->failed)
        memcpy(c->out->ptr + c->head[c->depth], bytes, 4);
}

static void convert_scalar(struct convert *c, const struct yg_json_token *t) {
    uint64_t u64;
    switch (t->kind) {
    case YG_JSON_NULL:
        yg_mp_put_nil(c->out);
        break;
    case YG_JSON_BOOL:
        yg_buf_putc(c->out, (char)(t->boolean ? 0xc3 : 0xc2));
        break;
    case YG_JSON_INT:
        yg_mp_put_i64(c->out, t->i64);
        break;
    case YG_JSON_DOUBLE:
        if (yg_str_to_u64(t->str, &u64)) // ids beyond 2^63
            yg_mp_put_u64(c->out, u64);
        else
            yg_mp_put_f64(c->out, t->f64);
        break;
    case YG_JSON_STRING:
    case YG_JSON_KEY:
        yg_mp_put_str(c->out, t->str);
        break;
    case YG_JSON_OBJECT_BEGIN:
    case YG_JSON_ARRAY_BEGIN:
        convert_open(c, t->kind == YG_JSON_OBJECT_BEGIN);
        break;
    case YG_JSON_OBJECT_END:
    case YG_JSON_ARRAY_END:
        convert_close(c);
        break;
    case YG_JSON_END:
        break;
    }
}

static yg_rc json_to_msgpack(yg_str in, struct yg_arena *arena, struct yg_buf *out,
                             struct yg_err *err) {
    struct convert c = {.out = out};
    struct yg_json j;
    yg_json_init(&j, in, arena);
    for (;;) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(&j, &t, err));
        if (t.kind == YG_JSON_END)
            return yg_buf_ok(out, err);
        bool counts =
            t.kind != YG_JSON_KEY && t.kind != YG_JSON_OBJECT_END && t.kind != YG_JSON_ARRAY_END;
        if (counts && c.depth > 0)
            c.count[c.depth - 1]++;
        convert_scalar(&c, &t);
    }
}

static bool is_json(const struct yg_intake_in *in) {
    if (in->form == YG_FORM_JSON || in->form == YG_FORM_MSGPACK)
        return in->form == YG_FORM_JSON;
    yg_str start = yg_str_trim(in->body);
    return start.len > 0 && (start.ptr[0] == '[' || start.ptr[0] == '{');
}

// ------------------------------------------------------------ span maps

// Values of meta are strings; what is not is kept in the way that suits it.
static yg_rc read_meta_value(struct yg_spans *s, struct yg_mp *r, struct yg_span_key *known,
                             struct yg_err *err) {
    struct yg_mp_token t;
    yg_str text, key = known->name;
    if (yg_mp_try_str(r, &text))
        return yg_spans_meta_key(s, known, text, err);
    size_t at = r->pos;
    YG_TRY(yg_mp_next(r, &t, err));
    switch (t.kind) {
    case YG_MP_STR:
    case YG_MP_BIN:
        return yg_spans_meta(s, key, t.str, err);
    case YG_MP_NIL:
        return yg_spans_meta(s, key, YG_STR(""), err);
    case YG_MP_BOOL:
        return yg_spans_meta(s, key, t.boolean ? YG_STR("true") : YG_STR("false"), err);
    case YG_MP_UINT:
        return yg_spans_metric(s, key, (double)t.u64, err);
    case YG_MP_INT:
        return yg_spans_metric(s, key, (double)t.i64, err);
    case YG_MP_F64:
        return yg_spans_metric(s, key, t.f64, err);
    case YG_MP_EXT:
        return YG_OK;
    case YG_MP_ARRAY:
    case YG_MP_MAP:
        break;
    }
    r->pos = at;
    yg_buf_reset(&s->scratch);
    YG_TRY(yg_mp_to_json(r, &s->scratch, err));
    yg_str json = yg_arena_str(s->b->arena, yg_buf_str(&s->scratch));
    if (json.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    return yg_spans_json(s, key, json, err);
}

static yg_rc read_meta(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_map(r, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        struct yg_span_key *key;
        YG_TRY(yg_spans_read_key(s, r, i, s->meta_guess, &key, err));
        YG_TRY(read_meta_value(s, r, key, err));
    }
    return YG_OK;
}

static yg_rc read_metrics(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_map(r, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        struct yg_span_key *key;
        struct yg_mp_token t;
        double value;
        YG_TRY(yg_spans_read_key(s, r, i, s->metric_guess, &key, err));
        if (!yg_mp_try_f64(r, &value)) {
            size_t at = r->pos;
            YG_TRY(yg_mp_next(r, &t, err));
            if (t.kind == YG_MP_NIL)
                continue;
            r->pos = at;
            YG_TRY(yg_mp_f64(r, &value, err));
        }
        YG_TRY(yg_spans_metric_key(s, key, value, err));
    }
    return YG_OK;
}

// A value is msgpack inside a binary; from JSON bodies it comes as base64.
static yg_rc read_struct_value(struct yg_spans *s, struct yg_mp *r, yg_str key,
                               struct yg_err *err) {
    struct yg_mp_token t;
    size_t at = r->pos;
    yg_str bytes;
    YG_TRY(yg_mp_next(r, &t, err));
    yg_buf_reset(&s->scratch);
    if (t.kind == YG_MP_BIN) {
        bytes = t.str;
    } else if (t.kind != YG_MP_STR || yg_base64_decode(t.str, s->b->arena, &bytes, NULL) != YG_OK) {
        r->pos = at; // neither: keep whatever it is
        bytes = (yg_str){NULL, 0};
        YG_TRY(yg_mp_to_json(r, &s->scratch, err));
    }
    if (bytes.len > 0) {
        struct yg_mp inner;
        yg_mp_init(&inner, bytes);
        if (yg_mp_to_json(&inner, &s->scratch, NULL) != YG_OK) {
            s->tally->dropped_values++; // a broken inner value costs itself only
            return YG_OK;
        }
    }
    if (s->scratch.len == 0)
        return YG_OK;
    yg_str json = yg_arena_str(s->b->arena, yg_buf_str(&s->scratch));
    if (json.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    return yg_spans_json(s, key, json, err);
}

static yg_rc read_struct(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_map(r, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(r, &key, err));
        YG_TRY(read_struct_value(s, r, key, err));
    }
    return YG_OK;
}

// Integers that may be nil.
static yg_rc read_i64(struct yg_mp *r, int64_t *ret_value, struct yg_err *err) {
    if (r->pos < r->in.len && (unsigned char)r->in.ptr[r->pos] == 0xc0) {
        r->pos++;
        *ret_value = 0;
        return YG_OK;
    }
    return yg_mp_i64(r, ret_value, err);
}

static yg_rc read_u64(struct yg_mp *r, uint64_t *ret_value, struct yg_err *err) {
    int64_t v;
    YG_TRY(read_i64(r, &v, err));
    *ret_value = (uint64_t)v;
    return YG_OK;
}

enum field {
    F_OTHER, // read and dropped
    F_META,
    F_METRICS,
    F_SERVICE,
    F_NAME,
    F_RESOURCE,
    F_TYPE,
    F_TRACE_ID,
    F_SPAN_ID,
    F_PARENT_ID,
    F_START,
    F_DURATION,
    F_ERROR,
    F_META_STRUCT,
    F_LINKS,
    F_EVENTS,
    F_COUNT
};

// Which field comes next. place: its number within the span's map; spans of a body mostly have
// their fields in one order.
static yg_rc read_field_name(struct yg_spans *s, struct yg_mp *r, uint32_t place,
                             enum field *ret_field, struct yg_err *err) {
    static const yg_str names[F_COUNT] = {
        [F_META] = YG_STR_INIT("meta"),
        [F_METRICS] = YG_STR_INIT("metrics"),
        [F_SERVICE] = YG_STR_INIT("service"),
        [F_NAME] = YG_STR_INIT("name"),
        [F_RESOURCE] = YG_STR_INIT("resource"),
        [F_TYPE] = YG_STR_INIT("type"),
        [F_TRACE_ID] = YG_STR_INIT("trace_id"),
        [F_SPAN_ID] = YG_STR_INIT("span_id"),
        [F_PARENT_ID] = YG_STR_INIT("parent_id"),
        [F_START] = YG_STR_INIT("start"),
        [F_DURATION] = YG_STR_INIT("duration"),
        [F_ERROR] = YG_STR_INIT("error"),
        [F_META_STRUCT] = YG_STR_INIT("meta_struct"),
        [F_LINKS] = YG_STR_INIT("span_links"),
        [F_EVENTS] = YG_STR_INIT("span_events"),
    };
    if (place < YG_SPAN_GUESSES && s->field_guess[place] != F_OTHER &&
        yg_mp_try_name(r, names[s->field_guess[place]])) {
        *ret_field = (enum field)s->field_guess[place];
        return YG_OK;
    }
    yg_str name;
    YG_TRY(yg_mp_str(r, &name, err));
    unsigned f = F_OTHER + 1;
    while (f < F_COUNT && !yg_str_eq(name, names[f]))
        f++;
    *ret_field = f < F_COUNT ? (enum field)f : F_OTHER;
    if (place < YG_SPAN_GUESSES)
        s->field_guess[place] = (uint8_t)*ret_field;
    return YG_OK;
}

static yg_rc read_field(struct yg_spans *s, struct yg_mp *r, enum field field, struct yg_err *err) {
    struct yg_span *row = &s->row;
    switch (field) {
    case F_META:
        return read_meta(s, r, err);
    case F_METRICS:
        return read_metrics(s, r, err);
    case F_SERVICE:
        return yg_mp_str(r, &row->service, err);
    case F_NAME:
        return yg_mp_str(r, &row->name, err);
    case F_RESOURCE:
        return yg_mp_str(r, &row->resource, err);
    case F_TYPE:
        return yg_mp_str(r, &row->type, err);
    case F_TRACE_ID:
        return read_u64(r, &row->trace_id, err);
    case F_SPAN_ID:
        return read_u64(r, &row->span_id, err);
    case F_PARENT_ID:
        return read_u64(r, &row->parent_id, err);
    case F_START:
        return read_i64(r, &row->start, err);
    case F_DURATION:
        return read_i64(r, &row->duration, err);
    case F_ERROR:
        return read_i64(r, &row->error, err);
    case F_META_STRUCT:
        return read_struct(s, r, err);
    case F_LINKS:
        return yg_spans_links(s, r, err);
    case F_EVENTS:
        return yg_spans_events(s, r, err);
    case F_OTHER:
    case F_COUNT:
        break;
    }
    return yg_mp_skip(r, err);
}

// What payload and chunk say about every span of theirs (v0.7).
struct defaults {
    yg_str env, host;
    struct yg_mp tags; // of the payload and of the chunk; in.len 0: none
    struct yg_mp chunk_tags;
    yg_str names[6]; // further fields as tags
    yg_str values[6];
    uint32_t count;
    int64_t priority;
    bool has_priority;
};

static yg_rc put_defaults(struct yg_spans *s, const struct defaults *d, struct yg_err *err) {
    struct yg_mp tags = d->tags; // copies: the same bytes are read again for every span
    struct yg_mp chunk_tags = d->chunk_tags;
    s->row.env = d->env;
    s->row.host = d->host;
    for (uint32_t i = 0; i < d->count; i++)
        YG_TRY(yg_spans_meta(s, d->names[i], d->values[i], err));
    if (d->has_priority)
        YG_TRY(yg_spans_metric(s, YG_STR("_sampling_priority_v1"), (double)d->priority, err));
    if (tags.in.len)
        YG_TRY(read_meta(s, &tags, err));
    if (chunk_tags.in.len)
        YG_TRY(read_meta(s, &chunk_tags, err));
    return YG_OK;
}

static yg_rc read_span(struct yg_spans *s, struct yg_mp *r, const struct defaults *d,
                       struct yg_err *err) {
    struct yg_mp_token t;
    YG_TRY(yg_mp_next(r, &t, err));
    if (t.kind == YG_MP_NIL)
        return YG_OK;
    if (t.kind != YG_MP_MAP)
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: a span must be a map", t.at);
    YG_TRY(yg_spans_open(s, err));
    if (d)
        YG_TRY(put_defaults(s, d, err));
    for (uint32_t i = 0; i < t.count; i++) {
        enum field field;
        YG_TRY(read_field_name(s, r, i, &field, err));
        YG_TRY(read_field(s, r, field, err));
    }
    return yg_spans_close(s, err);
}

static yg_rc read_spans(struct yg_spans *s, struct yg_mp *r, const struct defaults *d,
                        struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_array(r, &count, err));
    yg_spans_chunk(s);
    for (uint32_t i = 0; i < count; i++)
        YG_TRY(read_span(s, r, d, err));
    return yg_spans_chunk_end(s, err);
}

static yg_rc at_end(const struct yg_mp *r, struct yg_err *err) {
    if (r->pos == r->in.len)
        return YG_OK;
    return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: bytes after the end", r->pos);
}

static yg_rc read_v04(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    uint32_t traces;
    YG_TRY(yg_mp_array(r, &traces, err));
    for (uint32_t i = 0; i < traces; i++)
        YG_TRY(read_spans(s, r, NULL, err));
    return at_end(r, err);
}

// ------------------------------------------------------------ v0.7

static void add_default(struct defaults *d, yg_str name, yg_str value) {
    if (value.len == 0 || d->count == sizeof(d->names) / sizeof(d->names[0]))
        return;
    d->names[d->count] = name;
    d->values[d->count++] = value;
}

static yg_rc read_default(struct defaults *d, struct yg_mp *r, const char *name,
                          struct yg_err *err) {
    yg_str value;
    YG_TRY(yg_mp_str(r, &value, err));
    add_default(d, yg_str_c(name), value);
    return YG_OK;
}

// The bytes of the next value, walked over.
static yg_rc take_value(struct yg_mp *r, struct yg_mp *ret_value, struct yg_err *err) {
    *ret_value = *r;
    YG_TRY(yg_mp_skip(r, err));
    return YG_OK;
}

static yg_rc read_chunk(struct yg_spans *s, struct yg_mp *r, struct defaults d,
                        struct yg_err *err) {
    uint32_t members;
    struct yg_mp spans = {{NULL, 0}, 0};
    YG_TRY(yg_mp_map(r, &members, err));
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(r, &key, err));
        if (yg_str_eq_c(key, "priority")) {
            YG_TRY(read_i64(r, &d.priority, err));
            d.has_priority = d.priority != -128; // "none"
        } else if (yg_str_eq_c(key, "origin")) {
            YG_TRY(read_default(&d, r, "_dd.origin", err));
        } else if (yg_str_eq_c(key, "tags")) {
            YG_TRY(take_value(r, &d.chunk_tags, err));
        } else if (yg_str_eq_c(key, "spans")) {
            YG_TRY(take_value(r, &spans, err));
        } else {
            YG_TRY(yg_mp_skip(r, err));
        }
    }
    if (spans.in.len == 0)
        return YG_OK;
    return read_spans(s, &spans, &d, err);
}

static yg_rc read_chunks(struct yg_spans *s, struct yg_mp *r, const struct defaults *d,
                         struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_array(r, &count, err));
    for (uint32_t i = 0; i < count; i++)
        YG_TRY(read_chunk(s, r, *d, err));
    return YG_OK;
}

static yg_rc read_payload_member(struct defaults *d, struct yg_mp *r, yg_str key,
                                 struct yg_mp *chunks, struct yg_err *err) {
    static const struct {
        const char *field, *tag;
    } as_tags[] = {
        {"app_version", "version"},
        {"container_id", "container_id"},
        {"runtime_id", "runtime-id"},
        {"language_name", "language"},
        {"tracer_version", "_dd.tracer_version"},
    };
    if (yg_str_eq_c(key, "chunks"))
        return take_value(r, chunks, err);
    if (yg_str_eq_c(key, "tags"))
        return take_value(r, &d->tags, err);
    if (yg_str_eq_c(key, "env"))
        return yg_mp_str(r, &d->env, err);
    if (yg_str_eq_c(key, "hostname"))
        return yg_mp_str(r, &d->host, err);
    for (size_t i = 0; i < sizeof(as_tags) / sizeof(as_tags[0]); i++)
        if (yg_str_eq_c(key, as_tags[i].field))
            return read_default(d, r, as_tags[i].tag, err);
    return yg_mp_skip(r, err);
}

static yg_rc read_v07(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) {
    struct defaults d = {0};
    struct yg_mp chunks = {{NULL, 0}, 0};
    uint32_t members;
    YG_TRY(yg_mp_map(r, &members, err));
    for (uint32_t i = 0; i < members; i++) {
        yg_str key;
        YG_TRY(yg_mp_str(r, &key, err));
        YG_TRY(read_payload_member(&d, r, key, &chunks, err));
    }
    YG_TRY(at_end(r, err));
    return chunks.in.len ? read_chunks(s, &chunks, &d, err) : YG_OK;
}

// ------------------------------------------------------------ entry

static yg_rc run(yg_str body, bool v07, struct yg_batch *b, struct yg_intake_tally *t,
                 struct yg_err *err) {
    struct yg_spans s;
    struct yg_mp r;
    yg_mp_init(&r, body);
    yg_rc rc = yg_spans_init(&s, b, t, err);
    if (rc == YG_OK)
        rc = v07 ? read_v07(&s, &r, err) : read_v04(&s, &r, err);
    yg_spans_fini(&s);
    return rc;
}

static yg_rc decode(const struct yg_intake_in *in, bool v07, struct yg_batch *b,
                    struct yg_intake_tally *t, struct yg_err *err) {
    if (!is_json(in))
        return run(in->body, v07, b, t, err);
    struct yg_buf packed = YG_BUF(YG_MEM_INTAKE, JSON_AS_MSGPACK_MAX);
    YG_AUTO_ARENA scratch = yg_arena_create(YG_MEM_INTAKE, JSON_AS_MSGPACK_MAX);
    yg_rc rc = json_to_msgpack(in->body, scratch, &packed, err);
    if (rc != YG_OK) {
        yg_buf_fini(&packed);
        return rc;
    }
    yg_str body = yg_buf_str(&packed);
    yg_batch_keep_body(b, &packed); // rows borrow from the converted bytes
    rc = run(body, v07, b, t, err);
    if (rc == YG_EINPUT && err != NULL)
        return yg_err_wrap(err, "JSON body, counted in its MessagePack form");
    return rc;
}

yg_rc yg_intake_traces_v04(const struct yg_intake_in *in, struct yg_batch *b,
                           struct yg_intake_tally *t, struct yg_err *err) {
    return decode(in, false, b, t, err);
}

yg_rc yg_intake_traces_v07(const struct yg_intake_in *in, struct yg_batch *b,
                           struct yg_intake_tally *t, struct yg_err *err) {
    return decode(in, true, b, t, err);
}
