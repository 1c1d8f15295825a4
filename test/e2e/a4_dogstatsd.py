# SPDX-License-Identifier: Apache-2.0
"""DogStatsD by UDP and by HTTP: each production of the grammar, read back through metric queries."""
import time

import decode
import pytest
from server import ROOT, eventually

GOLDEN = ROOT / "test" / "golden"


def last(series):
    return series["pointlist"][-1][1]


def wait_total(node, query, value):
    return eventually(lambda: node.total(query) == pytest.approx(value), timeout_s=30, what=f"{query} = {value}")


def wait_last(node, query, value, **more):
    return eventually(lambda: [last(s) for s in node.query(query, **more)] == [pytest.approx(value)], timeout_s=30,
                      what=f"{query} ends with {value}")


def test_counter_with_rate_and_tags(yagura, name):
    yagura.statsd(f"{name}.c:2|c|#route:/a,env:e2e", f"{name}.c:3|c|@0.5|#route:/b,env:e2e", f"{name}.c:-1|c|#route:/a,env:e2e")
    wait_total(yagura, f"sum:{name}.c{{*}}.as_count()", 7)
    assert yagura.total(f"sum:{name}.c{{route:/b}}.as_count()") == 6
    by = {s["scope"]: sum(v for _, v in s["pointlist"]) for s in yagura.query(f"sum:{name}.c{{env:e2e}} by {{route}}.as_count()")}
    assert sorted(by.values()) == [1, 6]


def test_gauge_keeps_the_last_value_and_plus_is_no_delta(yagura, name):
    yagura.statsd(f"{name}.g:10|g", f"{name}.g:4.5|g")
    wait_last(yagura, f"avg:{name}.g{{*}}", 4.5)
    yagura.statsd(f"{name}.p:10|g", f"{name}.p:+2|g")
    wait_last(yagura, f"avg:{name}.p{{*}}", 2)
    yagura.statsd(f"{name}.n:-3.25|g")
    wait_last(yagura, f"avg:{name}.n{{*}}", -3.25)


def test_set_counts_distinct_values(yagura, name):
    yagura.statsd(*[f"{name}.s:u{n % 3}|s" for n in range(9)], f"{name}.s:a:b|s")
    wait_last(yagura, f"avg:{name}.s{{*}}", 4)


def test_histogram_and_timing_give_the_agents_five(yagura, name):
    for kind in ("h", "ms"):
        metric = f"{name}.{kind}"
        yagura.statsd(*[f"{metric}:{n}|{kind}" for n in range(1, 101)])
        wait_last(yagura, f"avg:{metric}.max{{*}}", 100)
        assert last(yagura.query(f"avg:{metric}.avg{{*}}")[0]) == pytest.approx(50.5)
        assert last(yagura.query(f"avg:{metric}.median{{*}}")[0]) == pytest.approx(50)
        assert last(yagura.query(f"avg:{metric}.95percentile{{*}}")[0]) in (94, 95, 96)
        assert yagura.total(f"sum:{metric}.count{{*}}.as_count()") == pytest.approx(100)


def test_histogram_rate_weighs(yagura, name):
    yagura.statsd(f"{name}.w:10|h|@0.1")
    eventually(lambda: yagura.total(f"sum:{name}.w.count{{*}}.as_count()") == pytest.approx(10))


def test_distribution_percentiles(yagura, name):
    yagura.statsd(*[f"{name}.d:{n}|d|#k:v" for n in range(1, 501)])
    yagura.statsd(*[f"{name}.d:{n}|d|#k:v" for n in range(501, 1001)])
    wait_total(yagura, f"count:{name}.d{{k:v}}.as_count()", 1000)
    spread = {"p50": 500, "p75": 750, "p95": 950, "p99": 990, "max": 1000, "min": 1, "avg": 500.5}
    for aggregator in ("p50", "p75", "p95", "p99", "max", "min", "avg"):
        points = yagura.query(f"{aggregator}:{name}.d{{*}}.rollup(3600)")
        assert last(points[-1]) == pytest.approx(spread[aggregator], rel=0.03), aggregator
    assert yagura.total(f"sum:{name}.d{{*}}.as_count()") == pytest.approx(500500)


def test_packed_values(yagura, name):
    yagura.statsd(f"{name}.c:1:2:3|c", f"{name}.d:1:2.5::-3|d")
    wait_total(yagura, f"sum:{name}.c{{*}}.as_count()", 6)
    wait_total(yagura, f"count:{name}.d{{*}}.as_count()", 3)


