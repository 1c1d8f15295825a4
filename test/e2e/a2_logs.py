# SPDX-License-Identifier: Apache-2.0
"""Logs by HTTP: every accepted form, every refusal, search with cursors, aggregation."""
import gzip
import json
import re
import socket
import threading
import time
import zlib
from datetime import datetime, timezone

import pytest
import zstandard
from server import API_KEY, APP_KEY, eventually, http_request, raw_exchange

MIB = 1 << 20


def pack(data, how):
    if how == "gzip":
        return gzip.compress(data)
    if how == "deflate":
        return zlib.compress(data)
    if how == "zstd":
        return zstandard.compress(data)
    return data


def by_message(found):
    return {f["attributes"]["message"]: f["attributes"] for f in found}


# ---------------------------------------------------------------- accepted
@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "deflate", "zstd"])
@pytest.mark.parametrize("path", ["/api/v2/logs", "/v1/input"])
def test_array_in_every_encoding(yagura, name, path, encoding):
    body = json.dumps([{"message": "one", "service": name}, {"message": "two", "service": name, "status": "error"}])
    headers = {"Content-Type": "application/json", "DD-API-KEY": API_KEY}
    if encoding:
        headers["Content-Encoding"] = encoding
    res = yagura.post(path, pack(body.encode(), encoding), headers=headers, keys=False)
    assert res.status == (202 if path == "/api/v2/logs" else 200), res
    assert res.json == {}
    found = by_message(eventually(lambda: yagura.search_logs(f"service:{name}")))
    assert {m: a["status"] for m, a in found.items()} == {"one": "info", "two": "error"}


def test_object_with_every_reserved_attribute(yagura, name):
    now_ms = int(time.time() * 1000) - 5000
    yagura.send_logs({
        "message": "hello größe 大", "status": "warn", "service": name, "hostname": "web-1", "ddsource": "nginx",
        "ddtags": "env:prod,team:shop", "timestamp": now_ms, "user": {"id": 7, "roles": ["a", "b"]}, "ok": True})
    attributes = eventually(lambda: yagura.search_logs(f"service:{name}"))[0]["attributes"]
    assert attributes["message"] == "hello größe 大"
    assert attributes["status"] == "warn" and attributes["service"] == name and attributes["host"] == "web-1"
    assert {"env:prod", "team:shop"} <= set(attributes["tags"])
    when = datetime.fromisoformat(attributes["timestamp"].replace("Z", "+00:00"))
    assert round(when.timestamp() * 1000) == now_ms
    assert attributes["attributes"]["user"] == {"id": 7, "roles": ["a", "b"]}
    assert attributes["attributes"]["ok"] is True
    for query in (f"service:{name} host:web-1 source:nginx env:prod team:shop", f"service:{name} @user.id:7",
                  f"service:{name} @user.roles:b", f"service:{name} größe"):
        assert len(yagura.search_logs(query)) == 1, query


def test_text_lines_with_fields_from_the_query(yagura, name):
    res = yagura.post("/api/v2/logs", "first line\nsecond line\n", keys=False, query={
        "dd-api-key": API_KEY, "ddsource": "syslog", "service": name, "hostname": "db-1", "ddtags": "env:prod,rack:9"},
        headers={"Content-Type": "text/plain"})
    assert res.status == 202, res
    found = by_message(eventually(lambda: yagura.search_logs(f"service:{name}")))
    assert set(found) == {"first line", "second line"}
    assert found["first line"]["host"] == "db-1"
    assert {"env:prod", "rack:9"} <= set(found["first line"]["tags"])


def test_array_of_strings(yagura, name):
    yagura.send_logs([f"{name} alpha", f"{name} beta"])
    found = eventually(lambda: yagura.search_logs(name))
    assert set(by_message(found)) == {f"{name} alpha", f"{name} beta"}


@pytest.mark.parametrize("body", [b"[]", b"{}"])
def test_empty_probe_is_accepted(yagura, body):
    assert yagura.post("/api/v2/logs", body, headers={"Content-Type": "application/json"}).status == 202


def test_key_in_the_path_of_v1_input(yagura, name):
    res = yagura.post(f"/v1/input/{API_KEY}", {"message": "by path", "service": name}, keys=False)
    assert res.status == 200, res
    eventually(lambda: yagura.search_logs(f"service:{name}"))


