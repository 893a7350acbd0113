"""Traces, as a collector gets them: OTLP over HTTP, to a server of the test."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from kuapin.service_settings import ServiceConfig
from tests import served

USER = "user 003"


class Collector(ThreadingHTTPServer):
    """Keeps the spans that are sent to it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans, self.bodies = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def named(self, name):
        return [span for span in self.spans if span.name == name]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        assert self.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans.extend(scope.spans)
        self.server.bodies.append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def collector():
    server = Collector()
    yield server
    server.shutdown()
    server.server_close()


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_request_is_a_span_with_the_stages_of_its_answer(shop, collector):
    with served.client(shop, traces=collector.url) as client:
        told = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "X-Request-ID": "r-1"}
        client.get(f"/v1/users/{USER}/recommendations", params={"explain": True}, headers=told).raise_for_status()
    (request,) = collector.named("GET /v1/users/{user_id}/recommendations")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == ("ab" * 16, "cd" * 8)
    assert attributes(request) == {
        "http.request.method": "GET",
        "http.route": "/v1/users/{user_id}/recommendations",
        "http.response.status_code": 200,
        "kuapin.request_id": "r-1",
    }
    (work,) = collector.named("answer")
    assert work.parent_span_id == request.span_id
    below = [span for span in collector.spans if span.parent_span_id == work.span_id]
    assert {"histories", "candidates", "ranking", "reasons"} <= {span.name for span in below}
    for span in below:
        assert work.start_time_unix_nano - 1e6 <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.trace_id == request.trace_id
    assert all(b"003" not in body and b"user 0" not in body for body in collector.bodies)


def test_requests_that_are_answered_together_are_linked(shop, collector):
    with served.client(shop, traces=collector.url) as client:
        model = client.app.state.service.live.current.model
        quick, waiting = model.answer, threading.Event()

        def answer(*arguments, **options):
            waiting.wait(1.0)
            return quick(*arguments, **options)

        model.answer = answer
        ask = {"url": "/v1/recommendations", "params": {"user_id": USER}}
        with ThreadPoolExecutor(6) as pool:
            answers = [pool.submit(client.get, **ask) for _ in range(6)]
            assert {one.result().status_code for one in answers} == {200}
    requests = {span.span_id for span in collector.named("GET /v1/recommendations")}
    work = collector.named("answer")
    met = [one for span in work for one in (span.parent_span_id, *(link.span_id for link in span.links))]
    assert sorted(met) == sorted(requests)
    assert len(requests) == 6
    assert len(work) < 6


def test_other_surfaces_are_traced_too(shop, collector):
    with served.client(shop, traces=collector.url) as client:
        client.get("/v1/recommendations", params={"user_id": USER, "surface": "nonsense"})
    (request,) = collector.named("GET /v1/recommendations")
    (work,) = [span for span in collector.named("other") if span.parent_span_id == request.span_id]
    assert attributes(request)["http.response.status_code"] == 422
    assert work.trace_id == request.trace_id


def test_a_collector_that_is_gone_harms_nothing(shop):
    with served.client(shop, traces="http://127.0.0.1:9") as client:
        assert client.get("/v1/recommendations", params={"user_id": USER}).status_code == 200


def test_without_the_setting_nothing_is_traced(shop, collector):
    assert ServiceConfig().traces is None
    with served.client(shop) as client:
        client.get("/v1/recommendations", params={"user_id": USER}).raise_for_status()
        assert client.app.state.service.tracing is None
    assert collector.spans == []
