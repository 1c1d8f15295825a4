// SPDX-License-Identifier: Apache-2.0
// Rows as the public API shows them: a log, a span; dotted columns become nested objects again.
//
// Source: recorded answers of DataDog/datadog-api-client-typescript cassettes/v2/Logs_*, Spans_*.
#include "api/api_events.h"

#include <inttypes.h>

#include "base/hash.h"
#include "codec/text.h"

#define DEPTH_MAX 32u

void yg_event_id(const struct yg_row *row, char out[YG_EVENT_ID_BYTES]) {
    uint8_t bytes[17] = {1};
    for (unsigned i = 0; i < 8; i++) {
        bytes[1 + i] = (uint8_t)((uint64_t)row->time_ns >> (56 - 8 * i));
        bytes[9 + i] = (uint8_t)((uint64_t)row->seq >> (56 - 8 * i));
    }
    struct yg_buf text = YG_BUF(YG_MEM_QUERY, 64);
    yg_base64_put(&text, (yg_str){(const char *)bytes, sizeof(bytes)}, true);
    snprintf(out, YG_EVENT_ID_BYTES, "%.*s", YG_STR_FMT(yg_buf_str(&text)));
    yg_buf_fini(&text);
}

static void put_value(struct yg_json_writer *w, const struct yg_value *v) {
    char hex[33];
    switch (v->type) {
    case YG_T_STR:
        yg_jw_str(w, v->str);
        return;
    case YG_T_I64:
        yg_jw_i64(w, v->i64);
        return;
    case YG_T_F64:
        yg_jw_f64(w, v->f64);
        return;
    case YG_T_BOOL:
        yg_jw_bool(w, v->i64 != 0);
        return;
    case YG_T_ID:
        yg_id128_hex(v->id, hex);
        yg_jw_str(w, (yg_str){hex, 32});
        return;
    case YG_T_JSON:
        yg_jw_raw(w, v->str);
        return;
    case YG_TYPE_COUNT:
        break;
    }
    yg_jw_null(w);
}

// ------------------------------------------------------------ nesting

// Tracers put what is theirs under names with '_' in front: `client_only` leaves it out.
static bool is_attribute(const struct yg_row_attr *a, bool client_only) {
    return a->name.len > 1 && a->name.ptr[0] == '@' && !(client_only && a->name.ptr[1] == '_');
}

static bool has_attributes(const struct yg_row *row) {
    for (uint32_t i = 0; i < row->attr_count; i++)
        if (is_attribute(&row->attrs[i], false))
            return true;
    return false;
}

// By path, part by part: "a.b" directly after "a", before "a-b".
static int by_path(const void *x, const void *y) {
    yg_str a = (*(const struct yg_row_attr *const *)x)->name;
    yg_str b = (*(const struct yg_row_attr *const *)y)->name;
    for (size_t i = 0; i < a.len && i < b.len; i++)
        if (a.ptr[i] != b.ptr[i]) {
            int ca = a.ptr[i] == '.' ? -1 : (uint8_t)a.ptr[i];
            int cb = b.ptr[i] == '.' ? -1 : (uint8_t)b.ptr[i];
            return ca < cb ? -1 : 1;
        }
    return (a.len > b.len) - (a.len < b.len);
}

struct nest {
    struct yg_json_writer *w;
    yg_str open[DEPTH_MAX]; // keys of the objects that are open
    uint32_t depth;
};

// True when `path` has `parts` in front of it; the rest begins at *ret_at.
static bool has_parts(yg_str path, const yg_str *parts, uint32_t count, size_t *ret_at) {
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        yg_str rest = yg_str_sub(path, at, path.len);
        if (rest.len <= parts[i].len || rest.ptr[parts[i].len] != '.' ||
            !yg_str_starts(rest, parts[i]))
            return false;
        at += parts[i].len + 1;
    }
    *ret_at = at;
    return true;
}

static void close_to(struct nest *n, uint32_t depth) {
    for (; n->depth > depth; n->depth--)
        yg_jw_object_end(n->w);
}

// `leaf`: a path that already is a value; below it no object can be opened.
static void put_path(struct nest *n, yg_str path, yg_str leaf, const struct yg_value *v) {
    size_t at = 0;
    uint32_t common = n->depth;
    while (!has_parts(path, n->open, common, &at))
        common--;
    close_to(n, common);
    bool below_leaf = leaf.len > 0 && path.len > leaf.len && path.ptr[leaf.len] == '.' &&
                      yg_str_starts(path, leaf);
    for (;;) {
        size_t dot = yg_str_find_char(path, '.', at);
        if (dot == SIZE_MAX || n->depth == DEPTH_MAX || (below_leaf && dot >= leaf.len))
            break;
        n->open[n->depth] = yg_str_sub(path, at, dot - at);
        yg_jw_key(n->w, n->open[n->depth++]);
        yg_jw_object(n->w);
        at = dot + 1;
    }
    yg_jw_key(n->w, yg_str_sub(path, at, path.len));
    put_value(n->w, v);
}

