# SPDX-License-Identifier: Apache-2.0
"""The page that the binary carries, over data that went through its doors."""
import json
import os
import re
import time

import pytest
from server import ROOT, Factory, eventually, http_request

SERVICE = "shop-api"
MS = 10**6
GOLDEN = ROOT / "web" / "test" / "golden"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A server of its own with a few traces, their logs, metrics and one monitor that alerts."""
    factory = Factory(tmp_path_factory.mktemp("live"))
    node = factory(env={"YAGURA_MONITOR_INTERVAL_MS": "1000"})
    page = http_request(node.api, "GET", "/", headers={"Accept": "text/html"})
    if page.status != 200 or 'id="boot"' not in page.text:
        factory.end()
        pytest.skip("this binary was built without the page (YG_WEB_DIR)")
    fill(node)
    yield node
    factory.end()


def make_trace(number, slow=False):
    """A web request with a handler, ten alike reads and a query; number 3 fails. Ids are fixed, so links are too."""
    now = time.time_ns() - 60 * 10**9 + number * 10**9
    scale = 10 if slow else 1
    trace_id, spans = 0x1000 + number, []

    def add(ident, parent, name, resource, start, duration, service=SERVICE, error=0, **meta):
        spans.append({"service": service, "name": name, "resource": resource, "type": "web" if parent == 0 else "db", "trace_id": trace_id,
                      "span_id": trace_id * 100 + ident, "parent_id": parent and trace_id * 100 + parent, "start": now + start * MS * scale,
                      "duration": duration * MS * scale, "error": error, "meta": {"env": "prod", "version": "7", **meta},
                      "metrics": {"_sampling_priority_v1": 1.0}})

    fails = number == 3
    add(1, 0, "express.request", "GET /orders/:id", 0, 100, error=int(fails), **{"http.status_code": "502" if fails else "200", "http.method": "GET"})
    add(2, 1, "handler", "orders.show", 10, 85)
    for i in range(12):
        add(10 + i, 2, "dynamodb.getItem", "Orders", 12 + i * 3, 2, service="aws.dynamodb", tablename="Orders")
    add(30, 2, "dynamodb.query", "Orders by status", 55, 30, service="aws.dynamodb", error=int(fails),
        **{"db.statement": "SELECT * FROM Orders", **({"error.message": "throttled", "error.type": "ThrottlingException"} if fails else {})})
    return trace_id, spans


def fill(node):
    logs = []
    for number in range(1, 9):
        trace_id, spans = make_trace(number, slow=number == 5)
        res = node.agent_call("PUT", "/v0.3/traces", json.dumps([spans]).encode(), {"Content-Type": "application/json", "X-Datadog-Trace-Count": "1"})
        assert res.status == 200, res
        for at, status, text in ((0, "info", f"order {number} asked"), (90, "error" if number == 3 else "info", f"order {number} answered")):
            logs.append({"message": text, "service": SERVICE, "status": status, "ddtags": "env:prod,version:7", "hostname": "h1",
                         "timestamp": spans[0]["start"] // MS + at, "order": {"number": number},
                         "dd": {"trace_id": str(trace_id), "span_id": str(spans[0]["span_id"])}})
    node.send_logs(logs)
    now = int(time.time()) // 10 * 10
    series = [{"metric": f"shop.{what}", "type": 1, "interval": 10, "tags": ["env:prod", f"service:{SERVICE}"],
               "points": [{"timestamp": now - back, "value": value} for back in range(20, 400, 10)]} for what, value in (("hits", 10), ("errors", 2))]
    res = node.post("/api/v2/series", {"series": series})
    assert res.status == 202, res
    res = node.post("/api/v1/monitor", {
        "name": "error rate of {{service.name}}", "type": "query alert", "message": "too many @webhook-ops", "tags": ["team:shop"],
        "query": "avg(last_5m):default_zero(sum:shop.errors{env:prod} by {service}) / default_zero(sum:shop.hits{env:prod} by {service}) > 0.05",
        "options": {"thresholds": {"critical": 0.05, "warning": 0.02}}})
    assert res.status == 200, res
    ident = res.json["id"]
    eventually(lambda: len(node.search_spans(f"service:{SERVICE}")) == 16, what="spans can be searched")
    eventually(lambda: node.get(f"/api/v1/monitor/{ident}").json["overall_state"] == "Alert", 30, what="the monitor alerts")
    node.monitor = ident


def base(node):
    return f"http://{node.api}"


def golden_block(node):
    """What the server makes of web/test/golden/spans.json, with the time of the first span taken out."""
    spans = json.loads((GOLDEN / "spans.json").read_text())
    base_ns = time.time_ns() // 10**9 * 10**9 - 90 * 10**9
    trace_id = 0xC0FFEE
    for span in spans:
        span.update(trace_id=trace_id, start=span["start"] + base_ns)
    res = node.agent_call("PUT", "/v0.3/traces", json.dumps([spans]).encode(), {"Content-Type": "application/json"})
    assert res.status == 200, res
    res = eventually(lambda: (got := node.get(f"/api/yagura/v1/traces/{trace_id:032x}")).status == 200 and got, what="the trace is there")
    block = bytearray(res.body)
    assert int.from_bytes(block[24:32], "little") == base_ns
    block[24:32] = bytes(8)
    return bytes(block)


def test_trace_block_is_the_one_that_the_page_was_tested_with(live):
    block, kept = golden_block(live), GOLDEN / "trace-block.bin"
    if os.environ.get("YAGURA_WRITE_GOLDEN"):
        kept.write_bytes(block)
    assert block == kept.read_bytes(), "the encoder changed: look at the difference, then run with YAGURA_WRITE_GOLDEN=1"


def test_what_the_page_is_sent_with(live):
    page = http_request(live.api, "GET", "/traces", headers={"Accept": "text/html"})
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "HttpOnly" in page.headers["set-cookie"] and "SameSite=Strict" in page.headers["set-cookie"]
    assert "http://" not in re.sub(r'"public_url":"[^"]*"', "", page.text), "no other host is named"
    boot = json.loads(re.search(r'id="boot">(.*?)</script>', page.text)[1])
    assert boot["session"] is True and "prod" in boot["envs"] and boot["has_data"] is True
    script = re.search(r'src="(/assets/main-[^"]+\.js)"', page.text)[1]
    packed = http_request(live.api, "GET", script, headers={"Accept-Encoding": "gzip"})
    plain = http_request(live.api, "GET", script)
    assert packed.headers["content-encoding"] == "gzip" and len(packed.body) < len(plain.body)
    assert "immutable" in packed.headers["cache-control"]
    again = http_request(live.api, "GET", script, headers={"If-None-Match": packed.headers["etag"]})
    assert again.status == 304
    assert http_request(live.api, "GET", "/assets/no-such-file.js").status == 404


@pytest.mark.parametrize("path", ["/", "/traces", "/traces?viz=spans", "/logs", "/metrics", "/metrics?q=sum:shop.errors%7B*%7D+by+%7Bservice%7D", "/monitors", "/setup"])
@pytest.mark.parametrize("lang,theme,size", [("en", "light", (1440, 900)), ("ja", "dark", (390, 844))])
def test_every_page_over_real_data(visit, live, path, lang, theme, size):
    v = visit(base(live), path, lang=lang, theme=theme, size=size)
    assert v.overflow() <= 0
    assert v.page.locator(".panel-error").count() == 0, v.page.inner_text(".panel-error")
    v.shot(f"live-{re.sub('[^a-z]+', '-', path.split('=')[0])}-{size[0]}-{lang}-{theme}")


def test_home_shows_the_service_and_the_alert(visit, live):
    v = visit(base(live), "/")
    row = v.page.inner_text(f".tbl.fleet tr:has-text('{SERVICE}')")
    assert re.search(r"12|13", row), row  # one of eight requests failed
    assert f"error rate of {SERVICE}" in v.page.inner_text(".eye >> nth=0")


def test_traces_sort_by_duration_and_by_span_count(visit, live):
    v = visit(base(live), f"/traces?q=service:{SERVICE}")
    assert v.page.inner_text(".listbar b") == "8"
    assert v.page.inner_text("#tr-0 .durcell").startswith("1.00 s")
    assert v.page.inner_text("#tr-0 .c-sp").split()[0] == "15"
    v.page.click("button:has-text('Most errors')")
    v.until("location.search.includes('sort=-errors')")
    v.settle()
    assert v.page.inner_text("#tr-0 .c-err").split()[-1] == "2"
    assert v.page.locator(".heatmap rect").count() > 1


def open_failing(v):
    """The trace with the error, by keyboard only."""
    v.key("g", "t")
    v.page.wait_for_selector("#tr-0")
    v.settle()
    v.key("/")
    v.page.keyboard.type(f"service:{SERVICE} @http.status_code:502")
    v.key("Escape", "Enter") if v.page.locator("#query-list .opt[aria-selected=true]").count() else v.key("Enter")
    v.until("document.querySelectorAll('.tbl.traces tbody tr').length === 1")
    v.page.evaluate("document.activeElement.blur()")
    v.key("j", "Enter")
    v.page.wait_for_selector(".srow")


def test_a_trace_by_keyboard_with_its_spans_and_logs(visit, live):
    v = visit(base(live), "/")
    open_failing(v)
    assert "15 spans" in v.page.inner_text(".scopebar")
    assert "×12" in v.page.inner_text(".insights")
    assert v.page.locator(".srow .err").count() == 2
    v.page.wait_for_selector(".lrow")
    assert v.page.locator(".lrow").count() == 2
    assert "order 3 answered" in v.page.inner_text(".dock")
    v.key("Shift+E", "Shift+E", "Enter")
    v.page.wait_for_selector(".side .kv")
    assert "ThrottlingException" in v.page.inner_text(".side")
    assert "SELECT * FROM Orders" in v.page.inner_text(".side")
    v.shot("live-trace-1440-en-light")
    v.page.set_viewport_size({"width": 390, "height": 844})
    v.key("Escape")
    v.page.wait_for_selector(".side", state="detached")
    assert v.overflow() <= 0
    v.shot("live-trace-390-en-light")


def test_a_trace_by_mouse_and_by_the_decimal_id(visit, live):
    v = visit(base(live), f"/traces?q=service:{SERVICE}")
    v.page.click("#tr-2 .c-dur")
    v.page.wait_for_selector(".srow")
    v.page.click(".srow >> nth=0")
    v.page.wait_for_selector(".side .kv")
    w = visit(base(live), f"/trace/{0x1003}")
    w.page.wait_for_selector(".srow")
    assert "15 spans" in w.page.inner_text(".scopebar")


def test_logs_histogram_facets_and_panel(visit, live):
    v = visit(base(live), f"/logs?q=service:{SERVICE}")
    assert v.page.inner_text(".listbar b") == "16"
    assert v.page.locator("tr[id^=log-]").count() == 16
    v.page.click(".fv:has-text('error')")
    v.until("document.querySelectorAll('tr[id^=log-]').length === 1")
    v.page.click("#log-0")
    v.page.wait_for_selector(".side .kv")
    assert "@order.number" in v.page.inner_text(".side")
    v.page.wait_for_selector(".minitrace > div")
    v.page.click(".side a:has-text('Open')")
    v.page.wait_for_selector(".srow")


def test_a_query_with_a_fault_is_said_by_both(visit, live):
    v = visit(base(live), "/logs?q=service:(a+OR", expect_refusals=True)
    v.page.wait_for_selector(".panel-error")
    res = live.post("/api/v2/logs/events/search", {"filter": {"query": "service:(a OR", "from": "now-1h", "to": "now"}})
    assert res.status == 400, res


def test_metric_by_tag_and_formula(visit, live):
    v = visit(base(live), "/metrics?q=sum:shop.errors%7B*%7D+by+%7Bservice%7D.as_count()%0Asum:shop.hits%7B*%7D+by+%7Bservice%7D.as_count()%0A%3Da/b*100&from=now-15m")
    v.page.wait_for_selector(".tbl.mtable tbody tr")
    assert SERVICE in v.page.inner_text(".tbl.mtable tbody")
    assert v.page.inner_text(".tbl.mtable tbody td >> nth=5") == "20.0"
    assert "error rate of" in v.page.inner_text("section:has-text('Used in')")


def test_monitor_with_its_evaluated_value(visit, live):
    v = visit(base(live), "/monitors")
    v.key("j", "Enter")
    v.page.wait_for_selector(".state")
    assert re.search(r"0\.2\d*\s*> 0\.05", v.page.inner_text(".state")), v.page.inner_text(".state")
    v.until("document.querySelector('.tl') !== null")
    assert "OK → Alert" in v.page.inner_text(".tl") or "→ Alert" in v.page.inner_text(".tl")
    v.shot("live-monitor-1440-en-light")


def test_setup_ticks_when_the_first_data_arrives(visit, browser, make_yagura, live):
    node = make_yagura()
    v = visit(base(node), "/setup")
    assert "Waiting for first data" in v.page.inner_text(".wait")
    v.shot("live-setup-waiting")
    res = node.agent_call("PUT", "/v0.3/traces", json.dumps([make_trace(1)[1]]).encode(), {"Content-Type": "application/json"})
    assert res.status == 200, res
    v.until("/×15/.test(document.querySelector('.wr .num').innerText)", timeout_s=10)
    assert "Data arrives" in v.page.inner_text(".stepsx")
