// SPDX-License-Identifier: Apache-2.0
// Event monitor queries, times and intervals: what parses has a window, a search and a number.
#include "fuzz.h"
#include "query/query.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size > 4096)
        return 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    struct yg_event_monitor *m = NULL;
    struct yg_err err = {0};
    yg_rc rc = yg_event_monitor_parse(fuzz_all(data, size), arena, &m, &err);
    FUZZ_EXPECT_INPUT_RC(rc);
    YG_ASSERT(rc == YG_OK || err.text[0] != 0);
    if (rc == YG_OK) {
        YG_ASSERT(m->window_ns > 0 && m->last.len > 0);
        YG_ASSERT(m->is_formula || !m->has_track || m->filter != NULL);
        YG_ASSERT(m->threshold - m->threshold == 0); // finite
        YG_ASSERT(m->by_count <= 8);
        for (uint32_t i = 0; i < m->by_count; i++)
            fuzz_touch(m->by[i]);
        for (uint32_t i = 0; i < m->index_count; i++)
            fuzz_touch(m->indexes[i]);
    }
    int64_t ns = 0;
    (void)yg_query_time_parse(fuzz_all(data, size), FUZZ_NOW_NS, &ns);
    if (yg_interval_parse(fuzz_all(data, size), &ns))
        YG_ASSERT(ns > 0);
    return 0;
}