def test_json_line_of_an_agent_is_opened(yagura, name):
    line = json.dumps({"level": "error", "message": "card refused", "code": "E42",
                       "dd": {"trace_id": "66f00000000000001122334455667788", "span_id": "9"}})
    yagura.send_logs([{"message": line, "status": "info", "service": name, "hostname": "web-1"}])
    attributes = eventually(lambda: yagura.search_logs(f"service:{name} @code:E42"))[0]["attributes"]
    assert attributes["message"] == "card refused" and attributes["status"] == "error"
    assert yagura.search_logs("trace_id:66f00000000000001122334455667788")


def test_lambda_extension_shape_is_opened(yagura, name):
    yagura.send_logs([{"message": {"message": "payment done", "lambda": {"arn": "arn:aws:lambda:eu-central-1:1:function:pay",
                                                                         "request_id": "r-1"},
                                   "timestamp": int(time.time() * 1000), "status": "warn"},
                       "hostname": "arn:aws:lambda:eu-central-1:1:function:pay", "service": name, "ddsource": "lambda",
                       "ddtags": "env:prod,functionname:pay"}])
    found = eventually(lambda: yagura.search_logs(f"service:{name} @lambda.request_id:r-1 functionname:pay"))
    assert found[0]["attributes"]["message"] == "payment done"
    assert found[0]["attributes"]["status"] == "warn"


def test_times_in_every_documented_form(yagura, name):
    now = int(time.time()) - 100
    iso = datetime.fromtimestamp(now, timezone.utc)
    forms = [now * 1000, str(now * 1000), now, iso.isoformat(), iso.strftime("%Y-%m-%dT%H:%M:%S.000Z")]
    keys = ["timestamp", "date", "@timestamp", "eventTime", "timestamp"]
    yagura.send_logs([{"message": f"m{n}", "service": name, k: v} for n, (k, v) in enumerate(zip(keys, forms))])
    found = by_message(eventually(lambda: len(yagura.search_logs(f"service:{name}")) == 5 and
                                  yagura.search_logs(f"service:{name}")))
    for message, attributes in found.items():
        when = datetime.fromisoformat(attributes["timestamp"].replace("Z", "+00:00")).timestamp()
        assert when == now, message


@pytest.mark.parametrize("sent, kept", [("emerg", "emergency"), ("FATAL", "emergency"), ("alert", "alert"), ("crit", "critical"),
                                        ("ERR", "error"), ("Warning", "warn"), ("notice", "notice"), ("information", "info"),
                                        ("verbose", "debug"), ("success", "ok"), (3, "error"), ("7", "debug"), ("???", "info")])
def test_status_words(yagura, name, sent, kept):
    yagura.send_logs([{"message": "m", "service": name, "level": sent}])
    assert eventually(lambda: yagura.search_logs(f"service:{name}"))[0]["attributes"]["status"] == kept


def test_long_message_is_cut_not_refused(yagura, name):
    yagura.send_logs([{"message": "x" * (MIB + 5000), "service": name}])
    message = eventually(lambda: yagura.search_logs(f"service:{name}"))[0]["attributes"]["message"]
    assert 500_000 < len(message) <= MIB


def test_partly_bad_batch_keeps_the_good(yagura, name):
    yagura.send_logs([{"message": "good", "service": name}, 5, None, {"message": "also good", "service": name}])
    found = eventually(lambda: len(yagura.search_logs(f"service:{name}")) == 2)
    assert found


# ---------------------------------------------------------------- refused
def refused(node, body, headers=None, status=400, path="/api/v2/logs", query=None):
    res = node.post(path, body, keys=False, query=query,
                    headers={"Content-Type": "application/json", "DD-API-KEY": API_KEY, **(headers or {})})
    assert res.status == status, res
    assert res.json["errors"], res
    return res.text


