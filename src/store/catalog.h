// SPDX-License-Identifier: Apache-2.0
// Private to the store room: catalog.db, which says which segment files count. SQLite in WAL mode,
// synchronous=FULL; one connection, used under the store's flush lock or at open.
#ifndef YG_STORE_CATALOG_H
#define YG_STORE_CATALOG_H

#include "base/str.h"
#include "model/track.h"
#include "model/value.h"

struct yg_catalog;

struct yg_catalog_segment {
    uint64_t id;
    enum yg_track track;
    int32_t day;
    uint32_t level;
    uint64_t rows;
    uint64_t bytes;
    uint32_t granules;
    int64_t min_time_ns;
    int64_t max_time_ns;
    uint64_t max_sequence; // every frame up to here that belongs in it is in it
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
};

yg_rc yg_catalog_open(const char *path, struct yg_catalog **ret_catalog,
                      struct yg_err *err) YG_MUST_USE;
void yg_catalog_close(struct yg_catalog *c);
yg_rc yg_catalog_publish(struct yg_catalog *c, const struct yg_catalog_publication *p,
                         struct yg_err *err) YG_MUST_USE;
// Forgets segments of a track whose day is before `day`, and trace versions likewise.
yg_rc yg_catalog_drop_days(struct yg_catalog *c, enum yg_track track, int32_t day,
                           struct yg_err *err) YG_MUST_USE;
// *ret_damaged: rows whose checksum is wrong or that are missing; fn is not called for them.
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
