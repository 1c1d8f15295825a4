# SPDX-License-Identifier: Apache-2.0
"""Golden cases for wire forms that no client at hand sends: written by hand, no recording.

    python3 craft.py           # writes the cases, each with a NOTE.md that says it is crafted
"""
import gzip
import json
import struct

import msgpack
import zstandard

from record import write_case

KEY = ("DD-API-KEY", "0123456789abcdef0123456789abcdef")
JSON = ("Content-Type", "application/json")
T0 = 1790000000
T0_NS = T0 * 10**9


def http(method, path, headers, body):
    return {"proto": "http", "method": method, "path": path, "headers": headers, "body": body}


def udp(body):
    return {"proto": "udp", "method": "UDP", "path": "", "headers": [], "body": body}


def span(span_id, parent=0, **more):
    base = {"service": "shop", "name": "web.request", "resource": "GET /", "type": "web",
            "trace_id": 0x1122334455667788, "span_id": span_id, "parent_id": parent,
            "start": T0_NS + span_id, "duration": 1_500_000, "error": 0,
            "meta": {"env": "prod"}, "metrics": {"_sampling_priority_v1": 1}}
    return {**base, **more}


# ---------------------------------------------------------------- traces
def traces():
    mp = ("Content-Type", "application/msgpack")
    root = span(1, meta={"_dd.p.tid": "66f0000000000000", "env": "prod"})
    body = json.dumps([[root, span(2, 1, error=1, metrics={"n": 1.5})]]).encode()
    write_case("trace_v03", "crafted_json", http("POST", "/v0.3/traces", [JSON], body),
               "Crafted: no current client sends v0.3 or JSON.")
    write_case("trace_v03", "crafted_msgpack", http("PUT", "/v0.3/traces", [mp], msgpack.packb([[root]])),
               "Crafted: no current client sends v0.3.")
    native = span(
        3, 1, name="worker", type=None,
        span_links=[{"trace_id": 7, "trace_id_high": 9, "span_id": 2**64 - 1, "attributes": {"a": "b"},
                     "tracestate": "dd=s:1", "flags": 2**31 + 1}],
        span_events=[{"time_unix_nano": T0_NS, "name": "retry", "attributes": {
            "s": {"type": 0, "string_value": "x"}, "b": {"type": 1, "bool_value": True},
            "i": {"type": 2, "int_value": -5}, "d": {"type": 3, "double_value": 2.5},
            "l": {"type": 4, "array_value": {"values": [{"type": 0, "string_value": "p"},
                                                        {"type": 2, "int_value": 4}]}}}}],
        meta_struct={"appsec": msgpack.packb({"triggers": [{"rule": "crs-1"}]})})
    write_case("trace_v04", "crafted_native_links_events", http("POST", "/v0.4/traces", [mp], msgpack.packb([[root, native]])),
               "Crafted: native span_links, span_events (all value types) and meta_struct, as Java, Go and .NET tracers send them.")
    odd = [
        {**span(4), "trace_id": -1, "start": T0_NS, "duration": None, "meta": {"gone": None, "bin": b"raw"},
         "metrics": {"i": 3, "big": 2**40}, "unknown_key": {"deep": [1, {"x": None}]}},
        None,
        {"trace_id": 2**64 - 1, "span_id": 2**64 - 1, "parent_id": 2**63, "service": None, "name": "n",
         "resource": "", "start": T0_NS, "duration": 2**40, "meta": None, "metrics": None},
    ]
    write_case("trace_v04", "crafted_odd_values", http("PUT", "/v0.4/traces", [mp], msgpack.packb([odd, []])),
               "Crafted: nil span, nil maps and values, bin in meta, int64 −1 as trace id, extreme integers, unknown key, empty chunk.")
    bad_utf8 = msgpack.packb([[span(5, resource="R" * 8)]]).replace(b"R" * 8, b"ok\xff\xfe\xc3(!!")
    write_case("trace_v04", "crafted_bad_utf8", http("PUT", "/v0.4/traces", [mp], bad_utf8),
               "Crafted: a resource that is not UTF-8; each bad byte becomes U+FFFD.")
    deep = [span(n, n - 1) for n in range(1, 120)]
    for s in deep[1:]:
        s.update(name="aws.dynamodb", resource="getItem Orders", service="shop-aws-dynamodb")
    write_case("trace_v04", "crafted_n_plus_one_gzip",
               http("PUT", "/v0.4/traces", [mp, ("Content-Encoding", "gzip")], gzip.compress(msgpack.packb([deep]), mtime=0)),
               "Crafted: 119 spans in a chain, gzip body (libdatadog may compress).")
    payload = {
        "container_id": "c0ffee", "language_name": "go", "language_version": "1.22", "tracer_version": "1.70.0",
        "runtime_id": "11111111-2222-3333-4444-555555555555", "env": "prod", "hostname": "web-1", "app_version": "2.0.0",
        "tags": {"_dd.tags.process": "entrypoint.name:shop"},
        "chunks": [
            {"priority": 2, "origin": "lambda", "dropped_trace": False, "tags": {"_dd.p.dm": "-4", "_dd.p.tid": "66f0000000000001"},
             "spans": [span(6, meta={"_dd.p.tid": "66f0000000000001"}), span(7, 6)]},
            {"priority": -1, "origin": "", "dropped_trace": True, "tags": None, "spans": [span(8)]},
        ],
    }
    write_case("trace_v07", "crafted_payload", http("POST", "/v0.7/traces", [mp], msgpack.packb(payload)),
               "Crafted: no client of the npm and PyPI registries sends v0.7; two chunks, tags nil in the second.")
    words = ["", "shop", "web.request", "GET /", "web", "env", "prod", "_dd.p.tid", "66f0000000000002", "n"]
    row = [1, 2, 3, 0x99, 9, 0, T0_NS, 10, 1, {5: 6, 7: 8}, {9: 2.5}, 4]
    write_case("trace_v05", "crafted_minimal", http("PUT", "/v0.5/traces", [mp], msgpack.packb([words, [[row]]])),
               "Crafted: the smallest useful v0.5 request.")