def test_wrong_and_missing_key(yagura, name):
    body = json.dumps([{"message": "never", "service": name}]).encode()
    text = refused(yagura, body, {"DD-API-KEY": "f" * 32}, 403)
    assert "Forbidden" in text
    res = yagura.post("/api/v2/logs", body, keys=False, headers={"Content-Type": "application/json"})
    assert res.status in (401, 403) and res.json["errors"]
    res = yagura.post("/api/v2/logs", body, keys=False, query={"dd-api-key": "nope"},
                      headers={"Content-Type": "application/json"})
    assert res.status == 403, res
    assert yagura.search_logs(f"service:{name}") == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_torn_body_says_so(yagura, name, encoding):
    whole = pack(json.dumps([{"message": "m" * 500, "service": name, "n": n} for n in range(50)]).encode(), encoding)
    text = refused(yagura, whole[:-10], {"Content-Encoding": encoding})
    assert encoding in text.lower() or "truncat" in text.lower() or "cut" in text.lower() or "end" in text.lower(), text
    text = refused(yagura, b"this is no compressed body", {"Content-Encoding": encoding})
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 0xFF
    refused(yagura, bytes(flipped), {"Content-Encoding": encoding})
    assert yagura.search_logs(f"service:{name}") == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_decompression_bomb(yagura, encoding):
    bomb = pack(b'[{"message":"' + b"0" * (300 * MIB) + b'"}]', encoding)
    assert len(bomb) < 2 * MIB
    refused(yagura, bomb, {"Content-Encoding": encoding}, 413)


@pytest.mark.parametrize("door", ["api", "agent"])
def test_25_mib_and_one_byte(yagura, door):
    size = 25 * MIB + 1
    if door == "api":
        head = (f"POST /api/v2/logs HTTP/1.1\r\nHost: x\r\nDD-API-KEY: {API_KEY}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {size}\r\n\r\n")
        address = yagura.api
    else:
        head = f"PUT /v0.4/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/msgpack\r\nContent-Length: {size}\r\n\r\n"
        address = yagura.agent
    assert raw_exchange(address, head.encode(), 10).startswith(b"HTTP/1.1 413"), "by Content-Length, before the body"
    host, port = address.rsplit(":", 1)
    head = head.replace(f"Content-Length: {size}", "Transfer-Encoding: chunked")
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(head.encode())
        chunk = b"%x\r\n" % MIB + b"[" * MIB + b"\r\n"
        got = b""
        try:
            for _ in range(26):
                sock.sendall(chunk)
            sock.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            got = sock.recv(4096)
        except ConnectionResetError:
            pass
    assert got.startswith(b"HTTP/1.1 413") or got == b"", got[:200]
    assert yagura.get("/health", keys=False).status == 200


@pytest.mark.parametrize("body, offset", [(b'[{"message":"a"},]', 17), (b'{"message":tru}', 11), (b'[{"message":"a"}', 16),
                                          (b'{"message":"\x01"}', 12), (b"not json", 0), (b'{"a":1} x', 8)])
def test_bad_json_names_the_offset(yagura, body, offset):
    text = refused(yagura, body)
    near = {str(n) for n in range(max(offset - 1, 0), offset + 4)}
    assert near & set(re.findall(r"\d+", text.replace('"400"', ""))), f"no offset near {offset} in {text}"


def test_nothing_usable_is_400(yagura):
    refused(yagura, b"[5, null, true]")
    refused(yagura, b"17")


def test_deep_nesting_is_refused_or_cut_but_never_crashes(yagura):
    for opening in (b"[" * 200_000, b'{"a":' * 100_000, b'[{"message":' * 50_000):
        res = yagura.post("/api/v2/logs", opening, headers={"Content-Type": "application/json"})
        assert res.status == 400, res


@pytest.mark.parametrize("headers", [{"Content-Encoding": "br"}, {"Content-Type": "application/x-protobuf"}])
def test_type_or_encoding_that_the_route_does_not_take(yagura, headers):
    refused(yagura, b"[]x", headers, 415)


def post_head(*lines):
    return ("POST /api/v2/logs HTTP/1.1\r\nHost: x\r\nDD-API-KEY: %s\r\nContent-Type: text/plain\r\n" % API_KEY
            + "".join(line + "\r\n" for line in lines) + "\r\n").encode()


