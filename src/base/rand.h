// SPDX-License-Identifier: Apache-2.0
// Random bytes from the system, and UUIDs made of them.
#ifndef YG_BASE_RAND_H
#define YG_BASE_RAND_H

#include "base/str.h"

void yg_rand_bytes(void *out, size_t len); // getrandom; panics when the system has none
uint64_t yg_rand_u64(void);
void yg_rand_hex(char *out, size_t digits); // lower case, not terminated
#define YG_UUID_TEXT_BYTES 37
void yg_uuid_v4(char out[YG_UUID_TEXT_BYTES]); // with final NUL

#endif
