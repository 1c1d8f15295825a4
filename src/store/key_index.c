// SPDX-License-Identifier: Apache-2.0
// Writes key indexes: hashes values and words, sorts them by radix, packs them into parts.
#include "store/key_format.h"

#include "base/hash.h"
#include "filter/filter.h"
#include "model/track.h"

#define PART_ENTRIES (1u << 20)   // a part is written once so many keys wait
#define PART_GRANULES 96u         // or they span so many granules
#define ENTRIES_MAX (4u << 20)    // keys that wait at most: what comes then is not covered
#define BUCKET_ENTRIES 192u       // about as many keys a bucket
#define VALUE_MEAN_BYTES_MAX 256u // longer texts are nobody's search by whole value
#define RADIX_BITS 12u
#define RECENT_SLOTS_MAX (1u << 14)

// ------------------------------------------------------------ keys

static inline uint32_t key_of_hash(uint64_t h) {
    return (uint32_t)(yg_hash_u64(h) >> (64 - YG_KEY_BITS));
}

static uint64_t column_seed(yg_str column, enum yg_key_kind kind) {
    return yg_hash_stable(column.ptr, column.len) + (uint64_t)kind * 0x9e3779b97f4a7c15u;
}

static inline uint32_t key_of_low(uint64_t low) {
    return key_of_hash(low ^ 0x5851f42d4c957f2du);
}

static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_low(yg_str s, uint64_t *ret_low) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        int d = hex_digit(s.ptr[i]);
        if (d < 0)
            return false;
        v = v << 4 | (uint64_t)d;
    }
    *ret_low = v;
    return true;
}

static bool decimal_low(yg_str s, uint64_t *ret_low) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.ptr[i] - '0'), &v))
            return false;
    }
    *ret_low = v;
    return true;
}

// UUID: dashes where they belong, hex elsewhere; `lower` gets its text.
static bool is_uuid(yg_str s, char lower[36]) {
    for (uint32_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.ptr[i] != '-' : hex_digit(s.ptr[i]) < 0)
            return false;
        lower[i] = (char)(s.ptr[i] | 0x20); // of a dash: a dash
    }
    return true;
}

static inline uint32_t key_of_text(uint64_t seed, yg_str s) {
    char lower[36];
    uint64_t low;
    if (s.len >= 15 && s.len <= 36) {
        if (s.len == 36 && s.ptr[8] == '-' && is_uuid(s, lower))
            return key_of_hash(yg_hash_stable(lower, 36));
        if (s.len <= 20 && decimal_low(s, &low))
            return key_of_low(low);
        if ((s.len == 16 || s.len == 32) && hex_low(s, &low))
            return key_of_low(low);
    }
    return key_of_hash(yg_hash_stable(s.ptr, s.len) ^ seed);
}

uint32_t yg_key_of_value(yg_str column, yg_str value) {
    return key_of_text(column_seed(column, YG_KEY_VALUE), value);
}
uint32_t yg_key_of_word(yg_str column, yg_str folded_word) {
    return key_of_text(column_seed(column, YG_KEY_WORD), folded_word);
}
uint32_t yg_key_of_id(yg_id128 id) {
    return key_of_low(id.lo);
}

// ------------------------------------------------------------ builder

struct cover {
    yg_str name; // own
    enum yg_type type;
    enum yg_key_kind kind;
    uint64_t *granules;
    uint32_t words;
};

struct yg_key_builder {
    uint64_t *entries; // key << 32 | granule
    uint32_t count, cap;
    uint32_t first_granule, last_granule; // of the entries
    uint32_t *recent;                     // keys of this granule and column, some of them
    uint32_t recent_mask;
    struct yg_words words;
    struct cover *covers;
    uint32_t cover_count, cover_cap;
    struct yg_key_part_head *parts;
    uint32_t part_count, part_cap;
    uint32_t *crcs;
    uint32_t crc_count, crc_cap;
};

struct yg_key_builder *yg_key_builder_create(void) {
    struct yg_key_builder *b = yg_calloc(YG_MEM_STORE, 1, sizeof(*b));
    b->recent = yg_alloc(YG_MEM_STORE, sizeof(*b->recent) * RECENT_SLOTS_MAX);
    return b;
}