@pytest.mark.parametrize("lines", [
    ("Content-Length: 4", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: 4"),
    ("Content-Length: 4", "Content-Length: 5"),
    ("Content-Length: -1",), ("Content-Length: 4x",), ("Transfer-Encoding: chunked, identity",),
    ("Content-Length : 4",),
])
def test_smuggling_is_refused(yagura, lines):
    hidden = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    got = raw_exchange(yagura.api, post_head(*lines) + b"0\r\n\r\n" + hidden, 5)
    assert got.startswith(b"HTTP/1.1 400"), got[:200]
    assert got.count(b"HTTP/1.1 ") == 1, "the hidden request must not be answered"


def test_method_and_unknown_path(yagura):
    assert yagura.call("DELETE", "/api/v2/logs").status in (404, 405)
    res = yagura.post("/api/v2/no/such/thing", b"{}")
    assert res.status == 404 and res.json["errors"], res


def test_slow_client_times_out(yagura):
    host, port = yagura.api.rsplit(":", 1)
    start = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=60) as sock:
        sock.sendall(b"POST /api/v2/logs HTTP/1.1\r\nHost: x\r\n")
        got = b""
        while True:                              # a byte every second is not progress enough for headers
            try:
                sock.settimeout(1.0)
                part = sock.recv(4096)
                if not part:
                    break
                got += part
            except TimeoutError:
                try:
                    sock.sendall(b"X")
                except OSError:
                    break
            except ConnectionResetError:
                break
            assert time.monotonic() - start < 40, "never closed"
    assert not got or got.startswith(b"HTTP/1.1 408"), got
    assert yagura.get("/health", keys=False).status == 200


def test_pipelined_requests_are_answered_in_order(yagura, name):
    one = json.dumps([{"message": "p1", "service": name}]).encode()
    req = (f"POST /api/v2/logs HTTP/1.1\r\nHost: x\r\nDD-API-KEY: {API_KEY}\r\nContent-Type: application/json\r\n"
           f"Content-Length: {len(one)}\r\n\r\n").encode() + one
    last = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    got = raw_exchange(yagura.api, req + req + last, 10)
    assert re.findall(rb"HTTP/1\.1 (\d+)", got) == [b"202", b"202", b"200"]


# ---------------------------------------------------------------- search
LOGS = [
    {"n": 1, "message": "user login ok", "status": "info", "http": {"status_code": 200, "url": "/login"}, "ip": "10.0.0.5"},
    {"n": 2, "message": "user login FAILED", "status": "error", "http": {"status_code": 401, "url": "/login"}, "ip": "10.0.7.9"},
    {"n": 3, "message": "payment of order-77 done", "status": "info", "amount": 12.5, "ip": "192.168.1.1"},
    {"n": 4, "message": "payment timeout", "status": "warn", "amount": -3, "note": "hello:world"},
    {"n": 5, "message": "cache miss us-east-1", "status": "debug", "tags_list": ["red", "blue"], "a": {"b": {"c": "deep"}}},
    {"n": 6, "message": "Größe geändert", "status": "notice", "ip": "2001:db8::7", "flag": True, "user name": "Jane Doe"},
]
QUERIES = [
    ("", {1, 2, 3, 4, 5, 6}), ("*", {1, 2, 3, 4, 5, 6}),
    ("login", {1, 2}), ("LOGIN", {1, 2}), ("failed", {2}), ("log*", {1, 2}), ("lo?in", {1, 2}), ("ogin", set()),
    ('"user login"', {1, 2}), ('"login user"', set()), ("login -failed", {1}), ("login NOT failed", {1}),
    ("payment OR cache", {3, 4, 5}), ("payment AND timeout", {4}), ("(payment OR cache) -timeout", {3, 5}),
    ("order-77", {3}), ("us-east-1", {5}),
    ("status:error", {2}), ("status:(error OR warn)", {2, 4}), ("-status:info", {2, 4, 5, 6}),
    ("@http.status_code:200", {1}), ("@http.status_code:>=400", {2}), ("@http.status_code:[200 TO 401]", {1, 2}),
    ("@http.status_code:{200 TO 401}", set()), ("@http.status_code:[201 TO *]", {2}),
    ("@amount:>0", {3}), ("@amount:<0", {4}), ("@amount:12.5", {3}), ("@amount:*", {3, 4}), ("-@amount:*", {1, 2, 5, 6}),
    ("@http.url:\\/login", {1, 2}), ("@http.url:/log*", {1, 2}), ("@tags_list:blue", {5}), ("@a.b.c:deep", {5}),
    ("@a.b.c:Deep", set()), ("@note:hello\\:world", {4}), ("@flag:true", {6}), ("@user\\ name:\"Jane Doe\"", {6}),
    ("CIDR(@ip, 10.0.0.0/16)", {1, 2}), ("CIDR(@ip, 192.168.0.0/16, 2001:db8::/32)", {3, 6}),
    ("NOT(CIDR(@ip, 10.0.0.0/8)) @ip:*", {3, 6}), ("*:deep", {5}), ("größe", {6}), ("team:q", {1, 2, 3}), ("team:Q", {1, 2, 3}),
    ("@http.status_code:(200 OR 401) -@ip:10.0.7*", {1}),
]


