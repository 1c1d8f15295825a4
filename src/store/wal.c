// SPDX-License-Identifier: Apache-2.0
// The WAL thread: group commit, rotation, what happens after a failed write. See wal.h.
#include "store/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/panic.h"

#define WAL_MAGIC 0x3a7f10c5u
#define STAGE_BYTES (1u << 20) // small frames are written together
#define POKE_MS 100

// How much may wait: what the disk takes in two seconds, as the last groups showed, so that a slow
// disk makes senders wait a little and turns the rest away instead of keeping all of them for long.
#define QUEUE_S 2
#define QUEUE_BYTES_MIN (UINT64_C(512) << 10)
#define PACE_BYTES_MIN                                                                             \
    (UINT64_C(64) << 10)                // smaller groups show a sync's time, not the disk's pace
#define PACE_NS_MIN (50 * YG_NS_PER_MS) // … unless they took long
#define GROUP_BYTES_FIRST (UINT64_C(1) << 20)
#define GROUP_BYTES_MAX (UINT64_C(64) << 20)
#define GROUP_FAST_NS (200 * YG_NS_PER_MS)

struct file {
    uint64_t number;
    uint64_t first_sequence;
    uint64_t bytes; // used
};

struct yg_wal {
    uint32_t magic;
    struct yg_wal_options o;
    struct yg_thread thread;

    pthread_mutex_t lock; // queue, files, stop
    pthread_cond_t wake;
    struct yg_wal_item *first;
    struct yg_wal_item *last;
    uint64_t queued_bytes;
    uint64_t queue_bytes_max; // by pace; never above the option
    uint64_t group_bytes_max; // written with one sync; grows while that is quick
    bool poked;
    bool stopping;
    struct file *files; // the last one is being written
    uint32_t file_count;
    uint32_t file_cap;
    uint64_t next_sequence;

    // the thread's own
    int fd;            // −1: no file that can be trusted
    uint64_t at;       // where the next frame goes
    uint64_t capacity; // of the file
    uint64_t next_number;
    uint64_t group_first;
    struct yg_buf stage;          // bytes for [at, …) not yet written
    struct yg_wal_item *unsynced; // written, waiting for the sync
    struct yg_wal_item *unsynced_last;
    int64_t unsynced_mono_ns;
};

void yg_wal_file_name(char *out, size_t cap, const char *dir, uint64_t number, uint64_t first) {
    int n = snprintf(out, cap, "%s/%08llx-%016llx.wal", dir, (unsigned long long)number,
                     (unsigned long long)first);
    YG_ASSERT(n > 0 && (size_t)n < cap);
}

uint32_t yg_wal_frame_crc(const struct yg_wal_frame *head, const void *payload) {
    struct yg_wal_frame copy = *head;
    copy.crc32c = 0;
    return yg_crc32c(yg_crc32c(0, &copy, sizeof(copy)), payload, head->payload_bytes);
}

static uint64_t frame_bytes(uint64_t payload) {
    return (YG_WAL_FRAME_BYTES + payload + 7) & ~UINT64_C(7);
}

// ------------------------------------------------------------ files

static yg_rc preallocate(int fd, uint64_t bytes, struct yg_err *err) {
    if (fallocate(fd, 0, 0, (off_t)bytes) == 0)
        return YG_OK;
    if (errno == EOPNOTSUPP || errno == ENOSYS) // then the file grows as it is written
        return ftruncate(fd, (off_t)bytes) == 0 ? YG_OK : yg_fail_errno(err, "ftruncate");
    return yg_fail_errno(err, "preallocating %llu bytes", (unsigned long long)bytes);
}

static yg_rc write_header(struct yg_wal *w, int fd, uint64_t number, uint64_t first,
                          struct yg_err *err) {
    struct yg_wal_file_header head = {
        .magic = {'Y', 'G', 'W', 'L'},
        .version = YG_WAL_VERSION,
        .number = number,
        .first_sequence = first,
        .created_ns = yg_now_ns(w->o.clock),
    };
    head.crc32c = yg_crc32c(0, &head, offsetof(struct yg_wal_file_header, crc32c));
    YG_TRY(yg_file_pwrite_all(fd, &head, sizeof(head), 0, err));
    YG_TRY(yg_file_sync(fd, err));
    return yg_file_sync_dir(w->o.dir, err);
}

