// SPDX-License-Identifier: Apache-2.0
// Webhooks with their custom variables, Slack accounts with their channels.
// Source: DataDog/datadog-api-client-typescript cassettes, v1 Webhooks-Integration;
// DataDog/terraform-provider-datadog
// datadog/tests/resource_datadog_integration_slack_channel_test.go.
#include "api/monitor_json.h"

#include "notify/notify.h"

#define NAME_MAX_BYTES 100
#define VARIABLE_NAME_MAX_BYTES 60

static struct yg_meta *meta_of(const struct yg_http_request *req) {
    return ((struct yg_api *)req->ctx)->meta;
}

static yg_rc fail_parameter(struct yg_err *err, const char *name) {
    return yg_fail(err, YG_EINPUT, "The value provided for parameter '%s' is invalid", name);
}

// A text member; absent leaves *ret as it is. `required`: it must not stay empty.
static yg_rc take_text(const struct yg_json_node *body, const char *name, bool required,
                       yg_str *ret, struct yg_err *err) {
    const struct yg_json_node *node = yg_json_get(body, name);
    if (node && node->kind != YG_JSON_STRING && !(node->kind == YG_JSON_NULL && !required))
        return fail_parameter(err, name);
    if (node)
        *ret = yg_json_str_or(node, (yg_str){"", 0});
    return required && ret->len == 0 ? fail_parameter(err, name) : YG_OK;
}

// A name that may stand in a handle and in a path.
static yg_rc check_name(yg_str name, const char *extra, size_t most, struct yg_err *err) {
    if (name.len == 0 || name.len > most)
        return yg_fail(err, YG_EINPUT, "name must have 1 to %zu characters", most);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (unsigned char)c >= 0x80 || (c && strchr(extra, c));
        if (!word)
            return yg_fail(err, YG_EINPUT, "name has a forbidden character at byte %zu", i);
    }
    return YG_OK;
}

static void reply_empty_object(struct yg_http_request *take_req) {
    yg_http_reply_text(take_req, 200, "application/json", YG_STR("{}"));
}

static void reply_no_content(struct yg_http_request *take_req) {
    struct yg_http_reply reply = {.status = 204};
    yg_http_reply(take_req, &reply);
}

// ---------------------------------------------------------------- webhooks

static void put_text_or_null(struct yg_json_writer *w, const char *key, bool has, yg_str v) {
    if (has)
        yg_jw_kstr(w, key, v);
    else
        yg_jw_knull(w, key);
}

static void reply_webhook(struct yg_http_request *take_req, uint16_t status,
                          const struct yg_webhook *hook) {
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "name", hook->name);
    yg_jw_kstr(&w, "url", hook->url);
    yg_jw_kstr(&w, "payload", hook->payload);
    yg_jw_kstr(&w, "encode_as", hook->encode_as);
    put_text_or_null(&w, "custom_headers", hook->has_headers, hook->custom_headers);
    put_text_or_null(&w, "auth_method_id", hook->auth_method_id.len > 0, hook->auth_method_id);
    yg_jw_object_end(&w);
    yg_api_reply(take_req, status, &body);
}

