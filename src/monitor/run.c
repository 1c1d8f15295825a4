// SPDX-License-Identifier: Apache-2.0
// One evaluation of one monitor: read the window, step every group, store changes with their
// messages in one transaction, then make them the state in memory.
//
// Only what was stored becomes the state: when the transaction fails, the next evaluation decides
// anew.
#include "monitor/set.h"

#include "base/log.h"
#include "base/panic.h"

#include <math.h>

#define ARENA_BYTES (64u << 20)
#define PORTION 64 // groups whose change is stored in one transaction
#define DEADLINE_NS (20 * YG_NS_PER_S)

// What is decided for one group, before it is stored.
struct plan {
    struct yg_group_record rec;
    struct yg_step step;
    const struct yg_tag *tags;
    uint32_t tag_count;
    bool is_new;
};

struct work {
    struct yg_monitors *ms;
    struct monitor *m;
    struct yg_arena *arena;
    int64_t at_ns;
    struct yg_eval_result result;
    struct plan *plans;
    uint32_t plan_count, plan_cap;
    bool too_many; // groups beyond the limit were left out
    enum yg_monitor_state overall;
};

static yg_rc fail_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "evaluation of a monitor: no memory");
}

// ---------------------------------------------------------------- deciding

static yg_rc plan_group(struct work *w, yg_str name, const struct yg_eval_value *value,
                        struct yg_err *err) {
    struct group *known = yg_group_get(w->m, name);
    if (!known && w->plan_count >= YG_GROUPS_MAX) {
        w->too_many = true;
        return YG_OK;
    }
    if (!YG_ARENA_GROW(w->arena, w->plans, w->plan_count, w->plan_cap))
        return fail_memory(err);
    struct plan *p = &w->plans[w->plan_count++];
    *p = (struct plan){.is_new = known == NULL};
    if (known)
        p->rec = known->rec;
    else
        p->rec = (struct yg_group_record){.group = name, .since_ns = w->at_ns};
    p->rec.monitor_id = w->m->id;
    if (value) {
        p->tags = value->tags;
        p->tag_count = value->tag_count;
    }
    if (value && value->skip) { // the window is not full: the state stays
        p->rec.evaluated_ns = w->at_ns;
        p->step = (struct yg_step){.from = p->rec.state, .to = p->rec.state};
    } else {
        const double *v = value && value->has_value ? &value->value : NULL;
        p->step = yg_group_step(w->m->def, &p->rec, v, w->at_ns);
    }
    if (known)
        known->seen = w->m->attempts;
    return YG_OK;
}

// Groups that the window did not name, and the one group of a monitor without keys.
static yg_rc plan_missing(struct work *w, struct yg_err *err) {
    const struct yg_monitor_def *def = w->m->def;
    uint32_t at = 0;
    yg_str name;
    uint64_t value;
    while (yg_map_next(&w->m->groups, &at, &name, &value)) {
        const struct group *g = (const struct group *)(uintptr_t)value;
        if (g->seen != w->m->attempts)
            YG_TRY(plan_group(w, g->rec.group, NULL, err));
    }
    bool single = def->key_count == 0 || def->simple;
    if (single && w->plan_count == 0)
        return plan_group(w, YG_STR("*"), NULL, err);
    return YG_OK;
}

static enum yg_monitor_state worst(const struct work *w) {
    enum yg_monitor_state s = YG_STATE_NO_DATA;
    bool any = false;
    for (uint32_t i = 0; i < w->plan_count; i++) {
        if (w->plans[i].step.forget)
            continue;
        if (!any || yg_state_rank(w->plans[i].rec.state) > yg_state_rank(s))
            s = w->plans[i].rec.state;
        any = true;
    }
    return s;
}

// ---------------------------------------------------------------- messages

