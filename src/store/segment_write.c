// SPDX-License-Identifier: Apache-2.0
// Writes segments: what all stripes share, then key index, directory and footer.
#include "store/segment_writer.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/panic.h"

#define BUFFER_MAX_BYTES ((size_t)3 << 30)
#define BLOOM_BITS_PER_ID 12u
#define BLOOM_BLOCK_BYTES 32u
#define BLOOM_BLOCKS_MAX (1u << 21)

yg_rc yg_seg_writer_no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "the store's memory for writing segments is used up");
}

yg_rc yg_seg_writer_memory_not_limit(yg_rc rc, struct yg_err *err) {
    if (rc == YG_ELIMIT)
        rc = YG_ENOMEM;
    if (err && rc != YG_OK)
        err->rc = rc;
    return rc;
}

struct yg_seg_writer *yg_seg_writer_create(const struct yg_seg_writer_options *options) {
    struct yg_seg_writer *w = yg_calloc(YG_MEM_STORE, 1, sizeof(*w));
    w->options = *options;
    w->arena = yg_arena_create(YG_MEM_STORE, YG_SEG_DIRECTORY_MAX);
    w->out = YG_BUF(YG_MEM_STORE, BUFFER_MAX_BYTES);
    w->keys = options->plain ? NULL : yg_key_builder_create();
    w->index = YG_MAP(YG_MEM_STORE, false);
    w->sum.min_time_ns = INT64_MAX;
    w->sum.max_time_ns = INT64_MIN;
    yg_encoder_init(&w->enc, options->plain   ? YG_ENC_LEVEL_PLAIN
                             : options->final ? YG_ENC_LEVEL_FINAL
                                              : YG_ENC_LEVEL_FILE);
    struct yg_seg_header head = {
        .magic = {'Y', 'G', 'S', 'G'},
        .version = YG_SEG_VERSION,
        .track = (uint8_t)options->track,
        .index_id = options->index_id,
        .flags = options->plain ? YG_SEG_F_PLAIN : 0,
        .day = options->day,
        .segment_id = options->segment_id,
        .max_sequence = options->max_sequence,
        .writer = "yagura " YG_VERSION,
    };
    head.crc32c = yg_crc32c(0, &head, offsetof(struct yg_seg_header, crc32c));
    yg_buf_put(&w->out, &head, sizeof(head));
    return w;
}

void yg_seg_writer_destroy(struct yg_seg_writer *w) {
    if (w == NULL)
        return;
    yg_encoder_fini(&w->enc);
    yg_key_builder_destroy(w->keys);
    yg_buf_fini(&w->out);
    yg_map_fini(&w->index);
    yg_free(YG_MEM_STORE, w->id_hashes);
    yg_arena_destroy(w->arena);
    yg_free(YG_MEM_STORE, w);
}

uint64_t yg_seg_writer_position(const struct yg_seg_writer *w) {
    return w->flushed + w->out.len;
}

yg_rc yg_seg_writer_flush(struct yg_seg_writer *w, size_t above, struct yg_err *err) {
    if (w->options.fd < 0 || w->out.len <= above)
        return YG_OK;
    YG_TRY(yg_file_write_all(w->options.fd, w->out.ptr, w->out.len, err));
    w->flushed += w->out.len;
    yg_buf_reset(&w->out);
    return YG_OK;
}

yg_rc yg_seg_writer_column(struct yg_seg_writer *w, yg_str name, enum yg_type type,
                           uint32_t *ret_col, struct yg_err *err) {
    const uint64_t *first = yg_map_get(&w->index, name);
    uint32_t at = first ? (uint32_t)*first : YG_COLUMN_NONE;
    while (at != YG_COLUMN_NONE && w->columns[at].type != type)
        at = w->columns[at].same_name;
    if (at == YG_COLUMN_NONE) {
        if (!YG_ARENA_GROW(w->arena, w->columns, w->column_count, w->column_cap))
            return yg_seg_writer_no_memory(err);
        at = w->column_count++;
        yg_str own = yg_arena_str(w->arena, name);
        if (own.ptr == NULL)
            return yg_seg_writer_no_memory(err);
        w->columns[at] = (struct w_column){own, type, first ? (uint32_t)*first : YG_COLUMN_NONE};
        *yg_map_put(&w->index, own, NULL) = at;
    }
    *ret_col = at;
    return YG_OK;
}

