# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments: what was acknowledged is there once, what was sent again is there once."""
import collections
import http.client
import json
import os
import random
import threading
import time

import msgpack
import pytest
from server import API_KEY, eventually, http_request

SEED = random.SystemRandom().randrange(10**6)       # printed by a failing test


class Sender(threading.Thread):
    """Sends numbered batches of one kind until told to stop; knows which were acknowledged and which are in doubt."""

    def __init__(self, node, kind, first, epoch=0):
        super().__init__(daemon=True)
        self.node, self.kind, self.next, self.epoch = node, kind, first, epoch
        self.acked, self.doubt, self.stop = set(), [], threading.Event()

    def numbers(self, batch):
        return range(batch * 10, batch * 10 + 10)

    def request(self, batch, now_s):
        if self.kind == "logs":
            rows = [{"message": f"row {n}", "service": f"kill-logs{self.epoch}", "n": n, "timestamp": now_s * 1000} for n in self.numbers(batch)]
            return "api", "POST", "/api/v2/logs", json.dumps(rows).encode(), "application/json"
        if self.kind == "spans":
            rows = [{"service": f"kill-spans{self.epoch}", "name": "op", "resource": f"r{n % 7}", "trace_id": self.epoch * 10**9 + batch + 1, "span_id": n + 1,
                     "parent_id": 0 if n % 10 == 0 else batch * 10 + 1, "start": now_s * 10**9 + n, "duration": 1000 + n, "error": 0,
                     "meta": {"k": f"v{n}"}, "metrics": {"n": n}} for n in self.numbers(batch)]
            return "agent", "PUT", "/v0.4/traces", msgpack.packb([rows]), "application/msgpack"
        rows = [{"metric": f"kill.points{self.epoch}.{batch // 500}", "type": 1, "points": [{"timestamp": now_s, "value": 1}], "interval": 10,
                 "tags": [f"n:{n}"]} for n in self.numbers(batch)]
        return "api", "POST", "/api/v2/series", json.dumps({"series": rows}).encode(), "application/json"

    def send(self, request):
        door, method, path, body, kind = request
        res = http_request(getattr(self.node, door), method, path, body, {"Content-Type": kind, "DD-API-KEY": API_KEY}, 20)
        assert res.status in (200, 202), res

    def run(self):
        while not self.stop.is_set():
            batch = self.next
            request = self.request(batch, int(time.time()))
            try:
                self.send(request)
            except (OSError, http.client.HTTPException):
                self.doubt.append((batch, request))
                self.next += 1
                return                              # the server is gone
            self.acked.add(batch)
            self.next += 1
            time.sleep(0.002)                           # what is checked after each kill must stay readable

    def resend(self):
        """What an honest client does: the very same bytes again, until they are acknowledged."""
        for batch, request in self.doubt:
            self.send(request)
            self.acked.add(batch)
        self.doubt.clear()