void yg_notice_fill(struct yg_monitors *ms, const struct monitor *m, struct yg_arena *arena,
                    struct yg_notice *n) {
    const struct yg_monitor_def *def = m->def;
    *n = (struct yg_notice){
        .monitor_id = m->id,
        .type = m->rec.type,
        .name = m->rec.name,
        .message = m->rec.message,
        .escalation_message = def->escalation_message,
        .query = m->rec.query,
        .metric = def->kind == YG_MONITOR_METRIC ? yg_first_metric(def->expr) : (yg_str){"", 0},
        .subject = def->kind == YG_MONITOR_METRIC ? yg_first_metric(def->expr)
                   : def->event                   ? def->event->search
                                                  : (yg_str){"", 0},
        .tags = def->tags,
        .tag_count = def->tag_count,
        .priority = m->rec.priority,
        .include_tags = def->include_tags,
        .group = YG_STR("*"),
        .scope_tags = def->scope,
        .scope_tag_count = def->scope_count,
        .comparator = yg_compare_text(def->op),
        .has_critical = def->critical.set,
        .has_warning = def->warning.set,
        .has_critical_recovery = def->critical_recovery.set,
        .has_warning_recovery = def->warning_recovery.set,
        .critical = def->critical.value,
        .warning = def->warning.value,
        .critical_recovery = def->critical_recovery.value,
        .warning_recovery = def->warning_recovery.value,
        .window_words = yg_monitor_window_words(def, arena),
        .aggr_words = yg_monitor_aggr_words(def),
        .org_id = YG_STR("1"),
        .org_name = yg_meta_org_name(ms->meta),
        .public_url = yg_str_c(ms->public_url),
        .user = yg_meta_user(ms->meta),
    };
}

static const char *silent_reason(const struct monitor *m) {
    if (yg_str_eq_c(m->rec.draft_status, "draft"))
        return "the monitor is a draft";
    return m->def->silenced_all ? "the monitor is muted" : NULL;
}

static yg_rc plan_messages(struct work *w, struct yg_arena *arena, struct plan *p,
                           struct yg_transition_record *t, struct yg_err *err) {
    struct yg_notice n;
    yg_notice_fill(w->ms, w->m, arena, &n);
    n.group = p->rec.group;
    if (!p->tags) {
        struct yg_tag *tags;
        YG_TRY(yg_group_tags_parse(p->rec.group, arena, &tags, &p->tag_count, err));
        p->tags = tags;
    }
    n.group_tags = p->tags;
    n.group_tag_count = p->tag_count;
    n.from = p->step.from;
    n.to = p->step.to;
    n.is_repeat = p->step.kind == YG_STEP_REPEAT;
    n.has_value = p->rec.has_value;
    n.value = p->rec.value;
    n.at_ns = w->at_ns;
    n.window_from_ns = w->result.from_ns;
    n.window_to_ns = w->result.to_ns;
    n.first_triggered_ns = p->step.first_triggered_ns;
    n.last_triggered_ns = p->rec.last_triggered_ns;
    n.cycle = p->rec.cycle;
    t->kind = yg_str_c(yg_notice_transition(&n));
    bool trouble = n.to == YG_STATE_ALERT || n.to == YG_STATE_WARN;
    if (trouble && w->ms->store && (yg_wants_sample(n.message) || yg_wants_sample(n.name)))
        yg_monitor_sample(w->ms->store, w->m->def, n.group_tags, n.group_tag_count,
                          n.window_from_ns, n.window_to_ns, arena, &n.sample, &n.sample_count);
    return yg_notice_messages(w->ms->meta, &n, silent_reason(w->m), arena, &t->messages,
                              &t->message_count, err);
}

static yg_rc transition_of(struct work *w, struct yg_arena *arena, struct plan *p,
                           struct yg_transition_record *t, struct yg_err *err) {
    *t = (struct yg_transition_record){.monitor_id = w->m->id,
                                       .group = p->rec.group,
                                       .at_ns = w->at_ns,
                                       .from = p->step.from,
                                       .to = p->step.to,
                                       .kind = YG_STR("Silent"),
                                       .has_value = p->rec.has_value,
                                       .value = p->rec.value,
                                       .window_from_ns = w->result.from_ns,
                                       .window_to_ns = w->result.to_ns};
    if (p->step.kind == YG_STEP_QUIET)
        return YG_OK;
    return plan_messages(w, arena, p, t, err);
}

// A row of history without a change of state, so that its messages have one to hang on.
static yg_rc audit_store(struct yg_monitors *ms, const struct monitor *m, const char *what,
                         struct yg_arena *arena, struct yg_err *err) {
    struct yg_notice n;
    yg_notice_fill(ms, m, arena, &n);
    n.audit = what;
    n.at_ns = yg_now_ns(ms->clock);
    n.from = n.to = m->overall;
    struct yg_transition_record t = {.monitor_id = m->id,
                                     .group = n.group,
                                     .at_ns = n.at_ns,
                                     .from = m->overall,
                                     .to = m->overall,
                                     .kind = yg_str_c(yg_notice_transition(&n))};
    YG_TRY(yg_notice_messages(ms->meta, &n, silent_reason(m), arena, &t.messages, &t.message_count,
                              err));
    struct yg_monitor_change c = {.monitor_id = m->id, .transitions = &t, .transition_count = 1};
    YG_TRY(yg_meta_monitor_apply(ms->meta, &c, 1, err));
    if (ms->notifier)
        yg_notifier_kick(ms->notifier);
    return YG_OK;
}

