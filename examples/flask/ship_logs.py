# SPDX-License-Identifier: Apache-2.0
"""A logging handler that posts JSON lines in batches to yagura's log intake. Standard library only."""
import json
import logging
import os
import queue
import sys
import threading
import traceback
import urllib.error
import urllib.request
from datetime import datetime, timezone

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line; ddtrace puts dd.trace_id and dd.span_id on each record."""

    def format(self, record):
        doc = {
            "timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage(),
        }
        doc.update({k: v for k, v in vars(record).items() if k not in STANDARD})
        if record.exc_info:
            kind, value, tb = record.exc_info
            doc["error.message"], doc["error.kind"] = str(value), kind.__name__
            doc["error.stack"] = "".join(traceback.format_exception(kind, value, tb))
        return json.dumps(doc, default=str)


class HttpHandler(logging.Handler):
    """Queue (bounded; the newest line is dropped when it is full) and one sending thread."""

    def __init__(self, api, key, service, env):
        super().__init__()
        self._url = f"{api}/api/v2/logs?ddsource=python&service={service}&ddtags=env:{env}"
        self._key = key
        self._lines = queue.Queue(maxsize=10_000)
        self._thread = threading.Thread(target=self._send_forever, daemon=True)
        self._thread.start()

    def emit(self, record):
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            pass

    def close(self):
        self._lines.put(None)
        self._thread.join(timeout=5)
        super().close()

    def _send_forever(self):
        going = True
        while going:
            batch = [self._lines.get()]
            while len(batch) < 100:
                try:
                    batch.append(self._lines.get(timeout=0.5))
                except queue.Empty:
                    break
            going = None not in batch
            batch = [line for line in batch if line is not None]
            if batch:
                self._post("[" + ",".join(batch) + "]")

    def _post(self, body):
        req = urllib.request.Request(self._url, body.encode(), {
            "Content-Type": "application/json", "DD-API-KEY": self._key})
        try:
            urllib.request.urlopen(req, timeout=5).read()
        except (urllib.error.URLError, OSError) as err:
            print(f"log intake at {self._url}: {err}", file=sys.stderr)


def set_up():
    """Root logger: JSON to the terminal, and to yagura when YAGURA_API_KEY is set."""
    handlers = [logging.StreamHandler()]
    key = os.environ.get("YAGURA_API_KEY")
    if key:
        handlers.append(HttpHandler(os.environ.get("YAGURA_API", "http://127.0.0.1:8080"), key,
                                    os.environ.get("DD_SERVICE", "shop-flask"), os.environ.get("DD_ENV", "dev")))
    else:
        print("YAGURA_API_KEY is not set: log lines stay in this terminal, traces and metrics are sent", file=sys.stderr)
    for handler in handlers:
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    for noisy in ("ddtrace", "werkzeug", "datadog"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
