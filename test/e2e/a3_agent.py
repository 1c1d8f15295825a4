# SPDX-License-Identifier: Apache-2.0
"""The agent door on :8126: every trace version, statistics, telemetry, configuration, and what it refuses."""
import gzip
import json
import time

import decode
import msgpack
import pytest
import zstandard
from server import ROOT, eventually

GOLDEN = ROOT / "test" / "golden"
MSGPACK = {"Content-Type": "application/msgpack"}
TRACE_CASES = sorted(p.parent for p in GOLDEN.glob("trace_v0*/*/request.bin"))


def span(fresh, service, **more):
    now = time.time_ns() - 2 * 10**9
    return {"service": service, "name": "web.request", "resource": "GET /", "type": "web", "trace_id": fresh(),
            "span_id": fresh(), "parent_id": 0, "start": now, "duration": 5_000_000, "error": 0,
            "meta": {"env": "e2e"}, "metrics": {"_sampling_priority_v1": 1.0}, **more}


def put(node, version, body, headers=None):
    return node.agent_call("PUT", f"/v{version}/traces", body, {**MSGPACK, **(headers or {})})


def stored(node, service, count=1):
    return eventually(lambda: len(node.search_spans(f"service:{service}")) == count and
                      [s["attributes"] for s in node.search_spans(f"service:{service}")], what=f"{count} spans of {service}")


def test_info(yagura):
    res = yagura.agent_call("GET", "/info")
    assert res.status == 200, res
    doc = res.json
    served = set(doc["endpoints"])
    assert {"/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v0.7/traces", "/v0.6/stats", "/telemetry/proxy/",
            "/v0.7/config"} <= served
    assert "/v1.0/traces" not in served, "only what is implemented"
    assert isinstance(doc["client_drop_p0s"], bool)
    assert doc["span_meta_structs"] is True
    for path in served:
        res = yagura.agent_call("POST", path.rstrip("/"), b"", MSGPACK)
        assert res.status != 404, f"{path} is advertised"


def test_no_key_is_asked_and_state_is_told(yagura, name, fresh_id):
    first = put(yagura, "0.4", msgpack.packb([[span(fresh_id, name)]]))
    assert first.status == 200
    assert first.json == {"rate_by_service": {"service:,env:": 1}} or first.json["rate_by_service"]["service:,env:"] == 1
    assert len(first.headers["datadog-agent-state"]) == 64
    assert first.headers["datadog-agent-version"].startswith("7.")
    import hashlib
    info = yagura.agent_call("GET", "/info").body
    assert first.headers["datadog-agent-state"] == hashlib.sha256(info).hexdigest()


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_v04(yagura, name, fresh_id, method):
    root = span(fresh_id, name, meta={"env": "e2e", "_dd.p.tid": "66f0000000000000", "customer_id": "premium"},
                metrics={"_sampling_priority_v1": 2.0, "cart.items": 3.0})
    child = {**span(fresh_id, name, error=1, name="db.query", resource="SELECT 1", type="sql"),
             "trace_id": root["trace_id"], "parent_id": root["span_id"]}
    child["meta"] = {"env": "e2e", "error.message": "gone", "error.type": "E", "error.stack": "at x"}
    res = yagura.agent_call(method, "/v0.4/traces", msgpack.packb([[root, child]]), MSGPACK)
    assert res.status == 200, res
    spans = {s["operation_name"]: s for s in stored(yagura, name, 2)}
    assert spans["web.request"]["env"] == "e2e"
    trace = f"66f0000000000000{root['trace_id']:016x}"
    assert len(yagura.search_spans(f"trace_id:{trace}")) == 2
    assert len(yagura.search_spans(f"service:{name} @customer_id:premium @cart.items:>2")) == 1
    assert len(yagura.search_spans(f"service:{name} status:error type:sql resource_name:\"SELECT 1\"")) == 1
    detail = yagura.get(f"/api/yagura/v1/traces/{trace}/spans/{child['span_id']:016x}").json
    assert detail["span"]["parent_id"] == f"{root['span_id']:016x}"
    assert int(detail["span"]["start_ns"]) == child["start"] and detail["span"]["duration_ns"] == 5_000_000
    assert detail["tags"]["error.stack"] == "at x"


