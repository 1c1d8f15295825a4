// SPDX-License-Identifier: Apache-2.0
// One request's way through this room: body, decoder, pipeline, answer.
#ifndef YG_INTAKE_DOOR_H
#define YG_INTAKE_DOOR_H

#include "codec/inflate.h"
#include "intake/decode.h"
#include "intake/intake.h"

enum yg_intake_style { // how errors are worded
    YG_STYLE_AGENT,    // plain text
    YG_STYLE_STRINGS,  // {"errors":["…"]}
    YG_STYLE_OBJECTS,  // {"errors":[{"status":"400","title":"Bad Request","detail":"…"}]}
};

typedef yg_rc (*yg_intake_rows_fn)(const struct yg_intake_in *in, struct yg_batch *b,
                                   struct yg_intake_tally *t, struct yg_err *err);
typedef yg_rc (*yg_intake_points_fn)(const struct yg_intake_in *in, struct yg_points *p,
                                     struct yg_intake_tally *t, struct yg_err *err);

#define YG_DOOR_FORMS(f) (1u << (f))

// What a route takes and how it answers.
struct yg_door {
    const char *name;       // for counters and Setup
    const char *client;     // who it is when the request does not say
    enum yg_track track;    // of rows
    yg_intake_rows_fn rows; // one of the two
    yg_intake_points_fn points;
    size_t inflated_max_bytes;
    uint32_t forms;                   // YG_DOOR_FORMS bits of content types; others: 415
    enum yg_intake_form form_default; // without content type
    enum yg_intake_style style;
    uint16_t status; // of success
    const char *content_type;
    const char *body;
    bool lenient; // success even when no item was usable
};

// The request is taken. Handler of most routes.
void yg_door_run(struct yg_http_request *take_req, const struct yg_door *door);

// --- body.c
// The body with its content encoding undone, owned by *ret_body. EINPUT, ELIMIT, ENOMEM.
yg_rc yg_door_body(struct yg_http_request *req, const struct yg_door *door, struct yg_buf *ret_body,
                   struct yg_err *err) YG_MUST_USE;
// What the body is. False: content type or encoding is not taken (415).
bool yg_door_form(struct yg_http_request *req, const struct yg_door *door,
                  enum yg_intake_form *ret_form);
// The API key of header, query or path; empty when there is none.
yg_str yg_door_key(struct yg_http_request *req);

// --- answer.c
uint16_t yg_door_status(yg_rc rc);
// Notes a refused request for Setup.
void yg_intake_refused(const char *route, uint16_t status, const char *text, int64_t now_ns);
void yg_door_refuse(struct yg_http_request *take_req, const struct yg_door *door, uint16_t status,
                    const char *text);
void yg_door_fail(struct yg_http_request *take_req, const struct yg_door *door,
                  const struct yg_err *err);
void yg_door_accept(struct yg_http_request *take_req, const struct yg_door *door);
// Adds Datadog-Agent-Version and -State, which agents' answers carry.
void yg_agent_headers(struct yg_http_reply *reply);
// One append under way: answers when the WAL has it. body: the answer's, taken; empty = the door's.
struct yg_door_ack;
struct yg_door_ack *yg_door_ack_create(struct yg_http_request *take_req, const struct yg_door *door,
                                       struct yg_pipeline *pipeline, const uint8_t digest[16],
                                       struct yg_buf *take_body);
void yg_door_ack_done(void *ack, yg_rc rc, const struct yg_err *err); // yg_append_fn
void yg_door_ack_drop(struct yg_door_ack *ack); // the append was refused at once; no answer

// --- seen.c
struct yg_intake_visit {
    yg_str client, version;
    const char *route;
    uint64_t items, bytes, rejected;
    int64_t now_ns;
};
void yg_intake_saw(const struct yg_intake_visit *visit);
void yg_door_saw(struct yg_http_request *req, const struct yg_door *door, int64_t now_ns,
                 const struct yg_intake_tally *t, bool rejected);

// --- event_route.c
void yg_events_v1(struct yg_http_request *take_req);

// --- agent.c
void yg_agent_info(struct yg_http_request *take_req);
void yg_agent_config(struct yg_http_request *take_req);
void yg_agent_telemetry(struct yg_http_request *take_req);
void yg_agent_services(struct yg_http_request *take_req);
void yg_agent_dogstatsd(struct yg_http_request *take_req);

#endif
