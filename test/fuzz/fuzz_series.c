// SPDX-License-Identifier: Apache-2.0
// Series v1, v2 and distribution points in JSON: the same body at all three.
#include "intake_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_points(yg_intake_series_v1, fuzz_all(data, size), YG_FORM_JSON);
    fuzz_points(yg_intake_series_v2, fuzz_all(data, size), YG_FORM_JSON);
    fuzz_points(yg_intake_distribution_points, fuzz_all(data, size), YG_FORM_JSON);
    return 0;
}
