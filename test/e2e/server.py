# SPDX-License-Identifier: Apache-2.0
"""A yagura under test: start, talk through its public doors, stop, kill, restart."""
import http.client
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
API_KEY = "0123456789abcdef0123456789abcdef"
APP_KEY = "0123456789abcdef0123456789abcdef01234567"
KEYS = {"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY}
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer",
                   "panic")


def binary():
    """The binary to test: $YAGURA_BIN, else build/yagura of this tree."""
    return os.environ.get("YAGURA_BIN") or str(ROOT / "build" / "yagura")


def eventually(check, timeout_s=20.0, every_s=0.1, what=None):
    """Call check() until it returns something true; that value. Raises with the last value or assertion otherwise."""
    deadline = time.monotonic() + timeout_s
    last = None
    while True:
        try:
            last = check()
            if last:
                return last
        except AssertionError as err:
            last = err
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or check}; last: {last!r}")
        time.sleep(every_s)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {k.lower(): v for k, v in headers}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.status} {self.text[:800]}>"


def http_request(address, method, path, body=None, headers=None, timeout_s=30.0):
    """One request on its own connection. body: bytes, str, or something for JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    host, port = address.rsplit(":", 1)
    conn = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout_s)
    try:
        conn.request(method, path, body=body, headers=headers)
        res = conn.getresponse()
        return Answer(res.status, res.getheaders(), res.read())
    finally:
        conn.close()


def raw_exchange(address, data, timeout_s=30.0, half_close=False):
    """Send bytes as they are; everything that comes back until the server closes or the time is over."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout_s) as sock:
        sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while True:
                part = sock.recv(65536)
                if not part:
                    break
                got += part
        except (TimeoutError, ConnectionResetError):
            pass
        return got


