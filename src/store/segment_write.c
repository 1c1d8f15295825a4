// SPDX-License-Identifier: Apache-2.0
// Writes segments: stripes column by column, then key index, directory and footer.
#include "store/segment_encode.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/panic.h"

#define BUFFER_FLUSH_BYTES (4u << 20)
#define BUFFER_MAX_BYTES ((size_t)3 << 30)
#define BLOOM_BITS_PER_ID 12u
#define BLOOM_BLOCK_BYTES 32u
#define BLOOM_BLOCKS_MAX (1u << 21)

struct w_column { // of the whole segment, in order of appearance
    yg_str name;  // own copy
    enum yg_type type;
    uint32_t same_name;
};

struct w_stripe {
    uint32_t row_count;
    uint32_t granule_count;
    uint32_t column_count; // known when the stripe was written
    struct yg_seg_granule_entry *granules;
    struct yg_seg_dict_entry *dicts; // [column]
    struct yg_seg_entry **entries;   // [column][granule]; NULL = absent
};

struct yg_seg_writer {
    struct yg_seg_writer_options options;
    struct yg_arena *arena;
    struct yg_encoder enc;
    struct yg_buf out;
    uint64_t flushed; // bytes of `out` that went to the file before
    struct w_column *columns;
    uint32_t column_count;
    uint32_t column_cap;
    struct yg_map index;
    struct w_stripe *stripes;
    uint32_t stripe_count;
    uint32_t stripe_cap;
    uint64_t *id_hashes; // distinct neighbours of trace ids: low halves
    uint32_t id_count;
    uint32_t id_cap;
    struct yg_seg_summary sum;
};

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "the store's memory for writing segments is used up");
}

struct yg_seg_writer *yg_seg_writer_create(const struct yg_seg_writer_options *options) {
    struct yg_seg_writer *w = yg_calloc(YG_MEM_STORE, 1, sizeof(*w));
    w->options = *options;
    w->arena = yg_arena_create(YG_MEM_STORE, YG_SEG_DIRECTORY_MAX);
    w->out = YG_BUF(YG_MEM_STORE, BUFFER_MAX_BYTES);
    w->index = YG_MAP(YG_MEM_STORE, false);
    w->sum.min_time_ns = INT64_MAX;
    w->sum.max_time_ns = INT64_MIN;
    yg_encoder_init(&w->enc, options->plain ? YG_ENC_LEVEL_PLAIN : YG_ENC_LEVEL_FILE);
    struct yg_seg_header head = {
        .magic = {'Y', 'G', 'S', 'G'},
        .version = YG_SEG_VERSION,
        .track = (uint8_t)options->track,
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
    yg_buf_fini(&w->out);
    yg_map_fini(&w->index);
    yg_free(YG_MEM_STORE, w->id_hashes);
    yg_arena_destroy(w->arena);
    yg_free(YG_MEM_STORE, w);
}

static uint64_t position(const struct yg_seg_writer *w) {
    return w->flushed + w->out.len;
}

static yg_rc flush_out(struct yg_seg_writer *w, size_t above, struct yg_err *err) {
    if (w->options.fd < 0 || w->out.len <= above)
        return YG_OK;
    YG_TRY(yg_file_write_all(w->options.fd, w->out.ptr, w->out.len, err));
    w->flushed += w->out.len;
    yg_buf_reset(&w->out);
    return YG_OK;
}

static yg_rc writer_column(struct yg_seg_writer *w, yg_str name, enum yg_type type,
                           uint32_t *ret_col, struct yg_err *err) {
    const uint64_t *first = yg_map_get(&w->index, name);
    uint32_t at = first ? (uint32_t)*first : YG_COLUMN_NONE;
    while (at != YG_COLUMN_NONE && w->columns[at].type != type)
        at = w->columns[at].same_name;
    if (at == YG_COLUMN_NONE) {
        if (!YG_ARENA_GROW(w->arena, w->columns, w->column_count, w->column_cap))
            return no_memory(err);
        at = w->column_count++;
        yg_str own = yg_arena_str(w->arena, name);
        if (own.ptr == NULL)
            return no_memory(err);
        w->columns[at] = (struct w_column){own, type, first ? (uint32_t)*first : YG_COLUMN_NONE};
        *yg_map_put(&w->index, own, NULL) = at;
    }
    *ret_col = at;
    return YG_OK;
}

// ------------------------------------------------------------ a stripe

// One column of the stripe in its new order: value i is perm[i] of the set, in row rows[i].
struct view {
    const struct yg_column *col;
    uint32_t count;
    const uint32_t *rows;
    const uint32_t *perm; // NULL = as it stands
    bool coded;
    uint32_t dict_count;
    const uint32_t *recode; // set's code → stripe's code; NULL = the same
};

struct stripe_work {
    struct yg_seg_writer *w;
    const struct yg_columns *cs;
    const uint32_t *order;
    uint32_t row_count;
    uint32_t *new_row; // set row → stripe row or YG_COLUMN_NONE; NULL without an order
    struct yg_arena *arena;
    uint32_t *scatter;
    struct view *views; // per column of the set
    uint32_t *cuts;     // granule g has rows [cuts[g], cuts[g + 1])
    uint32_t granule_count;
};

static yg_rc order_view(struct stripe_work *sw, struct view *v, struct yg_err *err) {
    const struct yg_column *c = v->col;
    if (sw->new_row == NULL) {
        v->count = c->count;
        v->rows = c->rows;
        return YG_OK;
    }
    memset(sw->scatter, 0xff, sizeof(*sw->scatter) * sw->row_count);
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        uint32_t row = sw->new_row[c->rows[k]];
        if (row != YG_COLUMN_NONE) {
            sw->scatter[row] = k;
            n++;
        }
    }
    uint32_t *rows = yg_arena_alloc(sw->arena, sizeof(*rows) * n);
    uint32_t *perm = yg_arena_alloc(sw->arena, sizeof(*perm) * n);
    if (rows == NULL || perm == NULL)
        return no_memory(err);
    uint32_t i = 0;
    for (uint32_t row = 0; row < sw->row_count; row++)
        if (sw->scatter[row] != YG_COLUMN_NONE) {
            rows[i] = row;
            perm[i++] = sw->scatter[row];
        }
    v->count = n;
    v->rows = rows;
    v->perm = perm;
    return YG_OK;
}

