// SPDX-License-Identifier: Apache-2.0
// The metric grammar: recorded queries parse, recorded refusals come with their texts and columns.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "codec/json_read.h"
#include "query/metric_int.h"

// Parsing needs no store.
struct yg_mstore *yg_store_metrics(struct yg_store *store);
struct yg_mstore *yg_store_metrics(struct yg_store *store) {
    (void)store;
    fail_msg("parsing asked the store");
    return NULL;
}

static struct yg_arena *arena;
static int setup(void **state) {
    (void)state;
    arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    yg_arena_destroy(arena);
    return yg_mem_used(YG_MEM_QUERY) == 0 ? 0 : -1;
}

static struct yg_metric_query *parse(const char *text) {
    struct yg_metric_query *q = NULL;
    struct yg_err err = {0};
    if (yg_metric_parse(yg_str_c(text), arena, &q, &err) != YG_OK)
        fail_msg("%s\n%s", text, err.text);
    return q;
}

static const char *const good[] = {
    "system.cpu.idle{*}",
    "avg:system.cpu.user{account:prod} by {service, team, app}",
    "avg:system.cpu.idle{bar} by {env}",
    "sum:httpservice.hits{!code:3xx}.as_count()",
    "sum:trace.servlet.request.hits{http.status_code:2*} by {env}.as_count()",
    "(sum:my.metric{status:good}.as_count()) + (sum:my.metric{status:bad}.as_count())",
    "sum:my.metric{type:good,!type:ignored}.as_count()",
    "sum:aws.cost.amortized{*} by {aws_product}.rollup(sum, monthly)",
    "sum:aws.cost.net.amortized.shared.resources.allocated{aws_product IN (amplify ,athena, "
    "backup, bedrock ) } by "
    "{aws_product}.rollup(sum, 86400)",
    "top(avg:system.core.user{account:prod} by {service,app}, 10, 'sum', 'desc')",
    "top(system.disk.free{*} by {device}, 10, 'mean', 'desc')",
    "p90:dist.dd.dogweb.latency{*}",
    "histogram:trace.servlet.request{*}",
    "sum:trace.test.errors{env:prod,service:datadog-api-spec} by {resource_name}.as_count()",
    "max:container.cpu.usage{*} by {kube_cluster_name}.rollup(max)",
    "avg:dd{*} by {org_id}.as_count()",
    "default_zero(sum:httpservice.hits{!code:3xx}.as_count()) - "
    "default_zero(sum:httpservice.hits{code:2xx}.as_count())",
    "default_zero(sum:a{code:2xx}.as_count()), default_zero(sum:a{!code:3xx}.as_count())",
    "sum:org.eclipse.jetty.servlet.ServletContextHandler.5xx_responses{example,framework:chronos} "
    "+ "
    "sum:org.eclipse.jetty.servlet.ServletContextHandler.4xx_responses{example,framework:chronos}",
    "anomalies(avg:system.cpu.system{name:cassandra}, 'basic', 3, direction='above', "
    "alert_window='last_5m', "
    "interval=20, count_default_zero='true')",
    "avg:system.cpu.user{env:staging AND (availability-zone:us-east-1a OR "
    "availability-zone:us-east-1c)} by "
    "{availability-zone}",
    "avg:system.cpu.user{env:prod AND location NOT IN (atlanta,seattle,las-vegas)}",
    "avg:system.disk.in_use{!device:/dev/loop*} by {device}",
    "sum:kubernetes.pods.running{service:*-canary} by {service}",
    "timeshift(avg:system.load.1{*}, -1209600)",
    "sum:aws.cost.amortized{servicename: ec2} by {account}",
    "default_zero(sum:aws.lambda.errors{env:prod,service:x}) / "
    "default_zero(sum:aws.lambda.invocations{env:prod,"
    "service:x})",
    "avg:x{$env,$host.value,a:$b}",
    "avg:x{*}by{host}",
    "avg:x{ * }",
    "-avg:x{*} * 2 / (1.5e3 - .5)",
    "avg:x{*}.fill(zero, 100).rollup(60)",
    "avg:x{*}.rollup(sum, daily, 'Asia/Tokyo')",
    "moving_rollup(default_zero(avg:x{*}), 300, 'max')",
    "default_zero(avg:x{*}).rollup(avg, 60)",
    "clamp_min(avg:x{*}, -1.5)",
    "sum:x{not a:b and (c:d or NOT e in (f*, *g))}",
    "p99.9:x{*}",
    "bottom10_min(avg:x{*} by {a})",
};

