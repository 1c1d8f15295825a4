// SPDX-License-Identifier: Apache-2.0
// SQLite behind meta: the schema's migrations, one writer, pooled readers, cached statements.
//
// WAL mode with synchronous=FULL: a committed transaction survives a power cut. A reader never
// waits for the writer. Lock order: write_lock, then pool_lock or key_lock; no lock is held while a
// reader's rows are copied.
#include "meta/db.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/panic.h"

#define BUSY_TIMEOUT_MS 5000

// Append only: entry n takes a database from version n to n + 1.
static const char *const migrations[] = {
    // 1: organisation, people, keys
    "CREATE TABLE org(id INTEGER PRIMARY KEY, public_id TEXT NOT NULL, name TEXT NOT NULL, "
    "created_ns INTEGER NOT NULL);"
    "CREATE TABLE user(id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, handle "
    "TEXT NOT NULL UNIQUE,"
    "  email TEXT NOT NULL, name TEXT NOT NULL, created_ns INTEGER NOT NULL);"
    "CREATE TABLE key(id TEXT PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL, hash BLOB "
    "NOT NULL UNIQUE,"
    "  last4 TEXT NOT NULL, user_id INTEGER NOT NULL REFERENCES user(id), created_ns INTEGER NOT "
    "NULL,"
    "  revoked_ns INTEGER NOT NULL DEFAULT 0);"
    // monitors
    "CREATE TABLE monitor(id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, name TEXT NOT "
    "NULL,"
    "  query TEXT NOT NULL, message TEXT NOT NULL, tags TEXT NOT NULL, options TEXT NOT NULL, "
    "restricted_roles TEXT,"
    "  restriction_policy TEXT, assets TEXT NOT NULL, draft_status TEXT NOT NULL, priority INTEGER "
    "NOT NULL,"
    "  multi INTEGER NOT NULL, creator_id INTEGER NOT NULL REFERENCES user(id), created_ns INTEGER "
    "NOT NULL,"
    "  modified_ns INTEGER NOT NULL, overall_state INTEGER NOT NULL, overall_modified_ns INTEGER "
    "NOT NULL);"
    "INSERT INTO sqlite_sequence(name, seq) VALUES('monitor', 100000);"
    "CREATE TABLE monitor_group(monitor_id INTEGER NOT NULL REFERENCES monitor(id) ON DELETE "
    "CASCADE,"
    "  grp TEXT NOT NULL, state INTEGER NOT NULL, value REAL, since_ns INTEGER NOT NULL, "
    "evaluated_ns INTEGER NOT NULL,"
    "  first_seen_ns INTEGER NOT NULL, last_data_ns INTEGER NOT NULL, last_triggered_ns INTEGER "
    "NOT NULL,"
    "  last_resolved_ns INTEGER NOT NULL, last_nodata_ns INTEGER NOT NULL, first_triggered_ns "
    "INTEGER NOT NULL,"
    "  last_notified_ns INTEGER NOT NULL, renotify_count INTEGER NOT NULL, cycle INTEGER NOT NULL,"
    "  PRIMARY KEY(monitor_id, grp)) WITHOUT ROWID;"
    "CREATE TABLE transition(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  monitor_id INTEGER NOT NULL REFERENCES monitor(id) ON DELETE CASCADE, grp TEXT NOT NULL, "
    "at_ns INTEGER NOT NULL,"
    "  from_state INTEGER NOT NULL, to_state INTEGER NOT NULL, kind TEXT NOT NULL, value REAL,"
    "  window_from_ns INTEGER NOT NULL, window_to_ns INTEGER NOT NULL);"
    "CREATE INDEX transition_monitor ON transition(monitor_id, at_ns);"
    "CREATE INDEX transition_at ON transition(at_ns);"
    "CREATE TABLE message(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  monitor_id INTEGER NOT NULL,"
    "  transition_id INTEGER NOT NULL REFERENCES transition(id) ON DELETE CASCADE, grp TEXT NOT "
    "NULL,"
    "  target TEXT NOT NULL, kind INTEGER NOT NULL, receiver TEXT NOT NULL, facts TEXT NOT NULL, "
    "state INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL, due_ns INTEGER NOT NULL, created_ns INTEGER NOT NULL, done_ns "
    "INTEGER NOT NULL,"
    "  last_status INTEGER NOT NULL, last_error TEXT NOT NULL);"
    "CREATE INDEX message_pending ON message(monitor_id, grp, target, seq) WHERE state = 0;"
    "CREATE INDEX message_transition ON message(transition_id);"
    // integrations
    "CREATE TABLE webhook(name TEXT PRIMARY KEY, url TEXT NOT NULL, payload TEXT NOT NULL, "
    "encode_as TEXT NOT NULL,"
    "  custom_headers TEXT, auth_method_id TEXT);"
    "CREATE TABLE webhook_variable(name TEXT PRIMARY KEY, value TEXT NOT NULL, is_secret INTEGER "
    "NOT NULL);"
    "CREATE TABLE slack_account(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, "
    "url TEXT NOT NULL);"
    "CREATE TABLE slack_channel(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  account TEXT NOT NULL REFERENCES slack_account(name) ON DELETE CASCADE ON UPDATE CASCADE, "
    "name TEXT NOT NULL,"
    "  display TEXT NOT NULL, UNIQUE(account, name));"
    "CREATE TABLE metric(name TEXT PRIMARY KEY, type TEXT, description TEXT, short_name TEXT, unit "
    "TEXT, per_unit TEXT,"
    "  statsd_interval INTEGER NOT NULL);",
};
#define MIGRATION_COUNT ((int)(sizeof(migrations) / sizeof(migrations[0])))

