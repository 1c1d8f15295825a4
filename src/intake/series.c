// SPDX-License-Identifier: Apache-2.0
// One series' points: checks of name, time and value, sketches for distributions.
#include "intake/series.h"

#include <math.h>

#define TAGS_MAX 1000u

enum yg_metric_type yg_series_type(int64_t number) {
    return number == 1 ? YG_METRIC_COUNT : number == 2 ? YG_METRIC_RATE : YG_METRIC_GAUGE;
}

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "points memory is used up");
}

yg_rc yg_series_add_tag(struct yg_series_sink *s, struct yg_series_head *h, yg_str tag,
                        struct yg_err *err) {
    tag = yg_str_trim(tag);
    if (tag.len == 0 || h->tag_count >= TAGS_MAX)
        return YG_OK;
    if (yg_str_starts(tag, YG_STR("dd.internal.resource:")))
        tag = yg_str_sub(tag, 21, SIZE_MAX); // "type:name"
    if (!YG_ARENA_GROW(s->p->arena, h->tags, h->tag_count, h->tag_cap))
        return no_memory(err);
    h->tags[h->tag_count++] = tag;
    return YG_OK;
}

yg_rc yg_series_add_tags(struct yg_series_sink *s, struct yg_series_head *h, yg_str list,
                         struct yg_err *err) {
    yg_str piece;
    while (yg_str_split(&list, ',', &piece))
        YG_TRY(yg_series_add_tag(s, h, piece, err));
    return YG_OK;
}

yg_rc yg_series_add_resource(struct yg_series_sink *s, struct yg_series_head *h, yg_str type,
                             yg_str name, struct yg_err *err) {
    if (name.len == 0 || type.len == 0)
        return YG_OK;
    if (yg_str_eq_c(type, "host")) {
        h->host = name;
        return YG_OK;
    }
    yg_str tag = yg_arena_printf(s->p->arena, "%.*s:%.*s", YG_STR_FMT(type), YG_STR_FMT(name));
    return tag.ptr ? yg_series_add_tag(s, h, tag, err) : no_memory(err);
}

yg_rc yg_series_begin(struct yg_series_sink *s, struct yg_series_head *h, struct yg_err *err) {
    struct yg_err why = {0};
    yg_rc rc = yg_points_series(s->p, h->name, h->tags, h->tag_count, h->host, h->type,
                                h->interval_s, h->unit, &h->series, &why);
    h->usable = rc == YG_OK;
    h->sketch = NULL;
    if (rc == YG_EINPUT || rc == YG_ELIMIT) {
        h->why = "the name or the tags cannot be stored";
        return YG_OK;
    }
    if (rc != YG_OK && err)
        *err = why;
    return rc;
}

static void drop(struct yg_series_head *h, const char *why) {
    if (h->dropped++ == 0 && h->why == NULL)
        h->why = why;
}

yg_rc yg_series_value(struct yg_series_sink *s, struct yg_series_head *h, int64_t ts_s,
                      double value, struct yg_err *err) {
    if (!h->usable || !isfinite(value) || !yg_intake_time_ok(ts_s, s->now_ns)) {
        drop(h, "no point has a usable time and a finite value");
        return YG_OK;
    }
    h->kept++;
    if (h->type != YG_METRIC_DISTRIBUTION)
        return yg_points_add(s->p, h->series, ts_s, value, err);
    if (h->sketch == NULL || h->sketch_ts_s != ts_s) {
        YG_TRY(yg_points_add_sketch(s->p, h->series, ts_s, &h->sketch, err));
        h->sketch_ts_s = ts_s;
    }
    yg_sketch_add(h->sketch, value, 1);
    return YG_OK;
}

yg_rc yg_series_sketch(struct yg_series_sink *s, struct yg_series_head *h, int64_t ts_s,
                       struct yg_sketch **ret_sketch, struct yg_err *err) {
    *ret_sketch = NULL;
    if (!h->usable || !yg_intake_time_ok(ts_s, s->now_ns)) {
        drop(h, "no sketch has a usable time and summary");
        return YG_OK;
    }
    h->kept++;
    return yg_points_add_sketch(s->p, h->series, ts_s, ret_sketch, err);
}

void yg_series_end(struct yg_series_sink *s, struct yg_series_head *h, uint32_t idx) {
    if (h->kept == 0 && (h->dropped > 0 || !h->usable)) {
        yg_intake_skip(s->tally, "series[%u]: %s", idx, h->why);
        return;
    }
    s->tally->dropped_values += h->dropped;
    s->tally->taken++;
}
