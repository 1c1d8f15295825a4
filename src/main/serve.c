// SPDX-License-Identifier: Apache-2.0
// The server's life: lock, listeners, recovery, ready, signals, drain.
//
// Listeners open before recovery, so that a port in use is known at once and /health answers
// meanwhile; until recovery is done everything but /health and /ready is refused with 503. At
// SIGTERM: listeners close and requests under way are answered, monitors and senders stop, the
// DogStatsD aggregator is flushed, the store writes what is in memory to files.
#include "main/serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/panic.h"
#include "codec/json_write.h"
#include "main/lock.h"
#include "main/options.h"
#include "main/wire.h"

#define EXIT_USAGE 2
#define EXIT_ADDRESS 3
#define EXIT_DIRECTORY 4
#define EXIT_DAMAGED 5
#define EXIT_INTERNAL 70
#define DRAIN_MS 10000

static void complain(const struct yg_err *err) {
    fprintf(stderr, "yagura: %s\n", err->text);
}

// ------------------------------------------------------------ signals

static void signal_set(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

// Blocked before any thread starts, so that only the main thread takes them.
static void block_signals(void) {
    sigset_t set;
    signal_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

// SIGHUP: the log level takes effect at once; what a running server cannot change is named.
static void reload(int argc, char *const *argv, const struct yg_options *running) {
    YG_AUTO(yg_buf) faults = YG_BUF(YG_MEM_BASE, 64u << 10);
    YG_AUTO(yg_options) fresh;
    if (yg_options_read(argc, argv, &faults, &fresh) != YG_OK) {
        yg_log(YG_LOG_ERROR, "main", "configuration not taken over",
               YG_KV_STR("faults", yg_buf_str(&faults)));
        return;
    }
    yg_log_level_set(fresh.log_level);
    bool rest_same = strcmp(fresh.listen_api, running->listen_api) == 0 &&
                     strcmp(fresh.listen_agent, running->listen_agent) == 0 &&
                     strcmp(fresh.listen_dogstatsd, running->listen_dogstatsd) == 0 &&
                     fresh.memory_limit_bytes == running->memory_limit_bytes &&
                     fresh.wal_sync == running->wal_sync;
    yg_log(YG_LOG_INFO, "main",
           rest_same ? "configuration read again"
                     : "configuration read again; some changes need a restart");
}

// Waits for SIGTERM or SIGINT; ticks once a second meanwhile.
static void wait_for_end(struct yg_wire *wire, int argc, char *const *argv,
                         const struct yg_options *options) {
    sigset_t set;
    signal_set(&set);
    for (;;) {
        const struct timespec second = {.tv_sec = 1};
        int got = sigtimedwait(&set, NULL, &second);
        if (got == SIGTERM || got == SIGINT)
            return;
        if (got == SIGHUP)
            reload(argc, argv, options);
        yg_wire_tick(wire);
    }
}

// ------------------------------------------------------------ endpoints and greeting

static yg_rc write_endpoints(const struct yg_wire *wire, const char *dir, struct yg_err *err) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/endpoints.json", dir);
    YG_AUTO(yg_buf) text = YG_BUF(YG_MEM_BASE, 4096);
    struct yg_json_writer w = YG_JSON_WRITER(&text);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "api", yg_str_c(wire->api.api_address));
    yg_jw_kstr(&w, "agent", yg_str_c(wire->api.agent_address));
    yg_jw_kstr(&w, "dogstatsd", yg_str_c(wire->api.dogstatsd_address));
    yg_jw_ki64(&w, "pid", getpid());
    yg_jw_object_end(&w);
    yg_buf_putc(&text, '\n');
    return yg_file_replace(path, yg_buf_str(&text), err);
}

