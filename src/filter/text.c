// SPDX-License-Identifier: Apache-2.0
// Finding text in text: case folding by code point, patterns with wildcards and token borders.
//
// Reading order: piece_at/piece_find (one stretch without '*'), yg_pattern_match. ASCII needles
// without case run on bytes (find.c); a text that holds one of the few letters outside ASCII that
// fold into it (U+0130, U+017F, U+212A) is searched again by code point, so the fast way never
// misses what the slow one finds.
#include "filter/internal.h"

#include "base/utf8.h"

#define NOT_FOUND YG_NOT_FOUND
#define REPLACEMENT 0xfffdu // what bytes that are no UTF-8 decode to

// Simple folding; the long s is a lower-case letter of its own to towlower, but folds to 's'.
uint32_t yg_text_fold(uint32_t cp) {
    if (cp < 0x80)
        return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
    if (cp == 0x17f)
        return 's';
    if (cp == 0x3c2) // final sigma
        return 0x3c3;
    return yg_utf8_fold(cp);
}

bool yg_text_unspaced(uint32_t cp) {
    return (cp >= 0x2e80 && cp <= 0x9fff) ||
           (cp >= 0x0e00 && cp <= 0x0eff) || // CJK, kana; Thai, Lao
           (cp >= 0x1000 && cp <= 0x109f) || (cp >= 0x1780 && cp <= 0x17ff) || // Myanmar, Khmer
           (cp >= 0xac00 && cp <= 0xd7af) || (cp >= 0xf900 && cp <= 0xfaff) || // Hangul, CJK
           (cp >= 0xff66 && cp <= 0xff9f) || (cp >= 0x20000 && cp <= 0x3ffff);
}

static bool is_blank(uint32_t cp) {
    return cp == ' ' || (cp >= '\t' && cp <= '\r') || cp == 0xa0 || cp == 0x3000 || cp == 0x85;
}

static uint32_t cp_before(yg_str s, size_t at) {
    size_t p = at - 1;
    while (p > 0 && at - p < 4 && ((uint8_t)s.ptr[p] & 0xc0) == 0x80)
        p--;
    return yg_utf8_next((yg_str){s.ptr, at}, &p);
}

// True when a token may begin or end at `at`.
static bool is_border(yg_str s, size_t at) {
    if (at == 0 || at >= s.len)
        return true;
    size_t next = at;
    uint32_t before = cp_before(s, at), after = yg_utf8_next(s, &next);
    return !yg_utf8_is_word(before) || !yg_utf8_is_word(after) || yg_text_unspaced(before) ||
           yg_text_unspaced(after);
}

// ------------------------------------------------------------ pieces

// End of the piece when it stands at `at`; NOT_FOUND otherwise.
static size_t piece_at(const struct yg_piece *p, bool nocase, yg_str s, size_t at) {
    if (!p->any && !nocase) {
        if (p->len > s.len - at || memcmp(s.ptr + at, p->bytes, p->len) != 0)
            return NOT_FOUND;
        return at + p->len;
    }
    for (uint32_t i = 0; i < p->cp_count; i++) {
        if (at >= s.len)
            return NOT_FOUND;
        uint32_t cp = yg_utf8_next(s, &at);
        if (p->cps[i] != YG_CP_ANY && (nocase ? yg_text_fold(cp) : cp) != p->cps[i])
            return NOT_FOUND;
    }
    return at;
}

bool yg_text_has_odd_fold(yg_str s) {
    if (yg_is_ascii(s))
        return false;
    for (size_t i = 0; i + 1 < s.len; i++) {
        uint8_t a = (uint8_t)s.ptr[i], b = (uint8_t)s.ptr[i + 1];
        if ((a == 0xc4 && b == 0xb0) || (a == 0xc5 && b == 0xbf))
            return true;
        if (a == 0xe2 && b == 0x84 && i + 2 < s.len && (uint8_t)s.ptr[i + 2] == 0xaa)
            return true;
    }
    return false;
}

