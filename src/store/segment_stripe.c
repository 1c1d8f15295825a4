// SPDX-License-Identifier: Apache-2.0
// Writes a stripe from its source: granules are cut first, then column by column.
#include "base/panic.h"
#include "store/segment_writer.h"

#define ARENA_BYTES_MAX ((size_t)3 << 30)
#define DICT_COUNT_SMALL 4096u // so many distinct strings always go into a stripe's dictionary …
#define DICT_REPEATS 16u       // … more when each stands so often in the stripe
#define LATE_BYTES 64u         // strings longer than ids may hold ids
#define PLAIN_DICT_SMALL 64u   // the same in memory segments, where nothing is compressed
#define PLAIN_DICT_REPEATS 2u

static bool is_text(enum yg_type type) {
    return type == YG_T_STR || type == YG_T_JSON;
}

// Texts of which others' texts may be parts: written last.
static bool is_late(const struct yg_stripe_column *col) {
    return is_text(col->type) &&
           (col->longest > LATE_BYTES || yg_str_eq_c(col->name, YG_COL_MESSAGE));
}

// Does a dictionary pay? Fewer distinct strings never change yes to no.
static bool wants_dict(const struct yg_seg_writer *w, uint32_t distinct, uint32_t count) {
    if (w->options.plain)
        return distinct <= PLAIN_DICT_SMALL || distinct <= count / PLAIN_DICT_REPEATS;
    return (distinct <= DICT_COUNT_SMALL && distinct <= count / 2) ||
           distinct <= PLAIN_DICT_SMALL || distinct <= count / DICT_REPEATS;
}

// ------------------------------------------------------------ granules

// Lengths of a column of long strings, kept while the granules are cut.
struct lengths {
    const uint32_t *rows;
    uint32_t *bytes;
    uint32_t count;
    uint32_t at;
};

static yg_rc read_lengths(struct w_work *sw, uint32_t column, struct yg_arena *arena,
                          struct lengths *ret, struct yg_err *err) {
    struct yg_stripe_values v;
    YG_TRY(sw->src->values(sw->src->ctx, column, sw->column, &v, err));
    *ret = (struct lengths){0};
    if (v.codes && wants_dict(sw->w, v.dict_count, v.count))
        return YG_OK;
    uint32_t *rows = yg_arena_alloc(arena, sizeof(*rows) * (v.count + 1u));
    ret->bytes = yg_arena_alloc(arena, sizeof(*ret->bytes) * (v.count + 1u));
    if (rows == NULL || ret->bytes == NULL)
        return yg_seg_writer_no_memory(err);
    memcpy(rows, v.rows, sizeof(*rows) * v.count);
    ret->rows = rows;
    ret->count = v.count;
    for (uint32_t i = 0; i < v.count; i++)
        ret->bytes[i] = (uint32_t)(v.codes ? v.dict[v.codes[i]] : v.strs[i]).len;
    return YG_OK;
}

// Where the granule that begins at `from` ends at the latest.
static uint32_t cut_at(struct lengths *l, uint32_t from, uint32_t to) {
    size_t bytes = 0;
    for (uint32_t i = l->at; i < l->count && l->rows[i] < to; i++) {
        bytes += l->bytes[i];
        if (bytes > YG_SEG_CHUNK_RAW_MAX && l->rows[i] > from)
            return l->rows[i];
    }
    return to;
}

