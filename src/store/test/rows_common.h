// SPDX-License-Identifier: Apache-2.0
// For tests of the row side: random batches, and a model that knows what must be read back.
#ifndef YG_STORE_TEST_ROWS_COMMON_H
#define YG_STORE_TEST_ROWS_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "store/store_int.h"

#define DAY0 (INT64_C(20000) * 86400 * YG_NS_PER_S) // start of a day

// ------------------------------------------------------------ deterministic random numbers

struct rng {
    uint64_t state;
};
static inline uint64_t rng_next(struct rng *r) {
    r->state += 0x9e3779b97f4a7c15u;
    return yg_hash_u64(r->state);
}
static inline uint32_t rng_below(struct rng *r, uint32_t n) {
    return (uint32_t)(rng_next(r) % n);
}

// ------------------------------------------------------------ rows as text

// "name type=value" of all columns of a row, sorted, without the store's own numbers.
struct row_text {
    char *lines[4096];
    uint32_t count;
};

static inline char *value_text(yg_str name, const struct yg_value *v) {
    char *out = NULL;
    int n = 0;
    switch (v->type) {
    case YG_T_STR:
    case YG_T_JSON: {
        uint64_t h[2] = {0, 0};
        if (v->str.len > 64) { // long ones by length and hash
            yg_hash_stable128(v->str.ptr, v->str.len, h);
            n = asprintf(&out, "%.*s %u=%zu:%016llx%016llx", YG_STR_FMT(name), v->type, v->str.len,
                         (unsigned long long)h[0], (unsigned long long)h[1]);
        } else {
            n = asprintf(&out, "%.*s %u=\"%.*s\"", YG_STR_FMT(name), v->type, YG_STR_FMT(v->str));
        }
        break;
    }
    case YG_T_I64:
    case YG_T_BOOL:
        n = asprintf(&out, "%.*s %u=%lld", YG_STR_FMT(name), v->type, (long long)v->i64);
        break;
    case YG_T_F64: {
        uint64_t bits;
        memcpy(&bits, &v->f64, 8);
        n = asprintf(&out, "%.*s %u=%016llx", YG_STR_FMT(name), v->type, (unsigned long long)bits);
        break;
    }
    case YG_T_ID:
        n = asprintf(&out, "%.*s %u=%016llx%016llx", YG_STR_FMT(name), v->type,
                     (unsigned long long)v->id.hi, (unsigned long long)v->id.lo);
        break;
    case YG_TYPE_COUNT:
        break;
    }
    assert_true(n > 0);
    return out;
}

static inline int line_cmp(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline char *row_join(struct row_text *r) {
    qsort(r->lines, r->count, sizeof(char *), line_cmp);
    size_t len = 1;
    for (uint32_t i = 0; i < r->count; i++)
        len += strlen(r->lines[i]) + 1;
    char *out = malloc(len), *p = out;
    assert_non_null(out);
    for (uint32_t i = 0; i < r->count; i++) {
        size_t n = strlen(r->lines[i]);
        memcpy(p, r->lines[i], n);
        p[n] = '\n';
        p += n + 1;
        free(r->lines[i]);
    }
    *p = 0;
    r->count = 0;
    return out;
}

// ------------------------------------------------------------ model

struct model { // "@uid" → text
    struct yg_map rows;
};
#define MODEL() ((struct model){.rows = YG_MAP(YG_MEM_BASE, true)})

static inline void model_fini(struct model *m) {
    uint32_t at = 0;
    yg_str key;
    uint64_t value;
    while (yg_map_next(&m->rows, &at, &key, &value))
        free((void *)(uintptr_t)value);
    yg_map_fini(&m->rows);
}

static inline void model_put(struct model *m, int64_t uid, char *take_text) {
    bool is_new;
    uint64_t *slot = yg_map_put(&m->rows, yg_str_n((const char *)&uid, sizeof(uid)), &is_new);
    assert_true(is_new);
    *slot = (uint64_t)(uintptr_t)take_text;
}

static inline void model_add(struct model *m, const struct yg_batch *b) {
    static struct row_text text;
    for (uint32_t r = 0; r < b->row_count; r++) {
        int64_t uid = -1;
        for (uint32_t c = 0; c < b->col_count; c++) {
            struct yg_value v;
            if (!yg_batch_col_value(&b->cols[c], r, &v))
                continue;
            if (yg_str_eq_c(b->cols[c].name, "@uid"))
                uid = v.i64;
            assert_true(text.count < 4096);
            text.lines[text.count++] = value_text(b->cols[c].name, &v);
        }
        model_put(m, uid, row_join(&text));
    }
}

// Text of row r of a block; its "@uid" in *ret_uid.
static inline char *block_row(struct yg_block *b, uint32_t r, int64_t *ret_uid) {
    static struct row_text text;
    struct yg_err err = {0};
    yg_str name, last = {NULL, 0};
    enum yg_type type;
    *ret_uid = -1;
    for (uint32_t i = 0; b->ops->column_at(b, i, &name, &type); i++) {
        if (last.ptr && yg_str_eq(name, last))
            continue;
        last = name;
        const struct yg_vec *v[YG_TYPE_COUNT];
        uint32_t n;
        if (b->ops->columns(b, name, v, &n, &err) != YG_OK)
            fail_msg("%s", err.text);
        for (uint32_t k = 0; k < n; k++) {
            struct yg_value value;
            if (!yg_vec_value(v[k], r, &value) || yg_str_eq_c(name, YG_COL_SEQ))
                continue;
            if (yg_str_eq_c(name, "@uid"))
                *ret_uid = value.i64;
            text.lines[text.count++] = value_text(name, &value);
        }
    }
    return row_join(&text);
}

// Every row of the model once, nothing else. Returns the rows seen.
static inline uint32_t model_check_snapshot(const struct model *m, struct yg_snapshot *snap) {
    struct yg_map seen = YG_MAP(YG_MEM_BASE, true);
    struct yg_err err = {0};
    uint32_t rows = 0;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, (size_t)4 << 30);
    for (uint32_t s = 0; s < yg_snapshot_segments(snap); s++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, s, &info);
        for (uint32_t g = 0; g < info.granule_count; g++) {
            struct yg_block *b;
            yg_arena_reset(arena);
            if (yg_snapshot_block(snap, s, g, arena, &b, &err) != YG_OK)
                fail_msg("%s", err.text);
            for (uint32_t r = 0; r < b->row_count; r++) {
                int64_t uid;
                if (b->live && !yg_bits_get(b->live, r))
                    continue;
                char *text = block_row(b, r, &uid);
                yg_str key = yg_str_n((const char *)&uid, sizeof(uid));
                const uint64_t *want = yg_map_get(&m->rows, key);
                if (want == NULL)
                    fail_msg("row that was never stored: %s", text);
                assert_string_equal(text, (const char *)(uintptr_t)*want);
                bool is_new;
                (void)yg_map_put(&seen, key, &is_new);
                if (!is_new)
                    fail_msg("row twice: %s", text);
                free(text);
                rows++;
            }
        }
    }
    yg_map_fini(&seen);
    return rows;
}

