// SPDX-License-Identifier: Apache-2.0
// Private to meta: connections, statements, transactions.
#ifndef YG_META_DB_H
#define YG_META_DB_H

#include "base/map.h"
#include "meta/meta.h"
#include <pthread.h>
#include <sqlite3.h>

#define YG_DB_STATEMENTS_MAX 96
#define YG_DB_READERS_MAX 64

// One connection with the statements prepared on it so far. Used by one thread at a time.
struct yg_db {
    sqlite3 *handle;
    struct {
        const char *sql; // the literal's address is the key
        sqlite3_stmt *stmt;
    } cache[YG_DB_STATEMENTS_MAX];
    uint32_t cache_count;
    struct yg_db *next_free;
};

struct yg_meta {
    uint32_t magic;
    const struct yg_clock *clock;
    char *path;
    pthread_mutex_t write_lock; // holder owns `writer`
    struct yg_db writer;
    pthread_mutex_t pool_lock; // guards free_readers, reader_count
    struct yg_db *free_readers;
    uint32_t reader_count;
    pthread_rwlock_t key_lock; // guards the two sets; taken after write_lock
    struct yg_map keys[2];     // SHA-256 of each valid key
    char *org_id;
    char *org_name;
    struct yg_user user;
};

#define YG_META_MAGIC 0x3e7a0bd1u

// ---- connections
yg_rc yg_db_open(struct yg_db *db, const char *path, bool writer, struct yg_err *err) YG_MUST_USE;
void yg_db_close(struct yg_db *db);
yg_rc yg_db_migrate(struct yg_db *db, struct yg_err *err) YG_MUST_USE;
// A connection for reading, inside a read transaction so that several statements see one state.
yg_rc yg_db_read_begin(struct yg_meta *m, struct yg_db **ret_db, struct yg_err *err) YG_MUST_USE;
void yg_db_read_end(struct yg_meta *m, struct yg_db *db);
// The writer, inside a transaction. Every success of begin is followed by exactly one end: commit
// when rc is OK (its failure becomes the result), else roll back and give rc.
yg_rc yg_db_write_begin(struct yg_meta *m, struct yg_err *err) YG_MUST_USE;
yg_rc yg_db_write_end(struct yg_meta *m, yg_rc rc, struct yg_err *err) YG_MUST_USE;

// ---- statements: prepare gives a clean one; sql must be a literal (its address is the cache's
// key)
yg_rc yg_db_prepare(struct yg_db *db, const char *sql, sqlite3_stmt **ret_stmt,
                    struct yg_err *err) YG_MUST_USE;
yg_rc yg_db_step(struct yg_db *db, sqlite3_stmt *stmt, bool *ret_row,
                 struct yg_err *err) YG_MUST_USE;
// For statements that give no row; *ret_changed (may be NULL): rows touched.
yg_rc yg_db_run(struct yg_db *db, sqlite3_stmt *stmt, int *ret_changed,
                struct yg_err *err) YG_MUST_USE;
yg_rc yg_db_exec(struct yg_db *db, const char *sql, struct yg_err *err) YG_MUST_USE;
void yg_db_done(sqlite3_stmt *stmt); // give back a statement whose rows were not all read

// ---- values: bind borrows for the run (until done/run), column copies into the arena
void yg_db_bind(sqlite3_stmt *stmt, int at, yg_str s);                   // NULL ptr binds ''
void yg_db_bind_or_null(sqlite3_stmt *stmt, int at, yg_str s);           // empty binds NULL
yg_str yg_db_column(sqlite3_stmt *stmt, int at, struct yg_arena *arena); // NULL: empty
void yg_db_column_fixed(sqlite3_stmt *stmt, int at, char *out,
                        size_t out_bytes); // cut to fit, NUL-terminated

// ---- parts
yg_rc yg_meta_keys_load(struct yg_meta *m, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_keys_first(struct yg_meta *m, const struct yg_meta_options *options,
                         struct yg_meta_first_keys *ret_first, struct yg_err *err) YG_MUST_USE;

#endif
