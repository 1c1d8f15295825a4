// SPDX-License-Identifier: Apache-2.0
// Strings in groups of one form each: constant parts with fields between them. Either templates (a
// field is a run of digits; what has a form of its own or too rare a one stays whole in the last
// group), or ids of a few lengths (one field, no constants, each length with a shape of its own).
// The values of a field stand together, so that numbers are packed as numbers.
#include "store/enc_part.h"

#include "base/hash.h"
#include "base/panic.h"

#define GROUPS_MAX 255u
#define FIELDS_MAX 16u
#define KEY_MAX 1024u
#define SLOTS 1024u
#define MEMBERS_MIN 6u // of a template
#define LENGTHS_MAX 4u // of ids
#define VALUES_MIN 64u
#define SAMPLE_PART 8u // of the values go to the trial with zstd
#define NO_GROUP UINT32_MAX

static inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// ------------------------------------------------------------ writing

struct group {
    uint32_t hash;
    uint32_t key_at; // in the keys
    uint32_t key_len;
    uint32_t fields;
    uint32_t members;
};

struct grouping {
    struct group groups[GROUPS_MAX + 1];
    uint32_t count;
    uint16_t slots[SLOTS]; // group + 1
    struct yg_buf keys;
    uint32_t *of; // [value]: group, then its number
    struct yg_buf part;
};

// The text with one '0' for each run of digits; 0: too long or too many.
static uint32_t template_of(yg_str s, char *key, uint32_t *ret_fields) {
    uint32_t len = 0, fields = 0;
    if (s.len > KEY_MAX)
        return 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (is_digit(c)) {
            while (i + 1 < s.len && is_digit(s.ptr[i + 1]))
                i++;
            c = '0';
            fields++;
        }
        key[len++] = c;
    }
    *ret_fields = fields;
    return fields > FIELDS_MAX ? 0 : len;
}

static uint32_t find_group(struct grouping *g, const char *key, uint32_t len, uint32_t fields) {
    uint32_t hash = (uint32_t)yg_hash(key, len), slot = hash & (SLOTS - 1);
    for (; g->slots[slot]; slot = (slot + 1) & (SLOTS - 1)) {
        const struct group *x = &g->groups[g->slots[slot] - 1];
        if (x->hash == hash && x->key_len == len && memcmp(g->keys.ptr + x->key_at, key, len) == 0)
            return g->slots[slot] - 1u;
    }
    if (g->count == GROUPS_MAX)
        return NO_GROUP;
    g->groups[g->count] = (struct group){hash, (uint32_t)g->keys.len, len, fields, 0};
    yg_buf_put(&g->keys, key, len);
    if (g->keys.failed) // what is not kept cannot be compared: the text stays whole
        return NO_GROUP;
    g->slots[slot] = (uint16_t)(g->count + 1);
    return g->count++;
}

static bool see_templates(struct grouping *g, const yg_str *strs, uint32_t n) {
    uint32_t whole = 0;
    for (uint32_t i = 0; i < n; i++) {
        char key[KEY_MAX];
        uint32_t fields, len = template_of(strs[i], key, &fields);
        uint32_t k = len ? find_group(g, key, len, fields) : NO_GROUP;
        g->of[i] = k;
        if (k == NO_GROUP)
            whole++;
        else
            g->groups[k].members++;
        if (i == 511 && (g->count > 200 || whole > 256))
            return false;
    }
    return whole <= n / 2;
}

static bool see_lengths(struct grouping *g, const yg_str *strs, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (k < g->count && g->groups[k].key_len != strs[i].len)
            k++;
        if (k == g->count) {
            if (g->count == LENGTHS_MAX)
                return false;
            g->groups[g->count++] = (struct group){.key_len = (uint32_t)strs[i].len, .fields = 1};
        }
        g->of[i] = k;
        g->groups[k].members++;
    }
    for (uint32_t k = 0; k < g->count; k++)
        if (g->groups[k].members < VALUES_MIN / 2)
            return false;
    return g->count > 1;
}

