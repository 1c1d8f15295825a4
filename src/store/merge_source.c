// SPDX-License-Identifier: Apache-2.0
// Rows of several segments as the source of stripes (merge.h).
#include "store/merge.h"

#include "base/hash.h"
#include "base/panic.h"
#include "store/segment_rest.h"

#define GIVE_UP_VALUES 1024u // from here on a column with hardly any repeats is kept as strings
#define SCRATCH_BYTES ((size_t)512 << 20)

struct yg_merge_column {
    uint32_t *in; // [input]: its column, or YG_COLUMN_NONE
};

struct yg_merge_shapes { // of one granule of an input
    uint16_t *codes;     // [row]; NULL: not read yet
    const struct yg_dict *dict;
};

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "the store's memory for merging is used up");
}

// ------------------------------------------------------------ columns of all inputs

struct cursor { // of one input over its sorted columns
    const struct yg_seg_dir *dir;
    uint32_t at;
};

static int column_cmp(const struct yg_seg_column *a, const struct yg_seg_column *b) {
    int cmp = yg_str_cmp(a->name, b->name);
    return cmp ? cmp : (int)a->type - (int)b->type;
}

// The smallest column that any input stands at; NULL at the end.
static const struct yg_seg_column *smallest(const struct cursor *c, uint32_t n) {
    const struct yg_seg_column *best = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (c[i].at < c[i].dir->column_count &&
            (best == NULL || column_cmp(&c[i].dir->columns[c[i].at], best) < 0))
            best = &c[i].dir->columns[c[i].at];
    return best;
}

static void unite_columns(struct yg_merge_source *m) {
    struct cursor *c = yg_calloc(YG_MEM_STORE, m->input_count, sizeof(*c));
    uint32_t count = 0, cap = 0, name_cap = 0;
    for (uint32_t i = 0; i < m->input_count; i++)
        c[i].dir = &m->inputs[i]->dir;
    for (const struct yg_seg_column *next; (next = smallest(c, m->input_count)) != NULL; count++) {
        const struct yg_seg_column col = *next;
        YG_GROW(YG_MEM_STORE, m->own_columns, count, cap);
        YG_GROW(YG_MEM_STORE, m->own_names, count, name_cap);
        m->own_names[count] = (struct yg_stripe_column){.name = col.name, .type = col.type};
        uint32_t *in = yg_alloc(YG_MEM_STORE, sizeof(*in) * m->input_count);
        for (uint32_t i = 0; i < m->input_count; i++) {
            bool here = c[i].at < c[i].dir->column_count &&
                        column_cmp(&c[i].dir->columns[c[i].at], &col) == 0;
            in[i] = here ? c[i].at : YG_COLUMN_NONE;
            c[i].at += here;
        }
        m->own_columns[count].in = in;
    }
    m->stripe.columns = m->own_names;
    m->stripe.column_count = count;
    yg_free(YG_MEM_STORE, c);
}

// ------------------------------------------------------------ the rest of the inputs' stripes

static yg_rc rest_count(struct yg_merge_source *m, uint32_t input, uint32_t stripe,
                        uint32_t *ret_keys, struct yg_err *err) {
    yg_rc rc = yg_segment_rest_count(m->inputs[input], stripe, ret_keys, err);
    if (rc == YG_ECORRUPT)
        m->damaged = m->inputs[input];
    return rc;
}

static void append_column(struct yg_merge_source *m, const struct yg_rest_key *key) {
    uint32_t count = m->stripe.column_count;
    m->own_columns =
        yg_realloc(YG_MEM_STORE, m->own_columns, sizeof(*m->own_columns) * (count + 1u));
    m->own_names = yg_realloc(YG_MEM_STORE, m->own_names, sizeof(*m->own_names) * (count + 1u));
    m->own_names[count] = (struct yg_stripe_column){.name = key->name, .type = key->type};
    m->own_columns[count].in = yg_alloc(YG_MEM_STORE, sizeof(uint32_t) * m->input_count);
    for (uint32_t i = 0; i < m->input_count; i++)
        m->own_columns[count].in[i] = YG_COLUMN_NONE;
    m->stripe.columns = m->own_names;
    m->stripe.column_count++;
}

