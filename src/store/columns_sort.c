// SPDX-License-Identifier: Apache-2.0
// The order of rows in a file: by day, then logs by (service, host, time), spans trace by trace.
#include "base/hash.h"
#include "base/panic.h"
#include "store/columns.h"

#define DAY_NS (INT64_C(86400) * 1000000000)

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "the store's memory for sorting is used up");
}

int32_t yg_day_of_ns(int64_t ns) {
    int64_t day = ns / DAY_NS - (ns % DAY_NS < 0);
    return (int32_t)day;
}

struct sort_row {
    int32_t day;
    uint32_t major; // rank of service, or of the trace
    uint32_t minor; // rank of host
    uint32_t row;
    int64_t time;
};

static int by_key(const void *a, const void *b) {
    const struct sort_row *x = a, *y = b;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    if (x->major != y->major)
        return x->major < y->major ? -1 : 1;
    if (x->minor != y->minor)
        return x->minor < y->minor ? -1 : 1;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int by_text(const void *a, const void *b, void *arg) {
    const struct yg_column *c = arg;
    return yg_str_cmp(c->dict[*(const uint32_t *)a], c->dict[*(const uint32_t *)b]);
}

// Rank of each row's text in byte order; rows without a value rank 0. Plain columns (hardly any
// repeats) are not worth an order.
static yg_rc text_ranks(struct yg_columns *cs, const char *name, struct sort_row *rows,
                        bool is_major, struct yg_err *err) {
    const struct yg_column *c = yg_columns_find(cs, yg_str_c(name), YG_T_STR);
    if (c == NULL || !c->interned)
        return YG_OK;
    uint32_t *sorted = yg_arena_alloc(cs->arena, sizeof(*sorted) * c->dict_count);
    uint32_t *rank = yg_arena_alloc(cs->arena, sizeof(*rank) * c->dict_count);
    if (sorted == NULL || rank == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < c->dict_count; i++)
        sorted[i] = i;
    struct yg_column view = *c;
    qsort_r(sorted, c->dict_count, sizeof(*sorted), by_text, &view);
    for (uint32_t i = 0; i < c->dict_count; i++)
        rank[sorted[i]] = i + 1;
    for (uint32_t k = 0; k < c->count; k++) {
        struct sort_row *r = &rows[c->rows[k]];
        *(is_major ? &r->major : &r->minor) = rank[c->codes[k]];
    }
    return YG_OK;
}

struct trace_slot {
    yg_id128 id;
    int64_t first_ns;
    uint32_t used; // order of appearance + 1
    uint32_t rank;
};

static int by_first(const void *a, const void *b) {
    const struct trace_slot *x = *(struct trace_slot *const *)a,
                            *y = *(struct trace_slot *const *)b;
    if (x->first_ns != y->first_ns)
        return x->first_ns < y->first_ns ? -1 : 1;
    return x->used < y->used ? -1 : x->used > y->used;
}

static struct trace_slot *trace_slot(struct trace_slot *slots, uint32_t mask, yg_id128 id) {
    uint32_t at = (uint32_t)yg_hash_u64(id.lo ^ id.hi * 0x9e3779b97f4a7c15u) & mask;
    while (slots[at].used && !yg_id128_eq(slots[at].id, id))
        at = (at + 1) & mask;
    return &slots[at];
}

// Traces numbered by their first start; rows without a trace come first.
static yg_rc trace_ranks(struct yg_columns *cs, struct sort_row *rows, struct yg_err *err) {
    const struct yg_column *c = yg_columns_find(cs, YG_STR(YG_COL_TRACE_ID), YG_T_ID);
    if (c == NULL)
        return YG_OK;
    uint32_t cap = 64;
    while (cap / 2 < c->count)
        cap *= 2;
    struct trace_slot *slots = YG_NEW_N(cs->arena, struct trace_slot, cap);
    struct trace_slot **traces = YG_NEW_N(cs->arena, struct trace_slot *, c->count);
    if (slots == NULL || traces == NULL)
        return no_memory(err);
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        struct trace_slot *s = trace_slot(slots, cap - 1, c->ids[k]);
        int64_t t = rows[c->rows[k]].time;
        if (!s->used) {
            *s = (struct trace_slot){.id = c->ids[k], .first_ns = t, .used = n + 1};
            traces[n++] = s;
        }
        s->first_ns = t < s->first_ns ? t : s->first_ns;
    }
    qsort(traces, n, sizeof(struct trace_slot *), by_first);
    for (uint32_t i = 0; i < n; i++)
        traces[i]->rank = i + 1;
    for (uint32_t k = 0; k < c->count; k++)
        rows[c->rows[k]].major = trace_slot(slots, cap - 1, c->ids[k])->rank;
    return YG_OK;
}