static void recorded_queries_parse(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        (void)parse(good[i]);
}

static void shared_vectors_hold(void **state) {
    (void)state;
    YG_AUTO(yg_buf) file = YG_BUF(YG_MEM_BASE, 1u << 20);
    struct yg_json_node *root;
    assert_int_equal(yg_file_read_all(YG_SOURCE_DIR "/test/vectors/metric.json", &file, NULL),
                     YG_OK);
    assert_int_equal(yg_json_parse(yg_buf_str(&file), arena, &root, NULL), YG_OK);
    uint32_t seen = 0;
    for (const struct yg_json_node *v = root->child; v != NULL; v = v->next, seen++) {
        yg_str text = yg_json_str_or(yg_json_get(v, "q"), (yg_str){0});
        bool ok = yg_json_bool_or(yg_json_get(v, "ok"), false);
        struct yg_metric_query *q;
        struct yg_err err = {0};
        yg_rc rc = yg_metric_parse(text, arena, &q, &err);
        if ((rc == YG_OK) != ok)
            fail_msg("%.*s: %s", YG_STR_FMT(text), rc == YG_OK ? "parsed" : err.text);
        int64_t column = yg_json_i64_or(yg_json_get(v, "column"), 0);
        char want[40];
        (void)snprintf(want, sizeof(want), "column %lld).", (long long)column);
        if (column > 0 && strstr(err.text, want) == NULL)
            fail_msg("%.*s: %s, not %s", YG_STR_FMT(text), err.text, want);
    }
    assert_true(seen > 20);
}

#define MIXED "Error parsing query: 'AND' and 'OR' cannot be mixed with ','"

static void refusals_say_where(void **state) {
    (void)state;
    static const struct {
        const char *text, *want; // the answer ends so
    } rows[] = {
        {"avg:system.load.1{service:test AND !host:123}", MIXED},
        {"anomalies(avg:mongodb.mem.resident{host:colby-exercise-machine.localdomain}, basic, 2)",
         "Rule 'scope_expr' didn't match at ', 2)' (line 1, column 83)."},
        {"avg:prefix@dev:x-dev-php{*}.rollup(30)",
         "Rule 'scope_expr' didn't match at '@dev:x-dev-php{*}.ro' (line 1, column 11)."},
        {"avg:mymetric{env:prod AND resource_name NOT IN (!resource_name:A, !resource_name:B)}",
         MIXED},
        {"avg:x{a:b AND c:d,e:f}", MIXED},
        {"avg:x{a:b,c:d OR e:f}", MIXED},
        {"avg:system.cpu.user", "Rule 'scope_expr' didn't match at '' (line 1, column 20)."},
        {"median:system.cpu.user{*}", "at 'median:system.cpu.us' (line 1, column 1)."},
        {"THIS IS A BAD QUERY", "at ' IS A BAD QUERY' (line 1, column 5)."},
        {"", "at '' (line 1, column 1)."},
        {"avg:x{*", "column 8)."},
        {"avg:x{}", "column 7)."},
        {"avg:x{a:}", "column 9)."},
        {"avg:x{*} by {}", "column 14)."},
        {"avg:x{*}.as_sum()", "at 'as_sum()' (line 1, column 10)."},
        {"avg:x{*}.rollup(sum, 0)", "column 23)."},
        {"avg:x{*} +", "column 11)."},
        {"nofunction(avg:x{*})", "at 'nofunction(avg:x{*})' (line 1, column 1)."},
        {"top(avg:x{*}, 10)", "at ')' (line 1, column 17)."},
        {"abs(avg:x{*}, 1)", "at '1)' (line 1, column 15)."},
        {"avg:x{*} avg:y{*}", "column 10)."},
        {"avg:x{*}\n + avg:y", "(line 2, column 9)."},
        {"p101:x{*}", "column 1)."},
        {"(avg:x{*}", "column 10)."},
        {"avg:x{a IN ()}", "column 13)."},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct yg_metric_query *q;
        struct yg_err err = {0};
        YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, 4096);
        if (yg_metric_parse(yg_str_c(rows[i].text), arena, &q, &err) != YG_EINPUT)
            fail_msg("parsed: %s", rows[i].text);
        yg_metric_error_text(yg_str_c(rows[i].text), &err, &out);
        if (!yg_str_ends(yg_buf_str(&out), yg_str_c(rows[i].want)))
            fail_msg("%s\n%.*s\nnot %s", rows[i].text, YG_STR_FMT(yg_buf_str(&out)), rows[i].want);
    }
    YG_AUTO(yg_buf) whole = YG_BUF(YG_MEM_BASE, 4096);
    struct yg_metric_query *q;
    struct yg_err err = {0};
    assert_int_equal(yg_metric_parse(YG_STR("a"), arena, &q, &err), YG_EINPUT);
    yg_metric_error_text(YG_STR("a"), &err, &whole);
    yg_buf_putc(&whole, 0);
    assert_string_equal(
        whole.ptr,
        "Error parsing query: \n unable to parse a: Rule 'scope_expr' didn't match at '' "
        "(line 1, column 2).");
}

