// SPDX-License-Identifier: Apache-2.0
// The segment reader on damaged bytes. Checksums would stop nearly every input, so they are made
// right first: what is tested is the reading behind them.
#include "base/hash.h"
#include "fuzz.h"
#include "store/segment.h"

#define GRANULES_MAX 16u
#define COLUMNS_MAX 4096u

static void fix_crc(char *bytes, size_t len) {
    uint32_t crc = yg_crc32c(0, bytes, len - 4);
    memcpy(bytes + len - 4, &crc, 4);
}

// Header, directory and footer agree with what stands there now.
static void fix_frame(char *bytes, size_t size) {
    struct yg_seg_footer f;
    size_t at = size - YG_SEG_FOOTER_BYTES;
    memcpy(bytes, YG_SEG_MAGIC, 4);
    fix_crc(bytes, YG_SEG_HEADER_BYTES);
    memcpy(&f, bytes + at, sizeof(f));
    memcpy(f.magic, YG_SEG_MAGIC, 4);
    uint64_t from = f.directory_offset - f.key_index_bytes;
    uint64_t bytes_covered = (uint64_t)f.key_index_bytes + f.directory_bytes;
    if (f.key_index_bytes <= f.directory_offset && from <= at && bytes_covered <= at - from)
        yg_hash_stable128(bytes + from, bytes_covered, f.hash);
    f.crc32c = yg_crc32c(0, &f, offsetof(struct yg_seg_footer, crc32c));
    memcpy(bytes + at, &f, sizeof(f));
}

// The chunk's checksum, wherever the directory says that it stands.
static void fix_chunk(struct yg_segment *seg, uint64_t offset, uint32_t stored) {
    struct yg_seg_chunk chunk;
    if (stored < sizeof(chunk) || offset > seg->mem.len || stored > seg->mem.len - offset)
        return;
    memcpy(&chunk, seg->mem.ptr + offset, sizeof(chunk));
    uint64_t payload = chunk.stored_bytes;
    if (payload > seg->mem.len - offset - sizeof(chunk))
        return;
    uint32_t crc = yg_crc32c(0, seg->mem.ptr + offset, offsetof(struct yg_seg_chunk, crc32c));
    crc = yg_crc32c(crc, seg->mem.ptr + offset + sizeof(chunk), payload);
    memcpy(seg->mem.ptr + offset + offsetof(struct yg_seg_chunk, crc32c), &crc, sizeof(crc));
}

static void fix_chunks(struct yg_segment *seg) {
    for (uint32_t s = 0; s < seg->dir.stripe_count; s++) {
        const struct yg_seg_stripe *stripe = &seg->dir.stripes[s];
        for (uint32_t i = 0; i < stripe->record_count; i++) {
            const struct yg_seg_record *rec = &stripe->records[i];
            fix_chunk(seg, rec->head.dict.offset, rec->head.dict.stored_bytes);
            fix_chunk(seg, rec->head.map.offset, rec->head.map.stored_bytes);
            for (uint32_t e = 0; e < rec->head.entry_count; e++)
                fix_chunk(seg, rec->entries[e].offset, rec->entries[e].stored_bytes);
        }
    }
}

// Decodes every column of a granule and looks at every value.
static void read_granule(struct yg_segment *seg, uint32_t granule) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, FUZZ_ARENA_BYTES);
    struct yg_block *b;
    struct yg_err err = {0};
    if (yg_segment_block(seg, granule, arena, &b, &err) != YG_OK)
        return;
    YG_ASSERT(b->row_count <= YG_GRANULE_ROWS);
    yg_str name;
    enum yg_type type;
    for (uint32_t c = 0; c < COLUMNS_MAX && b->ops->column_at(b, c, &name, &type); c++) {
        const struct yg_vec *vecs[YG_TYPE_COUNT];
        uint32_t count = 0;
        yg_rc rc = b->ops->columns(b, name, vecs, &count, &err);
        YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_ENOMEM || rc == YG_ELIMIT);
        for (uint32_t i = 0; rc == YG_OK && i < count; i++)
            for (uint32_t r = 0; r < b->row_count; r++) {
                struct yg_value v;
                if (!yg_vec_value(vecs[i], r, &v) || (v.type != YG_T_STR && v.type != YG_T_JSON))
                    continue;
                fuzz_touch(v.str);
            }
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size < YG_SEG_HEADER_BYTES + YG_SEG_FOOTER_BYTES || size > (1u << 20))
        return 0;
    struct yg_buf bytes = YG_BUF(YG_MEM_STORE, size);
    struct yg_segment *seg;
    struct yg_err err = {0};
    YG_ASSERT(yg_buf_append(&bytes, fuzz_all(data, size), &err) == YG_OK);
    fix_frame(bytes.ptr, size);
    yg_rc rc = yg_segment_of_bytes(&bytes, &seg, &err);
    YG_ASSERT(rc == YG_OK || rc == YG_ECORRUPT || rc == YG_ENOMEM || rc == YG_ELIMIT);
    yg_buf_fini(&bytes);
    if (rc != YG_OK)
        return 0;
    fix_chunks(seg);
    for (uint32_t g = 0; g < seg->dir.granule_count && g < GRANULES_MAX; g++)
        read_granule(seg, g);
    (void)yg_segment_may_hold_id(seg, 7);
    yg_segment_unref(seg);
    return 0;
}
