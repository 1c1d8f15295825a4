// SPDX-License-Identifier: Apache-2.0
// catalog.db. A publication is one transaction; nothing else makes a segment file count.
#include "store/catalog.h"

#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"

#define SCHEMA_VERSION "3"
#define SEGMENT_NUMBERS 12
#define DELETION_NUMBERS 8
#define MARK_METRICS (-1) // marks: the metric engine; 0 … are shards

struct yg_catalog {
    sqlite3 *db;
    char *path;
};

static yg_rc fail(struct yg_catalog *c, const char *what, struct yg_err *err) {
    int code = sqlite3_errcode(c->db) & 0xff;
    yg_rc rc = code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? YG_ECORRUPT : YG_EIO;
    return yg_fail(err, rc, "%s: %s: %s", c->path, what, sqlite3_errmsg(c->db));
}

static yg_rc exec(struct yg_catalog *c, const char *sql, struct yg_err *err) {
    if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(c, "catalogue", err);
    return YG_OK;
}

static yg_rc prepare(struct yg_catalog *c, const char *sql, sqlite3_stmt **ret_stmt,
                     struct yg_err *err) {
    if (sqlite3_prepare_v2(c->db, sql, -1, ret_stmt, NULL) != SQLITE_OK)
        return fail(c, "prepare", err);
    return YG_OK;
}

