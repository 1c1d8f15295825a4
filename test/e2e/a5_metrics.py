# SPDX-License-Identifier: Apache-2.0
"""Metrics by HTTP: v1 and v2 series, distributions, checks, events, and the metric queries over them."""
import json
import time
import zlib

import pb
import pytest
import zstandard
from server import API_KEY, eventually

PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.fixture
def now():
    """A full minute ago, on a bucket border."""
    return int(time.time()) // 10 * 10 - 60


def submit_v2(node, *series, **more):
    res = node.post("/api/v2/series", {"series": list(series)}, **more)
    assert res.status == 202, res
    return res


def s2(metric, kind, points, tags=(), host=None, **more):
    """kind: 0 unspecified, 1 count, 2 rate, 3 gauge"""
    return {"metric": metric, "type": kind, "points": [{"timestamp": t, "value": v} for t, v in points], "tags": list(tags),
            **({"resources": [{"name": host, "type": "host"}]} if host else {}), **more}


def values(series):
    return [v for _, v in series["pointlist"]]


# ---------------------------------------------------------------- intake
def test_v1_series(yagura, name, now):
    res = yagura.post("/api/v1/series", {"series": [
        {"metric": f"{name}.c", "points": [[now, 4], [now + 10, 6]], "type": "count", "interval": 10, "host": "web-1", "tags": ["env:e2e"]},
        {"metric": f"{name}.g", "points": [[now, 1.5]], "type": "gauge"},
        {"metric": f"{name}.r", "points": [[now, 0.5]], "type": "rate", "interval": 10},
        {"metric": f"{name}.plain", "points": [[now, 8]]}]})
    assert res.status == 202 and res.json == {"status": "ok"}, res
    eventually(lambda: yagura.total(f"sum:{name}.c{{host:web-1,env:e2e}}.as_count()") == 10)
    assert yagura.total(f"avg:{name}.g{{*}}") == 1.5
    assert yagura.total(f"sum:{name}.r{{*}}.as_count()") == pytest.approx(5)
    assert yagura.total(f"avg:{name}.plain{{*}}") == 8


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "zstd", "zstd1"])
def test_v2_series_json_in_every_encoding(yagura, name, now, encoding):
    body = json.dumps({"series": [s2(f"{name}.c", 1, [(now, 5)], ["env:e2e"], "web-1", interval=10)]}).encode()
    import gzip
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress,
              "zstd1": zstandard.compress}.get(encoding, bytes)(body)
    res = yagura.post("/api/v2/series", packed, headers={
        "Content-Type": "application/json", **({"Content-Encoding": encoding} if encoding else {})})
    assert res.status == 202 and res.json == {"errors": []}, res
    eventually(lambda: yagura.total(f"sum:{name}.c{{host:web-1}}.as_count()") == 5)


def test_v2_series_protobuf(yagura, name, now):
    body = (pb.series(f"{name}.count", 1, [(now, 4), (now + 10, 3)], ["env:e2e"], "web-1", 10)
            + pb.series(f"{name}.rate", 2, [(now, 0.4)], [], "", 10) + pb.series(f"{name}.gauge", 3, [(now, -12.75)]))
    for encoding in ("", "zstd"):
        packed = zstandard.compress(body) if encoding else body
        res = yagura.post("/api/v2/series", packed, headers={**PROTOBUF, **({"Content-Encoding": encoding} if encoding else {})})
        assert res.status == 202, res
    eventually(lambda: yagura.total(f"sum:{name}.count{{env:e2e,host:web-1}}.as_count()") == 14)
    assert yagura.total(f"sum:{name}.rate{{*}}.as_count()") == pytest.approx(8)
    assert yagura.total(f"avg:{name}.gauge{{*}}") == -12.75


