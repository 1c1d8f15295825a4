// SPDX-License-Identifier: Apache-2.0
// Reads key indexes: checks the section, keeps the tables, finds a key in one bucket of each part.
#include "store/key_format.h"

#include "base/hash.h"
#include "base/panic.h"

#define FIND_BUFFER_PAGES 2u

// ------------------------------------------------------------ opening

struct parser {
    yg_str bytes;
    size_t at;
};

static const void *take(struct parser *p, uint64_t len) {
    uint64_t padded = (len + 7) / 8 * 8;
    if (len > p->bytes.len || padded > p->bytes.len - p->at)
        return NULL;
    const void *ptr = p->bytes.ptr + p->at;
    p->at += (size_t)padded;
    return ptr;
}

static yg_rc corrupt(size_t at, const char *what, struct yg_err *err) {
    return yg_fail(err, YG_ECORRUPT, "key index: %s (offset %zu of its section)", what, at);
}

static bool check_part(const struct yg_key_index *index, const struct yg_key_part_head *h,
                       uint32_t pages, uint64_t parts_end) {
    if (h->entries == 0 || h->bucket_bits > 22 || h->granule_bits > 20 || h->zero != 0 ||
        h->low_bits > YG_KEY_BITS - h->bucket_bits || h->granules == 0 ||
        h->entries > UINT32_C(1) << YG_KEY_BITS)
        return false;
    if (h->first_granule >= index->granule_count ||
        h->granules > index->granule_count - h->first_granule ||
        (h->granules - 1) >> h->granule_bits != 0)
        return false;
    uint64_t bytes = yg_key_table_bytes(h) + yg_key_data_bytes(h);
    if (bytes > parts_end || h->offset > parts_end - bytes)
        return false;
    return h->first_page <= pages && yg_key_pages(h) <= pages - h->first_page;
}

static yg_rc read_table(struct yg_key_index *index, struct yg_key_part *p, struct yg_err *err) {
    size_t bytes = (size_t)yg_key_table_bytes(&p->head);
    p->table = yg_try_alloc(YG_MEM_CACHE, bytes);
    if (p->table == NULL)
        return yg_fail(err, YG_ENOMEM, "key index: table of %zu bytes", bytes);
    index->memory_bytes += bytes;
    YG_TRY(index->io.read(index->io.ctx, p->table, bytes, p->head.offset, err));
    bool good = yg_crc32c(0, p->table, bytes) == p->head.table_crc32c && p->table[0] == 0;
    uint32_t buckets = 1u << p->head.bucket_bits;
    for (uint32_t k = 0; k < buckets && good; k++)
        good = p->table[k] <= p->table[k + 1];
    if (!good || p->table[buckets] != p->head.entries)
        return yg_fail(err, YG_ECORRUPT, "key index: bad table of a part (offset %llu)",
                       (unsigned long long)p->head.offset);
    return YG_OK;
}

static yg_rc read_parts(struct yg_key_index *index, struct parser *p,
                        const struct yg_key_section *s, uint64_t parts_end, struct yg_err *err) {
    size_t at = p->at;
    const struct yg_key_part_head *heads = take(p, (uint64_t)s->parts * sizeof(*heads));
    size_t crcs_at = p->at;
    index->page_crcs = take(p, (uint64_t)s->pages * 4);
    if (heads == NULL || index->page_crcs == NULL)
        return corrupt(crcs_at, "parts do not fit", err);
    index->parts = yg_try_alloc(YG_MEM_CACHE, sizeof(*index->parts) * (s->parts + 1u));
    if (index->parts == NULL)
        return yg_fail(err, YG_ENOMEM, "key index of %u parts", s->parts);
    index->memory_bytes += sizeof(*index->parts) * (s->parts + 1u);
    for (; index->part_count < s->parts; at += sizeof(*heads)) {
        struct yg_key_part *part = &index->parts[index->part_count];
        *part = (struct yg_key_part){.head = heads[index->part_count]};
        if (!check_part(index, &part->head, s->pages, parts_end))
            return corrupt(at, "a part breaks its own rules", err);
        index->part_count++;
        YG_TRY(read_table(index, part, err));
    }
    return YG_OK;
}

static yg_rc read_covers(struct yg_key_index *index, struct parser *p, uint32_t count,
                         struct yg_err *err) {
    if (count > p->bytes.len / sizeof(struct yg_key_cover_head))
        return corrupt(p->at, "more columns than bytes", err);
    index->covers = yg_try_alloc(YG_MEM_CACHE, sizeof(*index->covers) * (count + 1u));
    if (index->covers == NULL)
        return yg_fail(err, YG_ENOMEM, "key index of %u columns", count);
    index->memory_bytes += sizeof(*index->covers) * (count + 1u);
    for (; index->cover_count < count; index->cover_count++) {
        size_t at = p->at;
        const struct yg_key_cover_head *h = take(p, sizeof(*h));
        const char *name = h ? take(p, h->name_bytes) : NULL;
        const uint64_t *bits = name ? take(p, YG_BITS_WORDS(index->granule_count) * 8u) : NULL;
        if (bits == NULL || h->type >= YG_TYPE_COUNT || h->kind >= YG_KEY_KIND_COUNT)
            return corrupt(at, "bad column", err);
        index->covers[index->cover_count] = (struct yg_key_cover){
            .name = {name, h->name_bytes},
            .type = (enum yg_type)h->type,
            .kind = (enum yg_key_kind)h->kind,
            .granules = bits,
        };
    }
    return YG_OK;
}

