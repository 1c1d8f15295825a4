// SPDX-License-Identifier: Apache-2.0
// yagura's own metrics, stored in itself every ten seconds.
#ifndef YG_MAIN_SELFWATCH_H
#define YG_MAIN_SELFWATCH_H

#include "pipeline/pipeline.h"

struct yg_selfwatch {
    struct yg_pipeline *pipeline;
    struct yg_store *store;
    struct yg_pool *pool;
    const struct yg_clock *clock;
    int64_t next_ns;
    // Values of the counters at the last turn, to send increments.
    struct yg_map last;
};

void yg_selfwatch_init(struct yg_selfwatch *w);
void yg_selfwatch_fini(struct yg_selfwatch *w);
// Refreshes the gauges (memory by room, queue depths, store, process) that base/counter.h shows to
// /metrics; when ten seconds passed, also appends all of them as points and hands free memory back.
// Called every second by main's thread.
void yg_selfwatch_tick(struct yg_selfwatch *w);

#endif
