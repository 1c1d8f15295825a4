// SPDX-License-Identifier: Apache-2.0
// Private to filter: regular expressions (PCRE2, UTF-8, JIT where the system allows it).
#ifndef YG_FILTER_REGEX_H
#define YG_FILTER_REGEX_H

#include "filter/find.h"

#include "base/arena.h"

#define YG_REGEX_BYTES_MAX 4096u
#define YG_REGEX_MATCH_LIMIT 100000u

struct yg_regex;
// Compiles and leaves everything to the arena's end. EINPUT: what is wrong and at which byte of the
// expression (1-based). ELIMIT: longer than YG_REGEX_BYTES_MAX.
yg_rc yg_regex_compile(yg_str expression, struct yg_arena *arena, struct yg_regex **ret_regex,
                       struct yg_err *err) YG_MUST_USE;
// True when the expression is found in the text. One thread at a time.
bool yg_regex_match(struct yg_regex *re, yg_str text);
// EINPUT when a match since the compilation gave up at its limit: the answers since then are not
// complete.
yg_rc yg_regex_check(const struct yg_regex *re, struct yg_err *err) YG_MUST_USE;
// Bytes that stand in every text that matches (len 0: unknown); *ret_odd as yg_pattern.need_odd.
const struct yg_finder *yg_regex_need(const struct yg_regex *re, bool *ret_odd);

#endif