static void add_file(struct yg_wal *w, struct file f) {
    pthread_mutex_lock(&w->lock);
    YG_GROW(YG_MEM_STORE, w->files, w->file_count, w->file_cap);
    w->files[w->file_count++] = f;
    pthread_mutex_unlock(&w->lock);
}

static yg_rc stage_frame(struct yg_wal *w, struct yg_wal_frame *head, yg_str payload,
                         struct yg_err *err);

// A frame of the WAL's own, without an item.
static yg_rc put_own_frame(struct yg_wal *w, enum yg_wal_kind kind,
                           void (*fill)(void *ctx, struct yg_buf *out), struct yg_err *err) {
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_STORE, 64u << 20);
    if (fill)
        fill(w->o.ctx, &body);
    if (body.len == 0 || body.failed)
        return YG_OK;
    struct yg_wal_frame head = {.kind = (uint8_t)kind, .payload_bytes = (uint32_t)body.len};
    return stage_frame(w, &head, yg_buf_str(&body), err);
}

// Opens a new file whose first frame gets next_sequence.
static yg_rc open_file(struct yg_wal *w, uint64_t room, struct yg_err *err) {
    char path[4096];
    uint64_t bytes = YG_WAL_HEADER_BYTES + room + STAGE_BYTES;
    if (bytes < YG_WAL_FILE_BYTES)
        bytes = YG_WAL_FILE_BYTES;
    uint64_t number = w->next_number;
    yg_wal_file_name(path, sizeof(path), w->o.dir, number, w->next_sequence);
    int fd = -1;
    YG_TRY(yg_file_open(path, O_RDWR | O_CREAT | O_EXCL, &fd, err));
    yg_rc rc = preallocate(fd, bytes, err);
    if (rc == YG_OK)
        rc = write_header(w, fd, number, w->next_sequence, err);
    if (rc != YG_OK) {
        yg_file_close(&fd);
        (void)unlink(path);
        return yg_err_wrap(err, "%s", path);
    }
    w->next_number++;
    w->fd = fd;
    w->at = YG_WAL_HEADER_BYTES;
    w->capacity = bytes;
    add_file(w, (struct file){number, w->next_sequence, YG_WAL_HEADER_BYTES});
    return put_own_frame(w, YG_WAL_DIGESTS, w->o.digests, err);
}

static void note_used(struct yg_wal *w) {
    pthread_mutex_lock(&w->lock);
    if (w->file_count)
        w->files[w->file_count - 1].bytes = w->at;
    pthread_mutex_unlock(&w->lock);
}

static yg_rc write_stage(struct yg_wal *w, struct yg_err *err) {
    if (w->stage.len == 0)
        return YG_OK;
    YG_TRY(yg_file_pwrite_all(w->fd, w->stage.ptr, w->stage.len, (off_t)w->at, err));
    w->at += w->stage.len;
    yg_buf_reset(&w->stage);
    note_used(w);
    return YG_OK;
}

// ------------------------------------------------------------ frames

// Numbers the frame and puts it behind what is staged; large payloads are written at once.
static yg_rc stage_frame(struct yg_wal *w, struct yg_wal_frame *head, yg_str payload,
                         struct yg_err *err) {
    static const char zeros[8];
    head->sequence = w->next_sequence;
    head->written_ns = yg_now_ns(w->o.clock);
    head->magic = YG_WAL_FRAME_MAGIC;
    head->group_first = w->group_first;
    head->crc32c = yg_wal_frame_crc(head, payload.ptr);
    if (w->stage.len + frame_bytes(payload.len) > STAGE_BYTES)
        YG_TRY(write_stage(w, err));
    size_t pad = (size_t)(frame_bytes(payload.len) - YG_WAL_FRAME_BYTES - payload.len);
    if (frame_bytes(payload.len) <= STAGE_BYTES) {
        yg_buf_put(&w->stage, head, sizeof(*head));
        yg_buf_puts(&w->stage, payload);
        yg_buf_put(&w->stage, zeros, pad);
        YG_TRY(yg_buf_ok(&w->stage, err));
    } else {
        YG_TRY(yg_file_pwrite_all(w->fd, head, sizeof(*head), (off_t)w->at, err));
        YG_TRY(yg_file_pwrite_all(w->fd, payload.ptr, payload.len, (off_t)(w->at + sizeof(*head)),
                                  err));
        w->at += frame_bytes(payload.len);
        note_used(w);
    }
    pthread_mutex_lock(&w->lock);
    w->next_sequence++;
    pthread_mutex_unlock(&w->lock);
    return YG_OK;
}

