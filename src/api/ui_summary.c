// SPDX-License-Identifier: Apache-2.0
// Order, cursors and summary (percentiles, heat map) of a list of traces.
#include "api/ui_traces.h"

#define HEAT_COLS_MAX 60
#define HEAT_STEPS 45 // 1 µs … 5 · 10^14 µs
#define HEAT_LOWEST_NS 1000

static const char *const sort_names[YG_UI_TRACE_SORT_COUNT] = {"duration", "spans", "start",
                                                               "errors"};

bool yg_ui_trace_order_parse(yg_str text, struct yg_ui_trace_order *ret_order) {
    *ret_order = (struct yg_ui_trace_order){.sort = YG_UI_BY_DURATION};
    if (text.len == 0)
        return true;
    ret_order->ascending = text.ptr[0] != '-';
    yg_str name = ret_order->ascending ? text : yg_str_sub(text, 1, text.len);
    for (unsigned i = 0; i < YG_UI_TRACE_SORT_COUNT; i++)
        if (yg_str_eq_c(name, sort_names[i])) {
            ret_order->sort = (enum yg_ui_trace_sort)i;
            return true;
        }
    return false;
}

int64_t yg_ui_trace_sort_value(const struct yg_ui_trace_row *row, enum yg_ui_trace_sort sort) {
    switch (sort) {
    case YG_UI_BY_DURATION:
        return row->dur_ns;
    case YG_UI_BY_SPANS:
        return row->span_count;
    case YG_UI_BY_START:
        return row->start_ns;
    case YG_UI_BY_ERRORS:
        return row->error_count;
    case YG_UI_TRACE_SORT_COUNT:
        break;
    }
    return 0;
}

static int compare(int64_t value_a, yg_id128 a, int64_t value_b, yg_id128 b, bool ascending) {
    if (value_a != value_b)
        return (value_a < value_b) == ascending ? -1 : 1;
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo < b.lo ? -1 : a.lo > b.lo;
}

static int compare_rows(const void *left, const void *right, void *arg) {
    const struct yg_ui_trace_row *a = left;
    const struct yg_ui_trace_row *b = right;
    const struct yg_ui_trace_order *order = arg;
    return compare(yg_ui_trace_sort_value(a, order->sort), a->id,
                   yg_ui_trace_sort_value(b, order->sort), b->id, order->ascending);
}

void yg_ui_trace_rows_sort(struct yg_ui_trace_row *rows, uint32_t count,
                           struct yg_ui_trace_order order) {
    if (count > 1)
        qsort_r(rows, count, sizeof(rows[0]), compare_rows, &order);
}

