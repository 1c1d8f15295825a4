// SPDX-License-Identifier: Apache-2.0
// Reading metrics: names and tags from the registry, buckets merged out of head, frozen head and
// block files.
//
// A read walks the wanted series in ascending id; every block file is a cursor that only moves
// forward, so memory is one chunk per file and one series' buckets, however many series there are.
//
// Wide buckets (nodes) come from a file's roll-ups when it has them. A node that two sources hold a
// part of (at the seam of two files, or by late points) is made of the points of all of them
// instead, so the answer is the one that points alone would give.

#include "base/panic.h"
#include "store/mstore_int.h"

// ------------------------------------------------------------ one read

struct wanted {
    uint32_t id;
    enum yg_metric_type type;
    uint32_t interval_s;
    yg_str tags;
    uint32_t head_from, head_to; // its points in the copy of the head
};

struct source { // a block file
    const struct reading *reading;
    const struct yg_mblock *block;
    bool rolled;              // `main` reads nodes, else points
    bool roll_damaged;        // and met damage: points are read instead
    struct yg_mcursor main;   // once over every series
    struct yg_mcursor points; // opened when a node is shared; again forward only
    bool points_open;
};

struct reading {
    struct yg_mstore *ms;
    const struct yg_metric_reader_ops *ops;
    void *ctx;
    uint32_t metric;
    struct yg_mrange range; // buckets
    uint32_t step;          // buckets a node
    uint32_t fields;
    bool points_only;
    struct wanted *wanted;
    uint32_t wanted_count;
    struct yg_mrun head; // copied under the lock
    // Written or being written, oldest first; the last may be the frozen one.
    struct yg_mhead *memory[YG_MS_RECENT_MAX + 1];
    uint32_t memory_count;
    struct yg_mblocks *blocks;
    uint32_t file_count;    // of them, from the first on, that are to be read
    struct source *sources; // in the order of the sequences
    uint32_t source_count;
    ZSTD_DCtx *zstd; // one for all cursors
    // of the series at hand
    struct yg_mrun nodes, points, shared;
    struct yg_mrun rolled[2][2]; // what `points` and `shared` are rolled into, for two levels
    uint32_t *sorted;
    uint32_t sorted_cap;
    struct yg_mrange *ranges;
    uint32_t range_count, range_cap;
};

static void reading_damage(void *ctx, const struct yg_err *err) {
    struct reading *r = ctx;
    yg_mstore_note_damage(r->ms, err);
    if (r->ops->warning != NULL)
        r->ops->warning(r->ctx, yg_str_c(err->text));
}

static void roll_damage(void *ctx, const struct yg_err *err) {
    struct source *s = ctx;
    yg_mstore_note_damage(s->reading->ms, err); // nothing is missing in the answer
    s->roll_damaged = true;
}

static void choose_series(struct reading *r, yg_str name, const struct yg_node *scope) {
    struct yg_mreg *reg = &r->ms->reg;
    pthread_rwlock_rdlock(&reg->lock);
    const struct yg_mname *n = yg_mreg_name(reg, name);
    uint32_t count = 0;
    uint32_t *ids = n ? yg_mreg_match(reg, n, scope, &count) : NULL;
    r->metric = n ? n->id : YG_MS_NONE;
    r->wanted = yg_calloc(YG_MS_TAG, count + 1, sizeof(*r->wanted));
    for (uint32_t i = 0; i < count; i++) {
        struct yg_mseries *s = yg_mreg_series(reg, ids[i]);
        if (atomic_load_explicit(&s->last_bucket, memory_order_relaxed) < r->range.from)
            continue;
        r->wanted[r->wanted_count++] = (struct wanted){
            .id = ids[i],
            .type = (enum yg_metric_type)s->type,
            .interval_s = atomic_load_explicit(&s->interval_s, memory_order_relaxed),
            .tags = yg_mreg_tags(reg, s->tagset)};
    }
    pthread_rwlock_unlock(&reg->lock);
    yg_free(YG_MS_TAG, ids);
}

