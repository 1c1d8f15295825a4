// SPDX-License-Identifier: Apache-2.0
// What every target of this folder has: one input in, and a crash when an invariant does not hold.
#ifndef YG_TEST_FUZZ_H
#define YG_TEST_FUZZ_H

#include "base/arena.h"
#include "base/panic.h"

#define FUZZ_ARENA_BYTES (64u << 20)
#define FUZZ_NOW_NS INT64_C(1795600000000000000)

// As the server has them: a size that comes from outside must be refused, not tried.
__attribute__((constructor)) static void fuzz_limits(void) {
    for (int tag = 0; tag < YG_MEM_TAG_COUNT; tag++)
        yg_mem_limit_set((enum yg_mem_tag)tag, INT64_C(512) << 20);
}

// The fuzzer's (or the replayer's) call. Always 0.
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

// The rest of the input after its first byte, which chooses a variant.
static inline yg_str fuzz_rest(const unsigned char *data, size_t size) {
    return (yg_str){(const char *)data + 1, size - 1};
}
static inline yg_str fuzz_all(const unsigned char *data, size_t size) {
    return (yg_str){(const char *)data, size};
}

// Reads both ends of s, so that a sanitizer sees what is not there.
static inline void fuzz_touch(yg_str s) {
    if (s.len > 0)
        __asm__ volatile("" ::"r"(s.ptr[0]), "r"(s.ptr[s.len - 1]));
}

// Input errors are answers; anything else from a decoder is a fault.
#define FUZZ_EXPECT_INPUT_RC(rc)                                                                   \
    YG_ASSERT((rc) == YG_OK || (rc) == YG_EINPUT || (rc) == YG_ELIMIT || (rc) == YG_ENOMEM)

#endif
