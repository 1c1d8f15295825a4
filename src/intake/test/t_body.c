// SPDX-License-Identifier: Apache-2.0
// What a request's headers make of its body: form, encoding, API key, limits.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "intake/door.h"

#define LIVE_REQUEST 0x72657175u // what net writes into a request's magic

static struct yg_http_header headers[4];

static struct yg_http_request request(const char *type, const char *encoding) {
    uint32_t n = 0;
    if (type)
        headers[n++] = (struct yg_http_header){YG_STR("content-type"), yg_str_c(type)};
    if (encoding)
        headers[n++] = (struct yg_http_header){YG_STR("content-encoding"), yg_str_c(encoding)};
    return (struct yg_http_request){.magic = LIVE_REQUEST, .headers = headers, .header_count = n};
}

static const struct yg_door logs = {
    .forms = YG_DOOR_FORMS(YG_FORM_JSON) | YG_DOOR_FORMS(YG_FORM_TEXT),
    .form_default = YG_FORM_JSON,
    .style = YG_STYLE_OBJECTS,
    .inflated_max_bytes = 1000,
};
static const struct yg_door agent = {
    .forms = YG_DOOR_FORMS(YG_FORM_JSON) | YG_DOOR_FORMS(YG_FORM_MSGPACK),
    .style = YG_STYLE_AGENT,
    .inflated_max_bytes = 1000,
};

static void forms(void **state) {
    (void)state;
    const struct {
        const struct yg_door *door;
        const char *type, *encoding;
        bool taken;
        enum yg_intake_form form;
    } cases[] = {
        {&logs, "application/json", NULL, true, YG_FORM_JSON},
        {&logs, "Application/JSON; charset=utf-8", "gzip", true, YG_FORM_JSON},
        {&logs, "application/vnd.api+json", NULL, true, YG_FORM_JSON},
        {&logs, "text/plain", "zstd", true, YG_FORM_TEXT},
        {&logs, "application/logplex-1", NULL, true, YG_FORM_TEXT},
        {&logs, NULL, NULL, true, YG_FORM_JSON},
        {&logs, "application/x-www-form-urlencoded", NULL, true, YG_FORM_JSON},
        {&logs, "application/x-protobuf", NULL, false, 0},
        {&logs, "application/msgpack", NULL, false, 0},
        {&logs, "image/png", NULL, false, 0},
        {&logs, "application/json", "br", false, 0},
        {&agent, "application/msgpack", NULL, true, YG_FORM_MSGPACK},
        {&agent, "application/json", NULL, true, YG_FORM_JSON},
        {&agent, "text/plain", NULL, true, YG_FORM_UNKNOWN}, // the first byte decides
        {&agent, "image/png", NULL, true, YG_FORM_UNKNOWN},
        {&agent, NULL, NULL, true, YG_FORM_UNKNOWN},
        {&agent, "application/msgpack", "br", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yg_http_request req = request(cases[i].type, cases[i].encoding);
        enum yg_intake_form form = YG_FORM_UNKNOWN;
        assert_int_equal(yg_door_form(&req, cases[i].door, &form), cases[i].taken);
        if (cases[i].taken)
            assert_int_equal(form, cases[i].form);
    }
}

static void bodies(void **state) {
    (void)state;
    struct yg_err err = {0};
    struct yg_buf sent = YG_BUF(YG_MEM_NET, 4096);
    yg_buf_puts(&sent, YG_STR("plain"));
    const char *memory = sent.ptr;
    struct yg_http_request req = request(NULL, NULL);
    req.own_body = &sent;
    req.body = yg_buf_str(&sent);
    struct yg_buf body = YG_BUF(YG_MEM_INTAKE, 0);
    assert_int_equal(yg_door_body(&req, &logs, &body, &err), YG_OK);
    assert_ptr_equal(body.ptr, memory); // moved, not copied
    assert_null(sent.ptr);
    yg_buf_fini(&body);

    char text[1001];
    memset(text, 'x', sizeof(text));
    YG_AUTO(yg_buf) packed = YG_BUF(YG_MEM_BASE, 4096);
    assert_int_equal(yg_gzip((yg_str){text, 1000}, 6, &packed, &err), YG_OK);
    req = request(NULL, "gzip");
    req.body = yg_buf_str(&packed);
    assert_int_equal(yg_door_body(&req, &logs, &body, &err), YG_OK);
    assert_int_equal(body.len, 1000);
    yg_buf_fini(&body);
    req.body.len -= 3;
    assert_int_equal(yg_door_body(&req, &logs, &body, &err), YG_EINPUT);
    assert_int_equal(yg_door_status(err.rc), 400);
    yg_buf_reset(&packed);
    assert_int_equal(yg_gzip((yg_str){text, 1001}, 6, &packed, &err), YG_OK);
    req.body = yg_buf_str(&packed);
    assert_int_equal(yg_door_body(&req, &logs, &body, &err), YG_ELIMIT);
    assert_int_equal(yg_door_status(err.rc), 413);
}

static void keys(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_BASE, 1u << 16);
    struct yg_http_request req = {
        .magic = LIVE_REQUEST, .arena = arena, .query = YG_STR("a=b&api_key=by-query")};
    assert_true(yg_str_eq_c(yg_door_key(&req), "by-query"));
    headers[0] = (struct yg_http_header){YG_STR("dd-api-key"), YG_STR("by-header")};
    req.headers = headers;
    req.header_count = 1;
    assert_true(yg_str_eq_c(yg_door_key(&req), "by-header"));
    req = (struct yg_http_request){.magic = LIVE_REQUEST, .arena = arena, .param_count = 1};
    req.params[0] = YG_STR("by-path");
    assert_true(yg_str_eq_c(yg_door_key(&req), "by-path"));
}

static void statuses(void **state) {
    (void)state;
    assert_int_equal(yg_door_status(YG_EINPUT), 400);
    assert_int_equal(yg_door_status(YG_EAUTH), 403);
    assert_int_equal(yg_door_status(YG_EBUSY), 429);
    assert_int_equal(yg_door_status(YG_ENOMEM), 503);
    assert_int_equal(yg_door_status(YG_EIO), 503);
    assert_int_equal(yg_door_status(YG_EINTERNAL), 500);
}

static uint32_t kinds;

static void count_kind(void *ctx, const struct yg_intake_seen *seen) {
    const char *wanted = ctx;
    if (strcmp(seen->client, wanted) != 0)
        return;
    kinds++;
    assert_int_equal(seen->requests, 2);
    assert_int_equal(seen->items, 5);
    assert_int_equal(seen->first_ns, 10);
    assert_int_equal(seen->last_ns, 20);
}

static void clients_are_remembered(void **state) {
    (void)state;
    struct yg_intake_visit v = {.client = YG_STR("dd-trace-x"),
                                .version = YG_STR("1.0"),
                                .route = "/v0.4/traces",
                                .items = 2,
                                .now_ns = 10};
    yg_intake_saw(&v);
    v.items = 3;
    v.now_ns = 20;
    yg_intake_saw(&v);
    for (int i = 0; i < 300; i++) { // more kinds than are kept
        char name[16];
        int n = snprintf(name, sizeof(name), "c%d\n", i);
        yg_intake_saw(&(struct yg_intake_visit){.client = {name, (size_t)n}, .route = "/x"});
    }
    char wanted[] = "dd-trace-x";
    yg_intake_seen_each(count_kind, wanted);
    assert_int_equal(kinds, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(bodies),
        cmocka_unit_test(keys),
        cmocka_unit_test(statuses),
        cmocka_unit_test(clients_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
