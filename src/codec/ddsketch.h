// SPDX-License-Identifier: Apache-2.0
// DDSketch as Datadog's agents make it: γ = 1 + 2/128, keys are int16-sized logarithms, bins merge
// by adding.
#ifndef YG_CODEC_DDSKETCH_H
#define YG_CODEC_DDSKETCH_H

#include "base/buf.h"
#include "base/mem.h"

struct yg_sketch_bin {
    int32_t key; // 0 = zero, negative = negative values
    double count;
};

// Sorted sparse bins + exact summary. Zeroed + tag is an empty sketch; freed by fini.
struct yg_sketch {
    struct yg_sketch_bin *bins; // ascending keys
    uint32_t len;
    uint32_t cap;
    enum yg_mem_tag tag;
    double count;
    double sum;
    double min; // valid when count > 0
    double max;
};

#define YG_SKETCH(mem_tag) ((struct yg_sketch){.tag = (mem_tag)})
#define YG_SKETCH_BINS_MAX 4096 // beyond it the lowest bins collapse into one, as the agents do

void yg_sketch_fini(struct yg_sketch *s);
void yg_sketch_reset(struct yg_sketch *s);
int32_t yg_sketch_key(double value); // relative error ≤ 1/128
double yg_sketch_value(int32_t key);
void yg_sketch_add(struct yg_sketch *s, double value, double count);
void yg_sketch_add_bin(struct yg_sketch *s, int32_t key, double count);     // bins only, no summary
void yg_sketch_merge(struct yg_sketch *into, const struct yg_sketch *from); // exact
// q in 0–1; NaN when empty. Clamped to [min, max].
double yg_sketch_quantile(const struct yg_sketch *s, double q);
// Compact bytes for WAL and segments (varint keys delta-coded), and back. ECORRUPT.
void yg_sketch_encode(const struct yg_sketch *s, struct yg_buf *out);
yg_rc yg_sketch_decode(yg_str in, size_t *at, struct yg_sketch *out,
                       struct yg_err *err) YG_MUST_USE;

#endif