// ------------------------------------------------------------ stripes

yg_rc yg_seg_writer_begin_stripe(struct yg_seg_writer *w, uint32_t granule_count,
                                 struct w_stripe **ret_stripe, struct yg_err *err) {
    if (granule_count > YG_SEG_STRIPE_GRANULES_MAX)
        return yg_fail(err, YG_ELIMIT, "stripe of %u granules", granule_count);
    if (!YG_ARENA_GROW(w->arena, w->stripes, w->stripe_count, w->stripe_cap))
        return yg_seg_writer_no_memory(err);
    struct w_stripe *st = &w->stripes[w->stripe_count];
    *st = (struct w_stripe){.granule_count = granule_count};
    st->granules = YG_NEW_N(w->arena, struct yg_seg_granule_entry, granule_count);
    if (st->granules == NULL)
        return yg_seg_writer_no_memory(err);
    *ret_stripe = st;
    return YG_OK;
}

yg_rc yg_seg_writer_record(struct yg_seg_writer *w, struct w_stripe *st, uint32_t column,
                           struct w_record **ret_record, struct yg_err *err) {
    if (!YG_ARENA_GROW(w->arena, st->records, st->record_count, st->record_cap))
        return yg_seg_writer_no_memory(err);
    struct w_record *rec = &st->records[st->record_count++];
    *rec = (struct w_record){
        .head = {.column = column, .parent = YG_COLUMN_NONE, .shape_bit = YG_COLUMN_NONE}};
    *ret_record = rec;
    return YG_OK;
}

yg_rc yg_seg_writer_entry(struct yg_seg_writer *w, struct w_record *rec, uint32_t granule,
                          const struct yg_seg_entry *e, struct yg_err *err) {
    uint32_t n = rec->head.entry_count;
    if (!YG_ARENA_GROW(w->arena, rec->entries, n, rec->entry_cap) ||
        !YG_ARENA_GROW(w->arena, rec->granules, n, rec->granule_cap))
        return yg_seg_writer_no_memory(err);
    if (n == 0)
        rec->head.offset = e->offset;
    rec->entries[n] = *e;
    rec->granules[n] = (uint16_t)granule;
    rec->head.entry_count++;
    return YG_OK;
}

yg_rc yg_seg_writer_end_stripe(struct yg_seg_writer *w, struct w_stripe *st, struct yg_err *err) {
    struct yg_seg_summary *sum = &w->sum;
    for (uint32_t g = 0; g < st->granule_count; g++) {
        const struct yg_seg_granule_entry *e = &st->granules[g];
        sum->min_time_ns = e->min_time_ns < sum->min_time_ns ? e->min_time_ns : sum->min_time_ns;
        sum->max_time_ns = e->max_time_ns > sum->max_time_ns ? e->max_time_ns : sum->max_time_ns;
        st->row_count += e->rows;
    }
    sum->granule_count += st->granule_count;
    sum->row_count += st->row_count;
    w->stripe_count++;
    if (w->keys == NULL)
        return YG_OK;
    YG_TRY(yg_key_builder_stripe(w->keys, yg_seg_writer_position(w), &w->out, err));
    return yg_seg_writer_flush(w, YG_SEG_WRITER_BUFFER_BYTES, err);
}

// ------------------------------------------------------------ key index, directory, footer

// Memory segments: a filter of trace ids.
static void write_id_filter(struct yg_seg_writer *w) {
    if (w->id_count == 0)
        return;
    uint64_t blocks =
        ((uint64_t)w->id_count * BLOOM_BITS_PER_ID / 8 + BLOOM_BLOCK_BYTES) / BLOOM_BLOCK_BYTES;
    uint32_t head[2] = {1, blocks > BLOOM_BLOCKS_MAX ? BLOOM_BLOCKS_MAX : (uint32_t)blocks};
    uint32_t *words = yg_calloc(YG_MEM_STORE, head[1], BLOOM_BLOCK_BYTES);
    for (uint32_t i = 0; i < w->id_count; i++)
        yg_bloom_add(words, head[1], w->id_hashes[i]);
    yg_buf_put(&w->out, head, sizeof(head));
    yg_buf_put(&w->out, words, (size_t)head[1] * BLOOM_BLOCK_BYTES);
    yg_free(YG_MEM_STORE, words);
}

