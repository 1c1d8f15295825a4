// SPDX-License-Identifier: Apache-2.0
// One matching event for a message: the newest of the group in the window, as name and text.
#include "monitor/monitor_internal.h"

#include "base/log.h"
#include "filter/filter.h"

#define FIELDS_MAX 500

bool yg_wants_sample(yg_str text) {
    static const char *const starts[] = {"{{log.",    "{{ log.", "{{span.", "{{ span.", "{{event.",
                                         "{{ event.", "\"log.",  "\"span.", "\"event."};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (yg_str_find(text, yg_str_c(starts[i]), 0) != SIZE_MAX)
            return true;
    return false;
}

// The monitor's own filter and one term per tag of the group.
static yg_rc group_filter(const struct yg_monitor_def *def, const struct yg_tag *group,
                          uint32_t count, struct yg_arena *arena, const struct yg_node **ret_filter,
                          struct yg_err *err) {
    struct yg_node *all = YG_NEW(arena, struct yg_node);
    struct yg_node *terms = YG_NEW_N(arena, struct yg_node, count + 1);
    struct yg_node **children = YG_NEW_N(arena, struct yg_node *, count + 1);
    if (!all || !terms || !children)
        return yg_fail(err, YG_ENOMEM, "sample: no memory");
    terms[0] = *def->event->filter;
    children[0] = &terms[0];
    for (uint32_t i = 0; i < count; i++) {
        terms[i + 1] = (struct yg_node){.kind = YG_NODE_TERM, .text = group[i].value};
        YG_TRY(yg_field_parse(group[i].key, def->event->track, arena, &terms[i + 1].field, err));
        children[i + 1] = &terms[i + 1];
    }
    *all = (struct yg_node){.kind = YG_NODE_AND, .children = children, .child_count = count + 1};
    *ret_filter = all;
    return YG_OK;
}

static yg_str value_text(const struct yg_value *v, struct yg_arena *arena) {
    char hex[33];
    switch (v->type) {
    case YG_T_STR:
    case YG_T_JSON:
        return v->str;
    case YG_T_I64:
        return yg_arena_printf(arena, "%lld", (long long)v->i64);
    case YG_T_F64:
        return yg_arena_printf(arena, "%.15g", v->f64);
    case YG_T_BOOL:
        return v->i64 ? YG_STR("true") : YG_STR("false");
    case YG_T_ID:
        yg_id128_hex(v->id, hex);
        return yg_arena_str(arena, yg_str_c(hex));
    case YG_TYPE_COUNT:
        break;
    }
    return (yg_str){"", 0};
}

struct fields {
    struct yg_tag *list;
    uint32_t count;
    struct yg_arena *arena;
};

static void add(struct fields *f, yg_str key, yg_str value) {
    if (f->count < FIELDS_MAX && key.ptr && value.ptr)
        f->list[f->count++] = (struct yg_tag){key, value};
}

static void add_tags(struct fields *f, yg_str tags) {
    yg_str rest = tags, tag;
    while (rest.len && yg_str_split(&rest, ',', &tag)) {
        size_t colon = yg_str_find_char(tag, ':', 0);
        if (colon != SIZE_MAX)
            add(f, yg_arena_printf(f->arena, "tags.%.*s", (int)colon, tag.ptr),
                yg_str_sub(tag, colon + 1, tag.len));
    }
}

static void add_row(struct fields *f, const struct yg_row *row) {
    for (uint32_t i = 0; i < row->attr_count; i++) {
        const struct yg_row_attr *a = &row->attrs[i];
        if (yg_str_eq_c(a->name, YG_COL_TAGS))
            add_tags(f, a->value.type == YG_T_STR ? a->value.str : (yg_str){"", 0});
        else if (a->name.len && a->name.ptr[0] == '@')
            add(f,
                yg_arena_printf(f->arena, "attributes.%.*s", (int)a->name.len - 1, a->name.ptr + 1),
                value_text(&a->value, f->arena));
        else
            add(f, a->name, value_text(&a->value, f->arena));
    }
}

void yg_monitor_sample(struct yg_store *store, const struct yg_monitor_def *def,
                       const struct yg_tag *group, uint32_t group_count, int64_t from_ns,
                       int64_t to_ns, struct yg_arena *arena, const struct yg_tag **ret_sample,
                       uint32_t *ret_count) {
    struct yg_err err = {0};
    struct yg_search_result found = {0};
    struct yg_event_query q = {.range = {from_ns, to_ns}, .limit = 1};
    *ret_count = 0;
    if (def->kind != YG_MONITOR_EVENT)
        return;
    q.track = def->event->track;
    if (group_filter(def, group, group_count, arena, &q.filter, &err) != YG_OK ||
        yg_events_search(store, &q, false, arena, &found, &err) != YG_OK || found.count == 0) {
        yg_log(YG_LOG_DEBUG, "monitor", "no sample for a message", YG_KV_C("error", err.text));
        return;
    }
    struct fields f = {.list = YG_NEW_N(arena, struct yg_tag, FIELDS_MAX), .arena = arena};
    if (!f.list)
        return;
    add_row(&f, &found.rows[0]);
    *ret_sample = f.list;
    *ret_count = f.count;
}
