# SPDX-License-Identifier: Apache-2.0
"""Monitors: the handbook's first alert, messages exactly once, states, and the management calls around them.

The server is told to evaluate every second (YAGURA_MONITOR_INTERVAL_MS) instead of every minute, so that a test takes
seconds; everything else is as users have it.
"""
import json
import re
import threading
import time

import pytest
from monitors import FAST, HANDBOOK, Lambdas, gauge, make_monitor, make_webhook, state, wait_state
from receiver import Receiver
from server import eventually

@pytest.fixture
def hook():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def node(make_yagura):
    return make_yagura(env=FAST)


def kinds(hook):
    return [body["title"].split("]")[0].strip("[").split(" on ")[0].lower() for body in hook.got]


# ---------------------------------------------------------------- the path
def test_the_handbooks_query_goes_ok_alert_ok_with_one_message_per_change(node, hook):
    made = make_webhook(node, hook)
    assert made["encode_as"] == "json" and made["custom_headers"] is None and "$EVENT_MSG" in made["payload"]
    lambdas = Lambdas(node)
    lambdas.add(errors=1, invocations=100)
    ident = make_monitor(node)["id"]
    wait_state(node, ident, "OK")
    assert hook.quiet_for(2.5) == 0, "a first OK tells nobody"
    lambdas.add(errors=30, invocations=100)
    wait_state(node, ident, "Alert")
    eventually(lambda: len(hook.got) == 1, what="the alert's message")
    assert hook.quiet_for(3) == 0, "one message per change"
    lambdas.add(errors=0, invocations=5000)
    wait_state(node, ident, "OK")
    eventually(lambda: len(hook.got) == 2, what="the recovery's message")
    assert hook.quiet_for(3) == 0
    alert, fine = hook.got
    assert "[Triggered" in alert["title"] and "[Recovered" in fine["title"]
    assert "のエラー率が5%を超えました" in alert["body"]
    assert "fine again" not in alert["body"]
    value, threshold = re.search(r"value ([0-9.e-]+) over ([0-9.]+)", alert["body"]).groups()
    # the two series may begin a bucket apart, then one bucket of the mean holds only the first
    assert float(value) == pytest.approx(0.155, rel=0.05) and float(threshold) == 0.05
    assert "fine again" in fine["body"] and "over 0.05" not in fine["body"]
    assert alert["id"] != fine["id"]


def test_evaluated_value_is_shown(node):
    lambdas = Lambdas(node)
    lambdas.add(errors=30, invocations=100)
    ident = make_monitor(node)["id"]
    wait_state(node, ident, "Alert")
    got = node.get(f"/api/yagura/v1/monitors/{ident}/state", query={"from": "now-1h", "to": "now+1m"})
    assert got.status == 200, got
    doc = got.json
    assert (doc["overall_state"], doc["comparator"], doc["window_s"]) == ("Alert", ">", 300)
    assert doc["thresholds"]["critical"] == 0.05
    assert doc["groups"][0]["group"] == "*" and doc["groups"][0]["value"] == pytest.approx(0.3)
    assert doc["transitions"][0]["to"] == "Alert"
    assert "A" in doc["evaluations"]["series"][0]["states"]


def test_message_is_sent_once_over_restarts(node, hook):
    make_webhook(node, hook)
    lambdas = Lambdas(node)
    lambdas.add(errors=30, invocations=100)
    ident = make_monitor(node)["id"]
    eventually(lambda: len(hook.got) == 1)
    node.restart()
    assert hook.quiet_for(3) == 0, "the alert goes on, nobody is told again"
    assert state(node, ident) == "Alert"
    node.kill9()
    node.start()
    assert hook.quiet_for(3) == 0
    lambdas.add(errors=0, invocations=5000)
    wait_state(node, ident, "OK")
    eventually(lambda: len(hook.got) == 2)
    assert hook.quiet_for(2) == 0


def test_receiver_down_is_tried_again_under_the_same_id(node, hook):
    make_webhook(node, hook)
    Lambdas(node).add(errors=30, invocations=100)
    hook.status = 503
    ident = make_monitor(node)["id"]
    wait_state(node, ident, "Alert")
    eventually(lambda: len(hook.tries) >= 2, 40, what="a second try after 503")
    hook.status = 200
    eventually(lambda: len(hook.got) == 1, 40, what="delivered when well again")
    assert len({t["id"] for t in hook.tries}) == 1, "every try under the same id"
    assert hook.quiet_for(3) == 0


