// SPDX-License-Identifier: Apache-2.0
// DogStatsD: whatever comes out of a datagram follows the grammar, and events become whole rows.
#include <math.h>

#include "intake_fuzz.h"

static void on_sample(void *ctx, const struct yg_statsd_sample *s) {
    (void)ctx;
    YG_ASSERT(s->name.len > 0 && s->sample_rate > 0 && s->sample_rate <= 1 && s->ts_s >= 0);
    YG_ASSERT(yg_utf8_check(s->name) == s->name.len);
    if (s->type == YG_STATSD_SET)
        YG_ASSERT(s->set_value.len > 0);
    else
        YG_ASSERT(s->value_count > 0);
    for (uint32_t i = 0; i < s->value_count; i++)
        YG_ASSERT(isfinite(s->values[i]));
    for (uint32_t i = 0; i < s->tag_count; i++)
        YG_ASSERT(s->tags[i].len > 0 && yg_utf8_check(s->tags[i]) == s->tags[i].len);
}

static void on_event(void *ctx, const struct yg_intake_event *e) {
    YG_ASSERT(e->title.len > 0);
    yg_rc rc = yg_intake_put_event(ctx, e, FUZZ_NOW_NS, NULL);
    YG_ASSERT(rc == YG_OK || rc == YG_ENOMEM || rc == YG_ELIMIT);
}

static void on_check(void *ctx, const struct yg_intake_check *c) {
    YG_ASSERT(c->name.len > 0 && c->status >= 0 && c->status <= 3);
    yg_rc rc = yg_intake_put_check(ctx, c, FUZZ_NOW_NS, NULL);
    YG_ASSERT(rc == YG_OK || rc == YG_ENOMEM || rc == YG_ELIMIT);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    struct yg_batch *b = yg_batch_create(YG_TRACK_EVENTS, FUZZ_ARENA_BYTES);
    const struct yg_dogstatsd_sink sink = {
        .sample = on_sample, .event = on_event, .check = on_check, .ctx = b};
    struct yg_intake_tally t = {0};
    yg_dogstatsd_parse(fuzz_all(data, size), &sink, arena, &t);
    YG_ASSERT(t.taken + t.skipped <= size);
    fuzz_check_rows(b);
    yg_batch_destroy(b);
    return 0;
}