def test_extension_writes_other_type_numbers(yagura, name, now):
    """A sender with metadata.origin.origin_product means 0 = count, 1 = gauge."""
    origin = {"metadata": {"origin": {"origin_product": 1, "origin_sub_product": 38, "origin_product_detail": 472}}}
    submit_v2(yagura, s2(f"{name}.c", 0, [(now, 3)], **origin), s2(f"{name}.g", 1, [(now, 7)], **origin),
              s2(f"{name}.c", 0, [(now, 3)], ["x:y"], **origin))
    eventually(lambda: yagura.total(f"sum:{name}.c{{*}}.as_count()") == 6)
    eventually(lambda: yagura.total(f"avg:{name}.g{{*}}") == 7)


def test_distribution_points(yagura, name, now):
    body = json.dumps({"series": [{"metric": f"{name}.d", "points": [[now, list(range(1, 101))], [now + 10, [1000]]],
                                   "tags": ["env:e2e"], "host": "web-1"}]}).encode()
    res = yagura.call("POST", "/api/v1/distribution_points", zlib.compress(body), keys=False, query={"api_key": API_KEY},
                      headers={"Content-Type": "application/json", "Content-Encoding": "deflate"})
    assert res.status == 202 and res.json == {"status": "ok"}, res
    eventually(lambda: yagura.total(f"count:{name}.d{{*}}.as_count()") == 101)
    got = {a: values(yagura.query(f"{a}:{name}.d{{host:web-1}}.rollup(7200)")[-1])[-1] for a in ("p50", "p90", "p99", "max", "min", "sum")}
    assert got["p50"] == pytest.approx(51, rel=0.03) and got["p90"] == pytest.approx(91, rel=0.03)
    assert (got["max"], got["min"], got["sum"]) == (1000, 1, 6050)
    first = yagura.query(f"p50:{name}.d{{*}}.rollup(10)", start=now, end=now + 9)
    assert values(first[0]) == [pytest.approx(50, rel=0.03)]


@pytest.mark.parametrize("body", [
    {"check": "app.ok", "host_name": "web-1", "status": 0}, [{"check": "app.ok", "host_name": "web-1", "status": 2,
                                                             "timestamp": 1790000000, "message": "no", "tags": ["a:b"]}]])
def test_check_run(yagura, body):
    res = yagura.post("/api/v1/check_run", body)
    assert res.status == 202 and res.json == {"status": "ok"}, res
    assert res.headers["content-type"] == "text/json"


def test_events(yagura):
    res = yagura.post("/api/v1/events", {"title": "Deploy", "text": "v2", "tags": ["env:e2e"], "alert_type": "info"})
    assert res.status == 202, res
    event = res.json["event"]
    assert res.json["status"] == "ok" and event["title"] == "Deploy" and str(event["id"]) == event["id_str"]
    assert event["handle"] is event["priority"] is event["related_event_id"] is None
    assert event["url"].startswith("http://") and event["url"].endswith(f"/event/event?id={event['id_str']}")
    other = yagura.post("/api/v1/events", {"title": "Deploy", "text": "v3", "priority": "low",
                                           "related_event_id": event["id"]}).json["event"]
    assert other["id"] != event["id"] and other["priority"] == "low" and other["related_event_id"] == event["id"]


def test_validate(yagura):
    res = yagura.get("/api/v1/validate", keys=False, headers={"DD-API-KEY": API_KEY})
    assert res.status == 200 and res.json == {"valid": True}, res
    assert yagura.get("/api/v1/validate", keys=False, query={"api_key": API_KEY}).status == 200
    res = yagura.get("/api/v1/validate", keys=False, headers={"DD-API-KEY": "0" * 32})
    assert res.status == 403 and res.json == {"errors": ["Forbidden"]}, res


@pytest.mark.parametrize("path", ["/api/v1/series", "/api/v2/series", "/api/v1/distribution_points", "/api/v1/check_run", "/api/v1/events"])
def test_refusals(yagura, path):
    bad = yagura.post(path, b'{"series":[', headers={"Content-Type": "application/json"})
    assert bad.status == 400 and bad.json["errors"], bad
    assert yagura.post(path, b"{}", keys=False, headers={"Content-Type": "application/json", "DD-API-KEY": "0" * 32}).status == 403
    torn = zlib.compress(b'{"series":[' + b" " * 5000)[:-6]
    res = yagura.post(path, torn, headers={"Content-Type": "application/json", "Content-Encoding": "deflate"})
    assert res.status == 400, res
    bomb = zlib.compress(b" " * (300 << 20))
    res = yagura.post(path, bomb, headers={"Content-Type": "application/json", "Content-Encoding": "deflate"})
    assert res.status == 413, res


