// SPDX-License-Identifier: Apache-2.0
// Search with cursors: the best rows by (sort value, seq) are found first, all their columns
// decoded after.
//
// A heap keeps the best limit + 1 rows (the last tells whether a next page exists). Granules come
// newest (or oldest) first, so a search by time stops at the first granule that can hold nothing
// better; other sorts skip granules whose statistics prove the same.
#include "query/events_int.h"

#include "base/panic.h"

struct candidate {
    int64_t sort_value;
    int64_t seq;
    int64_t time_ns;
    uint32_t segment;
    uint32_t granule;
    uint32_t row;
};

// What yg_events_search and yg_trace_spans share.
struct search_plan {
    const char *sort_column;
    bool ascending;
    uint32_t limit;
};

struct collector {
    struct yg_scan *scan;
    const struct search_plan *plan;
    const struct yg_cursor_pos *after;
    bool by_time;
    struct candidate *heap; // the worst kept row at [0]
    uint32_t count;
    uint32_t cap;
    uint32_t wanted; // limit + 1
    uint32_t looked; // granules that need no further look
};

// True when a comes before b in the answer.
static bool before(const struct collector *c, const struct candidate *a,
                   const struct candidate *b) {
    if (a->sort_value != b->sort_value)
        return c->plan->ascending ? a->sort_value < b->sort_value : a->sort_value > b->sort_value;
    return c->plan->ascending ? a->seq < b->seq : a->seq > b->seq;
}

static void sift_down(struct collector *c, uint32_t i) {
    struct candidate *h = c->heap;
    for (;;) {
        uint32_t worst = i, left = 2 * i + 1, right = left + 1;
        if (left < c->count && before(c, &h[worst], &h[left]))
            worst = left;
        if (right < c->count && before(c, &h[worst], &h[right]))
            worst = right;
        if (worst == i)
            return;
        struct candidate swap = h[i];
        h[i] = h[worst];
        h[worst] = swap;
        i = worst;
    }
}

static void sift_up(struct collector *c, uint32_t i) {
    struct candidate *h = c->heap;
    while (i > 0 && before(c, &h[(i - 1) / 2], &h[i])) {
        struct candidate swap = h[i];
        h[i] = h[(i - 1) / 2];
        h[(i - 1) / 2] = swap;
        i = (i - 1) / 2;
    }
}

static yg_rc offer(struct collector *c, const struct candidate *row, struct yg_err *err) {
    if (c->count == c->wanted) {
        if (before(c, row, &c->heap[0])) {
            c->heap[0] = *row;
            sift_down(c, 0);
        }
        return YG_OK;
    }
    if (!YG_ARENA_GROW(c->scan->arena, c->heap, c->count, c->cap))
        return yg_fail(err, YG_ENOMEM, "query memory is used up by %u rows", c->count);
    c->heap[c->count++] = *row;
    sift_up(c, c->count - 1);
    return YG_OK;
}

// True when no row of a sort value in [min, max] can enter the heap.
static bool hopeless(const struct collector *c, int64_t min, int64_t max) {
    if (c->count < c->wanted)
        return false;
    return c->plan->ascending ? min > c->heap[0].sort_value : max < c->heap[0].sort_value;
}

static bool passes_cursor(const struct collector *c, const struct candidate *row) {
    if (!c->after->set)
        return true;
    struct candidate last = {.sort_value = c->after->sort_value, .seq = c->after->seq};
    return before(c, &last, row);
}