#define SEGMENTS_TABLE                                                                             \
    "(id INTEGER PRIMARY KEY, track INTEGER NOT NULL, day INTEGER NOT NULL,"                       \
    " level INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,"                      \
    " granules INTEGER NOT NULL, min_time INTEGER NOT NULL, max_time INTEGER NOT NULL,"            \
    " max_sequence INTEGER NOT NULL, index_id INTEGER NOT NULL, deletion INTEGER NOT NULL,"        \
    " state TEXT NOT NULL, crc INTEGER NOT NULL);"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS marks(shard INTEGER PRIMARY KEY, sequence INTEGER NOT NULL,"
    " crc INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS segments" SEGMENTS_TABLE
    "CREATE TABLE IF NOT EXISTS trace_versions(trace_id BLOB PRIMARY KEY,"
    " version INTEGER NOT NULL, day INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS indexes(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS deletions(id INTEGER PRIMARY KEY, track INTEGER NOT NULL,"
    " from_time INTEGER NOT NULL, to_time INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    " created INTEGER NOT NULL, rows INTEGER NOT NULL, state INTEGER NOT NULL,"
    " query TEXT NOT NULL, crc INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO indexes VALUES(0,'main');"
    "INSERT OR IGNORE INTO meta VALUES('schema','" SCHEMA_VERSION "');";

// SQLite has no checksums: rows whose change would show wrong data carry one.
static int64_t row_crc(const int64_t *values, int count) {
    return yg_crc32c(0, values, sizeof(*values) * (size_t)count);
}

static const char *const state_names[] = {NULL, "live", "pending", "dead"};

// Of the numbers and the state.
static int64_t segment_crc(const int64_t *values, enum yg_catalog_state state) {
    const int64_t last = state;
    return yg_crc32c((uint32_t)row_crc(values, SEGMENT_NUMBERS), &last, sizeof(last));
}

// Schema 2 (the first that was released) had neither indexes nor deletions; its checksum was of the
// first ten numbers alone. A row that fails it stays one that fails.
#define SCHEMA_2_NUMBERS 10
static yg_rc move_rows(struct yg_catalog *c, sqlite3_stmt *from, sqlite3_stmt *to,
                       struct yg_err *err) {
    int code;
    while ((code = sqlite3_step(from)) == SQLITE_ROW) {
        int64_t v[SEGMENT_NUMBERS] = {0};
        for (int k = 0; k < SCHEMA_2_NUMBERS; k++)
            v[k] = sqlite3_column_int64(from, k);
        const char *state = (const char *)sqlite3_column_text(from, SCHEMA_2_NUMBERS);
        bool good =
            row_crc(v, SCHEMA_2_NUMBERS) == sqlite3_column_int64(from, SCHEMA_2_NUMBERS + 1) &&
            state && strcmp(state, "live") == 0;
        for (int k = 0; k < SEGMENT_NUMBERS; k++)
            (void)sqlite3_bind_int64(to, k + 1, v[k]);
        int64_t crc = segment_crc(v, YG_CATALOG_LIVE);
        (void)sqlite3_bind_int64(to, SEGMENT_NUMBERS + 1, good ? crc : ~crc);
        if (sqlite3_step(to) != SQLITE_DONE)
            return fail(c, "schema 2", err);
        (void)sqlite3_reset(to);
    }
    return code == SQLITE_DONE ? YG_OK : fail(c, "schema 2", err);
}

static yg_rc from_schema_2(struct yg_catalog *c, struct yg_err *err) {
    YG_TRY(exec(c, "BEGIN IMMEDIATE; ALTER TABLE segments RENAME TO segments_2;", err));
    yg_rc rc = exec(c, schema, err);
    sqlite3_stmt *from = NULL, *to = NULL;
    if (rc == YG_OK)
        rc = prepare(c,
                     "SELECT id,track,day,level,rows,bytes,granules,min_time,max_time,"
                     "max_sequence,state,crc FROM segments_2",
                     &from, err);
    if (rc == YG_OK)
        rc = prepare(c, "INSERT INTO segments VALUES(?,?,?,?,?,?,?,?,?,?,?,?,'live',?)", &to, err);
    if (rc == YG_OK)
        rc = move_rows(c, from, to, err);
    (void)sqlite3_finalize(from);
    (void)sqlite3_finalize(to);
    if (rc == YG_OK)
        rc = exec(c,
                  "DROP TABLE segments_2; UPDATE meta SET value='" SCHEMA_VERSION
                  "' WHERE key='schema'; COMMIT;",
                  err);
    if (rc != YG_OK)
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static bool has_meta(struct yg_catalog *c) {
    sqlite3_stmt *st;
    struct yg_err err;
    bool has = prepare(c, "SELECT 1 FROM sqlite_master WHERE name='meta'", &st, &err) == YG_OK;
    if (has) {
        has = sqlite3_step(st) == SQLITE_ROW;
        (void)sqlite3_finalize(st);
    }
    return has;
}

static void refresh_copy(struct yg_catalog *c);

// Makes what is not there; brings an older schema up to this one.
static yg_rc set_up(struct yg_catalog *c, struct yg_err *err) {
    char version[16];
    YG_TRY(exec(c, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", err));
    if (has_meta(c) && yg_catalog_get(c, "schema", version, sizeof(version), err) == YG_OK &&
        strcmp(version, "2") == 0)
        return from_schema_2(c, err);
    return exec(c, schema, err);
}

static yg_rc check_schema(struct yg_catalog *c, struct yg_err *err) {
    char version[16];
    YG_TRY(yg_catalog_get(c, "schema", version, sizeof(version), err));
    if (strcmp(version, "2") == 0)
        return yg_fail(err, YG_EINPUT, "%s: schema 2: a server that starts here brings it up",
                       c->path);
    if (strcmp(version, SCHEMA_VERSION) != 0)
        return yg_fail(err, YG_ECORRUPT, "%s: schema %s, this build reads " SCHEMA_VERSION, c->path,
                       version);
    return YG_OK;
}

static yg_rc open_with(const char *path, int flags, struct yg_catalog **ret_catalog,
                       struct yg_err *err) {
    struct yg_catalog *c = yg_calloc(YG_MEM_STORE, 1, sizeof(*c));
    c->path = yg_strndup(YG_MEM_STORE, path, strlen(path));
    yg_rc rc = sqlite3_open_v2(path, &c->db, flags | SQLITE_OPEN_FULLMUTEX, NULL) == SQLITE_OK
                   ? YG_OK
                   : fail(c, "open", err);
    if (rc == YG_OK && (flags & SQLITE_OPEN_READWRITE))
        rc = set_up(c, err);
    if (rc == YG_OK)
        rc = check_schema(c, err);
    if (rc == YG_OK && (flags & SQLITE_OPEN_READWRITE))
        refresh_copy(c);
    if (rc == YG_OK)
        *ret_catalog = c;
    else
        yg_catalog_close(c);
    return rc;
}

yg_rc yg_catalog_open(const char *path, struct yg_catalog **ret_catalog, struct yg_err *err) {
    return open_with(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, ret_catalog, err);
}

yg_rc yg_catalog_open_readonly(const char *path, struct yg_catalog **ret_catalog,
                               struct yg_err *err) {
    return open_with(path, SQLITE_OPEN_READONLY, ret_catalog, err);
}

void yg_catalog_close(struct yg_catalog *c) {
    if (c == NULL)
        return;
    (void)sqlite3_close(c->db);
    yg_free(YG_MEM_STORE, c->path);
    yg_free(YG_MEM_STORE, c);
}

// ------------------------------------------------------------ publication

static yg_rc step_done(struct yg_catalog *c, sqlite3_stmt *st, struct yg_err *err) {
    if (sqlite3_step(st) != SQLITE_DONE)
        return fail(c, "write", err);
    (void)sqlite3_reset(st);
    return YG_OK;
}

// How many segment rows there are, so that one that vanished is missed.
static const char count_rows[] = "INSERT OR REPLACE INTO meta SELECT 'segments', count(*) FROM "
                                 "segments";

static yg_rc insert_segments(struct yg_catalog *c, const struct yg_catalog_segment *segments,
                             uint32_t count, enum yg_catalog_state state, struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "INSERT OR REPLACE INTO segments VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)", &st,
                   err));
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < count && rc == YG_OK; i++) {
        const struct yg_catalog_segment *s = &segments[i];
        const int64_t values[SEGMENT_NUMBERS] = {
            (int64_t)s->id,   (int64_t)s->track,        s->day,      (int64_t)s->level,
            (int64_t)s->rows, (int64_t)s->bytes,        s->granules, s->min_time_ns,
            s->max_time_ns,   (int64_t)s->max_sequence, s->index_id, (int64_t)s->deletion};
        for (int k = 0; k < SEGMENT_NUMBERS; k++)
            (void)sqlite3_bind_int64(st, k + 1, values[k]);
        (void)sqlite3_bind_text(st, SEGMENT_NUMBERS + 1, state_names[state], -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(st, SEGMENT_NUMBERS + 2, segment_crc(values, state));
        rc = step_done(c, st, err);
    }
    (void)sqlite3_finalize(st);
    return rc;
}

static yg_rc insert_versions(struct yg_catalog *c, const struct yg_catalog_publication *p,
                             struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "INSERT OR REPLACE INTO trace_versions VALUES(?,?,?)", &st, err));
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < p->version_count && rc == YG_OK; i++) {
        const struct yg_catalog_version *v = &p->versions[i];
        (void)sqlite3_bind_blob(st, 1, &v->id, sizeof(v->id), SQLITE_STATIC);
        (void)sqlite3_bind_int64(st, 2, (int64_t)v->version);
        (void)sqlite3_bind_int64(st, 3, v->day);
        rc = step_done(c, st, err);
    }
    (void)sqlite3_finalize(st);
    return rc;
}

