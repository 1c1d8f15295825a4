// SPDX-License-Identifier: Apache-2.0
// Routing: literals before parameters, rests, methods, Allow; tables with faults are refused.
#include "net_test.h"

#include "net/net_internal.h"

static void nothing(struct yg_http_request *take_req) {
    (void)take_req;
}

static const struct yg_route table_a[] = {
    {YG_GET, "/", 0, 1, nothing},
    {YG_GET | YG_POST, "/api/v1/monitor", 10, 2, nothing},
    {YG_POST, "/api/v1/monitor/validate", 10, 3, nothing},
    {YG_GET, "/api/v1/monitor/{id}", 0, 4, nothing},
    {YG_DELETE | YG_PUT, "/api/v1/monitor/{id}", 0, 5, nothing},
    {YG_GET, "/api/v1/monitor/{id}/state", 0, 6, nothing},
    {0},
};
static const struct yg_route table_b[] = {
    {YG_GET, "/facets/{track}/{key}/values", 0, 7, nothing},
    {YG_GET, "/assets/{path*}", 0, 8, nothing},
    {YG_POST, "/intake/", 0, 9, nothing},
    {YG_GET, "/{path*}", 0, 10, nothing},
    {0},
};

static struct net_router *make(const struct yg_route *const *tables, void *const *ctx) {
    struct net_router *router = NULL;
    struct yg_err err = {0};
    if (net_router_create(tables, ctx, &router, &err) != YG_OK)
        fail_msg("%s", err.text);
    return router;
}

static uint32_t find(const struct net_router *router, const char *path, uint32_t method,
                     struct net_match *m) {
    net_router_find(router, yg_str_c(path), method, m);
    return m->method_ok ? m->route->access : 0;
}

static void picks_the_right_row(void **state) {
    (void)state;
    int a = 1;
    int b = 2;
    struct net_router *router =
        make((const struct yg_route *const[]){table_a, table_b, NULL}, (void *const[]){&a, &b});
    struct net_match m;
    assert_int_equal(find(router, "/", YG_GET, &m), 1);
    assert_ptr_equal(m.ctx, &a);
    assert_int_equal(find(router, "/api/v1/monitor", YG_POST, &m), 2);
    assert_int_equal(find(router, "/api/v1/monitor/validate", YG_POST, &m), 3);
    assert_int_equal(find(router, "/api/v1/monitor/validate", YG_GET, &m), 4); // as an id
    assert_int_equal(find(router, "/api/v1/monitor/12", YG_GET, &m), 4);
    assert_int_equal(m.param_count, 1);
    assert_true(yg_str_eq_c(m.raw_params[0], "12"));
    assert_int_equal(find(router, "/api/v1/monitor/12", YG_PUT, &m), 5);
    assert_int_equal(find(router, "/api/v1/monitor/12/state", YG_GET, &m), 6);
    assert_int_equal(find(router, "/api/v1/monitor/12/state", YG_HEAD, &m), 6);
    assert_int_equal(find(router, "/facets/logs/%40a%2Fb/values", YG_GET, &m), 7);
    assert_true(yg_str_eq_c(m.raw_params[1], "%40a%2Fb"));
    assert_ptr_equal(m.ctx, &b);
    assert_int_equal(find(router, "/assets/a/b.js", YG_GET, &m), 8);
    assert_true(yg_str_eq_c(m.raw_params[0], "a/b.js"));
    assert_int_equal(find(router, "/assets/", YG_GET, &m), 8);
    assert_int_equal(m.raw_params[0].len, 0);
    assert_int_equal(find(router, "/intake/", YG_POST, &m), 9);
    assert_int_equal(find(router, "/traces", YG_GET, &m), 10);
    assert_true(yg_str_eq_c(m.raw_params[0], "traces"));
    net_router_destroy(router);
}

static void says_which_methods(void **state) {
    (void)state;
    struct net_router *router = make((const struct yg_route *const[]){table_a, NULL}, NULL);
    struct net_match m;
    assert_int_equal(find(router, "/api/v1/monitor/12", YG_POST, &m), 0);
    assert_non_null(m.route);
    char text[96];
    net_allow_text(m.allow, text, sizeof(text));
    assert_string_equal(text, "GET, HEAD, PUT, DELETE");
    assert_int_equal(find(router, "/api/v1/nothing", YG_GET, &m), 0);
    assert_null(m.route);
    assert_int_equal(find(router, "/api/v1/monitor/", YG_GET, &m), 0); // an id is never empty
    assert_null(m.route);
    assert_int_equal(find(router, "", YG_GET, &m), 0);
    assert_int_equal(find(router, "*", YG_GET, &m), 0);
    net_router_destroy(router);
}

static void refuses_faulty_tables(void **state) {
    (void)state;
    static const struct yg_route twice[] = {
        {YG_GET, "/a/{x}", 0, 0, nothing}, {YG_GET | YG_PUT, "/a/{y}", 0, 0, nothing}, {0}};
    static const struct yg_route middle[] = {{YG_GET, "/a/{x*}/b", 0, 0, nothing}, {0}};
    static const struct yg_route no_slash[] = {{YG_GET, "a", 0, 0, nothing}, {0}};
    static const struct yg_route no_handler[] = {{YG_GET, "/a", 0, 0, NULL}, {0}};
    const struct yg_route *const bad[] = {twice, middle, no_slash, no_handler};
    for (size_t i = 0; i < 4; i++) {
        struct net_router *router = NULL;
        struct yg_err err = {0};
        assert_int_not_equal(
            net_router_create((const struct yg_route *const[]){bad[i], NULL}, NULL, &router, &err),
            YG_OK);
        assert_contains(err.text, "route \"");
        assert_null(router);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_the_right_row),
        cmocka_unit_test(says_which_methods),
        cmocka_unit_test(refuses_faulty_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
