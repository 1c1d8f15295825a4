// SPDX-License-Identifier: Apache-2.0
// One HTTP request of a webhook: URL, headers and payload with their $ variables expanded.
//
// A variable is '$' and the longest known name that follows; what is not known stays as it is.
// Inside a string of a JSON payload the value is escaped for it, outside it stands bare. In a URL
// the values of the alert are percent-encoded, custom variables are put in as they are (they may
// hold the whole URL). Source: DataDog/documentation content/en/integrations/webhooks.md
#include "notify/notify_internal.h"

#include "base/panic.h"
#include "codec/json_read.h"
#include "codec/json_write.h"
#include "codec/text.h"

#define BODY_MAX_BYTES (1u << 20)
#define URL_MAX_BYTES (8u << 10)
#define HEADER_MAX_BYTES (8u << 10)
#define NAME_MAX_BYTES 64

const char yg_webhook_default_payload[] =
    "{\"body\": \"$EVENT_MSG\", \"last_updated\": \"$LAST_UPDATED\", \"event_type\":"
    " \"$EVENT_TYPE\", \"title\": \"$EVENT_TITLE\", \"date\": \"$DATE\", \"org\": {\"id\":"
    " \"$ORG_ID\", \"name\": \"$ORG_NAME\"}, \"id\": \"$ID\"}";

// Known names without a value of their own in this version: they expand to nothing.
static const char *const empty_names[] = {"INCIDENT_ATTACHMENTS",
                                          "INCIDENT_COMMANDER",
                                          "INCIDENT_CUSTOMER_IMPACT",
                                          "INCIDENT_FIELDS",
                                          "INCIDENT_PUBLIC_ID",
                                          "INCIDENT_TITLE",
                                          "INCIDENT_URL",
                                          "LOGS_SAMPLE",
                                          "SECURITY_RULE_NAME",
                                          "SECURITY_SIGNAL_ID",
                                          "SECURITY_SIGNAL_SEVERITY",
                                          "SECURITY_SIGNAL_TITLE",
                                          "SECURITY_SIGNAL_MSG",
                                          "SECURITY_SIGNAL_ATTRIBUTES",
                                          "SECURITY_RULE_ID",
                                          "SECURITY_RULE_QUERY",
                                          "SECURITY_RULE_GROUP_BY_FIELDS",
                                          "SECURITY_RULE_TYPE",
                                          "SNAPSHOT",
                                          "SYNTHETICS_TEST_NAME",
                                          "SYNTHETICS_FIRST_FAILING_STEP_NAME"};

enum place { PLACE_JSON, PLACE_URL, PLACE_RAW };

struct expansion {
    const struct yg_json_node *vars;
    const struct yg_webhook_variable *custom;
    uint32_t custom_count;
    yg_str id;
    struct yg_arena *arena;
};

static bool custom_value(const struct expansion *x, yg_str name, yg_str *ret_value) {
    for (uint32_t i = 0; i < x->custom_count; i++) {
        if (yg_str_eq(x->custom[i].name, name)) {
            *ret_value = x->custom[i].value;
            return true;
        }
    }
    return false;
}

static bool alert_value(const struct expansion *x, yg_str name, yg_str *ret_value) {
    if (yg_str_eq_c(name, "ID")) {
        *ret_value = x->id;
        return true;
    }
    char key[NAME_MAX_BYTES];
    snprintf(key, sizeof(key), "%.*s", YG_STR_FMT(name));
    const struct yg_json_node *node = yg_json_get(x->vars, key);
    *ret_value = yg_json_str_or(node, (yg_str){"", 0});
    for (size_t i = 0; !node && i < sizeof(empty_names) / sizeof(empty_names[0]); i++)
        if (yg_str_eq_c(name, empty_names[i]))
            return true;
    return node != NULL;
}

