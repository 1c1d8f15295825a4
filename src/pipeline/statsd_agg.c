// SPDX-License-Identifier: Apache-2.0
// DogStatsD aggregation: samples of 10 s become one point per series, as the agent makes them.
//
// Counters add up (and are sent as 0 for 300 s after their last sample, so that a sum does not end
// in a gap), gauges keep the last value, sets count distinct values, distributions fill a sketch,
// histograms and timings give .max .median .avg .95percentile gauges and a .count. A series' 10 s
// are over when the next bucket of the clock begins. Everything is bounded: what does not fit is
// refused and counted. Source: DataDog/datadog-agent pkg/metrics (counter.go, gauge.go, set.go,
// histogram.go)
#include "pipeline/statsd_agg.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/counter.h"
#include "base/log.h"
#include "base/map.h"

#define TAG YG_MEM_INTAKE
#define BUCKET_S 10
#define COUNTER_EXPIRY_S 300
#define BYTES_MAX (32u << 20)    // of all open series
#define SERIES_MAX 200000u       // open series
#define TAGS_MAX 200u            // of one sample
#define KEY_MAX 65536u           // bytes of name, host and tags
#define SAMPLES_MAX 4096u        // of one histogram before it becomes a sketch
#define SET_MAX 65536u           // distinct values of one set
#define POINTS_BYTES (32u << 20) // memory of one batch

struct weighted {
    double value, weight;
};

// One series within its open bucket. Counters stay, empty, until they expire.
struct entry {
    char *key; // type, then name, host and tags, each ended by a NUL; tags sorted
    uint32_t key_len;
    enum yg_statsd_type type;
    bool used; // in the open bucket
    int64_t last_bucket;
    double value;           // COUNT: sum; GAUGE: last
    double sum, count, max; // HISTOGRAM, TIMING
    struct weighted *samples;
    uint32_t sample_len, sample_cap;
    struct yg_sketch sketch; // DISTRIBUTION; HISTOGRAM past SAMPLES_MAX
    struct yg_map set;
};

struct yg_statsd_agg {
    pthread_mutex_t lock;
    struct yg_pipeline *pipeline;
    const struct yg_clock *clock;
    int64_t bucket; // the open one, in units of BUCKET_S
    struct entry **entries;
    uint32_t len, cap;
    struct yg_map index;      // key → place in entries
    struct yg_points *direct; // points that came with a time of their own
    uint64_t bytes;
    struct yg_counter *series, *bytes_gauge;
};

// ------------------------------------------------------------ entries

static void entry_free(struct yg_statsd_agg *a, struct entry *e) {
    a->bytes -= sizeof(*e) + e->key_len + e->sample_cap * sizeof(*e->samples);
    yg_free(TAG, e->samples);
    yg_sketch_fini(&e->sketch);
    yg_map_fini(&e->set);
    yg_free(TAG, e->key);
    yg_free(TAG, e);
}

static int cmp_str(const void *a, const void *b) {
    return yg_str_cmp(*(const yg_str *)a, *(const yg_str *)b);
}

// Key of a sample; the order in which its tags were sent does not matter.
static bool make_key(const struct yg_statsd_sample *s, struct yg_buf *key) {
    if (s->tag_count > TAGS_MAX)
        return false;
    yg_str tags[TAGS_MAX];
    for (uint32_t i = 0; i < s->tag_count; i++)
        tags[i] = s->tags[i];
    if (s->tag_count > 1)
        qsort(tags, s->tag_count, sizeof(*tags), cmp_str);
    yg_buf_putc(key, (char)('a' + s->type));
    yg_buf_puts(key, s->name);
    yg_buf_putc(key, 0);
    yg_buf_puts(key, s->host);
    yg_buf_putc(key, 0);
    for (uint32_t i = 0; i < s->tag_count; i++) {
        yg_buf_puts(key, tags[i]);
        yg_buf_putc(key, 0);
    }
    return !key->failed;
}

