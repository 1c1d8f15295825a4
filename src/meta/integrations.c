// SPDX-License-Identifier: Apache-2.0
// Webhooks and their variables, Slack accounts and channels, metric metadata.
#include "meta/db.h"

#include "base/panic.h"

#define ROWS_MAX 10000 // of each table

// Runs a prepared write in its own transaction and turns "no row" into ENOTFOUND with this text.
static yg_rc finish_write(struct yg_meta *m, sqlite3_stmt *stmt, const char *missing,
                          struct yg_err *err) {
    int changed = 0;
    YG_TRY(yg_db_run(&m->writer, stmt, &changed, err));
    return changed ? YG_OK : yg_fail(err, YG_ENOTFOUND, "%s", missing);
}

static yg_rc table_room(struct yg_meta *m, const char *count_sql, const char *what,
                        struct yg_err *err) {
    sqlite3_stmt *stmt;
    bool row;
    YG_TRY(yg_db_prepare(&m->writer, count_sql, &stmt, err));
    YG_TRY(yg_db_step(&m->writer, stmt, &row, err));
    int64_t count = row ? sqlite3_column_int64(stmt, 0) : 0;
    yg_db_done(stmt);
    if (count >= ROWS_MAX)
        return yg_fail(err, YG_ELIMIT, "there are %d %s already", ROWS_MAX, what);
    return YG_OK;
}

// A clash of names reads better in words than as a constraint.
static yg_rc name_clash(yg_rc rc, const char *what, yg_str name, struct yg_err *err) {
    if (rc != YG_ECONFLICT)
        return rc;
    return yg_fail(err, YG_ECONFLICT, "%s %.*s already exists", what,
                   (int)(name.len > 128 ? 128 : name.len), name.ptr);
}

static yg_rc delete_by_name(struct yg_meta *m, const char *sql, yg_str name, const char *missing,
                            struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = yg_db_prepare(&m->writer, sql, &stmt, err);
    if (rc == YG_OK) {
        yg_db_bind(stmt, 1, name);
        rc = finish_write(m, stmt, missing, err);
    }
    return yg_db_write_end(m, rc, err);
}

// ---------------------------------------------------------------- webhooks

#define NO_WEBHOOK "Webhook does not exist"

