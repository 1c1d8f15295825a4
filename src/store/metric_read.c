// SPDX-License-Identifier: Apache-2.0
// Reading metrics: names and tags from the registry, buckets merged out of head, frozen head and
// block files.
//
// A read walks the wanted series in ascending id; every block file is a cursor that only moves
// forward, so memory is one chunk per file and one series' buckets, however many series there are.

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

struct reading {
    struct yg_mstore *ms;
    const struct yg_metric_reader_ops *ops;
    void *ctx;
    uint32_t metric;
    uint32_t from, to; // buckets
    struct wanted *wanted;
    uint32_t wanted_count;
    struct yg_mrun head; // copied under the lock
    struct yg_mhead *frozen;
    struct yg_mblocks *blocks;
    struct yg_mcursor *cursors;
    uint32_t cursor_count;
    ZSTD_DCtx *zstd; // one for all cursors
};

static void reading_damage(void *ctx, const struct yg_err *err) {
    struct reading *r = ctx;
    yg_mstore_note_damage(r->ms, err);
    if (r->ops->warning != NULL)
        r->ops->warning(r->ctx, yg_str_c(err->text));
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
        if (atomic_load_explicit(&s->last_bucket, memory_order_relaxed) < r->from)
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
        yg_mhead_copy(ms->head, w->id, w->type, r->from, r->to, &r->head);
        w->head_to = r->head.len;
    }
    if (ms->frozen != NULL) {
        atomic_fetch_add_explicit(&ms->frozen->refs, 1, memory_order_relaxed);
        r->frozen = ms->frozen;
    }
    r->blocks = yg_mblocks_ref(ms->blocks);
    pthread_rwlock_unlock(&ms->state_lock);
}

static void open_cursors(struct reading *r) {
    r->cursors = yg_calloc(YG_MS_TAG, r->blocks->count + 1, sizeof(*r->cursors));
    for (uint32_t i = 0; i < r->blocks->count; i++) {
        const struct yg_mblock *b = r->blocks->blocks[i];
        if (b->points == 0 || b->max_bucket < r->from || b->min_bucket >= r->to)
            continue;
        struct yg_mcursor *c = &r->cursors[r->cursor_count++];
        yg_mcursor_init(c, b, r->metric, r->from, r->to);
        if (r->zstd == NULL)
            r->zstd = ZSTD_createDCtx(); // NULL: the cursor tries itself, and says so
        c->zstd = r->zstd;
        c->damage = reading_damage;
        c->damage_ctx = r;
    }
}

static void gather(struct reading *r, const struct wanted *w, struct yg_mrun *run) {
    for (uint32_t i = 0; i < r->cursor_count; i++) {
        struct yg_mcursor *c = &r->cursors[i];
        yg_mcursor_skip_to(c, w->id);
        while ((c->valid || yg_mcursor_next(c)) && c->series <= w->id) {
            if (c->series == w->id)
                (void)yg_mcursor_decode(c, run);
            c->valid = false;
        }
    }
    if (r->frozen != NULL)
        yg_mhead_copy(r->frozen, w->id, w->type, r->from, r->to, run);
    for (uint32_t i = w->head_from; i < w->head_to; i++) {
        struct yg_mpoint *p = yg_mrun_add(run, r->head.points[i].bucket);
        *p = r->head.points[i];
    }
    yg_mrun_settle(run, w->type);
}

static void emit(const struct reading *r, const struct wanted *w, const struct yg_mrun *run) {
    const struct yg_metric_series series = {
        .id = w->id, .tags = w->tags, .type = w->type, .interval_s = w->interval_s};
    if (run->len == 0 || !r->ops->series(r->ctx, &series))
        return;
    for (uint32_t i = 0; i < run->len; i++) {
        const struct yg_mpoint *p = &run->points[i];
        const struct yg_metric_bucket b = {.ts_s = (int64_t)p->bucket * YG_BUCKET_S,
                                           .last = p->last,
                                           .min = p->min,
                                           .max = p->max,
                                           .sum = p->sum,
                                           .count = p->count,
                                           .sketch = p->sketch};
        r->ops->bucket(r->ctx, &b);
    }
}

static void reading_fini(struct reading *r) {
    for (uint32_t i = 0; i < r->cursor_count; i++)
        yg_mcursor_fini(&r->cursors[i]);
    (void)ZSTD_freeDCtx(r->zstd);
    yg_free(YG_MS_TAG, r->cursors);
    yg_free(YG_MS_TAG, r->wanted);
    yg_mblocks_unref(r->blocks);
    yg_mhead_unref(r->frozen);
    yg_mrun_fini(&r->head);
}

static uint32_t clamp_bucket(int64_t ts_s) {
    if (ts_s <= 0)
        return 0;
    int64_t b = (ts_s + YG_BUCKET_S - 1) / YG_BUCKET_S;
    return b > UINT32_MAX ? UINT32_MAX : (uint32_t)b;
}