def test_receiver_away_while_the_server_restarts(node, hook):
    make_webhook(node, hook)
    Lambdas(node).add(errors=30, invocations=100)
    hook.down()
    ident = make_monitor(node)["id"]
    wait_state(node, ident, "Alert")
    time.sleep(1)
    node.kill9()
    hook.up()
    node.start()
    eventually(lambda: len(hook.got) == 1, 60, what="the message of before the crash")
    assert hook.quiet_for(3) == 0


def test_kill_9_between_change_and_message(node, hook):
    """Whenever the crash comes: the change is told at least once, and twice only under the same id."""
    make_webhook(node, hook)
    lambdas = Lambdas(node)
    ident = make_monitor(node)["id"]
    for round_number in range(3):
        lambdas.add(errors=100 ** (round_number + 1), invocations=100)
        time.sleep(0.4 + 0.4 * round_number)
        node.kill9()
        node.start()
        wait_state(node, ident, "Alert")
        eventually(lambda: hook.got and "[Triggered" in hook.got[-1]["title"], 40)
        lambdas.add(errors=0, invocations=100 ** (round_number + 2))
        wait_state(node, ident, "OK")
        eventually(lambda: "[Recovered" in hook.got[-1]["title"], 40)
    time.sleep(2)
    by_id = {}
    for body in hook.got:
        by_id.setdefault(body["id"], set()).add(json.dumps(body, sort_keys=True))
    assert all(len(same) == 1 for same in by_id.values()), "a repeated delivery is the same message"
    titles = [next(iter(b)) for b in by_id.values()]
    assert len(titles) == 6, [json.loads(t)["title"] for t in titles]


def test_refusal_for_good_is_not_repeated(node, hook):
    make_webhook(node, hook)
    Lambdas(node).add(errors=30, invocations=100)
    hook.status = 400
    ident = make_monitor(node)["id"]
    wait_state(node, ident, "Alert")
    eventually(lambda: len(hook.tries) == 1)
    assert hook.quiet_for(6) == 0, "4xx is no reason to try again"
    message = node.get(f"/api/yagura/v1/monitors/{ident}/state").json["transitions"][0]["messages"][0]
    assert message["state"] == "failed" and "400" in str(message["error"])


def test_slack_channel(node, hook):
    res = node.post("/api/v1/integration/slack", {"service_hooks": [{"account": "team", "url": hook.url}]})
    assert res.status == 204, res
    res = node.post("/api/v1/integration/slack/configuration/accounts/team/channels", {"name": "#ops-alerts"})
    assert res.status == 201, res
    assert res.json["name"] == "#ops-alerts" and res.json["display"]["message"] is True
    assert res.json["display"]["mute_buttons"] is False
    listed = node.get("/api/v1/integration/slack/configuration/accounts/team/channels").json
    assert [c["name"] for c in listed] == ["#ops-alerts"]
    Lambdas(node).add(errors=30, invocations=100)
    make_monitor(node, message="rate high @slack-ops-alerts")
    eventually(lambda: len(hook.got) == 1)
    attachment = hook.got[0]["attachments"][0]
    assert attachment["color"] == "#e01e5a" and "[Triggered" in attachment["title"] and "rate high" in attachment["text"]
    assert hook.quiet_for(2.5) == 0


def test_custom_payload_headers_and_variables(node, hook):
    make_webhook(node, hook, payload='{"q":"$ALERT_QUERY","t":"$ALERT_TRANSITION","i":"$ALERT_ID","p":"$ALERT_PRIORITY","k":"$TOKEN_X"}',
                 custom_headers='{"X-Team":"shop"}')
    res = node.post("/api/v1/integration/webhooks/configuration/custom-variables",
                    {"name": "TOKEN_X", "value": "va\"lue", "is_secret": True})
    assert res.status == 201 and "value" not in res.json, res
    Lambdas(node).add(errors=30, invocations=100)
    ident = make_monitor(node, priority=2)["id"]
    eventually(lambda: hook.got)
    assert hook.got[0] == {"q": HANDBOOK, "t": "Triggered", "i": str(ident), "p": "P2", "k": 'va"lue'}
    assert hook.headers[0].get("X-Team") == "shop"