static struct entry *find_entry(struct yg_statsd_agg *a, const struct yg_statsd_sample *s) {
    struct yg_buf key = YG_BUF(TAG, KEY_MAX);
    struct entry *e = NULL;
    if (make_key(s, &key)) {
        const uint64_t *at = yg_map_get(&a->index, yg_buf_str(&key));
        if (at != NULL) {
            e = a->entries[*at];
        } else if (a->len < SERIES_MAX && a->bytes + sizeof(*e) + key.len <= BYTES_MAX) {
            e = yg_calloc(TAG, 1, sizeof(*e));
            e->key = yg_strndup(TAG, key.ptr, key.len);
            e->key_len = (uint32_t)key.len;
            e->type = s->type;
            e->sketch = YG_SKETCH(TAG);
            e->set = YG_MAP(TAG, true);
            YG_GROW(TAG, a->entries, a->len, a->cap);
            *yg_map_put(&a->index, yg_str_n(e->key, e->key_len), NULL) = a->len;
            a->entries[a->len++] = e;
            a->bytes += sizeof(*e) + e->key_len;
        }
    }
    yg_buf_fini(&key);
    return e;
}

// ------------------------------------------------------------ adding

static bool add_sketch_value(struct yg_statsd_agg *a, struct entry *e, double v, double weight) {
    uint32_t before = e->sketch.cap;
    if (a->bytes > BYTES_MAX)
        return false;
    yg_sketch_add(&e->sketch, v, weight);
    a->bytes += (e->sketch.cap - before) * sizeof(*e->sketch.bins);
    return true;
}

static bool add_histogram(struct yg_statsd_agg *a, struct entry *e, double v, double weight) {
    if (e->sample_len == SAMPLES_MAX) { // exact no more: a percentile is within 1 % from here on
        if (e->sketch.count <= 0)
            for (uint32_t i = 0; i < e->sample_len; i++)
                (void)add_sketch_value(a, e, e->samples[i].value, e->samples[i].weight);
        if (!add_sketch_value(a, e, v, weight))
            return false;
    } else {
        uint32_t before = e->sample_cap;
        if (a->bytes > BYTES_MAX)
            return false;
        YG_GROW(TAG, e->samples, e->sample_len, e->sample_cap);
        a->bytes += (e->sample_cap - before) * sizeof(*e->samples);
        e->samples[e->sample_len++] = (struct weighted){v, weight};
    }
    e->max = e->count > 0 && e->max > v ? e->max : v;
    e->sum += v * weight;
    e->count += weight;
    return true;
}

static bool add_set(struct yg_statsd_agg *a, struct entry *e, yg_str value) {
    if (yg_map_get(&e->set, value) != NULL)
        return true;
    size_t cost = value.len + 2 * sizeof(struct yg_map_slot);
    if (e->set.len >= SET_MAX || a->bytes + cost > BYTES_MAX)
        return false;
    (void)yg_map_put(&e->set, value, NULL);
    a->bytes += cost;
    e->value += (double)cost; // given back when the bucket closes
    return true;
}

static bool add_value(struct yg_statsd_agg *a, struct entry *e, double v, double rate) {
    if (!isfinite(v))
        return true; // the parser refused the line already
    switch (e->type) {
    case YG_STATSD_COUNT:
        e->value += v / rate;
        return true;
    case YG_STATSD_GAUGE:
        e->value = v;
        return true;
    case YG_STATSD_HISTOGRAM:
    case YG_STATSD_TIMING:
        return add_histogram(a, e, v, 1 / rate);
    case YG_STATSD_DISTRIBUTION:
        return add_sketch_value(a, e, v, 1 / rate);
    case YG_STATSD_SET:
        break;
    }
    return true;
}

