// SPDX-License-Identifier: Apache-2.0
// Shared by the files of make_seeds.
#ifndef YG_TEST_MAKE_SEEDS_H
#define YG_TEST_MAKE_SEEDS_H

#include "base/str.h"

#define BUF_MAX (16u << 20)

void seed_file(const char *target, const char *name, yg_str content);
// With a first byte that chooses the target's variant.
void seed_variant(const char *target, const char *name, char variant, yg_str content);
void seed_packed(void); // bodies in every content encoding
void seed_mblock(void); // a metric block file
void seed_chunk(void);  // values of a chunk in every encoding

#endif
