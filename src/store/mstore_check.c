// SPDX-License-Identifier: Apache-2.0
// Looking after metric files from outside: checking every byte of a directory, saying what a file
// is, and dropping the oldest for want of room.

#include "store/mstore_int.h"
#include <dirent.h>
#include <unistd.h>

#define DAY_BUCKETS (86400u / YG_BUCKET_S)

// ------------------------------------------------------------ room

bool yg_mstore_oldest_day(struct yg_mstore *ms, int32_t *ret_day) {
    pthread_rwlock_rdlock(&ms->state_lock);
    uint32_t oldest = UINT32_MAX;
    // The newest block stays whatever happens: it names the sequence.
    for (uint32_t i = 0; i + 1 < ms->blocks->count; i++)
        if (ms->blocks->blocks[i]->max_bucket < oldest)
            oldest = ms->blocks->blocks[i]->max_bucket;
    pthread_rwlock_unlock(&ms->state_lock);
    *ret_day = (int32_t)(oldest / DAY_BUCKETS);
    return oldest != UINT32_MAX;
}

void yg_mstore_drop_before(struct yg_mstore *ms, int32_t day) {
    if (day <= 0 || (uint32_t)day > UINT32_MAX / DAY_BUCKETS)
        return;
    pthread_mutex_lock(&ms->flush_lock);
    yg_mstore_drop_blocks(ms, (uint32_t)day * DAY_BUCKETS);
    pthread_mutex_unlock(&ms->flush_lock);
}

// ------------------------------------------------------------ checking

struct checking {
    const char *file;
    void (*fault)(void *ctx, const char *file, const char *what);
    void *ctx;
    uint64_t faults;
};

static void on_fault(void *ctx, const struct yg_err *err) {
    struct checking *c = ctx;
    c->faults++;
    c->fault(c->ctx, c->file, err->text);
}

static void check_section(const struct yg_mblock *b, const struct yg_msection *s,
                          struct checking *c) {
    static const struct yg_mrange always = {0, UINT32_MAX};
    struct yg_mcursor cursor;
    struct yg_mrun run = {0};
    yg_mcursor_init(&cursor, b, s, YG_MS_NONE, always);
    cursor.damage = on_fault;
    cursor.damage_ctx = c;
    while (yg_mcursor_next(&cursor)) {
        yg_mrun_reset(&run);
        (void)yg_mcursor_decode(&cursor, &always, 1, YG_MS_FIELDS_ALL, &run);
    }
    yg_mrun_fini(&run);
    yg_mcursor_fini(&cursor);
}

static void check_block(const char *path, struct checking *c) {
    struct yg_mblock *b;
    struct yg_err err = {0};
    if (yg_mblock_open(path, NULL, NULL, &b, &err) != YG_OK) {
        on_fault(c, &err);
        return;
    }
    for (uint32_t i = 0; i < b->section_count; i++)
        check_section(b, &b->sections[i], c);
    yg_mblock_unref(b);
}

static void check_log(const char *dir, struct checking *c) {
    struct yg_mreg reg;
    struct yg_mlog log;
    struct yg_err err = {0};
    yg_mreg_init(&reg, 0, 0);
    if (yg_mlog_open(&log, dir, &reg, on_fault, c, &err) != YG_OK)
        on_fault(c, &err);
    yg_mlog_close(&log);
    yg_mreg_fini(&reg);
}

yg_rc yg_mstore_verify(const char *dir,
                       void (*fault)(void *ctx, const char *file, const char *what), void *ctx,
                       uint64_t *ret_faults, struct yg_err *err) {
    struct checking c = {.fault = fault, .ctx = ctx};
    DIR *d = opendir(dir);
    if (d == NULL)
        return yg_fail_errno(err, "open directory %s", dir);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[4096];
        yg_str name = yg_str_c(e->d_name);
        if (!yg_str_starts(name, YG_STR("b-")) || !yg_str_ends(name, YG_STR(".ygm")))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        c.file = e->d_name;
        check_block(path, &c);
    }
    (void)closedir(d);
    c.file = "series.ygs";
    check_log(dir, &c);
    *ret_faults = c.faults;
    return YG_OK;
}

// ------------------------------------------------------------ what a file is

yg_rc yg_mstore_describe(const char *path, struct yg_buf *out, struct yg_err *err) {
    struct yg_mblock *b;
    YG_TRY(yg_mblock_open(path, NULL, NULL, &b, err));
    yg_buf_printf(out,
                  "version %u\nlevel %u\nsequences %llu to %llu\npoints %llu\nbytes %lld\n"
                  "buckets %u to %u\n",
                  b->version, b->level, (unsigned long long)b->seq_lo,
                  (unsigned long long)b->seq_hi, (unsigned long long)b->points, (long long)b->bytes,
                  b->min_bucket, b->max_bucket);
    for (uint32_t i = 0; i < b->section_count; i++) {
        uint64_t bytes = 0;
        for (uint32_t k = 0; k < b->sections[i].chunk_count; k++)
            bytes += b->sections[i].chunks[k].stored_bytes;
        yg_buf_printf(out, "section of %u s: %u chunks, %llu bytes\n",
                      b->sections[i].step * YG_BUCKET_S, b->sections[i].chunk_count,
                      (unsigned long long)bytes);
    }
    yg_mblock_unref(b);
    return yg_buf_ok(out, err);
}
