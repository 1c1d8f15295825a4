// SPDX-License-Identifier: Apache-2.0
// Monitors, webhooks and Slack over real sockets: what is stored, filled in, refused, listed,
// found.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../meta/test/test_dir.h"
#include "api/monitor_json.h"
#include "notify/notify.h"

struct fixture {
    void *dir;
    struct yg_api api;
    struct yg_pool *pool;
    struct yg_loop *loop;
    struct yg_http_server *server;
    struct yg_arena *arena;
    // the last answer
    struct yg_event done;
    long status;
    yg_str text;
    struct yg_json_node *json;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct yg_err err = {0};
    static const struct yg_route *const tables[] = {yg_api_monitors_routes, NULL};
    void *ctx[] = {&f->api};
    if (test_dir_make(&f->dir))
        return -1;
    struct yg_meta_options mo = {.dir = f->dir, .clock = &yg_clock_system};
    assert_int_equal(yg_meta_open(&mo, &f->api.meta, NULL, &err), YG_OK);
    struct yg_monitors_options o = {.meta = f->api.meta, .clock = &yg_clock_system};
    assert_int_equal(yg_monitors_create(&o, &f->api.monitors, &err), YG_OK);
    f->api.clock = &yg_clock_system;
    f->pool = yg_pool_create(&(struct yg_pool_options){.worker_count = 2});
    f->loop = yg_loop_create(f->pool);
    f->api.client = yg_client_create(2);
    struct yg_http_server_options so = {.name = "api",
                                        .address = "127.0.0.1:0",
                                        .tables = tables,
                                        .table_ctx = ctx,
                                        .not_found = yg_api_not_found,
                                        .not_found_ctx = &f->api};
    assert_int_equal(yg_http_server_create(f->loop, &so, &f->server, &err), YG_OK);
    yg_loop_start(f->loop);
    f->arena = yg_arena_create(YG_MEM_META, 64 << 20);
    yg_event_init(&f->done);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    yg_client_destroy(f->api.client);
    yg_loop_stop(f->loop, 1000);
    yg_http_server_destroy(f->server);
    yg_loop_destroy(f->loop);
    yg_monitors_destroy(f->api.monitors);
    yg_pool_destroy(f->pool);
    yg_meta_close(f->api.meta);
    yg_arena_destroy(f->arena);
    yg_event_fini(&f->done);
    void *dir = f->dir;
    free(f);
    return test_dir_remove(&dir);
}

static void on_answer(void *arg, const struct yg_client_answer *answer) {
    struct fixture *f = arg;
    f->status = answer->rc == YG_OK ? answer->status : -1;
    f->text = yg_arena_str(f->arena, answer->body);
    yg_event_set(&f->done);
}

// One exchange; the answer's JSON (NULL when it is none) stays in f->json.
static long call(struct fixture *f, const char *method, const char *path, const char *body) {
    struct yg_err err = {0};
    char url[512];
    snprintf(url, sizeof(url), "http://%s%s", yg_http_server_address(f->server), path);
    struct yg_client_request request = {
        .method = method, .url = url, .body = yg_str_c(body), .answer_max_bytes = 1 << 20};
    yg_event_reset(&f->done);
    assert_int_equal(yg_client_send(f->api.client, &request, on_answer, f, &err), YG_OK);
    assert_true(yg_event_wait_ms(&f->done, 20000));
    f->json = NULL;
    if (yg_json_parse(f->text, f->arena, &f->json, &err) != YG_OK)
        f->json = NULL;
    return f->status;
}

static void check(struct fixture *f, long got, long wanted) {
    if (got != wanted)
        fail_msg("status %ld instead of %ld: %.*s", got, wanted, YG_STR_FMT(f->text));
}

static const char *text_at(struct fixture *f, const char *path) {
    const struct yg_json_node *n = yg_json_path(f->json, path);
    return n ? yg_arena_cstr(f->arena, n->kind == YG_JSON_STRING ? n->str : n->raw) : "(absent)";
}

static const char *error_text(struct fixture *f) {
    const struct yg_json_node *errors = yg_json_get(f->json, "errors");
    return errors && errors->child ? yg_arena_cstr(f->arena, errors->child->str) : "(none)";
}