static yg_rc set_marks(struct yg_catalog *c, const struct yg_catalog_publication *p,
                       struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "INSERT OR REPLACE INTO marks VALUES(?,?,?)", &st, err));
    yg_rc rc = YG_OK;
    for (int shard = MARK_METRICS; shard < (int)p->shard_count && rc == YG_OK; shard++) {
        uint64_t mark = shard == MARK_METRICS ? p->metrics_low_water : p->low_water;
        (void)sqlite3_bind_int(st, 1, shard);
        (void)sqlite3_bind_int64(st, 2, (int64_t)mark);
        const int64_t row[] = {shard, (int64_t)mark};
        (void)sqlite3_bind_int64(st, 3, row_crc(row, 2));
        rc = step_done(c, st, err);
    }
    (void)sqlite3_finalize(st);
    return rc;
}

static void take_copy(struct yg_catalog *c);

// Ends a transaction whose steps gave rc. A commit that reports an error may have happened all the
// same: each names itself, so that one can look. The copy follows before anything is removed that
// the transaction made superfluous: a copy that is one transaction behind is as good.
static yg_rc commit(struct yg_catalog *c, yg_rc rc, struct yg_err *err) {
    char name[YG_UUID_TEXT_BYTES], found[YG_UUID_TEXT_BYTES] = "";
    yg_uuid_v4(name);
    if (rc == YG_OK)
        rc = yg_catalog_set(c, "publication", name, err);
    if (rc == YG_OK)
        rc = exec(c, "COMMIT", err);
    struct yg_err look;
    if (rc != YG_OK) {
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
        if (yg_catalog_get(c, "publication", found, sizeof(found), &look) == YG_OK &&
            strcmp(found, name) == 0)
            rc = YG_OK;
    }
    if (rc == YG_OK)
        take_copy(c);
    return rc;
}

static const char forget_segment[] = "DELETE FROM segments WHERE id=?";

// Steps a statement of one number over the ids.
static yg_rc for_ids(struct yg_catalog *c, const char *sql, const uint64_t *ids, uint32_t count,
                     struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, sql, &st, err));
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < count && rc == YG_OK; i++) {
        (void)sqlite3_bind_int64(st, 1, (int64_t)ids[i]);
        rc = step_done(c, st, err);
    }
    (void)sqlite3_finalize(st);
    return rc;
}

yg_rc yg_catalog_publish(struct yg_catalog *c, const struct yg_catalog_publication *p,
                         struct yg_err *err) {
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    yg_rc rc = for_ids(c, forget_segment, p->voided, p->voided_count, err);
    if (rc == YG_OK)
        rc = insert_segments(c, p->listed, p->listed_count, YG_CATALOG_LIVE, err);
    if (rc == YG_OK)
        rc = insert_segments(c, p->segments, p->segment_count, YG_CATALOG_LIVE, err);
    if (rc == YG_OK)
        rc = insert_versions(c, p, err);
    if (rc == YG_OK)
        rc = set_marks(c, p, err);
    if (rc == YG_OK)
        rc = exec(c, count_rows, err);
    if (rc == YG_OK)
        rc = yg_catalog_set(c, "open_traces", p->checkpoint, err);
    return commit(c, rc, err);
}

yg_rc yg_catalog_pend(struct yg_catalog *c, const struct yg_catalog_segment *segments,
                      uint32_t count, struct yg_err *err) {
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    yg_rc rc = insert_segments(c, segments, count, YG_CATALOG_PENDING, err);
    if (rc == YG_OK)
        rc = exec(c, count_rows, err);
    return commit(c, rc, err);
}

static const char select_segments[] =
    "SELECT id,track,day,level,rows,bytes,granules,min_time,max_time,max_sequence,index_id,"
    "deletion,state,crc FROM segments ";

static bool read_segment(sqlite3_stmt *st, struct yg_catalog_segment *ret_segment);

