// SPDX-License-Identifier: Apache-2.0
// Reading history and the outbox, and noting what became of a message.
//
// A message is made by yg_meta_monitor_apply. It stays pending until the answer to a try is noted
// here, so a crash between an answer and its note repeats that one delivery under the same id.
#include "meta/db.h"

#include "base/panic.h"

#define PRUNE_ROWS_MAX 10000

static const char *const state_names[YG_MESSAGE_STATE_COUNT] = {"pending", "sent", "failed",
                                                                "unknown"};

const char *yg_message_state_name(enum yg_message_state state) {
    YG_ASSERT((unsigned)state < YG_MESSAGE_STATE_COUNT);
    return state_names[state];
}

#define MESSAGE_COLUMNS                                                                            \
    "SELECT o.seq, o.id, o.monitor_id, o.transition_id, o.grp, o.target, o.kind, o.receiver,"      \
    " o.state, o.attempts, o.due_ns, o.created_ns, o.done_ns, o.last_status, o.last_error"

static yg_rc message_read(sqlite3_stmt *stmt, struct yg_arena *arena, struct yg_message_record *r,
                          struct yg_err *err) {
    *r = (struct yg_message_record){.seq = sqlite3_column_int64(stmt, 0)};
    yg_db_column_fixed(stmt, 1, r->id, sizeof(r->id));
    r->monitor_id = sqlite3_column_int64(stmt, 2);
    r->transition_id = sqlite3_column_int64(stmt, 3);
    r->group = yg_db_column(stmt, 4, arena);
    r->target = yg_db_column(stmt, 5, arena);
    int kind = sqlite3_column_int(stmt, 6);
    r->kind =
        kind >= 0 && kind < YG_MESSAGE_KIND_COUNT ? (enum yg_message_kind)kind : YG_MESSAGE_NONE;
    r->receiver = yg_db_column(stmt, 7, arena);
    int state = sqlite3_column_int(stmt, 8);
    r->state = state >= 0 && state < YG_MESSAGE_STATE_COUNT ? (enum yg_message_state)state
                                                            : YG_MESSAGE_FAILED;
    r->attempts = sqlite3_column_int64(stmt, 9);
    r->due_ns = sqlite3_column_int64(stmt, 10);
    r->created_ns = sqlite3_column_int64(stmt, 11);
    r->done_ns = sqlite3_column_int64(stmt, 12);
    r->last_status = sqlite3_column_int64(stmt, 13);
    r->last_error = yg_db_column(stmt, 14, arena);
    if (!r->group.ptr || !r->target.ptr || !r->receiver.ptr || !r->last_error.ptr)
        return yg_fail(err, YG_ENOMEM, "messages: no memory");
    return YG_OK;
}

static yg_rc messages_read(struct yg_db *db, sqlite3_stmt *stmt, bool facts, struct yg_arena *arena,
                           struct yg_message_record **ret_rows, uint32_t *ret_count,
                           struct yg_err *err) {
    struct yg_message_record *rows = NULL;
    uint32_t count = 0, cap = 0;
    bool row = true;
    yg_rc rc = YG_OK;
    while (rc == YG_OK && (rc = yg_db_step(db, stmt, &row, err)) == YG_OK && row) {
        if (!YG_ARENA_GROW(arena, rows, count, cap))
            rc = yg_fail(err, YG_ENOMEM, "messages: no memory");
        else
            rc = message_read(stmt, arena, &rows[count], err);
        if (rc == YG_OK && facts) {
            rows[count].facts_json = yg_db_column(stmt, 15, arena);
            if (!rows[count].facts_json.ptr)
                rc = yg_fail(err, YG_ENOMEM, "messages: no memory");
        }
        count++;
        if (rc != YG_OK)
            yg_db_done(stmt);
    }
    *ret_rows = rows;
    *ret_count = count;
    return rc;
}

// ---------------------------------------------------------------- due messages

// A pending message is the head of its line when no older one of the same line is pending.
#define IS_HEAD                                                                                    \
    " o.state = 0 AND NOT EXISTS (SELECT 1 FROM message p WHERE p.state = 0"                       \
    " AND p.monitor_id = o.monitor_id AND p.grp = o.grp AND p.target = o.target"                   \
    " AND p.seq < o.seq)"

static yg_rc next_due(struct yg_db *db, int64_t now_ns, int64_t *ret_next_due_ns,
                      struct yg_err *err) {
    sqlite3_stmt *stmt;
    bool row;
    YG_TRY(yg_db_prepare(db, "SELECT min(o.due_ns) FROM message o WHERE o.due_ns > ? AND" IS_HEAD,
                         &stmt, err));
    sqlite3_bind_int64(stmt, 1, now_ns);
    YG_TRY(yg_db_step(db, stmt, &row, err));
    *ret_next_due_ns = INT64_MAX;
    if (row && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
        *ret_next_due_ns = sqlite3_column_int64(stmt, 0);
    if (row)
        yg_db_done(stmt);
    return YG_OK;
}

yg_rc yg_meta_outbox_due(struct yg_meta *m, int64_t now_ns, uint32_t limit, struct yg_arena *arena,
                         struct yg_message_record **ret_rows, uint32_t *ret_count,
                         int64_t *ret_next_due_ns, struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(db,
                             MESSAGE_COLUMNS ", o.facts FROM message o WHERE o.due_ns <= ?1"
                                             " AND" IS_HEAD " ORDER BY o.seq LIMIT ?2",
                             &stmt, err);
    if (rc == YG_OK) {
        sqlite3_bind_int64(stmt, 1, now_ns);
        sqlite3_bind_int64(stmt, 2, limit);
        rc = messages_read(db, stmt, true, arena, ret_rows, ret_count, err);
    }
    if (rc == YG_OK)
        rc = next_due(db, now_ns, ret_next_due_ns, err);
    yg_db_read_end(m, db);
    return rc;
}

static yg_rc note(struct yg_meta *m, const struct yg_message_record *rec, struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(&m->writer,
                         "UPDATE message SET state=?, attempts=?, due_ns=?, done_ns=?,"
                         " last_status=?, last_error=? WHERE seq=?",
                         &stmt, err));
    sqlite3_bind_int(stmt, 1, (int)rec->state);
    sqlite3_bind_int64(stmt, 2, rec->attempts);
    sqlite3_bind_int64(stmt, 3, rec->due_ns);
    sqlite3_bind_int64(stmt, 4, rec->done_ns);
    sqlite3_bind_int64(stmt, 5, rec->last_status);
    yg_db_bind(stmt, 6, rec->last_error);
    sqlite3_bind_int64(stmt, 7, rec->seq);
    return yg_db_run(&m->writer, stmt, NULL, err); // a deleted monitor took its messages with it
}

