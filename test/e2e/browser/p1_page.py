# SPDX-License-Identifier: Apache-2.0
"""The page against the contract of docs/api.md, as the development server answers it."""
import json
import re

import pytest

TRACE = "/trace/65d1a3f000000000a1b2c3d49c42be17"
PAGES = {
    "home": "/", "cells": "/?viz=cells", "traces": "/traces", "trace": TRACE, "logs": "/logs", "metrics": "/metrics", "spans": "/traces?viz=spans",
    "metric": "/metrics?q=sum:aws.lambda.errors%7B*%7D+by+%7Bservice%7D%0Asum:aws.lambda.invocations%7B*%7D+by+%7Bservice%7D%0A%3Da/b",
    "monitors": "/monitors", "monitor": "/monitors/12", "setup": "/setup", "setup-lambda": "/setup/lambda",
}
TITLES = {"home": "Home", "cells": "Home", "traces": "Traces", "trace": "GET /search", "logs": "Logs", "spans": "Traces", "metrics": "Metrics", "metric": "Metrics",
          "monitors": "Monitors", "monitor": "[prod] Lambda error rate high: {{service.name}}", "setup": "Setup", "setup-lambda": "Setup"}


def text_of(v, selector):
    return v.page.inner_text(selector)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_page_fits_every_width(visit, mock, name, lang):
    v = visit(mock, PAGES[name], lang=lang)
    for width, height in ((1440, 900), (768, 1024), (390, 844), (320, 640)):
        v.page.set_viewport_size({"width": width, "height": height})
        v.page.wait_for_timeout(150)
        assert v.overflow() <= 0, f"{width} px: {v.overflow()} px too wide"
        assert "⟨" not in v.page.content().replace("⟨*⟩", ""), "a message is missing"
        assert v.page.locator("h1").count() == 1
        if lang == "en":
            assert v.page.title() == f"{TITLES[name]} · yagura"
        if width in (390, 1440):
            v.shot(f"{name}-{width}-{lang}")


@pytest.mark.parametrize("name", PAGES)
def test_page_in_the_dark(visit, mock, name):
    v = visit(mock, PAGES[name], theme="dark")
    assert v.page.evaluate("document.documentElement.dataset.theme") == "dark"
    v.shot(f"{name}-1440-dark")
    v = visit(mock, PAGES[name], theme="dark", size=(390, 844), lang="ja")
    v.shot(f"{name}-390-dark-ja")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("theme,lang,size", [("light", "en", (1440, 900)), ("dark", "ja", (1440, 900)), ("light", "ja", (390, 844))])
