// SPDX-License-Identifier: Apache-2.0
// API and application keys: SHA-256 on disk and in memory, the value shown once.
//
// A lookup hashes what it was given and asks a hash set, so its time says nothing of how much of a
// key was right.
#include "meta/db.h"

#include "base/panic.h"
#include "base/rand.h"
#include <openssl/sha.h>

#define HASH_BYTES SHA256_DIGEST_LENGTH
#define API_KEY_DIGITS 32
#define APP_KEY_DIGITS 40
#define KEY_BYTES_MAX 256 // longer values cannot be keys
#define KEYS_MAX 10000

static size_t key_digits(enum yg_key_kind kind) {
    return kind == YG_KEY_API ? API_KEY_DIGITS : APP_KEY_DIGITS;
}

static void key_hash(yg_str value, unsigned char out[HASH_BYTES]) {
    YG_ASSERT(SHA256((const unsigned char *)value.ptr, value.len, out) == out);
}

static yg_str hash_str(const unsigned char hash[HASH_BYTES]) {
    return yg_str_n((const char *)hash, HASH_BYTES);
}

bool yg_meta_key_valid(struct yg_meta *m, enum yg_key_kind kind, yg_str value) {
    if (value.len == 0 || value.len > KEY_BYTES_MAX)
        return false;
    unsigned char hash[HASH_BYTES];
    key_hash(value, hash);
    pthread_rwlock_rdlock(&m->key_lock);
    bool found = yg_map_get(&m->keys[kind], hash_str(hash)) != NULL;
    pthread_rwlock_unlock(&m->key_lock);
    return found;
}

yg_rc yg_meta_keys_load(struct yg_meta *m, struct yg_err *err) {
    struct yg_db *db;
    YG_TRY(yg_db_read_begin(m, &db, err));
    pthread_rwlock_wrlock(&m->key_lock);
    sqlite3_stmt *stmt;
    yg_rc rc = yg_db_prepare(db, "SELECT kind, hash FROM key WHERE revoked_ns = 0", &stmt, err);
    for (bool row = true; rc == YG_OK;) {
        rc = yg_db_step(db, stmt, &row, err);
        if (rc != YG_OK || !row)
            break;
        int kind = sqlite3_column_int(stmt, 0);
        const char *hash = sqlite3_column_blob(stmt, 1);
        if ((kind == YG_KEY_API || kind == YG_KEY_APP) && hash &&
            sqlite3_column_bytes(stmt, 1) == HASH_BYTES)
            yg_map_put(&m->keys[kind], yg_str_n(hash, HASH_BYTES), NULL);
    }
    pthread_rwlock_unlock(&m->key_lock);
    yg_db_read_end(m, db);
    return rc;
}

static bool hex_lower(yg_str s) {
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return true;
}

// Stores the key's hash; the caller is inside a write transaction.
static yg_rc key_insert(struct yg_meta *m, enum yg_key_kind kind, yg_str name, yg_str value,
                        struct yg_key *ret_key, struct yg_err *err) {
    unsigned char hash[HASH_BYTES];
    key_hash(value, hash);
    *ret_key = (struct yg_key){.kind = kind, .created_ns = yg_now_ns(m->clock)};
    yg_uuid_v4(ret_key->id);
    snprintf(ret_key->name, sizeof(ret_key->name), "%.*s", YG_STR_FMT(name));
    snprintf(ret_key->last4, sizeof(ret_key->last4), "%.4s", value.ptr + value.len - 4);
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(&m->writer,
                         "INSERT INTO key(id, kind, name, hash, last4, user_id, created_ns) "
                         "VALUES(?, ?, ?, ?, ?, ?, ?)",
                         &stmt, err));
    yg_db_bind(stmt, 1, yg_str_c(ret_key->id));
    sqlite3_bind_int(stmt, 2, (int)kind);
    yg_db_bind(stmt, 3, yg_str_c(ret_key->name));
    sqlite3_bind_blob(stmt, 4, hash, HASH_BYTES, SQLITE_TRANSIENT);
    yg_db_bind(stmt, 5, yg_str_c(ret_key->last4));
    sqlite3_bind_int64(stmt, 6, m->user.id);
    sqlite3_bind_int64(stmt, 7, ret_key->created_ns);
    return yg_db_run(&m->writer, stmt, NULL, err);
}

