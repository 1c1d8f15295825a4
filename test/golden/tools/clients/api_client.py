# SPDX-License-Identifier: Apache-2.0
"""Metrics and logs through `datadog-api-client`, in each of its content encodings."""
import os

from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v1.api.metrics_api import MetricsApi as MetricsV1
from datadog_api_client.v1.model.distribution_points_content_encoding import DistributionPointsContentEncoding
from datadog_api_client.v1.model.distribution_points_payload import DistributionPointsPayload
from datadog_api_client.v2.api.logs_api import LogsApi
from datadog_api_client.v2.api.metrics_api import MetricsApi
from datadog_api_client.v2.model.content_encoding import ContentEncoding
from datadog_api_client.v2.model.http_log import HTTPLog
from datadog_api_client.v2.model.http_log_item import HTTPLogItem
from datadog_api_client.v2.model.metric_content_encoding import MetricContentEncoding
from datadog_api_client.v2.model.metric_intake_type import MetricIntakeType
from datadog_api_client.v2.model.metric_payload import MetricPayload
from datadog_api_client.v2.model.metric_point import MetricPoint
from datadog_api_client.v2.model.metric_resource import MetricResource
from datadog_api_client.v2.model.metric_series import MetricSeries

conf = Configuration()
conf.api_key["apiKeyAuth"] = "0123456789abcdef0123456789abcdef"
conf.api_key["appKeyAuth"] = "0123456789abcdef0123456789abcdef01234567"
host = os.environ["GOLDEN_API"].split("//")[1]
conf.server_index = 1
conf.server_variables.update({"protocol": "http", "name": host})
conf.server_operation_index["submit_log"] = 1
conf.server_operation_variables["submit_log"] = {"protocol": "http", "name": host}

TS = 1790000000
series = MetricPayload(series=[
    MetricSeries(metric="api.count", type=MetricIntakeType.COUNT, interval=10, unit="request",
                 points=[MetricPoint(timestamp=TS, value=5.0), MetricPoint(timestamp=TS + 10, value=7.0)],
                 resources=[MetricResource(name="web-1", type="host")], tags=["env:prod", "service:shop"]),
    MetricSeries(metric="api.gauge", type=MetricIntakeType.GAUGE,
                 points=[MetricPoint(timestamp=TS, value=-0.5)], tags=["env:prod"]),
    MetricSeries(metric="api.rate", type=MetricIntakeType.RATE, interval=10,
                 points=[MetricPoint(timestamp=TS, value=1.25)]),
])
logs = HTTPLog([
    HTTPLogItem(message="plain line", ddsource="nginx", ddtags="env:prod,team:shop", hostname="web-1", service="shop"),
    HTTPLogItem(message='{"level":"error","msg":"boom","user":{"id":7}}', ddsource="nodejs", service="shop",
                **{"attr": "größe 大"}),
])
with ApiClient(conf) as client:
    metrics, logapi = MetricsApi(client), LogsApi(client)
    metrics.submit_metrics(body=series)
    for enc in (MetricContentEncoding.GZIP, MetricContentEncoding.DEFLATE, MetricContentEncoding.ZSTD1):
        metrics.submit_metrics(body=series, content_encoding=enc)
    logapi.submit_log(body=logs, ddtags="via:query", content_encoding=ContentEncoding.IDENTITY)
    for enc in (ContentEncoding.GZIP, ContentEncoding.DEFLATE):
        logapi.submit_log(body=logs, content_encoding=enc)
    MetricsV1(client).submit_distribution_points(
        body=DistributionPointsPayload(series=[{
            "metric": "api.dist", "points": [[float(TS), [1.0, 2.5, 4.0]]], "tags": ["env:prod"], "host": "web-1"}]),
        content_encoding=DistributionPointsContentEncoding.DEFLATE)
