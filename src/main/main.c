// SPDX-License-Identifier: Apache-2.0
// The command table of yagura.
#include <curl/curl.h>
#include <sqlite3.h>
#include <uv.h>
#include <zlib.h>
#include <zstd.h>

#include "main/check.h"
#include "main/keys.h"
#include "main/options.h"
#include "main/serve.h"

#define TEXT_MAX_BYTES (256u << 10)

static int command_serve(int argc, char *const *argv) {
    return yg_serve(argc, argv);
}
static int command_key(int argc, char *const *argv) {
    return yg_keys_command(argc, argv);
}

static int command_check_config(int argc, char *const *argv) {
    YG_AUTO(yg_buf) faults = YG_BUF(YG_MEM_BASE, TEXT_MAX_BYTES);
    YG_AUTO(yg_options) options;
    if (yg_options_read(argc, argv, &faults, &options) == YG_OK) {
        puts("the configuration is sound");
        return 0;
    }
    fwrite(faults.ptr, 1, faults.len, stderr);
    return 2;
}

static int command_version(int argc, char *const *argv) {
    (void)argc;
    (void)argv;
    printf("yagura %s\ncommit %s\ncompiler %s\n", YG_VERSION, YG_COMMIT, __VERSION__);
    printf("libraries uv %s, sqlite %s, zstd %s, zlib %s, curl %s\n", uv_version_string(),
           sqlite3_libversion(), ZSTD_versionString(), zlibVersion(),
           curl_version_info(CURLVERSION_NOW)->version);
    return 0;
}

// Not in the help: `make check` compares docs/configuration.md with it.
static int command_options(int argc, char *const *argv) {
    (void)argc;
    (void)argv;
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, TEXT_MAX_BYTES);
    yg_options_markdown(&out);
    fwrite(out.ptr, 1, out.len, stdout);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char *const *argv); // argv without program and command
    const char *help;
} commands[] = {
    {"serve", command_serve, "the server; SIGTERM drains and stops"},
    {"check-config", command_check_config, "validates file, environment and flags"},
    {"key", command_key, "create, list or revoke keys"},
    {"fsck", yg_fsck_command, "checks every checksum of a stopped server's directory; exit 0 or 5"},
    {"inspect", yg_inspect_command, "structure of a segment, log or metric file; --json"},
    {"version", command_version, "version, commit, compiler, libraries"},
    {"options", command_options, NULL},
};

static void print_help(FILE *to) {
    fputs("usage: yagura COMMAND [OPTIONS]\n\ncommands\n", to);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (commands[i].help)
            fprintf(to, "  %-28s %s\n", commands[i].name, commands[i].help);
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_BASE, TEXT_MAX_BYTES);
    yg_options_help(&out);
    fprintf(to,
            "\noptions of serve and check-config (environment YAGURA_…, file key: "
            "docs/configuration.md)\n%.*s",
            YG_STR_FMT(yg_buf_str(&out)));
}

static bool asks_for_help(int argc, char *const *argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return argc > 1 && strcmp(argv[1], "help") == 0;
}

int main(int argc, char **argv) {
    if (asks_for_help(argc, argv)) {
        print_help(stdout);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    if (argc > 1)
        fprintf(stderr, "yagura: no command \"%s\"\n", argv[1]);
    print_help(stderr);
    return 2;
}