static yg_rc first_value(const char *given, const char *variable, size_t digits, char *out,
                         struct yg_err *err) {
    if (!given || !given[0]) {
        yg_rand_hex(out, digits);
        out[digits] = 0;
        return YG_OK;
    }
    if (strlen(given) != digits || !hex_lower(yg_str_c(given)))
        return yg_fail(err, YG_EINPUT, "%s must be %zu lower-case hex digits", variable, digits);
    memcpy(out, given, digits + 1);
    return YG_OK;
}

yg_rc yg_meta_keys_first(struct yg_meta *m, const struct yg_meta_options *options,
                         struct yg_meta_first_keys *ret_first, struct yg_err *err) {
    YG_TRY(first_value(options->first_api_key, "YAGURA_API_KEY", API_KEY_DIGITS, ret_first->api_key,
                       err));
    YG_TRY(first_value(options->first_app_key, "YAGURA_APP_KEY", APP_KEY_DIGITS, ret_first->app_key,
                       err));
    struct yg_key key;
    YG_TRY(key_insert(m, YG_KEY_API, YG_STR("default"), yg_str_c(ret_first->api_key), &key, err));
    YG_TRY(key_insert(m, YG_KEY_APP, YG_STR("default"), yg_str_c(ret_first->app_key), &key, err));
    ret_first->made = true;
    return YG_OK;
}

static yg_rc key_room(struct yg_meta *m, struct yg_err *err) {
    sqlite3_stmt *stmt;
    bool row;
    YG_TRY(yg_db_prepare(&m->writer, "SELECT count(*) FROM key WHERE revoked_ns = 0", &stmt, err));
    YG_TRY(yg_db_step(&m->writer, stmt, &row, err));
    int64_t count = row ? sqlite3_column_int64(stmt, 0) : 0;
    yg_db_done(stmt);
    return count < KEYS_MAX ? YG_OK
                            : yg_fail(err, YG_ELIMIT, "there are %d keys already", KEYS_MAX);
}

yg_rc yg_meta_key_create(struct yg_meta *m, enum yg_key_kind kind, yg_str name, char ret_value[41],
                         struct yg_key *ret_key, struct yg_err *err) {
    if (name.len == 0 || name.len >= sizeof(ret_key->name))
        return yg_fail(err, YG_EINPUT, "a key's name has 1 to %zu bytes",
                       sizeof(ret_key->name) - 1);
    struct yg_key key;
    char value[APP_KEY_DIGITS + 1];
    yg_rand_hex(value, key_digits(kind));
    value[key_digits(kind)] = 0;
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = key_room(m, err);
    if (rc == YG_OK)
        rc = key_insert(m, kind, name, yg_str_c(value), &key, err);
    YG_TRY(yg_db_write_end(m, rc, err));
    unsigned char hash[HASH_BYTES];
    key_hash(yg_str_c(value), hash);
    pthread_rwlock_wrlock(&m->key_lock);
    yg_map_put(&m->keys[kind], hash_str(hash), NULL);
    pthread_rwlock_unlock(&m->key_lock);
    memcpy(ret_value, value, strlen(value) + 1);
    if (ret_key)
        *ret_key = key;
    return YG_OK;
}

