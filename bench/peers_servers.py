# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured: how each is started, what it costs, and how it is asked.

CPU is user + system time of the server process. A server is a process of its own on a loopback port; the one
that is a library (chdb) runs inside bench/chdb_server.py.
"""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
KEY = "0123456789abcdef0123456789abcdef"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree_bytes(path):
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                pass  # merged away between the listing and the look
    return total


class Server:
    """One peer (or yagura) on a directory of its own. Subclasses say how to start it and how to ask."""
    name = "?"
    forget = False  # ask every question in words that were not used before (yagura)

    def __init__(self, folder, peers, build):
        self.folder, self.peers, self.build = pathlib.Path(folder), pathlib.Path(peers), pathlib.Path(build)
        self.process = self.connection = None
        self.port = 0

    def missing(self):
        """Why this server cannot be measured here, or an empty text."""
        return ""

    def command(self):
        raise NotImplementedError

    def ready(self):
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        log = open(self.folder.with_suffix(".log"), "ab")
        self.process = subprocess.Popen(self.command(), env=self.environment(), stdout=log, stderr=log)
        log.close()
        end = time.monotonic() + 120
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not start, see {self.folder.with_suffix('.log')}")
            time.sleep(0.05)

    def environment(self):
        return dict(os.environ)

    def stop(self):
        if self.connection:
            self.connection.close()
            self.connection = None
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=180)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # ---- cost
    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def thread_cpu_ns(self):
        """Finer than cpu_s: nanoseconds of every living thread. For stretches in which no thread ends."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text(encoding="utf-8").split()[0])
            except OSError:
                pass  # a thread that ended
        return total

    def peak_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0.0

    def written_bytes(self):
        """What the process gave to the disk, log and merges included."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/io").read_text(encoding="utf-8").splitlines():
            if line.startswith("write_bytes"):
                return int(line.split()[1])
        return 0

    def disk_bytes(self):
        return tree_bytes(self.folder)

    # ---- HTTP
    def ask(self, method, path, body=None, headers=None, timeout=300):
        for attempt in (0, 1):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            try:
                self.connection.request(method, path, body, headers or {})
                answer = self.connection.getresponse()
                data = answer.read()
                break
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                self.connection = None
                if attempt:
                    raise
        if answer.status // 100 != 2:
            raise RuntimeError(f"{self.name}: {answer.status} {data[:300]!r} for {path} {str(body)[:300]}")
        return data

    def load(self, kind, options):
        """Sends rows with yagura-load; returns what it printed."""
        out = subprocess.run([str(self.build / "bench/yagura-load"), kind, *self.load_options(kind), *map(str, options)],
                             stdout=subprocess.PIPE, check=True, text=True).stdout
        return json.loads(out)

    def load_options(self, kind):
        raise NotImplementedError


class Yagura(Server):
    name = "yagura"

    def __init__(self, folder, peers, build, binary=None, extra=()):
        super().__init__(folder, peers, build)
        self.binary, self.extra, self.agent = binary or str(self.build / "yagura"), list(extra), ""
        self.spans_form = "v05"
        self.points_form = "json"

    def command(self):
        return [self.binary, "serve", "--data", str(self.folder), "--listen-api", f"127.0.0.1:{self.port}", "--listen-agent",
                "127.0.0.1:0", "--listen-dogstatsd", "127.0.0.1:0", "--log-level", "warn", *self.extra]

    def environment(self):
        return dict(os.environ, YAGURA_API_KEY=KEY, YAGURA_APP_KEY=KEY + "01234567")

    def start(self):
        (self.folder / "endpoints.json").unlink(missing_ok=True)
        super().start()

    def ready(self):
        path = self.folder / "endpoints.json"
        if not path.exists():
            return False
        self.agent = json.loads(path.read_text(encoding="utf-8"))["agent"]
        try:
            self.ask("GET", "/ready")
        except (RuntimeError, OSError):
            return False  # 503 while it reads its log
        return True

    def load_options(self, kind):
        address = self.agent if kind == "spans" else f"127.0.0.1:{self.port}"
        form = {"logs": "json", "spans": self.spans_form, "points": self.points_form}[kind]
        return ["--address", address, "--key", KEY, "--form", form]

    def disk_bytes(self):
        skip = ("wal", "config.db")
        return sum(p.stat().st_size for p in self.folder.rglob("*")
                   if p.is_file() and not any(str(p.relative_to(self.folder)).startswith(s) for s in skip))

    def wal_bytes(self):
        return tree_bytes(self.folder / "wal")

    def json(self, method, path, body=None):
        headers = {"DD-API-KEY": KEY, "DD-APPLICATION-KEY": KEY + "01234567", "Content-Type": "application/json"}
        return json.loads(self.ask(method, path, json.dumps(body) if body is not None else None, headers))


class VictoriaLogs(Server):
    name = "victorialogs"

    def missing(self):
        return "" if (self.peers / "bin/victoria-logs").exists() else "victoria-logs is not built (tools/peers.sh)"

    def command(self):
        return [str(self.peers / "bin/victoria-logs"), f"-storageDataPath={self.folder}", f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=100y", "-loggerLevel=ERROR"]

    def load_options(self, kind):
        fields = {"logs": "_stream_fields=service,functionname&_time_field=timestamp&_msg_field=message",
                  "spans": "_stream_fields=service,name&_time_field=start&_msg_field=resource"}[kind]
        return ["--address", f"127.0.0.1:{self.port}", "--form", "flat", "--path", "/insert/jsonline?" + fields]

    def query(self, text, start_ns, end_ns, limit=None):
        form = {"query": text, "start": str(start_ns), "end": str(end_ns)}
        if limit:
            form["limit"] = str(limit)
        data = self.ask("POST", "/select/logsql/query", urllib.parse.urlencode(form),
                        {"Content-Type": "application/x-www-form-urlencoded"})
        return [json.loads(line) for line in data.splitlines()]


class VictoriaMetrics(Server):
    name = "victoriametrics"

    def missing(self):
        return "" if (self.peers / "bin/victoria-metrics").exists() else "victoria-metrics is not built (tools/peers.sh)"

    def command(self):
        return [str(self.peers / "bin/victoria-metrics"), f"-storageDataPath={self.folder}", f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=10y", "-loggerLevel=ERROR", "-search.maxPointsPerTimeseries=100000",
                "-search.latencyOffset=0s", "-search.maxUniqueTimeseries=1000000"]

    def load_options(self, kind):
        assert kind == "points"
        return ["--address", f"127.0.0.1:{self.port}", "--form", "json", "--path", "/datadog/api/v2/series"]

    def query_range(self, text, start_s, end_s, step_s):
        form = urllib.parse.urlencode({"query": text, "start": start_s, "end": end_s, "step": step_s, "nocache": 1})
        return json.loads(self.ask("GET", "/api/v1/query_range?" + form))["data"]["result"]


class ClickHouse(Server):
    name = "clickhouse"

    def missing(self):
        return "" if (self.peers / "venv/chdb.version").exists() else "chdb is not installed (tools/peers.sh)"

    def command(self):
        return [str(self.peers / "venv/bin/python"), str(ROOT / "bench/chdb_server.py"), str(self.port), str(self.folder)]

    def query(self, sql):
        return json.loads(self.ask("POST", "/query", sql))["data"]

    def run(self, sql):
        self.ask("POST", "/run", sql)

    def load(self, kind, options):
        """The generator writes JSON lines; every insert takes 500,000 rows of them."""
        part, rows, total = self.folder.with_suffix(".part"), 0, 0
        maker = subprocess.Popen([str(self.build / "bench/yagura-load"), kind, "--form", "flat", "--out", "-", *map(str, options)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        lines = []
        for line in maker.stdout:
            lines.append(line)
            if len(lines) == 500_000:
                total += self.insert(kind, part, lines)
                rows += len(lines)
                lines = []
        if lines:
            total += self.insert(kind, part, lines)
            rows += len(lines)
        maker.wait()
        part.unlink(missing_ok=True)
        return {"rows": rows, "bytes": total, "refused": 0, "resent": 0, "slowest_ms": 0}

    def insert(self, kind, part, lines):
        part.write_bytes(b"".join(lines))
        self.run(f"INSERT INTO {kind} SELECT * FROM file('{part}', JSONEachRow, "
                 f"'{self.structure(kind)}') SETTINGS input_format_skip_unknown_fields=1, max_insert_block_size=500000, "
                 "min_insert_block_size_rows=500000, min_insert_block_size_bytes=0")
        return part.stat().st_size

    def structure(self, kind):
        """Column names and the types in which JSON gives them."""
        data = self.ask("POST", "/query", f"SELECT name, type FROM system.columns WHERE table='{kind}' AND database='bench' "
                                          "ORDER BY position")
        return ", ".join(f"`{r[0]}` {r[1]}" for r in json.loads(data)["data"])
