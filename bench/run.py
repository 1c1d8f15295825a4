#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures this version of yagura: CPU seconds per million rows, bytes per row, resident memory.

CPU is user + system time of the server process (/proc/PID/stat) from before the first row to after the last
acknowledgement, and again after a settling time in which it flushes. Wall time is printed but proves little
on a shared machine. Every kind runs against a directory of its own.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
KEY = "0123456789abcdef0123456789abcdef"


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def start(data, sync):
    env = dict(os.environ, YAGURA_API_KEY=KEY, YAGURA_APP_KEY=KEY + "01234567")
    server = subprocess.Popen([str(pathlib.Path(os.environ.get("YAGURA_BUILD", ROOT / "build")) / "yagura"), "serve", "--data", data, "--listen-api", "127.0.0.1:0",
                               "--listen-agent", "127.0.0.1:0", "--listen-dogstatsd", "127.0.0.1:0", "--wal-sync", sync,
                               "--log-level", "warn"], env=env, stdout=subprocess.DEVNULL)
    for _ in range(200):
        path = pathlib.Path(data) / "endpoints.json"
        if path.exists():
            return server, json.loads(path.read_text(encoding="utf-8"))
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        time.sleep(0.05)
    sys.exit("the server did not start in 10 s")


def file_bytes(data):
    """Segment and metric files, without WAL, catalogue and configuration."""
    skip = ("wal", "catalog.db", "config.db")
    return sum(p.stat().st_size for p in pathlib.Path(data).rglob("*")
               if p.is_file() and not any(str(p.relative_to(data)).startswith(s) for s in skip))


def measure(kind, rows, sync, settle_s):
    data = tempfile.mkdtemp(prefix="yagura-bench-")
    server, endpoints = start(data, sync)
    try:
        time.sleep(2)
        idle = memory_mib(server.pid, "VmRSS")
        before, clock = cpu_seconds(server.pid), time.monotonic()
        out = subprocess.run([str(pathlib.Path(os.environ.get("YAGURA_BUILD", ROOT / "build")) / "bench/yagura-load"), kind, "--address",
                              endpoints["agent" if kind == "spans" else "api"], "--rows", str(rows), "--key", KEY,
                              "--batch", "1000"], stdout=subprocess.PIPE, check=True, text=True).stdout
        taken, wall = cpu_seconds(server.pid) - before, time.monotonic() - clock
        sent = json.loads(out)
        time.sleep(settle_s)
        settled = cpu_seconds(server.pid) - before
        peak = memory_mib(server.pid, "VmHWM")
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=120)
        stored = file_bytes(data)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
        shutil.rmtree(data, ignore_errors=True)
    million = sent["rows"] / 1e6
    return {"kind": kind, "rows": sent["rows"], "cpu_s_per_million": taken / million,
            "cpu_s_per_million_settled": settled / million, "rows_per_cpu_s": sent["rows"] / taken if taken else 0,
            "wall_s": wall, "bytes_in_per_row": sent["bytes"] / sent["rows"], "bytes_stored_per_row": stored / sent["rows"],
            "idle_mib": idle, "peak_mib": peak, "resent": sent["resent"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kinds", default="spans,logs,points")
    parser.add_argument("--wal-sync", default="always")
    parser.add_argument("--settle", type=float, default=10)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    print(f"{'kind':8}{'rows':>10}{'CPU s/M':>9}{'settled':>9}{'rows/CPU s':>12}{'wall s':>8}{'B in':>7}{'B stored':>10}"
          f"{'idle MiB':>10}{'peak MiB':>10}{'resent':>8}")
    results = []
    for kind in args.kinds.split(","):
        r = measure(kind, args.rows, args.wal_sync, args.settle)
        results.append(r)
        print(f"{r['kind']:8}{r['rows']:>10}{r['cpu_s_per_million']:>9.2f}{r['cpu_s_per_million_settled']:>9.2f}"
              f"{r['rows_per_cpu_s']:>12,.0f}{r['wall_s']:>8.1f}{r['bytes_in_per_row']:>7.0f}{r['bytes_stored_per_row']:>10.1f}"
              f"{r['idle_mib']:>10.1f}{r['peak_mib']:>10.1f}{r['resent']:>8}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
