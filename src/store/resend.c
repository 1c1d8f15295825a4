// SPDX-License-Identifier: Apache-2.0
// The resend rule: digests of bodies that were stored but whose answers are not known to have been
// delivered, for 15 minutes. Kept in memory and, through the WAL's own frames, over restarts.
#include "base/hash.h"
#include "base/panic.h"
#include "store/store_int.h"

#define SLOTS_FIRST 1024u
#define DIGESTS_MAX (1u << 20) // then nothing more is remembered until some expire
#define MARKS_MAX 4096u        // delivered marks that wait for the WAL

void yg_resend_init(struct yg_resend *r) {
    *r = (struct yg_resend){0};
    pthread_mutex_init(&r->lock, NULL);
}

void yg_resend_fini(struct yg_resend *r) {
    yg_free(YG_MEM_STORE, r->slots);
    yg_free(YG_MEM_STORE, r->marks);
    pthread_mutex_destroy(&r->lock);
}

static uint32_t home(const struct yg_resend *r, const uint8_t *digest) {
    uint32_t h;
    memcpy(&h, digest, sizeof(h)); // a digest is a hash already
    return h & (r->cap - 1);
}

// The digest's slot, or the free one where it belongs.
static struct yg_resend_slot *find(const struct yg_resend *r, const uint8_t *digest) {
    uint32_t at = home(r, digest);
    while (r->slots[at].seen_ns && memcmp(r->slots[at].digest, digest, YG_DIGEST_BYTES) != 0)
        at = (at + 1) & (r->cap - 1);
    return &r->slots[at];
}

static void rebuild(struct yg_resend *r, uint32_t cap, int64_t from_ns) {
    struct yg_resend_slot *old = r->slots;
    uint32_t old_cap = r->cap;
    r->slots = yg_calloc(YG_MEM_STORE, cap, sizeof(*r->slots));
    r->cap = cap;
    r->len = 0;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i].seen_ns && old[i].seen_ns >= from_ns) {
            *find(r, old[i].digest) = old[i];
            r->len++;
        }
    yg_free(YG_MEM_STORE, old);
}

static void note_locked(struct yg_resend *r, const uint8_t *digest, int64_t seen_ns) {
    if (r->len >= DIGESTS_MAX)
        return;
    if (r->len >= r->cap / 2)
        rebuild(r, r->cap ? r->cap * 2 : SLOTS_FIRST, INT64_MIN);
    struct yg_resend_slot *s = find(r, digest);
    r->len += s->seen_ns == 0;
    memcpy(s->digest, digest, YG_DIGEST_BYTES);
    s->seen_ns = seen_ns > 0 ? seen_ns : 1;
}

static bool forget_locked(struct yg_resend *r, const uint8_t *digest) {
    if (r->len == 0)
        return false;
    struct yg_resend_slot *s = find(r, digest);
    if (s->seen_ns == 0)
        return false;
    uint32_t mask = r->cap - 1, hole = (uint32_t)(s - r->slots);
    for (uint32_t i = (hole + 1) & mask; r->slots[i].seen_ns; i = (i + 1) & mask)
        if (((i - home(r, r->slots[i].digest)) & mask) >= ((i - hole) & mask)) {
            r->slots[hole] = r->slots[i];
            hole = i;
        }
    r->slots[hole].seen_ns = 0;
    r->len--;
    return true;
}

void yg_resend_note(struct yg_resend *r, const uint8_t *digest, int64_t seen_ns) {
    pthread_mutex_lock(&r->lock);
    note_locked(r, digest, seen_ns);
    pthread_mutex_unlock(&r->lock);
}

void yg_resend_expire(struct yg_resend *r, int64_t now_ns) {
    pthread_mutex_lock(&r->lock);
    if (r->len > 0)
        rebuild(r, r->cap, now_ns - YG_RESEND_NS);
    pthread_mutex_unlock(&r->lock);
}

