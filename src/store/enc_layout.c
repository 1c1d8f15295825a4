// SPDX-License-Identifier: Apache-2.0
// Strings of one shape, so that only what differs between them is stored, as integers.
//
// Fixed: all of one length; every place holds one byte for all, or a hex digit, or a decimal digit
// (UUIDs, hex ids, times). The hex digits make numbers of up to 16, cut where constants of four
// places or more stand between them (a time before random bits compresses by itself); the decimal
// digits make numbers of up to 18.
// Numbers: constant texts with decimal numbers between them ("user-17", addresses).
#include "store/enc_part.h"

#include "base/panic.h"

#define LEN_MAX 96u
#define PLACE_VARIES 0x80u // of a place's byte; else it is the constant itself
enum { CLASS_LOWER = 0, CLASS_UPPER = 1, CLASS_DIGIT = 2, CLASS_COUNT };
#define HEX_GAP 4u
#define DIGITS_MIN_STRINGS 64u // fewer strings may hold only decimal digits by chance
#define HEX_PART 16u
#define DIGITS_PART 18u
#define FIELDS_MAX 6u

enum { LAYOUT_FIXED = 0, LAYOUT_NUMBERS = 1 };

// A run of digits of one number.
struct piece {
    uint8_t at;
    uint8_t len; // ≤ 8
    uint8_t field;
};
struct fixed {
    uint32_t len;
    uint8_t places[LEN_MAX]; // constant byte, or PLACE_VARIES | class
    struct piece pieces[LEN_MAX];
    uint32_t piece_count;
    struct {
        bool hex;
        uint8_t digits;
    } fields[LEN_MAX];
    uint32_t field_count;
};

// ------------------------------------------------------------ fixed: shape

enum { IS_LOWER = 1, IS_UPPER = 2, IS_DIGIT = 4 };
static const uint8_t classes[256] = {['0' ... '9'] = IS_LOWER | IS_UPPER | IS_DIGIT,
                                     ['a' ... 'f'] = IS_LOWER,
                                     ['A' ... 'F'] = IS_UPPER};

static bool see_places(struct fixed *f, const yg_str *strs, uint32_t n) {
    f->len = (uint32_t)strs[0].len;
    if (f->len == 0 || f->len > LEN_MAX)
        return false;
    uint8_t may[LEN_MAX], differs[LEN_MAX] = {0}, all = IS_LOWER | IS_UPPER;
    memset(may, 0xff, sizeof(may));
    const char *first = strs[0].ptr;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *s = (const unsigned char *)strs[i].ptr;
        if (strs[i].len != f->len)
            return false;
        for (uint32_t k = 0; k < f->len; k++) {
            may[k] &= classes[s[k]];
            differs[k] |= s[k] ^ (unsigned char)first[k];
        }
        if ((i & 63) == 15) // texts of one length by chance end early
            for (uint32_t k = 0; k < f->len; k++)
                if (differs[k] && !may[k])
                    return false;
    }
    for (uint32_t k = 0; k < f->len; k++)
        if (differs[k])
            all &= may[k];
    for (uint32_t k = 0; k < f->len; k++) {
        f->places[k] = (uint8_t)first[k];
        if (differs[k]) {
            bool digit = (may[k] & IS_DIGIT) && n >= DIGITS_MIN_STRINGS;
            f->places[k] = PLACE_VARIES | (digit            ? CLASS_DIGIT
                                           : all & IS_LOWER ? CLASS_LOWER
                                                            : CLASS_UPPER);
        } else if (f->places[k] & PLACE_VARIES) {
            return false; // a constant that is not ASCII
        }
    }
    return all != 0;
}

