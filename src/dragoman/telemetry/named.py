"""Hooks that have a name: what `dragoman.callbacks = ["otel"]` and a gateway's `telemetry` stand for. Each is made once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

from dragoman.core.errors import ConfigurationError
from dragoman.engine.call import Call, Observer

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class Hook(Protocol):
    """Asked when a call begins; what it gives is told when the call has settled. See `OpenTelemetry.begin`."""

    def begin(
        self, call: Call, *, carrier: Mapping[str, str] | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Observer: ...

    def close(self) -> None:
        """What is left goes out; blocks."""


class Nothing:
    """Where everything is switched off."""

    def begin(self, call: Call, **_: Any) -> Observer:  # noqa: ARG002 - as every hook
        return lambda _: None

    def close(self) -> None: ...


def _otel() -> Hook:
    from dragoman.telemetry import exporting  # noqa: PLC0415 - needs an extra

    tracers, meters = exporting.tracers(os.environ), exporting.meters(os.environ)
    from opentelemetry.trace import NoOpTracerProvider  # noqa: PLC0415 - as above; `exporting` says which

    from dragoman.telemetry.opentelemetry import OpenTelemetry  # noqa: PLC0415 - as above

    if tracers is None and meters is None:
        return Nothing()
    capture = os.environ.get(CAPTURE, "").strip().lower() in {"true", "1"}
    return OpenTelemetry(tracers or NoOpTracerProvider(), meters, content=capture)


def _langfuse() -> Hook:
    from dragoman.telemetry import exporting, langfuse  # noqa: PLC0415 - needs an extra

    tracers = exporting.tracers_to(exporting.otlp_spans(**langfuse.place(os.environ)))
    from dragoman.telemetry.opentelemetry import OpenTelemetry  # noqa: PLC0415 - as above

    return OpenTelemetry(tracers, content=True, propagate=False, more=langfuse.more)


_MAKERS: dict[str, Callable[[], Hook]] = {
    "otel": _otel,
    "opentelemetry": _otel,
    "langfuse": _langfuse,
    "langfuse_otel": _langfuse,
}
NAMES = tuple(_MAKERS)


def hook(name: str) -> Hook:
    """Raises ConfigurationError for a name that nobody knows, and for a hook that lacks a library or a key."""
    if name not in _MAKERS:
        raise ConfigurationError(f"no hook is called {name!r}; there are: {', '.join(NAMES)}")
    return _made(_MAKERS[name])


@cache
def _made(make: Callable[[], Hook]) -> Hook:
    return make()