static void finish_items(struct yg_wal *w, struct yg_wal_item *list, yg_rc rc,
                         const struct yg_err *err) {
    while (list) {
        struct yg_wal_item *next = list->next;
        list->next = NULL;
        w->o.done(w->o.ctx, list, rc, rc == YG_OK ? NULL : err);
        list = next;
    }
}

// The file failed: its unsynced frames are refused and their numbers used again in a new file.
static void abandon(struct yg_wal *w, struct yg_wal_item *also, const struct yg_err *err) {
    yg_file_close(&w->fd);
    yg_buf_reset(&w->stage);
    pthread_mutex_lock(&w->lock);
    w->next_sequence = w->group_first;
    pthread_mutex_unlock(&w->lock);
    struct yg_wal_item *list = w->unsynced;
    w->unsynced = w->unsynced_last = NULL;
    struct yg_err copy = *err;
    (void)yg_err_wrap(&copy, "not stored: write-ahead log");
    finish_items(w, list, YG_EIO, &copy);
    finish_items(w, also, YG_EIO, &copy);
}

static void synced(struct yg_wal *w) {
    struct yg_wal_item *list = w->unsynced;
    w->unsynced = w->unsynced_last = NULL;
    w->group_first = w->next_sequence;
    finish_items(w, list, YG_OK, NULL);
}

// Everything staged is written and, unless the policy says never, synced; then acknowledged.
static yg_rc commit(struct yg_wal *w, struct yg_err *err) {
    YG_TRY(write_stage(w, err));
    if (w->o.sync != YG_WAL_SYNC_NONE)
        YG_TRY(yg_file_datasync(w->fd, err));
    synced(w);
    return YG_OK;
}

static yg_rc ensure_room(struct yg_wal *w, uint64_t bytes, struct yg_err *err) {
    if (w->fd >= 0 && w->at + w->stage.len + bytes <= w->capacity)
        return YG_OK;
    if (w->fd >= 0) {
        YG_TRY(commit(w, err)); // frames of a file are durable before the next file has one
        yg_file_close(&w->fd);
    }
    return open_file(w, bytes, err);
}

static yg_rc put_item(struct yg_wal *w, struct yg_wal_item *item, struct yg_err *err) {
    YG_TRY(ensure_room(w, frame_bytes(item->payload.len), err));
    struct yg_wal_frame head = {
        .payload_bytes = (uint32_t)item->payload.len,
        .kind = (uint8_t)item->kind,
        .flags = item->has_digest ? YG_WAL_F_DIGEST : 0,
    };
    memcpy(head.digest, item->digest, sizeof(head.digest));
    YG_TRY(stage_frame(w, &head, yg_buf_str(&item->payload), err));
    item->sequence = head.sequence;
    item->written_ns = head.written_ns;
    item->next = NULL;
    if (w->unsynced_last)
        w->unsynced_last->next = item;
    else
        w->unsynced_mono_ns = yg_mono_ns(w->o.clock);
    if (w->unsynced == NULL)
        w->unsynced = item;
    w->unsynced_last = item;
    return YG_OK;
}

static bool due(const struct yg_wal *w) {
    return w->o.sync != YG_WAL_SYNC_INTERVAL ||
           yg_mono_ns(w->o.clock) - w->unsynced_mono_ns >= w->o.sync_interval_ms * YG_NS_PER_MS;
}

// One group: what was queued, what was delivered, one sync.
static void write_group(struct yg_wal *w, struct yg_wal_item *list, bool poked, bool force) {
    struct yg_err err = {0};
    yg_rc rc = YG_OK;
    if (list || poked)
        rc = ensure_room(w, 1u << 16, &err);
    if (rc == YG_OK && w->fd >= 0 && (list || poked))
        rc = put_own_frame(w, YG_WAL_DELIVERED, w->o.delivered, &err);
    while (list && rc == YG_OK) {
        struct yg_wal_item *item = list;
        struct yg_wal_item *rest = list->next;
        rc = put_item(w, item, &err);
        if (rc == YG_OK)
            list = rest;
    }
    if (rc == YG_OK && w->unsynced && (force || due(w)))
        rc = commit(w, &err);
    else if (rc == YG_OK)
        rc = write_stage(w, &err); // marks alone: no sync
    if (rc != YG_OK)
        abandon(w, list, &err);
}

// ------------------------------------------------------------ the thread

