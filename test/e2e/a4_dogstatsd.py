# SPDX-License-Identifier: Apache-2.0
"""DogStatsD by UDP and by HTTP: each production of the grammar, read back through metric queries.

Samples become visible with their 10 s bucket, so all tests send first (`@sends`) and look afterwards.
"""
import time

import decode
import pytest
from server import ROOT, eventually

GOLDEN = ROOT / "test" / "golden"
SENDERS = []


def sends(send):
    """Decorates a test: send(node, m) runs before all tests of this file; m is the test's own metric prefix."""
    def wrap(test):
        prefix = test.__name__.replace("test_", "dsd.")
        SENDERS.append((send, prefix))
        test.prefix = prefix
        return test
    return wrap


@pytest.fixture(scope="module")
def sent(shared):
    for send, prefix in SENDERS:
        send(shared, prefix)
    return shared


@pytest.fixture
def m(request):
    return request.function.prefix


def last(series):
    return series["pointlist"][-1][1]


def wait_total(node, query, value):
    return eventually(lambda: node.total(query) == pytest.approx(value), timeout_s=30, what=f"{query} = {value}")


def wait_last(node, query, value, **more):
    return eventually(lambda: [last(s) for s in node.query(query, **more)] == [pytest.approx(value)], timeout_s=30,
                      what=f"{query} ends with {value}")


@sends(lambda node, m: node.statsd(f"{m}:2|c|#route:/a,env:e2e", f"{m}:3|c|@0.5|#route:/b,env:e2e", f"{m}:-1|c|#route:/a,env:e2e"))
def test_counter_with_rate_and_tags(sent, m):
    wait_total(sent, f"sum:{m}{{*}}.as_count()", 7)
    assert sent.total(f"sum:{m}{{route:/b}}.as_count()") == 6
    by = {s["scope"]: sum(v for _, v in s["pointlist"]) for s in sent.query(f"sum:{m}{{env:e2e}} by {{route}}.as_count()")}
    assert sorted(by.values()) == [1, 6]


@sends(lambda node, m: node.statsd(f"{m}.g:10|g", f"{m}.g:4.5|g", f"{m}.p:10|g", f"{m}.p:+2|g", f"{m}.n:-3.25|g"))
def test_gauge_keeps_the_last_value_and_plus_is_no_delta(sent, m):
    wait_last(sent, f"avg:{m}.g{{*}}", 4.5)
    wait_last(sent, f"avg:{m}.p{{*}}", 2)
    wait_last(sent, f"avg:{m}.n{{*}}", -3.25)


@sends(lambda node, m: node.statsd(*[f"{m}:u{n % 3}|s" for n in range(9)], f"{m}:a:b|s"))
def test_set_counts_distinct_values(sent, m):
    wait_last(sent, f"avg:{m}{{*}}", 4)


@sends(lambda node, m: [node.statsd(*[f"{m}.{kind}:{n}|{kind}" for n in range(1, 101)]) for kind in ("h", "ms")])
def test_histogram_and_timing_give_the_agents_five(sent, m):
    for kind in ("h", "ms"):
        metric = f"{m}.{kind}"
        wait_last(sent, f"avg:{metric}.max{{*}}", 100)
        assert last(sent.query(f"avg:{metric}.avg{{*}}")[0]) == pytest.approx(50.5)
        assert last(sent.query(f"avg:{metric}.median{{*}}")[0]) == pytest.approx(50)
        assert last(sent.query(f"avg:{metric}.95percentile{{*}}")[0]) in (94, 95, 96)
        assert sent.total(f"sum:{metric}.count{{*}}.as_count()") == pytest.approx(100)


@sends(lambda node, m: node.statsd(f"{m}:10|h|@0.1"))
def test_histogram_rate_weighs(sent, m):
    wait_total(sent, f"sum:{m}.count{{*}}.as_count()", 10)


@sends(lambda node, m: [node.statsd(*[f"{m}:{n}|d|#k:v" for n in part]) for part in (range(1, 501), range(501, 1001))])
def test_distribution_percentiles(sent, m):
    wait_total(sent, f"count:{m}{{k:v}}.as_count()", 1000)
    spread = {"p50": 500, "p75": 750, "p95": 950, "p99": 990, "max": 1000, "min": 1, "avg": 500.5}
    now = int(time.time())
    for aggregator, value in spread.items():
        # one bucket over both halves, wherever the hour stands
        points = sent.query(f"{aggregator}:{m}{{*}}.rollup({86400 * 7})", start=now - 86400 * 8, end=now + 60)
        assert last(points[-1]) == pytest.approx(value, rel=0.03), aggregator
    assert sent.total(f"sum:{m}{{*}}.as_count()") == pytest.approx(500500)


