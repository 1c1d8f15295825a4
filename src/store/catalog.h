// SPDX-License-Identifier: Apache-2.0
// Private to the store room: catalog.db, which says which segment files count. SQLite in WAL mode,
// synchronous=FULL; one connection, used under the store's flush lock or at open.
#ifndef YG_STORE_CATALOG_H
#define YG_STORE_CATALOG_H

#include "base/str.h"
#include "model/track.h"
#include "model/value.h"

struct yg_catalog;

// A file is named before it stands in segments/ (pending), counts (live), and is named until it is
// gone (dead): so a crash at any moment leaves nothing whose fate is unknown.
enum yg_catalog_state { YG_CATALOG_LIVE = 1, YG_CATALOG_PENDING = 2, YG_CATALOG_DEAD = 3 };

struct yg_catalog_segment {
    uint64_t id;
    enum yg_catalog_state state; // 0 = live
    enum yg_track track;
    int32_t day;
    uint32_t level;
    uint64_t rows;
    uint64_t bytes;
    uint32_t granules;
    int64_t min_time_ns;
    int64_t max_time_ns;
    uint64_t max_sequence; // every frame up to here that belongs in it is in it
    uint32_t index_id;     // 0 = main
    uint64_t deletion;     // deletions up to this number were applied to its rows
};

// A request to delete rows of a time range.
enum yg_catalog_deletion_state { YG_DELETION_OPEN = 1, YG_DELETION_DONE = 2 };
struct yg_catalog_deletion {
    uint64_t id;
    enum yg_track track;
    int64_t from_ns, to_ns;
    uint64_t sequence; // rows of later frames are not concerned
    int64_t created_ns;
    uint64_t rows; // taken out of files so far
    enum yg_catalog_deletion_state state;
    yg_str query; // of the search language; borrowed
};

struct yg_catalog_version { // newest version of a trace with late spans
    yg_id128 id;
    uint64_t version;
    int32_t day;
};

// What one flush makes visible, all or nothing.
struct yg_catalog_publication {
    const struct yg_catalog_segment *segments;
    uint32_t segment_count;
    const struct yg_catalog_version *versions;
    uint32_t version_count;
    uint32_t shard_count;
    uint64_t low_water; // all frames up to here are in segments, for every shard
    uint64_t metrics_low_water;
    const char *checkpoint; // file of open traces at low_water, or ""
    // After a transaction of which nobody knows whether it happened: what is live whatever it said,
    // and files that are not.
    const struct yg_catalog_segment *listed;
    uint32_t listed_count;
    const uint64_t *voided;
    uint32_t voided_count;
};

yg_rc yg_catalog_open(const char *path, struct yg_catalog **ret_catalog,
                      struct yg_err *err) YG_MUST_USE;
// To look only; the file must exist. EINPUT: of an older schema, which opening it for good brings
// up.
yg_rc yg_catalog_open_readonly(const char *path, struct yg_catalog **ret_catalog,
                               struct yg_err *err) YG_MUST_USE;
// SQLite's own check of the file; fn gets each fault.
yg_rc yg_catalog_integrity(struct yg_catalog *c, void (*fn)(void *ctx, const char *what), void *ctx,
                           struct yg_err *err) YG_MUST_USE;
void yg_catalog_close(struct yg_catalog *c);
// Checksums of the rows of segments, marks and deletions, and the number of segments: ECORRUPT.
yg_rc yg_catalog_check_rows(struct yg_catalog *c, struct yg_err *err) YG_MUST_USE;

// Beside catalog.db stands catalog.copy, taken after each transaction and before what it made
// superfluous is removed; catalog.copy.old is one that could not follow. `path`: of catalog.db.
// Opens the copy to look at; only a sound one.
yg_rc yg_catalog_open_copy(const char *path, bool old, struct yg_catalog **ret_catalog,
                           struct yg_err *err) YG_MUST_USE;