def test_v04_native_links_events_and_struct(yagura, name, fresh_id):
    one = span(fresh_id, name, span_links=[{"trace_id": 7, "trace_id_high": 9, "span_id": 2**64 - 1, "attributes": {"a": "b"},
                                            "tracestate": "dd=s:1", "flags": 2**31 + 1}],
               span_events=[{"time_unix_nano": 1790000000000000000, "name": "retry", "attributes": {
                   "s": {"type": 0, "string_value": "x"}, "i": {"type": 2, "int_value": -5},
                   "l": {"type": 4, "array_value": {"values": [{"type": 1, "bool_value": True}]}}}}],
               meta_struct={"appsec": msgpack.packb({"triggers": [{"rule": "crs-1"}]})})
    assert put(yagura, "0.4", msgpack.packb([[one]])).status == 200
    stored(yagura, name)
    doc = yagura.get(f"/api/yagura/v1/traces/{one['trace_id']:032x}/spans/{one['span_id']:016x}").json
    assert doc["links"][0]["trace_id"] == f"{9:016x}{7:016x}"
    assert doc["links"][0]["span_id"] == "f" * 16
    assert doc["links"][0]["attributes"] == {"a": "b"}
    assert doc["events"][0]["name"] == "retry"
    assert doc["events"][0]["time_ns"] == "1790000000000000000"
    assert doc["events"][0]["attributes"] == {"s": "x", "i": -5, "l": [True]}
    assert doc["meta_struct"] == {"appsec": {"triggers": [{"rule": "crs-1"}]}}


def test_links_and_events_as_json_in_meta(yagura, name, fresh_id):
    one = span(fresh_id, name, meta={
        "_dd.span_links": json.dumps([{"trace_id": "ab" * 16, "span_id": "cd" * 8, "attributes": {"k": "v"}, "flags": 1}]),
        "events": json.dumps([{"name": "evt", "time_unix_nano": 1790000000000000001, "attributes": {"n": 1, "arr": ["a"]}}])})
    assert put(yagura, "0.4", msgpack.packb([[one]])).status == 200
    stored(yagura, name)
    doc = yagura.get(f"/api/yagura/v1/traces/{one['trace_id']:032x}/spans/{one['span_id']:016x}").json
    assert (doc["links"][0]["trace_id"], doc["links"][0]["span_id"]) == ("ab" * 16, "cd" * 8)
    assert doc["events"][0]["time_ns"] == "1790000000000000001"
    assert doc["events"][0]["attributes"] == {"n": 1, "arr": ["a"]}


def test_v03_json_and_msgpack(yagura, name, fresh_id):
    res = yagura.agent_call("POST", "/v0.3/traces", json.dumps([[span(fresh_id, name)]]), {"Content-Type": "application/json"})
    assert res.status == 200 and res.text.strip() == "OK", res
    res = put(yagura, "0.3", msgpack.packb([[span(fresh_id, name)]]))
    assert res.status == 200 and res.text.strip() == "OK", res
    stored(yagura, name, 2)


def v05_body(fresh, service, broken_index=None):
    words = ["", service, "web.request", "GET /", "web", "env", "e2e", "n"]
    row = [1, 2, 3, fresh(), fresh(), 0, time.time_ns() - 10**9, 10, 1, {5: 6}, {7: 2.5}, 4]
    if broken_index is not None:
        row[broken_index] = 99
    return msgpack.packb([words, [[row]]])


def test_v05(yagura, name, fresh_id):
    res = put(yagura, "0.5", v05_body(fresh_id, name))
    assert res.status == 200 and res.json["rate_by_service"], res
    got = stored(yagura, name)[0]
    assert (got["operation_name"], got["resource_name"], got["type"], got["env"]) == ("web.request", "GET /", "web", "e2e")
    assert yagura.search_spans(f"service:{name} @n:2.5 status:error")


@pytest.mark.parametrize("index", [0, 1, 2, 11])
def test_v05_index_beyond_the_dictionary(yagura, name, fresh_id, index):
    res = put(yagura, "0.5", v05_body(fresh_id, name, index))
    assert res.status == 400, res
    assert yagura.search_spans(f"service:{name}") == []


def test_v07_payload_and_chunk_fields(yagura, name, fresh_id):
    one, two = span(fresh_id, name, meta={}), span(fresh_id, name, meta={})
    body = msgpack.packb({
        "container_id": "c0ffee", "language_name": "go", "language_version": "1.22", "tracer_version": "1.70.0",
        "runtime_id": "r", "env": "e2e-v07", "hostname": "web-7", "app_version": "2.0.0", "tags": {"pt": "x"},
        "chunks": [{"priority": 2, "origin": "lambda", "dropped_trace": False, "spans": [one],
                    "tags": {"_dd.p.dm": "-4", "_dd.p.tid": "66f0000000000001", "ct": "y"}},
                   {"priority": 1, "origin": "", "dropped_trace": False, "tags": None, "spans": [two]}]})
    res = put(yagura, "0.7", body)
    assert res.status == 200 and "rate_by_service" in res.json, res
    spans = stored(yagura, name, 2)
    assert {s["env"] for s in spans} == {"e2e-v07"} and {s["host"] for s in spans} == {"web-7"}
    trace = f"66f0000000000001{one['trace_id']:016x}"
    assert len(yagura.search_spans(f"trace_id:{trace}")) == 1
    doc = yagura.get(f"/api/yagura/v1/traces/{trace}/spans/{one['span_id']:016x}").json
    assert doc["span"]["version"] == "2.0.0" and doc["span"]["host"] == "web-7"
    assert doc["tags"]["ct"] == "y", "chunk tags stand on the span"
    assert yagura.search_spans(f"service:{name} @ct:y")


