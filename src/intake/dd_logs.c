// SPDX-License-Identifier: Apache-2.0
// Log bodies: JSON array, object, array of strings, or text with one log a line.
//
// Objects are flattened: a nested member is the column "@a.b.c", an array one JSON column. Some
// paths are a row's own fields (log_fields.c); when several paths of a log lead to the same field,
// the first in that table wins and the others stay attributes.
//
// A log may hold a log: the Lambda extension sends an object as "message", applications write JSON
// lines into it. Such a message is opened; its members count as the log's own and go before the
// outer ones. `level` below says how deep inside we are.
// Source: DataDog/datadog-lambda-extension bottlecap/src/logs/lambda/mod.rs,
// DataDog/datadog-agent pkg/logs/processor/json.go
#include "base/clock.h"
#include "codec/json_read.h"
#include "intake/decode.h"
#include "intake/log_fields.h"

#define PATH_BYTES_MAX 1000u
#define VALUE_BYTES_MAX (1u << 20) // a longer message or attribute is cut
#define LEVELS_MAX 3u              // a message inside a message inside a message
#define DEPTH_MAX 24u              // deeper objects stay one JSON column
#define TAGS_MAX 1000u
#define PATHS 512u // cache; power of two
#define PATH_PLACES 4u
#define TAG_MEMO 64u // power of two

// What a path means and which column it has, by type. Rows of a body mostly have their members in
// one order, so an entry remembers which came next and which was the first inside; a guess is
// checked against the text before it is believed.
struct path_entry {
    yg_str path; // NULL ptr: free
    uint8_t slot;
    uint8_t order;
    uint16_t key_len; // of the member's own name, at the end of the path; 0: never guess it
    uint16_t next;    // entry of the member behind it and of its own first member, by index
    uint16_t inside;
    uint32_t col[YG_TYPE_COUNT]; // UINT32_MAX: not made yet
};

// The best value seen for a row's field.
struct candidate {
    bool set;
    uint32_t rank; // smaller is better
    uint8_t level;
    yg_str path;
    struct yg_json_token token;
    union { // what usable() made of it
        int64_t ns;
        yg_id128 trace_id;
        uint64_t span_id;
        yg_str status;
    };
};

// A list of tags and what it is as a column: senders repeat theirs on every row.
struct tag_memo {
    yg_str list; // NULL ptr: free
    yg_str joined;
};

struct logs {
    const struct yg_intake_in *in;
    struct yg_batch *b;
    struct yg_intake_tally *tally;
    struct path_entry cache[PATHS];
    uint32_t time, message, status;                              // columns that every row has
    uint32_t service, host, source, trace_id, span_id, tags_col; // UINT32_MAX: not made yet
    uint16_t first; // entry of the first member of a row, and of an opened message
    uint16_t first_opened;
    struct tag_memo memo[TAG_MEMO];
    // the open row
    struct candidate fields[YG_SLOT_COUNT];
    yg_str raw_message; // a message that was opened, in case it holds none itself
    yg_str tag_list;    // the row's only list of tags so far, not taken apart
    yg_str *tags;
    uint32_t tag_count;
    uint32_t tag_cap;
    char path[PATH_BYTES_MAX];
    uint32_t path_len;
};

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "batch memory is used up");
}

// ------------------------------------------------------------ paths and attributes

// Of the ends of a text: cheap, and enough for a cache that compares.
static uint32_t ends_hash(yg_str path) {
    uint32_t head = 0;
    uint32_t tail = 0;
    if (path.len >= 4) {
        memcpy(&head, path.ptr, 4);
        memcpy(&tail, path.ptr + path.len - 4, 4);
    } else if (path.len > 0) {
        memcpy(&head, path.ptr, path.len);
    }
    uint32_t h = (head * 0x9e3779b1u) ^ (tail * 0x85ebca6bu) ^ ((uint32_t)path.len * 0xc2b2ae35u);
    return h >> 15;
}

