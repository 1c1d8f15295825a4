// SPDX-License-Identifier: Apache-2.0
// JSON: skipping is as strict as reading; what was read, written and read again is the same.
#include <math.h>

#include "codec/json_read.h"
#include "codec/json_write.h"
#include "fuzz.h"

static yg_rc pull(yg_str in, struct yg_arena *arena) {
    struct yg_json j;
    struct yg_json_token t;
    yg_json_init(&j, in, arena);
    do
        YG_TRY(yg_json_next(&j, &t, NULL));
    while (t.kind != YG_JSON_END);
    return YG_OK;
}

static yg_rc skip(yg_str in, struct yg_arena *arena) {
    struct yg_json j;
    struct yg_json_token t;
    yg_json_init(&j, in, arena);
    YG_TRY(yg_json_next(&j, &t, NULL));
    YG_TRY(yg_json_skip(&j, &t, NULL));
    YG_TRY(yg_json_next(&j, &t, NULL));
    YG_ASSERT(t.kind == YG_JSON_END);
    return YG_OK;
}

static void put(struct yg_json_writer *w, const struct yg_json_node *n) {
    switch (n->kind) {
    case YG_JSON_NULL:
        yg_jw_null(w);
        return;
    case YG_JSON_BOOL:
        yg_jw_bool(w, n->boolean);
        return;
    case YG_JSON_INT:
        yg_jw_i64(w, n->i64);
        return;
    case YG_JSON_DOUBLE:
        yg_jw_f64(w, n->f64);
        return;
    case YG_JSON_STRING:
        yg_jw_str(w, n->str);
        return;
    case YG_JSON_OBJECT_BEGIN:
        yg_jw_object(w);
        for (const struct yg_json_node *m = n->child; m != NULL; m = m->next) {
            yg_jw_key(w, m->key);
            put(w, m);
        }
        yg_jw_object_end(w);
        return;
    case YG_JSON_ARRAY_BEGIN:
        yg_jw_array(w);
        for (const struct yg_json_node *m = n->child; m != NULL; m = m->next)
            put(w, m);
        yg_jw_array_end(w);
        return;
    case YG_JSON_END:
    case YG_JSON_KEY:
    case YG_JSON_OBJECT_END:
    case YG_JSON_ARRAY_END:
        break;
    }
    YG_ASSERT(!"a kind that no node has");
}

static bool number(const struct yg_json_node *n) {
    return n->kind == YG_JSON_INT || n->kind == YG_JSON_DOUBLE;
}

static void check_same(const struct yg_json_node *a, const struct yg_json_node *b) {
    YG_ASSERT(yg_str_eq(a->key, b->key));
    if (number(a)) { // 1e3 is written as 1000
        YG_ASSERT(number(b) && a->f64 == b->f64);
        return;
    }
    YG_ASSERT(a->kind == b->kind && a->count == b->count && a->boolean == b->boolean);
    if (a->kind == YG_JSON_STRING)
        YG_ASSERT(yg_str_eq(a->str, b->str));
    const struct yg_json_node *other = b->child;
    for (const struct yg_json_node *n = a->child; n != NULL; n = n->next, other = other->next)
        check_same(n, other);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    yg_str in = fuzz_all(data, size);
    yg_rc read = pull(in, arena);
    if (read == YG_ENOMEM)
        return 0;
    YG_ASSERT((read == YG_OK) == (skip(in, arena) == YG_OK));
    struct yg_json_node *root;
    yg_rc parsed = yg_json_parse(in, arena, &root, NULL);
    if (parsed == YG_ENOMEM)
        return 0;
    YG_ASSERT((parsed == YG_OK) == (read == YG_OK));
    if (parsed != YG_OK)
        return 0;
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, FUZZ_ARENA_BYTES);
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    put(&w, root);
    YG_ASSERT(yg_buf_ok(&out, NULL) == YG_OK);
    struct yg_json_node *again;
    yg_rc rc = yg_json_parse(yg_buf_str(&out), arena, &again, NULL);
    if (rc == YG_ENOMEM)
        return 0;
    YG_ASSERT(rc == YG_OK);
    check_same(root, again);
    return 0;
}
