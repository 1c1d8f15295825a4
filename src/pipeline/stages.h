// SPDX-License-Identifier: Apache-2.0
// Private to the pipeline room: what happens to every batch of rows before it is stored.
#ifndef YG_PIPELINE_STAGES_H
#define YG_PIPELINE_STAGES_H

#include "pipeline/pipeline.h"

// Runs all stages on the batch, in place. ENOMEM leaves the batch unfit for the store.
yg_rc yg_stages_run(struct yg_pipeline *p, struct yg_batch *batch, int64_t now_ns,
                    struct yg_err *err) YG_MUST_USE;
// Age in ns beyond which rows of a track are dropped (0 = none): from the store's retention. In
// pipeline.c.
int64_t yg_pipeline_retention_ns(const struct yg_pipeline *p, enum yg_track track);

#endif