yg_rc yg_meta_outbox_note(struct yg_meta *m, const struct yg_message_record *rec,
                          struct yg_err *err) {
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = note(m, rec, err);
    return yg_db_write_end(m, rc, err);
}

// ---------------------------------------------------------------- history

static enum yg_monitor_state state_of(int v) {
    return v >= 0 && v < YG_STATE_COUNT ? (enum yg_monitor_state)v : YG_STATE_UNKNOWN;
}

static yg_rc transition_read(sqlite3_stmt *stmt, struct yg_arena *arena,
                             struct yg_transition_record *t, struct yg_err *err) {
    *t = (struct yg_transition_record){.id = sqlite3_column_int64(stmt, 0)};
    t->monitor_id = sqlite3_column_int64(stmt, 1);
    t->group = yg_db_column(stmt, 2, arena);
    t->at_ns = sqlite3_column_int64(stmt, 3);
    t->from = state_of(sqlite3_column_int(stmt, 4));
    t->to = state_of(sqlite3_column_int(stmt, 5));
    t->kind = yg_db_column(stmt, 6, arena);
    t->has_value = sqlite3_column_type(stmt, 7) != SQLITE_NULL;
    t->value = t->has_value ? sqlite3_column_double(stmt, 7) : 0;
    t->window_from_ns = sqlite3_column_int64(stmt, 8);
    t->window_to_ns = sqlite3_column_int64(stmt, 9);
    if (!t->group.ptr || !t->kind.ptr)
        return yg_fail(err, YG_ENOMEM, "history of a monitor: no memory");
    return YG_OK;
}

static yg_rc transition_messages(struct yg_db *db, struct yg_arena *arena,
                                 struct yg_transition_record *t, struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(db,
                         MESSAGE_COLUMNS " FROM message o WHERE o.transition_id = ? ORDER BY o.seq",
                         &stmt, err));
    sqlite3_bind_int64(stmt, 1, t->id);
    return messages_read(db, stmt, false, arena, &t->messages, &t->message_count, err);
}

yg_rc yg_meta_transitions(struct yg_meta *m, int64_t monitor_id, int64_t from_ns, int64_t to_ns,
                          uint32_t limit, struct yg_arena *arena,
                          struct yg_transition_record **ret_rows, uint32_t *ret_count,
                          struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    struct yg_transition_record *rows = NULL;
    uint32_t count = 0, cap = 0;
    bool row = true;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(
        db,
        "SELECT id, monitor_id, grp, at_ns, from_state, to_state, kind, value, window_from_ns,"
        " window_to_ns FROM transition WHERE monitor_id = ? AND at_ns >= ? AND at_ns < ?"
        " ORDER BY at_ns DESC, id DESC LIMIT ?",
        &stmt, err);
    if (rc == YG_OK) {
        sqlite3_bind_int64(stmt, 1, monitor_id);
        sqlite3_bind_int64(stmt, 2, from_ns);
        sqlite3_bind_int64(stmt, 3, to_ns);
        sqlite3_bind_int64(stmt, 4, limit);
    }
    while (rc == YG_OK && (rc = yg_db_step(db, stmt, &row, err)) == YG_OK && row) {
        if (YG_ARENA_GROW(arena, rows, count, cap))
            rc = transition_read(stmt, arena, &rows[count++], err);
        else
            rc = yg_fail(err, YG_ENOMEM, "history of a monitor: no memory");
        if (rc != YG_OK)
            yg_db_done(stmt);
    }
    for (uint32_t i = 0; i < count && rc == YG_OK; i++)
        rc = transition_messages(db, arena, &rows[i], err);
    yg_db_read_end(m, db);
    *ret_rows = rows;
    *ret_count = count;
    return rc;
}

static yg_rc prune(struct yg_meta *m, int64_t before_ns, struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(&m->writer,
                         "DELETE FROM transition WHERE id IN (SELECT t.id FROM transition t"
                         " WHERE t.at_ns < ?1 AND NOT EXISTS (SELECT 1 FROM message p"
                         " WHERE p.transition_id = t.id AND p.state = 0) LIMIT ?2)",
                         &stmt, err));
    sqlite3_bind_int64(stmt, 1, before_ns);
    sqlite3_bind_int(stmt, 2, PRUNE_ROWS_MAX);
    return yg_db_run(&m->writer, stmt, NULL, err); // its messages go with it
}

yg_rc yg_meta_history_prune(struct yg_meta *m, int64_t before_ns, struct yg_err *err) {
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = prune(m, before_ns, err);
    return yg_db_write_end(m, rc, err);
}