@pytest.fixture(scope="module")
def library(shared):
    service = "library"
    shared.send_logs([{**log, "service": service, **({"ddtags": "team:q"} if log["n"] <= 3 else {})} for log in LOGS])
    eventually(lambda: len(shared.search_logs(f"service:{service}")) == len(LOGS))
    return service


@pytest.mark.parametrize("query, expected", QUERIES, ids=lambda v: str(v)[:40])
def test_search_syntax(shared, library, query, expected):
    both = f"service:{library} ({query})" if query else f"service:{library}"
    found = {f["attributes"]["attributes"]["n"] for f in shared.search_logs(both)}
    assert found == expected


@pytest.mark.parametrize("query", ["(", "a)", '"open', "@x:[1 2]", "AND a", "a OR", "@x:", "CIDR(@ip, 1.2.3.4/99)"])
def test_search_faults(yagura, query):
    res = yagura.post("/api/v2/logs/events/search", {"filter": {"query": query, "from": "now-15m", "to": "now"}})
    assert res.status == 400 and res.json["errors"], res


def test_from_after_to(yagura):
    res = yagura.post("/api/v2/logs/events/search", {"filter": {"query": "*", "from": "now", "to": "now-15m"}})
    assert res.status == 422, res
    assert "'from' should be anterior to 'to'" in res.text


def test_bad_cursor(yagura):
    res = yagura.post("/api/v2/logs/events/search", {"filter": {"query": "*"}, "page": {"cursor": "no-cursor!"}})
    assert res.status == 400 and "cursor" in res.text, res


def test_search_needs_both_keys(yagura):
    body = {"filter": {"query": "*"}}
    for headers in ({}, {"DD-API-KEY": API_KEY}, {"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": "0" * 40},
                    {"DD-API-KEY": "0" * 32, "DD-APPLICATION-KEY": APP_KEY}):
        res = yagura.post("/api/v2/logs/events/search", body, keys=False, headers=headers)
        assert res.status in (401, 403), (headers, res)


