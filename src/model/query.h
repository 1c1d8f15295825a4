// SPDX-License-Identifier: Apache-2.0
// The query IR: what every front (search language, monitors, page) produces and the engine runs.
#ifndef YG_MODEL_QUERY_H
#define YG_MODEL_QUERY_H

#include "base/arena.h"
#include "model/track.h"
#include "model/value.h"

// ------------------------------------------------------------ filter tree

enum yg_node_kind {
    YG_NODE_ALL,    // everything
    YG_NODE_NONE,   // nothing
    YG_NODE_AND,    // children
    YG_NODE_OR,     // children
    YG_NODE_NOT,    // one child
    YG_NODE_EXISTS, // field
    YG_NODE_TERM,  // field = text (exact, whole value); numbers compare as numbers where the column
                   // is one
    YG_NODE_GLOB,  // field matches text with * and ? (escapes undone into `glob` pieces by the
                   // parser: see text)
    YG_NODE_RANGE, // field between lo and hi
    YG_NODE_CIDR,  // field in one of the blocks
    YG_NODE_TOKEN, // free word: one token of the message (no case); with `wild`, the token may hold
                   // * and ?
    YG_NODE_PHRASE,   // free "two words": phrase in the message (no case, token borders)
    YG_NODE_FULLTEXT, // *:word – every attribute and the message (no case)
    YG_NODE_REGEX,    // field:~"text" – the regular expression is found in a value (with case)
    YG_NODE_KIND_COUNT
};

// How a name in the search language finds columns.
enum yg_field_kind {
    YG_FIELD_RESERVED, // bare and reserved on this track: column `name`
    YG_FIELD_ATTR,     // "@path": column "@path"
    YG_FIELD_TAG,      // bare, not reserved: tag `name:` of "tags"; on spans also attribute "@name"
};

struct yg_field {
    enum yg_field_kind kind;
    yg_str
        name; // column name for RESERVED and ATTR ("service", "@http.status_code"); tag key for TAG
};

// 16-byte address (IPv4 mapped) and prefix length in bits of it (so IPv4 /8 is 104).
struct yg_cidr {
    uint8_t addr[16];
    uint8_t bits;
};

struct yg_node {
    enum yg_node_kind kind;
    struct yg_field field;
    // TERM, TOKEN, PHRASE, FULLTEXT: the text, escapes undone. REGEX: the expression.
    // GLOB (and wild TOKEN, FULLTEXT): pattern in which \x01 stands for '*' and \x02 for '?'; all
    // else literal.
    yg_str text;
    bool wild;
    // RANGE: lo/hi as doubles when numeric, and as text for string columns; unbounded sides have
    // has_lo/has_hi false.
    bool has_lo, has_hi, lo_open, hi_open;
    double lo_f64, hi_f64;
    bool lo_numeric, hi_numeric;
    yg_str lo_text, hi_text;
    struct yg_cidr *cidrs;
    uint32_t cidr_count;
    struct yg_node **children;
    uint32_t child_count;
};

// ------------------------------------------------------------ events: search and aggregate

struct yg_time_range { // [from_ns, to_ns)
    int64_t from_ns;
    int64_t to_ns;
};

enum yg_agg {
    YG_AGG_COUNT,
    YG_AGG_CARDINALITY,
    YG_AGG_SUM,
    YG_AGG_MIN,
    YG_AGG_MAX,
    YG_AGG_AVG,
    YG_AGG_PERCENTILE, // `q`
    YG_AGG_KIND_COUNT
};

struct yg_compute {
    enum yg_agg agg;
    double q;               // 0–1 for PERCENTILE
    struct yg_field metric; // not for COUNT
    bool timeseries; // one value per `interval_ns` bucket (aligned to 1970) instead of one in all
    int64_t interval_ns;
};

struct yg_group_by {
    struct yg_field facet;
    uint32_t limit;         // top groups kept at this level; 0 = 10
    bool sort_alphabetical; // by the facet's value instead of a measure
    bool sort_ascending;
    struct yg_compute sort; // measure to sort by (total)
    bool has_sort_measure;  // false: the first compute
    bool has_missing;       // rows without the facet count under `missing`
    yg_str missing;
    bool has_total;
    yg_str total;
    bool histogram; // numeric facet cut into intervals [min, max)
    double hist_interval, hist_min, hist_max;
};

// Position after which a page goes on: rows strictly after (time, seq) in the sort order.
struct yg_cursor_pos {
    bool set;
    int64_t sort_value; // the sort column's value (ns, count)
    int64_t seq;
};

enum yg_event_sort { YG_SORT_TIME, YG_SORT_DURATION, YG_SORT_SPAN_COUNT, YG_SORT_ERROR_COUNT };

struct yg_event_query {
    enum yg_track track;
    struct yg_time_range range;
    const struct yg_node *filter;
    // search
    enum yg_event_sort sort; // others than TIME: traces track (and DURATION on spans)
    bool ascending;
    uint32_t limit;
    struct yg_cursor_pos after;
    int64_t slice_mono_ns; // by time only: from then on what is found so far is the answer; 0 = no
    // aggregate
    const struct yg_compute *computes;
    uint32_t compute_count;
    const struct yg_group_by *group_by;
    uint32_t group_count;
    uint32_t groups_max; // 0 = 1,000,000
    // both
    int64_t deadline_mono_ns;    // 0 = none
    bool (*canceled)(void *arg); // asked between granules, by any thread; may be NULL
    void *canceled_arg;
    bool background; // nobody waits at a screen: workers of the background lane help
};

#endif