static inline void model_check(const struct model *m, struct yg_store *store, enum yg_track track) {
    struct yg_err err = {0};
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    if (yg_snapshot_open(store, track, all, true, &snap, &err) != YG_OK)
        fail_msg("%s", err.text);
    uint32_t rows = model_check_snapshot(m, snap);
    yg_snapshot_close(snap);
    assert_int_equal(rows, m->rows.len);
}

// ------------------------------------------------------------ batches

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct yg_err err_ = {0};                                                                  \
        struct yg_err *err = &err_;                                                                \
        if ((call) != YG_OK)                                                                       \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, err_.text);                                  \
    } while (0)

static inline yg_str keep(struct yg_batch *b, const char *text) {
    return yg_arena_str(b->arena, yg_str_c(text));
}

static const double odd_doubles[] = {0.0, -0.0, 1.5, -3.25, 1e300, -1e-300, 9007199254740993.0,
                                     200, 404,  0.1};

static inline void put_random(struct rng *r, struct yg_batch *b, uint32_t wide) {
    char name[64], text[64];
    if (rng_below(r, 4)) {
        (void)snprintf(text, sizeof(text), "service-%u", rng_below(r, 5));
        OK(yg_batch_set_str(b, YG_STR(YG_COL_SERVICE), keep(b, text), err));
    }
    if (rng_below(r, 2))
        OK(yg_batch_set_str(b, YG_STR("@empty"), YG_STR(""), err));
    (void)snprintf(text, sizeof(text), "message %llx", (unsigned long long)rng_next(r));
    OK(yg_batch_set_str(b, YG_STR(YG_COL_MESSAGE), keep(b, text), err));
    if (rng_below(r, 3) == 0)
        OK(yg_batch_set_f64(b, YG_STR("@f"), odd_doubles[rng_below(r, 10)], err));
    if (rng_below(r, 3) == 0)
        OK(yg_batch_set_f64(b, YG_STR("@whole"), (double)rng_below(r, 600), err));
    if (rng_below(r, 2))
        OK(yg_batch_set_i64(b, YG_STR("@i"), (int64_t)rng_next(r), err));
    if (rng_below(r, 2))
        OK(yg_batch_set_i64(b, YG_STR("@small"), (int64_t)rng_below(r, 1000) - 500, err));
    if (rng_below(r, 3) == 0)
        OK(yg_batch_set_str(b, YG_STR("@i"), YG_STR("as text"), err)); // several types, one name
    if (rng_below(r, 2))
        OK(yg_batch_set_bool(b, YG_STR("@yes"), rng_below(r, 2) == 1, err));
    if (rng_below(r, 2))
        OK(yg_batch_set_json(b, YG_STR("@list"), YG_STR("[1,\"two\"]"), err));
    yg_id128 id = {rng_below(r, 2), 1 + rng_below(r, 50)};
    if (rng_below(r, 5))
        OK(yg_batch_set_id(b, YG_STR(YG_COL_TRACE_ID), id, err));
    OK(yg_batch_set_i64(b, YG_STR("@const"), 7, err));
    for (uint32_t i = 0; i < wide; i++) {
        (void)snprintf(name, sizeof(name), "@wide.%u", rng_below(r, 2500));
        OK(yg_batch_set_i64(b, keep(b, name), (int64_t)i, err));
    }
}

