// SPDX-License-Identifier: Apache-2.0
// The sender against a receiver on loopback: order, retries under one id, what a restart repeats,
// what it does not, and what a webhook's variables become.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../meta/test/test_dir.h"
#include "codec/json_read.h"
#include "notify/notify.h"

#include <stdatomic.h>

#define GOT_MAX 32

struct got {
    char id[40];
    char body[2048];
    char type[64];
    char custom[128];
};

struct fixture {
    void *dir;
    struct yg_clock clock;
    struct yg_meta *meta;
    struct yg_pool *pool;
    struct yg_loop *loop;
    struct yg_http_server *server;
    struct yg_client *client;
    struct yg_notifier *notifier;
    struct yg_arena *arena;
    struct yg_err err;
    int64_t monitor;
    char url[128];
    // the receiver
    pthread_mutex_t lock;
    struct got got[GOT_MAX];
    uint32_t got_count;
    _Atomic int status;
    _Atomic int retry_after;
    _Atomic int hold_ms; // before the answer
    _Atomic int arrived;
};

static int64_t fake_now(const struct yg_clock *c) {
    return c->fake_ns;
}

static void copy(char *out, size_t bytes, yg_str s) {
    snprintf(out, bytes, "%.*s", YG_STR_FMT(s));
}

static void receive(struct yg_http_request *take_req) {
    struct fixture *f = take_req->ctx;
    pthread_mutex_lock(&f->lock);
    if (f->got_count < GOT_MAX) {
        struct got *g = &f->got[f->got_count++];
        copy(g->id, sizeof(g->id), yg_http_header(take_req, "x-yagura-delivery"));
        copy(g->body, sizeof(g->body), take_req->body);
        copy(g->type, sizeof(g->type), yg_http_header(take_req, "content-type"));
        copy(g->custom, sizeof(g->custom), yg_http_header(take_req, "x-custom"));
    }
    pthread_mutex_unlock(&f->lock);
    atomic_fetch_add(&f->arrived, 1);
    for (int held = 0; held < atomic_load(&f->hold_ms); held += 20)
        usleep(20000);
    char wait[16];
    snprintf(wait, sizeof(wait), "%d", atomic_load(&f->retry_after));
    struct yg_http_reply reply = {.status = (uint16_t)atomic_load(&f->status),
                                  .content_type = "text/plain",
                                  .static_body = YG_STR("ok")};
    if (atomic_load(&f->retry_after))
        reply.extra[reply.extra_count++] =
            (struct yg_http_header){YG_STR("Retry-After"), yg_str_c(wait)};
    yg_http_reply(take_req, &reply);
}

static const struct yg_route routes[] = {
    {YG_POST, "/hook", 1 << 20, 0, receive}, {YG_POST, "/slack", 1 << 20, 0, receive}, {0}};

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != YG_OK)                                                                       \
            fail_msg("%s: %s", #call, f->err.text);                                                \
    } while (0)

static void open_sender(struct fixture *f) {
    struct yg_meta_options mo = {.dir = f->dir, .clock = &f->clock};
    OK(yg_meta_open(&mo, &f->meta, NULL, &f->err));
    f->client = yg_client_create(4);
    struct yg_notifier_options no = {
        .meta = f->meta, .client = f->client, .clock = &f->clock, .tries_max = 4};
    f->notifier = yg_notifier_create(&no);
}

static void close_sender(struct fixture *f) {
    yg_notifier_destroy(f->notifier);
    yg_client_destroy(f->client);
    yg_meta_close(f->meta);
}

