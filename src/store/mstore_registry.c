// SPDX-License-Identifier: Apache-2.0
// Registry of metric series: names, interned tag sets, tag → tag sets, and (metric, tags, type) →
// id.
//
// A series is 24 bytes plus its places in two tables; its tags are a set shared by all metrics that
// carry the same one. A filter starts from the rarest tag that it demands and checks the rest on
// the text.

#include "base/hash.h"
#include "base/panic.h"
#include "store/mstore_int.h"

// ------------------------------------------------------------ bytes that stay

#define BUMP_CHUNK_BYTES (64u * 1024u)

void *yg_bump_alloc(struct yg_bump *b, size_t bytes) {
    bytes = (bytes + 7) & ~(size_t)7;
    if (b->len == 0 || b->size - b->used < bytes) {
        size_t size = bytes > BUMP_CHUNK_BYTES ? bytes : BUMP_CHUNK_BYTES;
        if (b->bytes < BUMP_CHUNK_BYTES && size == BUMP_CHUNK_BYTES)
            size = 4096; // an idle process has many small ones
        if (size < bytes)
            size = bytes;
        YG_GROW(YG_MS_TAG, b->chunks, b->len, b->cap);
        b->chunks[b->len++] = yg_alloc(YG_MS_TAG, size);
        b->used = 0;
        b->size = size;
        b->bytes += size;
    }
    char *p = b->chunks[b->len - 1] + b->used;
    b->used += bytes;
    return p;
}

void yg_bump_fini(struct yg_bump *b) {
    for (uint32_t i = 0; i < b->len; i++)
        yg_free(YG_MS_TAG, b->chunks[i]);
    yg_free(YG_MS_TAG, b->chunks);
    *b = (struct yg_bump){0};
}

static yg_str keep_text(struct yg_mreg *r, yg_str s) {
    if (s.len == 0)
        return YG_STR("");
    char *p = yg_bump_alloc(&r->texts, s.len);
    memcpy(p, s.ptr, s.len);
    return yg_str_n(p, s.len);
}

// ------------------------------------------------------------ tables of ids

static void hslots_grow(struct yg_hslots *t) {
    struct yg_hslots bigger = {.cap = t->cap ? t->cap * 2 : 64, .len = t->len};
    bigger.slots = yg_calloc(YG_MS_TAG, bigger.cap, sizeof(*bigger.slots));
    for (uint32_t i = 0; i < bigger.cap; i++)
        bigger.slots[i].id = YG_MS_NONE;
    for (uint32_t i = 0; i < t->cap; i++) {
        if (t->slots[i].id == YG_MS_NONE)
            continue;
        uint32_t at = t->slots[i].hash & (bigger.cap - 1);
        while (bigger.slots[at].id != YG_MS_NONE)
            at = (at + 1) & (bigger.cap - 1);
        bigger.slots[at] = t->slots[i];
    }
    yg_free(YG_MS_TAG, t->slots);
    *t = bigger;
}

static void hslots_put(struct yg_hslots *t, uint32_t hash, uint32_t id) {
    if ((t->len + 1) * 4 > t->cap * 3)
        hslots_grow(t);
    uint32_t at = hash & (t->cap - 1);
    while (t->slots[at].id != YG_MS_NONE)
        at = (at + 1) & (t->cap - 1);
    t->slots[at].hash = hash;
    t->slots[at].id = id;
    t->len++;
}

// Backward-shift removal keeps probe runs whole.
static void hslots_remove(struct yg_hslots *t, uint32_t hash, uint32_t id) {
    uint32_t mask = t->cap - 1, at = hash & mask;
    while (t->slots[at].id != id) {
        YG_ASSERT(t->slots[at].id != YG_MS_NONE);
        at = (at + 1) & mask;
    }
    for (uint32_t next = (at + 1) & mask; t->slots[next].id != YG_MS_NONE;
         next = (next + 1) & mask) {
        uint32_t home = t->slots[next].hash & mask;
        if (((next - home) & mask) >= ((next - at) & mask)) {
            t->slots[at] = t->slots[next];
            at = next;
        }
    }
    t->slots[at].id = YG_MS_NONE;
    t->len--;
}