// A row is read, checked and written anew: its checksum covers the state.
static yg_rc mark_dead(struct yg_catalog *c, const uint64_t *ids, uint32_t count,
                       struct yg_err *err) {
    char sql[sizeof(select_segments) + 16];
    (void)snprintf(sql, sizeof(sql), "%sWHERE id=?", select_segments);
    sqlite3_stmt *st;
    YG_TRY(prepare(c, sql, &st, err));
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < count && rc == YG_OK; i++) {
        struct yg_catalog_segment s;
        (void)sqlite3_bind_int64(st, 1, (int64_t)ids[i]);
        if (sqlite3_step(st) != SQLITE_ROW || !read_segment(st, &s))
            rc = yg_fail(err, YG_ECORRUPT, "%s: segment %llu is missing or damaged", c->path,
                         (unsigned long long)ids[i]);
        (void)sqlite3_reset(st);
        if (rc == YG_OK)
            rc = insert_segments(c, &s, 1, YG_CATALOG_DEAD, err);
    }
    (void)sqlite3_finalize(st);
    return rc;
}

yg_rc yg_catalog_change(struct yg_catalog *c, const struct yg_catalog_change *change,
                        struct yg_err *err) {
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    yg_rc rc = mark_dead(c, change->gone, change->gone_count, err);
    if (rc == YG_OK)
        rc = insert_segments(c, change->add, change->add_count, YG_CATALOG_LIVE, err);
    if (rc == YG_OK)
        rc = exec(c, count_rows, err);
    return commit(c, rc, err);
}

yg_rc yg_catalog_forget(struct yg_catalog *c, const uint64_t *ids, uint32_t count,
                        struct yg_err *err) {
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    yg_rc rc = for_ids(c, forget_segment, ids, count, err);
    if (rc == YG_OK)
        rc = exec(c, count_rows, err);
    return commit(c, rc, err);
}

static yg_rc delete_versions(struct yg_catalog *c, int32_t day, struct yg_err *err) {
    char sql[80];
    (void)snprintf(sql, sizeof(sql), "DELETE FROM trace_versions WHERE day<%d", (int)day);
    return exec(c, sql, err);
}

yg_rc yg_catalog_forget_versions(struct yg_catalog *c, int32_t day, struct yg_err *err) {
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    return commit(c, delete_versions(c, day, err), err);
}

yg_rc yg_catalog_drop_days(struct yg_catalog *c, enum yg_track track, uint32_t index_id,
                           int32_t day, struct yg_err *err) {
    char sql[160];
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    (void)snprintf(sql, sizeof(sql),
                   "DELETE FROM segments WHERE track=%d AND index_id=%u AND day<%d", (int)track,
                   index_id, (int)day);
    yg_rc rc = exec(c, sql, err);
    if (rc == YG_OK && track == YG_TRACK_TRACES)
        rc = delete_versions(c, day, err);
    if (rc == YG_OK)
        rc = exec(c, count_rows, err);
    return commit(c, rc, err);
}

// ------------------------------------------------------------ reading

static bool read_segment(sqlite3_stmt *st, struct yg_catalog_segment *ret_segment) {
    int64_t v[SEGMENT_NUMBERS];
    for (int k = 0; k < SEGMENT_NUMBERS; k++)
        v[k] = sqlite3_column_int64(st, k);
    const char *state = (const char *)sqlite3_column_text(st, SEGMENT_NUMBERS);
    int code = 0;
    for (int k = YG_CATALOG_LIVE; state && k <= YG_CATALOG_DEAD; k++)
        if (strcmp(state, state_names[k]) == 0)
            code = k;
    if (code == 0 || v[1] < 0 || v[1] >= YG_TRACK_COUNT ||
        segment_crc(v, (enum yg_catalog_state)code) !=
            sqlite3_column_int64(st, SEGMENT_NUMBERS + 1))
        return false;
    *ret_segment = (struct yg_catalog_segment){
        .id = (uint64_t)v[0],
        .state = (enum yg_catalog_state)code,
        .track = (enum yg_track)v[1],
        .day = (int32_t)v[2],
        .level = (uint32_t)v[3],
        .rows = (uint64_t)v[4],
        .bytes = (uint64_t)v[5],
        .granules = (uint32_t)v[6],
        .min_time_ns = v[7],
        .max_time_ns = v[8],
        .max_sequence = (uint64_t)v[9],
        .index_id = (uint32_t)v[10],
        .deletion = (uint64_t)v[11],
    };
    return true;
}

