#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs unit, page and end-to-end tests and closes on "N passed, N failed".

--build DIR   where the binary and the test programs are
--only NAME   unit, page or e2e
--environment only makes the Python environment and prints its python
Unit programs run two at a time; the end-to-end suite runs in a Python environment of its own
(build/venv), made when it is missing. The kill loop uses build/yagura when that is a release build.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNIT_TIMEOUT_S = 600
PASSED = re.compile(r"\[  PASSED  \] (\d+) test")
FAILED = re.compile(r"\[  FAILED  \] (\d+) test")
NODE_COUNT = re.compile(r"^# (pass|fail|skipped) (\d+)$", re.M)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def run_unit_program(path):
    """Returns (name, passed, failed, output)."""
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")
    try:
        done = subprocess.run([str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                              timeout=UNIT_TIMEOUT_S, cwd=ROOT, check=False)
    except subprocess.TimeoutExpired as slow:
        return path.name, 0, 1, f"{path.name} did not end in {UNIT_TIMEOUT_S} s\n{slow.stdout}"
    text = done.stdout.decode(errors="replace")
    passed = sum(int(n) for n in PASSED.findall(text))
    failed = sum(int(n) for n in FAILED.findall(text))
    if done.returncode != 0 and failed == 0:
        failed = 1  # crashed, or a sanitizer spoke
    if passed + failed == 0:
        failed = 1  # a program without tests proves nothing
    return path.name, passed, failed, text


def run_unit(build, tally):
    programs = sorted(p for p in build.glob("t_*") if p.is_file() and os.access(p, os.X_OK))
    if not programs:
        print("no unit test programs in", build)
        tally.add(0, 1)
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for name, passed, failed, text in pool.map(run_unit_program, programs):
            print(f"unit {name}: {passed} passed, {failed} failed", flush=True)
            if failed:
                print(text)
            tally.add(passed, failed)


def run_page(tally):
    done = subprocess.run(["npm", "test", "--silent"], cwd=ROOT / "web", stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    counts = {kind: int(n) for kind, n in NODE_COUNT.findall(text)}
    failed = counts.get("fail", 0) or (1 if done.returncode or not counts.get("pass") else 0)
    print(f"page: {counts.get('pass', 0)} passed, {failed} failed", flush=True)
    if failed:
        print(text)
    tally.add(counts.get("pass", 0), failed, counts.get("skipped", 0))


def python_environment():
    """The environment's python; packages of test/e2e/requirements.txt are installed when they changed."""
    venv = ROOT / "build" / "venv"
    wanted = (ROOT / "test/e2e/requirements.txt").read_bytes()
    stamp = venv / "requirements.txt"
    if not stamp.exists() or stamp.read_bytes() != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "-r",
                        str(ROOT / "test/e2e/requirements.txt")], check=True)
        stamp.write_bytes(wanted)
    return venv / "bin" / "python"


def run_e2e(build, tally):
    python = python_environment()
    results = ROOT / "test-results"
    results.mkdir(exist_ok=True)
    report = results / "e2e.xml"
    report.unlink(missing_ok=True)
    env = dict(os.environ, YAGURA_BIN=str(build / "yagura"), YAGURA_TEST_RESULTS=str(results))
    release = ROOT / "build" / "yagura"
    if release.exists():
        env.setdefault("YAGURA_RELEASE_BIN", str(release))
    subprocess.run([str(python), "-m", "pytest", "test/e2e", "-q", "-m", "not soak", f"--junitxml={report}"],
                   cwd=ROOT, env=env, check=False)
    if not report.exists():
        print("e2e: the suite did not start")
        tally.add(0, 1)
        return
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    total, errors, failures, skipped = (int(suite.get(k, 0)) for k in ("tests", "errors", "failures", "skipped"))
    tally.add(total - errors - failures - skipped, errors + failures, skipped)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--only", choices=["unit", "page", "e2e"])
    parser.add_argument("--environment", action="store_true", help="only make the Python environment; prints its python")
    args = parser.parse_args()
    if args.environment:
        print(python_environment())
        return 0
    build = args.build.resolve()
    tally = Tally()
    if args.only in (None, "unit"):
        run_unit(build, tally)
    if args.only in (None, "page"):
        run_page(tally)
    if args.only in (None, "e2e"):
        run_e2e(build, tally)
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {tally.failed} failed{skipped}")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