// Columns that stand in rests only. Names: of the inputs' directories, which stay loaded.
static yg_rc unite_rests(struct yg_merge_source *m, struct yg_err *err) {
    YG_AUTO(yg_map) known = YG_MAP(YG_MEM_STORE, false); // name → types
    for (uint32_t c = 0; c < m->stripe.column_count; c++)
        *yg_map_put(&known, m->own_names[c].name, NULL) |= UINT64_C(1) << m->own_names[c].type;
    for (uint32_t i = 0; i < m->input_count; i++)
        for (uint32_t s = 0; s < m->inputs[i]->dir.stripe_count; s++) {
            uint32_t keys;
            YG_TRY(rest_count(m, i, s, &keys, err));
            for (uint32_t k = 0; k < keys; k++) {
                struct yg_rest_key key = yg_segment_rest_key(m->inputs[i], s, k);
                uint64_t *types = yg_map_put(&known, key.name, NULL);
                m->has_rest = true;
                if (!(*types >> key.type & 1))
                    append_column(m, &key);
                *types |= UINT64_C(1) << key.type;
            }
        }
    return YG_OK;
}

// The key of a column in a stripe's rest; false when it has none there.
static bool rest_key(const struct yg_segment *seg, uint32_t stripe,
                     const struct yg_stripe_column *col, uint32_t *ret_key,
                     struct yg_rest_key *ret) {
    const struct yg_seg_stripe *st = &seg->dir.stripes[stripe];
    uint32_t keys = st->rest_keys;
    if (yg_segment_record(st, YG_RECORD_REST) == NULL)
        return false;
    for (uint32_t k = yg_segment_rest_find(seg, stripe, col->name); k < keys; k++) {
        *ret = yg_segment_rest_key(seg, stripe, k);
        *ret_key = k;
        if (!yg_str_eq(ret->name, col->name))
            return false;
        if (ret->type == col->type)
            return true;
    }
    return false;
}

// Values of a column in the rests of all inputs.
static uint64_t rest_values(const struct yg_merge_source *m, uint32_t column) {
    uint64_t count = 0;
    for (uint32_t i = 0; m->has_rest && i < m->input_count; i++)
        for (uint32_t s = 0; s < m->inputs[i]->dir.stripe_count; s++) {
            struct yg_rest_key key;
            uint32_t k;
            if (rest_key(m->inputs[i], s, &m->own_names[column], &k, &key))
                count += key.count;
        }
    return count;
}

// ------------------------------------------------------------ walking

// One granule of one input, on a walk over all of them.
struct at {
    uint32_t input, stripe, granule; // granule within the stripe
    uint32_t number;                 // of the granule, over all inputs
    uint32_t first_row;              // over all inputs
    uint32_t rows;
};

// Begin with {0}. False at the end.
static bool next_granule(const struct yg_merge_source *m, struct at *at) {
    if (at->rows) {
        at->first_row += at->rows;
        at->number++;
        at->granule++;
    }
    for (; at->input < m->input_count; at->input++, at->stripe = 0) {
        const struct yg_seg_dir *dir = &m->inputs[at->input]->dir;
        for (; at->stripe < dir->stripe_count; at->stripe++, at->granule = 0)
            if (at->granule < dir->stripes[at->stripe].granule_count) {
                at->rows = dir->stripes[at->stripe].granules[at->granule].rows;
                return true;
            }
    }
    return false;
}

// Values of a column in a granule.
static uint32_t count_at(const struct yg_merge_source *m, const struct at *at, uint32_t column) {
    const struct yg_seg_record *rec =
        yg_segment_record(&m->inputs[at->input]->dir.stripes[at->stripe], column);
    return rec ? yg_segment_entry(rec, at->granule)->count : 0;
}

// Row of the stripe, or YG_COLUMN_NONE.
static uint32_t row_in_window(const struct yg_merge_source *m, uint32_t row) {
    uint32_t p = m->place[row];
    return p != YG_COLUMN_NONE && p >= m->first && p - m->first < m->stripe.row_count
               ? p - m->first
               : YG_COLUMN_NONE;
}

void yg_merge_source_window(struct yg_merge_source *m, uint32_t first, uint32_t rows) {
    YG_ASSERT(first <= m->kept && rows <= m->kept - first);
    m->first = first;
    m->stripe.row_count = rows;
    struct at at = {0};
    while (next_granule(m, &at)) {
        bool any = false;
        for (uint32_t r = 0; r < at.rows && !any; r++)
            any = row_in_window(m, at.first_row + r) != YG_COLUMN_NONE;
        m->own_active[at.number] = any;
    }
    // An upper bound; exact when granules lie in the window as a whole.
    for (uint32_t c = 0; c < m->stripe.column_count; c++) {
        uint64_t count = rest_values(m, c);
        struct at g = {0};
        while (next_granule(m, &g)) {
            uint32_t col = m->own_columns[c].in[g.input];
            if (m->own_active[g.number] && col != YG_COLUMN_NONE)
                count += count_at(m, &g, col);
        }
        m->own_names[c].count = count < rows ? (uint32_t)count : rows;
    }
}