def test_torn_protobuf(yagura, name, now):
    body = pb.series(f"{name}.x", 1, [(now, 4)], ["env:e2e"])
    res = yagura.post("/api/v2/series", body[:-5], headers=PROTOBUF)
    assert res.status == 400 and res.json["errors"], res
    for hostile in (b"\xff" * 12, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\x12\x80", b"\x0b"):
        assert yagura.post("/api/v2/series", hostile, headers=PROTOBUF).status in (202, 400)


def test_good_series_beside_bad_ones_are_kept(yagura, name, now):
    res = yagura.post("/api/v2/series", {"series": [
        s2(f"{name}.ok", 1, [(now, 2)]), {"points": [{"timestamp": now, "value": 1}]}, 7,
        {"metric": f"{name}.bad", "points": [{"timestamp": "x", "value": 1}]}, s2(f"{name}.ok", 1, [(now, 3)], ["k:v"])]})
    assert res.status == 202, res
    eventually(lambda: yagura.total(f"sum:{name}.ok{{*}}.as_count()") == 5)


# ---------------------------------------------------------------- queries
@pytest.fixture(scope="module")
def fleet(shared):
    """cpu (gauge) of three hosts, hits (count) of two services with errors, five minutes, one point each 10 s."""
    start = int(time.time()) // 60 * 60 - 360
    points = [start + 10 * n for n in range(30)]
    prefix = "fleet"
    submit_v2(
        shared,
        *[s2(f"{prefix}.cpu", 3, [(t, base) for t in points], [f"az:{az}", "env:prod"], host)
          for host, az, base in (("h1", "a", 10), ("h2", "a", 20), ("h3", "b", 60))],
        s2(f"{prefix}.hits", 1, [(t, 10) for t in points], ["service:web", "env:prod"], interval=10),
        s2(f"{prefix}.hits", 1, [(t, 30) for t in points], ["service:api", "env:prod"], interval=10),
        s2(f"{prefix}.errors", 1, [(t, 1) for t in points[:15]], ["service:web", "env:prod"], interval=10),
        s2(f"{prefix}.ramp", 3, [(t, n) for n, t in enumerate(points)]))

    def ask(query, **when):
        return shared.query(query, **{"start": start, "end": start + 299, **when})
    eventually(lambda: ask(f"avg:{prefix}.ramp{{*}}"))
    ask.start, ask.node = start, shared
    return ask


def one(series):
    assert len(series) == 1, series
    return series[0]


@pytest.mark.parametrize("query, value", [
    ("avg:fleet.cpu{*}", 30), ("sum:fleet.cpu{*}", 90), ("min:fleet.cpu{*}", 10), ("max:fleet.cpu{*}", 60), ("fleet.cpu{*}", 30),
    ("avg:fleet.cpu{az:a}", 15), ("avg:fleet.cpu{!az:a}", 60), ("sum:fleet.cpu{az:a,host:h1}", 10), ("sum:fleet.cpu{host:h*}", 90),
    ("sum:fleet.cpu{az:a OR host:h3}", 90), ("sum:fleet.cpu{host IN (h1,h3)}", 70), ("sum:fleet.cpu{host NOT IN (h1,h3)}", 20),
    ("sum:fleet.cpu{env:prod AND NOT az:b}", 30), ("avg:fleet.cpu{*} * 2 + 1", 61), ("(sum:fleet.cpu{*} - 30) / 2", 30),
    ("-avg:fleet.cpu{*}", -30), ("sum:fleet.hits{*}.as_rate().rollup(sum, 60)", 4), ("sum:fleet.hits{service:web}.as_rate().rollup(sum, 60)", 1),
    ("default_zero(sum:fleet.errors{service:web}) / default_zero(sum:fleet.hits{service:web})", None),
    ("abs(-avg:fleet.cpu{*})", 30), ("count_nonzero(avg:fleet.cpu{*} by {host}.rollup(avg, 60))", 3),
])
def test_value_of_every_bucket(fleet, query, value):
    got = values(one(fleet(query)))
    assert got
    if value is not None:
        assert all(v == pytest.approx(value) for v in got), (query, got[:5])


def test_as_count_and_rollup(fleet):
    assert sum(values(one(fleet("sum:fleet.hits{*}.as_count()")))) == 1200
    minute = one(fleet("sum:fleet.hits{*}.as_count().rollup(sum, 60)"))
    assert minute["interval"] == 60 and values(minute) == [240] * 5
    assert [p[0] % 60000 for p in minute["pointlist"]] == [0] * 5
    assert values(one(fleet("max:fleet.ramp{*}.rollup(max, 60)"))) == [5, 11, 17, 23, 29]
    assert values(one(fleet("avg:fleet.ramp{*}.rollup(avg, 60)"))) == [2.5, 8.5, 14.5, 20.5, 26.5]
    assert values(one(fleet("max:fleet.ramp{*}.rollup(count, 60)"))) == [6] * 5


def test_groups(fleet):
    by = {s["scope"]: (s["tag_set"], values(s)[0]) for s in fleet("avg:fleet.cpu{env:prod} by {host}")}
    assert {tuple(t): v for t, v in by.values()} == {("host:h1",): 10, ("host:h2",): 20, ("host:h3",): 60}
    two = fleet("sum:fleet.cpu{*} by {az,host}")
    assert {tuple(sorted(s["tag_set"])): values(s)[0] for s in two} == {
        ("az:a", "host:h1"): 10, ("az:a", "host:h2"): 20, ("az:b", "host:h3"): 60}
    ratio = fleet("sum:fleet.errors{*} by {service}.as_count() / sum:fleet.hits{*} by {service}.as_count()")
    got = {s["tag_set"][0]: values(s)[0] for s in ratio}
    assert got["service:web"] == pytest.approx(0.1)
    assert got.get("service:api", 0) == 0, "a side under as_count() that is missing counts as 0"


def test_default_zero(fleet):
    got = values(one(fleet("default_zero(sum:fleet.errors{service:web}.as_count().rollup(sum, 60))")))
    assert got[0] == 6 and got[-1] == 0
    empty = one(fleet("default_zero(sum:fleet.none{*})"))
    assert set(values(empty)) == {0}
    assert fleet("sum:fleet.none{*}") == []


def test_top(fleet):
    got = fleet("top(avg:fleet.cpu{*} by {host}, 2, 'mean', 'desc')")
    assert [s["tag_set"] for s in got] == [["host:h3"], ["host:h2"]]
    got = fleet("top(avg:fleet.cpu{*} by {host}, 1, 'max', 'asc')")
    assert [s["tag_set"] for s in got] == [["host:h1"]]


def test_comma_separated_parts(fleet):
    got = fleet("avg:fleet.cpu{*}, sum:fleet.cpu{*}")
    assert [(s["query_index"], values(s)[0]) for s in got] == [(0, 30), (1, 90)]


def test_envelope(fleet):
    res = fleet.node.get("/api/v1/query", query={"from": fleet.start, "to": fleet.start + 299, "query": "avg:fleet.cpu{az:a} by {host}"})
    doc = res.json
    assert (doc["status"], doc["res_type"], doc["resp_version"]) == ("ok", "time_series", 1)
    assert (doc["from_date"], doc["to_date"]) == (fleet.start * 1000, (fleet.start + 299) * 1000)
    assert doc["query"] == "avg:fleet.cpu{az:a} by {host}" and doc["group_by"] == ["host"]
    s = doc["series"][0]
    assert s["metric"] == "fleet.cpu" and s["aggr"] == "avg" and s["scope"] == "az:a,host:h1"
    assert s["length"] == len(s["pointlist"]) and s["start"] == s["pointlist"][0][0]
    assert s["end"] == s["pointlist"][-1][0] + s["interval"] * 1000 - 1000


@pytest.mark.parametrize("query", [
    "", "avg:system.cpu.user", "median:system.cpu.user{*}", "avg:a{*", "avg:a{*} +", "avg:a@b{*}", "avg:a{x AND !y}",
    "nosuch(avg:a{*})", "top(avg:a{*})", "avg:a{*}.rollup(median, 5)", "avg:a{*} by {}", "((((avg:a{*}"])
def test_query_faults(yagura, query):
    now = int(time.time())
    res = yagura.get("/api/v1/query", query={"from": now - 600, "to": now, "query": query})
    assert res.status == 400, res
    assert res.json.get("error") or res.json.get("errors"), res


def test_query_needs_keys(yagura):
    assert yagura.get("/api/v1/query", keys=False, query={"from": 1, "to": 2, "query": "avg:a{*}"}).status in (401, 403)


def test_v2_timeseries(fleet):
    res = fleet.node.post("/api/v2/query/timeseries", {"data": {"type": "timeseries_request", "attributes": {
        "from": fleet.start * 1000, "to": (fleet.start + 300) * 1000, "interval": 60000,
        "queries": [{"data_source": "metrics", "name": "e", "query": "sum:fleet.errors{*}.as_count()"},
                    {"data_source": "metrics", "name": "h", "query": "sum:fleet.hits{service:web}.as_count()"}],
        "formulas": [{"formula": "e / h * 100"}, {"formula": "h"}]}}})
    assert res.status == 200, res
    data = res.json["data"]
    assert data["type"] == "timeseries_response"
    attributes = data["attributes"]
    assert [s["query_index"] for s in attributes["series"]] == [0, 1]
    assert attributes["times"] == [(fleet.start + 60 * n) * 1000 for n in range(5)]
    assert attributes["values"][1] == [60] * 5
    assert attributes["values"][0][:2] == [pytest.approx(10)] * 2 and attributes["values"][0][4] in (0, None)


def test_v2_scalar(fleet):
    res = fleet.node.post("/api/v2/query/scalar", {"data": {"type": "scalar_request", "attributes": {
        "from": fleet.start * 1000, "to": (fleet.start + 300) * 1000,
        "queries": [{"data_source": "metrics", "name": "a", "query": "avg:fleet.cpu{*} by {host}", "aggregator": "avg"}],
        "formulas": [{"formula": "a", "limit": {"count": 2, "order": "desc"}}]}}})
    assert res.status == 200, res
    columns = res.json["data"]["attributes"]["columns"]
    groups = next(c for c in columns if c["type"] == "group")
    numbers = next(c for c in columns if c["type"] == "number")
    assert groups["name"] == "host" and groups["values"] == [["h3"], ["h2"]]
    assert numbers["values"] == [60, 20]


def test_v2_events_query_over_logs(yagura, name):
    yagura.send_logs([{"message": "m", "service": name, "ms": n} for n in range(10)])
    eventually(lambda: len(yagura.search_logs(f"service:{name}")) == 10)
    now = int(time.time() * 1000)
    res = yagura.post("/api/v2/query/scalar", {"data": {"type": "scalar_request", "attributes": {
        "from": now - 600_000, "to": now + 60_000, "queries": [
            {"data_source": "logs", "name": "q", "search": {"query": f"service:{name}"}, "indexes": ["*"],
             "compute": {"aggregation": "max", "metric": "@ms"}}]}}})
    assert res.status == 200, res
    assert [c["values"] for c in res.json["data"]["attributes"]["columns"] if c["type"] == "number"] == [[9]]


def test_v2_wrong_type_word(yagura):
    res = yagura.post("/api/v2/query/timeseries", {"data": {"type": "timeseries_rquest", "attributes": {}}})
    assert res.status == 400, res
    assert res.json == {"errors": ['API input validation failed: Invalid type. Expected "timeseries_request".']}


def test_lists_of_metrics(fleet, name):
    listed = fleet.node.get("/api/v1/metrics", query={"from": int(time.time()) - 3600})
    assert listed.status == 200 and {"fleet.cpu", "fleet.hits"} <= set(listed.json["metrics"]), listed
    found = fleet.node.get("/api/v1/search", query={"q": "metrics:fleet.c"})
    assert found.status == 200 and found.json["results"]["metrics"] == ["fleet.cpu"], found
    about = fleet.node.get("/api/v1/metrics/fleet.hits")
    assert about.status == 200 and about.json["type"] == "count", about
    assert fleet.node.get("/api/v1/metrics/" + name).status == 404


def test_facets_of_a_metric(fleet):
    res = fleet.node.get("/api/yagura/v1/facets/metrics", query={"metric": "fleet.cpu", "from": "now-1h", "to": "now"})
    assert res.status == 200, res
    keys = {f["key"]: {v["value"] for v in f["values"]} for f in res.json["facets"]}
    assert keys["host"] == {"h1", "h2", "h3"} and keys["az"] == {"a", "b"}


def test_default_zero_holds_a_point_for_five_minutes(yagura, name):
    """The documents' example: one point in the window is 0 before, itself for 300 s, 0 afterwards."""
    at = int(time.time()) // 60 * 60 - 900
    submit_v2(yagura, s2(f"{name}.x", 3, [(at, 1)]))
    eventually(lambda: yagura.query(f"avg:{name}.x{{*}}", start=at - 60, end=at + 60))
    series = one(yagura.query(f"default_zero(avg:{name}.x{{*}}.rollup(avg, 60))", start=at - 900, end=at + 899))
    assert values(series) == [0] * 15 + [1] * 6 + [0] * 9


def test_group_without_the_key_is_na(yagura, name, now):
    submit_v2(yagura, s2(f"{name}.x", 3, [(now, 1)], ["host:a"]), s2(f"{name}.x", 3, [(now, 2)], ["other:b"]))
    eventually(lambda: len(yagura.query(f"sum:{name}.x{{*}} by {{host}}")) == 2)
    assert {s["tag_set"][0]: values(s) for s in yagura.query(f"sum:{name}.x{{*}} by {{host}}")} == {"host:a": [1], "host:N/A": [2]}
    assert [s["tag_set"] for s in yagura.query(f"exclude_null(sum:{name}.x{{*}} by {{host}})")] == [["host:a"]]


@pytest.fixture(scope="module")
def four(shared):
    """10, 20, 40, 10, ten seconds apart; the time of the first."""
    at = int(time.time()) // 10 * 10 - 200
    submit_v2(shared, s2("four.x", 3, [(at + 10 * n, v) for n, v in enumerate((10, 20, 40, 10))]))
    eventually(lambda: shared.query("avg:four.x{*}", start=at, end=at + 39))
    return at


@pytest.mark.parametrize("expression, wanted", [
    ("diff({m})", [None, 10, 20, -30]), ("per_second({m})", [None, 1, 2, None]), ("monotonic_diff({m})", [None, 10, 20, None]),
    ("cumsum({m})", [10, 30, 70, 80]), ("clamp_min({m}, 15)", [15, 20, 40, 15]), ("cutoff_max({m}, 20)", [10, 20, None, 10]),
    ("abs(-1 * {m})", [10, 20, 40, 10]), ("{m} / 0", [None] * 4), ("moving_rollup({m}, 20, 'sum')", [10, 30, 60, 50]),
    ("log10({m} * 0 + 100)", [2, 2, 2, 2]),
])
def test_functions_over_four_points(shared, four, expression, wanted):
    got = shared.query(expression.format(m="avg:four.x{*}.rollup(avg, 10)"), start=four, end=four + 39)
    points = {ts // 1000: v for ts, v in got[0]["pointlist"]} if got else {}
    assert [points.get(four + 10 * n) for n in range(4)] == [w if w is None else pytest.approx(w) for w in wanted]
