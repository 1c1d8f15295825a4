// SPDX-License-Identifier: Apache-2.0
// Pull reader for JSON (RFC 8259). Strings without escapes are slices of the input; the only
// memory it takes is for strings with escapes. The scan over a string looks at 16 bytes at a time.
#include "codec/json_read.h"

#include <emmintrin.h>
#include <math.h>

#include "base/panic.h"
#include "base/utf8.h"

enum state {
    WANT_VALUE,        // a value, nothing else
    WANT_FIRST_VALUE,  // after '[': a value or ']'
    WANT_FIRST_KEY,    // after '{': a name or '}'
    WANT_COMMA_OR_END, // after a value inside a container
    WANT_END,          // after the outermost value
};

void yg_json_init(struct yg_json *j, yg_str in, struct yg_arena *arena) {
    *j = (struct yg_json){.in = in, .arena = arena, .state = WANT_VALUE};
}

static yg_rc fail_at(size_t at, const char *what, struct yg_err *err) {
    return yg_fail(err, YG_EINPUT, "JSON at byte %zu: %s", at, what);
}

static void skip_blanks(struct yg_json *j) {
    const char *p = j->in.ptr;
    while (j->pos < j->in.len &&
           (p[j->pos] == ' ' || p[j->pos] == '\n' || p[j->pos] == '\r' || p[j->pos] == '\t'))
        j->pos++;
}

static bool in_object(const struct yg_json *j) {
    uint32_t i = j->depth - 1;
    return j->stack[i >> 3] >> (i & 7) & 1;
}

static yg_rc push(struct yg_json *j, bool object, size_t at, struct yg_err *err) {
    if (j->depth == YG_JSON_DEPTH_MAX)
        return yg_fail(err, YG_EINPUT, "JSON at byte %zu: deeper than %d", at, YG_JSON_DEPTH_MAX);
    uint32_t i = j->depth++;
    uint8_t bit = (uint8_t)(1u << (i & 7));
    j->stack[i >> 3] = (uint8_t)(object ? j->stack[i >> 3] | bit : j->stack[i >> 3] & ~bit);
    return YG_OK;
}

static void value_done(struct yg_json *j) {
    j->state = j->depth ? WANT_COMMA_OR_END : WANT_END;
}

// --- strings ---

// Moves pos to the closing quote. *ret_escapes: a backslash was met; *ret_high: a byte ≥ 0x80 was.
static yg_rc scan_string(struct yg_json *j, bool *ret_escapes, bool *ret_high, struct yg_err *err) {
    const char *p = j->in.ptr;
    size_t at = j->pos;
    size_t len = j->in.len;
    int high = 0;
    *ret_escapes = false;
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i slash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1f);
    for (;;) {
        while (len - at >= 16) {
            __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
            __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, slash));
            stop = _mm_or_si128(stop, _mm_cmpeq_epi8(_mm_max_epu8(block, control), control));
            int mask = _mm_movemask_epi8(stop);
            high |= _mm_movemask_epi8(block); // may see a byte behind the quote: costs a check only
            if (mask) {
                at += (size_t)__builtin_ctz((unsigned)mask);
                break;
            }
            at += 16;
        }
        while (at < len && p[at] != '"' && p[at] != '\\' && (unsigned char)p[at] >= 0x20)
            high |= p[at++] & 0x80;
        if (at >= len)
            return fail_at(j->pos - 1, "string does not end", err);
        if (p[at] == '"')
            break;
        if (p[at] != '\\')
            return fail_at(at, "control character in a string", err);
        *ret_escapes = true;
        if (len - at < 2)
            return fail_at(j->pos - 1, "string does not end", err);
        at += 2;
    }
    *ret_high = high != 0;
    j->pos = at;
    return YG_OK;
}

// Four hex digits at s[at].
static bool hex4(yg_str s, size_t at, uint32_t *ret_unit) {
    uint64_t v;
    if (s.len - at < 4 || !yg_str_hex_to_u64(yg_str_sub(s, at, 4), &v))
        return false;
    *ret_unit = (uint32_t)v;
    return true;
}

