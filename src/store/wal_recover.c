// SPDX-License-Identifier: Apache-2.0
// Reads write-ahead log files back: what is valid, what is torn, what is damaged.
//
// A frame is valid when its magic, its checksum and its number (one more than the frame before)
// are right. Numbers from the next file's first number on are void. At the first frame that is not
// valid:
//   - all numbers up to the next file's first were read: the end of the file;
//   - a later valid frame says that this one was durable, or the file is not the last: damage.
//     The bytes are copied aside, the region is named, reading goes on at the later frame;
//   - else it is a torn tail of the last file, which is cut off: none of it was acknowledged.
#include "store/wal.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/panic.h"

#define WINDOW_BYTES (1u << 20)

struct reader {
    const char *dir;
    const char *aside_dir; // NULL: only looking
    void (*damage)(void *ctx, const char *line, bool torn_tail);
    char path[4096];
    int fd;
    uint64_t size;
    uint64_t pos;
    uint64_t expected; // number of the next frame
    uint64_t bound;    // numbers from here on are void
    bool last;
    uint64_t above; // numbers up to here are in segments anyway
    struct yg_buf payload;
    struct yg_wal_recovery *rec;
    yg_rc (*fn)(void *ctx, const struct yg_wal_replay *frame, struct yg_err *err);
    void *ctx;
};

static int by_number(const void *a, const void *b) {
    const struct yg_wal_name *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

yg_rc yg_wal_list(const char *dir, struct yg_wal_name **ret_names, uint32_t *ret_count,
                  struct yg_err *err) {
    DIR *d = opendir(dir);
    if (d == NULL)
        return yg_fail_errno(err, "opendir %s", dir);
    struct yg_wal_name *names = NULL;
    uint32_t count = 0, cap = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        yg_str name = yg_str_c(e->d_name);
        uint64_t number, first;
        if (name.len != 8 + 1 + 16 + 4 || name.ptr[8] != '-' ||
            !yg_str_ends(name, YG_STR(".wal")) ||
            !yg_str_hex_to_u64(yg_str_sub(name, 0, 8), &number) ||
            !yg_str_hex_to_u64(yg_str_sub(name, 9, 16), &first))
            continue;
        YG_GROW(YG_MEM_STORE, names, count, cap);
        names[count++] = (struct yg_wal_name){number, first};
    }
    (void)closedir(d);
    if (count)
        qsort(names, count, sizeof(*names), by_number);
    *ret_names = names;
    *ret_count = count;
    return YG_OK;
}

// ------------------------------------------------------------ damage

// Copies a region aside, named after file and offset. Best effort: a full disk must not keep the
// rest from being read.
static void keep_aside(struct reader *r, uint64_t from, uint64_t to) {
    char path[4096];
    if (r->aside_dir == NULL)
        return;
    const char *base = strrchr(r->path, '/');
    int n = snprintf(path, sizeof(path), "%s/%s.at-%llu", r->aside_dir, base ? base + 1 : r->path,
                     (unsigned long long)from);
    struct yg_err err;
    int fd;
    if (n < 0 || (size_t)n >= sizeof(path) || yg_file_mkdirs(r->aside_dir, &err) != YG_OK ||
        yg_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, &err) != YG_OK)
        return;
    char *window = yg_alloc(YG_MEM_STORE, WINDOW_BYTES);
    for (uint64_t at = from; at < to;) {
        uint64_t len = to - at < WINDOW_BYTES ? to - at : WINDOW_BYTES;
        if (yg_file_pread_all(r->fd, window, len, (off_t)at, &err) != YG_OK ||
            yg_file_write_all(fd, window, len, &err) != YG_OK)
            break;
        at += len;
    }
    yg_free(YG_MEM_STORE, window);
    yg_file_close(&fd);
}

static void tell(struct reader *r, uint64_t at, const char *what, bool torn_tail) {
    char line[4400];
    (void)snprintf(line, sizeof(line), "%s: byte %llu: %.200s", r->path, (unsigned long long)at,
                   what);
    if (r->damage)
        r->damage(r->ctx, line, torn_tail);
}

static void note_damage(struct reader *r, uint64_t from, uint64_t to, const char *what) {
    tell(r, from, what, false);
    if (r->rec->damage_text[0] == 0)
        (void)snprintf(r->rec->damage_text, sizeof(r->rec->damage_text), "%.120s: byte %llu: %.60s",
                       r->path, (unsigned long long)from, what);
    r->rec->damaged++;
    keep_aside(r, from, to);
}

static void note_lost(struct reader *r, uint64_t next) {
    uint64_t first = r->expected > r->above ? r->expected : r->above + 1;
    if (next > first)
        r->rec->lost_frames += next - first;
}

// ------------------------------------------------------------ frames

