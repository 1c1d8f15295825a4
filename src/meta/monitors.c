// SPDX-License-Identifier: Apache-2.0
// Monitors, the state of their groups and their history.
//
// yg_meta_monitor_apply is the one place where a state changes: groups, transitions and messages
// are written in one transaction, so a crash leaves either all of a change or nothing of it.
#include "meta/db.h"

#include "base/panic.h"
#include "base/rand.h"

#define MONITORS_MAX 100000

static const char *const state_names[YG_STATE_COUNT] = {"No Data", "OK",      "Warn",   "Alert",
                                                        "Ignored", "Skipped", "Unknown"};

const char *yg_state_name(enum yg_monitor_state state) {
    YG_ASSERT((unsigned)state < YG_STATE_COUNT);
    return state_names[state];
}

bool yg_state_parse(yg_str name, enum yg_monitor_state *ret_state) {
    for (unsigned i = 0; i < YG_STATE_COUNT; i++) {
        if (yg_str_eq_nocase(name, yg_str_c(state_names[i]))) {
            *ret_state = (enum yg_monitor_state)i;
            return true;
        }
    }
    return false;
}

static enum yg_monitor_state state_column(sqlite3_stmt *stmt, int at) {
    int v = sqlite3_column_int(stmt, at);
    return v >= 0 && v < YG_STATE_COUNT ? (enum yg_monitor_state)v : YG_STATE_UNKNOWN;
}

// ---------------------------------------------------------------- monitors

static void bind_monitor(sqlite3_stmt *stmt, const struct yg_monitor_record *rec) {
    yg_db_bind(stmt, 1, rec->type);
    yg_db_bind(stmt, 2, rec->name);
    yg_db_bind(stmt, 3, rec->query);
    yg_db_bind(stmt, 4, rec->message);
    yg_db_bind(stmt, 5, rec->tags_json.len ? rec->tags_json : YG_STR("[]"));
    yg_db_bind(stmt, 6, rec->options_json.len ? rec->options_json : YG_STR("{}"));
    yg_db_bind_or_null(stmt, 7, rec->restricted_roles_json);
    yg_db_bind_or_null(stmt, 8, rec->restriction_policy_json);
    yg_db_bind(stmt, 9, rec->assets_json.len ? rec->assets_json : YG_STR("[]"));
    yg_db_bind(stmt, 10, rec->draft_status.len ? rec->draft_status : YG_STR("published"));
    sqlite3_bind_int64(stmt, 11, rec->priority);
    sqlite3_bind_int(stmt, 12, rec->multi);
}

static yg_rc monitor_room(struct yg_meta *m, struct yg_err *err) {
    sqlite3_stmt *stmt;
    bool row;
    YG_TRY(yg_db_prepare(&m->writer, "SELECT count(*) FROM monitor", &stmt, err));
    YG_TRY(yg_db_step(&m->writer, stmt, &row, err));
    int64_t count = row ? sqlite3_column_int64(stmt, 0) : 0;
    yg_db_done(stmt);
    if (count >= MONITORS_MAX)
        return yg_fail(err, YG_ELIMIT, "there are %d monitors already", MONITORS_MAX);
    return YG_OK;
}

static yg_rc monitor_insert(struct yg_meta *m, const struct yg_monitor_record *rec, int64_t *ret_id,
                            struct yg_err *err) {
    YG_TRY(monitor_room(m, err));
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(
        &m->writer,
        "INSERT INTO monitor(type, name, query, message, tags, options, restricted_roles,"
        " restriction_policy, assets, draft_status, priority, multi, creator_id, created_ns,"
        " modified_ns, overall_state, overall_modified_ns)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14, 0, 0)",
        &stmt, err));
    bind_monitor(stmt, rec);
    sqlite3_bind_int64(stmt, 13, m->user.id);
    sqlite3_bind_int64(stmt, 14, yg_now_ns(m->clock));
    YG_TRY(yg_db_run(&m->writer, stmt, NULL, err));
    *ret_id = sqlite3_last_insert_rowid(m->writer.handle);
    return YG_OK;
}