void yg_key_builder_destroy(struct yg_key_builder *b) {
    if (b == NULL)
        return;
    for (uint32_t i = 0; i < b->cover_count; i++) {
        yg_free(YG_MEM_STORE, (void *)(uintptr_t)b->covers[i].name.ptr);
        yg_free(YG_MEM_STORE, b->covers[i].granules);
    }
    yg_words_fini(&b->words);
    yg_free(YG_MEM_STORE, b->entries);
    yg_free(YG_MEM_STORE, b->recent);
    yg_free(YG_MEM_STORE, b->covers);
    yg_free(YG_MEM_STORE, b->parts);
    yg_free(YG_MEM_STORE, b->crcs);
    yg_free(YG_MEM_STORE, b);
}

static void cover(struct yg_key_builder *b, yg_str column, enum yg_type type, enum yg_key_kind kind,
                  uint32_t granule) {
    struct cover *c = NULL;
    for (uint32_t i = b->cover_count; i-- > 0 && c == NULL;) // the newest is asked for most
        if (b->covers[i].type == type && b->covers[i].kind == kind &&
            yg_str_eq(b->covers[i].name, column))
            c = &b->covers[i];
    if (c == NULL) {
        YG_GROW(YG_MEM_STORE, b->covers, b->cover_count, b->cover_cap);
        c = &b->covers[b->cover_count++];
        yg_str own = {yg_strndup(YG_MEM_STORE, column.ptr, column.len), column.len};
        *c = (struct cover){.name = own, .type = type, .kind = kind};
    }
    uint32_t words = granule / 64 + 1;
    if (words > c->words) {
        uint32_t cap = c->words * 2 > words ? c->words * 2 : words;
        c->granules = yg_realloc(YG_MEM_STORE, c->granules, sizeof(uint64_t) * cap);
        memset(c->granules + c->words, 0, sizeof(uint64_t) * (cap - c->words));
        c->words = cap;
    }
    yg_bits_set(c->granules, granule);
}

static void push(struct yg_key_builder *b, uint32_t key, uint32_t granule) {
    YG_GROW(YG_MEM_STORE, b->entries, b->count, b->cap);
    if (b->count == 0)
        b->first_granule = b->last_granule = granule;
    b->first_granule = granule < b->first_granule ? granule : b->first_granule;
    b->last_granule = granule > b->last_granule ? granule : b->last_granule;
    b->entries[b->count++] = (uint64_t)key << 32 | granule;
}

// Leaves most repetitions within a granule out; sorting finds the others.
static inline void push_new(struct yg_key_builder *b, uint32_t key, uint32_t granule) {
    uint32_t *slot = &b->recent[key & b->recent_mask];
    if (*slot == key)
        return;
    *slot = key;
    push(b, key, granule);
}

static void forget_recent(struct yg_key_builder *b, uint32_t count) {
    uint32_t slots = 64;
    while (slots < count && slots < RECENT_SLOTS_MAX)
        slots *= 2;
    b->recent_mask = slots - 1;
    memset(b->recent, 0xff, sizeof(*b->recent) * slots); // no key is that large
}

static bool free_words_search(yg_str column) { // filter/match.c: free_word_sources
    return yg_str_eq_c(column, YG_COL_MESSAGE) || yg_str_eq_c(column, "@title") ||
           yg_str_eq_c(column, YG_COL_RESOURCE) || yg_str_eq_c(column, YG_COL_OPERATION);
}

static bool room_for(const struct yg_key_builder *b, uint64_t more) {
    return b->count + more <= ENTRIES_MAX;
}

static void add_words(struct yg_key_builder *b, const struct yg_key_input *in) {
    uint64_t seed = column_seed(in->column, YG_KEY_WORD);
    forget_recent(b, in->count * 2);
    for (uint32_t i = 0; i < in->count; i++) {
        yg_words_read(&b->words, in->strs[i], false);
        if (!room_for(b, b->words.count))
            return;
        for (uint32_t k = 0; k < b->words.count; k++) {
            yg_str word = {b->words.folded + b->words.list[k].at, b->words.list[k].len};
            push_new(b, key_of_text(seed, word), in->granule);
        }
    }
    cover(b, in->column, in->type, YG_KEY_WORD, in->granule);
}