static yg_rc check_headers(yg_str text, struct yg_arena *arena, struct yg_err *err) {
    struct yg_json_node *root;
    if (yg_json_parse(text, arena, &root, err) != YG_OK || !yg_json_is(root, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "custom_headers must be a JSON object as text");
    return YG_OK;
}

// A URL may be a custom variable; otherwise its scheme is looked at.
static yg_rc check_url(yg_str url, struct yg_err *err) {
    if (url.ptr[0] == '$' || yg_str_starts(url, YG_STR("http://")) ||
        yg_str_starts(url, YG_STR("https://")))
        return YG_OK;
    return yg_fail(err, YG_EINPUT, "url must begin with http:// or https://");
}

static yg_rc webhook_read(const struct yg_json_node *body, struct yg_arena *arena,
                          struct yg_webhook *hook, struct yg_err *err) {
    if (!yg_json_is(body, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "The body must be a JSON object");
    YG_TRY(take_text(body, "name", true, &hook->name, err));
    YG_TRY(take_text(body, "url", true, &hook->url, err));
    YG_TRY(take_text(body, "payload", false, &hook->payload, err));
    YG_TRY(take_text(body, "encode_as", false, &hook->encode_as, err));
    YG_TRY(take_text(body, "custom_headers", false, &hook->custom_headers, err));
    YG_TRY(take_text(body, "auth_method_id", false, &hook->auth_method_id, err));
    YG_TRY(check_name(hook->name, "-_.", NAME_MAX_BYTES, err));
    YG_TRY(check_url(hook->url, err));
    const struct yg_json_node *headers = yg_json_get(body, "custom_headers");
    if (headers)
        hook->has_headers = headers->kind == YG_JSON_STRING;
    if (hook->has_headers && hook->custom_headers.len)
        YG_TRY(check_headers(hook->custom_headers, arena, err));
    if (hook->encode_as.len == 0)
        hook->encode_as = YG_STR("json");
    if (hook->payload.len == 0)
        hook->payload = yg_str_c(yg_webhook_default_payload);
    if (!yg_str_eq_c(hook->encode_as, "json") && !yg_str_eq_c(hook->encode_as, "form"))
        return fail_parameter(err, "encode_as");
    return YG_OK;
}

void yg_api_webhook_create(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_webhook hook = {0};
    struct yg_err err = {0};
    if (!yg_api_body_json(take_req, &body))
        return;
    if (webhook_read(body, take_req->arena, &hook, &err) != YG_OK ||
        yg_meta_webhook_put(meta_of(take_req), (yg_str){"", 0}, &hook, &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_webhook(take_req, 201, &hook);
}

void yg_api_webhook_get(struct yg_http_request *take_req) {
    struct yg_webhook hook;
    struct yg_err err = {0};
    if (yg_meta_webhook_get(meta_of(take_req), take_req->params[0], take_req->arena, &hook, &err) !=
        YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_webhook(take_req, 200, &hook);
}

void yg_api_webhook_update(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_webhook hook;
    struct yg_err err = {0};
    struct yg_meta *meta = meta_of(take_req);
    yg_str name = take_req->params[0];
    if (!yg_api_body_json(take_req, &body))
        return;
    yg_rc rc = yg_meta_webhook_get(meta, name, take_req->arena, &hook, &err);
    if (rc == YG_OK)
        rc = webhook_read(body, take_req->arena, &hook, &err);
    if (rc == YG_OK)
        rc = yg_meta_webhook_put(meta, name, &hook, &err);
    if (rc != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_webhook(take_req, 200, &hook);
}

void yg_api_webhook_delete(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    if (yg_meta_webhook_delete(meta_of(take_req), take_req->params[0], &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_empty_object(take_req);
}

// ---------------------------------------------------------------- custom variables

static void reply_variable(struct yg_http_request *take_req, uint16_t status,
                           const struct yg_webhook_variable *var) {
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "name", var->name);
    yg_jw_kbool(&w, "is_secret", var->is_secret);
    if (!var->is_secret)
        yg_jw_kstr(&w, "value", var->value);
    yg_jw_object_end(&w);
    yg_api_reply(take_req, status, &body);
}

static yg_rc variable_read(const struct yg_json_node *body, struct yg_webhook_variable *var,
                           struct yg_err *err) {
    const struct yg_json_node *secret = yg_json_get(body, "is_secret");
    if (!yg_json_is(body, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "The body must be a JSON object");
    YG_TRY(take_text(body, "name", true, &var->name, err));
    YG_TRY(take_text(body, "value", true, &var->value, err));
    if (secret && secret->kind != YG_JSON_BOOL)
        return fail_parameter(err, "is_secret");
    var->is_secret = yg_json_bool_or(secret, var->is_secret);
    return check_name(var->name, "_", VARIABLE_NAME_MAX_BYTES, err);
}

void yg_api_variable_create(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_webhook_variable var = {0};
    struct yg_err err = {0};
    if (!yg_api_body_json(take_req, &body))
        return;
    if (variable_read(body, &var, &err) != YG_OK ||
        yg_meta_variable_put(meta_of(take_req), (yg_str){"", 0}, &var, &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_variable(take_req, 201, &var);
}

void yg_api_variable_get(struct yg_http_request *take_req) {
    struct yg_webhook_variable var;
    struct yg_err err = {0};
    if (yg_meta_variable_get(meta_of(take_req), take_req->params[0], take_req->arena, &var, &err) !=
        YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_variable(take_req, 200, &var);
}

void yg_api_variable_update(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_webhook_variable var;
    struct yg_err err = {0};
    struct yg_meta *meta = meta_of(take_req);
    yg_str name = take_req->params[0];
    if (!yg_api_body_json(take_req, &body))
        return;
    yg_rc rc = yg_meta_variable_get(meta, name, take_req->arena, &var, &err);
    if (rc == YG_OK)
        rc = variable_read(body, &var, &err);
    if (rc == YG_OK)
        rc = yg_meta_variable_put(meta, name, &var, &err);
    if (rc != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_variable(take_req, 200, &var);
}

void yg_api_variable_delete(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    if (yg_meta_variable_delete(meta_of(take_req), take_req->params[0], &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_empty_object(take_req);
}

// ---------------------------------------------------------------- Slack accounts

static yg_rc hook_store(struct yg_meta *meta, const struct yg_json_node *hook, struct yg_err *err) {
    struct yg_slack_account account = {{"", 0}, {"", 0}};
    YG_TRY(take_text(hook, "account", true, &account.name, err));
    YG_TRY(take_text(hook, "url", true, &account.url, err));
    YG_TRY(check_name(account.name, "-_. ", NAME_MAX_BYTES, err));
    YG_TRY(check_url(account.url, err));
    return yg_meta_slack_account_put(meta, &account, err);
}

// {"service_hooks":[{"account","url"}],"channels":[{"channel_name","account"}]}
static yg_rc slack_store(struct yg_meta *meta, const struct yg_json_node *body,
                         struct yg_err *err) {
    const struct yg_json_node *hooks = yg_json_get(body, "service_hooks");
    const struct yg_json_node *channels = yg_json_get(body, "channels");
    if (!yg_json_is(body, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "The body must be a JSON object");
    if (hooks && hooks->kind != YG_JSON_ARRAY_BEGIN)
        return fail_parameter(err, "service_hooks");
    for (const struct yg_json_node *h = hooks ? hooks->child : NULL; h; h = h->next)
        YG_TRY(hook_store(meta, h, err));
    for (const struct yg_json_node *c = yg_json_is(channels, YG_JSON_ARRAY_BEGIN) ? channels->child
                                                                                  : NULL;
         c; c = c->next) {
        struct yg_slack_channel channel = {.display_json = YG_STR("{}")};
        YG_TRY(take_text(c, "account", true, &channel.account, err));
        YG_TRY(take_text(c, "channel_name", true, &channel.name, err));
        yg_rc rc = yg_meta_slack_channel_put(meta, (yg_str){"", 0}, &channel, err);
        if (rc != YG_OK && rc != YG_ECONFLICT)
            return rc;
    }
    return YG_OK;
}

void yg_api_slack_create(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_err err = {0};
    if (!yg_api_body_json(take_req, &body))
        return;
    if (slack_store(meta_of(take_req), body, &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_no_content(take_req);
}

static yg_rc slack_put(struct yg_http_request *req, struct yg_json_writer *w, struct yg_err *err) {
    struct yg_slack_account *accounts;
    struct yg_slack_channel *channels;
    uint32_t account_count, channel_count;
    struct yg_meta *meta = meta_of(req);
    YG_TRY(yg_meta_slack_account_list(meta, req->arena, &accounts, &account_count, err));
    YG_TRY(yg_meta_slack_channel_list(meta, (yg_str){"", 0}, req->arena, &channels, &channel_count,
                                      err));
    yg_jw_object(w);
    yg_jw_k(w, "service_hooks");
    yg_jw_array(w);
    for (uint32_t i = 0; i < account_count; i++) { // the URL is a secret: never answered
        yg_jw_object(w);
        yg_jw_kstr(w, "account", accounts[i].name);
        yg_jw_kstr(w, "url", YG_STR("*****"));
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
    yg_jw_k(w, "channels");
    yg_jw_array(w);
    for (uint32_t i = 0; i < channel_count; i++) {
        yg_jw_object(w);
        yg_jw_kstr(w, "channel_name", channels[i].name);
        yg_jw_kstr(w, "account", channels[i].account);
        yg_jw_object_end(w);
    }
    yg_jw_array_end(w);
    yg_jw_object_end(w);
    return YG_OK;
}

void yg_api_slack_get(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    if (slack_put(take_req, &w, &err) == YG_OK) {
        yg_api_reply(take_req, 200, &body);
        return;
    }
    yg_buf_fini(&body);
    yg_api_reply_err(take_req, &err);
}

static yg_rc slack_clear(struct yg_http_request *req, struct yg_err *err) {
    struct yg_slack_account *accounts;
    uint32_t count;
    YG_TRY(yg_meta_slack_account_list(meta_of(req), req->arena, &accounts, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        yg_rc rc = yg_meta_slack_account_delete(meta_of(req), accounts[i].name, err);
        if (rc != YG_OK && rc != YG_ENOTFOUND)
            return rc;
    }
    return YG_OK;
}

void yg_api_slack_delete(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    if (slack_clear(take_req, &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_no_content(take_req);
}

// ---------------------------------------------------------------- Slack channels

static const char *const display_keys[] = {"message", "notified", "snapshot", "tags",
                                           "mute_buttons"};

static void put_channel(struct yg_json_writer *w, const struct yg_slack_channel *channel,
                        struct yg_arena *arena) {
    struct yg_err err = {0};
    struct yg_json_node *display = NULL;
    if (yg_json_parse(channel->display_json, arena, &display, &err) != YG_OK)
        display = NULL;
    yg_jw_object(w);
    yg_jw_kstr(w, "name", channel->name);
    yg_jw_k(w, "display");
    yg_jw_object(w);
    for (size_t i = 0; i < sizeof(display_keys) / sizeof(display_keys[0]); i++) {
        bool otherwise = strcmp(display_keys[i], "mute_buttons") != 0;
        yg_jw_kbool(w, display_keys[i],
                    yg_json_bool_or(yg_json_get(display, display_keys[i]), otherwise));
    }
    yg_jw_object_end(w);
    yg_jw_object_end(w);
}

static void reply_channel(struct yg_http_request *take_req, uint16_t status,
                          const struct yg_slack_channel *channel) {
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    put_channel(&w, channel, take_req->arena);
    yg_api_reply(take_req, status, &body);
}

// The body's display members over the channel's own.
static yg_rc display_merge(const struct yg_json_node *body, struct yg_slack_channel *channel,
                           struct yg_arena *arena, struct yg_err *err) {
    const struct yg_json_node *sent = yg_json_get(body, "display");
    struct yg_json_node *have = NULL;
    if (!sent || sent->kind == YG_JSON_NULL)
        return YG_OK;
    if (sent->kind != YG_JSON_OBJECT_BEGIN)
        return fail_parameter(err, "display");
    YG_TRY(yg_json_parse(channel->display_json, arena, &have, err));
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_QUERY, 4096);
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    yg_jw_object(&w);
    for (size_t i = 0; i < sizeof(display_keys) / sizeof(display_keys[0]); i++) {
        const struct yg_json_node *node = yg_json_get(sent, display_keys[i]);
        if (node && node->kind != YG_JSON_BOOL)
            return fail_parameter(err, display_keys[i]);
        if (!node)
            node = yg_json_get(have, display_keys[i]);
        if (node)
            yg_jw_kbool(&w, display_keys[i], node->boolean);
    }
    yg_jw_object_end(&w);
    YG_TRY(yg_buf_ok(&out, err));
    channel->display_json = yg_arena_str(arena, yg_buf_str(&out));
    return channel->display_json.ptr ? YG_OK : yg_fail(err, YG_ENOMEM, "channel: no memory");
}

static yg_rc channel_read(const struct yg_json_node *body, struct yg_arena *arena,
                          struct yg_slack_channel *channel, struct yg_err *err) {
    if (!yg_json_is(body, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "The body must be a JSON object");
    YG_TRY(take_text(body, "name", true, &channel->name, err));
    if (channel->name.ptr[0] != '#' || channel->name.len > NAME_MAX_BYTES)
        return yg_fail(err, YG_EINPUT, "name must begin with # and have at most %d characters",
                       NAME_MAX_BYTES);
    return display_merge(body, channel, arena, err);
}

static yg_rc channel_find(struct yg_http_request *req, struct yg_slack_channel *ret_channel,
                          struct yg_err *err) {
    struct yg_slack_channel *all;
    uint32_t count;
    yg_str wanted = req->params[1];
    YG_TRY(yg_meta_slack_channel_list(meta_of(req), req->params[0], req->arena, &all, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        yg_str bare = yg_str_sub(all[i].name, 1, all[i].name.len);
        if (yg_str_eq(all[i].name, wanted) || yg_str_eq(bare, wanted)) {
            *ret_channel = all[i];
            return YG_OK;
        }
    }
    return yg_fail(err, YG_ENOTFOUND, "Slack channel does not exist");
}

void yg_api_channel_list(struct yg_http_request *take_req) {
    struct yg_slack_channel *all;
    struct yg_err err = {0};
    uint32_t count;
    if (yg_meta_slack_channel_list(meta_of(take_req), take_req->params[0], take_req->arena, &all,
                                   &count, &err) != YG_OK) {
        yg_api_reply_err(take_req, &err);
        return;
    }
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_array(&w);
    for (uint32_t i = 0; i < count; i++)
        put_channel(&w, &all[i], take_req->arena);
    yg_jw_array_end(&w);
    yg_api_reply(take_req, 200, &body);
}

void yg_api_channel_create(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_err err = {0};
    struct yg_slack_channel channel = {.account = take_req->params[0],
                                       .display_json = YG_STR("{}")};
    if (!yg_api_body_json(take_req, &body))
        return;
    if (channel_read(body, take_req->arena, &channel, &err) != YG_OK ||
        yg_meta_slack_channel_put(meta_of(take_req), (yg_str){"", 0}, &channel, &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_channel(take_req, 201, &channel);
}

void yg_api_channel_get(struct yg_http_request *take_req) {
    struct yg_slack_channel channel;
    struct yg_err err = {0};
    if (channel_find(take_req, &channel, &err) != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_channel(take_req, 200, &channel);
}

void yg_api_channel_update(struct yg_http_request *take_req) {
    struct yg_json_node *body;
    struct yg_slack_channel channel = {0};
    struct yg_err err = {0};
    if (!yg_api_body_json(take_req, &body))
        return;
    yg_rc rc = channel_find(take_req, &channel, &err);
    yg_str old_name = channel.name;
    if (rc == YG_OK)
        rc = channel_read(body, take_req->arena, &channel, &err);
    if (rc == YG_OK)
        rc = yg_meta_slack_channel_put(meta_of(take_req), old_name, &channel, &err);
    if (rc != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_channel(take_req, 200, &channel);
}

void yg_api_channel_delete(struct yg_http_request *take_req) {
    struct yg_slack_channel channel;
    struct yg_err err = {0};
    yg_rc rc = channel_find(take_req, &channel, &err);
    if (rc == YG_OK)
        rc = yg_meta_slack_channel_delete(meta_of(take_req), channel.account, channel.name, &err);
    if (rc != YG_OK)
        yg_api_reply_err(take_req, &err);
    else
        reply_no_content(take_req);
}