static uint32_t view_value(const struct view *v, uint32_t i) {
    return v->perm ? v->perm[i] : i;
}

// Decides on a dictionary and numbers the codes that occur, by first use.
static yg_rc code_view(struct stripe_work *sw, struct view *v, struct yg_err *err) {
    const struct yg_column *c = v->col;
    if (!c->interned || v->count == 0)
        return YG_OK;
    if (v->perm == NULL) {
        v->dict_count = c->dict_count;
    } else {
        uint32_t *recode = yg_arena_alloc(sw->arena, sizeof(*recode) * (c->dict_count + 1u));
        if (recode == NULL)
            return no_memory(err);
        memset(recode, 0xff, sizeof(*recode) * (c->dict_count + 1u));
        for (uint32_t i = 0; i < v->count; i++) {
            uint32_t *code = &recode[c->codes[v->perm[i]]];
            if (*code == YG_COLUMN_NONE)
                *code = v->dict_count++;
        }
        v->recode = recode;
    }
    v->coded = v->dict_count <= 64 || v->dict_count <= v->count / 2;
    return YG_OK;
}

// Granules of ≤ 8,192 rows whose plain strings fit a chunk, column by column.
static yg_rc cut_granules(struct stripe_work *sw, struct yg_err *err) {
    uint32_t cap = sw->row_count / YG_GRANULE_ROWS + 2;
    sw->cuts = yg_arena_alloc(sw->arena, sizeof(*sw->cuts) * cap);
    uint32_t *at = YG_NEW_N(sw->arena, uint32_t, sw->cs->col_count + 1u); // next value per column
    if (sw->cuts == NULL || at == NULL)
        return no_memory(err);
    uint32_t from = 0;
    sw->cuts[0] = 0;
    while (from < sw->row_count) {
        uint32_t to =
            sw->row_count - from < YG_GRANULE_ROWS ? sw->row_count : from + YG_GRANULE_ROWS;
        for (uint32_t c = 0; c < sw->cs->col_count; c++) {
            const struct view *v = &sw->views[c];
            if (v->coded || (v->col->type != YG_T_STR && v->col->type != YG_T_JSON))
                continue;
            size_t bytes = 0;
            for (uint32_t i = at[c]; i < v->count && v->rows[i] < to; i++) {
                bytes += yg_column_str(v->col, view_value(v, i)).len;
                if (bytes > YG_SEG_CHUNK_RAW_MAX && v->rows[i] > from)
                    to = v->rows[i];
            }
        }
        for (uint32_t c = 0; c < sw->cs->col_count; c++)
            while (at[c] < sw->views[c].count && sw->views[c].rows[at[c]] < to)
                at[c]++;
        if (sw->granule_count + 1 == cap) {
            sw->cuts = yg_arena_grow(sw->arena, sw->cuts, &cap, sizeof(*sw->cuts));
            if (sw->cuts == NULL)
                return no_memory(err);
        }
        sw->cuts[++sw->granule_count] = to;
        from = to;
    }
    if (sw->granule_count > YG_SEG_STRIPE_GRANULES_MAX)
        return yg_fail(err, YG_ELIMIT, "stripe of %u granules", sw->granule_count);
    return YG_OK;
}