// ------------------------------------------------------------ gathering

// Values in the order of the inputs, with their rows in the stripe.
struct gather {
    struct yg_merge_source *m;
    struct yg_arena *arena;   // the caller's: what is handed out
    struct yg_arena *own;     // values before they are in order, tables: gone at the end
    struct yg_arena *scratch; // one chunk
    enum yg_type type;
    uint32_t cap, count;
    uint32_t *rows;
    uint32_t *codes; // while `coded`
    yg_str *strs;
    int64_t *i64;
    double *f64;
    yg_id128 *ids;
    size_t bytes; // of strings
    // dictionary
    bool coded;
    yg_str *dict;
    uint32_t *hashes;
    uint32_t dict_count, dict_cap;
    uint32_t *slots; // dictionary index + 1
    uint32_t slot_cap;
    uint32_t *remap; // of the input stripe's dictionary
    const struct yg_dict *remap_of;
};

static bool gather_alloc(struct gather *g, uint32_t cap, bool rows_only) {
    g->cap = cap;
    g->rows = yg_arena_alloc(g->own, sizeof(*g->rows) * (cap + 1u));
    if (g->rows == NULL || rows_only)
        return g->rows != NULL;
    switch (g->type) {
    case YG_T_STR:
    case YG_T_JSON:
        g->coded = true;
        return (g->codes = yg_arena_alloc(g->own, sizeof(*g->codes) * (cap + 1u))) != NULL;
    case YG_T_I64:
    case YG_T_BOOL:
        return (g->i64 = yg_arena_alloc(g->own, sizeof(*g->i64) * (cap + 1u))) != NULL;
    case YG_T_F64:
        return (g->f64 = yg_arena_alloc(g->own, sizeof(*g->f64) * (cap + 1u))) != NULL;
    case YG_T_ID:
        return (g->ids = yg_arena_alloc(g->own, sizeof(*g->ids) * (cap + 1u))) != NULL;
    case YG_TYPE_COUNT:
        break;
    }
    return false;
}

static bool slots_grow(struct gather *g) {
    uint32_t cap = g->slot_cap ? g->slot_cap * 4 : 256;
    uint32_t *slots = YG_NEW_N(g->own, uint32_t, cap);
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < g->dict_count; i++) {
        uint32_t at = g->hashes[i] & (cap - 1);
        while (slots[at])
            at = (at + 1) & (cap - 1);
        slots[at] = i + 1;
    }
    g->slots = slots;
    g->slot_cap = cap;
    return true;
}

static bool dict_grow(struct gather *g) {
    uint32_t cap = g->dict_cap;
    uint32_t *hashes = yg_arena_grow(g->own, g->hashes, &cap, sizeof(*hashes));
    yg_str *dict = yg_arena_grow(g->arena, g->dict, &g->dict_cap, sizeof(*dict));
    if (hashes == NULL || dict == NULL)
        return false;
    YG_ASSERT(cap == g->dict_cap);
    g->hashes = hashes;
    g->dict = dict;
    return true;
}

// A string of a chunk lives in scratch; what is handed out must live longer. `lasting`: it does.
static bool keep_str(struct gather *g, yg_str s, bool lasting, yg_str *ret_str) {
    *ret_str = lasting ? s : yg_arena_str(g->arena, s);
    g->bytes += lasting ? 0 : s.len;
    return ret_str->ptr != NULL || s.len == 0;
}

// Code of s; YG_COLUMN_NONE when memory is used up.
static uint32_t intern(struct gather *g, yg_str s, bool lasting) {
    if (g->dict_count >= g->slot_cap / 2 && !slots_grow(g))
        return YG_COLUMN_NONE;
    uint32_t hash = (uint32_t)yg_hash_str(s);
    uint32_t at = hash & (g->slot_cap - 1);
    for (; g->slots[at]; at = (at + 1) & (g->slot_cap - 1)) {
        uint32_t i = g->slots[at] - 1;
        if (g->hashes[i] == hash && yg_str_eq(g->dict[i], s))
            return i;
    }
    if (g->dict_count == g->dict_cap && !dict_grow(g))
        return YG_COLUMN_NONE;
    if (!keep_str(g, s, lasting, &g->dict[g->dict_count]))
        return YG_COLUMN_NONE;
    g->slots[at] = g->dict_count + 1;
    g->hashes[g->dict_count] = hash;
    return g->dict_count++;
}

