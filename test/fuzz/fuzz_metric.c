// SPDX-License-Identifier: Apache-2.0
// The metric language: every text is a query or an error that says where.
#include "fuzz.h"
#include "query/query.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size > 4096)
        return 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    yg_str text = fuzz_all(data, size);
    struct yg_metric_query *q;
    struct yg_err err = {0};
    yg_rc rc = yg_metric_parse(text, arena, &q, &err);
    FUZZ_EXPECT_INPUT_RC(rc);
    if (rc == YG_OK) {
        const yg_str *keys;
        YG_ASSERT(yg_metric_query_count(q) > 0);
        (void)yg_metric_query_as_count(q);
        for (uint32_t i = 0; i < yg_metric_query_count(q); i++)
            (void)yg_metric_query_keys(q, i, &keys);
    } else {
        YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 1u << 20);
        YG_ASSERT(err.text[0] != 0);
        yg_metric_error_text(text, &err, &out);
        YG_ASSERT(out.len > 0);
    }
    const struct yg_node *scope;
    FUZZ_EXPECT_INPUT_RC(yg_metric_scope_parse(text, arena, &scope, &err));
    return 0;
}