static void listen_loopback(struct fixture *f) {
    static const struct yg_route *const tables[] = {routes, NULL};
    void *ctx[] = {f};
    struct yg_http_server_options so = {
        .name = "test", .address = "127.0.0.1:0", .tables = tables, .table_ctx = ctx};
    struct yg_pool_options po = {.worker_count = 2};
    f->pool = yg_pool_create(&po);
    f->loop = yg_loop_create(f->pool);
    OK(yg_http_server_create(f->loop, &so, &f->server, &f->err));
    yg_loop_start(f->loop);
    snprintf(f->url, sizeof(f->url), "http://%s/hook", yg_http_server_address(f->server));
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    f->clock = (struct yg_clock){
        .now_ns = fake_now, .mono_ns = fake_now, .fake_ns = INT64_C(1770000000) * YG_NS_PER_S};
    if (test_dir_make(&f->dir))
        return -1;
    pthread_mutex_init(&f->lock, NULL);
    atomic_store(&f->status, 200);
    f->arena = yg_arena_create(YG_MEM_META, 16 << 20);
    listen_loopback(f);
    open_sender(f);
    struct yg_webhook hook = {.name = YG_STR("ops"),
                              .url = yg_str_c(f->url),
                              .payload = yg_str_c(yg_webhook_default_payload),
                              .encode_as = YG_STR("json")};
    OK(yg_meta_webhook_put(f->meta, YG_STR(""), &hook, &f->err));
    struct yg_monitor_record rec = {.type = YG_STR("query alert"),
                                    .name = YG_STR("rate"),
                                    .query = YG_STR("q"),
                                    .message = YG_STR("m")};
    OK(yg_meta_monitor_put(f->meta, &rec, false, &f->monitor, &f->err));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    close_sender(f);
    yg_loop_stop(f->loop, 1000);
    yg_http_server_destroy(f->server);
    yg_loop_destroy(f->loop);
    yg_pool_destroy(f->pool);
    yg_arena_destroy(f->arena);
    pthread_mutex_destroy(&f->lock);
    void *dir = f->dir;
    free(f);
    return test_dir_remove(&dir);
}

// A change of state with the messages of this text, stored as monitor does it.
static void change(struct fixture *f, const char *group, const char *text,
                   enum yg_monitor_state to) {
    struct yg_tag tag = {YG_STR("service"), YG_STR("a\"b")};
    struct yg_notice n = {.monitor_id = f->monitor,
                          .type = YG_STR("query alert"),
                          .name = YG_STR("rate"),
                          .message = yg_str_c(text),
                          .group = yg_str_c(group),
                          .group_tags = &tag,
                          .group_tag_count = 1,
                          .from = YG_STATE_OK,
                          .to = to,
                          .has_value = true,
                          .value = 0.5,
                          .comparator = ">",
                          .has_critical = true,
                          .critical = 0.05,
                          .window_words = YG_STR("last 5m"),
                          .metric = YG_STR("aws.x"),
                          .at_ns = f->clock.fake_ns,
                          .org_id = YG_STR("1"),
                          .org_name = YG_STR("org"),
                          .public_url = YG_STR("http://y"),
                          .user = yg_meta_user(f->meta)};
    struct yg_transition_record t = {.group = yg_str_c(group),
                                     .at_ns = f->clock.fake_ns,
                                     .from = YG_STATE_OK,
                                     .to = to,
                                     .kind = YG_STR("Triggered")};
    OK(yg_notice_messages(f->meta, &n, NULL, f->arena, &t.messages, &t.message_count, &f->err));
    struct yg_group_record g = {.group = yg_str_c(group), .state = to};
    struct yg_monitor_change c = {.monitor_id = f->monitor,
                                  .groups = &g,
                                  .group_count = 1,
                                  .transitions = &t,
                                  .transition_count = 1};
    OK(yg_meta_monitor_apply(f->meta, &c, 1, &f->err));
}

// Rounds until nothing is under way; the clock stands still.
static void settle(struct fixture *f) {
    for (int i = 0; i < 2000 && yg_notifier_pass(f->notifier) > 0; i++)
        usleep(2000);
    assert_int_equal(yg_notifier_pass(f->notifier), 0);
}

static struct yg_message_record message(struct fixture *f, uint32_t back) {
    struct yg_transition_record *rows;
    uint32_t count;
    OK(yg_meta_transitions(f->meta, f->monitor, 0, INT64_MAX, 100, f->arena, &rows, &count,
                           &f->err));
    assert_true(count > back && rows[back].message_count > 0);
    return rows[back].messages[0];
}

