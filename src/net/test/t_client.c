// SPDX-License-Identifier: Apache-2.0
// Outgoing requests: what is sent, what comes back, and what is known when nothing does.
#include "net_test.h"

struct seen {
    _Atomic int calls;
    yg_rc rc;
    long status;
    bool sent;
    char body[256];
    size_t body_len;
    char error[256];
};

static void on_answer(void *arg, const struct yg_client_answer *answer) {
    struct seen *seen = arg;
    seen->rc = answer->rc;
    seen->status = answer->status;
    seen->sent = answer->sent;
    seen->body_len = answer->body.len;
    (void)snprintf(seen->body, sizeof(seen->body), "%.*s", YG_STR_FMT(answer->body));
    (void)snprintf(seen->error, sizeof(seen->error), "%s", answer->error ? answer->error : "");
    atomic_fetch_add_explicit(&seen->calls, 1, memory_order_release);
}

static void wait_calls(struct seen *seen, int calls) {
    for (int i = 0; i < 1000 && atomic_load_explicit(&seen->calls, memory_order_acquire) < calls;
         i++)
        sleep_ms(5);
    assert_int_equal(atomic_load(&seen->calls), calls);
}

static void tell(struct yg_http_request *take_req) {
    struct yg_buf body = YG_BUF(YG_MEM_NET, 4096);
    yg_buf_printf(&body, "%u|%.*s|%.*s|%.*s|%.*s", (unsigned)take_req->method,
                  YG_STR_FMT(take_req->body), YG_STR_FMT(yg_http_header(take_req, "x-one")),
                  YG_STR_FMT(yg_http_header(take_req, "content-type")),
                  YG_STR_FMT(yg_http_header(take_req, "user-agent")));
    yg_http_reply_json(take_req, 418, &body);
}

static void big(struct yg_http_request *take_req) {
    static const char text[5000] = {'x'};
    struct yg_http_reply reply = {.status = 500, .static_body = {text, sizeof(text)}};
    yg_http_reply(take_req, &reply);
}

static void late(struct yg_http_request *take_req) {
    sleep_ms(400);
    yg_http_reply_text(take_req, 200, "text/plain", YG_STR("late"));
}

static void away(struct yg_http_request *take_req) {
    struct yg_http_reply reply = {.status = 302};
    reply.extra[reply.extra_count++] =
        (struct yg_http_header){YG_STR("Location"), YG_STR("http://127.0.0.1:1/")};
    yg_http_reply(take_req, &reply);
}

static const struct yg_route routes[] = {
    {YG_GET | YG_POST | YG_PUT, "/tell", 4096, 0, tell},
    {YG_GET, "/big", 0, 0, big},
    {YG_POST, "/late", 4096, 0, late},
    {YG_GET, "/away", 0, 0, away},
    {0},
};
static const struct yg_route *const tables[] = {routes, NULL};
static struct net_test t;
static struct yg_client *client;

static int set_up(void **state) {
    (void)state;
    net_test_start(&t, &(struct yg_http_server_options){.name = "peer", .tables = tables});
    client = yg_client_create(4);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    yg_client_destroy(client);
    net_test_stop(&t);
    return 0;
}

static void send_to(const char *path, struct yg_client_request request, struct seen *seen) {
    char url[128];
    (void)snprintf(url, sizeof(url), "http://%s%s", yg_http_server_address(t.server), path);
    request.url = url;
    struct yg_err err = {0};
    if (yg_client_send(client, &request, on_answer, seen, &err) != YG_OK)
        fail_msg("%s", err.text);
}

static void answers(void **state) {
    (void)state;
    struct seen seen = {0};
    const struct yg_http_header headers[] = {{YG_STR("X-One"), YG_STR("1")},
                                             {YG_STR("Content-Type"), YG_STR("application/json")}};
    send_to("/tell",
            (struct yg_client_request){
                .method = "POST", .headers = headers, .header_count = 2, .body = YG_STR("{}")},
            &seen);
    wait_calls(&seen, 1);
    assert_int_equal(seen.rc, YG_OK);
    assert_int_equal(seen.status, 418);
    assert_true(seen.sent);
    assert_string_equal(seen.body, "2|{}|1|application/json|yagura/" YG_VERSION);
    send_to("/tell", (struct yg_client_request){.method = "PUT"}, &seen);
    wait_calls(&seen, 2);
    assert_starts(seen.body, "4|||");
    send_to("/tell", (struct yg_client_request){.method = "GET"}, &seen);
    wait_calls(&seen, 3);
    assert_starts(seen.body, "1|||");
    send_to("/away", (struct yg_client_request){.method = "GET"}, &seen);
    wait_calls(&seen, 4);
    assert_int_equal(seen.status, 302); // not followed
}