static void add_values(struct yg_key_builder *b, const struct yg_key_input *in) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < in->count; i++)
        bytes += in->strs[i].len;
    if (bytes / in->count > VALUE_MEAN_BYTES_MAX)
        return;
    uint64_t seed = column_seed(in->column, YG_KEY_VALUE);
    forget_recent(b, in->count);
    for (uint32_t i = 0; i < in->count; i++)
        if (i == 0 || !yg_str_eq(in->strs[i], in->strs[i - 1]))
            push_new(b, key_of_text(seed, in->strs[i]), in->granule);
    cover(b, in->column, in->type, YG_KEY_VALUE, in->granule);
}

static void add_ids(struct yg_key_builder *b, const struct yg_key_input *in) {
    forget_recent(b, in->count);
    for (uint32_t i = 0; i < in->count; i++)
        if (i == 0 || in->ids[i].lo != in->ids[i - 1].lo)
            push_new(b, key_of_low(in->ids[i].lo), in->granule);
    cover(b, in->column, in->type, YG_KEY_VALUE, in->granule);
}

void yg_key_builder_add(struct yg_key_builder *b, const struct yg_key_input *in) {
    if (in->count == 0 || !room_for(b, in->count))
        return;
    if (in->type == YG_T_ID)
        add_ids(b, in);
    else if (in->type != YG_T_STR || !in->many_values)
        return;
    else if (!free_words_search(in->column))
        add_values(b, in);
    else
        add_words(b, in);
}

// ------------------------------------------------------------ parts

// Stable radix sort; `tmp` as long as v. The result is in v.
static void sort_entries(uint64_t *v, uint64_t *tmp, uint32_t count, uint32_t bits) {
    uint32_t at[1u << RADIX_BITS];
    uint64_t *from = v, *to = tmp;
    for (uint32_t shift = 0; shift < bits; shift += RADIX_BITS) {
        memset(at, 0, sizeof(at));
        for (uint32_t i = 0; i < count; i++)
            at[(from[i] >> shift) & ((1u << RADIX_BITS) - 1)]++;
        uint32_t sum = 0;
        for (uint32_t d = 0; d < 1u << RADIX_BITS; d++) {
            uint32_t n = at[d];
            at[d] = sum;
            sum += n;
        }
        for (uint32_t i = 0; i < count; i++)
            to[at[(from[i] >> shift) & ((1u << RADIX_BITS) - 1)]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != v)
        memcpy(v, from, sizeof(*v) * count);
}

static uint32_t bits_for(uint64_t values) { // to tell so many values apart
    return values <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(values - 1);
}

// Sorts the entries as (key << granule_bits | granule from first_granule), each once.
static void settle_entries(struct yg_key_builder *b, uint32_t granule_bits) {
    uint64_t *tmp = yg_alloc(YG_MEM_STORE, sizeof(*tmp) * b->count);
    for (uint32_t i = 0; i < b->count; i++)
        b->entries[i] =
            b->entries[i] >> 32 << granule_bits | ((uint32_t)b->entries[i] - b->first_granule);
    sort_entries(b->entries, tmp, b->count, YG_KEY_BITS + granule_bits);
    yg_free(YG_MEM_STORE, tmp);
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->count; i++)
        if (n == 0 || b->entries[i] != b->entries[n - 1])
            b->entries[n++] = b->entries[i];
    b->count = n;
}

static struct yg_key_part_head plan_part(const struct yg_key_builder *b, uint32_t granule_bits,
                                         uint64_t offset) {
    struct yg_key_part_head h = {
        .offset = offset,
        .first_granule = b->first_granule,
        .granules = b->last_granule - b->first_granule + 1,
        .entries = b->count,
        .granule_bits = (uint8_t)granule_bits,
        .first_page = b->crc_count,
    };
    h.bucket_bits = (uint8_t)bits_for((b->count + BUCKET_ENTRIES - 1) / BUCKET_ENTRIES);
    uint64_t mean_gap = (UINT64_C(1) << YG_KEY_BITS) / b->count;
    h.low_bits = (uint8_t)(63 - __builtin_clzll(mean_gap | 1));
    if (h.low_bits > YG_KEY_BITS - h.bucket_bits)
        h.low_bits = (uint8_t)(YG_KEY_BITS - h.bucket_bits);
    return h;
}