static size_t name_length(yg_str s) {
    size_t len = 0;
    while (len < s.len && len < NAME_MAX_BYTES - 1) {
        char c = s.ptr[len];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_'))
            break;
        len++;
    }
    return len;
}

// The longest known name at the start of s: its length, 0 when none.
static size_t variable_at(const struct expansion *x, yg_str s, yg_str *ret_value,
                          bool *ret_custom) {
    for (size_t len = name_length(s); len > 0; len--) {
        yg_str name = yg_str_sub(s, 0, len);
        *ret_custom = custom_value(x, name, ret_value);
        if (*ret_custom || alert_value(x, name, ret_value))
            return len;
    }
    return 0;
}

// As inside a JSON string: the writer's text without its quotes.
static void put_json_escaped(struct yg_buf *out, yg_str value) {
    YG_AUTO(yg_buf) quoted = YG_BUF(YG_MEM_MONITOR, BODY_MAX_BYTES);
    struct yg_json_writer w = YG_JSON_WRITER(&quoted);
    yg_jw_str(&w, value);
    if (quoted.len >= 2)
        yg_buf_put(out, quoted.ptr + 1, quoted.len - 2);
}

static yg_rc expand(const struct expansion *x, yg_str text, enum place place, size_t limit,
                    yg_str *ret_text, struct yg_err *err) {
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_MONITOR, limit);
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        yg_str value = {"", 0};
        bool custom = false;
        size_t len =
            c == '$' ? variable_at(x, yg_str_sub(text, i + 1, text.len), &value, &custom) : 0;
        if (len == 0) {
            yg_buf_putc(&out, c);
            if (c == '\\' && in_string && i + 1 < text.len)
                yg_buf_putc(&out, text.ptr[++i]);
            else if (c == '"')
                in_string = !in_string;
            continue;
        }
        i += len;
        if (place == PLACE_JSON && in_string)
            put_json_escaped(&out, value);
        else if (place == PLACE_URL && !custom)
            yg_url_put(&out, value);
        else
            yg_buf_puts(&out, value);
    }
    YG_TRY(yg_buf_ok(&out, err));
    *ret_text = yg_arena_str(x->arena, yg_buf_str(&out));
    return ret_text->ptr || out.len == 0 ? YG_OK : yg_fail(err, YG_ENOMEM, "webhook: no memory");
}

void yg_delivery_header(struct yg_delivery *d, yg_str name, yg_str value) {
    uint32_t room = sizeof(d->headers) / sizeof(d->headers[0]);
    for (uint32_t i = 0; i < d->header_count; i++) {
        if (yg_str_eq_nocase(d->headers[i].name, name)) { // the webhook's own wins
            d->headers[i].value = value;
            return;
        }
    }
    if (d->header_count < room)
        d->headers[d->header_count++] = (struct yg_http_header){name, value};
}

static bool header_safe(yg_str name, yg_str value) {
    if (name.len == 0 || name.len > 128)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 && value.ptr[i] != '\t')
            return false;
    return true;
}

static yg_rc custom_headers(const struct expansion *x, yg_str text, struct yg_delivery *d,
                            struct yg_err *err) {
    struct yg_json_node *root;
    yg_rc rc = yg_json_parse(text, x->arena, &root, err);
    if (rc != YG_OK || !yg_json_is(root, YG_JSON_OBJECT_BEGIN))
        return yg_fail(err, YG_EINPUT, "webhook's custom_headers are no JSON object");
    for (const struct yg_json_node *h = root->child; h; h = h->next) {
        yg_str raw = h->kind == YG_JSON_STRING ? h->str : h->raw;
        yg_str value;
        YG_TRY(expand(x, raw, PLACE_RAW, HEADER_MAX_BYTES, &value, err));
        if (!header_safe(h->key, value))
            return yg_fail(err, YG_EINPUT, "webhook's custom header %.*s has forbidden characters",
                           (int)(h->key.len > 64 ? 64 : h->key.len), h->key.ptr);
        yg_delivery_header(d, h->key, value);
    }
    return YG_OK;
}

