// SPDX-License-Identifier: Apache-2.0
// Monitors in simulated time: the test sets what each window gives and moves the clock; states,
// history and messages are read back from the database, also after a restart.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../meta/test/test_dir.h"
#include "monitor/set.h"

#define GROUPS_MAX 300

static int64_t fake_now(const struct yg_clock *c) {
    return c->fake_ns;
}

struct fixture {
    void *dir;
    struct yg_clock clock;
    struct yg_meta *meta;
    struct yg_monitors *ms;
    struct yg_arena *arena;
    struct yg_err err;
    int64_t id;
    // what the next windows give
    const char *groups[GROUPS_MAX];
    double values[GROUPS_MAX];
    bool has[GROUPS_MAX];
    uint32_t count;
    yg_rc fail;
    uint32_t runs;
    int64_t from_ns, to_ns;
};

static yg_rc fake_run(void *ctx, const struct yg_monitor_def *def, int64_t at_ns,
                      struct yg_arena *arena, struct yg_eval_result *r, struct yg_err *err) {
    struct fixture *f = ctx;
    f->runs++;
    if (f->fail != YG_OK)
        return yg_fail(err, f->fail, "made to fail");
    r->to_ns = at_ns - def->delay_ns;
    r->from_ns = r->to_ns - def->window_ns;
    f->from_ns = r->from_ns;
    f->to_ns = r->to_ns;
    r->values = YG_NEW_N(arena, struct yg_eval_value, GROUPS_MAX);
    r->count = f->count;
    for (uint32_t i = 0; i < f->count; i++) {
        struct yg_tag *tags;
        r->values[i].group = yg_str_c(f->groups[i]);
        r->values[i].has_value = f->has[i];
        r->values[i].value = f->values[i];
        YG_TRY(yg_group_tags_parse(r->values[i].group, arena, &tags, &r->values[i].tag_count, err));
        r->values[i].tags = tags;
    }
    return YG_OK;
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != YG_OK)                                                                       \
            fail_msg("%s: %s", #call, f->err.text);                                                \
    } while (0)

static void open_all(struct fixture *f) {
    struct yg_meta_options mo = {.dir = f->dir, .clock = &f->clock};
    OK(yg_meta_open(&mo, &f->meta, NULL, &f->err));
    struct yg_monitors_options o = {.meta = f->meta, .clock = &f->clock, .public_url = "http://y"};
    OK(yg_monitors_create(&o, &f->ms, &f->err));
    f->ms->run = fake_run;
    f->ms->run_ctx = f;
}

static void close_all(struct fixture *f) {
    yg_monitors_destroy(f->ms);
    yg_meta_close(f->meta);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    f->clock = (struct yg_clock){
        .now_ns = fake_now, .mono_ns = fake_now, .fake_ns = INT64_C(1770000000) * YG_NS_PER_S};
    if (test_dir_make(&f->dir))
        return -1;
    f->arena = yg_arena_create(YG_MEM_META, 64 << 20);
    open_all(f);
    struct yg_webhook hook = {.name = YG_STR("ops"),
                              .url = YG_STR("http://127.0.0.1:1/"),
                              .payload = YG_STR("{}"),
                              .encode_as = YG_STR("json")};
    OK(yg_meta_webhook_put(f->meta, YG_STR(""), &hook, &f->err));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    close_all(f);
    yg_arena_destroy(f->arena);
    void *dir = f->dir;
    free(f);
    return test_dir_remove(&dir);
}

static void make(struct fixture *f, const char *type, const char *query, const char *options) {
    struct yg_monitor_record rec = {.type = yg_str_c(type),
                                    .name = YG_STR("m"),
                                    .query = yg_str_c(query),
                                    .message = YG_STR("x @webhook-ops"),
                                    .options_json = yg_str_c(options)};
    OK(yg_meta_monitor_put(f->meta, &rec, false, &f->id, &f->err));
    OK(yg_monitors_reload(f->ms, f->id, &f->err));
}

static void give(struct fixture *f, const char *group, double value) {
    f->groups[0] = group;
    f->values[0] = value;
    f->has[0] = true;
    f->count = 1;
}

