# SPDX-License-Identifier: Apache-2.0
"""The query classes: the same question to every server, its answer in one comparable form, and the goal.

An answer is a number, a dict (group → number), or a set of keys. `tolerance` is the relative error that sketches
may have; 0 asks for equality. A class whose answers cannot be compared says why in `unchecked`.
"""
import dataclasses
import itertools
import urllib.parse
from typing import Callable, Optional

LOW = ("logger status hostname service ddsource env functionname version team region account_id runtime architecture memorysize "
       "dd_extension_version http.method db.operation db.table peer.service error.kind cold_start").split()
LOG_NUMBERS = ("http.status_code http.duration_ms amount duration_ms billed_duration_ms max_memory_mb db.duration_ms db.capacity "
               "attempt error.line init_duration_ms").split()
LOG_TEXTS = "message http.path network.client.ip dd.trace_id dd.span_id user_id order_id".split()
SPAN_LOW = ("service name resource type env version language runtime-id _dd.origin _dd.p.dm team region functionname account_id host "
            "datacenter dd_extension_version http.method span.kind apiid stage peer.service http.useragent http.status_code "
            "function_arn architecture runtime memorysize cold_start function_trigger.event_source datadog_lambda dd_trace http.route "
            "component out.host _dd.base_service aws.service aws.operation aws.region aws.agent aws.partition tablename "
            "_dd.peer.service.source queuename sender_id operation_name error.type error.message bucketname topicname").split()
SPAN_TEXTS = "trace_id http.url user_id aws.response.request_id receipt_handle _dd.p.tid".split()
SPAN_NUMBERS = "process_id _sampling_priority_v1 _dd.top_level _dd.agent_psr".split()


def clickhouse_tables():
    def column(name, kind):
        return f"`{name}` {kind} CODEC(ZSTD(1))"
    logs = ["`timestamp` Int64 CODEC(Delta, ZSTD(1))", column("request_id", "UUID")]
    logs += [column(n, "LowCardinality(String)") for n in LOW] + [column(n, "Nullable(Float64)") for n in LOG_NUMBERS]
    logs += [column(n, "String") for n in LOG_TEXTS]
    logs += ["INDEX i_request request_id TYPE bloom_filter(0.01) GRANULARITY 1",
             "INDEX i_trace `dd.trace_id` TYPE bloom_filter(0.01) GRANULARITY 1",
             "INDEX i_words message TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1"]
    spans = ["`start` Int64 CODEC(Delta, ZSTD(1))", column("span_id", "UInt64"), column("parent_id", "UInt64"),
             column("duration", "Int64"), column("error", "UInt8"), column("request_id", "UUID")]
    spans += [column(n, "LowCardinality(String)") for n in SPAN_LOW] + [column(n, "String") for n in SPAN_TEXTS]
    spans += [column(n, "Nullable(Float64)") for n in SPAN_NUMBERS]
    spans += ["INDEX i_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1"]
    return {"logs": f"CREATE TABLE bench.logs ({', '.join(logs)}) ENGINE = MergeTree ORDER BY (service, functionname, timestamp)",
            "spans": f"CREATE TABLE bench.spans ({', '.join(spans)}) ENGINE = MergeTree ORDER BY (service, name, start)"}


@dataclasses.dataclass
class Query:
    name: str
    yagura: Callable
    victorialogs: Optional[Callable] = None
    clickhouse: Optional[Callable] = None
    victoriametrics: Optional[Callable] = None
    tolerance: float = 0.0
    goal: float = 1.0       # share of the better peer's CPU
    unchecked: str = ""


@dataclasses.dataclass
class Window:
    """Where the rows lie, and values that are known to be in them."""
    start_ms: int
    end_ms: int
    request_id: str = ""
    log_trace_id: str = ""
    span_trace_id: str = ""
    user: str = ""


# ---------------------------------------------------------------- yagura
_asked = itertools.count()