// Hardly any repeats: from now on the strings themselves.
static bool give_up_codes(struct gather *g) {
    g->strs = yg_arena_alloc(g->own, sizeof(*g->strs) * (g->cap + 1u));
    if (g->strs == NULL)
        return false;
    for (uint32_t k = 0; k < g->count; k++)
        g->strs[k] = g->dict[g->codes[k]];
    g->coded = false;
    return true;
}

static bool start_remap(struct gather *g, const struct yg_dict *dict) {
    if (g->remap_of == dict)
        return true;
    g->remap = yg_arena_alloc(g->own, sizeof(*g->remap) * (dict->count + 1u));
    if (g->remap == NULL)
        return false;
    memset(g->remap, 0xff, sizeof(*g->remap) * (dict->count + 1u));
    g->remap_of = dict;
    return true;
}

// Value k of the chunk as value `at` of the column. A dictionary lives as long as its segment is
// loaded.
static bool take_string(struct gather *g, const struct yg_seg_values *v, uint32_t k, uint32_t at) {
    if (!g->coded)
        return keep_str(g, v->dict ? v->dict->strs[v->codes[k]] : v->strs[k], v->dict != NULL,
                        &g->strs[at]);
    if (v->dict == NULL)
        return (g->codes[at] = intern(g, v->strs[k], false)) != YG_COLUMN_NONE;
    uint32_t *code = &g->remap[v->codes[k]];
    if (*code == YG_COLUMN_NONE)
        *code = intern(g, v->dict->strs[v->codes[k]], true);
    g->codes[at] = *code;
    return *code != YG_COLUMN_NONE;
}

static bool is_text(enum yg_type type) {
    return type == YG_T_STR || type == YG_T_JSON;
}

// The rows of a chunk's values in the stripe, by value; YG_COLUMN_NONE: not in the window. NULL
// rows: by presence.
static const uint32_t *chunk_rows(struct gather *g, const struct yg_seg_values *v,
                                  const uint32_t *rows, uint32_t first_row) {
    uint32_t *to = yg_arena_alloc(g->scratch, sizeof(*to) * (v->count + 1u));
    uint32_t row = 0;
    for (uint32_t k = 0; to && k < v->count; k++, row++) {
        if (rows)
            row = rows[k];
        else if (v->present)
            row = yg_bits_next(v->present, v->rows, row);
        to[k] = row_in_window(g->m, first_row + row);
    }
    return to;
}

#define TAKE(field)                                                                                \
    do {                                                                                           \
        for (uint32_t k_ = 0; k_ < v->count; k_++)                                                 \
            if (to[k_] != YG_COLUMN_NONE)                                                          \
                g->field[at++] = v->field[k_];                                                     \
    } while (0)

static yg_rc take_values(struct gather *g, const struct yg_seg_values *v, const uint32_t *rows,
                         uint32_t first_row, struct yg_err *err) {
    const uint32_t *to = chunk_rows(g, v, rows, first_row);
    uint32_t at = g->count;
    if (to == NULL)
        return no_memory(err);
    if (v->i64)
        TAKE(i64);
    else if (v->f64)
        TAKE(f64);
    else if (v->ids)
        TAKE(ids);
    else
        for (uint32_t k = 0; k < v->count; k++)
            if (to[k] != YG_COLUMN_NONE && !take_string(g, v, k, at++))
                return no_memory(err);
    for (uint32_t k = 0; k < v->count; k++)
        if (to[k] != YG_COLUMN_NONE)
            g->rows[g->count++] = to[k];
    YG_ASSERT(g->count <= g->cap);
    return YG_OK;
}

