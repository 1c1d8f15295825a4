// SPDX-License-Identifier: Apache-2.0
// Late spans: a trace that opens may have a stored row. The id filters of traces segments whose
// times lie near the span's say which few to read.
//
// Looked at: segments with a row from 2 h before the span's start to 10 min after it, or after its
// end. Further back, where the trace began by what its id says (the tracers put the second of the
// start into the upper half); an id that says nothing is looked for in the newest
// FAR_SEGMENTS segments of the track, when the span has a parent; all this in FAR_PER_SECOND
// segments a second and shard at most. Where that is not enough the trace gets a second row.
#include "base/bits.h"
#include "base/hash.h"
#include "base/panic.h"
#include "codec/json_read.h"
#include "store/traces.h"

#define BEFORE_NS (INT64_C(7200) * YG_NS_PER_S)
#define AFTER_NS (INT64_C(600) * YG_NS_PER_S)
#define FAR_SEGMENTS 64u
#define FAR_PER_SECOND 2048
#define RECENT_BLOCKS (2048u / 8u)
#define READ_BYTES_MAX ((size_t)256 << 20)

void yg_traces_note_closed(struct yg_traces *t, yg_id128 id) {
    yg_bloom_add(t->recent, RECENT_BLOCKS, id.lo);
}

void yg_traces_drop_near(struct yg_traces *t) {
    for (uint32_t i = 0; i < t->near_count; i++) {
        atomic_fetch_sub(&t->near[i]->users, 1);
        yg_segment_unref(t->near[i]);
    }
    t->near_count = 0;
    t->near_epoch = 0;
}

static void pin_near(struct yg_traces *t, const struct yg_seg_list *list, int64_t from_ns,
                     int64_t to_ns) {
    for (uint32_t i = 0; i < list->count; i++) {
        struct yg_segment *seg = list->segs[i];
        if (seg->max_time_ns < from_ns || seg->min_time_ns > to_ns)
            continue;
        YG_GROW(YG_MEM_TRACES, t->near, t->near_count, t->near_cap);
        atomic_fetch_add(&seg->users, 1);
        t->near[t->near_count++] = yg_segment_ref(seg);
    }
}

// The segments that may hold the row of a trace with a span at start_ns. Those of the last hours
// are kept until the traces track changes; older spans look the lists through.
static void renew_near(struct yg_traces *t, int64_t start_ns) {
    struct yg_store *store = t->shard->store;
    uint64_t epoch = atomic_load(&store->traces_epoch);
    bool covered = start_ns - BEFORE_NS >= t->near_from_ns && start_ns + AFTER_NS <= t->near_to_ns;
    if (epoch == t->near_epoch && covered)
        return;
    int64_t now = yg_now_ns(store->o.clock);
    yg_traces_drop_near(t);
    t->near_from_ns = now - 2 * BEFORE_NS;
    t->near_to_ns = INT64_MAX;
    if (start_ns - BEFORE_NS < t->near_from_ns) {
        t->near_from_ns = start_ns - 2 * BEFORE_NS;
        t->near_to_ns = start_ns + BEFORE_NS;
    }
    pthread_mutex_lock(&store->lists_lock);
    t->near_epoch = atomic_load(&store->traces_epoch);
    pin_near(t, &store->memory[YG_TRACK_TRACES], t->near_from_ns, t->near_to_ns);
    pin_near(t, &store->files[YG_TRACK_TRACES], t->near_from_ns, t->near_to_ns);
    pthread_mutex_unlock(&store->lists_lock);
}

// ------------------------------------------------------------ reading a stored row

// The id's row with the largest version in the block; the version in *ret_version.
static bool row_of(struct yg_block *b, yg_id128 id, uint32_t *ret_row, uint64_t *ret_version) {
    const struct yg_vec *v[YG_TYPE_COUNT], *versions[YG_TYPE_COUNT];
    uint32_t n, version_count;
    struct yg_err err;
    if (b->ops->columns(b, YG_STR(YG_COL_TRACE_ID), v, &n, &err) != YG_OK || n != 1 ||
        v[0]->type != YG_T_ID ||
        b->ops->columns(b, YG_STR(YG_COL_VERSION), versions, &version_count, &err) != YG_OK ||
        version_count != 1 || versions[0]->type != YG_T_I64)
        return false;
    *ret_version = 0;
    for (uint32_t r = 0; r < b->row_count; r++)
        if (yg_id128_eq(v[0]->ids[r], id) && (uint64_t)versions[0]->i64[r] > *ret_version) {
            *ret_row = r;
            *ret_version = (uint64_t)versions[0]->i64[r];
        }
    return *ret_version > 0;
}