static yg_rc cut_rows(struct w_work *sw, struct lengths *wide, uint32_t wide_count,
                      struct yg_err *err) {
    uint32_t rows = sw->src->row_count, from = 0;
    uint32_t cap = rows / YG_GRANULE_ROWS + 2;
    sw->cuts = yg_arena_alloc(sw->arena, sizeof(*sw->cuts) * cap);
    if (sw->cuts == NULL)
        return yg_seg_writer_no_memory(err);
    sw->cuts[0] = 0;
    while (from < rows) {
        uint32_t to = rows - from < YG_GRANULE_ROWS ? rows : from + YG_GRANULE_ROWS;
        for (uint32_t i = 0; i < wide_count; i++)
            to = cut_at(&wide[i], from, to);
        for (uint32_t i = 0; i < wide_count; i++)
            while (wide[i].at < wide[i].count && wide[i].rows[wide[i].at] < to)
                wide[i].at++;
        if (!YG_ARENA_GROW(sw->arena, sw->cuts, sw->granule_count + 1, cap))
            return yg_seg_writer_no_memory(err);
        sw->cuts[++sw->granule_count] = from = to;
    }
    return YG_OK;
}

// Granules of ≤ 8,192 rows whose strings without a dictionary fit a chunk, column by column.
static yg_rc cut_granules(struct w_work *sw, struct yg_err *err) {
    const struct yg_stripe_source *src = sw->src;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_STORE, ARENA_BYTES_MAX);
    struct lengths *wide = NULL;
    uint32_t count = 0, cap = 0;
    for (uint32_t c = 0; c < src->column_count; c++) {
        const struct yg_stripe_column *col = &src->columns[c];
        uint64_t in_granule = col->count < YG_GRANULE_ROWS ? col->count : YG_GRANULE_ROWS;
        if (!is_text(col->type) || (sw->in_rest && sw->in_rest[c]) ||
            (col->longest && col->longest * in_granule <= YG_SEG_CHUNK_RAW_MAX))
            continue;
        if (!YG_ARENA_GROW(arena, wide, count, cap))
            return yg_seg_writer_no_memory(err);
        yg_arena_reset(sw->column);
        YG_TRY(read_lengths(sw, c, arena, &wide[count], err));
        count += wide[count].count > 0;
    }
    return cut_rows(sw, wide, count, err);
}

// ------------------------------------------------------------ views

// Numbers the codes that occur, by first use.
static yg_rc recode(struct w_work *sw, struct w_view *view, struct yg_err *err) {
    struct yg_stripe_values *v = &view->v;
    uint32_t *map = yg_arena_alloc(sw->column, sizeof(*map) * (v->dict_count + 1u));
    uint32_t *codes = yg_arena_alloc(sw->column, sizeof(*codes) * (v->count + 1u));
    yg_str *dict = yg_arena_alloc(sw->column, sizeof(*dict) * (v->dict_count + 1u));
    if (map == NULL || codes == NULL || dict == NULL)
        return yg_seg_writer_no_memory(err);
    memset(map, 0xff, sizeof(*map) * (v->dict_count + 1u));
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        uint32_t *code = &map[v->codes[i]];
        if (*code == YG_COLUMN_NONE) {
            dict[n] = v->dict[v->codes[i]];
            *code = n++;
        }
        codes[i] = *code;
    }
    v->codes = codes;
    v->dict = dict;
    v->dict_count = n;
    return YG_OK;
}

static yg_rc read_view(struct w_work *sw, uint32_t column, struct w_view *ret_view,
                       struct yg_err *err) {
    struct w_view view = {.col = &sw->src->columns[column]};
    struct yg_stripe_values *v = &view.v;
    YG_TRY(sw->src->values(sw->src->ctx, column, sw->column, v, err));
    if (is_text(view.col->type) && v->codes) {
        if (!sw->w->options.plain)
            YG_TRY(recode(sw, &view, err));
        view.coded = wants_dict(sw->w, v->dict_count, v->count);
        if (!view.coded) {
            yg_str *strs = yg_arena_alloc(sw->column, sizeof(*strs) * (v->count + 1u));
            if (strs == NULL)
                return yg_seg_writer_no_memory(err);
            for (uint32_t i = 0; i < v->count; i++)
                strs[i] = v->dict[v->codes[i]];
            v->strs = strs;
            v->codes = NULL;
        }
    }
    *ret_view = view;
    return YG_OK;
}

// ------------------------------------------------------------ a column

