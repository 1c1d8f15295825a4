// SPDX-License-Identifier: Apache-2.0
// A segment's directory: parsed, checked, and kept in one form for both versions. Nothing in it is
// believed before it was checked against what surrounds it. docs/formats/segment.md §5.
#include "base/panic.h"
#include "store/segment.h"

struct parser {
    const char *ptr;
    size_t len;
    size_t at;
};

static const void *take(struct parser *p, uint64_t bytes) {
    if (bytes > p->len - p->at)
        return NULL;
    const void *ptr = p->ptr + p->at;
    p->at += (size_t)bytes;
    return ptr;
}

static void free_dict(struct yg_seg_dict *d) {
    if (d == NULL)
        return;
    yg_free(YG_MEM_CACHE, d->own_strs);
    yg_free(YG_MEM_CACHE, d->own_bytes);
    yg_free(YG_MEM_CACHE, d);
}

void yg_seg_dir_fini(struct yg_seg_dir *d) {
    for (uint32_t s = 0; d->stripes && s <= d->stripe_count; s++) { // the last may be half built
        struct yg_seg_stripe *st = &d->stripes[s];
        for (uint32_t i = 0; st->records && i < st->record_count; i++) {
            free_dict(st->records[i].dict);
            free_dict(st->records[i].map);
        }
        yg_free(YG_MEM_CACHE, st->records);
        yg_free(YG_MEM_CACHE, st->own_entries);
        yg_free(YG_MEM_CACHE, st->own_granules);
        yg_free(YG_MEM_CACHE, st->own_unlisted);
    }
    yg_key_index_close(&d->keys);
    yg_free(YG_MEM_CACHE, d->stripes);
    yg_free(YG_MEM_CACHE, d->columns);
    yg_free(YG_MEM_CACHE, d->bytes);
    yg_free(YG_MEM_CACHE, d->key_index);
    *d = (struct yg_seg_dir){0};
}

// ------------------------------------------------------------ what a stripe must be

static bool place_fits(uint64_t offset, uint64_t bytes, uint64_t data_end) {
    return offset <= data_end && bytes <= data_end - offset;
}

static bool check_dict(const struct yg_seg_dict_entry *d, uint64_t data_end) {
    return d->stored_bytes == 0 || place_fits(d->offset, d->stored_bytes, data_end);
}

static bool check_entry(const struct yg_seg_entry *e, uint32_t rows, uint64_t data_end) {
    return e->count > 0 && e->count <= rows && e->encoding < YG_ENC_COUNT &&
           e->encoding != YG_ENC_NULL && e->stored_bytes >= sizeof(struct yg_seg_chunk) &&
           place_fits(e->offset, e->stored_bytes, data_end);
}

static bool parse_granules(struct parser *p, struct yg_seg_stripe *st) {
    if (st->granule_count == 0 || st->granule_count > YG_SEG_STRIPE_GRANULES_MAX)
        return false;
    st->granules = take(p, sizeof(*st->granules) * (uint64_t)st->granule_count);
    if (st->granules == NULL)
        return false;
    uint64_t rows = 0;
    for (uint32_t g = 0; g < st->granule_count; g++) {
        if (st->granules[g].rows == 0 || st->granules[g].rows > YG_GRANULE_ROWS)
            return false;
        rows += st->granules[g].rows;
    }
    return rows == st->row_count;
}

static void alloc_records(struct yg_seg_stripe *st, uint64_t records, uint64_t entries) {
    st->records = yg_calloc(YG_MEM_CACHE, records + 1, sizeof(*st->records));
    st->own_entries = yg_calloc(YG_MEM_CACHE, entries + 1, sizeof(*st->own_entries));
    st->own_granules = yg_calloc(YG_MEM_CACHE, entries + 1, sizeof(*st->own_granules));
}

// ------------------------------------------------------------ version 1