def unlike(y, query):
    """The same question with a part that no question had before: what yagura remembers of earlier answers is of no use."""
    return f"({query}) -@unused.n{next(_asked)}:x" if y.forget else query


def search(y, track, query, w, limit=100, sort="-timestamp", start_ms=None):
    body = {"filter": {"query": unlike(y, query), "from": str(start_ms or w.start_ms), "to": str(w.end_ms)}, "sort": sort, "page": {"limit": limit}}
    if track == "spans":
        body = {"data": {"type": "search_request", "attributes": body}}
    return y.json("POST", f"/api/v2/{track}/events/search", body)["data"]


def aggregate(y, track, query, w, compute, group_by=(), start_ms=None):
    body = {"filter": {"query": unlike(y, query), "from": str(start_ms or w.start_ms), "to": str(w.end_ms)}, "compute": [compute],
            "group_by": list(group_by)}
    if track == "spans":
        answer = y.json("POST", "/api/v2/spans/analytics/aggregate", {"data": {"type": "aggregate_request", "attributes": body}})
        return [(tuple(b["attributes"]["by"].values()), b["attributes"]["compute"]["c0"]) for b in answer["data"]]
    answer = y.json("POST", "/api/v2/logs/analytics/aggregate", body)
    return [(tuple(b["by"].values()), b["computes"]["c0"]) for b in answer["data"]["buckets"]]


def facet(name, limit, order=None):
    out = {"facet": name, "limit": limit}
    if order:
        out["sort"] = {"type": "measure", "order": "desc", **order}
    return out


def by(pairs):
    return {k[0] if len(k) == 1 else k: v for k, v in pairs}


COUNT = {"aggregation": "count"}


def y_count(y, w, query, track="logs"):
    got = aggregate(y, track, query, w, COUNT)
    return got[0][1] if got else 0


def y_series(pairs):
    """Timeseries of every group → {(group, ms): value}."""
    out = {}
    for group, points in pairs:
        for p in points:
            out[group + (int(_ms(p["time"])),)] = p["value"]
    return {k: v for k, v in out.items() if v}


def _ms(text):
    import datetime
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


# ---------------------------------------------------------------- VictoriaLogs
def v(l, w, text, limit=None, start_ms=None):
    return l.query(text, (start_ms or w.start_ms) * 1_000_000, w.end_ms * 1_000_000, limit)


def v_number(rows, key):
    return float(rows[0][key]) if rows and rows[0].get(key) not in (None, "") else 0


# ---------------------------------------------------------------- classes
HOUR_MS = 3_600_000


def c_where(w, column="timestamp", unit=1, start_ms=None):
    return f"{column} >= {(start_ms or w.start_ms) * unit} AND {column} < {w.end_ms * unit}"


def last_hour(w):
    return (w.end_ms - HOUR_MS) // 60000 * 60000


def error_times(rows, pick):
    return sorted(int(pick(r)) for r in rows)


