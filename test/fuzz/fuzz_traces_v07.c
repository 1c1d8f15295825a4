// SPDX-License-Identifier: Apache-2.0
// Traces v0.7: payload, chunks, defaults.
#include "intake_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_rows(yg_intake_traces_v07, fuzz_all(data, size), YG_FORM_UNKNOWN, YG_TRACK_SPANS);
    return 0;
}