# ---------------------------------------------------------------- metrics
def varint(n):
    out = b""
    while True:
        out += bytes([n & 0x7F | (0x80 if n > 0x7F else 0)])
        n >>= 7
        if not n:
            return out


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def series_pb():
    def one(metric, kind, points, tags=(), host="", interval=0, unit=""):
        out = field(1, field(1, "host") + field(2, host)) if host else b""
        out += field(2, metric) + b"".join(field(3, t) for t in tags)
        out += b"".join(field(4, field(1, float(v)) + field(2, ts)) for ts, v in points)
        out += field(5, kind) + (field(6, unit) if unit else b"") + field(7, "System")
        out += field(8, interval) if interval else b""
        return field(1, out + field(9, field(1, field(4, 10) + field(5, 10) + field(6, 0))))
    body = (one("agent.count", 1, [(T0, 4), (T0 + 10, 0)], ["env:prod", "service:shop"], "web-1", 10)
            + one("agent.rate", 2, [(T0, 0.4)], ["env:prod"], "web-1", 10, "request")
            + one("agent.gauge", 3, [(T0, -12.75)], [], "web-1"))
    proto = ("Content-Type", "application/x-protobuf")
    note = "Crafted from the field numbers of agent-payload proto/metrics/agent_payload.proto: the agent is not among the clients that can be run here."
    write_case("series_v2", "crafted_protobuf", http("POST", "/api/v2/series", [KEY, proto], body), note)
    write_case("series_v2", "crafted_protobuf_zstd",
               http("POST", "/api/v2/series", [KEY, proto, ("Content-Encoding", "zstd")], zstandard.compress(body)), note)


