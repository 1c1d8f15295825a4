// SPDX-License-Identifier: Apache-2.0
// Tracks of rows, and the columns that every row of a track has. Names are those of the search
// language.
//
// Column names. Reserved attributes stand bare ("service", "trace_id"). A client's attribute is "@"
// + its dotted path ("@http.status_code"; nested objects are flattened, arrays stay one JSON
// column). The tag set of a row is one STR column "tags": "env:prod,team:booking", in the order
// sent, commas inside a tag replaced by '_'. Names that begin with "_" are yagura's own and never
// shown as attributes.
#ifndef YG_MODEL_TRACK_H
#define YG_MODEL_TRACK_H

#include "base/str.h"

// On disk: the numbers are part of the WAL and segment formats.
enum yg_track {
    YG_TRACK_LOGS = 0,
    YG_TRACK_SPANS = 1,
    YG_TRACK_TRACES = 2,  // one row per trace, made by the store
    YG_TRACK_EVENTS = 3,  // events and service checks
    YG_TRACK_CI = 4,      // pipelines, jobs and tests of continuous integration
    YG_TRACK_SIGNALS = 5, // what security rules and tracers found
    YG_TRACK_COUNT
};

const char *
yg_track_name(enum yg_track track); // "logs", "spans", "traces", "events", "ci", "signals"

// Every track.
#define YG_COL_TIME                                                                                \
    "timestamp" // I64, ns since 1970: logs' and events' time, a span's or trace's start
#define YG_COL_SEQ                                                                                 \
    "_seq" // I64, the row's own number: WAL sequence << 20 | row in batch; set by the store
#define YG_COL_TAGS "tags" // STR
#define YG_COL_SERVICE "service"
#define YG_COL_HOST "host"
#define YG_COL_STATUS                                                                              \
    "status" // logs: emergency … debug, ok; spans: ok, error; checks: ok, warning, critical,
             // unknown

// Logs: also message (STR), source (STR), trace_id (ID, when the row carries one), span_id (I64
// bits of u64).
#define YG_COL_MESSAGE "message"
#define YG_COL_SOURCE "source"
#define YG_COL_TRACE_ID "trace_id"
#define YG_COL_SPAN_ID "span_id"

// Spans: timestamp = start; trace_id ID, span_id, parent_id (I64 bits of u64, 0 = none), duration
// (I64 ns), service, operation_name, resource_name, type, env, host, status; meta → "@key" STR,
// metrics → "@key" F64 (I64 when whole and sent as an integer is not kept apart: metrics are F64),
// meta_struct → "@key" JSON.
// "_links" JSON: [{"trace_id":"<32 hex>","span_id":"<16 hex>","attributes":{…},"tracestate":"…",
// "flags":n}]; "_events" JSON: [{"name":"…","time_unix_nano":n,"attributes":{"k":plain value}}];
// native ones and those that came as JSON text in meta ("_dd.span_links", "events") alike.
// Not repeated as "@key": meta "env" (column env), "_dd.p.tid" (high half of trace_id).
#define YG_COL_PARENT_ID "parent_id"
#define YG_COL_DURATION "duration"
#define YG_COL_OPERATION "operation_name"
#define YG_COL_RESOURCE "resource_name"
#define YG_COL_TYPE "type"
#define YG_COL_ENV "env"
// Service entry spans also carry "_top_level" BOOL true: no parent in the same chunk (trace part of
// one body), or a parent of another service; or the tracer says so (metric _dd.top_level or
// _top_level = 1). Set by the trace decoders; what services and functions are counted by.
#define YG_COL_TOP_LEVEL "_top_level"
#define YG_COL_LINKS "_links"
#define YG_COL_SPAN_EVENTS "_events"

// Traces: timestamp = start of the earliest span; trace_id, duration (ns, earliest start to latest
// end), service, operation_name, resource_name, env, status of the root (or of the earliest span
// while the root is unknown),
// "@span_count", "@error_count", "@root_duration", "@longest_gap", "@top_repeat_count" I64,
// "@top_repeat" STR,
// "@services" JSON array of text, "@cold_start" BOOL, "_version" I64 (number of spans it was made
// of; the largest wins).
#define YG_COL_VERSION "_version"

// Events: message (text), "@title", "@alert_type", "@priority", "@aggregation_key", source; service
// checks also
// "@check" (name), status. "@evt.kind" = "event" or "service_check".

// CI: as spans ("ci_level", "test_level" bare); signals: as logs, with message and source. Their
// doors come with their own chapters; the engine keeps, sorts and finds them like the others.

#endif