class Yagura:
    """One server process over one data directory. `args` come behind the defaults, `env` over a clean environment."""

    def __init__(self, data, log, args=(), env=None, program=None):
        self.program = program or binary()
        self.data, self.log_path = pathlib.Path(data), pathlib.Path(log)
        self.args, self.env = list(args), dict(env or {})
        self.proc = None
        self.endpoints = {}

    # ------------------------------------------------------------ life
    def command(self):
        return [self.program, "serve", "--data", str(self.data), "--listen-api", "127.0.0.1:0",
                "--listen-agent", "127.0.0.1:0", "--listen-dogstatsd", "127.0.0.1:0", *self.args]

    def environment(self):
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "ASAN_OPTIONS",
                                                             "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS")}
        return {**keep, "YAGURA_API_KEY": API_KEY, "YAGURA_APP_KEY": APP_KEY, **self.env}

    def start(self, timeout_s=60.0):
        assert self.proc is None, "already started"
        self.data.parent.mkdir(parents=True, exist_ok=True)
        stale = self.data / "endpoints.json"
        if stale.exists():
            stale.unlink()
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log, start_new_session=True)
        eventually(self._is_ready, timeout_s, 0.05, f"ready; log:\n{self.tail()}")
        return self

    def _is_ready(self):
        if self.proc.poll() is not None:
            raise RuntimeError(f"server ended with {self.proc.returncode} while starting:\n{self.tail()}")
        try:
            ends = json.loads((self.data / "endpoints.json").read_text())
            if ends["pid"] != self.proc.pid:
                return False
            self.endpoints = ends
            return http_request(ends["api"], "GET", "/ready", timeout_s=5).status == 200
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return False

    def stop(self, timeout_s=60.0):
        """SIGTERM; the server must drain and exit 0, and no sanitizer may have spoken."""
        self.proc.send_signal(signal.SIGTERM)
        try:
            code = self.proc.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            self.proc = None
            raise AssertionError(f"still running {timeout_s} s after SIGTERM:\n{self.tail()}")
        self.proc = None
        assert code == 0, f"exit {code} after SIGTERM:\n{self.tail()}"
        self.check_log()

    def kill9(self):
        self.proc.kill()
        self.proc.wait()
        self.proc = None

    def restart(self):
        self.stop()
        return self.start()

    def abandon(self):
        """End it in whatever state it is (after a failed test)."""
        if self.proc is not None:
            self.proc.kill()
            self.proc.wait()
            self.proc = None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def check_log(self):
        bad = [line for line in self.log().splitlines() if any(mark in line for mark in SANITIZER_MARKS)]
        assert not bad, "\n".join(bad[:20])

    # ------------------------------------------------------------ doors
    @property
    def api(self):
        return self.endpoints["api"]

    @property
    def agent(self):
        return self.endpoints["agent"]

    @property
    def dogstatsd(self):
        host, port = self.endpoints["dogstatsd"].rsplit(":", 1)
        return host, int(port)

    def call(self, method, path, body=None, headers=None, query=None, keys=True, timeout_s=30.0):
        """One request to the API listener with both keys (or without: keys=False)."""
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return http_request(self.api, method, path, body, {**(KEYS if keys else {}), **(headers or {})}, timeout_s)

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def agent_call(self, method, path, body=None, headers=None, timeout_s=30.0):
        return http_request(self.agent, method, path, body, headers, timeout_s)

    def statsd(self, *lines):
        """One datagram."""
        data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(data, self.dogstatsd)

    # ------------------------------------------------------------ what users ask
    def send_logs(self, logs, **more):
        res = self.post("/api/v2/logs", logs, **more)
        assert res.status == 202, res
        return res

    def search_logs(self, query, limit=1000, since="now-1h", until="now+1h", sort="timestamp"):
        """All matching logs, through as many pages as it takes."""
        found, cursor = [], None
        while True:
            page = {"limit": limit, **({"cursor": cursor} if cursor else {})}
            res = self.post("/api/v2/logs/events/search", {
                "filter": {"query": query, "from": since, "to": until}, "sort": sort, "page": page})
            assert res.status == 200, res
            found += res.json["data"]
            cursor = res.json.get("meta", {}).get("page", {}).get("after")
            if not cursor:
                return found

    def search_spans(self, query, limit=1000, since="now-1h", until="now+1h"):
        found, cursor = [], None
        while True:
            page = {"limit": limit, **({"cursor": cursor} if cursor else {})}
            res = self.post("/api/v2/spans/events/search", {"data": {"type": "search_request", "attributes": {
                "filter": {"query": query, "from": since, "to": until}, "sort": "timestamp", "page": page}}})
            assert res.status == 200, res
            found += res.json["data"]
            cursor = res.json.get("meta", {}).get("page", {}).get("after")
            if not cursor:
                return found

    def query(self, query, start=None, end=None):
        """GET /api/v1/query over [start, end] in seconds; default the last 10 minutes and the next one."""
        now = int(time.time())
        res = self.get("/api/v1/query", query={"from": start or now - 600, "to": end or now + 60, "query": query})
        assert res.status == 200, res
        assert res.json["status"] == "ok", res
        return res.json["series"]

    def total(self, query, **when):
        """Sum of all points of a query; None when it has no series."""
        series = self.query(query, **when)
        if not series:
            return None
        return sum(value for s in series for _, value in s["pointlist"] if value is not None)


class Factory:
    """Makes servers over fresh directories and ends all of them."""

    def __init__(self, root):
        self.root, self.made, self.count = root, [], itertools.count(1)

    def __call__(self, *args, env=None, data=None, start=True, program=None):
        n = next(self.count)
        node = Yagura(data or self.root / f"data{n}", self.root / f"server{n}.log", args, env, program)
        self.made.append(node)
        return node.start() if start else node

    def end(self):
        faults = []
        for node in self.made:
            if node.proc is None:
                continue
            try:
                node.stop()
            except AssertionError as err:
                faults.append(str(err))
        assert not faults, "\n".join(faults)