yg_rc yg_catalog_each_segment(struct yg_catalog *c,
                              void (*fn)(void *ctx, const struct yg_catalog_segment *s), void *ctx,
                              uint64_t *ret_damaged, struct yg_err *err) {
    sqlite3_stmt *st;
    uint64_t seen = 0, good = 0, want = 0;
    char text[32];
    yg_rc rc = yg_catalog_get(c, "segments", text, sizeof(text), err);
    if (rc != YG_OK && rc != YG_ENOTFOUND)
        return rc;
    bool counted = rc == YG_OK && yg_str_to_u64(yg_str_c(text), &want);
    char sql[sizeof(select_segments) + 16];
    (void)snprintf(sql, sizeof(sql), "%sORDER BY id", select_segments);
    YG_TRY(prepare(c, sql, &st, err));
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        struct yg_catalog_segment s;
        seen++;
        if (read_segment(st, &s)) {
            fn(ctx, &s);
            good++;
        }
    }
    rc = code == SQLITE_DONE ? YG_OK : fail(c, "segments", err);
    (void)sqlite3_finalize(st);
    *ret_damaged = (counted && want > seen ? want : seen) - good;
    return rc;
}

yg_rc yg_catalog_each_version(struct yg_catalog *c,
                              void (*fn)(void *ctx, const struct yg_catalog_version *v), void *ctx,
                              struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "SELECT trace_id,version,day FROM trace_versions", &st, err));
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        struct yg_catalog_version v = {
            .version = (uint64_t)sqlite3_column_int64(st, 1),
            .day = sqlite3_column_int(st, 2),
        };
        if (sqlite3_column_bytes(st, 0) != (int)sizeof(v.id))
            continue;
        memcpy(&v.id, sqlite3_column_blob(st, 0), sizeof(v.id));
        fn(ctx, &v);
    }
    yg_rc rc = code == SQLITE_DONE ? YG_OK : fail(c, "trace versions", err);
    (void)sqlite3_finalize(st);
    return rc;
}

// ------------------------------------------------------------ deletions, indexes

static int64_t deletion_crc(const int64_t *values, yg_str query) {
    return yg_crc32c((uint32_t)row_crc(values, DELETION_NUMBERS), query.ptr, query.len);
}

yg_rc yg_catalog_put_deletion(struct yg_catalog *c, const struct yg_catalog_deletion *d,
                              struct yg_err *err) {
    sqlite3_stmt *st;
    const int64_t values[DELETION_NUMBERS] = {
        (int64_t)d->id,       d->track,      d->from_ns,       d->to_ns,
        (int64_t)d->sequence, d->created_ns, (int64_t)d->rows, d->state};
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    yg_rc rc = prepare(c, "INSERT OR REPLACE INTO deletions VALUES(?,?,?,?,?,?,?,?,?,?)", &st, err);
    if (rc != YG_OK)
        return commit(c, rc, err);
    for (int k = 0; k < DELETION_NUMBERS; k++)
        (void)sqlite3_bind_int64(st, k + 1, values[k]);
    (void)sqlite3_bind_text(st, DELETION_NUMBERS + 1, d->query.ptr, (int)d->query.len,
                            SQLITE_STATIC);
    (void)sqlite3_bind_int64(st, DELETION_NUMBERS + 2, deletion_crc(values, d->query));
    rc = step_done(c, st, err);
    (void)sqlite3_finalize(st);
    return commit(c, rc, err);
}

yg_rc yg_catalog_each_deletion(struct yg_catalog *c,
                               yg_rc (*fn)(void *ctx, const struct yg_catalog_deletion *d,
                                           struct yg_err *err),
                               void *ctx, struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c,
                   "SELECT id,track,from_time,to_time,sequence,created,rows,state,query,crc"
                   " FROM deletions ORDER BY id",
                   &st, err));
    int code;
    yg_rc rc = YG_OK;
    while (rc == YG_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t v[DELETION_NUMBERS];
        for (int k = 0; k < DELETION_NUMBERS; k++)
            v[k] = sqlite3_column_int64(st, k);
        const char *text = (const char *)sqlite3_column_text(st, DELETION_NUMBERS);
        yg_str query =
            yg_str_n(text ? text : "", (size_t)sqlite3_column_bytes(st, DELETION_NUMBERS));
        if (deletion_crc(v, query) != sqlite3_column_int64(st, DELETION_NUMBERS + 1) || v[1] < 0 ||
            v[1] >= YG_TRACK_COUNT)
            rc =
                yg_fail(err, YG_ECORRUPT, "%s: deletion %lld is damaged", c->path, (long long)v[0]);
        struct yg_catalog_deletion d = {
            .id = (uint64_t)v[0],
            .track = (enum yg_track)v[1],
            .from_ns = v[2],
            .to_ns = v[3],
            .sequence = (uint64_t)v[4],
            .created_ns = v[5],
            .rows = (uint64_t)v[6],
            .state = (enum yg_catalog_deletion_state)v[7],
            .query = query,
        };
        if (rc == YG_OK)
            rc = fn(ctx, &d, err);
    }
    if (rc == YG_OK && code != SQLITE_DONE)
        rc = fail(c, "deletions", err);
    (void)sqlite3_finalize(st);
    return rc;
}

yg_rc yg_catalog_each_index(struct yg_catalog *c,
                            void (*fn)(void *ctx, uint32_t id, const char *name), void *ctx,
                            struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "SELECT id,name FROM indexes ORDER BY id", &st, err));
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 1);
        fn(ctx, (uint32_t)sqlite3_column_int64(st, 0), name ? name : "");
    }
    yg_rc rc = code == SQLITE_DONE ? YG_OK : fail(c, "indexes", err);
    (void)sqlite3_finalize(st);
    return rc;
}