// Counts, gauges and distributions that carry a time are stored under it, without aggregation.
static bool add_direct(struct yg_statsd_agg *a, const struct yg_statsd_sample *s, double rate) {
    int64_t now_s = yg_now_ns(a->clock) / YG_NS_PER_S;
    int64_t ts = s->ts_s > now_s ? now_s : s->ts_s;
    if (a->direct == NULL)
        a->direct = yg_points_create(POINTS_BYTES);
    if (a->direct == NULL)
        return false;
    bool distribution = s->type == YG_STATSD_DISTRIBUTION;
    enum yg_metric_type type = distribution                 ? YG_METRIC_DISTRIBUTION
                               : s->type == YG_STATSD_COUNT ? YG_METRIC_COUNT
                                                            : YG_METRIC_GAUGE;
    uint32_t id;
    if (yg_points_series(a->direct, s->name, s->tags, s->tag_count, s->host, type, BUCKET_S,
                         YG_STR(""), &id, NULL) != YG_OK)
        return false;
    struct yg_sketch *sketch;
    if (distribution && yg_points_add_sketch(a->direct, id, ts, &sketch, NULL) != YG_OK)
        return false;
    for (uint32_t i = 0; i < s->value_count; i++) {
        if (distribution)
            yg_sketch_add(sketch, s->values[i], 1 / rate);
        else if (yg_points_add(a->direct, id, ts,
                               type == YG_METRIC_COUNT ? s->values[i] / rate : s->values[i],
                               NULL) != YG_OK)
            return false;
    }
    return true;
}

static bool has_own_time(const struct yg_statsd_sample *s) {
    return s->ts_s > 0 && (s->type == YG_STATSD_COUNT || s->type == YG_STATSD_GAUGE ||
                           s->type == YG_STATSD_DISTRIBUTION);
}

static bool add_sample(struct yg_statsd_agg *a, const struct yg_statsd_sample *s) {
    double rate = s->sample_rate > 0 && s->sample_rate <= 1 ? s->sample_rate : 1;
    if (has_own_time(s))
        return add_direct(a, s, rate);
    struct entry *e = find_entry(a, s);
    if (e == NULL)
        return false;
    e->used = true;
    e->last_bucket = a->bucket;
    if (s->type == YG_STATSD_SET)
        return add_set(a, e, s->set_value);
    bool good = true;
    for (uint32_t i = 0; i < s->value_count; i++)
        good = add_value(a, e, s->values[i], rate) && good;
    return good;
}

// ------------------------------------------------------------ closing