// \uXXXX at s[*at] ('u'); a high surrogate takes the low one that follows. A lone half becomes
// U+FFFD.
static bool unescape_unicode(yg_str s, size_t *at, uint32_t *ret_cp) {
    uint32_t unit;
    if (!hex4(s, *at + 1, &unit))
        return false;
    *at += 5;
    *ret_cp = unit;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    uint32_t low;
    *ret_cp = 0xfffd;
    if (unit < 0xdc00 && s.len - *at >= 6 && s.ptr[*at] == '\\' && s.ptr[*at + 1] == 'u' &&
        hex4(s, *at + 2, &low) && low >= 0xdc00 && low <= 0xdfff) {
        *ret_cp = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        *at += 6;
    }
    return true;
}

// out has room for s.len bytes: no escape is shorter than what it stands for. base: offset of s.
static yg_rc unescape(yg_str s, size_t base, char *out, size_t *ret_len, struct yg_err *err) {
    static const char map[128] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                  ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    size_t n = 0;
    for (size_t at = 0; at < s.len;) {
        const char *slash = memchr(s.ptr + at, '\\', s.len - at);
        size_t run = slash ? (size_t)(slash - s.ptr) - at : s.len - at;
        memcpy(out + n, s.ptr + at, run);
        n += run;
        at += run;
        if (slash == NULL)
            break;
        unsigned char c = (unsigned char)s.ptr[at + 1]; // the scan saw that it is there
        if (c < 128 && map[c]) {
            out[n++] = map[c];
            at += 2;
            continue;
        }
        uint32_t cp;
        size_t escape = at++;
        if (c != 'u' || !unescape_unicode(s, &at, &cp))
            return fail_at(base + escape, "unknown escape", err);
        char bytes[4];
        size_t width = yg_utf8_put(cp, bytes);
        memcpy(out + n, bytes, width);
        n += width;
    }
    *ret_len = n;
    return YG_OK;
}

// pos stands behind the opening quote. keep = false: only checks; *ret_str is then the raw text.
static yg_rc take_string(struct yg_json *j, bool keep, yg_str *ret_str, struct yg_err *err) {
    size_t from = j->pos;
    bool escapes;
    bool high;
    YG_TRY(scan_string(j, &escapes, &high, err));
    yg_str raw = {j->in.ptr + from, j->pos - from};
    j->pos++;
    if (high) {
        size_t bad = yg_utf8_check(raw);
        if (bad < raw.len)
            return fail_at(from + bad, "not valid UTF-8", err);
    }
    *ret_str = raw;
    if (!escapes)
        return YG_OK;
    if (!keep) { // the escapes must still be right
        for (size_t at = 0; (at = yg_str_find_char(raw, '\\', at)) != SIZE_MAX;) {
            uint32_t unit;
            char c = raw.ptr[at + 1];
            if (strchr("\"\\/bfnrt", c) == NULL || c == 0) {
                if (c != 'u' || !hex4(raw, at + 2, &unit))
                    return fail_at(from + at, "unknown escape", err);
            }
            at += 2;
        }
        return YG_OK;
    }
    char *out = yg_arena_alloc(j->arena, raw.len);
    if (out == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a string of %zu bytes", raw.len);
    ret_str->ptr = out;
    return unescape(raw, from, out, &ret_str->len, err);
}

// --- numbers and words ---

static bool digit(const struct yg_json *j) {
    return j->pos < j->in.len && (unsigned char)(j->in.ptr[j->pos] - '0') <= 9;
}

static bool skip_digits(struct yg_json *j) {
    size_t from = j->pos;
    while (digit(j))
        j->pos++;
    return j->pos > from;
}

static yg_rc take_number(struct yg_json *j, struct yg_json_token *t, struct yg_err *err) {
    const char *p = j->in.ptr;
    size_t from = j->pos;
    bool whole = true;
    if (p[j->pos] == '-')
        j->pos++;
    if (j->pos < j->in.len && p[j->pos] == '0')
        j->pos++;
    else if (!skip_digits(j))
        return fail_at(from, "not a value", err);
    if (j->pos < j->in.len && p[j->pos] == '.') {
        whole = false;
        j->pos++;
        if (!skip_digits(j))
            return fail_at(j->pos, "digits must follow the point", err);
    }
    if (j->pos < j->in.len && (p[j->pos] == 'e' || p[j->pos] == 'E')) {
        whole = false;
        j->pos++;
        if (j->pos < j->in.len && (p[j->pos] == '+' || p[j->pos] == '-'))
            j->pos++;
        if (!skip_digits(j))
            return fail_at(j->pos, "digits must follow the exponent sign", err);
    }
    t->str = (yg_str){p + from, j->pos - from};
    if (whole && yg_str_to_i64(t->str, &t->i64)) {
        t->kind = YG_JSON_INT;
        t->f64 = (double)t->i64;
        return YG_OK;
    }
    t->kind = YG_JSON_DOUBLE;
    if (!yg_str_to_f64(t->str, &t->f64))
        return fail_at(from, "number out of range", err);
    return YG_OK;
}

static yg_rc take_word(struct yg_json *j, struct yg_json_token *t, struct yg_err *err) {
    static const struct {
        yg_str text;
        enum yg_json_kind kind;
        bool boolean;
    } words[] = {
        {YG_STR_INIT("true"), YG_JSON_BOOL, true},
        {YG_STR_INIT("false"), YG_JSON_BOOL, false},
        {YG_STR_INIT("null"), YG_JSON_NULL, false},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!yg_str_starts(yg_str_sub(j->in, j->pos, SIZE_MAX), words[i].text))
            continue;
        j->pos += words[i].text.len;
        t->kind = words[i].kind;
        t->boolean = words[i].boolean;
        return YG_OK;
    }
    return fail_at(j->pos, "not a value", err);
}