static int by_name(const void *a, const void *b, void *arg) {
    const struct yg_seg_writer *w = arg;
    const struct w_column *x = &w->columns[*(const uint32_t *)a];
    const struct w_column *y = &w->columns[*(const uint32_t *)b];
    int cmp = yg_str_cmp(x->name, y->name);
    return cmp ? cmp : (int)x->type - (int)y->type;
}

static void put_zeros(struct yg_buf *out, size_t n) {
    static const char zeros[8];
    yg_buf_put(out, zeros, n);
}

// Chunks of a column, field by field: that compresses.
static void put_entries(const struct w_record *rec, uint32_t granule_count, struct yg_buf *out) {
    uint32_t n = rec->head.entry_count;
    if (rec->head.column != YG_RECORD_REST && n < granule_count)
        yg_buf_put(out, rec->granules, sizeof(*rec->granules) * n);
    for (uint32_t i = 0; i < n; i++)
        yg_buf_put(out, &rec->entries[i].stored_bytes, 4);
    for (uint32_t i = 0; i < n; i++)
        yg_buf_put(out, &rec->entries[i].count, 2);
    for (uint32_t i = 0; i < n; i++)
        yg_buf_putc(out, (char)rec->entries[i].encoding);
    for (uint32_t i = 0; i < n; i++)
        yg_buf_putc(out, (char)rec->entries[i].flags);
    for (uint32_t i = 0; i < n; i++)
        if (rec->entries[i].flags & (YG_ENTRY_F_RANGE | YG_ENTRY_F_CODES))
            yg_buf_put(out, &rec->entries[i].min, 8);
    for (uint32_t i = 0; i < n; i++)
        if (rec->entries[i].flags & (YG_ENTRY_F_RANGE | YG_ENTRY_F_CODES))
            yg_buf_put(out, &rec->entries[i].max, 8);
}

static int by_column(const void *a, const void *b) {
    const struct w_record *x = a, *y = b;
    return x->head.column < y->head.column ? -1 : x->head.column > y->head.column;
}

// place: number in the writer → number in the directory.
static void put_stripe(struct w_stripe *st, const uint32_t *place, struct yg_buf *out) {
    uint32_t counts[4] = {st->row_count, st->granule_count, st->record_count, st->own_count};
    yg_buf_put(out, counts, sizeof(counts));
    yg_buf_put(out, st->granules, sizeof(*st->granules) * st->granule_count);
    for (uint32_t i = 0; i < st->own_count; i++) {
        struct yg_seg_own_entry own = {place[st->own[i].column], st->own[i].form};
        yg_buf_put(out, &own, sizeof(own));
    }
    for (uint32_t i = 0; i < st->record_count; i++) {
        struct yg_seg_record_entry *head = &st->records[i].head;
        if (YG_RECORD_IS_COLUMN(head->column))
            head->column = place[head->column];
        if (head->parent != YG_COLUMN_NONE)
            head->parent = place[head->parent];
    }
    qsort(st->records, st->record_count, sizeof(*st->records), by_column);
    for (uint32_t i = 0; i < st->record_count; i++)
        yg_buf_put(out, &st->records[i].head, sizeof(st->records[i].head));
    for (uint32_t i = 0; i < st->record_count; i++)
        put_entries(&st->records[i], st->granule_count, out);
    put_zeros(out, (8 - (out->len & 7)) & 7);
}