def test_timestamp_of_the_sender(yagura, name):
    then = int(time.time()) // 10 * 10 - 300
    yagura.statsd(f"{name}.t:7|g|T{then}", f"{name}.u:5|c|T{then}")
    for metric in ("t", "u"):
        series = eventually(lambda: yagura.query(f"avg:{name}.{metric}{{*}}", start=then - 60, end=then + 60))
        assert [p for p in series[0]["pointlist"] if p[0] // 1000 <= then < p[0] // 1000 + series[0]["interval"]]


def test_host_tag_and_fields_in_any_order(yagura, name):
    yagura.statsd(f"{name}.o:5|g|c:ci-abc|#x:y,z,host:db-9|zz:1|@0.1|card:low|e:it-false,cn-x,pu-y")
    wait_last(yagura, f"avg:{name}.o{{host:db-9,x:y}}", 5)
    assert yagura.query(f"avg:{name}.o{{z}}"), "a tag without a key"


def test_bad_lines_do_not_hurt_their_neighbours(yagura, name):
    bad = ["", "nothing", ":1|c", f"{name}.x|c", f"{name}.x:1", f"{name}.x:1|q", f"{name}.x:NaN|g", f"{name}.x:one|c",
           f"{name}.x:1|c|@0", f"{name}.x:1|c|@2", "_e{5}:x", "_e{5,5}:ab|c", "_sc|x", "_sc|x|9", f"{name}.x:1|c|T0"]
    yagura.statsd(*bad, f"{name}.ok:1|c")
    for line in bad:
        yagura.statsd(line)
    yagura.statsd(b"\xff\xfe\x00" * 100, b"|" * 3000, b":" * 3000, b"_e{99999999999,1}:")
    yagura.statsd(f"{name}.ok:1|c")
    wait_total(yagura, f"sum:{name}.ok{{*}}.as_count()", 2)
    assert yagura.query(f"sum:{name}.x{{*}}") == []


def test_whole_datagram_of_8_kib(yagura, name):
    lines = [f"{name}.big:1|c|#n:{n:04d},pad:{'p' * 20}" for n in range(150)]
    assert 7000 < len("\n".join(lines)) < 8192
    yagura.statsd(*lines)
    wait_total(yagura, f"sum:{name}.big{{*}}.as_count()", 150)


def test_names_and_tags_are_normalised(yagura, name):
    yagura.statsd(f"{name}.we-ird/na me:1|c|#Team:ShOp,env:E2E")
    wait_total(yagura, f"sum:{name}.we_ird_na_me{{team:shop,env:e2e}}.as_count()", 1)


def test_recorded_datagrams_of_hot_shots_and_datadogpy(yagura):
    for case in ("hotshots", "datadogpy", "crafted_grammar", "crafted_events_checks"):
        method, _, _, body = decode.load_case(GOLDEN / "dogstatsd" / case)
        yagura.statsd(body)
    wait_total(yagura, "sum:shop.orders{currency:eur}.as_count()", 1)
    assert yagura.total("sum:shop.orders.sampled{a:b}.as_count()") == 3
    wait_last(yagura, "avg:app.temperature{service:shop-api}", -3.5)
    wait_last(yagura, "avg:shop.queue.depth{region:eu}", 17.5)


def test_by_http_proxy(yagura):
    method, target, headers, body = decode.load_case(GOLDEN / "dogstatsd_http" / "ddtrace_js_runtime_metrics")
    res = yagura.agent_call(method, target, body, headers)
    assert 200 <= res.status < 300, res
    eventually(lambda: yagura.query("avg:runtime.node.mem.heap_total{service:shop-api}"))


def test_clients_own_telemetry_stays_out(yagura, name):
    yagura.statsd("datadog.dogstatsd.client.metrics:12|c|#client:nodejs", f"{name}.mark:1|c")
    wait_total(yagura, f"sum:{name}.mark{{*}}.as_count()", 1)
    listed = yagura.get("/api/v1/metrics", query={"from": int(time.time()) - 3600}).json["metrics"]
    assert f"{name}.mark" in listed
    assert not [m for m in listed if m.startswith("datadog.dogstatsd.client.")]


def test_event_and_check_are_accepted_beside_metrics(yagura, name):
    yagura.statsd("_e{5,9}:title|line\ntext|t:error|#k:v", f"{name}.after:1|c", "_sc|svc.up|1|#a:b|m:slow", f"{name}.after:1|c")
    wait_total(yagura, f"sum:{name}.after{{*}}.as_count()", 2)