static yg_rc fail_no_monitor(struct yg_err *err) {
    return yg_fail(err, YG_ENOTFOUND, "Monitor not found");
}

static yg_rc monitor_update(struct yg_meta *m, const struct yg_monitor_record *rec,
                            struct yg_err *err) {
    sqlite3_stmt *stmt;
    int changed = 0;
    YG_TRY(yg_db_prepare(
        &m->writer,
        "UPDATE monitor SET type=?1, name=?2, query=?3, message=?4, tags=?5, options=?6,"
        " restricted_roles=?7, restriction_policy=?8, assets=?9, draft_status=?10, priority=?11,"
        " multi=?12, modified_ns=?13 WHERE id=?14",
        &stmt, err));
    bind_monitor(stmt, rec);
    sqlite3_bind_int64(stmt, 13, yg_now_ns(m->clock));
    sqlite3_bind_int64(stmt, 14, rec->id);
    YG_TRY(yg_db_run(&m->writer, stmt, &changed, err));
    return changed ? YG_OK : fail_no_monitor(err);
}

static yg_rc groups_clear(struct yg_meta *m, int64_t id, struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(&m->writer, "DELETE FROM monitor_group WHERE monitor_id = ?", &stmt, err));
    sqlite3_bind_int64(stmt, 1, id);
    YG_TRY(yg_db_run(&m->writer, stmt, NULL, err));
    YG_TRY(yg_db_prepare(&m->writer,
                         "UPDATE monitor SET overall_state=0, overall_modified_ns=0 WHERE id=?",
                         &stmt, err));
    sqlite3_bind_int64(stmt, 1, id);
    return yg_db_run(&m->writer, stmt, NULL, err);
}

yg_rc yg_meta_monitor_put(struct yg_meta *m, const struct yg_monitor_record *rec, bool reset_groups,
                          int64_t *ret_id, struct yg_err *err) {
    int64_t id = rec->id;
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = id ? monitor_update(m, rec, err) : monitor_insert(m, rec, &id, err);
    if (rc == YG_OK && reset_groups)
        rc = groups_clear(m, id, err);
    YG_TRY(yg_db_write_end(m, rc, err));
    if (ret_id)
        *ret_id = id;
    return YG_OK;
}

#define MONITOR_COLUMNS                                                                            \
    "SELECT id, type, name, query, message, tags, options, restricted_roles, restriction_policy,"  \
    " assets, draft_status, priority, multi, creator_id, created_ns, modified_ns, overall_state,"  \
    " overall_modified_ns FROM monitor"

static yg_rc monitor_read(sqlite3_stmt *stmt, struct yg_arena *arena, struct yg_monitor_record *r,
                          struct yg_err *err) {
    yg_str *const texts[] = {&r->type,
                             &r->name,
                             &r->query,
                             &r->message,
                             &r->tags_json,
                             &r->options_json,
                             &r->restricted_roles_json,
                             &r->restriction_policy_json,
                             &r->assets_json,
                             &r->draft_status};
    *r = (struct yg_monitor_record){.id = sqlite3_column_int64(stmt, 0)};
    for (int i = 0; i < 10; i++) {
        *texts[i] = yg_db_column(stmt, i + 1, arena);
        if (!texts[i]->ptr)
            return yg_fail(err, YG_ENOMEM, "monitor %lld: no memory", (long long)r->id);
    }
    r->priority = sqlite3_column_int64(stmt, 11);
    r->multi = sqlite3_column_int(stmt, 12) != 0;
    r->creator_id = sqlite3_column_int64(stmt, 13);
    r->created_ns = sqlite3_column_int64(stmt, 14);
    r->modified_ns = sqlite3_column_int64(stmt, 15);
    r->overall_state = state_column(stmt, 16);
    r->overall_modified_ns = sqlite3_column_int64(stmt, 17);
    return YG_OK;
}

