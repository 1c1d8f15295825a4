// SPDX-License-Identifier: Apache-2.0
// The search language: what parses compiles and runs; its canonical text means the same.
#include "base/bits.h"
#include "filter/filter.h"
#include "fuzz.h"
#include "model/batch.h"

// A few rows with values of every type, the same for every input.
static struct yg_batch *sample_rows(void) {
    static const char *const texts[] = {"user login ok", "payment FAILED for order-77", "größe 大"};
    struct yg_batch *b = yg_batch_create(YG_TRACK_LOGS, FUZZ_ARENA_BYTES);
    uint32_t row;
    for (int i = 0; i < 3; i++) {
        yg_rc rc = yg_batch_row(b, &row, NULL);
        rc |= yg_batch_set_i64(b, YG_STR(YG_COL_TIME), FUZZ_NOW_NS + i, NULL);
        rc |= yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), yg_str_c(texts[i]), NULL);
        rc |= yg_batch_set_str(b, YG_STR(YG_COL_SERVICE), YG_STR("web"), NULL);
        rc |= yg_batch_set_str(b, YG_STR(YG_COL_TAGS), YG_STR("env:prod,team:a"), NULL);
        rc |= yg_batch_set_i64(b, YG_STR("@http.status_code"), 200 + 100 * i, NULL);
        rc |= yg_batch_set_f64(b, YG_STR("@amount"), 1.5 * i, NULL);
        rc |= yg_batch_set_str(b, YG_STR("@ip"), YG_STR("10.0.0.5"), NULL);
        rc |= yg_batch_set_bool(b, YG_STR("@flag"), i == 1, NULL);
        rc |= yg_batch_set_json(b, YG_STR("@list"), YG_STR("[\"a\",{\"k\":[1,null]}]"), NULL);
        rc |= yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), (yg_id128){7, 9}, NULL);
        YG_ASSERT(rc == YG_OK);
    }
    return b;
}

static uint64_t run(const struct yg_node *tree, struct yg_arena *arena) {
    static struct yg_batch *rows;
    if (rows == NULL)
        rows = sample_rows();
    struct yg_filter *filter;
    struct yg_block *block;
    struct yg_time_range range = {.from_ns = 0, .to_ns = INT64_MAX};
    uint64_t hits[YG_BITS_WORDS(64)] = {0};
    if (yg_filter_compile(tree, range, &filter, NULL) != YG_OK)
        return UINT64_MAX;
    YG_ASSERT(yg_block_of_batch(rows, arena, &block, NULL) == YG_OK);
    bool may = yg_filter_may_match(filter, block);
    yg_rc rc = yg_filter_run(filter, block, hits, NULL);
    YG_ASSERT(rc == YG_OK || rc == YG_ENOMEM);
    YG_ASSERT(rc != YG_OK || (hits[0] >> 3) == 0);
    YG_ASSERT(rc != YG_OK || may || hits[0] == 0); // statistics must not rule a match out
    yg_filter_destroy(filter);
    return rc == YG_OK ? hits[0] : UINT64_MAX;
}

// The tree negated finds exactly the other rows.
static void check_negation(struct yg_node *tree, uint64_t hits, struct yg_arena *arena) {
    struct yg_node *children[1] = {tree};
    struct yg_node negated = {.kind = YG_NODE_NOT, .children = children, .child_count = 1};
    uint64_t others = run(&negated, arena);
    YG_ASSERT(hits == UINT64_MAX || others == UINT64_MAX || (hits ^ others) == 7);
}

// Canonical text reads back, prints to itself and finds the same rows. It may pass the limits that
// the shorter input kept.
static void check_canonical(yg_str text, const struct yg_search_options *options, uint64_t hits,
                            struct yg_arena *arena) {
    struct yg_node *again;
    struct yg_err err = {0};
    yg_rc rc = yg_search_parse(text, options, arena, &again, &err);
    YG_ASSERT(rc == YG_OK || rc == YG_ENOMEM || strstr(err.text, "deeply") ||
              strstr(err.text, "at most") || strstr(err.text, "longer than"));
    if (rc != YG_OK)
        return;
    YG_AUTO(yg_buf) twice = YG_BUF(YG_MEM_BASE, 1u << 20);
    yg_search_print(again, &twice);
    YG_ASSERT(yg_str_eq(text, yg_buf_str(&twice)));
    YG_ASSERT(options->track != YG_TRACK_LOGS || run(again, arena) == hits);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size > 2048)
        return 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    for (int track = 0; track < YG_TRACK_COUNT; track++) {
        struct yg_search_options options = {.track = (enum yg_track)track};
        struct yg_node *tree;
        struct yg_err err = {0};
        yg_rc rc = yg_search_parse(fuzz_all(data, size), &options, arena, &tree, &err);
        FUZZ_EXPECT_INPUT_RC(rc);
        YG_ASSERT(rc == YG_OK || err.text[0] != 0);
        if (rc != YG_OK)
            continue;
        YG_AUTO(yg_buf) text = YG_BUF(YG_MEM_BASE, 1u << 20);
        yg_search_print(tree, &text);
        uint64_t hits = 0;
        if (track == YG_TRACK_LOGS) {
            hits = run(tree, arena);
            check_negation(tree, hits, arena);
        }
        check_canonical(yg_buf_str(&text), &options, hits, arena);
    }
    return 0;
}