// Numbers and their pieces from the places; the same when writing and reading.
static void make_fields(struct fixed *f) {
    f->piece_count = f->field_count = 0;
    for (uint32_t hex = 0; hex < 2; hex++) {
        uint32_t open = UINT32_MAX, last = 0;
        for (uint32_t k = 0; k < f->len; k++) {
            uint32_t c = f->places[k];
            if (!(c & PLACE_VARIES) || ((c & ~PLACE_VARIES) != CLASS_DIGIT) != hex)
                continue;
            uint32_t most = hex ? HEX_PART : DIGITS_PART;
            if (open == UINT32_MAX || f->fields[open].digits == most ||
                (hex && k - last > HEX_GAP)) {
                open = f->field_count++;
                f->fields[open].hex = hex;
                f->fields[open].digits = 0;
            }
            if (f->fields[open].digits > 0 && last + 1 == k &&
                f->pieces[f->piece_count - 1].len < 8)
                f->pieces[f->piece_count - 1].len++;
            else
                f->pieces[f->piece_count++] = (struct piece){(uint8_t)k, 1, (uint8_t)open};
            f->fields[open].digits++;
            last = k;
        }
    }
}

// ------------------------------------------------------------ fixed: digits

// Eight characters (first in the lowest byte) to eight hex digits, first highest.
static inline uint64_t hex_of_text(uint64_t x) {
    x = (x & 0x0f0f0f0f0f0f0f0fu) + 9 * (x >> 6 & 0x0101010101010101u);
    x = __builtin_bswap64(x & 0x0f0f0f0f0f0f0f0fu); // what is no digit must not reach its neighbour
    x = (x | x >> 4) & 0x00ff00ff00ff00ffu;
    x = (x | x >> 8) & 0x0000ffff0000ffffu;
    return (x | x >> 16) & 0xffffffffu;
}

static inline uint64_t text_of_hex(uint64_t x, uint64_t letters) {
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t above = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    return __builtin_bswap64(x + 0x3030303030303030u + above * letters);
}

static inline uint64_t digits_of_text(const char *s, uint32_t len) {
    uint64_t v = 0;
    for (uint32_t i = 0; i < len; i++)
        v = v * 10 + (uint64_t)(s[i] - '0');
    return v;
}

static const uint64_t tens[DIGITS_PART + 1] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
};

static bool put_fixed(const yg_str *strs, uint32_t n, struct yg_buf *out) {
    struct fixed f;
    if (n < 4 || !see_places(&f, strs, n))
        return false;
    make_fields(&f);
    uint32_t varies = 0;
    for (uint32_t i = 0; i < f.field_count; i++)
        varies += f.fields[i].digits;
    if (varies == 0 || f.field_count > FIELDS_MAX)
        return false;
    uint64_t *v = yg_calloc(YG_MEM_STORE, (size_t)n * f.field_count, sizeof(*v));
    for (uint32_t i = 0; i < n; i++) {
        char text[LEN_MAX + 8];
        memset(text + f.len, 0, 8);
        memcpy(text, strs[i].ptr, f.len);
        for (uint32_t k = 0; k < f.piece_count; k++) {
            const struct piece *p = &f.pieces[k];
            uint64_t *to = &v[(size_t)p->field * n + i], word;
            if (f.fields[p->field].hex) {
                memcpy(&word, text + p->at, 8);
                *to = *to << 4 * p->len | hex_of_text(word) >> 4 * (8 - p->len);
            } else {
                *to = *to * tens[p->len] + digits_of_text(text + p->at, p->len);
            }
        }
    }
    yg_buf_putc(out, LAYOUT_FIXED);
    yg_buf_putc(out, (char)f.len);
    yg_buf_put(out, f.places, f.len);
    for (uint32_t i = 0; i < f.field_count; i++)
        yg_ints_put(out, (const int64_t *)v + (size_t)i * n, n, false);
    yg_free(YG_MEM_STORE, v);
    return true;
}

static bool read_places(struct yg_cursor *c, struct fixed *f) {
    if (c->in.len - c->pos < 1)
        return false;
    f->len = (uint8_t)c->in.ptr[c->pos++];
    if (f->len == 0 || f->len > LEN_MAX || c->in.len - c->pos < f->len)
        return false;
    memcpy(f->places, c->in.ptr + c->pos, f->len);
    c->pos += f->len;
    for (uint32_t k = 0; k < f->len; k++)
        if ((f->places[k] & PLACE_VARIES) && (f->places[k] & ~PLACE_VARIES) >= CLASS_COUNT)
            return false;
    make_fields(f);
    return f->field_count > 0 && f->field_count <= FIELDS_MAX;
}