@pytest.fixture(scope="module")
def twenty_five(shared):
    service = "pager"
    base = int(time.time() * 1000) - 60_000
    shared.send_logs([{"message": f"m{n}", "service": service, "n": n, "timestamp": base + n // 2 * 10} for n in range(25)])
    eventually(lambda: len(shared.search_logs(f"service:{service}")) == 25)
    return service


@pytest.mark.parametrize("sort", ["timestamp", "-timestamp"])
def test_pages_by_post(shared, twenty_five, sort):
    seen, cursor, pages = [], None, 0
    while True:
        res = shared.post("/api/v2/logs/events/search", {
            "filter": {"query": f"service:{twenty_five}", "from": "now-15m", "to": "now+5m"}, "sort": sort,
            "page": {"limit": 10, **({"cursor": cursor} if cursor else {})}})
        assert res.status == 200, res
        doc = res.json
        assert len(doc["data"]) <= 10
        assert doc["meta"]["status"] == "done"
        seen += doc["data"]
        pages += 1
        cursor = doc["meta"].get("page", {}).get("after")
        if not cursor:
            assert "links" not in doc or "next" not in doc["links"]
            break
        assert "filter" in doc["links"]["next"]
        assert pages < 6
    assert len({row["id"] for row in seen}) == 25
    assert all(row["type"] == "log" for row in seen)
    times = [row["attributes"]["timestamp"] for row in seen]
    assert times == sorted(times, reverse=sort.startswith("-"))


def test_pages_by_get_and_by_links(shared, twenty_five):
    query = {"filter[query]": f"service:{twenty_five}", "filter[from]": "now-15m", "filter[to]": "now+5m",
             "page[limit]": "10", "sort": "timestamp"}
    res = shared.get("/api/v2/logs/events", query=query)
    assert res.status == 200, res
    seen = [row["attributes"]["attributes"]["n"] for row in res.json["data"]]
    while "links" in res.json and res.json["links"].get("next"):
        url = res.json["links"]["next"]
        path = "/" + url.split("://", 1)[1].split("/", 1)[1]
        res = shared.get(path)
        assert res.status == 200, res
        seen += [row["attributes"]["attributes"]["n"] for row in res.json["data"]]
    assert sorted(seen) == list(range(25))


def test_default_page_is_ten_newest_first(shared, twenty_five):
    res = shared.post("/api/v2/logs/events/search", {"filter": {"query": f"service:{twenty_five}"}})
    times = [row["attributes"]["timestamp"] for row in res.json["data"]]
    assert len(times) == 10 and times == sorted(times, reverse=True)


def test_new_rows_do_not_disturb_a_cursor(yagura, name):
    base = int(time.time() * 1000) - 30_000
    yagura.send_logs([{"message": "old", "service": name, "n": n, "timestamp": base + n} for n in range(20)])
    eventually(lambda: len(yagura.search_logs(f"service:{name}")) == 20)
    ask = {"filter": {"query": f"service:{name}", "from": "now-5m", "to": "now"}, "sort": "-timestamp", "page": {"limit": 8}}
    first = yagura.post("/api/v2/logs/events/search", ask).json
    yagura.send_logs([{"message": "new", "service": name, "n": 100 + n} for n in range(5)])
    seen = [row["id"] for row in first["data"]]
    after = first["meta"]["page"]["after"]
    while after:
        ask["page"]["cursor"] = after
        doc = yagura.post("/api/v2/logs/events/search", ask).json
        seen += [row["id"] for row in doc["data"]]
        after = doc.get("meta", {}).get("page", {}).get("after")
    assert len(seen) == len(set(seen)) == 20


# ---------------------------------------------------------------- aggregation
@pytest.fixture(scope="module")
def shop_logs(shared):
    service = "aggregated"
    rows = [{"message": "m", "service": service, "ms": n, "route": f"/r{n % 3}", "status": "error" if n % 10 == 0 else "info",
             **({"opt": "x"} if n % 4 == 0 else {})} for n in range(100)]
    shared.send_logs(rows)
    eventually(lambda: len(shared.search_logs(f"service:{service}")) == 100)
    return service


def aggregate(node, service, **body):
    res = node.post("/api/v2/logs/analytics/aggregate", {
        "filter": {"query": f"service:{service}", "from": "now-15m", "to": "now+5m"}, **body})
    assert res.status == 200, res
    assert res.json["meta"]["status"] == "done"
    return res.json["data"]["buckets"]


def test_aggregate_default_is_one_count(shared, shop_logs):
    assert aggregate(shared, shop_logs) == [{"by": {}, "computes": {"c0": 100}}]


def test_aggregate_computes(shared, shop_logs):
    kinds = ["count", "sum", "min", "max", "avg", "median", "pc90", "cardinality"]
    got = aggregate(shared, shop_logs, compute=[
        {"aggregation": k, **({"metric": "@ms"} if k not in ("count", "cardinality") else {}),
         **({"metric": "@route"} if k == "cardinality" else {})} for k in kinds])[0]["computes"]
    exact = {"c0": 100, "c1": 4950, "c2": 0, "c3": 99, "c4": 49.5, "c7": 3}
    assert {k: got[k] for k in exact} == exact
    assert got["c5"] == pytest.approx(49.5, rel=0.03) and got["c6"] == pytest.approx(90, rel=0.03)


def test_aggregate_groups_order_and_limit(shared, shop_logs):
    got = aggregate(shared, shop_logs, group_by=[{"facet": "@route"}])
    assert [(b["by"]["@route"], b["computes"]["c0"]) for b in got] == [("/r0", 34), ("/r1", 33), ("/r2", 33)]
    got = aggregate(shared, shop_logs, group_by=[{"facet": "@route", "limit": 2, "sort": {"order": "desc", "type": "alphabetical"}}])
    assert [b["by"]["@route"] for b in got] == ["/r2", "/r1"]
    got = aggregate(shared, shop_logs, compute=[{"aggregation": "count"}], group_by=[
        {"facet": "status"}, {"facet": "@route"}])
    cells = {(b["by"]["status"], b["by"]["@route"]): b["computes"]["c0"] for b in got}
    assert cells == {("info", "/r0"): 30, ("info", "/r1"): 30, ("info", "/r2"): 30,
                     ("error", "/r0"): 4, ("error", "/r1"): 3, ("error", "/r2"): 3}


def test_aggregate_missing_and_total(shared, shop_logs):
    assert aggregate(shared, shop_logs, group_by=[{"facet": "@opt"}]) == [{"by": {"@opt": "x"}, "computes": {"c0": 25}}]
    got = aggregate(shared, shop_logs, group_by=[{"facet": "@opt", "missing": "none"}])
    assert {b["by"]["@opt"]: b["computes"]["c0"] for b in got} == {"x": 25, "none": 75}
    got = aggregate(shared, shop_logs, group_by=[{"facet": "@route", "total": "all"}])
    assert {b["by"]["@route"]: b["computes"]["c0"] for b in got} == {"/r0": 34, "/r1": 33, "/r2": 33, "all": 100}


def test_aggregate_timeseries(shared, shop_logs):
    got = aggregate(shared, shop_logs, compute=[{"aggregation": "count", "type": "timeseries", "interval": "1m"}])
    points = got[0]["computes"]["c0"]
    assert sum(p["value"] for p in points) == 100
    for p in points:
        assert datetime.fromisoformat(p["time"].replace("Z", "+00:00")).timestamp() % 60 == 0


def test_aggregate_faults(yagura):
    for body in ({"compute": [{"aggregation": "pc50", "metric": "@x"}]},
                 {"group_by": [{"facet": "a", "limit": 200}, {"facet": "b", "limit": 100}]},
                 {"filter": {"query": "("}}):
        res = yagura.post("/api/v2/logs/analytics/aggregate", body)
        assert res.status == 400 and res.json["errors"], res


def test_facets_of_logs(shared, shop_logs):
    res = shared.get("/api/yagura/v1/facets/logs", query={"q": f"service:{shop_logs}", "from": "now-15m", "to": "now+5m"})
    assert res.status == 200, res
    assert res.json["total"] == 100
    facets = {f["key"]: f for f in res.json["facets"]}
    assert {v["value"]: v["count"] for v in facets["status"]["values"]} == {"info": 90, "error": 10}
    assert facets["@route"]["count"] == 100
    assert facets["@ms"]["type"] == "number" and (facets["@ms"]["min"], facets["@ms"]["max"]) == (0, 99)


def test_body_that_is_read_by_host_name(yagura, name):
    """A request under a vendor host name is answered by path."""
    res = http_request(yagura.api, "POST", "/api/v2/logs", [{"message": "hosted", "service": name}],
                       {"DD-API-KEY": API_KEY, "Host": "http-intake.logs.example.internal"})
    assert res.status == 202, res
    eventually(lambda: yagura.search_logs(f"service:{name}"))


def test_expect_100_continue(yagura, name):
    """curl asks before it sends more than a megabyte."""
    body = json.dumps([{"message": "x" * 1000, "service": name, "n": n} for n in range(1200)]).encode()
    head = (f"POST /api/v2/logs HTTP/1.1\r\nHost: x\r\nDD-API-KEY: {API_KEY}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n").encode()
    host, port = yagura.api.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(head)
        assert sock.recv(1024).startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert sock.recv(1024).startswith(b"HTTP/1.1 202 ")
    eventually(lambda: len(yagura.search_logs(f"service:{name}")) == 1200)


def test_many_clients_at_once(yagura, name):
    answers = []

    def client(first):
        for n in range(first, first + 10):
            answers.append(yagura.post("/api/v2/logs", [{"message": "m", "service": name, "n": n}]).status)
    clients = [threading.Thread(target=client, args=(10 * c,)) for c in range(60)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    assert answers.count(202) == 600, sorted(set(answers))
    found = eventually(lambda: len(got := yagura.search_logs(f"service:{name}")) == 600 and got)
    assert {f["attributes"]["attributes"]["n"] for f in found} == set(range(600))


def test_hundreds_of_idle_connections_disturb_nobody(yagura):
    host, port = yagura.api.rsplit(":", 1)
    idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(400)]
    try:
        assert yagura.get("/health", keys=False).status == 200
    finally:
        for sock in idle:
            sock.close()
