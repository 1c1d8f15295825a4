// SPDX-License-Identifier: Apache-2.0
// Keys: first start, lookup, create, revoke, what survives a restart, what is on disk.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "meta/meta.h"
#include "test_dir.h"
#include <sys/stat.h>
#include <unistd.h>

static struct yg_meta *open_meta(const char *dir, const char *api, const char *app,
                                 struct yg_meta_first_keys *first) {
    struct yg_err err = {0};
    struct yg_meta *m = NULL;
    struct yg_meta_options o = {
        .dir = dir, .clock = &yg_clock_system, .first_api_key = api, .first_app_key = app};
    if (yg_meta_open(&o, &m, first, &err) != YG_OK)
        fail_msg("open: %s", err.text);
    return m;
}

static void first_start_makes_one_pair(void **state) {
    const char *dir = *state;
    struct yg_meta_first_keys first, again;
    struct yg_meta *m = open_meta(dir, NULL, NULL, &first);
    assert_true(first.made);
    assert_int_equal(strlen(first.api_key), 32);
    assert_int_equal(strlen(first.app_key), 40);
    assert_true(yg_meta_key_valid(m, YG_KEY_API, yg_str_c(first.api_key)));
    assert_true(yg_meta_key_valid(m, YG_KEY_APP, yg_str_c(first.app_key)));
    assert_false(yg_meta_key_valid(m, YG_KEY_APP, yg_str_c(first.api_key)));
    assert_false(yg_meta_key_valid(m, YG_KEY_API, YG_STR("")));
    assert_false(yg_meta_key_valid(m, YG_KEY_API, YG_STR("00000000000000000000000000000000")));
    assert_int_equal(yg_meta_org_id(m).len, 16);
    yg_meta_close(m);
    m = open_meta(dir, NULL, NULL, &again);
    assert_false(again.made);
    assert_true(yg_meta_key_valid(m, YG_KEY_API, yg_str_c(first.api_key)));
    yg_meta_close(m);
}

static void given_values_are_used_and_checked(void **state) {
    const char *dir = *state;
    const char *api = "0123456789abcdef0123456789abcdef";
    const char *app = "0123456789abcdef0123456789abcdef01234567";
    struct yg_err err = {0};
    struct yg_meta *m = NULL;
    struct yg_meta_first_keys first;
    struct yg_meta_options bad = {.dir = dir, .clock = &yg_clock_system, .first_api_key = "xyz"};
    assert_int_equal(yg_meta_open(&bad, &m, &first, &err), YG_EINPUT);
    assert_non_null(strstr(err.text, "YAGURA_API_KEY"));
    assert_false(first.made);
    m = open_meta(dir, api, app, &first); // nothing of the refused start was kept
    assert_true(first.made);
    assert_string_equal(first.api_key, api);
    assert_true(yg_meta_key_valid(m, YG_KEY_APP, yg_str_c(app)));
    yg_meta_close(m);
}

static void created_keys_live_until_revoked(void **state) {
    const char *dir = *state;
    struct yg_err err = {0};
    struct yg_meta_first_keys first;
    struct yg_meta *m = open_meta(dir, NULL, NULL, &first);
    char value[41];
    struct yg_key key;
    assert_int_equal(yg_meta_key_create(m, YG_KEY_API, YG_STR("ci"), value, &key, &err), YG_OK);
    assert_true(yg_meta_key_valid(m, YG_KEY_API, yg_str_c(value)));
    assert_string_equal(key.last4, value + 28);
    assert_int_equal(yg_meta_key_create(m, YG_KEY_API, YG_STR(""), value, &key, &err), YG_EINPUT);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_META, 1 << 20);
    struct yg_key *keys;
    uint32_t count;
    assert_int_equal(yg_meta_key_list(m, arena, &keys, &count, &err), YG_OK);
    assert_int_equal(count, 3);
    assert_int_equal(yg_meta_key_revoke(m, YG_STR("nobody"), &err), YG_ENOTFOUND);
    char second[41];
    assert_int_equal(yg_meta_key_create(m, YG_KEY_API, YG_STR("two"), second, &key, &err), YG_OK);
    assert_int_equal(yg_meta_key_revoke(m, yg_str_c(key.id), &err), YG_OK);
    assert_false(yg_meta_key_valid(m, YG_KEY_API, yg_str_c(second)));
    assert_int_equal(yg_meta_key_revoke(m, yg_str_c(key.id), &err), YG_ENOTFOUND);
    yg_meta_close(m);
    m = open_meta(dir, NULL, NULL, &first);
    assert_false(yg_meta_key_valid(m, YG_KEY_API, yg_str_c(second)));
    assert_int_equal(yg_meta_key_list(m, arena, &keys, &count, &err), YG_OK);
    assert_int_equal(count, 4);
    assert_true(keys[3].revoked);
    yg_meta_close(m);
}

static void no_key_value_is_on_disk(void **state) {
    const char *dir = *state;
    struct yg_meta_first_keys first;
    struct yg_meta *m = open_meta(dir, NULL, NULL, &first);
    static const char *const names[] = {"config.db", "config.db-wal"};
    size_t seen = 0;
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        struct yg_err err = {0};
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        YG_AUTO(yg_buf) b = YG_BUF(YG_MEM_META, 16 << 20);
        assert_int_equal(yg_file_read_all(path, &b, &err), YG_OK);
        seen += b.len;
        assert_int_equal(yg_str_find(yg_buf_str(&b), yg_str_c(first.api_key), 0), SIZE_MAX);
        assert_int_equal(yg_str_find(yg_buf_str(&b), yg_str_c(first.app_key), 0), SIZE_MAX);
    }
    assert_true(seen > 4096);
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600); // webhooks' secrets are for the owner alone
    }
    yg_meta_close(m);
}

static void a_newer_or_foreign_file_is_refused(void **state) {
    const char *dir = *state;
    char path[512];
    struct yg_err err = {0};
    snprintf(path, sizeof(path), "%s/config.db", dir);
    YG_AUTO(yg_buf) junk = YG_BUF(YG_MEM_META, 1 << 20);
    for (int i = 0; i < 1000; i++)
        yg_buf_puts(&junk, YG_STR("this is not a database\n"));
    assert_int_equal(yg_file_replace(path, yg_buf_str(&junk), &err), YG_OK);
    struct yg_meta *m = NULL;
    struct yg_meta_options o = {.dir = dir, .clock = &yg_clock_system};
    assert_int_equal(yg_meta_open(&o, &m, NULL, &err), YG_ECORRUPT);
    assert_non_null(strstr(err.text, "config.db"));
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, test_dir_make, test_dir_remove)
    const struct CMUnitTest tests[] = {
        T(first_start_makes_one_pair), T(given_values_are_used_and_checked),
        T(created_keys_live_until_revoked), T(no_key_value_is_on_disk),
        T(a_newer_or_foreign_file_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
