# SPDX-License-Identifier: Apache-2.0
"""A loopback receiver of webhooks and Slack messages that can be unwell on demand."""
import http.server
import json
import threading
import time


class Receiver:
    """with Receiver() as hook: hook.url; hook.got = bodies answered with 2xx; hook.tries = all bodies that arrived"""

    def __init__(self, port=0):
        self._port, self.status, self.mute = port, 200, False
        self.tries, self.got, self.headers = [], [], []

    def __enter__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    body = json.loads(raw)
                except ValueError:
                    body = raw
                outer.tries.append(body)
                outer.headers.append(dict(self.headers.items()))
                if outer.mute:                       # takes the message, never answers
                    self.close_connection = True
                    return
                if outer.status < 300:
                    outer.got.append(body)
                self.send_response(outer.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.down()

    def down(self):
        """Connections are refused from here on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def up(self):
        self.__enter__()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}/hook"

    def quiet_for(self, seconds):
        """Wait; the number of messages that came meanwhile."""
        before = len(self.tries)
        time.sleep(seconds)
        return len(self.tries) - before