uint32_t yg_ui_trace_rows_after(const struct yg_ui_trace_row *rows, uint32_t count,
                                struct yg_ui_trace_order order, int64_t value, yg_id128 id) {
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct yg_ui_trace_row *r = &rows[mid];
        if (compare(yg_ui_trace_sort_value(r, order.sort), r->id, value, id, order.ascending) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void yg_ui_cursor_make(int64_t value, yg_id128 id, char out[YG_UI_CURSOR_BYTES]) {
    char hex[33];
    yg_id128_hex(id, hex);
    (void)snprintf(out, YG_UI_CURSOR_BYTES, "%lld.%s", (long long)value, hex);
}

bool yg_ui_cursor_parse(yg_str text, int64_t *ret_value, yg_id128 *ret_id) {
    size_t dot = yg_str_find_char(text, '.', 0);
    if (dot == SIZE_MAX || text.len - dot - 1 != 32)
        return false;
    return yg_str_to_i64(yg_str_sub(text, 0, dot), ret_value) &&
           yg_str_hex_to_u64(yg_str_sub(text, dot + 1, 16), &ret_id->hi) &&
           yg_str_hex_to_u64(yg_str_sub(text, dot + 17, 16), &ret_id->lo);
}

// ---- summary -----------------------------------------------------------------------------------

struct heat {
    int64_t start_ms;
    int64_t step_ms;
    uint32_t cols;
    int64_t edges[HEAT_STEPS + 1];
    uint32_t edge_count;
    uint32_t *counts; // rows × cols
    uint32_t *errors;
};

static void heat_columns(struct heat *h, struct yg_time_range range) {
    static const int64_t steps_s[] = {1,   2,    5,    10,   20,   30,    60,    120,   300,
                                      600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400};
    int64_t from_ms = yg_ui_ms(range.from_ns);
    int64_t to_ms = yg_ui_ms(range.to_ns);
    for (size_t i = 0;; i++) {
        size_t last = sizeof(steps_s) / sizeof(steps_s[0]) - 1;
        // Beyond 60 days the step is a number of days.
        h->step_ms = 1000 * (i <= last ? steps_s[i] : steps_s[last] * (int64_t)(i - last + 1));
        h->start_ms = from_ms / h->step_ms * h->step_ms - (from_ms < 0 ? h->step_ms : 0);
        int64_t cols = (to_ms - h->start_ms + h->step_ms - 1) / h->step_ms;
        if (cols <= HEAT_COLS_MAX || i > 100000) {
            h->cols = (uint32_t)(cols < 1 ? 1 : cols > HEAT_COLS_MAX ? HEAT_COLS_MAX : cols);
            return;
        }
    }
}

// The k-th of 1, 2, 5, 10, 20 … µs.
static int64_t edge_at(uint32_t k) {
    int64_t edge = k % 3 == 0 ? 1 : k % 3 == 1 ? 2 : 5;
    for (uint32_t i = 0; i < k / 3; i++)
        edge *= 10;
    return edge * HEAT_LOWEST_NS;
}

// 1-2-5 steps from at or below the shortest to above the longest duration.
static void heat_edges(struct heat *h, int64_t min_ns, int64_t max_ns) {
    uint32_t k = 0;
    while (k + 2 < HEAT_STEPS && edge_at(k + 1) <= min_ns)
        k++;
    do
        h->edges[h->edge_count++] = edge_at(k);
    while (h->edges[h->edge_count - 1] <= max_ns && ++k < HEAT_STEPS);
    if (h->edge_count == 1)
        h->edges[h->edge_count++] = edge_at(k + 1);
}

static void heat_add(struct heat *h, const struct yg_ui_trace_row *row) {
    uint32_t r = 0;
    while (r + 2 < h->edge_count && row->dur_ns >= h->edges[r + 1])
        r++;
    int64_t col = (yg_ui_ms(row->start_ns) - h->start_ms) / h->step_ms;
    col = col < 0 ? 0 : col >= (int64_t)h->cols ? (int64_t)h->cols - 1 : col;
    size_t at = (size_t)r * h->cols + (size_t)col;
    h->counts[at]++;
    h->errors[at] += row->error_count > 0;
}

static void put_cells(struct yg_json_writer *w, const char *key, const uint32_t *cells,
                      size_t count) {
    yg_jw_key(w, yg_str_c(key));
    yg_jw_array(w);
    for (size_t i = 0; i < count; i++)
        yg_jw_u64(w, cells[i]);
    yg_jw_array_end(w);
}

static void put_heat(struct yg_json_writer *w, const struct heat *h) {
    size_t cells = (size_t)(h->edge_count - 1) * h->cols;
    yg_jw_k(w, "heat");
    yg_jw_object(w);
    yg_jw_ki64(w, "start_ms", h->start_ms);
    yg_jw_ki64(w, "step_ms", h->step_ms);
    yg_jw_ki64(w, "cols", h->cols);
    yg_jw_k(w, "edges_ns");
    yg_jw_array(w);
    for (uint32_t i = 0; i < h->edge_count; i++)
        yg_jw_i64(w, h->edges[i]);
    yg_jw_array_end(w);
    put_cells(w, "counts", h->counts, cells);
    put_cells(w, "errors", h->errors, cells);
    yg_jw_object_end(w);
}

static int by_value(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static void put_percentiles(struct yg_json_writer *w, const int64_t *sorted, uint32_t count) {
    static const struct {
        const char *key;
        double q;
    } wanted[] = {{"p50_ns", .5},  {"p75_ns", .75}, {"p90_ns", .9},
                  {"p95_ns", .95}, {"p99_ns", .99}, {"max_ns", 1}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (count == 0)
            yg_jw_knull(w, wanted[i].key);
        else
            yg_jw_ki64(w, wanted[i].key,
                       sorted[(uint32_t)(wanted[i].q * (double)(count - 1) + 0.5)]);
    }
}

yg_rc yg_ui_put_summary(struct yg_json_writer *w, const struct yg_ui_trace_row *rows,
                        uint32_t count, struct yg_time_range range, struct yg_arena *arena,
                        struct yg_err *err) {
    struct heat h = {0};
    uint32_t errors = 0;
    int64_t *durations = YG_NEW_N(arena, int64_t, (size_t)count + 1);
    if (durations == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a summary of %u traces", count);
    for (uint32_t i = 0; i < count; i++) {
        durations[i] = rows[i].dur_ns;
        errors += rows[i].error_count > 0;
    }
    if (count > 1)
        qsort(durations, count, sizeof(durations[0]), by_value);
    heat_columns(&h, range);
    heat_edges(&h, count ? durations[0] : 1000000, count ? durations[count - 1] : 1000000);
    h.counts = YG_NEW_N(arena, uint32_t, (size_t)h.edge_count * h.cols);
    h.errors = YG_NEW_N(arena, uint32_t, (size_t)h.edge_count * h.cols);
    if (h.counts == NULL || h.errors == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a heat map");
    for (uint32_t i = 0; i < count; i++)
        heat_add(&h, &rows[i]);
    yg_jw_k(w, "summary");
    yg_jw_object(w);
    yg_jw_ki64(w, "count", count);
    yg_jw_ki64(w, "errors", errors);
    put_percentiles(w, durations, count);
    put_heat(w, &h);
    yg_jw_object_end(w);
    return YG_OK;
}