#define MONITOR                                                                                    \
    "{\"type\":\"query alert\",\"name\":\" n \",\"query\":\" avg(last_5m):avg:x{a:b} by {host} > " \
    "2\\n\",\"message\":\" m \\n\",\"tags\":[\"team:a\",\"env:prod\"],\"priority\":0,\"options\":" \
    "{\"thresholds\":{\"critical\":2,\"warning\":1,\"critical_recovery\":null},"                   \
    "\"escalation_message\":\"e\\n\",\"evaluation_delay\":null}}"

static void a_monitor_is_trimmed_filled_and_kept(void **state) {
    struct fixture *f = *state;
    char path[64];
    check(f, call(f, "POST", "/api/v1/monitor", MONITOR), 200);
    snprintf(path, sizeof(path), "/api/v1/monitor/%s", text_at(f, "id"));
    static const char *const wanted[][2] = {
        {"query", "avg(last_5m):avg:x{a:b} by {host} > 2"},
        {"message", "m"},
        {"name", "n"},
        {"priority", "null"},
        {"multi", "true"},
        {"restricted_roles", "null"},
        {"restriction_policy", "null"},
        {"deleted", "null"},
        {"draft_status", "published"},
        {"assets", "[]"},
        {"overall_state", "No Data"},
        {"overall_state_modified", "null"},
        {"options.thresholds", "{\"critical\":2.0,\"warning\":1.0}"},
        {"options.escalation_message", "e"},
        {"options.evaluation_delay", "null"},
        {"options.new_host_delay", "300"},
        {"options.silenced", "{}"},
        {"options.include_tags", "true"}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        assert_string_equal(text_at(f, wanted[i][0]), wanted[i][1]);
    assert_int_equal(strlen(text_at(f, "created")), strlen("2024-10-10T16:40:30.574547+00:00"));
    check(f, call(f, "GET", path, ""), 200);
    assert_string_equal(text_at(f, "restriction_policy"), "(absent)");
    assert_string_equal(text_at(f, "assets"), "(absent)");
    check(f, call(f, "PUT", path, "{\"message\":\"other\",\"options\":{\"thresholds\":{}}}"), 200);
    assert_string_equal(text_at(f, "message"), "other");
    assert_string_equal(text_at(f, "name"), "n"); // not sent: stays
    assert_string_equal(text_at(f, "options.thresholds"), "(absent)");
    assert_string_equal(text_at(f, "options.escalation_message"), "(absent)"); // options as a whole
    check(f, call(f, "DELETE", path, ""), 200);
    check(f, call(f, "DELETE", path, ""), 404);
    assert_string_equal(error_text(f), "Monitor not found");
    check(f, call(f, "GET", "/api/v1/monitor/abc", ""), 404);
}

static void bad_bodies_are_refused_alike(void **state) {
    struct fixture *f = *state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "5",
        "{}",
        "{\"type\":5,\"query\":\"q\"}",
        "{\"type\":\"query alert\",\"query\":\"avg(last_5m):avg:x{*} > 1\",\"tags\":\"a\"}",
        "{\"type\":\"query alert\",\"query\":\"avg(last_5m):avg:x{*} > 1\",\"tags\":[1]}",
        "{\"type\":\"query alert\",\"query\":\"avg(last_5m):avg:x{*} > 1\",\"priority\":6}",
        "{\"type\":\"query alert\",\"query\":\"avg(last_5m):avg:x{*} > 1\",\"options\":[]}",
        "{\"type\":\"query alert\",\"query\":\"avg(last_5m):avg:x{*} > "
        "1\",\"draft_status\":\"x\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (call(f, "POST", "/api/v1/monitor", bad[i]) != 400 ||
            call(f, "POST", "/api/v1/monitor/validate", bad[i]) != 400)
            fail_msg("%s: %ld %.*s", bad[i], f->status, YG_STR_FMT(f->text));
        assert_string_not_equal(error_text(f), "(none)");
    }
    check(f, call(f, "POST", "/api/v1/monitor/validate", MONITOR), 200);
    assert_true(yg_str_eq_c(f->text, "{}"));
    check(f, call(f, "POST", "/api/v1/monitor/7/validate", MONITOR), 404);
    check(f, call(f, "GET", "/api/v1/monitor", ""), 200);
    assert_int_equal(f->json->count, 0); // nothing of all that was stored
}

