// SPDX-License-Identifier: Apache-2.0
// Private to the metric engine (mstore*.c, metric_read.c): registry, head, block files, cursors.
//
// Locks, in the order in which they may be nested:
//   flush_lock   one flush, merge or retention at a time; the only one held across I/O, never by
//   readers state_lock   rwlock over head, frozen head and the list of blocks; memory work only
//   reg.lock     rwlock over the registry's tables (series structs and texts never move or go away)
// A reader copies what it needs of the head, pins the frozen head and the list of blocks, lets go
// of the lock and reads files without any.
#ifndef YG_STORE_MSTORE_INT_H
#define YG_STORE_MSTORE_INT_H

#include "base/arena.h"
#include "base/counter.h"
#include "base/map.h"
#include "store/mstore.h"
#include <pthread.h>
#include <stdatomic.h>
#include <zstd.h>

#define YG_MS_TAG YG_MEM_METRICS
#define YG_MS_NONE UINT32_MAX
#define YG_MS_REFUSED UINT32_MAX              // in the place of a series id: too many in all
#define YG_MS_REFUSED_METRIC (UINT32_MAX - 1) // too many of the metric
#define YG_MS_SERIES_MAX 1000000u
#define YG_MS_SERIES_PER_METRIC_MAX 200000u
#define YG_MS_OWN_SERIES 2000u // of yagura's own figures, on top: they tell of the limit
#define YG_MS_LIVE_FACTOR 4u   // living series may be so many times the active ones
#define YG_MS_ACTIVE_S 86400
#define YG_MS_RECENT_MAX 16u                   // heads that stay in memory although written,
#define YG_MS_RECENT_S 660                     // at most so long,
#define YG_MS_RECENT_BYTES (64u * 1024 * 1024) // at most so much, or a quarter of the room's limit
#define YG_MS_SERIES_ID_MAX (1u << 31)         // ids are never used twice
#define YG_MS_NAME_ID_MAX (1u << 24)
#define YG_MS_CHUNK_RAW_BYTES (64u * 1024u)          // a chunk is closed at this size
#define YG_MS_CHUNK_YOUNG_BYTES (8u * 1024u)         // of level 0 and 1: read often, few series
#define YG_MS_CHUNK_MAX_BYTES (256u * 1024u * 1024u) // no chunk of a good file is larger
#define YG_MS_RUN_POINTS_MAX 65536u                  // longer runs are written in pieces
#define YG_MS_MERGE_MAX_BYTES (INT64_C(4) << 30)
#define YG_MS_STEP_MAX 360u
#define YG_MS_LEVELS 3u       // merges that a point goes through at most
#define YG_MS_ROLLUP_LEVEL 3u // files of this level and above have roll-ups
#define YG_MS_PLAIN_LEVEL 2u  // of this level and above: no zstd for runs that are packed anyway
#define YG_MS_FIELDS_ALL (2 * YG_METRIC_SKETCH - 1)
// Roll-ups leave out what no query asks of wide buckets.
#define YG_MS_FIELDS_ROLLED (YG_MS_FIELDS_ALL & ~YG_METRIC_LAST)

// ------------------------------------------------------------ small parts

// Bytes that live until the whole thing is freed.
struct yg_bump {
    char **chunks;
    uint32_t len, cap;
    size_t used, size; // of the last chunk
    uint64_t bytes;    // allocated in all
};
void *yg_bump_alloc(struct yg_bump *b, size_t bytes); // 8-byte aligned
void yg_bump_fini(struct yg_bump *b);

// What a bucket of several samples keeps.
struct yg_hextra {
    double last, min, max, sum, count;
};