static yg_rc write_dict(struct w_work *sw, const struct w_view *view, struct w_record *rec,
                        struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    uint64_t at = yg_seg_writer_position(w);
    YG_TRY(yg_encode_dict(&w->enc, view->v.dict, view->v.dict_count, &w->out, err));
    uint64_t bytes = yg_seg_writer_position(w) - at;
    if (bytes > UINT32_MAX)
        return yg_fail(err, YG_ELIMIT, "dictionary of %llu bytes", (unsigned long long)bytes);
    rec->head.dict = (struct yg_seg_dict_entry){at, (uint32_t)bytes, view->v.dict_count};
    return YG_OK;
}

static void code_range(const struct yg_enc_input *in, struct yg_seg_entry *e) {
    uint32_t min = in->codes[0], max = in->codes[0];
    for (uint32_t i = 1; i < in->count; i++) {
        min = in->codes[i] < min ? in->codes[i] : min;
        max = in->codes[i] > max ? in->codes[i] : max;
    }
    e->min = min;
    e->max = max;
    e->flags |= YG_ENTRY_F_CODES;
}

// What the key index is to find in this granule.
static void add_keys(struct w_work *sw, const struct w_view *view, const struct yg_enc_input *in,
                     uint32_t granule) {
    bool many = !view->coded || view->v.dict_count > YG_KEY_MANY_VALUES;
    if (sw->w->keys == NULL || !many || (in->type != YG_T_STR && in->type != YG_T_ID))
        return; // a predicate on a small dictionary costs less than an index
    struct yg_key_input keys = {
        .column = view->col->name,
        .type = in->type,
        .granule = sw->w->sum.granule_count + granule,
        .count = in->count,
        .many_values = many,
        .strs = in->strs,
        .ids = in->ids,
    };
    if (view->coded) {
        for (uint32_t i = 0; i < in->count; i++)
            sw->texts[i] = view->v.dict[in->codes[i]];
        keys.strs = sw->texts;
    }
    yg_key_builder_add(sw->w->keys, &keys);
}

static yg_rc write_granule(struct w_work *sw, const struct w_view *view, struct w_record *rec,
                           struct yg_enc_input *in, uint32_t granule, struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    uint64_t at = yg_seg_writer_position(w);
    struct yg_seg_entry e;
    YG_TRY(yg_encode_chunk(&w->enc, in, &w->out, &e, err));
    e.offset = at;
    if (view->coded)
        code_range(in, &e);
    add_keys(sw, view, in, granule);
    if (view->col->type == YG_T_I64 && yg_str_eq_c(view->col->name, YG_COL_TIME)) {
        sw->stripe->granules[granule].min_time_ns = e.min;
        sw->stripe->granules[granule].max_time_ns = e.max;
    }
    YG_TRY(yg_seg_writer_entry(w, rec, granule, &e, err));
    return yg_seg_writer_flush(w, YG_SEG_WRITER_BUFFER_BYTES, err);
}

// What the granule's values lean on. rows: of the stripe.
static void lean_granule(struct w_work *sw, const struct w_lean *lean, const uint32_t *rows,
                         struct yg_enc_input *in, uint32_t granule) {
    in->by_shape = lean->by_shape;
    if (lean->own)
        yg_seg_own_granule(sw, rows, in);
    if (lean->parent && yg_seg_follow_granule(sw, lean, rows, in->codes, in->count))
        in->given_encoding = YG_ENC_FOLLOW;
    else if (lean->rows && yg_seg_rows_granule(sw, rows, in->i64, in->count, granule))
        in->given_encoding = YG_ENC_PARENT_ROW;
    in->given = yg_buf_str(&sw->given);
}

