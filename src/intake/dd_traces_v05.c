// SPDX-License-Identifier: Apache-2.0
// Trace bodies v0.5: a dictionary of strings and spans as arrays of twelve.
// Source: DataDog/datadog-agent pkg/trace/api/version.go, pkg/proto/pbgo/trace/decoder_v05.go
#include "intake/spans.h"

#define SPAN_FIELDS 12u

struct v05 {
    struct yg_spans spans;
    struct yg_mp r;
    yg_str *words;
    struct yg_span_key *keys; // one a word, made when the word is first a tag's name
    uint32_t word_count;
};

static yg_rc read_words(struct v05 *v, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_array(&v->r, &count, err));
    v->words = YG_NEW_N(v->spans.b->arena, yg_str, count);
    v->keys = YG_NEW_N(v->spans.b->arena, struct yg_span_key, count);
    if (v->words == NULL || v->keys == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    for (uint32_t i = 0; i < count; i++)
        YG_TRY(yg_mp_str(&v->r, &v->words[i], err));
    v->word_count = count;
    return YG_OK;
}

static yg_rc read_index(struct v05 *v, uint32_t *ret_index, struct yg_err *err) {
    size_t at = v->r.pos;
    uint64_t index;
    YG_TRY(yg_mp_u64(&v->r, &index, err));
    if (index >= v->word_count)
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: string %llu of a dictionary of %u", at,
                       (unsigned long long)index, v->word_count);
    *ret_index = (uint32_t)index;
    return YG_OK;
}

static yg_rc read_word(struct v05 *v, yg_str *ret_word, struct yg_err *err) {
    uint32_t index;
    YG_TRY(read_index(v, &index, err));
    *ret_word = v->words[index];
    return YG_OK;
}

static yg_rc read_key(struct v05 *v, struct yg_span_key **ret_key, struct yg_err *err) {
    uint32_t index;
    YG_TRY(read_index(v, &index, err));
    *ret_key = &v->keys[index];
    if ((*ret_key)->name.ptr == NULL)
        return yg_spans_key(&v->spans, v->words[index], *ret_key, err);
    return YG_OK;
}

static yg_rc read_meta(struct v05 *v, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_map(&v->r, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        struct yg_span_key *key;
        yg_str value;
        YG_TRY(read_key(v, &key, err));
        YG_TRY(read_word(v, &value, err));
        YG_TRY(yg_spans_meta_key(&v->spans, key, value, err));
    }
    return YG_OK;
}

static yg_rc read_metrics(struct v05 *v, struct yg_err *err) {
    uint32_t count;
    YG_TRY(yg_mp_map(&v->r, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        struct yg_span_key *key;
        double value;
        YG_TRY(read_key(v, &key, err));
        YG_TRY(yg_mp_f64(&v->r, &value, err));
        YG_TRY(yg_spans_metric_key(&v->spans, key, value, err));
    }
    return YG_OK;
}

static yg_rc read_span(struct v05 *v, struct yg_err *err) {
    struct yg_span *row = &v->spans.row;
    struct yg_mp *r = &v->r;
    size_t at = r->pos;
    uint32_t fields;
    YG_TRY(yg_mp_array(r, &fields, err));
    if (fields != SPAN_FIELDS)
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: span of %u fields, %u wanted", at,
                       fields, SPAN_FIELDS);
    YG_TRY(yg_spans_open(&v->spans, err));
    YG_TRY(read_word(v, &row->service, err));
    YG_TRY(read_word(v, &row->name, err));
    YG_TRY(read_word(v, &row->resource, err));
    YG_TRY(yg_mp_u64(r, &row->trace_id, err));
    YG_TRY(yg_mp_u64(r, &row->span_id, err));
    YG_TRY(yg_mp_u64(r, &row->parent_id, err));
    YG_TRY(yg_mp_i64(r, &row->start, err));
    YG_TRY(yg_mp_i64(r, &row->duration, err));
    YG_TRY(yg_mp_i64(r, &row->error, err));
    YG_TRY(read_meta(v, err));
    YG_TRY(read_metrics(v, err));
    YG_TRY(read_word(v, &row->type, err));
    return yg_spans_close(&v->spans, err);
}

static yg_rc read_traces(struct v05 *v, struct yg_err *err) {
    uint32_t traces;
    YG_TRY(yg_mp_array(&v->r, &traces, err));
    for (uint32_t i = 0; i < traces; i++) {
        uint32_t spans;
        YG_TRY(yg_mp_array(&v->r, &spans, err));
        yg_spans_chunk(&v->spans);
        for (uint32_t k = 0; k < spans; k++)
            YG_TRY(read_span(v, err));
        YG_TRY(yg_spans_chunk_end(&v->spans, err));
    }
    return YG_OK;
}

static yg_rc read_body(struct v05 *v, struct yg_err *err) {
    uint32_t parts;
    YG_TRY(yg_mp_array(&v->r, &parts, err));
    if (parts != 2)
        return yg_fail(err, YG_EINPUT, "msgpack at byte 0: %u parts, dictionary and traces wanted",
                       parts);
    YG_TRY(read_words(v, err));
    YG_TRY(read_traces(v, err));
    if (v->r.pos != v->r.in.len)
        return yg_fail(err, YG_EINPUT, "msgpack at byte %zu: bytes after the end", v->r.pos);
    return YG_OK;
}

yg_rc yg_intake_traces_v05(const struct yg_intake_in *in, struct yg_batch *b,
                           struct yg_intake_tally *t, struct yg_err *err) {
    struct v05 v = {.words = NULL};
    yg_mp_init(&v.r, in->body);
    yg_rc rc = yg_spans_init(&v.spans, b, t, err);
    if (rc == YG_OK)
        rc = read_body(&v, err);
    yg_spans_fini(&v.spans);
    return rc;
}
