// SPDX-License-Identifier: Apache-2.0
// Traces v0.5: dictionary and arrays.
#include "intake_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_rows(yg_intake_traces_v05, fuzz_all(data, size), YG_FORM_MSGPACK, YG_TRACK_SPANS);
    return 0;
}
