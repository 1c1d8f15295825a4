// SPDX-License-Identifier: Apache-2.0
// Rows of the spans track → spans as the trace block and the lists want them.
//
// Source: DataDog/dd-trace-js packages/dd-trace/src/span_format.js and DataDog/dd-trace-py
// ddtrace/_trace/span.py (span.kind, _dd.top_level); DataDog/datadog-lambda-js src/trace
// (cold_start, aws.lambda.cold_start, _inferred_span.*).
#include "api/ui.h"

#include "base/map.h"

yg_rc yg_ui_span_cols_open(struct yg_block *b, struct yg_ui_span_cols *ret_cols,
                           struct yg_err *err) {
    struct yg_ui_span_cols *c = ret_cols;
    const struct {
        const char *name;
        struct yg_ui_col *col;
    } wanted[] = {
        {YG_COL_TIME, &c->time},
        {YG_COL_DURATION, &c->duration},
        {YG_COL_SPAN_ID, &c->span_id},
        {YG_COL_PARENT_ID, &c->parent_id},
        {YG_COL_SERVICE, &c->service},
        {YG_COL_OPERATION, &c->name},
        {YG_COL_RESOURCE, &c->resource},
        {YG_COL_TYPE, &c->type},
        {YG_COL_ENV, &c->env},
        {YG_COL_STATUS, &c->status},
        {YG_COL_LINKS, &c->links},
        {YG_COL_SPAN_EVENTS, &c->events},
        {YG_COL_TRACE_ID, &c->trace_id},
        {YG_COL_TOP_LEVEL, &c->top_level},
        {"@span.kind", &c->kind},
        {"@cold_start", &c->cold},
        {"@_inferred_span.tag_source", &c->inferred},
        {"@http.status_code", &c->http_status},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        YG_TRY(yg_ui_col_open(b, wanted[i].name, wanted[i].col, err));
    return YG_OK;
}

static bool one_of(yg_str s, const char *const *list) {
    for (; *list != NULL; list++)
        if (yg_str_eq_c(s, *list))
            return true;
    return false;
}

static uint16_t flags_of(const struct yg_ui_span_cols *c, uint32_t row,
                         const struct yg_trace_span *span) {
    static const char *const stores[] = {"db",         "sql",       "redis",    "mongodb",
                                         "cassandra",  "memcached", "dynamodb", "elasticsearch",
                                         "opensearch", "cache",     NULL};
    unsigned flags = 0;
    yg_str kind = yg_ui_col_str(&c->kind, row);
    if (yg_str_eq_c(yg_ui_col_str(&c->status, row), "error"))
        flags |= YG_TRACE_ERROR;
    if (yg_ui_col_true(&c->cold, row) || yg_str_eq_c(span->name, "aws.lambda.cold_start"))
        flags |= YG_TRACE_COLD;
    if (yg_ui_col_str(&c->inferred, row).len > 0)
        flags |= YG_TRACE_INFERRED;
    if (yg_str_eq_c(kind, "consumer"))
        flags |= YG_TRACE_ASYNC;
    if (one_of(span->type, stores))
        flags |= YG_TRACE_DB;
    else if (yg_str_eq_c(kind, "client") || yg_str_eq_c(kind, "producer"))
        flags |= YG_TRACE_EXTERNAL;
    if (yg_ui_col_str(&c->events, row).len > 0)
        flags |= YG_TRACE_HAS_EVENTS;
    if (yg_ui_col_str(&c->links, row).len > 0)
        flags |= YG_TRACE_HAS_LINKS;
    return (uint16_t)flags;
}

void yg_ui_span_of_row(const struct yg_ui_span_cols *cols, uint32_t row,
                       struct yg_trace_span *ret_span) {
    *ret_span = (struct yg_trace_span){
        .start_ns = yg_ui_col_i64(&cols->time, row, 0),
        .dur_ns = yg_ui_col_i64(&cols->duration, row, 0),
        .span_id = (uint64_t)yg_ui_col_i64(&cols->span_id, row, 0),
        .parent_id = (uint64_t)yg_ui_col_i64(&cols->parent_id, row, 0),
        .name = yg_ui_col_str(&cols->name, row),
        .resource = yg_ui_col_str(&cols->resource, row),
        .service = yg_ui_col_str(&cols->service, row),
        .type = yg_ui_col_str(&cols->type, row),
        .env = yg_ui_col_str(&cols->env, row),
    };
    ret_span->flags = flags_of(cols, row, ret_span);
}

static bool pooled(yg_str *text, struct yg_map *pool, struct yg_arena *arena) {
    if (text->len == 0) {
        *text = YG_STR("");
        return true;
    }
    uint64_t *known = yg_map_get(pool, *text);
    if (known == NULL) {
        yg_str copy = yg_arena_str(arena, *text);
        if (copy.ptr == NULL)
            return false;
        known = yg_map_put(pool, copy, NULL); // the map borrows the copy as its key
        *known = (uint64_t)(uintptr_t)copy.ptr;
    }
    text->ptr = (const char *)(uintptr_t)*known;
    return true;
}

bool yg_ui_span_copy_strings(struct yg_trace_span *span, struct yg_map *pool,
                             struct yg_arena *arena) {
    return pooled(&span->name, pool, arena) && pooled(&span->resource, pool, arena) &&
           pooled(&span->service, pool, arena) && pooled(&span->type, pool, arena) &&
           pooled(&span->env, pool, arena);
}

bool yg_ui_span_is_entry(const struct yg_ui_span_cols *cols, uint32_t row) {
    return yg_ui_col_true(&cols->top_level, row);
}