static yg_rc find_path(struct logs *l, yg_str path, struct path_entry **ret_entry,
                       struct yg_err *err) {
    uint32_t slot = ends_hash(path);
    struct path_entry *e = &l->cache[slot & (PATHS - 1)];
    for (uint32_t i = 0; i < PATH_PLACES; i++) {
        struct path_entry *at = &l->cache[(slot + i) & (PATHS - 1)];
        *ret_entry = at;
        if (at->path.ptr != NULL && yg_str_eq(at->path, path))
            return YG_OK;
        if (at->path.ptr == NULL) {
            e = at;
            break;
        }
    }
    *ret_entry = e;
    yg_str copy = yg_arena_str(l->b->arena, path);
    if (copy.ptr == NULL)
        return no_memory(err);
    *e = (struct path_entry){.path = copy};
    e->slot = (uint8_t)yg_log_slot_of(path, &e->order);
    memset(e->col, 0xff, sizeof(e->col));
    return YG_OK;
}

// The attribute's column; UINT32_MAX when the body has too many different ones: the value is
// dropped and counted then, the row kept.
static yg_rc attribute_col(struct logs *l, struct path_entry *e, enum yg_type type,
                           struct yg_err *err) {
    if (e->col[type] != UINT32_MAX)
        return YG_OK;
    char name[PATH_BYTES_MAX + 1];
    name[0] = '@';
    memcpy(name + 1, e->path.ptr, e->path.len);
    yg_rc rc = yg_batch_col(l->b, (yg_str){name, e->path.len + 1}, type, &e->col[type], err);
    if (rc != YG_ELIMIT)
        return rc;
    l->tally->dropped_values++;
    return YG_OK;
}

static yg_rc put_attribute(struct logs *l, struct path_entry *e, const struct yg_json_token *t,
                           struct yg_err *err) {
    static const enum yg_type types[] = {
        [YG_JSON_BOOL] = YG_T_BOOL,         [YG_JSON_INT] = YG_T_I64,
        [YG_JSON_DOUBLE] = YG_T_F64,        [YG_JSON_STRING] = YG_T_STR,
        [YG_JSON_OBJECT_BEGIN] = YG_T_JSON, [YG_JSON_ARRAY_BEGIN] = YG_T_JSON,
    };
    if (e->path.len == 0 || t->kind == YG_JSON_NULL)
        return YG_OK;
    enum yg_type type = types[t->kind];
    YG_TRY(attribute_col(l, e, type, err));
    uint32_t col = e->col[type];
    if (col == UINT32_MAX)
        return YG_OK;
    switch (t->kind) {
    case YG_JSON_BOOL:
        return yg_batch_put_i64(l->b, col, t->boolean, err);
    case YG_JSON_INT:
        return yg_batch_put_i64(l->b, col, t->i64, err);
    case YG_JSON_DOUBLE:
        return yg_batch_put_f64(l->b, col, t->f64, err);
    case YG_JSON_STRING:
        return yg_batch_put_str(l->b, col, yg_intake_cut(t->str, VALUE_BYTES_MAX), err);
    case YG_JSON_OBJECT_BEGIN: // str holds the JSON text
    case YG_JSON_ARRAY_BEGIN:
        return yg_batch_put_str(l->b, col, t->str, err);
    case YG_JSON_END:
    case YG_JSON_NULL:
    case YG_JSON_KEY:
    case YG_JSON_OBJECT_END:
    case YG_JSON_ARRAY_END:
        break;
    }
    return YG_OK;
}

// ------------------------------------------------------------ fields of the row

// Can the value be the row's field? What it was read as is kept with it.
static bool usable(enum yg_log_slot slot, struct candidate *c) {
    const struct yg_json_token *t = &c->token;
    bool text = t->kind == YG_JSON_STRING || t->kind == YG_JSON_INT || t->kind == YG_JSON_DOUBLE;
    switch (slot) {
    case YG_SLOT_MESSAGE:
        return text;
    case YG_SLOT_STATUS:
        return yg_log_status(t, &c->status) && t->str.len > 0;
    case YG_SLOT_SERVICE:
    case YG_SLOT_HOST:
    case YG_SLOT_SOURCE:
        return text && t->str.len > 0;
    case YG_SLOT_TIME:
        return yg_log_time(t, &c->ns);
    case YG_SLOT_TRACE_ID:
        return text && yg_log_trace_id(t->str, &c->trace_id);
    case YG_SLOT_SPAN_ID:
        return text && yg_log_span_id(t->str, &c->span_id);
    case YG_SLOT_COUNT:
    case YG_SLOT_TAGS:
        break;
    }
    return false;
}

