#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures yagura beside its peers in one run: the same rows, the same questions, one server at a time.

  make bench PEERS=1 [PEERS_ARGS="--rows 1000000 --suite load,query"]   sets the peers up, then runs this
  bench/peers.py [--suite load,query] [--rows 1000000] [--kinds logs,spans,points] [--servers yagura,victorialogs,…]

load     CPU seconds per million rows (merges included, settled), bytes a row, peak memory
query    CPU milliseconds a question, warm, and whether the answers agree; the column "again" is yagura asked the
         very same question again (it remembers parts of answers), the ratio is of questions it has not seen
The other suites are in bench/peers_more.py: scale, mixed, monitors, recovery.
CPU is that of the server process; wall time is shown only where it is the point.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import peers_more
import peers_queries as q
import peers_servers as s

PEERS = {"logs": [s.VictoriaLogs, s.ClickHouse], "spans": [s.VictoriaLogs, s.ClickHouse], "points": [s.VictoriaMetrics]}
# What a kind may cost: share of the named peer's CPU, share of its bytes, and absolute limits.
LOAD_GOALS = {"logs": {"peer": "victorialogs", "cpu": 0.25, "bytes": 0.6},
              "spans": {"peer": "victorialogs", "cpu": 0.25, "bytes_limit": 43},
              "points": {"peer": "victoriametrics", "cpu": 0.25, "bytes_limit": 0.6}}
HISTORY_POINTS = 60  # points of a series in one body while the past is filled in


