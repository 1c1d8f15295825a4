// SPDX-License-Identifier: Apache-2.0
// UTF-8: validity, decoding, and the case folding that text search uses.
#ifndef YG_BASE_UTF8_H
#define YG_BASE_UTF8_H

#include "base/str.h"

// Offset of the first byte that is not valid UTF-8 (RFC 3629); s.len when all is well.
size_t yg_utf8_check(yg_str s);
// Decodes the code point at *at and moves on; an invalid byte gives U+FFFD and moves one byte.
uint32_t yg_utf8_next(yg_str s, size_t *at);
size_t yg_utf8_put(uint32_t cp, char out[4]); // bytes written
uint32_t yg_utf8_fold(uint32_t cp);           // simple case folding (towlower over Unicode)
bool yg_utf8_is_word(uint32_t cp); // letter, digit or '_': what a search token is made of

#endif