static void put_attributes(struct yg_json_writer *w, const struct yg_row *row, bool client_only) {
    struct nest n = {.w = w};
    const struct yg_row_attr **order =
        yg_try_alloc(YG_MEM_QUERY, sizeof(*order) * (row->attr_count + 1));
    uint32_t count = 0;
    if (order == NULL)
        return;
    for (uint32_t i = 0; i < row->attr_count; i++)
        if (is_attribute(&row->attrs[i], client_only))
            order[count++] = &row->attrs[i];
    if (count > 1)
        qsort(order, count, sizeof(order[0]), by_path);
    yg_str last = {0}, leaf = {0};
    for (uint32_t i = 0; i < count; i++) {
        yg_str path = yg_str_sub(order[i]->name, 1, order[i]->name.len);
        if (yg_str_eq(path, last))
            continue; // the same name with another type: the first stands
        put_path(&n, path, leaf, &order[i]->value);
        last = path;
        if (!(leaf.len > 0 && path.len > leaf.len && path.ptr[leaf.len] == '.' &&
              yg_str_starts(path, leaf)))
            leaf = path;
    }
    close_to(&n, 0);
    yg_free(YG_MEM_QUERY, order);
}

// ------------------------------------------------------------ items

static void put_tags(struct yg_json_writer *w, yg_str tags, yg_str source) {
    yg_str tag;
    bool source_seen = source.len == 0;
    yg_jw_array(w);
    while (yg_str_split(&tags, ',', &tag)) {
        if (tag.len == 0)
            continue;
        yg_jw_str(w, tag);
        source_seen |=
            yg_str_starts(tag, YG_STR("source:")) && yg_str_eq(yg_str_sub(tag, 7, tag.len), source);
    }
    char text[256];
    if (!source_seen) {
        snprintf(text, sizeof(text), "source:%.*s", YG_STR_FMT(source));
        yg_jw_str(w, yg_str_c(text));
    }
    yg_jw_array_end(w);
}

static yg_str text_of(const struct yg_row *row, const char *column) {
    const struct yg_value *v = yg_row_get(row, column, YG_T_STR);
    return v ? v->str : (yg_str){0};
}

static void put_text(struct yg_json_writer *w, const struct yg_row *row, const char *column) {
    const struct yg_value *v = yg_row_get(row, column, YG_T_STR);
    if (v)
        yg_jw_kstr(w, column, v->str);
}

static void put_time(struct yg_json_writer *w, const char *key, int64_t ns) {
    char text[YG_TIME_TEXT_BYTES];
    size_t len = yg_time_format_iso(ns, text);
    yg_jw_kstr(w, key, (yg_str){text, len});
}

static void put_decimal(struct yg_json_writer *w, const char *key, uint64_t v) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_u64_str(w, v);
}

// Decimal as long as the id has 64 bits, else 32 hex digits.
static void put_trace_id(struct yg_json_writer *w, yg_id128 id) {
    struct yg_value v = {.type = YG_T_ID, .id = id};
    if (id.hi == 0) {
        put_decimal(w, "trace_id", id.lo);
        return;
    }
    yg_jw_k(w, "trace_id");
    put_value(w, &v);
}

void yg_event_put_log(struct yg_json_writer *w, const struct yg_row *row) {
    char id[YG_EVENT_ID_BYTES];
    const struct yg_value *trace = yg_row_get(row, YG_COL_TRACE_ID, YG_T_ID);
    const struct yg_value *span = yg_row_get(row, YG_COL_SPAN_ID, YG_T_I64);
    bool put_trace = trace && !yg_row_get(row, "@trace_id", YG_T_STR);
    bool put_span = span && !yg_row_get(row, "@span_id", YG_T_STR);
    yg_event_id(row, id);
    yg_jw_object(w);
    yg_jw_kstr(w, "id", yg_str_c(id));
    yg_jw_kstr(w, "type", YG_STR("log"));
    yg_jw_k(w, "attributes");
    yg_jw_object(w);
    put_time(w, "timestamp", row->time_ns);
    put_text(w, row, YG_COL_STATUS);
    put_text(w, row, YG_COL_HOST);
    put_text(w, row, YG_COL_SERVICE);
    put_text(w, row, YG_COL_MESSAGE);
    yg_jw_k(w, "tags");
    put_tags(w, text_of(row, YG_COL_TAGS), text_of(row, YG_COL_SOURCE));
    if (put_trace || put_span || has_attributes(row)) {
        yg_jw_k(w, "attributes");
        yg_jw_object(w);
        if (put_trace)
            put_trace_id(w, trace->id);
        if (put_span)
            put_decimal(w, "span_id", (uint64_t)span->i64);
        put_attributes(w, row, false);
        yg_jw_object_end(w);
    }
    yg_jw_object_end(w);
    yg_jw_object_end(w);
}

