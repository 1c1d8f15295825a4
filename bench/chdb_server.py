#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ClickHouse's engine behind a loopback port, so that its CPU is that of a process: chdb_server.py PORT DIRECTORY

POST /query answers with JSONCompact, POST /run with nothing. Database `bench` is made at the start.
"""
import http.server
import sys

from chdb import session


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None

    def do_POST(self):  # noqa: N802 (the base class names it)
        sql = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            answer, status = self.store.query(sql, "JSONCompact" if self.path == "/query" else "Null").bytes() or b"{}", 200
        except Exception as e:  # whatever the engine throws is the answer
            answer, status = str(e).encode(), 500
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def main():
    Handler.store = session.Session(sys.argv[2])
    Handler.store.query("CREATE DATABASE IF NOT EXISTS bench")
    Handler.store.query("USE bench")
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