// Buckets of one series in columns. For counts every field but count holds the total and count is
// 1; distributions have a sketch too. Not `full`: every bucket is one sample, only `sum` is filled.
struct yg_mrun {
    uint32_t len, cap;
    bool full;
    bool unsorted;    // some point came in before an older one, or twice
    uint32_t *bucket; // ts_s / YG_BUCKET_S
    double *sum, *last, *min, *max, *count;
    struct yg_sketch **sketch;   // borrowed from the pool; NULL = none
    struct yg_sketch **sketches; // the pool: the first sketch_len are in use
    uint32_t sketch_len, sketch_cap;
};
void yg_mrun_reset(struct yg_mrun *r);
void yg_mrun_fini(struct yg_mrun *r);
void yg_mrun_reserve(struct yg_mrun *r, uint32_t more); // room behind the last point
void yg_mrun_make_full(struct yg_mrun *r);
void yg_mrun_add(struct yg_mrun *r, uint32_t bucket, double value);
void yg_mrun_add_full(struct yg_mrun *r, uint32_t bucket, const struct yg_hextra *x,
                      struct yg_sketch *sketch);
// Sketches are borrowed from `from`.
void yg_mrun_append(struct yg_mrun *r, const struct yg_mrun *from, uint32_t at, uint32_t n);
void yg_mrun_move(struct yg_mrun *r, uint32_t to, uint32_t from); // one point over another
struct yg_sketch *yg_mrun_sketch(struct yg_mrun *r);              // empty; lives until reset
// Sorts by bucket and joins equal buckets; a later point's `last` wins. All fields must be there.
void yg_mrun_settle(struct yg_mrun *r, enum yg_metric_type type);
// Buckets of `in` (settled) joined to nodes of `step` buckets, aligned to 1970. fields: what is
// wanted of YG_METRIC_… ; `out` is reset first. Whoever rolls by 30 rolls a roll by 6, by 360 one
// by 30: the order of additions is part of the result.
void yg_mrun_roll(const struct yg_mrun *in, enum yg_metric_type type, uint32_t step,
                  uint32_t fields, struct yg_mrun *out);

// Integers in blocks of 128 (mstore_ints.c).
#define YG_MINTS_BLOCK 128u
void yg_mints_put(struct yg_buf *out, const int64_t *v, uint32_t n);
// Reads n values from in[*at…] and hands those of [from, to) to fn, block by block; blocks outside
// are stepped over. False when the bytes do not hold n values.
bool yg_mints_get(yg_str in, size_t *at, uint32_t n, uint32_t from, uint32_t to,
                  void (*fn)(void *ctx, const int64_t *v, uint32_t count), void *ctx) YG_MUST_USE;

// Columns of doubles (mstore_column.c).
void yg_mcol_put(struct yg_buf *out, const double *v, uint32_t n);
yg_rc yg_mcol_get(yg_str in, size_t *at, double *v, uint32_t n, struct yg_err *err) YG_MUST_USE;
// Fills v[0 … to − from) with the values of [from, to); to = 0 only steps over the column.
yg_rc yg_mcol_get_range(yg_str in, size_t *at, double *v, uint32_t n, uint32_t from, uint32_t to,
                        struct yg_err *err) YG_MUST_USE;

// ------------------------------------------------------------ registry

struct yg_mseries {
    uint32_t metric;
    uint32_t tagset;
    uint8_t type;
    bool dead; // aged out: not found any more; under reg.lock
    _Atomic uint32_t interval_s;
    _Atomic uint32_t last_bucket;
};

struct yg_mname {
    yg_str name;
    yg_str unit;
    uint32_t id;
    enum yg_metric_type type; // of the newest series
    uint32_t interval_s;
    uint32_t *series; // living ones, ascending
    uint32_t active;  // of them heard of lately, as counted last, and all made since
    uint32_t len, cap;
    bool logged; // the series log holds this state
};

struct yg_posting {
    union {
        uint32_t *many; // ascending
        uint32_t one;   // cap 0: most tags that tell series apart are in one tag set
    };
    uint32_t len, cap;
};

struct yg_hslots { // open addressing, hash and id
    struct {
        uint32_t hash, id;
    } * slots;
    uint32_t cap, len;
};