# ---------------------------------------------------------------- groups, warnings, recovery, No Data
def test_groups_alert_on_their_own(node, hook):
    make_webhook(node, hook)
    for host, value in (("a", 95), ("b", 50), ("c", 96)):
        gauge(node, "load", value, [f"host:{host}"])
    made = make_monitor(node, "avg(last_5m):avg:load{*} by {host} > 90", message="host {{host.name}} @webhook-ops",
                        options={"new_group_delay": 0, "thresholds": {"critical": 90}})
    assert made["multi"] is True
    eventually(lambda: len(hook.got) == 2)
    assert hook.quiet_for(2.5) == 0
    assert {body["body"].split()[1] for body in hook.got} == {"a", "c"}
    assert all("host:" in body["title"] for body in hook.got)
    got = node.get(f"/api/v1/monitor/{made['id']}", query={"group_states": "all"}).json
    assert {g: s["status"] for g, s in got["state"]["groups"].items()} == {"host:a": "Alert", "host:b": "OK", "host:c": "Alert"}
    listed = node.get("/api/v1/monitor", query={"group_states": "alert"}).json
    assert made["id"] in [m["id"] for m in listed]


def test_warning_and_recovery_thresholds(node, hook):
    """The sum of several series steps up and down; each step is a new series over the whole window."""
    make_webhook(node, hook)
    options = {"thresholds": {"critical": 90, "warning": 70, "critical_recovery": 80, "warning_recovery": 60}}
    ident, before = None, 0
    for value, wanted in [(50, "OK"), (75, "Warn"), (95, "Alert"), (85, "Alert"), (78, "Warn"), (65, "Warn"), (55, "OK")]:
        gauge(node, "temp", value - before, [f"step:{value}"], range(0, 300, 10))
        before = value
        if ident is None:
            ident = make_monitor(node, "avg(last_1m):sum:temp{*} > 90", options=options, message="{{value}} @webhook-ops")["id"]
        wait_state(node, ident, wanted)
        time.sleep(1.5)
        assert state(node, ident) == wanted, value
    eventually(lambda: len(hook.got) == 4)
    assert hook.quiet_for(2) == 0
    assert [b["title"].split("]")[0].strip("[") for b in hook.got] == ["Warn", "Triggered", "Warn", "Recovered"]


def test_new_monitor_without_data_says_no_data_and_tells_nobody(node, hook):
    make_webhook(node, hook)
    made = make_monitor(node, "avg(last_5m):avg:never.seen{*} > 10")
    assert made["overall_state"] == "No Data" and made["overall_state_modified"] is None
    assert hook.quiet_for(3) == 0
    assert state(node, made["id"]) == "No Data"


def test_evaluation_delay_moves_the_window(node):
    gauge(node, "late", 100, back=range(10, 50, 10))
    ident = make_monitor(node, "avg(last_1m):avg:late{*} > 10", options={"evaluation_delay": 300, "thresholds": {"critical": 10}})["id"]
    time.sleep(3)
    assert state(node, ident) == "No Data"
    gauge(node, "late", 100, back=range(310, 350, 10))
    wait_state(node, ident, "Alert")


def test_log_alert_over_groups(node, hook):
    make_webhook(node, hook)
    for service, errors in (("web", 5), ("api", 1), ("db", 9)):
        node.send_logs([{"message": "boom", "service": service, "status": "error"} for _ in range(errors)])
    ident = make_monitor(node, 'logs("status:error").index("*").rollup("count").by("service").last("5m") > 2', "log alert",
                         message="{{service.name}} {{value}} @webhook-ops", options={"new_group_delay": 0, "thresholds": {"critical": 2}})["id"]
    eventually(lambda: len(hook.got) == 2)
    assert {tuple(b["body"].split()[:2]) for b in hook.got} in ({("web", "5"), ("db", "9")}, {("web", "5.0"), ("db", "9.0")})
    groups = node.get(f"/api/v1/monitor/{ident}", query={"group_states": "all"}).json["state"]["groups"]
    assert {g: s["status"] for g, s in groups.items()} == {"service:web": "Alert", "service:api": "OK", "service:db": "Alert"}
    node.send_logs([{"message": "boom", "service": "api", "status": "error"} for _ in range(3)])
    eventually(lambda: len(hook.got) == 3)
    assert hook.quiet_for(2.5) == 0


def test_data_that_comes_while_evaluating_is_not_lost(node, hook):
    """Steady traffic while several monitors run; each of them alerts exactly once."""
    make_webhook(node, hook)
    stop = threading.Event()

    def traffic():
        while not stop.is_set():
            gauge(node, "busy", 100, back=[0])
            stop.wait(0.1)
    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        for n in range(5):
            make_monitor(node, f"avg(last_1m):avg:busy{{*}} > {10 + n}", message=f"m{n} @webhook-ops")
        eventually(lambda: len(hook.got) == 5)
        assert hook.quiet_for(4) == 0
    finally:
        stop.set()
        thread.join()