static void print_clients(const struct yg_wire *wire, const char *key) {
    const char *agent = wire->api.agent_address, *statsd = wire->api.dogstatsd_address;
    printf("\n  Send, one line per client\n");
    printf("    Node.js      DD_TRACE_AGENT_URL=http://%s DD_SERVICE=web DD_ENV=dev node -r "
           "dd-trace/init app.js\n",
           agent);
    printf("    Python       DD_TRACE_AGENT_URL=http://%s DD_SERVICE=web DD_ENV=dev ddtrace-run "
           "python app.py\n",
           agent);
    const char *colon = strrchr(statsd, ':');
    YG_ASSERT(colon != NULL);
    printf("    DogStatsD    printf 'shop.orders:1|c|#env:dev' > /dev/udp/%.*s/%s    (bash)\n",
           (int)(colon - statsd), statsd, colon + 1);
    printf("    Logs         curl -H 'DD-API-KEY: %s' -d "
           "'[{\"message\":\"hello\",\"service\":\"web\"}]' \\\n"
           "                   -H 'Content-Type: application/json' %s/api/v2/logs\n",
           key, wire->api.public_url);
    printf("    Metrics      curl -H 'DD-API-KEY: %s' -H 'Content-Type: application/json' "
           "%s/api/v2/series \\\n"
           "                   -d "
           "'{\"series\":[{\"metric\":\"shop.load\",\"type\":3,\"points\":[{\"timestamp\":'$(date "
           "+%%s)',\"value\":1}]}]}'\n",
           key, wire->api.public_url);
}

static void greet(const struct yg_wire *wire, const struct yg_meta_first_keys *first) {
    printf("\n  yagura %s is ready\n\n", YG_VERSION);
    printf("    Page         %s/\n", wire->api.public_url);
    printf("    Intakes      %s (logs, metrics, events; API key)\n", wire->api.public_url);
    printf("    Trace agent  http://%s\n", wire->api.agent_address);
    printf("    DogStatsD    udp://%s\n", wire->api.dogstatsd_address);
    if (first->made)
        printf("\n    API key          %s\n    Application key  %s\n    (shown now only; `yagura "
               "key create` makes more)\n",
               first->api_key, first->app_key);
    print_clients(wire, first->made ? first->api_key : "<API key>");
    printf("\n");
    fflush(stdout);
}

// ------------------------------------------------------------ run

// What a failed start says: damage, a fault of ours, or a directory that cannot be used.
static int exit_code(yg_rc rc) {
    if (rc == YG_ECORRUPT)
        return EXIT_DAMAGED;
    return rc == YG_ENOMEM || rc == YG_EINTERNAL ? EXIT_INTERNAL : EXIT_DIRECTORY;
}

static int run_wired(struct yg_wire *wire, int argc, char *const *argv,
                     const struct yg_options *options) {
    struct yg_err err = {0};
    struct yg_meta_first_keys first = {0};
    if (yg_wire_listen(wire, options, &err) != YG_OK) {
        complain(&err);
        return EXIT_ADDRESS;
    }
    yg_rc rc = yg_wire_recover(wire, options, &first, &err);
    if (rc == YG_OK)
        rc = write_endpoints(wire, options->data, &err);
    if (rc != YG_OK) {
        complain(&err);
        return exit_code(rc);
    }
    yg_wire_open_doors(wire);
    greet(wire, &first);
    wait_for_end(wire, argc, argv, options);
    yg_log(YG_LOG_INFO, "main", "draining");
    yg_wire_drain(wire, DRAIN_MS);
    return 0;
}

static int run_locked(int argc, char *const *argv, const struct yg_options *options) {
    char endpoints[4096];
    snprintf(endpoints, sizeof(endpoints), "%s/endpoints.json", options->data);
    unlink(endpoints); // of a server that was killed
    struct yg_wire wire;
    yg_wire_init(&wire);
    int code = run_wired(&wire, argc, argv, options);
    yg_wire_fini(&wire);
    unlink(endpoints);
    return code;
}

int yg_serve(int argc, char *const *argv) {
    YG_AUTO(yg_buf) faults = YG_BUF(YG_MEM_BASE, 64u << 10);
    YG_AUTO(yg_options) options;
    if (yg_options_read(argc, argv, &faults, &options) != YG_OK) {
        fwrite(faults.ptr, 1, faults.len, stderr);
        return EXIT_USAGE;
    }
    yg_log_level_set(options.log_level);
    umask(0077);
    block_signals();
    struct yg_err err = {0};
    int lock = -1;
    if (yg_file_mkdirs(options.data, &err) != YG_OK ||
        yg_lock_take(options.data, "yagura serve", &lock, &err) != YG_OK) {
        complain(&err);
        return EXIT_DIRECTORY;
    }
    int code = run_locked(argc, argv, &options);
    yg_lock_release(&lock);
    return code;
}