def test_encodings(yagura, name, fresh_id):
    for encoding, squeeze in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        res = put(yagura, "0.4", squeeze(msgpack.packb([[span(fresh_id, name)]])), {"Content-Encoding": encoding})
        assert res.status == 200, res
    stored(yagura, name, 2)


def test_odd_values_are_taken(yagura, name, fresh_id):
    one = {**span(fresh_id, name), "duration": None, "meta": {"gone": None, "bin": b"raw"}, "unknown": {"x": [1, None]}}
    two = {"trace_id": 2**64 - 1, "span_id": 2**64 - 1, "parent_id": 2**63, "service": name, "name": "n",
           "resource": "r", "start": time.time_ns(), "duration": 1, "meta": None, "metrics": None}
    three = {**span(fresh_id, name), "trace_id": -2}
    assert put(yagura, "0.4", msgpack.packb([[one, None, two], [], [three]])).status == 200
    stored(yagura, name, 3)
    assert len(yagura.search_spans(f"service:{name} trace_id:{2**64 - 1}")) == 1
    assert len(yagura.search_spans(f"service:{name} trace_id:{2**64 - 2}")) == 1


def test_bad_utf8_becomes_the_replacement_sign(yagura, name, fresh_id):
    body = msgpack.packb([[span(fresh_id, name, resource="R" * 8)]]).replace(b"R" * 8, b"ok\xff\xfe\xc3(!!")
    assert put(yagura, "0.4", body).status == 200
    assert stored(yagura, name)[0]["resource_name"] == "ok���(!!"


@pytest.mark.parametrize("version", ["0.3", "0.4", "0.5", "0.7"])
def test_bad_msgpack_names_the_byte(yagura, name, fresh_id, version):
    good = {"0.5": v05_body(fresh_id, name), "0.7": msgpack.packb({"chunks": [{"spans": [span(fresh_id, name)]}]})}.get(
        version, msgpack.packb([[span(fresh_id, name)]]))
    cut = len(good) - 7
    res = put(yagura, version, good[:cut])
    assert res.status == 400, res
    assert str(cut) in res.text, f"cut after byte {cut}: {res.text}"
    reserved = bytes([0xC1]) + good[1:]
    res = put(yagura, version, reserved)
    assert res.status == 400 and "0" in res.text, res
    assert yagura.search_spans(f"service:{name}") == [], "nothing of a broken request is stored"


def test_bad_byte_in_the_middle(yagura, name, fresh_id):
    good = msgpack.packb([[span(fresh_id, name, duration=0x1234)]])
    at = good.index(b"\xcd\x12\x34")
    res = put(yagura, "0.4", good[:at] + b"\xc1" + good[at + 1:])
    assert res.status == 400 and str(at) in res.text, (at, res)


