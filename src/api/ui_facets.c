// SPDX-License-Identifier: Apache-2.0
// GET Y/facets/{track} and Y/facets/{track}/{key}/values: which fields the matching rows have, and
// their values, counted in one pass.
//
// A value's key in the counting table is one byte (s text, n number as its 8 bytes, b boolean) and
// its bytes; texts are made only for what is answered. A field keeps DISTINCT_MAX values; further
// ones are left out of its list (`more`), not of its count.
#include "api/ui.h"

#define FACETS_MAX 40
#define VALUES_MAX 10
#define FIELDS_MAX 2000
#define DISTINCT_MAX 1000
#define DISTINCT_ONE_MAX 100000 // when one field is asked for
#define VALUE_LIMIT_DEFAULT 20
#define VALUE_LIMIT_MAX 100
#define VALUE_BYTES_MAX 1000

struct field {
    yg_str key;     // as written in a search
    uint32_t rank;  // reserved fields by this, others 255
    uint64_t count; // rows with a value
    struct yg_map values;
    uint32_t distinct_max;
    bool more;
    bool not_number; // some value is no number
    bool has_range;
    double min, max;
};

struct pass {
    struct yg_api *api;
    struct yg_http_request *req;
    struct yg_arena *arena;
    enum yg_track track;
    bool entries_only; // the "traces" track: entry spans
    struct yg_time_range range;
    const struct yg_node *filter;
    struct yg_map index; // key → place + 1
    struct field **fields;
    uint32_t count;
    uint32_t cap;
    uint64_t total;
    bool partial;
    uint64_t bits[YG_BITS_WORDS(YG_GRANULE_ROWS)];
    // one field only
    bool single;
    struct yg_field only;
    yg_str prefix;
    // the row under way
    struct field *to;
    bool row_has;
    uint64_t times;
};

static const char *const reserved[] = {
    "service", "env", "status", "host", "source", "operation_name", "resource_name", "type", NULL};

static uint32_t rank_of(yg_str key) {
    for (uint32_t i = 0; reserved[i] != NULL; i++)
        if (yg_str_eq_c(key, reserved[i]))
            return i;
    return 255;
}

static struct field *field_for(struct pass *p, yg_str key) {
    uint64_t *at = yg_map_get(&p->index, key);
    if (at != NULL)
        return p->fields[*at - 1];
    if (p->count >= FIELDS_MAX || !YG_ARENA_GROW(p->arena, p->fields, p->count, p->cap))
        return NULL;
    struct field *f = YG_NEW(p->arena, struct field);
    yg_str copy = yg_arena_str(p->arena, key);
    if (f == NULL || copy.ptr == NULL)
        return NULL;
    f->key = copy;
    f->rank = rank_of(copy);
    f->values = YG_MAP(YG_MEM_QUERY, true);
    f->distinct_max = p->single ? DISTINCT_ONE_MAX : DISTINCT_MAX;
    p->fields[p->count] = f;
    *yg_map_put(&p->index, copy, NULL) = ++p->count;
    return f;
}

static bool has_prefix(yg_str text, yg_str prefix) {
    return text.len >= prefix.len && yg_str_eq_nocase(yg_str_sub(text, 0, prefix.len), prefix);
}

static void add_key(struct field *f, yg_str key, uint64_t times) {
    uint64_t *at = yg_map_get(&f->values, key);
    if (at == NULL && f->values.len >= f->distinct_max) {
        f->more = true;
        return;
    }
    if (at == NULL)
        at = yg_map_put(&f->values, key, NULL);
    *at += times;
}

static void widen(struct field *f, double number) {
    f->min = f->has_range && f->min < number ? f->min : number;
    f->max = f->has_range && f->max > number ? f->max : number;
    f->has_range = true;
}

static void add_text(struct pass *p, struct field *f, yg_str text, uint64_t times) {
    char key[1 + VALUE_BYTES_MAX];
    double number = 0;
    if (yg_str_to_f64(text, &number))
        widen(f, number);
    else
        f->not_number = true;
    if (p->prefix.len > 0 && !has_prefix(text, p->prefix))
        return;
    size_t len = text.len < VALUE_BYTES_MAX ? text.len : VALUE_BYTES_MAX;
    key[0] = 's';
    memcpy(key + 1, text.ptr ? text.ptr : "", len);
    add_key(f, yg_str_n(key, len + 1), times);
}