static void step(struct fixture *f, int64_t seconds) {
    f->clock.fake_ns += seconds * YG_NS_PER_S;
    OK(yg_monitors_evaluate(f->ms, f->id, &f->err));
}

static struct yg_group_record group(struct fixture *f, const char *name) {
    struct yg_monitor_view v;
    OK(yg_monitors_view(f->ms, f->id, 0, INT64_MAX, f->arena, &v, &f->err));
    for (uint32_t i = 0; i < v.group_count; i++)
        if (yg_str_eq_c(v.groups[i].group, name))
            return v.groups[i];
    fail_msg("no group %s", name);
    return (struct yg_group_record){0};
}

// Kinds of the history's rows that made messages, oldest first: "Triggered,Recovered".
static const char *told(struct fixture *f) {
    static char text[512];
    struct yg_transition_record *rows;
    uint32_t count;
    OK(yg_meta_transitions(f->meta, f->id, 0, INT64_MAX, 100, f->arena, &rows, &count, &f->err));
    text[0] = 0;
    for (uint32_t i = count; i-- > 0;) {
        size_t len = strlen(text);
        if (rows[i].message_count)
            snprintf(text + len, sizeof(text) - len, "%s%.*s", len ? "," : "",
                     YG_STR_FMT(rows[i].kind));
    }
    return text;
}

static enum yg_monitor_state overall(struct fixture *f) {
    struct yg_monitor_record rec;
    OK(yg_meta_monitor_get(f->meta, f->id, f->arena, &rec, &f->err));
    return rec.overall_state;
}

#define METRIC "avg(last_5m):avg:x{*} > 10"

static void ok_alert_ok_with_one_message_each(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{}");
    assert_int_equal(overall(f), YG_STATE_NO_DATA);
    give(f, "*", 5);
    step(f, 60);
    assert_int_equal(overall(f), YG_STATE_OK);
    assert_string_equal(told(f), ""); // a first OK tells nobody
    give(f, "*", 11);
    step(f, 60);
    step(f, 60);
    step(f, 60);
    assert_string_equal(told(f), "Triggered");
    assert_int_equal(overall(f), YG_STATE_ALERT);
    give(f, "*", 10); // not above
    step(f, 60);
    step(f, 60);
    assert_string_equal(told(f), "Triggered,Recovered");
    assert_int_equal(overall(f), YG_STATE_OK);
    give(f, "*", 12);
    step(f, 60);
    assert_string_equal(told(f), "Triggered,Recovered,Triggered");
    assert_int_equal(group(f, "*").cycle, 2);
}

static void no_data_at_first_is_silent(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{\"notify_no_data\":true,\"no_data_timeframe\":10}");
    for (int i = 0; i < 30; i++)
        step(f, 60);
    assert_string_equal(told(f), "");
    assert_int_equal(group(f, "*").state, YG_STATE_NO_DATA);
}

static void restart_goes_on_where_it_was(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{}");
    give(f, "*", 11);
    step(f, 60);
    assert_string_equal(told(f), "Triggered");
    close_all(f);
    open_all(f);
    step(f, 60);
    assert_string_equal(told(f), "Triggered");
    assert_int_equal(group(f, "*").state, YG_STATE_ALERT);
    give(f, "*", 1);
    step(f, 60);
    assert_string_equal(told(f), "Triggered,Recovered");
}

static void warning_and_recovery_thresholds(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", "avg(last_1m):sum:temp{*} > 90",
         "{\"thresholds\":{\"critical\":90,\"warning\":70,\"critical_recovery\":80,\"warning_"
         "recovery\":60}}");
    static const struct {
        double value;
        enum yg_monitor_state wanted;
    } steps[] = {{50, YG_STATE_OK},    {75, YG_STATE_WARN}, {95, YG_STATE_ALERT},
                 {85, YG_STATE_ALERT}, {78, YG_STATE_WARN}, {65, YG_STATE_WARN},
                 {55, YG_STATE_OK},    {65, YG_STATE_OK}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        give(f, "*", steps[i].value);
        step(f, 60);
        if (group(f, "*").state != steps[i].wanted)
            fail_msg("%g: %s", steps[i].value, yg_state_name(group(f, "*").state));
    }
    assert_string_equal(told(f), "Warn,Triggered,Warn,Recovered");
}

