// SPDX-License-Identifier: Apache-2.0
// The trace list in pieces that can be tested alone: order, cursor, summary. Private to
// ui_traces*.c.
#ifndef YG_API_UI_TRACES_H
#define YG_API_UI_TRACES_H

#include "api/ui.h"

// One matching trace, as its row of the traces track says.
struct yg_ui_trace_row {
    yg_id128 id;
    int64_t start_ns;
    int64_t dur_ns;
    uint32_t span_count;
    uint32_t error_count;
    bool cold;
};

enum yg_ui_trace_sort {
    YG_UI_BY_DURATION,
    YG_UI_BY_SPANS,
    YG_UI_BY_START,
    YG_UI_BY_ERRORS,
    YG_UI_TRACE_SORT_COUNT
};
struct yg_ui_trace_order {
    enum yg_ui_trace_sort sort;
    bool ascending;
};
// "-duration", "spans" …; empty = "-duration".
bool yg_ui_trace_order_parse(yg_str text, struct yg_ui_trace_order *ret_order);
void yg_ui_trace_rows_sort(struct yg_ui_trace_row *rows, uint32_t count,
                           struct yg_ui_trace_order order);
// Index of the first row after the cursor's (rows sorted).
uint32_t yg_ui_trace_rows_after(const struct yg_ui_trace_row *rows, uint32_t count,
                                struct yg_ui_trace_order order, int64_t value, yg_id128 id);
int64_t yg_ui_trace_sort_value(const struct yg_ui_trace_row *row, enum yg_ui_trace_sort sort);
// A cursor's text "<value>.<32 hex digits>", and back.
#define YG_UI_CURSOR_BYTES 64
void yg_ui_cursor_make(int64_t value, yg_id128 id, char out[YG_UI_CURSOR_BYTES]);
bool yg_ui_cursor_parse(yg_str text, int64_t *ret_value, yg_id128 *ret_id);

// "summary":{…}: counts, percentiles, heat map. ENOMEM.
yg_rc yg_ui_put_summary(struct yg_json_writer *w, const struct yg_ui_trace_row *rows,
                        uint32_t count, struct yg_time_range range, struct yg_arena *arena,
                        struct yg_err *err) YG_MUST_USE;

#endif