static yg_rc add_index(struct yg_catalog *c, yg_str name, struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "INSERT OR IGNORE INTO indexes(name) VALUES(?)", &st, err));
    (void)sqlite3_bind_text(st, 1, name.ptr, (int)name.len, SQLITE_STATIC);
    yg_rc rc = step_done(c, st, err);
    (void)sqlite3_finalize(st);
    return rc;
}

yg_rc yg_catalog_index(struct yg_catalog *c, yg_str name, uint32_t *ret_id, struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    yg_rc rc = commit(c, add_index(c, name, err), err);
    YG_TRY(rc);
    YG_TRY(prepare(c, "SELECT id FROM indexes WHERE name=?", &st, err));
    (void)sqlite3_bind_text(st, 1, name.ptr, (int)name.len, SQLITE_STATIC);
    if (sqlite3_step(st) == SQLITE_ROW)
        *ret_id = (uint32_t)sqlite3_column_int64(st, 0);
    else
        rc = fail(c, "index", err);
    (void)sqlite3_finalize(st);
    return rc;
}

yg_rc yg_catalog_integrity(struct yg_catalog *c, void (*fn)(void *ctx, const char *what), void *ctx,
                           struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "PRAGMA integrity_check(20)", &st, err));
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        const char *what = (const char *)sqlite3_column_text(st, 0);
        if (what && strcmp(what, "ok") != 0)
            fn(ctx, what);
    }
    yg_rc rc = code == SQLITE_DONE ? YG_OK : fail(c, "integrity check", err);
    (void)sqlite3_finalize(st);
    return rc;
}

yg_rc yg_catalog_marks(struct yg_catalog *c, uint64_t *ret_rows, uint64_t *ret_metrics,
                       struct yg_err *err) {
    sqlite3_stmt *st;
    uint64_t lowest[2] = {UINT64_MAX, UINT64_MAX}; // shards, metrics
    YG_TRY(prepare(c, "SELECT shard,sequence,crc FROM marks", &st, err));
    int code;
    yg_rc rc = YG_OK;
    while (rc == YG_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        const int64_t row[] = {sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
        uint64_t *low = &lowest[row[0] == MARK_METRICS];
        if (row_crc(row, 2) != sqlite3_column_int64(st, 2))
            rc = yg_fail(err, YG_ECORRUPT, "%s: mark of shard %lld is damaged", c->path,
                         (long long)row[0]);
        else if ((uint64_t)row[1] < *low)
            *low = (uint64_t)row[1];
    }
    if (rc == YG_OK && code != SQLITE_DONE)
        rc = fail(c, "marks", err);
    (void)sqlite3_finalize(st);
    YG_TRY(rc);
    if ((lowest[0] == UINT64_MAX) != (lowest[1] == UINT64_MAX))
        return yg_fail(err, YG_ECORRUPT, "%s: a mark is missing", c->path);
    *ret_rows = lowest[0] == UINT64_MAX ? 0 : lowest[0];
    *ret_metrics = lowest[1] == UINT64_MAX ? 0 : lowest[1];
    return YG_OK;
}

yg_rc yg_catalog_get(struct yg_catalog *c, const char *key, char *out, size_t cap,
                     struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "SELECT value FROM meta WHERE key=?", &st, err));
    (void)sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
    yg_rc rc = YG_OK;
    int code = sqlite3_step(st);
    if (code == SQLITE_ROW)
        (void)snprintf(out, cap, "%s", (const char *)sqlite3_column_text(st, 0));
    else if (code == SQLITE_DONE)
        rc = yg_fail(err, YG_ENOTFOUND, "%s: no value for %s", c->path, key);
    else
        rc = fail(c, key, err);
    (void)sqlite3_finalize(st);
    return rc;
}

yg_rc yg_catalog_set(struct yg_catalog *c, const char *key, const char *value, struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "INSERT OR REPLACE INTO meta VALUES(?,?)", &st, err));
    (void)sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(st, 2, value, -1, SQLITE_STATIC);
    yg_rc rc = step_done(c, st, err);
    (void)sqlite3_finalize(st);
    return rc;
}

// ------------------------------------------------------------ the copy beside it

#define COPY_BYTES_MAX ((size_t)1 << 30)
#define ROLLBACK_AT 18 // two bytes of SQLite's header: 1 = no write-ahead log

struct copy_header {
    char magic[4];
    uint32_t version;
    uint64_t bytes;
    uint64_t hash[2]; // xxh3-128 of the bytes
};
_Static_assert(sizeof(struct copy_header) == 32, "header of catalog.copy is 32 bytes");

static void beside(const char *path, const char *suffix, char *out, size_t cap) {
    size_t n = strlen(path);
    if (n > 3 && strcmp(path + n - 3, ".db") == 0)
        n -= 3;
    (void)snprintf(out, cap, "%.*s%s", (int)n, path, suffix);
}

