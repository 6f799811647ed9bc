"""The call loop, written once: attempts, retries, the next deployment, hedges, and the held first event of a stream.

`answer` and `open_stream` are generators that yield steps (`engine.steps`) and are sent their results; `engine.drive` runs
them, for the event loop and for plain threads. Nothing retries outside this file. A stream may be tried again until its
first event has come; from then on it belongs to the client: a break is reported, or `continuation` asks for the rest here, by
`open_rest`. One deadline holds for all of it.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast

from msgspec import Struct
from msgspec.structs import replace

from dragoman.core.chat import Usage, Warning
from dragoman.core.errors import CallError, ResponseDecodeError, Timeout, UnsupportedParamsError
from dragoman.core.events import Event, ResponseStart, StreamError, UsageReport
from dragoman.core.http import HttpRequest, HttpResponse, TransportFailure, header
from dragoman.core.unfold import unfold
from dragoman.engine import interpret
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.engine.poll import asking, until_there
from dragoman.engine.prepare import Prepared, prepare
from dragoman.engine.race import Race
from dragoman.engine.steps import Authorize, Close, Flow, Open, Read, Result, Send, Sleep, Stand
from dragoman.engine.upload import with_file
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Capable, Chooser, Direct, Exhausted, Sessionlike, Wait

Clock = Callable[[], float]
Exchange = Callable[[Call, Prepared, Clock], Flow[Result]]

MAX_ERROR_BODY = 64 * 1024
MAX_WHOLE_BODY = 64 * 1024 * 1024
_PREAMBLE = (ResponseStart, Warning, UsageReport)
"""Events that promise nothing yet: after them a stream may still be tried elsewhere."""


class Answer(Struct, frozen=True, kw_only=True):
    """A finished answer. `response` is decoded, or None when `body` is to be relayed as it came. `read`: what it says, where it
    was looked at all the same, because it counts no tokens.
    """

    prepared: Prepared
    raw: HttpResponse
    response: Any = None
    usage: Usage | None = None
    read: Any = None


class OpenedStream(Struct, kw_only=True):
    """A stream that has begun. `reader` turns further bytes into what the client gets.

    `data` holds the bytes that have come. When `relay` the reader is a usage tap that has seen them, else it is a decoder and
    `events` holds what it made of them. `stream` is None for an answer that came whole.
    """

    prepared: Prepared
    stream: Any = None
    reader: Any = None
    relay: bool = False
    events: list[Event] = []
    data: bytes = b""


def answer(call: Call, clock: Clock, wall: Clock) -> Flow[Answer]:
    """A whole answer: the one that is kept, or a provider's. Raises a DragomanError; `clock` is monotonic seconds, `wall` Unix
    seconds.
    """
    return _attempts(call, clock, wall, _send) if call.lookup is None else call.lookup.answer(call, clock, wall)


def open_stream(call: Call, clock: Clock, wall: Clock) -> Flow[OpenedStream]:
    """A stream that has shown its first event. Settling it is up to who reads it on."""
    return _attempts(call, clock, wall, _open) if call.lookup is None else call.lookup.open_stream(call, clock, wall)


def providers_answer(call: Call, clock: Clock, wall: Clock) -> Flow[Answer]:
    """As `answer`, whatever is kept."""
    return _attempts(call, clock, wall, _send)


def providers_stream(call: Call, clock: Clock, wall: Clock) -> Flow[OpenedStream]:
    """As `open_stream`, whatever is kept."""
    return _attempts(call, clock, wall, _open)


def open_rest(call: Call, rest: Chooser, clock: Clock, wall: Clock, most_wait: float | None = None) -> Flow[OpenedStream]:
    """As `open_stream`, for the rest of one that broke off: `rest` says whom to ask. It settles nothing.

    `most_wait`: seconds in which it must begin to answer.
    """
    return _attempts(call, clock, wall, partial(_open_decoded, most_wait=most_wait), rest)


def _attempts(call: Call, clock: Clock, wall: Clock, exchange: Exchange[Result], rest: Chooser | None = None) -> Flow[Result]:
    """Whatever ends it early settles the call: an error as that error, an interrupt or a cancelled task as cancelled."""
    attempts = call.attempts
    session: Chooser = _begin(call, clock) if rest is None else rest
    deadline, fresh = call.deadline, rest is None
    try:
        while True:
            step = session.next(clock())
            if isinstance(step, Wait):
                if step.turn is None and deadline is not None and clock() + step.seconds >= deadline:
                    raise _late(call)
                yield Sleep(step.seconds) if step.turn is None else Stand(step.turn, step.seconds)
                fresh = False
                continue
            if isinstance(step, Exhausted):
                raise step.error
            try:
                prepared = _prepared(call, step)
            except UnsupportedParamsError as problem:  # nothing was sent: another deployment may take what this one does not
                session.failed(problem, clock())
                continue
            if deadline is not None and not fresh:
                prepared = _within(call, prepared, deadline - clock())
            fresh = False
            attempt = Attempt(step, clock(), reason="" if rest is None else "continuation")
            attempts.append(attempt)
            if session.hedging and (after := cast("Capable", session).hedge_after()) is not None:
                won: Result | None = yield from _raced(call, prepared, attempt, after, _Run(exchange, clock, wall, []))
                if won is None:
                    continue
                _answered(call, session, won, clock)
                return won
            try:
                result = yield from exchange(call, prepared, wall)
            except (TransportFailure, CallError) as problem:
                attempt.error = _error_of(problem, prepared, len(attempts))
            finally:
                attempt.ended = clock()
            if attempt.error is None:
                _answered(call, session, result, clock)
                return result
            session.failed(attempt.error, attempt.ended)
    except Exception as error:
        if rest is None:
            call.settle(Settlement(error=error))
        raise
    except BaseException:
        if rest is None:
            call.settle(Settlement(cancelled=True))
        raise


def _begin(call: Call, clock: Clock) -> Sessionlike:
    call.clock = clock
    total = call.options.timeouts.total
    if total is not None:
        call.deadline = clock() + total
    if call.session is None:
        call.session = Direct(call.deployments, call.options.retry, call.rng)
    return call.session


def _answered(call: Call, session: Chooser, result: Any, clock: Clock) -> None:
    """A whole answer is the end of its call; a stream has shown its first event."""
    if call.stream:
        session.started(clock())
        if session.throughput_guard is not None:
            from dragoman.engine.pace import watch  # noqa: PLC0415 - few have a guard

            watch(result, session.throughput_guard, call)
    else:
        usage = result.usage if len(call.attempts) == 1 else call.sum(result.usage)
        call.settle(Settlement(usage=usage, response=result.read))


def _within(call: Call, prepared: Prepared, left: float) -> Prepared:
    """The attempt with no more time than is `left` for the call, in seconds."""
    if left <= 0:
        raise _late(call)
    given = prepared.timeouts
    return replace(prepared, timeouts=replace(given, total=_least(given.total, left)))


def _late(call: Call) -> CallError:
    """There is no time for another attempt: the last failure, which says more than that."""
    failure = next((attempt.error for attempt in reversed(call.attempts) if attempt.error is not None), None)
    if failure is not None:
        return failure
    message = f"nobody could be asked within the {call.options.timeouts.total:g} s that the call has; raise timeout"
    return Timeout(message, phase="total", attempts=len(call.attempts))


def _error_of(problem: TransportFailure | CallError, prepared: Prepared, attempts: int) -> CallError:
    if isinstance(problem, CallError):
        return _placed(problem, prepared.deployment, attempts)
    error = interpret.transport_error(prepared, problem, attempts=attempts)
    error.__cause__ = problem
    return _placed(error, prepared.deployment, attempts)


# ---------------------------------------------------------------------------------------------------------------- hedges
class _Lane(NamedTuple):
    """One attempt of a race, and the session's word for it."""

    prepared: Prepared
    attempt: Attempt
    tried: Any


