"""A hook that writes a trace of each call and measures it, by OpenTelemetry's API. SDK and gateway share it.

    observe = OpenTelemetry(tracer_provider, meter_provider).begin(call)    # before the call; told of its end

One span a call with a child for each attempt; the call's span is made when it begins, so that what is sent upstream can name it
(`traceparent`). The attempts' spans are written at the end, with the times they had. Needs the extra `otel`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dragoman.catalog.cost import minute_of_day
from dragoman.engine.call import Attempt, Call, Observer, Settlement
from dragoman.engine.price import answering
from dragoman.telemetry import attributes, content
from dragoman.telemetry import conventions as names
from dragoman.telemetry.call_facts import elapsed, first_chunk

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

logger = logging.getLogger("dragoman.telemetry")

SCOPE = "dragoman"
TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
Metadata = Mapping[str, Any]
More = Callable[[Call, Metadata], Mapping[str, Any]]

_propagator = TraceContextTextMapPropagator()


class OpenTelemetry:
    """`content`: messages are written into the span too; `more` gives further attributes of a call that has ended.
    `propagate`: the provider is told the trace's id. Without a meter provider nothing is measured.
    """

    def __init__(
        self,
        tracers: TracerProvider,
        meters: MeterProvider | None = None,
        *,
        content: bool = False,
        propagate: bool = True,
        more: More | None = None,
    ) -> None:
        self._providers = (tracers, meters)
        self._tracer = tracers.get_tracer(SCOPE)
        self._measures = None if meters is None else _Measures(meters)
        self._content = content
        self._propagate = propagate
        self._more = more

    def begin(self, call: Call, *, carrier: Mapping[str, str] | None = None, metadata: Metadata | None = None) -> Observer:
        """What is to be told of the call's end. `carrier`: the headers of the request that it answers, where there is one;
        else the current span is the parent. `metadata`: what the caller says beside the request.
        """
        served = carrier is not None
        parent = _propagator.extract(carrier) if carrier is not None else None
        span = self._tracer.start_span(
            f"{attributes.operation(call)} {call.model}",
            parent,
            SpanKind.SERVER if served else SpanKind.CLIENT,
            attributes.at_the_beginning(call),
        )
        if self._propagate:
            _tell(call, span)
        if self._content and call.options.relay:
            call.options = replace(call.options, relay=False)  # of an answer that is relayed unread nothing is known
        return lambda ended: self._ended(span, ended, metadata or {})

    def close(self) -> None:
        """Everything goes out, and nothing more comes; blocks. The program's own providers are its own to end."""
        theirs = (trace.get_tracer_provider(), metrics.get_meter_provider())
        for provider in self._providers:
            shutdown = getattr(provider, "shutdown", None)
            if shutdown is not None and provider not in theirs:
                shutdown()

    def _ended(self, span: Span, call: Call, metadata: Metadata) -> None:
        try:
            self._end(span, call, metadata)
        except Exception:
            logger.exception("A call could not be traced")

    def _end(self, span: Span, call: Call, metadata: Metadata) -> None:
        if self._measures is not None:
            self._measures.take(call)
        now = time.time_ns()
        if span.is_recording():
            settlement = call.settlement or Settlement(cancelled=True)
            span.set_attributes(attributes.at_the_end(call, minute=minute_of_day(now / 1e9)))
            if self._content:
                span.set_attributes(_content(call))
            if self._more is not None:
                span.set_attributes(self._more(call, metadata))
            if settlement.error is not None:
                span.set_status(StatusCode.ERROR, str(settlement.error))
            self._write_attempts(trace.set_span_in_context(span), call, now)
        span.end(now)

    def _write_attempts(self, parent: Context, call: Call, now: int) -> None:
        clock = call.clock
        if clock is None:
            return
        start = now - int(clock() * 1e9)
        last = answering(call)
        for attempt in call.attempts:
            goes_on = attempt is last and attempt.error is None
            ended = None if goes_on else attempt.ended  # a stream goes on after its first event
            self._write_attempt(parent, attempt, start, now if ended is None else start + int(ended * 1e9))

    def _write_attempt(self, parent: Context, attempt: Attempt, start: int, ended: int) -> None:
        span = self._tracer.start_span(
            f"attempt {attempt.deployment.id}",
            parent,
            SpanKind.CLIENT,
            attributes.of_attempt(attempt),
            start_time=start + int(attempt.began * 1e9),
        )
        if attempt.error is not None:
            span.set_status(StatusCode.ERROR, attempt.error.message)
        span.end(ended)


class _Measures:
    """The client metrics of the convention."""

    def __init__(self, meters: MeterProvider) -> None:
        create = meters.get_meter(SCOPE).create_histogram
        self._duration = create(names.DURATION, "s", "How long a call took", explicit_bucket_boundaries_advisory=names.SECONDS)
        self._tokens = create(
            names.TOKEN_USAGE, "{token}", "Tokens of a call", explicit_bucket_boundaries_advisory=names.TOKENS
        )
        self._first = create(
            names.TIME_TO_FIRST_CHUNK,
            "s",
            "How long a stream took to begin",
            explicit_bucket_boundaries_advisory=names.FIRST_SECONDS,
        )

    def take(self, call: Call) -> None:
        told = attributes.measured(call)
        self._duration.record(elapsed(call), told)
        if (waited := first_chunk(call)) is not None:
            self._first.record(waited, told)
        usage = None if call.settlement is None else call.settlement.usage
        if usage is not None:
            self._tokens.record(usage.input_tokens, {**told, names.TOKEN_TYPE: "input"})
            self._tokens.record(usage.output_tokens, {**told, names.TOKEN_TYPE: "output"})


def _tell(call: Call, span: Span) -> None:
    """Name the span in the headers of what is sent upstream, unless the caller has done so."""
    context = span.get_span_context()
    extra = call.options.extra_headers
    if not context.is_valid or any(name == TRACEPARENT for name, _ in extra):
        return
    told = [(TRACEPARENT, f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}")]
    if context.trace_state:
        told.append((TRACESTATE, context.trace_state.to_header()))
    call.options = replace(call.options, extra_headers=(*extra, *told))


def _content(call: Call) -> dict[str, str]:
    found = {names.INPUT_MESSAGES: content.asked(call), names.OUTPUT_MESSAGES: content.answered(call)}
    return {name: text for name, text in found.items() if text is not None}