static yg_rc collect_rows(struct collector *c, struct yg_block *b, const struct yg_scan_granule *g,
                          const uint64_t *rows, struct yg_err *err) {
    const struct yg_vec *time = NULL, *seq = NULL, *sort = NULL;
    YG_TRY(yg_scan_column(b, YG_STR(YG_COL_TIME), YG_T_I64, &time, err));
    YG_TRY(yg_scan_column(b, YG_STR(YG_COL_SEQ), YG_T_I64, &seq, err));
    YG_TRY(yg_scan_column(b, yg_str_c(c->plan->sort_column), YG_T_I64, &sort, err));
    if (time == NULL)
        return yg_fail(err, YG_ECORRUPT, "segment %llu, granule %u: no column \"timestamp\"",
                       (unsigned long long)b->segment_id, b->granule);
    for (uint32_t r = yg_bits_next(rows, b->row_count, 0); r < b->row_count;
         r = yg_bits_next(rows, b->row_count, r + 1)) {
        struct candidate row = {.time_ns = time->i64[r],
                                .seq = seq ? seq->i64[r] : 0,
                                .sort_value = sort && yg_vec_has(sort, r) ? sort->i64[r] : 0,
                                .segment = g->segment,
                                .granule = g->granule,
                                .row = r};
        if (passes_cursor(c, &row))
            YG_TRY(offer(c, &row, err));
    }
    return YG_OK;
}

// By statistics of the sort column alone.
static bool block_is_hopeless(const struct collector *c, struct yg_block *b) {
    struct yg_vec_stats stats = {0};
    if (c->by_time || c->count < c->wanted)
        return false;
    b->ops->stats(b, yg_str_c(c->plan->sort_column), YG_T_I64, &stats);
    return stats.known && stats.has_range && stats.count == b->row_count &&
           hopeless(c, stats.min_i64, stats.max_i64);
}

// With a full heap only rows at least as good as its worst are worth looking at.
static void narrow(struct collector *c) {
    struct yg_time_range range = {INT64_MIN, INT64_MAX};
    int64_t worst = c->heap[0].sort_value;
    if (!c->plan->ascending)
        range.from_ns = worst;
    else if (worst < INT64_MAX)
        range.to_ns = worst + 1;
    yg_filter_narrow(c->scan->filter, range);
}

// The first granule that a slice leaves for later may hold rows from its best time on; the slice
// ends only where that lies behind the best time of all, so that every slice gets ahead.
static bool slice_ends(const struct collector *c, uint32_t i) {
    const struct yg_scan *s = c->scan;
    const struct yg_event_query *q = s->query;
    if (q->slice_mono_ns == 0 || !c->by_time || i == 0 ||
        yg_mono_ns(&yg_clock_system) < q->slice_mono_ns)
        return false;
    const struct yg_scan_granule *first = &s->granules[0], *g = &s->granules[i];
    const struct yg_cursor_pos *after = c->after;
    if (c->plan->ascending) {
        int64_t best =
            after->set ? after->sort_value + (after->seq == INT64_MAX) : q->range.from_ns;
        return g->min_ns > first->min_ns && g->min_ns > best;
    }
    int64_t best = after->set ? after->sort_value - (after->seq == INT64_MIN) : q->range.to_ns - 1;
    return g->max_ns < first->max_ns && g->max_ns < best;
}

static yg_rc collect(struct collector *c, struct yg_err *err) {
    struct yg_scan *s = c->scan;
    uint64_t rows[YG_BITS_WORDS(YG_GRANULE_ROWS)];
    for (uint32_t i = 0; i < s->granule_count; i++) {
        const struct yg_scan_granule *g = &s->granules[i];
        c->looked = i;
        if (slice_ends(c, i))
            return YG_OK;
        if (c->by_time && hopeless(c, g->min_ns, g->max_ns)) {
            c->looked = s->granule_count;
            s->stats->granules_skipped += s->granule_count - i;
            return YG_OK; // those that follow are no better
        }
        if (c->by_time && c->count == c->wanted)
            narrow(c);
        if (!c->by_time && c->count == c->wanted) {
            struct yg_block *peek = NULL;
            YG_TRY(yg_scan_block(s, g->segment, g->granule, &peek, err));
            if (peek == NULL || block_is_hopeless(c, peek)) {
                s->stats->granules_skipped++;
                continue;
            }
        }
        struct yg_block *b = NULL;
        YG_TRY(yg_scan_granule(s, i, &b, rows, err));
        if (b == NULL)
            continue;
        struct yg_err local = {0};
        yg_rc rc = collect_rows(c, b, g, rows, &local);
        if (rc != YG_OK && !yg_scan_survives(s, &local)) {
            if (err)
                *err = local;
            return rc;
        }
    }
    c->looked = s->granule_count;
    return YG_OK;
}