def statsd():
    lines = [
        b"page.views:1|c", b"fuel.level:0.5|g", b"song.length:240|h|@0.5", b"users.uniques:1234|s",
        b"users.online:1|c|#country:china", b"users.online:1|c|@0.5|#country:china", b"packed:1:2.5:-3|d|#a:b",
        b"packed.skip:1::3|h", b"set.colon:a:b|s", b"any.order:5|c|c:ci-abc|#x:y,z|@0.1|card:low",
        b"ts.gauge:7|g|T1790000000", b"neg:-0|g", b"exp:1.5e3|ms", b"empty.tags:1|c|#",
        b"host.tag:1|g|#host:db-1,env:prod", b"unknown.field:1|c|zz:1|#k:v",
    ]
    write_case("dogstatsd", "crafted_grammar", udp(b"\n".join(lines) + b"\n\n"),
               "Crafted: each production of the grammar once; every line is valid. `host.tag` carries its host as a tag.")
    # Two events, the first with a raw newline in its text; then a check.
    ev = "Größe"
    text = "a\\nb\nc"
    body = f"_e{{{len(ev.encode())},{len(text.encode())}}}:{ev}|{text}|t:warning|#e:1\n_e{{1,1}}:A|B\n_sc|svc.up|3|#z:1|m:why\\nnot".encode()
    write_case("dogstatsd", "crafted_events_checks", udp(body), "Crafted: byte lengths decide where an event ends.")


# ---------------------------------------------------------------- logs
def logs():
    text = b"first line\nsecond line with \xc3\xa4\n"
    write_case("logs_v2", "crafted_text_plain",
               http("POST", "/api/v2/logs?ddsource=syslog&service=cron&hostname=web-1&ddtags=env:prod,team:ops",
                    [KEY, ("Content-Type", "text/plain")], text), "Crafted: one log per line, fields from the query.")
    write_case("logs_v2", "crafted_strings", http("POST", "/api/v2/logs", [KEY, JSON], b'["one","two"]'),
               "Crafted: array of strings.")
    write_case("logs_v2", "crafted_object", http("POST", "/v1/input?service=legacy", [KEY, JSON], json.dumps(
        {"message": "solo", "level": "WARNING", "@timestamp": "2026-09-21T14:13:20.123Z", "nested": {"a": {"b": [1, None, True]}}}).encode()),
               "Crafted: single object on the old route; level and @timestamp are remapped.")
    write_case("logs_v2", "crafted_reserved", http("POST", "/api/v2/logs", [KEY, JSON], json.dumps([
        {"message": "m1", "status": 3, "timestamp": T0 * 1000, "dd.trace_id": "1234567890123456789", "dd.span_id": "42"},
        {"message": "m2", "severity": "fatal", "date": "1790000000123", "dd": {"trace_id": "66f000000000000000000000000000ff", "span_id": "7"}},
        {"msg": "m3", "level": "debug", "host": "h1", "ddtags": ["a:b", "c"], "trace_id": "255"},
        {"message": "m4", "status": "success", "timestamp": "2026-09-21T16:13:20+02:00"},
    ]).encode()), "Crafted: spellings of status, time, host, tags and trace id.")
    line = json.dumps({"level": "error", "message": "card refused", "dd": {"trace_id": "66f00000000000001122334455667788", "span_id": "9"}, "code": "E42"})
    write_case("logs_v2", "crafted_agent_json", http("POST", "/api/v2/logs", [
        KEY, JSON, ("Content-Encoding", "zstd"), ("DD-PROTOCOL", "agent-json"), ("DD-EVP-ORIGIN", "agent")],
        zstandard.compress(json.dumps([{"message": line, "status": "info", "timestamp": T0 * 1000, "hostname": "web-1", "service": "shop",
                                        "ddsource": "nodejs", "ddtags": "env:prod,container_name:shop"}]).encode())),
               "Crafted in the agent's shape: a JSON line inside `message`, whose own level and trace id count.")
    write_case("logs_v2", "crafted_lambda_extension", http("POST", "/api/v2/logs", [
        KEY, JSON, ("Content-Encoding", "zstd"), ("DD-PROTOCOL", "agent-json")],
        zstandard.compress(json.dumps([{
            "message": {"message": "payment done", "lambda": {"arn": "arn:aws:lambda:eu-central-1:1:function:pay", "request_id": "r-1"},
                        "timestamp": T0 * 1000, "status": "warn"},
            "hostname": "arn:aws:lambda:eu-central-1:1:function:pay", "service": "pay", "ddtags": "env:prod,functionname:pay",
            "ddsource": "lambda"}]).encode())), "Crafted in the Lambda extension's shape: `message` is an object.")


if __name__ == "__main__":
    traces()
    series_pb()
    statsd()
    logs()