// table and data are zeroed; data has 8 bytes to spare.
static void pack_part(const struct yg_key_builder *b, const struct yg_key_part_head *h,
                      uint32_t *table, char *data) {
    uint32_t rest = yg_key_rest_bits(h), buckets = 1u << h->bucket_bits;
    for (uint32_t i = 0; i < b->count; i++)
        table[(b->entries[i] >> h->granule_bits >> rest) + 1]++;
    for (uint32_t k = 0; k < buckets; k++)
        table[k + 1] += table[k];
    for (uint32_t k = 0; k < buckets; k++) {
        uint32_t n = table[k + 1] - table[k];
        const uint64_t *e = b->entries + table[k];
        uint64_t at = yg_key_bucket_at(h, k, table[k]);
        uint64_t lows = at + n + yg_key_highs(h), granules = lows + (uint64_t)n * h->low_bits;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t key = (e[i] >> h->granule_bits) & ((UINT64_C(1) << rest) - 1);
            yg_key_bits_put(data, at + (key >> h->low_bits) + i, 1);
            yg_key_bits_put(data, lows + (uint64_t)i * h->low_bits,
                            key & ((UINT64_C(1) << h->low_bits) - 1));
            yg_key_bits_put(data, granules + (uint64_t)i * h->granule_bits,
                            e[i] & ((UINT64_C(1) << h->granule_bits) - 1));
        }
    }
}

static yg_rc write_part(struct yg_key_builder *b, uint64_t at, struct yg_buf *out,
                        struct yg_err *err) {
    uint32_t granule_bits = bits_for((uint64_t)b->last_granule - b->first_granule + 1);
    settle_entries(b, granule_bits);
    struct yg_key_part_head h = plan_part(b, granule_bits, at);
    size_t table_bytes = yg_key_table_bytes(&h), data_bytes = yg_key_data_bytes(&h);
    size_t bytes = (table_bytes + data_bytes + 7) / 8 * 8;
    YG_TRY(yg_buf_reserve(out, bytes + 8, err));
    uint32_t *table = yg_calloc(YG_MEM_STORE, 1, table_bytes);
    char *data = out->ptr + out->len + table_bytes;
    memset(out->ptr + out->len, 0, bytes + 8);
    pack_part(b, &h, table, data);
    memcpy(out->ptr + out->len, table, table_bytes);
    h.table_crc32c = yg_crc32c(0, table, table_bytes);
    yg_free(YG_MEM_STORE, table);
    for (size_t from = 0; from < data_bytes; from += YG_KEY_PAGE_BYTES) {
        size_t n = data_bytes - from < YG_KEY_PAGE_BYTES ? data_bytes - from : YG_KEY_PAGE_BYTES;
        YG_GROW(YG_MEM_STORE, b->crcs, b->crc_count, b->crc_cap);
        b->crcs[b->crc_count++] = yg_crc32c(0, data + from, n);
    }
    out->len += bytes;
    YG_GROW(YG_MEM_STORE, b->parts, b->part_count, b->part_cap);
    b->parts[b->part_count++] = h;
    b->count = 0;
    return YG_OK;
}

yg_rc yg_key_builder_stripe(struct yg_key_builder *b, uint64_t at, struct yg_buf *out,
                            struct yg_err *err) {
    bool full = b->count >= PART_ENTRIES ||
                (b->count > 0 && b->last_granule - b->first_granule + 1 >= PART_GRANULES);
    return full ? write_part(b, at, out, err) : YG_OK;
}

static void put_padded(struct yg_buf *out, const void *ptr, size_t len) {
    static const char zeros[8];
    yg_buf_put(out, ptr, len);
    yg_buf_put(out, zeros, (8 - len % 8) % 8);
}

