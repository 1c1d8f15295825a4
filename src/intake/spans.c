// SPDX-License-Identifier: Apache-2.0
// Span rows: tags to columns, ids put together, the tags that are promoted.
//
// The 128-bit trace id: the low half is in every span, the high half ("_dd.p.tid", 16 hex digits)
// in one span of the chunk only, often not the first. So rows get the low half as they come and
// yg_spans_chunk_end writes the high half into all rows of the chunk.
//
// Service entries ("_top_level"): a root, a span that the tracer marks (metric _dd.top_level), and
// a span whose parent in the chunk is of another service. A parent outside the chunk makes an entry
// only where the tracer marked nothing: some mark every entry, some the roots alone, some none.
//
// Source: DataDog/datadog-agent pkg/proto/pbgo/trace/idx/span.go (promoted tags) and
// pkg/trace/traceutil/span.go (top level)
#include "intake/spans.h"

#include "base/hash.h"

#define STRUCT_BYTES_MAX (10u << 20) // a meta_struct value as JSON, and a span's links or events
#define KEY_BYTES_MAX 1000u
#define KEY_PLACES 4u

enum special {
    KEY_PLAIN,
    KEY_ENV,
    KEY_TID,
    KEY_HOSTNAME,
    KEY_LINKS,
    KEY_EVENTS,
    KEY_TOP_LEVEL,
};

yg_rc yg_spans_init(struct yg_spans *s, struct yg_batch *b, struct yg_intake_tally *t,
                    struct yg_err *err) {
    memset(s, 0, sizeof(*s));
    s->b = b;
    s->tally = t;
    s->links = YG_BUF(YG_MEM_INTAKE, STRUCT_BYTES_MAX);
    s->events = YG_BUF(YG_MEM_INTAKE, STRUCT_BYTES_MAX);
    s->scratch = YG_BUF(YG_MEM_INTAKE, STRUCT_BYTES_MAX);
    const struct {
        yg_str name;
        enum yg_type type;
        uint32_t *col;
    } columns[] = {
        {YG_STR(YG_COL_TIME), YG_T_I64, &s->time},
        {YG_STR(YG_COL_TRACE_ID), YG_T_ID, &s->trace_id},
        {YG_STR(YG_COL_SPAN_ID), YG_T_I64, &s->span_id},
        {YG_STR(YG_COL_PARENT_ID), YG_T_I64, &s->parent_id},
        {YG_STR(YG_COL_DURATION), YG_T_I64, &s->duration},
        {YG_STR(YG_COL_SERVICE), YG_T_STR, &s->service.str_col},
        {YG_STR(YG_COL_OPERATION), YG_T_STR, &s->operation.str_col},
        {YG_STR(YG_COL_RESOURCE), YG_T_STR, &s->resource.str_col},
        {YG_STR(YG_COL_STATUS), YG_T_STR, &s->status},
        {YG_STR(YG_COL_TOP_LEVEL), YG_T_BOOL, &s->top_level},
    };
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        YG_TRY(yg_batch_col(b, columns[i].name, columns[i].type, columns[i].col, err));
    s->type.str_col = s->env.str_col = s->host.str_col = UINT32_MAX; // made when a span has one
    return YG_OK;
}

void yg_spans_fini(struct yg_spans *s) {
    yg_buf_fini(&s->links);
    yg_buf_fini(&s->events);
    yg_buf_fini(&s->scratch);
}

void yg_spans_chunk(struct yg_spans *s) {
    s->chunk_first_row = s->b->row_count;
    s->trace_high = 0;
    s->marked_count = 0;
}

yg_rc yg_spans_open(struct yg_spans *s, struct yg_err *err) {
    uint32_t row;
    memset(&s->row, 0, sizeof(s->row));
    yg_buf_reset(&s->links);
    yg_buf_reset(&s->events);
    return yg_batch_row(s->b, &row, err);
}

// ------------------------------------------------------------ tag names