// --- the machine ---

static yg_rc take_value(struct yg_json *j, bool keep, struct yg_json_token *t, struct yg_err *err) {
    char c = j->in.ptr[j->pos];
    switch (c) {
    case '"':
        j->pos++;
        t->kind = YG_JSON_STRING;
        YG_TRY(take_string(j, keep, &t->str, err));
        break;
    case '{':
    case '[':
        YG_TRY(push(j, c == '{', j->pos, err));
        j->pos++;
        t->kind = c == '{' ? YG_JSON_OBJECT_BEGIN : YG_JSON_ARRAY_BEGIN;
        j->state = c == '{' ? WANT_FIRST_KEY : WANT_FIRST_VALUE;
        return YG_OK;
    case 't':
    case 'f':
    case 'n':
        YG_TRY(take_word(j, t, err));
        break;
    default:
        YG_TRY(take_number(j, t, err));
        break;
    }
    value_done(j);
    return YG_OK;
}

static yg_rc take_key(struct yg_json *j, bool keep, struct yg_json_token *t, struct yg_err *err) {
    if (j->in.ptr[j->pos] != '"')
        return fail_at(j->pos, "a member's name must be a string", err);
    j->pos++;
    t->kind = YG_JSON_KEY;
    YG_TRY(take_string(j, keep, &t->str, err));
    skip_blanks(j);
    if (j->pos >= j->in.len || j->in.ptr[j->pos] != ':')
        return fail_at(j->pos, "':' must follow a member's name", err);
    j->pos++;
    j->state = WANT_VALUE;
    return YG_OK;
}

static bool take_end(struct yg_json *j, struct yg_json_token *t) {
    bool object = in_object(j);
    if (j->in.ptr[j->pos] != (object ? '}' : ']'))
        return false;
    j->pos++;
    j->depth--;
    t->kind = object ? YG_JSON_OBJECT_END : YG_JSON_ARRAY_END;
    value_done(j);
    return true;
}

