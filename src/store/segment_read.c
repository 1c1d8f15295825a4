// SPDX-License-Identifier: Apache-2.0
// Opens segments: header, footer, directory, key index. docs/formats/segment.md.
//
// The lock of a segment guards the one-time load of its directory and dictionaries. It is held
// across that read on purpose: whoever else wants the same bytes has to wait for them anyway.
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/panic.h"

#define OPEN_FILES_MAX 256 // descriptors that segments keep

static _Atomic int open_files;

// A loaded segment's descriptor.
static void forget_file(struct yg_segment *seg) {
    if (seg->fd >= 0)
        atomic_fetch_sub(&open_files, 1);
    yg_file_close(&seg->fd);
}

const char *yg_segment_name(const struct yg_segment *seg) {
    return seg->path ? seg->path : "memory segment";
}

static struct yg_segment *segment_new(void) {
    struct yg_segment *seg = yg_calloc(YG_MEM_STORE, 1, sizeof(*seg));
    seg->magic = YG_SEGMENT_MAGIC;
    atomic_init(&seg->refs, 1);
    seg->fd = -1;
    seg->day = YG_DAY_MIXED;
    seg->mem = YG_BUF(YG_MEM_STORE, SIZE_MAX / 2);
    pthread_mutex_init(&seg->lock, NULL);
    return seg;
}

struct yg_segment *yg_segment_of_file(const char *path) {
    struct yg_segment *seg = segment_new();
    seg->path = yg_strndup(YG_MEM_STORE, path, strlen(path));
    return seg;
}

struct yg_segment *yg_segment_ref(struct yg_segment *seg) {
    YG_CHECK(seg, YG_SEGMENT_MAGIC);
    atomic_fetch_add_explicit(&seg->refs, 1, memory_order_relaxed);
    return seg;
}

void yg_segment_unref(struct yg_segment *seg) {
    if (seg == NULL)
        return;
    YG_CHECK(seg, YG_SEGMENT_MAGIC);
    if (atomic_fetch_sub_explicit(&seg->refs, 1, memory_order_acq_rel) != 1)
        return;
    yg_seg_dir_fini(&seg->dir);
    if (seg->loaded)
        forget_file(seg);
    yg_file_close(&seg->fd);
    if (seg->unlink_at_end && seg->path)
        (void)unlink(seg->path); // not in the catalogue any more; an orphan is removed at open
    yg_free(YG_MEM_STORE, seg->path);
    yg_buf_fini(&seg->mem);
    pthread_mutex_destroy(&seg->lock);
    seg->magic = 0;
    yg_free(YG_MEM_STORE, seg);
}

static yg_rc corrupt(const struct yg_segment *seg, uint64_t offset, const char *what,
                     struct yg_err *err) {
    return yg_fail(err, YG_ECORRUPT, "%s: byte %llu: %s", yg_segment_name(seg),
                   (unsigned long long)offset, what);
}

// ------------------------------------------------------------ header and footer

static yg_rc read_at(struct yg_segment *seg, uint64_t at, void *out, size_t len,
                     struct yg_err *err) {
    if (seg->in_memory) {
        if (at > seg->mem.len || len > seg->mem.len - at)
            return corrupt(seg, at, "past the end", err);
        memcpy(out, seg->mem.ptr + at, len);
        return YG_OK;
    }
    yg_rc rc = yg_file_pread_all(seg->fd, out, len, (off_t)at, err);
    return rc == YG_OK ? YG_OK : yg_err_wrap(err, "%s", seg->path);
}

// What header and footer say. Of a segment that others may look at already nothing is rewritten.
struct facts {
    uint64_t id;
    enum yg_track track;
    uint32_t index_id;
    int32_t day;
    uint64_t bytes;
    uint64_t max_sequence;
    struct yg_seg_footer foot;
};

