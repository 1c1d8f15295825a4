# SPDX-License-Identifier: Apache-2.0
"""An unmodified Flask application under ddtrace-run: traces, logs and metrics belong together."""
import pytest
from example import Example
from server import eventually


@pytest.fixture(scope="module", params=["v0.5", "v0.4"])
def shop(request, shared):
    service = f"flask-{request.param.replace('.', '')}"
    with Example("flask", shared, {"DD_SERVICE": service, "DD_ENV": "conf", "DD_TRACE_API_VERSION": request.param}) as app:
        for path, status in (("/orders/7", 200), ("/slow", 200), ("/fail", 500)):
            assert app.get(path) == status, app.output
        app.stop()
    eventually(lambda: len(traces(shared, service)) == 3, what="three traces")
    return service


def traces(node, service):
    res = node.post("/api/yagura/v1/traces/search", {"q": f"service:{service} operation_name:flask.request", "from": "now-1h",
                                                     "to": "now+1h", "sort": "-duration"})
    assert res.status == 200, res
    return {row["root"]["resource"]: row for row in res.json["data"]}


def test_traces_with_all_their_spans(shared, shop):
    found = traces(shared, shop)
    assert list(found)[0] == "GET /slow", "the slowest stands first"
    assert found["GET /slow"]["duration_ns"] > 600e6
    for row in found.values():
        spans = [s["attributes"] for s in shared.search_spans(f"trace_id:{row['trace_id']}")]
        assert len(spans) == row["span_count"]
        ids = {s["span_id"] for s in spans}
        assert len([s for s in spans if s["parent_id"] not in ids]) == 1
        assert {"flask.request", "flask.dispatch_request", "sqlite.query"} <= {s["operation_name"] for s in spans}
        assert {s["env"] for s in spans} == {"conf"}
    queries = shared.search_spans(f"trace_id:{found['GET /slow']['trace_id']} operation_name:sqlite.query")
    assert len(queries) >= 20
    assert found["GET /fail"]["error_count"] >= 1
    assert "GET /orders/<int:order_id>" in found


def test_logs_beside_each_trace(shared, shop):
    found = traces(shared, shop)
    for resource, message, status in (("GET /orders/<int:order_id>", "order read", "info"), ("GET /slow", "slow list", "warn"),
                                      ("GET /fail", "request failed", "error")):
        logs = eventually(lambda: shared.search_logs(f"trace_id:{found[resource]['trace_id']}"))
        assert [(x["attributes"]["message"], x["attributes"]["status"]) for x in logs] == [(message, status)]


def test_error_details(shared, shop):
    row = traces(shared, shop)["GET /fail"]
    failed = shared.search_spans(f"trace_id:{row['trace_id']} status:error @error.type:*ValueError")
    assert failed
    logs = shared.search_logs(f"service:{shop} @error.kind:ValueError status:error")
    assert len(logs) == 1


def test_metrics(shared, shop):
    scope = f"{{service:{shop}}}"
    eventually(lambda: shared.total(f"sum:shop.requests{scope}.as_count()") == 3)
    assert shared.total(f"sum:shop.failures{scope}.as_count()") == 1
    assert max(v for _, v in shared.query(f"max:shop.request.ms{scope}")[0]["pointlist"]) > 600