static yg_rc next_token(struct yg_json *j, bool keep, struct yg_json_token *t, struct yg_err *err) {
    skip_blanks(j);
    if (j->pos >= j->in.len) {
        if (j->state != WANT_END)
            return fail_at(j->pos, "ends early", err);
        t->kind = YG_JSON_END;
        t->at = j->pos;
        return YG_OK;
    }
    t->at = j->pos;
    switch ((enum state)j->state) {
    case WANT_COMMA_OR_END:
        if (take_end(j, t))
            return YG_OK;
        if (j->in.ptr[j->pos] != ',')
            return fail_at(j->pos,
                           in_object(j) ? "',' or '}' must follow" : "',' or ']' must follow", err);
        j->pos++;
        skip_blanks(j);
        if (j->pos >= j->in.len)
            return fail_at(j->pos, "ends early", err);
        t->at = j->pos;
        return in_object(j) ? take_key(j, keep, t, err) : take_value(j, keep, t, err);
    case WANT_FIRST_KEY:
        return take_end(j, t) ? YG_OK : take_key(j, keep, t, err);
    case WANT_FIRST_VALUE:
        return take_end(j, t) ? YG_OK : take_value(j, keep, t, err);
    case WANT_VALUE:
        return take_value(j, keep, t, err);
    case WANT_END:
        break;
    }
    return fail_at(j->pos, "nothing may follow the value", err);
}

yg_rc yg_json_next(struct yg_json *j, struct yg_json_token *ret_token, struct yg_err *err) {
    return next_token(j, true, ret_token, err);
}

bool yg_json_try_key(struct yg_json *j, yg_str key) {
    const char *p = j->in.ptr;
    size_t at = j->pos, len = j->in.len;
    if (j->state == WANT_COMMA_OR_END) {
        if (at >= len || p[at] != ',' || !in_object(j))
            return false;
        at++;
    } else if (j->state != WANT_FIRST_KEY) {
        return false;
    }
    at += at < len && p[at] == ' ';
    if (len - at < key.len + 3 || p[at] != '"' || p[at + key.len + 1] != '"' ||
        p[at + key.len + 2] != ':' || memcmp(p + at + 1, key.ptr, key.len) != 0)
        return false;
    j->pos = at + key.len + 3;
    j->state = WANT_VALUE;
    return true;
}

static bool begins(enum yg_json_kind kind) {
    return kind == YG_JSON_OBJECT_BEGIN || kind == YG_JSON_ARRAY_BEGIN;
}

// Skips to the end of the value that `t` begins; *ret_from is where the value's text starts.
static yg_rc skip_value(struct yg_json *j, const struct yg_json_token *t, size_t *ret_from,
                        struct yg_err *err) {
    struct yg_json_token token = *t;
    if (token.kind == YG_JSON_KEY)
        YG_TRY(next_token(j, false, &token, err));
    *ret_from = token.at;
    if (!begins(token.kind))
        return YG_OK;
    uint32_t outside = j->depth - 1;
    while (j->depth > outside)
        YG_TRY(next_token(j, false, &token, err));
    return YG_OK;
}

yg_rc yg_json_skip(struct yg_json *j, const struct yg_json_token *t, struct yg_err *err) {
    size_t from;
    return skip_value(j, t, &from, err);
}

yg_rc yg_json_raw(struct yg_json *j, const struct yg_json_token *t, yg_str *ret_raw,
                  struct yg_err *err) {
    size_t from;
    YG_TRY(skip_value(j, t, &from, err));
    *ret_raw = (yg_str){j->in.ptr + from, j->pos - from};
    return YG_OK;
}

// --- tree ---

struct builder {
    struct yg_json j;
    struct yg_json_node *open[YG_JSON_DEPTH_MAX];
    struct yg_json_node *last[YG_JSON_DEPTH_MAX]; // last child of each open container
    uint32_t depth;
    yg_str key;
};

static void attach(struct builder *b, struct yg_json_node *n) {
    if (b->depth == 0)
        return;
    struct yg_json_node *parent = b->open[b->depth - 1];
    if (b->last[b->depth - 1])
        b->last[b->depth - 1]->next = n;
    else
        parent->child = n;
    b->last[b->depth - 1] = n;
    parent->count++;
    n->key = parent->kind == YG_JSON_OBJECT_BEGIN ? b->key : (yg_str){NULL, 0};
}