static yg_rc write_dict(struct stripe_work *sw, const struct view *v,
                        struct yg_seg_dict_entry *ret_entry, struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    const yg_str *strs = v->col->dict;
    if (v->recode) {
        yg_str *own = yg_arena_alloc(sw->arena, sizeof(*own) * v->dict_count);
        if (own == NULL)
            return no_memory(err);
        for (uint32_t i = 0; i < v->col->dict_count; i++)
            if (v->recode[i] != YG_COLUMN_NONE)
                own[v->recode[i]] = v->col->dict[i];
        strs = own;
    }
    uint64_t at = position(w);
    YG_TRY(yg_encode_dict(&w->enc, strs, v->dict_count, &w->out, err));
    *ret_entry = (struct yg_seg_dict_entry){at, (uint32_t)(position(w) - at), v->dict_count};
    return YG_OK;
}

// Gathered values of one granule of one column.
struct gather {
    uint32_t at_rows[YG_GRANULE_ROWS];
    union {
        uint32_t codes[YG_GRANULE_ROWS];
        yg_str strs[YG_GRANULE_ROWS];
        int64_t i64[YG_GRANULE_ROWS];
        double f64[YG_GRANULE_ROWS];
        yg_id128 ids[YG_GRANULE_ROWS];
    };
};

static void gather_values(const struct view *v, uint32_t first, struct yg_enc_input *in,
                          struct gather *g) {
    const struct yg_column *c = v->col;
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t k = view_value(v, first + i);
        switch (c->type) {
        case YG_T_STR:
        case YG_T_JSON:
            if (v->coded)
                g->codes[i] = v->recode ? v->recode[c->codes[k]] : c->codes[k];
            else
                g->strs[i] = yg_column_str(c, k);
            break;
        case YG_T_I64:
        case YG_T_BOOL:
            g->i64[i] = c->i64[k];
            break;
        case YG_T_F64:
            g->f64[i] = c->f64[k];
            break;
        case YG_T_ID:
            g->ids[i] = c->ids[k];
            break;
        case YG_TYPE_COUNT:
            break;
        }
    }
    in->codes = g->codes;
    in->strs = g->strs;
    in->i64 = g->i64;
    in->f64 = g->f64;
    in->ids = g->ids;
}

static yg_rc write_column(struct stripe_work *sw, const struct view *v, struct gather *g,
                          struct yg_seg_entry *entries, struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    uint32_t i = 0;
    for (uint32_t gr = 0; gr < sw->granule_count; gr++) {
        struct yg_enc_input in = {
            .type = v->col->type,
            .rows = sw->cuts[gr + 1] - sw->cuts[gr],
            .coded = v->coded,
            .code_max = v->dict_count ? v->dict_count - 1 : 0,
            .at_rows = g->at_rows,
        };
        uint32_t first = i;
        for (; i < v->count && v->rows[i] < sw->cuts[gr + 1]; i++)
            g->at_rows[i - first] = v->rows[i] - sw->cuts[gr];
        in.count = i - first;
        if (in.count == 0)
            continue;
        gather_values(v, first, &in, g);
        uint64_t at = position(w);
        YG_TRY(yg_encode_chunk(&w->enc, &in, &w->out, &entries[gr], err));
        entries[gr].offset = at;
        YG_TRY(flush_out(w, BUFFER_FLUSH_BYTES, err));
    }
    return YG_OK;
}