static void add_number(struct pass *p, struct field *f, double number, uint64_t times) {
    char key[9] = {'n'};
    char text[40];
    widen(f, number);
    if (p->prefix.len > 0) {
        struct yg_value v = {.type = YG_T_F64, .f64 = number};
        struct yg_buf unused = YG_BUF(YG_MEM_QUERY, 64);
        struct yg_json_writer w = YG_JSON_WRITER(&unused);
        yg_jw_f64(&w, v.f64);
        (void)snprintf(text, sizeof(text), "%.*s", YG_STR_FMT(yg_buf_str(&unused)));
        yg_buf_fini(&unused);
        if (!has_prefix(yg_str_c(text), p->prefix))
            return;
    }
    memcpy(key + 1, &number, 8);
    add_key(f, yg_str_n(key, sizeof(key)), times);
}

static void on_value(void *ctx, const struct yg_value *v) {
    struct pass *p = ctx;
    struct field *f = p->to;
    p->row_has = true;
    switch (v->type) {
    case YG_T_STR:
    case YG_T_JSON:
        add_text(p, f, v->str, p->times);
        return;
    case YG_T_I64:
        add_number(p, f, (double)v->i64, p->times);
        return;
    case YG_T_F64:
        add_number(p, f, v->f64, p->times);
        return;
    case YG_T_BOOL:
        f->not_number = true;
        add_text(p, f, v->i64 ? YG_STR("true") : YG_STR("false"), p->times);
        return;
    case YG_T_ID: {
        char hex[33];
        yg_id128_hex(v->id, hex);
        f->not_number = true;
        add_text(p, f, yg_str_n(hex, 32), p->times);
        return;
    }
    case YG_TYPE_COUNT:
        return;
    }
}

// ---- blocks ------------------------------------------------------------------------------------

// How often each code of a dictionary stands in the matching rows; NULL without memory.
static uint32_t *count_codes(const struct yg_vec *v, const struct yg_block *b, const uint64_t *rows,
                             uint64_t *ret_present) {
    uint32_t *counts = YG_NEW_N(b->arena, uint32_t, (size_t)v->dict->count + 1);
    *ret_present = 0;
    if (counts == NULL)
        return NULL;
    YG_EACH_ROW(r, b, rows) {
        if (!yg_vec_has(v, r))
            continue;
        counts[v->codes[r]]++;
        (*ret_present)++;
    }
    return counts;
}

