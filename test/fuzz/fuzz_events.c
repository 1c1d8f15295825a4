// SPDX-License-Identifier: Apache-2.0
// Events and service checks in JSON.
#include "intake_fuzz.h"

static yg_rc event(const struct yg_intake_in *in, struct yg_batch *b, struct yg_intake_tally *t,
                   struct yg_err *err) {
    struct yg_intake_event e;
    return yg_intake_event_v1(in, b, t, &e, err);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_rows(yg_intake_checks, fuzz_all(data, size), YG_FORM_JSON, YG_TRACK_EVENTS);
    fuzz_rows(event, fuzz_all(data, size), YG_FORM_JSON, YG_TRACK_EVENTS);
    return 0;
}
