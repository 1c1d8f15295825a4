// SPDX-License-Identifier: Apache-2.0
// Private to the store room: the write-ahead log. By byte offset: docs/formats/wal.md.
//
// One thread writes everything that is queued, syncs once, hands each frame on in order and
// acknowledges it, and begins again: an idle server acknowledges after one sync, a loaded one
// shares it. After a failed write or sync the file is never trusted again: the frames that it
// concerned fail, their numbers are given to the first frames of a new file, and a frame that the
// old file holds beyond that number is void.
#ifndef YG_STORE_WAL_H
#define YG_STORE_WAL_H

#include "base/clock.h"
#include "base/str.h"
#include "store/store.h"

#define YG_WAL_FILE_BYTES (64u << 20)
#define YG_WAL_PAYLOAD_MAX (512u << 20)
#define YG_WAL_HEADER_BYTES 64u
#define YG_WAL_FRAME_BYTES 56u
#define YG_WAL_VERSION 1u
#define YG_WAL_FILE_MAGIC "YGWL"
#define YG_WAL_FRAME_MAGIC 0x52464759u // "YGFR"
#define YG_DIGEST_BYTES 16u

// File header, 64 B.
struct yg_wal_file_header {
    char magic[4];
    uint32_t version;
    uint64_t number;         // of the file
    uint64_t first_sequence; // frames of earlier files from this number on are void
    int64_t created_ns;
    char reserved[28];
    uint32_t crc32c; // of the 60 bytes before
};
_Static_assert(sizeof(struct yg_wal_file_header) == YG_WAL_HEADER_BYTES, "WAL header is 64 bytes");

enum yg_wal_kind {
    YG_WAL_ROWS = 1,      // yg_batch_encode
    YG_WAL_POINTS = 2,    // yg_points_encode
    YG_WAL_DELIVERED = 3, // digests (16 B each) whose answers reached their senders
    YG_WAL_DIGESTS = 4,   // {digest 16 B, time i64} of undelivered answers, at the start of a file
};

// Frame header, 56 B, at a multiple of 8; then payload_bytes, then zeros up to a multiple of 8.
struct yg_wal_frame {
    uint32_t payload_bytes;
    uint32_t crc32c; // of the header with this field zero, and of the payload
    uint64_t sequence;
    int64_t written_ns;
    uint32_t magic;
    uint8_t kind;
    uint8_t flags; // 1: digest holds
    uint16_t reserved;
    uint64_t group_first; // all frames below this number were durable when this was written
    uint8_t digest[YG_DIGEST_BYTES];
};
_Static_assert(sizeof(struct yg_wal_frame) == YG_WAL_FRAME_BYTES, "frame header is 56 bytes");
_Static_assert(offsetof(struct yg_wal_frame, written_ns) == 16, "first 24 bytes are fixed");
#define YG_WAL_F_DIGEST 1u

// ------------------------------------------------------------ writing

struct yg_wal;

// A frame on its way. Owned by the WAL from push until its `done` was called.
struct yg_wal_item {
    struct yg_wal_item *next;
    enum yg_wal_kind kind;
    struct yg_buf payload; // stays until `done`
    bool has_digest;
    uint8_t digest[YG_DIGEST_BYTES];
    uint64_t sequence; // set when written
    int64_t written_ns;
    void *arg; // the pusher's
};

struct yg_wal_options {
    const char *dir; // exists
    const struct yg_clock *clock;
    enum yg_wal_sync sync;
    int64_t sync_interval_ms;
    uint64_t queue_max_bytes;
    uint64_t next_sequence;
    uint64_t next_number;
    // On the WAL thread, in sequence order; rc OK: durable by the policy. Owns the item.
    void (*done)(void *ctx, struct yg_wal_item *take_item, yg_rc rc, const struct yg_err *err);
    // Content of a DIGESTS frame for a new file; may append nothing.
    void (*digests)(void *ctx, struct yg_buf *out);
    // Content of a DELIVERED frame; may append nothing. Asked when something is written anyway
    // and every 100 ms after yg_wal_poke.
    void (*delivered)(void *ctx, struct yg_buf *out);
    void *ctx;
};

// Makes the first file and starts the thread. Files found by recovery are given by their names'
// numbers, so that they are removed by yg_wal_release.
yg_rc yg_wal_start(const struct yg_wal_options *options, struct yg_wal **ret_wal,
                   struct yg_err *err) YG_MUST_USE;
// Writes what is queued and stops the thread; nothing may be pushed any more.
void yg_wal_stop(struct yg_wal *wal);
// After stop. `clean`: everything is in segments; files are removed but a short last one with what
// must outlive a restart.
void yg_wal_close(struct yg_wal *wal, bool clean);
// EBUSY (item not taken) when the queue is full. Any thread.
yg_rc yg_wal_push(struct yg_wal *wal, struct yg_wal_item *take_item,
                  struct yg_err *err) YG_MUST_USE;
void yg_wal_poke(struct yg_wal *wal); // delivered marks wait
// Removes files whose frames all have numbers ≤ sequence.
void yg_wal_release(struct yg_wal *wal, uint64_t sequence);
uint64_t yg_wal_queue_bytes(struct yg_wal *wal);
bool yg_wal_queue_full(struct yg_wal *wal);     // as much waits as the disk takes in two seconds
uint64_t yg_wal_file_bytes(struct yg_wal *wal); // used bytes of all files

// ------------------------------------------------------------ recovery

struct yg_wal_replay {
    uint64_t sequence;
    int64_t written_ns;
    enum yg_wal_kind kind;
    const uint8_t *digest;  // NULL = none
    struct yg_buf *payload; // may be taken (yg_buf_move): the next frame then gets a new one
    const char *file;
    uint64_t offset;
};

struct yg_wal_recovery {
    uint64_t next_sequence;
    uint64_t next_number;
    uint64_t frames;
    uint64_t damaged;     // regions named, kept aside and skipped
    uint64_t lost_frames; // numbers that no file holds any more
    bool torn_tail;
    char damage_text[200]; // the first damage: file, offset, reason
};

// Reads every file of dir in order. fn: one valid frame; its error stops the recovery. Bytes of
// damaged regions are copied to `aside_dir`.
yg_rc yg_wal_recover(const char *dir, const char *aside_dir, uint64_t above_sequence,
                     yg_rc (*fn)(void *ctx, const struct yg_wal_replay *frame, struct yg_err *err),
                     void *ctx, struct yg_wal_recovery *ret_recovery,
                     struct yg_err *err) YG_MUST_USE;

// The same without writing anything: nothing is kept aside or cut off. `damage` gets every damaged
// region as "file: byte N: what", and the torn tail.
yg_rc yg_wal_verify(const char *dir, uint64_t above_sequence,
                    yg_rc (*fn)(void *ctx, const struct yg_wal_replay *frame, struct yg_err *err),
                    void (*damage)(void *ctx, const char *line, bool torn_tail), void *ctx,
                    struct yg_wal_recovery *ret_recovery, struct yg_err *err) YG_MUST_USE;

// Name of a file: "<number, 8 hex>-<first sequence, 16 hex>.wal".
void yg_wal_file_name(char *out, size_t cap, const char *dir, uint64_t number, uint64_t first);
struct yg_wal_name {
    uint64_t number;
    uint64_t first_sequence;
};
// Files of dir by number. *ret_names: freed by the caller (YG_MEM_STORE).
yg_rc yg_wal_list(const char *dir, struct yg_wal_name **ret_names, uint32_t *ret_count,
                  struct yg_err *err) YG_MUST_USE;
uint32_t yg_wal_frame_crc(const struct yg_wal_frame *head, const void *payload);

#endif
