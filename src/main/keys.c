// SPDX-License-Identifier: Apache-2.0
// Keys by command: create, list, revoke. The work is done by the same three functions on both ways;
// the admin socket only carries the command line in and the printed lines out.
#include "main/keys.h"

#include <curl/curl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/rand.h"
#include "codec/json_read.h"
#include "codec/json_write.h"
#include "main/lock.h"

#define ANSWER_MAX_BYTES (1u << 20)
#define EXIT_USAGE 2
#define EXIT_DIRECTORY 4

static const char usage[] = "usage: yagura key create [--app] [--name NAME] [--data DIR]\n"
                            "       yagura key list [--data DIR]\n"
                            "       yagura key revoke ID [--data DIR]\n";

struct key_command {
    const char *verb; // "create", "list", "revoke"
    const char *name;
    const char *id;
    const char *data;
    bool app;
};

// ------------------------------------------------------------ the three commands

static yg_rc run_create(struct yg_meta *meta, const struct key_command *c, struct yg_buf *out,
                        struct yg_err *err) {
    struct yg_key key;
    char value[41];
    enum yg_key_kind kind = c->app ? YG_KEY_APP : YG_KEY_API;
    YG_TRY(yg_meta_key_create(meta, kind, yg_str_c(c->name), value, &key, err));
    yg_buf_printf(out, "%s key %s: %s\nIt is shown only now.\n", c->app ? "application" : "API",
                  key.id, value);
    return YG_OK;
}

static yg_rc run_list(struct yg_meta *meta, struct yg_buf *out, struct yg_err *err) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_META, 4u << 20);
    struct yg_key *keys;
    uint32_t count;
    if (arena == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for the list");
    YG_TRY(yg_meta_key_list(meta, arena, &keys, &count, err));
    yg_buf_printf(out, "%-36s  %-11s  %-7s  %-24s  %s\n", "id", "kind", "ends in", "created",
                  "name");
    for (uint32_t i = 0; i < count; i++) {
        char created[YG_TIME_TEXT_BYTES];
        yg_time_format_iso(keys[i].created_ns, created);
        yg_buf_printf(out, "%-36s  %-11s  …%-6s  %-24s  %s%s\n", keys[i].id,
                      keys[i].kind == YG_KEY_APP ? "application" : "API", keys[i].last4, created,
                      keys[i].name, keys[i].revoked ? " (revoked)" : "");
    }
    return YG_OK;
}

static yg_rc run_command(struct yg_meta *meta, const struct key_command *c, struct yg_buf *out,
                         struct yg_err *err) {
    if (strcmp(c->verb, "create") == 0)
        return run_create(meta, c, out, err);
    if (strcmp(c->verb, "list") == 0)
        return run_list(meta, out, err);
    YG_TRY(yg_meta_key_revoke(meta, yg_str_c(c->id), err));
    yg_buf_printf(out, "key %s is revoked\n", c->id);
    return YG_OK;
}

// ------------------------------------------------------------ on a running server

static void admin_key(struct yg_http_request *take_req) {
    struct yg_err err = {0};
    struct yg_json_node *root;
    struct yg_buf out = YG_BUF(YG_MEM_META, ANSWER_MAX_BYTES);
    uint16_t status = 200;
    yg_rc rc = yg_json_parse(take_req->body, take_req->arena, &root, &err);
    if (rc == YG_OK) {
        struct key_command c = {
            .verb = yg_arena_cstr(take_req->arena,
                                  yg_json_str_or(yg_json_get(root, "verb"), YG_STR(""))),
            .name = yg_arena_cstr(take_req->arena,
                                  yg_json_str_or(yg_json_get(root, "name"), YG_STR(""))),
            .id =
                yg_arena_cstr(take_req->arena, yg_json_str_or(yg_json_get(root, "id"), YG_STR(""))),
            .app = yg_json_bool_or(yg_json_get(root, "app"), false),
        };
        rc = run_command(*(struct yg_meta **)take_req->ctx, &c, &out, &err);
    }
    if (rc != YG_OK) {
        status = rc == YG_ENOTFOUND ? 404 : 400;
        yg_buf_reset(&out);
        yg_buf_printf(&out, "%s\n", err.text);
    }
    struct yg_http_reply reply = {
        .status = status, .content_type = "text/plain; charset=utf-8", .body = out};
    yg_http_reply(take_req, &reply);
}

