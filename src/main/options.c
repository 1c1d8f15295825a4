// SPDX-License-Identifier: Apache-2.0
// The option table, and reading it from flags, environment and a YAML file.
#include "main/options.h"

#include <yaml.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/panic.h"

enum kind { KIND_TEXT, KIND_ADDRESS, KIND_BYTES, KIND_DURATION, KIND_WAL_SYNC, KIND_LOG_LEVEL };

struct option {
    const char *flag; // without "--"; environment and file key follow from it
    enum kind kind;
    size_t offset;        // of the member in struct yg_options
    const char *fallback; // NULL = off
    const char *value_name;
    const char *help;
};

#define AT(member) offsetof(struct yg_options, member)

static const struct option table[] = {
    {"config", KIND_TEXT, AT(config), NULL, "FILE", "YAML file with the keys of this table"},
    {"data", KIND_TEXT, AT(data), "./data", "DIR",
     "everything that yagura stores; one server at a time holds its lock"},
    {"listen-api", KIND_ADDRESS, AT(listen_api), "127.0.0.1:8080", "ADDR",
     "public intakes, query and management API, web page, /health, /ready, /metrics"},
    {"listen-agent", KIND_ADDRESS, AT(listen_agent), "127.0.0.1:8126", "ADDR",
     "trace-agent protocol; no key is asked, therefore loopback by default"},
    {"listen-dogstatsd", KIND_ADDRESS, AT(listen_dogstatsd), "127.0.0.1:8125", "ADDR",
     "DogStatsD over UDP"},
    {"agent-socket", KIND_TEXT, AT(agent_socket), NULL, "PATH",
     "the trace-agent protocol on a Unix socket as well"},
    {"public-url", KIND_TEXT, AT(public_url), NULL, "URL",
     "what links in messages, links.next and Setup show; made from --listen-api when not given"},
    {"memory-limit", KIND_BYTES, AT(memory_limit_bytes), "1GiB", "BYTES",
     "ingest, query and caches together; suffixes KiB, MiB, GiB"},
    {"retention-logs", KIND_DURATION, AT(retention_logs_ns), "15d", "AGE",
     "logs and events older than this are dropped"},
    {"retention-spans", KIND_DURATION, AT(retention_spans_ns), "15d", "AGE",
     "spans and traces older than this are dropped"},
    {"retention-metrics", KIND_DURATION, AT(retention_metrics_ns), "400d", "AGE",
     "points older than this are dropped"},
    {"retention-size", KIND_BYTES, AT(retention_size_bytes), NULL, "BYTES",
     "when segments and metric files are larger together, the oldest day of all of them is "
     "dropped"},
    {"wal-sync", KIND_WAL_SYNC, AT(wal_sync), "always", "POLICY",
     "when acknowledged data is on disk: always, interval:MS, or none"},
    {"log-level", KIND_LOG_LEVEL, AT(log_level), "info", "LEVEL",
     "debug, info, warn or error; JSON lines on standard error"},
};

#define OPTION_COUNT (sizeof(table) / sizeof(table[0]))
#define FILE_MAX_BYTES (1u << 20)

// ------------------------------------------------------------ names

// "listen-otlp-http" → "YAGURA_LISTEN_OTLP_HTTP"
static void environment_name(const char *flag, char out[64]) {
    int len = snprintf(out, 64, "YAGURA_%s", flag);
    YG_ASSERT(len > 0 && len < 64);
    for (char *c = out; *c; c++)
        *c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
}

// "listen-otlp-http" → "listen.otlp-http": only the first hyphen is the dot.
static void file_key(const char *flag, char out[64]) {
    int len = snprintf(out, 64, "%s", flag);
    YG_ASSERT(len > 0 && len < 64);
    char *hyphen = strchr(out, '-');
    if (hyphen)
        *hyphen = '.';
}

// ------------------------------------------------------------ values

static bool split_number(yg_str s, double *ret_number, yg_str *ret_unit) {
    size_t end = 0;
    while (end < s.len && ((s.ptr[end] >= '0' && s.ptr[end] <= '9') || s.ptr[end] == '.'))
        end++;
    *ret_unit = yg_str_sub(s, end, s.len);
    return yg_str_to_f64(yg_str_sub(s, 0, end), ret_number);
}

