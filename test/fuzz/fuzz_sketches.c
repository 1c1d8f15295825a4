// SPDX-License-Identifier: Apache-2.0
// Agents' sketches as Protocol Buffers.
#include "intake_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_points(yg_intake_sketches, fuzz_all(data, size), YG_FORM_PROTOBUF);
    return 0;
}