static void make_many(struct fixture *f, int count) {
    for (int i = 0; i < count; i++) {
        char body[512];
        snprintf(body, sizeof(body),
                 "{\"type\":\"query alert\",\"name\":\"disk %d\",\"query\":\"avg(last_5m):"
                 "avg:x{a:b%d} > %d\",\"message\":\"@webhook-a\",\"tags\":[\"n:%d\",\"env:ci\"]}",
                 i, i, i, i);
        check(f, call(f, "POST", "/api/v1/monitor", body), 200);
    }
}

static void lists_filter_and_page(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *query;
        uint32_t count;
    } cases[] = {{"", 12},
                 {"?name=DISK%201", 3},
                 {"?monitor_tags=n:3,env:ci", 1},
                 {"?monitor_tags=n:3,env:no", 0},
                 {"?tags=a:b7", 1},
                 {"?page=1&page_size=5", 5},
                 {"?page=2&page_size=5", 2},
                 {"?page=0", 12},
                 {"?id_offset=100010", 2},
                 {"?group_states=all", 12}};
    make_many(f, 12);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "/api/v1/monitor%s", cases[i].query);
        check(f, call(f, "GET", path, ""), 200);
        if (f->json->count != cases[i].count)
            fail_msg("%s: %u", path, f->json->count);
    }
    check(f, call(f, "GET", "/api/v1/monitor?group_states=nope", ""), 400);
    assert_string_equal(error_text(f), "Invalid group_state filters.");
    check(f, call(f, "GET", "/api/v1/monitor?page=-1", ""), 400);
}

static void search_by_its_own_facts(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *query, *total;
    } cases[] = {{"", "12"},
                 {"disk", "12"},
                 {"tag:%22n:3%22", "1"},
                 {"n:3", "1"},
                 {"-n:3", "11"},
                 {"title:*k%201*", "3"},
                 {"status:%22no%20data%22%20env:ci", "12"},
                 {"status:alert", "0"},
                 {"status:(alert%20OR%20%22no%20data%22)%20n:4", "1"},
                 {"scope:%22a:b5%22", "1"},
                 {"type:metric%20notification:webhook-a", "12"},
                 {"id:100003", "1"},
                 {"muted:true", "0"}};
    make_many(f, 12);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), "/api/v1/monitor/search?per_page=5&query=%s", cases[i].query);
        check(f, call(f, "GET", path, ""), 200);
        if (strcmp(text_at(f, "metadata.total_count"), cases[i].total) != 0)
            fail_msg("%s: %s", cases[i].query, text_at(f, "metadata.total_count"));
    }
    check(f, call(f, "GET", "/api/v1/monitor/search?per_page=5&sort=name,desc", ""), 200);
    assert_string_equal(text_at(f, "metadata.page_count"), "3");
    assert_true(
        yg_str_eq_c(yg_json_get(yg_json_get(f->json, "monitors")->child, "name")->str, "disk 9"));
    check(f, call(f, "GET", "/api/v1/monitor/groups/search?query=status:nope", ""), 400);
    assert_string_equal(error_text(f), "Query parsing error: 'nope' is not a valid monitor status");
}

static void composites_hold_their_parts(void **state) {
    struct fixture *f = *state;
    make_many(f, 2);
    check(f,
          call(f, "POST", "/api/v1/monitor",
               "{\"type\":\"composite\",\"name\":\"c\",\"query\":\"100001 && !100002\"}"),
          200);
    check(f, call(f, "DELETE", "/api/v1/monitor/100001", ""), 400);
    check(f, call(f, "GET", "/api/v1/monitor/can_delete?monitor_ids=100001,100003", ""), 409);
    assert_true(yg_str_eq_c(yg_json_path(f->json, "data.ok")->raw, "[100003]"));
    check(f, call(f, "DELETE", "/api/v1/monitor/100001?force=true", ""), 200);
    check(f, call(f, "GET", "/api/v1/monitor/can_delete?monitor_ids=100003", ""), 200);
}

#define HOOKS "/api/v1/integration/webhooks/configuration/webhooks"
#define VARS "/api/v1/integration/webhooks/configuration/custom-variables"

