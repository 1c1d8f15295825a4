// SPDX-License-Identifier: Apache-2.0
// The row of a trace, with the columns of model/track.h.
#include "base/hash.h"
#include "codec/json_write.h"
#include "store/traces.h"

#define TEXT_BYTES_MAX (64u << 10)

static int by_start(const void *a, const void *b) {
    const struct yg_interval *x = a, *y = b;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

// The longest stretch between the trace's first start and last end in which no span other than the
// root was running. 0 when the root is all there is.
static int64_t longest_gap(struct yg_open_trace *o) {
    int64_t gap = 0;
    if (o->interval_count > 0) {
        qsort(o->intervals, o->interval_count, sizeof(*o->intervals), by_start);
        int64_t covered = o->start_ns;
        for (uint32_t i = 0; i < o->interval_count; i++) {
            int64_t hole = o->intervals[i].start_ns - covered;
            gap = hole > gap ? hole : gap;
            covered = o->intervals[i].end_ns > covered ? o->intervals[i].end_ns : covered;
        }
        gap = o->end_ns - covered > gap ? o->end_ns - covered : gap;
    }
    // The spans of a stored row are not here any more: what it said stands as an upper bound.
    if (o->gap_known)
        gap = o->interval_count == 0 || o->base_gap_ns < gap ? o->base_gap_ns : gap;
    return gap;
}

static yg_str repeat_text(const struct yg_traces *t, struct yg_arena *a,
                          const struct yg_repeat *r) {
    yg_str op = yg_traces_str(t, r->operation), res = yg_traces_str(t, r->resource);
    if (res.len == 0 || yg_str_eq(op, res))
        return yg_arena_str(a, op);
    return yg_arena_printf(a, "%.*s %.*s", YG_STR_FMT(op), YG_STR_FMT(res));
}

// The (operation, resource) that occurs most often, with the stored row's count added to the same.
static yg_rc put_top_repeat(struct yg_traces *t, const struct yg_open_trace *o, struct yg_batch *b,
                            struct yg_err *err) {
    yg_str base = yg_traces_str(t, o->base_repeat), text = base;
    uint64_t best = o->base_repeat_count;
    bool base_seen = false;
    uint32_t top = YG_TRACE_NONE;
    for (uint32_t i = 0; i < o->repeat_count; i++) {
        const struct yg_repeat *r = &o->repeats[i];
        uint64_t count = r->count;
        if (o->base_repeat != YG_TRACE_NONE && !base_seen) {
            yg_str s = repeat_text(t, b->arena, r);
            if (yg_str_eq(s, base)) {
                count += o->base_repeat_count;
                base_seen = true;
            }
        }
        if (count > best) {
            best = count;
            top = i;
        }
    }
    if (top != YG_TRACE_NONE)
        text = repeat_text(t, b->arena, &o->repeats[top]);
    else
        text = yg_arena_str(b->arena, base);
    YG_TRY(yg_batch_set_i64(b, YG_STR("@top_repeat_count"), (int64_t)best, err));
    return text.len ? yg_batch_set_str(b, YG_STR("@top_repeat"), text, err) : YG_OK;
}

static yg_rc put_text(struct yg_traces *t, struct yg_batch *b, const char *name, uint32_t id,
                      struct yg_err *err) {
    yg_str text = yg_traces_str(t, id);
    if (text.len == 0)
        return YG_OK;
    yg_str own = yg_arena_str(b->arena, text);
    if (own.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a trace's row");
    return yg_batch_set_str(b, yg_str_c(name), own, err);
}

static yg_rc put_services(struct yg_traces *t, const struct yg_open_trace *o, struct yg_batch *b,
                          struct yg_err *err) {
    // Not charged to the room of traces: a row is made when that is full, too.
    YG_AUTO(yg_buf) json = YG_BUF(YG_MEM_BASE, TEXT_BYTES_MAX * YG_TRACE_SERVICES_MAX);
    struct yg_json_writer w = YG_JSON_WRITER(&json);
    yg_jw_array(&w);
    for (uint32_t i = 0; i < o->service_count; i++)
        yg_jw_str(&w, yg_traces_str(t, o->services[i]));
    yg_jw_array_end(&w);
    YG_TRY(yg_buf_ok(&json, err));
    yg_str own = yg_arena_str(b->arena, yg_buf_str(&json));
    if (own.ptr == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a trace's row");
    return yg_batch_set_json(b, YG_STR("@services"), own, err);
}

static yg_rc put_numbers(struct yg_open_trace *o, struct yg_batch *b, struct yg_err *err) {
    int64_t gap = longest_gap(o);
    // The row keeps its number from version to version, so that a page can go on after it.
    int64_t seq = (int64_t)(yg_hash_u64(o->id.lo ^ o->id.hi) >> 1);
    YG_TRY(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), o->start_ns, err));
    YG_TRY(yg_batch_set_i64(b, YG_STR(YG_COL_SEQ), seq, err));
    YG_TRY(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), o->id, err));
    YG_TRY(yg_batch_set_i64(b, YG_STR(YG_COL_DURATION), o->end_ns - o->start_ns, err));
    YG_TRY(yg_batch_set_i64(b, YG_STR(YG_COL_VERSION), o->span_count, err));
    YG_TRY(yg_batch_set_i64(b, YG_STR("@span_count"), o->span_count, err));
    YG_TRY(yg_batch_set_i64(b, YG_STR("@error_count"), o->error_count, err));
    YG_TRY(yg_batch_set_i64(b, YG_STR("@longest_gap"), gap, err));
    YG_TRY(yg_batch_set_bool(b, YG_STR("@cold_start"), o->cold_start, err));
    if (o->has_root)
        YG_TRY(yg_batch_set_i64(b, YG_STR("@root_duration"), o->root_duration_ns, err));
    return YG_OK;
}

static yg_rc put_values(struct yg_traces *t, struct yg_open_trace *o, struct yg_batch *b,
                        struct yg_err *err) {
    YG_TRY(put_numbers(o, b, err));
    YG_TRY(put_text(t, b, YG_COL_SERVICE, o->face.service, err));
    YG_TRY(put_text(t, b, YG_COL_OPERATION, o->face.operation, err));
    YG_TRY(put_text(t, b, YG_COL_RESOURCE, o->face.resource, err));
    YG_TRY(put_text(t, b, YG_COL_ENV, o->face.env, err));
    YG_TRY(put_text(t, b, YG_COL_STATUS, o->face.status, err));
    YG_TRY(put_services(t, o, b, err));
    return put_top_repeat(t, o, b, err);
}

yg_rc yg_traces_put_row(struct yg_traces *t, struct yg_open_trace *o, struct yg_batch *b,
                        struct yg_err *err) {
    uint32_t row;
    YG_TRY(yg_batch_row(b, &row, err));
    yg_rc rc = put_values(t, o, b, err);
    if (rc != YG_OK)
        yg_batch_row_drop(b);
    return rc;
}