// Reads the frame at `at`; true when it is valid by itself (number not looked at).
static bool read_frame(struct reader *r, uint64_t at, struct yg_wal_frame *head) {
    struct yg_err err;
    if (at + sizeof(*head) > r->size ||
        yg_file_pread_all(r->fd, head, sizeof(*head), (off_t)at, &err) != YG_OK)
        return false;
    if (head->magic != YG_WAL_FRAME_MAGIC || head->payload_bytes > YG_WAL_PAYLOAD_MAX ||
        head->payload_bytes > r->size - at - sizeof(*head))
        return false;
    yg_buf_reset(&r->payload);
    if (yg_buf_reserve_exact(&r->payload, head->payload_bytes + 1u, &err) != YG_OK ||
        yg_file_pread_all(r->fd, r->payload.ptr, head->payload_bytes, (off_t)(at + sizeof(*head)),
                          &err) != YG_OK)
        return false;
    r->payload.len = head->payload_bytes;
    return yg_wal_frame_crc(head, r->payload.ptr) == head->crc32c;
}

// Next valid frame behind `from` with a number that may still come. False: there is none.
static bool find_frame(struct reader *r, uint64_t from, uint64_t *ret_at,
                       struct yg_wal_frame *ret_head) {
    const uint64_t magic_at = offsetof(struct yg_wal_frame, magic);
    char *window = yg_alloc(YG_MEM_STORE, WINDOW_BYTES);
    bool found = false;
    struct yg_err err;
    for (uint64_t base = from; !found && base + sizeof(*ret_head) <= r->size;
         base += WINDOW_BYTES - 64) {
        uint64_t len = r->size - base < WINDOW_BYTES ? r->size - base : WINDOW_BYTES;
        if (yg_file_pread_all(r->fd, window, len, (off_t)base, &err) != YG_OK)
            break;
        for (uint64_t i = 0; !found && i + sizeof(*ret_head) <= len; i += 8) {
            uint32_t magic;
            memcpy(&magic, window + i + magic_at, 4);
            if (magic == YG_WAL_FRAME_MAGIC && read_frame(r, base + i, ret_head) &&
                ret_head->sequence >= r->expected && ret_head->sequence < r->bound) {
                *ret_at = base + i;
                found = true;
            }
        }
    }
    yg_free(YG_MEM_STORE, window);
    return found;
}

static bool all_zero(const struct yg_wal_frame *head) {
    static const struct yg_wal_frame zero;
    return memcmp(head, &zero, sizeof(zero)) == 0;
}

// The frame at pos is not the expected one. True: reading goes on at r->pos.
static bool skip_bad(struct reader *r) {
    struct yg_wal_frame head = {0}, next;
    struct yg_err err;
    if (r->expected >= r->bound)
        return false; // everything of this file was read
    if (r->pos + sizeof(head) <= r->size &&
        yg_file_pread_all(r->fd, &head, sizeof(head), (off_t)r->pos, &err) != YG_OK)
        head.magic = YG_WAL_FRAME_MAGIC; // unreadable: not the empty end of the file
    uint64_t at;
    bool found = find_frame(r, r->pos, &at, &next);
    if (found && (!r->last || next.group_first > r->expected)) {
        note_damage(r, r->pos, at, "frame is damaged");
        note_lost(r, next.sequence);
        r->pos = at;
        r->expected = next.sequence;
        return true;
    }
    if (!r->last) {
        note_damage(r, r->pos, r->size, "frames are missing at the end");
        note_lost(r, r->bound);
        return false;
    }
    if (found || !all_zero(&head)) {
        r->rec->torn_tail = true;
        tell(r, r->pos, "torn tail of the log, which the next start cuts off", true);
        if (r->rec->damage_text[0] == 0)
            (void)snprintf(r->rec->damage_text, sizeof(r->rec->damage_text),
                           "%.120s: byte %llu: torn tail cut off", r->path,
                           (unsigned long long)r->pos);
        keep_aside(r, r->pos, r->pos + 4096 < r->size ? r->pos + 4096 : r->size);
    }
    if (r->aside_dir && r->pos < r->size && ftruncate(r->fd, (off_t)r->pos) != 0)
        return false; // void by the next file's first number all the same
    return false;
}

