// SPDX-License-Identifier: Apache-2.0
// Words of a text for the key index: which runs of word characters are keys, folded as a search
// folds them. Text and search are read by this one function, so that they cannot differ.
//
// A search for a word finds it only between token borders, that is as a whole run of word
// characters (text.c: is_border). So a complete word of a search is a complete word of every text
// that it finds, and the index can say where it may stand. UUIDs are the exception: they are kept
// as one key, not as five, so a word that may be a group of one is never `sure`.
#include "filter/internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/bits.h"
#include "base/utf8.h"

#define WORD_BYTES_MIN 3u
#define WORD_BYTES_MAX 64u
#define UUID_BYTES 36u

void yg_words_fini(struct yg_words *w) {
    yg_free(YG_MEM_STORE, w->folded);
    yg_free(YG_MEM_STORE, w->bits);
    yg_free(YG_MEM_STORE, w->list);
    *w = (struct yg_words){0};
}

// Room for texts that fold to `bytes`.
static void reserve(struct yg_words *w, size_t bytes) {
    if (bytes + 64 <= w->bytes_cap)
        return;
    size_t cap = w->bytes_cap ? w->bytes_cap : 1024;
    while (cap < bytes + 64)
        cap *= 2;
    w->folded = yg_realloc(YG_MEM_STORE, w->folded, cap);
    w->bits = yg_realloc(YG_MEM_STORE, w->bits, cap / 64 * 2 * sizeof(uint64_t));
    w->bytes_cap = cap;
}

static uint64_t *word_bits(const struct yg_words *w) {
    return w->bits;
}
static uint64_t *digit_bits(const struct yg_words *w) {
    return w->bits + w->bytes_cap / 64;
}

// ------------------------------------------------------------ classes of characters

static inline bool ascii_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

#ifdef __SSE2__
static inline __m128i in_range(__m128i c, char first, char last) {
    return _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8((char)(first - 1))),
                         _mm_cmplt_epi8(c, _mm_set1_epi8((char)(last + 1))));
}

// 16 bytes: folds them to `to` and gives the bits of word characters and digits. False: not ASCII.
static inline bool classify16(const char *from, char *to, uint32_t *ret_word, uint32_t *ret_digit) {
    __m128i c = _mm_loadu_si128((const __m128i *)(const void *)from);
    if (_mm_movemask_epi8(c) != 0)
        return false;
    c = _mm_or_si128(c, _mm_and_si128(in_range(c, 'A', 'Z'), _mm_set1_epi8(0x20)));
    __m128i digit = in_range(c, '0', '9');
    __m128i word = _mm_or_si128(_mm_or_si128(in_range(c, 'a', 'z'), digit),
                                _mm_cmpeq_epi8(c, _mm_set1_epi8('_')));
    _mm_storeu_si128((__m128i *)(void *)to, c);
    *ret_word = (uint32_t)_mm_movemask_epi8(word);
    *ret_digit = (uint32_t)_mm_movemask_epi8(digit);
    return true;
}
#else
static inline bool classify16(const char *from, char *to, uint32_t *ret_word, uint32_t *ret_digit) {
    uint32_t word = 0, digit = 0;
    for (uint32_t i = 0; i < 16; i++) {
        uint8_t c = (uint8_t)from[i];
        if (c >= 0x80)
            return false;
        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
        to[i] = (char)c;
        word |= (uint32_t)ascii_word(c) << i;
        digit |= (uint32_t)(c >= '0' && c <= '9') << i;
    }
    *ret_word = word;
    *ret_digit = digit;
    return true;
}
#endif

static bool fold_ascii(struct yg_words *w, yg_str text) {
    uint64_t *words = word_bits(w), *digits = digit_bits(w);
    for (size_t at = 0; at < text.len; at += 16) {
        uint32_t word, digit;
        char tail[16] = {0};
        const char *from = text.ptr + at;
        if (text.len - at < 16) {
            memcpy(tail, from, text.len - at);
            from = tail;
        }
        if (!classify16(from, w->folded + at, &word, &digit))
            return false;
        uint32_t shift = (uint32_t)(at & 63);
        if (shift == 0)
            words[at / 64] = digits[at / 64] = 0;
        words[at / 64] |= (uint64_t)word << shift;
        digits[at / 64] |= (uint64_t)digit << shift;
    }
    return true;
}

static size_t fold_unicode(struct yg_words *w, yg_str text) {
    size_t n = 0, words = YG_BITS_WORDS(text.len * 3 + 8);
    uint64_t *word = word_bits(w), *digit = digit_bits(w);
    memset(word, 0, words * 8);
    memset(digit, 0, words * 8);
    for (size_t at = 0; at < text.len;) {
        uint32_t cp = yg_utf8_next(text, &at);
        bool is_word = yg_utf8_is_word(cp) && !yg_text_unspaced(cp);
        size_t len = yg_utf8_put(yg_text_fold(cp), w->folded + n);
        for (size_t i = n; is_word && i < n + len; i++)
            yg_bits_set(word, (uint32_t)i);
        if (cp >= '0' && cp <= '9')
            yg_bits_set(digit, (uint32_t)n);
        n += len;
    }
    return n;
}