// Puts the copy in the place of catalog.db, which becomes catalog.damaged.db. No connection may be
// open.
yg_rc yg_catalog_restore(const char *path, struct yg_err *err) YG_MUST_USE;
// Takes rows of live files that are damaged or missing in c from the copy, when the file is there;
// rows that are damaged then are dropped.
yg_rc yg_catalog_mend(struct yg_catalog *c, struct yg_catalog *copy,
                      bool (*is_there)(void *ctx, const struct yg_catalog_segment *s), void *ctx,
                      uint64_t *ret_mended, uint64_t *ret_dropped, struct yg_err *err) YG_MUST_USE;

yg_rc yg_catalog_publish(struct yg_catalog *c, const struct yg_catalog_publication *p,
                         struct yg_err *err) YG_MUST_USE;
// Names files that are about to be written: pending.
yg_rc yg_catalog_pend(struct yg_catalog *c, const struct yg_catalog_segment *segments,
                      uint32_t count, struct yg_err *err) YG_MUST_USE;
// In one step: the added ones (which may be pending) are live, the gone ones dead.
struct yg_catalog_change {
    const uint64_t *gone;
    uint32_t gone_count;
    const struct yg_catalog_segment *add;
    uint32_t add_count;
};
yg_rc yg_catalog_change(struct yg_catalog *c, const struct yg_catalog_change *change,
                        struct yg_err *err) YG_MUST_USE;
// Rows of files that are gone.
yg_rc yg_catalog_forget(struct yg_catalog *c, const uint64_t *ids, uint32_t count,
                        struct yg_err *err) YG_MUST_USE;
yg_rc yg_catalog_forget_versions(struct yg_catalog *c, int32_t day, struct yg_err *err) YG_MUST_USE;
// New or changed.
yg_rc yg_catalog_put_deletion(struct yg_catalog *c, const struct yg_catalog_deletion *d,
                              struct yg_err *err) YG_MUST_USE;
// A damaged row ends the reading: ECORRUPT. What it would hide must not be shown.
yg_rc yg_catalog_each_deletion(struct yg_catalog *c,
                               yg_rc (*fn)(void *ctx, const struct yg_catalog_deletion *d,
                                           struct yg_err *err),
                               void *ctx, struct yg_err *err) YG_MUST_USE;
// Names of indexes; 0 is "main". Finds or makes.
yg_rc yg_catalog_index(struct yg_catalog *c, yg_str name, uint32_t *ret_id,
                       struct yg_err *err) YG_MUST_USE;
yg_rc yg_catalog_each_index(struct yg_catalog *c,
                            void (*fn)(void *ctx, uint32_t id, const char *name), void *ctx,
                            struct yg_err *err) YG_MUST_USE;
// Forgets segments of a track's index whose day is before `day`, and trace versions likewise.
yg_rc yg_catalog_drop_days(struct yg_catalog *c, enum yg_track track, uint32_t index_id,
                           int32_t day, struct yg_err *err) YG_MUST_USE;
// In every state. *ret_damaged: rows whose checksum is wrong or that are missing; fn is not called
// for them.
yg_rc yg_catalog_each_segment(struct yg_catalog *c,
                              void (*fn)(void *ctx, const struct yg_catalog_segment *s), void *ctx,
                              uint64_t *ret_damaged, struct yg_err *err) YG_MUST_USE;
yg_rc yg_catalog_each_version(struct yg_catalog *c,
                              void (*fn)(void *ctx, const struct yg_catalog_version *v), void *ctx,
                              struct yg_err *err) YG_MUST_USE;
// Marks: lowest over all shards; 0 when the directory is new.
yg_rc yg_catalog_marks(struct yg_catalog *c, uint64_t *ret_rows, uint64_t *ret_metrics,
                       struct yg_err *err) YG_MUST_USE;
// Small values: shard count, name of the checkpoint. ENOTFOUND.
yg_rc yg_catalog_get(struct yg_catalog *c, const char *key, char *out, size_t cap,
                     struct yg_err *err) YG_MUST_USE;
yg_rc yg_catalog_set(struct yg_catalog *c, const char *key, const char *value,
                     struct yg_err *err) YG_MUST_USE;

#endif
