// SPDX-License-Identifier: Apache-2.0
// The cache of partial results. Keys are a segment, a run of its granules and a plan; segments
// never change (a deletion that hides rows is part of the key), so nothing is ever invalidated:
// partials of merged segments are not asked for again and fall out. One lock; partials are counted
// references, so readers add them up outside it.
#include "query/events_cache.h"

#include "base/counter.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/panic.h"

#define SLOTS 65536u
#define BYTES_DEFAULT ((int64_t)64 << 20)

struct yg_partials {
    pthread_mutex_t lock;
    struct yg_partial **slots; // [SLOTS]
    struct yg_partial *newest, *oldest;
    size_t bytes;
    struct yg_counter *hits, *misses, *size;
};

static void destroy(void *arg) {
    struct yg_partials *p = arg;
    yg_partials_clear(p);
    pthread_mutex_destroy(&p->lock);
    yg_free(YG_MEM_CACHE, p->slots);
    yg_free(YG_MEM_CACHE, p);
}

static void *create(void) {
    struct yg_partials *p = yg_calloc(YG_MEM_CACHE, 1, sizeof(*p));
    pthread_mutex_init(&p->lock, NULL);
    p->slots = yg_calloc(YG_MEM_CACHE, SLOTS, sizeof(struct yg_partial *));
    p->hits = yg_counter_get(YG_COUNTER, "yagura.query.partials", "outcome:hit");
    p->misses = yg_counter_get(YG_COUNTER, "yagura.query.partials", "outcome:miss");
    p->size = yg_counter_get(YG_GAUGE, "yagura.query.partials_bytes", "");
    return p;
}

struct yg_partials *yg_partials_of(struct yg_store *store) {
    return yg_store_attached(store, create, destroy);
}

void yg_partial_unref(struct yg_partial *partial) {
    if (atomic_fetch_sub_explicit(&partial->refs, 1, memory_order_acq_rel) == 1)
        yg_free(YG_MEM_CACHE, partial);
}

static struct yg_partial **slot_of(struct yg_partials *p, const struct yg_partial_key *key) {
    uint64_t h = yg_hash_u64(key->segment_id ^ key->plan[0]) + key->run;
    return &p->slots[h & (SLOTS - 1)];
}

static bool same(const struct yg_partial_key *a, const struct yg_partial_key *b) {
    return a->segment_id == b->segment_id && a->hidden == b->hidden && a->plan[0] == b->plan[0] &&
           a->plan[1] == b->plan[1] && a->run == b->run;
}

static void unlink_age(struct yg_partials *p, struct yg_partial *e) {
    *(e->newer ? &e->newer->older : &p->newest) = e->older;
    *(e->older ? &e->older->newer : &p->oldest) = e->newer;
}

static void link_newest(struct yg_partials *p, struct yg_partial *e) {
    e->newer = NULL;
    e->older = p->newest;
    *(p->newest ? &p->newest->newer : &p->oldest) = e;
    p->newest = e;
}

static size_t bytes_of(const struct yg_partial *e) {
    return sizeof(*e) + e->bytes;
}

static void drop(struct yg_partials *p, struct yg_partial *e) {
    struct yg_partial **at = slot_of(p, &e->key);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    unlink_age(p, e);
    p->bytes -= bytes_of(e);
    yg_partial_unref(e);
}

struct yg_partial *yg_partials_get(struct yg_partials *p, const struct yg_partial_key *key) {
    pthread_mutex_lock(&p->lock);
    struct yg_partial *e = *slot_of(p, key);
    while (e && !same(&e->key, key))
        e = e->next;
    if (e) {
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        unlink_age(p, e);
        link_newest(p, e);
    }
    pthread_mutex_unlock(&p->lock);
    yg_counter_add(e ? p->hits : p->misses, 1);
    return e;
}

void yg_partials_put(struct yg_partials *p, const struct yg_partial_key *key, yg_str data,
                     uint64_t rows_scanned, uint64_t rows_matched) {
    int64_t room = yg_mem_limit(YG_MEM_CACHE);
    size_t limit = (size_t)(room > 0 ? room / 2 : BYTES_DEFAULT);
    struct yg_partial *e = yg_try_alloc(YG_MEM_CACHE, sizeof(*e) + data.len);
    if (e == NULL)
        return; // nothing lost but time
    *e = (struct yg_partial){
        .key = *key, .rows_scanned = rows_scanned, .rows_matched = rows_matched, .bytes = data.len};
    atomic_init(&e->refs, 1);
    memcpy(e->data, data.ptr, data.len);
    pthread_mutex_lock(&p->lock);
    struct yg_partial **at = slot_of(p, key);
    for (struct yg_partial *old = *at; old; old = old->next)
        if (same(&old->key, key)) { // another query was faster
            drop(p, old);
            break;
        }
    e->next = *at;
    *at = e;
    link_newest(p, e);
    p->bytes += bytes_of(e);
    while (p->bytes > limit && p->oldest != NULL)
        drop(p, p->oldest);
    yg_counter_set(p->size, (int64_t)p->bytes);
    pthread_mutex_unlock(&p->lock);
}

void yg_partials_clear(struct yg_partials *p) {
    pthread_mutex_lock(&p->lock);
    while (p->oldest)
        drop(p, p->oldest);
    yg_counter_set(p->size, 0);
    pthread_mutex_unlock(&p->lock);
}