#define YG_MREG_CHUNK 4096u
struct yg_mreg {
    pthread_rwlock_t lock;
    struct yg_bump texts;
    struct yg_mseries **series; // chunks of YG_MREG_CHUNK; NULL = no series of this run of ids
    uint32_t series_len, series_chunks;
    uint32_t series_live;   // not aged out
    uint32_t series_active; // of them heard of lately: what the limit is on
    yg_str **tagsets;       // chunks of YG_MREG_CHUNK
    uint32_t tagset_len, tagset_chunks;
    struct yg_mname **names; // by id; NULL = a number lost with a damaged frame
    uint32_t name_len, name_cap;
    struct yg_map by_name; // → id
    struct yg_map by_tag;  // → posting index
    struct yg_posting *postings;
    uint32_t posting_len, posting_cap;
    struct yg_hslots by_tagset; // text → tagset id
    struct yg_hslots by_series; // (metric, tagset, type) → series id
    uint32_t series_max, series_per_metric_max;
    uint32_t logged_series; // all below this id are in the series log
    bool names_dirty;
    struct yg_counter *refused_total, *refused_metric;
};

void yg_mreg_init(struct yg_mreg *r, uint32_t series_max, uint32_t series_per_metric_max);
void yg_mreg_fini(struct yg_mreg *r);
// Series of a point batch → id, made when new; YG_MS_REFUSED… when a limit refuses it. Takes the
// lock itself.
void yg_mreg_resolve(struct yg_mreg *r, const struct yg_point_series *series, uint32_t count,
                     uint32_t *ret_ids);
// False when the metric was never seen. Takes the lock itself.
bool yg_mreg_unit_set(struct yg_mreg *r, yg_str name, yg_str unit);
// While opening: a definition as the log tells it.
void yg_mreg_load_name(struct yg_mreg *r, uint32_t id, yg_str name, enum yg_metric_type type,
                       uint32_t interval_s, yg_str unit);
void yg_mreg_load_series(struct yg_mreg *r, uint32_t id, uint32_t metric, enum yg_metric_type type,
                         uint32_t interval_s, yg_str tags);
// Numbers up to here are taken, whatever the log says (a damaged frame may have held them).
void yg_mreg_reserve(struct yg_mreg *r, uint32_t series_len, uint32_t name_len);
// Stable pointers; NULL for an unknown id. Caller holds the lock or is the opener.
struct yg_mseries *yg_mreg_series(const struct yg_mreg *r, uint32_t id);
yg_str yg_mreg_tags(const struct yg_mreg *r, uint32_t tagset);
struct yg_mname *yg_mreg_name(const struct yg_mreg *r, yg_str name);
// Ids of the living series of `name` (locked) whose tags match, ascending; the array is the
// caller's to free.
uint32_t *yg_mreg_match(struct yg_mreg *r, const struct yg_mname *name, const struct yg_node *scope,
                        uint32_t *ret_count);
// Counts the series with a point since the bucket: what the limits are about.
void yg_mreg_count_active(struct yg_mreg *r, uint32_t since_bucket);
// Marks series without a point since the bucket as dead and takes them out of the tables.
void yg_mreg_expire(struct yg_mreg *r, uint32_t before_bucket);

// ------------------------------------------------------------ head

struct yg_hslot {
    uint32_t bucket;
    uint32_t extra; // 0: one sample, `value` is all; else 1 + index into extras or sketches
    double value;
};
struct yg_hrun {
    struct yg_hslot *slots; // ascending buckets but for very late points
    uint32_t len, cap;
};

#define YG_MHEAD_CHUNK 256u
struct yg_mhead {
    _Atomic uint32_t refs;
    struct yg_hrun *
        *runs; // by series id, chunks of YG_MHEAD_CHUNK; NULL = none of these has a point
    uint32_t chunk_cap, chunk_count;
    uint32_t *touched; // series with a run
    uint32_t touched_len, touched_cap;
    struct yg_hextra *extras;
    uint32_t extra_len, extra_cap;
    struct yg_sketch *sketches;
    uint32_t sketch_len, sketch_cap;
    uint64_t sketch_bytes;
    struct yg_bump slots;
    uint64_t point_count;
    uint64_t seq_lo, seq_hi;
    uint32_t max_bucket;
    uint32_t first_cap; // slots that a series begins with
    bool late;          // some run is not in order
};
struct yg_mhead *yg_mhead_create(void);
void yg_mhead_unref(struct yg_mhead *h);
// sketch NULL: `value` counts.
void yg_mhead_add(struct yg_mhead *h, uint32_t series, enum yg_metric_type type, uint32_t bucket,
                  double value, const struct yg_sketch *sketch);
