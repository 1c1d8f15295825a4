// SPDX-License-Identifier: Apache-2.0
// Private to the store room: what its files share.
//
// Locks, in the order in which they may be taken: dispatch_lock · lists_lock · resend.lock (each
// short; no I/O and no callback under them). flush_lock is held for a whole flush and is taken
// before them; flushes, retention, deletions and the end of a merge take it. merging.lock is held
// for a whole merge and comes first of all.
#ifndef YG_STORE_INT_H
#define YG_STORE_INT_H

#include <stdatomic.h>

#include "base/log.h"
#include "store/catalog.h"
#include "store/columns.h"
#include "store/mstore.h"
#include "store/segment.h"
#include "store/store.h"
#include "store/wal.h"

#define YG_SHARDS_MAX 64u
#define YG_SEAL_ROWS 65536u
#define YG_SEAL_BYTES (16u << 20)
#define YG_SHARD_TAILS_MAX 20u
#define YG_RESEND_NS (INT64_C(900) * YG_NS_PER_S)
#define YG_MEMORY_SEGMENT_BIT (UINT64_C(1) << 63) // ids of memory segments

struct yg_traces;

// A batch shared by the shards that have rows of it.
struct yg_shared_batch {
    _Atomic uint32_t refs;
    struct yg_batch *batch;
    uint8_t *shard_of; // per row; NULL: every row goes to `shard`
    uint32_t shard;
    uint64_t bytes; // memory charged to the store until it is sealed
};

struct yg_builder {
    struct yg_columns_part *parts;
    struct yg_shared_batch **owners; // one per part
    uint32_t count, cap;
    uint32_t owner_cap;
    uint32_t row_count;
    uint64_t bytes;
    uint64_t min_sequence, max_sequence;
    int64_t first_mono_ns;
};

struct yg_shard {
    struct yg_store *store;
    uint32_t idx;
    struct yg_strand *strand;
    struct yg_builder builders[YG_TRACK_COUNT];
    // Newest memory segments, which may still be joined: each more than twice as long as the next.
    struct yg_segment *tails[YG_TRACK_COUNT][YG_SHARD_TAILS_MAX];
    uint32_t tail_count[YG_TRACK_COUNT];
    uint64_t sequence;             // of the last frame that was applied
    struct yg_trace_version *late; // traces in the builder that supersede stored rows
    uint32_t late_count, late_cap;
    struct yg_traces *traces;
};

struct yg_seg_list {
    struct yg_segment **segs;
    uint32_t count, cap;
};

struct yg_resend_slot {
    uint8_t digest[YG_DIGEST_BYTES];
    int64_t seen_ns; // 0 = free
};

struct yg_resend {
    pthread_mutex_t lock;
    struct yg_resend_slot *slots;
    uint32_t cap; // power of two or 0
    uint32_t len;
    uint8_t (*marks)[YG_DIGEST_BYTES]; // delivered, not yet in the WAL
    uint32_t mark_count;
};

// Newest version of traces that got late spans: rows with an older one are not live.
struct yg_trace_version {
    yg_id128 id;
    uint64_t version; // 0 = free slot
    int32_t day;
    bool saved; // in the catalogue
};
struct yg_trace_versions {
    struct yg_trace_version *slots;
    uint32_t cap, len;
};

// A request to delete rows. Immutable but for the atomics.
struct yg_deletion {
    _Atomic uint32_t refs;
    uint64_t id;
    enum yg_track track;
    struct yg_time_range range; // to_ns excluded
    uint64_t sequence; // rows of later frames are not concerned; traces: files from this id on
    int64_t created_ns;
    char *query;
    struct yg_arena *arena;
    struct yg_node *tree; // NULL: every row of the range
    _Atomic uint64_t rows;
    _Atomic bool done;
};
struct yg_deletions { // in order of their ids
    struct yg_deletion **items;
    uint32_t count, cap;
};