static bool parse_bytes(yg_str s, int64_t *ret_bytes) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"KiB", 1024},
                 {"MiB", 1048576},
                 {"GiB", 1073741824},
                 {"TiB", 1099511627776}};
    double number;
    yg_str unit;
    if (!split_number(s, &number, &unit))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (yg_str_eq_c(unit, units[i].unit) && number * units[i].factor < 9e15) {
            *ret_bytes = (int64_t)(number * units[i].factor);
            return true;
        }
    return false;
}

static bool parse_duration(yg_str s, int64_t *ret_ns) {
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
    double number;
    yg_str unit;
    if (!split_number(s, &number, &unit))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (yg_str_eq_c(unit, units[i].unit) && number * units[i].seconds < 9e9) {
            *ret_ns = (int64_t)(number * units[i].seconds * 1e9);
            return true;
        }
    return false;
}

static bool parse_wal_sync(yg_str s, struct yg_options *o) {
    if (yg_str_eq_c(s, "always")) {
        o->wal_sync = YG_WAL_SYNC_ALWAYS;
        return true;
    }
    if (yg_str_eq_c(s, "none")) {
        o->wal_sync = YG_WAL_SYNC_NONE;
        return true;
    }
    int64_t ms;
    if (!yg_str_starts(s, YG_STR("interval:")) || !yg_str_to_i64(yg_str_sub(s, 9, s.len), &ms) ||
        ms < 1 || ms > 60000)
        return false;
    o->wal_sync = YG_WAL_SYNC_INTERVAL;
    o->wal_sync_interval_ms = ms;
    return true;
}

// host:port, [v6]:port or :port, port 0–65535.
static bool address_is_sound(yg_str s) {
    size_t colon = yg_str_rfind_char(s, ':');
    int64_t port;
    return colon != SIZE_MAX && yg_str_to_i64(yg_str_sub(s, colon + 1, s.len), &port) &&
           port >= 0 && port <= 65535;
}

static void set_text(char **member, yg_str value) {
    yg_free(YG_MEM_BASE, *member);
    *member = yg_strndup(YG_MEM_BASE, value.ptr, value.len);
}

// Sets one option; `where` names its source in the fault's text.
static void set_option(const struct option *opt, yg_str value, const char *where,
                       struct yg_options *o, struct yg_buf *faults) {
    void *member = (char *)o + opt->offset;
    const char *wanted = NULL;
    int64_t number = 0;
    switch (opt->kind) {
    case KIND_TEXT:
        if (value.len == 0)
            wanted = "a value that is not empty";
        else
            set_text(member, value);
        break;
    case KIND_ADDRESS:
        if (address_is_sound(value))
            set_text(member, value);
        else
            wanted = "an address like 127.0.0.1:8080, [::1]:8080 or :8080";
        break;
    case KIND_BYTES:
        if (parse_bytes(value, &number) && number >= 64 << 20)
            memcpy(member, &number, sizeof(number));
        else
            wanted = "at least 64MiB, with a suffix KiB, MiB or GiB";
        break;
    case KIND_DURATION:
        if (parse_duration(value, &number) && number >= 60 * YG_NS_PER_S)
            memcpy(member, &number, sizeof(number));
        else
            wanted = "at least 1m, with a suffix s, m, h, d or w";
        break;
    case KIND_WAL_SYNC:
        if (!parse_wal_sync(value, o))
            wanted = "always, interval:MS (1 to 60000), or none";
        break;
    case KIND_LOG_LEVEL:
        if (!yg_log_level_parse(value, member))
            wanted = "debug, info, warn or error";
        break;
    }
    if (wanted)
        yg_buf_printf(faults, "%s: \"%.*s\" is not %s\n", where, YG_STR_FMT(value), wanted);
}

// ------------------------------------------------------------ file

