// SPDX-License-Identifier: Apache-2.0
// Open traces: spans come in, idle traces go out as rows. See traces.h.
#include "store/traces.h"

#include "base/hash.h"
#include "base/panic.h"

#define ROW_BATCH_BYTES ((size_t)1 << 30)
#define POOL_BYTES_MAX (8u << 20) // then the texts that no open trace uses are dropped

struct yg_traces *yg_traces_create(struct yg_shard *sh) {
    struct yg_traces *t = yg_calloc(YG_MEM_TRACES, 1, sizeof(*t));
    t->shard = sh;
    t->free_first = t->oldest = t->newest = YG_TRACE_NONE;
    t->pool_index = YG_MAP(YG_MEM_TRACES, true);
    return t;
}

static void trace_fini(struct yg_open_trace *o) {
    yg_free(YG_MEM_TRACES, o->intervals);
    yg_free(YG_MEM_TRACES, o->repeats);
    yg_free(YG_MEM_TRACES, o->services);
}

void yg_traces_destroy(struct yg_traces *t) {
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->cap; i++)
        trace_fini(&t->open[i]);
    yg_traces_drop_near(t);
    yg_free(YG_MEM_TRACES, t->near);
    yg_free(YG_MEM_TRACES, t->open);
    yg_free(YG_MEM_TRACES, t->slots);
    yg_free(YG_MEM_TRACES, t->pool);
    yg_map_fini(&t->pool_index);
    yg_free(YG_MEM_TRACES, t);
}

static void account(struct yg_traces *t, int64_t bytes) {
    t->bytes += (uint64_t)bytes;
    atomic_fetch_add_explicit(&t->shard->store->trace_bytes, (uint64_t)bytes, memory_order_relaxed);
}

// ------------------------------------------------------------ texts

uint32_t yg_traces_text(struct yg_traces *t, yg_str text) {
    bool is_new;
    uint64_t *slot = yg_map_put(&t->pool_index, text, &is_new);
    if (!is_new)
        return (uint32_t)*slot - 1;
    // The map's slot begins with the key that it owns.
    struct yg_map_slot *whole =
        (struct yg_map_slot *)(void *)((char *)slot - offsetof(struct yg_map_slot, value));
    YG_GROW(YG_MEM_TRACES, t->pool, t->pool_len, t->pool_cap);
    *slot = t->pool_len + 1u;
    t->pool[t->pool_len] = whole->key;
    t->pool_bytes += text.len + 64;
    return t->pool_len++;
}

struct renew {
    struct yg_traces *t;
    yg_str *old;
};

static uint32_t renewed(struct renew *r, uint32_t id) {
    return id == YG_TRACE_NONE ? id : yg_traces_text(r->t, r->old[id]);
}

// Builds the pool again from what open traces use.
static void renew_pool(struct yg_traces *t) {
    struct yg_map index = t->pool_index;
    struct renew r = {t, t->pool};
    t->pool_index = YG_MAP(YG_MEM_TRACES, true);
    t->pool = NULL;
    t->pool_len = t->pool_cap = 0;
    t->pool_bytes = 0;
    for (uint32_t i = 0; i < t->cap; i++) {
        struct yg_open_trace *o = &t->open[i];
        if (!o->used)
            continue;
        struct yg_trace_face *f = &o->face;
        *f = (struct yg_trace_face){renewed(&r, f->service), renewed(&r, f->operation),
                                    renewed(&r, f->resource), renewed(&r, f->env),
                                    renewed(&r, f->status)};
        o->base_repeat = renewed(&r, o->base_repeat);
        for (uint32_t k = 0; k < o->repeat_count; k++) {
            o->repeats[k].operation = renewed(&r, o->repeats[k].operation);
            o->repeats[k].resource = renewed(&r, o->repeats[k].resource);
        }
        for (uint32_t k = 0; k < o->service_count; k++)
            o->services[k] = renewed(&r, o->services[k]);
    }
    yg_free(YG_MEM_TRACES, r.old);
    yg_map_fini(&index);
}

// ------------------------------------------------------------ table

static uint32_t home(const struct yg_traces *t, yg_id128 id) {
    return (uint32_t)yg_hash_u64(id.lo ^ id.hi * 0x9e3779b97f4a7c15u) & (t->slot_cap - 1);
}