static yg_rc take_chunk(struct gather *g, const struct at *at, uint32_t column,
                        struct yg_err *err) {
    struct yg_segment *seg = g->m->inputs[at->input];
    struct yg_seg_values v;
    yg_arena_reset(g->scratch);
    yg_rc rc = yg_segment_values(seg, at->stripe, at->granule, column, g->scratch, &v, err);
    if (rc == YG_ECORRUPT)
        g->m->damaged = seg;
    YG_TRY(rc);
    if (is_text(g->type)) {
        if (g->coded && g->count >= GIVE_UP_VALUES && g->dict_count > g->count / 4 * 3 &&
            !give_up_codes(g))
            return no_memory(err);
        if (v.dict && g->coded && !start_remap(g, v.dict))
            return no_memory(err);
    }
    YG_TRY(take_values(g, &v, NULL, at->first_row, err));
    if (g->bytes > YG_MERGE_COLUMN_BYTES && g->m->stripe.row_count > YG_GRANULE_ROWS) {
        g->m->too_wide = true;
        return yg_fail(err, YG_ELIMIT, "a column of %zu bytes in one stripe", g->bytes);
    }
    return YG_OK;
}

static yg_rc take_rows(struct gather *g, const uint32_t *rows, uint32_t count, uint32_t first_row) {
    for (uint32_t k = 0; k < count; k++) {
        uint32_t to = row_in_window(g->m, first_row + rows[k]);
        if (to != YG_COLUMN_NONE)
            g->rows[g->count++] = to;
    }
    return YG_OK;
}

// The shape of every row of a granule, read once for all columns.
static yg_rc shapes_of(struct gather *g, const struct at *at, struct yg_merge_shapes **ret,
                       struct yg_err *err) {
    struct yg_merge_shapes *s = &g->m->own_shapes[at->number];
    struct yg_segment *seg = g->m->inputs[at->input];
    struct yg_seg_values v;
    *ret = s;
    if (s->codes)
        return YG_OK;
    yg_rc rc =
        yg_segment_values(seg, at->stripe, at->granule, YG_RECORD_SHAPES, g->scratch, &v, err);
    if (rc == YG_OK && (v.count != v.rows || v.codes == NULL))
        rc = yg_fail(err, YG_ECORRUPT, "%s: a granule has no shapes", yg_segment_name(seg));
    if (rc == YG_ECORRUPT)
        g->m->damaged = seg;
    YG_TRY(rc);
    s->codes = yg_try_alloc(YG_MEM_STORE, sizeof(*s->codes) * v.count);
    if (s->codes == NULL)
        return no_memory(err);
    for (uint32_t r = 0; r < v.count; r++)
        s->codes[r] = (uint16_t)v.codes[r]; // < YG_SEG_SHAPES_MAX
    s->dict = v.dict;
    return YG_OK;
}

// Rows of a granule that have the column, without its values where shapes tell.
static yg_rc take_present(struct gather *g, const struct at *at, uint32_t column,
                          struct yg_err *err) {
    struct yg_segment *seg = g->m->inputs[at->input];
    const struct yg_seg_record *rec = yg_segment_record(&seg->dir.stripes[at->stripe], column);
    uint32_t count = yg_segment_entry(rec, at->granule)->count, bit = rec->head.shape_bit;
    uint8_t has[YG_SEG_SHAPES_MAX] = {0};
    struct yg_merge_shapes *s = NULL;
    yg_arena_reset(g->scratch);
    if (count < at->rows && bit == YG_COLUMN_NONE) {
        struct yg_seg_values v;
        yg_rc rc = yg_segment_values(seg, at->stripe, at->granule, column, g->scratch, &v, err);
        if (rc == YG_ECORRUPT)
            g->m->damaged = seg;
        YG_TRY(rc);
        const uint32_t *to = chunk_rows(g, &v, NULL, at->first_row);
        for (uint32_t k = 0; to && k < v.count; k++)
            if (to[k] != YG_COLUMN_NONE)
                g->rows[g->count++] = to[k];
        return to ? YG_OK : no_memory(err);
    }
    if (count < at->rows) {
        YG_TRY(shapes_of(g, at, &s, err));
        for (uint32_t i = 0; i < s->dict->count && i < YG_SEG_SHAPES_MAX; i++) {
            yg_str bits = s->dict->strs[i];
            has[i] = bit / 8 < bits.len && ((uint8_t)bits.ptr[bit / 8] >> (bit & 7) & 1);
        }
    }
    for (uint32_t r = 0; r < at->rows; r++) {
        uint32_t to = row_in_window(g->m, at->first_row + r);
        if (to != YG_COLUMN_NONE && (s == NULL || has[s->codes[r]]) && g->count < g->cap)
            g->rows[g->count++] = to;
    }
    return YG_OK;
}

