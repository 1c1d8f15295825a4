// SPDX-License-Identifier: Apache-2.0
// Private to the store room: the key index of a segment, which says in which granules a value of a
// column or a token of a text may stand. Keys are 28-bit hashes, sorted, delta- and bit-packed with
// the granules of each (engine.md §5, engine-measured.md §4 c). A key that is absent is in no
// granule; one that is present may be in none (two texts of one hash), never the other way round.
#ifndef YG_STORE_KEY_INDEX_H
#define YG_STORE_KEY_INDEX_H

#include "base/buf.h"
#include "model/value.h"

#define YG_KEY_BITS 28u

// Key of a whole value (text as it is stored) of a string column, of an id (its low half), and of a
// word of a long text, folded as the search language folds it.
uint32_t yg_key_of_value(yg_str column, yg_str value);
uint32_t yg_key_of_id(yg_str column, yg_id128 id);
uint32_t yg_key_of_token(yg_str column, yg_str folded_token);

// ------------------------------------------------------------ writing

struct yg_key_builder;
struct yg_key_builder *yg_key_builder_create(void);
void yg_key_builder_destroy(struct yg_key_builder *b);

// Values of one column in one granule (number within the segment, ascending from call to call for
// one column). The builder decides what of it is indexed: ids of the trace id column, whole values
// of strings with many distinct ones, tokens of texts. own: per value up to own_count texts of the
// same row that have their own column (request id, trace id): tokens equal to one are left out; may
// be NULL.
struct yg_key_input {
    yg_str column;
    enum yg_type type;
    uint32_t granule;
    uint32_t count;
    bool many_values; // strings without a dictionary, or with one of very many values
    const yg_str *strs;
    const yg_id128 *ids;
    const yg_str *own; // [count × own_count]; empty = that row has none
    uint32_t own_count;
};
void yg_key_builder_add(struct yg_key_builder *b, const struct yg_key_input *in);

// Takes over the keys of granules [from, from + count) of a written index as granules to, to + 1 …
// of the new one (a stripe that is copied as it stands).
struct yg_key_index;
yg_rc yg_key_builder_copy(struct yg_key_builder *b, const struct yg_key_index *index, uint32_t from,
                          uint32_t count, uint32_t to, struct yg_err *err) YG_MUST_USE;

// Appends the section (segment.md §4, kind 2). Nothing when there is no key.
yg_rc yg_key_builder_write(struct yg_key_builder *b, struct yg_buf *out,
                           struct yg_err *err) YG_MUST_USE;

// ------------------------------------------------------------ reading

// A checked view on the section's bytes (borrowed). ECORRUPT names the offset within the section.
struct yg_key_index {
    yg_str bytes;
    uint32_t key_count;
    uint32_t granule_count;
    const uint8_t *blocks; // kept by key_index.c
    uint32_t block_count;
};
yg_rc yg_key_index_open(yg_str section, uint32_t granule_count, struct yg_key_index *ret_index,
                        struct yg_err *err) YG_MUST_USE;
// Sets the bits of the granules that may hold the key. false: none.
bool yg_key_index_find(const struct yg_key_index *index, uint32_t key, uint64_t *granule_bits);
// True when the column's whole values (or tokens) are all in the index in every granule, so that an
// absent key proves an absent value.
bool yg_key_index_covers(const struct yg_key_index *index, yg_str column, enum yg_type type,
                         bool tokens);

#endif