// Granule times for skipping, and the segment's.
static yg_rc fill_granules(struct stripe_work *sw, struct w_stripe *st, struct yg_err *err) {
    st->granules = YG_NEW_N(sw->w->arena, struct yg_seg_granule_entry, sw->granule_count);
    if (st->granules == NULL)
        return no_memory(err);
    for (uint32_t g = 0; g < sw->granule_count; g++)
        st->granules[g] = (struct yg_seg_granule_entry){.rows = sw->cuts[g + 1] - sw->cuts[g],
                                                        .min_time_ns = INT64_MAX,
                                                        .max_time_ns = INT64_MIN};
    const struct view *time = NULL;
    for (uint32_t c = 0; c < sw->cs->col_count; c++)
        if (sw->views[c].col->type == YG_T_I64 && yg_str_eq_c(sw->views[c].col->name, YG_COL_TIME))
            time = &sw->views[c];
    uint32_t g = 0;
    for (uint32_t i = 0; time && i < time->count; i++) {
        int64_t t = time->col->i64[view_value(time, i)];
        while (time->rows[i] >= sw->cuts[g + 1])
            g++;
        struct yg_seg_granule_entry *e = &st->granules[g];
        e->min_time_ns = t < e->min_time_ns ? t : e->min_time_ns;
        e->max_time_ns = t > e->max_time_ns ? t : e->max_time_ns;
    }
    for (uint32_t i = 0; i < sw->granule_count; i++) {
        struct yg_seg_summary *sum = &sw->w->sum;
        const struct yg_seg_granule_entry *e = &st->granules[i];
        sum->min_time_ns = e->min_time_ns < sum->min_time_ns ? e->min_time_ns : sum->min_time_ns;
        sum->max_time_ns = e->max_time_ns > sum->max_time_ns ? e->max_time_ns : sum->max_time_ns;
    }
    return YG_OK;
}

// Remembers the trace ids for the filter in the key index.
static void note_ids(struct yg_seg_writer *w, const struct view *v) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        uint64_t lo = v->col->ids[view_value(v, i)].lo;
        if (i > 0 && lo == last)
            continue;
        YG_GROW(YG_MEM_STORE, w->id_hashes, w->id_count, w->id_cap);
        w->id_hashes[w->id_count++] = last = lo;
    }
}

static yg_rc write_views(struct stripe_work *sw, struct w_stripe *st, struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    struct gather *g = yg_alloc(YG_MEM_STORE, sizeof(*g));
    yg_rc rc = YG_OK;
    for (uint32_t c = 0; c < sw->cs->col_count && rc == YG_OK; c++) {
        struct view *v = &sw->views[c];
        uint32_t col;
        if (v->count == 0)
            continue;
        rc = writer_column(w, v->col->name, v->col->type, &col, err);
        if (rc != YG_OK)
            break;
        st->entries[col] = YG_NEW_N(w->arena, struct yg_seg_entry, sw->granule_count);
        if (st->entries[col] == NULL) {
            rc = no_memory(err);
            break;
        }
        if (v->coded)
            rc = write_dict(sw, v, &st->dicts[col], err);
        if (rc == YG_OK)
            rc = write_column(sw, v, g, st->entries[col], err);
        if (v->col->type == YG_T_ID && yg_str_eq_c(v->col->name, YG_COL_TRACE_ID))
            note_ids(w, v);
    }
    yg_free(YG_MEM_STORE, g);
    return rc;
}

static yg_rc prepare_views(struct stripe_work *sw, struct yg_err *err) {
    if (sw->order) {
        sw->new_row = yg_arena_alloc(sw->arena, sizeof(*sw->new_row) * sw->cs->row_count);
        sw->scatter = yg_arena_alloc(sw->arena, sizeof(*sw->scatter) * sw->row_count);
        if (sw->new_row == NULL || sw->scatter == NULL)
            return no_memory(err);
        memset(sw->new_row, 0xff, sizeof(*sw->new_row) * sw->cs->row_count);
        for (uint32_t i = 0; i < sw->row_count; i++)
            sw->new_row[sw->order[i]] = i;
    }
    sw->views = YG_NEW_N(sw->arena, struct view, sw->cs->col_count + 1u);
    if (sw->views == NULL)
        return no_memory(err);
    for (uint32_t c = 0; c < sw->cs->col_count; c++) {
        sw->views[c].col = &sw->cs->cols[c];
        YG_TRY(order_view(sw, &sw->views[c], err));
        YG_TRY(code_view(sw, &sw->views[c], err));
    }
    return cut_granules(sw, err);
}

static yg_rc stripe_in(struct stripe_work *sw, struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    YG_TRY(prepare_views(sw, err));
    if (!YG_ARENA_GROW(w->arena, w->stripes, w->stripe_count, w->stripe_cap))
        return no_memory(err);
    struct w_stripe *st = &w->stripes[w->stripe_count];
    uint32_t columns_max = w->column_count + sw->cs->col_count;
    *st = (struct w_stripe){.row_count = sw->row_count, .granule_count = sw->granule_count};
    st->dicts = YG_NEW_N(w->arena, struct yg_seg_dict_entry, columns_max + 1u);
    st->entries = YG_NEW_N(w->arena, struct yg_seg_entry *, columns_max + 1u);
    if (st->dicts == NULL || st->entries == NULL)
        return no_memory(err);
    YG_TRY(fill_granules(sw, st, err));
    YG_TRY(write_views(sw, st, err));
    st->column_count = w->column_count;
    w->stripe_count++;
    w->sum.granule_count += sw->granule_count;
    w->sum.row_count += sw->row_count;
    return YG_OK;
}

