// SPDX-License-Identifier: Apache-2.0
// The message language, handles and titles.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "notify/notify.h"

static const struct yg_tag group[] = {{YG_STR_INIT("service"), YG_STR_INIT("web")},
                                      {YG_STR_INIT("a.b"), YG_STR_INIT("x<y")},
                                      {YG_STR_INIT("az"), YG_STR_INIT("two")},
                                      {YG_STR_INIT("az"), YG_STR_INIT("one")}};
static const struct yg_tag scope[] = {{YG_STR_INIT("env"), YG_STR_INIT("prod")},
                                      {YG_STR_INIT("service"), YG_STR_INIT("other")}};

static struct yg_notice alert(void) {
    return (struct yg_notice){.monitor_id = 7,
                              .name = YG_STR("rate of {{service.name}}"),
                              .message = YG_STR("m"),
                              .escalation_message = YG_STR("again @webhook-boss"),
                              .priority = 2,
                              .include_tags = true,
                              .group = YG_STR("service:web"),
                              .group_tags = group,
                              .group_tag_count = 4,
                              .scope_tags = scope,
                              .scope_tag_count = 2,
                              .from = YG_STATE_OK,
                              .to = YG_STATE_ALERT,
                              .has_value = true,
                              .value = 0.0812345,
                              .comparator = ">",
                              .has_critical = true,
                              .critical = 0.05,
                              .has_warning = true,
                              .warning = 3,
                              .first_triggered_ns = INT64_C(1622472207) * YG_NS_PER_S,
                              .last_triggered_ns = INT64_C(1622472207) * YG_NS_PER_S,
                              .at_ns = INT64_C(1622472267) * YG_NS_PER_S};
}

static void check_notice(const struct yg_notice *n, const char *text, const char *wanted) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 1 << 20);
    struct yg_err err = {0};
    yg_str got;
    assert_int_equal(yg_template_render(n, yg_str_c(text), arena, &got, &err), YG_OK);
    char *c = yg_arena_cstr(arena, got);
    assert_string_equal(c, wanted);
}

static void check(const char *text, const char *wanted) {
    struct yg_notice n = alert();
    check_notice(&n, text, wanted);
}

static void variables(void **state) {
    (void)state;
    check("", "");
    check("plain { } }} text", "plain { } }} text");
    check("{{value}} {{threshold}} {{warn_threshold}} {{comparator}}", "0.081 0.05 3.0 &gt;");
    check("{{{comparator}}}", ">");
    check("{{service.name}} {{ env.name }} {{nobody.name}}|", "web prod |");
    check("{{az.name}}", "one,two");
    check("{{[a.b].name}} {{{a.b.name}}}", "x&lt;y x<y");
    check("{{unknown}}{{}}{{ }}.", ".");
    check("{{last_triggered_at}} {{last_triggered_at_epoch}} {{triggered_duration_sec}}",
          "2021-05-31 14:43:27 UTC 1622472207000 60");
    check("open {{value", "open {{value");
}

static void a_matching_event(void **state) {
    (void)state;
    static const struct yg_tag sample[] = {
        {YG_STR_INIT("message"), YG_STR_INIT("boom")},
        {YG_STR_INIT("attributes.http.code"), YG_STR_INIT("500")},
        {YG_STR_INIT("tags.a.b"), YG_STR_INIT("v")}};
    struct yg_notice n = alert();
    check_notice(&n, "<{{log.message}}>", "<>"); // no event: empty
    n.sample = sample;
    n.sample_count = 3;
    check_notice(&n, "{{log.message}} {{span.attributes.http.code}} {{event.tags.[a.b]}}{{log.no}}",
                 "boom 500 v");
    check_notice(&n, "{{#is_match \"log.message\" \"oo\"}}y{{/is_match}}", "y");
}