def test_access_rules(visit, mock, name, theme, lang, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    v = visit(mock, PAGES[name], theme=theme, lang=lang, size=size)
    if name == "trace" and size[0] > 1000:
        v.key("j", "Enter")
        v.page.wait_for_selector(".side .kv")
    found = axe.Axe().run(v.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).response["violations"]
    assert not found, json.dumps([(f["id"], [n["html"][:160] for n in f["nodes"][:4]]) for f in found], indent=1)


def test_reload_back_and_forward_keep_the_view(visit, mock):
    v = visit(mock, "/traces?q=service:search-service&sort=-spans&env=prod")
    first = text_of(v, "#tr-0 .c-start")
    url = v.url
    v.page.reload()
    v.settle()
    assert v.url == url and text_of(v, "#tr-0 .c-start") == first
    v.page.click("#tr-3")
    v.page.wait_for_selector(".srow")
    assert v.url.startswith("/trace/") and "env=prod" in v.url and "sort" not in v.url
    v.page.go_back()
    v.page.wait_for_selector("#tr-3.is-cur")
    assert v.url == url
    v.page.go_forward()
    v.page.wait_for_selector(".srow")


def test_a_trace_opens_by_keyboard(visit, mock):
    v = visit(mock, "/")
    v.key("g", "t")
    v.page.wait_for_selector("#tr-0")
    v.settle()
    v.key("j", "j", "k")
    want = v.page.get_attribute("#tr-0 a", "href")
    v.key("Enter")
    v.page.wait_for_selector(".srow")
    assert v.url.split("?")[0] == want.split("?")[0]
    v.key("j", "j", "Enter")
    v.page.wait_for_selector(".side .kv")
    assert "span=" in v.url
    v.key("Escape")
    v.page.wait_for_selector(".side", state="detached")
    assert "span=" not in v.url


def test_a_trace_opens_by_mouse(visit, mock):
    v = visit(mock, "/traces")
    v.page.click("#tr-1 td.c-dur")
    v.page.wait_for_selector(".srow")
    v.page.click(".srow >> nth=1")
    v.page.wait_for_selector(".side .kv")
    v.page.click(".side button[aria-label=Close]")
    v.page.wait_for_selector(".side", state="detached")


def test_single_spans_lead_into_their_trace(visit, mock):
    v = visit(mock, "/traces?q=status:error")
    v.page.click(".listbar button:has-text('Spans') >> nth=0")
    v.until("location.search.includes('viz=spans')")
    v.page.wait_for_selector("#sp-0")
    assert v.page.locator(".tbl.traces tbody tr").count() == v.page.locator(".tbl.traces tbody tr .c-error").count()
    v.key("j", "Enter")
    v.page.wait_for_selector(".side .kv")
    assert "span=" in v.url
    v.page.go_back()
    v.page.wait_for_selector("#sp-0")


def test_trace_shows_gap_group_errors_and_logs(visit, mock):
    v = visit(mock, TRACE)
    v.page.wait_for_selector(".lrow")
    assert v.page.locator(".srow .hatch").count() >= 1
    assert "nothing recorded" in text_of(v, ".gaplb")
    assert v.page.locator(".srow .many").count() == 1
    assert "×137" in text_of(v, ".insights")
    assert v.page.locator(".srow .err").count() == 2
    assert v.page.locator(".srow .lg").count() >= 6
    rows = v.page.locator(".srow").count()
    v.page.click(".srow:has(.many)")
    v.until(f"document.querySelectorAll('.srow').length > {rows}")


def test_trace_keys(visit, mock):
    v = visit(mock, TRACE)
    v.key("Shift+E")
    v.page.wait_for_selector(".srow.is-cur .err, .srow.is-cur .kids.c-error")
    v.key("w", "w")
    assert "w=" in v.url
    v.key("0")
    assert "w=" not in v.url
    v.key("Home", "ArrowLeft")
    v.until("document.querySelectorAll('.srow').length === 1")
    v.key("ArrowRight")
    v.until("document.querySelectorAll('.srow').length > 10")
    v.key("c")
    v.page.wait_for_selector(".srow .cp", state="detached")
    v.key("/")
    v.page.keyboard.type("getItem")
    v.key("Enter")
    assert "hl=getItem" in v.url
    assert v.page.locator(".srow.dim").count() > 5
    v.key("n")
    v.page.wait_for_selector(".srow.is-cur.hit")


def test_trace_link_names_a_span_and_a_service(visit, mock):
    v = visit(mock, TRACE)
    v.page.click(".srow:has-text('dynamodb.query')")
    v.page.wait_for_selector(".side .kv")
    link = v.url
    w = visit(mock, link)
    w.page.wait_for_selector(".side .kv")
    assert "Orders · status-idx" in text_of(w, ".side h2")
    assert "SELECT * FROM Orders" in text_of(w, ".side pre.code")
    w.page.click(".scopebar button.select")
    w.page.click(".choices .opt:has-text('identity')")
    w.page.wait_for_selector(".srow:has-text('of other services')")
    assert "svc=identity" in w.url


def test_a_trace_that_is_not_there(visit, mock):
    v = visit(mock, "/trace/00000000000000000000000000000abc", expect_refusals=True)
    assert "No trace with this id" in text_of(v, "main")


def test_a_hundred_thousand_spans(visit, mock):
    v = visit(mock, "/trace/0000000000000000000000000b16b16b")
    v.page.wait_for_selector(".srow", timeout=20_000)
    assert "100,000" in text_of(v, ".scopebar")
    assert v.page.locator(".srow").count() < 120, "rows outside the view are drawn"
    slow = v.page.evaluate("""async () => {
        const box = document.querySelector('.wfbox'), times = [];
        for (let i = 0; i < 60; i++) {
            const t = performance.now();
            box.scrollTop += 137;
            await new Promise((r) => requestAnimationFrame(() => setTimeout(r, 0)));
            times.push(performance.now() - t);
        }
        return times.sort((a, b) => a - b)[56];
    }""")
    assert slow < 100, f"95 % of the scroll steps take up to {slow:.0f} ms"


def test_query_bar_runs_suggests_and_refuses(visit, mock):
    v = visit(mock, "/traces")
    v.key("/")
    v.page.keyboard.type("service:sea")
    v.page.wait_for_selector("#query-list .opt:has-text('search-service')")
    v.key("ArrowDown", "Enter")
    assert v.page.input_value("#query") == "service:search-service"
    v.key("Enter")
    v.until("location.search.includes('q=service:search-service')")
    v.settle()
    v.page.fill("#query", "service:(a OR ")
    before = v.url
    v.key("Enter")
    assert "value is missing" in text_of(v, "#query-err") or "never closed" in text_of(v, "#query-err")
    assert v.url == before, "a query with a fault was run"
    v.key("Escape", "Escape")
    assert v.page.evaluate("document.activeElement.id") != "query"


def test_enter_while_composing_does_not_run(visit, mock):
    v = visit(mock, "/logs")
    v.page.focus("#query")
    v.page.keyboard.insert_text("サービス")
    v.page.evaluate("""() => document.getElementById('query').dispatchEvent(
        new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, isComposing: true }))""")
    v.page.wait_for_timeout(150)
    assert "q=" not in v.url
    v.page.evaluate("document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent('keydown', "
                    "{ key: 't', bubbles: true, cancelable: true, isComposing: true }))")
    assert v.page.locator(".timebox").count() == 0


def test_facets_edit_the_query(visit, mock):
    v = visit(mock, "/logs")
    total = text_of(v, ".listbar b")
    v.page.click(".fv:has-text('booking-create')")
    v.until("location.search.includes('q=service:booking-create')")
    v.settle()
    assert text_of(v, ".listbar b") != total
    v.page.click(".fv:has-text('warn')", modifiers=["Alt"])
    v.until("location.search.includes('-status:warn')")
    v.page.go_back()
    v.page.go_back()
    v.until("!location.search.includes('q=')")
    v.settle()
    assert text_of(v, ".listbar b") == total


def test_log_panel_filters_and_leads_to_the_trace(visit, mock):
    v = visit(mock, "/logs")
    v.key("j", "j", "Enter")
    v.page.wait_for_selector(".side .kv")
    assert "sel=" in v.url
    v.page.hover(".side .kv > div:has-text('@handler')")
    v.page.click(".side .kv > div:has-text('@handler') .iconbtn")
    v.until("location.search.includes('@handler')")
    v.page.wait_for_selector(".minitrace")
    v.page.click(".side a:has-text('Open')")
    v.page.wait_for_selector(".srow")


def test_histogram_zooms_by_keyboard_and_by_drag(visit, mock):
    v = visit(mock, "/logs")
    v.page.focus(".chart.bars")
    v.key("ArrowLeft", "ArrowLeft", "Enter")
    v.until("/from=[0-9]{13}/.test(location.search)")
    v.page.go_back()
    v.settle()
    box = v.page.locator(".chart.bars").bounding_box()
    v.page.mouse.move(box["x"] + 200, box["y"] + 40)
    v.page.mouse.down()
    v.page.mouse.move(box["x"] + 400, box["y"] + 40, steps=4)
    v.page.mouse.up()
    v.until("/from=[0-9]{13}/.test(location.search)")
    v.settle()
    v.page.focus(".chart.bars")
    v.key("t")
    v.page.wait_for_selector(".chart-table tbody tr")


def test_heat_map_box_narrows_time_and_duration(visit, mock):
    v = visit(mock, "/traces")
    box = v.page.locator(".heatmap").bounding_box()
    v.page.mouse.move(box["x"] + 300, box["y"] + 20)
    v.page.mouse.down()
    v.page.mouse.move(box["x"] + 600, box["y"] + 60, steps=4)
    v.page.mouse.up()
    v.until("/dmin=/.test(location.search) && /from=[0-9]{13}/.test(location.search)")
    v.settle()
    assert "≥" in text_of(v, ".listbar .chip")
    v.page.click(".listbar .chip button")
    v.until("!/dmin=/.test(location.search)")


def test_time_by_keys_and_by_words(visit, mock):
    v = visit(mock, "/logs")
    v.key("[")
    v.until("/from=[0-9]{13}/.test(location.search)")
    v.key("z")
    v.until("!/from=/.test(location.search)")
    v.key("t")
    v.page.wait_for_selector("#time-in:focus")
    v.page.keyboard.type("25 bananas")
    v.key("Enter")
    assert "Not understood" in text_of(v, ".timebox")
    v.page.fill("#time-in", "15m")
    v.key("Enter")
    v.until("location.search.includes('from=now-15m')")
    assert "Past 15 minutes" in text_of(v, ".timepick")
    v.key("g", "x")
    v.page.wait_for_selector(".catalogue, .qlines")
    assert "from=now-15m" in v.url, "the range is carried to the next page"


def test_asking_again_keeps_place_and_selection(visit, mock):
    v = visit(mock, "/logs")
    v.page.wait_for_selector("#log-3")
    v.key("j", "j", "j")
    v.page.wait_for_selector("#log-2.is-cur")
    asked = []
    v.page.on("request", lambda r: asked.append(r.url) if r.url.endswith("/events/search") else None)
    v.key("r")
    v.page.wait_for_timeout(600)
    assert len(asked) == 1
    assert v.page.locator("#log-2.is-cur").count() == 1
    v.key(".")
    v.page.wait_for_selector(".timepick button[aria-pressed=true]")


def test_a_range_that_makes_no_sense_is_said(visit, mock):
    v = visit(mock, "/logs?from=nonsense")
    v.page.wait_for_selector(".toast")
    assert v.page.locator("#log-0").count() == 1


def test_scope_narrows_every_page(visit, mock):
    v = visit(mock, "/traces")
    v.key("v")
    v.page.click(".choices .opt:has-text('staging')")
    v.until("location.search.includes('env=staging')")
    v.settle()
    assert v.page.locator("td.c-env:has-text('prod')").count() == 0
    v.key("g", "h")
    v.page.wait_for_selector(".tbl.fleet")
    assert "env=staging" in v.url


def test_help_lists_the_keys_of_the_page(visit, mock):
    v = visit(mock, TRACE)
    v.key("?")
    sheet = v.page.wait_for_selector(".sheet")
    assert "critical path" in sheet.inner_text()
    v.page.click(".sheet input[type=checkbox]")
    v.key("Escape")
    v.page.wait_for_selector(".sheet", state="detached")
    v.key("j")
    assert v.page.locator(".srow.is-cur").count() == 0, "single keys are off"


def test_language_and_theme_switch(visit, mock):
    v = visit(mock, "/logs")
    v.page.click("[aria-label='Switch language to Japanese']")
    v.page.wait_for_selector("h1:has-text('ログ')")
    assert v.page.evaluate("document.documentElement.lang") == "ja"
    before = v.page.evaluate("document.documentElement.dataset.theme")
    v.key("Shift+D")
    assert v.page.evaluate("document.documentElement.dataset.theme") != before
    v.page.reload()
    v.settle()
    assert v.page.evaluate("document.documentElement.dataset.theme") != before, "the choice is remembered"


def test_metrics_from_the_catalogue_to_a_formula(visit, mock):
    v = visit(mock, "/metrics")
    v.page.click(".catalogue button:has-text('aws.lambda.errors')")
    v.page.wait_for_selector(".tbl.mtable tbody tr")
    v.page.click(".tagrow:has-text('service') > .btn")
    v.until("document.querySelectorAll('.tbl.mtable tbody tr').length === 5")
    v.page.click("button:has-text('Add formula')")
    v.page.wait_for_selector("#query-1")
    v.page.fill("#query-1", "a * 100")
    v.page.focus("#query-1")
    v.key("Enter")
    v.until("location.search.includes('%3Da+*+100')")
    v.settle()
    v.page.click("button[aria-label^='Compare with']")
    v.page.click(".choices .opt:has-text('1 day')")
    v.until("location.search.includes('cmp=-1d')")


def test_monitor_list_and_one(visit, mock):
    v = visit(mock, "/monitors")
    v.page.click("button:has-text('Warn')")
    v.until("document.querySelectorAll('.tbl.mons tbody tr').length === 1")
    v.key("j", "Enter")
    v.page.wait_for_selector(".state")
    v = visit(mock, "/monitors/12")
    assert re.search(r"0\.084\s*> 0\.05", text_of(v, ".state"))
    assert "@slack-search" in text_of(v, ".tl")
    v.page.click(".gr button:has-text('orders-api')")
    v.page.wait_for_selector(".gr.sel")
    v.page.click("button:has-text('Source data')")
    v.until("location.search.includes('tab=source')")


def test_setup_ticks_by_itself(visit, mock):
    v = visit(mock, "/setup")
    first = text_of(v, ".wr:has-text('Traces') .num")
    v.until(f"document.querySelector('.wr .num').innerText !== {json.dumps(first)}", timeout_s=8)
    assert "DD_TRACE_AGENT_URL=http://127.0.0.1:8126" in text_of(v, ".setupcode >> nth=1")


def test_a_server_that_never_received_anything(visit, mock_empty):
    v = visit(mock_empty, "/")
    assert "Nothing has arrived yet" in text_of(v, "main")
    v.shot("empty-home")
    for path, said in (("/traces", "No traces in this window"), ("/logs", "No logs in this window"), ("/metrics", "No metrics in this window"),
                       ("/monitors", "No monitors yet")):
        v = visit(mock_empty, path)
        assert said in text_of(v, "main"), path
    v = visit(mock_empty, "/setup")
    assert "0f1e2d3c4b5a69788796a5b4c3d28f2c" in text_of(v, ".stepsx")
    assert "Waiting for first data" in text_of(v, ".wait")


@pytest.mark.parametrize("name", PAGES)
def test_a_refusal_is_said_in_its_panel(visit, mock_failing, name):
    v = visit(mock_failing, PAGES[name], expect_refusals=True)
    v.page.wait_for_selector(".panel-error, .setup .waith .c-warn")
    assert v.page.locator("nav.nav a").count() >= 6, "the frame stays"
    if name != "setup":
        v.shot(f"refused-{name}")


def test_links_of_other_shapes_arrive(visit, mock):
    v = visit(mock, "/apm/traces?query=service:search-service&from_ts=1770000000000&to_ts=1770003600000")
    assert v.url == "/traces?from=1770000000000&q=service:search-service&to=1770003600000"
    v = visit(mock, "/no/such/page")
    assert "There is no page at this address" in text_of(v, "main")
