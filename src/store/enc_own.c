// SPDX-License-Identifier: Apache-2.0
// Own texts: a log message often repeats ids of its row that have a column (request id, trace id).
// Each occurrence becomes one byte before compression. In the stored text byte 1 + k stands for the
// k-th active slot's text, byte 0 for the byte behind it as it is; the bytes 0 … 8 of a text itself
// get a 0 before them.
#include "store/enc_part.h"

#include "base/panic.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define ESCAPE YG_ENC_OWN_ESCAPE
#define SPECIAL_MAX YG_ENC_OWN_SPECIAL_MAX
#define OWN_LEN_MIN YG_ENC_OWN_LEN_MIN
#define SAMPLE 64u
#define MATCHES_MAX 32u // of one text

// ------------------------------------------------------------ finding

// Offset of `needle` (≥ 2 bytes) in s[from…]: where first and last byte stand, the whole is
// compared.
static size_t find(yg_str s, yg_str needle, size_t from) {
#if defined(__SSE2__)
    if (s.len < needle.len)
        return SIZE_MAX;
    const __m128i first = _mm_set1_epi8(needle.ptr[0]);
    const __m128i last = _mm_set1_epi8(needle.ptr[needle.len - 1]);
    size_t end = s.len - needle.len + 1; // starts are below it
    for (; from + 16 <= end; from += 16) {
        const char *p = s.ptr + from;
        __m128i a = _mm_loadu_si128((const __m128i_u *)(const void *)p);
        __m128i b = _mm_loadu_si128((const __m128i_u *)(const void *)(p + needle.len - 1));
        uint32_t hits = (uint32_t)_mm_movemask_epi8(
            _mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, last)));
        for (; hits; hits &= hits - 1) {
            size_t at = from + (uint32_t)__builtin_ctz(hits);
            if (memcmp(s.ptr + at, needle.ptr, needle.len) == 0)
                return at;
        }
    }
    for (; from < end; from++)
        if (s.ptr[from] == needle.ptr[0] && memcmp(s.ptr + from, needle.ptr, needle.len) == 0)
            return from;
    return SIZE_MAX;
#else
    return yg_str_find(s, needle, from);
#endif
}

static inline yg_str own_text(const struct yg_enc_input *in, uint32_t i, uint32_t slot) {
    return in->own[(size_t)i * in->own_count + slot];
}

// Slots whose text stands in a sample of the values, and in no earlier one's place.
static void pick_slots(const struct yg_enc_input *in, struct yg_enc_own_plan *plan) {
    uint32_t sample = in->count < SAMPLE ? in->count : SAMPLE;
    plan->count = 0;
    for (uint32_t s = 0; s < in->own_count && plan->count < YG_ENC_OWN_ACTIVE; s++) {
        uint32_t hits = 0;
        for (uint32_t k = 0; k < sample; k++) {
            uint32_t i = (uint32_t)((uint64_t)k * in->count / sample);
            yg_str own = own_text(in, i, s);
            bool known = false;
            for (uint32_t a = 0; a < plan->count && !known; a++)
                known = yg_str_eq(own, own_text(in, i, plan->slots[a]));
            hits += !known && own.len >= OWN_LEN_MIN && find(in->strs[i], own, 0) != SIZE_MAX;
        }
        if (hits * 32 >= sample)
            plan->slots[plan->count++] = (uint8_t)s;
    }
}

struct match {
    size_t at;
    size_t len;
    uint32_t active;
};