static void close_container(struct builder *b) {
    struct yg_json_node *n = b->open[--b->depth];
    n->raw.len = (size_t)(b->j.in.ptr + b->j.pos - n->raw.ptr);
}

yg_rc yg_json_parse(yg_str in, struct yg_arena *arena, struct yg_json_node **ret_root,
                    struct yg_err *err) {
    struct builder b = {.depth = 0};
    struct yg_json_node *root = NULL;
    yg_json_init(&b.j, in, arena);
    for (;;) {
        struct yg_json_token t;
        YG_TRY(yg_json_next(&b.j, &t, err));
        if (t.kind == YG_JSON_END)
            break;
        if (t.kind == YG_JSON_KEY) {
            b.key = t.str;
            continue;
        }
        if (t.kind == YG_JSON_OBJECT_END || t.kind == YG_JSON_ARRAY_END) {
            close_container(&b);
            continue;
        }
        struct yg_json_node *n = YG_NEW(arena, struct yg_json_node);
        if (n == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory for JSON at byte %zu", t.at);
        n->kind = t.kind;
        n->boolean = t.kind == YG_JSON_BOOL && t.boolean;
        if (t.kind == YG_JSON_INT || t.kind == YG_JSON_DOUBLE) {
            n->f64 = t.f64;
            n->i64 = t.kind == YG_JSON_INT ? t.i64 : 0;
        }
        if (t.kind == YG_JSON_STRING || t.kind == YG_JSON_INT || t.kind == YG_JSON_DOUBLE)
            n->str = t.str;
        n->raw = (yg_str){in.ptr + t.at, b.j.pos - t.at};
        attach(&b, n);
        if (root == NULL)
            root = n;
        if (begins(t.kind)) {
            b.open[b.depth] = n;
            b.last[b.depth++] = NULL;
        }
    }
    *ret_root = root;
    return YG_OK;
}

static const struct yg_json_node *member(const struct yg_json_node *node, yg_str key) {
    const struct yg_json_node *found = NULL;
    if (node == NULL || node->kind != YG_JSON_OBJECT_BEGIN)
        return NULL;
    for (const struct yg_json_node *n = node->child; n != NULL; n = n->next)
        if (yg_str_eq(n->key, key))
            found = n;
    return found;
}

const struct yg_json_node *yg_json_get(const struct yg_json_node *node, const char *key) {
    return member(node, yg_str_c(key));
}

const struct yg_json_node *yg_json_path(const struct yg_json_node *node, const char *dotted) {
    yg_str rest = yg_str_c(dotted);
    yg_str part;
    while (node != NULL && yg_str_split(&rest, '.', &part))
        node = member(node, part);
    return node;
}

bool yg_json_is(const struct yg_json_node *node, enum yg_json_kind kind) {
    return node != NULL && node->kind == kind;
}

yg_str yg_json_str_or(const struct yg_json_node *node, yg_str otherwise) {
    return yg_json_is(node, YG_JSON_STRING) ? node->str : otherwise;
}

int64_t yg_json_i64_or(const struct yg_json_node *node, int64_t otherwise) {
    if (yg_json_is(node, YG_JSON_INT))
        return node->i64;
    if (yg_json_is(node, YG_JSON_DOUBLE) && node->f64 == trunc(node->f64) &&
        node->f64 >= -9223372036854775808.0 && node->f64 < 9223372036854775808.0)
        return (int64_t)node->f64;
    return otherwise;
}

double yg_json_f64_or(const struct yg_json_node *node, double otherwise) {
    bool number = yg_json_is(node, YG_JSON_INT) || yg_json_is(node, YG_JSON_DOUBLE);
    return number ? node->f64 : otherwise;
}

bool yg_json_bool_or(const struct yg_json_node *node, bool otherwise) {
    return yg_json_is(node, YG_JSON_BOOL) ? node->boolean : otherwise;
}
