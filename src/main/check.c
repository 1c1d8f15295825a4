// SPDX-License-Identifier: Apache-2.0
// yagura fsck DIR and yagura inspect FILE.
#include "main/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main/lock.h"
#include "store/store.h"

#define EXIT_USAGE 2
#define EXIT_DIRECTORY 4
#define EXIT_DAMAGED 5
#define FSCK_USAGE "usage: yagura fsck [--running | --repair] DIR\n"

static void print_fault(void *ctx, const char *line) {
    (void)ctx;
    printf("%s\n", line);
}

static void print_note(void *ctx, const char *line) {
    (void)ctx;
    printf("note: %s\n", line);
}

static int run_fsck(const char *dir, bool repair) {
    struct yg_fsck_options options = {.fault = print_fault, .note = print_note, .repair = repair};
    struct yg_fsck_summary sum;
    struct yg_err err = {0};
    if (yg_store_fsck(dir, &options, &sum, &err) != YG_OK) {
        fprintf(stderr, "yagura: %s\n", err.text);
        return EXIT_DIRECTORY;
    }
    printf("%llu files, %llu chunks, %llu rows, %llu frames, %llu points: ",
           (unsigned long long)sum.files, (unsigned long long)sum.chunks,
           (unsigned long long)sum.rows, (unsigned long long)sum.frames,
           (unsigned long long)sum.points);
    if (sum.faults == 0)
        printf("no fault\n");
    else
        printf("%llu fault%s\n", (unsigned long long)sum.faults, sum.faults == 1 ? "" : "s");
    return sum.faults ? EXIT_DAMAGED : 0;
}

// Without a lock file there is no server, and a check makes none.
static int lock_if_there(const char *dir, int *ret_lock) {
    char path[4096];
    struct yg_err err = {0};
    if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path) ||
        access(path, F_OK) != 0)
        return 0;
    if (yg_lock_take(dir, "yagura fsck", ret_lock, &err) == YG_OK)
        return 0;
    fprintf(stderr,
            "yagura: %s\nyagura: files change while a server runs; --running checks all the same\n",
            err.text);
    return EXIT_DIRECTORY;
}

int yg_fsck_command(int argc, char *const *argv) {
    const char *dir = NULL;
    bool running = false, repair = false;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--running") == 0) {
            running = true;
        } else if (strcmp(argv[i], "--repair") == 0) {
            repair = true;
        } else if (argv[i][0] == '-' || dir != NULL) {
            fprintf(stderr, "yagura: fsck: %s\n" FSCK_USAGE, argv[i]);
            return EXIT_USAGE;
        } else {
            dir = argv[i];
        }
    }
    if (dir == NULL || (running && repair)) {
        fprintf(stderr, FSCK_USAGE);
        return EXIT_USAGE;
    }
    int lock = -1;
    int code = running ? 0 : lock_if_there(dir, &lock);
    if (code == 0)
        code = run_fsck(dir, repair);
    yg_lock_release(&lock);
    return code;
}

int yg_inspect_command(int argc, char *const *argv) {
    const char *path = NULL;
    bool json = false;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (argv[i][0] == '-' || path != NULL) {
            fprintf(stderr, "yagura: inspect: %s\nusage: yagura inspect [--json] FILE\n", argv[i]);
            return EXIT_USAGE;
        } else {
            path = argv[i];
        }
    }
    if (path == NULL) {
        fprintf(stderr, "usage: yagura inspect [--json] FILE\n");
        return EXIT_USAGE;
    }
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_STORE, (size_t)1 << 30);
    struct yg_err err = {0};
    yg_rc rc = yg_store_inspect(path, json, &out, &err);
    if (rc != YG_OK) {
        fprintf(stderr, "yagura: %s\n", err.text);
        return rc == YG_ECORRUPT ? EXIT_DAMAGED : EXIT_USAGE;
    }
    fwrite(out.ptr, 1, out.len, stdout);
    return 0;
}