static void silence_becomes_no_data_once(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", "avg(last_1m):avg:x{*} > 10",
         "{\"notify_no_data\":true,\"no_data_timeframe\":10}");
    give(f, "*", 1);
    step(f, 60);
    f->count = 0;
    int minutes = 0;
    while (group(f, "*").state != YG_STATE_NO_DATA && minutes++ < 30)
        step(f, 60);
    assert_int_equal(minutes,
                     9); // ten minutes after the last point, which was a minute old at most
    step(f, 60);
    assert_string_equal(told(f), "No Data");
    give(f, "*", 1);
    step(f, 60);
    assert_string_equal(told(f), "No Data,Recovered");
}

static void silence_without_notify_keeps_the_state(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{}");
    give(f, "*", 11);
    step(f, 60);
    f->count = 0;
    for (int i = 0; i < 60; i++)
        step(f, 60);
    assert_int_equal(group(f, "*").state, YG_STATE_ALERT);
    assert_string_equal(told(f), "Triggered");
}

static void timeout_resolves_when_data_is_missing(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{\"timeout_h\":1}");
    give(f, "*", 11);
    step(f, 60);
    for (int i = 0; i < 100; i++)
        step(f, 60); // not while data flow
    assert_int_equal(group(f, "*").state, YG_STATE_ALERT);
    f->count = 0;
    for (int i = 0; i < 61; i++)
        step(f, 60);
    assert_int_equal(group(f, "*").state, YG_STATE_OK);
    assert_string_equal(told(f), "Triggered,Recovered");
}

#define LOGS "logs(\"status:error\").rollup(\"count\").by(\"service\").last(\"5m\") > 2"

static void on_missing_data_modes(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *options;
        enum yg_monitor_state wanted;
        const char *told;
    } cases[] = {
        {"{}", YG_STATE_OK, "Triggered,Recovered"}, // a count of nothing is 0
        {"{\"on_missing_data\":\"default\"}", YG_STATE_OK, "Triggered,Recovered"},
        {"{\"on_missing_data\":\"show_no_data\"}", YG_STATE_NO_DATA, "Triggered"},
        {"{\"on_missing_data\":\"show_and_notify_no_data\"}", YG_STATE_NO_DATA,
         "Triggered,No Data"},
        {"{\"on_missing_data\":\"resolve\"}", YG_STATE_OK, "Triggered,Recovered"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make(f, "log alert", LOGS, cases[i].options);
        give(f, "service:a", 5);
        step(f, 60);
        f->count = 0;
        step(f, 60);
        step(f, 60);
        if (group(f, "service:a").state != cases[i].wanted)
            fail_msg("%s: %s", cases[i].options, yg_state_name(group(f, "service:a").state));
        assert_string_equal(told(f), cases[i].told);
    }
}

static void groups_alert_on_their_own(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", "avg(last_5m):avg:x{*} by {host} > 10", "{}");
    f->count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        static const char *const names[] = {"host:a", "host:b", "host:c"};
        f->groups[i] = names[i];
        f->has[i] = true;
        f->values[i] = i == 1 ? 1 : 20;
    }
    step(f, 60);
    assert_int_equal(group(f, "host:a").state, YG_STATE_ALERT);
    assert_int_equal(group(f, "host:b").state, YG_STATE_OK);
    assert_string_equal(told(f), "Triggered,Triggered");
    f->values[0] = 1;
    step(f, 60);
    assert_string_equal(told(f), "Triggered,Triggered,Recovered");
    assert_int_equal(overall(f), YG_STATE_ALERT);
    f->count = 2; // c falls silent: kept for a day, then forgotten
    f->values[1] = 1;
    for (int i = 0; i < 23; i++)
        step(f, 3600);
    assert_int_equal(group(f, "host:c").state, YG_STATE_ALERT);
    step(f, 3600);
    step(f, 3600);
    struct yg_group_record *groups;
    uint32_t count;
    OK(yg_meta_groups(f->meta, f->id, f->arena, &groups, &count, &f->err));
    assert_int_equal(count, 2);
    assert_int_equal(overall(f), YG_STATE_OK);
}

