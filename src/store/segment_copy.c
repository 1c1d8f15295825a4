// SPDX-License-Identifier: Apache-2.0
// Takes a stripe over from another segment as it stands: bytes are checked and moved, not decoded.
#include "base/hash.h"
#include "base/panic.h"
#include "store/segment_writer.h"

struct copy {
    struct yg_seg_writer *w;
    struct yg_segment *seg;
    const struct yg_seg_stripe *from;
    struct w_stripe *to;
};

static yg_rc corrupt(const struct copy *c, uint64_t offset, const char *what, struct yg_err *err) {
    if (c->seg->damaged)
        atomic_fetch_add_explicit(c->seg->damaged, 1, memory_order_relaxed);
    return yg_fail(err, YG_ECORRUPT, "%s: byte %llu: %s", yg_segment_name(c->seg),
                   (unsigned long long)offset, what);
}

// One chunk to the end of the buffer.
static yg_rc copy_chunk(const struct copy *c, uint64_t offset, uint32_t stored_bytes,
                        struct yg_err *err) {
    struct yg_buf *out = &c->w->out;
    struct yg_seg_chunk head;
    if (stored_bytes < sizeof(head))
        return corrupt(c, offset, "shorter than a chunk", err);
    YG_TRY(yg_buf_reserve(out, (size_t)stored_bytes + 8, err));
    char *bytes = out->ptr + out->len;
    if (c->seg->in_memory) {
        if (offset > c->seg->mem.len || stored_bytes > c->seg->mem.len - offset)
            return corrupt(c, offset, "past the end", err);
        memcpy(bytes, c->seg->mem.ptr + offset, stored_bytes);
    } else {
        YG_TRY(yg_segment_pread(c->seg, bytes, stored_bytes, offset, err));
    }
    memcpy(&head, bytes, sizeof(head));
    if (head.stored_bytes > stored_bytes - sizeof(head))
        return corrupt(c, offset, "chunk is longer than its entry", err);
    uint32_t crc = yg_crc32c(0, &head, offsetof(struct yg_seg_chunk, crc32c));
    if (yg_crc32c(crc, bytes + sizeof(head), head.stored_bytes) != head.crc32c)
        return corrupt(c, offset, "bad checksum", err);
    out->len += stored_bytes;
    while (out->len & 7)
        yg_buf_putc(out, 0);
    return yg_buf_ok(out, err);
}

static yg_rc copy_dict(const struct copy *c, const struct yg_seg_dict_entry *from,
                       struct yg_seg_dict_entry *ret, struct yg_err *err) {
    *ret = *from;
    if (from->stored_bytes == 0)
        return YG_OK;
    ret->offset = yg_seg_writer_position(c->w);
    return copy_chunk(c, from->offset, from->stored_bytes, err);
}

static yg_rc column_number(const struct copy *c, uint32_t column, uint32_t *ret,
                           struct yg_err *err) {
    const struct yg_seg_column *col = &c->seg->dir.columns[column];
    return yg_seg_writer_column(c->w, col->name, col->type, ret, err);
}

static yg_rc copy_record(const struct copy *c, const struct yg_seg_record *from,
                         struct yg_err *err) {
    struct w_record *rec;
    uint32_t number = from->head.column;
    if (YG_RECORD_IS_COLUMN(number))
        YG_TRY(column_number(c, number, &number, err));
    YG_TRY(yg_seg_writer_record(c->w, c->to, number, &rec, err));
    rec->head.shape_bit = from->head.shape_bit;
    if (from->head.parent != YG_COLUMN_NONE)
        YG_TRY(column_number(c, from->head.parent, &rec->head.parent, err));
    YG_TRY(copy_dict(c, &from->head.dict, &rec->head.dict, err));
    YG_TRY(copy_dict(c, &from->head.map, &rec->head.map, err));
    for (uint32_t i = 0; i < from->head.entry_count; i++) {
        struct yg_seg_entry e = from->entries[i];
        uint64_t at = e.offset;
        e.offset = yg_seg_writer_position(c->w);
        YG_TRY(copy_chunk(c, at, e.stored_bytes, err));
        uint32_t granule = from->granules ? from->granules[i] : i;
        YG_TRY(yg_seg_writer_entry(c->w, rec, granule, &e, err));
        YG_TRY(yg_seg_writer_flush(c->w, YG_SEG_WRITER_BUFFER_BYTES, err));
    }
    return YG_OK;
}

// An index that cannot be read costs the new segment its skipping there, not its rows.
static void copy_keys(const struct copy *c, uint32_t stripe) {
    uint32_t first = 0;
    struct yg_err unread = {0};
    for (uint32_t s = 0; s < stripe; s++)
        first += c->seg->dir.stripes[s].granule_count;
    if (yg_key_builder_copy(c->w->keys, &c->seg->dir.keys, first, c->from->granule_count,
                            c->w->sum.granule_count, &unread) != YG_OK &&
        c->seg->damaged)
        atomic_fetch_add_explicit(c->seg->damaged, 1, memory_order_relaxed);
}

static yg_rc copy_stripe(struct copy *c, uint32_t stripe, struct yg_err *err) {
    YG_TRY(yg_seg_writer_begin_stripe(c->w, c->from->granule_count, &c->to, err));
    memcpy(c->to->granules, c->from->granules, sizeof(*c->to->granules) * c->from->granule_count);
    c->to->own_count = c->from->own_count;
    for (uint32_t i = 0; i < c->from->own_count; i++) {
        c->to->own[i].form = c->from->own[i].form;
        YG_TRY(column_number(c, c->from->own[i].column, &c->to->own[i].column, err));
    }
    for (uint32_t i = 0; i < c->from->record_count; i++)
        YG_TRY(copy_record(c, &c->from->records[i], err));
    copy_keys(c, stripe);
    return yg_seg_writer_end_stripe(c->w, c->to, err);
}

yg_rc yg_seg_writer_copy_stripe(struct yg_seg_writer *w, struct yg_segment *seg, uint32_t stripe,
                                struct yg_err *err) {
    YG_ASSERT(seg->loaded && stripe < seg->dir.stripe_count);
    if (seg->version != YG_SEG_VERSION || seg->plain || w->options.plain)
        return yg_fail(err, YG_EINPUT, "%s: stripes of version %u%s are written anew, not copied",
                       yg_segment_name(seg), seg->version, seg->plain ? ", plain," : "");
    struct copy c = {.w = w, .seg = seg, .from = &seg->dir.stripes[stripe]};
    return yg_seg_writer_memory_not_limit(copy_stripe(&c, stripe, err), err);
}