def log_queries(w):
    absent = "00000000-1111-4222-8333-444444444444"
    phrase, regex, part = "timed out after 3000 ms", "upstream [a-z]+-(api|worker) timed out after [45]000 ms", "gned in user-0012"
    at = c_where(w)

    def c1(c, sql):
        return float(c.query(sql)[0][0])

    def cd(c, sql):
        return {(r[0] if len(r) == 2 else tuple(r[:-1])): float(r[-1]) for r in c.query(sql) if r[-1] is not None}

    return [
        Query("request id", lambda y: len(search(y, "logs", f"@request_id:{w.request_id}", w)),
              lambda l: len(v(l, w, f'request_id:="{w.request_id}"', 100)),
              lambda c: len(c.query(f"SELECT * FROM bench.logs WHERE request_id='{w.request_id}' AND {at} LIMIT 100"))),
        Query("trace id", lambda y: len(search(y, "logs", f"trace_id:{w.log_trace_id}", w)),
              lambda l: len(v(l, w, f'"dd.trace_id":="{w.log_trace_id}"', 100)),
              lambda c: len(c.query(f"SELECT * FROM bench.logs WHERE `dd.trace_id`='{w.log_trace_id}' AND {at} LIMIT 100"))),
        Query("absent id", lambda y: len(search(y, "logs", f"@request_id:{absent}", w)),
              lambda l: len(v(l, w, f'request_id:="{absent}"', 100)),
              lambda c: len(c.query(f"SELECT * FROM bench.logs WHERE request_id='{absent}' AND {at} LIMIT 100"))),
        Query("phrase, count", lambda y: y_count(y, w, f'"{phrase}"'),
              lambda l: v_number(v(l, w, f'_msg:"{phrase}" | stats count() n'), "n"),
              lambda c: c1(c, f"SELECT count() FROM bench.logs WHERE message LIKE '%{phrase}%' AND {at}")),
        Query("regex, count", lambda y: y_count(y, w, f'message:~"{regex}"'),
              lambda l: v_number(v(l, w, f'_msg:~"{regex}" | stats count() n'), "n"),
              lambda c: c1(c, f"SELECT count() FROM bench.logs WHERE match(message, '{regex}') AND {at}")),
        Query("part of a text, any case", lambda y: y_count(y, w, "message:*" + part.replace(" ", "\\ ") + "*"),
              lambda l: v_number(v(l, w, f'_msg:~"(?i){part}" | stats count() n'), "n"),
              lambda c: c1(c, f"SELECT count() FROM bench.logs WHERE message ILIKE '%{part}%' AND {at}")),
        Query("count by service", lambda y: by(aggregate(y, "logs", "*", w, COUNT, [facet("service", 100)])),
              lambda l: {r["service"]: float(r["n"]) for r in v(l, w, "* | stats by (service) count() n")},
              lambda c: cd(c, f"SELECT service, count() FROM bench.logs WHERE {at} GROUP BY service")),
        Query("status per minute",
              lambda y: y_series(aggregate(y, "logs", "*", w, {**COUNT, "type": "timeseries", "interval": "1m"}, [facet("status", 10)])),
              lambda l: {(r["status"], int(_ms(r["_time"]))): float(r["n"])
                         for r in v(l, w, "* | stats by (_time:1m, status) count() n")},
              lambda c: cd(c, "SELECT status, intDiv(timestamp, 60000) * 60000 m, count() FROM bench.logs "
                              f"WHERE {at} GROUP BY status, m")),
        Query("p95 by function, whole range",
              lambda y: by(aggregate(y, "logs", "*", w, {"aggregation": "pc95", "metric": "@duration_ms"}, [facet("functionname", 500)])),
              lambda l: {r["functionname"]: float(r["p"]) for r in v(l, w, "duration_ms:* | stats by (functionname) quantile(0.95, duration_ms) p")},
              lambda c: cd(c, f"SELECT functionname, quantile(0.95)(duration_ms) FROM bench.logs WHERE {at} GROUP BY functionname"),
              tolerance=0.12),
        Query("p95 per minute, 1 h",
              lambda y: y_series(aggregate(y, "logs", "*", w, {"aggregation": "pc95", "metric": "@duration_ms", "type": "timeseries",
                                                               "interval": "1m"}, start_ms=last_hour(w))),
              lambda l: {(int(_ms(r["_time"])),): float(r["p"]) for r in
                         v(l, w, "duration_ms:* | stats by (_time:1m) quantile(0.95, duration_ms) p", start_ms=last_hour(w))},
              lambda c: {(int(r[0]),): float(r[1]) for r in c.query(
                  "SELECT intDiv(timestamp, 60000) * 60000 m, quantile(0.95)(duration_ms) q FROM bench.logs WHERE "
                  f"{c_where(w, start_ms=last_hour(w))} GROUP BY m") if r[1] is not None}, tolerance=0.12),
        Query("top 20 users by errors",
              lambda y: sorted(by(aggregate(y, "logs", "status:error", w, COUNT, [facet("@user_id", 20, {"aggregation": "count"})])).values()),
              lambda l: sorted(float(r["n"]) for r in v(l, w, 'status:=error user_id:* | stats by (user_id) count() n | sort by (n desc) limit 20')),
              lambda c: sorted(float(r[1]) for r in c.query(
                  f"SELECT user_id, count() n FROM bench.logs WHERE status='error' AND user_id != '' AND {at} GROUP BY user_id ORDER BY n DESC LIMIT 20"))),
        Query("distinct users",
              lambda y: aggregate(y, "logs", "*", w, {"aggregation": "cardinality", "metric": "@user_id"})[0][1],
              lambda l: v_number(v(l, w, "user_id:* | stats count_uniq(user_id) n"), "n"),
              lambda c: c1(c, f"SELECT uniq(user_id) FROM bench.logs WHERE user_id != '' AND {at}"), tolerance=0.04),
        Query("last 100 errors",
              lambda y: error_times(search(y, "logs", "status:error", w), lambda r: _ms(r["attributes"]["timestamp"]) + 0.5),
              lambda l: error_times(v(l, w, "status:=error | sort by (_time) desc limit 100"), lambda r: _ms(r["_time"]) + 0.5),
              lambda c: error_times(c.query(f"SELECT timestamp, * FROM bench.logs WHERE status='error' AND {at} ORDER BY timestamp DESC LIMIT 100"),
                                    lambda r: r[0])),
        Query("service and number, top paths",
              lambda y: sorted(by(aggregate(y, "logs", "service:orders-api @http.duration_ms:>20", w, COUNT,
                                            [facet("@http.path", 20, {"aggregation": "count"})])).values()),
              lambda l: sorted(float(r["n"]) for r in v(l, w, '{service="orders-api"} "http.duration_ms":>20 | stats by ("http.path") count() n '
                                                              '| sort by (n desc) limit 20')),
              lambda c: sorted(float(r[1]) for r in c.query(
                  "SELECT `http.path` p, count() n FROM bench.logs WHERE service='orders-api' AND `http.duration_ms` > 20 AND "
                  f"{at} GROUP BY p ORDER BY n DESC LIMIT 20"))),
    ]