// Occurrences of the active slots' texts, ascending, none over another. Returns their number.
static uint32_t find_matches(const struct yg_enc_input *in, uint32_t i,
                             const struct yg_enc_own_plan *plan, struct match *m) {
    uint32_t n = 0;
    for (uint32_t a = 0; a < plan->count; a++) {
        yg_str own = own_text(in, i, plan->slots[a]);
        if (own.len < OWN_LEN_MIN)
            continue;
        size_t at = 0;
        while (n < MATCHES_MAX && (at = find(in->strs[i], own, at)) != SIZE_MAX) {
            uint32_t k = n;
            while (k > 0 && m[k - 1].at > at)
                k--;
            bool clash =
                (k > 0 && m[k - 1].at + m[k - 1].len > at) || (k < n && at + own.len > m[k].at);
            if (!clash) {
                memmove(m + k + 1, m + k, sizeof(*m) * (n - k));
                m[k] = (struct match){at, own.len, a};
                n++;
            }
            at += own.len;
        }
    }
    return n;
}

// ------------------------------------------------------------ replacing

// Copies with escapes; returns the end. Room for twice the bytes and 16.
static char *put_escaped(char *to, const char *from, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)from[i] <= SPECIAL_MAX)
            *to++ = ESCAPE;
        *to++ = from[i];
    }
    return to;
}

bool yg_enc_own_replace(const struct yg_enc_input *in, struct yg_buf *raw,
                        struct yg_enc_own_plan *ret_plan, yg_str *strs) {
    pick_slots(in, ret_plan);
    if (ret_plan->count == 0)
        return false;
    size_t total = 0;
    for (uint32_t i = 0; i < in->count; i++)
        total += in->strs[i].len;
    yg_buf_reset(raw);
    if (yg_buf_reserve(raw, 2 * total + 16, NULL) != YG_OK)
        return false;
    char *to = raw->ptr;
    for (uint32_t i = 0; i < in->count; i++) {
        struct match m[MATCHES_MAX];
        uint32_t n = find_matches(in, i, ret_plan, m);
        yg_str s = in->strs[i];
        char *start = to;
        size_t done = 0;
        for (uint32_t k = 0; k < n; k++) {
            to = put_escaped(to, s.ptr + done, m[k].at - done);
            *to++ = (char)(1 + m[k].active);
            done = m[k].at + m[k].len;
        }
        to = put_escaped(to, s.ptr + done, s.len - done);
        strs[i] = yg_str_n(start, (size_t)(to - start));
    }
    raw->len = (size_t)(to - raw->ptr);
    return true;
}

// ------------------------------------------------------------ restoring

struct restore {
    const yg_str *texts[YG_ENC_OWN_ACTIVE]; // [row]
    uint32_t active;
    char *to;
    char *end; // YG_PACK_SLACK bytes more may be written over
};

// Bytes of s before the next special one, copied; false when there is no room.
static inline bool copy_plain(struct restore *w, const char **p, const char *end) {
#if defined(__SSE2__)
    const __m128i special = _mm_set1_epi8((char)SPECIAL_MAX);
    while (*p < end) {
        size_t left = (size_t)(end - *p), n = left < 16 ? left : 16;
        __m128i x = _mm_loadu_si128((const __m128i_u *)(const void *)*p);
        uint32_t hits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(x, special), x));
        uint32_t first = hits ? (uint32_t)__builtin_ctz(hits) : 16;
        bool stop = first < n;
        n = stop ? first : n;
        if ((size_t)(w->end - w->to) < n)
            return false;
        _mm_storeu_si128((__m128i_u *)(void *)w->to, x);
        w->to += n;
        *p += n;
        if (stop)
            break;
    }
#else
    for (; *p < end && (unsigned char)**p > SPECIAL_MAX; ++*p) {
        if (w->to == w->end)
            return false;
        *w->to++ = **p;
    }
#endif
    return true;
}

static bool restore_one(struct restore *w, yg_str s, uint32_t row, yg_str *ret_text) {
    const char *p = s.ptr, *end = s.ptr + s.len;
    char *start = w->to;
    while (p < end) {
        if (!copy_plain(w, &p, end))
            return false;
        if (p == end)
            break;
        uint32_t c = (unsigned char)*p++;
        yg_str add;
        if (c == ESCAPE && p < end)
            add = yg_str_n(p++, 1);
        else if (c != ESCAPE && c <= w->active)
            add = w->texts[c - 1][row];
        else
            return false;
        if ((size_t)(w->end - w->to) < add.len)
            return false;
        if (add.len)
            memcpy(w->to, add.ptr, add.len);
        w->to += add.len;
    }
    *ret_text = yg_str_n(start, (size_t)(w->to - start));
    return true;
}