const struct yg_route yg_keys_admin_routes[] = {
    {YG_POST, "/key", 64u << 10, 1, admin_key},
    {0},
};

static size_t collect(char *ptr, size_t size, size_t count, void *arg) {
    yg_buf_put(arg, ptr, size * count);
    return size * count;
}

// Sends the command to the admin socket. False when nobody listens there.
static bool ask_running(const struct key_command *c, struct yg_buf *out, long *ret_status) {
    char socket_path[4096];
    snprintf(socket_path, sizeof(socket_path), "%s/admin.sock", c->data);
    if (access(socket_path, F_OK) != 0)
        return false;
    YG_AUTO(yg_buf) body = YG_BUF(YG_MEM_META, ANSWER_MAX_BYTES);
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "verb", yg_str_c(c->verb));
    yg_jw_kstr(&w, "name", yg_str_c(c->name));
    yg_jw_kstr(&w, "id", yg_str_c(c->id));
    yg_jw_kbool(&w, "app", c->app);
    yg_jw_object_end(&w);
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return false;
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    curl_easy_setopt(curl, CURLOPT_URL, "http://localhost/key");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.ptr);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_cleanup(curl);
    return code == CURLE_OK;
}

// ------------------------------------------------------------ on a stopped server's directory

static int run_stopped(const struct key_command *c, struct yg_buf *out) {
    struct yg_err err = {0};
    struct yg_meta *meta = NULL;
    struct yg_meta_first_keys first = {0};
    int lock = -1;
    yg_rc rc = yg_lock_take(c->data, "yagura key", &lock, &err);
    if (rc == YG_OK) {
        struct yg_meta_options options = {.dir = c->data, .clock = &yg_clock_system};
        rc = yg_meta_open(&options, &meta, &first, &err);
    }
    if (rc != YG_OK) {
        fprintf(stderr, "yagura: %s\n", err.text);
        yg_lock_release(&lock);
        return EXIT_DIRECTORY;
    }
    rc = run_command(meta, c, out, &err);
    yg_meta_close(meta);
    yg_lock_release(&lock);
    if (rc == YG_OK)
        return 0;
    fprintf(stderr, "yagura: %s\n", err.text);
    return EXIT_USAGE;
}

// ------------------------------------------------------------ command line

static bool parse_command(int argc, char *const *argv, struct key_command *c) {
    *c = (struct key_command){.name = "unnamed", .id = "", .data = getenv("YAGURA_DATA")};
    if (c->data == NULL)
        c->data = "./data";
    if (argc < 1)
        return false;
    c->verb = argv[0];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--app") == 0)
            c->app = true;
        else if (strcmp(argv[i], "--name") == 0 && i + 1 < argc)
            c->name = argv[++i];
        else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc)
            c->data = argv[++i];
        else if (strcmp(c->verb, "revoke") == 0 && c->id[0] == 0 && argv[i][0] != '-')
            c->id = argv[i];
        else
            return false;
    }
    bool revoke = strcmp(c->verb, "revoke") == 0;
    return strcmp(c->verb, "create") == 0 || strcmp(c->verb, "list") == 0 ||
           (revoke && c->id[0] != 0);
}

int yg_keys_command(int argc, char *const *argv) {
    struct key_command c;
    if (!parse_command(argc, argv, &c)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_META, ANSWER_MAX_BYTES);
    long status = 0;
    int code;
    if (ask_running(&c, &out, &status)) {
        code = status == 200 ? 0 : EXIT_USAGE;
    } else {
        yg_buf_reset(&out);
        code = run_stopped(&c, &out);
    }
    fwrite(out.ptr ? out.ptr : "", 1, out.len, code == 0 ? stdout : stderr);
    return code;
}