class _Run(NamedTuple):
    """What all attempts of a race have in common. `came`: what those that ended well have given."""

    exchange: Exchange[Any]
    clock: Clock
    wall: Clock
    came: list[tuple[_Lane, Any]]


def _raced(call: Call, prepared: Prepared, attempt: Attempt, after: float, run: _Run) -> Flow[Any]:
    """An attempt, and another one beside it when it stays silent. None: all that ran have failed, and the session knows."""
    session = cast("Capable", call.session)
    first = _Lane(prepared, attempt, session.trail[-1])
    try:
        found = yield Race(_lap(call, first, run), after, lambda: _hedge(call, session, run))
        yield from _spared(call, found[1:])
    except GeneratorExit:
        raise  # as in `_opened`
    except BaseException:  # a stream may have begun in the very moment in which the caller left
        yield from _spared(call, run.came)
        raise
    if not found:
        return None
    lane, result = found[0]
    session.won(lane.tried, run.clock())
    call.attempts.remove(lane.attempt)
    call.attempts.append(lane.attempt)
    call.warnings = call.notes + lane.prepared.warnings
    return result


def _spared(call: Call, lanes: list[tuple[_Lane, Any]]) -> Flow[None]:
    """Answers that nobody gets: they are paid for, and their streams are closed."""
    for lane, spare in lanes:
        lane.attempt.cancelled, lane.attempt.usage = True, getattr(spare, "usage", None)
        if call.stream and spare.stream is not None:
            yield Close(spare.stream)