static yg_rc count_field(struct pass *p, struct yg_block *b, const uint64_t *rows,
                         const struct yg_field *field, yg_str key, struct yg_err *err) {
    struct yg_field_view view;
    YG_TRY(yg_field_view_open(field, b, &view, err));
    struct field *f = view.count > 0 ? field_for(p, key) : NULL;
    if (f == NULL)
        return YG_OK;
    p->to = f;
    const struct yg_vec *v = view.sources[0].vec;
    if (view.count == 1 && view.sources[0].kind == YG_SOURCE_COLUMN && v->type == YG_T_STR &&
        v->dict != NULL) {
        uint64_t present = 0;
        uint32_t *counts = count_codes(v, b, rows, &present);
        if (counts == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory to count values");
        f->count += present;
        for (uint32_t code = 0; code < v->dict->count; code++)
            if (counts[code] > 0)
                add_text(p, f, v->dict->strs[code], counts[code]);
        return YG_OK;
    }
    p->times = 1;
    YG_EACH_ROW(r, b, rows) {
        p->row_has = false;
        yg_field_view_values(&view, r, on_value, p);
        f->count += p->row_has;
    }
    return YG_OK;
}

// One tag set that `times` rows carry; a key counts once per row.
static void add_tag_set(struct pass *p, yg_str tags, uint64_t times) {
    struct field *seen[64];
    uint32_t seen_count = 0;
    while (tags.len > 0) {
        size_t comma = yg_str_find_char(tags, ',', 0);
        yg_str tag = comma == SIZE_MAX ? tags : yg_str_sub(tags, 0, comma);
        tags = comma == SIZE_MAX ? (yg_str){0} : yg_str_sub(tags, comma + 1, tags.len);
        size_t colon = yg_str_find_char(tag, ':', 0);
        struct field *f =
            colon == SIZE_MAX || colon == 0 ? NULL : field_for(p, yg_str_sub(tag, 0, colon));
        if (f == NULL)
            continue;
        bool again = false;
        for (uint32_t i = 0; i < seen_count; i++)
            again |= seen[i] == f;
        if (!again)
            f->count += times;
        if (!again && seen_count < 64)
            seen[seen_count++] = f;
        add_text(p, f, yg_str_sub(tag, colon + 1, tag.len), times);
    }
}

static yg_rc count_tags(struct pass *p, struct yg_block *b, const uint64_t *rows,
                        struct yg_err *err) {
    struct yg_ui_col tags;
    YG_TRY(yg_ui_col_open(b, YG_COL_TAGS, &tags, err));
    const struct yg_vec *v = tags.count == 1 ? tags.vecs[0] : NULL;
    if (v != NULL && v->type == YG_T_STR && v->dict != NULL) {
        uint64_t present = 0;
        uint32_t *counts = count_codes(v, b, rows, &present);
        if (counts == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory to count tags");
        for (uint32_t code = 0; code < v->dict->count; code++)
            if (counts[code] > 0)
                add_tag_set(p, v->dict->strs[code], counts[code]);
        return YG_OK;
    }
    YG_EACH_ROW(r, b, rows)
    add_tag_set(p, yg_ui_col_str(&tags, r), 1);
    return YG_OK;
}

// Key of a column as a facet; empty = it is none.
static yg_str facet_key(yg_str column, enum yg_field_kind *ret_kind) {
    *ret_kind = YG_FIELD_RESERVED;
    if (rank_of(column) != 255)
        return column;
    if (yg_str_eq_c(column, YG_COL_DURATION))
        return YG_STR("@duration");
    *ret_kind = YG_FIELD_ATTR;
    bool shown = column.len > 1 && column.ptr[0] == '@' && column.ptr[1] != '_';
    return shown ? column : (yg_str){0};
}

static yg_rc count_columns(struct pass *p, struct yg_block *b, const uint64_t *rows,
                           struct yg_err *err) {
    yg_str name;
    yg_str before = {0};
    enum yg_type type;
    for (uint32_t i = 0; b->ops->column_at(b, i, &name, &type); i++) {
        enum yg_field_kind kind;
        yg_str key = facet_key(name, &kind);
        // Columns of one name and several types stand together and are counted at once.
        if (key.len == 0 || yg_str_eq(name, before))
            continue;
        before = name;
        struct yg_field field = {.kind = kind, .name = name};
        YG_TRY(count_field(p, b, rows, &field, key, err));
    }
    return count_tags(p, b, rows, err);
}

static yg_rc keep_entries(struct pass *p, struct yg_block *b, const uint64_t *rows,
                          struct yg_err *err) {
    struct yg_ui_span_cols cols;
    YG_TRY(yg_ui_span_cols_open(b, &cols, err));
    yg_bits_zero(p->bits, b->row_count);
    YG_EACH_ROW(r, b, rows)
    if (yg_ui_span_is_entry(&cols, r))
        yg_bits_set(p->bits, r);
    return YG_OK;
}

static yg_rc on_block(void *ctx, struct yg_block *b, const uint64_t *rows, struct yg_err *err) {
    struct pass *p = ctx;
    if (p->entries_only) {
        YG_TRY(keep_entries(p, b, rows, err));
        rows = p->bits;
    }
    p->total += yg_bits_count(rows, b->row_count);
    return p->single ? count_field(p, b, rows, &p->only, p->only.name, err)
                     : count_columns(p, b, rows, err);
}

// ---- metrics: keys and values of series' tags --------------------------------------------------

static bool on_series(void *ctx, yg_str metric, yg_str tags) {
    struct pass *p = ctx;
    (void)metric;
    p->total++;
    add_tag_set(p, tags, 1);
    return true;
}

static yg_rc read_metric_tags(struct pass *p, struct yg_err *err) {
    yg_str metric = yg_http_query(p->req, "metric", NULL);
    if (metric.len == 0)
        return yg_fail(err, YG_EINPUT, "metric: name the metric");
    yg_metric_tags(p->api->store, &metric, p->range.from_ns / YG_NS_PER_S, on_series, p);
    return YG_OK;
}

static yg_rc read_rows(struct pass *p, struct yg_err *err) {
    struct yg_ui_scan scan = {
        .store = p->api->store,
        .track = p->track,
        .range = p->range,
        .filter = p->filter,
        .fresh = true,
        .clock = p->api->clock,
        .deadline_mono_ns = yg_mono_ns(p->api->clock) + 5 * YG_NS_PER_S,
        .req = p->req,
    };
    YG_TRY(yg_ui_scan_run(&scan, on_block, p, err));
    p->partial = scan.partial;
    return YG_OK;
}

static yg_rc read_all(struct pass *p, struct yg_err *err) {
    static const struct {
        const char *name;
        enum yg_track track;
        bool entries;
        bool metrics;
    } tracks[] = {{"logs", YG_TRACK_LOGS, false, false},
                  {"spans", YG_TRACK_SPANS, false, false},
                  {"traces", YG_TRACK_SPANS, true, false},
                  {"events", YG_TRACK_EVENTS, false, false},
                  {"metrics", YG_TRACK_LOGS, false, true}};
    for (size_t i = 0; i < sizeof(tracks) / sizeof(tracks[0]); i++) {
        if (!yg_str_eq_c(p->req->params[0], tracks[i].name))
            continue;
        YG_TRY(yg_ui_range_of(p->req, &p->range, err));
        if (tracks[i].metrics)
            return read_metric_tags(p, err);
        p->track = tracks[i].track;
        p->entries_only = tracks[i].entries;
        struct yg_search_options options = {.track = p->track};
        struct yg_node *tree = NULL;
        YG_TRY(yg_search_parse(yg_http_query(p->req, "q", NULL), &options, p->arena, &tree, err));
        p->filter = tree;
        if (p->single) {
            yg_str key = p->req->params[1];
            YG_TRY(yg_field_parse(key, p->track, p->arena, &p->only, err));
        }
        return read_rows(p, err);
    }
    return yg_fail(err, YG_ENOTFOUND, "facets are of logs, spans, traces or metrics");
}

// ---- the answer --------------------------------------------------------------------------------

struct value {
    yg_str key; // of the counting table
    uint64_t count;
};

static int by_count(const void *left, const void *right) {
    const struct value *a = left;
    const struct value *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return yg_str_cmp(a->key, b->key);
}

static void put_value(struct yg_json_writer *w, const struct value *v) {
    yg_jw_object(w);
    yg_jw_k(w, "value");
    if (v->key.ptr[0] == 'n') {
        double number = 0;
        memcpy(&number, v->key.ptr + 1, 8);
        struct yg_buf text = YG_BUF(YG_MEM_QUERY, 64);
        struct yg_json_writer t = YG_JSON_WRITER(&text);
        yg_jw_f64(&t, number);
        yg_jw_str(w, yg_buf_str(&text));
        yg_buf_fini(&text);
    } else {
        yg_jw_str(w, yg_str_sub(v->key, 1, v->key.len));
    }
    yg_jw_ki64(w, "count", (int64_t)v->count);
    yg_jw_object_end(w);
}

// "values":[…],"more":…
static yg_rc put_values(struct yg_json_writer *w, struct field *f, uint32_t limit,
                        struct yg_arena *arena, struct yg_err *err) {
    uint32_t total = f ? f->values.len : 0;
    struct value *list = YG_NEW_N(arena, struct value, (size_t)total + 1);
    if (list == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for %u values", total);
    uint32_t n = 0;
    uint32_t at = 0;
    while (f != NULL && n < total && yg_map_next(&f->values, &at, &list[n].key, &list[n].count))
        n++;
    if (n > 1)
        qsort(list, n, sizeof(list[0]), by_count);
    yg_jw_k(w, "values");
    yg_jw_array(w);
    for (uint32_t i = 0; i < n && i < limit; i++)
        put_value(w, &list[i]);
    yg_jw_array_end(w);
    yg_jw_kbool(w, "more", n > limit || (f != NULL && f->more));
    return YG_OK;
}

static int by_rank(const void *left, const void *right) {
    const struct field *a = *(struct field *const *)left;
    const struct field *b = *(struct field *const *)right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return yg_str_cmp(a->key, b->key);
}

static yg_rc put_facet(struct yg_json_writer *w, struct field *f, struct yg_arena *arena,
                       struct yg_err *err) {
    bool number = f->has_range && !f->not_number;
    yg_jw_object(w);
    yg_jw_kstr(w, "key", f->key);
    yg_jw_kstr(w, "type", number ? YG_STR("number") : YG_STR("string"));
    yg_jw_ki64(w, "count", (int64_t)f->count);
    if (number) {
        yg_jw_kf64(w, "min", f->min);
        yg_jw_kf64(w, "max", f->max);
    }
    YG_TRY(put_values(w, f, VALUES_MAX, arena, err));
    yg_jw_object_end(w);
    return YG_OK;
}

static yg_rc put_facets(struct pass *p, struct yg_buf *out, struct yg_err *err) {
    struct yg_json_writer w = YG_JSON_WRITER(out);
    YG_TRY(read_all(p, err));
    if (p->count > 1)
        qsort(p->fields, p->count, sizeof(p->fields[0]), by_rank);
    yg_jw_object(&w);
    yg_ui_put_range(&w, p->range);
    yg_jw_ki64(&w, "total", (int64_t)p->total);
    yg_jw_kbool(&w, "partial", p->partial);
    yg_jw_k(&w, "facets");
    yg_jw_array(&w);
    uint32_t shown = 0;
    for (uint32_t i = 0; i < p->count && shown < FACETS_MAX; i++) {
        if (p->fields[i]->count == 0)
            continue;
        YG_TRY(put_facet(&w, p->fields[i], p->arena, err));
        shown++;
    }
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    return YG_OK;
}

static yg_rc put_one(struct pass *p, struct yg_buf *out, struct yg_err *err) {
    yg_str key = p->req->params[1];
    yg_str limit_text = yg_http_query(p->req, "limit", NULL);
    int64_t limit = VALUE_LIMIT_DEFAULT;
    if (limit_text.len > 0 &&
        (!yg_str_to_i64(limit_text, &limit) || limit < 1 || limit > VALUE_LIMIT_MAX))
        return yg_fail(err, YG_EINPUT, "limit: 1 to %d", VALUE_LIMIT_MAX);
    p->prefix = yg_http_query(p->req, "prefix", NULL);
    YG_TRY(read_all(p, err));
    struct field *f = NULL; // the metrics track counts every key of the series
    for (uint32_t i = 0; i < p->count && f == NULL; i++)
        if (yg_str_eq(p->fields[i]->key, key) || yg_str_eq(p->fields[i]->key, p->only.name))
            f = p->fields[i];
    struct yg_json_writer w = YG_JSON_WRITER(out);
    yg_jw_object(&w);
    yg_ui_put_range(&w, p->range);
    yg_jw_kstr(&w, "key", key);
    YG_TRY(put_values(&w, f, (uint32_t)limit, p->arena, err));
    yg_jw_kbool(&w, "partial", p->partial);
    yg_jw_object_end(&w);
    return YG_OK;
}

static void answer(struct yg_http_request *take_req, bool single,
                   yg_rc (*put)(struct pass *p, struct yg_buf *out, struct yg_err *err)) {
    struct yg_err err = {0};
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    struct pass *p = YG_NEW(arena, struct pass);
    if (p == NULL) {
        (void)yg_fail(&err, YG_ENOMEM, "no memory for facets");
        yg_ui_reply_err(take_req, &err);
        return;
    }
    p->api = take_req->ctx;
    p->req = take_req;
    p->arena = arena;
    p->single = single;
    p->index = YG_MAP(YG_MEM_QUERY, false);
    struct yg_buf out = yg_api_buf();
    yg_rc rc = put(p, &out, &err);
    for (uint32_t i = 0; i < p->count; i++)
        yg_map_fini(&p->fields[i]->values);
    yg_map_fini(&p->index);
    if (rc == YG_OK) {
        yg_ui_reply(take_req, &out);
        return;
    }
    yg_buf_fini(&out);
    yg_ui_reply_err(take_req, &err);
}

void yg_ui_facets(struct yg_http_request *take_req) {
    answer(take_req, false, put_facets);
}
void yg_ui_facet_values(struct yg_http_request *take_req) {
    answer(take_req, true, put_one);
}