yg_rc yg_mstore_read(struct yg_mstore *ms, yg_str name, const struct yg_node *scope, int64_t from_s,
                     int64_t to_s, const struct yg_metric_reader_ops *ops, void *ctx,
                     struct yg_err *err) {
    (void)err; // damaged chunks are told to ops->warning; nothing else can fail
    struct reading r = {.ms = ms, .ops = ops, .ctx = ctx};
    r.from = clamp_bucket(from_s);
    r.to = clamp_bucket(to_s);
    if (r.from >= r.to)
        return YG_OK;
    choose_series(&r, name, scope);
    if (r.wanted_count > 0) {
        pin(&r);
        open_cursors(&r);
    }
    struct yg_mrun run = {0};
    for (uint32_t i = 0; i < r.wanted_count; i++) {
        yg_mrun_reset(&run);
        gather(&r, &r.wanted[i], &run);
        emit(&r, &r.wanted[i], &run);
    }
    yg_mrun_fini(&run);
    reading_fini(&r);
    return YG_OK;
}

// ------------------------------------------------------------ names and tags

static struct yg_metric_info info_of(const struct yg_mreg *reg, const struct yg_mname *n) {
    struct yg_metric_info info = {.name = n->name,
                                  .type = n->type,
                                  .interval_s = n->interval_s,
                                  .unit = n->unit,
                                  .series_count = n->len};
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

yg_rc yg_mstore_info(struct yg_mstore *ms, yg_str name, struct yg_metric_info *ret_info,
                     struct yg_err *err) {
    pthread_rwlock_rdlock(&ms->reg.lock);
    const struct yg_mname *n = yg_mreg_name(&ms->reg, name);
    if (n != NULL)
        *ret_info = info_of(&ms->reg, n);
    pthread_rwlock_unlock(&ms->reg.lock);
    if (n == NULL)
        return yg_fail(err, YG_ENOTFOUND, "metric %.*s was never seen", YG_STR_FMT(name));
    return YG_OK;
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

// ------------------------------------------------------------ matching tags

static bool glob_match(yg_str pattern, yg_str s) {
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < s.len) {
        if (p < pattern.len && pattern.ptr[p] == '\x01') {
            star = p++;
            mark = i;
        } else if (p < pattern.len && (pattern.ptr[p] == s.ptr[i] || pattern.ptr[p] == '\x02')) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '\x01')
        p++;
    return p == pattern.len;
}

// One tag against a leaf of the scope.
static bool leaf_matches(const struct yg_node *n, yg_str tag) {
    yg_str value = tag;
    size_t key = n->field.name.len;
    if (key > 0) {
        if (tag.len < key || memcmp(tag.ptr, n->field.name.ptr, key) != 0)
            return false;
        if (tag.len == key)
            return n->kind == YG_NODE_EXISTS;
        if (tag.ptr[key] != ':')
            return false;
        value = yg_str_sub(tag, key + 1, SIZE_MAX);
    }
    switch (n->kind) {
    case YG_NODE_EXISTS:
        return true;
    case YG_NODE_TERM:
        return yg_str_eq(value, n->text);
    case YG_NODE_GLOB:
        return glob_match(n->text, value);
    case YG_NODE_ALL:
    case YG_NODE_NONE:
    case YG_NODE_AND:
    case YG_NODE_OR:
    case YG_NODE_NOT:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
    case YG_NODE_REGEX:
    case YG_NODE_KIND_COUNT:
        break;
    }
    return false; // not of the metric language
}

static bool any_tag(const struct yg_node *n, yg_str tags) {
    yg_str tag;
    while (tags.len > 0 && yg_str_split(&tags, ',', &tag))
        if (leaf_matches(n, tag))
            return true;
    return false;
}

#define SCOPE_DEPTH_MAX 128

static bool match_at(const struct yg_node *n, yg_str tags, uint32_t depth) {
    if (depth > SCOPE_DEPTH_MAX)
        return false;
    switch (n->kind) {
    case YG_NODE_ALL:
        return true;
    case YG_NODE_NONE:
        return false;
    case YG_NODE_AND:
        for (uint32_t i = 0; i < n->child_count; i++)
            if (!match_at(n->children[i], tags, depth + 1))
                return false;
        return true;
    case YG_NODE_OR:
        for (uint32_t i = 0; i < n->child_count; i++)
            if (match_at(n->children[i], tags, depth + 1))
                return true;
        return false;
    case YG_NODE_NOT:
        return !match_at(n->children[0], tags, depth + 1);
    case YG_NODE_EXISTS:
    case YG_NODE_TERM:
    case YG_NODE_GLOB:
    case YG_NODE_RANGE:
    case YG_NODE_CIDR:
    case YG_NODE_TOKEN:
    case YG_NODE_PHRASE:
    case YG_NODE_FULLTEXT:
    case YG_NODE_REGEX:
    case YG_NODE_KIND_COUNT:
        break;
    }
    return any_tag(n, tags);
}

bool yg_tags_match(const struct yg_node *scope, yg_str tags) {
    return scope == NULL || match_at(scope, tags, 0);
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

yg_rc yg_metric_read(struct yg_store *store, yg_str name, const struct yg_node *scope,
                     int64_t from_s, int64_t to_s, const struct yg_metric_reader_ops *ops,
                     void *ctx, struct yg_err *err) {
    return yg_mstore_read(yg_store_metrics(store), name, scope, from_s, to_s, ops, ctx, err);
}

void yg_metric_tags(struct yg_store *store, const yg_str *name, int64_t since_s,
                    bool (*fn)(void *ctx, yg_str metric, yg_str tags), void *ctx) {
    yg_mstore_tags(yg_store_metrics(store), name, since_s, fn, ctx);
}

yg_rc yg_metric_unit_set(struct yg_store *store, yg_str name, yg_str unit, struct yg_err *err) {
    return yg_mstore_unit_set(yg_store_metrics(store), name, unit, err);
}
