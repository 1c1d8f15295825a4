// SPDX-License-Identifier: Apache-2.0
// Gauges of memory, queues, store and process; all counters become points of yagura.* metrics.
#include "main/selfwatch.h"

#include <unistd.h>

#include "base/counter.h"
#include "base/log.h"

#define INTERVAL_S 10
#define UNUSED_BYTES_MAX (24 << 20) // resident, charged to no room; more is handed back
#define POINTS_MEMORY_MAX (8u << 20)

void yg_selfwatch_init(struct yg_selfwatch *w) {
    w->last = YG_MAP(YG_MEM_BASE, true);
}
void yg_selfwatch_fini(struct yg_selfwatch *w) {
    yg_map_fini(&w->last);
}

static void gauge(const char *name, const char *tags, int64_t value) {
    yg_counter_set(yg_counter_get(YG_GAUGE, name, tags), value);
}

static int64_t resident_bytes(void) {
    char line[256] = "";
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    bool read = fgets(line, sizeof(line), f) != NULL;
    fclose(f);
    yg_str rest = yg_str_c(line), piece;
    int64_t pages;
    if (!read || !yg_str_split(&rest, ' ', &piece) || !yg_str_split(&rest, ' ', &piece) ||
        !yg_str_to_i64(piece, &pages))
        return 0;
    return pages * sysconf(_SC_PAGESIZE);
}

// Code, stacks and libraries are about 14 MiB; the rest of what no room holds is free memory.
static void trim_memory(void) {
    int64_t used = 0;
    for (unsigned t = 0; t < YG_MEM_TAG_COUNT; t++)
        used += yg_mem_used((enum yg_mem_tag)t);
    if (resident_bytes() - used > UNUSED_BYTES_MAX)
        yg_mem_trim();
}

static void total(const char *name, const char *tags, uint64_t value) {
    yg_counter_set(yg_counter_get(YG_COUNTER, name, tags), (int64_t)value);
}

static void refresh_merges(const struct yg_store_status *s) {
    total("yagura.store.written_rows", "by:flush", s->rows_flushed);
    total("yagura.store.written_rows", "by:merge", s->rows_merged);
    total("yagura.store.written_rows", "by:deletion", s->rows_rewritten);
    total("yagura.store.written_bytes", "by:flush", s->bytes_flushed);
    total("yagura.store.written_bytes", "by:merge", s->bytes_merged);
    total("yagura.store.written_bytes", "by:deletion", s->bytes_rewritten);
    total("yagura.store.dropped_rows", "", s->rows_dropped);
    total("yagura.store.merges", "result:ok", s->merges);
    total("yagura.store.merges", "result:failed", s->merge_failures);
    total("yagura.store.merge_cpu_ms", "", (uint64_t)s->merge_cpu_ns / 1000000u);
    gauge("yagura.store.merge_waits_for_disk", "", s->merge_waits_for_disk);
    gauge("yagura.store.segments_kept_out", "", s->segments_kept_out);
    gauge("yagura.store.deletions_open", "", s->deletions_open);
}

static void refresh(struct yg_selfwatch *w) {
    char tags[64];
    for (unsigned t = 0; t < YG_MEM_TAG_COUNT; t++) {
        snprintf(tags, sizeof(tags), "room:%s", yg_mem_tag_name((enum yg_mem_tag)t));
        gauge("yagura.mem.bytes", tags, yg_mem_used((enum yg_mem_tag)t));
    }
    gauge("yagura.process.resident_bytes", "", resident_bytes());
    gauge("yagura.pool.depth", "lane:interactive", yg_pool_depth(w->pool, YG_LANE_INTERACTIVE));
    gauge("yagura.pool.depth", "lane:background", yg_pool_depth(w->pool, YG_LANE_BACKGROUND));
    struct yg_store_status s;
    yg_store_status(w->store, &s);
    for (unsigned t = 0; t < YG_TRACK_COUNT; t++) {
        snprintf(tags, sizeof(tags), "track:%s", yg_track_name((enum yg_track)t));
        gauge("yagura.store.rows", tags, (int64_t)s.rows[t]);
    }
    gauge("yagura.store.file_bytes", "", (int64_t)s.bytes_files);
    gauge("yagura.store.wal_bytes", "", (int64_t)s.wal_bytes);
    gauge("yagura.store.wal_queue_bytes", "", (int64_t)s.wal_queue_bytes);
    gauge("yagura.store.segments", "kind:memory", s.segments_memory);
    gauge("yagura.store.segments", "kind:file", s.segments_file);
    gauge("yagura.store.open_traces", "", s.open_traces);
    gauge("yagura.store.series", "", s.series);
    gauge("yagura.store.damaged_chunks", "", (int64_t)s.damaged_chunks);
    gauge("yagura.store.disk_full", "", s.disk_full);
    refresh_merges(&s);
}

struct collector {
    struct yg_selfwatch *watch;
    struct yg_points *points;
    int64_t now_s;
    bool failed;
};

// What a counter gained since the last turn.
static int64_t increment(struct yg_selfwatch *w, const struct yg_counter *c, int64_t value) {
    char key[512];
    int len = snprintf(key, sizeof(key), "%s{%s}", c->name, c->tags);
    uint64_t *last = yg_map_put(
        &w->last, yg_str_n(key, len < (int)sizeof(key) ? (size_t)len : sizeof(key) - 1), NULL);
    int64_t gained = value - (int64_t)*last;
    *last = (uint64_t)value;
    return gained;
}

static void collect(void *ctx, const struct yg_counter *c, int64_t value) {
    struct collector *to = ctx;
    yg_str tags[16], rest = yg_str_c(c->tags);
    uint32_t tag_count = 0, series;
    while (tag_count < 16 && rest.len > 0 && yg_str_split(&rest, ',', &tags[tag_count]))
        tag_count++;
    bool counts = c->kind == YG_COUNTER;
    int64_t shown = counts ? increment(to->watch, c, value) : value;
    struct yg_err err = {0};
    if (yg_points_series(to->points, yg_str_c(c->name), tags, tag_count, YG_STR(""),
                         counts ? YG_METRIC_COUNT : YG_METRIC_GAUGE, INTERVAL_S, YG_STR(""),
                         &series, &err) != YG_OK ||
        yg_points_add(to->points, series, to->now_s, (double)shown, &err) != YG_OK)
        to->failed = true;
}

static void stored(void *arg, yg_rc rc, const struct yg_err *err) {
    (void)arg;
    if (rc != YG_OK)
        yg_log(YG_LOG_WARN, "main", "own metrics were not stored", YG_KV_C("error", err->text));
}

static void append_own(struct yg_selfwatch *w, int64_t now_ns) {
    struct yg_points *points = yg_points_create(POINTS_MEMORY_MAX);
    if (points == NULL)
        return;
    points->received_ns = now_ns;
    struct collector to = {.watch = w, .points = points, .now_s = now_ns / YG_NS_PER_S};
    yg_counter_each(collect, &to);
    struct yg_err err = {0};
    if (yg_pipeline_points(w->pipeline, points, stored, NULL, &err) != YG_OK)
        yg_log(YG_LOG_WARN, "main", "own metrics were not stored", YG_KV_C("error", err.text));
}

void yg_selfwatch_tick(struct yg_selfwatch *w) {
    refresh(w);
    int64_t now_ns = yg_now_ns(w->clock);
    if (now_ns < w->next_ns)
        return;
    w->next_ns = (now_ns / YG_NS_PER_S / INTERVAL_S + 1) * INTERVAL_S * YG_NS_PER_S;
    trim_memory();
    append_own(w, now_ns);
}