# ---------------------------------------------------------------- management
def test_create_read_update_delete_list(yagura, name):
    sent = {"name": name, "type": "query alert", "query": "  avg(last_5m):avg:system.load.1{*} by {host} > 2\n", "message": " hello \n",
            "tags": ["team:a", "env:prod"], "priority": 3, "options": {"thresholds": {"critical": 2, "warning": 1}}}
    res = yagura.post("/api/v1/monitor", sent)
    assert res.status == 200, res
    made = res.json
    assert made["query"] == "avg(last_5m):avg:system.load.1{*} by {host} > 2" and made["message"] == "hello"
    assert made["tags"] == ["team:a", "env:prod"] and made["priority"] == 3 and made["multi"] is True
    options = made["options"]
    assert options["thresholds"] == {"critical": 2.0, "warning": 1.0}
    assert '"critical":2.0' in res.text.replace(" ", ""), "thresholds come back as floats"
    assert (options["notify_audit"], options["notify_no_data"], options["new_host_delay"], options["include_tags"],
            options["silenced"]) == (False, False, 300, True, {})
    assert made["created_at"] > 1.6e12 and made["created"] == made["modified"] and made["deleted"] is None
    assert made["draft_status"] == "published" and made["restricted_roles"] is None and made["assets"] == []
    assert {"handle", "email", "name", "id"} <= set(made["creator"])
    ident = made["id"]
    read = yagura.get(f"/api/v1/monitor/{ident}").json
    assert {k: read[k] for k in ("id", "query", "options", "tags")} == {k: made[k] for k in ("id", "query", "options", "tags")}
    res = yagura.call("PUT", f"/api/v1/monitor/{ident}", {"name": name + "2", "options": {"thresholds": {"critical": 2}, "evaluation_delay": None}})
    assert res.status == 200, res
    changed = res.json
    assert changed["name"] == name + "2" and changed["message"] == "hello" and changed["priority"] == 3
    assert changed["options"]["thresholds"] == {"critical": 2.0} and changed["options"]["evaluation_delay"] is None
    listed = yagura.get("/api/v1/monitor", query={"name": name}).json
    assert [m["id"] for m in listed] == [ident]
    assert [m["id"] for m in yagura.get("/api/v1/monitor", query={"monitor_tags": "team:a", "page": 0, "page_size": 100}).json] == [ident]
    res = yagura.call("DELETE", f"/api/v1/monitor/{ident}")
    assert res.status == 200 and res.json == {"deleted_monitor_id": ident}, res
    for method in ("GET", "PUT", "DELETE"):
        res = yagura.call(method, f"/api/v1/monitor/{ident}", {} if method == "PUT" else None)
        assert res.status == 404 and res.json == {"errors": ["Monitor not found"]}, (method, res)


def test_name_is_made_when_missing(yagura):
    res = yagura.post("/api/v1/monitor", {"type": "metric alert", "query": "avg(last_1h):sum:system.net.bytes_rcvd{host:host0} > 100"})
    assert res.status == 200, res
    assert res.json["name"] == "**system.net.bytes_rcvd** over **host:host0** was **> 100.0** on average during the **last 1h**."
    assert res.json["message"] == "" and res.json["type"] == "metric alert"
    yagura.call("DELETE", f"/api/v1/monitor/{res.json['id']}")


GOOD = [
    ("query alert", "avg(last_5m):sum:system.net.bytes_rcvd{host:host0} > 100"),
    ("query alert", "avg(last_1h):avg:aws.ec2.cpu{environment:foo,host:foo} by {host} > 2.5\n"),
    ("metric alert", "avg(last_5m):max:system.load.1{*} by {host} > 100"),
    ("query alert", HANDBOOK),
    ("query alert", "sum(last_5m):sum:a.errors{*}.as_count() / sum:a.hits{*}.as_count() > 0.1"),
    ("query alert", "avg(last_1d):avg:x{*} >= 1"), ("query alert", "min(last_10m):avg:x{*} < -1.5e3"),
    ("log alert", 'logs("service:foo AND type:error").index("main").rollup("count").by("source").last("5m") > 2'),
    ("log alert", "logs('*').index('main').rollup('count').last('5m') >= 10000"),
    ("log alert", 'logs("a \\"quoted phrase\\"").index("*").rollup("avg", "@duration").by("service,host").last("2h") > 2'),
]