uint64_t yg_mhead_bytes(const struct yg_mhead *h);
// Appends the series' buckets in [from, to) to run, perhaps not in order; sketches are copied.
void yg_mhead_copy(const struct yg_mhead *h, uint32_t series, enum yg_metric_type type,
                   uint32_t from, uint32_t to, struct yg_mrun *run);

// ------------------------------------------------------------ runs in files

// A run as it lies in a chunk.
struct yg_mrunref {
    uint32_t version, step; // of the file and of the section
    uint32_t metric, series;
    uint32_t first; // bucket; version 1: not known before decoding
    uint8_t type;
    yg_str payload;
};
struct yg_mrange {
    uint32_t from, to; // buckets, half open
};
// Arrays that decoding and encoding need.
struct yg_mscratch {
    double *values;
    int64_t *times, *places;
    uint32_t cap;
};
void yg_mscratch_fini(struct yg_mscratch *s);
// Points [at, at + n) of a settled run; buckets are multiples of step.
void yg_mpayload_put(struct yg_buf *out, enum yg_metric_type type, const struct yg_mrun *r,
                     uint32_t at, uint32_t n, uint32_t step, struct yg_mscratch *s);
// Appends the points of the ranges (ascending). Fields that are not asked for may be left 0. On
// ECORRUPT points of damaged ranges are left out.
yg_rc yg_mpayload_get(const struct yg_mrunref *ref, const struct yg_mrange *ranges,
                      uint32_t range_count, uint32_t fields, struct yg_mscratch *s,
                      struct yg_mrun *run, struct yg_err *err) YG_MUST_USE;

// ------------------------------------------------------------ block files

struct yg_mchunk_ref {
    uint64_t offset;
    uint32_t stored_bytes; // with its header
    uint32_t raw_bytes;
    uint32_t first_metric, first_series, last_metric, last_series;
    uint32_t min_bucket, max_bucket;
};

// The chunks of one width of buckets: the points themselves, then roll-ups of 300 and 3,600 s.
#define YG_MSECTIONS_MAX 3u
struct yg_msection {
    uint32_t step; // buckets of 10 s that a node covers: 1, 30, 360
    struct yg_mchunk_ref *chunks;
    uint32_t chunk_count, chunk_cap;
};

struct yg_mblock {
    _Atomic uint32_t refs;
    char *path;
    int fd;
    int64_t bytes;
    uint32_t version;
    uint32_t level; // merges behind it
    uint64_t seq_lo, seq_hi;
    uint64_t points;
    uint32_t min_bucket, max_bucket;
    _Atomic bool damaged;                          // a merge met damage: it stays as it is
    struct yg_msection sections[YG_MSECTIONS_MAX]; // [0] are the points
    uint32_t section_count;
};
// The section of that step, or NULL.
const struct yg_msection *yg_mblock_section(const struct yg_mblock *b, uint32_t step);
struct yg_mblocks {
    _Atomic uint32_t refs;
    uint32_t count;
    struct yg_mblock *blocks[];
};
struct yg_mblocks *
yg_mblocks_create(uint32_t count); // blocks are filled in by the caller, a ref each
struct yg_mblocks *yg_mblocks_ref(struct yg_mblocks *l);
void yg_mblocks_unref(struct yg_mblocks *l);
struct yg_mblock *yg_mblock_ref(struct yg_mblock *b);
void yg_mblock_unref(struct yg_mblock *b);

// Opens and checks header, footer and directory. fn is told every series of the file with its last
// bucket.
yg_rc yg_mblock_open(const char *path,
                     void (*fn)(void *ctx, uint32_t series, uint32_t metric, uint32_t last_bucket),
                     void *ctx, struct yg_mblock **ret_block, struct yg_err *err) YG_MUST_USE;