// One field of one group: its length, encoding, bytes.
static yg_rc put_field(struct yg_encoder *e, struct grouping *g, const yg_str *strs, uint32_t n,
                       bool shaped, struct yg_buf *out, struct yg_err *err) {
    uint8_t encoding;
    yg_buf_reset(&g->part);
    YG_TRY(yg_enc_put_distinct(e, strs, n, &g->part, &encoding, err));
    if (shaped && encoding != YG_ENC_STR_LAYOUT)
        return YG_ENOTFOUND;
    yg_put_varint(out, g->part.len);
    yg_buf_putc(out, (char)encoding);
    yg_buf_puts(out, yg_buf_str(&g->part));
    return YG_OK;
}

// Fields of a group's members, field by field into v.
static void gather(const yg_str *strs, const uint32_t *members, uint32_t count, bool whole,
                   yg_str *v) {
    for (uint32_t m = 0; m < count; m++) {
        yg_str s = strs[members[m]];
        if (whole) {
            v[m] = s;
            continue;
        }
        uint32_t f = 0;
        for (size_t k = 0; k < s.len; k++) {
            size_t from = k;
            while (k < s.len && is_digit(s.ptr[k]))
                k++;
            if (k > from)
                v[f++ * count + m] = yg_str_n(s.ptr + from, k - from);
        }
    }
}

// Values by group, ascending within each.
static uint32_t *sort_members(const struct grouping *g, uint32_t n, uint32_t groups) {
    uint32_t *members = yg_alloc(YG_MEM_STORE, sizeof(*members) * n), at[GROUPS_MAX + 1], sum = 0;
    for (uint32_t k = 0; k < groups; k++) {
        at[k] = sum;
        sum += g->groups[k].members;
    }
    YG_ASSERT(sum == n);
    for (uint32_t i = 0; i < n; i++)
        members[at[g->of[i]]++] = i;
    return members;
}

static yg_rc put_constants(struct yg_encoder *e, struct grouping *g, uint32_t kept, bool rest,
                           struct yg_buf *out, struct yg_err *err) {
    yg_str *parts = yg_alloc(YG_MEM_STORE, sizeof(*parts) * (kept + 1) * (FIELDS_MAX + 1));
    uint32_t count = 0;
    for (uint32_t k = 0; k < kept; k++) {
        yg_str key = yg_str_n(g->keys.ptr + g->groups[k].key_at, g->groups[k].key_len), part;
        while (yg_str_split(&key, '0', &part))
            parts[count++] = part;
    }
    for (uint32_t k = 0; rest && k < 2; k++)
        parts[count++] = YG_STR("");
    yg_rc rc = put_field(e, g, parts, count, false, out, err);
    yg_free(YG_MEM_STORE, parts);
    return rc;
}

// groups · group of each value (ints) · fields of each group · constants · fields.
static yg_rc put_groups(struct yg_encoder *e, struct grouping *g, const yg_str *strs, uint32_t n,
                        bool lengths, struct yg_buf *out, struct yg_err *err) {
    uint32_t kept = 0, rest = 0, map[GROUPS_MAX + 1];
    for (uint32_t k = 0; k < g->count; k++) {
        bool keep = g->groups[k].members >= MEMBERS_MIN;
        map[k] = keep ? kept : NO_GROUP;
        if (keep)
            g->groups[kept++] = g->groups[k];
    }
    for (uint32_t i = 0; i < n; i++) {
        g->of[i] = g->of[i] == NO_GROUP ? NO_GROUP : map[g->of[i]];
        if (g->of[i] == NO_GROUP) {
            g->of[i] = kept;
            rest++;
        }
    }
    yg_put_varint(out, kept + (rest > 0));
    yg_ints_put_u32(out, g->of, n, false);
    for (uint32_t k = 0; k < kept; k++)
        yg_buf_putc(out, (char)g->groups[k].fields);
    if (rest)
        yg_buf_putc(out, 1);
    g->groups[kept] = (struct group){.fields = 1, .members = rest};
    yg_buf_putc(out, lengths);
    if (!lengths)
        YG_TRY(put_constants(e, g, kept, rest > 0, out, err));
    uint32_t groups = kept + (rest > 0), from = 0;
    uint32_t *members = sort_members(g, n, groups);
    yg_str *v = yg_alloc(YG_MEM_STORE, sizeof(*v) * (size_t)n * FIELDS_MAX);
    yg_rc rc = YG_OK;
    for (uint32_t k = 0; k < groups && rc == YG_OK; k++) {
        uint32_t m = g->groups[k].members, fields = g->groups[k].fields;
        if (fields)
            gather(strs, members + from, m, lengths || k == kept, v);
        for (uint32_t f = 0; f < fields && rc == YG_OK; f++)
            rc = put_field(e, g, v + (size_t)f * m, m, lengths, out, err);
        from += m;
    }
    yg_free(YG_MEM_STORE, v);
    yg_free(YG_MEM_STORE, members);
    return rc;
}