static void state_blocks(void **state) {
    (void)state;
    const char *all = "{{#is_alert}}A{{/is_alert}}{{#is_warning}}W{{/is_warning}}"
                      "{{#is_recovery}}R{{/is_recovery}}{{#is_no_data}}N{{/is_no_data}}"
                      "{{#is_alert_recovery}}r{{/is_alert_recovery}}"
                      "{{#is_warning_recovery}}w{{/is_warning_recovery}}"
                      "{{#is_no_data_recovery}}n{{/is_no_data_recovery}}"
                      "{{#is_alert_to_warning}}d{{/is_alert_to_warning}}"
                      "{{#is_renotify}}!{{/is_renotify}}";
    static const struct {
        enum yg_monitor_state from, to;
        bool repeat;
        const char *wanted;
    } cases[] = {
        {YG_STATE_OK, YG_STATE_ALERT, false, "A"},    {YG_STATE_ALERT, YG_STATE_OK, false, "Rr"},
        {YG_STATE_WARN, YG_STATE_OK, false, "Rw"},    {YG_STATE_NO_DATA, YG_STATE_OK, false, "Rn"},
        {YG_STATE_ALERT, YG_STATE_WARN, false, "Wd"}, {YG_STATE_OK, YG_STATE_WARN, false, "W"},
        {YG_STATE_OK, YG_STATE_NO_DATA, false, "N"},  {YG_STATE_ALERT, YG_STATE_ALERT, true, "A!"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yg_notice n = alert();
        n.from = cases[i].from;
        n.to = cases[i].to;
        n.is_repeat = cases[i].repeat;
        check_notice(&n, all, cases[i].wanted);
    }
}

static void nesting_else_and_inverse(void **state) {
    (void)state;
    check("{{^is_alert}}no{{/is_alert}}{{^is_warning}}yes{{/is_warning}}", "yes");
    check("{{#is_alert}}a{{else}}b{{/is_alert}}{{#is_warning}}c{{else}}d{{/is_warning}}", "ad");
    check("{{#is_warning}}{{#is_alert}}x{{else}}y{{/is_alert}}{{else}}z{{/is_warning}}", "z");
    check("{{#is_alert}}1{{#is_warning}}2{{/is_warning}}3{{/is_alert}}4", "134");
    check("{{#is_warning}}1{{#is_alert}}2{{/is_alert}}3{{/is_warning}}4", "4");
    check("{{#is_alert}}never closed", "never closed");
    check("{{/is_alert}}stray", "stray");
    check("a\n{{#is_alert}}\n  b\n{{/is_alert}}\nc\n", "a\n  b\nc\n");
    check("a {{#is_alert}}b{{/is_alert}} c", "a b c");
    char deep[2000] = "";
    for (size_t i = 0; i < 100; i++)
        memcpy(deep + i * 13, "{{#is_alert}}", 13);
    memcpy(deep + 1300, "bottom", 7);
    check(deep, ""); // too deep: dropped, no crash
}

static void matches(void **state) {
    (void)state;
    check("{{#is_match \"service.name\" \"db\" \"we\"}}y{{/is_match}}", "y");
    check("{{#is_match \"service.name\" \"db\"}}y{{else}}n{{/is_match}}", "n");
    check("{{#is_match \"service.name\" \"\"}}set{{/is_match}}", "set");
    check("{{^is_match \"nobody.name\" \"\"}}unset{{/is_match}}", "unset");
    check("{{#is_exact_match 'service.name' 'web'}}y{{/is_exact_match}}", "y");
    check("{{#is_exact_match 'service.name' 'we'}}y{{else}}n{{/is_exact_match}}", "n");
    check("{{#is_exact_match \"value\" \"0.081\"}}y{{/is_exact_match}}", "y");
    check("{{#is_priority 'P2'}}y{{/is_priority}}{{#is_priority 'P1'}}n{{/is_priority}}", "y");
    check("{{{{is_match \"service.name\" \"web\"}}}}{{ $labels.x }}{{{{/is_match}}}}",
          "{{ $labels.x }}");
    check("{{{{raw}}}}{{value}}{{{{/raw}}}}", "{{value}}");
    check("{{!-- {{value}} --}}x{{! y }}z", "xz");
}

static void expressions_and_times(void **state) {
    (void)state;
    check("{{eval \"1 + 2 * 3 ^ 2\"}}", "19.0");
    check("{{eval \"(threshold * 100) % 3\"}}", "2.0");
    check("{{eval \"-round(2.567, 1) + abs(-1)\"}}", "-1.6");
    check("{{eval \"humanize_bytes(1536)\"}}", "1.50KiB");
    check("{{eval \"1 +\"}}{{eval \"1/0\"}}{{eval \"nobody\"}}{{eval \"((((\"}}|", "|");
    check("{{local_time 'last_triggered_at' 'UTC'}}", "2021-05-31 14:43:27+00:00");
    check("{{local_time 'last_triggered_at' '../../etc/passwd'}}", "");
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 1 << 20);
    struct yg_notice n = alert();
    struct yg_err err = {0};
    yg_str got;
    assert_int_equal(yg_template_render(&n,
                                        YG_STR("{{local_time 'last_triggered_at' 'Asia/Tokyo'}}"),
                                        arena, &got, &err),
                     YG_OK);
    if (got.len) // a machine without zone files gives nothing
        assert_true(yg_str_eq_c(got, "2021-05-31 23:43:27+09:00"));
}

