# SPDX-License-Identifier: Apache-2.0
"""Fixtures and options of the end-to-end tests. $YAGURA_BIN names the binary (default build/yagura)."""
import itertools
import os
import random
import time

import monitors
import pytest
import server
from receiver import Receiver


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="run the long tests too")


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: long; runs only with --soak")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--soak"):
        return
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="soak test: run with --soak"))


@pytest.fixture(scope="session", autouse=True)
def binary_is_there():
    if not os.access(server.binary(), os.X_OK):
        pytest.exit(f"no binary to test at {server.binary()}: build first, or set YAGURA_BIN", returncode=2)


@pytest.fixture
def make_yagura(tmp_path):
    """make_yagura(*options, env=…) → a started server; stopped (exit 0) at the end of the test."""
    factory = server.Factory(tmp_path)
    yield factory
    factory.end()


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One server for all tests that only add data under names of their own."""
    factory = server.Factory(tmp_path_factory.mktemp("shared"))
    node = factory()
    yield node
    factory.end()


@pytest.fixture(scope="session", autouse=True)
def slow_monitors(request, tmp_path_factory):
    """Monitors that need minutes (z1_monitors_slow.py): begun first, so that they run beside all other tests."""
    if not any("slow_monitors" in item.fixturenames and item.path.name.startswith("z1_") for item in request.session.items):
        yield None
        return
    factory = server.Factory(tmp_path_factory.mktemp("slow"))
    with Receiver() as receiver:
        try:
            begun = monitors.Slow(factory(env=monitors.FAST), receiver)
        except Exception as err:                     # told by the tests that look at it
            begun = err
        yield begun
        factory.end()


@pytest.fixture
def yagura(shared):
    """The shared server; a test that crashes it fails at once and the next one gets a living server."""
    if shared.proc.poll() is not None:
        shared.proc = None
        shared.start()
    yield shared
    code = shared.proc.poll()
    assert code is None, f"the server ended with {code} during this test:\n{shared.tail()}"


_names = itertools.count(1)


@pytest.fixture
def name():
    """A service or metric name that no other test uses."""
    return f"t{next(_names)}x{time.time_ns() % 10**9}"


@pytest.fixture
def fresh_id():
    """Random ids for spans: fresh_id() → 63-bit integer > 0."""
    rng = random.SystemRandom()
    return lambda: rng.getrandbits(63) | 1


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the end of each server's log beside a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        nodes = list(getattr(item.funcargs.get("make_yagura"), "made", []))
        nodes += [item.funcargs[k] for k in ("yagura", "shared") if k in item.funcargs]
        for node in {id(n): n for n in nodes}.values():
            report.sections.append((f"log of {node.log_path.name}", node.tail()))