static bool value_of(struct yg_block *b, const char *name, uint32_t row, struct yg_value *out) {
    const struct yg_vec *v[YG_TYPE_COUNT];
    uint32_t n;
    struct yg_err err;
    return b->ops->columns(b, yg_str_c(name), v, &n, &err) == YG_OK && n >= 1 &&
           yg_vec_value(v[0], row, out);
}

static int64_t i64_of(struct yg_block *b, const char *name, uint32_t row) {
    struct yg_value v;
    return value_of(b, name, row, &v) && (v.type == YG_T_I64 || v.type == YG_T_BOOL) ? v.i64 : 0;
}

static uint32_t text_of(struct yg_traces *t, struct yg_block *b, const char *name, uint32_t row) {
    struct yg_value v;
    return value_of(b, name, row, &v) && (v.type == YG_T_STR || v.type == YG_T_JSON)
               ? yg_traces_text(t, v.str)
               : YG_TRACE_NONE;
}

static void take_services(struct yg_traces *t, struct yg_open_trace *o, yg_str json,
                          struct yg_arena *arena) {
    struct yg_json j;
    struct yg_json_token token;
    struct yg_err err;
    yg_json_init(&j, json, arena);
    while (yg_json_next(&j, &token, &err) == YG_OK && token.kind != YG_JSON_END)
        if (token.kind == YG_JSON_STRING)
            yg_traces_add_service(t, o, yg_traces_text(t, token.str));
}

// Takes the stored row's facts into a trace that has no spans yet.
static void take_row(struct yg_traces *t, struct yg_open_trace *o, struct yg_block *b,
                     uint32_t row) {
    struct yg_value v;
    o->start_ns = i64_of(b, YG_COL_TIME, row);
    o->end_ns = o->start_ns + i64_of(b, YG_COL_DURATION, row);
    o->span_count = (uint32_t)i64_of(b, "@span_count", row);
    o->error_count = (uint32_t)i64_of(b, "@error_count", row);
    o->cold_start = i64_of(b, "@cold_start", row) != 0;
    o->has_root = value_of(b, "@root_duration", row, &v);
    o->root_duration_ns = i64_of(b, "@root_duration", row);
    o->face_start_ns = o->start_ns;
    o->face = (struct yg_trace_face){
        .service = text_of(t, b, YG_COL_SERVICE, row),
        .operation = text_of(t, b, YG_COL_OPERATION, row),
        .resource = text_of(t, b, YG_COL_RESOURCE, row),
        .env = text_of(t, b, YG_COL_ENV, row),
        .status = text_of(t, b, YG_COL_STATUS, row),
    };
    o->gap_known = true;
    o->base_gap_ns = i64_of(b, "@longest_gap", row);
    o->base_repeat = text_of(t, b, "@top_repeat", row);
    o->base_repeat_count = (uint32_t)i64_of(b, "@top_repeat_count", row);
    o->service_count = 0;
    if (value_of(b, "@services", row, &v) && v.type == YG_T_JSON)
        take_services(t, o, v.str, b->arena);
}

// The granules that may hold the id; all where the key index does not say.
static uint64_t *granules_of(const struct yg_segment *seg, yg_id128 id, struct yg_arena *arena) {
    uint32_t count = seg->dir.granule_count;
    uint64_t *bits = YG_NEW_N(arena, uint64_t, YG_BITS_WORDS(count) + 1u);
    struct yg_err err;
    if (bits == NULL)
        return NULL;
    if (!yg_key_index_covers(&seg->dir.keys, YG_STR(YG_COL_TRACE_ID), YG_T_ID, YG_KEY_VALUE) ||
        yg_key_index_find(&seg->dir.keys, yg_key_of_id(id), bits, &err) != YG_OK)
        yg_bits_fill(bits, count);
    return bits;
}

static void look_into(struct yg_traces *t, uint32_t idx, struct yg_segment *seg) {
    struct yg_err err = {0};
    yg_id128 id = t->open[idx].id;
    atomic_store(&seg->used_mono_ns, t->now_mono_ns);
    if (yg_segment_load(seg, &err) != YG_OK ||
        (seg->dir.bloom && !yg_segment_may_hold_id(seg, id.lo)))
        return;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_TRACES, READ_BYTES_MAX);
    YG_AUTO_ARENA own = yg_arena_create(YG_MEM_TRACES, READ_BYTES_MAX);
    const uint64_t *granules = granules_of(seg, id, own);
    for (uint32_t g = 0; granules && g < seg->dir.granule_count; g++) {
        struct yg_block *b;
        uint32_t row = 0;
        uint64_t version;
        if (!yg_bits_get(granules, g))
            continue;
        yg_arena_reset(arena);
        if (yg_segment_block(seg, g, arena, &b, &err) != YG_OK || !row_of(b, id, &row, &version) ||
            version <= t->open[idx].stored_version)
            continue;
        take_row(t, &t->open[idx], b, row);
        t->open[idx].stored_version = version;
    }
}

