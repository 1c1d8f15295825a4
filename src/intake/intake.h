// SPDX-License-Identifier: Apache-2.0
// The doors through which clients send: route tables for the agent and the API listener, and
// DogStatsD datagrams.
#ifndef YG_INTAKE_INTAKE_H
#define YG_INTAKE_INTAKE_H

#include "base/clock.h"
#include "net/net.h"
#include "pipeline/pipeline.h"

// Numbers as in api.h's enum yg_access (intake may not include api): the guard reads them.
#define YG_INTAKE_ACCESS_API_KEY 1u
#define YG_INTAKE_ACCESS_AGENT 4u

// Lives as long as the server; req->ctx of every intake route.
struct yg_intake {
    struct yg_pipeline *pipeline;
    const struct yg_clock *clock;
    const char *version;
    const char *public_url; // without a slash at the end; what links in answers begin with
    // Filled by main: the clients' last signs of life, for Setup (see yg_intake_seen_each).
};

extern const struct yg_route yg_intake_agent_routes[]; // :8126
extern const struct yg_route yg_intake_api_routes[];   // :8080, public intakes

// One UDP datagram (several lines). Loop thread: parses and hands samples to the pipeline's
// aggregator.
void yg_intake_dogstatsd(void *intake, yg_str datagram);

// What arrived, per client kind ("dd-trace-js", "dd-trace-py", "dogstatsd", "logs-http",
// "metrics-api" …): for Setup.
struct yg_intake_seen {
    char client[48]; // language or library as it names itself
    char version[32];
    char route[32]; // "/v0.4/traces"
    uint64_t requests, items, bytes, rejected;
    int64_t first_ns, last_ns;
};
// At most 256 kinds are kept. Any thread.
void yg_intake_seen_each(void (*fn)(void *ctx, const struct yg_intake_seen *seen), void *ctx);

// The last refused request of each route, for Setup ("JSON at byte 17 …"). Any thread.
struct yg_intake_refused {
    char route[32];
    char text[96]; // cut to fit
    uint16_t status;
    int64_t at_ns;
};
void yg_intake_refused_each(void (*fn)(void *ctx, const struct yg_intake_refused *refused),
                            void *ctx);

#endif