// What merges have done, and are told.
struct yg_merging {
    pthread_mutex_t lock;           // held for a whole merge; before flush_lock
    _Atomic bool queued;            // a job is queued or running
    _Atomic bool stop;              // the store closes
    _Atomic int64_t failed_mono_ns; // 0 = the last one went well
    uint32_t rows_max;              // of a merge that decodes; halved when memory ran out
    uint32_t stripe_rows;           // halved when a column was too wide
    uint64_t *dead;                 // files that go with their last reader
    uint32_t dead_count, dead_cap;  // under flush_lock
    _Atomic uint64_t rows_merged, bytes_merged, rows_rewritten, bytes_rewritten, rows_dropped;
    _Atomic uint32_t merges, failures, kept_out;
    _Atomic int64_t cpu_ns;
    _Atomic bool waits_for_disk;
};

// A file of a transaction that failed, but may be in SQLite's log whole (its sync failed): it stays
// until a later transaction, which says again what is live, has succeeded. No merge begins before.
struct yg_doubt {
    uint64_t id; // 0: no segment
    char *path;
};

#define YG_STORE_INDEXES_MAX 64u
struct yg_store_index {
    char *name;
    int64_t keep_ns; // 0 = as the track
};

#define YG_STORE_MAGIC 0x57023e11u
struct yg_store {
    uint32_t magic;
    struct yg_store_options o;
    char *dir, *dir_wal, *dir_segments, *dir_tmp, *dir_metrics, *dir_damaged;
    uint32_t shard_count;
    struct yg_shard *shards;
    struct yg_wal *_Atomic wal; // NULL while the log is being replayed
    struct yg_catalog *catalog;
    struct yg_strand *metrics_strand;
    struct yg_mstore *mstore;

    pthread_mutex_t dispatch_lock; // frames enter the strands in order; a cut stands between two
    uint64_t dispatched;           // number of the last frame that did

    pthread_mutex_t lists_lock;
    struct yg_seg_list files[YG_TRACK_COUNT];
    struct yg_seg_list memory[YG_TRACK_COUNT];
    struct yg_trace_versions versions;
    _Atomic uint64_t traces_epoch; // changes with the lists of the traces track

    struct yg_resend resend;

    pthread_mutex_t flush_lock;
    _Atomic bool flushing;     // one is wanted or running
    _Atomic bool flush_wanted; // nobody has begun it
    _Atomic uint32_t jobs;     // queued or running in the background lane
    uint64_t metrics_flushed;
    _Atomic uint64_t next_segment_id;
    _Atomic uint64_t rows_flushed, bytes_flushed;
    uint64_t settled[YG_TRACK_COUNT]; // of the flush that runs: deletions that it need not apply
    struct yg_merging merging;
    struct yg_doubt *doubts; // under flush_lock
    uint32_t doubt_count, doubt_cap;
    struct yg_deletions deletions;                       // under lists_lock
    struct yg_store_index indexes[YG_STORE_INDEXES_MAX]; // under lists_lock; 0 is main
    char checkpoint[64];                                 // name of the file of open traces, or ""
    int64_t flush_failed_mono_ns;
    uint64_t seal_bytes;        // a builder that holds so much is sealed
    uint64_t flush_group_bytes; // memory segments joined into one file; halved when memory ran out
    uint64_t flushed;           // everything up to this number is in files

    _Atomic uint64_t next_memory_id;
    _Atomic uint64_t memory_bytes;         // builders and memory segments
    _Atomic int64_t oldest_memory_mono_ns; // 0 = nothing
    _Atomic uint64_t wal_bytes_flushed;    // of the log after the last flush
    _Atomic bool disk_full;
    _Atomic bool log_failed, flush_failed;
    _Atomic uint64_t damaged;
    _Atomic int64_t last_row_ns[YG_TRACK_COUNT];
    _Atomic int64_t last_point_ns;
    _Atomic uint32_t open_traces;
    _Atomic uint64_t trace_bytes;

    pthread_mutex_t attach_lock;
    void *attached; // of a room above (yg_store_attached)
    void (*detach)(void *attached);

    struct yg_thread clock_thread;
    struct yg_event stop;
    bool small_waits; // the flush interval is the default one
};

// attach.c: destroys what was attached.
void yg_store_detach(struct yg_store *store);