static uint32_t hash_series(uint32_t metric, uint32_t tagset, uint32_t type) {
    return (uint32_t)yg_hash_u64(((uint64_t)metric << 32 | tagset) * 4 + type);
}

// ------------------------------------------------------------ lookups

struct yg_mseries *yg_mreg_series(const struct yg_mreg *r, uint32_t id) {
    if (id >= r->series_len)
        return NULL;
    struct yg_mseries *chunk = r->series[id / YG_MREG_CHUNK];
    if (chunk == NULL || chunk[id % YG_MREG_CHUNK].metric == YG_MS_NONE)
        return NULL;
    return &chunk[id % YG_MREG_CHUNK];
}

yg_str yg_mreg_tags(const struct yg_mreg *r, uint32_t tagset) {
    YG_ASSERT(tagset < r->tagset_len);
    return r->tagsets[tagset / YG_MREG_CHUNK][tagset % YG_MREG_CHUNK];
}

struct yg_mname *yg_mreg_name(const struct yg_mreg *r, yg_str name) {
    const uint64_t *at = yg_map_get(&r->by_name, name);
    return at ? r->names[*at] : NULL;
}

static uint32_t find_tagset(const struct yg_mreg *r, yg_str tags, uint32_t hash) {
    const struct yg_hslots *t = &r->by_tagset;
    if (t->cap == 0)
        return YG_MS_NONE;
    for (uint32_t at = hash & (t->cap - 1); t->slots[at].id != YG_MS_NONE;
         at = (at + 1) & (t->cap - 1))
        if (t->slots[at].hash == hash && yg_str_eq(yg_mreg_tags(r, t->slots[at].id), tags))
            return t->slots[at].id;
    return YG_MS_NONE;
}

static uint32_t find_series(const struct yg_mreg *r, uint32_t metric, uint32_t tagset,
                            uint32_t type) {
    const struct yg_hslots *t = &r->by_series;
    if (t->cap == 0)
        return YG_MS_NONE;
    uint32_t hash = hash_series(metric, tagset, type);
    for (uint32_t at = hash & (t->cap - 1); t->slots[at].id != YG_MS_NONE;
         at = (at + 1) & (t->cap - 1)) {
        if (t->slots[at].hash != hash)
            continue;
        const struct yg_mseries *s = yg_mreg_series(r, t->slots[at].id);
        if (s->metric == metric && s->tagset == tagset && s->type == type)
            return t->slots[at].id;
    }
    return YG_MS_NONE;
}

static uint32_t find_point_series(const struct yg_mreg *r, const struct yg_point_series *ps) {
    const struct yg_mname *name = yg_mreg_name(r, ps->name);
    if (name == NULL)
        return YG_MS_NONE;
    uint32_t tagset = find_tagset(r, ps->tags, (uint32_t)yg_hash_str(ps->tags));
    if (tagset == YG_MS_NONE)
        return YG_MS_NONE;
    return find_series(r, name->id, tagset, (uint32_t)ps->type);
}

// ------------------------------------------------------------ making

static const uint32_t *posting_items(const struct yg_posting *p) {
    return p->cap > 0 ? p->many : &p->one;
}

static void posting_add(struct yg_posting *p, uint32_t id) {
    if (p->len > 0 && posting_items(p)[p->len - 1] == id)
        return;
    if (p->len == 0) {
        p->one = id;
        p->len = 1;
        return;
    }
    if (p->len == 1 && p->cap == 0) {
        uint32_t one = p->one;
        p->cap = 4;
        p->many = yg_alloc(YG_MS_TAG, p->cap * sizeof(*p->many));
        p->many[0] = one;
    }
    YG_GROW(YG_MS_TAG, p->many, p->len, p->cap);
    p->many[p->len++] = id;
}