static void the_tree_is_what_was_written(void **state) {
    (void)state;
    const struct yg_metric_query *q =
        parse("default_zero(sum:a.b{env:prod, !x:y* } by {service,host}.as_count().rollup(max,60)) "
              "/ 2, p95:c{*}");
    assert_int_equal(yg_metric_query_count(q), 2);
    assert_true(yg_metric_query_as_count(q));
    const yg_str *keys;
    assert_int_equal(yg_metric_query_keys(q, 0, &keys), 2);
    assert_true(yg_str_eq_c(keys[1], "host"));
    assert_int_equal(yg_metric_query_keys(q, 1, &keys), 0);
    const struct yg_mnode *s = yg_mnode_first(q->parts[0], YG_MN_SERIES, 0);
    assert_true(yg_str_eq_c(s->metric, "a.b"));
    assert_true(yg_str_eq_c(s->scope_text, "env:prod, !x:y*"));
    assert_int_equal(s->aggr, YG_SPACE_SUM);
    assert_int_equal(s->mods.method, YG_TIME_MAX);
    assert_int_equal(s->mods.rollup_s, 60);
    assert_int_equal(s->scope->kind, YG_NODE_AND);
    assert_int_equal(s->scope->children[1]->kind, YG_NODE_NOT);
    assert_int_equal(q->parts[0]->op, '/');
    const struct yg_mnode *p = yg_mnode_first(q->parts[1], YG_MN_SERIES, 0);
    assert_int_equal(p->aggr, YG_SPACE_PERCENTILE);
    assert_true(p->q > 0.9499 && p->q < 0.9501);
    // a − b − c is (a − b) − c; a + b * c is a + (b * c)
    q = parse("a{*} - b{*} - c{*}");
    assert_int_equal(q->parts[0]->args[0]->kind, YG_MN_BINARY);
    q = parse("a{*} + b{*} * c{*}");
    assert_int_equal(q->parts[0]->args[1]->op, '*');
    // modifiers after a bracket reach the series inside, unless it has its own
    q = parse("(sum:a{*} + sum:b{*}.as_rate()).as_count()");
    assert_true(q->parts[0]->args[0]->mods.as_count);
    assert_false(q->parts[0]->args[1]->mods.as_count);
}