def log(*words):
    print(*words, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, args):
        self.args = args
        self.work = pathlib.Path(args.work)
        self.end_ms = int(time.time()) * 1000 // 60000 * 60000
        self.results = {"date": time.strftime("%Y-%m-%d"), "rows": args.rows, "load": [], "query": []}

    def servers(self, kind):
        made = []
        for cls in [s.Yagura, *PEERS[kind]]:
            if self.args.servers and cls.name not in self.args.servers:
                continue
            server = cls(self.work / f"{kind}-{cls.name}", self.args.peers, self.args.build)
            why = server.missing()
            if why:
                log(f"{cls.name} is left out: {why}")
            else:
                made.append(server)
        return made

    def rows_options(self, kind):
        """Options of yagura-load that give every server the same rows."""
        return ["--rows", self.args.rows, "--seed", self.args.seed, "--end-ms", self.end_ms]

    def window(self, kind):
        hours = {"logs": min(24, self.args.rows / 1e6 * 4.8), "spans": min(24, self.args.rows / 1e6 * 7.8), "points": self.args.hours}[kind]
        w = q.Window(self.end_ms - int(hours * q.HOUR_MS), self.end_ms + (0 if kind == "points" else 10_000))
        if kind == "points":
            return w
        maker = subprocess.Popen([str(pathlib.Path(self.args.build) / "bench/yagura-load"), kind, "--form", "flat", "--out", "-",
                                  *map(str, self.rows_options(kind))], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        rows = [json.loads(maker.stdout.readline()) for _ in range(900)]
        maker.kill()
        maker.wait()
        if kind == "logs":
            row = next(r for r in rows[400:] if "dd.trace_id" in r)
            w.request_id, w.log_trace_id, w.user = row["request_id"], row["dd.trace_id"], row["user_id"] if "user_id" in row else ""
        else:
            w.span_trace_id = rows[500]["trace_id"]
        return w

    # ------------------------------------------------------------ load
    def fill(self, server, kind):
        """Sends the rows; returns (what the generator printed, CPU seconds of it)."""
        if isinstance(server, s.ClickHouse):
            server.run(q.clickhouse_tables()[kind])
        if kind != "points":
            before = server.cpu_s()
            return server.load(kind, [*self.rows_options(kind), "--batch", 2000]), before
        fresh = 60  # the newest passes come one point at a time: the way agents send
        passes = int(self.args.hours * 360)
        common = ["--series", q_series(self.args), "--seed", self.args.seed]
        if passes > fresh:
            server.load(kind, [*common, "--rows", (passes - fresh) // HISTORY_POINTS * HISTORY_POINTS * q_series(self.args), "--points", HISTORY_POINTS,
                               "--batch", 6000, "--end-ms", self.end_ms - fresh * 10_000])
            time.sleep(5)
        before = server.cpu_s()
        return server.load(kind, [*common, "--rows", min(passes, fresh) * q_series(self.args), "--batch", 2000, "--end-ms", self.end_ms]), before

    def load(self, server, kind):
        shutil.rmtree(server.folder, ignore_errors=True)
        server.start()
        clock = time.monotonic()
        sent, before = self.fill(server, kind)
        wall = time.monotonic() - clock
        acknowledged = server.cpu_s() - before
        time.sleep(self.args.settle)
        settled, peak, written = server.cpu_s() - before, server.peak_mib(), server.written_bytes()
        server.stop()
        stored = server.disk_bytes()
        rows = sent["rows"]
        all_rows = rows if kind != "points" else int(self.args.hours * 360) * q_series(self.args)
        result = {"kind": kind, "server": server.name, "rows": all_rows, "cpu_s_per_million": settled / rows * 1e6,
                  "cpu_s_per_million_acknowledged": acknowledged / rows * 1e6, "bytes_per_row": stored / all_rows,
                  "written_per_row": written / all_rows, "peak_mib": peak, "wall_s": wall, "refused": sent["refused"], "resent": sent["resent"], "slowest_ms": sent["slowest_ms"]}
        log(f"  {kind} {server.name}: {result['cpu_s_per_million']:.2f} CPU s/M, {result['bytes_per_row']:.2f} B a row, {peak:.0f} MiB peak, "
            f"{wall:.1f} s wall, {sent['refused']} refused, {sent['resent']} sent again")
        self.results["load"].append(result)

    # ------------------------------------------------------------ query
    def measure(self, server, ask):
        """(answer, CPU ms a query, median wall ms, repetitions), warm."""
        answer = ask(server)
        clock = time.monotonic()
        ask(server)
        once = time.monotonic() - clock
        if once > 3:
            self.rest(server)
        reps, walls = 0, []
        ticks, fine, begin = server.cpu_s(), server.thread_cpu_ns(), time.monotonic()
        while True:
            clock = time.monotonic()
            ask(server)
            walls.append(time.monotonic() - clock)
            reps += 1
            spent = time.monotonic() - begin
            if reps >= 2000 or spent > self.args.query_s or (reps >= 3 and (server.thread_cpu_ns() - fine) / 1e9 > self.args.query_cpu_s):
                break
        cpu = (server.thread_cpu_ns() - fine) / 1e9
        whole = server.cpu_s() - ticks
        if whole > 0.5 and whole > cpu:
            cpu = whole
        return answer, cpu / reps * 1000, statistics.median(walls) * 1000, reps

    @staticmethod
    def rest(server):
        time.sleep(0.2)

    def queries(self, kind):
        w = self.window(kind)
        if kind == "logs":
            classes = q.log_queries(w)
        elif kind == "spans":
            classes = q.span_queries(w)
        else:
            classes = q.metric_queries(w)
        if self.args.only:
            classes = [c for c in classes if any(word in c.name for word in self.args.only)]
        rows = {c.name: {"kind": kind, "class": c.name, "goal": c.goal, "unchecked": c.unchecked, "servers": {}}
                for c in classes}
        for server in self.servers(kind):
            if not server.folder.exists():
                log(f"no data of {server.name} for {kind}: run the suite load first")
                continue
            server.start()
            time.sleep(3)
            for c in classes:
                ask = getattr(c, server.name, None)
                if ask is None:
                    continue
                try:
                    for name, forget in [(server.name, True), ("again", False)] if isinstance(server, s.Yagura) else [(server.name, False)]:
                        server.forget = forget
                        answer, cpu, wall, reps = self.measure(server, ask)
                        rows[c.name]["servers"][name] = {"cpu_ms": cpu, "wall_ms": wall, "repetitions": reps, "answer": answer}
                except (RuntimeError, KeyError, ValueError, IndexError, TypeError) as e:
                    rows[c.name]["servers"][server.name] = {"error": str(e)[:300]}
                    log(f"  {kind} {c.name} {server.name}: {type(e).__name__} {str(e)[:300]}")
            server.stop()
        for c in classes:
            row = rows[c.name]
            row["agree"] = agreement(c, row["servers"])
            for one in row["servers"].values():
                one.pop("answer", None)
            self.results["query"].append(row)

    def run(self):
        for kind in self.args.kinds:
            if "load" in self.args.suite:
                for server in self.servers(kind):
                    self.load(server, kind)
            if "query" in self.args.suite:
                self.queries(kind)
        peers_more.run(self)


def q_series(args):
    return args.series


# ---------------------------------------------------------------- do the answers agree
def agreement(c, servers):
    """'yes', or in what the servers differ from yagura."""
    if c.unchecked:
        return "not compared: " + c.unchecked
    answers = {name: one["answer"] for name, one in servers.items() if "answer" in one}
    if "yagura" not in answers:
        return "no answer of yagura"
    ours = answers.pop("yagura")
    for name, theirs in answers.items():
        fault = differs(ours, theirs, c.tolerance)
        if fault:
            return f"{name}: {fault}"
    return "yes" if answers else "no peer"


def differs(ours, theirs, tolerance):
    if isinstance(ours, dict):
        # A group without a value is a group that another server does not have.
        ours, theirs = ({k: x for k, x in side.items() if x is not None and x == x} for side in (ours, theirs))
        if set(ours) != set(theirs):
            more, less = sorted(map(str, set(ours) - set(theirs)))[:2], sorted(map(str, set(theirs) - set(ours)))[:2]
            return f"groups: only ours {len(set(ours) - set(theirs))} {more}, only theirs {len(set(theirs) - set(ours))} {less}"
        far = [k for k in ours if not near(ours[k], theirs[k], tolerance)]
        # Percentiles of a few values lie anywhere between two neighbours.
        if len(far) > (len(ours) * 0.05 if tolerance else 0):
            return f"{len(far)} of {len(ours)} groups differ, such as {far[0]}: {ours[far[0]]} and {theirs[far[0]]}"
        return ""
    if isinstance(ours, list):
        return "" if len(ours) == len(theirs) and all(near(a, b, tolerance) for a, b in zip(ours, theirs)) else \
            f"lists: {ours[:3]}… ({len(ours)}) and {theirs[:3]}… ({len(theirs)})"
    return "" if near(ours, theirs, tolerance) else f"{ours} and {theirs}"


def near(a, b, tolerance):
    return abs(a - b) <= max(abs(a), abs(b)) * tolerance + (1e-9 if tolerance else 0)


# ---------------------------------------------------------------- tables
def load_table(results):
    lines = [f"{'kind':8}{'server':17}{'rows':>11}{'CPU s/M':>9}{'B/row':>8}{'written':>9}{'peak MiB':>10}{'CPU ratio':>11}{'goal':>6}{'B ratio':>9}{'goal':>8}"]
    for r in results:
        goal = LOAD_GOALS[r["kind"]]
        peer = next((p for p in results if p["kind"] == r["kind"] and p["server"] == goal["peer"]), None)
        more = ""
        if r["server"] == "yagura" and peer:
            limit = f"{goal['bytes']:.2f}" if "bytes" in goal else f"{goal['bytes_limit']} B"
            more = (f"{r['cpu_s_per_million'] / peer['cpu_s_per_million']:>11.2f}{goal['cpu']:>6}"
                    f"{r['bytes_per_row'] / peer['bytes_per_row']:>9.2f}{limit:>8}")
        lines.append(f"{r['kind']:8}{r['server']:17}{r['rows']:>11}{r['cpu_s_per_million']:>9.2f}{r['bytes_per_row']:>8.2f}{r['written_per_row']:>9.1f}{r['peak_mib']:>10.0f}{more}")
    return "\n".join(lines)


def cell(one):
    if one is None:
        return "–"
    return "error" if "error" in one else f"{one['cpu_ms']:.2f}"


def query_table(results):
    lines = [f"{'kind':7}{'class, CPU ms a query':40}{'yagura':>10}{'again':>9}{'victoria*':>11}{'clickhouse':>11}{'ratio':>8}{'goal':>6}  answers agree"]
    ratios = {}
    for r in results:
        one = r["servers"]
        ours, victoria = one.get("yagura"), one.get("victorialogs") or one.get("victoriametrics")
        house = one.get("clickhouse")
        peers = [p["cpu_ms"] for p in (victoria, house) if p and "cpu_ms" in p]
        ratio = ours["cpu_ms"] / min(peers) if peers and ours and "cpu_ms" in ours else None
        if ratio is not None:
            ratios.setdefault(r["kind"], []).append(ratio)
        lines.append(f"{r['kind']:7}{r['class']:40}{cell(ours):>10}{cell(one.get('again')):>9}{cell(victoria):>11}{cell(house):>11}"
                     f"{f'{ratio:.2f}' if ratio is not None else '–':>8}{r['goal']:>6}  {r['agree']}")
    every = [x for part in ratios.values() for x in part]
    if every:
        lines.append(f"median ratio {statistics.median(every):.2f} (goal 0.5); worse than the better peer: {sum(x > 1 for x in every)} of {len(every)}")
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: [w for w in text.split(",") if w]  # noqa: E731
    parser.add_argument("--suite", type=words, default=["load", "query"])
    parser.add_argument("--kinds", type=words, default=["logs", "spans", "points"])
    parser.add_argument("--servers", type=words, default=[], help="only these; default all that are there")
    parser.add_argument("--only", type=words, default=[], help="only query classes whose name has one of these words")
    parser.add_argument("--rows", type=int, default=1_000_000, help="log rows and span rows")
    parser.add_argument("--series", type=int, default=50_000)
    parser.add_argument("--hours", type=float, default=1.0, help="hours of metric points, one every 10 s a series")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settle", type=float, default=20)
    parser.add_argument("--query-s", type=float, default=6, help="wall seconds a class and server at most")
    parser.add_argument("--query-cpu-s", type=float, default=1, help="CPU seconds after which a class is measured enough")
    parser.add_argument("--scale", type=lambda text: [int(float(n)) for n in text.split(",")], default=[10**6, 10**7],
                        help="rows of the suite scale, such as 1e6,1e7,5e7")
    parser.add_argument("--mixed-s", type=float, default=20)
    parser.add_argument("--monitors", type=int, default=5000)
    parser.add_argument("--build", default=str(s.ROOT / "build"))
    parser.add_argument("--peers", default=str(s.ROOT / "build/peers"))
    parser.add_argument("--work", default=str(s.ROOT / "build/peers/data"), help="data directories; kept between suites")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def main():
    bench = Bench(arguments())
    stamp = bench.work / "end_ms"
    bench.work.mkdir(parents=True, exist_ok=True)
    if "load" in bench.args.suite:
        stamp.write_text(str(bench.end_ms), encoding="utf-8")
    elif stamp.exists():
        bench.end_ms = int(stamp.read_text(encoding="utf-8"))
    bench.run()
    if bench.results["load"]:
        print(load_table(bench.results["load"]))
    if bench.results["query"]:
        print(query_table(bench.results["query"]))
    if bench.args.json:
        bench.args.json.write_text(json.dumps(bench.results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
