// SPDX-License-Identifier: Apache-2.0
// Traces v0.3 and v0.4: MessagePack, or JSON when the body looks so.
#include "intake_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_rows(yg_intake_traces_v04, fuzz_all(data, size), YG_FORM_UNKNOWN, YG_TRACK_SPANS);
    return 0;
}
