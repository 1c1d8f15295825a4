// SPDX-License-Identifier: Apache-2.0
// Slack: which account and channel a handle means, and the incoming-webhook message.
// Source: DataDog/terraform-provider-datadog
// datadog/tests/resource_datadog_integration_slack_channel_test.go (accounts and channels); the
// message is Slack's public incoming-webhook format.
#include "notify/notify_internal.h"

#include "codec/json_read.h"
#include "codec/json_write.h"

#define BODY_MAX_BYTES (256u << 10)

static bool channel_listed(const struct yg_slack_channel *channels, uint32_t count, yg_str account,
                           yg_str channel) {
    for (uint32_t i = 0; i < count; i++) {
        yg_str name = channels[i].name;
        if (name.len && name.ptr[0] == '#')
            name = yg_str_sub(name, 1, name.len);
        if (yg_str_eq(channels[i].account, account) && yg_str_eq(name, channel))
            return true;
    }
    return false;
}

static yg_str receiver(struct yg_arena *arena, yg_str account, yg_str channel) {
    return yg_arena_printf(arena, "%.*s\n#%.*s", YG_STR_FMT(account), YG_STR_FMT(channel));
}

// "slack-ACCOUNT-CHANNEL": the longest account name that fits wins. "slack-CHANNEL": the account
// that lists the channel, else the first account.
yg_rc yg_slack_resolve(struct yg_meta *meta, yg_str handle, struct yg_arena *arena,
                       yg_str *ret_receiver, struct yg_err *err) {
    struct yg_slack_account *accounts;
    struct yg_slack_channel *channels;
    uint32_t account_count, channel_count;
    yg_str rest = yg_str_sub(handle, sizeof("slack-") - 1, handle.len);
    YG_TRY(yg_meta_slack_account_list(meta, arena, &accounts, &account_count, err));
    YG_TRY(
        yg_meta_slack_channel_list(meta, (yg_str){"", 0}, arena, &channels, &channel_count, err));
    if (account_count == 0)
        return yg_fail(err, YG_EINPUT, "no Slack account is configured");
    const struct yg_slack_account *best = NULL, *listing = NULL;
    for (uint32_t i = 0; i < account_count; i++) {
        yg_str name = accounts[i].name;
        if (yg_str_starts(rest, name) && rest.len > name.len + 1 && rest.ptr[name.len] == '-' &&
            (!best || name.len > best->name.len))
            best = &accounts[i];
        if (!listing && channel_listed(channels, channel_count, name, rest))
            listing = &accounts[i];
    }
    if (listing || !best)
        *ret_receiver = receiver(arena, listing ? listing->name : accounts[0].name, rest);
    else
        *ret_receiver = receiver(arena, best->name, yg_str_sub(rest, best->name.len + 1, rest.len));
    return ret_receiver->ptr ? YG_OK : yg_fail(err, YG_ENOMEM, "Slack receiver: no memory");
}

static const char *color(int64_t state) {
    return state == YG_STATE_OK ? "#2eb67d" : state == YG_STATE_WARN ? "#ecb22e" : "#e01e5a";
}

// What the channel's display settings say; a channel that nobody configured shows all.
static yg_rc display_of(struct yg_meta *meta, yg_str account, yg_str channel,
                        struct yg_arena *arena, const struct yg_json_node **ret_display,
                        struct yg_err *err) {
    struct yg_slack_channel *channels;
    uint32_t count;
    *ret_display = NULL;
    YG_TRY(yg_meta_slack_channel_list(meta, account, arena, &channels, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        struct yg_json_node *root;
        if (!yg_str_eq(channels[i].name, channel))
            continue;
        YG_TRY(yg_json_parse(channels[i].display_json, arena, &root, err));
        *ret_display = root;
    }
    return YG_OK;
}

static void put_body(struct yg_json_writer *w, const struct yg_json_node *facts,
                     const struct yg_json_node *display, yg_str channel) {
    const yg_str none = {"", 0};
    yg_str tags = yg_json_str_or(yg_json_path(facts, "vars.TAGS"), none);
    yg_jw_object(w);
    yg_jw_kstr(w, "channel", channel);
    yg_jw_k(w, "attachments");
    yg_jw_array(w);
    yg_jw_object(w);
    yg_jw_kstr(w, "color", yg_str_c(color(yg_json_i64_or(yg_json_get(facts, "to"), 0))));
    yg_jw_kstr(w, "fallback", yg_json_str_or(yg_json_get(facts, "title"), none));
    yg_jw_kstr(w, "title", yg_json_str_or(yg_json_get(facts, "title"), none));
    yg_jw_kstr(w, "title_link", yg_json_str_or(yg_json_get(facts, "link"), none));
    if (yg_json_bool_or(yg_json_get(display, "message"), true))
        yg_jw_kstr(w, "text", yg_json_str_or(yg_json_get(facts, "text"), none));
    yg_jw_k(w, "fields");
    yg_jw_array(w);
    if (tags.len && yg_json_bool_or(yg_json_get(display, "tags"), true)) {
        yg_jw_object(w);
        yg_jw_kstr(w, "title", YG_STR("Tags"));
        yg_jw_kstr(w, "value", tags);
        yg_jw_kbool(w, "short", false);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
    yg_jw_kstr(w, "footer", YG_STR("yagura"));
    yg_jw_ki64(w, "ts", yg_json_i64_or(yg_json_get(facts, "at_s"), 0));
    yg_jw_object_end(w);
    yg_jw_array_end(w);
    yg_jw_object_end(w);
}

static yg_rc account_url(struct yg_meta *meta, yg_str account, struct yg_arena *arena,
                         yg_str *ret_url, struct yg_err *err) {
    struct yg_slack_account *accounts;
    uint32_t count;
    YG_TRY(yg_meta_slack_account_list(meta, arena, &accounts, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        if (yg_str_eq(accounts[i].name, account)) {
            *ret_url = accounts[i].url;
            return YG_OK;
        }
    }
    return yg_fail(err, YG_ENOTFOUND, "Slack account does not exist");
}

yg_rc yg_slack_build(struct yg_meta *meta, const struct yg_message_record *msg,
                     struct yg_arena *arena, struct yg_delivery *d, struct yg_err *err) {
    yg_str rest = msg->receiver, account;
    if (!yg_str_split(&rest, '\n', &account))
        return yg_fail(err, YG_EINPUT, "Slack message has no account");
    struct yg_json_node *facts;
    const struct yg_json_node *display;
    YG_TRY(account_url(meta, account, arena, &d->url, err));
    YG_TRY(display_of(meta, account, rest, arena, &display, err));
    YG_TRY(yg_json_parse(msg->facts_json, arena, &facts, err));
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_MONITOR, BODY_MAX_BYTES);
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    put_body(&w, facts, display, rest);
    YG_TRY(yg_buf_ok(&out, err));
    d->body = yg_arena_str(arena, yg_buf_str(&out));
    if (!d->body.ptr)
        return yg_fail(err, YG_ENOMEM, "Slack message: no memory");
    yg_delivery_header(d, YG_STR("Content-Type"), YG_STR("application/json"));
    return YG_OK;
}
