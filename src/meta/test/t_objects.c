// SPDX-License-Identifier: Apache-2.0
// Monitors, their changes in one transaction, the outbox's order, integrations.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meta/meta.h"
#include "test_dir.h"
#include <math.h>

struct fixture {
    const char *dir;
    struct yg_meta *m;
    struct yg_arena *arena;
    struct yg_err err;
};

static struct yg_meta *reopen(const char *dir) {
    struct yg_err err = {0};
    struct yg_meta *m = NULL;
    struct yg_meta_options o = {.dir = dir, .clock = &yg_clock_system};
    if (yg_meta_open(&o, &m, NULL, &err) != YG_OK)
        fail_msg("open: %s", err.text);
    return m;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    void *dir;
    if (test_dir_make(&dir))
        return -1;
    f->dir = dir;
    f->m = reopen(dir);
    f->arena = yg_arena_create(YG_MEM_META, 8 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    yg_meta_close(f->m);
    yg_arena_destroy(f->arena);
    void *dir = (void *)(uintptr_t)f->dir;
    free(f);
    return test_dir_remove(&dir);
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != YG_OK)                                                                       \
            fail_msg("%s: %s", #call, f->err.text);                                                \
    } while (0)

static int64_t make_monitor(struct fixture *f) {
    struct yg_monitor_record rec = {
        .type = YG_STR("query alert"),
        .name = YG_STR("n'ame \xe3\x82\xa2"),
        .query = YG_STR("avg(last_5m):avg:x{*} > 1"),
        .message = YG_STR("m"),
        .options_json = YG_STR("{\"a\":1}"),
        .restricted_roles_json = YG_STR(""),
        .priority = 3,
        .multi = true,
    };
    int64_t id = 0;
    OK(yg_meta_monitor_put(f->m, &rec, false, &id, &f->err));
    return id;
}

static void a_monitor_comes_back_as_stored(void **state) {
    struct fixture *f = *state;
    int64_t id = make_monitor(f);
    assert_true(id > 100000);
    struct yg_monitor_record rec;
    OK(yg_meta_monitor_get(f->m, id, f->arena, &rec, &f->err));
    assert_true(yg_str_eq_c(rec.name, "n'ame \xe3\x82\xa2"));
    assert_true(yg_str_eq_c(rec.options_json, "{\"a\":1}"));
    assert_true(yg_str_eq_c(rec.tags_json, "[]"));
    assert_int_equal(rec.restricted_roles_json.len, 0);
    assert_int_equal(rec.priority, 3);
    assert_int_equal(rec.overall_state, YG_STATE_NO_DATA);
    assert_int_equal(rec.overall_modified_ns, 0);
    assert_int_equal(rec.creator_id, yg_meta_user(f->m)->id);
    int64_t created = rec.created_ns;
    rec.name = YG_STR("renamed");
    OK(yg_meta_monitor_put(f->m, &rec, false, NULL, &f->err));
    OK(yg_meta_monitor_get(f->m, id, f->arena, &rec, &f->err));
    assert_true(yg_str_eq_c(rec.name, "renamed"));
    assert_int_equal(rec.created_ns, created);
    assert_true(rec.modified_ns >= created);
    OK(yg_meta_monitor_delete(f->m, id, &f->err));
    assert_int_equal(yg_meta_monitor_get(f->m, id, f->arena, &rec, &f->err), YG_ENOTFOUND);
    assert_string_equal(f->err.text, "Monitor not found");
    assert_int_equal(yg_meta_monitor_delete(f->m, id, &f->err), YG_ENOTFOUND);
    assert_int_equal(yg_meta_monitor_put(f->m, &rec, false, NULL, &f->err), YG_ENOTFOUND);
    assert_true(make_monitor(f) > id); // ids are never used again
}

static struct yg_monitor_change change_of(int64_t id, struct yg_group_record *g,
                                          struct yg_transition_record *t) {
    return (struct yg_monitor_change){.monitor_id = id,
                                      .groups = g,
                                      .group_count = 1,
                                      .transitions = t,
                                      .transition_count = 1,
                                      .set_overall = true,
                                      .overall_state = g->state,
                                      .overall_modified_ns = t->at_ns};
}

static void a_change_is_durable_as_a_whole(void **state) {
    struct fixture *f = *state;
    int64_t id = make_monitor(f);
    struct yg_message_record msgs[2] = {{.target = YG_STR("@webhook-a"),
                                         .kind = YG_MESSAGE_WEBHOOK,
                                         .receiver = YG_STR("a"),
                                         .facts_json = YG_STR("{}"),
                                         .due_ns = 100},
                                        {.target = YG_STR("@nobody"),
                                         .kind = YG_MESSAGE_NONE,
                                         .state = YG_MESSAGE_FAILED,
                                         .last_error = YG_STR("no such receiver")}};
    struct yg_transition_record t = {.group = YG_STR("*"),
                                     .at_ns = 100,
                                     .from = YG_STATE_OK,
                                     .to = YG_STATE_ALERT,
                                     .kind = YG_STR("Triggered"),
                                     .has_value = true,
                                     .value = 0.08,
                                     .messages = msgs,
                                     .message_count = 2};
    struct yg_group_record g = {.group = YG_STR("*"),
                                .state = YG_STATE_ALERT,
                                .has_value = true,
                                .value = 0.08,
                                .since_ns = 100,
                                .cycle = 7};
    struct yg_monitor_change c = change_of(id, &g, &t);
    OK(yg_meta_monitor_apply(f->m, &c, 1, &f->err));
    assert_int_equal(strlen(msgs[0].id), 36);
    yg_meta_close(f->m);
    f->m = reopen(f->dir);

    struct yg_group_record *groups;
    struct yg_transition_record *rows;
    uint32_t count;
    OK(yg_meta_groups(f->m, id, f->arena, &groups, &count, &f->err));
    assert_int_equal(count, 1);
    assert_int_equal(groups[0].state, YG_STATE_ALERT);
    assert_true(fabs(groups[0].value - 0.08) < 1e-12);
    assert_int_equal(groups[0].cycle, 7);
    OK(yg_meta_transitions(f->m, id, 0, 1000, 10, f->arena, &rows, &count, &f->err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].message_count, 2);
    assert_true(yg_str_eq_c(rows[0].messages[1].last_error, "no such receiver"));
    struct yg_message_record *due;
    int64_t next;
    OK(yg_meta_outbox_due(f->m, 99, 10, f->arena, &due, &count, &next, &f->err));
    assert_int_equal(count, 0);
    assert_int_equal(next, 100);
    OK(yg_meta_outbox_due(f->m, 100, 10, f->arena, &due, &count, &next, &f->err));
    assert_int_equal(count, 1); // the one without a receiver is not sent
    assert_string_equal(due[0].id, msgs[0].id);
    assert_true(yg_str_eq_c(due[0].facts_json, "{}"));
    assert_true(next == INT64_MAX);
}

static void a_change_of_a_deleted_monitor_writes_nothing(void **state) {
    struct fixture *f = *state;
    int64_t id = make_monitor(f), gone = make_monitor(f);
    OK(yg_meta_monitor_delete(f->m, gone, &f->err));
    struct yg_transition_record t = {.group = YG_STR("*"), .at_ns = 5, .kind = YG_STR("Warn")};
    struct yg_transition_record u = t;
    struct yg_group_record g = {.group = YG_STR("*"), .state = YG_STATE_WARN};
    struct yg_monitor_change c[2] = {change_of(id, &g, &t), change_of(gone, &g, &u)};
    assert_int_equal(yg_meta_monitor_apply(f->m, c, 2, &f->err), YG_ENOTFOUND);
    struct yg_group_record *groups;
    uint32_t count;
    OK(yg_meta_groups(f->m, 0, f->arena, &groups, &count, &f->err));
    assert_int_equal(count, 0);
}

static void add_message(struct fixture *f, int64_t id, const char *group, const char *target,
                        int64_t at_ns) {
    struct yg_message_record msg = {.target = yg_str_c(target),
                                    .receiver = YG_STR("r"),
                                    .facts_json = YG_STR("{}"),
                                    .due_ns = at_ns};
    struct yg_transition_record t = {.group = yg_str_c(group),
                                     .at_ns = at_ns,
                                     .kind = YG_STR("Triggered"),
                                     .messages = &msg,
                                     .message_count = 1};
    struct yg_group_record g = {.group = yg_str_c(group), .state = YG_STATE_ALERT};
    struct yg_monitor_change c = change_of(id, &g, &t);
    OK(yg_meta_monitor_apply(f->m, &c, 1, &f->err));
}

static void messages_of_one_line_go_in_order(void **state) {
    struct fixture *f = *state;
    int64_t id = make_monitor(f);
    add_message(f, id, "a", "@webhook-x", 10);
    add_message(f, id, "a", "@webhook-x", 20);
    add_message(f, id, "b", "@webhook-x", 30);
    add_message(f, id, "a", "@webhook-y", 40);
    struct yg_message_record *due;
    uint32_t count;
    int64_t next;
    OK(yg_meta_outbox_due(f->m, 1000, 10, f->arena, &due, &count, &next, &f->err));
    assert_int_equal(count, 3);
    assert_int_equal(due[0].due_ns, 10);
    assert_int_equal(due[1].due_ns, 30);
    assert_int_equal(due[2].due_ns, 40);
    struct yg_message_record first = due[0];
    first.attempts = 1;
    first.due_ns = 5000; // tried, comes again later: the second of its line must wait
    first.last_error = YG_STR("connection refused");
    OK(yg_meta_outbox_note(f->m, &first, &f->err));
    OK(yg_meta_outbox_due(f->m, 1000, 10, f->arena, &due, &count, &next, &f->err));
    assert_int_equal(count, 2);
    assert_int_equal(next, 5000);
    first.state = YG_MESSAGE_SENT;
    first.done_ns = 5001;
    OK(yg_meta_outbox_note(f->m, &first, &f->err));
    OK(yg_meta_outbox_due(f->m, 6000, 1, f->arena, &due, &count, &next, &f->err));
    assert_int_equal(count, 1);
    assert_int_equal(due[0].due_ns, 20);
    OK(yg_meta_monitor_delete(f->m, id, &f->err)); // undelivered messages go with the monitor
    OK(yg_meta_outbox_due(f->m, 6000, 10, f->arena, &due, &count, &next, &f->err));
    assert_int_equal(count, 0);
}

static void old_history_goes_but_not_what_is_pending(void **state) {
    struct fixture *f = *state;
    int64_t id = make_monitor(f);
    add_message(f, id, "a", "@webhook-x", 10);
    struct yg_transition_record t = {.group = YG_STR("a"), .at_ns = 11, .kind = YG_STR("Warn")};
    struct yg_group_record g = {.group = YG_STR("a")};
    struct yg_monitor_change c = change_of(id, &g, &t);
    OK(yg_meta_monitor_apply(f->m, &c, 1, &f->err));
    OK(yg_meta_history_prune(f->m, 1000, &f->err));
    struct yg_transition_record *rows;
    uint32_t count;
    OK(yg_meta_transitions(f->m, id, 0, 1000, 10, f->arena, &rows, &count, &f->err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].at_ns, 10);
}

static void webhooks_and_variables(void **state) {
    struct fixture *f = *state;
    struct yg_webhook hook = {.name = YG_STR("ops"),
                              .url = YG_STR("http://h/"),
                              .payload = YG_STR("{}"),
                              .encode_as = YG_STR("json")};
    struct yg_webhook got;
    OK(yg_meta_webhook_put(f->m, YG_STR(""), &hook, &f->err));
    assert_int_equal(yg_meta_webhook_put(f->m, YG_STR(""), &hook, &f->err), YG_ECONFLICT);
    assert_string_equal(f->err.text, "Webhook ops already exists");
    OK(yg_meta_webhook_get(f->m, YG_STR("ops"), f->arena, &got, &f->err));
    assert_false(got.has_headers);
    hook.name = YG_STR("ops2");
    hook.has_headers = true;
    hook.custom_headers = YG_STR("{\"a\":\"b\"}");
    OK(yg_meta_webhook_put(f->m, YG_STR("ops"), &hook, &f->err));
    assert_int_equal(yg_meta_webhook_get(f->m, YG_STR("ops"), f->arena, &got, &f->err),
                     YG_ENOTFOUND);
    assert_string_equal(f->err.text, "Webhook does not exist");
    OK(yg_meta_webhook_get(f->m, YG_STR("ops2"), f->arena, &got, &f->err));
    assert_true(got.has_headers);
    OK(yg_meta_webhook_delete(f->m, YG_STR("ops2"), &f->err));
    assert_int_equal(yg_meta_webhook_delete(f->m, YG_STR("ops2"), &f->err), YG_ENOTFOUND);

    struct yg_webhook_variable var = {
        .name = YG_STR("TOKEN"), .value = YG_STR("s"), .is_secret = true};
    struct yg_webhook_variable read, *all;
    uint32_t count;
    OK(yg_meta_variable_put(f->m, YG_STR(""), &var, &f->err));
    assert_int_equal(yg_meta_variable_put(f->m, YG_STR("NONE"), &var, &f->err), YG_ENOTFOUND);
    OK(yg_meta_variable_get(f->m, YG_STR("TOKEN"), f->arena, &read, &f->err));
    assert_true(read.is_secret);
    OK(yg_meta_variable_list(f->m, f->arena, &all, &count, &f->err));
    assert_int_equal(count, 1);
    OK(yg_meta_variable_delete(f->m, YG_STR("TOKEN"), &f->err));
    assert_int_equal(yg_meta_variable_get(f->m, YG_STR("TOKEN"), f->arena, &read, &f->err),
                     YG_ENOTFOUND);
}

static void slack_and_metrics(void **state) {
    struct fixture *f = *state;
    struct yg_slack_account acc = {YG_STR("main"), YG_STR("http://h/1")};
    struct yg_slack_channel ch = {YG_STR("main"), YG_STR("#ops"), YG_STR("{}")};
    assert_int_equal(yg_meta_slack_channel_put(f->m, YG_STR(""), &ch, &f->err), YG_ENOTFOUND);
    OK(yg_meta_slack_account_put(f->m, &acc, &f->err));
    acc.url = YG_STR("http://h/2");
    OK(yg_meta_slack_account_put(f->m, &acc, &f->err));
    OK(yg_meta_slack_channel_put(f->m, YG_STR(""), &ch, &f->err));
    assert_int_equal(yg_meta_slack_channel_put(f->m, YG_STR(""), &ch, &f->err), YG_ECONFLICT);
    struct yg_slack_account *accounts;
    struct yg_slack_channel *channels;
    uint32_t count;
    OK(yg_meta_slack_account_list(f->m, f->arena, &accounts, &count, &f->err));
    assert_int_equal(count, 1);
    assert_true(yg_str_eq_c(accounts[0].url, "http://h/2"));
    OK(yg_meta_slack_channel_list(f->m, YG_STR(""), f->arena, &channels, &count, &f->err));
    assert_int_equal(count, 1);
    OK(yg_meta_slack_account_delete(f->m, YG_STR("main"), &f->err));
    OK(yg_meta_slack_channel_list(f->m, YG_STR("main"), f->arena, &channels, &count, &f->err));
    assert_int_equal(count, 0); // channels go with their account

    struct yg_metric_meta meta = {.name = YG_STR("a.b"), .unit = YG_STR("byte")}, got;
    assert_int_equal(yg_meta_metric_get(f->m, YG_STR("a.b"), f->arena, &got, &f->err),
                     YG_ENOTFOUND);
    OK(yg_meta_metric_put(f->m, &meta, &f->err));
    OK(yg_meta_metric_get(f->m, YG_STR("a.b"), f->arena, &got, &f->err));
    assert_true(yg_str_eq_c(got.unit, "byte"));
    assert_int_equal(got.type.len, 0);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(a_monitor_comes_back_as_stored),
                                       T(a_change_is_durable_as_a_whole),
                                       T(a_change_of_a_deleted_monitor_writes_nothing),
                                       T(messages_of_one_line_go_in_order),
                                       T(old_history_goes_but_not_what_is_pending),
                                       T(webhooks_and_variables),
                                       T(slack_and_metrics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