yg_rc yg_meta_monitor_get(struct yg_meta *m, int64_t id, struct yg_arena *arena,
                          struct yg_monitor_record *ret_rec, struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    bool row = false;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(db, MONITOR_COLUMNS " WHERE id = ?", &stmt, err);
    if (rc == YG_OK) {
        sqlite3_bind_int64(stmt, 1, id);
        rc = yg_db_step(db, stmt, &row, err);
    }
    if (rc == YG_OK && !row)
        rc = fail_no_monitor(err);
    if (rc == YG_OK) {
        rc = monitor_read(stmt, arena, ret_rec, err);
        yg_db_done(stmt);
    }
    yg_db_read_end(m, db);
    return rc;
}

yg_rc yg_meta_monitor_list(struct yg_meta *m, struct yg_arena *arena,
                           struct yg_monitor_record **ret_recs, uint32_t *ret_count,
                           struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    struct yg_monitor_record *recs = NULL;
    uint32_t count = 0, cap = 0;
    bool row = true;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(db, MONITOR_COLUMNS " ORDER BY id", &stmt, err);
    while (rc == YG_OK && (rc = yg_db_step(db, stmt, &row, err)) == YG_OK && row) {
        if (YG_ARENA_GROW(arena, recs, count, cap))
            rc = monitor_read(stmt, arena, &recs[count++], err);
        else
            rc = yg_fail(err, YG_ENOMEM, "list of monitors: no memory");
        if (rc != YG_OK)
            yg_db_done(stmt);
    }
    yg_db_read_end(m, db);
    *ret_recs = recs;
    *ret_count = count;
    return rc;
}

static yg_rc monitor_remove(struct yg_meta *m, int64_t id, struct yg_err *err) {
    sqlite3_stmt *stmt;
    int changed = 0;
    YG_TRY(yg_db_prepare(&m->writer, "DELETE FROM monitor WHERE id = ?", &stmt, err));
    sqlite3_bind_int64(stmt, 1, id);
    YG_TRY(yg_db_run(&m->writer, stmt, &changed, err));
    return changed ? YG_OK : fail_no_monitor(err);
}

yg_rc yg_meta_monitor_delete(struct yg_meta *m, int64_t id, struct yg_err *err) {
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = monitor_remove(m, id, err);
    return yg_db_write_end(m, rc, err);
}

// ---------------------------------------------------------------- groups

static yg_rc group_read(sqlite3_stmt *stmt, struct yg_arena *arena, struct yg_group_record *g,
                        struct yg_err *err) {
    int64_t *const numbers[] = {
        &g->since_ns,          &g->evaluated_ns,     &g->first_seen_ns,  &g->last_data_ns,
        &g->last_triggered_ns, &g->last_resolved_ns, &g->last_nodata_ns, &g->first_triggered_ns,
        &g->last_notified_ns,  &g->renotify_count,   &g->cycle};
    *g = (struct yg_group_record){.monitor_id = sqlite3_column_int64(stmt, 0)};
    g->group = yg_db_column(stmt, 1, arena);
    if (!g->group.ptr)
        return yg_fail(err, YG_ENOMEM, "groups of a monitor: no memory");
    g->state = state_column(stmt, 2);
    g->has_value = sqlite3_column_type(stmt, 3) != SQLITE_NULL;
    g->value = g->has_value ? sqlite3_column_double(stmt, 3) : 0;
    for (int i = 0; i < 11; i++)
        *numbers[i] = sqlite3_column_int64(stmt, 4 + i);
    return YG_OK;
}