static yg_rc check_header(struct yg_segment *seg, struct facts *facts, struct yg_err *err) {
    struct yg_seg_header head;
    YG_TRY(read_at(seg, 0, &head, sizeof(head), err));
    if (memcmp(head.magic, YG_SEG_MAGIC, 4) != 0)
        return corrupt(seg, 0, "not a segment", err);
    if (head.crc32c != yg_crc32c(0, &head, offsetof(struct yg_seg_header, crc32c)))
        return corrupt(seg, 0, "bad checksum of the header", err);
    if (head.version == 0 || head.version > YG_SEG_VERSION)
        return yg_fail(err, YG_ECORRUPT, "%s: format version %u, this build reads 1 to %u",
                       yg_segment_name(seg), head.version, YG_SEG_VERSION);
    if (head.track >= YG_TRACK_COUNT)
        return corrupt(seg, 6, "unknown track", err);
    seg->version = head.version;
    seg->plain = (head.flags & YG_SEG_F_PLAIN) != 0;
    facts->track = (enum yg_track)head.track;
    facts->index_id = head.index_id;
    facts->day = head.day;
    facts->id = head.segment_id;
    facts->max_sequence = head.max_sequence;
    return YG_OK;
}

static yg_rc check_footer(struct yg_segment *seg, struct facts *facts, struct yg_err *err) {
    struct yg_seg_footer *foot = &facts->foot;
    if (facts->bytes < YG_SEG_HEADER_BYTES + YG_SEG_FOOTER_BYTES)
        return corrupt(seg, facts->bytes, "too short for a segment", err);
    uint64_t at = facts->bytes - YG_SEG_FOOTER_BYTES;
    YG_TRY(read_at(seg, at, foot, sizeof(*foot), err));
    if (memcmp(foot->magic, YG_SEG_MAGIC, 4) != 0)
        return corrupt(seg, at + 60, "no footer: the file is incomplete", err);
    if (foot->crc32c != yg_crc32c(0, foot, offsetof(struct yg_seg_footer, crc32c)))
        return corrupt(seg, at, "bad checksum of the footer", err);
    if (foot->directory_bytes < 8 || foot->directory_offset > at ||
        foot->directory_bytes != at - foot->directory_offset ||
        foot->key_index_bytes > foot->directory_offset)
        return corrupt(seg, at, "footer does not fit the file", err);
    return YG_OK;
}

static yg_rc open_file(struct yg_segment *seg, uint64_t *ret_bytes, struct yg_err *err) {
    if (seg->in_memory) {
        *ret_bytes = seg->mem.len;
        return YG_OK;
    }
    yg_rc rc = yg_file_open(seg->path, O_RDONLY, &seg->fd, err);
    if (rc != YG_OK && errno == ENOENT)
        return yg_fail(err, YG_ECORRUPT, "%s: the file is missing", seg->path);
    YG_TRY(rc);
    int64_t size;
    YG_TRY(yg_file_size(seg->fd, &size, err));
    *ret_bytes = (uint64_t)size;
    return YG_OK;
}

// ------------------------------------------------------------ directory

// The stored directory (raw_bytes u32, compressed u32, bytes) into d->bytes.
static yg_rc unpack_directory(struct yg_segment *seg, const char *stored, uint32_t len, uint64_t at,
                              uint32_t *ret_len, struct yg_err *err) {
    uint32_t head[2];
    memcpy(head, stored, 8);
    if (head[0] > YG_SEG_DIRECTORY_MAX || head[1] > 1 || (head[1] == 0 && head[0] != len - 8))
        return corrupt(seg, at, "bad size of the directory", err);
    seg->dir.bytes = yg_try_alloc(YG_MEM_CACHE, head[0] + 8u);
    if (seg->dir.bytes == NULL)
        return yg_fail(err, YG_ENOMEM, "%s: directory of %u bytes", yg_segment_name(seg), head[0]);
    if (head[1] == 0) {
        memcpy(seg->dir.bytes, stored + 8, head[0]);
    } else {
        size_t got = ZSTD_decompress(seg->dir.bytes, head[0], stored + 8, len - 8);
        if (ZSTD_isError(got) || got != head[0])
            return corrupt(seg, at, "directory does not decompress", err);
    }
    seg->dir.memory_bytes = head[0];
    *ret_len = head[0];
    return YG_OK;
}

// Part of the key index: of bytes in memory too, so that fuzzing meets the same reader.
static yg_rc read_keys(void *ctx, void *out, size_t len, uint64_t at, struct yg_err *err) {
    struct yg_segment *seg = ctx;
    return seg->in_memory ? read_at(seg, at, out, len, err)
                          : yg_segment_pread(seg, out, len, at, err);
}