// ------------------------------------------------------------ runs

static size_t run_start(const uint64_t *bits, size_t at) {
    size_t i = at >> 6;
    uint64_t gap = ~bits[i] & ((UINT64_C(1) << (at & 63)) - 1);
    while (gap == 0 && i > 0)
        gap = ~bits[--i];
    return gap ? i * 64 + 64 - (size_t)__builtin_clzll(gap) : 0;
}

static size_t run_end(const uint64_t *bits, size_t at, size_t len) {
    size_t i = at >> 6;
    uint64_t gap = ~bits[i] & (~UINT64_C(0) << (at & 63));
    while (gap == 0 && ++i * 64 < len)
        gap = ~bits[i];
    size_t end = gap ? i * 64 + (size_t)__builtin_ctzll(gap) : len;
    return end < len ? end : len;
}

static bool is_hex(const char *p, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
            return false;
    return true;
}

static bool is_decimal(const char *p, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

static bool is_uuid(const struct yg_words *w, size_t at, size_t len) {
    const char *p = w->folded + at;
    if (at > len || len - at < UUID_BYTES)
        return false;
    if ((at > 0 && yg_bits_get(word_bits(w), (uint32_t)at - 1)) ||
        (at + UUID_BYTES < len && yg_bits_get(word_bits(w), (uint32_t)(at + UUID_BYTES))))
        return false;
    return p[8] == '-' && p[13] == '-' && p[18] == '-' && p[23] == '-' && is_hex(p, 8) &&
           is_hex(p + 9, 4) && is_hex(p + 14, 4) && is_hex(p + 19, 4) && is_hex(p + 24, 12);
}

// Where the UUID begins that the group [at, at + group_len) belongs to; SIZE_MAX: to none.
static size_t uuid_around(const struct yg_words *w, size_t at, size_t group_len, size_t len) {
    static const uint8_t offsets[] = {0, 9, 14, 19, 24}, lens[] = {8, 4, 4, 4, 12};
    for (int i = 0; i < 5; i++)
        if (group_len == lens[i] && at >= offsets[i] && is_uuid(w, at - offsets[i], len))
            return at - offsets[i];
    return SIZE_MAX;
}

static void add_word(struct yg_words *w, size_t at, size_t len, bool sure) {
    YG_GROW(YG_MEM_STORE, w->list, w->count, w->list_cap);
    w->list[w->count++] = (struct yg_word){.at = (uint32_t)at, .len = (uint32_t)len, .sure = sure};
}

static bool has_wildcard(const char *p, size_t len) {
    return memchr(p, YG_WILD_RUN, len) != NULL || memchr(p, YG_WILD_ONE, len) != NULL;
}

// Takes the word [at, end); gives where to go on.
static size_t take_word(struct yg_words *w, size_t at, size_t end, size_t len, bool pattern) {
    const char *p = w->folded + at;
    size_t n = end - at;
    bool sure = true;
    if ((n == 4 || n == 8 || n == 12) && is_hex(p, n)) {
        size_t uuid = uuid_around(w, at, n, len);
        if (uuid != SIZE_MAX) {
            add_word(w, uuid, UUID_BYTES, true);
            if (is_decimal(w->folded + uuid, 8))
                add_word(w, uuid, 8, true);
            if (is_decimal(w->folded + uuid + 24, 12))
                add_word(w, uuid + 24, 12, true);
            return uuid + UUID_BYTES;
        }
        sure = n != 4 && is_decimal(p, n);
    }
    if (n >= WORD_BYTES_MIN && n <= WORD_BYTES_MAX && !(pattern && has_wildcard(p, n)))
        add_word(w, at, n, sure);
    return end;
}

void yg_words_read(struct yg_words *w, yg_str text, bool pattern) {
    w->count = 0;
    if (text.len > UINT32_MAX / 4)
        return;
    reserve(w, text.len * 3 + 8); // a byte that is no UTF-8 becomes three
    size_t len = text.len;
    if (!fold_ascii(w, text))
        len = fold_unicode(w, text);
    for (size_t i = 0; pattern && i < len; i++)
        if (w->folded[i] == YG_WILD_RUN || w->folded[i] == YG_WILD_ONE)
            yg_bits_set(word_bits(w), (uint32_t)i);
    const uint64_t *digits = digit_bits(w);
    size_t from = 0;
    for (size_t i = 0; i * 64 < len; i = from > i * 64 + 63 ? from >> 6 : i + 1) {
        uint64_t left = digits[i];
        if (from > i * 64)
            left &= ~UINT64_C(0) << (from & 63);
        while (left) {
            size_t at = i * 64 + (size_t)__builtin_ctzll(left);
            from = take_word(w, run_start(word_bits(w), at), run_end(word_bits(w), at, len), len,
                             pattern);
            if (from >= i * 64 + 64)
                break;
            left &= ~UINT64_C(0) << (from & 63);
        }
    }
}