static void long_answers_are_cut(void **state) {
    (void)state;
    struct seen seen = {0};
    send_to("/big", (struct yg_client_request){.method = "GET", .answer_max_bytes = 100}, &seen);
    wait_calls(&seen, 1);
    assert_int_equal(seen.rc, YG_OK);
    assert_int_equal(seen.status, 500);
    assert_int_equal(seen.body_len, 100);
}

static void no_answer(void **state) {
    (void)state;
    struct seen seen = {0};
    struct yg_err err = {0};
    // A port where nobody listens: surely not sent.
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(addr.sin_port));
    struct yg_client_request request = {
        .method = "POST", .url = url, .body = YG_STR("x"), .timeout_ms = 300};
    assert_int_equal(yg_client_send(client, &request, on_answer, &seen, &err), YG_OK);
    wait_calls(&seen, 1);
    assert_int_equal(seen.rc, YG_EUPSTREAM);
    assert_false(seen.sent);
    assert_int_equal(seen.status, 0);
    assert_true(seen.error[0] != '\0');
    // It listens, takes the request and says nothing: may have been seen.
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(yg_client_send(client, &request, on_answer, &seen, &err), YG_OK);
    wait_calls(&seen, 2);
    assert_int_equal(seen.rc, YG_ETIMEOUT);
    assert_true(seen.sent);
    close(fd);
    // A late answer is a time-out as well.
    send_to("/late", (struct yg_client_request){.method = "POST", .timeout_ms = 100}, &seen);
    wait_calls(&seen, 3);
    assert_int_equal(seen.rc, YG_ETIMEOUT);
    assert_true(seen.sent);
    request.url = "file:///etc/hostname";
    assert_int_equal(yg_client_send(client, &request, on_answer, &seen, &err), YG_OK);
    wait_calls(&seen, 4);
    assert_int_equal(seen.rc, YG_EUPSTREAM);
    assert_int_equal(seen.body_len, 0);
}

static void refuses(void **state) {
    (void)state;
    struct seen seen = {0};
    struct yg_err err = {0};
    const struct yg_http_header bad[] = {{YG_STR("X"), YG_STR("a\r\nY: b")}};
    struct yg_client_request request = {
        .method = "GET", .url = "http://127.0.0.1:1/", .headers = bad, .header_count = 1};
    assert_int_equal(yg_client_send(client, &request, on_answer, &seen, &err), YG_EINPUT);
    assert_int_equal(atomic_load(&seen.calls), 0);
}

static void bounds_and_cancels(void **state) {
    (void)state;
    struct yg_client *small = yg_client_create(1);
    struct seen seen = {0};
    struct yg_err err = {0};
    char url[128];
    (void)snprintf(url, sizeof(url), "http://%s/late", yg_http_server_address(t.server));
    struct yg_client_request request = {.method = "POST", .url = url};
    int taken = 0;
    yg_rc rc = YG_OK;
    for (int i = 0; i < 10; i++) {
        rc = yg_client_send(small, &request, on_answer, &seen, &err);
        if (rc == YG_OK)
            taken++;
        else
            assert_int_equal(rc, YG_EBUSY);
    }
    assert_int_equal(rc, YG_EBUSY);
    assert_in_range(taken, 4, 5);
    sleep_ms(50);
    yg_client_destroy(small); // every one is told, exactly once
    assert_int_equal(atomic_load(&seen.calls), taken);
    assert_int_equal(seen.rc, YG_ECANCEL);
    assert_false(seen.sent); // the last in the queue never went out
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(long_answers_are_cut),
        cmocka_unit_test(no_answer),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_and_cancels),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
