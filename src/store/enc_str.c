// SPDX-License-Identifier: Apache-2.0
// Strings: one shape for all (enc_layout.c), distinct ones once with references, own texts replaced
// (enc_own.c), and what is left as lengths and bytes, compressed where that helps.
#include "store/enc_part.h"

#include "base/panic.h"

#define ZSTD_LEVEL 1
#define ZSTD_BYTES_MIN 48u // fewer never get smaller
#define REPEATS_ROWS_MIN 8u
#define LONG_TEXT_BYTES 64u

yg_rc yg_enc_put_bytes(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                       uint8_t *ret_encoding, struct yg_err *err) {
    size_t total = 0;
    uint32_t *lengths = yg_alloc(YG_MEM_STORE, sizeof(*lengths) * n);
    for (uint32_t i = 0; i < n; i++) {
        lengths[i] = (uint32_t)strs[i].len;
        total += strs[i].len;
    }
    yg_ints_put_u32(out, lengths, n, e->zstd == NULL);
    yg_free(YG_MEM_STORE, lengths);
    bool pack = e->zstd != NULL && total >= ZSTD_BYTES_MIN;
    struct yg_buf *to = pack ? &e->raw : out;
    if (pack)
        yg_buf_reset(to);
    YG_TRY(yg_buf_reserve(to, total, err));
    for (uint32_t i = 0; i < n; i++)
        yg_buf_put(to, strs[i].ptr, strs[i].len);
    *ret_encoding = YG_ENC_STR_BYTES;
    if (!pack)
        return yg_buf_ok(out, err);
    size_t room = ZSTD_compressBound(total);
    YG_TRY(yg_buf_reserve(out, room, err));
    size_t got =
        ZSTD_compressCCtx(e->zstd, out->ptr + out->len, room, e->raw.ptr, total, ZSTD_LEVEL);
    if (ZSTD_isError(got))
        return yg_fail(err, YG_EINTERNAL, "zstd: %s", ZSTD_getErrorName(got));
    if (got < total) {
        out->len += got;
        *ret_encoding = YG_ENC_STR_ZSTD;
    } else {
        yg_buf_put(out, e->raw.ptr, total);
    }
    return yg_buf_ok(out, err);
}

yg_rc yg_enc_put_distinct(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                          uint8_t *ret_encoding, struct yg_err *err) {
    if (e->zstd != NULL && yg_enc_put_layout(strs, n, out)) {
        *ret_encoding = YG_ENC_STR_LAYOUT;
        return yg_buf_ok(out, err);
    }
    return yg_enc_put_bytes(e, strs, n, out, ret_encoding, err);
}

// The encoding of a part stands before it.
static yg_rc put_part(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                      struct yg_err *err) {
    uint8_t encoding;
    size_t at = out->len;
    yg_buf_putc(out, 0);
    YG_TRY(yg_enc_put_distinct(e, strs, n, out, &encoding, err));
    out->ptr[at] = (char)encoding;
    return YG_OK;
}

// distinct · references · the distinct strings.
static yg_rc put_repeats(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                         struct yg_err *err) {
    const struct yg_enc_dedupe *d = &e->dedupe;
    yg_put_varint(out, d->count);
    yg_ints_put_u32(out, d->refs, n, false);
    yg_str *distinct = yg_alloc(YG_MEM_STORE, sizeof(*distinct) * d->count);
    for (uint32_t i = 0; i < d->count; i++)
        distinct[i] = strs[d->first[i]];
    yg_rc rc = put_part(e, distinct, d->count, out, err);
    yg_free(YG_MEM_STORE, distinct);
    return rc;
}

// Templates make less of texts than anything else, and take longer to read: they come first where
// texts are written for the last time, never at their first writing. Short strings (paths) are
// worth them at once, behind what reads faster.
enum when { NEVER, BEHIND, FIRST };

static enum when groups_when(const struct yg_encoder *e, const struct yg_enc_input *in,
                             bool replaced) {
    size_t total = 0;
    if (e->level == YG_ENC_LEVEL_FINAL && in->own_count > 0)
        return FIRST;
    for (uint32_t i = 0; i < in->count; i++)
        total += in->strs[i].len;
    return replaced || total >= (size_t)in->count * LONG_TEXT_BYTES ? NEVER : BEHIND;
}

static yg_rc put_strs(struct yg_encoder *e, const yg_str *strs, uint32_t n, enum when groups,
                      struct yg_buf *out, uint8_t *ret_encoding, struct yg_err *err) {
    bool grouped = false;
    if (groups == FIRST)
        YG_TRY(yg_enc_put_groups(e, strs, n, out, &grouped, err));
    if (!grouped && n >= REPEATS_ROWS_MIN && yg_enc_dedupe_strs(&e->dedupe, strs, n, n / 4 * 3)) {
        *ret_encoding = YG_ENC_STR_REPEATS;
        return put_repeats(e, strs, n, out, err);
    }
    if (!grouped && yg_enc_put_layout(strs, n, out)) {
        *ret_encoding = YG_ENC_STR_LAYOUT;
        return yg_buf_ok(out, err);
    }
    if (groups == BEHIND)
        YG_TRY(yg_enc_put_groups(e, strs, n, out, &grouped, err));
    if (!grouped)
        return yg_enc_put_bytes(e, strs, n, out, ret_encoding, err);
    *ret_encoding = YG_ENC_STR_GROUPS;
    return yg_buf_ok(out, err);
}

// active slots · their numbers · bytes of the texts · encoding of what is left · that.
static yg_rc put_own(struct yg_encoder *e, const struct yg_enc_input *in,
                     const struct yg_enc_own_plan *plan, const yg_str *strs, struct yg_buf *out,
                     struct yg_err *err) {
    size_t total = 0;
    uint8_t encoding;
    for (uint32_t i = 0; i < in->count; i++)
        total += in->strs[i].len;
    yg_buf_putc(out, (char)plan->count);
    yg_buf_put(out, plan->slots, plan->count);
    yg_put_varint(out, total);
    size_t at = out->len;
    yg_buf_putc(out, 0);
    YG_TRY(put_strs(e, strs, in->count, groups_when(e, in, true), out, &encoding, err));
    out->ptr[at] = (char)encoding;
    return YG_OK;
}

yg_rc yg_enc_put_strs(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out,
                      uint8_t *ret_encoding, struct yg_err *err) {
    if (e->zstd == NULL)
        return yg_enc_put_bytes(e, in->strs, in->count, out, ret_encoding, err);
    if (in->own_count == 0)
        return put_strs(e, in->strs, in->count, groups_when(e, in, false), out, ret_encoding, err);
    YG_ASSERT(in->own_count <= YG_ENC_OWN_MAX);
    struct yg_enc_own_plan plan;
    yg_str *strs = yg_alloc(YG_MEM_STORE, sizeof(*strs) * in->count);
    yg_rc rc;
    if (yg_enc_own_replace(in, &e->own, &plan, strs)) {
        *ret_encoding = YG_ENC_STR_OWN;
        rc = put_own(e, in, &plan, strs, out, err);
    } else {
        rc = put_strs(e, in->strs, in->count, groups_when(e, in, false), out, ret_encoding, err);
    }
    yg_free(YG_MEM_STORE, strs);
    return rc;
}
