// SPDX-License-Identifier: Apache-2.0
// Opening and closing the configuration; the organisation and its first user.
#include "meta/db.h"

#include "base/file.h"
#include "base/panic.h"
#include "base/rand.h"
#include <fcntl.h>

// The acceptance tests of the Terraform provider ask for this organisation by name.
// Source: DataDog/terraform-provider-datadog datadog/tests/provider_test.go
#define ORG_PUBLIC_ID "fasjyydbcgwwc2uc"
#define ORG_NAME "yagura"
#define USER_EMAIL                                                                                 \
    "admin@yagura.local" // its handle is its UUID, as of every account without a person

static yg_rc org_insert(struct yg_meta *m, struct yg_err *err) {
    sqlite3_stmt *stmt;
    int64_t now_ns = yg_now_ns(m->clock);
    YG_TRY(yg_db_prepare(&m->writer,
                         "INSERT INTO org(id, public_id, name, created_ns) VALUES(1, ?, ?, ?)",
                         &stmt, err));
    yg_db_bind(stmt, 1, YG_STR(ORG_PUBLIC_ID));
    yg_db_bind(stmt, 2, YG_STR(ORG_NAME));
    sqlite3_bind_int64(stmt, 3, now_ns);
    YG_TRY(yg_db_run(&m->writer, stmt, NULL, err));
    char uuid[YG_UUID_TEXT_BYTES];
    yg_uuid_v4(uuid);
    YG_TRY(yg_db_prepare(
        &m->writer,
        "INSERT INTO user(id, uuid, handle, email, name, created_ns) VALUES(1001, ?, ?, ?, '', ?)",
        &stmt, err));
    yg_db_bind(stmt, 1, yg_str_c(uuid));
    yg_db_bind(stmt, 2, yg_str_c(uuid));
    yg_db_bind(stmt, 3, YG_STR(USER_EMAIL));
    sqlite3_bind_int64(stmt, 4, now_ns);
    return yg_db_run(&m->writer, stmt, NULL, err);
}

// Reads organisation and first user into memory; *ret_found false: the database is new.
static yg_rc org_load(struct yg_meta *m, bool *ret_found, struct yg_err *err) {
    sqlite3_stmt *stmt;
    YG_TRY(yg_db_prepare(&m->writer,
                         "SELECT o.public_id, o.name, u.id, u.uuid, u.handle, u.email, u.name"
                         " FROM org o, user u ORDER BY o.id, u.id LIMIT 1",
                         &stmt, err));
    YG_TRY(yg_db_step(&m->writer, stmt, ret_found, err));
    if (!*ret_found)
        return YG_OK;
    char *text[5];
    static const int columns[5] = {0, 1, 4, 5, 6};
    for (int i = 0; i < 5; i++) {
        const char *value = (const char *)sqlite3_column_text(stmt, columns[i]);
        text[i] = yg_strndup(YG_MEM_META, value ? value : "", value ? strlen(value) : 0);
    }
    m->org_id = text[0];
    m->org_name = text[1];
    m->user.id = sqlite3_column_int64(stmt, 2);
    yg_db_column_fixed(stmt, 3, m->user.uuid, sizeof(m->user.uuid));
    m->user.handle = yg_str_c(text[2]);
    m->user.email = yg_str_c(text[3]);
    m->user.name = yg_str_c(text[4]);
    yg_db_done(stmt);
    return YG_OK;
}

static yg_rc first_start(struct yg_meta *m, const struct yg_meta_options *options,
                         struct yg_meta_first_keys *ret_first, struct yg_err *err) {
    bool found;
    YG_TRY(yg_db_write_begin(m, err));
    yg_rc rc = org_load(m, &found, err);
    if (rc == YG_OK && !found) {
        rc = org_insert(m, err);
        if (rc == YG_OK)
            rc = org_load(m, &found, err);
        if (rc == YG_OK)
            rc = yg_meta_keys_first(m, options, ret_first, err);
    }
    return yg_db_write_end(m, rc, err);
}

