// SPDX-License-Identifier: Apache-2.0
// Events (/api/v1/events, DogStatsD) and service checks (/api/v1/check_run, DogStatsD) → rows.
// Source: DataDog/datadogpy datadog/api/events.py, service_checks.py
#include "base/clock.h"
#include "base/rand.h"
#include "codec/json_read.h"
#include "intake/decode.h"

#define TAGS_MAX 256u
#define TEXT_BYTES_MAX (1u << 20)
#define ID_BITS 52 // exact in a double, because some clients read ids as such

static yg_rc set_text(struct yg_batch *b, const char *column, yg_str value, struct yg_err *err) {
    if (value.len == 0)
        return YG_OK;
    yg_str copy = yg_arena_str(b->arena, yg_intake_cut(value, TEXT_BYTES_MAX));
    copy = copy.ptr ? yg_intake_utf8(b->arena, copy) : copy;
    if (copy.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    return yg_batch_set_str(b, yg_str_c(column), copy, err);
}

static yg_rc set_tags(struct yg_batch *b, const yg_str *tags, uint32_t count, struct yg_err *err) {
    if (count == 0)
        return YG_OK;
    yg_str joined = yg_intake_join_tags(b->arena, tags, count);
    joined = joined.ptr ? yg_intake_utf8(b->arena, joined) : joined;
    if (joined.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    return yg_batch_set_str(b, YG_STR(YG_COL_TAGS), joined, err);
}

// Seconds to ns; 0 and what does not fit is the time of arrival.
static int64_t time_ns(int64_t ts_s, int64_t now_ns) {
    return ts_s > 0 && ts_s < INT64_MAX / YG_NS_PER_S ? ts_s * YG_NS_PER_S : now_ns;
}

static yg_rc open_row(struct yg_batch *b, const char *kind, int64_t ts_s, int64_t now_ns,
                      struct yg_err *err) {
    uint32_t row;
    YG_TRY(yg_batch_row(b, &row, err));
    YG_TRY(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), time_ns(ts_s, now_ns), err));
    return yg_batch_set_str(b, YG_STR("@evt.kind"), yg_str_c(kind), err);
}

yg_rc yg_intake_put_event(struct yg_batch *b, const struct yg_intake_event *e, int64_t now_ns,
                          struct yg_err *err) {
    YG_TRY(open_row(b, "event", e->ts_s, now_ns, err));
    YG_TRY(set_text(b, YG_COL_MESSAGE, e->text, err));
    YG_TRY(set_text(b, "@title", e->title, err));
    YG_TRY(set_text(b, "@alert_type", e->alert_type, err));
    YG_TRY(set_text(b, "@priority", e->priority, err));
    YG_TRY(set_text(b, "@aggregation_key", e->aggregation_key, err));
    YG_TRY(set_text(b, YG_COL_SOURCE, e->source, err));
    YG_TRY(set_text(b, YG_COL_HOST, e->host, err));
    YG_TRY(set_tags(b, e->tags, e->tag_count, err));
    if (e->related_id != 0)
        YG_TRY(yg_batch_set_i64(b, YG_STR("@related_event_id"), e->related_id, err));
    if (e->id == 0)
        return YG_OK;
    return yg_batch_set_i64(b, YG_STR("@evt.id"), e->id, err);
}

yg_rc yg_intake_put_check(struct yg_batch *b, const struct yg_intake_check *c, int64_t now_ns,
                          struct yg_err *err) {
    static const char *const words[] = {"ok", "warning", "critical", "unknown"};
    bool known = c->status >= 0 && c->status < 4;
    YG_TRY(open_row(b, "service_check", c->ts_s, now_ns, err));
    YG_TRY(set_text(b, YG_COL_MESSAGE, c->message, err));
    YG_TRY(set_text(b, "@check", c->name, err));
    YG_TRY(set_text(b, YG_COL_STATUS, yg_str_c(words[known ? c->status : 3]), err));
    YG_TRY(set_text(b, YG_COL_HOST, c->host, err));
    return set_tags(b, c->tags, c->tag_count, err);
}

// ------------------------------------------------------------ JSON