static void wait_until(struct yg_wal *w, int64_t ms) {
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t ns = ts.tv_nsec + ms * YG_NS_PER_MS;
    ts.tv_sec += ns / YG_NS_PER_S;
    ts.tv_nsec = ns % YG_NS_PER_S;
    (void)pthread_cond_timedwait(&w->wake, &w->lock, &ts);
}

// Under the lock: sleeps until there is something to write. False: stop.
static bool wait_for_work(struct yg_wal *w) {
    while (w->first == NULL && !w->stopping) {
        if (w->unsynced) {
            wait_until(w, w->o.sync_interval_ms > 0 ? w->o.sync_interval_ms : 1);
            return true;
        }
        if (w->poked) {
            wait_until(w, POKE_MS);
            return true;
        }
        pthread_cond_wait(&w->wake, &w->lock);
    }
    return w->first != NULL || !w->stopping;
}

// Under the lock: the items of the next group and their bytes.
static struct yg_wal_item *take_group(struct yg_wal *w, uint64_t *ret_bytes) {
    struct yg_wal_item *list = w->first, *end = NULL;
    uint64_t bytes = 0;
    while (w->first && (end == NULL || bytes < w->group_bytes_max)) {
        end = w->first;
        bytes += frame_bytes(end->payload.len);
        w->first = end->next;
    }
    if (end)
        end->next = NULL;
    if (w->first == NULL)
        w->last = NULL;
    w->queued_bytes -= bytes;
    *ret_bytes = bytes;
    return list;
}

// Under the lock: what a group of so many bytes that took so long says about the disk.
static void note_pace(struct yg_wal *w, uint64_t bytes, int64_t took_ns) {
    if (bytes < PACE_BYTES_MIN && took_ns < PACE_NS_MIN)
        return;
    double per_ns = (double)bytes / (double)(took_ns > 0 ? took_ns : 1);
    double may_wait = per_ns * (double)(QUEUE_S * YG_NS_PER_S);
    w->queue_bytes_max = may_wait >= (double)w->o.queue_max_bytes ? w->o.queue_max_bytes
                         : may_wait < (double)QUEUE_BYTES_MIN     ? QUEUE_BYTES_MIN
                                                                  : (uint64_t)may_wait;
    bool quick = took_ns < GROUP_FAST_NS;
    if (quick && bytes >= w->group_bytes_max && w->group_bytes_max < GROUP_BYTES_MAX)
        w->group_bytes_max *= 2;
    else if (!quick && w->group_bytes_max > GROUP_BYTES_FIRST)
        w->group_bytes_max /= 2;
}

static void wal_main(void *arg) {
    struct yg_wal *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        uint64_t bytes;
        bool more = wait_for_work(w);
        struct yg_wal_item *list = take_group(w, &bytes);
        bool poked = w->poked;
        bool stop = w->stopping;
        w->poked = false;
        pthread_mutex_unlock(&w->lock);
        int64_t began_ns = yg_mono_ns(w->o.clock);
        write_group(w, list, poked, stop);
        int64_t took_ns = yg_mono_ns(w->o.clock) - began_ns;
        pthread_mutex_lock(&w->lock);
        if (bytes > 0)
            note_pace(w, bytes, took_ns);
        if (!more)
            break;
    }
    pthread_mutex_unlock(&w->lock);
}

// ------------------------------------------------------------ interface

yg_rc yg_wal_start(const struct yg_wal_options *options, struct yg_wal **ret_wal,
                   struct yg_err *err) {
    struct yg_wal_name *names;
    uint32_t count;
    YG_TRY(yg_wal_list(options->dir, &names, &count, err));
    struct yg_wal *w = yg_calloc(YG_MEM_STORE, 1, sizeof(*w));
    w->magic = WAL_MAGIC;
    w->o = *options;
    w->queue_bytes_max = options->queue_max_bytes;
    w->group_bytes_max = GROUP_BYTES_FIRST;
    w->fd = -1;
    w->next_sequence = w->group_first = options->next_sequence;
    w->next_number = options->next_number;
    w->stage = YG_BUF(YG_MEM_STORE, STAGE_BYTES + 64u);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    for (uint32_t i = 0; i < count; i++)
        add_file(w, (struct file){names[i].number, names[i].first_sequence, 0});
    yg_free(YG_MEM_STORE, names);
    yg_rc rc = open_file(w, 0, err);
    if (rc == YG_OK) // what recovery learnt is durable before files may go
        rc = commit(w, err);
    if (rc != YG_OK) {
        w->stopping = true;
        yg_file_close(&w->fd);
        yg_buf_fini(&w->stage);
        yg_free(YG_MEM_STORE, w->files);
        yg_free(YG_MEM_STORE, w);
        return rc;
    }
    yg_thread_start(&w->thread, "wal", wal_main, w);
    *ret_wal = w;
    return YG_OK;
}