// Message and status of an opened message replace the outer ones, whatever path they have.
static uint32_t rank_of(enum yg_log_slot slot, uint8_t order, uint32_t level) {
    uint32_t outside = LEVELS_MAX - level;
    if (slot == YG_SLOT_MESSAGE || slot == YG_SLOT_STATUS)
        return outside * 16 + order;
    return order * 8u + outside;
}

// offer: usable, set, with rank, level and path.
static yg_rc offer_field(struct logs *l, enum yg_log_slot slot, const struct candidate *offer,
                         struct yg_err *err) {
    struct candidate *best = &l->fields[slot];
    if (!best->set) {
        *best = *offer;
        return YG_OK;
    }
    struct candidate loser = *offer;
    if (offer->rank <= best->rank) {
        loser = *best;
        *best = *offer;
    }
    if (loser.rank == best->rank)
        return YG_OK; // the same path twice
    bool replaced =
        (slot == YG_SLOT_MESSAGE || slot == YG_SLOT_STATUS) && loser.level != best->level;
    if (replaced)
        return YG_OK; // the outer status of an opened message says nothing more
    struct path_entry *e;
    YG_TRY(find_path(l, loser.path, &e, err));
    return put_attribute(l, e, &loser.token, err);
}

static yg_rc add_tag(struct logs *l, yg_str tag, struct yg_err *err) {
    tag = yg_str_trim(tag);
    if (tag.len == 0 || l->tag_count >= TAGS_MAX)
        return YG_OK;
    if (!YG_ARENA_GROW(l->b->arena, l->tags, l->tag_count, l->tag_cap))
        return no_memory(err);
    l->tags[l->tag_count++] = tag;
    return YG_OK;
}

static yg_rc split_tags(struct logs *l, yg_str list, struct yg_err *err) {
    yg_str piece;
    while (yg_str_split(&list, ',', &piece))
        YG_TRY(add_tag(l, piece, err));
    return YG_OK;
}

// The row's tags do not come from one list alone: take it apart.
static yg_rc open_tag_list(struct logs *l, struct yg_err *err) {
    yg_str list = l->tag_list;
    l->tag_list = (yg_str){NULL, 0};
    return split_tags(l, list, err);
}

static yg_rc add_tag_list(struct logs *l, yg_str list, struct yg_err *err) {
    if (l->tag_count == 0 && l->tag_list.len == 0) {
        l->tag_list = list;
        return YG_OK;
    }
    YG_TRY(open_tag_list(l, err));
    return split_tags(l, list, err);
}

// The array's BEGIN was read.
static yg_rc read_tag_array(struct logs *l, struct yg_json *j, struct yg_err *err) {
    YG_TRY(open_tag_list(l, err));
    for (;;) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(j, &t, err));
        if (t.kind == YG_JSON_ARRAY_END)
            return YG_OK;
        if (t.kind == YG_JSON_STRING)
            YG_TRY(add_tag(l, t.str, err));
        else
            YG_TRY(yg_json_skip(j, &t, err));
    }
}

// ------------------------------------------------------------ flattening

static yg_rc read_members(struct logs *l, struct yg_json *j, uint32_t level, uint32_t depth,
                          uint16_t *first, struct yg_err *err);

static bool is_whole_object(yg_str text, struct yg_arena *arena) {
    text = yg_str_trim(text);
    if (text.len < 2 || text.ptr[0] != '{' || text.ptr[text.len - 1] != '}')
        return false;
    struct yg_json j;
    struct yg_json_token t;
    yg_json_init(&j, text, arena);
    return yg_json_next(&j, &t, NULL) == YG_OK && yg_json_skip(&j, &t, NULL) == YG_OK &&
           yg_json_next(&j, &t, NULL) == YG_OK;
}