// shard.c
void yg_shard_init(struct yg_shard *sh, struct yg_store *store, uint32_t idx);
void yg_shard_fini(struct yg_shard *sh);
// Takes a reference of `shared` for rows of this shard; on the strand.
void yg_shard_apply(struct yg_shard *sh, struct yg_shared_batch *shared);
// Seals one track's builder into a memory segment; on the strand. `final`: later rows must not be
// joined with what is in it (a cut).
yg_rc yg_shard_seal(struct yg_shard *sh, enum yg_track track, bool final,
                    struct yg_err *err) YG_MUST_USE;
void yg_shared_batch_unref(struct yg_store *store, struct yg_shared_batch *shared);
// A batch made by the store itself on the shard's strand (closed traces). sequence: of the newest
// frame that went into it.
void yg_shard_add_own(struct yg_shard *sh, struct yg_batch *take_batch);
uint32_t yg_store_shard_of_trace(const struct yg_store *store, yg_id128 id);
// Hands a durable batch to its shards, in sequence order; takes it.
void yg_store_dispatch(struct yg_store *store, struct yg_batch *take_batch);
void yg_store_dispatch_points(struct yg_store *store, struct yg_points *take_points);

// A memory segment of a set (snapshots of open traces; seals).
yg_rc yg_store_memory_segment(struct yg_store *store, const struct yg_columns *cs,
                              struct yg_segment **ret_seg, struct yg_err *err) YG_MUST_USE;

// lists (snapshot.c): replaces memory segments by others in one step. Added segments are
// referenced by the lists; `late` are trace versions that hold from now on.
struct yg_publication {
    enum yg_track track;
    struct yg_segment **gone;
    uint32_t gone_count;
    struct yg_segment *add_memory;
    struct yg_segment **add_files;
    uint32_t add_count;
    const struct yg_trace_version *late;
    uint32_t late_count;
};
void yg_store_publish(struct yg_store *store, const struct yg_publication *p);

// flush.c: everything acknowledged before the call goes to files.
yg_rc yg_store_flush(struct yg_store *store, struct yg_err *err) YG_MUST_USE;
// files.c: what the catalogue names; removes orphans and temporary files; loads open traces.
yg_rc yg_store_load_files(struct yg_store *store, struct yg_err *err) YG_MUST_USE;
// A file of rows of one day: tmp, fsync, rename. The folder is synced by the caller.
void yg_store_file_path(const struct yg_store *store, enum yg_track track, int32_t day, uint64_t id,
                        char *out, size_t cap);
void yg_store_flush_if_due(struct yg_store *store);
// Has the background lane write a flush, unless one is wanted or running.
void yg_store_flush_begin(struct yg_store *store);
// Runs the flush that waits for a worker, if there is one: a merge has the worker.
void yg_store_flush_waiting(struct yg_store *store);
// What the catalogue says of a listed file.
struct yg_catalog_segment yg_store_entry(const struct yg_segment *seg);
// A file that the store has just written.
struct yg_segment *yg_store_file_of(struct yg_store *store, const struct yg_catalog_segment *entry);
// In one step: the files go from the lists (and from the disk with their last reader), `add` comes
// (may be NULL). The catalogue says so already. Under flush_lock.
void yg_store_replace(struct yg_store *store, struct yg_segment *const *gone, uint32_t count,
                      struct yg_segment *add);
// Dead files whose last reader is gone are forgotten by the catalogue; under flush_lock.
void yg_store_bury(struct yg_store *store);
// Doubts, all under flush_lock: a file of a transaction that failed; a publication that settles
// them (the same as yg_catalog_publish where there are none).
void yg_store_doubt(struct yg_store *store, uint64_t id, const char *path);
yg_rc yg_store_settle(struct yg_store *store, const struct yg_catalog_publication *p,
                      struct yg_err *err) YG_MUST_USE;
void yg_store_doubts_free(struct yg_store *store);

// merge.c
void yg_store_merge_init(struct yg_store *store);
void yg_store_merge_if_due(struct yg_store *store);
// Runs merges until none is due; `over`: as if every day were over and quiet. For tests and tools.
yg_rc yg_store_merge_now(struct yg_store *store, bool over, struct yg_err *err) YG_MUST_USE;