// How a piece is written: eight bytes at once, the digits and the constants that follow them. What
// belongs to later pieces is written over by them.
struct step {
    uint64_t digits; // mask of the bytes that are digits
    uint64_t around; // the other bytes
    uint64_t letters;
    uint32_t at;
    uint32_t field;
    uint32_t behind; // digits of the field behind the piece
    uint32_t len;
    bool hex;
};

static void make_steps(const struct fixed *f, struct step *steps) {
    uint32_t behind[LEN_MAX] = {0};
    char places[LEN_MAX + 8] = {0};
    memcpy(places, f->places, f->len);
    for (uint32_t k = f->piece_count; k-- > 0;) {
        const struct piece *p = &f->pieces[k];
        struct step *s = &steps[k];
        bool lower = (f->places[p->at] & ~PLACE_VARIES) == CLASS_LOWER;
        *s = (struct step){.at = p->at, .field = p->field, .len = p->len};
        s->hex = f->fields[p->field].hex;
        s->letters = lower ? 'a' - '0' - 10 : 'A' - '0' - 10;
        s->behind = behind[p->field];
        behind[p->field] += p->len;
        s->digits = p->len == 8 ? ~UINT64_C(0) : (UINT64_C(1) << 8 * p->len) - 1;
        memcpy(&s->around, places + p->at, 8);
        s->around &= ~s->digits;
    }
}

static inline uint64_t text_of_decimal(uint64_t x, uint32_t len) {
    uint64_t word = 0;
    for (uint32_t d = 0; d < len; d++, x /= 10)
        word = word << 8 | (uint64_t)('0' + x % 10);
    return word;
}

// Numbers of value i into the text, which holds the constants already.
static void write_fixed(const struct step *steps, uint32_t count, const uint64_t *v, uint32_t n,
                        uint32_t i, char *to) {
    for (uint32_t k = 0; k < count; k++) {
        const struct step *s = &steps[k];
        uint64_t x = v[(size_t)s->field * n + i], word;
        if (s->hex)
            word = text_of_hex((x >> 4 * s->behind << 4 * (8 - s->len)) & 0xffffffffu, s->letters);
        else
            word = text_of_decimal(x / tens[s->behind] % tens[s->len], s->len);
        word = (word & s->digits) | s->around;
        memcpy(to + s->at, &word, 8);
    }
}

static bool fields_fit(const struct fixed *f, const uint64_t *v, uint32_t n) {
    for (uint32_t k = 0; k < f->field_count; k++) {
        uint32_t digits = f->fields[k].digits;
        uint64_t max = UINT64_MAX, top = 0;
        if (!f->fields[k].hex)
            max = tens[digits] - 1;
        else if (digits < HEX_PART)
            max = (UINT64_C(1) << 4 * digits) - 1;
        for (uint32_t i = 0; i < n; i++)
            top = v[(size_t)k * n + i] > top ? v[(size_t)k * n + i] : top;
        if (top > max)
            return false;
    }
    return true;
}

static yg_rc get_fixed(struct yg_enc_reader *r, yg_str *out, struct yg_err *err) {
    struct fixed f;
    uint32_t n = r->count;
    if (!read_places(&r->c, &f))
        return yg_enc_damaged("shape of strings does not hold", err);
    char *text = yg_arena_alloc(r->arena, (size_t)n * f.len + YG_PACK_SLACK);
    uint64_t *v = yg_try_alloc(YG_MEM_STORE, sizeof(*v) * n * f.field_count);
    yg_rc rc = text && v ? YG_OK : yg_enc_no_memory(err);
    for (uint32_t i = 0; rc == YG_OK && i < f.field_count; i++)
        if (!yg_ints_get(&r->c, (int64_t *)v + (size_t)i * n, n))
            rc = yg_enc_damaged("parts of strings do not fit", err);
    if (rc == YG_OK && !fields_fit(&f, v, n))
        rc = yg_enc_damaged("a part of a string is too long", err);
    struct step steps[LEN_MAX];
    make_steps(&f, steps);
    for (uint32_t i = 0; rc == YG_OK && i < n; i++) {
        char *to = text + (size_t)i * f.len;
        memcpy(to, f.places, f.len);
        write_fixed(steps, f.piece_count, v, n, i, to);
        out[i] = yg_str_n(to, f.len);
    }
    yg_free(YG_MEM_STORE, v);
    return rc;
}