static yg_rc write_granules(struct w_work *sw, const struct w_view *view, const struct w_lean *lean,
                            struct w_record *rec, struct yg_err *err) {
    const struct yg_stripe_values *v = &view->v;
    uint32_t i = 0;
    for (uint32_t g = 0; g < sw->granule_count; g++) {
        uint32_t first = i, from = sw->cuts[g];
        for (; i < v->count && v->rows[i] < sw->cuts[g + 1]; i++)
            sw->at_rows[i - first] = v->rows[i] - from;
        struct yg_enc_input in = {
            .type = view->col->type,
            .rows = sw->cuts[g + 1] - from,
            .count = i - first,
            .at_rows = sw->at_rows,
            .coded = view->coded,
            .code_max = view->coded ? v->dict_count - 1 : 0,
            .codes = v->codes ? v->codes + first : NULL,
            .strs = v->strs ? v->strs + first : NULL,
            .i64 = v->i64 ? v->i64 + first : NULL,
            .f64 = v->f64 ? v->f64 + first : NULL,
            .ids = v->ids ? v->ids + first : NULL,
        };
        if (in.count == 0)
            continue;
        lean_granule(sw, lean, v->rows + first, &in, g);
        YG_TRY(write_granule(sw, view, rec, &in, g, err));
    }
    YG_ASSERT(i == v->count);
    return YG_OK;
}

// Memory segments' filter of trace ids.
static void note_ids(struct yg_seg_writer *w, const struct w_view *view) {
    for (uint32_t i = 0; i < view->v.count; i++) {
        uint64_t lo = view->v.ids[i].lo;
        if (w->id_count > 0 && w->id_hashes[w->id_count - 1] == lo)
            continue;
        YG_GROW(YG_MEM_STORE, w->id_hashes, w->id_count, w->id_cap);
        w->id_hashes[w->id_count++] = lo;
    }
}

// Decides what the column leans on, and keeps it where others may lean on it.
static yg_rc choose_lean(struct w_work *sw, uint32_t column, const struct w_view *view,
                         struct w_record *rec, struct w_lean *lean, struct yg_err *err) {
    uint32_t number = rec->head.column;
    lean->by_shape = yg_seg_shapes_take(sw, view, rec);
    YG_TRY(yg_seg_follow_find(sw, view, rec, lean, err));
    if (lean->parent == NULL)
        YG_TRY(yg_seg_follow_keep(sw, view, number, err));
    YG_TRY(yg_seg_rows_keep(sw, view, number, err));
    if (sw->spans && view->col->type == YG_T_I64 &&
        yg_str_eq_c(view->col->name, YG_COL_PARENT_ID)) {
        lean->rows = true;
        rec->head.parent = sw->span_number;
    }
    if (is_late(view->col))
        return yg_seg_own_wanted(sw, view, &lean->own, err);
    yg_seg_own_note(sw, column, view, number);
    return YG_OK;
}

static yg_rc write_column(struct w_work *sw, uint32_t column, struct yg_err *err) {
    struct yg_seg_writer *w = sw->w;
    struct w_view view = {0};
    struct w_lean lean = {0};
    struct w_record *rec;
    uint32_t number;
    yg_arena_reset(sw->column);
    YG_TRY(read_view(sw, column, &view, err));
    if (view.v.count == 0)
        return YG_OK;
    YG_TRY(yg_seg_writer_column(w, view.col->name, view.col->type, &number, err));
    YG_TRY(yg_seg_writer_record(w, sw->stripe, number, &rec, err));
    if (view.coded)
        YG_TRY(write_dict(sw, &view, rec, err));
    if (w->keys == NULL && view.col->type == YG_T_ID &&
        yg_str_eq_c(view.col->name, YG_COL_TRACE_ID))
        note_ids(w, &view);
    YG_TRY(choose_lean(sw, column, &view, rec, &lean, err));
    return write_granules(sw, &view, &lean, rec, err);
}

// ------------------------------------------------------------ the stripe

// What others lean on comes first: span ids before parent ids, columns of many values before those
// of few, texts last.
static uint32_t rank_of(const struct yg_stripe_column *col) {
    if (!is_text(col->type))
        return yg_str_eq_c(col->name, YG_COL_PARENT_ID) ? 1 : 0;
    return is_late(col) ? 3 : 2;
}