static size_t piece_scan(const struct yg_piece *p, bool nocase, yg_str s, size_t from,
                         size_t *ret_end) {
    for (size_t at = from; at <= s.len;) {
        size_t end = piece_at(p, nocase, s, at);
        if (end != NOT_FOUND) {
            *ret_end = end;
            return at;
        }
        if (at == s.len)
            break;
        (void)yg_utf8_next(s, &at);
    }
    return NOT_FOUND;
}

// First place of the piece at or after from.
static size_t piece_find(const struct yg_piece *p, bool nocase, yg_str s, size_t from,
                         size_t *ret_end) {
    if (p->any || (nocase && !p->ascii))
        return piece_scan(p, nocase, s, from, ret_end);
    size_t at = yg_finder_next(&p->finder, s, from);
    if (nocase && (at == NOT_FOUND || at > from) && yg_text_has_odd_fold(s))
        return piece_scan(p, nocase, s, from, ret_end);
    if (at != NOT_FOUND)
        *ret_end = at + p->len;
    return at;
}

// Where the piece would have to begin to end with the text; NOT_FOUND when it does not.
static bool piece_at_end(const struct yg_piece *p, bool nocase, yg_str s, size_t from) {
    size_t at = s.len;
    for (uint32_t i = 0; i < p->cp_count; i++) {
        if (at <= from)
            return false;
        at--;
        while (at > from && ((uint8_t)s.ptr[at] & 0xc0) == 0x80)
            at--;
    }
    return piece_at(p, nocase, s, at) == s.len;
}

// ------------------------------------------------------------ patterns