static uint32_t intern_tagset(struct yg_mreg *r, yg_str tags) {
    uint32_t hash = (uint32_t)yg_hash_str(tags);
    uint32_t id = find_tagset(r, tags, hash);
    if (id != YG_MS_NONE)
        return id;
    id = r->tagset_len++;
    if (id / YG_MREG_CHUNK >= r->tagset_chunks) {
        r->tagsets =
            yg_realloc(YG_MS_TAG, r->tagsets, (r->tagset_chunks + 1) * sizeof(*r->tagsets));
        r->tagsets[r->tagset_chunks++] = yg_calloc(YG_MS_TAG, YG_MREG_CHUNK, sizeof(yg_str));
    }
    yg_str text = keep_text(r, tags);
    r->tagsets[id / YG_MREG_CHUNK][id % YG_MREG_CHUNK] = text;
    hslots_put(&r->by_tagset, hash, id);
    yg_str rest = text, tag;
    while (rest.len > 0 && yg_str_split(&rest, ',', &tag)) {
        bool fresh;
        uint64_t *at = yg_map_put(&r->by_tag, tag, &fresh);
        if (fresh) {
            YG_GROW(YG_MS_TAG, r->postings, r->posting_len, r->posting_cap);
            r->postings[r->posting_len] = (struct yg_posting){0};
            *at = r->posting_len++;
        }
        posting_add(&r->postings[*at], id);
    }
    return id;
}

static struct yg_mname *make_name(struct yg_mreg *r, uint32_t id, yg_str name) {
    while (r->name_len <= id) {
        YG_GROW(YG_MS_TAG, r->names, r->name_len, r->name_cap);
        r->names[r->name_len++] = NULL;
    }
    if (r->names[id] != NULL)
        return r->names[id];
    struct yg_mname *n = yg_calloc(YG_MS_TAG, 1, sizeof(*n));
    n->id = id;
    n->name = keep_text(r, name);
    r->names[id] = n;
    *yg_map_put(&r->by_name, n->name, NULL) = id;
    return n;
}

static void reserve_series(struct yg_mreg *r, uint32_t len) {
    uint32_t chunks = (uint32_t)(((uint64_t)len + YG_MREG_CHUNK - 1) / YG_MREG_CHUNK);
    if (chunks > r->series_chunks) {
        uint32_t cap = chunks > r->series_chunks * 2 ? chunks : r->series_chunks * 2;
        r->series = yg_realloc(YG_MS_TAG, r->series, cap * sizeof(*r->series));
        memset(r->series + r->series_chunks, 0, (cap - r->series_chunks) * sizeof(*r->series));
        r->series_chunks = cap;
    }
    r->series_len = len > r->series_len ? len : r->series_len;
}

static struct yg_mseries *series_place(struct yg_mreg *r, uint32_t id) {
    reserve_series(r, id + 1);
    struct yg_mseries **chunk = &r->series[id / YG_MREG_CHUNK];
    if (*chunk == NULL) {
        *chunk = yg_calloc(YG_MS_TAG, YG_MREG_CHUNK, sizeof(**chunk));
        for (uint32_t i = 0; i < YG_MREG_CHUNK; i++)
            (*chunk)[i].metric = YG_MS_NONE;
    }
    return &(*chunk)[id % YG_MREG_CHUNK];
}

static void insert_sorted(struct yg_mname *n, uint32_t id) {
    YG_GROW(YG_MS_TAG, n->series, n->len, n->cap);
    uint32_t at = n->len;
    while (at > 0 && n->series[at - 1] > id)
        at--;
    memmove(n->series + at + 1, n->series + at, (n->len - at) * sizeof(*n->series));
    n->series[at] = id;
    n->len++;
}

static void make_series(struct yg_mreg *r, uint32_t id, struct yg_mname *n, uint32_t tagset,
                        enum yg_metric_type type, uint32_t interval_s) {
    struct yg_mseries *s = series_place(r, id);
    s->metric = n->id;
    s->tagset = tagset;
    s->type = (uint8_t)type;
    s->dead = false;
    atomic_store_explicit(&s->interval_s, interval_s, memory_order_relaxed);
    hslots_put(&r->by_series, hash_series(n->id, tagset, (uint32_t)type), id);
    insert_sorted(n, id);
    r->series_live++;
}

// What a sender says about the metric: the newest word counts.
static void update_name(struct yg_mreg *r, struct yg_mname *n, const struct yg_point_series *ps) {
    bool changed = n->type != ps->type;
    n->type = ps->type;
    if (ps->interval_s != 0 && n->interval_s != ps->interval_s) {
        n->interval_s = ps->interval_s;
        changed = true;
    }
    if (ps->unit.len > 0 && !yg_str_eq(n->unit, ps->unit)) {
        n->unit = keep_text(r, ps->unit);
        changed = true;
    }
    if (changed) {
        n->logged = false;
        r->names_dirty = true;
    }
}