// Writes a block: runs in order of (metric, series), each series once.
struct yg_mwriter_section {
    struct yg_msection s;
    struct yg_buf raw; // the open chunk
    struct yg_mchunk_ref open;
    uint32_t open_runs;
    uint32_t metric, series, first; // of the run before, in the chunk
    bool sketches;                  // in the chunk
    struct yg_mrun rolled;
};
struct yg_mwriter {
    int fd;
    char *path, *tmp;
    const char *dir;
    uint64_t offset;
    struct yg_mwriter_section sections[YG_MSECTIONS_MAX];
    uint32_t section_count;
    struct yg_buf stored; // scratch
    struct yg_buf payload;
    struct yg_buf series; // the series section
    struct yg_mscratch scratch;
    struct yg_mrun minutes; // between the points and the first roll-up
    uint32_t last_series;   // of the series section
    uint32_t last_metric;
    uint32_t series_count;
    uint32_t level;
    uint64_t seq_lo, seq_hi;
    uint64_t points;
    uint32_t min_bucket, max_bucket;
    ZSTD_CCtx *zstd;
};
struct yg_mwriter_options {
    const char *dir;
    uint32_t level; // from YG_MS_ROLLUP_LEVEL on with roll-ups
    uint64_t seq_lo, seq_hi;
    int64_t created_s;
};
yg_rc yg_mwriter_open(struct yg_mwriter *w, const struct yg_mwriter_options *options,
                      struct yg_err *err) YG_MUST_USE;
yg_rc yg_mwriter_run(struct yg_mwriter *w, uint32_t metric, uint32_t series,
                     enum yg_metric_type type, const struct yg_mrun *run,
                     struct yg_err *err) YG_MUST_USE;
// Directory, footer, fsync, rename, directory fsync. The file is there or it is not.
yg_rc yg_mwriter_finish(struct yg_mwriter *w, struct yg_err *err) YG_MUST_USE;
void yg_mwriter_fini(struct yg_mwriter *w); // removes the temporary file when not finished
#define YG_MBLOCK_NAME "b-%016llx-%016llx.ygm"

// Walks the runs of one section of a block. Damaged chunks are skipped and told to `damage`.
struct yg_mcursor {
    const struct yg_mblock *block;
    const struct yg_msection *section;
    uint32_t chunk, chunk_end; // next chunk to load, end
    uint32_t only_metric;      // YG_MS_NONE = all
    struct yg_mrange range;    // chunks outside are not read
    char *stored, *raw;
    size_t stored_cap, raw_cap, raw_len, pos;
    struct yg_mscratch scratch;
    ZSTD_DCtx *own_zstd;
    ZSTD_DCtx *
        *zstd;  // made when it is needed; NULL: own_zstd, else lent, for cursors of one thread
    bool valid; // run is one
    struct yg_mrunref run;
    void (*damage)(void *ctx, const struct yg_err *err);
    void *damage_ctx;
};
void yg_mcursor_init(struct yg_mcursor *c, const struct yg_mblock *b,
                     const struct yg_msection *section, uint32_t only_metric,
                     struct yg_mrange range);
// Moves to the first chunk that may hold this series or a later one of only_metric; forward only.
void yg_mcursor_skip_to(struct yg_mcursor *c, uint32_t series);
bool yg_mcursor_next(struct yg_mcursor *c);
// Appends the current run's points of the ranges; it stays the current run.
bool yg_mcursor_decode(struct yg_mcursor *c, const struct yg_mrange *ranges, uint32_t range_count,
                       uint32_t fields, struct yg_mrun *run);
void yg_mcursor_fini(struct yg_mcursor *c);

// ------------------------------------------------------------ recent heads (mstore_recent.c)

// The newest written heads, oldest first, without a gap.
struct yg_mrecent {
    struct yg_mhead *heads[YG_MS_RECENT_MAX];
    int64_t written_s[YG_MS_RECENT_MAX];
    uint32_t count;
    uint64_t bytes;
    uint32_t since; // every point of the files from this bucket on is in `heads`
};
// Keeps a head that was written; hands back those that are to be let go of (room for
// YG_MS_RECENT_MAX + 1). Under state_lock.
uint32_t yg_mrecent_put(struct yg_mrecent *r, struct yg_mhead *take_head, int64_t now_s,
                        struct yg_mhead **ret_gone);