static yg_rc open_section(struct yg_key_index *index, yg_str section, uint64_t parts_end,
                          struct yg_err *err) {
    YG_ASSERT((uintptr_t)section.ptr % 8 == 0);
    struct parser p = {.bytes = section};
    const struct yg_key_section *s = take(&p, sizeof(*s));
    if (s == NULL || s->kind != YG_KEY_SECTION_KIND || s->granules != index->granule_count)
        return corrupt(0, "bad head", err);
    if (s->parts > section.len / sizeof(struct yg_key_part_head) || s->pages > section.len / 4)
        return corrupt(8, "more parts than bytes", err);
    YG_TRY(read_parts(index, &p, s, parts_end, err));
    YG_TRY(read_covers(index, &p, s->covers, err));
    return p.at == section.len ? YG_OK : corrupt(p.at, "bytes after the end", err);
}

yg_rc yg_key_index_open(yg_str section, uint32_t granule_count, uint64_t parts_end,
                        const struct yg_key_io *io, struct yg_key_index *ret_index,
                        struct yg_err *err) {
    *ret_index = (struct yg_key_index){.io = *io, .granule_count = granule_count};
    if (section.len == 0)
        return YG_OK;
    yg_rc rc = open_section(ret_index, section, parts_end, err);
    if (rc != YG_OK)
        yg_key_index_close(ret_index);
    return rc;
}

void yg_key_index_close(struct yg_key_index *index) {
    for (uint32_t i = 0; i < index->part_count; i++)
        yg_free(YG_MEM_CACHE, index->parts[i].table);
    yg_free(YG_MEM_CACHE, index->parts);
    yg_free(YG_MEM_CACHE, index->covers);
    *index = (struct yg_key_index){0};
}

// ------------------------------------------------------------ pages

// Reads and checks pages [first, first + count) of a part; out has 8 bytes to spare, set to 0.
static yg_rc read_pages(const struct yg_key_index *index, const struct yg_key_part_head *h,
                        uint32_t first, uint32_t count, char *out, struct yg_err *err) {
    uint64_t from = (uint64_t)first * YG_KEY_PAGE_BYTES;
    uint64_t left = yg_key_data_bytes(h) - from;
    size_t len = (size_t)count * YG_KEY_PAGE_BYTES;
    len = left < len ? (size_t)left : len;
    uint64_t at = h->offset + yg_key_table_bytes(h) + from;
    YG_TRY(index->io.read(index->io.ctx, out, len, at, err));
    memset(out + len, 0, 8);
    for (uint32_t i = 0; i < count; i++) {
        size_t begin = (size_t)i * YG_KEY_PAGE_BYTES;
        size_t n = len - begin < YG_KEY_PAGE_BYTES ? len - begin : YG_KEY_PAGE_BYTES;
        if (yg_crc32c(0, out + begin, n) != index->page_crcs[h->first_page + first + i])
            return yg_fail(err, YG_ECORRUPT, "key index: bad checksum of a page (offset %llu)",
                           (unsigned long long)(at + begin));
    }
    return YG_OK;
}

yg_rc yg_key_part_load(const struct yg_key_index *index, uint32_t part, char **ret_data,
                       struct yg_err *err) {
    const struct yg_key_part_head *h = &index->parts[part].head;
    uint32_t pages = yg_key_pages(h);
    char *data = yg_try_alloc(YG_MEM_STORE, (size_t)pages * YG_KEY_PAGE_BYTES + 8);
    if (data == NULL)
        return yg_fail(err, YG_ENOMEM, "key index: part of %u pages", pages);
    yg_rc rc = read_pages(index, h, 0, pages, data, err);
    if (rc == YG_OK)
        *ret_data = data;
    else
        yg_free(YG_MEM_STORE, data);
    return rc;
}

// ------------------------------------------------------------ finding

// Position after the `zeros`-th zero bit of the `len` bits from `at`; len when there are fewer.
static uint64_t after_zeros(const char *data, uint64_t at, uint64_t len, uint64_t zeros) {
    uint64_t pos = 0;
    while (zeros > 0 && pos < len) {
        uint64_t gaps = ~yg_key_bits_get(data, at + pos, 56) & ((UINT64_C(1) << 56) - 1);
        uint64_t n = (uint64_t)__builtin_popcountll(gaps);
        if (n < zeros) {
            zeros -= n;
            pos += 56;
            continue;
        }
        while (--zeros > 0)
            gaps &= gaps - 1;
        return pos + (uint64_t)__builtin_ctzll(gaps) + 1;
    }
    return pos < len ? pos : len;
}

