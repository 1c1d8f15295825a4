// SPDX-License-Identifier: Apache-2.0
// catalog.db. A publication is one transaction; nothing else makes a segment file count.
#include "store/catalog.h"

#include <sqlite3.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

#define SCHEMA_VERSION "2"
#define SEGMENT_NUMBERS 10
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

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS marks(shard INTEGER PRIMARY KEY, sequence INTEGER NOT NULL,"
    " crc INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS segments(id INTEGER PRIMARY KEY, track INTEGER NOT NULL,"
    " day INTEGER NOT NULL, level INTEGER NOT NULL, rows INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, granules INTEGER NOT NULL, min_time INTEGER NOT NULL, max_time "
    "INTEGER NOT NULL,"
    " max_sequence INTEGER NOT NULL, state TEXT NOT NULL, crc INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS trace_versions(trace_id BLOB PRIMARY KEY,"
    " version INTEGER NOT NULL, day INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO meta VALUES('schema','" SCHEMA_VERSION "');";

static yg_rc check_schema(struct yg_catalog *c, struct yg_err *err) {
    char version[16];
    YG_TRY(yg_catalog_get(c, "schema", version, sizeof(version), err));
    if (strcmp(version, SCHEMA_VERSION) != 0)
        return yg_fail(err, YG_ECORRUPT, "%s: schema %s, this build reads " SCHEMA_VERSION, c->path,
                       version);
    return YG_OK;
}

yg_rc yg_catalog_open(const char *path, struct yg_catalog **ret_catalog, struct yg_err *err) {
    struct yg_catalog *c = yg_calloc(YG_MEM_STORE, 1, sizeof(*c));
    c->path = yg_strndup(YG_MEM_STORE, path, strlen(path));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    yg_rc rc =
        sqlite3_open_v2(path, &c->db, flags, NULL) == SQLITE_OK ? YG_OK : fail(c, "open", err);
    if (rc == YG_OK)
        rc = exec(c, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", err);
    if (rc == YG_OK)
        rc = exec(c, schema, err);
    if (rc == YG_OK)
        rc = check_schema(c, err);
    if (rc == YG_OK)
        *ret_catalog = c;
    else
        yg_catalog_close(c);
    return rc;
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

// SQLite has no checksums: rows whose change would show wrong data carry one.
static int64_t row_crc(const int64_t *values, int count) {
    return yg_crc32c(0, values, sizeof(*values) * (size_t)count);
}

// How many segment rows there are, so that one that vanished is missed.
static const char count_rows[] = "INSERT OR REPLACE INTO meta SELECT 'segments', count(*) FROM "
                                 "segments";

static yg_rc insert_segments(struct yg_catalog *c, const struct yg_catalog_publication *p,
                             struct yg_err *err) {
    sqlite3_stmt *st;
    YG_TRY(prepare(c, "INSERT INTO segments VALUES(?,?,?,?,?,?,?,?,?,?,'live',?)", &st, err));
    yg_rc rc = YG_OK;
    for (uint32_t i = 0; i < p->segment_count && rc == YG_OK; i++) {
        const struct yg_catalog_segment *s = &p->segments[i];
        const int64_t values[SEGMENT_NUMBERS] = {
            (int64_t)s->id,   (int64_t)s->track,       s->day,      (int64_t)s->level,
            (int64_t)s->rows, (int64_t)s->bytes,       s->granules, s->min_time_ns,
            s->max_time_ns,   (int64_t)s->max_sequence};
        for (int k = 0; k < SEGMENT_NUMBERS; k++)
            (void)sqlite3_bind_int64(st, k + 1, values[k]);
        (void)sqlite3_bind_int64(st, SEGMENT_NUMBERS + 1, row_crc(values, SEGMENT_NUMBERS));
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

yg_rc yg_catalog_publish(struct yg_catalog *c, const struct yg_catalog_publication *p,
                         struct yg_err *err) {
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    yg_rc rc = insert_segments(c, p, err);
    if (rc == YG_OK)
        rc = insert_versions(c, p, err);
    if (rc == YG_OK)
        rc = set_marks(c, p, err);
    if (rc == YG_OK)
        rc = exec(c, count_rows, err);
    if (rc == YG_OK)
        rc = yg_catalog_set(c, "open_traces", p->checkpoint, err);
    char name[YG_UUID_TEXT_BYTES], found[YG_UUID_TEXT_BYTES] = "";
    yg_uuid_v4(name);
    if (rc == YG_OK)
        rc = yg_catalog_set(c, "publication", name, err);
    if (rc == YG_OK)
        rc = exec(c, "COMMIT", err);
    if (rc == YG_OK)
        return YG_OK;
    // A commit that reports an error may have happened all the same: look.
    struct yg_err look;
    (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    if (yg_catalog_get(c, "publication", found, sizeof(found), &look) == YG_OK &&
        strcmp(found, name) == 0)
        return YG_OK;
    return rc;
}

yg_rc yg_catalog_drop_days(struct yg_catalog *c, enum yg_track track, int32_t day,
                           struct yg_err *err) {
    char sql[160];
    YG_TRY(exec(c, "BEGIN IMMEDIATE", err));
    (void)snprintf(sql, sizeof(sql), "DELETE FROM segments WHERE track=%d AND day<%d", (int)track,
                   (int)day);
    yg_rc rc = exec(c, sql, err);
    (void)snprintf(sql, sizeof(sql), "DELETE FROM trace_versions WHERE day<%d", (int)day);
    if (rc == YG_OK && track == YG_TRACK_TRACES)
        rc = exec(c, sql, err);
    if (rc == YG_OK)
        rc = exec(c, count_rows, err);
    if (rc == YG_OK)
        rc = exec(c, "COMMIT", err);
    if (rc != YG_OK)
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

// ------------------------------------------------------------ reading

static bool read_segment(sqlite3_stmt *st, struct yg_catalog_segment *ret_segment) {
    int64_t v[SEGMENT_NUMBERS];
    for (int k = 0; k < SEGMENT_NUMBERS; k++)
        v[k] = sqlite3_column_int64(st, k);
    const char *state = (const char *)sqlite3_column_text(st, SEGMENT_NUMBERS);
    if (row_crc(v, SEGMENT_NUMBERS) != sqlite3_column_int64(st, SEGMENT_NUMBERS + 1) ||
        state == NULL || strcmp(state, "live") != 0 || v[1] < 0 || v[1] >= YG_TRACK_COUNT)
        return false;
    *ret_segment = (struct yg_catalog_segment){
        .id = (uint64_t)v[0],
        .track = (enum yg_track)v[1],
        .day = (int32_t)v[2],
        .level = (uint32_t)v[3],
        .rows = (uint64_t)v[4],
        .bytes = (uint64_t)v[5],
        .granules = (uint32_t)v[6],
        .min_time_ns = v[7],
        .max_time_ns = v[8],
        .max_sequence = (uint64_t)v[9],
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
    YG_TRY(prepare(c,
                   "SELECT id,track,day,level,rows,bytes,granules,min_time,max_time,max_sequence,"
                   "state,crc FROM segments ORDER BY id",
                   &st, err));
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