static void key_read(sqlite3_stmt *stmt, struct yg_key *ret_key) {
    yg_db_column_fixed(stmt, 0, ret_key->id, sizeof(ret_key->id));
    ret_key->kind = sqlite3_column_int(stmt, 1) == YG_KEY_APP ? YG_KEY_APP : YG_KEY_API;
    yg_db_column_fixed(stmt, 2, ret_key->name, sizeof(ret_key->name));
    yg_db_column_fixed(stmt, 3, ret_key->last4, sizeof(ret_key->last4));
    ret_key->created_ns = sqlite3_column_int64(stmt, 4);
    ret_key->revoked = sqlite3_column_int64(stmt, 5) != 0;
}

yg_rc yg_meta_key_list(struct yg_meta *m, struct yg_arena *arena, struct yg_key **ret_keys,
                       uint32_t *ret_count, struct yg_err *err) {
    struct yg_db *db;
    YG_TRY(yg_db_read_begin(m, &db, err));
    sqlite3_stmt *stmt;
    struct yg_key *keys = NULL;
    uint32_t count = 0, cap = 0;
    yg_rc rc = yg_db_prepare(db,
                             "SELECT id, kind, name, last4, created_ns, revoked_ns FROM key ORDER "
                             "BY created_ns, kind, id",
                             &stmt, err);
    for (bool row = true; rc == YG_OK;) {
        rc = yg_db_step(db, stmt, &row, err);
        if (rc != YG_OK || !row)
            break;
        if (!YG_ARENA_GROW(arena, keys, count, cap)) {
            yg_db_done(stmt);
            rc = yg_fail(err, YG_ENOMEM, "list of keys: no memory");
            break;
        }
        key_read(stmt, &keys[count++]);
    }
    yg_db_read_end(m, db);
    *ret_keys = keys;
    *ret_count = count;
    return rc;
}

static yg_rc revoke_in_db(struct yg_meta *m, yg_str id, int *ret_kind,
                          unsigned char hash[HASH_BYTES], struct yg_err *err) {
    sqlite3_stmt *stmt;
    bool row;
    YG_TRY(yg_db_prepare(&m->writer, "SELECT kind, hash FROM key WHERE id = ? AND revoked_ns = 0",
                         &stmt, err));
    yg_db_bind(stmt, 1, id);
    YG_TRY(yg_db_step(&m->writer, stmt, &row, err));
    if (!row)
        return yg_fail(err, YG_ENOTFOUND, "no valid key has the id '%.64s'", id.len ? id.ptr : "");
    *ret_kind = sqlite3_column_int(stmt, 0);
    const void *stored = sqlite3_column_blob(stmt, 1);
    bool whole = stored && sqlite3_column_bytes(stmt, 1) == HASH_BYTES;
    if (whole)
        memcpy(hash, stored, HASH_BYTES);
    yg_db_done(stmt);
    if (!whole)
        return yg_fail(err, YG_ECORRUPT, "key's stored hash is not %d bytes", HASH_BYTES);
    YG_TRY(yg_db_prepare(&m->writer, "UPDATE key SET revoked_ns = ? WHERE id = ?", &stmt, err));
    sqlite3_bind_int64(stmt, 1, yg_now_ns(m->clock));
    yg_db_bind(stmt, 2, id);
    return yg_db_run(&m->writer, stmt, NULL, err);
}

yg_rc yg_meta_key_revoke(struct yg_meta *m, yg_str id, struct yg_err *err) {
    char copy[64];
    if (id.len >= sizeof(copy))
        return yg_fail(err, YG_ENOTFOUND, "no valid key has an id of %zu bytes", id.len);
    snprintf(copy, sizeof(copy), "%.*s", YG_STR_FMT(id));
    int kind = 0;
    unsigned char hash[HASH_BYTES];
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = revoke_in_db(m, yg_str_c(copy), &kind, hash, err);
    YG_TRY(yg_db_write_end(m, rc, err));
    pthread_rwlock_wrlock(&m->key_lock);
    yg_map_remove(&m->keys[kind == YG_KEY_APP ? YG_KEY_APP : YG_KEY_API], hash_str(hash));
    pthread_rwlock_unlock(&m->key_lock);
    return YG_OK;
}