// The bucket begins at bit `at` of data. False: it breaks its own rules.
static bool find_in_bucket(const struct yg_key_part *p, uint32_t n, const char *data, uint64_t at,
                           uint32_t key, uint64_t *granule_bits) {
    const struct yg_key_part_head *h = &p->head;
    uint64_t rest = key & ((UINT64_C(1) << yg_key_rest_bits(h)) - 1);
    uint64_t high = rest >> h->low_bits, low = rest & ((UINT64_C(1) << h->low_bits) - 1);
    uint64_t len = n + yg_key_highs(h);
    uint64_t lows = at + len, granules = lows + (uint64_t)n * h->low_bits;
    uint64_t pos = after_zeros(data, at, len, high);
    if (pos < high)
        return false;
    for (uint64_t i = pos - high; pos < len && yg_key_bits_get(data, at + pos, 1); pos++, i++) {
        if (i >= n)
            return false;
        if (yg_key_bits_get(data, lows + i * h->low_bits, h->low_bits) != low)
            continue;
        uint64_t granule = yg_key_bits_get(data, granules + i * h->granule_bits, h->granule_bits);
        if (granule >= h->granules)
            return false;
        yg_bits_set(granule_bits, h->first_granule + (uint32_t)granule);
    }
    return true;
}

static yg_rc find_in_part(const struct yg_key_index *index, const struct yg_key_part *p,
                          uint32_t key, uint64_t *granule_bits, struct yg_err *err) {
    const struct yg_key_part_head *h = &p->head;
    uint32_t bucket = key >> yg_key_rest_bits(h);
    uint32_t n = p->table[bucket + 1] - p->table[bucket];
    if (n == 0)
        return YG_OK;
    uint64_t at = yg_key_bucket_at(h, bucket, p->table[bucket]);
    uint64_t end = yg_key_bucket_at(h, bucket + 1, p->table[bucket + 1]);
    uint32_t first = (uint32_t)(at / 8 / YG_KEY_PAGE_BYTES);
    uint32_t pages = (uint32_t)((end - 1) / 8 / YG_KEY_PAGE_BYTES) - first + 1;
    char small[FIND_BUFFER_PAGES * YG_KEY_PAGE_BYTES + 8], *data = small;
    if (pages > FIND_BUFFER_PAGES) {
        data = yg_try_alloc(YG_MEM_QUERY, (size_t)pages * YG_KEY_PAGE_BYTES + 8);
        if (data == NULL)
            return yg_fail(err, YG_ENOMEM, "key index: bucket of %u pages", pages);
    }
    yg_rc rc = read_pages(index, h, first, pages, data, err);
    uint64_t at_data = at - (uint64_t)first * YG_KEY_PAGE_BYTES * 8;
    if (rc == YG_OK && !find_in_bucket(p, n, data, at_data, key, granule_bits))
        rc = yg_fail(err, YG_ECORRUPT, "key index: bad bucket (part at offset %llu)",
                     (unsigned long long)h->offset);
    if (data != small)
        yg_free(YG_MEM_QUERY, data);
    return rc;
}

yg_rc yg_key_index_find(const struct yg_key_index *index, uint32_t key, uint64_t *granule_bits,
                        struct yg_err *err) {
    YG_ASSERT(key < UINT32_C(1) << YG_KEY_BITS);
    yg_rc worst = YG_OK;
    for (uint32_t i = 0; i < index->part_count; i++) {
        const struct yg_key_part *p = &index->parts[i];
        yg_rc rc = find_in_part(index, p, key, granule_bits, err);
        for (uint32_t g = 0; rc != YG_OK && g < p->head.granules; g++)
            yg_bits_set(granule_bits, p->head.first_granule + g);
        worst = rc != YG_OK ? rc : worst;
    }
    return worst;
}

const uint64_t *yg_key_index_covered(const struct yg_key_index *index, yg_str column,
                                     enum yg_type type, enum yg_key_kind kind) {
    for (uint32_t i = 0; i < index->cover_count; i++) {
        const struct yg_key_cover *c = &index->covers[i];
        if (c->type == type && c->kind == kind && yg_str_eq(c->name, column))
            return c->granules;
    }
    return NULL;
}

bool yg_key_index_covers(const struct yg_key_index *index, yg_str column, enum yg_type type,
                         enum yg_key_kind kind) {
    const uint64_t *bits = yg_key_index_covered(index, column, type, kind);
    return bits && yg_bits_count(bits, index->granule_count) == index->granule_count;
}
