# SPDX-License-Identifier: Apache-2.0
"""A headless browser over the page: every visit must stay on its own host, without an error in the console."""
import os
import pathlib
import shutil
import subprocess
import time
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
WEB = ROOT / "web"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
RESULTS = pathlib.Path(os.environ.get("YAGURA_TEST_RESULTS") or ROOT / "test-results") / "shots"


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests; without it or without its driver the tests are skipped, with the reason."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip(f"no Chromium at {CHROMIUM}")
    with sync_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """The page, bundled from the sources."""
    node = shutil.which("node")
    if not node or not (WEB / "node_modules").is_dir():
        pytest.skip("node or web/node_modules is missing; run `npm ci` in web/")
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([node, str(WEB / "build.mjs"), str(out)], check=True, timeout=120)
    return out


def start_mock(dist, *options, env=None):
    proc = subprocess.Popen(["node", str(WEB / "dev/mock-server.mjs"), str(dist), "0", *options], stdout=subprocess.PIPE, text=True,
                            env={**os.environ, **(env or {})})
    line = proc.stdout.readline()
    assert "http://" in line, line
    return proc, line.split()[-1].rstrip("/")


@pytest.fixture(scope="session")
def mock(dist):
    """Address of the development server with its invented data."""
    proc, url = start_mock(dist)
    yield url
    proc.terminate()
    proc.wait(10)


@pytest.fixture(scope="session")
def mock_empty(dist):
    """The same over a server that never received anything."""
    proc, url = start_mock(dist, "--empty")
    yield url
    proc.terminate()
    proc.wait(10)


@pytest.fixture(scope="session")
def mock_failing(dist):
    """The same, but every call of the page's own API is refused."""
    proc, url = start_mock(dist, env={"MOCK_FAIL": "/api/"})
    yield url
    proc.terminate()
    proc.wait(10)


class Visit:
    """One page in its own browser context, with what went wrong on it."""

    def __init__(self, browser, base, path, size, theme, lang, zone, expect_refusals):
        self.base, self.host = base, urllib.parse.urlsplit(base).netloc
        self.expect_refusals = expect_refusals
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme, timezone_id=zone, locale="en-US",
                                           reduced_motion="reduce")
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.console, self.foreign, self.refused = [], [], []
        self.page.on("console", lambda m: self.console.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.console.append(f"uncaught: {e}"))
        self.page.on("request", self._request)
        self.page.on("response", lambda r: self.refused.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        self.page.goto(base + path + (("&" if "?" in path else "?") + f"lang={lang}" if lang else ""))
        self.settle()

    def _request(self, request):
        url = urllib.parse.urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.netloc != self.host:
            self.foreign.append(request.url)

    def settle(self):
        """Waits until the page is drawn and no panel is busy."""
        self.page.wait_for_selector("h1")
        self.until("!document.querySelector('[aria-busy=true]')")

    def until(self, expression, timeout_s=10):
        """Polls an expression; the page's own policy forbids the driver's wait_for_function, which needs eval."""
        deadline = time.monotonic() + timeout_s
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {expression} at {self.url}"
            self.page.wait_for_timeout(30)

    @property
    def url(self):
        return self.page.url[len(self.base):]

    def key(self, *keys):
        for k in keys:
            self.page.keyboard.press(k)

    def overflow(self):
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    def shot(self, name):
        RESULTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(RESULTS / f"{name}.png"))

    def check(self):
        console = [x for x in self.console if not (self.expect_refusals and "Failed to load resource" in x)]
        assert not console, console
        assert not self.foreign, f"requests to another host: {self.foreign}"
        assert self.expect_refusals or not self.refused, self.refused


@pytest.fixture
def visit(browser, request):
    """visit(base, path, …) opens a page; at the end of the test nothing may have gone wrong on it."""
    opened = []

    def make(base, path, size=(1440, 900), theme="light", lang=None, zone="Asia/Tokyo", expect_refusals=False):
        opened.append(Visit(browser, base, path, size, theme, lang, zone, expect_refusals))
        return opened[-1]

    yield make
    failed = getattr(request.node, "rep_call", None) and request.node.rep_call.failed
    try:
        if not failed:
            for one in opened:
                one.check()
    finally:
        for n, one in enumerate(opened):
            if failed:
                one.shot(f"failed-{request.node.name[:60].replace('/', '_')}-{n}")
            one.context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    setattr(item, f"rep_{report.when}", report)
    return report