static int64_t number_of(const struct yg_row *row, const char *column) {
    const struct yg_value *v = yg_row_get(row, column, YG_T_I64);
    return v ? v->i64 : 0;
}

static void put_span_custom(struct yg_json_writer *w, const struct yg_row *row) {
    yg_jw_k(w, "custom");
    yg_jw_object(w);
    yg_jw_ki64(w, "duration", number_of(row, YG_COL_DURATION));
    if (!yg_row_get(row, "@env", YG_T_STR))
        put_text(w, row, YG_COL_ENV);
    put_attributes(w, row, true);
    yg_jw_object_end(w);
}

void yg_event_put_span(struct yg_json_writer *w, const struct yg_row *row) {
    char id[YG_EVENT_ID_BYTES], hash[24];
    const struct yg_value *trace = yg_row_get(row, YG_COL_TRACE_ID, YG_T_ID);
    yg_str resource = text_of(row, YG_COL_RESOURCE);
    yg_event_id(row, id);
    snprintf(hash, sizeof(hash), "%016" PRIx64, yg_hash_stable(resource.ptr, resource.len));
    yg_jw_object(w);
    yg_jw_kstr(w, "id", yg_str_c(id));
    yg_jw_kstr(w, "type", YG_STR("spans"));
    yg_jw_k(w, "attributes");
    yg_jw_object(w);
    put_span_custom(w, row);
    put_time(w, "start_timestamp", row->time_ns);
    put_time(w, "end_timestamp", row->time_ns + number_of(row, YG_COL_DURATION));
    put_text(w, row, YG_COL_ENV);
    put_text(w, row, YG_COL_HOST);
    put_text(w, row, YG_COL_SERVICE);
    put_text(w, row, YG_COL_OPERATION);
    put_text(w, row, YG_COL_RESOURCE);
    yg_jw_kstr(w, "resource_hash", yg_str_c(hash));
    put_text(w, row, YG_COL_STATUS);
    put_text(w, row, YG_COL_TYPE);
    put_trace_id(w, trace ? trace->id : (yg_id128){0, 0});
    put_decimal(w, YG_COL_SPAN_ID, (uint64_t)number_of(row, YG_COL_SPAN_ID));
    put_decimal(w, YG_COL_PARENT_ID, (uint64_t)number_of(row, YG_COL_PARENT_ID));
    yg_jw_kbool(w, "single_span", false);
    yg_jw_kstr(w, "ingestion_reason", YG_STR("auto"));
    yg_jw_kstr(w, "retained_by", YG_STR("retention_filter")); // every span is kept
    yg_jw_k(w, "tags");
    put_tags(w, text_of(row, YG_COL_TAGS), (yg_str){0});
    yg_jw_object_end(w);
    yg_jw_object_end(w);
}

// What an event keeps beside its text: the attributes, and the reserved columns under the names
// clients know.
static void put_event_attributes(struct yg_json_writer *w, const struct yg_row *row) {
    yg_jw_k(w, "attributes");
    yg_jw_object(w);
    put_text(w, row, YG_COL_SERVICE);
    put_text(w, row, YG_COL_STATUS);
    yg_str host = text_of(row, YG_COL_HOST);
    if (host.len > 0)
        yg_jw_kstr(w, "hostname", host);
    yg_jw_ki64(w, "timestamp", row->time_ns / YG_NS_PER_MS);
    put_attributes(w, row, false);
    yg_jw_object_end(w);
}

void yg_event_put_event(struct yg_json_writer *w, const struct yg_row *row) {
    char id[YG_EVENT_ID_BYTES];
    yg_event_id(row, id);
    yg_jw_object(w);
    yg_jw_kstr(w, "id", yg_str_c(id));
    yg_jw_kstr(w, "type", YG_STR("event"));
    yg_jw_k(w, "attributes");
    yg_jw_object(w);
    put_event_attributes(w, row);
    put_text(w, row, YG_COL_MESSAGE);
    yg_jw_k(w, "tags");
    put_tags(w, text_of(row, YG_COL_TAGS), text_of(row, YG_COL_SOURCE));
    put_time(w, "timestamp", row->time_ns);
    yg_jw_object_end(w);
    yg_jw_object_end(w);
}