yg_rc yg_monitors_audit(struct yg_monitors *ms, int64_t id, const char *what, struct yg_err *err) {
    YG_CHECK(ms, YG_MONITORS_MAGIC);
    yg_rc rc = YG_OK;
    pthread_mutex_lock(&ms->lock);
    struct monitor *m = yg_set_take(ms, id);
    pthread_mutex_unlock(&ms->lock);
    if (!m)
        return yg_fail(err, YG_ENOTFOUND, "Monitor not found");
    if (m->def && m->def->notify_audit) {
        YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, ARENA_BYTES);
        rc = audit_store(ms, m, what, arena, err);
    }
    pthread_mutex_lock(&ms->lock);
    yg_set_give(ms, m);
    pthread_mutex_unlock(&ms->lock);
    return rc;
}

// ---------------------------------------------------------------- storing and installing

// Changes are stored in portions, so that thousands of groups that change at once need neither one
// huge transaction nor memory for all their messages. Each portion is whole in itself: what it
// stored becomes the state at once, and a failure later leaves the rest for the next evaluation.
struct portion {
    struct yg_arena *arena; // of its messages
    struct yg_group_record groups[PORTION];
    yg_str forget[PORTION];
    struct yg_transition_record steps[PORTION];
    struct yg_monitor_change change;
    uint32_t first; // plan that it begins with
};

static void portion_reset(struct work *w, struct portion *p, uint32_t first) {
    yg_arena_reset(p->arena);
    p->first = first;
    p->change = (struct yg_monitor_change){
        .monitor_id = w->m->id, .groups = p->groups, .forget = p->forget, .transitions = p->steps};
}

static bool needs_storing(const struct plan *p) {
    return p->is_new || p->step.kind != YG_STEP_NONE || p->step.forget;
}

static yg_rc portion_add(struct work *w, struct portion *into, struct plan *p, struct yg_err *err) {
    struct yg_monitor_change *c = &into->change;
    if (p->step.forget) {
        into->forget[c->forget_count++] = p->rec.group;
        return YG_OK;
    }
    into->groups[c->group_count++] = p->rec;
    if (p->step.kind == YG_STEP_NONE)
        return YG_OK;
    return transition_of(w, into->arena, p, &into->steps[c->transition_count++], err);
}

// With the lock: what was decided for these groups becomes their state.
static void install_groups(struct work *w, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        struct plan *p = &w->plans[i];
        if (p->step.forget) {
            yg_group_drop(w->m, p->rec.group);
            continue;
        }
        struct group *g = yg_group_make(w->m, p->rec.group);
        yg_str name = g->rec.group;
        g->rec = p->rec;
        g->rec.group = name;
        g->seen = w->m->attempts;
    }
}

// Stores the portion, with the overall state when it is the last, and installs its groups.
static yg_rc portion_store(struct work *w, struct portion *p, uint32_t end, struct yg_err *err) {
    struct yg_monitor_change *c = &p->change;
    bool last = end == w->plan_count;
    if (last && w->overall != w->m->overall) {
        c->set_overall = true;
        c->overall_state = w->overall;
        c->overall_modified_ns = w->at_ns;
    }
    if (c->group_count || c->forget_count || c->set_overall)
        YG_TRY(yg_meta_monitor_apply(w->ms->meta, c, 1, err));
    pthread_mutex_lock(&w->ms->lock);
    install_groups(w, p->first, end);
    pthread_mutex_unlock(&w->ms->lock);
    if (c->transition_count > 0 && w->ms->notifier)
        yg_notifier_kick(w->ms->notifier);
    return YG_OK;
}