static void skip_segment(void *ctx, const struct yg_catalog_segment *s) {
    (void)ctx;
    (void)s;
}
static yg_rc skip_deletion(void *ctx, const struct yg_catalog_deletion *d, struct yg_err *err) {
    (void)ctx;
    (void)d;
    (void)err;
    return YG_OK;
}

yg_rc yg_catalog_check_rows(struct yg_catalog *c, struct yg_err *err) {
    uint64_t damaged = 0, marks[2];
    YG_TRY(yg_catalog_marks(c, &marks[0], &marks[1], err));
    YG_TRY(yg_catalog_each_deletion(c, skip_deletion, NULL, err));
    YG_TRY(yg_catalog_each_segment(c, skip_segment, NULL, &damaged, err));
    if (damaged)
        return yg_fail(err, YG_ECORRUPT, "%s: %llu rows of segments are damaged or missing",
                       c->path, (unsigned long long)damaged);
    return YG_OK;
}

static yg_rc write_copy(struct yg_catalog *c, const char *path, struct yg_err *err) {
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_STORE, COPY_BYTES_MAX);
    sqlite3_int64 size = 0;
    unsigned char *bytes = sqlite3_serialize(c->db, "main", &size, 0);
    if (bytes == NULL)
        return yg_fail(err, YG_ENOMEM, "%s: no memory for its copy", c->path);
    if (size > ROLLBACK_AT + 1)
        bytes[ROLLBACK_AT] = bytes[ROLLBACK_AT + 1] = 1;
    struct copy_header head = {{'Y', 'G', 'C', 'C'}, 1, (uint64_t)size, {0, 0}};
    yg_hash_stable128(bytes, (size_t)size, head.hash);
    yg_rc rc = yg_buf_append(&out, yg_str_n((const char *)&head, sizeof(head)), err);
    if (rc == YG_OK)
        rc = yg_buf_append(&out, yg_str_n((const char *)bytes, (size_t)size), err);
    sqlite3_free(bytes);
    return rc == YG_OK ? yg_file_replace(path, yg_buf_str(&out), err) : rc;
}

// Of a sound catalogue only. A copy that could not follow is put aside: it is no longer what the
// directory looked like, but its rows of files that are still there are true.
static void take_copy(struct yg_catalog *c) {
    char path[4096], old[4096];
    struct yg_err err = {0};
    beside(c->path, ".copy", path, sizeof(path));
    beside(c->path, ".copy.old", old, sizeof(old));
    yg_rc rc = yg_catalog_check_rows(c, &err);
    if (rc == YG_OK)
        rc = write_copy(c, path, &err);
    if (rc == YG_OK)
        return;
    if (access(path, F_OK) == 0 && rename(path, old) != 0)
        (void)unlink(path);
    yg_log(YG_LOG_WARN, "store", "catalog.db has no copy for now", YG_KV_C("why", err.text));
}

static yg_rc read_copy(const char *path, struct yg_buf *out, struct yg_err *err) {
    struct copy_header head;
    uint64_t hash[2];
    YG_TRY(yg_file_read_all(path, out, err));
    bool whole = out->len > sizeof(head);
    if (whole) {
        memcpy(&head, out->ptr, sizeof(head));
        whole = memcmp(head.magic, "YGCC", 4) == 0 && head.version == 1 &&
                head.bytes == out->len - sizeof(head);
    }
    if (!whole)
        return yg_fail(err, YG_ECORRUPT, "%s: byte 0: not a whole copy of a catalogue", path);
    yg_hash_stable128(out->ptr + sizeof(head), head.bytes, hash);
    if (memcmp(hash, head.hash, sizeof(hash)) != 0)
        return yg_fail(err, YG_ECORRUPT, "%s: byte 16: bad checksum", path);
    return YG_OK;
}

static yg_rc open_bytes(struct yg_catalog *c, const char *ptr, size_t len, struct yg_err *err) {
    if (sqlite3_open_v2(":memory:", &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK)
        return fail(c, "open", err);
    unsigned char *own = sqlite3_malloc64(len);
    if (own == NULL)
        return yg_fail(err, YG_ENOMEM, "%s: no memory to read it", c->path);
    memcpy(own, ptr, len);
    if (sqlite3_deserialize(c->db, "main", own, (sqlite3_int64)len, (sqlite3_int64)len,
                            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) !=
        SQLITE_OK)
        return fail(c, "open", err);
    return check_schema(c, err);
}

yg_rc yg_catalog_open_copy(const char *path, bool old, struct yg_catalog **ret_catalog,
                           struct yg_err *err) {
    char copy[4096];
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, COPY_BYTES_MAX);
    beside(path, old ? ".copy.old" : ".copy", copy, sizeof(copy));
    YG_TRY(read_copy(copy, &bytes, err));
    struct yg_catalog *c = yg_calloc(YG_MEM_STORE, 1, sizeof(*c));
    c->path = yg_strndup(YG_MEM_STORE, copy, strlen(copy));
    yg_rc rc = open_bytes(c, bytes.ptr + sizeof(struct copy_header),
                          bytes.len - sizeof(struct copy_header), err);
    if (rc == YG_OK)
        rc = yg_catalog_check_rows(c, err);
    if (rc == YG_OK)
        *ret_catalog = c;
    else
        yg_catalog_close(c);
    return rc;
}

