// SPDX-License-Identifier: Apache-2.0
// The search language: text → tree (struct yg_node) → steps over a block of rows. The one filter of
// the product.
#ifndef YG_FILTER_FILTER_H
#define YG_FILTER_FILTER_H

#include "base/buf.h"
#include "model/block.h"
#include "model/query.h"

// Parses a search (query-languages §2.1) for a track: field kinds follow the track's reserved
// names. The tree lives in arena. Empty and "*" give ALL. EINPUT: "… (column N)", 1-based, as a
// person reads it. no_fulltext refuses `*:`.
struct yg_search_options {
    enum yg_track track;
    bool no_fulltext;
};
yg_rc yg_search_parse(yg_str text, const struct yg_search_options *options, struct yg_arena *arena,
                      struct yg_node **ret_tree, struct yg_err *err) YG_MUST_USE;
// One field name as it stands in a facet, measure or group-by: "@http.status_code", "service",
// "env", "host".
yg_rc yg_field_parse(yg_str name, enum yg_track track, struct yg_arena *arena,
                     struct yg_field *ret_field, struct yg_err *err) YG_MUST_USE;
// Canonical text of a tree, for fingerprints and tests.
void yg_search_print(const struct yg_node *tree, struct yg_buf *out);

// A compiled filter: flat steps, cheapest first; keeps per-dictionary outcomes, so use one per
// thread and query.
struct yg_filter;
yg_rc yg_filter_compile(const struct yg_node *tree, struct yg_time_range range,
                        struct yg_filter **ret_filter, struct yg_err *err) YG_MUST_USE;
void yg_filter_destroy(struct yg_filter *f);
// False when statistics alone prove that no row of the block matches. No decoding.
bool yg_filter_may_match(struct yg_filter *f, struct yg_block *b);
// Sets ret_rows (YG_BITS_WORDS(b->row_count) words of the caller's) to the matching live rows
// within the time range.
yg_rc yg_filter_run(struct yg_filter *f, struct yg_block *b, uint64_t *ret_rows,
                    struct yg_err *err) YG_MUST_USE;

// From now on only rows within `range` match as well (a search that already holds better rows).
// Never widens.
void yg_filter_narrow(struct yg_filter *f, struct yg_time_range range);

// ---- candidates: which granules of a segment may hold matching rows, before one of them is opened
// What a segment knows of its granules. Every function sets the bits of granules and clears none.
struct yg_granules {
    enum yg_track track;
    uint32_t count;
    // Granules where a row has a value of that type in the column; range (I64, BOOL, F64; may be
    // NULL): only where the values' range meets [range[0], range[1]].
    void (*present)(void *ctx, yg_str column, enum yg_type type, const double range[2],
                    uint64_t *bits);
    // Granules where a STR value of the column may equal the text, an ID value may have that low
    // half, a STR value may hold the word (yg_words).
    void (*value)(void *ctx, yg_str column, yg_str text, uint64_t *bits);
    void (*id)(void *ctx, yg_str column, yg_id128 id, uint64_t *bits);
    void (*word)(void *ctx, yg_str column, yg_str folded_word, uint64_t *bits);
    // Granules where a STR value may fit: dictionaries are asked value by value, strings without
    // one all may.
    void (*matching)(void *ctx, yg_str column, bool (*fits)(void *arg, yg_str value), void *arg,
                     uint64_t *bits);
    void *ctx;
};
// Sets ret_bits (YG_BITS_WORDS(g->count) words) to the granules that may hold a matching row. Time
// is not looked at.
yg_rc yg_filter_granules(struct yg_filter *f, const struct yg_granules *g, uint64_t *ret_bits,
                         struct yg_err *err) YG_MUST_USE;

// ---- values of a field, for facets, group-by and measures
// Calls fn for every value of `field` in row r: JSON columns give each scalar element, TAG fields
// each value of that key, attribute paths reach into JSON arrays of objects. Text form for
// non-strings via yg_value_text.
yg_rc yg_field_values(const struct yg_field *field, struct yg_block *b, uint32_t row,
                      void (*fn)(void *ctx, const struct yg_value *v), void *ctx,
                      struct yg_err *err) YG_MUST_USE;
// The same for many rows of one block: the columns that answer the field are looked up once.
enum yg_source_kind {
    YG_SOURCE_COLUMN, // the column's own values; JSON columns element by element
    YG_SOURCE_TAG,    // values of the tag `key` in a tag set
    YG_SOURCE_TAGS,   // every tag of a tag set, whole
    YG_SOURCE_PATH,   // scalars below the path `key` in a JSON column
};
#define YG_FIELD_SOURCES_MAX 12
struct yg_field_source {
    const struct yg_vec *vec; // borrowed from the block
    enum yg_source_kind kind;
    yg_str key; // borrowed from the field
};
// count = 0: no row of the block has the field. One COLUMN source with vec->dict: group by code.
struct yg_field_view {
    struct yg_field_source sources[YG_FIELD_SOURCES_MAX + YG_TYPE_COUNT];
    uint32_t count;
    struct yg_arena *arena; // of the block: strings taken out of JSON live there
};
yg_rc yg_field_view_open(const struct yg_field *field, struct yg_block *b,
                         struct yg_field_view *ret_view, struct yg_err *err) YG_MUST_USE;
void yg_field_view_values(const struct yg_field_view *view, uint32_t row,
                          void (*fn)(void *ctx, const struct yg_value *v), void *ctx);
// Text of a value as facets show it: numbers shortest, booleans true/false, ids 32 hex digits. Into
// arena when needed.
yg_str yg_value_text(const struct yg_value *v, struct yg_arena *arena);
// Number of a value: numbers, and text that is wholly a number. False otherwise.
bool yg_value_number(const struct yg_value *v, double *ret_number);

// ---- words as the key index keeps them (store/key_index.h) and a search may ask for them
// A word: a run of word characters between token borders, folded, with an ASCII digit in it, of 3
// to 64 bytes. A UUID is one word; of its groups only those of 8 or 12 decimal digits are words of
// their own.
struct yg_word {
    uint32_t at; // in yg_words.folded
    uint32_t len;
    bool sure; // every text that a search with this word finds has the word in the index
};
struct yg_words { // zeroed = empty; kept from text to text
    char *folded;
    struct yg_word *list;
    uint32_t count;
    uint64_t *bits; // scratch: word characters, then digits
    size_t bytes_cap;
    uint32_t list_cap;
};
// Reads the words of a text; pattern: wildcards (\x01, \x02) make the words beside them unknown,
// which are then left out.
void yg_words_read(struct yg_words *w, yg_str text, bool pattern);
void yg_words_fini(struct yg_words *w);

#endif
