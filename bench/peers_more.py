# SPDX-License-Identifier: Apache-2.0
"""The suites that look at yagura alone.

scale     the same questions over 10⁶, 10⁷ … rows: does the cost follow the rows that match or those that are stored
mixed     interactive questions on an idle server and while rows arrive as fast as they are taken
monitors  5,000 monitors, one evaluation a minute each, over rows that keep arriving
recovery  killed before its memory is written to files: seconds until it is ready, per GiB of log
"""
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

import peers_queries as q
import peers_servers as s

NEEDLES = ("request id", "trace id", "absent id")
SELECTIVE = ("last 100 errors", "p95 per minute, 1 h", "service and number, top paths")
WHOLE = ("phrase, count", "count by service", "p95 by function, whole range")


def run(bench):
    suites = {"scale": scale, "mixed": mixed, "monitors": monitors, "recovery": recovery}
    for name, suite in suites.items():
        if name in bench.args.suite:
            bench.results[name] = suite(bench)


def log(*words):
    print(*words, file=sys.stderr, flush=True)


def fresh(bench, name, extra=()):
    server = s.Yagura(bench.work / name, bench.args.peers, bench.args.build, extra=extra)
    shutil.rmtree(server.folder, ignore_errors=True)
    server.start()
    return server


def quiet(server, least_s=3, at_most_s=120):
    """Waits until the server does nothing by itself any more."""
    end, idle = time.monotonic() + at_most_s, 0
    while idle < least_s and time.monotonic() < end:
        before = server.thread_cpu_ns()
        time.sleep(1)
        idle = idle + 1 if (server.thread_cpu_ns() - before) < 20_000_000 else 0


def start_load(bench, server, kind, *options):
    return subprocess.Popen([str(pathlib.Path(bench.args.build) / "bench/yagura-load"), kind, *server.load_options(kind),
                             *map(str, options)], stdout=subprocess.PIPE, text=True)


class Written(threading.Thread):
    """Adds up the files that appear under a data directory: every file counts once, with its largest size.

    Looks often enough for files that live for a second; what is written and replaced faster is not seen."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.sizes, self.over = str(folder), {}, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.2):
            for part in ("wal", "segments"):
                for at, _, names in os.walk(os.path.join(self.folder, part)):
                    for name in names:
                        path = os.path.join(at, name)
                        try:
                            size = os.lstat(path).st_size
                        except OSError:
                            continue
                        self.sizes[path] = max(size, self.sizes.get(path, 0))

    def total(self, part):
        start = os.path.join(self.folder, part) + os.sep
        return sum(size for path, size in list(self.sizes.items()) if path.startswith(start))


# ---------------------------------------------------------------- scale
def scale(bench):
    table, costs = {}, {}
    for rows in bench.args.scale:
        bench.args.rows = rows
        server = fresh(bench, f"scale-{rows}")
        try:
            written, before = Written(server.folder), server.cpu_s()
            sent = server.load("logs", [*bench.rows_options("logs"), "--batch", 2000])
            quiet(server, 10, 300)
            written.over.set()
            n, stored = sent["rows"], server.disk_bytes()
            costs[rows] = {"cpu_s_per_million": (server.cpu_s() - before) / n * 1e6, "bytes_per_row": stored / n, "peak_mib": server.peak_mib(),
                           "log_bytes_per_row": written.total("wal") / n, "file_writes": written.total("segments") / stored}
            log(f"  scale: {n} logs: {costs[rows]}")
            w = bench.window("logs")
            server.forget = True
            for c in q.log_queries(w):
                if c.name in NEEDLES + SELECTIVE + WHOLE:
                    _, cpu, wall, _ = bench.measure(server, c.yagura)
                    table.setdefault(c.name, {})[rows] = {"cpu_ms": cpu, "wall_ms": wall}
        finally:
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
    sizes = bench.args.scale
    print(f"{'logs stored; CPU ms (wall ms) a query':40}" + "".join(f"{n:>20,}" for n in sizes))
    for name in NEEDLES + SELECTIVE + WHOLE:
        cells = (f"{table[name][n]['cpu_ms']:.2f} ({table[name][n]['wall_ms']:.2f})" for n in sizes)
        print(f"{name:40}" + "".join(f"{c:>20}" for c in cells))
    for key, title in (("cpu_s_per_million", "CPU s per million rows in"), ("bytes_per_row", "bytes a row"), ("peak_mib", "peak MiB"),
                       ("log_bytes_per_row", "bytes a row in the log"), ("file_writes", "writes of a row after the log (goal 3)")):
        print(f"{title:40}" + "".join(f"{costs[n][key]:>20.2f}" for n in sizes))
    return {"queries": table, "costs": costs}


# ---------------------------------------------------------------- mixed
def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def ask_for(server, classes, seconds):
    """Wall ms of every question, one after the other, with a pause between as a person makes."""
    walls, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        for c in classes:
            clock = time.monotonic()
            c.yagura(server)
            walls.append((time.monotonic() - clock) * 1000)
            time.sleep(0.02)
    return walls


def mixed(bench):
    server = fresh(bench, "mixed")
    out = {}
    try:
        server.load("logs", [*bench.rows_options("logs"), "--batch", 2000])
        quiet(server)
        w = bench.window("logs")
        classes = [c for c in q.log_queries(w) if c.name in NEEDLES + SELECTIVE + ("count by service", "status per minute")]
        server.forget = True
        ask_for(server, classes, 3)
        # The generator runs in both parts, in the second against the server: the machine is equally busy.
        spin = subprocess.Popen([str(pathlib.Path(bench.args.build) / "bench/yagura-load"), "logs", "--rows", "1000000000", "--out", os.devnull],
                                stdout=subprocess.DEVNULL)
        try:
            idle = ask_for(server, classes, bench.args.mixed_s)
        finally:
            spin.kill()
            spin.wait()
        load = start_load(bench, server, "logs", "--rows", 1_000_000_000, "--batch", 1000, "--seed", 99, "--live", "yes", "--limit-s",
                          bench.args.mixed_s)
        busy = ask_for(server, classes, bench.args.mixed_s - 1)
        sent = json.loads(load.communicate()[0])
        out = {"idle_p50_ms": statistics.median(idle), "idle_p95_ms": percentile(idle, 0.95), "busy_p50_ms": statistics.median(busy),
               "busy_p95_ms": percentile(busy, 0.95), "slowest_intake_ms": sent["slowest_ms"], "rows_per_s": sent["rows"] / bench.args.mixed_s,
               "resent": sent["resent"], "peak_mib": server.peak_mib()}
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
    print(f"interactive queries: p50 {out['idle_p50_ms']:.1f} → {out['busy_p50_ms']:.1f} ms, p95 {out['idle_p95_ms']:.1f} → {out['busy_p95_ms']:.1f} ms "
          f"(×{out['busy_p95_ms'] / out['idle_p95_ms']:.2f}, goal 2) while {out['rows_per_s']:,.0f} logs/s arrive; "
          f"slowest intake answer {out['slowest_intake_ms']:.0f} ms (goal 100), {out['resent']} sent again, peak {out['peak_mib']:.0f} MiB")
    return out


# ---------------------------------------------------------------- monitors
def make_monitors(server, count):
    services = [f"{a}-{p}" for a in ("orders", "payments", "carts", "search", "users", "stock", "prices", "mail") for p in ("api", "worker", "events")]
    for i in range(count):
        service = services[i % len(services)]
        if i % 2:
            body = {"type": "log alert", "query": f'logs("service:{service} status:error @attempt:>{i % 7}").index("*").rollup("count").last("5m") > 1000000'}
        else:
            body = {"type": "query alert", "query": f"sum(last_5m):sum:fleet.errors{{service:{service}}}.as_count() > {1000000 + i}"}
        server.json("POST", "/api/v1/monitor", {"name": f"bench {i}", "message": "bench", "tags": [], **body})


def evaluations(server):
    """(done, failed) since the start, from the server's own counters."""
    counts = {"done": 0.0, "failed": 0.0}
    for line in server.ask("GET", "/metrics").decode().splitlines():
        if line.startswith("yagura_monitor_evaluations"):
            for name in counts:
                counts[name] += float(line.split()[-1]) if f'outcome="{name}"' in line else 0
    return counts["done"], counts["failed"]