def stored_numbers(node, kind, last_batch, epoch):
    """n → how often it is stored."""
    if kind == "logs":
        rows = node.search_logs(f"service:kill-logs{epoch}", since="now-2h")
        return collections.Counter(int(r["attributes"]["attributes"]["n"]) for r in rows)
    if kind == "spans":
        rows = node.search_spans(f"service:kill-spans{epoch}", since="now-2h")
        return collections.Counter(int(r["attributes"]["custom"]["n"]) for r in rows)
    now = int(time.time())
    found = collections.Counter()
    for part in range(last_batch // 500 + 1):           # a query answers at most 10,000 groups
        res = node.query(f"sum:kill.points{epoch}.{part}{{*}} by {{n}}.as_count()", start=now - 3600, end=now + 60)
        found.update({int(s["tag_set"][0][2:]): round(sum(v for _, v in s["pointlist"])) for s in res})
    return found


def check(node, senders):
    for sender in senders:
        wanted = {n for batch in sender.acked for n in sender.numbers(batch)}
        got = stored_numbers(node, sender.kind, sender.next, sender.epoch)
        lost = sorted(wanted - set(got))
        doubled = sorted(n for n, times in got.items() if times > 1)
        strange = sorted(set(got) - wanted)
        assert not lost, f"{sender.kind}: {len(lost)} acknowledged rows lost, e.g. {lost[:20]} (seed {SEED})"
        assert not doubled, f"{sender.kind}: {len(doubled)} rows twice, e.g. {doubled[:20]} (seed {SEED})"
        assert not strange, f"{sender.kind}: rows that were never sent or whose batch stands half: {strange[:20]} (seed {SEED})"


def kill_loop(make_yagura, rounds, longest_s):
    """On a release build where there is one ($YAGURA_RELEASE_BIN): more happens between two kills. Every 25 rounds the rows
    get new names, so that a check reads what is new; all that went before is counted at the end of each such epoch."""
    rng = random.Random(SEED)
    node = make_yagura(program=os.environ.get("YAGURA_RELEASE_BIN"))
    finished = []                                       # senders of past epochs
    for round_ in range(rounds):
        if round_ % EPOCH == 0:
            finished += senders if round_ else []
            senders = [Sender(node, kind, 0, round_ // EPOCH) for kind in ("logs", "spans", "points")]
        senders = [fresh(s) for s in senders]
        for s in senders:
            s.start()
        time.sleep(rng.uniform(0.02, longest_s))
        node.kill9()
        for s in senders:
            s.stop.set()
            s.join(30)
            assert not s.is_alive()
        node.start()
        for s in senders:
            s.resend()
        check(node, senders)
        if round_ % EPOCH == EPOCH - 1:
            check_counts(node, finished + senders)
    assert all(len(s.acked) >= min(rounds, EPOCH) / 2 for s in finished + senders), "the loop must have stored something"
    node.restart()
    check(node, senders)
    check_counts(node, finished + senders)


EPOCH = 25                                              # rounds


def check_counts(node, senders):
    """Rows and spans of every epoch: as many as were acknowledged."""
    for kind, path, wrap in (("logs", "/api/v2/logs/analytics/aggregate", lambda q: q),
                             ("spans", "/api/v2/spans/analytics/aggregate",
                              lambda q: {"data": {"type": "aggregate_request", "attributes": q}})):
        res = node.post(path, wrap({"filter": {"query": f"service:kill-{kind}*", "from": "now-6h", "to": "now+1h"},
                                    "compute": [{"aggregation": "count"}], "group_by": [{"facet": "service", "limit": 1000}]}), timeout_s=120)
        assert res.status == 200, res
        data = res.json["data"]
        rows = [b.get("attributes", b) for b in (data["buckets"] if isinstance(data, dict) else data)]
        got = {r["by"]["service"]: (r.get("computes") or r["compute"])["c0"] for r in rows}
        wanted = {f"kill-{kind}{s.epoch}": 10 * len(s.acked) for s in senders if s.kind == kind}
        assert got == wanted, f"{kind} by epoch (seed {SEED})"


def fresh(old):
    """A new thread that goes on where the old one was."""
    new = Sender(old.node, old.kind, old.next, old.epoch)
    new.acked, new.doubt = old.acked, old.doubt
    return new


def test_kill_9_loses_and_doubles_nothing(make_yagura):
    kill_loop(make_yagura, rounds=6, longest_s=1.2)


@pytest.mark.soak
def test_kill_9_many_times(make_yagura):
    kill_loop(make_yagura, rounds=int(os.environ.get("YAGURA_KILL_ROUNDS", 1000)), longest_s=0.8)


def test_kill_9_right_after_the_first_answer(make_yagura):
    node = make_yagura()
    for n in range(3):
        node.send_logs([{"message": f"only {n}", "service": "first"}])
        node.kill9()
        node.start()
        eventually(lambda: len(node.search_logs("service:first")) == n + 1)


def test_kill_9_while_starting(make_yagura):
    node = make_yagura()
    node.send_logs([{"message": str(n), "service": "early"} for n in range(500)])
    rng = random.Random(SEED)
    import subprocess
    for _ in range(5):
        node.kill9()
        proc = subprocess.Popen(node.command(), env=node.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.01, 0.4))
        proc.kill()
        proc.wait()
        node.start()
    assert len(node.search_logs("service:early")) == 500


def test_sigterm_drains(make_yagura):
    """Requests under way when SIGTERM comes are answered or refused; what was answered with success is kept."""
    node = make_yagura()
    senders = [Sender(node, kind, 1000 * k) for k, kind in enumerate(("logs", "spans", "points"))]
    for s in senders:
        s.start()
    node.statsd(*["drain.c:1|c"] * 50)
    time.sleep(1.0)
    node.stop()
    for s in senders:
        s.stop.set()
        s.join(30)
        assert s.acked
    node.start()
    for s in senders:
        s.resend()
    check(node, senders)
    assert node.total("sum:drain.c{*}.as_count()") == 50, "samples that were aggregated in memory are flushed"


def test_everything_is_the_same_after_a_restart(make_yagura):
    node = make_yagura()
    now = int(time.time())
    node.send_logs([{"message": f"m{n} größe", "service": "same", "n": n, "nested": {"a": [n, None]}, "ddtags": f"k:{n % 3}",
                     "timestamp": now * 1000 - n} for n in range(50)])
    node.post("/api/v1/distribution_points", {"series": [{"metric": "same.d", "points": [[now - 60, list(range(100))]]}]})
    node.agent_call("PUT", "/v0.4/traces", msgpack.packb([[{
        "service": "same", "name": "op", "resource": "r", "trace_id": 5, "span_id": 6, "parent_id": 0, "start": now * 10**9,
        "duration": 7, "error": 1, "meta": {"_dd.p.tid": "66f0000000000009", "k": "v"}, "metrics": {"n": 1.5}}]]),
        {"Content-Type": "application/msgpack"})
    since, until = str((now - 900) * 1000), str((now + 900) * 1000)

    def everything():
        trace = node.get("/api/yagura/v1/traces/66f00000000000090000000000000005")
        assert trace.status == 200
        return (node.search_logs("service:same", since=since, until=until),
                node.search_spans("service:same", since=since, until=until), trace.body,
                node.get("/api/yagura/v1/traces/66f00000000000090000000000000005/spans/0000000000000006").json["tags"],
                [(s["scope"], s["pointlist"]) for s in node.query("p90:same.d{*}", start=now - 600, end=now)])
    eventually(lambda: len(node.search_logs("service:same", since=since, until=until)) == 50)
    eventually(lambda: node.query("p90:same.d{*}", start=now - 600, end=now))
    before = everything()
    node.restart()
    assert everything() == before
    node.kill9()
    node.start()
    assert everything() == before


def test_equal_bodies_that_were_both_answered_count_twice(make_yagura):
    node = make_yagura()
    body = json.dumps([{"message": "tick", "service": "twin"}]).encode()
    for _ in range(2):
        assert node.post("/api/v2/logs", body, headers={"Content-Type": "application/json"}).status == 202
    eventually(lambda: len(node.search_logs("service:twin")) == 2)


def test_torn_tail_of_the_log_is_cut(make_yagura):
    """Garbage behind the last whole frame, as after a power cut, costs nothing that was acknowledged."""
    node = make_yagura()
    node.send_logs([{"message": str(n), "service": "torn"} for n in range(100)])
    node.kill9()
    files = sorted((node.data / "wal").glob("*.wal"))
    assert files, sorted(node.data.rglob("*"))
    data = files[-1].read_bytes()
    end, frames = 64, 0                                 # file head; then frames: 56 bytes, payload, padding to 8
    while size := int.from_bytes(data[end:end + 4], "little"):
        end += (56 + size + 7) // 8 * 8
        frames += 1
    assert frames and not any(data[end:]), "the walk must end where the file's unused room begins"
    with open(files[-1], "r+b") as wal:
        wal.seek(end)
        wal.write(random.Random(1).randbytes(300))
    node.start()
    assert len(node.search_logs("service:torn")) == 100
    node.send_logs([{"message": "after", "service": "torn"}])
    eventually(lambda: len(node.search_logs("service:torn")) == 101)
    node.restart()
    assert len(node.search_logs("service:torn")) == 101


def test_start_over_a_log_of_many_small_frames(make_yagura):
    """More small requests than memory holds as batches: the start makes room while it reads them back."""
    node = make_yagura("--memory-limit", "128MiB", program=os.environ.get("YAGURA_RELEASE_BIN"))
    frames, clients = 6_000, 4
    host, port = node.api.rsplit(":", 1)
    refused = []

    def client(first):
        conn = http.client.HTTPConnection(host, int(port), timeout=60)
        for n in range(first, frames, clients):
            body = json.dumps([{"message": f"small {n}", "service": "small", "n": n, f"attr{n % 50}": "v"}])
            while True:
                conn.request("POST", "/api/v2/logs", body, {"DD-API-KEY": API_KEY, "Content-Type": "application/json"})
                answer = conn.getresponse()
                answer.read()
                if answer.status == 202:
                    break
                refused.append(answer.status)           # full for the moment: an honest client comes again
                time.sleep(0.2)
        conn.close()
    threads = [threading.Thread(target=client, args=(c,)) for c in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(refused) <= {429, 503} and len(refused) < frames / 10, collections.Counter(refused)
    node.kill9()
    node.start()

    def stored():
        res = node.post("/api/v2/logs/analytics/aggregate", {
            "filter": {"query": "service:small", "from": "now-1h", "to": "now+1h"},
            "compute": [{"aggregation": "count"}, {"aggregation": "sum", "metric": "@n"}]})
        assert res.status == 200, res
        return res.json["data"]["buckets"][0]["computes"]
    assert stored() == {"c0": frames, "c1": frames * (frames - 1) // 2}
    node.restart()
    assert stored() == {"c0": frames, "c1": frames * (frames - 1) // 2}


@pytest.mark.soak
def test_kill_9_while_segments_are_written(make_yagura):
    """Enough rows that memory segments go to disk while the kills come; counted by sums, not one by one."""
    rng = random.Random(SEED)
    node = make_yagura("--memory-limit", "256MiB", program=os.environ.get("YAGURA_RELEASE_BIN"))
    done = 0                                            # rows acknowledged, numbered from 0

    def body(first, count):
        return json.dumps([{"message": f"row {n} of many, {n * 7919 % 1000003} {'x' * 300}", "service": "many", "n": n, "sq": n * n % 10007,
                            "user": f"u{n % 5000}"} for n in range(first, first + count)]).encode()

    def send(data):
        while True:
            res = node.post("/api/v2/logs", data, headers={"Content-Type": "application/json"})
            if res.status == 202:
                return
            assert res.status in (429, 503), res        # full for the moment: an honest client waits
            time.sleep(float(res.headers.get("retry-after", 1)))

    def stored():
        res = node.post("/api/v2/logs/analytics/aggregate", timeout_s=120, body={
            "filter": {"query": "service:many", "from": "now-2h", "to": "now+1h"},
            "compute": [{"aggregation": "count"}, {"aggregation": "sum", "metric": "@n"}, {"aggregation": "sum", "metric": "@sq"}]})
        assert res.status == 200, res
        bucket = (res.json["data"]["buckets"] or [{"computes": {"c0": 0, "c1": 0, "c2": 0}}])[0]["computes"]
        return bucket["c0"], bucket["c1"], bucket["c2"]

    for _ in range(5):
        stop_at = time.monotonic() + rng.uniform(6, 12)
        while time.monotonic() < stop_at:
            send(body(done, 1000))
            done += 1000
        doubt = body(done, 1000)
        killer = threading.Timer(rng.uniform(0.0, 0.05), node.proc.kill)
        killer.start()
        try:
            send(doubt)
        except (OSError, http.client.HTTPException):
            pass
        killer.join()
        node.kill9()
        node.start(120)
        send(doubt)
        done += 1000
        expected = (done, done * (done - 1) // 2, sum(n * n % 10007 for n in range(done)))
        assert stored() == expected, f"seed {SEED}"
    node.restart()
    assert stored() == expected, f"seed {SEED}"
    assert sum(p.stat().st_size for p in (node.data / "segments").rglob("*") if p.is_file()) > 0
