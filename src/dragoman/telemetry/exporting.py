"""Where traces and metrics go: OpenTelemetry's providers, by the standard OTEL_* variables, which its exporters read.

A provider that the program has set is used as it is. Else one is made that nobody else sees: OTEL_TRACES_EXPORTER and
OTEL_METRICS_EXPORTER choose `otlp` (over HTTP), `console` or `none`. Needs the extra `otel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dragoman.core.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

_HTTP = "opentelemetry.exporter.otlp.proto.http"
_SPANS = {
    "otlp": (f"{_HTTP}.trace_exporter", "OTLPSpanExporter"),
    "console": ("opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
}
_METRICS = {
    "otlp": (f"{_HTTP}.metric_exporter", "OTLPMetricExporter"),
    "console": ("opentelemetry.sdk.metrics.export", "ConsoleMetricExporter"),
}


def tracers(env: Mapping[str, str]) -> TracerProvider | None:
    """None where traces are switched off. Raises ConfigurationError."""
    trace = _library("opentelemetry.trace")
    theirs: TracerProvider = trace.get_tracer_provider()
    if not isinstance(theirs, trace.ProxyTracerProvider):
        return theirs
    exporter = _exporter(env, "OTEL_TRACES_EXPORTER", _SPANS)
    return None if exporter is None else tracers_to(exporter())


def tracers_to(exporter: Any) -> TracerProvider:
    """A provider that sends spans in batches, from a thread of its own, and the last of them when the process ends."""
    sdk, export = _library("opentelemetry.sdk.trace"), _library("opentelemetry.sdk.trace.export")
    made = sdk.TracerProvider(resource=_resource())
    made.add_span_processor(export.BatchSpanProcessor(exporter))
    provider: TracerProvider = made
    return provider


def meters(env: Mapping[str, str]) -> MeterProvider | None:
    """None where metrics are switched off. Raises ConfigurationError."""
    metrics = _library("opentelemetry.metrics")
    theirs: MeterProvider = metrics.get_meter_provider()
    if type(theirs).__name__ != "_ProxyMeterProvider":
        return theirs
    exporter = _exporter(env, "OTEL_METRICS_EXPORTER", _METRICS)
    if exporter is None:
        return None
    sdk, export = _library("opentelemetry.sdk.metrics"), _library("opentelemetry.sdk.metrics.export")
    reader = export.PeriodicExportingMetricReader(exporter())
    made: MeterProvider = sdk.MeterProvider(metric_readers=[reader], resource=_resource())
    return made


def otlp_spans(**given: Any) -> Any:
    """An exporter to a place of its own."""
    module, name = _SPANS["otlp"]
    return getattr(_library(module), name)(**given)


def _exporter(env: Mapping[str, str], variable: str, table: Mapping[str, tuple[str, str]]) -> Callable[[], Any] | None:
    chosen = env.get(variable, "").strip() or "otlp"
    if chosen == "none":
        return None
    if chosen not in table:
        raise ConfigurationError(f"{variable}: expected {', '.join(table)} or none, found {chosen!r}")
    protocol = env.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or "http/protobuf"
    if chosen == "otlp" and protocol != "http/protobuf":
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken here, found {protocol!r}")
    module, name = table[chosen]
    found: Callable[[], Any] = getattr(_library(module), name)
    return found


def _resource() -> Any:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before the name that is given here."""
    resources = _library("opentelemetry.sdk.resources")
    return resources.Resource({"service.name": "dragoman"}).merge(resources.OTELResourceDetector().detect())


def _library(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise ConfigurationError("OpenTelemetry is not installed: pip install 'dragoman[otel]'") from None