bool yg_store_resend_seen(struct yg_store *store, yg_str digest16) {
    YG_CHECK(store, YG_STORE_MAGIC);
    if (digest16.len != YG_DIGEST_BYTES)
        return false;
    struct yg_resend *r = &store->resend;
    int64_t from = yg_now_ns(store->o.clock) - YG_RESEND_NS;
    pthread_mutex_lock(&r->lock);
    bool seen = false;
    if (r->len > 0) {
        const struct yg_resend_slot *s = find(r, (const uint8_t *)digest16.ptr);
        seen = s->seen_ns != 0 && s->seen_ns >= from;
    }
    pthread_mutex_unlock(&r->lock);
    return seen;
}

void yg_store_resend_delivered(struct yg_store *store, yg_str digest16) {
    YG_CHECK(store, YG_STORE_MAGIC);
    if (digest16.len != YG_DIGEST_BYTES)
        return;
    struct yg_resend *r = &store->resend;
    pthread_mutex_lock(&r->lock);
    bool first = false;
    if (forget_locked(r, (const uint8_t *)digest16.ptr) && r->mark_count < MARKS_MAX) {
        if (r->marks == NULL)
            r->marks = yg_alloc(YG_MEM_STORE, sizeof(*r->marks) * MARKS_MAX);
        memcpy(r->marks[r->mark_count], digest16.ptr, YG_DIGEST_BYTES);
        first = r->mark_count++ == 0;
    }
    pthread_mutex_unlock(&r->lock);
    if (first)
        yg_wal_poke(store->wal);
}

// ------------------------------------------------------------ frames of the WAL

struct saved_digest {
    uint8_t digest[YG_DIGEST_BYTES];
    int64_t seen_ns;
};
_Static_assert(sizeof(struct saved_digest) == 24, "a digest takes 24 bytes in a DIGESTS frame");

// count u64, then the entries: what is listed is all there is.
void yg_resend_fill_digests(void *arg, struct yg_buf *out) {
    struct yg_resend *r = &((struct yg_store *)arg)->resend;
    pthread_mutex_lock(&r->lock);
    uint64_t count = r->len;
    yg_buf_put(out, &count, sizeof(count));
    for (uint32_t i = 0; i < r->cap; i++)
        if (r->slots[i].seen_ns) {
            struct saved_digest d = {.seen_ns = r->slots[i].seen_ns};
            memcpy(d.digest, r->slots[i].digest, sizeof(d.digest));
            yg_buf_put(out, &d, sizeof(d));
        }
    r->mark_count = 0; // not in the list: no mark is needed
    pthread_mutex_unlock(&r->lock);
}

void yg_resend_fill_delivered(void *arg, struct yg_buf *out) {
    struct yg_resend *r = &((struct yg_store *)arg)->resend;
    pthread_mutex_lock(&r->lock);
    if (r->mark_count)
        yg_buf_put(out, r->marks, sizeof(*r->marks) * r->mark_count);
    r->mark_count = 0;
    pthread_mutex_unlock(&r->lock);
}

void yg_resend_replay(struct yg_resend *r, enum yg_wal_kind kind, yg_str payload) {
    pthread_mutex_lock(&r->lock);
    if (kind == YG_WAL_DELIVERED) {
        for (size_t at = 0; payload.len - at >= YG_DIGEST_BYTES; at += YG_DIGEST_BYTES)
            (void)forget_locked(r, (const uint8_t *)payload.ptr + at);
    } else if (kind == YG_WAL_DIGESTS && payload.len >= 8) {
        yg_free(YG_MEM_STORE, r->slots);
        r->slots = NULL;
        r->cap = r->len = 0;
        for (size_t at = 8; payload.len - at >= sizeof(struct saved_digest);
             at += sizeof(struct saved_digest)) {
            struct saved_digest d;
            memcpy(&d, payload.ptr + at, sizeof(d));
            note_locked(r, d.digest, d.seen_ns);
        }
    }
    pthread_mutex_unlock(&r->lock);
}