struct file_reader {
    const char *path;
    struct yg_options *options;
    struct yg_buf *faults;
    const bool *overridden; // per option: flags or environment said it
    char prefix[64];        // "listen." inside that mapping
    bool seen[OPTION_COUNT];
};

static void file_entry(struct file_reader *r, const char *key, yg_str value, size_t line) {
    char full[160];
    int len = snprintf(full, sizeof(full), "%s%s", r->prefix, key);
    char where[512];
    snprintf(where, sizeof(where), "%s:%zu: %s", r->path, line, full);
    for (size_t i = 0; len > 0 && i < OPTION_COUNT; i++) {
        char name[64];
        file_key(table[i].flag, name);
        if (strcmp(name, full) != 0 || table[i].offset == AT(config))
            continue;
        if (r->seen[i])
            yg_buf_printf(r->faults, "%s: stands here twice\n", where);
        r->seen[i] = true;
        if (!r->overridden[i])
            set_option(&table[i], value, where, r->options, r->faults);
        return;
    }
    yg_buf_printf(r->faults, "%s: no such option\n", where);
}

// Walks the document's nodes: a mapping of keys to scalars, or to one more mapping.
static void file_mapping(struct file_reader *r, yaml_document_t *doc, const yaml_node_t *node,
                         unsigned depth) {
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(doc, pair->key);
        const yaml_node_t *value = yaml_document_get_node(doc, pair->value);
        size_t line = key->start_mark.line + 1;
        if (key->type != YAML_SCALAR_NODE) {
            yg_buf_printf(r->faults, "%s:%zu: a key must be plain text\n", r->path, line);
            continue;
        }
        const char *name = (const char *)key->data.scalar.value;
        if (value->type == YAML_SCALAR_NODE) {
            file_entry(r, name,
                       yg_str_n((const char *)value->data.scalar.value, value->data.scalar.length),
                       line);
        } else if (value->type == YAML_MAPPING_NODE && depth == 0 &&
                   strlen(name) < sizeof(r->prefix) - 2) {
            snprintf(r->prefix, sizeof(r->prefix), "%.60s.", name);
            file_mapping(r, doc, value, depth + 1);
            r->prefix[0] = 0;
        } else {
            yg_buf_printf(r->faults, "%s:%zu: %s: expected one value\n", r->path, line, name);
        }
    }
}

static void read_file(struct file_reader *r) {
    YG_AUTO(yg_buf) text = YG_BUF(YG_MEM_BASE, FILE_MAX_BYTES);
    struct yg_err err = {0};
    if (yg_file_read_all(r->path, &text, &err) != YG_OK) {
        yg_buf_printf(r->faults, "%s: %s\n", r->path, err.text);
        return;
    }
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser)) {
        yg_buf_printf(r->faults, "%s: no memory for the YAML reader\n", r->path);
        return;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    if (!yaml_parser_load(&parser, &doc)) {
        yg_buf_printf(r->faults, "%s:%zu: %s\n", r->path, parser.problem_mark.line + 1,
                      parser.problem ? parser.problem : "not YAML");
        yaml_parser_delete(&parser);
        return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    if (root && root->type == YAML_MAPPING_NODE)
        file_mapping(r, &doc, root, 0);
    else if (root)
        yg_buf_printf(r->faults, "%s:1: expected keys and values\n", r->path);
    yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
}

// ------------------------------------------------------------ reading all

static const struct option *find_flag(yg_str name, size_t *ret_idx) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (yg_str_eq_c(name, table[i].flag)) {
            *ret_idx = i;
            return &table[i];
        }
    return NULL;
}