// What the rests of the inputs' stripes hold of the column.
static yg_rc gather_rests(struct gather *g, uint32_t column, bool rows_only, struct yg_err *err) {
    struct yg_merge_source *m = g->m;
    uint32_t first_row = 0;
    for (uint32_t i = 0; m->has_rest && i < m->input_count; i++)
        for (uint32_t s = 0; s < m->inputs[i]->dir.stripe_count; s++) {
            struct yg_segment *seg = m->inputs[i];
            struct yg_rest_cursor cursor = {0};
            struct yg_seg_values v;
            struct yg_rest_key key;
            const uint32_t *rows;
            uint32_t k;
            if (rest_key(seg, s, &m->own_names[column], &k, &key)) {
                yg_arena_reset(g->scratch);
                yg_rc rc = yg_segment_rest_read(seg, s, k, &cursor, g->scratch, &rows, &v, err);
                if (rc == YG_ECORRUPT)
                    m->damaged = seg;
                YG_TRY(rc);
                YG_TRY(rows_only ? take_rows(g, rows, v.count, first_row)
                                 : take_values(g, &v, rows, first_row, err));
            }
            first_row += seg->dir.stripes[s].row_count;
        }
    return YG_OK;
}

static yg_rc gather_column(struct gather *g, uint32_t column, bool rows_only, struct yg_err *err) {
    struct yg_merge_source *m = g->m;
    if (!gather_alloc(g, m->own_names[column].count, rows_only))
        return no_memory(err);
    if (m->pause && m->pause(m->pause_ctx))
        return yg_fail(err, YG_ECANCEL, "the merge was told to stop");
    struct at at = {0};
    while (next_granule(m, &at)) {
        uint32_t col = m->own_columns[column].in[at.input];
        if (!m->own_active[at.number] || col == YG_COLUMN_NONE || count_at(m, &at, col) == 0)
            continue;
        YG_TRY(rows_only ? take_present(g, &at, col, err) : take_chunk(g, &at, col, err));
    }
    return gather_rests(g, column, rows_only, err);
}

// ------------------------------------------------------------ into the order of the stripe

