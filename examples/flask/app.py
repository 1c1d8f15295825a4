# SPDX-License-Identifier: Apache-2.0
"""A small shop. There is no tracing code in it: `ddtrace-run python app.py` does that part."""
import logging
import os
import signal
import sqlite3
import sys
import time

import ship_logs
from datadog import initialize, statsd
from flask import Flask, g, jsonify, request
from werkzeug.serving import make_server

ship_logs.set_up()
log = logging.getLogger("shop")
initialize(statsd_host=os.environ.get("DD_AGENT_HOST", "127.0.0.1"),
           statsd_port=int(os.environ.get("DD_DOGSTATSD_PORT", "8125")), statsd_namespace="shop")
app = Flask("shop")


def orders_db():
    """A fresh in-memory database for each request: enough to give the traces their SQL spans."""
    if "db" not in g:
        g.db = sqlite3.connect(":memory:")
        g.db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL)")
        g.db.executemany("INSERT INTO orders VALUES (?, ?)", [(n, n * 1.5) for n in range(1, 21)])
    return g.db


def read(order_id):
    return orders_db().execute("SELECT id, total FROM orders WHERE id = ?", (order_id,)).fetchone()


@app.before_request
def start_clock():
    g.start = time.monotonic()


@app.after_request
def count(response):
    tags = [f"route:{request.endpoint or 'none'}", f"status:{response.status_code}"]
    statsd.increment("requests", tags=tags)
    statsd.distribution("request.ms", (time.monotonic() - g.start) * 1000, tags=tags)
    return response


@app.route("/")
def index():
    return "GET /orders/1   one order\nGET /slow       twenty orders, one by one\nGET /fail       an error\n", {
        "Content-Type": "text/plain"}


@app.route("/orders/<int:order_id>")
def order(order_id):
    row = read(order_id)
    log.info("order read", extra={"order_id": order_id, "customer_id": "premium"})
    return jsonify(row)


@app.route("/slow")
def slow():
    """The classic N+1: one query for each order instead of one for all."""
    rows = [read(n) for n in range(1, 21)]
    time.sleep(0.6)
    log.warning("slow list", extra={"orders": len(rows)})
    return jsonify(rows)


@app.route("/fail")
def fail():
    if read(0) is None:
        raise ValueError("order 0 does not exist")
    return "never"


@app.errorhandler(ValueError)
def failed(err):
    statsd.increment("failures", tags=[f"kind:{type(err).__name__}"])
    log.error("request failed", exc_info=err, extra={"route": request.path})
    return jsonify(error=str(err)), 500


def main():
    server = make_server("127.0.0.1", int(os.environ.get("PORT", "5000")), app, threaded=True)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        statsd.flush()
        logging.shutdown()


if __name__ == "__main__":
    main()