static void pin(struct reading *r) {
    struct yg_mstore *ms = r->ms;
    pthread_rwlock_rdlock(&ms->state_lock);
    for (uint32_t i = 0; i < r->wanted_count; i++) {
        struct wanted *w = &r->wanted[i];
        w->head_from = r->head.len;
        yg_mhead_copy(ms->head, w->id, w->type, r->range.from, r->range.to, &r->head);
        w->head_to = r->head.len;
    }
    r->memory_count =
        yg_mrecent_pin(&ms->recent, ms->blocks, r->range.from, &r->file_count, r->memory);
    if (ms->frozen != NULL) {
        atomic_fetch_add_explicit(&ms->frozen->refs, 1, memory_order_relaxed);
        r->memory[r->memory_count++] = ms->frozen;
    }
    r->blocks = yg_mblocks_ref(ms->blocks);
    pthread_rwlock_unlock(&ms->state_lock);
}

static void open_cursor(struct reading *r, struct yg_mcursor *c, const struct yg_mblock *b,
                        const struct yg_msection *section) {
    yg_mcursor_init(c, b, section, r->metric, r->range);
    c->zstd = &r->zstd;
    c->damage = reading_damage;
    c->damage_ctx = r;
}

static void open_sources(struct reading *r) {
    r->sources = yg_calloc(YG_MS_TAG, r->file_count + 1, sizeof(*r->sources));
    if (r->file_count > 0)
        r->zstd = atomic_exchange_explicit(&r->ms->spare_zstd, NULL, memory_order_acq_rel);
    bool aligned = r->range.from % r->step == 0 && r->range.to % r->step == 0;
    for (uint32_t i = 0; i < r->file_count; i++) {
        const struct yg_mblock *b = r->blocks->blocks[i];
        if (b->points == 0 || b->max_bucket < r->range.from || b->min_bucket >= r->range.to)
            continue;
        struct source *s = &r->sources[r->source_count++];
        const struct yg_msection *section = NULL;
        if (r->step > 1 && aligned && (r->fields & YG_METRIC_LAST) == 0 && !r->points_only)
            section = yg_mblock_section(b, r->step);
        s->reading = r;
        s->block = b;
        s->rolled = section != NULL;
        open_cursor(r, &s->main, b, section ? section : &b->sections[0]);
        if (s->rolled) {
            s->main.damage = roll_damage;
            s->main.damage_ctx = s;
        }
    }
}

// Appends what a cursor has of the series in the ranges.
static void take(struct yg_mcursor *c, uint32_t id, const struct yg_mrange *ranges, uint32_t count,
                 uint32_t fields, struct yg_mrun *run) {
    yg_mcursor_skip_to(c, id);
    while ((c->valid || yg_mcursor_next(c)) && c->run.series <= id) {
        if (c->run.series == id)
            (void)yg_mcursor_decode(c, ranges, count, fields, run);
        c->valid = false;
    }
}

static void take_memory(const struct reading *r, const struct wanted *w,
                        const struct yg_mrange *ranges, uint32_t count, struct yg_mrun *run) {
    for (uint32_t i = 0; i < r->memory_count; i++)
        for (uint32_t k = 0; k < count; k++)
            yg_mhead_copy(r->memory[i], w->id, w->type, ranges[k].from, ranges[k].to, run);
    if (count == 1 && ranges[0].from == r->range.from && ranges[0].to == r->range.to) {
        yg_mrun_append(run, &r->head, w->head_from, w->head_to - w->head_from);
        return;
    }
    for (uint32_t i = w->head_from; i < w->head_to; i++)
        for (uint32_t k = 0; k < count; k++)
            if (r->head.bucket[i] >= ranges[k].from && r->head.bucket[i] < ranges[k].to)
                yg_mrun_append(run, &r->head, i, 1);
}

