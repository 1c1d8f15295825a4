// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over files without a fuzzer: every file of the folders given, whole and cut at
// up to 64 places. So the corpus is a test under any compiler.
#include <dirent.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "fuzz.h"

#define FILE_BYTES_MAX (32u << 20)
#define CUTS 64u

static unsigned long inputs;

static void run(const char *bytes, size_t len) {
    char *copy = malloc(len ? len : 1); // exactly as long, so that one byte too far is seen
    YG_ASSERT(copy != NULL);
    if (len)
        memcpy(copy, bytes, len);
    (void)LLVMFuzzerTestOneInput((const unsigned char *)copy, len);
    free(copy);
    inputs++;
}

static int replay_file(const char *path) {
    struct yg_buf bytes = YG_BUF(YG_MEM_BASE, FILE_BYTES_MAX);
    struct yg_err err = {0};
    if (yg_file_read_all(path, &bytes, &err) != YG_OK) {
        fprintf(stderr, "%s\n", err.text);
        yg_buf_fini(&bytes);
        return 1;
    }
    run(bytes.ptr, bytes.len);
    size_t step = bytes.len / CUTS + 1;
    for (size_t cut = 0; cut < bytes.len; cut += step)
        run(bytes.ptr, cut);
    yg_buf_fini(&bytes);
    return 0;
}

static int replay(const char *path, int depth) {
    struct stat st;
    if (depth > 8 || stat(path, &st) != 0) {
        fprintf(stderr, "%s: not readable\n", path);
        return 1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    DIR *dir = opendir(path);
    YG_ASSERT(dir != NULL);
    int bad = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char inner[4096];
        if (e->d_name[0] == '.')
            continue;
        int n = snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        YG_ASSERT(n > 0 && (size_t)n < sizeof(inner));
        bad |= replay(inner, depth + 1);
    }
    closedir(dir);
    return bad;
}

// Folders from the command line, or those that the build names.
int main(int argc, char **argv) {
    int bad = 0;
    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i], 0);
    yg_str rest = YG_STR(FUZZ_FOLDERS);
    yg_str folder;
    while (argc == 1 && yg_str_split(&rest, ':', &folder)) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%.*s", YG_STR_FMT(folder));
        if (folder.len > 0)
            bad |= replay(path, 0);
    }
    bad |= inputs == 0;
    printf("%lu inputs\n[  %s  ] 1 test(s).\n", inputs, bad ? "FAILED" : "PASSED");
    return bad;
}
