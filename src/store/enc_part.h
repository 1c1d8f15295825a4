// SPDX-License-Identifier: Apache-2.0
// Private to the encodings of a chunk's values (segment_encode.h): the parts that write and read
// one family of types each.
#ifndef YG_STORE_ENC_PART_H
#define YG_STORE_ENC_PART_H

#include "store/enc_ints.h"
#include "store/segment_encode.h"

#define YG_ENC_RAW_BYTES_MAX (1u << 31)

// ------------------------------------------------------------ writing: enc_num.c, enc_str.c
// Each appends the values' bytes and returns the encoding.

uint8_t yg_enc_put_f64(const double *v, uint32_t n, bool quick, struct yg_buf *out);
uint8_t yg_enc_put_ids(struct yg_encoder *e, const yg_id128 *ids, uint32_t n, struct yg_buf *out);
yg_rc yg_enc_put_strs(struct yg_encoder *e, const struct yg_enc_input *in, struct yg_buf *out,
                      uint8_t *ret_encoding, struct yg_err *err) YG_MUST_USE;
// Strings of a dictionary: all distinct, any number.
yg_rc yg_enc_put_distinct(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                          uint8_t *ret_encoding, struct yg_err *err) YG_MUST_USE;

// Lengths and bytes, compressed where that helps.
yg_rc yg_enc_put_bytes(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                       uint8_t *ret_encoding, struct yg_err *err) YG_MUST_USE;
// Strings in groups of one form each (enc_group.c). !*ret_done: that does not pay, nothing is
// written.
yg_rc yg_enc_put_groups(struct yg_encoder *e, const yg_str *strs, uint32_t n, struct yg_buf *out,
                        bool *ret_done, struct yg_err *err) YG_MUST_USE;

// Fills e->dedupe. False when more than `max` are distinct: then the references are not complete.
bool yg_enc_dedupe_strs(struct yg_enc_dedupe *d, const yg_str *strs, uint32_t n, uint32_t max);
bool yg_enc_dedupe_ids(struct yg_enc_dedupe *d, const yg_id128 *ids, uint32_t n, uint32_t max);

// Strings of one shape (enc_layout.c). False: they have none, nothing is written.
bool yg_enc_put_layout(const yg_str *strs, uint32_t n, struct yg_buf *out);

// Own texts replaced by references (enc_own.c). *ret_strs: the texts with references, in `raw`;
// false when there are none.
#define YG_ENC_OWN_ACTIVE 8u // slots that one chunk refers to
struct yg_enc_own_plan {
    uint32_t count;
    uint8_t slots[YG_ENC_OWN_ACTIVE];
};
bool yg_enc_own_replace(const struct yg_enc_input *in, struct yg_buf *raw,
                        struct yg_enc_own_plan *ret_plan, yg_str *strs);

// ------------------------------------------------------------ reading: enc_read.c

// What is read from. A function that fails gives ECORRUPT with the fault as its text, or ENOMEM.
struct yg_enc_reader {
    struct yg_cursor c; // behind the presence; YG_PACK_SLACK bytes more are readable
    uint8_t encoding;
    uint32_t raw_bytes; // format version 1
    uint32_t count;
    uint32_t rows;
    const uint64_t *present; // NULL: all rows
    struct yg_arena *arena;
    struct yg_enc_own_source own;
    const struct yg_text_probe *probe; // texts that cannot match it may come as ""; NULL: none
    // Set by yg_enc_get_strs where values are few distinct ones: value i is distinct[refs[i]].
    const yg_str *distinct;
    const uint32_t *refs;
    uint32_t distinct_count;
};
yg_rc yg_enc_get_i64(struct yg_enc_reader *r, const int64_t **ret_values,
                     struct yg_err *err) YG_MUST_USE;
yg_rc yg_enc_get_f64(struct yg_enc_reader *r, const double **ret_values,
                     struct yg_err *err) YG_MUST_USE;
yg_rc yg_enc_get_ids(struct yg_enc_reader *r, const yg_id128 **ret_values,
                     struct yg_err *err) YG_MUST_USE;
yg_rc yg_enc_get_codes(struct yg_enc_reader *r, uint32_t dict_count, const uint32_t **ret_codes,
                       struct yg_err *err) YG_MUST_USE;
yg_rc yg_enc_get_strs(struct yg_enc_reader *r, const yg_str **ret_strs,
                      struct yg_err *err) YG_MUST_USE;

yg_rc yg_enc_damaged(const char *fault, struct yg_err *err) YG_MUST_USE;
yg_rc yg_enc_no_memory(struct yg_err *err) YG_MUST_USE;
// An encoding of strings that holds no further parts, and its strings.
bool yg_enc_is_part(uint8_t encoding);
yg_rc yg_enc_get_part(struct yg_enc_reader *r, yg_str *v, struct yg_err *err) YG_MUST_USE;
yg_rc yg_enc_get_groups(struct yg_enc_reader *r, yg_str *out, struct yg_err *err) YG_MUST_USE;
yg_rc yg_enc_get_layout(struct yg_enc_reader *r, yg_str *out, struct yg_err *err) YG_MUST_USE;
// Bytes that the strings may hold; false where only decoding would tell.
bool yg_enc_layout_chars(struct yg_enc_reader *r, uint64_t chars[4]);
bool yg_enc_text_chars(struct yg_enc_reader *r, uint64_t chars[4]);
// strs: texts with references, of the same count; replaced by what they mean.
yg_rc yg_enc_own_restore(struct yg_enc_reader *r, const struct yg_enc_own_plan *plan,
                         size_t total_bytes, yg_str *strs, struct yg_err *err) YG_MUST_USE;
// The same for texts that may match r->probe; the others become "".
yg_rc yg_enc_own_restore_some(struct yg_enc_reader *r, const struct yg_enc_own_plan *plan,
                              size_t total_bytes, yg_str *strs, struct yg_err *err) YG_MUST_USE;
// Of strs[0 … count) those that may match the probe: bits of ret_may, which are 0 before. False:
// not known, all may.
bool yg_enc_own_probe(struct yg_enc_reader *r, const struct yg_enc_own_plan *plan,
                      const yg_str *strs, uint32_t count, uint64_t *ret_may);
#define YG_ENC_OWN_ESCAPE 0u
#define YG_ENC_OWN_SPECIAL_MAX YG_ENC_OWN_ACTIVE // bytes 0 … SPECIAL_MAX are special
#define YG_ENC_OWN_LEN_MIN 4u                    // no shorter text is replaced

#endif