static enum special special_of(yg_str name) {
    static const struct {
        yg_str name;
        enum special special;
    } known[] = {
        {YG_STR_INIT("env"), KEY_ENV},
        {YG_STR_INIT("_dd.p.tid"), KEY_TID},
        {YG_STR_INIT("_dd.hostname"), KEY_HOSTNAME},
        {YG_STR_INIT("_dd.span_links"), KEY_LINKS},
        {YG_STR_INIT("events"), KEY_EVENTS},
        {YG_STR_INIT("_dd.top_level"), KEY_TOP_LEVEL},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (yg_str_eq(name, known[i].name))
            return known[i].special;
    return KEY_PLAIN;
}

yg_rc yg_spans_key(struct yg_spans *s, yg_str name, struct yg_span_key *ret_key,
                   struct yg_err *err) {
    yg_str clean = yg_intake_utf8(s->b->arena, yg_intake_cut(name, KEY_BYTES_MAX));
    if (clean.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    *ret_key = (struct yg_span_key){
        .name = clean,
        .special = (uint8_t)special_of(clean),
        .str_col = UINT32_MAX,
        .f64_col = UINT32_MAX,
        .last_code = UINT32_MAX,
    };
    return YG_OK;
}

static uint32_t cache_slot(yg_str name) {
    uint32_t head = 0;
    uint32_t tail = 0;
    if (name.len >= 4) {
        memcpy(&head, name.ptr, 4);
        memcpy(&tail, name.ptr + name.len - 4, 4);
    } else if (name.len > 0) {
        memcpy(&head, name.ptr, name.len);
    }
    uint32_t h = (head * 0x9e3779b1u) ^ (tail * 0x85ebca6bu) ^ ((uint32_t)name.len * 0xc2b2ae35u);
    return h >> 16;
}

// A few places are looked at; when all are taken by others, the first changes hands.
static yg_rc cached_key(struct yg_spans *s, yg_str name, struct yg_span_key **ret_key,
                        struct yg_err *err) {
    uint32_t slot = cache_slot(name);
    for (uint32_t i = 0; i < KEY_PLACES; i++) {
        struct yg_span_key *key = &s->keys[(slot + i) & (YG_SPAN_KEYS - 1)];
        *ret_key = key;
        if (key->name.ptr == NULL)
            return yg_spans_key(s, name, key, err);
        if (yg_str_eq(key->name, name))
            return YG_OK;
    }
    *ret_key = &s->keys[slot & (YG_SPAN_KEYS - 1)];
    return yg_spans_key(s, name, *ret_key, err);
}

yg_rc yg_spans_read_key(struct yg_spans *s, struct yg_mp *r, uint32_t place,
                        uint16_t guess[YG_SPAN_GUESSES], struct yg_span_key **ret_key,
                        struct yg_err *err) {
    if (place < YG_SPAN_GUESSES) {
        struct yg_span_key *key = &s->keys[guess[place]];
        *ret_key = key;
        if (key->name.ptr != NULL && yg_mp_try_name(r, key->name))
            return YG_OK;
    }
    yg_str name;
    YG_TRY(yg_mp_str(r, &name, err));
    YG_TRY(cached_key(s, name, ret_key, err));
    if (place < YG_SPAN_GUESSES)
        guess[place] = (uint16_t)(*ret_key - s->keys);
    return YG_OK;
}

// Column "@name" of a type. A body with too many different names keeps its rows and loses the rest
// of the names: *ret_col stays UINT32_MAX then.
static yg_rc attribute_col(struct yg_spans *s, yg_str name, enum yg_type type, uint32_t *ret_col,
                           struct yg_err *err) {
    char text[KEY_BYTES_MAX * 3 + 1];
    if (name.len >= sizeof(text))
        name = yg_intake_cut(name, KEY_BYTES_MAX);
    text[0] = '@';
    memcpy(text + 1, name.ptr, name.len);
    yg_rc rc = yg_batch_col(s->b, (yg_str){text, name.len + 1}, type, ret_col, err);
    if (rc != YG_ELIMIT)
        return rc;
    s->tally->dropped_values++;
    return YG_OK;
}

// The value as valid text, into key->last; what was there before is known to be.
static yg_rc take_value(struct yg_spans *s, struct yg_span_key *key, yg_str raw,
                        struct yg_err *err) {
    if (key->last_raw.ptr != NULL && raw.len == key->last_raw.len &&
        (raw.ptr == key->last_raw.ptr || yg_str_eq(raw, key->last_raw)))
        return YG_OK;
    key->last_raw.ptr = NULL;
    yg_str value = yg_intake_utf8(s->b->arena, raw);
    if (value.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    key->last_raw = raw;
    key->last = value;
    key->last_code = UINT32_MAX;
    return YG_OK;
}

static yg_rc put_last(struct yg_spans *s, struct yg_span_key *key, struct yg_err *err) {
    return yg_batch_put_again(s->b, key->str_col, key->last, &key->last_code, err);
}

static yg_rc put_str(struct yg_spans *s, struct yg_span_key *key, struct yg_err *err) {
    if (key->name.len == 0)
        return YG_OK;
    if (key->str_col == UINT32_MAX)
        YG_TRY(attribute_col(s, key->name, YG_T_STR, &key->str_col, err));
    return key->str_col == UINT32_MAX ? YG_OK : put_last(s, key, err);
}

yg_rc yg_spans_meta_key(struct yg_spans *s, struct yg_span_key *key, yg_str raw,
                        struct yg_err *err) {
    YG_TRY(take_value(s, key, raw, err));
    yg_str value = key->last;
    switch ((enum special)key->special) {
    case KEY_ENV:
        s->row.env = value;
        return YG_OK;
    case KEY_TID:
        if (yg_str_hex_to_u64(value, &s->trace_high))
            return YG_OK;
        break;
    case KEY_HOSTNAME:
        s->row.host = value;
        break;
    case KEY_LINKS:
        if (yg_spans_links_text(s, value))
            return YG_OK;
        break;
    case KEY_EVENTS:
        if (yg_spans_events_text(s, value))
            return YG_OK;
        break;
    case KEY_TOP_LEVEL: // counts as a metric only
    case KEY_PLAIN:
        break;
    }
    return put_str(s, key, err);
}

yg_rc yg_spans_metric_key(struct yg_spans *s, struct yg_span_key *key, double value,
                          struct yg_err *err) {
    if (key->name.len == 0)
        return YG_OK;
    if (key->special == KEY_TOP_LEVEL)
        s->row.top_level = value > 0;
    if (key->f64_col == UINT32_MAX)
        YG_TRY(attribute_col(s, key->name, YG_T_F64, &key->f64_col, err));
    return key->f64_col == UINT32_MAX ? YG_OK : yg_batch_put_f64(s->b, key->f64_col, value, err);
}

yg_rc yg_spans_meta(struct yg_spans *s, yg_str key, yg_str value, struct yg_err *err) {
    struct yg_span_key *k;
    YG_TRY(cached_key(s, key, &k, err));
    return yg_spans_meta_key(s, k, value, err);
}

yg_rc yg_spans_metric(struct yg_spans *s, yg_str key, double value, struct yg_err *err) {
    struct yg_span_key *k;
    YG_TRY(cached_key(s, key, &k, err));
    return yg_spans_metric_key(s, k, value, err);
}

yg_rc yg_spans_json(struct yg_spans *s, yg_str key, yg_str json, struct yg_err *err) {
    struct yg_span_key k;
    YG_TRY(yg_spans_key(s, key, &k, err));
    if (k.name.len == 0)
        return YG_OK;
    uint32_t col = UINT32_MAX;
    YG_TRY(attribute_col(s, k.name, YG_T_JSON, &col, err));
    return col == UINT32_MAX ? YG_OK : yg_batch_put_str(s->b, col, json, err);
}

// ------------------------------------------------------------ the end of a span

static yg_rc close_list(struct yg_spans *s, struct yg_buf *list, const char *column,
                        struct yg_err *err) {
    if (list->len == 0)
        return YG_OK;
    yg_buf_putc(list, ']');
    if (yg_buf_ok(list, NULL) != YG_OK) { // over 10 MiB of links: the span is kept without them
        s->tally->dropped_values++;
        return YG_OK;
    }
    yg_str copy = yg_arena_str(s->b->arena, yg_buf_str(list));
    if (copy.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    return yg_batch_set_json(s->b, yg_str_c(column), copy, err);
}

static yg_rc put_text(struct yg_spans *s, struct yg_span_key *key, yg_str raw, struct yg_err *err) {
    YG_TRY(take_value(s, key, raw, err));
    return put_last(s, key, err);
}

static yg_rc put_optional(struct yg_spans *s, struct yg_span_key *key, const char *column,
                          yg_str raw, struct yg_err *err) {
    if (raw.len == 0)
        return YG_OK;
    if (key->str_col == UINT32_MAX)
        YG_TRY(yg_batch_col(s->b, yg_str_c(column), YG_T_STR, &key->str_col, err));
    return put_text(s, key, raw, err);
}

// A span ends after it began and within what 64 bits of nanoseconds hold, as agents see to it, too.
static int64_t bounded_duration(const struct yg_span *row) {
    int64_t end_ns;
    bool ends = !__builtin_add_overflow(row->start, row->duration, &end_ns);
    return ends && row->duration > 0 ? row->duration : 0;
}

yg_rc yg_spans_close(struct yg_spans *s, struct yg_err *err) {
    const struct yg_span *row = &s->row;
    struct yg_batch *b = s->b;
    YG_TRY(yg_batch_put_i64(b, s->time, row->start, err));
    YG_TRY(yg_batch_put_id(b, s->trace_id, (yg_id128){0, row->trace_id}, err));
    YG_TRY(yg_batch_put_i64(b, s->span_id, (int64_t)row->span_id, err));
    YG_TRY(yg_batch_put_i64(b, s->parent_id, (int64_t)row->parent_id, err));
    YG_TRY(yg_batch_put_i64(b, s->duration, bounded_duration(row), err));
    YG_TRY(put_text(s, &s->service, row->service, err));
    YG_TRY(put_text(s, &s->operation, row->name, err));
    YG_TRY(put_text(s, &s->resource, row->resource, err));
    yg_str status = row->error != 0 ? YG_STR("error") : YG_STR("ok");
    YG_TRY(yg_batch_put_str(b, s->status, status, err));
    YG_TRY(put_optional(s, &s->type, YG_COL_TYPE, row->type, err));
    YG_TRY(put_optional(s, &s->env, YG_COL_ENV, row->env, err));
    YG_TRY(put_optional(s, &s->host, YG_COL_HOST, row->host, err));
    YG_TRY(close_list(s, &s->links, YG_COL_LINKS, err));
    YG_TRY(close_list(s, &s->events, YG_COL_SPAN_EVENTS, err));
    if (row->top_level) {
        if (!YG_ARENA_GROW(b->arena, s->marked, s->marked_count, s->marked_cap))
            return yg_fail(err, YG_ENOMEM, "batch memory is used up");
        s->marked[s->marked_count++] = b->row_count - 1;
    }
    s->tally->taken++;
    return YG_OK;
}

// ------------------------------------------------------------ the end of a chunk

static yg_rc mark_entry(struct yg_spans *s, uint32_t row, struct yg_err *err) {
    uint32_t rows = s->b->row_count;
    s->b->row_count = row + 1; // a value is set for the row opened last
    yg_rc rc = yg_batch_put_i64(s->b, s->top_level, true, err);
    s->b->row_count = rows;
    return rc;
}

// Seeded: ids come from outside.
static uint32_t slot_of(int64_t id, uint32_t mask) {
    return (uint32_t)yg_hash(&id, sizeof(id)) & mask;
}

// Rows of the chunk by span id: open addressing, row + 1, 0 = free; of equal ids the first row.
// NULL without memory.
static uint32_t *rows_by_id(struct yg_spans *s, const int64_t *ids, uint32_t *ret_mask) {
    uint32_t first = s->chunk_first_row, end = s->b->row_count, cap = 16;
    while (cap < 2 * (end - first))
        cap *= 2;
    uint32_t *slots = YG_NEW_N(s->b->arena, uint32_t, cap);
    for (uint32_t row = first; slots && row < end; row++) {
        uint32_t at = slot_of(ids[row], cap - 1);
        while (slots[at] != 0 && ids[slots[at] - 1] != ids[row])
            at = (at + 1) & (cap - 1);
        if (slots[at] == 0)
            slots[at] = row + 1;
    }
    *ret_mask = cap - 1;
    return slots;
}

enum parent_place { PARENT_NONE, PARENT_OUTSIDE, PARENT_OTHER_SERVICE, PARENT_SAME_SERVICE };

// Every row has span id, parent id and service: value k is row k.
static enum parent_place place_of_parent(const struct yg_spans *s, uint32_t row,
                                         const uint32_t *slots, uint32_t mask) {
    const int64_t *ids = s->b->cols[s->span_id].i64;
    int64_t parent = s->b->cols[s->parent_id].i64[row];
    const struct yg_batch_col *services = &s->b->cols[s->service.str_col];
    if (parent == 0)
        return PARENT_NONE;
    uint32_t at = slot_of(parent, mask);
    while (slots[at] != 0 && ids[slots[at] - 1] != parent)
        at = (at + 1) & mask;
    if (slots[at] == 0)
        return PARENT_OUTSIDE;
    bool same =
        yg_str_eq(yg_batch_col_str(services, row), yg_batch_col_str(services, slots[at] - 1));
    return same ? PARENT_SAME_SERVICE : PARENT_OTHER_SERVICE;
}

static yg_rc mark_entries(struct yg_spans *s, struct yg_err *err) {
    uint32_t mask, m = 0;
    const uint32_t *slots = rows_by_id(s, s->b->cols[s->span_id].i64, &mask);
    if (slots == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    for (uint32_t row = s->chunk_first_row; row < s->b->row_count; row++) {
        enum parent_place place = place_of_parent(s, row, slots, mask);
        bool entry = place == PARENT_NONE || place == PARENT_OTHER_SERVICE ||
                     (place == PARENT_OUTSIDE && s->marked_count == 0);
        if (m < s->marked_count && s->marked[m] == row) { // rows ascend
            entry = true;
            m++;
        }
        if (entry)
            YG_TRY(mark_entry(s, row, err));
    }
    return YG_OK;
}

yg_rc yg_spans_chunk_end(struct yg_spans *s, struct yg_err *err) {
    if (s->b->row_count == s->chunk_first_row)
        return YG_OK;
    struct yg_batch_col *trace_ids = &s->b->cols[s->trace_id]; // value k is row k here, too
    for (uint32_t row = s->chunk_first_row; s->trace_high && row < s->b->row_count; row++)
        trace_ids->ids[row].hi = s->trace_high;
    return mark_entries(s, err);
}