// deletion.c
void yg_deletion_unref(struct yg_deletion *d);
// The open ones of a track, referenced; count of them. *ret_items: yg_free (YG_MEM_STORE).
uint32_t yg_deletions_open(struct yg_store *store, enum yg_track track,
                           struct yg_deletion ***ret_items);
// May the segment hold rows of it?
bool yg_deletion_concerns(const struct yg_deletion *d, const struct yg_segment *seg);
// Takes the rows of the deletions off the block's live rows.
yg_rc yg_deletions_mask(struct yg_deletion *const *items, uint32_t count,
                        const struct yg_segment *seg, struct yg_block *b,
                        struct yg_err *err) YG_MUST_USE;
// At open: what the catalogue holds.
yg_rc yg_deletions_load(struct yg_store *store, struct yg_err *err) YG_MUST_USE;
void yg_deletions_free(struct yg_deletions *d);
// Newest deletion whose rows are all in files that were there before the flush; under lists_lock.
uint64_t yg_deletions_settled(const struct yg_store *store, enum yg_track track);
// Those of which no file holds rows any more are done; under flush_lock.
void yg_deletions_finish(struct yg_store *store);

// retention.c
void yg_store_retain(struct yg_store *store);
// How long rows of an index are kept; 0 = for ever.
int64_t yg_store_keep_ns(const struct yg_store *store, enum yg_track track, uint32_t index_id);
// Free bytes below which intake waits: a share of the disk, at least room for the next log files.
int64_t yg_store_disk_reserve(int64_t total_bytes, double ratio);
void yg_store_check_disk(struct yg_store *store);

// resend.c
void yg_resend_init(struct yg_resend *r);
void yg_resend_fini(struct yg_resend *r);
void yg_resend_note(struct yg_resend *r, const uint8_t *digest, int64_t seen_ns);
void yg_resend_replay(struct yg_resend *r, enum yg_wal_kind kind, yg_str payload);
void yg_resend_expire(struct yg_resend *r, int64_t now_ns);
void yg_resend_fill_digests(void *store, struct yg_buf *out);
void yg_resend_fill_delivered(void *store, struct yg_buf *out);

// traces.c – all on the shard's strand.
struct yg_traces *yg_traces_create(struct yg_shard *sh);
void yg_traces_destroy(struct yg_traces *t);
// Adds the spans of a part (rows whose remap is not YG_COLUMN_NONE).
void yg_traces_apply(struct yg_traces *t, const struct yg_columns_part *part);
// Closes idle traces: their rows go to the shard's traces builder. `all`: every one.
void yg_traces_close_idle(struct yg_traces *t, int64_t mono_ns, bool all);
// The open traces as rows of a batch; NULL when there are none.
yg_rc yg_traces_provisional(struct yg_traces *t, struct yg_batch **ret_batch,
                            struct yg_err *err) YG_MUST_USE;
// Content of a checkpoint, and back. `out` and what is made on the way are not charged to the room
// of traces: it may be full of the very traces that are to be saved. out->failed: no memory.
void yg_traces_save(const struct yg_traces *t, struct yg_buf *out);
yg_rc yg_traces_load(struct yg_store *store, yg_str in, struct yg_err *err) YG_MUST_USE;

// versions (traces_version.c); under lists_lock
uint64_t yg_trace_versions_get(const struct yg_trace_versions *v, yg_id128 id);
void yg_trace_versions_set(struct yg_trace_versions *v, yg_id128 id, uint64_t version, int32_t day,
                           bool saved);
// Rows of a traces block older than the version that is known are not live.
yg_rc yg_trace_versions_mask(const struct yg_trace_versions *v, struct yg_block *b,
                             struct yg_err *err) YG_MUST_USE;

// A segment of a snapshot with its directory, which stays until the snapshot is closed.
yg_rc yg_snapshot_load(struct yg_snapshot *snap, uint32_t segment, struct yg_segment **ret_seg,
                       struct yg_err *err) YG_MUST_USE;

#endif