// A message that is JSON text: its members are the log's. *ret_opened = false: plain text.
static yg_rc open_text(struct logs *l, yg_str text, uint32_t level, bool *ret_opened,
                       struct yg_err *err) {
    *ret_opened = level + 1 < LEVELS_MAX && is_whole_object(text, l->b->arena);
    if (!*ret_opened)
        return YG_OK;
    struct yg_json j;
    struct yg_json_token t;
    uint32_t saved = l->path_len;
    l->raw_message = text;
    l->path_len = 0;
    yg_json_init(&j, text, l->b->arena);
    YG_TRY(yg_json_next(&j, &t, err));
    YG_TRY(read_members(l, &j, level + 1, 0, &l->first_opened, err));
    l->path_len = saved;
    return YG_OK;
}

static yg_rc read_scalar(struct logs *l, uint32_t level, struct path_entry *e,
                         const struct yg_json_token *t, struct yg_err *err) {
    if (e->path.len == 0 || t->kind == YG_JSON_NULL)
        return YG_OK;
    if (e->slot == YG_SLOT_COUNT)
        return put_attribute(l, e, t, err);
    if (e->slot == YG_SLOT_TAGS && t->kind == YG_JSON_STRING)
        return add_tag_list(l, t->str, err);
    if (e->slot == YG_SLOT_MESSAGE && t->kind == YG_JSON_STRING) {
        bool opened;
        yg_str path = e->path;
        YG_TRY(open_text(l, t->str, level, &opened, err));
        if (opened)
            return YG_OK;
        YG_TRY(find_path(l, path, &e, err)); // the cache may have changed meanwhile
    }
    if (e->slot < YG_SLOT_COUNT) {
        struct candidate offer = {.set = true,
                                  .rank = rank_of((enum yg_log_slot)e->slot, e->order, level),
                                  .level = (uint8_t)level,
                                  .path = e->path,
                                  .token = *t};
        if (usable((enum yg_log_slot)e->slot, &offer))
            return offer_field(l, (enum yg_log_slot)e->slot, &offer, err);
    }
    bool empty = t->kind == YG_JSON_STRING && t->str.len == 0;
    return empty ? YG_OK : put_attribute(l, e, t, err);
}

// Keeps a container as one JSON column.
static yg_rc keep_raw(struct logs *l, struct yg_json *j, struct path_entry *e,
                      const struct yg_json_token *t, struct yg_err *err) {
    struct yg_json_token raw = *t;
    YG_TRY(yg_json_raw(j, t, &raw.str, err));
    if (raw.str.len > VALUE_BYTES_MAX) { // JSON cannot be cut and stay JSON
        l->tally->dropped_values++;
        return YG_OK;
    }
    return put_attribute(l, e, &raw, err);
}

// l->path is e's.
static yg_rc read_container(struct logs *l, struct yg_json *j, uint32_t level, uint32_t depth,
                            struct path_entry *e, const struct yg_json_token *t,
                            struct yg_err *err) {
    if (t->kind == YG_JSON_ARRAY_BEGIN)
        return e->slot == YG_SLOT_TAGS ? read_tag_array(l, j, err) : keep_raw(l, j, e, t, err);
    if (e->slot == YG_SLOT_MESSAGE && e->order == 0 && level + 1 < LEVELS_MAX) {
        uint32_t saved = l->path_len;
        l->path_len = 0;
        YG_TRY(read_members(l, j, level + 1, depth + 1, &e->inside, err));
        l->path_len = saved;
        return YG_OK;
    }
    struct yg_json ahead = *j;
    struct yg_json_token first;
    YG_TRY(yg_json_next(&ahead, &first, err));
    if (first.kind == YG_JSON_OBJECT_END || depth >= DEPTH_MAX)
        return keep_raw(l, j, e, t, err);
    return read_members(l, j, level, depth + 1, &e->inside, err);
}

