# SPDX-License-Identifier: Apache-2.0
"""A fake agent and intake that keeps every request it gets, byte for byte.

It answers as a healthy agent and intake would, so that unmodified clients go on sending.
Standard library only.  Used by record.py; run alone it prints what arrives:

    python3 recorder.py            # prints the ports, then one line per request
"""
import http.server
import json
import socket
import socketserver
import threading
import time

INFO = {
    "version": "7.78.0",
    "endpoints": [
        "/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v0.7/traces", "/v0.6/stats",
        "/telemetry/proxy/", "/dogstatsd/v2/proxy", "/v0.7/config", "/info",
    ],
    "client_drop_p0s": False,
    "span_meta_structs": True,
    "span_events": False,
    "feature_flags": [],
    "config": {"statsd_port": 8125},
}


def answer_for(path):
    """Status and body that a real agent or intake gives to a good request on this path."""
    if path.startswith("/info"):
        return 200, INFO
    if "/v0.4/traces" in path or "/v0.5/traces" in path or "/v0.7/traces" in path:
        return 200, {"rate_by_service": {"service:,env:": 1}}
    if path.startswith(("/v0.7/config", "/v0.6/stats", "/v1/input", "/dogstatsd")):
        return 200, {}
    if path.startswith("/api/v1/validate"):
        return 200, {"valid": True}
    if path.startswith("/api/v1/events"):
        return 202, {"status": "ok", "event": {"id": 1, "id_str": "1"}}
    if path.startswith("/api/v2/series"):
        return 202, {"errors": []}
    if path.startswith("/api/v1/"):
        return 202, {"status": "ok"}
    return 202, {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _any(self):
        body = self._body()
        self.server.owner.keep({
            "proto": "http", "method": self.command, "path": self.path,
            "headers": [(k, v) for k, v in self.headers.items()], "body": body,
        })
        status, doc = answer_for(self.path)
        data = json.dumps(doc).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                if size == 0:
                    while self.rfile.readline().strip():
                        pass
                    return b"".join(parts)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


class Recorder:
    """with Recorder() as rec: rec.port, rec.udp_port; rec.requests, rec.wait(predicate)"""

    def __init__(self):
        self.requests = []
        self._cond = threading.Condition()

    def keep(self, req):
        with self._cond:
            self.requests.append(req)
            self._cond.notify_all()

    def wait(self, predicate, timeout_s=30.0):
        """Block until predicate(requests) is true; its value, or None after the timeout."""
        deadline = time.monotonic() + timeout_s
        with self._cond:
            while True:
                got = predicate(self.requests)
                if got:
                    return got
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._cond.wait(left)

    def __enter__(self):
        self._http = Server(("127.0.0.1", 0), Handler)
        self._http.owner = self
        self.port = self._http.server_address[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self.udp_port = self._udp.getsockname()[1]
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        threading.Thread(target=self._read_udp, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._udp.close()

    def _read_udp(self):
        while True:
            try:
                body, _ = self._udp.recvfrom(65536)
            except OSError:
                return
            self.keep({"proto": "udp", "method": "UDP", "path": "", "headers": [], "body": body})


if __name__ == "__main__":
    with Recorder() as rec:
        print(f"http 127.0.0.1:{rec.port}  udp 127.0.0.1:{rec.udp_port}", flush=True)
        seen = 0
        while True:
            rec.wait(lambda r: len(r) > seen, 3600)
            for r in rec.requests[seen:]:
                print(r["method"], r["path"], len(r["body"]), flush=True)
            seen = len(rec.requests)