static yg_rc put_directory(struct yg_seg_writer *w, struct yg_buf *out, struct yg_err *err) {
    uint32_t *sorted = yg_arena_alloc(w->arena, sizeof(*sorted) * (w->column_count + 1u));
    uint32_t *place = yg_arena_alloc(w->arena, sizeof(*place) * (w->column_count + 1u));
    if (sorted == NULL || place == NULL)
        return yg_seg_writer_no_memory(err);
    for (uint32_t i = 0; i < w->column_count; i++)
        sorted[i] = i;
    qsort_r(sorted, w->column_count, sizeof(*sorted), by_name, w);
    for (uint32_t i = 0; i < w->column_count; i++)
        place[sorted[i]] = i;
    uint32_t head[2] = {w->column_count, w->stripe_count};
    yg_buf_put(out, head, sizeof(head));
    for (uint32_t i = 0; i < w->column_count; i++) {
        const struct w_column *c = &w->columns[sorted[i]];
        uint32_t name[2] = {(uint32_t)c->type, (uint32_t)c->name.len};
        yg_buf_put(out, name, sizeof(name));
        yg_buf_puts(out, c->name);
        put_zeros(out, (8 - (c->name.len & 7)) & 7);
    }
    for (uint32_t s = 0; s < w->stripe_count; s++)
        put_stripe(&w->stripes[s], place, out);
    return yg_buf_ok(out, err);
}

// Stored form: raw_bytes u32 · compressed u32 · bytes.
static yg_rc write_directory(struct yg_seg_writer *w, struct yg_err *err) {
    YG_AUTO(yg_buf) raw = YG_BUF(YG_MEM_STORE, YG_SEG_DIRECTORY_MAX);
    YG_TRY(put_directory(w, &raw, err));
    uint32_t head[2] = {(uint32_t)raw.len, w->enc.zstd != NULL};
    yg_buf_put(&w->out, head, sizeof(head));
    if (w->enc.zstd == NULL) {
        yg_buf_puts(&w->out, yg_buf_str(&raw));
        return yg_buf_ok(&w->out, err);
    }
    size_t room = ZSTD_compressBound(raw.len);
    YG_TRY(yg_buf_reserve(&w->out, room, err));
    size_t got = ZSTD_compressCCtx(w->enc.zstd, w->out.ptr + w->out.len, room, raw.ptr, raw.len, 1);
    if (ZSTD_isError(got))
        return yg_fail(err, YG_EINTERNAL, "zstd: %s", ZSTD_getErrorName(got));
    w->out.len += got;
    return YG_OK;
}

static yg_rc finish(struct yg_seg_writer *w, struct yg_seg_summary *ret_summary,
                    struct yg_err *err) {
    YG_TRY(yg_seg_writer_flush(w, 0, err));
    uint64_t section_at = yg_seg_writer_position(w);
    if (w->keys)
        YG_TRY(yg_key_builder_write(w->keys, section_at, w->sum.granule_count, &w->out, &section_at,
                                    err));
    else
        write_id_filter(w);
    size_t from = (size_t)(section_at - w->flushed);
    size_t dir = w->out.len;
    struct yg_seg_footer foot = {
        .directory_offset = yg_seg_writer_position(w),
        .key_index_bytes = (uint32_t)(dir - from),
        .row_count = w->sum.row_count,
        .min_time_ns = w->sum.min_time_ns,
        .max_time_ns = w->sum.max_time_ns,
        .magic = {'Y', 'G', 'S', 'G'},
    };
    YG_TRY(write_directory(w, err));
    foot.directory_bytes = (uint32_t)(w->out.len - dir);
    yg_hash_stable128(w->out.ptr + from, w->out.len - from, foot.hash);
    foot.crc32c = yg_crc32c(0, &foot, offsetof(struct yg_seg_footer, crc32c));
    yg_buf_put(&w->out, &foot, sizeof(foot));
    YG_TRY(yg_buf_ok(&w->out, err));
    w->sum.bytes = yg_seg_writer_position(w);
    YG_TRY(yg_seg_writer_flush(w, 0, err));
    *ret_summary = w->sum;
    return YG_OK;
}

yg_rc yg_seg_writer_finish(struct yg_seg_writer *w, struct yg_seg_summary *ret_summary,
                           struct yg_err *err) {
    return yg_seg_writer_memory_not_limit(finish(w, ret_summary, err), err);
}

void yg_seg_writer_take(struct yg_seg_writer *w, struct yg_buf *ret_bytes) {
    yg_buf_move(&w->out, ret_bytes);
}