// Appends ".key" to the path; false when it would be too long.
static bool push_key(struct logs *l, yg_str key) {
    uint32_t dot = l->path_len > 0;
    if (key.len > PATH_BYTES_MAX - l->path_len - dot)
        return false;
    if (dot)
        l->path[l->path_len++] = '.';
    memcpy(l->path + l->path_len, key.ptr, key.len);
    l->path_len += (uint32_t)key.len;
    return true;
}

// Is the next member the one that `hint` names? Reads its name then. The path is not touched.
static struct path_entry *guess_member(struct logs *l, struct yg_json *j, uint16_t hint) {
    struct path_entry *e = &l->cache[hint & (PATHS - 1)];
    uint32_t outside = l->path_len + (l->path_len > 0);
    if (e->key_len == 0 || e->path.len != outside + e->key_len)
        return NULL;
    if (l->path_len > 0 &&
        (e->path.ptr[l->path_len] != '.' || memcmp(e->path.ptr, l->path, l->path_len) != 0))
        return NULL;
    yg_str key = {e->path.ptr + outside, e->key_len};
    return yg_json_try_key(j, key) ? e : NULL;
}

// Reads a member's name the long way. *ret_entry: NULL at the object's end and for a member that
// was skipped (then *ret_end is false). The path is the member's when there is an entry.
static yg_rc read_name(struct logs *l, struct yg_json *j, struct path_entry **ret_entry,
                       bool *ret_end, struct yg_err *err) {
    struct yg_json_token t;
    *ret_entry = NULL;
    YG_TRY(yg_json_next(j, &t, err));
    *ret_end = t.kind == YG_JSON_OBJECT_END;
    if (*ret_end)
        return YG_OK;
    if (!push_key(l, t.str)) {
        l->tally->dropped_values++;
        return yg_json_skip(j, &t, err);
    }
    YG_TRY(find_path(l, (yg_str){l->path, l->path_len}, ret_entry, err));
    const char *in = j->in.ptr;
    bool as_written = t.str.ptr >= in && t.str.ptr < in + j->in.len; // had no escapes
    (*ret_entry)->key_len = as_written ? (uint16_t)t.str.len : 0;
    return YG_OK;
}

// The object's BEGIN was read; reads to its END. hint: index of the entry of the first member, kept
// up to date.
static yg_rc read_members(struct logs *l, struct yg_json *j, uint32_t level, uint32_t depth,
                          uint16_t *hint, struct yg_err *err) {
    uint32_t saved = l->path_len;
    for (;;) {
        struct yg_json_token t;
        struct path_entry *e = guess_member(l, j, *hint);
        bool pushed = e == NULL;
        if (pushed) {
            bool end;
            YG_TRY(read_name(l, j, &e, &end, err));
            if (end)
                return YG_OK;
            if (e == NULL)
                continue;
            *hint = (uint16_t)(e - l->cache);
        }
        hint = &e->next;
        YG_TRY(yg_json_next(j, &t, err));
        if (t.kind == YG_JSON_OBJECT_BEGIN || t.kind == YG_JSON_ARRAY_BEGIN) {
            if (!pushed && !push_key(l, yg_str_sub(e->path, e->path.len - e->key_len, SIZE_MAX)))
                return yg_fail(err, YG_EINTERNAL, "a path that was there does not fit");
            YG_TRY(read_container(l, j, level, depth, e, &t, err));
        } else {
            YG_TRY(read_scalar(l, level, e, &t, err));
        }
        l->path_len = saved;
    }
}

// ------------------------------------------------------------ rows

static yg_rc open_row(struct logs *l, struct yg_err *err) {
    uint32_t row;
    for (int i = 0; i < YG_SLOT_COUNT; i++)
        l->fields[i].set = false;
    l->raw_message = l->tag_list = (yg_str){NULL, 0};
    l->tag_count = 0;
    l->path_len = 0;
    return yg_batch_row(l->b, &row, err);
}

// A column of a row's own, made when the first row has it.
static yg_rc own_col(struct logs *l, uint32_t *col, const char *name, enum yg_type type,
                     struct yg_err *err) {
    return *col != UINT32_MAX ? YG_OK : yg_batch_col(l->b, yg_str_c(name), type, col, err);
}