@pytest.mark.parametrize("body", [
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x91\xdd\xff\xff\xff\xff", b"\x91\x91\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff", b"\x91" * 100_000, b"", b"\xc0", b"\x01", b"\x91\x01", b"\x91\x91\x81\xa5start\xa1x"])
def test_hostile_msgpack_never_crashes(yagura, body):
    for version in ("0.3", "0.4", "0.5", "0.7"):
        res = put(yagura, version, body)
        assert res.status in (200, 400, 413), (version, body[:10], res)
    assert yagura.agent_call("GET", "/info").status == 200


def test_torn_gzip(yagura, name, fresh_id):
    body = gzip.compress(msgpack.packb([[span(fresh_id, name)]]))[:-9]
    res = put(yagura, "0.4", body, {"Content-Encoding": "gzip"})
    assert res.status == 400, res


def test_bomb(yagura):
    res = put(yagura, "0.4", gzip.compress(b"\x91" + b"\x00" * (300 << 20)), {"Content-Encoding": "gzip"})
    assert res.status == 413, res


@pytest.mark.parametrize("case", TRACE_CASES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_golden_requests_are_accepted(yagura, case):
    method, target, headers, body = decode.load_case(case)
    res = yagura.agent_call(method, target, body, headers)
    assert res.status == 200, res


def test_fresh_recording_shows_every_field(yagura):
    """The recorded Express request, moved to now, is found span by span with every tag."""
    method, target, headers, body = decode.load_case(GOLDEN / "trace_v04" / "ddtrace_js_express")
    traces = decode.unpack(body)
    shift = time.time_ns() - max(s["start"] for t in traces for s in t) - 5 * 10**9
    for trace in traces:
        for s in trace:
            s["start"] += shift
            s["trace_id"] ^= 0x0F0F0F0F                # the recorded ids belong to another test
            s["service"] = s["service"].replace("shop-api", "golden-api")
    moved = msgpack.packb(traces)
    assert yagura.agent_call(method, target, moved, headers).status == 200
    rows = decode.decode(method, target, headers, moved)
    for trace_id in {r["trace_id"] for r in rows}:
        expected = {r["span_id"]: r for r in rows if r["trace_id"] == trace_id}
        found = eventually(lambda: len(yagura.search_spans(f"trace_id:{trace_id}")) == len(expected) and
                           yagura.search_spans(f"trace_id:{trace_id}"), what=f"all spans of {trace_id}")
        assert {f["attributes"]["service"] for f in found} == {r["service"] for r in expected.values()}
        for row in expected.values():
            doc = yagura.get(f"/api/yagura/v1/traces/{trace_id}/spans/{row['span_id']}").json
            assert doc["span"]["name"] == row["name"] and doc["span"]["resource"] == row["resource"]
            assert int(doc["span"]["start_ns"]) == row["start_ns"]
            assert doc["span"]["duration_ns"] == row["duration_ns"] and doc["span"]["error"] == row["error"]
            normal = ("_dd.p.tid", "_dd.span_links", "events", "env", "version", "service")
            missing = {k: v for k, v in row["meta"].items() if k not in normal and doc["tags"].get(k) != v}
            assert not missing
            assert {k: v for k, v in row["metrics"].items() if doc["metrics"].get(k) != v} == {}
            assert [e["name"] for e in doc.get("events") or []] == [e["name"] for e in row["events"]]
            assert [x["span_id"] for x in doc.get("links") or []] == [f"{int(x['span_id']):016x}" for x in row["links"]]


# ---------------------------------------------------------------- the other routes
def test_stats_become_trace_metrics(yagura):
    method, target, headers, body = decode.load_case(GOLDEN / "stats_v06" / "ddtrace_js")
    doc = decode.unpack(body)
    bucket = doc["Stats"][0]
    bucket["Start"] = (time.time_ns() // 10**10 - 3) * 10**10
    doc["Stats"] = [bucket]
    for group in bucket["Stats"]:
        group["Service"] = group["Service"].replace("shop-api", "golden-stats")
    moved = msgpack.packb(doc)
    res = yagura.agent_call(method, target, moved, headers)
    assert res.status == 200, res
    rows = [r for r in decode.decode_stats(moved) if r["service"] == "golden-stats"]
    hits = sum(r["hits"] for r in rows if r["name"] == "express.request")
    errors = sum(r["errors"] for r in rows if r["name"] == "express.request")
    scope = "{service:golden-stats,env:prod}"
    eventually(lambda: yagura.total(f"sum:trace.express.request.hits{scope}.as_count()") == hits, what=f"{hits} hits")
    assert yagura.total(f"sum:trace.express.request.errors{scope}.as_count()") == errors
    by = yagura.query(f"sum:trace.express.request.hits{scope} by {{resource_name}}.as_count()")
    assert len(by) == len({r["resource"] for r in rows if r["name"] == "express.request"})
    assert yagura.query(f"p95:trace.express.request{scope}"), "latency distribution"


def test_bad_stats(yagura):
    assert yagura.agent_call("PUT", "/v0.6/stats", b"\xc1\xc1", MSGPACK).status == 400


@pytest.mark.parametrize("case", sorted(p.parent.name for p in GOLDEN.glob("telemetry/*/request.bin")))
def test_telemetry_is_taken(yagura, case):
    method, target, headers, body = decode.load_case(GOLDEN / "telemetry" / case)
    assert yagura.agent_call(method, target, body, headers).status in (200, 202)


def test_telemetry_garbage_is_still_2xx_so_that_tracers_do_not_go_elsewhere(yagura):
    res = yagura.agent_call("POST", "/telemetry/proxy/api/v2/apmtelemetry", b"{broken", {"Content-Type": "application/json"})
    assert 200 <= res.status < 300, res


@pytest.mark.parametrize("case", sorted(p.parent.name for p in GOLDEN.glob("config_v07/*/request.bin")))
def test_remote_configuration_poll(yagura, case):
    method, target, headers, body = decode.load_case(GOLDEN / "config_v07" / case)
    res = yagura.agent_call(method, target, body, headers)
    assert res.status == 200, res
    assert isinstance(res.json, dict)


def test_services_are_ignored(yagura):
    for version in ("0.3", "0.4"):
        assert yagura.agent_call("PUT", f"/v{version}/services", msgpack.packb({}), MSGPACK).status == 200


def test_unknown_agent_path(yagura):
    assert yagura.agent_call("POST", "/v9/none", b"").status == 404