static int cmp_weighted(const void *a, const void *b) {
    const struct weighted *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

// The sample at `rank` when each counts as often as its weight says.
static double at_rank(const struct entry *e, double rank) {
    double seen = 0;
    for (uint32_t i = 0; i < e->sample_len; i++) {
        seen += e->samples[i].weight;
        if (seen > rank)
            return e->samples[i].value;
    }
    return e->samples[e->sample_len - 1].value;
}

// Where closed series are written; a full batch is appended and a new one begun.
struct writer {
    struct yg_statsd_agg *agg;
    struct yg_points *points;
    yg_str name, host;
    yg_str tags[TAGS_MAX];
    uint32_t tag_count;
    int64_t ts_s;
};

static void appended(void *arg, yg_rc rc, const struct yg_err *err) {
    struct yg_statsd_agg *a = arg;
    (void)a;
    if (rc != YG_OK)
        yg_log(YG_LOG_ERROR, "pipeline", "DogStatsD points not stored",
               YG_KV_C("error", err ? err->text : yg_rc_name(rc)));
}

static void send(struct yg_statsd_agg *a, struct yg_points *take_points) {
    if (take_points == NULL)
        return;
    struct yg_err err = {0};
    uint32_t count = take_points->count;
    take_points->received_ns = yg_now_ns(a->clock);
    if (count == 0) {
        yg_points_destroy(take_points);
        return;
    }
    if (yg_pipeline_points(a->pipeline, take_points, appended, a, &err) != YG_OK)
        yg_pipeline_reject(a->pipeline, "dogstatsd", yg_rc_name(err.rc), count);
}

static yg_rc put_in(struct writer *w, const char *suffix, enum yg_metric_type type, double v,
                    const struct yg_sketch *sketch) {
    char name[512];
    if (w->points == NULL)
        w->points = yg_points_create(POINTS_BYTES);
    if (w->points == NULL)
        return YG_ENOMEM;
    int n = snprintf(name, sizeof(name), "%.*s%s", YG_STR_FMT(w->name), suffix);
    if (n < 0 || n >= (int)sizeof(name))
        return YG_EINPUT;
    uint32_t id;
    YG_TRY(yg_points_series(w->points, yg_str_n(name, (size_t)n), w->tags, w->tag_count, w->host,
                            type, BUCKET_S, YG_STR(""), &id, NULL));
    if (sketch == NULL)
        return yg_points_add(w->points, id, w->ts_s, v, NULL);
    struct yg_sketch *to;
    YG_TRY(yg_points_add_sketch(w->points, id, w->ts_s, &to, NULL));
    yg_sketch_merge(to, sketch);
    return YG_OK;
}

static void put(struct writer *w, const char *suffix, enum yg_metric_type type, double v,
                const struct yg_sketch *sketch) {
    yg_rc rc = put_in(w, suffix, type, v, sketch);
    if (rc == YG_ELIMIT || rc == YG_ENOMEM) { // full: once more with an empty batch
        send(w->agg, w->points);
        w->points = NULL;
        rc = put_in(w, suffix, type, v, sketch);
    }
    if (rc != YG_OK)
        yg_pipeline_reject(w->agg->pipeline, "dogstatsd",
                           rc == YG_EINPUT ? "bad_name" : yg_rc_name(rc), 1);
}

static void close_histogram(struct writer *w, struct entry *e) {
    double median, p95;
    if (e->sketch.count > 0) {
        median = yg_sketch_quantile(&e->sketch, 0.5);
        p95 = yg_sketch_quantile(&e->sketch, 0.95);
    } else {
        qsort(e->samples, e->sample_len, sizeof(*e->samples), cmp_weighted);
        median = at_rank(e, floor((e->count - 1) / 2));
        p95 = at_rank(e, floor((95 * e->count - 1) / 100));
    }
    put(w, ".max", YG_METRIC_GAUGE, e->max, NULL);
    put(w, ".median", YG_METRIC_GAUGE, median, NULL);
    put(w, ".avg", YG_METRIC_GAUGE, e->sum / e->count, NULL);
    put(w, ".count", YG_METRIC_COUNT, e->count, NULL);
    put(w, ".95percentile", YG_METRIC_GAUGE, p95, NULL);
}

static void read_key(struct writer *w, const struct entry *e) {
    yg_str rest = yg_str_n(e->key + 1, e->key_len - 1);
    w->tag_count = 0;
    (void)yg_str_split(&rest, 0, &w->name);
    (void)yg_str_split(&rest, 0, &w->host);
    while (rest.len > 0 && w->tag_count < TAGS_MAX)
        (void)yg_str_split(&rest, 0, &w->tags[w->tag_count++]);
}

static void close_entry(struct writer *w, struct entry *e) {
    read_key(w, e);
    switch (e->type) {
    case YG_STATSD_COUNT:
        put(w, "", YG_METRIC_COUNT, e->value, NULL);
        e->value = 0;
        break;
    case YG_STATSD_GAUGE:
        if (e->used)
            put(w, "", YG_METRIC_GAUGE, e->value, NULL);
        break;
    case YG_STATSD_SET:
        put(w, "", YG_METRIC_GAUGE, e->set.len, NULL);
        break;
    case YG_STATSD_DISTRIBUTION:
        if (e->sketch.count > 0)
            put(w, "", YG_METRIC_DISTRIBUTION, 0, &e->sketch);
        break;
    case YG_STATSD_HISTOGRAM:
    case YG_STATSD_TIMING:
        if (e->sample_len > 0)
            close_histogram(w, e);
        break;
    }
    e->used = false;
}

static bool goes(const struct yg_statsd_agg *a, const struct entry *e) {
    return e->type != YG_STATSD_COUNT ||
           (a->bucket - e->last_bucket) * BUCKET_S >= COUNTER_EXPIRY_S;
}

static void drop_entries(struct yg_statsd_agg *a) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->len; i++) {
        struct entry *e = a->entries[i];
        if (!goes(a, e)) {
            *yg_map_get(&a->index, yg_str_n(e->key, e->key_len)) = kept;
            a->entries[kept++] = e;
            continue;
        }
        (void)yg_map_remove(&a->index, yg_str_n(e->key, e->key_len));
        if (e->type == YG_STATSD_SET)
            a->bytes -= (uint64_t)e->value;
        a->bytes -= e->sketch.cap * sizeof(*e->sketch.bins);
        entry_free(a, e);
    }
    a->len = kept;
}