// What zstd would make of all, by a part of them.
static size_t zstd_guess(struct yg_encoder *e, const yg_str *strs, uint32_t n) {
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_STORE, YG_ENC_RAW_BYTES_MAX);
    uint8_t encoding;
    uint32_t some = n / SAMPLE_PART;
    if (yg_enc_put_bytes(e, strs + (n - some) / 2, some, &out, &encoding, NULL) != YG_OK)
        return 0;
    return out.len * SAMPLE_PART / 8 * 7; // larger pieces pack better
}

yg_rc yg_enc_put_groups(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                        bool *ret_done, struct yg_err *err) {
    *ret_done = false;
    if (n < VALUES_MIN)
        return YG_OK;
    struct grouping *g = yg_calloc(YG_MEM_STORE, 1, sizeof(*g));
    g->keys = YG_BUF(YG_MEM_STORE, YG_ENC_RAW_BYTES_MAX);
    g->part = YG_BUF(YG_MEM_STORE, YG_ENC_RAW_BYTES_MAX);
    g->of = yg_alloc(YG_MEM_STORE, sizeof(*g->of) * n);
    size_t before = out->len;
    yg_rc rc = YG_OK;
    bool done = false;
    if (see_lengths(g, strs, n)) {
        rc = put_groups(e, g, strs, n, true, out, err);
        done = rc == YG_OK;
        rc = rc == YG_ENOTFOUND ? YG_OK : rc;
        if (!done)
            out->len = before;
    }
    g->count = 0;
    if (!done && rc == YG_OK && see_templates(g, strs, n)) {
        rc = put_groups(e, g, strs, n, false, out, err);
        done = rc == YG_OK && out->len - before < zstd_guess(e, strs, n);
        if (!done)
            out->len = before;
    }
    yg_buf_fini(&g->keys);
    yg_buf_fini(&g->part);
    yg_free(YG_MEM_STORE, g->of);
    yg_free(YG_MEM_STORE, g);
    *ret_done = done;
    return rc;
}

// ------------------------------------------------------------ reading

struct read_group {
    uint32_t fields;
    uint32_t members;
    uint32_t next;       // member to come
    const yg_str *parts; // [fields + 1]; NULL: no constants
    yg_str *values;      // [field × members]
};

static yg_rc get_field(struct yg_enc_reader *r, uint32_t count, yg_str *v, struct yg_err *err) {
    uint64_t bytes;
    yg_str body;
    if (yg_get_varint(&r->c, &bytes, NULL) != YG_OK || bytes >= r->c.in.len ||
        yg_get_bytes(&r->c, bytes + 1, &body, NULL) != YG_OK)
        return yg_enc_damaged("a field of strings is cut", err);
    struct yg_enc_reader part = *r;
    part.encoding = (uint8_t)body.ptr[0];
    part.c = (struct yg_cursor){body, 1};
    part.count = count;
    if (!yg_enc_is_part(part.encoding))
        return yg_enc_damaged("unknown encoding of a field", err);
    return yg_enc_get_part(&part, v, err);
}