// A crash came between a transaction and its copy, or there is none yet.
static void refresh_copy(struct yg_catalog *c) {
    char own[YG_UUID_TEXT_BYTES], its[YG_UUID_TEXT_BYTES] = "";
    struct yg_catalog *copy;
    struct yg_err err = {0};
    if (yg_catalog_get(c, "publication", own, sizeof(own), &err) != YG_OK)
        return; // new, or not readable
    if (yg_catalog_open_copy(c->path, false, &copy, &err) == YG_OK) {
        if (yg_catalog_get(copy, "publication", its, sizeof(its), &err) != YG_OK)
            its[0] = 0;
        yg_catalog_close(copy);
    }
    if (strcmp(own, its) != 0)
        take_copy(c);
}

// ------------------------------------------------------------ repair

yg_rc yg_catalog_restore(const char *path, struct yg_err *err) {
    static const char *const parts[] = {".db", ".db-wal", ".db-shm"};
    char copy[4096], from[4096], to[4096];
    YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_STORE, COPY_BYTES_MAX);
    beside(path, ".copy", copy, sizeof(copy));
    YG_TRY(read_copy(copy, &bytes, err));
    for (int i = 0; i < 3; i++) {
        char aside[32];
        (void)snprintf(aside, sizeof(aside), ".damaged%s", parts[i]);
        beside(path, parts[i], from, sizeof(from));
        beside(path, aside, to, sizeof(to));
        if (access(from, F_OK) == 0)
            YG_TRY(yg_file_rename(from, to, err));
    }
    yg_str content =
        yg_str_n(bytes.ptr + sizeof(struct copy_header), bytes.len - sizeof(struct copy_header));
    return yg_file_replace(path, content, err);
}

struct mend {
    struct yg_catalog *to;
    sqlite3_stmt *look;
    bool (*is_there)(void *ctx, const struct yg_catalog_segment *s);
    void *ctx;
    uint64_t mended;
    yg_rc rc;
    struct yg_err *err;
};

static void mend_row(void *ctx, const struct yg_catalog_segment *s) {
    struct mend *m = ctx;
    struct yg_catalog_segment own;
    if (m->rc != YG_OK || s->state != YG_CATALOG_LIVE)
        return;
    (void)sqlite3_bind_int64(m->look, 1, (int64_t)s->id);
    bool good = sqlite3_step(m->look) == SQLITE_ROW && read_segment(m->look, &own);
    (void)sqlite3_reset(m->look);
    if (good || !m->is_there(m->ctx, s))
        return;
    m->rc = insert_segments(m->to, s, 1, YG_CATALOG_LIVE, m->err);
    m->mended++;
}

// Rows that are still wrong go: their files are named as unknown from then on.
static yg_rc drop_wrong_rows(struct yg_catalog *c, uint64_t *ret_dropped, struct yg_err *err) {
    sqlite3_stmt *st;
    uint64_t *ids = NULL;
    uint32_t count = 0, cap = 0;
    YG_TRY(prepare(c, select_segments, &st, err));
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        struct yg_catalog_segment s;
        if (read_segment(st, &s))
            continue;
        YG_GROW(YG_MEM_STORE, ids, count, cap);
        ids[count++] = (uint64_t)sqlite3_column_int64(st, 0);
    }
    yg_rc rc = code == SQLITE_DONE ? YG_OK : fail(c, "segments", err);
    (void)sqlite3_finalize(st);
    if (rc == YG_OK)
        rc = for_ids(c, "DELETE FROM segments WHERE id=?", ids, count, err);
    yg_free(YG_MEM_STORE, ids);
    *ret_dropped = count;
    return rc;
}

yg_rc yg_catalog_mend(struct yg_catalog *c, struct yg_catalog *copy,
                      bool (*is_there)(void *ctx, const struct yg_catalog_segment *s), void *ctx,
                      uint64_t *ret_mended, uint64_t *ret_dropped, struct yg_err *err) {
    char sql[sizeof(select_segments) + 16];
    struct mend m = {.to = c, .is_there = is_there, .ctx = ctx, .err = err};
    uint64_t unused;
    (void)snprintf(sql, sizeof(sql), "%sWHERE id=?", select_segments);
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    yg_rc rc = prepare(c, sql, &m.look, err);
    if (rc == YG_OK)
        rc = yg_catalog_each_segment(copy, mend_row, &m, &unused, err);
    (void)sqlite3_finalize(m.look);
    if (rc == YG_OK)
        rc = m.rc;
    if (rc == YG_OK)
        rc = drop_wrong_rows(c, ret_dropped, err);
    if (rc == YG_OK)
        rc = exec(c, count_rows, err);
    *ret_mended = m.mended;
    return commit(c, rc, err);
}