static uint32_t make_point_series(struct yg_mreg *r, const struct yg_point_series *ps) {
    uint32_t id = find_point_series(r, ps);
    if (id != YG_MS_NONE)
        return id;
    uint32_t most =
        r->series_max + (yg_str_starts(ps->name, YG_STR("yagura.")) ? YG_MS_OWN_SERIES : 0);
    if (r->series_active >= most || r->series_live / YG_MS_LIVE_FACTOR >= most ||
        r->series_len >= YG_MS_SERIES_ID_MAX || r->name_len >= YG_MS_NAME_ID_MAX) {
        return YG_MS_REFUSED;
    }
    struct yg_mname *n = yg_mreg_name(r, ps->name);
    if (n != NULL && (n->active >= r->series_per_metric_max ||
                      n->len / YG_MS_LIVE_FACTOR >= r->series_per_metric_max)) {
        return YG_MS_REFUSED_METRIC;
    }
    if (n == NULL) {
        n = make_name(r, r->name_len, ps->name);
        n->type = ps->type;
        r->names_dirty = true;
    }
    id = r->series_len;
    make_series(r, id, n, intern_tagset(r, ps->tags), ps->type, ps->interval_s);
    r->series_active++;
    n->active++;
    update_name(r, n, ps);
    return id;
}

static bool name_is_current(const struct yg_mreg *r, const struct yg_point_series *ps) {
    const struct yg_mname *n = yg_mreg_name(r, ps->name);
    return n != NULL && n->type == ps->type &&
           (ps->interval_s == 0 || ps->interval_s == n->interval_s) &&
           (ps->unit.len == 0 || yg_str_eq(ps->unit, n->unit));
}

void yg_mreg_resolve(struct yg_mreg *r, const struct yg_point_series *series, uint32_t count,
                     uint32_t *ret_ids) {
    uint32_t missing = 0;
    pthread_rwlock_rdlock(&r->lock);
    for (uint32_t i = 0; i < count; i++) {
        ret_ids[i] = find_point_series(r, &series[i]);
        if (ret_ids[i] != YG_MS_NONE && series[i].interval_s != 0)
            atomic_store_explicit(&yg_mreg_series(r, ret_ids[i])->interval_s, series[i].interval_s,
                                  memory_order_relaxed);
        missing += ret_ids[i] == YG_MS_NONE || !name_is_current(r, &series[i]);
    }
    pthread_rwlock_unlock(&r->lock);
    if (missing == 0)
        return;
    pthread_rwlock_wrlock(&r->lock);
    for (uint32_t i = 0; i < count; i++) {
        if (ret_ids[i] == YG_MS_NONE)
            ret_ids[i] = make_point_series(r, &series[i]);
        else
            update_name(r, yg_mreg_name(r, series[i].name), &series[i]);
    }
    pthread_rwlock_unlock(&r->lock);
}

bool yg_mreg_unit_set(struct yg_mreg *r, yg_str name, yg_str unit) {
    pthread_rwlock_wrlock(&r->lock);
    struct yg_mname *n = yg_mreg_name(r, name);
    if (n != NULL && !yg_str_eq(n->unit, unit)) {
        n->unit = keep_text(r, unit);
        n->logged = false;
        r->names_dirty = true;
    }
    pthread_rwlock_unlock(&r->lock);
    return n != NULL;
}

// ------------------------------------------------------------ loading

void yg_mreg_load_name(struct yg_mreg *r, uint32_t id, yg_str name, enum yg_metric_type type,
                       uint32_t interval_s, yg_str unit) {
    struct yg_mname *n = yg_mreg_name(r, name);
    if (n == NULL)
        n = make_name(r, id, name);
    n->type = type;
    n->interval_s = interval_s;
    if (!yg_str_eq(n->unit, unit))
        n->unit = keep_text(r, unit);
    n->logged = true;
}

