// SPDX-License-Identifier: Apache-2.0
// The room's one header: opening, appending, snapshots of rows (store/rows.h) and metrics
// (store/metrics.h).
//
// A row's way: append → WAL queue → frame written, group fsync → acknowledged and handed to its
// shard's strand → memory segment (1 s or 65,536 rows) → segment file (64 MiB or 60 s). An
// acknowledged row is in every snapshot opened after the acknowledgement.
#ifndef YG_STORE_STORE_H
#define YG_STORE_STORE_H

#include "base/clock.h"
#include "base/thread.h"
#include "model/batch.h"
#include "model/points.h"
#include "store/fsck.h"
#include "store/metrics.h"
#include "store/rows.h"

struct yg_store;

enum yg_wal_sync { YG_WAL_SYNC_ALWAYS, YG_WAL_SYNC_INTERVAL, YG_WAL_SYNC_NONE };

struct yg_store_options {
    const char *dir; // data directory, exists and is locked by the caller
    const struct yg_clock *clock;
    struct yg_pool *pool;
    enum yg_wal_sync wal_sync;
    int64_t wal_sync_interval_ms;
    uint64_t wal_queue_max_bytes; // encoded frames waiting; 0 = 64 MiB; more: EBUSY
    uint32_t shard_count; // power of two; 0 = kept from the directory, else cores rounded up, ≥ 2
    int64_t seal_interval_ms;             // 0 = 1,000
    int64_t flush_interval_ms;            // 0 = 60,000; ten times that while < 4 MiB wait
    uint64_t flush_bytes;                 // 0 = 64 MiB of memory segments
    int64_t trace_idle_ms;                // 0 = 60,000: an open trace without new spans closes
    int64_t retention_ns[YG_TRACK_COUNT]; // 0 = for ever
    int64_t retention_metrics_ns;
    uint64_t retention_bytes; // segment and metric files together; 0 = no limit
    uint32_t
        merge_fan_in; // files of a day that a merge waits for; 0 = 8; 1: no merges by themselves
    int64_t merge_quiet_ms;     // a day that is over is put together after so long; 0 = an hour
    uint32_t merge_stripe_rows; // 0 = 524,288, fewer where the room's memory is small
    double disk_reserve_ratio;  // 0 = 0.02: intake answers EBUSY when less of the disk is free
};

// Opens the directory: catalogue, then WAL replay. ECORRUPT only when nothing can be served.
yg_rc yg_store_open(const struct yg_store_options *options, struct yg_store **ret_store,
                    struct yg_err *err) YG_MUST_USE;
// Flushes everything to files and closes. Nothing may be appended meanwhile.
void yg_store_close(struct yg_store *store);

struct yg_pool *yg_store_pool(const struct yg_store *store); // of its options
// What a room above keeps beside the rows (query: its partial results): made when it is first asked
// for, destroyed when the store is closed. One room may use it. Any thread.
void *yg_store_attached(struct yg_store *store, void *(*create)(void), void (*destroy)(void *));

// Outcome of an append, on the WAL thread or a worker: keep it short. rc OK = durable and visible.
typedef void (*yg_append_fn)(void *arg, yg_rc rc, const struct yg_err *err);

// Would an append be taken now? EBUSY: disk, memory or WAL queue is full. Asked before a body is
// decoded, so that a server with too much to do does not decode what it then refuses. Any thread.
yg_rc yg_store_admit(struct yg_store *store, struct yg_err *err) YG_MUST_USE;
// Takes the batch (also on failure). EBUSY: WAL queue, memory or disk full – fn is not called.
// Otherwise fn is called exactly once. A batch of no rows is acknowledged at once. Any thread.
yg_rc yg_store_append(struct yg_store *store, struct yg_batch *take_batch, yg_append_fn fn,
                      void *arg, struct yg_err *err) YG_MUST_USE;
yg_rc yg_store_append_points(struct yg_store *store, struct yg_points *take_points, yg_append_fn fn,
                             void *arg, struct yg_err *err) YG_MUST_USE;

// The resend rule (engine.md §3): true when a body of this digest was stored in the last 15 minutes
// and its answer is not known to have been delivered; then the caller acknowledges without storing.
// Any thread.
bool yg_store_resend_seen(struct yg_store *store, yg_str digest16);
// The answer to the body of this digest reached its sender: an equal body from now on is a new one.
void yg_store_resend_delivered(struct yg_store *store, yg_str digest16);

// ------------------------------------------------------------ retention and deletion

// Rows of an index of the logs track are kept as long as this from now on; 0 = as the track's.
// Names of at most 100 bytes; the index need not hold rows yet. Any thread.
yg_rc yg_store_index_retention(struct yg_store *store, yg_str index, int64_t keep_ns,
                               struct yg_err *err) YG_MUST_USE;

// Deletes the rows of a track in the range that match a search (query-languages §2; "" or "*": all)
// and that were acknowledged before the call. They are hidden from every snapshot opened
// afterwards; the background lane then writes the files anew without them. The order survives a
// crash. Traces track: rows of traces that are still open stay. EINPUT: the search does not parse;
// EBUSY: 64 deletions are under way. May wait for a flush; a worker's thread.
yg_rc yg_store_delete(struct yg_store *store, enum yg_track track, struct yg_time_range range,
                      yg_str query, uint64_t *ret_id, struct yg_err *err) YG_MUST_USE;
struct yg_deletion_info {
    uint64_t id;
    enum yg_track track;
    struct yg_time_range range;
    int64_t created_ns;
    const char *query;
    uint64_t rows_removed;     // taken out of files so far
    uint32_t segments_left;    // files that may still hold rows of it
    uint32_t segments_damaged; // of these: cannot be written anew; their rows stay hidden
    bool done;
};
// Calls fn for every deletion, newest first; what it gets is borrowed for the call. Any thread.
void yg_store_deletions(struct yg_store *store,
                        void (*fn)(void *ctx, const struct yg_deletion_info *info), void *ctx);

// What main, /health and yagura's own metrics show.
struct yg_store_status {
    uint64_t rows[YG_TRACK_COUNT]; // stored and readable now
    uint64_t bytes_files;          // segment and metric files
    uint64_t wal_bytes;
    uint64_t wal_queue_bytes;
    uint32_t segments_memory, segments_file;
    uint32_t open_traces;
    uint32_t series;
    uint64_t damaged_chunks; // skipped so far
    // Rows and bytes that flushes and merges wrote to segment files since the start: together at
    // most three times a row. Rewrites for a deletion count apart.
    uint64_t rows_flushed, bytes_flushed;
    uint64_t rows_merged, bytes_merged;
    uint64_t rows_rewritten, bytes_rewritten;
    uint64_t rows_dropped; // superseded or deleted, left out by these
    uint32_t merges, merge_failures;
    int64_t merge_cpu_ns;
    bool merge_waits_for_disk;
    uint32_t segments_kept_out; // damaged files that merges leave alone
    uint32_t deletions_open;
    bool log_failed;   // the last write of the log failed: read-only, no permission, a bad disk
    bool flush_failed; // the last flush failed
    bool disk_full;
    int64_t last_row_received_ns[YG_TRACK_COUNT];
    int64_t last_point_received_ns;
};
void yg_store_status(struct yg_store *store, struct yg_store_status *ret_status);

#endif
