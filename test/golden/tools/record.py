# SPDX-License-Identifier: Apache-2.0
"""Record the golden requests anew from real clients.

    python3 record.py --node-path DIR/node_modules --cwd /tmp/app [--only REGEXP]

DIR holds the npm packages of clients/*.js; the running Python needs the packages of
clients/*.py and decode.py.  Clients run under the host name `web-1` (own UTS name space,
so this needs root) in a neutral folder, so that no name of the recording machine is kept.
Cases that no client at hand produces are built by craft.py; their NOTE.md says so.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import decode
from recorder import Recorder

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent
DROP = {"host", "connection", "content-length", "transfer-encoding", "accept", "accept-encoding"}


def client_version(name, node_path):
    if name.startswith("npm:"):
        return json.loads((pathlib.Path(node_path) / name[4:] / "package.json").read_text())["version"]
    from importlib.metadata import version
    return version(name[4:])


def write_case(protocol, case, req, note):
    folder = GOLDEN / protocol / case
    folder.mkdir(parents=True, exist_ok=True)
    release = os.uname().release.encode()          # the AWS SDK names the kernel in its user agent
    req["body"] = req["body"].replace(release, b"6.1.0".ljust(len(release), b"0"))
    (folder / "request.bin").write_bytes(req["body"])
    lines = [f"{req['method']} {req['path']} HTTP/1.1" if req["proto"] == "http" else "UDP 8125"]
    for name, value in req["headers"]:
        if name.lower() in DROP:
            continue
        if name.lower() == "datadog-entity-id":
            value = "in-1"
        lines.append(f"{name}: {value}")
    (folder / "headers.txt").write_text("\n".join(lines) + "\n")
    (folder / "NOTE.md").write_text(note.strip() + "\n")
    rows = decode.decode(*decode.load_case(folder))
    (folder / "expect.jsonl").write_text(decode.dump(rows))
    print(f"{protocol}/{case}: {len(req['body'])} bytes, {len(rows)} rows")


def scrub_json(req):
    """Telemetry names the kernel of the machine; say something neutral instead."""
    doc = json.loads(req["body"])
    host = doc.get("host") or {}
    for key in ("kernel_name", "kernel_release", "kernel_version", "os_version"):
        if key in host:
            host[key] = {"kernel_name": "Linux", "kernel_release": "6.1.0", "os_version": "12"}.get(key, "#1 SMP")
    req["body"] = json.dumps(doc, separators=(",", ":")).encode()


class Run:
    def __init__(self, args):
        self.args = args

    def client(self, script, env=None, launcher=()):
        """Run one client to its end against a fresh recorder; the requests it made."""
        cwd = pathlib.Path(self.args.cwd)
        cwd.mkdir(exist_ok=True)
        shutil.copy(HERE / "clients" / script, cwd / script)
        cmd = ["node"] if script.endswith(".js") else [*launcher, sys.executable]
        with Recorder() as rec:
            full = {
                "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": "/tmp", "LANG": "C.UTF-8",
                "NODE_PATH": self.args.node_path, "HOSTNAME": "web-1", "DD_HOSTNAME": "web-1",
                "DD_SERVICE": "shop-api", "DD_ENV": "prod", "DD_VERSION": "1.2.3",
                "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{rec.port}", "DD_AGENT_HOST": "127.0.0.1",
                "DD_DOGSTATSD_PORT": str(rec.udp_port), "GOLDEN_UDP_PORT": str(rec.udp_port),
                "GOLDEN_API": f"http://127.0.0.1:{rec.port}", "GOLDEN_PORT": str(rec.port),
                "DD_TRACE_STARTUP_LOGS": "false", **(env or {}),
            }
            shell = 'hostname web-1 && exec "$@"'
            subprocess.run(["unshare", "--uts", "sh", "-c", shell, "sh", *cmd, script], cwd=cwd, env=full,
                           check=True, timeout=90, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            (cwd / script).unlink()
            return list(rec.requests)


def pick(requests, path, *, key=None, number=0):
    found = [r for r in requests if r["path"].split("?")[0] == path or (r["proto"] == "udp" and path == "udp")]
    if key:
        found = [r for r in found if key(r)]
    if len(found) <= number:
        raise SystemExit(f"no request {number} on {path}; seen: {sorted({r['path'] for r in requests})}")
    return found[number]


def largest(requests, path):
    return max((r for r in requests if r["path"].split("?")[0] == path), key=lambda r: len(r["body"]))


def telemetry(requests, kind):
    return pick(requests, "/telemetry/proxy/api/v2/apmtelemetry",
                key=lambda r: json.loads(r["body"])["request_type"] == kind)


def js_tracer(run, version):
    who = f"npm dd-trace {version('npm:dd-trace')} with express {version('npm:express')} and " \
          f"@aws-sdk/client-dynamodb {version('npm:@aws-sdk/client-dynamodb')}"
    got = run.client("express_app.js", {"DD_TRACE_STATS_COMPUTATION_ENABLED": "true", "GOLDEN_LINGER_MS": "13000"})
    put = lambda proto, case, req, extra: write_case(proto, case, req, f"Recorded from {who}. {extra}")
    put("trace_v04", "ddtrace_js_express", largest(got, "/v0.4/traces"),
        "Largest of its requests: http server and client spans, a DynamoDB call, an error, span link and event as JSON in meta.")
    put("stats_v06", "ddtrace_js", largest(got, "/v0.6/stats"), "Client-side statistics, DDSketch summaries.")
    put("config_v07", "ddtrace_js", pick(got, "/v0.7/config"), "First poll for remote configuration.")
    got_t = run.client("express_app.js", {"DD_TELEMETRY_HEARTBEAT_INTERVAL": "1", "GOLDEN_LINGER_MS": "4000"})
    for kind in sorted({json.loads(r["body"])["request_type"] for r in got_t if r["path"].startswith("/telemetry/")}):
        req = telemetry(got_t, kind)
        scrub_json(req)
        if len(req["body"]) <= 120_000:
            put("telemetry", f"ddtrace_js_{kind.replace('-', '_')}", req, "Kernel and OS words replaced by neutral ones.")
    got = run.client("express_app.js", {"DD_TRACE_AGENT_PROTOCOL_VERSION": "0.5"})
    put("trace_v05", "ddtrace_js_express", largest(got, "/v0.5/traces"), "DD_TRACE_AGENT_PROTOCOL_VERSION=0.5.")
    got = run.client("express_app.js", {"DD_RUNTIME_METRICS_ENABLED": "true", "GOLDEN_LINGER_MS": "13000"})
    req = pick(got, "/dogstatsd/v2/proxy", key=lambda r: b"runtime.node." in r["body"])
    put("dogstatsd_http", "ddtrace_js_runtime_metrics", req, "Runtime metrics over HTTP, because the agent URL is set.")


def py_tracer(run, version):
    who = f"PyPI ddtrace {version('pip:ddtrace')} with flask {version('pip:flask')}"
    put = lambda proto, case, req, extra: write_case(proto, case, req, f"Recorded from {who}. {extra}")
    launcher = ["ddtrace-run"]
    got = run.client("flask_app.py", launcher=launcher)
    put("trace_v05", "ddtrace_py_flask", largest(got, "/v0.5/traces"), "Largest of its requests.")
    polls = [r for r in got if r["path"] == "/v0.7/config"]
    if polls:
        put("config_v07", "ddtrace_py", polls[0], "First poll for remote configuration.")
    for r in got:
        if r["path"].startswith("/telemetry/"):
            scrub_json(r)
            put("telemetry", "ddtrace_py", r, "Kernel and OS words replaced by neutral ones.")
            break
    got = run.client("flask_app.py", {"DD_TRACE_API_VERSION": "v0.4"}, launcher)
    put("trace_v04", "ddtrace_py_flask", largest(got, "/v0.4/traces"), "DD_TRACE_API_VERSION=v0.4.")


def statsd(run, version):
    got = run.client("hotshots.js", {"DD_ENTITY_ID": "pod-1", "DD_EXTERNAL_ENV": "it-false,cn-x,pu-y"})
    lines = b"\n".join(r["body"].rstrip(b"\n") for r in got if r["proto"] == "udp" and b"datadog.dogstatsd.client" not in r["body"])
    lines = re.sub(rb"\|c:in-\d+", b"|c:in-9011", lines)
    who = f"npm hot-shots {version('npm:hot-shots')}"
    write_case("dogstatsd", "hotshots", {"proto": "udp", "method": "UDP", "path": "", "headers": [], "body": lines},
               f"Recorded from {who}, its datagrams joined by newline, container inode replaced. The event text holds a raw newline.")
    got = run.client("datadogpy.py", {"GOLDEN_WHAT": "statsd"})
    keep = [r for r in got if r["proto"] == "udp"]
    body = b"\n".join(r["body"].rstrip(b"\n") for r in keep)
    body = b"\n".join(l for l in body.split(b"\n") if not l.startswith(b"datadog.dogstatsd.client"))
    body = re.sub(rb"\|c:[a-z]+-[0-9a-f]+", b"|c:in-9011", body)
    write_case("dogstatsd", "datadogpy", {"proto": "udp", "method": "UDP", "path": "", "headers": [], "body": body},
               f"Recorded from PyPI datadog {version('pip:datadog')}; its own telemetry lines left out.")


def http_api(run, version):
    got = run.client("datadogpy.py", {"GOLDEN_WHAT": "http"})
    who = f"Recorded from PyPI datadog {version('pip:datadog')}."
    write_case("series_v1", "datadogpy_count", pick(got, "/api/v1/series"), who)
    write_case("series_v1", "datadogpy_list", pick(got, "/api/v1/series", number=1), who)
    write_case("distribution_points", "datadogpy", pick(got, "/api/v1/distribution_points"), who)
    write_case("check_run", "datadogpy", pick(got, "/api/v1/check_run"), who)
    write_case("events_v1", "datadogpy", pick(got, "/api/v1/events"), who)
    got = run.client("api_client.py")
    who = f"Recorded from PyPI datadog-api-client {version('pip:datadog-api-client')}"
    for path, protocol in (("/api/v2/series", "series_v2"), ("/api/v2/logs", "logs_v2"),
                           ("/api/v1/distribution_points", "distribution_points")):
        for r in (r for r in got if r["path"].split("?")[0] == path):
            enc = dict((k.lower(), v) for k, v in r["headers"]).get("content-encoding", "none")
            write_case(protocol, f"api_client_{enc}", r, f"{who}, Content-Encoding {enc}.")
    got = run.client("winston_logs.js")
    who = f"Recorded from npm winston {version('npm:winston')} (HTTP transport) with dd-trace {version('npm:dd-trace')} log injection."
    posts = [r for r in got if r["path"].startswith("/api/v2/logs")]
    for n, r in enumerate(posts[:2]):
        write_case("logs_v2", f"winston_http_{n + 1}", r, who)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--node-path", required=True)
    ap.add_argument("--cwd", default="/tmp/app")
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    run, version = Run(args), lambda name: client_version(name, args.node_path)
    for job in (js_tracer, py_tracer, statsd, http_api):
        if re.search(args.only, job.__name__):
            job(run, version)


if __name__ == "__main__":
    main()
