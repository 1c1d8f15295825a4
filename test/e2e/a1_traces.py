# SPDX-License-Identifier: Apache-2.0
"""An unmodified Express application with dd-trace: its traces, logs and metrics are found and belong together."""
import struct

import pytest
from example import Example
from server import eventually

ROUTES = {"/orders/1": 200, "/slow": 200, "/fail": 500}


@pytest.fixture(scope="module")
def shop(shared, tmp_path_factory):
    """The example ran once, three routes were called, it was stopped; what it sent is stored."""
    service = "shop-e2e"
    with Example("express", shared, {"DD_SERVICE": service, "DD_ENV": "e2e"}) as app:
        for path, status in ROUTES.items():
            assert app.get(path) == status, app.output
        app.stop()
        shared.example_output = app.output
    eventually(lambda: len(roots(shared, service)) == len(ROUTES), what="three traces of the shop")
    return service


def search_traces(node, query, **more):
    res = node.post("/api/yagura/v1/traces/search", {"q": query, "from": "now-1h", "to": "now+1h", "limit": 200, **more})
    assert res.status == 200, res
    return res.json


def roots(node, service):
    """resource of the root → trace row, for traces whose root is an Express request."""
    data = search_traces(node, f"service:{service} operation_name:express.request")["data"]
    return {row["root"]["resource"]: row for row in data}


def spans_of(node, trace_id):
    return [item["attributes"] for item in node.search_spans(f"trace_id:{trace_id}")]


class Block:
    """Reader of the trace block as docs/api.md lays it out."""

    COLUMNS = (("start_off", "d"), ("dur", "d"), ("span_id", "Q"), ("parent", "i"), ("end_of_subtree", "I"),
               ("name", "I"), ("resource", "I"), ("service", "H"), ("depth", "H"), ("flags", "H"), ("type", "B"))

    def __init__(self, data):
        magic, self.version, self.flags, self.n, self.n_total, m, string_bytes, self.base_ns = struct.unpack_from(
            "<4sHHIIIIQ", data, 0)
        assert magic == b"YGT1"
        self.trace_id = data[32:48].hex()
        tail_bytes, whole = struct.unpack_from("<II", data, 48)
        assert whole == len(data)
        at = 64
        for name, code in self.COLUMNS:
            at = (at + 7) & ~7
            setattr(self, name, struct.unpack_from(f"<{self.n}{code}", data, at))
            at += self.n * struct.calcsize(code)
        at = (at + 7) & ~7
        offsets = struct.unpack_from(f"<{m + 1}I", data, at)
        at += 4 * (m + 1)
        text = data[at:at + string_bytes]
        self.strings = [text[a:b].decode() for a, b in zip(offsets, offsets[1:])]
        at = (at + string_bytes + 7) & ~7
        import json
        self.tail = json.loads(data[at:at + tail_bytes])


def test_trace_is_found_by_service_with_all_its_spans(shared, shop):
    row = roots(shared, shop)["GET /orders/:id"]
    assert len(row["trace_id"]) == 32
    assert row["env"] == "e2e"
    assert row["error_count"] == 0
    assert row["root"]["service"] == shop
    assert row["root"].get("status_code") == "200"
    spans = spans_of(shared, row["trace_id"])
    assert row["span_count"] == len(spans)
    names = {s["operation_name"] for s in spans}
    assert {"express.request", "aws.request", "http.request"} <= names
    dynamo = [s for s in spans if s["operation_name"] == "aws.request"]
    assert {s["resource_name"] for s in dynamo} == {"getItem Orders"}
    assert {s["service"] for s in dynamo} == {f"{shop}-aws-dynamodb"}
    ids = {s["span_id"] for s in spans}
    top = [s for s in spans if s["parent_id"] not in ids]
    assert len(top) == 1, "one root, every other parent is stored"


def test_slow_trace_stands_first_by_duration_and_by_span_count(shared, shop):
    for sort, key in (("-duration", "duration_ns"), ("-spans", "span_count")):
        rows = search_traces(shared, f"service:{shop}", sort=sort)["data"]
        values = [row[key] for row in rows]
        assert values == sorted(values, reverse=True)
        assert rows[0]["root"]["resource"] == "GET /slow"
        rows = search_traces(shared, f"service:{shop}", sort=sort[1:])["data"]
        assert [row[key] for row in rows] == sorted(values)
    slow = roots(shared, shop)["GET /slow"]
    assert slow["duration_ns"] > 600e6
    assert slow["span_count"] > 40