static yg_rc webhook_write(struct yg_meta *m, yg_str old_name, const struct yg_webhook *hook,
                           struct yg_err *err) {
    sqlite3_stmt *stmt;
    if (old_name.len == 0) {
        YG_TRY(table_room(m, "SELECT count(*) FROM webhook", "webhooks", err));
        YG_TRY(yg_db_prepare(&m->writer,
                             "INSERT INTO webhook(name, url, payload, encode_as, custom_headers,"
                             " auth_method_id) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                             &stmt, err));
    } else {
        YG_TRY(yg_db_prepare(&m->writer,
                             "UPDATE webhook SET name=?1, url=?2, payload=?3, encode_as=?4,"
                             " custom_headers=?5, auth_method_id=?6 WHERE name=?7",
                             &stmt, err));
        yg_db_bind(stmt, 7, old_name);
    }
    yg_db_bind(stmt, 1, hook->name);
    yg_db_bind(stmt, 2, hook->url);
    yg_db_bind(stmt, 3, hook->payload);
    yg_db_bind(stmt, 4, hook->encode_as);
    if (hook->has_headers)
        yg_db_bind(stmt, 5, hook->custom_headers);
    yg_db_bind_or_null(stmt, 6, hook->auth_method_id);
    return finish_write(m, stmt, NO_WEBHOOK, err);
}

yg_rc yg_meta_webhook_put(struct yg_meta *m, yg_str old_name, const struct yg_webhook *hook,
                          struct yg_err *err) {
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = webhook_write(m, old_name, hook, err);
    rc = yg_db_write_end(m, rc, err);
    return name_clash(rc, "Webhook", hook->name, err);
}

static yg_rc webhook_read(sqlite3_stmt *stmt, struct yg_arena *arena, struct yg_webhook *hook,
                          struct yg_err *err) {
    hook->name = yg_db_column(stmt, 0, arena);
    hook->url = yg_db_column(stmt, 1, arena);
    hook->payload = yg_db_column(stmt, 2, arena);
    hook->encode_as = yg_db_column(stmt, 3, arena);
    hook->has_headers = sqlite3_column_type(stmt, 4) != SQLITE_NULL;
    hook->custom_headers = yg_db_column(stmt, 4, arena);
    hook->auth_method_id = yg_db_column(stmt, 5, arena);
    if (!hook->name.ptr || !hook->url.ptr || !hook->payload.ptr || !hook->encode_as.ptr ||
        !hook->custom_headers.ptr || !hook->auth_method_id.ptr)
        return yg_fail(err, YG_ENOMEM, "webhook: no memory");
    return YG_OK;
}

yg_rc yg_meta_webhook_get(struct yg_meta *m, yg_str name, struct yg_arena *arena,
                          struct yg_webhook *ret_hook, struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    bool row = false;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(db,
                             "SELECT name, url, payload, encode_as, custom_headers, auth_method_id"
                             " FROM webhook WHERE name = ?",
                             &stmt, err);
    if (rc == YG_OK) {
        yg_db_bind(stmt, 1, name);
        rc = yg_db_step(db, stmt, &row, err);
    }
    if (rc == YG_OK && !row)
        rc = yg_fail(err, YG_ENOTFOUND, NO_WEBHOOK);
    if (rc == YG_OK) {
        rc = webhook_read(stmt, arena, ret_hook, err);
        yg_db_done(stmt);
    }
    yg_db_read_end(m, db);
    return rc;
}

yg_rc yg_meta_webhook_delete(struct yg_meta *m, yg_str name, struct yg_err *err) {
    return delete_by_name(m, "DELETE FROM webhook WHERE name = ?", name, NO_WEBHOOK, err);
}

// ---------------------------------------------------------------- custom variables

#define NO_VARIABLE "Custom variable does not exist"

static yg_rc variable_write(struct yg_meta *m, yg_str old_name,
                            const struct yg_webhook_variable *var, struct yg_err *err) {
    sqlite3_stmt *stmt;
    if (old_name.len == 0) {
        YG_TRY(table_room(m, "SELECT count(*) FROM webhook_variable", "custom variables", err));
        YG_TRY(yg_db_prepare(&m->writer,
                             "INSERT INTO webhook_variable(name, value, is_secret)"
                             " VALUES(?1, ?2, ?3)",
                             &stmt, err));
    } else {
        YG_TRY(yg_db_prepare(&m->writer,
                             "UPDATE webhook_variable SET name=?1, value=?2, is_secret=?3"
                             " WHERE name=?4",
                             &stmt, err));
        yg_db_bind(stmt, 4, old_name);
    }
    yg_db_bind(stmt, 1, var->name);
    yg_db_bind(stmt, 2, var->value);
    sqlite3_bind_int(stmt, 3, var->is_secret);
    return finish_write(m, stmt, NO_VARIABLE, err);
}

yg_rc yg_meta_variable_put(struct yg_meta *m, yg_str old_name,
                           const struct yg_webhook_variable *var, struct yg_err *err) {
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = variable_write(m, old_name, var, err);
    rc = yg_db_write_end(m, rc, err);
    return name_clash(rc, "Custom variable", var->name, err);
}

yg_rc yg_meta_variable_delete(struct yg_meta *m, yg_str name, struct yg_err *err) {
    return delete_by_name(m, "DELETE FROM webhook_variable WHERE name = ?", name, NO_VARIABLE, err);
}

static yg_rc variable_read(sqlite3_stmt *stmt, struct yg_arena *arena,
                           struct yg_webhook_variable *var, struct yg_err *err) {
    var->name = yg_db_column(stmt, 0, arena);
    var->value = yg_db_column(stmt, 1, arena);
    var->is_secret = sqlite3_column_int(stmt, 2) != 0;
    if (!var->name.ptr || !var->value.ptr)
        return yg_fail(err, YG_ENOMEM, "custom variable: no memory");
    return YG_OK;
}

static yg_rc variables_select(struct yg_meta *m, const yg_str *name, struct yg_arena *arena,
                              struct yg_webhook_variable **ret_vars, uint32_t *ret_count,
                              struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    struct yg_webhook_variable *vars = NULL;
    uint32_t count = 0, cap = 0;
    bool row = true;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(db,
                             "SELECT name, value, is_secret FROM webhook_variable"
                             " WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
                             &stmt, err);
    if (rc == YG_OK && name)
        yg_db_bind(stmt, 1, *name);
    while (rc == YG_OK && (rc = yg_db_step(db, stmt, &row, err)) == YG_OK && row) {
        if (YG_ARENA_GROW(arena, vars, count, cap))
            rc = variable_read(stmt, arena, &vars[count++], err);
        else
            rc = yg_fail(err, YG_ENOMEM, "custom variables: no memory");
        if (rc != YG_OK)
            yg_db_done(stmt);
    }
    yg_db_read_end(m, db);
    *ret_vars = vars;
    *ret_count = count;
    return rc;
}

yg_rc yg_meta_variable_get(struct yg_meta *m, yg_str name, struct yg_arena *arena,
                           struct yg_webhook_variable *ret_var, struct yg_err *err) {
    struct yg_webhook_variable *vars;
    uint32_t count;
    YG_TRY(variables_select(m, &name, arena, &vars, &count, err));
    if (count == 0)
        return yg_fail(err, YG_ENOTFOUND, NO_VARIABLE);
    *ret_var = vars[0];
    return YG_OK;
}

yg_rc yg_meta_variable_list(struct yg_meta *m, struct yg_arena *arena,
                            struct yg_webhook_variable **ret_vars, uint32_t *ret_count,
                            struct yg_err *err) {
    return variables_select(m, NULL, arena, ret_vars, ret_count, err);
}

// ---------------------------------------------------------------- Slack

#define NO_ACCOUNT "Slack account does not exist"
#define NO_CHANNEL "Slack channel does not exist"

static yg_rc account_write(struct yg_meta *m, const struct yg_slack_account *account,
                           struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(table_room(m, "SELECT count(*) FROM slack_account", "Slack accounts", err));
    YG_TRY(yg_db_prepare(&m->writer,
                         "INSERT INTO slack_account(name, url) VALUES(?, ?)"
                         " ON CONFLICT(name) DO UPDATE SET url = excluded.url",
                         &stmt, err));
    yg_db_bind(stmt, 1, account->name);
    yg_db_bind(stmt, 2, account->url);
    return yg_db_run(&m->writer, stmt, NULL, err);
}

yg_rc yg_meta_slack_account_put(struct yg_meta *m, const struct yg_slack_account *account,
                                struct yg_err *err) {
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = account_write(m, account, err);
    return yg_db_write_end(m, rc, err);
}

yg_rc yg_meta_slack_account_delete(struct yg_meta *m, yg_str name, struct yg_err *err) {
    return delete_by_name(m, "DELETE FROM slack_account WHERE name = ?", name, NO_ACCOUNT, err);
}

static yg_rc account_read(sqlite3_stmt *stmt, struct yg_arena *arena,
                          struct yg_slack_account *account, struct yg_err *err) {
    account->name = yg_db_column(stmt, 0, arena);
    account->url = yg_db_column(stmt, 1, arena);
    if (!account->name.ptr || !account->url.ptr)
        return yg_fail(err, YG_ENOMEM, "Slack account: no memory");
    return YG_OK;
}

yg_rc yg_meta_slack_account_list(struct yg_meta *m, struct yg_arena *arena,
                                 struct yg_slack_account **ret_accounts, uint32_t *ret_count,
                                 struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    struct yg_slack_account *accounts = NULL;
    uint32_t count = 0, cap = 0;
    bool row = true;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(db, "SELECT name, url FROM slack_account ORDER BY id", &stmt, err);
    while (rc == YG_OK && (rc = yg_db_step(db, stmt, &row, err)) == YG_OK && row) {
        if (YG_ARENA_GROW(arena, accounts, count, cap))
            rc = account_read(stmt, arena, &accounts[count++], err);
        else
            rc = yg_fail(err, YG_ENOMEM, "Slack accounts: no memory");
        if (rc != YG_OK)
            yg_db_done(stmt);
    }
    yg_db_read_end(m, db);
    *ret_accounts = accounts;
    *ret_count = count;
    return rc;
}

static yg_rc account_exists(struct yg_meta *m, yg_str name, struct yg_err *err) {
    sqlite3_stmt *stmt;
    bool row;
    YG_TRY(yg_db_prepare(&m->writer, "SELECT 1 FROM slack_account WHERE name = ?", &stmt, err));
    yg_db_bind(stmt, 1, name);
    YG_TRY(yg_db_step(&m->writer, stmt, &row, err));
    if (!row)
        return yg_fail(err, YG_ENOTFOUND, NO_ACCOUNT);
    yg_db_done(stmt);
    return YG_OK;
}

static yg_rc channel_write(struct yg_meta *m, yg_str old_name,
                           const struct yg_slack_channel *channel, struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(account_exists(m, channel->account, err));
    if (old_name.len == 0) {
        YG_TRY(table_room(m, "SELECT count(*) FROM slack_channel", "Slack channels", err));
        YG_TRY(yg_db_prepare(&m->writer,
                             "INSERT INTO slack_channel(account, name, display)"
                             " VALUES(?1, ?2, ?3)",
                             &stmt, err));
    } else {
        YG_TRY(yg_db_prepare(&m->writer,
                             "UPDATE slack_channel SET name=?2, display=?3"
                             " WHERE account=?1 AND name=?4",
                             &stmt, err));
        yg_db_bind(stmt, 4, old_name);
    }
    yg_db_bind(stmt, 1, channel->account);
    yg_db_bind(stmt, 2, channel->name);
    yg_db_bind(stmt, 3, channel->display_json);
    return finish_write(m, stmt, NO_CHANNEL, err);
}

yg_rc yg_meta_slack_channel_put(struct yg_meta *m, yg_str old_name,
                                const struct yg_slack_channel *channel, struct yg_err *err) {
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = channel_write(m, old_name, channel, err);
    rc = yg_db_write_end(m, rc, err);
    return name_clash(rc, "Slack channel", channel->name, err);
}

static yg_rc channel_read(sqlite3_stmt *stmt, struct yg_arena *arena,
                          struct yg_slack_channel *channel, struct yg_err *err) {
    channel->account = yg_db_column(stmt, 0, arena);
    channel->name = yg_db_column(stmt, 1, arena);
    channel->display_json = yg_db_column(stmt, 2, arena);
    if (!channel->account.ptr || !channel->name.ptr || !channel->display_json.ptr)
        return yg_fail(err, YG_ENOMEM, "Slack channel: no memory");
    return YG_OK;
}

yg_rc yg_meta_slack_channel_list(struct yg_meta *m, yg_str account, struct yg_arena *arena,
                                 struct yg_slack_channel **ret_channels, uint32_t *ret_count,
                                 struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    struct yg_slack_channel *channels = NULL;
    uint32_t count = 0, cap = 0;
    bool row = true;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(db,
                             "SELECT account, name, display FROM slack_channel"
                             " WHERE ?1 = '' OR account = ?1 ORDER BY id",
                             &stmt, err);
    if (rc == YG_OK)
        yg_db_bind(stmt, 1, account);
    while (rc == YG_OK && (rc = yg_db_step(db, stmt, &row, err)) == YG_OK && row) {
        if (YG_ARENA_GROW(arena, channels, count, cap))
            rc = channel_read(stmt, arena, &channels[count++], err);
        else
            rc = yg_fail(err, YG_ENOMEM, "Slack channels: no memory");
        if (rc != YG_OK)
            yg_db_done(stmt);
    }
    yg_db_read_end(m, db);
    *ret_channels = channels;
    *ret_count = count;
    return rc;
}

yg_rc yg_meta_slack_channel_delete(struct yg_meta *m, yg_str account, yg_str name,
                                   struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = yg_db_prepare(&m->writer, "DELETE FROM slack_channel WHERE account = ? AND name = ?",
                             &stmt, err);
    if (rc == YG_OK) {
        yg_db_bind(stmt, 1, account);
        yg_db_bind(stmt, 2, name);
        rc = finish_write(m, stmt, NO_CHANNEL, err);
    }
    return yg_db_write_end(m, rc, err);
}

// ---------------------------------------------------------------- metric metadata

static yg_rc metric_write(struct yg_meta *m, const struct yg_metric_meta *meta,
                          struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(table_room(m, "SELECT count(*) FROM metric", "metrics with metadata", err));
    YG_TRY(yg_db_prepare(&m->writer,
                         "INSERT OR REPLACE INTO metric(name, type, description, short_name, unit,"
                         " per_unit, statsd_interval) VALUES(?, ?, ?, ?, ?, ?, ?)",
                         &stmt, err));
    yg_db_bind(stmt, 1, meta->name);
    yg_db_bind_or_null(stmt, 2, meta->type);
    yg_db_bind_or_null(stmt, 3, meta->description);
    yg_db_bind_or_null(stmt, 4, meta->short_name);
    yg_db_bind_or_null(stmt, 5, meta->unit);
    yg_db_bind_or_null(stmt, 6, meta->per_unit);
    sqlite3_bind_int64(stmt, 7, meta->statsd_interval);
    return yg_db_run(&m->writer, stmt, NULL, err);
}

yg_rc yg_meta_metric_put(struct yg_meta *m, const struct yg_metric_meta *meta, struct yg_err *err) {
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = metric_write(m, meta, err);
    return yg_db_write_end(m, rc, err);
}

static yg_rc metric_read(sqlite3_stmt *stmt, struct yg_arena *arena, struct yg_metric_meta *meta,
                         struct yg_err *err) {
    yg_str *const texts[] = {&meta->name,       &meta->type, &meta->description,
                             &meta->short_name, &meta->unit, &meta->per_unit};
    for (int i = 0; i < 6; i++) {
        *texts[i] = yg_db_column(stmt, i, arena);
        if (!texts[i]->ptr)
            return yg_fail(err, YG_ENOMEM, "metric metadata: no memory");
    }
    meta->statsd_interval = sqlite3_column_int64(stmt, 6);
    return YG_OK;
}

yg_rc yg_meta_metric_get(struct yg_meta *m, yg_str name, struct yg_arena *arena,
                         struct yg_metric_meta *ret_meta, struct yg_err *err) {
    struct yg_db *db;
    sqlite3_stmt *stmt;
    bool row = false;
    YG_TRY(yg_db_read_begin(m, &db, err));
    yg_rc rc = yg_db_prepare(db,
                             "SELECT name, type, description, short_name, unit, per_unit,"
                             " statsd_interval FROM metric WHERE name = ?",
                             &stmt, err);
    if (rc == YG_OK) {
        yg_db_bind(stmt, 1, name);
        rc = yg_db_step(db, stmt, &row, err);
    }
    if (rc == YG_OK && !row)
        rc = yg_fail(err, YG_ENOTFOUND, "metric has no metadata");
    if (rc == YG_OK) {
        rc = metric_read(stmt, arena, ret_meta, err);
        yg_db_done(stmt);
    }
    yg_db_read_end(m, db);
    return rc;
}