// Closes the open bucket and opens the next one.
static void close_bucket(struct yg_statsd_agg *a, struct writer *w) {
    w->ts_s = a->bucket * BUCKET_S;
    for (uint32_t i = 0; i < a->len; i++)
        close_entry(w, a->entries[i]);
    drop_entries(a);
    a->bucket++;
}

// Catches up with the clock. A long stop leaves at most the expiry's worth of zeros behind.
static void advance(struct yg_statsd_agg *a, struct writer *w) {
    int64_t now = yg_now_ns(a->clock) / YG_NS_PER_S / BUCKET_S;
    if (now < a->bucket - 1 || now > a->bucket + COUNTER_EXPIRY_S / BUCKET_S + 1) {
        close_bucket(a, w); // the clock was set
        a->bucket = now;
        return;
    }
    while (a->bucket < now)
        close_bucket(a, w);
}

// ------------------------------------------------------------ the room's own interface

bool yg_statsd_agg_add(struct yg_statsd_agg *agg, const struct yg_statsd_sample *sample) {
    struct writer w = {.agg = agg};
    pthread_mutex_lock(&agg->lock);
    advance(agg, &w);
    bool good = add_sample(agg, sample);
    pthread_mutex_unlock(&agg->lock);
    send(agg, w.points);
    if (!good)
        yg_pipeline_reject(agg->pipeline, "dogstatsd", "aggregator_full", 1);
    return good;
}

void yg_statsd_agg_flush(struct yg_statsd_agg *agg, bool all) {
    struct writer w = {.agg = agg};
    pthread_mutex_lock(&agg->lock);
    advance(agg, &w);
    if (all) { // the bucket stays open: what still comes is added to it in the store
        w.ts_s = agg->bucket * BUCKET_S;
        for (uint32_t i = 0; i < agg->len; i++)
            if (agg->entries[i]->used)
                close_entry(&w, agg->entries[i]);
        drop_entries(agg);
    }
    struct yg_points *direct = agg->direct;
    agg->direct = NULL;
    yg_counter_set(agg->series, agg->len);
    yg_counter_set(agg->bytes_gauge, (int64_t)agg->bytes);
    pthread_mutex_unlock(&agg->lock);
    send(agg, w.points);
    send(agg, direct);
}

struct yg_statsd_agg *yg_statsd_agg_create(struct yg_pipeline *pipeline,
                                           const struct yg_clock *clock) {
    struct yg_statsd_agg *a = yg_calloc(TAG, 1, sizeof(*a));
    pthread_mutex_init(&a->lock, NULL);
    a->pipeline = pipeline;
    a->clock = clock;
    a->bucket = yg_now_ns(clock) / YG_NS_PER_S / BUCKET_S;
    a->index = YG_MAP(TAG, false);
    a->series = yg_counter_get(YG_GAUGE, "yagura.dogstatsd.series", "");
    a->bytes_gauge = yg_counter_get(YG_GAUGE, "yagura.dogstatsd.bytes", "");
    return a;
}

void yg_statsd_agg_destroy(struct yg_statsd_agg *agg) {
    if (agg == NULL)
        return;
    for (uint32_t i = 0; i < agg->len; i++)
        entry_free(agg, agg->entries[i]);
    yg_points_destroy(agg->direct);
    yg_free(TAG, agg->entries);
    yg_map_fini(&agg->index);
    pthread_mutex_destroy(&agg->lock);
    yg_free(TAG, agg);
}