static void scopes_choose_tags(void **state) {
    (void)state;
    static const struct {
        const char *scope, *tags;
        bool want;
    } rows[] = {
        {"*", "", true},
        {"env:prod", "env:prod,host:a", true},
        {"ENV:Prod", "env:prod", true},
        {"env:prod,host:b", "env:prod,host:a", false},
        {"env:prod,!host:b", "env:prod,host:a", true},
        {"!env:prod", "env:prod", false},
        {"code:2*", "code:204", true},
        {"!device:/dev/loop*", "device:/dev/loop3", false},
        {"service:*-canary", "service:web-canary", true},
        {"bar", "bar,env:x", true},
        {"bar", "barn", false},
        {"servicename: ec2", "servicename:ec2", true},
        {"a IN (x ,y, z )", "a:y", true},
        {"a IN (x,y)", "a:z", false},
        {"a NOT IN (x,y)", "a:z", true},
        {"env:s AND (az:1a OR az:1c)", "az:1c,env:s", true},
        {"env:s AND (az:1a OR az:1c)", "az:1b,env:s", false},
        {"env:s AND NOT az:1a", "az:1b,env:s", true},
        {"a:b or c:d and e:f", "a:b", true}, // AND binds closer
        {"a:b or c:d and e:f", "c:d", false},
        {"orders:1", "orders:1", true}, // begins like an operator
        {"and-roid:x", "and-roid:x", true},
        {"path:a b", "", false}, // never parses
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        yg_str text = yg_arena_printf(arena, "avg:x{%s}", rows[i].scope);
        struct yg_metric_query *q;
        bool parsed = yg_metric_parse(text, arena, &q, NULL) == YG_OK;
        if (i + 1 == sizeof(rows) / sizeof(rows[0])) {
            assert_false(parsed);
            continue;
        }
        if (!parsed || yg_tags_match(q->parts[0]->scope, yg_str_c(rows[i].tags)) != rows[i].want)
            fail_msg("{%s} on %s", rows[i].scope, rows[i].tags);
    }
}

static void deep_and_long_queries_are_bounded(void **state) {
    (void)state;
    YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_BASE, 1u << 20);
    struct yg_metric_query *q;
    for (int i = 0; i < 10000; i++)
        yg_buf_putc(&b, '(');
    assert_int_equal(yg_metric_parse(yg_buf_str(&b), arena, &q, NULL), YG_EINPUT);
    yg_buf_reset(&b);
    yg_buf_puts(&b, YG_STR("a{"));
    for (int i = 0; i < 10000; i++)
        yg_buf_puts(&b, YG_STR("("));
    assert_int_equal(yg_metric_parse(yg_buf_str(&b), arena, &q, NULL), YG_EINPUT);
    yg_buf_reset(&b);
    for (int i = 0; i < 10000; i++)
        yg_buf_puts(&b, YG_STR("a{*}+"));
    assert_int_equal(yg_metric_parse(yg_buf_str(&b), arena, &q, NULL), YG_EINPUT);
    yg_buf_reset(&b);
    for (int i = 0; i < 10000; i++)
        yg_buf_puts(&b, YG_STR("a{*},"));
    assert_int_equal(yg_metric_parse(yg_buf_str(&b), arena, &q, NULL), YG_EINPUT);
}

// Every cut and every changed byte of a good query is either parsed or refused, and never more.
static void broken_queries_never_crash(void **state) {
    (void)state;
    uint32_t parsed = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t len = strlen(good[i]);
        for (size_t cut = 0; cut < len; cut++) {
            char *copy = yg_strndup(YG_MEM_BASE, good[i], len);
            struct yg_metric_query *q;
            parsed += yg_metric_parse(yg_str_n(copy, cut), arena, &q, NULL) == YG_OK;
            copy[cut] = "{}(),:'* \x80."[(cut + i) % 11];
            parsed += yg_metric_parse(yg_str_n(copy, len), arena, &q, NULL) == YG_OK;
            yg_free(YG_MEM_BASE, copy);
        }
        yg_arena_reset(arena);
    }
    assert_true(parsed > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_queries_parse),
        cmocka_unit_test(shared_vectors_hold),
        cmocka_unit_test(refusals_say_where),
        cmocka_unit_test(the_tree_is_what_was_written),
        cmocka_unit_test(scopes_choose_tags),
        cmocka_unit_test(deep_and_long_queries_are_bounded),
        cmocka_unit_test(broken_queries_never_crash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