@pytest.mark.parametrize("kind, query", GOOD)
def test_validate_good(yagura, kind, query):
    res = yagura.post("/api/v1/monitor/validate", {"name": "n", "type": kind, "query": query, "message": "m"})
    assert res.status == 200 and res.json == {}, res


BAD = [
    ({"type": "log alert", "query": "query"}, "The value provided for parameter 'query' is invalid: invalid operator specified: "),
    ({"type": "metric alert", "query": "THIS IS A BAD QUERY"}, "The value provided for parameter 'query' is invalid"),
    ({"type": "query alert", "query": 'logs("*").index("*").rollup("count").last("5m") > 2'}, "The value provided for parameter 'query' is invalid"),
    ({"type": "query alert", "query": "avg(last_5m):avg:x{*} > 200", "options": {"thresholds": {"critical": 90}}},
     "Alert threshold (90.0) does not match that used in the query (200.0)."),
    ({"type": "query alert", "query": "avg(last_5m):avg:x{*} > 200", "options": {"thresholds": {"warning": 90}}}, "Alert status is required."),
    ({"type": "query alert", "query": "avg(last_5m):avg:x{*} > 2", "options": {"thresholds": {"critical": "two"}}}, "Non-numeric threshold value."),
    *[({"type": "query alert", "query": q}, None) for q in (
        "avg(last_0m):avg:x{*} > 1", "avg(last_5m)avg:x{*} > 1", "avg(last_5m):avg:x{*}", "median(last_5m):avg:x{*} > 1",
        "avg(last_5m):avg:x > 1", "avg(last_5m):avg:x{*} > ", "avg(last_5m):avg:x{*} ~ 1")],
    ({"type": "query alert", "query": "avg(last_5m):avg:x{*} > 2", "options": {"thresholds": {"critical": 2, "warning": 3}}}, None),
    ({"type": "query alert", "query": "avg(last_5m):avg:x{*} > 2", "options": {"thresholds": {"critical": 2, "critical_recovery": 3}}}, None),
    ({"type": "query alert", "query": "avg(last_5m):avg:x{*} > 2", "options": {"thresholds": {"critical": 2}, "evaluation_delay": -1}}, None),
    ({"type": "no such alert", "query": "avg(last_5m):avg:x{*} > 2"}, None),
    ({"type": "log alert", "query": 'logs("(").index("*").rollup("count").last("5m") > 2'}, None),
]


@pytest.mark.parametrize("body, text", BAD, ids=lambda v: str(v)[:60])
def test_validate_and_create_refuse_alike(yagura, body, text):
    for path in ("/api/v1/monitor/validate", "/api/v1/monitor"):
        res = yagura.post(path, {"name": "n", "message": "m", **body})
        assert res.status == 400, (path, res)
        assert len(res.json["errors"]) >= 1
        if text is not None:
            assert res.json == {"errors": [text]}, path


def test_bad_group_states(yagura):
    res = yagura.get("/api/v1/monitor", query={"group_states": "notagroupstate"})
    assert res.status == 400 and res.json == {"errors": ["Invalid group_state filters."]}, res


def test_bad_bodies(yagura):
    for body in (b"{", b"[]", b"", b'{"type":5}'):
        res = yagura.post("/api/v1/monitor", body, headers={"Content-Type": "application/json"})
        assert res.status == 400 and res.json["errors"], (body, res)


def test_webhook_management(yagura, name, hook):
    made = make_webhook(yagura, hook, name)
    path = f"/api/v1/integration/webhooks/configuration/webhooks/{name}"
    assert yagura.get(path).json == made
    res = yagura.call("PUT", path, {"url": hook.url + "2"})
    assert res.status == 200 and res.json["url"].endswith("2") and res.json["name"] == name, res
    assert yagura.call("DELETE", path).status == 200
    res = yagura.get(path)
    assert res.status == 404 and "Webhook does not exist" in res.text, res


def test_monitors_survive_a_restart(node):
    made = make_monitor(node)
    node.restart()
    again = node.get(f"/api/v1/monitor/{made['id']}").json
    assert {k: again[k] for k in ("name", "query", "message", "options", "tags", "created")} == {
        k: made[k] for k in ("name", "query", "message", "options", "tags", "created")}
