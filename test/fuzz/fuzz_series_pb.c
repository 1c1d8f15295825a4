// SPDX-License-Identifier: Apache-2.0
// Series v2 as Protocol Buffers.
#include "intake_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_points(yg_intake_series_v2, fuzz_all(data, size), YG_FORM_PROTOBUF);
    return 0;
}