def span_queries(w):
    at = c_where(w, "start", 1_000_000)
    return [
        Query("trace by id", lambda y: len(search(y, "spans", f"trace_id:{w.span_trace_id}", w, limit=1000)),
              lambda l: len(v(l, w, f'trace_id:="{w.span_trace_id}"', 1000)),
              lambda c: len(c.query(f"SELECT * FROM bench.spans WHERE trace_id='{w.span_trace_id}' AND {at}"))),
        Query("slowest 20 of a service",
              lambda y: len(y.json("POST", "/api/yagura/v1/traces/search", {"q": unlike(y, "service:orders-api"), "from": str(w.start_ms), "to": str(w.end_ms),
                                                                            "sort": "-duration", "limit": 20})["data"]),
              lambda l: len(v(l, w, '{service="orders-api"} | sort by (duration) desc limit 20')),
              lambda c: len(c.query(f"SELECT * FROM bench.spans WHERE service='orders-api' AND {at} ORDER BY duration DESC LIMIT 20")),
              unchecked="yagura answers with whole traces, the peers with spans"),
        Query("traces with 100 or more DynamoDB spans",
              lambda y: {k: n for k, n in by(aggregate(y, "spans", "operation_name:aws.dynamodb", w, COUNT,
                                                       [facet("trace_id", 1000, {"aggregation": "count"})])).items() if n >= 100},
              lambda l: {r["trace_id"]: float(r["n"]) for r in v(l, w, "name:=aws.dynamodb | stats by (trace_id) count() n | filter n:>=100")},
              lambda c: {r[0]: float(r[1]) for r in c.query(
                  f"SELECT trace_id, count() n FROM bench.spans WHERE name='aws.dynamodb' AND {at} GROUP BY trace_id HAVING n >= 100")}),
        Query("p95 by resource of a service",
              lambda y: by(aggregate(y, "spans", "service:orders-api", w, {"aggregation": "pc95", "metric": "@duration"},
                                     [facet("resource_name", 1000)])),
              lambda l: {r["resource"]: float(r["p"]) for r in
                         v(l, w, '{service="orders-api"} | fields duration, _msg | rename _msg as resource | stats by (resource) quantile(0.95, duration) p')},
              lambda c: {r[0]: float(r[1]) for r in c.query(
                  f"SELECT resource, quantile(0.95)(duration) FROM bench.spans WHERE service='orders-api' AND {at} GROUP BY resource")},
              tolerance=0.12),
        Query("errors by service per minute",
              lambda y: len(aggregate(y, "spans", "status:error", w, {**COUNT, "type": "timeseries", "interval": "1m"}, [facet("service", 100)])),
              lambda l: len({r["service"] for r in v(l, w, "error:=1 | stats by (_time:1m, service) count() n")}),
              lambda c: len({r[0] for r in c.query("SELECT service, intDiv(start, 60000000000) m, count() FROM bench.spans WHERE error=1 AND "
                                                   f"{at} GROUP BY service, m")})),
    ]