@sends(lambda node, m: node.statsd(f"{m}.c:1:2:3|c", f"{m}.d:1:2.5::-3|d"))
def test_packed_values(sent, m):
    wait_total(sent, f"sum:{m}.c{{*}}.as_count()", 6)
    wait_total(sent, f"count:{m}.d{{*}}.as_count()", 3)


def test_timestamp_of_the_sender(yagura, name):
    then = int(time.time()) // 10 * 10 - 300
    yagura.statsd(f"{name}.t:7|g|T{then}", f"{name}.u:5|c|T{then}")
    for metric in ("t", "u"):
        series = eventually(lambda: yagura.query(f"avg:{name}.{metric}{{*}}", start=then - 60, end=then + 60))
        assert [p for p in series[0]["pointlist"] if p[0] // 1000 <= then < p[0] // 1000 + series[0]["interval"]]


@sends(lambda node, m: node.statsd(f"{m}:5|g|c:ci-abc|#x:y,z,host:db-9|zz:1|@0.1|card:low|e:it-false,cn-x,pu-y"))
def test_host_tag_and_fields_in_any_order(sent, m):
    wait_last(sent, f"avg:{m}{{host:db-9,x:y}}", 5)
    assert sent.query(f"avg:{m}{{z}}"), "a tag without a key"


def send_bad_lines(node, m):
    bad = ["", "nothing", ":1|c", f"{m}.x|c", f"{m}.x:1", f"{m}.x:1|q", f"{m}.x:NaN|g", f"{m}.x:one|c", f"{m}.x:1|c|@0",
           f"{m}.x:1|c|@2", "_e{5}:x", "_e{5,5}:ab|c", "_sc|x", "_sc|x|9", f"{m}.x:1|c|T0"]
    node.statsd(*bad, f"{m}.ok:1|c")
    for line in bad:
        node.statsd(line)
    node.statsd(b"\xff\xfe\x00" * 100, b"|" * 3000, b":" * 3000, b"_e{99999999999,1}:")
    node.statsd(f"{m}.ok:1|c")


@sends(send_bad_lines)
def test_bad_lines_do_not_hurt_their_neighbours(sent, m):
    wait_total(sent, f"sum:{m}.ok{{*}}.as_count()", 2)
    assert sent.query(f"sum:{m}.x{{*}}") == []


def send_big(node, m):
    lines = [f"{m}:1|c|#n:{n:04d},pad:{'p' * 15}" for n in range(130)]
    assert 6000 < len("\n".join(lines)) < 8192
    node.statsd(*lines)


@sends(send_big)
def test_datagram_near_8_kib(sent, m):
    wait_total(sent, f"sum:{m}{{*}}.as_count()", 130)


@sends(lambda node, m: node.statsd(f"{m}.we-ird/na me:1|c|#Team:ShOp,env:E2E"))
def test_names_and_tags_are_normalised(sent, m):
    wait_total(sent, f"sum:{m}.we_ird_na_me{{team:shop,env:e2e}}.as_count()", 1)


def send_recorded(node, _):
    for case in ("hotshots", "datadogpy", "crafted_grammar", "crafted_events_checks"):
        node.statsd(decode.load_case(GOLDEN / "dogstatsd" / case)[3])


@sends(send_recorded)
def test_recorded_datagrams_of_hot_shots_and_datadogpy(sent):
    wait_total(sent, "sum:shop.orders{currency:eur}.as_count()", 1)
    assert sent.total("sum:shop.orders.sampled{a:b}.as_count()") == 3
    wait_last(sent, "avg:app.temperature{service:shop-api}", -3.5)
    wait_last(sent, "avg:shop.queue.depth{region:eu}", 17.5)


def send_by_http(node, _):
    method, target, headers, body = decode.load_case(GOLDEN / "dogstatsd_http" / "ddtrace_js_runtime_metrics")
    res = node.agent_call(method, target, body, headers)
    assert 200 <= res.status < 300, res


@sends(send_by_http)
def test_by_http_proxy(sent):
    eventually(lambda: sent.query("avg:runtime.node.mem.heap_total{service:shop-api}"), 30)


@sends(lambda node, m: node.statsd("datadog.dogstatsd.client.metrics:12|c|#client:nodejs", f"{m}.mark:1|c"))
def test_clients_own_telemetry_stays_out(sent, m):
    wait_total(sent, f"sum:{m}.mark{{*}}.as_count()", 1)
    listed = sent.get("/api/v1/metrics", query={"from": int(time.time()) - 3600}).json["metrics"]
    assert f"{m}.mark" in listed
    assert not [x for x in listed if x.startswith("datadog.dogstatsd.client.")]


@sends(lambda node, m: node.statsd("_e{5,9}:title|line\ntext|t:error|#k:v", f"{m}:1|c", "_sc|svc.up|1|#a:b|m:slow", f"{m}:1|c"))
def test_event_and_check_are_accepted_beside_metrics(sent, m):
    wait_total(sent, f"sum:{m}{{*}}.as_count()", 2)