yg_rc yg_meta_groups(struct yg_meta *m, int64_t monitor_id, struct yg_arena *arena,
                     struct yg_group_record **ret_groups, uint32_t *ret_count, struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    struct yg_group_record *groups = NULL;
    uint32_t count = 0, cap = 0;
    bool row = true;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(
        db,
        "SELECT monitor_id, grp, state, value, since_ns, evaluated_ns, first_seen_ns, last_data_ns,"
        " last_triggered_ns, last_resolved_ns, last_nodata_ns, first_triggered_ns,"
        " last_notified_ns, renotify_count, cycle FROM monitor_group"
        " WHERE (?1 = 0 OR monitor_id = ?1) ORDER BY monitor_id, grp",
        &stmt, err);
    if (rc == YG_OK)
        sqlite3_bind_int64(stmt, 1, monitor_id);
    while (rc == YG_OK && (rc = yg_db_step(db, stmt, &row, err)) == YG_OK && row) {
        if (YG_ARENA_GROW(arena, groups, count, cap))
            rc = group_read(stmt, arena, &groups[count++], err);
        else
            rc = yg_fail(err, YG_ENOMEM, "groups of a monitor: no memory");
        if (rc != YG_OK)
            yg_db_done(stmt);
    }
    yg_db_read_end(m, db);
    *ret_groups = groups;
    *ret_count = count;
    return rc;
}

static yg_rc group_put(struct yg_meta *m, int64_t monitor_id, const struct yg_group_record *g,
                       struct yg_err *err) {
    const int64_t numbers[] = {
        g->since_ns,          g->evaluated_ns,     g->first_seen_ns,  g->last_data_ns,
        g->last_triggered_ns, g->last_resolved_ns, g->last_nodata_ns, g->first_triggered_ns,
        g->last_notified_ns,  g->renotify_count,   g->cycle};
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(
        &m->writer,
        "INSERT OR REPLACE INTO monitor_group(monitor_id, grp, state, value, since_ns,"
        " evaluated_ns, first_seen_ns, last_data_ns, last_triggered_ns, last_resolved_ns,"
        " last_nodata_ns, first_triggered_ns, last_notified_ns, renotify_count, cycle)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &stmt, err));
    sqlite3_bind_int64(stmt, 1, monitor_id);
    yg_db_bind(stmt, 2, g->group);
    sqlite3_bind_int(stmt, 3, (int)g->state);
    if (g->has_value)
        sqlite3_bind_double(stmt, 4, g->value);
    for (int i = 0; i < 11; i++)
        sqlite3_bind_int64(stmt, 5 + i, numbers[i]);
    return yg_db_run(&m->writer, stmt, NULL, err);
}

static yg_rc group_forget(struct yg_meta *m, int64_t monitor_id, yg_str group, struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(&m->writer, "DELETE FROM monitor_group WHERE monitor_id = ? AND grp = ?",
                         &stmt, err));
    sqlite3_bind_int64(stmt, 1, monitor_id);
    yg_db_bind(stmt, 2, group);
    return yg_db_run(&m->writer, stmt, NULL, err);
}

// ---------------------------------------------------------------- one evaluation's changes

static yg_rc message_insert(struct yg_meta *m, struct yg_message_record *msg, struct yg_err *err) {
    if (!msg->id[0])
        yg_uuid_v4(msg->id);
    if (!msg->created_ns)
        msg->created_ns = yg_now_ns(m->clock);
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(
        &m->writer,
        "INSERT INTO message(id, monitor_id, transition_id, grp, target, kind, receiver, facts,"
        " state, attempts, due_ns, created_ns, done_ns, last_status, last_error)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 0, ?)",
        &stmt, err));
    yg_db_bind(stmt, 1, yg_str_c(msg->id));
    sqlite3_bind_int64(stmt, 2, msg->monitor_id);
    sqlite3_bind_int64(stmt, 3, msg->transition_id);
    yg_db_bind(stmt, 4, msg->group);
    yg_db_bind(stmt, 5, msg->target);
    sqlite3_bind_int(stmt, 6, (int)msg->kind);
    yg_db_bind(stmt, 7, msg->receiver);
    yg_db_bind(stmt, 8, msg->facts_json);
    sqlite3_bind_int(stmt, 9, (int)msg->state);
    sqlite3_bind_int64(stmt, 10, msg->due_ns);
    sqlite3_bind_int64(stmt, 11, msg->created_ns);
    sqlite3_bind_int64(stmt, 12, msg->done_ns);
    yg_db_bind(stmt, 13, msg->last_error);
    YG_TRY(yg_db_run(&m->writer, stmt, NULL, err));
    msg->seq = sqlite3_last_insert_rowid(m->writer.handle);
    return YG_OK;
}