// ------------------------------------------------------------ all columns of the rows kept

struct kept {
    struct candidate at;
    uint32_t place; // in the answer
    uint32_t attr_cap;
};

static int by_block(const void *a, const void *b) {
    const struct candidate *x = &((const struct kept *)a)->at, *y = &((const struct kept *)b)->at;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    if (x->granule != y->granule)
        return x->granule < y->granule ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int by_name(const void *a, const void *b) {
    const struct yg_row_attr *x = a, *y = b;
    int order = yg_str_cmp(x->name, y->name);
    return order ? order : (x->value.type > y->value.type) - (x->value.type < y->value.type);
}

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "query memory is used up: ask for fewer rows");
}

static yg_rc add_attr(struct yg_arena *arena, struct yg_row *row, struct kept *k, yg_str name,
                      const struct yg_vec *v, struct yg_err *err) {
    struct yg_row_attr attr = {.name = name};
    if (!yg_vec_value(v, k->at.row, &attr.value))
        return YG_OK;
    if (attr.value.type == YG_T_STR || attr.value.type == YG_T_JSON) {
        yg_str copy = yg_arena_str(arena, attr.value.str);
        if (copy.ptr == NULL && attr.value.str.len > 0)
            return no_memory(err);
        attr.value.str = copy;
    }
    if (!YG_ARENA_GROW(arena, row->attrs, row->attr_count, k->attr_cap))
        return no_memory(err);
    row->attrs[row->attr_count++] = attr;
    return YG_OK;
}

// Copies the columns of one block into its rows [from, to) of `kept`. A damaged column costs a
// warning, not the row.
static yg_rc read_block(struct yg_scan *s, struct yg_block *b, struct kept *kept, uint32_t from,
                        uint32_t to, struct yg_row *rows, struct yg_err *err) {
    yg_str name, last = {0};
    enum yg_type type;
    for (uint32_t i = 0; b->ops->column_at(b, i, &name, &type); i++) {
        struct yg_vec_stats stats = {0};
        b->ops->stats(b, name, type, &stats);
        if (stats.known && stats.count == 0)
            continue;
        const struct yg_vec *v = NULL;
        struct yg_err local = {0};
        yg_rc rc = yg_scan_column(b, name, type, &v, &local);
        if (rc != YG_OK) {
            if (yg_scan_survives(s, &local))
                continue;
            if (err)
                *err = local;
            return rc;
        }
        if (v == NULL)
            continue;
        if (!yg_str_eq(last, name)) {
            last = yg_arena_str(s->arena, name);
            if (last.ptr == NULL)
                return no_memory(err);
        }
        for (uint32_t k = from; k < to; k++)
            YG_TRY(add_attr(s->arena, &rows[kept[k].place], &kept[k], last, v, err));
    }
    return YG_OK;
}

static yg_rc materialise(struct yg_scan *s, struct kept *kept, uint32_t count, struct yg_row *rows,
                         struct yg_err *err) {
    for (uint32_t from = 0, to; from < count; from = to) {
        const struct candidate *at = &kept[from].at;
        for (to = from + 1; to < count && kept[to].at.segment == at->segment &&
                            kept[to].at.granule == at->granule;)
            to++;
        struct yg_block *b = NULL;
        YG_TRY(yg_scan_pulse(s, err));
        YG_TRY(yg_scan_block(s, at->segment, at->granule, &b, err));
        if (b)
            YG_TRY(read_block(s, b, kept, from, to, rows, err));
    }
    for (uint32_t i = 0; i < count; i++)
        if (rows[i].attr_count > 1)
            qsort(rows[i].attrs, rows[i].attr_count, sizeof(rows[i].attrs[0]), by_name);
    return YG_OK;
}

