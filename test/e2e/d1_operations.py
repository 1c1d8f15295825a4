# SPDX-License-Identifier: Apache-2.0
"""The outside of the program: commands, options, exit codes, health, keys, its own metrics."""
import json
import re
import socket
import subprocess
import time

import pytest
from server import API_KEY, APP_KEY, KEYS, binary, eventually, http_request


def run(node, *args, env=None, timeout_s=30):
    return subprocess.run([binary(), *args], env={**node.environment(), **(env or {})}, capture_output=True, text=True,
                          timeout=timeout_s, stdin=subprocess.DEVNULL)


@pytest.fixture
def stopped(make_yagura):
    return make_yagura(start=False)


def test_version(stopped):
    res = run(stopped, "version")
    assert res.returncode == 0, res
    assert re.search(r"\d+\.\d+\.\d+", res.stdout)
    for word in ("commit", "compiler", "sqlite", "zstd"):
        assert word in res.stdout.lower(), res.stdout


def test_help_names_every_option(stopped):
    res = run(stopped, "serve", "--help")
    assert res.returncode == 0, res
    for flag in ("--config", "--data", "--listen-api", "--listen-agent", "--listen-dogstatsd", "--public-url", "--memory-limit",
                 "--wal-sync", "--log-level"):
        assert flag in res.stdout, flag


@pytest.mark.parametrize("args", [("serve", "--no-such-option"), ("serve", "--listen-api"), ("serve", "--listen-api", "nonsense"),
                                  ("serve", "--wal-sync", "sometimes"), ("serve", "--memory-limit", "lots"), ("nosuch",), ()])
def test_bad_usage_is_exit_2(stopped, args):
    extra = ("--data", str(stopped.data)) if "serve" in args else ()
    res = run(stopped, *args, *extra)
    assert res.returncode == 2, res
    assert res.stderr.strip(), "it says what is wrong"
    for word in args[1:]:
        if word.startswith("--") and word != "--data":
            assert word.lstrip("-") in res.stderr


def test_port_in_use_is_exit_3(stopped):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(1)
        port = held.getsockname()[1]
        res = run(stopped, "serve", "--data", str(stopped.data), "--listen-api", f"127.0.0.1:{port}", "--listen-agent", "127.0.0.1:0",
                  "--listen-dogstatsd", "127.0.0.1:0")
    assert res.returncode == 3, res
    assert str(port) in res.stderr


def test_second_server_on_the_same_directory_is_exit_4(yagura):
    res = run(yagura, "serve", "--data", str(yagura.data), "--listen-api", "127.0.0.1:0", "--listen-agent", "127.0.0.1:0",
              "--listen-dogstatsd", "127.0.0.1:0")
    assert res.returncode == 4, res
    assert str(yagura.proc.pid) in res.stderr, "it says who holds it"
    assert yagura.get("/health", keys=False).status == 200


def test_unusable_directory_is_exit_4(stopped, tmp_path):
    (tmp_path / "file").write_text("x")
    res = run(stopped, "serve", "--data", str(tmp_path / "file"), "--listen-api", "127.0.0.1:0", "--listen-agent", "127.0.0.1:0",
              "--listen-dogstatsd", "127.0.0.1:0")
    assert res.returncode == 4, res
    assert str(tmp_path / "file") in res.stderr