static void put_cover(struct yg_buf *out, const struct cover *c, uint32_t granule_count) {
    struct yg_key_cover_head head = {
        .name_bytes = (uint32_t)c->name.len, .type = (uint8_t)c->type, .kind = (uint8_t)c->kind};
    yg_buf_put(out, &head, sizeof(head));
    put_padded(out, c->name.ptr, c->name.len);
    for (uint32_t w = 0; w < YG_BITS_WORDS(granule_count); w++) {
        uint64_t word = w < c->words ? c->granules[w] : 0;
        yg_buf_put(out, &word, sizeof(word));
    }
}

yg_rc yg_key_builder_write(struct yg_key_builder *b, uint64_t at, uint32_t granule_count,
                           struct yg_buf *out, uint64_t *ret_section_at, struct yg_err *err) {
    size_t start = out->len;
    *ret_section_at = at;
    if (b->count > 0)
        YG_TRY(write_part(b, at, out, err));
    *ret_section_at = at + (out->len - start);
    if (b->cover_count == 0)
        return YG_OK;
    struct yg_key_section head = {
        .kind = YG_KEY_SECTION_KIND,
        .granules = granule_count,
        .parts = b->part_count,
        .covers = b->cover_count,
        .pages = b->crc_count,
    };
    yg_buf_put(out, &head, sizeof(head));
    yg_buf_put(out, b->parts, sizeof(*b->parts) * b->part_count);
    put_padded(out, b->crcs, sizeof(*b->crcs) * b->crc_count);
    for (uint32_t i = 0; i < b->cover_count; i++)
        put_cover(out, &b->covers[i], granule_count);
    return yg_buf_ok(out, err);
}

// ------------------------------------------------------------ copying

struct copy {
    struct yg_key_builder *b;
    uint32_t from, count, to;
};

static void copy_bucket(struct copy *c, const struct yg_key_part *p, uint32_t bucket,
                        const char *data) {
    const struct yg_key_part_head *h = &p->head;
    uint32_t n = p->table[bucket + 1] - p->table[bucket];
    uint64_t at = yg_key_bucket_at(h, bucket, p->table[bucket]), highs = yg_key_highs(h);
    uint64_t lows = at + n + highs, granules = lows + (uint64_t)n * h->low_bits;
    uint32_t i = 0;
    for (uint64_t pos = 0; pos < n + highs && i < n; pos++) {
        if (!yg_key_bits_get(data, at + pos, 1))
            continue;
        uint64_t low = yg_key_bits_get(data, lows + (uint64_t)i * h->low_bits, h->low_bits);
        uint64_t granule =
            h->first_granule +
            yg_key_bits_get(data, granules + (uint64_t)i * h->granule_bits, h->granule_bits);
        uint64_t key = (uint64_t)bucket << yg_key_rest_bits(h) | (pos - i) << h->low_bits | low;
        if (granule >= c->from && granule - c->from < c->count && room_for(c->b, 1))
            push(c->b, (uint32_t)key, (uint32_t)granule - c->from + c->to);
        i++;
    }
}

yg_rc yg_key_builder_copy(struct yg_key_builder *b, const struct yg_key_index *index, uint32_t from,
                          uint32_t count, uint32_t to, struct yg_err *err) {
    struct copy c = {b, from, count, to};
    for (uint32_t i = 0; i < index->part_count; i++) {
        const struct yg_key_part *p = &index->parts[i];
        uint64_t end = (uint64_t)p->head.first_granule + p->head.granules;
        if (from >= end || p->head.first_granule >= (uint64_t)from + count)
            continue;
        char *data = NULL;
        YG_TRY(yg_key_part_load(index, i, &data, err));
        for (uint32_t k = 0; k < 1u << p->head.bucket_bits; k++)
            copy_bucket(&c, p, k, data);
        yg_free(YG_MEM_STORE, data);
    }
    if (!room_for(b, 1)) // some were left out
        return YG_OK;
    for (uint32_t i = 0; i < index->cover_count; i++) {
        const struct yg_key_cover *k = &index->covers[i];
        for (uint32_t g = 0; g < count && from + g < index->granule_count; g++)
            if (yg_bits_get(k->granules, from + g))
                cover(b, k->name, k->type, k->kind, to + g);
    }
    return YG_OK;
}
