// SPDX-License-Identifier: Apache-2.0
// Private to filter: the steps of a compiled filter and the outcomes it keeps per dictionary.
#ifndef YG_FILTER_STEPS_H
#define YG_FILTER_STEPS_H

#include "filter/internal.h"

enum yg_step_op {
    YG_STEP_ALL,
    YG_STEP_NONE,
    YG_STEP_LEAF,
    YG_STEP_AND, // out &= other
    YG_STEP_OR,  // out |= other
    YG_STEP_NOT,
    YG_STEP_JUMP_IF_NONE, // out is empty: go to `jump`
};

struct yg_step {
    enum yg_step_op op;
    uint32_t out;
    uint32_t other;
    uint32_t mask;
    uint32_t leaf;
    uint32_t jump;
};

#define YG_REGISTER_WORDS (YG_GRANULE_ROWS / 64)

// Outcome per code of one dictionary: 0 = not asked yet, 1 = no, 2 = yes.
struct yg_memo {
    uint64_t uid; // 0 = free slot
    uint32_t source;
    uint32_t count;
    uint8_t *outcomes;
};

// All dictionaries that a leaf has met. Emptied when it holds more than YG_MEMO_BYTES_MAX.
#define YG_MEMO_BYTES_MAX (4u << 20)
struct yg_memo_table {
    struct yg_memo *slots;
    uint32_t cap; // power of two or 0
    uint32_t len;
    size_t bytes;
};

// Outcomes for (dictionary, source); NULL when there is no memory.
uint8_t *yg_memo_get(struct yg_memo_table *t, const struct yg_dict *dict, uint32_t source);
void yg_memo_table_fini(struct yg_memo_table *t);

// The tree as the filter keeps it: compiled into steps, and asked directly by yg_filter_may_match.
struct yg_plan_node {
    enum yg_node_kind kind;
    uint32_t cost; // lower runs first within an AND
    uint32_t leaf; // index, for conditions
    struct yg_plan_node **children;
    uint32_t child_count;
};

struct yg_filter {
    struct yg_arena *arena;
    struct yg_arena *scratch; // JSON strings of one value
    struct yg_time_range range;
    struct yg_step *steps;
    uint32_t step_count;
    struct yg_leaf **leaves;
    uint32_t leaf_count;
    uint64_t *registers; // register_count × YG_REGISTER_WORDS
    uint32_t register_count;
    struct yg_memo_table *memos; // per leaf
    struct yg_plan_node *plan;
    uint32_t plan_depth;
};

#endif
