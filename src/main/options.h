// SPDX-License-Identifier: Apache-2.0
// The options of yagura, from one table: flags over environment over file. The table also prints
// --help and docs/configuration.md.
#ifndef YG_MAIN_OPTIONS_H
#define YG_MAIN_OPTIONS_H

#include "base/buf.h"
#include "base/log.h"
#include "store/store.h"

struct yg_options {
    char *config; // file, or NULL
    char *data;
    char *listen_api;
    char *listen_agent;
    char *listen_dogstatsd;
    char *agent_socket; // or NULL
    char *public_url;   // or NULL: made from the API listener
    int64_t memory_limit_bytes;
    int64_t retention_logs_ns;
    int64_t retention_spans_ns;
    int64_t retention_metrics_ns;
    int64_t retention_size_bytes; // 0 = no limit
    enum yg_wal_sync wal_sync;
    int64_t wal_sync_interval_ms;
    enum yg_log_level log_level;
};

void yg_options_fini(struct yg_options *o);

// Reads flags (argv without command and program), environment and file. Every fault is appended to
// `faults` as a line of its own ("yagura.yaml:12: memory.limit: …", "--wal-sync: …"); EINPUT when
// there is any. ret_options is always filled, so that it can be finished.
yg_rc yg_options_read(int argc, char *const *argv, struct yg_buf *faults,
                      struct yg_options *ret_options) YG_MUST_USE;

// "usage" text of serve and check-config, and the table as Markdown for docs/configuration.md.
void yg_options_help(struct yg_buf *out);
void yg_options_markdown(struct yg_buf *out);

#endif