// Array of strings, or comma-separated text.
static uint32_t read_tags(const struct yg_json_node *node, yg_str tags[TAGS_MAX]) {
    uint32_t n = 0;
    if (yg_json_is(node, YG_JSON_STRING)) {
        yg_str rest = node->str;
        yg_str piece;
        while (n < TAGS_MAX && yg_str_split(&rest, ',', &piece))
            if (yg_str_trim(piece).len)
                tags[n++] = yg_str_trim(piece);
    } else if (yg_json_is(node, YG_JSON_ARRAY_BEGIN)) {
        for (const struct yg_json_node *t = node->child; t != NULL && n < TAGS_MAX; t = t->next)
            if (t->kind == YG_JSON_STRING && t->str.len)
                tags[n++] = t->str;
    }
    return n;
}

static yg_str text_of(const struct yg_json_node *node, const char *key) {
    return yg_json_str_or(yg_json_get(node, key), YG_STR(""));
}

static yg_rc read_check(const struct yg_json_node *node, uint32_t idx, int64_t now_ns,
                        struct yg_batch *b, struct yg_intake_tally *t, struct yg_err *err) {
    yg_str tags[TAGS_MAX];
    struct yg_intake_check c = {
        .name = text_of(node, "check"),
        .message = text_of(node, "message"),
        .host = text_of(node, "host_name"),
        .status = yg_json_i64_or(yg_json_get(node, "status"), -1),
        .ts_s = yg_json_i64_or(yg_json_get(node, "timestamp"), 0),
        .tags = tags,
        .tag_count = read_tags(yg_json_get(node, "tags"), tags),
    };
    if (c.name.len == 0 || c.status < 0 || c.status > 3) {
        yg_intake_skip(t, "[%u]: \"check\" and a \"status\" of 0 to 3 are needed", idx);
        return YG_OK;
    }
    t->taken++;
    return yg_intake_put_check(b, &c, now_ns, err);
}

yg_rc yg_intake_checks(const struct yg_intake_in *in, struct yg_batch *b, struct yg_intake_tally *t,
                       struct yg_err *err) {
    struct yg_json_node *root;
    YG_TRY(yg_json_parse(in->body, b->arena, &root, err));
    if (root->kind != YG_JSON_ARRAY_BEGIN)
        return read_check(root, 0, in->now_ns, b, t, err);
    uint32_t idx = 0;
    for (const struct yg_json_node *n = root->child; n != NULL; n = n->next)
        YG_TRY(read_check(n, idx++, in->now_ns, b, t, err));
    return YG_OK;
}

static yg_str either(const struct yg_json_node *node, const char *key, const char *other) {
    yg_str value = text_of(node, key);
    return value.len ? value : text_of(node, other);
}

yg_rc yg_intake_event_v1(const struct yg_intake_in *in, struct yg_batch *b,
                         struct yg_intake_tally *t, struct yg_intake_event *ret_event,
                         struct yg_err *err) {
    struct yg_json_node *root;
    YG_TRY(yg_json_parse(in->body, b->arena, &root, err));
    yg_str *tags = YG_NEW_N(b->arena, yg_str, TAGS_MAX);
    if (tags == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    struct yg_intake_event e = {
        .title = text_of(root, "title"),
        .text = text_of(root, "text"),
        .host = text_of(root, "host"),
        .alert_type = text_of(root, "alert_type"),
        .priority = text_of(root, "priority"),
        .aggregation_key = text_of(root, "aggregation_key"),
        .source = either(root, "source_type_name", "source"),
        .ts_s = yg_json_i64_or(yg_json_get(root, "date_happened"), 0),
        .tags = tags,
        .tag_count = read_tags(yg_json_get(root, "tags"), tags),
        .related_id = yg_json_i64_or(yg_json_get(root, "related_event_id"), 0),
        .id = (int64_t)(yg_rand_u64() >> (64 - ID_BITS)) | 1,
    };
    if (e.title.len == 0)
        return yg_fail(err, YG_EINPUT, "\"title\" is missing or empty");
    *ret_event = e; // the answer repeats what was sent, not what is assumed
    if (e.alert_type.len == 0)
        e.alert_type = YG_STR("info");
    if (e.priority.len == 0)
        e.priority = YG_STR("normal");
    t->taken++;
    return yg_intake_put_event(b, &e, in->now_ns, err);
}
