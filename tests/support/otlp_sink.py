"""A place that OTLP over HTTP can be sent to: it keeps what came, decoded by OpenTelemetry's own messages.

    with otlp_sink() as sink: ...        # `sink.url` is what OTEL_EXPORTER_OTLP_ENDPOINT takes

Requests wait for nobody: an exporter that was flushed has been answered, so what it sent is here.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.http_server import QuietHandler, running, url_of


class Sink:
    """`requests` are (path, headers, message)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, dict[str, str], Any]] = []

    @property
    def spans(self) -> list[Any]:
        """In the order they ended."""
        return [
            span
            for path, _, message in self.requests
            if path.endswith("/traces")
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def metrics(self) -> dict[str, Any]:
        """The latest of each name."""
        return {
            metric.name: metric
            for path, _, message in self.requests
            if path.endswith("/metrics")
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def value(any_value: Any) -> Any:
    """An attribute's value as Python has it."""
    kind = any_value.WhichOneof("value")
    found = getattr(any_value, kind)
    return [value(item) for item in found.values] if kind == "array_value" else found


def attributes(holder: Any) -> dict[str, Any]:
    return {pair.key: value(pair.value) for pair in holder.attributes}


@contextmanager
def otlp_sink() -> Iterator[Sink]:
    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name by which http.server calls it
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            kind = ExportTraceServiceRequest if self.path.endswith("/traces") else ExportMetricsServiceRequest
            sink.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, kind.FromString(body)))
            self.answer()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink = Sink(url_of(server))
    with running(server):
        yield sink