static void delivered_once_with_the_default_payload(void **state) {
    struct fixture *f = *state;
    change(f, "service:a\"b", "is {{value}} \"now\" @webhook-ops", YG_STATE_ALERT);
    settle(f);
    settle(f);
    assert_int_equal(f->got_count, 1);
    struct yg_message_record m = message(f, 0);
    assert_int_equal(m.state, YG_MESSAGE_SENT);
    assert_int_equal(m.attempts, 1);
    assert_string_equal(f->got[0].id, m.id);
    assert_string_equal(f->got[0].type, "application/json");
    struct yg_json_node *root;
    OK(yg_json_parse(yg_str_c(f->got[0].body), f->arena, &root, &f->err));
    assert_string_equal(yg_arena_cstr(f->arena, yg_json_get(root, "body")->str),
                        "is 0.5 \"now\" @webhook-ops");
    assert_string_equal(yg_arena_cstr(f->arena, yg_json_get(root, "title")->str),
                        "[Triggered] rate");
    assert_string_equal(yg_arena_cstr(f->arena, yg_json_path(root, "org.name")->str), "org");
    assert_true(yg_json_get(root, "id")->str.len > 0);
}

static void a_busy_receiver_is_asked_again_under_the_same_id(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->status, 503);
    change(f, "*", "x @webhook-ops", YG_STATE_ALERT);
    settle(f);
    assert_int_equal(f->got_count, 1);
    f->clock.fake_ns += YG_NS_PER_S - 1;
    settle(f);
    assert_int_equal(f->got_count, 1); // not before a second has passed
    f->clock.fake_ns += 1;
    settle(f);
    assert_int_equal(f->got_count, 2);
    atomic_store(&f->status, 200);
    f->clock.fake_ns += 2 * YG_NS_PER_S;
    settle(f);
    f->clock.fake_ns += 600 * YG_NS_PER_S;
    settle(f);
    assert_int_equal(f->got_count, 3);
    assert_string_equal(f->got[0].id, f->got[2].id);
    assert_string_equal(f->got[0].body, f->got[2].body);
    assert_int_equal(message(f, 0).state, YG_MESSAGE_SENT);
}

static void tries_end(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->status, 500);
    change(f, "*", "x @webhook-ops", YG_STATE_ALERT);
    for (int i = 0; i < 10; i++) {
        settle(f);
        f->clock.fake_ns += 600 * YG_NS_PER_S;
    }
    assert_int_equal(f->got_count, 4);
    assert_int_equal(message(f, 0).state, YG_MESSAGE_FAILED);
    assert_true(yg_str_eq_c(message(f, 0).last_error, "HTTP status 500"));
}

static void a_refusal_is_final_and_retry_after_is_kept(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->status, 400);
    change(f, "*", "x @webhook-ops", YG_STATE_ALERT);
    settle(f);
    f->clock.fake_ns += 600 * YG_NS_PER_S;
    settle(f);
    assert_int_equal(f->got_count, 1);
    assert_int_equal(message(f, 0).state, YG_MESSAGE_FAILED);
    atomic_store(&f->status, 429);
    atomic_store(&f->retry_after, 30);
    f->clock.fake_ns += YG_NS_PER_S;
    change(f, "*", "x @webhook-ops", YG_STATE_OK);
    settle(f);
    assert_int_equal(f->got_count, 2);
    f->clock.fake_ns += 29 * YG_NS_PER_S;
    settle(f);
    assert_int_equal(f->got_count, 2);
    f->clock.fake_ns += YG_NS_PER_S;
    settle(f);
    assert_int_equal(f->got_count, 3);
}

static void messages_of_a_group_arrive_in_order(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->status, 503);
    change(f, "*", "first @webhook-ops", YG_STATE_ALERT);
    settle(f);
    change(f, "*", "second @webhook-ops", YG_STATE_OK);
    settle(f);
    assert_int_equal(f->got_count, 1); // the second waits for the first
    atomic_store(&f->status, 200);
    f->clock.fake_ns += 2 * YG_NS_PER_S;
    settle(f);
    assert_int_equal(f->got_count, 3);
    assert_non_null(strstr(f->got[1].body, "first"));
    assert_non_null(strstr(f->got[2].body, "second"));
}

static void a_crash_before_sending_sends_once_after_restart(void **state) {
    struct fixture *f = *state;
    change(f, "*", "x @webhook-ops", YG_STATE_ALERT);
    close_sender(f); // nothing was sent: the row waits on disk
    assert_int_equal(f->got_count, 0);
    open_sender(f);
    settle(f);
    close_sender(f);
    open_sender(f);
    settle(f);
    assert_int_equal(f->got_count, 1);
}