def _hedge(call: Call, session: Capable, run: _Run) -> Flow[tuple[_Lane, Any] | None] | None:
    """The second attempt; None when there is nobody for it."""
    tried = session.hedge(run.clock())
    if tried is None:
        return None
    try:
        prepared = _prepared(call, tried.deployment)
    except CallError as problem:  # nothing was sent
        session.failed(problem, run.clock(), tried)
        return None
    attempt = Attempt(tried.deployment, run.clock(), reason="hedge")
    call.attempts.append(attempt)
    return _lap(call, _Lane(prepared, attempt, tried), run)


def _lap(call: Call, lane: _Lane, run: _Run) -> Flow[tuple[_Lane, Any] | None]:
    """One attempt of a race. A failure is told here, since the race may go on."""
    attempt = lane.attempt
    try:
        result = yield from run.exchange(call, lane.prepared, run.wall)
    except (TransportFailure, CallError) as problem:
        attempt.error = error = _error_of(problem, lane.prepared, len(call.attempts))
        cast("Capable", call.session).failed(error, run.clock(), lane.tried)
        return None
    except (CancelledError, GeneratorExit):
        attempt.cancelled = True
        raise
    else:
        run.came.append((lane, result))
        return lane, result
    finally:
        attempt.ended = run.clock()


# -------------------------------------------------------------------------------------------------------------- attempts
def _prepared(call: Call, deployment: Deployment) -> Prepared:
    try:
        prepared = prepare(call, deployment)
    except CallError as error:
        raise _placed(error, deployment, len(call.attempts)) from error.__cause__
    call.warnings = call.notes + prepared.warnings
    return prepared


def _placed(error: CallError, deployment: Deployment, attempts: int) -> CallError:
    """The error, told where it happened. Those that dialects and transports raise do not know it, nor what is secret there."""
    if error.llm_provider is None:
        interpret.clean(error, deployment.target)
    error.llm_provider = error.llm_provider or deployment.target.provider.name
    error.model = error.model or deployment.target.model
    error.deployment = deployment.id
    error.attempts = attempts
    return error


def _send(call: Call, prepared: Prepared, wall: Clock) -> Flow[Answer]:
    request = (yield from with_file(call, prepared, wall)) if prepared.uploads else prepared.request
    if not prepared.authorized:
        request = yield Authorize(request, prepared.deployment.target)
    response: HttpResponse = yield Send(request, prepared.timeouts)
    if prepared.polled and response.status < 300:
        response = yield from until_there(response, prepared, request, prepared.timeouts)
    if response.status >= 300:
        raise interpret.status_error(prepared, response, attempts=len(call.attempts), now=wall())
    decoded = read = None if prepared.relay else _decoded(call, prepared, response)
    usage = prepared.dialect.read_usage(response.body) if decoded is None else decoded.usage
    if usage is None and decoded is None:
        read = _decoded(call, prepared, response)  # no usage may mean no answer: garbage, or an error inside a 200
    return Answer(prepared=prepared, raw=response, response=decoded, usage=usage, read=read)


def _open(call: Call, prepared: Prepared, wall: Clock) -> Flow[OpenedStream]:
    request = prepared.request if prepared.authorized else (yield Authorize(prepared.request, prepared.deployment.target))
    if hasattr(prepared.dialect, "stream_at"):
        return (yield from _created(call, prepared, request, wall))
    return (yield from _opened(call, prepared, request, wall))


def _open_decoded(call: Call, prepared: Prepared, wall: Clock, *, most_wait: float | None) -> Flow[OpenedStream]:
    """As events in any case: the rest of a stream is put together with what the client has already."""
    given = prepared.timeouts
    if most_wait is not None:
        given = replace(given, connect=_least(given.connect, most_wait), first_token=_least(given.first_token, most_wait))
    return _open(call, replace(prepared, relay=False, timeouts=given), wall)


def _least(given: float | None, most: float) -> float:
    return most if given is None else min(given, most)


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
    data = b""
    while True:
        piece = yield Read(stream)
        data += piece
        events = decoder.feed(piece) if piece else decoder.close()
        held += [interpret.named(event, prepared, stream.head.headers) for event in events]
        for event in events:
            if isinstance(event, StreamError):
                raise interpret.stream_error(prepared, event, attempts=len(call.attempts), headers=stream.head.headers)
        if not piece or any(not isinstance(event, _PREAMBLE) for event in events):
            return OpenedStream(prepared=prepared, stream=stream, reader=decoder, events=held, data=data)


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
        raise interpret.unreadable(prepared, response, error.message, attempts=len(call.attempts)) from None
    return interpret.named(found, prepared, response.headers)
