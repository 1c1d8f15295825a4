// SPDX-License-Identifier: Apache-2.0
// Logs: JSON, and text when the body does not begin like JSON.
#include "intake_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    bool json = size > 0 && (data[0] == '[' || data[0] == '{');
    enum yg_intake_form form = json ? YG_FORM_JSON : YG_FORM_TEXT;
    fuzz_rows(yg_intake_logs, fuzz_all(data, size), form, YG_TRACK_LOGS);
    return 0;
}
