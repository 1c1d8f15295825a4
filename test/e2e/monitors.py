# SPDX-License-Identifier: Apache-2.0
"""What the monitor tests share: the handbook's query, its metrics, webhooks, waiting for a state."""
import time

from server import eventually

FAST = {"YAGURA_MONITOR_INTERVAL_MS": "1000"}
HANDBOOK = ("avg(last_5m):default_zero(sum:aws.lambda.errors{env:prod,service:x}) / "
            "default_zero(sum:aws.lambda.invocations{env:prod,service:x}) > 0.05")
MESSAGE = """{{service.name}} のエラー率が5%を超えました。
{{#is_alert}}value {{value}} over {{threshold}}{{/is_alert}}{{#is_recovery}}fine again{{/is_recovery}}
@webhook-ops"""


def make_webhook(node, hook, name="ops", **more):
    res = node.post("/api/v1/integration/webhooks/configuration/webhooks", {"name": name, "url": hook.url, **more})
    assert res.status == 201, res
    return res.json


def make_monitor(node, query=HANDBOOK, kind="query alert", **more):
    res = node.post("/api/v1/monitor", {"name": "Lambda Error Rate High: {{service.name}}", "type": kind, "query": query,
                                        "message": MESSAGE, "tags": ["env:prod"], **more})
    assert res.status == 200, res
    return res.json


def state(node, ident):
    return node.get(f"/api/v1/monitor/{ident}").json["overall_state"]


def wait_state(node, ident, wanted, timeout_s=30):
    return eventually(lambda: state(node, ident) == wanted, timeout_s, 0.2,
                      f"monitor {wanted}, is {state(node, ident)}; {node.get(f'/api/yagura/v1/monitors/{ident}/state')}")


class Lambdas:
    """Writes the two metrics of the handbook into the last minutes; each call is a new series, so values add up."""

    def __init__(self, node):
        self.node, self.series = node, 0

    def add(self, errors, invocations, tags=("env:prod", "service:x")):
        now = int(time.time()) // 10 * 10
        self.series += 1
        extra = [f"run:{self.series}"]
        rows = []
        for metric, value in (("errors", errors), ("invocations", invocations)):
            rows.append({"metric": f"aws.lambda.{metric}", "type": 1, "interval": 10, "tags": [*tags, *extra],
                         "points": [{"timestamp": now - back, "value": value} for back in range(20, 290, 10)]})
        res = self.node.post("/api/v2/series", {"series": rows})
        assert res.status == 202, res


def gauge(node, metric, value, tags=(), back=range(10, 60, 10)):
    now = int(time.time())
    res = node.post("/api/v2/series", {"series": [{"metric": metric, "type": 3, "tags": list(tags), "points": [
        {"timestamp": now - b, "value": value} for b in back]}]})
    assert res.status == 202, res


class Slow:
    """A server with one monitor that falls silent and one that stays in alert, while the other tests run."""

    def __init__(self, node, hook):
        self.node, self.hook, self.begun = node, hook, time.monotonic()
        make_webhook(node, hook)
        gauge(node, "beat", 1, back=range(25, 55, 5))
        self.silent = make_monitor(node, "avg(last_1m):avg:beat{*} > 10", name="silent", message="{{#is_no_data}}gone{{/is_no_data}} @webhook-ops",
                                   options={"notify_no_data": True, "no_data_timeframe": 2, "thresholds": {"critical": 10}})["id"]
        gauge(node, "stuck", 100, back=range(0, 240, 10))
        self.stuck = make_monitor(node, "avg(last_5m):avg:stuck{*} > 10", name="stuck", message="{{#is_renotify}}still{{/is_renotify}} @webhook-ops",
                                  options={"renotify_interval": 1, "renotify_occurrences": 2, "thresholds": {"critical": 10}})["id"]
        wait_state(node, self.silent, "OK")
        wait_state(node, self.stuck, "Alert")

    def of(self, name):
        return [b for b in self.hook.got if b["title"].endswith(name)]

    def wait(self, check, until_s, what):
        return eventually(check, max(self.begun + until_s - time.monotonic(), 5), 0.5, what)
