// SPDX-License-Identifier: Apache-2.0
// Pull reader for JSON: no tree, strings borrowed from the input or unescaped into an arena.
#ifndef YG_CODEC_JSON_READ_H
#define YG_CODEC_JSON_READ_H

#include "base/arena.h"

enum yg_json_kind {
    YG_JSON_END, // after the last value
    YG_JSON_NULL,
    YG_JSON_BOOL,
    YG_JSON_INT,    // fits int64
    YG_JSON_DOUBLE, // any other number
    YG_JSON_STRING,
    YG_JSON_KEY, // member name; its value comes next
    YG_JSON_OBJECT_BEGIN,
    YG_JSON_OBJECT_END,
    YG_JSON_ARRAY_BEGIN,
    YG_JSON_ARRAY_END,
};

#define YG_JSON_DEPTH_MAX 128

struct yg_json_token {
    enum yg_json_kind kind;
    bool boolean;
    int64_t i64;
    double f64; // set for INT and DOUBLE
    yg_str str; // KEY and STRING: unescaped, valid UTF-8. Numbers: their text
    size_t at;  // byte offset of the token
};

// Strict RFC 8259 (UTF-8 checked, no trailing commas, no NaN). Storage is the caller's.
struct yg_json {
    yg_str in;
    size_t pos;
    struct yg_arena *arena; // for strings with escapes
    uint32_t depth;
    uint8_t state;
    uint8_t stack[YG_JSON_DEPTH_MAX / 8 + 1]; // bit = the open container is an object
};

void yg_json_init(struct yg_json *j, yg_str in, struct yg_arena *arena);
// Next token. EINPUT: "JSON at byte 17: …". ENOMEM.
yg_rc yg_json_next(struct yg_json *j, struct yg_json_token *ret_token,
                   struct yg_err *err) YG_MUST_USE;
// For a reader that knows which member comes next: true when it is `key`, written without escapes
// and with at most one blank before it; it is read then, with its colon. False: nothing was read.
// key: valid UTF-8 without quotes, backslashes and control characters.
bool yg_json_try_key(struct yg_json *j, yg_str key);
// Having read the BEGIN, KEY or any first token `t` of a value, skips the rest of that value.
yg_rc yg_json_skip(struct yg_json *j, const struct yg_json_token *t,
                   struct yg_err *err) YG_MUST_USE;
// The same, and gives the value's text as it stands in the input. Borrow: until the input goes.
yg_rc yg_json_raw(struct yg_json *j, const struct yg_json_token *t, yg_str *ret_raw,
                  struct yg_err *err) YG_MUST_USE;

// --- a tree, for configuration and request bodies (never on the hot path) ---
struct yg_json_node {
    enum yg_json_kind kind; // NULL, BOOL, INT, DOUBLE, STRING, OBJECT_BEGIN, ARRAY_BEGIN
    bool boolean;
    int64_t i64;
    double f64;
    yg_str str;                 // string value, or a number's text
    yg_str key;                 // when it is a member
    yg_str raw;                 // the value's text in the input
    struct yg_json_node *child; // first member or element
    struct yg_json_node *next;  // sibling
    uint32_t count;             // members or elements
};
// Whole document. Duplicate keys: the last wins in yg_json_get.
yg_rc yg_json_parse(yg_str in, struct yg_arena *arena, struct yg_json_node **ret_root,
                    struct yg_err *err) YG_MUST_USE;
// Member by name, or NULL (also when node is NULL or no object).
const struct yg_json_node *yg_json_get(const struct yg_json_node *node, const char *key);
// Dotted path: yg_json_path(root, "data.attributes.name").
const struct yg_json_node *yg_json_path(const struct yg_json_node *node, const char *dotted);
bool yg_json_is(const struct yg_json_node *node, enum yg_json_kind kind);   // NULL-safe
yg_str yg_json_str_or(const struct yg_json_node *node, yg_str otherwise);   // STRING only
int64_t yg_json_i64_or(const struct yg_json_node *node, int64_t otherwise); // INT or whole DOUBLE
double yg_json_f64_or(const struct yg_json_node *node, double otherwise);
bool yg_json_bool_or(const struct yg_json_node *node, bool otherwise);

#endif