def test_check_config(stopped, tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text(f"data: {stopped.data}\nlisten:\n  api: 127.0.0.1:0\nlog:\n  level: warn\n")
    assert run(stopped, "check-config", "--config", str(good)).returncode == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text("listen:\n  api: 127.0.0.1:0\n  agnet: 127.0.0.1:0\nwal:\n  sync: sometimes\n")
    res = run(stopped, "check-config", "--config", str(bad))
    assert res.returncode == 2, res
    said = res.stdout + res.stderr
    assert f"{bad.name}:3" in said and "agnet" in said, said
    assert f"{bad.name}:5" in said, "every fault is named, not only the first"
    assert run(stopped, "check-config", "--config", str(tmp_path / "none.yaml")).returncode == 2
    assert run(stopped, "check-config", env={"YAGURA_WAL_SYNC": "sometimes"}).returncode == 2
    for command in ("check-config", "serve"):
        res = run(stopped, command, env={"YAGURA_API_KEY": "too short"})
        assert res.returncode == 2 and "YAGURA_API_KEY" in res.stderr + res.stdout, res


def test_flags_win_over_environment_over_file(make_yagura, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("public:\n  url: http://file.example\nlog:\n  level: error\n")
    node = make_yagura("--config", str(config), "--public-url", "http://flag.example", env={"YAGURA_PUBLIC_URL": "http://env.example"})
    assert node.get("/api/yagura/v1/setup").json["public_url"] == "http://flag.example"
    node.stop()
    node.args = ["--config", str(config)]
    node.start()
    assert node.get("/api/yagura/v1/setup").json["public_url"] == "http://env.example"
    node.stop()
    node.env = {}
    node.start()
    assert node.get("/api/yagura/v1/setup").json["public_url"] == "http://file.example"


def test_first_start_prints_the_block(make_yagura):
    node = make_yagura(start=False)
    node.environment = lambda: {"PATH": "/usr/bin:/bin"}          # no keys given: random ones are made
    node.start()
    text = node.log()
    for address in (node.api, node.agent, f"{node.dogstatsd[1]}"):
        assert address in text
    api_key = re.search(r"\b[0-9a-f]{32}\b", text)
    app_key = re.search(r"\b[0-9a-f]{40}\b", text)
    assert api_key and app_key, text
    keys = {"DD-API-KEY": api_key[0], "DD-APPLICATION-KEY": app_key[0]}
    assert http_request(node.api, "GET", "/api/v1/monitor", headers=keys).status == 200
    assert http_request(node.api, "GET", "/api/v1/monitor", headers=KEYS).status in (401, 403)
    node.stop()
    size = len(node.log())
    node.start()
    again = node.log()[size:]
    assert api_key[0] not in again and app_key[0] not in again, "printed once"
    assert http_request(node.api, "GET", "/api/v1/monitor", headers=keys).status == 200


def test_endpoints_file(yagura):
    doc = json.loads((yagura.data / "endpoints.json").read_text())
    assert doc["pid"] == yagura.proc.pid
    for door in ("api", "agent", "dogstatsd"):
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", doc[door]), doc


def test_health_ready_metrics(yagura):
    res = yagura.get("/health", keys=False)
    assert res.status == 200 and res.json == {"status": "ok"}
    assert yagura.get("/ready", keys=False).status == 200
    res = yagura.get("/metrics", keys=False)
    assert res.status == 200 and res.headers["content-type"].startswith("text/plain")
    lines = [line for line in res.text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 10
    for line in lines:
        assert re.fullmatch(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="(\\.|[^"\\])*",?)*\})? [-+0-9.eENaInf]+', line), line
    assert all(line.startswith("yagura_") for line in lines)


def test_own_metrics_are_stored_in_itself(make_yagura):
    node = make_yagura()
    node.send_logs([{"message": "m", "service": "s"} for _ in range(7)])
    node.post("/api/v2/logs", b"{broken", headers={"Content-Type": "application/json"})
    def listed():
        names = node.get("/api/v1/metrics", query={"from": int(time.time()) - 3600}).json["metrics"]
        return [n for n in names if n.startswith("yagura.")]
    names = eventually(listed, 45, 0.5, "yagura.* metrics")
    for topic in ("rows", "bytes", "queue", "mem", "rejected"):
        assert [n for n in names if topic in n], f"nothing about {topic} among {names}"


def test_unknown_api_paths_and_page(yagura):
    res = yagura.get("/api/v2/unheard/of")
    assert res.status == 404 and res.json["errors"], res
    page = yagura.get("/traces", keys=False, headers={"Accept": "text/html"})
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    assert yagura.get("/", keys=False, headers={"Accept": "application/json"}).headers["content-type"].startswith("application/json")


def test_page_session(yagura):
    page = yagura.get("/", keys=False, headers={"Accept": "text/html"})
    cookie = page.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    pair = cookie.split(";")[0]
    assert yagura.get("/api/yagura/v1/status", keys=False).status == 401
    assert yagura.get("/api/yagura/v1/status", keys=False, headers={"Cookie": pair}).status == 200
    search = {"filter": {"query": "*"}}
    ok = yagura.post("/api/v2/logs/events/search", search, keys=False,
                     headers={"Cookie": pair, "Origin": f"http://{yagura.api}"})
    assert ok.status == 200, ok
    for origin in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        res = yagura.post("/api/v2/logs/events/search", search, keys=False, headers={"Cookie": pair, **origin})
        assert res.status == 403, (origin, res)
    foreign = yagura.get("/", keys=False, headers={"Accept": "text/html", "Host": "evil.example"})
    assert "set-cookie" not in foreign.headers, "no session for another Host (DNS rebinding)"


@pytest.mark.parametrize("running", [True, False])
def test_keys_create_list_revoke(make_yagura, running):
    node = make_yagura()
    if not running:
        node.stop()
    data = ("--data", str(node.data))
    made = run(node, "key", "create", *data, "--name", "ci")
    assert made.returncode == 0, made
    key = re.search(r"\b[0-9a-f]{32}\b", made.stdout)
    assert key, made.stdout
    listed = run(node, "key", "list", *data)
    assert listed.returncode == 0 and "ci" in listed.stdout, listed
    assert key[0] not in listed.stdout and API_KEY not in listed.stdout and APP_KEY not in listed.stdout, "values stay secret"
    unnamed = run(node, "key", "create", *data)
    assert unnamed.returncode == 0 and re.search(r"\b[0-9a-f]{32}\b", unnamed.stdout), "the name may be left out"
    if not running:
        node.start()
    use = {"DD-API-KEY": key[0], "Content-Type": "application/json"}
    assert node.post("/api/v2/logs", b"[]", headers=use, keys=False).status == 202
    if not running:
        node.stop()
    line = next(line for line in listed.stdout.splitlines() if re.search(r"\bci\b", line))
    ident = re.split(r"\s+", line.strip())[0]
    gone = run(node, "key", "revoke", *data, ident)
    assert gone.returncode == 0, (line, gone)
    if not running:
        node.start()
    eventually(lambda: node.post("/api/v2/logs", b"[]", headers=use, keys=False).status == 403)
    assert node.post("/api/v2/logs", b"[]", headers={"Content-Type": "application/json"}).status == 202


def test_sigint_too_and_sighup_goes_on(make_yagura):
    import signal
    node = make_yagura()
    node.proc.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert node.get("/health", keys=False).status == 200
    node.proc.send_signal(signal.SIGINT)
    assert node.proc.wait(30) == 0
    node.proc = None
    node.check_log()


def test_log_lines_are_json(make_yagura, tmp_path):
    node = make_yagura(start=False)
    err = tmp_path / "err"
    with open(err, "wb") as stream:
        proc = subprocess.Popen(node.command(), env=node.environment(), stdout=subprocess.DEVNULL, stderr=stream)
        eventually(lambda: (node.data / "endpoints.json").exists())
        proc.terminate()
        assert proc.wait(30) == 0
    lines = err.read_text().splitlines()
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict), line


def test_agent_socket_and_ipv6(make_yagura, tmp_path):
    path = tmp_path / "apm.socket"
    node = make_yagura("--agent-socket", str(path), "--listen-api", "[::1]:0")
    assert node.api.startswith("[::1]:")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(b"GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while part := sock.recv(65536):
            got += part
    assert got.startswith(b"HTTP/1.1 200") and b"/v0.4/traces" in got
    node.stop()
    assert not path.exists(), "the socket is removed at the end"
    node.start()
    node.kill9()
    node.start()                                        # a socket left by a killed server is taken over