static yg_rc fail_sqlite(struct yg_db *db, int code, const char *what, struct yg_err *err) {
    yg_rc rc = YG_EIO;
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        rc = YG_ECORRUPT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        rc = YG_EBUSY;
        break;
    case SQLITE_CONSTRAINT:
        rc = YG_ECONFLICT;
        break;
    case SQLITE_NOMEM:
        rc = YG_ENOMEM;
        break;
    default:
        break;
    }
    return yg_fail(err, rc, "configuration database: %s: %s", what,
                   db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
}

yg_rc yg_db_exec(struct yg_db *db, const char *sql, struct yg_err *err) {
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? YG_OK : fail_sqlite(db, code, "statement", err);
}

yg_rc yg_db_open(struct yg_db *db, const char *path, bool writer, struct yg_err *err) {
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE | (writer ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (code != SQLITE_OK) {
        yg_rc rc = fail_sqlite(db, code, path, err);
        yg_db_close(db);
        return rc;
    }
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    yg_rc rc =
        yg_db_exec(db,
                   "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                   "PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY",
                   err);
    if (rc == YG_OK && !writer)
        rc = yg_db_exec(db, "PRAGMA query_only=ON", err);
    if (rc != YG_OK)
        yg_db_close(db);
    return rc;
}

void yg_db_close(struct yg_db *db) {
    for (uint32_t i = 0; i < db->cache_count; i++)
        sqlite3_finalize(db->cache[i].stmt);
    db->cache_count = 0;
    sqlite3_close(db->handle);
    db->handle = NULL;
}

static yg_rc version_read(struct yg_db *db, int *ret_version, struct yg_err *err) {
    sqlite3_stmt *stmt;
    bool row = false;
    YG_TRY(yg_db_prepare(db, "PRAGMA user_version", &stmt, err));
    YG_TRY(yg_db_step(db, stmt, &row, err));
    *ret_version = row ? sqlite3_column_int(stmt, 0) : 0;
    yg_db_done(stmt);
    return YG_OK;
}

static yg_rc migrate_one(struct yg_db *db, int version, struct yg_err *err) {
    char pragma[48];
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", version + 1);
    YG_TRY(yg_db_exec(db, "BEGIN IMMEDIATE", err));
    yg_rc rc = yg_db_exec(db, migrations[version], err);
    if (rc == YG_OK)
        rc = yg_db_exec(db, pragma, err);
    if (rc == YG_OK)
        rc = yg_db_exec(db, "COMMIT", err);
    if (rc != YG_OK) {
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
        yg_err_wrap(err, "migration %d", version + 1);
    }
    return rc;
}

yg_rc yg_db_migrate(struct yg_db *db, struct yg_err *err) {
    int version = 0;
    YG_TRY(version_read(db, &version, err));
    if (version > MIGRATION_COUNT)
        return yg_fail(err, YG_ECORRUPT,
                       "configuration database has version %d; this program knows %d", version,
                       MIGRATION_COUNT);
    for (; version < MIGRATION_COUNT; version++)
        YG_TRY(migrate_one(db, version, err));
    return YG_OK;
}

static struct yg_db *reader_take(struct yg_meta *m, bool *ret_may_open) {
    pthread_mutex_lock(&m->pool_lock);
    struct yg_db *db = m->free_readers;
    if (db)
        m->free_readers = db->next_free;
    *ret_may_open = !db && m->reader_count < YG_DB_READERS_MAX;
    if (*ret_may_open)
        m->reader_count++;
    pthread_mutex_unlock(&m->pool_lock);
    return db;
}

static void reader_give(struct yg_meta *m, struct yg_db *db) {
    pthread_mutex_lock(&m->pool_lock);
    db->next_free = m->free_readers;
    m->free_readers = db;
    pthread_mutex_unlock(&m->pool_lock);
}

static yg_rc reader_open(struct yg_meta *m, struct yg_db **ret_db, struct yg_err *err) {
    struct yg_db *db = yg_calloc(YG_MEM_META, 1, sizeof(*db));
    yg_rc rc = yg_db_open(db, m->path, false, err);
    if (rc != YG_OK) {
        yg_free(YG_MEM_META, db);
        pthread_mutex_lock(&m->pool_lock);
        m->reader_count--;
        pthread_mutex_unlock(&m->pool_lock);
        return rc;
    }
    *ret_db = db;
    return YG_OK;
}

yg_rc yg_db_read_begin(struct yg_meta *m, struct yg_db **ret_db, struct yg_err *err) {
    YG_CHECK(m, YG_META_MAGIC);
    bool may_open;
    struct yg_db *db = reader_take(m, &may_open);
    if (!db && !may_open)
        return yg_fail(err, YG_EBUSY, "configuration database: all %d readers are in use",
                       YG_DB_READERS_MAX);
    if (!db)
        YG_TRY(reader_open(m, &db, err));
    yg_rc rc = yg_db_exec(db, "BEGIN", err);
    if (rc != YG_OK) {
        reader_give(m, db);
        return rc;
    }
    *ret_db = db;
    return YG_OK;
}

void yg_db_read_end(struct yg_meta *m, struct yg_db *db) {
    if (!db)
        return;
    sqlite3_exec(db->handle, "COMMIT", NULL, NULL, NULL);
    reader_give(m, db);
}

yg_rc yg_db_write_begin(struct yg_meta *m, struct yg_err *err) {
    YG_CHECK(m, YG_META_MAGIC);
    pthread_mutex_lock(&m->write_lock);
    yg_rc rc = yg_db_exec(&m->writer, "BEGIN IMMEDIATE", err);
    if (rc != YG_OK)
        pthread_mutex_unlock(&m->write_lock);
    return rc;
}

yg_rc yg_db_write_end(struct yg_meta *m, yg_rc rc, struct yg_err *err) {
    if (rc == YG_OK)
        rc = yg_db_exec(&m->writer, "COMMIT", err);
    if (rc != YG_OK)
        sqlite3_exec(m->writer.handle, "ROLLBACK", NULL, NULL, NULL);
    pthread_mutex_unlock(&m->write_lock);
    return rc;
}

yg_rc yg_db_prepare(struct yg_db *db, const char *sql, sqlite3_stmt **ret_stmt,
                    struct yg_err *err) {
    for (uint32_t i = 0; i < db->cache_count; i++) {
        if (db->cache[i].sql == sql) {
            yg_db_done(db->cache[i].stmt);
            *ret_stmt = db->cache[i].stmt;
            return YG_OK;
        }
    }
    YG_ASSERT(db->cache_count < YG_DB_STATEMENTS_MAX);
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (code != SQLITE_OK)
        return fail_sqlite(db, code, "prepare", err);
    db->cache[db->cache_count].sql = sql;
    db->cache[db->cache_count++].stmt = stmt;
    *ret_stmt = stmt;
    return YG_OK;
}

yg_rc yg_db_step(struct yg_db *db, sqlite3_stmt *stmt, bool *ret_row, struct yg_err *err) {
    int code = sqlite3_step(stmt);
    *ret_row = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return YG_OK;
    yg_rc rc = code == SQLITE_DONE ? YG_OK : fail_sqlite(db, code, "step", err);
    yg_db_done(stmt);
    return rc;
}

yg_rc yg_db_run(struct yg_db *db, sqlite3_stmt *stmt, int *ret_changed, struct yg_err *err) {
    bool row;
    YG_TRY(yg_db_step(db, stmt, &row, err));
    YG_ASSERT(!row);
    if (ret_changed)
        *ret_changed = sqlite3_changes(db->handle);
    return YG_OK;
}

void yg_db_done(sqlite3_stmt *stmt) {
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

void yg_db_bind(sqlite3_stmt *stmt, int at, yg_str s) {
    int code = sqlite3_bind_text64(stmt, at, s.ptr ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
    YG_ASSERT(code == SQLITE_OK);
}

void yg_db_bind_or_null(sqlite3_stmt *stmt, int at, yg_str s) {
    if (s.len)
        yg_db_bind(stmt, at, s);
    else
        sqlite3_bind_null(stmt, at);
}

yg_str yg_db_column(sqlite3_stmt *stmt, int at, struct yg_arena *arena) {
    const char *text = (const char *)sqlite3_column_text(stmt, at);
    size_t len = (size_t)sqlite3_column_bytes(stmt, at);
    return text ? yg_arena_str(arena, yg_str_n(text, len)) : (yg_str){"", 0};
}

void yg_db_column_fixed(sqlite3_stmt *stmt, int at, char *out, size_t out_bytes) {
    const char *text = (const char *)sqlite3_column_text(stmt, at);
    snprintf(out, out_bytes, "%s", text ? text : "");
}
