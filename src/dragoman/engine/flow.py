"""The call loop, written once: attempts, retries, the next deployment, and the held first event of a stream.

`answer` and `open_stream` are generators that yield steps (`engine.steps`) and are sent their results; `engine.drive` runs
them, for the event loop and for plain threads. Nothing retries outside this file. A stream may be tried again until its
first event has come; from then on it belongs to the client, and a break is reported, never papered over.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar

from msgspec import Struct

from dragoman.core.chat import Usage, Warning
from dragoman.core.errors import CallError, ResponseDecodeError, UnsupportedParamsError
from dragoman.core.events import Event, ResponseStart, StreamError, UsageReport
from dragoman.core.http import HttpRequest, HttpResponse, TransportFailure, header
from dragoman.core.unfold import unfold
from dragoman.engine import interpret
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.engine.poll import asking, until_there
from dragoman.engine.prepare import Prepared, prepare
from dragoman.engine.steps import Authorize, Close, Open, Read, Send, Sleep, Step
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Direct, Exhausted, Wait

Result = TypeVar("Result")
Flow = Generator[Step, Any, Result]
Clock = Callable[[], float]
Exchange = Callable[[Call, Prepared, Clock], Flow[Result]]

MAX_ERROR_BODY = 64 * 1024
MAX_WHOLE_BODY = 64 * 1024 * 1024
_PREAMBLE = (ResponseStart, Warning, UsageReport)
"""Events that promise nothing yet: after them a stream may still be tried elsewhere."""


class Answer(Struct, frozen=True, kw_only=True):
    """A finished answer. `response` is decoded, or None when `body` is to be relayed as it came."""

    prepared: Prepared
    raw: HttpResponse
    response: Any = None
    usage: Usage | None = None


class OpenedStream(Struct, kw_only=True):
    """A stream that has begun. `reader` turns further bytes into what the client gets.

    When `relay` the reader is a usage tap and `data` holds the bytes as they came, else it is a decoder and `events` holds
    what it made of them. `stream` is None for an answer that came whole.
    """

    prepared: Prepared
    stream: Any = None
    reader: Any = None
    relay: bool = False
    events: list[Event] = []
    data: bytes = b""


def answer(call: Call, clock: Clock, wall: Clock) -> Flow[Answer]:
    """A whole answer. Raises a DragomanError; `clock` is monotonic seconds, `wall` Unix seconds."""
    return _attempts(call, clock, wall, _send)


def open_stream(call: Call, clock: Clock, wall: Clock) -> Flow[OpenedStream]:
    """A stream that has shown its first event. Settling it is up to who reads it on."""
    return _attempts(call, clock, wall, _open)


def _attempts(call: Call, clock: Clock, wall: Clock, exchange: Exchange[Result]) -> Flow[Result]:
    """Whatever ends it early settles the call: an error as that error, an interrupt or a cancelled task as cancelled."""
    attempts = call.attempts
    call.clock = clock
    session = call.session
    if session is None:
        session = call.session = Direct(call.deployments, call.options.retry, call.rng)
    try:
        while True:
            step = session.next(clock())
            if isinstance(step, Wait):
                yield Sleep(step.seconds)
                continue
            if isinstance(step, Exhausted):
                raise step.error
            try:
                prepared = _prepared(call, step)
            except UnsupportedParamsError as problem:  # nothing was sent: another deployment may take what this one does not
                session.failed(problem, clock())
                continue
            attempt = Attempt(step, clock())
            attempts.append(attempt)
            try:
                result = yield from exchange(call, prepared, wall)
            except TransportFailure as failure:
                error: CallError = interpret.transport_error(prepared, failure, attempts=len(attempts))
                error.__cause__ = failure
            except CallError as problem:
                error = problem
            else:
                if call.stream:
                    session.started(clock())
                return result
            finally:
                attempt.ended = clock()
            attempt.error = _placed(error, step, len(attempts))
            session.failed(error, attempt.ended)
    except Exception as error:
        call.settle(Settlement(error=error))
        raise
    except BaseException:
        call.settle(Settlement(cancelled=True))
        raise


def _prepared(call: Call, deployment: Deployment) -> Prepared:
    try:
        prepared = prepare(call, deployment)
    except CallError as error:
        raise _placed(error, deployment, len(call.attempts)) from error.__cause__
    call.warnings = prepared.warnings
    return prepared


def _placed(error: CallError, deployment: Deployment, attempts: int) -> CallError:
    """The error, told where it happened. Those that dialects and transports raise do not know it."""
    error.llm_provider = error.llm_provider or deployment.target.provider.name
    error.model = error.model or deployment.target.model
    error.deployment = deployment.id
    error.attempts = attempts
    return error


def _send(call: Call, prepared: Prepared, wall: Clock) -> Flow[Answer]:
    request = prepared.request if prepared.authorized else (yield Authorize(prepared.request, prepared.deployment.target))
    response: HttpResponse = yield Send(request, prepared.timeouts)
    if prepared.polled and response.status < 300:
        response = yield from until_there(response, prepared, request, prepared.timeouts)
    if response.status >= 300:
        raise interpret.status_error(prepared, response, attempts=len(call.attempts), now=wall())
    decoded = None if prepared.relay else _decoded(call, prepared, response)
    usage = prepared.dialect.read_usage(response.body) if decoded is None else decoded.usage
    if usage is None and decoded is None:
        _decoded(call, prepared, response)  # no usage may mean no answer: garbage, or an error inside a 200
    call.settle(Settlement(usage=usage, response=decoded))
    return Answer(prepared=prepared, raw=response, response=decoded, usage=usage)


def _open(call: Call, prepared: Prepared, wall: Clock) -> Flow[OpenedStream]:
    request = prepared.request if prepared.authorized else (yield Authorize(prepared.request, prepared.deployment.target))
    if hasattr(prepared.dialect, "stream_at"):
        return (yield from _created(call, prepared, request, wall))
    return (yield from _opened(call, prepared, request, wall))


def _created(call: Call, prepared: Prepared, request: HttpRequest, wall: Clock) -> Flow[OpenedStream]:
    """What is created first names where it can be read as it is written; else it is asked for until it is there."""
    response: HttpResponse = yield Send(request, prepared.timeouts)
    place = prepared.dialect.stream_at(response) if response.status < 300 else None
    if place is not None:
        return (yield from _opened(call, prepared, asking(place, request, prepared, request.url), wall))
    response = yield from until_there(response, prepared, request, prepared.timeouts)
    if response.status >= 300:
        raise interpret.status_error(prepared, response, attempts=len(call.attempts), now=wall())
    return OpenedStream(prepared=prepared, events=list(unfold(_decoded(call, prepared, response))))


def _opened(call: Call, prepared: Prepared, request: HttpRequest, wall: Clock) -> Flow[OpenedStream]:
    stream = yield Open(request, prepared.timeouts)
    try:
        if stream.head.status >= 300:
            response = yield from _failed(stream)
            raise interpret.status_error(prepared, response, attempts=len(call.attempts), now=wall())
        if (header(stream.head.headers, "content-type") or "").lower().startswith("application/json"):
            return (yield from _whole(stream, prepared, call))
        hold = _hold_bytes if prepared.relay else _hold_events
        return (yield from hold(stream, prepared, call))
    except GeneratorExit:
        raise  # the driver is gone, and with it whoever could close the stream
    except BaseException:
        yield Close(stream)
        raise


def _failed(stream: Any) -> Flow[HttpResponse]:
    """A failure with as much of its body as comes: a 429 stays one when its body is cut."""
    body = bytearray()
    with suppress(TransportFailure):
        yield from _read_into(body, stream, MAX_ERROR_BODY)
    return HttpResponse(status=stream.head.status, headers=stream.head.headers, body=bytes(body))


def _whole(stream: Any, prepared: Prepared, call: Call) -> Flow[OpenedStream]:
    """The provider did not stream what it was asked to: its answer is unfolded into events."""
    body = bytearray()
    yield from _read_into(body, stream, MAX_WHOLE_BODY)
    response = HttpResponse(status=stream.head.status, headers=stream.head.headers, body=bytes(body))
    events = list(unfold(_decoded(call, prepared, response)))
    yield Close(stream)
    return OpenedStream(prepared=prepared, events=events)


def _read_into(body: bytearray, stream: Any, limit: int) -> Flow[None]:
    while len(body) < limit and (piece := (yield Read(stream))):
        body += piece


def _hold_events(stream: Any, prepared: Prepared, call: Call) -> Flow[OpenedStream]:
    """Read until an event that means something has come: the answer has begun, or it is an error after all."""
    decoder = prepared.dialect.stream_decoder()
    held: list[Event] = []
    while True:
        piece = yield Read(stream)
        events = decoder.feed(piece) if piece else decoder.close()
        held += [interpret.named(event, prepared, stream.head.headers) for event in events]
        for event in events:
            if isinstance(event, StreamError):
                raise interpret.stream_error(prepared, event, attempts=len(call.attempts), headers=stream.head.headers)
        if not piece or any(not isinstance(event, _PREAMBLE) for event in events):
            return OpenedStream(prepared=prepared, stream=stream, reader=decoder, events=held)


def _hold_bytes(stream: Any, prepared: Prepared, call: Call) -> Flow[OpenedStream]:
    """The same for a relayed stream: the tap tells when the first event is whole and whether it is an error."""
    tap = prepared.dialect.stream_tap()
    held: list[bytes] = []
    while not tap.started:
        piece = yield Read(stream)
        if not piece:
            event = StreamError(message="the stream ended before its first event", broken=True)
            raise interpret.stream_error(prepared, event, attempts=len(call.attempts), headers=stream.head.headers)
        tap.feed(piece)
        held.append(piece)
    if tap.error is not None:
        raise interpret.reported_error(
            prepared, tap.error_status, tap.error, attempts=len(call.attempts), headers=stream.head.headers
        )
    data = held[0] if len(held) == 1 else b"".join(held)
    return OpenedStream(prepared=prepared, stream=stream, reader=tap, relay=True, data=data)


def _decoded(call: Call, prepared: Prepared, response: HttpResponse) -> Any:
    """The answer in our words; one that makes no sense is told who was asked."""
    dialect = prepared.dialect
    try:
        if getattr(dialect, "decode_binary", False):
            found = dialect.decode_response(response.body, header(response.headers, "content-type") or "")
        else:
            found = dialect.decode_response(response.body)
    except ResponseDecodeError as error:
        raise ResponseDecodeError(
            f"{prepared.deployment.target.provider.name}: {error.message}",
            body=response.body[:2048].decode("utf-8", "replace"),
            **interpret.context(prepared, attempts=len(call.attempts), headers=response.headers),
        ) from error
    return interpret.named(found, prepared, response.headers)