static yg_rc read_frames(struct reader *r, struct yg_err *err) {
    for (;;) {
        struct yg_wal_frame head;
        bool ok = read_frame(r, r->pos, &head);
        if (!ok || head.sequence != r->expected) {
            if (!skip_bad(r))
                return YG_OK;
            continue;
        }
        if (head.sequence >= r->bound)
            return YG_OK; // void
        struct yg_wal_replay frame = {
            .sequence = head.sequence,
            .written_ns = head.written_ns,
            .kind = (enum yg_wal_kind)head.kind,
            .digest = head.flags & YG_WAL_F_DIGEST ? head.digest : NULL,
            .payload = &r->payload,
            .file = r->path,
            .offset = r->pos,
        };
        yg_rc rc = r->fn(r->ctx, &frame, err);
        if (rc == YG_ECORRUPT) { // good checksum, unreadable content: named like other damage
            note_damage(r, r->pos, r->pos + sizeof(head) + head.payload_bytes, err->text);
            r->rec->lost_frames++;
        } else if (rc != YG_OK) {
            return yg_err_wrap(err, "%s: byte %llu", r->path, (unsigned long long)r->pos);
        }
        r->rec->frames++;
        r->expected++;
        r->pos = (r->pos + sizeof(head) + head.payload_bytes + 7) & ~UINT64_C(7);
    }
}

static bool header_ok(struct reader *r, const struct yg_wal_name *name) {
    struct yg_wal_file_header head;
    struct yg_err err;
    if (r->size < sizeof(head) || yg_file_pread_all(r->fd, &head, sizeof(head), 0, &err) != YG_OK)
        return false;
    return memcmp(head.magic, YG_WAL_FILE_MAGIC, 4) == 0 && head.version == YG_WAL_VERSION &&
           head.crc32c == yg_crc32c(0, &head, offsetof(struct yg_wal_file_header, crc32c)) &&
           head.number == name->number && head.first_sequence == name->first_sequence;
}

static yg_rc read_file(struct reader *r, const struct yg_wal_name *name, struct yg_err *err) {
    yg_wal_file_name(r->path, sizeof(r->path), r->dir, name->number, name->first_sequence);
    YG_TRY(yg_file_open(r->path, r->aside_dir ? O_RDWR : O_RDONLY, &r->fd, err));
    int64_t size;
    yg_rc rc = yg_file_size(r->fd, &size, err);
    if (rc == YG_OK) {
        r->size = (uint64_t)size;
        r->pos = YG_WAL_HEADER_BYTES;
        if (!header_ok(r, name)) {
            // The name says what the header would. A file that was just being made holds nothing.
            struct yg_wal_frame head;
            if (!r->last || read_frame(r, r->pos, &head))
                note_damage(r, 0, YG_WAL_HEADER_BYTES, "file header is damaged");
        }
        rc = read_frames(r, err);
    }
    yg_file_close(&r->fd);
    return rc;
}

// Reads every file of r->dir in order.
static yg_rc read_files(struct reader *r, struct yg_wal_recovery *ret_recovery,
                        struct yg_err *err) {
    struct yg_wal_name *names;
    uint32_t count;
    YG_TRY(yg_wal_list(r->dir, &names, &count, err));
    struct yg_wal_recovery rec = {.next_sequence = r->above + 1, .next_number = 1};
    r->fd = -1;
    r->payload = YG_BUF(YG_MEM_STORE, (size_t)YG_WAL_PAYLOAD_MAX + 16u);
    r->rec = &rec;
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < count && rc == YG_OK; i++) {
        r->last = i + 1 == count;
        r->bound = r->last ? UINT64_MAX : names[i + 1].first_sequence;
        r->expected = names[i].first_sequence ? names[i].first_sequence : 1; // numbers begin at 1
        rc = read_file(r, &names[i], err);
        if (r->expected > rec.next_sequence)
            rec.next_sequence = r->expected;
        rec.next_number = names[i].number + 1;
    }
    yg_free(YG_MEM_STORE, names);
    yg_buf_fini(&r->payload);
    if (rc == YG_OK)
        *ret_recovery = rec;
    return rc;
}

yg_rc yg_wal_recover(const char *dir, const char *aside_dir, uint64_t above_sequence,
                     yg_rc (*fn)(void *ctx, const struct yg_wal_replay *frame, struct yg_err *err),
                     void *ctx, struct yg_wal_recovery *ret_recovery, struct yg_err *err) {
    YG_ASSERT(aside_dir != NULL);
    struct reader r = {
        .dir = dir, .aside_dir = aside_dir, .above = above_sequence, .fn = fn, .ctx = ctx};
    return read_files(&r, ret_recovery, err);
}

yg_rc yg_wal_verify(const char *dir, uint64_t above_sequence,
                    yg_rc (*fn)(void *ctx, const struct yg_wal_replay *frame, struct yg_err *err),
                    void (*damage)(void *ctx, const char *line, bool torn_tail), void *ctx,
                    struct yg_wal_recovery *ret_recovery, struct yg_err *err) {
    struct reader r = {.dir = dir, .damage = damage, .above = above_sequence, .fn = fn, .ctx = ctx};
    return read_files(&r, ret_recovery, err);
}