static int u64_cmp(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

// *ret_perm: value numbers by ascending row.
static yg_rc order_values(struct gather *g, uint32_t **ret_perm, struct yg_err *err) {
    uint32_t *perm = yg_arena_alloc(g->own, sizeof(*perm) * (g->count + 1u));
    if (perm == NULL)
        return no_memory(err);
    *ret_perm = perm;
    uint32_t rows = g->m->stripe.row_count, n = 0;
    if (g->count == rows) { // all rows have one
        for (uint32_t k = 0; k < rows; k++)
            perm[g->rows[k]] = k;
        return YG_OK;
    }
    if (g->count < rows / 16) { // few: sorted
        uint64_t *keys = yg_alloc(YG_MEM_STORE, sizeof(*keys) * (g->count + 1u));
        for (uint32_t k = 0; k < g->count; k++)
            keys[k] = (uint64_t)g->rows[k] << 32 | k;
        qsort(keys, g->count, sizeof(*keys), u64_cmp);
        for (; n < g->count; n++)
            perm[n] = (uint32_t)keys[n];
        yg_free(YG_MEM_STORE, keys);
        return YG_OK;
    }
    uint32_t *slot = yg_calloc(YG_MEM_STORE, rows + 1u, sizeof(*slot));
    for (uint32_t k = 0; k < g->count; k++)
        slot[g->rows[k]] = k + 1;
    for (uint32_t r = 0; r < rows; r++)
        if (slot[r])
            perm[n++] = slot[r] - 1;
    yg_free(YG_MEM_STORE, slot);
    YG_ASSERT(n == g->count);
    return YG_OK;
}

#define PERMUTE(field)                                                                             \
    do {                                                                                           \
        __typeof__(g->field) to_ = yg_arena_alloc(g->arena, sizeof(*to_) * (g->count + 1u));       \
        if (to_ == NULL)                                                                           \
            return no_memory(err);                                                                 \
        for (uint32_t i_ = 0; i_ < g->count; i_++)                                                 \
            to_[i_] = g->field[perm[i_]];                                                          \
        g->field = to_;                                                                            \
    } while (0)

static yg_rc permute(struct gather *g, struct yg_err *err) {
    uint32_t *perm;
    YG_TRY(order_values(g, &perm, err));
    PERMUTE(rows);
    if (g->i64)
        PERMUTE(i64);
    else if (g->f64)
        PERMUTE(f64);
    else if (g->ids)
        PERMUTE(ids);
    else if (g->codes && g->coded)
        PERMUTE(codes);
    else if (g->strs)
        PERMUTE(strs);
    return YG_OK;
}

static yg_rc gathered(struct yg_merge_source *m, uint32_t column, bool rows_only,
                      struct yg_arena *arena, struct gather *g, struct yg_err *err) {
    YG_ASSERT(column < m->stripe.column_count);
    *g = (struct gather){.m = m, .arena = arena, .type = m->own_names[column].type};
    g->scratch = yg_arena_create(YG_MEM_STORE, SCRATCH_BYTES);
    g->own = rows_only ? arena : yg_arena_create(YG_MEM_STORE, SCRATCH_BYTES);
    yg_rc rc = g->scratch && g->own ? gather_column(g, column, rows_only, err) : no_memory(err);
    yg_arena_destroy(g->scratch);
    if (rc == YG_OK && !rows_only)
        rc = permute(g, err);
    if (g->own != arena)
        yg_arena_destroy(g->own);
    return rc;
}

static yg_rc source_rows(void *ctx, uint32_t column, struct yg_arena *arena,
                         const uint32_t **ret_rows, uint32_t *ret_count, struct yg_err *err) {
    struct gather g;
    YG_TRY(gathered(ctx, column, true, arena, &g, err));
    *ret_rows = g.rows;
    *ret_count = g.count;
    return YG_OK;
}

static yg_rc source_values(void *ctx, uint32_t column, struct yg_arena *arena,
                           struct yg_stripe_values *ret_values, struct yg_err *err) {
    struct gather g;
    YG_TRY(gathered(ctx, column, false, arena, &g, err));
    *ret_values = (struct yg_stripe_values){
        .count = g.count,
        .rows = g.rows,
        .codes = g.coded ? g.codes : NULL,
        .dict = g.coded ? g.dict : NULL,
        .dict_count = g.coded ? g.dict_count : 0,
        .strs = g.coded ? NULL : g.strs,
        .i64 = g.i64,
        .f64 = g.f64,
        .ids = g.ids,
    };
    return YG_OK;
}

// ------------------------------------------------------------ making

// Strings that are in dictionaries everywhere: how long and how many, so that the writer need not
// read the column to learn it.
static yg_rc measure_texts(struct yg_merge_source *m, uint32_t c, struct yg_err *err) {
    struct yg_stripe_column *col = &m->own_names[c];
    uint32_t longest = 0, distinct = 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_STORE, SCRATCH_BYTES);
    if (arena == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < m->input_count; i++)
        for (uint32_t s = 0; s < m->inputs[i]->dir.stripe_count; s++) {
            const struct yg_dict *dict = NULL;
            uint32_t in = m->own_columns[c].in[i];
            if (in == YG_COLUMN_NONE ||
                yg_segment_record(&m->inputs[i]->dir.stripes[s], in) == NULL)
                continue;
            yg_arena_reset(arena);
            yg_rc rc = yg_segment_dict(m->inputs[i], s, in, arena, &dict, err);
            if (rc == YG_ECORRUPT)
                m->damaged = m->inputs[i];
            YG_TRY(rc);
            if (dict == NULL)
                return YG_OK; // not known
            for (uint32_t k = 0; k < dict->count; k++)
                longest = dict->strs[k].len > longest ? (uint32_t)dict->strs[k].len : longest;
            distinct = dict->count > distinct ? dict->count : distinct;
        }
    col->longest = longest;
    col->distinct = distinct;
    return YG_OK;
}

