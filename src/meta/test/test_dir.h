// SPDX-License-Identifier: Apache-2.0
// A fresh directory per test: setup gives its path as the state, teardown removes it with its
// files.
#ifndef YG_META_TEST_DIR_H
#define YG_META_TEST_DIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int test_dir_make(void **state) {
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/yg-test-XXXXXX");
    *state = mkdtemp(path);
    return *state ? 0 : -1;
}

static inline int test_dir_remove(void **state) {
    const char *dir = *state;
    DIR *d = opendir(dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char path[512];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    return rmdir(dir);
}

#endif