static void an_answer_that_was_never_noted_is_repeated_under_the_same_id(void **state) {
    struct fixture *f = *state;
    change(f, "*", "x @webhook-ops", YG_STATE_ALERT);
    struct yg_message_record before = message(f, 0);
    settle(f);
    before.state = YG_MESSAGE_PENDING; // as the database stands when the crash came before the note
    OK(yg_meta_outbox_note(f->meta, &before, &f->err));
    close_sender(f);
    open_sender(f);
    settle(f);
    assert_int_equal(f->got_count, 2);
    assert_string_equal(f->got[0].id, f->got[1].id);
    assert_string_equal(f->got[0].body, f->got[1].body);
}

static void nobody_there_is_tried_again(void **state) {
    struct fixture *f = *state;
    struct yg_webhook hook = {.name = YG_STR("gone"),
                              .url = YG_STR("http://127.0.0.1:1/x"),
                              .payload = YG_STR("{}"),
                              .encode_as = YG_STR("json")};
    OK(yg_meta_webhook_put(f->meta, YG_STR(""), &hook, &f->err));
    change(f, "*", "x @webhook-gone", YG_STATE_ALERT);
    settle(f);
    struct yg_message_record m = message(f, 0);
    assert_int_equal(m.state, YG_MESSAGE_PENDING);
    assert_int_equal(m.attempts, 1);
    assert_true(m.last_error.len > 0);
    hook.url = yg_str_c(f->url); // mended meanwhile: the next try uses it
    OK(yg_meta_webhook_put(f->meta, YG_STR("gone"), &hook, &f->err));
    f->clock.fake_ns += YG_NS_PER_S;
    settle(f);
    assert_int_equal(message(f, 0).state, YG_MESSAGE_SENT);
}

static void undeliverable_handles_say_why(void **state) {
    struct fixture *f = *state;
    change(f, "*", "@webhook-none @slack-ops @pagerduty-x @me@example.com @who", YG_STATE_ALERT);
    settle(f);
    struct yg_transition_record *rows;
    uint32_t count;
    OK(yg_meta_transitions(f->meta, f->monitor, 0, INT64_MAX, 1, f->arena, &rows, &count, &f->err));
    static const char *const wanted[] = {"Webhook does not exist", "no Slack account is configured",
                                         "delivery to PagerDuty is not part of this version",
                                         "e-mail is not part of this version", "no such receiver"};
    assert_int_equal(rows[0].message_count, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rows[0].messages[i].state, YG_MESSAGE_FAILED);
        assert_string_equal(yg_arena_cstr(f->arena, rows[0].messages[i].last_error), wanted[i]);
    }
    assert_int_equal(f->got_count, 0);
}

static void variables_headers_and_forms(void **state) {
    struct fixture *f = *state;
    struct yg_webhook_variable base = {.name = YG_STR("BASE"), .value = yg_str_c(f->url)};
    struct yg_webhook_variable token = {
        .name = YG_STR("TOKEN"), .value = YG_STR("s3\"cret"), .is_secret = true};
    OK(yg_meta_variable_put(f->meta, YG_STR(""), &base, &f->err));
    OK(yg_meta_variable_put(f->meta, YG_STR(""), &token, &f->err));
    struct yg_webhook hook = {
        .name = YG_STR("form"),
        .url = YG_STR("$BASE?m=$ALERT_TITLE"),
        .payload = YG_STR("{\"t\":\"$ALERT_TYPE/$ALERT_TRANSITION\",\"n\":$ALERT_ID,"
                          "\"k\":\"$TOKEN $NOBODY $5 $$ALERT_SCOPE\",\"s\":\"$SNAPSHOT\"}"),
        .encode_as = YG_STR("form"),
        .has_headers = true,
        .custom_headers = YG_STR("{\"X-Custom\":\"Bearer $TOKEN\"}")};
    OK(yg_meta_webhook_put(f->meta, YG_STR(""), &hook, &f->err));
    change(f, "service:a\"b", "x @webhook-form", YG_STATE_ALERT);
    settle(f);
    assert_int_equal(f->got_count, 1);
    assert_string_equal(f->got[0].type, "application/x-www-form-urlencoded");
    assert_string_equal(f->got[0].custom, "Bearer s3\"cret");
    char wanted[256];
    snprintf(wanted, sizeof(wanted),
             "t=error%%2FTriggered&n=%lld&k=s3%%22cret%%20%%24NOBODY%%20%%245%%20%%24service%%3Aa%%"
             "22b&s=",
             (long long)f->monitor);
    assert_string_equal(f->got[0].body, wanted);
    hook.custom_headers = YG_STR("{\"X-Custom\":\"a\\r\\nX-Evil: 1\"}");
    OK(yg_meta_webhook_put(f->meta, YG_STR("form"), &hook, &f->err));
    f->clock.fake_ns += YG_NS_PER_S;
    change(f, "*", "x @webhook-form", YG_STATE_OK);
    settle(f);
    assert_int_equal(f->got_count, 1);
    assert_int_equal(message(f, 0).state, YG_MESSAGE_FAILED);
}