// More groups than one transaction holds change at once, and one falls silent in between.
static void hundreds_of_groups_change_at_once(void **state) {
    struct fixture *f = *state;
    static char names[GROUPS_MAX][16];
    struct yg_message_record *due;
    uint32_t count;
    int64_t next;
    make(f, "query alert", "avg(last_5m):avg:x{*} by {host} > 10", "{}");
    f->count = GROUPS_MAX;
    for (uint32_t i = 0; i < GROUPS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "host:%u", i);
        f->groups[i] = names[i];
        f->has[i] = true;
        f->values[i] = i == 7 ? 1 : 20;
    }
    step(f, 60);
    step(f, 60);
    OK(yg_meta_outbox_due(f->meta, INT64_MAX, 1000, f->arena, &due, &count, &next, &f->err));
    assert_int_equal(count, GROUPS_MAX - 1);
    assert_int_equal(overall(f), YG_STATE_ALERT);
    f->count = GROUPS_MAX - 1;
    for (uint32_t i = 0; i < GROUPS_MAX; i++)
        f->values[i] = 1;
    step(f, 60);
    assert_int_equal(overall(f), YG_STATE_ALERT); // the silent one keeps its state
    close_all(f);
    open_all(f);
    assert_int_equal(group(f, "host:299").state, YG_STATE_ALERT);
    assert_int_equal(group(f, "host:5").state, YG_STATE_OK);
    assert_int_equal(group(f, "host:7").state, YG_STATE_OK);
}

static void new_groups_wait(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", "avg(last_5m):avg:x{*} by {az} > 10", "{\"new_group_delay\":180}");
    give(f, "az:a", 20);
    step(f, 60);
    step(f, 60);
    step(f, 60);
    assert_string_equal(told(f), "");
    step(f, 60);
    assert_string_equal(told(f), "Triggered");
}

static void repeats_until_their_limit(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{\"renotify_interval\":10,\"renotify_occurrences\":2}");
    give(f, "*", 11);
    for (int i = 0; i < 60; i++)
        step(f, 60);
    assert_string_equal(told(f), "Triggered,Re-Triggered,Re-Triggered");
    give(f, "*", 1);
    step(f, 60);
    give(f, "*", 11);
    for (int i = 0; i < 11; i++)
        step(f, 60);
    assert_string_equal(told(f),
                        "Triggered,Re-Triggered,Re-Triggered,Recovered,Triggered,Re-Triggered");
}

static void drafts_and_muted_ones_tell_nobody(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{\"silenced\":{\"*\":null}}");
    give(f, "*", 11);
    step(f, 60);
    assert_int_equal(overall(f), YG_STATE_ALERT);
    struct yg_message_record *due;
    uint32_t count;
    int64_t next;
    OK(yg_meta_outbox_due(f->meta, INT64_MAX, 10, f->arena, &due, &count, &next, &f->err));
    assert_int_equal(count, 0);
}

static void the_window_is_moved_by_the_delay(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{\"evaluation_delay\":300}");
    give(f, "*", 1);
    step(f, 60);
    assert_int_equal(f->to_ns, f->clock.fake_ns - 300 * YG_NS_PER_S);
    assert_int_equal(f->to_ns - f->from_ns, 300 * YG_NS_PER_S);
}

static void a_failed_evaluation_changes_nothing(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{}");
    give(f, "*", 11);
    step(f, 60);
    f->fail = YG_ETIMEOUT;
    step(f, 60);
    struct yg_monitor_view v;
    OK(yg_monitors_view(f->ms, f->id, 0, INT64_MAX, f->arena, &v, &f->err));
    assert_true(yg_str_eq_c(v.last_error, "made to fail"));
    assert_int_equal(v.overall, YG_STATE_ALERT);
    assert_int_equal(v.time_count, 1);
    f->fail = YG_OK;
    step(f, 60);
    assert_string_equal(told(f), "Triggered");
}

