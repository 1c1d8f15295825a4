// SPDX-License-Identifier: Apache-2.0
// Private to the store room: the key index of a segment, which says in which granules a value of a
// column or a word of a text may stand (engine.md §5, engine-measured.md §4 c; by byte offset:
// docs/formats/segment.md §4).
//
// Keys are 28-bit hashes. They are written in *parts*, each over the granules of a stripe or two,
// so that neither writing nor reading needs more memory for a larger segment. A part is a table of
// buckets (by the key's upper bits) and the buckets' keys: Elias–Fano for the lower bits, then the
// granule of each. A look-up reads one bucket of each part: one page of 4 KiB, seldom two. What
// stays in memory are the tables and the pages' checksums.
//
// A key that is absent is in no granule of those that the index *covers* for the column; one that
// is present may be in none (two texts of one hash), never the other way round.
#ifndef YG_STORE_KEY_INDEX_H
#define YG_STORE_KEY_INDEX_H

#include "base/buf.h"
#include "model/value.h"

#define YG_KEY_BITS 28u
#define YG_KEY_SECTION_KIND 2u
// Values of strings with more distinct ones than this in a stripe are worth keys.
#define YG_KEY_MANY_VALUES 4096u

// What a key stands for. Numbers are part of the format.
enum yg_key_kind {
    YG_KEY_VALUE = 0, // a whole value
    YG_KEY_WORD = 1,  // a word of a text (filter.h: yg_words)
    YG_KEY_KIND_COUNT
};

// Key of a whole value (text as it is stored) of a string column, of an id (its low half), and of a
// word of a long text, folded as the search language folds it. Texts that are ids by their shape
// (UUIDs, 16 or 32 hex digits, 15 to 20 decimal ones) have one key whatever the column, so that
// the row's own ids in its message cost nothing.
uint32_t yg_key_of_value(yg_str column, yg_str value);
uint32_t yg_key_of_id(yg_id128 id);
uint32_t yg_key_of_word(yg_str column, yg_str folded_word);

// ------------------------------------------------------------ writing

struct yg_key_builder;
struct yg_key_builder *yg_key_builder_create(void);
void yg_key_builder_destroy(struct yg_key_builder *b);

// Values of one string or id column in one granule (number within the segment). The builder
// decides what of it is indexed and which kinds it covers: ids; whole values of strings with many
// distinct ones, words of those that free words search. Not given = not covered = a candidate.
struct yg_key_input {
    yg_str column;
    enum yg_type type;
    uint32_t granule;
    uint32_t count;
    bool many_values; // strings without a dictionary, or with one of many values
    const yg_str *strs;
    const yg_id128 *ids;
};
void yg_key_builder_add(struct yg_key_builder *b, const struct yg_key_input *in);

// Takes over the keys of granules [from, from + count) of a written index as granules to, to + 1 …
// of the new one (a stripe that is copied as it stands). ECORRUPT: the new granules are simply not
// covered; the caller may go on.
struct yg_key_index;
yg_rc yg_key_builder_copy(struct yg_key_builder *b, const struct yg_key_index *index, uint32_t from,
                          uint32_t count, uint32_t to, struct yg_err *err) YG_MUST_USE;

// After each stripe: may append a finished part to out, whose end is offset `at` of the file.
// Always a multiple of 8 bytes. ELIMIT: out is full.
yg_rc yg_key_builder_stripe(struct yg_key_builder *b, uint64_t at, struct yg_buf *out,
                            struct yg_err *err) YG_MUST_USE;
// Appends the last part and the section (segment.md §4, kind 2), which begins at *ret_section_at of
// the file and ends with out. Nothing when nothing is covered.
yg_rc yg_key_builder_write(struct yg_key_builder *b, uint64_t at, uint32_t granule_count,
                           struct yg_buf *out, uint64_t *ret_section_at,
                           struct yg_err *err) YG_MUST_USE;

// ------------------------------------------------------------ reading

// Where parts are read from: `len` bytes at offset `at` of the file. Thread: any.
struct yg_key_io {
    yg_rc (*read)(void *ctx, void *out, size_t len, uint64_t at, struct yg_err *err);
    void *ctx;
};

struct yg_key_part;
struct yg_key_cover;
struct yg_key_index {
    struct yg_key_io io;
    uint32_t granule_count;
    uint32_t part_count;
    uint32_t cover_count;
    struct yg_key_part *parts;
    struct yg_key_cover *covers;
    const uint32_t *page_crcs; // in the section
    size_t memory_bytes;       // of this index, without the section
};

// Checks the section and reads the parts' tables. section: borrowed until yg_key_index_close,
// begins at a multiple of 8 in memory; parts lie below offset parts_end. Empty section: an index
// that covers nothing. ECORRUPT names the offset within the section or file.
yg_rc yg_key_index_open(yg_str section, uint32_t granule_count, uint64_t parts_end,
                        const struct yg_key_io *io, struct yg_key_index *ret_index,
                        struct yg_err *err) YG_MUST_USE;
void yg_key_index_close(struct yg_key_index *index); // zeroed is fine
// Sets the bits of the granules that may hold the key. ECORRUPT, EIO: the granules of the part that
// cannot be read are all set, so that no row is lost. Thread: any.
yg_rc yg_key_index_find(const struct yg_key_index *index, uint32_t key, uint64_t *granule_bits,
                        struct yg_err *err) YG_MUST_USE;
// The granules in which every value of the column has its keys of the kind (a bit each), or NULL:
// none. Outside of them the index proves nothing.
const uint64_t *yg_key_index_covered(const struct yg_key_index *index, yg_str column,
                                     enum yg_type type, enum yg_key_kind kind);
// True when that is every granule of the segment.
bool yg_key_index_covers(const struct yg_key_index *index, yg_str column, enum yg_type type,
                         enum yg_key_kind kind);

#endif