static yg_rc parse_key_index(struct yg_segment *seg, uint32_t bytes, uint64_t at,
                             struct yg_err *err) {
    struct yg_seg_dir *d = &seg->dir;
    uint32_t head[2] = {0, 0};
    if (bytes >= 8)
        memcpy(head, d->key_index, 8);
    d->memory_bytes += bytes;
    if (head[0] == YG_KEY_SECTION_KIND) {
        struct yg_key_io io = {read_keys, seg};
        yg_rc rc = yg_key_index_open(yg_str_n(d->key_index, bytes), d->granule_count, at, &io,
                                     &d->keys, err);
        d->memory_bytes += d->keys.memory_bytes;
        return rc == YG_OK ? rc : yg_err_wrap(err, "%s: key index", yg_segment_name(seg));
    }
    if (head[0] != 1) // none, or a kind of a later version: not used
        return YG_OK;
    if (head[1] == 0 || (uint64_t)head[1] * 32 + 8 > bytes)
        return corrupt(seg, at, "key index does not fit", err);
    d->bloom = (const uint32_t *)(const void *)(d->key_index + 8);
    d->bloom_blocks = head[1];
    return YG_OK;
}

static yg_rc load_directory(struct yg_segment *seg, const struct yg_seg_footer *foot,
                            struct yg_err *err) {
    uint64_t at = foot->directory_offset - foot->key_index_bytes;
    uint64_t len = (uint64_t)foot->key_index_bytes + foot->directory_bytes;
    if (len > YG_SEG_DIRECTORY_MAX)
        return corrupt(seg, at, "directory is larger than its limit", err);
    seg->dir.key_index = yg_try_alloc(YG_MEM_CACHE, len + 8);
    if (seg->dir.key_index == NULL)
        return yg_fail(err, YG_ENOMEM, "%s: directory of %llu bytes", yg_segment_name(seg),
                       (unsigned long long)len);
    YG_TRY(read_at(seg, at, seg->dir.key_index, len, err));
    uint64_t hash[2];
    yg_hash_stable128(seg->dir.key_index, len, hash);
    if (memcmp(hash, foot->hash, sizeof(hash)) != 0)
        return corrupt(seg, at, "bad checksum of the directory", err);
    uint32_t dir_len;
    YG_TRY(unpack_directory(seg, seg->dir.key_index + foot->key_index_bytes, foot->directory_bytes,
                            foot->directory_offset, &dir_len, err));
    if (!yg_seg_dir_parse(&seg->dir, seg->version, dir_len, at, foot->row_count))
        return corrupt(seg, foot->directory_offset, "directory breaks its own rules", err);
    return parse_key_index(seg, foot->key_index_bytes, at, err);
}

static void take_facts(struct yg_segment *seg, const struct facts *facts) {
    seg->id = facts->id;
    seg->track = facts->track;
    seg->index_id = facts->index_id;
    seg->day = facts->day;
    seg->bytes = facts->bytes;
    seg->row_count = facts->foot.row_count;
    seg->min_time_ns = facts->foot.min_time_ns;
    seg->max_time_ns = facts->foot.max_time_ns;
    seg->granule_count = seg->dir.granule_count;
}

static yg_rc load_locked(struct yg_segment *seg, struct yg_err *err) {
    if (seg->loaded)
        return YG_OK;
    struct facts facts;
    bool known = !seg->in_memory && seg->bytes != 0; // the catalogue said what it must be
    YG_TRY(open_file(seg, &facts.bytes, err));
    YG_TRY(check_header(seg, &facts, err));
    YG_TRY(check_footer(seg, &facts, err));
    if (known && (seg->id != facts.id || seg->track != facts.track || seg->bytes != facts.bytes))
        return corrupt(seg, 0, "not the segment that the catalogue names", err);
    yg_rc rc = load_directory(seg, &facts.foot, err);
    if (rc != YG_OK) {
        yg_seg_dir_fini(&seg->dir);
        return rc;
    }
    if (!known)
        take_facts(seg, &facts);
    seg->loaded = true;
    if (seg->fd >= 0 && atomic_fetch_add(&open_files, 1) >= OPEN_FILES_MAX) {
        atomic_fetch_sub(&open_files, 1);
        yg_file_close(&seg->fd);
    }
    return YG_OK;
}