// Of the rows in order, how many no later granule can come before; the others are found again.
static uint32_t end_slice(struct collector *c, uint32_t count, struct yg_search_result *result) {
    const struct yg_scan_granule *g = &c->scan->granules[c->looked];
    uint32_t settled = 0;
    while (settled < count && (c->plan->ascending ? c->heap[settled].time_ns < g->min_ns
                                                  : c->heap[settled].time_ns > g->max_ns))
        settled++;
    result->more = true;
    if (settled == c->wanted)
        return settled - 1; // a whole page after all
    result->sliced = true;
    result->reached_ns = c->plan->ascending ? g->min_ns : g->max_ns;
    result->next = c->plan->ascending ? (struct yg_cursor_pos){true, g->min_ns - 1, INT64_MAX}
                                      : (struct yg_cursor_pos){true, g->max_ns + 1, INT64_MIN};
    return settled;
}

static void put_progress(const struct collector *c, struct yg_search_result *result) {
    const struct yg_scan *s = c->scan;
    for (uint32_t i = 0; i < s->granule_count; i++) {
        struct yg_segment_info info;
        yg_snapshot_segment(s->snapshot, s->granules[i].segment, &info);
        uint64_t bytes = info.bytes / (info.granule_count ? info.granule_count : 1);
        result->bytes_total += bytes;
        result->bytes_done += i < c->looked ? bytes : 0;
    }
}

// Heap → answer: rows in sort order, then their columns.
static yg_rc finish(struct collector *c, struct yg_search_result *result, struct yg_err *err) {
    uint32_t count = c->count;
    result->more = count == c->wanted;
    for (uint32_t n = count; n > 1; n--) { // heap sort: the worst goes to the end
        struct candidate worst = c->heap[0];
        c->heap[0] = c->heap[n - 1];
        c->heap[n - 1] = worst;
        c->count = n - 1;
        sift_down(c, 0);
    }
    if (c->looked < c->scan->granule_count)
        count = end_slice(c, count, result);
    else
        count -= result->more;
    if (result->more && !result->sliced)
        result->next =
            (struct yg_cursor_pos){true, c->heap[count - 1].sort_value, c->heap[count - 1].seq};
    struct yg_arena *arena = c->scan->arena;
    struct kept *kept = YG_NEW_N(arena, struct kept, count + 1);
    result->rows = YG_NEW_N(arena, struct yg_row, count + 1);
    if (kept == NULL || result->rows == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        kept[i] = (struct kept){.at = c->heap[i], .place = i};
        result->rows[i] = (struct yg_row){.time_ns = c->heap[i].time_ns,
                                          .seq = c->heap[i].seq,
                                          .sort_value = c->heap[i].sort_value};
    }
    result->count = count;
    if (count > 0)
        qsort(kept, count, sizeof(kept[0]), by_block);
    return materialise(c->scan, kept, count, result->rows, err);
}

static yg_rc search_rows(struct yg_scan *s, const struct search_plan *plan,
                         const struct yg_cursor_pos *after, struct yg_search_result *result,
                         struct yg_err *err) {
    struct collector c = {.scan = s,
                          .plan = plan,
                          .after = after,
                          .wanted = plan->limit + 1,
                          .by_time = strcmp(plan->sort_column, YG_COL_TIME) == 0};
    YG_TRY(collect(&c, err));
    if (s->query->slice_mono_ns != 0)
        put_progress(&c, result);
    return finish(&c, result, err);
}