static uint32_t *slot_of(const struct yg_traces *t, yg_id128 id) {
    uint32_t at = home(t, id);
    while (t->slots[at] && !yg_id128_eq(t->open[t->slots[at] - 1].id, id))
        at = (at + 1) & (t->slot_cap - 1);
    return &t->slots[at];
}

static void slots_grow(struct yg_traces *t) {
    yg_free(YG_MEM_TRACES, t->slots);
    t->slot_cap = t->slot_cap ? t->slot_cap * 2 : 256;
    t->slots = yg_calloc(YG_MEM_TRACES, t->slot_cap, sizeof(*t->slots));
    for (uint32_t i = 0; i < t->cap; i++)
        if (t->open[i].used)
            *slot_of(t, t->open[i].id) = i + 1;
}

static void slot_remove(struct yg_traces *t, yg_id128 id) {
    uint32_t mask = t->slot_cap - 1;
    uint32_t hole = (uint32_t)(slot_of(t, id) - t->slots);
    YG_ASSERT(t->slots[hole] != 0);
    for (uint32_t i = (hole + 1) & mask; t->slots[i]; i = (i + 1) & mask)
        if (((i - home(t, t->open[t->slots[i] - 1].id)) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    t->slots[hole] = 0;
}

static void list_remove(struct yg_traces *t, uint32_t idx) {
    struct yg_open_trace *o = &t->open[idx];
    *(o->older == YG_TRACE_NONE ? &t->oldest : &t->open[o->older].newer) = o->newer;
    *(o->newer == YG_TRACE_NONE ? &t->newest : &t->open[o->newer].older) = o->older;
}

static void list_append(struct yg_traces *t, uint32_t idx) {
    struct yg_open_trace *o = &t->open[idx];
    o->older = t->newest;
    o->newer = YG_TRACE_NONE;
    *(t->newest == YG_TRACE_NONE ? &t->oldest : &t->open[t->newest].newer) = idx;
    t->newest = idx;
}

static void table_grow(struct yg_traces *t) {
    uint32_t cap = t->cap ? t->cap * 2 : 64;
    t->open = yg_realloc(YG_MEM_TRACES, t->open, sizeof(*t->open) * cap);
    memset(t->open + t->cap, 0, sizeof(*t->open) * (cap - t->cap));
    for (uint32_t i = cap; i-- > t->cap;) {
        t->open[i].newer = t->free_first;
        t->free_first = i;
    }
    t->cap = cap;
}

uint32_t yg_traces_open(struct yg_traces *t, yg_id128 id, bool *ret_new) {
    // Most spans follow one of their own trace.
    uint32_t last = t->newest;
    if (last != YG_TRACE_NONE && t->open[last].id.lo == id.lo && t->open[last].id.hi == id.hi) {
        *ret_new = false;
        t->open[last].seen_mono_ns = t->now_mono_ns;
        return last;
    }
    if (t->count >= t->slot_cap / 2)
        slots_grow(t);
    uint32_t *slot = slot_of(t, id);
    int64_t now = t->now_mono_ns;
    *ret_new = *slot == 0;
    if (*slot) {
        uint32_t idx = *slot - 1;
        t->open[idx].seen_mono_ns = now;
        list_remove(t, idx);
        list_append(t, idx);
        return idx;
    }
    if (t->free_first == YG_TRACE_NONE)
        table_grow(t);
    uint32_t idx = t->free_first;
    t->free_first = t->open[idx].newer;
    t->open[idx] = (struct yg_open_trace){
        .id = id,
        .used = true,
        .start_ns = INT64_MAX,
        .end_ns = INT64_MIN,
        .face_start_ns = INT64_MAX,
        .face = {YG_TRACE_NONE, YG_TRACE_NONE, YG_TRACE_NONE, YG_TRACE_NONE, YG_TRACE_NONE},
        .base_repeat = YG_TRACE_NONE,
        .seen_mono_ns = now,
    };
    *slot = idx + 1;
    t->count++;
    list_append(t, idx);
    account(t, sizeof(struct yg_open_trace));
    atomic_fetch_add_explicit(&t->shard->store->open_traces, 1, memory_order_relaxed);
    return idx;
}

static void forget(struct yg_traces *t, uint32_t idx) {
    struct yg_open_trace *o = &t->open[idx];
    account(t, -(int64_t)(sizeof(*o) + o->interval_cap * sizeof(*o->intervals) +
                          o->repeat_cap * sizeof(*o->repeats) +
                          o->service_cap * sizeof(*o->services)));
    slot_remove(t, o->id);
    list_remove(t, idx);
    trace_fini(o);
    *o = (struct yg_open_trace){.newer = t->free_first};
    t->free_first = idx;
    t->count--;
    atomic_fetch_sub_explicit(&t->shard->store->open_traces, 1, memory_order_relaxed);
}

// ------------------------------------------------------------ one trace

#define GROW_COUNTED(arr, len, cap)                                                                \
    do {                                                                                           \
        uint32_t before_ = (cap);                                                                  \
        YG_GROW(YG_MEM_TRACES, arr, len, cap);                                                     \
        account(t, (int64_t)(((cap)-before_) * sizeof(*(arr))));                                   \
    } while (0)

void yg_traces_add_service(struct yg_traces *t, struct yg_open_trace *o, uint32_t service) {
    if (service == YG_TRACE_NONE || o->service_count >= YG_TRACE_SERVICES_MAX)
        return;
    for (uint32_t i = 0; i < o->service_count; i++)
        if (o->services[i] == service)
            return;
    GROW_COUNTED(o->services, o->service_count, o->service_cap);
    o->services[o->service_count++] = service;
}

void yg_traces_add_repeat(struct yg_traces *t, struct yg_open_trace *o, struct yg_repeat add) {
    for (uint32_t i = 0; i < o->repeat_count; i++) {
        struct yg_repeat *r = &o->repeats[i];
        if (r->operation == add.operation && r->resource == add.resource) {
            r->count += add.count;
            return;
        }
    }
    if (o->repeat_count >= YG_TRACE_REPEATS_MAX)
        return;
    GROW_COUNTED(o->repeats, o->repeat_count, o->repeat_cap);
    o->repeats[o->repeat_count++] = add;
}

static int by_start(const void *a, const void *b) {
    const struct yg_interval *x = a, *y = b;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

// Sorts and joins what overlaps.
static void join_intervals(struct yg_open_trace *o) {
    qsort(o->intervals, o->interval_count, sizeof(*o->intervals), by_start);
    uint32_t n = 0;
    for (uint32_t i = 1; i < o->interval_count; i++) {
        struct yg_interval *last = &o->intervals[n];
        if (o->intervals[i].start_ns <= last->end_ns) {
            if (o->intervals[i].end_ns > last->end_ns)
                last->end_ns = o->intervals[i].end_ns;
        } else {
            o->intervals[++n] = o->intervals[i];
        }
    }
    o->interval_count = o->interval_count ? n + 1 : 0;
}

void yg_traces_add_interval(struct yg_traces *t, struct yg_open_trace *o, struct yg_interval add) {
    if (o->interval_count >= YG_TRACE_INTERVALS_MAX)
        join_intervals(o);
    if (o->interval_count >= YG_TRACE_INTERVALS_MAX) { // truly that many islands: the last grows
        struct yg_interval *last = &o->intervals[o->interval_count - 1];
        last->end_ns = add.end_ns > last->end_ns ? add.end_ns : last->end_ns;
        return;
    }
    GROW_COUNTED(o->intervals, o->interval_count, o->interval_cap);
    o->intervals[o->interval_count++] = add;
}

// ------------------------------------------------------------ spans

// A column of the batch, walked in row order.
struct walk {
    const struct yg_batch_col *c;
    uint32_t k;
    uint32_t *texts; // dictionary code → pool id, filled on first use
};

enum {
    W_TRACE,
    W_TIME,
    W_DURATION,
    W_PARENT,
    W_SERVICE,
    W_OPERATION,
    W_RESOURCE,
    W_ENV,
    W_STATUS,
    W_COLD,
    W_COUNT
};

static const struct {
    const char *name;
    enum yg_type type;
} walk_cols[W_COUNT] = {
    [W_TRACE] = {YG_COL_TRACE_ID, YG_T_ID},     [W_TIME] = {YG_COL_TIME, YG_T_I64},
    [W_DURATION] = {YG_COL_DURATION, YG_T_I64}, [W_PARENT] = {YG_COL_PARENT_ID, YG_T_I64},
    [W_SERVICE] = {YG_COL_SERVICE, YG_T_STR},   [W_OPERATION] = {YG_COL_OPERATION, YG_T_STR},
    [W_RESOURCE] = {YG_COL_RESOURCE, YG_T_STR}, [W_ENV] = {YG_COL_ENV, YG_T_STR},
    [W_STATUS] = {YG_COL_STATUS, YG_T_STR},     [W_COLD] = {"@cold_start", YG_T_STR},
};

static bool walk_to(struct walk *w, uint32_t row) {
    if (w->c == NULL)
        return false;
    while (w->k < w->c->count && w->c->rows[w->k] < row)
        w->k++;
    return w->k < w->c->count && w->c->rows[w->k] == row;
}

static uint32_t walk_text(struct yg_traces *t, struct walk *w, uint32_t row) {
    if (!walk_to(w, row))
        return YG_TRACE_NONE;
    if (!w->c->interned)
        return yg_traces_text(t, w->c->strs[w->k]);
    uint32_t *known = &w->texts[w->c->codes[w->k]];
    if (*known == YG_TRACE_NONE)
        *known = yg_traces_text(t, w->c->dict[w->c->codes[w->k]]);
    return *known;
}

static int64_t walk_i64(struct walk *w, uint32_t row) {
    return walk_to(w, row) ? w->c->i64[w->k] : 0;
}

static void add_span(struct yg_traces *t, struct walk *w, uint32_t row, yg_id128 id) {
    int64_t start = walk_i64(&w[W_TIME], row);
    int64_t duration = walk_i64(&w[W_DURATION], row);
    int64_t end;
    if (duration < 0 || __builtin_add_overflow(start, duration, &end))
        end = start;
    bool is_new;
    uint32_t idx = yg_traces_open(t, id, &is_new);
    if (is_new)
        yg_traces_find_stored(t, idx, start, end, walk_i64(&w[W_PARENT], row) != 0);
    struct yg_open_trace *o = &t->open[idx];
    struct yg_trace_face face = {
        .service = walk_text(t, &w[W_SERVICE], row),
        .operation = walk_text(t, &w[W_OPERATION], row),
        .resource = walk_text(t, &w[W_RESOURCE], row),
        .env = walk_text(t, &w[W_ENV], row),
        .status = walk_text(t, &w[W_STATUS], row),
    };
    bool root = walk_i64(&w[W_PARENT], row) == 0;
    if ((root && !o->has_root) || (root == o->has_root && start < o->face_start_ns)) {
        o->face = face;
        o->face_start_ns = start;
        if (root)
            o->root_duration_ns = end - start;
    }
    o->has_root |= root;
    o->start_ns = start < o->start_ns ? start : o->start_ns;
    o->end_ns = end > o->end_ns ? end : o->end_ns;
    o->span_count++;
    o->error_count += yg_str_eq_c(yg_traces_str(t, face.status), "error");
    o->cold_start |= (walk_to(&w[W_COLD], row) &&
                      yg_str_eq_c(yg_batch_col_str(w[W_COLD].c, w[W_COLD].k), "true")) ||
                     yg_str_eq_c(yg_traces_str(t, face.operation), "aws.lambda.cold_start");
    yg_traces_add_service(t, o, face.service);
    yg_traces_add_repeat(t, o, (struct yg_repeat){face.operation, face.resource, 1});
    if (!root)
        yg_traces_add_interval(t, o, (struct yg_interval){start, end});
}

static void close_for_room(struct yg_traces *t);

void yg_traces_apply(struct yg_traces *t, const struct yg_columns_part *part) {
    const struct yg_batch *b = part->batch;
    struct walk w[W_COUNT];
    for (int i = 0; i < W_COUNT; i++) {
        w[i] = (struct walk){yg_batch_find(b, yg_str_c(walk_cols[i].name), walk_cols[i].type), 0,
                             NULL};
        if (walk_cols[i].type == YG_T_STR && w[i].c && w[i].c->interned) {
            size_t bytes = sizeof(uint32_t) * (w[i].c->dict_count + 1u);
            w[i].texts = yg_alloc(YG_MEM_TRACES, bytes);
            memset(w[i].texts, 0xff, bytes);
        }
    }
    if (t->pool_bytes > POOL_BYTES_MAX)
        renew_pool(t);
    t->now_mono_ns = yg_mono_ns(t->shard->store->o.clock);
    for (uint32_t k = 0; w[W_TRACE].c && k < w[W_TRACE].c->count; k++) {
        uint32_t row = w[W_TRACE].c->rows[k];
        if (part->remap == NULL || part->remap[row] != YG_COLUMN_NONE)
            add_span(t, w, row, w[W_TRACE].c->ids[k]);
    }
    for (int i = 0; i < W_COUNT; i++)
        yg_free(YG_MEM_TRACES, w[i].texts);
    close_for_room(t);
}

// ------------------------------------------------------------ closing

static void note_late(struct yg_shard *sh, const struct yg_open_trace *o) {
    YG_GROW(YG_MEM_TRACES, sh->late, sh->late_count, sh->late_cap);
    sh->late[sh->late_count++] = (struct yg_trace_version){
        .id = o->id, .version = o->span_count, .day = yg_day_of_ns(o->start_ns)};
}

// Closes the longest idle traces while `more` says so. Rows go into one batch.
static void close_while(struct yg_traces *t, bool (*more)(struct yg_traces *t, int64_t mono_ns),
                        int64_t mono_ns) {
    struct yg_batch *b = NULL;
    struct yg_err err = {0};
    while (t->oldest != YG_TRACE_NONE && more(t, mono_ns)) {
        struct yg_open_trace *o = &t->open[t->oldest];
        if (b == NULL && (b = yg_batch_create(YG_TRACK_TRACES, ROW_BATCH_BYTES)) == NULL)
            break;
        if (b->row_count >= YG_SEAL_ROWS || yg_traces_put_row(t, o, b, &err) != YG_OK)
            break;
        if (o->stored_version)
            note_late(t->shard, o);
        yg_traces_note_closed(t, o->id);
        forget(t, t->oldest);
    }
    if (b && b->row_count > 0)
        yg_shard_add_own(t->shard, b);
    else
        yg_batch_destroy(b);
}

static bool is_idle(struct yg_traces *t, int64_t mono_ns) {
    return mono_ns - t->open[t->oldest].seen_mono_ns >=
           t->shard->store->o.trace_idle_ms * YG_NS_PER_MS;
}

static bool any(struct yg_traces *t, int64_t mono_ns) {
    (void)t;
    (void)mono_ns;
    return true;
}

static uint64_t share(const struct yg_traces *t) {
    return YG_TRACES_BYTES_MAX / t->shard->store->shard_count;
}

static bool over_share(struct yg_traces *t, int64_t mono_ns) {
    (void)mono_ns;
    return t->bytes > share(t) / 8 * 7; // some room at once, so that rows come in batches
}

static void close_for_room(struct yg_traces *t) {
    if (t->bytes > share(t))
        close_while(t, over_share, 0);
}

void yg_traces_close_idle(struct yg_traces *t, int64_t mono_ns, bool all) {
    close_while(t, all ? any : is_idle, mono_ns);
    if (t->count == 0 && t->near_count)
        yg_traces_drop_near(t);
}

yg_rc yg_traces_provisional(struct yg_traces *t, struct yg_batch **ret_batch, struct yg_err *err) {
    *ret_batch = NULL;
    if (t->count == 0)
        return YG_OK;
    struct yg_batch *b = yg_batch_create(YG_TRACK_TRACES, ROW_BATCH_BYTES);
    if (b == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for the open traces");
    yg_rc rc = YG_OK;
    for (uint32_t i = t->newest; i != YG_TRACE_NONE && rc == YG_OK; i = t->open[i].older)
        rc = yg_traces_put_row(t, &t->open[i], b, err);
    if (rc == YG_OK)
        *ret_batch = b;
    else
        yg_batch_destroy(b);
    return rc;
}
