# SPDX-License-Identifier: Apache-2.0
"""More than the disk takes, and a disk that is full: memory stays flat, what does not fit is refused, nothing acknowledged is lost."""
import collections
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

import pytest
from server import API_KEY, eventually

HERE = pathlib.Path(__file__).parent
ROWS = 500                                              # of one body
WORDS = "the quick brown fox jumps over the lazy dog while nobody was looking at all".split()


def release():
    return os.environ.get("YAGURA_RELEASE_BIN")


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


class Flood(threading.Thread):
    """Sends bodies of ROWS logs, numbered, as fast as the answers come; an honest client: what is refused comes again."""

    def __init__(self, node, first, step):
        super().__init__(daemon=True)
        self.node, self.number, self.step = node, first, step
        self.stop = threading.Event()
        self.acked, self.answers, self.slowest_s, self.faults = [], collections.Counter(), 0.0, []
        rows = [{"message": " ".join(WORDS[(n * k) % len(WORDS)] for k in range(1, 12)), "service": "flood", "body": "@@", "n": n,
                 "request": f"{n * 7919:032x}", "user": f"u{n * 31 % 997}"} for n in range(ROWS)]
        self.template = json.dumps(rows).encode()

    def run(self):
        host, port = self.node.api.rsplit(":", 1)
        conn = http.client.HTTPConnection(host, int(port), timeout=120)
        while not self.stop.is_set():
            body = self.template.replace(b'"@@"', str(self.number).encode())
            began = time.monotonic()
            conn.request("POST", "/api/v2/logs", body, {"DD-API-KEY": API_KEY, "Content-Type": "application/json"})
            answer = conn.getresponse()
            answer.read()
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.answers[answer.status] += 1
            if answer.status == 202:
                self.acked.append(self.number)
                self.number += self.step
            elif answer.status in (429, 503):
                if not answer.getheader("Retry-After"):
                    self.faults.append(f"{answer.status} without Retry-After")
                time.sleep(0.05)
            else:
                self.faults.append(f"answer {answer.status}")
        conn.close()


def flood(node, seconds, count):
    """Many clients for some seconds; their answers together, and the largest resident memory seen."""
    clients = [Flood(node, first, count) for first in range(count)]
    for c in clients:
        c.start()
    peak, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        peak = max(peak, resident_mib(node.proc.pid))
        time.sleep(0.2)
    for c in clients:
        c.stop.set()
    for c in clients:
        c.join(120)
        assert not c.is_alive()
        assert not c.faults, c.faults[:5]
    return clients, sum((c.answers for c in clients), collections.Counter()), peak


def stored(node):
    res = node.post("/api/v2/logs/analytics/aggregate", timeout_s=120, body={
        "filter": {"query": "service:flood", "from": "now-4h", "to": "now+1h"},
        "compute": [{"aggregation": "count"}, {"aggregation": "sum", "metric": "@body"}, {"aggregation": "sum", "metric": "@n"}]})
    assert res.status == 200, res
    if not res.json["data"]["buckets"]:
        return 0, 0, 0
    got = res.json["data"]["buckets"][0]["computes"]
    return got["c0"], got["c1"] or 0, got["c2"] or 0