// Random pieces of the language in random order: never a crash, never more than the limit.
static void anything_renders(void **state) {
    (void)state;
    static const char *const pieces[] = {"{{#is_alert}}",
                                         "{{/is_alert}}",
                                         "{{else}}",
                                         "{{^is_warning}}",
                                         "{{/is_warning}}",
                                         "{{",
                                         "}}",
                                         "{{{",
                                         "}}}",
                                         "{{{{raw}}}}",
                                         "{{{{/raw}}}}",
                                         "{{{{",
                                         "}}}}",
                                         "{{!",
                                         "{{!--",
                                         "--}}",
                                         "{{value}}",
                                         "{{{service.name}}}",
                                         "{{[a.b].name}}",
                                         "{{[}}",
                                         "{{eval \"1+(\"}}",
                                         "{{eval \"value*2\"}}",
                                         "{{#is_match \"service.name\" \"w\"}}",
                                         "{{/is_match}}",
                                         "{{local_time 'x' 'UTC'}}",
                                         "@webhook-a",
                                         "@",
                                         "\n",
                                         "  ",
                                         "text",
                                         "\xe3\x81",
                                         "\"",
                                         "'"};
    struct yg_notice n = alert();
    uint64_t seed = 12345;
    for (int round = 0; round < 3000; round++) {
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 4 << 20);
        YG_AUTO(yg_buf) text = YG_BUF(YG_MEM_MONITOR, 1 << 16);
        struct yg_err err = {0};
        yg_str got;
        const yg_str *handles;
        uint32_t count;
        for (int i = 0; i < 24; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            size_t pick = (size_t)(seed >> 33) % (sizeof(pieces) / sizeof(pieces[0]));
            yg_buf_puts(&text, yg_str_c(pieces[pick]));
        }
        assert_int_equal(yg_template_render(&n, yg_buf_str(&text), arena, &got, &err), YG_OK);
        assert_int_equal(yg_handles_find(got, arena, &handles, &count, &err), YG_OK);
    }
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 4 << 20);
    YG_AUTO(yg_buf) text = YG_BUF(YG_MEM_MONITOR, 1 << 20);
    struct yg_err err = {0};
    yg_str got;
    for (int i = 0; i < 30000; i++)
        yg_buf_puts(&text, YG_STR("\xe3\x81\x82{{value}}"));
    assert_int_equal(yg_template_render(&n, yg_buf_str(&text), arena, &got, &err), YG_OK);
    assert_in_range(got.len, 60000, 65536); // cut, at a whole character
    assert_int_equal(yg_utf8_check(got), got.len);
    yg_buf_reset(&text);
    for (int i = 0; i < 70000; i++)
        yg_buf_putc(&text, 'x');
    assert_int_equal(yg_template_render(&n, yg_buf_str(&text), arena, &got, &err), YG_OK);
    assert_int_equal(got.len, 65536);
}

static void check_handles(const char *text, const char *wanted) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 1 << 20);
    struct yg_err err = {0};
    const yg_str *handles;
    uint32_t count;
    char joined[512] = "";
    assert_int_equal(yg_handles_find(yg_str_c(text), arena, &handles, &count, &err), YG_OK);
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(joined);
        snprintf(joined + len, sizeof(joined) - len, "%s%.*s", i ? " " : "",
                 YG_STR_FMT(handles[i]));
    }
    assert_string_equal(joined, wanted);
}

static void handles(void **state) {
    (void)state;
    check_handles("see @webhook-ops, @slack-team-a.b and @user@mail.example.", // twice is once
                  "@webhook-ops @slack-team-a.b @user@mail.example");
    check_handles("@a @a\n@b(@c)", "@a @b @c");
    check_handles("mail me at someone@example.com or @ alone", "");
    check_handles("落ちました。@slack-運用、@webhook-x。", "@slack-運用 @webhook-x");
    check_handles("", "");
}

static void titles_and_repeats(void **state) {
    (void)state;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, 1 << 20);
    struct yg_err err = {0};
    struct yg_rendered r;
    struct yg_notice n = alert();
    n.message =
        YG_STR("{{#is_alert}}@webhook-a{{/is_alert}}{{#is_recovery}}@webhook-b{{/is_recovery}}"
               " @slack-{{service.name}}");
    assert_int_equal(yg_notice_render(&n, arena, &r, &err), YG_OK);
    assert_true(yg_str_eq_c(r.title, "[Triggered on {service:web}] rate of web"));
    assert_int_equal(r.handle_count, 2); // a handle in a block that does not apply is no handle
    assert_true(yg_str_eq_c(r.handles[1], "@slack-web"));
    n.include_tags = false;
    n.is_repeat = true;
    n.from = YG_STATE_ALERT;
    assert_int_equal(yg_notice_render(&n, arena, &r, &err), YG_OK);
    assert_true(yg_str_eq_c(r.title, "[Re-Triggered] rate of web"));
    assert_int_equal(r.handle_count, 3); // the escalation message is added
    n.to = YG_STATE_NO_DATA;
    n.is_repeat = false;
    assert_int_equal(yg_notice_render(&n, arena, &r, &err), YG_OK);
    assert_true(yg_str_eq_c(r.title, "[No data] rate of web"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(variables),
                                       cmocka_unit_test(state_blocks),
                                       cmocka_unit_test(matches),
                                       cmocka_unit_test(nesting_else_and_inverse),
                                       cmocka_unit_test(handles),
                                       cmocka_unit_test(expressions_and_times),
                                       cmocka_unit_test(titles_and_repeats),
                                       cmocka_unit_test(anything_renders),
                                       cmocka_unit_test(a_matching_event)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