// A dictionary a column, then a dense table of entries.
static bool parse_stripe_v1(struct parser *p, const struct yg_seg_dir *d, struct yg_seg_stripe *st,
                            uint64_t data_end) {
    const uint32_t *counts = take(p, 8);
    if (counts == NULL)
        return false;
    st->row_count = counts[0];
    st->granule_count = counts[1];
    if (!parse_granules(p, st))
        return false;
    const struct yg_seg_dict_entry *dicts = take(p, sizeof(*dicts) * (uint64_t)d->column_count);
    uint64_t cells = (uint64_t)d->column_count * st->granule_count;
    const struct yg_seg_entry *table = take(p, sizeof(*table) * cells);
    if (dicts == NULL || table == NULL)
        return false;
    alloc_records(st, d->column_count, cells);
    uint64_t n = 0;
    for (uint32_t c = 0; c < d->column_count; c++) {
        struct yg_seg_record *rec = &st->records[st->record_count];
        rec->entries = st->own_entries + n;
        rec->granules = st->own_granules + n;
        for (uint32_t g = 0; g < st->granule_count; g++) {
            const struct yg_seg_entry *e = &table[(uint64_t)c * st->granule_count + g];
            if (e->count == 0)
                continue;
            if (!check_entry(e, st->granules[g].rows, data_end) || e->encoding > YG_ENC_ID_SPLIT)
                return false;
            st->own_granules[n] = (uint16_t)g;
            st->own_entries[n++] = *e;
            rec->head.entry_count++;
        }
        rec->head.column = c;
        rec->head.parent = YG_COLUMN_NONE;
        rec->head.dict = dicts[c];
        if (!check_dict(&dicts[c], data_end))
            return false;
        st->record_count += rec->head.entry_count > 0;
    }
    return true;
}

// ------------------------------------------------------------ version 2

// Fields of a record's chunks, each as an array.
static bool parse_entries(struct parser *p, const struct yg_seg_stripe *st,
                          struct yg_seg_record *rec, struct yg_seg_entry *entries,
                          uint16_t *granules) {
    uint64_t n = rec->head.entry_count;
    bool rest = rec->head.column == YG_RECORD_REST;
    const char *in = NULL;
    if (!rest && n < st->granule_count) {
        if ((in = take(p, 2 * n)) == NULL)
            return false;
        memcpy(granules, in, 2 * n);
        rec->granules = granules;
    }
    const char *stored = take(p, 4 * n), *counts = take(p, 2 * n), *encodings = take(p, n);
    const unsigned char *flags = take(p, n);
    if (stored == NULL || counts == NULL || encodings == NULL || flags == NULL)
        return false;
    uint64_t ranges = 0;
    for (uint64_t i = 0; i < n; i++)
        ranges += (flags[i] & (YG_ENTRY_F_RANGE | YG_ENTRY_F_CODES)) != 0;
    const char *min = take(p, 8 * ranges), *max = take(p, 8 * ranges);
    if (min == NULL || max == NULL)
        return false;
    uint64_t at = rec->head.offset, k = 0;
    for (uint64_t i = 0; i < n; i++) {
        struct yg_seg_entry *e = &entries[i];
        e->offset = at;
        memcpy(&e->stored_bytes, stored + 4 * i, 4);
        memcpy(&e->count, counts + 2 * i, 2);
        e->encoding = (uint8_t)encodings[i];
        e->flags = flags[i];
        if (flags[i] & (YG_ENTRY_F_RANGE | YG_ENTRY_F_CODES)) {
            memcpy(&e->min, min + 8 * k, 8);
            memcpy(&e->max, max + 8 * k++, 8);
        }
        at += ((uint64_t)e->stored_bytes + 7) & ~UINT64_C(7);
    }
    rec->entries = entries;
    return true;
}

static bool check_record(const struct yg_seg_dir *d, const struct yg_seg_stripe *st,
                         const struct yg_seg_record *rec, uint64_t data_end) {
    const struct yg_seg_record_entry *h = &rec->head;
    if (!check_dict(&h->dict, data_end) || !check_dict(&h->map, data_end) ||
        (h->parent != YG_COLUMN_NONE && h->parent >= d->column_count))
        return false;
    bool rest = h->column == YG_RECORD_REST;
    for (uint32_t i = 0; i < h->entry_count; i++) {
        uint32_t g = rec->granules ? rec->granules[i] : i;
        if (!rest &&
            (g >= st->granule_count || (i > 0 && rec->granules && g <= rec->granules[i - 1])))
            return false;
        if (!check_entry(&rec->entries[i], rest ? UINT16_MAX : st->granules[g].rows, data_end))
            return false;
    }
    return true;
}

static bool parse_heads(struct parser *p, const struct yg_seg_dir *d, struct yg_seg_stripe *st,
                        uint32_t records) {
    const struct yg_seg_record_entry *heads = take(p, sizeof(*heads) * (uint64_t)records);
    if (heads == NULL)
        return false;
    uint64_t entries = 0;
    for (uint32_t i = 0; i < records; i++) {
        const struct yg_seg_record_entry *h = &heads[i];
        if ((YG_RECORD_IS_COLUMN(h->column) && h->column >= d->column_count) ||
            (i > 0 && h->column <= heads[i - 1].column) || h->entry_count > p->len ||
            (h->column != YG_RECORD_REST && h->entry_count > st->granule_count))
            return false;
        entries += h->entry_count;
    }
    if (entries > p->len) // each takes some bytes of the directory
        return false;
    alloc_records(st, records, entries);
    for (uint32_t i = 0; i < records; i++)
        st->records[i].head = heads[i];
    st->record_count = records;
    return true;
}