static void finish_clean(struct yg_wal *w) {
    struct yg_err err = {0};
    if (w->fd >= 0)
        yg_file_close(&w->fd);
    if (open_file(w, 0, &err) != YG_OK || commit(w, &err) != YG_OK)
        return; // the older files stay: recovery knows that all of it is in segments
    if (ftruncate(w->fd, (off_t)w->at) != 0 || yg_file_sync(w->fd, &err) != YG_OK)
        return;
    yg_wal_release(w, w->next_sequence - 1);
}

void yg_wal_stop(struct yg_wal *w) {
    YG_CHECK(w, WAL_MAGIC);
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    yg_thread_join(&w->thread);
    YG_ASSERT(w->first == NULL && w->unsynced == NULL);
}

void yg_wal_close(struct yg_wal *w, bool clean) {
    if (w == NULL)
        return;
    YG_CHECK(w, WAL_MAGIC);
    YG_ASSERT(w->stopping);
    if (clean)
        finish_clean(w);
    yg_file_close(&w->fd);
    yg_buf_fini(&w->stage);
    yg_free(YG_MEM_STORE, w->files);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    w->magic = 0;
    yg_free(YG_MEM_STORE, w);
}

yg_rc yg_wal_push(struct yg_wal *w, struct yg_wal_item *item, struct yg_err *err) {
    YG_CHECK(w, WAL_MAGIC);
    uint64_t bytes = frame_bytes(item->payload.len);
    pthread_mutex_lock(&w->lock);
    YG_ASSERT(!w->stopping);
    bool full = w->queued_bytes > 0 && w->queued_bytes + bytes > w->queue_bytes_max;
    if (!full) {
        item->next = NULL;
        if (w->last)
            w->last->next = item;
        else
            w->first = item;
        w->last = item;
        w->queued_bytes += bytes;
        pthread_cond_signal(&w->wake);
    }
    uint64_t waiting = w->queued_bytes;
    pthread_mutex_unlock(&w->lock);
    if (full)
        return yg_fail(err, YG_EBUSY, "%llu bytes wait for the write-ahead log already",
                       (unsigned long long)waiting);
    return YG_OK;
}

void yg_wal_poke(struct yg_wal *w) {
    YG_CHECK(w, WAL_MAGIC);
    pthread_mutex_lock(&w->lock);
    w->poked = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void yg_wal_release(struct yg_wal *w, uint64_t sequence) {
    YG_CHECK(w, WAL_MAGIC);
    pthread_mutex_lock(&w->lock);
    uint32_t gone = 0;
    while (gone + 1 < w->file_count && w->files[gone + 1].first_sequence <= sequence + 1)
        gone++;
    struct file *files = yg_alloc(YG_MEM_STORE, sizeof(*files) * (gone + 1u));
    memcpy(files, w->files, sizeof(*files) * gone);
    memmove(w->files, w->files + gone, sizeof(*w->files) * (w->file_count - gone));
    w->file_count -= gone;
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < gone; i++) {
        char path[4096];
        yg_wal_file_name(path, sizeof(path), w->o.dir, files[i].number, files[i].first_sequence);
        (void)unlink(path); // one that stays is skipped by its numbers
    }
    yg_free(YG_MEM_STORE, files);
}

bool yg_wal_queue_full(struct yg_wal *w) {
    pthread_mutex_lock(&w->lock);
    bool full = w->queued_bytes > 0 && w->queued_bytes >= w->queue_bytes_max;
    pthread_mutex_unlock(&w->lock);
    return full;
}

uint64_t yg_wal_queue_bytes(struct yg_wal *w) {
    pthread_mutex_lock(&w->lock);
    uint64_t bytes = w->queued_bytes;
    pthread_mutex_unlock(&w->lock);
    return bytes;
}

uint64_t yg_wal_file_bytes(struct yg_wal *w) {
    pthread_mutex_lock(&w->lock);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < w->file_count; i++)
        bytes += w->files[i].bytes;
    pthread_mutex_unlock(&w->lock);
    return bytes;
}