def test_trace_search_by_errors_duration_and_pages(shared, shop):
    rows = search_traces(shared, f"service:{shop}", sort="-errors")["data"]
    assert rows[0]["root"]["resource"] == "GET /fail"
    assert rows[0]["error_count"] >= 1
    found = search_traces(shared, f"service:{shop} status:error")["data"]
    assert {r["trace_id"] for r in found} == {rows[0]["trace_id"]}
    everything = search_traces(shared, f"service:{shop}")
    slow = roots(shared, shop)["GET /slow"]["duration_ns"]
    long_ones = search_traces(shared, f"service:{shop}", min_duration_ns=slow)["data"]
    assert [r["duration_ns"] for r in long_ones] == [r["duration_ns"] for r in everything["data"] if r["duration_ns"] >= slow]
    short = search_traces(shared, f"service:{shop}", max_duration_ns=slow)["data"]
    assert {r["trace_id"] for r in short + long_ones} == {r["trace_id"] for r in everything["data"]}
    assert all(r["duration_ns"] < slow for r in short)
    seen, cursor = [], None
    for _ in range(20):
        page = search_traces(shared, f"service:{shop}", limit=2, cursor=cursor)
        seen += [r["trace_id"] for r in page["data"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert seen == [r["trace_id"] for r in everything["data"]]
    assert everything["matched"] == len(seen)


def test_trace_summary_counts(shared, shop):
    got = search_traces(shared, f"service:{shop}", summary=True)
    summary = got["summary"]
    assert summary["count"] == got["matched"]
    assert sum(summary["heat"]["counts"]) == summary["count"]
    assert sum(summary["heat"]["errors"]) == summary["errors"] == 1
    assert summary["p50_ns"] <= summary["p95_ns"] <= summary["max_ns"]


@pytest.mark.parametrize("form", ["hex32", "hex16", "decimal"])
def test_trace_by_id_in_every_spelling(shared, shop, form):
    row = roots(shared, shop)["GET /slow"]
    low = row["trace_id"][16:]
    spelled = {"hex32": row["trace_id"], "hex16": low, "decimal": str(int(low, 16))}[form]
    res = shared.get(f"/api/yagura/v1/traces/{spelled}")
    assert res.status == 200, res
    assert res.headers["content-type"] == "application/vnd.yagura.trace"
    block = Block(res.body)
    assert block.trace_id == row["trace_id"]
    assert block.n == block.n_total == row["span_count"]
    assert block.strings[block.name[0]] == "express.request"
    assert (block.parent[0], block.depth[0], block.end_of_subtree[0]) == (-1, 0, block.n)
    for i in range(1, block.n):
        assert 0 <= block.parent[i] < i, "depth-first order"
        assert block.depth[i] == block.depth[block.parent[i]] + 1
        assert block.start_off[i] >= 0
    services = [s["name"] for s in block.tail["services"]]
    assert services == block.strings[:len(services)]
    assert {shop, f"{shop}-aws-dynamodb"} <= set(services)
    assert sum(s["spans"] for s in block.tail["services"]) == block.n
    assert len(spans_of(shared, spelled)) == block.n


def test_unknown_trace_is_404(shared):
    assert shared.get("/api/yagura/v1/traces/" + "ab" * 16).status == 404


def test_span_detail_has_tags_and_error(shared, shop):
    row = roots(shared, shop)["GET /fail"]
    span = next(s for s in spans_of(shared, row["trace_id"]) if s["operation_name"] == "express.request")
    res = shared.get(f"/api/yagura/v1/traces/{row['trace_id']}/spans/{span['span_id']}")
    assert res.status == 200, res
    doc = res.json
    assert doc["span"]["error"] == 1
    assert doc["span"]["env"] == "e2e"
    assert doc["tags"]["error.message"] == "order-0 has no price"
    assert doc["tags"]["error.type"] == "TypeError"
    assert "app.js" in doc["tags"]["error.stack"]
    assert doc["tags"]["http.status_code"] == "500"
    assert doc["tags"]["span.kind"] == "server"
    assert doc["metrics"]["_sampling_priority_v1"] == 1


def test_logs_stand_beside_their_trace(shared, shop):
    for resource, message, status in (("GET /orders/:id", "order read", "info"), ("GET /slow", "slow list", "warn"),
                                      ("GET /fail", "request failed", "error")):
        row = roots(shared, shop)[resource]
        logs = eventually(lambda: shared.search_logs(f"trace_id:{row['trace_id']}"), what=f"logs of {resource}")
        assert [log["attributes"]["message"] for log in logs] == [message]
        attributes = logs[0]["attributes"]
        assert attributes["status"] == status
        assert attributes["service"] == shop
        low = int(row["trace_id"][16:], 16)
        assert len(shared.search_logs(f"trace_id:{low}")) == 1, "the decimal spelling finds it too"
    assert "env:e2e" in attributes["tags"]
    assert attributes["attributes"]["error"]["message"] == "order-0 has no price" \
        or attributes["attributes"].get("error.message") == "order-0 has no price"


def test_logs_by_attribute(shared, shop):
    found = shared.search_logs(f"service:{shop} @customer_id:premium")
    assert [f["attributes"]["message"] for f in found] == ["order read"]
    assert shared.search_logs(f"service:{shop} @customer_id:basic") == []


def test_hot_shots_metrics_are_queried(shared, shop):
    scope = f"{{service:{shop}}}"
    eventually(lambda: shared.total(f"sum:shop.requests{scope}.as_count()") == 3, what="3 requests counted")
    by = shared.query(f"sum:shop.requests{scope} by {{status}}.as_count()")
    assert {tuple(s["tag_set"]): sum(v for _, v in s["pointlist"]) for s in by} == {
        ("status:200",): 2, ("status:500",): 1}
    assert shared.total(f"sum:shop.failures{scope}.as_count()") == 1
    slowest = shared.query(f"max:shop.request.ms{scope}")
    assert max(v for _, v in slowest[0]["pointlist"]) > 600
    p50 = shared.query(f"p50:shop.request.ms{{service:{shop},route:/slow}}")
    assert max(v for _, v in p50[0]["pointlist"]) == pytest.approx(
        max(v for _, v in slowest[0]["pointlist"]), rel=0.02)


def test_span_search_and_aggregate(shared, shop):
    found = shared.search_spans(f"service:{shop} resource_name:\"GET /slow\" operation_name:express.request")
    assert len(found) == 1
    assert found[0]["type"] == "spans"
    attributes = found[0]["attributes"]
    assert attributes["service"] == shop and attributes["env"] == "e2e" and attributes["type"] == "web"
    assert attributes["custom"]["duration"] > 600e6
    res = shared.post("/api/v2/spans/analytics/aggregate", {"data": {"type": "aggregate_request", "attributes": {
        "filter": {"query": f"service:{shop}-aws-dynamodb", "from": "now-1h", "to": "now+1h"},
        "compute": [{"aggregation": "count"}, {"aggregation": "max", "metric": "@duration"}],
        "group_by": [{"facet": "resource_name"}]}}})
    assert res.status == 200, res
    rows = res.json["data"]
    assert [r["attributes"]["by"] for r in rows] == [{"resource_name": "getItem Orders"}]
    spans = shared.search_spans(f"service:{shop}-aws-dynamodb")
    assert rows[0]["attributes"]["compute"]["c0"] == len(spans)
    assert rows[0]["attributes"]["compute"]["c1"] == max(s["attributes"]["custom"]["duration"] for s in spans)
    slow = shared.search_spans(f"service:{shop} @duration:>500ms operation_name:express.request")
    assert len(slow) == 1


def test_spans_search_uses_http_status_as_number(shared, shop):
    assert len(shared.search_spans(f"service:{shop} operation_name:express.request @http.status_code:>=500")) == 1
    assert len(shared.search_spans(f"service:{shop} operation_name:express.request @http.status_code:[200 TO 299]")) == 2


def test_fleet_shows_the_service(shared, shop):
    res = shared.get("/api/yagura/v1/fleet", query={"env": "e2e", "from": "now-1h", "to": "now"})
    assert res.status == 200, res
    item = next(i for i in res.json["items"] if i["name"] == shop)
    assert item["hits"] >= 3 and item["errors"] >= 1
    assert item["p99_ns"] > 500e6
    assert sum(item["hits_spark"]) == item["hits"]


def test_facets_of_spans(shared, shop):
    res = shared.get("/api/yagura/v1/facets/spans", query={"q": f"service:{shop}", "from": "now-1h", "to": "now+1h"})
    assert res.status == 200, res
    facets = {f["key"]: f for f in res.json["facets"]}
    assert {v["value"] for v in facets["service"]["values"]} == {shop}
    names = {v["value"]: v["count"] for v in facets["operation_name"]["values"]}
    assert names["express.request"] == len(shared.search_spans(f"service:{shop} operation_name:express.request"))
    res = shared.get("/api/yagura/v1/facets/spans/operation_name/values",
                     query={"q": f"service:{shop}", "from": "now-1h", "to": "now+1h", "prefix": "EXP"})
    assert [v["value"] for v in res.json["values"]] == ["express.request"]


def test_setup_knows_what_arrived(shared, shop):
    received = {r["kind"]: r for r in shared.get("/api/yagura/v1/setup").json["received"]}
    assert shop in received["traces"]["services"]
    assert received["traces"]["count"] > 0 and "5." in received["traces"]["client"]
    assert received["logs"]["count"] > 0
    assert received["dogstatsd"]["count"] > 0
    assert received["telemetry"]["count"] > 0
