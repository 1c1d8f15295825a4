# SPDX-License-Identifier: Apache-2.0
"""DogStatsD over UDP and the v1 HTTP API with the `datadog` package."""
import os

from datadog import api, initialize
from datadog.dogstatsd import DogStatsd

if os.environ["GOLDEN_WHAT"] == "statsd":
    s = DogStatsd(host="127.0.0.1", port=int(os.environ["GOLDEN_UDP_PORT"]), constant_tags=["env:prod"],
                  disable_buffering=False, flush_interval=0, telemetry_min_flush_interval=3600)
    s.increment("app.hits", 2, tags=["route:/orders"])
    s.gauge("app.temperature", -3.5)
    s.gauge_with_timestamp("app.level", 8, 1790000000, tags=["tank:1"])
    s.count_with_timestamp("app.batch", 12, 1790000000)
    s.histogram("app.size", 10.5, sample_rate=1)
    s.distribution("app.latency", 0.2, tags=["route:/orders"])
    s.set("app.users", "alice")
    s.timing("app.query", 31)
    s.event("Größe geändert", "zeile 1\nzeile 2", alert_type="error", aggregation_key="agg", priority="low",
            source_type_name="nagios", date_happened=1790000000, hostname="web-1", tags=["k:v"])
    s.service_check("app.db", DogStatsd.CRITICAL, timestamp=1790000000, hostname="web-1",
                    message="down now\nm: yes", tags=["db:orders"])
    s.flush()
else:
    initialize(api_key="0123456789abcdef0123456789abcdef", app_key="0123456789abcdef0123456789abcdef01234567",
               api_host=os.environ["GOLDEN_API"], mute=False)
    api.Metric.send(metric="batch.rows", points=[(1790000000, 12), (1790000010, 15.5)], type="count",
                    host="web-1", tags=["env:prod", "job:nightly"], interval=10)
    api.Metric.send([{"metric": "batch.age", "points": (1790000000, 3), "type": "gauge", "tags": ["env:prod"]},
                     {"metric": "batch.rate", "points": (1790000000, 0.5), "type": "rate", "interval": 10}])
    api.Distribution.send(metric="batch.latency", points=[(1790000000, [0.1, 0.2, 0.4]), (1790000010, [1.5])],
                          host="web-1", tags=["env:prod"])
    api.ServiceCheck.check(check="batch.ok", host_name="web-1", status=2, timestamp=1790000000,
                           message="no rows", tags=["job:nightly"])
    api.Event.create(title="Batch done", text="%%% \n12 rows \n %%%", tags=["job:nightly"], alert_type="success",
                     aggregation_key="batch", priority="low", host="web-1", date_happened=1790000000)