FAMILIES = ("fleet.requests", "fleet.memory.used_mb", "fleet.latency_ms", "fleet.concurrency.reserved", "fleet.errors", "fleet.throttles")


def metric_queries(w):
    start_s, end_s = w.start_ms // 60000 * 60, w.end_ms // 60000 * 60

    def y(query):
        def run(server):
            path = "/api/v1/query?" + urllib.parse.urlencode({"from": start_s, "to": end_s, "query": query})
            series = server.json("GET", path)["series"]
            return {(s["scope"], int(p[0]) // 1000): p[1] for s in series for p in s["pointlist"] if p[1] is not None}
        return run

    def m(query, step=60):
        def run(server):
            # A step of a peer covers (t − step, t], a bucket of the vendor [t, t + step): a second earlier they are the same.
            out = {}
            for s in server.query_range(query, start_s + step - 1, end_s - 1, step):
                for at, value in s["values"]:
                    out[(",".join(f"{k}:{x}" for k, x in sorted(s["metric"].items()) if k != "__name__"), int(at) + 1 - step)] = float(value)
            return out
        return run

    def total(run):
        """Sum of all points: enough to see that the same rows were read."""
        def sum_of(server):
            got = run(server)
            return sum(got.values())
        return sum_of

    every = ",".join(f"sum:{f}{{*}}.rollup(avg,60)" for f in FAMILIES)
    one = 'functionname="prod-orders-api-create0",host="i-0003"'
    return [
        Query("sum over 50,000 series", total(y(every)), victoriametrics=total(m('sum(avg_over_time({__name__=~"fleet.+"}[60s])) by (__name__)')), tolerance=0.01),
        Query("rate of 14,500 series", total(y("sum:fleet.requests{*}.as_rate().rollup(sum,60)")),
              victoriametrics=total(m('sum(sum_over_time({__name__="fleet.requests"}[60s]))/60')), tolerance=0.01),
        Query("one series", total(y("avg:fleet.memory.used_mb{functionname:prod-orders-api-create0,host:i-0003}.rollup(avg,60)")),
              victoriametrics=total(m('avg_over_time({__name__="fleet.memory.used_mb",' + one + '}[60s])')), tolerance=0.001),
        Query("14,500 series by service", total(y("sum:fleet.requests{*} by {service}.as_count().rollup(sum,60)")),
              victoriametrics=total(m('sum(sum_over_time({__name__="fleet.requests"}[60s])) by (service)')), tolerance=0.01),
        Query("highest of 5,500 series by team, 5 m", total(y("max:fleet.latency_ms{*} by {team}.rollup(max,300)")),
              victoriametrics=total(m('max(max_over_time({__name__="fleet.latency_ms"}[300s])) by (team)', 300)), tolerance=0.02),
    ]
