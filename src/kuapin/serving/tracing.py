"""OpenTelemetry traces: a span a request, with the stages of its answer below; sent to a collector by OTLP over HTTP.

Spans carry routes, statuses, request ids and the name of what is worked on; no path, no query and no id of a person.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import kuapin
from kuapin.extras import require
from kuapin.observation import Listener

EXTRA = "tracing"


class Tracing:
    """Makes spans and sends them.

    Args:
        collector: URL of the collector, such as ``http://127.0.0.1:4318``.

    Raises:
        MissingExtraError: the packages are not installed.
    """

    def __init__(self, collector: str) -> None:
        self._trace = require("opentelemetry.trace", EXTRA)
        sdk, export = require("opentelemetry.sdk.trace", EXTRA), require("opentelemetry.sdk.trace.export", EXTRA)
        otlp = require("opentelemetry.exporter.otlp.proto.http.trace_exporter", EXTRA)
        resource = require("opentelemetry.sdk.resources", EXTRA).Resource
        told = resource.create({"service.name": "kuapin", "service.version": kuapin.__version__})
        self._context = require("opentelemetry.context", EXTRA)
        self._propagate = require("opentelemetry.propagate", EXTRA)
        self._provider = sdk.TracerProvider(resource=told)
        exporter = otlp.OTLPSpanExporter(endpoint=f"{collector.rstrip('/')}/v1/traces", timeout=5)
        self._provider.add_span_processor(export.BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("kuapin")

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[Any]:
        """The span of a request; a caller's ``traceparent`` is its parent."""
        parent = self._propagate.extract({name: headers[name] for name in ("traceparent",) if name in headers})
        span = self._tracer.start_span(method, context=parent, kind=self._trace.SpanKind.SERVER)
        token = self._context.attach(self._trace.set_span_in_context(span))
        try:
            yield span
        finally:
            self._context.detach(token)
            span.end()

    def current(self) -> Any:
        """The span of the request that is worked on here."""
        return self._trace.get_current_span()

    @contextmanager
    def work(self, name: str, spans: Sequence[Any]) -> Iterator[Listener]:
        """A span for work that is done for one request or several; stages told to the listener are below it.

        Args:
            name: of the work.
            spans: of the requests: the first is the parent, the others are linked.
        """
        links = [self._trace.Link(one.get_span_context()) for one in spans[1:]]
        span = self._tracer.start_span(name, context=self._trace.set_span_in_context(spans[0]), links=links)
        span.set_attribute("kuapin.requests", len(spans))
        try:
            yield _Stages(self._tracer, self._trace.set_span_in_context(span))
        finally:
            span.end()

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class _Stages:
    """Turns stages into spans."""

    def __init__(self, tracer: Any, context: Any) -> None:
        self._tracer, self._parent = tracer, context

    def stage(self, name: str, seconds: float) -> None:
        """One that has ended just now."""
        end = time.time_ns()
        self._tracer.start_span(name, context=self._parent, start_time=end - int(seconds * 1e9)).end(end)

    def candidates(self, counts: Mapping[str, int]) -> None:
        """Figures, not spans, tell of these."""

    def spread(self, bits: float) -> None:
        """Likewise."""


class Traced:
    """ASGI middleware: a span around every request.

    Args:
        app: the application, its envelope included.
        tracing: makes the spans.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app, self.tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with self.tracing.request(scope["method"], Headers(scope=scope)) as span:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            try:
                await self.app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("http.route", route)
                span.set_attribute("kuapin.request_id", scope.get("state", {}).get("request_id", ""))