static yg_rc set_field(struct logs *l, enum yg_log_slot slot, uint32_t *col, const char *name,
                       yg_str otherwise, struct yg_err *err) {
    const struct candidate *c = &l->fields[slot];
    yg_str value = c->set ? c->token.str : otherwise;
    if (value.len == 0)
        return YG_OK;
    YG_TRY(own_col(l, col, name, YG_T_STR, err));
    return yg_batch_put_str(l->b, *col, yg_intake_cut(value, VALUE_BYTES_MAX), err);
}

static yg_rc set_ids(struct logs *l, yg_str message, struct yg_err *err) {
    const struct candidate *trace = &l->fields[YG_SLOT_TRACE_ID];
    const struct candidate *span = &l->fields[YG_SLOT_SPAN_ID];
    yg_id128 trace_id = {0, 0};
    uint64_t span_id = 0;
    if (trace->set)
        trace_id = trace->trace_id;
    else
        (void)yg_log_ids_in_text(message, &trace_id, &span_id);
    if (span->set)
        span_id = span->span_id;
    if (!yg_id128_is_zero(trace_id)) {
        YG_TRY(own_col(l, &l->trace_id, YG_COL_TRACE_ID, YG_T_ID, err));
        YG_TRY(yg_batch_put_id(l->b, l->trace_id, trace_id, err));
    }
    if (span_id == 0)
        return YG_OK;
    YG_TRY(own_col(l, &l->span_id, YG_COL_SPAN_ID, YG_T_I64, err));
    return yg_batch_put_i64(l->b, l->span_id, (int64_t)span_id, err);
}

// The row's list with the request's, joined: from the memo, or made now and kept there.
static yg_rc join_tags(struct logs *l, yg_str *ret_joined, struct yg_err *err) {
    yg_str list = l->tag_list;
    struct tag_memo *memo = &l->memo[ends_hash(list) & (TAG_MEMO - 1)];
    bool one_list = l->tag_count == 0;
    if (one_list && memo->joined.ptr != NULL && yg_str_eq(memo->list, list)) {
        *ret_joined = memo->joined;
        return YG_OK;
    }
    YG_TRY(open_tag_list(l, err));
    YG_TRY(split_tags(l, l->in->ddtags, err));
    *ret_joined = (yg_str){"", 0};
    if (l->tag_count > 0)
        *ret_joined = yg_intake_join_tags(l->b->arena, l->tags, l->tag_count);
    if (ret_joined->ptr == NULL)
        return no_memory(err);
    if (one_list) // a list borrows from the body or the batch's arena: it stays
        *memo = (struct tag_memo){list, *ret_joined};
    return YG_OK;
}

static yg_rc set_tags(struct logs *l, struct yg_err *err) {
    yg_str joined;
    YG_TRY(join_tags(l, &joined, err));
    if (joined.len == 0)
        return YG_OK;
    YG_TRY(own_col(l, &l->tags_col, YG_COL_TAGS, YG_T_STR, err));
    return yg_batch_put_str(l->b, l->tags_col, joined, err);
}

static yg_rc close_row(struct logs *l, struct yg_err *err) {
    const struct candidate *c = l->fields;
    yg_str message = c[YG_SLOT_MESSAGE].set ? c[YG_SLOT_MESSAGE].token.str : l->raw_message;
    int64_t ns = c[YG_SLOT_TIME].set ? c[YG_SLOT_TIME].ns : l->in->now_ns;
    yg_str status = c[YG_SLOT_STATUS].set ? c[YG_SLOT_STATUS].status : YG_STR("info");
    YG_TRY(yg_batch_put_i64(l->b, l->time, ns, err));
    YG_TRY(yg_batch_put_str(l->b, l->status, status, err));
    if (message.len > 0) {
        message = yg_intake_cut(message, VALUE_BYTES_MAX);
        YG_TRY(yg_batch_put_str(l->b, l->message, message, err));
    }
    const struct yg_intake_in *in = l->in;
    YG_TRY(set_field(l, YG_SLOT_SERVICE, &l->service, YG_COL_SERVICE, in->service, err));
    YG_TRY(set_field(l, YG_SLOT_HOST, &l->host, YG_COL_HOST, in->hostname, err));
    YG_TRY(set_field(l, YG_SLOT_SOURCE, &l->source, YG_COL_SOURCE, in->ddsource, err));
    YG_TRY(set_ids(l, message, err));
    YG_TRY(set_tags(l, err));
    l->tally->taken++;
    return YG_OK;
}