// "--flag VALUE" and "--flag=VALUE".
static void read_flags(int argc, char *const *argv, struct yg_options *o, bool said[OPTION_COUNT],
                       struct yg_buf *faults) {
    for (int i = 0; i < argc; i++) {
        yg_str arg = yg_str_c(argv[i]);
        if (!yg_str_starts(arg, YG_STR("--"))) {
            yg_buf_printf(faults, "%s: unexpected argument\n", argv[i]);
            continue;
        }
        size_t equals = yg_str_find_char(arg, '=', 2), idx;
        yg_str name = yg_str_sub(arg, 2, equals == SIZE_MAX ? arg.len : equals - 2);
        const struct option *opt = find_flag(name, &idx);
        if (opt == NULL) {
            yg_buf_printf(faults, "--%.*s: no such option\n", YG_STR_FMT(name));
            if (equals == SIZE_MAX && i + 1 < argc && argv[i + 1][0] != '-')
                i++;
            continue;
        }
        char where[72];
        snprintf(where, sizeof(where), "--%s", opt->flag);
        if (equals == SIZE_MAX && i + 1 >= argc) {
            yg_buf_printf(faults, "%s: needs a value (%s)\n", where, opt->value_name);
            continue;
        }
        yg_str value =
            equals == SIZE_MAX ? yg_str_c(argv[++i]) : yg_str_sub(arg, equals + 1, arg.len);
        said[idx] = true;
        set_option(opt, value, where, o, faults);
    }
}

static void read_environment(struct yg_options *o, bool said[OPTION_COUNT], struct yg_buf *faults) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char name[64];
        environment_name(table[i].flag, name);
        const char *value = getenv(name);
        if (value == NULL || said[i])
            continue;
        said[i] = true;
        set_option(&table[i], yg_str_c(value), name, o, faults);
    }
}

// The first start's keys have no flag, so that they stand in no list of processes.
static void check_first_key(const char *variable, size_t digits, struct yg_buf *faults) {
    const char *value = getenv(variable);
    if (value == NULL || value[0] == 0)
        return;
    if (strlen(value) != digits || strspn(value, "0123456789abcdef") != digits)
        yg_buf_printf(faults, "%s: must be %zu lower-case hex digits\n", variable, digits);
}

yg_rc yg_options_read(int argc, char *const *argv, struct yg_buf *faults,
                      struct yg_options *ret_options) {
    struct yg_options *o = ret_options;
    *o = (struct yg_options){0};
    size_t before = faults->len;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (table[i].fallback)
            set_option(&table[i], yg_str_c(table[i].fallback), "default", o, faults);
    YG_ASSERT(faults->len == before); // the table's own defaults are sound
    bool said[OPTION_COUNT] = {false};
    read_flags(argc, argv, o, said, faults);
    read_environment(o, said, faults);
    check_first_key("YAGURA_API_KEY", 32, faults);
    check_first_key("YAGURA_APP_KEY", 40, faults);
    if (o->config) {
        struct file_reader r = {
            .path = o->config, .options = o, .faults = faults, .overridden = said};
        read_file(&r);
    }
    return faults->len == before ? YG_OK : YG_EINPUT;
}

void yg_options_fini(struct yg_options *o) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (table[i].kind == KIND_TEXT || table[i].kind == KIND_ADDRESS) {
            char **member = (char **)(void *)((char *)o + table[i].offset);
            yg_free(YG_MEM_BASE, *member);
            *member = NULL;
        }
}

// ------------------------------------------------------------ printing

void yg_options_help(struct yg_buf *out) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *opt = &table[i];
        char left[64];
        snprintf(left, sizeof(left), "--%s %s", opt->flag, opt->value_name);
        yg_buf_printf(out, "  %-28s %s%s%s%s\n", left, opt->help, opt->fallback ? " [" : "",
                      opt->fallback ? opt->fallback : "", opt->fallback ? "]" : "");
    }
}

void yg_options_markdown(struct yg_buf *out) {
    yg_buf_puts(
        out,
        YG_STR("| flag | environment | file key | default | meaning |\n|---|---|---|---|---|\n"));
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *opt = &table[i];
        char environment[64], key[64];
        environment_name(opt->flag, environment);
        file_key(opt->flag, key);
        bool in_file = opt->offset != AT(config);
        yg_buf_printf(out, "| `--%s %s` | `%s` | %s%s%s | %s%s%s | %s |\n", opt->flag,
                      opt->value_name, environment, in_file ? "`" : "", in_file ? key : "–",
                      in_file ? "`" : "", opt->fallback ? "`" : "",
                      opt->fallback ? opt->fallback : "off", opt->fallback ? "`" : "", opt->help);
    }
}