static yg_rc transition_insert(struct yg_meta *m, struct yg_transition_record *t,
                               struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(
        yg_db_prepare(&m->writer,
                      "INSERT INTO transition(monitor_id, grp, at_ns, from_state, to_state, kind,"
                      " value, window_from_ns, window_to_ns) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      &stmt, err));
    sqlite3_bind_int64(stmt, 1, t->monitor_id);
    yg_db_bind(stmt, 2, t->group);
    sqlite3_bind_int64(stmt, 3, t->at_ns);
    sqlite3_bind_int(stmt, 4, (int)t->from);
    sqlite3_bind_int(stmt, 5, (int)t->to);
    yg_db_bind(stmt, 6, t->kind);
    if (t->has_value)
        sqlite3_bind_double(stmt, 7, t->value);
    sqlite3_bind_int64(stmt, 8, t->window_from_ns);
    sqlite3_bind_int64(stmt, 9, t->window_to_ns);
    YG_TRY(yg_db_run(&m->writer, stmt, NULL, err));
    t->id = sqlite3_last_insert_rowid(m->writer.handle);
    for (uint32_t i = 0; i < t->message_count; i++) {
        t->messages[i].monitor_id = t->monitor_id;
        t->messages[i].transition_id = t->id;
        t->messages[i].group = t->group;
        YG_TRY(message_insert(m, &t->messages[i], err));
    }
    return YG_OK;
}

// Touches the monitor's row first: when it is gone the whole transaction ends here.
static yg_rc overall_update(struct yg_meta *m, const struct yg_monitor_change *c,
                            struct yg_err *err) {
    sqlite3_stmt *stmt;
    int changed = 0;
    YG_TRY(yg_db_prepare(&m->writer,
                         "UPDATE monitor SET overall_state = iif(?1, ?2, overall_state),"
                         " overall_modified_ns = iif(?1, ?3, overall_modified_ns) WHERE id = ?4",
                         &stmt, err));
    sqlite3_bind_int(stmt, 1, c->set_overall);
    sqlite3_bind_int(stmt, 2, (int)c->overall_state);
    sqlite3_bind_int64(stmt, 3, c->overall_modified_ns);
    sqlite3_bind_int64(stmt, 4, c->monitor_id);
    YG_TRY(yg_db_run(&m->writer, stmt, &changed, err));
    return changed ? YG_OK : fail_no_monitor(err);
}

static yg_rc apply_one(struct yg_meta *m, const struct yg_monitor_change *c, struct yg_err *err) {
    YG_TRY(overall_update(m, c, err));
    for (uint32_t i = 0; i < c->forget_count; i++)
        YG_TRY(group_forget(m, c->monitor_id, c->forget[i], err));
    for (uint32_t i = 0; i < c->group_count; i++)
        YG_TRY(group_put(m, c->monitor_id, &c->groups[i], err));
    for (uint32_t i = 0; i < c->transition_count; i++) {
        c->transitions[i].monitor_id = c->monitor_id;
        YG_TRY(transition_insert(m, &c->transitions[i], err));
    }
    return YG_OK;
}

yg_rc yg_meta_monitor_apply(struct yg_meta *m, const struct yg_monitor_change *changes,
                            uint32_t change_count, struct yg_err *err) {
    yg_rc rc = YG_OK;
    YG_TRY(yg_db_write_begin(m, err));
    for (uint32_t i = 0; i < change_count && rc == YG_OK; i++)
        rc = apply_one(m, &changes[i], err);
    return yg_db_write_end(m, rc, err);
}
