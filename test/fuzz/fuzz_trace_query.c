// SPDX-License-Identifier: Apache-2.0
// Trace queries: every text is a query whose parts hold together, or an error that says where.
#include "fuzz.h"
#include "query/trace_query.h"

#define EXPRS_MAX 512u

// Nodes below e; labels are of the query, relations join sets of spans.
static uint32_t check_expr(const struct yg_trace_query *q, const struct yg_trace_expr *e) {
    YG_ASSERT(e != NULL);
    if (e->op == YG_TRACE_LABEL) {
        YG_ASSERT(e->label < q->label_count && q->searches[e->label] != NULL);
        return 1;
    }
    YG_ASSERT((e->op == YG_TRACE_NOT) == (e->right == NULL));
    return 1 + check_expr(q, e->left) + (e->right ? check_expr(q, e->right) : 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    const struct yg_trace_label given[] = {{'a', YG_STR("service:web")}, {'q', YG_STR("(broken")}};
    if (size > 8192)
        return 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    struct yg_trace_query *q;
    struct yg_err err = {0};
    yg_rc rc = yg_trace_query_parse(fuzz_all(data, size), given, 2, arena, &q, &err);
    FUZZ_EXPECT_INPUT_RC(rc);
    if (rc != YG_OK) {
        YG_ASSERT(err.text[0] != 0);
        return 0;
    }
    YG_ASSERT(q->label_count > 0 && q->label_count <= YG_TRACE_LABELS_MAX);
    YG_ASSERT(check_expr(q, q->expr) <= EXPRS_MAX);
    YG_ASSERT(q->cond_count <= YG_TRACE_CONDS_MAX);
    for (uint32_t i = 0; i < q->cond_count; i++)
        YG_ASSERT(q->conds[i].subject != YG_TRACE_SPAN_COUNT || q->conds[i].label < q->label_count);
    return 0;
}
