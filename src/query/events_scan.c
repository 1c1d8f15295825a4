// SPDX-License-Identifier: Apache-2.0
// Walking the granules of a track: order by time, skipping, deadline, and damage that becomes a
// warning.
#include "query/events_int.h"

#include "base/mem.h"
#include "query/events_keys.h"

static int newest_first(const void *a, const void *b) {
    const struct yg_scan_granule *x = a, *y = b;
    if (x->max_ns != y->max_ns)
        return x->max_ns > y->max_ns ? -1 : 1;
    return x->segment != y->segment ? (x->segment > y->segment) - (x->segment < y->segment)
                                    : (x->granule > y->granule) - (x->granule < y->granule);
}

static int oldest_first(const void *a, const void *b) {
    const struct yg_scan_granule *x = a, *y = b;
    if (x->min_ns != y->min_ns)
        return x->min_ns < y->min_ns ? -1 : 1;
    return x->segment != y->segment ? (x->segment > y->segment) - (x->segment < y->segment)
                                    : (x->granule > y->granule) - (x->granule < y->granule);
}

static yg_rc list_add(struct yg_scan *s, uint32_t *cap, uint32_t segment, uint32_t granule,
                      struct yg_err *err) {
    struct yg_scan_granule item = {.segment = segment, .granule = granule};
    yg_snapshot_granule_range(s->snapshot, segment, granule, &item.min_ns, &item.max_ns);
    if (!YG_ARENA_GROW(s->arena, s->granules, s->granule_count, *cap))
        return yg_fail(err, YG_ENOMEM, "no memory for a list of %u granules", s->granule_count);
    s->granules[s->granule_count++] = item;
    return YG_OK;
}

// The granules that statistics and keys leave over. A segment whose directory is damaged is listed
// whole: opening its blocks says what is wrong.
static yg_rc list_segment(struct yg_scan *s, uint32_t *cap, uint32_t segment, uint64_t *bits,
                          const struct yg_segment_info *info, struct yg_err *err) {
    uint32_t left = 0;
    struct yg_err local = {0};
    yg_rc rc =
        yg_scan_candidates(s->snapshot, segment, s->filter, s->query->range, bits, &left, &local);
    if (rc == YG_ECORRUPT || rc == YG_EIO) {
        yg_bits_fill(bits, info->granule_count);
        left = info->granule_count;
    } else if (rc != YG_OK) {
        if (err)
            *err = local;
        return rc;
    }
    s->stats->granules_skipped += info->granule_count - left;
    for (uint32_t g = yg_bits_next(bits, info->granule_count, 0); g < info->granule_count;
         g = yg_bits_next(bits, info->granule_count, g + 1))
        YG_TRY(list_add(s, cap, segment, g, err));
    return YG_OK;
}

static yg_rc list_granules(struct yg_scan *s, struct yg_err *err) {
    uint32_t cap = 0, words = 0;
    uint64_t *bits = NULL;
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; rc == YG_OK && i < yg_snapshot_segments(s->snapshot); i++) {
        struct yg_segment_info info;
        yg_snapshot_segment(s->snapshot, i, &info);
        s->stats->segments++;
        if (bits == NULL || YG_BITS_WORDS(info.granule_count) > words) {
            words = YG_BITS_WORDS(info.granule_count) + 64;
            yg_free(YG_MEM_QUERY, bits);
            bits = yg_try_alloc(YG_MEM_QUERY, sizeof(*bits) * words);
        }
        rc = bits ? list_segment(s, &cap, i, bits, &info, err)
                  : yg_fail(err, YG_ENOMEM, "no memory for a list of granules");
    }
    yg_free(YG_MEM_QUERY, bits);
    return rc;
}

static yg_rc compile(struct yg_scan *s, struct yg_err *err) {
    static const struct yg_node everything = {.kind = YG_NODE_ALL};
    const struct yg_event_query *q = s->query;
    return yg_filter_compile(q->filter ? q->filter : &everything, q->range, &s->filter, err);
}

yg_rc yg_scan_open(struct yg_store *store, const struct yg_event_query *q, bool fresh,
                   enum yg_scan_order order, struct yg_arena *arena, struct yg_warnings *warnings,
                   struct yg_query_stats *stats, struct yg_scan *ret_scan, struct yg_err *err) {
    struct yg_scan s = {.arena = arena, .query = q, .warnings = warnings, .stats = stats};
    yg_rc rc = compile(&s, err);
    if (rc == YG_OK)
        rc = yg_snapshot_open(store, q->track, q->range, fresh, &s.snapshot, err);
    if (rc == YG_OK) {
        s.block_arena = yg_arena_create(YG_MEM_QUERY, YG_BLOCK_MEMORY_BYTES);
        rc = s.block_arena ? list_granules(&s, err)
                           : yg_fail(err, YG_ENOMEM, "no memory for decoded columns");
    }
    if (rc != YG_OK) {
        yg_scan_fini(&s);
        return rc;
    }
    if (s.granule_count > 0 && order != YG_SCAN_BY_SEGMENT)
        qsort(s.granules, s.granule_count, sizeof(s.granules[0]),
              order == YG_SCAN_NEWEST_FIRST ? newest_first : oldest_first);
    *ret_scan = s;
    return YG_OK;
}

