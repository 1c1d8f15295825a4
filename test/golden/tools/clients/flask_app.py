# SPDX-License-Identifier: Apache-2.0
"""One short life of a Flask application under `ddtrace-run`; calls itself, then exits."""
import os
import threading
import time
import urllib.request

from ddtrace import tracer
from flask import Flask
from werkzeug.serving import make_server

app = Flask("shop")


@app.route("/orders/<oid>")
def orders(oid):
    with tracer.trace("db.query", service="orders-db", resource="SELECT * FROM orders", span_type="sql") as span:
        span.set_tag("db.statement", "SELECT * FROM orders WHERE id = ?")
        span.set_tag("db.row_count", 1)
    return {"id": oid}


@app.route("/fail")
def fail():
    raise ValueError("order book is empty")


@app.route("/linked")
def linked():
    root = tracer.current_span()
    with tracer.trace("price.compute", resource="größe 大 ✓") as span:
        span.set_link(trace_id=root.trace_id, span_id=root.span_id, attributes={"why": "golden"})
    return "ok"


server = make_server("127.0.0.1", 0, app)
threading.Thread(target=server.serve_forever, daemon=True).start()
for path in ("/orders/1", "/fail", "/linked", "/missing"):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}").read()
    except urllib.error.HTTPError:
        pass
tracer.flush()
time.sleep(float(os.environ.get("GOLDEN_LINGER_MS", "2500")) / 1000)