static void bury(struct yg_mreg *r, struct yg_mname *n, uint32_t id) {
    struct yg_mseries *s = yg_mreg_series(r, id);
    s->dead = true;
    hslots_remove(&r->by_series, hash_series(n->id, s->tagset, s->type), id);
    r->series_live--;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->len; i++)
        if (n->series[i] != id)
            n->series[kept++] = n->series[i];
    n->len = kept;
}

void yg_mreg_load_series(struct yg_mreg *r, uint32_t id, uint32_t metric, enum yg_metric_type type,
                         uint32_t interval_s, yg_str tags) {
    if (yg_mreg_series(r, id) != NULL || metric >= r->name_len || r->names[metric] == NULL)
        return;
    uint32_t tagset = intern_tagset(r, tags);
    uint32_t before = find_series(r, metric, tagset, (uint32_t)type);
    if (before != YG_MS_NONE) // it had aged out and came back under a new id
        bury(r, r->names[metric], before);
    make_series(r, id, r->names[metric], tagset, type, interval_s);
}

void yg_mreg_reserve(struct yg_mreg *r, uint32_t series_len, uint32_t name_len) {
    reserve_series(r, series_len);
    while (r->name_len < name_len) {
        YG_GROW(YG_MS_TAG, r->names, r->name_len, r->name_cap);
        r->names[r->name_len++] = NULL;
    }
}

// ------------------------------------------------------------ matching

// The posting list of the rarest tag that every match must have; NULL when the scope demands none.
static const struct yg_posting *rarest(const struct yg_mreg *r, const struct yg_node *n,
                                       bool *ret_nothing) {
    static const struct yg_posting empty;
    if (n->kind == YG_NODE_TERM) {
        char text[512];
        size_t key = n->field.name.len;
        if (key + n->text.len + 1 > sizeof(text))
            return NULL;
        memcpy(text, n->field.name.ptr ? n->field.name.ptr : "", key);
        if (key > 0)
            text[key++] = ':';
        memcpy(text + key, n->text.ptr ? n->text.ptr : "", n->text.len);
        const uint64_t *at = yg_map_get(&r->by_tag, yg_str_n(text, key + n->text.len));
        *ret_nothing |= at == NULL;
        return at ? &r->postings[*at] : &empty;
    }
    if (n->kind != YG_NODE_AND)
        return NULL;
    const struct yg_posting *best = NULL;
    for (uint32_t i = 0; i < n->child_count && !*ret_nothing; i++) {
        if (n->children[i]->kind != YG_NODE_TERM)
            continue;
        const struct yg_posting *p = rarest(r, n->children[i], ret_nothing);
        if (p != NULL && (best == NULL || p->len < best->len))
            best = p;
    }
    return best;
}

static int cmp_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t *match_posting(const struct yg_mreg *r, const struct yg_mname *name,
                               const struct yg_posting *p, const struct yg_node *scope,
                               uint32_t *ret_count) {
    uint32_t *ids = NULL, len = 0, cap = 0;
    const uint32_t *tagsets = posting_items(p);
    for (uint32_t i = 0; i < p->len; i++) {
        bool asked = false, good = false;
        for (uint32_t type = 0; type < YG_METRIC_TYPE_COUNT; type++) {
            uint32_t id = find_series(r, name->id, tagsets[i], type);
            if (id == YG_MS_NONE)
                continue;
            if (!asked)
                good = yg_tags_match(scope, yg_mreg_tags(r, tagsets[i]));
            asked = true;
            if (!good)
                break;
            YG_GROW(YG_MS_TAG, ids, len, cap);
            ids[len++] = id;
        }
    }
    if (len > 1)
        qsort(ids, len, sizeof(*ids), cmp_u32);
    *ret_count = len;
    return ids;
}