static yg_rc get_heads(struct yg_enc_reader *r, struct read_group *g, uint32_t count,
                       const uint32_t *of, struct yg_err *err) {
    struct yg_cursor *c = &r->c;
    if (c->in.len - c->pos < count + 1)
        return yg_enc_damaged("groups of strings are cut", err);
    uint32_t parts = 0;
    for (uint32_t k = 0; k < count; k++) {
        g[k].fields = (uint8_t)c->in.ptr[c->pos++];
        if (g[k].fields > FIELDS_MAX)
            return yg_enc_damaged("a group of strings has too many fields", err);
        parts += g[k].fields + 1;
    }
    for (uint32_t i = 0; i < r->count; i++)
        g[of[i]].members++;
    if (c->in.ptr[c->pos++] != 0) { // no constants: one field is the whole text
        for (uint32_t k = 0; k < count; k++)
            if (g[k].fields != 1)
                return yg_enc_damaged("a group of strings without text", err);
        return YG_OK;
    }
    yg_str *constants = yg_arena_alloc(r->arena, sizeof(*constants) * parts);
    if (constants == NULL)
        return yg_enc_no_memory(err);
    YG_TRY(get_field(r, parts, constants, err));
    for (uint32_t k = 0; k < count; k++) {
        g[k].parts = constants;
        constants += g[k].fields + 1;
    }
    return YG_OK;
}

static yg_rc get_values(struct yg_enc_reader *r, struct read_group *g, struct yg_err *err) {
    if (g->fields == 0)
        return YG_OK;
    if (g->members == 0)
        return yg_enc_damaged("a group of strings is empty", err);
    g->values = yg_arena_alloc(r->arena, sizeof(*g->values) * g->members * g->fields);
    if (g->values == NULL)
        return yg_enc_no_memory(err);
    for (uint32_t f = 0; f < g->fields; f++)
        YG_TRY(get_field(r, g->members, g->values + (size_t)f * g->members, err));
    return YG_OK;
}

// A text that needs no bytes of its own.
static inline bool borrowed(const struct read_group *g) {
    return g->parts == NULL || g->fields == 0 ||
           (g->fields == 1 && g->parts[0].len == 0 && g->parts[1].len == 0);
}

static size_t group_bytes(const struct read_group *g) {
    size_t bytes = 0;
    if (borrowed(g))
        return 0;
    for (uint32_t f = 0; f <= g->fields; f++)
        bytes += g->parts[f].len * g->members;
    for (size_t i = 0; i < (size_t)g->members * g->fields; i++)
        bytes += g->values[i].len;
    return bytes;
}

static inline char *add(char *to, yg_str s) {
    if (s.len)
        memcpy(to, s.ptr, s.len);
    return to + s.len;
}

yg_rc yg_enc_get_groups(struct yg_enc_reader *r, yg_str *out, struct yg_err *err) {
    uint64_t count;
    uint32_t n = r->count;
    size_t total = 0;
    uint32_t *of = yg_arena_alloc(r->arena, sizeof(*of) * n);
    struct read_group *groups = YG_NEW_N(r->arena, struct read_group, GROUPS_MAX + 1);
    if (of == NULL || groups == NULL)
        return yg_enc_no_memory(err);
    if (yg_get_varint(&r->c, &count, NULL) != YG_OK || count == 0 || count > GROUPS_MAX + 1 ||
        !yg_ints_get_u32(&r->c, of, n, (uint32_t)count - 1))
        return yg_enc_damaged("groups of strings do not fit", err);
    YG_TRY(get_heads(r, groups, (uint32_t)count, of, err));
    for (uint32_t k = 0; k < count; k++) {
        YG_TRY(get_values(r, &groups[k], err));
        total += group_bytes(&groups[k]);
    }
    if (total > YG_ENC_RAW_BYTES_MAX)
        return yg_enc_damaged("texts are too long", err);
    char *to = yg_arena_alloc(r->arena, total + YG_PACK_SLACK);
    if (to == NULL)
        return yg_enc_no_memory(err);
    for (uint32_t i = 0; i < n; i++) {
        struct read_group *g = &groups[of[i]];
        uint32_t m = g->next++;
        if (borrowed(g)) {
            out[i] = g->fields ? g->values[m] : g->parts[0];
            continue;
        }
        char *start = to;
        for (uint32_t f = 0; f < g->fields; f++)
            to = add(add(to, g->parts[f]), g->values[(size_t)f * g->members + m]);
        to = add(to, g->parts[g->fields]);
        out[i] = yg_str_n(start, (size_t)(to - start));
    }
    return YG_OK;
}