yg_rc yg_segment_peek(const char *path, struct yg_seg_peek *ret_peek, struct yg_err *err) {
    struct yg_segment *seg = yg_segment_of_file(path);
    struct facts facts;
    yg_rc rc = open_file(seg, &facts.bytes, err);
    if (rc == YG_OK)
        rc = check_header(seg, &facts, err);
    if (rc == YG_OK)
        rc = check_footer(seg, &facts, err);
    if (rc == YG_OK)
        *ret_peek = (struct yg_seg_peek){
            .id = facts.id,
            .track = facts.track,
            .index_id = facts.index_id,
            .day = facts.day,
            .max_sequence = facts.max_sequence,
            .bytes = facts.bytes,
            .row_count = facts.foot.row_count,
            .min_time_ns = facts.foot.min_time_ns,
            .max_time_ns = facts.foot.max_time_ns,
        };
    yg_segment_unref(seg);
    return rc;
}

yg_rc yg_segment_load(struct yg_segment *seg, struct yg_err *err) {
    YG_CHECK(seg, YG_SEGMENT_MAGIC);
    pthread_mutex_lock(&seg->lock);
    yg_rc rc = load_locked(seg, err);
    if (rc != YG_OK)
        yg_file_close(&seg->fd);
    pthread_mutex_unlock(&seg->lock);
    return rc;
}

bool yg_segment_unload(struct yg_segment *seg) {
    YG_CHECK(seg, YG_SEGMENT_MAGIC);
    if (seg->in_memory)
        return false;
    pthread_mutex_lock(&seg->lock);
    bool idle = seg->loaded && atomic_load_explicit(&seg->users, memory_order_acquire) == 0;
    if (idle) {
        yg_seg_dir_fini(&seg->dir);
        forget_file(seg);
        seg->loaded = false;
    }
    pthread_mutex_unlock(&seg->lock);
    return idle;
}

yg_rc yg_segment_of_bytes(struct yg_buf *take_bytes, struct yg_segment **ret_seg,
                          struct yg_err *err) {
    struct yg_segment *seg = segment_new();
    seg->in_memory = true;
    yg_buf_move(take_bytes, &seg->mem);
    seg->bytes = seg->mem.len;
    yg_rc rc = yg_segment_load(seg, err);
    if (rc == YG_OK)
        *ret_seg = seg;
    else
        yg_segment_unref(seg);
    return rc;
}

// ------------------------------------------------------------ finding

void yg_segment_locate(const struct yg_segment *seg, uint32_t granule, uint32_t *ret_stripe,
                       uint32_t *ret_in_stripe) {
    YG_ASSERT(seg->loaded && granule < seg->dir.granule_count);
    uint32_t s = 0;
    while (granule >= seg->dir.stripes[s].granule_count)
        granule -= seg->dir.stripes[s++].granule_count;
    *ret_stripe = s;
    *ret_in_stripe = granule;
}

yg_rc yg_segment_pread(struct yg_segment *seg, void *out, size_t len, uint64_t at,
                       struct yg_err *err) {
    int fd = seg->fd;
    if (fd < 0)
        YG_TRY(yg_file_open(seg->path, O_RDONLY, &fd, err));
    yg_rc rc = yg_file_pread_all(fd, out, len, (off_t)at, err);
    if (seg->fd < 0)
        yg_file_close(&fd);
    return rc == YG_OK ? YG_OK : yg_err_wrap(err, "%s", seg->path);
}

uint32_t yg_segment_column(const struct yg_segment *seg, yg_str name) {
    uint32_t lo = 0, hi = seg->dir.column_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (yg_str_cmp(seg->dir.columns[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < seg->dir.column_count && yg_str_eq(seg->dir.columns[lo].name, name))
        return lo;
    return seg->dir.column_count;
}

bool yg_segment_may_hold_id(const struct yg_segment *seg, uint64_t id_low) {
    YG_ASSERT(seg->loaded);
    if (seg->dir.bloom)
        return yg_bloom_has(seg->dir.bloom, seg->dir.bloom_blocks, id_low);
    yg_str name = YG_STR(YG_COL_TRACE_ID);
    if (yg_key_index_covers(&seg->dir.keys, name, YG_T_ID, YG_KEY_VALUE)) {
        uint64_t *bits = yg_calloc(YG_MEM_QUERY, YG_BITS_WORDS(seg->dir.granule_count) + 1, 8);
        struct yg_err err = {0};
        yg_rc rc =
            yg_key_index_find(&seg->dir.keys, yg_key_of_id((yg_id128){0, id_low}), bits, &err);
        bool found = rc != YG_OK || yg_bits_count(bits, seg->dir.granule_count) > 0;
        yg_free(YG_MEM_QUERY, bits);
        return found;
    }
    return yg_segment_column(seg, name) < seg->dir.column_count;
}