// For a read from a bucket on: heads (a reference each, oldest first) and how many of the blocks,
// from the first on, must be read beside them. Under state_lock.
uint32_t yg_mrecent_pin(const struct yg_mrecent *r, const struct yg_mblocks *blocks,
                        uint32_t from_bucket, uint32_t *ret_files, struct yg_mhead **ret_heads);

// ------------------------------------------------------------ series log

struct yg_mlog {
    int fd;
    char *path;
    int64_t size;
    uint32_t records; // in the file, of living and dead
    bool broken;      // a write failed or a frame was damaged: rewritten at the next flush
};
yg_rc yg_mlog_open(struct yg_mlog *l, const char *dir, struct yg_mreg *reg,
                   void (*damage)(void *ctx, const struct yg_err *err), void *ctx,
                   struct yg_err *err) YG_MUST_USE;
// Appends what the registry has and the log has not; durable when it returns.
yg_rc yg_mlog_append(struct yg_mlog *l, const char *dir, struct yg_mreg *reg,
                     struct yg_err *err) YG_MUST_USE;
void yg_mlog_close(struct yg_mlog *l);

// ------------------------------------------------------------ the engine

struct yg_mstore {
    uint32_t magic;
    char *dir;
    const struct yg_clock *clock;
    struct yg_pool *pool; // merges run there; NULL = in the flush
    int64_t retention_ns;
    uint32_t fan_in[YG_MS_LEVELS]; // neighbours that make a merge, by level
    struct yg_mreg reg;
    pthread_mutex_t flush_lock;
    int64_t retained_s; // last look at the retention; under flush_lock
    struct yg_mlog log;
    pthread_rwlock_t state_lock;
    struct yg_mhead *head;
    struct yg_mhead *frozen; // being written
    struct yg_mblocks *blocks;
    struct yg_mrecent recent; // under state_lock
    uint64_t last_applied;
    _Atomic uint64_t flushed_sequence;
    _Atomic uint64_t head_bytes;
    _Atomic uint64_t file_bytes;
    _Atomic uint64_t damaged;
    _Atomic bool closing;
    _Atomic(ZSTD_DCtx *) spare_zstd; // of the last read, for the next; may be NULL
    struct yg_event merge_idle;      // reset while a merge runs or waits for a worker
    struct yg_counter *damaged_counter, *refused_value, *refused_time;
    struct yg_map refused_by_name; // → place in refused_counters; under state_lock
    struct yg_counter **refused_counters;
    uint32_t refused_names;
};
void yg_mstore_note_damage(struct yg_mstore *ms, const struct yg_err *err);
// Replaces `drop` blocks from `at` on by `block` (NULL: by nothing). Takes the block. Under
// flush_lock.
void yg_mstore_replace_blocks(struct yg_mstore *ms, uint32_t at, uint32_t drop,
                              struct yg_mblock *take_block, bool frozen_is_written);
// Counts and tells points of a series that a limit refused. Under state_lock (mstore_refused.c).
void yg_mstore_note_refused(struct yg_mstore *ms, yg_str name, uint32_t reason, uint32_t points);
// Drops blocks whose newest point is older, but never the newest block. Under flush_lock.
void yg_mstore_drop_blocks(struct yg_mstore *ms, uint32_t before_bucket);
void yg_mstore_note_head_bytes(struct yg_mstore *ms); // under state_lock
// Lets go of written heads that are too old or too large together, or of all. Takes the lock.
void yg_mstore_prune_recent(struct yg_mstore *ms, bool all);
// Under flush_lock: true when there is something to merge and nobody at it; the caller then calls
// yg_mstore_start_merge without the lock (mstore_merge.c).
bool yg_mstore_claim_merge(struct yg_mstore *ms);
void yg_mstore_start_merge(struct yg_mstore *ms);
#define YG_MSTORE_MAGIC 0x5954534du

#endif