yg_rc yg_scan_fork(const struct yg_scan *s, struct yg_warnings *warnings,
                   struct yg_query_stats *stats, struct yg_scan *ret_scan, struct yg_err *err) {
    struct yg_scan f = *s;
    f.warnings = warnings;
    f.stats = stats;
    f.forked = true;
    f.filter = NULL;
    f.block_arena = f.arena = NULL;
    yg_rc rc = compile(&f, err);
    if (rc == YG_OK) {
        f.block_arena = yg_arena_create(YG_MEM_QUERY, YG_BLOCK_MEMORY_BYTES);
        f.arena = yg_arena_create(YG_MEM_QUERY, YG_WARNINGS_BYTES);
        if (f.block_arena == NULL || f.arena == NULL)
            rc = yg_fail(err, YG_ENOMEM, "no memory for decoded columns");
    }
    if (rc != YG_OK) {
        yg_scan_fini(&f);
        return rc;
    }
    *ret_scan = f;
    return YG_OK;
}

static void note(struct yg_scan *s, yg_str text) {
    struct yg_warnings *w = s->warnings;
    for (uint32_t i = 0; i < w->count && i < 16; i++)
        if (yg_str_eq(w->text[i], text))
            return;
    if (w->count < 16)
        w->text[w->count] = yg_arena_str(s->arena, text);
    w->count++;
}

void yg_scan_join(struct yg_scan *s, const struct yg_scan *fork) {
    const struct yg_warnings *w = fork->warnings;
    for (uint32_t i = 0; i < w->count && i < 16; i++)
        note(s, w->text[i]);
    if (w->count > 16)
        s->warnings->count += w->count - 16;
    s->stats->rows_scanned += fork->stats->rows_scanned;
    s->stats->rows_matched += fork->stats->rows_matched;
    s->stats->bytes_read += fork->stats->bytes_read;
    s->stats->granules += fork->stats->granules;
    s->stats->granules_skipped += fork->stats->granules_skipped;
}

void yg_scan_fini(struct yg_scan *s) {
    yg_filter_destroy(s->filter);
    yg_arena_destroy(s->block_arena);
    if (s->forked)
        yg_arena_destroy(s->arena);
    else if (s->snapshot)
        yg_snapshot_close(s->snapshot);
    *s = (struct yg_scan){0};
}

yg_rc yg_scan_pulse(const struct yg_scan *s, struct yg_err *err) {
    const struct yg_event_query *q = s->query;
    if (q->canceled && q->canceled(q->canceled_arg))
        return yg_fail(err, YG_ECANCEL, "the asker went away");
    if (q->deadline_mono_ns != 0 && yg_mono_ns(&yg_clock_system) > q->deadline_mono_ns)
        return yg_fail(err, YG_ETIMEOUT,
                       "the query ran out of time after %llu rows; choose a shorter time range",
                       (unsigned long long)s->stats->rows_scanned);
    return YG_OK;
}

bool yg_scan_survives(struct yg_scan *s, const struct yg_err *err) {
    if (err->rc != YG_ECORRUPT && err->rc != YG_EIO)
        return false;
    note(s, yg_str_c(err->text));
    return true;
}

yg_rc yg_scan_block(struct yg_scan *s, uint32_t segment, uint32_t granule,
                    struct yg_block **ret_block, struct yg_err *err) {
    struct yg_err local = {0};
    yg_arena_reset(s->block_arena);
    *ret_block = NULL;
    yg_rc rc = yg_snapshot_block(s->snapshot, segment, granule, s->block_arena, ret_block, &local);
    if (rc == YG_OK || yg_scan_survives(s, &local))
        return YG_OK;
    if (err)
        *err = local;
    return rc;
}

yg_rc yg_scan_granule(struct yg_scan *s, uint32_t idx, struct yg_block **ret_block, uint64_t *rows,
                      struct yg_err *err) {
    const struct yg_scan_granule *g = &s->granules[idx];
    struct yg_err local = {0};
    struct yg_block *b = NULL;
    *ret_block = NULL;
    YG_TRY(yg_scan_pulse(s, err));
    YG_TRY(yg_scan_block(s, g->segment, g->granule, &b, err));
    if (b == NULL)
        return YG_OK;
    if (!yg_filter_may_match(s->filter, b)) {
        s->stats->granules_skipped++;
        return YG_OK;
    }
    s->stats->granules++;
    yg_rc rc = yg_filter_run(s->filter, b, rows, &local);
    if (rc != YG_OK) {
        if (yg_scan_survives(s, &local))
            return YG_OK;
        if (err)
            *err = local;
        return rc;
    }
    s->stats->rows_scanned += b->row_count;
    uint32_t matched = yg_bits_count(rows, b->row_count);
    s->stats->rows_matched += matched;
    if (matched > 0)
        *ret_block = b;
    return YG_OK;
}

yg_rc yg_scan_column(struct yg_block *b, yg_str name, enum yg_type type,
                     const struct yg_vec **ret_vec, struct yg_err *err) {
    const struct yg_vec *vecs[YG_TYPE_COUNT];
    uint32_t count = 0;
    YG_TRY(b->ops->columns(b, name, vecs, &count, err));
    *ret_vec = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (vecs[i]->type == type)
            *ret_vec = vecs[i];
    return YG_OK;
}