static void slack_accounts_and_channels(void **state) {
    struct fixture *f = *state;
    char url[160];
    snprintf(url, sizeof(url), "http://%s/slack", yg_http_server_address(f->server));
    struct yg_slack_account a = {YG_STR("team"), yg_str_c(url)},
                            b = {YG_STR("team-b"), yg_str_c(url)};
    struct yg_slack_channel quiet = {YG_STR("team"), YG_STR("#quiet"),
                                     YG_STR("{\"message\":false,\"tags\":false}")};
    OK(yg_meta_slack_account_put(f->meta, &a, &f->err));
    OK(yg_meta_slack_account_put(f->meta, &b, &f->err));
    OK(yg_meta_slack_channel_put(f->meta, YG_STR(""), &quiet, &f->err));
    change(f, "*", "rate @slack-team-b-ops @slack-alerts @slack-quiet", YG_STATE_ALERT);
    settle(f);
    assert_int_equal(f->got_count, 3);
    const char *channels[] = {"#ops", "#alerts", "#quiet"};
    for (int i = 0; i < 3; i++) {
        struct yg_json_node *root;
        bool found = false;
        for (uint32_t g = 0; g < 3; g++) {
            OK(yg_json_parse(yg_str_c(f->got[g].body), f->arena, &root, &f->err));
            const struct yg_json_node *at = yg_json_get(root, "attachments")->child;
            if (!yg_str_eq_c(yg_json_get(root, "channel")->str, channels[i]))
                continue;
            found = true;
            assert_true(yg_str_eq_c(yg_json_get(at, "color")->str, "#e01e5a"));
            assert_true((yg_json_get(at, "text") == NULL) == (i == 2));
        }
        assert_true(found);
    }
}

// A receiver that takes the request and answers only when told to.
static void a_receiver_that_hangs_does_not_hold_up_the_end(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->hold_ms, 6000);
    change(f, "*", "x @webhook-ops", YG_STATE_ALERT);
    assert_int_equal(yg_notifier_pass(f->notifier), 1);
    for (int i = 0; i < 1000 && atomic_load(&f->arrived) == 0; i++)
        usleep(2000);
    int64_t before_ns = yg_mono_ns(&yg_clock_system);
    close_sender(f);
    assert_true(yg_mono_ns(&yg_clock_system) - before_ns < 5 * YG_NS_PER_S);
    atomic_store(&f->hold_ms, 0);
    open_sender(f);
    settle(f);
    assert_int_equal(f->got_count, 2); // its answer was never seen: repeated, under the same id
    assert_string_equal(f->got[0].id, f->got[1].id);
}

static void the_thread_sends_on_a_kick(void **state) {
    struct fixture *f = *state;
    yg_notifier_start(f->notifier);
    change(f, "*", "x @webhook-ops", YG_STATE_ALERT);
    yg_notifier_kick(f->notifier);
    for (int i = 0; i < 1000 && message(f, 0).state == YG_MESSAGE_PENDING; i++)
        usleep(5000);
    assert_int_equal(message(f, 0).state, YG_MESSAGE_SENT);
    assert_int_equal(f->got_count, 1);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(delivered_once_with_the_default_payload),
        T(a_busy_receiver_is_asked_again_under_the_same_id),
        T(tries_end),
        T(a_refusal_is_final_and_retry_after_is_kept),
        T(messages_of_a_group_arrive_in_order),
        T(a_crash_before_sending_sends_once_after_restart),
        T(an_answer_that_was_never_noted_is_repeated_under_the_same_id),
        T(nobody_there_is_tried_again),
        T(undeliverable_handles_say_why),
        T(variables_headers_and_forms),
        T(slack_accounts_and_channels),
        T(a_receiver_that_hangs_does_not_hold_up_the_end),
        T(the_thread_sends_on_a_kick)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