static void webhooks_and_their_variables(void **state) {
    struct fixture *f = *state;
    check(f, call(f, "POST", HOOKS, "{\"name\":\"a\",\"url\":\"http://h/\"}"), 201);
    assert_string_equal(text_at(f, "payload"), yg_webhook_default_payload);
    assert_string_equal(text_at(f, "custom_headers"), "null");
    check(f, call(f, "POST", HOOKS, "{\"name\":\"a\",\"url\":\"http://h/\"}"), 409);
    check(f, call(f, "POST", HOOKS, "{\"name\":\"b c\",\"url\":\"http://h/\"}"), 400);
    check(f, call(f, "POST", HOOKS, "{\"name\":\"b\",\"url\":\"file:///etc/passwd\"}"), 400);
    check(f,
          call(f, "POST", HOOKS, "{\"name\":\"b\",\"url\":\"http://h\",\"custom_headers\":\"x\"}"),
          400);
    check(f, call(f, "PUT", HOOKS "/a", "{\"name\":\"z\",\"encode_as\":\"form\"}"), 200);
    assert_string_equal(text_at(f, "url"), "http://h/"); // merged
    check(f, call(f, "GET", HOOKS "/a", ""), 404);
    assert_string_equal(error_text(f), "Webhook does not exist");
    check(f, call(f, "DELETE", HOOKS "/z", ""), 200);
    check(f, call(f, "POST", VARS, "{\"name\":\"T\",\"value\":\"v\",\"is_secret\":false}"), 201);
    assert_string_equal(text_at(f, "value"), "v");
    check(f, call(f, "PUT", VARS "/T", "{\"is_secret\":true}"), 200);
    assert_string_equal(text_at(f, "value"), "(absent)");
    check(f, call(f, "GET", VARS "/T", ""), 200);
    assert_string_equal(text_at(f, "value"), "(absent)");
    check(f, call(f, "DELETE", VARS "/T", ""), 200);
    check(f, call(f, "DELETE", VARS "/T", ""), 404);
    assert_string_equal(error_text(f), "Custom variable does not exist");
}

#define SLACK "/api/v1/integration/slack"
#define CHANNELS SLACK "/configuration/accounts/team/channels"

static void slack_accounts_and_channels(void **state) {
    struct fixture *f = *state;
    check(f, call(f, "POST", CHANNELS, "{\"name\":\"#a\"}"), 404); // no such account
    check(f,
          call(f, "POST", SLACK,
               "{\"service_hooks\":[{\"account\":\"team\",\"url\":\"http://h/s\"}]}"),
          204);
    check(f, call(f, "POST", CHANNELS, "{\"name\":\"a\"}"), 400);
    check(f, call(f, "POST", CHANNELS, "{\"name\":\"#a\",\"display\":{\"tags\":false}}"), 201);
    assert_string_equal(text_at(f, "display"),
                        "{\"message\":true,\"notified\":true,\"snapshot\":true,\"tags\":false,"
                        "\"mute_buttons\":false}");
    check(f,
          call(f, "PATCH", CHANNELS "/%23a", "{\"name\":\"#b\",\"display\":{\"notified\":false}}"),
          200);
    assert_string_equal(text_at(f, "display.notified"), "false");
    assert_string_equal(text_at(f, "display.tags"), "false"); // merged
    check(f, call(f, "GET", CHANNELS, ""), 200);
    assert_int_equal(f->json->count, 1);
    check(f, call(f, "GET", SLACK, ""), 200);
    assert_true(yg_str_find(f->text, YG_STR("http://h/s"), 0) == SIZE_MAX); // a secret
    check(f, call(f, "DELETE", CHANNELS "/%23b", ""), 204);
    check(f, call(f, "GET", CHANNELS "/%23b", ""), 404);
    check(f, call(f, "DELETE", SLACK, ""), 204);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(a_monitor_is_trimmed_filled_and_kept),
                                       T(bad_bodies_are_refused_alike),
                                       T(lists_filter_and_page),
                                       T(search_by_its_own_facts),
                                       T(composites_hold_their_parts),
                                       T(webhooks_and_their_variables),
                                       T(slack_accounts_and_channels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