// A JSON object's members as form fields; anything else is sent as it is.
static yg_rc form_encode(yg_str json, struct yg_arena *arena, yg_str *ret_body,
                         struct yg_err *err) {
    struct yg_json_node *root;
    struct yg_err ignored = {0};
    *ret_body = json;
    if (yg_json_parse(json, arena, &root, &ignored) != YG_OK ||
        !yg_json_is(root, YG_JSON_OBJECT_BEGIN))
        return YG_OK;
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_MONITOR, 3 * BODY_MAX_BYTES);
    for (const struct yg_json_node *field = root->child; field; field = field->next) {
        if (out.len)
            yg_buf_putc(&out, '&');
        yg_url_put(&out, field->key);
        yg_buf_putc(&out, '=');
        yg_url_put(&out, field->kind == YG_JSON_STRING ? field->str : field->raw);
    }
    YG_TRY(yg_buf_ok(&out, err));
    *ret_body = yg_arena_str(arena, yg_buf_str(&out));
    return YG_OK;
}

yg_rc yg_webhook_build(struct yg_meta *meta, const struct yg_message_record *msg,
                       struct yg_arena *arena, struct yg_delivery *d, struct yg_err *err) {
    struct yg_webhook hook;
    struct yg_webhook_variable *custom;
    struct yg_json_node *facts;
    uint32_t custom_count;
    YG_TRY(yg_meta_webhook_get(meta, msg->receiver, arena, &hook, err));
    YG_TRY(yg_meta_variable_list(meta, arena, &custom, &custom_count, err));
    YG_TRY(yg_json_parse(msg->facts_json, arena, &facts, err));
    struct expansion x = {.vars = yg_json_get(facts, "vars"),
                          .custom = custom,
                          .custom_count = custom_count,
                          .id = yg_arena_printf(arena, "%lld", (long long)msg->transition_id),
                          .arena = arena};
    bool form = yg_str_eq_c(hook.encode_as, "form");
    YG_TRY(expand(&x, hook.url, PLACE_URL, URL_MAX_BYTES, &d->url, err));
    YG_TRY(expand(&x, hook.payload, PLACE_JSON, BODY_MAX_BYTES, &d->body, err));
    if (form)
        YG_TRY(form_encode(d->body, arena, &d->body, err));
    yg_delivery_header(d, YG_STR("Content-Type"),
                       form ? YG_STR("application/x-www-form-urlencoded")
                            : YG_STR("application/json"));
    if (hook.has_headers && hook.custom_headers.len)
        YG_TRY(custom_headers(&x, hook.custom_headers, d, err));
    return YG_OK;
}

yg_rc yg_delivery_build(struct yg_meta *meta, const struct yg_message_record *msg,
                        struct yg_arena *arena, struct yg_delivery *ret_delivery,
                        struct yg_err *err) {
    *ret_delivery = (struct yg_delivery){0};
    yg_rc rc = YG_EINPUT;
    switch (msg->kind) {
    case YG_MESSAGE_WEBHOOK:
        rc = yg_webhook_build(meta, msg, arena, ret_delivery, err);
        break;
    case YG_MESSAGE_SLACK:
        rc = yg_slack_build(meta, msg, arena, ret_delivery, err);
        break;
    case YG_MESSAGE_NONE:
    case YG_MESSAGE_KIND_COUNT:
        return yg_fail(err, YG_EINPUT, "message has no receiver");
    }
    YG_TRY(rc);
    if (!yg_str_starts(ret_delivery->url, YG_STR("http://")) &&
        !yg_str_starts(ret_delivery->url, YG_STR("https://")))
        return yg_fail(err, YG_EINPUT, "receiver's URL is not http or https");
    yg_delivery_header(ret_delivery, YG_STR("X-Yagura-Delivery"), yg_str_c(msg->id));
    return YG_OK;
}
