// SPDX-License-Identifier: Apache-2.0
// Files: short writes, failing calls, durable replacement; and what log lines look like.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"

static char dir[64];

static int make_dir(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/yg-t-file-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state) {
    (void)state;
    const char *names[] = {"a/b/c", "a/b", "a", "f", "f.tmp", "log"};
    char path[128];
    for (size_t i = 0; i < 6; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)remove(path);
    }
    return rmdir(dir);
}

static ssize_t one_byte_pwrite(int fd, const void *ptr, size_t len, off_t at) {
    return pwrite(fd, ptr, len ? 1 : 0, at);
}

static int failing_sync(int fd) {
    (void)fd;
    errno = EIO;
    return -1;
}

static void whole_reads_and_writes(void **state) {
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/f", dir);
    int fd = -1;
    struct yg_err err;
    assert_int_equal(yg_file_open(path, O_RDWR | O_CREAT, &fd, &err), YG_OK);
    yg_file_ops.pwrite = one_byte_pwrite;
    assert_int_equal(yg_file_pwrite_all(fd, "hello", 5, 0, &err), YG_OK);
    yg_file_ops = yg_file_ops_system;
    char back[8];
    assert_int_equal(yg_file_pread_all(fd, back, 5, 0, &err), YG_OK);
    assert_memory_equal(back, "hello", 5);
    assert_int_equal(yg_file_pread_all(fd, back, 6, 0, &err), YG_ECORRUPT);
    assert_non_null(strstr(err.text, "short read"));
    int64_t bytes;
    assert_int_equal(yg_file_size(fd, &bytes, &err), YG_OK);
    assert_int_equal(bytes, 5);
    yg_file_close(&fd);
    assert_int_equal(fd, -1);
    yg_file_close(&fd);
    YG_AUTO(yg_buf) exact = YG_BUF(YG_MEM_BASE, 5);
    assert_int_equal(yg_file_read_all(path, &exact, &err), YG_OK);
    assert_true(yg_str_eq_c(yg_buf_str(&exact), "hello"));
    YG_AUTO(yg_buf) small = YG_BUF(YG_MEM_BASE, 4);
    assert_int_equal(yg_file_read_all(path, &small, &err), YG_ELIMIT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(yg_file_open("/nonexistent/x", O_RDONLY, &fd, &err), YG_EIO);
    assert_int_equal(err.sys_errno, ENOENT);
}

static void replacement_is_all_or_nothing(void **state) {
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/f", dir);
    assert_int_equal(yg_file_replace(path, YG_STR("old"), NULL), YG_OK);
    struct yg_err err;
    yg_file_ops.fsync = failing_sync;
    assert_int_equal(yg_file_replace(path, YG_STR("new"), &err), YG_EIO);
    yg_file_ops = yg_file_ops_system;
    YG_AUTO(yg_buf) content = YG_BUF(YG_MEM_BASE, 100);
    assert_int_equal(yg_file_read_all(path, &content, &err), YG_OK);
    assert_true(yg_str_eq_c(yg_buf_str(&content), "old"));
    char temp[140];
    (void)snprintf(temp, sizeof(temp), "%s.tmp", path);
    assert_int_equal(access(temp, F_OK), -1);
    assert_int_equal(yg_file_replace(path, YG_STR("new"), &err), YG_OK);
    yg_buf_reset(&content);
    assert_int_equal(yg_file_read_all(path, &content, &err), YG_OK);
    assert_true(yg_str_eq_c(yg_buf_str(&content), "new"));
}

static void folders(void **state) {
    (void)state;
    char path[128];
    struct yg_err err;
    (void)snprintf(path, sizeof(path), "%s/a/b/c", dir);
    assert_int_equal(yg_file_mkdirs(path, &err), YG_OK);
    assert_int_equal(yg_file_mkdirs(path, &err), YG_OK);
    assert_int_equal(yg_file_sync_dir(path, &err), YG_OK);
    (void)snprintf(path, sizeof(path), "%s/f/x", dir);
    assert_int_equal(yg_file_mkdirs(path, &err), YG_EIO);
    assert_int_equal(yg_file_mkdirs("", &err), YG_EINPUT);
    int64_t free_bytes;
    int64_t total;
    assert_int_equal(yg_file_free_bytes(dir, &free_bytes, &total, &err), YG_OK);
    assert_true(free_bytes <= total && total > 0);
}

static void flood(int lines) {
    for (int i = 0; i < lines; i++)
        yg_log(YG_LOG_WARN, "base", "flood", YG_KV_C("why", "a \"quote\"\n"), YG_KV_INT("i", i),
               YG_KV_F64("half", 0.5));
}

static void log_lines_are_json_and_limited(void **state) {
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    int fd = -1;
    assert_int_equal(yg_file_open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, &fd, NULL), YG_OK);
    int saved = dup(STDERR_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    flood(100);
    yg_log(YG_LOG_DEBUG, "base", "not shown");
    (void)dup2(saved, STDERR_FILENO);
    close(saved);
    yg_file_close(&fd);
    YG_AUTO(yg_buf) text = YG_BUF(YG_MEM_BASE, 1 << 20);
    assert_int_equal(yg_file_read_all(path, &text, NULL), YG_OK);
    yg_str rest = yg_buf_str(&text);
    yg_str line;
    int lines = 0;
    while (yg_str_split(&rest, '\n', &line) && line.len) {
        lines++;
        assert_true(yg_str_starts(line, YG_STR("{\"ts\":\"20")));
        assert_true(yg_str_find(line, YG_STR("\"why\":\"a \\\"quote\\\"\\u000a\""), 0) != SIZE_MAX);
        assert_true(yg_str_find(line, YG_STR("\"half\":0.5"), 0) != SIZE_MAX);
    }
    assert_in_range(lines, 10, 20); // 20 when a second began meanwhile
    enum yg_log_level level;
    assert_true(yg_log_level_parse(YG_STR("ERROR"), &level) && level == YG_LOG_ERROR);
    assert_false(yg_log_level_parse(YG_STR("loud"), &level));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_reads_and_writes),
        cmocka_unit_test(replacement_is_all_or_nothing),
        cmocka_unit_test(folders),
        cmocka_unit_test(log_lines_are_json_and_limited),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