static yg_rc piece_compile(yg_str text, bool wild, bool nocase, struct yg_arena *arena,
                           struct yg_piece *out, struct yg_err *err) {
    uint32_t *cps = YG_NEW_N(arena, uint32_t, text.len + 1);
    char *bytes = YG_NEW_N(arena, char, text.len * 4 + 1);
    if (cps == NULL || bytes == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a search pattern");
    *out = (struct yg_piece){.cps = cps, .bytes = bytes, .ascii = true};
    for (size_t at = 0; at < text.len;) {
        if (wild && text.ptr[at] == YG_WILD_ONE) {
            cps[out->cp_count++] = YG_CP_ANY;
            out->any = true;
            at++;
            continue;
        }
        uint32_t cp = yg_utf8_next(text, &at);
        if (nocase)
            cp = yg_text_fold(cp);
        cps[out->cp_count++] = cp;
        out->ascii = out->ascii && cp < 0x80;
        out->len += yg_utf8_put(cp, bytes + out->len);
    }
    if (!nocase && !out->any) { // keeps bytes that are no UTF-8 as they are
        out->bytes = text.ptr ? text.ptr : "";
        out->len = text.len;
    }
    yg_finder_init(&out->finder, (yg_str){out->bytes, out->len}, nocase);
    return YG_OK;
}

// Bytes that stand in every text that the piece matches, when they are as long as can be: code
// points that fold into nothing else (with ASCII letters in either case).
static void need_of_piece(const struct yg_piece *p, bool nocase, struct yg_pattern *out,
                          char *bytes) {
    size_t n = 0;
    bool odd = false;
    for (uint32_t i = 0; i <= p->cp_count; i++) {
        uint32_t cp = i < p->cp_count ? p->cps[i] : YG_CP_ANY;
        bool exact =
            cp != YG_CP_ANY && cp != REPLACEMENT && (!nocase || cp < 0x80 || yg_text_unspaced(cp));
        if (exact && n + 4 <= YG_NEED_BYTES_MAX) {
            odd = odd || (nocase && (cp == 'i' || cp == 'k' || cp == 's'));
            n += yg_utf8_put(cp, bytes + n);
            continue;
        }
        if (n > out->need.len) {
            memcpy(out->need_bytes, bytes, n);
            yg_finder_init(&out->need, (yg_str){out->need_bytes, n}, nocase);
            out->need_odd = odd;
        }
        n = 0;
        odd = false;
    }
}

static yg_rc pattern_need(struct yg_pattern *p, struct yg_arena *arena, struct yg_err *err) {
    char bytes[YG_NEED_BYTES_MAX];
    p->need_bytes = YG_NEW_N(arena, char, YG_NEED_BYTES_MAX);
    if (p->need_bytes == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a search pattern");
    for (uint32_t i = 0; i < p->count; i++)
        need_of_piece(&p->pieces[i], p->nocase, p, bytes);
    return YG_OK;
}

yg_rc yg_pattern_compile(yg_str text, bool wild, bool nocase, bool token, struct yg_arena *arena,
                         struct yg_pattern *ret_pattern, struct yg_err *err) {
    struct yg_pattern p = {.nocase = nocase, .token = token};
    text = yg_arena_str(arena, text);
    uint32_t stars = 0;
    for (size_t i = 0; wild && i < text.len; i++)
        stars += text.ptr[i] == YG_WILD_RUN;
    p.pieces = YG_NEW_N(arena, struct yg_piece, stars + 1);
    if (p.pieces == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a search pattern");
    p.open_start = stars > 0 && text.ptr[0] == YG_WILD_RUN;
    p.open_end = stars > 0 && text.ptr[text.len - 1] == YG_WILD_RUN;
    size_t from = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && !(wild && text.ptr[i] == YG_WILD_RUN))
            continue;
        if (i > from || stars == 0)
            YG_TRY(piece_compile(yg_str_sub(text, from, i - from), wild, nocase, arena,
                                 &p.pieces[p.count++], err));
        from = i + 1;
    }
    YG_TRY(pattern_need(&p, arena, err));
    *ret_pattern = p;
    return YG_OK;
}

// Whole value: anchored pieces at the ends, the others greedily from the left.
static bool match_whole(const struct yg_pattern *p, yg_str s) {
    if (p->count == 0)
        return true; // only stars
    size_t at = 0;
    uint32_t first = 0, last = p->count;
    if (!p->open_start) {
        at = piece_at(&p->pieces[0], p->nocase, s, 0);
        if (at == NOT_FOUND)
            return false;
        if (p->count == 1)
            return p->open_end || at == s.len;
        first = 1;
    }
    if (!p->open_end)
        last--;
    for (uint32_t i = first; i < last; i++)
        if (piece_find(&p->pieces[i], p->nocase, s, at, &at) == NOT_FOUND)
            return false;
    return p->open_end || piece_at_end(&p->pieces[last], p->nocase, s, at);
}

// First blank at or after `at`.
static size_t run_end(yg_str s, size_t at) {
    while (at < s.len) {
        size_t next = at;
        if (is_blank(yg_utf8_next(s, &next)))
            return at;
        at = next;
    }
    return at;
}

// Pieces after the first, within the run of non-blanks that begins at `at`.
static bool match_token_rest(const struct yg_pattern *p, yg_str s, size_t at) {
    yg_str run = {s.ptr, run_end(s, at)};
    for (uint32_t i = 1; i < p->count; i++) {
        bool last = i + 1 == p->count;
        size_t end = 0, start = piece_find(&p->pieces[i], p->nocase, run, at, &end);
        while (last && start != NOT_FOUND && !p->open_end && !is_border(s, end))
            start = piece_find(&p->pieces[i], p->nocase, run, start + 1, &end);
        if (start == NOT_FOUND)
            return false;
        at = end;
    }
    return true;
}

static bool match_token(const struct yg_pattern *p, yg_str s) {
    if (p->count == 0)
        return s.len > 0;
    size_t from = 0, end = 0;
    while (from <= s.len) {
        size_t start = piece_find(&p->pieces[0], p->nocase, s, from, &end);
        if (start == NOT_FOUND)
            return false;
        bool fits = p->open_start || is_border(s, start);
        if (fits && p->count == 1)
            fits = p->open_end || is_border(s, end);
        if (fits && match_token_rest(p, s, end))
            return true;
        from = start;
        if (from == s.len)
            break;
        (void)yg_utf8_next(s, &from);
    }
    return false;
}

bool yg_pattern_may_match(const struct yg_pattern *p, yg_str s) {
    return p->need.len == 0 || yg_finder_next(&p->need, s, 0) != NOT_FOUND ||
           (p->need_odd && yg_text_has_odd_fold(s));
}

bool yg_pattern_match(const struct yg_pattern *p, yg_str s) {
    if (!yg_pattern_may_match(p, s))
        return false;
    return p->token ? match_token(p, s) : match_whole(p, s);
}