static bool parse_stripe_v2(struct parser *p, const struct yg_seg_dir *d, struct yg_seg_stripe *st,
                            uint64_t data_end) {
    const uint32_t *counts = take(p, 16);
    if (counts == NULL)
        return false;
    st->row_count = counts[0];
    st->granule_count = counts[1];
    st->own_count = counts[3];
    if (!parse_granules(p, st) || st->own_count > YG_SEG_OWN_MAX)
        return false;
    st->own = take(p, sizeof(*st->own) * st->own_count);
    if (st->own == NULL || !parse_heads(p, d, st, counts[2]))
        return false;
    for (uint32_t i = 0; i < st->own_count; i++)
        if (st->own[i].column >= d->column_count || st->own[i].form >= YG_OWN_COUNT)
            return false;
    uint64_t n = 0;
    for (uint32_t i = 0; i < st->record_count; i++) {
        struct yg_seg_record *rec = &st->records[i];
        if (!parse_entries(p, st, rec, st->own_entries + n, st->own_granules + n) ||
            !check_record(d, st, rec, data_end))
            return false;
        n += rec->head.entry_count;
    }
    return take(p, (8 - (p->at & 7)) & 7) != NULL;
}

// ------------------------------------------------------------ the whole

static int column_cmp(const struct yg_seg_column *a, const struct yg_seg_column *b) {
    int cmp = yg_str_cmp(a->name, b->name);
    return cmp ? cmp : (int)a->type - (int)b->type;
}

static bool parse_columns(struct parser *p, struct yg_seg_dir *d) {
    d->columns = yg_calloc(YG_MEM_CACHE, d->column_count + 1u, sizeof(*d->columns));
    for (uint32_t i = 0; i < d->column_count; i++) {
        const uint32_t *head = take(p, 8);
        if (head == NULL || head[0] >= YG_TYPE_COUNT)
            return false;
        const char *name = take(p, ((uint64_t)head[1] + 7) & ~UINT64_C(7));
        if (name == NULL)
            return false;
        d->columns[i] = (struct yg_seg_column){{name, head[1]}, (enum yg_type)head[0]};
        if (i > 0 && column_cmp(&d->columns[i - 1], &d->columns[i]) >= 0)
            return false; // they are looked up by halves, and a name has each type once
    }
    return true;
}

bool yg_seg_dir_parse(struct yg_seg_dir *d, uint32_t version, size_t len, uint64_t data_end,
                      uint64_t row_count) {
    struct parser p = {.ptr = d->bytes, .len = len};
    const uint32_t *head = take(&p, 8);
    if (head == NULL || head[0] > len / 8 || head[1] > len / 8)
        return false;
    d->column_count = head[0];
    uint32_t stripes = head[1];
    if (!parse_columns(&p, d))
        return false;
    d->stripes = yg_calloc(YG_MEM_CACHE, stripes + 1u, sizeof(*d->stripes));
    uint64_t rows = 0;
    for (; d->stripe_count < stripes; d->stripe_count++) {
        struct yg_seg_stripe *st = &d->stripes[d->stripe_count];
        bool ok = version == 1 ? parse_stripe_v1(&p, d, st, data_end)
                               : parse_stripe_v2(&p, d, st, data_end);
        if (!ok)
            return false;
        rows += st->row_count;
        d->granule_count += st->granule_count;
    }
    return rows == row_count;
}

// ------------------------------------------------------------ finding

struct yg_seg_record *yg_segment_record(const struct yg_seg_stripe *st, uint32_t column) {
    uint32_t lo = 0, hi = st->record_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (st->records[mid].head.column < column)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < st->record_count && st->records[lo].head.column == column ? &st->records[lo] : NULL;
}

const struct yg_seg_entry *yg_segment_entry(const struct yg_seg_record *rec, uint32_t granule) {
    static const struct yg_seg_entry none;
    if (rec == NULL)
        return &none;
    if (rec->granules == NULL)
        return granule < rec->head.entry_count ? &rec->entries[granule] : &none;
    uint32_t lo = 0, hi = rec->head.entry_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (rec->granules[mid] < granule)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < rec->head.entry_count && rec->granules[lo] == granule ? &rec->entries[lo] : &none;
}
