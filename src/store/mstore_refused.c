// SPDX-License-Identifier: Apache-2.0
// Points that a cardinality limit refuses: counted by reason and by metric, told once a metric.
//
// yagura.metrics.refused{reason} counts points; yagura.metrics.refused_by_metric{metric} the same
// by name, for the first hundred names, then for all others together. The sender gets the answer
// that it expects: its other points are good, and sending these again would not help.

#include "base/log.h"
#include "store/mstore_int.h"

#define NAMES_MAX 100u

static struct yg_counter *counter_of(struct yg_mstore *ms, yg_str name, bool *ret_fresh) {
    uint64_t *at = yg_map_get(&ms->refused_by_name, name);
    *ret_fresh = at == NULL;
    if (at != NULL)
        return ms->refused_counters[*at];
    if (ms->refused_names == NAMES_MAX)
        return yg_counter_get(YG_COUNTER, "yagura.metrics.refused_by_metric", "metric:others");
    char tags[256];
    (void)snprintf(tags, sizeof(tags), "metric:%.*s", YG_STR_FMT(name));
    if (ms->refused_counters == NULL)
        ms->refused_counters = yg_calloc(YG_MS_TAG, NAMES_MAX, sizeof(struct yg_counter *));
    *yg_map_put(&ms->refused_by_name, name, NULL) = ms->refused_names;
    return ms->refused_counters[ms->refused_names++] =
               yg_counter_get(YG_COUNTER, "yagura.metrics.refused_by_metric", tags);
}

void yg_mstore_note_refused(struct yg_mstore *ms, yg_str name, uint32_t reason, uint32_t points) {
    bool whole = reason == YG_MS_REFUSED, fresh;
    yg_counter_add(whole ? ms->reg.refused_total : ms->reg.refused_metric, points);
    yg_counter_add(counter_of(ms, name, &fresh), points);
    if (fresh)
        yg_log(YG_LOG_WARN, "store", "points of new series refused: too many series",
               YG_KV_STR("metric", name),
               YG_KV_INT("limit", whole ? ms->reg.series_max : ms->reg.series_per_metric_max),
               YG_KV_C("of", whole ? "all metrics" : "this metric"));
}