// Settled points → nodes, appended; their sketches stay in `rolled`.
static void add_nodes(const struct reading *r, enum yg_metric_type type,
                      const struct yg_mrun *points, struct yg_mrun rolled[2],
                      struct yg_mrun *nodes) {
    if (points->len == 0)
        return;
    const struct yg_mrun *out = &rolled[0];
    yg_mrun_roll(points, type, 6, r->fields, &rolled[0]);
    if (r->step >= 30) {
        yg_mrun_roll(&rolled[0], type, 30, r->fields, &rolled[1]);
        out = &rolled[1];
    }
    if (r->step >= 360) {
        yg_mrun_roll(&rolled[1], type, 360, r->fields, &rolled[0]);
        out = &rolled[0];
    }
    yg_mrun_append(nodes, out, 0, out->len);
}

static int cmp_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Nodes that stand twice in r->nodes, as ranges.
static void find_shared(struct reading *r) {
    uint32_t n = r->nodes.len;
    r->range_count = 0;
    if (n > r->sorted_cap) {
        r->sorted_cap = n;
        r->sorted = yg_realloc(YG_MS_TAG, r->sorted, n * sizeof(*r->sorted));
    }
    memcpy(r->sorted, r->nodes.bucket, n * sizeof(*r->sorted));
    qsort(r->sorted, n, sizeof(*r->sorted), cmp_u32);
    for (uint32_t i = 1; i < n; i++) {
        uint32_t b = r->sorted[i];
        if (b != r->sorted[i - 1])
            continue;
        struct yg_mrange *last = r->range_count > 0 ? &r->ranges[r->range_count - 1] : NULL;
        if (last != NULL && last->to > b)
            continue;
        if (last != NULL && last->to == b) {
            last->to = b + r->step;
            continue;
        }
        YG_GROW(YG_MS_TAG, r->ranges, r->range_count, r->range_cap);
        r->ranges[r->range_count++] = (struct yg_mrange){b, b + r->step};
    }
}

// Nodes of the ranges are made anew out of the points of every source.
static void mend_shared(struct reading *r, const struct wanted *w) {
    yg_mrun_reset(&r->shared);
    for (uint32_t i = 0; i < r->source_count; i++) {
        struct source *s = &r->sources[i];
        if (!s->points_open)
            open_cursor(r, &s->points, s->block, &s->block->sections[0]);
        s->points_open = true;
        take(&s->points, w->id, r->ranges, r->range_count, r->fields, &r->shared);
    }
    take_memory(r, w, r->ranges, r->range_count, &r->shared);
    yg_mrun_settle(&r->shared, w->type);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->nodes.len; i++) {
        bool shared = false;
        for (uint32_t k = 0; k < r->range_count && !shared; k++)
            shared =
                r->nodes.bucket[i] >= r->ranges[k].from && r->nodes.bucket[i] < r->ranges[k].to;
        if (!shared)
            yg_mrun_move(&r->nodes, kept++, i);
    }
    r->nodes.len = kept;
    add_nodes(r, w->type, &r->shared, r->rolled[1], &r->nodes);
}

// The series' nodes out of a file's roll-ups. False, and from now on, when they are damaged.
static bool take_rolled(struct reading *r, struct source *s, uint32_t id) {
    uint32_t len = r->nodes.len, sketches = r->nodes.sketch_len;
    take(&s->main, id, &r->range, 1, r->fields, &r->nodes);
    if (!s->roll_damaged)
        return true;
    r->nodes.len = len;
    r->nodes.sketch_len = sketches;
    s->rolled = false;
    yg_mcursor_fini(&s->main);
    open_cursor(r, &s->main, s->block, &s->block->sections[0]);
    return false;
}

