// SPDX-License-Identifier: Apache-2.0
// Private to the store room: the metric engine behind store/metrics.h, fed in WAL order by store.c.
#ifndef YG_STORE_MSTORE_H
#define YG_STORE_MSTORE_H

#include "base/clock.h"
#include "base/thread.h"
#include "model/points.h"
#include "store/metrics.h"

struct yg_mstore;

struct yg_mstore_options {
    const char *dir; // DIR/metrics, exists
    const struct yg_clock *clock;
    struct yg_pool *pool;
    int64_t retention_ns;
    uint32_t series_max; // with a point within a day; 0 = 1,000,000. Older ones: four times as many
    uint32_t series_per_metric_max; // 0 = 200,000
};

// Loads registry and block directory. Block files are written to a temporary name, synced and
// renamed: what is in the directory is what counts; each names the WAL sequence up to which it
// holds everything.
yg_rc yg_mstore_open(const struct yg_mstore_options *options, struct yg_mstore **ret_ms,
                     struct yg_err *err) YG_MUST_USE;
void yg_mstore_close(struct yg_mstore *ms); // does not flush
// Applies one batch; called in WAL order by one thread at a time. Batches with sequence ≤
// flushed_sequence are ignored. Points refused by a cardinality limit are counted
// (yagura.metrics.refused) and dropped. Borrowed for the call.
void yg_mstore_apply(struct yg_mstore *ms, const struct yg_points *points);
// flush and retain: any thread, beside apply and reads; they take as long as the disk takes. Merges
// of block files run on the pool's background lane. Writes what is in memory to a block file and
// gives memory back; afterwards flushed_sequence is the last applied one.
yg_rc yg_mstore_flush(struct yg_mstore *ms, struct yg_err *err) YG_MUST_USE;
uint64_t yg_mstore_flushed_sequence(const struct yg_mstore *ms);
// Points in memory that are in no file yet; 0 when all are.
uint64_t yg_mstore_head_bytes(const struct yg_mstore *ms);
uint64_t yg_mstore_file_bytes(const struct yg_mstore *ms);
uint32_t yg_mstore_series_count(const struct yg_mstore *ms);
// Drops what is older than the retention, at most once a minute; does nothing while a flush runs.
void yg_mstore_retain(struct yg_mstore *ms);
// For want of room: the day (since 1970) of the newest point of the block that would go first;
// false when none can. Then what is wholly before a day goes as by retention; waits for a flush.
bool yg_mstore_oldest_day(struct yg_mstore *ms, int32_t *ret_day);
void yg_mstore_drop_before(struct yg_mstore *ms, int32_t day);
// What store/metrics.h offers, on the engine itself.
yg_rc yg_mstore_read(struct yg_mstore *ms, yg_str name, const struct yg_node *scope,
                     const struct yg_metric_read_options *options,
                     const struct yg_metric_reader_ops *ops, void *ctx,
                     struct yg_err *err) YG_MUST_USE;
void yg_mstore_names(struct yg_mstore *ms, int64_t since_s,
                     bool (*fn)(void *ctx, const struct yg_metric_info *info), void *ctx);
yg_rc yg_mstore_info(struct yg_mstore *ms, yg_str name, struct yg_metric_info *ret_info,
                     struct yg_err *err) YG_MUST_USE;
void yg_mstore_tags(struct yg_mstore *ms, const yg_str *name, int64_t since_s,
                    bool (*fn)(void *ctx, yg_str metric, yg_str tags), void *ctx);

yg_rc yg_mstore_unit_set(struct yg_mstore *ms, yg_str name, yg_str unit,
                         struct yg_err *err) YG_MUST_USE;

// The metric engine of an open store; what metrics.h's functions use. Also makes sure that every
// point acknowledged so far has been applied (waits for the metrics strand, ≤ 5 ms). In store.c.
struct yg_mstore *yg_store_metrics(struct yg_store *store);

#endif
