// SPDX-License-Identifier: Apache-2.0
// Which texts with references (enc_own.c) may hold what a search wants, without putting any
// together. A text holds it in a stretch of its own, or across a reference: then what stands before
// the first reference that it touches is how it begins, or it begins inside that reference's text.
#include "base/bits.h"
#include "store/enc_part.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

struct probe {
    struct yg_enc_reader *r;
    const struct yg_enc_own_plan *plan;
    const struct yg_text_probe *want;
    const yg_str *strs;
    uint64_t *may;
    uint32_t slots_known;                 // bits
    uint64_t chars[YG_ENC_OWN_ACTIVE][4]; // that texts of the slot may hold
    bool begins_in[YG_ENC_OWN_ACTIVE];    // what is wanted may begin inside such a text
    uint64_t splits[YG_ENC_OWN_ACTIVE];   // or go over into it behind its first i bytes: bit i
    uint64_t ends[YG_ENC_OWN_ACTIVE][4];  // the last of those i bytes
    bool failed;
    bool beyond; // a byte beyond ASCII was seen
};

static inline bool has_char(const uint64_t chars[4], uint8_t c) {
    return chars[c >> 6] >> (c & 63) & 1;
}

static inline uint8_t fold(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool may_hold(const struct probe *p, uint32_t slot, uint8_t c) {
    return has_char(p->chars[slot], c) ||
           (p->want->nocase && c >= 'a' && c <= 'z' && has_char(p->chars[slot], c ^ 0x20));
}

static bool know_slot(struct probe *p, uint32_t slot) {
    const struct yg_text_probe *w = p->want;
    if (p->slots_known >> slot & 1)
        return true;
    if (slot >= p->plan->count || p->plan->slots[slot] >= p->r->own.count ||
        p->r->own.chars == NULL ||
        p->r->own.chars(p->r->own.ctx, p->plan->slots[slot], p->r->arena, p->chars[slot], NULL) !=
            YG_OK)
        return false;
    bool beyond = p->chars[slot][2] | p->chars[slot][3];
    p->begins_in[slot] = (w->odd && beyond) || may_hold(p, slot, (uint8_t)w->bytes[0]);
    for (size_t i = 1; i < w->len; i++) {
        bool fits = true;
        for (size_t k = i; k < w->len && k < i + YG_ENC_OWN_LEN_MIN; k++)
            fits = fits && may_hold(p, slot, (uint8_t)w->bytes[k]);
        uint8_t c = (uint8_t)w->bytes[i - 1];
        p->splits[slot] |= (uint64_t)fits << i;
        p->ends[slot][c >> 6] |= (uint64_t)fits << (c & 63);
    }
    p->slots_known |= 1u << slot;
    return true;
}

static bool ends_with(const struct yg_text_probe *w, const char *end, size_t len) {
    for (size_t k = 0; k < len; k++) {
        uint8_t c = (uint8_t)end[-1 - (ptrdiff_t)k];
        if ((w->nocase ? fold(c) : c) != (uint8_t)w->bytes[len - 1 - k])
            return false;
    }
    return true;
}

// The reference at `at` of text i.
static void see_reference(struct probe *p, uint32_t i, const char *at) {
    uint32_t slot = (uint8_t)*at - 1u;
    if (!know_slot(p, slot)) {
        p->failed = true;
        return;
    }
    bool may = p->begins_in[slot];
    size_t before = (size_t)(at - p->strs[i].ptr);
    uint8_t last = before > 0 ? (uint8_t)at[-1] : 0;
    bool ends = before > 0 && has_char(p->ends[slot], p->want->nocase ? fold(last) : last);
    for (uint64_t todo = ends ? p->splits[slot] : 0; todo && !may; todo &= todo - 1) {
        size_t len = (size_t)__builtin_ctzll(todo);
        may = len <= before && ends_with(p->want, at, len);
    }
    if (may)
        yg_bits_set(p->may, i);
}

static inline bool is_special(char c) {
    return (uint8_t)c <= YG_ENC_OWN_SPECIAL_MAX;
}

// Next special byte at or after `at`; `end` when there is none.
static const char *next_special(struct probe *p, const char *at, const char *end) {
#if defined(__SSE2__)
    const __m128i special = _mm_set1_epi8((char)YG_ENC_OWN_SPECIAL_MAX);
    for (; end - at >= 16; at += 16) {
        __m128i x = _mm_loadu_si128((const __m128i_u *)(const void *)at);
        uint32_t hits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(x, special), x));
        p->beyond |= _mm_movemask_epi8(x) != 0;
        if (hits)
            return at + __builtin_ctz(hits);
    }
#endif
    for (; at < end && !is_special(*at); at++)
        p->beyond |= (uint8_t)*at >= 0x80;
    return at;
}

// References of the texts [from, to), which stand one behind the other in `run`.
static void see_references(struct probe *p, uint32_t from, uint32_t to, yg_str run) {
    const char *at = run.ptr, *end = run.ptr + run.len;
    for (uint32_t i = from; (at = next_special(p, at, end)) < end && !p->failed; at++) {
        while (i + 1 < to && at >= p->strs[i].ptr + p->strs[i].len)
            i++;
        if ((uint8_t)*at == YG_ENC_OWN_ESCAPE)
            at++;
        else if (!yg_bits_get(p->may, i))
            see_reference(p, i, at);
    }
}

// What is wanted in the texts themselves.
static void see_texts(struct probe *p, uint32_t from, uint32_t to, yg_str run) {
    const struct yg_text_probe *w = p->want;
    uint32_t i = from;
    for (size_t at = w->find(w->ctx, run, 0); at != SIZE_MAX; at = w->find(w->ctx, run, at)) {
        while (i + 1 < to && run.ptr + at >= p->strs[i].ptr + p->strs[i].len)
            i++;
        size_t end = (size_t)(p->strs[i].ptr - run.ptr) + p->strs[i].len;
        if (at + w->len > end) {
            at++; // begins in one and ends in another
            continue;
        }
        yg_bits_set(p->may, i);
        at = end;
    }
}

// Texts with a byte beyond ASCII.
static void see_odd(struct probe *p, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        uint8_t all = 0;
        for (size_t k = 0; k < p->strs[i].len; k++)
            all |= (uint8_t)p->strs[i].ptr[k];
        if (all >= 0x80)
            yg_bits_set(p->may, i);
    }
}

bool yg_enc_own_probe(struct yg_enc_reader *r, const struct yg_enc_own_plan *plan,
                      const yg_str *strs, uint32_t count, uint64_t *ret_may) {
    struct probe p = {.r = r, .plan = plan, .want = r->probe, .strs = strs, .may = ret_may};
    if (p.want->len == 0 || p.want->len > 64)
        return false;
    for (size_t i = 0; i < p.want->len; i++)
        if (is_special(p.want->bytes[i]))
            return false;
    for (uint32_t from = 0, to; from < count && !p.failed; from = to) {
        const char *end = strs[from].ptr + strs[from].len;
        for (to = from + 1; to < count && strs[to].ptr == end; to++)
            end += strs[to].len;
        yg_str run = yg_str_n(strs[from].ptr, (size_t)(end - strs[from].ptr));
        see_texts(&p, from, to, run);
        p.beyond = false;
        see_references(&p, from, to, run);
        if (p.beyond && p.want->odd)
            see_odd(&p, from, to);
    }
    return !p.failed;
}