// Everything about one series, settled: r->nodes.
static void gather(struct reading *r, const struct wanted *w) {
    struct yg_mrun *points = r->step == 1 ? &r->nodes : &r->points;
    yg_mrun_reset(&r->nodes);
    yg_mrun_reset(&r->points);
    for (uint32_t i = 0; i < r->source_count; i++) {
        struct source *s = &r->sources[i];
        if (!s->rolled || !take_rolled(r, s, w->id))
            take(&s->main, w->id, &r->range, 1, r->fields, points);
    }
    take_memory(r, w, &r->range, 1, points);
    yg_mrun_settle(points, w->type);
    if (r->step == 1)
        return;
    add_nodes(r, w->type, points, r->rolled[0], &r->nodes);
    if (!r->nodes.unsorted)
        return;
    find_shared(r);
    if (r->range_count > 0)
        mend_shared(r, w);
    r->nodes.unsorted = true;
    yg_mrun_settle(&r->nodes, w->type); // sorts; nothing is there twice any more
}

static void emit_buckets(const struct reading *r) {
    const struct yg_mrun *n = &r->nodes;
    for (uint32_t i = 0; i < n->len; i++) {
        struct yg_metric_bucket b = {.ts_s = (int64_t)n->bucket[i] * YG_BUCKET_S,
                                     .last = n->sum[i],
                                     .min = n->sum[i],
                                     .max = n->sum[i],
                                     .sum = n->sum[i],
                                     .count = 1};
        if (n->full) {
            b.last = n->last[i];
            b.min = n->min[i];
            b.max = n->max[i];
            b.count = n->count[i];
            b.sketch = n->sketch[i];
        }
        r->ops->bucket(r->ctx, &b);
    }
}

static void emit(const struct reading *r, const struct wanted *w) {
    const struct yg_metric_series series = {
        .id = w->id, .tags = w->tags, .type = w->type, .interval_s = w->interval_s};
    const struct yg_mrun *n = &r->nodes;
    if (n->len == 0 || !r->ops->series(r->ctx, &series))
        return;
    if (r->ops->batch == NULL) {
        emit_buckets(r);
        return;
    }
    struct yg_metric_batch b = {.count = n->len, .bucket = n->bucket, .sum = n->sum};
    if (n->full) {
        b.weight = n->count;
        b.min = n->min;
        b.max = n->max;
        b.last = n->last;
        b.sketch = n->sketch;
    }
    r->ops->batch(r->ctx, &b);
}

static void reading_fini(struct reading *r) {
    for (uint32_t i = 0; i < r->source_count; i++) {
        yg_mcursor_fini(&r->sources[i].main);
        yg_mcursor_fini(&r->sources[i].points);
    }
    if (r->zstd != NULL) // making one costs as much as reading a series
        r->zstd = atomic_exchange_explicit(&r->ms->spare_zstd, r->zstd, memory_order_acq_rel);
    (void)ZSTD_freeDCtx(r->zstd);
    yg_free(YG_MS_TAG, r->sources);
    yg_free(YG_MS_TAG, r->wanted);
    yg_free(YG_MS_TAG, r->sorted);
    yg_free(YG_MS_TAG, r->ranges);
    yg_mblocks_unref(r->blocks);
    for (uint32_t i = 0; i < r->memory_count; i++)
        yg_mhead_unref(r->memory[i]);
    yg_mrun_fini(&r->head);
    yg_mrun_fini(&r->nodes);
    yg_mrun_fini(&r->points);
    for (uint32_t i = 0; i < 4; i++)
        yg_mrun_fini(&r->rolled[i / 2][i % 2]);
    yg_mrun_fini(&r->shared);
}

static uint32_t clamp_bucket(int64_t ts_s) {
    if (ts_s <= 0)
        return 0;
    int64_t b = (ts_s + YG_BUCKET_S - 1) / YG_BUCKET_S;
    return b > UINT32_MAX ? UINT32_MAX : (uint32_t)b;
}