static void the_schedule_is_once_a_minute(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{}");
    give(f, "*", 1);
    assert_int_equal(yg_monitors_tick(f->ms), 1); // due at once when made
    for (int s = 0; s < 600; s++) {
        f->clock.fake_ns += YG_NS_PER_S;
        yg_monitors_tick(f->ms);
    }
    assert_in_range(f->runs, 10, 12);
    make(f, "query alert", "avg(last_1d):avg:x{*} > 10", "{}");
    yg_monitors_tick(f->ms);
    uint32_t before = f->runs;
    struct yg_err err = {0};
    OK(yg_meta_monitor_delete(f->meta, f->id - 1, &err));
    OK(yg_monitors_reload(f->ms, f->id - 1, &err));
    for (int s = 0; s < 1800; s++) {
        f->clock.fake_ns += YG_NS_PER_S;
        yg_monitors_tick(f->ms);
    }
    assert_in_range(f->runs - before, 2, 4); // a window of a day: every ten minutes
}

static void the_view_keeps_values_and_letters(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", METRIC, "{}");
    for (int i = 0; i < 5; i++) {
        give(f, "*", i < 3 ? 1 : 11);
        f->count = i == 2 ? 0 : 1;
        step(f, 60);
    }
    struct yg_monitor_view v;
    OK(yg_monitors_view(f->ms, f->id, 0, INT64_MAX, f->arena, &v, &f->err));
    assert_int_equal(v.series_count, 1);
    assert_int_equal(v.time_count, 5);
    assert_memory_equal(v.series[0].states, "OOOAA", 5);
    assert_true(v.series[0].values[4] > 10.9);
    assert_true(v.series[0].values[2] != v.series[0].values[2]); // no data
    OK(yg_monitors_view(f->ms, f->id, v.times_ns[3], INT64_MAX, f->arena, &v, &f->err));
    assert_int_equal(v.time_count, 2);
    struct yg_monitor_alert *alerts;
    uint32_t count, counts[YG_STATE_COUNT];
    OK(yg_monitors_alerts(f->ms, 50, f->arena, &alerts, &count, &f->err));
    assert_int_equal(count, 1);
    assert_true(alerts[0].threshold.set);
    yg_monitors_counts(f->ms, counts);
    assert_int_equal(counts[YG_STATE_ALERT], 1);
}

static void last_data_survives_a_restart(void **state) {
    struct fixture *f = *state;
    make(f, "query alert", "avg(last_1m):avg:x{*} > 10",
         "{\"notify_no_data\":true,\"no_data_timeframe\":5}");
    give(f, "*", 1);
    for (int i = 0; i < 20; i++)
        step(f, 60);
    int64_t seen = group(f, "*").last_data_ns;
    close_all(f);
    open_all(f);
    assert_int_equal(group(f, "*").last_data_ns, seen);
    f->count = 0;
    step(f, 60);
    assert_string_equal(told(f), "");
    for (int i = 0; i < 4; i++)
        step(f, 60);
    assert_string_equal(told(f), "No Data");
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(ok_alert_ok_with_one_message_each),
                                       T(no_data_at_first_is_silent),
                                       T(restart_goes_on_where_it_was),
                                       T(warning_and_recovery_thresholds),
                                       T(silence_becomes_no_data_once),
                                       T(silence_without_notify_keeps_the_state),
                                       T(timeout_resolves_when_data_is_missing),
                                       T(on_missing_data_modes),
                                       T(groups_alert_on_their_own),
                                       T(new_groups_wait),
                                       T(hundreds_of_groups_change_at_once),
                                       T(repeats_until_their_limit),
                                       T(drafts_and_muted_ones_tell_nobody),
                                       T(the_window_is_moved_by_the_delay),
                                       T(a_failed_evaluation_changes_nothing),
                                       T(the_schedule_is_once_a_minute),
                                       T(the_view_keeps_values_and_letters),
                                       T(last_data_survives_a_restart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
