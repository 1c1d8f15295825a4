# SPDX-License-Identifier: Apache-2.0
"""The official API client and the `datadog` package, unmodified, pointed at yagura."""
import time
from datetime import datetime, timedelta, timezone

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ForbiddenException, NotFoundException
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v1.api.metrics_api import MetricsApi as MetricsV1
from datadog_api_client.v1.api.monitors_api import MonitorsApi
from datadog_api_client.v1.api.webhooks_integration_api import WebhooksIntegrationApi
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.monitor_options import MonitorOptions
from datadog_api_client.v1.model.monitor_thresholds import MonitorThresholds
from datadog_api_client.v1.model.monitor_type import MonitorType
from datadog_api_client.v1.model.monitor_update_request import MonitorUpdateRequest
from datadog_api_client.v1.model.webhooks_integration import WebhooksIntegration
from datadog_api_client.v2.api.logs_api import LogsApi
from datadog_api_client.v2.api.metrics_api import MetricsApi
from datadog_api_client.v2.api.spans_api import SpansApi
from datadog_api_client.v2.model.content_encoding import ContentEncoding
from datadog_api_client.v2.model.http_log import HTTPLog
from datadog_api_client.v2.model.http_log_item import HTTPLogItem
from datadog_api_client.v2.model.logs_aggregate_request import LogsAggregateRequest
from datadog_api_client.v2.model.logs_aggregation_function import LogsAggregationFunction
from datadog_api_client.v2.model.logs_compute import LogsCompute
from datadog_api_client.v2.model.logs_group_by import LogsGroupBy
from datadog_api_client.v2.model.logs_list_request import LogsListRequest
from datadog_api_client.v2.model.logs_list_request_page import LogsListRequestPage
from datadog_api_client.v2.model.logs_query_filter import LogsQueryFilter
from datadog_api_client.v2.model.metric_content_encoding import MetricContentEncoding
from datadog_api_client.v2.model.metric_intake_type import MetricIntakeType
from datadog_api_client.v2.model.metric_payload import MetricPayload
from datadog_api_client.v2.model.metric_point import MetricPoint
from datadog_api_client.v2.model.metric_series import MetricSeries
from datadog_api_client.v2.model.spans_list_request import SpansListRequest
from datadog_api_client.v2.model.spans_list_request_attributes import SpansListRequestAttributes
from datadog_api_client.v2.model.spans_list_request_data import SpansListRequestData
from datadog_api_client.v2.model.spans_list_request_type import SpansListRequestType
from datadog_api_client.v2.model.spans_query_filter import SpansQueryFilter
from server import API_KEY, APP_KEY, eventually


@pytest.fixture
def client(yagura):
    conf = Configuration()
    conf.api_key.update({"apiKeyAuth": API_KEY, "appKeyAuth": APP_KEY})
    conf.server_index = 1
    conf.server_variables.update({"protocol": "http", "name": yagura.api})
    for operation in ("submit_log",):
        conf.server_operation_index[operation] = 1
        conf.server_operation_variables[operation] = {"protocol": "http", "name": yagura.api}
    with ApiClient(conf) as made:
        yield made


def test_validate(client):
    assert AuthenticationApi(client).validate().valid is True


def test_wrong_key(client):
    client.configuration.api_key["apiKeyAuth"] = "0" * 32
    with pytest.raises(ForbiddenException):
        AuthenticationApi(client).validate()


@pytest.mark.parametrize("encoding", [None, ContentEncoding.GZIP, ContentEncoding.DEFLATE])
def test_logs_sent_searched_and_counted(client, name, encoding):
    logs = LogsApi(client)
    items = [HTTPLogItem(message=f"m{n}", service=name, ddtags="env:conf", ddsource="test", hostname="h1", n=str(n)) for n in range(25)]
    logs.submit_log(HTTPLog(items), **({"content_encoding": encoding} if encoding else {}))
    request = LogsListRequest(filter=LogsQueryFilter(query=f"service:{name}", _from="now-15m", to="now+5m"),
                              page=LogsListRequestPage(limit=10))
    found = eventually(lambda: len(got := list(logs.list_logs_with_pagination(body=request))) == 25 and got)
    assert {f.attributes.message for f in found} == {f"m{n}" for n in range(25)}
    assert found[0].attributes.host == "h1" and "env:conf" in found[0].attributes.tags
    paged = list(logs.list_logs_get_with_pagination(filter_query=f"service:{name}", page_limit=7,
                                                    filter_from=datetime.now(timezone.utc) - timedelta(minutes=15),
                                                    filter_to=datetime.now(timezone.utc) + timedelta(minutes=5)))
    assert len(paged) == 25
    answer = logs.aggregate_logs(LogsAggregateRequest(
        filter=LogsQueryFilter(query=f"service:{name}", _from="now-15m", to="now+5m"),
        compute=[LogsCompute(aggregation=LogsAggregationFunction.COUNT)], group_by=[LogsGroupBy(facet="service")]))
    bucket = answer.data.buckets[0]
    assert bucket.by["service"] == name and float(str(bucket.computes["c0"])) == 25


