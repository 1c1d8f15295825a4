// SPDX-License-Identifier: Apache-2.0
// Which columns' texts are left out of others: ids and numbers (request id, path, duration) that
// stand in the messages of the same rows.
#include "base/panic.h"
#include "store/segment_lean.h"
#include "store/segment_writer.h"

#define SAMPLE 512u     // values of a text that are looked at
#define ID_BYTES_MIN 6u // shorter texts are no ids worth a reference
#define ID_BYTES_MAX 64u
#define NUMBER_BYTES_MIN 2u
#define HIT_SHARE_DEN 100u // one text in so many must hold it
#define OWN_MAX 8u
#define CODED_MIN 256u // a dictionary of fewer strings holds names, not ids

static bool id_like(yg_str s) {
    bool digit = false;
    if (s.len < ID_BYTES_MIN || s.len > ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ')
            return false;
        digit |= s.ptr[i] >= '0' && s.ptr[i] <= '9';
    }
    return digit;
}

static yg_str value_text(const struct yg_stripe_values *v, uint32_t i) {
    return v->codes ? v->dict[v->codes[i]] : v->strs[i];
}

static bool ids_of(const struct yg_stripe_values *v) {
    uint32_t step = v->count / 64 + 1;
    for (uint32_t i = 0; i < v->count; i += step)
        if (!id_like(value_text(v, i)))
            return false;
    return true;
}

void yg_seg_own_note(struct w_work *sw, uint32_t column, const struct w_view *view,
                     uint32_t number) {
    const struct yg_stripe_column *col = view->col;
    uint32_t form = YG_OWN_TEXT;
    if (sw->w->options.plain || sw->own_fixed || sw->own_count == W_OWN_CANDIDATES ||
        (sw->src->track != YG_TRACK_LOGS && sw->src->track != YG_TRACK_EVENTS))
        return;
    if (col->type == YG_T_ID) {
        form = YG_OWN_HEX;
    } else if (col->type == YG_T_I64 || col->type == YG_T_F64) {
        form = YG_OWN_NUMBER;
        if (col->name.len == 0 || col->name.ptr[0] != '@' ||
            col->count < sw->src->row_count / HIT_SHARE_DEN)
            return;
    } else if (col->type != YG_T_STR || (view->coded && view->v.dict_count < CODED_MIN) ||
               !ids_of(&view->v)) {
        return;
    }
    sw->own[sw->own_count++] = (struct w_own){.column = column, .number = number, .form = form};
}

// ------------------------------------------------------------ which of them stand in texts

static yg_rc own_text(const struct yg_stripe_values *v, uint32_t i, uint32_t form,
                      struct yg_arena *arena, yg_str *ret, struct yg_err *err) {
    char text[YG_OWN_TEXT_BYTES];
    if (form == YG_OWN_TEXT) {
        *ret = value_text(v, i);
        return YG_OK;
    }
    yg_id128 id = v->ids ? v->ids[i] : (yg_id128){0, 0};
    size_t n = form == YG_OWN_HEX ? yg_own_hex(id, text)
               : v->i64           ? yg_own_integer(v->i64[i], text)
                                  : yg_own_double(v->f64[i], text);
    *ret = n < NUMBER_BYTES_MIN ? yg_str_n("", 0) : yg_arena_str(arena, yg_str_n(text, n));
    return ret->ptr ? YG_OK : yg_seg_writer_no_memory(err);
}

static uint32_t value_at(const struct yg_stripe_values *v, uint32_t row) {
    uint32_t lo = 0, hi = v->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (v->rows[mid] < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->count && v->rows[lo] == row ? lo : YG_COLUMN_NONE;
}

static yg_rc count_hits(struct w_work *sw, const struct yg_stripe_values *texts, struct w_own *o,
                        struct yg_err *err) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_STORE, (size_t)1 << 30);
    struct yg_stripe_values v;
    YG_TRY(sw->src->values(sw->src->ctx, o->column, arena, &v, err));
    o->hits = 0;
    uint32_t step = texts->count / SAMPLE + 1;
    for (uint32_t i = 0; i < texts->count; i += step) {
        yg_str own, s = value_text(texts, i);
        uint32_t k = value_at(&v, texts->rows[i]);
        if (k == YG_COLUMN_NONE)
            continue;
        YG_TRY(own_text(&v, k, o->form, arena, &own, err));
        o->hits += own.len > 0 && memmem(s.ptr, s.len, own.ptr, own.len) != NULL;
    }
    return YG_OK;
}

static int by_hits(const void *a, const void *b) {
    const struct w_own *x = a, *y = b;
    if (x->hits != y->hits)
        return x->hits > y->hits ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static yg_rc keep_texts(struct w_work *sw, struct w_own *o, struct yg_err *err) {
    struct yg_stripe_values v;
    YG_TRY(sw->src->values(sw->src->ctx, o->column, sw->arena, &v, err));
    o->texts = YG_NEW_N(sw->arena, yg_str, sw->src->row_count);
    if (o->texts == NULL)
        return yg_seg_writer_no_memory(err);
    for (uint32_t i = 0; i < v.count; i++)
        YG_TRY(own_text(&v, i, o->form, sw->arena, &o->texts[v.rows[i]], err));
    return YG_OK;
}

// The slots are settled by the first column that holds any of the candidates.
static yg_rc settle(struct w_work *sw, const struct w_view *view, struct yg_err *err) {
    uint32_t looked = view->v.count / (view->v.count / SAMPLE + 1) + 1, n = 0;
    for (uint32_t i = 0; i < sw->own_count; i++)
        YG_TRY(count_hits(sw, &view->v, &sw->own[i], err));
    qsort(sw->own, sw->own_count, sizeof(*sw->own), by_hits);
    while (n < sw->own_count && n < OWN_MAX && sw->own[n].hits > looked / HIT_SHARE_DEN)
        n++;
    if (n == 0)
        return YG_OK;
    sw->own_count = n;
    sw->own_fixed = true;
    for (uint32_t i = 0; i < n; i++) {
        YG_TRY(keep_texts(sw, &sw->own[i], err));
        sw->stripe->own[i] = (struct yg_seg_own_entry){sw->own[i].number, sw->own[i].form};
    }
    sw->stripe->own_count = n;
    sw->own_flat = yg_arena_alloc(sw->arena, sizeof(*sw->own_flat) * YG_GRANULE_ROWS * n);
    return sw->own_flat ? YG_OK : yg_seg_writer_no_memory(err);
}

yg_rc yg_seg_own_wanted(struct w_work *sw, const struct w_view *view, bool *ret_wanted,
                        struct yg_err *err) {
    *ret_wanted = false;
    if (view->coded || (view->col->type != YG_T_STR && view->col->type != YG_T_JSON))
        return YG_OK;
    if (!sw->own_fixed && sw->own_count > 0)
        YG_TRY(settle(sw, view, err));
    *ret_wanted = sw->own_fixed;
    return YG_OK;
}

void yg_seg_own_granule(struct w_work *sw, const uint32_t *rows, struct yg_enc_input *in) {
    for (uint32_t i = 0; i < in->count; i++)
        for (uint32_t o = 0; o < sw->own_count; o++)
            sw->own_flat[i * sw->own_count + o] = sw->own[o].texts[rows[i]];
    in->own = sw->own_flat;
    in->own_count = sw->own_count;
}
