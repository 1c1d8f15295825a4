# SPDX-License-Identifier: Apache-2.0
"""What is on the disk: fsck, inspect, rows deleted on request, faults named by /health."""
import json
import subprocess
import time

import pytest
from server import binary, eventually, http_request


def run(node, *args):
    return subprocess.run([binary(), *args], env=node.environment(), capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


def logs(service, count, customer=1):
    return [{"message": f"order {n} of {service}", "service": service, "customer": {"id": customer}} for n in range(count)]


@pytest.fixture
def filled(make_yagura):
    """A stopped server's directory with logs, spans' summaries aside, and points."""
    node = make_yagura()
    node.send_logs(logs("fsck-a", 40) + logs("fsck-b", 20, customer=2))
    res = node.post("/api/v2/series", {"series": [{"metric": "fsck.points", "type": 3,
                                                   "points": [{"timestamp": int(time.time()), "value": 1}]}]})
    assert res.status == 202, res
    eventually(lambda: len(node.search_logs("service:fsck-*")) == 60)
    node.stop()
    return node


def segments(node):
    return sorted((node.data / "segments").glob("*.seg"))


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x20
    path.write_bytes(data)


def test_fsck_of_a_sound_directory(filled):
    before = {p: p.read_bytes() for p in segments(filled)}
    res = run(filled, "fsck", str(filled.data))
    assert res.returncode == 0, res
    assert "no fault" in res.stdout
    assert {p: p.read_bytes() for p in segments(filled)} == before


@pytest.mark.parametrize("which, at", [("segments/logs*.seg", 100), ("segments/logs*.seg", 20), ("metrics/b-*.ygm", 80),
                                       ("metrics/series.ygs", 30), ("wal/*.wal", 20)])
def test_fsck_names_a_flipped_byte(filled, which, at):
    path = sorted(filled.data.glob(which))[0]
    flip(path, at)
    res = run(filled, "fsck", str(filled.data))
    assert res.returncode == 5, res
    assert any(path.name in line and "byte" in line for line in res.stdout.splitlines()), res.stdout


def test_fsck_misses_a_file(filled):
    path = segments(filled)[0]
    path.unlink()
    res = run(filled, "fsck", str(filled.data))
    assert res.returncode == 5, res
    assert path.name in res.stdout


def test_fsck_refuses_a_running_server(filled):
    filled.start()
    res = run(filled, "fsck", str(filled.data))
    assert res.returncode == 4, res
    assert str(filled.proc.pid) in res.stderr
    assert run(filled, "fsck", "--running", str(filled.data)).returncode in (0, 5)
    assert run(filled, "fsck").returncode == 2


def test_inspect(filled):
    path = next(p for p in segments(filled) if p.name.startswith("logs"))
    shown = json.loads(run(filled, "inspect", "--json", str(path)).stdout)
    assert shown["kind"] == "segment" and shown["track"] == "logs" and shown["rows"] == 60
    assert sum(s["rows"] for s in shown["stripes"]) == 60
    columns = {c["name"]: c for c in shown["columns"]}
    assert columns["message"]["values"] == 60 and columns["service"]["type"] == "string"
    assert sum(c["bytes"] for c in shown["columns"]) < shown["bytes"]
    table = run(filled, "inspect", str(path))
    assert table.returncode == 0 and "@customer.id" in table.stdout
    wal = sorted((filled.data / "wal").glob("*.wal"))[-1]
    assert json.loads(run(filled, "inspect", "--json", str(wal)).stdout)["kind"] == "write-ahead log"
    block = sorted((filled.data / "metrics").glob("b-*.ygm"))[0]
    assert json.loads(run(filled, "inspect", "--json", str(block)).stdout)["points"] >= 1
    res = run(filled, "inspect", str(filled.data / "lock"))
    assert res.returncode == 2 and "lock" in res.stderr


def test_deleted_rows_are_gone(filled):
    node = filled.start()
    body = {"track": "logs", "from": "now-1h", "to": "now+1h", "query": "@customer.id:2"}
    assert node.post("/api/yagura/v1/data/delete", body, keys=False).status == 401
    assert node.post("/api/yagura/v1/data/delete", {**body, "from": None}).status == 400
    assert node.post("/api/yagura/v1/data/delete", {**body, "query": "(a"}).status == 400
    assert node.post("/api/yagura/v1/data/delete", {**body, "track": "nothing"}).status == 400
    assert len(node.search_logs("service:fsck-*")) == 60
    res = node.post("/api/yagura/v1/data/delete", {**body, "to": int(time.time() * 1000) + 60000})
    assert res.status == 202, res
    assert len(node.search_logs("service:fsck-*")) == 40            # at once
    node.send_logs(logs("fsck-c", 5, customer=2))                    # later rows stay
    eventually(lambda: len(node.search_logs("service:fsck-*")) == 45)

    def done():
        listed = node.get("/api/yagura/v1/data/delete").json["deletions"]
        return listed[0]["done"] and listed[0]["rows_removed"] == 20
    eventually(done, 30)
    node.restart()
    assert len(node.search_logs("service:fsck-*")) == 45
    assert "rows are deleted on request" in node.log()


def test_health_names_damage(filled):
    path = next(p for p in segments(filled) if p.name.startswith("logs"))
    shown = json.loads(run(filled, "inspect", "--json", str(path)).stdout)
    assert shown["rows"] == 60
    end = shown["bytes"] - 64 - shown["directory_bytes"] - shown["key_index_bytes"]
    for at in range(80, end, 20):                                    # every chunk
        flip(path, at)
    node = filled.start()
    assert http_request(node.api, "GET", "/health").json == {"status": "ok"}
    res = node.post("/api/v2/logs/events/search", {"filter": {"query": "service:fsck-a", "from": "now-1h", "to": "now+1h"}})
    assert res.status == 200 and "damaged" in res.text, res          # a warning, no silence
    health = http_request(node.api, "GET", "/health")
    assert health.status == 200 and health.json["status"] == "degraded"
    assert "damaged_data" in [d["what"] for d in health.json["details"]]