@pytest.mark.parametrize("encoding", [None, MetricContentEncoding.GZIP, MetricContentEncoding.DEFLATE, MetricContentEncoding.ZSTD1])
def test_metrics_sent_and_queried(client, name, encoding):
    now = int(time.time()) // 10 * 10
    MetricsApi(client).submit_metrics(MetricPayload(series=[MetricSeries(
        metric=f"{name}.m", type=MetricIntakeType.COUNT, interval=10, tags=["env:conf"],
        points=[MetricPoint(timestamp=now - 20, value=3.0), MetricPoint(timestamp=now - 10, value=4.0)])]),
        **({"content_encoding": encoding} if encoding else {}))

    def ask():
        got = MetricsV1(client).query_metrics(_from=now - 300, to=now + 60, query=f"sum:{name}.m{{env:conf}}.as_count()")
        return got.series and sum(p[1] for s in got.series for p in (x.value for x in s.pointlist)) == 7
    eventually(ask)
    assert f"{name}.m" in MetricsV1(client).list_active_metrics(_from=now - 3600).metrics


def test_spans(client, yagura, name, fresh_id):
    import msgpack
    yagura.agent_call("PUT", "/v0.4/traces", msgpack.packb([[{
        "service": name, "name": "op", "resource": "r", "type": "web", "trace_id": fresh_id(), "span_id": fresh_id(), "parent_id": 0,
        "start": time.time_ns(), "duration": 10**6, "error": 0, "meta": {"env": "conf"}, "metrics": {}}]]),
        {"Content-Type": "application/msgpack"})
    request = SpansListRequest(data=SpansListRequestData(type=SpansListRequestType.SEARCH_REQUEST, attributes=SpansListRequestAttributes(
        filter=SpansQueryFilter(query=f"service:{name}", _from="now-15m", to="now+5m"))))
    found = eventually(lambda: SpansApi(client).list_spans(body=request).data)
    attributes = found[0].attributes
    assert (attributes.service, attributes.resource_name, attributes.env) == (name, "r", "conf")
    assert attributes.start_timestamp <= attributes.end_timestamp


def test_monitor_life(client, name):
    api = MonitorsApi(client)
    body = Monitor(name=name, type=MonitorType.QUERY_ALERT, query="avg(last_5m):avg:system.load.1{*} by {host} > 2", message="m",
                   tags=["a:b"], options=MonitorOptions(thresholds=MonitorThresholds(critical=2.0, warning=1.0)))
    api.validate_monitor(body=body)
    made = api.create_monitor(body=body)
    assert made.multi is True and str(made.overall_state) == "No Data"
    assert api.get_monitor(made.id).query == body.query
    changed = api.update_monitor(made.id, body=MonitorUpdateRequest(name=name + "!"))
    assert changed.name == name + "!" and changed.query == body.query
    assert [m.id for m in api.list_monitors(name=name)] == [made.id]
    assert api.delete_monitor(made.id).deleted_monitor_id == made.id
    with pytest.raises(NotFoundException):
        api.get_monitor(made.id)


def test_webhook_life(client, name):
    api = WebhooksIntegrationApi(client)
    made = api.create_webhooks_integration(body=WebhooksIntegration(name=name, url="http://127.0.0.1:9/x"))
    assert made.name == name and "$EVENT_MSG" in made.payload
    assert api.get_webhooks_integration(name).url == "http://127.0.0.1:9/x"
    api.delete_webhooks_integration(name)
    with pytest.raises(NotFoundException):
        api.get_webhooks_integration(name)


def test_datadogpy(yagura, name):
    from datadog import api, initialize
    initialize(api_key=API_KEY, app_key=APP_KEY, api_host=f"http://{yagura.api}", mute=False)
    now = int(time.time())
    assert api.Metric.send(metric=f"{name}.m", points=[(now - 10, 5)], type="gauge", tags=["a:b"])["status"] == "ok"
    assert api.Distribution.send(metric=f"{name}.d", points=[(now - 10, [1, 2, 3])])["status"] == "ok"
    assert api.ServiceCheck.check(check="c", host_name="h", status=0)["status"] == "ok"
    assert api.Event.create(title="t", text="x")["event"]["id"]
    eventually(lambda: api.Metric.query(start=now - 300, end=now + 60, query=f"avg:{name}.m{{a:b}}")["series"])
    made = api.Monitor.create(type="metric alert", query="avg(last_1h):sum:system.net.bytes_rcvd{host:host0} > 100", name=name)
    assert api.Monitor.get(made["id"])["name"] == name
    assert api.Monitor.delete(made["id"]) == {"deleted_monitor_id": made["id"]}