uint32_t *yg_mreg_match(struct yg_mreg *r, const struct yg_mname *name, const struct yg_node *scope,
                        uint32_t *ret_count) {
    *ret_count = 0;
    bool nothing = false;
    const struct yg_posting *p = scope ? rarest(r, scope, &nothing) : NULL;
    if (nothing || name->len == 0)
        return NULL;
    if (p != NULL && p->len < name->len)
        return match_posting(r, name, p, scope, ret_count);
    uint32_t *ids = yg_alloc(YG_MS_TAG, name->len * sizeof(*ids));
    uint32_t len = 0;
    for (uint32_t i = 0; i < name->len; i++) {
        const struct yg_mseries *s = yg_mreg_series(r, name->series[i]);
        if (scope == NULL || yg_tags_match(scope, yg_mreg_tags(r, s->tagset)))
            ids[len++] = name->series[i];
    }
    *ret_count = len;
    return ids;
}

void yg_mreg_count_active(struct yg_mreg *r, uint32_t since_bucket) {
    pthread_rwlock_wrlock(&r->lock);
    r->series_active = 0;
    for (uint32_t m = 0; m < r->name_len; m++) {
        struct yg_mname *n = r->names[m];
        if (n == NULL)
            continue;
        n->active = 0;
        for (uint32_t i = 0; i < n->len; i++)
            n->active += atomic_load_explicit(&yg_mreg_series(r, n->series[i])->last_bucket,
                                              memory_order_relaxed) >= since_bucket;
        r->series_active += n->active;
    }
    pthread_rwlock_unlock(&r->lock);
}

void yg_mreg_expire(struct yg_mreg *r, uint32_t before_bucket) {
    pthread_rwlock_wrlock(&r->lock);
    for (uint32_t m = 0; m < r->name_len; m++) {
        struct yg_mname *n = r->names[m];
        uint32_t kept = 0;
        for (uint32_t i = 0; n != NULL && i < n->len; i++) {
            uint32_t id = n->series[i];
            struct yg_mseries *s = yg_mreg_series(r, id);
            if (atomic_load_explicit(&s->last_bucket, memory_order_relaxed) >= before_bucket) {
                n->series[kept++] = id;
                continue;
            }
            s->dead = true;
            hslots_remove(&r->by_series, hash_series(m, s->tagset, s->type), id);
            r->series_live--;
        }
        if (n != NULL)
            n->len = kept;
    }
    pthread_rwlock_unlock(&r->lock);
}

// ------------------------------------------------------------ life

void yg_mreg_init(struct yg_mreg *r, uint32_t series_max, uint32_t series_per_metric_max) {
    *r = (struct yg_mreg){
        .series_max = series_max ? series_max : YG_MS_SERIES_MAX,
        .series_per_metric_max =
            series_per_metric_max ? series_per_metric_max : YG_MS_SERIES_PER_METRIC_MAX,
        .by_name = YG_MAP(YG_MS_TAG, false),
        .by_tag = YG_MAP(YG_MS_TAG, false),
        .refused_total = yg_counter_get(YG_COUNTER, "yagura.metrics.refused", "reason:series_max"),
        .refused_metric =
            yg_counter_get(YG_COUNTER, "yagura.metrics.refused", "reason:series_per_metric_max"),
    };
    pthread_rwlock_init(&r->lock, NULL);
}

void yg_mreg_fini(struct yg_mreg *r) {
    for (uint32_t i = 0; i < r->name_len; i++) {
        if (r->names[i] != NULL)
            yg_free(YG_MS_TAG, r->names[i]->series);
        yg_free(YG_MS_TAG, r->names[i]);
    }
    for (uint32_t i = 0; i < r->series_chunks; i++)
        yg_free(YG_MS_TAG, r->series[i]);
    for (uint32_t i = 0; i < r->tagset_chunks; i++)
        yg_free(YG_MS_TAG, r->tagsets[i]);
    for (uint32_t i = 0; i < r->posting_len; i++)
        if (r->postings[i].cap > 0)
            yg_free(YG_MS_TAG, r->postings[i].many);
    yg_free(YG_MS_TAG, r->names);
    yg_free(YG_MS_TAG, r->series);
    yg_free(YG_MS_TAG, r->tagsets);
    yg_free(YG_MS_TAG, r->postings);
    yg_free(YG_MS_TAG, r->by_tagset.slots);
    yg_free(YG_MS_TAG, r->by_series.slots);
    yg_map_fini(&r->by_name);
    yg_map_fini(&r->by_tag);
    yg_bump_fini(&r->texts);
    pthread_rwlock_destroy(&r->lock);
}
