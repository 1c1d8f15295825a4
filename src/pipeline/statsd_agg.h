// SPDX-License-Identifier: Apache-2.0
// Private to the pipeline room: the DogStatsD aggregator.
#ifndef YG_PIPELINE_STATSD_AGG_H
#define YG_PIPELINE_STATSD_AGG_H

#include "pipeline/pipeline.h"

struct yg_statsd_agg;

// Closed buckets are appended through yg_pipeline_points(pipeline, …).
struct yg_statsd_agg *yg_statsd_agg_create(struct yg_pipeline *pipeline,
                                           const struct yg_clock *clock);
void yg_statsd_agg_destroy(struct yg_statsd_agg *agg); // does not flush
bool yg_statsd_agg_add(struct yg_statsd_agg *agg,
                       const struct yg_statsd_sample *sample); // see yg_statsd_add
void yg_statsd_agg_flush(struct yg_statsd_agg *agg, bool all); // see yg_statsd_flush

#endif