static const char *sort_column(enum yg_event_sort sort) {
    switch (sort) {
    case YG_SORT_TIME:
        return YG_COL_TIME;
    case YG_SORT_DURATION:
        return YG_COL_DURATION;
    case YG_SORT_SPAN_COUNT:
        return "@span_count";
    case YG_SORT_ERROR_COUNT:
        return "@error_count";
    }
    return YG_COL_TIME;
}

yg_rc yg_events_search(struct yg_store *store, const struct yg_event_query *q, bool fresh,
                       struct yg_arena *arena, struct yg_search_result *ret_result,
                       struct yg_err *err) {
    YG_ASSERT(q->limit < UINT32_MAX);
    struct yg_event_query narrowed = *q;
    if (q->after.set && q->sort == YG_SORT_TIME) { // rows past the cursor need not be looked at
        if (q->ascending && q->after.sort_value > q->range.from_ns)
            narrowed.range.from_ns = q->after.sort_value;
        if (!q->ascending && q->after.sort_value < q->range.to_ns)
            narrowed.range.to_ns = q->after.sort_value + 1;
    }
    *ret_result = (struct yg_search_result){0};
    struct search_plan plan = {
        .sort_column = sort_column(q->sort), .ascending = q->ascending, .limit = q->limit};
    enum yg_scan_order order =
        q->ascending && q->sort == YG_SORT_TIME ? YG_SCAN_OLDEST_FIRST : YG_SCAN_NEWEST_FIRST;
    struct yg_scan scan;
    YG_TRY(yg_scan_open(store, &narrowed, fresh, order, arena, &ret_result->warnings,
                        &ret_result->stats, &scan, err));
    yg_rc rc = search_rows(&scan, &plan, &q->after, ret_result, err);
    yg_scan_fini(&scan);
    return rc;
}

const struct yg_value *yg_row_get(const struct yg_row *row, const char *column, enum yg_type type) {
    yg_str name = yg_str_c(column);
    uint32_t lo = 0, hi = row->attr_count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        const struct yg_row_attr *a = &row->attrs[mid];
        int order = yg_str_cmp(a->name, name);
        if (order == 0)
            order = (a->value.type > type) - (a->value.type < type);
        if (order == 0)
            return &a->value;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

// ------------------------------------------------------------ one trace

#define TRACE_SPANS_MAX 200000u

yg_rc yg_trace_spans(struct yg_store *store, yg_id128 trace_id, struct yg_arena *arena,
                     struct yg_search_result *ret_spans, struct yg_err *err) {
    char text[33];
    yg_id128_hex(trace_id, text);
    struct yg_node node = {.kind = YG_NODE_TERM,
                           .field = {YG_FIELD_RESERVED, YG_STR(YG_COL_TRACE_ID)},
                           .text = {text, 32}};
    struct yg_event_query q = {.track = YG_TRACK_SPANS,
                               .range = {INT64_MIN, INT64_MAX},
                               .filter = &node,
                               .ascending = true,
                               .limit = TRACE_SPANS_MAX};
    struct search_plan plan = {
        .sort_column = YG_COL_TIME, .ascending = true, .limit = TRACE_SPANS_MAX};
    struct yg_scan scan;
    *ret_spans = (struct yg_search_result){0};
    YG_TRY(yg_scan_open(store, &q, true, YG_SCAN_OLDEST_FIRST, arena, &ret_spans->warnings,
                        &ret_spans->stats, &scan, err));
    uint32_t kept = 0, last = UINT32_MAX;
    bool may = false;
    for (uint32_t i = 0; i < scan.granule_count; i++) {
        if (scan.granules[i].segment != last) {
            last = scan.granules[i].segment;
            may = yg_snapshot_may_hold_trace(scan.snapshot, last, trace_id);
        }
        if (may)
            scan.granules[kept++] = scan.granules[i];
        else
            ret_spans->stats.granules_skipped++;
    }
    scan.granule_count = kept;
    yg_rc rc = search_rows(&scan, &plan, &q.after, ret_spans, err);
    yg_scan_fini(&scan);
    return rc;
}