// The database holds webhooks' secrets: nobody but its owner reads it. SQLite gives its other files
// the same mode as this one.
static yg_rc make_private(const char *path, struct yg_err *err) {
    int fd = -1;
    YG_TRY(yg_file_open(path, O_RDWR | O_CREAT | O_CLOEXEC, &fd, err));
    yg_file_close(&fd);
    return YG_OK;
}

yg_rc yg_meta_open(const struct yg_meta_options *options, struct yg_meta **ret_meta,
                   struct yg_meta_first_keys *ret_first, struct yg_err *err) {
    YG_ASSERT(options->dir && options->clock);
    struct yg_meta_first_keys unused;
    if (!ret_first)
        ret_first = &unused;
    memset(ret_first, 0, sizeof(*ret_first));
    YG_TRY(yg_file_mkdirs(options->dir, err));
    struct yg_meta *m = yg_calloc(YG_MEM_META, 1, sizeof(*m));
    m->magic = YG_META_MAGIC;
    m->clock = options->clock;
    pthread_mutex_init(&m->write_lock, NULL);
    pthread_mutex_init(&m->pool_lock, NULL);
    pthread_rwlock_init(&m->key_lock, NULL);
    for (int i = 0; i < 2; i++)
        m->keys[i] = YG_MAP(YG_MEM_META, true);
    size_t path_bytes = strlen(options->dir) + sizeof("/config.db");
    m->path = yg_alloc(YG_MEM_META, path_bytes);
    snprintf(m->path, path_bytes, "%s/config.db", options->dir);
    yg_rc rc = make_private(m->path, err);
    if (rc == YG_OK)
        rc = yg_db_open(&m->writer, m->path, true, err);
    if (rc == YG_OK)
        rc = yg_db_migrate(&m->writer, err);
    if (rc == YG_OK)
        rc = first_start(m, options, ret_first, err);
    if (rc == YG_OK)
        rc = yg_meta_keys_load(m, err);
    if (rc != YG_OK) {
        yg_err_wrap(err, "%s", m->path);
        yg_meta_close(m);
        memset(ret_first, 0, sizeof(*ret_first));
        return rc;
    }
    *ret_meta = m;
    return YG_OK;
}

void yg_meta_close(struct yg_meta *m) {
    if (!m)
        return;
    YG_CHECK(m, YG_META_MAGIC);
    uint32_t closed = 0;
    while (m->free_readers) {
        struct yg_db *db = m->free_readers;
        m->free_readers = db->next_free;
        yg_db_close(db);
        yg_free(YG_MEM_META, db);
        closed++;
    }
    YG_ASSERT(closed == m->reader_count); // a reader still in use would outlive its database
    yg_db_close(&m->writer);
    for (int i = 0; i < 2; i++)
        yg_map_fini(&m->keys[i]);
    yg_free(YG_MEM_META, m->org_id);
    yg_free(YG_MEM_META, m->org_name);
    yg_free(YG_MEM_META, (void *)(uintptr_t)m->user.handle.ptr);
    yg_free(YG_MEM_META, (void *)(uintptr_t)m->user.email.ptr);
    yg_free(YG_MEM_META, (void *)(uintptr_t)m->user.name.ptr);
    pthread_mutex_destroy(&m->write_lock);
    pthread_mutex_destroy(&m->pool_lock);
    pthread_rwlock_destroy(&m->key_lock);
    yg_free(YG_MEM_META, m->path);
    m->magic = 0;
    yg_free(YG_MEM_META, m);
}

yg_str yg_meta_org_id(struct yg_meta *m) {
    return yg_str_c(m->org_id);
}
yg_str yg_meta_org_name(struct yg_meta *m) {
    return yg_str_c(m->org_name);
}
const struct yg_user *yg_meta_user(struct yg_meta *m) {
    return &m->user;
}
