// SPDX-License-Identifier: Apache-2.0
// Private to filter: text patterns, leaves of a compiled filter, and the columns that answer a
// field.
#ifndef YG_FILTER_INTERNAL_H
#define YG_FILTER_INTERNAL_H

#include "filter/filter.h"
#include "filter/find.h"
#include "filter/regex.h"

// How a pattern's text spells wildcards (struct yg_node.text).
#define YG_WILD_RUN '\x01' // '*'
#define YG_WILD_ONE '\x02' // '?'

// ------------------------------------------------------------ text (text.c)

// A stretch of a pattern without '*'.
struct yg_piece {
    const uint32_t *cps; // code points, folded when the pattern is without case; YG_CP_ANY for '?'
    uint32_t cp_count;
    const char *bytes; // UTF-8 of the same when there is no '?'
    size_t len;
    struct yg_finder finder; // of bytes
    bool any;                // holds '?'
    bool ascii;              // bytes are all ASCII
};
#define YG_CP_ANY UINT32_MAX

// A compiled pattern. Anchored at both ends unless open_start/open_end. `token`: searched for
// anywhere, ends at the borders of tokens (unless open), and '*' does not run over blanks.
struct yg_pattern {
    struct yg_piece *pieces;
    uint32_t count;
    bool open_start;
    bool open_end;
    bool nocase;
    bool token;
    // Bytes that stand in every text that matches (len 0: unknown), unless need_odd and the text
    // holds a letter beyond ASCII that folds into it.
    struct yg_finder need;
    bool need_odd;
    char *need_bytes;
};
#define YG_NEED_BYTES_MAX 64u

yg_rc yg_pattern_compile(yg_str text, bool wild, bool nocase, bool token, struct yg_arena *arena,
                         struct yg_pattern *ret_pattern, struct yg_err *err) YG_MUST_USE;
bool yg_pattern_match(const struct yg_pattern *p, yg_str s);
// False when the text cannot match: one search for bytes.
bool yg_pattern_may_match(const struct yg_pattern *p, yg_str s);
// True when the text holds a letter beyond ASCII that folds into an ASCII one.
bool yg_text_has_odd_fold(yg_str s);

// ------------------------------------------------------------ many texts at once (text_rows.c)

// The strings of a vector without a dictionary, searched as one run of bytes. Sets bits of `out`
// for the wanted rows that match. False: the strings do not lie that way, or too few rows are
// wanted; nothing was done.
struct yg_text_rows {
    const yg_str *strs;
    uint32_t row_count;
    const uint64_t *wanted;
    uint64_t *out;
    // The whole condition on one text that holds the literal.
    bool (*matches)(void *ctx, yg_str text);
    void *ctx;
};
bool yg_text_rows_find(const struct yg_text_rows *x, const struct yg_finder *need, bool odd);
// Case folding of a code point as searches fold it.
uint32_t yg_text_fold(uint32_t cp);
// Scripts that are written without blanks: a word may stand anywhere in a run of them.
bool yg_text_unspaced(uint32_t cp);

// ------------------------------------------------------------ fields (field.c)

// Calls fn for the scalars of a JSON text: below `path` (dotted, empty = the value itself), arrays
// element by element. deep: scalars at any depth. An object where a scalar was looked for is
// reported as a JSON value (its raw text). Strings live in arena. A text that is no JSON gives
// nothing.
void yg_json_scalars(yg_str json, yg_str path, bool deep, struct yg_arena *arena,
                     void (*fn)(void *ctx, const struct yg_value *v), void *ctx);
// Next "key:value" (or bare) tag of a tag set.
bool yg_tag_next(yg_str *rest, yg_str *ret_tag);
// The value of `tag` when its key is `key` (without case).
bool yg_tag_value(yg_str tag, yg_str key, yg_str *ret_value);

// Which columns a field may mean, before any block is seen.
struct yg_source {
    yg_str column;
    enum yg_source_kind kind;
    yg_str key;      // tag key, or path below the JSON column
    uint32_t tracks; // bit per enum yg_track
};
#define YG_SOURCES_MAX YG_FIELD_SOURCES_MAX
#define YG_TRACKS_ALL ((1u << YG_TRACK_COUNT) - 1)
// Names that had to be made live in arena; the others are the field's.
yg_rc yg_field_sources(const struct yg_field *field, struct yg_arena *arena,
                       struct yg_source out[YG_SOURCES_MAX], uint32_t *ret_count,
                       struct yg_err *err) YG_MUST_USE;

// "warning" → "warn", "ERR" → "error"; other words in lower case. out holds the result when it had
// to be made.
#define YG_STATUS_BYTES 32
yg_str yg_status_canonical(yg_str s, char out[YG_STATUS_BYTES]);

// ------------------------------------------------------------ leaves (match.c)

struct yg_leaf {
    enum yg_node_kind kind;
    const struct yg_source *sources;
    uint32_t source_count;
    bool status;       // values are status words
    yg_str field_name; // EXISTS on an attribute: "@a" also finds columns "@a.…"
    bool prefix_exists;
    yg_str text;              // TERM (status: canonical)
    struct yg_regex *regex;   // REGEX
    struct yg_pattern exact;  // GLOB with case
    struct yg_pattern folded; // TERM, GLOB without case; TOKEN, PHRASE, FULLTEXT
    bool has_i64, has_f64, has_bits;
    int64_t i64;
    double f64;
    int64_t bits[2]; // span ids: decimal and hex reading
    uint32_t bits_count;
    yg_id128 ids[2];
    uint32_t id_count;
    int boolean; // 0, 1, or -1
    bool has_lo, has_hi, lo_open, hi_open, numeric;
    double lo, hi;
    yg_str lo_text, hi_text;
    const struct yg_cidr *cidrs;
    uint32_t cidr_count;
    bool no_number; // a condition on text that no text of a number can meet
    bool has_whole; // one that the text of a number meets when it is this or its negation
    int64_t whole;
    const yg_str *words; // of the key index: what a matching text has all of (granules.c)
    uint32_t word_count;
};

yg_rc yg_leaf_compile(const struct yg_node *n, struct yg_arena *arena, struct yg_leaf *out,
                      struct yg_err *err) YG_MUST_USE;
bool yg_leaf_str(const struct yg_leaf *l, yg_str v, bool nocase);
// Bytes that every string that yg_leaf_str finds must hold (NULL: unknown).
const struct yg_finder *yg_leaf_need(const struct yg_leaf *l, bool nocase, bool *ret_odd);
bool yg_leaf_i64(const struct yg_leaf *l, int64_t v, bool is_id);
bool yg_leaf_f64(const struct yg_leaf *l, double v);
bool yg_leaf_bool(const struct yg_leaf *l, bool v);
bool yg_leaf_id(const struct yg_leaf *l, yg_id128 v);
bool yg_leaf_json(const struct yg_leaf *l, yg_str json, yg_str path, struct yg_arena *scratch);
bool yg_leaf_tags(const struct yg_leaf *l, yg_str tags, const struct yg_source *source);
// Fills l->words from the text of the condition.
yg_rc yg_leaf_words(struct yg_leaf *l, bool wild, struct yg_arena *arena,
                    struct yg_err *err) YG_MUST_USE;
// True when a number in [min, max] could match.
bool yg_leaf_may_number(const struct yg_leaf *l, double min, double max);
bool yg_cidr_parse(yg_str s, struct yg_cidr *ret_cidr);

#endif
