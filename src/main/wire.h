// SPDX-License-Identifier: Apache-2.0
// All parts of the server and how they are joined; the one place that knows every room.
#ifndef YG_MAIN_WIRE_H
#define YG_MAIN_WIRE_H

#include "api/api.h"
#include "intake/intake.h"
#include "main/options.h"
#include "main/selfwatch.h"
#include "monitor/monitor.h"

struct yg_wire {
    struct yg_api api; // addresses, readiness, and pointers to the parts below
    struct yg_intake intake;
    struct yg_pool *pool;
    struct yg_loop *loop;
    struct yg_http_server *api_server;
    struct yg_http_server *agent_server;
    struct yg_http_server *agent_socket_server;
    struct yg_http_server *admin_server;
    struct yg_udp *dogstatsd;
    struct yg_counter *datagrams_early;
    struct yg_meta *meta;
    struct yg_store *store;
    struct yg_pipeline *pipeline;
    struct yg_client *client;
    struct yg_notifier *notifier;
    struct yg_monitors *monitors;
    struct yg_selfwatch watch;
    char public_url[256];
    char admin_path[4096];
    bool loop_running;
};

void yg_wire_init(struct yg_wire *w);
// Pool, loop, all listeners; the loop runs afterwards and answers /health. EIO names the address.
yg_rc yg_wire_listen(struct yg_wire *w, const struct yg_options *o, struct yg_err *err) YG_MUST_USE;
// Configuration, store (WAL replay), pipeline, monitors.
yg_rc yg_wire_recover(struct yg_wire *w, const struct yg_options *o,
                      struct yg_meta_first_keys *ret_first, struct yg_err *err) YG_MUST_USE;
void yg_wire_open_doors(struct yg_wire *w); // ready: intake accepts, monitors run
void yg_wire_tick(struct yg_wire *w);       // once a second
// Stops listening and answers what is under way.
void yg_wire_drain(struct yg_wire *w, int64_t grace_ms);
void yg_wire_fini(struct yg_wire *w); // stops monitors and senders, flushes and closes everything;
                                      // half-built is fine

#endif
