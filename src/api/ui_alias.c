// SPDX-License-Identifier: Apache-2.0
// Links of the vendor's shape lead to the page that shows the same, so that runbooks and old
// messages keep working after a change of host (302).
#include "api/ui.h"

// A last {…} in `from` stands for one path segment (or the rest, with a star) and is put at the end
// of `to`.
static const struct alias {
    const char *from;
    const char *to;
    enum { ONE, SEGMENT, REST } tail;
} aliases[] = {
    {"/apm/services", "/services", ONE},
    {"/apm/map", "/map", ONE},
    {"/apm/traces", "/traces", ONE},
    {"/apm/trace/", "/trace/", SEGMENT},
    {"/apm/error-tracking", "/errors", ONE},
    {"/apm/error-tracking/issue/", "/errors/", SEGMENT},
    {"/logs/livetail", "/logs/live", ONE},
    {"/metric/explorer", "/metrics", ONE},
    {"/metric/summary", "/metrics", ONE},
    {"/monitors/manage", "/monitors", ONE},
    {"/slo/manage", "/slos", ONE},
    {"/slo", "/slos", ONE}, // ?slo_id= is the path's last segment here
    {"/profiling/explorer", "/profiles", ONE},
    {"/profiling/comparison", "/profiles/compare", ONE},
    {"/security", "/security/signals", ONE},
    {"/security/appsec", "/security/attacks", ONE},
    {"/ci/pipeline-executions", "/ci/pipelines", ONE},
    {"/ci/test-runs", "/ci/tests", ONE},
    {"/billing/usage", "/usage", ONE},
    {"/organization-settings", "/settings", ONE},
    {"/organization-settings/", "/settings/", REST},
};

static const struct alias *find_alias(yg_str path, yg_str *ret_tail) {
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        const struct alias *a = &aliases[i];
        yg_str from = yg_str_c(a->from);
        *ret_tail = (yg_str){0};
        if (a->tail == ONE) {
            if (yg_str_eq(path, from))
                return a;
            continue;
        }
        if (!yg_str_starts(path, from))
            continue;
        *ret_tail = yg_str_sub(path, from.len, path.len);
        if (ret_tail->len > 0 &&
            (a->tail == REST || yg_str_find_char(*ret_tail, '/', 0) == SIZE_MAX))
            return a;
    }
    return NULL;
}

static bool next_pair(yg_str *rest, yg_str *ret_key, yg_str *ret_pair) {
    if (rest->len == 0)
        return false;
    size_t amp = yg_str_find_char(*rest, '&', 0);
    *ret_pair = amp == SIZE_MAX ? *rest : yg_str_sub(*rest, 0, amp);
    *rest = amp == SIZE_MAX ? (yg_str){0} : yg_str_sub(*rest, amp + 1, rest->len);
    size_t eq = yg_str_find_char(*ret_pair, '=', 0);
    *ret_key = eq == SIZE_MAX ? *ret_pair : yg_str_sub(*ret_pair, 0, eq);
    return true;
}

static const char *renamed(yg_str key) {
    static const char *const keys[][2] = {{"query", "q"}, {"from_ts", "from"}, {"to_ts", "to"}};
    for (size_t i = 0; i < 3; i++)
        if (yg_str_eq_c(key, keys[i][0]))
            return keys[i][1];
    return NULL;
}

// The query with its keys renamed; values stay encoded as they are. `without` is left out.
static bool put_query(struct yg_buf *out, yg_str query, yg_str without) {
    bool changed = false;
    char sep = '?';
    yg_str key;
    yg_str pair;
    while (next_pair(&query, &key, &pair)) {
        if (pair.len == 0 || (without.len > 0 && yg_str_eq(key, without)))
            continue;
        const char *name = renamed(key);
        yg_buf_putc(out, sep);
        sep = '&';
        changed |= name != NULL;
        yg_buf_puts(out, name ? yg_str_c(name) : key);
        yg_buf_puts(out, yg_str_sub(pair, key.len, pair.len));
    }
    return changed;
}

// Path segments go back into a Location: only what needs no encoding there.
static void put_segment(struct yg_buf *out, yg_str s) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != '\0' && strchr("-._~:@!$'()*,/", c) != NULL);
        if (plain) {
            yg_buf_putc(out, (char)c);
            continue;
        }
        yg_buf_putc(out, '%');
        yg_buf_putc(out, hex[c >> 4]);
        yg_buf_putc(out, hex[c & 15]);
    }
}

bool yg_ui_alias(yg_str path, yg_str query, struct yg_buf *out) {
    yg_str tail;
    const struct alias *a = find_alias(path, &tail);
    if (a == NULL) { // the same path with the vendor's keys: /logs?query=&from_ts=&to_ts=
        yg_buf_reset(out);
        put_segment(out, path);
        // "//host" and the like would lead away from here
        return put_query(out, query, (yg_str){0}) && !yg_str_starts(path, YG_STR("//"));
    }
    yg_buf_reset(out);
    yg_buf_puts(out, yg_str_c(a->to));
    put_segment(out, tail);
    if (!yg_str_eq_c(path, "/slo")) {
        (void)put_query(out, query, (yg_str){0});
        return true;
    }
    yg_str rest = query;
    yg_str key;
    yg_str pair;
    while (next_pair(&rest, &key, &pair))
        if (yg_str_eq_c(key, "slo_id") && pair.len > key.len + 1) {
            yg_buf_putc(out, '/');
            yg_buf_puts(out, yg_str_sub(pair, key.len + 1, pair.len));
            break;
        }
    (void)put_query(out, query, YG_STR("slo_id"));
    return true;
}