// A buffer that could not grow says ELIMIT; its limit is far above any segment, so it was memory.
static yg_rc memory_not_limit(yg_rc rc, struct yg_err *err) {
    if (rc == YG_ELIMIT)
        rc = YG_ENOMEM;
    if (err && rc != YG_OK)
        err->rc = rc;
    return rc;
}

yg_rc yg_seg_writer_stripe(struct yg_seg_writer *w, const struct yg_columns *cs,
                           const uint32_t *order, uint32_t count, struct yg_err *err) {
    struct stripe_work sw = {.w = w, .cs = cs, .order = order};
    sw.row_count = order ? count : cs->row_count;
    YG_ASSERT(sw.row_count > 0);
    sw.arena = yg_arena_create(YG_MEM_STORE, BUFFER_MAX_BYTES);
    yg_rc rc = stripe_in(&sw, err);
    yg_arena_destroy(sw.arena);
    return memory_not_limit(rc, err);
}

// ------------------------------------------------------------ key index, directory, footer

static void write_key_index(struct yg_seg_writer *w) {
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

static void put_directory(struct yg_seg_writer *w, const uint32_t *sorted, struct yg_buf *out) {
    static const char zeros[8];
    uint32_t head[2] = {w->column_count, w->stripe_count};
    yg_buf_put(out, head, sizeof(head));
    for (uint32_t i = 0; i < w->column_count; i++) {
        const struct w_column *c = &w->columns[sorted[i]];
        uint32_t name[2] = {(uint32_t)c->type, (uint32_t)c->name.len};
        yg_buf_put(out, name, sizeof(name));
        yg_buf_puts(out, c->name);
        yg_buf_put(out, zeros, (8 - (c->name.len & 7)) & 7);
    }
    for (uint32_t s = 0; s < w->stripe_count; s++) {
        const struct w_stripe *st = &w->stripes[s];
        uint32_t counts[2] = {st->row_count, st->granule_count};
        yg_buf_put(out, counts, sizeof(counts));
        yg_buf_put(out, st->granules, sizeof(*st->granules) * st->granule_count);
        static const struct yg_seg_dict_entry no_dict;
        for (uint32_t i = 0; i < w->column_count; i++)
            yg_buf_put(out, sorted[i] < st->column_count ? &st->dicts[sorted[i]] : &no_dict,
                       sizeof(no_dict));
        static const struct yg_seg_entry no_entry;
        for (uint32_t i = 0; i < w->column_count; i++) {
            const struct yg_seg_entry *e =
                sorted[i] < st->column_count ? st->entries[sorted[i]] : NULL;
            for (uint32_t g = 0; g < st->granule_count; g++)
                yg_buf_put(out, e ? &e[g] : &no_entry, sizeof(no_entry));
        }
    }
}

// Stored form: raw_bytes u32 · compressed u32 · bytes.
static yg_rc write_directory(struct yg_seg_writer *w, struct yg_err *err) {
    uint32_t *sorted = yg_arena_alloc(w->arena, sizeof(*sorted) * (w->column_count + 1u));
    if (sorted == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < w->column_count; i++)
        sorted[i] = i;
    qsort_r(sorted, w->column_count, sizeof(*sorted), by_name, w);
    YG_AUTO(yg_buf) raw = YG_BUF(YG_MEM_STORE, YG_SEG_DIRECTORY_MAX);
    put_directory(w, sorted, &raw);
    YG_TRY(yg_buf_ok(&raw, err));
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
    YG_TRY(flush_out(w, 0, err));
    size_t from = w->out.len;
    write_key_index(w);
    size_t dir = w->out.len;
    struct yg_seg_footer foot = {
        .directory_offset = position(w),
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
    w->sum.bytes = position(w);
    YG_TRY(flush_out(w, 0, err));
    *ret_summary = w->sum;
    return YG_OK;
}

yg_rc yg_seg_writer_finish(struct yg_seg_writer *w, struct yg_seg_summary *ret_summary,
                           struct yg_err *err) {
    return memory_not_limit(finish(w, ret_summary, err), err);
}

void yg_seg_writer_take(struct yg_seg_writer *w, struct yg_buf *ret_bytes) {
    yg_buf_move(&w->out, ret_bytes);
}