static int by_rank(const void *a, const void *b, void *arg) {
    const struct yg_stripe_column *columns = arg;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    const struct yg_stripe_column *x = &columns[i], *y = &columns[k];
    uint32_t p = rank_of(x), q = rank_of(y);
    if (p != q)
        return p < q ? -1 : 1;
    if (p >= 2 && x->distinct != y->distinct)
        return x->distinct > y->distinct ? -1 : 1;
    return i < k ? -1 : i > k;
}

static yg_rc write_columns(struct w_work *sw, struct yg_err *err) {
    uint32_t n = sw->src->column_count;
    uint32_t *sequence = yg_arena_alloc(sw->arena, sizeof(*sequence) * (n + 1u));
    if (sequence == NULL)
        return yg_seg_writer_no_memory(err);
    for (uint32_t i = 0; i < n; i++)
        sequence[i] = i;
    struct yg_stripe_column *columns = yg_arena_alloc(sw->arena, sizeof(*columns) * (n + 1u));
    if (columns == NULL)
        return yg_seg_writer_no_memory(err);
    memcpy(columns, sw->src->columns, sizeof(*columns) * n);
    if (!sw->w->options.plain)
        qsort_r(sequence, n, sizeof(*sequence), by_rank, columns);
    for (uint32_t i = 0; i < n; i++)
        if (sw->in_rest == NULL || !sw->in_rest[sequence[i]])
            YG_TRY(write_column(sw, sequence[i], err));
    YG_TRY(yg_seg_rest_write(sw, err));
    return yg_seg_shapes_write(sw, err);
}

static yg_rc write_stripe(struct w_work *sw, struct yg_err *err) {
    YG_TRY(yg_seg_rest_choose(sw, err));
    YG_TRY(cut_granules(sw, err));
    YG_TRY(yg_seg_writer_begin_stripe(sw->w, sw->granule_count, &sw->stripe, err));
    for (uint32_t g = 0; g < sw->granule_count; g++)
        sw->stripe->granules[g] =
            (struct yg_seg_granule_entry){.rows = sw->cuts[g + 1] - sw->cuts[g],
                                          .min_time_ns = INT64_MAX,
                                          .max_time_ns = INT64_MIN};
    YG_TRY(yg_seg_shapes_build(sw, err));
    YG_TRY(write_columns(sw, err));
    return yg_seg_writer_end_stripe(sw->w, sw->stripe, err);
}

yg_rc yg_seg_writer_stripe(struct yg_seg_writer *w, const struct yg_stripe_source *src,
                           struct yg_err *err) {
    YG_ASSERT(src->row_count > 0);
    struct w_work *sw = yg_calloc(YG_MEM_STORE, 1, sizeof(*sw));
    sw->w = w;
    sw->src = src;
    sw->arena = yg_arena_create(YG_MEM_STORE, ARENA_BYTES_MAX);
    sw->column = yg_arena_create(YG_MEM_STORE, ARENA_BYTES_MAX);
    sw->given = YG_BUF(YG_MEM_STORE, YG_SEG_CHUNK_RAW_MAX);
    yg_rc rc = write_stripe(sw, err);
    yg_buf_fini(&sw->given);
    yg_arena_destroy(sw->column);
    yg_arena_destroy(sw->arena);
    yg_free(YG_MEM_STORE, sw);
    return yg_seg_writer_memory_not_limit(rc, err);
}

yg_rc yg_seg_writer_columns(struct yg_seg_writer *w, const struct yg_columns *cs,
                            const uint32_t *order, uint32_t count, struct yg_err *err) {
    struct yg_columns_source source;
    yg_rc rc = yg_columns_source_init(&source, cs, order, count, err);
    if (rc == YG_OK)
        rc = yg_seg_writer_stripe(w, &source.stripe, err);
    yg_columns_source_fini(&source);
    return rc;
}