yg_rc yg_merge_source_init(struct yg_merge_source *m, struct yg_segment **inputs, uint32_t count,
                           uint64_t *const *keep, struct yg_err *err) {
    *m = (struct yg_merge_source){.inputs = inputs, .input_count = count};
    uint64_t rows = 0;
    for (uint32_t i = 0; i < count; i++) {
        YG_ASSERT(inputs[i]->loaded);
        rows += inputs[i]->row_count;
        m->granule_count += inputs[i]->dir.granule_count;
    }
    if (rows >= YG_COLUMN_NONE)
        return yg_fail(err, YG_ELIMIT, "a merge of %llu rows", (unsigned long long)rows);
    m->all_rows = (uint32_t)rows;
    m->place = yg_try_alloc(YG_MEM_STORE, sizeof(*m->place) * (m->all_rows + 1u));
    m->own_active = yg_try_alloc(YG_MEM_STORE, m->granule_count + 1u);
    m->own_shapes = yg_calloc(YG_MEM_STORE, m->granule_count + 1u, sizeof(*m->own_shapes));
    if (m->place == NULL || m->own_active == NULL)
        return no_memory(err);
    uint32_t row = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t r = 0; r < inputs[i]->row_count; r++, row++)
            m->place[row] =
                keep && keep[i] && !yg_bits_get(keep[i], r) ? YG_COLUMN_NONE : m->kept++;
    unite_columns(m);
    YG_TRY(unite_rests(m, err));
    for (uint32_t c = 0; c < m->stripe.column_count && !m->has_rest; c++)
        if (is_text(m->own_names[c].type))
            YG_TRY(measure_texts(m, c, err));
    m->stripe.track = inputs[0]->track;
    m->stripe.rows = source_rows;
    m->stripe.values = source_values;
    m->stripe.ctx = m;
    return YG_OK;
}

void yg_merge_source_fini(struct yg_merge_source *m) {
    for (uint32_t c = 0; c < m->stripe.column_count; c++)
        yg_free(YG_MEM_STORE, m->own_columns[c].in);
    yg_free(YG_MEM_STORE, m->own_columns);
    yg_free(YG_MEM_STORE, m->own_names);
    for (uint32_t i = 0; m->own_shapes && i < m->granule_count; i++)
        yg_free(YG_MEM_STORE, m->own_shapes[i].codes);
    yg_free(YG_MEM_STORE, m->own_shapes);
    yg_free(YG_MEM_STORE, m->own_active);
    yg_free(YG_MEM_STORE, m->place);
}

// ------------------------------------------------------------ order

static yg_rc add_key(struct yg_merge_source *m, struct yg_columns *cs, uint32_t column,
                     struct yg_err *err) {
    struct yg_stripe_values v;
    uint32_t at;
    YG_TRY(yg_columns_want(cs, m->own_names[column].name, m->own_names[column].type, 0, &at, err));
    YG_TRY(source_values(m, column, cs->arena, &v, err));
    struct yg_column_source src = {
        .type = m->own_names[column].type,
        .codes = v.codes,
        .dict = v.dict,
        .dict_count = v.dict_count,
        .strs = v.strs,
        .i64 = v.i64,
        .f64 = v.f64,
        .ids = v.ids,
    };
    return yg_column_add(cs, at, &src, NULL, v.rows, v.count, err);
}

static yg_rc fill_keys(struct yg_merge_source *m, struct yg_columns *cs, struct yg_err *err) {
    uint32_t unused;
    for (uint32_t c = 0; c < m->stripe.column_count; c++)
        if (yg_columns_sort_key(m->stripe.track, m->own_names[c].name, m->own_names[c].type))
            YG_TRY(yg_columns_want(cs, m->own_names[c].name, m->own_names[c].type,
                                   m->own_names[c].count, &unused, err));
    YG_TRY(yg_columns_alloc(cs, err));
    for (uint32_t c = 0; c < m->stripe.column_count; c++)
        if (yg_columns_sort_key(m->stripe.track, m->own_names[c].name, m->own_names[c].type))
            YG_TRY(add_key(m, cs, c, err));
    cs->row_count = m->kept;
    return YG_OK;
}

yg_rc yg_merge_source_sort(struct yg_merge_source *m, struct yg_err *err) {
    if (m->kept == 0)
        return YG_OK;
    yg_merge_source_window(m, 0, m->kept);
    struct yg_columns *cs = yg_columns_create(m->stripe.track, YG_MEM_STORE, SCRATCH_BYTES);
    if (cs == NULL)
        return no_memory(err);
    uint32_t *order, runs;
    struct yg_columns_run *run;
    yg_rc rc = fill_keys(m, cs, err);
    if (rc == YG_OK)
        rc = yg_columns_sort(cs, &order, &run, &runs, err);
    if (rc == YG_OK) {
        uint32_t *to = yg_arena_alloc(cs->arena, sizeof(*to) * m->kept);
        if (to == NULL)
            rc = no_memory(err);
        for (uint32_t i = 0; to && i < m->kept; i++)
            to[order[i]] = i;
        for (uint32_t r = 0; to && r < m->all_rows; r++)
            if (m->place[r] != YG_COLUMN_NONE)
                m->place[r] = to[m->place[r]];
    }
    yg_columns_destroy(cs);
    return rc;
}