def expected(clients):
    bodies = [n for c in clients for n in c.acked]
    return ROWS * len(bodies), ROWS * sum(bodies), len(bodies) * (ROWS * (ROWS - 1) // 2)


# ------------------------------------------------------------ a slow disk

def slow_disk(tmp_path, bytes_per_s):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or not release():
        pytest.skip("needs a C compiler and a release build (build/yagura): the shim goes in front of the C library")
    shim = tmp_path / "slow_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(shim), str(HERE / "slow_disk.c"), "-ldl", "-lpthread"], check=True)
    return {"LD_PRELOAD": str(shim), "SLOW_DISK_BYTES_PER_S": str(bytes_per_s)}


def overload(make_yagura, tmp_path, seconds):
    limit_mib = 256
    node = make_yagura("--memory-limit", f"{limit_mib}MiB", program=release(), env=slow_disk(tmp_path, 150_000))
    clients, answers, peak = flood(node, seconds, 200)
    assert answers[429] > 0, f"the disk is slow, yet nothing was refused: {answers}"
    assert answers[202] > 0
    assert peak < limit_mib, f"{peak:.0f} MiB resident with a limit of {limit_mib} MiB"
    assert node.get("/health", keys=False).status == 200
    metrics = node.get("/metrics", keys=False).text
    assert any("429" in line or "refused" in line or "busy" in line for line in metrics.splitlines()), "refusals are counted"
    eventually(lambda: stored(node) == expected(clients), 60)
    node.kill9()
    node.start(300)
    assert stored(node) == expected(clients)


def test_more_than_the_disk_takes(make_yagura, tmp_path):
    overload(make_yagura, tmp_path, 12)


@pytest.mark.soak
def test_more_than_the_disk_takes_for_ten_minutes(make_yagura, tmp_path):
    overload(make_yagura, tmp_path, 600)


# ------------------------------------------------------------ a full disk

@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own on a loop device; needs root."""
    tools = [shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") for name in ("mkfs.ext4", "mount", "umount")]
    if os.geteuid() != 0 or not all(tools):
        pytest.skip("needs root, mkfs.ext4 and mount")
    image, mount = tmp_path / "disk.img", tmp_path / "disk"
    mount.mkdir()
    with open(image, "wb") as f:
        f.truncate(600 << 20)
    subprocess.run([tools[0], "-q", "-F", str(image)], check=True)
    done = subprocess.run([tools[1], "-o", "loop", str(image), str(mount)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop mounts here: {done.stderr.strip()}")
    yield mount
    for _ in range(50):
        if subprocess.run([tools[2], str(mount)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)


def free_bytes(path):
    st = os.statvfs(path)
    return st.f_bavail * st.f_frsize


def fill(path, leave):
    """A ballast file that leaves so many bytes free."""
    ballast = path / "ballast"
    with open(ballast, "wb") as f:
        os.posix_fallocate(f.fileno(), 0, max(1, free_bytes(path) - leave))
    return ballast


def full_disk(make_yagura, small_disk, rounds, seconds):
    node = make_yagura("--memory-limit", "256MiB", data=small_disk / "data", program=release())
    clients = []
    number = 0
    for _ in range(rounds):
        ballast = fill(small_disk, 30 << 20)
        more = [Flood(node, number + k, 4) for k in range(4)]
        for c in more:
            c.start()
        eventually(lambda: sum(c.answers[429] for c in more) > 20, 120, what="intake is refused when the disk is full")
        time.sleep(seconds)
        ready = eventually(lambda: [r for r in [node.get("/ready", keys=False)] if r.status == 503], 30, what="not ready while full")
        assert "disk" in ready[0].text.lower(), ready
        assert stored(node)[0] > 0, "reads go on while the disk is full"
        before = sum(len(c.acked) for c in more)
        ballast.unlink()
        eventually(lambda: node.get("/ready", keys=False).status == 200, 60, what="ready again by itself")
        eventually(lambda: sum(len(c.acked) for c in more) > before, 60, what="intake resumes by itself")
        for c in more:
            c.stop.set()
        for c in more:
            c.join(90)
            assert not c.faults, c.faults[:5]
        clients += more
        number = max(c.number for c in more) + 4
        number -= number % 4
    assert stored(node) == expected(clients)
    node.kill9()
    node.start(120)
    assert stored(node) == expected(clients)


def test_a_full_disk_refuses_reads_on_and_recovers(small_disk, make_yagura):
    full_disk(make_yagura, small_disk, rounds=1, seconds=1)


@pytest.mark.soak
def test_a_full_disk_again_and_again(small_disk, make_yagura):
    full_disk(make_yagura, small_disk, rounds=5, seconds=60)