// Texts of the slots whose bit is set in `used`, and room for what is restored.
static yg_rc start_restore(struct yg_enc_reader *r, const struct yg_enc_own_plan *plan,
                           uint32_t used, size_t total_bytes, struct restore *w,
                           struct yg_err *err) {
    *w = (struct restore){.active = plan->count};
    for (uint32_t a = 0; a < plan->count; a++)
        if (plan->slots[a] >= r->own.count)
            return yg_enc_damaged("text refers to a column that is not named", err);
        else if (used >> a & 1)
            YG_TRY(r->own.texts(r->own.ctx, plan->slots[a], r->arena, &w->texts[a], err));
    if (total_bytes > YG_ENC_RAW_BYTES_MAX)
        return yg_enc_damaged("texts are too long", err);
    w->to = yg_arena_alloc(r->arena, total_bytes + YG_PACK_SLACK);
    if (w->to == NULL)
        return yg_enc_no_memory(err);
    w->end = w->to + total_bytes;
    return YG_OK;
}

yg_rc yg_enc_own_restore(struct yg_enc_reader *r, const struct yg_enc_own_plan *plan,
                         size_t total_bytes, yg_str *strs, struct yg_err *err) {
    struct restore w;
    YG_TRY(start_restore(r, plan, UINT32_MAX, total_bytes, &w, err));
    uint32_t row = 0;
    for (uint32_t i = 0; i < r->count; i++, row++) {
        if (r->present)
            row = yg_bits_next(r->present, r->rows, row);
        YG_ASSERT(row < r->rows);
        if (!restore_one(&w, strs[i], row, &strs[i]))
            return yg_enc_damaged("references in texts do not fit", err);
    }
    return w.to == w.end ? YG_OK : yg_enc_damaged("texts do not fill their length", err);
}

// Slots that the text refers to, as bits.
static uint32_t slots_of(yg_str s) {
    uint32_t used = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint32_t c = (unsigned char)s.ptr[i];
        if (c == ESCAPE)
            i++;
        else if (c <= SPECIAL_MAX)
            used |= 1u << (c - 1);
    }
    return used;
}

yg_rc yg_enc_own_restore_some(struct yg_enc_reader *r, const struct yg_enc_own_plan *plan,
                              size_t total_bytes, yg_str *strs, struct yg_err *err) {
    uint64_t may[YG_BITS_WORDS(YG_GRANULE_ROWS)] = {0};
    struct restore w;
    uint32_t row = 0, used = 0, count = 0, texts = r->refs ? r->distinct_count : r->count;
    const yg_str *text = r->refs ? r->distinct : strs;
    if (r->count > YG_GRANULE_ROWS || !yg_enc_own_probe(r, plan, text, texts, may))
        return yg_enc_own_restore(r, plan, total_bytes, strs, err);
    for (uint32_t i = yg_bits_next(may, texts, 0); i < texts; i = yg_bits_next(may, texts, i + 1)) {
        used |= slots_of(text[i]);
        count++;
    }
    YG_TRY(start_restore(r, plan, used, count ? total_bytes : 0, &w, err));
    for (uint32_t i = 0; i < r->count; i++, row++) {
        if (r->present)
            row = yg_bits_next(r->present, r->rows, row);
        YG_ASSERT(row < r->rows);
        if (!yg_bits_get(may, r->refs ? r->refs[i] : i))
            strs[i] = yg_str_n("", 0);
        else if (!restore_one(&w, strs[i], row, &strs[i]))
            return yg_enc_damaged("references in texts do not fit", err);
    }
    return YG_OK;
}