yg_rc yg_mstore_read(struct yg_mstore *ms, yg_str name, const struct yg_node *scope,
                     const struct yg_metric_read_options *o, const struct yg_metric_reader_ops *ops,
                     void *ctx, struct yg_err *err) {
    (void)err; // damaged chunks are told to ops->warning; nothing else can fail
    struct reading r = {.ms = ms,
                        .ops = ops,
                        .ctx = ctx,
                        .step = o->step_s > YG_BUCKET_S ? o->step_s / YG_BUCKET_S : 1,
                        .fields = o->fields != 0 ? o->fields : YG_MS_FIELDS_ALL,
                        .points_only = o->points_only};
    YG_ASSERT(r.step == 1 || r.step == 6 || r.step == 30 || r.step == 360);
    r.range = (struct yg_mrange){clamp_bucket(o->from_s), clamp_bucket(o->to_s)};
    if (r.range.from >= r.range.to)
        return YG_OK;
    choose_series(&r, name, scope);
    if (r.wanted_count > 0) {
        pin(&r);
        open_sources(&r);
    }
    for (uint32_t i = 0; i < r.wanted_count; i++) {
        gather(&r, &r.wanted[i]);
        emit(&r, &r.wanted[i]);
    }
    reading_fini(&r);
    return YG_OK;
}

// ------------------------------------------------------------ names and tags

static struct yg_metric_info brief_of(const struct yg_mname *n) {
    return (struct yg_metric_info){.name = n->name,
                                   .type = n->type,
                                   .interval_s = n->interval_s,
                                   .unit = n->unit,
                                   .series_count = n->len};
}

static struct yg_metric_info info_of(const struct yg_mreg *reg, const struct yg_mname *n) {
    struct yg_metric_info info = brief_of(n);
    uint32_t last = 0;
    for (uint32_t i = 0; i < n->len; i++) {
        struct yg_mseries *s = yg_mreg_series(reg, n->series[i]);
        uint32_t b = atomic_load_explicit(&s->last_bucket, memory_order_relaxed);
        last = b > last ? b : last;
    }
    info.last_s = (int64_t)last * YG_BUCKET_S;
    return info;
}

static int cmp_info(const void *a, const void *b) {
    const struct yg_metric_info *x = a, *y = b;
    return yg_str_cmp(x->name, y->name);
}

void yg_mstore_names(struct yg_mstore *ms, int64_t since_s,
                     bool (*fn)(void *ctx, const struct yg_metric_info *info), void *ctx) {
    struct yg_mreg *reg = &ms->reg;
    pthread_rwlock_rdlock(&reg->lock);
    struct yg_metric_info *list = yg_alloc(YG_MS_TAG, (reg->name_len + 1) * sizeof(*list));
    uint32_t len = 0;
    for (uint32_t i = 0; i < reg->name_len; i++) {
        if (reg->names[i] == NULL || reg->names[i]->len == 0)
            continue;
        list[len] = info_of(reg, reg->names[i]);
        len += list[len].last_s + YG_BUCKET_S > since_s;
    }
    pthread_rwlock_unlock(&reg->lock);
    if (len > 1)
        qsort(list, len, sizeof(*list), cmp_info);
    for (uint32_t i = 0; i < len; i++)
        if (!fn(ctx, &list[i]))
            break;
    yg_free(YG_MS_TAG, list);
}

static yg_rc look_up(struct yg_mstore *ms, yg_str name, bool brief, struct yg_metric_info *ret_info,
                     struct yg_err *err) {
    pthread_rwlock_rdlock(&ms->reg.lock);
    const struct yg_mname *n = yg_mreg_name(&ms->reg, name);
    if (n != NULL)
        *ret_info = brief ? brief_of(n) : info_of(&ms->reg, n);
    pthread_rwlock_unlock(&ms->reg.lock);
    if (n == NULL)
        return yg_fail(err, YG_ENOTFOUND, "metric %.*s was never seen", YG_STR_FMT(name));
    return YG_OK;
}

yg_rc yg_mstore_info(struct yg_mstore *ms, yg_str name, struct yg_metric_info *ret_info,
                     struct yg_err *err) {
    return look_up(ms, name, false, ret_info, err);
}