// ------------------------------------------------------------ numbers between constants

struct numbers {
    uint32_t count;
    yg_str before[FIELDS_MAX];
    yg_str after;
};

// A decimal number without leading zeros at s[*at]; false when there is none of ≤ 18 digits.
static bool read_number(yg_str s, size_t *at, uint64_t *ret_value) {
    size_t i = *at;
    uint64_t v = 0;
    while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9') {
        if (i - *at >= DIGITS_PART)
            return false;
        v = v * 10 + (uint64_t)(s.ptr[i++] - '0');
    }
    if (i == *at || (s.ptr[*at] == '0' && i - *at > 1))
        return false;
    *at = i;
    *ret_value = v;
    return true;
}

static bool see_numbers(struct numbers *m, yg_str s) {
    m->count = 0;
    size_t from = 0, at = 0;
    uint64_t v;
    while (at < s.len) {
        if (s.ptr[at] < '0' || s.ptr[at] > '9') {
            at++;
            continue;
        }
        yg_str before = yg_str_sub(s, from, at - from);
        if (m->count == FIELDS_MAX || !read_number(s, &at, &v))
            return false;
        m->before[m->count++] = before;
        from = at;
    }
    m->after = yg_str_sub(s, from, SIZE_MAX);
    return m->count > 0;
}

static bool match_numbers(const struct numbers *m, yg_str s, uint64_t *v, uint32_t n) {
    size_t at = 0;
    for (uint32_t k = 0; k < m->count; k++) {
        yg_str before = m->before[k];
        if (s.len - at < before.len || memcmp(s.ptr + at, before.ptr, before.len) != 0)
            return false;
        at += before.len;
        if (!read_number(s, &at, &v[(size_t)k * n]))
            return false;
    }
    return yg_str_eq(yg_str_sub(s, at, SIZE_MAX), m->after);
}

static bool put_numbers(const yg_str *strs, uint32_t n, struct yg_buf *out) {
    struct numbers m;
    if (n < 4 || !see_numbers(&m, strs[0]))
        return false;
    uint64_t *v = yg_alloc(YG_MEM_STORE, sizeof(*v) * n * m.count);
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++)
        ok = match_numbers(&m, strs[i], v + i, n);
    if (ok) {
        yg_buf_putc(out, LAYOUT_NUMBERS);
        yg_buf_putc(out, (char)m.count);
        for (uint32_t k = 0; k < m.count; k++)
            yg_put_lenstr(out, m.before[k]);
        yg_put_lenstr(out, m.after);
        for (uint32_t k = 0; k < m.count; k++)
            yg_ints_put(out, (const int64_t *)v + (size_t)k * n, n, false);
    }
    yg_free(YG_MEM_STORE, v);
    return ok;
}

static inline uint32_t digit_count(uint64_t v) {
    uint32_t n = 1;
    while (n < DIGITS_PART && v >= tens[n])
        n++;
    return n;
}

static bool read_head(struct yg_cursor *c, struct numbers *m) {
    if (c->in.len - c->pos < 1)
        return false;
    m->count = (uint8_t)c->in.ptr[c->pos++];
    if (m->count == 0 || m->count > FIELDS_MAX)
        return false;
    for (uint32_t k = 0; k < m->count; k++)
        if (yg_get_lenstr(c, &m->before[k], NULL) != YG_OK)
            return false;
    return yg_get_lenstr(c, &m->after, NULL) == YG_OK;
}

static char *write_numbers(const struct numbers *m, const uint64_t *v, uint32_t n, char *to) {
    for (uint32_t k = 0; k < m->count; k++) {
        uint64_t x = v[(size_t)k * n];
        uint32_t digits = digit_count(x);
        memcpy(to, m->before[k].ptr, m->before[k].len);
        to += m->before[k].len;
        for (uint32_t d = digits; d-- > 0; x /= 10)
            to[d] = (char)('0' + x % 10);
        to += digits;
    }
    memcpy(to, m->after.ptr, m->after.len);
    return to + m->after.len;
}

