// SPDX-License-Identifier: Apache-2.0
// One condition against one value of each type: what a filter's leaf says of text, numbers, ids,
// JSON and tag sets.
#include "filter/internal.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/utf8.h"

// ------------------------------------------------------------ CIDR

static bool address_parse(yg_str s, uint8_t out[16], bool *ret_v4) {
    char text[64];
    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    memset(out, 0, 16);
    *ret_v4 = inet_pton(AF_INET, text, out + 12) == 1;
    if (*ret_v4) {
        out[10] = out[11] = 0xff;
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

bool yg_cidr_parse(yg_str s, struct yg_cidr *ret_cidr) {
    size_t slash = yg_str_find_char(s, '/', 0);
    bool v4 = false;
    struct yg_cidr c = {.bits = 128};
    if (!address_parse(yg_str_sub(s, 0, slash), c.addr, &v4))
        return false;
    if (slash != SIZE_MAX) {
        uint64_t bits;
        if (!yg_str_to_u64(yg_str_sub(s, slash + 1, s.len), &bits) || bits > (v4 ? 32 : 128))
            return false;
        c.bits = (uint8_t)(v4 ? bits + 96 : bits);
    }
    *ret_cidr = c;
    return true;
}

static bool cidr_holds(const struct yg_cidr *c, const uint8_t addr[16]) {
    uint32_t whole = c->bits / 8u, rest = c->bits % 8u;
    if (memcmp(c->addr, addr, whole) != 0)
        return false;
    return rest == 0 || ((c->addr[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

static bool leaf_cidr(const struct yg_leaf *l, yg_str v) {
    uint8_t addr[16];
    bool v4;
    if (!address_parse(v, addr, &v4))
        return false;
    for (uint32_t i = 0; i < l->cidr_count; i++)
        if (cidr_holds(&l->cidrs[i], addr))
            return true;
    return false;
}

// ------------------------------------------------------------ ranges

static bool range_f64(const struct yg_leaf *l, double v) {
    if (l->has_lo && (l->lo_open ? !(v > l->lo) : !(v >= l->lo)))
        return false;
    return !l->has_hi || (l->hi_open ? v < l->hi : v <= l->hi);
}

static bool range_text(const struct yg_leaf *l, yg_str v) {
    if (l->numeric) {
        double n;
        return yg_str_to_f64(v, &n) && range_f64(l, n);
    }
    int lo = l->has_lo ? yg_str_cmp(v, l->lo_text) : 1;
    int hi = l->has_hi ? yg_str_cmp(v, l->hi_text) : -1;
    return (lo > 0 || (lo == 0 && !l->lo_open)) && (hi < 0 || (hi == 0 && !l->hi_open));
}

bool yg_leaf_may_number(const struct yg_leaf *l, double min, double max) {
    if (l->kind == YG_NODE_RANGE) {
        if (!l->numeric)
            return false;
        return !(l->has_lo && max < l->lo) && !(l->has_hi && min > l->hi);
    }
    if (l->kind == YG_NODE_TERM && l->bits_count == 0)
        return l->has_f64 && l->f64 >= min && l->f64 <= max;
    return true;
}

// ------------------------------------------------------------ values

static bool leaf_status(const struct yg_leaf *l, yg_str v) {
    char out[YG_STATUS_BYTES];
    v = yg_status_canonical(v, out);
    return l->kind == YG_NODE_TERM ? yg_str_eq(v, l->text) : yg_pattern_match(&l->folded, v);
}

const struct yg_finder *yg_leaf_need(const struct yg_leaf *l, bool nocase, bool *ret_odd) {
    if (l->kind == YG_NODE_REGEX)
        return yg_regex_need(l->regex, ret_odd);
    bool glob = l->kind == YG_NODE_GLOB;
    if (l->status || !(glob || l->kind == YG_NODE_TOKEN || l->kind == YG_NODE_PHRASE ||
                       l->kind == YG_NODE_FULLTEXT))
        return NULL;
    const struct yg_pattern *p = glob && !nocase ? &l->exact : &l->folded;
    *ret_odd = p->need_odd;
    return &p->need;
}

bool yg_leaf_str(const struct yg_leaf *l, yg_str v, bool nocase) {
    if (l->status && (l->kind == YG_NODE_TERM || l->kind == YG_NODE_GLOB))
        return leaf_status(l, v);
    switch (l->kind) {
    case YG_NODE_EXISTS:
        return true;
    case YG_NODE_TERM:
        return nocase ? yg_pattern_match(&l->folded, v) : yg_str_eq(v, l->text);
    case YG_NODE_GLOB:
        return yg_pattern_match(nocase ? &l->folded : &l->exact, v);
    case YG_NODE_RANGE:
        return range_text(l, v);
    case YG_NODE_CIDR:
        return leaf_cidr(l, v);
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
        return yg_pattern_match(&l->folded, v);
    case YG_NODE_REGEX:
        return yg_regex_match(l->regex, v);
    case YG_NODE_ALL:
    case YG_NODE_NONE:
    case YG_NODE_AND:
    case YG_NODE_OR:
    case YG_NODE_NOT:
    case YG_NODE_KIND_COUNT:
        break;
    }
    return false;
}

// Conditions on text, put to a value that is none.
static bool leaf_as_text(const struct yg_leaf *l, const struct yg_value *v) {
    if (l->kind == YG_NODE_EXISTS)
        return true;
    if (l->kind == YG_NODE_CIDR || l->kind == YG_NODE_RANGE || l->kind == YG_NODE_TERM)
        return false;
    char text[64];
    int len = 0;
    switch (v->type) {
    case YG_T_I64:
        len = snprintf(text, sizeof(text), "%" PRId64, v->i64);
        break;
    case YG_T_BOOL:
        len = snprintf(text, sizeof(text), "%s", v->i64 ? "true" : "false");
        break;
    case YG_T_F64:
        for (int digits = 15; digits <= 17; digits++) {
            len = snprintf(text, sizeof(text), "%.*g", digits, v->f64);
            if (strtod(text, NULL) == v->f64)
                break;
        }
        break;
    case YG_T_STR:
    case YG_T_ID:
    case YG_T_JSON:
    case YG_TYPE_COUNT:
        return false;
    }
    return yg_leaf_str(l, (yg_str){text, (size_t)len}, true);
}

// What the text of a number can be: "-12", "0.5", "1e+20", "inf", "nan".
static void leaf_number_text(struct yg_leaf *l) {
    const struct yg_pattern *p = &l->folded;
    bool digits = p->token && p->count == 1 && !p->open_start && !p->open_end;
    for (uint32_t i = 0; i < p->count; i++)
        for (uint32_t k = 0; k < p->pieces[i].cp_count; k++) {
            uint32_t cp = p->pieces[i].cps[k];
            if (cp != YG_CP_ANY &&
                (cp >= 0x80 || cp == 0 || !strchr("0123456789+-.einfa", (int)cp)))
                l->no_number = true;
            digits = digits && cp >= '0' && cp <= '9';
        }
    // Digits alone are a token of a whole number only when they are all of it.
    l->has_whole =
        digits && yg_str_to_i64(l->text, &l->whole) && (l->text.len == 1 || l->text.ptr[0] != '0');
}

// True when the text of v is not needed: *ret_met says whether the condition is met.
static bool known_for_whole(const struct yg_leaf *l, double v, bool *ret_met) {
    *ret_met = false;
    if (l->kind == YG_NODE_REGEX || l->kind == YG_NODE_EXISTS)
        return false;
    if (l->no_number)
        return true;
    if (!l->has_whole || !(fabs(v) < 1e15) || v != floor(v))
        return false;
    *ret_met = fabs(v) == (double)l->whole;
    return true;
}

bool yg_leaf_i64(const struct yg_leaf *l, int64_t v, bool is_id) {
    bool met;

    if (l->kind == YG_NODE_TERM) {
        for (uint32_t i = 0; is_id && i < l->bits_count; i++)
            if (l->bits[i] == v)
                return true;
        return !is_id &&
               ((l->has_i64 && l->i64 == v) || (!l->has_i64 && l->has_f64 && l->f64 == (double)v));
    }
    if (l->kind == YG_NODE_RANGE)
        return l->numeric && range_f64(l, (double)v);
    if (known_for_whole(l, (double)v, &met))
        return met;
    return leaf_as_text(l, &(struct yg_value){.type = YG_T_I64, .i64 = v});
}

bool yg_leaf_f64(const struct yg_leaf *l, double v) {
    bool met;
    if (l->kind == YG_NODE_TERM)
        return l->has_f64 && l->f64 == v;
    if (l->kind == YG_NODE_RANGE)
        return l->numeric && range_f64(l, v);
    if (known_for_whole(l, v, &met))
        return met;
    return leaf_as_text(l, &(struct yg_value){.type = YG_T_F64, .f64 = v});
}

bool yg_leaf_bool(const struct yg_leaf *l, bool v) {
    if (l->kind == YG_NODE_TERM)
        return l->boolean == (int)v;
    return leaf_as_text(l, &(struct yg_value){.type = YG_T_BOOL, .i64 = v});
}

bool yg_leaf_id(const struct yg_leaf *l, yg_id128 v) {
    char text[33];
    switch (l->kind) {
    case YG_NODE_EXISTS:
        return true;
    case YG_NODE_TERM:
        for (uint32_t i = 0; i < l->id_count; i++)
            if (l->ids[i].lo == v.lo && (l->ids[i].hi == 0 || l->ids[i].hi == v.hi))
                return true;
        return false;
    case YG_NODE_GLOB:
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
        yg_id128_hex(v, text);
        if (yg_pattern_match(&l->folded, (yg_str){text, 32}) ||
            (v.hi == 0 && yg_pattern_match(&l->folded, (yg_str){text + 16, 16})))
            return true;
        snprintf(text, sizeof(text), "%" PRIu64, v.lo);
        return yg_pattern_match(&l->folded, yg_str_c(text));
    case YG_NODE_REGEX:
        yg_id128_hex(v, text);
        return yg_regex_match(l->regex, (yg_str){text, 32});
    case YG_NODE_ALL:
    case YG_NODE_NONE:
    case YG_NODE_AND:
    case YG_NODE_OR:
    case YG_NODE_NOT:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_KIND_COUNT:
        break;
    }
    return false;
}

// ------------------------------------------------------------ JSON and tags

struct json_match {
    const struct yg_leaf *leaf;
    bool found;
};

static void json_match_value(void *ctx, const struct yg_value *v) {
    struct json_match *m = ctx;
    if (m->found)
        return;
    switch (v->type) {
    case YG_T_STR:
        m->found = yg_leaf_str(m->leaf, v->str, false);
        break;
    case YG_T_I64:
        m->found = yg_leaf_i64(m->leaf, v->i64, false);
        break;
    case YG_T_F64:
        m->found = yg_leaf_f64(m->leaf, v->f64);
        break;
    case YG_T_BOOL:
        m->found = yg_leaf_bool(m->leaf, v->i64 != 0);
        break;
    case YG_T_JSON: // an object
        m->found = m->leaf->kind == YG_NODE_EXISTS;
        break;
    case YG_T_ID:
    case YG_TYPE_COUNT:
        break;
    }
}

bool yg_leaf_json(const struct yg_leaf *l, yg_str json, yg_str path, struct yg_arena *scratch) {
    if (l->kind == YG_NODE_EXISTS && path.len == 0)
        return true; // also an empty array
    struct json_match m = {.leaf = l};
    yg_json_scalars(json, path, l->kind == YG_NODE_FULLTEXT, scratch, json_match_value, &m);
    yg_arena_reset(scratch);
    return m.found;
}

bool yg_leaf_tags(const struct yg_leaf *l, yg_str tags, const struct yg_source *source) {
    yg_str tag, value;
    while (yg_tag_next(&tags, &tag)) {
        value = tag;
        if (source->kind == YG_SOURCE_TAG && !yg_tag_value(tag, source->key, &value))
            continue;
        if (yg_leaf_str(l, value, true))
            return true;
    }
    return false;
}

// ------------------------------------------------------------ compiling

static void leaf_numbers(struct yg_leaf *l, yg_str text) {
    l->has_i64 = yg_str_to_i64(text, &l->i64);
    l->has_f64 = yg_str_to_f64(text, &l->f64);
    l->boolean = yg_str_eq_nocase(text, YG_STR("true"))    ? 1
                 : yg_str_eq_nocase(text, YG_STR("false")) ? 0
                                                           : -1;
    uint64_t u;
    if (yg_str_to_u64(text, &u))
        l->bits[l->bits_count++] = (int64_t)u;
    if (text.len == 16 && yg_str_hex_to_u64(text, &u))
        l->bits[l->bits_count++] = (int64_t)u;
    else if (l->bits_count == 0 && text.len < 16 && yg_str_hex_to_u64(text, &u))
        l->bits[l->bits_count++] = (int64_t)u;
    if (yg_id128_parse(text, true, &l->ids[0]))
        l->id_count = 1;
    if (yg_id128_parse(text, false, &l->ids[l->id_count]) &&
        (l->id_count == 0 || !yg_id128_eq(l->ids[0], l->ids[1])))
        l->id_count++;
}

static bool is_bits_column(const struct yg_field *f) {
    return f->kind == YG_FIELD_RESERVED &&
           (yg_str_eq_c(f->name, YG_COL_SPAN_ID) || yg_str_eq_c(f->name, YG_COL_PARENT_ID));
}

static yg_rc leaf_text(struct yg_leaf *l, const struct yg_node *n, struct yg_arena *arena,
                       struct yg_err *err) {
    bool token =
        n->kind == YG_NODE_TOKEN || n->kind == YG_NODE_PHRASE || n->kind == YG_NODE_FULLTEXT;
    bool wild = n->kind == YG_NODE_GLOB || n->wild;
    yg_str text = n->text;
    char out[YG_STATUS_BYTES];
    if (l->status && n->kind == YG_NODE_TERM)
        text = yg_status_canonical(text, out);
    l->text = yg_arena_str(arena, text);
    if (l->text.ptr == NULL && text.len > 0)
        return yg_fail(err, YG_ENOMEM, "no memory for a search term");
    YG_TRY(yg_pattern_compile(l->text, wild, true, token, arena, &l->folded, err));
    if (n->kind == YG_NODE_GLOB)
        YG_TRY(yg_pattern_compile(l->text, true, false, false, arena, &l->exact, err));
    YG_TRY(yg_leaf_words(l, wild, arena, err));
    leaf_number_text(l);
    if (n->kind == YG_NODE_TERM) {
        leaf_numbers(l, l->text);
        if (!is_bits_column(&n->field))
            l->bits_count = 0;
    }
    return YG_OK;
}

static yg_rc leaf_range(struct yg_leaf *l, const struct yg_node *n, struct yg_arena *arena,
                        struct yg_err *err) {
    l->has_lo = n->has_lo;
    l->has_hi = n->has_hi;
    l->lo_open = n->lo_open;
    l->hi_open = n->hi_open;
    l->lo = n->lo_f64;
    l->hi = n->hi_f64;
    l->numeric =
        (!n->has_lo || n->lo_numeric) && (!n->has_hi || n->hi_numeric) && (n->has_lo || n->has_hi);
    l->lo_text = yg_arena_str(arena, n->lo_text);
    l->hi_text = yg_arena_str(arena, n->hi_text);
    if ((l->lo_text.ptr == NULL && n->lo_text.len > 0) ||
        (l->hi_text.ptr == NULL && n->hi_text.len > 0))
        return yg_fail(err, YG_ENOMEM, "no memory for a range");
    return YG_OK;
}

// Free words stand in the message; on spans in the names of resource and operation.
static uint32_t free_word_sources(struct yg_source *out) {
    static const struct {
        const char *column;
        uint32_t tracks;
    } rows[] = {
        {YG_COL_MESSAGE, 1u << YG_TRACK_LOGS | 1u << YG_TRACK_EVENTS | 1u << YG_TRACK_SIGNALS},
        {"@title", 1u << YG_TRACK_EVENTS},
        {YG_COL_RESOURCE, 1u << YG_TRACK_SPANS | 1u << YG_TRACK_TRACES | 1u << YG_TRACK_CI},
        {YG_COL_OPERATION, 1u << YG_TRACK_SPANS | 1u << YG_TRACK_TRACES | 1u << YG_TRACK_CI},
    };
    uint32_t count = (uint32_t)(sizeof(rows) / sizeof(rows[0]));
    for (uint32_t i = 0; i < count; i++)
        out[i] = (struct yg_source){
            .column = yg_str_c(rows[i].column), .kind = YG_SOURCE_COLUMN, .tracks = rows[i].tracks};
    return count;
}

static yg_rc leaf_sources(struct yg_leaf *l, const struct yg_node *n, struct yg_arena *arena,
                          struct yg_err *err) {
    struct yg_source sources[YG_SOURCES_MAX];
    if (n->kind == YG_NODE_TOKEN || n->kind == YG_NODE_PHRASE) {
        l->source_count = free_word_sources(sources);
    } else {
        struct yg_field field = {.kind = n->field.kind, .name = yg_arena_str(arena, n->field.name)};
        if (field.name.ptr == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory for a field name");
        YG_TRY(yg_field_sources(&field, arena, sources, &l->source_count, err));
        l->status = field.kind == YG_FIELD_RESERVED && yg_str_eq_c(field.name, YG_COL_STATUS);
        l->field_name = field.name;
        l->prefix_exists = n->kind == YG_NODE_EXISTS && field.kind == YG_FIELD_ATTR;
    }
    struct yg_source *kept = YG_NEW_N(arena, struct yg_source, l->source_count);
    if (kept == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a condition");
    memcpy(kept, sources, sizeof(*kept) * l->source_count);
    l->sources = kept;
    return YG_OK;
}

yg_rc yg_leaf_compile(const struct yg_node *n, struct yg_arena *arena, struct yg_leaf *out,
                      struct yg_err *err) {
    struct yg_leaf l = {.kind = n->kind, .boolean = -1};
    if (n->kind != YG_NODE_FULLTEXT)
        YG_TRY(leaf_sources(&l, n, arena, err));
    if (n->kind == YG_NODE_RANGE)
        YG_TRY(leaf_range(&l, n, arena, err));
    else if (n->kind == YG_NODE_REGEX)
        YG_TRY(yg_regex_compile(n->text, arena, &l.regex, err));
    else if (n->kind != YG_NODE_CIDR && n->kind != YG_NODE_EXISTS)
        YG_TRY(leaf_text(&l, n, arena, err));
    if (n->kind == YG_NODE_CIDR) {
        struct yg_cidr *cidrs = YG_NEW_N(arena, struct yg_cidr, n->cidr_count);
        if (cidrs == NULL && n->cidr_count > 0)
            return yg_fail(err, YG_ENOMEM, "no memory for address blocks");
        if (n->cidr_count > 0)
            memcpy(cidrs, n->cidrs, sizeof(*cidrs) * n->cidr_count);
        l.cidrs = cidrs;
        l.cidr_count = n->cidr_count;
    }
    *out = l;
    return YG_OK;
}