bool yg_columns_sort_key(enum yg_track track, yg_str name, enum yg_type type) {
    if (yg_str_eq_c(name, YG_COL_TIME))
        return type == YG_T_I64;
    switch (track) {
    case YG_TRACK_LOGS:
    case YG_TRACK_EVENTS:
    case YG_TRACK_SIGNALS:
        return type == YG_T_STR &&
               (yg_str_eq_c(name, YG_COL_SERVICE) || yg_str_eq_c(name, YG_COL_HOST));
    case YG_TRACK_SPANS:
    case YG_TRACK_CI:
        return type == YG_T_ID && yg_str_eq_c(name, YG_COL_TRACE_ID);
    case YG_TRACK_TRACES:
    case YG_TRACK_COUNT:
        break;
    }
    return false;
}

static yg_rc fill_keys(struct yg_columns *cs, struct sort_row *rows, struct yg_err *err) {
    const struct yg_column *time = yg_columns_find(cs, YG_STR(YG_COL_TIME), YG_T_I64);
    for (uint32_t r = 0; r < cs->row_count; r++)
        rows[r] = (struct sort_row){.row = r};
    for (uint32_t k = 0; time && k < time->count; k++) {
        rows[time->rows[k]].time = time->i64[k];
        rows[time->rows[k]].day = yg_day_of_ns(time->i64[k]);
    }
    switch (cs->track) {
    case YG_TRACK_LOGS:
    case YG_TRACK_EVENTS:
    case YG_TRACK_SIGNALS:
        YG_TRY(text_ranks(cs, YG_COL_SERVICE, rows, true, err));
        return text_ranks(cs, YG_COL_HOST, rows, false, err);
    case YG_TRACK_SPANS:
    case YG_TRACK_CI:
        return trace_ranks(cs, rows, err);
    case YG_TRACK_TRACES:
    case YG_TRACK_COUNT:
        break;
    }
    return YG_OK;
}

yg_rc yg_columns_sort(struct yg_columns *cs, uint32_t **ret_order, struct yg_columns_run **ret_runs,
                      uint32_t *ret_run_count, struct yg_err *err) {
    YG_ASSERT(cs->row_count > 0);
    struct sort_row *rows = yg_arena_alloc(cs->arena, sizeof(*rows) * cs->row_count);
    uint32_t *order = yg_arena_alloc(cs->arena, sizeof(*order) * cs->row_count);
    if (rows == NULL || order == NULL)
        return no_memory(err);
    YG_TRY(fill_keys(cs, rows, err));
    qsort(rows, cs->row_count, sizeof(*rows), by_key);
    uint32_t run_count = 0, run_cap = 0;
    struct yg_columns_run *runs = NULL;
    for (uint32_t i = 0; i < cs->row_count; i++) {
        order[i] = rows[i].row;
        if (run_count == 0 || runs[run_count - 1].day != rows[i].day) {
            if (!YG_ARENA_GROW(cs->arena, runs, run_count, run_cap))
                return no_memory(err);
            runs[run_count++] = (struct yg_columns_run){.day = rows[i].day, .first = i};
        }
        runs[run_count - 1].count++;
    }
    *ret_order = order;
    *ret_runs = runs;
    *ret_run_count = run_count;
    return YG_OK;
}
