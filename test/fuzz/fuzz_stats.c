// SPDX-License-Identifier: Apache-2.0
// Client statistics with their sketches.
#include "intake_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_points(yg_intake_stats_v06, fuzz_all(data, size), YG_FORM_MSGPACK);
    return 0;
}
