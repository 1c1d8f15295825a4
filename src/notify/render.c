// SPDX-License-Identifier: Apache-2.0
// From a change of state to title, text, handles and outbox rows.
// Source: DataDog/documentation content/en/monitors/notify/_index.md (handles, titles)
#include "notify/notify_internal.h"

#include "base/utf8.h"

const char *yg_notice_transition(const struct yg_notice *n) {
    if (n->audit)
        return "Modified";
    switch (n->to) {
    case YG_STATE_ALERT:
        return n->is_repeat ? "Re-Triggered" : "Triggered";
    case YG_STATE_WARN:
        return n->is_repeat ? "Re-Warn" : "Warn";
    case YG_STATE_NO_DATA:
        return n->is_repeat ? "Re-No Data" : "No Data";
    case YG_STATE_OK:
        return "Recovered";
    case YG_STATE_IGNORED:
    case YG_STATE_SKIPPED:
    case YG_STATE_UNKNOWN:
    case YG_STATE_COUNT:
        break;
    }
    return "Unknown";
}

static const char *title_word(const struct yg_notice *n) {
    if (n->to == YG_STATE_NO_DATA)
        return n->is_repeat ? "Re-No data" : "No data";
    return yg_notice_transition(n);
}

static yg_rc title_render(const struct yg_notice *n, struct yg_arena *arena, yg_str *ret_title,
                          struct yg_err *err) {
    yg_str name;
    YG_TRY(yg_template_render(n, n->name, arena, &name, err));
    bool tags = n->include_tags && n->group_tag_count > 0;
    *ret_title = tags ? yg_arena_printf(arena, "[%s on {%.*s}] %.*s", title_word(n),
                                        YG_STR_FMT(n->group), YG_STR_FMT(name))
                      : yg_arena_printf(arena, "[%s] %.*s", title_word(n), YG_STR_FMT(name));
    return ret_title->ptr ? YG_OK : yg_fail(err, YG_ENOMEM, "title of a message: no memory");
}

// ---------------------------------------------------------------- handles

static bool is_handle_char(uint32_t cp) {
    if (cp < 0x80)
        return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= '0' && cp <= '9') ||
               cp == '-' || cp == '_' || cp == '.' || cp == '@' || cp == '/';
    return yg_utf8_is_word(cp);
}

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '/';
}

// The handle at text[at] == '@', without points and marks at its end; empty when none starts there.
static yg_str handle_at(yg_str text, size_t at) {
    size_t end = at + 1;
    while (end < text.len) {
        size_t next = end;
        if (!is_handle_char(yg_utf8_next(text, &next)))
            break;
        end = next;
    }
    while (end > at + 1 && strchr(".-@/", text.ptr[end - 1]))
        end--;
    return end > at + 1 ? yg_str_sub(text, at, end - at) : (yg_str){"", 0};
}

static bool listed(const yg_str *handles, uint32_t count, yg_str handle) {
    for (uint32_t i = 0; i < count; i++)
        if (yg_str_eq(handles[i], handle))
            return true;
    return false;
}

yg_rc yg_handles_find(yg_str text, struct yg_arena *arena, const yg_str **ret_handles,
                      uint32_t *ret_count, struct yg_err *err) {
    yg_str *handles = NULL;
    uint32_t count = 0, cap = 0;
    size_t at = 0;
    while ((at = yg_str_find_char(text, '@', at)) != SIZE_MAX && count < YG_HANDLES_MAX) {
        bool inside_word = at > 0 && is_word_char(text.ptr[at - 1]); // a mail address in the text
        yg_str handle = inside_word ? (yg_str){"", 0} : handle_at(text, at);
        at += handle.len ? handle.len : 1;
        if (handle.len == 0 || listed(handles, count, handle))
            continue;
        if (!YG_ARENA_GROW(arena, handles, count, cap))
            return yg_fail(err, YG_ENOMEM, "handles of a message: no memory");
        handles[count++] = handle;
    }
    *ret_handles = handles;
    *ret_count = count;
    return YG_OK;
}

// Who changed what: names and handles stand as they were written, nothing is rendered.
static yg_rc audit_render(const struct yg_notice *n, struct yg_arena *arena,
                          struct yg_rendered *ret_rendered, struct yg_err *err) {
    struct yg_rendered r = {0};
    yg_str who = n->user ? n->user->email : YG_STR("somebody");
    r.title = yg_arena_printf(arena, "[Monitor Modified] %.*s", YG_STR_FMT(n->name));
    r.text = yg_arena_printf(arena, "Monitor %.*s %s by %.*s.", YG_STR_FMT(n->name), n->audit,
                             YG_STR_FMT(who));
    if (!r.title.ptr || !r.text.ptr)
        return yg_fail(err, YG_ENOMEM, "text of a message: no memory");
    YG_TRY(yg_handles_find(n->message, arena, &r.handles, &r.handle_count, err));
    *ret_rendered = r;
    return YG_OK;
}