static int64_t next_uid = 1;

static inline struct yg_batch *random_batch(struct rng *r, enum yg_track track, uint32_t rows,
                                            uint32_t wide, uint32_t days) {
    struct yg_batch *b = yg_batch_create(track, (size_t)1 << 30);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row;
        OK(yg_batch_row(b, &row, err));
        int64_t t = DAY0 + (int64_t)rng_below(r, days) * 86400 * YG_NS_PER_S +
                    (int64_t)rng_below(r, 1000000) * YG_NS_PER_MS / 20;
        OK(yg_batch_set_i64(b, YG_STR(YG_COL_TIME), t, err));
        OK(yg_batch_set_i64(b, YG_STR("@uid"), next_uid++, err));
        put_random(r, b, wide);
    }
    b->received_ns = DAY0;
    return b;
}

// ------------------------------------------------------------ a store in a folder of its own

struct fixture {
    char dir[64];
    struct yg_pool *pool;
    struct yg_store *store;
    struct yg_store_options o;
};

static inline void remove_tree(const char *dir) {
    DIR *d = opendir(dir);
    if (d == NULL)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[4096];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int n = snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        assert_true(n > 0 && (size_t)n < sizeof(path));
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            remove_tree(path);
        else
            (void)unlink(path);
    }
    (void)closedir(d);
    (void)rmdir(dir);
}

static inline void fixture_open(struct fixture *f) {
    struct yg_err err = {0};
    f->o.dir = f->dir;
    if (f->o.clock == NULL)
        f->o.clock = &yg_clock_system;
    f->o.pool = f->pool;
    f->o.shard_count = f->o.shard_count ? f->o.shard_count : 2;
    if (yg_store_open(&f->o, &f->store, &err) != YG_OK)
        fail_msg("%s", err.text);
}

static inline void fixture_start(struct fixture *f) {
    yg_log_level_set(YG_LOG_LEVEL_COUNT);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/yg-t-rows-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->pool = yg_pool_create(NULL);
    fixture_open(f);
}

static inline void fixture_reopen(struct fixture *f) {
    yg_store_close(f->store);
    f->store = NULL;
    fixture_open(f);
}

static inline void fixture_end(struct fixture *f) {
    yg_store_close(f->store);
    yg_pool_destroy(f->pool);
    remove_tree(f->dir);
}

struct ack {
    struct yg_event done;
    yg_rc rc;
};

static inline void on_ack(void *arg, yg_rc rc, const struct yg_err *err) {
    struct ack *a = arg;
    (void)err;
    a->rc = rc;
    yg_event_set(&a->done);
}

// Appends and waits for the acknowledgement.
static inline yg_rc append_wait(struct yg_store *store, struct yg_batch *take_batch) {
    struct ack a;
    struct yg_err err = {0};
    yg_event_init(&a.done);
    yg_rc rc = yg_store_append(store, take_batch, on_ack, &a, &err);
    if (rc == YG_OK) {
        yg_event_wait(&a.done);
        rc = a.rc;
    }
    yg_event_fini(&a.done);
    return rc;
}

static inline void store_rows(struct yg_store *store, struct model *m,
                              struct yg_batch *take_batch) {
    model_add(m, take_batch);
    assert_int_equal(append_wait(store, take_batch), YG_OK);
}

// Is a row with that "@uid" among what a fresh snapshot shows?
static inline bool holds(struct yg_store *store, enum yg_track track, int64_t uid) {
    struct yg_snapshot *snap;
    struct yg_time_range all = {INT64_MIN, INT64_MAX};
    bool found = false;
    OK(yg_snapshot_open(store, track, all, true, &snap, err));
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, 64u << 20);
    for (uint32_t s = 0; s < yg_snapshot_segments(snap) && !found; s++) {
        struct yg_segment_info info;
        yg_snapshot_segment(snap, s, &info);
        for (uint32_t g = 0; g < info.granule_count && !found; g++) {
            struct yg_block *b;
            const struct yg_vec *v[YG_TYPE_COUNT];
            uint32_t n;
            yg_arena_reset(arena);
            OK(yg_snapshot_block(snap, s, g, arena, &b, err));
            OK(b->ops->columns(b, YG_STR("@uid"), v, &n, err));
            for (uint32_t r = 0; n && r < b->row_count && !found; r++)
                found = v[0]->i64[r] == uid;
        }
    }
    yg_snapshot_close(snap);
    return found;
}

#endif