def monitors(bench):
    server = fresh(bench, "monitors")
    try:
        feeds = [start_load(bench, server, "logs", "--rows", 1_000_000_000, "--rate", 2000, "--batch", 1000, "--live", "yes", "--connections", 1),
                 start_load(bench, server, "points", "--rows", 1_000_000_000, "--rate", 5000, "--batch", 2000, "--live", "yes", "--connections", 1)]
        try:
            time.sleep(60)
            before = server.cpu_s()
            time.sleep(60)
            without = server.cpu_s() - before
            make_monitors(server, bench.args.monitors)
            time.sleep(65)
            before, evaluated = server.cpu_s(), evaluations(server)
            time.sleep(120)
            with_all = (server.cpu_s() - before) / 2
            done, failed = ((now - then) / 2 for now, then in zip(evaluations(server), evaluated))
        finally:
            for feed in feeds:
                feed.send_signal(signal.SIGKILL)
                feed.wait()
                feed.stdout.close()
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
    print(f"{bench.args.monitors} monitors: {with_all - without:.1f} CPU s a minute (goal 30 for 5,000); the rows alone cost {without:.1f}; "
          f"{done:,.0f} evaluations a minute, {failed:,.0f} failed")
    return {"monitors": bench.args.monitors, "evaluations_per_minute": done, "failed_per_minute": failed, "cpu_s_per_minute": with_all - without, "rows_alone_cpu_s_per_minute": without}


# ---------------------------------------------------------------- recovery
def recovery(bench):
    server = fresh(bench, "recovery")
    out = []
    try:
        for kind in ("logs", "spans"):
            load = start_load(bench, server, kind, *bench.rows_options(kind), "--batch", 2000)
            largest = 0
            while load.poll() is None:
                largest = max(largest, server.wal_bytes())
                time.sleep(0.05)
            load.stdout.close()
            server.process.kill()
            server.process.wait()
            server.connection = None
            log_bytes, clock = server.wal_bytes(), time.monotonic()
            server.start()
            wall = time.monotonic() - clock
            out.append({"kind": kind, "wal_mib": log_bytes / 2**20, "largest_wal_mib": largest / 2**20, "wall_s": wall, "cpu_s": server.cpu_s(),
                        "s_per_gib": wall / (log_bytes / 2**30)})
            print(f"recovery after {kind}: {log_bytes / 2**20:.0f} MiB of log in {wall:.2f} s ({out[-1]['s_per_gib']:.2f} s per GiB, goal 2)")
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
    return out