static yg_rc get_numbers(struct yg_enc_reader *r, yg_str *out, struct yg_err *err) {
    struct numbers m;
    uint32_t n = r->count;
    if (!read_head(&r->c, &m))
        return yg_enc_damaged("shape of strings does not hold", err);
    size_t constant = m.after.len, total = 0;
    for (uint32_t k = 0; k < m.count; k++)
        constant += m.before[k].len;
    uint64_t *v = yg_try_alloc(YG_MEM_STORE, sizeof(*v) * n * m.count);
    if (v == NULL)
        return yg_enc_no_memory(err);
    bool ok = true;
    for (uint32_t k = 0; ok && k < m.count; k++) {
        ok = yg_ints_get(&r->c, (int64_t *)v + (size_t)k * n, n);
        for (uint32_t i = 0; ok && i < n; i++) {
            ok = v[(size_t)k * n + i] < tens[DIGITS_PART];
            total += digit_count(v[(size_t)k * n + i]);
        }
    }
    total += constant * n;
    yg_rc rc = YG_OK;
    char *to = NULL;
    if (!ok || total > YG_ENC_RAW_BYTES_MAX)
        rc = yg_enc_damaged("parts of strings do not fit", err);
    else if ((to = yg_arena_alloc(r->arena, total + YG_PACK_SLACK)) == NULL)
        rc = yg_enc_no_memory(err);
    for (uint32_t i = 0; rc == YG_OK && i < n; i++) {
        char *end = write_numbers(&m, v + i, n, to);
        out[i] = yg_str_n(to, (size_t)(end - to));
        to = end;
    }
    yg_free(YG_MEM_STORE, v);
    return rc;
}

// ------------------------------------------------------------ both

bool yg_enc_put_layout(const yg_str *strs, uint32_t n, struct yg_buf *out) {
    return put_fixed(strs, n, out) || put_numbers(strs, n, out);
}

yg_rc yg_enc_get_layout(struct yg_enc_reader *r, yg_str *out, struct yg_err *err) {
    uint32_t kind = LAYOUT_NUMBERS + 1;
    if (r->c.pos < r->c.in.len)
        kind = (uint8_t)r->c.in.ptr[r->c.pos++];
    if (kind == LAYOUT_FIXED)
        return get_fixed(r, out, err);
    if (kind == LAYOUT_NUMBERS)
        return get_numbers(r, out, err);
    return yg_enc_damaged("unknown shape of strings", err);
}

static void add_chars(uint64_t chars[4], yg_str s) {
    for (size_t i = 0; i < s.len; i++)
        chars[(uint8_t)s.ptr[i] >> 6] |= UINT64_C(1) << ((uint8_t)s.ptr[i] & 63);
}

bool yg_enc_layout_chars(struct yg_enc_reader *r, uint64_t chars[4]) {
    static const char *const digits[CLASS_COUNT] = {"0123456789abcdef", "0123456789ABCDEF",
                                                    "0123456789"};
    struct fixed f;
    struct numbers m;
    uint32_t kind = LAYOUT_NUMBERS + 1;
    if (r->c.pos < r->c.in.len)
        kind = (uint8_t)r->c.in.ptr[r->c.pos++];
    if (kind == LAYOUT_FIXED && read_places(&r->c, &f)) {
        for (uint32_t k = 0; k < f.len; k++) {
            char c = (char)f.places[k];
            add_chars(chars, f.places[k] & PLACE_VARIES
                                 ? yg_str_c(digits[f.places[k] & ~PLACE_VARIES])
                                 : yg_str_n(&c, 1));
        }
        return true;
    }
    if (kind != LAYOUT_NUMBERS || !read_head(&r->c, &m))
        return false;
    for (uint32_t k = 0; k < m.count; k++)
        add_chars(chars, m.before[k]);
    add_chars(chars, m.after);
    add_chars(chars, yg_str_c(digits[CLASS_DIGIT]));
    return true;
}