// ------------------------------------------------------------ bodies

static yg_rc take_object(struct logs *l, struct yg_json *j, struct yg_err *err) {
    struct yg_json ahead = *j;
    struct yg_json_token t;
    YG_TRY(yg_json_next(&ahead, &t, err));
    if (t.kind == YG_JSON_OBJECT_END) { // {}: a probe of a client, accepted without a row
        *j = ahead;
        l->tally->taken++;
        return YG_OK;
    }
    YG_TRY(open_row(l, err));
    YG_TRY(read_members(l, j, 0, 0, &l->first, err));
    return close_row(l, err);
}

static yg_rc take_text(struct logs *l, yg_str text, struct yg_err *err) {
    const struct yg_json_token t = {.kind = YG_JSON_STRING, .str = text};
    struct path_entry *e;
    YG_TRY(open_row(l, err));
    YG_TRY(find_path(l, YG_STR("message"), &e, err));
    YG_TRY(read_scalar(l, 0, e, &t, err));
    return close_row(l, err);
}

static yg_rc take_item(struct logs *l, struct yg_json *j, const struct yg_json_token *t,
                       uint32_t idx, struct yg_err *err) {
    if (t->kind == YG_JSON_OBJECT_BEGIN)
        return take_object(l, j, err);
    if (t->kind == YG_JSON_STRING && t->str.len > 0)
        return take_text(l, t->str, err);
    yg_intake_skip(l->tally, "[%u] at byte %zu: a log must be an object or a string", idx, t->at);
    return yg_json_skip(j, t, err);
}

static yg_rc read_json(struct logs *l, struct yg_err *err) {
    struct yg_json j;
    struct yg_json_token t;
    yg_json_init(&j, l->in->body, l->b->arena);
    YG_TRY(yg_json_next(&j, &t, err));
    if (t.kind == YG_JSON_ARRAY_BEGIN) {
        for (uint32_t idx = 0;; idx++) {
            YG_TRY(yg_json_next(&j, &t, err));
            if (t.kind == YG_JSON_ARRAY_END)
                break;
            YG_TRY(take_item(l, &j, &t, idx, err));
        }
    } else {
        YG_TRY(take_item(l, &j, &t, 0, err));
    }
    return yg_json_next(&j, &t, err); // nothing may follow
}

static yg_rc read_text(struct logs *l, struct yg_err *err) {
    yg_str rest = l->in->body;
    yg_str line;
    while (yg_str_split(&rest, '\n', &line)) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            continue;
        line = yg_intake_utf8(l->b->arena, line);
        if (line.ptr == NULL)
            return no_memory(err);
        YG_TRY(take_text(l, line, err));
    }
    return YG_OK;
}

yg_rc yg_intake_logs(const struct yg_intake_in *in, struct yg_batch *b, struct yg_intake_tally *t,
                     struct yg_err *err) {
    struct logs *l = YG_NEW(b->arena, struct logs);
    if (l == NULL)
        return no_memory(err);
    l->in = in;
    l->b = b;
    l->tally = t;
    l->service = l->host = l->source = l->trace_id = l->span_id = l->tags_col = UINT32_MAX;
    YG_TRY(yg_batch_col(b, YG_STR(YG_COL_TIME), YG_T_I64, &l->time, err));
    YG_TRY(yg_batch_col(b, YG_STR(YG_COL_MESSAGE), YG_T_STR, &l->message, err));
    YG_TRY(yg_batch_col(b, YG_STR(YG_COL_STATUS), YG_T_STR, &l->status, err));
    return in->form == YG_FORM_TEXT ? read_text(l, err) : read_json(l, err);
}