yg_rc yg_notice_render(const struct yg_notice *n, struct yg_arena *arena,
                       struct yg_rendered *ret_rendered, struct yg_err *err) {
    struct yg_rendered r = {0};
    if (n->audit)
        return audit_render(n, arena, ret_rendered, err);
    YG_TRY(title_render(n, arena, &r.title, err));
    yg_str message = n->message;
    if (n->is_repeat && n->escalation_message.len) {
        message = yg_arena_printf(arena, "%.*s\n%.*s", YG_STR_FMT(n->message),
                                  YG_STR_FMT(n->escalation_message));
        if (!message.ptr)
            return yg_fail(err, YG_ENOMEM, "text of a message: no memory");
    }
    YG_TRY(yg_template_render(n, message, arena, &r.text, err));
    YG_TRY(yg_handles_find(r.text, arena, &r.handles, &r.handle_count, err));
    *ret_rendered = r;
    return YG_OK;
}

// ---------------------------------------------------------------- outbox rows

static yg_str why_undeliverable(yg_str name, struct yg_arena *arena) {
    static const struct {
        const char *start, *what;
    } kinds[] = {{"pagerduty", "PagerDuty"},
                 {"opsgenie", "Opsgenie"},
                 {"teams", "Microsoft Teams"},
                 {"sns", "SNS"},
                 {"team-", "teams"},
                 {"workflow-", "workflows"},
                 {"case-", "cases"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (yg_str_starts(name, yg_str_c(kinds[i].start)))
            return yg_arena_printf(arena, "delivery to %s is not part of this version",
                                   kinds[i].what);
    if (yg_str_find_char(name, '@', 0) != SIZE_MAX)
        return YG_STR("e-mail is not part of this version");
    return YG_STR("no such receiver");
}

// Fills kind and receiver, or the reason why there is none.
static yg_rc message_route(struct yg_meta *meta, yg_str handle, struct yg_arena *arena,
                           struct yg_message_record *msg, struct yg_err *err) {
    yg_str name = yg_str_sub(handle, 1, handle.len);
    yg_rc rc = YG_OK;
    msg->kind = YG_MESSAGE_NONE;
    if (yg_str_starts(name, YG_STR("webhook-"))) {
        struct yg_webhook hook;
        msg->receiver = yg_str_sub(name, 8, name.len);
        rc = yg_meta_webhook_get(meta, msg->receiver, arena, &hook, err);
        msg->kind = rc == YG_OK ? YG_MESSAGE_WEBHOOK : YG_MESSAGE_NONE;
    } else if (yg_str_starts(name, YG_STR("slack-"))) {
        rc = yg_slack_resolve(meta, name, arena, &msg->receiver, err);
        msg->kind = rc == YG_OK ? YG_MESSAGE_SLACK : YG_MESSAGE_NONE;
    } else {
        msg->last_error = why_undeliverable(name, arena);
    }
    if (rc == YG_ENOTFOUND || rc == YG_EINPUT) {
        msg->last_error = yg_arena_str(arena, yg_str_c(err->text));
        rc = YG_OK;
    }
    return rc;
}

yg_rc yg_notice_messages(struct yg_meta *meta, const struct yg_notice *n, const char *silent,
                         struct yg_arena *arena, struct yg_message_record **ret_messages,
                         uint32_t *ret_count, struct yg_err *err) {
    struct yg_rendered r;
    yg_str facts;
    YG_TRY(yg_notice_render(n, arena, &r, err));
    YG_TRY(yg_facts_make(n, &r, arena, &facts, err));
    struct yg_message_record *rows = YG_NEW_N(arena, struct yg_message_record, r.handle_count);
    if (!rows && r.handle_count)
        return yg_fail(err, YG_ENOMEM, "messages of a change: no memory");
    for (uint32_t i = 0; i < r.handle_count; i++) {
        struct yg_message_record *msg = &rows[i];
        msg->target = r.handles[i];
        msg->facts_json = facts;
        msg->due_ns = n->at_ns;
        msg->created_ns = n->at_ns;
        YG_TRY(message_route(meta, r.handles[i], arena, msg, err));
        if (silent)
            msg->last_error = yg_str_c(silent);
        if (silent || msg->kind == YG_MESSAGE_NONE) {
            msg->state = YG_MESSAGE_FAILED;
            msg->done_ns = n->at_ns;
        }
    }
    *ret_messages = rows;
    *ret_count = r.handle_count;
    return YG_OK;
}