yg_rc yg_mstore_unit_set(struct yg_mstore *ms, yg_str name, yg_str unit, struct yg_err *err) {
    if (!yg_mreg_unit_set(&ms->reg, name, unit))
        return yg_fail(err, YG_ENOTFOUND, "metric %.*s was never seen", YG_STR_FMT(name));
    return YG_OK;
}

struct tag_list {
    struct {
        yg_str metric, tags;
    } * items;
    uint32_t len, cap;
};

static void collect_tags(const struct yg_mreg *reg, const struct yg_mname *n, int64_t since_s,
                         struct tag_list *l) {
    for (uint32_t i = 0; n != NULL && i < n->len; i++) {
        struct yg_mseries *s = yg_mreg_series(reg, n->series[i]);
        int64_t last = atomic_load_explicit(&s->last_bucket, memory_order_relaxed);
        if ((last + 1) * YG_BUCKET_S <= since_s)
            continue;
        YG_GROW(YG_MS_TAG, l->items, l->len, l->cap);
        l->items[l->len].metric = n->name;
        l->items[l->len++].tags = yg_mreg_tags(reg, s->tagset);
    }
}

void yg_mstore_tags(struct yg_mstore *ms, const yg_str *name, int64_t since_s,
                    bool (*fn)(void *ctx, yg_str metric, yg_str tags), void *ctx) {
    struct yg_mreg *reg = &ms->reg;
    struct tag_list l = {0};
    pthread_rwlock_rdlock(&reg->lock);
    if (name != NULL) {
        collect_tags(reg, yg_mreg_name(reg, *name), since_s, &l);
    } else {
        for (uint32_t i = 0; i < reg->name_len; i++)
            collect_tags(reg, reg->names[i], since_s, &l);
    }
    pthread_rwlock_unlock(&reg->lock);
    for (uint32_t i = 0; i < l.len; i++)
        if (!fn(ctx, l.items[i].metric, l.items[i].tags))
            break;
    yg_free(YG_MS_TAG, l.items);
}

// ------------------------------------------------------------ store/metrics.h over an open store

void yg_metric_names(struct yg_store *store, int64_t since_s,
                     bool (*fn)(void *ctx, const struct yg_metric_info *info), void *ctx) {
    yg_mstore_names(yg_store_metrics(store), since_s, fn, ctx);
}

yg_rc yg_metric_info(struct yg_store *store, yg_str name, struct yg_metric_info *ret_info,
                     struct yg_err *err) {
    return yg_mstore_info(yg_store_metrics(store), name, ret_info, err);
}

yg_rc yg_metric_brief(struct yg_store *store, yg_str name, struct yg_metric_info *ret_info,
                      struct yg_err *err) {
    return look_up(yg_store_metrics(store), name, true, ret_info, err);
}

yg_rc yg_metric_read(struct yg_store *store, yg_str name, const struct yg_node *scope,
                     int64_t from_s, int64_t to_s, const struct yg_metric_reader_ops *ops,
                     void *ctx, struct yg_err *err) {
    const struct yg_metric_read_options o = {.from_s = from_s, .to_s = to_s};
    return yg_mstore_read(yg_store_metrics(store), name, scope, &o, ops, ctx, err);
}

yg_rc yg_metric_read_as(struct yg_store *store, yg_str name, const struct yg_node *scope,
                        const struct yg_metric_read_options *options,
                        const struct yg_metric_reader_ops *ops, void *ctx, struct yg_err *err) {
    return yg_mstore_read(yg_store_metrics(store), name, scope, options, ops, ctx, err);
}

void yg_metric_tags(struct yg_store *store, const yg_str *name, int64_t since_s,
                    bool (*fn)(void *ctx, yg_str metric, yg_str tags), void *ctx) {
    yg_mstore_tags(yg_store_metrics(store), name, since_s, fn, ctx);
}

yg_rc yg_metric_unit_set(struct yg_store *store, yg_str name, yg_str unit, struct yg_err *err) {
    return yg_mstore_unit_set(yg_store_metrics(store), name, unit, err);
}