static yg_rc store(struct work *w, struct portion *p, struct yg_err *err) {
    portion_reset(w, p, 0);
    for (uint32_t i = 0; i < w->plan_count; i++) {
        if (!needs_storing(&w->plans[i]))
            continue;
        YG_TRY(portion_add(w, p, &w->plans[i], err));
        if (p->change.group_count + p->change.forget_count == PORTION) {
            YG_TRY(portion_store(w, p, i + 1, err));
            portion_reset(w, p, i + 1);
        }
    }
    return portion_store(w, p, w->plan_count, err);
}

static char state_letter(const struct plan *p) {
    static const char letters[] = "NOWA---";
    return letters[p->rec.state];
}

static void ring_put(struct monitor *m, struct group *g, const struct plan *p) {
    uint32_t slot = (uint32_t)(m->evaluations % YG_RING);
    if (!g->values && m->ring_groups < YG_RING_GROUPS_MAX) {
        g->values = yg_alloc(YG_MEM_MONITOR, YG_RING * sizeof(double));
        g->states = yg_alloc(YG_MEM_MONITOR, YG_RING);
        for (uint32_t i = 0; i < YG_RING; i++)
            g->values[i] = (double)NAN;
        memset(g->states, '-', YG_RING);
        m->ring_groups++;
    }
    if (!g->values)
        return;
    g->values[slot] = p->rec.has_value ? p->rec.value : (double)NAN;
    g->states[slot] = state_letter(p);
}

// With the lock: the evaluation as a whole is over and was stored.
static void install(struct work *w) {
    struct monitor *m = w->m;
    for (uint32_t i = 0; i < w->plan_count; i++) {
        struct plan *p = &w->plans[i];
        if (!p->step.forget) // a forgotten group's name is gone with it
            ring_put(m, yg_group_get(m, p->rec.group), p);
    }
    m->ring_times_ns[m->evaluations % YG_RING] = w->at_ns;
    m->evaluations++;
    m->evaluated_ns = w->at_ns;
    if (w->overall != m->overall) {
        m->overall = w->overall;
        m->overall_modified_ns = w->at_ns;
    }
    m->dirty = true; // values and times of groups without a change
    snprintf(m->last_error, sizeof(m->last_error), "%s",
             w->too_many ? "only the first 10,000 groups are evaluated" : "");
}

static yg_rc evaluate(struct work *w, struct yg_err *err) {
    struct yg_monitors *ms = w->ms;
    w->m->attempts++;
    if (ms->run) {
        YG_TRY(ms->run(ms->run_ctx, w->m->def, w->at_ns, w->arena, &w->result, err));
    } else {
        int64_t deadline_ns = yg_mono_ns(ms->clock) + DEADLINE_NS;
        YG_TRY(
            yg_monitor_run(ms->store, w->m->def, w->at_ns, deadline_ns, w->arena, &w->result, err));
    }
    for (uint32_t i = 0; i < w->result.count; i++)
        YG_TRY(plan_group(w, w->result.values[i].group, &w->result.values[i], err));
    YG_TRY(plan_missing(w, err));
    w->overall = worst(w);
    struct portion *p = yg_calloc(YG_MEM_MONITOR, 1, sizeof(*p));
    p->arena = yg_arena_create(YG_MEM_MONITOR, ARENA_BYTES);
    yg_rc rc = store(w, p, err);
    yg_arena_destroy(p->arena);
    yg_free(YG_MEM_MONITOR, p);
    return rc;
}

void yg_monitor_evaluate(struct yg_monitors *ms, struct monitor *m, int64_t at_ns) {
    YG_ASSERT(m->busy);
    struct yg_err err = {0};
    yg_rc rc = YG_OK;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, ARENA_BYTES);
    struct work w = {.ms = ms, .m = m, .arena = arena, .at_ns = at_ns};
    bool runs = m->def && m->def->kind != YG_MONITOR_STORED;
    if (runs)
        rc = evaluate(&w, &err);
    yg_counter_add(rc == YG_OK ? ms->done : ms->failed, 1);
    if (rc != YG_OK && rc != YG_ENOTFOUND) // not found: deleted meanwhile
        yg_log(YG_LOG_WARN, "monitor", "evaluation failed", YG_KV_INT("monitor", m->id),
               YG_KV_C("error", err.text));
    pthread_mutex_lock(&ms->lock);
    if (rc == YG_OK && runs)
        install(&w);
    else if (rc != YG_OK)
        snprintf(m->last_error, sizeof(m->last_error), "%.190s", err.text);
    m->due_ns = yg_next_due(ms, m, at_ns);
    pthread_mutex_unlock(&ms->lock);
}