// ------------------------------------------------------------ far back

// Adds the list's segments with a row in [from, to] to the *n that are there, the newest first.
static void add_far(const struct yg_seg_list *list, int64_t from_ns, int64_t to_ns,
                    struct yg_segment **out, uint32_t *n) {
    for (uint32_t i = 0; i < list->count; i++) {
        struct yg_segment *seg = list->segs[i];
        if (seg->max_time_ns < from_ns || seg->min_time_ns > to_ns)
            continue;
        uint32_t at = *n < FAR_SEGMENTS ? (*n)++ : FAR_SEGMENTS;
        for (; at > 0 && out[at - 1]->max_time_ns < seg->max_time_ns; at--)
            if (at < FAR_SEGMENTS)
                out[at] = out[at - 1];
        if (at < FAR_SEGMENTS)
            out[at] = seg;
    }
}

// Segments of the track with a row in [from, to], referenced and pinned.
static uint32_t far_segments(struct yg_store *store, int64_t from_ns, int64_t to_ns,
                             struct yg_segment **out) {
    uint32_t n = 0;
    pthread_mutex_lock(&store->lists_lock);
    add_far(&store->memory[YG_TRACK_TRACES], from_ns, to_ns, out, &n);
    add_far(&store->files[YG_TRACK_TRACES], from_ns, to_ns, out, &n);
    for (uint32_t i = 0; i < n; i++) {
        atomic_fetch_add(&out[i]->users, 1);
        (void)yg_segment_ref(out[i]);
    }
    pthread_mutex_unlock(&store->lists_lock);
    return n;
}

// What may still be looked into in this second.
static bool far_allowed(struct yg_traces *t) {
    if (t->now_mono_ns - t->far_mono_ns >= YG_NS_PER_S) {
        t->far_mono_ns = t->now_mono_ns;
        t->far_left = FAR_PER_SECOND;
    }
    return t->far_left > 0;
}

static void find_far(struct yg_traces *t, uint32_t idx, int64_t from_ns, int64_t to_ns) {
    struct yg_segment *segs[FAR_SEGMENTS];
    uint32_t n = far_segments(t->shard->store, from_ns, to_ns, segs);
    for (uint32_t i = 0; i < n; i++) {
        if (t->open[idx].stored_version == 0 && t->far_left > 0) {
            t->far_left--;
            look_into(t, idx, segs[i]);
        }
        atomic_fetch_sub(&segs[i]->users, 1);
        yg_segment_unref(segs[i]);
    }
}

// When the trace began, by its id: seconds since 1970 above 32 zero bits.
static bool start_by_id(yg_id128 id, int64_t *ret_ns) {
    if ((uint32_t)id.hi != 0 || id.hi == 0)
        return false;
    *ret_ns = (int64_t)(id.hi >> 32) * YG_NS_PER_S;
    return true;
}

static void find_before(struct yg_traces *t, uint32_t idx, int64_t start_ns, bool has_parent) {
    int64_t to = start_ns - BEFORE_NS, began;
    if (start_by_id(t->open[idx].id, &began)) {
        if (began - AFTER_NS < to && far_allowed(t))
            find_far(t, idx, began - AFTER_NS, began + AFTER_NS);
    } else if (has_parent && far_allowed(t)) {
        find_far(t, idx, INT64_MIN, to);
    }
}

void yg_traces_find_stored(struct yg_traces *t, uint32_t idx, int64_t start_ns, int64_t end_ns,
                           bool has_parent) {
    struct yg_shard *sh = t->shard;
    yg_id128 id = t->open[idx].id;
    if (start_ns < -(INT64_C(1) << 62) || start_ns > INT64_C(1) << 62)
        return; // no time that a row could lie near to
    if (sh->builders[YG_TRACK_TRACES].count == 0) {
        memset(t->recent, 0, sizeof(t->recent));
    } else if (yg_bloom_has(t->recent, RECENT_BLOCKS, id.lo)) {
        struct yg_err err = {0}; // it may have closed a moment ago: make its row readable
        if (yg_shard_seal(sh, YG_TRACK_TRACES, false, &err) != YG_OK)
            yg_log(YG_LOG_DEBUG, "store", "seal put off", YG_KV_C("why", err.text));
        memset(t->recent, 0, sizeof(t->recent));
    }
    int64_t to_ns = (end_ns < INT64_C(1) << 62 ? end_ns : start_ns) + AFTER_NS;
    renew_near(t, start_ns);
    for (uint32_t i = 0; i < t->near_count; i++) {
        struct yg_segment *seg = t->near[i];
        if (seg->max_time_ns >= start_ns - BEFORE_NS && seg->min_time_ns <= to_ns)
            look_into(t, idx, seg);
    }
    if (t->open[idx].stored_version == 0)
        find_before(t, idx, start_ns, has_parent);
}
